/* SPDX-License-Identifier: Apache-2.0 */
/*
 * close_server.h - the server's end of U_CLOSE, the extension that ends a connection or an
 * attachment (basestation-wire(7), EXTENSIONS, Close).
 *
 * Any thread.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_CLOSE_SERVER_H
#define BS_PROTO_CLOSE_SERVER_H

#include "crypto/keys.h"
#include "wire/close.h"

/** Bytes of a U_CLOSE and of its answer. */
#define BS_CLOSE_LEN 80

/** One close under way. */
struct bs_close_server {
	uint32_t nsi_attach;
	uint32_t nsi; /**< connection to end; 0 = the attachment */
	uint16_t seq;
	uint16_t len;
	uint8_t sends;
	struct bs_endpoint peer;
	bs_time due;
	uint8_t pkt[BS_CLOSE_LEN];
};

/** Encode and arm; repeated after 1, 2 and 4 s, given up 8 s later.  BS_OK, BS_ERANDOM or
 *  BS_ECRYPTO. */
BS_MUSTCHECK int bs_close_server_start(struct bs_close_server *s, const struct bs_crypto *c,
				       const struct bs_key_block *c_key, uint32_t nsi_attach,
				       uint32_t nsi, uint16_t status, uint16_t seq,
				       const struct bs_endpoint *peer, bs_time now);
enum bs_close_action {
	BS_CLOSE_WAIT = 0,
	BS_CLOSE_SEND,
	BS_CLOSE_GIVE_UP,
};
enum bs_close_action bs_close_server_timeout(struct bs_close_server *s, bs_time now);
/** Verify an answer.  BS_OK: the device did it.  BS_ESTATE, BS_ESOURCE, BS_EUNKNOWN, BS_EMISSING,
 *  BS_EFIELD, BS_ESUITE, BS_EMAC, BS_ELENGTH, BS_ECRYPTO: drop. */
BS_MUSTCHECK int bs_close_server_input(const struct bs_close_server *s, const struct bs_crypto *c,
				       const struct bs_key_block *c_key, const struct bs_packet *p,
				       const struct bs_endpoint *from);

#endif
