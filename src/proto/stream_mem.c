/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/stream_impl.h"

#include <string.h>

/* Segments that alloc is asked for at once: fewer calls, and little waste. */
enum {
	CHUNK = 32,
	ALIGN = sizeof(void *) > 8 ? 16 : 8,
};

static size_t aligned(size_t n)
{
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static uint32_t ring_len(uint32_t n)
{
	uint32_t len = 1;

	while (len < n)
		len *= 2;
	return len;
}

size_t bs_stream_slot_len(uint32_t n)
{
	return aligned(sizeof(struct bs_stream)) +
	       2 * (size_t)ring_len(n) * sizeof(struct bs_segment *);
}

static size_t segment_len(uint16_t size)
{
	return aligned(sizeof(struct bs_segment) + size);
}

size_t bs_stream_segments_len(uint16_t size, uint32_t n)
{
	return segment_len(size) * n;
}

static uint16_t or_default(uint16_t v, uint16_t def, uint16_t max)
{
	if (v == 0)
		v = def;
	return v > max ? max : v;
}

void bs_stream_mem_init(struct bs_stream_mem *m, const struct bs_stream_conf *conf)
{
	struct bs_stream_conf *c = &m->conf;

	memset(m, 0, sizeof(*m));
	*c = *conf;
	c->segment = or_default(c->segment, BS_STREAM_SEGMENT, BS_STREAM_SEGMENT_ASK);
	c->window = or_default(c->window, 100, BS_STREAM_WINDOW_MAX);
	c->fast_segment = or_default(c->fast_segment, c->segment, BS_STREAM_SEGMENT_MAX);
	c->fast_window = or_default(c->fast_window, c->window, BS_STREAM_WINDOW_MAX);
	c->retrans = or_default(c->retrans, 12, 100);
	c->timeout_ms = or_default(c->timeout_ms, 1000, BS_STREAM_RTO_MAX_MS);
	m->segment_size = c->fast_segment > c->segment ? c->fast_segment : c->segment;
	m->ring = ring_len(c->fast_window > c->window ? c->fast_window : c->window);
}

void bs_stream_mem_add_segments(struct bs_stream_mem *m, void *storage, size_t len)
{
	size_t step = segment_len(m->segment_size);
	uint8_t *at = storage;

	for (; len >= step; len -= step, at += step) {
		struct bs_segment *g = (struct bs_segment *)(void *)at;

		g->next = m->free;
		m->free = g;
		m->n_free++;
		m->n_segments++;
	}
}

void bs_stream_mem_add_slot(struct bs_stream_mem *m, void *storage)
{
	struct bs_stream *s = storage;

	memset(storage, 0, bs_stream_slot_len(m->ring));
	s->chain = m->free_streams;
	m->free_streams = s;
	m->n_streams++;
}

void bs_stream_mem_grow(struct bs_stream_mem *m, void *(*alloc)(void *ctx, size_t len), void *ctx,
			uint32_t segments, uint32_t slots)
{
	m->alloc = alloc;
	m->ctx = ctx;
	m->limit = segments;
	m->streams_limit = slots;
}

/* Segments that are there or could be. */
static uint32_t available(const struct bs_stream_mem *m)
{
	uint32_t more = m->alloc && m->limit > m->n_segments ? m->limit - m->n_segments : 0;

	return m->n_free + more;
}

bool bs__mem_reserve(struct bs_stream_mem *m, uint32_t n)
{
	if (available(m) < m->reserved + n)
		return false;
	m->reserved += n;
	return true;
}

void bs__mem_unreserve(struct bs_stream_mem *m, uint32_t n)
{
	m->reserved -= n < m->reserved ? n : m->reserved;
}

uint32_t bs__mem_total(const struct bs_stream_mem *m)
{
	return m->alloc && m->limit > m->n_segments ? m->limit : m->n_segments;
}

uint32_t bs__mem_left(const struct bs_stream_mem *m)
{
	uint32_t have = available(m);

	return have > m->reserved ? have - m->reserved : 0;
}

static void grow(struct bs_stream_mem *m)
{
	uint32_t n = m->limit - m->n_segments;
	size_t len;
	void *p;

	if (n > CHUNK)
		n = CHUNK;
	len = bs_stream_segments_len(m->segment_size, n);
	p = m->alloc(m->ctx, len);
	if (p)
		bs_stream_mem_add_segments(m, p, len);
	else
		m->limit = m->n_segments; /* promise no more than there is */
}

struct bs_segment *bs__mem_take(struct bs_stream_mem *m, bool promised)
{
	struct bs_segment *g;

	if (!promised && !bs__mem_left(m))
		return NULL;
	if (!m->free && m->alloc && m->limit > m->n_segments)
		grow(m);
	g = m->free;
	if (!g)
		return NULL;
	m->free = g->next;
	m->n_free--;
	if (promised)
		bs__mem_unreserve(m, 1);
	g->next = NULL;
	g->prev = NULL;
	g->parts = 0;
	g->len = 0;
	g->sends = 0;
	g->where = BS__SEG_WAITS;
	g->small = false;
	return g;
}

void bs__mem_give(struct bs_stream_mem *m, struct bs_segment *g, bool renew)
{
	/* What lay in it was meant for one reader. */
	g->len = 0;
	g->next = m->free;
	m->free = g;
	m->n_free++;
	if (renew)
		m->reserved++;
}

struct bs_stream *bs__mem_take_slot(struct bs_stream_mem *m)
{
	struct bs_stream *s = m->free_streams;
	uint8_t *rings;

	if (!s && m->alloc && m->n_streams < m->streams_limit) {
		void *p = m->alloc(m->ctx, bs_stream_slot_len(m->ring));

		if (p)
			bs_stream_mem_add_slot(m, p);
		s = m->free_streams;
	}
	if (!s)
		return NULL;
	m->free_streams = s->chain;
	memset(s, 0, sizeof(*s));
	rings = (uint8_t *)s + aligned(sizeof(*s));
	s->tx.ring = (struct bs_segment **)(void *)rings;
	s->rx.ring = s->tx.ring + m->ring;
	s->tx.mask = m->ring - 1;
	s->rx.mask = m->ring - 1;
	return s;
}

void bs__mem_give_slot(struct bs_stream_mem *m, struct bs_stream *s)
{
	memset(s, 0, sizeof(*s));
	s->chain = m->free_streams;
	m->free_streams = s;
}
