/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect_device.h - the device answers a connect request of the basestation, and its U_CLOSE
 * (basestation-wire(7), CONNECTING A CLIENT; extension CLOSE).
 *
 * Owner: the device composite.  May call: util, wire, crypto, conn.  Allocates: no.
 */
#ifndef BS_PROTO_CONNECT_DEVICE_H
#define BS_PROTO_CONNECT_DEVICE_H

#include "proto/conn.h"
#include "proto/device_conf.h"
#include "proto/gw_device.h"
#include "proto/limits.h"
#include "proto/rendezvous.h"
#include "proto/spray.h"

/** Endpoints of a client beyond the two of the base protocol: IPv6. */
#define BS_SEARCH_MORE 3

/** What a search has beyond the base protocol. */
struct bs_search_state {
	struct bs_endpoint more[BS_SEARCH_MORE];
	uint8_t n_more;
	uint8_t more_left;           /**< of this round, still to be composed */
	uint8_t rounds;              /**< rounds left when more_left was set */
	struct bs_endpoint observed; /**< the client's endpoint as the basestation saw it */
	uint32_t number;             /**< of the last search that the client asked for, 0 = none */
	bs_time at;                  /**< when it came */
};

/** One connection slot of a device. */
struct bs_device_conn {
	struct bs_conn c;
	struct bs_rendezvous_device rv;
#if BS_WITH_SPRAY
	struct bs_spray spray;
	struct bs_search_state search;
#endif
#ifndef BS_PROFILE_MCU
	struct bs_gw_link gw; /**< leg to a TCP relay */
#endif
};

/** The spray of a connection; NULL at compile time where the build leaves it out. */
static inline struct bs_spray *bs_device_spray(struct bs_device_conn *dc)
{
#if BS_WITH_SPRAY
	return &dc->spray;
#else
	(void)dc;
	return NULL;
#endif
}

/** The same for the rest of a search's state. */
static inline struct bs_search_state *bs_device_search(struct bs_device_conn *dc)
{
#if BS_WITH_SPRAY
	return &dc->search;
#else
	(void)dc;
	return NULL;
#endif
}

/** The leg of a connection; NULL at compile time where the build leaves the relay out. */
static inline struct bs_gw_link *bs_device_conn_gw(struct bs_device_conn *dc)
{
#ifdef BS_PROFILE_MCU
	(void)dc;
	return NULL;
#else
	return BS_WITH_GW ? &dc->gw : NULL;
#endif
}

/** The answer that waits to be composed. */
struct bs_connect_device {
	struct bs_endpoint to;
	uint32_t cp; /**< NSI.cp and NSI.sp to echo */
	uint32_t sp;
	uint32_t nsi; /**< connection number in the NOTIFY or CLOSE payload */
	uint16_t seq;
	uint16_t code; /**< enum bs_status */
	uint8_t type;  /**< packet type of the answer, 0 = none waits */
};

/** What a request needs to know about its surroundings. */
struct bs_connect_env {
	const struct bs_device_conf *conf;
	const struct bs_crypto *crypto;
	const struct bs_key_block *c_key; /**< NULL when attached without a secret */
	struct bs_device_conn *conns;     /**< [n_conns] slots */
	size_t n_conns;
	uint32_t granted; /**< enum bs_ext bits in force */
	bool symmetric;   /**< our own NAT gives each destination another port */
};

/**
 * bs_connect_input - take a U_CONNECT request with IPX
 *
 * @made receives the new connection, or NULL when none was made
 *
 * Returns BS_OK: an answer waits (any code).  Else a drop reason: silence.
 */
BS_MUSTCHECK int bs_connect_input(struct bs_connect_device *d, const struct bs_connect_env *env,
				  const struct bs_packet *p, uint8_t *pkt,
				  const struct bs_endpoint *from, bs_time now,
				  struct bs_device_conn **made);
/**
 * bs_connect_input_close - take a U_CLOSE for one connection or for all
 *
 * @all set when the attachment itself is closed: the caller then closes everything
 *
 * Returns BS_OK: an answer waits.  Else a drop reason.
 */
BS_MUSTCHECK int bs_connect_input_close(struct bs_connect_device *d,
					const struct bs_connect_env *env, const struct bs_packet *p,
					const struct bs_endpoint *from, bool *all);
/** Compose the waiting answer; 0 when none waits. */
size_t bs_connect_output(struct bs_connect_device *d, const struct bs_connect_env *env,
			 uint8_t *buf, size_t cap, struct bs_endpoint *to);

#endif
