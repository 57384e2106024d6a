/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suite.h - CRYPTO payloads: seal and open whole packets (device-control 1.8).
 *
 * A suite is a constant table.  Code that must not know the NULL suite simply never names it, so a
 * build without it does not link it.
 */
#ifndef BS_CRYPTO_SUITE_H
#define BS_CRYPTO_SUITE_H

#include "crypto/keys.h"

struct bs_writer;

/** A data suite. */
struct bs_suite {
	uint16_t code; /**< enum bs_suite_code */
	/** Bytes of the whole CRYPTO payload, header included, for plain_len bytes. */
	size_t (*payload_len)(size_t plain_len);
	/**
	 * Append the CRYPTO payload to the packet in w and finish the packet (length field, MAC).
	 * Returns the packet's length; BS_ETOOBIG, BS_ERANDOM or BS_ECRYPTO: nothing may be sent.
	 * plain may already lie where it will be encrypted (in-place building).
	 */
	bs_ssize (*seal)(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
			 struct bs_writer *w, uint8_t payload_flags, struct bs_slice plain);
	/**
	 * Verify and decrypt in place.  pkt is the whole packet; off is the offset of the CRYPTO
	 * payload's header in it, which must be the last payload.  *plain points into pkt.
	 * Returns BS_OK, BS_ESUITE, BS_EMAC, BS_EPADDING, BS_ELENGTH or BS_ECRYPTO.
	 */
	int (*open)(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
		    uint8_t *pkt, size_t len, size_t off, struct bs_slice *plain);
	/** Only verify the MAC (push answers, close packets); same results as open. */
	int (*verify)(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
		      const uint8_t *pkt, size_t len, size_t off);
};

/** AES-128-CBC with HMAC-SHA-256/128, encrypt then MAC. */
extern const struct bs_suite bs_suite_aes_cbc;
/** No secrecy and a 16-bit sum; for legacy devices and plain local connections only. */
extern const struct bs_suite bs_suite_null;

#endif
