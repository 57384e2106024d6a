/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/attach_server_legacy.h"

#include "proto/attach_legacy.h"

/* Bytes of a payload header. */
enum {
	HEAD_LEN = 4,
};

uint32_t bs_attach_server_legacy_sum(uint32_t sum, const uint8_t *buf, size_t len)
{
	return bs_legacy_sum(sum, buf, len);
}

bs_ssize bs_attach_server_legacy_request(const struct bs_attach_request *m, uint32_t invite_sum,
					 uint8_t *buf, size_t cap)
{
	struct bs_writer w;
	uint8_t *verify;
	bs_ssize len;

	bs_attach_request_begin(&w, buf, cap, m);
	verify = bs_packet_add_reserve(&w, BS_PL_VERIFY, 0, BS_VERIFY_LEN);
	len = bs_packet_finish(&w);
	if (len < 0)
		return len;
	/* The sum covers the final length field too, so it comes last. */
	bs_legacy_put(verify, BS_VERIFY_FILL_SERVER,
		      bs_legacy_sum(invite_sum, buf, (size_t)len - BS_VERIFY_LEN));
	return len;
}

int bs_attach_server_legacy_open(uint32_t sum, const struct bs_packet *p,
				 struct bs_attach_response *out)
{
	struct bs_attach_response r;
	const uint8_t *verify;
	int err;

	err = bs_attach_response_decode(p, BS_PL_VERIFY, &r);
	if (err)
		return err;
	if (p->len - r.last_off != HEAD_LEN + BS_VERIFY_LEN)
		return BS_EFIELD;
	verify = p->bytes + r.last_off + HEAD_LEN;
	sum = bs_legacy_sum(sum, p->bytes, p->len - BS_VERIFY_LEN);
	if (!bs_legacy_check(verify, BS_VERIFY_FILL_DEVICE, sum))
		return BS_EMAC;
	*out = r;
	return BS_OK;
}
