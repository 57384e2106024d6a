/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gw_device.h - the device's leg to a TCP relay: one per connection (basestation-wire(7), TCP
 * RELAY).  Left out where BS_WITH_GW is 0.
 *
 *   IDLE -- offer accepted --> WANTED -- port connects --> GREETING -- handshake sent --> WAITING
 *        -- answer --> UP;  from any of them -- core or peer ends it --> UNWANTED -- port closed
 *        --> IDLE
 *
 * The port opens and closes the byte stream and cuts it into packets (bs_gw_frame_len); packets for
 * it leave through bs_device_output with via == BS_VIA_STREAM, and name their connection by NSI.sp.
 *
 * Owner: the device.  May call: util, wire.  Allocates: no.
 */
#ifndef BS_PROTO_GW_DEVICE_H
#define BS_PROTO_GW_DEVICE_H

#include "proto/conn.h"
#include "wire/connect.h"

enum bs_gw_state {
	BS_GW_IDLE = 0,
	BS_GW_WANTED,   /**< the port should connect to relay */
	BS_GW_GREETING, /**< connected; the handshake waits to be composed */
	BS_GW_WAITING,  /**< for the relay's answer, which takes until the client comes */
	BS_GW_UP,
	BS_GW_UNWANTED, /**< the port should close */
};

/** One leg. */
struct bs_gw_link {
	uint8_t state;            /**< enum bs_gw_state */
	uint8_t told;             /**< state that the port was told last */
	uint8_t flags;            /**< of the answer */
	bool carried;             /**< an authentic packet came over it */
	bool carried_data;        /**< one that was more than a keep-alive */
	struct bs_endpoint relay; /**< via is BS_VIA_STREAM */
	struct bs_gw_hello hello;
};

/**
 * bs_gw_link_offer - look for GW in a U_CONNECT that was accepted
 *
 * @l      the connection's leg; nothing happens unless it is IDLE
 * @server for a GW without an address
 */
void bs_gw_link_offer(struct bs_gw_link *l, const struct bs_packet *p, uint32_t nsi_sp,
		      const struct bs_endpoint *server);
/** The connection is over, or does without: the port is asked to close. */
void bs_gw_link_drop(struct bs_gw_link *l);
/** The byte stream is there. */
void bs_gw_link_opened(struct bs_gw_link *l);
/** The byte stream is gone, or never came; the connection learns what it means. */
void bs_gw_link_closed(struct bs_gw_link *l, struct bs_conn *c, bs_time now);
/** The relay's answer.  BS_OK or a drop reason. */
BS_MUSTCHECK int bs_gw_link_answer(struct bs_gw_link *l, const struct bs_packet *p);
/** An authentic packet came from there: which path is in use now. */
void bs_gw_link_data(struct bs_gw_link *l, const struct bs_conn_data *d,
		     const struct bs_endpoint *from);
/** Whether it is a framing close that came through a relay: not heard, the stream's end counts. */
bool bs_gw_is_close(const struct bs_conn_data *d, const struct bs_endpoint *from);
/** Compose the handshake; 0 when it does not wait. */
size_t bs_gw_link_output(struct bs_gw_link *l, uint8_t *buf, size_t cap, struct bs_endpoint *to);
/** Whether the connection may be silent for as long as the leg is there. */
bool bs_gw_link_holds(const struct bs_gw_link *l, const struct bs_conn *c);

#endif
