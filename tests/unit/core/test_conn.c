/* SPDX-License-Identifier: Apache-2.0 */
/* test_conn.c - one end of a connection against the other: lifetime, framing, replay, roaming. */
#include "proto/conn.h"
#include "test.h"
#include "util/endpoint.h"

#define NSI UINT32_C(0x20000001)

static struct bs_conn dev;
static struct bs_conn cli;
static struct bs_crypto crypto;
static struct bs_test_rng rng;
static bs_time now;
static uint8_t buf[BS_PACKET_MAX];

static struct bs_endpoint at(uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0x0A000001, port);
	return ep;
}

static void setup(void)
{
	struct bs_key_block key;
	size_t i;

	for (i = 0; i < sizeof(key.b); i++)
		key.b[i] = (uint8_t)i;
	memset(&rng, 0, sizeof(rng));
	bs_small_crypto_init(&crypto, bs_test_rng_fill, &rng);
	now = BS_TIME_MS(5000);
	bs_conn_init(&dev, BS_RESPONDER, NSI, &key, &bs_suite_aes_cbc, now);
	bs_conn_init(&cli, BS_INITIATOR, NSI, &key, &bs_suite_aes_cbc, now);
}

/* Seal at one end into buf. */
static size_t seal(struct bs_conn *c, uint16_t tag, uint16_t seq, uint8_t flags, const void *text,
		   size_t len)
{
	struct bs_conn_send s = { 0 };
	struct bs_slice plain;
	bs_ssize n;

	plain.ptr = text;
	plain.len = len;
	s.tag = tag;
	s.seq = seq;
	s.flags = flags;
	n = bs_conn_seal(c, &crypto, &s, plain, buf, sizeof(buf));
	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

static int open_at(struct bs_conn *c, size_t len, uint16_t port, struct bs_conn_data *d)
{
	struct bs_endpoint from = at(port);
	struct bs_packet p;
	int err = bs_packet_decode(buf, len, &p);

	return err ? err : bs_conn_open(c, &crypto, &p, buf, &from, now, d);
}

/* A framing packet of the client with a number. */
static int keepalive(uint32_t number, uint16_t port)
{
	struct bs_endpoint from = at(port);
	struct bs_conn_data d;
	uint8_t text[8] = { 0 };
	size_t len;
	int err;

	bs_put_u32(text + 4, number);
	len = seal(&cli, BS_TAG_FRAMING, 3, 0, text, sizeof(text));
	err = open_at(&dev, len, port, &d);
	return err ? err : bs_conn_framing(&dev, &d, &from, now);
}

START_TEST(test_first_packet_opens)
{
	struct bs_conn_data d;
	size_t len = seal(&cli, 0x1234, 1, 0, "abc", 3);

	ck_assert_int_eq(open_at(&dev, len, 77, &d), BS_OK);
	ck_assert(d.first);
	ck_assert_uint_eq(d.h.tag, 0x1234);
	ck_assert_uint_eq(d.plain.len, 3);
	ck_assert_mem_eq(d.plain.ptr, "abc", 3);
	ck_assert_int_eq(dev.state, BS_CONN_OPEN);
	ck_assert_uint_eq(dev.remote.port, 77);
	ck_assert(dev.expire == now + BS_TIME_MS(17500));
	ck_assert_uint_eq(dev.stats.rx_bytes, 3);
	ck_assert_uint_eq(cli.stats.tx_bytes, len);
}
END_TEST

/* Keys are per direction: an end does not take what it sent itself. */
START_TEST(test_reflection)
{
	struct bs_conn_data d;
	size_t len = seal(&cli, 0, 1, 0, "abc", 3);

	ck_assert_int_eq(open_at(&cli, len, 77, &d), BS_EMAC);
	ck_assert_int_eq(cli.state, BS_CONN_CONNECTING);
}
END_TEST

START_TEST(test_wrong_packets)
{
	struct bs_endpoint from = at(1);
	struct bs_conn_data d;
	struct bs_packet p;
	size_t len = seal(&cli, 0, 1, 0, "abc", 3);
	uint8_t empty[16] = { 0 };

	dev.nsi_sp++;
	ck_assert_int_eq(open_at(&dev, len, 77, &d), BS_EUNKNOWN);
	dev.nsi_sp--;
	bs_put_u32(empty + 4, NSI);
	empty[8] = BS_TYPE_DATA;
	empty[9] = 2;
	empty[15] = 16;
	ck_assert_int_eq(bs_packet_decode(empty, 16, &p), BS_OK);
	ck_assert_int_eq(bs_conn_open(&dev, &crypto, &p, empty, &from, now, &d), BS_EMISSING);
	dev.suite = &bs_suite_null;
	ck_assert_int_eq(open_at(&dev, len, 77, &d), BS_ESUITE);
	bs_conn_abort(&dev, BS_CONN_END_LOCAL);
	ck_assert_int_eq(open_at(&dev, len, 77, &d), BS_EUNKNOWN);
}
END_TEST

/* As many packets back as the window holds a repeat is known; older ones are not told apart. */
START_TEST(test_replay_window)
{
	struct bs_conn_data d;
	uint8_t first[BS_PACKET_SMALL];
	size_t first_len = seal(&cli, 0x9999, 0, 0, "x", 1);
	size_t len;
	int i;

	memcpy(first, buf, first_len);
	ck_assert_int_eq(open_at(&dev, first_len, 5, &d), BS_OK);
	for (i = 0; i < BS_REPLAY_SLOTS - 1; i++) {
		/* The scripted random bytes soon repeat, so the text must not. */
		len = seal(&cli, 0x9999, 0, 0, &i, sizeof(i));
		ck_assert_int_eq(open_at(&dev, len, 5, &d), BS_OK);
		memcpy(buf, first, first_len);
		ck_assert_int_eq(open_at(&dev, first_len, 6, &d), BS_EREPLAY);
	}
	ck_assert_uint_eq(dev.remote.port, 5);
	len = seal(&cli, 0x9999, 0, 0, "z", 1);
	ck_assert_int_eq(open_at(&dev, len, 5, &d), BS_OK);
	memcpy(buf, first, first_len);
	ck_assert_int_eq(open_at(&dev, first_len, 6, &d), BS_OK);
	ck_assert(!d.fresh);
	ck_assert_uint_eq(dev.remote.port, 5);
}
END_TEST

/* Only a newer request number moves the address, over the wrap of 16 bits too. */
START_TEST(test_roaming_by_request)
{
	static const struct {
		uint16_t seq;
		bool moves;
	} steps[] = {
		{ 0xFFF0, true }, { 0xFFF0, false }, { 0xFFEF, false }, { 0xFFFF, true },
		{ 0, true },      { 0xFFFF, false }, { 0x7FFF, true },  { 0x0001, false },
	};
	struct bs_conn_data d;
	uint16_t port = 100;
	size_t i;

	for (i = 0; i < BS_LEN(steps); i++) {
		size_t len = seal(&cli, 0, steps[i].seq, 0, &i, 1);

		ck_assert_int_eq(open_at(&dev, len, (uint16_t)(200 + i), &d), BS_OK);
		ck_assert_int_eq(d.fresh, steps[i].moves);
		if (steps[i].moves)
			port = (uint16_t)(200 + i);
		ck_assert_uint_eq(dev.remote.port, port);
	}
}
END_TEST

START_TEST(test_roaming_by_keepalive)
{
	struct bs_endpoint to;

	ck_assert_int_eq(keepalive(10, 50), BS_OK);
	ck_assert_uint_eq(dev.remote.port, 50);
	ck_assert_int_eq(keepalive(9, 51), BS_OK);
	ck_assert_uint_eq(dev.remote.port, 50);
	/* It is answered to where it came from all the same. */
	ck_assert_uint_gt(bs_conn_output(&dev, &crypto, buf, sizeof(buf), &to), 0);
	ck_assert_uint_eq(to.port, 51);
	ck_assert_int_eq(keepalive(11, 52), BS_OK);
	ck_assert_uint_eq(dev.remote.port, 52);
}
END_TEST

START_TEST(test_echo)
{
	struct bs_endpoint to;
	struct bs_conn_data d;
	size_t len;

	ck_assert_int_eq(keepalive(0xFFFFFFFF, 50), BS_OK);
	len = bs_conn_output(&dev, &crypto, buf, sizeof(buf), &to);
	ck_assert_uint_gt(len, 0);
	ck_assert_int_eq(open_at(&cli, len, 9, &d), BS_OK);
	ck_assert_uint_eq(d.h.flags, BS_FLAG_RESPONSE | BS_FLAG_TAG);
	ck_assert_uint_eq(d.h.seq, 3);
	ck_assert_uint_eq(d.plain.len, 8);
	ck_assert_uint_eq(bs_get_u32(d.plain.ptr + 4), 0xFFFFFFFF);
	ck_assert_uint_eq(bs_conn_output(&dev, &crypto, buf, sizeof(buf), &to), 0);
}
END_TEST

static const struct {
	uint8_t text[9];
	size_t len;
	int err;
} framing[] = {
	{ { 0 }, 0, BS_ESHORT },          { { 0 }, 3, BS_ESHORT },
	{ { 0 }, 7, BS_ESHORT },          { { 0 }, 9, BS_OK },
	{ { 0, 0, 0, 1 }, 8, BS_EFIELD }, { { 0, 0, 0, 2 }, 4, BS_OK },
	{ { 0, 0, 0, 3 }, 4, BS_OK },     { { 1, 0, 0, 3 }, 4, BS_EFIELD },
};

START_TEST(test_framing_rows)
{
	struct bs_endpoint from = at(50);
	struct bs_endpoint to;
	struct bs_conn_data d;
	size_t len = seal(&cli, BS_TAG_FRAMING, 3, 0, framing[_i].text, framing[_i].len);

	ck_assert_int_eq(open_at(&dev, len, 50, &d), BS_OK);
	ck_assert_int_eq(bs_conn_framing(&dev, &d, &from, now), framing[_i].err);
	len = bs_conn_output(&dev, &crypto, buf, sizeof(buf), &to);
	ck_assert_int_eq(len > 0, framing[_i].err == BS_OK);
}
END_TEST

/* Closing: answered as often as asked for 300 ms, then gone; nothing else is served meanwhile. */
START_TEST(test_close)
{
	struct bs_endpoint from = at(50);
	struct bs_endpoint to;
	struct bs_conn_data d;
	uint8_t text[4] = { 0, 0, 0, 3 };
	size_t len;
	int i;

	for (i = 0; i < 3; i++) {
		len = seal(&cli, BS_TAG_FRAMING, 3, 0, text, sizeof(text));
		ck_assert_int_eq(open_at(&dev, len, 50, &d), BS_OK);
		ck_assert_int_eq(bs_conn_framing(&dev, &d, &from, now), BS_OK);
		ck_assert_int_eq(dev.state, BS_CONN_CLOSING);
		ck_assert_uint_gt(bs_conn_output(&dev, &crypto, buf, sizeof(buf), &to), 0);
		now += BS_TIME_MS(90);
		bs_conn_timeout(&dev, now);
	}
	len = seal(&cli, 0, 3, 0, "abcd", 4);
	ck_assert_int_eq(open_at(&dev, len, 50, &d), BS_ESTATE);
	ck_assert_int_eq(keepalive(5, 50), BS_ESTATE);
	now += BS_TIME_MS(30);
	bs_conn_timeout(&dev, now);
	ck_assert_int_eq(dev.state, BS_CONN_CLOSED);
	ck_assert_int_eq(dev.end, BS_CONN_END_REMOTE);
}
END_TEST

static const struct {
	uint32_t interval_ms;
	uint32_t limit_ms;
} limits[] = {
	{ 0, 17500 },
	{ 5000, 17500 },
	{ 2000, 7000 },
	{ 18000, 63000 },
	/* Stock devices let more than 18 s overflow 16 bits; ours takes the longest that fits. */
	{ 20000, 63000 },
	{ UINT32_MAX, 63000 },
};

START_TEST(test_interval)
{
	bs_conn_set_interval(&dev, limits[_i].interval_ms, now);
	now += BS_TIME_MS(limits[_i].limit_ms - 1);
	bs_conn_timeout(&dev, now);
	ck_assert_int_eq(dev.state, BS_CONN_CONNECTING);
	now += BS_TIME_MS(1);
	bs_conn_timeout(&dev, now);
	ck_assert_int_eq(dev.state, BS_CONN_CLOSED);
	ck_assert_int_eq(dev.end, BS_CONN_END_SILENCE);
}
END_TEST

/* A packet for a tag that nobody serves does not keep the connection alive. */
START_TEST(test_unknown_tag_does_not_prolong)
{
	struct bs_conn_data d;
	bs_time expire;

	ck_assert_int_eq(keepalive(1, 50), BS_OK);
	expire = dev.expire;
	now += BS_TIME_MS(1000);
	ck_assert_int_eq(open_at(&dev, seal(&cli, 0x0001, 0, 0, "abcd", 4), 50, &d), BS_OK);
	ck_assert(dev.expire == expire);
	bs_conn_touch(&dev, now);
	ck_assert(dev.expire == now + BS_TIME_MS(17500));
}
END_TEST

/* The default profile keeps nanoseconds, so a wrap is put right before the start. */
START_TEST(test_time_wrap)
{
	dev.state = BS_CONN_OPEN;
	now = (bs_time)0 - BS_TIME_MS(1000);
	bs_conn_touch(&dev, now);
	now += BS_TIME_MS(17499);
	bs_conn_timeout(&dev, now);
	ck_assert_int_eq(dev.state, BS_CONN_OPEN);
	now += BS_TIME_MS(1);
	bs_conn_timeout(&dev, now);
	ck_assert_int_eq(dev.state, BS_CONN_CLOSED);
}
END_TEST

START_TEST(test_seal_limits)
{
	struct bs_conn_send s = { 0 };
	struct bs_slice plain = { buf, 100 };
	uint8_t small[100];

	ck_assert_int_eq(bs_conn_seal(&dev, &crypto, &s, plain, small, sizeof(small)), BS_ETOOBIG);
	rng.fail = true;
	ck_assert_int_eq(bs_conn_seal(&dev, &crypto, &s, plain, buf, sizeof(buf)), BS_ERANDOM);
	rng.fail = false;
	ck_assert_uint_eq(dev.stats.tx_pkts, 0);
	bs_conn_fini(&dev);
	ck_assert_int_eq(bs_conn_seal(&dev, &crypto, &s, plain, buf, sizeof(buf)), BS_ESTATE);
	ck_assert_uint_eq(dev.key.b[40], 0);
}
END_TEST

/* A large answer shows that the peer has a large buffer. */
START_TEST(test_large)
{
	static uint8_t text[400];
	struct bs_conn_data d;

	ck_assert_int_eq(open_at(&cli, seal(&dev, 0, 0, BS_FLAG_RESPONSE, text, 150), 1, &d),
			 BS_OK);
	ck_assert(!cli.large);
	ck_assert_int_eq(open_at(&cli, seal(&dev, 0, 0, BS_FLAG_RESPONSE, text, 400), 1, &d),
			 BS_OK);
	ck_assert(cli.large);
}
END_TEST

/* The client takes an echo only of what it asked lately, and only once. */
START_TEST(test_client_echo)
{
	static const struct {
		uint32_t number;
		uint8_t flags;
		int err;
	} rows[] = {
		{ 5, BS_FLAG_RESPONSE, BS_OK },
		{ 5, BS_FLAG_RESPONSE, BS_EREPLAY },
		{ 4, BS_FLAG_RESPONSE, BS_EREPLAY },
		{ 8, BS_FLAG_RESPONSE, BS_EREPLAY },
		{ 7, 0, BS_ETYPE },
		{ 7, BS_FLAG_RESPONSE, BS_OK },
	};
	struct bs_endpoint from = at(9);
	struct bs_conn_data d;
	uint8_t text[8] = { 0 };
	size_t i;

	cli.number = 7;
	cli.sent = now - BS_TIME_MS(40);
	for (i = 0; i < BS_LEN(rows); i++) {
		bs_put_u32(text + 4, rows[i].number);
		ck_assert_int_eq(
			open_at(&cli, seal(&dev, BS_TAG_FRAMING, 0, rows[i].flags, text, 8), 9, &d),
			BS_OK);
		ck_assert_int_eq(bs_conn_client_framing(&cli, &d, &from, now), rows[i].err);
	}
	ck_assert_uint_eq(cli.rtt_ms, 40);
}
END_TEST

/* A burst of three a second apart, then a pause; the end after 17.5 s. */
START_TEST(test_client_pace)
{
	static const uint32_t sends[] = { 5000, 6000, 7000, 12000, 13000, 14000 };
	struct bs_endpoint to = at(9);
	size_t n = 0;
	uint32_t ms;

	bs_conn_set_path(&cli, &to, BS_PATH_DIRECT, now);
	cli.state = BS_CONN_OPEN;
	bs_conn_client_touch(&cli, now);
	for (ms = 0; ms < 17500; ms += 500) {
		bs_conn_client_timeout(&cli, now + BS_TIME_MS(ms));
		if (!bs_conn_client_output(&cli, &crypto, buf, sizeof(buf), &to, now))
			continue;
		ck_assert_uint_lt(n, BS_LEN(sends));
		ck_assert_uint_eq(ms, sends[n]);
		n++;
	}
	ck_assert_uint_eq(n, BS_LEN(sends));
	bs_conn_client_timeout(&cli, now + BS_TIME_MS(17500));
	ck_assert_int_eq(cli.state, BS_CONN_CLOSED);
}
END_TEST

Suite *bs_suite_conn(void);

Suite *bs_suite_conn(void)
{
	Suite *s = suite_create("conn");
	TCase *tc = tcase_create("conn");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_first_packet_opens);
	tcase_add_test(tc, test_reflection);
	tcase_add_test(tc, test_wrong_packets);
	tcase_add_test(tc, test_replay_window);
	tcase_add_test(tc, test_roaming_by_request);
	tcase_add_test(tc, test_roaming_by_keepalive);
	tcase_add_test(tc, test_echo);
	tcase_add_loop_test(tc, test_framing_rows, 0, (int)BS_LEN(framing));
	tcase_add_test(tc, test_close);
	tcase_add_loop_test(tc, test_interval, 0, (int)BS_LEN(limits));
	tcase_add_test(tc, test_unknown_tag_does_not_prolong);
	tcase_add_test(tc, test_time_wrap);
	tcase_add_test(tc, test_seal_limits);
	tcase_add_test(tc, test_large);
	tcase_add_test(tc, test_client_echo);
	tcase_add_test(tc, test_client_pace);
	suite_add_tcase(s, tc);
	return s;
}
