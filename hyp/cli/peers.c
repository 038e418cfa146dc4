// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/cli/peers.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* hypd, if there is one, then the VMs. */
static struct peer *all_of(const struct peers *peers)
{
	if (!peers->manager)
		return peers->first;
	peers->manager->next = peers->first;
	return peers->manager;
}

static void forget(struct peer *p)
{
	ask_close(&p->ask);
	cJSON_Delete(p->result);
	free(p->data);
	free(p);
}

static struct peer *create(const char *name)
{
	struct peer *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL; /* with the next look */
	strcpy(p->name, name);
	p->ask.fd = -1;
	p->code = ASK_NOT_YET;
	p->seen = true;
	return p;
}

static void see_manager(struct peers *peers)
{
	if (peers->manager)
		peers->manager->seen = true;
	else
		peers->manager = create(CTL_MANAGER);
}

/* Puts it where it belongs by name, or finds it there. */
static void see(struct peers *peers, const char *name)
{
	struct peer **at = &peers->first, *new;

	while (*at && strcmp((*at)->name, name) < 0)
		at = &(*at)->next;
	if (*at && !strcmp((*at)->name, name)) {
		(*at)->seen = true;
		return;
	}
	new = create(name);
	if (!new)
		return;
	new->next = *at;
	*at = new;
}

static void drop_unseen(struct peers *peers)
{
	struct peer **at = &peers->first, *p;

	if (peers->manager && !peers->manager->seen) {
		forget(peers->manager);
		peers->manager = NULL;
	}
	while ((p = *at)) {
		if (p->seen) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		forget(p);
	}
}

int peers_find(struct peers *peers, struct why *why)
{
	char path[CTL_PATH_MAX], name[CTL_NAME_MAX + 1];
	struct dirent *file;
	struct peer *p;
	DIR *dir;

	if (ctl_runtime_dir(path, why))
		return -EINVAL;
	dir = opendir(path);
	if (!dir && errno != ENOENT)
		return why_set(why, -errno, "cannot read %s", path);
	for (p = all_of(peers); p; p = p->next)
		p->seen = false;
	while (dir && (file = readdir(dir))) {
		if (ctl_name_of(name, file->d_name))
			see(peers, name);
		else if (peers->with_manager &&
			 !strcmp(file->d_name, CTL_MANAGER CTL_SUFFIX))
			see_manager(peers);
	}
	if (dir)
		closedir(dir);
	drop_unseen(peers);
	return 0;
}

static void end(struct peer *p, enum ask_code code)
{
	p->code = code;
	p->end_ms = now_ms();
	ask_close(&p->ask);
}

static void ask_one(struct peer *p, const char *dir, const char *command)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	char path[CTL_PATH_MAX];
	struct why why = { "" };
	enum ask_code code = ASK_NO_VM;

	cJSON_Delete(p->result);
	p->result = NULL;
	p->code = ASK_NOT_YET;
	p->pid = 0;
	p->until_ms = now_ms() + PEER_MS;
	if (!ctl_path(path, dir, p->name, &why))
		code = ask_open(&p->ask, path, command, NULL, 0, &why);
	if (code != ASK_OK)
		end(p, code);
	else if (!getsockopt(p->ask.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		p->pid = cred.pid;
}

void peers_ask(struct peers *peers, const char *command)
{
	char dir[CTL_PATH_MAX];
	struct why why = { "" };
	struct peer *p;

	if (ctl_runtime_dir(dir, &why))
		return;
	for (p = all_of(peers); p; p = p->next)
		if (p->ask.fd < 0)
			ask_one(p, dir, p == peers->manager ? "host" : command);
}

bool peers_due(const struct peers *peers)
{
	const struct peer *p;

	for (p = all_of(peers); p; p = p->next)
		if (p->ask.fd >= 0)
			return true;
	return false;
}

static void take(struct peer *p)
{
	struct why why = { "" };
	enum ask_code code = ask_try(&p->ask, &p->result, &why);

	if (code != ASK_NOT_YET)
		end(p, code);
	else if (now_ms() >= p->until_ms)
		end(p, ASK_REFUSED);
}

static int ms_until(uint64_t until_ms)
{
	uint64_t now = now_ms();

	if (until_ms <= now)
		return 0;
	return until_ms - now < PEER_MS ? (int)(until_ms - now) : PEER_MS;
}

void peers_step(struct peers *peers, struct pollfd *also, nfds_t nr_also,
		uint64_t until_ms)
{
	struct pollfd *fds;
	struct peer *p;
	nfds_t nr = 0, i;

	for (p = all_of(peers); p; p = p->next)
		nr++;
	fds = calloc(nr + PEERS_ALSO, sizeof(*fds));
	for (nr = 0; fds && nr < nr_also; nr++)
		fds[nr] = also[nr];
	for (p = all_of(peers); p; p = p->next) {
		if (p->ask.fd < 0)
			continue;
		if (p->until_ms < until_ms)
			until_ms = p->until_ms;
		if (fds)
			fds[nr++] = (struct pollfd){ p->ask.fd, POLLIN, 0 };
	}
	/* Without memory it is the end of the wait that wakes. */
	if (poll(fds, fds ? nr : 0, ms_until(until_ms)) < 0)
		nr_also = 0;
	for (i = 0; fds && i < nr_also; i++)
		also[i].revents = fds[i].revents;
	free(fds);
	for (p = all_of(peers); p; p = p->next)
		if (p->ask.fd >= 0)
			take(p);
}

void peers_wait(struct peers *peers)
{
	while (peers_due(peers))
		peers_step(peers, NULL, 0, UINT64_MAX);
}

void peers_fini(struct peers *peers)
{
	struct peer *p;

	for (p = all_of(peers); p; p = p->next)
		p->seen = false;
	drop_unseen(peers);
}
