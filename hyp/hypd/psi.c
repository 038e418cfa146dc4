// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/hypd/psi.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hyp/util.h"

/* Of 2 s, the only window that needs no rights. */
static const char trigger[] = "some 200000 2000000";

static void on_psi(void *ctx, uint32_t events)
{
	struct psi *psi = ctx;

	if (events & EPOLLERR) {
		psi_fini(psi);
		return;
	}
	psi->until_ms = now_ms() + PSI_HOLD_MS;
	if (psi->pressed)
		return;
	psi->pressed = true;
	psi->changed(psi->ctx);
}

void psi_init(struct psi *psi, struct loop *loop, void (*changed)(void *ctx),
	      void *ctx)
{
	*psi = (struct psi){ .loop = loop,
			     .handler = { -1, on_psi, psi },
			     .changed = changed,
			     .ctx = ctx };
	psi->handler.fd =
		open("/proc/pressure/memory", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (psi->handler.fd < 0)
		return;
	if (write(psi->handler.fd, trigger, sizeof(trigger)) ==
		    (ssize_t)sizeof(trigger) &&
	    !loop_add(loop, &psi->handler, EPOLLPRI))
		return;
	close(psi->handler.fd);
	psi->handler.fd = -1;
}

void psi_fini(struct psi *psi)
{
	if (psi->handler.fd < 0)
		return;
	loop_remove(psi->loop, &psi->handler);
	close(psi->handler.fd);
	psi->handler.fd = -1;
}

uint64_t psi_due_ms(const struct psi *psi)
{
	return psi->pressed ? psi->until_ms : UINT64_MAX;
}

bool psi_tick(struct psi *psi, uint64_t now)
{
	if (!psi->pressed || now < psi->until_ms)
		return false;
	psi->pressed = false;
	return true;
}
