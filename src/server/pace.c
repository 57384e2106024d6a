/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pace.h"

#include <string.h>

enum {
	ONE = 1000, /* a registration, in thousandths */
	SECOND_MS = 1000,
	/* A longer quiet time gives no more: every bucket is full by then. */
	QUIET_MS = 8000,
	/* Of four registrations three are by appointment when both kinds want more. */
	PARTS = 4,
	KEEPERS = 3,
};

/* What may come at once after a quiet time: an eighth of a second's worth each, at least one. */
static uint64_t most(const struct bs_pace *p)
{
	uint64_t cap = (uint64_t)p->rate * ONE / 8;

	return cap > ONE ? cap : ONE;
}

void bs_pace_set(struct bs_pace *p, uint32_t rate)
{
	if (rate == p->rate)
		return;
	p->rate = rate;
	p->first = 0;
	p->keepers = p->others = most(p);
}

void bs_pace_init(struct bs_pace *p, uint32_t rate, uint32_t now_ms)
{
	memset(p, 0, sizeof(*p));
	p->last_ms = p->begin_ms = now_ms;
	bs_pace_set(p, rate);
}

/* Give to one, and what it cannot hold to the other. */
static void pour(uint64_t *to, uint64_t *rest, uint64_t n, uint64_t cap)
{
	*to += n;
	if (*to <= cap)
		return;
	*rest += *to - cap;
	*to = cap;
	if (*rest > cap)
		*rest = cap;
}

static void fill(struct bs_pace *p, uint32_t now_ms)
{
	uint32_t ms = now_ms - p->last_ms;
	uint64_t n = (uint64_t)p->rate * (ms < QUIET_MS ? ms : QUIET_MS);
	uint64_t cap = most(p);

	p->last_ms = now_ms;
	pour(&p->keepers, &p->others, n * KEEPERS / PARTS, cap);
	pour(&p->others, &p->keepers, n - n * KEEPERS / PARTS, cap);
}

static void turn(struct bs_pace *p, uint32_t now_ms)
{
	uint32_t n = (now_ms - p->begin_ms) / SECOND_MS;

	if (n >= BS_PACE_SECONDS) {
		memset(p->booked, 0, sizeof(p->booked));
		p->begin_ms = now_ms;
		p->first = 0;
		return;
	}
	p->begin_ms += n * SECOND_MS;
	p->first -= p->first < n ? p->first : n;
	for (; n > 0; n--) {
		p->booked[p->head] = 0;
		p->head = (p->head + 1) % BS_PACE_SECONDS;
	}
}

/* Milliseconds to an appointment. */
static uint32_t book(struct bs_pace *p, uint32_t random, uint32_t now_ms)
{
	uint32_t room = (uint32_t)((uint64_t)p->rate * KEEPERS / PARTS);
	uint32_t s;

	if (room == 0)
		room = 1;
	/* the present second has passed in part */
	for (s = p->first > 0 ? p->first : 1; s < BS_PACE_SECONDS; s++) {
		uint32_t *booked = &p->booked[(p->head + s) % BS_PACE_SECONDS];

		if (*booked >= room)
			continue;
		++*booked;
		p->first = s;
		return p->begin_ms + s * SECOND_MS - now_ms + random % SECOND_MS;
	}
	/* Nothing is free in ten minutes: to any moment of them, and it will ask once more. */
	p->first = BS_PACE_SECONDS;
	return (1 + random % (BS_PACE_SECONDS - 1)) * SECOND_MS;
}

bool bs_pace_take(struct bs_pace *p, bool keeps, uint32_t random, uint32_t now_ms,
		  uint32_t *retry_ms)
{
	uint64_t *from = keeps ? &p->keepers : &p->others;

	if (p->rate == 0)
		return true;
	fill(p, now_ms);
	turn(p, now_ms);
	if (*from >= ONE) {
		*from -= ONE;
		return true;
	}
	if (keeps)
		*retry_ms = book(p, random, now_ms);
	return false;
}
