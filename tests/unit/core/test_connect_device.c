/* SPDX-License-Identifier: Apache-2.0 */
/* test_connect_device.c - connect requests beyond what the recordings show, and U_CLOSE. */
#include "bench.h"
#include "wire/close.h"
#include "wire/connect.h"

#define NSI UINT32_C(0x20000001)

static struct bench *b;
static struct bench_server server;
static struct bs_key_block key;

static void setup(void)
{
	b = malloc(sizeof(*b));
	ck_assert_ptr_nonnull(b);
	memset(&server, 0, sizeof(server));
	memset(&key, 0x42, sizeof(key));
	bench_init(b, "dev.test", NULL);
	b->conf.ext_offer = BS_EXT_CLOSE | BS_EXT_ATTEMPT | BS_EXT_IP6;
	server.has_ext = true;
	server.ext = b->conf.ext_offer;
	bench_attach(b, &server);
}

static void teardown(void)
{
	bench_fini(b);
	free(b);
}

static void expect_answer(uint32_t code, uint32_t nsi)
{
	struct bs_connect_answer m;
	struct bs_packet p;

	bench_expect(b, BS_TYPE_U_CONNECT, &p);
	ck_assert_int_eq(bs_connect_answer_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.code, code);
	ck_assert_uint_eq(m.nsi, nsi);
	ck_assert_uint_eq(m.seq, server.seq);
	ck_assert_uint_eq(m.cp, 0x01020304);
	ck_assert_uint_eq(m.sp, BENCH_NSI);
}

static void drop_output(void)
{
	b->taken = b->n_out;
}

START_TEST(test_accepts)
{
	ck_assert_int_eq(bench_connect(b, &server, NSI, BS_IPX_ASYNC, &key), BS_OK);
	expect_answer(BS_ST_OK, NSI);
	ck_assert_uint_eq(b->asked, 1);
	ck_assert(b->who.encrypted);
	ck_assert_uint_eq(b->who.client_id.len, 17);
	ck_assert_uint_eq(bs_device_n_live(&b->d), 1);
	ck_assert_mem_eq(&b->conns[0].c.key, &key, sizeof(key));
	ck_assert_uint_eq(bs_conn_client_id(&b->conns[0].c).len, 17);
	ck_assert(b->conns[0].c.async);
}
END_TEST

/* A repeated request is answered again and makes nothing new. */
START_TEST(test_repeated)
{
	bench_connect(b, &server, NSI, 0, &key);
	drop_output();
	ck_assert_int_eq(bench_connect(b, &server, NSI, 0, &key), BS_OK);
	expect_answer(BS_ST_OK, NSI);
	bench_expect_none(b);
	ck_assert_uint_eq(b->asked, 1);
	ck_assert_uint_eq(bs_device_n_live(&b->d), 1);
}
END_TEST

static const uint16_t refusals[] = { BS_ST_REFUSED_DEVICE, BS_ST_ERROR, 0 };

/* Whatever the hook says but OK refuses, 0 too. */
START_TEST(test_refused)
{
	b->access = refusals[_i];
	ck_assert_int_eq(bench_connect(b, &server, NSI, 0, &key), BS_OK);
	expect_answer(refusals[_i], NSI);
	bench_expect_none(b);
	ck_assert_uint_eq(bs_device_n_live(&b->d), 0);
	bench_run(b, 30000);
	ck_assert_uint_eq(b->closed, 0);
}
END_TEST

START_TEST(test_no_hook_lets_in)
{
	b->ops.access = NULL;
	bench_connect(b, &server, NSI, 0, &key);
	expect_answer(BS_ST_OK, NSI);
}
END_TEST

static int failing_decrypt(void *ctx, const uint8_t *k, const uint8_t *iv, uint8_t *buf, size_t len)
{
	(void)ctx;
	(void)k;
	(void)iv;
	(void)buf;
	(void)len;
	return BS_ECRYPTO;
}

/* A broken crypto engine must not turn a sealed request into a plain connection. */
START_TEST(test_backend_fails)
{
	b->conf.plain_suite = &bs_suite_null;
	b->crypto.aes128_cbc_decrypt = failing_decrypt;
	bench_connect(b, &server, NSI, 0, &key);
	expect_answer(BS_ST_ERROR, NSI);
	ck_assert_uint_eq(bs_device_n_live(&b->d), 0);
}
END_TEST

START_TEST(test_slots)
{
	uint32_t i;

	for (i = 0; i < BENCH_CONNS; i++)
		bench_connect(b, &server, NSI + i, BS_IPX_NO_RENDEZVOUS, &key);
	ck_assert_uint_eq(bs_device_n_live(&b->d), BENCH_CONNS);
	drop_output();
	bench_connect(b, &server, NSI + i, 0, &key);
	expect_answer(BS_ST_BUSY, NSI + i);
	/* A known one is answered all the same. */
	bench_connect(b, &server, NSI, 0, &key);
	expect_answer(BS_ST_OK, NSI);
	/* Nobody comes: 20 s later all slots are free again, each reported. */
	drop_output();
	bench_run(b, 20000);
	ck_assert_uint_eq(bs_device_n_live(&b->d), 0);
	ck_assert_uint_eq(b->closed, BENCH_CONNS);
}
END_TEST

static int connect_with(uint32_t cp, const struct bs_ipx *ipx, const struct bs_ep6 *eps, uint8_t n,
			const uint8_t *attempt, uint16_t flags)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	struct bs_connect_request m;
	struct bs_slice plain;
	struct bs_writer w;
	uint8_t buf[300];
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.cp = cp;
	m.sp = BENCH_NSI;
	m.seq = ++server.seq;
	m.ipx = *ipx;
	m.eps = eps;
	m.n_eps = n;
	m.attempt = attempt;
	plain.ptr = key.b;
	plain.len = sizeof(key.b);
	ck_assert_int_eq(bs_connect_request_begin(&w, buf, sizeof(buf), &m, BS_PACKET_SMALL, plain),
			 BS_OK);
	buf[11] = (uint8_t)flags;
	len = bs_suite_aes_cbc.seal(&b->crypto, &server.c, BS_INITIATOR, &w, 0, plain);
	ck_assert_int_gt(len, 0);
	return bench_input(b, buf, (size_t)len, &gsp);
}

START_TEST(test_silence)
{
	struct bs_ipx ipx = { 0 };

	ipx.has_nsi = true;
	ipx.nsi_sp = NSI;
	ck_assert_int_eq(connect_with(7, &ipx, NULL, 0, NULL, BS_FLAG_RESPONSE), BS_ETYPE);
	bench_expect_none(b);
	ck_assert_int_eq(connect_with(7, &ipx, NULL, 0, NULL, 0), BS_OK);
	drop_output();
	/* NSI.cp names a live connection. */
	ipx.nsi_sp = NSI + 1;
	ck_assert_int_eq(connect_with(NSI, &ipx, NULL, 0, NULL, 0), BS_EFIELD);
	bench_expect_none(b);
}
END_TEST

/* IPv6 client endpoints, and the attempt id for the hook. */
START_TEST(test_extensions)
{
	static const uint8_t attempt[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct bs_ipx ipx = { 0 };
	struct bs_ep6 eps[2];
	struct bs_packet p;

	memset(eps, 0, sizeof(eps));
	eps[0].ep.ip[0] = 0x20;
	eps[0].ep.port = 600;
	eps[0].kind = BS_EP6_HOST;
	eps[1] = eps[0];
	eps[1].ep.port = 601;
	eps[1].kind = BS_EP6_OBSERVED;
	ipx.has_nsi = true;
	ipx.nsi_sp = NSI;
	ck_assert_int_eq(connect_with(7, &ipx, eps, 2, attempt, 0), BS_OK);
	ck_assert_ptr_nonnull(b->who.attempt);
	bench_expect(b, BS_TYPE_U_CONNECT, &p);
	if (BS_HAS_IP6) {
		ck_assert_uint_eq(bench_expect(b, BS_TYPE_U_CONNECT, &p)->to.port, 600);
		ck_assert_uint_eq(bench_expect(b, BS_TYPE_U_CONNECT, &p)->to.port, 601);
	}
	bench_expect_none(b);
}
END_TEST

static size_t make_close(uint8_t *buf, size_t cap, uint32_t connection)
{
	struct bs_slice none = { NULL, 0 };
	struct bs_close m;
	struct bs_writer w;

	memset(&m, 0, sizeof(m));
	m.nsi = BENCH_NSI;
	m.seq = ++server.seq;
	m.connection = connection;
	m.status = BS_ST_REFUSED;
	bs_close_begin(&w, buf, cap, &m);
	return (size_t)bs_suite_aes_cbc.seal(&b->crypto, &server.c, BS_INITIATOR, &w, 0, none);
}

START_TEST(test_close_one)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	struct bs_packet p;
	struct bs_close m;
	uint8_t buf[128];
	size_t len;
	int i;

	bench_connect(b, &server, NSI, 0, &key);
	bench_connect(b, &server, NSI + 1, 0, &key);
	drop_output();
	len = make_close(buf, sizeof(buf), NSI);
	/* The same packet again, and for a connection that is gone: answered the same. */
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(bench_input(b, buf, len, &gsp), BS_OK);
		bench_expect(b, BS_TYPE_U_CLOSE, &p);
		ck_assert_int_eq(bs_close_decode(&p, &m), BS_OK);
		ck_assert(m.answer);
		ck_assert_uint_eq(m.connection, NSI);
		ck_assert_uint_eq(m.status, BS_ST_REFUSED);
	}
	ck_assert_uint_eq(bs_device_n_live(&b->d), 1);
	ck_assert_uint_eq(b->closed, 1);
	ck_assert(bs_attach_is_attached(&b->d.attach));
}
END_TEST

START_TEST(test_close_all)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	struct bs_packet p;
	uint8_t buf[128];
	size_t len;

	bench_connect(b, &server, NSI, 0, &key);
	bench_connect(b, &server, NSI + 1, 0, &key);
	drop_output();
	len = make_close(buf, sizeof(buf), 0);
	ck_assert_int_eq(bench_input(b, buf, len, &gsp), BS_OK);
	bench_expect(b, BS_TYPE_U_CLOSE, &p);
	bench_expect_none(b);
	ck_assert_uint_eq(bs_device_n_live(&b->d), 0);
	ck_assert_uint_eq(b->closed, 2);
	ck_assert(!bs_attach_is_attached(&b->d.attach));
}
END_TEST

/* Every bit of a request is covered by the MAC: bent ones make no encrypted connection. */
START_TEST(test_bent_requests)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	struct bs_connect_request m;
	struct bs_slice plain;
	struct bs_writer w;
	uint8_t good[300];
	uint8_t bad[300];
	bs_ssize len;
	bs_ssize i;

	memset(&m, 0, sizeof(m));
	m.cp = 9;
	m.sp = BENCH_NSI;
	m.ipx.has_nsi = true;
	m.ipx.nsi_sp = NSI;
	m.client_id = bs_test_text("someone");
	plain.ptr = key.b;
	plain.len = sizeof(key.b);
	ck_assert_int_eq(
		bs_connect_request_begin(&w, good, sizeof(good), &m, BS_PACKET_SMALL, plain),
		BS_OK);
	len = bs_suite_aes_cbc.seal(&b->crypto, &server.c, BS_INITIATOR, &w, 0, plain);
	ck_assert_int_gt(len, 0);
	for (i = 0; i < len * 8; i++) {
		memcpy(bad, good, (size_t)len);
		bad[i / 8] ^= (uint8_t)(1u << i % 8);
		(void)bench_input(b, bad, (size_t)len, &gsp);
		b->n_out = b->taken = 0;
		ck_assert_uint_eq(bs_device_n_live(&b->d), 0);
	}
	ck_assert_uint_eq(b->asked, 0);
	ck_assert_int_eq(bench_input(b, good, (size_t)len, &gsp), BS_OK);
	ck_assert_uint_eq(bs_device_n_live(&b->d), 1);
}
END_TEST

START_TEST(test_detached_is_silent)
{
	bs_device_network_changed(&b->d, b->now);
	bench_drain(b);
	drop_output();
	ck_assert_int_lt(bench_connect(b, &server, NSI, 0, &key), 0);
	bench_expect_none(b);
}
END_TEST

Suite *bs_suite_connect_device(void);

Suite *bs_suite_connect_device(void)
{
	Suite *s = suite_create("connect_device");
	TCase *tc = tcase_create("connect");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_accepts);
	tcase_add_test(tc, test_repeated);
	tcase_add_loop_test(tc, test_refused, 0, (int)BS_LEN(refusals));
	tcase_add_test(tc, test_no_hook_lets_in);
	tcase_add_test(tc, test_backend_fails);
	tcase_add_test(tc, test_slots);
	tcase_add_test(tc, test_silence);
	tcase_add_test(tc, test_extensions);
	tcase_add_test(tc, test_close_one);
	tcase_add_test(tc, test_close_all);
	tcase_add_test(tc, test_bent_requests);
	tcase_add_test(tc, test_detached_is_silent);
	suite_add_tcase(s, tc);
	return s;
}
