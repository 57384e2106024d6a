/* SPDX-License-Identifier: Apache-2.0 */
/* test_rpc_device.c - calls as the device answers them: recorded ones, copies, limits, trouble. */
#include "bench.h"

#define NSI UINT32_C(501)

static struct bench *b;
static struct bs_conn client; /* the other end of slot 0 */
static struct bs_vectors *vectors;

/* A device that runs, with one connection made by hand. */
static void open_conn(const struct bs_suite *suite, const struct bs_key_block *key, uint32_t nsi,
		      bool async)
{
	bs_conn_init(&b->conns[0].c, BS_RESPONDER, nsi, key, suite, b->now);
	b->conns[0].c.async = async;
	bs_conn_init(&client, BS_INITIATOR, nsi, key, suite, b->now);
	client.nsi_cp = 777;
}

static void setup(void)
{
	struct bs_key_block key;

	b = malloc(sizeof(*b));
	ck_assert_ptr_nonnull(b);
	memset(&key, 0x33, sizeof(key));
	bench_init(b, "dev.test", NULL);
	bench_start(b);
	b->taken = b->n_out;
	open_conn(&bs_suite_aes_cbc, &key, NSI, true);
}

static void teardown(void)
{
	bench_fini(b);
	bs_vectors_free(vectors);
	vectors = NULL;
	free(b);
}

static int request(uint16_t seq, uint8_t flags, const void *text, size_t len)
{
	struct bs_endpoint from = bench_local(BENCH_PEER);
	struct bs_conn_send s = { 0 };
	struct bs_slice plain;
	uint8_t buf[BS_PACKET_MAX];
	bs_ssize n;

	plain.ptr = text;
	plain.len = len;
	s.seq = seq;
	s.flags = flags;
	n = bs_conn_seal(&client, &b->crypto, &s, plain, buf, sizeof(buf));
	ck_assert_int_gt(n, 0);
	return bench_input(b, buf, (size_t)n, &from);
}

static void expect_notice(uint16_t seq)
{
	struct bs_payload pl;
	struct bs_packet p;

	bench_expect(b, BS_TYPE_DATA, &p);
	ck_assert_uint_eq(p.h.seq, seq);
	ck_assert(!bs_payload_find(&p, BS_PL_CRYPTO, &pl));
	ck_assert(bs_payload_find(&p, BS_PL_NOTIFY, &pl));
	ck_assert_uint_eq(bs_get_u32(pl.data), BS_ST_PENDING);
}

static void expect_reply(uint16_t seq, uint8_t flags, const void *text, size_t len)
{
	const struct bench_packet *o;
	struct bs_endpoint from = bench_local(BENCH_DEV);
	struct bs_conn_data d;
	struct bs_packet p;
	uint8_t *copy;

	o = bench_expect(b, BS_TYPE_DATA, &p);
	/* The report of the opened connection does not go out: the device is not attached. */
	copy = bs_test_copy(o->bytes, o->len);
	ck_assert_int_eq(bs_packet_decode(copy, o->len, &p), BS_OK);
	ck_assert_int_eq(bs_conn_open(&client, &b->crypto, &p, copy, &from, b->now, &d), BS_OK);
	ck_assert_uint_eq(p.h.seq, seq);
	ck_assert_uint_eq(p.h.flags, flags);
	ck_assert_uint_eq(d.plain.len, len);
	if (len)
		ck_assert_mem_eq(d.plain.ptr, text, len);
	free(copy);
}

static void expect_exception(uint16_t seq, uint32_t code)
{
	uint8_t text[4];

	bs_put_u32(text, code);
	expect_reply(seq, BS_FLAG_RESPONSE | BS_FLAG_EXCEPTION, text, sizeof(text));
}

static const uint8_t query[] = { 0, 0, 0, 5, 1, 2 };

START_TEST(test_reply)
{
	b->rpc_reply = bs_test_text("answer");
	ck_assert_int_eq(request(9, 0, query, sizeof(query)), BS_OK);
	expect_notice(9);
	expect_reply(9, BS_FLAG_RESPONSE, "answer", 6);
	bench_expect_none(b);
	ck_assert_uint_eq(b->rpc_query, 5);
}
END_TEST

START_TEST(test_empty_reply)
{
	ck_assert_int_eq(request(9, 0, query, 4), BS_OK);
	expect_notice(9);
	expect_reply(9, BS_FLAG_RESPONSE, NULL, 0);
}
END_TEST

/* A copy with a new IV gets the kept reply; a byte-identical one is dropped. */
START_TEST(test_copies)
{
	int i;

	b->rpc_reply = bs_test_text("once");
	request(9, 0, query, sizeof(query));
	b->taken = b->n_out;
	b->rpc_reply = bs_test_text("twice");
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(request(9, 0, query, sizeof(query)), BS_OK);
		expect_reply(9, BS_FLAG_RESPONSE, "once", 4);
		bench_expect_none(b);
	}
	ck_assert_uint_eq(b->rpc_calls, 1);
	/* The same number with other content is another request. */
	ck_assert_int_eq(request(9, 0, query, 5), BS_OK);
	ck_assert_uint_eq(b->rpc_calls, 2);
}
END_TEST

/* A copy that was under way while the client went on is not run again. */
START_TEST(test_late_copies)
{
	uint16_t seq;

	for (seq = 1; seq <= BS_RPC_DONE; seq++)
		ck_assert_int_eq(request(seq, 0, query, sizeof(query)), BS_OK);
	ck_assert_uint_eq(b->rpc_calls, BS_RPC_DONE);
	b->taken = b->n_out;
	for (seq = 1; seq < BS_RPC_DONE; seq++)
		ck_assert_int_eq(request(seq, 0, query, sizeof(query)), BS_EREPLAY);
	bench_expect_none(b);
	ck_assert_uint_eq(b->rpc_calls, BS_RPC_DONE);
	/* An old number with other content is another request. */
	ck_assert_int_eq(request(1, 0, query, 5), BS_OK);
	ck_assert_uint_eq(b->rpc_calls, BS_RPC_DONE + 1);
}
END_TEST

START_TEST(test_exact_repeat)
{
	struct bs_endpoint from = bench_local(BENCH_PEER);
	struct bs_conn_send s = { 0 };
	struct bs_slice plain = { query, sizeof(query) };
	uint8_t buf[BS_PACKET_SMALL];
	bs_ssize n = bs_conn_seal(&client, &b->crypto, &s, plain, buf, sizeof(buf));

	ck_assert_int_eq(bench_input(b, buf, (size_t)n, &from), BS_OK);
	b->taken = b->n_out;
	ck_assert_int_eq(bench_input(b, buf, (size_t)n, &from), BS_EREPLAY);
	bench_expect_none(b);
	ck_assert_uint_eq(b->d.drops[BS_ESHORT - BS_EREPLAY], 1);
}
END_TEST

/* Exceptions of the application go to clients that declared notices; others hear nothing. */
START_TEST(test_exception)
{
	b->conns[0].c.async = _i != 0;
	b->rpc_code = BS_RPC_FORBIDDEN;
	ck_assert_int_eq(request(1, 0, query, sizeof(query)), BS_OK);
	if (_i) {
		expect_notice(1);
		expect_exception(1, BS_RPC_FORBIDDEN);
	}
	bench_expect_none(b);
	/* Not run again either way. */
	request(1, 0, query, sizeof(query));
	ck_assert_uint_eq(b->rpc_calls, 1);
}
END_TEST

static const struct {
	size_t len;
	uint32_t code;
} sizes[] = {
	{ 0, BS_RPC_NO_QUERY },       { 3, BS_RPC_NO_QUERY }, { 4, 0 }, { 200, 0 },
	{ 201, BS_RPC_REQUEST_LONG },
};

/* The framework's own refusals reach every client. */
START_TEST(test_sizes)
{
	uint8_t text[256] = { 0 };

	b->conns[0].c.async = false;
	ck_assert_int_eq(request(1, 0, text, sizes[_i].len), BS_OK);
	if (sizes[_i].code)
		expect_exception(1, sizes[_i].code);
	else
		expect_reply(1, BS_FLAG_RESPONSE, NULL, 0);
	ck_assert_uint_eq(b->rpc_calls, sizes[_i].code ? 0 : 1);
	bench_expect_none(b);
}
END_TEST

static int read_too_much(void *app, struct bs_rpc_request *req)
{
	(void)app;
	(void)bs_cursor_read_u32(&req->args);
	return BS_RPC_OK;
}

static int write_too_much(void *app, struct bs_rpc_request *req)
{
	(void)app;
	bs_writer_put_zero(&req->reply, BS_RPC_REPLY_MAX + 1);
	return BS_RPC_OK;
}

static int write_all(void *app, struct bs_rpc_request *req)
{
	(void)app;
	bs_writer_put_zero(&req->reply, BS_RPC_REPLY_MAX);
	return BS_RPC_OK;
}

START_TEST(test_handler_limits)
{
	static const uint8_t zero[BS_RPC_REPLY_MAX] = { 0 };

	b->ops.rpc = read_too_much;
	request(1, 0, query, sizeof(query));
	expect_notice(1);
	expect_exception(1, BS_RPC_REQUEST_SHORT);
	b->ops.rpc = write_too_much;
	request(2, 0, query, sizeof(query));
	expect_notice(2);
	expect_exception(2, BS_RPC_REPLY_LONG);
	b->ops.rpc = write_all;
	request(3, 0, query, sizeof(query));
	expect_notice(3);
	expect_reply(3, BS_FLAG_RESPONSE, zero, sizeof(zero));
	b->ops.rpc = NULL;
	request(4, 0, query, sizeof(query));
	expect_notice(4);
	expect_exception(4, BS_RPC_UNKNOWN_QUERY);
}
END_TEST

/* The header's form is repeated: TAG with tag 0, retrans, NSI.cp. */
START_TEST(test_header_mirrored)
{
	struct bs_packet p;

	request(1, BS_FLAG_TAG, query, sizeof(query));
	bench_expect(b, BS_TYPE_DATA, &p);
	ck_assert_uint_eq(p.h.flags, BS_FLAG_TAG | BS_FLAG_RESPONSE);
	ck_assert_uint_eq(p.h.nsi_cp, 777);
	ck_assert_uint_eq(p.len, 26);
	expect_reply(1, BS_FLAG_TAG | BS_FLAG_RESPONSE, NULL, 0);
	memset(client.nsi_co, 0x5C, sizeof(client.nsi_co));
	request(2, BS_FLAG_NSI_CO, query, sizeof(query));
	bench_expect(b, BS_TYPE_DATA, &p);
	ck_assert_uint_eq(p.len, 32);
	ck_assert_mem_eq(p.h.nsi_co, client.nsi_co, 8);
}
END_TEST

START_TEST(test_answers_are_not_requests)
{
	ck_assert_int_eq(request(1, BS_FLAG_RESPONSE, query, sizeof(query)), BS_ETYPE);
	ck_assert_int_eq(request(1, BS_FLAG_EXCEPTION, query, sizeof(query)), BS_ETYPE);
	ck_assert_uint_eq(b->rpc_calls, 0);
	bench_expect_none(b);
}
END_TEST

START_TEST(test_deferred)
{
	struct bs_slice none = { NULL, 0 };
	uint32_t token;

	b->rpc_code = BS_RPC_DEFERRED;
	request(1, 0, query, sizeof(query));
	token = b->rpc_token;
	ck_assert_uint_ne(token, 0);
	expect_notice(1);
	bench_expect_none(b);
	request(1, 0, query, sizeof(query));
	expect_notice(1);
	bench_expect_none(b);
	ck_assert_uint_eq(b->rpc_calls, 1);
	/* A second one finds no room: no notice, an exception at once. */
	request(2, 0, query, sizeof(query));
	ck_assert_uint_eq(b->rpc_token, 0);
	expect_exception(2, BS_RPC_DEVICE_ERROR);
	bench_expect_none(b);
	ck_assert_int_eq(bs_device_rpc_answer(&b->d, token + 1, 0, none), BS_ENOENT);
	ck_assert_int_eq(bs_device_rpc_answer(&b->d, token, 0, bs_test_text("done")), BS_OK);
	ck_assert_int_eq(bs_device_rpc_answer(&b->d, token, 0, none), BS_ENOENT);
	bench_drain(b);
	expect_reply(1, BS_FLAG_RESPONSE, "done", 4);
	/* And it is kept for copies. */
	request(1, 0, query, sizeof(query));
	expect_reply(1, BS_FLAG_RESPONSE, "done", 4);
	ck_assert_uint_eq(b->rpc_calls, 2);
}
END_TEST

START_TEST(test_deferred_exception)
{
	struct bs_slice big;
	uint8_t text[BS_RPC_REPLY_MAX + 1] = { 0 };

	b->rpc_code = BS_RPC_DEFERRED;
	request(1, 0, query, sizeof(query));
	expect_notice(1);
	big.ptr = text;
	big.len = sizeof(text);
	ck_assert_int_eq(bs_device_rpc_answer(&b->d, b->rpc_token, 0, big), BS_OK);
	bench_drain(b);
	expect_exception(1, BS_RPC_REPLY_LONG);
	request(2, 0, query, sizeof(query));
	expect_notice(2);
	big.len = 0;
	ck_assert_int_eq(bs_device_rpc_answer(&b->d, b->rpc_token, 4000000000u, big), BS_OK);
	bench_drain(b);
	expect_exception(2, 4000000000u);
}
END_TEST

/* The connection ends before the answer: the token is dead, the slot is wiped. */
START_TEST(test_deferred_connection_gone)
{
	struct bs_slice none = { NULL, 0 };

	b->rpc_code = BS_RPC_DEFERRED;
	request(1, 0, query, sizeof(query));
	b->taken = b->n_out;
	bench_run(b, 18000);
	ck_assert_uint_eq(b->closed, 1);
	ck_assert_int_eq(bs_device_rpc_answer(&b->d, b->rpc_token, 0, none), BS_ENOENT);
}
END_TEST

/* Without random numbers the reply waits in its slot for the next copy. */
START_TEST(test_no_random)
{
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_endpoint from = bench_local(BENCH_PEER);
	struct bs_conn_send s = { 0 };
	struct bs_slice plain = { query, sizeof(query) };
	bs_ssize n = bs_conn_seal(&client, &b->crypto, &s, plain, buf, sizeof(buf));

	b->rpc_reply = bs_test_text("kept");
	b->rng.fail = true;
	ck_assert_int_eq(bench_input(b, buf, (size_t)n, &from), BS_OK);
	expect_notice(0);
	bench_expect_none(b);
	b->rng.fail = false;
	request(0, 0, query, sizeof(query));
	expect_reply(0, BS_FLAG_RESPONSE, "kept", 4);
	ck_assert_uint_eq(b->rpc_calls, 1);
}
END_TEST

/* An owner that does not fetch the answer gets no second request run. */
START_TEST(test_not_fetched)
{
	struct bs_endpoint from = bench_local(BENCH_PEER);
	struct bs_conn_send s = { 0 };
	struct bs_slice plain = { query, sizeof(query) };
	uint8_t buf[BS_PACKET_SMALL];
	bs_ssize n;

	n = bs_conn_seal(&client, &b->crypto, &s, plain, buf, sizeof(buf));
	ck_assert_int_eq(bs_device_input(&b->d, buf, (size_t)n, &from, b->now), BS_OK);
	s.seq = 1;
	n = bs_conn_seal(&client, &b->crypto, &s, plain, buf, sizeof(buf));
	ck_assert_int_eq(bs_device_input(&b->d, buf, (size_t)n, &from, b->now), BS_EFULL);
	ck_assert_uint_eq(b->rpc_calls, 1);
}
END_TEST

/* One slot for all connections: a reply of one may push out another's, never mix with it. */
START_TEST(test_shared_slot)
{
	struct bs_conn other;
	struct bs_key_block key;

	b->d.rpc.n_slots = 1;
	memset(&key, 0x44, sizeof(key));
	bs_conn_init(&b->conns[1].c, BS_RESPONDER, NSI + 1, &key, &bs_suite_aes_cbc, b->now);
	b->rpc_reply = bs_test_text("first");
	request(9, 0, query, sizeof(query));
	expect_notice(9);
	expect_reply(9, BS_FLAG_RESPONSE, "first", 5);
	other = client;
	bs_conn_init(&client, BS_INITIATOR, NSI + 1, &key, &bs_suite_aes_cbc, b->now);
	b->rpc_reply = bs_test_text("second");
	request(9, 0, query, sizeof(query));
	expect_reply(9, BS_FLAG_RESPONSE, "second", 6);
	client = other;
	/* The first reply is gone: its late copy is neither run nor answered with another's. */
	ck_assert_int_eq(request(9, 0, query, sizeof(query)), BS_EREPLAY);
	ck_assert_uint_eq(b->rpc_calls, 2);
}
END_TEST

START_TEST(test_parameters)
{
	static const uint8_t args[] = { 0, 3, 'a', 'b', 'c', 0, 9, 'x' };
	struct bs_cursor c;
	struct bs_writer w;
	struct bs_slice s;
	uint8_t buf[16];
	size_t mark;

	bs_cursor_init(&c, args, sizeof(args));
	s = bs_rpc_read_raw(&c);
	ck_assert_uint_eq(s.len, 3);
	ck_assert_mem_eq(s.ptr, "abc", 3);
	s = bs_rpc_read_raw(&c);
	ck_assert_uint_eq(s.len, 0);
	ck_assert(c.bad);
	bs_writer_init(&w, buf, sizeof(buf));
	mark = bs_rpc_list_begin(&w);
	bs_rpc_write_raw(&w, bs_test_text("hi"));
	bs_rpc_list_end(&w, mark, 1);
	ck_assert_uint_eq(w.len, 6);
	ck_assert_mem_eq(buf, "\0\1\0\2hi", 6);
	s.ptr = buf;
	s.len = 70000;
	bs_rpc_write_raw(&w, s);
	ck_assert(w.bad);
	bs_rpc_list_end(&w, mark, 2);
	ck_assert_uint_eq(buf[1], 1);
}
END_TEST

static const struct bs_row *played;
static const struct bs_scenario *scenario;
static bool defer;

static int recorded_rpc(void *app, struct bs_rpc_request *req)
{
	const struct bs_row *row = played;
	struct bs_slice h;
	struct bs_slice plain;

	(void)app;
	b->rpc_calls++;
	b->rpc_token = req->token;
	if (defer)
		return BS_RPC_DEFERRED;
	do {
		row = bs_scenario_packet(scenario, row);
		ck_assert_ptr_nonnull(row);
		h = bs_row_hex(row, "hex");
	} while (!bs_row_is(row, "from", "dev") || !bs_row_text(row, "plain"));
	plain = bs_row_hex(row, "plain");
	if (h.ptr[11] & BS_FLAG_EXCEPTION)
		return (int)bs_get_u32(plain.ptr);
	bs_writer_put_bytes(&req->reply, plain.ptr, plain.len);
	return BS_RPC_OK;
}

static void recorded_open(struct bs_scenario *s, const char *name, const char *key)
{
	struct bs_key_block k;

	vectors = bs_vectors_load("data.txt");
	*s = bs_scenario_find(vectors, name);
	scenario = s;
	if (key)
		memcpy(k.b, bs_scenario_hex(s, key).ptr, sizeof(k.b));
	open_conn(key ? &bs_suite_aes_cbc : &bs_suite_null, key ? &k : NULL,
		  bs_scenario_num(s, "nsi_sp"), true);
	b->ops.rpc = recorded_rpc;
}

static int play(const struct bs_row *row)
{
	struct bs_endpoint from = bench_local(BENCH_PEER);
	struct bs_slice h = bs_row_hex(row, "hex");

	played = row;
	return bench_input(b, h.ptr, h.len, &from);
}

static void expect_row(const struct bs_row *row)
{
	const struct bench_packet *o = bench_take(b);
	struct bs_slice h = bs_row_hex(row, "hex");

	ck_assert_ptr_nonnull(o);
	ck_assert_uint_eq(o->len, h.len);
	ck_assert_mem_eq(o->bytes, h.ptr, h.len);
}

static const struct {
	const char *name;
	const char *key;
} recordings[] = {
	{ "rpc_query_plain", NULL },
	{ "rpc_query", "session_key" },
	{ "rpc_exception", "session_key" },
};

/* Request, notice, reply as a stock device sent them, byte for byte. */
START_TEST(test_recorded)
{
	struct bs_scenario s;
	const struct bs_row *reply;

	recorded_open(&s, recordings[_i].name, recordings[_i].key);
	reply = bs_scenario_packet_at(&s, 2);
	if (recordings[_i].key) {
		b->rng.next.ptr = bs_row_hex(reply, "hex").ptr + 22; /* its IV */
		b->rng.next.len = 16;
	}
	ck_assert_int_eq(play(bs_scenario_packet_at(&s, 0)), BS_OK);
	expect_row(bs_scenario_packet_at(&s, 1));
	expect_row(reply);
	bench_expect_none(b);
}
END_TEST

START_TEST(test_recorded_async)
{
	struct bs_scenario s;
	struct bs_slice plain;

	recorded_open(&s, "rpc_async", NULL);
	defer = true;
	/* Copies are not dropped as exact repeats: the NULL suite has no MAC to tell them by. */
	ck_assert_int_eq(play(bs_scenario_packet_at(&s, 0)), BS_OK);
	ck_assert_uint_ne(b->rpc_token, 0);
	plain = bs_row_hex(bs_scenario_packet_at(&s, 6), "plain");
	ck_assert_int_eq(play(bs_scenario_packet_at(&s, 1)), BS_OK);
	expect_row(bs_scenario_packet_at(&s, 3));
	expect_row(bs_scenario_packet_at(&s, 4));
	ck_assert_uint_eq(b->rpc_calls, 1);
	ck_assert_int_eq(play(bs_scenario_packet_at(&s, 2)), BS_OK);
	expect_row(bs_scenario_packet_at(&s, 5));
	ck_assert_int_eq(bs_device_rpc_answer(&b->d, b->d.rpc.token, 0, plain), BS_OK);
	bench_drain(b);
	expect_row(bs_scenario_packet_at(&s, 6));
	bench_expect_none(b);
	defer = false;
}
END_TEST

Suite *bs_suite_rpc_device(void);

Suite *bs_suite_rpc_device(void)
{
	Suite *s = suite_create("rpc_device");
	TCase *tc = tcase_create("rpc");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_reply);
	tcase_add_test(tc, test_empty_reply);
	tcase_add_test(tc, test_copies);
	tcase_add_test(tc, test_late_copies);
	tcase_add_test(tc, test_exact_repeat);
	tcase_add_loop_test(tc, test_exception, 0, 2);
	tcase_add_loop_test(tc, test_sizes, 0, (int)BS_LEN(sizes));
	tcase_add_test(tc, test_handler_limits);
	tcase_add_test(tc, test_header_mirrored);
	tcase_add_test(tc, test_answers_are_not_requests);
	tcase_add_test(tc, test_deferred);
	tcase_add_test(tc, test_deferred_exception);
	tcase_add_test(tc, test_deferred_connection_gone);
	tcase_add_test(tc, test_no_random);
	tcase_add_test(tc, test_not_fetched);
	tcase_add_test(tc, test_shared_slot);
	tcase_add_test(tc, test_parameters);
	tcase_add_loop_test(tc, test_recorded, 0, (int)BS_LEN(recordings));
	tcase_add_test(tc, test_recorded_async);
	suite_add_tcase(s, tc);
	return s;
}
