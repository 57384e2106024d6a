/* SPDX-License-Identifier: Apache-2.0 */
/*
 * legs.h - byte streams to TCP relays, one per connection that wants one (src/gw.c): plain TCP, or
 * TLS to the gate with a resumed session.  What a relay does not take is kept up to a bound, then
 * dropped like a datagram.  Owner: the session.  Blocks: no.
 */
#ifndef BS_CLIENT_POSIX_LEGS_H
#define BS_CLIENT_POSIX_LEGS_H

#include "machine.h"
#include "transport.h"

struct bsc__leg;

struct bsc__legs {
	struct bsc__leg *first;
	struct bsc__tls_ctx *ctx; /**< borrowed */
	const char *name;         /**< that the gate's certificate must carry; borrowed */
	unsigned n;
};

void bsc__legs_init(struct bsc__legs *l, struct bsc__tls_ctx *ctx, const char *name);
void bsc__legs_close_all(struct bsc__legs *l);
/** Open, go on, read, close: what connections want and sockets have. (cb) */
void bsc__legs_step(struct bsc__legs *l, struct bsc__machine *m, bs_time now);
/** One packet from bsc__machine_datagram_out with via BS_VIA_STREAM. */
void bsc__legs_send(struct bsc__legs *l, const uint8_t *pkt, size_t len);
/** Descriptors to wait for, as many as fit. */
size_t bsc__legs_fds(const struct bsc__legs *l, struct bsc_fd *fds, size_t cap);
/** Whether something has to be looked at by then; more legs than descriptors: soon. */
bool bsc__legs_next_timeout(const struct bsc__legs *l, const struct bsc__machine *m, size_t cap,
			    bs_time now, bs_time *at);

#endif
