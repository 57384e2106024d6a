/* SPDX-License-Identifier: Apache-2.0 */
/* Tactics of a search, its cool-down, and what a change of network or a sleep does. */
#include "rig.h"

Suite *bs_suite_paths(void);

static struct rig r;
static struct bsc_conn conn;

static void setup(void)
{
	rig_init(&r);
	memset(&conn, 0, sizeof conn);
	conn.m = &r.m;
	r.m.set.sockets_max = 200;
	r.m.set.sockets_pause_ms = 60000;
}

static void teardown(void)
{
	rig_fini(&r);
}

/** An answer of the basestation: what it measured, and what it advises (-1: nothing). */
static struct bs_peer_conf tactics(uint8_t mapping, bool device, int advice, uint32_t ext)
{
	struct bs_gate_connect_answer a;
	struct bs_peer_conf conf;

	memset(&a, 0, sizeof a);
	memset(&conf, 0, sizeof conf);
	a.nat.mapping = mapping;
	a.ipx.flags = device ? BS_IPX_NAT_SYMMETRIC : 0;
	a.has_ext = ext != 0;
	a.ext.bits = ext;
	if (advice >= 0) {
		a.params.has = BS_PARAM_BIT(BS_PARAM_TACTICS);
		a.params.tactics = (uint16_t)advice;
	}
	bsc__paths_tactics(&conn, &a, &conf, r.now);
	return conf;
}

static const struct {
	uint8_t mapping;
	bool device;
	int advice;
	bool symmetric, guess;
	bool relay_now; /* no head start at all */
} rows[] = {
	{ BS_NAT_UNKNOWN, false, -1, false, false, false },
	{ BS_NAT_INDEPENDENT, false, -1, false, false, false },
	{ BS_NAT_BY_ADDRESS, false, -1, true, false, false },
	{ BS_NAT_BY_PORT, false, -1, true, false, false },
	{ BS_NAT_INDEPENDENT, true, -1, false, true, false },
	{ BS_NAT_BY_PORT, true, -1, false, false, true },
	/* Advice counts more than what we make of the measurements. */
	{ BS_NAT_BY_PORT, true, 0, false, false, false },
	{ BS_NAT_UNKNOWN, false, BS_TACTIC_SOCKETS, true, false, false },
	{ BS_NAT_UNKNOWN, false, BS_TACTIC_GUESS, false, true, false },
	{ BS_NAT_UNKNOWN, false, BS_TACTIC_RELAY, false, false, true },
};

START_TEST(tactics_come_from_measurements)
{
	struct bs_peer_conf c =
		tactics(rows[_i].mapping, rows[_i].device, rows[_i].advice, BS_EXT_PATH);

	ck_assert_int_eq(c.symmetric, rows[_i].symmetric);
	ck_assert_int_eq(c.guess_ports, rows[_i].guess);
	ck_assert_int_eq(c.relay_wait_ms == 0, rows[_i].relay_now);
	ck_assert_uint_eq(c.sockets, 200);
	ck_assert(c.can_ask);
}
END_TEST

/* A stock device stops searching at its first DATA: it gets a longer head start. */
START_TEST(stock_devices_get_more_time)
{
	uint32_t own = tactics(BS_NAT_INDEPENDENT, false, -1, BS_EXT_PATH).relay_wait_ms;
	struct bs_peer_conf stock = tactics(BS_NAT_INDEPENDENT, false, -1, 0);
	struct bs_peer_conf hard = tactics(BS_NAT_INDEPENDENT, true, -1, 0);

	ck_assert(!stock.can_ask);
	ck_assert_uint_lt(own, stock.relay_wait_ms);
	ck_assert_uint_lt(stock.relay_wait_ms, hard.relay_wait_ms);
}
END_TEST

START_TEST(many_sockets_cool_down)
{
	static const uint8_t search[16] = { [8] = BS_TYPE_U_CONNECT };
	static const uint8_t data[16] = { [8] = BS_TYPE_DATA };
	struct bs_endpoint to = { .port = 5000, .via = 7 };

	ck_assert_uint_eq(tactics(BS_NAT_BY_PORT, false, -1, 0).sockets, 200);
	bsc__paths_sent(&r.m, data, &to, r.now);
	/* It counts from the last packet over one of them that searches, not from the plan to. */
	ck_assert_uint_eq(tactics(BS_NAT_BY_PORT, false, -1, 0).sockets, 200);
	bsc__paths_sent(&r.m, search, &to, r.now);
	r.now += BS_TIME_MS(59000);
	ck_assert_uint_eq(tactics(BS_NAT_BY_PORT, false, -1, 0).sockets, 0);
	r.now += BS_TIME_MS(1000);
	ck_assert_uint_eq(tactics(BS_NAT_BY_PORT, false, -1, 0).sockets, 200);
	/* Another router, another chance; the relay's stream is no socket of that kind. */
	bsc__paths_sent(&r.m, search, &to, r.now);
	bsc__paths_network_changed(&r.m, r.now);
	ck_assert_uint_eq(tactics(BS_NAT_BY_PORT, false, -1, 0).sockets, 200);
	to.via = BS_VIA_STREAM;
	bsc__paths_sent(&r.m, search, &to, r.now);
	ck_assert_uint_eq(tactics(BS_NAT_BY_PORT, false, -1, 0).sockets, 200);
	r.m.set.sockets_max = 0;
	ck_assert_uint_eq(tactics(BS_NAT_BY_PORT, false, -1, 0).sockets, 0);
}
END_TEST

/* Behind two NATs the mapped address is one that nobody else knows. */
START_TEST(mapped_endpoint_counts_where_it_is_public)
{
	struct bs_endpoint mapped;

	bs_endpoint_set_ip4(&r.m.prober.observed, 0xCB007105, 40000);
	bs_endpoint_set_ip4(&mapped, 0xCB007105, 41000);
	bsc__paths_mapped(&r.m, &mapped, r.now);
	ck_assert_uint_eq(tactics(BS_NAT_UNKNOWN, false, -1, 0).global.port, 41000);
	bs_endpoint_set_ip4(&mapped, 0x0A000001, 42000);
	bsc__paths_mapped(&r.m, &mapped, r.now);
	ck_assert_uint_eq(tactics(BS_NAT_UNKNOWN, false, -1, 0).global.port, 40000);
	memset(&mapped, 0, sizeof mapped);
	bsc__paths_mapped(&r.m, &mapped, r.now);
	ck_assert_uint_eq(tactics(BS_NAT_UNKNOWN, false, -1, 0).global.port, 40000);
}
END_TEST

/* The stream rests on the old address: a new one is opened at once, not after a back-off. */
START_TEST(network_change_opens_anew)
{
	uint32_t transport;

	rig_open(&r);
	transport = r.m.transport;
	r.m.set.reconnect = true;
	r.m.watch.fn = NULL;
	bsc__paths_network_changed(&r.m, r.now);
	ck_assert_int_ne(r.m.state, BSC_SESSION_OPEN);
	if (r.m.state == BSC_SESSION_WAITING)
		ck_assert(r.m.due == r.now);
	bsc__machine_open(&r.m, r.now);
	bsc__machine_timeout(&r.m, r.now);
	ck_assert_int_eq(r.m.state, BSC_SESSION_OPENING);
	ck_assert_uint_gt(r.m.transport, transport);
}
END_TEST

START_TEST(asleep_nothing_happens)
{
	bs_time at;

	rig_open(&r);
	ck_assert(bsc__machine_next_timeout(&r.m, &at));
	bsc__paths_suspend(&r.m, r.now);
	ck_assert(!bsc__machine_next_timeout(&r.m, &at));
	/* Far beyond any limit of the session. */
	r.now += BS_TIME_MS(3600000);
	bsc__machine_timeout(&r.m, r.now);
	ck_assert_int_eq(r.m.state, BSC_SESSION_OPEN);
	bsc__paths_resume(&r.m, r.now);
	ck_assert_int_ne(r.m.state, BSC_SESSION_OPEN);
	/* Waking up twice is nothing. */
	bsc__paths_resume(&r.m, r.now);
}
END_TEST

Suite *bs_suite_paths(void)
{
	Suite *s = suite_create("paths");
	TCase *tc = tcase_create("paths");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, tactics_come_from_measurements, 0,
			    (int)(sizeof rows / sizeof rows[0]));
	tcase_add_test(tc, stock_devices_get_more_time);
	tcase_add_test(tc, many_sockets_cool_down);
	tcase_add_test(tc, mapped_endpoint_counts_where_it_is_public);
	tcase_add_test(tc, network_change_opens_anew);
	tcase_add_test(tc, asleep_nothing_happens);
	suite_add_tcase(s, tc);
	return s;
}
