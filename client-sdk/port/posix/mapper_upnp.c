/* SPDX-License-Identifier: Apache-2.0 */
/* UPnP Internet Gateway Device by miniupnpc: a search by multicast, then SOAP to the router. */
#include "mapper.h"

#include "basestation/error.h"
#include "util/endpoint.h"

#ifdef HAVE_MINIUPNPC

# include <arpa/inet.h>
# include <miniupnpc/miniupnpc.h>
# include <miniupnpc/upnpcommands.h>
# include <stdio.h>
# include <string.h>

/** Lease that is asked for; some routers know only leases without end. */
# define LIFE_S 3600
/** Wait for answers to the search. */
# define DISCOVER_MS 1500
/** Ports that are tried when ours is taken. */
# define TRIES 4
/** What a router says that knows no leases (UPnP error OnlyPermanentLeasesSupported). */
# define ONLY_PERMANENT 725

/** A router that was found. */
struct router {
	struct UPNPUrls urls;
	struct IGDdatas data;
	char lan[64]; /**< our address towards it */
};

static int find(struct router *r)
{
	int error = 0;
	struct UPNPDev *list = upnpDiscover(DISCOVER_MS, NULL, NULL, 0, 0, 2, &error);
	int rc;

	if (list == NULL)
		return BS_EUNREACH;
	memset(r, 0, sizeof *r);
# if MINIUPNPC_API_VERSION >= 18
	rc = UPNP_GetValidIGD(list, &r->urls, &r->data, r->lan, sizeof r->lan, NULL, 0);
# else
	rc = UPNP_GetValidIGD(list, &r->urls, &r->data, r->lan, sizeof r->lan);
# endif
	freeUPNPDevlist(list);
	if (rc == 1)
		return BS_OK;
	if (rc != 0)
		FreeUPNPUrls(&r->urls);
	return BS_EUNREACH;
}

static int add(const struct router *r, uint16_t outside, uint16_t inside, bool lease)
{
	char out[8], in[8], life[12];

	(void)snprintf(out, sizeof out, "%u", (unsigned)outside);
	(void)snprintf(in, sizeof in, "%u", (unsigned)inside);
	(void)snprintf(life, sizeof life, "%u", lease ? (unsigned)LIFE_S : 0u);
	return UPNP_AddPortMapping(r->urls.controlURL, r->data.first.servicetype, out, in, r->lan,
				   "basestation client", "UDP", NULL, life);
}

int bsc__upnp_map(struct bsc__mapping *m)
{
	struct router r;
	struct in_addr ip;
	char text[40] = "";
	int rc = 1;

	if (find(&r) != BS_OK)
		return BS_EUNREACH;
	if (UPNP_GetExternalIPAddress(r.urls.controlURL, r.data.first.servicetype, text) == 0 &&
	    inet_pton(AF_INET, text, &ip) == 1)
		for (uint16_t k = 0; k < TRIES && rc != 0; k++) {
			uint16_t outside = (uint16_t)(m->inside + k);

			rc = add(&r, outside, m->inside, true);
			if (rc == ONLY_PERMANENT)
				rc = add(&r, outside, m->inside, false);
			if (rc == 0)
				bs_endpoint_set_ip4(&m->ep, ntohl(ip.s_addr), outside);
		}
	m->life_s = LIFE_S;
	FreeUPNPUrls(&r.urls);
	return rc == 0 && bs_endpoint_is_set(&m->ep) ? BS_OK : BS_EUNREACH;
}

void bsc__upnp_unmap(const struct bsc__mapping *m)
{
	struct router r;
	char out[8];

	if (find(&r) != BS_OK)
		return;
	(void)snprintf(out, sizeof out, "%u", (unsigned)m->ep.port);
	(void)UPNP_DeletePortMapping(r.urls.controlURL, r.data.first.servicetype, out, "UDP", NULL);
	FreeUPNPUrls(&r.urls);
}

#else

int bsc__upnp_map(struct bsc__mapping *m)
{
	(void)m;
	return BS_EUNREACH;
}

void bsc__upnp_unmap(const struct bsc__mapping *m)
{
	(void)m;
}

#endif
