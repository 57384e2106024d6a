/* SPDX-License-Identifier: Apache-2.0 */
/* test_attach_legacy.c - sums of legacy mode, by recorded rows. */
#include "proto/attach_legacy.h"
#include "test.h"

START_TEST(test_rows)
{
	struct bs_vectors *v = bs_vectors_load("legacy_sums.txt");
	uint8_t out[BS_VERIFY_LEN];
	size_t rows = 0;
	size_t i;

	for (i = 0; i < v->n; i++) {
		const struct bs_row *r = &v->row[i];
		struct bs_slice srv;
		struct bs_slice dev;
		uint32_t sum;

		if (!bs_row_text(r, "sum"))
			continue;
		sum = bs_row_num(r, "sum");
		srv = bs_row_hex(r, "server");
		dev = bs_row_hex(r, "device");
		rows++;
		bs_legacy_put(out, BS_VERIFY_FILL_SERVER, sum);
		ck_assert_mem_eq(out, srv.ptr, BS_VERIFY_LEN);
		bs_legacy_put(out, BS_VERIFY_FILL_DEVICE, sum);
		ck_assert_mem_eq(out, dev.ptr, BS_VERIFY_LEN);
		ck_assert(bs_legacy_check(srv.ptr, BS_VERIFY_FILL_SERVER, sum));
		ck_assert(!bs_legacy_check(srv.ptr, BS_VERIFY_FILL_SERVER, sum + 1));
		ck_assert(!bs_legacy_check(srv.ptr, BS_VERIFY_FILL_DEVICE, sum));
	}
	ck_assert_uint_ge(rows, 6);
	bs_vectors_free(v);
}
END_TEST

START_TEST(test_sum)
{
	static const uint8_t bytes[] = { 255, 255, 1 };

	ck_assert_uint_eq(bs_legacy_sum(0, bytes, sizeof(bytes)), 511);
	ck_assert_uint_eq(bs_legacy_sum(UINT32_MAX, bytes, sizeof(bytes)), 510);
	ck_assert_uint_eq(bs_legacy_sum(7, bytes, 0), 7);
}
END_TEST

Suite *bs_suite_attach_legacy(void);

Suite *bs_suite_attach_legacy(void)
{
	Suite *s = suite_create("attach_legacy");
	TCase *tc = tcase_create("sums");

	tcase_add_test(tc, test_rows);
	tcase_add_test(tc, test_sum);
	suite_add_tcase(s, tc);
	return s;
}
