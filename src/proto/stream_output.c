/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of streams.  What must not wait (openings, acknowledgements, ends) goes before data, and
 * streams take turns, one packet each. */
#include <string.h>

#include "proto/stream_impl.h"
#include "util/endpoint.h"

enum {
	RETRANS_MOST = 7,
	/** Header seq between ends with FAST_STREAM: please acknowledge at once. */
	SEQ_URGENT = 1,
};

/* Parts of a packet besides its WINDOW. */
struct extra {
	uint16_t tag;
	uint16_t seq;
	uint8_t retrans;
	const struct bs_sack_pair *pair;
	size_t n_pairs;
	const struct bs_part *part; /* NULL = none */
	struct bs_slice plain;
};

static size_t compose(struct bs_streams *ss, const struct bs_window_pl *win, const struct extra *x,
		      uint8_t *buf, size_t cap)
{
	struct bs_conn *c = ss->conn;
	struct bs_conn_send send = { 0 };
	struct bs_writer w;
	bs_ssize len;

	send.tag = x->tag;
	send.seq = x->seq;
	send.retrans = x->retrans;
	if (c->role == BS_RESPONDER && c->has_co)
		send.flags = BS_FLAG_NSI_CO;
	bs_conn_begin(c, &send, &w, buf, cap);
	/* As all devices do; initiators know the connection by the other number. */
	if (c->role == BS_RESPONDER && !w.bad)
		bs_put_u32(buf, 0);
	bs_window_put(&w, win);
	if (x->n_pairs)
		bs_sack_put(&w, x->pair, x->n_pairs);
	if (x->part)
		bs_part_put(&w, x->part);
	len = bs_conn_finish(c, ss->crypto, &w, x->plain);
	return len > 0 ? (size_t)len : 0;
}

static void start_window(const struct bs_stream *s, struct bs_window_pl *w, uint8_t flags)
{
	memset(w, 0, sizeof(*w));
	w->flags = flags;
	w->id_cp = s->id_cp;
	w->id_sp = s->id_sp;
	w->seq = s->tx.next + (s->tx.fin >= BS_STREAM_FIN_SENT ? 1 : 0);
	bs__rx_tell(s, w);
}

static void fill_syn(const struct bs_stream *s, struct bs_stream_syn *syn)
{
	const struct bs_stream_conf *conf = &s->ss->mem->conf;

	if (s->state == BS_STREAM_SYN_SENT) {
		syn->options = BS_STREAM_OPT_WSRF | BS_STREAM_OPT_SACK;
		syn->rx_size = s->ss->fast ? conf->fast_segment : conf->segment;
		syn->rx_window = s->ss->fast ? conf->fast_window : conf->window;
		syn->tx_size = syn->rx_size;
		syn->tx_window = syn->rx_window;
	} else {
		syn->options = s->options;
		syn->rx_size = s->rx.size;
		syn->rx_window = s->rx.window;
		syn->tx_size = s->tx.size;
		syn->tx_window = s->tx.window;
	}
	syn->retrans = s->retrans;
	syn->timeout_ms = s->timeout_ms;
}

static size_t put_open(struct bs_stream *s, uint8_t *buf, size_t cap, bs_time now)
{
	struct extra x = { 0 };
	struct bs_window_pl w;
	bool syn = s->state == BS_STREAM_SYN_SENT;
	uint32_t wait = syn ? s->rtt.rto : s->timeout_ms * 1000u;
	size_t len;

	start_window(s, &w, syn ? BS_WINDOW_SYN : BS_WINDOW_SYN | BS_WINDOW_ACK);
	if (syn) {
		w.seq = s->tx.una - 1;
		w.ack = 0;
	}
	fill_syn(s, &w.syn);
	x.tag = s->tag;
	len = compose(s->ss, &w, &x, buf, cap);
	s->send_open = false;
	s->tx.tries++;
	s->syn_sent = now;
	bs__stream_set_timer(s, now + bs_stream_span(wait));
	return len;
}

static size_t put_rst(struct bs_stream *s, uint8_t *buf, size_t cap)
{
	struct extra x = { 0 };
	struct bs_window_pl w;

	start_window(s, &w, BS_WINDOW_RST);
	x.tag = s->tag;
	s->send_rst = false;
	return compose(s->ss, &w, &x, buf, cap);
}

static size_t put_ack(struct bs_stream *s, uint8_t *buf, size_t cap, bs_time now)
{
	struct bs_sack_pair pair[BS_SACK_PAIRS_FAST];
	struct extra x = { 0 };
	struct bs_window_pl w;

	start_window(s, &w, BS_WINDOW_ACK);
	x.tag = s->tag;
	x.pair = pair;
	x.n_pairs = bs__rx_ranges(s, pair, s->ss->fast ? BS_SACK_PAIRS_FAST : BS_SACK_PAIRS);
	bs__rx_told(s, &w, now);
	return compose(s->ss, &w, &x, buf, cap);
}

static bool may_fin(const struct bs_stream *s)
{
	const struct bs_stream_tx *t = &s->tx;

	if (s->state != BS_STREAM_OPEN || t->next != t->end)
		return false;
	if (t->fin == BS_STREAM_FIN_WANTED)
		return s->ss->fast || t->una == t->end;
	return t->fin == BS_STREAM_FIN_SENT && s->send_fin;
}

static size_t put_fin(struct bs_stream *s, uint8_t *buf, size_t cap, bs_time now)
{
	struct extra x = { 0 };
	struct bs_window_pl w;

	start_window(s, &w, BS_WINDOW_FIN | BS_WINDOW_ACK);
	w.seq = s->tx.next;
	x.tag = s->tag;
	if (s->tx.fin == BS_STREAM_FIN_WANTED)
		s->tx.tries = 0;
	s->tx.fin = BS_STREAM_FIN_SENT;
	s->tx.tries++;
	s->tx.fin_sent = now;
	s->send_fin = false;
	/* It acknowledges without a window: if the packet that told it is lost, the peer knows of
	 * no room until the next one. */
	bs__rx_repeat(s, now);
	bs__tx_arm(s, now);
	return compose(s->ss, &w, &x, buf, cap);
}

/* A released stream of a responder has said its last word. */
static void check_last(struct bs_stream *s)
{
	if (s->state != BS_STREAM_LINGER || s->gone || !bs__is_done_here(s))
		return;
	s->gone = true;
	s->ss->n_gone++;
}

static size_t control_of(struct bs_stream *s, uint8_t *buf, size_t cap, bs_time now)
{
	size_t len = 0;

	if (s->send_rst)
		len = put_rst(s, buf, cap);
	else if (s->send_open)
		len = put_open(s, buf, cap, now);
	else if (s->rx.ack_now && s->state >= BS_STREAM_OPEN)
		len = put_ack(s, buf, cap, now);
	else if (may_fin(s))
		len = put_fin(s, buf, cap, now);
	check_last(s);
	return len;
}

static size_t output_control(struct bs_streams *ss, uint8_t *buf, size_t cap, bs_time now)
{
	struct bs_stream *s;
	size_t len;

	while ((s = bs__streams_pop(ss, BS__LIST_CONTROL))) {
		len = control_of(s, buf, cap, now);
		if (len) {
			bs__stream_queue(s, BS__LIST_CONTROL);
			return len;
		}
	}
	return 0;
}

/* Most bytes that a packet of ours may have for this segment, and whether it is a probe. */
static size_t packet_limit(struct bs_stream *s, const struct bs_segment *g, size_t need, size_t cap)
{
	struct bs_stream_mtu *m = &s->ss->mtu;
	size_t most = s->ss->conn->large ? BS_PACKET_MAX : BS_PACKET_SMALL;

	if (s->ss->fast) {
		if (cap < m->ceiling)
			m->ceiling = (uint16_t)cap;
		most = m->proven;
		if (need > most && need <= m->ceiling && g->sends == 0 && !m->probing) {
			m->probing = (uint16_t)need;
			most = need;
		}
	}
	return most < cap ? most : cap;
}

/* Bytes of the next piece of a segment that is too large for the path. */
static size_t cut(struct bs_stream *s, const struct bs_segment *g, size_t most,
		  struct bs_part *part)
{
	size_t room = bs__streams_room(s->ss, most, BS_WINDOW_ACK_LEN + BS_PART_LEN);
	size_t n;

	if (s->tx.part_seq != g->seq || s->tx.part >= g->len)
		s->tx.part = 0;
	s->tx.part_seq = g->seq;
	room -= room % BS_PART_UNIT;
	n = g->len - s->tx.part;
	if (n > room)
		n = room;
	part->off = s->tx.part;
	part->total = g->len;
	return n;
}

/* Nothing more may follow soon: what waits for an acknowledgement should get it. */
static bool is_last(const struct bs_stream *s, const struct bs_segment *g)
{
	const struct bs_stream_tx *t = &s->tx;

	if (!s->ss->fast || g->next)
		return false;
	return t->next + (g->sends ? 0u : 1u) == t->end ||
	       s->ss->path.inflight + g->len + s->ss->path.packet >= s->ss->path.cwnd;
}

static size_t put_data(struct bs_stream *s, struct bs_segment *g, uint8_t *buf, size_t cap,
		       bs_time now)
{
	struct bs_streams *ss = s->ss;
	size_t fixed = bs_header_len(BS_FLAG_TAG | (ss->conn->has_co ? BS_FLAG_NSI_CO : 0)) +
		       BS_WINDOW_ACK_LEN;
	size_t need = fixed + ss->conn->suite->payload_len(g->len);
	size_t most = packet_limit(s, g, need, cap);
	struct extra x = { 0 };
	struct bs_part part = { 0, 0 };
	struct bs_window_pl w;
	size_t len;

	start_window(s, &w, BS_WINDOW_ACK);
	w.seq = g->seq;
	x.tag = s->tag;
	x.seq = is_last(s, g) ? SEQ_URGENT : 0;
	x.retrans = g->sends < RETRANS_MOST ? g->sends : RETRANS_MOST;
	x.plain.ptr = bs__segment_bytes(g);
	x.plain.len = g->len;
	if (need > most && ss->fast) {
		x.part = &part;
		x.plain.len = cut(s, g, most, &part);
		x.plain.ptr += part.off;
	}
	len = compose(ss, &w, &x, buf, cap);
	if (!len)
		return 0;
	/* What the peer is told with data need not be told alone. */
	if (bs__before(s->rx.ack, s->rx.high))
		s->rx.told = s->rx.ack + w.window;
	else
		bs__rx_told(s, &w, now);
	/* Of several pieces the largest says what the path takes. */
	if (part.off == 0 || len > s->tx.part_packet)
		s->tx.part_packet = (uint16_t)len;
	s->tx.part = (uint16_t)(part.off + x.plain.len);
	if (!x.part || s->tx.part >= g->len) {
		s->tx.part = 0;
		bs__tx_sent(s, g, s->tx.part_packet, now);
	}
	return len;
}

static size_t output_data(struct bs_streams *ss, uint8_t *buf, size_t cap, bs_time now)
{
	struct bs_stream *s;
	bs_time at;

	if (ss->pace_on && BS_TIME_DIFF(now, ss->pace_at) < 0)
		return 0;
	ss->pace_on = false;
	while ((s = ss->head[BS__LIST_DATA])) {
		struct bs_segment *g = bs__tx_pick(s, now);
		size_t len = 0;

		if (g && ss->fast && !bs_stream_path_may_send(&ss->path, now, &at)) {
			ss->pace_on = at != 0;
			ss->pace_at = at;
			return 0;
		}
		if (g)
			len = put_data(s, g, buf, cap, now);
		(void)bs__streams_pop(ss, BS__LIST_DATA);
		/* A FIN may be all that is left. */
		if (s->tx.fin == BS_STREAM_FIN_WANTED && s->tx.next == s->tx.end)
			bs__stream_queue(s, BS__LIST_CONTROL);
		if (len) {
			bs__stream_queue(s, BS__LIST_DATA);
			return len;
		}
	}
	if (ss->fast && ss->path.inflight < ss->path.cwnd)
		bs_stream_path_idle(&ss->path);
	return 0;
}

static size_t output_reject(struct bs_streams *ss, uint8_t *buf, size_t cap)
{
	struct extra x = { 0 };

	if (!ss->reject.waits)
		return 0;
	ss->reject.waits = false;
	x.tag = ss->reject.tag;
	return compose(ss, &ss->reject.w, &x, buf, cap);
}

/* The measurements belong to one path, and a silent change of it must not cost a timeout. */
static void follow_path(struct bs_streams *ss, bs_time now)
{
	if (ss->bound && bs_endpoint_equal(&ss->remote, &ss->conn->remote))
		return;
	if (ss->bound && bs_endpoint_is_set(&ss->remote))
		bs_streams_path_changed(ss, now);
	else
		bs__streams_bind(ss, now);
}

size_t bs_streams_output(struct bs_streams *ss, uint8_t *buf, size_t cap, struct bs_endpoint *to,
			 bs_time now)
{
	size_t len;

	if (!ss->all && !ss->reject.waits)
		return 0;
	if (ss->conn->state != BS_CONN_OPEN || !bs_endpoint_is_set(&ss->conn->remote))
		return 0;
	follow_path(ss, now);
	*to = ss->conn->remote;
	len = output_control(ss, buf, cap, now);
	if (!len)
		len = output_data(ss, buf, cap, now);
	if (!len) {
		if (ss->reject.waits)
			*to = ss->reject.to;
		len = output_reject(ss, buf, cap);
	}
	bs__streams_sweep(ss);
	return len;
}
