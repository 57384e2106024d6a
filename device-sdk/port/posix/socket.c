/* SPDX-License-Identifier: Apache-2.0 */
#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basestation/error.h"
#include "util/endpoint.h"

/** Either family, as the kernel wants it. */
union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static void from_address(struct bs_endpoint *ep, const union address *a)
{
	if (a->sa.sa_family == AF_INET) {
		bs_endpoint_set_ip4(ep, ntohl(a->in.sin_addr.s_addr), ntohs(a->in.sin_port));
	} else {
		memcpy(ep->ip, &a->in6.sin6_addr, sizeof(ep->ip));
		ep->port = ntohs(a->in6.sin6_port);
		ep->via = 0;
	}
}

static socklen_t to_address(union address *a, const struct bs_endpoint *ep, bool ip6)
{
	memset(a, 0, sizeof(*a));
	if (ip6) {
		a->in6.sin6_family = AF_INET6;
		memcpy(&a->in6.sin6_addr, ep->ip, sizeof(ep->ip));
		a->in6.sin6_port = htons(ep->port);
		return sizeof(a->in6);
	}
	a->in.sin_family = AF_INET;
	a->in.sin_addr.s_addr = htonl(bs_endpoint_ip4(ep));
	a->in.sin_port = htons(ep->port);
	return sizeof(a->in);
}

static int parse(const char *address, struct bs_endpoint *ep)
{
	struct in_addr in;
	struct in6_addr in6;

	memset(ep, 0, sizeof(*ep));
	if (address == NULL)
		return BS_OK;
	if (inet_pton(AF_INET, address, &in) == 1) {
		bs_endpoint_set_ip4(ep, ntohl(in.s_addr), 0);
		return BS_OK;
	}
	if (inet_pton(AF_INET6, address, &in6) != 1)
		return BS_EINVAL;
	memcpy(ep->ip, &in6, sizeof(ep->ip));
	return BS_OK;
}

static int open_family(struct bsdev_socket *s, const struct bs_endpoint *ep, bool ip6)
{
	union address a;
	socklen_t len = to_address(&a, ep, ip6);
	const int off = 0;
	int fd = socket(ip6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return BS_EIO;
	if ((ip6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0) ||
	    bind(fd, &a.sa, len) != 0) {
		const int saved = errno;

		close(fd);
		errno = saved;
		return BS_EIO;
	}
	s->fd = fd;
	s->ip6 = ip6;
	return BS_OK;
}

int bsdev__socket_open(struct bsdev_socket *s, const char *address, uint16_t port, bool ip4_only)
{
	struct bs_endpoint ep;
	int err = parse(address, &ep);

	if (err != BS_OK)
		return err;
	ep.port = port;
	if (!ip4_only && open_family(s, &ep, true) == BS_OK)
		return BS_OK;
	return open_family(s, &ep, false);
}

void bsdev__socket_close(struct bsdev_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

bs_ssize bsdev__socket_recv(const struct bsdev_socket *s, uint8_t *buf, size_t cap,
			    struct bs_endpoint *from)
{
	union address a;
	socklen_t len = sizeof(a);
	ssize_t n;

	do {
		n = recvfrom(s->fd, buf, cap, 0, &a.sa, &len);
	} while (n < 0 && errno == EINTR);
	/* An error here reports an earlier send (ICMP); the next call gets on with it. */
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? BS_EAGAIN : BS_EUNREACH;
	from_address(from, &a);
	return (bs_ssize)n;
}

void bsdev__socket_send(struct bsdev_socket *s, const uint8_t *buf, size_t len,
			const struct bs_endpoint *to)
{
	union address a;
	socklen_t alen;

	if (!s->ip6 && !bs_endpoint_is_ip4(to))
		return;
	alen = to_address(&a, to, s->ip6);
	while (sendto(s->fd, buf, len, MSG_NOSIGNAL, &a.sa, alen) < 0 && errno == EINTR)
		;
}

void bsdev__socket_local(const struct bsdev_socket *s, const struct bs_endpoint *peer,
			 struct bs_endpoint *local)
{
	union address a, self;
	socklen_t len = sizeof(self);
	struct bs_endpoint own;
	const int fd = socket(s->ip6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memset(local, 0, sizeof(*local));
	if (getsockname(s->fd, &self.sa, &len) == 0) {
		from_address(&own, &self);
		local->port = own.port;
	}
	if (fd < 0)
		return;
	/* Connecting a datagram socket sends nothing; it makes the kernel choose a source. */
	len = to_address(&a, peer, s->ip6);
	if (connect(fd, &a.sa, len) == 0) {
		len = sizeof(self);
		if (getsockname(fd, &self.sa, &len) == 0) {
			from_address(&own, &self);
			memcpy(local->ip, own.ip, sizeof(local->ip));
		}
	}
	close(fd);
}

/** Whether others may reach this address: link-local ones need a scope that nobody else has. */
static bool is_host6(const struct ifaddrs *i, union address *a)
{
	if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET6 ||
	    (i->ifa_flags & IFF_UP) == 0 || (i->ifa_flags & IFF_LOOPBACK) != 0)
		return false;
	memcpy(&a->in6, i->ifa_addr, sizeof(a->in6));
	return !IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr) &&
	       !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);
}

size_t bsdev__socket_hosts6(const struct bsdev_socket *s, struct bs_endpoint *out, size_t cap)
{
	union address a, self;
	socklen_t len = sizeof(self);
	struct bs_endpoint own;
	struct ifaddrs *list;
	size_t n = 0;

	if (!s->ip6 || getsockname(s->fd, &self.sa, &len) != 0 || getifaddrs(&list) != 0)
		return 0;
	from_address(&own, &self);
	for (const struct ifaddrs *i = list; i != NULL && n < cap; i = i->ifa_next) {
		if (!is_host6(i, &a))
			continue;
		from_address(&out[n], &a);
		out[n++].port = own.port;
	}
	freeifaddrs(list);
	return n;
}
