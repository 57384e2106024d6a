/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "host.h"
#include "suites.h"

static struct host h;

static void setup(void)
{
	host_start(&h);
}

static void teardown(void)
{
	host_stop(&h);
}

START_TEST(test_trust)
{
	json_t *all;
	json_t *item;
	char args[160];

	/* The store keeps bytes; what a certificate is was decided by bsctl. */
	host_ok(&h, "ca trust", "{\"name\":\"Vendor\",\"der\":\"3000\",\"dry-run\":true}");
	host_ok(&h, "ca trust", "{\"name\":\"Vendor\",\"der\":\"3000\"}");
	all = host_ask(&h, "ca trusted", NULL);
	ck_assert_uint_eq(json_array_size(all), 2);
	item = json_object_get(json_array_get(all, 0), "item");
	ck_assert_str_eq(json_string_value(json_object_get(item, "name")), "Vendor");
	ck_assert(json_is_true(json_object_get(item, "client")));
	snprintf(args, sizeof(args), "{\"ca-fp\":\"%s\"}",
		 json_string_value(json_object_get(item, "ca_fp")));
	json_decref(all);
	host_ok(&h, "ca distrust", args);
	json_decref(host_expect(&h, "ca distrust", args, BS_CTL_NOT_FOUND));
	all = host_ask(&h, "ca trusted", NULL);
	ck_assert_uint_eq(json_array_size(all), 1);
	json_decref(all);
}
END_TEST

START_TEST(test_bad)
{
	json_decref(host_expect(&h, "ca trust", "{\"name\":\"Vendor\"}", BS_CTL_USAGE));
	json_decref(host_expect(&h, "ca trust", "{\"der\":\"3000\"}", BS_CTL_USAGE));
	json_decref(host_expect(&h, "ca trust", "{\"name\":\"V\",\"der\":\"300\"}", BS_CTL_USAGE));
	json_decref(host_expect(&h, "ca trust", "{\"name\":\"V\",\"der\":\"\"}", BS_CTL_BAD_INPUT));
}
END_TEST

Suite *bs_suite_control_ca(void)
{
	Suite *s = suite_create("control_ca");
	TCase *tc = tcase_create("registry");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_trust);
	tcase_add_test(tc, test_bad);
	suite_add_tcase(s, tc);
	return s;
}
