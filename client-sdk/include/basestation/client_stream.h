/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_stream.h - streams and tunnels of the client SDK.
 *
 * A stream is a reliable byte pipe to a device, both ways; a connection carries many at a time.  A
 * tunnel connects TCP clients of this machine, or a pair of descriptors, with a TCP service that
 * the device can reach, and keeps a connection to the device for that as long as it is needed.
 *
 * Everything is bounded: bsc_stream_write() takes no more than there is room for, and a device that
 * sends faster than the program reads is held back.
 *
 * The rules of client.h hold: handles belong to the session's thread, callbacks run inside
 * bsc_session_step().
 */
#ifndef BS_CLIENT_STREAM_H
#define BS_CLIENT_STREAM_H

#include "basestation/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- streams */

/** One stream. */
struct bsc_stream;

/** What happened to a stream; a set of bits. */
enum bsc_stream_event {
	BSC_STREAM_OPEN = 0x01,        /**< the device accepted it */
	BSC_STREAM_READABLE = 0x02,    /**< bytes, or the end of them, wait */
	BSC_STREAM_WRITABLE = 0x04,    /**< room again after a write that took less */
	BSC_STREAM_PEER_CLOSED = 0x08, /**< the device will send nothing more */
	BSC_STREAM_CLOSED = 0x10,  /**< both sides ended in order, what was written has arrived */
	BSC_STREAM_ABORTED = 0x20, /**< it failed; nothing can be read any more */
};

/**
 * bsc_stream_fn - something happened to a stream
 *
 * @arg    as given to bsc_stream_open()
 * @s      the stream; it may be closed in here
 * @events set of enum bsc_stream_event
 * @err    with BSC_STREAM_ABORTED the reason, else NULL; borrowed
 */
typedef void (*bsc_stream_fn)(void *arg, struct bsc_stream *s, unsigned events,
			      const struct bsc_error *err);

/** Figures of a stream. */
struct bsc_stream_info {
	uint64_t rx_bytes;    /**< received */
	uint64_t tx_bytes;    /**< sent, each byte once */
	uint32_t rx_segments; /**< packets that brought bytes */
	uint32_t tx_segments; /**< packets that carried bytes, first transmissions */
	uint32_t resent;      /**< packets that were sent again */
	uint32_t rtt_us;      /**< smoothed round trip, 0 = not measured yet */
};

/**
 * bsc_stream_open - open a stream
 *
 * @c   an open connection (BSC_PATH_FOUND); borrowed
 * @fn  events; NULL = not wanted, poll with the functions below
 * @arg for fn; borrowed until bsc_stream_close()
 * @out the stream; end it with bsc_stream_close() or bsc_stream_abort()
 *
 * Nothing can be written before BSC_STREAM_OPEN.
 *
 * Returns BS_OK, or
 *   BS_ESTATE  the connection is not open yet, or after fork()
 *   BS_ECLOSED the connection is over
 *   BS_EFULL   no memory or no number left for a stream: close one
 *   BS_ENOMEM  no memory
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 * Source: basestation-wire(7), section STREAMS.
 */
BS_API BS_MUSTCHECK int bsc_stream_open(struct bsc_conn *c, bsc_stream_fn fn, void *arg,
					struct bsc_stream **out);

/**
 * bsc_stream_peek - look at the next bytes, where they are
 *
 * @s   stream; borrowed
 * @len out: how many, 0 when none wait now
 *
 * Returns the bytes, borrowed until bsc_stream_consume(), or NULL with *len 0.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API const uint8_t *bsc_stream_peek(const struct bsc_stream *s, size_t *len);

/**
 * bsc_stream_consume - bytes are done with; the device may send as many more
 *
 * @s   stream; borrowed
 * @len at most what bsc_stream_peek() gave
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API void bsc_stream_consume(struct bsc_stream *s, size_t len);

/**
 * bsc_stream_read - copy bytes out
 *
 * @s   stream; borrowed
 * @buf [cap] bytes
 * @cap bytes available
 *
 * Returns the number of bytes, 0 at the end, or
 *   BS_EAGAIN  none wait now
 *   BS_ECLOSED the stream failed: bsc_stream_get_error()
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API BS_MUSTCHECK bs_ssize bsc_stream_read(struct bsc_stream *s, void *buf, size_t cap);

/**
 * bsc_stream_is_end - whether everything was read and the device sends no more
 *
 * @s stream; borrowed
 *
 * Returns false while bytes wait or more may come.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API bool bsc_stream_is_end(const struct bsc_stream *s);

/**
 * bsc_stream_can_write - how much bsc_stream_write() would take now
 *
 * @s stream; borrowed
 *
 * Returns bytes; 0 also when our side has ended.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API size_t bsc_stream_can_write(const struct bsc_stream *s);

/**
 * bsc_stream_write - send bytes
 *
 * @s    stream; borrowed
 * @data [len] bytes, copied
 * @len  bytes
 *
 * The next step sends them.
 *
 * Returns how many were taken, perhaps 0 (BSC_STREAM_OPEN or BSC_STREAM_WRITABLE follows), or
 * BS_ECLOSED when our side has ended or the stream failed.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 */
BS_API BS_MUSTCHECK bs_ssize bsc_stream_write(struct bsc_stream *s, const void *data, size_t len);

/**
 * bsc_stream_command - write a line that opens a service of the device
 *
 * @s    stream, fresh; borrowed
 * @line without newline, such as "echo"; at most 510 bytes
 *
 * As bsc_stream_write(), but nothing that is written later shares a packet with the line: devices
 * throw away what does.
 *
 * Returns BS_OK, BS_EINVAL (too long, or with a newline), BS_EAGAIN (no room: the stream is not
 * fresh), BS_ECLOSED.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 * Source: basestation-wire(7), section TUNNELS.
 */
BS_API BS_MUSTCHECK int bsc_stream_command(struct bsc_stream *s, const char *line);

/**
 * bsc_stream_end - nothing more will be written
 *
 * @s stream; borrowed
 *
 * What was written is still delivered, then the device reads the end.  Reading goes on.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API void bsc_stream_end(struct bsc_stream *s);

/**
 * bsc_stream_close - give a stream back
 *
 * @s stream; taken; NULL is fine
 *
 * It ends in order by itself: what was written is delivered, what comes is thrown away.  No event
 * follows.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API void bsc_stream_close(struct bsc_stream *s);

/**
 * bsc_stream_abort - end both ways at once and give the stream back
 *
 * @s stream; taken; NULL is fine
 *
 * The device sees a failure, not an end.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API void bsc_stream_abort(struct bsc_stream *s);

/**
 * bsc_stream_get_error - why a stream failed
 *
 * @s stream; borrowed
 *
 * Returns the reason, borrowed until the stream is closed, or NULL when it did not fail.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API const struct bsc_error *bsc_stream_get_error(const struct bsc_stream *s);

/**
 * bsc_stream_get_info - figures of a stream
 *
 * @s    stream; borrowed
 * @info out; all fields set
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API void bsc_stream_get_info(const struct bsc_stream *s, struct bsc_stream_info *info);

/**
 * bsc_stream_open_wait - bsc_stream_open() and wait until the device has accepted
 *
 * @c          an open connection; borrowed
 * @timeout_ms longest wait; -1 = until it is known
 * @out        the stream
 * @err        filled on failure; may be NULL
 *
 * Returns BS_OK, or err->err; nothing is left open then.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: yes.
 */
BS_API BS_MUSTCHECK int bsc_stream_open_wait(struct bsc_conn *c, int32_t timeout_ms,
					     struct bsc_stream **out, struct bsc_error *err);

/**
 * bsc_stream_read_wait - wait for bytes and copy them out
 *
 * @s          stream, opened with fn NULL or by bsc_stream_open_wait(); borrowed
 * @buf        [cap] bytes
 * @cap        bytes available
 * @timeout_ms longest wait; -1 = until something comes
 * @err        filled on failure; may be NULL
 *
 * Returns the number of bytes, 0 at the end, or err->err.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: yes.
 */
BS_API BS_MUSTCHECK bs_ssize bsc_stream_read_wait(struct bsc_stream *s, void *buf, size_t cap,
						  int32_t timeout_ms, struct bsc_error *err);

/**
 * bsc_stream_write_wait - write all bytes, waiting for room
 *
 * @s          stream as for bsc_stream_read_wait(); borrowed
 * @data       [len] bytes
 * @len        bytes
 * @timeout_ms longest wait; -1 = until all are taken
 * @err        filled on failure; may be NULL
 *
 * Returns BS_OK, or err->err; some bytes may have been taken then.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: yes.
 */
BS_API BS_MUSTCHECK int bsc_stream_write_wait(struct bsc_stream *s, const void *data, size_t len,
					      int32_t timeout_ms, struct bsc_error *err);

/**
 * bsc_stream_close_wait - end our side, wait until all has arrived and the device ended too
 *
 * @s          stream as for bsc_stream_read_wait(); taken
 * @timeout_ms longest wait; -1 = until it is known.  Bytes that still come are thrown away
 * @err        filled on failure; may be NULL
 *
 * Returns BS_OK, or err->err: the last bytes may not have arrived.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: yes.
 */
BS_API BS_MUSTCHECK int bsc_stream_close_wait(struct bsc_stream *s, int32_t timeout_ms,
					      struct bsc_error *err);

/* ---- tunnels */

/** Tunnels to one device: listeners, descriptors, and the connection that they share. */
struct bsc_tunnel;

/** What happened to a tunnel. */
enum bsc_tunnel_event {
	BSC_TUNNEL_UP = 1,      /**< the connection to the device is open */
	BSC_TUNNEL_DOWN = 2,    /**< it is over, or could not be opened; err says why */
	BSC_TUNNEL_OPENED = 3,  /**< a TCP client has its stream */
	BSC_TUNNEL_REFUSED = 4, /**< the device ended it without a byte: not allowed, or nobody
				     listens there */
	BSC_TUNNEL_CLOSED = 5,  /**< both sides of a TCP client's tunnel ended */
	BSC_TUNNEL_ABORTED = 6, /**< it was cut; err says why, NULL when the TCP client did it */
};

/** What an event is about; pointers are borrowed for the callback. */
struct bsc_tunnel_info {
	const char *host;   /**< target as given; NULL with UP and DOWN */
	uint16_t port;      /**< target port */
	uint16_t local;     /**< local port, 0 for descriptors */
	uint64_t to_device; /**< bytes of this TCP client sent */
	uint64_t to_client; /**< bytes of the service received */
	uint32_t retry_ms;  /**< with DOWN: no new attempt earlier */
};

/**
 * bsc_tunnel_fn - something happened to a tunnel
 *
 * @arg   as given to bsc_tunnel_new()
 * @t     the tunnel; it must not be closed in here
 * @event enum bsc_tunnel_event
 * @info  borrowed
 * @err   NULL, or the reason; borrowed
 */
typedef void (*bsc_tunnel_fn)(void *arg, struct bsc_tunnel *t, enum bsc_tunnel_event event,
			      const struct bsc_tunnel_info *info, const struct bsc_error *err);

/**
 * bsc_tunnel_new - prepare tunnels to a device
 *
 * @s      session; borrowed until bsc_tunnel_close()
 * @device device id
 * @fn     events; may be NULL
 * @arg    for fn; borrowed until bsc_tunnel_close()
 * @out    the tunnel
 *
 * The connection is opened at once, and again when it was lost and somebody wants it; failures in a
 * row are followed by longer and longer pauses.  TCP connections of a lost connection are cut,
 * those that wait for a new one are kept for up to 15 s.
 *
 * Returns BS_OK, or
 *   BS_EINVAL  not a device id
 *   BS_EIO     no descriptor could be had; errno says why
 *   BS_EFULL, BS_ESTATE, BS_ENOMEM  as bsc_connect()
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 */
BS_API BS_MUSTCHECK int bsc_tunnel_new(struct bsc_session *s, const char *device, bsc_tunnel_fn fn,
				       void *arg, struct bsc_tunnel **out);

/**
 * bsc_tunnel_listen - accept TCP clients on a local port
 *
 * @t     tunnel; borrowed
 * @bind  local address, numeric; NULL = 127.0.0.1
 * @port  local port; 0 = any
 * @host  target address as the device shall use it: IPv4, "localhost" is 127.0.0.1; copied
 * @rport target port
 * @local out: the local port; may be NULL
 * @err   filled on failure; may be NULL
 *
 * Returns BS_OK, or
 *   BS_EINVAL  an address is none, or rport is 0
 *   BS_EBUSY   the local port is in use
 *   BS_EPERM   no right to use this port
 *   BS_EIO     another failure: err->text
 *   BS_ENOMEM  no memory
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 * Source: basestation-wire(7), section TUNNELS.
 */
BS_API BS_MUSTCHECK int bsc_tunnel_listen(struct bsc_tunnel *t, const char *bind, uint16_t port,
					  const char *host, uint16_t rport, uint16_t *local,
					  struct bsc_error *err);

/**
 * bsc_tunnel_pipe - tunnel a pair of descriptors, such as standard input and output
 *
 * @t     tunnel; borrowed
 * @in    bytes for the service are read here; duplicated, made non-blocking
 * @out   bytes from the service are written here; the same
 * @host  as for bsc_tunnel_listen()
 * @rport as for bsc_tunnel_listen()
 * @err   filled on failure; may be NULL
 *
 * The end shows as BSC_TUNNEL_CLOSED, REFUSED or ABORTED with local port 0.  A pipe whose reader
 * has gone raises SIGPIPE, as pipes do, unless the program ignores that signal; sockets do not.
 *
 * Returns BS_OK, BS_EINVAL, BS_EIO, BS_ENOMEM.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 */
BS_API BS_MUSTCHECK int bsc_tunnel_pipe(struct bsc_tunnel *t, int in, int out, const char *host,
					uint16_t rport, struct bsc_error *err);

/**
 * bsc_tunnel_command - as bsc_tunnel_pipe(), for another service than TCP
 *
 * @t    tunnel; borrowed
 * @in   as there
 * @out  as there
 * @line first line for the device, such as "echo"; NULL or "" for none
 * @err  filled on failure; may be NULL
 *
 * Returns BS_OK, BS_EINVAL, BS_EIO, BS_ENOMEM.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 */
BS_API BS_MUSTCHECK int bsc_tunnel_command(struct bsc_tunnel *t, int in, int out, const char *line,
					   struct bsc_error *err);

/**
 * bsc_tunnel_count - TCP clients that have or wait for a stream
 *
 * @t tunnel; borrowed
 *
 * Returns their number, 0 when nobody uses the tunnel.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API size_t bsc_tunnel_count(const struct bsc_tunnel *t);

/**
 * bsc_tunnel_get_conn - the connection in use, for bsc_conn_get_info()
 *
 * @t tunnel; borrowed
 *
 * Returns the connection, borrowed until the next step, or NULL when there is none.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API struct bsc_conn *bsc_tunnel_get_conn(const struct bsc_tunnel *t);

/**
 * bsc_tunnel_close - stop listening, cut what is open, close the connection
 *
 * @t tunnel; taken; NULL is fine.  Not from inside a callback; before bsc_session_free()
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API void bsc_tunnel_close(struct bsc_tunnel *t);

#ifdef __cplusplus
}
#endif
#endif
