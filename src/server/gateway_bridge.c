/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_bridge.c - two legs of one connection, and what may pass between them.
 *
 * The relay has no key: it cuts the streams into packets, looks at their headers, and towards the
 * device at their lists, and passes them on unchanged.  It reads from a leg only while nothing
 * waits for the other one, so a slow reader slows down the sender and nothing grows.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "net/tcp.h"
#include "server/gateway_internal.h"
#include "server/relay.h"
#include "server/roles.h"
#include "wire/gate.h"

/** In CONNECTION_INFO and in attempts: through a TCP relay. */
#define PATH_TCP_RELAY 4u
/** Bridges that one tick looks at, at least, and ticks in which all are seen. */
#define SWEEP_MIN   64u
#define SWEEP_TICKS 20u

static struct bs_gw_bridge *bridge_of(const struct bs_gateway *g, uint32_t i)
{
	return bs_pool_get(&g->bridges, i);
}

static struct bs_gw_leg *other(const struct bs_gw_leg *l)
{
	return &l->b->leg[l->side == BS_GW_DEVICE ? BS_GW_CLIENT_SIDE : BS_GW_DEVICE];
}

void bs__gw_bridge_end(struct bs_gateway *g, struct bs_gw_bridge *b)
{
	if (!b->live)
		return;
	for (unsigned i = 0; i < BS_GW_SIDES; i++)
		bs__gw_leg_close(g, &b->leg[i]);
	if (b->joined)
		bs_count(g->w->counters, BS_C_gateway_closed);
	if (b->flow.open)
		bs_relay_flow_close(bs__relay_limit(g->w->roles), &b->flow);
	/* The connection goes on without: its record forgets the bridge when it ends itself, so
	 * the slot stays taken until then. */
	bs_wipe(b->id, sizeof(b->id));
	b->live = false;
	bs_count_set(g->w->counters, BS_C_gateway_bridges, g->bridges.n);
}

/** Watch a leg for what can be done with it. */
static void watch(struct bs_gateway *g, struct bs_gw_leg *l)
{
	const struct bs_gw_leg *o = other(l);
	int events = 0;

	/* Before the pair is complete only a hang-up matters. */
	if (!l->eof && o->out_len == 0 && !l->held)
		events |= EV_READ;
	if (l->out_len > 0)
		events |= EV_WRITE;
	bs__gw_watch(g, l, events);
}

static void watch_both(struct bs_gateway *g, struct bs_gw_bridge *b)
{
	watch(g, &b->leg[BS_GW_DEVICE]);
	watch(g, &b->leg[BS_GW_CLIENT_SIDE]);
}

/** All of one direction is through: say so to the receiver, and end when both are. */
static void pass_eof(struct bs_gateway *g, struct bs_gw_bridge *b)
{
	for (unsigned i = 0; i < BS_GW_SIDES; i++) {
		struct bs_gw_leg *l = &b->leg[i];
		struct bs_gw_leg *o = other(l);

		if (l->eof && o->here && o->out_len == 0 && !l->held && !o->shut)
			bs__gw_shutdown(o);
	}
	if (b->leg[BS_GW_DEVICE].shut && b->leg[BS_GW_CLIENT_SIDE].shut)
		bs__gw_bridge_end(g, b);
}

/** What a leg sent, cut into packets; those that may not pass are left out in place. */
struct cut {
	size_t pass;      /**< bytes at the front that go to the other leg */
	size_t used;      /**< bytes looked at; the rest is the beginning of a packet */
	uint32_t packets; /**< in pass */
	bool broken;      /**< the stream cannot be followed */
};

static void cut_stream(struct bs_gateway *g, const struct bs_gw_leg *l, size_t len, struct cut *c)
{
	bool to_device = l->side == BS_GW_CLIENT_SIDE;

	memset(c, 0, sizeof(*c));
	for (;;) {
		uint8_t *at = g->buf + c->used;
		size_t left = len - c->used;
		bs_ssize n = bs_gw_frame_len(at, left, BS_PACKET_MAX);

		if (n == BS_EAGAIN || (n > 0 && (size_t)n > left))
			return;
		if (n < 0) {
			c->broken = true;
			return;
		}
		c->used += (size_t)n;
		if (bs_gw_data_check(at, (size_t)n, l->b->nsi, to_device) != BS_OK) {
			bs_count(g->w->counters, BS_C_gateway_dropped);
			continue;
		}
		if (c->pass + (size_t)n != c->used)
			memmove(g->buf + c->pass, at, (size_t)n);
		c->pass += (size_t)n;
		c->packets++;
	}
}

/** Keep the beginning of a packet until the rest comes.  False without memory. */
static bool keep_rest(struct bs_gateway *g, struct bs_gw_leg *l, size_t from, size_t len)
{
	if (len > 0 && !l->in) {
		l->in = malloc(BS_PACKET_MAX);
		if (!l->in) {
			bs_count(g->w->counters, BS_C_memory_failed);
			return false;
		}
	}
	if (len > 0)
		memcpy(l->in, g->buf + from, len);
	l->in_len = (uint16_t)len;
	if (len == 0) {
		free(l->in);
		l->in = NULL;
	}
	return true;
}

/** For whoever asks why a connection is relayed. */
static void note_data(struct bs_gateway *g, const struct bs_gw_bridge *b)
{
	struct bs_roles *r = g->w->roles;
	uint32_t i;

	if (bs_nsi_table_get(&r->nsi, b->nsi, &i) == BS_NSI_CONN)
		bs__attempt_path(r, bs_pool_get(&r->conns, i), BS_STEP_RELAY_DATA, PATH_TCP_RELAY);
}

/** Tell a client's leg why nothing comes of it; a device knows no such packet. */
static void say_error(const struct bs_gw_leg *l, uint16_t code, const char *text)
{
	struct bs_gate_error m;
	uint8_t buf[128];
	bs_ssize n;

	/* In the middle of a packet it would be read as part of that. */
	if (!l->here || l->side != BS_GW_CLIENT_SIDE || l->out_len > 0)
		return;
	memset(&m, 0, sizeof(m));
	m.h.cp = l->b->nsi_cp;
	m.h.sp = l->b->nsi;
	m.status.code = code;
	m.status.text.ptr = (const uint8_t *)text;
	m.status.text.len = strlen(text);
	n = bs_gate_error_encode(&m, buf, sizeof(buf));
	/* One small packet into an empty socket; if even that fails the close says enough. */
	if (n > 0 && bs__gw_write(l, buf, (size_t)n) < 0)
		return;
}

/** What was passed on, for the counters and for whoever follows the attempt. */
static void note_passed(struct bs_gateway *g, const struct bs_gw_leg *l, uint32_t packets,
			size_t bytes)
{
	bool up = l->side == BS_GW_CLIENT_SIDE;
	struct bs_counters *k = g->w->counters;

	if (packets > 0 && !l->b->carried) {
		l->b->carried = true;
		note_data(g, l->b);
	}
	bs_count_add(k, up ? BS_C_gateway_to_device_packets : BS_C_gateway_to_client_packets,
		     packets);
	bs_count_add(k, up ? BS_C_gateway_to_device_bytes : BS_C_gateway_to_client_bytes, bytes);
}

/** Ask the limiter packet by packet; bytes that may go now.  What is left gets its turn later. */
static size_t allowed(struct bs_gateway *g, const struct bs_gw_leg *l, const uint8_t *buf,
		      size_t len)
{
	struct bs_relay_limit *limit = bs__relay_limit(g->w->roles);
	enum bs_relay_dir dir = l->side == BS_GW_CLIENT_SIDE ? BS_RELAY_UP : BS_RELAY_DOWN;
	uint32_t packets = 0;
	size_t off = 0;

	while (off < len) {
		size_t n = (size_t)bs_gw_frame_len(buf + off, len - off, BS_PACKET_MAX);

		if (bs_relay_account(limit, &l->b->flow, dir, n, g->w->roles->now_ms) !=
		    BS_RELAY_PASS)
			break;
		off += n;
		packets++;
	}
	note_passed(g, l, packets, off);
	return off;
}

/** The same for a run of packets that was counted; at once where no limit is in the way. */
static size_t allowed_run(struct bs_gateway *g, const struct bs_gw_leg *l, const struct cut *c)
{
	enum bs_relay_dir dir = l->side == BS_GW_CLIENT_SIDE ? BS_RELAY_UP : BS_RELAY_DOWN;

	if (!bs_relay_account_run(bs__relay_limit(g->w->roles), &l->b->flow, dir, c->packets,
				  c->pass, g->w->roles->now_ms))
		return allowed(g, l, g->buf, c->pass);
	note_passed(g, l, c->packets, c->pass);
	return c->pass;
}

/** Pass on what may go of the whole packets in g->buf, keep the rest.  False: end the bridge. */
static bool forward(struct bs_gateway *g, struct bs_gw_leg *l, const struct cut *c)
{
	struct bs_gw_leg *o = other(l);
	size_t now = allowed_run(g, l, c);

	/* Nobody is there any more to take it. */
	if (!o->here || o->shut)
		return true;
	if (now > 0 && !bs__gw_send(g, o, g->buf, now))
		return false;
	if (now == c->pass)
		return true;
	l->held = malloc(c->pass - now);
	if (!l->held) {
		bs_count(g->w->counters, BS_C_memory_failed);
		return false;
	}
	memcpy(l->held, g->buf + now, c->pass - now);
	l->held_off = 0;
	l->held_len = (uint32_t)(c->pass - now);
	return true;
}

/** The limiter's turn for one direction. */
static bool on_resume(void *ctx, struct bs_relay_flow *f, enum bs_relay_dir dir)
{
	struct bs_gw_bridge *b = ctx;
	struct bs_gateway *g = b->g;
	struct bs_gw_leg *l = &b->leg[dir == BS_RELAY_UP ? BS_GW_CLIENT_SIDE : BS_GW_DEVICE];
	size_t n;

	(void)f;
	if (!l->held)
		return false;
	/* A slow reader gives its turn away. */
	if (other(l)->out_len > 0)
		return true;
	n = allowed(g, l, l->held + l->held_off, l->held_len);
	if (n > 0 && !bs__gw_send(g, other(l), l->held + l->held_off, n)) {
		bs__gw_bridge_end(g, b);
		return false;
	}
	l->held_off += (uint32_t)n;
	l->held_len -= (uint32_t)n;
	if (l->held_len > 0)
		return true;
	free(l->held);
	l->held = NULL;
	pass_eof(g, b);
	if (b->live)
		watch_both(g, b);
	return false;
}

/** The limiter ends it: idle, too old, or the client's month is used up. */
static void on_end(void *ctx, struct bs_relay_flow *f, enum bs_relay_end why)
{
	struct bs_gw_bridge *b = ctx;
	struct bs_gateway *g = b->g;

	(void)f;
	bs_count(g->w->counters, why == BS_RELAY_END_IDLE ? BS_C_gateway_idle : BS_C_gateway_limit);
	say_error(&b->leg[BS_GW_CLIENT_SIDE],
		  why == BS_RELAY_END_IDLE ? BS_ST_CLOSED : BS_ST_RELAY_FULL,
		  why == BS_RELAY_END_IDLE  ? "the relay was idle for too long"
		  : why == BS_RELAY_END_AGE ? "relayed for as long as it may be"
					    : "this month's volume is used up");
	bs__gw_bridge_end(g, b);
}

static const struct bs_relay_flow_ops flow_ops = { .resume = on_resume, .end = on_end };

/** How much a leg may be read in this turn.  What it does not get it is told of again in the next
 *  one, where the loop serves it before those that had something. */
static size_t share(struct bs_gateway *g)
{
	if (g->turn != g->w->now) {
		g->turn = g->w->now;
		g->turn_left = BS_GW_TURN_MAX;
	}
	return g->turn_left < sizeof(g->buf) ? 0 : sizeof(g->buf);
}

/** Read once from a leg and pass on what may pass. */
static void pump(struct bs_gateway *g, struct bs_gw_leg *l)
{
	struct bs_gw_bridge *b = l->b;
	size_t cap = share(g);
	size_t had = l->in_len;
	struct cut c;
	bs_ssize n;

	if (cap == 0)
		return;
	if (had > 0)
		memcpy(g->buf, l->in, had);
	n = bs__gw_read(l, g->buf + had, cap - had);
	if (n == BS_EAGAIN)
		return;
	/* A leg that goes before its partner came leaves nothing to relay. */
	if (n < 0 || (n == 0 && !b->joined)) {
		bs__gw_bridge_end(g, b);
		return;
	}
	if (n == 0) {
		l->eof = true;
		b->deadline = g->w->now + BS_GW_LINGER;
		pass_eof(g, b);
		return;
	}
	g->turn_left -= (uint32_t)n;
	g->reads++;
	g->read_bytes += (uint32_t)n;
	/* Nobody may speak before the answer; there is nobody to pass it to either. */
	if (!b->joined) {
		bs_count(g->w->counters, BS_C_gateway_malformed);
		bs__gw_bridge_end(g, b);
		return;
	}
	cut_stream(g, l, had + (size_t)n, &c);
	if (c.broken)
		bs_count(g->w->counters, BS_C_gateway_malformed);
	if (c.broken || !keep_rest(g, l, c.used, had + (size_t)n - c.used) ||
	    (c.pass > 0 && !forward(g, l, &c)))
		bs__gw_bridge_end(g, b);
}

static void ready(struct bs_gateway *g, struct bs_gw_leg *l, bool readable, bool writable)
{
	struct bs_gw_bridge *b = l->b;

	if (writable && !bs__gw_flush(l)) {
		bs__gw_bridge_end(g, b);
		return;
	}
	if (readable && !l->eof && !l->held && other(l)->out_len == 0)
		pump(g, l);
	if (b->live)
		pass_eof(g, b);
	if (b->live)
		watch_both(g, b);
}

void bs__gw_on_leg(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct bs_gw_leg *l = (struct bs_gw_leg *)((char *)io - offsetof(struct bs_gw_leg, io));

	(void)loop;
	ready(io->data, l, events & EV_READ, events & EV_WRITE);
}

static void near_ready(struct bs_gw_leg *l, bool readable, bool writable)
{
	if (l->here)
		ready(l->b->g, l, readable, writable);
}

static void near_gone(struct bs_gw_leg *l)
{
	/* When the pair closes its legs it knows already. */
	if (!l->here)
		return;
	l->port = NULL;
	bs__gw_bridge_end(l->b->g, l->b);
}

const struct bs_gw_near bs__gw_near = { .ready = near_ready, .gone = near_gone };

/* Pairing. */

/** Both legs are there: answer them, and bytes may flow. */
static bool join(struct bs_gateway *g, struct bs_gw_bridge *b)
{
	static const uint8_t flags[BS_GW_SIDES] = { BS_GW_RELIABLE, BS_GW_RELIABLE | BS_GW_CLIENT };
	struct bs_gw_answer m;
	uint8_t buf[BS_GW_ANSWER_LEN];

	/* Who may relay how much is one question for all relays. */
	if (bs__relay_flow_open(g->w->roles, b->nsi, &b->flow, b->tls ? BS_RELAY_TLS : BS_RELAY_TCP,
				&flow_ops, b) != BS_OK) {
		say_error(&b->leg[BS_GW_CLIENT_SIDE], BS_ST_RELAY_FULL, "the relay is full");
		return false;
	}
	b->joined = true;
	b->deadline = 0;
	bs_count(g->w->counters, BS_C_gateway_joined);
	bs__step(g->w->roles, b->attempt, b->number, BS_STEP_GATEWAY_BOTH, 0);
	memset(&m, 0, sizeof(m));
	m.nsi_cp = b->nsi_cp;
	m.nsi_sp = b->nsi;
	m.has_co = true;
	memcpy(m.nsi_co, b->nsi_co, sizeof(m.nsi_co));
	for (unsigned i = 0; i < BS_GW_SIDES; i++) {
		bs_ssize n;

		m.flags = flags[i];
		n = bs_gw_answer_encode(buf, sizeof(buf), &m);
		if (n < 0 || !bs__gw_send(g, &b->leg[i], buf, (size_t)n))
			return false;
	}
	return true;
}

/** The bridge of a handshake, when all of it fits and this side has not come before. */
static struct bs_gw_bridge *find(struct bs_gateway *g, const struct bs_gw_hello *h, bool client)
{
	struct bs_roles *r = g->w->roles;
	const struct bs_conn_record *conn;
	struct bs_gw_bridge *b;
	uint32_t i;

	if (bs_nsi_table_get(&r->nsi, h->nsi_sp, &i) != BS_NSI_CONN)
		return NULL;
	conn = bs_pool_get(&r->conns, i);
	if (conn->bridge == BS_POOL_NONE)
		return NULL;
	b = bridge_of(g, conn->bridge);
	if (!b->live || b->nsi != h->nsi_sp || b->nsi_cp != h->nsi_cp ||
	    memcmp(b->nsi_co, h->nsi_co, sizeof(b->nsi_co)) != 0 ||
	    !bs_equal_secret(b->id, h->id, sizeof(b->id)))
		return NULL;
	return b->leg[client ? BS_GW_CLIENT_SIDE : BS_GW_DEVICE].used ? NULL : b;
}

static void attach(struct bs_gateway *g, struct bs_gw_bridge *b, struct bs_gw_leg *l,
		   const struct bs_msg_gw_leg *m)
{
	b->tls = b->tls || m->tls;
	bs__gw_leg_open(g, l, m);
	bs__step_at(g->w->roles, b->attempt, b->number, BS_STEP_GATEWAY_LEG, &m->peer,
		    l->side == BS_GW_DEVICE);
	if (other(l)->here && !join(g, b)) {
		bs__gw_bridge_end(g, b);
		return;
	}
	watch_both(g, b);
}

void bs__gw_leg(struct bs_gateway *g, const struct bs_msg_gw_leg *leg)
{
	struct bs_gw_bridge *b = NULL;
	struct bs_gw_hello h;
	struct bs_packet p;
	bool client;

	memset(&h, 0, sizeof(h));
	if (bs_packet_decode(leg->hello, sizeof(leg->hello), &p) == BS_OK &&
	    bs_gw_hello_decode(&p, &h) == BS_OK) {
		client = (h.flags & BS_GW_CLIENT) != 0;
		b = find(g, &h, client);
		/* Over TLS it is known who speaks: the id of another client does not help. */
		if (b && leg->tls && (!client || b->client_hash != leg->client_hash))
			b = NULL;
	}
	bs_wipe(&h, sizeof(h));
	if (!b) {
		bs_count(g->w->counters, BS_C_gateway_unknown);
		if (leg->port)
			leg->port->close(leg->ctx);
		else
			bs_tcp_close(leg->fd);
		return;
	}
	attach(g, b, &b->leg[client ? BS_GW_CLIENT_SIDE : BS_GW_DEVICE], leg);
}

/* Time. */

static void bridge_tick(struct bs_gateway *g, struct bs_gw_bridge *b, bs_time now)
{
	if (b->deadline == 0 || BS_TIME_DIFF(now, b->deadline) < 0)
		return;
	if (!b->joined) {
		bs_count(g->w->counters, BS_C_gateway_alone);
		say_error(&b->leg[BS_GW_CLIENT_SIDE], BS_ST_CANNOT_ANSWER,
			  "the device did not come to the relay in time");
	}
	bs__gw_bridge_end(g, b);
}

/** End as many pairs as are due: the client is told, the device sees its stream end, and both look
 *  for another way. */
static void drain_some(struct bs_gateway *g, bs_time now)
{
	bs_time_diff ago = BS_TIME_DIFF(now, g->drain_at);
	uint64_t n = g->bridges.used;

	if (ago < 0)
		return;
	if ((bs_time)ago < g->drain_span)
		n = n * ((uint64_t)ago / BS_TIME_MS(1) + 1) / (g->drain_span / BS_TIME_MS(1) + 1);
	for (; g->drained < n; g->drained++) {
		struct bs_gw_bridge *b = bridge_of(g, g->drained);

		if (!b->live)
			continue;
		say_error(&b->leg[BS_GW_CLIENT_SIDE], BS_ST_DRAINING,
			  "the server hands over or stops");
		bs__gw_bridge_end(g, b);
	}
}

void bs__gw_bridges_tick(struct bs_gateway *g, bs_time now)
{
	uint32_t n = g->bridges.used / SWEEP_TICKS + SWEEP_MIN;

	if (g->draining)
		drain_some(g, now);

	if (n > g->bridges.used)
		n = g->bridges.used;
	for (uint32_t i = 0; i < n; i++) {
		struct bs_gw_bridge *b;

		if (g->sweep >= g->bridges.used)
			g->sweep = 0;
		b = bridge_of(g, g->sweep++);
		if (b->live)
			bridge_tick(g, b, now);
	}
}

/* What the connection's record asks for. */

int bs_gateway_open(struct bs_gateway *g, uint32_t nsi, uint32_t nsi_cp, uint64_t client_hash,
		    uint64_t attempt, uint32_t number, struct bs_gateway_ticket *t)
{
	const struct bs_crypto *c = g->w->crypto;
	uint32_t i = bs_pool_take(&g->bridges);
	struct bs_gw_bridge *b;

	if (i == BS_POOL_NONE)
		return BS_EFULL;
	b = bridge_of(g, i);
	if (c->random(c->ctx, b->id, sizeof(b->id)) != BS_OK ||
	    c->random(c->ctx, b->nsi_co, sizeof(b->nsi_co)) != BS_OK) {
		bs_pool_give(&g->bridges, i);
		return BS_ERANDOM;
	}
	b->g = g;
	b->live = true;
	b->nsi = nsi;
	b->nsi_cp = nsi_cp;
	b->client_hash = client_hash;
	b->attempt = attempt;
	b->number = number;
	for (unsigned s = 0; s < BS_GW_SIDES; s++) {
		b->leg[s].fd = -1;
		b->leg[s].side = (uint8_t)s;
		b->leg[s].b = b;
	}
	t->bridge = i;
	t->port = bs_gateway_port(g->shared);
	memcpy(t->id, b->id, sizeof(t->id));
	memcpy(t->nsi_co, b->nsi_co, sizeof(t->nsi_co));
	bs_count(g->w->counters, BS_C_gateway_offered);
	bs_count_set(g->w->counters, BS_C_gateway_bridges, g->bridges.n);
	return BS_OK;
}

void bs_gateway_accepted(struct bs_gateway *g, uint32_t bridge)
{
	struct bs_gw_bridge *b;

	if (bridge == BS_POOL_NONE)
		return;
	b = bridge_of(g, bridge);
	if (b->live && !b->joined)
		b->deadline = g->w->now + g->w->conf->gateway_wait;
}

void bs_gateway_close(struct bs_gateway *g, uint32_t bridge)
{
	struct bs_gw_bridge *b;

	if (bridge == BS_POOL_NONE)
		return;
	b = bridge_of(g, bridge);
	if (b->nsi == 0)
		return;
	if (b->live)
		say_error(&b->leg[BS_GW_CLIENT_SIDE], BS_ST_CLOSED, "the connection was closed");
	bs__gw_bridge_end(g, b);
	bs_pool_give(&g->bridges, bridge);
	bs_count_set(g->w->counters, BS_C_gateway_bridges, g->bridges.n);
}
