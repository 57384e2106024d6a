/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search.h - text of the framing packet by which a client asks its device to search again
 * (basestation-wire(7), EXTENSIONS, extension PATH).
 *
 * It travels as DATA, so it is as authentic as any request, over whatever path works: usually a
 * relay.  Stock devices drop the unknown command.
 * Wire layer: pure, any thread.
 */
#ifndef BS_WIRE_SEARCH_H
#define BS_WIRE_SEARCH_H

#include "wire/payload.h"

/** Framing command, and bytes of the whole text: command, number, delay, flags, two endpoints. */
#define BS_FRAMING_SEARCH     16u
#define BS_FRAMING_SEARCH_LEN 48u

/** What the device shall do beyond its rounds. */
enum bs_search_flag {
	BS_SEARCH_GUESS = 0x01,   /**< the client's NAT is symmetric: guess ports */
	BS_SEARCH_SOCKETS = 0x02, /**< the device's seems to be: search from many sockets */
};

struct bs_search {
	uint32_t number;           /**< rises with each search of a connection */
	uint16_t delay_ms;         /**< start so much later: both begin at one moment */
	uint8_t flags;             /**< enum bs_search_flag */
	struct bs_endpoint priv;   /**< client's private endpoint, may be none */
	struct bs_endpoint global; /**< and its public one */
};

/** Whether the text of a framing packet has this command. */
bool bs_search_is(struct bs_slice text);
/** BS_OK; BS_ETYPE, BS_ESHORT, or BS_EFIELD without any endpoint.  Unknown flags are left out. */
BS_MUSTCHECK int bs_search_decode(struct bs_slice text, struct bs_search *m);
void bs_search_encode(const struct bs_search *m, uint8_t text[BS_FRAMING_SEARCH_LEN]);

#endif
