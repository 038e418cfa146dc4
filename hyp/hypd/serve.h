/* SPDX-License-Identifier: GPL-2.0-only */
/* hypd's own control socket: host, limit, policy (hyp/ctl/message.h). */
#ifndef HYP_HYPD_SERVE_H
#define HYP_HYPD_SERVE_H

#include "hyp/ctl/server.h"
#include "hyp/hypd/manager.h"

/**
 * serve_create() - answer who connects to @listen_fd
 * @out:       set on success; ctl_destroy() it
 * @manager:   outlives it
 * @listen_fd: stays the caller's
 *
 * Return: 0 or a negative errno.
 */
int serve_create(struct ctl **out, struct manager *manager, int listen_fd);

#endif /* HYP_HYPD_SERVE_H */
