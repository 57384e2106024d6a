/* SPDX-License-Identifier: Apache-2.0 */
/* Connections and searches on the local network, against a device of our own on the bench. */
#include "local.h"

#include "proto/local_device.h"
#include "proto/pairing.h"
#include "rig.h"

Suite *bs_suite_local(void);

static struct rig r;
static struct told conn;
static struct bsc_conn *c;

/* The device, its local side, and whether it hears us. */
static struct bs_device dev;
static struct bs_device_conn slots[4];
static struct bs_rpc_slot replies[4];
static struct bs_device_ops ops;
static struct bs_device_conf dev_conf;
static struct bs_local_device side;
static struct bs_local_conf side_conf;
static bool on;
static unsigned asked;

static const uint8_t pair_id[BS_PAIR_ID_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint8_t pair_secret[BS_PAIR_SECRET_LEN] = { 0x5E };

static int on_pair(void *arg, const char *device, uint8_t *id, uint8_t *secret)
{
	(void)arg;
	if (strcmp(device, "dev1") != 0)
		return BS_ENOENT;
	memcpy(id, pair_id, sizeof pair_id);
	memcpy(secret, pair_secret, sizeof pair_secret);
	return BS_OK;
}

static uint16_t on_key(void *app, const uint8_t *key_id, const struct bs_access *who,
		       struct bs_local_key *out)
{
	uint8_t id[BS_PAIR_ID_LEN];

	(void)app;
	(void)who;
	out->proves_fingerprint = true;
	if (!bs_pairing_user_id(key_id, id) || memcmp(id, pair_id, sizeof id) != 0)
		return BS_ST_KEY_ID;
	ck_assert_int_eq(bs_pairing_user_psk(r.m.crypto, dev_conf.id, pair_secret, out->psk),
			 BS_OK);
	return BS_ST_OK;
}

static void setup(void)
{
	static const uint8_t psk[BS_PSK_LEN] = { 1 };

	rig_init(&r);
	memset(&conn, 0, sizeof conn);
	c = NULL;
	asked = 0;
	on = true;
	r.m.set.pair_fn = on_pair;
	r.m.set.local_port = BS_LOCAL_PORT;
	r.m.has_fp = true;
	r.m.n_near = 1;
	bs_endpoint_set_ip4(&r.m.near[0], 0xC0A800FF, BS_LOCAL_PORT);
	memset(&dev_conf, 0, sizeof dev_conf);
	dev_conf.id = rig_text("dev1");
	dev_conf.psk = psk;
	dev_conf.ops = &ops;
	ck_assert_int_eq(bs_device_init(&dev, &dev_conf, r.m.crypto, slots, 4, replies, 4), BS_OK);
	bs_device_start(&dev, r.now);
	memset(&side_conf, 0, sizeof side_conf);
	side_conf.port = BS_LOCAL_PORT;
	side_conf.allow = BS_LOCAL_DISCOVERY | BS_LOCAL_PSK;
	side_conf.key = on_key;
	bs_local_device_init(&side, &dev, &side_conf);
}

static void teardown(void)
{
	bs_local_device_stop(&side);
	bs_device_fini(&dev);
	rig_fini(&r);
}

/* Everything that the machine has for the LAN, and what comes back. */
static void lan(void)
{
	struct bs_endpoint me, it, to;
	uint8_t buf[BS_PACKET_MAX];
	size_t n;

	bs_endpoint_set_ip4(&me, 0xC0A80007, 5000);
	bs_endpoint_set_via(&me, BS_VIA_LOCAL);
	bs_endpoint_set_ip4(&it, 0xC0A80001, BS_LOCAL_PORT);
	while ((n = bsc__machine_datagram_out(&r.m, buf, sizeof buf, &to, r.now)) > 0) {
		if (to.port != BS_LOCAL_PORT)
			continue;
		asked++;
		if (!on)
			continue;
		(void)bs_local_device_input(&side, buf, n, &me, r.now);
		while ((n = bs_local_device_output(&side, buf, sizeof buf, &to)) > 0 ||
		       (n = bs_device_output(&dev, buf, BS_PACKET_SMALL, &to, r.now)) > 0)
			if (bs_endpoint_via(&to) == BS_VIA_LOCAL)
				bsc__machine_datagram(&r.m, buf, n, &it, r.now);
	}
}

static void pass(uint32_t ms)
{
	for (uint32_t k = 0; k < ms; k += 10) {
		rig_pass(&r, 10);
		lan();
	}
}

static void connect(const char *device)
{
	ck_assert_int_eq(bsc__link_new(&r.m, device, NULL, rig_on_conn, &conn, r.now, &c), BS_OK);
}

/** Whether a CONNECT is among what goes to the basestation now. */
static bool connect_sent(void)
{
	bool seen = false;

	while (rig_sent(&r))
		seen = seen || r.last.h.type == BS_TYPE_CONNECT;
	return seen;
}

START_TEST(a_device_nearby_is_reached_there)
{
	struct bsc_conn_info info;

	rig_open(&r);
	connect("dev1");
	lan();
	/* Found, proved, open: the basestation was never asked. */
	pass(300);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	ck_assert(!connect_sent());
	bsc__link_get_info(c, &info);
	ck_assert_int_eq(info.path, BSC_PATH_LOCAL);
	ck_assert_str_eq(info.remote, "192.168.0.1:5570");
	ck_assert_uint_eq(info.suite, BS_SUITE_AES_CBC);
	/* It outlives the session, and is not named to the basestation at its end. */
	rig_down(&r, BS_EUNREACH, BSC_LOST);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	bsc__link_close(c, r.now);
	ck_assert_int_eq(bs_device_n_live(&dev), 1);
	lan();
	ck_assert_int_eq(slots[0].c.state, BS_CONN_CLOSING);
	ck_assert(!connect_sent());
}
END_TEST

START_TEST(the_basestation_waits_a_moment)
{
	on = false;
	rig_open(&r);
	connect("dev1");
	lan();
	ck_assert(!connect_sent());
	ck_assert(!bsc__machine_has_output(&r.m));
	pass(BSC__LOCAL_START_MS - 10);
	ck_assert(!connect_sent());
	pass(20);
	ck_assert(connect_sent());
	ck_assert_uint_ge(asked, 1);
	/* A device without a secret is not looked for. */
	asked = 0;
	connect("dev2");
	lan();
	ck_assert(connect_sent());
}
END_TEST

START_TEST(an_unreachable_basestation_does_not_matter)
{
	connect("dev1");
	rig_down(&r, BS_EUNREACH, BSC_TCP_REFUSED);
	ck_assert_int_ne(conn.step, BSC_CLOSED);
	pass(300);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
}
END_TEST

START_TEST(two_failures_tell_the_first)
{
	on = false;
	connect("dev1");
	rig_down(&r, BS_EUNREACH, BSC_TCP_REFUSED);
	ck_assert_int_ne(conn.step, BSC_CLOSED);
	pass(BS_DISCOVERY_MS - 20);
	ck_assert_int_ne(conn.step, BSC_CLOSED);
	pass(40);
	ck_assert_int_eq(conn.step, BSC_CLOSED);
	ck_assert_uint_eq(conn.err.code, BSC_TCP_REFUSED);
	ck_assert_uint_eq(asked, BS_DISCOVERY_ROUNDS);
}
END_TEST

START_TEST(a_refusal_keeps_the_reserve)
{
	rig_open(&r);
	on = false;
	connect("dev1");
	pass(150);
	ck_assert(rig_sent(&r) && r.last.h.type == BS_TYPE_CONNECT);
	rig_refuse(&r, BS_ST_NOT_ATTACHED, "offline", 0);
	ck_assert_int_ne(conn.step, BSC_CLOSED);
	/* The second search finds it. */
	on = true;
	pass(400);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
}
END_TEST

START_TEST(only_local_ends_with_its_own_reason)
{
	struct bsc__local_how how = { .plain = true };

	ck_assert_int_eq(bsc__link_new(&r.m, "dev1", &how, rig_on_conn, &conn, r.now, &c), BS_OK);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
	lan();
	pass(20);
	/* It does not take connections in the clear, and discovery says so. */
	ck_assert_int_eq(conn.step, BSC_CLOSED);
	ck_assert_uint_eq(conn.err.code, BSC_NO_LOCAL);
	on = false;
	ck_assert_int_eq(bsc__link_new(&r.m, "dev1", &how, rig_on_conn, &conn, r.now, &c), BS_OK);
	pass(BS_DISCOVERY_MS + 20);
	ck_assert_uint_eq(conn.err.code, BSC_NO_LOCAL);
}
END_TEST

START_TEST(a_device_of_another_owner_refuses)
{
	struct bsc__local_how how = { .key_id = { 'x' } };

	ck_assert_int_eq(bsc__link_new(&r.m, "dev1", &how, rig_on_conn, &conn, r.now, &c), BS_OK);
	lan();
	pass(20);
	ck_assert_int_eq(conn.step, BSC_CLOSED);
	ck_assert_uint_eq(conn.err.code, BS_ST_KEY_ID);
	ck_assert_int_eq(conn.err.source, BSC_FROM_DEVICE);
}
END_TEST

static unsigned found, ended;

static void on_found(void *arg, const struct bsc_found *f)
{
	ck_assert_ptr_eq(arg, &found);
	if (f == NULL) {
		ended++;
		return;
	}
	found++;
	ck_assert_str_eq(f->device, "dev1");
	ck_assert_str_eq(f->address, "192.168.0.1:5570");
	ck_assert(f->key && !f->plain);
}

START_TEST(a_search_tells_each_device_once)
{
	found = ended = 0;
	ck_assert_int_eq(bsc__search_start(&r.m, NULL, on_found, &found, r.now), BS_OK);
	ck_assert_int_eq(bsc__search_start(&r.m, NULL, on_found, &found, r.now), BS_EFULL);
	lan();
	pass(BS_DISCOVERY_MS + 10);
	ck_assert(found == 1 && ended == 1 && asked == BS_DISCOVERY_ROUNDS);
	ck_assert_int_eq(bsc__search_start(&r.m, "dev9", on_found, &found, r.now), BS_OK);
	pass(BS_DISCOVERY_MS + 10);
	ck_assert(found == 1 && ended == 2);
	ck_assert_int_eq(bsc__search_start(&r.m, "No", on_found, &found, r.now), BS_EINVAL);
	ck_assert_int_eq(bsc__search_start(&r.m, NULL, NULL, NULL, r.now), BS_EINVAL);
}
END_TEST

START_TEST(one_way_at_a_time)
{
	static const uint8_t key[16] = { 1 };
	struct bsc_local in = { .len = sizeof in };
	struct bsc__local_how how;

	ck_assert_int_eq(bsc__local_how(&r.m, "dev1", &in, &how), BS_EINVAL);
	in.key = key;
	ck_assert_int_eq(bsc__local_how(&r.m, "dev1", &in, &how), BS_EINVAL);
	in.key_id = key;
	ck_assert_int_eq(bsc__local_how(&r.m, "dev1", &in, &how), BS_OK);
	ck_assert_mem_eq(how.psk, key, sizeof key);
	in.plain = true;
	ck_assert_int_eq(bsc__local_how(&r.m, "dev1", &in, &how), BS_EINVAL);
	in.key = NULL;
	in.pairing_secret = "abcd";
	ck_assert_int_eq(bsc__local_how(&r.m, "dev1", &in, &how), BS_EINVAL);
	in.plain = false;
	ck_assert_int_eq(bsc__local_how(&r.m, "dev1", &in, &how), BS_OK);
	ck_assert_mem_eq(how.key_id, bs_pairing_key_id, BS_KEY_ID_LEN);
	ck_assert_int_eq(bsc__local_how_own(&r.m, "dev1", NULL, &how), BS_OK);
	ck_assert_int_eq(bsc__local_how_own(&r.m, "dev2", NULL, &how), BS_ENOENT);
}
END_TEST

Suite *bs_suite_local(void)
{
	Suite *s = suite_create("client local");
	TCase *tc = tcase_create("local");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_device_nearby_is_reached_there);
	tcase_add_test(tc, the_basestation_waits_a_moment);
	tcase_add_test(tc, an_unreachable_basestation_does_not_matter);
	tcase_add_test(tc, two_failures_tell_the_first);
	tcase_add_test(tc, a_refusal_keeps_the_reserve);
	tcase_add_test(tc, only_local_ends_with_its_own_reason);
	tcase_add_test(tc, a_device_of_another_owner_refuses);
	tcase_add_test(tc, a_search_tells_each_device_once);
	tcase_add_test(tc, one_way_at_a_time);
	suite_add_tcase(s, tc);
	return s;
}
