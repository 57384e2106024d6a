/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sockaddr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "basestation/error.h"
#include "util/endpoint.h"

socklen_t bs_sockaddr_set(union bs_sockaddr *sa, const struct bs_endpoint *ep)
{
	memset(sa, 0, sizeof(*sa));
	if (bs_endpoint_is_ip4(ep)) {
		sa->in4.sin_family = AF_INET;
		sa->in4.sin_port = htons(ep->port);
		sa->in4.sin_addr.s_addr = htonl(bs_endpoint_ip4(ep));
		return sizeof(sa->in4);
	}
	sa->in6.sin6_family = AF_INET6;
	sa->in6.sin6_port = htons(ep->port);
	memcpy(&sa->in6.sin6_addr, ep->ip, sizeof(ep->ip));
	return sizeof(sa->in6);
}

void bs_sockaddr_get(const union bs_sockaddr *sa, struct bs_endpoint *ep)
{
	memset(ep, 0, sizeof(*ep));
	if (sa->sa.sa_family == AF_INET) {
		bs_endpoint_set_ip4(ep, ntohl(sa->in4.sin_addr.s_addr), ntohs(sa->in4.sin_port));
	} else if (sa->sa.sa_family == AF_INET6) {
		memcpy(ep->ip, &sa->in6.sin6_addr, sizeof(ep->ip));
		ep->port = ntohs(sa->in6.sin6_port);
	}
}

const char *bs_sockaddr_text(const struct bs_endpoint *ep, char *buf, size_t cap)
{
	char ip[INET6_ADDRSTRLEN];
	union bs_sockaddr sa;
	bool ip4 = bs_endpoint_is_ip4(ep);

	(void)bs_sockaddr_set(&sa, ep);
	if (!inet_ntop(sa.sa.sa_family,
		       ip4 ? (const void *)&sa.in4.sin_addr : (const void *)&sa.in6.sin6_addr, ip,
		       sizeof(ip)))
		ip[0] = '\0';
	snprintf(buf, cap, ip4 ? "%s:%u" : "[%s]:%u", ip, ep->port);
	return buf;
}

const char *bs_listen_remedy(int err)
{
	switch (err) {
	case BS_EBUSY: return "in use; stop the other program or choose another port";
	case BS_EPERM: return "not permitted; start as root or choose a port above 1023";
	case BS_EUNREACH: return "not an address of this machine; correct listen";
	case BS_EFULL: return "no descriptors left; raise RLIMIT_NOFILE";
	default: return bs_strerror(err);
	}
}
