/* SPDX-License-Identifier: Apache-2.0 */
/* U_CONNECT: requests (cut to fit a small device), answers and rendezvous packets. */
#include "fuzz.h"
#include "wire/connect.h"

static void request(const struct bs_packet *p)
{
	static const uint8_t d[BS_KEY_BLOCK_LEN];
	static const struct bs_slice block = { d, sizeof(d) };
	uint8_t out[BS_PACKET_SMALL];
	struct bs_connect_request m;
	struct bs_ep6 eps[BS_CONNECT_EPS_MAX];
	struct bs_writer w;

	if (!fuzz_taken(bs_connect_request_decode(p, &m)))
		return;
	FUZZ_CHECK(!m.has_crypto || m.crypto_off < p->len);
	m.n_eps = (uint8_t)bs_ep6_collect(p, 0, eps, BS_CONNECT_EPS_MAX);
	m.eps = eps;
	if (bs_connect_request_begin(&w, out, sizeof(out), &m, sizeof(out), block) == BS_OK)
		FUZZ_CHECK(w.len + BS_CONNECT_CRYPTO_LEN <= sizeof(out));
	else
		FUZZ_CHECK(!m.ipx.has_nsi);
}

static void answer(const struct bs_packet *p)
{
	uint8_t out[2048];
	struct bs_connect_answer m;
	struct bs_connect_answer again;
	struct bs_packet q;
	bs_ssize n;

	if (!fuzz_taken(bs_connect_answer_decode(p, &m)))
		return;
	n = bs_connect_answer_encode(out, sizeof(out), &m);
	if (n < 0)
		return;
	FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_connect_answer_decode(&q, &again) == BS_OK);
	FUZZ_CHECK(m.code == again.code && m.nsi == again.nsi);
}

static void rendezvous(const struct bs_packet *p)
{
	uint8_t out[2048];
	struct bs_rendezvous_packet m;
	struct bs_rendezvous_packet again;
	struct bs_packet q;
	bs_ssize n;

	if (!fuzz_taken(bs_rendezvous_packet_decode(p, &m)))
		return;
	n = bs_rendezvous_packet_encode(out, sizeof(out), &m);
	if (n < 0)
		return;
	FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_rendezvous_packet_decode(&q, &again) == BS_OK);
	FUZZ_CHECK(m.step == again.step && m.interval_ms == again.interval_ms);
	FUZZ_CHECK(memcmp(m.ep1.ip, again.ep1.ip, BS_IP_LEN) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *pkt = fuzz_packet(data, len);
	struct bs_packet p;

	if (fuzz_taken(bs_packet_decode(pkt, len, &p))) {
		request(&p);
		answer(&p);
		rendezvous(&p);
	}
	free(pkt);
	return 0;
}
