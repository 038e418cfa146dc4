/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Framed byte streams over one full-duplex channel: what the lab's two halves,
 * outside (host.c) and inside (agent.c), speak over a virtio-serial port.
 *
 * Each stream has a source on one side, which reads a file descriptor, and a
 * sink on the other, which writes one.  A source may have at most MUX_WINDOW
 * bytes under way that its sink has not yet written: a reader who does not read
 * blocks only its own stream, and buffers stay bounded.
 */
#ifndef TOOLS_LAB_MUX_H
#define TOOLS_LAB_MUX_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUX_WINDOW    (128u << 10)
#define MUX_MAX_FRAME (1u << 20)

enum mux_stream_id { MUX_STDIN, MUX_STDOUT, MUX_STDERR, MUX_NR_STREAMS };

enum mux_type {
	MUX_DATA = 1, /* payload for the sink; empty: end of file */
	MUX_CREDIT,   /* u32: bytes the sink has written out */
	MUX_CLOSE,    /* the sink's reader is gone */
	MUX_HELLO,    /* agent: ready for START */
	MUX_START,    /* to the agent: struct spec_head and strings */
	MUX_SIGNAL,   /* u32: signal number for the program */
	MUX_WINSZ,    /* struct winsize of the terminal */
	MUX_EXIT,     /* agent: u32 wait status; the last frame */
	MUX_FAIL,     /* agent: u32 exit code, then a line for the user; last */
};

#define SPEC_TTY (1u << 0)

/* Followed by cwd, arguments, environment, shared directories; NUL-ended. */
struct spec_head {
	uint32_t flags;
	uint32_t umask;
	uint32_t nr_args;
	uint32_t nr_env;
	uint32_t nr_shared;
	uint16_t rows;
	uint16_t cols;
};

struct mux_stream {
	int fd; /* -1: closed */
	bool source;
	bool eof;	 /* sink: close once the buffer is empty */
	uint32_t credit; /* source: bytes that may be sent */
	uint32_t chunk;	 /* sink: most bytes of one write */
	uint8_t *buf;	 /* sink: MUX_WINDOW bytes */
	size_t start, len;
};

struct mux {
	int fd;
	uint8_t *tx;
	size_t tx_len, tx_cap;
	uint8_t *rx;
	size_t rx_len;
	struct mux_stream streams[MUX_NR_STREAMS];
};

/**
 * typedef mux_handler - called for each frame that is not about a stream
 * @arg:  as given to mux_receive()
 * @type: one of enum mux_type
 * @data: payload, valid during the call
 * @len:  bytes of it
 */
typedef void mux_handler(void *arg, uint8_t type, const uint8_t *data,
			 size_t len);

int mux_init(struct mux *m, int fd);
void mux_fini(struct mux *m);
int mux_add(struct mux *m, enum mux_stream_id id, int fd, bool source,
	    uint32_t chunk);
int mux_send(struct mux *m, uint8_t type, uint8_t id, const void *data,
	     size_t len);
int mux_flush(struct mux *m);
int mux_receive(struct mux *m, mux_handler *handler, void *arg);
void mux_prepare(const struct mux *m, struct pollfd *pfd, nfds_t nr);
int mux_process(struct mux *m, const struct pollfd *pfd, mux_handler *handler,
		void *arg);
int mux_pump(struct mux *m, enum mux_stream_id id);
bool mux_sinks_empty(const struct mux *m);

#define MUX_NR_POLL (1 + MUX_NR_STREAMS)

#endif /* TOOLS_LAB_MUX_H */
