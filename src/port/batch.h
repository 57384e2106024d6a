/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - many UDP datagrams a system call, for the POSIX ports of the SDKs.
 *
 * On a fast path the system calls cost more than the encryption.  Packets to one place that are
 * equally long leave as one (UDP_SEGMENT), what the kernel merged on arrival comes as one
 * (UDP_GRO), the rest goes by sendmmsg and recvmmsg.  Where the kernel has one of them not, or the
 * interface refuses it, the next simpler way is taken without a word; the packets are the same.
 *
 *	sending      room, compose there, add; flush before waiting
 *	receiving    receive, then next until it says no
 *
 * Owner: the port's thread.  May call: util, the C library.  Allocates: once, about half a MiB.
 */
#ifndef BS_PORT_BATCH_H
#define BS_PORT_BATCH_H

#include "basestation/error.h"
#include "basestation/types.h"

/** Packets that can wait to be sent. */
#define BS_BATCH_PACKETS 64
/** Largest packet: what the loopback interface carries in one piece, and fast streams use. */
#define BS_BATCH_ROOM 16384

struct bs_batch;

/** What a batch did, for tests and benchmarks. */
struct bs_batch_stats {
	uint64_t tx_pkts;
	uint64_t tx_calls;
	uint64_t tx_merged; /**< packets that left in a message of several */
	uint64_t rx_pkts;
	uint64_t rx_calls;  /**< calls that brought something */
	uint64_t rx_merged; /**< packets that came in a message of several */
	uint64_t lost;      /**< packets that the kernel did not take */
};

/** NULL without memory. */
struct bs_batch *bs_batch_new(void);
/** NULL is fine; what was not flushed is lost. */
void bs_batch_free(struct bs_batch *b);
/** Before the first prepare: do without merging on both sides, as an old kernel does. */
void bs_batch_set_plain(struct bs_batch *b);
/** Make a fresh socket ready: large buffers as far as the system allows, merged arrivals. */
void bs_batch_prepare(struct bs_batch *b, int fd);

/** Room for a packet of BS_BATCH_ROOM bytes; NULL: the kernel's buffer is full, see stuck. */
uint8_t *bs_batch_room(struct bs_batch *b);
/** The packet in room has len bytes and goes to *to from this socket of this family; AF_UNSPEC: to
 *  where the socket is connected. */
void bs_batch_add(struct bs_batch *b, size_t len, int fd, int family, const struct bs_endpoint *to);
/** Send what was added.  What the kernel cannot take now stays; what it refuses is lost. */
void bs_batch_flush(struct bs_batch *b);
/** Forget what waits. */
void bs_batch_drop(struct bs_batch *b);
/** The socket that must become writable before the next flush makes sense; -1 = none. */
int bs_batch_stuck(const struct bs_batch *b);

/** Read what waits at a socket.  BS_OK, BS_EAGAIN, or BS_EUNREACH: an earlier send failed. */
BS_MUSTCHECK int bs_batch_receive(struct bs_batch *b, int fd);
/** The next datagram of that: bytes (to be changed at will) and source, via 0. */
bool bs_batch_next(struct bs_batch *b, uint8_t **pkt, size_t *len, struct bs_endpoint *from);

const struct bs_batch_stats *bs_batch_stats(const struct bs_batch *b);

#endif
