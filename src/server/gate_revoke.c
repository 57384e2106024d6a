/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_revoke.c - looking at rights again after something was revoked.
 *
 * A change of a client, a certificate, a rule or a device is not matched against sessions one by
 * one: all of them are asked again what the registry says today.  The walk takes a slice per tick
 * and is through in less than half a second however many there are.
 */
#include <string.h>

#include "server/gate_internal.h"

/** Ticks that one walk over a full table may take: 0.4 s of 10 ms each. */
#define WALK_TICKS 40u
/** Sessions per tick at least. */
#define SLICE_MIN 64u

void bs__gate_recheck_begin(struct bs_gate *g, bool certs)
{
	g->recheck_certs = g->recheck_certs || certs;
	/* A walk under way has passed sessions that the new change may concern. */
	if (g->recheck < g->fresh)
		g->recheck_all = true;
	else
		g->recheck = 0;
}

static bool may_reach(struct bs_gate *g, const struct bs_presented *who, const char *id)
{
	const struct bs_slice text = { (const uint8_t *)id, strlen(id) };
	struct bs_access_result r;

	return bs_access_check(g->w->reader, who, text, &r) == BS_OK && r.allow;
}

static bool may_reach_number(struct bs_gate *g, const struct bs_presented *who, uint32_t number)
{
	char id[BS_DEVICE_ID_MAX + 1];

	return bs_worker_device_id(g->w, number, id) && may_reach(g, who, id);
}

/** The client itself is out: everything of it ends. */
static void end_client(struct bs_session *s, const char *text)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_conn *c, *next;

	bs_count(g->w->counters, BS_C_gate_revoked_sessions);
	bs_log_info("gate, session %u of %s ended (%s)", s->index, s->who.identity, text);
	for (c = s->conns; c; c = next) {
		next = c->next;
		bs_count(g->w->counters, BS_C_gate_revoked_connections);
		/* Without TLS there is no ERROR that ends them all. */
		bs__gate_conn_end(c, BS_ST_REFUSED, s->ticket != NULL);
	}
	if (s->state == BS_SESSION_HELLO || s->state == BS_SESSION_OPEN)
		bs__gate_error(s, BS_ST_CLIENT_CERT, text);
	/* A client that does not read must not keep the session open with it. */
	bs__session_end(s);
}

/** Whether the session still owns its attempts: they go with the transport. */
static bool has_transport(const struct bs_session *s)
{
	return s->state == BS_SESSION_OPEN || s->state == BS_SESSION_CLOSING ||
	       s->state == BS_SESSION_TICKET;
}

/** The client may stay: which of its devices may it still reach? */
static void check_rights(struct bs_session *s)
{
	struct bs_gate *g = s->gate;
	const struct bs_tls_peer peer = s->who;
	const struct bs_presented who = bs__gate_presented(&peer);
	struct bs_gate_conn *c, *next_conn;
	struct bs_gate_watcher *w, *next_watch;
	struct bs_gate_attempt *a, *next_attempt;

	for (c = s->conns; c; c = next_conn) {
		next_conn = c->next;
		if (may_reach_number(g, &who, c->number))
			continue;
		bs_count(g->w->counters, BS_C_gate_revoked_connections);
		bs__gate_conn_end(c, BS_ST_REFUSED, true);
	}
	/* Telling the client may have ended the session, and with it the two lists. */
	for (w = s->watches; w && s->state == BS_SESSION_OPEN; w = next_watch) {
		next_watch = w->next;
		if (may_reach(g, &who, w->device->id))
			continue;
		bs_count(g->w->counters, BS_C_gate_revoked_watches);
		bs__presence_forbid(w);
	}
	for (a = s->attempts; a && has_transport(s); a = next_attempt) {
		next_attempt = a->next;
		if (!may_reach_number(g, &who, a->number))
			bs__gate_attempt_refuse(a, BS_ST_REFUSED, "refused by the basestation");
	}
}

int bs__gate_still_good(struct bs_session *s)
{
	struct bs_gate *g = s->gate;

	if (bs__gate_check_peer(g, &s->who) != BS_OK)
		return BS_EAUTH;
	return s->generation == g->generation ? BS_OK : bs_tls_server_recheck(g->tls, &s->who);
}

static void check_session(struct bs_session *s, bool certs)
{
	struct bs_gate *g = s->gate;
	int err;

	/* One that only flushes its output still has connections, and then becomes a ghost. */
	if (s->state == 0 || s->state == BS_SESSION_HANDSHAKE)
		return;
	if (bs__gate_check_peer(g, &s->who) != BS_OK) {
		end_client(s, "client or certificate revoked");
		return;
	}
	err = certs ? bs_tls_server_recheck(g->tls, &s->who) : BS_OK;
	if (err == BS_EAUTH) {
		end_client(s, "certificate revoked");
	} else if (err != BS_OK && s->state == BS_SESSION_LEG) {
		/* Its stream has no room for a word of ours. */
		bs__session_end(s);
	} else if (err != BS_OK && s->state != BS_SESSION_GHOST && !s->ticket) {
		/* Not refused, only not proved: it may come back with a full handshake. */
		bs__gate_error(s, BS_ST_DRAINING, "certificates changed: connect again");
	} else {
		check_rights(s);
	}
}

void bs__gate_recheck_tick(struct bs_gate *g)
{
	uint32_t slice = g->fresh / WALK_TICKS + 1;
	bool held;

	if (g->recheck >= g->fresh && !g->recheck_all) {
		g->recheck_certs = false;
		return;
	}
	if (g->recheck >= g->fresh) {
		g->recheck_all = false;
		g->recheck = 0;
	}
	if (slice < SLICE_MIN)
		slice = SLICE_MIN;
	/* One view for the slice: cheaper, and one session is judged by one state of things. */
	held = bs_registry_reader_begin(g->w->reader) == BS_OK;
	for (uint32_t i = 0; i < slice && g->recheck < g->fresh; i++)
		check_session(&g->session[g->recheck++], g->recheck_certs);
	if (held)
		bs_registry_reader_end(g->w->reader);
}
