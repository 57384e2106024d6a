/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.h - so many things a second, evenly, and knowing when the schedule is not kept.
 *
 * What is due is counted from the start, not from the last step: a late step is made up for, and
 * what cannot be made up for is seen as being behind.  One owner; allocates nothing.
 */
#ifndef BS_TOOLS_BSLOAD_PACE_H
#define BS_TOOLS_BSLOAD_PACE_H

#include <stdint.h>

/** A schedule; rate 0 is one on which nothing is ever due. */
struct pace {
	double rate; /**< per second */
	uint64_t start;
	uint64_t done;
	uint64_t behind; /**< ns: what was left undone was due so long ago, at most */
};

void pace_start(struct pace *p, double rate, uint64_t now);
/** How many are due now, at most `most`; they count as done. */
uint32_t pace_take(struct pace *p, uint64_t now, uint32_t most);

#endif
