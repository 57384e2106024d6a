/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_leg.c - one leg of a bridge: how its bytes come and go, and what waits for it.
 *
 * A leg is a descriptor, or a port: functions of another part of this worker.  The gate offers a
 * port when the TLS session of a client is on the worker that holds the connection, so that bytes
 * go from the cipher to the device's socket with nothing in between.
 */
#include <stdlib.h>
#include <string.h>

#include "net/tcp.h"
#include "server/gateway_internal.h"

bs_ssize bs__gw_read(const struct bs_gw_leg *l, uint8_t *buf, size_t cap)
{
	return l->port ? l->port->read(l->ctx, buf, cap) : bs_tcp_read(l->fd, buf, cap);
}

bs_ssize bs__gw_write(const struct bs_gw_leg *l, const uint8_t *buf, size_t len)
{
	return l->port ? l->port->write(l->ctx, buf, len) : bs_tcp_write(l->fd, buf, len, false);
}

void bs__gw_shutdown(struct bs_gw_leg *l)
{
	if (l->port)
		l->port->shutdown(l->ctx);
	else
		bs_tcp_shutdown(l->fd);
	l->shut = true;
}

void bs__gw_leg_open(struct bs_gateway *g, struct bs_gw_leg *l, const struct bs_msg_gw_leg *m)
{
	l->fd = m->fd;
	l->port = m->port;
	l->ctx = m->ctx;
	l->here = true;
	l->used = true;
	l->watched = 0;
	ev_io_init(&l->io, bs__gw_on_leg, l->fd, 0);
	ev_set_priority(&l->io, EV_MINPRI);
	l->io.data = g;
	if (l->port)
		l->port->opened(l->ctx, l, &bs__gw_near);
}

void bs__gw_leg_close(struct bs_gateway *g, struct bs_gw_leg *l)
{
	if (!l->here)
		return;
	/* First the state: a port's session ends here, and tells us so. */
	l->here = false;
	if (l->port)
		l->port->close(l->ctx);
	l->port = NULL;
	ev_io_stop(g->w->loop, &l->io);
	bs_tcp_close(l->fd);
	l->fd = -1;
	free(l->in);
	free(l->out);
	free(l->held);
	l->in = l->out = l->held = NULL;
	l->in_len = 0;
	l->held_off = l->held_len = 0;
	l->out_off = l->out_len = 0;
}

void bs__gw_watch(struct bs_gateway *g, struct bs_gw_leg *l, int events)
{
	if (!l->here || l->watched == events)
		return;
	l->watched = (uint8_t)events;
	if (l->port) {
		l->port->watch(l->ctx, events & EV_READ, events & EV_WRITE);
		return;
	}
	ev_io_stop(g->w->loop, &l->io);
	ev_io_set(&l->io, l->fd, events);
	if (events != 0)
		ev_io_start(g->w->loop, &l->io);
}

/** Write as much as the leg takes.  Bytes, or BS_EIO when it is broken. */
static bs_ssize write_some(const struct bs_gw_leg *l, const uint8_t *buf, size_t len)
{
	size_t done = 0;

	/* A port writes a TLS record at a time; a socket that took less than all is full. */
	do {
		bs_ssize n = bs__gw_write(l, buf + done, len - done);

		if (n == BS_EAGAIN)
			break;
		if (n < 0)
			return n;
		done += (size_t)n;
	} while (l->port && done < len);
	return (bs_ssize)done;
}

bool bs__gw_send(struct bs_gateway *g, struct bs_gw_leg *l, const uint8_t *buf, size_t len)
{
	bs_ssize n = l->out_len > 0 ? 0 : write_some(l, buf, len);
	uint8_t *p;

	if (n < 0)
		return false;
	buf += n;
	len -= (size_t)n;
	if (len == 0)
		return true;
	p = malloc(l->out_len + len);
	if (!p) {
		bs_count(g->w->counters, BS_C_memory_failed);
		return false;
	}
	if (l->out_len > 0)
		memcpy(p, l->out + l->out_off, l->out_len);
	memcpy(p + l->out_len, buf, len);
	free(l->out);
	l->out = p;
	l->out_off = 0;
	l->out_len += (uint32_t)len;
	return true;
}

bool bs__gw_flush(struct bs_gw_leg *l)
{
	bs_ssize n;

	if (l->out_len == 0)
		return true;
	n = write_some(l, l->out + l->out_off, l->out_len);
	if (n < 0)
		return false;
	l->out_off += (uint32_t)n;
	l->out_len -= (uint32_t)n;
	if (l->out_len > 0)
		return true;
	free(l->out);
	l->out = NULL;
	l->out_off = 0;
	return true;
}
