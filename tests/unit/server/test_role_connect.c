/* SPDX-License-Identifier: Apache-2.0 */
/* Connects over owner and holder to a device and back, and what becomes of the connection. */
#include "rig.h"

#include "server/worker.h"
#include "util/cursor.h"
#include "util/endpoint.h"
#include "wire/payload.h"

static struct rig rig;
static struct rig_device *dev;
static bool has_ext;

static void begin(unsigned workers, uint32_t ext)
{
	struct rig_options o = { .workers = workers };

	has_ext = ext != 0;
	rig_init(&rig, &o);
	dev = rig_device(&rig, "cam1.base.test", 1, ext);
	rig_start(dev);
	rig_until_count(&rig, BS_C_alive_answered, 1);
	/* The owner of the id hears of it by message, maybe later than the device. */
	rig_until_count(&rig, BS_C_ids_held, 1);
}

static void setup_stock(void)
{
	begin(1, 0);
}

static void setup_ext(void)
{
	begin(3, BS_EXT_ATTEMPT | BS_EXT_CLOSE | BS_EXT_IP6);
}

static void setup_conn_ext(void)
{
	begin(1, BS_EXT_ATTEMPT | BS_EXT_GCM | BS_EXT_FAST_STREAM | BS_EXT_PAIR);
}

static void teardown(void)
{
	rig_fini(&rig);
}

/* A packet of the device: header and payloads by hand. */
static void send_stats(uint32_t nsi, uint8_t event)
{
	uint8_t p[16 + 5 + 18 + 19] = { 0, 0,  0, 0, 0, 0, 0,  0, 31, 2,    0, 0, 0, 0, 0,
					0, 66, 0, 0, 5, 0, 58, 0, 0,  18,   0, 5, 0, 0, 0,
					4, 0,  0, 0, 6, 0, 0,  0, 0,  0x31, 0, 0, 19 };
	const char *id = "\2cam1.base.test";

	bs_put_u32(p + 4, nsi);
	bs_put_u16(p + 14, sizeof(p));
	p[20] = event;
	memcpy(p + sizeof(p) - 15, id, 15);
	rig_send(dev, p, sizeof(p), false);
}

static bool is_zero(const void *p, size_t len)
{
	const uint8_t *b = p;

	while (len > 0 && b[len - 1] == 0)
		len--;
	return len == 0;
}

START_TEST(test_accepted)
{
	struct bs_message m;

	rig_connect(&rig, 0, dev->number, 77, 0x1122334455667788);
	m = rig_result(&rig, 0);
	ck_assert_int_eq(m.kind, BS_MSG_CONNECT_RESULT);
	ck_assert_uint_eq(m.ref, 77);
	ck_assert_uint_eq(m.u.result.attempt, 0x1122334455667788);
	ck_assert_uint_eq(m.u.result.status, BS_ST_OK);
	ck_assert_uint_eq(m.u.result.suite, BS_SUITE_AES_CBC);
	ck_assert_uint_ge(m.u.result.nsi, 1u << 20);
	ck_assert_uint_ge(m.u.result.nsi_cp, 100);
	ck_assert_uint_ne(m.u.result.nsi, m.u.result.nsi_cp);
	ck_assert(!is_zero(&m.u.result.block, sizeof(m.u.result.block)));
	ck_assert(bs_endpoint_is_set(&m.u.result.global));
	ck_assert_str_eq(dev->client_id, "user@example.com");
	ck_assert(dev->has_fp);
	ck_assert_uint_eq(rig_live(dev), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connect_ok), 1);
}
END_TEST

START_TEST(test_attempt_and_candidates_of_our_device)
{
	struct bs_message m;

	rig_connect(&rig, 0, dev->number, 1, 0x1122334455667788);
	m = rig_result(&rig, 0);
	ck_assert_uint_eq(m.u.result.status, BS_ST_OK);
	ck_assert(dev->has_attempt);
	ck_assert_uint_eq(bs_get_u64(dev->attempt), 0x1122334455667788);
	ck_assert_uint_eq(m.u.result.ext, BS_EXT_ATTEMPT | BS_EXT_CLOSE | BS_EXT_IP6);
	ck_assert_uint_eq(m.u.result.n_ep6, 1);
	ck_assert_uint_eq(m.u.result.ep6[0].port, 4242);
}
END_TEST

/* One CONNECT with what this client speaks. */
static struct bs_message connect_ext(unsigned n, uint32_t ext, const uint8_t *pair)
{
	struct bs_worker w = { .n_workers = rig.info.n_workers };
	struct bs_message m = { .kind = BS_MSG_CONNECT, .number = dev->number, .ref = n };

	m.u.connect.attempt = 1000 + n;
	m.u.connect.ext = ext;
	m.u.connect.has_pair = pair != NULL;
	if (pair)
		memcpy(m.u.connect.pair, pair, sizeof(m.u.connect.pair));
	bs_endpoint_set_ip4(&m.u.connect.priv, 0x0A000001, 4000);
	m.u.connect.client_id_len = 1;
	m.u.connect.client_id[0] = 'u';
	rig_order(&rig, 0, bs_worker_owner(&w, dev->number), &m);
	return rig_result(&rig, n);
}

/* The device takes part: it refuses a suite that it was not granted. */
START_TEST(test_suite_is_what_both_have)
{
	static const uint8_t pair[BS_PAIR_ID_LEN] = { 1 };
	struct bs_message m;

	m = connect_ext(0, 0, NULL);
	ck_assert_uint_eq(m.u.result.status, BS_ST_OK);
	ck_assert_uint_eq(m.u.result.suite, BS_SUITE_AES_CBC);
	m = connect_ext(1, BS_EXT_GCM | BS_EXT_FAST_STREAM | BS_EXT_PAIR, NULL);
	ck_assert_uint_eq(m.u.result.status, BS_ST_OK);
	ck_assert_uint_eq(m.u.result.suite, BS_SUITE_AES_GCM);
	ck_assert(m.u.result.ext & BS_EXT_FAST_STREAM);
	/* This device knows no pairings. */
	m = connect_ext(2, BS_EXT_PAIR, pair);
	ck_assert_uint_eq(m.u.result.status, BS_ST_KEY_ID);
	ck_assert(is_zero(&m.u.result.block, sizeof(m.u.result.block)));
}
END_TEST

START_TEST(test_pair_needs_the_device)
{
	static const uint8_t pair[BS_PAIR_ID_LEN] = { 1 };
	struct bs_message m = connect_ext(0, BS_EXT_GCM | BS_EXT_PAIR, pair);

	ck_assert_uint_eq(m.u.result.status, BS_ST_CAPABILITY);
	ck_assert_uint_eq(dev->asked, 0);
	m = connect_ext(1, BS_EXT_GCM, NULL);
	ck_assert_uint_eq(m.u.result.suite, BS_SUITE_AES_CBC);
}
END_TEST

START_TEST(test_blocks_are_never_used_twice)
{
	struct bs_message a;
	struct bs_message b;

	rig_connect(&rig, 0, dev->number, 1, 1);
	rig_connect(&rig, 0, dev->number, 2, 2);
	a = rig_result(&rig, 0);
	b = rig_result(&rig, 1);
	ck_assert_uint_eq(a.u.result.status, BS_ST_OK);
	ck_assert_uint_eq(b.u.result.status, BS_ST_OK);
	ck_assert_mem_ne(&a.u.result.block, &b.u.result.block, sizeof(a.u.result.block));
	ck_assert_uint_ne(a.u.result.nsi, b.u.result.nsi);
}
END_TEST

START_TEST(test_refused_by_the_device)
{
	struct bs_message m;

	dev->access = BS_ST_REFUSED_DEVICE;
	rig_connect(&rig, 0, dev->number, 1, 1);
	m = rig_result(&rig, 0);
	ck_assert_uint_eq(m.u.result.status, BS_ST_REFUSED_DEVICE);
	ck_assert_uint_eq(m.u.result.nsi, 0);
	ck_assert(is_zero(&m.u.result.block, sizeof(m.u.result.block)));
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 0);
}
END_TEST

START_TEST(test_busy_lowers_the_limit)
{
	struct bs_message m;

	rig_connect(&rig, 0, dev->number, 1, 1);
	m = rig_result(&rig, 0);
	ck_assert_uint_eq(m.u.result.status, BS_ST_OK);
	dev->access = BS_ST_BUSY;
	rig_connect(&rig, 0, dev->number, 2, 2);
	m = rig_result(&rig, 1);
	ck_assert_uint_eq(m.u.result.status, BS_ST_BUSY);
	dev->access = BS_ST_OK;
	/* One is open and one is the limit now, so the device is not even asked. */
	rig_connect(&rig, 0, dev->number, 3, 3);
	m = rig_result(&rig, 2);
	ck_assert_uint_eq(m.u.result.status, BS_ST_BUSY);
	ck_assert_uint_eq(m.u.result.reason, BS_CR_LIMIT);
	ck_assert_uint_eq(dev->asked, 2);
}
END_TEST

START_TEST(test_limit_of_a_stock_device)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		rig_connect(&rig, 0, dev->number, i, i + 1);
	(void)rig_result(&rig, 3);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connect_limit), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 3);
}
END_TEST

START_TEST(test_silent_device)
{
	struct bs_message m;
	bs_time start;

	dev->mute = true;
	start = rig_now();
	rig_connect(&rig, 0, dev->number, 1, 1);
	m = rig_result(&rig, 0);
	ck_assert_uint_eq(m.u.result.status, BS_ST_NOT_ATTACHED);
	ck_assert_uint_eq(m.u.result.reason, BS_CR_SILENT);
	/* The conf says 450 ms here, 4.5 s in the field. */
	ck_assert(BS_TIME_DIFF(rig_now(), start) >= (bs_time_diff)BS_TIME_MS(440));
	ck_assert_uint_eq(rig_count(&rig, BS_C_connect_sent), 4);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connect_resent), 3);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 0);
}
END_TEST

START_TEST(test_repetitions_are_identical)
{
	uint8_t a[512];
	uint8_t b[512];
	ssize_t len;
	unsigned seen = 0;
	bs_time end = rig_now() + BS_TIME_MS(3000);

	dev->running = false;
	rig_connect(&rig, 0, dev->number, 1, 1);
	while (seen < 4 && BS_TIME_DIFF(end, rig_now()) > 0) {
		len = rig_receive(dev, b, sizeof(b), 50);
		if (len < 16 || b[8] != BS_TYPE_U_CONNECT)
			continue;
		ck_assert_int_le(len, 256);
		if (seen++ == 0)
			memcpy(a, b, (size_t)len);
		ck_assert_mem_eq(a, b, (size_t)len);
	}
	ck_assert_uint_eq(seen, 4);
	(void)rig_result(&rig, 0);
}
END_TEST

START_TEST(test_not_attached)
{
	struct bs_message m;

	rig_connect(&rig, 0, dev->number + 1000, 5, 5);
	m = rig_result(&rig, 0);
	ck_assert_uint_eq(m.u.result.status, BS_ST_NOT_ATTACHED);
	ck_assert_uint_eq(m.u.result.reason, BS_CR_OFFLINE);
	ck_assert_uint_eq(m.ref, 5);
}
END_TEST

START_TEST(test_same_attempt_is_the_same_attempt)
{
	struct bs_message m;

	rig_connect(&rig, 0, dev->number, 1, 9);
	m = rig_result(&rig, 0);
	ck_assert_uint_eq(m.u.result.status, BS_ST_OK);
	rig_connect(&rig, 0, dev->number, 2, 9);
	m = rig_result(&rig, 1);
	ck_assert_uint_eq(m.u.result.status, BS_ST_CANNOT_ANSWER);
	ck_assert_uint_eq(m.u.result.reason, BS_CR_REPEATED);
	ck_assert_uint_eq(dev->asked, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 1);
}
END_TEST

/* A response says nothing that an outsider could not say; all numbers and the source must fit. */
START_TEST(test_forged_responses)
{
	uint8_t p[512];
	uint8_t forged[28] = { 0 };
	ssize_t len = 0;
	unsigned i;
	struct bs_message m;

	dev->running = false;
	rig_connect(&rig, 0, dev->number, 1, 1);
	for (i = 0; i < 50 && (len < 16 || p[8] != BS_TYPE_U_CONNECT); i++)
		len = rig_receive(dev, p, sizeof(p), 100);
	ck_assert_int_gt(len, 100);
	memcpy(forged, p, 16);
	forged[11] = 1;
	forged[15] = 28;
	forged[16] = 0x34;
	forged[19] = 12;
	forged[23] = 1;
	memcpy(forged + 24, p + 16 + 4 + 13, 4);
	forged[0] ^= 1;
	rig_send(dev, forged, sizeof(forged), false); /* cp */
	forged[0] ^= 1;
	forged[12] ^= 1;
	rig_send(dev, forged, sizeof(forged), false); /* seq */
	forged[12] ^= 1;
	rig_until_count(&rig, BS_C_connect_answer_forged, 2);
	forged[27] ^= 1;
	rig_send(dev, forged, sizeof(forged), false); /* number of the connection */
	forged[27] ^= 1;
	rig_until_count(&rig, BS_C_connect_answer_late, 1);
	ck_assert_uint_eq(rig_results(&rig), 0);
	rig_send(dev, forged, sizeof(forged), false); /* all right */
	m = rig_result(&rig, 0);
	ck_assert_uint_eq(m.u.result.status, BS_ST_OK);
	rig_send(dev, forged, sizeof(forged), false); /* once more */
	rig_until_count(&rig, BS_C_connect_answer_late, 2);
}
END_TEST

START_TEST(test_open_and_close_reports)
{
	struct bs_message m;
	uint32_t nsi;

	rig_connect(&rig, 0, dev->number, 5, 1);
	m = rig_result(&rig, 0);
	nsi = m.u.result.nsi;
	send_stats(nsi, BS_STATS_OPEN);
	rig_until_count(&rig, BS_C_connections_opened, 1);
	send_stats(nsi ^ 1, BS_STATS_CLOSE);
	rig_until_count(&rig, BS_C_stats_unmatched, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 1);
	send_stats(nsi, BS_STATS_CLOSE);
	m = rig_result(&rig, 1);
	ck_assert_int_eq(m.kind, BS_MSG_CONN_CLOSED);
	ck_assert_uint_eq(m.u.conn.nsi, nsi);
	ck_assert_uint_eq(m.ref, 5);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 0);
}
END_TEST

static struct bs_message conn_message(uint8_t kind, uint32_t nsi, uint64_t ref)
{
	struct bs_message m = { .kind = kind, .number = dev->number, .ref = ref };

	m.u.conn.nsi = nsi;
	m.u.conn.status = BS_ST_CLOSED;
	m.u.conn.tell_device = true;
	return m;
}

START_TEST(test_disconnect_closes_at_the_device)
{
	struct bs_worker w = { .n_workers = rig.info.n_workers };
	struct bs_message m;
	struct bs_message d;
	uint32_t nsi;

	rig_connect(&rig, 1, dev->number, 5, 1);
	m = rig_result(&rig, 0);
	nsi = m.u.result.nsi;
	ck_assert_uint_eq(rig_live(dev), 1);
	/* Not by somebody else's session. */
	d = conn_message(BS_MSG_DISCONNECT, nsi, 6);
	rig_order(&rig, 1, bs_worker_of_nsi(&w, nsi), &d);
	rig_turn(&rig, 50);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 1);
	d = conn_message(BS_MSG_DISCONNECT, nsi, 5);
	rig_order(&rig, 1, bs_worker_of_nsi(&w, nsi), &d);
	rig_until_count(&rig, BS_C_close_answered, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 0);
	ck_assert_uint_eq(rig_live(dev), 0);
	ck_assert(rig_attached(dev));
}
END_TEST

START_TEST(test_session_gone_leaves_the_connection)
{
	struct bs_worker w = { .n_workers = rig.info.n_workers };
	struct bs_message m;
	uint32_t nsi;

	rig_connect(&rig, 0, dev->number, 5, 1);
	nsi = rig_result(&rig, 0).u.result.nsi;
	send_stats(nsi, BS_STATS_OPEN);
	rig_until_count(&rig, BS_C_connections_opened, 1);
	m = conn_message(BS_MSG_SESSION_GONE, nsi, 5);
	rig_order(&rig, 0, bs_worker_of_nsi(&w, nsi), &m);
	rig_turn(&rig, 50);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 1);
	send_stats(nsi, BS_STATS_CLOSE);
	rig_until_count(&rig, BS_C_connections_closed, 1);
	/* The gate forgets its record then. */
	m = rig_result(&rig, 1);
	ck_assert_int_eq(m.kind, BS_MSG_CONN_CLOSED);
	ck_assert_uint_eq(m.u.conn.nsi, nsi);
}
END_TEST

START_TEST(test_revoked_device_closes_connections)
{
	struct bs_message m;
	unsigned i;

	rig_connect(&rig, 0, dev->number, 5, 1);
	(void)rig_result(&rig, 0);
	ck_assert_int_eq(box_state(&rig.box, "cam1.base.test", BS_RECORD_DISABLED).status, BS_OK);
	/* Every gate hears of the revocation too, in any order. */
	for (i = 1; (m = rig_result(&rig, i)).kind != BS_MSG_CONN_CLOSED; i++)
		ck_assert_int_eq(m.kind, BS_MSG_REVOKE);
	ck_assert_uint_eq(m.u.conn.status, BS_ST_REFUSED);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 0);
}
END_TEST

START_TEST(test_restart_while_asked)
{
	struct bs_message m;

	dev->mute = true;
	rig_connect(&rig, 0, dev->number, 5, 1);
	rig_until_count(&rig, BS_C_connect_sent, 1);
	dev->mute = false;
	rig_restart(dev);
	m = rig_result(&rig, 0);
	ck_assert_uint_eq(m.u.result.status, BS_ST_REATTACHING);
	rig_until_count(&rig, BS_C_attach_ok, 2);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 0);
}
END_TEST

/* ---- presence ---- */

static void watch(unsigned gate, uint8_t op, uint32_t number)
{
	struct bs_worker w = { .n_workers = rig.info.n_workers };
	struct bs_message m = { .kind = BS_MSG_WATCH, .number = number };

	m.u.watch.op = op;
	m.u.watch.n = 1;
	m.u.watch.number[0] = number;
	rig_order(&rig, gate, bs_worker_owner(&w, number), &m);
}

START_TEST(test_presence)
{
	struct bs_message m;
	uint64_t event;

	watch(1, BS_WATCH_ON, dev->number);
	m = rig_result(&rig, 0);
	ck_assert_int_eq(m.kind, BS_MSG_PRESENCE);
	ck_assert_uint_eq(m.u.presence.n, 1);
	ck_assert(!m.u.presence.change);
	ck_assert_uint_eq(m.u.presence.p[0].state, 1);
	ck_assert_uint_gt(m.u.presence.p[0].since_ms, 0);
	event = m.u.presence.p[0].event;
	dev->mute = true;
	m = rig_result(&rig, 1);
	ck_assert(m.u.presence.change);
	ck_assert_uint_eq(m.u.presence.p[0].state, 0);
	ck_assert_uint_gt(m.u.presence.p[0].event, event);
	watch(1, BS_WATCH_OFF, dev->number);
	rig_turn(&rig, 50);
	dev->mute = false;
	rig_restart(dev);
	rig_until_count(&rig, BS_C_attach_ok, 2);
	rig_turn(&rig, 50);
	ck_assert_uint_eq(rig_results(&rig), 2);
	watch(1, BS_WATCH_ASK, dev->number);
	m = rig_result(&rig, 2);
	ck_assert_uint_eq(m.u.presence.p[0].state, 1);
}
END_TEST

/* A client that has IPv6 only, and a name so long that nothing else would fit behind it. */
START_TEST(test_client_with_ip6_only)
{
	struct bs_worker w = { .n_workers = rig.info.n_workers };
	struct bs_message m = { .kind = BS_MSG_CONNECT, .number = dev->number, .ref = 1 };
	struct bs_endpoint seen = { .ip = { 0x20, 1, [15] = 9 }, .port = 999 };
	struct bs_ep6 ep;
	struct bs_payload pl;
	struct bs_packet p;
	uint8_t buf[512];
	ssize_t len = 0;
	unsigned i;

	dev->running = false;
	m.u.connect.attempt = 1;
	m.u.connect.global = seen;
	for (i = 0; i < 3; i++) {
		m.u.connect.ep6[i] = seen;
		m.u.connect.ep6[i].ip[0] = i < 2 ? 0xFD : 0x20;
	}
	m.u.connect.n_ep6 = 3;
	m.u.connect.client_id_len = BS_CLIENT_ID_MAX;
	memset(m.u.connect.client_id, 'u', BS_CLIENT_ID_MAX);
	rig_order(&rig, 0, bs_worker_owner(&w, dev->number), &m);
	for (i = 0; i < 100 && (len < 16 || buf[8] != BS_TYPE_U_CONNECT); i++)
		len = rig_receive(dev, buf, sizeof(buf), 100);
	ck_assert_int_gt(len, 200);
	ck_assert_int_le(len, BS_PACKET_SMALL);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	ck_assert(bs_payload_find(&p, BS_PL_IPX, &pl));
	ck_assert_mem_eq(pl.data, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
	ck_assert_uint_eq(bs_ep6_collect(&p, BS_EP6_OBSERVED, &ep, 1), has_ext ? 1 : 0);
	if (has_ext) {
		ck_assert(bs_endpoint_equal(&ep.ep, &seen));
		ck_assert(!(pl.data[12] & BS_IPX_NO_RENDEZVOUS));
	} else {
		/* It could not read any of these. */
		ck_assert(pl.data[12] & BS_IPX_NO_RENDEZVOUS);
	}
}
END_TEST

/* The whole server's limit: refused at once, counted, and the device is not asked. */
START_TEST(test_connections_full)
{
	struct rig_options o = { .workers = 1, .conf = "max-connections = 1\n" };
	struct bs_message m;

	rig_init(&rig, &o);
	dev = rig_device(&rig, "cam1.base.test", 1, 0);
	rig_start(dev);
	rig_until_count(&rig, BS_C_alive_answered, 1);
	rig_connect(&rig, 0, dev->number, 1, 1);
	ck_assert_uint_eq(rig_result(&rig, 0).u.result.status, BS_ST_OK);
	rig_connect(&rig, 0, dev->number, 2, 2);
	m = rig_result(&rig, 1);
	ck_assert_uint_eq(m.u.result.status, BS_ST_RATE);
	ck_assert_uint_eq(m.u.result.reason, BS_CR_TABLE);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connect_full), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 1);
	ck_assert_uint_eq(dev->asked, 1);
	rig_fini(&rig);
}
END_TEST

/* The client has gone while the device was asked, so the gate on the same worker disconnects inside
 * the very call that tells it of the connection. */
START_TEST(test_disconnect_inside_the_result)
{
	struct bs_message a;
	struct bs_message b;

	rig.hang_up = true;
	rig_connect(&rig, 0, dev->number, 1, 1);
	ck_assert_uint_eq(rig_result(&rig, 0).u.result.status, BS_ST_OK);
	rig_until_count(&rig, BS_C_connections_closed, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 0);
	rig.hang_up = false;
	/* Two at a time, so that a request record given back twice would serve both. */
	dev->mute = true;
	rig_connect(&rig, 0, dev->number, 2, 2);
	rig_connect(&rig, 0, dev->number, 3, 3);
	rig_until_count(&rig, BS_C_connect_sent, 3);
	dev->mute = false;
	a = rig_result(&rig, 1);
	b = rig_result(&rig, 2);
	ck_assert_uint_eq(a.u.result.status, BS_ST_OK);
	ck_assert_uint_eq(b.u.result.status, BS_ST_OK);
	ck_assert_mem_ne(&a.u.result.block, &b.u.result.block, sizeof(a.u.result.block));
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 2);
}
END_TEST

Suite *bs_suite_role_connect(void)
{
	Suite *s = suite_create("role_connect");
	TCase *stock = tcase_create("stock");
	TCase *ext = tcase_create("extended");
	TCase *conn_ext = tcase_create("conn_ext");
	TCase *own = tcase_create("own");

	tcase_add_checked_fixture(stock, setup_stock, teardown);
	tcase_set_timeout(stock, 30);
	tcase_add_test(stock, test_accepted);
	tcase_add_test(stock, test_blocks_are_never_used_twice);
	tcase_add_test(stock, test_refused_by_the_device);
	tcase_add_test(stock, test_busy_lowers_the_limit);
	tcase_add_test(stock, test_limit_of_a_stock_device);
	tcase_add_test(stock, test_silent_device);
	tcase_add_test(stock, test_repetitions_are_identical);
	tcase_add_test(stock, test_not_attached);
	tcase_add_test(stock, test_same_attempt_is_the_same_attempt);
	tcase_add_test(stock, test_forged_responses);
	tcase_add_test(stock, test_open_and_close_reports);
	tcase_add_test(stock, test_restart_while_asked);
	tcase_add_test(stock, test_disconnect_inside_the_result);
	tcase_add_test(stock, test_client_with_ip6_only);
	suite_add_tcase(s, stock);
	tcase_add_checked_fixture(ext, setup_ext, teardown);
	tcase_set_timeout(ext, 30);
	tcase_add_test(ext, test_accepted);
	tcase_add_test(ext, test_attempt_and_candidates_of_our_device);
	tcase_add_test(ext, test_refused_by_the_device);
	tcase_add_test(ext, test_silent_device);
	tcase_add_test(ext, test_client_with_ip6_only);
	tcase_add_test(ext, test_not_attached);
	tcase_add_test(ext, test_disconnect_closes_at_the_device);
	tcase_add_test(ext, test_session_gone_leaves_the_connection);
	tcase_add_test(ext, test_revoked_device_closes_connections);
	tcase_add_test(ext, test_presence);
	suite_add_tcase(s, ext);
	tcase_add_checked_fixture(conn_ext, setup_conn_ext, teardown);
	tcase_set_timeout(conn_ext, 30);
	tcase_add_test(conn_ext, test_suite_is_what_both_have);
	suite_add_tcase(s, conn_ext);
	tcase_add_test(ext, test_pair_needs_the_device);
	tcase_set_timeout(own, 30);
	tcase_add_test(own, test_connections_full);
	suite_add_tcase(s, own);
	return s;
}
