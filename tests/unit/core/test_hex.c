/* SPDX-License-Identifier: Apache-2.0 */
#include "util/hex.h"

#include "test.h"

START_TEST(all_bytes_there_and_back)
{
	char text[BS_HEX_LEN(256)];
	uint8_t in[256];
	uint8_t out[256];
	size_t i;

	for (i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	bs_hex_encode(in, sizeof(in), text);
	ck_assert_uint_eq(strlen(text), 512);
	ck_assert_int_eq(strncmp(text, "000102", 6), 0);
	ck_assert_str_eq(text + 508, "feff");
	ck_assert_int_eq(bs_hex_decode(text, 512, out, sizeof(out)), BS_OK);
	ck_assert_mem_eq(in, out, sizeof(in));
}
END_TEST

START_TEST(upper_case_is_read)
{
	uint8_t out[3];

	ck_assert_int_eq(bs_hex_decode("aBCdEF", 6, out, 3), BS_OK);
	ck_assert_uint_eq(out[0], 0xAB);
	ck_assert_uint_eq(out[1], 0xCD);
	ck_assert_uint_eq(out[2], 0xEF);
}
END_TEST

START_TEST(only_digits_are_digits)
{
	char text[2];
	uint8_t out = 0x55;
	int c;

	for (c = 0; c < 256; c++) {
		bool is =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

		text[0] = '0';
		text[1] = (char)c;
		out = 0x55;
		ck_assert_int_eq(bs_hex_decode(text, 2, &out, 1), is ? BS_OK : BS_EINVAL);
		ck_assert(is || out == 0x55);
		text[0] = (char)c;
		text[1] = '0';
		ck_assert_int_eq(bs_hex_decode(text, 2, &out, 1), is ? BS_OK : BS_EINVAL);
	}
}
END_TEST

START_TEST(the_length_must_fit_exactly)
{
	uint8_t out[4];

	ck_assert_int_eq(bs_hex_decode("0001", 4, out, 1), BS_EINVAL);
	ck_assert_int_eq(bs_hex_decode("0001", 4, out, 3), BS_EINVAL);
	ck_assert_int_eq(bs_hex_decode("000", 3, out, 1), BS_EINVAL);
	ck_assert_int_eq(bs_hex_decode("", 0, out, 0), BS_OK);
	ck_assert_int_eq(bs_hex_decode("", 0, out, 1), BS_EINVAL);
}
END_TEST

START_TEST(no_bytes_are_an_empty_text)
{
	char text[1] = { 'x' };

	bs_hex_encode(NULL, 0, text);
	ck_assert_str_eq(text, "");
}
END_TEST

Suite *bs_suite_hex(void);

Suite *bs_suite_hex(void)
{
	Suite *s = suite_create("hex");
	TCase *tc = tcase_create("hex");

	tcase_add_test(tc, all_bytes_there_and_back);
	tcase_add_test(tc, upper_case_is_read);
	tcase_add_test(tc, only_digits_are_digits);
	tcase_add_test(tc, the_length_must_fit_exactly);
	tcase_add_test(tc, no_bytes_are_an_empty_text);
	suite_add_tcase(s, tc);
	return s;
}
