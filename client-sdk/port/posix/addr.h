/* SPDX-License-Identifier: Apache-2.0 */
/* addr.h - between struct bs_endpoint and the socket API, and the addresses of this machine. */
#ifndef BS_CLIENT_POSIX_ADDR_H
#define BS_CLIENT_POSIX_ADDR_H

#include <sys/socket.h>

#include "wire/payload.h"

/** From a socket address; false for other families. */
bool bsc__addr_from(const struct sockaddr *sa, struct bs_endpoint *ep);
/**
 * To a socket address of this family; an AF_INET6 socket takes IPv4 as mapped.  Returns its length,
 * 0 when ep is IPv6 and the family is AF_INET.
 */
socklen_t bsc__addr_to(const struct bs_endpoint *ep, int family, struct sockaddr_storage *ss);
/** A numeric address; false when text is none. */
bool bsc__addr_parse(const char *text, uint16_t port, struct bs_endpoint *ep);
/**
 * Addresses of this machine as candidates (EP6 kind 1) with this UDP port, best first: up, not
 * loopback unless there is nothing else, not link-local.  Returns how many, at most cap.
 */
uint8_t bsc__addr_hosts(uint16_t port, bool ip6, struct bs_ep6 *out, uint8_t cap);

/**
 * Where a search on the local network goes: the broadcast address of each IPv4 network, the limited
 * one, and this machine.  Returns how many, at most cap.
 */
uint8_t bsc__addr_near(uint16_t port, struct bs_endpoint *out, uint8_t cap);

#endif
