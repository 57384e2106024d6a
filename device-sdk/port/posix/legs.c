/* SPDX-License-Identifier: Apache-2.0 */
#include "legs.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cursor.h"
#include "util/endpoint.h"
#include "wire/gw.h"

/** Bytes that wait for a relay that does not read; more is dropped. */
#define OUT_MAX 65536u
/** Bytes that the kernel may hold unsent: more would only be delay. */
#define UNSENT_MAX 131072
/** Packets of so many bytes leave at once; fewer wait for the end of the step. */
#define WRITE_MIN 32768u
/** Reads of one leg in a step, so that a fast relay cannot keep the timers waiting. */
#define READS_MAX 8

struct bsdev_leg {
	int fd;
	uint32_t nsi;
	bool connecting;
	bool broken; /**< to be closed by the next step */
	size_t in_len;
	size_t out_off, out_len;
	uint8_t in[2 * BS_PACKET_MAX];
	uint8_t out[OUT_MAX];
};

static void set_options(int fd)
{
	const struct {
		int level, option, value;
	} rows[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
#ifdef TCP_KEEPIDLE
		{ IPPROTO_TCP, TCP_KEEPIDLE, 60 },
#endif
#ifdef TCP_NOTSENT_LOWAT
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MAX },
#endif
	};

	/* All of them only help, so a system without one does without. */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		(void)setsockopt(fd, rows[i].level, rows[i].option, &rows[i].value,
				 sizeof(rows[i].value));
}

static socklen_t to_address(const struct bs_endpoint *ep, struct sockaddr_storage *a)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)a;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)a;

	memset(a, 0, sizeof(*a));
	if (bs_endpoint_is_ip4(ep)) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(ep->port);
		in4->sin_addr.s_addr = htonl(bs_endpoint_ip4(ep));
		return sizeof(*in4);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(ep->port);
	memcpy(&in6->sin6_addr, ep->ip, sizeof(ep->ip));
	return sizeof(*in6);
}

/** A socket that connects; -1 when the system has none or refuses at once. */
static int start_connect(const struct bs_endpoint *relay)
{
	struct sockaddr_storage a;
	const socklen_t len = to_address(relay, &a);
	const int fd = socket(a.ss_family, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	set_options(fd);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
	    (connect(fd, (struct sockaddr *)&a, len) == 0 || errno == EINPROGRESS))
		return fd;
	close(fd);
	return -1;
}

static void leg_free(struct bsdev_legs *l, unsigned slot)
{
	struct bsdev_leg *leg = l->leg[slot];

	if (leg == NULL)
		return;
	if (leg->fd >= 0)
		close(leg->fd);
	free(leg);
	l->leg[slot] = NULL;
}

void bsdev__legs_set(struct bsdev_legs *l, unsigned slot, uint32_t nsi,
		     const struct bs_endpoint *relay)
{
	struct bsdev_leg *leg;

	if (slot >= BSDEV_LEGS_MAX)
		return;
	if (relay == NULL) {
		/* The device hears of the end from the next step, not from inside this call. */
		if (l->leg[slot] != NULL)
			l->leg[slot]->broken = true;
		return;
	}
	leg_free(l, slot);
	leg = calloc(1, sizeof(*leg));
	if (leg == NULL)
		return;
	leg->nsi = nsi;
	leg->connecting = true;
	leg->fd = start_connect(relay);
	leg->broken = leg->fd < 0;
	l->leg[slot] = leg;
}

void bsdev__legs_free(struct bsdev_legs *l)
{
	for (unsigned i = 0; i < BSDEV_LEGS_MAX; i++)
		leg_free(l, i);
}

int bsdev__legs_poll(const struct bsdev_legs *l, struct pollfd *fds, int cap, int *timeout_ms)
{
	int n = 0;

	for (unsigned i = 0; i < BSDEV_LEGS_MAX && n < cap; i++) {
		const struct bsdev_leg *leg = l->leg[i];

		if (leg == NULL)
			continue;
		if (leg->broken)
			*timeout_ms = 0;
		if (leg->fd < 0)
			continue;
		fds[n].fd = leg->fd;
		fds[n].revents = 0;
		fds[n++].events =
			(short)(POLLIN | (leg->connecting || leg->out_len > 0 ? POLLOUT : 0));
	}
	return n;
}

/** Write what waits. */
static void flush(struct bsdev_leg *leg)
{
	while (leg->out_len > 0 && !leg->broken) {
		const ssize_t n =
			send(leg->fd, leg->out + leg->out_off, leg->out_len, MSG_NOSIGNAL);

		if (n < 0) {
			leg->broken = errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
			return;
		}
		leg->out_off += (size_t)n;
		leg->out_len -= (size_t)n;
	}
	leg->out_off = 0;
}

void bsdev__legs_send(struct bsdev_legs *l, const uint8_t *buf, size_t len)
{
	struct bsdev_leg *leg = NULL;

	for (unsigned i = 0; i < BSDEV_LEGS_MAX && leg == NULL; i++) {
		if (l->leg[i] != NULL && !l->leg[i]->broken && !l->leg[i]->connecting &&
		    l->leg[i]->nsi == bs_get_u32(buf + 4))
			leg = l->leg[i];
	}
	if (leg == NULL)
		return;
	if (leg->out_off + leg->out_len + len > OUT_MAX) {
		memmove(leg->out, leg->out + leg->out_off, leg->out_len);
		leg->out_off = 0;
	}
	/* Whole packets only, or the relay loses its place. */
	if (leg->out_len + len > OUT_MAX)
		return;
	memcpy(leg->out + leg->out_off + leg->out_len, buf, len);
	leg->out_len += len;
	/* One write for many packets: most of what a relay spends is per call. */
	if (leg->out_len >= WRITE_MIN)
		flush(leg);
}

void bsdev__legs_flush(struct bsdev_legs *l)
{
	for (unsigned i = 0; i < BSDEV_LEGS_MAX; i++) {
		if (l->leg[i] != NULL && l->leg[i]->fd >= 0 && !l->leg[i]->connecting)
			flush(l->leg[i]);
	}
}

static void finish_connect(struct bsdev_leg *leg, struct bsdev *dev, unsigned slot, bs_time now)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(leg->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 || err != 0) {
		leg->broken = true;
		return;
	}
	leg->connecting = false;
	bsdev_relay_opened(dev, slot, now);
}

/** Give whole packets to the device.  Its answers may break or end the leg. */
static void take_packets(const struct bsdev_legs *l, struct bsdev_leg *leg, struct bsdev *dev,
			 unsigned slot, bs_time now)
{
	size_t off = 0;

	while (!leg->broken) {
		const bs_ssize n =
			bs_gw_frame_len(leg->in + off, leg->in_len - off, BSDEV_PACKET_MAX);

		if (n == BS_EAGAIN || (n > 0 && (size_t)n > leg->in_len - off))
			break;
		if (n < 0) {
			leg->broken = true;
			break;
		}
		(void)bsdev_relay_input(dev, slot, leg->in + off, (size_t)n, now);
		/* An answer that is not fetched is lost with the next request. */
		l->fetch(l->ctx);
		off += (size_t)n;
	}
	memmove(leg->in, leg->in + off, leg->in_len - off);
	leg->in_len -= off;
}

static void receive(const struct bsdev_legs *l, struct bsdev_leg *leg, struct bsdev *dev,
		    unsigned slot, bs_time now)
{
	for (int i = 0; i < READS_MAX && !leg->broken; i++) {
		const ssize_t n =
			recv(leg->fd, leg->in + leg->in_len, sizeof(leg->in) - leg->in_len, 0);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (n <= 0) {
			leg->broken = true;
			return;
		}
		leg->in_len += (size_t)n;
		take_packets(l, leg, dev, slot, now);
	}
}

static short events_of(const struct pollfd *fds, int n, int fd)
{
	for (int i = 0; i < n; i++) {
		if (fds[i].fd == fd)
			return fds[i].revents;
	}
	return 0;
}

void bsdev__legs_step(struct bsdev_legs *l, struct bsdev *dev, const struct pollfd *fds, int n,
		      bs_time now)
{
	for (unsigned i = 0; i < BSDEV_LEGS_MAX; i++) {
		struct bsdev_leg *leg = l->leg[i];
		const short got = leg != NULL && leg->fd >= 0 ? events_of(fds, n, leg->fd) : 0;

		if (leg == NULL)
			continue;
		if (got != 0 && leg->connecting && !leg->broken)
			finish_connect(leg, dev, i, now);
		if ((got & POLLOUT) != 0 && !leg->broken)
			flush(leg);
		if ((got & (POLLIN | POLLHUP | POLLERR)) != 0 && !leg->connecting)
			receive(l, leg, dev, i, now);
		if (leg->broken) {
			leg_free(l, i);
			bsdev_relay_closed(dev, i, now);
		}
	}
}
