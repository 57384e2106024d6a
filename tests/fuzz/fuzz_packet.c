/* SPDX-License-Identifier: Apache-2.0 */
/* Header and payload list: what is taken is written again to the byte. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *out = malloc(len + 1);
	struct bs_payload pl;
	struct bs_packet p;
	struct bs_writer w;
	size_t off = 0;

	FUZZ_CHECK(out != NULL);
	if (fuzz_taken(bs_packet_decode(data, len, &p))) {
		FUZZ_CHECK(p.list_off <= len && p.len == len);
		bs_packet_begin(&w, out, len, &p.h);
		while (bs_payload_next(&p, &off, &pl)) {
			bs_packet_add(&w, pl.type, pl.flags, pl.data, pl.len);
			/* The writer refuses what readers drop later. */
			if (pl.type == BS_PL_IPX && pl.len < 13)
				break;
		}
		FUZZ_CHECK(w.bad || bs_packet_finish(&w) == (bs_ssize)len);
		FUZZ_CHECK(w.bad || memcmp(out, data, len) == 0);
	}
	free(out);
	return 0;
}
