/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alive.h - U_ALIVE: request of the server, answer and poll of the device (basestation-wire(7),
 * KEEP-ALIVE).
 */
#ifndef BS_WIRE_ALIVE_H
#define BS_WIRE_ALIVE_H

#include "wire/payload.h"

/** U_ALIVE request, server to device. */
struct bs_alive_request {
	uint32_t nsi; /**< attachment NSI */
	uint16_t seq; /**< not 0; the same in a repetition */
	bool has_time;
	uint32_t unix_s;     /**< TIME: seconds since 1970 */
	uint16_t interval_s; /**< INTERVAL, 0 = not there */
};

/** U_ALIVE answer, device to server; seq 0 is a poll. */
struct bs_alive_answer {
	uint32_t nsi;
	uint16_t seq;
	bool has_events;
	struct bs_slice events; /**< PIGGY: event records without the four zero bytes */
};

/** A payload that cannot be read is taken as absent: the content is never a reason to refuse. */
BS_MUSTCHECK int bs_alive_request_decode(const struct bs_packet *p, struct bs_alive_request *m);
BS_MUSTCHECK bs_ssize bs_alive_request_encode(uint8_t *buf, size_t cap,
					      const struct bs_alive_request *m);
/** NOTIFY code 1 must be there (else BS_EMISSING, BS_EFIELD). */
BS_MUSTCHECK int bs_alive_answer_decode(const struct bs_packet *p, struct bs_alive_answer *m);
BS_MUSTCHECK bs_ssize bs_alive_answer_encode(uint8_t *buf, size_t cap,
					     const struct bs_alive_answer *m);

#endif
