/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach_server.h - the server's end of invites and attach (basestation-wire(7), INVITES, ATTACH,
 * EXTENSIONS).
 *
 * Pure steps, no state of their own: what must be remembered between the U_ATTACH request and its
 * response is the caller's (a bounded table in the server, a few variables in a test).
 *
 * Any thread.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_ATTACH_SERVER_H
#define BS_PROTO_ATTACH_SERVER_H

#include "crypto/keys.h"
#include "wire/payload.h"

/** Bytes of a nonce and of a seed in a secure attach, and of a nonce in a legacy one. */
#define BS_ATTACH_NONCE_LEN        32
#define BS_ATTACH_NONCE_LEGACY_LEN 8
/** Bytes of the U_ATTACH request in secure mode without extensions. */
#define BS_ATTACH_REQUEST_LEN 180
/** Bytes of the longest answer to an invite; PAD makes such an invite at least that long. */
#define BS_ATTACH_REQUEST_MAX 240
/** Host candidates that are kept from a response. */
#define BS_ATTACH_EP6_MAX 4

/** A decoded invite; slices are borrowed from the packet. */
struct bs_invite {
	uint16_t seq;
	bool for_attach;       /**< has a NONCE: meant for the attach server */
	bool legacy;           /**< 8-byte nonce and the NULL suite */
	bool has_ext;          /**< carries EXT */
	uint32_t ext;          /**< the bits offered */
	struct bs_slice id;    /**< a well-spelled device id */
	struct bs_slice nonce; /**< empty unless for_attach */
	struct bs_slice app;   /**< version of the application; may be empty */
	struct bs_slice url;   /**< may be empty */
	struct bs_version version;
};

/**
 * Decode an invite.  Returns BS_OK, or BS_EFIELD (flags, numbers, id, nonce and suite that do not
 * agree), BS_EMISSING (VERSION, SP_ID; with a NONCE also CAPABILITY), BS_ESHORT: do not answer.
 */
BS_MUSTCHECK int bs_invite_decode(const struct bs_packet *p, struct bs_invite *inv);

/** The controller's answer. */
struct bs_controller_answer {
	uint16_t seq;              /**< of the invite */
	struct bs_endpoint server; /**< the attach server */
	struct bs_endpoint peer;   /**< where the invite came from */
};

/**
 * Encode it: 33 bytes, or 81 over IPv6, where EP6 payloads say what IPX cannot.  Returns the length
 * or BS_ETOOBIG.
 */
BS_MUSTCHECK bs_ssize bs_controller_answer_encode(const struct bs_controller_answer *a,
						  uint8_t *buf, size_t cap);

/** What a U_ATTACH request says; all borrowed. */
struct bs_attach_offer {
	uint32_t nsi; /**< of the attachment to be */
	uint16_t seq;
	struct bs_endpoint peer; /**< the device as we see it */
	const uint8_t *nonce_s;  /**< [32]; legacy: [8] */
	const uint8_t *seed_s;   /**< [32]; not in legacy mode */
	const uint8_t *nonce_d;  /**< [32]; not in legacy mode */
	bool has_ext;            /**< the invite had EXT */
	uint32_t ext;            /**< granted bits */
};

/**
 * Encode a secure U_ATTACH request, sealed under the A key.  Returns its length; BS_ETOOBIG,
 * BS_ERANDOM, BS_ECRYPTO: send nothing.
 */
BS_MUSTCHECK bs_ssize bs_attach_request_encode(const struct bs_crypto *c,
					       const struct bs_key_block *a_key,
					       const struct bs_attach_offer *o, uint8_t *buf,
					       size_t cap);

/** What a U_ATTACH response says, all of it proven in secure mode. */
struct bs_attach_answer {
	struct bs_caps caps;
	struct bs_ipx ipx;
	bool has_ext;
	uint32_t granted; /**< as the device echoes it */
	uint32_t offered; /**< what it had offered; equal to granted when it does not say */
	uint8_t n_ep6;
	struct bs_ep6 ep6[BS_ATTACH_EP6_MAX];
	uint8_t seed_d[BS_ATTACH_NONCE_LEN]; /**< secure mode only; wipe after use */
};

/**
 * Verify, decrypt (in place) and decode a secure response.
 *
 * @p       the decoded packet
 * @pkt     its bytes, changed
 * @nonce_s [32] ours
 *
 * Returns BS_OK, or a drop reason: BS_ESTATE (flags), BS_EMISSING, BS_EFIELD, BS_ESHORT, BS_ESUITE,
 * BS_EMAC, BS_EPADDING, BS_ELENGTH, BS_ENONCE; or BS_ECRYPTO.  *out is untouched then.
 */
BS_MUSTCHECK int bs_attach_response_open(const struct bs_crypto *c,
					 const struct bs_key_block *a_key, const uint8_t *nonce_s,
					 const struct bs_packet *p, uint8_t *pkt,
					 struct bs_attach_answer *out);
/** The clear part alone; for bs_attach_response_open and the legacy mode. */
BS_MUSTCHECK int bs_attach_answer_decode(const struct bs_packet *p, struct bs_attach_answer *out);

/**
 * Whether somebody on the way removed or changed the extension offer.
 *
 * @has_ext the clear invite had EXT, with @offered in it; @granted is what we gave
 *
 * Returns BS_OK, or BS_ESTRIPPED: what lies under the MAC says otherwise.
 */
BS_MUSTCHECK int bs_attach_ext_check(bool has_ext, uint32_t offered, uint32_t granted,
				     const struct bs_attach_answer *a);

#endif
