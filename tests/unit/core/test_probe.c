/* SPDX-License-Identifier: Apache-2.0 */
/* wire/probe.c and proto/probe.c: the form of a probe, and its seal. */
#include "proto/probe.h"

#include "test.h"
#include "util/endpoint.h"

static const struct bs_probe sample = { 0x11223344, 0x02030405, 7, 1, BS_PROBE_ASK_OTHER_PORT, 9 };
static const uint8_t key[BS_TOKEN_LEN] = "sixteen byte key";

static struct bs_crypto crypto(void)
{
	struct bs_crypto c;

	bs_small_crypto_init(&c, NULL, NULL);
	return c;
}

START_TEST(a_probe_is_72_bytes_in_fixed_places)
{
	static const char head[] = "1122334402030405"
				   "1e020000000700483200003801010100"
				   "00000009";
	uint8_t buf[BS_PROBE_LEN], want[32];
	struct bs_probe p;
	size_t n = bs_test_unhex(head, want);

	ck_assert_int_eq(bs_probe_encode(&sample, buf), BS_PROBE_LEN);
	ck_assert_mem_eq(buf, want, n);
	for (size_t i = n; i < BS_PROBE_LEN; i++)
		ck_assert_uint_eq(buf[i], 0);
	ck_assert_int_eq(bs_probe_decode(buf, sizeof(buf), &p), BS_OK);
	ck_assert_uint_eq(p.cp, sample.cp);
	ck_assert_uint_eq(p.sp, sample.sp);
	ck_assert_uint_eq(p.seq, sample.seq);
	ck_assert_uint_eq(p.index, sample.index);
	ck_assert_uint_eq(p.ask, sample.ask);
	ck_assert_uint_eq(p.counter, sample.counter);
}
END_TEST

START_TEST(no_other_form_is_a_probe)
{
	static const struct {
		size_t at;
		uint8_t value;
		int want;
	} rows[] = {
		{ 8, BS_TYPE_PING, BS_ETYPE },
		{ 9, 1, BS_EVERSION },
		{ 11, BS_FLAG_RESPONSE, BS_ETYPE },
		{ 15, 71, BS_ELENGTH },
		{ 16, BS_PL_PAD, BS_EPAYLOAD },
		{ 19, 55, BS_EPAYLOAD },
		{ 20, 2, BS_EFIELD },
		{ 22, 3, BS_EFIELD },
		{ 23, 1, BS_EFIELD },
		{ 28, 1, BS_EFIELD },
		{ 55, 1, BS_EFIELD },
	};
	struct bs_probe p;

	for (size_t i = 0; i < BS_LEN(rows); i++) {
		uint8_t buf[BS_PROBE_LEN];

		ck_assert_int_eq(bs_probe_encode(&sample, buf), BS_PROBE_LEN);
		buf[rows[i].at] = rows[i].value;
		ck_assert_msg(bs_probe_decode(buf, sizeof(buf), &p) == rows[i].want, "row %zu: %d",
			      i, bs_probe_decode(buf, sizeof(buf), &p));
	}
}
END_TEST

START_TEST(a_cut_or_padded_probe_is_none)
{
	uint8_t buf[BS_PROBE_LEN + 4];
	struct bs_probe p;

	ck_assert_int_eq(bs_probe_encode(&sample, buf), BS_PROBE_LEN);
	for (size_t n = 0; n < BS_PROBE_LEN; n++) {
		uint8_t *cut = bs_test_copy(buf, n);

		ck_assert_int_ne(bs_probe_decode(cut, n, &p), BS_OK);
		if (n >= BS_HEADER_MIN) {
			bs_put_u16(cut + 14, (uint16_t)n);
			ck_assert_int_ne(bs_probe_decode(cut, n, &p), BS_OK);
		}
		free(cut);
	}
	buf[BS_PROBE_LEN] = BS_PL_PAD;
	buf[BS_PROBE_LEN + 1] = BS_PLF_OPTIONAL;
	bs_put_u16(buf + BS_PROBE_LEN + 2, 4);
	bs_put_u16(buf + 14, BS_PROBE_LEN + 4);
	ck_assert_int_eq(bs_probe_decode(buf, sizeof(buf), &p), BS_ELENGTH);
}
END_TEST

START_TEST(an_answer_says_where_the_probe_came_from)
{
	struct bs_probe_answer a = { .cp = 1, .sp = 2, .seq = 3 }, b;
	uint8_t buf[BS_PROBE_ANSWER_MAX];

	bs_endpoint_set_ip4(&a.observed, 0xCB007105, 40000);
	ck_assert_int_eq(bs_probe_answer_encode(&a, buf), BS_PROBE_ANSWER_MAX);
	ck_assert_int_eq(bs_probe_answer_decode(buf, sizeof(buf), &b), BS_OK);
	ck_assert_uint_eq(b.cp, 1);
	ck_assert_uint_eq(b.sp, 2);
	ck_assert_uint_eq(b.seq, 3);
	ck_assert(bs_endpoint_equal(&a.observed, &b.observed));
	if (!BS_HAS_IP6)
		return;
	/* IPv6 has no EP. */
	memset(&a.observed, 0, sizeof(a.observed));
	a.observed.ip[0] = 0x20;
	a.observed.port = 9;
	ck_assert_int_eq(bs_probe_answer_encode(&a, buf), 40);
	ck_assert_int_eq(bs_probe_answer_decode(buf, 40, &b), BS_OK);
	ck_assert(bs_endpoint_equal(&a.observed, &b.observed));
	for (size_t n = 0; n < 40; n++)
		ck_assert_int_ne(bs_probe_answer_decode(buf, n, &b), BS_OK);
	buf[11] = 0;
	ck_assert_int_eq(bs_probe_answer_decode(buf, 40, &b), BS_ETYPE);
	buf[11] = BS_FLAG_RESPONSE;
	buf[16 + 4 + 18] = BS_EP6_HOST;
	ck_assert_int_eq(bs_probe_answer_decode(buf, 40, &b), BS_EMISSING);
}
END_TEST

START_TEST(no_answer_is_longer_than_its_probe)
{
	ck_assert_int_lt(BS_PROBE_ANSWER_MAX, BS_PROBE_LEN);
}
END_TEST

START_TEST(the_seal_covers_every_byte_before_it)
{
	const struct bs_crypto c = crypto();
	uint8_t buf[BS_PROBE_LEN];

	ck_assert_int_eq(bs_probe_seal(&c, key, &sample, buf), BS_PROBE_LEN);
	ck_assert_int_eq(bs_probe_verify(&c, key, buf), BS_OK);
	for (size_t i = 0; i < BS_PROBE_LEN; i++) {
		buf[i] ^= 0x10;
		ck_assert_int_eq(bs_probe_verify(&c, key, buf), BS_EMAC);
		buf[i] ^= 0x10;
	}
	ck_assert_int_eq(bs_probe_verify(&c, key, buf), BS_OK);
	ck_assert_int_eq(bs_probe_verify(&c, (const uint8_t *)"another 16 bytes", buf), BS_EMAC);
}
END_TEST

START_TEST(the_seal_is_the_first_half_of_an_hmac)
{
	const struct bs_crypto c = crypto();
	uint8_t buf[BS_PROBE_LEN], mac[BS_SHA256_LEN];

	ck_assert_int_eq(bs_probe_seal(&c, key, &sample, buf), BS_PROBE_LEN);
	const struct bs_slice msg = { buf, 56 };

	ck_assert_int_eq(c.hmac_sha256(c.ctx, key, sizeof(key), &msg, 1, mac), BS_OK);
	ck_assert_mem_eq(buf + 56, mac, 16);
}
END_TEST

Suite *bs_suite_probe(void);
Suite *bs_suite_probe(void)
{
	Suite *s = suite_create("probe");
	TCase *tc = tcase_create("probe");

	tcase_add_test(tc, a_probe_is_72_bytes_in_fixed_places);
	tcase_add_test(tc, no_other_form_is_a_probe);
	tcase_add_test(tc, a_cut_or_padded_probe_is_none);
	tcase_add_test(tc, an_answer_says_where_the_probe_came_from);
	tcase_add_test(tc, no_answer_is_longer_than_its_probe);
	tcase_add_test(tc, the_seal_covers_every_byte_before_it);
	tcase_add_test(tc, the_seal_is_the_first_half_of_an_hmac);
	suite_add_tcase(s, tc);
	return s;
}
