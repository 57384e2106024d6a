/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/attach.h"

#include "support.h"
#include "util/endpoint.h"

static const uint8_t nonce[BS_NONCE_LEN] = { 1, 2, 3 };
static struct bs_writer w;
static uint8_t buf[512];

static int request(const struct bs_packet *p)
{
	struct bs_attach_request m;

	return bs_attach_request_decode(p, BS_NONCE_LEN, BS_PL_CRYPTO, &m);
}

static int response(const struct bs_packet *p)
{
	struct bs_attach_response m;

	return bs_attach_response_decode(p, BS_PL_CRYPTO, &m);
}

static struct bs_attach_request sample_request(void)
{
	struct bs_attach_request m;

	memset(&m, 0, sizeof(m));
	m.nsi = 0x12345678;
	m.seq = 100;
	m.nonce.ptr = nonce;
	m.nonce.len = sizeof(nonce);
	bs_endpoint_set_ip4(&m.observed, 0xC0000201u, 4001);
	return m;
}

static struct bs_attach_response sample_response(void)
{
	struct bs_attach_response m;

	memset(&m, 0, sizeof(m));
	m.nsi = 0x12345678;
	m.seq = 100;
	m.caps.bits = BS_ATTACH_CAP_BITS;
	m.caps.mask = BS_ATTACH_CAP_MASK;
	bs_endpoint_set_ip4(&m.ipx.global, 0xC0000201u, 4001);
	return m;
}

/* Append a CRYPTO payload as large as a real one and finish. */
static size_t finish(void)
{
	uint8_t *p = bs_packet_add_reserve(&w, BS_PL_CRYPTO, 0, 114);
	bs_ssize n;

	ck_assert_ptr_nonnull(p);
	memset(p, 0xCC, 114);
	n = bs_packet_finish(&w);
	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

START_TEST(what_devices_say_about_themselves)
{
	ck_assert_uint_eq(BS_ATTACH_CAP_MASK, 0x00000B3C);
	ck_assert_uint_eq(BS_ATTACH_CAP_BITS, 0x00000838);
}
END_TEST

START_TEST(recorded_requests_are_rebuilt)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		if (strcmp(bs_scenario_name(&sc), "attach_malformed") == 0)
			continue;
		while ((r = bs_test_next(&sc, r, BS_TYPE_U_ATTACH, 0, &p))) {
			struct bs_attach_request m;

			if (!bs_row_is(r, "key", "A"))
				continue;
			ck_assert_int_eq(bs_attach_request_decode(&p, 32, BS_PL_CRYPTO, &m), BS_OK);
			ck_assert_uint_eq(m.last_off, 16 + 10 + 36);
			ck_assert(!m.has_ext);
			bs_attach_request_begin(&w, buf, sizeof(buf), &m);
			bs_test_seal_is(&w, &sc, r, BS_INITIATOR);
			done++;
		}
	}
	ck_assert_int_ge(done, 20);
	bs_vectors_free(v);
}
END_TEST

START_TEST(recorded_responses_are_rebuilt)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_test_next(&sc, r, BS_TYPE_U_ATTACH, BS_FLAG_RESPONSE, &p))) {
			struct bs_attach_response m;

			if (!bs_row_is(r, "from", "dev") || !bs_row_is(r, "key", "A"))
				continue;
			ck_assert_int_eq(bs_attach_response_decode(&p, BS_PL_CRYPTO, &m), BS_OK);
			ck_assert_uint_eq(m.caps.mask, BS_ATTACH_CAP_MASK);
			bs_attach_response_begin(&w, buf, sizeof(buf), &m);
			bs_test_seal_is(&w, &sc, r, BS_RESPONDER);
			done++;
		}
	}
	ck_assert_int_ge(done, 20);
	bs_vectors_free(v);
}
END_TEST

START_TEST(recorded_legacy_messages_are_rebuilt)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = bs_scenario_find(v, "legacy_attach");
	struct bs_attach_request req;
	struct bs_attach_response rsp;
	struct bs_packet p;
	const struct bs_row *r = bs_test_next(&sc, NULL, BS_TYPE_U_ATTACH, 0, &p);

	ck_assert_ptr_nonnull(r);
	ck_assert_int_eq(bs_attach_request_decode(&p, BS_NONCE_LEGACY_LEN, BS_PL_VERIFY, &req),
			 BS_OK);
	ck_assert_uint_eq(p.len, 54);
	bs_attach_request_begin(&w, buf, sizeof(buf), &req);
	bs_packet_add(&w, BS_PL_VERIFY, 0, p.bytes + req.last_off + 4, BS_VERIFY_LEN);
	ck_assert_int_eq(bs_packet_finish(&w), 54);
	ck_assert_mem_eq(buf, p.bytes, 54);

	r = bs_test_next(&sc, NULL, BS_TYPE_U_ATTACH, BS_FLAG_RESPONSE, &p);
	ck_assert_ptr_nonnull(r);
	ck_assert_int_eq(bs_attach_response_decode(&p, BS_PL_VERIFY, &rsp), BS_OK);
	ck_assert_uint_eq(p.len, 70);
	bs_attach_response_begin(&w, buf, sizeof(buf), &rsp);
	bs_packet_add(&w, BS_PL_VERIFY, 0, p.bytes + rsp.last_off + 4, BS_VERIFY_LEN);
	ck_assert_int_eq(bs_packet_finish(&w), 70);
	ck_assert_mem_eq(buf, p.bytes, 70);
	bs_vectors_free(v);
}
END_TEST

/* Rows of a live device that report status 1: the order, the nonce, what stands between. */
START_TEST(requests_that_devices_called_malformed)
{
	static const char *const labels[] = {
		"flags=1",       "header only, 16 bytes",       "nonce before ep",
		"nonce 8 bytes", "extra payload before crypto", "trailing payload after crypto"
	};
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = bs_scenario_find(v, "attach_malformed");
	size_t i;

	for (i = 0; i < BS_LEN(labels); i++) {
		const struct bs_row *r = bs_scenario_packet(&sc, NULL);
		struct bs_slice b;

		while (r && !bs_row_is(r, "label", labels[i]))
			r = bs_scenario_packet(&sc, r);
		ck_assert_msg(r != NULL, "no row %s", labels[i]);
		b = bs_row_hex(r, "hex");
		ck_assert_msg(bs_test_decode(b.ptr, b.len, request) <= -200, "%s", labels[i]);
	}
	bs_vectors_free(v);
}
END_TEST

START_TEST(maltreated_messages)
{
	struct bs_attach_request req = sample_request();
	struct bs_attach_response rsp = sample_response();
	struct bs_ep6 eps[2];
	size_t n;

	bs_attach_request_begin(&w, buf, sizeof(buf), &req);
	n = finish();
	ck_assert_uint_eq(n, 180);
	bs_test_maltreat(buf, n, 180, request);
	bs_attach_response_begin(&w, buf, sizeof(buf), &rsp);
	n = finish();
	ck_assert_uint_eq(n, 172);
	bs_test_maltreat(buf, n, 172, response);

	memset(eps, 0, sizeof(eps));
	bs_endpoint_set_ip4(&eps[0].ep, 1, 1);
	eps[1] = eps[0];
	req.has_ext = rsp.has_ext = true;
	req.ext = rsp.ext.bits = BS_EXT_IP6;
	req.interval_s = 10;
	rsp.ext.has_offered = true;
	rsp.eps = eps;
	rsp.n_eps = 2;
	bs_attach_request_begin(&w, buf, sizeof(buf), &req);
	n = finish();
	bs_test_maltreat(buf, n, n, request);
	bs_attach_response_begin(&w, buf, sizeof(buf), &rsp);
	n = finish();
	bs_test_maltreat(buf, n, n, response);
}
END_TEST

START_TEST(extensions_in_a_request)
{
	static const uint8_t ip[16] = {
		0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9
	};
	struct bs_attach_request in = sample_request();
	struct bs_attach_request out;
	struct bs_packet p;
	size_t n;

	in.has_ext = true;
	in.ext = BS_EXT_IP6 | BS_EXT_ATTEMPT | BS_EXT_CLOSE | BS_EXT_INTERVAL;
	in.interval_s = 30;
	if (BS_IP_LEN == 16)
		memcpy(in.observed.ip, ip + 16 - BS_IP_LEN, BS_IP_LEN);
	bs_attach_request_begin(&w, buf, sizeof(buf), &in);
	n = finish();
	ck_assert_uint_eq(n, 180 + 10 + 6 + (BS_IP_LEN == 16 ? 24 : 0));
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_int_eq(bs_attach_request_decode(&p, 32, BS_PL_CRYPTO, &out), BS_OK);
	ck_assert(out.has_ext && out.ext == in.ext && out.interval_s == 30);
	ck_assert(bs_endpoint_equal(&in.observed, &out.observed));
	ck_assert_uint_eq(out.last_off, n - 118);
	ck_assert_int_eq(bs_attach_request_decode(&p, 8, BS_PL_CRYPTO, &out), BS_EFIELD);
	ck_assert_int_eq(bs_attach_request_decode(&p, 32, BS_PL_VERIFY, &out), BS_EMISSING);
}
END_TEST

START_TEST(without_ext_nothing_of_it_is_written)
{
	struct bs_attach_request req = sample_request();
	struct bs_attach_response rsp = sample_response();
	struct bs_ep6 ep;

	memset(&ep, 0, sizeof(ep));
	req.interval_s = 30;
	bs_attach_request_begin(&w, buf, sizeof(buf), &req);
	ck_assert_uint_eq(finish(), 180);
	rsp.eps = &ep;
	rsp.n_eps = 1;
	bs_attach_response_begin(&w, buf, sizeof(buf), &rsp);
	ck_assert_uint_eq(finish(), 172);
}
END_TEST

START_TEST(extensions_in_a_response)
{
	struct bs_attach_response in = sample_response();
	struct bs_attach_response out;
	struct bs_ep6 eps[2];
	struct bs_ep6 got[4];
	struct bs_packet p;
	size_t n;

	memset(eps, 0, sizeof(eps));
	bs_endpoint_set_ip4(&eps[0].ep, 0x0A000001u, 1);
	bs_endpoint_set_ip4(&eps[1].ep, 0x0A000002u, 2);
	eps[0].kind = eps[1].kind = BS_EP6_HOST;
	in.has_ext = true;
	in.ext.bits = BS_EXT_IP6;
	in.ext.has_offered = true;
	in.ext.offered = BS_EXT_IP6 | BS_EXT_CLOSE;
	in.eps = eps;
	in.n_eps = 2;
	bs_attach_response_begin(&w, buf, sizeof(buf), &in);
	n = finish();
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_int_eq(bs_attach_response_decode(&p, BS_PL_CRYPTO, &out), BS_OK);
	ck_assert(out.has_ext && out.ext.bits == BS_EXT_IP6 && out.ext.has_offered);
	ck_assert_uint_eq(out.ext.offered, in.ext.offered);
	ck_assert_ptr_null(out.eps);
	ck_assert_uint_eq(bs_ep6_collect(&p, BS_EP6_HOST, got, 4), BS_HAS_IP6 ? 2 : 0);
	ck_assert(!BS_HAS_IP6 || bs_endpoint_equal(&got[1].ep, &eps[1].ep));
}
END_TEST

START_TEST(a_request_without_a_number_is_not_written)
{
	struct bs_attach_request m = sample_request();

	m.nsi = 0;
	bs_attach_request_begin(&w, buf, sizeof(buf), &m);
	ck_assert_int_eq(bs_packet_finish(&w), BS_ETOOBIG);
}
END_TEST

START_TEST(a_response_must_say_ok)
{
	struct bs_attach_response m = sample_response();
	struct bs_payload pl;
	struct bs_packet p;
	size_t n;

	bs_attach_response_begin(&w, buf, sizeof(buf), &m);
	n = finish();
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert(bs_payload_find(&p, BS_PL_NOTIFY, &pl));
	buf[pl.data - buf + 3] = 2;
	ck_assert_int_eq(response(&p), BS_EFIELD);
}
END_TEST

/* Recorded from nobody: an IPX of 16 bytes in a response with a good MAC. */
START_TEST(rules)
{
	struct bs_vectors *v = bs_vectors_load("control_rules.txt");
	int done = 0;
	size_t i;

	for (i = 0; i < v->n; i++) {
		struct bs_slice b = bs_row_hex(&v->row[i], "bytes");

		if (!bs_row_is(&v->row[i], "name", "ipx_16_in_response"))
			continue;
		ck_assert_int_eq(bs_test_decode(b.ptr, b.len, response), BS_ESHORT);
		done++;
	}
	ck_assert_int_eq(done, 1);
	bs_vectors_free(v);
}
END_TEST

/* What a device under extension COOKIE brings back, and how it gives way to a small buffer. */
START_TEST(an_invite_comes_back)
{
	static const size_t cap[] = { sizeof(buf), BS_PACKET_SMALL };
	struct bs_attach_response m = sample_response();
	struct bs_attach_response out;
	struct bs_packet p;
	size_t n;

	m.has_ext = true;
	m.id = bs_test_text("i234567890123456789012345678901234567890");
	m.nonce_d = nonce;
	m.app_version = bs_test_text("1.2.3");
	m.version.kind = BS_VERSION_DEVICE;
	m.version.label = bs_test_text("-label");
	bs_attach_response_begin(&w, buf, cap[_i], &m);
	n = finish();
	ck_assert_uint_le(n, cap[_i]);
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_int_eq(bs_attach_response_decode(&p, BS_PL_CRYPTO, &out), BS_OK);
	ck_assert_uint_eq(out.id.len, 40);
	ck_assert_mem_eq(out.nonce_d, nonce, sizeof(nonce));
	ck_assert_uint_eq(out.app_version.len, _i == 0 ? 5 : 0);
	ck_assert_int_eq(out.version.kind, _i == 0 ? BS_VERSION_DEVICE : 0);
	bs_test_maltreat(buf, n, n - 118, response);
	/* Half of it is worth nothing, and an id must be one. */
	m.id = bs_test_text("NO ID");
	bs_attach_response_begin(&w, buf, sizeof(buf), &m);
	ck_assert_int_eq(bs_test_decode(buf, finish(), response), BS_EFIELD);
}
END_TEST

Suite *bs_suite_attach(void);

Suite *bs_suite_attach(void)
{
	Suite *s = suite_create("attach");
	TCase *tc = tcase_create("attach");

	tcase_add_test(tc, what_devices_say_about_themselves);
	tcase_add_test(tc, recorded_requests_are_rebuilt);
	tcase_add_test(tc, recorded_responses_are_rebuilt);
	tcase_add_test(tc, recorded_legacy_messages_are_rebuilt);
	tcase_add_test(tc, requests_that_devices_called_malformed);
	tcase_add_test(tc, maltreated_messages);
	tcase_add_test(tc, extensions_in_a_request);
	tcase_add_test(tc, without_ext_nothing_of_it_is_written);
	tcase_add_test(tc, extensions_in_a_response);
	tcase_add_test(tc, a_request_without_a_number_is_not_written);
	tcase_add_test(tc, a_response_must_say_ok);
	tcase_add_test(tc, rules);
	if (BS_WITH_ADMISSION)
		tcase_add_loop_test(tc, an_invite_comes_back, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}
