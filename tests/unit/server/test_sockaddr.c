/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sockaddr.h"

#include <arpa/inet.h>
#include <string.h>

#include "suite.h"
#include "util/endpoint.h"

START_TEST(test_both_ways)
{
	struct bs_endpoint ep;
	struct bs_endpoint back;
	union bs_sockaddr sa;

	bs_endpoint_set_ip4(&ep, 0x01020304, 5566);
	ck_assert_uint_eq(bs_sockaddr_set(&sa, &ep), sizeof(struct sockaddr_in));
	ck_assert_uint_eq(sa.in4.sin_addr.s_addr, htonl(0x01020304));
	ck_assert_uint_eq(sa.in4.sin_port, htons(5566));
	bs_sockaddr_get(&sa, &back);
	ck_assert(bs_endpoint_equal(&ep, &back));
	memset(&ep, 0, sizeof(ep));
	ep.ip[0] = 0xFE;
	ep.ip[15] = 9;
	ep.port = 7;
	ck_assert_uint_eq(bs_sockaddr_set(&sa, &ep), sizeof(struct sockaddr_in6));
	bs_sockaddr_get(&sa, &back);
	ck_assert(bs_endpoint_equal(&ep, &back));
}
END_TEST

START_TEST(test_unknown_family)
{
	union bs_sockaddr sa;
	struct bs_endpoint ep;

	memset(&sa, 0xFF, sizeof(sa));
	sa.sa.sa_family = AF_UNIX;
	bs_sockaddr_get(&sa, &ep);
	ck_assert(!bs_endpoint_is_set(&ep));
}
END_TEST

START_TEST(test_text)
{
	struct bs_endpoint ep;
	char text[BS_ENDPOINT_TEXT_MAX];
	char cut[6];

	bs_endpoint_set_ip4(&ep, 0x0A000001, 80);
	ck_assert_str_eq(bs_sockaddr_text(&ep, text, sizeof(text)), "10.0.0.1:80");
	ck_assert_str_eq(bs_sockaddr_text(&ep, cut, sizeof(cut)), "10.0.");
	memset(&ep, 0, sizeof(ep));
	ep.ip[15] = 1;
	ep.port = 9;
	ck_assert_str_eq(bs_sockaddr_text(&ep, text, sizeof(text)), "[::1]:9");
}
END_TEST

Suite *bs_suite_sockaddr(void)
{
	Suite *s = suite_create("sockaddr");
	TCase *c = tcase_create("sockaddr");

	tcase_add_test(c, test_both_ways);
	tcase_add_test(c, test_unknown_family);
	tcase_add_test(c, test_text);
	suite_add_tcase(s, c);
	return s;
}
