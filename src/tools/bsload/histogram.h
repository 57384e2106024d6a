/* SPDX-License-Identifier: Apache-2.0 */
/*
 * histogram.h - times in log-linear buckets: every value is kept with an error below 1.6 % in a
 * fixed 30 KiB, from one nanosecond to centuries, however many there are.
 *
 * Averages hide what matters about latency, and keeping each value does not scale; this is the
 * arrangement that HdrHistogram made common.  One owner; allocates nothing.
 */
#ifndef BS_TOOLS_BSLOAD_HISTOGRAM_H
#define BS_TOOLS_BSLOAD_HISTOGRAM_H

#include <stdint.h>

/** Each power of two is cut into 2^6 buckets. */
#define HISTOGRAM_BITS    6
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

/** All zero is an empty one. */
struct histogram {
	uint64_t n;
	uint64_t sum;
	uint64_t max;
	uint64_t count[HISTOGRAM_BUCKETS];
};

/** Add a value, in nanoseconds. */
void histogram_add(struct histogram *h, uint64_t ns);
/** The value that per_mille of all do not exceed: the upper end of its bucket, at most the
 *  largest value seen.  0 when empty. */
uint64_t histogram_at(const struct histogram *h, unsigned per_mille);
/** The mean; 0 when empty. */
uint64_t histogram_mean(const struct histogram *h);

#endif
