/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to a device: which tactics a search uses, and what happens when the network changes. */
#include <string.h>

#include "error.h"
#include "machine.h"

enum {
	/* Head start of a direct path before a relay carries data.  A device of our own goes on
	 * searching all the same; a stock one stops at its first DATA, so it gets a second round,
	 * and most of the time that a search through a symmetric NAT takes. */
	RELAY_WAIT_OWN_MS = 150,
	RELAY_WAIT_STOCK_MS = 1200,
	RELAY_WAIT_SYMMETRIC_MS = 3500,
	/* Of a header. */
	TYPE_OFFSET = 8,
};

/** What the basestation advises, or what its measurements say where it advises nothing. */
static uint16_t tactics_of(const struct bs_gate_connect_answer *a)
{
	bool ours = a->nat.mapping >= BS_NAT_BY_ADDRESS;
	bool theirs = (a->ipx.flags & BS_IPX_NAT_MASK) == BS_IPX_NAT_SYMMETRIC;

	if (a->params.has & BS_PARAM_BIT(BS_PARAM_TACTICS))
		return a->params.tactics;
	if (ours && theirs)
		return BS_TACTIC_RELAY;
	return ours ? BS_TACTIC_SOCKETS : theirs ? BS_TACTIC_GUESS : 0;
}

/** Further sockets that may be used now: none during the cool-down, which spares the router. */
static uint16_t allowed_sockets(const struct bsc__machine *m, bs_time now)
{
	if (m->has_sockets_at &&
	    BS_TIME_DIFF(now, m->sockets_at) < (bs_time_diff)BS_TIME_MS(m->set.sockets_pause_ms))
		return 0;
	return m->set.sockets_max;
}

/** Our own endpoints, for searches that a device is asked for. */
static void own_endpoints(const struct bsc__machine *m, struct bs_endpoint *priv,
			  struct bs_endpoint *global)
{
	memset(priv, 0, sizeof *priv);
	*global = m->prober.observed;
	/* Behind two NATs the inner one forwards to an address that nobody else knows. */
	if (bs_endpoint_is_set(&m->mapped) &&
	    memcmp(m->mapped.ip, global->ip, sizeof global->ip) == 0)
		*global = m->mapped;
	for (uint8_t k = 0; k < m->n_hosts; k++)
		if (bs_endpoint_is_ip4(&m->hosts[k].ep)) {
			*priv = m->hosts[k].ep;
			return;
		}
}

void bsc__paths_mapped(struct bsc__machine *m, const struct bs_endpoint *ep, bs_time now)
{
	m->mapped = *ep;
	/* Many routers use the forwarded port for what we send, too: let the basestation see. */
	if (bs_endpoint_is_set(ep))
		bsc__prober_start(&m->prober, now);
	bsc__paths_probed(m);
}

void bsc__paths_probed(struct bsc__machine *m)
{
	struct bs_endpoint priv;
	struct bs_endpoint global;

	own_endpoints(m, &priv, &global);
	for (struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (bsc__link_is_live(c))
			bs_peer_set_self(&c->peer, &priv, &global);
}

void bsc__paths_sent(struct bsc__machine *m, const uint8_t *pkt, const struct bs_endpoint *to,
		     bs_time now)
{
	uint16_t via = bs_endpoint_via(to);

	/* DATA over the socket that was found costs the router nothing new. */
	if (via != 0 && via != BS_VIA_STREAM && pkt[TYPE_OFFSET] == BS_TYPE_U_CONNECT) {
		m->has_sockets_at = true;
		m->sockets_at = now;
	}
}

void bsc__paths_tactics(struct bsc_conn *c, const struct bs_gate_connect_answer *a,
			struct bs_peer_conf *conf, bs_time now)
{
	uint16_t tactics = tactics_of(a);
	bool own = a->has_ext && a->ext.bits != 0;

	c->nat = a->nat.mapping;
	c->device_symmetric = (a->ipx.flags & BS_IPX_NAT_MASK) == BS_IPX_NAT_SYMMETRIC;
	conf->sockets = allowed_sockets(c->m, now);
	conf->symmetric = (tactics & BS_TACTIC_SOCKETS) != 0;
	conf->can_ask = a->has_ext && (a->ext.bits & BS_EXT_PATH) != 0;
	own_endpoints(c->m, &conf->priv, &conf->global);
	conf->guess_ports = (tactics & BS_TACTIC_GUESS) != 0;
	if (tactics & BS_TACTIC_RELAY || c->m->set.relay == BSC_RELAY_ONLY)
		conf->relay_wait_ms = 0;
	else if (own)
		conf->relay_wait_ms = RELAY_WAIT_OWN_MS;
	else if ((conf->symmetric && conf->sockets != 0) || conf->guess_ports)
		conf->relay_wait_ms = RELAY_WAIT_SYMMETRIC_MS;
	else
		conf->relay_wait_ms = RELAY_WAIT_STOCK_MS;
}

bool bsc__paths_uses_via(const struct bsc__machine *m, uint16_t via)
{
	for (const struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (bsc__link_is_live(c) && (bs_endpoint_via(&c->peer.conn.remote) == via ||
					     (c->peer.rv.active && c->peer.rv.sockets >= via)))
			return true;
	return false;
}

bool bsc__paths_in_doubt(const struct bsc__machine *m)
{
	for (const struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (bsc__link_is_live(c) && c->peer.paths.suspect)
			return true;
	return false;
}

void bsc__paths_network_changed(struct bsc__machine *m, bs_time now)
{
	struct bsc_error e;

	for (struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (bsc__link_is_live(c)) {
			bs_relay_client_rebind(&c->relay, now);
			bs_peer_network_changed(&c->peer, now);
		}
	m->has_sockets_at = false;
	/* The stream to the basestation rests on the old address: a new one is quicker than to wait
	 * for its end, and its HELLO starts new probes. */
	if (m->state != BSC_SESSION_OPEN && m->state != BSC_SESSION_OPENING) {
		if (m->state == BSC_SESSION_WAITING)
			m->due = now;
		return;
	}
	(void)bsc__fail(&e, BS_EUNREACH, BSC_FROM_NETWORK, BSC_LOST,
			"%s:%u: the network of this machine changed", m->host, (unsigned)m->port);
	bsc__machine_down(m, &e, now);
	if (m->state == BSC_SESSION_WAITING)
		m->due = now;
}

void bsc__paths_suspend(struct bsc__machine *m, bs_time now)
{
	m->suspended = true;
	for (struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (bsc__link_is_live(c))
			bs_peer_suspend(&c->peer, now);
}

void bsc__paths_resume(struct bsc__machine *m, bs_time now)
{
	if (!m->suspended)
		return;
	m->suspended = false;
	for (struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (bsc__link_is_live(c))
			bs_peer_resume(&c->peer, now);
	bsc__paths_network_changed(m, now);
}
