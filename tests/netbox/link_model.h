/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_model.h - a bad line as pure code: when, how often and whether a packet arrives.
 *
 * It holds no packets: the caller keeps each one until the times that it is told.  Each direction
 * has its own queue.  The same seed and the same calls give the same fates.
 *
 * Owner: one thread.  May call: nothing.  Allocates: no.
 */
#ifndef BS_NETBOX_LINK_MODEL_H
#define BS_NETBOX_LINK_MODEL_H

#include "basestation/types.h"

/** A line.  All zero is a perfect one. */
struct link_conf {
	uint32_t delay_us;     /**< one way */
	uint32_t jitter_us;    /**< up to this much more; the order stays */
	uint32_t loss_ppm;     /**< of a million packets */
	uint32_t copy_ppm;     /**< packets that arrive twice */
	uint32_t reorder_ppm;  /**< packets that arrive late */
	uint32_t reorder_us;   /**< by this much */
	uint64_t rate_bps;     /**< bits a second, 0 = no limit */
	uint32_t queue_bytes;  /**< where the rate makes packets wait, 0 = 256 KiB */
	uint16_t mtu;          /**< largest packet, 0 = any */
	uint16_t later_mtu;    /**< the MTU after mtu_after_ms, 0 = as before */
	uint32_t mtu_after_ms; /**< since the first packet */
	bool tell_mtu;         /**< answer packets that are too big by ICMP */
	uint32_t seed;
};

enum link_verdict {
	LINK_LOST = 0,    /**< loss, or the queue is full */
	LINK_TOO_BIG = 1, /**< above the MTU: fate.mtu says what fits */
	LINK_PASS = 2,
};

/** What becomes of a packet. */
struct link_fate {
	uint8_t n;     /**< how often it arrives: 1 or 2 */
	uint16_t mtu;  /**< with LINK_TOO_BIG */
	bs_time at[2]; /**< when */
};

struct link_stats {
	uint32_t passed;
	uint32_t lost;
	uint32_t overflowed;
	uint32_t copied;
	uint32_t reordered;
	uint32_t too_big;
};

/** A line at work; fields other than conf and stats are private. */
struct link_model {
	struct link_conf conf;
	struct link_stats stats;
	uint32_t rng;
	bool started;
	bs_time start;
	bs_time busy[2]; /* until when the sender of a direction is at work */
	bs_time last[2]; /* latest arrival in order */
};

void link_init(struct link_model *l, const struct link_conf *conf);
/** Offer a packet of len bytes (IP header included) in direction dir, 0 or 1. */
enum link_verdict link_input(struct link_model *l, unsigned dir, size_t len, bs_time now,
			     struct link_fate *fate);
/** The MTU at this time, 0 = any. */
uint16_t link_mtu(const struct link_model *l, bs_time now);

#endif
