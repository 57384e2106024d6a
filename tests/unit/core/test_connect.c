/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/connect.h"

#include "support.h"
#include "util/endpoint.h"

static const uint8_t fp[BS_FP_LEN] = { 0xF0, 0xF1 };
static const uint8_t attempt[BS_ATTEMPT_LEN] = { 0xA0, 0xA1 };
static struct bs_writer w;
static uint8_t buf[512];

static int request(const struct bs_packet *p)
{
	struct bs_connect_request m;

	return bs_connect_request_decode(p, &m);
}

static int answer(const struct bs_packet *p)
{
	struct bs_connect_answer m;

	return bs_connect_answer_decode(p, &m);
}

static struct bs_slice d_block(size_t len)
{
	static const uint8_t bytes[200];
	struct bs_slice s = { bytes, len };

	return s;
}

static struct bs_connect_request sample(void)
{
	struct bs_connect_request m;

	memset(&m, 0, sizeof(m));
	m.cp = 0xC0C0C0C0u;
	m.sp = 0x12345678;
	m.seq = 102;
	bs_endpoint_set_ip4(&m.ipx.priv, 0x0A000001u, 4000);
	bs_endpoint_set_ip4(&m.ipx.global, 0xC0000201u, 4001);
	m.ipx.flags = BS_IPX_ASYNC;
	m.ipx.has_nsi = true;
	m.ipx.nsi_sp = 20481;
	return m;
}

/* Clear part, then a CRYPTO payload as large as the one of a D block. */
static size_t build(const struct bs_connect_request *m, size_t limit)
{
	uint8_t *p;
	bs_ssize n;

	ck_assert_int_eq(bs_connect_request_begin(&w, buf, sizeof(buf), m, limit, d_block(96)),
			 BS_OK);
	p = bs_packet_add_reserve(&w, BS_PL_CRYPTO, 0, BS_CONNECT_CRYPTO_LEN - 4);
	ck_assert_ptr_nonnull(p);
	memset(p, 0xCC, BS_CONNECT_CRYPTO_LEN - 4);
	n = bs_packet_finish(&w);
	ck_assert_int_gt(n, 0);
	ck_assert_uint_le((size_t)n, limit);
	return (size_t)n;
}

/* Requests whose content and order are ours to choose; others were made to be odd. */
START_TEST(recorded_requests_are_rebuilt)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_test_next(&sc, r, BS_TYPE_U_CONNECT, 0, &p))) {
			struct bs_connect_request m;
			struct bs_payload pl;
			struct bs_key_block key;

			if (bs_row_is(r, "from", "dev") || !bs_connect_is_request(&p) ||
			    bs_payload_find(&p, BS_PL_GW, &pl) || !bs_scenario_key(&sc, r, &key) ||
			    bs_connect_request_decode(&p, &m) || !m.ipx.has_nsi || p.len > 272 ||
			    bs_row_hex(r, "plain").len != 96)
				continue;
			ck_assert(m.has_crypto);
			ck_assert_int_eq(bs_connect_request_begin(&w, buf, sizeof(buf), &m,
								  BS_PACKET_SMALL, d_block(96)),
					 BS_OK);
			if (m.crypto_off != w.len || memcmp(buf + 16, p.bytes + 16, w.len - 16))
				continue;
			bs_test_seal_is(&w, &sc, r, BS_INITIATOR);
			done++;
		}
	}
	ck_assert_int_ge(done, 15);
	bs_vectors_free(v);
}
END_TEST

START_TEST(recorded_answers_are_rebuilt)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_test_next(&sc, r, BS_TYPE_U_CONNECT, BS_FLAG_RESPONSE, &p))) {
			struct bs_connect_answer m;

			ck_assert_int_eq(bs_connect_answer_decode(&p, &m), BS_OK);
			ck_assert_int_eq(bs_connect_answer_encode(buf, sizeof(buf), &m), 28);
			ck_assert_mem_eq(buf, p.bytes, 28);
			done++;
		}
	}
	ck_assert_int_ge(done, 25);
	bs_vectors_free(v);
}
END_TEST

START_TEST(all_parts_are_read_again)
{
	struct bs_connect_request in = sample();
	struct bs_connect_request out;
	struct bs_ep6 ep;
	struct bs_ep6 got[2];
	struct bs_packet p;
	size_t n;

	memset(&ep, 0, sizeof(ep));
	bs_endpoint_set_ip4(&ep.ep, 0x0A000009u, 9);
	in.client_id = bs_test_text("app@x");
	in.fp = fp;
	in.attempt = attempt;
	in.eps = &ep;
	in.n_eps = 1;
	n = build(&in, BS_PACKET_SMALL);
	ck_assert_uint_eq(n, 187 + 21 + 10 + 12 + 24);
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert(bs_connect_is_request(&p) && !bs_connect_is_rendezvous(&p));
	ck_assert_int_eq(bs_connect_request_decode(&p, &out), BS_OK);
	ck_assert(out.cp == in.cp && out.sp == in.sp && out.seq == in.seq);
	ck_assert_uint_eq(out.ipx.nsi_sp, 20481);
	ck_assert_uint_eq(out.client_id.len, 5);
	ck_assert_mem_eq(out.client_id.ptr, "app@x", 5);
	ck_assert_mem_eq(out.fp, fp, sizeof(fp));
	ck_assert_mem_eq(out.attempt, attempt, sizeof(attempt));
	ck_assert_uint_eq(bs_ep6_collect(&p, 0, got, 2), 1);
	ck_assert(out.has_crypto);
	ck_assert_uint_eq(out.crypto_off, n - 150);
}
END_TEST

/* What a connection has beyond a stock one, in its order, with the bytes of the payloads. */
START_TEST(parts_of_our_own_devices)
{
	static const uint8_t pair[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static const uint8_t want[] = { BS_PL_PAIR, 0x80, 0,    12,   1,           2,
					3,          4,    5,    6,    7,           8,
					BS_PL_EXT,  0x80, 0,    10,   0,           1,
					0,          0,    3,    0x80, BS_PL_SUITE, 0x80,
					0,          6,    0x40, 0x0A, BS_PL_CRYPTO };
	struct bs_connect_request in = sample();
	struct bs_connect_request out;
	struct bs_payload pl;
	struct bs_packet p;
	size_t n;

	in.attempt = attempt;
	in.pair = pair;
	in.ext = BS_EXT_GCM | BS_EXT_FAST_STREAM | BS_EXT_PAIR;
	in.suite = BS_SUITE_AES_GCM;
	n = build(&in, BS_CONNECT_REQUEST_MAX);
	ck_assert_uint_eq(n, 187 + 12 + sizeof(want) - 1);
	ck_assert_mem_eq(buf + n - 150 - (sizeof(want) - 1), want, sizeof(want));
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_int_eq(bs_connect_request_decode(&p, &out), BS_OK);
	ck_assert_mem_eq(out.pair, pair, sizeof(pair));
	ck_assert_uint_eq(out.ext, in.ext);
	ck_assert_uint_eq(out.suite, BS_SUITE_AES_GCM);
	/* With everything at its longest it still fits what such devices take. */
	in.fp = fp;
	in.client_id = bs_test_text("0123456789012345678901234567890123456789"
				    "012345678901234567890123");
	in.ipx.has_full = true;
	n = build(&in, BS_CONNECT_REQUEST_MAX);
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_int_eq(bs_connect_request_decode(&p, &out), BS_OK);
	ck_assert_uint_eq(out.client_id.len, 64);
	/* The name gives way first, then nothing. */
	n = build(&in, BS_PACKET_SMALL);
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_int_eq(bs_connect_request_decode(&p, &out), BS_OK);
	ck_assert(out.client_id.len < 64 && out.pair && out.ext && out.suite && out.has_crypto);
	/* Other lengths count as absent. */
	ck_assert(bs_payload_find(&p, BS_PL_SUITE, &pl));
	buf[pl.data - buf - 4] = BS_PL_PAD;
	ck_assert_int_eq(bs_connect_request_decode(&p, &out), BS_OK);
	ck_assert_uint_eq(out.suite, 0);
	n = build(&in, BS_CONNECT_REQUEST_MAX);
	bs_test_maltreat(buf, n, 37, request);
}
END_TEST

/* Sizes of basestation-wire(7) for IPX with NSI, FP and the client id. */
START_TEST(sizes)
{
	struct bs_connect_request m = sample();
	char id[BS_CLIENT_ID_MAX + 1];

	memset(id, 'x', sizeof(id));
	id[BS_CLIENT_ID_MAX] = 0;
	ck_assert_uint_eq(build(&m, BS_PACKET_SMALL), 187);
	m.fp = fp;
	ck_assert_uint_eq(build(&m, BS_PACKET_SMALL), 208);
	m.client_id = bs_test_text(id);
	m.client_id.len = 43;
	ck_assert_uint_eq(build(&m, BS_PACKET_SAFE), 256);
	m.client_id.len = 59;
	ck_assert_uint_eq(build(&m, BS_PACKET_SMALL), 272);
}
END_TEST

START_TEST(a_long_client_id_is_cut_to_fit)
{
	struct bs_connect_request m = sample();
	struct bs_connect_request out;
	char id[BS_CLIENT_ID_MAX + 1];
	struct bs_packet p;
	size_t n;

	memset(id, 'x', sizeof(id));
	id[BS_CLIENT_ID_MAX] = 0;
	m.client_id = bs_test_text(id);
	m.fp = fp;
	n = build(&m, BS_PACKET_SAFE);
	ck_assert_uint_eq(n, 256);
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_int_eq(bs_connect_request_decode(&p, &out), BS_OK);
	ck_assert_uint_eq(out.client_id.len, 43);
	/* Where not one character fits, no empty CP_ID is left behind. */
	n = build(&m, 208 + 5);
	ck_assert_uint_eq(n, 208);
	n = build(&m, 208 + 6);
	ck_assert_uint_eq(n, 214);
}
END_TEST

START_TEST(endpoints_go_before_the_packet_grows_too_large)
{
	struct bs_connect_request m = sample();
	struct bs_ep6 eps[4];
	struct bs_ep6 got[4];
	struct bs_packet p;
	size_t n;

	memset(eps, 0, sizeof(eps));
	m.eps = eps;
	m.n_eps = 4;
	n = build(&m, BS_PACKET_SMALL);
	ck_assert_uint_eq(n, 187 + 3 * 24);
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_uint_eq(bs_ep6_collect(&p, 0, got, 4), 3);
}
END_TEST

START_TEST(what_must_never_be_sent_is_refused)
{
	struct bs_connect_request m = sample();
	size_t len;

	for (len = 0; len <= 200; len++)
		ck_assert_int_eq(
			bs_connect_request_begin(&w, buf, sizeof(buf), &m, 272, d_block(len)),
			len == 96 ? BS_OK : BS_EINVAL);
	m.ipx.nsi_sp = 0;
	ck_assert_int_eq(bs_connect_request_begin(&w, buf, sizeof(buf), &m, 272, d_block(96)),
			 BS_EINVAL);
	m = sample();
	m.ipx.has_nsi = false;
	ck_assert_int_eq(bs_connect_request_begin(&w, buf, sizeof(buf), &m, 272, d_block(96)),
			 BS_EINVAL);
	m = sample();
	ck_assert_int_eq(bs_connect_request_begin(&w, buf, sizeof(buf), &m, 186, d_block(96)),
			 BS_ETOOBIG);
	ck_assert_int_eq(bs_connect_request_begin(&w, buf, 186, &m, 272, d_block(96)), BS_ETOOBIG);
	ck_assert_int_eq(bs_connect_request_begin(&w, buf, 10, &m, 272, d_block(96)), BS_ETOOBIG);
	ck_assert_int_eq(bs_connect_request_begin(&w, buf, 187, &m, 272, d_block(96)), BS_OK);
}
END_TEST

START_TEST(rules)
{
	struct bs_vectors *v = bs_vectors_load("control_rules.txt");
	struct bs_connect_request m = sample();
	int done = 0;
	size_t i;

	for (i = 0; i < v->n; i++) {
		const struct bs_row *r = &v->row[i];

		if (strncmp(bs_row_text(r, "name"), "d_block_", 8) != 0)
			continue;
		ck_assert(bs_row_is(r, "expected", "refuse"));
		ck_assert_int_eq(bs_connect_request_begin(&w, buf, sizeof(buf), &m, 272,
							  bs_row_hex(r, "bytes")),
				 BS_EINVAL);
		done++;
	}
	ck_assert_int_eq(done, 2);
	bs_vectors_free(v);

	v = bs_vectors_load("data_rules.txt");
	for (i = 0, done = 0; i < v->n; i++) {
		struct bs_slice b = bs_row_hex(&v->row[i], "bytes");

		if (!bs_row_is(&v->row[i], "name", "ipx_16_in_connect"))
			continue;
		ck_assert_int_eq(bs_test_decode(b.ptr, b.len, request), BS_ESHORT);
		done++;
	}
	ck_assert_int_eq(done, 1);
	bs_vectors_free(v);
}
END_TEST

START_TEST(maltreated_messages)
{
	struct bs_connect_answer ans = { 1, 2, 3, BS_ST_OK, 20481 };
	struct bs_connect_request m = sample();
	size_t n = build(&m, BS_PACKET_SMALL);

	bs_test_maltreat(buf, n, 37, request);
	m.client_id = bs_test_text("app");
	m.fp = fp;
	m.attempt = attempt;
	n = build(&m, BS_PACKET_SMALL);
	bs_test_maltreat(buf, n, 37, request);
	ck_assert_int_eq(bs_connect_answer_encode(buf, sizeof(buf), &ans), 28);
	bs_test_maltreat(buf, 28, 28, answer);
	ck_assert_int_eq(bs_connect_answer_encode(buf, 27, &ans), BS_ETOOBIG);
}
END_TEST

/* Other kinds and lengths of CP_ID, FP and ATTEMPT count as absent; CRYPTO counts only if last. */
START_TEST(odd_parts_count_as_absent)
{
	struct bs_connect_request m = sample();
	struct bs_connect_request out;
	struct bs_payload pl;
	struct bs_packet p;
	size_t n;

	m.client_id = bs_test_text("app");
	m.fp = fp;
	m.attempt = attempt;
	n = build(&m, BS_PACKET_SMALL);
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert(bs_payload_find(&p, BS_PL_CP_ID, &pl));
	buf[pl.data - buf] = 2;
	ck_assert(bs_payload_find(&p, BS_PL_FP, &pl));
	buf[pl.data - buf] = 2;
	ck_assert(bs_payload_find(&p, BS_PL_CRYPTO, &pl));
	buf[pl.data - buf - 4] = BS_PL_GW;
	ck_assert_int_eq(bs_connect_request_decode(&p, &out), BS_OK);
	ck_assert(!out.client_id.len && !out.fp && out.attempt && !out.has_crypto);
}
END_TEST

START_TEST(number_zero_is_dropped_and_none_is_the_devices_choice)
{
	struct bs_connect_request m = sample();
	struct bs_connect_request out;
	struct bs_packet p;
	size_t n = build(&m, BS_PACKET_SMALL);

	memset(buf + 16 + 4 + 13, 0, 4);
	ck_assert_int_eq(bs_test_decode(buf, n, request), BS_EFIELD);
	memset(&m.ipx, 0, sizeof(m.ipx));
	{
		struct bs_header h;

		memset(&h, 0, sizeof(h));
		h.type = BS_TYPE_U_CONNECT;
		bs_packet_begin(&w, buf, sizeof(buf), &h);
		bs_ipx_put(&w, &m.ipx);
		ck_assert_int_eq(bs_packet_finish(&w), 33);
	}
	ck_assert_int_eq(bs_packet_decode(buf, 33, &p), BS_OK);
	ck_assert_int_eq(bs_connect_request_decode(&p, &out), BS_OK);
	ck_assert(!out.ipx.has_nsi && !out.has_crypto);
}
END_TEST

Suite *bs_suite_connect(void);

Suite *bs_suite_connect(void)
{
	Suite *s = suite_create("connect");
	TCase *tc = tcase_create("connect");

	tcase_add_test(tc, recorded_requests_are_rebuilt);
	tcase_add_test(tc, recorded_answers_are_rebuilt);
	tcase_add_test(tc, all_parts_are_read_again);
	tcase_add_test(tc, parts_of_our_own_devices);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, a_long_client_id_is_cut_to_fit);
	tcase_add_test(tc, endpoints_go_before_the_packet_grows_too_large);
	tcase_add_test(tc, what_must_never_be_sent_is_refused);
	tcase_add_test(tc, rules);
	tcase_add_test(tc, maltreated_messages);
	tcase_add_test(tc, odd_parts_count_as_absent);
	tcase_add_test(tc, number_zero_is_dropped_and_none_is_the_devices_choice);
	suite_add_tcase(s, tc);
	return s;
}
