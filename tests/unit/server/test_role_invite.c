/* SPDX-License-Identifier: Apache-2.0 */
/* Invites from strangers: what is answered, how much, how often, and from which entry.
 * The first test sweeps every way to make the server answer an address that has proven nothing. */
#include "rig.h"

#include <stdio.h>

#include "crypto/openssl.h"
#include "crypto/suite.h"
#include "proto/attach_server.h"
#include "util/cursor.h"
#include "util/endpoint.h"

static struct rig rig;
static struct rig_device *dev; /* only its socket is used */

static void begin(const char *conf)
{
	struct rig_options o = { .workers = 1, .conf = conf };

	rig_init(&rig, &o);
	dev = rig_device(&rig, "cam1.base.test", 1, 0);
	rig_rebind(dev);
}

static void setup(void)
{
	begin(NULL);
}

static void setup_slow(void)
{
	begin("attach-rate-id = 1/s\nattach-burst-id = 3\n");
}

static void teardown(void)
{
	rig_fini(&rig);
}

/* An invite of a stock device; label, nonce and text lengths shape its size. */
static size_t invite(uint8_t *buf, const char *id, const char *label, bool attach, uint8_t nonce,
		     uint32_t ext)
{
	uint8_t n[BS_NONCE_LEN];
	struct bs_invite m;
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	memset(n, nonce, sizeof(n));
	m.version.kind = BS_VERSION_DEVICE;
	m.version.major = 4;
	m.version.minor = 6;
	m.version.has_patch = true;
	m.version.label = (struct bs_slice){ (const uint8_t *)label, strlen(label) };
	m.id = (struct bs_slice){ (const uint8_t *)id, strlen(id) };
	if (attach) {
		m.nonce = (struct bs_slice){ n, sizeof(n) };
		m.caps.has_suites = true;
		m.caps.n_suites = 1;
		m.caps.suite = BS_SUITE_AES_CBC;
	}
	m.has_ext = ext != 0;
	m.ext = ext;
	len = bs_invite_encode(buf, 512, &m);
	ck_assert_int_gt(len, 0);
	return (size_t)len;
}

static void to_attach(void)
{
	bs_endpoint_set_ip4(&dev->controller, 0x7F000001, rig.info.attach_port);
}

/* Send one datagram to a port and add up what comes back within a moment. */
static size_t answered(const uint8_t *pkt, size_t len, bool attach)
{
	uint64_t before = rig_count(&rig, BS_C_udp_rx);
	uint8_t buf[2048];
	size_t sum = 0;
	ssize_t n;

	bs_endpoint_set_ip4(&dev->controller, 0x7F000001,
			    attach ? rig.info.attach_port : rig.info.controller_port);
	rig_send(dev, pkt, len, true);
	rig_until_count(&rig, BS_C_udp_rx, before + 1);
	while ((n = rig_receive(dev, buf, sizeof(buf), 15)) > 0)
		sum += (size_t)n;
	return sum;
}

static void sweep_one(const uint8_t *pkt, size_t len)
{
	int port;

	for (port = 0; port < 2; port++) {
		size_t got = answered(pkt, len, port);

		/* 99 bytes are the shortest invite of a stock device; its answer has 180. */
		ck_assert_msg(got * 2 <= len * 3 || (port == 1 && len >= 99 && got == 180),
			      "type %u, %zu bytes gave %zu", pkt[8], len, got);
	}
}

/* Every packet type with every flag that means something, invites of all lengths, known and
 * unknown ids, with and without extensions: never more than one and a half times what came, but for
 * the invite of a stock device with a short id. */
START_TEST(test_sweep_amplification)
{
	static const char *const labels[] = { "", "-a", "-alpha.0", "-alpha.0-and-a-long-label" };
	static const uint8_t flags[] = { 0, BS_FLAG_RESPONSE, BS_FLAG_EXCEPTION, BS_FLAG_TAG,
					 BS_FLAG_NSI_CO };
	uint8_t pkt[512] = { 0 };
	unsigned type;
	unsigned i;
	unsigned k;

	(void)rig_device(&rig, "a", 2, 0);
	for (type = 0; type < 256; type++) {
		/* Between these none has a meaning; a few stand for the rest. */
		if (type > 74 && type < 126)
			type = 126;
		if (type > 138)
			type = 255;
		memset(pkt, 0, 64);
		pkt[8] = (uint8_t)type;
		pkt[9] = 2;
		pkt[11] = flags[type % BS_LEN(flags)];
		bs_put_u16(pkt + 14, 26);
		sweep_one(pkt, 26);
	}
	for (i = 0; i < BS_LEN(labels); i++) {
		for (k = 0; k < 2; k++) {
			sweep_one(pkt, invite(pkt, "a", labels[i], k, (uint8_t)i, 0));
			sweep_one(pkt, invite(pkt, "cam1.base.test", labels[i], k, (uint8_t)i, 0));
			sweep_one(pkt,
				  invite(pkt, "nobody.base.test", labels[i], k, (uint8_t)i, 0));
			sweep_one(pkt, invite(pkt, "cam1.base.test", labels[i], k, (uint8_t)(i + 9),
					      BS_EXT_IP6 | BS_EXT_CLOSE));
		}
	}
	ck_assert_uint_gt(rig_count(&rig, BS_C_invite_short), 0);
	ck_assert_uint_gt(rig_count(&rig, BS_C_invite_answered_attach), 0);
	ck_assert_uint_gt(rig_count(&rig, BS_C_invite_answered_controller), 0);
}
END_TEST

/* Without DESCR no device sends it, and the answer would be more than 1.8 times as long. */
START_TEST(test_shorter_than_any_device_sends)
{
	const size_t descr = 16 + 18 + 36;
	uint8_t pkt[512];
	size_t len;

	(void)rig_device(&rig, "a", 2, 0);
	len = invite(pkt, "a", "", true, 1, 0);
	ck_assert_uint_eq(len, 99);
	ck_assert_uint_eq(pkt[descr], BS_PL_DESCR);
	memmove(pkt + descr, pkt + descr + 6, len - descr - 6);
	len -= 6;
	bs_put_u16(pkt + 14, (uint16_t)len);
	ck_assert_uint_eq(answered(pkt, len, true), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_amplify), 1);
}
END_TEST

START_TEST(test_ext_without_padding_is_not_answered)
{
	uint8_t pkt[512];
	size_t len = invite(pkt, "cam1.base.test", "-alpha.0", true, 1, BS_EXT_CLOSE);
	size_t cut = 120 + 10;

	ck_assert_uint_eq(len, BS_INVITE_PAD_LEN);
	ck_assert_uint_eq(pkt[cut], BS_PL_PAD);
	ck_assert_uint_gt(answered(pkt, len, true), 180);
	bs_put_u16(pkt + 14, (uint16_t)cut);
	ck_assert_uint_eq(answered(pkt, cut, true), 0);
}
END_TEST

/* With extensions, and over IPv6 where answers are long, the factor is one at most. */
START_TEST(test_controller_with_extensions_never_amplifies)
{
	struct rig_options o = { .workers = 1, .ip6 = true };
	uint8_t pkt[512];
	uint8_t buf[512];
	ssize_t full;
	size_t len;

	rig_init(&rig, &o);
	dev = rig_device(&rig, "cam1.base.test", 1, BS_EXT_IP6);
	rig_rebind(dev);
	len = invite(pkt, "cam1.base.test", "-alpha.0", false, 1, BS_EXT_IP6);
	ck_assert_uint_eq(len, BS_INVITE_PAD_LEN);
	rig_send(dev, pkt, len, true);
	full = rig_receive(dev, buf, sizeof(buf), 1000);
	ck_assert_int_gt(full, 61 + 12);
	/* Without PAD: header, VERSION, SP_ID and EXT only. */
	len = 61 + 10;
	ck_assert_uint_eq(pkt[len], BS_PL_PAD);
	bs_put_u16(pkt + 14, (uint16_t)len);
	rig_send(dev, pkt, len, true);
	rig_until_count(&rig, BS_C_invite_amplify, 1);
	ck_assert_int_lt(rig_receive(dev, buf, sizeof(buf), 50), 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(test_repeats_get_the_same_challenge)
{
	uint8_t pkt[512];
	uint8_t a[256];
	uint8_t b[256];
	size_t len = invite(pkt, "cam1.base.test", "-alpha.0", true, 5, 0);

	to_attach();
	rig_send(dev, pkt, len, true);
	ck_assert_int_eq(rig_receive(dev, a, sizeof(a), 1000), 180);
	rig_send(dev, pkt, len, true);
	ck_assert_int_eq(rig_receive(dev, b, sizeof(b), 1000), 180);
	/* Numbers, address and nonce_s; the sealed part has a new IV. */
	ck_assert_mem_eq(a, b, 62);
	ck_assert_mem_ne(a + 62, b + 62, 118);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_repeated), 1);
	rig_turn(&rig, 20);
	ck_assert_uint_eq(rig_count(&rig, BS_C_pending_entries), 1);
	/* Another nonce is another attempt. */
	len = invite(pkt, "cam1.base.test", "-alpha.0", true, 6, 0);
	rig_send(dev, pkt, len, true);
	ck_assert_int_eq(rig_receive(dev, b, sizeof(b), 1000), 180);
	ck_assert_mem_ne(a + 4, b + 4, 4);
	ck_assert_mem_ne(a + 30, b + 30, 32);
}
END_TEST

START_TEST(test_at_most_four_challenges_per_id)
{
	uint8_t pkt[512];
	uint8_t i;

	for (i = 0; i < 8; i++)
		ck_assert_uint_eq(
			answered(pkt, invite(pkt, "cam1.base.test", "-alpha.0", true, i, 0), true),
			180);
	rig_turn(&rig, 20);
	ck_assert_uint_eq(rig_count(&rig, BS_C_pending_entries), 4);
	ck_assert_uint_eq(rig_count(&rig, BS_C_pending_evicted), 4);
}
END_TEST

START_TEST(test_rate_of_an_id)
{
	uint8_t pkt[512];
	unsigned n = 0;
	uint8_t i;

	for (i = 0; i < 8; i++)
		n += answered(pkt, invite(pkt, "cam1.base.test", "-alpha.0", true, i, 0), true) > 0;
	ck_assert_uint_ge(n, 3);
	ck_assert_uint_le(n, 4);
	ck_assert_uint_ge(rig_count(&rig, BS_C_invite_rate_id), 4);
}
END_TEST

START_TEST(test_rate_of_an_address)
{
	struct rig_options o = { .workers = 1, .conf = "attach-rate-unknown = 1/s\n" };
	uint8_t pkt[512];
	unsigned n = 0;
	uint8_t i;

	rig_init(&rig, &o);
	dev = rig_device(&rig, "cam1.base.test", 1, 0);
	rig_rebind(dev);
	for (i = 0; i < 9; i++)
		n += answered(pkt, invite(pkt, "cam1.base.test", "-alpha.0", true, i, 0), true) > 0;
	/* A burst of five, and what the time of the test gave back. */
	ck_assert_uint_ge(n, 5);
	ck_assert_uint_le(n, 7);
	ck_assert_uint_ge(rig_count(&rig, BS_C_invite_rate_source), 2);
	rig_fini(&rig);
}
END_TEST

/* Five devices with four attempts each at a table for sixteen. */
START_TEST(test_pending_table_full)
{
	struct rig_options o = { .workers = 1, .conf = "pending-entries = 16\n" };
	uint8_t pkt[512];
	char id[32];
	unsigned i;

	rig_init(&rig, &o);
	dev = rig_device(&rig, "cam0.base.test", 1, 0);
	rig_rebind(dev);
	for (i = 1; i < 5; i++) {
		snprintf(id, sizeof(id), "cam%u.base.test", i);
		(void)rig_device(&rig, id, 1, 0);
	}
	for (i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "cam%u.base.test", i / 4);
		/* The table is full of entries that may still be answered. */
		if (i == 16) {
			ck_assert_uint_eq(
				answered(pkt, invite(pkt, id, "-alpha.0", true, 99, 0), true), 0);
			ck_assert_uint_eq(rig_count(&rig, BS_C_pending_refused), 1);
			rig_turn(&rig, 1100);
		}
		ck_assert_uint_eq(
			answered(pkt, invite(pkt, id, "-alpha.0", true, (uint8_t)i, 0), true), 180);
	}
	rig_turn(&rig, 20);
	ck_assert_uint_eq(rig_count(&rig, BS_C_pending_entries), 16);
	ck_assert_uint_eq(rig_count(&rig, BS_C_pending_evicted), 4);
	rig_fini(&rig);
}
END_TEST

START_TEST(test_wrong_port)
{
	uint8_t pkt[512];

	ck_assert_uint_eq(
		answered(pkt, invite(pkt, "cam1.base.test", "-alpha.0", true, 1, 0), false), 0);
	ck_assert_uint_eq(
		answered(pkt, invite(pkt, "cam1.base.test", "-alpha.0", false, 1, 0), true), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_drop_type), 2);
}
END_TEST

/* A known prefix may send what would be too short from a stranger. */
/* A stock device cannot pad: one with a short id attaches all the same, and is counted. */
START_TEST(test_short_invite)
{
	struct rig_device *known = rig_device(&rig, "known.base.test", 3, 0);
	uint8_t pkt[512];

	(void)rig_device(&rig, "ab", 2, 0);
	ck_assert_uint_eq(answered(pkt, invite(pkt, "ab", "", true, 1, 0), true), 180);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_short), 1);
	rig_start(known);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	ck_assert_uint_eq(answered(pkt, invite(pkt, "ab", "", true, 1, 0), true), 180);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_short), 1);
}
END_TEST

/* ---- the proof ---- */

static struct bs_openssl *ssl;

/* Answer a challenge as a device of this key would. */
static size_t respond(uint8_t *challenge, uint8_t *out, uint8_t fill, bool ext, uint32_t granted,
		      uint32_t offered)
{
	const struct bs_crypto *c = bs_openssl_crypto(ssl);
	struct bs_attach_request q;
	struct bs_attach_response m;
	struct bs_key_block a_key;
	struct bs_packet p;
	struct bs_writer w;
	uint8_t psk[16];
	uint8_t text[64] = { 0 };
	struct bs_slice t = { text, sizeof(text) };
	bs_ssize n;

	memset(psk, fill, sizeof(psk));
	ck_assert_int_eq(
		bs_keys_derive_a(c, (struct bs_slice){ (const uint8_t *)"cam1.base.test", 14 }, psk,
				 &a_key),
		BS_OK);
	ck_assert_int_eq(bs_packet_decode(challenge, bs_get_u16(challenge + 14), &p), BS_OK);
	ck_assert_int_eq(bs_attach_request_decode(&p, 32, BS_PL_CRYPTO, &q), BS_OK);
	memcpy(text, q.nonce.ptr, 32);
	memset(&m, 0, sizeof(m));
	m.nsi = q.nsi;
	m.seq = q.seq;
	m.caps.bits = BS_ATTACH_CAP_BITS;
	m.caps.mask = BS_ATTACH_CAP_MASK;
	m.has_ext = ext;
	m.ext.bits = granted;
	m.ext.has_offered = true;
	m.ext.offered = offered;
	bs_attach_response_begin(&w, out, 512, &m);
	n = bs_suite_aes_cbc.seal(c, &a_key, BS_RESPONDER, &w, 0, t);
	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

static void setup_proof(void)
{
	setup();
	ssl = bs_openssl_new();
}

static void teardown_proof(void)
{
	bs_openssl_free(ssl);
	teardown();
}

static void challenge(uint8_t *out, uint32_t ext)
{
	uint8_t pkt[512];
	size_t len = invite(pkt, "cam1.base.test", "-alpha.0", true, 5, ext);

	to_attach();
	rig_send(dev, pkt, len, true);
	ck_assert_int_ge(rig_receive(dev, out, 512, 1000), 180);
}

START_TEST(test_proof)
{
	uint8_t q[512];
	uint8_t a[512];
	size_t len;

	challenge(q, 0);
	len = respond(q, a, 1, false, 0, 0);
	rig_send(dev, a, len, true);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	/* Its repetition proves nothing new. */
	rig_send(dev, a, len, true);
	rig_until_count(&rig, BS_C_drop_replay, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 1);
}
END_TEST

START_TEST(test_proof_with_another_key)
{
	uint8_t q[512];
	uint8_t a[512];

	challenge(q, 0);
	rig_send(dev, a, respond(q, a, 2, false, 0, 0), true);
	rig_until_count(&rig, BS_C_drop_mac, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 0);
	/* The entry is still there for the right one. */
	rig_send(dev, a, respond(q, a, 1, false, 0, 0), true);
	rig_until_count(&rig, BS_C_attach_ok, 1);
}
END_TEST

START_TEST(test_proof_from_elsewhere)
{
	struct rig_device *other = rig_stranger(&rig, "x.base.test", 1, 0);
	uint8_t q[512];
	uint8_t a[512];

	challenge(q, 0);
	rig_rebind(other);
	other->controller = dev->controller;
	rig_send(other, a, respond(q, a, 1, false, 0, 0), true);
	rig_until_count(&rig, BS_C_drop_source, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 0);
}
END_TEST

START_TEST(test_proof_of_nothing)
{
	uint8_t q[512];
	uint8_t a[512];
	size_t len;

	challenge(q, 0);
	len = respond(q, a, 1, false, 0, 0);
	a[7] ^= 1;
	rig_send(dev, a, len, true);
	rig_until_count(&rig, BS_C_drop_unknown_nsi, 1);
}
END_TEST

/* Disabled between challenge and proof. */
START_TEST(test_proof_of_a_disabled_device)
{
	uint8_t q[512];
	uint8_t a[512];
	size_t len;

	challenge(q, 0);
	len = respond(q, a, 1, false, 0, 0);
	ck_assert_int_eq(box_state(&rig.box, "cam1.base.test", BS_RECORD_DISABLED).status, BS_OK);
	rig_turn(&rig, 50);
	rig_send(dev, a, len, true);
	rig_until_count(&rig, BS_C_drop_unknown_nsi, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 0);
}
END_TEST

/* Somebody removed EXT from the invite; the device says so under the MAC. */
START_TEST(test_stripped_offer_is_counted)
{
	uint8_t q[512];
	uint8_t a[512];

	challenge(q, 0);
	rig_send(dev, a, respond(q, a, 1, true, 0, BS_EXT_CLOSE), true);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_stripped), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_granted), 0);
}
END_TEST

/* One bit was removed from the offer.  It is seen, and what was granted all the same holds for both
 * ends: keepalives have the MAC that the device waits for. */
START_TEST(test_shortened_offer_is_counted)
{
	uint8_t q[512];
	uint8_t a[512];
	ssize_t len;

	challenge(q, BS_EXT_AUTH_ALIVE);
	rig_send(dev, a,
		 respond(q, a, 1, true, BS_EXT_AUTH_ALIVE, BS_EXT_AUTH_ALIVE | BS_EXT_INTERVAL),
		 true);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_stripped), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_granted), 1);
	do
		len = rig_receive(dev, a, sizeof(a), RIG_PATIENCE_MS);
	while (len > 8 && a[8] != BS_TYPE_U_ALIVE);
	ck_assert_int_eq(len, 25 + 16);
}
END_TEST

START_TEST(test_invented_grant_is_counted)
{
	uint8_t q[512];
	uint8_t a[512];

	challenge(q, BS_EXT_CLOSE);
	rig_send(dev, a, respond(q, a, 1, true, BS_EXT_CLOSE | BS_EXT_GCM, BS_EXT_CLOSE), true);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_stripped), 1);
}
END_TEST

/* An offer may have bits that this server does not know yet. */
START_TEST(test_offer_with_bits_of_the_future)
{
	uint8_t q[512];
	uint8_t a[512];
	uint32_t offer = BS_EXT_CLOSE | UINT32_C(0x00800000);

	challenge(q, offer);
	rig_send(dev, a, respond(q, a, 1, true, BS_EXT_CLOSE, offer), true);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_stripped), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_granted), 1);
}
END_TEST

static void setup_require(void)
{
	begin("require-extensions = yes\n");
	ssl = bs_openssl_new();
}

START_TEST(test_stripped_offer_is_refused_where_conf_says_so)
{
	uint8_t q[512];
	uint8_t a[512];

	challenge(q, 0);
	rig_send(dev, a, respond(q, a, 1, true, 0, BS_EXT_CLOSE), true);
	rig_until_count(&rig, BS_C_ext_stripped, 1);
	rig_turn(&rig, 30);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 0);
}
END_TEST

/* ---- rubbish ---- */

/* Random bytes and damaged packets: all counted, none answered with more, nothing falls over. */
START_TEST(test_rubbish)
{
	static const enum bs_counter drops[] = {
#define X(name, kind, unit, help) BS_C_##name,
		BS_COUNTERS_DROP(X)
#undef X
	};
	uint8_t pkt[512];
	uint64_t sum = 0;
	uint64_t before;
	unsigned i;
	size_t len;

	srandom(3);
	to_attach();
	for (i = 0; i < 3000; i++) {
		len = invite(pkt, "cam1.base.test", "-alpha.0", i % 2, (uint8_t)i, i % 3);
		if (i % 5 == 0)
			len = (size_t)random() % len;
		pkt[random() % 64] ^= (uint8_t)random();
		pkt[8] = i % 4 ? pkt[8] : (uint8_t)random();
		before = rig_count(&rig, BS_C_udp_rx);
		rig_send(dev, pkt, len, true);
		if (i % 32 == 0)
			rig_until_count(&rig, BS_C_udp_rx, before + 1);
	}
	rig_turn(&rig, 100);
	for (i = 0; i < BS_LEN(drops); i++)
		sum += rig_count(&rig, drops[i]);
	ck_assert_uint_gt(sum, 500);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_crypto_failed), 0);
}
END_TEST

Suite *bs_suite_role_invite(void)
{
	Suite *s = suite_create("role_invite");
	TCase *t = tcase_create("invite");
	TCase *slow = tcase_create("slow");
	TCase *own = tcase_create("own");
	TCase *proof = tcase_create("proof");
	TCase *require = tcase_create("require");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_sweep_amplification);
	tcase_add_test(t, test_ext_without_padding_is_not_answered);
	tcase_add_test(t, test_shorter_than_any_device_sends);
	tcase_add_test(t, test_repeats_get_the_same_challenge);
	tcase_add_test(t, test_at_most_four_challenges_per_id);
	tcase_add_test(t, test_wrong_port);
	tcase_add_test(t, test_short_invite);
	tcase_add_test(t, test_rubbish);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(slow, setup_slow, teardown);
	tcase_set_timeout(slow, 30);
	tcase_add_test(slow, test_rate_of_an_id);
	suite_add_tcase(s, slow);
	tcase_set_timeout(own, 30);
	tcase_add_test(own, test_rate_of_an_address);
	tcase_add_test(own, test_pending_table_full);
	tcase_add_test(own, test_controller_with_extensions_never_amplifies);
	suite_add_tcase(s, own);
	tcase_add_checked_fixture(proof, setup_proof, teardown_proof);
	tcase_set_timeout(proof, 30);
	tcase_add_test(proof, test_proof);
	tcase_add_test(proof, test_proof_with_another_key);
	tcase_add_test(proof, test_proof_from_elsewhere);
	tcase_add_test(proof, test_proof_of_nothing);
	tcase_add_test(proof, test_proof_of_a_disabled_device);
	tcase_add_test(proof, test_stripped_offer_is_counted);
	tcase_add_test(proof, test_shortened_offer_is_counted);
	tcase_add_test(proof, test_invented_grant_is_counted);
	tcase_add_test(proof, test_offer_with_bits_of_the_future);
	suite_add_tcase(s, proof);
	tcase_add_checked_fixture(require, setup_require, teardown_proof);
	tcase_set_timeout(require, 30);
	tcase_add_test(require, test_stripped_offer_is_refused_where_conf_says_so);
	suite_add_tcase(s, require);
	return s;
}
