/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp.h - UDP sockets that are read and written in batches, and know where a datagram was sent to.
 *
 * A receive batch gives for each datagram its source and the local address it came to (IP_PKTINFO,
 * IPV6_PKTINFO); a send queue sends each datagram from exactly the address it names.  A device
 * accepts nothing from another address than the one it wrote to, so that is not a nicety.
 *
 * Datagrams of one size to one peer in a row pass the system as one where it can do that
 * (UDP_SEGMENT, UDP_GRO).
 *
 * Folder net/: sockets, errno and OpenSSL's TLS stay below this line; errors come out as codes.
 * Owner: the thread that holds the object.  It may call util, log and crypto.  The hot functions
 * (bs_udp_receive, bs_udp_reserve, bs_udp_commit, bs_udp_flush) allocate nothing.
 */
#ifndef BS_NET_UDP_H
#define BS_NET_UDP_H

#include "basestation/error.h"
#include "basestation/types.h"

/** Messages in one receive call and in one send call; the system may merge datagrams of a flow. */
#define BS_UDP_BATCH 64
/** Bytes of one receive buffer: above the largest packet, so that longer ones are seen as cut. */
#define BS_UDP_BUF 1536

/**
 * Open a non-blocking UDP socket on ep (port 0 = pick one that nobody has, sharers included) with
 * SO_REUSEPORT, packet information where ep leaves the address open, and, when buffer_bytes is not
 * 0, that much receive buffer.  IPv6 sockets are IPv6 only.  ep is updated to the endpoint in use.
 *
 * Returns the descriptor, or BS_EBUSY (address in use), BS_EPERM, BS_EUNREACH (no such address),
 * BS_EFULL (descriptors) or BS_EIO.
 */
BS_MUSTCHECK int bs_udp_open(struct bs_endpoint *ep, uint64_t buffer_bytes);
/** Whether nobody else has ep: SO_REUSEPORT alone would let two servers of one user share a port
 *  and steal from each other.  BS_OK, or the error that bs_udp_open would give without sharing. */
BS_MUSTCHECK int bs_udp_check_free(const struct bs_endpoint *ep);
/** Close; negative is fine. */
void bs_udp_close(int fd);

/** One received datagram; data is the batch's buffer and may be changed in place. */
struct bs_datagram {
	uint8_t *data;
	size_t len;
	bool cut;                 /**< it was longer than BS_UDP_BUF */
	struct bs_endpoint peer;  /**< source */
	struct bs_endpoint local; /**< where it was sent to; port is the socket's */
};

struct bs_udp_rx;

/** Buffers for one thread's receive calls; NULL without memory. */
struct bs_udp_rx *bs_udp_rx_new(void);
void bs_udp_rx_free(struct bs_udp_rx *rx);
/**
 * Receive what is there on a socket that is bound to self, at most four times BS_UDP_BATCH.  Valid
 * until the next call on rx.  While bs_udp_pending, the next call has to be for the same socket: it
 * gives what did not fit the list.
 *
 * Returns their number and *list, or BS_EAGAIN (nothing) or BS_EIO.
 */
BS_MUSTCHECK int bs_udp_receive(struct bs_udp_rx *rx, int fd, const struct bs_endpoint *self,
				struct bs_datagram **list);
/** Whether the last call left datagrams behind that are received already. */
bool bs_udp_pending(const struct bs_udp_rx *rx);

struct bs_udp_tx;

/** What a flush did. */
struct bs_udp_sent {
	uint32_t packets;
	uint32_t bytes;
	uint32_t calls;
	uint32_t blocked; /**< dropped: the socket buffer was full */
	uint32_t failed;  /**< dropped: the system refused (no route, address gone) */
};

/** A send queue of BS_UDP_BATCH datagrams for one thread; NULL without memory. */
struct bs_udp_tx *bs_udp_tx_new(void);
void bs_udp_tx_free(struct bs_udp_tx *tx);
/** Let every datagram be a message of its own: no UDP_SEGMENT.  For comparisons. */
void bs_udp_tx_plain(struct bs_udp_tx *tx);
/** Buffer of BS_UDP_BUF bytes for the next datagram; NULL when the queue is full: flush first. */
uint8_t *bs_udp_reserve(struct bs_udp_tx *tx);
/** Queue the reserved datagram: len bytes from local (an unset address: the kernel's choice, which
 *  is cheaper and right where the socket has only one) on socket fd to peer. */
void bs_udp_commit(struct bs_udp_tx *tx, size_t len, int fd, const struct bs_endpoint *local,
		   const struct bs_endpoint *peer);
/** Datagrams queued. */
unsigned bs_udp_queued(const struct bs_udp_tx *tx);
/** Send all that is queued; what cannot be sent now is dropped and counted.  Adds to *sent. */
void bs_udp_flush(struct bs_udp_tx *tx, struct bs_udp_sent *sent);

#endif
