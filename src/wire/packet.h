/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - header, payload list and the writer that every encoder uses (basestation-wire(7),
 * PACKETS, PAYLOADS).
 *
 * The wire layer is pure: bytes in, values out and the reverse.  It allocates nothing, reads no
 * clock and keeps no state.  Decoders return a drop reason (-2xx) and leave out-parameters alone.
 * It may call util only.  Any thread.
 */
#ifndef BS_WIRE_PACKET_H
#define BS_WIRE_PACKET_H

#include "basestation/error.h"
#include "basestation/wire.h"
#include "util/cursor.h"

/** A packet header; NSI.co and tag are there as flags say. */
struct bs_header {
	uint32_t nsi_cp;   /**< client side number */
	uint32_t nsi_sp;   /**< device side number */
	uint8_t type;      /**< enum bs_type */
	uint8_t version;   /**< 2; checked by decode */
	uint8_t retrans;   /**< transmission counter, 0 but in DATA */
	uint8_t flags;     /**< enum bs_flag */
	uint16_t seq;      /**< pairs an answer with its request */
	uint16_t len;      /**< whole packet; filled by decode, ignored by encode */
	uint16_t tag;      /**< only with BS_FLAG_TAG, else 0 */
	uint8_t nsi_co[8]; /**< only with BS_FLAG_NSI_CO, else zero */
};

/** One payload, borrowed from the packet. */
struct bs_payload {
	uint8_t type;        /**< enum bs_payload_type */
	uint8_t flags;       /**< BS_PLF_* */
	uint16_t len;        /**< bytes of data, without the payload header */
	const uint8_t *data; /**< len bytes inside the packet */
};

/** A decoded packet: header plus its well-formed payload list. */
struct bs_packet {
	struct bs_header h;
	const uint8_t *bytes; /**< the whole packet */
	size_t len;           /**< its length */
	size_t list_off;      /**< where the payload list starts */
};

/** Bytes of the header that these flags give: 16, 18, 24 or 26. */
size_t bs_header_len(uint8_t flags);

/**
 * Decode header and check the payload list of one datagram.
 *
 * @buf [len] bytes of exactly one packet; borrowed by *p for as long as *p is used
 * @p   out
 *
 * Returns BS_OK or BS_ESHORT, BS_ELENGTH (length field is not len), BS_EVERSION, BS_EPAYLOAD (list
 * not well formed): drop and count.
 */
BS_MUSTCHECK int bs_packet_decode(const uint8_t *buf, size_t len, struct bs_packet *p);
/** Whether these bytes look like DATA of a stream; nothing is checked. */
bool bs_packet_is_stream(const uint8_t *buf, size_t len);
/** As bs_packet_decode, but the payload list is not looked at (relay towards a client). */
BS_MUSTCHECK int bs_packet_decode_header(const uint8_t *buf, size_t len, struct bs_packet *p);
/** BS_OK when [len] bytes are a well-formed payload list, else BS_EPAYLOAD. */
BS_MUSTCHECK int bs_payload_list_check(const uint8_t *list, size_t len);

/** Iterate: start with *off = 0; returns false at the end.  The list must have been checked. */
bool bs_payload_next(const struct bs_packet *p, size_t *off, struct bs_payload *out);
/** Iterate over a bare list of [len] checked bytes. */
bool bs_payload_list_next(const uint8_t *list, size_t len, size_t *off, struct bs_payload *out);
/** First payload of a type; false when there is none. */
bool bs_payload_find(const struct bs_packet *p, uint8_t type, struct bs_payload *out);

/** Start a packet in w with this header; the length field is filled by bs_packet_finish. */
void bs_packet_begin(struct bs_writer *w, uint8_t *buf, size_t cap, const struct bs_header *h);
/** The same for the many packets whose other header fields are 0. */
void bs_packet_start(struct bs_writer *w, uint8_t *buf, size_t cap, enum bs_type type,
		     uint8_t flags, uint32_t nsi_sp, uint16_t seq);
/** Append one payload.  An IPX below 17 bytes is refused: the writer's error (here and below). */
void bs_packet_add(struct bs_writer *w, uint8_t type, uint8_t flags, const void *data, size_t len);
/** Append a payload header for len bytes of data and return where to write them; NULL when full. */
uint8_t *bs_packet_add_reserve(struct bs_writer *w, uint8_t type, uint8_t flags, size_t len);
/** Open a payload whose length is not known yet; returns its offset for bs_packet_close_payload. */
size_t bs_packet_open_payload(struct bs_writer *w, uint8_t type, uint8_t flags);
void bs_packet_close_payload(struct bs_writer *w, size_t off);
/** Write the length field.  Returns the packet's length, or BS_ETOOBIG when it did not fit. */
BS_MUSTCHECK bs_ssize bs_packet_finish(struct bs_writer *w);

#endif
