/* SPDX-License-Identifier: Apache-2.0 */
#include "net/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/sockaddr.h"
#include "util/endpoint.h"

/* Room for one IP_PKTINFO or IPV6_PKTINFO. */
union control {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

#ifndef HAVE_RECVMMSG
struct mmsghdr {
	struct msghdr msg_hdr;
	unsigned msg_len;
};
#endif

struct bs_udp_rx {
	struct mmsghdr msg[BS_UDP_BATCH];
	struct iovec iov[BS_UDP_BATCH];
	union bs_sockaddr from[BS_UDP_BATCH];
	union control control[BS_UDP_BATCH];
	struct bs_datagram list[BS_UDP_BATCH];
	uint8_t buf[BS_UDP_BATCH][BS_UDP_BUF];
};

struct bs_udp_tx {
	unsigned n;
	struct mmsghdr msg[BS_UDP_BATCH];
	struct iovec iov[BS_UDP_BATCH];
	union bs_sockaddr to[BS_UDP_BATCH];
	union control control[BS_UDP_BATCH];
	int fd[BS_UDP_BATCH];
	uint8_t buf[BS_UDP_BATCH][BS_UDP_BUF];
};

static int open_error(int e)
{
	switch (e) {
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

static int set_options(int fd, bool ip4, uint64_t buffer_bytes)
{
	int on = 1;
	int buf = buffer_bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)buffer_bytes;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
		return -1;
	if (ip4 && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) != 0)
		return -1;
	if (!ip4 && (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0 ||
		     setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) != 0))
		return -1;
	if (buf > 0) {
		/* Root may exceed the system's limit; others get what it allows. */
		if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buf, sizeof(buf)) != 0)
			(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buf, sizeof(buf));
		if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buf, sizeof(buf)) != 0)
			(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buf, sizeof(buf));
	}
	return 0;
}

int bs_udp_open(struct bs_endpoint *ep, uint64_t buffer_bytes)
{
	union bs_sockaddr sa;
	bool ip4 = bs_endpoint_is_ip4(ep);
	socklen_t len = bs_sockaddr_set(&sa, ep);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return open_error(errno);
	if (set_options(fd, ip4, buffer_bytes) == 0 && bind(fd, &sa.sa, len) == 0 &&
	    getsockname(fd, &sa.sa, &len) == 0) {
		bs_sockaddr_get(&sa, ep);
		return fd;
	}
	err = open_error(errno);
	close(fd);
	return err;
}

int bs_udp_check_free(const struct bs_endpoint *ep)
{
	union bs_sockaddr sa;
	socklen_t len = bs_sockaddr_set(&sa, ep);
	int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int on = 1;
	int err = BS_OK;

	if (fd < 0)
		return open_error(errno);
	if ((!bs_endpoint_is_ip4(ep) &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
	    bind(fd, &sa.sa, len) != 0)
		err = open_error(errno);
	close(fd);
	return err;
}

void bs_udp_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

struct bs_udp_rx *bs_udp_rx_new(void)
{
	struct bs_udp_rx *rx = calloc(1, sizeof(*rx));
	unsigned i;

	for (i = 0; rx && i < BS_UDP_BATCH; i++) {
		rx->iov[i].iov_base = rx->buf[i];
		rx->iov[i].iov_len = BS_UDP_BUF;
		rx->msg[i].msg_hdr.msg_iov = &rx->iov[i];
		rx->msg[i].msg_hdr.msg_iovlen = 1;
		rx->msg[i].msg_hdr.msg_name = &rx->from[i];
		rx->msg[i].msg_hdr.msg_control = &rx->control[i];
		rx->list[i].data = rx->buf[i];
	}
	return rx;
}

void bs_udp_rx_free(struct bs_udp_rx *rx)
{
	free(rx);
}

/* Where the datagram was sent to.  For a broadcast the specific address is what we answer from. */
static void read_local(struct msghdr *m, struct bs_endpoint *local)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			bs_endpoint_set_ip4(local, ntohl(info.ipi_spec_dst.s_addr), local->port);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(local->ip, &info.ipi6_addr, sizeof(local->ip));
		}
	}
}

#ifdef HAVE_RECVMMSG
static int receive(int fd, struct mmsghdr *msg)
{
	return recvmmsg(fd, msg, BS_UDP_BATCH, MSG_DONTWAIT, NULL);
}
#else
static int receive(int fd, struct mmsghdr *msg)
{
	int n;

	for (n = 0; n < BS_UDP_BATCH; n++) {
		ssize_t len = recvmsg(fd, &msg[n].msg_hdr, MSG_DONTWAIT);

		if (len < 0)
			return n > 0 ? n : -1;
		msg[n].msg_len = (unsigned)len;
	}
	return n;
}
#endif

int bs_udp_receive(struct bs_udp_rx *rx, int fd, uint16_t local_port, struct bs_datagram **list)
{
	int n;
	int i;

	for (i = 0; i < BS_UDP_BATCH; i++) {
		rx->msg[i].msg_hdr.msg_namelen = sizeof(rx->from[i]);
		rx->msg[i].msg_hdr.msg_controllen = sizeof(rx->control[i]);
	}
	do
		n = receive(fd, rx->msg);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? BS_EAGAIN : BS_EIO;
	for (i = 0; i < n; i++) {
		struct bs_datagram *d = &rx->list[i];

		memset(&d->local, 0, sizeof(d->local));
		d->local.port = local_port;
		d->len = rx->msg[i].msg_len;
		d->cut = rx->msg[i].msg_hdr.msg_flags & MSG_TRUNC;
		bs_sockaddr_get(&rx->from[i], &d->peer);
		read_local(&rx->msg[i].msg_hdr, &d->local);
	}
	*list = rx->list;
	return n;
}

struct bs_udp_tx *bs_udp_tx_new(void)
{
	struct bs_udp_tx *tx = calloc(1, sizeof(*tx));
	unsigned i;

	for (i = 0; tx && i < BS_UDP_BATCH; i++) {
		tx->iov[i].iov_base = tx->buf[i];
		tx->msg[i].msg_hdr.msg_iov = &tx->iov[i];
		tx->msg[i].msg_hdr.msg_iovlen = 1;
		tx->msg[i].msg_hdr.msg_name = &tx->to[i];
	}
	return tx;
}

void bs_udp_tx_free(struct bs_udp_tx *tx)
{
	free(tx);
}

uint8_t *bs_udp_reserve(struct bs_udp_tx *tx)
{
	return tx->n < BS_UDP_BATCH ? tx->buf[tx->n] : NULL;
}

static void write_local(struct msghdr *m, union control *space, const struct bs_endpoint *local)
{
	struct cmsghdr *c;

	if (!bs_endpoint_is_set(local)) {
		m->msg_control = NULL;
		m->msg_controllen = 0;
		return;
	}
	memset(space, 0, sizeof(*space));
	m->msg_control = space;
	if (bs_endpoint_is_ip4(local)) {
		struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(bs_endpoint_ip4(local)) };

		m->msg_controllen = CMSG_SPACE(sizeof(info));
		c = CMSG_FIRSTHDR(m);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	} else {
		struct in6_pktinfo info = { .ipi6_ifindex = 0 };

		memcpy(&info.ipi6_addr, local->ip, sizeof(local->ip));
		m->msg_controllen = CMSG_SPACE(sizeof(info));
		c = CMSG_FIRSTHDR(m);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
	}
}

void bs_udp_commit(struct bs_udp_tx *tx, size_t len, int fd, const struct bs_endpoint *local,
		   const struct bs_endpoint *peer)
{
	unsigned i = tx->n++;

	tx->fd[i] = fd;
	tx->iov[i].iov_len = len;
	tx->msg[i].msg_hdr.msg_namelen = bs_sockaddr_set(&tx->to[i], peer);
	write_local(&tx->msg[i].msg_hdr, &tx->control[i], local);
}

unsigned bs_udp_queued(const struct bs_udp_tx *tx)
{
	return tx->n;
}

#ifdef HAVE_SENDMMSG
static int transmit(int fd, struct mmsghdr *msg, unsigned n)
{
	return sendmmsg(fd, msg, n, MSG_DONTWAIT);
}
#else
static int transmit(int fd, struct mmsghdr *msg, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (sendmsg(fd, &msg[i].msg_hdr, MSG_DONTWAIT) < 0)
			return i > 0 ? (int)i : -1;
	}
	return (int)n;
}
#endif

/* Send datagrams [i, end), all on one socket. */
static void flush_run(struct bs_udp_tx *tx, unsigned i, unsigned end, struct bs_udp_sent *sent)
{
	while (i < end) {
		int n = transmit(tx->fd[i], &tx->msg[i], end - i);

		sent->calls++;
		if (n > 0) {
			sent->packets += (uint32_t)n;
			for (; n > 0; n--, i++)
				sent->bytes += (uint32_t)tx->iov[i].iov_len;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
			/* The queue of the system is full: what follows would be too. */
			sent->blocked += end - i;
			return;
		} else if (errno != EINTR) {
			/* Only this one is bad: no route, or its local address is gone. */
			sent->failed++;
			i++;
		}
	}
}

void bs_udp_flush(struct bs_udp_tx *tx, struct bs_udp_sent *sent)
{
	unsigned i = 0;

	while (i < tx->n) {
		unsigned end = i + 1;

		while (end < tx->n && tx->fd[end] == tx->fd[i])
			end++;
		flush_run(tx, i, end, sent);
		i = end;
	}
	tx->n = 0;
}
