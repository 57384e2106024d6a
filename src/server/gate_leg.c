/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_leg.c - a TLS session that is a leg of the TCP relay: its first packet was GW_CONN_U.
 *
 * When this worker holds the connection the relay uses the session itself, through a port
 * (gateway.h).  Else the gate passes bytes between TLS and one end of a pair of sockets; the other
 * end goes to the worker that holds the connection, to which it is a leg like any other.  Each side
 * is read only while nothing waits for the other: at most one read is buffered in each direction.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "net/tcp.h"
#include "server/gate_internal.h"
#include "server/gateway.h"

/** Bytes of one read in either direction: a full TLS record. */
#define LEG_READ_MAX 16384u

struct bs_gate_leg {
	struct bs_session *s;
	/* On this worker. */
	const struct bs_gw_near *near; /**< NULL: not yet, or on another */
	struct bs_gw_leg *relay;
	bool port;               /**< the relay has, or is about to have, our port */
	bool readable, writable; /**< what it waits for */
	/* On another. */
	struct ev_io io;
	int fd;
	uint32_t off, len; /**< of out: what the relay has not taken yet */
	uint8_t *out;      /**< [LEG_READ_MAX] */
	uint8_t *in;       /**< [LEG_READ_MAX] of the read under way */
};

bool bs__gate_leg_stalled(const struct bs_session *s)
{
	const struct bs_gate_leg *l = s->leg;

	return l && (l->port ? !l->readable : l->len > 0);
}

bool bs__gate_leg_writes(const struct bs_session *s)
{
	return s->leg && s->leg->port && s->leg->writable;
}

/** Watch the relay's end for what can be done with it. */
static void watch(struct bs_session *s)
{
	struct bs_gate_leg *l = s->leg;
	int events = 0;

	if (!l || l->port)
		return;
	if (s->out_len == 0)
		events |= EV_READ;
	if (l->len > 0)
		events |= EV_WRITE;
	if (ev_is_active(&l->io) && (l->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(s->gate->w->loop, &l->io);
	ev_io_set(&l->io, l->fd, events);
	if (events != 0)
		ev_io_start(s->gate->w->loop, &l->io);
}

void bs__gate_leg_flushed(struct bs_session *s)
{
	watch(s);
}

/** What waits for the relay.  False when the session has ended. */
static bool push(struct bs_session *s)
{
	struct bs_gate_leg *l = s->leg;

	while (l->len > 0) {
		bs_ssize n = bs_tcp_write(l->fd, l->out + l->off, l->len, false);

		if (n == BS_EAGAIN)
			break;
		if (n < 0) {
			bs__session_end(s);
			return false;
		}
		l->off += (uint32_t)n;
		l->len -= (uint32_t)n;
	}
	watch(s);
	return true;
}

/** A client may put each packet into a record of its own: many records make one read. */
static bs_ssize read_records(struct bs_session *s, uint8_t *buf, size_t cap)
{
	size_t len = 0;
	bs_ssize n;

	do {
		n = bs_tls_read(s->tls, buf + len, cap - len);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0 && len < cap);
	/* Last words first: the next read tells of the end again. */
	return len > 0 ? (bs_ssize)len : n;
}

bool bs__gate_leg_ready(struct bs_session *s, bool readable, bool writable)
{
	struct bs_gate_leg *l = s->leg;

	if (l->near)
		l->near->ready(l->relay, readable, writable);
	return s->state == BS_SESSION_LEG;
}

bool bs__gate_leg_serve(struct bs_session *s)
{
	struct bs_gate_leg *l = s->leg;
	bs_ssize n;

	if (l->port)
		return bs__gate_leg_ready(s, true, false);
	if (l->len > 0)
		return true;
	l->off = 0;
	n = read_records(s, l->out, LEG_READ_MAX);
	if (n > 0)
		l->len = (uint32_t)n;
	if (n < 0 && n != BS_EAGAIN) {
		if (n != BS_ECLOSED)
			bs_count(s->gate->w->counters, BS_C_gate_broken);
		/* Its last words are for the device. */
		if (push(s))
			bs__session_end(s);
		return false;
	}
	return push(s);
}

/** From the relay to the client. */
static void pull(struct bs_session *s)
{
	struct bs_gate_leg *l = s->leg;
	bs_ssize n = bs_tcp_read(l->fd, l->in, LEG_READ_MAX);

	if (n == BS_EAGAIN)
		return;
	if (n <= 0) {
		/* The relay is done: what it wrote before is out, or the client does not read. */
		bs_tls_close(s->tls);
		bs__session_end(s);
		return;
	}
	bs__session_send(s, l->in, (size_t)n);
	if (s->state == BS_SESSION_LEG)
		watch(s);
}

static void on_relay(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct bs_gate_leg *l =
		(struct bs_gate_leg *)((char *)io - offsetof(struct bs_gate_leg, io));
	struct bs_session *s = l->s;

	(void)loop;
	if (events & EV_WRITE) {
		if (!push(s))
			return;
		/* The client was not read meanwhile. */
		if (l->len == 0)
			bs__session_resume(s);
	}
	if ((events & EV_READ) && s->state == BS_SESSION_LEG && s->out_len == 0)
		pull(s);
}

void bs__gate_leg_end(struct bs_session *s)
{
	struct bs_gate_leg *l = s->leg;

	if (!l)
		return;
	s->leg = NULL;
	ev_io_stop(s->gate->w->loop, &l->io);
	bs_tcp_close(l->fd);
	if (l->out)
		bs_wipe(l->out, LEG_READ_MAX);
	free(l->out);
	free(l->in);
	if (l->near)
		l->near->gone(l->relay);
	free(l);
}

/* The port: a session as the relay of this worker sees it. */

static void port_opened(void *ctx, struct bs_gw_leg *relay, const struct bs_gw_near *near)
{
	struct bs_session *s = ctx;

	s->leg->relay = relay;
	s->leg->near = near;
}

static bs_ssize port_read(void *ctx, uint8_t *buf, size_t cap)
{
	struct bs_session *s = ctx;
	bs_ssize n = read_records(s, buf, cap);

	if (n >= 0 || n == BS_EAGAIN)
		return n;
	if (n == BS_ECLOSED)
		return 0;
	bs_count(s->gate->w->counters, BS_C_gate_broken);
	return BS_EIO;
}

static bs_ssize port_write(void *ctx, const uint8_t *buf, size_t len)
{
	struct bs_session *s = ctx;
	bs_ssize n = bs_tls_write(s->tls, buf, len);

	if (n >= 0 || n == BS_EAGAIN)
		return n;
	bs_count(s->gate->w->counters, BS_C_gate_broken);
	return BS_EIO;
}

static void port_watch(void *ctx, bool readable, bool writable)
{
	struct bs_session *s = ctx;

	s->leg->readable = readable;
	s->leg->writable = writable;
	bs__session_resume(s);
}

static void port_shutdown(void *ctx)
{
	const struct bs_session *s = ctx;

	bs_tls_close(s->tls);
}

static void port_close(void *ctx)
{
	struct bs_session *s = ctx;

	bs_tls_close(s->tls);
	bs__session_end(s);
}

static const struct bs_gw_port port = { .opened = port_opened,
					.read = port_read,
					.write = port_write,
					.watch = port_watch,
					.shutdown = port_shutdown,
					.close = port_close };

/** One end for us, the other for the holder of the connection. */
static int open_pair(struct bs_gate_leg *l, struct bs_msg_gw_leg *m)
{
	int fd[2];
	int err;

	l->out = malloc(LEG_READ_MAX);
	l->in = malloc(LEG_READ_MAX);
	err = l->out && l->in ? bs_tcp_pair(fd) : BS_ENOMEM;
	if (err != BS_OK)
		return err;
	l->fd = fd[0];
	ev_io_init(&l->io, on_relay, l->fd, 0);
	ev_set_priority(&l->io, EV_MINPRI);
	m->fd = fd[1];
	return BS_OK;
}

static int open_leg(struct bs_session *s, const struct bs_gw_hello *h, const uint8_t *hello)
{
	struct bs_worker *w = s->gate->w;
	unsigned holder = bs_worker_of_nsi(w, h->nsi_sp);
	struct bs_gate_leg *l = calloc(1, sizeof(*l));
	struct bs_message m;
	int err = BS_OK;

	if (!l)
		return BS_ENOMEM;
	l->s = s;
	l->fd = -1;
	s->leg = l;
	s->state = BS_SESSION_LEG;
	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_GW_LEG;
	m.gate = (uint8_t)w->index;
	m.u.gw_leg.fd = -1;
	m.u.gw_leg.tls = true;
	m.u.gw_leg.client_hash = s->client_hash;
	m.u.gw_leg.peer = s->peer;
	memcpy(m.u.gw_leg.hello, hello, sizeof(m.u.gw_leg.hello));
	if (holder == w->index && w->gateway) {
		l->port = true;
		m.u.gw_leg.port = &port;
		m.u.gw_leg.ctx = s;
	} else {
		err = open_pair(l, &m.u.gw_leg);
	}
	if (err == BS_OK) {
		err = bs_worker_send(w, holder, &m);
		if (err != BS_OK)
			bs_tcp_close(m.u.gw_leg.fd);
	}
	bs_wipe(&m, sizeof(m));
	/* Nobody may have expected it. */
	if (s->state == BS_SESSION_LEG)
		watch(s);
	return err;
}

void bs__gate_leg_start(struct bs_session *s, const struct bs_packet *p)
{
	struct bs_counters *c = s->gate->w->counters;
	struct bs_gw_hello h;

	if (bs_gw_hello_decode(p, &h) != BS_OK || p->len != BS_GW_HELLO_LEN) {
		bs_count(c, BS_C_gateway_malformed);
		bs__gate_error(s, BS_ST_MALFORMED, "GW_CONN_U: numbers or length do not fit");
		return;
	}
	bs_count(c, BS_C_gate_legs);
	if (open_leg(s, &h, p->bytes) != BS_OK) {
		bs_count(c, BS_C_gateway_descriptors);
		bs__session_end(s);
	}
	bs_wipe(&h, sizeof(h));
}
