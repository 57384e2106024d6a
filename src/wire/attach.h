/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.h - the clear parts of U_ATTACH: request of the server, response of the device
 * (basestation-wire(7), ATTACH, and EXTENSIONS for EXT, INTERVAL and EP6).
 *
 * The last payload, CRYPTO (or VERIFY in legacy mode), is made and opened by the caller: begin
 * leaves the writer where it goes, decode says where it starts.  Nothing of a message may be
 * believed before that payload has been verified.
 */
#ifndef BS_WIRE_ATTACH_H
#define BS_WIRE_ATTACH_H

#include "wire/payload.h"

/** Capability mask that a device sends, and the bits of a secure one without relay. */
#define BS_ATTACH_CAP_MASK                                                                         \
 ((uint32_t)(BS_CAP_PLAIN | BS_CAP_DEVICE | BS_CAP_UDP | BS_CAP_TAGS | BS_CAP_ASYNC |              \
	     BS_CAP_GW_CLEAR | BS_CAP_FINGERPRINT))
#define BS_ATTACH_CAP_BITS                                                                         \
 ((uint32_t)(BS_CAP_DEVICE | BS_CAP_UDP | BS_CAP_TAGS | BS_CAP_FINGERPRINT))
/** Most candidate endpoints that are read from one response. */
#define BS_ATTACH_EPS_MAX 8

/** U_ATTACH request, server to device: EP, NONCE, [EXT, [INTERVAL], [EP6],] CRYPTO. */
struct bs_attach_request {
	uint32_t nsi; /**< attachment NSI, not 0 */
	uint16_t seq;
	struct bs_endpoint observed; /**< the device as the attach server sees it */
	struct bs_slice nonce;       /**< nonce_s, 32 bytes (8 legacy) */
	bool has_ext;                /**< only if the invite had EXT */
	uint32_t ext;                /**< enum bs_ext bits granted */
	uint16_t interval_s;         /**< INTERVAL, 0 = not there; needs has_ext */
	size_t last_off;             /**< decode: where CRYPTO or VERIFY starts */
};

/** U_ATTACH response, device to server: CAPABILITY, IPX, NOTIFY, [EXT, [SP_ID, NONCE, VERSION,
 *  DESCR,] EP6 list,] CRYPTO. */
struct bs_attach_response {
	uint32_t nsi;
	uint16_t seq;
	struct bs_caps caps;     /**< bits and mask */
	struct bs_ipx ipx;       /**< private: own address; global: as the controller said */
	bool has_ext;            /**< only if the request had EXT */
	struct bs_ext_offer ext; /**< granted echoed, and the original offer */
	/** With extension COOKIE what the invite said, for the server has kept none of it; needs
	 *  has_ext.  id empty = not there. */
	struct bs_slice id;
	const uint8_t *nonce_d;      /**< [BS_NONCE_LEN], not NULL where id is there; borrowed */
	struct bs_version version;   /**< kind 0 = not there */
	struct bs_slice app_version; /**< empty = not there */
	const struct bs_ep6 *eps; /**< encode: n_eps endpoints; decode: NULL, see bs_ep6_collect */
	uint8_t n_eps;
	size_t last_off; /**< decode: where CRYPTO or VERIFY starts */
};

/** Order and sizes are fixed: anything else is BS_EFIELD or BS_EMISSING (device status 1).
 *  nonce_len is what this device's mode expects, last the type of the last payload. */
BS_MUSTCHECK int bs_attach_request_decode(const struct bs_packet *p, size_t nonce_len, uint8_t last,
					  struct bs_attach_request *m);
/** Start the packet in w: everything before CRYPTO.  Errors stick to the writer. */
void bs_attach_request_begin(struct bs_writer *w, uint8_t *buf, size_t cap,
			     const struct bs_attach_request *m);

BS_MUSTCHECK int bs_attach_response_decode(const struct bs_packet *p, uint8_t last,
					   struct bs_attach_response *m);
/** Start the packet in w: everything before CRYPTO.  VERSION, DESCR and EP6s stay out where they
 *  and a CRYPTO of 118 bytes would not fit. */
void bs_attach_response_begin(struct bs_writer *w, uint8_t *buf, size_t cap,
			      const struct bs_attach_response *m);

#endif
