/* SPDX-License-Identifier: Apache-2.0 */
/* A client's end, driven by a sequence of operations: datagrams raw and sealed, calls, time. */
#include "fuzz.h"

#include "crypto/small.h"
#include "proto/peer.h"
#include "util/endpoint.h"

#define NSI   UINT32_C(0x20000001)
#define CALLS 4

struct state {
	struct bs_peer p;
	struct bs_crypto crypto;
	struct bs_key_block key;
	bool no_random;
	uint8_t counter;
	bs_time now;
	struct bs_cursor in;
	struct bs_rpc_call call[CALLS];
	size_t started;
	size_t ended;
};

static const uint8_t request[64] = { 0, 0, 0, 1 };

static int fill(void *ctx, uint8_t *buf, size_t len)
{
	struct state *s = ctx;

	if (s->no_random)
		return BS_ERANDOM;
	while (len--)
		*buf++ = s->counter++;
	return BS_OK;
}

static void on_done(void *app, struct bs_rpc_call *call, int err, uint32_t exception,
		    struct bs_slice reply)
{
	struct state *s = app;

	(void)call;
	(void)exception;
	FUZZ_CHECK(err == BS_OK || reply.len == 0 || err == BS_EREFUSED);
	s->ended++;
	FUZZ_CHECK(s->ended <= s->started);
}

static struct bs_endpoint source(uint8_t kind)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0x0A000001, (uint16_t)(1000 + kind % 4));
	return ep;
}

static void drain(struct state *s)
{
	struct bs_endpoint to;
	uint8_t buf[BS_PACKET_MAX];
	struct bs_packet p;
	size_t n = 0;
	size_t len;

	while ((len = bs_peer_output(&s->p, buf, sizeof(buf), &to, s->now)) > 0) {
		FUZZ_CHECK(len <= sizeof(buf) && n++ < 64);
		FUZZ_CHECK(bs_packet_decode(buf, len, &p) == BS_OK);
		FUZZ_CHECK(bs_endpoint_is_set(&to));
		FUZZ_CHECK(s->p.conn.large || len <= BS_PACKET_SMALL);
	}
	if (bs_peer_take_events(&s->p) & BS_PEER_EV_CLOSED)
		FUZZ_CHECK(s->ended == s->started);
}

static void give(struct state *s, const uint8_t *bytes, size_t len, uint8_t from)
{
	struct bs_endpoint ep = source(from);
	uint8_t *pkt = fuzz_packet(bytes, len);
	int err = bs_peer_input(&s->p, pkt, len, &ep, s->now);

	FUZZ_CHECK(err <= 0);
	free(pkt);
}

static const uint8_t *take(struct state *s, size_t *len)
{
	*len = bs_cursor_read_u8(&s->in);
	if (*len > bs_cursor_left(&s->in))
		*len = bs_cursor_left(&s->in);
	return bs_cursor_read_bytes(&s->in, *len);
}

static void raw(struct state *s)
{
	uint8_t from = bs_cursor_read_u8(&s->in);
	size_t len;
	const uint8_t *p = take(s, &len);
	uint8_t *copy;

	if (!p || len < BS_HEADER_MIN)
		return;
	copy = malloc(len);
	FUZZ_CHECK(copy != NULL);
	memcpy(copy, p, len);
	bs_put_u32(copy + 4, NSI);
	give(s, copy, len, from);
	free(copy);
}

/* What a device with the key would send. */
static void sealed(struct state *s)
{
	struct bs_conn_send send = { 0 };
	struct bs_slice plain;
	uint8_t buf[BS_PACKET_MAX];
	struct bs_conn dev;
	uint8_t from = bs_cursor_read_u8(&s->in);
	bs_ssize len;

	bs_conn_init(&dev, BS_RESPONDER, NSI, &s->key, &bs_suite_aes_cbc, s->now);
	send.seq = (uint16_t)(s->p.rpc.seq - bs_cursor_read_u8(&s->in) % 4);
	send.tag = bs_cursor_read_u8(&s->in) % 5;
	send.flags = bs_cursor_read_u8(&s->in) & 0x43;
	plain.ptr = take(s, &plain.len);
	if (!plain.ptr)
		plain.len = 0;
	len = bs_conn_seal(&dev, &s->crypto, &send, plain, buf, sizeof(buf));
	if (len > 0)
		give(s, buf, (size_t)len, from);
}

static void call(struct state *s)
{
	struct bs_rpc_call *c = &s->call[bs_cursor_read_u8(&s->in) % CALLS];
	int err;

	if (c->state) {
		bs_peer_cancel(&s->p, c);
		return;
	}
	memset(c, 0, sizeof(*c));
	c->request.ptr = request;
	c->request.len = bs_cursor_read_u8(&s->in) % sizeof(request);
	c->options = bs_cursor_read_u8(&s->in) & BS_RPC_NO_RETRY;
	c->done = on_done;
	c->app = s;
	s->started++;
	err = bs_peer_call(&s->p, c, s->now);
	if (err)
		s->started--;
}

static void pass_time(struct state *s)
{
	bs_time end = s->now + BS_TIME_MS((uint32_t)bs_cursor_read_u8(&s->in) * 50u);
	bs_time at;
	size_t n = 0;

	while (bs_peer_next_timeout(&s->p, &at) && BS_TIME_DIFF(at, end) <= 0) {
		FUZZ_CHECK(n++ < 2000);
		if (BS_TIME_DIFF(at, s->now) > 0)
			s->now = at;
		bs_peer_timeout(&s->p, s->now);
		drain(s);
	}
	s->now = end;
}

static void step(struct state *s)
{
	struct bs_endpoint ep;

	switch (bs_cursor_read_u8(&s->in) % 12) {
	case 0:
	case 1: raw(s); break;
	case 2:
	case 3:
	case 4: sealed(s); break;
	case 5:
	case 6: call(s); break;
	case 7: pass_time(s); break;
	case 8:
		ep = source(bs_cursor_read_u8(&s->in));
		(void)bs_peer_add_candidate(&s->p, &ep, BS_CANDIDATE_HOST);
		break;
	case 9:
		ep = source(bs_cursor_read_u8(&s->in));
		bs_peer_set_path(&s->p, &ep, BS_PATH_UDP_RELAY, s->now);
		break;
	case 10: s->no_random = !s->no_random; break;
	default:
		if (bs_cursor_read_u8(&s->in) % 4 == 0)
			bs_peer_close(&s->p, s->now);
		else
			bs_peer_network_changed(&s->p, s->now);
		break;
	}
	drain(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct bs_peer_conf conf;
	struct state s;

	memset(&s, 0, sizeof(s));
	memset(&conf, 0, sizeof(conf));
	memset(&s.key, 0x33, sizeof(s.key));
	bs_small_crypto_init(&s.crypto, fill, &s);
	bs_cursor_init(&s.in, bytes, len);
	conf.crypto = &s.crypto;
	conf.key = s.key;
	conf.suite = &bs_suite_aes_cbc;
	conf.nsi_sp = NSI;
	conf.nsi_cp = 100;
	conf.interval_ms = bs_cursor_read_u8(&s.in) * 100u;
	s.now = (bs_time)0 - BS_TIME_MS(10000);
	FUZZ_CHECK(bs_peer_init(&s.p, &conf, s.now) == BS_OK);
	s.p.rpc.max_outstanding = 2;
	bs_peer_start(&s.p, s.now);
	while (bs_cursor_left(&s.in))
		step(&s);
	bs_peer_fini(&s.p);
	FUZZ_CHECK(s.ended == s.started);
	return 0;
}
