/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "crypto/small.h"
#include "util/endpoint.h"

static const uint8_t psk[16] = { 7 };

/* Virtual time: trouble first, then calm in which everything must come right. */
enum {
	TROUBLE_S = 300,
	CALM_S = 260,
	SETTLE_S = 40, /* nobody starts calls any more */
};

uint32_t sim_below(struct sim *s, uint32_t n)
{
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 17;
	s->rng ^= s->rng << 5;
	return s->rng % n;
}

static int sim_random(void *ctx, uint8_t *buf, size_t len)
{
	struct sim *s = ctx;

	/* Now and then there are none, but never in calm. */
	if (!s->calm && sim_below(s, 200) == 0)
		return BS_ERANDOM;
	while (len--)
		*buf++ = (uint8_t)sim_below(s, 256);
	return BS_OK;
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (s->failure[0])
		return;
	va_start(ap, fmt);
	(void)vsnprintf(s->failure, sizeof(s->failure), fmt, ap);
	va_end(ap);
}

struct bs_endpoint sim_endpoint(uint32_t ip4, uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, ip4, port);
	return ep;
}

static uint16_t new_port(struct sim *s)
{
	return s->next_port = (uint16_t)(s->next_port < 60000 ? s->next_port + 1 : 1024);
}

static void fly(struct sim *s, const struct bs_endpoint *from, const struct bs_endpoint *to,
		const uint8_t *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < SIM_FLIGHT; i++) {
		struct sim_packet *p = &s->flight[i];

		if (p->len)
			continue;
		p->at = s->now + BS_TIME_MS(1 + sim_below(s, s->delay_ms));
		p->from = *from;
		p->to = *to;
		p->len = (uint16_t)len;
		memcpy(p->bytes, bytes, len);
		return;
	}
	sim_fail(s, "a storm: %d packets under way", SIM_FLIGHT);
}

void sim_send(struct sim *s, const struct bs_endpoint *from, const struct bs_endpoint *to,
	      const uint8_t *bytes, size_t len)
{
	s->sent++;
	if (len > BS_PACKET_SMALL) {
		sim_fail(s, "a packet of %zu bytes", len);
		return;
	}
	if (!s->calm && sim_below(s, 100) < s->loss)
		return;
	fly(s, from, to, bytes, len);
	if (!s->calm && sim_below(s, 100) < s->copies)
		fly(s, from, to, bytes, len);
}

/* The application: each call has a number; it is run when the handler sees it. */
static int on_rpc(void *app, struct bs_rpc_request *req)
{
	struct sim_device *d = app;
	struct sim *s = d->sim;
	uint32_t n = bs_cursor_read_u32(&req->args);

	if (n >= s->n_calls) {
		sim_fail(s, "a request that nobody made");
		return BS_RPC_DEVICE_ERROR;
	}
	if (!req->token && sim_below(s, 4) == 0)
		return BS_RPC_BUSY;
	s->call[n].runs++;
	if (req->token && sim_below(s, 4) == 0) {
		d->token = req->token;
		d->deferred_call = n;
		d->answer_at = s->now + BS_TIME_MS(sim_below(s, 6000));
		return BS_RPC_DEFERRED;
	}
	bs_writer_put_u32(&req->reply, n);
	return BS_RPC_OK;
}

static void on_done(void *app, struct bs_rpc_call *call, int err, uint32_t exception,
		    struct bs_slice reply)
{
	struct sim *s = app;
	struct sim_call *c = (struct sim_call *)call;

	(void)exception;
	c->ended++;
	c->err = err;
	if (err == BS_OK && (reply.len != 4 || bs_get_u32(reply.ptr) != bs_get_u32(c->request + 4)))
		sim_fail(s, "call %u got the reply of another one", bs_get_u32(c->request + 4));
}

static void fetch_device(struct sim *s, struct sim_device *d)
{
	struct bs_endpoint to;
	uint8_t buf[BS_PACKET_SMALL];
	size_t n = 0;
	size_t len;
	uint8_t e;

	while ((len = bs_device_output(&d->d, buf, sizeof(buf), &to, s->now)) > 0) {
		if (n++ > 64) {
			sim_fail(s, "device %s does not stop sending", d->id);
			return;
		}
		sim_send(s, &d->self, &to, buf, len);
	}
	e = bs_device_take_events(&d->d);
	if (e & BS_ATTACH_EV_RENEW_SOCKET)
		d->self.port = new_port(s);
	if (e & BS_ATTACH_EV_RESOLVE) {
		d->resolve = true;
		d->resolve_at = s->now + BS_TIME_MS(sim_below(s, 300));
	}
}

static void fetch_client(struct sim *s, struct sim_client *c)
{
	struct bs_endpoint to;
	uint8_t buf[BS_PACKET_SMALL];
	size_t n = 0;
	size_t len;

	if (!c->connected)
		return;
	while ((len = bs_peer_output(&c->p, buf, sizeof(buf), &to, s->now)) > 0) {
		if (n++ > 64) {
			sim_fail(s, "a client does not stop sending");
			return;
		}
		sim_send(s, &c->self, &to, buf, len);
	}
	if (bs_peer_take_events(&c->p) & BS_PEER_EV_CLOSED) {
		bs_peer_fini(&c->p);
		c->connected = false;
	}
}

void sim_client_begin(struct sim *s, struct sim_client *c)
{
	struct bs_peer_conf conf;

	memset(&conf, 0, sizeof(conf));
	conf.crypto = &s->crypto;
	conf.key = c->key;
	conf.suite = &bs_suite_aes_cbc;
	conf.nsi_sp = c->nsi;
	conf.nsi_cp = 1000;
	if (bs_peer_init(&c->p, &conf, s->now)) {
		sim_fail(s, "peer refused");
		return;
	}
	c->connected = true;
	s->opened++;
	(void)bs_peer_add_candidate(&c->p, &c->dev->at, BS_CANDIDATE_OBSERVED);
	bs_peer_start(&c->p, s->now);
	fetch_client(s, c);
}

static void client_call(struct sim *s, struct sim_client *c)
{
	struct sim_call *k;

	if (s->n_calls >= SIM_CALLS)
		return;
	k = &s->call[s->n_calls];
	memset(k, 0, sizeof(*k));
	bs_put_u32(k->request, 42);
	bs_put_u32(k->request + 4, (uint32_t)s->n_calls);
	k->call.request.ptr = k->request;
	k->call.request.len = sizeof(k->request);
	k->call.done = on_done;
	k->call.app = s;
	if (bs_peer_call(&c->p, &k->call, s->now) == BS_OK)
		s->n_calls++;
}

/* What a client does when its time has come. */
static void client_step(struct sim *s, struct sim_client *c)
{
	bool late = BS_TIME_DIFF(s->now, s->start + BS_TIME_MS((TROUBLE_S + CALM_S) * 1000ul)) >= 0;

	c->next = s->now + BS_TIME_MS(200 + sim_below(s, 8000));
	if (late)
		return;
	if (!c->connected) {
		(void)sim_server_connect(s, c, &s->dev[sim_below(s, SIM_DEVICES)]);
		return;
	}
	switch (sim_below(s, 12)) {
	case 0: bs_peer_close(&c->p, s->now); break;
	case 1:
		c->self.port = new_port(s);
		if (sim_below(s, 2))
			bs_peer_network_changed(&c->p, s->now);
		break;
	default: client_call(s, c); break;
	}
	fetch_client(s, c);
}

static void deliver(struct sim *s, struct sim_packet *p)
{
	uint8_t bytes[BS_PACKET_SMALL];
	size_t i;

	if (bs_endpoint_ip4(&p->to) == SIM_SERVER_IP) {
		sim_server_input(s, p);
		return;
	}
	memcpy(bytes, p->bytes, p->len);
	for (i = 0; i < SIM_DEVICES; i++) {
		if (!bs_endpoint_equal(&p->to, &s->dev[i].self))
			continue;
		(void)bs_device_input(&s->dev[i].d, bytes, p->len, &p->from, s->now);
		fetch_device(s, &s->dev[i]);
		return;
	}
	for (i = 0; i < SIM_CLIENTS; i++) {
		if (!bs_endpoint_equal(&p->to, &s->cli[i].self) || !s->cli[i].connected)
			continue;
		(void)bs_peer_input(&s->cli[i].p, bytes, p->len, &p->from, s->now);
		fetch_client(s, &s->cli[i]);
		return;
	}
}

static void device_step(struct sim *s, struct sim_device *d)
{
	struct bs_endpoint ctrl = sim_endpoint(SIM_SERVER_IP, SIM_CONTROLLER);
	struct bs_slice reply;
	uint8_t text[4];

	if (d->resolve && BS_TIME_DIFF(s->now, d->resolve_at) >= 0) {
		d->resolve = false;
		if (!s->calm && sim_below(s, 10) == 0)
			bs_device_resolve_failed(&d->d, s->now);
		else
			bs_device_resolved(&d->d, &ctrl, 1, s->now);
	}
	if (d->token && BS_TIME_DIFF(s->now, d->answer_at) >= 0) {
		int err;

		bs_put_u32(text, d->deferred_call);
		reply.ptr = text;
		reply.len = sizeof(text);
		err = bs_device_rpc_answer(&d->d, d->token, 0, reply);
		if (err && err != BS_ENOENT)
			sim_fail(s, "a deferred answer was refused (%d)", err);
		d->token = 0;
	}
	bs_device_timeout(&d->d, s->now);
	fetch_device(s, d);
}

/* NATs forget, devices restart their network, and someone flips the switch. */
static void trouble(struct sim *s)
{
	struct sim_device *d = &s->dev[sim_below(s, SIM_DEVICES)];

	switch (sim_below(s, 8)) {
	case 0: d->self.port = new_port(s); break;
	case 1:
		bs_device_network_changed(&d->d, s->now);
		fetch_device(s, d);
		break;
	case 2:
		bs_device_stop(&d->d);
		d->token = 0;
		d->resolve = false;
		if (bs_device_output(&d->d, (uint8_t[BS_PACKET_SMALL]){ 0 }, BS_PACKET_SMALL,
				     &d->at, s->now))
			sim_fail(s, "a device that is off sends");
		bs_device_start(&d->d, s->now);
		fetch_device(s, d);
		break;
	default: break;
	}
}

static void earlier(bs_time *at, bool has, bs_time t)
{
	if (has && BS_TIME_DIFF(t, *at) < 0)
		*at = t;
}

static bs_time next_event(struct sim *s, bs_time limit)
{
	bs_time t = 0;
	size_t i;

	limit = sim_server_next(s, limit);
	for (i = 0; i < SIM_FLIGHT; i++)
		earlier(&limit, s->flight[i].len != 0, s->flight[i].at);
	for (i = 0; i < SIM_DEVICES; i++) {
		if (bs_device_next_timeout(&s->dev[i].d, &t))
			earlier(&limit, true, t);
		earlier(&limit, s->dev[i].resolve, s->dev[i].resolve_at);
		earlier(&limit, s->dev[i].token != 0, s->dev[i].answer_at);
	}
	for (i = 0; i < SIM_CLIENTS; i++) {
		earlier(&limit, true, s->cli[i].next);
		if (s->cli[i].connected && bs_peer_next_timeout(&s->cli[i].p, &t))
			earlier(&limit, true, t);
	}
	return limit;
}

static void step_all(struct sim *s)
{
	size_t i;

	for (i = 0; i < SIM_FLIGHT; i++) {
		struct sim_packet p = s->flight[i];

		if (!p.len || BS_TIME_DIFF(s->now, p.at) < 0)
			continue;
		s->flight[i].len = 0;
		deliver(s, &p);
	}
	for (i = 0; i < SIM_DEVICES; i++)
		device_step(s, &s->dev[i]);
	for (i = 0; i < SIM_CLIENTS; i++) {
		struct sim_client *c = &s->cli[i];

		if (c->connected)
			bs_peer_timeout(&c->p, s->now);
		fetch_client(s, c);
		if (BS_TIME_DIFF(s->now, c->next) >= 0)
			client_step(s, c);
	}
	sim_server_timeout(s);
	if (!s->calm && sim_below(s, 2000) == 0)
		trouble(s);
}

static void run_until(struct sim *s, uint32_t seconds)
{
	bs_time end = s->start + BS_TIME_MS(seconds * 1000ul);
	size_t stuck = 0;
	bs_time at;

	while (!s->failure[0] && BS_TIME_DIFF(s->now, end) < 0) {
		at = next_event(s, end);
		if (BS_TIME_DIFF(at, s->now) > 0) {
			s->now = at;
			stuck = 0;
		} else if (stuck++ > 1000) {
			sim_fail(s, "time stands still");
			return;
		}
		step_all(s);
	}
}

/* The properties, once all is calm. */
static void judge(struct sim *s)
{
	size_t i;

	for (i = 0; i < SIM_DEVICES && !s->failure[0]; i++)
		if (!bs_attach_is_attached(&s->dev[i].d.attach))
			sim_fail(s, "device %s is not attached in the end (state %u)", s->dev[i].id,
				 s->dev[i].d.attach.state);
	for (i = 0; i < s->n_calls && !s->failure[0]; i++) {
		const struct sim_call *c = &s->call[i];

		if (c->ended != 1)
			sim_fail(s, "call %zu ended %u times", i, c->ended);
		else if (c->runs > 1)
			sim_fail(s, "call %zu ran %u times", i, c->runs);
		else if (c->err == BS_OK && c->runs != 1)
			sim_fail(s, "call %zu was answered but not run", i);
	}
	if (!s->failure[0] && (!s->attaches || !s->opened || !s->n_calls))
		sim_fail(s, "nothing happened");
}

static void setup(struct sim *s, uint32_t seed)
{
	size_t i;

	memset(s, 0, sizeof(*s));
	s->seed = seed;
	s->rng = seed * 2654435761u + 1;
	s->next_port = 2000;
	s->next_nsi = 0x10000000;
	s->loss = sim_below(s, 35);
	s->copies = sim_below(s, 20);
	s->delay_ms = 1 + sim_below(s, 400);
	/* Every second run crosses the end of the clock's range. */
	s->start = seed % 2 ? BS_TIME_MS(1000) : (bs_time)0 - BS_TIME_MS(200000ul);
	s->now = s->start;
	bs_small_crypto_init(&s->crypto, sim_random, s);
	s->ops.rpc = on_rpc;
	for (i = 0; i < SIM_DEVICES; i++) {
		struct sim_device *d = &s->dev[i];

		d->sim = s;
		(void)snprintf(d->id, sizeof(d->id), "dev%zu.sim", i);
		d->conf.id.ptr = (const uint8_t *)d->id;
		d->conf.id.len = strlen(d->id);
		d->conf.psk = psk;
		d->conf.ext_offer = i % 2 ? BS_EXT_CLOSE | BS_EXT_ATTEMPT : 0;
		d->conf.ops = &s->ops;
		d->conf.app = d;
		d->self = sim_endpoint(0x0A010000 + (uint32_t)i, new_port(s));
		if (bs_device_init(&d->d, &d->conf, &s->crypto, d->conns, SIM_CONNS, d->slots,
				   SIM_CONNS))
			sim_fail(s, "device refused");
		if (bs_keys_derive_a(&s->crypto, d->conf.id, psk, &d->a_key))
			sim_fail(s, "no A key");
		bs_device_start(&d->d, s->now);
		fetch_device(s, d);
	}
	for (i = 0; i < SIM_CLIENTS; i++) {
		s->cli[i].self = sim_endpoint(0x0A020000 + (uint32_t)i, new_port(s));
		s->cli[i].next = s->now + BS_TIME_MS(sim_below(s, 20000));
	}
}

bool sim_play(struct sim *s, uint32_t seed)
{
	size_t i;

	setup(s, seed);
	run_until(s, TROUBLE_S);
	s->calm = true;
	run_until(s, TROUBLE_S + CALM_S + SETTLE_S);
	judge(s);
	for (i = 0; i < SIM_CLIENTS; i++)
		if (s->cli[i].connected)
			bs_peer_fini(&s->cli[i].p);
	for (i = 0; i < SIM_DEVICES; i++)
		bs_device_fini(&s->dev[i].d);
	return !s->failure[0];
}
