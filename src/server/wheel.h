/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wheel.h - hierarchical timer wheel over records that the caller numbers.
 *
 * A node lies inside the caller's record; the wheel knows base address and stride, links by number
 * and so survives a record array that is mapped elsewhere.  Level 0 spans 2048 ticks one by one, so
 * that a keepalive interval never cascades; level 1 spans 256 times that, level 2 again.
 *
 * Owner: one worker.  Allocates: no.
 */
#ifndef BS_SERVER_WHEEL_H
#define BS_SERVER_WHEEL_H

#include "basestation/types.h"

/** "No record". */
#define BS_WHEEL_NONE UINT32_MAX

#define BS_WHEEL_L0 2048u
/** Lists of a tick.  A list shows its second record only when the first has come from memory; with
 *  four in turn each has the time of three others to come. */
#define BS_WHEEL_WAYS 4u
#define BS_WHEEL_L1   256u
#define BS_WHEEL_L2   256u

/** Place in the wheel; part of a record. */
struct bs_wheel_node {
	uint32_t next;
	uint32_t prev; /**< record before it; or its slot, with the top bit; or NONE: not armed;
			    of no meaning when that record was taken by bs_wheel_next */
	uint32_t due;  /**< tick */
};

struct bs_wheel {
	uint8_t *nodes; /**< node of record 0 */
	size_t stride;  /**< bytes from one node to the next */
	uint32_t tick;  /**< every slot before this one is empty */
	uint32_t n;     /**< armed nodes */
	uint32_t way;   /**< list of this tick that is next */
	uint32_t slot[BS_WHEEL_L0 * BS_WHEEL_WAYS + BS_WHEEL_L1 + BS_WHEEL_L2];
};

void bs_wheel_init(struct bs_wheel *w, void *nodes, size_t stride, uint32_t now);
/** A new record's node: not armed. */
void bs_wheel_node_init(struct bs_wheel *w, uint32_t id);
/** Arm, or arm anew.  A due tick that is past counts as the next one. */
void bs_wheel_set(struct bs_wheel *w, uint32_t id, uint32_t due);
/** Disarm; nothing when it is not armed. */
void bs_wheel_clear(struct bs_wheel *w, uint32_t id);
bool bs_wheel_is_set(const struct bs_wheel *w, uint32_t id);
/** This one, whose own node is at hand, is armed anew soon. */
void bs_wheel_prefetch(const struct bs_wheel *w, uint32_t id);
/** The next record that is due at tick now, disarmed; NONE when there is none. */
uint32_t bs_wheel_next(struct bs_wheel *w, uint32_t now);

#endif
