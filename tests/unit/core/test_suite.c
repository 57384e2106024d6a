/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/suite.h"

#include "support.h"

static uint8_t buf[128];
static struct bs_writer w;

START_TEST(the_head_is_written_and_the_length_set)
{
	uint8_t *body;

	bs_writer_init(&w, buf, sizeof(buf));
	bs_writer_put_zero(&w, 18);
	body = bs__suite_start(&w, 0x1234, BS_PLF_LIST, 10);
	ck_assert_ptr_eq(body, buf + 18 + 6);
	ck_assert_mem_eq(buf + 18, "\x36\x01\x00\x10\x12\x34", 6);
	ck_assert_uint_eq(bs_get_u16(buf + 14), 34);
	ck_assert_uint_eq(w.len, 34);
}
END_TEST

START_TEST(no_room_and_no_header_are_errors)
{
	bs_writer_init(&w, buf, 33);
	bs_writer_put_zero(&w, 18);
	ck_assert_ptr_null(bs__suite_start(&w, 1, 0, 10));
	ck_assert(w.bad);
	/* Shorter than a header: the length field would lie in the body. */
	bs_writer_init(&w, buf, sizeof(buf));
	ck_assert_ptr_null(bs__suite_start(&w, 1, 0, 2));
	ck_assert(w.bad);
}
END_TEST

START_TEST(the_payload_must_be_the_last_one_and_of_this_code)
{
	static const uint8_t pkt[] = { 0, 0, 0,  0,    0, 0, 0,    0, 0, 0, 0, 0, 0,
				       0, 0, 26, 0x36, 0, 0, 0x0A, 0, 7, 1, 2, 3, 4 };
	size_t off;

	ck_assert_int_eq(bs__suite_check(pkt, sizeof(pkt), 16, 7, 4), BS_OK);
	ck_assert_int_eq(bs__suite_check(pkt, sizeof(pkt), 16, 7, 5), BS_ELENGTH);
	ck_assert_int_eq(bs__suite_check(pkt, sizeof(pkt), 16, 8, 4), BS_ESUITE);
	ck_assert_int_eq(bs__suite_check(pkt, sizeof(pkt) - 1, 16, 7, 0), BS_ELENGTH);
	for (off = 17; off < 40; off++)
		ck_assert_int_eq(bs__suite_check(pkt, sizeof(pkt), off, 7, 0), BS_ELENGTH);
}
END_TEST

Suite *bs_suite_suite(void);

Suite *bs_suite_suite(void)
{
	Suite *s = suite_create("suite");
	TCase *tc = tcase_create("suite");

	tcase_add_test(tc, the_head_is_written_and_the_length_set);
	tcase_add_test(tc, no_room_and_no_header_are_errors);
	tcase_add_test(tc, the_payload_must_be_the_last_one_and_of_this_code);
	suite_add_tcase(s, tc);
	return s;
}
