/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sketch.h"

#include <string.h>

#include "suite.h"
#include "util/siphash.h"

static struct bs_sketch s;

static void setup(void)
{
	memset(&s, 0, sizeof(s));
}

static uint64_t hash_of(uint32_t i)
{
	static const uint8_t key[BS_SIPHASH_KEY_LEN] = { 8 };

	return bs_siphash(key, &i, sizeof(i));
}

START_TEST(test_remembers_a_day)
{
	const uint32_t t = 50000;

	ck_assert(!bs_sketch_has(&s, hash_of(1), t));
	ck_assert(bs_sketch_add(&s, hash_of(1), t));
	ck_assert(!bs_sketch_add(&s, hash_of(1), t));
	ck_assert(bs_sketch_has(&s, hash_of(1), t));
	ck_assert(!bs_sketch_has(&s, hash_of(2), t));
	ck_assert(bs_sketch_has(&s, hash_of(1), t + 23 * 3600));
	ck_assert(!bs_sketch_has(&s, hash_of(1), t + 25 * 3600));
	/* Seen again, it counts again. */
	ck_assert(bs_sketch_add(&s, hash_of(1), t + 25 * 3600));
	ck_assert(bs_sketch_has(&s, hash_of(1), t + 26 * 3600));
}
END_TEST

START_TEST(test_oldest_gives_way)
{
	uint64_t base = 42; /* one set: the low bits choose it */
	uint32_t i;

	for (i = 1; i <= 5; i++)
		bs_sketch_add(&s, base | (uint64_t)i << 48, i * 3600);
	ck_assert(!bs_sketch_has(&s, base | UINT64_C(1) << 48, 5 * 3600));
	for (i = 2; i <= 5; i++)
		ck_assert(bs_sketch_has(&s, base | (uint64_t)i << 48, 5 * 3600));
}
END_TEST

START_TEST(test_tag_zero)
{
	ck_assert(!bs_sketch_has(&s, 7, 0));
	bs_sketch_add(&s, 7, 0);
	ck_assert(bs_sketch_has(&s, 7, 0));
}
END_TEST

START_TEST(test_few_strangers_are_taken_for_known)
{
	unsigned wrong = 0;
	unsigned found = 0;
	uint32_t i;

	for (i = 0; i < 10000; i++)
		bs_sketch_add(&s, hash_of(i), 0);
	for (i = 0; i < 10000; i++)
		found += bs_sketch_has(&s, hash_of(i), 0);
	/* A third of its room is in use, so hardly one had to give way. */
	ck_assert_uint_gt(found, 9900);
	for (i = 100000; i < 200000; i++)
		wrong += bs_sketch_has(&s, hash_of(i), 0);
	ck_assert_uint_lt(wrong, 20);
}
END_TEST

Suite *bs_suite_sketch(void)
{
	Suite *suite = suite_create("sketch");
	TCase *c = tcase_create("sketch");

	tcase_add_checked_fixture(c, setup, NULL);
	tcase_add_test(c, test_remembers_a_day);
	tcase_add_test(c, test_oldest_gives_way);
	tcase_add_test(c, test_tag_zero);
	tcase_add_test(c, test_few_strangers_are_taken_for_known);
	suite_add_tcase(suite, c);
	return suite;
}
