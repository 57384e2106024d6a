/* SPDX-License-Identifier: Apache-2.0 */
/* U_ATTACH, clear parts. */
#include "fuzz.h"
#include "wire/attach.h"

static void request(const struct bs_packet *p)
{
	uint8_t out[2048];
	struct bs_attach_request m;
	struct bs_attach_request again;
	struct bs_packet q;
	struct bs_writer w;
	bs_ssize n;

	if (!fuzz_taken(bs_attach_request_decode(p, BS_NONCE_LEN, BS_PL_CRYPTO, &m)))
		return;
	FUZZ_CHECK(m.last_off < p->len);
	bs_attach_request_begin(&w, out, sizeof(out), &m);
	bs_packet_add(&w, BS_PL_CRYPTO, 0, "xx", 2);
	n = bs_packet_finish(&w);
	if (n < 0)
		return;
	FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_attach_request_decode(&q, BS_NONCE_LEN, BS_PL_CRYPTO, &again) == BS_OK);
	FUZZ_CHECK(m.has_ext == again.has_ext && m.ext == again.ext);
}

static void response(const struct bs_packet *p)
{
	uint8_t out[2048];
	struct bs_attach_response m;
	struct bs_attach_response again;
	struct bs_packet q;
	struct bs_writer w;
	bs_ssize n;

	if (!fuzz_taken(bs_attach_response_decode(p, BS_PL_CRYPTO, &m)))
		return;
	FUZZ_CHECK(m.last_off < p->len);
	bs_attach_response_begin(&w, out, sizeof(out), &m);
	bs_packet_add(&w, BS_PL_CRYPTO, 0, "xx", 2);
	n = bs_packet_finish(&w);
	if (n < 0)
		return;
	FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_attach_response_decode(&q, BS_PL_CRYPTO, &again) == BS_OK);
	FUZZ_CHECK(m.caps.bits == again.caps.bits && m.ext.offered == again.ext.offered);
	FUZZ_CHECK(m.id.len == again.id.len && (m.id.len == 0) == (m.nonce_d == NULL));
	FUZZ_CHECK(!m.nonce_d || memcmp(m.nonce_d, again.nonce_d, BS_NONCE_LEN) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *pkt = fuzz_packet(data, len);
	struct bs_packet p;

	if (fuzz_taken(bs_packet_decode(pkt, len, &p))) {
		request(&p);
		response(&p);
	}
	free(pkt);
	return 0;
}
