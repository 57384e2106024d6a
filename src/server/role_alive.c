/* SPDX-License-Identifier: Apache-2.0 */
/* Keepalive: requests, answers, polls, address changes, and the events that answers carry. */
#include "server/roles.h"

#include <string.h>

#include "net/udp.h"
#include "server/role_auth.h"
#include "server/worker_loop.h"
#include "util/endpoint.h"
#include "wire/alive.h"

enum {
	POLL_GAP_MS = 1000,
};

static bool has_auth(const struct bs_roles *r, uint32_t i)
{
	return r->slab.hot[i].flags & BS_SLAB_AUTH;
}

static void send_request(struct bs_roles *r, uint32_t i, uint16_t seq, unsigned local,
			 const struct bs_endpoint *peer)
{
	const struct bs_device_hot *hot = &r->slab.hot[i];
	struct bs_alive_request m = { .nsi = hot->nsi,
				      .seq = seq,
				      .has_time = true,
				      .unix_s = (uint32_t)(r->w->unix_ms / 1000) };
	uint8_t *buf = bs__send_reserve(r);
	bs_ssize len;

	if (has_auth(r, i))
		m.interval_s = r->auth[i].interval.told_s;
	len = bs_alive_request_encode(buf, BS_UDP_BUF, &m);
	if (has_auth(r, i))
		len = bs__auth_finish(r, i, buf, len, BS_UDP_BUF);
	if (len < 0)
		return;
	bs__send_commit(r, (size_t)len, local, peer);
	bs_count(r->w->counters, BS_C_alive_sent);
}

static void rearm(struct bs_roles *r, uint32_t i)
{
	bs_wheel_set(&r->device_wheel, i, bs__tick_of_ms(r, r->slab.hot[i].alive.due_ms));
}

static void count_unreachable(struct bs_roles *r, int by)
{
	uint64_t n = bs_count_get(r->w->counters, BS_C_devices_unreachable);

	bs_count_set(r->w->counters, BS_C_devices_unreachable, n + (uint64_t)(int64_t)by);
}

static const struct bs_alive_pace *pace_of(const struct bs_roles *r, uint32_t i,
					   struct bs_alive_pace *own)
{
	return has_auth(r, i) ? bs__auth_pace(r, i, own) : &r->pace;
}

/* Do what is due; false when that was the end of the device. */
static bool step(struct bs_roles *r, uint32_t i)
{
	struct bs_device_hot *hot = &r->slab.hot[i];
	uint32_t random = bs__random32(r);
	struct bs_alive_pace own;
	const struct bs_alive_pace *pace = pace_of(r, i, &own);
	enum bs_alive_action action;

	do {
		action = bs_alive_timeout(&hot->alive, pace, (uint16_t)random,
					  (uint16_t)(random >> 16), r->now_ms);
		if (action == BS_ALIVE_UNREACHABLE) {
			bs_count(r->w->counters, BS_C_alive_unreachable);
			count_unreachable(r, 1);
		}
	} while (action == BS_ALIVE_UNREACHABLE);
	if (action == BS_ALIVE_DEAD) {
		bs_count(r->w->counters, BS_C_alive_timeout);
		bs__device_end(r, i, BS_DROP_SILENT);
		return false;
	}
	if (action == BS_ALIVE_SEND_AGAIN)
		bs_count(r->w->counters, BS_C_alive_repeated);
	else if (action == BS_ALIVE_SEND && has_auth(r, i))
		bs__auth_ask(r, i);
	if (action != BS_ALIVE_WAIT)
		send_request(r, i, hot->alive.seq, hot->local, &hot->peer);
	rearm(r, i);
	return true;
}

void bs__alive_start(struct bs_roles *r, uint32_t i)
{
	(void)step(r, i);
}

void bs__alive_due(struct bs_roles *r, uint32_t i)
{
	if (!step(r, i) || (r->slab.hot[i].flags & BS_SLAB_CLAIMED))
		return;
	bs_count(r->w->counters, BS_C_claims_retried);
	/* A revocation went to the owner, who did not know this attachment yet. */
	if (bs__device_allowed(r, r->slab.hot[i].number))
		bs__device_claim(r, i);
	else
		bs__device_end(r, i, BS_DROP_REVOKED);
}

static void take_events(struct bs_roles *r, const struct bs_device_hot *hot, struct bs_slice events)
{
	struct bs_slice rec;
	size_t off = 0;

	while (bs_alive_event_next(events, &off, &rec)) {
		struct bs_event_row *row = &r->events[r->n_events++ % BS_RING_EVENTS];
		size_t len = rec.len < sizeof(row->text) ? rec.len : sizeof(row->text);
		char text[sizeof(row->text) * 4 + 4];

		row->unix_ms = r->w->unix_ms;
		row->number = hot->number;
		row->len = (uint16_t)len;
		memcpy(row->text, rec.ptr, len);
		bs_count(r->w->counters, BS_C_event_records);
		bs_log_limited(&r->log_limit[BS_LK_EVENT], r->w->now, BS_LOG_INFO,
			       "device, event (device %u: %s)", hot->number,
			       bs_log_escape(text, sizeof(text), rec.ptr, len));
	}
}

void bs__alive_now(struct bs_roles *r, uint32_t i)
{
	struct bs_device_hot *hot = &r->slab.hot[i];

	bs_alive_poll(&hot->alive, &r->pace, (uint16_t)bs__random32(r), r->now_ms);
	if (has_auth(r, i))
		bs__auth_ask(r, i);
	send_request(r, i, hot->alive.seq, hot->local, &hot->peer);
	rearm(r, i);
}

/* The device has heard nothing for longer than it likes; ask it at once, but not for each of a
 * flood of polls. */
static void answer_poll(struct bs_roles *r, uint32_t i)
{
	struct bs_device_hot *hot = &r->slab.hot[i];
	struct bs_device_cold *cold = &r->slab.cold[i];

	bs_count(r->w->counters, BS_C_alive_poll);
	if ((hot->flags & BS_SLAB_POLLED) && r->now_ms - cold->polled_ms < POLL_GAP_MS) {
		bs_count(r->w->counters, BS_C_alive_poll_limited);
		return;
	}
	hot->flags |= BS_SLAB_POLLED;
	cold->polled_ms = r->now_ms;
	bs__alive_now(r, i);
}

static void answer_from_home(struct bs_roles *r, uint32_t i, const struct bs_alive_answer *a)
{
	struct bs_device_hot *hot = &r->slab.hot[i];
	bool was_unreachable = hot->alive.unreachable;
	uint32_t sent_ms = hot->alive.sent_ms;
	uint16_t jitter = (uint16_t)bs__random32(r);
	struct bs_alive_pace own;
	enum bs_alive_verdict verdict;

	if (has_auth(r, i))
		jitter = bs__auth_jitter(r, i, jitter);
	verdict = bs_alive_input(&hot->alive, pace_of(r, i, &own), a->seq, jitter, r->now_ms);
	if (verdict == BS_ALIVE_LATE) {
		bs_count(r->w->counters, BS_C_alive_late);
		return;
	}
	hot->flags |= BS_SLAB_SEEN;
	if (was_unreachable)
		count_unreachable(r, -1);
	if (verdict == BS_ALIVE_POLL) {
		answer_poll(r, i);
		return;
	}
	bs_count(r->w->counters, BS_C_alive_answered);
	hot->rtt_ms = (uint16_t)(r->now_ms - sent_ms);
	rearm(r, i);
	if (has_auth(r, i))
		bs__auth_hurry(r, i);
	/* The address that is on record still works. */
	if (hot->flags & BS_SLAB_MOVING) {
		bs_count(r->w->counters, BS_C_alive_move_refused);
		bs__move_cancel(r, i);
	}
	if (a->events.len > 0)
		take_events(r, hot, a->events);
}

void bs__move_cancel(struct bs_roles *r, uint32_t device)
{
	struct bs_device_hot *hot = &r->slab.hot[device];

	if (!(hot->flags & BS_SLAB_MOVING))
		return;
	hot->flags &= (uint8_t)~BS_SLAB_MOVING;
	bs_wheel_clear(&r->move_wheel, hot->move);
	bs_pool_give(&r->moves, hot->move);
	hot->move = BS_POOL_NONE;
}

/* A poll came from elsewhere: its NAT may have moved the device.  Ask both places. */
static void begin_move(struct bs_roles *r, uint32_t i, const struct bs_input *in)
{
	struct bs_device_hot *hot = &r->slab.hot[i];
	unsigned local = bs__local_index(r, in->socket, in->local);
	struct bs_move *move;
	uint32_t m;

	/* One check at a time, or a forger could keep it from ever ending. */
	if ((hot->flags & BS_SLAB_MOVING) || local == BS_LOCALS_MAX)
		return;
	m = bs_pool_take(&r->moves);
	if (m == BS_POOL_NONE) {
		bs_count(r->w->counters, BS_C_alive_move_full);
		return;
	}
	move = bs_pool_get(&r->moves, m);
	bs_wheel_node_init(&r->move_wheel, m);
	move->to = *in->peer;
	move->local = (uint8_t)local;
	move->device = i;
	do
		move->seq = (uint16_t)(bs__random32(r) | 1);
	while (move->seq == hot->alive.seq);
	hot->flags |= BS_SLAB_MOVING;
	hot->move = m;
	bs_wheel_set(&r->move_wheel, m, bs__tick_of_ms(r, r->now_ms + r->pace.retry_ms));
	bs_count(r->w->counters, BS_C_alive_move_probe);
	send_request(r, i, move->seq, move->local, &move->to);
	bs_alive_poll(&hot->alive, &r->pace, (uint16_t)bs__random32(r), r->now_ms);
	send_request(r, i, hot->alive.seq, hot->local, &hot->peer);
	rearm(r, i);
}

static void answer_from_elsewhere(struct bs_roles *r, uint32_t i, const struct bs_input *in,
				  const struct bs_alive_answer *a)
{
	struct bs_device_hot *hot = &r->slab.hot[i];
	struct bs_move *move = NULL;

	if (hot->flags & BS_SLAB_MOVING)
		move = bs_pool_get(&r->moves, hot->move);
	if (a->seq == 0) {
		bs_count(r->w->counters, BS_C_alive_poll);
		begin_move(r, i, in);
	} else if (move && a->seq == move->seq && bs_endpoint_equal(&move->to, in->peer)) {
		move->answered = true;
	} else {
		bs__drop(r, BS_ESOURCE);
	}
}

/* The old address had its time to answer. */
void bs__move_due(struct bs_roles *r, uint32_t m)
{
	struct bs_move *move = bs_pool_get(&r->moves, m);
	uint32_t i = move->device;
	struct bs_device_hot *hot = &r->slab.hot[i];

	if (move->answered) {
		bs_slab_move(&r->slab, i, &move->to, move->local);
		bs__connect_moved(r, i);
		if (hot->alive.unreachable)
			count_unreachable(r, -1);
		/* It is alive; the request under way was for the old address. */
		bs_alive_start(&hot->alive, (uint16_t)bs__random32(r), r->now_ms);
		bs_count(r->w->counters, BS_C_alive_moved);
	}
	bs__move_cancel(r, i);
	bs__alive_due(r, i);
}

void bs__alive_input(struct bs_roles *r, struct bs_input *in)
{
	struct bs_alive_answer a;
	uint32_t i;
	int err = bs_alive_answer_decode(&in->p, &a);

	if (!err && bs_nsi_table_get(&r->nsi, a.nsi, &i) != BS_NSI_DEVICE)
		err = BS_EUNKNOWN;
	if (err) {
		bs__drop(r, err);
		return;
	}
	/* Where it may come from is settled there: the MAC says more than an address. */
	if (has_auth(r, i)) {
		if (bs__auth_input(r, i, in, a.seq))
			answer_from_home(r, i, &a);
		return;
	}
	if (bs_endpoint_equal(&r->slab.hot[i].peer, in->peer))
		answer_from_home(r, i, &a);
	else
		answer_from_elsewhere(r, i, in, &a);
}
