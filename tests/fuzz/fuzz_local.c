/* SPDX-License-Identifier: Apache-2.0 */
/* What arrives on the local network, on either side: legacy packets, discovery, handshakes. */
#include "fuzz.h"
#include "wire/connect.h"
#include "wire/local.h"

static void discovery(const uint8_t *data, size_t len)
{
	struct bs_discovery_answer m, again;
	struct bs_legacy_packet head;
	struct bs_slice name;
	uint8_t out[512];
	bs_ssize n;

	if (fuzz_taken(bs_legacy_decode(data, len, &head)))
		FUZZ_CHECK(head.body.len + BS_LEGACY_HEADER_LEN == len);
	if (fuzz_taken(bs_discovery_request_decode(data, len, &head, &name))) {
		n = bs_discovery_request_encode(out, sizeof(out), head.seq, name);
		FUZZ_CHECK(n == (bs_ssize)len);
		FUZZ_CHECK(memcmp(out + 12, data + 12, len - 12) == 0);
	}
	if (!fuzz_taken(bs_discovery_answer_decode(data, len, &m)))
		return;
	FUZZ_CHECK(m.port && bs_device_id_ok(m.id.ptr, m.id.len));
	FUZZ_CHECK(m.version.len <= BS_DISCOVERY_TEXT_MAX && m.url.len <= BS_DISCOVERY_TEXT_MAX);
	n = bs_discovery_answer_encode(out, sizeof(out), &m);
	FUZZ_CHECK(n > 0);
	FUZZ_CHECK(bs_discovery_answer_decode(out, (size_t)n, &again) == BS_OK);
	FUZZ_CHECK(again.id.len == m.id.len && again.psk == m.psk && again.plain == m.plain);
	FUZZ_CHECK(again.version.len == m.version.len && again.url.len == m.url.len);
}

static void request(const struct bs_packet *p)
{
	struct bs_psk_request m, again;
	struct bs_writer w;
	struct bs_packet q;
	uint8_t out[2048];
	bs_ssize n;

	if (!fuzz_taken(bs_psk_request_decode(p, &m)))
		return;
	FUZZ_CHECK(m.crypto_off < p->len && m.client_id.len <= BS_CLIENT_ID_MAX);
	bs_psk_request_begin(&w, out, sizeof(out), &m);
	bs_packet_add(&w, BS_PL_CRYPTO, 0, "xx", 2);
	n = bs_packet_finish(&w);
	FUZZ_CHECK(n > 0 && bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_psk_request_decode(&q, &again) == BS_OK && again.able);
	FUZZ_CHECK(again.cp == m.cp && memcmp(again.nonce, m.nonce, BS_NONCE_LEN) == 0);
	FUZZ_CHECK((again.fp != NULL) == (m.fp != NULL));
}

static void rest(const struct bs_packet *p)
{
	struct bs_psk_answer a;
	struct bs_psk_notice m, again;
	struct bs_connect_answer plain;
	struct bs_packet q;
	uint8_t out[64];
	size_t off;
	bs_ssize n;

	if (fuzz_taken(bs_psk_answer_decode(p, &a)))
		FUZZ_CHECK(a.crypto_off < p->len);
	if (fuzz_taken(bs_psk_verify_decode(p, &off)))
		FUZZ_CHECK(off < p->len);
	(void)fuzz_taken(bs_connect_answer_decode(p, &plain));
	if (!fuzz_taken(bs_psk_notice_decode(p, &m)))
		return;
	n = bs_psk_notice_encode(out, sizeof(out), &m);
	FUZZ_CHECK(n > 0 && bs_local_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_psk_notice_decode(&q, &again) == BS_OK && again.code == m.code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *pkt = fuzz_packet(data, len);
	struct bs_psk_proof proof;
	struct bs_slice plain = { data, len };
	struct bs_packet p;

	discovery(data, len);
	if (fuzz_taken(bs_psk_proof_decode(plain, &proof)))
		FUZZ_CHECK(proof.random >= data && proof.random + BS_NONCE_LEN <= data + len);
	if (len > 9 && data[9] == 0)
		pkt[9] = 0;
	if (fuzz_taken(bs_local_packet_decode(pkt, len, &p))) {
		request(&p);
		rest(&p);
	}
	free(pkt);
	return 0;
}
