/* SPDX-License-Identifier: Apache-2.0 */
/* The pump between a socket pair and a stream that the test plays. */
#include "port/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "suites.h"

/** What stands for a stream: bytes for the descriptor, and room for bytes from it. */
struct fake {
	uint8_t in[300000]; /**< to the descriptor */
	size_t in_at;
	size_t in_len;
	bool in_end;         /**< the other side ended behind them */
	size_t piece;        /**< peek gives pieces of this size */
	uint8_t out[300000]; /**< from the descriptor */
	size_t out_len;
	size_t room;
	size_t memory; /**< what a write really takes */
	bool closed;
};

static size_t peek(void *stream, struct bs_slice *v, size_t n)
{
	struct fake *f = stream;
	size_t at = f->in_at;
	size_t k = 0;

	for (; k < n && at < f->in_len; k++) {
		v[k].ptr = f->in + at;
		v[k].len = f->in_len - at < f->piece ? f->in_len - at : f->piece;
		at += v[k].len;
	}
	return k;
}

static void consume(void *stream, size_t len)
{
	struct fake *f = stream;

	ck_assert_uint_le(len, f->in_len - f->in_at);
	f->in_at += len;
}

static bool at_end(void *stream)
{
	struct fake *f = stream;

	return f->in_end && f->in_at == f->in_len;
}

static size_t room(void *stream)
{
	struct fake *f = stream;

	return f->closed ? 0 : f->room;
}

static size_t write_out(void *stream, const uint8_t *data, size_t len)
{
	struct fake *f = stream;

	ck_assert_uint_le(len, f->room);
	ck_assert(!f->closed);
	if (len > f->memory)
		len = f->memory;
	memcpy(f->out + f->out_len, data, len);
	f->out_len += len;
	f->room -= len;
	f->memory -= len;
	return len;
}

static void close_out(void *stream)
{
	struct fake *f = stream;

	ck_assert(!f->closed);
	f->closed = true;
}

static const struct bs_pump_ops ops = { peek, consume, at_end, room, write_out, close_out };

static struct fake fake;
static struct bs_pump pump;
static struct bs_poller set;
static int peer; /**< the other end of the pump's socket */
static int wakes;

static void wake(struct bs_pump *p)
{
	ck_assert_ptr_eq(p, &pump);
	wakes++;
}

static void setup(void)
{
	int fd[2];

	memset(&fake, 0, sizeof(fake));
	memset(&pump, 0, sizeof(pump));
	fake.piece = 1247;
	fake.room = sizeof(fake.out);
	fake.memory = SIZE_MAX;
	wakes = 0;
	for (size_t k = 0; k < sizeof(fake.in); k++)
		fake.in[k] = (uint8_t)(k * 7 + k / 256);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	peer = fd[1];
	ck_assert_int_eq(bs_poller_init(&set), BS_OK);
	pump.ops = &ops;
	pump.stream = &fake;
	pump.wake = wake;
	ck_assert_int_eq(bs_pump_start(&pump, &set, fd[0], fd[0], true), BS_OK);
}

static void teardown(void)
{
	bs_pump_stop(&pump, false);
	bs_poller_fini(&set);
	if (peer >= 0)
		close(peer);
}

/** Read all that the peer has now, comparing it with what the stream gave; bytes. */
static size_t take_peer(size_t at)
{
	uint8_t buf[65536];
	ssize_t n;
	size_t all = 0;

	while ((n = read(peer, buf, sizeof(buf))) > 0) {
		ck_assert_mem_eq(buf, fake.in + at + all, (size_t)n);
		all += (size_t)n;
	}
	return all;
}

/** Events of the kernel, then a run, as the owners do it. */
static void turn(void)
{
	bs_poller_step(&set);
	while (bs_pump_run(&pump))
		;
}

START_TEST(bytes_pass_both_ways)
{
	fake.in_len = 10000;
	ck_assert_int_eq(write(peer, "hello", 5), 5);
	turn();
	ck_assert_uint_eq(take_peer(0), 10000);
	ck_assert_uint_eq(fake.in_at, 10000);
	ck_assert_uint_eq(fake.out_len, 5);
	ck_assert_mem_eq(fake.out, "hello", 5);
	ck_assert_uint_eq(pump.to_fd, 10000);
	ck_assert_uint_eq(pump.from_fd, 5);
	ck_assert(!bs_pump_is_done(&pump));
}
END_TEST

START_TEST(a_slow_reader_holds_the_stream_back)
{
	size_t got = 0;

	fake.in_len = sizeof(fake.in);
	turn();
	/* The socket's buffer is full; the rest stays where it was. */
	ck_assert_uint_lt(fake.in_at, fake.in_len);
	ck_assert(!pump.can_write);
	for (int k = 0; k < 1000 && got < fake.in_len; k++) {
		got += take_peer(got);
		turn();
	}
	ck_assert_uint_eq(got, fake.in_len);
	ck_assert_int_ge(wakes, 1);
}
END_TEST

START_TEST(nothing_is_read_without_room)
{
	uint8_t buf[1000];

	memset(buf, 'x', sizeof(buf));
	fake.room = 300;
	ck_assert_int_eq(write(peer, buf, sizeof(buf)), 1000);
	turn();
	ck_assert_uint_eq(fake.out_len, 300);
	/* The stream says by an event of its own that there is room: the owner runs the pump. */
	fake.room = 600;
	turn();
	ck_assert_uint_eq(fake.out_len, 900);
	fake.room = 600;
	turn();
	ck_assert_uint_eq(fake.out_len, 1000);
}
END_TEST

START_TEST(each_way_ends_alone)
{
	char c;

	fake.in_len = 3000;
	fake.in_end = true;
	turn();
	/* The stream's end comes behind its bytes and does not end the other way. */
	ck_assert_uint_eq(take_peer(0), 3000);
	ck_assert_int_eq(read(peer, &c, 1), 0);
	ck_assert(pump.out_end && !pump.in_end && !fake.closed);
	ck_assert_int_eq(write(peer, "late", 4), 4);
	turn();
	ck_assert_uint_eq(fake.out_len, 4);
	ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
	turn();
	ck_assert(fake.closed && bs_pump_is_done(&pump));
	ck_assert(!pump.broken);
}
END_TEST

START_TEST(the_descriptor_may_end_first)
{
	ck_assert_int_eq(write(peer, "bye", 3), 3);
	ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
	turn();
	ck_assert_uint_eq(fake.out_len, 3);
	ck_assert(fake.closed && !bs_pump_is_done(&pump));
	fake.in_len = 2000;
	turn();
	ck_assert_uint_eq(take_peer(0), 2000);
	fake.in_end = true;
	turn();
	ck_assert(bs_pump_is_done(&pump));
}
END_TEST

START_TEST(an_end_with_full_stream_waits)
{
	fake.room = 2;
	ck_assert_int_eq(write(peer, "12345", 5), 5);
	ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
	turn();
	ck_assert(!fake.closed);
	fake.room = 2;
	turn();
	fake.room = 2;
	turn();
	ck_assert(fake.closed);
	ck_assert_mem_eq(fake.out, "12345", 5);
}
END_TEST

START_TEST(what_the_stream_did_not_take_is_kept)
{
	ck_assert_int_eq(write(peer, "1234567", 7), 7);
	ck_assert_int_eq(shutdown(peer, SHUT_WR), 0);
	fake.memory = 3;
	turn();
	ck_assert_uint_eq(fake.out_len, 3);
	fake.memory = 2;
	turn();
	ck_assert_uint_eq(fake.out_len, 5);
	ck_assert(!fake.closed);
	fake.memory = 100;
	turn();
	ck_assert_mem_eq(fake.out, "1234567", 7);
	ck_assert(fake.closed);
}
END_TEST

START_TEST(what_comes_for_a_broken_descriptor_is_thrown_away)
{
	fake.in_len = 5000;
	close(peer);
	peer = -1;
	turn();
	ck_assert(pump.broken && fake.closed);
	ck_assert(bs_pump_is_done(&pump));
	ck_assert_uint_eq(fake.in_at, 5000);
	fake.in_len = 9000;
	turn();
	ck_assert_uint_eq(fake.in_at, 9000);
}
END_TEST

START_TEST(a_run_is_bounded)
{
	int runs = 1;

	/* A peer that reads as fast as we write would otherwise keep one pump running for ever. */
	fake.in_len = sizeof(fake.in);
	fake.piece = sizeof(fake.in);
	pump.is_socket = false;
	bs_poller_step(&set);
	while (bs_pump_run(&pump) && runs < 100) {
		(void)take_peer(pump.to_fd - BS_PUMP_TURN);
		runs++;
	}
	ck_assert_int_lt(runs, 100);
}
END_TEST

START_TEST(files_are_always_ready)
{
	char path[] = "/tmp/bs-pump-XXXXXX";
	int out[2];
	char buf[16];
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(write(fd, "file", 4), 4);
	ck_assert_int_eq((int)lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(pipe(out), 0);
	bs_pump_stop(&pump, false);
	memset(&pump, 0, sizeof(pump));
	pump.ops = &ops;
	pump.stream = &fake;
	pump.wake = wake;
	ck_assert_int_eq(bs_pump_start(&pump, &set, fd, out[1], false), BS_OK);
	fake.in_len = 4;
	fake.in_end = true;
	turn();
	ck_assert_mem_eq(fake.out, "file", 4);
	ck_assert(fake.closed);
	ck_assert_int_eq(read(out[0], buf, sizeof(buf)), 4);
	/* The end of the stream closes a pipe, so that its reader sees it. */
	ck_assert_int_eq(read(out[0], buf, sizeof(buf)), 0);
	ck_assert(bs_pump_is_done(&pump));
	close(out[0]);
}
END_TEST

START_TEST(a_stopped_pump_can_reset)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0);
	int ours = socket(AF_INET, SOCK_STREAM, 0);
	int theirs;
	char c;

	ck_assert_int_eq(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&a, &len), 0);
	ck_assert_int_eq(connect(ours, (struct sockaddr *)&a, sizeof(a)), 0);
	theirs = accept(l, NULL, NULL);
	ck_assert_int_ge(theirs, 0);
	bs_pump_stop(&pump, false);
	pump.in = pump.out = ours;
	pump.is_socket = true;
	bs_pump_stop(&pump, true);
	ck_assert_int_eq(read(theirs, &c, 1), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	close(theirs);
	close(l);
}
END_TEST

START_TEST(the_queue_keeps_order_and_holds_each_once)
{
	struct bs_pump_queue q = { 0 };
	struct bs_pump p[3] = { 0 };

	ck_assert_ptr_null(bs_pump_queue_pop(&q));
	bs_pump_queue_add(&q, &p[1]);
	bs_pump_queue_add(&q, &p[0]);
	bs_pump_queue_add(&q, &p[1]);
	ck_assert_ptr_eq(bs_pump_queue_pop(&q), &p[1]);
	/* Once taken it may ask again, behind those that wait. */
	bs_pump_queue_add(&q, &p[1]);
	bs_pump_queue_add(&q, &p[2]);
	ck_assert_ptr_eq(bs_pump_queue_pop(&q), &p[0]);
	ck_assert_ptr_eq(bs_pump_queue_pop(&q), &p[1]);
	ck_assert_ptr_eq(bs_pump_queue_pop(&q), &p[2]);
	ck_assert_ptr_null(bs_pump_queue_pop(&q));
	/* An empty queue is as good as a new one. */
	bs_pump_queue_add(&q, &p[2]);
	ck_assert_ptr_eq(bs_pump_queue_pop(&q), &p[2]);
	ck_assert_ptr_null(q.tail);
}
END_TEST

Suite *bs_suite_pump(void)
{
	Suite *s = suite_create("pump");
	TCase *tc = tcase_create("pump");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, bytes_pass_both_ways);
	tcase_add_test(tc, a_slow_reader_holds_the_stream_back);
	tcase_add_test(tc, nothing_is_read_without_room);
	tcase_add_test(tc, each_way_ends_alone);
	tcase_add_test(tc, the_descriptor_may_end_first);
	tcase_add_test(tc, an_end_with_full_stream_waits);
	tcase_add_test(tc, what_the_stream_did_not_take_is_kept);
	tcase_add_test(tc, what_comes_for_a_broken_descriptor_is_thrown_away);
	tcase_add_test(tc, a_run_is_bounded);
	tcase_add_test(tc, files_are_always_ready);
	tcase_add_test(tc, a_stopped_pump_can_reset);
	tcase_add_test(tc, the_queue_keeps_order_and_holds_each_once);
	suite_add_tcase(s, tc);
	return s;
}
