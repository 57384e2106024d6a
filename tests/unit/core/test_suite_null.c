/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/suite.h"

#include "support.h"
#include "wire/payload.h"

static struct bs_writer w;
static uint8_t buf[1600];

static bs_ssize seal(struct bs_slice plain, size_t cap)
{
	struct bs_header h;

	memset(&h, 0, sizeof(h));
	h.type = BS_TYPE_DATA;
	bs_packet_begin(&w, buf, cap, &h);
	return bs_suite_null.seal(NULL, NULL, BS_INITIATOR, &w, 0, plain);
}

static int open_pkt(uint8_t *pkt, size_t len, size_t off, struct bs_slice *plain)
{
	return bs_suite_null.open(NULL, NULL, BS_RESPONDER, pkt, len, off, plain);
}

START_TEST(every_length_there_and_back)
{
	uint8_t text[40];
	struct bs_slice plain = { text, 0 };
	struct bs_slice out;
	bs_ssize n;

	memset(text, 2, sizeof(text));
	for (plain.len = 0; plain.len <= sizeof(text); plain.len++) {
		n = seal(plain, sizeof(buf));
		ck_assert_uint_eq(bs_suite_null.payload_len(plain.len),
				  6 + (plain.len / 2 + 1) * 2 + 2);
		ck_assert_int_eq(n, (int)(16 + bs_suite_null.payload_len(plain.len)));
		ck_assert_int_eq(open_pkt(buf, (size_t)n, 16, &out), BS_OK);
		ck_assert_uint_eq(out.len, plain.len);
		ck_assert_mem_eq(out.ptr, text, plain.len);
	}
}
END_TEST

START_TEST(a_changed_byte_is_noticed)
{
	struct bs_slice out;
	bs_ssize n = seal(bs_test_text("abc"), sizeof(buf));
	size_t i;

	for (i = 0; i < (size_t)n; i++) {
		uint8_t *copy = bs_test_copy(buf, (size_t)n);

		copy[i]++;
		ck_assert_int_lt(open_pkt(copy, (size_t)n, 16, &out), 0);
		free(copy);
	}
	ck_assert_int_eq(open_pkt(buf, (size_t)n, 16, &out), BS_OK);
}
END_TEST

START_TEST(every_cut_is_noticed)
{
	struct bs_slice out;
	bs_ssize n = seal(bs_test_text("abc"), sizeof(buf));
	size_t len;

	for (len = 0; len < (size_t)n; len++) {
		uint8_t *copy = bs_test_copy(buf, len);

		ck_assert_int_lt(open_pkt(copy, len, 16, &out), 0);
		ck_assert_int_lt(open_pkt(copy, len, len, &out), 0);
		free(copy);
	}
}
END_TEST

START_TEST(a_full_buffer_is_refused)
{
	struct bs_slice plain = bs_test_text("abcd");
	size_t cap;

	for (cap = 0; cap < 16 + 14; cap++)
		ck_assert_int_eq(seal(plain, cap), BS_ETOOBIG);
	ck_assert_int_eq(seal(plain, 16 + 14), 30);
	plain.len = BS_SUITE_PLAIN_MAX + 1;
	ck_assert_int_eq(seal(plain, sizeof(buf)), BS_ETOOBIG);
}
END_TEST

/* Other ends pad with any value up to the length; more than that is no padding. */
START_TEST(padding_values)
{
	struct bs_slice out;
	bs_ssize n = seal(bs_test_text("abcdef"), sizeof(buf));
	uint8_t pad;

	ck_assert_int_eq(n, 32);
	for (pad = 0; pad < 12; pad++) {
		uint16_t sum = 0;
		size_t i;

		buf[29] = pad;
		for (i = 0; i < 30; i++)
			sum = (uint16_t)(sum + buf[i]);
		bs_put_u16(buf + 30, sum);
		ck_assert_int_eq(open_pkt(buf, 32, 16, &out), pad <= 8 ? BS_OK : BS_EPADDING);
		if (pad <= 8)
			ck_assert_uint_eq(out.len, 8u - pad);
	}
}
END_TEST

START_TEST(another_suite_is_not_opened)
{
	struct bs_slice out;
	bs_ssize n = seal(bs_test_text("abc"), sizeof(buf));

	bs_put_u16(buf + 20, BS_SUITE_AES_CBC);
	ck_assert_int_eq(open_pkt(buf, (size_t)n, 16, &out), BS_ESUITE);
	ck_assert_int_eq(bs_suite_null.verify(NULL, NULL, BS_RESPONDER, buf, (size_t)n, 16),
			 BS_ESUITE);
}
END_TEST

START_TEST(recordings_open_and_seal_again)
{
	static const char *const files[] = { "control.txt", "data.txt" };
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_vectors *v = bs_vectors_load(files[_i]);
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_scenario_packet(&sc, r))) {
			struct bs_slice hex = bs_row_hex(r, "hex");
			struct bs_slice plain;
			struct bs_packet p;
			size_t off;

			if (!bs_row_is(r, "key", "null") || !bs_row_text(r, "plain") ||
			    bs_packet_decode(hex.ptr, hex.len, &p) ||
			    bs_payload_last(&p, BS_PL_CRYPTO, &off) ||
			    bs_get_u16(hex.ptr + off + 4) != BS_SUITE_NULL)
				continue;
			memcpy(buf, hex.ptr, hex.len);
			ck_assert_msg(open_pkt(buf, hex.len, off, &plain) == BS_OK, "line %d",
				      r->line);
			ck_assert_uint_eq(plain.len, bs_row_hex(r, "plain").len);
			ck_assert_mem_eq(plain.ptr, bs_row_hex(r, "plain").ptr, plain.len);
			bs_writer_init(&w, buf, sizeof(buf));
			bs_writer_put_bytes(&w, hex.ptr, off);
			ck_assert_int_eq(bs_suite_null.seal(NULL, NULL, BS_INITIATOR, &w,
							    hex.ptr[off + 1],
							    bs_row_hex(r, "plain")),
					 (int)hex.len);
			ck_assert_mem_eq(buf, hex.ptr, hex.len);
			done++;
		}
	}
	ck_assert_int_ge(done, 3);
	bs_vectors_free(v);
}
END_TEST

Suite *bs_suite_suite_null(void);

Suite *bs_suite_suite_null(void)
{
	Suite *s = suite_create("suite_null");
	TCase *tc = tcase_create("suite_null");

	tcase_add_test(tc, every_length_there_and_back);
	tcase_add_test(tc, a_changed_byte_is_noticed);
	tcase_add_test(tc, every_cut_is_noticed);
	tcase_add_test(tc, a_full_buffer_is_refused);
	tcase_add_test(tc, padding_values);
	tcase_add_test(tc, another_suite_is_not_opened);
	tcase_add_loop_test(tc, recordings_open_and_seal_again, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}
