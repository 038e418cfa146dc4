// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/lab/mux.h"

struct frame_head {
	uint8_t type;
	uint8_t stream;
	uint16_t reserved;
	uint32_t len;
};

/**
 * mux_init() - set up a channel without streams
 * @m:	to be initialised; mux_fini() releases it
 * @fd:	non-blocking, full duplex; stays the caller's
 *
 * Return: 0 or -ENOMEM.
 */
int mux_init(struct mux *m, int fd)
{
	memset(m, 0, sizeof(*m));
	m->fd = fd;
	for (int i = 0; i < MUX_NR_STREAMS; i++)
		m->streams[i].fd = -1;
	m->rx = malloc(sizeof(struct frame_head) + MUX_MAX_FRAME);
	return m->rx ? 0 : -ENOMEM;
}

/**
 * mux_fini() - release what the channel owns; descriptors stay open
 * @m: initialised by mux_init()
 */
void mux_fini(struct mux *m)
{
	for (int i = 0; i < MUX_NR_STREAMS; i++)
		free(m->streams[i].buf);
	free(m->rx);
	free(m->tx);
}

/**
 * mux_add() - attach a descriptor to a stream
 * @m:	    the channel
 * @id:	    which stream
 * @fd:	    read by a source, written by a sink; -1: the stream is closed
 * @source: whether this side is the source
 * @chunk:  sink: most bytes of one write; a blocking pipe takes PIPE_BUF
 *	    bytes without blocking once poll() reports it writable
 *
 * Return: 0 or -ENOMEM.
 */
int mux_add(struct mux *m, enum mux_stream_id id, int fd, bool source,
	    uint32_t chunk)
{
	struct mux_stream *s = &m->streams[id];

	s->fd = fd;
	s->source = source;
	s->credit = source ? MUX_WINDOW : 0;
	s->chunk = chunk;
	if (!source) {
		s->buf = malloc(MUX_WINDOW);
		if (!s->buf)
			return -ENOMEM;
	}
	return 0;
}

/**
 * mux_send() - queue a frame
 * @m:	  the channel
 * @type: frame type
 * @id:	  stream, 0 if the frame is about none
 * @data: payload
 * @len:  bytes of it, at most MUX_MAX_FRAME
 *
 * Return: 0, -EMSGSIZE or -ENOMEM.
 */
int mux_send(struct mux *m, uint8_t type, uint8_t id, const void *data,
	     size_t len)
{
	struct frame_head head = { .type = type, .stream = id, .len = len };
	size_t need;

	if (len > MUX_MAX_FRAME)
		return -EMSGSIZE;
	need = m->tx_len + sizeof(head) + len;
	if (need > m->tx_cap) {
		uint8_t *tx = realloc(m->tx, need * 2);

		if (!tx)
			return -ENOMEM;
		m->tx = tx;
		m->tx_cap = need * 2;
	}
	memcpy(m->tx + m->tx_len, &head, sizeof(head));
	if (len)
		memcpy(m->tx + m->tx_len + sizeof(head), data, len);
	m->tx_len = need;
	return 0;
}

/**
 * mux_flush() - write queued frames as far as the channel takes them
 * @m: the channel
 *
 * Return: 0 (mux.tx_len tells what is left) or -errno.
 */
int mux_flush(struct mux *m)
{
	size_t done = 0;
	int err = 0;

	while (done < m->tx_len) {
		ssize_t n = write(m->fd, m->tx + done, m->tx_len - done);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			err = errno == EAGAIN ? 0 : -errno;
			break;
		}
		done += n;
	}
	memmove(m->tx, m->tx + done, m->tx_len - done);
	m->tx_len -= done;
	return err;
}

static void stream_close(struct mux_stream *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->len = 0;
}

static int sink_write(struct mux *m, uint8_t id)
{
	struct mux_stream *s = &m->streams[id];
	size_t n = s->len;
	uint32_t credit;
	ssize_t ret;

	if (n > MUX_WINDOW - s->start)
		n = MUX_WINDOW - s->start;
	if (n > s->chunk)
		n = s->chunk;
	ret = n ? write(s->fd, s->buf + s->start, n) : 0;
	if (ret < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		stream_close(s);
		return mux_send(m, MUX_CLOSE, id, NULL, 0);
	}
	s->start = (s->start + ret) % MUX_WINDOW;
	s->len -= ret;
	if (s->eof && !s->len)
		stream_close(s);
	if (!ret)
		return 0;
	credit = ret;
	return mux_send(m, MUX_CREDIT, id, &credit, sizeof(credit));
}

static int sink_push(struct mux *m, uint8_t id, const uint8_t *data, size_t len)
{
	struct mux_stream *s = &m->streams[id];
	size_t end, first;

	if (s->fd < 0)
		return 0; /* its reader is gone: dropped, MUX_CLOSE was sent */
	if (!len) {
		s->eof = true;
		if (!s->len)
			stream_close(s);
		return 0;
	}
	if (len > MUX_WINDOW - s->len)
		return -EPROTO;
	end = (s->start + s->len) % MUX_WINDOW;
	first = len < MUX_WINDOW - end ? len : MUX_WINDOW - end;
	memcpy(s->buf + end, data, first);
	memcpy(s->buf, data + first, len - first);
	s->len += len;
	return 0;
}

/**
 * mux_pump() - read a source once and send what it had
 * @m:	the channel
 * @id: a source
 *
 * Return: bytes sent, 0 when nothing more can be read now (mux_stream.fd is -1
 * at end of file), or -errno of the channel.
 */
int mux_pump(struct mux *m, enum mux_stream_id id)
{
	struct mux_stream *s = &m->streams[id];
	uint8_t buf[32 << 10];
	size_t max = sizeof(buf) < s->credit ? sizeof(buf) : s->credit;
	ssize_t n;
	int err;

	if (s->fd < 0 || !max)
		return 0;
	n = read(s->fd, buf, max);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) { /* EIO: the other end of a terminal was closed */
		stream_close(s);
		return mux_send(m, MUX_DATA, id, NULL, 0);
	}
	s->credit -= n;
	err = mux_send(m, MUX_DATA, id, buf, n);
	return err ? err : n;
}

static int dispatch(struct mux *m, const struct frame_head *h,
		    const uint8_t *data, mux_handler *handler, void *arg)
{
	struct mux_stream *s = &m->streams[h->stream];
	uint32_t credit;

	switch (h->type) {
	case MUX_DATA:
		return s->source ? -EPROTO :
				   sink_push(m, h->stream, data, h->len);
	case MUX_CREDIT:
		if (!s->source || h->len != sizeof(credit))
			return -EPROTO;
		memcpy(&credit, data, sizeof(credit));
		s->credit += credit;
		return 0;
	case MUX_CLOSE:
		if (!s->source)
			return -EPROTO;
		stream_close(s);
		return 0;
	default:
		handler(arg, h->type, data, h->len);
		return 0;
	}
}

/**
 * mux_receive() - read the channel once and handle complete frames
 * @m:	     the channel
 * @handler: gets frames that are not about a stream
 * @arg:     passed to @handler
 *
 * Return: 0, -EPIPE if the other side hung up, -EPROTO or -errno.
 */
int mux_receive(struct mux *m, mux_handler *handler, void *arg)
{
	struct frame_head head;
	size_t off = 0;
	ssize_t n;
	int err;

	n = read(m->fd, m->rx + m->rx_len,
		 sizeof(head) + MUX_MAX_FRAME - m->rx_len);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!n)
		return -EPIPE;
	m->rx_len += n;
	while (m->rx_len - off >= sizeof(head)) {
		memcpy(&head, m->rx + off, sizeof(head));
		if (head.len > MUX_MAX_FRAME || head.stream >= MUX_NR_STREAMS)
			return -EPROTO;
		if (m->rx_len - off - sizeof(head) < head.len)
			break;
		err = dispatch(m, &head, m->rx + off + sizeof(head), handler,
			       arg);
		if (err)
			return err;
		off += sizeof(head) + head.len;
	}
	memmove(m->rx, m->rx + off, m->rx_len - off);
	m->rx_len -= off;
	return 0;
}

/**
 * mux_prepare() - fill in what to poll for
 * @m:	 the channel
 * @pfd: MUX_NR_POLL entries: the channel, then the streams
 * @nr:	 MUX_NR_POLL
 */
void mux_prepare(const struct mux *m, struct pollfd *pfd, nfds_t nr)
{
	pfd[0] =
		(struct pollfd){ .fd = m->fd,
				 .events = POLLIN | (m->tx_len ? POLLOUT : 0) };
	for (nfds_t i = 1; i < nr; i++) {
		const struct mux_stream *s = &m->streams[i - 1];
		bool wanted = s->source ? s->credit : s->len;

		pfd[i] = (struct pollfd){
			.fd = wanted ? s->fd : -1,
			.events = s->source ? POLLIN : POLLOUT,
		};
	}
}

/**
 * mux_process() - do what poll() said can be done
 * @m:	     the channel
 * @pfd:     as filled by mux_prepare() and poll()
 * @handler: gets frames that are not about a stream
 * @arg:     passed to @handler
 *
 * Return: 0, -EPIPE if the other side hung up, or -errno.
 */
int mux_process(struct mux *m, const struct pollfd *pfd, mux_handler *handler,
		void *arg)
{
	int err;

	for (uint8_t i = 0; i < MUX_NR_STREAMS; i++) {
		if (pfd[i + 1].fd < 0 || !pfd[i + 1].revents)
			continue;
		err = m->streams[i].source ? mux_pump(m, i) : sink_write(m, i);
		if (err < 0)
			return err;
	}
	if (m->tx_len) {
		err = mux_flush(m);
		if (err)
			return err;
	}
	return pfd[0].revents & (POLLIN | POLLHUP | POLLERR) ?
		       mux_receive(m, handler, arg) :
		       0;
}

/**
 * mux_sinks_empty() - whether everything received has been written out
 * @m: the channel
 *
 * Return: true if no sink holds data.
 */
bool mux_sinks_empty(const struct mux *m)
{
	for (int i = 0; i < MUX_NR_STREAMS; i++)
		if (!m->streams[i].source && m->streams[i].fd >= 0 &&
		    m->streams[i].len)
			return false;
	return true;
}
