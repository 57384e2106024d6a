/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel.h - the command line that opens a service on a fresh stream (basestation-wire(7),
 * TUNNELS): "tunnel port=80 host=127.0.0.1", "uart", "echo".
 *
 * The client writes the line with bs_tunnel_encode; the device gathers it from its segments with
 * bs_tunnel_feed and reads it with bs_tunnel_decode.  No name is resolved here: the host is text.
 *
 * Owner: the thread of the stream.  May call: util.  Allocates: no.
 */
#ifndef BS_WIRE_TUNNEL_H
#define BS_WIRE_TUNNEL_H

#include "basestation/error.h"
#include "basestation/types.h"

/** Bytes of a command line, its LF included: what devices keep. */
#define BS_TUNNEL_LINE_MAX 511
/** Bytes of a host: devices keep 127. */
#define BS_TUNNEL_HOST_MAX 127
/** Bytes that bs_tunnel_encode writes at most: two words, a port, a host. */
#define BS_TUNNEL_COMMAND_MAX (24 + BS_TUNNEL_HOST_MAX)
/** What a line without port= and host= means. */
#define BS_TUNNEL_PORT_DEFAULT 22
#define BS_TUNNEL_HOST_DEFAULT "127.0.0.1"

/** The service that a line asks for. */
enum bs_tunnel_kind {
	BS_TUNNEL_OTHER = 0, /**< a word that nobody knows: end the stream without a byte */
	BS_TUNNEL_TCP = 1,   /**< a TCP connection; no answer but its bytes */
	BS_TUNNEL_UART = 2,  /**< a serial port; "+\n" or a line that begins with "-" first */
	BS_TUNNEL_ECHO = 3,  /**< every byte comes back; "+\n" first */
};

/** A command.  The host points into the line. */
struct bs_tunnel_command {
	uint8_t kind;         /**< enum bs_tunnel_kind */
	uint16_t port;        /**< 0 = not named */
	struct bs_slice host; /**< empty = not named */
};

/** A line that is being gathered; zero it to begin. */
struct bs_tunnel_line {
	uint16_t len;
	uint8_t text[BS_TUNNEL_LINE_MAX];
};

/**
 * bs_tunnel_feed - add the bytes of one segment
 *
 * Devices take a whole segment for part of the line, so that what follows the LF in it is lost;
 * clients know and send the line alone.  Doing the same here keeps both kinds of client alike (some
 * write a NUL behind the LF).
 *
 * Returns BS_OK when the line is complete (len without the LF), BS_EAGAIN while it is not,
 * BS_ETOOBIG when it will never be.
 */
BS_MUSTCHECK int bs_tunnel_feed(struct bs_tunnel_line *l, const uint8_t *data, size_t len);

/**
 * bs_tunnel_decode - read a line without its LF
 *
 * As devices do it: the first word counts as far as it is known ("tunneling" is a tunnel), then
 * "port=" and "host=" are looked for anywhere, the first of each.
 *
 * Returns BS_OK, or BS_EFIELD when port is no number 1..65535 or the host is empty, too long or has
 * other than printable characters.
 */
BS_MUSTCHECK int bs_tunnel_decode(struct bs_slice line, struct bs_tunnel_command *c);

/**
 * bs_tunnel_encode - write a line, its LF included
 *
 * Returns its length; BS_EINVAL for a kind, port or host that no line can say, BS_ETOOBIG when it
 * does not fit cap.  Port 0 and an empty host are left out.
 */
BS_MUSTCHECK bs_ssize bs_tunnel_encode(const struct bs_tunnel_command *c, uint8_t *buf, size_t cap);

#endif
