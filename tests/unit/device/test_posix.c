/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "basestation/device_posix.h"
#include "socket.h"
#include "util/endpoint.h"
#include "wire/invite.h"

static const uint8_t secret[BS_PSK_LEN] = { 1, 2, 3 };
static struct bsdev_conf conf;
static struct bsdev_posix_conf posix;
static struct bsdev_socket server;

static void setup(void)
{
	struct bs_endpoint any, local;

	memset(&conf, 0, sizeof(conf));
	memset(&posix, 0, sizeof(posix));
	ck_assert_int_eq(bsdev__socket_open(&server, "127.0.0.1", 0, true), BS_OK);
	bs_endpoint_set_ip4(&any, 0x7f000001, 9);
	bsdev__socket_local(&server, &any, &local);
	conf.id = "cam1.base.test";
	conf.secret = secret;
	conf.connections = 1;
	conf.controller = "127.0.0.1";
	conf.controller_port = local.port;
}

static void teardown(void)
{
	bsdev__socket_close(&server);
}

/** Run the device until the server got a datagram; its length, or 0 after two seconds. */
static size_t run_until_packet(struct bsdev_posix *p, uint8_t *buf, size_t cap,
			       struct bs_endpoint *from)
{
	struct pollfd fds[BSDEV_POSIX_FDS_MAX];
	const bs_time end = bsdev_posix_now() + BS_TIME_MS(2000);
	int ms;

	while (BS_TIME_DIFF(end, bsdev_posix_now()) > 0) {
		const bs_ssize got = bsdev__socket_recv(&server, buf, cap, from);
		const int n = bsdev_posix_poll(p, fds, BSDEV_POSIX_FDS_MAX, &ms);

		if (got > 0)
			return (size_t)got;
		(void)poll(fds, (nfds_t)n, ms < 0 || ms > 10 ? 10 : ms);
		ck_assert_int_eq(bsdev_posix_step(p, fds, n), BS_OK);
	}
	return 0;
}

START_TEST(test_invites_the_controller)
{
	struct bsdev_posix *p = NULL;
	struct bs_endpoint from;
	struct bs_packet pkt;
	struct bs_invite m;
	uint8_t buf[BS_PACKET_MAX];
	size_t len;

	ck_assert_int_eq(bsdev_posix_new(&conf, &posix, &p), BS_OK);
	len = run_until_packet(p, buf, sizeof(buf), &from);
	ck_assert_int_eq(bs_packet_decode(buf, len, &pkt), BS_OK);
	ck_assert_int_eq(bs_invite_decode(&pkt, &m), BS_OK);
	ck_assert_uint_eq(m.id.len, strlen(conf.id));
	ck_assert_mem_eq(m.id.ptr, conf.id, m.id.len);
	bsdev_posix_free(p);
}
END_TEST

START_TEST(test_no_packet_while_off)
{
	struct bsdev_posix *p = NULL;
	struct bs_endpoint from;
	struct pollfd fds[BSDEV_POSIX_FDS_MAX];
	uint8_t buf[BS_PACKET_MAX];
	int ms;

	conf.start_off = true;
	ck_assert_int_eq(bsdev_posix_new(&conf, &posix, &p), BS_OK);
	/* No deadline at all, and nothing but wake-up pipe and socket to wait for. */
	ck_assert_int_eq(bsdev_posix_poll(p, fds, BSDEV_POSIX_FDS_MAX, &ms), 2);
	ck_assert_int_eq(ms, -1);
	ck_assert_int_eq(bsdev__socket_recv(&server, buf, sizeof(buf), &from), BS_EAGAIN);
	bsdev_posix_request_switch(p, true);
	ck_assert_uint_gt(run_until_packet(p, buf, sizeof(buf), &from), 0);
	bsdev_posix_free(p);
}
END_TEST

START_TEST(test_network_change_takes_a_new_port)
{
	struct bsdev_posix *p = NULL;
	struct bs_endpoint first, second;
	uint8_t buf[BS_PACKET_MAX];

	ck_assert_int_eq(bsdev_posix_new(&conf, &posix, &p), BS_OK);
	ck_assert_uint_gt(run_until_packet(p, buf, sizeof(buf), &first), 0);
	bsdev_network_changed(bsdev_posix_device(p), bsdev_posix_now());
	ck_assert_uint_gt(run_until_packet(p, buf, sizeof(buf), &second), 0);
	ck_assert_uint_ne(first.port, second.port);
	bsdev_posix_free(p);
}
END_TEST

static void *run(void *arg)
{
	static const int ok = BS_OK;

	return bsdev_posix_run(arg) == BS_OK ? (void *)(uintptr_t)&ok : NULL;
}

START_TEST(test_stop_from_another_thread)
{
	struct bsdev_posix *p = NULL;
	pthread_t t;
	void *ret = NULL;

	ck_assert_int_eq(bsdev_posix_new(&conf, &posix, &p), BS_OK);
	ck_assert_int_eq(pthread_create(&t, NULL, run, p), 0);
	bsdev_posix_request_switch(p, false);
	bsdev_posix_stop(p);
	ck_assert_int_eq(pthread_join(t, &ret), 0);
	ck_assert_ptr_nonnull(ret);
	ck_assert_int_eq(bsdev_get_state(bsdev_posix_device(p)), BSDEV_OFF);
	bsdev_posix_free(p);
}
END_TEST

START_TEST(test_refusals)
{
	struct bsdev_posix *p = NULL;

	posix.bind_address = "not-an-address";
	ck_assert_int_eq(bsdev_posix_new(&conf, &posix, &p), BS_EINVAL);
	posix.bind_address = "192.0.2.1";
	ck_assert_int_eq(bsdev_posix_new(&conf, &posix, &p), BS_EIO);
	posix.bind_address = NULL;
	conf.id = "NO";
	ck_assert_int_eq(bsdev_posix_new(&conf, &posix, &p), BS_EINVAL);
	ck_assert_ptr_null(p);
	bsdev_posix_free(NULL);
}
END_TEST

Suite *bs_suite_posix(void)
{
	Suite *s = suite_create("posix");
	TCase *tc = tcase_create("posix");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_invites_the_controller);
	tcase_add_test(tc, test_no_packet_while_off);
	tcase_add_test(tc, test_network_change_takes_a_new_port);
	tcase_add_test(tc, test_stop_from_another_thread);
	tcase_add_test(tc, test_refusals);
	suite_add_tcase(s, tc);
	return s;
}
