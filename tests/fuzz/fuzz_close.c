/* SPDX-License-Identifier: Apache-2.0 */
/* U_CLOSE, clear part. */
#include "fuzz.h"
#include "wire/close.h"

static void close_packet(const struct bs_packet *p)
{
	uint8_t out[2048];
	struct bs_close m;
	struct bs_close again;
	struct bs_packet q;
	struct bs_writer w;
	bs_ssize n;

	if (!fuzz_taken(bs_close_decode(p, &m)))
		return;
	FUZZ_CHECK(m.crypto_off < p->len);
	bs_close_begin(&w, out, sizeof(out), &m);
	bs_packet_add(&w, BS_PL_CRYPTO, 0, "xx", 2);
	n = bs_packet_finish(&w);
	if (n < 0)
		return;
	FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_close_decode(&q, &again) == BS_OK);
	FUZZ_CHECK(m.connection == again.connection && m.status == again.status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *pkt = fuzz_packet(data, len);
	struct bs_packet p;

	if (fuzz_taken(bs_packet_decode(pkt, len, &p))) {
		close_packet(&p);
	}
	free(pkt);
	return 0;
}
