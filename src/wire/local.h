/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.h - what travels on the local network without a basestation: discovery, connectionless
 * queries of old clients, plain and PSK-authenticated connects (basestation-wire(7), LOCAL
 * NETWORK).
 *
 * A device's local port takes two formats.  The first word tells them apart: below
 * BS_LOCAL_CP_FIRST it is a legacy packet with a header of 12 bytes, else an ordinary packet.
 *
 * As in attach.h the CRYPTO payload of a packet is the caller's: begin stops before it, decode says
 * where it starts.  Any thread.  May call: util, packet, payload.  Allocates: no.
 */
#ifndef BS_WIRE_LOCAL_H
#define BS_WIRE_LOCAL_H

#include "wire/connect.h"

/** UDP port of a device on the local network unless it is configured otherwise. */
#define BS_LOCAL_PORT 5570
/** Bytes of the legacy header. */
#define BS_LEGACY_HEADER_LEN 12
/** Words below this start a legacy packet; so clients choose numbers from here on. */
#define BS_LOCAL_CP_FIRST 100u
/** Numbers that a device gives to local connections by itself: 100 to 1000. */
#define BS_LOCAL_NSI_FIRST 100u
#define BS_LOCAL_NSI_COUNT 901u
/** Number from which a client may name a plain connection itself. */
#define BS_LOCAL_NSI_CLIENT 0x100000u
/** Bytes of a key's name. */
#define BS_KEY_ID_LEN 16
/** Bytes of the plaintext of both sealed handshake packets: RANDOM and NONCE. */
#define BS_PSK_PROOF_LEN 72
/** Longest text of a discovery answer's entry that is looked at. */
#define BS_DISCOVERY_TEXT_MAX 64

/** Operation code: low byte of a legacy packet's first word. */
enum bs_legacy_op {
	BS_LEGACY_QUERY = 0,
	BS_LEGACY_DISCOVERY = 1,
};

/** Flags in a legacy packet's first word. */
enum bs_legacy_flag {
	BS_LEGACY_ERROR = 0x00400000,
	BS_LEGACY_RESPONSE = 0x00800000,
};

/** A decoded legacy packet. */
struct bs_legacy_packet {
	uint32_t word;        /**< operation and flags */
	uint32_t seq;         /**< echoed in the answer */
	uint32_t reserved;    /**< echoed too */
	struct bs_slice body; /**< what follows; inside the packet */
};

/** What a device says of itself.  Texts are borrowed; empty = unset. */
struct bs_discovery_answer {
	uint32_t seq;
	uint32_t reserved;
	uint32_t ip;             /**< 0: the packet's source */
	uint16_t port;           /**< local port */
	struct bs_slice id;      /**< device id, checked */
	struct bs_slice version; /**< of the application */
	struct bs_slice url;     /**< of the user interface */
	bool plain;              /**< takes plain local connections */
	bool psk;                /**< takes PSK connections */
	bool fingerprint;        /**< understands fingerprints */
};

/** U_CONNECT_PSK request. */
struct bs_psk_request {
	uint32_t cp;               /**< client's number; names the attempt */
	uint16_t seq;              /**< decode only */
	bool able;                 /**< decode: all capabilities and the suite are there */
	bool fingerprints;         /**< capability bit */
	struct bs_slice client_id; /**< CP_ID kind 1; empty = not there */
	const uint8_t *fp;         /**< [16] FP kind 1; NULL = not there */
	const uint8_t *key_id;     /**< [16] which key */
	const uint8_t *nonce;      /**< [32] Nc */
	size_t crypto_off;         /**< decode: where CRYPTO starts */
};

/** U_CONNECT_PSK answer that goes on (no EXCEPTION). */
struct bs_psk_answer {
	uint32_t cp;
	uint32_t sp;          /**< connection number */
	bool fingerprints;    /**< capability bit of the common subset */
	const uint8_t *nonce; /**< [32] Nd */
	size_t crypto_off;    /**< decode: where CRYPTO starts */
};

/** A short clear packet of the handshake: error or abort (U_CONNECT_PSK with EXCEPTION), or the
 *  answer to U_VERIFY_PSK. */
struct bs_psk_notice {
	uint32_t cp;
	uint32_t sp;
	uint8_t type;  /**< BS_TYPE_U_CONNECT_PSK or BS_TYPE_U_VERIFY_PSK */
	uint8_t flags; /**< enum bs_flag */
	uint32_t code; /**< enum bs_status */
};

/** The proof inside a sealed handshake packet, borrowed. */
struct bs_psk_proof {
	const uint8_t *random; /**< [32] Rd or Rc: a secret part of the session key */
	const uint8_t *nonce;  /**< [32] the other side's nonce, repeated */
};

/** Whether a datagram on a device's local port is a legacy packet, or too short for either. */
bool bs_local_is_legacy(const uint8_t *buf, size_t len);
/**
 * bs_local_packet_decode - as bs_packet_decode, for everything else on the local port
 *
 * Stock devices send their answers of types 134 and 135 with version 0 in the header; those are
 * taken, and p->h.version tells.  buf is changed while this runs and the same afterwards.
 */
BS_MUSTCHECK int bs_local_packet_decode(uint8_t *buf, size_t len, struct bs_packet *p);

/** BS_ESHORT below 12 bytes, BS_EFIELD for an operation from 100 on. */
BS_MUSTCHECK int bs_legacy_decode(const uint8_t *buf, size_t len, struct bs_legacy_packet *m);
/** BS_ETOOBIG when it does not fit. */
BS_MUSTCHECK bs_ssize bs_legacy_encode(uint8_t *buf, size_t cap, const struct bs_legacy_packet *m);

/**
 * Take a discovery request apart: *name is a device id or "*", without terminator.
 *
 * BS_ETYPE no request, BS_ESHORT below 13 bytes, BS_EFIELD when the name is none or anything
 * follows it.
 */
BS_MUSTCHECK int bs_discovery_request_decode(const uint8_t *buf, size_t len,
					     struct bs_legacy_packet *m, struct bs_slice *name);
/** BS_EINVAL when name is neither a device id nor "*". */
BS_MUSTCHECK bs_ssize bs_discovery_request_encode(uint8_t *buf, size_t cap, uint32_t seq,
						  struct bs_slice name);
/**
 * Read an answer.  The first entry is the id; entries with empty text are stock devices' noise,
 * unknown types and a cut tail are skipped.
 *
 * BS_ETYPE no answer, BS_ESHORT, BS_EFIELD (no id first, or no port).
 */
BS_MUSTCHECK int bs_discovery_answer_decode(const uint8_t *buf, size_t len,
					    struct bs_discovery_answer *m);
BS_MUSTCHECK bs_ssize bs_discovery_answer_encode(uint8_t *buf, size_t cap,
						 const struct bs_discovery_answer *m);

/**
 * bs_plain_request_encode - U_CONNECT for a plain local connection
 *
 * @cp        client's number, at least 1001
 * @nsi       number for the connection, from BS_LOCAL_NSI_CLIENT on, so that a repeat finds the
 *            same one; 0 lets the device choose
 * @client_id CP_ID kind 1; empty = not there
 * @fp        [16], only a claim; NULL = not there
 */
BS_MUSTCHECK bs_ssize bs_plain_request_encode(uint8_t *buf, size_t cap, uint32_t cp, uint16_t seq,
					      uint32_t nsi, struct bs_slice client_id,
					      const uint8_t *fp);
/** Like the answer to a connect request of the server, which decodes it, and with capabilities. */
BS_MUSTCHECK bs_ssize bs_plain_answer_encode(uint8_t *buf, size_t cap,
					     const struct bs_connect_answer *m);

/** Everything before CRYPTO; errors stick to the writer. */
void bs_psk_request_begin(struct bs_writer *w, uint8_t *buf, size_t cap,
			  const struct bs_psk_request *m);
/** BS_ETYPE; BS_EMISSING for a missing CAPABILITY, KEY_ID, NONCE or CRYPTO; BS_ELENGTH. */
BS_MUSTCHECK int bs_psk_request_decode(const struct bs_packet *p, struct bs_psk_request *m);
void bs_psk_answer_begin(struct bs_writer *w, uint8_t *buf, size_t cap,
			 const struct bs_psk_answer *m);
/** As bs_psk_request_decode; BS_ESUITE when the device chose another suite than 0x230A. */
BS_MUSTCHECK int bs_psk_answer_decode(const struct bs_packet *p, struct bs_psk_answer *m);
/** U_VERIFY_PSK request up to CRYPTO. */
void bs_psk_verify_begin(struct bs_writer *w, uint8_t *buf, size_t cap, uint32_t cp, uint32_t sp);
BS_MUSTCHECK int bs_psk_verify_decode(const struct bs_packet *p, size_t *crypto_off);
/** Whether p is a notice (errors, abort, verify's answer); *m is filled then. */
BS_MUSTCHECK int bs_psk_notice_decode(const struct bs_packet *p, struct bs_psk_notice *m);
BS_MUSTCHECK bs_ssize bs_psk_notice_encode(uint8_t *buf, size_t cap, const struct bs_psk_notice *m);
/** The plaintext of answer and verify: RANDOM, NONCE. */
void bs_psk_proof_encode(uint8_t buf[BS_PSK_PROOF_LEN], const struct bs_psk_proof *m);
/** BS_EPAYLOAD, BS_EMISSING, BS_ELENGTH. */
BS_MUSTCHECK int bs_psk_proof_decode(struct bs_slice plain, struct bs_psk_proof *m);

#endif
