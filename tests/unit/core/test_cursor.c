/* SPDX-License-Identifier: Apache-2.0 */
#include "util/cursor.h"

#include "test.h"

START_TEST(reads_big_endian_fields_in_order)
{
	static const uint8_t in[] = { 0x01, 0x02, 0x03, 0x84, 0x05, 0x06, 0x07, 0x88,
				      0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x8F };
	struct bs_cursor c;

	bs_cursor_init(&c, in, sizeof(in));
	ck_assert_uint_eq(bs_cursor_read_u8(&c), 0x01);
	ck_assert_uint_eq(bs_cursor_read_u16(&c), 0x0203);
	ck_assert_uint_eq(bs_cursor_read_u32(&c), 0x84050607u);
	ck_assert(bs_cursor_read_u64(&c) == UINT64_C(0x88090A0B0C0D0E8F));
	ck_assert_uint_eq(bs_cursor_left(&c), 0);
	ck_assert(!c.bad);
}
END_TEST

START_TEST(a_read_past_the_end_sticks)
{
	static const uint8_t in[] = { 1, 2, 3 };
	struct bs_cursor c;

	bs_cursor_init(&c, in, sizeof(in));
	ck_assert_uint_eq(bs_cursor_read_u32(&c), 0);
	ck_assert(c.bad);
	ck_assert_uint_eq(bs_cursor_left(&c), 0);
	ck_assert_uint_eq(bs_cursor_read_u8(&c), 0);
	ck_assert_uint_eq(bs_cursor_read_u16(&c), 0);
	ck_assert(bs_cursor_read_u64(&c) == 0);
	ck_assert_ptr_null(bs_cursor_read_bytes(&c, 0));
}
END_TEST

START_TEST(borrowed_bytes_end_exactly_at_the_end)
{
	static const uint8_t in[] = { 1, 2, 3 };
	struct bs_cursor c;

	bs_cursor_init(&c, in, sizeof(in));
	ck_assert_ptr_eq(bs_cursor_read_bytes(&c, 3), in);
	ck_assert_ptr_eq(bs_cursor_read_bytes(&c, 0), in + 3);
	ck_assert(!c.bad);
	ck_assert_ptr_null(bs_cursor_read_bytes(&c, SIZE_MAX));
	ck_assert(c.bad);
}
END_TEST

START_TEST(an_empty_buffer_without_storage_is_fine)
{
	struct bs_cursor c;

	bs_cursor_init(&c, NULL, 0);
	ck_assert_uint_eq(bs_cursor_left(&c), 0);
	ck_assert(!c.bad);
	bs_cursor_read_u8(&c);
	ck_assert(c.bad);
}
END_TEST

START_TEST(writes_what_reads_read)
{
	static const uint8_t want[] = { 0xFE, 0x12, 0x34, 0x89, 0xAB, 0xCD, 0xEF, 0xFF, 0, 0,
					0,    0,    0,    0,    1,    'h',  'i',  0,    0 };
	uint8_t buf[32];
	struct bs_writer w;

	bs_writer_init(&w, buf, sizeof(buf));
	bs_writer_put_u8(&w, 0xFE);
	bs_writer_put_u16(&w, 0x1234);
	bs_writer_put_u32(&w, 0x89ABCDEFu);
	bs_writer_put_u64(&w, UINT64_C(0xFF00000000000001));
	bs_writer_put_bytes(&w, "hi", 2);
	bs_writer_put_zero(&w, 2);
	bs_writer_put_bytes(&w, NULL, 0);
	ck_assert(!w.bad);
	ck_assert_uint_eq(w.len, sizeof(want));
	ck_assert_mem_eq(buf, want, sizeof(want));
}
END_TEST

START_TEST(a_write_that_does_not_fit_changes_nothing_and_sticks)
{
	uint8_t buf[8];
	struct bs_writer w;

	memset(buf, 0x5A, sizeof(buf));
	bs_writer_init(&w, buf, 3);
	bs_writer_put_u16(&w, 1);
	bs_writer_put_u16(&w, 2);
	ck_assert(w.bad);
	bs_writer_put_u8(&w, 3);
	bs_writer_put_u32(&w, 3);
	bs_writer_put_u64(&w, 3);
	bs_writer_put_bytes(&w, "x", 1);
	bs_writer_put_zero(&w, 1);
	ck_assert_ptr_null(bs_writer_reserve(&w, 0));
	ck_assert_uint_eq(w.len, 2);
	ck_assert_uint_eq(buf[2], 0x5A);
	ck_assert_uint_eq(buf[3], 0x5A);
}
END_TEST

START_TEST(a_huge_length_does_not_wrap)
{
	uint8_t buf[8];
	struct bs_writer w;

	bs_writer_init(&w, buf, sizeof(buf));
	bs_writer_put_u8(&w, 1);
	ck_assert_ptr_null(bs_writer_reserve(&w, SIZE_MAX));
	ck_assert(w.bad);
}
END_TEST

START_TEST(plain_access_survives_every_single_bit)
{
	uint8_t buf[8];
	int bit;

	for (bit = 0; bit < 64; bit++) {
		uint64_t v = UINT64_C(1) << bit;

		bs_put_u64(buf, v);
		ck_assert(bs_get_u64(buf) == v);
		bs_put_u32(buf, (uint32_t)v);
		ck_assert_uint_eq(bs_get_u32(buf), (uint32_t)v);
		bs_put_u16(buf, (uint16_t)v);
		ck_assert_uint_eq(bs_get_u16(buf), (uint16_t)v);
	}
}
END_TEST

Suite *bs_suite_cursor(void);

Suite *bs_suite_cursor(void)
{
	Suite *s = suite_create("cursor");
	TCase *tc = tcase_create("cursor");

	tcase_add_test(tc, reads_big_endian_fields_in_order);
	tcase_add_test(tc, a_read_past_the_end_sticks);
	tcase_add_test(tc, borrowed_bytes_end_exactly_at_the_end);
	tcase_add_test(tc, an_empty_buffer_without_storage_is_fine);
	tcase_add_test(tc, writes_what_reads_read);
	tcase_add_test(tc, a_write_that_does_not_fit_changes_nothing_and_sticks);
	tcase_add_test(tc, a_huge_length_does_not_wrap);
	tcase_add_test(tc, plain_access_survives_every_single_bit);
	suite_add_tcase(s, tc);
	return s;
}
