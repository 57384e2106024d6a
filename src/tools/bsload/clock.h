/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - the one clock of the generator, nanoseconds that only go forward.
 */
#ifndef BS_TOOLS_BSLOAD_CLOCK_H
#define BS_TOOLS_BSLOAD_CLOCK_H

#include <stdint.h>
#include <time.h>

/** Nanoseconds in a second. */
#define CLOCK_SECOND UINT64_C(1000000000)

/** Now. */
static inline uint64_t clock_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_SECOND + (uint64_t)ts.tv_nsec;
}

#endif
