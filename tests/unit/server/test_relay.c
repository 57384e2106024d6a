/* SPDX-License-Identifier: Apache-2.0 */
/* The UDP relay of a running server: binding, forwarding, what it refuses, and how legs end. */
#include "rig.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypto/openssl.h"
#include "net/sockaddr.h"
#include "proto/peer.h"
#include "proto/probe.h"
#include "server/worker.h"
#include "util/endpoint.h"

enum {
	PACKET_MAX = 2048,
	DATA_LEN = 120,
};

/* A client of one connection: a socket and a number. */
struct leg {
	int fd;
	uint32_t nsi;
	uint32_t counter;
	uint8_t key[BS_RELAY_KEY_LEN];
};

static struct rig rig;
static struct rig_device *dev;
static struct bs_openssl *ssl;
static struct leg leg;
static struct bs_message answer; /* of the connect */

static int new_socket(void)
{
	union bs_sockaddr sa;
	struct bs_endpoint any;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	bs_endpoint_set_ip4(&any, 0x7F000001, 0);
	len = bs_sockaddr_set(&sa, &any);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, &sa.sa, len), 0);
	return fd;
}

static void send_from(int fd, const void *buf, size_t len)
{
	union bs_sockaddr sa;
	struct bs_endpoint to;
	socklen_t sl;

	bs_endpoint_set_ip4(&to, 0x7F000001, rig.info.attach_port);
	sl = bs_sockaddr_set(&sa, &to);
	ck_assert_int_eq(sendto(fd, buf, len, 0, &sa.sa, sl), (ssize_t)len);
}

/* The next datagram at a client's socket; 0 when none comes within ms. */
static size_t receive(int fd, uint8_t *buf, int ms)
{
	bs_time end = rig_now() + BS_TIME_MS(ms);
	ssize_t n;

	do {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		rig_step(&rig, 1);
		(void)poll(&p, 1, 1);
		n = recv(fd, buf, PACKET_MAX, 0);
	} while (n < 0 && BS_TIME_DIFF(end, rig_now()) > 0);
	return n < 0 ? 0 : (size_t)n;
}

/* A connection that the device accepted; n is the number of the answer at the gates. */
static void connect_leg(struct leg *l, unsigned gate, unsigned n)
{
	rig_connect(&rig, gate, dev->number, 1000 + n, 1000 + n);
	answer = rig_result(&rig, n);
	ck_assert_int_eq(answer.kind, BS_MSG_CONNECT_RESULT);
	ck_assert_uint_eq(answer.u.result.status, BS_ST_OK);
	memset(l, 0, sizeof(*l));
	l->nsi = answer.u.result.nsi;
	memcpy(l->key, answer.u.result.relay_key, sizeof(l->key));
	l->fd = new_socket();
}

static void compose_bind(const struct leg *l, uint32_t counter, uint8_t buf[BS_PROBE_LEN])
{
	struct bs_probe p = { .cp = 77,
			      .sp = l->nsi,
			      .seq = (uint16_t)counter,
			      .index = BS_PROBE_INDEX_RELAY,
			      .counter = counter };

	ck_assert_int_eq(bs_probe_seal(bs_openssl_crypto(ssl), l->key, &p, buf), BS_PROBE_LEN);
}

static bool bind_from(struct leg *l, int fd, uint32_t counter)
{
	uint8_t buf[PACKET_MAX];
	struct bs_probe_answer a;
	struct bs_endpoint self;
	union bs_sockaddr sa;
	socklen_t sl = sizeof(sa);
	size_t n;

	compose_bind(l, counter, buf);
	send_from(fd, buf, BS_PROBE_LEN);
	n = receive(fd, buf, 500);
	/* The rig's gate gives a bare header to probes that the relay does not take. */
	if (n <= BS_HEADER_MIN)
		return false;
	ck_assert_uint_lt(n, BS_PROBE_LEN);
	ck_assert_int_eq(bs_probe_answer_decode(buf, n, &a), BS_OK);
	ck_assert_uint_eq(a.sp, l->nsi);
	ck_assert_uint_eq(a.cp, 77);
	ck_assert_uint_eq(a.seq, (uint16_t)counter);
	ck_assert_int_eq(getsockname(fd, &sa.sa, &sl), 0);
	bs_sockaddr_get(&sa, &self);
	ck_assert(bs_endpoint_equal(&a.observed, &self));
	return true;
}

static void bind_leg(struct leg *l)
{
	ck_assert(bind_from(l, l->fd, ++l->counter));
}

/* DATA of a connection that nobody can open: the relay does not either. */
static size_t compose_data(uint32_t nsi, uint8_t fill, size_t len, uint8_t *buf)
{
	memset(buf, fill, len);
	memset(buf, 0, 16);
	bs_put_u32(buf + 4, nsi);
	buf[8] = BS_TYPE_DATA;
	buf[9] = BS_WIRE_VERSION;
	buf[11] = BS_FLAG_TAG;
	bs_put_u16(buf + 12, fill);
	bs_put_u16(buf + 14, (uint16_t)len);
	buf[18] = BS_PL_CRYPTO;
	buf[19] = 0;
	bs_put_u16(buf + 20, (uint16_t)(len - 18));
	return len;
}

static void begin_conf(unsigned workers, const char *lines)
{
	struct rig_options o = { .workers = workers, .conf = lines };

	ssl = bs_openssl_new();
	rig_init(&rig, &o);
	dev = rig_device(&rig, "cam1.base.test", 1, 0);
	rig_start(dev);
	rig_until_count(&rig, BS_C_alive_answered, 1);
	rig_until_count(&rig, BS_C_ids_held, 1);
	connect_leg(&leg, 0, 0);
}

static void setup(void)
{
	begin_conf(1, NULL);
}

static void teardown(void)
{
	close(leg.fd);
	rig_fini(&rig);
	bs_openssl_free(ssl);
}

/* From the client to the device; whether the server passed it on. */
static bool up(const uint8_t *buf, size_t len)
{
	uint64_t n = rig_count(&rig, BS_C_relay_udp_up);
	uint64_t rx = rig_count(&rig, BS_C_udp_rx);

	send_from(leg.fd, buf, len);
	rig_until_count(&rig, BS_C_udp_rx, rx + 1);
	rig_turn(&rig, 20);
	return rig_count(&rig, BS_C_relay_udp_up) > n;
}

/* From the device to the client: it must arrive as it was, or not at all. */
static bool down(const uint8_t *buf, size_t len)
{
	uint8_t got[PACKET_MAX];
	size_t n;

	rig_send(dev, buf, len, false);
	n = receive(leg.fd, got, 300);
	if (n == 0)
		return false;
	ck_assert_uint_eq(n, len);
	ck_assert_mem_eq(got, buf, len);
	return true;
}

START_TEST(test_both_ways)
{
	uint8_t buf[PACKET_MAX];

	ck_assert(answer.u.result.relay);
	bind_leg(&leg);
	ck_assert(up(buf, compose_data(leg.nsi, 1, DATA_LEN, buf)));
	ck_assert(down(buf, compose_data(leg.nsi, 2, DATA_LEN, buf)));
	ck_assert(down(buf, compose_data(leg.nsi, 3, BS_PACKET_MAX, buf)));
	ck_assert(up(buf, compose_data(leg.nsi, 4, BS_PACKET_MAX, buf)));
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_udp_up_bytes), DATA_LEN + BS_PACKET_MAX);
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_udp_down_bytes), DATA_LEN + BS_PACKET_MAX);
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_bound), 1);
}
END_TEST

START_TEST(test_what_is_not_passed_on)
{
	uint8_t buf[PACKET_MAX];
	size_t len;

	/* Nobody is bound yet. */
	ck_assert(!down(buf, compose_data(leg.nsi, 1, DATA_LEN, buf)));
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_no_leg), 1);
	ck_assert(!up(buf, compose_data(leg.nsi, 1, DATA_LEN, buf)));
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_source), 1);
	bind_leg(&leg);

	/* A connection that is none of ours. */
	ck_assert(!up(buf, compose_data(leg.nsi ^ 1, 2, DATA_LEN, buf)));
	ck_assert(!down(buf, compose_data(leg.nsi ^ 1, 2, DATA_LEN, buf)));
	/* One byte too long, and a length that lies. */
	ck_assert(!up(buf, compose_data(leg.nsi, 3, BS_PACKET_MAX + 1, buf)));
	ck_assert(!down(buf, compose_data(leg.nsi, 3, BS_PACKET_MAX + 1, buf)));
	len = compose_data(leg.nsi, 4, DATA_LEN, buf);
	bs_put_u16(buf + 14, DATA_LEN - 1);
	ck_assert(!up(buf, len));
	ck_assert(!down(buf, len));
	/* Another type, another version. */
	len = compose_data(leg.nsi, 5, DATA_LEN, buf);
	buf[8] = BS_TYPE_GW_CONN_U;
	ck_assert(!up(buf, len));
	ck_assert(!down(buf, len));
	len = compose_data(leg.nsi, 6, DATA_LEN, buf);
	buf[9] = 3;
	ck_assert(!up(buf, len));
	/* A list that is not well formed: never to a device, but stock devices send such. */
	len = compose_data(leg.nsi, 7, DATA_LEN, buf);
	bs_put_u16(buf + 20, DATA_LEN);
	ck_assert(!up(buf, len));
	ck_assert(down(buf, len));
	/* Just a header. */
	len = compose_data(leg.nsi, 8, DATA_LEN, buf);
	bs_put_u16(buf + 14, 15);
	ck_assert(!up(buf, 15));
	/* To the other port. */
	len = compose_data(leg.nsi, 9, DATA_LEN, buf);
	rig_send(dev, buf, len, true);
	ck_assert_uint_eq(receive(leg.fd, buf, 100), 0);
}
END_TEST

START_TEST(test_exact_repeats_are_dropped)
{
	uint8_t a[PACKET_MAX];
	uint8_t b[PACKET_MAX];
	size_t len = compose_data(leg.nsi, 1, DATA_LEN, a);

	bind_leg(&leg);
	ck_assert(up(a, len));
	ck_assert(!up(a, len));
	compose_data(leg.nsi, 1, DATA_LEN, b);
	b[DATA_LEN - 1] ^= 1;
	ck_assert(up(b, len));
	ck_assert(!up(a, len));
	/* The two directions know nothing of each other. */
	ck_assert(down(a, len));
	ck_assert(!down(a, len));
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_repeat), 3);
	/* What carries no seal has no IV either: a device says twice that it works on it. */
	compose_data(leg.nsi, 9, 26, a);
	a[18] = BS_PL_NOTIFY;
	ck_assert(down(a, 26));
	ck_assert(down(a, 26));
}
END_TEST

START_TEST(test_bindings_that_are_refused)
{
	uint8_t buf[PACKET_MAX];
	struct leg other = leg;

	compose_bind(&leg, 9, buf);
	buf[BS_PROBE_LEN - 1] ^= 1;
	send_from(leg.fd, buf, BS_PROBE_LEN);
	rig_until_count(&rig, BS_C_relay_bind_mac, 1);
	other.key[0] ^= 1;
	ck_assert(!bind_from(&other, leg.fd, 9));
	rig_until_count(&rig, BS_C_relay_bind_mac, 2);
	/* Not a binding, though it names the connection and has the key. */
	compose_bind(&leg, 9, buf);
	buf[21] = 0;
	send_from(leg.fd, buf, BS_PROBE_LEN);
	rig_until_count(&rig, BS_C_relay_bind_malformed, 1);
	ck_assert(bind_from(&leg, leg.fd, 9));
	ck_assert(!bind_from(&leg, leg.fd, 9));
	ck_assert(!bind_from(&leg, leg.fd, 8));
	rig_until_count(&rig, BS_C_relay_bind_replay, 2);
	/* Nobody else's number: an ordinary probe of no session. */
	other = leg;
	other.nsi ^= 1;
	ck_assert(!bind_from(&other, leg.fd, 10));
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_bound), 1);
}
END_TEST

START_TEST(test_device_cannot_be_the_client_too)
{
	uint8_t buf[PACKET_MAX];

	compose_bind(&leg, 1, buf);
	rig_send(dev, buf, BS_PROBE_LEN, false);
	rig_until_count(&rig, BS_C_relay_source, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_bound), 0);
}
END_TEST

START_TEST(test_higher_counter_moves_the_leg)
{
	uint8_t buf[PACKET_MAX];
	int old = leg.fd;

	bind_leg(&leg);
	ck_assert(up(buf, compose_data(leg.nsi, 1, DATA_LEN, buf)));
	leg.fd = new_socket();
	ck_assert(!up(buf, compose_data(leg.nsi, 2, DATA_LEN, buf)));
	bind_leg(&leg);
	ck_assert(up(buf, compose_data(leg.nsi, 3, DATA_LEN, buf)));
	ck_assert(down(buf, compose_data(leg.nsi, 4, DATA_LEN, buf)));
	ck_assert_uint_eq(receive(old, buf, 50), 0);
	/* A recorded binding of the old place changes nothing. */
	ck_assert(!bind_from(&leg, old, 1));
	ck_assert(down(buf, compose_data(leg.nsi, 5, DATA_LEN, buf)));
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_moved), 1);
	close(old);
}
END_TEST

START_TEST(test_the_devices_new_address_is_followed)
{
	uint8_t poll_packet[24] = { 0, 0, 0, 0,  0,    0, 0, 0, 130, 2, 0, 1,
				    0, 0, 0, 24, 0x34, 0, 0, 8, 0,   0, 0, 1 };
	uint8_t buf[PACKET_MAX];

	bind_leg(&leg);
	ck_assert(down(buf, compose_data(leg.nsi, 1, DATA_LEN, buf)));
	rig_rebind(dev);
	bs_put_u32(poll_packet + 4, rig_nsi(dev));
	rig_send(dev, poll_packet, sizeof(poll_packet), false);
	rig_until_count(&rig, BS_C_alive_moved, 1);
	ck_assert(down(buf, compose_data(leg.nsi, 2, DATA_LEN, buf)));
	ck_assert(up(buf, compose_data(leg.nsi, 3, DATA_LEN, buf)));
}
END_TEST

static struct bs_message about_conn(enum bs_msg_kind kind)
{
	struct bs_message m = { .kind = kind, .number = dev->number, .ref = answer.ref };

	m.u.conn.nsi = leg.nsi;
	return m;
}

/* What a revocation and a DISCONNECT come down to. */
START_TEST(test_end_of_the_connection_ends_the_leg)
{
	struct bs_message m = about_conn(BS_MSG_DISCONNECT);
	uint8_t buf[PACKET_MAX];

	bind_leg(&leg);
	ck_assert(up(buf, compose_data(leg.nsi, 1, DATA_LEN, buf)));
	rig_order(&rig, 0, 0, &m);
	rig_until_count(&rig, BS_C_connections_closed, 1);
	ck_assert(!up(buf, compose_data(leg.nsi, 2, DATA_LEN, buf)));
	ck_assert(!down(buf, compose_data(leg.nsi, 3, DATA_LEN, buf)));
	ck_assert(!bind_from(&leg, leg.fd, 99));
	rig_turn(&rig, 30);
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_connections), 0);
}
END_TEST

/* The client's own machine over the relay to a device's: nothing else is needed. */
static void converse(unsigned gate, unsigned n)
{
	struct bs_peer_conf pc = { .crypto = bs_openssl_crypto(ssl),
				   .suite = &bs_suite_aes_cbc,
				   .nsi_cp = 100 };
	struct bs_peer peer;
	struct bs_endpoint relay;
	bs_time end = rig_now() + BS_TIME_MS(RIG_PATIENCE_MS);
	uint8_t buf[PACKET_MAX];
	size_t len;

	connect_leg(&leg, gate, n);
	bind_leg(&leg);
	bs_endpoint_set_ip4(&relay, 0x7F000001, rig.info.attach_port);
	pc.key = answer.u.result.block;
	pc.nsi_sp = leg.nsi;
	ck_assert_int_eq(bs_peer_init(&peer, &pc, rig_now()), BS_OK);
	bs_peer_set_path(&peer, &relay, BS_PATH_UDP_RELAY, rig_now());
	while (peer.conn.state != BS_CONN_OPEN && BS_TIME_DIFF(end, rig_now()) > 0) {
		struct bs_endpoint to;

		bs_peer_timeout(&peer, rig_now());
		while ((len = bs_peer_output(&peer, buf, BS_PACKET_SMALL, &to, rig_now())) > 0)
			send_from(leg.fd, buf, len);
		len = receive(leg.fd, buf, 20);
		if (len > 0)
			(void)bs_peer_input(&peer, buf, len, &relay, rig_now());
	}
	ck_assert_int_eq(peer.conn.state, BS_CONN_OPEN);
	bs_peer_fini(&peer);
}

START_TEST(test_stock_device_opens_over_the_relay)
{
	close(leg.fd);
	converse(0, 1);
	/* It saw the attach server's endpoint and nothing else, and reports the connection. */
	rig_until_count(&rig, BS_C_connections_opened, 1);
	ck_assert_uint_gt(rig_count(&rig, BS_C_relay_udp_up), 0);
	ck_assert_uint_gt(rig_count(&rig, BS_C_relay_udp_down), 0);
}
END_TEST

static uint64_t forwarded(void)
{
	return rig_count(&rig, BS_C_udp_forward_in);
}

/* The session is on any worker; kernel steering on or off. */
START_TEST(test_every_worker_relays)
{
	struct rig_options o = { .workers = 3, .no_steering = _i };

	ssl = bs_openssl_new();
	rig_init(&rig, &o);
	/* Where the kernel chooses, chance may send a packet or three to their owner at once. */
	for (unsigned k = 0; k < 3 || (_i && k < 10 && forwarded() == 0); k++) {
		char id[] = "cam0.base.test";

		id[3] = (char)('0' + k);
		dev = rig_device(&rig, id, (uint8_t)k, 0);
		rig_start(dev);
		rig_until_attached(dev);
		/* The owner of the id is another worker, and has to hear of it. */
		rig_until_count(&rig, BS_C_claims, k + 1);
		if (k > 0)
			close(leg.fd);
		converse(k % 3, k);
	}
	if (_i)
		ck_assert_uint_gt(forwarded(), 0);
}
END_TEST

START_TEST(test_full_relay_says_so)
{
	static const char *const lines[] = {
		"relay-max = 0\n",
		"relay-max = 0\nrelay-when-full = degrade\nrelay-rate-degraded = 8kbit/s\n",
		"relay-max = 0\nrelay-when-full = low-priority\n",
	};
	uint8_t buf[PACKET_MAX];
	struct bs_message m;

	begin_conf(1, lines[_i]);
	if (_i != 0) {
		bind_leg(&leg);
		ck_assert(up(buf, compose_data(leg.nsi, 1, DATA_LEN, buf)));
		rig_until_count(&rig, _i == 1 ? BS_C_relay_degraded : BS_C_relay_low_priority, 1);
		return;
	}
	ck_assert(!bind_from(&leg, leg.fd, 1));
	m = rig_result(&rig, 1);
	ck_assert_int_eq(m.kind, BS_MSG_RELAY);
	ck_assert_uint_eq(m.u.conn.nsi, leg.nsi);
	ck_assert_uint_eq(m.u.conn.status, BS_ST_RELAY_FULL);
	ck_assert_uint_eq(m.u.conn.reason, BS_RR_FULL);
	ck_assert_uint_eq(m.ref, answer.ref);
	/* The connection itself is as it was. */
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 1);
}
END_TEST

START_TEST(test_switched_off)
{
	begin_conf(1, "relay-udp = no\n");
	ck_assert(!answer.u.result.relay);
	ck_assert(!bind_from(&leg, leg.fd, 1));
	ck_assert_uint_eq(rig_count(&rig, BS_C_probe_unknown), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_bound), 0);
}
END_TEST

START_TEST(test_silence_ends_the_leg_and_it_may_come_back)
{
	uint8_t buf[PACKET_MAX];

	begin_conf(1, "relay-idle = 1s\n");
	bind_leg(&leg);
	ck_assert(up(buf, compose_data(leg.nsi, 1, DATA_LEN, buf)));
	rig_until_count(&rig, BS_C_relay_ended_idle, 1);
	ck_assert(!up(buf, compose_data(leg.nsi, 2, DATA_LEN, buf)));
	bind_leg(&leg);
	ck_assert(up(buf, compose_data(leg.nsi, 3, DATA_LEN, buf)));
}
END_TEST

START_TEST(test_age_and_month_end_the_leg)
{
	static const char *const lines[] = {
		"relay-max-age = 1s\n",
		"relay-client-month = 1kB\n",
	};
	uint8_t buf[PACKET_MAX];
	struct bs_message m;

	begin_conf(1, lines[_i]);
	bind_leg(&leg);
	ck_assert(up(buf, compose_data(leg.nsi, 1, BS_PACKET_MAX, buf)));
	rig_until_count(&rig, _i == 0 ? BS_C_relay_ended_age : BS_C_relay_ended_month, 1);
	m = rig_result(&rig, 1);
	ck_assert_int_eq(m.kind, BS_MSG_RELAY);
	ck_assert_uint_eq(m.u.conn.reason, _i == 0 ? BS_RR_AGE : BS_RR_MONTH);
	ck_assert(!up(buf, compose_data(leg.nsi, 2, DATA_LEN, buf)));
}
END_TEST

/* Twice the burst of 16 kB arrives; the rest waits for its tokens and is not lost. */
START_TEST(test_packets_wait_for_their_rate)
{
	uint8_t buf[PACKET_MAX];
	unsigned n;

	begin_conf(1, "relay-rate-connection-down = 400kbit/s\n");
	bind_leg(&leg);
	for (n = 0; n < 32; n++) {
		size_t len = compose_data(leg.nsi, (uint8_t)n, 1000, buf);

		rig_send(dev, buf, len, false);
	}
	for (n = 0; n < 32; n++) {
		ck_assert_uint_eq(receive(leg.fd, buf, 2000), 1000);
		/* In their order. */
		ck_assert_uint_eq(bs_get_u16(buf + 12), n);
	}
	ck_assert_uint_ge(rig_count(&rig, BS_C_relay_delayed), 10);
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_queue_full), 0);
	rig_until_count(&rig, BS_C_relay_udp_down, 32);
}
END_TEST

START_TEST(test_waiting_room_is_bounded)
{
	uint8_t buf[PACKET_MAX];
	unsigned n;

	begin_conf(1, "relay-rate-connection-down = 8kbit/s\nrelay-queue = 16\n");
	bind_leg(&leg);
	for (n = 0; n < 100; n++)
		rig_send(dev, buf, compose_data(leg.nsi, (uint8_t)n, 1000, buf), false);
	rig_until_count(&rig, BS_C_relay_queue_full, 100 - 17 - 8);
	rig_until_count(&rig, BS_C_relay_queued, 8);
}
END_TEST

Suite *bs_suite_relay(void)
{
	Suite *s = suite_create("relay");
	TCase *t = tcase_create("udp");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_both_ways);
	tcase_add_test(t, test_what_is_not_passed_on);
	tcase_add_test(t, test_exact_repeats_are_dropped);
	tcase_add_test(t, test_bindings_that_are_refused);
	tcase_add_test(t, test_device_cannot_be_the_client_too);
	tcase_add_test(t, test_higher_counter_moves_the_leg);
	tcase_add_test(t, test_the_devices_new_address_is_followed);
	tcase_add_test(t, test_end_of_the_connection_ends_the_leg);
	tcase_add_test(t, test_stock_device_opens_over_the_relay);
	suite_add_tcase(s, t);
	t = tcase_create("limits");
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_every_worker_relays, 0, 2);
	tcase_add_loop_test(t, test_full_relay_says_so, 0, 3);
	tcase_add_test(t, test_switched_off);
	tcase_add_test(t, test_silence_ends_the_leg_and_it_may_come_back);
	tcase_add_loop_test(t, test_age_and_month_end_the_leg, 0, 2);
	tcase_add_test(t, test_packets_wait_for_their_rate);
	tcase_add_test(t, test_waiting_room_is_bounded);
	suite_add_tcase(s, t);
	return s;
}
