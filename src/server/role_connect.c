/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting a client: U_CONNECT to the device, and the connection's record afterwards. */
#include "server/roles.h"

#include <string.h>

#include "net/udp.h"
#include "server/gateway.h"
#include "server/relay.h"
#include "server/role_auth.h"
#include "server/worker_loop.h"
#include "util/endpoint.h"

enum {
	/* A device forgets a connection 20 s after U_CONNECT when nothing follows. */
	ACCEPTED_LIFE_MS = 25000,
	/* Without the client's session nobody tells us the end but the device, whose word may be
	 * lost. */
	ORPHAN_LIFE_MS = 600000,
	CP_TRIES = 16,
	START_MAX_MS = 1000,
	CP_MIN = 100, /* below that a number means something else on a device's local port */
};

static struct bs_conn_record *conn_of(const struct bs_roles *r, uint32_t i)
{
	return bs_pool_get(&r->conns, i);
}

static struct bs_ask *ask_of(const struct bs_roles *r, uint32_t i)
{
	return bs_pool_get(&r->asks, i);
}

static void count_live(struct bs_roles *r)
{
	bs_count_set(r->w->counters, BS_C_connections_live, r->conns.n);
}

void bs__connect_refuse(struct bs_roles *r, const struct bs_message *m, uint16_t status,
			enum bs_connect_reason reason)
{
	struct bs_message a;

	memset(&a, 0, sizeof(a));
	a.kind = BS_MSG_CONNECT_RESULT;
	a.number = m->number;
	a.ref = m->ref;
	a.gate = m->gate;
	a.u.result.attempt = m->u.connect.attempt;
	a.u.result.status = status;
	a.u.result.reason = (uint8_t)reason;
	bs__step(r, m->u.connect.attempt, m->number, BS_STEP_REFUSED, status);
	bs__attempt_refused(r, m, status);
	(void)bs_worker_send(r->w, m->gate, &a);
}

/* Fill what the client has to know about the device. */
static void describe_device(const struct bs_roles *r, uint32_t device,
			    struct bs_msg_connect_result *out)
{
	const struct bs_device_hot *hot = &r->slab.hot[device];
	const struct bs_device_cold *cold = &r->slab.cold[device];
	unsigned i;

	out->ext = cold->ext;
	out->caps = cold->caps;
	out->global = hot->peer;
	bs_endpoint_set_ip4(&out->priv, cold->priv_ip4, cold->priv_port);
	if (!bs_endpoint_is_set(&out->priv))
		memset(&out->priv, 0, sizeof(out->priv));
	out->nat_type = hot->flags & BS_SLAB_SYMMETRIC ? BS_IPX_NAT_SYMMETRIC : 0;
	if (cold->ep6 != BS_POOL_NONE) {
		const struct bs_device_ep6 *side = bs_pool_get(&r->ep6, cold->ep6);

		for (i = 0; i < side->n; i++)
			out->ep6[out->n_ep6++] = side->ep[i];
	}
}

static void describe_relay(const struct bs_roles *r, uint32_t i, struct bs_msg_connect_result *out)
{
	const struct bs_relay *relay = bs__relay_of(r, i);

	if (!relay || !relay->offered)
		return;
	out->relay = true;
	memcpy(out->relay_key, relay->key, sizeof(out->relay_key));
}

static void fill_result(const struct bs_roles *r, uint32_t i, uint16_t status,
			enum bs_connect_reason reason, struct bs_message *m)
{
	const struct bs_conn_record *conn = conn_of(r, i);

	memset(m, 0, sizeof(*m));
	m->kind = BS_MSG_CONNECT_RESULT;
	m->number = conn->number;
	m->ref = conn->ref;
	m->gate = conn->gate;
	m->u.result.attempt = conn->attempt;
	m->u.result.status = status;
	m->u.result.reason = (uint8_t)reason;
	if (status == BS_ST_OK) {
		const struct bs_ask *ask = ask_of(r, conn->ask);

		m->u.result.nsi = conn->nsi;
		m->u.result.nsi_cp = conn->nsi_cp;
		m->u.result.suite = ask->suite;
		if (!ask->plain)
			m->u.result.block = ask->block;
		if (conn->bridge != BS_POOL_NONE) {
			m->u.result.has_gw = true;
			m->u.result.gw_port = ask->gw.port;
			memcpy(m->u.result.gw_id, ask->gw.id, sizeof(ask->gw.id));
			memcpy(m->u.result.nsi_co, ask->gw.nsi_co, sizeof(ask->gw.nsi_co));
		}
		describe_device(r, conn->device, &m->u.result);
		describe_relay(r, i, &m->u.result);
	}
}

/* A gate on this very worker takes the message before the call returns, and may at once disconnect
 * what it hears of: whoever calls this is done with the connection's record. */
static void tell_gate(struct bs_roles *r, struct bs_message *m)
{
	if (bs_worker_send(r->w, m->gate, m) != BS_OK && m->kind == BS_MSG_CONNECT_RESULT)
		bs_count(r->w->counters, BS_C_connect_full);
	if (m->kind == BS_MSG_CONNECT_RESULT)
		bs_wipe(&m->u.result, sizeof(m->u.result));
}

/* The D block has served: the device has it, and it went out to the client. */
static void drop_ask(struct bs_roles *r, struct bs_conn_record *conn)
{
	if (conn->ask == BS_POOL_NONE)
		return;
	bs_connect_server_fini(&ask_of(r, conn->ask)->c);
	bs_pool_give(&r->asks, conn->ask);
	conn->ask = BS_POOL_NONE;
}

static void unlink_conn(struct bs_roles *r, uint32_t i)
{
	struct bs_device_cold *cold = &r->slab.cold[conn_of(r, i)->device];
	uint32_t *link = &cold->conns;

	while (*link != i && *link != BS_POOL_NONE)
		link = &conn_of(r, *link)->next;
	if (*link == i) {
		*link = conn_of(r, i)->next;
		cold->n_conns--;
		bs__auth_disturb(r, conn_of(r, i)->device);
	}
}

static void end_conn(struct bs_roles *r, uint32_t i)
{
	struct bs_conn_record *conn = conn_of(r, i);

	drop_ask(r, conn);
	bs__relay_end(r, i);
	if (conn->bridge != BS_POOL_NONE)
		bs_gateway_close(r->w->gateway, conn->bridge);
	unlink_conn(r, i);
	bs_wheel_clear(&r->conn_wheel, i);
	bs_nsi_table_remove(&r->nsi, conn->nsi);
	bs__step(r, conn->attempt, conn->number, BS_STEP_CLOSED, 0);
	bs__attempt_end(r, conn);
	bs_pool_give(&r->conns, i);
	bs_count(r->w->counters, BS_C_connections_closed);
	count_live(r);
}

/* Also when the session is gone: the gate keeps a record as long as there is a connection, so that
 * a revocation finds it.  Status 0: forget it, the client is not told. */
static void fill_closed(const struct bs_conn_record *conn, uint16_t status, struct bs_message *m)
{
	memset(m, 0, sizeof(*m));
	m->kind = BS_MSG_CONN_CLOSED;
	m->number = conn->number;
	m->ref = conn->ref;
	m->gate = conn->gate;
	m->u.conn.nsi = conn->nsi;
	m->u.conn.status = status;
}

/* End a connection that was open, and say so. */
static void close_conn(struct bs_roles *r, uint32_t i, uint16_t status)
{
	struct bs_message m;

	fill_closed(conn_of(r, i), status, &m);
	end_conn(r, i);
	tell_gate(r, &m);
}

/* End a request that was never answered, or with a refusal. */
static void fail_ask(struct bs_roles *r, uint32_t i, uint16_t status, enum bs_connect_reason reason)
{
	struct bs_message m;

	fill_result(r, i, status, reason, &m);
	end_conn(r, i);
	tell_gate(r, &m);
}

void bs__conn_end_all(struct bs_roles *r, uint32_t device, uint16_t status, bool tell)
{
	struct bs_device_cold *cold = &r->slab.cold[device];

	while (cold->conns != BS_POOL_NONE) {
		uint32_t i = cold->conns;

		if (conn_of(r, i)->state == BS_CONN_ASKING)
			fail_ask(r, i, tell ? status : BS_ST_REATTACHING, BS_CR_REPLACED);
		else
			close_conn(r, i, tell ? status : 0);
	}
}

/* The same client asks the same thing again: the attempt that runs goes on for both. */
static uint32_t find_repeat(const struct bs_roles *r, uint32_t device, const struct bs_message *m)
{
	uint32_t i = r->slab.cold[device].conns;

	for (; i != BS_POOL_NONE; i = conn_of(r, i)->next) {
		const struct bs_conn_record *conn = conn_of(r, i);

		if (conn->attempt == m->u.connect.attempt &&
		    conn->client_hash == m->u.connect.client_hash)
			return i;
	}
	return BS_POOL_NONE;
}

static void answer_repeat(struct bs_roles *r, uint32_t i, const struct bs_message *m)
{
	struct bs_conn_record *conn = conn_of(r, i);

	bs_count(r->w->counters, BS_C_connect_repeated);
	if (conn->state != BS_CONN_ASKING) {
		/* Its key went out once and is gone. */
		bs__connect_refuse(r, m, BS_ST_CANNOT_ANSWER, BS_CR_REPEATED);
		return;
	}
	conn->ref = m->ref;
	conn->gate = m->gate;
}

/* A random number that is no live connection's, or the device would not answer. */
static uint32_t make_cp(struct bs_roles *r)
{
	unsigned tries;
	uint32_t index;

	for (tries = 0; tries < CP_TRIES; tries++) {
		uint32_t cp = bs__random32(r);

		if (cp >= CP_MIN && bs_nsi_table_get(&r->nsi, cp, &index) == BS_NSI_NONE)
			return cp;
	}
	return 0;
}

/* 256 bytes suit every build; our own device library takes 272, and where it streams or knows the
 * TCP relay, any.  A stock device that knows the relay is not the smallest either. */
static size_t size_limit(const struct bs_device_cold *cold)
{
	if (cold->ext & (BS_EXT_GCM | BS_EXT_FAST_STREAM))
		return BS_CONNECT_REQUEST_MAX;
	if (cold->caps & BS_CAP_GW_CLEAR)
		return cold->ext ? BS_CONNECT_REQUEST_MAX : BS_PACKET_SMALL;
	return cold->ext ? BS_PACKET_SMALL : BS_PACKET_SAFE;
}

/* Where a device finds the relay: on the address that it attached to. */
static struct bs_endpoint relay_address(const struct bs_roles *r, uint32_t device)
{
	const struct bs_local *local = &r->local[r->slab.hot[device].local];
	struct bs_endpoint ep = bs_worker_public(r->w, BS_SOCKET_ATTACH, &local->ep);

	/* GW cannot say an IPv6 address; none stands for that of the attach server. */
	if (!bs_endpoint_is_ip4(&ep))
		bs_endpoint_set_ip4(&ep, 0, 0);
	return ep;
}

/* A place at the TCP relay, when both ends can use it and the request has room for it. */
static void offer_relay(struct bs_roles *r, struct bs_conn_record *conn, struct bs_connect_offer *o,
			const struct bs_message *m, struct bs_gw *gw)
{
	const struct bs_device_cold *cold = &r->slab.cold[conn->device];
	struct bs_gateway_ticket *t = &ask_of(r, conn->ask)->gw;

	if (!r->w->gateway || !r->w->conf->gateway || !m->u.connect.want_gw ||
	    !(cold->caps & BS_CAP_GW_CLEAR) || !bs_connect_gw_fits(&o->m, o->limit))
		return;
	/* A full table costs the relay, not the connection. */
	if (bs_gateway_open(r->w->gateway, conn->nsi, conn->nsi_cp, conn->client_hash,
			    conn->attempt, conn->number, t) != BS_OK)
		return;
	conn->bridge = t->bridge;
	memset(gw, 0, sizeof(*gw));
	gw->ep = relay_address(r, conn->device);
	gw->ep.port = t->port;
	gw->nsi = conn->nsi_cp;
	memcpy(gw->id, t->id, sizeof(gw->id));
	o->m.gw = gw;
	o->m.ipx.has_full = true;
	o->m.ipx.nsi_cp = conn->nsi_cp;
	memcpy(o->m.ipx.nsi_co, t->nsi_co, sizeof(t->nsi_co));
}

/* IPv6 endpoints of the client, the observed one first: not all may fit. */
static uint8_t collect_eps(const struct bs_msg_connect *q, struct bs_ep6 eps[BS_MSG_EP6_MAX + 1])
{
	uint8_t n = 0;
	unsigned i;

	if (q->global.port != 0 && !bs_endpoint_is_ip4(&q->global))
		eps[n++] = (struct bs_ep6){ .ep = q->global, .kind = BS_EP6_OBSERVED };
	for (i = 0; i < q->n_ep6 && i < BS_MSG_EP6_MAX; i++) {
		if (!bs_endpoint_equal(&q->ep6[i], &q->global))
			eps[n++] = (struct bs_ep6){ .ep = q->ep6[i], .kind = BS_EP6_HOST };
	}
	return n;
}

/* Whether the client named anything that IPX can say. */
static bool has_ip4(const struct bs_msg_connect *q)
{
	return q->priv.port != 0 || (q->global.port != 0 && bs_endpoint_is_ip4(&q->global));
}

/* What device and client both speak; a device without a key has nothing to put it in. */
static void choose_ext(const struct bs_device_cold *cold, const struct bs_msg_connect *q,
		       struct bs_ask *ask, struct bs_connect_request *m)
{
	uint32_t both = cold->ext & q->ext;

	ask->suite = ask->plain ? BS_SUITE_NULL : BS_SUITE_AES_CBC;
	if (ask->plain)
		return;
	m->ext = both & (BS_EXT_GCM | BS_EXT_FAST_STREAM | BS_EXT_PAIR);
	if (both & BS_EXT_GCM)
		m->suite = ask->suite = BS_SUITE_AES_GCM;
	if (q->has_pair)
		m->pair = q->pair;
}

/*
 * Both sides should begin at one moment: what arrives before a NAT's own side has spoken may make
 * it choose another port.  The client begins when it has our answer, that is half a round trip to
 * the device and half a one to the client after the device got this.
 */
static uint16_t start_moment(const struct bs_device_hot *hot, const struct bs_msg_connect *q)
{
	uint32_t ms = ((uint32_t)hot->rtt_ms + q->rtt_ms) / 2;

	return ms < START_MAX_MS ? (uint16_t)ms : START_MAX_MS;
}

static int start_ask(struct bs_roles *r, struct bs_conn_record *conn, const struct bs_message *m)
{
	const struct bs_msg_connect *q = &m->u.connect;
	const struct bs_device_hot *hot = &r->slab.hot[conn->device];
	const struct bs_device_cold *cold = &r->slab.cold[conn->device];
	const struct bs_crypto *c = r->w->crypto;
	struct bs_ask *ask = ask_of(r, conn->ask);
	struct bs_ep6 eps[BS_MSG_EP6_MAX + 1];
	uint8_t attempt[8];
	struct bs_connect_offer o;
	struct bs_gw gw;
	int err;

	memset(&o, 0, sizeof(o));
	ask->plain = hot->flags & BS_SLAB_LEGACY;
	if (!ask->plain) {
		err = c->random(c->ctx, ask->block.b, sizeof(ask->block.b));
		if (err)
			return err;
		o.c_key = &cold->c_key;
		o.block.ptr = ask->block.b;
		o.block.len = sizeof(ask->block.b);
	}
	o.m.cp = conn->nsi_cp;
	o.m.sp = hot->nsi;
	o.m.seq = (uint16_t)(bs__random32(r) | 1);
	o.m.ipx.priv = q->priv;
	o.m.ipx.global = q->global;
	o.m.ipx.has_nsi = true;
	o.m.ipx.nsi_sp = conn->nsi;
	o.m.ipx.flags = BS_IPX_ASYNC | (q->nat_type & BS_IPX_NAT_MASK);
	o.m.client_id.ptr = q->client_id;
	o.m.client_id.len = q->client_id_len;
	o.m.fp = q->fp;
	choose_ext(cold, q, ask, &o.m);
	if (cold->ext & BS_EXT_ATTEMPT || o.m.pair) {
		bs_put_u64(attempt, q->attempt);
		o.m.attempt = attempt;
	}
	if (cold->ext & BS_EXT_PATH)
		o.m.start_ms = start_moment(hot, q);
	if (cold->ext & BS_EXT_IP6) {
		o.m.eps = eps;
		o.m.n_eps = collect_eps(q, eps);
	}
	if (!has_ip4(q) && o.m.n_eps == 0)
		o.m.ipx.flags |= BS_IPX_NO_RENDEZVOUS;
	o.limit = size_limit(cold);
	offer_relay(r, conn, &o, m, &gw);
	err = bs_connect_server_start(&ask->c, c, &o, &hot->peer, r->w->conf->connect_retry,
				      r->w->conf->connect_timeout, r->w->now);
	bs_wipe(&gw, sizeof(gw));
	return err;
}

/* A record and a request for it, or the reason why there is none. */
static uint32_t open_conn(struct bs_roles *r, uint32_t device, const struct bs_message *m,
			  enum bs_connect_reason *why)
{
	struct bs_device_cold *cold = &r->slab.cold[device];
	uint32_t i = bs_pool_take(&r->conns);
	struct bs_conn_record *conn;

	*why = BS_CR_TABLE;
	if (i == BS_POOL_NONE)
		return i;
	conn = conn_of(r, i);
	bs_wheel_node_init(&r->conn_wheel, i);
	conn->device = device;
	conn->number = m->number;
	conn->attempt = m->u.connect.attempt;
	conn->client_hash = m->u.connect.client_hash;
	conn->ref = m->ref;
	conn->gate = m->gate;
	conn->info = BS_ATTEMPT_NONE;
	conn->state = BS_CONN_ASKING;
	conn->relay = BS_POOL_NONE;
	conn->bridge = BS_POOL_NONE;
	conn->next = cold->conns;
	cold->conns = i;
	cold->n_conns++;
	conn->ask = bs_pool_take(&r->asks);
	conn->nsi = bs__nsi_take(r, BS_NSI_CONN, i);
	conn->nsi_cp = make_cp(r);
	bs__fill_check(r, BS_FILL_CONNS, r->conns.n, r->conns.cap);
	bs__fill_check(r, BS_FILL_ASKS, r->asks.n, r->asks.cap);
	count_live(r);
	if (conn->ask != BS_POOL_NONE && conn->nsi != 0 && conn->nsi_cp != 0) {
		*why = BS_CR_INTERNAL;
		if (start_ask(r, conn, m) == BS_OK) {
			bs__attempt_begin(r, conn, m);
			bs__relay_offer(r, i, &m->u.connect, ask_of(r, conn->ask)->plain);
			return i;
		}
		bs_count(r->w->counters, BS_C_crypto_failed);
	}
	end_conn(r, i);
	return BS_POOL_NONE;
}

void bs__connect_request(struct bs_roles *r, const struct bs_message *m)
{
	struct bs_counters *c = r->w->counters;
	enum bs_connect_reason why;
	struct bs_device_cold *cold;
	uint32_t device;
	uint32_t i;

	if (!bs__device_find(r, m->u.connect.nsi_attach, m->number, &device)) {
		bs_count(c, BS_C_connect_not_attached);
		bs__connect_refuse(r, m, BS_ST_REATTACHING, BS_CR_REPLACED);
		bs__release(r, m->number, m->u.connect.nsi_attach);
		return;
	}
	cold = &r->slab.cold[device];
	i = find_repeat(r, device, m);
	if (i != BS_POOL_NONE) {
		answer_repeat(r, i, m);
		return;
	}
	if ((r->slab.hot[device].flags & BS_SLAB_LEGACY) && !m->u.connect.allow_plain) {
		bs__connect_refuse(r, m, BS_ST_ENCRYPTION, BS_CR_NONE);
		return;
	}
	if (m->u.connect.has_pair && !(cold->ext & m->u.connect.ext & BS_EXT_PAIR)) {
		bs_count(c, BS_C_connect_encryption);
		bs__connect_refuse(r, m, BS_ST_CAPABILITY, BS_CR_NONE);
		return;
	}
	if (cold->n_conns >= cold->conn_limit) {
		bs_count(c, BS_C_connect_limit);
		bs__connect_refuse(r, m, BS_ST_BUSY, BS_CR_LIMIT);
		return;
	}
	i = open_conn(r, device, m, &why);
	if (i == BS_POOL_NONE) {
		bs_count(c, why == BS_CR_TABLE ? BS_C_connect_full : BS_C_connect_failed);
		bs__connect_refuse(r, m, why == BS_CR_TABLE ? BS_ST_RATE : BS_ST_ERROR, why);
		return;
	}
	bs__auth_hurry(r, device);
	bs__conn_due(r, i);
}

static void give_up(struct bs_roles *r, uint32_t i)
{
	struct bs_conn_record *conn = conn_of(r, i);

	bs_count(r->w->counters, BS_C_connect_silent);
	bs__step(r, conn->attempt, conn->number, BS_STEP_GAVE_UP, BS_ST_NOT_ATTACHED);
	bs__attempt_answered(r, conn, BS_ST_NOT_ATTACHED);
	fail_ask(r, i, BS_ST_NOT_ATTACHED, BS_CR_SILENT);
}

static void send_again(struct bs_roles *r, const struct bs_conn_record *conn, struct bs_ask *ask)
{
	bool again = ask->c.sends > 1;

	bs__send(r, r->slab.hot[conn->device].local, &ask->c.peer, ask->c.pkt, ask->c.len);
	bs_count(r->w->counters, BS_C_connect_sent);
	if (again)
		bs_count(r->w->counters, BS_C_connect_resent);
	bs__step(r, conn->attempt, conn->number, again ? BS_STEP_RESENT : BS_STEP_SENT, 0);
}

void bs__conn_due(struct bs_roles *r, uint32_t i)
{
	struct bs_conn_record *conn = conn_of(r, i);
	struct bs_ask *ask;

	/* The device's word that it is open comes once and may be lost: as long as the client's
	 * session is there, the client says when it is over. */
	if (conn->state == BS_CONN_ACCEPTED && !conn->orphan)
		return;
	/* What goes through here is seen to be alive. */
	if (conn->state != BS_CONN_ASKING && bs__relay_is_used(r, i)) {
		bs_wheel_set(&r->conn_wheel, i, r->tick + ORPHAN_LIFE_MS / BS_TICK_MS);
		return;
	}
	if (conn->state != BS_CONN_ASKING) {
		bs_count(r->w->counters, BS_C_connections_expired);
		close_conn(r, i, BS_ST_CLOSED);
		return;
	}
	ask = ask_of(r, conn->ask);
	switch (bs_connect_server_timeout(&ask->c, r->w->now)) {
	case BS_CONNECT_GIVE_UP: give_up(r, i); return;
	case BS_CONNECT_SEND: send_again(r, conn, ask); break;
	default: break;
	}
	bs_wheel_set(&r->conn_wheel, i, bs__tick_of(r, ask->c.due));
}

void bs__connect_moved(struct bs_roles *r, uint32_t device)
{
	const struct bs_device_hot *hot = &r->slab.hot[device];
	uint32_t i = r->slab.cold[device].conns;

	for (; i != BS_POOL_NONE; i = conn_of(r, i)->next) {
		if (conn_of(r, i)->state != BS_CONN_ASKING)
			continue;
		bs_connect_server_move(&ask_of(r, conn_of(r, i)->ask)->c, &hot->peer, r->w->now);
		bs_wheel_set(&r->conn_wheel, i, bs__tick_of(r, r->w->now));
	}
}

static void set_life(struct bs_roles *r, uint32_t i, uint32_t ms)
{
	bs_wheel_set(&r->conn_wheel, i, r->tick + ms / BS_TICK_MS);
}

static void device_said(struct bs_roles *r, uint32_t i, uint32_t code)
{
	struct bs_conn_record *conn = conn_of(r, i);
	struct bs_device_cold *cold = &r->slab.cold[conn->device];
	struct bs_counters *c = r->w->counters;
	/* The client sees what the device said, if that fits the code's field. */
	uint16_t status = code <= UINT16_MAX ? (uint16_t)code : BS_ST_ERROR;
	struct bs_message m;

	bs__step(r, conn->attempt, conn->number, BS_STEP_ANSWERED, status);
	bs__attempt_answered(r, conn, status);
	if (status == BS_ST_OK) {
		bs_count(c, BS_C_connect_ok);
		fill_result(r, i, status, BS_CR_NONE, &m);
		drop_ask(r, conn);
		conn->state = BS_CONN_ACCEPTED;
		if (conn->bridge != BS_POOL_NONE)
			bs_gateway_accepted(r->w->gateway, conn->bridge);
		set_life(r, i, ACCEPTED_LIFE_MS);
		tell_gate(r, &m);
		return;
	}
	if (status == BS_ST_BUSY) {
		bs_count(c, BS_C_connect_busy);
		cold->conn_limit = (uint8_t)(cold->n_conns > 2 ? cold->n_conns - 1 : 1);
	} else if (status == BS_ST_ENCRYPTION) {
		bs_count(c, BS_C_connect_encryption);
	} else {
		bs_count(c, BS_C_connect_refused_device);
	}
	fail_ask(r, i, status, BS_CR_NONE);
}

void bs__connect_input(struct bs_roles *r, struct bs_input *in)
{
	struct bs_connect_answer a;
	struct bs_conn_record *conn;
	uint32_t code;
	uint32_t i;
	int err = bs_connect_answer_decode(&in->p, &a);

	if (err) {
		bs__drop(r, err);
		return;
	}
	if (bs_nsi_table_get(&r->nsi, a.nsi, &i) != BS_NSI_CONN) {
		bs_count(r->w->counters, BS_C_connect_answer_late);
		return;
	}
	conn = conn_of(r, i);
	if (conn->state != BS_CONN_ASKING) {
		bs_count(r->w->counters, BS_C_connect_answer_late);
		return;
	}
	if (bs_connect_server_input(&ask_of(r, conn->ask)->c, &in->p, in->peer, &code) != BS_OK) {
		bs_count(r->w->counters, BS_C_connect_answer_forged);
		return;
	}
	/* It opened the NAT anew; the request alone would not have. */
	bs__auth_disturb(r, conn->device);
	device_said(r, i, code);
}

void bs__conn_report(struct bs_roles *r, uint32_t i, bool open, uint8_t path)
{
	struct bs_conn_record *conn = conn_of(r, i);

	bs__attempt_path(r, conn, open ? BS_STEP_OPEN : BS_STEP_DEVICE_REPORT, path);
	if (open) {
		if (conn->state != BS_CONN_ACCEPTED)
			return;
		conn->state = BS_CONN_OPEN;
		bs_count(r->w->counters, BS_C_connections_opened);
		if (conn->orphan)
			set_life(r, i, ORPHAN_LIFE_MS);
		else
			bs_wheel_clear(&r->conn_wheel, i);
		return;
	}
	if (conn->state == BS_CONN_ASKING)
		return;
	close_conn(r, i, BS_ST_CLOSED);
}

/* The gate speaks about a connection of its session. */
static uint32_t conn_of_message(const struct bs_roles *r, const struct bs_message *m)
{
	uint32_t i;

	if (bs_nsi_table_get(&r->nsi, m->u.conn.nsi, &i) != BS_NSI_CONN)
		return BS_POOL_NONE;
	if (conn_of(r, i)->gate != m->gate || conn_of(r, i)->ref != m->ref)
		return BS_POOL_NONE;
	return i;
}

void bs__conn_disconnect(struct bs_roles *r, const struct bs_message *m)
{
	uint32_t i = conn_of_message(r, m);

	if (i == BS_POOL_NONE)
		return;
	if (m->u.conn.path != 0)
		bs__attempt_path(r, conn_of(r, i), BS_STEP_CLIENT_REPORT, m->u.conn.path);
	if (m->u.conn.tell_device)
		bs__close_start(r, conn_of(r, i)->device, m->u.conn.nsi, m->u.conn.status);
	end_conn(r, i);
}

void bs__conn_session_gone(struct bs_roles *r, const struct bs_message *m)
{
	uint32_t i = conn_of_message(r, m);

	if (i == BS_POOL_NONE)
		return;
	conn_of(r, i)->orphan = true;
	if (conn_of(r, i)->state != BS_CONN_ASKING && !bs_wheel_is_set(&r->conn_wheel, i))
		set_life(r, i, ORPHAN_LIFE_MS);
}
