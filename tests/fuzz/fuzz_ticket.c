/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets under a connect ticket, tickets, challenges.  The cipher is one that opens everything, so
 * that what a holder of the key may send gets to the parsers, too.
 */
#include "fuzz.h"
#include "proto/ticket_server.h"

static int seal_any(void *ctx, const uint8_t *key, const uint8_t *nonce, struct bs_slice ad,
		    uint8_t *buf, size_t len, uint8_t *tag)
{
	memset(tag, 0, BS_AEAD_TAG_LEN);
	return BS_OK;
}

static int open_any(void *ctx, const uint8_t *key, const uint8_t *nonce, struct bs_slice ad,
		    uint8_t *buf, size_t len, const uint8_t *tag)
{
	return BS_OK;
}

static int hmac_any(void *ctx, const uint8_t *key, size_t key_len, const struct bs_slice *msg,
		    size_t n, uint8_t *out)
{
	memset(out, 0, BS_SHA256_LEN);
	return BS_OK;
}

static int no_random(void *ctx, uint8_t *buf, size_t len)
{
	memset(buf, 0, len);
	return BS_OK;
}

static const struct bs_aead aead = { seal_any, open_any, NULL };
static const struct bs_crypto crypto = { .hmac_sha256 = hmac_any, .random = no_random };
static const struct bs_ticket_cipher cipher = { &crypto, &aead, NULL };
static const uint8_t key[BS_TICKET_KEY_LEN];

static void grants(const uint8_t *data, size_t len)
{
	const struct bs_slice ticket = { data, len };
	uint8_t again[BS_TICKET_LEN];
	struct bs_ticket_grant g;
	uint32_t no;

	if (!bs_ticket_key_number(ticket, &no))
		return;
	if (!fuzz_taken(bs_ticket_grant_open(&cipher, key, ticket, &g)))
		return;
	FUZZ_CHECK(memchr(g.identity, 0, sizeof(g.identity)) != NULL);
	FUZZ_CHECK(g.serial_len <= sizeof(g.serial));
	FUZZ_CHECK(bs_ticket_grant_seal(&cipher, key, no, &g, again) == BS_OK);
}

static void tokens(const struct bs_packet *p)
{
	struct bs_ticket_seen seen;
	const uint8_t *token;
	size_t off = 0;

	while ((token = bs_ticket_token_next(p, &off)) != NULL) {
		int err = bs_ticket_challenge_check(&crypto, key, 1, token, 100000, 60000, &seen);

		FUZZ_CHECK(err == BS_EMAC || err == BS_ETIMEDOUT || err == BS_OK);
	}
}

static void packets(uint8_t *pkt, const struct bs_packet *p)
{
	static uint8_t out[BS_TICKET_PACKET_MAX];
	struct bs_gate_ticket_answer a;
	struct bs_sealed s, t;
	struct bs_packet inner, q;
	bs_ssize n;

	if (fuzz_taken(bs_gate_ticket_answer_decode(p, &a)))
		FUZZ_CHECK(a.n_eps <= BS_GATE_PROBES_MAX && a.ticket.len <= BS_GATE_TICKET_MAX);
	if (!fuzz_taken(bs_sealed_decode(p, &s)))
		return;
	FUZZ_CHECK(s.text_off + s.text_len + BS_SEALED_TAG_LEN <= p->len);
	t = s;
	n = bs_sealed_encode(&t, s.text_len, s.is_answer ? 0 : BS_TICKET_REQUEST_MIN, out,
			     sizeof(out));
	if (n > 0) {
		FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
		FUZZ_CHECK(bs_sealed_decode(&q, &t) == BS_OK);
		FUZZ_CHECK(t.nonce_off == s.nonce_off && t.text_len == s.text_len);
	}
	if (fuzz_taken(bs_ticket_open(&cipher, key, &s, pkt, &inner)))
		tokens(&inner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *pkt = fuzz_packet(data, len);
	struct bs_packet p;

	grants(data, len);
	if (fuzz_taken(bs_packet_decode(pkt, len, &p)))
		packets(pkt, &p);
	free(pkt);
	return 0;
}
