/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.h - U_CONNECT: request of the server, answer of the device, and the rendezvous packets
 * between client and device (basestation-wire(7), CONNECTING A CLIENT, RENDEZVOUS).
 *
 * As in attach.h the CRYPTO payload of a request is the caller's: decode says where it starts.
 */
#ifndef BS_WIRE_CONNECT_H
#define BS_WIRE_CONNECT_H

#include "wire/gw.h"
#include "wire/payload.h"

/** Bytes of a CRYPTO payload that holds a D block. */
#define BS_CONNECT_CRYPTO_LEN 150
/** Longest interval that a client may announce, in ms: devices keep 3.5 times that in 16 bits. */
#define BS_RENDEZVOUS_INTERVAL_MAX 18000
/** Largest request, with all parts; only devices with bit GCM or FAST_STREAM get more than 272. */
#define BS_CONNECT_REQUEST_MAX 384
/** Most client endpoints in EP6 payloads that are read from one request. */
#define BS_CONNECT_EPS_MAX 8

/** U_CONNECT request: IPX, [GW], [CP_ID], [FP], [ATTEMPT], [PAIR], [EXT], [EP6 list], [SUITE],
 *  [CRYPTO]. */
struct bs_connect_request {
	uint32_t cp; /**< random cookie, echoed */
	uint32_t sp; /**< attachment NSI */
	uint16_t seq;
	struct bs_ipx ipx;         /**< client's endpoints, flags, connection NSI */
	struct bs_slice client_id; /**< CP_ID kind 1; empty = not there */
	const uint8_t *fp;         /**< [16] FP kind 1; NULL = not there */
	const uint8_t *attempt;    /**< [8] ATTEMPT (extension); NULL = not there */
	const uint8_t *pair;       /**< [8] PAIR (extension); NULL = not there */
	uint32_t ext;              /**< EXT: enum bs_ext bits of this connection, 0 = not there */
	uint16_t suite;            /**< SUITE: enum bs_suite_code, 0 = not there: AES-CBC */
	uint16_t start_ms;         /**< START (extension), encode only; 0 = not there */
	const struct bs_ep6 *eps;  /**< encode: n_eps endpoints; decode: NULL, see bs_ep6_collect */
	uint8_t n_eps;
	/** encode: offer of a TCP relay, with the full IPX only; left out when the client id would
	 *  not fit beside it.  decode: NULL, a device without the relay need not know GW. */
	const struct bs_gw *gw;
	bool has_crypto; /**< decode: CRYPTO is the last payload and starts at crypto_off */
	size_t crypto_off;
};

/** U_CONNECT answer, device to the sender of the request. */
struct bs_connect_answer {
	uint32_t cp; /**< echoed */
	uint32_t sp; /**< echoed */
	uint16_t seq;
	uint32_t code; /**< enum bs_status */
	uint32_t nsi;  /**< connection NSI */
};

/** Rendezvous packet, both ways between client and device. */
struct bs_rendezvous_packet {
	uint32_t nsi;           /**< connection NSI */
	uint16_t step;          /**< 0, 1 or 2; the header's seq */
	struct bs_endpoint ep1; /**< where the sender sends this packet to */
	struct bs_endpoint ep2; /**< steps 1 and 2: under which address the sender was reached */
	uint32_t interval_ms;   /**< client: NONCE, keep-alive interval; 0 = not there */
};

/** Whether a U_CONNECT is a request (first payload IPX) or a rendezvous packet (EP). */
bool bs_connect_is_request(const struct bs_packet *p);
bool bs_connect_is_rendezvous(const struct bs_packet *p);

/**
 * What the device reads.  BS_EMISSING: no IPX; BS_ESHORT: IPX below 17 bytes; BS_EFIELD: NSI 0.
 * A CP_ID or FP of another kind or length counts as absent.
 */
BS_MUSTCHECK int bs_connect_request_decode(const struct bs_packet *p, struct bs_connect_request *m);
/**
 * bs_connect_request_begin - start the packet in w: everything before CRYPTO
 *
 * @limit   bytes of the whole packet with CRYPTO, 272 or 256: what does not fit is left out, EP6
 *          payloads first, then GW, then the end of the client id
 * @d_block what the caller will seal; only its length is looked at
 *
 * Returns BS_OK, or BS_EINVAL when the D block is not 96 bytes or the connection NSI is 0 or
 * missing, BS_ETOOBIG when not even the fixed parts fit.  Nothing may be sent then.
 */
BS_MUSTCHECK int bs_connect_request_begin(struct bs_writer *w, uint8_t *buf, size_t cap,
					  const struct bs_connect_request *m, size_t limit,
					  struct bs_slice d_block);

/** Whether GW and the full IPX fit a request of so many bytes without cutting the client id. */
bool bs_connect_gw_fits(const struct bs_connect_request *m, size_t limit);

BS_MUSTCHECK int bs_connect_answer_decode(const struct bs_packet *p, struct bs_connect_answer *m);
/** Header and NOTIFY; errors stick to the writer. */
void bs_connect_answer_begin(struct bs_writer *w, uint8_t *buf, size_t cap,
			     const struct bs_connect_answer *m);
BS_MUSTCHECK bs_ssize bs_connect_answer_encode(uint8_t *buf, size_t cap,
					       const struct bs_connect_answer *m);

/** A client's fingerprint, [16], of the only kind that counts. */
void bs_fp_put(struct bs_writer *w, const uint8_t *fp);

/** BS_EFIELD for a step above 2. */
BS_MUSTCHECK int bs_rendezvous_packet_decode(const struct bs_packet *p,
					     struct bs_rendezvous_packet *m);
/** IPv6 endpoints go as EP6 kind 2 behind their zero EP.  BS_EINVAL for a step above 2 or an
 *  interval above BS_RENDEZVOUS_INTERVAL_MAX. */
BS_MUSTCHECK bs_ssize bs_rendezvous_packet_encode(uint8_t *buf, size_t cap,
						  const struct bs_rendezvous_packet *m);

#endif
