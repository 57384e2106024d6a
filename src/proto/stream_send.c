/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream sends.  Segments are kept in a ring by number until they are acknowledged, and
 * those under way also in a list by time: as every acknowledgement names its own latest
 * transmission, what was sent before two acknowledged ones is found at the head of the list,
 * without a search. */
#include <string.h>

#include "proto/stream_impl.h"

enum {
	/** Dup acks or later acknowledgements that make a segment lost. */
	HITS = 2,
	/** Segments under way that need not be full: so many, or a quarter of the window. */
	SMALL_MOST = 16,
	SENDS_MOST = 255,
	PROBE_LEAST_MS = 10,
};

static void list_append(struct bs_segment_list *l, struct bs_segment *g)
{
	g->next = NULL;
	g->prev = l->last;
	if (l->last)
		l->last->next = g;
	else
		l->first = g;
	l->last = g;
}

static void list_remove(struct bs_segment_list *l, struct bs_segment *g)
{
	if (g->prev)
		g->prev->next = g->next;
	else
		l->first = g->next;
	if (g->next)
		g->next->prev = g->prev;
	else
		l->last = g->prev;
}

static struct bs_segment **at(const struct bs_stream *s, uint32_t seq)
{
	return &s->tx.ring[seq & s->tx.mask];
}

static void give(struct bs_stream *s, struct bs_segment *g)
{
	struct bs_stream_tx *t = &s->tx;

	bs__mem_give(s->ss->mem, g, t->held <= BS__STREAM_TX_KEEP);
	t->held--;
}

static void unlist(struct bs_stream *s, struct bs_segment *g)
{
	struct bs_stream_tx *t = &s->tx;

	if (g->where == BS__SEG_FLIGHT) {
		list_remove(&t->flight, g);
		t->n_flight--;
	} else if (g->where == BS__SEG_LOST) {
		list_remove(&t->lost, g);
	}
	g->where = BS__SEG_WAITS;
}

void bs__tx_init(struct bs_stream *s, uint32_t first, uint32_t limit, uint16_t window,
		 uint16_t size)
{
	struct bs_stream_tx *t = &s->tx;

	t->una = first;
	t->next = first;
	t->end = first;
	t->limit = limit;
	t->window = window > t->mask + 1 ? (uint16_t)(t->mask + 1) : window;
	t->size = size < s->ss->mem->segment_size ? size : s->ss->mem->segment_size;
	bs_stream_tokens_init(&s->cc, t->window);
}

void bs__tx_fini(struct bs_stream *s)
{
	struct bs_stream_tx *t = &s->tx;

	for (; t->una != t->end; t->una++) {
		struct bs_segment *g = *at(s, t->una);

		if (!g)
			continue;
		/* The path's account must not keep what nobody will acknowledge. */
		if (s->ss->fast && g->where == BS__SEG_FLIGHT)
			bs_stream_path_lost(&s->ss->path, g->len);
		*at(s, t->una) = NULL;
		unlist(s, g);
		give(s, g);
	}
	t->next = t->end;
}

uint16_t bs__streams_room(const struct bs_streams *ss, size_t packet, size_t outer)
{
	const struct bs_suite *suite = ss->conn->suite;
	bool co = ss->conn->role == BS_RESPONDER && ss->conn->has_co;
	size_t fixed = bs_header_len(co ? BS_FLAG_TAG | BS_FLAG_NSI_CO : BS_FLAG_TAG) + outer;
	size_t n;

	if (packet < fixed + suite->payload_len(0))
		return 0;
	n = packet - fixed - suite->payload_len(0);
	/* Padding hides a few bytes more. */
	while (fixed + suite->payload_len(n + 1) <= packet)
		n++;
	return (uint16_t)n;
}

static size_t packet_limit(const struct bs_streams *ss)
{
	if (!ss->conn->large)
		return BS_PACKET_SMALL;
	return ss->fast ? ss->mtu.proven : BS_PACKET_MAX;
}

uint16_t bs__tx_size(const struct bs_stream *s)
{
	struct bs_streams *ss = s->ss;
	size_t packet = packet_limit(ss);

	if (ss->room_packet != packet) {
		ss->room_packet = (uint16_t)packet;
		ss->room = bs__streams_room(ss, packet, BS_WINDOW_ACK_LEN);
	}
	return ss->room < s->tx.size ? ss->room : s->tx.size;
}

/* An acknowledged transmission says that those before it should have arrived too.  One of a
 * segment that was sent twice may belong to the first time. */
static void take_order(struct bs_stream *s, const struct bs_segment *g, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;

	if (g->sends > 1 && bs_stream_us(BS_TIME_DIFF(now, g->sent)) < s->stats.rtt_min_us)
		return;
	if (bs__before(t->top, g->order)) {
		t->second = t->top;
		t->top = g->order;
		t->top_sent = g->sent;
	} else if (bs__before(t->second, g->order)) {
		t->second = g->order;
	}
}

static void take_acked(struct bs_stream *s, struct bs_segment *g, struct bs_stream_acked *a,
		       bs_time now)
{
	a->bytes += g->len;
	if (g->where == BS__SEG_FLIGHT)
		a->inflight += g->len;
	if (!a->has_sample || BS_TIME_DIFF(g->sent, a->sent_at) >= 0) {
		a->has_sample = true;
		a->sent = g->model;
		a->sent_at = g->sent;
		a->rtt = g->sends == 1 ? bs_stream_us(BS_TIME_DIFF(now, g->sent)) : 0;
		if (g->sends == 1 && a->rtt == 0)
			a->rtt = 1;
	}
	/* Of one that was sent again nobody knows which packets made it. */
	if (s->ss->fast && g->sends == 1) {
		bs_stream_mtu_arrived(&s->ss->mtu, g->packet, now);
		s->ss->path.packet = s->ss->mtu.proven;
	}
	take_order(s, g, now);
	if (g->small)
		s->tx.small--;
	unlist(s, g);
	*at(s, g->seq) = NULL;
	give(s, g);
}

/* Ranges that were told before were done with then: only what is new in them is walked. */
static uint32_t skip_known(const struct bs_stream_tx *t, uint32_t seq)
{
	uint8_t i;

	for (i = 0; i < t->n_known; i++) {
		if (!bs__before(seq, t->known[i].start) && bs__before(seq, t->known[i].end))
			return t->known[i].end;
	}
	return seq;
}

static uint32_t take_ranges(struct bs_stream *s, const struct bs_payload *sack,
			    struct bs_stream_acked *a, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;
	struct bs_sack_pair pair[BS_SACK_PAIRS_FAST];
	size_t n = bs_sack_get(sack, pair, s->ss->fast ? BS_SACK_PAIRS_FAST : BS_SACK_PAIRS);
	uint32_t count = 0;
	uint32_t seq;
	size_t i;
	size_t kept = 0;

	for (i = 0; i < n; i++) {
		if (bs__before(pair[i].start, t->una) || bs__before(t->next, pair[i].end))
			continue; /* cannot be: what is below una is acknowledged */
		for (seq = pair[i].start; bs__before(seq, pair[i].end); seq++) {
			uint32_t known = skip_known(t, seq);

			if (known != seq) {
				seq = known - 1;
				continue;
			}
			if (*at(s, seq)) {
				take_acked(s, *at(s, seq), a, now);
				count++;
			}
		}
		pair[kept++] = pair[i];
	}
	memcpy(t->known, pair, kept * sizeof(pair[0]));
	t->n_known = (uint8_t)kept;
	return count;
}

static void lose(struct bs_stream *s, struct bs_segment *g, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;

	if (!t->recovering) {
		t->recovering = true;
		t->recover = t->next;
		bs_stream_tokens_lost(&s->cc, t->n_flight);
	}
	unlist(s, g);
	g->where = BS__SEG_LOST;
	list_append(&t->lost, g);
	if (s->ss->fast) {
		bs_stream_path_lost(&s->ss->path, g->len);
		if (g->packet == s->ss->mtu.probing)
			(void)bs_stream_mtu_lost(&s->ss->mtu, g->packet, false, now);
	}
}

static void find_lost(struct bs_stream *s, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;
	/* Between ends that measure finely a packet may also have been overtaken. */
	uint32_t patience = s->ss->fast ? s->rtt.srtt / 4 : 0;
	struct bs_segment *g;

	while ((g = t->flight.first) && bs__before(g->order, t->second)) {
		if (patience && bs_stream_us(BS_TIME_DIFF(t->top_sent, g->sent)) < patience)
			break;
		lose(s, g, now);
	}
}

/* Two empty acknowledgements that say nothing new mean that something arrived out of order. */
static void count_dup(struct bs_stream *s, bool has_sack, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;
	struct bs_segment *g = *at(s, t->una);

	if (t->una == t->next || has_sack || s->ss->fast)
		return;
	if (++t->dup_acks < HITS)
		return;
	t->dup_acks = 0;
	if (g && g->where == BS__SEG_FLIGHT && g->sends == 1)
		lose(s, g, now);
}

static void take_window(struct bs_stream *s, const struct bs_window_pl *w)
{
	struct bs_stream_tx *t = &s->tx;
	/* Devices of others say one too many after a FIN. */
	uint32_t window = w->window < t->window ? w->window : t->window;
	uint32_t limit = w->ack + window;

	if (w->flags != BS_WINDOW_ACK || !bs__before(t->limit, limit))
		return;
	if (t->limit == t->next && t->una == t->next)
		bs_stream_tokens_opened(&s->cc, limit - t->limit);
	t->limit = limit;
}

static void take_rtt(struct bs_stream *s, uint32_t us)
{
	struct bs_stream_stats *st = &s->stats;

	if (us == 0)
		return;
	bs_stream_rtt_sample(&s->rtt, us);
	st->rtt_us = s->rtt.srtt;
	if (st->rtt_min_us == 0 || us < st->rtt_min_us)
		st->rtt_min_us = us;
	if (us > st->rtt_max_us)
		st->rtt_max_us = us;
}

/* Round trip of the last segment of the cumulative advance, the only one that the base protocol
 * lets speak: it was acknowledged when it arrived. */
static uint32_t advance_rtt(const struct bs_stream *s, uint32_t ack, bs_time now)
{
	const struct bs_segment *g;

	if (ack == s->tx.una)
		return 0;
	g = *at(s, ack - 1);
	return g && g->sends == 1 ? bs_stream_us(BS_TIME_DIFF(now, g->sent)) | 1 : 0;
}

static uint32_t advance(struct bs_stream *s, uint32_t ack, struct bs_stream_acked *a, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;
	uint32_t n = 0;

	for (; t->una != ack && t->una != t->next; t->una++) {
		struct bs_segment *g = *at(s, t->una);

		if (!g)
			continue;
		take_acked(s, g, a, now);
		n++;
	}
	if (t->fin == BS_STREAM_FIN_SENT && ack == t->next + 1)
		t->fin = BS_STREAM_FIN_DONE;
	return n;
}

static void after_progress(struct bs_stream *s, const struct bs_stream_acked *a, uint32_t n,
			   uint32_t rtt, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;
	uint32_t before = t->n_flight + n;

	t->dup_acks = 0;
	t->timeouts = 0;
	t->probed = false;
	s->burst = 0;
	s->pause_on = false;
	/* What gets through ends the backoff, also where it cannot be measured. */
	bs_stream_rtt_relax(&s->rtt);
	take_rtt(s, s->ss->fast ? a->rtt : rtt);
	if (s->ss->fast) {
		bs_stream_path_acked(&s->ss->path, a, now);
		s->ss->pace_on = false;
	} else {
		bs_stream_tokens_acked(&s->cc, n, before, t->recovering, t->limit - t->una);
	}
	if (t->recovering && !bs__before(t->una, t->recover))
		t->recovering = false;
	if (t->full && bs_stream_can_write(s)) {
		t->full = false;
		bs__stream_tell(s, BS_STREAM_EV_WRITABLE);
	}
}

int bs__tx_ack(struct bs_stream *s, const struct bs_window_pl *w, const struct bs_payload *sack,
	       bool empty, bool *progress, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;
	uint32_t past = t->next + (t->fin >= BS_STREAM_FIN_SENT ? 1 : 0);
	struct bs_stream_acked a;
	uint32_t old = t->una;
	uint32_t rtt;
	uint32_t n;

	memset(&a, 0, sizeof(a));
	if (bs__before(past, w->ack))
		return BS_EFIELD;
	if (bs__before(w->ack, t->una))
		return BS_OK; /* overtaken by a newer one */
	rtt = advance_rtt(s, w->ack, now);
	n = advance(s, w->ack, &a, now);
	if (sack)
		n += take_ranges(s, sack, &a, now);
	take_window(s, w);
	*progress = n > 0 || t->una != old;
	if (*progress)
		after_progress(s, &a, n, rtt, now);
	else if (empty)
		count_dup(s, sack != NULL, now);
	find_lost(s, now);
	bs__tx_arm(s, now);
	bs__stream_queue(s, BS__LIST_DATA);
	return BS_OK;
}

/* A segment that could still grow waits while enough small ones are under way. */
static bool is_held_back(const struct bs_stream *s, const struct bs_segment *g)
{
	const struct bs_stream_tx *t = &s->tx;
	uint32_t most = t->window / 4u < SMALL_MOST ? t->window / 4u : SMALL_MOST;

	if (t->next + 1 != t->end || t->sealed || t->fin != BS_STREAM_FIN_NONE)
		return false;
	return g->len < bs__tx_size(s) && t->small > 0 && t->small >= most;
}

static struct bs_segment *candidate(const struct bs_stream *s)
{
	const struct bs_stream_tx *t = &s->tx;
	struct bs_segment *g = t->lost.first;

	if (g)
		return g;
	if (t->next == t->end || !bs__before(t->next, t->limit) || t->next - t->una >= t->window)
		return NULL;
	g = *at(s, t->next);
	return is_held_back(s, g) ? NULL : g;
}

struct bs_segment *bs__tx_pick(struct bs_stream *s, bs_time now)
{
	struct bs_segment *g;

	if (s->state != BS_STREAM_OPEN)
		return NULL;
	g = candidate(s);
	if (!g || s->ss->fast)
		return g;
	if (s->pause_on && BS_TIME_DIFF(now, s->pause) < 0)
		return NULL;
	s->pause_on = false;
	/* With nothing under way no acknowledgement would bring a token. */
	return s->cc.tokens || s->tx.n_flight == 0 ? g : NULL;
}

static void count_sent(struct bs_stream *s, struct bs_segment *g)
{
	if (g->sends == 0) {
		s->tx.next++;
		s->stats.tx_pkts++;
		s->stats.tx_bytes += g->len;
		if (g->len < bs__tx_size(s)) {
			g->small = true;
			s->tx.small++;
		}
	} else {
		s->stats.tx_again++;
	}
	if (g->sends < SENDS_MOST)
		g->sends++;
}

void bs__tx_sent(struct bs_stream *s, struct bs_segment *g, size_t packet, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;

	unlist(s, g);
	count_sent(s, g);
	g->where = BS__SEG_FLIGHT;
	g->sent = now;
	g->order = ++t->order;
	g->packet = (uint16_t)packet;
	list_append(&t->flight, g);
	t->n_flight++;
	if (s->ss->fast) {
		bs_stream_path_sent(&s->ss->path, g->len, now, &g->model);
	} else {
		if (s->cc.tokens)
			s->cc.tokens--;
		if (++s->burst >= BS__STREAM_BURST) {
			s->burst = 0;
			bs__stream_set_pause(s, now + BS_TIME_MS(BS__STREAM_PAUSE_MS));
		}
	}
	if (t->n_flight == 1)
		bs__tx_arm(s, now);
}

void bs__tx_lose_all(struct bs_stream *s, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;
	struct bs_segment *g;

	while ((g = t->flight.first))
		lose(s, g, now);
	/* The oldest number first: everything behind it waits for it. */
	g = t->una == t->next ? NULL : *at(s, t->una);
	if (g && g->where == BS__SEG_LOST && t->lost.first != g) {
		list_remove(&t->lost, g);
		g->prev = NULL;
		g->next = t->lost.first;
		t->lost.first->prev = g;
		t->lost.first = g;
	}
	t->recovering = false;
}

/* The last packets of a burst have none behind them that would show their loss: one is sent again
 * early, before the timeout takes everything for lost. */
static bool tail_probe(struct bs_stream *s, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;

	if (!s->ss->fast || t->probed || !t->flight.last || s->rtt.srtt == 0)
		return false;
	t->probed = true;
	lose(s, t->flight.last, now);
	return true;
}

/* Segments that were larger than the path are the ones that never arrive. */
static void suspect_path(struct bs_stream *s, bs_time now)
{
	struct bs_streams *ss = s->ss;
	const struct bs_segment *g = s->tx.flight.first;

	if (ss->fast && g && bs_stream_mtu_lost(&ss->mtu, g->packet, true, now))
		s->tx.part = 0;
}

void bs__tx_timeout(struct bs_stream *s, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;

	if (!t->flight.first) {
		bs__tx_arm(s, now);
		return;
	}
	if (tail_probe(s, now)) {
		bs__tx_arm(s, now);
		bs__stream_queue(s, BS__LIST_DATA);
		return;
	}
	if (BS_TIME_DIFF(now, t->flight.first->sent + bs_stream_span(s->rtt.rto)) < 0) {
		bs__tx_arm(s, now);
		return;
	}
	if (t->timeouts >= s->retrans) {
		bs__stream_fail(s, BS_ETIMEDOUT, now);
		return;
	}
	s->stats.timeouts++;
	t->timeouts++;
	suspect_path(s, now);
	bs__tx_lose_all(s, now);
	bs_stream_rtt_backoff(&s->rtt);
	if (s->ss->fast)
		bs_stream_path_timeout(&s->ss->path, now);
	else
		bs_stream_tokens_timeout(&s->cc);
	s->pause_on = false;
	bs__tx_arm(s, now);
	bs__stream_queue(s, BS__LIST_DATA);
}

static bs_time probe_at(const struct bs_stream *s)
{
	uint32_t us = 2 * s->rtt.srtt + BS__STREAM_ACK_FAST_MS * 1000u;

	if (us < PROBE_LEAST_MS * 1000u)
		us = PROBE_LEAST_MS * 1000u;
	return s->tx.flight.last->sent + bs_stream_span(us);
}

void bs__tx_arm(struct bs_stream *s, bs_time now)
{
	struct bs_stream_tx *t = &s->tx;
	bs_time due;

	(void)now;
	s->timer_on = false;
	if (t->flight.first) {
		due = t->flight.first->sent + bs_stream_span(s->rtt.rto);
		if (s->ss->fast && !t->probed && s->rtt.srtt && BS_TIME_DIFF(probe_at(s), due) < 0)
			due = probe_at(s);
		bs__stream_set_timer(s, due);
	} else if (t->fin == BS_STREAM_FIN_SENT) {
		bs__stream_set_timer(s, t->fin_sent + (s->ss->fast ? bs_stream_span(s->rtt.rto)
								   : BS_TIME_MS(s->timeout_ms)));
	}
	if (s->released && (!s->timer_on || BS_TIME_DIFF(s->quit, s->timer) < 0))
		bs__stream_set_timer(s, s->quit);
}
