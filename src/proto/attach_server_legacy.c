/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/attach_server_legacy.h"

#include <string.h>

#include "proto/attach_legacy.h"

uint32_t bs_attach_legacy_sum(uint32_t sum, const uint8_t *buf, size_t len)
{
	return bs_legacy_attach.sum(sum, buf, len);
}

bs_ssize bs_attach_legacy_request_encode(const struct bs_attach_offer *o, uint32_t invite_sum,
					 uint8_t *buf, size_t cap)
{
	struct bs_header h = { .type = BS_TYPE_U_ATTACH, .nsi_sp = o->nsi, .seq = o->seq };
	struct bs_writer w;
	uint8_t *verify;
	bs_ssize len;

	bs_packet_begin(&w, buf, cap, &h);
	bs_ep_put(&w, &o->peer);
	bs_packet_add(&w, BS_PL_NONCE, 0, o->nonce_s, BS_ATTACH_NONCE_LEGACY_LEN);
	verify = bs_packet_add_reserve(&w, BS_PL_VERIFY, 0, BS_VERIFY_LEN);
	len = bs_packet_finish(&w);
	if (len < 0)
		return len;
	/* The sum covers the final length field too, so it comes last. */
	bs_legacy_attach.put(verify, BS_VERIFY_FILL_SERVER,
			     bs_legacy_attach.sum(invite_sum, buf, (size_t)len - BS_VERIFY_LEN));
	return len;
}

int bs_attach_legacy_response_open(uint32_t sum, const struct bs_packet *p,
				   struct bs_attach_answer *out)
{
	struct bs_payload verify;

	if (p->h.flags != BS_FLAG_RESPONSE)
		return BS_ESTATE;
	if (!bs_payload_find(p, BS_PL_VERIFY, &verify))
		return BS_EMISSING;
	if (verify.len != BS_VERIFY_LEN || verify.data + BS_VERIFY_LEN != p->bytes + p->len)
		return BS_EFIELD;
	sum = bs_legacy_attach.sum(sum, p->bytes, p->len - BS_VERIFY_LEN);
	if (!bs_legacy_attach.check(verify.data, BS_VERIFY_FILL_DEVICE, sum))
		return BS_EMAC;
	return bs_attach_answer_decode(p, out);
}
