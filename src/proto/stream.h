/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - reliable byte streams on a connection, both ends (basestation-wire(7), STREAMS).
 *
 * One struct bs_streams belongs to one connection and carries any number of streams; the initiator
 * opens, the responder accepts.  bs_peer and bs_device route packets to it and fetch its output, so
 * an owner only calls the functions that start with bs_stream_ below, and then fetches output as
 * after any input.
 *
 * Memory is the caller's.  A struct bs_stream_mem holds stream slots and segment buffers for one or
 * many connections; windows promise no more than it has.  alloc may let it grow up to a limit.
 *
 * With a device of others the rules of the base protocol hold to the packet.  Where both ends have
 * extension FAST_STREAM (bs_conn_is_fast) windows are large, one pacing congestion control is
 * shared by all streams of the connection, and the packet size follows the path.
 *
 * Owner: the thread of its device or peer.  May call: util, wire, crypto.  Allocates: only through
 * bs_stream_mem.alloc, when that is set.
 */
#ifndef BS_PROTO_STREAM_H
#define BS_PROTO_STREAM_H

#include "proto/conn.h"
#include "proto/stream_cc.h"
#include "wire/stream.h"

/** Segment sizes: what devices of others have, what clients ask for, the most there is. */
#define BS_STREAM_SEGMENT     1247u
#define BS_STREAM_SEGMENT_ASK 1311u
#define BS_STREAM_SEGMENT_MAX 16000u
/** Largest window, in segments: counters of others have 16 bits, signed. */
#define BS_STREAM_WINDOW_MAX 16384u
/** Buckets of the tag table of a connection. */
#define BS_STREAM_BUCKETS 64u

/** What happened to a stream; a set of bits.  Each is told once when it becomes true. */
enum bs_stream_event {
	BS_STREAM_EV_OPEN = 0x01,        /**< initiator: accepted; responder: a new stream */
	BS_STREAM_EV_READABLE = 0x02,    /**< bytes arrived */
	BS_STREAM_EV_WRITABLE = 0x04,    /**< room again, after a write that took less */
	BS_STREAM_EV_PEER_CLOSED = 0x08, /**< the peer sends no more: after the last byte EOF */
	/** Both directions ended; release it.  Devices of others may end so without EOF, when they
	 *  reset a stream that we had ended already: bs_stream_is_eof tells. */
	BS_STREAM_EV_CLOSED = 0x10,
	BS_STREAM_EV_ABORTED = 0x20, /**< it failed: s->err says why; release it */
};

/** Flag of a write: nothing will be added to the segment that ends with these bytes. */
#define BS_STREAM_PUSH 0x01u

/** State of a stream. */
enum bs_stream_state {
	BS_STREAM_FREE = 0,
	BS_STREAM_SYN_SENT = 1,
	BS_STREAM_SYN_RCVD = 2,
	BS_STREAM_OPEN = 3,   /**< either direction may have ended already */
	BS_STREAM_ENDED = 4,  /**< both ended or aborted; the application has not released it */
	BS_STREAM_LINGER = 5, /**< released; answers what is late */
};

/** How far our FIN is. */
enum bs_stream_fin {
	BS_STREAM_FIN_NONE = 0,
	BS_STREAM_FIN_WANTED = 1, /**< goes out after the data */
	BS_STREAM_FIN_SENT = 2,
	BS_STREAM_FIN_DONE = 3, /**< acknowledged, or no longer worth a retry */
};

/** Limits of all streams that share a struct bs_stream_mem. */
struct bs_stream_conf {
	uint16_t segment; /**< largest segment, base protocol; 0 = 1247, clients ask for 1311 */
	uint16_t window;  /**< segments each way, base protocol; 0 = 100 */
	uint16_t fast_segment; /**< largest segment with FAST_STREAM; 0 = as segment.  More than
				*   1300 lets the path's packet size be probed */
	uint16_t fast_window;  /**< segments each way with FAST_STREAM; 0 = as window */
	uint16_t retrans;      /**< most retransmissions of one segment; 0 = 12 */
	uint16_t timeout_ms;   /**< retransmission timeout before the first sample; 0 = 1000 */
	uint16_t accept_max;   /**< streams that one connection may have open here; 0 = no limit */
};

/** Counters of one stream, as STREAM_STATS has them. */
struct bs_stream_stats {
	uint32_t tx_pkts;  /**< data packets, first transmissions */
	uint64_t tx_bytes; /**< their bytes */
	uint32_t tx_again; /**< data packets sent again */
	uint32_t rx_pkts;
	uint64_t rx_bytes;
	uint32_t rx_again; /**< data that was there already */
	uint32_t rx_order; /**< data that came after a gap */
	uint32_t timeouts;
	uint32_t writes;
	uint32_t reads;
	uint32_t rtt_us; /**< smoothed round trip, 0 = unknown */
	uint32_t rtt_min_us;
	uint32_t rtt_max_us;
};

struct bs_segment;
struct bs_streams;

/** Segments in the order of their transmission; private. */
struct bs_segment_list {
	struct bs_segment *first;
	struct bs_segment *last;
};

/** What we send; private. */
struct bs_stream_tx {
	struct bs_segment **ring;      /**< by number; NULL within una .. next: acknowledged */
	uint32_t mask;                 /**< of the ring's index */
	uint32_t una;                  /**< first number that is not acknowledged */
	uint32_t next;                 /**< first number never sent */
	uint32_t end;                  /**< first number without a segment */
	uint32_t limit;                /**< first number that the peer has no room for */
	uint32_t recover;              /**< a loss episode lasts until this is acknowledged */
	uint32_t order;                /**< transmissions so far */
	uint32_t top;                  /**< highest order that was acknowledged */
	uint32_t second;               /**< the one before it */
	bs_time top_sent;              /**< when the transmission of order top was made */
	struct bs_segment_list flight; /**< sent, neither acknowledged nor lost; oldest first */
	struct bs_segment_list lost;   /**< to be sent again */
	uint32_t n_flight;
	uint32_t held; /**< segments of the pool */
	uint32_t part_seq;
	uint16_t part_packet; /**< the largest packet of these pieces */
	bs_time fin_sent;
	uint32_t small;    /**< segments under way that are not full */
	uint16_t window;   /**< most segments between una and next */
	uint16_t size;     /**< largest segment that the peer takes */
	uint16_t timeouts; /**< in a row */
	uint16_t tries;    /**< of SYN, SYN|ACK or FIN */
	uint16_t part;     /**< bytes of segment part_seq that went out in pieces */
	uint8_t dup_acks;  /**< empty acknowledgements in a row that moved nothing */
	uint8_t fin;       /**< enum bs_stream_fin */
	uint8_t n_known;
	bool recovering;
	bool sealed; /**< the last segment takes no more bytes */
	bool full;   /**< a write was cut short: tell when there is room */
	bool probed; /**< a tail probe went out since the last progress */
	struct bs_sack_pair known[BS_SACK_PAIRS_FAST]; /**< ranges that were told last time */
};

/** What we receive; private. */
struct bs_stream_rx {
	struct bs_segment **ring; /**< by number; NULL = missing */
	uint32_t mask;
	uint32_t read;              /**< first number that the application has not consumed */
	uint32_t ack;               /**< first number missing */
	uint32_t high;              /**< one past the highest number received */
	uint32_t told;              /**< ack + window as told last */
	struct bs_sack_pair latest; /**< range of the number that came last */
	uint32_t fin;               /**< number of the peer's FIN, when has_fin */
	uint32_t reserved;          /**< segments of the pool that are promised to this stream */
	uint32_t grow_at;           /**< when read reaches it, more are promised */
	uint16_t window;            /**< most segments kept unread */
	uint16_t size;              /**< largest segment we take */
	uint16_t off;               /**< bytes consumed of segment read */
	uint16_t unacked;           /**< data packets since the last acknowledgement */
	uint16_t idle_acks;         /**< acknowledgements that were repeated */
	bool has_fin;
	bool fin_done; /**< everything before the FIN has arrived */
	bool ack_now;  /**< an acknowledgement waits */
	bool shut;     /**< the window was 0 when it was told last */
	bool reopened; /**< it was shut before: that it is open may have been lost */
};

/** One stream.  Fields are for reading only, user is the caller's. */
struct bs_stream {
	void *user;            /**< the caller's */
	struct bs_streams *ss; /**< the streams of its connection */
	uint16_t tag;
	uint16_t id_cp;
	uint16_t id_sp;
	uint8_t state;  /**< enum bs_stream_state */
	uint8_t events; /**< not taken yet */
	bool told_eof;
	bool wsrf;
	bool released;
	bool send_rst;  /**< these three wait */
	bool send_open; /**< SYN or SYN|ACK */
	bool send_fin;
	bool aborted;
	bool gone;      /**< free the slot */
	bool queued[3]; /**< in the lists of the connection, private */
	uint8_t burst;  /**< packets since the last acknowledgement or pause */
	int err;        /**< BS_ECLOSED, BS_EREFUSED, BS_ETIMEDOUT, BS_EPROTO: why it failed */
	struct bs_stream *next[3];
	struct bs_stream *chain;       /**< of the tag's bucket, or of the free slots */
	struct bs_stream *linger_next; /**< of all that linger, oldest first */
	struct bs_stream *all_next;
	struct bs_stream *all_prev;
	struct bs_stream_tx tx;
	struct bs_stream_rx rx;
	struct bs_stream_rtt rtt;
	struct bs_stream_tokens cc; /**< congestion control of the base protocol */
	uint16_t options;           /**< enum bs_stream_option, as agreed on */
	uint16_t retrans;           /**< most retransmissions, as agreed on */
	uint16_t timeout_ms;
	bool timer_on;
	bool ack_on;
	bool pause_on;
	bs_time timer;  /**< retransmission, SYN, FIN, linger */
	bs_time ack_at; /**< delayed or repeated acknowledgement */
	bs_time pause;  /**< end of a burst's pause */
	bs_time born;
	bs_time syn_sent;
	bs_time quiet; /**< when the peer is asked whether it knows the stream */
	uint32_t quiet_ms;
	bs_time quit; /**< released: when patience ends */
	struct bs_stream_stats stats;
};

/** Slots and segment buffers for the streams of one or more connections. */
struct bs_stream_mem {
	struct bs_stream_conf conf; /**< defaults filled in */
	struct bs_segment *free;
	struct bs_stream *free_streams;
	struct bs_stream *lingering; /**< of any connection: they give way to new ones */
	uint32_t n_segments;         /**< in all */
	uint32_t n_free;
	uint32_t reserved;  /**< promised and not taken yet */
	uint32_t limit;     /**< alloc may raise n_segments to this */
	uint32_t n_streams; /**< slots in all */
	uint32_t streams_limit;
	uint32_t ring;         /**< entries of a ring: a power of two */
	uint16_t segment_size; /**< bytes of data that each segment holds */
	/** NULL, or gives zeroed memory that is the mem's until its owner frees everything. */
	void *(*alloc)(void *ctx, size_t len);
	void *ctx;
};

/** An RST that waits for a packet of no stream of ours; private. */
struct bs_stream_reject {
	bool waits;
	uint16_t tag;
	struct bs_window_pl w;
	struct bs_endpoint to;
};

/** The streams of one connection.  Fields are for reading only. */
struct bs_streams {
	struct bs_conn *conn;
	const struct bs_crypto *crypto;
	struct bs_stream_mem *mem;
	struct bs_stream *bucket[BS_STREAM_BUCKETS];
	struct bs_stream *all;
	struct bs_stream *head[3]; /**< with control packets, with data, with events */
	struct bs_stream *tail[3];
	uint32_t n;        /**< streams in the table */
	uint32_t n_gone;   /**< of these, to be freed */
	uint16_t next_tag; /**< where the search for a free tag starts */
	uint16_t next_id;
	uint16_t room_packet; /**< packet size that room was computed for */
	uint16_t room;        /**< data bytes in such a packet */
	bool fast;            /**< both ends have FAST_STREAM */
	bool bound;           /**< remote and fast are known */
	bool timer_on;
	bool pace_on;
	bs_time timer;             /**< no stream's timer is due before this */
	bs_time pace_at;           /**< when the pace lets the next packet go */
	struct bs_endpoint remote; /**< path that the measurements below belong to */
	struct bs_stream_reject reject;
	struct bs_stream_path path; /**< FAST_STREAM: congestion control of the connection */
	struct bs_stream_mtu mtu;
};

/** Bytes of storage for one stream with windows of up to n segments (bs_stream_mem_add). */
size_t bs_stream_slot_len(uint32_t n);
/** Bytes of storage for n segments of up to size bytes. */
size_t bs_stream_segments_len(uint16_t size, uint32_t n);

/** Set up without memory.  conf is copied. */
void bs_stream_mem_init(struct bs_stream_mem *m, const struct bs_stream_conf *conf);
/** Give storage, aligned as for a pointer, for as many segments as fit. */
void bs_stream_mem_add_segments(struct bs_stream_mem *m, void *storage, size_t len);
/** Give storage of bs_stream_slot_len(largest window of the conf) bytes, aligned as for a pointer,
 *  for one stream. */
void bs_stream_mem_add_slot(struct bs_stream_mem *m, void *storage);
/** Let it grow up to so many segments and slots. */
void bs_stream_mem_grow(struct bs_stream_mem *m, void *(*alloc)(void *ctx, size_t len), void *ctx,
			uint32_t segments, uint32_t slots);

/** Bind to a connection.  Call after bs_conn_init; all storage is borrowed. */
void bs_streams_init(struct bs_streams *ss, struct bs_stream_mem *mem, struct bs_conn *conn,
		     const struct bs_crypto *crypto);
/** Take all memory back.  Streams end without events; the owner drops its pointers to them. */
void bs_streams_fini(struct bs_streams *ss);
/** The connection is over: every stream ends aborted, with its event. */
void bs_streams_fail(struct bs_streams *ss, int err);

/**
 * bs_stream_open - open a stream (initiator)
 *
 * @out the stream; it takes bytes from BS_STREAM_EV_OPEN on
 *
 * Returns BS_OK, BS_EFULL (no slot, no tag, no memory), BS_ECLOSED (connection is over).
 */
BS_MUSTCHECK int bs_stream_open(struct bs_streams *ss, bs_time now, struct bs_stream **out);
/** Next stream with events, which *events gets; NULL when there is none.  A stream that the
 *  responder sees for the first time comes with BS_STREAM_EV_OPEN. */
struct bs_stream *bs_streams_next_event(struct bs_streams *ss, unsigned *events);

/** Bytes that a write would take now; 0 after close. */
size_t bs_stream_can_write(const struct bs_stream *s);
/** Tell WRITABLE when there is room again, as after a write that was cut short. */
void bs_stream_want(struct bs_stream *s);
/** Take up to len bytes: how many were taken (WRITABLE follows a short count), or BS_ECLOSED. */
BS_MUSTCHECK bs_ssize bs_stream_write(struct bs_stream *s, const void *data, size_t len,
				      unsigned flags);
/** The same without a copy: room for *cap bytes (NULL: none; WRITABLE follows), then commit n. */
uint8_t *bs_stream_reserve(struct bs_stream *s, size_t *cap);
void bs_stream_commit(struct bs_stream *s, size_t n, unsigned flags);

/** The next bytes in order, borrowed until consume; len 0 when there are none now. */
struct bs_slice bs_stream_peek(const struct bs_stream *s);
/** The same, up to n pieces in order: how many.  One consume may cover them all. */
size_t bs_stream_pieces(const struct bs_stream *s, struct bs_slice *v, size_t n);
/** n bytes of what peek gave are done with. */
void bs_stream_consume(struct bs_stream *s, size_t n);
/** Copy up to cap bytes out: how many. */
size_t bs_stream_read(struct bs_stream *s, void *buf, size_t cap);
/** Everything was read and the peer sends no more. */
bool bs_stream_is_eof(const struct bs_stream *s);
/** Everything that was written has been acknowledged. */
bool bs_stream_is_flushed(const struct bs_stream *s);

/** We write no more: FIN after the data.  Reading goes on. */
void bs_stream_close(struct bs_stream *s);
/** End at once: RST; tells nothing. */
void bs_stream_abort(struct bs_stream *s);
/** The caller forgets the stream.  One that has not ended is closed first, reads nothing more, and
 *  is reset when that takes above 10 s. */
void bs_stream_release(struct bs_stream *s, bs_time now);

/* For bs_peer and bs_device. */

/** Whether packets with this tag belong to streams. */
static inline bool bs_tag_is_stream(uint16_t tag)
{
	return tag >= BS_TAG_STREAM_FIRST && tag <= BS_TAG_STREAM_LAST;
}

/** Take a packet with a tag of streams.  p is as it was before bs_conn_open; BS_OK or a drop
 *  reason. */
int bs_streams_input(struct bs_streams *ss, const struct bs_packet *p, const struct bs_conn_data *d,
		     const struct bs_endpoint *from, bs_time now);
void bs_streams_timeout(struct bs_streams *ss, bs_time now);
size_t bs_streams_output(struct bs_streams *ss, uint8_t *buf, size_t cap, struct bs_endpoint *to,
			 bs_time now);
bool bs_streams_next_timeout(const struct bs_streams *ss, bs_time *at);
/** The path or our own address changed: send again at once, forget what was measured. */
void bs_streams_path_changed(struct bs_streams *ss, bs_time now);

#endif
