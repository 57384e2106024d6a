/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats_server.h - decoding of the reports that devices send and nobody answers
 * (basestation-wire(7), STATS).
 *
 * Any thread.  May call: util, wire.  Allocates: no.
 */
#ifndef BS_PROTO_STATS_SERVER_H
#define BS_PROTO_STATS_SERVER_H

#include "wire/payload.h"

enum bs_stats_event {
	BS_STATS_OPEN = 1,
	BS_STATS_FAILED = 2,
	BS_STATS_CLOSE = 3,
	BS_STATS_ATTACH_FAILED = 7,
	BS_STATS_STREAM_CLOSE = 8,
};

/** A report; only what its event has is filled, the rest is zero. */
struct bs_stats {
	uint32_t nsi;  /**< connection, for open and close */
	uint8_t event; /**< enum bs_stats_event, or another */
	struct bs_slice id;
	uint8_t attach_status; /**< enum bs_attach_status */
	bool wants_secure;
	bool has_info; /**< CONNECTION_INFO was there */
	uint8_t path;  /**< 1 local, 2 peer-to-peer, 3 UDP relay, 4 TCP relay, 5 HTTP */
	uint32_t age_ms;
	uint32_t tx_bytes;
	uint32_t rx_bytes;
};

/** Decode.  BS_OK, or BS_ESTATE (flags), BS_EMISSING, BS_ESHORT, BS_EFIELD. */
BS_MUSTCHECK int bs_stats_decode(const struct bs_packet *p, struct bs_stats *s);

#endif
