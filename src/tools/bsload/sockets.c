/* SPDX-License-Identifier: Apache-2.0 */
#include "sockets.h"

#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>

#include "util/endpoint.h"

#ifndef SO_MEMINFO
# define SO_MEMINFO 55
#endif

static void wake(struct bs_source *source, unsigned events)
{
	struct socket *s = (struct socket *)(void *)source;

	(void)events;
	s->ready = true;
}

static int open_one(struct socket *s, struct bs_poller *poller, uint64_t buffer_bytes)
{
	struct bs_endpoint any;

	bs_endpoint_set_ip4(&any, 0, 0);
	s->fd = bs_udp_open(&any, buffer_bytes);
	if (s->fd < 0)
		return s->fd;
	s->port = any.port;
	s->self = any;
	s->source.ready = wake;
	s->blind = !poller;
	return poller ? bs_poller_add(poller, s->fd, &s->source) : BS_OK;
}

int sockets_open(struct sockets *s, struct bs_poller *poller, unsigned n, uint64_t buffer_bytes)
{
	int err = BS_OK;

	memset(s, 0, sizeof(*s));
	s->rx = bs_udp_rx_new();
	s->tx = bs_udp_tx_new();
	if (!s->rx || !s->tx)
		return BS_ENOMEM;
	/* Each device's datagrams are for one peer from one address; but two in a row that happen
	 * to be alike must arrive as two, at their own time. */
	bs_udp_tx_plain(s->tx);
	while (!err && s->n < n && s->n < SOCKETS_MAX)
		err = open_one(&s->s[s->n++], poller, buffer_bytes);
	return err;
}

void sockets_close(struct sockets *s)
{
	while (s->n > 0)
		bs_udp_close(s->s[--s->n].fd);
	bs_udp_rx_free(s->rx);
	bs_udp_tx_free(s->tx);
	s->rx = NULL;
	s->tx = NULL;
}

void sockets_flush(struct sockets *s)
{
	memset(&s->sent, 0, sizeof(s->sent));
	bs_udp_flush(s->tx, &s->sent);
	s->packets_sent += s->sent.packets;
	s->bytes_sent += s->sent.bytes;
	s->lost_here += s->sent.blocked + s->sent.failed;
}

uint8_t *sockets_reserve(struct sockets *s)
{
	uint8_t *buf = bs_udp_reserve(s->tx);

	if (buf)
		return buf;
	sockets_flush(s);
	return bs_udp_reserve(s->tx);
}

void sockets_commit(struct sockets *s, size_t len, unsigned socket, uint32_t from,
		    const struct bs_endpoint *to)
{
	struct bs_endpoint local;

	bs_endpoint_set_ip4(&local, from, s->s[socket].port);
	bs_udp_commit(s->tx, len, s->s[socket].fd, &local, to);
}

static unsigned receive_one(struct sockets *s, unsigned socket, sockets_fn fn, void *ctx)
{
	struct bs_datagram *d;
	unsigned total = 0;
	int n;

	do {
		n = bs_udp_receive(s->rx, s->s[socket].fd, &s->s[socket].self, &d);
		for (int i = 0; i < n; i++)
			if (!d[i].cut)
				fn(ctx, socket, &d[i]);
		total += n > 0 ? (unsigned)n : 0;
	} while (bs_udp_pending(s->rx));
	return total;
}

unsigned sockets_receive(struct sockets *s, sockets_fn fn, void *ctx)
{
	unsigned total = 0;

	for (unsigned i = 0; i < s->n; i++) {
		unsigned n;

		if (!s->s[i].ready && !s->s[i].blind)
			continue;
		n = receive_one(s, i, fn, ctx);
		s->s[i].ready = n > 0;
		total += n;
	}
	s->received += total;
	return total;
}

uint64_t sockets_overflowed(const struct sockets *s)
{
	uint32_t info[SK_MEMINFO_VARS];
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->n; i++) {
		socklen_t len = sizeof(info);

		if (getsockopt(s->s[i].fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 &&
		    len > SK_MEMINFO_DROPS * sizeof(info[0]))
			sum += info[SK_MEMINFO_DROPS];
	}
	return sum;
}
