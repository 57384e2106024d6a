/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suite.h - CRYPTO payloads: seal and open whole packets (basestation-wire(7), CRYPTO).
 *
 * A suite is a constant table.  Code that must not know the NULL suite simply never names it, so a
 * build without it does not link it.
 */
#ifndef BS_CRYPTO_SUITE_H
#define BS_CRYPTO_SUITE_H

#include "crypto/keys.h"

struct bs_writer;

/** Most plaintext that one packet of 65535 bytes could hold; shorter buffers refuse earlier. */
#define BS_SUITE_PLAIN_MAX 65400u

/** A data suite. */
struct bs_suite {
	uint16_t code;    /**< enum bs_suite_code */
	uint8_t text_off; /**< from the CRYPTO payload's header to its first text byte */
	/** Bytes of the whole CRYPTO payload, header included, for plain_len bytes. */
	size_t (*payload_len)(size_t plain_len);
	/**
	 * Append the CRYPTO payload to the packet in w and finish the packet (length field, MAC).
	 * Returns the packet's length; BS_ETOOBIG, BS_ERANDOM or BS_ECRYPTO: nothing may be sent.
	 * plain is outside the packet, or already lies where it will be encrypted, text_off
	 * bytes after the present end of the packet (in-place building).
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

/**
 * AES-128-GCM (extension GCM).  It numbers its packets, so it needs the memory of a connection:
 * seal, open and verify in this table refuse with BS_ESUITE, bs_suite_gcm_seal and _open do it.
 */
extern const struct bs_suite bs_suite_aes_gcm;

/** Packet numbers below the highest that are remembered. */
#define BS_GCM_WINDOW 1024u

/** What a connection keeps for suite GCM; all zero is a new connection. */
struct bs_suite_gcm_state {
	uint64_t sent;                     /**< number of the packet sealed last */
	uint64_t high;                     /**< highest number opened */
	uint64_t seen[BS_GCM_WINDOW / 64]; /**< ring of bits: numbers above high - 1024 */
};

/** As bs_suite.seal, under the next number.  BS_ESTATE when all numbers are used up. */
BS_MUSTCHECK bs_ssize bs_suite_gcm_seal(const struct bs_crypto *c, const struct bs_key_block *k,
					enum bs_role self, struct bs_suite_gcm_state *st,
					struct bs_writer *w, uint8_t payload_flags,
					struct bs_slice plain);
/** As bs_suite.open.  BS_EREPLAY: the number was there already or is too old; *newest: it is higher
 *  than all before.  The state changes on BS_OK only. */
BS_MUSTCHECK int bs_suite_gcm_open(const struct bs_crypto *c, const struct bs_key_block *k,
				   enum bs_role self, struct bs_suite_gcm_state *st, uint8_t *pkt,
				   size_t len, size_t off, struct bs_slice *plain, bool *newest);
/** The connection is over: let the backend forget its keys. */
void bs_suite_gcm_forget(const struct bs_crypto *c, const struct bs_key_block *k);

/* Shared by the suites only. */

/* Payload header and suite code. */
#define BS__SUITE_HEAD_LEN 6u
/* Append the head of a CRYPTO payload and room for its body, and set the packet's length field to
 * what it will be then.  Returns where the body starts; NULL (and the writer's error) when full. */
uint8_t *bs__suite_start(struct bs_writer *w, uint16_t code, uint8_t payload_flags,
			 size_t body_len);
/* BS_OK when off is the last payload, of this code, with room for tail_len bytes at its end. */
int bs__suite_check(const uint8_t *pkt, size_t len, size_t off, uint16_t code, size_t tail_len);

#endif
