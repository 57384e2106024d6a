/* SPDX-License-Identifier: Apache-2.0 */
/* Keep-alives that prove who sent them, and how seldom they may be (AUTH_ALIVE, INTERVAL). */
#include "server/role_auth.h"

#include <string.h>

#include "proto/alive_auth.h"
#include "server/prefix.h"
#include "util/endpoint.h"

int bs__auth_init(struct bs_roles *r)
{
	r->auth = bs_state_records(r->shard, BS_STATE_AUTH);
	r->nets = bs_state_records(r->shard, BS_STATE_NETS);
	return bs_state_use(r->shard, BS_STATE_NETS, 1);
}

bool bs__auth_room(struct bs_roles *r, uint32_t i, uint16_t ext)
{
	return !(ext & BS_EXT_AUTH_ALIVE) || bs_state_use(r->shard, BS_STATE_AUTH, i + 1) == BS_OK;
}

void bs__auth_begin(struct bs_roles *r, uint32_t i)
{
	struct bs_device_auth *d = &r->auth[i];
	uint16_t ext = r->slab.cold[i].ext;

	if (!(ext & BS_EXT_AUTH_ALIVE))
		return;
	memset(d, 0, sizeof(*d));
	if (ext & BS_EXT_INTERVAL)
		bs_interval_start(&d->interval, &r->limits);
	r->slab.hot[i].flags |= BS_SLAB_AUTH;
}

/* told_s is 0 where the device was not granted INTERVAL. */
static bool has_interval(const struct bs_device_auth *d)
{
	return d->interval.told_s != 0;
}

bool bs__auth_restore(struct bs_roles *r, uint32_t i)
{
	struct bs_device_auth *d = &r->auth[i];
	struct bs_interval_server *iv = &d->interval;
	uint16_t ext = r->slab.cold[i].ext;

	if (!(ext & BS_EXT_AUTH_ALIVE))
		return true;
	if (i >= bs_state_used(r->shard, BS_STATE_AUTH))
		return false;
	/* The end may have come between its two words: all that is not newer counts as taken. */
	if (d->seen.seen)
		d->seen.seen = UINT64_MAX;
	/* What is learned anew costs a few packets, what is wrong costs reachability. */
	if (!(ext & BS_EXT_INTERVAL))
		iv->told_s = 0;
	else
		bs_interval_fit(iv, &r->limits);
	/* The NAT's clock went on while ours stood still. */
	bs_interval_disturb(iv);
	r->slab.hot[i].flags |= BS_SLAB_AUTH;
	return true;
}

void bs__auth_ask(struct bs_roles *r, uint32_t i)
{
	struct bs_interval_server *iv = &r->auth[i].interval;
	uint16_t busy_s = r->slab.cold[i].n_conns > 0 ? r->busy_s : 0;
	uint64_t net;

	if (!has_interval(&r->auth[i]))
		return;
	net = bs_prefix_hash(r->hash_key, &r->slab.hot[i].peer);
	if (bs_interval_settled(iv, &r->limits))
		bs_nets_note(r->nets, net, iv->good_s);
	(void)bs_interval_ask(iv, &r->limits, bs_nets_get(r->nets, net), busy_s,
			      &r->slab.hot[i].alive, r->now_ms);
}

bs_ssize bs__auth_finish(struct bs_roles *r, uint32_t i, uint8_t *buf, bs_ssize len, size_t cap)
{
	if (len < 0)
		return len;
	return bs_alive_auth_seal(r->w->crypto, &r->slab.cold[i].c_key, BS_INITIATOR,
				  &r->auth[i].sent, buf, (size_t)len, cap);
}

const struct bs_alive_pace *bs__auth_pace(const struct bs_roles *r, uint32_t i,
					  struct bs_alive_pace *own)
{
	if (!has_interval(&r->auth[i]))
		return &r->pace;
	bs_interval_pace(&r->auth[i].interval, &r->pace, own);
	return own;
}

uint16_t bs__auth_jitter(const struct bs_roles *r, uint32_t i, uint16_t random)
{
	return bs_interval_jitter(&r->auth[i].interval, random);
}

static void count_bad(struct bs_roles *r, int err)
{
	bs_count(r->w->counters, err == BS_EREPLAY ? BS_C_alive_auth_replay : BS_C_alive_auth_bad);
	bs__drop(r, err);
}

/* The NAT gave it another port, or it is elsewhere. */
static bool move(struct bs_roles *r, uint32_t i, const struct bs_input *in)
{
	struct bs_device_hot *hot = &r->slab.hot[i];
	unsigned local = bs__local_index(r, in->socket, in->local);

	if (local == BS_LOCALS_MAX)
		return false;
	if (has_interval(&r->auth[i]) && !bs_prefix_equal(&hot->peer, in->peer))
		bs_interval_start(&r->auth[i].interval, &r->limits);
	bs_slab_move(&r->slab, i, in->peer, (uint8_t)local);
	bs__connect_moved(r, i);
	/* It waits for an answer at its new place. */
	hot->flags &= (uint8_t)~BS_SLAB_POLLED;
	bs_count(r->w->counters, BS_C_alive_roamed);
	return true;
}

bool bs__auth_input(struct bs_roles *r, uint32_t i, const struct bs_input *in, uint16_t seq)
{
	struct bs_device_hot *hot = &r->slab.hot[i];
	struct bs_device_auth *d = &r->auth[i];
	bool newest = false;
	int err = bs_alive_auth_open(r->w->crypto, &r->slab.cold[i].c_key, BS_INITIATOR, &d->seen,
				     &in->p, &newest);

	if (err) {
		count_bad(r, err);
		return false;
	}
	/* One that is older was under way when the device moved: it is not there any more. */
	if (!bs_endpoint_equal(&hot->peer, in->peer) && (!newest || !move(r, i, in))) {
		bs__drop(r, BS_ESOURCE);
		return false;
	}
	if (has_interval(d) && bs_interval_heard(&d->interval, &r->limits, &hot->alive, seq))
		bs_count(r->w->counters, BS_C_interval_lost);
	return true;
}

void bs__auth_disturb(struct bs_roles *r, uint32_t i)
{
	if (r->slab.hot[i].flags & BS_SLAB_AUTH)
		bs_interval_disturb(&r->auth[i].interval);
}

void bs__auth_hurry(struct bs_roles *r, uint32_t i)
{
	struct bs_device_hot *hot = &r->slab.hot[i];

	if (!(hot->flags & BS_SLAB_AUTH) || r->slab.cold[i].n_conns == 0 ||
	    r->auth[i].interval.told_s <= r->busy_s)
		return;
	/* One that is under way keeps what it said, or the two ends would not agree how patient the
	 * device is; its answer brings us here again. */
	if (hot->alive.tries > 0)
		return;
	/* Not with the next tick: the client may be gone by then, and soon be back. */
	bs__alive_now(r, i);
}
