/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint_text.h - endpoints as text: "192.0.2.1:5566", "[2001:db8::1]:5566".  IPv6 as RFC 5952.
 *
 * Apart from endpoint.h, so that a controller's build does not link it.  No names, no services, no
 * zone ids.  Any thread.
 */
#ifndef BS_UTIL_ENDPOINT_TEXT_H
#define BS_UTIL_ENDPOINT_TEXT_H

#include "basestation/error.h"
#include "util/endpoint.h"

/** Write "address:port" with terminator to out[BS_ENDPOINT_TEXT_MAX]; returns out. */
char *bs_endpoint_format(const struct bs_endpoint *ep, char *out);
/** Write the address alone, without brackets; returns out. */
char *bs_endpoint_format_ip(const struct bs_endpoint *ep, char *out);
/**
 * bs_endpoint_parse - read an address with or without port
 *
 * @text [len] "a.b.c.d", "a.b.c.d:port", "v6", "[v6]", "[v6]:port"
 * @port taken when the text names none
 *
 * Returns BS_OK, or BS_EINVAL with *ep untouched.  The MCU profile knows IPv4 only.
 */
BS_MUSTCHECK int bs_endpoint_parse(const char *text, size_t len, uint16_t port,
				   struct bs_endpoint *ep);

#endif
