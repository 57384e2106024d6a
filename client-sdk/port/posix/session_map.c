/* SPDX-License-Identifier: Apache-2.0 */
/* When the router is asked for a mapped port, and what becomes of its answer. */
#include <string.h>

#include "mapper.h"
#include "session.h"
#include "util/endpoint.h"

/** How often it is looked for news. */
#define LOOK_MS 100

/** Whether a router may stand between us and the basestation: not on this very machine. */
static bool is_worth_it(const struct bsc_session *s)
{
	static const uint8_t loopback6[BS_IP_LEN] = { [BS_IP_LEN - 1] = 1 };

	if (s->no_map || s->udp < 0 || s->m.state != BSC_SESSION_OPEN || s->m.n_links == 0)
		return false;
	if (bs_endpoint_ip4(&s->remote) >> 24 == 127 ||
	    memcmp(s->remote.ip, loopback6, sizeof s->remote.ip) == 0)
		return false;
	for (uint8_t k = 0; k < s->m.n_hosts; k++)
		if (bs_endpoint_is_ip4(&s->m.hosts[k].ep) &&
		    bs_endpoint_is_private(&s->m.hosts[k].ep))
			return true;
	return false;
}

void bsc__session_map(struct bsc_session *s, bs_time now)
{
	char text[BS_ENDPOINT_TEXT_MAX];
	struct bs_endpoint ep;
	const char *how;

	if (!s->map_tried && is_worth_it(s)) {
		s->map_tried = true;
		s->mapper = bsc__mapper_start(s->udp_port);
	}
	if (s->mapper == NULL || BS_TIME_DIFF(now, s->map_at) < 0)
		return;
	s->map_at = now + BS_TIME_MS(LOOK_MS);
	if (!bsc__mapper_take(s->mapper, &ep, &how))
		return;
	bsc__endpoint_text(&ep, text);
	if (bs_endpoint_is_set(&ep))
		bsc__session_log(s, "the router forwards %s to us (%s)", text, how);
	else
		bsc__session_log(s, "the router forwards no port (neither NAT-PMP nor UPnP)");
	bsc__paths_mapped(&s->m, &ep, now);
}
