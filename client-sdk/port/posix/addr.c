/* SPDX-License-Identifier: Apache-2.0 */
#include "addr.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "util/endpoint.h"

bool bsc__addr_from(const struct sockaddr *sa, struct bs_endpoint *ep)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof in);
		bs_endpoint_set_ip4(ep, ntohl(in.sin_addr.s_addr), ntohs(in.sin_port));
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof in6);
		memcpy(ep->ip, &in6.sin6_addr, sizeof ep->ip);
		ep->port = ntohs(in6.sin6_port);
		ep->via = 0;
		return true;
	}
	return false;
}

socklen_t bsc__addr_to(const struct bs_endpoint *ep, int family, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof *ss);
	if (family == AF_INET6) {
		struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(ep->port) };

		memcpy(&in6.sin6_addr, ep->ip, sizeof ep->ip);
		memcpy(ss, &in6, sizeof in6);
		return sizeof in6;
	}
	if (bs_endpoint_is_ip4(ep)) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(ep->port) };

		in.sin_addr.s_addr = htonl(bs_endpoint_ip4(ep));
		memcpy(ss, &in, sizeof in);
		return sizeof in;
	}
	return 0;
}

bool bsc__addr_parse(const char *text, uint16_t port, struct bs_endpoint *ep)
{
	struct in_addr in;
	struct in6_addr in6;

	if (inet_pton(AF_INET, text, &in) == 1) {
		bs_endpoint_set_ip4(ep, ntohl(in.s_addr), port);
		return true;
	}
	if (inet_pton(AF_INET6, text, &in6) == 1) {
		memcpy(ep->ip, &in6, sizeof ep->ip);
		ep->port = port;
		ep->via = 0;
		return true;
	}
	return false;
}

/** Whether an interface address is worth telling: link-local ones need a scope nobody else has. */
static bool is_candidate(const struct ifaddrs *i, bool want_loopback, bool ip6,
			 struct bs_endpoint *ep)
{
	static const uint8_t fe80[2] = { 0xfe, 0x80 };
	bool loopback = (i->ifa_flags & IFF_LOOPBACK) != 0;

	return i->ifa_addr != NULL && (i->ifa_flags & IFF_UP) != 0 && loopback == want_loopback &&
	       bsc__addr_from(i->ifa_addr, ep) && (ip6 || bs_endpoint_is_ip4(ep)) &&
	       (bs_endpoint_is_ip4(ep) || memcmp(ep->ip, fe80, sizeof fe80) != 0);
}

uint8_t bsc__addr_hosts(uint16_t port, bool ip6, struct bs_ep6 *out, uint8_t cap)
{
	struct ifaddrs *list;
	uint8_t n = 0;

	if (getifaddrs(&list) != 0)
		return 0;
	/* Loopback only when the machine has nothing else: two programs on one machine. */
	for (int pass = 0; pass < 2 && n == 0; pass++)
		for (const struct ifaddrs *i = list; i != NULL && n < cap; i = i->ifa_next) {
			struct bs_ep6 c = { .kind = BS_EP6_HOST, .priority = (uint8_t)(255 - n) };

			if (!is_candidate(i, pass == 1, ip6, &c.ep))
				continue;
			c.ep.port = port;
			out[n++] = c;
		}
	freeifaddrs(list);
	return n;
}

static void add_near(struct bs_endpoint *out, uint8_t *n, uint8_t cap, uint32_t ip4, uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, ip4, port);
	for (uint8_t k = 0; k < *n; k++)
		if (bs_endpoint_equal(&out[k], &ep))
			return;
	if (*n < cap)
		out[(*n)++] = ep;
}

uint8_t bsc__addr_near(uint16_t port, struct bs_endpoint *out, uint8_t cap)
{
	struct ifaddrs *list;
	uint8_t n = 0;

	add_near(out, &n, cap, INADDR_LOOPBACK, port);
	if (getifaddrs(&list) != 0)
		return n;
	/* One per network: the limited broadcast leaves by the default route only. */
	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
		const struct sockaddr_in *in = (const void *)i->ifa_broadaddr;

		if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET &&
		    (i->ifa_flags & IFF_UP) != 0 && (i->ifa_flags & IFF_BROADCAST) != 0 &&
		    in != NULL && in->sin_addr.s_addr != 0)
			add_near(out, &n, cap, ntohl(in->sin_addr.s_addr), port);
	}
	add_near(out, &n, cap, INADDR_BROADCAST, port);
	freeifaddrs(list);
	return n;
}
