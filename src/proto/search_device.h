/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search_device.h - when and how a device searches beyond the usual rounds: for symmetric NATs, at
 * a moment that suits both sides, and again when the client asks (extension PATH).
 *
 * Not in the MCU profile: everything here is called behind BS_WITH_SPRAY.
 *
 * Owner: the device composite.  May call: util, wire, conn, rendezvous, spray.  Allocates: no.
 */
#ifndef BS_PROTO_SEARCH_DEVICE_H
#define BS_PROTO_SEARCH_DEVICE_H

#include "proto/connect_device.h"
#include "wire/search.h"

/** A U_CONNECT was accepted: plan what its rounds cannot do, and put all off as START says. */
void bs_search_device_start(struct bs_device_conn *dc, const struct bs_connect_env *env,
			    const struct bs_packet *p, uint8_t ipx_flags, bs_time now);
/** The usual rounds have run: what else does this round send? */
void bs_search_device_timeout(struct bs_device_conn *dc, bs_time now);
/** Take the destination of the next step 0 beyond the usual ones; false when none waits. */
bool bs_search_device_next(struct bs_device_conn *dc, struct bs_endpoint *to);
/** The search is over. */
void bs_search_device_stop(struct bs_device_conn *dc);
/**
 * bs_search_device_input - the client asks for another search
 *
 * Its word is authentic, but it must not turn the device against others: a search comes at most
 * every 2 s, and its spray goes only to an address that this client is known by.
 *
 * Returns BS_OK or a drop reason.
 */
BS_MUSTCHECK int bs_search_device_input(struct bs_device_conn *dc, const struct bs_connect_env *env,
					struct bs_slice text, bs_time now);

#endif
