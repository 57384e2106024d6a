/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pool.h"

#include <stddef.h>
#include <string.h>

#include "suite.h"

static struct bs_pool p;

static void teardown(void)
{
	bs_pool_fini(&p);
	bs_pool_fini(&p);
	bs_pool_fini(NULL);
}

static void setup(void)
{
	ck_assert_int_eq(bs_pool_init(&p, 3, sizeof(struct bs_ask), offsetof(struct bs_ask, next)),
			 BS_OK);
}

START_TEST(test_take_and_give)
{
	ck_assert_uint_eq(bs_pool_take(&p), 0);
	ck_assert_uint_eq(bs_pool_take(&p), 1);
	ck_assert_uint_eq(bs_pool_take(&p), 2);
	ck_assert_uint_eq(bs_pool_take(&p), BS_POOL_NONE);
	bs_pool_give(&p, 1);
	ck_assert_uint_eq(p.n, 2);
	ck_assert_uint_eq(bs_pool_take(&p), 1);
	ck_assert_ptr_eq(bs_pool_get(&p, 2), p.records + 2 * sizeof(struct bs_ask));
}
END_TEST

START_TEST(test_give_wipes_the_d_block)
{
	static const struct bs_key_block zero;
	struct bs_ask *ask;
	uint32_t i = bs_pool_take(&p);

	ask = bs_pool_get(&p, i);
	memset(&ask->block, 0x55, sizeof(ask->block));
	memset(ask->c.pkt, 0x55, sizeof(ask->c.pkt));
	bs_pool_give(&p, i);
	ck_assert_mem_eq(&ask->block, &zero, sizeof(zero));
	ck_assert_mem_eq(ask->c.pkt, &zero, sizeof(zero));
}
END_TEST

START_TEST(test_init_refuses)
{
	struct bs_pool bad;

	ck_assert_int_eq(bs_pool_init(&bad, 0, 8, 0), BS_EINVAL);
	ck_assert_int_eq(bs_pool_init(&bad, BS_POOL_NONE, 8, 0), BS_EINVAL);
}
END_TEST

Suite *bs_suite_pool(void)
{
	Suite *s = suite_create("pool");
	TCase *c = tcase_create("pool");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_take_and_give);
	tcase_add_test(c, test_give_wipes_the_d_block);
	tcase_add_test(c, test_init_refuses);
	suite_add_tcase(s, c);
	return s;
}
