/* SPDX-License-Identifier: Apache-2.0 */
#include "flow.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/small.h"
#include "util/endpoint.h"

/* Virtual time that a run may take: whoever needs more hangs. */
#define LIMIT_S 1500
/* When the path gets narrower, and how often an address changes. */
#define MTU_LATE_MS 700
#define MOVE_MS     900
#define MOVES       6

struct packet {
	bs_time at;
	uint64_t order; /* of sending: ties are first come, first served */
	struct bs_endpoint from;
	uint8_t to; /* end */
	uint16_t len;
	uint8_t *bytes;
};

/* One direction of one stream, as its writer and its reader see it. */
struct half {
	uint64_t wrote;
	uint64_t read;
	bool closed; /* writer called close */
	bool eof;    /* reader saw it */
};

struct end {
	struct bs_conn conn;
	struct bs_stream_mem mem;
	struct bs_streams ss;
	struct bs_endpoint self;
	bs_time line_free; /* when the rate lets the next packet go */
	void *segments;
	void *slots;
};

struct app {
	struct bs_stream *s[2];
	struct half half[2]; /* by the end that writes */
	bool failed[2];
	bool ended[2];
	bool doomed;
	bool refused;
};

struct flow {
	const struct flow_plan *plan;
	struct flow_result *r;
	uint32_t rng;
	bs_time now;
	bs_time start;
	bs_time move_at;
	bs_time told_at;
	uint64_t order;
	uint16_t port;
	unsigned moves;
	struct bs_crypto crypto;
	struct end end[2];
	struct app app[FLOW_STREAMS];
	bs_time read_at; /* slow readers look again */
	struct packet heap[FLOW_PACKETS];
	size_t n;
	uint8_t out[FLOW_PACKET];
};

static uint32_t below(struct flow *f, uint32_t n)
{
	f->rng ^= f->rng << 13;
	f->rng ^= f->rng >> 17;
	f->rng ^= f->rng << 5;
	return f->rng % n;
}

static void fail(struct flow *f, const char *fmt, ...) BS_PRINTF(2, 3);
static void fail(struct flow *f, const char *fmt, ...)
{
	va_list ap;

	if (f->r->failure[0])
		return;
	va_start(ap, fmt);
	(void)vsnprintf(f->r->failure, sizeof(f->r->failure), fmt, ap);
	va_end(ap);
}

static int random_bytes(void *ctx, uint8_t *buf, size_t len)
{
	struct flow *f = ctx;

	while (len--)
		*buf++ = (uint8_t)below(f, 256);
	return BS_OK;
}

/* Byte number i of a direction: differs by stream, direction and place. */
static uint8_t byte_at(unsigned stream, unsigned dir, uint64_t i)
{
	uint64_t x = (i >> 3) * 0x9E3779B97F4A7C15u + stream * 131u + dir * 7u;

	return (uint8_t)(x >> (8 * (i & 7)));
}

static bool is_earlier(const struct packet *a, const struct packet *b)
{
	bs_time_diff d = BS_TIME_DIFF(a->at, b->at);

	return d < 0 || (d == 0 && a->order < b->order);
}

static void heap_push(struct flow *f, struct packet p)
{
	size_t i = f->n++;

	while (i && is_earlier(&p, &f->heap[(i - 1) / 2])) {
		f->heap[i] = f->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	f->heap[i] = p;
}

static struct packet heap_pop(struct flow *f)
{
	struct packet top = f->heap[0];
	struct packet last = f->heap[--f->n];
	size_t i = 0;

	for (;;) {
		size_t c = 2 * i + 1;

		if (c >= f->n)
			break;
		if (c + 1 < f->n && is_earlier(&f->heap[c + 1], &f->heap[c]))
			c++;
		if (!is_earlier(&f->heap[c], &last))
			break;
		f->heap[i] = f->heap[c];
		i = c;
	}
	f->heap[i] = last;
	return top;
}

static bs_time us(uint64_t n)
{
	return bs_stream_span(n);
}

static void fly(struct flow *f, unsigned from, size_t len, bs_time extra)
{
	struct packet p = { 0 };

	if (f->n == FLOW_PACKETS) {
		fail(f, "a storm: %d packets under way", FLOW_PACKETS);
		return;
	}
	p.bytes = malloc(len);
	if (!p.bytes)
		abort();
	memcpy(p.bytes, f->out, len);
	p.at = f->now + extra + us(f->plan->delay_us) +
	       us(f->plan->jitter_us ? below(f, f->plan->jitter_us) : 0);
	p.order = f->order++;
	p.from = f->end[from].self;
	p.to = (uint8_t)!from;
	p.len = (uint16_t)len;
	heap_push(f, p);
}

/* The bottleneck: a queue in front of a line of some rate. */
static bool queue_up(struct flow *f, unsigned from, size_t len, bs_time *wait)
{
	struct end *e = &f->end[from];
	bs_time each;
	bs_time full;

	*wait = 0;
	if (!f->plan->rate)
		return true;
	if (BS_TIME_DIFF(e->line_free, f->now) < 0)
		e->line_free = f->now;
	each = us(len * 1000000u / f->plan->rate);
	full = us((uint64_t)BS_PACKET_MAX * f->plan->queue * 1000000u / f->plan->rate);
	if (BS_TIME_DIFF(e->line_free, f->now) > (bs_time_diff)full)
		return false;
	e->line_free += each;
	*wait = e->line_free - f->now;
	return true;
}

static void send_packet(struct flow *f, unsigned from, size_t len)
{
	const struct flow_plan *plan = f->plan;
	bool late = BS_TIME_DIFF(f->now, f->start) > (bs_time_diff)BS_TIME_MS(MTU_LATE_MS);
	uint16_t mtu = late && plan->mtu_late ? plan->mtu_late : plan->mtu;
	bs_time wait;

	f->r->packets++;
	if (!plan->fast && len > BS_PACKET_MAX)
		fail(f, "a packet of %zu bytes to a device of others", len);
	if (mtu && len > mtu)
		return;
	if (!queue_up(f, from, len, &wait)) {
		f->r->dropped++;
		return;
	}
	if (below(f, 100) < plan->loss)
		return;
	fly(f, from, len, wait);
	if (below(f, 100) < plan->copies)
		fly(f, from, len, wait);
}

static void flush(struct flow *f, unsigned i)
{
	struct bs_endpoint to;
	size_t len;
	unsigned n = 0;

	while ((len = bs_streams_output(&f->end[i].ss, f->out, sizeof(f->out), &to, f->now)) > 0) {
		/* What goes to an address that was left behind is lost. */
		if (bs_endpoint_equal(&to, &f->end[!i].self))
			send_packet(f, i, len);
		if (++n > 100000) {
			fail(f, "output without end");
			return;
		}
	}
}

/* The bytes of each stream are known by its number: the first one tells it to the responder. */
static void app_write(struct flow *f, unsigned i, unsigned n)
{
	struct app *a = &f->app[n];
	struct half *h = &a->half[i];
	uint8_t buf[4096];

	while (!h->closed && !f->r->failure[0]) {
		uint64_t left = f->plan->bytes[i] - h->wrote;
		size_t len = left < sizeof(buf) ? (size_t)left : 1 + below(f, sizeof(buf));
		bs_ssize took;
		size_t k;

		if (left == 0) {
			bs_stream_close(a->s[i]);
			h->closed = true;
			return;
		}
		for (k = 0; k < len; k++)
			buf[k] = byte_at(n, i, h->wrote + k);
		if (i == 0 && h->wrote == 0)
			buf[0] = (uint8_t)n;
		took = bs_stream_write(a->s[i], buf, len, below(f, 8) ? 0 : BS_STREAM_PUSH);
		if (took < 0)
			fail(f, "stream %u: a write fails with %d", n, (int)took);
		if (took <= 0)
			return;
		h->wrote += (uint64_t)took;
	}
}

static void app_read(struct flow *f, unsigned i, unsigned n)
{
	struct app *a = &f->app[n];
	struct half *h = &a->half[!i];
	struct bs_slice d;

	while ((d = bs_stream_peek(a->s[i])).len) {
		size_t take = d.len;
		size_t k;

		if (f->plan->slow_reader) {
			if (below(f, 4) == 0)
				return;
			take = 1 + below(f, (uint32_t)d.len);
		}
		for (k = 0; k < take; k++) {
			uint8_t want = i != 0 && h->read + k == 0 ? (uint8_t)n
								  : byte_at(n, !i, h->read + k);

			if (d.ptr[k] != want) {
				fail(f, "stream %u: byte %llu is wrong", n,
				     (unsigned long long)(h->read + k));
				return;
			}
		}
		h->read += take;
		bs_stream_consume(a->s[i], take);
	}
	if (!h->eof && bs_stream_is_eof(a->s[i])) {
		h->eof = true;
		if (h->read != f->plan->bytes[!i])
			fail(f, "stream %u: the end came after %llu bytes", n,
			     (unsigned long long)h->read);
	}
}

static struct app *app_of(struct flow *f, unsigned i, struct bs_stream *s)
{
	unsigned n;

	for (n = 0; n < f->plan->streams; n++) {
		if (f->app[n].s[i] == s)
			return &f->app[n];
	}
	return NULL;
}

/* Only the first byte says which stream it is. */
static struct app *know(struct flow *f, struct bs_stream *s)
{
	struct bs_slice d = bs_stream_peek(s);

	if (!d.len || d.ptr[0] >= f->plan->streams || f->app[d.ptr[0]].s[1])
		return NULL;
	f->app[d.ptr[0]].s[1] = s;
	return &f->app[d.ptr[0]];
}

static void app_event(struct flow *f, unsigned i, struct bs_stream *s, unsigned ev)
{
	struct app *a = app_of(f, i, s);
	unsigned n;

	if (!a && i == 1)
		a = know(f, s);
	if (!a) {
		if (ev & (BS_STREAM_EV_ABORTED | BS_STREAM_EV_CLOSED))
			bs_stream_release(s, f->now);
		return;
	}
	n = (unsigned)(a - f->app);
	app_read(f, i, n);
	if (ev & BS_STREAM_EV_ABORTED) {
		a->failed[i] = true;
		a->refused = a->refused || s->err == BS_EREFUSED;
		a->ended[i] = true;
	} else if (ev & BS_STREAM_EV_CLOSED) {
		a->ended[i] = true;
		a->failed[i] = !f->plan->fast && s->rx.read == s->rx.ack && !bs_stream_is_eof(s);
	} else {
		app_write(f, i, n);
		if (a->doomed && a->half[i].wrote > f->plan->bytes[i] / 2) {
			bs_stream_abort(s);
			a->failed[i] = true;
			a->ended[i] = true;
		}
	}
	if (a->ended[i] && (a->failed[i] || a->half[!i].eof)) {
		f->r->again += s->stats.tx_again;
		f->r->data += s->stats.tx_pkts;
		bs_stream_release(s, f->now);
		a->s[i] = NULL;
	}
}

static void app_run(struct flow *f)
{
	struct bs_stream *s;
	unsigned ev;
	unsigned i;

	for (i = 0; i < 2; i++) {
		while ((s = bs_streams_next_event(&f->end[i].ss, &ev)))
			app_event(f, i, s, ev);
		flush(f, i);
	}
}

/* Slow readers come back by themselves. */
static void look_again(struct flow *f)
{
	unsigned n;
	unsigned i;

	for (n = 0; n < f->plan->streams; n++) {
		for (i = 0; i < 2; i++) {
			struct app *a = &f->app[n];

			if (!a->s[i])
				continue;
			app_event(f, i, a->s[i], 0);
		}
	}
	f->read_at = f->now + us(5000 + below(f, 30000));
}

static void deliver(struct flow *f, struct packet *p)
{
	struct end *e = &f->end[p->to];
	struct bs_conn_data d;
	struct bs_packet pkt;

	if (bs_stream_packet_decode(p->bytes, p->len, &pkt) == BS_OK &&
	    bs_conn_open(&e->conn, &f->crypto, &pkt, p->bytes, &p->from, f->now, &d) == BS_OK)
		(void)bs_streams_input(&e->ss, &pkt, &d, &p->from, f->now);
	free(p->bytes);
	flush(f, p->to);
}

static void setup_end(struct flow *f, unsigned i)
{
	const struct flow_plan *plan = f->plan;
	struct bs_stream_conf conf = { 0 };
	struct end *e = &f->end[i];
	struct bs_conn_ext ext = { 0 };
	struct bs_key_block key;
	size_t len;
	size_t slot;
	unsigned n;

	memset(&key, 0x5A, sizeof(key));
	bs_conn_init(&e->conn, i ? BS_RESPONDER : BS_INITIATOR, 4711, &key, plan->suite, f->now);
	ext.fast = plan->fast;
	bs_conn_set_ext(&e->conn, ext);
	e->conn.state = BS_CONN_OPEN;
	e->conn.nsi_cp = 100;
	bs_endpoint_set_ip4(&e->self, 0x0A000001u + i, 1000);
	conf.segment = plan->segment < BS_STREAM_SEGMENT_ASK ? plan->segment : BS_STREAM_SEGMENT;
	conf.fast_segment = plan->segment;
	conf.window = plan->window;
	conf.fast_window = plan->window;
	bs_stream_mem_init(&e->mem, &conf);
	len = bs_stream_segments_len(e->mem.segment_size, plan->segments);
	slot = bs_stream_slot_len(plan->window);
	e->segments = malloc(len);
	e->slots = malloc(slot * plan->streams);
	if (!e->segments || !e->slots)
		abort();
	bs_stream_mem_add_segments(&e->mem, e->segments, len);
	for (n = 0; n < plan->streams; n++)
		bs_stream_mem_add_slot(&e->mem, (uint8_t *)e->slots + n * slot);
	bs_streams_init(&e->ss, &e->mem, &e->conn, &f->crypto);
}

static bool is_done(const struct flow *f)
{
	unsigned n;

	for (n = 0; n < f->plan->streams; n++) {
		const struct app *a = &f->app[n];

		if (!a->ended[0] || (!a->ended[1] && !a->failed[0]))
			return false;
	}
	return f->end[0].ss.n == 0 && f->end[1].ss.n == 0;
}

static void move(struct flow *f)
{
	f->port++;
	f->end[0].self.port = f->port;
	bs_streams_path_changed(&f->end[0].ss, f->now);
	f->told_at = f->now + us(2 * f->plan->delay_us);
	/* Not for ever: a path that is always new is never known. */
	f->move_at = f->now + 2 * us(f->plan->delay_us) +
		     BS_TIME_MS(++f->moves < MOVES ? MOVE_MS : LIMIT_S * 1000u);
	flush(f, 0);
}

/* The client's keep-alive has shown the responder where it is now. */
static void learn(struct flow *f)
{
	f->told_at = f->move_at + 1;
	f->end[1].conn.remote = f->end[0].self;
	flush(f, 1);
}

static void earlier(bs_time *at, bool has, bs_time t)
{
	if (has && BS_TIME_DIFF(t, *at) < 0)
		*at = t;
}

static bs_time next_time(struct flow *f)
{
	bs_time at = f->start + BS_TIME_MS(LIMIT_S * 1000u) + 1;
	bs_time t = 0;
	unsigned i;

	earlier(&at, f->n > 0, f->heap[0].at);
	for (i = 0; i < 2; i++) {
		if (bs_streams_next_timeout(&f->end[i].ss, &t))
			earlier(&at, true, t);
	}
	earlier(&at, f->plan->slow_reader, f->read_at);
	earlier(&at, f->plan->moves, f->move_at);
	earlier(&at, f->plan->moves, f->told_at);
	return BS_TIME_DIFF(at, f->now) < 0 ? f->now : at;
}

static void step(struct flow *f)
{
	unsigned i;

	f->now = next_time(f);
	for (i = 0; i < 2; i++) {
		bs_time t = 0;

		if (bs_streams_next_timeout(&f->end[i].ss, &t) && BS_TIME_DIFF(f->now, t) >= 0) {
			bs_streams_timeout(&f->end[i].ss, f->now);
			flush(f, i);
		}
	}
	if (f->n && BS_TIME_DIFF(f->now, f->heap[0].at) >= 0) {
		struct packet p = heap_pop(f);

		deliver(f, &p);
	}
	if (f->plan->slow_reader && BS_TIME_DIFF(f->now, f->read_at) >= 0)
		look_again(f);
	if (f->plan->moves && BS_TIME_DIFF(f->now, f->move_at) >= 0)
		move(f);
	if (f->plan->moves && BS_TIME_DIFF(f->now, f->told_at) >= 0)
		learn(f);
	app_run(f);
}

static void check_rest(struct flow *f)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		const struct end *e = &f->end[i];

		if (e->mem.n_free != e->mem.n_segments || e->mem.reserved)
			fail(f, "end %u: %u of %u segments are free, %u promised", i,
			     (unsigned)e->mem.n_free, (unsigned)e->mem.n_segments,
			     (unsigned)e->mem.reserved);
		if (e->ss.path.inflight)
			fail(f, "end %u: %llu bytes under way for ever", i,
			     (unsigned long long)e->ss.path.inflight);
	}
}

static void count(struct flow *f)
{
	unsigned n;

	for (n = 0; n < f->plan->streams; n++) {
		const struct app *a = &f->app[n];

		if (a->refused)
			f->r->refused++;
		else if (a->failed[0] || a->failed[1])
			f->r->failed++;
		else if (a->half[0].eof && a->half[1].eof)
			f->r->whole++;
		else
			fail(f, "stream %u ended without its bytes and without a failure", n);
	}
	f->r->packet = f->end[0].ss.mtu.proven;
}

static void begin(struct flow *f)
{
	unsigned n;

	f->rng = f->plan->seed * 2654435761u + 1;
	f->now = BS_TIME_MS(1000);
	f->start = f->now;
	f->read_at = f->now;
	f->move_at = f->now + BS_TIME_MS(MOVE_MS);
	f->told_at = f->move_at + 1;
	f->port = 2000;
	bs_small_crypto_init(&f->crypto, random_bytes, f);
	setup_end(f, 0);
	setup_end(f, 1);
	f->end[0].conn.remote = f->end[1].self;
	f->end[1].conn.remote = f->end[0].self;
	for (n = 0; n < f->plan->streams; n++) {
		if (bs_stream_open(&f->end[0].ss, f->now, &f->app[n].s[0])) {
			f->app[n].refused = true;
			f->app[n].ended[0] = true;
			f->app[n].ended[1] = true;
		}
		f->app[n].doomed = f->plan->aborts && below(f, 3) == 0;
	}
	flush(f, 0);
}

static void finish(struct flow *f)
{
	unsigned i;

	while (f->n) {
		struct packet p = heap_pop(f);

		free(p.bytes);
	}
	for (i = 0; i < 2; i++) {
		bs_streams_fini(&f->end[i].ss);
		free(f->end[i].segments);
		free(f->end[i].slots);
	}
}

static bool bytes_are_there(const struct flow *f)
{
	unsigned n;

	for (n = 0; n < f->plan->streams; n++) {
		if (!f->app[n].half[0].eof || !f->app[n].half[1].eof)
			return false;
	}
	return true;
}

bool flow_play(const struct flow_plan *plan, struct flow_result *r)
{
	struct flow *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	memset(r, 0, sizeof(*r));
	f->plan = plan;
	f->r = r;
	begin(f);
	while (!r->failure[0] && !is_done(f)) {
		step(f);
		if (!r->took && bytes_are_there(f))
			r->took = f->now - f->start;
		if (BS_TIME_DIFF(f->now, f->start) > (bs_time_diff)BS_TIME_MS(LIMIT_S * 1000u))
			fail(f, "nothing moves any more");
	}
	if (!r->failure[0])
		count(f);
	if (!r->failure[0])
		check_rest(f);
	finish(f);
	free(f);
	return !r->failure[0];
}
