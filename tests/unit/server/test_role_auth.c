/* SPDX-License-Identifier: Apache-2.0 */
/* Keep-alives under a MAC: what moves a record and what does not, and the interval that follows. */
#include "rig.h"

#include "crypto/openssl.h"
#include "proto/alive_auth.h"
#include "server/nets.h"
#include "wire/alive.h"

#define BOTH (BS_EXT_AUTH_ALIVE | BS_EXT_INTERVAL)

/* An interval can be said in seconds only. */
#define SECONDS "alive-interval = 1s\nalive-unreachable = 4s\nalive-timeout = 8s\n"

static struct rig rig;
static struct rig_device *dev;
static struct bs_openssl *ssl;

static void begin(const char *conf, uint32_t ext)
{
	struct rig_options o = { .workers = 1, .conf = conf };

	rig_init(&rig, &o);
	ssl = bs_openssl_new();
	dev = rig_device(&rig, "cam1.base.test", 1, ext);
	rig_start(dev);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_until_count(&rig, BS_C_alive_answered, 1);
}

static void teardown(void)
{
	bs_openssl_free(ssl);
	rig_fini(&rig);
}

static void wait_answers(unsigned n)
{
	rig_until_count(&rig, BS_C_alive_answered, rig_count(&rig, BS_C_alive_answered) + n);
}

/* A poll that the device itself might have sent, under this counter. */
static size_t make_poll(uint8_t *buf, size_t cap, uint32_t counter)
{
	struct bs_alive_answer m = { .nsi = rig_nsi(dev) };
	uint32_t sent = counter - 1;
	struct bs_key_block key;
	bs_ssize len = bs_alive_answer_encode(buf, cap, &m);

	ck_assert_int_gt(len, 0);
	if (counter == 0)
		return (size_t)len;
	memcpy(key.b, rig_c_key(dev), sizeof(key.b));
	len = bs_alive_auth_seal(bs_openssl_crypto(ssl), &key, BS_RESPONDER, &sent, buf,
				 (size_t)len, cap);
	ck_assert_int_gt(len, 0);
	return (size_t)len;
}

static struct rig_device *stranger(const char *id)
{
	struct rig_device *d = rig_stranger(&rig, id, 1, 0);

	rig_rebind(d);
	d->controller.port = rig.info.attach_port;
	return d;
}

static void send_poll(struct rig_device *from, uint32_t counter)
{
	uint8_t buf[64];

	rig_send(from, buf, make_poll(buf, sizeof(buf), counter), from != dev);
}

START_TEST(answers_are_authentic)
{
	begin(SECONDS, BOTH);
	ck_assert(rig_has_auth(dev));
	ck_assert_uint_ge(rig_interval(dev), 10);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_auth_bad), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_auth_replay), 0);
}
END_TEST

/* The NAT rebound: one authentic poll, and the record is where the device is. */
START_TEST(roams_at_once)
{
	begin(NULL, BS_EXT_AUTH_ALIVE);
	rig_rebind(dev);
	rig_poll(dev);
	rig_until_count(&rig, BS_C_alive_roamed, 1);
	wait_answers(3);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_move_probe), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 1);
	ck_assert(rig_attached(dev));
}
END_TEST

/* Who knows the number of the session but not the key gets nothing, not even an answer. */
START_TEST(forged_polls_move_nothing)
{
	struct rig_device *liar;
	uint8_t buf[64];
	size_t len;

	begin(NULL, BS_EXT_AUTH_ALIVE);
	liar = stranger("liar.base.test");
	send_poll(liar, 0);
	rig_until_count(&rig, BS_C_alive_auth_bad, 1);
	len = make_poll(buf, sizeof(buf), 5000);
	buf[len - 1] ^= 1;
	rig_send(liar, buf, len, true);
	rig_until_count(&rig, BS_C_alive_auth_bad, 2);
	/* Not from the right address either. */
	send_poll(dev, 0);
	rig_until_count(&rig, BS_C_alive_auth_bad, 3);
	wait_answers(3);
	ck_assert_int_lt(rig_receive(liar, buf, sizeof(buf), 0), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_roamed), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_move_probe), 0);
	/* The forged counter was not believed: smaller ones are still good. */
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_auth_replay), 0);
	ck_assert(rig_attached(dev));
}
END_TEST

/* Recorded packets played again, and late ones of the device's old place. */
START_TEST(replays_and_late_packets_move_nothing)
{
	struct rig_device *other;
	uint64_t polls;

	begin(NULL, BS_EXT_AUTH_ALIVE);
	other = stranger("other.base.test");
	/* The device itself is not heard from now on: this test speaks for it. */
	dev->mute = true;
	send_poll(dev, 1000);
	rig_until_count(&rig, BS_C_alive_poll, 1);
	rig_rebind(dev);
	send_poll(dev, 1002);
	rig_until_count(&rig, BS_C_alive_roamed, 1);
	send_poll(other, 1002);
	rig_until_count(&rig, BS_C_alive_auth_replay, 1);
	send_poll(other, 1001);
	rig_until_count(&rig, BS_C_drop_source, 1);
	send_poll(other, 900);
	rig_until_count(&rig, BS_C_alive_auth_replay, 2);
	/* Out of order from where it is: fine. */
	polls = rig_count(&rig, BS_C_alive_poll);
	send_poll(dev, 999);
	rig_until_count(&rig, BS_C_alive_poll, polls + 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_roamed), 1);
}
END_TEST

/* An observer who is faster than the device gets the record for one packet, not for longer. */
START_TEST(a_thief_does_not_keep_it)
{
	struct rig_device *thief;

	begin(NULL, BS_EXT_AUTH_ALIVE);
	thief = stranger("thief.base.test");
	dev->mute = true;
	send_poll(thief, 1000);
	rig_until_count(&rig, BS_C_alive_roamed, 1);
	send_poll(dev, 1001);
	rig_until_count(&rig, BS_C_alive_roamed, 2);
}
END_TEST

START_TEST(mixes_of_bits)
{
	static const struct {
		const char *conf;
		uint32_t offer;
		bool auth;
		bool interval;
	} rows[] = {
		{ NULL, 0, false, false },
		{ NULL, BS_EXT_CLOSE, false, false },
		{ NULL, BS_EXT_AUTH_ALIVE, true, false },
		{ NULL, BS_EXT_INTERVAL, false, false },
		{ NULL, BOTH, true, false },
		{ SECONDS, BS_EXT_INTERVAL, false, false },
		{ SECONDS, BOTH, true, true },
		{ "extensions = { close }\n", BOTH, false, false },
		{ "extensions = { interval }\n", BOTH, false, false },
		{ "extensions = { auth-alive }\n", BOTH, true, false },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(rows[i].conf, rows[i].offer);
		ck_assert_int_eq(rig_has_auth(dev), rows[i].auth);
		ck_assert_int_eq(rig_interval(dev) != 0, rows[i].interval);
		if (!rows[i].conf)
			wait_answers(3);
		ck_assert_uint_eq(rig_count(&rig, BS_C_alive_auth_bad), 0);
		if (i + 1 < sizeof(rows) / sizeof(rows[0]))
			teardown();
	}
}
END_TEST

/* Devices of both kinds side by side keep each to its own rules. */
START_TEST(beside_a_stock_device)
{
	struct rig_device *stock;

	begin(SECONDS "alive-min = 1s\nalive-max = 3s\n", BOTH);
	stock = rig_device(&rig, "cam2.base.test", 2, 0);
	rig_start(stock);
	rig_until_count(&rig, BS_C_attach_ok, 2);
	wait_answers(4);
	ck_assert_uint_eq(rig_interval(stock), 0);
	ck_assert_uint_ge(rig_interval(dev), 2);
	ck_assert(rig_attached(dev));
}
END_TEST

static bool interval_is(struct rig *r, void *arg)
{
	(void)r;
	return rig_interval(dev) == *(const uint16_t *)arg;
}

/* While a client is connected the device is asked at the usual pace, then seldom again. */
START_TEST(a_client_makes_it_short)
{
	uint16_t seldom = 3;
	uint16_t often = 1;
	struct bs_message m = { .kind = BS_MSG_DISCONNECT, .ref = 7 };

	begin(SECONDS "alive-min = 1s\nalive-max = 3s\n", BOTH);
	rig_until(&rig, interval_is, &seldom);
	rig_connect(&rig, 0, dev->number, 7, 1);
	m.number = dev->number;
	m.u.conn.nsi = rig_result(&rig, 0).u.result.nsi;
	m.u.conn.status = BS_ST_CLOSED;
	rig_until(&rig, interval_is, &often);
	wait_answers(2);
	rig_order(&rig, 0, 0, &m);
	rig_until_count(&rig, BS_C_connections_live, 0);
	rig_until(&rig, interval_is, &seldom);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_timeout), 0);
}
END_TEST

/* It waits for three minutes when the client comes: it must hear of the usual pace with the
 * CONNECT, not with the request after that. */
START_TEST(a_client_makes_it_short_at_once)
{
	const char *seldom = "alive-interval = 6s\nalive-unreachable = 30s\nalive-timeout = 60s\n"
			     "alive-min = 60s\nalive-max = 300s\n";
	uint16_t often = 6;
	bs_time start;

	begin(seldom, BOTH);
	ck_assert_uint_gt(rig_interval(dev), 60);
	start = rig_now();
	rig_connect(&rig, 0, dev->number, 7, 1);
	ck_assert_uint_eq(rig_result(&rig, 0).u.result.status, BS_ST_OK);
	rig_until(&rig, interval_is, &often);
	ck_assert(BS_TIME_DIFF(rig_now(), start) < (bs_time_diff)BS_TIME_MS(3000));
	/* Another one need not say it again. */
	rig_until_count(&rig, BS_C_alive_answered, 2);
	rig_connect(&rig, 0, dev->number, 8, 2);
	ck_assert_uint_eq(rig_result(&rig, 1).u.result.status, BS_ST_OK);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_sent), 2);
}
END_TEST

/* Its NAT had forgotten it: the CONNECT that waits goes where its poll came from. */
START_TEST(a_connect_follows_the_device)
{
	begin("connect-retry = 30s\nconnect-timeout = 60s\n", BS_EXT_AUTH_ALIVE);
	rig_rebind(dev);
	rig_connect(&rig, 0, dev->number, 7, 1);
	rig_until_count(&rig, BS_C_connect_sent, 1);
	rig_poll(dev);
	ck_assert_uint_eq(rig_result(&rig, 0).u.result.status, BS_ST_OK);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_roamed), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connect_resent), 1);
}
END_TEST

START_TEST(networks_are_remembered)
{
	struct bs_nets *n = calloc(1, sizeof(*n));
	uint64_t i;

	ck_assert_ptr_nonnull(n);
	ck_assert_uint_eq(bs_nets_get(n, 1), 0);
	bs_nets_note(n, 1, 100);
	ck_assert_uint_eq(bs_nets_get(n, 1), 100);
	ck_assert_uint_eq(bs_nets_get(n, 1 + (UINT64_C(1) << 60)), 0);
	/* Up by and by, down at once. */
	bs_nets_note(n, 1, 200);
	ck_assert_uint_eq(bs_nets_get(n, 1), 125);
	for (i = 0; i < 30; i++)
		bs_nets_note(n, 1, 200);
	ck_assert_uint_eq(bs_nets_get(n, 1), 200);
	bs_nets_note(n, 1, 30);
	ck_assert_uint_eq(bs_nets_get(n, 1), 30);
	/* Four share a set; what is asked for stays. */
	for (i = 1; i <= 6; i++) {
		bs_nets_note(n, 1 + (i << 48), (uint16_t)i);
		ck_assert_uint_eq(bs_nets_get(n, 1), 30);
	}
	ck_assert_uint_eq(bs_nets_get(n, 1 + (UINT64_C(1) << 48)), 0);
	ck_assert_uint_eq(bs_nets_get(n, 1 + (UINT64_C(6) << 48)), 6);
	free(n);
}
END_TEST

Suite *bs_suite_role_auth(void)
{
	Suite *s = suite_create("role_auth");
	TCase *t = tcase_create("role_auth");
	TCase *nets = tcase_create("nets");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, answers_are_authentic);
	tcase_add_test(t, roams_at_once);
	tcase_add_test(t, forged_polls_move_nothing);
	tcase_add_test(t, replays_and_late_packets_move_nothing);
	tcase_add_test(t, a_thief_does_not_keep_it);
	tcase_add_test(t, mixes_of_bits);
	tcase_add_test(t, beside_a_stock_device);
	tcase_add_test(t, a_client_makes_it_short);
	tcase_add_test(t, a_client_makes_it_short_at_once);
	tcase_add_test(t, a_connect_follows_the_device);
	suite_add_tcase(s, t);
	tcase_add_test(nets, networks_are_remembered);
	suite_add_tcase(s, nets);
	return s;
}
