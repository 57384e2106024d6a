/* SPDX-License-Identifier: Apache-2.0 */
/* U_PUSH, clear part, and PUSH_DATA. */
#include "fuzz.h"
#include "wire/push.h"

static void push(const struct bs_packet *p)
{
	uint8_t out[2048];
	struct bs_push m;
	struct bs_push again;
	struct bs_packet q;
	struct bs_writer w;
	bs_ssize n;

	if (!fuzz_taken(bs_push_decode(p, &m)))
		return;
	FUZZ_CHECK(m.crypto_off < p->len);
	bs_push_begin(&w, out, sizeof(out), &m);
	bs_packet_add(&w, BS_PL_CRYPTO, 0, "xx", 2);
	n = bs_packet_finish(&w);
	if (n < 0)
		return;
	FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_push_decode(&q, &again) == BS_OK);
	FUZZ_CHECK(m.number == again.number && m.flags == again.flags);
}

static void push_data(const struct bs_packet *p)
{
	struct bs_push_data d;
	struct bs_payload pl;
	size_t off = 0;

	while (bs_payload_next(p, &off, &pl))
		if (fuzz_taken(bs_push_data_get(&pl, &d)))
			FUZZ_CHECK(d.data.len + 2 == pl.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *pkt = fuzz_packet(data, len);
	struct bs_packet p;

	if (fuzz_taken(bs_packet_decode(pkt, len, &p))) {
		push(&p);
		push_data(&p);
	}
	free(pkt);
	return 0;
}
