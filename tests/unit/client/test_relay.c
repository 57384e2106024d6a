/* SPDX-License-Identifier: Apache-2.0 */
/* Connections over the UDP relay: bound, used, refused, gone; the test plays relay and device. */
#include "rig.h"
#include "wire/probe.h"

Suite *bs_suite_relay(void);

#define NSI 0x42000017u

static struct rig r;
static struct told conn;
static struct bsc_conn *c;
static struct bs_conn dev;
static struct bs_key_block d_key;
static struct bs_endpoint relay;
static bool relay_dead;
static bool device_deaf;
static int bindings;

static void setup(void)
{
	rig_init(&r);
	memset(&conn, 0, sizeof conn);
	memset(d_key.b, 0x33, sizeof d_key.b);
	bs_endpoint_set_ip4(&relay, 0xc6336407, 5562);
	relay_dead = device_deaf = false;
	bindings = 0;
	c = NULL;
}

static void teardown(void)
{
	bs_conn_fini(&dev);
	rig_fini(&r);
}

static void connect_it(enum bsc_relay mode)
{
	struct bs_gate_connect_answer a;
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_payload at;

	r.m.set.relay = mode;
	ck_assert_int_eq(bsc__link_new(&r.m, "dev1.example", NULL, rig_on_conn, &conn, r.now, &c),
			 BS_OK);
	rig_up(&r);
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_CONNECT);
	memset(&a, 0, sizeof a);
	a.h = (struct bs_gate_head){ .cp = r.last.h.nsi_cp, .sp = NSI, .seq = r.last.h.seq };
	a.status.code = BS_ST_OK;
	ck_assert(bs_payload_find(&r.last, BS_PL_ATTEMPT, &at));
	memcpy(a.attempt, at.data, sizeof a.attempt);
	a.ipx.has_nsi = a.ipx.has_full = true;
	a.ipx.nsi_sp = NSI;
	bs_endpoint_set_ip4(&a.ipx.global, 0xcb007150, 5700);
	a.key.suite = BS_SUITE_AES_CBC;
	a.key.has_key = true;
	a.key.key = d_key;
	memset(a.relay_key, 0x77, sizeof a.relay_key);
	a.n_eps = 1;
	a.eps[0] = (struct bs_ep6){ .ep = relay, .kind = BS_EP6_RELAY };
	rig_bytes(&r, buf, bs_gate_connect_answer_encode(&a, buf, sizeof buf));
	bs_conn_init(&dev, BS_RESPONDER, NSI, &d_key, &bs_suite_aes_cbc, r.now);
}

/* What reaches the relay: bindings are confirmed, DATA goes to the device and back. */
static void relay_takes(uint8_t *pkt, size_t len)
{
	static const uint8_t key[BS_TOKEN_LEN] = { 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77,
						   0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77 };
	struct bs_endpoint to;
	uint8_t buf[BS_PACKET_MAX];
	struct bs_conn_data d;
	struct bs_probe p;
	struct bs_packet q;
	size_t n;

	if (bs_probe_decode(pkt, len, &p) == BS_OK && p.sp == NSI) {
		struct bs_probe_answer a = { p.cp, p.sp, p.seq, { { 0 }, 0 } };

		ck_assert_int_eq(bs_probe_verify(r.m.crypto, key, pkt), BS_OK);
		ck_assert_uint_eq(p.index, BS_PROBE_INDEX_RELAY);
		bindings++;
		bs_endpoint_set_ip4(&a.observed, 0xcb007105, 40000);
		n = (size_t)bs_probe_answer_encode(&a, buf);
		if (!relay_dead)
			bsc__machine_datagram(&r.m, buf, n, &relay, r.now);
		return;
	}
	if (relay_dead || device_deaf || bs_packet_decode(pkt, len, &q) != BS_OK ||
	    q.h.type != BS_TYPE_DATA)
		return;
	if (bs_conn_open(&dev, r.m.crypto, &q, pkt, &relay, r.now, &d) != BS_OK)
		return;
	bs_conn_touch(&dev, r.now);
	if (bs_conn_framing(&dev, &d, &relay, r.now) != BS_OK)
		return;
	while ((n = bs_conn_output(&dev, r.m.crypto, buf, sizeof buf, &to)) > 0)
		bsc__machine_datagram(&r.m, buf, n, &relay, r.now);
}

static void live(uint32_t ms)
{
	uint8_t buf[BS_PACKET_MAX];
	struct bs_endpoint to;
	size_t n;

	for (uint32_t k = 0; k < ms; k += 50) {
		rig_pass(&r, 50);
		while ((n = bsc__machine_datagram_out(&r.m, buf, sizeof buf, &to, r.now)) > 0)
			if (bs_endpoint_equal(&to, &relay))
				relay_takes(buf, n);
	}
}

/* The basestation says that it relays no more. */
static void refuse(void)
{
	struct bs_gate_event e;
	uint8_t buf[BS_GATE_PACKET_MAX];

	memset(&e, 0, sizeof e);
	e.h.sp = NSI;
	e.has_status = true;
	e.status.code = BS_ST_RELAY_FULL;
	e.status.text = rig_text("the relay is full");
	rig_bytes(&r, buf, bs_gate_event_encode(&e, NULL, 0, buf, sizeof buf));
}

START_TEST(the_relay_is_a_path)
{
	struct bsc_conn_info info;

	connect_it(_i ? BSC_RELAY_ONLY : BSC_RELAY_AUTO);
	live(3000);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	bsc__link_get_info(c, &info);
	ck_assert_int_eq(info.path, BSC_PATH_UDP_RELAY);
	ck_assert_str_eq(info.remote, "198.51.100.7:5562");
	/* The leg is kept for as long as it is in use. */
	bindings = 0;
	live(65000);
	ck_assert_int_ge(bindings, 3);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(switched_off_it_is_not_asked)
{
	connect_it(BSC_RELAY_OFF);
	live(7000);
	ck_assert_int_eq(bindings, 0);
	ck_assert_int_eq(conn.step, BSC_CLOSED);
	ck_assert_uint_eq(conn.err.code, BSC_NO_PATH);
	ck_assert_ptr_nonnull(strstr(conn.err.text, "does not use relays"));
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(silence_is_told_apart)
{
	relay_dead = _i == 0;
	device_deaf = true;
	connect_it(BSC_RELAY_AUTO);
	live(7000);
	ck_assert_int_eq(conn.step, BSC_CLOSED);
	ck_assert_uint_eq(conn.err.code, BSC_NO_PATH);
	ck_assert_ptr_nonnull(strstr(conn.err.text, _i == 0 ? "the relay did not answer"
							    : "not over the relay either"));
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(a_full_relay_is_the_reason)
{
	relay_dead = true;
	connect_it(BSC_RELAY_AUTO);
	live(500);
	refuse();
	/* A direct path may still open. */
	ck_assert_int_eq(conn.step, BSC_PROBING);
	bindings = 0;
	live(7000);
	ck_assert_int_eq(bindings, 0);
	ck_assert_int_eq(conn.step, BSC_CLOSED);
	ck_assert_uint_eq(conn.err.code, BS_ST_RELAY_FULL);
	ck_assert_ptr_nonnull(strstr(conn.err.text, "the relay is full"));
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(refused_while_it_is_in_use)
{
	connect_it(_i ? BSC_RELAY_ONLY : BSC_RELAY_AUTO);
	live(3000);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	refuse();
	/* Where a direct path may still open it has as long as a first one. */
	if (!_i) {
		ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
		relay_dead = true;
		live(6500);
	}
	ck_assert_int_eq(conn.step, BSC_CLOSED);
	ck_assert_uint_eq(conn.err.code, BS_ST_RELAY_FULL);
	bsc__link_close(c, r.now);
}
END_TEST

/* The plug is pulled: no minute passes until that is an error which says what is gone. */
START_TEST(a_relay_that_dies_is_noticed)
{
	connect_it(BSC_RELAY_ONLY);
	live(2000);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	relay_dead = true;
	live(40000);
	ck_assert_int_eq(conn.step, BSC_CLOSED);
	ck_assert_uint_eq(conn.err.code, BSC_SILENT);
	ck_assert_ptr_nonnull(strstr(conn.err.text, "relay no longer answers"));
	bsc__link_close(c, r.now);
}
END_TEST

Suite *bs_suite_relay(void)
{
	Suite *s = suite_create("client relay");
	TCase *t = tcase_create("relay");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, the_relay_is_a_path, 0, 2);
	tcase_add_test(t, switched_off_it_is_not_asked);
	tcase_add_loop_test(t, silence_is_told_apart, 0, 2);
	tcase_add_test(t, a_full_relay_is_the_reason);
	tcase_add_loop_test(t, refused_while_it_is_in_use, 0, 2);
	tcase_add_test(t, a_relay_that_dies_is_noticed);
	suite_add_tcase(s, t);
	return s;
}
