/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/suggest.h"

#include <string.h>

#include "suites.h"

START_TEST(distance_of_known_pairs)
{
	static const struct {
		const char *a;
		const char *b;
		size_t d;
	} rows[] = {
		{ "", "", 0 },
		{ "a", "", 1 },
		{ "", "abc", 3 },
		{ "workers", "workers", 0 },
		{ "worker", "workers", 1 },
		{ "wrokers", "workers", 1 }, /* neighbours swapped */
		{ "sesion-rate", "session-rate", 1 },
		{ "kitten", "sitting", 3 },
		{ "ca", "abc", 3 },
		{ "abcdef", "ghijkl", 6 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_uint_eq(bs_suggest_distance(rows[i].a, rows[i].b), rows[i].d);
		ck_assert_uint_eq(bs_suggest_distance(rows[i].b, rows[i].a), rows[i].d);
	}
}
END_TEST

START_TEST(long_words_are_not_compared)
{
	char at[BS_SUGGEST_WORD_MAX + 1];
	char over[BS_SUGGEST_WORD_MAX + 2];

	memset(at, 'x', sizeof(at));
	at[BS_SUGGEST_WORD_MAX] = '\0';
	memset(over, 'x', sizeof(over));
	over[BS_SUGGEST_WORD_MAX + 1] = '\0';
	ck_assert_uint_eq(bs_suggest_distance(at, at), 0);
	ck_assert_uint_eq(bs_suggest_distance(over, over), BS_SUGGEST_WORD_MAX);
	ck_assert_ptr_null(bs_suggest_nearest(over, (const char *const[]){ over }, 1));
}
END_TEST

START_TEST(nearest_word)
{
	static const char *const words[] = { "alive-interval", "alive-retry", "alive-retries",
					     "user", "group" };
	size_t n = sizeof(words) / sizeof(words[0]);

	ck_assert_str_eq(bs_suggest_nearest("alive-intervall", words, n), "alive-interval");
	ck_assert_str_eq(bs_suggest_nearest("alive-retrys", words, n), "alive-retry");
	ck_assert_str_eq(bs_suggest_nearest("alive_retries", words, n), "alive-retries");
	ck_assert_str_eq(bs_suggest_nearest("user", words, n), "user");
	ck_assert_str_eq(bs_suggest_nearest("usr", words, n), "user");
	ck_assert_ptr_null(bs_suggest_nearest("completely-different", words, n));
	ck_assert_ptr_null(bs_suggest_nearest("user", words, 0));
}
END_TEST

Suite *bs_suite_suggest(void)
{
	Suite *s = suite_create("suggest");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, distance_of_known_pairs);
	tcase_add_test(tc, long_words_are_not_compared);
	tcase_add_test(tc, nearest_word);
	suite_add_tcase(s, tc);
	return s;
}
