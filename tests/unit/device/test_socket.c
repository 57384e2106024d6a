/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <string.h>
#include <unistd.h>

#include "basestation/error.h"
#include "socket.h"
#include "util/endpoint.h"

static struct bs_endpoint address_of(struct bsdev_socket *s, uint32_t ip4)
{
	struct bs_endpoint any, local;

	bs_endpoint_set_ip4(&any, ip4, 9);
	bsdev__socket_local(s, &any, &local);
	return local;
}

static bs_ssize receive(struct bsdev_socket *s, uint8_t *buf, size_t cap, struct bs_endpoint *from)
{
	bs_ssize n = BS_EAGAIN;

	for (int i = 0; i < 1000 && n == BS_EAGAIN; i++) {
		n = bsdev__socket_recv(s, buf, cap, from);
		if (n == BS_EAGAIN)
			usleep(1000);
	}
	return n;
}

START_TEST(test_ip4_peers_over_both_socket_kinds)
{
	struct bsdev_socket a, b;
	struct bs_endpoint to, from;
	uint8_t buf[4];

	ck_assert_int_eq(bsdev__socket_open(&a, NULL, 0, false), BS_OK);
	ck_assert_int_eq(bsdev__socket_open(&b, "127.0.0.1", 0, true), BS_OK);
	to = address_of(&b, 0x7f000001);
	ck_assert_uint_eq(bs_endpoint_ip4(&to), 0x7f000001);
	bsdev__socket_send(&a, (const uint8_t *)"ab", 2, &to);
	ck_assert_int_eq(receive(&b, buf, sizeof(buf), &from), 2);
	ck_assert(bs_endpoint_is_ip4(&from));
	bsdev__socket_send(&b, (const uint8_t *)"c", 1, &from);
	ck_assert_int_eq(receive(&a, buf, sizeof(buf), &from), 1);
	ck_assert(bs_endpoint_equal(&from, &to));
	bsdev__socket_close(&a);
	bsdev__socket_close(&a);
	bsdev__socket_close(&b);
}
END_TEST

START_TEST(test_bad_addresses)
{
	struct bsdev_socket s = { -1, false };

	ck_assert_int_eq(bsdev__socket_open(&s, "localhost", 0, false), BS_EINVAL);
	ck_assert_int_eq(bsdev__socket_open(&s, "192.0.2.1", 0, true), BS_EIO);
	ck_assert_int_eq(s.fd, -1);
}
END_TEST

START_TEST(test_port_in_use)
{
	struct bsdev_socket a, b = { -1, false };
	struct bs_endpoint at;

	ck_assert_int_eq(bsdev__socket_open(&a, "127.0.0.1", 0, true), BS_OK);
	at = address_of(&a, 0x7f000001);
	ck_assert_int_eq(bsdev__socket_open(&b, "127.0.0.1", at.port, true), BS_EIO);
	bsdev__socket_close(&a);
}
END_TEST

START_TEST(test_ip6_needs_an_ip6_socket)
{
	struct bsdev_socket s;
	struct bs_endpoint to;

	memset(&to, 0, sizeof(to));
	to.ip[15] = 1;
	to.port = 9;
	ck_assert_int_eq(bsdev__socket_open(&s, "127.0.0.1", 0, true), BS_OK);
	bsdev__socket_send(&s, (const uint8_t *)"a", 1, &to);
	bsdev__socket_close(&s);
}
END_TEST

Suite *bs_suite_socket(void)
{
	Suite *s = suite_create("socket");
	TCase *tc = tcase_create("socket");

	tcase_add_test(tc, test_ip4_peers_over_both_socket_kinds);
	tcase_add_test(tc, test_bad_addresses);
	tcase_add_test(tc, test_port_in_use);
	tcase_add_test(tc, test_ip6_needs_an_ip6_socket);
	suite_add_tcase(s, tc);
	return s;
}
