/* SPDX-License-Identifier: Apache-2.0 */
/* The model is that of BBR: send at the highest bandwidth seen lately, keep about two
 * bandwidth-delay products under way, and look now and then whether there is more, or whether the
 * round trip got shorter.  A lost packet alone says nothing about either; a loss that goes with
 * a quarter of all packets lowers a ceiling, so that a short queue is not flooded for ever. */
#include "proto/stream_cc.h"

#include <string.h>

enum {
	/** Gains in 1/256. */
	GAIN_ONE = 256,
	GAIN_HIGH = 739, /* 2 / ln 2: doubles in a round */
	GAIN_DRAIN = 88, /* its inverse */
	GAIN_UP = 320,
	GAIN_DOWN = 192,
	CYCLES = 8,
	FULL_ROUNDS = 3,
	/** Packets that may be under way before anything is known, and at least. */
	START_PACKETS = 16,
	LEAST_PACKETS = 4,
	RTT_WINDOW_MS = 10000,
	RTT_PHASE_MS = 200,
	/** A pause of this length may be made up for at once: timers are no finer than this. */
	QUANTUM_US = 2000,
	QUANTUM_PACKETS = 16,
	BUNCH_US = 1000,
	/** Lost share of a round that lowers the ceiling, 1 in so many. */
	/** Round trips differ by this much on any machine. */
	QUEUE_SLACK_US = 2000,
	HEAVY_LOSS = 4,
	HEAVY_LEAST = 20,
};

void bs_stream_path_init(struct bs_stream_path *p, uint32_t packet, bs_time now)
{
	memset(p, 0, sizeof(*p));
	p->packet = packet;
	p->cwnd = (uint64_t)START_PACKETS * packet;
	p->ceiling = UINT64_MAX;
	p->round_rtt = UINT32_MAX;
	p->min_rtt_at = now;
	p->phase_at = now;
	p->delivered_at = now;
	p->first_sent = now;
	p->credit_at = now;
	p->credit = (int64_t)p->cwnd;
}

void bs_stream_path_moved(struct bs_stream_path *p, uint32_t packet, bs_time now)
{
	uint64_t inflight = p->inflight;

	bs_stream_path_init(p, packet, now);
	/* What is under way stays so, whatever way it went. */
	p->inflight = inflight;
}

static uint64_t bdp(const struct bs_stream_path *p, uint32_t gain)
{
	return p->bw * p->min_rtt / 1000000u * gain / GAIN_ONE;
}

static uint32_t pacing_gain(const struct bs_stream_path *p)
{
	switch (p->mode) {
	case BS_STREAM_PATH_STARTUP: return GAIN_HIGH;
	case BS_STREAM_PATH_DRAIN: return GAIN_DRAIN;
	case BS_STREAM_PATH_PROBE:
		return p->cycle == 0 ? GAIN_UP : p->cycle == 1 ? GAIN_DOWN : GAIN_ONE;
	default: return GAIN_ONE;
	}
}

/* Bytes a second that may be sent now; 0 = as fast as the window allows. */
static uint64_t pace(const struct bs_stream_path *p)
{
	return p->bw * pacing_gain(p) / GAIN_ONE;
}

void bs_stream_path_sent(struct bs_stream_path *p, uint32_t n, bs_time now,
			 struct bs_stream_sent *sent)
{
	if (p->inflight == 0) {
		p->first_sent = now;
		p->delivered_at = now;
	}
	sent->delivered = p->delivered;
	sent->delivered_at = p->delivered_at;
	sent->first_sent = p->first_sent;
	sent->app_limited = p->app_limited != 0;
	p->inflight += n;
	p->credit -= n;
}

/* Heavy loss: the path holds no more than what arrives in a round, and doubling is over. */
static void judge_loss(struct bs_stream_path *p)
{
	uint64_t least = bdp(p, GAIN_ONE);

	if (p->round_lost > (uint64_t)HEAVY_LEAST * p->packet &&
	    p->round_lost * HEAVY_LOSS > p->round_acked + p->round_lost) {
		p->ceiling = p->full && p->round_acked > least ? p->round_acked : least;
		p->full = true;
	} else if (p->ceiling != UINT64_MAX) {
		p->ceiling += p->ceiling / 16 + p->packet;
	}
}

static void new_round(struct bs_stream_path *p)
{
	uint64_t best = 0;
	size_t i;

	p->round++;
	p->bw_ring[p->round % BS_STREAM_BW_ROUNDS] = 0;
	for (i = 0; i < BS_STREAM_BW_ROUNDS; i++) {
		if (p->bw_ring[i] > best)
			best = p->bw_ring[i];
	}
	/* With nothing newer the last value holds. */
	if (best)
		p->bw = best;
	judge_loss(p);
	p->round_lost = 0;
	p->round_acked = 0;
}

static void sample_bandwidth(struct bs_stream_path *p, const struct bs_stream_acked *a, bs_time now)
{
	bs_time_diff sending = BS_TIME_DIFF(a->sent_at, a->sent.first_sent);
	bs_time_diff arriving = BS_TIME_DIFF(now, a->sent.delivered_at);
	uint32_t us = bs_stream_us(sending > arriving ? sending : arriving);
	uint64_t *slot = &p->bw_ring[p->round % BS_STREAM_BW_ROUNDS];
	uint64_t bw;

	/* Acknowledgements that came faster than any before were held up together. */
	if (us == 0 || (p->min_rtt && us < p->min_rtt / 2))
		return;
	bw = (p->delivered - a->sent.delivered) * 1000000u / us;
	if (a->sent.app_limited && bw < p->bw)
		return;
	if (bw > *slot)
		*slot = bw;
	if (bw > p->bw)
		p->bw = bw;
}

/* A queue that grows shows in the round trip before it overflows. */
static bool is_queueing(const struct bs_stream_path *p)
{
	return p->round_rtt != UINT32_MAX &&
	       p->round_rtt > p->min_rtt + p->min_rtt / 4 + QUEUE_SLACK_US;
}

static void look_for_full(struct bs_stream_path *p, const struct bs_stream_acked *a)
{
	if (p->full || !p->round_start)
		return;
	if (is_queueing(p)) {
		p->full = true;
		return;
	}
	if (a->sent.app_limited)
		return;
	if (p->bw >= p->full_bw + p->full_bw / 4) {
		p->full_bw = p->bw;
		p->full_n = 0;
		return;
	}
	if (++p->full_n >= FULL_ROUNDS)
		p->full = true;
}

static void to_probe(struct bs_stream_path *p, bs_time now)
{
	p->mode = BS_STREAM_PATH_PROBE;
	p->cycle = 2;
	p->phase_at = now;
}

static void sample_rtt(struct bs_stream_path *p, uint32_t rtt, bs_time now)
{
	bool old = BS_TIME_DIFF(now, p->min_rtt_at) > (bs_time_diff)BS_TIME_MS(RTT_WINDOW_MS);

	if (rtt && (p->min_rtt == 0 || rtt <= p->min_rtt || old)) {
		/* Only a full path hides its shortest round trip. */
		if (old && p->min_rtt && rtt > p->min_rtt + p->min_rtt / 4 && p->full &&
		    p->mode == BS_STREAM_PATH_PROBE) {
			p->mode = BS_STREAM_PATH_RTT;
			p->phase_at = now;
		}
		p->min_rtt = rtt;
		p->min_rtt_at = now;
	}
}

static void step_mode(struct bs_stream_path *p, bs_time now)
{
	uint32_t phase = bs_stream_us(BS_TIME_DIFF(now, p->phase_at));

	switch (p->mode) {
	case BS_STREAM_PATH_STARTUP:
		if (p->full)
			p->mode = BS_STREAM_PATH_DRAIN;
		break;
	case BS_STREAM_PATH_DRAIN:
		if (p->inflight <= bdp(p, GAIN_ONE))
			to_probe(p, now);
		break;
	case BS_STREAM_PATH_RTT:
		if (phase > RTT_PHASE_MS * 1000u)
			to_probe(p, now);
		break;
	default:
		if (phase >= p->min_rtt || (p->cycle == 1 && p->inflight <= bdp(p, GAIN_ONE))) {
			p->cycle = (uint8_t)((p->cycle + 1u) % CYCLES);
			p->phase_at = now;
		}
		break;
	}
}

/* Acknowledgements come in bunches, of packets and of what a busy machine lets lie: room for those
 * on top. */
static uint64_t bunch(const struct bs_stream_path *p)
{
	uint64_t packets = (uint64_t)QUANTUM_PACKETS * p->packet;
	uint64_t waits = p->bw * BUNCH_US / 1000000u;

	return packets > waits ? packets : waits;
}

static void set_window(struct bs_stream_path *p, uint64_t acked)
{
	uint64_t least = (uint64_t)LEAST_PACKETS * p->packet;
	uint64_t target = bdp(p, p->full ? 2 * GAIN_ONE : GAIN_HIGH) + bunch(p);

	if (p->mode == BS_STREAM_PATH_RTT)
		target = bdp(p, GAIN_ONE / 2);
	if (p->full)
		p->cwnd = p->cwnd + acked < target ? p->cwnd + acked : target;
	else if (p->cwnd < target || p->delivered < (uint64_t)START_PACKETS * p->packet)
		p->cwnd += acked;
	if (p->cwnd > p->ceiling)
		p->cwnd = p->ceiling;
	if (p->cwnd < least)
		p->cwnd = least;
}

void bs_stream_path_acked(struct bs_stream_path *p, const struct bs_stream_acked *a, bs_time now)
{
	p->delivered += a->bytes;
	p->delivered_at = now;
	p->round_acked += a->bytes;
	p->inflight -= a->inflight < p->inflight ? a->inflight : p->inflight;
	if (p->app_limited && p->delivered > p->app_limited)
		p->app_limited = 0;
	sample_rtt(p, a->rtt, now);
	if (a->rtt && a->rtt < p->round_rtt)
		p->round_rtt = a->rtt;
	p->round_start = false;
	if (a->has_sample) {
		p->first_sent = a->sent_at;
		if (a->sent.delivered >= p->round_end) {
			p->round_end = p->delivered;
			p->round_start = true;
			new_round(p);
		}
		sample_bandwidth(p, a, now);
		look_for_full(p, a);
		if (p->round_start)
			p->round_rtt = UINT32_MAX;
	}
	step_mode(p, now);
	set_window(p, a->bytes);
}

void bs_stream_path_lost(struct bs_stream_path *p, uint32_t n)
{
	p->inflight -= n < p->inflight ? n : p->inflight;
	p->round_lost += n;
}

void bs_stream_path_idle(struct bs_stream_path *p)
{
	p->app_limited = p->delivered + p->inflight;
	if (p->app_limited == 0)
		p->app_limited = 1;
}

void bs_stream_path_timeout(struct bs_stream_path *p, bs_time now)
{
	p->cwnd = (uint64_t)LEAST_PACKETS * p->packet;
	p->credit = (int64_t)p->cwnd;
	p->credit_at = now;
}

/* Time that has passed becomes permission to send, up to a small burst. */
static void refill(struct bs_stream_path *p, uint64_t rate, bs_time now)
{
	uint32_t us = bs_stream_us(BS_TIME_DIFF(now, p->credit_at));
	int64_t most = (int64_t)(rate * QUANTUM_US / 1000000u);
	uint64_t more;

	if (most < (int64_t)QUANTUM_PACKETS * (int64_t)p->packet)
		most = (int64_t)QUANTUM_PACKETS * (int64_t)p->packet;
	if (us > 1000000u)
		us = 1000000u;
	more = rate * us / 1000000u;
	if (more == 0)
		return;
	p->credit_at = now;
	p->credit += (int64_t)more;
	if (p->credit > most)
		p->credit = most;
}

bool bs_stream_path_may_send(struct bs_stream_path *p, bs_time now, bs_time *at)
{
	uint64_t rate = pace(p);

	*at = 0;
	if (p->inflight >= p->cwnd)
		return false;
	if (rate == 0)
		return true;
	if (p->credit > 0)
		return true;
	refill(p, rate, now);
	if (p->credit > 0)
		return true;
	/* Wake up when a few packets may go at once. */
	*at = now +
	      bs_stream_span((uint64_t)(4 * (int64_t)p->packet - p->credit) * 1000000u / rate + 1);
	return false;
}
