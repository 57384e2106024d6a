/* SPDX-License-Identifier: Apache-2.0 */
#include "util/endpoint.h"

#include <string.h>

#include "util/cursor.h"

/* The IPv4 address is the last four bytes in both profiles; what stands before it is the mapped
 * prefix, which is empty in the MCU profile. */
enum {
	IP4_OFF = BS_IP_LEN - 4
};

static const uint8_t mapped_prefix[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF };

void bs_endpoint_set_ip4(struct bs_endpoint *ep, uint32_t ip4, uint16_t port)
{
	memcpy(ep->ip, mapped_prefix, IP4_OFF);
	bs_put_u32(ep->ip + IP4_OFF, ip4);
	ep->port = port;
	bs_endpoint_set_via(ep, 0);
}

bool bs_endpoint_is_ip4(const struct bs_endpoint *ep)
{
	return memcmp(ep->ip, mapped_prefix, IP4_OFF) == 0;
}

uint32_t bs_endpoint_ip4(const struct bs_endpoint *ep)
{
	return bs_endpoint_is_ip4(ep) ? bs_get_u32(ep->ip + IP4_OFF) : 0;
}

/* All bytes zero but the last, which is at most max_last: "::" and, for 1, "::1". */
static bool is_low(const struct bs_endpoint *ep, uint8_t max_last)
{
	int i;

	for (i = 0; i < BS_IP_LEN - 1; i++)
		if (ep->ip[i])
			return false;
	return ep->ip[BS_IP_LEN - 1] <= max_last;
}

bool bs_endpoint_is_set(const struct bs_endpoint *ep)
{
	if (!ep->port)
		return false;
	return bs_endpoint_is_ip4(ep) ? bs_endpoint_ip4(ep) != 0 : !is_low(ep, 0);
}

bool bs_endpoint_equal(const struct bs_endpoint *a, const struct bs_endpoint *b)
{
	return a->port == b->port && bs_endpoint_via(a) == bs_endpoint_via(b) &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool bs_endpoint_is_private(const struct bs_endpoint *ep)
{
	uint32_t ip4 = bs_endpoint_ip4(ep);

	if (bs_endpoint_is_ip4(ep))
		return ip4 >> 24 == 10 || ip4 >> 24 == 127 || ip4 >> 20 == 0xAC1 ||
		       ip4 >> 16 == 0xC0A8 || ip4 >> 16 == 0xA9FE;
	/* fe80::/10, fc00::/7, ::1; "::" is nobody's address and counts as never routed too. */
	return (ep->ip[0] == 0xFE && (ep->ip[1] & 0xC0) == 0x80) || (ep->ip[0] & 0xFE) == 0xFC ||
	       is_low(ep, 1);
}
