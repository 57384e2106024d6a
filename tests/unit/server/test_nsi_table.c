/* SPDX-License-Identifier: Apache-2.0 */
#include "server/nsi_table.h"

#include <stdlib.h>

#include "suite.h"

static struct bs_nsi_table t;

static void setup(void)
{
	ck_assert_int_eq(bs_nsi_table_init(&t, 100), BS_OK);
}

static void teardown(void)
{
	bs_nsi_table_fini(&t);
	bs_nsi_table_fini(&t);
	bs_nsi_table_fini(NULL);
}

START_TEST(test_put_get_change_remove)
{
	uint32_t i = 99;

	ck_assert_int_eq(bs_nsi_table_get(&t, 0x123456, &i), BS_NSI_NONE);
	ck_assert_uint_eq(i, 99);
	ck_assert_int_eq(bs_nsi_table_put(&t, 0x123456, BS_NSI_PENDING, 5), BS_OK);
	ck_assert_int_eq(bs_nsi_table_put(&t, 0x123456, BS_NSI_CONN, 6), BS_EEXIST);
	ck_assert_int_eq(bs_nsi_table_get(&t, 0x123456, &i), BS_NSI_PENDING);
	ck_assert_uint_eq(i, 5);
	bs_nsi_table_change(&t, 0x123456, BS_NSI_DEVICE, BS_NSI_INDEX_MAX);
	ck_assert_int_eq(bs_nsi_table_get(&t, 0x123456, &i), BS_NSI_DEVICE);
	ck_assert_uint_eq(i, BS_NSI_INDEX_MAX);
	bs_nsi_table_change(&t, 0x654321, BS_NSI_DEVICE, 1);
	ck_assert_int_eq(bs_nsi_table_get(&t, 0x654321, &i), BS_NSI_NONE);
	bs_nsi_table_remove(&t, 0x123456);
	bs_nsi_table_remove(&t, 0x123456);
	bs_nsi_table_remove(&t, 0);
	ck_assert_int_eq(bs_nsi_table_get(&t, 0x123456, &i), BS_NSI_NONE);
	ck_assert_uint_eq(t.numbers.n, 0);
}
END_TEST

START_TEST(test_refusals)
{
	struct bs_nsi_table bad;
	uint32_t n;

	ck_assert_int_eq(bs_nsi_table_put(&t, 0, BS_NSI_CONN, 1), BS_EINVAL);
	ck_assert_int_eq(bs_nsi_table_put(&t, 1, BS_NSI_CONN, BS_NSI_INDEX_MAX + 1), BS_EINVAL);
	for (n = 1; n <= 100; n++)
		ck_assert_int_eq(bs_nsi_table_put(&t, n << 20, BS_NSI_CONN, n), BS_OK);
	ck_assert_int_eq(bs_nsi_table_put(&t, 101 << 20, BS_NSI_CONN, 1), BS_EFULL);
	ck_assert_int_eq(bs_nsi_table_init(&bad, 0), BS_EINVAL);
	ck_assert_int_eq(bs_nsi_table_init(&bad, UINT32_MAX), BS_EINVAL);
}
END_TEST

/* A small table, always nearly full, against a plain list. */
START_TEST(test_against_a_model)
{
	uint32_t key[100] = { 0 };
	uint32_t val[100] = { 0 };
	uint32_t step;
	uint32_t i;
	uint32_t k;

	srandom((unsigned)_i + 7);
	for (step = 0; step < 50000; step++) {
		i = (uint32_t)random() % 100;
		if (key[i]) {
			bs_nsi_table_remove(&t, key[i]);
			ck_assert_int_eq(bs_nsi_table_get(&t, key[i], &k), BS_NSI_NONE);
			key[i] = 0;
		}
		if (random() % 10) {
			uint32_t nsi = (uint32_t)random() % 4096 + 1;
			int err = bs_nsi_table_put(&t, nsi, BS_NSI_CONN, step);

			for (k = 0; k < 100 && key[k] != nsi; k++)
				;
			ck_assert_int_eq(err, k < 100 ? BS_EEXIST : BS_OK);
			if (k == 100) {
				key[i] = nsi;
				val[i] = step;
			}
		}
		i = (uint32_t)random() % 100;
		if (key[i]) {
			ck_assert_int_eq(bs_nsi_table_get(&t, key[i], &k), BS_NSI_CONN);
			ck_assert_uint_eq(k, val[i]);
		}
	}
	for (i = 0; i < 100; i++) {
		if (!key[i])
			continue;
		ck_assert_int_eq(bs_nsi_table_get(&t, key[i], &k), BS_NSI_CONN);
		ck_assert_uint_eq(k, val[i]);
	}
}
END_TEST

/* The worker's number comes back modulo the group size, for each size and each worker. */
START_TEST(test_make)
{
	unsigned n = (unsigned)_i;
	unsigned w;
	unsigned top;

	for (w = 0; w < n; w++) {
		for (top = 0; top < 256; top++) {
			uint32_t nsi = bs_nsi_make(top << 24 | 0x800001, w, n);

			ck_assert_uint_ge(nsi, BS_NSI_MIN);
			ck_assert_uint_eq((nsi >> 24) % n, w);
			ck_assert_uint_eq(nsi & 0xFFFFFF, 0x800001);
		}
	}
	ck_assert_uint_eq(bs_nsi_make(0xFFFFF, 0, n), 0);
}
END_TEST

Suite *bs_suite_nsi_table(void)
{
	Suite *s = suite_create("nsi_table");
	TCase *c = tcase_create("nsi_table");

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_put_get_change_remove);
	tcase_add_test(c, test_refusals);
	tcase_add_loop_test(c, test_against_a_model, 0, 4);
	tcase_add_loop_test(c, test_make, 1, 12);
	tcase_add_loop_test(c, test_make, 253, 257);
	suite_add_tcase(s, c);
	return s;
}
