/* SPDX-License-Identifier: Apache-2.0 */
/* Streams through bs_peer and bs_device: routing, the end of a connection, lost events. */
#include "bench.h"
#include "proto/peer.h"
#include "proto/stream_impl.h"

#define NSI      UINT32_C(501)
#define SEGMENTS 400
#define SLOTS    3
#define WINDOW   20

static struct bench *b;
static struct bs_peer peer;
static struct bs_streams peer_streams;
static struct bs_streams dev_streams[BENCH_CONNS];
static struct bs_stream_mem mem[2];
static void *storage[2][SLOTS + 1];
static struct bs_stream *mine;
static struct bs_stream *theirs;
static unsigned peer_events;
static unsigned dev_events;
static bool cut; /* nothing gets through */

static void make_mem(unsigned i)
{
	struct bs_stream_conf conf = { 0 };
	size_t len;
	unsigned n;

	conf.window = WINDOW;
	bs_stream_mem_init(&mem[i], &conf);
	len = bs_stream_segments_len(mem[i].segment_size, SEGMENTS);
	storage[i][SLOTS] = malloc(len);
	bs_stream_mem_add_segments(&mem[i], storage[i][SLOTS], len);
	for (n = 0; n < SLOTS; n++) {
		storage[i][n] = malloc(bs_stream_slot_len(WINDOW));
		bs_stream_mem_add_slot(&mem[i], storage[i][n]);
	}
}

static void setup(void)
{
	struct bs_endpoint dev = bench_local(BENCH_DEV);
	struct bs_peer_conf pc;

	b = malloc(sizeof(*b));
	ck_assert_ptr_nonnull(b);
	bench_init(b, "dev.test", NULL);
	bench_start(b);
	b->cap = BS_PACKET_MAX;
	b->taken = b->n_out;
	memset(&pc, 0, sizeof(pc));
	pc.crypto = &b->crypto;
	pc.suite = &bs_suite_aes_cbc;
	pc.nsi_sp = NSI;
	pc.nsi_cp = 777;
	memset(pc.key.b, 0x33, sizeof(pc.key.b));
	bs_conn_init(&b->conns[0].c, BS_RESPONDER, NSI, &pc.key, pc.suite, b->now);
	make_mem(0);
	make_mem(1);
	bs_device_set_streams(&b->d, dev_streams, &mem[1]);
	ck_assert_int_eq(bs_peer_init(&peer, &pc, b->now), BS_OK);
	bs_streams_init(&peer_streams, &mem[0], &peer.conn, &b->crypto);
	bs_peer_set_streams(&peer, &peer_streams);
	bs_peer_set_path(&peer, &dev, BS_PATH_DIRECT, b->now);
	mine = NULL;
	theirs = NULL;
	peer_events = 0;
	dev_events = 0;
	cut = false;
}

static void teardown(void)
{
	unsigned i;
	unsigned n;

	bs_peer_fini(&peer);
	bs_streams_fini(&peer_streams);
	bench_fini(b);
	for (n = 0; n < BENCH_CONNS; n++)
		bs_streams_fini(&dev_streams[n]);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(mem[i].n_free, SEGMENTS);
		for (n = 0; n <= SLOTS; n++)
			free(storage[i][n]);
	}
	free(b);
}

static void take_events(void)
{
	struct bs_stream *s;
	unsigned ev;

	while ((s = bs_streams_next_event(&peer_streams, &ev)))
		peer_events |= ev;
	while ((s = bs_device_next_stream_event(&b->d, &ev))) {
		theirs = s;
		dev_events |= ev;
	}
}

static bool exchange(void)
{
	struct bs_endpoint from = bench_local(BENCH_PEER);
	struct bs_endpoint dev = bench_local(BENCH_DEV);
	const struct bench_packet *out;
	uint8_t buf[BS_PACKET_MAX];
	struct bs_endpoint to;
	bool any = false;
	size_t len;

	while ((len = bs_peer_output(&peer, buf, sizeof(buf), &to, b->now)) > 0) {
		any = true;
		if (!cut)
			(void)bench_input(b, buf, len, &from);
	}
	bench_drain(b);
	while ((out = bench_take(b))) {
		memcpy(buf, out->bytes, out->len);
		any = true;
		if (!cut && out->to.port == BENCH_PEER)
			(void)bs_peer_input(&peer, buf, out->len, &dev, b->now);
	}
	if (b->taken == b->n_out)
		b->taken = b->n_out = 0;
	take_events();
	return any;
}

static void run(uint32_t ms)
{
	bs_time end = b->now + BS_TIME_MS(ms);

	do {
		while (exchange())
			continue;
		bs_peer_timeout(&peer, b->now);
		bench_run(b, 5);
	} while (BS_TIME_DIFF(b->now, end) < 0);
	while (exchange())
		continue;
}

static void open_stream(void)
{
	ck_assert_int_eq(bs_stream_open(&peer_streams, b->now, &mine), BS_OK);
	run(20);
	ck_assert(peer_events & BS_STREAM_EV_OPEN);
	ck_assert(dev_events & BS_STREAM_EV_OPEN);
	ck_assert_ptr_nonnull(theirs);
}

START_TEST(bytes_go_both_ways)
{
	uint8_t text[5000];
	uint8_t back[5000];

	memset(text, 'x', sizeof(text));
	/* Before the connection is proven a stream waits, and takes nothing. */
	ck_assert_int_eq(bs_stream_open(&peer_streams, b->now, &mine), BS_OK);
	ck_assert_int_eq(bs_stream_write(mine, text, 10, 0), 0);
	run(20);
	ck_assert_int_eq(bs_stream_write(mine, text, sizeof(text), 0), sizeof(text));
	run(20);
	ck_assert_ptr_nonnull(theirs);
	ck_assert_int_eq(bs_stream_read(theirs, back, sizeof(back)), sizeof(text));
	ck_assert_mem_eq(text, back, sizeof(text));
	ck_assert_int_eq(bs_stream_write(theirs, "yes", 3, BS_STREAM_PUSH), 3);
	bs_stream_close(theirs);
	run(20);
	ck_assert_int_eq(bs_stream_read(mine, back, sizeof(back)), 3);
	ck_assert(bs_stream_is_eof(mine));
	ck_assert(bs_stream_is_flushed(mine));
	bs_stream_close(mine);
	run(20);
	ck_assert(peer_events & BS_STREAM_EV_CLOSED);
	ck_assert(dev_events & BS_STREAM_EV_CLOSED);
	bs_stream_release(theirs, b->now);
	bs_stream_release(mine, b->now);
	ck_assert_int_eq(dev_streams[0].n, 0);
	/* The tag is kept from being used again for a while. */
	ck_assert_int_eq(peer_streams.n, 1);
	run(2100);
	ck_assert_int_eq(peer_streams.n, 0);
}
END_TEST

START_TEST(closing_the_connection_ends_streams)
{
	open_stream();
	bs_peer_close(&peer, b->now);
	take_events();
	ck_assert(peer_events & BS_STREAM_EV_ABORTED);
	ck_assert_int_eq(mine->err, BS_ECLOSED);
	run(50);
	ck_assert(dev_events & BS_STREAM_EV_ABORTED);
	ck_assert_int_eq(theirs->err, BS_ECLOSED);
	bs_stream_release(theirs, b->now);
	bs_stream_release(mine, b->now);
}
END_TEST

START_TEST(silence_ends_streams)
{
	open_stream();
	cut = true;
	run(18000);
	ck_assert(peer_events & BS_STREAM_EV_ABORTED);
	ck_assert(dev_events & BS_STREAM_EV_ABORTED);
}
END_TEST

START_TEST(abort_reaches_the_other_end)
{
	open_stream();
	bs_stream_abort(theirs);
	run(20);
	ck_assert(peer_events & BS_STREAM_EV_ABORTED);
	ck_assert(!(dev_events & BS_STREAM_EV_ABORTED));
	ck_assert_int_eq(bs_stream_write(mine, "x", 1, 0), BS_ECLOSED);
}
END_TEST

START_TEST(more_streams_than_slots_are_refused)
{
	struct bs_stream *s[SLOTS];
	unsigned i;

	mem[1].conf.accept_max = 2;
	for (i = 0; i < SLOTS; i++)
		ck_assert_int_eq(bs_stream_open(&peer_streams, b->now, &s[i]), BS_OK);
	ck_assert_int_eq(bs_stream_open(&peer_streams, b->now, &mine), BS_EFULL);
	run(20);
	ck_assert_int_eq(s[1]->state, BS_STREAM_OPEN);
	ck_assert_int_eq(s[2]->err, BS_EREFUSED);
}
END_TEST

START_TEST(released_stream_is_finished_behind_our_back)
{
	uint8_t text[3000] = { 1 };
	uint8_t back[3000];

	open_stream();
	ck_assert_int_eq(bs_stream_write(mine, text, sizeof(text), 0), sizeof(text));
	bs_stream_release(mine, b->now);
	run(20);
	ck_assert_int_eq(bs_stream_read(theirs, back, sizeof(back)), sizeof(text));
	ck_assert(bs_stream_is_eof(theirs));
	bs_stream_close(theirs);
	run(20);
	ck_assert(dev_events & BS_STREAM_EV_CLOSED);
}
END_TEST

START_TEST(released_stream_that_cannot_finish_is_reset)
{
	open_stream();
	bs_stream_release(mine, b->now);
	/* The other side never closes its own. */
	run(9500);
	ck_assert(!(dev_events & BS_STREAM_EV_ABORTED));
	run(1000);
	ck_assert(dev_events & BS_STREAM_EV_ABORTED);
}
END_TEST

/* What a device of others must get: an acknowledgement for each packet. */
START_TEST(device_acknowledges_each_packet)
{
	uint32_t before;
	unsigned i;

	open_stream();
	run(2500);
	before = b->conns[0].c.stats.tx_pkts;
	for (i = 0; i < 8; i++)
		ck_assert_int_eq(bs_stream_write(mine, "z", 1, BS_STREAM_PUSH), 1);
	while (exchange())
		continue;
	ck_assert_int_eq(b->conns[0].c.stats.tx_pkts - before, 8);
}
END_TEST

START_TEST(answers_wait_only_between_our_own_ends)
{
	struct bs_conn_ext ext = { 0 };
	struct bs_endpoint to;
	uint8_t buf[BS_PACKET_MAX];
	size_t len;

	run(20);
	ck_assert_int_eq(bs_stream_open(&peer_streams, b->now, &mine), BS_OK);
	len = bs_peer_output(&peer, buf, sizeof(buf), &to, b->now);
	ck_assert_uint_gt(len, 0);
	ck_assert(!bs_device_may_wait(&b->d, buf, len));
	ext.fast = true;
	bs_conn_set_ext(&b->conns[0].c, ext);
	ck_assert(bs_device_may_wait(&b->d, buf, len));
	buf[7] ^= 1;
	ck_assert(!bs_device_may_wait(&b->d, buf, len));
}
END_TEST

Suite *bs_suite_stream_ends(void);

Suite *bs_suite_stream_ends(void)
{
	Suite *s = suite_create("stream_ends");
	TCase *tc = tcase_create("ends");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, bytes_go_both_ways);
	tcase_add_test(tc, closing_the_connection_ends_streams);
	tcase_add_test(tc, silence_ends_streams);
	tcase_add_test(tc, abort_reaches_the_other_end);
	tcase_add_test(tc, more_streams_than_slots_are_refused);
	tcase_add_test(tc, released_stream_is_finished_behind_our_back);
	tcase_add_test(tc, released_stream_that_cannot_finish_is_reset);
	tcase_add_test(tc, device_acknowledges_each_packet);
	tcase_add_test(tc, answers_wait_only_between_our_own_ends);
	suite_add_tcase(s, tc);
	return s;
}
