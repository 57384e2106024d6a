/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/csv.h"
#include "suites.h"

static struct bs_csv c;
static char shown[16384];

/* What a reader says about the text, fed in pieces of `step` bytes: "line|f|f;line!why;". */
static const char *read_text(const char *text, size_t len, size_t step)
{
	size_t at = 0;
	size_t n = 0;
	size_t off = 0;
	bool ended = false;

	bs_csv_init(&c);
	shown[0] = '\0';
	while (!ended) {
		size_t used = 0;
		size_t piece = len - at < step ? len - at : step;
		enum bs_csv_step r;

		if (at + off < len) {
			r = bs_csv_feed(&c, text + at + off, piece > off ? piece - off : 0, &used);
			off += used;
			if (r == BS_CSV_MORE) {
				at += off;
				off = 0;
			}
		} else {
			r = bs_csv_end(&c);
			ended = r == BS_CSV_MORE;
		}
		if (r == BS_CSV_RECORD) {
			n += (size_t)snprintf(shown + n, sizeof(shown) - n, "%llu",
					      (unsigned long long)c.start);
			for (size_t i = 0; i < c.n; i++) {
				ck_assert_uint_eq(strlen(c.field[i]), c.len[i]);
				n += (size_t)snprintf(shown + n, sizeof(shown) - n, "|%s",
						      c.field[i]);
			}
			n += (size_t)snprintf(shown + n, sizeof(shown) - n, ";");
		} else if (r == BS_CSV_BAD) {
			ck_assert_ptr_nonnull(c.wrong);
			n += (size_t)snprintf(shown + n, sizeof(shown) - n, "%llu!;",
					      (unsigned long long)c.start);
		}
		ck_assert_uint_lt(n, sizeof(shown));
	}
	return shown;
}

static const struct {
	const char *text;
	const char *want;
} rows[] = {
	{ "", "" },
	{ "a", "1|a;" },
	{ "a\n", "1|a;" },
	{ "a,b\nc,d\n", "1|a|b;2|c|d;" },
	{ "a,b\r\nc,d\r\n", "1|a|b;2|c|d;" },
	{ "a,b\r\nc,d", "1|a|b;2|c|d;" },
	{ "\xEF\xBB\xBF"
	  "a,b\n",
	  "1|a|b;" },
	{ "\xEF\xBB"
	  "a\n",
	  "1|\xEF\xBB"
	  "a;" },
	{ ",\n", "1||;" },
	{ ",,x\n", "1|||x;" },
	{ "\n\n\na\n\n", "4|a;" },
	{ "\"a\"\n", "1|a;" },
	{ "\"a,b\",c\n", "1|a,b|c;" },
	{ "\"a\"\"b\"\n", "1|a\"b;" },
	{ "\"\",x\n", "1||x;" },
	{ "\"a\nb\"\nc\n", "1|a\nb;3|c;" },
	{ "\"a\r\nb\"\r\nc\r\n", "1|a\r\nb;3|c;" },
	{ " a , b \n", "1| a | b ;" },
	{ "a\"b\nc\n", "1!;2|c;" },
	{ "\"a\"b\nc\n", "1!;2|c;" },
	{ "a\rb\nc\n", "1!;2|c;" },
	{ "\"a\"\rb\nc\n", "1!;2|c;" },
	{ "\"never closed\nc\n", "1!;" },
	{ "a\n\"", "1|a;2!;" },
};

START_TEST(test_rows)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* In one piece, byte by byte, and every size between. */
		for (size_t step = 1; step < 8; step++) {
			const char *got = read_text(rows[i].text, strlen(rows[i].text), step);

			ck_assert_msg(strcmp(got, rows[i].want) == 0, "row %zu step %zu: %s", i,
				      step, got);
		}
	}
}
END_TEST

START_TEST(test_nul)
{
	ck_assert_str_eq(read_text("a\0b\nc\n", 6, 100), "1!;2|c;");
	ck_assert_str_eq(read_text("\"a\0b\"\nc\n", 8, 100), "1!;2|c;");
}
END_TEST

START_TEST(test_limits)
{
	static char text[3 * BS_CSV_RECORD_MAX];
	size_t n = BS_CSV_RECORD_MAX - 1;

	memset(text, 'x', sizeof(text));
	text[n] = '\n';
	read_text(text, n + 1, sizeof(text));
	ck_assert_uint_eq(c.len[0], n);
	/* One more is one too many; the next record is read again. */
	memcpy(text + n, "x\nb\n", 4);
	ck_assert_str_eq(read_text(text, n + 4, 7), "1!;2|b;");
	/* 32 fields fit, 33 do not. */
	memset(text, ',', BS_CSV_FIELDS_MAX);
	text[BS_CSV_FIELDS_MAX - 1] = '\n';
	read_text(text, BS_CSV_FIELDS_MAX, sizeof(text));
	ck_assert_uint_eq(c.n, BS_CSV_FIELDS_MAX);
	memcpy(text + BS_CSV_FIELDS_MAX - 1, ",\nb\n", 4);
	ck_assert_str_eq(read_text(text, BS_CSV_FIELDS_MAX + 3, 5), "1!;2|b;");
}
END_TEST

/* Random fields, written and read again, come back as they were. */
START_TEST(test_round_trip)
{
	static const char alphabet[] = "ab,\"\r\n \xc3\xa4;";
	static char line[BS_CSV_RECORD_MAX * 3];
	unsigned long seed = 12345;

	for (int round = 0; round < 3000; round++) {
		char field[6][12];
		char quoted[32];
		size_t n_fields;
		size_t len = 0;
		size_t used;

		seed = seed * 1103515245 + 12345;
		n_fields = 2 + (seed >> 16) % 5;
		for (size_t f = 0; f < n_fields; f++) {
			size_t n;

			seed = seed * 1103515245 + 12345;
			n = (seed >> 16) % 11;
			for (size_t k = 0; k < n; k++) {
				seed = seed * 1103515245 + 12345;
				field[f][k] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
			}
			field[f][n] = '\0';
			if (f > 0)
				line[len++] = ',';
			n = bs_csv_quote(field[f], n, quoted);
			memcpy(line + len, quoted, n);
			len += n;
		}
		line[len++] = '\n';
		bs_csv_init(&c);
		ck_assert_int_eq(bs_csv_feed(&c, line, len, &used), BS_CSV_RECORD);
		ck_assert_uint_eq(used, len);
		ck_assert_uint_eq(c.n, n_fields);
		for (size_t f = 0; f < n_fields; f++)
			ck_assert_str_eq(c.field[f], field[f]);
	}
}
END_TEST

Suite *bs_suite_csv(void)
{
	Suite *s = suite_create("csv");
	TCase *tc = tcase_create("reader");

	tcase_add_test(tc, test_rows);
	tcase_add_test(tc, test_nul);
	tcase_add_test(tc, test_limits);
	tcase_add_test(tc, test_round_trip);
	suite_add_tcase(s, tc);
	return s;
}
