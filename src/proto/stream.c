/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/stream.h"

#include <string.h>

#include "proto/stream_impl.h"
#include "util/endpoint.h"

enum {
	TAGS = BS_TAG_STREAM_LAST - BS_TAG_STREAM_FIRST + 1,
	ISN_FIRST = 1000,
	/** Loopback has no frames; elsewhere nothing above Ethernet is worth a probe. */
	MTU_LOOPBACK = 16048,
	MTU_ETHERNET = 1472,
	IP4_LOOPBACK_NET = 127,
	/** A new stream is promised one in so many of the free segments, but not fewer than. */
	SHARE = 8,
	LEAST_WINDOW = 4,
	/** One segment in so many may be a probe. */
	PROBE_EVERY = 16,
};

static struct bs_stream **bucket(struct bs_streams *ss, uint16_t tag)
{
	return &ss->bucket[tag % BS_STREAM_BUCKETS];
}

struct bs_stream *bs__streams_find(const struct bs_streams *ss, uint16_t tag)
{
	struct bs_stream *s = ss->bucket[tag % BS_STREAM_BUCKETS];

	while (s && s->tag != tag)
		s = s->chain;
	return s;
}

void bs__stream_queue(struct bs_stream *s, enum bs__stream_list which)
{
	struct bs_streams *ss = s->ss;

	if (s->queued[which])
		return;
	s->queued[which] = true;
	s->next[which] = NULL;
	if (ss->tail[which])
		ss->tail[which]->next[which] = s;
	else
		ss->head[which] = s;
	ss->tail[which] = s;
}

struct bs_stream *bs__streams_pop(struct bs_streams *ss, enum bs__stream_list which)
{
	struct bs_stream *s = ss->head[which];

	if (!s)
		return NULL;
	ss->head[which] = s->next[which];
	if (!ss->head[which])
		ss->tail[which] = NULL;
	s->queued[which] = false;
	return s;
}

/* Once in the life of a stream, so the walk does not matter. */
static void unqueue(struct bs_stream *s, unsigned which)
{
	struct bs_streams *ss = s->ss;
	struct bs_stream *prev = NULL;
	struct bs_stream *q = ss->head[which];

	if (!s->queued[which])
		return;
	for (; q && q != s; q = q->next[which])
		prev = q;
	if (prev)
		prev->next[which] = s->next[which];
	else
		ss->head[which] = s->next[which];
	if (ss->tail[which] == s)
		ss->tail[which] = prev;
	s->queued[which] = false;
}

void bs__stream_tell(struct bs_stream *s, unsigned events)
{
	if (s->released)
		return;
	s->events |= (uint8_t)events;
	bs__stream_queue(s, BS__LIST_EVENTS);
}

struct bs_stream *bs_streams_next_event(struct bs_streams *ss, unsigned *events)
{
	struct bs_stream *s;

	while ((s = bs__streams_pop(ss, BS__LIST_EVENTS))) {
		*events = s->events;
		s->events = 0;
		if (*events && !s->released)
			return s;
	}
	return NULL;
}

/* Segments for the peer's window: as many as are wanted, or fewer while many streams share them. */
static uint32_t reserve(struct bs_stream_mem *m, uint32_t want)
{
	uint32_t share = bs__mem_left(m) / SHARE;

	if (!bs__mem_reserve(m, BS__STREAM_TX_KEEP))
		return 0;
	if (share < LEAST_WINDOW)
		share = LEAST_WINDOW;
	if (want > share)
		want = share;
	for (; want; want /= 2) {
		if (bs__mem_reserve(m, want))
			return want;
	}
	bs__mem_unreserve(m, BS__STREAM_TX_KEEP);
	return 0;
}

struct bs_stream *bs__streams_make(struct bs_streams *ss, uint16_t tag, bs_time now)
{
	const struct bs_stream_conf *conf = &ss->mem->conf;
	uint32_t want = ss->fast ? conf->fast_window : conf->window;
	struct bs_stream *s;
	uint32_t n;

	if (want > BS__STREAM_CREDIT && (ss->fast || ss->conn->role == BS_INITIATOR))
		want = BS__STREAM_CREDIT;
	n = reserve(ss->mem, want);
	if (n == 0)
		return NULL;
	s = bs__mem_take_slot(ss->mem);
	if (!s) {
		bs__mem_unreserve(ss->mem, n + BS__STREAM_TX_KEEP);
		return NULL;
	}
	s->ss = ss;
	s->tag = tag;
	s->born = now;
	s->retrans = conf->retrans;
	s->timeout_ms = conf->timeout_ms;
	s->rx.reserved = n;
	s->wsrf = true;
	bs_stream_rtt_init(&s->rtt, conf->timeout_ms, !ss->fast && ss->conn->role == BS_RESPONDER);
	s->chain = *bucket(ss, tag);
	*bucket(ss, tag) = s;
	s->all_next = ss->all;
	if (ss->all)
		ss->all->all_prev = s;
	ss->all = s;
	ss->n++;
	return s;
}

static void unchain(struct bs_stream *s)
{
	struct bs_stream **at = bucket(s->ss, s->tag);

	while (*at && *at != s)
		at = &(*at)->chain;
	if (*at)
		*at = s->chain;
	s->chain = NULL;
}

/* Give the segments back; the slot stays for what is late. */
static void drop_data(struct bs_stream *s)
{
	if (s->rx.reserved == 0)
		return;
	bs__tx_fini(s);
	bs__rx_fini(s);
	bs__mem_unreserve(s->ss->mem, BS__STREAM_TX_KEEP);
}

static void free_stream(struct bs_stream *s)
{
	struct bs_streams *ss = s->ss;
	struct bs_stream **at = &ss->mem->lingering;
	unsigned i;

	while (*at && *at != s)
		at = &(*at)->linger_next;
	if (*at)
		*at = s->linger_next;
	drop_data(s);
	unchain(s);
	for (i = 0; i < 3; i++)
		unqueue(s, i);
	if (s->all_prev)
		s->all_prev->all_next = s->all_next;
	else
		ss->all = s->all_next;
	if (s->all_next)
		s->all_next->all_prev = s->all_prev;
	if (s->gone)
		ss->n_gone--;
	ss->n--;
	bs__mem_give_slot(ss->mem, s);
}

void bs__streams_sweep(struct bs_streams *ss)
{
	struct bs_stream *s = ss->n_gone ? ss->all : NULL;

	while (s) {
		struct bs_stream *next = s->all_next;

		if (s->gone)
			free_stream(s);
		s = next;
	}
}

static void set_gone(struct bs_stream *s)
{
	if (s->gone)
		return;
	s->gone = true;
	s->ss->n_gone++;
}

/* Neither side needs the stream.  An initiator still keeps the tag from being used again, and where
 * an RST would mean failure there must be somebody to acknowledge what comes twice. */
static void start_linger(struct bs_stream *s, bs_time now)
{
	uint32_t ms = s->ss->fast ? BS__STREAM_LINGER_FAST_MS : BS__STREAM_LINGER_MS;
	struct bs_stream **at = &s->ss->mem->lingering;

	s->state = BS_STREAM_LINGER;
	while (*at)
		at = &(*at)->linger_next;
	*at = s;
	if (bs__is_done_here(s))
		set_gone(s);
	else
		bs__stream_set_timer(s, now + BS_TIME_MS(ms));
}

void bs__stream_end(struct bs_stream *s, int err, bs_time now)
{
	bool was_told = s->told_eof;

	if (s->state == BS_STREAM_ENDED || s->state == BS_STREAM_LINGER)
		return;
	/* The application never heard of it. */
	if (s->state == BS_STREAM_SYN_RCVD)
		s->released = true;
	s->state = BS_STREAM_ENDED;
	s->err = err;
	s->aborted = err != BS_OK;
	s->send_open = false;
	s->send_fin = false;
	s->timer_on = false;
	s->pause_on = false;
	s->ack_on = false;
	bs__tx_fini(s);
	s->told_eof = true;
	if (s->aborted)
		bs__stream_tell(s, BS_STREAM_EV_ABORTED);
	else
		bs__stream_tell(s, BS_STREAM_EV_CLOSED |
					   (was_told ? 0u : (unsigned)BS_STREAM_EV_PEER_CLOSED));
	if (s->released)
		start_linger(s, now);
}

void bs__stream_settle(struct bs_stream *s, bs_time now)
{
	if (s->state == BS_STREAM_OPEN && s->rx.fin_done && s->tx.fin == BS_STREAM_FIN_DONE)
		bs__stream_end(s, BS_OK, now);
}

void bs__stream_fail(struct bs_stream *s, int err, bs_time now)
{
	if (s->state == BS_STREAM_OPEN || s->state == BS_STREAM_SYN_SENT ||
	    s->state == BS_STREAM_SYN_RCVD) {
		s->send_rst = true;
		bs__stream_queue(s, BS__LIST_CONTROL);
	}
	bs__stream_end(s, err, now);
}

void bs_stream_abort(struct bs_stream *s)
{
	if (s->state == BS_STREAM_ENDED || s->state == BS_STREAM_LINGER)
		return;
	bs__stream_fail(s, BS_ECLOSED, s->born);
	s->events = 0;
}

void bs_stream_close(struct bs_stream *s)
{
	if (s->tx.fin != BS_STREAM_FIN_NONE || s->state > BS_STREAM_OPEN)
		return;
	s->tx.fin = BS_STREAM_FIN_WANTED;
	bs__stream_queue(s, BS__LIST_CONTROL);
	bs__stream_queue(s, BS__LIST_DATA);
}

void bs_stream_release(struct bs_stream *s, bs_time now)
{
	if (s->released)
		return;
	s->released = true;
	s->events = 0;
	s->user = NULL;
	if (s->state == BS_STREAM_SYN_SENT || s->state == BS_STREAM_SYN_RCVD)
		bs__stream_fail(s, BS_ECLOSED, now);
	if (s->state == BS_STREAM_ENDED) {
		drop_data(s);
		start_linger(s, now);
		bs__streams_sweep(s->ss);
		return;
	}
	if (s->state != BS_STREAM_OPEN)
		return;
	bs__rx_discard(s, now);
	bs_stream_close(s);
	s->quit = now + BS_TIME_MS(BS__STREAM_QUIT_MS);
	bs__tx_arm(s, now);
}

static bool is_loopback(const struct bs_endpoint *ep)
{
	size_t i;

	if (bs_endpoint_via(ep) == BS_VIA_STREAM)
		return false;
	if (bs_endpoint_is_ip4(ep))
		return bs_endpoint_ip4(ep) >> 24 == IP4_LOOPBACK_NET;
	for (i = 0; i + 1 < BS_IP_LEN; i++) {
		if (ep->ip[i])
			return false;
	}
	return ep->ip[BS_IP_LEN - 1] == 1;
}

void bs__streams_bind(struct bs_streams *ss, bs_time now)
{
	uint16_t ceiling;

	if (!ss->bound)
		bs_stream_mtu_init(&ss->mtu, 0, now);
	ss->remote = ss->conn->remote;
	ss->fast = bs_conn_is_fast(ss->conn);
	ss->bound = true;
	ss->pace_on = false;
	ceiling = is_loopback(&ss->remote) ? MTU_LOOPBACK : MTU_ETHERNET;
	bs_stream_path_moved(&ss->path, BS_PACKET_MAX, now);
	bs_stream_mtu_moved(&ss->mtu, ceiling, now);
}

void bs_streams_path_changed(struct bs_streams *ss, bs_time now)
{
	struct bs_stream *s;

	bs__streams_bind(ss, now);
	for (s = ss->all; s; s = s->all_next) {
		if (s->state != BS_STREAM_OPEN)
			continue;
		/* Nobody knows which of them the old path still delivers: ask, and do not wait. */
		bs__tx_lose_all(s, now);
		bs_stream_rtt_relax(&s->rtt);
		s->rx.ack_now = true;
		s->tx.probed = false;
		s->send_fin = s->tx.fin == BS_STREAM_FIN_SENT;
		s->tx.tries = 0;
		bs__tx_arm(s, now);
		bs__stream_queue(s, BS__LIST_CONTROL);
		bs__stream_queue(s, BS__LIST_DATA);
	}
}

void bs_streams_init(struct bs_streams *ss, struct bs_stream_mem *mem, struct bs_conn *conn,
		     const struct bs_crypto *crypto)
{
	memset(ss, 0, sizeof(*ss));
	ss->conn = conn;
	ss->crypto = crypto;
	ss->mem = mem;
	ss->next_tag = BS_TAG_STREAM_FIRST;
	ss->next_id = 1;
}

void bs_streams_fini(struct bs_streams *ss)
{
	while (ss->all)
		free_stream(ss->all);
	bs_streams_init(ss, ss->mem, ss->conn, ss->crypto);
}

void bs_streams_fail(struct bs_streams *ss, int err)
{
	struct bs_stream *s;
	struct bs_stream *next;

	for (s = ss->all; s; s = next) {
		next = s->all_next;
		s->send_rst = false;
		s->rx.ack_now = false;
		bs__stream_end(s, err, s->born);
		/* A later connection of this slot has nothing to do with it. */
		unchain(s);
		if (s->released)
			set_gone(s);
	}
	ss->reject.waits = false;
	ss->timer_on = false;
	ss->pace_on = false;
	ss->bound = false;
	bs__streams_sweep(ss);
}

static bool find_tag(struct bs_streams *ss, uint16_t *tag)
{
	unsigned i;

	for (i = 0; i < TAGS; i++) {
		uint16_t t = ss->next_tag;

		ss->next_tag =
			t == BS_TAG_STREAM_LAST ? (uint16_t)BS_TAG_STREAM_FIRST : (uint16_t)(t + 1);
		if (!bs__streams_find(ss, t)) {
			*tag = t;
			return true;
		}
	}
	return false;
}

/* The oldest stream that only lingers gives way, whichever connection it belongs to. */
void bs__streams_make_room(struct bs_streams *ss)
{
	struct bs_stream_mem *m = ss->mem;
	struct bs_stream *s = m->lingering;

	if (m->free_streams || (m->alloc && m->n_streams < m->streams_limit))
		return;
	while (s && s->send_rst)
		s = s->linger_next;
	if (s)
		free_stream(s);
}

int bs_stream_open(struct bs_streams *ss, bs_time now, struct bs_stream **out)
{
	uint8_t raw[4];
	struct bs_stream *s;
	uint16_t tag;

	if (ss->conn->state != BS_CONN_CONNECTING && ss->conn->state != BS_CONN_OPEN)
		return BS_ECLOSED;
	if (!ss->bound)
		bs__streams_bind(ss, now);
	if (ss->crypto->random(ss->crypto->ctx, raw, sizeof(raw)))
		return BS_ERANDOM;
	bs__streams_make_room(ss);
	if (!find_tag(ss, &tag))
		return BS_EFULL;
	s = bs__streams_make(ss, tag, now);
	if (!s)
		return BS_EFULL;
	s->state = BS_STREAM_SYN_SENT;
	s->id_cp = ss->next_id++;
	if (ss->next_id == 0)
		ss->next_id = 1;
	/* Numbers start at random so that packets of an older stream of this tag do not fit. */
	s->tx.una = ISN_FIRST + 1 + (bs_get_u32(raw) & 0x1FFFFFFFu);
	s->tx.next = s->tx.una;
	s->tx.end = s->tx.una;
	s->send_open = true;
	bs__stream_queue(s, BS__LIST_CONTROL);
	*out = s;
	return BS_OK;
}

/* Room in the ring, in segments. */
static uint32_t ring_room(const struct bs_stream *s)
{
	const struct bs_stream_tx *t = &s->tx;
	uint32_t used = t->end - t->una;

	return used < t->window ? t->window - used : 0;
}

static struct bs_segment *open_segment(const struct bs_stream *s)
{
	const struct bs_stream_tx *t = &s->tx;
	struct bs_segment *g;

	if (t->end == t->next || t->sealed)
		return NULL;
	g = t->ring[(t->end - 1) & t->mask];
	return g->len < bs__tx_size(s) ? g : NULL;
}

static bool is_writable(const struct bs_stream *s)
{
	return s->state == BS_STREAM_OPEN && s->tx.fin == BS_STREAM_FIN_NONE;
}

/* What one stream keeps for retransmission must not keep others from being opened. */
static bool may_take(const struct bs_stream *s)
{
	const struct bs_stream_mem *m = s->ss->mem;

	return ring_room(s) &&
	       (s->tx.held < BS__STREAM_TX_KEEP || bs__mem_left(m) > bs__mem_total(m) / SHARE);
}

size_t bs_stream_can_write(const struct bs_stream *s)
{
	const struct bs_segment *g;
	size_t n = 0;

	if (!is_writable(s))
		return 0;
	g = open_segment(s);
	if (g)
		n = (size_t)(bs__tx_size(s) - g->len);
	if (may_take(s))
		n += (size_t)(s->tx.held < BS__STREAM_TX_KEEP ? 1 : ring_room(s)) * bs__tx_size(s);
	return n;
}

/* Bytes of the next segment.  A larger one now and then finds out what the path takes. */
static uint16_t next_size(const struct bs_stream *s)
{
	struct bs_streams *ss = s->ss;
	uint16_t size = bs__tx_size(s);
	uint16_t packet;
	uint16_t room;

	if (!ss->fast || s->tx.size <= size || s->tx.end % PROBE_EVERY)
		return size;
	packet = bs_stream_mtu_probe(&ss->mtu, ss->path.delivered_at);
	room = packet ? bs__streams_room(ss, packet, BS_WINDOW_ACK_LEN) : 0;
	return room > size && room <= s->tx.size ? room : size;
}

static struct bs_segment *new_segment(struct bs_stream *s)
{
	struct bs_stream_tx *t = &s->tx;
	struct bs_segment *g;

	if (!may_take(s))
		return NULL;
	g = bs__mem_take(s->ss->mem, t->held < BS__STREAM_TX_KEEP);
	if (!g)
		return NULL;
	t->held++;
	g->seq = t->end;
	g->packet = 0;
	t->ring[t->end & t->mask] = g;
	t->end++;
	t->sealed = false;
	return g;
}

uint8_t *bs_stream_reserve(struct bs_stream *s, size_t *cap)
{
	struct bs_segment *g;
	uint16_t size;

	*cap = 0;
	if (!is_writable(s))
		return NULL;
	g = open_segment(s);
	size = bs__tx_size(s);
	if (!g) {
		size = next_size(s);
		g = new_segment(s);
	}
	if (!g) {
		s->tx.full = true;
		return NULL;
	}
	*cap = (size_t)(size - g->len);
	return bs__segment_bytes(g) + g->len;
}

void bs_stream_commit(struct bs_stream *s, size_t n, unsigned flags)
{
	struct bs_stream_tx *t = &s->tx;
	struct bs_segment *g = t->ring[(t->end - 1) & t->mask];

	g->len = (uint16_t)(g->len + n);
	if (g->len == 0) {
		/* Reserved and not used: an empty segment would be an acknowledgement. */
		t->end--;
		t->ring[t->end & t->mask] = NULL;
		bs__mem_give(s->ss->mem, g, t->held <= BS__STREAM_TX_KEEP);
		t->held--;
		return;
	}
	t->sealed = (flags & BS_STREAM_PUSH) != 0;
	s->stats.writes++;
	bs__stream_queue(s, BS__LIST_DATA);
}

bs_ssize bs_stream_write(struct bs_stream *s, const void *data, size_t len, unsigned flags)
{
	const uint8_t *from = data;
	size_t done = 0;
	size_t cap;

	if (s->state > BS_STREAM_OPEN || s->tx.fin != BS_STREAM_FIN_NONE)
		return BS_ECLOSED;
	/* The window ends this long before the sum needs more than 31 bits. */
	while (done < len) {
		uint8_t *to = bs_stream_reserve(s, &cap);

		if (!to)
			break;
		if (cap > len - done)
			cap = len - done;
		memcpy(to, from + done, cap);
		done += cap;
		bs_stream_commit(s, cap, done == len ? flags : 0);
	}
	return (bs_ssize)done;
}

bool bs_stream_is_flushed(const struct bs_stream *s)
{
	return s->tx.una == s->tx.end;
}
