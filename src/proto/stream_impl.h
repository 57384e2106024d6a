/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_impl.h - what the files of the stream machine share; nobody else includes it.
 *
 * stream.c holds the table, the application's calls and the ends of a stream, stream_mem.c the
 * pool, stream_input.c sorts packets and opens and closes, stream_recv.c and stream_send.c are the
 * two directions, stream_output.c composes packets, stream_timer.c waits.  The rates are in
 * stream_rtt.c, stream_tokens.c, stream_path.c and stream_mtu.c.
 *
 * Owner: as stream.h.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_STREAM_IMPL_H
#define BS_PROTO_STREAM_IMPL_H

#include "proto/stream.h"

/** Lists of a connection. */
enum bs__stream_list {
	BS__LIST_CONTROL = 0,
	BS__LIST_DATA = 1,
	BS__LIST_EVENTS = 2,
};

/** Where a segment is. */
enum bs__segment_where {
	BS__SEG_WAITS = 0,  /**< tx: never sent; rx: whole */
	BS__SEG_FLIGHT = 1, /**< tx: in the list flight */
	BS__SEG_LOST = 2,   /**< tx: in the list lost */
	BS__SEG_PARTS = 3,  /**< rx: pieces are missing */
};

enum {
	/** First number of a responder, as all devices have it. */
	BS__STREAM_FIRST = 30,
	/** Segments that each stream can always send, whatever the others hold. */
	BS__STREAM_TX_KEEP = 2,
	/** Segments that a stream may receive before it proves to need more (FAST_STREAM). */
	BS__STREAM_CREDIT = 64,
	/** Pace of the initiator's acknowledgements: at once so many times, then every second. */
	BS__STREAM_ACK_EAGER = 256,
	BS__STREAM_ACK_EVERY = 2,
	BS__STREAM_ACK_EVERY_FAST = 8,
	BS__STREAM_ACK_MS = 20,
	BS__STREAM_ACK_FAST_MS = 5,
	BS__STREAM_LINGER_MS = 2000,
	BS__STREAM_LINGER_FAST_MS = 8000,
	/** Silence after which the peer is made to say whether it still knows the stream; doubles
	 *  up to the second. */
	BS__STREAM_QUIET_MS = 10000,
	BS__STREAM_QUIET_MOST_MS = 80000,
	BS__STREAM_QUIT_MS = 10000,
	/** Base protocol: packets in a row, and the pause that follows. */
	BS__STREAM_BURST = 24,
	BS__STREAM_PAUSE_MS = 1,
	/** Packets that fit almost any path, and any. */
	BS__STREAM_PACKET_LOW = 1200,
	BS__STREAM_PACKET_LEAST = 640,
};

/** A segment; its bytes follow it. */
struct bs_segment {
	struct bs_segment *next;
	struct bs_segment *prev;
	bs_time sent; /**< tx: last time */
	struct bs_stream_sent model;
	uint32_t seq;
	uint32_t order;  /**< tx: which transmission of the stream the last one was */
	uint32_t other;  /**< rx: at an end of a run beyond a gap: the other end */
	uint32_t parts;  /**< rx: pieces that came */
	uint16_t len;    /**< bytes in use */
	uint16_t packet; /**< tx: size of the packet that took it last */
	uint8_t sends;   /**< tx: transmissions, at most 255 */
	uint8_t where;   /**< enum bs__segment_where */
	bool small;      /**< tx: counted in tx.small */
};

static inline uint8_t *bs__segment_bytes(struct bs_segment *g)
{
	return (uint8_t *)(g + 1);
}

/** Serial numbers: a is before b. */
static inline bool bs__before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* stream_mem.c */
/** Promise n segments; false when there are not so many. */
bool bs__mem_reserve(struct bs_stream_mem *m, uint32_t n);
void bs__mem_unreserve(struct bs_stream_mem *m, uint32_t n);
/** Take a segment that was promised, or one that nobody was promised; NULL when there is none. */
struct bs_segment *bs__mem_take(struct bs_stream_mem *m, bool promised);
/** How many there are or could be. */
uint32_t bs__mem_total(const struct bs_stream_mem *m);
/** How many are promised to nobody. */
uint32_t bs__mem_left(const struct bs_stream_mem *m);
/** Give it back; renew: the promise holds again. */
void bs__mem_give(struct bs_stream_mem *m, struct bs_segment *g, bool renew);
/** A slot, zeroed, with its rings; NULL when there is none. */
struct bs_stream *bs__mem_take_slot(struct bs_stream_mem *m);
void bs__mem_give_slot(struct bs_stream_mem *m, struct bs_stream *s);

/* stream.c */
struct bs_stream *bs__streams_find(const struct bs_streams *ss, uint16_t tag);
/** A new stream in the table; NULL without a slot or segments. */
struct bs_stream *bs__streams_make(struct bs_streams *ss, uint16_t tag, bs_time now);
void bs__stream_queue(struct bs_stream *s, enum bs__stream_list which);
/** Next of a list, taken out of it. */
struct bs_stream *bs__streams_pop(struct bs_streams *ss, enum bs__stream_list which);
/** Tell the application. */
void bs__stream_tell(struct bs_stream *s, unsigned events);
/** The stream is over: BS_OK in order, else why not. */
void bs__stream_end(struct bs_stream *s, int err, bs_time now);
/** Both directions are done? then end. */
void bs__stream_settle(struct bs_stream *s, bs_time now);
/** It fails by our decision: RST. */
void bs__stream_fail(struct bs_stream *s, int err, bs_time now);
/** Free the slots of streams that are gone. */
void bs__streams_sweep(struct bs_streams *ss);
/** Let a slot be free if a lingering stream has one. */
void bs__streams_make_room(struct bs_streams *ss);
/** First use of the connection, or another path: what was measured starts anew. */
void bs__streams_bind(struct bs_streams *ss, bs_time now);

static inline bool bs__is_initiator(const struct bs_stream *s)
{
	return s->ss->conn->role == BS_INITIATOR;
}

/** A lingering stream that has nothing more to say, and whose end keeps no memory: stock devices
 *  do not, and their slots are few. */
static inline bool bs__is_done_here(const struct bs_stream *s)
{
	return !s->ss->fast && !bs__is_initiator(s) && !s->send_rst && !s->rx.ack_now;
}

/* stream_recv.c */
void bs__rx_init(struct bs_stream *s, uint32_t first, uint16_t window, uint16_t size);
void bs__rx_fini(struct bs_stream *s);
/** Let the application's side of it go: what came and what comes is dropped. */
void bs__rx_discard(struct bs_stream *s, bs_time now);
/** Take a data packet; part is NULL for a whole segment.  BS_OK or a drop reason; *progress is set
 *  when it was new. */
int bs__rx_data(struct bs_stream *s, uint32_t seq, struct bs_slice plain,
		const struct bs_part *part, bool urgent, bool *progress, bs_time now);
/** The peer's FIN has number seq. */
void bs__rx_fin(struct bs_stream *s, uint32_t seq, bs_time now);
/** Fill ack and window as they are now. */
void bs__rx_tell(const struct bs_stream *s, struct bs_window_pl *w);
/** Ranges beyond the first gap; how many. */
size_t bs__rx_ranges(const struct bs_stream *s, struct bs_sack_pair *out, size_t max);
/** A packet with ack and window went out. */
void bs__rx_told(struct bs_stream *s, const struct bs_window_pl *w, bs_time now);
/** The peer may not know the window: tell it again until data comes. */
void bs__rx_repeat(struct bs_stream *s, bs_time now);
/** ack_at has come. */
void bs__rx_timeout(struct bs_stream *s, bs_time now);

/* stream_send.c */
void bs__tx_init(struct bs_stream *s, uint32_t first, uint32_t limit, uint16_t window,
		 uint16_t size);
void bs__tx_fini(struct bs_stream *s);
/** Take ack, window and ranges of a packet; empty: it had no data.  BS_OK or a drop reason;
 *  *progress is set when they acknowledged something new. */
int bs__tx_ack(struct bs_stream *s, const struct bs_window_pl *w, const struct bs_payload *sack,
	       bool empty, bool *progress, bs_time now);
/** The segment that should go next, NULL when none may now. */
struct bs_segment *bs__tx_pick(struct bs_stream *s, bs_time now);
/** It went out in a packet of so many bytes. */
void bs__tx_sent(struct bs_stream *s, struct bs_segment *g, size_t packet, bs_time now);
/** The retransmission timer has come. */
void bs__tx_timeout(struct bs_stream *s, bs_time now);
/** All that is under way is taken for lost. */
void bs__tx_lose_all(struct bs_stream *s, bs_time now);
/** Set the timer by what is under way. */
void bs__tx_arm(struct bs_stream *s, bs_time now);
/** Largest segment for the path as it is known. */
uint16_t bs__tx_size(const struct bs_stream *s);
/** Most data bytes in a packet of this size with these bytes of outer payloads. */
uint16_t bs__streams_room(const struct bs_streams *ss, size_t packet, size_t outer);

/* stream_timer.c */
void bs__stream_set_timer(struct bs_stream *s, bs_time at);
void bs__stream_set_ack(struct bs_stream *s, bs_time at);
void bs__stream_set_pause(struct bs_stream *s, bs_time at);
/** A packet of the stream came. */
void bs__stream_heard(struct bs_stream *s, bs_time now);

#endif
