/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/endpoint.h"

#ifndef MSG_MORE
# define MSG_MORE 0
#endif

/** Errors of the socket calls as codes. */
static int code_of_errno(int e)
{
	switch (e) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED: return BS_EAGAIN;
	case EADDRINUSE: return BS_EBUSY;
	case EACCES:
	case EPERM: return BS_EPERM;
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT: return BS_EUNREACH;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM: return BS_EFULL;
	default: return BS_EIO;
	}
}

union address {
	struct sockaddr any;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
	struct sockaddr_storage room;
};

static socklen_t to_address(const struct bs_endpoint *ep, union address *a)
{
	memset(a, 0, sizeof(*a));
	if (bs_endpoint_is_ip4(ep)) {
		a->in4.sin_family = AF_INET;
		a->in4.sin_port = htons(ep->port);
		a->in4.sin_addr.s_addr = htonl(bs_endpoint_ip4(ep));
		return sizeof(a->in4);
	}
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = htons(ep->port);
	memcpy(&a->in6.sin6_addr, ep->ip, sizeof(ep->ip));
	return sizeof(a->in6);
}

static void from_address(const union address *a, struct bs_endpoint *ep)
{
	memset(ep, 0, sizeof(*ep));
	if (a->any.sa_family == AF_INET) {
		bs_endpoint_set_ip4(ep, ntohl(a->in4.sin_addr.s_addr), ntohs(a->in4.sin_port));
	} else if (a->any.sa_family == AF_INET6) {
		memcpy(ep->ip, &a->in6.sin6_addr, sizeof(ep->ip));
		ep->port = ntohs(a->in6.sin6_port);
	}
}

static int set_on(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on));
}

/** A bound socket; share: others with the same wish may bind there too. */
static int bind_to(const struct bs_endpoint *ep, bool share)
{
	union address a;
	socklen_t len = to_address(ep, &a);
	int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return code_of_errno(errno);
	/* REUSEADDR: a restart must not wait for the TIME_WAIT of old sessions. */
	if (set_on(fd, SOL_SOCKET, SO_REUSEADDR) < 0 ||
	    (share && set_on(fd, SOL_SOCKET, SO_REUSEPORT) < 0) ||
	    (a.any.sa_family == AF_INET6 && set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY) < 0) ||
	    bind(fd, &a.any, len) < 0) {
		int err = code_of_errno(errno);

		close(fd);
		return err;
	}
	return fd;
}

int bs_tcp_listen(const struct bs_endpoint *ep, int backlog)
{
	int fd = bind_to(ep, true);

	if (fd >= 0 && listen(fd, backlog) < 0) {
		int err = code_of_errno(errno);

		close(fd);
		return err;
	}
	if (fd >= 0)
		bs_tcp_no_delay(fd);
	return fd;
}

void bs_tcp_no_delay(int fd)
{
	/* Without it a session works too, only slower: not worth refusing for. */
	(void)set_on(fd, IPPROTO_TCP, TCP_NODELAY);
}

void bs_tcp_await_bytes(int listener)
{
#ifdef TCP_DEFER_ACCEPT
	(void)set_on(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT);
#else
	(void)listener;
#endif
}

int bs_tcp_probe_free(const struct bs_endpoint *ep)
{
	int fd = bind_to(ep, false);

	if (fd < 0)
		return fd;
	close(fd);
	return BS_OK;
}

int bs_tcp_accept(int listener, struct bs_endpoint *peer)
{
	union address a;
	socklen_t len = sizeof(a);
	int fd = accept4(listener, &a.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return code_of_errno(errno);
	from_address(&a, peer);
	return fd;
}

bool bs_tcp_is_readable(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
	       code_of_errno(errno) != BS_EAGAIN;
}

int bs_tcp_local(int fd, struct bs_endpoint *ep)
{
	union address a;
	socklen_t len = sizeof(a);

	if (getsockname(fd, &a.any, &len) < 0)
		return BS_EIO;
	from_address(&a, ep);
	return BS_OK;
}

bs_ssize bs_tcp_read(int fd, uint8_t *buf, size_t cap)
{
	ssize_t n = recv(fd, buf, cap, 0);

	if (n >= 0)
		return (bs_ssize)n;
	return code_of_errno(errno) == BS_EAGAIN ? BS_EAGAIN : BS_EIO;
}

bs_ssize bs_tcp_write(int fd, const uint8_t *buf, size_t len, bool more)
{
	ssize_t n = send(fd, buf, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0));

	if (n >= 0)
		return (bs_ssize)n;
	return code_of_errno(errno) == BS_EAGAIN ? BS_EAGAIN : BS_EIO;
}

void bs_tcp_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

uint16_t bs_tcp_rtt_ms(int fd)
{
#if defined(TCP_INFO) && defined(__linux__)
	struct tcp_info info;
	socklen_t len = sizeof(info);
	uint32_t ms;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return 0;
	ms = (info.tcpi_rtt + 999) / 1000;
	return ms < UINT16_MAX ? (uint16_t)ms : UINT16_MAX;
#else
	(void)fd;
	return 0;
#endif
}

void bs_tcp_keepalive(int fd)
{
	const struct {
		int option, value;
	} rows[] = { { TCP_KEEPIDLE, 60 }, { TCP_KEEPINTVL, 10 }, { TCP_KEEPCNT, 3 } };

	/* Only a precaution, so failures do not matter. */
	(void)set_on(fd, SOL_SOCKET, SO_KEEPALIVE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		(void)setsockopt(fd, IPPROTO_TCP, rows[i].option, &rows[i].value,
				 sizeof(rows[i].value));
}

void bs_tcp_shutdown(int fd)
{
	(void)shutdown(fd, SHUT_WR);
}

int bs_tcp_pair(int fd[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		return code_of_errno(errno);
	return BS_OK;
}
