/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gw.h - the TCP relay on the wire: the GW payload that offers it, the handshake GW_CONN_U that
 * opens a leg, and the cutting of a byte stream into packets (basestation-wire(7), TCP RELAY).
 *
 * Device, client and relay share it.  The gateway id is a bearer secret for one attempt: whoever
 * compares it uses bs_equal_secret or the like, and never logs it.
 * Wire layer: pure, may call util only, allocates nothing, any thread.
 */
#ifndef BS_WIRE_GW_H
#define BS_WIRE_GW_H

#include "wire/packet.h"

/** Bytes of a gateway id; devices take no other length. */
#define BS_GW_ID_LEN 20
/** Bytes of a GW payload, its header included. */
#define BS_GW_PAYLOAD_LEN 34
/** Bytes of its data. */
#define BS_GW_DATA_LEN 30
/** Bytes of the handshake of a leg. */
#define BS_GW_HELLO_LEN 66
/** Longest answer that we send; the shortest one that is taken has 22 bytes. */
#define BS_GW_ANSWER_LEN 30

/** Flags in the NONCE of a handshake and of its answer. */
enum bs_gw_flag {
	BS_GW_RELIABLE = 0x01,  /**< the path loses nothing */
	BS_GW_KEEPALIVE = 0x02, /**< answer: the device's idle limit stays in force */
	BS_GW_CLIENT = 0x04,    /**< the leg of a client */
	BS_GW_SERVER = 0x08,
};

/** GW payload: where the relay is, and the secret that pairs the legs. */
struct bs_gw {
	/** IPv4 only.  Without an address (0.0.0.0) the relay is on the host that said so: the
	 *  attach server for a device, the gate for a client. */
	struct bs_endpoint ep;
	uint32_t nsi; /**< of the other end; nobody needs it */
	uint8_t id[BS_GW_ID_LEN];
};

/** GW_CONN_U, from an end to the relay. */
struct bs_gw_hello {
	uint32_t nsi_cp;   /**< client's number, as in IPX */
	uint32_t nsi_sp;   /**< connection number */
	uint8_t nsi_co[8]; /**< controller number, as in IPX */
	uint8_t flags;     /**< enum bs_gw_flag */
	uint8_t id[BS_GW_ID_LEN];
};

/** GW_CONN_U, from the relay to an end: both legs are there. */
struct bs_gw_answer {
	uint32_t nsi_cp;
	uint32_t nsi_sp;
	bool has_co; /**< encode: write nsi_co, which makes 30 bytes of 22 */
	uint8_t nsi_co[8];
	uint8_t flags; /**< enum bs_gw_flag */
};

/** From a payload's data; BS_ESHORT, or BS_EFIELD when the id has another length than 20. */
BS_MUSTCHECK int bs_gw_get(const struct bs_payload *pl, struct bs_gw *gw);
/** Append; an IPv6 endpoint is written as 0.0.0.0 with its port. */
void bs_gw_put(struct bs_writer *w, const struct bs_gw *gw);

/**
 * bs_gw_hello_decode - read the handshake of a leg
 *
 * Returns BS_OK; BS_ETYPE for another packet or other header flags, BS_EMISSING without NONCE,
 * BS_EFIELD when its numbers are not the header's, its kind is not TCP or its length is wrong.
 */
BS_MUSTCHECK int bs_gw_hello_decode(const struct bs_packet *p, struct bs_gw_hello *m);
/** Returns 66, or BS_ETOOBIG. */
BS_MUSTCHECK bs_ssize bs_gw_hello_encode(uint8_t *buf, size_t cap, const struct bs_gw_hello *m);
/** BS_OK; BS_ETYPE, BS_EMISSING, or BS_ESHORT when the NONCE has fewer than 2 bytes. */
BS_MUSTCHECK int bs_gw_answer_decode(const struct bs_packet *p, struct bs_gw_answer *m);
/** Returns 22 or 30, or BS_ETOOBIG. */
BS_MUSTCHECK bs_ssize bs_gw_answer_encode(uint8_t *buf, size_t cap, const struct bs_gw_answer *m);

/**
 * bs_gw_frame_len - length of the packet at the start of a byte stream
 *
 * @buf [len] what has come so far
 * @max largest packet that the reader takes, BS_PACKET_MAX for a relay
 *
 * Returns 16..max, also when fewer bytes than that are there; BS_EAGAIN while the length field is
 * not there; BS_ELENGTH when it is out of range: the stream cannot be followed any further.
 */
BS_MUSTCHECK bs_ssize bs_gw_frame_len(const uint8_t *buf, size_t len, size_t max);

/**
 * bs_gw_data_check - whether a relay may pass a packet on
 *
 * Type DATA, this connection's number, a header that fits, and towards a device a well-formed
 * payload list (a client gets lists as devices send them).  BS_OK or a drop reason.
 */
BS_MUSTCHECK int bs_gw_data_check(const uint8_t *pkt, size_t len, uint32_t nsi_sp, bool to_device);

#endif
