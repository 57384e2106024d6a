/* SPDX-License-Identifier: Apache-2.0 */
/* The owner of an id: who holds it, who watches it, and the way of a connect to the holder. */
#include "server/roles.h"

#include <string.h>

enum {
	PRESENCE_OFFLINE = 0,
	PRESENCE_ONLINE = 1,
	EVENT_SHIFT = 20, /* room for a million events in one millisecond */
	ROUTED = 1,       /* message flag: the owner has seen it */
	MS_PER_S = 1000,
};

/* Rises across all workers, as far as their clocks agree; strictly within one. */
static uint64_t next_event(struct bs_roles *r)
{
	uint64_t e = r->w->unix_ms << EVENT_SHIFT;

	r->last_event = e > r->last_event ? e : r->last_event + 1;
	return r->last_event;
}

static void fill_presence(struct bs_roles *r, uint32_t number, struct bs_msg_presence_row *p)
{
	uint32_t age_s = 0;
	uint32_t nsi = bs_ids_holder(&r->ids, number, r->now_s, &age_s);

	p->number = number;
	p->state = nsi ? PRESENCE_ONLINE : PRESENCE_OFFLINE;
	p->since_ms = nsi ? r->w->unix_ms - (uint64_t)age_s * MS_PER_S : 0;
	p->event = r->last_event;
}

static void publish(struct bs_roles *r, uint32_t number)
{
	struct bs_message m;
	unsigned i;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_PRESENCE;
	m.number = number;
	m.u.presence.n = 1;
	m.u.presence.change = true;
	(void)next_event(r);
	fill_presence(r, number, &m.u.presence.p[0]);
	if (m.u.presence.p[0].state == PRESENCE_OFFLINE)
		m.u.presence.p[0].since_ms = r->w->unix_ms;
	for (i = 0; i < r->w->n_workers; i++) {
		m.gate = (uint8_t)i;
		if (bs_watch_has(&r->watch, number, i))
			(void)bs_worker_send(r->w, i, &m);
	}
}

static int send_drop(struct bs_roles *r, uint32_t number, uint32_t nsi, enum bs_drop_reason reason)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_DROP;
	m.number = number;
	m.u.drop.nsi = nsi;
	m.u.drop.reason = (uint8_t)reason;
	return bs_worker_send(r->w, bs_worker_of_nsi(r->w, nsi), &m);
}

static void log_claim(struct bs_roles *r, uint32_t number, bool flapping)
{
	char id[BS_DEVICE_ID_MAX + 1];

	if (!bs_worker_device_id(r->w, number, id))
		id[0] = '\0';
	if (flapping)
		bs_log_limited(&r->log_limit[BS_LK_FLAP], r->w->now, BS_LOG_WARNING,
			       "attach, the same id attaches again and again: two devices with one "
			       "id and key, or one that keeps restarting (%s)",
			       id);
	else
		bs_log_limited(&r->log_limit[BS_LK_REPLACED], r->w->now, BS_LOG_INFO,
			       "attach, a live attachment was replaced by a newer one (%s)", id);
}

void bs__owner_claim(struct bs_roles *r, uint32_t number, uint32_t nsi, uint32_t attached_s)
{
	uint32_t unix_s = (uint32_t)(r->w->unix_ms / MS_PER_S);
	uint32_t age_s = attached_s < unix_s ? unix_s - attached_s : 0;
	struct bs_id_claim claim;

	bs_count(r->w->counters, BS_C_claims);
	if (bs_ids_claim(&r->ids, number, nsi, r->now_s, age_s, &claim) != BS_OK) {
		/* Nobody would find it; better one that can try again elsewhere. */
		bs_count(r->w->counters, BS_C_attach_table_full);
		(void)send_drop(r, number, nsi, BS_DROP_STOP);
		return;
	}
	bs_count_set(r->w->counters, BS_C_ids_held, r->ids.n);
	bs__fill_check(r, BS_FILL_IDS, r->ids.n, r->ids.limit);
	if (claim.old_nsi != 0) {
		bs_count(r->w->counters, BS_C_attach_replaced);
		if (claim.flapping)
			bs_count(r->w->counters, BS_C_attach_flapping);
		log_claim(r, number, claim.flapping);
		/* A lost one ends by itself: the device answers the old number no more. */
		(void)send_drop(r, number, claim.old_nsi, BS_DROP_REPLACED);
		return;
	}
	if (claim.is_new)
		publish(r, number);
}

void bs__owner_release(struct bs_roles *r, uint32_t number, uint32_t nsi)
{
	if (!bs_ids_release(&r->ids, number, nsi))
		return;
	bs_count_set(r->w->counters, BS_C_ids_held, r->ids.n);
	publish(r, number);
}

static void route_connect(struct bs_roles *r, struct bs_message *m)
{
	uint32_t age_s;
	uint32_t nsi;

	if (m->flags & ROUTED) {
		bs__connect_request(r, m);
		return;
	}
	bs_count(r->w->counters, BS_C_connect_requests);
	bs__step(r, m->u.connect.attempt, m->number, BS_STEP_ASKED, 0);
	nsi = bs_ids_holder(&r->ids, m->number, r->now_s, &age_s);
	if (nsi == 0) {
		bs_count(r->w->counters, BS_C_connect_not_attached);
		bs__connect_refuse(r, m, BS_ST_NOT_ATTACHED, BS_CR_OFFLINE);
		return;
	}
	m->flags |= ROUTED;
	m->u.connect.nsi_attach = nsi;
	if (bs_worker_send(r->w, bs_worker_of_nsi(r->w, nsi), m) != BS_OK) {
		bs_count(r->w->counters, BS_C_connect_full);
		bs__connect_refuse(r, m, BS_ST_RATE, BS_CR_TABLE);
	}
}

static void watch(struct bs_roles *r, const struct bs_message *m)
{
	const struct bs_msg_watch *q = &m->u.watch;
	struct bs_message a;
	unsigned i;

	memset(&a, 0, sizeof(a));
	a.kind = BS_MSG_PRESENCE;
	a.ref = m->ref;
	a.gate = m->gate;
	for (i = 0; i < q->n && i < BS_MSG_PRESENCE_MAX; i++) {
		if (q->op == BS_WATCH_OFF) {
			bs_watch_remove(&r->watch, q->number[i], m->gate);
			continue;
		}
		if (q->op == BS_WATCH_ON && bs_watch_add(&r->watch, q->number[i], m->gate) != BS_OK)
			bs_count(r->w->counters, BS_C_watch_full);
		fill_presence(r, q->number[i], &a.u.presence.p[a.u.presence.n++]);
	}
	bs_count_set(r->w->counters, BS_C_watch_entries, r->watch.n);
	bs__fill_check(r, BS_FILL_WATCH, r->watch.n, r->watch.limit);
	if (a.u.presence.n > 0)
		(void)bs_worker_send(r->w, m->gate, &a);
}

/* Tell the holder to end a device: BS_OK, BS_ENOENT or BS_EFULL. */
static int end_device(struct bs_roles *r, uint32_t number, enum bs_drop_reason reason)
{
	uint32_t age_s;
	uint32_t nsi = bs_ids_holder(&r->ids, number, r->now_s, &age_s);

	return nsi == 0 ? BS_ENOENT : send_drop(r, number, nsi, reason);
}

static void kick(struct bs_roles *r, const struct bs_message *m)
{
	struct bs_message a;
	int err = end_device(r, m->number, BS_DROP_KICKED);

	memset(&a, 0, sizeof(a));
	a.kind = BS_MSG_ANSWER;
	a.u.answer.id = m->u.query.id;
	a.u.answer.err = err;
	(void)bs_worker_send(r->w, r->w->n_workers, &a);
}

/* Ask a worker to look at everything that it holds: a word about one device did not get through. */
static void want_recheck(struct bs_roles *r, unsigned worker)
{
	r->recheck_wanted[worker] = true;
	r->recheck_owed = true;
}

void bs__recheck_remind(struct bs_roles *r)
{
	struct bs_message m;
	unsigned i;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_REVOKE;
	m.u.revoke.kind = BS_MSG_REVOKE_DEVICE;
	r->recheck_owed = false;
	for (i = 0; i < r->w->n_workers; i++) {
		if (r->recheck_wanted[i])
			r->recheck_wanted[i] = bs_worker_send(r->w, i, &m) != BS_OK;
		r->recheck_owed |= r->recheck_wanted[i];
	}
}

static void revoke_device(struct bs_roles *r, struct bs_message *m)
{
	unsigned owner = bs_worker_owner(r->w, m->number);

	if (m->number == 0) {
		bs__recheck_start(r);
		return;
	}
	bs_pending_remove_device(&r->pending, m->number);
	if (owner == r->w->index) {
		uint32_t age_s;
		uint32_t nsi = bs_ids_holder(&r->ids, m->number, r->now_s, &age_s);

		if (nsi != 0 && send_drop(r, m->number, nsi, BS_DROP_REVOKED) != BS_OK)
			want_recheck(r, bs_worker_of_nsi(r->w, nsi));
	} else if (m->from == r->w->n_workers) {
		/* A claim of ours may still be on its way, and the owner have heard of the
		 * revocation before it: this comes behind the claim. */
		struct bs_message fwd = *m;

		if (bs_worker_send(r->w, owner, &fwd) != BS_OK)
			bs__recheck_start(r);
	}
}

static void revoke(struct bs_roles *r, struct bs_message *m)
{
	if (m->u.revoke.kind == BS_MSG_REVOKE_DEVICE)
		revoke_device(r, m);
	if (r->w->gate && m->from == r->w->n_workers)
		r->w->gate_ops->message(r->w->gate, m);
}

void bs__owner_message(struct bs_roles *r, struct bs_message *m)
{
	switch (m->kind) {
	case BS_MSG_CLAIM:
		bs__owner_claim(r, m->number, m->u.claim.nsi, m->u.claim.since_s);
		return;
	case BS_MSG_RELEASE: bs__owner_release(r, m->number, m->u.claim.nsi); return;
	case BS_MSG_CONNECT: route_connect(r, m); return;
	case BS_MSG_WATCH: watch(r, m); return;
	case BS_MSG_KICK: kick(r, m); return;
	case BS_MSG_REVOKE: revoke(r, m); return;
	default: return;
	}
}
