/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_client.h - the client's leg of a UDP relay: bind it, keep it, bind it anew after a change
 * of address (basestation-wire(7), UDP relay).
 *
 * The binding is a probe under RELAY_KEY with a rising counter.  It is repeated until its answer
 * comes, then sent again every 20 s: that keeps the mapping of our NAT and shows at once when the
 * server has forgotten us.  With several endpoints (IPv4 and IPv6) the next one is tried when one
 * does not answer.
 *
 * The loop is device.h's; after each input and timeout take the events.  DATA does not come through
 * here: once BOUND is told, the endpoint is a path like any other.
 *
 * Owner: the thread of its connection.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_RELAY_CLIENT_H
#define BS_PROTO_RELAY_CLIENT_H

#include "proto/probe.h"

/** Endpoints that are kept. */
#define BS_RELAY_CLIENT_EPS 2
/** Pause between two bindings that keep the leg, in ms; NATs forget UDP after 30 s and more. */
#define BS_RELAY_REFRESH_MS 20000u
/** Bindings without an answer after which the endpoint counts as dead. */
#define BS_RELAY_TRIES 6

/** What the owner should know; a set of bits. */
enum bs_relay_client_event {
	BS_RELAY_EV_BOUND = 0x01, /**< bs_relay_client_endpoint() is a path now */
	BS_RELAY_EV_LOST = 0x02,  /**< `lost` is none any longer; binding goes on */
};

/** The leg of one connection.  Fields are for reading only. */
struct bs_relay_client {
	const struct bs_crypto *crypto;
	uint8_t key[BS_TOKEN_LEN];
	uint32_t nsi; /**< connection number */
	uint32_t cp;  /**< our number; comes back */
	uint32_t counter;
	struct bs_endpoint to[BS_RELAY_CLIENT_EPS];
	struct bs_endpoint lost;     /**< of the last LOST */
	struct bs_endpoint observed; /**< our own address as the relay sees it */
	bs_time due;                 /**< next binding */
	bs_time sent;
	uint32_t rtt_us; /**< of the last answer, 0 = none yet */
	uint16_t first;  /**< seq of the first binding that is not answered */
	uint8_t n;
	uint8_t at;    /**< endpoint in use */
	uint8_t tries; /**< since the last answer */
	uint8_t events;
	bool running;
	bool bound;
	bool resting;
	bool waits; /**< a binding waits to be composed */
};

/** Set up; then add endpoints and start.  key is copied; crypto is borrowed. */
void bs_relay_client_init(struct bs_relay_client *r, const struct bs_crypto *crypto,
			  const uint8_t key[BS_TOKEN_LEN], uint32_t nsi, uint32_t cp);
/** Wipe. */
void bs_relay_client_fini(struct bs_relay_client *r);
/** Add an endpoint, the preferred one first; those beyond the room are left out. */
void bs_relay_client_add(struct bs_relay_client *r, const struct bs_endpoint *ep);
/** Begin to bind; nothing without an endpoint. */
void bs_relay_client_start(struct bs_relay_client *r, bs_time now);
/** Stop; the server forgets the leg by itself. */
void bs_relay_client_stop(struct bs_relay_client *r);
/** Our address changed, or the relay seems to be deaf: bind again at once. */
void bs_relay_client_rebind(struct bs_relay_client *r, bs_time now);
/**
 * bs_relay_client_rest - whether the leg may sleep
 *
 * While a direct path has the data, or the owner sleeps, no packet is spent on keeping the leg; the
 * server forgets it, and it is bound anew at once when it is wanted again.
 */
void bs_relay_client_rest(struct bs_relay_client *r, bool rest, bs_time now);
/** The endpoint in use, NULL when the leg is not bound. */
const struct bs_endpoint *bs_relay_client_endpoint(const struct bs_relay_client *r);

/** Take a PROBE of this connection.  BS_OK or a drop reason. */
int bs_relay_client_input(struct bs_relay_client *r, const uint8_t *pkt, size_t len,
			  const struct bs_endpoint *from, bs_time now);
void bs_relay_client_timeout(struct bs_relay_client *r, bs_time now);
/** The binding that waits; 0 when none. */
size_t bs_relay_client_output(struct bs_relay_client *r, uint8_t *buf, size_t cap,
			      struct bs_endpoint *to, bs_time now);
bool bs_relay_client_next_timeout(const struct bs_relay_client *r, bs_time *at);
uint8_t bs_relay_client_take_events(struct bs_relay_client *r);

#endif
