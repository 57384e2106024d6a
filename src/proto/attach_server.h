/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach_server.h - the server's end of attach (basestation-wire(7), ATTACH, EXTENSIONS).
 *
 * Pure steps, no state of their own: what must be remembered between the U_ATTACH request and its
 * response is the caller's (a bounded table in the server, a few variables in a test).
 *
 * Any thread.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_ATTACH_SERVER_H
#define BS_PROTO_ATTACH_SERVER_H

#include "crypto/keys.h"
#include "wire/attach.h"
#include "wire/invite.h"

/** Bytes of the U_ATTACH request in secure mode without extensions. */
#define BS_ATTACH_REQUEST_LEN 180

/** What only the server's end of an attach knows; each is 32 bytes, borrowed. */
struct bs_attach_secrets {
	const uint8_t *nonce_s;
	const uint8_t *nonce_d;
	const uint8_t *seed_s;
};

/**
 * Encode a secure U_ATTACH request, sealed under the A key.  m->nonce is taken from s.  Returns its
 * length; BS_ETOOBIG, BS_ERANDOM, BS_ECRYPTO: send nothing.
 */
BS_MUSTCHECK bs_ssize bs_attach_server_request(const struct bs_crypto *c,
					       const struct bs_key_block *a_key,
					       const struct bs_attach_request *m,
					       const struct bs_attach_secrets *s, uint8_t *buf,
					       size_t cap);

/**
 * Verify, decrypt (in place) and decode a secure response, and make the C key.
 *
 * @p   the decoded packet
 * @pkt its bytes, changed
 *
 * Returns BS_OK, or a drop reason: BS_ETYPE (flags), BS_EMISSING, BS_EFIELD, BS_ESHORT, BS_ESUITE,
 * BS_EMAC, BS_EPADDING, BS_ELENGTH, BS_ENONCE; or BS_ECRYPTO.  *out and *c_key are untouched then.
 */
BS_MUSTCHECK int bs_attach_server_open(const struct bs_crypto *c, const struct bs_key_block *a_key,
				       const struct bs_attach_secrets *s, const struct bs_packet *p,
				       uint8_t *pkt, struct bs_attach_response *out,
				       struct bs_key_block *c_key);

/**
 * The two halves of bs_attach_server_open, for a server that learns from the response which
 * challenge it answers: verify, decrypt and decode; text gets nonce_s and seed_d.  *out and text
 * are untouched on error.
 */
BS_MUSTCHECK int bs_attach_server_read(const struct bs_crypto *c, const struct bs_key_block *a_key,
				       const struct bs_packet *p, uint8_t *pkt,
				       struct bs_attach_response *out,
				       uint8_t text[2 * BS_NONCE_LEN]);
/** Compare the nonce and make the C key.  BS_OK, BS_ENONCE or BS_ECRYPTO. */
BS_MUSTCHECK int bs_attach_server_finish(const struct bs_crypto *c,
					 const struct bs_attach_secrets *s,
					 const uint8_t text[2 * BS_NONCE_LEN],
					 struct bs_key_block *c_key);

/**
 * Whether somebody on the way removed or changed the extension offer.
 *
 * @has_ext the clear invite had EXT, with @offered in it; @granted is what we gave
 *
 * Returns BS_OK, or BS_ESTRIPPED: what lies under the MAC says otherwise.
 */
BS_MUSTCHECK int bs_attach_server_ext_check(bool has_ext, uint32_t offered, uint32_t granted,
					    const struct bs_attach_response *r);

#endif
