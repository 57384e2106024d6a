/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets.h - the further UDP sockets of an SDK's POSIX port, by the via of bs_endpoint.
 *
 * A symmetric NAT gives each socket another public port, so a search through one uses many of them
 * for some seconds.  They are opened one by one as the core asks, shared by all connections, and
 * closed when nothing can come over them any more: the owner sweeps.
 *
 * Owner: the port's thread.  May call: util, the C library.  Allocates: no.
 */
#ifndef BS_PORT_SOCKETS_H
#define BS_PORT_SOCKETS_H

#include <poll.h>

#include "basestation/types.h"

/** The most there can be: via 1..BS_SOCKETS_MAX. */
#define BS_SOCKETS_MAX 250

struct bs_sockets {
	int fd[BS_SOCKETS_MAX]; /**< of via - 1; -1 = closed */
	uint16_t max;           /**< cap, at most BS_SOCKETS_MAX; 0 = never any */
	uint16_t n;             /**< open now */
	uint16_t opened;        /**< highest via that was opened */
};

/** Nothing open; at most max of them. */
void bs_sockets_init(struct bs_sockets *s, uint16_t max);
/** The descriptor of a via, opened when it is not; -1 above the cap, or when the system has none
 *  left: like a lost packet.  family is AF_INET, or AF_INET6 for both. */
int bs_sockets_get(struct bs_sockets *s, uint16_t via, int family);
/** Close those for which keep says no. */
void bs_sockets_sweep(struct bs_sockets *s, bool (*keep)(void *ctx, uint16_t via), void *ctx);
void bs_sockets_close_all(struct bs_sockets *s);
/** Which of them have something to read, without waiting: their vias, at most cap. */
size_t bs_sockets_ready(const struct bs_sockets *s, uint16_t *via, size_t cap);
/** Descriptors to wait for, at most cap: the first ones, when there are more. */
size_t bs_sockets_fds(const struct bs_sockets *s, struct pollfd *fds, size_t cap);

#endif
