/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rendezvous_packet.h - the rendezvous packet itself, for both sides of the search.
 * Private to rendezvous.c and rendezvous_client.c.
 */
#ifndef BS_PROTO_RENDEZVOUS_PACKET_H
#define BS_PROTO_RENDEZVOUS_PACKET_H

#include "proto/rendezvous.h"
#include "wire/connect.h"

/* Steps: the header's seq. */
#define BS__STEP_OPEN  0
#define BS__STEP_REPLY 1
#define BS__STEP_DONE  2

/* Compose step 0 (EP1), 1 or 2 (EP1, EP2, and NONCE when interval_ms is not 0). */
size_t bs__rendezvous_put(uint8_t *buf, size_t cap, uint32_t nsi, uint8_t step,
			  const struct bs_endpoint *ep1, const struct bs_endpoint *ep2,
			  uint32_t interval_ms);
/* Read a packet into *m and mark the answer that it asks for in *a.  BS_OK or a drop reason. */
int bs__rendezvous_take(const struct bs_packet *p, const struct bs_endpoint *from,
			struct bs_rendezvous_packet *m, struct bs_rendezvous_answer *a);

#endif
