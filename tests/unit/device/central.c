/* SPDX-License-Identifier: Apache-2.0 */
#include "central.h"

#include <check.h>
#include <string.h>

#include "crypto/small.h"
#include "util/endpoint.h"
#include "wire/alive.h"
#include "wire/attach.h"
#include "wire/connect.h"
#include "wire/invite.h"
#include "wire/stats.h"

#define CONNECTION_NSI 0x01500001u

static int scripted_random(void *ctx, uint8_t *buf, size_t len)
{
	struct central *c = ctx;

	if (c->random_broken)
		return BS_ERANDOM;
	for (size_t i = 0; i < len; i++) {
		c->random_state = c->random_state * 1664525u + 1013904223u;
		buf[i] = (uint8_t)(c->random_state >> 24);
	}
	return BS_OK;
}

static void on_resolve(void *ctx, struct bsdev *dev, const char *host, size_t host_len)
{
	struct central *c = ctx;

	(void)dev;
	ck_assert_uint_eq(host_len, strlen("cam1.base.test"));
	ck_assert_mem_eq(host, "cam1.base.test", host_len);
	c->lookups++;
}

static void on_renew(void *ctx, struct bsdev *dev)
{
	(void)dev;
	((struct central *)ctx)->renewals++;
}

static bs_ssize kept_get(void *ctx, const char *name, uint8_t *value, size_t cap)
{
	struct central *c = ctx;

	ck_assert_str_eq(name, "switch");
	if (c->stored_len < 0)
		return c->stored_len;
	ck_assert_uint_ge(cap, 1);
	value[0] = c->stored[0];
	return c->stored_len;
}

static int kept_set(void *ctx, const char *name, const uint8_t *value, size_t len)
{
	struct central *c = ctx;

	ck_assert_str_eq(name, "switch");
	ck_assert_uint_eq(len, 1);
	if (c->store_result != BS_OK)
		return c->store_result;
	c->stored[0] = value[0];
	c->stored_len = 1;
	return BS_OK;
}

void central_init(struct central *c)
{
	memset(c, 0, sizeof(*c));
	c->now = BS_TIME_MS(1000000);
	c->random_state = 7;
	c->nsi = 0x00200001;
	memset(c->secret, 0x5a, sizeof(c->secret));
	memset(c->expected, 0x5a, sizeof(c->expected));
	bs_endpoint_set_ip4(&c->addr, 0x7f000001, BSDEV_CONTROLLER_PORT);
	bs_endpoint_set_ip4(&c->peer_addr, 0x7f000002, 40000);
	bs_small_crypto_init(&c->crypto, scripted_random, c);
	c->port.resolve = on_resolve;
	c->port.renew_socket = on_renew;
	c->port.random = scripted_random;
	c->port.ctx = c;
	c->conf.id = "cam1.base.test";
	c->conf.secret = c->secret;
	c->conf.connections = 2;
	c->conf.ctx = c;
	c->kept.get = kept_get;
	c->kept.set = kept_set;
	c->kept.ctx = c;
	c->stored_len = BS_ENOENT;
}

int central_start(struct central *c)
{
	return bsdev_init(&c->storage, sizeof(c->storage), &c->conf, &c->port, c->now, &c->dev);
}

void central_fini(struct central *c)
{
	if (c->has_peer)
		bs_peer_fini(&c->peer);
	bsdev_fini(c->dev);
}

void central_resolve(struct central *c, bool ok)
{
	bsdev_addresses(c->dev, ok ? &c->addr : NULL, ok ? 1 : 0, c->now);
}

static void to_device(struct central *c, uint8_t *pkt, bs_ssize len, const struct bs_endpoint *from)
{
	ck_assert_int_gt(len, 0);
	(void)bsdev_input(c->dev, pkt, (size_t)len, from, c->now);
}

static void answer_controller(struct central *c, const struct bs_invite *m)
{
	struct bs_invite_answer a;
	uint8_t buf[BS_PACKET_SMALL];

	memset(&a, 0, sizeof(a));
	a.seq = m->seq;
	a.server = c->addr;
	a.observed = c->peer_addr;
	to_device(c, buf, bs_invite_answer_encode(buf, sizeof(buf), &a), &c->addr);
}

static void answer_attach_invite(struct central *c, const struct bs_invite *m)
{
	struct bs_attach_request r;
	struct bs_writer w;
	uint8_t buf[BS_PACKET_SMALL], plain[64];
	const struct bs_slice id = { (const uint8_t *)c->conf.id, strlen(c->conf.id) };
	const struct bs_slice sealed = { plain, sizeof(plain) };

	ck_assert_uint_eq(m->nonce.len, 32);
	memcpy(c->nonce_d, m->nonce.ptr, 32);
	ck_assert_int_eq(scripted_random(c, c->nonce_s, 32), BS_OK);
	ck_assert_int_eq(scripted_random(c, c->seed_s, 32), BS_OK);
	ck_assert_int_eq(bs_keys_derive_a(&c->crypto, id, c->expected, &c->a_key), BS_OK);
	memset(&r, 0, sizeof(r));
	r.nsi = c->nsi;
	r.observed = c->peer_addr;
	r.nonce.ptr = c->nonce_s;
	r.nonce.len = 32;
	r.has_ext = m->has_ext;
	r.ext = m->ext & (BS_EXT_ATTEMPT | BS_EXT_CLOSE);
	memcpy(plain, c->nonce_d, 32);
	memcpy(plain + 32, c->seed_s, 32);
	bs_attach_request_begin(&w, buf, sizeof(buf), &r);
	to_device(c, buf, bs_suite_aes_cbc.seal(&c->crypto, &c->a_key, BS_INITIATOR, &w, 0, sealed),
		  &c->addr);
}

static void take_attach_response(struct central *c, const struct bs_packet *p, uint8_t *pkt)
{
	struct bs_attach_response r;
	struct bs_slice plain;

	ck_assert_int_eq(bs_attach_response_decode(p, BS_PL_CRYPTO, &r), BS_OK);
	ck_assert_int_eq(bs_suite_aes_cbc.open(&c->crypto, &c->a_key, BS_INITIATOR, pkt, p->len,
					       r.last_off, &plain),
			 BS_OK);
	ck_assert_uint_eq(plain.len, 64);
	ck_assert_mem_eq(plain.ptr, c->nonce_s, 32);
	ck_assert_int_eq(bs_keys_derive_c(&c->crypto, c->nonce_s, c->nonce_d, c->seed_s,
					  plain.ptr + 32, &c->c_key),
			 BS_OK);
	c->attaches++;
}

static void take_invite(struct central *c, const struct bs_packet *p)
{
	struct bs_invite m;

	ck_assert_int_eq(bs_invite_decode(p, &m), BS_OK);
	if (m.nonce.len == 0)
		answer_controller(c, &m);
	else
		answer_attach_invite(c, &m);
}

static void take_stats(struct central *c, const struct bs_packet *p)
{
	struct bs_payload pl;

	if (bs_payload_find(p, BS_PL_ATTACH_STATS, &pl) && pl.len >= 2)
		c->stats_status = pl.data[1];
}

static void take_connect_answer(struct central *c, const struct bs_packet *p)
{
	struct bs_connect_answer a;

	ck_assert_int_eq(bs_connect_answer_decode(p, &a), BS_OK);
	c->connect_code = (uint16_t)a.code;
}

static void take_packet(struct central *c, uint8_t *buf, size_t len, const struct bs_endpoint *to)
{
	struct bs_packet p;

	c->sent++;
	if (c->has_peer && bs_endpoint_equal(to, &c->peer_addr)) {
		(void)bs_peer_input(&c->peer, buf, len, &c->peer_addr, c->now);
		return;
	}
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	if (c->silent)
		return;
	switch (p.h.type) {
	case BS_TYPE_U_INVITE: take_invite(c, &p); break;
	case BS_TYPE_U_ATTACH: take_attach_response(c, &p, buf); break;
	case BS_TYPE_U_CONNECT: take_connect_answer(c, &p); break;
	case BS_TYPE_STATS: take_stats(c, &p); break;
	default: break;
	}
}

static bool pump_once(struct central *c)
{
	uint8_t buf[BS_PACKET_MAX];
	struct bs_endpoint to;
	size_t len = bsdev_output(c->dev, buf, BSDEV_PACKET_MAX, &to, c->now);

	if (len > 0) {
		take_packet(c, buf, len, &to);
		return true;
	}
	if (!c->has_peer)
		return false;
	len = bs_peer_output(&c->peer, buf, sizeof(buf), &to, c->now);
	if (len == 0)
		return false;
	(void)bsdev_input(c->dev, buf, len, &c->peer_addr, c->now);
	return true;
}

void central_pump(struct central *c)
{
	for (int i = 0; i < 1000; i++) {
		if (!pump_once(c))
			return;
	}
	ck_abort_msg("device and server send to each other without end");
}

void central_run(struct central *c, uint32_t ms)
{
	const bs_time end = c->now + BS_TIME_MS(ms);
	bs_time at, other;

	for (int i = 0; i < 100000; i++) {
		bool set;

		central_pump(c);
		set = bsdev_next_timeout(c->dev, &at);
		if (c->has_peer && bs_peer_next_timeout(&c->peer, &other) &&
		    (!set || BS_TIME_DIFF(other, at) < 0)) {
			at = other;
			set = true;
		}
		if (!set || BS_TIME_DIFF(at, end) > 0)
			break;
		if (BS_TIME_DIFF(at, c->now) > 0)
			c->now = at;
		bsdev_timeout(c->dev, c->now);
		if (c->has_peer)
			bs_peer_timeout(&c->peer, c->now);
	}
	c->now = end;
	bsdev_timeout(c->dev, c->now);
	central_pump(c);
}

void central_attach(struct central *c)
{
	ck_assert_int_eq(central_start(c), BS_OK);
	central_resolve(c, true);
	central_pump(c);
	ck_assert_int_eq(bsdev_get_state(c->dev), BSDEV_ATTACHED);
}

void central_alive(struct central *c)
{
	const struct bs_header h = { .nsi_sp = c->nsi,
				     .type = BS_TYPE_U_ALIVE,
				     .version = BS_WIRE_VERSION,
				     .seq = (uint16_t)(++c->random_state | 1u) };
	struct bs_writer w;
	uint8_t buf[BS_PACKET_SMALL];

	bs_packet_begin(&w, buf, sizeof(buf), &h);
	to_device(c, buf, bs_packet_finish(&w), &c->addr);
	central_pump(c);
}

void central_connect(struct central *c, const char *client_id)
{
	static const uint8_t fp[BS_FP_LEN] = { 1, 2, 3 };
	struct bs_connect_request m;
	struct bs_peer_conf pc;
	struct bs_writer w;
	uint8_t buf[BS_PACKET_SMALL];
	const struct bs_slice d = { c->d_key.b, sizeof(c->d_key.b) };

	ck_assert_int_eq(scripted_random(c, c->d_key.b, sizeof(c->d_key.b)), BS_OK);
	memset(&m, 0, sizeof(m));
	m.cp = 0x11223344;
	m.sp = c->nsi;
	m.seq = 77;
	m.ipx.has_nsi = true;
	m.ipx.nsi_sp = CONNECTION_NSI;
	m.ipx.global = c->peer_addr;
	m.ipx.flags = BS_IPX_ASYNC;
	m.client_id.ptr = (const uint8_t *)client_id;
	m.client_id.len = strlen(client_id);
	m.fp = fp;
	ck_assert_int_eq(bs_connect_request_begin(&w, buf, sizeof(buf), &m, sizeof(buf), d), BS_OK);
	c->connect_code = 0;
	to_device(c, buf, bs_suite_aes_cbc.seal(&c->crypto, &c->c_key, BS_INITIATOR, &w, 0, d),
		  &c->addr);
	memset(&pc, 0, sizeof(pc));
	pc.crypto = &c->crypto;
	pc.key = c->d_key;
	pc.suite = &bs_suite_aes_cbc;
	pc.nsi_sp = CONNECTION_NSI;
	pc.nsi_cp = 0x55667788;
	ck_assert_int_eq(bs_peer_init(&c->peer, &pc, c->now), BS_OK);
	c->has_peer = true;
	ck_assert_int_eq(bs_peer_add_candidate(&c->peer, &c->peer_addr, BS_CANDIDATE_OBSERVED),
			 BS_OK);
	bs_peer_start(&c->peer, c->now);
	central_pump(c);
}
