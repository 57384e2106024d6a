/* SPDX-License-Identifier: Apache-2.0 */
#include "log/format.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "suites.h"

/* 2026-11-22T09:30:00.042Z */
#define WALL (UINT64_C(1795339800) * 1000000000u + 42000000u)

static struct bs_log_record record(const char *message, const struct bs_log_pair *pairs, size_t n)
{
	struct bs_log_record rec;

	memset(&rec, 0, sizeof(rec));
	rec.wall_ns = WALL;
	rec.level = BS_LOG_WARNING;
	snprintf(rec.name, sizeof(rec.name), "worker 1");
	snprintf(rec.message, sizeof(rec.message), "%s", message);
	bs__log_record_set_pairs(&rec, pairs, n);
	return rec;
}

static void expect(const struct bs_log_record *rec, enum bs_log_format format, bool with_time,
		   const char *want)
{
	char out[BS_LOG_LINE_MAX];

	ck_assert_uint_eq(bs__log_format(rec, format, with_time, out, sizeof(out)), strlen(want));
	ck_assert_str_eq(out, want);
}

START_TEST(three_forms)
{
	struct bs_log_record rec =
		record("attach, refused (\"x\")",
		       BS_LOG_PAIRS(BS_LOG_STR("device", "d.example"), BS_LOG_U64("n", 7),
				    BS_LOG_I64("by", -3), BS_LOG_STR("text", "two words")));

	expect(&rec, BS_LOG_TEXT, true,
	       "2026-11-22T09:30:00.042Z warning: attach, refused (\"x\") device=d.example n=7 "
	       "by=-3 text=\"two words\"");
	expect(&rec, BS_LOG_TEXT, false,
	       "warning: attach, refused (\"x\") device=d.example n=7 by=-3 text=\"two words\"");
	expect(&rec, BS_LOG_LOGFMT, true,
	       "time=2026-11-22T09:30:00.042Z level=warning thread=\"worker 1\" msg=\"attach, "
	       "refused (\\\"x\\\")\" device=d.example n=7 by=-3 text=\"two words\"");
	expect(&rec, BS_LOG_JSON, true,
	       "{\"time\":\"2026-11-22T09:30:00.042Z\",\"level\":\"warning\",\"thread\":\"worker "
	       "1\",\"msg\":\"attach, refused (\\\"x\\\")\",\"device\":\"d.example\",\"n\":7,"
	       "\"by\":-3,\"text\":\"two words\"}");
}
END_TEST

/* whatever bytes come, a line is one line of printable ASCII, and JSON stays JSON */
START_TEST(every_byte_is_tamed)
{
	char message[257];
	char out[BS_LOG_LINE_MAX];
	struct bs_log_record rec;

	for (unsigned i = 1; i < 256; i++)
		message[i - 1] = (char)i;
	message[255] = '\0';
	rec = record(message, BS_LOG_PAIRS(BS_LOG_STR("v", "a\nb\x1b[2J\"\\=\xff")));
	for (int f = BS_LOG_TEXT; f <= BS_LOG_JSON; f++) {
		size_t n = bs__log_format(&rec, (enum bs_log_format)f, true, out, sizeof(out));

		ck_assert_uint_eq(n, strlen(out));
		for (size_t i = 0; i < n; i++)
			ck_assert(out[i] >= 0x20 && out[i] < 0x7F);
	}
	{
		json_t *o = json_loads(out, 0, NULL);

		ck_assert_ptr_nonnull(o);
		ck_assert_str_eq(json_string_value(json_object_get(o, "v")),
				 "a\nb\\x1b[2J\"\\=\\xff");
		json_decref(o);
	}
}
END_TEST

START_TEST(pairs_that_do_not_fit_are_left_out)
{
	char big[300];
	struct bs_log_record rec;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	rec = record("m", BS_LOG_PAIRS(BS_LOG_STR("big", big), BS_LOG_U64("n", 1)));
	expect(&rec, BS_LOG_TEXT, false, "warning: m n=1");
	big[BS_LOG_PAIRS_MAX - 3 - 3] = '\0';
	rec = record("m", BS_LOG_PAIRS(BS_LOG_STR("big", big), BS_LOG_U64("n", 1)));
	ck_assert_uint_eq(rec.pairs_len, BS_LOG_PAIRS_MAX);
}
END_TEST

START_TEST(bytes_of_a_peer)
{
	static const uint8_t peer[] = { 'a', 0, 'b', '\r', 'c' };
	struct bs_log_record rec =
		record("m", BS_LOG_PAIRS(BS_LOG_BYTES("p", peer, sizeof(peer)),
					 BS_LOG_BYTES("e", NULL, 0), BS_LOG_STR("s", NULL)));

	expect(&rec, BS_LOG_TEXT, false, "warning: m p=\"a?b\\rc\" e=\"\" s=\"\"");
}
END_TEST

START_TEST(small_buffers)
{
	struct bs_log_record rec = record("message", NULL, 0);
	char out[64];

	for (size_t cap = 1; cap < 20; cap++) {
		memset(out, '!', sizeof(out));
		ck_assert_uint_le(bs__log_format(&rec, BS_LOG_TEXT, false, out, cap), cap - 1);
		ck_assert_uint_lt(strlen(out), cap);
		ck_assert_int_eq(out[cap], '!');
	}
	ck_assert_uint_eq(bs__log_format(&rec, BS_LOG_TEXT, false, out, 0), 0);
}
END_TEST

START_TEST(escape_for_messages)
{
	static const struct {
		const char *in;
		size_t len;
		size_t cap;
		const char *want;
	} rows[] = {
		{ "plain", 5, 32, "plain" },
		{ "a\nb", 3, 32, "a\\nb" },
		{ "\"\\", 2, 32, "\\\"\\\\" },
		{ "\x00\x7f\x80", 3, 32, "\\x00\\x7f\\x80" },
		{ "", 0, 32, "" },
		{ "abcdefgh", 8, 9, "abcdefgh" },
		{ "abcdefgh", 8, 8, "abcd..." },
		{ "abc\n\n\n", 6, 8, "abc..." },
		{ "abcdef", 6, 3, ".." },
		{ "abcdef", 6, 1, "" },
		{ "abcdef", 6, 0, "" },
	};
	char out[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_str_eq(bs_log_escape(out, rows[i].cap, rows[i].in, rows[i].len),
				 rows[i].want);
}
END_TEST

Suite *bs_suite_format(void)
{
	Suite *s = suite_create("format");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, three_forms);
	tcase_add_test(tc, every_byte_is_tamed);
	tcase_add_test(tc, pairs_that_do_not_fit_are_left_out);
	tcase_add_test(tc, bytes_of_a_peer);
	tcase_add_test(tc, small_buffers);
	tcase_add_test(tc, escape_for_messages);
	suite_add_tcase(s, tc);
	return s;
}
