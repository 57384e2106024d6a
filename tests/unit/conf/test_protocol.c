/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/protocol.h"
#include "suites.h"

START_TEST(test_status)
{
	for (int i = 0; i < 10; i++) {
		ck_assert_str_ne(bs_ctl_status_name(i), "");
		ck_assert_ptr_nonnull(bs_ctl_status_help(i));
	}
	ck_assert_ptr_null(bs_ctl_status_help(10));
	ck_assert_ptr_null(bs_ctl_status_help(-1));
	ck_assert_int_eq(bs_ctl_status_from_err(BS_OK), BS_CTL_OK);
	ck_assert_int_eq(bs_ctl_status_from_err(BS_ENOENT), BS_CTL_NOT_FOUND);
	ck_assert_int_eq(bs_ctl_status_from_err(BS_EPERM), BS_CTL_REFUSED);
	ck_assert_int_eq(bs_ctl_status_from_err(BS_EEXIST), BS_CTL_EXISTS);
	ck_assert_int_eq(bs_ctl_status_from_err(BS_ECONF), BS_CTL_BAD_INPUT);
	ck_assert_int_eq(bs_ctl_status_from_err(BS_EBUSY), BS_CTL_BUSY);
	ck_assert_int_eq(bs_ctl_status_from_err(BS_ENOMEM), BS_CTL_FAILED);
	ck_assert_int_eq(bs_ctl_status_from_err(-12345), BS_CTL_FAILED);
}
END_TEST

START_TEST(test_error_text)
{
	struct bs_ctl_error e;
	char text[1024];
	char small[8];
	char longer[2000];

	bs_ctl_error_set(&e, BS_CTL_FAILED, "a.csv:3", "do that", "is %s", "bad");
	ck_assert_str_eq(bs_ctl_error_text(&e, text, sizeof(text)), "a.csv:3: is bad; do that");
	bs_ctl_error_set(&e, BS_CTL_FAILED, NULL, NULL, "is bad");
	ck_assert_str_eq(bs_ctl_error_text(&e, text, sizeof(text)), "is bad");
	ck_assert_str_eq(bs_ctl_error_text(&e, small, 4), "is ");
	bs_ctl_error_set(&e, BS_CTL_NOT_FOUND, NULL, NULL, "%s", "");
	ck_assert_str_eq(bs_ctl_error_text(&e, text, sizeof(text)), "not-found");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	bs_ctl_error_set(&e, BS_CTL_FAILED, longer, longer, "%s", longer);
	ck_assert_uint_lt(strlen(e.place), sizeof(e.place));
	ck_assert_uint_lt(strlen(e.reason), sizeof(e.reason));
}
END_TEST

START_TEST(test_lines)
{
	struct bs_ctl_lines l;
	size_t len;
	const char *s;

	bs_ctl_lines_init(&l, 10);
	ck_assert_ptr_null(bs_ctl_lines_next(&l, &len));
	ck_assert_int_eq(bs_ctl_lines_add(&l, "ab", 2), BS_OK);
	ck_assert_ptr_null(bs_ctl_lines_next(&l, &len));
	ck_assert_int_eq(bs_ctl_lines_add(&l, "c\n\nde\nf", 7), BS_OK);
	s = bs_ctl_lines_next(&l, &len);
	ck_assert(len == 3 && memcmp(s, "abc", 3) == 0);
	s = bs_ctl_lines_next(&l, &len);
	ck_assert(s && len == 0);
	s = bs_ctl_lines_next(&l, &len);
	ck_assert(len == 2 && memcmp(s, "de", 2) == 0);
	ck_assert_ptr_null(bs_ctl_lines_next(&l, &len));
	ck_assert_int_eq(bs_ctl_lines_add(&l, "ghijklmno", 9), BS_OK);
	/* Ten bytes wait; an eleventh is too many, a newline is not. */
	ck_assert_int_eq(bs_ctl_lines_add(&l, "p", 1), BS_ETOOBIG);
	ck_assert_int_eq(bs_ctl_lines_add(&l, "\n", 1), BS_OK);
	s = bs_ctl_lines_next(&l, &len);
	ck_assert(len == 10 && memcmp(s, "fghijklmno", 10) == 0);
	ck_assert_int_eq(bs_ctl_lines_add(&l, "", 0), BS_OK);
	bs_ctl_lines_fini(&l);
	bs_ctl_lines_fini(&l);
	bs_ctl_lines_fini(NULL);
}
END_TEST

/* Random pieces against the obvious way to split. */
START_TEST(test_lines_model)
{
	unsigned long seed = 99;

	for (int round = 0; round < 200; round++) {
		struct bs_ctl_lines l;
		char all[4000];
		size_t n = 0;
		size_t fed = 0;
		size_t seen = 0;
		size_t len;
		const char *s;

		for (; n < sizeof(all); n++) {
			seed = seed * 1103515245 + 12345;
			all[n] = (seed >> 16) % 9 == 0 ? '\n' : (char)('a' + (seed >> 16) % 26);
		}
		bs_ctl_lines_init(&l, sizeof(all));
		while (fed < n) {
			size_t piece;

			seed = seed * 1103515245 + 12345;
			piece = 1 + (seed >> 16) % 97;
			if (piece > n - fed)
				piece = n - fed;
			ck_assert_int_eq(bs_ctl_lines_add(&l, all + fed, piece), BS_OK);
			fed += piece;
			while ((seed >> 20) % 3 != 0 && (s = bs_ctl_lines_next(&l, &len))) {
				ck_assert_mem_eq(s, all + seen, len);
				ck_assert_int_eq(all[seen + len], '\n');
				ck_assert_ptr_null(memchr(s, '\n', len));
				seen += len + 1;
			}
		}
		while ((s = bs_ctl_lines_next(&l, &len)))
			seen += len + 1;
		ck_assert_uint_le(seen, n);
		ck_assert_ptr_null(memchr(all + seen, '\n', n - seen));
		bs_ctl_lines_fini(&l);
	}
}
END_TEST

START_TEST(test_too_deep)
{
	ck_assert(!bs_ctl_too_deep("[[]]", 4, 2));
	ck_assert(bs_ctl_too_deep("[[[]]]", 6, 2));
	ck_assert(!bs_ctl_too_deep("[][][]", 6, 1));
	ck_assert(!bs_ctl_too_deep("\"[[[[\"", 6, 0));
	ck_assert(bs_ctl_too_deep("\"\\\"\"[", 5, 0));
	ck_assert(!bs_ctl_too_deep("]]]]", 4, 0));
	ck_assert(!bs_ctl_too_deep("\"\\", 2, 0));
}
END_TEST

/* Without the newline. */
static size_t trimmed(const char *text)
{
	return strlen(text) - 1;
}

START_TEST(test_request)
{
	struct bs_ctl_request r;
	struct bs_ctl_error e;
	size_t len = 0;
	char *text = bs_ctl_make_request(7, "device show", json_pack("{s:s}", "id", "a\nb"), &len);

	ck_assert_uint_eq(len, strlen(text));
	ck_assert_ptr_eq(strchr(text, '\n'), text + len - 1);
	ck_assert_int_eq(bs_ctl_request_parse(&r, text, trimmed(text), &e), BS_OK);
	ck_assert_int_eq(r.id, 7);
	ck_assert_str_eq(r.command, "device show");
	ck_assert_str_eq(json_string_value(json_object_get(r.args, "id")), "a\nb");
	bs_ctl_request_fini(&r);
	bs_ctl_request_fini(&r);
	free(text);
	text = bs_ctl_make_rows(7, json_pack("[i]", 1), &len);
	ck_assert_int_eq(bs_ctl_request_parse(&r, text, trimmed(text), &e), BS_OK);
	ck_assert(r.rows && !r.command && !r.end && !r.abort);
	bs_ctl_request_fini(&r);
	free(text);
	text = bs_ctl_make_end(7, false, &len);
	ck_assert_int_eq(bs_ctl_request_parse(&r, text, trimmed(text), &e), BS_OK);
	ck_assert(r.end && !r.abort);
	bs_ctl_request_fini(&r);
	free(text);
	text = bs_ctl_make_end(7, true, &len);
	ck_assert_int_eq(bs_ctl_request_parse(&r, text, trimmed(text), &e), BS_OK);
	ck_assert(!r.end && r.abort);
	bs_ctl_request_fini(&r);
	free(text);
}
END_TEST

START_TEST(test_record)
{
	struct bs_ctl_error e;
	struct bs_ctl_record r;
	size_t len = 0;
	char *text = bs_ctl_make_record(3, BS_CTL_ITEM, json_pack("{s:i}", "x", 1), &len);

	ck_assert_int_eq(bs_ctl_record_parse(&r, text, trimmed(text), &e), BS_OK);
	ck_assert_int_eq(r.kind, BS_CTL_ITEM);
	ck_assert_int_eq(json_integer_value(json_object_get(r.value, "x")), 1);
	bs_ctl_record_fini(&r);
	free(text);
	text = bs_ctl_make_record(3, BS_CTL_READY, NULL, &len);
	ck_assert_int_eq(bs_ctl_record_parse(&r, text, trimmed(text), &e), BS_OK);
	ck_assert_int_eq(r.kind, BS_CTL_READY);
	bs_ctl_record_fini(&r);
	free(text);
	text = bs_ctl_make_final(3, NULL, "c0", &len);
	ck_assert_int_eq(bs_ctl_record_parse(&r, text, trimmed(text), &e), BS_OK);
	ck_assert_int_eq(r.kind, BS_CTL_FINAL);
	ck_assert_int_eq(r.error.status, BS_CTL_OK);
	ck_assert_str_eq(r.cursor, "c0");
	bs_ctl_record_fini(&r);
	free(text);
	bs_ctl_error_set(&e, BS_CTL_EXISTS, "p", "m", "r");
	text = bs_ctl_make_error(3, &e, &len);
	ck_assert_int_eq(bs_ctl_record_parse(&r, text, trimmed(text), &e), BS_OK);
	ck_assert_int_eq(r.error.status, BS_CTL_EXISTS);
	ck_assert_str_eq(r.error.place, "p");
	ck_assert_str_eq(r.error.reason, "r");
	ck_assert_str_eq(r.error.remedy, "m");
	bs_ctl_record_fini(&r);
	free(text);
	/* A message with bytes that are not UTF-8 still gets through. */
	bs_ctl_error_set(&e, BS_CTL_FAILED, "\xff\xfe", NULL, "r");
	text = bs_ctl_make_error(3, &e, &len);
	ck_assert_ptr_nonnull(text);
	free(text);
}
END_TEST

START_TEST(test_record_bad)
{
	static const char *const bad[] = {
		"",
		"x",
		"[]",
		"{}",
		"{\"id\":1}",
		"{\"id\":1,\"status\":\"0\"}",
		"{\"id\":1,\"status\":-1}",
		"{\"id\":1,\"status\":256}",
		"{\"status\":0}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bs_ctl_record r;
		struct bs_ctl_error e;

		ck_assert_msg(bs_ctl_record_parse(&r, bad[i], strlen(bad[i]), &e) == BS_ECONF, "%s",
			      bad[i]);
		ck_assert_str_ne(e.reason, "");
	}
}
END_TEST

Suite *bs_suite_protocol(void)
{
	Suite *s = suite_create("protocol");
	TCase *tc = tcase_create("lines");

	tcase_add_test(tc, test_status);
	tcase_add_test(tc, test_error_text);
	tcase_add_test(tc, test_lines);
	tcase_add_test(tc, test_lines_model);
	tcase_add_test(tc, test_too_deep);
	tcase_add_test(tc, test_request);
	tcase_add_test(tc, test_record);
	tcase_add_test(tc, test_record_bad);
	suite_add_tcase(s, tc);
	return s;
}
