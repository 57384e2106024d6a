/* SPDX-License-Identifier: Apache-2.0 */
/* The UDP relay's records: keys, legs, limits.  The packets' path is relay_data.c. */
#include "server/relay.h"

#include <stdlib.h>
#include <string.h>

#include "net/udp.h"
#include "proto/probe.h"
#include "util/endpoint.h"

enum {
	BITS = 8,
	SHARE_MS = 100,   /* the node's rate is shared out as often */
	STORE_MS = 10000, /* volumes are reported for storing as often */
	VOLUMES_PER_SLOT = BS_BULK_MAX / sizeof(struct bs_volume_row),
	REPEATS = 65536, /* hashes of recent packets, see relay_data.c */
};

_Static_assert(BS_RELAY_KEY_LEN == BS_TOKEN_LEN, "one key of a probe");
_Static_assert((int)BS_CONF_RELAY_REJECT == (int)BS_RELAY_REJECT &&
		       (int)BS_CONF_RELAY_DEGRADE == (int)BS_RELAY_DEGRADE &&
		       (int)BS_CONF_RELAY_LOW_PRIORITY == (int)BS_RELAY_LOW_PRIORITY,
	       "conf and limiter number the policies alike");

static struct bs_conn_record *conn_of(const struct bs_roles *r, uint32_t i)
{
	return bs_pool_get(&r->conns, i);
}

static struct bs_relay *record(const struct bs_relay_hub *h, uint32_t i)
{
	return bs_pool_get(&h->relays, i);
}

struct bs_relay *bs__relay_of(const struct bs_roles *r, uint32_t conn)
{
	uint32_t i = conn_of(r, conn)->relay;

	return i == BS_POOL_NONE ? NULL : record(r->relay, i);
}

/* ---- conf */

static struct bs_relay_rates rates(const uint64_t bits[2], unsigned share)
{
	struct bs_relay_rates out;

	/* A limit so low that a share of it rounds to nothing is still a limit. */
	for (int d = 0; d < 2; d++)
		out.v[d] = bits[d] == 0 ? 0 : bits[d] / BITS / share + 1;
	return out;
}

static struct bs_relay_limit_conf limits(const struct bs_worker *w)
{
	const struct bs_conf *c = w->conf;
	const uint64_t degraded[2] = { c->relay_degraded, c->relay_degraded };
	struct bs_relay_limit_conf out = {
		.max_flows = (c->relay_max + w->n_workers - 1) / w->n_workers,
		.conn = rates(c->relay_connection, 1),
		.client = rates(c->relay_client, 1),
		.device = rates(c->relay_device, 1),
		.node = rates(c->relay_node, w->n_workers),
		.degraded = rates(degraded, 1),
		.client_month = c->relay_client_month,
		.max_age_s = (uint32_t)(c->relay_max_age / BS_TIME_MS(1000)),
		.idle_s = (uint32_t)(c->relay_idle / BS_TIME_MS(1000)),
		.when_full = (enum bs_relay_when_full)c->relay_when_full,
	};

	return out;
}

void bs__relay_conf(struct bs_roles *r)
{
	struct bs_relay_limit_conf conf = limits(r->w);

	if (r->relay)
		bs_relay_limit_conf(r->relay->limit, &conf);
}

/* ---- telling */

static void tell(struct bs_roles *r, const struct bs_conn_record *conn, enum bs_relay_reason reason)
{
	struct bs_message m;

	bs__step_at(r, conn->attempt, conn->number, BS_STEP_RELAY_REFUSED, NULL, reason);
	if (conn->orphan)
		return;
	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_RELAY;
	m.number = conn->number;
	m.ref = conn->ref;
	m.gate = conn->gate;
	m.u.conn.nsi = conn->nsi;
	m.u.conn.status = BS_ST_RELAY_FULL;
	m.u.conn.reason = (uint8_t)reason;
	(void)bs_worker_send(r->w, m.gate, &m);
}

void bs__relay_tell(struct bs_roles *r, uint32_t conn, enum bs_relay_reason reason)
{
	tell(r, conn_of(r, conn), reason);
}

/* ---- records */

void bs__relay_offer(struct bs_roles *r, uint32_t conn, const struct bs_msg_connect *q, bool plain)
{
	const struct bs_crypto *c = r->w->crypto;
	struct bs_relay_hub *h = r->relay;
	struct bs_relay *y;
	uint32_t i;

	i = bs_pool_take(&h->relays);
	if (i == BS_POOL_NONE)
		return;
	y = record(h, i);
	if (c->random(c->ctx, y->key, sizeof(y->key)) != BS_OK) {
		bs_count(r->w->counters, BS_C_crypto_failed);
		bs_pool_give(&h->relays, i);
		return;
	}
	y->conn = conn;
	y->device = conn_of(r, conn)->device;
	y->plain = plain;
	y->offered = r->w->conf->relay_udp;
	y->roles = r;
	y->identity_len = q->client_id_len;
	memcpy(y->identity, q->client_id, q->client_id_len);
	memcpy(y->ca_fp, q->ca_fp, sizeof(y->ca_fp));
	y->queue[0].first = y->queue[1].first = BS_RELAY_NO_PACKET;
	conn_of(r, conn)->relay = i;
}

/* The leg goes, the record and its key stay: the client may bind again. */
static void unbind(struct bs_roles *r, struct bs_relay *y)
{
	bs_relay_flow_close(r->relay->limit, &y->flow);
	bs__relay_drain(r->relay, y);
	memset(&y->leg, 0, sizeof(y->leg));
}

void bs__relay_end(struct bs_roles *r, uint32_t conn)
{
	struct bs_conn_record *c = conn_of(r, conn);

	if (c->relay == BS_POOL_NONE)
		return;
	unbind(r, record(r->relay, c->relay));
	bs_pool_give(&r->relay->relays, c->relay);
	c->relay = BS_POOL_NONE;
}

bool bs__relay_is_used(const struct bs_roles *r, uint32_t conn)
{
	const struct bs_relay *y = bs__relay_of(r, conn);

	/* The limiter closes a flow that is idle for too long. */
	return y && y->flow.open && y->carried;
}

/* ---- the limiter's callbacks */

static void on_end(void *ctx, struct bs_relay_flow *f, enum bs_relay_end why)
{
	struct bs_relay *y = ctx;
	struct bs_roles *r = y->roles;
	struct bs_counters *c = r->w->counters;

	(void)f;
	unbind(r, y);
	switch (why) {
	case BS_RELAY_END_IDLE: bs_count(c, BS_C_relay_ended_idle); return;
	case BS_RELAY_END_AGE:
		bs_count(c, BS_C_relay_ended_age);
		bs__relay_tell(r, y->conn, BS_RR_AGE);
		return;
	default:
		bs_count(c, BS_C_relay_ended_month);
		bs__relay_tell(r, y->conn, BS_RR_MONTH);
		return;
	}
}

static const struct bs_relay_flow_ops flow_ops = { .resume = bs__relay_resume, .end = on_end };

static void load_usage(void *ctx, const struct bs_relay_payer *c, struct bs_relay_usage *out)
{
	struct bs_roles *r = ctx;
	struct bs_slice id = { (const uint8_t *)c->identity, strlen(c->identity) };
	struct bs_volume v;
	int err = bs_registry_volume(r->w->reader, id, c->ca_fp, &v);

	if (err == BS_OK) {
		out->month = v.month;
		out->bytes = v.bytes;
	} else if (err != BS_ENOENT) {
		bs_count(r->w->counters, BS_C_registry_failed);
	}
}

/* ---- storing */

static struct bs_bulk *volume_slot(struct bs_roles *r)
{
	struct bs_bulk *b = bs_post_bulk_reserve(r->w->post, r->w->index, r->w->n_workers);

	if (b) {
		b->kind = BS_BULK_VOLUME;
		b->from = (uint8_t)r->w->index;
		b->n = 0;
	}
	return b;
}

/* Rows go to main, whose store thread adds them up.  Only clients that a slot has room for are
 * asked for: what was handed out and not sent would be lost. */
void bs__relay_store(struct bs_roles *r)
{
	struct bs_relay_hub *h = r->relay;
	struct bs_bulk *b = h ? volume_slot(r) : NULL;
	struct bs_relay_payer c;
	uint64_t bytes;
	uint32_t pos = 0;

	while (b && bs_relay_limit_unsaved(h->limit, &pos, h->month, &c, &bytes)) {
		struct bs_volume_row row = { .month = h->month, .bytes = bytes };

		memcpy(row.identity, c.identity, sizeof(row.identity));
		memcpy(row.ca_fp, c.ca_fp, sizeof(row.ca_fp));
		memcpy(b->data + b->n * sizeof(row), &row, sizeof(row));
		b->len = (uint16_t)(++b->n * sizeof(row));
		if (b->n == VOLUMES_PER_SLOT) {
			bs_post_bulk_publish(r->w->post, r->w->index, r->w->n_workers);
			b = volume_slot(r);
		}
	}
	if (b && b->n > 0)
		bs_post_bulk_publish(r->w->post, r->w->index, r->w->n_workers);
	if (h)
		bs_post_wake(r->w->post, r->w->n_workers);
}

void bs__relay_stop(struct bs_roles *r)
{
	if (!r->relay)
		return;
	bs_relay_limit_settle(r->relay->limit);
	bs__relay_store(r);
}

/* ---- binding */

static int open_flow(struct bs_roles *r, struct bs_relay *y, struct bs_relay_flow *f,
		     const struct bs_relay_flow_ops *ops, void *ctx)
{
	const struct bs_conn_record *conn = conn_of(r, y->conn);
	const struct bs_relay_who who = {
		.identity = y->identity,
		.identity_len = y->identity_len,
		.ca_fp = y->ca_fp,
		.device = conn->number,
	};
	int err =
		bs_relay_flow_open(r->relay->limit, f, &who, ops, ctx, r->now_ms, r->relay->month);

	if (err == BS_OK) {
		f->nsi = conn->nsi;
		return err;
	}
	bs_count(r->w->counters, BS_C_relay_full);
	bs__relay_tell(r, y->conn, BS_RR_FULL);
	return err;
}

int bs__relay_flow_open(struct bs_roles *r, uint32_t nsi, struct bs_relay_flow *f,
			enum bs_relay_kind kind, const struct bs_relay_flow_ops *ops, void *ctx)
{
	struct bs_relay *y;
	uint32_t i;
	int err;

	if (bs_nsi_table_get(&r->nsi, nsi, &i) != BS_NSI_CONN)
		return BS_ENOENT;
	y = bs__relay_of(r, i);
	if (!y)
		return BS_EFULL;
	err = open_flow(r, y, f, ops, ctx);
	f->kind = (uint8_t)kind;
	return err;
}

struct bs_relay_limit *bs__relay_limit(struct bs_roles *r)
{
	return r->relay->limit;
}

static void confirm(struct bs_roles *r, const struct bs_probe *probe, const struct bs_input *in,
		    unsigned local)
{
	const struct bs_probe_answer a = { probe->cp, probe->sp, probe->seq, *in->peer };
	bs_ssize len = bs_probe_answer_encode(&a, bs__send_reserve(r));

	if (len > 0)
		bs__send_commit(r, (size_t)len, local, in->peer);
}

static void take_leg(struct bs_roles *r, struct bs_relay *y, const struct bs_input *in,
		     unsigned local)
{
	const struct bs_conn_record *conn = conn_of(r, y->conn);
	bool first = !bs_endpoint_is_set(&y->leg);

	if (!first && bs_endpoint_equal(&y->leg, in->peer)) {
		y->leg_local = (uint8_t)local;
		return;
	}
	bs_count(r->w->counters, first ? BS_C_relay_bound : BS_C_relay_moved);
	bs__step_at(r, conn->attempt, conn->number, BS_STEP_RELAY_BOUND, in->peer, 0);
	y->leg = *in->peer;
	y->leg_local = (uint8_t)local;
}

/* A right key and a risen counter: whoever sends this is the client, wherever it is now. */
static int check(struct bs_roles *r, struct bs_relay *y, const struct bs_input *in,
		 const struct bs_probe *probe)
{
	struct bs_counters *c = r->w->counters;

	if (bs_probe_verify(r->w->crypto, y->key, in->p.bytes) != BS_OK) {
		bs_count(c, BS_C_relay_bind_mac);
		return BS_EMAC;
	}
	if (probe->counter <= y->counter) {
		bs_count(c, BS_C_relay_bind_replay);
		return BS_EREPLAY;
	}
	/* One endpoint cannot be both sides: packets would run in a circle. */
	if (bs_endpoint_equal(in->peer, &r->slab.hot[y->device].peer)) {
		bs_count(c, BS_C_relay_source);
		return BS_ESOURCE;
	}
	return BS_OK;
}

bool bs__relay_bind(struct bs_roles *r, const struct bs_input *in)
{
	struct bs_probe probe;
	struct bs_relay *y;
	unsigned local;
	uint32_t i;

	if (!r->relay || bs_nsi_table_get(&r->nsi, in->p.h.nsi_sp, &i) != BS_NSI_CONN)
		return false;
	y = bs__relay_of(r, i);
	if (!y || !y->offered || conn_of(r, i)->state == BS_CONN_ASKING) {
		bs_count(r->w->counters, BS_C_probe_unknown);
		return true;
	}
	if (bs_probe_decode(in->p.bytes, in->p.len, &probe) != BS_OK ||
	    probe.index != BS_PROBE_INDEX_RELAY || probe.ask != BS_PROBE_ASK_SAME) {
		bs_count(r->w->counters, BS_C_relay_bind_malformed);
		return true;
	}
	if (check(r, y, in, &probe) != BS_OK)
		return true;
	y->counter = probe.counter;
	local = bs__local_index(r, in->socket, in->local);
	if (local == BS_LOCALS_MAX ||
	    (!y->flow.open && open_flow(r, y, &y->flow, &flow_ops, y) != BS_OK))
		return true;
	/* A leg that only answers keep-alives of the client's router is alive as well. */
	y->flow.last_ms = r->now_ms;
	take_leg(r, y, in, local);
	confirm(r, &probe, in, local);
	return true;
}

/* ---- life */

static int init_packets(struct bs_relay_hub *h, uint32_t n)
{
	uint32_t i;

	/* Not touched before it is used, so a relay without limits pays nothing for it. */
	h->packets = calloc(n, sizeof(*h->packets));
	h->repeats = calloc(REPEATS, sizeof(*h->repeats));
	if (!h->packets || !h->repeats)
		return BS_ENOMEM;
	h->n_packets = h->packets_left = n;
	h->free_packet = BS_RELAY_NO_PACKET;
	for (i = n; i > 0; i--) {
		h->packets[i - 1].next = h->free_packet;
		h->free_packet = i - 1;
	}
	return BS_OK;
}

int bs__relay_init(struct bs_roles *r)
{
	const struct bs_relay_limit_ops ops = { .load = load_usage, .ctx = r };
	struct bs_relay_limit_conf conf = limits(r->w);
	const struct bs_crypto *c = r->w->crypto;
	struct bs_relay_hub *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return BS_ENOMEM;
	r->relay = h;
	err = bs_pool_init(&h->relays, r->conns.cap, sizeof(struct bs_relay),
			   offsetof(struct bs_relay, next));
	if (!err)
		err = init_packets(h, r->w->conf->relay_queue);
	if (!err)
		err = c->random(c->ctx, (uint8_t *)h->repeat_key, sizeof(h->repeat_key));
	if (err)
		return err;
	h->limit = bs_relay_limit_new(&conf, r->conns.cap, &ops);
	if (!h->limit)
		return BS_ENOMEM;
	bs_relay_limit_key(h->limit, r->hash_key);
	h->month = bs_relay_month(r->w->unix_ms);
	h->store_ms = r->now_ms + STORE_MS;
	h->share_ms = r->now_ms;
	return BS_OK;
}

void bs__relay_fini(struct bs_roles *r)
{
	struct bs_relay_hub *h = r->relay;

	if (!h)
		return;
	bs_relay_limit_free(h->limit);
	bs_pool_fini(&h->relays);
	free(h->packets);
	free(h->repeats);
	free(h);
	r->relay = NULL;
}

/* The node's rate goes to the workers by what they are asked for: ten times a second each says what
 * that was, and takes its part of the sum. */
static void share_node(struct bs_roles *r)
{
	struct bs_relay_hub *h = r->relay;
	const struct bs_conf *c = r->w->conf;
	uint64_t asked[BS_CONF_WORKERS_MAX];
	struct bs_relay_rates node = { { 0, 0 } };
	uint64_t own[2];

	bs_relay_limit_offered(h->limit, own);
	if (r->w->n_workers == 1)
		return;
	for (int d = 0; d < 2; d++) {
		/* Half of the last one: a pause between two frames of a film is no end. */
		h->asked[d] = own[d] > h->asked[d] / 2 ? own[d] : h->asked[d] / 2;
		atomic_store_explicit(&r->w->demand[r->w->index].bytes[d], h->asked[d],
				      memory_order_relaxed);
		for (unsigned i = 0; i < r->w->n_workers; i++)
			asked[i] = atomic_load_explicit(&r->w->demand[i].bytes[d],
							memory_order_relaxed);
		if (c->relay_node[d] != 0)
			node.v[d] = bs_relay_share(c->relay_node[d] / BITS, asked, r->w->n_workers,
						   r->w->index);
	}
	bs_relay_limit_node(h->limit, &node);
}

static void count_gauges(struct bs_roles *r)
{
	struct bs_relay_limit_stat s;

	bs_relay_limit_stat(r->relay->limit, &s);
	bs_count_set(r->w->counters, BS_C_relay_connections, s.flows);
	bs_count_set(r->w->counters, BS_C_relay_degraded, s.degraded);
	bs_count_set(r->w->counters, BS_C_relay_low_priority, s.low);
	bs_count_set(r->w->counters, BS_C_relay_queued,
		     r->relay->n_packets - r->relay->packets_left);
}

void bs__relay_tick(struct bs_roles *r)
{
	struct bs_relay_hub *h = r->relay;

	h->month = bs_relay_month(r->w->unix_ms);
	bs_relay_limit_run(h->limit, r->now_ms);
	bs_relay_limit_sweep(h->limit, r->now_ms, h->month);
	if ((int32_t)(r->now_ms - h->share_ms) >= 0) {
		h->share_ms = r->now_ms + SHARE_MS;
		share_node(r);
	}
	if ((int32_t)(r->now_ms - h->store_ms) >= 0) {
		h->store_ms = r->now_ms + STORE_MS;
		bs__relay_store(r);
	}
	count_gauges(r);
}
