/* SPDX-License-Identifier: Apache-2.0 */
#include "transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "error.h"
#include "machine.h"
#include "util/endpoint.h"

void bsc__transport_init(struct bsc__transport *t, struct bsc__resolver *r,
			 struct bsc__tls_ctx *ctx)
{
	memset(t, 0, sizeof *t);
	t->fd = -1;
	t->resolver = r;
	t->ctx = ctx;
}

static void close_tcp(struct bsc__transport *t)
{
	bsc__tls_free(t->tls);
	t->tls = NULL;
	if (t->fd >= 0)
		(void)close(t->fd);
	t->fd = -1;
	t->out_len = 0;
}

static void failed(struct bsc__transport *t)
{
	if (t->resolver != NULL)
		bsc__resolver_stop(t->resolver);
	close_tcp(t);
	t->state = BSC__TRANSPORT_FAILED;
}

/** Words for a failed system call on the way to the server. */
static void fail_errno(struct bsc__transport *t, int e)
{
	char to[BSC_ENDPOINT_TEXT_MAX] = "";

	if (t->next_addr > 0)
		bsc__endpoint_text(&t->addr[t->next_addr - 1], to);
	if (t->state == BSC__TRANSPORT_UP)
		(void)bsc__fail(&t->error, BS_EUNREACH, BSC_FROM_NETWORK, BSC_LOST,
				"%s (%s): session lost (%s)", t->host, to, strerror(e));
	else if (e == ECONNREFUSED)
		(void)bsc__fail(&t->error, BS_EUNREACH, BSC_FROM_NETWORK, BSC_TCP_REFUSED,
				"%s (%s): nobody listens there; is basestationd running, and is "
				"this its client port?",
				t->host, to);
	else
		(void)bsc__fail(&t->error, BS_EUNREACH, BSC_FROM_NETWORK, BSC_TCP_FAILED,
				"%s (%s): not reachable (%s); check network and firewall", t->host,
				to, strerror(e));
}

/** The server hung up. */
static void fail_closed(struct bsc__transport *t)
{
	if (t->state == BSC__TRANSPORT_UP)
		(void)bsc__fail(&t->error, BS_EUNREACH, BSC_FROM_BASESTATION, BSC_LOST,
				"%s:%u: the basestation closed the session", t->host,
				(unsigned)t->port);
	else
		(void)bsc__fail(&t->error, BS_EPROTO, BSC_FROM_BASESTATION, BSC_TLS_FAILED,
				"%s:%u: the server hung up during the handshake; its log says why",
				t->host, (unsigned)t->port);
}

void bsc__transport_stop(struct bsc__transport *t, bool polite)
{
	if (polite && t->state == BSC__TRANSPORT_UP && t->out_len == 0 && !t->plain) {
		size_t n;

		bsc__tls_close(t->tls);
		n = bsc__tls_take(t->tls, t->out, sizeof t->out);
		if (n > 0)
			(void)!send(t->fd, t->out, n, MSG_NOSIGNAL);
	}
	if (t->resolver != NULL)
		bsc__resolver_stop(t->resolver);
	close_tcp(t);
	t->state = BSC__TRANSPORT_IDLE;
}

void bsc__transport_start(struct bsc__transport *t, const char *host, uint16_t port,
			  const char *name)
{
	bsc__transport_stop(t, true);
	/* Both were checked against these lengths when they came in. */
	memcpy(t->host, host, strlen(host) + 1);
	memcpy(t->name, name, strlen(name) + 1);
	t->port = port;
	t->n_addr = 0;
	t->next_addr = 0;
	t->state = BSC__TRANSPORT_RESOLVING;
	bsc__resolver_start(t->resolver, host, port);
}

/** Start a TCP connect to the next address.  false: there is none left. */
static bool try_next(struct bsc__transport *t, bs_time now)
{
	while (t->next_addr < t->n_addr) {
		const struct bs_endpoint *ep = &t->addr[t->next_addr++];
		struct sockaddr_storage ss;
		int family = bs_endpoint_is_ip4(ep) ? AF_INET : AF_INET6;
		socklen_t len = bsc__addr_to(ep, family, &ss);
		int one = 1;

		close_tcp(t);
		t->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (t->fd >= 0) {
			(void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
			if (connect(t->fd, (const struct sockaddr *)&ss, len) == 0 ||
			    errno == EINPROGRESS) {
				t->tcp_deadline = now + BS_TIME_MS(BSC__TCP_TIMEOUT_MS);
				return true;
			}
		}
		fail_errno(t, errno);
	}
	return false;
}

void bsc__transport_start_at(struct bsc__transport *t, const char *host, uint16_t port,
			     const char *name, const struct bs_endpoint *addr, bs_time now)
{
	bsc__transport_stop(t, true);
	memcpy(t->host, host, strlen(host) + 1);
	if (name != NULL)
		memcpy(t->name, name, strlen(name) + 1);
	t->plain = name == NULL;
	t->port = port;
	t->addr[0] = *addr;
	t->n_addr = 1;
	t->next_addr = 0;
	t->state = BSC__TRANSPORT_TCP;
	if (!try_next(t, now))
		failed(t);
}

static void step_resolving(struct bsc__transport *t, bs_time now)
{
	bs_ssize n = bsc__resolver_step(t->resolver, t->addr, &t->error);

	if (n == BS_EAGAIN)
		return;
	if (n < 0) {
		failed(t);
		return;
	}
	t->n_addr = (size_t)n;
	t->state = BSC__TRANSPORT_TCP;
	if (!try_next(t, now))
		failed(t);
}

static void step_tcp(struct bsc__transport *t, bs_time now)
{
	struct pollfd p = { .fd = t->fd, .events = POLLOUT };
	int e = 0;
	socklen_t len = sizeof e;

	if (poll(&p, 1, 0) <= 0) {
		if (BS_TIME_DIFF(now, t->tcp_deadline) < 0)
			return;
		e = ETIMEDOUT;
	} else if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0)
		e = errno;
	if (e != 0) {
		fail_errno(t, e);
		if (!try_next(t, now))
			failed(t);
		return;
	}
	if (t->plain) {
		t->state = BSC__TRANSPORT_UP;
		return;
	}
	t->tls = bsc__tls_new(t->ctx, t->host, t->port, t->name);
	if (t->tls == NULL) {
		(void)bsc__fail_nomem(&t->error);
		failed(t);
		return;
	}
	t->state = BSC__TRANSPORT_TLS;
}

/** Send what waits.  false: the connection broke. */
static bool flush(struct bsc__transport *t)
{
	for (;;) {
		size_t n = t->plain ? 0
				    : bsc__tls_take(t->tls, t->out + t->out_len,
						    sizeof t->out - t->out_len);
		ssize_t sent;

		t->out_len += n;
		if (t->out_len == 0)
			return true;
		sent = send(t->fd, t->out, t->out_len, MSG_NOSIGNAL);
		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return true;
		if (sent < 0)
			return false;
		t->out_len -= (size_t)sent;
		memmove(t->out, t->out + sent, t->out_len);
	}
}

/** Take what the socket has.  1: something, 0: nothing now, -1: end, errno or 0 in *e. */
static int fill(struct bsc__transport *t, int *e)
{
	uint8_t buf[16384];
	ssize_t n = recv(t->fd, buf, sizeof buf, 0);

	*e = 0;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	if (n <= 0) {
		*e = n < 0 ? errno : 0;
		return -1;
	}
	if (bsc__tls_feed(t->tls, buf, (size_t)n) != BS_OK) {
		*e = ENOMEM;
		return -1;
	}
	return 1;
}

static void step_tls(struct bsc__transport *t)
{
	int got = 1;
	int e = 0;

	while (t->state == BSC__TRANSPORT_TLS) {
		int rc = bsc__tls_handshake(t->tls, &t->error);
		/* Flush first: the reason of a refusal is for the server, too. */
		bool sent = flush(t);

		if (rc == BS_OK) {
			t->state = BSC__TRANSPORT_UP;
			return;
		}
		if (rc == BS_EAGAIN && got > 0 && sent)
			got = fill(t, &e);
		else if (rc == BS_EAGAIN && !sent && got > 0) {
			/* The server may have said why before it hung up: read that. */
			got = fill(t, &e) > 0 ? 1 : -1;
		}
		if (rc == BS_EAGAIN && got == 0)
			return;
		if (rc != BS_EAGAIN || got < 0) {
			if (rc == BS_EAGAIN && e != 0 && e != ECONNRESET && e != EPIPE)
				fail_errno(t, e);
			else if (rc == BS_EAGAIN)
				fail_closed(t);
			failed(t);
		}
	}
}

void bsc__transport_step(struct bsc__transport *t, bs_time now)
{
	if (t->state == BSC__TRANSPORT_RESOLVING)
		step_resolving(t, now);
	if (t->state == BSC__TRANSPORT_TCP)
		step_tcp(t, now);
	if (t->state == BSC__TRANSPORT_TLS)
		step_tls(t);
	/* A broken pipe is not the reason: what the server said last still waits to be read. */
	if (t->state == BSC__TRANSPORT_UP)
		(void)flush(t);
}

static bs_ssize read_plain(struct bsc__transport *t, uint8_t *buf, size_t cap)
{
	ssize_t n = recv(t->fd, buf, cap, 0);

	if (n > 0)
		return (bs_ssize)n;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return BS_EAGAIN;
	if (n < 0)
		fail_errno(t, errno);
	else
		fail_closed(t);
	failed(t);
	return BS_ECLOSED;
}

bs_ssize bsc__transport_read(struct bsc__transport *t, uint8_t *buf, size_t cap)
{
	int e;

	if (t->state != BSC__TRANSPORT_UP)
		return BS_EAGAIN;
	if (t->plain)
		return read_plain(t, buf, cap);
	for (;;) {
		bs_ssize n = bsc__tls_read(t->tls, buf, cap, &t->error);
		int got;

		if (n > 0)
			return n;
		if (n == BS_EAGAIN) {
			got = fill(t, &e);
			if (got > 0)
				continue;
			if (got == 0)
				return BS_EAGAIN;
			if (e != 0)
				fail_errno(t, e);
			else
				fail_closed(t);
		} else if (n == BS_ECLOSED)
			fail_closed(t);
		failed(t);
		return BS_ECLOSED;
	}
}

bool bsc__transport_writable(const struct bsc__transport *t)
{
	return t->state == BSC__TRANSPORT_UP && t->out_len == 0;
}

size_t bsc__transport_room(const struct bsc__transport *t)
{
	/* A record adds less than this to what it carries. */
	const size_t keep = t->plain ? 0 : 256;
	size_t left = sizeof t->out - t->out_len;

	return t->state == BSC__TRANSPORT_UP && left > keep ? left - keep : 0;
}

void bsc__transport_write(struct bsc__transport *t, const uint8_t *data, size_t len)
{
	if (t->plain) {
		memcpy(t->out + t->out_len, data, len);
		t->out_len += len;
		(void)flush(t);
		return;
	}
	if (bsc__tls_write(t->tls, data, len, &t->error) != BS_OK) {
		failed(t);
		return;
	}
	(void)flush(t);
}

size_t bsc__transport_fds(struct bsc__transport *t, struct bsc_fd *fds, size_t cap)
{
	short events = POLLIN;

	if (t->state == BSC__TRANSPORT_RESOLVING)
		return bsc__resolver_fds(t->resolver, fds, cap);
	if (t->fd < 0 || cap == 0)
		return 0;
	if (t->state == BSC__TRANSPORT_TCP)
		events = POLLOUT;
	else if (t->out_len > 0)
		events = POLLIN | POLLOUT;
	fds[0] = (struct bsc_fd){ .fd = t->fd, .events = events };
	return 1;
}

bool bsc__transport_next_timeout(struct bsc__transport *t, bs_time now, bs_time *at)
{
	int32_t ms;

	if (t->state == BSC__TRANSPORT_TCP) {
		*at = t->tcp_deadline;
		return true;
	}
	ms = t->state == BSC__TRANSPORT_RESOLVING ? bsc__resolver_timeout_ms(t->resolver) : -1;
	/* An address given as a number is there already, a failure too. */
	if (t->state == BSC__TRANSPORT_RESOLVING && ms < 0)
		ms = 0;
	if (ms >= 0)
		*at = now + BS_TIME_MS(ms);
	return ms >= 0;
}

bool bsc__transport_remote(const struct bsc__transport *t, struct bs_endpoint *ep)
{
	if (t->fd < 0 || t->next_addr == 0)
		return false;
	*ep = t->addr[t->next_addr - 1];
	return true;
}
