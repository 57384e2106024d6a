/* SPDX-License-Identifier: Apache-2.0 */
#include "link_model.h"

#include <string.h>

#define US            (BS_TIME_PER_MS / 1000u)
#define QUEUE_DEFAULT 262144u

static uint32_t below(struct link_model *l, uint32_t n)
{
	l->rng ^= l->rng << 13;
	l->rng ^= l->rng >> 17;
	l->rng ^= l->rng << 5;
	return l->rng % n;
}

static bool chance(struct link_model *l, uint32_t ppm)
{
	/* No draw for what never happens: switching one trouble on leaves the others' draws. */
	return ppm != 0 && below(l, 1000000) < ppm;
}

void link_init(struct link_model *l, const struct link_conf *conf)
{
	memset(l, 0, sizeof(*l));
	l->conf = *conf;
	l->rng = (conf->seed + 1u) * 2654435761u;
	if (!l->rng)
		l->rng = 1;
}

uint16_t link_mtu(const struct link_model *l, bs_time now)
{
	const struct link_conf *c = &l->conf;

	if (l->started && c->later_mtu &&
	    BS_TIME_DIFF(now, l->start) >= BS_TIME_DIFF(BS_TIME_MS(c->mtu_after_ms), 0))
		return c->later_mtu;
	return c->mtu;
}

/* When the last bit of this packet has left; 0 waiting time without a rate. */
static bool leave(struct link_model *l, unsigned dir, size_t len, bs_time now, bs_time *out)
{
	const struct link_conf *c = &l->conf;
	uint64_t limit = c->queue_bytes ? c->queue_bytes : QUEUE_DEFAULT;
	uint64_t waiting;

	*out = now;
	if (!c->rate_bps)
		return true;
	if (BS_TIME_DIFF(l->busy[dir], now) < 0)
		l->busy[dir] = now;
	/* Bytes that are ahead of it, from the time that they still take. */
	waiting = (uint64_t)BS_TIME_DIFF(l->busy[dir], now) / 1000u * c->rate_bps / 8000000u;
	if (waiting + len > limit)
		return false;
	l->busy[dir] += (bs_time)((uint64_t)len * 8u * 1000000000u / c->rate_bps);
	*out = l->busy[dir];
	return true;
}

/* Arrival of one copy: in order, unless this one is to be late. */
static bs_time arrive(struct link_model *l, unsigned dir, bs_time left)
{
	const struct link_conf *c = &l->conf;
	bs_time at = left + (bs_time)c->delay_us * US;

	if (c->jitter_us)
		at += (bs_time)below(l, c->jitter_us) * US;
	if (chance(l, c->reorder_ppm)) {
		l->stats.reordered++;
		return at + (bs_time)c->reorder_us * US;
	}
	if (BS_TIME_DIFF(at, l->last[dir]) < 0)
		at = l->last[dir];
	l->last[dir] = at;
	return at;
}

enum link_verdict link_input(struct link_model *l, unsigned dir, size_t len, bs_time now,
			     struct link_fate *fate)
{
	uint16_t mtu;
	bs_time left;

	memset(fate, 0, sizeof(*fate));
	dir &= 1u;
	if (!l->started) {
		l->started = true;
		l->start = now;
		l->busy[0] = l->busy[1] = l->last[0] = l->last[1] = now;
	}
	mtu = link_mtu(l, now);
	if (mtu && len > mtu) {
		l->stats.too_big++;
		fate->mtu = mtu;
		return LINK_TOO_BIG;
	}
	if (!leave(l, dir, len, now, &left)) {
		l->stats.overflowed++;
		return LINK_LOST;
	}
	/* Lost packets have used the line all the same. */
	if (chance(l, l->conf.loss_ppm)) {
		l->stats.lost++;
		return LINK_LOST;
	}
	fate->at[fate->n++] = arrive(l, dir, left);
	if (chance(l, l->conf.copy_ppm)) {
		l->stats.copied++;
		fate->at[fate->n++] = arrive(l, dir, left);
	}
	l->stats.passed++;
	return LINK_PASS;
}
