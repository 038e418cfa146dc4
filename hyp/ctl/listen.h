/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control socket as a file.
 *
 * It must go when the VM goes, however that ends, and a VMM that a guest may
 * have taken over must not be able to remove files.  So a process of its own
 * does it, the janitor: it can read a pipe, which ends when hyp does, and remove
 * this one file if it is still the same.
 */
#ifndef HYP_CTL_LISTEN_H
#define HYP_CTL_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

#include "hyp/util.h"

/** struct ctl_socket - zeroed: none */
struct ctl_socket {
	bool open;
	int fd;	  /* listening, non-blocking */
	int pipe; /* the janitor waits for its end */
	pid_t janitor;
};

/**
 * ctl_listen() - create the socket, mode 0600, and its janitor
 * @s:    set on success
 * @path: a socket there that nobody listens to is replaced
 * @mkdir_too: create the directory, mode 0700; one that is there has to be ours
 *	  and nobody else's to write to
 * @why:  set on failure
 *
 * Context: no other thread exists yet (fork, umask).
 * Return: 0 or a negative errno; -EADDRINUSE: a VM is alive there.
 */
int ctl_listen(struct ctl_socket *s, const char *path, bool mkdir_too,
	       struct why *why);

/** ctl_unlisten() - close it; returns when the file is gone */
void ctl_unlisten(struct ctl_socket *s);

#endif /* HYP_CTL_LISTEN_H */
