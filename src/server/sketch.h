/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sketch.h - a set of fixed size that forgets after a day: the prefixes from which an attach was
 * verified.
 *
 * Four-way buckets of 16-bit tags with the hour of the last sight; a full bucket gives up its
 * oldest.  A stranger is taken for known with a chance of 4 in 65,536.
 *
 * Owner: one worker, in its state.  Allocates: no (1 MiB, touched as prefixes come).
 */
#ifndef BS_SERVER_SKETCH_H
#define BS_SERVER_SKETCH_H

#include "basestation/types.h"

#define BS_SKETCH_SETS 65536u
#define BS_SKETCH_WAYS 4u
/** Hours for which an entry counts. */
#define BS_SKETCH_HOURS 24u

struct bs_sketch {
	struct {
		uint16_t tag;  /**< 0 = empty */
		uint16_t hour; /**< of uptime, serial */
	} way[BS_SKETCH_SETS][BS_SKETCH_WAYS];
};

/** Zeroed storage is an empty sketch.  Enter a hash; true when it was not known. */
bool bs_sketch_add(struct bs_sketch *s, uint64_t hash, uint32_t now_s);
/** Add what another sketch with hashes of the same key knows; entries keep their age. */
void bs_sketch_merge(struct bs_sketch *s, const struct bs_sketch *from, uint32_t now_s);
bool bs_sketch_has(const struct bs_sketch *s, uint64_t hash, uint32_t now_s);

#endif
