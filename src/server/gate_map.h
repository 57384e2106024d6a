/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_map.h - numbers to pointers, and pools of equal items: the gate's two containers.
 *
 * Both are sized once, so a flood meets a limit and not the allocator.  The map is open addressing
 * with a keyed hash, since session numbers and client hashes can be influenced from outside.
 * Owner: one worker.  Allocates: at init only.
 */
#ifndef BS_SERVER_GATE_MAP_H
#define BS_SERVER_GATE_MAP_H

#include "basestation/error.h"
#include "util/siphash.h"

struct bs_gate_slot {
	uint64_t key;
	void *value; /**< NULL = free */
};

struct bs_gate_map {
	struct bs_gate_slot *slot; /**< [mask + 1] */
	size_t mask;
	size_t used;
	size_t limit; /**< most entries */
	uint8_t seed[BS_SIPHASH_KEY_LEN];
};

/** Room for n entries; seed makes the hash unpredictable.  BS_OK or BS_ENOMEM. */
BS_MUSTCHECK int bs_gate_map_init(struct bs_gate_map *m, size_t n,
				  const uint8_t seed[BS_SIPHASH_KEY_LEN]);
void bs_gate_map_fini(struct bs_gate_map *m);
/** NULL when the key is not there. */
void *bs_gate_map_get(const struct bs_gate_map *m, uint64_t key);
/** value is not NULL.  BS_OK, BS_EEXIST or BS_EFULL. */
BS_MUSTCHECK int bs_gate_map_put(struct bs_gate_map *m, uint64_t key, void *value);
/** Nothing happens when the key is not there. */
void bs_gate_map_remove(struct bs_gate_map *m, uint64_t key);

struct bs_gate_pool {
	uint8_t *mem;
	void *free; /**< chain through the first bytes of free items */
	size_t item;
	size_t cap;
	size_t used;
	size_t fresh; /**< items never taken: their memory is untouched */
};

/** n items of item bytes (at least a pointer's).  BS_OK or BS_ENOMEM. */
BS_MUSTCHECK int bs_gate_pool_init(struct bs_gate_pool *p, size_t item, size_t n);
void bs_gate_pool_fini(struct bs_gate_pool *p);
/** A zeroed item, or NULL when all are in use. */
void *bs_gate_pool_take(struct bs_gate_pool *p);
/** Wipe and give back; NULL is fine. */
void bs_gate_pool_give(struct bs_gate_pool *p, void *item);

#endif
