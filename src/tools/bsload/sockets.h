/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets.h - a handful of UDP sockets through which a million devices write, each from an address
 * of its own out of 127/8.
 *
 * The address that a datagram came to names the device, so no descriptor, no port and no table
 * entry is needed for it.  A second socket is a second port: that is what a device looks like after
 * its router forgot it.
 *
 * Owner: the generator's thread.  May call: net, port, util.  Allocates: when opened only.
 */
#ifndef BS_TOOLS_BSLOAD_SOCKETS_H
#define BS_TOOLS_BSLOAD_SOCKETS_H

#include "net/udp.h"
#include "port/poller.h"

/** Sockets of one set, at most. */
#define SOCKETS_MAX 512

/** One socket. */
struct socket {
	struct bs_source source;
	bool ready; /**< it may hold datagrams */
	bool blind; /**< nobody tells: look each time */
	int fd;
	uint16_t port;
	struct bs_endpoint self; /**< as bound */
};

/** A set of sockets with one send queue. */
struct sockets {
	unsigned n;
	struct socket s[SOCKETS_MAX];
	struct bs_udp_rx *rx;
	struct bs_udp_tx *tx;
	struct bs_udp_sent sent;
	uint64_t received;
	uint64_t bytes_sent; /**< sums of what `sent` counts in 32 bits */
	uint64_t packets_sent;
	uint64_t lost_here; /**< could not be sent: our own socket buffer was full */
};

/** Called for each datagram; data may be changed. */
typedef void (*sockets_fn)(void *ctx, unsigned socket, struct bs_datagram *d);

/** Open n sockets on free ports, with so much buffer each, and let the poller watch them; without
 *  a poller they are looked at each time they are asked.  BS_OK, BS_ENOMEM, BS_EIO, or as
 *  bs_udp_open; close is needed in any case. */
BS_MUSTCHECK int sockets_open(struct sockets *s, struct bs_poller *poller, unsigned n,
			      uint64_t buffer_bytes);
void sockets_close(struct sockets *s);
/** Room for the next datagram, BS_UDP_BUF bytes; sends what waits when the queue is full. */
uint8_t *sockets_reserve(struct sockets *s);
/** Queue the reserved datagram: from this address of ours. */
void sockets_commit(struct sockets *s, size_t len, unsigned socket, uint32_t from,
		    const struct bs_endpoint *to);
/** Send what is queued. */
void sockets_flush(struct sockets *s);
/** Hand over what the sockets have received, at most a few hundred datagrams of each; how many it
 *  were.  0 means that all are empty: wait for the poller. */
unsigned sockets_receive(struct sockets *s, sockets_fn fn, void *ctx);
/** Datagrams that the system dropped because we did not read in time. */
uint64_t sockets_overflowed(const struct sockets *s);

#endif
