/* SPDX-License-Identifier: Apache-2.0 */
#include "port/batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "util/endpoint.h"

/* Linux has had both for longer than some C libraries have had their names. */
#if defined(__linux__) && !defined(UDP_SEGMENT)
# define UDP_SEGMENT 103
#endif
#if defined(__linux__) && !defined(UDP_GRO)
# define UDP_GRO 104
#endif

enum {
	SLOT_LEN = 65536,                  /* a merged arrival is at most this long */
	SLOTS = 4,                         /* of them a call */
	SINGLE_LEN = BS_BATCH_ROOM + 1024, /* without merging: longer than any packet of ours */
	SINGLES = SLOTS * SLOT_LEN / SINGLE_LEN,
	TX_LEN = 16 * BS_BATCH_ROOM, /* 64 packets of 4 KiB or 16 of the largest */
	SEND_MAX = 65000,            /* one merged message, below what IP can say */
	SOCKET_BUFFER = 4 << 20,     /* asked for; the system's limit rules */
};

/* One packet that waits to be sent. */
struct entry {
	struct bs_endpoint to;
	uint16_t len;
	int fd;
	int family;
};

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

union control {
	struct cmsghdr align;
	uint8_t b[CMSG_SPACE(sizeof(int))];
};

#ifndef HAVE_RECVMMSG
struct mmsghdr {
	struct msghdr msg_hdr;
	unsigned msg_len;
};
#endif

struct bs_batch {
	struct bs_batch_stats stats;
	bool plain;      /* neither merges nor asks for merged arrivals */
	bool no_segment; /* the kernel or the interface does not split */
	bool merged;     /* arrivals may be merged */
	int stuck;
	/* Sending: the packets lie one behind the other in tx. */
	unsigned first; /* of those that were not sent yet */
	unsigned n;
	unsigned singly; /* entries before this one are not merged */
	size_t off;      /* of entry first in tx */
	size_t used;
	struct entry entry[BS_BATCH_PACKETS];
	uint8_t tx[TX_LEN];
	/* Receiving. */
	unsigned rx_n;  /* messages that came */
	unsigned rx_at; /* the one that is being handed out */
	size_t rx_off;  /* how much of it was */
	struct mmsghdr rx_msg[SINGLES];
	struct iovec rx_iov[SINGLES];
	union address rx_from[SINGLES];
	union control rx_control[SINGLES];
	uint8_t rx[SLOTS * SLOT_LEN];
};

struct bs_batch *bs_batch_new(void)
{
	struct bs_batch *b = calloc(1, sizeof(*b));

	if (b)
		b->stuck = -1;
	return b;
}

void bs_batch_free(struct bs_batch *b)
{
	free(b);
}

void bs_batch_set_plain(struct bs_batch *b)
{
	b->plain = true;
}

void bs_batch_prepare(struct bs_batch *b, int fd)
{
	const int size = SOCKET_BUFFER;
	const int on = 1;
	const int off = 0;

	/* Root may go above the limit of others. */
#ifdef SO_RCVBUFFORCE
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
#endif
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
#ifdef SO_SNDBUFFORCE
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0)
#endif
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
#ifdef UDP_SEGMENT
	/* Zero changes nothing, but only a kernel that knows it agrees. */
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &off, sizeof(off)) != 0)
		b->no_segment = true;
#else
	(void)off;
#endif
#ifdef UDP_GRO
	if (!b->plain && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) == 0)
		b->merged = true;
#else
	(void)on;
#endif
}

const struct bs_batch_stats *bs_batch_stats(const struct bs_batch *b)
{
	return &b->stats;
}

/* Sending. */

static socklen_t to_address(union address *a, const struct entry *e)
{
	memset(a, 0, sizeof(*a));
	if (e->family == AF_UNSPEC)
		return 0;
	if (e->family == AF_INET6) {
		a->in6.sin6_family = AF_INET6;
		memcpy(&a->in6.sin6_addr, e->to.ip, sizeof(e->to.ip));
		a->in6.sin6_port = htons(e->to.port);
		return sizeof(a->in6);
	}
	a->in.sin_family = AF_INET;
	a->in.sin_addr.s_addr = htonl(bs_endpoint_ip4(&e->to));
	a->in.sin_port = htons(e->to.port);
	return sizeof(a->in);
}

/* How many packets from this one on can leave as one message: all equally long but the last. */
static unsigned run_len(const struct bs_batch *b, unsigned at)
{
	const struct entry *e = &b->entry[at];
	size_t total = e->len;
	unsigned k = 1;

	if (b->plain || b->no_segment || at < b->singly)
		return 1;
	for (; at + k < b->n; k++) {
		const struct entry *o = &b->entry[at + k];

		total += o->len;
		if (o->fd != e->fd || o->len > e->len || total > SEND_MAX ||
		    !bs_endpoint_equal(&o->to, &e->to))
			return k;
		if (o->len < e->len)
			return k + 1;
	}
	return k;
}

static size_t run_bytes(const struct bs_batch *b, unsigned at, unsigned n)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		bytes += b->entry[at + i].len;
	return bytes;
}

static void set_segment(struct msghdr *m, union control *c, uint16_t len)
{
#ifdef UDP_SEGMENT
	struct cmsghdr *h;

	memset(c, 0, sizeof(*c));
	m->msg_control = c;
	m->msg_controllen = CMSG_SPACE(sizeof(len));
	h = CMSG_FIRSTHDR(m);
	h->cmsg_level = IPPROTO_UDP;
	h->cmsg_type = UDP_SEGMENT;
	h->cmsg_len = CMSG_LEN(sizeof(len));
	memcpy(CMSG_DATA(h), &len, sizeof(len));
#else
	(void)m;
	(void)c;
	(void)len;
#endif
}

/* Everything that waits for one socket, as messages. */
struct sending {
	unsigned n;
	unsigned pkts[BS_BATCH_PACKETS]; /* of each message */
	struct mmsghdr msg[BS_BATCH_PACKETS];
	struct iovec iov[BS_BATCH_PACKETS];
	union address to[BS_BATCH_PACKETS];
	union control control[BS_BATCH_PACKETS];
};

static void collect(struct bs_batch *b, struct sending *s)
{
	const int fd = b->entry[b->first].fd;
	size_t off = b->off;
	unsigned at = b->first;

	for (s->n = 0; at < b->n && b->entry[at].fd == fd; s->n++) {
		const struct entry *e = &b->entry[at];
		unsigned k = run_len(b, at);
		struct msghdr *m = &s->msg[s->n].msg_hdr;

		memset(m, 0, sizeof(*m));
		s->iov[s->n].iov_base = b->tx + off;
		s->iov[s->n].iov_len = run_bytes(b, at, k);
		m->msg_iov = &s->iov[s->n];
		m->msg_iovlen = 1;
		m->msg_namelen = to_address(&s->to[s->n], e);
		m->msg_name = m->msg_namelen != 0 ? &s->to[s->n] : NULL;
		if (k > 1)
			set_segment(m, &s->control[s->n], e->len);
		s->pkts[s->n] = k;
		off += s->iov[s->n].iov_len;
		at += k;
	}
}

/* Messages that were taken, or -1 and errno of the first. */
static int transmit(int fd, struct mmsghdr *msg, unsigned n)
{
#ifdef HAVE_SENDMMSG
	return sendmmsg(fd, msg, n, MSG_DONTWAIT | MSG_NOSIGNAL);
#else
	(void)n;
	return sendmsg(fd, &msg[0].msg_hdr, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 1;
#endif
}

static void pass(struct bs_batch *b, unsigned pkts)
{
	b->off += run_bytes(b, b->first, pkts);
	b->first += pkts;
}

/* The first message was refused: with one packet it is lost, with several they go one by one. */
static void refused(struct bs_batch *b, const struct sending *s, int why)
{
	if (s->pkts[0] == 1) {
		b->stats.lost++;
		pass(b, 1);
		return;
	}
	/* The interface cannot split, today and tomorrow.  Any other reason is of this destination
	 * or this moment: a path too narrow, where singly they may be cut on their way, or none. */
	if (why == EIO || why == EOPNOTSUPP || why == ENOPROTOOPT)
		b->no_segment = true;
	else
		b->singly = b->first + s->pkts[0];
}

static void count_sent(struct bs_batch *b, const struct sending *s, unsigned n)
{
	b->stats.tx_calls++;
	for (unsigned i = 0; i < n; i++) {
		b->stats.tx_pkts += s->pkts[i];
		if (s->pkts[i] > 1)
			b->stats.tx_merged += s->pkts[i];
		pass(b, s->pkts[i]);
	}
}

void bs_batch_flush(struct bs_batch *b)
{
	struct sending s;
	int n;

	b->stuck = -1;
	while (b->first < b->n) {
		collect(b, &s);
		n = transmit(b->entry[b->first].fd, s.msg, s.n);
		if (n > 0) {
			count_sent(b, &s, (unsigned)n);
		} else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
			b->stuck = b->entry[b->first].fd;
			return;
		} else if (errno != EINTR) {
			refused(b, &s, errno);
		}
	}
	b->first = b->n = b->singly = 0;
	b->off = b->used = 0;
}

void bs_batch_drop(struct bs_batch *b)
{
	b->stats.lost += b->n - b->first;
	b->first = b->n = b->singly = 0;
	b->off = b->used = 0;
	b->stuck = -1;
}

int bs_batch_stuck(const struct bs_batch *b)
{
	return b->stuck;
}

static bool is_full(const struct bs_batch *b)
{
	return b->n == BS_BATCH_PACKETS || b->used > sizeof(b->tx) - BS_BATCH_ROOM;
}

uint8_t *bs_batch_room(struct bs_batch *b)
{
	if (is_full(b))
		bs_batch_flush(b);
	return is_full(b) ? NULL : b->tx + b->used;
}

void bs_batch_add(struct bs_batch *b, size_t len, int fd, int family, const struct bs_endpoint *to)
{
	struct entry *e = &b->entry[b->n];

	/* Nothing goes from an IPv4 socket to an IPv6 address. */
	if (len == 0 || len > BS_BATCH_ROOM || fd < 0 ||
	    (family == AF_INET && !bs_endpoint_is_ip4(to))) {
		b->stats.lost++;
		return;
	}
	e->to = *to;
	e->len = (uint16_t)len;
	e->fd = fd;
	e->family = family;
	b->used += len;
	b->n++;
}

/* Receiving. */

static int fetch(struct bs_batch *b, int fd, unsigned slots)
{
	int n;

	do {
#ifdef HAVE_RECVMMSG
		n = recvmmsg(fd, b->rx_msg, slots, MSG_DONTWAIT, NULL);
#else
		ssize_t len = recvmsg(fd, &b->rx_msg[0].msg_hdr, MSG_DONTWAIT);

		(void)slots;
		b->rx_msg[0].msg_len = len < 0 ? 0 : (unsigned)len;
		n = len < 0 ? -1 : 1;
#endif
	} while (n < 0 && errno == EINTR);
	return n;
}

int bs_batch_receive(struct bs_batch *b, int fd)
{
	const unsigned slots = b->merged ? SLOTS : SINGLES;
	const size_t len = b->merged ? SLOT_LEN : SINGLE_LEN;
	int n;

	b->rx_n = b->rx_at = 0;
	b->rx_off = 0;
	for (unsigned i = 0; i < slots; i++) {
		struct msghdr *m = &b->rx_msg[i].msg_hdr;

		b->rx_iov[i].iov_base = b->rx + i * len;
		b->rx_iov[i].iov_len = len;
		memset(m, 0, sizeof(*m));
		m->msg_iov = &b->rx_iov[i];
		m->msg_iovlen = 1;
		m->msg_name = &b->rx_from[i];
		m->msg_namelen = sizeof(b->rx_from[i]);
		m->msg_control = &b->rx_control[i];
		m->msg_controllen = sizeof(b->rx_control[i]);
	}
	n = fetch(b, fd, slots);
	/* Any error but "nothing there" reports an earlier send (ICMP); the next call gets on. */
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? BS_EAGAIN : BS_EUNREACH;
	b->rx_n = (unsigned)n;
	b->stats.rx_calls++;
	return BS_OK;
}

/* How long each datagram of a message is; the message itself, unless it was merged. */
static size_t segment_of(struct msghdr *m, size_t len)
{
#ifdef UDP_GRO
	struct cmsghdr *h;
	int size;

	for (h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != IPPROTO_UDP || h->cmsg_type != UDP_GRO)
			continue;
		memcpy(&size, CMSG_DATA(h), sizeof(size));
		return size > 0 && (size_t)size < len ? (size_t)size : len;
	}
#else
	(void)m;
#endif
	return len;
}

static bool from_address(struct bs_endpoint *ep, const union address *a)
{
	memset(ep, 0, sizeof(*ep));
	if (a->sa.sa_family == AF_INET) {
		bs_endpoint_set_ip4(ep, ntohl(a->in.sin_addr.s_addr), ntohs(a->in.sin_port));
		return true;
	}
	if (a->sa.sa_family != AF_INET6)
		return false;
	memcpy(ep->ip, &a->in6.sin6_addr, sizeof(ep->ip));
	ep->port = ntohs(a->in6.sin6_port);
	return true;
}

bool bs_batch_next(struct bs_batch *b, uint8_t **pkt, size_t *len, struct bs_endpoint *from)
{
	while (b->rx_at < b->rx_n) {
		struct mmsghdr *m = &b->rx_msg[b->rx_at];
		size_t total = m->msg_len;
		size_t segment = segment_of(&m->msg_hdr, total);
		size_t left = total - b->rx_off;

		if (left == 0 || !from_address(from, &b->rx_from[b->rx_at])) {
			b->rx_at++;
			b->rx_off = 0;
			continue;
		}
		*pkt = (uint8_t *)b->rx_iov[b->rx_at].iov_base + b->rx_off;
		*len = left < segment ? left : segment;
		b->rx_off += *len;
		b->stats.rx_pkts++;
		if (segment < total)
			b->stats.rx_merged++;
		return true;
	}
	return false;
}
