/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolver.h - one name lookup at a time, on c-ares.  The channel exists only while a lookup runs:
 * a device that is switched off has no resolver socket, no timer and sends no query.
 *
 * Owner: the port's thread.
 */
#ifndef BSDEV_RESOLVER_H
#define BSDEV_RESOLVER_H

#include <poll.h>

#include "basestation/device.h"

/** [n] addresses without ports, n 0 for a failure. */
typedef void (*bsdev_resolved_fn)(void *ctx, const struct bs_endpoint *ips, size_t n);

struct bsdev_resolver;

/** servers as in bsdev_posix_conf; NULL when memory is short. */
struct bsdev_resolver *bsdev__resolver_new(const char *servers, bool ip4_only,
					   bsdev_resolved_fn done, void *ctx);
void bsdev__resolver_free(struct bsdev_resolver *r);
/** Start; a running lookup is given up.  done is called later, or at once for numeric names. */
void bsdev__resolver_start(struct bsdev_resolver *r, const char *host, size_t host_len);
/** Give up without calling done. */
void bsdev__resolver_cancel(struct bsdev_resolver *r);
/** Descriptors to wait for; *timeout_ms is lowered where the resolver is due sooner (-1 = none). */
int bsdev__resolver_poll(struct bsdev_resolver *r, struct pollfd *fds, int cap, int *timeout_ms);
/** Handle readiness and time-outs. */
void bsdev__resolver_step(struct bsdev_resolver *r, const struct pollfd *fds, int n);

#endif
