/* SPDX-License-Identifier: Apache-2.0 */
/* test_sockets.c - the further sockets of a port: opened on demand, capped, swept. */
#include "suites.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "port/sockets.h"

static struct bs_sockets s;

static void setup(void)
{
	bs_sockets_init(&s, 5);
}

static void teardown(void)
{
	bs_sockets_close_all(&s);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	return ntohs(in.sin_port);
}

static void knock(uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(sendto(bs_sockets_get(&s, 1, AF_INET), "x", 1, 0,
				(const struct sockaddr *)&in, sizeof(in)),
			 1);
}

START_TEST(test_opens_on_demand)
{
	int one = bs_sockets_get(&s, 1, AF_INET);
	int four = bs_sockets_get(&s, 4, AF_INET);

	ck_assert_int_ge(one, 0);
	ck_assert_int_ge(four, 0);
	ck_assert_uint_ne(port_of(one), port_of(four));
	ck_assert_int_eq(bs_sockets_get(&s, 1, AF_INET), one);
	ck_assert_uint_eq(s.n, 2);
	/* Above the cap, and the main socket's number: not ours. */
	ck_assert_int_eq(bs_sockets_get(&s, 6, AF_INET), -1);
	ck_assert_int_eq(bs_sockets_get(&s, 0, AF_INET), -1);
	ck_assert_uint_eq(s.n, 2);
}
END_TEST

START_TEST(test_says_which_is_ready)
{
	uint16_t via[4];
	struct pollfd fds[4];

	ck_assert_uint_eq(bs_sockets_ready(&s, via, 4), 0);
	(void)bs_sockets_get(&s, 1, AF_INET);
	knock(port_of(bs_sockets_get(&s, 3, AF_INET)));
	ck_assert_uint_eq(bs_sockets_ready(&s, via, 4), 1);
	ck_assert_uint_eq(via[0], 3);
	ck_assert_uint_eq(bs_sockets_fds(&s, fds, 4), 2);
	ck_assert_uint_eq(bs_sockets_fds(&s, fds, 1), 1);
}
END_TEST

static bool keep_three(void *ctx, uint16_t via)
{
	ck_assert_ptr_eq(ctx, &s);
	return via == 3;
}

START_TEST(test_sweeps)
{
	for (uint16_t via = 1; via <= 5; via++)
		(void)bs_sockets_get(&s, via, AF_INET);
	ck_assert_uint_eq(s.n, 5);
	bs_sockets_sweep(&s, keep_three, &s);
	ck_assert_uint_eq(s.n, 1);
	ck_assert_uint_eq(s.opened, 3);
	ck_assert_int_ge(s.fd[2], 0);
	ck_assert_int_lt(s.fd[0], 0);
	/* What was closed opens again when it is needed. */
	ck_assert_int_ge(bs_sockets_get(&s, 5, AF_INET), 0);
	bs_sockets_close_all(&s);
	ck_assert_uint_eq(s.n, 0);
}
END_TEST

START_TEST(test_opt_out)
{
	bs_sockets_init(&s, 0);
	ck_assert_int_eq(bs_sockets_get(&s, 1, AF_INET), -1);
}
END_TEST

Suite *bs_suite_sockets(void)
{
	Suite *suite = suite_create("sockets");
	TCase *tc = tcase_create("sockets");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_opens_on_demand);
	tcase_add_test(tc, test_says_which_is_ready);
	tcase_add_test(tc, test_sweeps);
	tcase_add_test(tc, test_opt_out);
	suite_add_tcase(suite, tc);
	return suite;
}
