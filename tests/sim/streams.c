/* SPDX-License-Identifier: Apache-2.0 */
/* streams [SEED [COUNT]] - streams on bad lines by seed, then fixed lines; prints TAP. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"

#define DEFAULT_COUNT 60
#define SEGMENT_FAST  1300
#define SEGMENT_LARGE 4000

static uint32_t pick(uint32_t *rng, uint32_t n)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 17;
	*rng ^= *rng << 5;
	return *rng % n;
}

static uint32_t between(uint32_t *rng, uint32_t low, uint32_t high)
{
	return low + pick(rng, high - low + 1);
}

static bool one_in(uint32_t *rng, uint32_t n)
{
	return pick(rng, n) == 0;
}

/* A line and a use of it, by seed. */
static void draw(struct flow_plan *p, uint32_t seed)
{
	uint32_t rng = seed * 747796405u + 2891336453u;

	memset(p, 0, sizeof(*p));
	p->seed = seed;
	p->loss = one_in(&rng, 4) ? 0 : pick(&rng, 31);
	p->copies = one_in(&rng, 2) ? 0 : pick(&rng, 20);
	p->delay_us = between(&rng, 50, 60000);
	p->jitter_us = one_in(&rng, 3) ? 0 : pick(&rng, 20000);
	p->rate = one_in(&rng, 2) ? 0 : between(&rng, 100000, 5000000);
	p->queue = between(&rng, 8, 200);
	p->streams = between(&rng, 1, FLOW_STREAMS);
	p->bytes[0] = pick(&rng, 120000);
	p->bytes[1] = pick(&rng, 120000);
	/* The first byte says which stream it is. */
	p->bytes[0]++;
	p->fast = seed % 2;
	p->slow_reader = one_in(&rng, 3);
	p->moves = one_in(&rng, 4);
	p->aborts = one_in(&rng, 5);
	p->segment = (uint16_t)(p->fast && one_in(&rng, 2) ? SEGMENT_LARGE
							   : between(&rng, 200, SEGMENT_FAST));
	p->window = (uint16_t)(one_in(&rng, 3) ? between(&rng, 1, 8) : between(&rng, 8, 400));
	p->segments = between(&rng, p->streams * 6, p->streams * 6 + 2000);
	p->suite = one_in(&rng, 8) ? &bs_suite_aes_cbc : &bs_suite_null;
	if (p->fast && one_in(&rng, 2))
		p->mtu_late = (uint16_t)between(&rng, 700, 1300);
	if (p->fast && one_in(&rng, 2))
		p->mtu = 1472;
}

static int report(int n, const char *name, const struct flow_plan *p, bool ok,
		  const struct flow_result *r)
{
	printf("%sok %d - %s: %s, loss %u, %u streams: %u whole, %u failed, %llu ms, %llu packets, "
	       "%llu of %llu again, packet %u%s%s\n",
	       ok ? "" : "not ", n, name, p->fast ? "fast" : "base", p->loss, p->streams, r->whole,
	       r->failed, (unsigned long long)(r->took / BS_TIME_PER_MS),
	       (unsigned long long)r->packets, (unsigned long long)r->again,
	       (unsigned long long)r->data, r->packet, ok ? "" : ": ", r->failure);
	return !ok;
}

int main(int argc, char **argv)
{
	unsigned long first = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : argc > 1 ? 1 : DEFAULT_COUNT;
	struct flow_plan plan;
	struct flow_result r;
	unsigned long i;
	char name[32];
	int failed = 0;

	for (i = 0; i < count; i++) {
		bool ok;

		draw(&plan, (uint32_t)(first + i));
		ok = flow_play(&plan, &r);
		/* Failure must be reported, but it must also be rare: twelve losses in a row. */
		if (ok && r.failed && !plan.aborts && plan.loss < 20) {
			(void)snprintf(r.failure, sizeof(r.failure), "a stream failed");
			ok = false;
		}
		(void)snprintf(name, sizeof(name), "seed %lu", first + i);
		failed += report((int)i + 1, name, &plan, ok, &r);
	}
	printf("1..%lu\n", count);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
