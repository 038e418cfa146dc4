// SPDX-License-Identifier: GPL-2.0-only
/* Order of set-up and teardown; the only place that prints an error and exits. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "hyp/config.h"
#include "hyp/ctl/listen.h"
#include "hyp/hypd/serve.h"
#include "hyp/sandbox.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

struct hypd {
	struct ctl_socket socket;
	struct loop *loop;
	struct loop_handler signals;
	struct manager manager;
	struct ctl *server;
};

static void reload(struct hypd *d)
{
	struct why why = { "" };
	struct settings new;

	if (!d->manager.settings.config)
		log_line("SIGHUP: there is no --config to read again");
	else if (settings_reload(&new, &d->manager.settings, &why))
		log_line("%s; everything stays as it is", why.text);
	else
		manager_set(&d->manager, &new);
}

static void on_signal(void *ctx, uint32_t events)
{
	struct signalfd_siginfo info;
	struct hypd *d = ctx;

	(void)events;
	if (read(d->signals.fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		reload(d);
	else
		loop_quit(d->loop);
}

static int watch_signals(struct hypd *d, struct why *why)
{
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signals = (struct loop_handler){
		signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), on_signal, d
	};
	err = d->signals.fd < 0 ? -errno :
				  loop_add(d->loop, &d->signals, EPOLLIN);
	return err ? why_set(why, err, "cannot wait for signals") : 0;
}

/* Two for each VM: its connection, its process. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_socket(struct hypd *d, char dir[CTL_PATH_MAX], struct why *why)
{
	char path[CTL_PATH_MAX];
	struct why cause = { "" };
	int err = ctl_runtime_dir(dir, why);

	if (!err)
		err = ctl_path(path, dir, CTL_MANAGER, why);
	if (err)
		return err;
	err = ctl_listen(&d->socket, path, true, &cause);
	if (err == -EADDRINUSE)
		return why_set(why, 0, "another hypd is running at %s", path);
	return err ? why_set(why, 0, "%s", cause.text) : 0;
}

static int set_up(struct hypd *d, struct settings *settings, struct why *why)
{
	char dir[CTL_PATH_MAX];
	unsigned int i;
	int err;

	err = loop_create(&d->loop);
	if (err) {
		settings_fini(settings);
		return why_set(why, err, "event loop");
	}
	err = manager_init(&d->manager, d->loop, settings, why);
	if (!err)
		err = open_socket(d, dir, why);
	if (!err)
		err = watch_signals(d, why);
	if (!err)
		err = finder_add(d->manager.finder, dir, why);
	for (i = 0; !err && i < settings->nr_dirs; i++)
		err = finder_add(d->manager.finder, settings->dirs[i], why);
	if (!err) {
		err = serve_create(&d->server, &d->manager, d->socket.fd);
		if (err)
			why_set(why, err, "cannot serve the control socket");
	}
	if (!err && settings->sandbox)
		err = sandbox_enter_manager(why);
	return err;
}

static void tear_down(struct hypd *d)
{
	ctl_unlisten(&d->socket);
	ctl_destroy(d->server);
	manager_fini(&d->manager);
	if (d->signals.fd >= 0)
		close(d->signals.fd);
	loop_destroy(d->loop);
}

static int run(struct settings *settings, struct why *why)
{
	struct hypd d = { .signals.fd = -1 };
	int err;

	sandbox_close_inherited();
	allow_descriptors();
	err = set_up(&d, settings, why);
	if (!err) {
		manager_start(&d.manager);
		err = loop_run(d.loop);
		if (err)
			why_set(why, err, "event loop");
	}
	tear_down(&d);
	return err ? EXIT_FAILED : 0;
}

int main(int argc, char **argv)
{
	struct why why = { "" };
	struct settings settings;
	int code = EXIT_USAGE;

	log_as("hypd");
	if (settings_parse(&settings, argc, argv, &why))
		settings_fini(&settings);
	else if (settings.help)
		code = fputs(settings_help(), stdout) < 0 || fflush(stdout);
	else if (settings.version)
		code = printf("hypd %s\n", HYP_VERSION) < 0 || fflush(stdout);
	else
		code = run(&settings, &why);
	if (why.text[0])
		log_line("%s", why.text);
	return code;
}
