/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/probe.h"

#include <string.h>

#include "util/endpoint.h"

/** Where the NONCE's data starts, and its bytes before the MAC. */
#define NONCE_OFF  (BS_HEADER_MIN + 4)
#define NONCE_LEN  (BS_PROBE_LEN - NONCE_OFF)
#define NONCE_KIND 1
#define ZERO_OFF   8
#define ZERO_LEN   28

bs_ssize bs_probe_encode(const struct bs_probe *p, uint8_t buf[BS_PROBE_LEN])
{
	struct bs_header h = { .nsi_cp = p->cp,
			       .nsi_sp = p->sp,
			       .type = BS_TYPE_PROBE,
			       .version = BS_WIRE_VERSION,
			       .seq = p->seq };
	struct bs_writer w;

	bs_packet_begin(&w, buf, BS_PROBE_LEN, &h);
	uint8_t *n = bs_packet_add_reserve(&w, BS_PL_NONCE, 0, NONCE_LEN);

	if (n) {
		memset(n, 0, NONCE_LEN);
		n[0] = NONCE_KIND;
		n[1] = p->index;
		n[2] = p->ask;
		bs_put_u32(n + 4, p->counter);
	}
	return bs_packet_finish(&w);
}

int bs_probe_decode(const uint8_t *buf, size_t len, struct bs_probe *p)
{
	struct bs_packet pkt;
	struct bs_payload pl;
	size_t off = 0;
	int err = bs_packet_decode(buf, len, &pkt);

	if (err != BS_OK)
		return err;
	if (pkt.h.type != BS_TYPE_PROBE || pkt.h.flags != 0)
		return BS_ETYPE;
	if (len != BS_PROBE_LEN)
		return BS_ELENGTH;
	if (!bs_payload_next(&pkt, &off, &pl) || pl.type != BS_PL_NONCE || pl.len != NONCE_LEN)
		return BS_EPAYLOAD;

	/* The zero bytes are for later versions: a sender of one must not be misread today. */
	static const uint8_t zero[ZERO_LEN];

	if (pl.data[0] != NONCE_KIND || pl.data[2] > BS_PROBE_ASK_OTHER_ADDRESS ||
	    pl.data[3] != 0 || memcmp(pl.data + ZERO_OFF, zero, ZERO_LEN) != 0)
		return BS_EFIELD;
	p->cp = pkt.h.nsi_cp;
	p->sp = pkt.h.nsi_sp;
	p->seq = pkt.h.seq;
	p->index = pl.data[1];
	p->ask = pl.data[2];
	p->counter = bs_get_u32(pl.data + 4);
	return BS_OK;
}

bs_ssize bs_probe_answer_encode(const struct bs_probe_answer *a, uint8_t buf[BS_PROBE_ANSWER_MAX])
{
	struct bs_header h = { .nsi_cp = a->cp,
			       .nsi_sp = a->sp,
			       .type = BS_TYPE_PROBE,
			       .version = BS_WIRE_VERSION,
			       .flags = BS_FLAG_RESPONSE,
			       .seq = a->seq };
	struct bs_ep6 ep6 = { .ep = a->observed, .kind = BS_EP6_OBSERVED };
	struct bs_writer w;

	bs_packet_begin(&w, buf, BS_PROBE_ANSWER_MAX, &h);
	if (bs_endpoint_is_ip4(&a->observed))
		bs_ep_put(&w, &a->observed);
	bs_ep6_put(&w, &ep6);
	return bs_packet_finish(&w);
}

int bs_probe_answer_decode(const uint8_t *buf, size_t len, struct bs_probe_answer *a)
{
	struct bs_packet pkt;
	struct bs_payload pl;
	size_t off = 0;
	int err = bs_packet_decode(buf, len, &pkt);

	if (err != BS_OK)
		return err;
	if (pkt.h.type != BS_TYPE_PROBE || pkt.h.flags != BS_FLAG_RESPONSE)
		return BS_ETYPE;
	while (bs_payload_next(&pkt, &off, &pl)) {
		struct bs_ep6 ep6;

		if (pl.type != BS_PL_EP6 || bs_ep6_get(&pl, &ep6) != BS_OK ||
		    ep6.kind != BS_EP6_OBSERVED)
			continue;
		a->cp = pkt.h.nsi_cp;
		a->sp = pkt.h.nsi_sp;
		a->seq = pkt.h.seq;
		a->observed = ep6.ep;
		return BS_OK;
	}
	return BS_EMISSING;
}
