/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "host.h"
#include "suites.h"

#define FP "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct host h;

static void setup(void)
{
	host_start(&h);
	host_ok(&h, "device add",
		"{\"id\":\"cam-1\",\"secret\":\"00112233445566778899aabbccddeeff\","
		"\"tag\":[\"lab\"]}");
}

static void teardown(void)
{
	host_stop(&h);
}

/* allow, deny or what the reason is. */
static void expect_check(const char *identity, const char *device, bool allow, const char *reason)
{
	char args[256];
	json_t *r;
	json_t *v;

	snprintf(args, sizeof(args), "{\"identity\":\"%s\",\"device\":\"%s\"}", identity, device);
	r = host_expect(&h, "access check", args, BS_CTL_OK);
	v = json_object_get(r, "result");
	ck_assert_int_eq(json_is_true(json_object_get(v, "allow")), allow);
	ck_assert_str_eq(host_text(r, "reason"), reason);
	json_decref(r);
}

START_TEST(test_check)
{
	expect_check("alice", "cam-1", false, "no-rule");
	expect_check("alice", "cam-2", false, "device-unknown");
	host_ok(&h, "access allow", "{\"who\":\"alice\",\"device\":\"cam-*\"}");
	expect_check("alice", "cam-1", true, "rule");
	expect_check("ALICE", "cam-1", true, "rule");
	expect_check("bob", "cam-1", false, "no-rule");
	host_ok(&h, "access deny", "{\"who\":\"*\",\"device\":\"tag:lab\",\"priority\":5}");
	expect_check("alice", "cam-1", false, "rule");
	host_ok(&h, "device disable", "{\"id\":[\"cam-1\"]}");
	expect_check("alice", "cam-1", false, "device-disabled");
}
END_TEST

START_TEST(test_group)
{
	host_ok(&h, "access allow", "{\"who\":\"group:service\",\"device\":\"*\"}");
	expect_check("bob", "cam-1", false, "no-rule");
	host_ok(&h, "client add", "{\"identity\":\"bob\",\"group\":[\"service\"]}");
	expect_check("bob", "cam-1", true, "rule");
	host_ok(&h, "client group", "{\"identity\":\"bob\",\"remove\":[\"service\"]}");
	expect_check("bob", "cam-1", false, "no-rule");
	host_ok(&h, "client disable", "{\"identity\":\"bob\"}");
	expect_check("bob", "cam-1", false, "client-disabled");
	host_ok(&h, "client revoke", "{\"identity\":\"bob\"}");
	expect_check("bob", "cam-1", false, "client-revoked");
}
END_TEST

START_TEST(test_list_delete)
{
	static const char *const rules[][2] = {
		{ "alice", "cam-1" },   { "group:g", "tag:lab" },
		{ "key:" FP, "cam-?" }, { FP "/alice", "cam-1" },
		{ "*", "*" },
	};
	char args[512];
	json_t *all;
	json_t *r;

	for (size_t i = 0; i < 5; i++) {
		snprintf(args, sizeof(args), "{\"who\":\"%s\",\"device\":\"%s\"}", rules[i][0],
			 rules[i][1]);
		host_ok(&h, "access allow", args);
	}
	all = host_ask(&h, "access list", NULL);
	ck_assert_uint_eq(json_array_size(all), 6);
	for (size_t i = 0; i < 5; i++) {
		json_t *item = json_object_get(json_array_get(all, i), "item");

		ck_assert_str_eq(json_string_value(json_object_get(item, "who")), rules[i][0]);
		ck_assert_str_eq(json_string_value(json_object_get(item, "device")), rules[i][1]);
	}
	json_decref(all);
	host_ok(&h, "access delete", "{\"rule\":2,\"dry-run\":true}");
	host_ok(&h, "access delete", "{\"rule\":2}");
	json_decref(host_expect(&h, "access delete", "{\"rule\":2}", BS_CTL_NOT_FOUND));
	json_decref(host_expect(&h, "access delete", "{\"rule\":99999999999}", BS_CTL_NOT_FOUND));
	all = host_ask(&h, "access list", NULL);
	ck_assert_uint_eq(json_array_size(all), 5);
	json_decref(all);
	r = host_expect(&h, "access allow", "{\"who\":\"alice\",\"device\":\"cam-1\"}",
			BS_CTL_EXISTS);
	ck_assert_ptr_nonnull(strstr(host_error(r, "reason"), "rule 1"));
	json_decref(r);
}
END_TEST

START_TEST(test_bad)
{
	json_decref(host_expect(&h, "access allow", "{\"who\":\"a b\",\"device\":\"d\"}",
				BS_CTL_USAGE));
	json_decref(
		host_expect(&h, "access allow", "{\"who\":\"a\",\"device\":\"D\"}", BS_CTL_USAGE));
	json_decref(host_expect(&h, "access allow", "{\"who\":\"key:12\",\"device\":\"d\"}",
				BS_CTL_USAGE));
	json_decref(host_expect(&h, "access allow",
				"{\"who\":\"a\",\"device\":\"d\",\"priority\":1001}",
				BS_CTL_BAD_INPUT));
}
END_TEST

Suite *bs_suite_control_access(void)
{
	Suite *s = suite_create("control_access");
	TCase *tc = tcase_create("rules");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_check);
	tcase_add_test(tc, test_group);
	tcase_add_test(tc, test_list_delete);
	tcase_add_test(tc, test_bad);
	suite_add_tcase(s, tc);
	return s;
}
