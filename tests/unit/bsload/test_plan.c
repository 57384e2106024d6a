/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <string.h>

#include "suites.h"
#include "tools/bsload/plan.h"

#define ARGS_MAX 8

static struct plan p;

/* As main gets them; getopt may reorder its own copy. */
static int read_line(const char *text)
{
	static char copy[256];
	char *argv[ARGS_MAX + 1] = { (char *)(uintptr_t) "bsload" };
	char *rest = copy;
	int argc = 1;

	ck_assert_uint_lt(strlen(text), sizeof(copy));
	memcpy(copy, text, strlen(text) + 1);
	while (*rest && argc < ARGS_MAX) {
		argv[argc++] = rest;
		rest += strcspn(rest, " ");
		if (*rest)
			*rest++ = '\0';
	}
	optind = 0;
	return plan_read(&p, argc, argv);
}

START_TEST(test_plans)
{
	static const char *const all[] = { "steady",  "ramp",    "attach",    "storm",
					   "poll",    "churn",   "restart",   "rebind",
					   "flood",   "soak",    "handshake", "sessions",
					   "abandon", "connect", "ids",       "size" };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ck_assert_msg(read_line(all[i]) == STATUS_OK, "%s", all[i]);
	ck_assert_int_eq(read_line("stedy"), STATUS_USAGE);
	ck_assert_int_eq(read_line(""), STATUS_USAGE);
}
END_TEST

START_TEST(test_options)
{
	ck_assert_int_eq(read_line("poll --devices 20k --polls 0.5 --server 127.0.0.1:7"), 0);
	ck_assert_double_eq(p.devices, 20000);
	ck_assert_double_eq(p.polls, 0.5);
	ck_assert_str_eq(p.server, "127.0.0.1:7");
	/* What is not said stays as the plan or the defaults have it. */
	ck_assert_double_eq(p.seconds, 10);
	ck_assert_int_eq(read_line("steady --devices 1.5M"), 0);
	ck_assert_double_eq(p.devices, 1500000);
	ck_assert_double_eq(p.polls, 0);
}
END_TEST

START_TEST(test_refused)
{
	static const char *const bad[] = {
		"steady --devices",      "steady --devices -1",  "steady --devices x",
		"steady --devices 10kk", "steady --devices nan", "steady --devices 17M",
		"steady --no-such 1",    "steady word",          "steady --sockets 0",
		"steady --sockets 513",  "steady --window 0",    "steady --repeat 65",
		"steady --patience 61",  "rebind --sockets 1",   "rebind --shared 8",
		"steady --connects 1",   "steady --forged 1",    "sessions --client-addresses 0",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(read_line(bad[i]) == STATUS_USAGE, "%s", bad[i]);
}
END_TEST

Suite *bs_suite_bsload_plan(void)
{
	Suite *s = suite_create("plan");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, test_plans);
	tcase_add_test(tc, test_options);
	tcase_add_test(tc, test_refused);
	suite_add_tcase(s, tc);
	return s;
}
