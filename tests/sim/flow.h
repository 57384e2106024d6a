/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow.h - streams between two ends of one connection, over a virtual line with a seeded mind.
 *
 * Everything is decided by the seed: loss, delay, order, copies, rate, packet size, a changed
 * address, who writes how much, who reads how slowly.  A failure names the seed; `streams SEED`
 * plays it again.
 */
#ifndef BS_FLOW_H
#define BS_FLOW_H

#include "crypto/crypto.h"
#include "proto/stream.h"

#define FLOW_PACKETS 8192
#define FLOW_PACKET  16400
#define FLOW_STREAMS 12

/** What a run is like. */
struct flow_plan {
	uint32_t seed;
	unsigned loss;   /**< percent */
	unsigned copies; /**< percent */
	uint32_t delay_us;
	uint32_t jitter_us; /**< more than the gap of packets: they overtake each other */
	uint64_t rate;      /**< bytes a second each way, 0 = no limit */
	uint32_t queue;     /**< packets that wait for the rate before more are dropped */
	unsigned streams;
	uint64_t bytes[2]; /**< that each stream carries: from the initiator, to it */
	bool fast;
	bool slow_reader;
	bool moves;        /**< the initiator's address changes now and then */
	bool aborts;       /**< some streams are reset in the middle */
	uint16_t mtu;      /**< larger packets vanish, 0 = none do */
	uint16_t mtu_late; /**< the same after a while */
	uint16_t segment;
	uint16_t window;
	uint32_t segments; /**< in the pool of each end */
	const struct bs_suite *suite;
};

/** What came of it. */
struct flow_result {
	bs_time took;     /**< until the last byte was there */
	unsigned whole;   /**< streams that carried all bytes both ways */
	unsigned failed;  /**< that reported failure */
	unsigned refused; /**< for which the responder had no memory */
	uint64_t packets; /**< sent, both ways */
	uint64_t dropped; /**< for which the queue had no room */
	uint64_t again;   /**< data packets sent again */
	uint64_t data;    /**< data packets */
	uint16_t packet;  /**< proven size at the end, initiator */
	char failure[160];
};

/** Play it; false on a failure that r->failure tells.  The flow is heap memory of this call. */
bool flow_play(const struct flow_plan *plan, struct flow_result *r);

#endif
