/* SPDX-License-Identifier: Apache-2.0 */
/* U_ALIVE: what is taken can be written, and is taken again with the same meaning. */
#include "fuzz.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *pkt = fuzz_packet(data, len);
	struct bs_packet p;

	if (fuzz_taken(bs_packet_decode(pkt, len, &p))) {
		request(&p);
		answer(&p);
	}
	free(pkt);
	return 0;
}
