/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - WINDOW, SACK and PART, the payloads of stream packets (basestation-wire(7), STREAMS).
 *
 * They travel outside the encryption, before CRYPTO, and are covered by its MAC.  Numbers count
 * segments, not bytes.
 *
 * The rules of wire/packet.h hold: pure, no allocation, any thread.  May call: util.
 */
#ifndef BS_WIRE_STREAM_H
#define BS_WIRE_STREAM_H

#include "wire/packet.h"

/** Flags of WINDOW. */
enum bs_window_flag {
	BS_WINDOW_ACK = 0x10,
	BS_WINDOW_RST = 0x20,
	BS_WINDOW_FIN = 0x40,
	BS_WINDOW_SYN = 0x80,
};

/** Options that a SYN offers. */
enum bs_stream_option {
	BS_STREAM_OPT_WSRF = 0x0001, /**< acknowledge before the application has read */
	BS_STREAM_OPT_SACK = 0x0002,
};

/** The only version of streams. */
#define BS_STREAM_VERSION 1
/** Pairs of a SACK: what any end reads, and what ends with FAST_STREAM send and read. */
#define BS_SACK_PAIRS      4
#define BS_SACK_PAIRS_FAST 16
/** Whole payloads: of a pure ACK or data, of a SYN, of the others, of n SACK pairs, of PART. */
#define BS_WINDOW_ACK_LEN  20u
#define BS_WINDOW_SYN_LEN  32u
#define BS_WINDOW_BARE_LEN 18u
#define BS_SACK_LEN(n)     (4u + 8u * (size_t)(n))
#define BS_PART_LEN        8u
/** PART cuts segments at multiples of this many bytes. */
#define BS_PART_UNIT 512u

/** What a SYN proposes, from its sender's point of view. */
struct bs_stream_syn {
	uint16_t options;    /**< enum bs_stream_option */
	uint16_t rx_size;    /**< largest segment it takes, bytes */
	uint16_t rx_window;  /**< segments it takes unread */
	uint16_t tx_size;    /**< largest segment it wants to send */
	uint16_t tx_window;  /**< segments it keeps for retransmission */
	uint16_t retrans;    /**< most retransmissions of one segment */
	uint16_t timeout_ms; /**< first retransmission timeout */
};

/** A WINDOW payload. */
struct bs_window_pl {
	uint8_t flags;            /**< enum bs_window_flag */
	uint8_t version;          /**< not checked on receipt, as others do not */
	uint16_t id_cp;           /**< initiator's id of the stream */
	uint16_t id_sp;           /**< responder's */
	uint32_t seq;             /**< number of the segment, or the next never sent */
	uint32_t ack;             /**< first number that is missing */
	uint16_t window;          /**< with flags exactly ACK: segments that may follow ack */
	struct bs_stream_syn syn; /**< with flag SYN */
};

/** One received range of a SACK: start .. end - 1. */
struct bs_sack_pair {
	uint32_t start;
	uint32_t end;
};

/** A piece of a segment that is too long for the path (only between ends with FAST_STREAM). */
struct bs_part {
	uint16_t off;   /**< where it starts, a multiple of BS_PART_UNIT */
	uint16_t total; /**< bytes of the whole segment */
};

/** BS_OK, BS_ESHORT, BS_ELENGTH or BS_EFIELD (flags or sizes that cannot be). */
BS_MUSTCHECK int bs_window_get(const struct bs_payload *pl, struct bs_window_pl *w);
/** Append a WINDOW; its form follows w->flags. */
void bs_window_put(struct bs_writer *w, const struct bs_window_pl *win);
/** Ranges of a SACK, at most max; those with end <= start are left out.  Returns how many. */
size_t bs_sack_get(const struct bs_payload *pl, struct bs_sack_pair *out, size_t max);
void bs_sack_put(struct bs_writer *w, const struct bs_sack_pair *pair, size_t n);
BS_MUSTCHECK int bs_part_get(const struct bs_payload *pl, struct bs_part *part);
void bs_part_put(struct bs_writer *w, const struct bs_part *part);

/**
 * Decode a packet as bs_packet_decode does, and take the one malformed packet that devices in the
 * field send: an RST whose WINDOW says 22 bytes where 18 are.  Then *odd is set, p->list_off is
 * where CRYPTO starts, and the WINDOW is what bs_window_find finds.
 */
BS_MUSTCHECK int bs_stream_packet_decode(const uint8_t *buf, size_t len, struct bs_packet *p);
/** The WINDOW of a decoded packet: BS_OK, BS_EMISSING, or as bs_window_get. */
BS_MUSTCHECK int bs_window_find(const struct bs_packet *p, struct bs_window_pl *w);

#endif
