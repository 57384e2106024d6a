/* SPDX-License-Identifier: Apache-2.0 */
#include "pace.h"

void pace_start(struct pace *p, double rate, uint64_t now)
{
	*p = (struct pace){ .rate = rate, .start = now };
}

uint32_t pace_take(struct pace *p, uint64_t now, uint32_t most)
{
	uint64_t want;
	uint64_t left;

	if (p->rate <= 0 || now <= p->start)
		return 0;
	want = (uint64_t)((double)(now - p->start) * p->rate / 1e9);
	left = want > p->done ? want - p->done : 0;
	if (left <= most) {
		p->done += left;
		return (uint32_t)left;
	}
	p->done += most;
	left = (uint64_t)((double)(left - most) / p->rate * 1e9);
	if (left > p->behind)
		p->behind = left;
	return most;
}
