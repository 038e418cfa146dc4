// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who looks whether a socket is alive, replaces or removes it holds the lock
 * (flock) of its directory, so that a janitor that comes late does not remove,
 * and a second hyp does not replace, the socket of a new VM.  Not in directories
 * of others (/tmp): anybody could hold the lock for ever.
 */
#include "hyp/ctl/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hyp/ctl/path.h"
#include "hyp/sandbox.h"

#define BACKLOG 16

struct place {
	int dir; /* O_DIRECTORY */
	const char *file;
	bool locks; /* the directory is ours */
};

static void lock(const struct place *p)
{
	while (p->locks && flock(p->dir, LOCK_EX) && errno == EINTR)
		;
}

static void unlock(const struct place *p)
{
	if (p->locks)
		flock(p->dir, LOCK_UN);
}

static int open_place(struct place *p, const char *path, bool mkdir_too,
		      struct why *why)
{
	const char *slash = strrchr(path, '/');
	char dir[CTL_PATH_MAX] = ".";
	struct stat st;

	if (slash) {
		memcpy(dir, path, (size_t)(slash - path));
		strcpy(dir + (slash - path), slash == path ? "/" : "");
	}
	p->file = slash ? slash + 1 : path;
	if (!*p->file)
		return why_set(why, 0, "%s is a directory", path);
	if (mkdir_too && mkdir(dir, 0700) && errno != EEXIST)
		return why_set(why, -errno, "cannot create %s", dir);
	p->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
				   (mkdir_too ? O_NOFOLLOW : 0));
	if (p->dir < 0)
		return why_set(why, -errno, "cannot open %s", dir);
	if (fstat(p->dir, &st)) {
		close(p->dir);
		return why_set(why, -errno, "cannot look at %s", dir);
	}
	p->locks = st.st_uid == geteuid() && !(st.st_mode & 022);
	if (!mkdir_too || p->locks)
		return 0;
	close(p->dir);
	return why_set(why, 0, "others may write to %s; chmod 700 it", dir);
}

/* Remove what a crashed hyp left, but nothing that lives or is no socket. */
static int make_room(const struct place *p, const struct sockaddr_un *addr,
		     struct why *why)
{
	struct stat st;
	int fd, err;

	if (fstatat(p->dir, p->file, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ?
			       0 :
			       why_set(why, -errno, "%s", addr->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return why_set(why, -EEXIST, "%s", addr->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return why_set(why, -errno, "cannot create a socket");
	err = connect(fd, (const void *)addr, sizeof(*addr)) ? errno : 0;
	close(fd);
	if (err != ECONNREFUSED)
		return why_set(why, -EADDRINUSE, "a VM is running at %s",
			       addr->sun_path);
	if (unlinkat(p->dir, p->file, 0))
		return why_set(why, -errno, "cannot replace %s",
			       addr->sun_path);
	return 0;
}

static int open_socket(const struct place *p, const char *path, struct why *why)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, err;

	strcpy(addr.sun_path, path);
	err = make_room(p, &addr, why);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return why_set(why, -errno, "cannot create a socket");
	mask = umask(0177);
	err = bind(fd, (const void *)&addr, sizeof(addr)) ? -errno : 0;
	umask(mask);
	if (!err && listen(fd, BACKLOG)) {
		err = -errno;
		unlinkat(p->dir, p->file, 0);
	}
	if (!err)
		return fd;
	close(fd);
	return why_set(why, err, "cannot create %s", path);
}

/* In a process of its own; never returns. */
static void janitor(const struct place *p, int pipe_fd, const struct stat *ours)
{
	struct stat now;
	sigset_t all;
	char byte;
	int dir;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL); /* not to go before hyp does */
	/* Either may be what the other is to become. */
	pipe_fd = fcntl(pipe_fd, F_DUPFD, 2);
	dir = fcntl(p->dir, F_DUPFD, 2);
	if (dup2(pipe_fd, 0) < 0 || dup2(dir, 1) < 0)
		_exit(1);
	syscall(SYS_close_range, 2, ~0u, 0);
	if (sandbox_enter_janitor())
		_exit(1);
	while (read(0, &byte, 1) < 0 && errno == EINTR)
		;
	if (p->locks)
		flock(1, LOCK_EX);
	if (!fstatat(1, p->file, &now, AT_SYMLINK_NOFOLLOW) &&
	    now.st_ino == ours->st_ino && now.st_dev == ours->st_dev)
		unlinkat(1, p->file, 0);
	_exit(0);
}

static int start_janitor(struct ctl_socket *s, const struct place *p,
			 struct why *why)
{
	struct stat st;
	int fds[2];

	if (fstatat(p->dir, p->file, &st, AT_SYMLINK_NOFOLLOW))
		return why_set(why, -errno, "%s", p->file);
	if (pipe2(fds, O_CLOEXEC))
		return why_set(why, -errno, "cannot create a pipe");
	s->janitor = fork();
	if (s->janitor == 0) {
		close(fds[1]);
		janitor(p, fds[0], &st);
	}
	close(fds[0]);
	s->pipe = fds[1];
	if (s->janitor > 0)
		return 0;
	close(fds[1]);
	return why_set(why, -errno, "cannot create a process");
}

int ctl_listen(struct ctl_socket *s, const char *path, bool mkdir_too,
	       struct why *why)
{
	struct place p = { .dir = -1 };
	int err;

	if (strlen(path) >= CTL_PATH_MAX)
		return why_set(why, 0, "%s is too long for a socket", path);
	err = open_place(&p, path, mkdir_too, why);
	if (err)
		return err;
	lock(&p);
	err = open_socket(&p, path, why);
	if (err >= 0) {
		s->fd = err;
		err = start_janitor(s, &p, why);
		if (err) {
			unlinkat(p.dir, p.file, 0);
			close(s->fd);
		}
	}
	unlock(&p);
	close(p.dir);
	s->open = !err;
	return err;
}

void ctl_unlisten(struct ctl_socket *s)
{
	if (!s->open)
		return;
	s->open = false;
	close(s->fd);
	close(s->pipe);
	while (waitpid(s->janitor, NULL, 0) < 0 && errno == EINTR)
		;
}
