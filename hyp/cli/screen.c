// SPDX-License-Identifier: GPL-2.0-only
/* hyp top on a terminal; curses writes what differs, so nothing flickers. */
#include <errno.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "hyp/cli/top.h"

#define MIN_BAR_COLS ((int)BAR_MIN + 2)

struct screen {
	struct peers peers;
	uint64_t interval_ms;
	char key; /* n, r, f */
	int end;  /* signal */
	bool quit;
	char trouble[LINE_MAX_LEN]; /* with the directory */
};

static int by_key(const struct peer *a, const struct peer *b, char key)
{
	const struct guest *x = a->data, *y = b->data;
	double of_x = 0, of_y = 0;

	if (key == 'r') {
		of_x = (double)x->resident;
		of_y = (double)y->resident;
	} else if (key == 'f') {
		of_x = x->has_rates ? x->per_s[RATE_FAULTS] : -1;
		of_y = y->has_rates ? y->per_s[RATE_FAULTS] : -1;
	}
	if (of_x != of_y)
		return of_x < of_y ? 1 : -1;
	return strcmp(a->name, b->name);
}

static int by_name(const void *a, const void *b)
{
	return by_key(*(struct peer *const *)a, *(struct peer *const *)b, 'n');
}

static int by_resident(const void *a, const void *b)
{
	return by_key(*(struct peer *const *)a, *(struct peer *const *)b, 'r');
}

static int by_faults(const void *a, const void *b)
{
	return by_key(*(struct peer *const *)a, *(struct peer *const *)b, 'f');
}

static void draw_bar(int line, const struct guest *g)
{
	char text[LINE_MAX_LEN];
	unsigned int width = (unsigned int)COLS - 2, i;
	const char *at;

	if (width >= LINE_MAX_LEN)
		width = LINE_MAX_LEN - 1;
	top_bar(text, g, width);
	move(line, 2);
	for (i = 0; text[i]; i++) {
		at = strchr(bar_signs, text[i]);
		/* A colour for each usage; what is resident is filled. */
		attrset(COLOR_PAIR((at - bar_signs) / 3 + 1) |
			((at - bar_signs) % 3 ? 0 : A_REVERSE));
		addch((chtype)text[i]);
	}
	attrset(A_NORMAL);
}

static void draw_guest(const struct screen *s, int line, const struct peer *p)
{
	const struct host *host = top_host(&s->peers);
	char text[LINE_MAX_LEN], state[TOP_STATE];
	struct row row;

	top_row(&row, state, p, host, s->interval_ms);
	row_text(text, (unsigned int)COLS, host, &row);
	if (top_is_old(p->data, s->interval_ms))
		attron(A_BOLD);
	mvaddnstr(line, 0, text, COLS);
	attrset(A_NORMAL);
	if (line + 1 < LINES - 1 && COLS >= MIN_BAR_COLS)
		draw_bar(line + 1, p->data);
}

/* Return: the first line for VMs. */
static int draw_heading(const struct screen *s)
{
	const struct host *host = top_host(&s->peers);
	char text[LINE_MAX_LEN];
	int line = 0;

	/* With a line for a VM and its bar left, and one below them. */
	if (host && LINES > 4) {
		top_host_line(text, host, s->interval_ms);
		mvaddnstr(line++, 0, text, COLS);
	}
	row_text(text, (unsigned int)COLS, host, NULL);
	attron(A_REVERSE);
	mvaddnstr(line++, 0, text, COLS);
	attrset(A_NORMAL);
	return line;
}

static void draw(const struct screen *s)
{
	char text[LINE_MAX_LEN];
	struct peer **all, *p;
	size_t nr = 0, i;
	int line;

	for (p = s->peers.first; p; p = p->next)
		nr++;
	all = calloc(nr + 1, sizeof(struct peer *));
	for (p = s->peers.first, nr = 0; all && p; p = p->next)
		if (p->data)
			all[nr++] = p;
	if (all)
		qsort(all, nr, sizeof(struct peer *),
		      s->key == 'r' ? by_resident :
		      s->key == 'f' ? by_faults :
				      by_name);
	erase();
	line = draw_heading(s);
	for (i = 0; all && i < nr && line < LINES - 1; i++, line += 2)
		draw_guest(s, line, all[i]);
	if (s->trouble[0])
		snprintf(text, sizeof(text), "%s", s->trouble);
	else if (i < nr)
		snprintf(text, sizeof(text), "%zu more; q n r f", nr - i);
	else
		snprintf(text, sizeof(text), "%s", bar_legend);
	/* Not the last corner: some terminals scroll then. */
	mvaddnstr(LINES - 1, 0, text, COLS - 1);
	refresh();
	free(all);
}

static void on_signal(struct screen *s, int fd)
{
	struct signalfd_siginfo info;
	struct winsize size;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGWINCH)
		s->end = (int)info.ssi_signo;
	else if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row &&
		 size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
}

static void on_key(struct screen *s, short revents)
{
	int key = getch();

	if (key == 'q' || (key == ERR && revents & (POLLHUP | POLLERR)))
		s->quit = true;
	else if (key == 'n' || key == 'r' || key == 'f')
		s->key = (char)key;
}

static void run(struct screen *s, int signals)
{
	struct pollfd also[PEERS_ALSO] = { { STDIN_FILENO, POLLIN, 0 },
					   { signals, POLLIN, 0 } };
	uint64_t next_ms = 0;

	while (!s->quit && !s->end) {
		if (now_ms() >= next_ms) {
			struct why why = { "" };

			peers_find(&s->peers, &why);
			snprintf(s->trouble, sizeof(s->trouble), "%s",
				 why.text);
			peers_ask(&s->peers, "stat");
			next_ms = now_ms() + s->interval_ms;
		}
		top_take(&s->peers);
		draw(s);
		also[0].revents = also[1].revents = 0;
		peers_step(&s->peers, also, PEERS_ALSO, next_ms);
		if (also[1].revents)
			on_signal(s, signals);
		if (also[0].revents)
			on_key(s, also[0].revents);
	}
}

static void start_colours(void)
{
	static const short colours[] = { COLOR_BLUE, COLOR_WHITE, COLOR_GREEN,
					 COLOR_YELLOW };
	short i;

	if (!has_colors())
		return;
	start_color();
	use_default_colors();
	for (i = 0; i < 4; i++)
		init_pair((short)(i + 1), colours[i], -1);
}

int top_live(uint64_t interval_ms, struct why *why)
{
	struct screen s = { .interval_ms = interval_ms, .key = 'n' };
	sigset_t set, old;
	SCREEN *screen;
	int signals;

	s.peers.with_manager = true;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return why_set(why, -errno, "top");
	sigprocmask(SIG_BLOCK, &set, &old);
	screen = newterm(NULL, stdout, stdin);
	if (screen) {
		cbreak();
		noecho();
		nodelay(stdscr, TRUE);
		curs_set(0);
		start_colours();
		run(&s, signals);
		endwin();
		delscreen(screen);
	}
	peers_fini(&s.peers);
	close(signals);
	/* The terminal is as it was: now let the signal do what it does. */
	if (s.end) {
		signal(s.end, SIG_DFL);
		raise(s.end);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return screen ?
		       0 :
		       why_set(why, 0,
			       "top: this terminal is not known (TERM); use --once");
}
