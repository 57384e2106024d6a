/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's leg of the UDP relay: when it is bound, when it rests, and what its loss means. */
#include "error.h"
#include "machine.h"
#include "note.h"

void bsc__relay_begin(struct bsc_conn *c, const struct bs_gate_connect_answer *a, bs_time now)
{
	bs_relay_client_init(&c->relay, c->m->crypto, a->relay_key, a->h.sp,
			     bs_get_u32(c->attempt) | 0x100);
	if (c->m->set.relay != BSC_RELAY_AUTO && c->m->set.relay != BSC_RELAY_ONLY)
		return;
	for (uint8_t k = 0; k < a->n_eps; k++)
		if (a->eps[k].kind == BS_EP6_RELAY)
			bs_relay_client_add(&c->relay, &a->eps[k].ep);
	bs_relay_client_start(&c->relay, now);
}

void bsc__relay_look(struct bsc_conn *c, bs_time now)
{
	uint8_t ev = bs_relay_client_take_events(&c->relay);

	if (ev)
		bsc__note(c, now,
			  ev & BS_RELAY_EV_BOUND ? "the relay answers"
						 : "the relay does not answer");
	if (ev & BS_RELAY_EV_LOST)
		bs_peer_drop_path(&c->peer, &c->relay.lost, now);
	/* The list has room for both of its endpoints. */
	if (ev & BS_RELAY_EV_BOUND)
		(void)bs_peer_add_path(&c->peer, bs_relay_client_endpoint(&c->relay),
				       BS_PATH_UDP_RELAY, now);
}

void bsc__link_relay_refused(struct bsc__machine *m, uint32_t nsi, const struct bs_status_text *st,
			     bs_time now)
{
	for (struct bsc_conn *c = m->links; c != NULL; c = c->next) {
		const struct bs_endpoint *ep = bs_relay_client_endpoint(&c->relay);

		if (!c->has_peer || c->is_local || c->closed || c->peer.conn.nsi_sp != nsi)
			continue;
		(void)bsc__fail_status(&c->relay_error, BSC_FROM_BASESTATION, st->code, st->text);
		if (ep != NULL)
			bs_peer_drop_path(&c->peer, ep, now);
		bs_relay_client_stop(&c->relay);
		/* Nothing else is tried, so nobody will answer any more. */
		if (m->set.relay == BSC_RELAY_ONLY && c->connect_ms != 0)
			bsc__link_fail(c, &c->relay_error, now);
		return;
	}
}

bool bsc__relay_may_come(const struct bsc_conn *c, const struct bs_endpoint *from)
{
	const struct bs_endpoint *relay = bs_relay_client_endpoint(&c->relay);

	return c->is_local || c->m->set.relay < BSC_RELAY_ONLY ||
	       bs_endpoint_via(from) == BS_VIA_STREAM ||
	       (relay != NULL && bs_endpoint_equal(from, relay));
}

void bsc__relay_no_path(const struct bsc_conn *c, struct bsc_error *e)
{
	unsigned ms = (unsigned)c->m->set.path_timeout_ms;

	if (c->relay_error.code != 0)
		*e = c->relay_error;
	else if (c->relay.n == 0)
		(void)bsc__fail(e, BS_EUNREACH, BSC_FROM_NETWORK, BSC_NO_PATH,
				"%s: the device accepted, but no direct path opened within %u ms, "
				"and %s; a firewall or NAT on either side lets no UDP through",
				c->device, ms,
				c->m->set.relay == BSC_RELAY_OFF
					? "this program does not use relays"
					: "the basestation offers no relay");
	else
		(void)bsc__fail(e, BS_EUNREACH, BSC_FROM_NETWORK, BSC_NO_PATH,
				"%s: the device accepted, but within %u ms %s; a firewall lets no "
				"UDP through",
				c->device, ms,
				bs_relay_client_endpoint(&c->relay) == NULL
					? "no path opened and the relay did not answer"
					: "it did not answer, not over the relay either");
}

bool bsc__relay_is_stranded(struct bsc_conn *c, bs_time now)
{
	bool lost = c->connect_ms != 0 && c->peer.conn.state == BS_CONN_OPEN &&
		    c->peer.conn.path >= BS_PATH_UDP_RELAY &&
		    bs_paths_relay(&c->peer.paths, NULL) == NULL;

	if (lost && !c->stranded)
		c->strand_at = now + BS_TIME_MS(c->m->set.path_timeout_ms);
	c->stranded = lost;
	return lost && BS_TIME_DIFF(now, c->strand_at) >= 0;
}

bool bsc__relay_is_why(const struct bsc_conn *c, struct bsc_error *e)
{
	if (c->peer.conn.path != BS_PATH_UDP_RELAY || bs_relay_client_endpoint(&c->relay) != NULL)
		return false;
	if (c->relay_error.code != 0)
		*e = c->relay_error;
	else
		(void)bsc__fail(e, BS_ETIMEDOUT, BSC_FROM_BASESTATION, BSC_SILENT,
				"%s: the basestation's relay no longer answers, and no other path "
				"opened; the basestation or its network may be down",
				c->device);
	return true;
}

void bsc__relay_gone(struct bsc_conn *c, bs_time now)
{
	struct bsc_error e;

	if (!bsc__relay_is_why(c, &e))
		(void)bsc__fail(&e, BS_ETIMEDOUT, BSC_FROM_BASESTATION, BSC_SILENT,
				"%s: the relay is gone, and no other path opened", c->device);
	bsc__link_goodbye(c, now);
	bsc__link_fail(c, &e, now);
}

/** Whether the relay is not wanted now. */
static bool may_rest(const struct bsc_conn *c)
{
	bool direct = c->peer.conn.state == BS_CONN_OPEN && c->peer.conn.path < BS_PATH_UDP_RELAY;

	return c->m->suspended || (direct && !c->peer.paths.suspect);
}

/** A relayed path that falls silent: the relay's answer tells whether it is the relay. */
static void look_for_silence(struct bsc_conn *c, bs_time now)
{
	bool doubt = c->peer.paths.suspect;

	if (doubt && !c->doubt)
		bs_relay_client_rebind(&c->relay, now);
	c->doubt = doubt;
}

void bsc__relay_timeout(struct bsc_conn *c, bs_time now)
{
	look_for_silence(c, now);
	bs_relay_client_rest(&c->relay, may_rest(c), now);
	bs_relay_client_timeout(&c->relay, now);
}
