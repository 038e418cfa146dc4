// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/cli/peers.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void forget(struct peer *p)
{
	ask_close(&p->ask);
	cJSON_Delete(p->result);
	free(p->data);
	free(p);
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
	new = calloc(1, sizeof(*new));
	if (!new)
		return; /* with the next look */
	strcpy(new->name, name);
	new->ask.fd = -1;
	new->code = ASK_NOT_YET;
	new->seen = true;
	new->next = *at;
	*at = new;
}

static void drop_unseen(struct peers *peers)
{
	struct peer **at = &peers->first, *p;

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
	for (p = peers->first; p; p = p->next)
		p->seen = false;
	while (dir && (file = readdir(dir)))
		if (ctl_name_of(name, file->d_name))
			see(peers, name);
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
	for (p = peers->first; p; p = p->next)
		if (p->ask.fd < 0)
			ask_one(p, dir, command);
}

bool peers_due(const struct peers *peers)
{
	const struct peer *p;

	for (p = peers->first; p; p = p->next)
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

	for (p = peers->first; p; p = p->next)
		nr++;
	fds = calloc(nr + PEERS_ALSO, sizeof(*fds));
	for (nr = 0; fds && nr < nr_also; nr++)
		fds[nr] = also[nr];
	for (p = peers->first; p; p = p->next) {
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
	for (p = peers->first; p; p = p->next)
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

	for (p = peers->first; p; p = p->next)
		p->seen = false;
	drop_unseen(peers);
}
