/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/attach_server.h"

#include "crypto/suite.h"
#include "support.h"
#include "util/endpoint.h"

static const uint8_t nonce_s[32] = { 1 };
static const uint8_t nonce_d[32] = { 2 };
static const uint8_t seed_s[32] = { 3 };
static const struct bs_attach_secrets secrets = { nonce_s, nonce_d, seed_s };
static struct bs_key_block a_key;
static struct bs_crypto crypto;
static struct bs_test_rng rng;
static uint8_t buf[512];

static void setup(void)
{
	size_t i;

	memset(&rng, 0, sizeof(rng));
	bs_test_crypto(&crypto, &rng);
	for (i = 0; i < sizeof(a_key.b); i++)
		a_key.b[i] = (uint8_t)(i * 3);
}

static const struct bs_row *find_key_row(const struct bs_scenario *sc, const char *name)
{
	return bs_scenario_value(sc, name);
}

/* In the server's role: what the recorded server made of its numbers, we make too. */
START_TEST(recorded_requests_are_made)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_test_next(&sc, r, BS_TYPE_U_ATTACH, 0, &p))) {
			struct bs_attach_secrets s;
			struct bs_attach_request m;
			struct bs_key_block key;
			struct bs_slice plain;
			bs_ssize n;

			if (!bs_row_is(r, "key", "A") || bs_row_text(r, "malformed") ||
			    bs_attach_request_decode(&p, 32, BS_PL_CRYPTO, &m))
				continue;
			plain = bs_row_hex(r, "plain");
			if (plain.len != 64)
				continue;
			s.nonce_s = m.nonce.ptr;
			s.nonce_d = plain.ptr;
			s.seed_s = plain.ptr + 32;
			ck_assert(bs_scenario_key(&sc, r, &key));
			rng.next = bs_row_hex(r, "iv");
			n = bs_attach_server_request(&crypto, &key, &m, &s, buf, sizeof(buf));
			ck_assert_int_eq(n, BS_ATTACH_REQUEST_LEN);
			ck_assert_mem_eq(buf, p.bytes, p.len);
			done++;
		}
	}
	ck_assert_int_ge(done, 20);
	bs_vectors_free(v);
}
END_TEST

START_TEST(recorded_responses_prove_the_device)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;
		const struct bs_row *request = NULL;
		struct bs_packet q;

		while ((r = bs_test_next(&sc, r, BS_TYPE_U_ATTACH, BS_FLAG_RESPONSE, &p))) {
			struct bs_attach_response m;
			struct bs_attach_request asked = { 0 };
			struct bs_attach_request m0;
			struct bs_attach_secrets s;
			struct bs_key_block key;
			struct bs_key_block want;
			struct bs_key_block c_key;
			struct bs_slice plain;
			const struct bs_row *k = NULL;
			uint8_t *copy;

			if (!bs_row_is(r, "key", "A"))
				continue;
			/* It answers the last request before it. */
			request = NULL;
			while ((k = bs_test_next(&sc, k, BS_TYPE_U_ATTACH, 0, &q)) && k < r) {
				if (bs_row_text(k, "malformed") ||
				    bs_attach_request_decode(&q, 32, BS_PL_CRYPTO, &m0))
					continue;
				request = k;
				asked = m0;
			}
			/* Only attach_malformed labels the good request like the bad ones. */
			if (!request)
				continue;
			plain = bs_row_hex(request, "plain");
			s.nonce_s = asked.nonce.ptr;
			s.nonce_d = plain.ptr;
			s.seed_s = plain.ptr + 32;
			ck_assert(bs_scenario_key(&sc, r, &key));
			copy = bs_test_copy(p.bytes, p.len);
			ck_assert_int_eq(bs_packet_decode(copy, p.len, &p), BS_OK);
			ck_assert_int_eq(
				bs_attach_server_open(&crypto, &key, &s, &p, copy, &m, &c_key),
				BS_OK);
			ck_assert_int_eq(bs_attach_server_ext_check(false, 0, 0, &m), BS_OK);
			ck_assert_uint_eq(m.caps.mask, BS_ATTACH_CAP_MASK);
			ck_assert_int_eq(bs_keys_derive_c(&crypto, s.nonce_s, s.nonce_d, s.seed_s,
							  bs_row_hex(r, "plain").ptr + 32, &want),
					 BS_OK);
			ck_assert_mem_eq(&c_key, &want, sizeof(want));
			if (done == 0 && find_key_row(&sc, "c_key"))
				ck_assert_mem_eq(&c_key, bs_scenario_hex(&sc, "c_key").ptr, 96);
			free(copy);
			done++;
		}
	}
	ck_assert_int_ge(done, 15);
	bs_vectors_free(v);
}
END_TEST

START_TEST(rows_that_must_be_dropped)
{
	struct bs_vectors *v = bs_vectors_load("control_rules.txt");
	int done = 0;
	size_t i;

	for (i = 0; i < v->n; i++) {
		const struct bs_row *r = &v->row[i];
		struct bs_attach_response m;
		struct bs_key_block c_key;
		struct bs_packet p;
		struct bs_slice bytes;
		uint8_t *copy;

		if (!bs_row_is(r, "expected", "drop") || !bs_row_text(r, "key"))
			continue;
		bytes = bs_row_hex(r, "bytes");
		copy = bs_test_copy(bytes.ptr, bytes.len);
		ck_assert_int_eq(bs_packet_decode(copy, bytes.len, &p), BS_OK);
		ck_assert_int_lt(bs_attach_server_open(&crypto,
						       (const void *)bs_row_hex(r, "key").ptr,
						       &secrets, &p, copy, &m, &c_key),
				 0);
		free(copy);
		done++;
	}
	ck_assert_int_ge(done, 3);
	bs_vectors_free(v);
}
END_TEST

/* A response as a device would make it. */
static size_t make_response(const uint8_t *plain, size_t plain_len, bool ext, uint32_t granted,
			    uint32_t offered)
{
	struct bs_attach_response m;
	struct bs_slice text = { plain, plain_len };
	struct bs_writer w;
	bs_ssize n;

	memset(&m, 0, sizeof(m));
	m.nsi = 0x300000;
	m.caps.bits = BS_ATTACH_CAP_BITS;
	m.caps.mask = BS_ATTACH_CAP_MASK;
	m.has_ext = ext;
	m.ext.bits = granted;
	m.ext.has_offered = true;
	m.ext.offered = offered;
	bs_attach_response_begin(&w, buf, sizeof(buf), &m);
	n = bs_suite_aes_cbc.seal(&crypto, &a_key, BS_RESPONDER, &w, 0, text);
	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

static int open_it(size_t len, struct bs_attach_response *m)
{
	struct bs_key_block c_key;
	struct bs_packet p;

	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	return bs_attach_server_open(&crypto, &a_key, &secrets, &p, buf, m, &c_key);
}

START_TEST(what_is_inside_must_fit)
{
	struct bs_attach_response m;
	uint8_t plain[80] = { 0 };

	memcpy(plain, nonce_s, 32);
	ck_assert_int_eq(open_it(make_response(plain, 64, false, 0, 0), &m), BS_OK);
	ck_assert_int_eq(open_it(make_response(plain, 63, false, 0, 0), &m), BS_ELENGTH);
	ck_assert_int_eq(open_it(make_response(plain, 65, false, 0, 0), &m), BS_ELENGTH);
	plain[31] ^= 1;
	ck_assert_int_eq(open_it(make_response(plain, 64, false, 0, 0), &m), BS_ENONCE);
}
END_TEST

START_TEST(every_turned_bit_is_noticed)
{
	struct bs_attach_response m;
	uint8_t plain[64] = { 0 };
	uint8_t good[512];
	size_t len;
	size_t i;

	memcpy(plain, nonce_s, 32);
	len = make_response(plain, 64, true, 1, 1);
	memcpy(good, buf, len);
	for (i = 0; i < len * 8; i++) {
		struct bs_key_block c_key;
		struct bs_packet p;

		memcpy(buf, good, len);
		buf[i / 8] ^= (uint8_t)(1 << i % 8);
		if (bs_packet_decode(buf, len, &p))
			continue;
		ck_assert_int_lt(
			bs_attach_server_open(&crypto, &a_key, &secrets, &p, buf, &m, &c_key), 0);
	}
}
END_TEST

START_TEST(own_requests_are_no_responses)
{
	struct bs_attach_request r;
	struct bs_attach_response m;
	bs_ssize n;

	memset(&r, 0, sizeof(r));
	r.nsi = 0x300000;
	n = bs_attach_server_request(&crypto, &a_key, &r, &secrets, buf, sizeof(buf));
	ck_assert_int_eq(n, 180);
	ck_assert_int_eq(open_it((size_t)n, &m), BS_ETYPE);
	buf[11] = BS_FLAG_RESPONSE;
	ck_assert_int_eq(open_it((size_t)n, &m), BS_EMISSING);
}
END_TEST

START_TEST(requests_that_are_not_made)
{
	struct bs_attach_request r;

	memset(&r, 0, sizeof(r));
	ck_assert_int_eq(bs_attach_server_request(&crypto, &a_key, &r, &secrets, buf, sizeof(buf)),
			 BS_ETOOBIG);
	r.nsi = 1;
	ck_assert_int_eq(bs_attach_server_request(&crypto, &a_key, &r, &secrets, buf, 179),
			 BS_ETOOBIG);
	rng.fail = true;
	ck_assert_int_eq(bs_attach_server_request(&crypto, &a_key, &r, &secrets, buf, sizeof(buf)),
			 BS_ERANDOM);
}
END_TEST

/* The longest answer to an invite with EXT stays below the invite that PAD makes. */
START_TEST(extended_requests_never_amplify)
{
	struct bs_attach_request r;
	bs_ssize n;

	memset(&r, 0, sizeof(r));
	r.nsi = 1;
	r.has_ext = true;
	r.ext = UINT32_MAX;
	r.observed.ip[0] = 0x20;
	r.observed.port = 4;
	n = bs_attach_server_request(&crypto, &a_key, &r, &secrets, buf, sizeof(buf));
	ck_assert_int_gt(n, 180);
	ck_assert_int_le(n, BS_INVITE_PAD_LEN);
}
END_TEST

START_TEST(a_stripped_offer_is_noticed)
{
	struct bs_attach_response m;

	memset(&m, 0, sizeof(m));
	ck_assert_int_eq(bs_attach_server_ext_check(true, 5, 5, &m), BS_OK);
	m.has_ext = true;
	m.ext.bits = 5;
	m.ext.has_offered = true;
	m.ext.offered = 7;
	ck_assert_int_eq(bs_attach_server_ext_check(true, 7, 5, &m), BS_OK);
	ck_assert_int_eq(bs_attach_server_ext_check(false, 0, 0, &m), BS_ESTRIPPED);
	ck_assert_int_eq(bs_attach_server_ext_check(true, 3, 5, &m), BS_ESTRIPPED);
	ck_assert_int_eq(bs_attach_server_ext_check(true, 7, 4, &m), BS_ESTRIPPED);
	m.ext.has_offered = false;
	ck_assert_int_eq(bs_attach_server_ext_check(true, 3, 5, &m), BS_OK);
}
END_TEST

Suite *bs_suite_attach_server(void);

Suite *bs_suite_attach_server(void)
{
	Suite *s = suite_create("attach_server");
	TCase *t = tcase_create("attach_server");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, recorded_requests_are_made);
	tcase_add_test(t, recorded_responses_prove_the_device);
	tcase_add_test(t, rows_that_must_be_dropped);
	tcase_add_test(t, what_is_inside_must_fit);
	tcase_add_test(t, every_turned_bit_is_noticed);
	tcase_add_test(t, own_requests_are_no_responses);
	tcase_add_test(t, requests_that_are_not_made);
	tcase_add_test(t, extended_requests_never_amplify);
	tcase_add_test(t, a_stripped_offer_is_noticed);
	suite_add_tcase(s, t);
	return s;
}
