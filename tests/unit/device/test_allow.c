/* SPDX-License-Identifier: Apache-2.0 */
#include "allow.h"

#include <stdio.h>
#include <string.h>

#include "suites.h"

static bool is(const struct bsdev__allow *a, const char *host, uint16_t port)
{
	uint32_t ip;

	return bsdev__allow_host(host, strlen(host), &ip) && bsdev__allow_is(a, ip, port);
}

START_TEST(nothing_is_allowed_by_default)
{
	static const struct bsdev__allow none;

	ck_assert(!is(&none, "127.0.0.1", 80));
	ck_assert(!is(&none, "0.0.0.0", 1));
}
END_TEST

START_TEST(rules_allow_what_they_say)
{
	struct bsdev__allow a = { 0 };

	ck_assert_int_eq(bsdev__allow_add(&a, "127.0.0.1:80"), BS_OK);
	ck_assert_int_eq(bsdev__allow_add(&a, "localhost:8000-8010"), BS_OK);
	ck_assert_int_eq(bsdev__allow_add(&a, "10.1.0.0/16:22"), BS_OK);
	ck_assert_int_eq(bsdev__allow_add(&a, "192.0.2.9:*"), BS_OK);
	ck_assert(is(&a, "127.0.0.1", 80));
	ck_assert(is(&a, "localhost", 80));
	ck_assert(!is(&a, "127.0.0.1", 81));
	ck_assert(!is(&a, "127.0.0.2", 80));
	ck_assert(!is(&a, "127.0.0.1", 7999));
	ck_assert(is(&a, "127.0.0.1", 8000));
	ck_assert(is(&a, "127.0.0.1", 8010));
	ck_assert(!is(&a, "127.0.0.1", 8011));
	ck_assert(is(&a, "10.1.255.255", 22));
	ck_assert(!is(&a, "10.2.0.0", 22));
	ck_assert(!is(&a, "10.1.0.1", 23));
	ck_assert(is(&a, "192.0.2.9", 1));
	ck_assert(is(&a, "192.0.2.9", 65535));
	ck_assert(!is(&a, "192.0.2.8", 65535));
}
END_TEST

START_TEST(the_whole_network_must_be_said)
{
	struct bsdev__allow a = { 0 };

	ck_assert_int_eq(bsdev__allow_add(&a, "0.0.0.0/0:53"), BS_OK);
	ck_assert(is(&a, "255.255.255.255", 53));
	ck_assert(!is(&a, "255.255.255.255", 54));
}
END_TEST

START_TEST(what_is_no_rule_is_refused)
{
	static const char *const bad[] = {
		"",
		"80",
		":80",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:0",
		"127.0.0.1:65536",
		"127.0.0.1:x",
		"127.0.0.1:80-",
		"127.0.0.1:-80",
		"127.0.0.1:81-80",
		"127.0.0.1:8*",
		"127.0.0.1:+80",
		"127.0.0.1: 80",
		"127.0.0.1/33:80",
		"127.0.0.1/8:80",
		"127.0.0.1/:80",
		"127.0.0.1/x:80",
		"127.1:80",
		"256.0.0.1:80",
		"::1:80",
		"[::1]:80",
		"example.org:80",
		"LOCALHOST:80",
		"*:80",
		"127.0.0.1:000080",
	};
	struct bsdev__allow a = { 0 };

	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		ck_assert_msg(bsdev__allow_add(&a, bad[k]) == BS_EINVAL, "%s", bad[k]);
	ck_assert_uint_eq(a.n, 0);
}
END_TEST

START_TEST(names_are_no_hosts)
{
	static const char *const bad[] = { "",           "example.org",
					   "localhost.", "127.0.0.1:80",
					   "127.0.0.1 ", "::ffff:1.2.3.4",
					   "0x7f000001", "2130706433" };
	uint32_t ip;

	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		ck_assert_msg(!bsdev__allow_host(bad[k], strlen(bad[k]), &ip), "%s", bad[k]);
	/* Not terminated. */
	ck_assert(bsdev__allow_host("127.0.0.1999", 9, &ip));
	ck_assert_uint_eq(ip, 0x7f000001);
}
END_TEST

START_TEST(the_list_is_bounded)
{
	struct bsdev__allow a = { 0 };
	char text[32];

	for (int k = 1; k <= BSDEV__ALLOW_MAX; k++) {
		snprintf(text, sizeof(text), "127.0.0.1:%d", k);
		ck_assert_int_eq(bsdev__allow_add(&a, text), BS_OK);
	}
	ck_assert_int_eq(bsdev__allow_add(&a, "127.0.0.1:9999"), BS_EFULL);
	ck_assert(is(&a, "127.0.0.1", BSDEV__ALLOW_MAX));
	ck_assert(!is(&a, "127.0.0.1", 9999));
}
END_TEST

Suite *bs_suite_allow(void)
{
	Suite *s = suite_create("allow");
	TCase *tc = tcase_create("allow");

	tcase_add_test(tc, nothing_is_allowed_by_default);
	tcase_add_test(tc, rules_allow_what_they_say);
	tcase_add_test(tc, the_whole_network_must_be_said);
	tcase_add_test(tc, what_is_no_rule_is_refused);
	tcase_add_test(tc, names_are_no_hosts);
	tcase_add_test(tc, the_list_is_bounded);
	suite_add_tcase(s, tc);
	return s;
}
