/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local side of a device, driven by operations: datagrams raw, and from clients that know the
 * key, cut short and bent on the way; time; the switch; failing random numbers.
 */
#include "fuzz.h"

#include "crypto/small.h"
#include "proto/local_client.h"
#include "proto/local_device.h"
#include "util/endpoint.h"

#define CONNS   3
#define CLIENTS 3

struct state {
	struct bs_device d;
	struct bs_device_conn conns[CONNS];
	struct bs_rpc_slot slot;
	struct bs_local_device l;
	struct bs_local_connect client[CLIENTS];
	struct bs_crypto crypto;
	struct bs_cursor in;
	bool no_random;
	uint8_t counter;
	bs_time now;
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

static uint16_t on_key(void *app, const uint8_t *key_id, const struct bs_access *who,
		       struct bs_local_key *out)
{
	(void)app;
	memset(out->psk, 0, sizeof(out->psk));
	out->proves_fingerprint = who->fp != NULL && who->fp[0] & 1;
	return key_id[0] == 0 ? BS_ST_OK : BS_ST_KEY_ID;
}

static struct bs_endpoint source(uint8_t n)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0x0A000001u + n % 3, (uint16_t)(4000 + n % 5));
	bs_endpoint_set_via(&ep, BS_VIA_LOCAL);
	return ep;
}

/* Everything that leaves is well formed, short, and for a neighbour. */
static void drain(struct state *s)
{
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_endpoint to;
	struct bs_endpoint dev = s->client[0].ep;
	struct bs_packet p;
	size_t len;
	size_t k;

	while ((len = bs_local_device_output(&s->l, buf, sizeof(buf), &to)) > 0) {
		FUZZ_CHECK(s->d.attach.state != BS_ATTACH_STOPPED);
		FUZZ_CHECK(len <= sizeof(buf) && bs_endpoint_via(&to) == BS_VIA_LOCAL);
		FUZZ_CHECK(bs_get_u32(buf) == (BS_LEGACY_RESPONSE | BS_LEGACY_DISCOVERY) ||
			   bs_local_packet_decode(buf, len, &p) == BS_OK);
		for (k = 0; k < CLIENTS; k++) {
			uint8_t copy[BS_PACKET_SMALL];

			memcpy(copy, buf, len);
			(void)!bs_local_connect_input(&s->client[k], copy, len, &dev, s->now);
		}
	}
	while (bs_device_output(&s->d, buf, sizeof(buf), &to, s->now) > 0)
		;
	FUZZ_CHECK(bs_device_n_live(&s->d) <= CONNS);
}

static void give(struct state *s, const uint8_t *data, size_t len, uint8_t from)
{
	struct bs_endpoint ep = source(from);
	uint8_t *copy = malloc(len ? len : 1);

	FUZZ_CHECK(copy != NULL);
	if (len)
		memcpy(copy, data, len);
	FUZZ_CHECK(bs_local_device_input(&s->l, copy, len, &ep, s->now) <= 0);
	free(copy);
	drain(s);
}

static void raw(struct state *s)
{
	uint8_t from = bs_cursor_read_u8(&s->in);
	size_t len = bs_cursor_read_u8(&s->in);
	const uint8_t *p;

	if (len > bs_cursor_left(&s->in))
		len = bs_cursor_left(&s->in);
	p = bs_cursor_read_bytes(&s->in, len);
	if (p)
		give(s, p, len, from);
}

static void begin(struct state *s, struct bs_local_connect *c)
{
	static const uint8_t zeros[16];
	struct bs_local_target t;
	uint8_t how = bs_cursor_read_u8(&s->in);

	memset(&t, 0, sizeof(t));
	bs_endpoint_set_ip4(&t.ep, 0x0A0000FE, 5570);
	t.device.ptr = (const uint8_t *)"dev.fuzz";
	t.device.len = 8;
	t.plain = how & 1;
	t.key_id = t.psk = zeros;
	t.fp = how & 2 ? &s->counter : NULL;
	if (t.fp)
		t.fp = zeros;
	(void)!bs_local_connect_start(c, &s->crypto, &t, s->now);
}

/* What a client has to say, perhaps with a byte changed or the end missing. */
static void speak(struct state *s, struct bs_local_connect *c)
{
	uint8_t from = bs_cursor_read_u8(&s->in);
	uint8_t bend = bs_cursor_read_u8(&s->in);
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_endpoint to;
	size_t n = bs_local_connect_output(c, buf, sizeof(buf), &to);

	if (!n)
		return;
	if (bend & 0x80)
		buf[(size_t)(bend & 0x7F) * 2 % n] ^= 0x41;
	give(s, buf, n, from);
	/* A repeat. */
	if (bend & 0x40)
		give(s, buf, n, from);
}

static void step(struct state *s)
{
	uint8_t op = bs_cursor_read_u8(&s->in);
	struct bs_local_connect *c = &s->client[op >> 4 & 1];
	bs_time at;

	switch (op & 7) {
	case 0: raw(s); break;
	case 1: begin(s, c); break;
	case 2: speak(s, c); break;
	case 3: bs_local_connect_abort(c); break;
	case 4:
		s->now += BS_TIME_MS((uint32_t)bs_cursor_read_u8(&s->in) * 100u);
		bs_local_device_timeout(&s->l, s->now);
		bs_device_timeout(&s->d, s->now);
		bs_local_connect_timeout(c, s->now);
		FUZZ_CHECK(!bs_local_device_next_timeout(&s->l, &at) ||
			   BS_TIME_DIFF(at, s->now) > 0);
		break;
	case 5: s->no_random = !s->no_random; break;
	case 6:
		bs_device_stop(&s->d);
		drain(s);
		FUZZ_CHECK(bs_device_n_live(&s->d) == 0);
		bs_device_start(&s->d, s->now);
		break;
	default: bs_local_device_stop(&s->l); break;
	}
	drain(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const uint8_t psk[16] = { 1 };
	static struct bs_device_ops ops;
	struct bs_device_conf conf;
	struct bs_local_conf local;
	struct state *s = calloc(1, sizeof(*s));

	FUZZ_CHECK(s != NULL);
	memset(&conf, 0, sizeof(conf));
	memset(&local, 0, sizeof(local));
	conf.id.ptr = (const uint8_t *)"dev.fuzz";
	conf.id.len = 8;
	conf.psk = psk;
	conf.ops = &ops;
	bs_cursor_init(&s->in, bytes, len);
	local.port = 5570;
	local.allow = bs_cursor_read_u8(&s->in) | BS_LOCAL_DISCOVERY;
	local.key = on_key;
	bs_small_crypto_init(&s->crypto, fill, s);
	FUZZ_CHECK(bs_device_init(&s->d, &conf, &s->crypto, s->conns, CONNS, &s->slot, 1) == BS_OK);
	bs_device_start(&s->d, s->now);
	bs_local_device_init(&s->l, &s->d, &local);
	while (bs_cursor_left(&s->in))
		step(s);
	bs_local_device_stop(&s->l);
	bs_device_fini(&s->d);
	free(s);
	return 0;
}
