// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/finder.h"

#include <dirent.h>
#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

struct place {
	char dir[CTL_PATH_MAX];
	int watch;
};

struct finder {
	struct loop *loop;
	struct loop_handler inotify;
	void (*found)(void *ctx, const char *name, const char *path,
		      bool is_new);
	void *ctx;
	struct place places[FINDER_MAX_DIRS];
	unsigned int nr;
};

static void see(struct finder *f, const struct place *place, const char *file,
		bool is_new)
{
	char name[CTL_NAME_MAX + 1], path[CTL_PATH_MAX];
	struct why why = { "" };

	if (!ctl_name_of(name, file))
		return;
	if (ctl_path(path, place->dir, name, &why))
		log_line("%s", why.text);
	else
		f->found(f->ctx, name, path, is_new);
}

static void scan(struct finder *f, const struct place *place)
{
	DIR *dir = opendir(place->dir);
	struct dirent *file;

	if (!dir) {
		log_line("cannot read %s: %s", place->dir, strerror(errno));
		return;
	}
	while ((file = readdir(dir)))
		see(f, place, file->d_name, false);
	closedir(dir);
}

static void take(struct finder *f, const struct inotify_event *event)
{
	unsigned int i;

	if (event->mask & IN_Q_OVERFLOW) {
		finder_scan(f);
		return;
	}
	for (i = 0; i < f->nr; i++)
		if (f->places[i].watch == event->wd)
			break;
	if (i == f->nr)
		return;
	if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF))
		log_line(
			"%s has gone; VMs started there are not seen until hypd is started again",
			f->places[i].dir);
	else if (event->len)
		see(f, &f->places[i], event->name, true);
}

static void on_inotify(void *ctx, uint32_t events)
{
	alignas(struct inotify_event) char buf[4096];
	struct finder *f = ctx;
	ssize_t n, at;

	(void)events;
	n = read(f->inotify.fd, buf, sizeof(buf));
	for (at = 0; at < n;) {
		const struct inotify_event *event = (const void *)(buf + at);

		take(f, event);
		at += (ssize_t)sizeof(*event) + event->len;
	}
}

int finder_create(struct finder **out, struct loop *loop,
		  void (*found)(void *ctx, const char *name, const char *path,
				bool is_new),
		  void *ctx, struct why *why)
{
	struct finder *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return why_set(why, -ENOMEM, "finder");
	f->loop = loop;
	f->found = found;
	f->ctx = ctx;
	f->inotify =
		(struct loop_handler){ inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
				       on_inotify, f };
	err = f->inotify.fd < 0 ? -errno : loop_add(loop, &f->inotify, EPOLLIN);
	if (!err) {
		*out = f;
		return 0;
	}
	if (f->inotify.fd >= 0)
		close(f->inotify.fd);
	free(f);
	return why_set(why, err, "cannot watch directories");
}

void finder_destroy(struct finder *f)
{
	if (!f)
		return;
	loop_remove(f->loop, &f->inotify);
	close(f->inotify.fd);
	free(f);
}

int finder_add(struct finder *f, const char *dir, struct why *why)
{
	struct place *place = &f->places[f->nr];

	if (f->nr == FINDER_MAX_DIRS)
		return why_set(why, 0, "more than %d directories",
			       FINDER_MAX_DIRS);
	if (snprintf(place->dir, sizeof(place->dir), "%s", dir) >=
	    (int)sizeof(place->dir))
		return why_set(why, 0, "%s is too long for a socket", dir);
	place->watch = inotify_add_watch(f->inotify.fd, dir,
					 IN_CREATE | IN_MOVED_TO | IN_ONLYDIR |
						 IN_DELETE_SELF | IN_MOVE_SELF);
	if (place->watch < 0)
		return why_set(why, -errno, "cannot watch %s", dir);
	f->nr++;
	return 0;
}

void finder_scan(struct finder *f)
{
	unsigned int i;

	for (i = 0; i < f->nr; i++)
		scan(f, &f->places[i]);
}
