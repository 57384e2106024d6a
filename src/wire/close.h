/* SPDX-License-Identifier: Apache-2.0 */
/*
 * close.h - U_CLOSE: the server ends a connection or the attachment (basestation-wire(7),
 * EXTENSIONS, bit CLOSE).  Ends with CRYPTO under the C key and empty plaintext, the caller's part.
 */
#ifndef BS_WIRE_CLOSE_H
#define BS_WIRE_CLOSE_H

#include "wire/payload.h"

/** U_CLOSE, either way. */
struct bs_close {
	uint32_t nsi; /**< attachment NSI */
	uint16_t seq;
	bool answer;         /**< device to server */
	uint32_t connection; /**< connection NSI, 0 = the attachment with all its connections */
	uint16_t status;     /**< enum bs_status: why */
	size_t crypto_off;   /**< decode: where CRYPTO starts */
};

/** CLOSE and, as last payload, CRYPTO must be there. */
BS_MUSTCHECK int bs_close_decode(const struct bs_packet *p, struct bs_close *m);
/** Start the packet in w: everything before CRYPTO. */
void bs_close_begin(struct bs_writer *w, uint8_t *buf, size_t cap, const struct bs_close *m);

#endif
