/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - the streams of a connection: the core's with handles, heap memory and errors in words.
 *
 * A connection gets its struct bsc__streams with the first stream.  Handles outlive the connection:
 * what is left of one then only tells why it failed.
 *
 * Owner: the session's thread.  May call: the core, the heap.
 */
#ifndef BS_CLIENT_SRC_STREAM_H
#define BS_CLIENT_SRC_STREAM_H

#include "basestation/client_stream.h"
#include "machine.h"
#include "proto/stream.h"

/** Segments of a window each way, with devices of others and between our own ends, and the most
 *  bytes that all streams of a connection buffer. */
#define BSC__STREAM_WINDOW      200u
#define BSC__STREAM_FAST_WINDOW 1024u
#define BSC__STREAM_MEMORY      (96u * 1024 * 1024)

/** Memory that the core keeps, to be freed with the connection. */
struct bsc__block {
	struct bsc__block *next;
	size_t unused; /**< keeps what follows aligned */
};

/** The streams of one connection. */
struct bsc__streams {
	struct bs_stream_mem mem;
	struct bs_streams core;
	struct bsc_stream *all;
	struct bsc__block *blocks;
};

struct bsc_stream {
	struct bsc_conn *c;     /**< NULL once the connection is gone */
	struct bs_stream *core; /**< NULL once it failed */
	struct bsc_stream *next;
	struct bsc_stream **back;
	bool opened; /**< the device accepted it */
	bsc_stream_fn fn;
	void *arg;
	struct bsc_error error;      /**< code 0 = it did not fail */
	struct bsc_stream_info last; /**< figures at the end */
};

int bsc__stream_open(struct bsc_conn *c, bsc_stream_fn fn, void *arg, bs_time now,
		     struct bsc_stream **out);
/** Give a handle back; abort: with a reset. */
void bsc__stream_close(struct bsc_stream *s, bool abort, bs_time now);
/** Call back what happened. (cb) */
void bsc__stream_report(struct bsc_conn *c, bs_time now);
/** The connection is over: all streams fail with this reason. (cb) */
void bsc__stream_fail(struct bsc_conn *c, const struct bsc_error *why);
/** Free everything; handles that the caller still has stay. */
void bsc__stream_fini(struct bsc_conn *c);
/** Up to n pieces that can be read, in order; how many. */
size_t bsc__stream_pieces(const struct bsc_stream *s, struct bs_slice *v, size_t n);
/** As bsc_stream_can_write; when it is 0, WRITABLE will come. */
size_t bsc__stream_room(struct bsc_stream *s);
/** Write so that nothing later shares the last packet. */
bs_ssize bsc__stream_push(struct bsc_stream *s, const void *data, size_t len);

#endif
