/* SPDX-License-Identifier: Apache-2.0 */
#include "forge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sockets.h"
#include "util/cursor.h"
#include "util/endpoint.h"
#include "wire/alive.h"
#include "wire/attach.h"
#include "wire/invite.h"

enum {
	NONCE_LEN = 32,
	/* Ports of the one address of FORGE_CGNAT. */
	CGNAT_PORTS = 256,
	/* Addresses that stand for everywhere. */
	EVERYWHERE = 1 << 20,
	/* Text of a CRYPTO payload as attach responses have it: code, IV, four blocks and padding,
	 * MAC. */
	CRYPTO_TEXT_LEN = 2 + 16 + 80 + 16,
	DEVICE_KIND = 5,
};

struct forge {
	struct forge_conf conf;
	struct sockets sockets;
	struct bs_endpoint server;
	uint64_t random;
	uint32_t sent;
	struct forge_counts counts;
};

static const struct {
	const char *word;
	enum forge_kind kind;
} kinds[] = {
	{ "unknown", FORGE_UNKNOWN }, { "known", FORGE_KNOWN }, { "target", FORGE_TARGET },
	{ "prefix", FORGE_PREFIX },   { "cgnat", FORGE_CGNAT }, { "alive", FORGE_ALIVE },
	{ "attach", FORGE_ATTACH },
};

bool forge_kind(const char *word, enum forge_kind *kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].word, word) == 0) {
			*kind = kinds[i].kind;
			return true;
		}
	}
	return false;
}

/* SplitMix64: good enough to hit everything alike, and the same in every run with one seed. */
static uint64_t next(struct forge *f)
{
	uint64_t z = f->random += UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static uint32_t below(struct forge *f, uint32_t n)
{
	return (uint32_t)(next(f) % n);
}

static size_t make_id(struct forge *f, char id[static IDS_NAME_MAX])
{
	const struct forge_conf *c = &f->conf;
	struct ids nobody = c->ids;

	if (c->kind == FORGE_TARGET)
		return ids_name(&c->ids, c->target, id);
	if (c->kind != FORGE_UNKNOWN)
		return ids_name(&c->ids, below(f, c->n), id);
	nobody.prefix = "nobody-";
	nobody.first = 0;
	return ids_name(&nobody, below(f, 10000000), id);
}

/* Every second one is for the attach server: there an answer costs crypto and room. */
static bs_ssize make_invite(struct forge *f, uint8_t *buf, struct bs_endpoint *to)
{
	uint8_t nonce[NONCE_LEN];
	char id[IDS_NAME_MAX];
	struct bs_invite m = { .version = { .kind = DEVICE_KIND, .has_patch = true } };

	m.id.len = make_id(f, id);
	m.id.ptr = (const uint8_t *)id;
	*to = f->conf.controller;
	if (f->sent % 2 && bs_endpoint_is_set(&f->server)) {
		for (unsigned i = 0; i < NONCE_LEN; i += 8)
			bs_put_u64(nonce + i, next(f));
		m.nonce.ptr = nonce;
		m.nonce.len = sizeof(nonce);
		m.caps.has_suites = true;
		m.caps.n_suites = 1;
		m.caps.suite = BS_SUITE_AES_CBC;
		*to = f->server;
	}
	return bs_invite_encode(buf, BS_UDP_BUF, &m);
}

static bs_ssize make_alive(struct forge *f, uint8_t *buf, struct bs_endpoint *to)
{
	const uint64_t r = next(f);
	const struct bs_alive_answer m = { .nsi = (uint32_t)r, .seq = (uint16_t)(r >> 32) };

	*to = bs_endpoint_is_set(&f->server) ? f->server : f->conf.controller;
	return bs_alive_answer_encode(buf, BS_UDP_BUF, &m);
}

static bs_ssize make_response(struct forge *f, uint8_t *buf, struct bs_endpoint *to)
{
	const uint64_t r = next(f);
	uint8_t text[CRYPTO_TEXT_LEN];
	struct bs_attach_response m = { .nsi = (uint32_t)r, .seq = (uint16_t)(r >> 32) };
	struct bs_writer w;

	m.caps.mask = BS_ATTACH_CAP_MASK;
	m.caps.bits = BS_ATTACH_CAP_BITS;
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)next(f);
	bs_put_u16(text, BS_SUITE_AES_CBC);
	bs_attach_response_begin(&w, buf, BS_UDP_BUF, &m);
	bs_packet_add(&w, BS_PL_CRYPTO, 0, text, sizeof(text));
	*to = bs_endpoint_is_set(&f->server) ? f->server : f->conf.controller;
	return bs_packet_finish(&w);
}

static uint32_t source(struct forge *f)
{
	const uint32_t first = f->conf.first_ip;

	switch (f->conf.kind) {
	case FORGE_PREFIX: return (first & 0xFFFFFF00) | below(f, 256);
	case FORGE_CGNAT: return first;
	default: return first + below(f, EVERYWHERE);
	}
}

void forge_send(struct forge *f, uint32_t n)
{
	for (; n > 0; n--) {
		uint8_t *buf = sockets_reserve(&f->sockets);
		struct bs_endpoint to;
		bs_ssize len;

		if (f->conf.kind == FORGE_ALIVE)
			len = make_alive(f, buf, &to);
		else if (f->conf.kind == FORGE_ATTACH)
			len = make_response(f, buf, &to);
		else
			len = make_invite(f, buf, &to);
		f->sent++;
		if (len <= 0)
			continue;
		sockets_commit(&f->sockets, (size_t)len, below(f, f->sockets.n), source(f), &to);
	}
	sockets_flush(&f->sockets);
}

static void take(void *ctx, unsigned socket, struct bs_datagram *d)
{
	struct forge *f = ctx;

	(void)socket;
	f->counts.answers++;
	f->counts.answer_bytes += d->len;
}

void forge_step(struct forge *f)
{
	(void)sockets_receive(&f->sockets, take, f);
}

void forge_set_server(struct forge *f, const struct bs_endpoint *server)
{
	f->server = *server;
}

struct forge_counts forge_counts(const struct forge *f)
{
	struct forge_counts c = f->counts;

	c.sent = f->sockets.packets_sent;
	c.bytes_sent = f->sockets.bytes_sent;
	return c;
}

struct forge *forge_new(const struct forge_conf *conf)
{
	struct forge *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->conf = *conf;
	f->random = conf->seed;
	if (f->conf.n == 0)
		f->conf.n = 1;
	if (sockets_open(&f->sockets, conf->poller, conf->kind == FORGE_CGNAT ? CGNAT_PORTS : 1,
			 1u << 20) == BS_OK)
		return f;
	forge_free(f);
	return NULL;
}

void forge_free(struct forge *f)
{
	if (f)
		sockets_close(&f->sockets);
	free(f);
}
