/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/quantity.h"

#include <stdio.h>
#include <string.h>

#include "suites.h"

#define S UINT64_C(1000000000)

static const struct good {
	enum bs_quantity kind;
	const char *text;
	uint64_t value;
	const char *printed;
} good[] = {
	{ BS_QUANTITY_COUNT, "0", 0, "0" },
	{ BS_QUANTITY_COUNT, "64", 64, "64" },
	{ BS_QUANTITY_COUNT, "007", 7, "7" },
	{ BS_QUANTITY_COUNT, "18446744073709551615", UINT64_MAX, "18446744073709551615" },
	{ BS_QUANTITY_SPAN, "0", 0, "0s" },
	{ BS_QUANTITY_SPAN, "0ms", 0, "0s" },
	{ BS_QUANTITY_SPAN, "10s", 10 * S, "10s" },
	{ BS_QUANTITY_SPAN, "10 s", 10 * S, "10s" },
	{ BS_QUANTITY_SPAN, "200ms", S / 5, "200ms" },
	{ BS_QUANTITY_SPAN, "1000ms", S, "1s" },
	{ BS_QUANTITY_SPAN, "4500ms", 45 * S / 10, "4500ms" },
	{ BS_QUANTITY_SPAN, "60s", 60 * S, "1min" },
	{ BS_QUANTITY_SPAN, "90min", 5400 * S, "90min" },
	{ BS_QUANTITY_SPAN, "24h", 86400 * S, "1d" },
	{ BS_QUANTITY_BYTES, "16MiB", 16u << 20, "16MiB" },
	{ BS_QUANTITY_BYTES, "1024KiB", 1u << 20, "1MiB" },
	{ BS_QUANTITY_BYTES, "1MB", 1000000, "1000000B" },
	{ BS_QUANTITY_BYTES, "4GiB", UINT64_C(4) << 30, "4GiB" },
	{ BS_QUANTITY_BYTES, "1B", 1, "1B" },
	{ BS_QUANTITY_RATE, "200/s", 200, "200/s" },
	{ BS_QUANTITY_RATE, "0", 0, "0/s" },
	{ BS_QUANTITY_BITRATE, "20Mbit/s", 20000000, "20Mbit/s" },
	{ BS_QUANTITY_BITRATE, "1500kbit/s", 1500000, "1500kbit/s" },
};

START_TEST(reads_and_prints)
{
	const struct good *g = &good[_i];
	char why[200] = "";
	char out[BS_QUANTITY_TEXT_MAX];
	uint64_t v = 1;

	ck_assert_int_eq(bs_quantity_parse(g->kind, g->text, &v, why, sizeof(why)), BS_OK);
	ck_assert_uint_eq(v, g->value);
	ck_assert_str_eq(bs_quantity_print(g->kind, v, out, sizeof(out)), g->printed);
}
END_TEST

static const struct bad {
	enum bs_quantity kind;
	const char *text;
	const char *why; /* how the reason begins */
} bad[] = {
	{ BS_QUANTITY_COUNT, "", "is not a whole number" },
	{ BS_QUANTITY_COUNT, "-1", "is not a whole number" },
	{ BS_QUANTITY_COUNT, "+1", "is not a whole number" },
	{ BS_QUANTITY_COUNT, " 1", "is not a whole number" },
	{ BS_QUANTITY_COUNT, "1s", "must be a plain number without unit" },
	{ BS_QUANTITY_COUNT, "0x10", "must be a plain number without unit" },
	{ BS_QUANTITY_COUNT, "1.5", "is not a whole number; use a smaller unit" },
	{ BS_QUANTITY_COUNT, "18446744073709551616", "is too large a number" },
	{ BS_QUANTITY_COUNT, "99999999999999999999999999", "is too large a number" },
	{ BS_QUANTITY_SPAN, "10", "has no unit; write for example 10s" },
	{ BS_QUANTITY_SPAN, "10x", "has an unknown unit; write for example 10s" },
	{ BS_QUANTITY_SPAN, "10S", "has an unknown unit" },
	{ BS_QUANTITY_SPAN, "10s ", "has an unknown unit" },
	{ BS_QUANTITY_SPAN, "10s5", "has an unknown unit" },
	{ BS_QUANTITY_SPAN, "1.5s", "is not a whole number; use a smaller unit" },
	{ BS_QUANTITY_SPAN, "213504d", "is too large a number" },
	{ BS_QUANTITY_BYTES, "16mib", "has an unknown unit; write for example 16MiB" },
	{ BS_QUANTITY_BYTES, "16", "has no unit" },
	{ BS_QUANTITY_BYTES, "16777216TiB", "is too large a number" },
	{ BS_QUANTITY_RATE, "20", "has no unit; write for example 20/s" },
	{ BS_QUANTITY_RATE, "20/m", "has an unknown unit" },
	{ BS_QUANTITY_BITRATE, "20MB/s", "has an unknown unit" },
};

START_TEST(refuses)
{
	const struct bad *b = &bad[_i];
	char why[200] = "";
	uint64_t v = 4711;

	ck_assert_int_eq(bs_quantity_parse(b->kind, b->text, &v, why, sizeof(why)), BS_ECONF);
	ck_assert_msg(strncmp(why, b->why, strlen(b->why)) == 0, "\"%s\": %s", b->text, why);
	ck_assert_uint_eq(v, 4711); /* untouched */
}
END_TEST

/* print, then parse, is the identity: for powers of two and ten and what lies beside them, and for
 * a fixed pseudo-random walk through the rest */
START_TEST(print_parses_again)
{
	uint64_t seed = 88172645463325252u;

	for (unsigned i = 0; i < 4000; i++) {
		uint64_t value;
		uint64_t v = 0;
		char out[BS_QUANTITY_TEXT_MAX];
		char why[200] = "";

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		value = i < 192 ? (UINT64_C(1) << (i / 3)) + i % 3 - 1 : seed >> (i % 64);
		if (i % 5 == 0)
			value = value / 1000000 * 1000000;
		bs_quantity_print((enum bs_quantity)_i, value, out, sizeof(out));
		ck_assert_msg(bs_quantity_parse((enum bs_quantity)_i, out, &v, why, sizeof(why)) ==
				      BS_OK,
			      "%s: %s", out, why);
		ck_assert_msg(v == value, "%s", out);
	}
}
END_TEST

/* no byte string, however short, does anything but give a value or a reason */
START_TEST(survives_every_two_bytes)
{
	for (unsigned i = 0; i < 65536; i++) {
		char text[4] = { '7', (char)(i & 0xFF), (char)(i >> 8), '\0' };
		char why[200] = "";
		uint64_t v = 0;
		int err = bs_quantity_parse((enum bs_quantity)_i, text, &v, why, sizeof(why));

		ck_assert(err == BS_OK || (err == BS_ECONF && why[0] != '\0'));
	}
}
END_TEST

Suite *bs_suite_quantity(void)
{
	Suite *s = suite_create("quantity");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, reads_and_prints, 0, sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(tc, refuses, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_loop_test(tc, print_parses_again, 0, BS_QUANTITY_BITRATE + 1);
	tcase_add_loop_test(tc, survives_every_two_bytes, 0, BS_QUANTITY_BITRATE + 1);
	suite_add_tcase(s, tc);
	return s;
}
