/* SPDX-License-Identifier: Apache-2.0 */
/* Attach without state, and "come back later": real devices, then every way to cheat. */
#include "rig.h"

#include "crypto/openssl.h"
#include "crypto/suite.h"
#include "proto/attach_server.h"
#include "util/cursor.h"
#include "util/endpoint.h"

#define ID    "cam1.base.test"
#define OFFER (BS_EXT_COOKIE | BS_EXT_CLOSE)

static struct rig rig;
static struct rig_device *dev; /* only its socket is used, unless it is started */
static struct bs_openssl *ssl;
static const uint8_t nonce_d[BS_NONCE_LEN] = { 4, 5, 6 };

static void begin(const char *conf)
{
	struct rig_options o = { .conf = conf };

	rig_init(&rig, &o);
	ssl = bs_openssl_new();
	dev = rig_device(&rig, ID, 1, OFFER | BS_EXT_RETRY);
	rig_rebind(dev);
}

static void setup(void)
{
	begin(NULL);
}

static void teardown(void)
{
	bs_openssl_free(ssl);
	rig_fini(&rig);
}

static void to(bool attach)
{
	bs_endpoint_set_ip4(&dev->controller, 0x7F000001,
			    attach ? rig.info.attach_port : rig.info.controller_port);
}

/* Send an invite; the length of the answer, 0 for none. */
static size_t ask(bool attach, uint32_t offer, const uint8_t *cookie, uint8_t *answer)
{
	uint64_t before = rig_count(&rig, BS_C_udp_rx);
	struct bs_invite m = { .version.kind = BS_VERSION_DEVICE, .has_ext = offer != 0 };
	uint8_t pkt[512];
	bs_ssize len;
	ssize_t n;

	m.id = (struct bs_slice){ (const uint8_t *)ID, sizeof(ID) - 1 };
	m.ext = offer;
	m.cookie = cookie;
	if (attach) {
		m.nonce = (struct bs_slice){ nonce_d, sizeof(nonce_d) };
		m.caps.has_suites = true;
		m.caps.n_suites = 1;
		m.caps.suite = BS_SUITE_AES_CBC;
	}
	len = bs_invite_encode(pkt, sizeof(pkt), &m);
	ck_assert_int_ge(len, BS_INVITE_PAD_LEN);
	to(attach);
	rig_send(dev, pkt, (size_t)len, true);
	rig_until_count(&rig, BS_C_udp_rx, before + 1);
	n = rig_receive(dev, answer, 512, 200);
	ck_assert_int_le(n, len);
	return n > 0 ? (size_t)n : 0;
}

/* The cookie of the server's answer to an attach invite without one. */
static void get_cookie(uint8_t cookie[BS_COOKIE_LEN])
{
	struct bs_invite_notice m;
	struct bs_packet p;
	uint8_t buf[512];
	size_t n = ask(true, OFFER, NULL, buf);

	ck_assert_uint_eq(n, 36);
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_int_eq(bs_invite_notice_decode(&p, &m), BS_OK);
	ck_assert(!m.has_retry);
	memcpy(cookie, m.cookie, BS_COOKIE_LEN);
}

/* What a device says to a challenge: the right thing, but for what the test bends. */
struct said {
	const char *id;
	uint8_t fill; /* of the key */
	uint32_t offered;
	uint32_t granted;
	const uint8_t *nonce_d;
};

static const struct said honest = { ID, 1, OFFER, OFFER, nonce_d };

static size_t respond(uint8_t *challenge, const struct said *say, uint8_t *out)
{
	const struct bs_crypto *c = bs_openssl_crypto(ssl);
	struct bs_attach_response m = { .has_ext = true };
	struct bs_slice id = { (const uint8_t *)say->id, strlen(say->id) };
	struct bs_attach_request q;
	struct bs_key_block a_key;
	struct bs_packet p;
	struct bs_writer w;
	uint8_t psk[16];
	uint8_t text[64] = { 0 };
	bs_ssize n;

	memset(psk, say->fill, sizeof(psk));
	ck_assert_int_eq(bs_keys_derive_a(c, id, psk, &a_key), BS_OK);
	ck_assert_int_eq(bs_packet_decode(challenge, bs_get_u16(challenge + 14), &p), BS_OK);
	ck_assert_int_eq(bs_attach_request_decode(&p, 32, BS_PL_CRYPTO, &q), BS_OK);
	memcpy(text, q.nonce.ptr, 32);
	m.nsi = q.nsi;
	m.seq = q.seq;
	m.caps.bits = BS_ATTACH_CAP_BITS;
	m.caps.mask = BS_ATTACH_CAP_MASK;
	m.ext.bits = say->granted;
	m.ext.has_offered = true;
	m.ext.offered = say->offered;
	m.id = id;
	m.nonce_d = say->nonce_d;
	bs_attach_response_begin(&w, out, 512, &m);
	n = bs_suite_aes_cbc.seal(c, &a_key, BS_RESPONDER, &w, 0,
				  (struct bs_slice){ text, sizeof(text) });
	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

static void get_challenge(uint8_t *challenge)
{
	uint8_t cookie[BS_COOKIE_LEN];

	get_cookie(cookie);
	/* EXT is the only addition to what stock devices get. */
	ck_assert_uint_eq(ask(true, OFFER, cookie, challenge), BS_ATTACH_REQUEST_LEN + 10);
	ck_assert_uint_eq(rig_count(&rig, BS_C_pending_entries), 0);
}

/* One datagram and the counter that must say what became of it. */
static void send_for(const uint8_t *pkt, size_t len, enum bs_counter c)
{
	uint64_t before = rig_count(&rig, c);

	to(true);
	rig_send(dev, pkt, len, true);
	rig_until_count(&rig, c, before + 1);
}

START_TEST(test_a_device_attaches_without_state)
{
	rig_start(dev);
	rig_until_attached(dev);
	rig_until_count(&rig, BS_C_attach_stateless, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_pending_expired), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_attach), 1);
	/* The controller's answer had the cookie: no detour. */
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_cookie), 0);
	rig_until_count(&rig, BS_C_alive_answered, 3);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_stripped), 0);
}
END_TEST

/* While a key is rolled out, the device gets in by its first invite, whichever it has. */
START_TEST(test_both_keys_of_a_rotation)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ROTATE };
	struct rig_device *d = _i == 0 ? dev : rig_stranger(&rig, ID, 2, OFFER);

	snprintf(req.u.device.id, sizeof(req.u.device.id), ID);
	memset(req.u.device.secret, 2, sizeof(req.u.device.secret));
	req.u.device.has_secret = true;
	ck_assert_int_eq(box_do(&rig.box, &req).status, BS_OK);
	rig_start(d);
	rig_until_count(&rig, BS_C_attach_stateless, 1);
	ck_assert(rig_attached(d));
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_attach), 1);
	rig_until_count(&rig, BS_C_alive_answered, 3);
}
END_TEST

/* One port for both roles; a bad cookie from the first costs a round trip and nothing else. */
START_TEST(test_without_a_cookie_it_gets_one)
{
	uint8_t cookie[BS_COOKIE_LEN];
	uint8_t buf[512];

	get_cookie(cookie);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_cookie), 1);
	cookie[3] ^= 1;
	ck_assert_uint_eq(ask(true, OFFER, cookie, buf), 36);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_cookie), 2);
	ck_assert_uint_eq(rig_count(&rig, BS_C_pending_entries), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_answered_attach), 0);
}
END_TEST

START_TEST(test_the_controller_gives_the_same)
{
	struct bs_invite_notice m;
	uint8_t cookie[BS_COOKIE_LEN];
	struct bs_packet p;
	uint8_t buf[512];
	size_t n = ask(false, OFFER, NULL, buf);

	ck_assert_uint_eq(n, 33 + 20);
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_int_eq(bs_invite_notice_decode(&p, &m), BS_OK);
	get_cookie(cookie);
	ck_assert_mem_eq(cookie, m.cookie, sizeof(cookie));
	/* Without the offer not one byte more. */
	ck_assert_uint_eq(ask(false, BS_EXT_CLOSE, NULL, buf), 33);
}
END_TEST

START_TEST(test_proof)
{
	uint8_t q[512];
	uint8_t a[512];

	get_challenge(q);
	send_for(a, respond(q, &honest, a), BS_C_attach_stateless);
	/* A copy is none while the attachment lives ... */
	send_for(a, respond(q, &honest, a), BS_C_drop_replay);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 1);
}
END_TEST

/* ... nor after it: somebody who saw the response cannot bring a dead attachment back. */
START_TEST(test_a_proof_is_good_once)
{
	uint8_t q[512];
	uint8_t a[512];
	size_t len;

	get_challenge(q);
	len = respond(q, &honest, a);
	send_for(a, len, BS_C_attach_stateless);
	rig_until_count(&rig, BS_C_alive_timeout, 1);
	len = respond(q, &honest, a);
	send_for(a, len, BS_C_drop_replay);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 1);
}
END_TEST

START_TEST(test_a_proof_too_late)
{
	uint8_t q[512];
	uint8_t a[512];

	get_challenge(q);
	rig_turn(&rig, 150);
	send_for(a, respond(q, &honest, a), BS_C_drop_replay);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 0);
}
END_TEST

START_TEST(test_a_proof_from_elsewhere)
{
	uint8_t q[512];
	uint8_t a[512];
	size_t len;

	get_challenge(q);
	len = respond(q, &honest, a);
	rig_rebind(dev);
	send_for(a, len, BS_C_drop_unknown_nsi);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 0);
}
END_TEST

static const struct {
	struct said say;
	enum bs_counter counter;
} lies[] = {
	/* The number was made for another id and nonce. */
	{ { "cam2.base.test", 1, OFFER, OFFER, nonce_d }, BS_C_drop_unknown_nsi },
	{ { ID, 1, OFFER, OFFER, (const uint8_t[BS_NONCE_LEN]){ 9 } }, BS_C_drop_unknown_nsi },
	{ { ID, 2, OFFER, OFFER, nonce_d }, BS_C_drop_mac },
};

START_TEST(test_lies)
{
	uint8_t q[512];
	uint8_t a[512];

	(void)rig_device(&rig, "cam2.base.test", 1, 0);
	get_challenge(q);
	send_for(a, respond(q, &lies[_i].say, a), lies[_i].counter);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 0);
	/* The truth is still worth something: nothing was kept, so nothing was spoilt. */
	send_for(a, respond(q, &honest, a), BS_C_attach_stateless);
}
END_TEST

/* A device that brings back what it was not asked for has no number from us. */
START_TEST(test_a_number_of_ones_own)
{
	uint8_t q[512];
	uint8_t a[512];
	unsigned i;

	get_challenge(q);
	for (i = 0; i < 50; i++) {
		q[5] ^= (uint8_t)(i + 1);
		send_for(a, respond(q, &honest, a), BS_C_drop_unknown_nsi);
		q[5] ^= (uint8_t)(i + 1);
	}
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 0);
}
END_TEST

/* Somebody on the way turned bits of the clear offer off; the device says what it offered. */
static const struct said stripped[] = {
	{ ID, 1, OFFER | BS_EXT_GCM, OFFER, nonce_d },
	{ ID, 1, OFFER, OFFER | BS_EXT_GCM, nonce_d },
};

START_TEST(test_downgrade_is_counted)
{
	uint8_t q[512];
	uint8_t a[512];

	get_challenge(q);
	send_for(a, respond(q, &stripped[_i], a), BS_C_ext_stripped);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	/* What both ends know to be granted holds; what only one of them knows does not. */
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_granted), _i == 0);
}
END_TEST

static void setup_require(void)
{
	begin("require-extensions = yes\n");
}

START_TEST(test_downgrade_is_refused)
{
	uint8_t q[512];
	uint8_t a[512];

	get_challenge(q);
	send_for(a, respond(q, &stripped[_i], a), BS_C_ext_stripped);
	rig_turn(&rig, 20);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 0);
}
END_TEST

/* Bit 1 alone was turned off: the server kept an entry, which an honest device's word betrays. */
START_TEST(test_cookie_stripped)
{
	uint8_t q[512];
	uint8_t a[512];
	const struct said say = { ID, 1, OFFER, BS_EXT_CLOSE, nonce_d };

	ck_assert_uint_eq(ask(true, BS_EXT_CLOSE, NULL, q), BS_ATTACH_REQUEST_LEN + 10);
	send_for(a, respond(q, &say, a), BS_C_ext_stripped);
	rig_turn(&rig, 20);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 0);
}
END_TEST

static void setup_without(void)
{
	begin("extensions = { close }\n");
}

/* An older server, or one whose operator said no. */
START_TEST(test_a_server_without)
{
	uint8_t buf[512];

	ck_assert_uint_eq(ask(false, OFFER, NULL, buf), 33);
	rig_start(dev);
	rig_until_attached(dev);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_stateless), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_stripped), 0);
}
END_TEST

static void setup_short(void)
{
	begin("pending-lifetime = 100ms\n");
}

/* The response goes to the worker that the number names, which need not be the one that a cookie
 * or an invite went to. */
START_TEST(test_four_workers)
{
	struct rig_options o = { .workers = 4, .no_steering = _i };
	unsigned i;

	rig_init(&rig, &o);
	for (i = 0; i < 8; i++) {
		char id[] = "dev0.base.test";

		id[3] = (char)('0' + i);
		dev = rig_device(&rig, id, 7, OFFER);
		rig_start(dev);
	}
	rig_until_count(&rig, BS_C_attach_stateless, 8);
	for (i = 0; i < 8; i++)
		rig_until_attached(rig.device[i]);
	rig_fini(&rig);
}
END_TEST

/* The registry keeps the secret: a cookie outlives the process that gave it. */
START_TEST(test_another_process_takes_the_cookie)
{
	uint8_t cookie[BS_COOKIE_LEN];
	uint8_t buf[512];
	struct bs_server_options so = { .conf = rig.conf,
					.registry = rig.box.reg,
					.clock = rig_clock() };
	char err[256] = "";

	get_cookie(cookie);
	bs_server_free(rig.server);
	ck_assert_msg(bs_server_bind(&so, &rig.server, err, sizeof(err)) == BS_OK, "%s", err);
	ck_assert_int_eq(bs_server_run(rig.server, rig.box.in), BS_OK);
	bs_server_info(rig.server, &rig.info);
	ck_assert_uint_eq(ask(true, OFFER, cookie, buf), BS_ATTACH_REQUEST_LEN + 10);
}
END_TEST

/* Read a word to come back; its time. */
static uint32_t retry_of(const uint8_t *buf, size_t n)
{
	struct bs_invite_notice m;
	struct bs_packet p;

	ck_assert_uint_eq(n, 24);
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_int_eq(bs_invite_notice_decode(&p, &m), BS_OK);
	ck_assert(m.has_retry && !m.cookie);
	return m.retry_ms;
}

/* Ask until one is refused; what it was told, 0 for nothing. */
static uint32_t refused(bool attach, uint32_t offer, enum bs_counter why)
{
	uint64_t before = rig_count(&rig, why);
	uint8_t buf[512];
	unsigned i;

	for (i = 0; i < 200; i++) {
		size_t n = ask(attach, offer, NULL, buf);

		if (rig_count(&rig, why) > before)
			return n > 0 ? retry_of(buf, n) : 0;
	}
	ck_abort_msg("never refused");
	return 0;
}

static const struct {
	const char *conf;
	bool attach;
	enum bs_counter why;
	uint32_t below_ms;
} away[] = {
	{ "attach-rate-id = 1/s\nattach-burst-id = 3\n", true, BS_C_invite_rate_id, 8000 },
	{ "attach-rate-unknown = 1/s\n", true, BS_C_invite_rate_source, 16000 },
	{ "attach-rate-unknown = 1/s\n", false, BS_C_invite_rate_source, 16000 },
	{ "attach-rate-prefix = 1/s\n", true, BS_C_invite_rate_prefix, 16000 },
	{ "attach-rate-strangers = 1/s\n", true, BS_C_invite_rate_strangers, 16000 },
};

/* Every bucket that refuses a device which obeys tells it when to come; others hear nothing. */
START_TEST(test_refused_and_told)
{
	uint32_t ms;

	begin(away[_i].conf);
	ck_assert_uint_eq(refused(away[_i].attach, BS_EXT_CLOSE, away[_i].why), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_retry), 0);
	ms = refused(away[_i].attach, BS_EXT_RETRY, away[_i].why);
	ck_assert_uint_ge(ms, 4000);
	ck_assert_uint_lt(ms, away[_i].below_ms);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_retry), 1);
	teardown();
}
END_TEST

/* The word is rationed as well: a burst of five and one a second, whoever asks. */
START_TEST(test_told_no_more_often)
{
	uint8_t buf[512];
	unsigned told = 0;
	unsigned i;
	bs_time t0;

	begin("attach-rate-unknown = 1/s\n");
	t0 = rig_now();
	for (i = 0; i < 25; i++) {
		size_t n = ask(true, BS_EXT_RETRY, NULL, buf);

		told += n == 24;
	}
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_retry), told);
	ck_assert_uint_ge(told, 5);
	ck_assert_uint_le(told, 6 + (rig_now() - t0) / BS_TIME_MS(1000));
	ck_assert_uint_lt(told, i);
	teardown();
}
END_TEST

/* No room for one more device, with and without a cookie: said before it proves itself for
 * nothing. */
START_TEST(test_no_room)
{
	struct rig_device *first;
	uint8_t cookie[BS_COOKIE_LEN];
	uint8_t buf[512];
	uint32_t ms;

	begin("max-devices = 1\n");
	get_cookie(cookie);
	first = rig_device(&rig, "cam2.base.test", 2, 0);
	rig_start(first);
	rig_until_attached(first);
	ms = retry_of(buf, ask(true, BS_EXT_RETRY, NULL, buf));
	ck_assert(ms >= 30000 && ms < 60000);
	ms = retry_of(buf, ask(true, OFFER | BS_EXT_RETRY, cookie, buf));
	ck_assert(ms >= 30000 && ms < 60000);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_no_room), 2);
	/* who obeys nothing is challenged as ever */
	ck_assert_uint_eq(ask(true, BS_EXT_CLOSE, NULL, buf), BS_ATTACH_REQUEST_LEN + 10);
	teardown();
}
END_TEST

/* The device SDK against a flood at its id: it waits as told, then it is let in. */
START_TEST(test_a_device_waits_as_told)
{
	bs_time told;

	begin("attach-rate-id = 1/s\nattach-burst-id = 3\n");
	rig_device_free(rig.device[--rig.n_devices]);
	dev = rig_stranger(&rig, ID, 1, BS_EXT_RETRY);
	rig_rebind(dev);
	(void)refused(true, BS_EXT_CLOSE, BS_C_invite_rate_id);
	to(false);
	rig_start(dev);
	rig_until_count(&rig, BS_C_invite_retry, 1);
	told = rig_now();
	while (rig_now() < told + BS_TIME_MS(3500)) {
		rig_turn(&rig, 100);
		ck_assert_uint_eq(rig_count(&rig, BS_C_invite_retry), 1);
		ck_assert(!rig_attached(dev));
	}
	rig_until_attached(dev);
	ck_assert(rig_now() >= told + BS_TIME_MS(3900));
	ck_assert(rig_now() < told + BS_TIME_MS(9000));
	teardown();
}
END_TEST

Suite *bs_suite_role_cookie(void);

Suite *bs_suite_role_cookie(void)
{
	Suite *s = suite_create("role_cookie");
	TCase *t = tcase_create("cookie");
	TCase *require = tcase_create("require");
	TCase *without = tcase_create("without");
	TCase *brief = tcase_create("short");
	TCase *own = tcase_create("own");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_a_device_attaches_without_state);
	tcase_add_loop_test(t, test_both_keys_of_a_rotation, 0, 2);
	tcase_add_test(t, test_without_a_cookie_it_gets_one);
	tcase_add_test(t, test_the_controller_gives_the_same);
	tcase_add_test(t, test_proof);
	tcase_add_test(t, test_a_proof_is_good_once);
	tcase_add_test(t, test_a_proof_from_elsewhere);
	tcase_add_loop_test(t, test_lies, 0, (int)BS_LEN(lies));
	tcase_add_test(t, test_a_number_of_ones_own);
	tcase_add_loop_test(t, test_downgrade_is_counted, 0, (int)BS_LEN(stripped));
	tcase_add_test(t, test_another_process_takes_the_cookie);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(require, setup_require, teardown);
	tcase_set_timeout(require, 30);
	tcase_add_loop_test(require, test_downgrade_is_refused, 0, (int)BS_LEN(stripped));
	tcase_add_test(require, test_cookie_stripped);
	suite_add_tcase(s, require);
	tcase_add_checked_fixture(without, setup_without, teardown);
	tcase_set_timeout(without, 30);
	tcase_add_test(without, test_a_server_without);
	suite_add_tcase(s, without);
	tcase_add_checked_fixture(brief, setup_short, teardown);
	tcase_set_timeout(brief, 30);
	tcase_add_test(brief, test_a_proof_too_late);
	suite_add_tcase(s, brief);
	tcase_set_timeout(own, 30);
	tcase_add_loop_test(own, test_four_workers, 0, 2);
	tcase_add_loop_test(own, test_refused_and_told, 0, (int)BS_LEN(away));
	tcase_add_test(own, test_told_no_more_often);
	tcase_add_test(own, test_no_room);
	tcase_add_test(own, test_a_device_waits_as_told);
	suite_add_tcase(s, own);
	return s;
}
