/* SPDX-License-Identifier: Apache-2.0 */
#include "server/intern.h"

#include <stdio.h>
#include <string.h>

#include "shelf.h"
#include "suite.h"

static const uint8_t key[BS_SIPHASH_KEY_LEN] = { 3 };
static struct bs_state *state;
static struct bs_intern t;

static void setup(void)
{
	state = shelf_open(10);
	ck_assert_int_eq(bs_intern_init(&t, bs_state_shard(state, 0), key), BS_OK);
}

static void teardown(void)
{
	bs_intern_fini(&t);
	bs_intern_fini(&t);
	bs_intern_fini(NULL);
	bs_state_close(state);
}

START_TEST(test_same_text_same_index)
{
	uint32_t a = bs_intern_put(&t, "1.0", 3);
	uint32_t b = bs_intern_put(&t, "1.1", 3);

	ck_assert_uint_ne(a, 0);
	ck_assert_uint_ne(a, b);
	ck_assert_uint_eq(bs_intern_put(&t, "1.0xyz", 3), a);
	ck_assert_str_eq(bs_intern_get(&t, a), "1.0");
	ck_assert_str_eq(bs_intern_get(&t, b), "1.1");
	ck_assert_uint_eq(bs_intern_put(&t, "", 0), 0);
	ck_assert_str_eq(bs_intern_get(&t, 0), "");
	ck_assert_str_eq(bs_intern_get(&t, 4711), "");
}
END_TEST

START_TEST(test_long_text_is_cut)
{
	char text[200];
	uint32_t i;

	memset(text, 'a', sizeof(text));
	i = bs_intern_put(&t, text, sizeof(text));
	ck_assert_uint_eq(strlen(bs_intern_get(&t, i)), BS_INTERN_TEXT_MAX - 1);
}
END_TEST

START_TEST(test_full_set_gives_the_empty_text)
{
	char text[16];
	unsigned i;

	for (i = 1; i < BS_INTERN_MAX; i++) {
		snprintf(text, sizeof(text), "%u", i);
		ck_assert_uint_eq(bs_intern_put(&t, text, strlen(text)), i);
	}
	ck_assert_uint_eq(bs_intern_put(&t, "new", 3), 0);
	ck_assert_uint_eq(bs_intern_put(&t, "77", 2), 77);
}
END_TEST

Suite *bs_suite_intern(void)
{
	Suite *s = suite_create("intern");
	TCase *c = tcase_create("intern");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_same_text_same_index);
	tcase_add_test(c, test_long_text_is_cut);
	tcase_add_test(c, test_full_set_gives_the_empty_text);
	suite_add_tcase(s, c);
	return s;
}
