/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded devices against a whole server with every extension on: what it sends them is what the
 * recorded server sent, but for addresses, numbers, times and what is random. */
#include "rig.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../vectors.h"
#include "crypto/openssl.h"
#include "crypto/suite.h"
#include "net/sockaddr.h"
#include "proto/probe.h"
#include "server/worker.h"
#include "util/cursor.h"
#include "util/endpoint.h"
#include "wire/attach.h"

enum {
	INVITE_ANSWER_LEN = 33,
	ATTACH_LEN = 180,
	ATTACH_ANSWER_LEN = 172,
	ATTACH_ANSWER_CRYPTO = 54, /* where CRYPTO begins in it */
	ALIVE_LEN = 25,
	CONNECT_ANSWER_LEN = 28,
};

static struct rig rig;
static struct rig_device *dev; /* only its socket is used */
static struct bs_vectors *vectors;
static struct bs_openssl *ssl;
static uint32_t number;                     /* of the device in the registry */
static struct bs_msg_connect_result result; /* of the last connect */
static uint16_t port_at;                    /* where a device expects the attach server */

static void setup(void)
{
	struct rig_options o = { .conf = "attach-rate-id = 1000/s\nalive-interval = 50ms\n"
					 "alive-unreachable = 4s\nalive-timeout = 8s\n"
					 "extensions = { ip6, cookie, auth-alive, interval, "
					 "retry, attempt, close, gcm, fast-stream, pair, "
					 "path }\n" };

	vectors = bs_vectors_load("control.txt");
	ssl = bs_openssl_new();
	rig_init(&rig, &o);
}

static void teardown(void)
{
	rig_fini(&rig);
	bs_openssl_free(ssl);
	bs_vectors_free(vectors);
}

/* A device of the recording's id and key. */
static void add_device(const struct bs_scenario *s)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ADD };
	struct bs_store_result res;

	snprintf(req.u.device.id, sizeof(req.u.device.id), "%s", bs_scenario_text(s, "id"));
	req.u.device.has_secret = true;
	memcpy(req.u.device.secret, bs_scenario_hex(s, "psk").ptr, BS_PSK_LEN);
	res = box_do(&rig.box, &req);
	ck_assert_int_eq(res.status, BS_OK);
	number = res.number;
	dev = rig_stranger(&rig, req.u.device.id, 0, 0);
	rig_rebind(dev);
}

/* The first recorded packet of a type and length from an end; len 0 = any.  Those with a label are
 * the recording server's deliberate mistakes. */
static const struct bs_row *recorded(const struct bs_scenario *s, const char *from, uint8_t type,
				     size_t len)
{
	const struct bs_row *p = NULL;

	while ((p = bs_scenario_packet(s, p)) != NULL) {
		struct bs_slice b = bs_row_hex(p, "hex");

		if (bs_row_is(p, "from", from) && b.len >= 16 && b.ptr[8] == type &&
		    (len == 0 || b.len == len) && !bs_row_text(p, "label"))
			return p;
	}
	return NULL;
}

static void send_to(uint16_t port, const void *buf, size_t len)
{
	dev->controller.port = port;
	rig_send(dev, buf, len, true);
}

/* The next packet of a type, taking the main thread's turns meanwhile. */
static size_t next_of(uint8_t type, uint8_t *buf, size_t cap)
{
	bs_time end = rig_now() + BS_TIME_MS(RIG_PATIENCE_MS);

	while (BS_TIME_DIFF(end, rig_now()) > 0) {
		ssize_t n = rig_receive(dev, buf, cap, 20);

		if (n >= 16 && buf[8] == type)
			return (size_t)n;
		rig_step(&rig, 1);
	}
	ck_abort_msg("no packet of type %u came", type);
	return 0;
}

/* The same payloads with the same flags and lengths in the same order, and the same header but for
 * numbers and seq. */
static void same_form(const uint8_t *got, size_t got_len, struct bs_slice want)
{
	struct bs_payload a;
	struct bs_payload b;
	struct bs_packet p;
	struct bs_packet q;
	size_t i = 0;
	size_t k = 0;

	ck_assert_uint_eq(got_len, want.len);
	ck_assert_int_eq(bs_packet_decode(got, got_len, &p), BS_OK);
	ck_assert_int_eq(bs_packet_decode(want.ptr, want.len, &q), BS_OK);
	ck_assert_mem_eq(got + 8, want.ptr + 8, 4);
	ck_assert_mem_eq(got + 14, want.ptr + 14, 2);
	while (bs_payload_next(&q, &k, &b)) {
		ck_assert(bs_payload_next(&p, &i, &a));
		ck_assert_uint_eq(a.type, b.type);
		ck_assert_uint_eq(a.flags, b.flags);
		ck_assert_uint_eq(a.len, b.len);
	}
	ck_assert(!bs_payload_next(&p, &i, &a));
}

static void replay_invite(const struct bs_scenario *s)
{
	const struct bs_row *invite = recorded(s, "dev", BS_TYPE_U_INVITE, 0);
	const struct bs_row *answer = recorded(s, "ctrl", BS_TYPE_U_INVITE, INVITE_ANSWER_LEN);
	struct bs_slice b = bs_row_hex(invite, "hex");
	uint8_t want[INVITE_ANSWER_LEN];
	uint8_t buf[512];
	size_t len;

	send_to(rig.info.controller_port, b.ptr, b.len);
	len = next_of(BS_TYPE_U_INVITE, buf, sizeof(buf));
	ck_assert_uint_eq(len, INVITE_ANSWER_LEN);
	port_at = bs_get_u16(buf + 24);
	ck_assert_uint_eq(port_at, rig.info.attach_port);
	if (!answer)
		return;
	/* Byte for byte: both ends were on 127.0.0.1, and only ports differ. */
	memcpy(want, bs_row_hex(answer, "hex").ptr, sizeof(want));
	memcpy(want + 24, buf + 24, 2);
	memcpy(want + 30, buf + 30, 2);
	memcpy(want + 12, b.ptr + 12, 2);
	ck_assert_mem_eq(buf, want, sizeof(want));
}

/* Answer the challenge with the recorded clear part and our own proof; gives the NSI. */
static uint32_t prove(const struct bs_scenario *s, uint8_t *challenge, size_t len,
		      struct bs_slice clear)
{
	const struct bs_crypto *c = bs_openssl_crypto(ssl);
	const char *id = bs_scenario_text(s, "id");
	uint8_t plain[64] = { 0 };
	struct bs_attach_request q;
	struct bs_key_block a_key;
	uint8_t out[512];
	struct bs_packet p;
	struct bs_writer w;
	bs_ssize n;

	ck_assert_int_eq(bs_packet_decode(challenge, len, &p), BS_OK);
	ck_assert_int_eq(bs_attach_request_decode(&p, 32, BS_PL_CRYPTO, &q), BS_OK);
	ck_assert(!q.has_ext);
	memcpy(plain, q.nonce.ptr, 32);
	ck_assert_int_eq(bs_keys_derive_a(c, (struct bs_slice){ (const uint8_t *)id, strlen(id) },
					  bs_scenario_hex(s, "psk").ptr, &a_key),
			 BS_OK);
	bs_writer_init(&w, out, sizeof(out));
	bs_writer_put_bytes(&w, clear.ptr, ATTACH_ANSWER_CRYPTO);
	memcpy(out + 4, challenge + 4, 4);
	memcpy(out + 12, challenge + 12, 2);
	n = bs_suite_aes_cbc.seal(c, &a_key, BS_RESPONDER, &w, 0,
				  (struct bs_slice){ plain, sizeof(plain) });
	ck_assert_int_eq(n, ATTACH_ANSWER_LEN);
	send_to(port_at, out, (size_t)n);
	return q.nsi;
}

static bool replay_attach(const struct bs_scenario *s, uint32_t *nsi)
{
	const struct bs_row *invite = NULL;
	const struct bs_row *request = recorded(s, "gsp", BS_TYPE_U_ATTACH, ATTACH_LEN);
	const struct bs_row *answer = recorded(s, "dev", BS_TYPE_U_ATTACH, ATTACH_ANSWER_LEN);
	uint64_t attached = rig_count(&rig, BS_C_attach_ok);
	uint8_t buf[512];
	struct bs_slice b;
	size_t len;

	while ((invite = bs_scenario_packet(s, invite)) != NULL) {
		b = bs_row_hex(invite, "hex");
		if (bs_row_is(invite, "from", "dev") && bs_row_is(invite, "to", "gsp") &&
		    b.ptr[8] == BS_TYPE_U_INVITE)
			break;
	}
	if (!invite || !request)
		return false;
	send_to(port_at, b.ptr, b.len);
	len = next_of(BS_TYPE_U_ATTACH, buf, sizeof(buf));
	same_form(buf, len, bs_row_hex(request, "hex"));
	if (!answer)
		return false;
	*nsi = prove(s, buf, len, bs_row_hex(answer, "hex"));
	rig_until_count(&rig, BS_C_attach_ok, attached + 1);
	return true;
}

static void replay_alive(const struct bs_scenario *s, uint32_t nsi)
{
	const struct bs_row *request = recorded(s, "gsp", BS_TYPE_U_ALIVE, ALIVE_LEN);
	const struct bs_row *answer = recorded(s, "dev", BS_TYPE_U_ALIVE, 0);
	uint64_t answered = rig_count(&rig, BS_C_alive_answered);
	uint8_t buf[512];
	uint8_t out[512];
	struct bs_slice b;
	size_t len = next_of(BS_TYPE_U_ALIVE, buf, sizeof(buf));

	ck_assert_uint_eq(bs_get_u32(buf + 4), nsi);
	ck_assert_uint_ne(bs_get_u16(buf + 12), 0);
	if (request)
		same_form(buf, len, bs_row_hex(request, "hex"));
	if (!answer)
		return;
	b = bs_row_hex(answer, "hex");
	memcpy(out, b.ptr, b.len);
	memcpy(out + 4, buf + 4, 4);
	memcpy(out + 12, buf + 12, 2);
	send_to(port_at, out, b.len);
	rig_until_count(&rig, BS_C_alive_answered, answered + 1);
}

/* Only these payloads, whatever the client named: a stock device is told nothing else. */
static uint32_t replay_connect(const struct bs_scenario *s, uint32_t nsi)
{
	static const uint8_t want[][2] = {
		{ BS_PL_IPX, 17 }, { BS_PL_CP_ID, 17 }, { BS_PL_FP, 17 }, { BS_PL_CRYPTO, 146 }
	};
	const struct bs_row *answer = recorded(s, "dev", BS_TYPE_U_CONNECT, CONNECT_ANSWER_LEN);
	unsigned n = rig_results(&rig);
	uint8_t buf[512];
	uint8_t out[CONNECT_ANSWER_LEN];
	struct bs_payload pl;
	struct bs_packet p;
	struct bs_slice b;
	size_t off = 0;
	size_t len;
	unsigned i;

	if (!answer)
		return 0;
	b = bs_row_hex(answer, "hex");
	rig_connect(&rig, 0, number, n + 1, n + 1);
	len = next_of(BS_TYPE_U_CONNECT, buf, sizeof(buf));
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	ck_assert_uint_eq(p.h.nsi_sp, nsi);
	ck_assert_uint_eq(p.h.flags, 0);
	for (i = 0; i < BS_LEN(want); i++) {
		ck_assert(bs_payload_next(&p, &off, &pl));
		ck_assert_uint_eq(pl.type, want[i][0]);
		ck_assert_uint_eq(pl.len, want[i][1]);
		ck_assert_uint_eq(pl.flags, 0);
	}
	ck_assert(!bs_payload_next(&p, &off, &pl));
	memcpy(out, b.ptr, sizeof(out));
	memcpy(out, buf, 8);
	memcpy(out + 12, buf + 12, 2);
	memcpy(out + 24, buf + 16 + 4 + 13, 4);
	send_to(port_at, out, sizeof(out));
	/* What the device said is what the client hears. */
	result = rig_result(&rig, n).u.result;
	ck_assert_uint_eq(result.status, bs_get_u32(b.ptr + 20));
	return result.nsi;
}

/* Bind a client's leg to the relay, as the manual says it is done. */
static int bind_leg(uint32_t conn)
{
	struct bs_probe probe = {
		.cp = 9, .sp = conn, .seq = 1, .index = BS_PROBE_INDEX_RELAY, .counter = 1
	};
	struct bs_endpoint at;
	union bs_sockaddr sa;
	uint8_t buf[512];
	uint64_t bound = rig_count(&rig, BS_C_relay_bound);
	socklen_t sl;
	int fd;

	bs_endpoint_set_ip4(&at, 0x7F000001, rig.info.attach_port);
	sl = bs_sockaddr_set(&sa, &at);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(connect(fd, &sa.sa, sl), 0);
	ck_assert_int_eq(bs_probe_seal(bs_openssl_crypto(ssl), result.relay_key, &probe, buf),
			 BS_PROBE_LEN);
	ck_assert_int_eq(send(fd, buf, BS_PROBE_LEN, 0), BS_PROBE_LEN);
	rig_until_count(&rig, BS_C_relay_bound, bound + 1);
	ck_assert_int_gt(recv(fd, buf, sizeof(buf), 0), BS_HEADER_MIN);
	return fd;
}

/* What the recorded server passed on passes ours: every DATA packet that went over the attach
 * server's endpoint, in its order, with no change but the connection's number. */
static unsigned replay_relay(const struct bs_scenario *s, uint32_t conn)
{
	int fd = bind_leg(conn);
	const struct bs_row *p = NULL;
	unsigned n = 0;

	while ((p = bs_scenario_packet(s, p)) != NULL) {
		struct bs_slice b = bs_row_hex(p, "hex");
		bool up = bs_row_is(p, "from", "gsp");
		uint8_t out[512];
		uint8_t got[512];
		size_t len;

		if (b.len < BS_HEADER_MIN || b.ptr[8] != BS_TYPE_DATA ||
		    !(up || (bs_row_is(p, "from", "dev") && bs_row_is(p, "to", "gsp"))))
			continue;
		memcpy(out, b.ptr, b.len);
		bs_put_u32(out + 4, conn);
		if (up) {
			ck_assert_int_eq(send(fd, out, b.len, 0), (ssize_t)b.len);
			len = next_of(BS_TYPE_DATA, got, sizeof(got));
		} else {
			send_to(port_at, out, b.len);
			len = (size_t)recv(fd, got, sizeof(got), 0);
		}
		ck_assert_uint_eq(len, b.len);
		ck_assert_mem_eq(got, out, len);
		n++;
	}
	close(fd);
	return n;
}

/* STATS and late packets of the recording get no answer of any kind. */
static void replay_stats(const struct bs_scenario *s)
{
	const struct bs_row *p = NULL;

	while ((p = bs_scenario_packet(s, p)) != NULL) {
		struct bs_slice b = bs_row_hex(p, "hex");
		uint64_t n = rig_count(&rig, BS_C_stats_received);

		if (!bs_row_is(p, "from", "dev") || b.len < 16 || b.ptr[8] != BS_TYPE_STATS)
			continue;
		send_to(bs_row_is(p, "to", "ctrl") ? rig.info.controller_port : port_at, b.ptr,
			b.len);
		rig_until_count(&rig, BS_C_stats_received, n + 1);
	}
}

START_TEST(test_recorded_devices)
{
	struct bs_scenario s = { .head = NULL };
	unsigned attached = 0;
	unsigned relayed = 0;
	bool added = false;
	uint32_t conn;
	uint32_t nsi;
	int i = 0;

	/* Some at a time: each test is a process of its own. */
	while (bs_scenario_next(vectors, &s)) {
		if (i++ % 8 != _i || !bs_scenario_value(&s, "psk") ||
		    !recorded(&s, "dev", BS_TYPE_U_INVITE, 61))
			continue;
		if (strcmp(bs_scenario_text(&s, "id"), "cam1.base.test") != 0)
			continue;
		if (!added)
			add_device(&s);
		else
			rig_rebind(dev);
		added = true;
		replay_invite(&s);
		if (replay_attach(&s, &nsi)) {
			attached++;
			replay_alive(&s, nsi);
			conn = replay_connect(&s, nsi);
			if (conn != 0)
				relayed += replay_relay(&s, conn);
		}
		replay_stats(&s);
	}
	ck_assert_uint_gt(attached, 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), attached);
	ck_assert_uint_eq(rig_count(&rig, BS_C_relay_udp_up) + rig_count(&rig, BS_C_relay_udp_down),
			  relayed);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_granted), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_stripped), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_amplify), 0);
}
END_TEST

Suite *bs_suite_stock(void)
{
	Suite *s = suite_create("stock");
	TCase *t = tcase_create("recorded");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_recorded_devices, 0, 8);
	suite_add_tcase(s, t);
	return s;
}
