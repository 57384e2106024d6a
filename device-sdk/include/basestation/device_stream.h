/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_stream.h - streams of a device: reliable bytes, both ways, many at a time, over the
 * connections of its clients.
 *
 * A client opens a stream; the application accepts or refuses it and is told by events when there
 * is something to read, room to write, or an end.  What a stream is for is settled by the first
 * bytes that the client writes; device_tunnel.h is one such use.
 *
 * Everything is bounded: a client that sends faster than the application reads is held back, and
 * bsdev_stream_write() takes no more than there is room for.
 *
 * Threads: as in device.h.  The callbacks run inside the call that caused them and may call
 * anything of this header.  Not in the MCU profile.
 */
#ifndef BSDEV_DEVICE_STREAM_H
#define BSDEV_DEVICE_STREAM_H

#include "basestation/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One stream; from the accept callback until bsdev_stream_release() or bsdev_stream_abort(). */
struct bsdev_stream;

/** What happened to a stream; a set of bits. */
enum bsdev_stream_event {
	/** Bytes or the end of the client's bytes wait: bsdev_stream_peek(). */
	BSDEV_STREAM_READABLE = 0x01,
	/** There is room again after bsdev_stream_write() took less than it was given. */
	BSDEV_STREAM_WRITABLE = 0x02,
	/** The client will send nothing more; what it sent before can still be read. */
	BSDEV_STREAM_PEER_CLOSED = 0x04,
	/** Both sides ended in order and what we wrote has arrived: read what is left, then
	 *  release it. */
	BSDEV_STREAM_CLOSED = 0x08,
	/** Over without order: the client gave it up, fell silent, or its connection ended.
	 *  Nothing can be read any more; release the handle before the callback returns. */
	BSDEV_STREAM_ABORTED = 0x10,
};

/** Figures of a stream. */
struct bsdev_stream_stats {
	uint64_t rx_bytes;    /**< received */
	uint64_t tx_bytes;    /**< sent, each byte once */
	uint32_t rx_segments; /**< packets that brought bytes */
	uint32_t tx_segments; /**< packets that carried bytes, first transmissions */
	uint32_t resent;      /**< packets that were sent again */
	uint32_t rtt_us;      /**< smoothed round trip, 0 = not measured yet */
};

/**
 * A client opens a stream: whether it may.  Keep what you need with bsdev_stream_set_arg(); nothing
 * can be read yet.
 */
typedef bool (*bsdev_stream_accept_fn)(void *ctx, struct bsdev *dev, struct bsdev_stream *s,
				       const struct bsdev_peer *peer);
/** Something happened; events is a set of enum bsdev_stream_event. */
typedef void (*bsdev_stream_fn)(void *ctx, struct bsdev *dev, struct bsdev_stream *s,
				unsigned events);

/** Takes memory for more streams and segments from the port's heap: [len] zeroed bytes, or NULL. */
typedef void *(*bsdev_stream_alloc_fn)(void *ctx, size_t len);

/** Limits and callbacks of the streams of a device.  Zero fields take their defaults. */
struct bsdev_stream_conf {
	uint16_t streams;     /**< open at a time, of all connections; 0 = 16 */
	uint16_t window;      /**< segments of a stream each way; 0 = 100 */
	uint16_t fast_window; /**< the same between our own ends (FAST_STREAM); 0 = window */
	uint32_t segments;    /**< buffers that all streams share; 0 = 4 for each stream */
	bsdev_stream_accept_fn accept; /**< NULL: every stream */
	bsdev_stream_fn event;         /**< required */
	void *ctx;                     /**< handed to the callbacks */
	/** NULL: what bsdev_streams_init() was given is all.  Else storage holds neither streams
	 *  nor segments, and this gives them as they are needed, up to the numbers above.  They
	 *  stay in use until bsdev_fini(); the port frees them then. */
	bsdev_stream_alloc_fn alloc;
	void *alloc_ctx; /**< for alloc */
};

/** Bytes of one segment buffer with what belongs to it. */
#define BSDEV_STREAM_SEGMENT_LEN 1408u
/**
 * Storage for bsdev_streams_init(): n connection slots, s streams with windows of w segments, b
 * segment buffers (s and b 0 with an alloc function).
 */
#define BSDEV_STREAMS_LEN(n, s, w, b)                                                              \
 (1024u + (size_t)(n)*1536u + (size_t)(s) * (1024u + (size_t)(w)*32u) +                            \
  (size_t)(b)*BSDEV_STREAM_SEGMENT_LEN)

/**
 * bsdev_streams_init - let clients open streams
 *
 * @dev     a device, right after bsdev_init(); once
 * @storage aligned as for a pointer; owned by the caller, in use until bsdev_fini()
 * @len     bytes, at least BSDEV_STREAMS_LEN() of what conf asks for
 * @conf    copied
 *
 * Without this call what clients send on streams is not answered, and the code for streams is not
 * linked.
 *
 * Returns BS_OK, or
 *   BS_EINVAL  no event callback, or a number out of range
 *   BS_ETOOBIG storage is too small: see BSDEV_STREAMS_LEN
 *   BS_EEXIST  called twice
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 * Source: basestation-wire(7), STREAMS.
 */
BS_API BS_MUSTCHECK int bsdev_streams_init(struct bsdev *dev, void *storage, size_t len,
					   const struct bsdev_stream_conf *conf);

/**
 * bsdev_stream_set_arg - keep a pointer with a stream
 *
 * @s   a stream
 * @arg the application's
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_stream_set_arg(struct bsdev_stream *s, void *arg);

/**
 * bsdev_stream_get_arg - the pointer kept with a stream
 *
 * @s a stream
 *
 * Returns what bsdev_stream_set_arg() set, NULL before.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void *bsdev_stream_get_arg(const struct bsdev_stream *s);

/**
 * bsdev_stream_get_peer - who is at the other end
 *
 * @s    a stream
 * @peer filled; its pointers are borrowed until the stream is gone
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_stream_get_peer(const struct bsdev_stream *s, struct bsdev_peer *peer);

/**
 * bsdev_stream_peek - look at the next bytes, where they are
 *
 * @s   a stream
 * @len receives how many; 0 when none wait now
 *
 * More may wait behind them: consume, then peek again.
 *
 * Returns the bytes, borrowed until bsdev_stream_consume(), or NULL with *len 0.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API const uint8_t *bsdev_stream_peek(const struct bsdev_stream *s, size_t *len);

/**
 * bsdev_stream_consume - bytes are done with; the client may send as many more
 *
 * @s   a stream
 * @len bytes, at most what bsdev_stream_peek() gave
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_stream_consume(struct bsdev_stream *s, size_t len);

/**
 * bsdev_stream_read - copy bytes out
 *
 * @s   a stream
 * @buf [cap] bytes
 * @cap bytes available
 *
 * Returns how many bytes came, 0 when none wait now.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API size_t bsdev_stream_read(struct bsdev_stream *s, void *buf, size_t cap);

/**
 * bsdev_stream_is_end - whether everything was read and the client sends no more
 *
 * @s a stream
 *
 * Returns false while bytes wait or more may come.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API bool bsdev_stream_is_end(const struct bsdev_stream *s);

/**
 * bsdev_stream_can_write - how much bsdev_stream_write() would take now
 *
 * @s a stream
 *
 * Returns bytes; 0 also after bsdev_stream_close().
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API size_t bsdev_stream_can_write(const struct bsdev_stream *s);

/**
 * bsdev_stream_write - send bytes
 *
 * @s    a stream
 * @data [len] bytes, copied
 * @len  bytes
 *
 * Outside of callbacks and of the POSIX port, fetch the packets with bsdev_output().
 *
 * Returns how many bytes were taken, perhaps 0 (BSDEV_STREAM_WRITABLE follows), or BS_ECLOSED when
 * our side has ended.
 *
 * Thread: the device's.  Allocates: as conf->alloc.  Blocks: no.
 */
BS_API BS_MUSTCHECK bs_ssize bsdev_stream_write(struct bsdev_stream *s, const void *data,
						size_t len);

/**
 * bsdev_stream_close - nothing more will be written
 *
 * @s a stream
 *
 * What was written is still delivered, then the client reads the end.  Reading goes on.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_stream_close(struct bsdev_stream *s);

/**
 * bsdev_stream_abort - end both ways at once and give the handle back
 *
 * @s a stream; taken, no event follows
 *
 * The client sees a failure, not an end.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_stream_abort(struct bsdev_stream *s);

/**
 * bsdev_stream_release - give the handle back
 *
 * @s a stream; taken, no event follows
 *
 * One that has not ended yet does so in order by itself: what was written is delivered, what comes
 * is thrown away; after 10 s it is reset.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_stream_release(struct bsdev_stream *s);

/**
 * bsdev_stream_get_stats - figures of a stream
 *
 * @s     a stream
 * @stats filled
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_stream_get_stats(const struct bsdev_stream *s, struct bsdev_stream_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
