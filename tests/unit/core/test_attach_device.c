/* SPDX-License-Identifier: Apache-2.0 */
/* test_attach_device.c - registration: schedules, switch, extensions, trouble. */
#include "bench.h"
#include "proto/attach_legacy.h"
#include "wire/alive.h"
#include "wire/attach.h"
#include "wire/close.h"
#include "wire/invite.h"

static struct bench *b;
static struct bench_server server;

static void setup(void)
{
	b = malloc(sizeof(*b));
	ck_assert_ptr_nonnull(b);
	memset(&server, 0, sizeof(server));
	bench_init(b, "dev.test", NULL);
}

static void teardown(void)
{
	bench_fini(b);
	free(b);
}

static void expect_at(uint8_t type, int32_t ms, uint16_t port)
{
	struct bs_packet p;
	const struct bench_packet *o = bench_expect(b, type, &p);

	ck_assert_int_eq(bench_ms(b, o->at), ms);
	ck_assert_uint_eq(o->to.port, port);
}

START_TEST(test_controller_schedule)
{
	static const int32_t at[] = { 0, 2000, 6000, 14000, 30000, 62000 };
	size_t i;

	bench_start(b);
	bench_run(b, 98000);
	for (i = 0; i < BS_LEN(at); i++)
		expect_at(BS_TYPE_U_INVITE, at[i], BENCH_CTRL);
	expect_at(BS_TYPE_STATS, 94000, BENCH_CTRL);
	ck_assert_int_eq(b->d.attach.status, BS_ATTACH_CONTROLLER_SILENT);
	expect_at(BS_TYPE_U_INVITE, 96000, BENCH_CTRL);
	expect_at(BS_TYPE_U_INVITE, 98000, BENCH_CTRL);
	bench_expect_none(b);
	ck_assert_uint_eq(b->lookups, 2);
	ck_assert_uint_eq(b->renewals, 2);
}
END_TEST

START_TEST(test_server_schedule)
{
	static const int32_t at[] = { 0, 4000, 12000, 28000, 60000, 92000 };
	struct bs_packet p;
	size_t i;

	bench_start(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	bench_answer_invite(b);
	bench_run(b, 126000);
	for (i = 0; i < BS_LEN(at); i++)
		expect_at(BS_TYPE_U_INVITE, at[i], BENCH_GSP);
	expect_at(BS_TYPE_STATS, 124000, BENCH_CTRL);
	ck_assert_int_eq(b->d.attach.status, BS_ATTACH_SERVER_SILENT);
	expect_at(BS_TYPE_U_INVITE, 126000, BENCH_CTRL);
	bench_expect_none(b);
}
END_TEST

/* 2 s, 8 s, then every 32 s; nothing is sent, as no address is known. */
START_TEST(test_lookup_fails)
{
	b->n_ctrl = 0;
	bench_start(b);
	ck_assert_uint_eq(b->lookups, 1);
	bench_run(b, 1999);
	ck_assert_uint_eq(b->lookups, 1);
	bench_run(b, 1);
	ck_assert_uint_eq(b->lookups, 2);
	bench_run(b, 8000);
	ck_assert_uint_eq(b->lookups, 3);
	bench_run(b, 32000);
	ck_assert_uint_eq(b->lookups, 4);
	bench_run(b, 32000);
	ck_assert_uint_eq(b->lookups, 5);
	ck_assert(b->events & BS_ATTACH_EV_FAILED);
	bench_expect_none(b);
	/* An older address is known: it hears of it. */
	b->n_ctrl = 1;
	bench_run(b, 32000);
	expect_at(BS_TYPE_U_INVITE, 106000, BENCH_CTRL);
	b->n_ctrl = 0;
	bs_device_network_changed(&b->d, b->now);
	bench_drain(b);
	expect_at(BS_TYPE_STATS, 106000, BENCH_CTRL);
	ck_assert_int_eq(b->d.attach.status, BS_ATTACH_LOOKUP);
	bench_expect_none(b);
}
END_TEST

START_TEST(test_too_many_addresses)
{
	size_t i;

	b->n_ctrl = 8;
	for (i = 0; i < 8; i++)
		b->ctrl[i] = bench_local((uint16_t)(100 + i));
	bench_start(b);
	bench_run(b, 62000);
	for (i = 0; i < 6; i++)
		ck_assert_uint_eq(bench_take(b)->to.port, 100 + i);
	bench_expect_none(b);
}
END_TEST

START_TEST(test_switch)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	struct bs_alive_request m = { 0 };
	uint8_t buf[64];
	bs_ssize len;

	bench_attach(b, &server);
	bs_device_stop(&b->d);
	bench_drain(b);
	ck_assert(b->events & BS_ATTACH_EV_DETACHED);
	m.nsi = BENCH_NSI;
	m.seq = 5;
	len = bs_alive_request_encode(buf, sizeof(buf), &m);
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(bench_input(b, buf, (size_t)len, &gsp), BS_EDRAIN);
	bench_run(b, 200000);
	bench_expect_none(b);
	ck_assert_uint_eq(b->lookups, 1);
	/* A late answer of the resolver does not wake it. */
	bs_device_resolved(&b->d, b->ctrl, 1, b->now);
	bs_device_resolve_failed(&b->d, b->now);
	bs_device_network_changed(&b->d, b->now);
	bench_run(b, 1000);
	bench_expect_none(b);
	bs_device_start(&b->d, b->now);
	bench_drain(b);
	bs_device_start(&b->d, b->now);
	bench_drain(b);
	ck_assert_uint_eq(b->lookups, 2);
	expect_at(BS_TYPE_U_INVITE, 201000, BENCH_CTRL);
	bench_expect_none(b);
}
END_TEST

/* Stop while packets wait: they must not leave. */
START_TEST(test_switch_drops_what_waits)
{
	bench_start(b);
	b->taken = b->n_out;
	bs_device_timeout(&b->d, b->now + BS_TIME_MS(2000));
	bs_device_stop(&b->d);
	bench_drain(b);
	bench_expect_none(b);
}
END_TEST

START_TEST(test_no_random_for_nonce)
{
	struct bs_endpoint ctrl = bench_local(BENCH_CTRL);
	struct bs_invite_answer m;
	struct bs_packet p;
	uint8_t buf[64];
	bs_ssize len;

	bench_start(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	memset(&m, 0, sizeof(m));
	m.server = bench_local(BENCH_GSP);
	m.observed = bench_local(BENCH_DEV);
	len = bs_invite_answer_encode(buf, sizeof(buf), &m);
	b->rng.fail = true;
	ck_assert_int_eq(bench_input(b, buf, (size_t)len, &ctrl), BS_ERANDOM);
	bench_expect_none(b);
	b->rng.fail = false;
	bench_run(b, 2000);
	expect_at(BS_TYPE_U_INVITE, 2000, BENCH_CTRL);
	ck_assert_int_eq(bench_input(b, buf, (size_t)len, &ctrl), BS_OK);
	expect_at(BS_TYPE_U_INVITE, 2000, BENCH_GSP);
}
END_TEST

START_TEST(test_no_random_for_response)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	struct bs_packet invite;
	struct bs_packet p;
	uint8_t buf[300];
	size_t len;

	bench_start(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	bench_answer_invite(b);
	bench_expect(b, BS_TYPE_U_INVITE, &invite);
	len = bench_make_attach(b, &server, &invite, buf, sizeof(buf));
	b->rng.fail = true;
	ck_assert_int_eq(bench_input(b, buf, len, &gsp), BS_OK);
	bench_expect_none(b);
	ck_assert_int_eq(b->d.attach.state, BS_ATTACH_SERVER);
	b->rng.fail = false;
	ck_assert_int_eq(bench_input(b, buf, len, &gsp), BS_OK);
	bench_expect(b, BS_TYPE_U_ATTACH, &p);
	ck_assert_int_eq(b->d.attach.state, BS_ATTACH_ATTACHED);
}
END_TEST

/* A new attempt has a new nonce; within one attempt it stays. */
START_TEST(test_nonce_life)
{
	struct bs_packet p;
	struct bs_invite m;
	uint8_t first[32];

	bench_start(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	bench_answer_invite(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	ck_assert_int_eq(bs_invite_decode(&p, &m), BS_OK);
	memcpy(first, m.nonce.ptr, 32);
	bench_run(b, 4000);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	ck_assert_int_eq(bs_invite_decode(&p, &m), BS_OK);
	ck_assert_mem_eq(first, m.nonce.ptr, 32);
	bs_device_network_changed(&b->d, b->now);
	bench_drain(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	bench_answer_invite(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	ck_assert_int_eq(bs_invite_decode(&p, &m), BS_OK);
	ck_assert_mem_ne(first, m.nonce.ptr, 32);
	ck_assert_uint_eq(b->renewals, 2);
}
END_TEST

/* Both invites carry the offer and are padded; without an offer nothing of it is there. */
START_TEST(test_offer)
{
	const struct bench_packet *o;
	struct bs_payload pl;
	struct bs_packet p;
	struct bs_invite m;
	int i;

	b->conf.ext_offer = BS_EXT_IP6 | BS_EXT_ATTEMPT | BS_EXT_CLOSE;
	bench_start(b);
	for (i = 0; i < 2; i++) {
		o = bench_expect(b, BS_TYPE_U_INVITE, &p);
		ck_assert_uint_ge(o->len, BS_INVITE_PAD_LEN);
		ck_assert_uint_le(o->len, BS_PACKET_SMALL);
		ck_assert_int_eq(bs_invite_decode(&p, &m), BS_OK);
		ck_assert(m.has_ext);
		ck_assert_uint_eq(m.ext, b->conf.ext_offer);
		if (i == 0)
			bench_answer_invite(b);
	}
	bs_device_stop(&b->d);
	b->conf.ext_offer = 0;
	bs_device_start(&b->d, b->now);
	bench_drain(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	ck_assert(!bs_payload_find(&p, BS_PL_EXT, &pl));
	ck_assert(!bs_payload_find(&p, BS_PL_PAD, &pl));
}
END_TEST

static const struct {
	uint32_t offer;
	bool has_ext;
	uint32_t grant;
	uint32_t want; /* granted, as the device takes it */
} grants[] = {
	{ BS_EXT_CLOSE | BS_EXT_ATTEMPT, true, BS_EXT_CLOSE, BS_EXT_CLOSE },
	{ BS_EXT_CLOSE, true, 0xFFFFFFFF, BS_EXT_CLOSE },
	{ BS_EXT_CLOSE, true, 0, 0 },
	{ BS_EXT_CLOSE, false, 0, 0 },
};

/* The response echoes the grant and the offer; a server that grants too much gets no more. */
START_TEST(test_grant)
{
	struct bs_attach_response m;
	struct bs_packet p;

	b->conf.ext_offer = grants[_i].offer;
	server.has_ext = grants[_i].has_ext;
	server.ext = grants[_i].grant;
	bench_attach(b, &server);
	ck_assert_uint_eq(b->d.attach.granted, grants[_i].want);
	ck_assert_int_eq(bs_packet_decode(b->out[2].bytes, b->out[2].len, &p), BS_OK);
	ck_assert_int_eq(bs_attach_response_decode(&p, BS_PL_CRYPTO, &m), BS_OK);
	ck_assert_int_eq(m.has_ext, grants[_i].has_ext);
	if (m.has_ext) {
		ck_assert_uint_eq(m.ext.bits, grants[_i].want);
		ck_assert_uint_eq(m.ext.offered, grants[_i].offer);
	} else {
		ck_assert_uint_eq(b->out[2].len, 172);
	}
}
END_TEST

/* A server must not grant what was never offered: that is a malformed request. */
START_TEST(test_grant_without_offer)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	struct bs_packet invite;
	struct bs_packet p;
	uint8_t buf[300];
	size_t len;

	server.has_ext = true;
	server.ext = BS_EXT_CLOSE;
	bench_start(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	bench_answer_invite(b);
	bench_expect(b, BS_TYPE_U_INVITE, &invite);
	len = bench_make_attach(b, &server, &invite, buf, sizeof(buf));
	ck_assert_int_eq(bench_input(b, buf, len, &gsp), BS_EFIELD);
	bench_expect(b, BS_TYPE_STATS, &p);
	ck_assert_int_eq(b->d.attach.status, BS_ATTACH_MALFORMED);
}
END_TEST

START_TEST(test_symmetric_nat)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	struct bs_endpoint ctrl = bench_local(BENCH_CTRL);
	struct bs_attach_response r;
	struct bs_invite_answer m;
	struct bs_packet invite;
	struct bs_packet p;
	uint8_t buf[300];
	size_t len;
	bs_ssize n;

	bench_start(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	memset(&m, 0, sizeof(m));
	m.server = gsp;
	m.observed = bench_local(BENCH_DEV + 1);
	n = bs_invite_answer_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(bench_input(b, buf, (size_t)n, &ctrl), BS_OK);
	bench_expect(b, BS_TYPE_U_INVITE, &invite);
	len = bench_make_attach(b, &server, &invite, buf, sizeof(buf));
	ck_assert_int_eq(bench_input(b, buf, len, &gsp), BS_OK);
	bench_expect(b, BS_TYPE_U_ATTACH, &p);
	ck_assert_int_eq(bs_attach_response_decode(&p, BS_PL_CRYPTO, &r), BS_OK);
	ck_assert_uint_eq(r.ipx.flags, BS_IPX_NAT_SYMMETRIC);
	ck_assert_uint_eq(r.ipx.global.port, BENCH_DEV + 1);
}
END_TEST

static struct bs_endpoint ip6(uint8_t last, uint16_t port)
{
	struct bs_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	ep.ip[0] = 0x20;
	ep.ip[1] = 0x01;
	ep.ip[15] = last;
	ep.port = port;
	return ep;
}

/* Attach over IPv6: only when offered, and then with candidates in the response. */
START_TEST(test_ip6)
{
	struct bs_invite_answer m;
	struct bs_attach_response r;
	struct bs_packet invite;
	struct bs_packet p;
	struct bs_ep6 eps[4];
	uint8_t buf[300];
	size_t len;
	bs_ssize n;

	if (!BS_HAS_IP6)
		return;
	b->ctrl[0] = ip6(1, BENCH_CTRL);
	b->conf.ext_offer = _i ? BS_EXT_IP6 : BS_EXT_CLOSE;
	b->n_host = 4;
	b->host[0] = ip6(8, 1);
	b->host[1] = ip6(9, 2);
	bench_start(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	memset(&m, 0, sizeof(m));
	m.server = ip6(1, BENCH_GSP);
	m.observed = ip6(7, BENCH_DEV);
	n = bs_invite_answer_encode(buf, sizeof(buf), &m);
	if (_i == 0) {
		ck_assert_int_eq(bench_input(b, buf, (size_t)n, &b->ctrl[0]), BS_EFIELD);
		bench_expect_none(b);
		return;
	}
	ck_assert_int_eq(bench_input(b, buf, (size_t)n, &b->ctrl[0]), BS_OK);
	bench_expect(b, BS_TYPE_U_INVITE, &invite);
	server.has_ext = true;
	server.ext = BS_EXT_IP6;
	len = bench_make_attach(b, &server, &invite, buf, sizeof(buf));
	ck_assert_int_eq(bench_input(b, buf, len, &m.server), BS_OK);
	bench_expect(b, BS_TYPE_U_ATTACH, &p);
	ck_assert_int_eq(bs_attach_response_decode(&p, BS_PL_CRYPTO, &r), BS_OK);
	ck_assert_uint_eq(r.ipx.global.port, 0);
	ck_assert_uint_eq(bs_ep6_collect(&p, BS_EP6_OBSERVED, eps, 4), 1);
	ck_assert(bs_endpoint_equal(&eps[0].ep, &m.observed));
	ck_assert_uint_eq(bs_ep6_collect(&p, BS_EP6_HOST, eps, 4), 2);
	ck_assert(bs_endpoint_equal(&eps[1].ep, &b->host[1]));
	ck_assert_uint_le(b->out[2].len, BS_PACKET_SMALL);
}
END_TEST

/* Cut at every length and bent in every bit, a request never attaches the device. */
START_TEST(test_bent_requests)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	struct bs_packet invite;
	struct bs_packet p;
	uint8_t good[300];
	uint8_t bad[300];
	size_t len;
	size_t i;

	bench_start(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	bench_answer_invite(b);
	bench_expect(b, BS_TYPE_U_INVITE, &invite);
	len = bench_make_attach(b, &server, &invite, good, sizeof(good));
	for (i = 0; i < len; i++) {
		memcpy(bad, good, i);
		if (i >= 16)
			bs_put_u16(bad + 14, (uint16_t)i);
		ck_assert_int_lt(bench_input(b, bad, i, &gsp), 0);
		b->n_out = b->taken = 0;
	}
	for (i = 0; i < len * 8; i++) {
		memcpy(bad, good, len);
		bad[i / 8] ^= (uint8_t)(1u << i % 8);
		ck_assert_int_lt(bench_input(b, bad, len, &gsp), 0);
		b->n_out = b->taken = 0;
	}
	ck_assert_int_eq(b->d.attach.state, BS_ATTACH_SERVER);
	ck_assert_int_eq(bench_input(b, good, len, &gsp), BS_OK);
	ck_assert_int_eq(b->d.attach.state, BS_ATTACH_ATTACHED);
}
END_TEST

static size_t make_close(uint8_t *buf, size_t cap, uint32_t connection)
{
	struct bs_slice none = { NULL, 0 };
	struct bs_close m;
	struct bs_writer w;
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.nsi = BENCH_NSI;
	m.seq = 77;
	m.connection = connection;
	m.status = BS_ST_REFUSED;
	bs_close_begin(&w, buf, cap, &m);
	len = bs_suite_aes_cbc.seal(&b->crypto, &server.c, BS_INITIATOR, &w, 0, none);
	ck_assert_int_gt(len, 0);
	return (size_t)len;
}

/* U_CLOSE of the attachment: answered with a MAC, then all is gone and starts over. */
START_TEST(test_close_attachment)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	const struct bench_packet *o;
	struct bs_packet p;
	struct bs_close m;
	uint8_t buf[128];
	size_t len;

	b->conf.ext_offer = BS_EXT_CLOSE;
	server.has_ext = true;
	server.ext = BS_EXT_CLOSE;
	bench_attach(b, &server);
	len = make_close(buf, sizeof(buf), 0);
	buf[len - 1] ^= 1;
	ck_assert_int_eq(bench_input(b, buf, len, &gsp), BS_EMAC);
	buf[len - 1] ^= 1;
	bench_expect_none(b);
	ck_assert_int_eq(bench_input(b, buf, len, &b->ctrl[0]), BS_ESOURCE);
	ck_assert_int_eq(bench_input(b, buf, len, &gsp), BS_OK);
	o = bench_expect(b, BS_TYPE_U_CLOSE, &p);
	ck_assert_int_eq(bs_close_decode(&p, &m), BS_OK);
	ck_assert(m.answer);
	ck_assert_uint_eq(m.seq, 77);
	ck_assert_uint_eq(m.connection, 0);
	ck_assert_int_eq(bs_suite_aes_cbc.verify(&b->crypto, &server.c, BS_INITIATOR, o->bytes,
						 o->len, m.crypto_off),
			 BS_OK);
	ck_assert(b->events & BS_ATTACH_EV_DETACHED);
	bench_run(b, 2000);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	ck_assert_uint_eq(b->renewals, 2);
}
END_TEST

/* A device that was not granted it ignores U_CLOSE. */
START_TEST(test_close_not_granted)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	uint8_t buf[128];
	size_t len;

	bench_attach(b, &server);
	len = make_close(buf, sizeof(buf), 0);
	ck_assert_int_eq(bench_input(b, buf, len, &gsp), BS_ESTATE);
	bench_expect_none(b);
	ck_assert(bs_attach_is_attached(&b->d.attach));
}
END_TEST

START_TEST(test_keys_are_wiped)
{
	static const uint8_t zero[sizeof(b->d.attach.key)] = { 0 };

	bench_attach(b, &server);
	ck_assert_mem_ne(&b->d.attach.key, zero, sizeof(zero));
	bench_run(b, 66000);
	ck_assert(!bs_attach_is_attached(&b->d.attach));
	/* What is left of the next attempt has no key yet. */
	ck_assert_mem_eq(&b->d.attach.key, zero, sizeof(zero));
}
END_TEST

START_TEST(test_bad_conf)
{
	struct bs_device d;

	b->conf.id = bs_test_text("UPPER.test");
	ck_assert_int_eq(bs_device_conf_check(&b->conf), BS_EINVAL);
	b->conf.id = bs_test_text("ok.test");
	ck_assert_int_eq(bs_device_conf_check(&b->conf), BS_OK);
	b->conf.psk = NULL;
	ck_assert_int_eq(bs_device_conf_check(&b->conf), BS_EINVAL);
	b->conf.legacy = &bs_legacy_attach;
	ck_assert_int_eq(bs_device_conf_check(&b->conf), BS_OK);
	b->conf.url.len = 141;
	ck_assert_int_eq(bs_device_conf_check(&b->conf), BS_EINVAL);
	b->conf.url.len = 0;
	b->conf.ops = NULL;
	ck_assert_int_eq(bs_device_init(&d, &b->conf, &b->crypto, b->conns, 1, b->slots, 1),
			 BS_EINVAL);
	b->conf.ops = &b->ops;
	ck_assert_int_eq(bs_device_init(&d, &b->conf, &b->crypto, b->conns, 0, b->slots, 1),
			 BS_EINVAL);
	ck_assert_int_eq(bs_device_init(&d, &b->conf, &b->crypto, b->conns, 1, b->slots, 2),
			 BS_EINVAL);
	bs_device_fini(&d);
}
END_TEST

static const uint8_t cookie_a[BS_COOKIE_LEN] = { 0xA1, 0xA2 };
static const uint8_t cookie_b[BS_COOKIE_LEN] = { 0xB1, 0xB2 };

/* Give the device a COOKIE (not NULL) or a RETRY (not negative) from this port. */
static int notice(uint16_t port, const uint8_t *cookie, int64_t retry_ms)
{
	struct bs_endpoint from = bench_local(port);
	struct bs_invite_notice m = { 0, cookie, retry_ms >= 0, (uint32_t)retry_ms };
	uint8_t buf[64];
	bs_ssize len = bs_invite_notice_encode(buf, sizeof(buf), &m);

	ck_assert_int_gt(len, 0);
	return bench_input(b, buf, (size_t)len, &from);
}

/* The longest texts that a configuration may have fit the smallest buffer, with an offer too. */
START_TEST(test_longest_texts)
{
	static char id[41];
	static char url[101];
	struct bs_packet p;
	struct bs_invite m;
	int i;

	memset(id, 'i', 40);
	memset(url, 'u', 91);
	b->conf.id = bs_test_text(id);
	b->conf.label = bs_test_text("-label");
	b->conf.app_version = bs_test_text("1.2");
	b->conf.url = bs_test_text(url);
	ck_assert_int_eq(bs_device_conf_check(&b->conf), BS_OK);
	b->conf.ext_offer = BS_EXT_CLOSE | BS_EXT_COOKIE;
	bench_start(b);
	for (i = 0; i < 2; i++) {
		bench_expect(b, BS_TYPE_U_INVITE, &p);
		if (i == 0)
			bench_answer_invite(b);
	}
	/* A cookie takes the room of the URL. */
	ck_assert_int_eq(notice(BENCH_GSP, cookie_a, -1), BS_OK);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	ck_assert_int_eq(bs_invite_decode(&p, &m), BS_OK);
	ck_assert_mem_eq(m.cookie, cookie_a, BS_COOKIE_LEN);
	ck_assert_uint_eq(m.url.len, 0);
	ck_assert_uint_eq(m.app_version.len, 3);
}
END_TEST

/* ---- COOKIE and RETRY ---- */

static void to_server(uint32_t offer)
{
	struct bs_packet p;

	b->conf.ext_offer = offer;
	bench_start(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	bench_answer_invite(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
}

/* The next invite goes out at ms, with this cookie (NULL = none). */
static void expect_invite(int32_t ms, const uint8_t *cookie)
{
	struct bs_packet p;
	struct bs_invite m;
	const struct bench_packet *o = bench_expect(b, BS_TYPE_U_INVITE, &p);

	ck_assert_int_eq(bench_ms(b, o->at), ms);
	ck_assert_uint_eq(o->to.port, BENCH_GSP);
	ck_assert_int_eq(bs_invite_decode(&p, &m), BS_OK);
	ck_assert_int_eq(m.cookie != NULL, cookie != NULL);
	if (cookie)
		ck_assert_mem_eq(m.cookie, cookie, BS_COOKIE_LEN);
}

START_TEST(test_cookie_of_the_controller)
{
	struct bs_endpoint ctrl = bench_local(BENCH_CTRL);
	struct bs_invite_answer a = { 0 };
	struct bs_packet p;
	uint8_t buf[80];
	bs_ssize len;

	b->conf.ext_offer = BS_EXT_COOKIE;
	bench_start(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	a.server = bench_local(BENCH_GSP);
	a.observed = bench_local(BENCH_DEV);
	a.cookie = cookie_a;
	len = bs_invite_answer_encode(buf, sizeof(buf), &a);
	ck_assert_int_eq(len, 33 + 20);
	ck_assert_int_eq(bench_input(b, buf, (size_t)len, &ctrl), BS_OK);
	expect_invite(0, cookie_a);
	bench_run(b, 4000);
	expect_invite(4000, cookie_a);
	bench_expect_none(b);
}
END_TEST

/* At once, but once for each invite of the schedule: two ends must not keep each other busy. */
START_TEST(test_cookie_of_the_server)
{
	to_server(BS_EXT_COOKIE);
	ck_assert_int_eq(notice(BENCH_CTRL, cookie_a, -1), BS_ESTATE);
	ck_assert_int_eq(notice(BENCH_PEER, cookie_a, -1), BS_ESTATE);
	bench_expect_none(b);
	ck_assert_int_eq(notice(BENCH_GSP, cookie_a, -1), BS_OK);
	expect_invite(0, cookie_a);
	ck_assert_int_eq(notice(BENCH_GSP, cookie_b, -1), BS_OK);
	bench_expect_none(b);
	bench_run(b, 4000);
	expect_invite(4000, cookie_b);
	ck_assert_int_eq(notice(BENCH_GSP, cookie_a, -1), BS_OK);
	expect_invite(4000, cookie_a);
	bench_run(b, 8000);
	expect_invite(12000, cookie_a);
	bench_expect_none(b);
}
END_TEST

/* Starting over, a device shows no cookie of an earlier attempt. */
START_TEST(test_cookie_is_forgotten)
{
	struct bs_packet p;

	to_server(BS_EXT_COOKIE);
	ck_assert_int_eq(notice(BENCH_GSP, cookie_a, -1), BS_OK);
	expect_invite(0, cookie_a);
	bs_device_network_changed(&b->d, b->now);
	bench_drain(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	bench_answer_invite(b);
	expect_invite(0, NULL);
}
END_TEST

START_TEST(test_cookie_brings_back_the_invite)
{
	struct bs_attach_response m;
	struct bs_packet p;
	uint32_t grant = _i ? BS_EXT_COOKIE : 0;

	b->conf.ext_offer = BS_EXT_COOKIE;
	b->cap = BS_PACKET_MAX;
	b->conf.app_version = bs_test_text("7.8");
	server.has_ext = true;
	server.ext = grant;
	bench_attach(b, &server);
	ck_assert_int_eq(bs_packet_decode(b->out[2].bytes, b->out[2].len, &p), BS_OK);
	ck_assert_int_eq(bs_attach_response_decode(&p, BS_PL_CRYPTO, &m), BS_OK);
	ck_assert_uint_eq(m.id.len, grant ? b->conf.id.len : 0);
	ck_assert_int_eq(m.nonce_d != NULL, grant != 0);
	ck_assert_uint_eq(m.app_version.len, grant ? 3 : 0);
	if (grant) {
		ck_assert_mem_eq(m.id.ptr, b->conf.id.ptr, m.id.len);
		ck_assert_uint_eq(m.version.kind, BS_VERSION_DEVICE);
	}
}
END_TEST

/* What a stock device ignores, one that offered nothing ignores too. */
START_TEST(test_notices_without_offer)
{
	to_server(_i ? BS_EXT_CLOSE : 0);
	ck_assert_int_eq(notice(BENCH_GSP, cookie_a, 5000), BS_ESTATE);
	bench_run(b, 4000);
	expect_invite(4000, NULL);
	bench_expect_none(b);
}
END_TEST

static const struct {
	int64_t told_ms;
	int32_t wait_ms;
} waits[] = {
	{ 7000, 7000 }, { 0, 1000 }, { 100000, 100000 }, { 600001, 600000 }, { UINT32_MAX, 600000 },
};

/* The schedule begins anew when the server wants it to, with the same nonce. */
START_TEST(test_retry_of_the_server)
{
	int32_t wait = waits[_i].wait_ms;
	size_t lookups;

	to_server(BS_EXT_RETRY);
	bench_run(b, 4000);
	expect_invite(4000, NULL);
	lookups = b->lookups;
	ck_assert_int_eq(notice(BENCH_PEER, NULL, 1000), BS_ESTATE);
	ck_assert_int_eq(notice(BENCH_GSP, NULL, waits[_i].told_ms), BS_OK);
	bench_run(b, (uint32_t)wait + 12000);
	expect_invite(4000 + wait, NULL);
	expect_invite(8000 + wait, NULL);
	expect_invite(16000 + wait, NULL);
	bench_expect_none(b);
	ck_assert_uint_eq(b->lookups, lookups);
}
END_TEST

START_TEST(test_retry_of_the_controller)
{
	struct bs_packet p;

	b->conf.ext_offer = BS_EXT_RETRY;
	bench_start(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	ck_assert_int_eq(notice(BENCH_CTRL, NULL, 20000), BS_OK);
	bench_run(b, 22000);
	expect_at(BS_TYPE_U_INVITE, 20000, BENCH_CTRL);
	expect_at(BS_TYPE_U_INVITE, 22000, BENCH_CTRL);
	bench_expect_none(b);
	/* An answer that was on its way counts all the same. */
	ck_assert_int_eq(notice(BENCH_CTRL, NULL, 50000), BS_OK);
	bench_answer_invite(b);
	expect_at(BS_TYPE_U_INVITE, 22000, BENCH_GSP);
}
END_TEST

/* One word for each invite: whoever makes the server answer us cannot keep us waiting. */
START_TEST(test_retry_counts_once)
{
	to_server(BS_EXT_RETRY);
	bench_run(b, 4000);
	expect_invite(4000, NULL);
	ck_assert_int_eq(notice(BENCH_GSP, NULL, 5000), BS_OK);
	bench_run(b, 4999);
	bench_expect_none(b);
	ck_assert_int_eq(notice(BENCH_GSP, NULL, 600000), BS_OK);
	bench_run(b, 1);
	expect_invite(9000, NULL);
	/* The next invite may be put off again. */
	ck_assert_int_eq(notice(BENCH_GSP, NULL, 20000), BS_OK);
	bench_run(b, 20000);
	expect_invite(29000, NULL);
	bench_expect_none(b);
}
END_TEST

Suite *bs_suite_attach_device(void);

Suite *bs_suite_attach_device(void)
{
	Suite *s = suite_create("attach_device");
	TCase *tc = tcase_create("attach");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_controller_schedule);
	tcase_add_test(tc, test_server_schedule);
	tcase_add_test(tc, test_lookup_fails);
	tcase_add_test(tc, test_too_many_addresses);
	tcase_add_test(tc, test_switch);
	tcase_add_test(tc, test_switch_drops_what_waits);
	tcase_add_test(tc, test_no_random_for_nonce);
	tcase_add_test(tc, test_no_random_for_response);
	tcase_add_test(tc, test_nonce_life);
	tcase_add_test(tc, test_offer);
	tcase_add_loop_test(tc, test_grant, 0, (int)BS_LEN(grants));
	tcase_add_test(tc, test_grant_without_offer);
	tcase_add_test(tc, test_symmetric_nat);
	tcase_add_loop_test(tc, test_ip6, 0, 2);
	tcase_add_test(tc, test_bent_requests);
	tcase_add_test(tc, test_close_attachment);
	tcase_add_test(tc, test_close_not_granted);
	tcase_add_test(tc, test_keys_are_wiped);
	tcase_add_test(tc, test_bad_conf);
	tcase_add_loop_test(tc, test_notices_without_offer, 0, 2);
	/* What a build leaves out it is never offered. */
	if (BS_WITH_ADMISSION) {
		tcase_add_test(tc, test_longest_texts);
		tcase_add_test(tc, test_cookie_of_the_controller);
		tcase_add_test(tc, test_cookie_of_the_server);
		tcase_add_test(tc, test_cookie_is_forgotten);
		tcase_add_loop_test(tc, test_cookie_brings_back_the_invite, 0, 2);
		tcase_add_loop_test(tc, test_retry_of_the_server, 0, (int)BS_LEN(waits));
		tcase_add_test(tc, test_retry_of_the_controller);
		tcase_add_test(tc, test_retry_counts_once);
	}
	suite_add_tcase(s, tc);
	return s;
}
