/* SPDX-License-Identifier: Apache-2.0 */
#include "histogram.h"

enum {
	STEPS = 1 << HISTOGRAM_BITS
};

/* Position of the highest bit that is set; v is not 0. */
static unsigned high_bit(uint64_t v)
{
	return 63u - (unsigned)__builtin_clzll(v);
}

/* Below 2^7 every value has a bucket of its own; above, the first 7 bits choose. */
static unsigned bucket_of(uint64_t v)
{
	unsigned shift;

	if (v < STEPS)
		return (unsigned)v;
	shift = high_bit(v) - HISTOGRAM_BITS;
	return (shift << HISTOGRAM_BITS) + (unsigned)(v >> shift);
}

static uint64_t upper_end(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * STEPS)
		return bucket;
	shift = (bucket >> HISTOGRAM_BITS) - 1;
	return ((uint64_t)(bucket - (shift << HISTOGRAM_BITS) + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
	h->n++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
	h->count[bucket_of(ns)]++;
}

uint64_t histogram_at(const struct histogram *h, unsigned per_mille)
{
	const uint64_t rank = (h->n * per_mille + 999) / 1000;
	uint64_t seen = 0;

	for (unsigned i = 0; h->n > 0 && i < HISTOGRAM_BUCKETS; i++) {
		seen += h->count[i];
		if (seen >= rank && seen > 0)
			return upper_end(i) < h->max ? upper_end(i) : h->max;
	}
	return h->max;
}

uint64_t histogram_mean(const struct histogram *h)
{
	return h->n ? h->sum / h->n : 0;
}
