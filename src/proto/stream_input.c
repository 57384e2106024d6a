/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of streams as they come: which stream, which state, what is to be told.  Numbers that do
 * not fit are dropped before anything changes. */
#include <string.h>

#include "proto/stream_impl.h"

enum {
	FIN_REPEATS = 2,
};

/* One packet, taken apart. */
struct packet {
	struct bs_window_pl w;
	const struct bs_payload *sack; /* NULL = none */
	const struct bs_part *part;    /* NULL = none */
	struct bs_slice plain;
	bool urgent;
	bool progress; /* it was new: set by those who take it */
};

static void answer_rst(struct bs_streams *ss, uint16_t tag, const struct bs_window_pl *w,
		       const struct bs_endpoint *from)
{
	struct bs_stream_reject *r = &ss->reject;

	/* One waits at most: whoever is not answered asks again. */
	r->waits = true;
	r->tag = tag;
	r->to = *from;
	memset(&r->w, 0, sizeof(r->w));
	r->w.flags = BS_WINDOW_RST;
	r->w.id_cp = w->id_cp;
	r->w.id_sp = w->id_sp;
	r->w.seq = w->ack;
	r->w.ack = w->seq + 1;
}

static uint16_t least(uint16_t a, uint16_t b)
{
	return a < b ? a : b;
}

static uint16_t clamp(uint16_t v, uint32_t high)
{
	if (v < 1)
		return 1;
	return v > high ? (uint16_t)high : v;
}

/* What a SYN proposes, cut down to what we have. */
static void negotiate(struct bs_stream *s, const struct bs_stream_syn *syn)
{
	const struct bs_stream_conf *conf = &s->ss->mem->conf;
	uint16_t size = s->ss->fast ? conf->fast_segment : conf->segment;
	uint16_t window = s->ss->fast ? conf->fast_window : conf->window;
	uint32_t rx_window = clamp(syn->tx_window, window);

	s->options = syn->options;
	s->wsrf = (syn->options & BS_STREAM_OPT_WSRF) != 0;
	s->retrans = least(clamp(syn->retrans, UINT16_MAX), conf->retrans);
	/* What is not promised by the pool is not offered. */
	if (s->rx.reserved < rx_window && (!s->ss->fast || s->rx.reserved < BS__STREAM_CREDIT))
		rx_window = s->rx.reserved;
	if (s->rx.reserved > rx_window) {
		bs__mem_unreserve(s->ss->mem, s->rx.reserved - rx_window);
		s->rx.reserved = rx_window;
	}
	bs__rx_init(s, 0, (uint16_t)rx_window, least(syn->tx_size, size));
	bs__tx_init(s, BS__STREAM_FIRST, BS__STREAM_FIRST, clamp(syn->rx_window, window),
		    least(syn->rx_size, size));
}

/* Those that only linger are nobody's any more. */
static uint32_t count_live(const struct bs_streams *ss)
{
	const struct bs_stream *s;
	uint32_t n = 0;

	for (s = ss->all; s; s = s->all_next)
		n += s->state != BS_STREAM_LINGER;
	return n;
}

static int input_syn(struct bs_streams *ss, uint16_t tag, const struct bs_window_pl *w,
		     const struct bs_endpoint *from, bs_time now)
{
	const struct bs_stream_conf *conf = &ss->mem->conf;
	struct bs_stream *s = NULL;

	if (ss->conn->role != BS_RESPONDER)
		return BS_ESTATE;
	if (w->id_cp == 0 || w->seq == 0 || w->seq == UINT32_MAX)
		return BS_EFIELD;
	bs__streams_make_room(ss);
	if (!conf->accept_max || count_live(ss) < conf->accept_max)
		s = bs__streams_make(ss, tag, now);
	if (!s) {
		answer_rst(ss, tag, w, from);
		return BS_OK;
	}
	s->state = BS_STREAM_SYN_RCVD;
	s->id_cp = w->id_cp;
	s->id_sp = ss->next_id++;
	if (ss->next_id == 0)
		ss->next_id = 1;
	negotiate(s, &w->syn);
	s->rx.read = w->seq + 1;
	s->rx.ack = s->rx.read;
	s->rx.high = s->rx.read;
	s->rx.told = s->rx.read + s->rx.reserved;
	s->rx.grow_at = s->rx.read + s->rx.reserved / 2;
	ss->conn->large = true;
	s->send_open = true;
	bs__stream_queue(s, BS__LIST_CONTROL);
	return BS_OK;
}

/* The responder's answer: its values are final, within what we asked for. */
static int input_syn_ack(struct bs_stream *s, const struct bs_window_pl *w, bs_time now)
{
	const struct bs_stream_conf *conf = &s->ss->mem->conf;
	bool fast = s->ss->fast;
	uint16_t size = fast ? conf->fast_segment : conf->segment;
	uint16_t window = fast ? conf->fast_window : conf->window;
	uint32_t credit = w->syn.rx_window;
	uint32_t first = s->tx.una;

	if (s->state == BS_STREAM_OPEN) {
		s->rx.ack_now = true;
		bs__stream_queue(s, BS__LIST_CONTROL);
		return BS_OK;
	}
	if (s->state != BS_STREAM_SYN_SENT)
		return BS_ESTATE;
	if (w->ack != first || w->id_sp == 0)
		return BS_EFIELD;
	s->id_sp = w->id_sp;
	s->options = w->syn.options;
	s->retrans = least(clamp(w->syn.retrans, UINT16_MAX), conf->retrans);
	if (fast && credit > BS__STREAM_CREDIT)
		credit = BS__STREAM_CREDIT;
	window = clamp(w->syn.tx_window, window);
	if (s->rx.reserved > window) {
		bs__mem_unreserve(s->ss->mem, s->rx.reserved - window);
		s->rx.reserved = window;
	}
	bs__rx_init(s, w->seq, window, least(w->syn.tx_size, size));
	bs__tx_init(s, first, first + credit,
		    clamp(w->syn.rx_window, fast ? conf->fast_window : conf->window),
		    least(w->syn.rx_size, size));
	s->state = BS_STREAM_OPEN;
	s->timer_on = false;
	s->ss->conn->large = true;
	if (s->tx.tries == 1)
		bs_stream_rtt_sample(&s->rtt, bs_stream_us(BS_TIME_DIFF(now, s->syn_sent)));
	else
		bs_stream_rtt_init(&s->rtt, s->timeout_ms, s->rtt.slack);
	s->tx.tries = 0;
	/* An empty acknowledgement first: devices of others lose the data of the packet that
	 * completes the opening. */
	s->rx.ack_now = true;
	bs__stream_queue(s, BS__LIST_CONTROL);
	bs__stream_queue(s, BS__LIST_DATA);
	bs__stream_tell(s, BS_STREAM_EV_OPEN | BS_STREAM_EV_WRITABLE);
	return BS_OK;
}

/* The initiator's first acknowledgement of our SYN|ACK. */
static int complete(struct bs_stream *s, const struct bs_window_pl *w, bs_time now)
{
	if (w->ack != s->tx.una || w->seq != s->rx.ack)
		return BS_EFIELD;
	s->state = BS_STREAM_OPEN;
	s->timer_on = false;
	if (s->tx.tries == 1 && s->ss->fast)
		bs_stream_rtt_sample(&s->rtt, bs_stream_us(BS_TIME_DIFF(now, s->syn_sent)));
	s->tx.tries = 0;
	s->tx.limit = w->ack + (w->window < s->tx.window ? w->window : s->tx.window);
	bs__stream_tell(s, BS_STREAM_EV_OPEN);
	return BS_OK;
}

static int input_ack(struct bs_stream *s, struct packet *p, bs_time now)
{
	bool data = p->plain.len > 0;
	int err = BS_OK;

	if (s->state == BS_STREAM_SYN_RCVD) {
		p->progress = true;
		err = complete(s, &p->w, now);
	}
	if (!err)
		err = bs__tx_ack(s, &p->w, p->sack, !data, &p->progress, now);
	if (!err && data)
		err = bs__rx_data(s, p->w.seq, p->plain, p->part, p->urgent, &p->progress, now);
	if (s->tx.fin == BS_STREAM_FIN_WANTED && bs_stream_is_flushed(s))
		bs__stream_queue(s, BS__LIST_CONTROL);
	return err;
}

static int input_fin(struct bs_stream *s, struct packet *p, bs_time now)
{
	int err;

	if (s->state == BS_STREAM_SYN_RCVD) {
		if (p->w.ack != s->tx.una || p->w.seq != s->rx.ack)
			return BS_EFIELD;
		bs__rx_fin(s, p->w.seq, now);
		bs__stream_end(s, BS_OK, now);
		return BS_OK;
	}
	err = bs__tx_ack(s, &p->w, NULL, false, &p->progress, now);
	if (err)
		return err;
	/* Devices of others leave our FIN out of their acknowledgement while they have unread
	 * data: their own FIN proves that everything before ours arrived.  Only a few repeats of
	 * it are worth while then. */
	if (bs__is_initiator(s) && !s->ss->fast && s->tx.fin == BS_STREAM_FIN_SENT &&
	    bs_stream_is_flushed(s) && p->w.ack == s->tx.next &&
	    s->tx.tries + FIN_REPEATS < s->retrans)
		s->tx.tries = (uint16_t)(s->retrans - FIN_REPEATS);
	if (!s->rx.has_fin)
		p->progress = true;
	bs__rx_fin(s, p->w.seq, now);
	return BS_OK;
}

static int input_rst(struct bs_stream *s, bs_time now)
{
	bool sent_all = s->tx.fin >= BS_STREAM_FIN_SENT && bs_stream_is_flushed(s);
	bool lenient = bs__is_initiator(s) && !s->ss->fast;

	s->send_rst = false;
	if (s->state == BS_STREAM_LINGER || s->state == BS_STREAM_ENDED) {
		s->rx.ack_now = false;
		return BS_OK;
	}
	/* A peer that keeps no memory of ended streams answers what is late so. */
	if (s->state == BS_STREAM_OPEN &&
	    (lenient ? s->rx.fin_done || sent_all : s->rx.fin_done && sent_all))
		bs__stream_end(s, BS_OK, now);
	else
		bs__stream_end(s, s->state == BS_STREAM_SYN_SENT ? BS_EREFUSED : BS_ECLOSED, now);
	return BS_OK;
}

/* Late packets of a stream that is over here. */
static int input_late(struct bs_stream *s, uint16_t tag, const struct packet *p,
		      const struct bs_endpoint *from)
{
	if (s->aborted) {
		answer_rst(s->ss, tag, &p->w, from);
		return BS_OK;
	}
	if (p->plain.len || (p->w.flags & BS_WINDOW_FIN)) {
		s->rx.ack_now = true;
		bs__stream_queue(s, BS__LIST_CONTROL);
	}
	return BS_OK;
}

static int input_stream(struct bs_stream *s, struct packet *p, const struct bs_endpoint *from,
			bs_time now)
{
	const struct bs_window_pl *w = &p->w;

	if (w->id_cp != s->id_cp || (w->id_sp != s->id_sp && s->state != BS_STREAM_SYN_SENT))
		return BS_EUNKNOWN;
	bs__stream_heard(s, now);
	if (w->flags == BS_WINDOW_RST)
		return input_rst(s, now);
	if (w->flags == (BS_WINDOW_SYN | BS_WINDOW_ACK)) {
		if (!bs__is_initiator(s) && s->state == BS_STREAM_SYN_RCVD)
			return complete(s, w, now);
		return input_syn_ack(s, w, now);
	}
	if (s->state >= BS_STREAM_ENDED)
		return input_late(s, s->tag, p, from);
	if (s->state == BS_STREAM_SYN_SENT)
		return BS_ESTATE;
	return w->flags & BS_WINDOW_FIN ? input_fin(s, p, now) : input_ack(s, p, now);
}

/* A SYN for a tag that is taken: a copy, or an initiator that is ahead of our application. */
static int input_syn_again(struct bs_stream *s, const struct bs_window_pl *w,
			   const struct bs_endpoint *from)
{
	if (s->state == BS_STREAM_SYN_RCVD && s->ss->fast && w->id_cp == s->id_cp) {
		s->send_open = true;
		bs__stream_queue(s, BS__LIST_CONTROL);
	} else if (s->state >= BS_STREAM_ENDED) {
		answer_rst(s->ss, s->tag, w, from);
	}
	return BS_OK;
}

static int dispatch(struct bs_streams *ss, uint16_t tag, struct packet *p,
		    const struct bs_endpoint *from, bs_time now)
{
	struct bs_stream *s = bs__streams_find(ss, tag);
	int err;

	if (!s && p->w.flags == BS_WINDOW_SYN)
		return input_syn(ss, tag, &p->w, from, now);
	if (!s) {
		if (p->w.flags != BS_WINDOW_RST)
			answer_rst(ss, tag, &p->w, from);
		return BS_OK;
	}
	if (p->w.flags == BS_WINDOW_SYN)
		return input_syn_again(s, &p->w, from);
	err = input_stream(s, p, from, now);
	if (!err)
		bs__stream_settle(s, now);
	return err;
}

static void touch(struct bs_streams *ss, bs_time now)
{
	if (ss->conn->role == BS_INITIATOR)
		bs_conn_client_touch(ss->conn, now);
	else
		bs_conn_touch(ss->conn, now);
}

int bs_streams_input(struct bs_streams *ss, const struct bs_packet *p, const struct bs_conn_data *d,
		     const struct bs_endpoint *from, bs_time now)
{
	struct bs_payload sack;
	struct bs_payload pl;
	struct bs_part part;
	struct packet in;
	int err;

	memset(&in, 0, sizeof(in));
	err = bs_window_find(p, &in.w);
	if (err)
		return err;
	if (!ss->bound)
		bs__streams_bind(ss, now);
	touch(ss, now);
	in.plain = d->plain;
	in.urgent = ss->fast && d->h.seq != 0;
	if (in.w.flags == BS_WINDOW_ACK && bs_payload_find(p, BS_PL_SACK, &sack))
		in.sack = &sack;
	if (ss->fast && bs_payload_find(p, BS_PL_PART, &pl)) {
		err = bs_part_get(&pl, &part);
		if (err)
			return err;
		in.part = &part;
	}
	err = dispatch(ss, d->h.tag, &in, from, now);
	/* What advanced the stream cannot be a copy: the client is where it came from.  A suite
	 * that numbers its packets has said so already. */
	if (!err && in.progress && ss->conn->role == BS_RESPONDER &&
	    ss->conn->suite->code == BS_SUITE_AES_CBC)
		bs_conn_move(ss->conn, from);
	bs__streams_sweep(ss);
	return err;
}
