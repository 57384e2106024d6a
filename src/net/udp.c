/* SPDX-License-Identifier: Apache-2.0 */
#include "net/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/sockaddr.h"
#include "util/endpoint.h"

/* Where the C library does not know them yet; a kernel without them says so. */
#ifndef UDP_SEGMENT
# define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
# define UDP_GRO 104
#endif
#ifndef SOL_UDP
# define SOL_UDP 17
#endif

/* A kernel that merges datagrams of one flow gives up to so much at once. */
#define MERGED_MAX 65536
/* Each buffer begins in other cache sets than the one before: 65536 apart they would share them. */
#define RX_STRIDE (MERGED_MAX + 4096 + 64)
/* Datagrams of one message in both directions: what every kernel with the option takes. */
#define SEGMENTS_MAX 64
/* So much fits the smallest path MTU that Linux believes in (552). */
#define SMALL_MAX 512
/* Small datagrams in a row for which a change of the socket pays. */
#define SMALL_RUN 8
/* Datagrams of one receive call, merged ones counted one by one. */
#define RX_LIST_MAX (4 * BS_UDP_BATCH)

/* Room for an IP_PKTINFO or IPV6_PKTINFO and a segment size. */
union control {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
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
	struct bs_datagram list[RX_LIST_MAX];
	/* What a call received and the list had no room for: message and offset to go on with. */
	int n_msg;
	int next_msg;
	size_t next_off;
	uint8_t *buf; /* [BS_UDP_BATCH * RX_STRIDE], pages as they are used */
};

struct bs_udp_tx {
	unsigned n;      /* datagrams */
	unsigned n_msg;  /* messages: datagrams of one size to one peer may share one */
	bool no_segment; /* the system does not have it, or it did not work */
	struct mmsghdr msg[BS_UDP_BATCH];
	struct iovec iov[BS_UDP_BATCH];
	union bs_sockaddr to[BS_UDP_BATCH];
	union control control[BS_UDP_BATCH];
	int fd[BS_UDP_BATCH];
	unsigned first[BS_UDP_BATCH]; /* datagram that a message begins with */
	struct bs_endpoint last_local, last_peer;
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

/* Where the address is given, every datagram is for it, and need not say so. */
static int ask_local(int fd, bool ip4)
{
	int on = 1;

	return ip4 ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on))
		   : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
}

static bool has_address(struct bs_endpoint ep)
{
	ep.port = 1;
	return bs_endpoint_is_set(&ep);
}

static int share_port(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

static int no_ip4(int fd)
{
	int on = 1;

	return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
}

static int set_options(int fd, bool ip4, uint64_t buffer_bytes)
{
	int on = 1;
	int buf = buffer_bytes > INT32_MAX / 2 ? INT32_MAX / 2 : (int)buffer_bytes;

	/* One pass through the kernel for a burst of one flow; without it each comes alone. */
	(void)setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
	if (!ip4 && no_ip4(fd) != 0)
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

static int bind_to(int fd, struct bs_endpoint *ep)
{
	union bs_sockaddr sa;
	socklen_t len = bs_sockaddr_set(&sa, ep);

	if (bind(fd, &sa.sa, len) != 0 || getsockname(fd, &sa.sa, &len) != 0)
		return -1;
	bs_sockaddr_get(&sa, ep);
	return 0;
}

/* A socket that has ep alone; ep's port is the one in use then. */
static int hold(struct bs_endpoint *ep)
{
	bool ip4 = bs_endpoint_is_ip4(ep);
	int fd = socket(ip4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return open_error(errno);
	if ((ip4 || no_ip4(fd) == 0) && bind_to(fd, ep) == 0)
		return fd;
	err = open_error(errno);
	close(fd);
	return err;
}

/* Asked for any port, the kernel takes one that another sharer of the same user has already, and
 * the two rob each other.  So one that shares with nobody asks, and lets us in afterwards. */
static int bind_to_free_port(int fd, struct bs_endpoint *ep)
{
	int holder = hold(ep);
	int err = BS_OK;

	if (holder < 0)
		return holder;
	if (share_port(holder) != 0 || share_port(fd) != 0 || bind_to(fd, ep) != 0)
		err = open_error(errno);
	close(holder);
	return err;
}

static int bind_shared(int fd, struct bs_endpoint *ep)
{
	if (ep->port == 0)
		return bind_to_free_port(fd, ep);
	if (share_port(fd) != 0 || bind_to(fd, ep) != 0)
		return open_error(errno);
	return BS_OK;
}

int bs_udp_open(struct bs_endpoint *ep, uint64_t buffer_bytes)
{
	bool ip4 = bs_endpoint_is_ip4(ep);
	int fd = socket(ip4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err = BS_OK;

	if (fd < 0)
		return open_error(errno);
	if (set_options(fd, ip4, buffer_bytes) != 0 ||
	    (!has_address(*ep) && ask_local(fd, ip4) != 0))
		err = open_error(errno);
	if (err == BS_OK)
		err = bind_shared(fd, ep);
	if (err == BS_OK)
		return fd;
	close(fd);
	return err;
}

int bs_udp_check_free(const struct bs_endpoint *ep)
{
	struct bs_endpoint copy = *ep;
	int fd = hold(&copy);

	if (fd < 0)
		return fd;
	close(fd);
	return BS_OK;
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

	if (!rx)
		return NULL;
	rx->buf = calloc(BS_UDP_BATCH, RX_STRIDE);
	if (!rx->buf) {
		free(rx);
		return NULL;
	}
	for (i = 0; i < BS_UDP_BATCH; i++) {
		rx->iov[i].iov_base = rx->buf + (size_t)i * RX_STRIDE;
		rx->iov[i].iov_len = MERGED_MAX;
		rx->msg[i].msg_hdr.msg_iov = &rx->iov[i];
		rx->msg[i].msg_hdr.msg_iovlen = 1;
		rx->msg[i].msg_hdr.msg_name = &rx->from[i];
		rx->msg[i].msg_hdr.msg_control = &rx->control[i];
	}
	return rx;
}

void bs_udp_rx_free(struct bs_udp_rx *rx)
{
	if (rx)
		free(rx->buf);
	free(rx);
}

/* Where the datagram was sent to, and the size of the datagrams that it was merged from (0: none).
 * For a broadcast the specific address is what we answer from. */
static size_t read_control(struct msghdr *m, struct bs_endpoint *local)
{
	struct cmsghdr *c;
	int segment = 0;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			bs_endpoint_set_ip4(local, ntohl(info.ipi_spec_dst.s_addr), local->port);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(local->ip, &info.ipi6_addr, sizeof(local->ip));
		} else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&segment, CMSG_DATA(c), sizeof(segment));
		}
	}
	return segment > 0 ? (size_t)segment : 0;
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

/* Enter one message into the list, from off on; where to go on, or 0 when all of it is in. */
static size_t split(struct bs_udp_rx *rx, int i, size_t off, const struct bs_endpoint *self, int *n)
{
	struct bs_datagram d = { .cut = rx->msg[i].msg_hdr.msg_flags & MSG_TRUNC, .local = *self };
	size_t len = rx->msg[i].msg_len;
	size_t segment;

	bs_sockaddr_get(&rx->from[i], &d.peer);
	segment = read_control(&rx->msg[i].msg_hdr, &d.local);
	if (segment == 0)
		segment = len;
	do {
		if (*n == RX_LIST_MAX)
			return off;
		d.data = (uint8_t *)rx->iov[i].iov_base + off;
		d.len = len - off < segment ? len - off : segment;
		off += d.len;
		if (d.len > BS_UDP_BUF) {
			d.cut = true;
			d.len = BS_UDP_BUF;
		}
		rx->list[(*n)++] = d;
	} while (off < len);
	return 0;
}

static int receive_more(struct bs_udp_rx *rx, int fd)
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
	rx->n_msg = n;
	rx->next_msg = 0;
	rx->next_off = 0;
	return BS_OK;
}

int bs_udp_receive(struct bs_udp_rx *rx, int fd, const struct bs_endpoint *self,
		   struct bs_datagram **list)
{
	int err = rx->next_msg < rx->n_msg ? BS_OK : receive_more(rx, fd);
	int n = 0;

	if (err)
		return err;
	for (; rx->next_msg < rx->n_msg; rx->next_msg++) {
		if (n == RX_LIST_MAX)
			break;
		rx->next_off = split(rx, rx->next_msg, rx->next_off, self, &n);
		if (rx->next_off != 0)
			break;
	}
	*list = rx->list;
	return n;
}

bool bs_udp_pending(const struct bs_udp_rx *rx)
{
	return rx->next_msg < rx->n_msg;
}

struct bs_udp_tx *bs_udp_tx_new(void)
{
	struct bs_udp_tx *tx = calloc(1, sizeof(*tx));
	unsigned i;

	for (i = 0; tx && i < BS_UDP_BATCH; i++) {
		tx->iov[i].iov_base = tx->buf[i];
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

/* Whether datagram i can share the last message: one socket, one peer, one source, and none longer
 * than the first, which sets the size; a shorter one is the last. */
static bool joins(const struct bs_udp_tx *tx, size_t len, int fd, const struct bs_endpoint *local,
		  const struct bs_endpoint *peer)
{
	unsigned m = tx->n_msg - 1;
	unsigned first;

	if (tx->no_segment || tx->n_msg == 0 || tx->fd[m] != fd)
		return false;
	first = tx->first[m];
	return tx->n - first < SEGMENTS_MAX && len <= tx->iov[first].iov_len &&
	       tx->iov[tx->n - 1].iov_len == tx->iov[first].iov_len &&
	       (tx->n - first + 1) * tx->iov[first].iov_len < MERGED_MAX - BS_UDP_BUF &&
	       bs_endpoint_equal(&tx->last_peer, peer) && bs_endpoint_equal(&tx->last_local, local);
}

void bs_udp_commit(struct bs_udp_tx *tx, size_t len, int fd, const struct bs_endpoint *local,
		   const struct bs_endpoint *peer)
{
	bool join = joins(tx, len, fd, local, peer);
	unsigned i = tx->n++;
	unsigned m;

	tx->iov[i].iov_len = len;
	if (join) {
		tx->msg[tx->n_msg - 1].msg_hdr.msg_iovlen++;
		return;
	}
	m = tx->n_msg++;
	tx->fd[m] = fd;
	tx->first[m] = i;
	tx->msg[m].msg_hdr.msg_iov = &tx->iov[i];
	tx->msg[m].msg_hdr.msg_iovlen = 1;
	tx->msg[m].msg_hdr.msg_namelen = bs_sockaddr_set(&tx->to[m], peer);
	write_local(&tx->msg[m].msg_hdr, &tx->control[m], local);
	tx->last_peer = *peer;
	tx->last_local = *local;
}

void bs_udp_tx_plain(struct bs_udp_tx *tx)
{
	tx->no_segment = true;
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

/* Say how long the datagrams of a message are. */
static void write_segment(struct msghdr *m, union control *space, uint16_t len)
{
	struct cmsghdr *c;

	if (!m->msg_control) {
		memset(space, 0, sizeof(*space));
		m->msg_control = space;
	}
	c = (struct cmsghdr *)(void *)((uint8_t *)m->msg_control + m->msg_controllen);
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(len));
	memcpy(CMSG_DATA(c), &len, sizeof(len));
	m->msg_controllen += CMSG_SPACE(sizeof(len));
}

static void count_sent(const struct bs_udp_tx *tx, unsigned m, struct bs_udp_sent *sent)
{
	unsigned n = (unsigned)tx->msg[m].msg_hdr.msg_iovlen;
	unsigned i;

	sent->packets += n;
	for (i = 0; i < n; i++)
		sent->bytes += (uint32_t)tx->iov[tx->first[m] + i].iov_len;
}

static bool is_blocked(int e)
{
	return e == EAGAIN || e == EWOULDBLOCK || e == ENOBUFS;
}

/* The system took the message as a whole for bad: datagram by datagram it may be good.  A path with
 * a small MTU refuses segments that it would have fragmented, a device without checksums all. */
static void send_singly(struct bs_udp_tx *tx, unsigned m, struct bs_udp_sent *sent)
{
	struct mmsghdr one = tx->msg[m];
	unsigned n = (unsigned)one.msg_hdr.msg_iovlen;
	unsigned i;

	one.msg_hdr.msg_iovlen = 1;
	one.msg_hdr.msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
	for (i = 0; i < n; i++) {
		one.msg_hdr.msg_iov = &tx->iov[tx->first[m] + i];
		sent->calls++;
		if (transmit(tx->fd[m], &one, 1) == 1) {
			sent->packets++;
			sent->bytes += (uint32_t)one.msg_hdr.msg_iov->iov_len;
		} else if (is_blocked(errno)) {
			sent->blocked++;
		} else {
			sent->failed++;
		}
	}
}

/* What to do about the message that could not be sent; false: nothing more can be now. */
static bool failed(struct bs_udp_tx *tx, unsigned m, struct bs_udp_sent *sent)
{
	unsigned n = (unsigned)tx->msg[m].msg_hdr.msg_iovlen;
	int e = errno;

	if (is_blocked(e))
		return false;
	if (n == 1) {
		/* Only this one is bad: no route, or its local address is gone. */
		sent->failed++;
		return true;
	}
	if (e == EIO || e == EOPNOTSUPP || e == ENOPROTOOPT)
		tx->no_segment = true;
	send_singly(tx, m, sent);
	return true;
}

/* Whether messages [i, end) are IPv4, small, and enough of them. */
static bool is_small_run(const struct bs_udp_tx *tx, unsigned i, unsigned end)
{
	if (end - i < SMALL_RUN)
		return false;
	for (; i < end; i++) {
		if (tx->to[i].sa.sa_family != AF_INET || tx->msg[i].msg_hdr.msg_iovlen != 1 ||
		    tx->iov[tx->first[i]].iov_len > SMALL_MAX)
			return false;
	}
	return true;
}

/*
 * A datagram that nobody may fragment needs no identification (RFC 6864), but Linux makes one while
 * it could still fragment the datagram itself: a hash, and a place in a table of a megabyte that is
 * another one for each peer, a twentieth of what sending costs.  A small one never needs to be
 * fragmented, so the system is told for a run of them, and left as it was for all others: those may
 * exceed a path.
 *
 * Returns what the socket had before, or -1 when it was left alone.
 */
static int unfragmented(int fd)
{
#ifdef IP_PMTUDISC_PROBE
	int was;
	int now = IP_PMTUDISC_PROBE;
	socklen_t len = sizeof(was);

	/* An administrator may have switched path MTU discovery off; that stays. */
	if (getsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &was, &len) == 0 &&
	    was == IP_PMTUDISC_WANT &&
	    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &now, sizeof(now)) == 0)
		return was;
#else
	(void)fd;
#endif
	return -1;
}

static void fragmented(int fd, int was)
{
#ifdef IP_PMTUDISC_PROBE
	if (was >= 0)
		(void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &was, sizeof(was));
#else
	(void)fd;
	(void)was;
#endif
}

/* Send messages [i, end), all on one socket. */
static void flush_run(struct bs_udp_tx *tx, unsigned i, unsigned end, struct bs_udp_sent *sent)
{
	while (i < end) {
		int n = transmit(tx->fd[i], &tx->msg[i], end - i);

		sent->calls++;
		for (; n > 0; n--)
			count_sent(tx, i++, sent);
		if (n == 0 || errno == EINTR)
			continue;
		if (!failed(tx, i, sent)) {
			/* The queue of the system is full: what follows would be too. */
			for (; i < end; i++)
				sent->blocked += (uint32_t)tx->msg[i].msg_hdr.msg_iovlen;
			return;
		}
		i++;
	}
}

void bs_udp_flush(struct bs_udp_tx *tx, struct bs_udp_sent *sent)
{
	unsigned i;
	unsigned end;

	for (i = 0; i < tx->n_msg; i++)
		if (tx->msg[i].msg_hdr.msg_iovlen > 1)
			write_segment(&tx->msg[i].msg_hdr, &tx->control[i],
				      (uint16_t)tx->iov[tx->first[i]].iov_len);
	for (i = 0; i < tx->n_msg; i = end) {
		int was;

		for (end = i + 1; end < tx->n_msg && tx->fd[end] == tx->fd[i];)
			end++;
		was = is_small_run(tx, i, end) ? unfragmented(tx->fd[i]) : -1;
		flush_run(tx, i, end, sent);
		fragmented(tx->fd[i], was);
	}
	tx->n = 0;
	tx->n_msg = 0;
}
