/* SPDX-License-Identifier: Apache-2.0 */
/* test_rpc_client.c - the table of calls: pace, order, ends. */
#include "proto/rpc_client.h"
#include "test.h"
#include "util/endpoint.h"

#define N 4

static struct bs_rpc_client r;
static struct bs_conn conn;
static struct bs_crypto crypto;
static struct bs_test_rng rng;
static struct bs_rpc_call call[N];
static int ended[N]; /* how often */
static int result[N];
static bs_time now;
static uint8_t buf[BS_PACKET_MAX];
static bool restart; /* done starts the same call again */

static const uint8_t request[2000] = { 0, 0, 0, 1 };

static void on_done(void *app, struct bs_rpc_call *c, int err, uint32_t exception,
		    struct bs_slice reply)
{
	size_t i = (size_t)(c - call);

	(void)exception;
	(void)reply;
	ck_assert_ptr_eq(app, &r);
	ended[i]++;
	result[i] = err;
	if (restart)
		ck_assert_int_eq(bs_rpc_client_start(&r, c, now), BS_OK);
}

static void setup(void)
{
	struct bs_key_block key;
	size_t i;

	memset(&key, 1, sizeof(key));
	memset(&rng, 0, sizeof(rng));
	memset(call, 0, sizeof(call));
	memset(ended, 0, sizeof(ended));
	restart = false;
	bs_small_crypto_init(&crypto, bs_test_rng_fill, &rng);
	now = BS_TIME_MS(100);
	bs_conn_init(&conn, BS_INITIATOR, 77, &key, &bs_suite_aes_cbc, now);
	bs_endpoint_set_ip4(&conn.remote, 0x0A000001, 9);
	bs_rpc_client_init(&r);
	for (i = 0; i < N; i++) {
		call[i].request.ptr = request;
		call[i].request.len = 8;
		call[i].done = on_done;
		call[i].app = &r;
	}
}

static size_t output(void)
{
	struct bs_endpoint to;

	return bs_rpc_client_output(&r, &conn, &crypto, buf, sizeof(buf), &to, now);
}

static void start(size_t i)
{
	ck_assert_int_eq(bs_rpc_client_start(&r, &call[i], now), BS_OK);
}

static int answer(uint16_t seq, uint8_t flags, size_t len)
{
	struct bs_endpoint from = conn.remote;
	struct bs_conn_data d;

	memset(&d, 0, sizeof(d));
	d.h.seq = seq;
	d.h.flags = flags;
	d.plain.ptr = request;
	d.plain.len = len;
	return bs_rpc_client_input(&r, &conn, &d, &from, now);
}

/* 500 ms, doubling to 4 s, for 30 s in all. */
START_TEST(test_pace)
{
	static const uint32_t sends[] = { 0,     500,   1500,  3500,  7500,
					  11500, 15500, 19500, 23500, 27500 };
	bs_time at = 0;
	size_t n = 0;
	bs_time begin = now;

	start(0);
	for (;;) {
		while (output()) {
			ck_assert_uint_lt(n, BS_LEN(sends));
			ck_assert(now == begin + BS_TIME_MS(sends[n]));
			ck_assert_uint_eq(buf[10], n < 7 ? n : 7);
			n++;
		}
		if (!bs_rpc_client_next_timeout(&r, &at))
			break;
		ck_assert_int_gt(BS_TIME_DIFF(at, now), 0);
		now = at;
		bs_rpc_client_timeout(&r, now);
	}
	ck_assert_uint_eq(n, BS_LEN(sends));
	ck_assert(now == begin + BS_TIME_MS(30000));
	ck_assert_int_eq(ended[0], 1);
	ck_assert_int_eq(result[0], BS_ETIMEDOUT);
}
END_TEST

START_TEST(test_no_retry)
{
	bs_time at;

	call[0].options = BS_RPC_NO_RETRY;
	call[0].limit_ms = 9000;
	start(0);
	ck_assert_uint_gt(output(), 0);
	ck_assert(bs_rpc_client_next_timeout(&r, &at));
	ck_assert(at == now + BS_TIME_MS(9000));
	bs_rpc_client_timeout(&r, at - 1);
	ck_assert_uint_eq(output(), 0);
	bs_rpc_client_timeout(&r, at);
	ck_assert_int_eq(result[0], BS_ETIMEDOUT);
}
END_TEST

START_TEST(test_relay_is_slower)
{
	bs_time at;

	conn.path = BS_PATH_UDP_RELAY;
	start(0);
	ck_assert_uint_gt(output(), 0);
	ck_assert(bs_rpc_client_next_timeout(&r, &at));
	ck_assert(at == now + BS_TIME_MS(1000));
}
END_TEST

/* One after the other unless asked otherwise, each with the next number. */
START_TEST(test_order)
{
	uint16_t first;

	r.max_outstanding = (uint8_t)(_i + 1);
	start(0);
	start(1);
	start(2);
	ck_assert_uint_gt(output(), 0);
	first = call[0].seq;
	if (_i) {
		ck_assert_uint_gt(output(), 0);
		ck_assert_uint_eq(call[1].seq, (uint16_t)(first + 1));
	}
	ck_assert_uint_eq(output(), 0);
	ck_assert_int_eq(answer(first, BS_FLAG_RESPONSE, 4), BS_OK);
	ck_assert_int_eq(ended[0], 1);
	ck_assert_uint_gt(output(), 0);
	ck_assert_uint_eq(output(), 0);
}
END_TEST

START_TEST(test_answers)
{
	start(0);
	ck_assert_int_eq(answer(0, BS_FLAG_RESPONSE, 4), BS_EUNKNOWN);
	ck_assert_uint_gt(output(), 0);
	ck_assert_int_eq(answer(call[0].seq, 0, 4), BS_ETYPE);
	ck_assert_int_eq(answer((uint16_t)(call[0].seq + 1), BS_FLAG_RESPONSE, 4), BS_EUNKNOWN);
	ck_assert_int_eq(answer(call[0].seq, BS_FLAG_RESPONSE | BS_FLAG_EXCEPTION, 3), BS_ESHORT);
	ck_assert_int_eq(ended[0], 0);
	ck_assert_int_eq(answer(call[0].seq, BS_FLAG_RESPONSE | BS_FLAG_EXCEPTION, 4), BS_OK);
	ck_assert_int_eq(result[0], BS_EREFUSED);
	ck_assert_int_eq(answer(call[0].seq, BS_FLAG_RESPONSE, 4), BS_EUNKNOWN);
	ck_assert_int_eq(ended[0], 1);
}
END_TEST

START_TEST(test_notice)
{
	bs_time at;
	bs_time begin = now;

	start(0);
	ck_assert_uint_gt(output(), 0);
	bs_rpc_client_notice(&r, (uint16_t)(call[0].seq + 1), now);
	ck_assert(!call[0].noticed);
	now += BS_TIME_MS(100);
	bs_rpc_client_notice(&r, call[0].seq, now);
	ck_assert(bs_rpc_client_next_timeout(&r, &at));
	ck_assert(at == now + BS_TIME_MS(2000));
	/* A second one does not put it off again. */
	now += BS_TIME_MS(1900);
	bs_rpc_client_notice(&r, call[0].seq, now);
	ck_assert(bs_rpc_client_next_timeout(&r, &at));
	ck_assert(at == begin + BS_TIME_MS(2100));
	now = at;
	bs_rpc_client_timeout(&r, now);
	ck_assert_uint_gt(output(), 0);
	ck_assert(bs_rpc_client_next_timeout(&r, &at));
	ck_assert(at == now + BS_TIME_MS(2000));
	bs_rpc_client_timeout(&r, begin + BS_TIME_MS(30000));
	ck_assert_int_eq(result[0], BS_ETIMEDOUT);
}
END_TEST

START_TEST(test_arguments)
{
	call[0].request.len = 3;
	ck_assert_int_eq(bs_rpc_client_start(&r, &call[0], now), BS_EINVAL);
	call[0].request.len = BS_RPC_CLIENT_REQUEST_MAX + 1;
	ck_assert_int_eq(bs_rpc_client_start(&r, &call[0], now), BS_ETOOBIG);
	call[0].request.len = 4;
	start(0);
	ck_assert_int_eq(bs_rpc_client_start(&r, &call[0], now), BS_EEXIST);
	bs_rpc_client_cancel(&r, &call[1]);
	ck_assert_int_eq(ended[1], 0);
	bs_rpc_client_cancel(&r, &call[0]);
	ck_assert_int_eq(result[0], BS_EDRAIN);
	ck_assert_int_eq(ended[0], 1);
}
END_TEST

/* Above 272 bytes only to a device that showed a large buffer. */
START_TEST(test_large_request)
{
	call[0].request.len = 300;
	start(0);
	ck_assert_uint_eq(output(), 0);
	ck_assert_int_eq(result[0], BS_ETOOBIG);
	conn.large = true;
	call[0].request.len = BS_RPC_CLIENT_REQUEST_MAX;
	start(0);
	ck_assert_uint_gt(output(), BS_RPC_CLIENT_REQUEST_MAX);
	ck_assert_int_eq(ended[0], 1);
}
END_TEST

START_TEST(test_waits_for_path)
{
	struct bs_endpoint remote = conn.remote;

	memset(&conn.remote, 0, sizeof(conn.remote));
	start(0);
	ck_assert_uint_eq(output(), 0);
	now += BS_TIME_MS(4000);
	conn.remote = remote;
	ck_assert_uint_gt(output(), 0);
	ck_assert_uint_eq(call[0].tries, 1);
}
END_TEST

START_TEST(test_no_random)
{
	bs_time at;

	rng.fail = true;
	start(0);
	ck_assert_uint_eq(output(), 0);
	rng.fail = false;
	ck_assert_uint_gt(output(), 0);
	rng.fail = true;
	now += BS_TIME_MS(500);
	bs_rpc_client_timeout(&r, now);
	ck_assert_uint_eq(output(), 0);
	ck_assert_uint_eq(output(), 0);
	rng.fail = false;
	ck_assert(bs_rpc_client_next_timeout(&r, &at));
	ck_assert(at == now + BS_TIME_MS(500));
	now = at;
	bs_rpc_client_timeout(&r, now);
	ck_assert_uint_gt(output(), 0);
	ck_assert_uint_eq(call[0].tries, 2);
}
END_TEST

/* Each call ends once, also when done starts new ones on the same list. */
START_TEST(test_fail_all)
{
	size_t i;

	for (i = 0; i < N; i++)
		start(i);
	(void)output();
	restart = true;
	bs_rpc_client_fail(&r, BS_ECLOSED);
	restart = false;
	for (i = 0; i < N; i++) {
		ck_assert_int_eq(ended[i], 1);
		ck_assert_int_eq(result[i], BS_ECLOSED);
	}
	bs_rpc_client_fail(&r, BS_ECLOSED);
	for (i = 0; i < N; i++)
		ck_assert_int_eq(ended[i], 2);
	ck_assert_ptr_null(r.head);
}
END_TEST

Suite *bs_suite_rpc_client(void);

Suite *bs_suite_rpc_client(void)
{
	Suite *s = suite_create("rpc_client");
	TCase *tc = tcase_create("calls");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_pace);
	tcase_add_test(tc, test_no_retry);
	tcase_add_test(tc, test_relay_is_slower);
	tcase_add_loop_test(tc, test_order, 0, 2);
	tcase_add_test(tc, test_answers);
	tcase_add_test(tc, test_notice);
	tcase_add_test(tc, test_arguments);
	tcase_add_test(tc, test_large_request);
	tcase_add_test(tc, test_waits_for_path);
	tcase_add_test(tc, test_no_random);
	tcase_add_test(tc, test_fail_all);
	suite_add_tcase(s, tc);
	return s;
}
