/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint.h - arithmetic on addresses; no sockets (net/ converts to sockaddr).
 *
 * IPv4 is kept as ::ffff:a.b.c.d in the default profile and as four bytes in the MCU profile, so
 * equality is one comparison and an IPv4-mapped source equals the plain one.
 */
#ifndef BS_UTIL_ENDPOINT_H
#define BS_UTIL_ENDPOINT_H

#include "basestation/types.h"

/** Longest text of an endpoint, "[v6]:port" with terminator. */
#define BS_ENDPOINT_TEXT_MAX 56

void bs_endpoint_set_ip4(struct bs_endpoint *ep, uint32_t ip4, uint16_t port);
/** The IPv4 address in host order, 0 for IPv6 and for "none". */
uint32_t bs_endpoint_ip4(const struct bs_endpoint *ep);
/** Whether the address is IPv4 (the MCU profile knows nothing else). */
bool bs_endpoint_is_ip4(const struct bs_endpoint *ep);
/** Which of our sockets leads there; always 0 in the MCU profile, which has one. */
static inline uint16_t bs_endpoint_via(const struct bs_endpoint *ep)
{
#ifdef BS_PROFILE_MCU
	(void)ep;
	return 0;
#else
	return ep->via;
#endif
}
static inline void bs_endpoint_set_via(struct bs_endpoint *ep, uint16_t via)
{
#ifdef BS_PROFILE_MCU
	(void)ep;
	(void)via;
#else
	ep->via = via;
#endif
}
/** Whether there is a usable endpoint: port and address are not zero. */
bool bs_endpoint_is_set(const struct bs_endpoint *ep);
/** Same address, port and socket of ours. */
bool bs_endpoint_equal(const struct bs_endpoint *a, const struct bs_endpoint *b);
/** Whether the address is private, link-local, loopback or unique-local: never routed. */
bool bs_endpoint_is_private(const struct bs_endpoint *ep);

#endif
