/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_cc.h - how fast a stream may send: round trip, congestion control, packet size.
 *
 * Three parts.  bs_stream_rtt is the estimate that every stream has.  bs_stream_tokens is the
 * congestion control of the base protocol, one for each stream.  bs_stream_path and bs_stream_mtu
 * serve extension FAST_STREAM, one for each connection: a model of the path (its bandwidth and its
 * shortest round trip) sets the pace, so that single losses do not slow it down, and the packet
 * size is raised while larger packets arrive and lowered when they stop to.
 *
 * Pure: time is an argument.  Owner: whoever holds the struct.  May call: util.  Allocates: no.
 */
#ifndef BS_PROTO_STREAM_CC_H
#define BS_PROTO_STREAM_CC_H

#include "basestation/types.h"

/** Largest retransmission timeout, and the part of it that allows for slow acknowledgements. */
#define BS_STREAM_RTO_MAX_MS   16000u
#define BS_STREAM_RTO_SLACK_MS 500u
#define BS_STREAM_RTO_MIN_MS   200u

/** Microseconds of a span of time, at most 2^32 - 1. */
static inline uint32_t bs_stream_us(bs_time_diff span)
{
	uint64_t us;

	if (span <= 0)
		return 0;
	us = (uint64_t)span * 1000u / BS_TIME_PER_MS;
	return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/** A span of time of so many microseconds. */
static inline bs_time bs_stream_span(uint64_t us)
{
	return (bs_time)((us * BS_TIME_PER_MS + 999u) / 1000u);
}

/** Round trip estimate, in microseconds. */
struct bs_stream_rtt {
	uint32_t srtt; /**< 0 = no sample yet */
	uint32_t var;
	uint32_t rto; /**< with the backoff */
	bool slack;   /**< peer may acknowledge late: 500 ms on top, as devices do */
};

void bs_stream_rtt_init(struct bs_stream_rtt *r, uint16_t timeout_ms, bool slack);
/** A round trip was measured: estimate and timeout without backoff. */
void bs_stream_rtt_sample(struct bs_stream_rtt *r, uint32_t us);
/** The timeout as it was before any backoff. */
void bs_stream_rtt_relax(struct bs_stream_rtt *r);
/** A timeout passed: half as long again. */
void bs_stream_rtt_backoff(struct bs_stream_rtt *r);

/** Congestion control of the base protocol: a sent segment takes a token, acknowledged ones give
 *  them back. */
struct bs_stream_tokens {
	uint32_t tokens;
	uint32_t ssthresh;
	uint32_t window; /**< transmit window: ssthresh starts there */
};

void bs_stream_tokens_init(struct bs_stream_tokens *t, uint32_t window);
/** n segments were acknowledged while flight were under way; cap is what the peer has room for. */
void bs_stream_tokens_acked(struct bs_stream_tokens *t, uint32_t n, uint32_t flight,
			    bool recovering, uint32_t cap);
/** The peer's window opened from zero by n segments. */
void bs_stream_tokens_opened(struct bs_stream_tokens *t, uint32_t n);
/** A loss episode began. */
void bs_stream_tokens_lost(struct bs_stream_tokens *t, uint32_t flight);
void bs_stream_tokens_timeout(struct bs_stream_tokens *t);

/** Rounds over which the highest bandwidth is kept. */
#define BS_STREAM_BW_ROUNDS 10u

/** Where the model of a path stands. */
enum bs_stream_path_mode {
	BS_STREAM_PATH_STARTUP = 0, /**< doubling until the bandwidth stops to grow */
	BS_STREAM_PATH_DRAIN = 1,   /**< emptying the queue that this has made */
	BS_STREAM_PATH_PROBE = 2,   /**< at the measured bandwidth, now and then a bit above */
	BS_STREAM_PATH_RTT = 3, /**< nearly silent for a moment, to see the shortest round trip */
};

/** What was known when a segment was sent: makes a bandwidth sample of its acknowledgement. */
struct bs_stream_sent {
	uint64_t delivered;
	bs_time delivered_at;
	bs_time first_sent;
	bool app_limited;
};

/** Model of a path, and what it permits.  Sizes in bytes, bandwidth in bytes a second. */
struct bs_stream_path {
	uint8_t mode;   /**< enum bs_stream_path_mode */
	uint8_t cycle;  /**< phase of PROBE */
	uint8_t full_n; /**< rounds in a row without growth */
	bool full;      /**< the bandwidth was found */
	bool round_start;
	uint32_t packet; /**< bytes of a full packet */
	uint64_t bw;     /**< highest of the last rounds */
	uint64_t bw_ring[BS_STREAM_BW_ROUNDS];
	uint64_t full_bw;
	uint32_t round;
	uint32_t min_rtt;   /**< us, 0 = unknown */
	uint32_t round_rtt; /**< shortest of this round */
	bs_time min_rtt_at;
	bs_time phase_at; /**< when the cycle's phase, or the RTT mode, began */
	uint64_t delivered;
	bs_time delivered_at;
	bs_time first_sent;
	uint64_t round_end;   /**< delivered when the next round begins */
	uint64_t app_limited; /**< delivered until which samples count as limited by us; 0 = none */
	uint64_t inflight;
	uint64_t cwnd;
	uint64_t ceiling; /**< lowered by heavy loss; UINT64_MAX = none */
	uint64_t round_lost;
	uint64_t round_acked;
	int64_t credit; /**< bytes that may go now; refilled by time */
	bs_time credit_at;
};

/** What one acknowledgement packet brought. */
struct bs_stream_acked {
	uint64_t bytes;    /**< newly acknowledged */
	uint64_t inflight; /**< those of them that were not given up */
	bool has_sample;   /**< the next three are of the segment that was sent last */
	struct bs_stream_sent sent;
	bs_time sent_at;
	uint32_t rtt; /**< us, 0 = of a segment that was sent again */
};

void bs_stream_path_init(struct bs_stream_path *p, uint32_t packet, bs_time now);
/** The packets take another path from now on: nothing is known of it. */
void bs_stream_path_moved(struct bs_stream_path *p, uint32_t packet, bs_time now);
/** A segment of n bytes goes out: *sent is kept with it. */
void bs_stream_path_sent(struct bs_stream_path *p, uint32_t n, bs_time now,
			 struct bs_stream_sent *sent);
void bs_stream_path_acked(struct bs_stream_path *p, const struct bs_stream_acked *a, bs_time now);
/** n bytes are lost, or given up. */
void bs_stream_path_lost(struct bs_stream_path *p, uint32_t n);
/** There was nothing to send though there was room. */
void bs_stream_path_idle(struct bs_stream_path *p);
/** Everything was lost: begin anew with a small window. */
void bs_stream_path_timeout(struct bs_stream_path *p, bs_time now);
/** Whether a packet may go now; if not, *at is when the pace allows it (0: an acknowledgement
 *  must come first). */
bool bs_stream_path_may_send(struct bs_stream_path *p, bs_time now, bs_time *at);

/** Packet size of a path. */
struct bs_stream_mtu {
	uint16_t proven;  /**< packets of this size arrive */
	uint16_t probing; /**< one of this size is under way; 0 = none */
	uint16_t ceiling; /**< nothing larger is tried */
	uint8_t failures; /**< of the size that is tried */
	uint8_t holes;    /**< large packets lost in a row while small ones arrive */
	bs_time again;    /**< when larger sizes are tried once more */
};

void bs_stream_mtu_init(struct bs_stream_mtu *m, uint16_t ceiling, bs_time now);
/** The packets take another path from now on. */
void bs_stream_mtu_moved(struct bs_stream_mtu *m, uint16_t ceiling, bs_time now);
/** Size to try next; 0 when nothing is to be tried now. */
uint16_t bs_stream_mtu_probe(struct bs_stream_mtu *m, bs_time now);
/** A packet of this size arrived. */
void bs_stream_mtu_arrived(struct bs_stream_mtu *m, uint16_t size, bs_time now);
/** A packet of this size was lost; timeout: and nothing else arrived.  True when proven fell. */
bool bs_stream_mtu_lost(struct bs_stream_mtu *m, uint16_t size, bool timeout, bs_time now);

#endif
