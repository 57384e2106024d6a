/* SPDX-License-Identifier: Apache-2.0 */
/* U_ALIVE: what is taken can be written, and is taken again with the same meaning; what is sealed
 * opens, once. */
#include "fuzz.h"

#include "crypto/small.h"
#include "proto/alive_auth.h"
#include "wire/alive.h"

static void request(const struct bs_packet *p)
{
	uint8_t out[2048];
	struct bs_alive_request m;
	struct bs_alive_request again;
	struct bs_packet q;
	bs_ssize n;

	if (!fuzz_taken(bs_alive_request_decode(p, &m)))
		return;
	n = bs_alive_request_encode(out, sizeof(out), &m);
	if (n < 0)
		return;
	FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_alive_request_decode(&q, &again) == BS_OK);
	FUZZ_CHECK(m.seq == again.seq && m.interval_s == again.interval_s);
}

static void answer(const struct bs_packet *p)
{
	uint8_t out[70000];
	struct bs_alive_answer m;
	struct bs_alive_answer again;
	struct bs_packet q;
	bs_ssize n;

	if (!fuzz_taken(bs_alive_answer_decode(p, &m)))
		return;
	n = bs_alive_answer_encode(out, sizeof(out), &m);
	if (n < 0)
		return;
	FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_alive_answer_decode(&q, &again) == BS_OK);
	FUZZ_CHECK(m.events.len == again.events.len);
}

static int no_random(void *ctx, uint8_t *buf, size_t len)
{
	(void)ctx;
	memset(buf, 0, len);
	return BS_OK;
}

static void auth(const struct bs_packet *p)
{
	static const struct bs_key_block key;
	struct bs_window seen = { 0 };
	struct bs_crypto crypto;
	uint8_t out[2048];
	uint32_t sent = 0;
	struct bs_packet q;
	bool newest;
	bs_ssize n;

	bs_small_crypto_init(&crypto, no_random, NULL);
	(void)fuzz_taken(bs_alive_auth_open(&crypto, &key, BS_RESPONDER, &seen, p, &newest));
	if (p->len > sizeof(out) - BS_ALIVE_AUTH_LEN)
		return;
	memcpy(out, p->bytes, p->len);
	memset(&seen, 0, sizeof(seen));
	n = bs_alive_auth_seal(&crypto, &key, BS_INITIATOR, &sent, out, p->len, sizeof(out));
	FUZZ_CHECK(n > 0 && bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_alive_auth_open(&crypto, &key, BS_RESPONDER, &seen, &q, &newest) == BS_OK);
	FUZZ_CHECK(bs_alive_auth_open(&crypto, &key, BS_RESPONDER, &seen, &q, &newest) != BS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *pkt = fuzz_packet(data, len);
	struct bs_packet p;

	if (fuzz_taken(bs_packet_decode(pkt, len, &p))) {
		request(&p);
		answer(&p);
		auth(&p);
	}
	free(pkt);
	return 0;
}
