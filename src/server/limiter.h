/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limiter.h - token buckets in fixed memory for keys that a stranger may choose.
 *
 * Two rows of buckets, indexed by two halves of a keyed hash; a request passes while one of its two
 * buckets has a token, and takes one from each.  There are no entries to evict, so a flood from
 * many sources cannot make a bucket forget; it can only fill both of a bystander's, which bounds
 * the whole table to its buckets' rate.
 *
 * Owner: one worker.  Allocates: at init only.
 */
#ifndef BS_SERVER_LIMITER_H
#define BS_SERVER_LIMITER_H

#include "basestation/error.h"

struct bs_limiter {
	struct bs_limiter_bucket *bucket; /**< [2 * cap] */
	uint32_t cap;                     /**< a power of two */
	uint32_t rate;                    /**< tokens per second */
	uint32_t burst;                   /**< tokens of a full bucket */
};

struct bs_limiter_bucket {
	uint32_t used;     /**< tokens taken, in 1/1000; 0 = full */
	uint32_t stamp_ms; /**< when used was right */
};

/** cap buckets per row, a power of two.  BS_OK, BS_EINVAL or BS_ENOMEM. */
BS_MUSTCHECK int bs_limiter_init(struct bs_limiter *l, uint32_t cap, uint32_t rate, uint32_t burst);
void bs_limiter_fini(struct bs_limiter *l);
/** New pace; the buckets keep what was taken. */
void bs_limiter_set(struct bs_limiter *l, uint32_t rate, uint32_t burst);
/** Take a token; false when there is none. */
bool bs_limiter_take(struct bs_limiter *l, uint64_t hash, uint32_t now_ms);
/** Give n tokens back: who took them turned out to be welcome. */
void bs_limiter_give(struct bs_limiter *l, uint64_t hash, uint32_t n, uint32_t now_ms);

#endif
