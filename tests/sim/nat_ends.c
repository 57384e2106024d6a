/* SPDX-License-Identifier: Apache-2.0 */
#include "nat.h"

#include <string.h>

#include "crypto/small.h"
#include "util/endpoint.h"
#include "wire/probe.h"

static const uint8_t psk[BS_PSK_LEN] = { 7 };

/* A run, in ms: the device attaches, then the client connects and calls now and then. */
enum {
	ATTACH_STEP = 2000,
	ATTACH_END = 150000,
	CALL_EVERY = 700,
	CALLS_END = 10000, /* after the start of the client */
	RUN_LENGTH = 20000,
	BIND_EVERY = 250,
	BINDS = 10,
	PROBES = 6,
	PROBE_EVERY = 80,
	TLS_DELAY = 25,
};

/* What the library gives a direct way before a relay has the data. */
#define RELAY_WAIT_OWN   0
#define RELAY_WAIT_STOCK 6000

static int on_random(void *ctx, uint8_t *buf, size_t len)
{
	struct world *w = ctx;

	while (len--)
		*buf++ = (uint8_t)world_below(w, 256);
	return BS_OK;
}

static int on_rpc(void *app, struct bs_rpc_request *req)
{
	(void)app;
	bs_writer_put_u32(&req->reply, bs_cursor_read_u32(&req->args));
	return BS_RPC_OK;
}

static void on_done(void *app, struct bs_rpc_call *call, int err, uint32_t exception,
		    struct bs_slice reply)
{
	struct world *w = app;
	size_t i = (size_t)(call - w->call);

	(void)exception;
	if (err || reply.len != 4 || bs_get_u32(reply.ptr) != i) {
		world_fail(w, "call %zu: error %d", i, err);
		return;
	}
	if (!w->answered++)
		w->first_at = w->now;
}

static void fetch_device(struct world *w)
{
	struct bs_endpoint to, ctrl = world_controller();
	uint8_t buf[WORLD_PACKET];
	size_t n = 0, len;

	memset(&to, 0, sizeof(to));
	while ((len = bs_device_output(&w->d, buf, sizeof(buf), &to, w->now)) > 0) {
		if (n++ > 64) {
			world_fail(w, "the device does not stop sending");
			return;
		}
		world_send(w, HOST_DEVICE, NULL, &to, buf, len);
	}
	if (bs_device_take_events(&w->d) & BS_ATTACH_EV_RESOLVE)
		bs_device_resolved(&w->d, &ctrl, 1, w->now);
}

static void fetch_client(struct world *w)
{
	struct bs_endpoint to;
	uint8_t buf[WORLD_PACKET];
	size_t n = 0, len;

	if (!w->begun)
		return;
	memset(&to, 0, sizeof(to));
	while ((len = bs_peer_output(&w->p, buf, sizeof(buf), &to, w->now)) > 0) {
		if (n++ > 64) {
			world_fail(w, "the client does not stop sending");
			return;
		}
		world_send(w, HOST_CLIENT, NULL, &to, buf, len);
	}
	if (bs_peer_take_events(&w->p) & BS_PEER_EV_CLOSED)
		world_fail(w, "the connection ended (%u)", w->p.conn.end);
	/* Direct counts once data has come that way. */
	if (!w->direct_at && w->answered && w->p.conn.state == BS_CONN_OPEN &&
	    (w->p.conn.path == BS_PATH_DIRECT || w->p.conn.path == BS_PATH_LOCAL))
		w->direct_at = w->now;
}

static void send_probe(struct world *w, const struct bs_endpoint *to, uint8_t index, uint32_t sp)
{
	struct bs_probe m;
	uint8_t buf[BS_PROBE_LEN];
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.sp = sp;
	m.index = index;
	m.counter = w->number;
	len = bs_probe_encode(&m, buf);
	if (len > 0)
		world_send(w, HOST_CLIENT, NULL, to, buf, (size_t)len);
}

void world_client_accept(struct world *w)
{
	w->accepted = true;
	w->begin_at = w->now + BS_TIME_MS(TLS_DELAY);
}

/* Where UDP is blocked there is a byte stream to the relay. */
static void bind_stream(struct world *w)
{
	struct bs_endpoint to = world_attach();

	bs_endpoint_set_via(&to, BS_VIA_STREAM);
	w->bound = true;
	if (bs_peer_add_path(&w->p, &to, BS_PATH_TCP_RELAY, w->now))
		world_fail(w, "the relay was refused");
}

/* The CONNECT answer arrives. */
static void begin(struct world *w)
{
	struct bs_peer_conf conf;
	bool device_symmetric;

	device_symmetric = (w->server.ipx.flags & BS_IPX_NAT_MASK) == BS_IPX_NAT_SYMMETRIC;
	memset(&conf, 0, sizeof(conf));
	conf.crypto = &w->crypto;
	conf.key = w->key;
	conf.suite = &bs_suite_aes_cbc;
	conf.nsi_sp = w->nsi;
	conf.nsi_cp = 1000;
	conf.relay_wait_ms = w->conf.stock ? RELAY_WAIT_STOCK : RELAY_WAIT_OWN;
	conf.sockets = BS_SPRAY_SOCKETS;
	conf.symmetric = world_server_client_symmetric(w);
	conf.guess_ports = device_symmetric;
	conf.can_ask = !w->conf.stock;
	bs_endpoint_set_ip4(&conf.priv, w->host[HOST_CLIENT].ip, w->host[HOST_CLIENT].port[0]);
	conf.global = w->server.probe[1];
	if (bs_peer_init(&w->p, &conf, w->now)) {
		world_fail(w, "peer refused");
		return;
	}
	w->begun = true;
	w->started = w->now;
	w->next_call = w->now;
	w->bind_at = w->now;
	(void)bs_peer_add_candidate(&w->p, &w->server.ipx.priv, BS_CANDIDATE_HOST);
	(void)bs_peer_add_candidate(&w->p, &w->server.at, BS_CANDIDATE_OBSERVED);
	if (w->conf.client && !strcmp(w->conf.client, "blocked"))
		bind_stream(w);
	bs_peer_start(&w->p, w->now);
	fetch_client(w);
}

static void bind_relay(struct world *w)
{
	struct bs_endpoint to = world_attach();

	w->bind_at = w->now + BS_TIME_MS(BIND_EVERY);
	w->binds++;
	send_probe(w, &to, BS_PROBE_INDEX_RELAY, w->nsi);
}

/* An answer to a probe; the one from the relay opens a way. */
static void take_probe_answer(struct world *w, const struct world_packet *p)
{
	struct bs_probe_answer a;

	if (bs_probe_answer_decode(p->bytes, p->len, &a) || a.sp != w->nsi || !w->begun || w->bound)
		return;
	w->bound = true;
	if (bs_peer_add_path(&w->p, &p->from, BS_PATH_UDP_RELAY, w->now))
		world_fail(w, "the relay was refused");
}

void world_deliver(struct world *w, struct world_packet *p)
{
	struct bs_packet pkt;

	switch (p->to_host) {
	case HOST_SERVER: world_server_input(w, p); break;
	case HOST_DEVICE:
		(void)bs_device_input(&w->d, p->bytes, p->len, &p->from, w->now);
		fetch_device(w);
		break;
	default:
		if (!bs_packet_decode(p->bytes, p->len, &pkt) && pkt.h.type == BS_TYPE_PROBE)
			take_probe_answer(w, p);
		else if (w->begun)
			(void)bs_peer_input(&w->p, p->bytes, p->len, &p->from, w->now);
		fetch_client(w);
		break;
	}
}

static void call(struct world *w)
{
	struct bs_rpc_call *c = &w->call[w->n_calls];
	uint8_t *request = w->request[w->n_calls];

	w->next_call = w->now + BS_TIME_MS(CALL_EVERY);
	if (w->n_calls == WORLD_CALLS ||
	    BS_TIME_DIFF(w->now, w->started) > BS_TIME_DIFF(BS_TIME_MS(CALLS_END), 0))
		return;
	bs_put_u32(request, 42);
	bs_put_u32(request + 4, (uint32_t)w->n_calls);
	c->request.ptr = request;
	c->request.len = 8;
	c->done = on_done;
	c->app = w;
	w->n_calls++;
	if (bs_peer_call(&w->p, c, w->now))
		world_fail(w, "a call was refused");
}

static void step_client(struct world *w)
{
	if (!w->begun && w->accepted && BS_TIME_DIFF(w->now, w->begin_at) >= 0)
		begin(w);
	if (!w->begun)
		return;
	bs_peer_timeout(&w->p, w->now);
	if (BS_TIME_DIFF(w->now, w->next_call) >= 0)
		call(w);
	if (!w->conf.no_relay && !w->bound && w->binds < BINDS &&
	    BS_TIME_DIFF(w->now, w->bind_at) >= 0)
		bind_relay(w);
	fetch_client(w);
}

/* By pointer: the time is set by what says whether there is one. */
static void earlier(bs_time *at, bool has, const bs_time *t)
{
	if (has && BS_TIME_DIFF(*t, *at) < 0)
		*at = *t;
}

static bs_time next_event(struct world *w, bs_time end)
{
	bs_time t = 0;

	earlier(&end, world_net_next(w, &t), &t);
	earlier(&end, world_server_next(w, &t), &t);
	earlier(&end, bs_device_next_timeout(&w->d, &t), &t);
	earlier(&end, w->accepted && !w->begun, &w->begin_at);
	if (!w->begun)
		return end;
	earlier(&end, bs_peer_next_timeout(&w->p, &t), &t);
	earlier(&end, w->n_calls < WORLD_CALLS, &w->next_call);
	earlier(&end, !w->conf.no_relay && !w->bound && w->binds < BINDS, &w->bind_at);
	return end;
}

static void run_until(struct world *w, uint32_t until_ms)
{
	bs_time end = BS_TIME_MS(until_ms);
	size_t stuck = 0;
	bs_time at;

	while (!w->failure[0] && BS_TIME_DIFF(w->now, end) < 0) {
		at = next_event(w, end);
		if (BS_TIME_DIFF(at, w->now) > 0) {
			w->now = at;
			stuck = 0;
		} else if (stuck++ > 1000) {
			world_fail(w, "time stands still");
		}
		world_net_run(w);
		bs_device_timeout(&w->d, w->now);
		fetch_device(w);
		step_client(w);
		world_server_timeout(w);
	}
}

static void setup(struct world *w, const struct world_conf *conf)
{
	struct bs_endpoint local;

	memset((uint8_t *)w + offsetof(struct world, conf), 0,
	       sizeof(*w) - offsetof(struct world, conf));
	w->conf = *conf;
	w->rng = (conf->seed + 1u) * 2654435761u;
	w->now = BS_TIME_MS(1000);
	bs_small_crypto_init(&w->crypto, on_random, w);
	world_net_init(w);
	world_server_init(w);
	w->ops.rpc = on_rpc;
	w->dconf.id.ptr = (const uint8_t *)"dev.sim";
	w->dconf.id.len = 7;
	w->dconf.psk = psk;
	w->dconf.ext_offer = conf->stock ? 0 : BS_EXT_CLOSE | BS_EXT_ATTEMPT | BS_EXT_PATH;
	w->dconf.sockets = BS_SPRAY_SOCKETS;
	w->dconf.ops = &w->ops;
	w->dconf.app = w;
	if (bs_device_init(&w->d, &w->dconf, &w->crypto, w->conns, 2, w->slots, 2))
		world_fail(w, "device refused");
	memset(&local, 0, sizeof(local));
	bs_endpoint_set_ip4(&local, w->host[HOST_DEVICE].ip, w->host[HOST_DEVICE].port[0]);
	bs_device_set_local(&w->d, &local);
	bs_device_start(&w->d, w->now);
	fetch_device(w);
}

static void probe(struct world *w, uint32_t at)
{
	struct bs_endpoint to[2] = { world_controller(), world_attach() };
	unsigned i;

	/* Repeated, as the library does until both are answered. */
	for (i = 0; i < PROBES; i++) {
		send_probe(w, &to[0], 0, 1);
		send_probe(w, &to[1], 1, 1);
		run_until(w, at + (i + 1) * PROBE_EVERY);
	}
}

bool world_play(struct world *w, const struct world_conf *conf)
{
	uint32_t at;

	setup(w, conf);
	/* Where its last packet of the attach is lost, the device finds out by its polls only. */
	for (at = ATTACH_STEP; at <= ATTACH_END && !w->server.nsi; at += ATTACH_STEP)
		run_until(w, at);
	if (!w->server.nsi)
		world_fail(w, "the device is not attached");
	probe(w, at);
	if (!w->failure[0])
		world_server_connect(w);
	run_until(w, at + RUN_LENGTH);
	if (!w->failure[0] && !w->begun)
		world_fail(w, "the client never began");
	if (!w->failure[0] && w->answered < w->n_calls)
		world_fail(w, "%zu of %zu calls were not answered", w->n_calls - w->answered,
			   w->n_calls);
	if (w->begun)
		bs_peer_fini(&w->p);
	bs_device_fini(&w->d);
	return !w->failure[0];
}
