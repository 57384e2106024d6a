/* SPDX-License-Identifier: Apache-2.0 */
#include "near.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/** How long a list is good for, ms: a machine moves to another network seldom. */
#define FRESH_MS 5000u
/** Where an IPv4 address lies in a mapped one. */
#define IP4_OFF 12

static void add(struct bsdev_nets *nets, const struct ifaddrs *i)
{
	struct bsdev_net *net = &nets->net[nets->n];

	if (i->ifa_addr == NULL || i->ifa_netmask == NULL || (i->ifa_flags & IFF_UP) == 0 ||
	    nets->n == BSDEV__NETS_MAX)
		return;
	memset(net, 0, sizeof(*net));
	if (i->ifa_addr->sa_family == AF_INET) {
		const struct sockaddr_in *a = (const void *)i->ifa_addr;
		const struct sockaddr_in *m = (const void *)i->ifa_netmask;

		memset(net->ip + IP4_OFF - 2, 0xFF, 2);
		memset(net->mask, 0xFF, sizeof(net->mask) - sizeof(m->sin_addr));
		memcpy(net->ip + IP4_OFF, &a->sin_addr, sizeof(a->sin_addr));
		memcpy(net->mask + IP4_OFF, &m->sin_addr, sizeof(m->sin_addr));
	} else if (i->ifa_addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const void *)i->ifa_addr;
		const struct sockaddr_in6 *m = (const void *)i->ifa_netmask;

		memcpy(net->ip, &a->sin6_addr, sizeof(net->ip));
		memcpy(net->mask, &m->sin6_addr, sizeof(net->mask));
	} else {
		return;
	}
	nets->n++;
}

static void refresh(struct bsdev_nets *nets, bs_time now)
{
	struct ifaddrs *list;

	if (nets->known && BS_TIME_DIFF(now, nets->at) < (bs_time_diff)BS_TIME_MS(FRESH_MS))
		return;
	if (getifaddrs(&list) != 0)
		return;
	nets->n = 0;
	nets->known = true;
	nets->at = now;
	for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next)
		add(nets, i);
	freeifaddrs(list);
}

bool bsdev__nets_have(struct bsdev_nets *nets, const struct bs_endpoint *ep, bs_time now)
{
	refresh(nets, now);
	for (unsigned i = 0; i < nets->n; i++) {
		const struct bsdev_net *net = &nets->net[i];
		unsigned k = 0;

		while (k < BS_IP_LEN && ((net->ip[k] ^ ep->ip[k]) & net->mask[k]) == 0)
			k++;
		if (k == BS_IP_LEN)
			return true;
	}
	return false;
}
