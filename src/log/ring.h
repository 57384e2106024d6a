/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - one producer, one consumer, fixed slots: how a thread's lines reach the log thread.
 *
 * The producer fills a slot in place and publishes it; it never waits.  The consumer is whoever
 * holds the log's lock.
 */
#ifndef BS_LOG_RING_H
#define BS_LOG_RING_H

#include <stdatomic.h>

#include "log/log.h"

/** Slots of a ring; a power of two.  256 lines of a burst fit before any is dropped. */
#define BS_LOG_RING_SLOTS 256
/** Room for a thread's name with its terminator. */
#define BS_LOG_NAME_MAX 16

/** One line on its way, not yet formatted. */
struct bs_log_record {
	uint64_t wall_ns; /**< wall clock, nanoseconds since 1970 */
	enum bs_log_level level;
	uint32_t pairs_len; /**< bytes in pairs */
	char name[BS_LOG_NAME_MAX];
	char message[BS_LOG_MESSAGE_MAX];
	/** Pairs one after the other: 's' or 'n', key, 0, value, 0. */
	char pairs[BS_LOG_PAIRS_MAX];
};

/** Zeroed = empty. */
struct bs_log_ring {
	/** Next slot to fill; only the producer writes it, release publishes the slot before. */
	_Alignas(64) _Atomic uint32_t head;
	_Atomic uint64_t dropped; /**< lines that found the ring full; the producer counts */
	/** Next slot to read; only the consumer writes it, release gives the slot back. */
	_Alignas(64) _Atomic uint32_t tail;
	struct bs_log_record slot[BS_LOG_RING_SLOTS];
};

/** The slot to fill, or NULL (counted) when the ring is full. */
struct bs_log_record *bs__log_ring_reserve(struct bs_log_ring *r);
/** Make the reserved slot visible to the consumer. */
void bs__log_ring_publish(struct bs_log_ring *r);
/** The oldest line, borrowed until bs__log_ring_pop(); NULL when empty. */
const struct bs_log_record *bs__log_ring_peek(struct bs_log_ring *r);
void bs__log_ring_pop(struct bs_log_ring *r);

#endif
