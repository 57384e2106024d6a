/* SPDX-License-Identifier: Apache-2.0 */
/* A server of one page: it knows every device, answers at once, forgets nothing. */
#include "sim.h"

#include <string.h>

#include "proto/attach_server.h"
#include "util/endpoint.h"
#include "wire/alive.h"

static const struct bs_alive_pace pace = { 10000, 3000, 3, 40000, 70000 };

static uint32_t ms(const struct sim *s)
{
	return (uint32_t)BS_TIME_DIFF_MS(BS_TIME_DIFF(s->now, s->start));
}

static struct bs_endpoint attach_server(void)
{
	return sim_endpoint(SIM_SERVER_IP, SIM_ATTACH);
}

static struct sim_device *by_id(struct sim *s, struct bs_slice id)
{
	size_t i;

	for (i = 0; i < SIM_DEVICES; i++)
		if (strlen(s->dev[i].id) == id.len && !memcmp(s->dev[i].id, id.ptr, id.len))
			return &s->dev[i];
	return NULL;
}

static struct sim_device *by_nsi(struct sim *s, uint32_t nsi)
{
	size_t i;

	for (i = 0; i < SIM_DEVICES; i++)
		if (nsi && (s->dev[i].nsi == nsi || s->dev[i].pending_nsi == nsi))
			return &s->dev[i];
	return NULL;
}

static void answer_controller(struct sim *s, const struct sim_packet *p)
{
	struct bs_invite_answer m;
	uint8_t buf[64];
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.server = attach_server();
	m.observed = p->from;
	len = bs_invite_answer_encode(buf, sizeof(buf), &m);
	if (len > 0)
		sim_send(s, &p->to, &p->from, buf, (size_t)len);
}

static void answer_invite(struct sim *s, struct sim_device *d, const struct bs_invite *inv,
			  const struct sim_packet *p)
{
	struct bs_attach_secrets sec = { d->nonce_s, d->nonce_d, d->seed_s };
	struct bs_attach_request m;
	uint8_t buf[BS_PACKET_SMALL];
	bs_ssize len;

	/* A repeated invite gets the same numbers. */
	if (memcmp(d->nonce_d, inv->nonce.ptr, 32) != 0) {
		memcpy(d->nonce_d, inv->nonce.ptr, 32);
		memset(d->nonce_s, (int)sim_below(s, 256), 32);
		memset(d->seed_s, (int)sim_below(s, 256), 32);
		d->pending_nsi = ++s->next_nsi;
	}
	memset(&m, 0, sizeof(m));
	m.nsi = d->pending_nsi;
	m.observed = p->from;
	m.has_ext = inv->has_ext;
	m.ext = inv->ext;
	len = bs_attach_server_request(&s->crypto, &d->a_key, &m, &sec, buf, sizeof(buf));
	if (len > 0)
		sim_send(s, &p->to, &p->from, buf, (size_t)len);
}

static void send_alive(struct sim *s, struct sim_device *d)
{
	struct bs_endpoint self = attach_server();
	struct bs_alive_request m;
	uint8_t buf[64];
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.nsi = d->nsi;
	m.seq = d->alive.seq;
	len = bs_alive_request_encode(buf, sizeof(buf), &m);
	if (len > 0)
		sim_send(s, &self, &d->at, buf, (size_t)len);
}

static void take_response(struct sim *s, struct bs_packet *p, struct sim_packet *raw)
{
	struct sim_device *d = by_nsi(s, p->h.nsi_sp);
	struct bs_attach_response r;
	struct bs_attach_secrets sec;

	if (!d || d->pending_nsi != p->h.nsi_sp)
		return;
	sec.nonce_s = d->nonce_s;
	sec.nonce_d = d->nonce_d;
	sec.seed_s = d->seed_s;
	if (bs_attach_server_open(&s->crypto, &d->a_key, &sec, p, raw->bytes, &r, &d->c_key))
		return;
	d->nsi = d->pending_nsi;
	d->pending_nsi = 0;
	d->at = raw->from;
	s->attaches++;
	bs_alive_start(&d->alive, (uint16_t)(1 + sim_below(s, 65535)), ms(s));
}

static void take_alive(struct sim *s, const struct bs_packet *p, const struct sim_packet *raw)
{
	struct sim_device *d = by_nsi(s, p->h.nsi_sp);
	struct bs_alive_answer m;

	if (!d || d->nsi != p->h.nsi_sp || bs_alive_answer_decode(p, &m))
		return;
	/* Whoever knows the number may move the record: no attackers here. */
	d->at = raw->from;
	if (bs_alive_input(&d->alive, &pace, m.seq, 0, ms(s)) == BS_ALIVE_POLL) {
		bs_alive_poll(&d->alive, &pace, (uint16_t)sim_below(s, 65536), ms(s));
		send_alive(s, d);
	}
}

static void take_connect(struct sim *s, const struct bs_packet *p, const struct sim_packet *raw)
{
	struct sim_device *d = by_nsi(s, p->h.nsi_sp);
	struct sim_client *c;
	uint32_t code;

	if (!d || !d->asker || bs_connect_server_input(&d->connect, p, &raw->from, &code) != BS_OK)
		return;
	c = d->asker;
	d->asker = NULL;
	if (code == BS_ST_OK)
		sim_client_begin(s, c);
}

void sim_server_input(struct sim *s, struct sim_packet *raw)
{
	struct sim_device *d;
	struct bs_invite inv;
	struct bs_packet p;

	if (bs_packet_decode(raw->bytes, raw->len, &p)) {
		sim_fail(s, "a device sent a malformed packet");
		return;
	}
	switch (p.h.type) {
	case BS_TYPE_U_INVITE:
		if (bs_invite_decode(&p, &inv) || !(d = by_id(s, inv.id)))
			sim_fail(s, "a device sent a malformed invite");
		else if (raw->to.port == SIM_CONTROLLER)
			answer_controller(s, raw);
		else
			answer_invite(s, d, &inv, raw);
		break;
	case BS_TYPE_U_ATTACH: take_response(s, &p, raw); break;
	case BS_TYPE_U_ALIVE: take_alive(s, &p, raw); break;
	case BS_TYPE_U_CONNECT: take_connect(s, &p, raw); break;
	default: break;
	}
}

static void step_connect(struct sim *s, struct sim_device *d)
{
	struct bs_endpoint self = attach_server();

	switch (bs_connect_server_timeout(&d->connect, s->now)) {
	case BS_CONNECT_SEND:
		sim_send(s, &self, &d->connect.peer, d->connect.pkt, d->connect.len);
		break;
	case BS_CONNECT_GIVE_UP: d->asker = NULL; break;
	default: break;
	}
}

static void step_alive(struct sim *s, struct sim_device *d)
{
	switch (bs_alive_timeout(&d->alive, &pace, (uint16_t)sim_below(s, 65536), 0, ms(s))) {
	case BS_ALIVE_SEND:
	case BS_ALIVE_SEND_AGAIN: send_alive(s, d); break;
	case BS_ALIVE_DEAD: d->nsi = 0; break;
	default: break;
	}
}

void sim_server_timeout(struct sim *s)
{
	size_t i;

	for (i = 0; i < SIM_DEVICES; i++) {
		struct sim_device *d = &s->dev[i];

		if (d->nsi && (int32_t)(ms(s) - d->alive.due_ms) >= 0)
			step_alive(s, d);
		if (d->asker && BS_TIME_DIFF(s->now, d->connect.due) >= 0)
			step_connect(s, d);
	}
}

bs_time sim_server_next(struct sim *s, bs_time limit)
{
	bs_time at;
	size_t i;

	for (i = 0; i < SIM_DEVICES; i++) {
		struct sim_device *d = &s->dev[i];

		at = s->start + BS_TIME_MS(d->alive.due_ms);
		if (d->nsi && BS_TIME_DIFF(at, limit) < 0)
			limit = at;
		if (d->asker && BS_TIME_DIFF(d->connect.due, limit) < 0)
			limit = d->connect.due;
	}
	return limit;
}

bool sim_server_connect(struct sim *s, struct sim_client *c, struct sim_device *d)
{
	struct bs_connect_offer o;
	size_t i;

	for (i = 0; i < SIM_DEVICES; i++)
		if (s->dev[i].asker == c)
			return false;
	if (!d->nsi || d->asker)
		return false;
	memset(&o, 0, sizeof(o));
	(void)s->crypto.random(s->crypto.ctx, c->key.b, sizeof(c->key.b));
	c->nsi = ++s->next_nsi;
	o.m.cp = sim_below(s, 1u << 30);
	o.m.sp = d->nsi;
	o.m.seq = (uint16_t)sim_below(s, 65536);
	o.m.ipx.global = c->self;
	o.m.ipx.has_nsi = true;
	o.m.ipx.nsi_sp = c->nsi;
	o.m.ipx.flags = BS_IPX_ASYNC;
	o.c_key = &d->c_key;
	o.block.ptr = c->key.b;
	o.block.len = sizeof(c->key.b);
	o.limit = BS_PACKET_SMALL;
	/* Now and then there are no random numbers. */
	if (bs_connect_server_start(&d->connect, &s->crypto, &o, &d->at, BS_TIME_MS(1000),
				    BS_TIME_MS(4500), s->now))
		return false;
	d->asker = c;
	c->dev = d;
	return true;
}
