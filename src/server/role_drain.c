/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending the devices away, a few at a time: who drains a server wants them to go elsewhere, and
 * not all at once.  A device with extension CLOSE is told and leaves; for a stock one the
 * keepalives stop, which it notices by its own polls.
 */
#include "server/roles.h"

#include <string.h>

/* Ended in one tick at most, so that datagrams are served between. */
#define PER_TICK 512u
/* Told to whoever asks to come in: an operator needs some time to move the name elsewhere. */
#define AWAY_MS 30000u

void bs__drain_set(struct bs_roles *r, const struct bs_msg_drain *m)
{
	struct bs_drain *d = &r->drain;

	if (!m->on) {
		memset(d, 0, sizeof(*d));
		return;
	}
	d->on = true;
	d->begin_ms = r->now_ms;
	d->rate = m->rate;
	d->span_ms = m->span_ms;
	d->n = r->slab.n;
}

bool bs__drain_refuses(struct bs_roles *r, const struct bs_input *in, const struct bs_invite *inv)
{
	const struct bs_ask_for q = {
		.peer = in->peer,
		.known = bs_admission_knows(&r->admission, in->peer, r->now_s),
	};

	if (!r->drain.on)
		return false;
	bs_count(r->w->counters, BS_C_invite_drained);
	(void)bs__invite_away(r, in, inv, &q, AWAY_MS + bs__random32(r) % AWAY_MS);
	return true;
}

/* How many may be left now. */
static uint32_t allowed(const struct bs_drain *d, uint32_t ago_ms)
{
	uint64_t by_rate = (uint64_t)d->rate * ago_ms / 1000;
	uint64_t by_span;

	if (ago_ms >= d->span_ms)
		return 0;
	by_span = (uint64_t)d->n * ago_ms / d->span_ms;
	/* A rate is the wish, the span the limit: what the rate does not reach by then, the end of
	 * the span does. */
	if (d->rate != 0)
		by_span = by_rate;
	return by_span < d->n ? (uint32_t)(d->n - by_span) : 0;
}

void bs__drain_due(struct bs_roles *r)
{
	struct bs_drain *d = &r->drain;
	uint32_t ago_ms = r->now_ms - d->begin_ms;
	bool spare = ago_ms < d->span_ms / 2;
	uint32_t left = d->on ? allowed(d, ago_ms) : r->slab.n;
	uint32_t looked;

	for (looked = 0; looked < PER_TICK && r->slab.n > left; looked++) {
		d->at = bs_slab_next(&r->slab, d->at);
		if (d->at == BS_SLAB_NONE)
			d->at = bs_slab_next(&r->slab, 0);
		if (d->at == BS_SLAB_NONE)
			return;
		/* somebody is using it: it goes later */
		if (!spare || r->slab.cold[d->at].n_conns == 0) {
			bs__device_end(r, d->at, BS_DROP_KICKED);
			bs_count(r->w->counters, BS_C_devices_drained);
		}
		d->at++;
	}
}
