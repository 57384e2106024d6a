/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/small_impl.h"

#include "test.h"

/* key, iv, plain, cipher. */
static const char *const rows[][4] = {
	/* FIPS 197, appendices B and C.1 */
	{ "2b7e151628aed2a6abf7158809cf4f3c", "00000000000000000000000000000000",
	  "3243f6a8885a308d313198a2e0370734", "3925841d02dc09fbdc118597196a0b32" },
	{ "000102030405060708090a0b0c0d0e0f", "00000000000000000000000000000000",
	  "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a" },
	/* SP 800-38A, F.2.1 and F.2.2 */
	{ "2b7e151628aed2a6abf7158809cf4f3c", "000102030405060708090a0b0c0d0e0f",
	  "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
	  "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
	  "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
	  "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7" },
	/* AESAVS: GFSbox, KeySbox, VarTxt, VarKey, one row each */
	{ "00000000000000000000000000000000", "00000000000000000000000000000000",
	  "f34481ec3cc627bacd5dc3fb08f273e6", "0336763e966d92595a567cc9ce537f5e" },
	{ "10a58869d74be5a374cf867cfb473859", "00000000000000000000000000000000",
	  "00000000000000000000000000000000", "6d251e6944b051e04eaa6fb4dbf78465" },
	{ "00000000000000000000000000000000", "00000000000000000000000000000000",
	  "80000000000000000000000000000000", "3ad78e726c1ec02b7ebfe92b23d9ec34" },
	{ "80000000000000000000000000000000", "00000000000000000000000000000000",
	  "00000000000000000000000000000000", "0edd33d3c621e546455bd8ba1418bec8" },
};

START_TEST(published_vectors_both_ways)
{
	uint8_t key[16];
	uint8_t iv[16];
	uint8_t plain[64];
	uint8_t cipher[64];
	uint8_t buf[64];
	size_t len;

	bs_test_unhex(rows[_i][0], key);
	bs_test_unhex(rows[_i][1], iv);
	len = bs_test_unhex(rows[_i][2], plain);
	ck_assert_uint_eq(bs_test_unhex(rows[_i][3], cipher), len);
	memcpy(buf, plain, len);
	ck_assert_int_eq(bs__small_cbc_encrypt(NULL, key, iv, buf, len), BS_OK);
	ck_assert_mem_eq(buf, cipher, len);
	ck_assert_int_eq(bs__small_cbc_decrypt(NULL, key, iv, buf, len), BS_OK);
	ck_assert_mem_eq(buf, plain, len);
}
END_TEST

START_TEST(a_length_that_is_no_multiple_of_16_is_refused)
{
	uint8_t key[16] = { 0 };
	uint8_t buf[32] = { 7 };
	uint8_t want[32] = { 7 };
	size_t len;

	for (len = 1; len < 32; len++) {
		if (len == 16)
			continue;
		ck_assert_int_eq(bs__small_cbc_encrypt(NULL, key, key, buf, len), BS_EINVAL);
		ck_assert_int_eq(bs__small_cbc_decrypt(NULL, key, key, buf, len), BS_EINVAL);
	}
	ck_assert_mem_eq(buf, want, sizeof(buf));
}
END_TEST

START_TEST(no_bytes_are_no_work)
{
	uint8_t key[16] = { 0 };

	ck_assert_int_eq(bs__small_cbc_encrypt(NULL, key, key, NULL, 0), BS_OK);
	ck_assert_int_eq(bs__small_cbc_decrypt(NULL, key, key, NULL, 0), BS_OK);
}
END_TEST

START_TEST(the_callers_key_and_iv_stay)
{
	uint8_t key[16] = { 1, 2, 3 };
	uint8_t iv[16] = { 4, 5, 6 };
	uint8_t key_was[16];
	uint8_t iv_was[16];
	uint8_t buf[48] = { 9 };

	memcpy(key_was, key, 16);
	memcpy(iv_was, iv, 16);
	ck_assert_int_eq(bs__small_cbc_encrypt(NULL, key, iv, buf, 48), BS_OK);
	ck_assert_int_eq(bs__small_cbc_decrypt(NULL, key, iv, buf, 48), BS_OK);
	ck_assert_mem_eq(key, key_was, 16);
	ck_assert_mem_eq(iv, iv_was, 16);
	ck_assert_uint_eq(buf[0], 9);
}
END_TEST

Suite *bs_suite_small_aes(void);

Suite *bs_suite_small_aes(void)
{
	Suite *s = suite_create("small_aes");
	TCase *tc = tcase_create("small_aes");

	tcase_add_loop_test(tc, published_vectors_both_ways, 0, BS_LEN(rows));
	tcase_add_test(tc, a_length_that_is_no_multiple_of_16_is_refused);
	tcase_add_test(tc, no_bytes_are_no_work);
	tcase_add_test(tc, the_callers_key_and_iv_stay);
	suite_add_tcase(s, tc);
	return s;
}
