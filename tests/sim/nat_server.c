/* SPDX-License-Identifier: Apache-2.0 */
/* A basestation for one device and one client.  What travels by TLS in truth is called directly,
 * with a delay. */
#include "nat.h"

#include <string.h>

#include "proto/attach_server.h"
#include "util/endpoint.h"
#include "wire/alive.h"
#include "wire/probe.h"

static const struct bs_alive_pace pace = { 10000, 3000, 3, 40000, 70000 };

static uint32_t ms(const struct world *w)
{
	return (uint32_t)BS_TIME_DIFF_MS(BS_TIME_DIFF(w->now, 0));
}

struct bs_endpoint world_controller(void)
{
	struct bs_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	bs_endpoint_set_ip4(&ep, WORLD_CONTROLLER_IP, WORLD_CONTROLLER);
	return ep;
}

struct bs_endpoint world_attach(void)
{
	struct bs_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	bs_endpoint_set_ip4(&ep, WORLD_ATTACH_IP, WORLD_ATTACH);
	return ep;
}

static void answer(struct world *w, const struct bs_endpoint *from, const struct bs_endpoint *to,
		   const uint8_t *buf, bs_ssize len)
{
	if (len > 0)
		world_send(w, HOST_SERVER, from, to, buf, (size_t)len);
}

static void answer_controller(struct world *w, struct world_packet *p)
{
	struct bs_invite_answer m;
	uint8_t buf[64];

	memset(&m, 0, sizeof(m));
	m.server = world_attach();
	m.observed = p->from;
	answer(w, &p->to, &p->from, buf, bs_invite_answer_encode(buf, sizeof(buf), &m));
}

static void answer_invite(struct world *w, const struct bs_invite *inv, struct world_packet *p)
{
	struct world_server *s = &w->server;
	struct bs_attach_secrets sec = { s->nonce_s, s->nonce_d, s->seed_s };
	struct bs_attach_request m;
	uint8_t buf[BS_PACKET_SMALL];

	if (memcmp(s->nonce_d, inv->nonce.ptr, 32) != 0) {
		memcpy(s->nonce_d, inv->nonce.ptr, 32);
		memset(s->nonce_s, (int)world_below(w, 256), 32);
		memset(s->seed_s, (int)world_below(w, 256), 32);
		s->pending = 0x10000000 + world_below(w, 1u << 24);
	}
	memset(&m, 0, sizeof(m));
	m.nsi = s->pending;
	m.observed = p->from;
	m.has_ext = inv->has_ext;
	m.ext = inv->ext;
	answer(w, &p->to, &p->from, buf,
	       bs_attach_server_request(&w->crypto, &s->a_key, &m, &sec, buf, sizeof(buf)));
}

static void send_alive(struct world *w)
{
	struct bs_endpoint self = world_attach();
	struct bs_alive_request m;
	uint8_t buf[64];

	memset(&m, 0, sizeof(m));
	m.nsi = w->server.nsi;
	m.seq = w->server.alive.seq;
	answer(w, &self, &w->server.at, buf, bs_alive_request_encode(buf, sizeof(buf), &m));
}

static void take_response(struct world *w, struct bs_packet *p, struct world_packet *raw)
{
	struct world_server *s = &w->server;
	struct bs_attach_secrets sec = { s->nonce_s, s->nonce_d, s->seed_s };
	struct bs_attach_response r;

	if (!s->pending || s->pending != p->h.nsi_sp ||
	    bs_attach_server_open(&w->crypto, &s->a_key, &sec, p, raw->bytes, &r, &s->c_key))
		return;
	s->nsi = s->pending;
	s->at = raw->from;
	s->ipx = r.ipx;
	bs_alive_start(&s->alive, (uint16_t)(1 + world_below(w, 65535)), ms(w));
}

static void take_alive(struct world *w, const struct bs_packet *p, struct world_packet *raw)
{
	struct world_server *s = &w->server;
	struct bs_alive_answer m;

	if (!s->nsi || s->nsi != p->h.nsi_sp || bs_alive_answer_decode(p, &m))
		return;
	s->at = raw->from;
	if (bs_alive_input(&s->alive, &pace, m.seq, 0, ms(w)) == BS_ALIVE_POLL) {
		bs_alive_poll(&s->alive, &pace, (uint16_t)world_below(w, 65536), ms(w));
		send_alive(w);
	}
}

static void take_connect(struct world *w, const struct bs_packet *p, struct world_packet *raw)
{
	struct world_server *s = &w->server;
	uint32_t code;

	if (!s->connecting || bs_connect_server_input(&s->connect, p, &raw->from, &code) != BS_OK)
		return;
	s->connecting = false;
	if (code == BS_ST_OK)
		world_client_accept(w);
	else
		world_fail(w, "the device refused (%u)", (unsigned)code);
}

/* A probe: what the client looks like from here, or the client's leg of the relay.  The MAC is the
 * concern of other tests. */
static void take_probe(struct world *w, struct world_packet *raw)
{
	struct bs_probe_answer a;
	struct bs_probe m;
	uint8_t buf[BS_PROBE_ANSWER_MAX];

	if (bs_probe_decode(raw->bytes, raw->len, &m)) {
		world_fail(w, "a malformed probe");
		return;
	}
	if (m.index == BS_PROBE_INDEX_RELAY)
		w->server.leg = raw->from;
	else
		w->server.probe[raw->to.port == WORLD_CONTROLLER ? 0 : 1] = raw->from;
	memset(&a, 0, sizeof(a));
	a.cp = m.cp;
	a.sp = m.sp;
	a.seq = m.seq;
	a.observed = raw->from;
	answer(w, &raw->to, &raw->from, buf, bs_probe_answer_encode(&a, buf));
}

/* The relay knows its two ends by address, and nothing else. */
static void relay(struct world *w, const struct bs_packet *p, struct world_packet *raw)
{
	struct world_server *s = &w->server;
	struct bs_endpoint self = world_attach();
	const struct bs_endpoint *to = NULL;

	if (p->h.nsi_sp != w->nsi || w->conf.no_relay)
		return;
	/* A byte stream is one end by itself. */
	if (bs_endpoint_via(&raw->from) == BS_VIA_STREAM)
		s->leg = raw->from;
	if (bs_endpoint_equal(&raw->from, &s->leg))
		to = &s->at;
	else if (bs_endpoint_equal(&raw->from, &s->at))
		to = &s->leg;
	if (!to || !bs_endpoint_is_set(to))
		return;
	s->relayed++;
	world_send(w, HOST_SERVER, &self, to, raw->bytes, raw->len);
}

void world_server_input(struct world *w, struct world_packet *raw)
{
	struct bs_invite inv;
	struct bs_packet p;

	if (bs_packet_decode(raw->bytes, raw->len, &p)) {
		world_fail(w, "the basestation got a malformed packet");
		return;
	}
	switch (p.h.type) {
	case BS_TYPE_U_INVITE:
		if (bs_invite_decode(&p, &inv))
			world_fail(w, "a malformed invite");
		else if (raw->to.port == WORLD_CONTROLLER)
			answer_controller(w, raw);
		else
			answer_invite(w, &inv, raw);
		break;
	case BS_TYPE_U_ATTACH: take_response(w, &p, raw); break;
	case BS_TYPE_U_ALIVE: take_alive(w, &p, raw); break;
	case BS_TYPE_U_CONNECT: take_connect(w, &p, raw); break;
	case BS_TYPE_PROBE: take_probe(w, raw); break;
	case BS_TYPE_DATA: relay(w, &p, raw); break;
	default: break;
	}
}

void world_server_timeout(struct world *w)
{
	struct world_server *s = &w->server;
	struct bs_endpoint self = world_attach();

	if (s->nsi && (int32_t)(ms(w) - s->alive.due_ms) >= 0) {
		switch (bs_alive_timeout(&s->alive, &pace, (uint16_t)world_below(w, 65536), 0,
					 ms(w))) {
		case BS_ALIVE_SEND:
		case BS_ALIVE_SEND_AGAIN: send_alive(w); break;
		case BS_ALIVE_DEAD: world_fail(w, "the device was lost"); break;
		default: break;
		}
	}
	if (s->connecting && BS_TIME_DIFF(w->now, s->connect.due) >= 0) {
		switch (bs_connect_server_timeout(&s->connect, w->now)) {
		case BS_CONNECT_SEND:
			world_send(w, HOST_SERVER, &self, &s->connect.peer, s->connect.pkt,
				   s->connect.len);
			break;
		case BS_CONNECT_GIVE_UP:
			s->connecting = false;
			world_fail(w, "the device did not answer a connect");
			break;
		default: break;
		}
	}
}

bool world_server_next(const struct world *w, bs_time *at)
{
	const struct world_server *s = &w->server;
	bs_time alive = BS_TIME_MS(s->alive.due_ms);

	if (s->nsi)
		*at = alive;
	if (s->connecting && (!s->nsi || BS_TIME_DIFF(s->connect.due, alive) < 0))
		*at = s->connect.due;
	return s->nsi || s->connecting;
}

bool world_server_client_symmetric(const struct world *w)
{
	const struct bs_endpoint *p = w->server.probe;

	return bs_endpoint_is_set(&p[0]) && bs_endpoint_is_set(&p[1]) &&
	       !bs_endpoint_equal(&p[0], &p[1]);
}

void world_server_connect(struct world *w)
{
	struct world_server *s = &w->server;
	struct bs_connect_offer o;

	memset(&o, 0, sizeof(o));
	(void)w->crypto.random(w->crypto.ctx, w->key.b, sizeof(w->key.b));
	w->nsi = 0x20000000 + world_below(w, 1u << 24);
	o.m.cp = world_below(w, 1u << 30);
	o.m.sp = s->nsi;
	o.m.seq = (uint16_t)world_below(w, 65536);
	bs_endpoint_set_ip4(&o.m.ipx.priv, w->host[HOST_CLIENT].ip, w->host[HOST_CLIENT].port[0]);
	o.m.ipx.global = s->probe[1];
	o.m.ipx.has_nsi = true;
	o.m.ipx.nsi_sp = w->nsi;
	o.m.ipx.flags = BS_IPX_ASYNC;
	if (world_server_client_symmetric(w))
		o.m.ipx.flags |= BS_IPX_NAT_SYMMETRIC;
	o.c_key = &s->c_key;
	o.block.ptr = w->key.b;
	o.block.len = sizeof(w->key.b);
	o.limit = BS_PACKET_SMALL;
	if (bs_connect_server_start(&s->connect, &w->crypto, &o, &s->at, BS_TIME_MS(1000),
				    BS_TIME_MS(4500), w->now))
		world_fail(w, "no connect could be made");
	else
		s->connecting = true;
}

void world_server_init(struct world *w)
{
	static const uint8_t psk[BS_PSK_LEN] = { 7 };
	struct bs_slice id = { (const uint8_t *)"dev.sim", 7 };

	if (bs_keys_derive_a(&w->crypto, id, psk, &w->server.a_key))
		world_fail(w, "no A key");
}
