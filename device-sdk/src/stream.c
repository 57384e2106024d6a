/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of a device: the core's under other names, with storage and callbacks.
 *
 * Nothing of device.c names this file, so that it is linked only where bsdev_streams_init is
 * called.
 */
#include "basestation/device_stream.h"

#include <stddef.h>
#include <string.h>

#include "context.h"
#include "proto/stream.h"

/** Bounds of what a configuration may ask for. */
enum {
	STREAMS_MAX = 4096, /* stream tags of one connection */
	STREAMS_DEFAULT = 16,
	WINDOW_DEFAULT = 100,
	SEGMENTS_EACH = 4
};

/** At the start of the storage; then one struct bs_streams for each connection slot, then the
 *  slots, then the segments. */
struct streams {
	struct bsdev__streams base; /**< first: what the device knows of it */
	struct bsdev_stream_conf conf;
	struct bs_stream_mem mem;
};

/** The application's events are the core's without OPEN. */
typedef char
	bsdev__events_check[BSDEV_STREAM_READABLE == BS_STREAM_EV_READABLE >> 1 &&
					    BSDEV_STREAM_WRITABLE == BS_STREAM_EV_WRITABLE >> 1 &&
					    BSDEV_STREAM_PEER_CLOSED ==
						    BS_STREAM_EV_PEER_CLOSED >> 1 &&
					    BSDEV_STREAM_CLOSED == BS_STREAM_EV_CLOSED >> 1 &&
					    BSDEV_STREAM_ABORTED == BS_STREAM_EV_ABORTED >> 1
				    ? 1
				    : -1];

/** An application sees no core type: its handle is the core's stream. */
static struct bs_stream *core(const struct bsdev_stream *s)
{
	return (struct bs_stream *)(uintptr_t)s;
}

static struct streams *owner(const struct bsdev_stream *s)
{
	return (struct streams *)(void *)((char *)core(s)->ss->mem - offsetof(struct streams, mem));
}

/** Whether the application wants it.  As devices do it, a refused stream opens and ends. */
static bool accept_stream(struct bsdev *dev, struct streams *st, struct bs_stream *s)
{
	struct bsdev_stream *handle = (struct bsdev_stream *)(void *)s;
	struct bsdev_peer peer;

	bsdev__peer_from_conn(&peer, s->ss->conn);
	if (st->conf.accept == NULL || st->conf.accept(st->conf.ctx, dev, handle, &peer))
		return true;
	bs_stream_release(s, dev->now);
	return false;
}

/** Tell the application what happened since the last call. */
static void report(struct bsdev *dev)
{
	struct streams *st = (struct streams *)(void *)bsdev__streams(dev);
	struct bs_stream *s;
	unsigned events;

	while ((s = bs_device_next_stream_event(&dev->core, &events)) != NULL) {
		if ((events & BS_STREAM_EV_OPEN) != 0 && !accept_stream(dev, st, s))
			continue;
		events >>= 1;
		if (events != 0)
			st->conf.event(st->conf.ctx, dev, (struct bsdev_stream *)(void *)s, events);
	}
}

static int fill_conf(struct bsdev_stream_conf *out, const struct bsdev_stream_conf *conf)
{
	*out = *conf;
	if (out->streams == 0)
		out->streams = STREAMS_DEFAULT;
	if (out->window == 0)
		out->window = WINDOW_DEFAULT;
	if (out->fast_window == 0)
		out->fast_window = out->window;
	if (out->segments == 0)
		out->segments = (uint32_t)out->streams * SEGMENTS_EACH;
	return out->event == NULL || out->streams > STREAMS_MAX ||
			       out->window > BS_STREAM_WINDOW_MAX ||
			       out->fast_window > BS_STREAM_WINDOW_MAX
		       ? BS_EINVAL
		       : BS_OK;
}

/** Cut n bytes off the storage. */
static void *take(uint8_t **at, size_t *left, size_t n)
{
	uint8_t *p = *at;

	n = (n + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
	if (n > *left)
		return NULL;
	*at += n;
	*left -= n;
	return p;
}

static int give_storage(struct streams *st, uint8_t *at, size_t left)
{
	const struct bsdev_stream_conf *c = &st->conf;
	const uint16_t window = c->window > c->fast_window ? c->window : c->fast_window;
	const size_t segments = bs_stream_segments_len(BS_STREAM_SEGMENT, c->segments);

	if (c->alloc != NULL) {
		bs_stream_mem_grow(&st->mem, c->alloc, c->alloc_ctx, c->segments, c->streams);
		return BS_OK;
	}
	for (unsigned i = 0; i < c->streams; i++) {
		void *slot = take(&at, &left, bs_stream_slot_len(window));

		if (slot == NULL)
			return BS_ETOOBIG;
		bs_stream_mem_add_slot(&st->mem, slot);
	}
	if (left < segments)
		return BS_ETOOBIG;
	bs_stream_mem_add_segments(&st->mem, at, segments);
	return BS_OK;
}

int bsdev_streams_init(struct bsdev *dev, void *storage, size_t len,
		       const struct bsdev_stream_conf *conf)
{
	const unsigned n = dev->conf->connections;
	struct bs_stream_conf core_conf;
	struct bsdev_stream_conf full;
	struct bs_streams *each;
	struct streams *st;
	uint8_t *at = storage;
	int err = fill_conf(&full, conf);

	if (err != BS_OK)
		return err;
	if (bsdev__streams(dev) != NULL)
		return BS_EEXIST;
	memset(storage, 0, len);
	st = take(&at, &len, sizeof(*st));
	each = st != NULL ? take(&at, &len, n * sizeof(*each)) : NULL;
	if (each == NULL)
		return BS_ETOOBIG;
	st->base.dev = dev;
	st->base.report = report;
	st->conf = full;
	memset(&core_conf, 0, sizeof(core_conf));
	core_conf.segment = BS_STREAM_SEGMENT;
	core_conf.window = full.window;
	core_conf.fast_window = full.fast_window;
	bs_stream_mem_init(&st->mem, &core_conf);
	err = give_storage(st, at, len);
	if (err != BS_OK)
		return err;
	bs_device_set_streams(&dev->core, each, &st->mem);
	bsdev__keep_streams(dev, &st->base);
	return BS_OK;
}

void bsdev_stream_set_arg(struct bsdev_stream *s, void *arg)
{
	core(s)->user = arg;
}

void *bsdev_stream_get_arg(const struct bsdev_stream *s)
{
	return core(s)->user;
}

void bsdev_stream_get_peer(const struct bsdev_stream *s, struct bsdev_peer *peer)
{
	bsdev__peer_from_conn(peer, core(s)->ss->conn);
}

const uint8_t *bsdev_stream_peek(const struct bsdev_stream *s, size_t *len)
{
	const struct bs_slice next = bs_stream_peek(core(s));

	*len = next.len;
	return next.len > 0 ? next.ptr : NULL;
}

void bsdev_stream_consume(struct bsdev_stream *s, size_t len)
{
	bs_stream_consume(core(s), len);
}

size_t bsdev_stream_read(struct bsdev_stream *s, void *buf, size_t cap)
{
	return bs_stream_read(core(s), buf, cap);
}

bool bsdev_stream_is_end(const struct bsdev_stream *s)
{
	return bs_stream_is_eof(core(s));
}

size_t bsdev_stream_can_write(const struct bsdev_stream *s)
{
	return bs_stream_can_write(core(s));
}

bs_ssize bsdev_stream_write(struct bsdev_stream *s, const void *data, size_t len)
{
	return bs_stream_write(core(s), data, len, 0);
}

void bsdev_stream_close(struct bsdev_stream *s)
{
	bs_stream_close(core(s));
}

void bsdev_stream_abort(struct bsdev_stream *s)
{
	bs_stream_abort(core(s));
	bsdev_stream_release(s);
}

void bsdev_stream_release(struct bsdev_stream *s)
{
	bs_stream_release(core(s), owner(s)->base.dev->now);
}

void bsdev_stream_get_stats(const struct bsdev_stream *s, struct bsdev_stream_stats *stats)
{
	const struct bs_stream *c = core(s);

	memset(stats, 0, sizeof(*stats));
	stats->rx_bytes = c->stats.rx_bytes;
	stats->tx_bytes = c->stats.tx_bytes;
	stats->rx_segments = c->stats.rx_pkts;
	stats->tx_segments = c->stats.tx_pkts;
	stats->resent = c->stats.tx_again;
	stats->rtt_us = c->stats.rtt_us;
}
