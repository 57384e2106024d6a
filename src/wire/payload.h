/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h - the payloads that several messages share (basestation-wire(7), PAYLOADS).
 *
 * get: from a payload's data; BS_OK, BS_EFIELD or BS_ESHORT.  put: append to a packet under
 * construction; errors stick to the writer.
 */
#ifndef BS_WIRE_PAYLOAD_H
#define BS_WIRE_PAYLOAD_H

#include "wire/packet.h"

/** IPX: the two endpoints of a peer, and for a connection its numbers. */
struct bs_ipx {
	struct bs_endpoint priv;   /**< private IPv4 endpoint, port 0 = none */
	struct bs_endpoint global; /**< global IPv4 endpoint, port 0 = none */
	uint8_t flags;             /**< enum bs_ipx_flag */
	bool has_nsi;              /**< 21-byte form or longer */
	bool has_full;             /**< 33-byte form */
	uint32_t nsi_sp;           /**< connection NSI, device side */
	uint8_t nsi_co[8];         /**< controller number */
	uint32_t nsi_cp;           /**< client side number */
};

/** VERSION payload. */
struct bs_version {
	uint16_t kind; /**< 1 client, 2 server peer, 3 controller, 4 gateway, 5 device */
	uint32_t major;
	uint32_t minor;
	bool has_patch;
	uint32_t patch;
	struct bs_slice label; /**< text, not terminated */
};

/** CAPABILITY payload. */
struct bs_caps {
	uint32_t bits;
	uint32_t mask;
	bool has_suites; /**< a suite list is there */
	uint16_t n_suites;
	uint16_t suite; /**< the first suite, 0 when none */
};

/** NOTIFY payload. */
struct bs_notify {
	uint32_t code;
	bool has_nsi;
	uint32_t nsi;
};

/** EP6 payload. */
struct bs_ep6 {
	struct bs_endpoint ep;
	uint8_t kind; /**< enum bs_ep6_kind */
	uint8_t priority;
};

/** EXT payload. */
struct bs_ext_offer {
	uint32_t bits;
	bool has_offered;
	uint32_t offered;
};

BS_MUSTCHECK int bs_ipx_get(const struct bs_payload *pl, struct bs_ipx *ipx);
/** Length follows has_nsi / has_full.  IPv6 endpoints are written as 0.0.0.0:0. */
void bs_ipx_put(struct bs_writer *w, const struct bs_ipx *ipx);
BS_MUSTCHECK int bs_ep_get(const struct bs_payload *pl, struct bs_endpoint *ep);
void bs_ep_put(struct bs_writer *w, const struct bs_endpoint *ep);
BS_MUSTCHECK int bs_ep6_get(const struct bs_payload *pl, struct bs_ep6 *ep);
void bs_ep6_put(struct bs_writer *w, const struct bs_ep6 *ep);
/** Append EP6 of this kind when ep is a usable IPv6 endpoint, which EP and IPX cannot hold. */
void bs_ep6_put_if_needed(struct bs_writer *w, const struct bs_endpoint *ep, uint8_t kind);
/** Copy the well-formed EP6 payloads of a packet, of one kind or (0) of all; returns how many,
 *  at most max. */
size_t bs_ep6_collect(const struct bs_packet *p, uint8_t kind, struct bs_ep6 *out, size_t max);
BS_MUSTCHECK int bs_version_get(const struct bs_payload *pl, struct bs_version *v);
void bs_version_put(struct bs_writer *w, const struct bs_version *v);
BS_MUSTCHECK int bs_caps_get(const struct bs_payload *pl, struct bs_caps *c);
void bs_caps_put(struct bs_writer *w, const struct bs_caps *c);
BS_MUSTCHECK int bs_notify_get(const struct bs_payload *pl, struct bs_notify *n);
void bs_notify_put(struct bs_writer *w, const struct bs_notify *n);
/** Append NOTIFY with code 1. */
void bs_notify_ok_put(struct bs_writer *w);
/** SP_ID, CP_ID and DESCR share a shape: u8 kind, then text.  BS_EFIELD when empty. */
BS_MUSTCHECK int bs_kind_text_get(const struct bs_payload *pl, uint8_t *kind,
				  struct bs_slice *text);
void bs_kind_text_put(struct bs_writer *w, uint8_t type, uint8_t flags, uint8_t kind,
		      struct bs_slice text);
BS_MUSTCHECK int bs_ext_get(const struct bs_payload *pl, struct bs_ext_offer *e);
void bs_ext_put(struct bs_writer *w, const struct bs_ext_offer *e);
/** Whether [len] bytes are a device id: 1..40 of a-z 0-9 - . */
bool bs_device_id_ok(const uint8_t *id, size_t len);

/** Append an INTERVAL payload of so many seconds; 0 appends nothing. */
void bs_interval_put(struct bs_writer *w, uint16_t seconds);
/** The packet's INTERVAL in seconds, 0 when there is none. */
uint16_t bs_interval_find(const struct bs_packet *p);
/** BS_OK when the last payload is of this type; *off is where it starts.  BS_EMISSING else. */
BS_MUSTCHECK int bs_payload_last(const struct bs_packet *p, uint8_t type, size_t *off);

#endif
