/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.h - names to addresses without blocking (c-ares).  Each lookup asks anew: when a server
 * moves, the next attempt finds it.
 */
#ifndef BS_CLIENT_POSIX_RESOLVER_H
#define BS_CLIENT_POSIX_RESOLVER_H

#include "basestation/client.h"

/** Addresses that are kept of a name. */
#define BSC__ADDRS_MAX 8
/** Descriptors of a resolver: the limit of c-ares. */
#define BSC__RESOLVER_FDS_MAX 16

struct bsc__resolver;

/** servers: "addr:port,..." or NULL for the system's.  BS_OK, BS_ECONF, BS_ENOMEM. */
BS_MUSTCHECK int bsc__resolver_new(const char *servers, struct bsc__resolver **out,
				   struct bsc_error *err);
void bsc__resolver_free(struct bsc__resolver *r);
/** Begin; an earlier lookup is dropped. */
void bsc__resolver_start(struct bsc__resolver *r, const char *host, uint16_t port);
void bsc__resolver_stop(struct bsc__resolver *r);
/**
 * Do what is ready.  Returns the number of addresses (1..), BS_EAGAIN while the lookup runs, or
 * BS_EUNREACH with *err.
 */
BS_MUSTCHECK bs_ssize bsc__resolver_step(struct bsc__resolver *r, struct bs_endpoint *out,
					 struct bsc_error *err);
/** Descriptors to wait for; at most BSC__RESOLVER_FDS_MAX. */
size_t bsc__resolver_fds(struct bsc__resolver *r, struct bsc_fd *fds, size_t cap);
/** Milliseconds until step must run, -1 = no lookup runs. */
int32_t bsc__resolver_timeout_ms(struct bsc__resolver *r);

#endif
