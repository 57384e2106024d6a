/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapper.h - asks the router to forward a port to ours, by NAT-PMP or UPnP, so that a device may
 * reach us through a NAT that would not let it in.
 *
 * Both libraries block for seconds, so a thread of its own asks, and renews; the caller's loop gets
 * a descriptor that becomes readable when there is news.  The thread shares nothing with the
 * session but the struct here, which goes with the last of the two.  Built without both libraries
 * there is no mapper: start gives NULL.
 *
 * Owner: the session's thread calls.  May call: util, the C library, libnatpmp, miniupnpc.
 */
#ifndef BS_CLIENT_POSIX_MAPPER_H
#define BS_CLIENT_POSIX_MAPPER_H

#include "basestation/types.h"

struct bsc__mapper;

/** What one way of asking found. */
struct bsc__mapping {
	struct bs_endpoint ep; /**< public endpoint */
	uint16_t inside;       /**< our port */
	uint32_t life_s;       /**< ask again before */
};

/** A way to ask: BS_OK with m filled (m->inside is given), or BS_EUNREACH: no such router. */
typedef int (*bsc__map_fn)(struct bsc__mapping *m);
/** Take a mapping back; nobody waits for the answer. */
typedef void (*bsc__unmap_fn)(const struct bsc__mapping *m);

/** Start asking for this UDP port; NULL where there is nothing to ask with, or no memory. */
struct bsc__mapper *bsc__mapper_start(uint16_t port);
/** Readable when there is news. */
int bsc__mapper_fd(const struct bsc__mapper *m);
/** Take the news, if there are any; *ep (none = no mapping) and *how ("NAT-PMP", "UPnP") say. */
bool bsc__mapper_take(struct bsc__mapper *m, struct bs_endpoint *ep, const char **how);
/** Stop; returns at once.  The thread takes the mapping back before it ends.  m may be NULL. */
void bsc__mapper_stop(struct bsc__mapper *m);

/* mapper_natpmp.c, mapper_upnp.c; BS_EUNREACH at once in a build without the library. */
int bsc__natpmp_map(struct bsc__mapping *m);
void bsc__natpmp_unmap(const struct bsc__mapping *m);
int bsc__upnp_map(struct bsc__mapping *m);
void bsc__upnp_unmap(const struct bsc__mapping *m);

#endif
