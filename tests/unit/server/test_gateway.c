/* SPDX-License-Identifier: Apache-2.0 */
/* The TCP relay of a running server: pairing, what passes and what not, back-pressure, ends. */
#include "rig.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/sockaddr.h"
#include "server/worker.h"
#include "util/endpoint.h"
#include "wire/gw.h"

enum {
	DATA_LEN = 120,
	/* More than all buffers of the way: sockets of both legs and what a bridge holds. */
	FLOOD = 64 * 1024 * 1024,
};

static struct rig rig;
static struct rig_device *dev;
static struct bs_message answer; /* of the connect: numbers and the secret */

/* Ask for a connection that may use the relay.  A stock device takes 272 bytes: with a longer name
 * of the client the offer would not fit. */
static void ask(void)
{
	struct bs_worker w = { .n_workers = rig.info.n_workers };
	struct bs_message m = { .kind = BS_MSG_CONNECT, .number = dev->number, .ref = 1000 };

	m.u.connect.attempt = 1000;
	m.u.connect.client_hash = 7;
	m.u.connect.want_gw = true;
	bs_endpoint_set_ip4(&m.u.connect.global, 0x7F000001, 4001);
	m.u.connect.client_id_len = 2;
	memcpy(m.u.connect.client_id, "me", 2);
	rig_order(&rig, 0, bs_worker_owner(&w, dev->number), &m);
	answer = rig_result(&rig, 0);
}

static void setup(void)
{
	/* A test that waits for a full socket must not lose the device meanwhile. */
	struct rig_options o = { .workers = 2,
				 .conf = "alive-unreachable = 20s\nalive-timeout = 30s" };

	rig_init(&rig, &o);
	dev = rig_device(&rig, "cam1.base.test", 1, 0);
	rig_tcp_relay(dev);
	rig_start(dev);
	rig_until_count(&rig, BS_C_alive_answered, 1);
	/* Two workers: the one that knows who holds an id hears of it by message. */
	rig_until_count(&rig, BS_C_ids_held, 1);
	ask();
	ck_assert_uint_eq(answer.u.result.status, BS_ST_OK);
	ck_assert(answer.u.result.has_gw);
	ck_assert_uint_eq(answer.u.result.gw_port, rig.info.gateway_port);
}

static void teardown(void)
{
	rig_fini(&rig);
}

/* ---- legs */

static int dial(void)
{
	union bs_sockaddr sa;
	struct bs_endpoint to;
	socklen_t len;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	bs_endpoint_set_ip4(&to, 0x7F000001, rig.info.gateway_port);
	len = bs_sockaddr_set(&sa, &to);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, &sa.sa, len), 0);
	return fd;
}

static void compose_hello(uint8_t flags, uint8_t buf[BS_GW_HELLO_LEN])
{
	struct bs_gw_hello h = { .nsi_cp = answer.u.result.nsi_cp,
				 .nsi_sp = answer.u.result.nsi,
				 .flags = flags };

	memcpy(h.nsi_co, answer.u.result.nsi_co, sizeof(h.nsi_co));
	memcpy(h.id, answer.u.result.gw_id, sizeof(h.id));
	ck_assert_int_eq(bs_gw_hello_encode(buf, BS_GW_HELLO_LEN, &h), BS_GW_HELLO_LEN);
}

static int leg(uint8_t flags)
{
	uint8_t buf[BS_GW_HELLO_LEN];
	int fd = dial();

	compose_hello(BS_GW_RELIABLE | flags, buf);
	ck_assert_int_eq(send(fd, buf, sizeof(buf), MSG_NOSIGNAL), sizeof(buf));
	return fd;
}

/* What comes within ms; 0 = nothing, -1 = the end. */
static ssize_t receive(int fd, uint8_t *buf, size_t cap, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bs_time end = rig_now() + BS_TIME_MS(ms);
	ssize_t n;

	while (poll(&p, 1, 0) == 0) {
		if (BS_TIME_DIFF(end, rig_now()) <= 0)
			return 0;
		rig_step(&rig, 1);
	}
	n = recv(fd, buf, cap, 0);
	return n > 0 ? n : -1;
}

/* Exactly len bytes, which come soon. */
static void receive_all(int fd, uint8_t *buf, size_t len)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = receive(fd, buf + have, len - have, RIG_PATIENCE_MS);

		ck_assert_int_gt(n, 0);
		have += (size_t)n;
	}
}

static void expect_end(int fd)
{
	uint8_t buf[1024];
	ssize_t n;

	while ((n = receive(fd, buf, sizeof(buf), RIG_PATIENCE_MS)) > 0)
		;
	ck_assert_int_eq(n, -1);
	close(fd);
}

static void expect_answer(int fd, bool client)
{
	uint8_t buf[BS_GW_ANSWER_LEN];
	struct bs_gw_answer m;
	struct bs_packet p;

	receive_all(fd, buf, sizeof(buf));
	ck_assert_int_eq(bs_packet_decode(buf, sizeof(buf), &p), BS_OK);
	ck_assert_int_eq(bs_gw_answer_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.nsi_sp, answer.u.result.nsi);
	ck_assert_uint_eq(m.nsi_cp, answer.u.result.nsi_cp);
	ck_assert_uint_eq(m.flags, BS_GW_RELIABLE | (client ? BS_GW_CLIENT : 0));
}

/* Both legs of the connection, answered: [0] the device's, [1] the client's. */
static void join(int fd[2])
{
	fd[0] = leg(0);
	fd[1] = leg(BS_GW_CLIENT);
	expect_answer(fd[0], false);
	expect_answer(fd[1], true);
}

/* DATA that nobody can open; its bytes tell packets apart. */
static void compose(uint8_t *buf, size_t len, uint32_t k)
{
	memset(buf, (int)(k * 7), len);
	memset(buf, 0, 16);
	bs_put_u32(buf + 4, answer.u.result.nsi);
	buf[8] = BS_TYPE_DATA;
	buf[9] = BS_WIRE_VERSION;
	buf[11] = BS_FLAG_TAG;
	bs_put_u16(buf + 14, (uint16_t)len);
	buf[18] = BS_PL_CRYPTO;
	buf[19] = 0;
	bs_put_u16(buf + 20, (uint16_t)(len - 18));
}

static void send_all(int fd, const uint8_t *buf, size_t len)
{
	ck_assert_int_eq(send(fd, buf, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* ---- tests */

START_TEST(test_bytes_pass_in_any_pieces)
{
	static const size_t lens[] = { 24, DATA_LEN, 1300, 41, BS_PACKET_MAX, 272 };
	uint8_t sent[4096];
	uint8_t got[sizeof(sent)];
	uint32_t seed = (uint32_t)_i * 2654435761u + 1;
	size_t len = 0;
	int fd[2];

	join(fd);
	for (uint32_t k = 0; k < 6; k++) {
		ck_assert_uint_le(len + lens[k], sizeof(sent));
		compose(sent + len, lens[k], k);
		len += lens[k];
	}
	/* A TCP stream is cut anywhere, in the middle of a header, too. */
	for (size_t at = 0, n; at < len; at += n) {
		seed = seed * 1664525u + 1013904223u;
		n = 1 + (seed >> 16) % 700;
		n = n < len - at ? n : len - at;
		send_all(fd[_i % 2], sent + at, n);
		if (seed & 1)
			rig_turn(&rig, 1);
	}
	receive_all(fd[!(_i % 2)], got, len);
	ck_assert_mem_eq(got, sent, len);
	close(fd[0]);
	expect_end(fd[1]);
	rig_until_count(&rig, BS_C_gateway_closed, 1);
}
END_TEST

START_TEST(test_only_this_connections_data_passes)
{
	uint8_t buf[4 * DATA_LEN];
	uint8_t got[DATA_LEN];
	int fd[2];

	join(fd);
	for (uint32_t k = 0; k < 4; k++)
		compose(buf + k * DATA_LEN, DATA_LEN, k);
	bs_put_u32(buf + 4, answer.u.result.nsi ^ 1);          /* somebody else's number */
	buf[DATA_LEN + 8] = BS_TYPE_U_CONNECT;                 /* the server's own word */
	bs_put_u16(buf + 2 * DATA_LEN + 20, 4 * DATA_LEN + 1); /* a list that ends elsewhere */
	send_all(fd[1], buf, sizeof(buf));
	receive_all(fd[0], got, sizeof(got));
	ck_assert_mem_eq(got, buf + 3 * DATA_LEN, DATA_LEN);
	ck_assert_uint_eq(rig_count(&rig, BS_C_gateway_dropped), 3);
	/* Stock devices send such lists, so a client gets them. */
	send_all(fd[0], buf, sizeof(buf));
	receive_all(fd[1], got, sizeof(got));
	ck_assert_mem_eq(got, buf + 2 * DATA_LEN, DATA_LEN);
	ck_assert_uint_eq(rig_count(&rig, BS_C_gateway_dropped), 5);
	close(fd[0]);
	expect_end(fd[1]);
}
END_TEST

START_TEST(test_a_stream_that_cannot_be_followed_ends)
{
	uint8_t buf[DATA_LEN];
	int fd[2];

	join(fd);
	compose(buf, sizeof(buf), 1);
	bs_put_u16(buf + 14, _i == 0 ? 15 : BS_PACKET_MAX + 1);
	send_all(fd[_i], buf, sizeof(buf));
	expect_end(fd[0]);
	expect_end(fd[1]);
	ck_assert_uint_eq(rig_count(&rig, BS_C_gateway_malformed), 1);
}
END_TEST

START_TEST(test_strangers_get_nothing)
{
	struct bs_msg_connect_result *r = &answer.u.result;
	const struct bs_msg_connect_result right = *r;
	unsigned refused = 0;
	int fd[2];

	for (size_t i = 0; i < sizeof(r->gw_id); i++, *r = right) {
		r->gw_id[i] ^= 1;
		expect_end(leg(i % 2 ? BS_GW_CLIENT : 0));
		refused++;
	}
	for (size_t i = 0; i < sizeof(r->nsi_co); i++, *r = right) {
		r->nsi_co[i] ^= 1;
		expect_end(leg(0));
		refused++;
	}
	for (unsigned bit = 0; bit < 32; bit += 5, *r = right) {
		r->nsi ^= 1u << bit;
		expect_end(leg(BS_GW_CLIENT));
		*r = right;
		r->nsi_cp ^= 1u << bit;
		expect_end(leg(BS_GW_CLIENT));
		refused += 2;
	}
	rig_until_count(&rig, BS_C_gateway_unknown, refused);
	/* None of them used up a place. */
	join(fd);
	close(fd[0]);
	expect_end(fd[1]);
}
END_TEST

START_TEST(test_whoever_says_nonsense_is_cut)
{
	uint8_t buf[BS_GW_HELLO_LEN];
	int fd = dial();

	memset(buf, 0x55, sizeof(buf));
	send_all(fd, buf, sizeof(buf));
	expect_end(fd);
	ck_assert_uint_eq(rig_count(&rig, BS_C_gateway_joined), 0);
}
END_TEST

START_TEST(test_each_side_comes_once)
{
	uint8_t buf[DATA_LEN];
	uint8_t got[DATA_LEN];
	int fd[2];
	int late;

	join(fd);
	late = leg(BS_GW_CLIENT);
	expect_end(late);
	late = leg(0);
	expect_end(late);
	rig_until_count(&rig, BS_C_gateway_unknown, 2);
	/* The pair is as it was. */
	compose(buf, sizeof(buf), 5);
	send_all(fd[0], buf, sizeof(buf));
	receive_all(fd[1], got, sizeof(got));
	ck_assert_mem_eq(got, buf, sizeof(buf));
	close(fd[1]);
	expect_end(fd[0]);
}
END_TEST

START_TEST(test_nobody_speaks_before_the_answer)
{
	uint8_t buf[DATA_LEN];
	int fd = leg(BS_GW_CLIENT);

	ck_assert_int_eq(receive(fd, buf, sizeof(buf), 50), 0);
	compose(buf, sizeof(buf), 1);
	send_all(fd, buf, sizeof(buf));
	expect_end(fd);
	rig_until_count(&rig, BS_C_gateway_malformed, 1);
}
END_TEST

START_TEST(test_each_way_ends_alone)
{
	uint8_t buf[DATA_LEN];
	uint8_t got[DATA_LEN];
	int fd[2];

	join(fd);
	ck_assert_int_eq(shutdown(fd[0], SHUT_WR), 0);
	ck_assert_int_eq(receive(fd[1], got, sizeof(got), RIG_PATIENCE_MS), -1);
	compose(buf, sizeof(buf), 5);
	send_all(fd[1], buf, sizeof(buf));
	receive_all(fd[0], got, sizeof(got));
	ck_assert_mem_eq(got, buf, sizeof(buf));
	ck_assert_int_eq(shutdown(fd[1], SHUT_WR), 0);
	expect_end(fd[0]);
	close(fd[1]);
	rig_until_count(&rig, BS_C_gateway_closed, 1);
}
END_TEST

START_TEST(test_a_slow_reader_holds_the_sender_back)
{
	static uint8_t block[64 * 1024];
	static uint8_t got[sizeof(block)];
	struct timeval wait = { .tv_usec = 200000 };
	size_t sent = 0;
	size_t have = 0;
	int fd[2];

	join(fd);
	ck_assert_int_eq(setsockopt(fd[0], SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)), 0);
	for (size_t at = 0; at < sizeof(block); at += 1024)
		compose(block + at, 1024, (uint32_t)(at / 1024));
	while (sent < FLOOD) {
		ssize_t n = send(fd[0], block + sent % sizeof(block),
				 sizeof(block) - sent % sizeof(block), MSG_NOSIGNAL);

		if (n <= 0)
			break;
		sent += (size_t)n;
		/* The device must go on answering keepalives. */
		rig_step(&rig, 0);
	}
	/* Sockets hold a few megabytes, the relay itself one read. */
	ck_assert_uint_lt(sent, FLOOD);
	/* Complete the packet that the full socket cut, while the other end reads. */
	while (have < sent - sent % 1024) {
		size_t left = sent - sent % 1024 - have;
		size_t turn = sizeof(block) - have % sizeof(block);
		ssize_t n = receive(fd[1], got, left < turn ? left : turn, RIG_PATIENCE_MS);

		ck_assert_int_gt(n, 0);
		ck_assert_mem_eq(got, block + have % sizeof(block), (size_t)n);
		have += (size_t)n;
		rig_step(&rig, 0);
	}
	close(fd[0]);
	close(fd[1]);
}
END_TEST

START_TEST(test_the_connections_end_ends_the_legs)
{
	struct bs_worker w = { .n_workers = rig.info.n_workers };
	struct bs_message m = { .kind = BS_MSG_DISCONNECT, .ref = 1000 };
	int fd[2];

	join(fd);
	m.u.conn.nsi = answer.u.result.nsi;
	rig_order(&rig, 0, bs_worker_of_nsi(&w, answer.u.result.nsi), &m);
	expect_end(fd[0]);
	expect_end(fd[1]);
	ck_assert_uint_eq(rig_count(&rig, BS_C_gateway_bridges), 0);
}
END_TEST

Suite *bs_suite_gateway(void)
{
	Suite *s = suite_create("gateway");
	TCase *tc = tcase_create("gateway");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_bytes_pass_in_any_pieces, 0, 6);
	tcase_add_test(tc, test_only_this_connections_data_passes);
	tcase_add_loop_test(tc, test_a_stream_that_cannot_be_followed_ends, 0, 2);
	tcase_add_test(tc, test_strangers_get_nothing);
	tcase_add_test(tc, test_whoever_says_nonsense_is_cut);
	tcase_add_test(tc, test_each_side_comes_once);
	tcase_add_test(tc, test_nobody_speaks_before_the_answer);
	tcase_add_test(tc, test_each_way_ends_alone);
	tcase_add_test(tc, test_a_slow_reader_holds_the_sender_back);
	tcase_add_test(tc, test_the_connections_end_ends_the_legs);
	suite_add_tcase(s, tc);
	return s;
}
