/* SPDX-License-Identifier: Apache-2.0 */
#include "server/limiter.h"

#include <stdlib.h>
#include <string.h>

enum {
	UNIT = 1000, /* so that rate times milliseconds is exact */
	RATE_MAX = 1000000,
};

int bs_limiter_init(struct bs_limiter *l, uint32_t cap, uint32_t rate, uint32_t burst)
{
	memset(l, 0, sizeof(*l));
	if (cap == 0 || (cap & (cap - 1)) != 0)
		return BS_EINVAL;
	l->bucket = calloc((size_t)2 * cap, sizeof(*l->bucket));
	if (!l->bucket)
		return BS_ENOMEM;
	l->cap = cap;
	bs_limiter_set(l, rate, burst);
	return BS_OK;
}

void bs_limiter_fini(struct bs_limiter *l)
{
	if (l) {
		free(l->bucket);
		memset(l, 0, sizeof(*l));
	}
}

void bs_limiter_set(struct bs_limiter *l, uint32_t rate, uint32_t burst)
{
	l->rate = rate < RATE_MAX ? rate : RATE_MAX;
	l->burst = burst < RATE_MAX ? burst : RATE_MAX;
	if (l->burst == 0)
		l->burst = 1;
}

/* Refill, and say whether a whole token is there. */
static bool refresh(const struct bs_limiter *l, struct bs_limiter_bucket *b, uint32_t now_ms)
{
	uint32_t elapsed_ms = now_ms - b->stamp_ms;
	uint64_t back = (uint64_t)elapsed_ms * l->rate;

	/* A step too small to count must not move the stamp, or slow rates would never refill. */
	if (b->used == 0 || back >= b->used) {
		b->used = 0;
		b->stamp_ms = now_ms;
	} else if (back > 0) {
		b->used -= (uint32_t)back;
		b->stamp_ms = now_ms;
	}
	return (uint64_t)b->used + UNIT <= (uint64_t)l->burst * UNIT;
}

static struct bs_limiter_bucket *bucket_of(struct bs_limiter *l, uint64_t hash, unsigned row)
{
	uint32_t half = (uint32_t)(row == 0 ? hash : hash >> 32);

	return &l->bucket[row * l->cap + (half & (l->cap - 1))];
}

bool bs_limiter_take(struct bs_limiter *l, uint64_t hash, uint32_t now_ms)
{
	struct bs_limiter_bucket *a = bucket_of(l, hash, 0);
	struct bs_limiter_bucket *b = bucket_of(l, hash, 1);
	bool has_a = refresh(l, a, now_ms);
	bool has_b = refresh(l, b, now_ms);

	if (has_a)
		a->used += UNIT;
	if (has_b)
		b->used += UNIT;
	return has_a || has_b;
}

void bs_limiter_give(struct bs_limiter *l, uint64_t hash, uint32_t n, uint32_t now_ms)
{
	unsigned row;

	for (row = 0; row < 2; row++) {
		struct bs_limiter_bucket *b = bucket_of(l, hash, row);

		(void)refresh(l, b, now_ms);
		b->used = b->used > n * UNIT ? b->used - n * UNIT : 0;
	}
}
