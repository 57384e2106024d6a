/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to main: lists, one device, events, timelines, and the hourly "last seen". */
#include "server/relay.h"
#include "server/role_auth.h"

#include <stdio.h>
#include <string.h>

#include "util/endpoint.h"

enum {
	ROWS_PER_SLOT = BS_BULK_MAX / sizeof(struct bs_device_row),
	EVENTS_PER_SLOT = BS_BULK_MAX / sizeof(struct bs_event_row),
	STEPS_PER_SLOT = BS_BULK_MAX / sizeof(struct bs_attempt_row),
	STEPS_MAX = 256, /* of one attempt: its repeats are bounded, a stranger's id is not */
	INFOS_PER_SLOT = BS_BULK_MAX / sizeof(struct bs_attempt_info),
	RELAYS_PER_SLOT = BS_BULK_MAX / sizeof(struct bs_relay_row),
	SEEN_PER_SLOT = BS_BULK_MAX / sizeof(struct bs_last_seen),
	SEEN_SCAN = 4096, /* records looked at per tick */
	ROUTED = 1,
	MS_PER_S = 1000,
};

/* A slot for main, or NULL when main is behind. */
static struct bs_bulk *slot_for_main(struct bs_roles *r, enum bs_bulk_kind kind, uint32_t id)
{
	struct bs_bulk *b = bs_post_bulk_reserve(r->w->post, r->w->index, r->w->n_workers);

	if (b) {
		b->kind = (uint8_t)kind;
		b->id = id;
		b->n = 0;
	}
	return b;
}

static void publish(struct bs_roles *r, struct bs_bulk *b, size_t row_len)
{
	b->len = (uint16_t)(b->n * row_len);
	bs_post_bulk_publish(r->w->post, r->w->index, r->w->n_workers);
}

static void answer(struct bs_roles *r, uint32_t id, int err, uint64_t cursor, uint32_t n)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_ANSWER;
	m.u.answer.id = id;
	m.u.answer.err = err;
	m.u.answer.cursor = cursor;
	m.u.answer.n = n;
	(void)bs_worker_send(r->w, r->w->n_workers, &m);
}

void bs__query_row(const struct bs_roles *r, uint32_t i, struct bs_device_row *row)
{
	const struct bs_device_hot *hot = &r->slab.hot[i];
	const struct bs_device_cold *cold = &r->slab.cold[i];
	const char *text = bs_intern_get(&r->texts, cold->text);
	const char *label = strchr(text, '\n');

	memset(row, 0, sizeof(*row));
	row->number = hot->number;
	row->nsi = hot->nsi;
	row->peer = hot->peer;
	row->local = r->local[hot->local].ep;
	row->worker = (uint8_t)r->w->index;
	row->state = hot->alive.unreachable ? BS_DEVICE_UNREACHABLE : BS_DEVICE_ONLINE;
	row->connections = cold->n_conns;
	row->connection_limit = cold->conn_limit;
	row->caps = cold->caps;
	row->ext = cold->ext;
	row->flags = (hot->flags & BS_SLAB_LEGACY ? BS_ROW_LEGACY : 0) |
		     (hot->flags & BS_SLAB_SYMMETRIC ? BS_ROW_NAT_SYMMETRIC : 0);
	row->attached_ms = (uint64_t)cold->attached_s * MS_PER_S;
	row->seen_ms = r->w->unix_ms - (r->now_ms - hot->alive.seen_ms);
	row->alive_rtt_us = (uint32_t)hot->rtt_ms * 1000;
	if (hot->flags & BS_SLAB_AUTH)
		row->alive_interval_s = r->auth[i].interval.told_s;
	snprintf(row->version, sizeof(row->version), "%.*s",
		 (int)(label ? label - text : (long)strlen(text)), text);
	snprintf(row->label, sizeof(row->label), "%s", label ? label + 1 : "");
}

static void list(struct bs_roles *r, const struct bs_msg_query *q)
{
	struct bs_device_row row;
	struct bs_bulk *b = NULL;
	uint32_t n = 0;
	uint32_t i = bs_slab_next(&r->slab, (uint32_t)q->cursor);

	for (; i != BS_SLAB_NONE && n < q->max; i = bs_slab_next(&r->slab, i + 1), n++) {
		if (!b)
			b = slot_for_main(r, BS_BULK_ROWS, q->id);
		if (!b)
			break;
		bs__query_row(r, i, &row);
		memcpy(b->data + b->n * sizeof(row), &row, sizeof(row));
		if (++b->n == ROWS_PER_SLOT) {
			publish(r, b, sizeof(row));
			b = NULL;
		}
	}
	if (b && b->n > 0)
		publish(r, b, sizeof(row));
	/* Index plus one, so that 0 says "end". */
	answer(r, q->id, BS_OK, i == BS_SLAB_NONE ? 0 : (uint64_t)i + 1, n);
}

static void device(struct bs_roles *r, const struct bs_message *m)
{
	struct bs_device_row row;
	struct bs_bulk *b;
	uint32_t age_s;
	uint32_t nsi = (uint32_t)m->u.query.cursor;
	uint32_t i;

	if (!(m->flags & ROUTED)) {
		struct bs_message fwd = *m;

		nsi = bs_ids_holder(&r->ids, m->number, r->now_s, &age_s);
		fwd.flags |= ROUTED;
		fwd.u.query.cursor = nsi;
		if (nsi == 0)
			answer(r, m->u.query.id, BS_ENOENT, 0, 0);
		else if (bs_worker_send(r->w, bs_worker_of_nsi(r->w, nsi), &fwd) != BS_OK)
			answer(r, m->u.query.id, BS_EFULL, 0, 0);
		return;
	}
	if (!bs__device_find(r, nsi, m->number, &i)) {
		bs__release(r, m->number, nsi);
		answer(r, m->u.query.id, BS_ENOENT, 0, 0);
		return;
	}
	b = slot_for_main(r, BS_BULK_ROWS, m->u.query.id);
	if (!b) {
		answer(r, m->u.query.id, BS_EFULL, 0, 0);
		return;
	}
	bs__query_row(r, i, &row);
	memcpy(b->data, &row, sizeof(row));
	b->n = 1;
	publish(r, b, sizeof(row));
	answer(r, m->u.query.id, BS_OK, 0, 1);
}

/* The newest of a ring come first. */
static void events(struct bs_roles *r, const struct bs_msg_query *q)
{
	uint64_t have = r->n_events < BS_RING_EVENTS ? r->n_events : BS_RING_EVENTS;
	struct bs_bulk *b = NULL;
	uint32_t n = 0;

	for (; n < have && n < q->max; n++) {
		const struct bs_event_row *row = &r->events[(r->n_events - 1 - n) % BS_RING_EVENTS];

		if (!b)
			b = slot_for_main(r, BS_BULK_EVENTS, q->id);
		if (!b)
			break;
		memcpy(b->data + b->n * sizeof(*row), row, sizeof(*row));
		if (++b->n == EVENTS_PER_SLOT) {
			publish(r, b, sizeof(*row));
			b = NULL;
		}
	}
	if (b)
		publish(r, b, sizeof(struct bs_event_row));
	answer(r, q->id, BS_OK, 0, n);
}

/* Newest first; the asker sorts. */
static void steps(struct bs_roles *r, const struct bs_msg_query *q)
{
	const struct bs_attempt_row *row;
	struct bs_bulk *b = NULL;
	uint32_t n = 0;
	uint64_t k;

	for (k = 0; n < STEPS_MAX && (row = bs_attempts_newest_step(&r->attempts, k)); k++) {
		if (row->attempt != q->cursor)
			continue;
		if (!b)
			b = slot_for_main(r, BS_BULK_ATTEMPT, q->id);
		if (!b)
			break;
		memcpy(b->data + b->n * sizeof(*row), row, sizeof(*row));
		n++;
		if (++b->n == STEPS_PER_SLOT) {
			publish(r, b, sizeof(*row));
			b = NULL;
		}
	}
	if (b)
		publish(r, b, sizeof(struct bs_attempt_row));
	answer(r, q->id, BS_OK, 0, n);
}

static void attempts(struct bs_roles *r, const struct bs_msg_query *q)
{
	const struct bs_attempt_info *info;
	struct bs_bulk *b = NULL;
	uint32_t n = 0;
	uint64_t k;

	for (k = 0; n < q->max && (info = bs_attempts_newest(&r->attempts, k)); k++) {
		if (q->cursor != 0 && info->attempt != q->cursor && info->nsi != q->cursor)
			continue;
		if (!b)
			b = slot_for_main(r, BS_BULK_ATTEMPTS, q->id);
		if (!b)
			break;
		memcpy(b->data + b->n * sizeof(*info), info, sizeof(*info));
		n++;
		if (++b->n == INFOS_PER_SLOT) {
			publish(r, b, sizeof(*info));
			b = NULL;
		}
	}
	if (b)
		publish(r, b, sizeof(struct bs_attempt_info));
	answer(r, q->id, BS_OK, 0, n);
}

static void fill_relay(const struct bs_roles *r, const struct bs_relay_flow *f,
		       struct bs_relay_row *row)
{
	const struct bs_relay_payer *c = bs_relay_flow_client(r->relay->limit, f);
	const struct bs_conn_record *conn;
	const struct bs_relay *y;
	uint32_t i;

	memset(row, 0, sizeof(*row));
	row->opened_ms = r->w->unix_ms - (r->now_ms - f->opened_ms);
	row->idle_ms = r->now_ms - f->last_ms;
	memcpy(row->bytes, f->bytes, sizeof(row->bytes));
	memcpy(row->packets, f->packets, sizeof(row->packets));
	row->month_bytes = c->usage.bytes;
	memcpy(row->client_id, c->identity, sizeof(row->client_id));
	row->nsi = f->nsi;
	row->kind = f->kind;
	row->grade = f->grade;
	row->waiting = f->waiting;
	row->worker = (uint8_t)r->w->index;
	if (bs_nsi_table_get(&r->nsi, f->nsi, &i) != BS_NSI_CONN)
		return;
	conn = bs_pool_get(&r->conns, i);
	y = bs__relay_of(r, i);
	row->attempt = conn->attempt;
	row->number = conn->number;
	if (y && f == &y->flow)
		row->leg = y->leg;
}

static void relays(struct bs_roles *r, const struct bs_msg_query *q)
{
	const struct bs_relay_flow *f = NULL;
	struct bs_bulk *b = NULL;
	uint32_t n = 0;

	while (r->relay && n < q->max && (f = bs_relay_limit_next(r->relay->limit, f))) {
		struct bs_relay_row row;

		if (!b)
			b = slot_for_main(r, BS_BULK_RELAYS, q->id);
		if (!b)
			break;
		fill_relay(r, f, &row);
		memcpy(b->data + b->n * sizeof(row), &row, sizeof(row));
		n++;
		if (++b->n == RELAYS_PER_SLOT) {
			publish(r, b, sizeof(row));
			b = NULL;
		}
	}
	if (b)
		publish(r, b, sizeof(struct bs_relay_row));
	answer(r, q->id, BS_OK, 0, n);
}

void bs__query_message(struct bs_roles *r, const struct bs_message *m)
{
	switch (m->u.query.kind) {
	case BS_QUERY_LIST: list(r, &m->u.query); return;
	case BS_QUERY_DEVICE: device(r, m); return;
	case BS_QUERY_EVENTS: events(r, &m->u.query); return;
	case BS_QUERY_ATTEMPT: steps(r, &m->u.query); return;
	case BS_QUERY_RELAYS: relays(r, &m->u.query); return;
	case BS_QUERY_ATTEMPTS: attempts(r, &m->u.query); return;
	default: answer(r, m->u.query.id, BS_OK, 0, 0); return;
	}
}

static struct bs_last_seen seen_row(const struct bs_roles *r, const struct bs_device_hot *hot)
{
	uint64_t seen_ms = r->w->unix_ms - (r->now_ms - hot->alive.seen_ms);

	return (struct bs_last_seen){ .number = hot->number,
				      .seen_s = (uint32_t)(seen_ms / MS_PER_S),
				      .ip4 = bs_endpoint_ip4(&hot->peer) };
}

void bs__gone_due(struct bs_roles *r)
{
	struct bs_bulk *b = slot_for_main(r, BS_BULK_LAST_SEEN, 0);

	if (!b)
		return;
	memcpy(b->data, r->gone, r->n_gone * sizeof(r->gone[0]));
	b->n = (uint8_t)r->n_gone;
	publish(r, b, sizeof(r->gone[0]));
	bs_post_wake(r->w->post, r->w->n_workers);
	r->n_gone = 0;
}

void bs__gone_add(struct bs_roles *r, uint32_t i)
{
	if (!(r->slab.hot[i].flags & BS_SLAB_SEEN))
		return;
	if (r->n_gone == BS_GONE_MAX)
		bs__gone_due(r);
	/* Main is behind: an hour's note is lost, no more. */
	if (r->n_gone < BS_GONE_MAX)
		r->gone[r->n_gone++] = seen_row(r, &r->slab.hot[i]);
}

void bs__seen_due(struct bs_roles *r)
{
	struct bs_bulk *b = NULL;
	uint32_t scanned = 0;
	uint32_t i = r->seen_pos;

	for (; i < r->slab.used && scanned < SEEN_SCAN; i++, scanned++) {
		struct bs_device_hot *hot = &r->slab.hot[i];
		struct bs_last_seen row;

		if (!(hot->flags & BS_SLAB_SEEN))
			continue;
		if (!b)
			b = slot_for_main(r, BS_BULK_LAST_SEEN, 0);
		if (!b)
			break;
		row = seen_row(r, hot);
		memcpy(b->data + b->n * sizeof(row), &row, sizeof(row));
		hot->flags &= (uint8_t)~BS_SLAB_SEEN;
		if (++b->n == SEEN_PER_SLOT) {
			publish(r, b, sizeof(row));
			b = NULL;
		}
	}
	if (b)
		publish(r, b, sizeof(struct bs_last_seen));
	if (scanned > 0)
		bs_post_wake(r->w->post, r->w->n_workers);
	r->seen_pos = i;
	if (i >= r->slab.used) {
		r->seen_pos = 0;
		r->seen_next = r->w->now + r->w->conf->last_seen_interval;
	}
}
