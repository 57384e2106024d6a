/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto.h"

#include "test.h"

START_TEST(wipe_clears_exactly_its_bytes)
{
	uint8_t buf[10];
	size_t len;
	size_t i;

	for (len = 0; len <= 8; len++) {
		memset(buf, 0x77, sizeof(buf));
		bs_wipe(buf + 1, len);
		for (i = 0; i < sizeof(buf); i++)
			ck_assert_uint_eq(buf[i], i >= 1 && i <= len ? 0 : 0x77);
	}
	bs_wipe(NULL, 0);
}
END_TEST

START_TEST(equality_sees_every_bit)
{
	uint8_t a[16] = { 1, 2, 3 };
	uint8_t b[16] = { 1, 2, 3 };
	size_t bit;

	ck_assert(bs_equal_secret(a, b, sizeof(a)));
	for (bit = 0; bit < sizeof(a) * 8; bit++) {
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert(!bs_equal_secret(a, b, sizeof(a)));
		ck_assert(bs_equal_secret(a, b, bit / 8));
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert(bs_equal_secret(NULL, NULL, 0));
}
END_TEST

Suite *bs_suite_secret(void);

Suite *bs_suite_secret(void)
{
	Suite *s = suite_create("secret");
	TCase *tc = tcase_create("secret");

	tcase_add_test(tc, wipe_clears_exactly_its_bytes);
	tcase_add_test(tc, equality_sees_every_bit);
	suite_add_tcase(s, tc);
	return s;
}
