/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "host.h"
#include "suites.h"

#define FP  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define FP2 "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct host h;

static void setup(void)
{
	host_start(&h);
}

static void teardown(void)
{
	host_stop(&h);
}

START_TEST(test_add_show)
{
	json_t *r;
	json_t *v;

	host_ok(&h, "client add",
		"{\"identity\":\"Alice@Example.com\",\"ca-fp\":\"" FP "\",\"key-fp\":\"" FP2
		"\",\"group\":[\"b\",\"a\"]}");
	r = host_expect(&h, "client show",
			"{\"identity\":\"alice@example.com\",\"ca-fp\":\"" FP "\"}", BS_CTL_OK);
	v = json_object_get(r, "result");
	ck_assert_str_eq(host_text(r, "identity"), "alice@example.com");
	ck_assert_str_eq(host_text(r, "ca_fp"), FP);
	ck_assert_str_eq(host_text(r, "key_fp"), FP2);
	ck_assert_uint_eq(json_array_size(json_object_get(v, "groups")), 2);
	json_decref(r);
	/* The record of one CA is not that of any CA. */
	r = host_expect(&h, "client show", "{\"identity\":\"alice@example.com\"}",
			BS_CTL_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(host_error(r, "remedy"), "--ca"));
	json_decref(r);
	json_decref(host_expect(&h, "client add",
				"{\"identity\":\"alice@example.com\",\"ca-fp\":\"" FP "\"}",
				BS_CTL_EXISTS));
	host_ok(&h, "client add", "{\"identity\":\"alice@example.com\"}");
}
END_TEST

START_TEST(test_state)
{
	json_t *r;

	host_ok(&h, "client add", "{\"identity\":\"bob\",\"disabled\":true}");
	host_ok(&h, "client enable", "{\"identity\":\"bob\",\"dry-run\":true}");
	r = host_expect(&h, "client show", "{\"identity\":\"bob\"}", BS_CTL_OK);
	ck_assert_str_eq(host_text(r, "state"), "disabled");
	json_decref(r);
	host_ok(&h, "client enable", "{\"identity\":\"bob\"}");
	r = host_expect(&h, "client show", "{\"identity\":\"bob\"}", BS_CTL_OK);
	ck_assert_str_eq(host_text(r, "state"), "enabled");
	json_decref(r);
	host_ok(&h, "client revoke", "{\"identity\":\"bob\",\"note\":\"left\"}");
	json_decref(host_expect(&h, "client enable", "{\"identity\":\"bob\"}", BS_CTL_REFUSED));
	json_decref(host_expect(&h, "client enable", "{\"identity\":\"eve\"}", BS_CTL_NOT_FOUND));
	host_ok(&h, "client delete", "{\"identity\":\"bob\"}");
	json_decref(host_expect(&h, "client show", "{\"identity\":\"bob\"}", BS_CTL_NOT_FOUND));
}
END_TEST

START_TEST(test_groups)
{
	json_t *r;

	host_ok(&h, "client add", "{\"identity\":\"bob\",\"group\":[\"a\"]}");
	host_ok(&h, "client group",
		"{\"identity\":\"bob\",\"add\":[\"b\",\"c\"],\"remove\":[\"a\"]}");
	r = host_expect(&h, "client show", "{\"identity\":\"bob\"}", BS_CTL_OK);
	ck_assert_uint_eq(json_array_size(json_object_get(json_object_get(r, "result"), "groups")),
			  2);
	json_decref(r);
	json_decref(host_expect(&h, "client group", "{\"identity\":\"bob\"}", BS_CTL_USAGE));
	json_decref(
		host_expect(&h, "client group",
			    "{\"identity\":\"bob\",\"add\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\","
			    "\"7\",\"8\",\"9\",\"10\",\"11\",\"12\",\"13\",\"14\",\"15\"]}",
			    BS_CTL_BAD_INPUT));
}
END_TEST

START_TEST(test_revocations)
{
	json_t *all;
	json_t *r;
	size_t kinds[3] = { 0 };

	r = host_expect(&h, "client revoke", "{\"identity\":\"Eve\"}", BS_CTL_OK);
	/* The limit of what a server can do is said where it matters. */
	ck_assert_ptr_nonnull(strstr(host_text(r, "note"), "cannot be ended by the server"));
	json_decref(r);
	host_ok(&h, "client revoke", "{\"key-fp\":\"" FP "\"}");
	host_ok(&h, "client revoke", "{\"serial\":\"00:0a:ff\",\"ca-fp\":\"" FP "\"}");
	/* Repeats are fine: a retry must not fail. */
	host_ok(&h, "client revoke", "{\"serial\":\"0aff\",\"ca-fp\":\"" FP "\"}");
	all = host_ask(&h, "client revoked", NULL);
	ck_assert_uint_eq(json_array_size(all), 4);
	for (size_t i = 0; i < 3; i++) {
		json_t *item = json_object_get(json_array_get(all, i), "item");
		const char *kind = json_string_value(json_object_get(item, "kind"));

		if (strcmp(kind, "client") == 0) {
			kinds[0]++;
			ck_assert_str_eq(json_string_value(json_object_get(item, "identity")),
					 "eve");
		} else if (strcmp(kind, "key") == 0) {
			kinds[1]++;
		} else {
			kinds[2]++;
			ck_assert_str_eq(json_string_value(json_object_get(item, "serial")),
					 "0aff");
		}
	}
	ck_assert(kinds[0] == 1 && kinds[1] == 1 && kinds[2] == 1);
	json_decref(all);
}
END_TEST

START_TEST(test_revoke_bad)
{
	static const struct {
		const char *args;
		int status;
	} rows[] = {
		{ "{}", BS_CTL_USAGE },
		{ "{\"identity\":\"a\",\"key-fp\":\"" FP "\"}", BS_CTL_USAGE },
		{ "{\"serial\":\"01\"}", BS_CTL_USAGE },
		{ "{\"serial\":\"00\",\"ca-fp\":\"" FP "\"}", BS_CTL_BAD_INPUT },
		{ "{\"serial\":\"" FP "\",\"ca-fp\":\"" FP "\"}", BS_CTL_BAD_INPUT },
		{ "{\"identity\":\"a\",\"note\":\"0123456789012345678901234567890123456789"
		  "0123456789012345678901234567890\"}",
		  BS_CTL_BAD_INPUT },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_decref(host_expect(&h, "client revoke", rows[i].args, rows[i].status));
}
END_TEST

START_TEST(test_list_pages)
{
	char args[64];
	size_t n = 0;
	char cursor[400] = "";

	for (int i = 0; i < 120; i++) {
		snprintf(args, sizeof(args), "{\"identity\":\"user%03d\"}", i);
		host_ok(&h, "client add", args);
	}
	do {
		char with[512];
		json_t *all;
		const char *next;

		snprintf(with, sizeof(with), cursor[0] ? "{\"cursor\":\"%s\"}" : "{}", cursor);
		all = host_ask(&h, "client list", with);
		n += json_array_size(all) - 1;
		next = json_string_value(
			json_object_get(json_array_get(all, json_array_size(all) - 1), "cursor"));
		snprintf(cursor, sizeof(cursor), "%s", next ? next : "");
		json_decref(all);
	} while (cursor[0]);
	ck_assert_uint_eq(n, 120);
}
END_TEST

Suite *bs_suite_control_client(void)
{
	Suite *s = suite_create("control_client");
	TCase *tc = tcase_create("clients");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_add_show);
	tcase_add_test(tc, test_state);
	tcase_add_test(tc, test_groups);
	tcase_add_test(tc, test_revocations);
	tcase_add_test(tc, test_revoke_bad);
	tcase_add_test(tc, test_list_pages);
	suite_add_tcase(s, tc);
	return s;
}
