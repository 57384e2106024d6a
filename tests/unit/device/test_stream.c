/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of a device with storage of a fixed size, against a client in the same process. */
#include "basestation/device_stream.h"

#include <stdlib.h>
#include <string.h>

#include "central.h"
#include "proto/stream.h"
#include "suites.h"

#define STREAMS  2u
#define WINDOW   8u
#define SEGMENTS 64u
#define BYTES    20000u

static struct central c;
static struct bsdev_stream_conf conf;
static uint8_t *storage;
static struct bs_streams ss; /**< the client's */
static struct bs_stream_mem mem;
static uint8_t *client_slots;
static uint8_t *client_segments;

/** What the application of the device does and saw. */
static struct {
	bool refuse;
	bool lazy;   /**< does not read */
	bool closes; /**< ends its side when the client has */
	struct bsdev_stream *s;
	unsigned accepted;
	unsigned seen; /**< all events so far */
	uint8_t in[BYTES];
	size_t n;
	char client[32];
} app;

static bool on_accept(void *ctx, struct bsdev *dev, struct bsdev_stream *s,
		      const struct bsdev_peer *peer)
{
	ck_assert_ptr_eq(ctx, &app);
	ck_assert_ptr_eq(dev, c.dev);
	app.accepted++;
	ck_assert_uint_lt(peer->client_id_len, sizeof(app.client));
	memcpy(app.client, peer->client_id, peer->client_id_len);
	app.s = s;
	bsdev_stream_set_arg(s, &app.n);
	return !app.refuse;
}

static void read_some(struct bsdev_stream *s)
{
	const uint8_t *data;
	size_t len;

	while ((data = bsdev_stream_peek(s, &len)) != NULL) {
		ck_assert_uint_le(app.n + len, BYTES);
		memcpy(app.in + app.n, data, len);
		app.n += len;
		bsdev_stream_consume(s, len);
	}
}

static void on_event(void *ctx, struct bsdev *dev, struct bsdev_stream *s, unsigned events)
{
	ck_assert_ptr_eq(ctx, &app);
	(void)dev;
	app.seen |= events;
	if (events & BSDEV_STREAM_ABORTED) {
		bsdev_stream_release(s);
		app.s = NULL;
		return;
	}
	ck_assert_ptr_eq(bsdev_stream_get_arg(s), &app.n);
	if (!app.lazy)
		read_some(s);
	if (app.closes && bsdev_stream_is_end(s))
		bsdev_stream_close(s);
	if (events & BSDEV_STREAM_CLOSED) {
		bsdev_stream_release(s);
		app.s = NULL;
	}
}

static void client_begin(void)
{
	const struct bs_stream_conf cc = { .segment = BS_STREAM_SEGMENT_ASK, .window = 32 };
	size_t len;

	bs_stream_mem_init(&mem, &cc);
	len = bs_stream_slot_len(mem.ring);
	client_slots = calloc(8, len);
	for (size_t k = 0; k < 8; k++)
		bs_stream_mem_add_slot(&mem, client_slots + k * len);
	len = bs_stream_segments_len((uint16_t)mem.segment_size, 1024);
	client_segments = calloc(1, len);
	bs_stream_mem_add_segments(&mem, client_segments, len);
	bs_streams_init(&ss, &mem, &c.peer.conn, &c.crypto);
	bs_peer_set_streams(&c.peer, &ss);
}

static void setup(void)
{
	const size_t len = BSDEV_STREAMS_LEN(2, STREAMS, WINDOW, SEGMENTS);

	memset(&app, 0, sizeof(app));
	central_init(&c);
	c.conf.connections = 2;
	central_attach(&c);
	conf = (struct bsdev_stream_conf){
		.streams = STREAMS,
		.window = WINDOW,
		.segments = SEGMENTS,
		.accept = on_accept,
		.event = on_event,
		.ctx = &app,
	};
	storage = malloc(len);
	ck_assert_int_eq(bsdev_streams_init(c.dev, storage, len, &conf), BS_OK);
	central_connect(&c, "alice");
	client_begin();
}

static void teardown(void)
{
	bs_peer_set_streams(&c.peer, NULL);
	bs_streams_fini(&ss);
	central_fini(&c);
	free(storage);
	free(client_slots);
	free(client_segments);
}

static struct bs_stream *open_stream(void)
{
	struct bs_stream *s;

	ck_assert_int_eq(bs_stream_open(&ss, c.now, &s), BS_OK);
	central_run(&c, 50);
	return s;
}

static unsigned client_events(struct bs_stream *want)
{
	struct bs_stream *s;
	unsigned all = 0;
	unsigned ev;

	while ((s = bs_streams_next_event(&ss, &ev)))
		if (s == want)
			all |= ev;
	return all;
}

static uint8_t byte_at(size_t k)
{
	return (uint8_t)(k * 131 >> 3);
}

/** Write everything, moving packets whenever there is no room. */
static void write_all(struct bs_stream *s, size_t len)
{
	uint8_t buf[1000];
	size_t at = 0;

	for (int k = 0; k < 1000 && at < len; k++) {
		size_t n = len - at < sizeof(buf) ? len - at : sizeof(buf);
		bs_ssize done;

		for (size_t i = 0; i < n; i++)
			buf[i] = byte_at(at + i);
		done = bs_stream_write(s, buf, n, 0);
		ck_assert_int_ge(done, 0);
		at += (size_t)done;
		if ((size_t)done < n)
			central_run(&c, 20);
	}
	ck_assert_uint_eq(at, len);
	central_run(&c, 100);
}

START_TEST(storage_and_numbers_are_checked)
{
	const size_t len = BSDEV_STREAMS_LEN(2, STREAMS, WINDOW, SEGMENTS);
	struct bsdev_stream_conf bad = conf;
	struct central other;
	void *big = malloc(len);

	ck_assert_int_eq(bsdev_streams_init(c.dev, big, len, &conf), BS_EEXIST);
	central_init(&other);
	other.conf.connections = 2;
	ck_assert_int_eq(central_start(&other), BS_OK);
	bad.event = NULL;
	ck_assert_int_eq(bsdev_streams_init(other.dev, big, len, &bad), BS_EINVAL);
	bad = conf;
	bad.streams = 5000;
	ck_assert_int_eq(bsdev_streams_init(other.dev, big, len, &bad), BS_EINVAL);
	bad = conf;
	bad.window = 20000;
	ck_assert_int_eq(bsdev_streams_init(other.dev, big, len, &bad), BS_EINVAL);
	ck_assert_int_eq(bsdev_streams_init(other.dev, big, 0, &conf), BS_ETOOBIG);
	ck_assert_int_eq(bsdev_streams_init(other.dev, big, 3000, &conf), BS_ETOOBIG);
	ck_assert_int_eq(bsdev_streams_init(other.dev, big, SEGMENTS * 1247, &conf), BS_ETOOBIG);
	/* What the macro says always suffices. */
	ck_assert_int_eq(bsdev_streams_init(other.dev, big, len, &conf), BS_OK);
	central_fini(&other);
	free(big);
}
END_TEST

START_TEST(the_macro_suffices_for_all_shapes)
{
	static const uint16_t windows[] = { 1, 3, 8, 100, 129, 1000 };

	for (size_t k = 0; k < sizeof(windows) / sizeof(windows[0]); k++) {
		const size_t len = BSDEV_STREAMS_LEN(16, 5, windows[k], 11);
		struct bsdev_stream_conf each = conf;
		struct central other;
		void *p = malloc(len);

		each.streams = 5;
		each.window = windows[k];
		each.segments = 11;
		central_init(&other);
		other.conf.connections = 16;
		ck_assert_int_eq(central_start(&other), BS_OK);
		ck_assert_int_eq(bsdev_streams_init(other.dev, p, len, &each), BS_OK);
		central_fini(&other);
		free(p);
	}
}
END_TEST

START_TEST(bytes_arrive_and_both_sides_end)
{
	/* More often than there are slots: they are used again. */
	for (unsigned round = 1; round <= 3 * STREAMS; round++) {
		struct bs_stream *s = open_stream();
		struct bsdev_peer peer;
		struct bsdev_stream_stats stats;

		app.n = 0;
		app.seen = 0;
		app.closes = true;
		ck_assert_uint_eq(app.accepted, round);
		ck_assert_str_eq(app.client, "alice");
		write_all(s, BYTES);
		ck_assert_uint_eq(app.n, BYTES);
		for (size_t k = 0; k < BYTES; k++)
			ck_assert_uint_eq(app.in[k], byte_at(k));
		ck_assert_ptr_nonnull(app.s);
		bsdev_stream_get_peer(app.s, &peer);
		ck_assert_uint_eq(peer.client_id_len, 5);
		bsdev_stream_get_stats(app.s, &stats);
		ck_assert_uint_eq(stats.rx_bytes, BYTES);
		ck_assert_uint_ge(stats.rx_segments, BYTES / 1247);
		ck_assert_int_eq(bsdev_stream_write(app.s, "answer", 6), 6);
		bs_stream_close(s);
		central_run(&c, 3000);
		ck_assert(app.seen & BSDEV_STREAM_PEER_CLOSED);
		ck_assert(app.seen & BSDEV_STREAM_CLOSED);
		ck_assert_ptr_null(app.s);
		ck_assert_uint_eq(bs_stream_peek(s).len, 6);
		bs_stream_consume(s, 6);
		ck_assert(bs_stream_is_eof(s));
		bs_stream_release(s, c.now);
		central_run(&c, 5000);
	}
}
END_TEST

START_TEST(a_refused_stream_ends_without_a_byte)
{
	struct bs_stream *s;

	app.refuse = true;
	s = open_stream();
	central_run(&c, 100);
	ck_assert_uint_eq(app.accepted, 1);
	ck_assert_uint_eq(app.seen, 0);
	ck_assert(bs_stream_is_eof(s));
}
END_TEST

START_TEST(who_does_not_read_holds_the_client_back)
{
	struct bs_stream *s = open_stream();
	uint8_t buf[1000];
	size_t sent = 0;
	bs_ssize n = 1;
	size_t got = 0;

	app.lazy = true;
	for (int k = 0; k < 200; k++) {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = byte_at(sent + i);
		n = bs_stream_write(s, buf, sizeof(buf), 0);
		ck_assert_int_ge(n, 0);
		sent += (size_t)n;
		central_run(&c, 10);
	}
	/* Two windows are under way at most: here and there. */
	ck_assert_uint_lt(sent, (32 + WINDOW + 2) * 1311);
	for (int k = 0; k < 400 && got < sent; k++) {
		size_t len = bsdev_stream_read(app.s, buf, sizeof(buf));

		for (size_t i = 0; i < len; i++)
			ck_assert_uint_eq(buf[i], byte_at(got + i));
		got += len;
		central_run(&c, 20);
	}
	ck_assert_uint_eq(got, sent);
}
END_TEST

START_TEST(either_side_may_abort)
{
	struct bs_stream *s = open_stream();

	write_all(s, 100);
	bs_stream_abort(s);
	bs_stream_release(s, c.now);
	central_run(&c, 100);
	ck_assert(app.seen & BSDEV_STREAM_ABORTED);
	ck_assert_ptr_null(app.s);
	s = open_stream();
	(void)client_events(s);
	ck_assert_ptr_nonnull(app.s);
	bsdev_stream_abort(app.s);
	central_run(&c, 100);
	ck_assert(client_events(s) & BS_STREAM_EV_ABORTED);
	ck_assert_int_eq(s->err, BS_ECLOSED);
}
END_TEST

START_TEST(a_stream_too_many_is_refused)
{
	struct bs_stream *s[STREAMS];
	struct bs_stream *more;

	for (unsigned k = 0; k < STREAMS; k++)
		s[k] = open_stream();
	ck_assert_uint_eq(app.accepted, STREAMS);
	more = open_stream();
	ck_assert_uint_eq(app.accepted, STREAMS);
	ck_assert(client_events(more) & BS_STREAM_EV_ABORTED);
	ck_assert_int_eq(more->err, BS_EREFUSED);
	/* The others are not disturbed. */
	write_all(s[1], 3000);
	ck_assert_uint_eq(app.n, 3000);
}
END_TEST

START_TEST(streams_end_with_their_connection)
{
	(void)open_stream();
	ck_assert_ptr_nonnull(app.s);
	bs_peer_close(&c.peer, c.now);
	central_run(&c, 2000);
	ck_assert(app.seen & BSDEV_STREAM_ABORTED);
	ck_assert_ptr_null(app.s);
	ck_assert_uint_eq(bsdev_connections(c.dev), 0);
}
END_TEST

START_TEST(streams_end_with_the_master_switch)
{
	(void)open_stream();
	ck_assert_ptr_nonnull(app.s);
	ck_assert_int_eq(bsdev_set_switch(c.dev, false, c.now), BS_OK);
	ck_assert(app.seen & BSDEV_STREAM_ABORTED);
	ck_assert_ptr_null(app.s);
}
END_TEST

START_TEST(room_is_told_and_reading_goes_on_after_the_end)
{
	struct bs_stream *s = open_stream();
	size_t room = bsdev_stream_can_write(app.s);
	uint8_t buf[64];
	bs_ssize n;
	size_t all = 0;

	ck_assert_uint_gt(room, 0);
	memset(buf, 'w', sizeof(buf));
	while ((n = bsdev_stream_write(app.s, buf, sizeof(buf))) == (bs_ssize)sizeof(buf))
		all += sizeof(buf);
	ck_assert_int_ge(n, 0);
	all += (size_t)n;
	app.seen = 0;
	central_run(&c, 200);
	ck_assert(app.seen & BSDEV_STREAM_WRITABLE);
	bsdev_stream_close(app.s);
	ck_assert_uint_eq(bsdev_stream_can_write(app.s), 0);
	ck_assert_int_eq(bsdev_stream_write(app.s, buf, 1), BS_ECLOSED);
	for (int k = 0; k < 200 && !bs_stream_is_eof(s); k++) {
		while (bs_stream_peek(s).len) {
			all -= bs_stream_peek(s).len;
			bs_stream_consume(s, bs_stream_peek(s).len);
		}
		central_run(&c, 20);
	}
	ck_assert_uint_eq(all, 0);
	write_all(s, 500);
	ck_assert_uint_eq(app.n, 500);
}
END_TEST

Suite *bs_suite_stream(void)
{
	Suite *s = suite_create("stream");
	TCase *tc = tcase_create("stream");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, storage_and_numbers_are_checked);
	tcase_add_test(tc, the_macro_suffices_for_all_shapes);
	tcase_add_test(tc, bytes_arrive_and_both_sides_end);
	tcase_add_test(tc, a_refused_stream_ends_without_a_byte);
	tcase_add_test(tc, who_does_not_read_holds_the_client_back);
	tcase_add_test(tc, either_side_may_abort);
	tcase_add_test(tc, a_stream_too_many_is_refused);
	tcase_add_test(tc, streams_end_with_their_connection);
	tcase_add_test(tc, streams_end_with_the_master_switch);
	tcase_add_test(tc, room_is_told_and_reading_goes_on_after_the_end);
	suite_add_tcase(s, tc);
	return s;
}
