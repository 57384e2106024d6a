/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

/** The caller's events are the core's. */
#define SAME(name) ((int)BSC_STREAM_##name == (int)BS_STREAM_EV_##name)
_Static_assert(SAME(OPEN) && SAME(READABLE) && SAME(WRITABLE) && SAME(PEER_CLOSED) &&
		       SAME(CLOSED) && SAME(ABORTED),
	       "events have the same numbers");

/** Something waits to be sent: the session shall step at once. */
static void touch(const struct bsc_stream *s)
{
	if (s->c != NULL)
		s->c->m->touched = true;
}

static void *on_alloc(void *ctx, size_t len)
{
	struct bsc__streams *st = ctx;
	struct bsc__block *b = calloc(1, sizeof *b + len);

	if (b == NULL)
		return NULL;
	b->next = st->blocks;
	st->blocks = b;
	return b + 1;
}

/** Make room for streams with the first one: most connections only carry queries. */
static int begin(struct bsc_conn *c)
{
	const struct bs_stream_conf conf = {
		.segment = BS_STREAM_SEGMENT_ASK,
		.window = BSC__STREAM_WINDOW,
		.fast_window = BSC__STREAM_FAST_WINDOW,
	};
	struct bsc__streams *st = calloc(1, sizeof *st);

	if (st == NULL)
		return BS_ENOMEM;
	bs_stream_mem_init(&st->mem, &conf);
	bs_stream_mem_grow(&st->mem, on_alloc, st, BSC__STREAM_MEMORY / BS_STREAM_SEGMENT_ASK,
			   BSC__STREAMS_MAX);
	bs_streams_init(&st->core, &st->mem, &c->peer.conn, c->m->crypto);
	bs_peer_set_streams(&c->peer, &st->core);
	c->streams = st;
	return BS_OK;
}

int bsc__stream_open(struct bsc_conn *c, bsc_stream_fn fn, void *arg, bs_time now,
		     struct bsc_stream **out)
{
	struct bsc_stream *s;
	int rc = BS_OK;

	if (c->closed || c->released)
		return BS_ECLOSED;
	if (c->connect_ms == 0)
		return BS_ESTATE;
	if (c->streams == NULL)
		rc = begin(c);
	if (rc != BS_OK)
		return rc;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return BS_ENOMEM;
	rc = bs_stream_open(&c->streams->core, now, &s->core);
	if (rc != BS_OK) {
		free(s);
		return rc;
	}
	s->core->user = s;
	s->c = c;
	s->fn = fn;
	s->arg = arg;
	s->next = c->streams->all;
	s->back = &c->streams->all;
	if (s->next != NULL)
		s->next->back = &s->next;
	c->streams->all = s;
	*out = s;
	return BS_OK;
}

static void unlink_stream(struct bsc_stream *s)
{
	if (s->c == NULL)
		return;
	*s->back = s->next;
	if (s->next != NULL)
		s->next->back = s->back;
	s->c = NULL;
}

void bsc__stream_close(struct bsc_stream *s, bool abort, bs_time now)
{
	if (s->core != NULL && abort)
		bs_stream_abort(s->core);
	if (s->core != NULL)
		bs_stream_release(s->core, now);
	unlink_stream(s);
	free(s);
}

/** Why the core ended a stream, in words. */
static void explain(struct bsc_stream *s, int err)
{
	const char *device = s->c->device;

	if (s->c->error.code != 0)
		s->error = s->c->error;
	else if (err == BS_EREFUSED)
		(void)bsc__fail(&s->error, BS_EREFUSED, BSC_FROM_DEVICE, BSC_STREAM_REFUSED,
				"%s: the device takes no more streams, or none at all; try later",
				device);
	else if (err == BS_ETIMEDOUT && !s->opened)
		(void)bsc__fail(&s->error, BS_ETIMEDOUT, BSC_FROM_DEVICE, BSC_STREAM_REFUSED,
				"%s: the device does not answer; its program may serve no streams",
				device);
	else if (err == BS_ETIMEDOUT)
		(void)bsc__fail(&s->error, BS_ETIMEDOUT, BSC_FROM_DEVICE, BSC_STREAM_LOST,
				"%s: the device acknowledges nothing any more; it or its network "
				"may be down",
				device);
	else
		(void)bsc__fail(&s->error, BS_ECLOSED, BSC_FROM_DEVICE, BSC_STREAM_RESET,
				"%s: the device cut the stream (%s)", device, bs_strerror(err));
}

static void fill_info(const struct bs_stream *s, struct bsc_stream_info *info)
{
	memset(info, 0, sizeof *info);
	info->rx_bytes = s->stats.rx_bytes;
	info->tx_bytes = s->stats.tx_bytes;
	info->rx_segments = s->stats.rx_pkts;
	info->tx_segments = s->stats.tx_pkts;
	info->resent = s->stats.tx_again;
	info->rtt_us = s->stats.rtt_us;
}

/** It failed: the core's part goes at once, the handle stays until the caller gives it back. */
static void end_stream(struct bsc_stream *s, unsigned events, bs_time now)
{
	if (s->core != NULL) {
		fill_info(s->core, &s->last);
		bs_stream_release(s->core, now);
		s->core = NULL;
	}
	if (s->fn != NULL)
		s->fn(s->arg, s, events | BSC_STREAM_ABORTED, &s->error);
}

void bsc__stream_report(struct bsc_conn *c, bs_time now)
{
	struct bs_stream *core;
	unsigned events;

	while (c->streams != NULL &&
	       (core = bs_streams_next_event(&c->streams->core, &events)) != NULL) {
		struct bsc_stream *s = core->user;

		s->opened = s->opened || (events & BS_STREAM_EV_OPEN) != 0;
		if (events & BS_STREAM_EV_ABORTED) {
			explain(s, core->err);
			end_stream(s, events, now);
		} else if (s->fn != NULL)
			s->fn(s->arg, s, events, NULL);
	}
}

void bsc__stream_fail(struct bsc_conn *c, const struct bsc_error *why)
{
	struct bsc__streams *st = c->streams;
	struct bsc_stream *s;

	/* A callback may close any stream, so begin anew after each. */
	while (st != NULL && (s = st->all) != NULL) {
		unlink_stream(s);
		s->error = *why;
		end_stream(s, 0, c->now);
	}
}

void bsc__stream_fini(struct bsc_conn *c)
{
	struct bsc__streams *st = c->streams;
	struct bsc__block *b;

	if (st == NULL)
		return;
	while (st->all != NULL) {
		st->all->core = NULL;
		unlink_stream(st->all);
	}
	bs_peer_set_streams(&c->peer, NULL);
	bs_streams_fini(&st->core);
	while ((b = st->blocks) != NULL) {
		st->blocks = b->next;
		free(b);
	}
	free(st);
	c->streams = NULL;
}

size_t bsc__stream_pieces(const struct bsc_stream *s, struct bs_slice *v, size_t n)
{
	return s->core == NULL ? 0 : bs_stream_pieces(s->core, v, n);
}

size_t bsc__stream_room(struct bsc_stream *s)
{
	const size_t n = bsc_stream_can_write(s);

	if (n == 0 && s->core != NULL)
		bs_stream_want(s->core);
	return n;
}

bs_ssize bsc__stream_push(struct bsc_stream *s, const void *data, size_t len)
{
	if (s->core == NULL)
		return BS_ECLOSED;
	touch(s);
	return bs_stream_write(s->core, data, len, BS_STREAM_PUSH);
}

const uint8_t *bsc_stream_peek(const struct bsc_stream *s, size_t *len)
{
	struct bs_slice next = { NULL, 0 };

	if (s->core != NULL)
		next = bs_stream_peek(s->core);
	*len = next.len;
	return next.len > 0 ? next.ptr : NULL;
}

void bsc_stream_consume(struct bsc_stream *s, size_t len)
{
	if (s->core == NULL)
		return;
	bs_stream_consume(s->core, len);
	touch(s);
}

bs_ssize bsc_stream_read(struct bsc_stream *s, void *buf, size_t cap)
{
	size_t n;

	if (s->core == NULL)
		return BS_ECLOSED;
	n = bs_stream_read(s->core, buf, cap);
	touch(s);
	if (n > 0 || cap == 0)
		return (bs_ssize)n;
	return bs_stream_is_eof(s->core) ? 0 : BS_EAGAIN;
}

bool bsc_stream_is_end(const struct bsc_stream *s)
{
	return s->core != NULL && bs_stream_is_eof(s->core);
}

size_t bsc_stream_can_write(const struct bsc_stream *s)
{
	return s->core == NULL ? 0 : bs_stream_can_write(s->core);
}

bs_ssize bsc_stream_write(struct bsc_stream *s, const void *data, size_t len)
{
	if (s->core == NULL)
		return BS_ECLOSED;
	touch(s);
	return bs_stream_write(s->core, data, len, 0);
}

int bsc_stream_command(struct bsc_stream *s, const char *line)
{
	uint8_t buf[512];
	size_t len = strlen(line);
	bs_ssize n;

	if (len > sizeof buf - 2 || memchr(line, '\n', len) != NULL)
		return BS_EINVAL;
	memcpy(buf, line, len);
	buf[len++] = '\n';
	/* Half a line would be worse than none. */
	if (s->core != NULL && bs_stream_can_write(s->core) < len)
		return BS_EAGAIN;
	n = bsc__stream_push(s, buf, len);
	return n < 0 ? (int)n : BS_OK;
}

void bsc_stream_end(struct bsc_stream *s)
{
	if (s->core == NULL)
		return;
	bs_stream_close(s->core);
	touch(s);
}

const struct bsc_error *bsc_stream_get_error(const struct bsc_stream *s)
{
	return s->error.code == 0 ? NULL : &s->error;
}

void bsc_stream_get_info(const struct bsc_stream *s, struct bsc_stream_info *info)
{
	if (s->core != NULL)
		fill_info(s->core, info);
	else
		*info = s->last;
}
