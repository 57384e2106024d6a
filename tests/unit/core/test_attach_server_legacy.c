/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/attach_server_legacy.h"

#include "support.h"

static uint8_t buf[128];

/* The recorded legacy attach, in the server's role. */
START_TEST(recorded_attach)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = bs_scenario_find(v, "legacy_attach");
	const struct bs_row *invite = NULL;
	const struct bs_row *response;
	struct bs_attach_request m;
	struct bs_attach_response r;
	struct bs_invite inv;
	struct bs_packet p;
	struct bs_packet q;
	uint32_t sum;
	bs_ssize n;

	do {
		invite = bs_test_next(&sc, invite, BS_TYPE_U_INVITE, 0, &p);
		ck_assert_ptr_nonnull(invite);
		ck_assert_int_eq(bs_invite_decode(&p, &inv), BS_OK);
	} while (inv.nonce.len == 0);
	ck_assert_uint_eq(p.len, 96);
	ck_assert_uint_eq(inv.nonce.len, BS_NONCE_LEGACY_LEN);
	ck_assert_ptr_nonnull(bs_test_next(&sc, invite, BS_TYPE_U_ATTACH, 0, &q));
	ck_assert_int_eq(bs_attach_request_decode(&q, BS_NONCE_LEGACY_LEN, BS_PL_VERIFY, &m),
			 BS_OK);
	sum = bs_attach_server_legacy_sum(0, p.bytes, p.len);
	n = bs_attach_server_legacy_request(&m, sum, buf, sizeof(buf));
	ck_assert_int_eq(n, 54);
	ck_assert_mem_eq(buf, q.bytes, 54);
	response = bs_test_next(&sc, invite, BS_TYPE_U_ATTACH, BS_FLAG_RESPONSE, &q);
	ck_assert_ptr_nonnull(response);
	ck_assert_uint_eq(q.len, 70);
	sum = bs_attach_server_legacy_sum(sum, buf, 54);
	ck_assert_int_eq(bs_attach_server_legacy_open(sum, &q, &r), BS_OK);
	ck_assert_uint_eq(r.nsi, m.nsi);
	ck_assert_int_eq(bs_attach_server_legacy_open(sum + 1, &q, &r), BS_EMAC);
	bs_vectors_free(v);
}
END_TEST

START_TEST(responses_that_are_refused)
{
	struct bs_attach_response m;
	struct bs_attach_response r;
	struct bs_packet p;
	struct bs_writer w;
	uint8_t *verify;
	bs_ssize n;

	memset(&m, 0, sizeof(m));
	m.nsi = 5;
	bs_attach_response_begin(&w, buf, sizeof(buf), &m);
	verify = bs_packet_add_reserve(&w, BS_PL_VERIFY, 0, 13);
	memset(verify, 0xCD, 13);
	n = bs_packet_finish(&w);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_attach_server_legacy_open(0, &p, &r), BS_EFIELD);
	bs_attach_response_begin(&w, buf, sizeof(buf), &m);
	n = bs_packet_finish(&w);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_lt(bs_attach_server_legacy_open(0, &p, &r), 0);
}
END_TEST

START_TEST(no_room)
{
	static const uint8_t nonce[8];
	struct bs_attach_request m;

	memset(&m, 0, sizeof(m));
	m.nsi = 5;
	m.nonce.ptr = nonce;
	m.nonce.len = sizeof(nonce);
	ck_assert_int_eq(bs_attach_server_legacy_request(&m, 0, buf, 53), BS_ETOOBIG);
	ck_assert_int_eq(bs_attach_server_legacy_request(&m, 0, buf, 54), 54);
}
END_TEST

Suite *bs_suite_attach_server_legacy(void);

Suite *bs_suite_attach_server_legacy(void)
{
	Suite *s = suite_create("attach_server_legacy");
	TCase *t = tcase_create("attach_server_legacy");

	tcase_add_test(t, recorded_attach);
	tcase_add_test(t, responses_that_are_refused);
	tcase_add_test(t, no_room);
	suite_add_tcase(s, t);
	return s;
}
