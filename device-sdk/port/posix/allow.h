/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allow.h - which targets a device's tunnels may lead to: a list of host:port rules, default
 * nothing.
 *
 * Addresses only.  A name would be looked up by whoever controls the name server, and a device has
 * no business there: "localhost" is the one name that is known, as 127.0.0.1.
 *
 * Owner: the thread of its tunnels.  May call: util.  Allocates: no.
 */
#ifndef BSDEV_ALLOW_H
#define BSDEV_ALLOW_H

#include "basestation/error.h"
#include "basestation/types.h"

/** Most rules of one list. */
#define BSDEV__ALLOW_MAX 64

/** One rule: addresses that agree in the mask, ports of a range. */
struct bsdev__allow_rule {
	uint32_t ip;
	uint32_t mask;
	uint16_t first;
	uint16_t last;
};

/** The list; zero it to begin. */
struct bsdev__allow {
	size_t n;
	struct bsdev__allow_rule rule[BSDEV__ALLOW_MAX];
};

/** An IPv4 address as a command names it, or "localhost".  false: no such thing. */
bool bsdev__allow_host(const char *host, size_t len, uint32_t *ip);
/**
 * bsdev__allow_add - add a rule
 *
 * @text "HOST:PORT", "HOST:FIRST-LAST" or "HOST:*"; HOST is an IPv4 address, "localhost", or
 *       "ADDRESS/BITS" for a network
 *
 * Returns BS_OK, BS_EINVAL, or BS_EFULL after BSDEV__ALLOW_MAX rules.
 */
BS_MUSTCHECK int bsdev__allow_add(struct bsdev__allow *a, const char *text);
/** Whether a rule allows it. */
bool bsdev__allow_is(const struct bsdev__allow *a, uint32_t ip, uint16_t port);

#endif
