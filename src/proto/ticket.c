/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ticket.h"

#include <string.h>

/** First byte of a nonce: this bit is set in the server's. */
#define FROM_SERVER 0x80u

bs_ssize bs_ticket_seal(const struct bs_ticket_cipher *c,
			const uint8_t secret[BS_TICKET_SECRET_LEN], struct bs_sealed *s,
			struct bs_slice text, size_t min_len, uint8_t *buf, size_t cap)
{
	bs_ssize len = bs_sealed_encode(s, text.len, min_len, buf, cap);
	uint8_t *nonce;
	int err;

	if (len < 0)
		return len;
	nonce = buf + s->nonce_off;
	err = c->crypto->random(c->crypto->ctx, nonce, BS_SEALED_NONCE_LEN);
	if (err != BS_OK)
		return err;
	nonce[0] = (uint8_t)((nonce[0] & ~FROM_SERVER) | (s->is_answer ? FROM_SERVER : 0));
	memcpy(buf + s->text_off, text.ptr, text.len);
	err = c->aead->seal(c->ctx, secret, nonce, (struct bs_slice){ buf, s->nonce_off },
			    buf + s->text_off, text.len, buf + s->text_off + text.len);
	return err == BS_OK ? len : err;
}

int bs_ticket_open(const struct bs_ticket_cipher *c, const uint8_t secret[BS_TICKET_SECRET_LEN],
		   const struct bs_sealed *s, uint8_t *buf, struct bs_packet *inner)
{
	const uint8_t *nonce = buf + s->nonce_off;
	struct bs_packet p;
	int err;

	/* One's own packet, sent back by somebody. */
	if (((nonce[0] & FROM_SERVER) != 0) != s->is_answer)
		return BS_EMAC;
	err = c->aead->open(c->ctx, secret, nonce, (struct bs_slice){ buf, s->nonce_off },
			    buf + s->text_off, s->text_len, buf + s->text_off + s->text_len);
	if (err == BS_OK)
		err = bs_packet_decode(buf + s->text_off, s->text_len, &p);
	if (err == BS_OK && p.h.nsi_cp != s->h.cp)
		err = BS_EFIELD;
	if (err == BS_OK)
		*inner = p;
	return err;
}
