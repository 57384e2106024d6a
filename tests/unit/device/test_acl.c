/* SPDX-License-Identifier: Apache-2.0 */
/* The owner's access list, driven over local connections and by hand-made peers. */
#include "basestation/device_acl.h"

#include <stdlib.h>
#include <string.h>

#include "central.h"
#include "context.h"
#include "proto/local_client.h"
#include "proto/pairing.h"
#include "suites.h"
#include "util/endpoint.h"

#define TEXT "abcd-efgh-ijkl"

/* What the storage hook keeps, by name. */
static struct {
	char name[48];
	uint8_t value[8192];
	size_t len;
} kept[8];
static size_t n_kept;
static int keep_result;

static struct central c;
static struct bsdev_acl acl;
static struct bsdev_acl_conf acl_conf;
static struct bsdev_storage storage;
static struct bsdev_local_conf local_conf;
static struct bsdev_local *local;
static union {
	void *align;
	uint8_t bytes[BSDEV_LOCAL_STORAGE_LEN];
} local_storage;

static const uint8_t alice[BS_FP_LEN] = { 0xA1, 1 };
static const uint8_t bob[BS_FP_LEN] = { 0xB0, 2 };

static bs_ssize on_get(void *ctx, const char *name, uint8_t *value, size_t cap)
{
	(void)ctx;
	for (size_t i = 0; i < n_kept; i++)
		if (strcmp(kept[i].name, name) == 0) {
			memcpy(value, kept[i].value, kept[i].len < cap ? kept[i].len : cap);
			return (bs_ssize)kept[i].len;
		}
	return BS_ENOENT;
}

static int on_set(void *ctx, const char *name, const uint8_t *value, size_t len)
{
	size_t i = 0;

	(void)ctx;
	if (keep_result != BS_OK)
		return keep_result;
	while (i < n_kept && strcmp(kept[i].name, name) != 0)
		i++;
	ck_assert_uint_lt(i, 8);
	ck_assert_uint_le(len, sizeof(kept[i].value));
	ck_assert_uint_lt(strlen(name), sizeof(kept[i].name));
	memcpy(kept[i].name, name, strlen(name) + 1);
	memcpy(kept[i].value, value, len);
	kept[i].len = len;
	n_kept = i == n_kept ? n_kept + 1 : n_kept;
	return BS_OK;
}

static int on_query(void *ctx, struct bsdev *dev, uint32_t id, struct bsdev_query *q)
{
	int code = bsdev_acl_query(&acl, dev, id, q);

	(void)ctx;
	return code == BSDEV_ACL_OTHER ? BS_RPC_UNKNOWN_QUERY : code;
}

static bool on_access(void *ctx, struct bsdev *dev, const struct bsdev_peer *peer)
{
	(void)ctx;
	(void)dev;
	return bsdev_acl_access(&acl, peer);
}

static void setup(void)
{
	n_kept = 0;
	keep_result = BS_OK;
	storage = (struct bsdev_storage){ on_get, on_set, NULL };
	central_init(&c);
	c.conf.query = on_query;
	c.conf.access = on_access;
	c.conf.connections = 8;
	memset(&acl_conf, 0, sizeof(acl_conf));
	acl_conf.device_id = c.conf.id;
	acl_conf.device_name = "shed";
	acl_conf.device_type = "sensor";
	acl_conf.pairing_secret = TEXT;
	acl_conf.storage = &storage;
	ck_assert_int_eq(bsdev_acl_init(&acl, &acl_conf), BS_OK);
	ck_assert_int_eq(central_start(&c), BS_OK);
	local_conf = (struct bsdev_local_conf){ .allow = BSDEV_LOCAL_DISCOVERY | BSDEV_LOCAL_PSK |
							 BSDEV_LOCAL_PLAIN,
						.key = bsdev_acl_key,
						.ctx = &acl };
	ck_assert_int_eq(bsdev_local_init(&local_storage, sizeof(local_storage), c.dev, &local_conf,
					  NULL, NULL, &local),
			 BS_OK);
}

static void teardown(void)
{
	bsdev_local_fini(local);
	bsdev_acl_fini(&acl);
	central_fini(&c);
}

/* ---- a client on the local network */

struct user {
	struct bs_local_connect link;
	struct bs_peer peer;
	struct bs_endpoint ep;
	uint8_t reply[512];
	size_t len;
	int err;
	uint32_t exception;
	bool done;
};

static void from_device(struct user *u, uint8_t *buf, size_t len, const struct bs_endpoint *dev)
{
	if (u->link.state == BS_LOCAL_ASKING || u->link.state == BS_LOCAL_VERIFYING)
		(void)!bs_local_connect_input(&u->link, buf, len, dev, c.now);
	else
		(void)bs_peer_input(&u->peer, buf, len, dev, c.now);
}

static bool pump_once(struct user *u)
{
	struct bs_endpoint dev = u->link.ep;
	struct bs_endpoint to;
	uint8_t buf[BS_PACKET_MAX];
	bool running = u->link.state == BS_LOCAL_ASKING || u->link.state == BS_LOCAL_VERIFYING;
	size_t n = running ? bs_local_connect_output(&u->link, buf, sizeof(buf), &to)
			   : bs_peer_output(&u->peer, buf, BSDEV_PACKET_MAX, &to, c.now);

	if (n > 0) {
		(void)bsdev_local_input(local, buf, n, &u->ep, c.now);
		return true;
	}
	n = bsdev_local_output(local, buf, sizeof(buf), &to);
	if (n == 0)
		n = bsdev_output(c.dev, buf, sizeof(buf), &to, c.now);
	if (n == 0)
		return false;
	if (to.via == BS_VIA_LOCAL && to.port == u->ep.port)
		from_device(u, buf, n, &dev);
	return true;
}

static void pump(struct user *u)
{
	for (int i = 0; i < 200 && pump_once(u); i++)
		;
}

/* Connect; the state in which the handshake ends. */
static int join(struct user *u, uint16_t port, const uint8_t *fp, bool plain, const uint8_t *key_id,
		const uint8_t *psk)
{
	struct bs_local_target t;
	struct bs_peer_conf conf;

	memset(u, 0, sizeof(*u));
	memset(&t, 0, sizeof(t));
	bs_endpoint_set_ip4(&u->ep, 0xC0A80000u + port, port);
	bs_endpoint_set_via(&u->ep, BS_VIA_LOCAL);
	bs_endpoint_set_ip4(&t.ep, 0xC0A80001, BSDEV_LOCAL_PORT);
	t.device.ptr = (const uint8_t *)c.conf.id;
	t.device.len = strlen(c.conf.id);
	t.plain = plain;
	t.key_id = key_id;
	t.psk = psk;
	t.fp = fp;
	ck_assert_int_eq(bs_local_connect_start(&u->link, &c.crypto, &t, c.now), BS_OK);
	pump(u);
	if (u->link.state != BS_LOCAL_READY)
		return u->link.state;
	memset(&conf, 0, sizeof(conf));
	bs_local_connect_take(&u->link, &conf);
	ck_assert_int_eq(bs_peer_init(&u->peer, &conf, c.now), BS_OK);
	bs_peer_set_path(&u->peer, &u->link.ep, BS_PATH_LOCAL, c.now);
	bs_peer_timeout(&u->peer, c.now);
	pump(u);
	return BS_LOCAL_READY;
}

static void join_printed(struct user *u, uint16_t port, const uint8_t *fp)
{
	struct bs_slice id = { (const uint8_t *)c.conf.id, strlen(c.conf.id) };
	struct bs_slice text = { (const uint8_t *)"abcdefghijkl", 12 };
	uint8_t psk[BS_PSK_LEN];

	/* Without the hyphens that are printed: they do not count. */
	ck_assert_int_eq(bs_pairing_psk(&c.crypto, id, text, psk), BS_OK);
	ck_assert_int_eq(join(u, port, fp, false, bs_pairing_key_id, psk), BS_LOCAL_READY);
}

static int join_own(struct user *u, uint16_t port, const uint8_t *fp, const uint8_t *pair,
		    const uint8_t *secret)
{
	struct bs_slice id = { (const uint8_t *)c.conf.id, strlen(c.conf.id) };
	uint8_t key_id[BS_KEY_ID_LEN];
	uint8_t psk[BS_PSK_LEN];

	bs_pairing_user_key_id(pair, key_id);
	ck_assert_int_eq(bs_pairing_user_psk(&c.crypto, id, secret, psk), BS_OK);
	return join(u, port, fp, false, key_id, psk);
}

static void leave(struct user *u)
{
	bs_peer_close(&u->peer, c.now);
	pump(u);
	central_run(&c, 400);
	bs_peer_fini(&u->peer);
}

static void on_done(void *app, struct bs_rpc_call *call, int err, uint32_t exception,
		    struct bs_slice reply)
{
	struct user *u = app;

	(void)call;
	u->done = true;
	u->err = err;
	u->exception = exception;
	u->len = reply.len;
	if (reply.len)
		memcpy(u->reply, reply.ptr, reply.len);
}

/* Ask with these parameters; BS_RPC_OK or the exception. */
static uint32_t ask(struct user *u, uint32_t query, const void *args, size_t len)
{
	struct bs_rpc_call call;
	uint8_t req[256];

	bs_put_u32(req, query);
	if (len)
		memcpy(req + 4, args, len);
	memset(&call, 0, sizeof(call));
	call.request.ptr = req;
	call.request.len = len + 4;
	call.done = on_done;
	call.app = u;
	u->done = false;
	ck_assert_int_eq(bs_peer_call(&u->peer, &call, c.now), BS_OK);
	pump(u);
	ck_assert(u->done);
	return u->err == BS_EREFUSED ? u->exception : BS_RPC_OK;
}

static size_t put_raw(uint8_t *p, const void *data, size_t len)
{
	bs_put_u16(p, (uint16_t)len);
	memcpy(p + 2, data, len);
	return len + 2;
}

static uint32_t ask_fp(struct user *u, uint32_t query, const uint8_t *fp, const void *more,
		       size_t len)
{
	uint8_t args[128];
	size_t n = put_raw(args, fp, BS_FP_LEN);

	if (len)
		memcpy(args + n, more, len);
	return ask(u, query, args, n + len);
}

/* Pair under a name; the rights that came. */
static uint32_t pair(struct user *u, const char *name)
{
	uint8_t args[80];

	ck_assert_uint_eq(ask(u, 11010, args, put_raw(args, name, strlen(name))), BS_RPC_OK);
	ck_assert_uint_ge(u->len, 1 + 18 + 2 + 4);
	return u->reply[0] == 0 ? bs_get_u32(u->reply + u->len - 4) : u->reply[0];
}

/* Make a pairing secret; its status. */
static uint8_t make_secret(struct user *u, uint8_t *id, uint8_t *secret)
{
	uint8_t args[40];
	uint8_t random[32] = { 9 };

	ck_assert_uint_eq(ask(u, 11100, args, put_raw(args, random, 32)), BS_RPC_OK);
	if (u->reply[0] == 0) {
		ck_assert_uint_eq(u->len, 1 + 2 + 8 + 2 + 32);
		memcpy(id, u->reply + 3, 8);
		memcpy(secret, u->reply + 13, 32);
	}
	return u->reply[0];
}

/* Pair and make a secret, and use it once: an owner or a user with a key of his own. */
static void settle(struct user *u, uint16_t port, const uint8_t *fp, const char *name)
{
	uint8_t id[8];
	uint8_t secret[32];

	join_printed(u, port, fp);
	(void)pair(u, name);
	ck_assert_uint_eq(make_secret(u, id, secret), 0);
	leave(u);
	ck_assert_int_eq(join_own(u, (uint16_t)(port + 1), fp, id, secret), BS_LOCAL_READY);
	ck_assert_uint_eq(ask(u, 11020, NULL, 0), BS_RPC_OK);
}

/* ---- tests */

START_TEST(the_first_is_the_owner)
{
	struct user a, b;

	join_printed(&a, 2000, alice);
	ck_assert_uint_eq(pair(&a, "alice"), 0xE0000000u);
	join_printed(&b, 2001, bob);
	ck_assert_uint_eq(pair(&b, "bob"), 0xC0000000u);
	/* Again is no second user. */
	ck_assert_uint_eq(pair(&b, "bob the second"), 0xC0000000u);
	ck_assert_uint_eq(bsdev_acl_count(&acl), 2);
	/* The printed key makes nobody an administrator. */
	ck_assert_uint_eq(ask(&a, 11030, NULL, 0), BS_RPC_FORBIDDEN);
	ck_assert_uint_eq(ask_fp(&a, 11070, bob, NULL, 0), BS_RPC_FORBIDDEN);
	leave(&a);
	leave(&b);
}
END_TEST

START_TEST(a_user_has_a_key_of_his_own)
{
	struct user a, b;
	uint8_t id[8], secret[32], other[32];

	join_printed(&a, 2000, alice);
	(void)pair(&a, "alice");
	ck_assert_uint_eq(make_secret(&a, id, secret), 0);
	/* The answer may have been lost: until it was used the secret can be made anew. */
	ck_assert_uint_eq(make_secret(&a, id, other), 0);
	ck_assert_mem_ne(secret, other, 32);
	leave(&a);
	ck_assert_int_eq(join_own(&a, 2001, alice, id, secret), BS_LOCAL_FAILED);
	ck_assert_uint_eq(a.link.status, BS_ST_WRONG_KEY);
	/* It is alice's key, not bob's. */
	ck_assert_int_eq(join_own(&b, 2002, bob, id, other), BS_LOCAL_FAILED);
	ck_assert_uint_eq(b.link.status, BS_ST_KEY_ID);
	ck_assert_int_eq(join_own(&a, 2003, alice, id, other), BS_LOCAL_READY);
	ck_assert_uint_eq(ask(&a, 11030, NULL, 0), BS_RPC_OK);
	leave(&a);
	/* Now it was used: the printed secret does not take her place. */
	join_printed(&b, 2004, alice);
	ck_assert_uint_eq(make_secret(&b, id, secret), BSDEV_ACL_EXISTS);
	leave(&b);
}
END_TEST

START_TEST(secrets_are_for_sessions_that_protect_them)
{
	struct user a;
	uint8_t args[40], random[32] = { 1 };
	uint8_t id[8], secret[32];

	acl_conf.pair_plain = true;
	ck_assert_int_eq(join(&a, 2000, alice, true, NULL, NULL), BS_LOCAL_READY);
	ck_assert_uint_eq(pair(&a, "alice"), 0xE0000000u);
	ck_assert_uint_eq(ask(&a, 11100, args, put_raw(args, random, 32)), BS_RPC_FORBIDDEN);
	leave(&a);
	join_printed(&a, 2001, bob);
	/* Not in the list: nothing to make. */
	ck_assert_uint_eq(make_secret(&a, id, secret), BSDEV_ACL_NO_USER);
	/* Too few random bytes of the client. */
	ck_assert_uint_eq(ask(&a, 11100, args, put_raw(args, random, 15)), BS_RPC_REQUEST_SHORT);
	leave(&a);
}
END_TEST

START_TEST(claims_in_the_clear_are_only_claims)
{
	struct user a, m;
	uint8_t rights[4] = { 0xE0, 0, 0, 0 };

	settle(&a, 2000, alice, "alice");
	leave(&a);
	ck_assert_int_eq(join(&m, 2010, alice, true, NULL, NULL), BS_LOCAL_READY);
	ck_assert_uint_eq(ask(&m, 11030, NULL, 0), BS_RPC_FORBIDDEN);
	ck_assert_uint_eq(ask(&m, 10010, "\0\1x", 3), BS_RPC_FORBIDDEN);
	ck_assert_uint_eq(ask_fp(&m, 11050, alice, rights, 4), BS_RPC_FORBIDDEN);
	ck_assert_uint_eq(ask_fp(&m, 11065, bob, "\0\1b", 3), BS_RPC_FORBIDDEN);
	/* She may pair nobody there either, unless the device says so. */
	leave(&m);
	ck_assert_int_eq(join(&m, 2011, bob, true, NULL, NULL), BS_LOCAL_READY);
	ck_assert_uint_eq(ask(&m, 11010, "\0\1b", 3), BS_RPC_FORBIDDEN);
	leave(&m);
	/* And without a fingerprint nobody comes in at all. */
	ck_assert_int_eq(join(&m, 2012, NULL, true, NULL, NULL), BS_LOCAL_FAILED);
	ck_assert_uint_eq(m.link.status, BS_ST_REFUSED_DEVICE);
}
END_TEST

START_TEST(the_owner_keeps_the_list)
{
	struct user a;
	uint8_t buf[64];
	size_t n;

	settle(&a, 2000, alice, "alice");
	ck_assert_uint_eq(ask_fp(&a, 11065, bob, buf, put_raw(buf, "bob", 3)), BS_RPC_OK);
	ck_assert_uint_eq(a.reply[0], BSDEV_ACL_OK);
	ck_assert_uint_eq(bs_get_u32(a.reply + a.len - 4), 0xC0000000u);
	ck_assert_uint_eq(ask_fp(&a, 11065, bob, buf, put_raw(buf, "bob", 3)), BS_RPC_OK);
	ck_assert_uint_eq(a.reply[0], BSDEV_ACL_EXISTS);
	bs_put_u32(buf, 0x40000001);
	ck_assert_uint_eq(ask_fp(&a, 11050, bob, buf, 4), BS_RPC_OK);
	ck_assert_uint_eq(bs_get_u32(a.reply + a.len - 4), 0x40000001u);
	n = put_raw(buf, "Robert", 6);
	ck_assert_uint_eq(ask_fp(&a, 11060, bob, buf, n), BS_RPC_OK);
	ck_assert_mem_eq(a.reply + 1 + 18 + 2, "Robert", 6);
	/* All of it outlives a restart. */
	bsdev_acl_fini(&acl);
	ck_assert_int_eq(bsdev_acl_init(&acl, &acl_conf), BS_OK);
	ck_assert_uint_eq(bsdev_acl_count(&acl), 2);
	ck_assert_uint_eq(ask(&a, 11000, "\0\0\0\0\0", 5), BS_RPC_OK);
	ck_assert_uint_eq(bs_get_u16(a.reply), 2);
	ck_assert_uint_eq(bs_get_u32(a.reply + a.len - 4), 0);
	ck_assert_uint_eq(ask_fp(&a, 11070, bob, NULL, 0), BS_RPC_OK);
	ck_assert(a.len == 1 && a.reply[0] == BSDEV_ACL_OK);
	ck_assert_uint_eq(ask_fp(&a, 11070, bob, NULL, 0), BS_RPC_OK);
	ck_assert_uint_eq(a.reply[0], BSDEV_ACL_NO_USER);
	ck_assert_uint_eq(bsdev_acl_count(&acl), 1);
	leave(&a);
}
END_TEST

START_TEST(what_cannot_be_kept_did_not_happen)
{
	struct user a;
	uint8_t buf[64];

	settle(&a, 2000, alice, "alice");
	keep_result = BS_ENOSPC;
	ck_assert_uint_eq(ask_fp(&a, 11065, bob, buf, put_raw(buf, "bob", 3)), BS_RPC_OK);
	ck_assert_uint_eq(a.reply[0], BSDEV_ACL_NOT_SAVED);
	ck_assert_uint_eq(bsdev_acl_count(&acl), 1);
	ck_assert_uint_eq(ask_fp(&a, 11070, alice, NULL, 0), BS_RPC_OK);
	ck_assert_uint_eq(a.reply[0], BSDEV_ACL_NOT_REMOVED);
	ck_assert_uint_eq(bsdev_acl_count(&acl), 1);
	ck_assert_uint_eq(ask(&a, 10010, buf, put_raw(buf, "barn", 4)), BS_RPC_DEVICE_ERROR);
	keep_result = BS_OK;
	ck_assert_uint_eq(ask(&a, 10000, NULL, 0), BS_RPC_OK);
	ck_assert_mem_eq(a.reply, "\0\4shed\0\6sensor\0\0\1\1\1", 19);
	leave(&a);
}
END_TEST

START_TEST(requests_that_end_early_change_nothing)
{
	static const struct {
		uint32_t query;
		size_t len;
	} row[] = { { 11010, 1 },  { 11040, 7 },  { 11050, 19 }, { 11050, 17 },
		    { 11060, 18 }, { 11065, 18 }, { 11065, 19 }, { 11070, 10 },
		    { 11085, 18 }, { 11090, 1 },  { 10010, 1 } };
	struct user a;
	uint8_t args[64];

	settle(&a, 2000, alice, "alice");
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct bsdev_acl_state old = acl.state;

		memset(args, 0, sizeof(args));
		(void)put_raw(args, bob, BS_FP_LEN);
		if (row[i].query == 11010 || row[i].query == 10010 || row[i].query == 11090)
			args[1] = 5;
		ck_assert_uint_eq(ask(&a, row[i].query, args, row[i].len), BS_RPC_REQUEST_SHORT);
		ck_assert_mem_eq(&old, &acl.state, sizeof(old));
	}
	leave(&a);
}
END_TEST

START_TEST(a_long_list_comes_in_pages)
{
	struct user a;
	uint8_t buf[128], fp[BS_FP_LEN] = { 0xC0 };
	uint32_t next = 0;
	unsigned users = 0, pages = 0;

	settle(&a, 2000, alice, "alice");
	for (unsigned i = 1; i < BSDEV_ACL_USERS_MAX; i++) {
		fp[1] = (uint8_t)i;
		ck_assert_uint_eq(ask_fp(&a, 11065, fp, buf, put_raw(buf, "somebody", 8)),
				  BS_RPC_OK);
		ck_assert_uint_eq(a.reply[0], BSDEV_ACL_OK);
	}
	fp[1] = 200;
	ck_assert_uint_eq(ask_fp(&a, 11065, fp, buf, put_raw(buf, "one more", 8)), BS_RPC_OK);
	ck_assert_uint_eq(a.reply[0], BSDEV_ACL_FULL);
	do {
		buf[0] = 0;
		bs_put_u32(buf + 1, next);
		ck_assert_uint_eq(ask(&a, 11000, buf, 5), BS_RPC_OK);
		users += bs_get_u16(a.reply);
		next = bs_get_u32(a.reply + a.len - 4);
		pages++;
	} while (next != 0 && pages < 40);
	ck_assert_uint_eq(users, BSDEV_ACL_USERS_MAX);
	ck_assert_uint_gt(pages, 3);
	/* A start behind the end is an empty page. */
	bs_put_u32(buf + 1, 0xFFFFFFFF);
	ck_assert_uint_eq(ask(&a, 11000, buf, 5), BS_RPC_OK);
	ck_assert(bs_get_u16(a.reply) == 0 && bs_get_u32(a.reply + 2) == 0);
	leave(&a);
}
END_TEST

START_TEST(closed_pairing_lets_nobody_in)
{
	struct user a, b;
	uint8_t buf[8];
	struct bs_slice id = { (const uint8_t *)c.conf.id, strlen(c.conf.id) };
	struct bs_slice text = { (const uint8_t *)TEXT, strlen(TEXT) };
	uint8_t psk[BS_PSK_LEN];

	settle(&a, 2000, alice, "alice");
	bs_put_u32(buf, 0xC0000000);
	bs_put_u32(buf + 4, 0x80000000);
	ck_assert_uint_eq(ask(&a, 11040, buf, 8), BS_RPC_OK);
	ck_assert_uint_eq(bs_get_u32(a.reply + 1), 0xC0000000u);
	ck_assert_int_eq(bs_pairing_psk(&c.crypto, id, text, psk), BS_OK);
	ck_assert_int_eq(join(&b, 2010, bob, false, bs_pairing_key_id, psk), BS_LOCAL_FAILED);
	ck_assert_uint_eq(b.link.status, BS_ST_KEY_ID);
	/* And without local connections not even she comes in that way again. */
	bs_put_u32(buf, 0x40000000);
	ck_assert_uint_eq(ask(&a, 11040, buf, 8), BS_RPC_OK);
	ck_assert_uint_eq(ask(&a, 11030, NULL, 0), BS_RPC_FORBIDDEN);
	leave(&a);
}
END_TEST

START_TEST(push_tokens_are_kept_beside)
{
	struct user a;
	uint8_t buf[64];

	settle(&a, 2000, alice, "alice");
	ck_assert_uint_eq(ask(&a, 11080, NULL, 0), BS_RPC_OK);
	ck_assert(a.len == 3 && a.reply[0] == 0);
	ck_assert_uint_eq(ask(&a, 11090, buf, put_raw(buf, "token", 5)), BS_RPC_OK);
	ck_assert(a.len == 1 && a.reply[0] == 0);
	ck_assert_uint_eq(ask_fp(&a, 11075, alice, NULL, 0), BS_RPC_OK);
	ck_assert_mem_eq(a.reply, "\0\0\5token", 8);
	ck_assert_uint_eq(ask_fp(&a, 11075, bob, NULL, 0), BS_RPC_OK);
	ck_assert_uint_eq(a.reply[0], BSDEV_ACL_NO_USER);
	ck_assert_uint_eq(ask_fp(&a, 11070, alice, NULL, 0), BS_RPC_OK);
	for (size_t i = 0; i < n_kept; i++)
		ck_assert(strncmp(kept[i].name, "token-", 6) != 0 || kept[i].len == 0);
	leave(&a);
}
END_TEST

static struct bsdev_peer peer_of(const uint8_t *fp, enum bsdev_origin origin)
{
	struct bsdev_peer p;

	memset(&p, 0, sizeof(p));
	p.fingerprint = fp;
	p.origin = origin;
	return p;
}

START_TEST(the_gate_goes_by_way_and_rights)
{
	static const uint32_t local_right = BSDEV_ACL_LOCAL, remote_right = BSDEV_ACL_REMOTE;
	struct bsdev_peer p;
	struct user a;
	uint8_t none[8] = { 0 };

	settle(&a, 2000, alice, "alice");
	leave(&a);
	p = peer_of(alice, BSDEV_FROM_BASESTATION);
	ck_assert(bsdev_acl_access(&acl, &p) && bsdev_acl_may(&acl, &p, BSDEV_ACL_ADMIN));
	p.fingerprint = NULL;
	ck_assert(!bsdev_acl_access(&acl, &p) && !bsdev_acl_may(&acl, &p, 0));
	p.fingerprint = bob;
	ck_assert(!bsdev_acl_access(&acl, &p));
	p.origin = BSDEV_FROM_LOCAL_PLAIN;
	ck_assert(bsdev_acl_access(&acl, &p) && !bsdev_acl_may(&acl, &p, 0));
	p = peer_of(alice, BSDEV_FROM_LOCAL_PLAIN);
	ck_assert(bsdev_acl_may(&acl, &p, 0) && !bsdev_acl_may(&acl, &p, BSDEV_ACL_ADMIN));
	acl.state.user[0].rights = local_right;
	p = peer_of(alice, BSDEV_FROM_BASESTATION);
	ck_assert(!bsdev_acl_access(&acl, &p) && !bsdev_acl_may(&acl, &p, 0));
	acl.state.user[0].rights = remote_right;
	ck_assert(bsdev_acl_access(&acl, &p));
	acl.state.system = local_right;
	ck_assert(!bsdev_acl_access(&acl, &p));
	acl.state.system = local_right | remote_right;
	/* A pairing secret proves its own user only. */
	p.pair = none;
	ck_assert(!bsdev_acl_access(&acl, &p));
	p.pair = acl.state.user[0].pair;
	ck_assert(bsdev_acl_access(&acl, &p));
	p.fingerprint = bob;
	ck_assert(!bsdev_acl_access(&acl, &p));
	ck_assert_ptr_null(bsdev_acl_pair(&acl, none));
	ck_assert_ptr_eq(bsdev_acl_pair(&acl, p.pair), acl.state.user[0].secret);
	/* Where it is needed, the basestation's word alone is not enough. */
	p = peer_of(alice, BSDEV_FROM_BASESTATION);
	ck_assert(bsdev_acl_access(&acl, &p));
	acl_conf.need_pair = true;
	ck_assert(!bsdev_acl_access(&acl, &p));
}
END_TEST

START_TEST(a_damaged_list_opens_nothing)
{
	struct bsdev_peer p = peer_of(bob, BSDEV_FROM_LOCAL_PLAIN);
	struct bsdev_key key;
	struct user a;
	size_t i = 0;

	settle(&a, 2000, alice, "alice");
	leave(&a);
	while (strcmp(kept[i].name, "acl") != 0)
		i++;
	for (size_t len = 0; len < kept[i].len; len++) {
		size_t whole = kept[i].len;

		kept[i].len = len;
		ck_assert_int_eq(bsdev_acl_init(&acl, &acl_conf), BS_ECORRUPT);
		ck_assert(!bsdev_acl_access(&acl, &p));
		ck_assert(!bsdev_acl_key(&acl, c.dev, bs_pairing_key_id, &p, &key));
		kept[i].len = whole;
	}
	kept[i].value[kept[i].len++] = 0;
	ck_assert_int_eq(bsdev_acl_init(&acl, &acl_conf), BS_ECORRUPT);
	kept[i].len--;
	kept[i].value[4] = 9; /* a later version */
	ck_assert_int_eq(bsdev_acl_init(&acl, &acl_conf), BS_ECORRUPT);
	kept[i].value[4] = 1;
	ck_assert_int_eq(bsdev_acl_init(&acl, &acl_conf), BS_OK);
	ck_assert_uint_eq(bsdev_acl_count(&acl), 1);
}
END_TEST

/* The recorded pairing, byte for byte: rows acl_pair of tests/vectors/data.txt. */
START_TEST(recorded_pairing)
{
	static const uint8_t fp[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const uint8_t ask_bytes[] = "\x71\xf9\x32\x4c\0\0\x01\x96\x16\x02\0\0\x4b\xcb\0\x24"
					   "\x36\0\0\x14\0\x0a\0\0\x2b\x02\0\x05"
					   "alice\x01\x06\x56";
	static const uint8_t notice[] = "\x71\xf9\x32\x4c\0\0\x01\x96\x16\x02\0\x01\x4b\xcb\0\x18"
					"\x34\0\0\x08\0\0\0\x03";
	static const uint8_t reply[] =
		"\x71\xf9\x32\x4c\0\0\x01\x96\x16\x02\0\x01\x4b\xcb\0\x38\x36\0\0\x28\0\x0a"
		"\0\0\x10\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\0\x05"
		"alice\xe0\0\0\0\x02\x02\x07\xbd";
	struct bs_conn *conn = &c.dev->core.conns[0].c;
	struct bs_endpoint from, to;
	uint8_t buf[BS_PACKET_MAX];

	acl_conf.pair_plain = true;
	bs_endpoint_set_ip4(&from, 0xC0A80005, 5000);
	bs_endpoint_set_via(&from, BS_VIA_LOCAL);
	/* The recording begins behind the connect. */
	bs_conn_init(conn, BS_RESPONDER, 0x196, NULL, &bs_suite_null, c.now);
	conn->remote = from;
	conn->async = conn->has_fp = true;
	memcpy(conn->fp, fp, sizeof(fp));
	bs_conn_set_origin(conn, BS_ORIGIN_PLAIN);
	memcpy(buf, ask_bytes, sizeof(ask_bytes) - 1);
	ck_assert_int_eq(bsdev_local_input(local, buf, sizeof(ask_bytes) - 1, &from, c.now), BS_OK);
	do
		ck_assert_uint_gt(bsdev_output(c.dev, buf, sizeof(buf), &to, c.now), 0);
	while (to.via != BS_VIA_LOCAL);
	ck_assert_mem_eq(buf, notice, sizeof(notice) - 1);
	ck_assert_uint_eq(bsdev_output(c.dev, buf, sizeof(buf), &to, c.now), sizeof(reply) - 1);
	ck_assert_mem_eq(buf, reply, sizeof(reply) - 1);
}
END_TEST

START_TEST(switched_off_is_silent)
{
	static const uint8_t search[] = { 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, '*', 0 };
	uint8_t buf[BS_PACKET_MAX];
	struct bs_endpoint from, to;
	struct user a;

	join_printed(&a, 2000, alice);
	bs_endpoint_set_ip4(&from, 0xC0A80005, 5000);
	memcpy(buf, search, sizeof(search));
	ck_assert_int_eq(bsdev_local_input(local, buf, sizeof(search), &from, c.now), BS_OK);
	ck_assert_int_eq(bsdev_set_switch(c.dev, false, c.now), BS_OK);
	/* Not even what waited already. */
	ck_assert_uint_eq(bsdev_local_output(local, buf, sizeof(buf), &to), 0);
	bs_peer_network_changed(&a.peer, c.now);
	bs_peer_timeout(&a.peer, c.now);
	ck_assert_uint_gt(bs_peer_output(&a.peer, buf, sizeof(buf), &to, c.now), 0);
	ck_assert_int_eq(bsdev_local_input(local, buf, sizeof(search), &a.ep, c.now), BS_EDRAIN);
	memcpy(buf, search, sizeof(search));
	ck_assert_int_eq(bsdev_local_input(local, buf, sizeof(search), &from, c.now), BS_EDRAIN);
	bsdev_local_timeout(local, c.now);
	ck_assert_uint_eq(bsdev_local_output(local, buf, sizeof(buf), &to), 0);
	ck_assert_uint_eq(bsdev_output(c.dev, buf, sizeof(buf), &to, c.now), 0);
	ck_assert_uint_eq(bsdev_connections(c.dev), 0);
}
END_TEST

Suite *bs_suite_acl(void)
{
	Suite *s = suite_create("acl");
	TCase *tc = tcase_create("acl");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_first_is_the_owner);
	tcase_add_test(tc, a_user_has_a_key_of_his_own);
	tcase_add_test(tc, secrets_are_for_sessions_that_protect_them);
	tcase_add_test(tc, claims_in_the_clear_are_only_claims);
	tcase_add_test(tc, the_owner_keeps_the_list);
	tcase_add_test(tc, what_cannot_be_kept_did_not_happen);
	tcase_add_test(tc, requests_that_end_early_change_nothing);
	tcase_add_test(tc, a_long_list_comes_in_pages);
	tcase_add_test(tc, closed_pairing_lets_nobody_in);
	tcase_add_test(tc, push_tokens_are_kept_beside);
	tcase_add_test(tc, the_gate_goes_by_way_and_rights);
	tcase_add_test(tc, a_damaged_list_opens_nothing);
	tcase_add_test(tc, recorded_pairing);
	tcase_add_test(tc, switched_off_is_silent);
	suite_add_tcase(s, tc);
	return s;
}
