/* SPDX-License-Identifier: Apache-2.0 */
/* NAT-PMP (RFC 6886) by libnatpmp: two datagrams to the default gateway. */
#include "mapper.h"

#include "basestation/error.h"
#include "util/endpoint.h"

#ifdef HAVE_NATPMP

# include <arpa/inet.h>
# include <natpmp.h>
# include <sys/select.h>

/** Life that is asked for; a router may give less. */
# define LIFE_S 3600
/** Waits for an answer: libnatpmp sends again at 250 ms and doubles; a router that speaks NAT-PMP
 *  answers at once. */
# define WAITS 4

/** The answer to what was just sent, BS_OK when it came. */
static int await(natpmp_t *n, natpmpresp_t *r)
{
	int rc = NATPMP_TRYAGAIN;

	for (int k = 0; k < WAITS && rc == NATPMP_TRYAGAIN; k++) {
		struct timeval t;
		fd_set fds;

		if (n->s < 0 || n->s >= FD_SETSIZE || getnatpmprequesttimeout(n, &t) != 0)
			return BS_EUNREACH;
		FD_ZERO(&fds);
		FD_SET(n->s, &fds);
		(void)select(n->s + 1, &fds, NULL, NULL, &t);
		rc = readnatpmpresponseorretry(n, r);
	}
	return rc == 0 ? BS_OK : BS_EUNREACH;
}

static int request(natpmp_t *n, uint16_t inside, uint32_t life_s, natpmpresp_t *r)
{
	if (sendnewportmappingrequest(n, NATPMP_PROTOCOL_UDP, inside, inside, life_s) < 0)
		return BS_EUNREACH;
	return await(n, r);
}

int bsc__natpmp_map(struct bsc__mapping *m)
{
	natpmp_t n;
	natpmpresp_t r;
	int rc = BS_EUNREACH;
	uint32_t ip;

	if (initnatpmp(&n, 0, 0) != 0)
		return BS_EUNREACH;
	if (sendpublicaddressrequest(&n) >= 0 && await(&n, &r) == BS_OK) {
		ip = ntohl(r.pnu.publicaddress.addr.s_addr);
		rc = request(&n, m->inside, LIFE_S, &r);
		if (rc == BS_OK) {
			bs_endpoint_set_ip4(&m->ep, ip, r.pnu.newportmapping.mappedpublicport);
			m->life_s = r.pnu.newportmapping.lifetime;
		}
	}
	(void)closenatpmp(&n);
	return rc == BS_OK && bs_endpoint_is_set(&m->ep) ? BS_OK : BS_EUNREACH;
}

void bsc__natpmp_unmap(const struct bsc__mapping *m)
{
	natpmp_t n;

	if (initnatpmp(&n, 0, 0) != 0)
		return;
	(void)sendnewportmappingrequest(&n, NATPMP_PROTOCOL_UDP, m->inside, 0, 0);
	(void)closenatpmp(&n);
}

#else

int bsc__natpmp_map(struct bsc__mapping *m)
{
	(void)m;
	return BS_EUNREACH;
}

void bsc__natpmp_unmap(const struct bsc__mapping *m)
{
	(void)m;
}

#endif
