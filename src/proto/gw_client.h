/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gw_client.h - the client's leg to a TCP relay (basestation-wire(7), TCP RELAY).
 *
 *   IDLE -- due --> OPENING -- opened --> GREETING -- handshake out --> WAITING -- answer --> UP
 *
 * The owner opens a byte stream while bs_gw_client_wants says which kind: plain TCP to the relay
 * first, then TLS to the gate, which passes where a firewall lets nothing else out.  The gateway id
 * serves once: a leg that was greeted and then lost is not opened again.
 *
 * Owner: one thread.  May call: util, wire, crypto (bs_wipe).  Allocates: no.
 */
#ifndef BS_PROTO_GW_CLIENT_H
#define BS_PROTO_GW_CLIENT_H

#include "wire/gw.h"
#include "wire/payload.h"

/** Kinds of byte stream, a set of bits. */
enum bs_gw_mode {
	BS_GW_MODE_TCP = 0x01,
	BS_GW_MODE_TLS = 0x02,
};

enum bs_gw_client_state {
	BS_GW_CLIENT_OFF = 0, /**< no relay was offered, or it is not wanted */
	BS_GW_CLIENT_IDLE,    /**< could be opened */
	BS_GW_CLIENT_OPENING,
	BS_GW_CLIENT_GREETING,
	BS_GW_CLIENT_WAITING, /**< for the device's leg */
	BS_GW_CLIENT_UP,
	BS_GW_CLIENT_OVER, /**< nothing more can come of it */
};

/** What the owner should know; a set of bits. */
enum bs_gw_client_event {
	BS_GW_EV_UP = 0x01,   /**< bs_gw_client.relay is a path now */
	BS_GW_EV_LOST = 0x02, /**< it was one */
	BS_GW_EV_OVER = 0x04, /**< it will not become one; refusal and its text say why, if known */
};

/** Bytes kept of the relay's words, with terminator. */
#define BS_GW_CLIENT_TEXT 64

/** The leg of one connection.  Fields are for reading only. */
struct bs_gw_client {
	uint8_t state; /**< enum bs_gw_client_state */
	uint8_t modes; /**< enum bs_gw_mode: not tried yet */
	uint8_t mode;  /**< in use */
	uint8_t events;
	bool timed_out;
	uint16_t refusal;         /**< status of an ERROR from the relay, 0 = none */
	struct bs_endpoint relay; /**< via is BS_VIA_STREAM; names the path */
	struct bs_gw_hello hello;
	bs_time at;                   /**< of the next step, in IDLE to WAITING */
	char text[BS_GW_CLIENT_TEXT]; /**< of the ERROR: escape before printing */
};

/**
 * bs_gw_client_init - take GW and IPX of a CONNECT answer
 *
 * @gw   data of the GW payload, empty = none was offered
 * @gate for a GW without an address: where the session with the basestation is
 */
void bs_gw_client_init(struct bs_gw_client *g, struct bs_slice gw, const struct bs_ipx *ipx,
		       const struct bs_endpoint *gate);
void bs_gw_client_fini(struct bs_gw_client *g);
/** Open at this time with these modes, unless stopped before. */
void bs_gw_client_start(struct bs_gw_client *g, uint8_t modes, bs_time at);
/** It is not needed (any more): the owner closes the stream. */
void bs_gw_client_stop(struct bs_gw_client *g);
/** The kind of stream that should be there now; 0 = none. */
uint8_t bs_gw_client_wants(const struct bs_gw_client *g);
/** The stream is there: fetch the output. */
void bs_gw_client_opened(struct bs_gw_client *g, bs_time now);
/** It could not be had, or is gone. */
void bs_gw_client_closed(struct bs_gw_client *g, bs_time now);
/** A packet that is no DATA came over it.  BS_OK or a drop reason. */
BS_MUSTCHECK int bs_gw_client_input(struct bs_gw_client *g, const uint8_t *pkt, size_t len);
void bs_gw_client_timeout(struct bs_gw_client *g, bs_time now);
/** The handshake; 0 when it does not wait. */
size_t bs_gw_client_output(struct bs_gw_client *g, uint8_t *buf, size_t cap, bs_time now);
bool bs_gw_client_next_timeout(const struct bs_gw_client *g, bs_time *at);
uint8_t bs_gw_client_take_events(struct bs_gw_client *g);
/** Whether it may still become a path. */
bool bs_gw_client_is_busy(const struct bs_gw_client *g);

#endif
