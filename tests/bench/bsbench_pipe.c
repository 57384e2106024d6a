/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bsbench_pipe.c - the plain forwarders of byte streams that the TCP relay is measured against.
 *
 * bsbench pipe                   one epoll loop, read() and write() with 64 KiB
 * bsbench pipe CERTIFICATE KEY   the same with SSL_read() and SSL_write() on one side
 * bsbench splice                 one epoll loop, splice() through a pipe: no byte is touched
 *
 * Prints two ports: the first connection to one is joined to the first to the other, and so on.  It
 * knows no packets, checks nothing and has no limits: what anybody would write in an hour, with
 * OpenSSL's own defaults.
 */
#include "bsbench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PIPE_LEN = 65536,
	PAIRS_MAX = 1024,
	EVENTS = 64,
};

struct side {
	int fd;
	int other;      /**< index of the partner, -1 = not there yet */
	SSL *ssl;       /**< NULL = plain */
	uint32_t armed; /**< events */
	bool up;        /**< no TLS, or its handshake is done */
	/* What was read from here and is not written to the partner yet. */
	size_t off, len;
	uint8_t buf[PIPE_LEN];
	int pipe[2]; /**< splice: in place of buf */
};

struct forwarder {
	int epoll;
	int listener[2];
	SSL_CTX *ctx; /**< for the second listener; NULL = plain */
	bool splice;
	struct side *side[2 * PAIRS_MAX];
	int n[2]; /**< accepted on each listener */
};

static int listen_any(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	sa.sin_addr.s_addr = htonl(SERVER_IP);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || listen(fd, 1024) != 0)
		die("cannot listen");
	return fd;
}

static unsigned port_of(int fd)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		die("getsockname");
	return ntohs(sa.sin_port);
}

static void watch(const struct forwarder *f, int i, int op, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u32 = (uint32_t)i + 2 };

	f->side[i]->armed = events;
	if (epoll_ctl(f->epoll, op, f->side[i]->fd, &ev) != 0)
		die("epoll_ctl");
}

static void take(struct forwarder *f, int which)
{
	int fd = accept4(f->listener[which], NULL, NULL, SOCK_NONBLOCK);
	const int i = 2 * f->n[which] + which;
	struct side *s;
	int on = 1;

	if (fd < 0)
		return;
	if (f->n[which]++ == PAIRS_MAX)
		die("too many connections");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s = f->side[i] = calloc(1, sizeof(*s));
	if (!s || (f->splice && pipe2(s->pipe, O_NONBLOCK) != 0))
		die("no memory");
	s->fd = fd;
	s->up = !f->ctx || which == 0;
	s->other = f->side[i ^ 1] ? i ^ 1 : -1;
	if (!s->up) {
		s->ssl = SSL_new(f->ctx);
		if (!s->ssl || SSL_set_fd(s->ssl, fd) != 1)
			die("no memory");
		SSL_set_accept_state(s->ssl);
	}
	if (s->other >= 0)
		f->side[s->other]->other = i;
	watch(f, i, EPOLL_CTL_ADD, EPOLLIN);
	/* Bytes may wait in the partner since before there was somebody to take them. */
	if (s->other >= 0)
		watch(f, s->other, EPOLL_CTL_MOD, EPOLLIN);
}

/** As read(): bytes, 0 at the end, -1 when there are none. */
static ssize_t get(const struct forwarder *f, struct side *s)
{
	size_t n = 0;

	if (f->splice)
		return splice(s->fd, NULL, s->pipe[1], NULL, PIPE_LEN,
			      SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (!s->ssl)
		return read(s->fd, s->buf, PIPE_LEN);
	if (SSL_read_ex(s->ssl, s->buf, PIPE_LEN, &n) == 1)
		return (ssize_t)n;
	return SSL_get_error(s->ssl, 0) == SSL_ERROR_WANT_READ ? -1 : 0;
}

static ssize_t put(const struct forwarder *f, struct side *from, const struct side *to)
{
	size_t n = 0;

	if (f->splice)
		return splice(from->pipe[0], NULL, to->fd, NULL, from->len,
			      SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (!to->ssl)
		return write(to->fd, from->buf + from->off, from->len);
	return SSL_write_ex(to->ssl, from->buf + from->off, from->len, &n) == 1 ? (ssize_t)n : -1;
}

static void push(const struct forwarder *f, int i)
{
	struct side *s = f->side[i];
	const struct side *to = f->side[s->other];
	const uint32_t other_armed = to->armed;
	uint32_t want;

	while (s->len > 0) {
		ssize_t n = put(f, s, to);

		if (n <= 0)
			break;
		s->off += (size_t)n;
		s->len -= (size_t)n;
	}
	if (s->len == 0)
		s->off = 0;
	want = s->len > 0 ? other_armed | EPOLLOUT : other_armed & ~(uint32_t)EPOLLOUT;
	if (want != other_armed)
		watch(f, s->other, EPOLL_CTL_MOD, want);
	want = s->len > 0 ? s->armed & ~(uint32_t)EPOLLIN : s->armed | EPOLLIN;
	if (want != s->armed)
		watch(f, i, EPOLL_CTL_MOD, want);
}

static void serve(struct forwarder *f, int i, uint32_t events)
{
	struct side *s = f->side[i];
	ssize_t n;

	if (!s->up) {
		s->up = SSL_do_handshake(s->ssl) == 1;
		return;
	}
	if (s->other < 0 || !f->side[s->other]->up) {
		watch(f, i, EPOLL_CTL_MOD, 0);
		return;
	}
	if (events & EPOLLOUT)
		push(f, s->other);
	if (!(events & ~(uint32_t)EPOLLOUT) || s->len > 0)
		return;
	do {
		n = get(f, s);
		if (n == 0)
			exit(0);
		if (n > 0) {
			s->len = (size_t)n;
			push(f, i);
		}
		/* epoll does not tell of what OpenSSL has read already. */
	} while (s->ssl && n > 0 && s->len == 0 && SSL_has_pending(s->ssl));
}

static void loop(struct forwarder *f)
{
	struct epoll_event ev[EVENTS];

	f->epoll = epoll_create1(0);
	for (uint32_t i = 0; i < 2; i++) {
		f->listener[i] = listen_any();
		ev[0] = (struct epoll_event){ .events = EPOLLIN, .data.u32 = i };
		if (epoll_ctl(f->epoll, EPOLL_CTL_ADD, f->listener[i], ev) != 0)
			die("epoll_ctl");
	}
	printf("%u %u\n", port_of(f->listener[0]), port_of(f->listener[1]));
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(f->epoll, ev, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.u32 < 2)
				take(f, (int)ev[i].data.u32);
			else
				serve(f, (int)ev[i].data.u32 - 2, ev[i].events);
		}
	}
}

void run_pipe(const char *certificate, const char *key, bool with_splice)
{
	static struct forwarder f;

	f.splice = with_splice;
	if (certificate) {
		f.ctx = SSL_CTX_new(TLS_server_method());
		if (!f.ctx || SSL_CTX_use_certificate_chain_file(f.ctx, certificate) != 1 ||
		    SSL_CTX_use_PrivateKey_file(f.ctx, key, SSL_FILETYPE_PEM) != 1)
			die("cannot read certificate or key");
		SSL_CTX_set_mode(f.ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
						SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	}
	loop(&f);
}
