// SPDX-License-Identifier: GPL-2.0-only
#include "hyp/cli/http.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#define LIBRARY "libmicrohttpd.so.12"
/* Who scrapes is one or two; a connection is a thread. */
#define MAX_CLIENTS 16u
#define IDLE_S	    10u
#define MAX_WHERE   128

struct http {
	char *(*page)(size_t *len, struct why *why);
	char address[80];
	int fd;
	struct MHD_Daemon *daemon;
	void *library;
	__typeof__(&MHD_start_daemon) start;
	__typeof__(&MHD_stop_daemon) stop;
	__typeof__(&MHD_create_response_from_buffer) response;
	__typeof__(&MHD_add_response_header) header;
	__typeof__(&MHD_queue_response) queue;
	__typeof__(&MHD_destroy_response) destroy;
};

static int load(struct http *h, struct why *why)
{
	const struct {
		const char *name;
		void *at;
	} symbols[] = {
		{ "MHD_start_daemon", &h->start },
		{ "MHD_stop_daemon", &h->stop },
		{ "MHD_create_response_from_buffer", &h->response },
		{ "MHD_add_response_header", &h->header },
		{ "MHD_queue_response", &h->queue },
		{ "MHD_destroy_response", &h->destroy },
	};
	unsigned int i;
	void *symbol;

	h->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!h->library)
		return why_set(why, 0,
			       "--listen needs " LIBRARY
			       " (Debian: apt-get install libmicrohttpd12): %s",
			       dlerror());
	for (i = 0; i < ARRAY_SIZE(symbols); i++) {
		symbol = dlsym(h->library, symbols[i].name);
		if (!symbol)
			return why_set(why, 0, LIBRARY " has no %s",
				       symbols[i].name);
		memcpy(symbols[i].at, &symbol, sizeof(symbol));
	}
	return 0;
}

/* Splits [ADDRESS:]PORT in place. Return: 0 or -EINVAL. */
static int split(char *where, char **address, char **port)
{
	char *colon = strrchr(where, ':');

	*address = where;
	*port = colon ? colon + 1 : where;
	if (!colon || colon == where)
		*address = "127.0.0.1";
	if (colon)
		*colon = '\0';
	if (**address == '[') {
		size_t len = strlen(*address);

		if ((*address)[len - 1] != ']')
			return -EINVAL;
		(*address)[len - 1] = '\0';
		++*address;
	} else if (strchr(*address, ':')) {
		return -EINVAL;
	}
	if (!**port || strlen(*port) > 5 ||
	    (*port)[strspn(*port, "0123456789")] || atoi(*port) > 65535)
		return -EINVAL;
	return 0;
}

static int listen_at(const struct addrinfo *ai)
{
	int one = 1, fd, err;

	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, ai->ai_addr, ai->ai_addrlen) && !listen(fd, MAX_CLIENTS))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int open_socket(struct http *h, const char *where, struct why *why)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	char copy[MAX_WHERE], *address, *port, host[64], service[8];
	struct sockaddr_storage bound;
	socklen_t len = sizeof(bound);
	struct addrinfo *ai;
	int err;

	snprintf(copy, sizeof(copy), "%s", where);
	if (strlen(where) >= sizeof(copy) || split(copy, &address, &port) ||
	    getaddrinfo(address, port, &hints, &ai))
		return why_set(
			why, 0,
			"metrics: \"%s\" is not ADDRESS:PORT; write e.g. 127.0.0.1:9177 or [::1]:9177",
			where);
	h->fd = listen_at(ai);
	freeaddrinfo(ai);
	if (h->fd < 0)
		return why_set(why, h->fd, "metrics: cannot listen to %s",
			       where);
	err = getsockname(h->fd, (void *)&bound, &len);
	if (err ||
	    getnameinfo((void *)&bound, len, host, sizeof(host), service,
			sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV))
		return why_set(why, 0, "metrics: cannot listen to %s", where);
	snprintf(h->address, sizeof(h->address),
		 strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, service);
	return 0;
}

static enum MHD_Result answer(struct http *h, struct MHD_Connection *connection,
			      unsigned int status, char *text, size_t len,
			      enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = h->response(len, text, mode);
	enum MHD_Result result;

	if (!response) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	h->header(response, "Content-Type",
		  status == MHD_HTTP_OK ?
			  "text/plain; version=0.0.4; charset=utf-8" :
			  "text/plain; charset=utf-8");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		h->header(response, "Allow", "GET, HEAD");
	result = h->queue(connection, status, response);
	h->destroy(response);
	return result;
}

static enum MHD_Result refuse(struct http *h, struct MHD_Connection *connection,
			      unsigned int status, char *text)
{
	return answer(h, connection, status, text, strlen(text),
		      MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection,
				  const char *url, const char *method,
				  const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	struct http *h = ctx;
	struct why why = { "" };
	size_t len = 0;
	char *text;

	(void)version;
	(void)upload;
	/* The first call is for the header alone: no answer yet. */
	if (!*state) {
		*state = h;
		return MHD_YES;
	}
	if (*upload_len) {
		*upload_len = 0;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics") != 0)
		return refuse(h, connection, MHD_HTTP_NOT_FOUND,
			      "There is /metrics only.\n");
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return refuse(h, connection, MHD_HTTP_METHOD_NOT_ALLOWED,
			      "GET only.\n");
	text = h->page(&len, &why);
	if (!text)
		return refuse(h, connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
			      why.text);
	return answer(h, connection, MHD_HTTP_OK, text, len,
		      MHD_RESPMEM_MUST_FREE);
}

int http_start(struct http **out, const char *where,
	       char *(*page)(size_t *len, struct why *why), struct why *why)
{
	struct http *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return why_set(why, -ENOMEM, "metrics");
	h->page = page;
	h->fd = -1;
	err = open_socket(h, where, why);
	if (!err)
		err = load(h, why);
	if (err)
		goto fail;
	h->daemon =
		h->start(MHD_USE_INTERNAL_POLLING_THREAD |
				 MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
				 MHD_USE_ITC,
			 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET,
			 h->fd, MHD_OPTION_CONNECTION_LIMIT, MAX_CLIENTS,
			 MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_END);
	if (h->daemon) {
		*out = h;
		return 0;
	}
	err = why_set(why, 0, "metrics: cannot serve %s", where);
fail:
	if (h->library)
		dlclose(h->library);
	if (h->fd >= 0)
		close(h->fd);
	free(h);
	return err;
}

const char *http_address(const struct http *h)
{
	return h->address;
}

void http_stop(struct http *h)
{
	h->stop(h->daemon); /* closes the socket, too */
	dlclose(h->library);
	free(h);
}
