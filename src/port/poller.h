/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poller.h - many descriptors behind one: an epoll set that an event loop of any kind can wait for.
 *
 * The SDKs hand few descriptors to the application's loop; a tunnel may have hundreds.  They are
 * put into a set, and the set's own descriptor is readable when one of them is ready.
 *
 * Edges, not levels: each source is told once that its descriptor became ready and must remember it
 * until a call would block.  So nothing is ever asked of the kernel for a descriptor that moves
 * bytes all the time.
 *
 * Owner: the thread of its SDK object.  May call: the C library.  Allocates: no.
 */
#ifndef BS_PORT_POLLER_H
#define BS_PORT_POLLER_H

#include "basestation/error.h"
#include "basestation/types.h"

/** What became ready; a set of bits. */
enum bs_ready {
	BS_READY_READ = 0x01,  /**< bytes, or the end of them, or a connection to accept */
	BS_READY_WRITE = 0x02, /**< room, or the outcome of a connect */
	BS_READY_HUP = 0x04,   /**< the other side ended: read until 0 is read */
};

/** Something with a descriptor; embed it.  It must not be freed inside bs_poller_step. */
struct bs_source {
	/** Called by bs_poller_step; events is a set of enum bs_ready. */
	void (*ready)(struct bs_source *s, unsigned events);
};

/** The set. */
struct bs_poller {
	int fd; /**< wait for it to become readable */
};

/** BS_OK or BS_EIO (errno). */
BS_MUSTCHECK int bs_poller_init(struct bs_poller *p);
void bs_poller_fini(struct bs_poller *p);
/** Add a descriptor; closing it removes it.  BS_OK, BS_ENOENT for a regular file, which is always
 *  ready and cannot be waited for, or BS_EIO. */
BS_MUSTCHECK int bs_poller_add(struct bs_poller *p, int fd, struct bs_source *s);
/** Take it out while it stays open elsewhere (standard input). */
void bs_poller_remove(struct bs_poller *p, int fd);
/** Tell the sources what became ready since; never blocks. */
void bs_poller_step(struct bs_poller *p);

#endif
