/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole device, driven by a sequence of operations: datagrams raw and sealed, time, lookups, the
 * switch, failing random numbers.  Each operation is a byte, its arguments follow.
 */
#include "fuzz.h"

#include "crypto/small.h"
#include "proto/device.h"
#include "util/endpoint.h"
#include "wire/connect.h"

#define CONNS      2
#define NSI        UINT32_C(0x20000001)
#define CONTROLLER 5566
#define SERVER     5562

struct state {
	struct bs_device d;
	struct bs_device_conn conns[CONNS];
	struct bs_rpc_slot slot; /* shared */
	struct bs_crypto crypto;
	bool no_random;
	uint8_t counter;
	bs_time now;
	struct bs_cursor in;
	uint32_t token;
	size_t runs;
};

static int fill(void *ctx, uint8_t *buf, size_t len)
{
	struct state *s = ctx;

	if (s->no_random)
		return BS_ERANDOM;
	while (len--)
		*buf++ = s->counter++;
	return BS_OK;
}

static int on_rpc(void *app, struct bs_rpc_request *req)
{
	struct state *s = app;
	struct bs_slice raw = bs_rpc_read_raw(&req->args);

	s->runs++;
	bs_rpc_write_raw(&req->reply, raw);
	if (req->query % 3 == 1) {
		s->token = req->token;
		return BS_RPC_DEFERRED;
	}
	return (int)(req->query % 5 == 2 ? req->query & 0xFF : 0);
}

static uint16_t on_access(void *app, const struct bs_access *who)
{
	(void)app;
	FUZZ_CHECK(who->client_id.len <= BS_PACKET_SMALL);
	return who->fp && who->fp[0] == 0xFF ? BS_ST_REFUSED_DEVICE : BS_ST_OK;
}

static size_t on_events(void *app, bool again, uint8_t *buf, size_t cap)
{
	(void)app;
	if (again || cap < 3)
		return 0;
	memcpy(buf, "1:x", 3);
	return 3;
}

static struct bs_endpoint source(uint8_t kind)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0x0A000001,
			    kind % 4 == 0   ? CONTROLLER
			    : kind % 4 == 1 ? SERVER
					    : (uint16_t)(1000 + kind));
	return ep;
}

/* All output is well formed and small, and it ends. */
static void drain(struct state *s)
{
	struct bs_endpoint ctrl = source(0);
	struct bs_endpoint to;
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_packet p;
	size_t n = 0;
	size_t len;

	while ((len = bs_device_output(&s->d, buf, sizeof(buf), &to, s->now)) > 0) {
		FUZZ_CHECK(s->d.attach.state != BS_ATTACH_STOPPED);
		FUZZ_CHECK(len <= sizeof(buf) && n++ < 64);
		FUZZ_CHECK(bs_packet_decode(buf, len, &p) == BS_OK);
		FUZZ_CHECK(bs_endpoint_is_set(&to));
	}
	if (bs_device_take_events(&s->d) & BS_ATTACH_EV_RESOLVE && s->counter % 3)
		bs_device_resolved(&s->d, &ctrl, 1, s->now);
}

static void give(struct state *s, const uint8_t *bytes, size_t len, uint8_t from)
{
	struct bs_endpoint ep = source(from);
	uint8_t *pkt = fuzz_packet(bytes, len);
	int err = bs_device_input(&s->d, pkt, len, &ep, s->now);

	FUZZ_CHECK(err <= 0);
	free(pkt);
}

static void raw(struct state *s)
{
	uint8_t from = bs_cursor_read_u8(&s->in);
	size_t len = bs_cursor_read_u16(&s->in) % (BS_PACKET_SMALL + 1);
	const uint8_t *p;

	if (len > bs_cursor_left(&s->in))
		len = bs_cursor_left(&s->in);
	p = bs_cursor_read_bytes(&s->in, len);
	if (p)
		give(s, p, len, from);
}

/* DATA that a client with the key would send. */
static void data(struct state *s)
{
	struct bs_conn_send send = { 0 };
	struct bs_slice plain;
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_conn client;
	uint8_t from = bs_cursor_read_u8(&s->in);
	bs_ssize len;

	bs_conn_init(&client, BS_INITIATOR, NSI, &s->conns[0].c.key, &bs_suite_aes_cbc, s->now);
	send.seq = bs_cursor_read_u8(&s->in);
	send.tag = bs_cursor_read_u8(&s->in) % 5;
	send.flags = bs_cursor_read_u8(&s->in) & (BS_FLAG_RESPONSE | BS_FLAG_TAG | BS_FLAG_NSI_CO);
	plain.len = bs_cursor_read_u8(&s->in) % 210;
	if (plain.len > bs_cursor_left(&s->in))
		plain.len = bs_cursor_left(&s->in);
	plain.ptr = bs_cursor_read_bytes(&s->in, plain.len);
	if (!plain.ptr)
		plain.len = 0;
	len = bs_conn_seal(&client, &s->crypto, &send, plain, buf, sizeof(buf));
	if (len > 0)
		give(s, buf, (size_t)len, from);
}

/* What the server knows is known to the fuzzer: an attachment and a connection by hand. */
static void attach(struct state *s)
{
	if (s->d.attach.state != BS_ATTACH_SERVER && s->d.attach.state != BS_ATTACH_CONTROLLER)
		return;
	s->d.attach.server = source(1);
	s->d.attach.state = BS_ATTACH_ATTACHED;
	s->d.attach.nsi = 77;
	s->d.attach.granted = BS_EXT_CLOSE | BS_EXT_IP6;
	memset(&s->d.attach.key.c, 0x11, sizeof(s->d.attach.key.c));
	bs_alive_device_start(&s->d.attach.alive, s->d.conf, s->now);
}

static void connect(struct state *s)
{
	struct bs_connect_request m;
	struct bs_key_block d;
	struct bs_slice plain;
	struct bs_writer w;
	uint8_t buf[BS_PACKET_SMALL];
	bs_ssize len;

	memset(&d, 0x22, sizeof(d));
	memset(&m, 0, sizeof(m));
	m.cp = bs_cursor_read_u8(&s->in);
	m.seq = bs_cursor_read_u8(&s->in);
	m.ipx.flags = bs_cursor_read_u8(&s->in);
	m.ipx.global = source(bs_cursor_read_u8(&s->in));
	m.ipx.has_nsi = true;
	m.ipx.nsi_sp = NSI + bs_cursor_read_u8(&s->in) % 3;
	plain.ptr = d.b;
	plain.len = sizeof(d.b);
	if (bs_connect_request_begin(&w, buf, sizeof(buf), &m, sizeof(buf), plain))
		return;
	len = bs_suite_aes_cbc.seal(&s->crypto, &s->d.attach.key.c, BS_INITIATOR, &w, 0, plain);
	if (len > 0)
		give(s, buf, (size_t)len, 1);
}

static void pass_time(struct state *s)
{
	bs_time end = s->now + BS_TIME_MS((uint32_t)bs_cursor_read_u8(&s->in) * 150u);
	bs_time at;
	size_t n = 0;

	while (bs_device_next_timeout(&s->d, &at) && BS_TIME_DIFF(at, end) <= 0) {
		FUZZ_CHECK(n++ < 2000);
		if (BS_TIME_DIFF(at, s->now) > 0)
			s->now = at;
		bs_device_timeout(&s->d, s->now);
		drain(s);
	}
	s->now = end;
}

static void step(struct state *s)
{
	struct bs_slice none = { NULL, 0 };

	switch (bs_cursor_read_u8(&s->in) % 12) {
	case 0:
	case 1: raw(s); break;
	case 2:
	case 3: data(s); break;
	case 4: connect(s); break;
	case 5: attach(s); break;
	case 6: pass_time(s); break;
	case 7: bs_device_network_changed(&s->d, s->now); break;
	case 8:
		bs_device_stop(&s->d);
		drain(s);
		bs_device_start(&s->d, s->now);
		break;
	case 9: s->no_random = !s->no_random; break;
	case 10: bs_device_resolve_failed(&s->d, s->now); break;
	default:
		if (bs_device_rpc_answer(&s->d, s->token, 0, none) == BS_OK)
			s->token = 0;
		break;
	}
	drain(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const uint8_t psk[16] = { 1 };
	struct bs_device_ops ops = { 0 };
	struct bs_device_conf conf;
	struct state s;

	memset(&s, 0, sizeof(s));
	memset(&conf, 0, sizeof(conf));
	ops.rpc = on_rpc;
	ops.access = on_access;
	ops.events = on_events;
	conf.id.ptr = (const uint8_t *)"dev.fuzz";
	conf.id.len = 8;
	conf.psk = psk;
	conf.ops = &ops;
	conf.app = &s;
	bs_cursor_init(&s.in, bytes, len);
	conf.ext_offer =
		bs_cursor_read_u8(&s.in) & 1 ? BS_EXT_CLOSE | BS_EXT_IP6 | BS_EXT_ATTEMPT : 0;
	s.now = (bs_time)0 - BS_TIME_MS(20000);
	bs_small_crypto_init(&s.crypto, fill, &s);
	FUZZ_CHECK(bs_device_init(&s.d, &conf, &s.crypto, s.conns, CONNS, &s.slot, 1) == BS_OK);
	bs_device_start(&s.d, s.now);
	drain(&s);
	while (bs_cursor_left(&s.in))
		step(&s);
	bs_device_fini(&s.d);
	return 0;
}
