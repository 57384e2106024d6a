/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/attach_server.h"

#include <string.h>

#include "crypto/suite.h"

bs_ssize bs_attach_server_request(const struct bs_crypto *c, const struct bs_key_block *a_key,
				  const struct bs_attach_request *m,
				  const struct bs_attach_secrets *s, uint8_t *buf, size_t cap)
{
	uint8_t plain[2 * BS_NONCE_LEN];
	struct bs_slice text = { plain, sizeof(plain) };
	struct bs_attach_request r = *m;
	struct bs_writer w;
	bs_ssize len;

	r.nonce.ptr = s->nonce_s;
	r.nonce.len = BS_NONCE_LEN;
	bs_attach_request_begin(&w, buf, cap, &r);
	memcpy(plain, s->nonce_d, BS_NONCE_LEN);
	memcpy(plain + BS_NONCE_LEN, s->seed_s, BS_NONCE_LEN);
	len = bs_suite_aes_cbc.seal(c, a_key, BS_INITIATOR, &w, 0, text);
	bs_wipe(plain, sizeof(plain));
	return len;
}

int bs_attach_server_read(const struct bs_crypto *c, const struct bs_key_block *a_key,
			  const struct bs_packet *p, uint8_t *pkt, struct bs_attach_response *out,
			  uint8_t text[2 * BS_NONCE_LEN])
{
	struct bs_attach_response r;
	struct bs_slice plain;
	int err;

	err = bs_attach_response_decode(p, BS_PL_CRYPTO, &r);
	if (err)
		return err;
	err = bs_suite_aes_cbc.open(c, a_key, BS_INITIATOR, pkt, p->len, r.last_off, &plain);
	if (err)
		return err;
	if (plain.len != 2 * BS_NONCE_LEN) {
		err = BS_ELENGTH;
	} else {
		memcpy(text, plain.ptr, plain.len);
		*out = r;
	}
	bs_wipe(pkt + (plain.ptr - pkt), plain.len);
	return err;
}

int bs_attach_server_finish(const struct bs_crypto *c, const struct bs_attach_secrets *s,
			    const uint8_t text[2 * BS_NONCE_LEN], struct bs_key_block *c_key)
{
	struct bs_key_block key;
	int err;

	if (!bs_equal_secret(text, s->nonce_s, BS_NONCE_LEN))
		return BS_ENONCE;
	err = bs_keys_derive_c(c, s->nonce_s, s->nonce_d, s->seed_s, text + BS_NONCE_LEN, &key);
	if (!err)
		*c_key = key;
	bs_wipe(&key, sizeof(key));
	return err;
}

int bs_attach_server_open(const struct bs_crypto *c, const struct bs_key_block *a_key,
			  const struct bs_attach_secrets *s, const struct bs_packet *p,
			  uint8_t *pkt, struct bs_attach_response *out, struct bs_key_block *c_key)
{
	uint8_t text[2 * BS_NONCE_LEN] = { 0 };
	struct bs_attach_response r;
	int err = bs_attach_server_read(c, a_key, p, pkt, &r, text);

	if (!err)
		err = bs_attach_server_finish(c, s, text, c_key);
	if (!err)
		*out = r;
	bs_wipe(text, sizeof(text));
	return err;
}

int bs_attach_server_ext_check(bool has_ext, uint32_t offered, uint32_t granted,
			       const struct bs_attach_response *r)
{
	if (!r->has_ext)
		return BS_OK;
	if (!has_ext || r->ext.bits != granted)
		return BS_ESTRIPPED;
	return r->ext.has_offered && r->ext.offered != offered ? BS_ESTRIPPED : BS_OK;
}
