/* SPDX-License-Identifier: Apache-2.0 */
/* Queries, access and connections as the application sees them. */
#include "suites.h"

#include <string.h>

#include "central.h"

static struct central c;
static uint32_t pending_token;
static bool refuse;
static char opened_by[BS_CLIENT_ID_MAX + 1];
static unsigned opens, closes, runs;

enum {
	Q_ECHO = 1,
	Q_SHORT = 2,
	Q_LONG = 3,
	Q_PENDING = 4,
	Q_OWN_CODE = 5,
	Q_LIST = 6,
	Q_WHO = 7
};

static int on_query(void *ctx, struct bsdev *dev, uint32_t id, struct bsdev_query *q)
{
	struct bsdev_peer peer;
	const uint8_t *raw;
	size_t len, mark;

	ck_assert_ptr_eq(ctx, &c);
	ck_assert_ptr_eq(dev, c.dev);
	runs++;
	switch (id) {
	case Q_ECHO:
		bsdev_write_u8(q, bsdev_read_u8(q));
		bsdev_write_u16(q, bsdev_read_u16(q));
		bsdev_write_u32(q, bsdev_read_u32(q));
		raw = bsdev_read_raw(q, &len);
		bsdev_write_raw(q, raw, len);
		return BS_RPC_OK;
	case Q_SHORT: (void)bsdev_read_u32(q); return BS_RPC_OK;
	case Q_LONG:
		for (int i = 0; i < 60; i++)
			bsdev_write_u32(q, 1);
		return BS_RPC_OK;
	case Q_PENDING: pending_token = bsdev_query_token(q); return BSDEV_PENDING;
	case Q_OWN_CODE: return 42;
	case Q_LIST:
		mark = bsdev_write_list(q);
		bsdev_write_u8(q, 7);
		bsdev_write_u8(q, 8);
		bsdev_write_list_end(q, mark, 2);
		return BS_RPC_OK;
	case Q_WHO:
		bsdev_query_peer(q, &peer);
		bsdev_write_raw(q, peer.client_id, peer.client_id_len);
		bsdev_write_raw(q, peer.fingerprint, BS_FP_LEN);
		return BS_RPC_OK;
	default: return BS_RPC_UNKNOWN_QUERY;
	}
}

static bool on_access(void *ctx, struct bsdev *dev, const struct bsdev_peer *peer)
{
	(void)ctx;
	(void)dev;
	ck_assert_uint_eq(peer->client_id_len, strlen("user@example.test"));
	ck_assert_ptr_nonnull(peer->fingerprint);
	return !refuse;
}

static void on_connection(void *ctx, struct bsdev *dev, const struct bsdev_peer *peer, bool open)
{
	(void)ctx;
	(void)dev;
	if (!open) {
		closes++;
		return;
	}
	opens++;
	memcpy(opened_by, peer->client_id, peer->client_id_len);
	opened_by[peer->client_id_len] = '\0';
}

static void setup(void)
{
	central_init(&c);
	c.conf.query = on_query;
	c.conf.access = on_access;
	c.conf.connection = on_connection;
	refuse = false;
	opens = closes = runs = 0;
	pending_token = 0;
	central_attach(&c);
}

static void teardown(void)
{
	central_fini(&c);
}

/** The outcome of one call. */
struct outcome {
	bool done;
	int err;
	uint32_t exception;
	uint8_t reply[256];
	size_t len;
};

static void on_done(void *app, struct bs_rpc_call *call, int err, uint32_t exception,
		    struct bs_slice reply)
{
	struct outcome *o = app;

	(void)call;
	o->done = true;
	o->err = err;
	o->exception = exception;
	o->len = reply.len;
	if (reply.len > 0)
		memcpy(o->reply, reply.ptr, reply.len);
}

static void call(const void *request, size_t len, uint32_t ms, struct outcome *o)
{
	static struct bs_rpc_call rpc;

	memset(o, 0, sizeof(*o));
	memset(&rpc, 0, sizeof(rpc));
	rpc.request.ptr = request;
	rpc.request.len = len;
	rpc.done = on_done;
	rpc.app = o;
	ck_assert_int_eq(bs_peer_call(&c.peer, &rpc, c.now), BS_OK);
	central_run(&c, ms);
}

static void connect_client(void)
{
	central_connect(&c, "user@example.test");
	ck_assert_uint_eq(c.connect_code, BS_ST_OK);
}

START_TEST(test_values_travel)
{
	static const uint8_t request[] = { 0,    0,    0,    Q_ECHO, 0xfe, 0x12, 0x34, 0x89,
					   0xab, 0xcd, 0xef, 0,      3,    'a',  'b',  'c' };
	struct outcome o;

	connect_client();
	call(request, sizeof(request), 10, &o);
	ck_assert(o.done);
	ck_assert_int_eq(o.err, BS_OK);
	ck_assert_uint_eq(o.len, sizeof(request) - 4);
	ck_assert_mem_eq(o.reply, request + 4, o.len);
	ck_assert_uint_eq(opens, 1);
	ck_assert_str_eq(opened_by, "user@example.test");
	ck_assert_uint_eq(bsdev_connections(c.dev), 1);
}
END_TEST

START_TEST(test_exceptions)
{
	static const struct {
		uint8_t query;
		uint32_t code;
	} rows[] = {
		{ Q_SHORT, BS_RPC_REQUEST_SHORT },
		{ Q_LONG, BS_RPC_REPLY_LONG },
		{ Q_OWN_CODE, 42 },
		{ 99, BS_RPC_UNKNOWN_QUERY },
	};
	struct outcome o;

	connect_client();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const uint8_t request[] = { 0, 0, 0, rows[i].query };

		call(request, sizeof(request), 10, &o);
		ck_assert(o.done);
		ck_assert_int_eq(o.err, BS_EREFUSED);
		ck_assert_uint_eq(o.exception, rows[i].code);
	}
}
END_TEST

START_TEST(test_list_and_caller)
{
	static const uint8_t list[] = { 0, 0, 0, Q_LIST }, who[] = { 0, 0, 0, Q_WHO };
	static const uint8_t want[] = { 0, 2, 7, 8 };
	struct outcome o;

	connect_client();
	call(list, sizeof(list), 10, &o);
	ck_assert_uint_eq(o.len, sizeof(want));
	ck_assert_mem_eq(o.reply, want, sizeof(want));
	call(who, sizeof(who), 10, &o);
	ck_assert_uint_eq(o.len, 2 + 17 + 2 + 16);
	ck_assert_mem_eq(o.reply + 2, "user@example.test", 17);
	ck_assert_uint_eq(o.reply[21], 1);
}
END_TEST

START_TEST(test_reply_later)
{
	static const uint8_t request[] = { 0, 0, 0, Q_PENDING };
	struct outcome o;

	connect_client();
	call(request, sizeof(request), 3000, &o);
	ck_assert(!o.done);
	ck_assert_uint_ne(pending_token, 0);
	ck_assert_uint_eq(runs, 1);
	ck_assert_int_eq(bsdev_reply(c.dev, pending_token, BS_RPC_OK, "xyz", 3), BS_OK);
	central_pump(&c);
	ck_assert(o.done);
	ck_assert_mem_eq(o.reply, "xyz", 3);
	ck_assert_int_eq(bsdev_reply(c.dev, pending_token, BS_RPC_OK, "xyz", 3), BS_ENOENT);
}
END_TEST

START_TEST(test_owner_refuses)
{
	refuse = true;
	central_connect(&c, "user@example.test");
	ck_assert_uint_eq(c.connect_code, BS_ST_REFUSED_DEVICE);
	ck_assert_uint_eq(bsdev_connections(c.dev), 0);
	ck_assert_uint_eq(opens, 0);
}
END_TEST

START_TEST(test_silent_client_is_dropped)
{
	static const uint8_t list[] = { 0, 0, 0, Q_LIST };
	struct outcome o;

	connect_client();
	call(list, sizeof(list), 10, &o);
	bs_peer_fini(&c.peer);
	c.has_peer = false;
	for (int i = 0; i < 4; i++) {
		central_run(&c, 6000);
		central_alive(&c);
	}
	ck_assert_uint_eq(closes, 1);
	ck_assert_uint_eq(bsdev_connections(c.dev), 0);
}
END_TEST

START_TEST(test_no_handlers_at_all)
{
	static const uint8_t list[] = { 0, 0, 0, Q_LIST };
	struct outcome o;

	central_fini(&c);
	central_init(&c);
	central_attach(&c);
	connect_client();
	call(list, sizeof(list), 10, &o);
	ck_assert_uint_eq(o.exception, BS_RPC_UNKNOWN_QUERY);
}
END_TEST

Suite *bs_suite_report(void)
{
	Suite *s = suite_create("report");
	TCase *tc = tcase_create("report");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_values_travel);
	tcase_add_test(tc, test_exceptions);
	tcase_add_test(tc, test_list_and_caller);
	tcase_add_test(tc, test_reply_later);
	tcase_add_test(tc, test_owner_refuses);
	tcase_add_test(tc, test_silent_client_is_dropped);
	tcase_add_test(tc, test_no_handlers_at_all);
	suite_add_tcase(s, tc);
	return s;
}
