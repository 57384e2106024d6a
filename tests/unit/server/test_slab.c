/* SPDX-License-Identifier: Apache-2.0 */
#include "server/slab.h"

#include <stddef.h>
#include <string.h>

#include "suite.h"

static struct bs_slab s;

static void setup(void)
{
	ck_assert_int_eq(bs_slab_init(&s, 10), BS_OK);
}

static void teardown(void)
{
	bs_slab_fini(&s);
	bs_slab_fini(&s);
	bs_slab_fini(NULL);
}

START_TEST(test_record_fits_its_budget)
{
	ck_assert_uint_eq(sizeof(struct bs_device_hot), 64);
	ck_assert_uint_eq((uintptr_t)&s.hot[3] % 64, 0);
	ck_assert_uint_le(sizeof(struct bs_device_hot) + sizeof(struct bs_device_cold), 208);
}
END_TEST

START_TEST(test_take_to_the_limit)
{
	uint32_t i;

	for (i = 0; i < 10; i++)
		ck_assert_uint_eq(bs_slab_take(&s), i);
	ck_assert_uint_eq(bs_slab_take(&s), BS_SLAB_NONE);
	ck_assert_uint_eq(s.n, 10);
	bs_slab_give(&s, 4);
	bs_slab_give(&s, 7);
	ck_assert_uint_eq(s.n, 8);
	ck_assert_uint_eq(bs_slab_take(&s), 7);
	ck_assert_uint_eq(bs_slab_take(&s), 4);
	ck_assert_uint_eq(bs_slab_take(&s), BS_SLAB_NONE);
}
END_TEST

START_TEST(test_give_wipes_the_key)
{
	static const struct bs_key_block zero;
	uint32_t i = bs_slab_take(&s);

	memset(&s.cold[i].c_key, 0xAA, sizeof(s.cold[i].c_key));
	s.hot[i].nsi = 5;
	bs_slab_give(&s, i);
	ck_assert_mem_eq(&s.cold[i].c_key, &zero, sizeof(zero));
	ck_assert_uint_eq(bs_slab_take(&s), i);
	ck_assert_uint_eq(s.hot[i].nsi, 0);
	ck_assert_uint_eq(s.hot[i].flags, BS_SLAB_USED);
}
END_TEST

START_TEST(test_next_skips_holes)
{
	uint32_t i;

	ck_assert_uint_eq(bs_slab_next(&s, 0), BS_SLAB_NONE);
	for (i = 0; i < 5; i++)
		(void)bs_slab_take(&s);
	bs_slab_give(&s, 0);
	bs_slab_give(&s, 3);
	ck_assert_uint_eq(bs_slab_next(&s, 0), 1);
	ck_assert_uint_eq(bs_slab_next(&s, 3), 4);
	ck_assert_uint_eq(bs_slab_next(&s, 5), BS_SLAB_NONE);
	ck_assert_uint_eq(bs_slab_next(&s, 1000), BS_SLAB_NONE);
}
END_TEST

START_TEST(test_init_refuses)
{
	struct bs_slab bad;

	ck_assert_int_eq(bs_slab_init(&bad, 0), BS_EINVAL);
	ck_assert_int_eq(bs_slab_init(&bad, BS_SLAB_NONE), BS_EINVAL);
	ck_assert_uint_eq(bs_slab_bytes(&s),
			  10 * (sizeof(struct bs_device_hot) + sizeof(struct bs_device_cold)));
}
END_TEST

Suite *bs_suite_slab(void)
{
	Suite *suite = suite_create("slab");
	TCase *c = tcase_create("slab");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_record_fits_its_budget);
	tcase_add_test(c, test_take_to_the_limit);
	tcase_add_test(c, test_give_wipes_the_key);
	tcase_add_test(c, test_next_skips_holes);
	tcase_add_test(c, test_init_refuses);
	suite_add_tcase(suite, c);
	return suite;
}
