/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream receives.  Segments wait in a ring by number.  Beyond the first gap the ends of
 * each run of segments know each other, so that joining two runs, moving past one and telling the
 * ranges take no walk over what is in them. */
#include <string.h>

#include "proto/stream_impl.h"

enum {
	/** Numbers that are looked at for the ranges of one acknowledgement. */
	RANGE_STEPS = 256,
	/** Repeats of an acknowledgement that opened the window: the first, and how often it takes
	 *  twice as long again. */
	REPEAT_MS = 250,
	REPEAT_DOUBLINGS = 5,
};

static struct bs_segment **at(const struct bs_stream *s, uint32_t seq)
{
	return &s->rx.ring[seq & s->rx.mask];
}

/* Whether a whole segment beyond the first gap is there. */
static bool is_there(const struct bs_stream *s, uint32_t seq)
{
	const struct bs_segment *g;

	if (bs__before(seq, s->rx.ack) || !bs__before(seq, s->rx.high))
		return false;
	g = *at(s, seq);
	return g && g->where != BS__SEG_PARTS;
}

static uint32_t limit(const struct bs_stream *s)
{
	return s->rx.read + s->rx.reserved;
}

static bool has_gap(const struct bs_stream *s)
{
	return bs__before(s->rx.ack, s->rx.high);
}

/* A stock peer was told the whole window in the SYN|ACK, so it is promised at once. */
static bool is_promised_whole(const struct bs_stream *s)
{
	return !s->ss->fast && !bs__is_initiator(s);
}

void bs__rx_init(struct bs_stream *s, uint32_t first, uint16_t window, uint16_t size)
{
	struct bs_stream_rx *r = &s->rx;

	r->read = first;
	r->ack = first;
	r->high = first;
	r->window = window > r->mask + 1 ? (uint16_t)(r->mask + 1) : window;
	r->size = size;
	r->told = first + r->reserved;
	r->grow_at = first + r->reserved / 2;
}

void bs__rx_fini(struct bs_stream *s)
{
	struct bs_stream_rx *r = &s->rx;
	uint32_t n = r->reserved;
	uint32_t seq;

	for (seq = r->read; n && seq != r->read + r->reserved; seq++) {
		struct bs_segment *g = *at(s, seq);

		if (!g)
			continue;
		*at(s, seq) = NULL;
		bs__mem_give(s->ss->mem, g, true);
	}
	bs__mem_unreserve(s->ss->mem, r->reserved);
	r->reserved = 0;
	r->read = r->ack;
	r->high = r->ack;
	r->off = 0;
}

static void join(struct bs_stream *s, uint32_t seq)
{
	uint32_t start = seq;
	uint32_t end = seq;

	if (is_there(s, seq - 1))
		start = (*at(s, seq - 1))->other;
	if (is_there(s, seq + 1))
		end = (*at(s, seq + 1))->other;
	(*at(s, start))->other = end;
	(*at(s, end))->other = start;
	s->rx.latest.start = start;
	s->rx.latest.end = end + 1;
}

static void want_ack(struct bs_stream *s, bool at_once, bs_time now)
{
	struct bs_stream_rx *r = &s->rx;
	bool fast = s->ss->fast;
	uint32_t every = BS__STREAM_ACK_EVERY;

	r->unacked++;
	if (fast && !has_gap(s) && s->stats.rx_pkts > BS__STREAM_ACK_EAGER)
		every = BS__STREAM_ACK_EVERY_FAST;
	if (is_promised_whole(s) || (!fast && s->stats.rx_pkts <= BS__STREAM_ACK_EAGER))
		at_once = true;
	if (at_once || r->unacked >= every) {
		r->ack_now = true;
		bs__stream_queue(s, BS__LIST_CONTROL);
	} else if (r->unacked == 1) {
		bs__stream_set_ack(
			s, now + BS_TIME_MS(fast ? BS__STREAM_ACK_FAST_MS : BS__STREAM_ACK_MS));
	}
}

static void reach_fin(struct bs_stream *s)
{
	struct bs_stream_rx *r = &s->rx;

	if (!r->has_fin || r->fin_done || r->ack != r->fin)
		return;
	r->fin_done = true;
	if (!s->told_eof) {
		s->told_eof = true;
		bs__stream_tell(s, BS_STREAM_EV_PEER_CLOSED);
	}
}

/* The segment is whole and in the ring: move on past it, or remember the gap. */
static void place(struct bs_stream *s, struct bs_segment *g, bool urgent, bs_time now)
{
	struct bs_stream_rx *r = &s->rx;
	uint32_t seq = g->seq;
	bool had_gap = has_gap(s);
	bool made_gap = seq != r->ack && !bs__before(seq, r->high) && seq != r->high;

	g->where = BS__SEG_WAITS;
	g->other = seq;
	s->stats.rx_pkts++;
	s->stats.rx_bytes += g->len;
	if (!bs__before(seq, r->high))
		r->high = seq + 1;
	if (seq == r->ack) {
		r->ack++;
		if (is_there(s, r->ack))
			r->ack = (*at(s, r->ack))->other + 1;
		reach_fin(s);
		bs__stream_tell(s, BS_STREAM_EV_READABLE);
		want_ack(s, urgent || had_gap, now);
	} else {
		s->stats.rx_order++;
		join(s, seq);
		want_ack(s, urgent || !s->ss->fast || made_gap || seq + 1 != r->high, now);
	}
	r->idle_acks = 0;
	r->reopened = false;
}

static uint32_t part_bits(uint16_t off, size_t len)
{
	uint32_t first = off / BS_PART_UNIT;
	uint32_t n = (uint32_t)((len + BS_PART_UNIT - 1) / BS_PART_UNIT);

	return (n >= 32 ? UINT32_MAX : (UINT32_C(1) << n) - 1) << first;
}

/* Pieces lie at fixed places, so they may come in any order and from several transmissions. */
static int take_part(struct bs_stream *s, struct bs_segment *g, struct bs_slice plain,
		     const struct bs_part *part, bool *whole)
{
	size_t end = part->off + plain.len;

	if (part->total > s->rx.size || end > part->total || plain.len == 0)
		return BS_EFIELD;
	if (plain.len % BS_PART_UNIT && end != part->total)
		return BS_EFIELD;
	if (g->where == BS__SEG_PARTS && g->len != part->total)
		return BS_EFIELD;
	g->where = BS__SEG_PARTS;
	g->len = part->total;
	memcpy(bs__segment_bytes(g) + part->off, plain.ptr, plain.len);
	g->parts |= part_bits(part->off, plain.len);
	*whole = g->parts == part_bits(0, part->total);
	return BS_OK;
}

static int take(struct bs_stream *s, uint32_t seq, struct bs_slice plain,
		const struct bs_part *part, bool *whole)
{
	struct bs_segment *g = *at(s, seq);
	struct bs_segment *made = NULL;
	int err;

	if (!part && plain.len > s->rx.size)
		return BS_EFIELD;
	if (!g) {
		g = made = bs__mem_take(s->ss->mem, true);
		if (!g)
			return BS_ESTATE;
		g->seq = seq;
	}
	if (part) {
		err = take_part(s, g, plain, part, whole);
		if (err) {
			if (made)
				bs__mem_give(s->ss->mem, made, true);
			return err;
		}
	} else {
		memcpy(bs__segment_bytes(g), plain.ptr, plain.len);
		g->len = (uint16_t)plain.len;
		*whole = true;
	}
	*at(s, seq) = g;
	return BS_OK;
}

int bs__rx_data(struct bs_stream *s, uint32_t seq, struct bs_slice plain,
		const struct bs_part *part, bool urgent, bool *progress, bs_time now)
{
	struct bs_stream_rx *r = &s->rx;
	bool whole = false;
	int err;

	if (bs__before(seq, r->ack) || is_there(s, seq)) {
		s->stats.rx_again++;
		want_ack(s, true, now);
		return BS_OK;
	}
	if (!bs__before(seq, limit(s)) || (r->has_fin && !bs__before(seq, r->fin)))
		return BS_ESTATE;
	err = take(s, seq, plain, part, &whole);
	if (err)
		return err;
	*progress = true;
	if (whole)
		place(s, *at(s, seq), urgent, now);
	else if (urgent)
		want_ack(s, true, now);
	if (s->released)
		bs__rx_discard(s, now);
	return BS_OK;
}

void bs__rx_fin(struct bs_stream *s, uint32_t seq, bs_time now)
{
	struct bs_stream_rx *r = &s->rx;

	/* A FIN below what has come contradicts the peer's own data. */
	if (!r->has_fin && !bs__before(seq, r->high) && !bs__before(seq, r->ack)) {
		r->has_fin = true;
		r->fin = seq;
		reach_fin(s);
	}
	want_ack(s, true, now);
}

void bs__rx_tell(const struct bs_stream *s, struct bs_window_pl *w)
{
	const struct bs_stream_rx *r = &s->rx;
	uint32_t window = limit(s) - r->ack;

	if (s->wsrf) {
		w->ack = r->ack + (r->fin_done ? 1 : 0);
	} else {
		/* The peer counts a segment as arrived when the application has read it. */
		w->ack = r->read + (r->fin_done && r->read == r->fin ? 1 : 0);
		window = r->reserved;
	}
	w->window = window > INT16_MAX ? INT16_MAX : (uint16_t)window;
}

static bool add_pair(struct bs_sack_pair *out, size_t *n, size_t max, uint32_t start, uint32_t end)
{
	size_t i;

	for (i = 0; i < *n; i++) {
		if (!bs__before(start, out[i].start) && !bs__before(out[i].end, end))
			return *n < max;
	}
	if (*n < max) {
		out[*n].start = start;
		out[*n].end = end;
		(*n)++;
	}
	return *n < max;
}

size_t bs__rx_ranges(const struct bs_stream *s, struct bs_sack_pair *out, size_t max)
{
	const struct bs_stream_rx *r = &s->rx;
	uint32_t steps = RANGE_STEPS;
	uint32_t q = r->high - 1;
	size_t n = 0;

	if (!has_gap(s) || max == 0)
		return 0;
	/* Between our own ends the newest comes first, as it may lie below many others. */
	if (s->ss->fast && bs__before(r->ack, r->latest.start))
		add_pair(out, &n, max, r->latest.start, r->latest.end);
	for (; steps && bs__before(r->ack, q); steps--) {
		if (!is_there(s, q)) {
			q--;
			continue;
		}
		if (!add_pair(out, &n, max, (*at(s, q))->other, q + 1))
			break;
		q = (*at(s, q))->other - 1;
	}
	return n;
}

/* When an acknowledgement is repeated.  To others a second one is a sign of loss, so it comes late;
 * between our own ends soon, and then more and more rarely. */
static bs_time repeat_span(const struct bs_stream *s)
{
	unsigned n = s->rx.idle_acks < REPEAT_DOUBLINGS ? s->rx.idle_acks : REPEAT_DOUBLINGS;

	if (!s->ss->fast)
		return BS_TIME_MS(2u * s->timeout_ms);
	return BS_TIME_MS((uint32_t)REPEAT_MS << n);
}

void bs__rx_told(struct bs_stream *s, const struct bs_window_pl *w, bs_time now)
{
	struct bs_stream_rx *r = &s->rx;
	bool repeats;

	/* The packet that opens a shut window may be lost, and the peer has none to ask with. */
	if (r->shut && w->window)
		r->reopened = true;
	r->shut = w->window == 0;
	repeats = is_promised_whole(s) || r->reopened;
	r->told = r->ack + w->window;
	r->unacked = 0;
	r->ack_now = false;
	s->ack_on = false;
	if (s->state == BS_STREAM_OPEN && repeats && !r->fin_done && r->idle_acks < s->retrans)
		bs__stream_set_ack(s, now + repeat_span(s));
}

void bs__rx_repeat(struct bs_stream *s, bs_time now)
{
	s->rx.reopened = true;
	if (!s->rx.fin_done && !s->ack_on && s->rx.idle_acks < s->retrans)
		bs__stream_set_ack(s, now + repeat_span(s));
}

void bs__rx_timeout(struct bs_stream *s, bs_time now)
{
	struct bs_stream_rx *r = &s->rx;

	if (!s->ack_on || BS_TIME_DIFF(now, s->ack_at) < 0)
		return;
	s->ack_on = false;
	if (s->state != BS_STREAM_OPEN)
		return;
	if (r->unacked == 0)
		r->idle_acks++;
	r->ack_now = true;
	bs__stream_queue(s, BS__LIST_CONTROL);
}

/* A reader that keeps up may have a larger window, while the pool has segments. */
static void grow(struct bs_stream *s)
{
	struct bs_stream_rx *r = &s->rx;
	uint32_t more = r->window - r->reserved;

	if (more == 0 || bs__before(r->read, r->grow_at))
		return;
	if (more > r->reserved)
		more = r->reserved;
	while (more && !bs__mem_reserve(s->ss->mem, more))
		more /= 2;
	r->reserved += more;
	r->grow_at = r->read + r->reserved / 2;
}

/* The application made room: whether the peer must be told now. */
static bool must_reopen(const struct bs_stream *s)
{
	const struct bs_stream_rx *r = &s->rx;
	uint32_t left = r->told - r->ack;
	uint32_t open = limit(s) - r->ack;

	if (open <= left)
		return false;
	if (is_promised_whole(s))
		return left == 0;
	if (s->ss->fast)
		return left == 0 || (left < r->reserved / 2 && open - left >= r->reserved / 4);
	return left == 0 && (open >= r->reserved / 2 || r->read == r->ack);
}

static void segment_done(struct bs_stream *s)
{
	struct bs_stream_rx *r = &s->rx;

	bs__mem_give(s->ss->mem, *at(s, r->read), true);
	*at(s, r->read) = NULL;
	r->read++;
	r->off = 0;
	grow(s);
	if (s->state != BS_STREAM_OPEN || r->fin_done || !must_reopen(s))
		return;
	r->ack_now = true;
	bs__stream_queue(s, BS__LIST_CONTROL);
}

struct bs_slice bs_stream_peek(const struct bs_stream *s)
{
	const struct bs_stream_rx *r = &s->rx;
	struct bs_slice out = { NULL, 0 };
	struct bs_segment *g;

	if (!bs__before(r->read, r->ack))
		return out;
	g = *at(s, r->read);
	out.ptr = bs__segment_bytes(g) + r->off;
	out.len = (size_t)(g->len - r->off);
	return out;
}

void bs_stream_consume(struct bs_stream *s, size_t n)
{
	struct bs_slice have = bs_stream_peek(s);

	s->stats.reads++;
	while (have.len && n >= have.len) {
		n -= have.len;
		segment_done(s);
		have = bs_stream_peek(s);
	}
	if (have.len)
		s->rx.off = (uint16_t)(s->rx.off + n);
}

size_t bs_stream_read(struct bs_stream *s, void *buf, size_t cap)
{
	uint8_t *to = buf;
	size_t done = 0;
	struct bs_slice have;

	while (done < cap && (have = bs_stream_peek(s)).len) {
		size_t n = have.len < cap - done ? have.len : cap - done;

		memcpy(to + done, have.ptr, n);
		bs_stream_consume(s, n);
		done += n;
	}
	return done;
}

bool bs_stream_is_eof(const struct bs_stream *s)
{
	return s->rx.fin_done && s->rx.read == s->rx.ack;
}

void bs__rx_discard(struct bs_stream *s, bs_time now)
{
	struct bs_slice have;

	(void)now;
	while ((have = bs_stream_peek(s)).len)
		bs_stream_consume(s, have.len);
}
