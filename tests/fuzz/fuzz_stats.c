/* SPDX-License-Identifier: Apache-2.0 */
/* STATS: what is taken can be written, and is taken again with the same meaning. */
#include "fuzz.h"
#include "wire/stats.h"

static void stats(const struct bs_packet *p)
{
	uint8_t out[70000];
	struct bs_stats m;
	struct bs_stats again;
	struct bs_packet q;
	bs_ssize n;

	if (!fuzz_taken(bs_stats_decode(p, &m)))
		return;
	n = bs_stats_encode(out, sizeof(out), &m);
	if (n < 0)
		return;
	FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_stats_decode(&q, &again) == BS_OK);
	FUZZ_CHECK(m.event == again.event && m.info.present == again.info.present);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *pkt = fuzz_packet(data, len);
	struct bs_packet p;

	if (fuzz_taken(bs_packet_decode(pkt, len, &p))) {
		stats(&p);
	}
	free(pkt);
	return 0;
}
