/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/close.h"

#include "support.h"

static struct bs_writer w;
static uint8_t buf[128];

static int close_packet(const struct bs_packet *p)
{
	struct bs_close m;

	return bs_close_decode(p, &m);
}

static size_t finish(void)
{
	uint8_t *p = bs_packet_add_reserve(&w, BS_PL_CRYPTO, 0, 50);

	ck_assert_ptr_nonnull(p);
	memset(p, 0xCC, 50);
	return (size_t)bs_packet_finish(&w);
}

/* Nobody recorded this message; these are the bytes that basestation-wire(7) describes. */
START_TEST(bytes)
{
	static const uint8_t want[] = { 0, 0,  0, 0, 0x12, 0x34, 0x56, 0x78, 136,
					2, 0,  0, 0, 9,    0,    80,   0x76, 0x80,
					0, 10, 0, 0, 0x50, 0x01, 0x80, 0x0D, 0x36 };
	struct bs_close m = { 0x12345678, 9, false, 20481, BS_ST_REFUSED, 0 };

	bs_close_begin(&w, buf, sizeof(buf), &m);
	ck_assert_uint_eq(finish(), 80);
	ck_assert_mem_eq(buf, want, sizeof(want));
}
END_TEST

START_TEST(both_ways_are_read_again)
{
	struct bs_close in = { 0x12345678, 9, _i, _i ? 0 : 20481, BS_ST_CLOSED, 0 };
	struct bs_close out;
	struct bs_packet p;
	size_t n;

	bs_close_begin(&w, buf, sizeof(buf), &in);
	n = finish();
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_int_eq(bs_close_decode(&p, &out), BS_OK);
	ck_assert(out.nsi == in.nsi && out.seq == 9 && out.answer == in.answer);
	ck_assert(out.connection == in.connection && out.status == BS_ST_CLOSED);
	ck_assert_uint_eq(out.crypto_off, 26);
	bs_test_maltreat(buf, n, n, close_packet);
}
END_TEST

START_TEST(close_has_exactly_six_bytes_and_crypto_is_last)
{
	struct bs_header h;
	size_t len;

	memset(&h, 0, sizeof(h));
	h.type = BS_TYPE_U_CLOSE;
	for (len = 0; len < 10; len++) {
		bs_packet_begin(&w, buf, sizeof(buf), &h);
		bs_packet_add(&w, BS_PL_CLOSE, 0, "\0\0\0\0\0\0\0\0\0", len);
		ck_assert_int_eq(bs_test_decode(buf, finish(), close_packet), len == 6 ? BS_OK
									      : len < 6
										      ? BS_ESHORT
										      : BS_EFIELD);
	}
	bs_packet_begin(&w, buf, sizeof(buf), &h);
	bs_packet_add(&w, BS_PL_CLOSE, 0, "\0\0\0\0\0\0", 6);
	ck_assert_int_eq(bs_test_decode(buf, (size_t)bs_packet_finish(&w), close_packet),
			 BS_EMISSING);
}
END_TEST

START_TEST(a_full_buffer_is_refused)
{
	struct bs_close m = { 1, 1, false, 1, 1, 0 };

	bs_close_begin(&w, buf, 25, &m);
	ck_assert_int_eq(bs_packet_finish(&w), BS_ETOOBIG);
}
END_TEST

Suite *bs_suite_close(void);

Suite *bs_suite_close(void)
{
	Suite *s = suite_create("close");
	TCase *tc = tcase_create("close");

	tcase_add_test(tc, bytes);
	tcase_add_loop_test(tc, both_ways_are_read_again, 0, 2);
	tcase_add_test(tc, close_has_exactly_six_bytes_and_crypto_is_last);
	tcase_add_test(tc, a_full_buffer_is_refused);
	suite_add_tcase(s, tc);
	return s;
}
