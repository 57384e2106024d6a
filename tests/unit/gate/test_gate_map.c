/* SPDX-License-Identifier: Apache-2.0 */
#include "server/gate_map.h"

#include <stddef.h>

#include "test.h"

static const uint8_t seed[BS_SIPHASH_KEY_LEN] = "a fixed seed 16";

static uint32_t next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

START_TEST(what_is_put_is_found_until_it_is_removed)
{
	struct bs_gate_map m;
	int a, b;

	ck_assert_int_eq(bs_gate_map_init(&m, 2, seed), BS_OK);
	ck_assert_ptr_null(bs_gate_map_get(&m, 1));
	ck_assert_int_eq(bs_gate_map_put(&m, 1, &a), BS_OK);
	ck_assert_int_eq(bs_gate_map_put(&m, 1, &b), BS_EEXIST);
	ck_assert_int_eq(bs_gate_map_put(&m, 0, &b), BS_OK);
	ck_assert_int_eq(bs_gate_map_put(&m, 2, &b), BS_EFULL);
	ck_assert_ptr_eq(bs_gate_map_get(&m, 1), &a);
	ck_assert_ptr_eq(bs_gate_map_get(&m, 0), &b);
	bs_gate_map_remove(&m, 7);
	bs_gate_map_remove(&m, 1);
	ck_assert_ptr_null(bs_gate_map_get(&m, 1));
	ck_assert_ptr_eq(bs_gate_map_get(&m, 0), &b);
	bs_gate_map_fini(&m);
	bs_gate_map_fini(&m);
	ck_assert_ptr_null(bs_gate_map_get(&m, 0));
	bs_gate_map_remove(&m, 0);
}
END_TEST

#define KEYS 64

/** Against an array, at every fill level, with keys that collide often. */
START_TEST(the_map_agrees_with_a_naive_one)
{
	struct bs_gate_map m;
	void *naive[KEYS] = { NULL };
	static int values[KEYS];
	uint32_t x = 0x5EED0001 + (uint32_t)_i;
	size_t used = 0;

	ck_assert_int_eq(bs_gate_map_init(&m, 20, seed), BS_OK);
	for (int step = 0; step < 4000; step++) {
		uint32_t key = next_random(&x) % KEYS;

		if (next_random(&x) & 1) {
			int want = used >= 20 ? BS_EFULL : naive[key] ? BS_EEXIST : BS_OK;

			ck_assert_int_eq(bs_gate_map_put(&m, key, &values[key]), want);
			if (want == BS_OK) {
				naive[key] = &values[key];
				used++;
			}
		} else {
			bs_gate_map_remove(&m, key);
			used -= naive[key] != NULL;
			naive[key] = NULL;
		}
		for (uint32_t k = 0; k < KEYS; k++)
			ck_assert_msg(bs_gate_map_get(&m, k) == naive[k], "seed %d step %d key %u",
				      _i, step, k);
	}
	bs_gate_map_fini(&m);
}
END_TEST

START_TEST(a_pool_gives_zeroed_items_and_has_an_end)
{
	struct item {
		void *first;
		uint8_t secret[24];
	} * a, *b, *c;
	static const struct item zero;
	struct bs_gate_pool p;

	ck_assert_int_eq(bs_gate_pool_init(&p, sizeof(*a), 2), BS_OK);
	a = bs_gate_pool_take(&p);
	b = bs_gate_pool_take(&p);
	ck_assert_ptr_nonnull(a);
	ck_assert_ptr_nonnull(b);
	ck_assert_ptr_ne(a, b);
	ck_assert_ptr_null(bs_gate_pool_take(&p));
	memset(a, 0xAA, sizeof(*a));
	bs_gate_pool_give(&p, a);
	for (size_t i = 0; i < sizeof(a->secret); i++)
		ck_assert_uint_eq(a->secret[i], 0);
	c = bs_gate_pool_take(&p);
	ck_assert_ptr_eq(c, a);
	ck_assert_mem_eq(c, &zero, sizeof(zero));
	ck_assert_uint_eq(p.used, 2);
	bs_gate_pool_give(&p, b);
	bs_gate_pool_give(&p, c);
	bs_gate_pool_give(&p, NULL);
	ck_assert_uint_eq(p.used, 0);
	bs_gate_pool_fini(&p);
}
END_TEST

START_TEST(items_of_odd_size_are_aligned)
{
	struct bs_gate_pool p;

	for (size_t item = sizeof(void *); item < 40; item++) {
		ck_assert_int_eq(bs_gate_pool_init(&p, item, 3), BS_OK);
		for (int i = 0; i < 3; i++) {
			uint8_t *a = bs_gate_pool_take(&p);

			ck_assert_uint_eq((uintptr_t)a % _Alignof(max_align_t), 0);
			/* All of it is the item's own. */
			for (size_t k = 0; k < item; k++)
				ck_assert_uint_eq(a[k], 0);
			memset(a, 0xFF, item);
		}
		bs_gate_pool_fini(&p);
	}
}
END_TEST

Suite *bs_suite_gate_map(void)
{
	Suite *s = suite_create("gate_map");
	TCase *tc = tcase_create("map");

	tcase_add_test(tc, what_is_put_is_found_until_it_is_removed);
	tcase_add_loop_test(tc, the_map_agrees_with_a_naive_one, 0, 4);
	tcase_add_test(tc, a_pool_gives_zeroed_items_and_has_an_end);
	tcase_add_test(tc, items_of_odd_size_are_aligned);
	suite_add_tcase(s, tc);
	return s;
}
