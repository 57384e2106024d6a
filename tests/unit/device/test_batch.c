/* SPDX-License-Identifier: Apache-2.0 */
/* test_batch.c - many datagrams a call: order, lengths, sources, with and without merging. */
#include "port/batch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "basestation/wire.h"
#include "suites.h"
#include "util/endpoint.h"

enum {
	MANY = 300,
	WAIT_MS = 1000
};

static struct bs_batch *tx;
static struct bs_batch *rx;
static int from_fd;
static int to_fd;
static struct bs_endpoint from;
static struct bs_endpoint to;

static int open_one(struct bs_endpoint *self)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	bs_endpoint_set_ip4(self, INADDR_LOOPBACK, ntohs(sa.sin_port));
	return fd;
}

static void begin(bool plain)
{
	tx = bs_batch_new();
	rx = bs_batch_new();
	ck_assert(tx && rx);
	if (plain) {
		bs_batch_set_plain(tx);
		bs_batch_set_plain(rx);
	}
	from_fd = open_one(&from);
	to_fd = open_one(&to);
	bs_batch_prepare(tx, from_fd);
	bs_batch_prepare(rx, to_fd);
}

static void set_up(void)
{
	begin(false);
}

static void tear_down(void)
{
	close(from_fd);
	close(to_fd);
	bs_batch_free(tx);
	bs_batch_free(rx);
}

/* Packet i: its number, then a byte that follows from it. */
static void put(unsigned i, size_t len, int fd, const struct bs_endpoint *dest)
{
	uint8_t *p = bs_batch_room(tx);

	ck_assert_ptr_nonnull(p);
	memset(p, (int)(i & 0xFF), len);
	p[0] = (uint8_t)(i >> 8);
	p[1] = (uint8_t)i;
	bs_batch_add(tx, len, fd, AF_INET, dest);
}

static void expect(unsigned i, size_t len)
{
	struct pollfd pfd = { .fd = to_fd, .events = POLLIN };
	struct bs_endpoint src;
	uint8_t *p;
	size_t n;

	while (!bs_batch_next(rx, &p, &n, &src)) {
		ck_assert_int_eq(poll(&pfd, 1, WAIT_MS), 1);
		ck_assert_int_eq(bs_batch_receive(rx, to_fd), BS_OK);
	}
	ck_assert_uint_eq(n, len);
	ck_assert_uint_eq((unsigned)p[0] << 8 | p[1], i);
	ck_assert_uint_eq(p[n - 1], i & 0xFF);
	ck_assert(bs_endpoint_equal(&src, &from));
}

static size_t length_of(unsigned i)
{
	/* Runs of equal ones, shorter ones at their end, longer ones behind a shorter one. */
	return i % 50 == 49 ? 100 + i % 7 : i % 90 < 60 ? BS_PACKET_MAX : 700;
}

static void many(void)
{
	unsigned done = 0;

	for (unsigned i = 0; i < MANY; i++) {
		put(i, length_of(i), from_fd, &to);
		if (i % BS_BATCH_PACKETS != BS_BATCH_PACKETS - 1 && i != MANY - 1)
			continue;
		bs_batch_flush(tx);
		ck_assert_int_eq(bs_batch_stuck(tx), -1);
		for (; done <= i; done++)
			expect(done, length_of(done));
	}
	ck_assert_int_eq(bs_batch_receive(rx, to_fd), BS_EAGAIN);
	ck_assert_uint_eq(bs_batch_stats(tx)->tx_pkts, MANY);
	ck_assert_uint_eq(bs_batch_stats(tx)->lost, 0);
	ck_assert_uint_eq(bs_batch_stats(rx)->rx_pkts, MANY);
}

START_TEST(test_many)
{
	many();
#ifdef __linux__
	/* A run needs one call, not one each. */
	ck_assert_uint_lt(bs_batch_stats(tx)->tx_calls, MANY / 10);
#endif
}
END_TEST

START_TEST(test_many_plain)
{
	tear_down();
	begin(true);
	many();
	ck_assert_uint_eq(bs_batch_stats(tx)->tx_merged, 0);
	ck_assert_uint_eq(bs_batch_stats(rx)->rx_merged, 0);
}
END_TEST

/* A receiver that knows nothing of merging gets single datagrams all the same. */
START_TEST(test_merging_is_invisible)
{
	struct bs_endpoint self;
	uint8_t buf[2000];
	int fd = open_one(&self);

	for (unsigned i = 0; i < 20; i++)
		put(i, i == 19 ? 10 : 1000, from_fd, &self);
	bs_batch_flush(tx);
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_int_eq(recv(fd, buf, sizeof(buf), 0), i == 19 ? 10 : 1000);
		ck_assert_uint_eq(buf[1], i);
	}
	close(fd);
}
END_TEST

START_TEST(test_several_places)
{
	struct bs_endpoint self;
	uint8_t buf[2000];
	int fd = open_one(&self);

	for (unsigned i = 0; i < 30; i++)
		put(i, 500, from_fd, i % 3 == 0 ? &self : &to);
	bs_batch_flush(tx);
	for (unsigned i = 0; i < 30; i++) {
		if (i % 3 == 0)
			ck_assert_int_eq(recv(fd, buf, sizeof(buf), 0), 500);
		else
			expect(i, 500);
	}
	close(fd);
}
END_TEST

/* What the kernel refuses is lost and stops nothing behind it. */
START_TEST(test_refused)
{
	struct bs_endpoint ip6 = { .port = 9 };
	struct bs_endpoint none;

	ip6.ip[0] = 0xFD;
	bs_endpoint_set_ip4(&none, 0xF0000001, 9);
	put(0, 500, from_fd, &to);
	put(1, 500, from_fd, &none);
	put(2, 500, from_fd, &none);
	put(3, 500, -1, &to);
	put(4, 500, from_fd, &ip6);
	put(5, 500, from_fd, &to);
	bs_batch_flush(tx);
	expect(0, 500);
	expect(5, 500);
	ck_assert_int_eq(bs_batch_receive(rx, to_fd), BS_EAGAIN);
	ck_assert_uint_eq(bs_batch_stats(tx)->lost, 4);
	ck_assert_int_eq(bs_batch_stuck(tx), -1);
}
END_TEST

/* A destination that is refused does not cost the others their merging. */
START_TEST(test_refused_run)
{
	struct bs_endpoint none;

	bs_endpoint_set_ip4(&none, 0xF0000001, 9);
	for (unsigned i = 0; i < 5; i++)
		put(i, 500, from_fd, &none);
	for (unsigned i = 5; i < 10; i++)
		put(i, 500, from_fd, &to);
	bs_batch_flush(tx);
	for (unsigned i = 5; i < 10; i++)
		expect(i, 500);
	ck_assert_uint_eq(bs_batch_stats(tx)->lost, 5);
#ifdef __linux__
	ck_assert_uint_eq(bs_batch_stats(tx)->tx_merged, 5);
#endif
}
END_TEST

/* A full buffer of the kernel keeps the packets here, and room says so before anything is lost. */
START_TEST(test_full_buffer)
{
	int small = 1;
	int pair[2];
	unsigned put_n = 0;
	uint8_t buf[2000];
	unsigned got = 0;

	/* Unix sockets push back; on loopback UDP never does. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
	ck_assert_int_eq(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	bs_batch_set_plain(tx);
	while (put_n < 1000) {
		uint8_t *p = bs_batch_room(tx);

		if (!p)
			break;
		memset(p, 0, 1000);
		p[0] = (uint8_t)(put_n >> 8);
		p[1] = (uint8_t)put_n++;
		bs_batch_add(tx, 1000, pair[0], AF_UNSPEC, &to);
	}
	ck_assert_int_eq(bs_batch_stuck(tx), pair[0]);
	ck_assert_uint_lt(put_n, 1000);
	while (got < put_n) {
		while (recv(pair[1], buf, sizeof(buf), 0) == 1000) {
			ck_assert_uint_eq((unsigned)buf[0] << 8 | buf[1], got);
			got++;
		}
		bs_batch_flush(tx);
	}
	ck_assert_int_eq(bs_batch_stuck(tx), -1);
	ck_assert_uint_eq(bs_batch_stats(tx)->lost, 0);
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(test_drop)
{
	put(0, 500, from_fd, &to);
	bs_batch_drop(tx);
	bs_batch_flush(tx);
	ck_assert_int_eq(bs_batch_receive(rx, to_fd), BS_EAGAIN);
	ck_assert_uint_eq(bs_batch_stats(tx)->lost, 1);
}
END_TEST

Suite *bs_suite_batch(void)
{
	Suite *s = suite_create("batch");
	TCase *tc = tcase_create("batch");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_many_plain);
	tcase_add_test(tc, test_merging_is_invisible);
	tcase_add_test(tc, test_several_places);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_refused_run);
	tcase_add_test(tc, test_full_buffer);
	tcase_add_test(tc, test_drop);
	suite_add_tcase(s, tc);
	return s;
}
