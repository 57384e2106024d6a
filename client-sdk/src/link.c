/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to devices: CONNECT, the search for a path, queries, the end. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "local.h"
#include "machine.h"
#include "note.h"
#include "stream.h"
#include "util/endpoint_text.h"

/** Where a packet says what it is. */
#define TYPE_OFF 8u

static void tell(struct bsc_conn *c, enum bsc_progress step, const struct bsc_error *err)
{
	c->progress = step;
	if (c->fn != NULL)
		c->fn(c->arg, c, step, err);
}

void bsc__endpoint_text(const struct bs_endpoint *ep, char buf[BS_ENDPOINT_TEXT_MAX])
{
	if (bs_endpoint_is_set(ep))
		(void)bs_endpoint_format(ep, buf);
	else
		buf[0] = '\0';
}

/* ---- queries */

/** A query is over: tell and free it. */
static void end_call(struct bsc__call *q, struct bs_slice reply, const struct bsc_error *err)
{
	struct bsc_conn *c = q->conn;

	c->n_calls--;
	if (q->fn != NULL)
		q->fn(q->arg, c, err == NULL ? reply.ptr : NULL, err == NULL ? reply.len : 0, err);
	free(q);
}

static void measure(struct bsc_conn *c, const struct bs_rpc_call *call)
{
	bs_time_diff took = BS_TIME_DIFF(c->now, call->sent);
	uint32_t us;

	/* Karn: after a repeat nobody knows which copy was answered (RFC 6298, section 3). */
	if (call->tries != 1 || took < 0)
		return;
	us = (uint32_t)(took / 1000);
	c->rtt_us = c->rtt_us == 0 ? us : c->rtt_us - c->rtt_us / 8 + us / 8;
	if (c->rtt_us == 0)
		c->rtt_us = 1;
}

/** The peer's own end, in words; our side has not decided anything. */
static void why_ended(const struct bsc_conn *c, struct bsc_error *e)
{
	if (c->peer.conn.end == BS_CONN_END_SILENCE && bsc__relay_is_why(c, e))
		return;
	if (c->peer.conn.end == BS_CONN_END_SILENCE)
		(void)bsc__fail(e, BS_ETIMEDOUT, BSC_FROM_DEVICE, BSC_SILENT,
				"%s: the device fell silent; it or its network may be down",
				c->device);
	else
		(void)bsc__fail(e, BS_ECLOSED, BSC_FROM_DEVICE, BSC_DEVICE_CLOSED,
				"%s: the device closed the connection", c->device);
}

static void on_call_done(void *app, struct bs_rpc_call *call, int err, uint32_t exception,
			 struct bs_slice reply)
{
	struct bsc__call *q = app;
	struct bsc_conn *c = q->conn;
	struct bsc_error e;

	if (err == BS_OK || err == BS_EREFUSED)
		measure(c, call);
	if (err == BS_OK) {
		end_call(q, reply, NULL);
		return;
	}
	if (err == BS_EREFUSED) {
		(void)bsc__fail(&e, BS_EREFUSED, BSC_FROM_DEVICE, BSC_EXCEPTION,
				"%s: the device answered with exception %u (%s)", c->device,
				(unsigned)exception, bsc_rpc_exception_name(exception));
		e.exception = exception;
	} else if (err == BS_ETIMEDOUT)
		(void)bsc__fail(&e, BS_ETIMEDOUT, BSC_FROM_DEVICE, BSC_NO_ANSWER,
				"%s: no answer to the query%s within %u ms; %s", c->device,
				call->noticed ? ", which it said it works on," : "",
				(unsigned)c->m->set.rpc_timeout_ms,
				c->peer.paths.suspect
					? "nor to anything else: the device, the relay or a "
					  "network on the way is gone; connect again"
					: "it may not know this query");
	else if (err == BS_ETOOBIG)
		(void)bsc__fail(&e, BS_ETOOBIG, BSC_FROM_CALLER, BSC_USAGE,
				"%s: the query is too long for this device; shorten its arguments",
				c->device);
	else if (c->error.code != 0)
		e = c->error;
	else
		why_ended(c, &e);
	end_call(q, reply, &e);
}

static void start_call(struct bsc_conn *c, struct bsc__call *q, bs_time now)
{
	struct bsc_error e;
	int rc = bs_peer_call(&c->peer, &q->call, now);

	if (rc == BS_OK)
		return;
	(void)bsc__fail(&e, rc, BSC_FROM_LIBRARY, BSC_USAGE, "%s: the query cannot be sent (%s)",
			c->device, bs_strerror(rc));
	end_call(q, (struct bs_slice){ NULL, 0 }, &e);
}

int bsc__link_call(struct bsc_conn *c, const uint8_t *req, size_t len, unsigned options,
		   bsc_rpc_fn fn, void *arg, bs_time now)
{
	bool large = c->has_peer && c->peer.conn.large;
	struct bsc__call **at = &c->waiting;
	struct bsc__call *q;
	int rc;

	if (c->closed || c->released)
		return BS_ECLOSED;
	if (len < 4 || fn == NULL || (options & ~(unsigned)BSC_RPC_NO_RETRY) != 0)
		return BS_EINVAL;
	if (len > (large ? BSC_RPC_ANSWER_MAX : BSC_RPC_REQUEST_SMALL))
		return BS_ETOOBIG;
	if (c->n_calls >= BSC__CALLS_MAX)
		return BS_EFULL;
	q = calloc(1, sizeof *q + len);
	if (q == NULL)
		return BS_ENOMEM;
	memcpy(q->req, req, len);
	q->conn = c;
	q->fn = fn;
	q->arg = arg;
	q->call.request = (struct bs_slice){ q->req, len };
	q->call.done = on_call_done;
	q->call.app = q;
	q->call.limit_ms = c->m->set.rpc_timeout_ms;
	q->call.options = options & BSC_RPC_NO_RETRY ? BS_RPC_NO_RETRY : 0;
	if (c->has_peer) {
		rc = bs_peer_call(&c->peer, &q->call, now);
		if (rc != BS_OK) {
			free(q);
			return rc;
		}
	} else {
		while (*at != NULL)
			at = &(*at)->next;
		*at = q;
	}
	c->n_calls++;
	return BS_OK;
}

/* ---- life and end */

uint32_t bsc__link_ext(const struct bsc_conn *c)
{
	return BS_EXT_IP6 | BS_EXT_ATTEMPT | BS_EXT_FAST_STREAM |
	       (bs_crypto_gcm(c->m->crypto) != NULL ? BS_EXT_GCM : 0) |
	       (c->has_pair ? BS_EXT_PAIR : 0);
}

/** The pairing secret for this device, if the caller has one. */
static int look_up_pair(struct bsc_conn *c)
{
	const struct bsc__settings *set = &c->m->set;
	int rc;

	if (set->pair_fn == NULL)
		return BS_OK;
	rc = set->pair_fn(set->pair_arg, c->device, c->pair_id, c->pair_secret);
	c->has_pair = rc == BS_OK;
	return rc == BS_ENOENT ? BS_OK : rc;
}

/** The local network: as the caller wants it, or beside the basestation with a pairing secret. */
static int begin_local(struct bsc_conn *c, const struct bsc__local_how *how, bs_time now)
{
	struct bsc__local_how own;
	int rc;

	if (how != NULL)
		return bsc__local_begin(c, how, true, now);
	if (!c->has_pair || c->m->set.no_local)
		return c->m->set.host[0] == '\0' ? BS_ENOENT : BS_OK;
	rc = bsc__local_how_pair(c, &own);
	if (rc == BS_OK)
		rc = bsc__local_begin(c, &own, c->m->set.host[0] == '\0', now);
	bs_wipe(&own, sizeof own);
	return rc;
}

/** Ask the basestation, unless there is none or it shall not be asked. */
static int ask_server(struct bsc_conn *c, bs_time now)
{
	struct bsc__machine *m = c->m;
	struct bsc__req *r;

	if (c->local != NULL && c->local->only)
		return BS_OK;
	/* Our probes must be answered while the server looks at the CONNECT: renew the token. */
	if (m->state == BSC_SESSION_OPEN &&
	    (BS_TIME_DIFF(now, m->token_at) > (bs_time_diff)BS_TIME_MS(BSC__TOKEN_MS) ||
	     m->prober.counter - m->token_counter > BSC__TOKEN_PROBES)) {
		m->token_counter = m->prober.counter;
		(void)bsc__request_ping(m, NULL, NULL, now);
	}
	r = bsc__request_new(m, BS_TYPE_CONNECT, now);
	if (r == NULL)
		return BS_ENOMEM;
	r->conn = c;
	if (bsc__ticket_may(m, now))
		bsc__ticket_begin(m, r, now);
	return BS_OK;
}

int bsc__link_new(struct bsc__machine *m, const char *device, const struct bsc__local_how *how,
		  bsc_conn_fn fn, void *arg, bs_time now, struct bsc_conn **out)
{
	size_t len = device == NULL ? 0 : strlen(device);
	struct bsc_conn *c;
	int rc;

	if (len == 0 || len > BS_DEVICE_ID_MAX)
		return BS_EINVAL;
	if (m->n_links >= BSC__LINKS_MAX || m->n_reqs >= BSC__REQUESTS_MAX)
		return BS_EFULL;
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return BS_ENOMEM;
	for (size_t k = 0; k < len; k++)
		c->device[k] =
			device[k] >= 'A' && device[k] <= 'Z' ? (char)(device[k] + 32) : device[k];
	c->m = m;
	c->fn = fn;
	c->arg = arg;
	c->born = now;
	if (!bs_device_id_ok((const uint8_t *)c->device, len)) {
		rc = BS_EINVAL;
		goto fail;
	}
	rc = m->crypto->random(m->crypto->ctx, c->attempt, sizeof c->attempt);
	if (rc != BS_OK)
		goto fail;
	rc = look_up_pair(c);
	if (rc == BS_OK)
		rc = begin_local(c, how, now);
	if (rc == BS_OK)
		rc = ask_server(c, now);
	if (rc != BS_OK)
		goto fail;
	c->next = m->links;
	m->links = c;
	m->n_links++;
	*out = c;
	if (c->local == NULL || !c->local->only) {
		if (!c->by_ticket)
			bsc__machine_open(m, now);
		if (c->by_ticket || m->state == BSC_SESSION_OPEN)
			tell(c, BSC_ASKING, NULL);
	}
	return BS_OK;
fail:
	bsc__local_free(c);
	bs_wipe(c, sizeof *c);
	free(c);
	return rc;
}

/** End once: queries and streams first, then whoever watches the connection. */
static void end_conn(struct bsc_conn *c, const struct bsc_error *why)
{
	if (c->closed)
		return;
	c->closed = true;
	c->error = *why;
	bsc__note(c, c->now ? c->now : c->born, "over: %s", why->text);
	bs_relay_client_stop(&c->relay);
	/* A leg that carries the connection stays for the last packet. */
	if (c->gw.state != BS_GW_CLIENT_UP)
		bs_gw_client_stop(&c->gw);
	while (c->waiting != NULL) {
		struct bsc__call *q = c->waiting;

		c->waiting = q->next;
		end_call(q, (struct bs_slice){ NULL, 0 }, &c->error);
	}
	bsc__stream_fail(c, &c->error);
	tell(c, BSC_CLOSED, &c->error);
}

void bsc__link_goodbye(struct bsc_conn *c, bs_time now)
{
	struct bsc__req *r;

	if (c->peer.conn.nsi_sp == 0 || c->is_local)
		return;
	/* Only where it was opened is it known: by ticket, or in a session. */
	if (c->by_ticket ? !c->m->ticket.known : c->m->state != BSC_SESSION_OPEN)
		return;
	r = bsc__request_new(c->m, BS_TYPE_DISCONNECT, now);
	if (r == NULL)
		return;
	r->nsi = c->peer.conn.nsi_sp;
	r->path = c->peer.conn.path;
	if (c->by_ticket)
		bsc__ticket_begin(c->m, r, now);
}

void bsc__link_disconnected(struct bsc__machine *m, uint32_t nsi)
{
	struct bsc_conn *c;

	for (c = m->links; c != NULL; c = c->next)
		/* Such a device has freed its end by then and answers no close of ours. */
		if (c->has_peer && !c->is_local && c->closed && c->peer.conn.nsi_sp == nsi &&
		    (c->ext & BS_EXT_CLOSE))
			bs_peer_end(&c->peer, BS_CONN_END_LOCAL);
}

void bsc__link_fail(struct bsc_conn *c, const struct bsc_error *why, bs_time now)
{
	(void)now;
	if (c->closed || (c->connect_ms == 0 && bsc__local_is_reserve(c, why)))
		return;
	c->error = *why;
	if (c->has_peer)
		bs_peer_end(&c->peer, BS_CONN_END_SERVER);
	end_conn(c, why);
}

void bsc__link_closed_by_server(struct bsc__machine *m, uint32_t nsi,
				const struct bs_status_text *st, bs_time now)
{
	for (struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (c->has_peer && !c->is_local && !c->closed && c->peer.conn.nsi_sp == nsi) {
			struct bsc_error e;

			(void)bsc__fail_status(&e, BSC_FROM_BASESTATION, st->code, st->text);
			bsc__link_fail(c, &e, now);
			return;
		}
}

void bsc__link_close(struct bsc_conn *c, bs_time now)
{
	if (c->released)
		return;
	c->released = true;
	c->fn = NULL;
	bsc__request_forget(c->m, c);
	if (c->closed)
		return;
	(void)bsc__fail(&c->error, BS_ECLOSED, BSC_FROM_CALLER, BSC_CANCELLED,
			"%s: closed by this program", c->device);
	if (c->has_peer) {
		bs_peer_close(&c->peer, now);
		bsc__link_goodbye(c, now);
	}
	end_conn(c, &c->error);
}

static void ended(struct bsc_conn *c, bs_time now)
{
	struct bsc_error e;

	why_ended(c, &e);
	bsc__link_goodbye(c, now);
	end_conn(c, &e);
}

static void no_path(struct bsc_conn *c, bs_time now)
{
	struct bsc_error e;

	bsc__relay_no_path(c, &e);
	bsc__link_goodbye(c, now);
	if (bsc__local_is_reserve(c, &e)) {
		/* The local network has the word now; its own limits end it. */
		c->path_deadline = now + BS_TIME_MS(2 * BS_LOCAL_LIMIT_MS);
		return;
	}
	c->error = e;
	bs_peer_end(&c->peer, BS_CONN_END_LOCAL);
	end_conn(c, &e);
}

static void look_at_peer(struct bsc_conn *c, bs_time now)
{
	uint8_t ev = bs_peer_take_events(&c->peer);

	if (c->closed)
		return;
	if (ev & (BS_PEER_EV_PATH | BS_PEER_EV_OPEN))
		bsc__note_path(c, now);
	if (ev & BS_PEER_EV_OPEN) {
		c->connect_ms = (uint32_t)BS_TIME_DIFF_MS(BS_TIME_DIFF(now, c->born));
		if (c->connect_ms == 0)
			c->connect_ms = 1;
		bsc__note(c, now, "the device answers");
		tell(c, BSC_PATH_FOUND, NULL);
	}
	if (ev & BS_PEER_EV_CLOSED)
		ended(c, now);
	else if (c->connect_ms == 0 && BS_TIME_DIFF(now, c->path_deadline) >= 0 &&
		 !bs_gw_client_is_busy(&c->gw))
		no_path(c, now);
	else if (bsc__relay_is_stranded(c, now))
		bsc__relay_gone(c, now);
	else
		bsc__stream_report(c, now);
}

/** The device's addresses, as many as there is room for: the first are its own words. */
static void begin_direct(struct bsc_conn *c, const struct bs_gate_connect_answer *a, bs_time now)
{
	if (c->m->set.relay >= BSC_RELAY_ONLY)
		return;
	for (uint8_t k = 0; k < a->n_eps; k++)
		if (a->eps[k].kind == BS_EP6_HOST)
			(void)bs_peer_add_candidate(&c->peer, &a->eps[k].ep, BS_CANDIDATE_HOST);
		else if (a->eps[k].kind == BS_EP6_OBSERVED)
			(void)bs_peer_add_candidate(&c->peer, &a->eps[k].ep, BS_CANDIDATE_OBSERVED);
	(void)bs_peer_add_candidate(&c->peer, &a->ipx.priv, BS_CANDIDATE_HOST);
	(void)bs_peer_add_candidate(&c->peer, &a->ipx.global, BS_CANDIDATE_OBSERVED);
	bs_peer_start(&c->peer, now);
}

/** Take keys and addresses from the answer and start searching. */
static void begin_search(struct bsc_conn *c, const struct bs_gate_connect_answer *a, bs_time now)
{
	struct bs_peer_conf conf = {
		.crypto = c->m->crypto,
		.key = a->key.key,
		.suite = a->key.suite == BS_SUITE_AES_GCM ? &bs_suite_aes_gcm : &bs_suite_aes_cbc,
		.fast = (c->ext & bsc__link_ext(c) & BS_EXT_FAST_STREAM) != 0,
		.pair = c->has_pair ? c->pair_secret : NULL,
		.attempt = c->attempt,
		.nsi_sp = a->h.sp,
		.nsi_cp = bs_get_u32(c->attempt) | 0x100,
		.interval_ms = c->m->set.conn_keepalive_max_ms,
		.pace_ms = c->m->set.conn_keepalive_ms,
		.search_ms = c->m->set.path_timeout_ms,
	};
	struct bsc_error e;
	int rc;

	bsc__paths_tactics(c, a, &conf, now);
	rc = bs_peer_init(&c->peer, &conf, now);
	bs_wipe(&conf, sizeof conf);
	if (rc != BS_OK) {
		(void)bsc__fail(&e, BS_EPROTO, BSC_FROM_BASESTATION, BSC_PROTOCOL,
				"%s: the basestation's answer has no usable connection (%s)",
				c->device, bs_strerror(rc));
		end_conn(c, &e);
		return;
	}
	c->has_peer = true;
	bsc__note_answer(c, a, now);
	c->path_deadline = now + BS_TIME_MS(c->m->set.path_timeout_ms);
	begin_direct(c, a, now);
	bsc__relay_begin(c, a, now);
	bsc__gw_begin(c, a, now);
	while (c->waiting != NULL) {
		struct bsc__call *q = c->waiting;

		c->waiting = q->next;
		start_call(c, q, now);
	}
	tell(c, BSC_PROBING, NULL);
}

/** We never asked for a plain connection, for a suite that we do not have, or for one without our
 *  secret, so nobody may talk us into it. */
static bool is_as_asked(const struct bsc_conn *c, const struct bs_gate_connect_answer *a)
{
	uint32_t ext = a->has_ext ? a->ext.bits & bsc__link_ext(c) : 0;

	if (!a->key.has_key || (c->has_pair && !(ext & BS_EXT_PAIR)))
		return false;
	return a->key.suite == BS_SUITE_AES_CBC ||
	       (a->key.suite == BS_SUITE_AES_GCM && (ext & BS_EXT_GCM));
}

/** The local network has a connection for us: whatever the basestation does is not needed. */
static void adopt_local(struct bsc_conn *c, struct bs_peer_conf *conf, const struct bs_endpoint *ep,
			bs_time now)
{
	struct bsc_error e;
	int rc;

	bsc__request_forget(c->m, c);
	if (c->has_peer)
		bs_peer_fini(&c->peer);
	bs_relay_client_stop(&c->relay);
	conf->interval_ms = c->m->set.conn_keepalive_max_ms;
	conf->pace_ms = c->m->set.conn_keepalive_ms;
	conf->search_ms = c->m->set.path_timeout_ms;
	rc = bs_peer_init(&c->peer, conf, now);
	c->has_peer = rc == BS_OK;
	if (rc != BS_OK) {
		(void)bsc__fail(&e, rc, BSC_FROM_LIBRARY, BSC_INTERNAL,
				"%s: the local connection cannot be used (%s)", c->device,
				bs_strerror(rc));
		end_conn(c, &e);
		return;
	}
	c->is_local = true;
	c->ext = 0;
	c->suite = conf->suite->code;
	c->path_deadline = now + BS_TIME_MS(c->m->set.path_timeout_ms);
	bs_peer_set_path(&c->peer, ep, BS_PATH_LOCAL, now);
	while (c->waiting != NULL) {
		struct bsc__call *q = c->waiting;

		c->waiting = q->next;
		start_call(c, q, now);
	}
	tell(c, BSC_PROBING, NULL);
}

/** What became of the attempt on the local network. */
static void look_at_local(struct bsc_conn *c, bs_time now)
{
	struct bs_peer_conf conf = { .interval_ms = 0 };
	struct bs_endpoint ep;
	struct bsc_error e;

	if (c->connect_ms == 0 && bsc__local_take(c, &conf, &ep)) {
		adopt_local(c, &conf, &ep, now);
		bs_wipe(&conf, sizeof conf);
	} else if (c->connect_ms == 0 && bsc__local_is_lost(c, &e)) {
		if (c->has_peer)
			bs_peer_end(&c->peer, BS_CONN_END_LOCAL);
		end_conn(c, &e);
	}
}

int bsc__link_answer(struct bsc_conn *c, const struct bs_packet *p, bs_time now)
{
	struct bs_gate_connect_answer a;
	struct bsc_error e;
	int rc = bs_gate_connect_answer_decode(p, &a);

	if (rc != BS_OK)
		return rc;
	if (!bs_equal_secret(a.attempt, c->attempt, sizeof c->attempt)) {
		rc = BS_EFIELD;
	} else if (a.status.code != BS_ST_OK) {
		bool device =
			a.status.code == BS_ST_REFUSED_DEVICE || a.status.code == BS_ST_ENCRYPTION;

		(void)bsc__fail_status(&e, device ? BSC_FROM_DEVICE : BSC_FROM_BASESTATION,
				       a.status.code, a.status.text);
		if (a.params.has & BS_PARAM_BIT(BS_PARAM_RETRY_AFTER))
			e.retry_after_ms = a.params.retry_after_ms;
		bsc__link_fail(c, &e, now);
	} else if (!is_as_asked(c, &a)) {
		rc = BS_ESUITE;
	} else {
		c->ext = a.has_ext ? a.ext.bits : 0;
		c->suite = a.key.suite;
		begin_search(c, &a, now);
	}
	bs_wipe(&a, sizeof a);
	return rc;
}

void bsc__link_progress(struct bsc__machine *m, enum bsc_progress step)
{
	for (struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (!c->has_peer && !c->closed)
			tell(c, step, NULL);
}

/* ---- the step */

/** Devices number their local connections alike, so there the source tells them apart. */
static bool is_for(const struct bsc_conn *c, uint32_t nsi, const struct bs_endpoint *from)
{
	return c->has_peer && c->peer.conn.nsi_sp == nsi &&
	       (!c->is_local || bs_endpoint_equal(from, &c->peer.conn.remote));
}

void bsc__link_input(struct bsc__machine *m, uint8_t *pkt, size_t len,
		     const struct bs_endpoint *from, bs_time now)
{
	uint32_t nsi;

	for (struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (bsc__local_input(c, pkt, len, from, now)) {
			c->now = now;
			look_at_local(c, now);
			return;
		}
	if (len < BS_HEADER_MIN)
		return;
	nsi = bs_get_u32(pkt + 4);
	for (struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (is_for(c, nsi, from)) {
			c->now = now;
			if (pkt[TYPE_OFF] == BS_TYPE_PROBE)
				(void)bs_relay_client_input(&c->relay, pkt, len, from, now);
			else if (bsc__relay_may_come(c, from))
				(void)bs_peer_input(&c->peer, pkt, len, from, now);
			bsc__relay_look(c, now);
			look_at_peer(c, now);
			return;
		}
}

void bsc__link_timeout(struct bsc__machine *m, bs_time now)
{
	for (struct bsc_conn *c = m->links; c != NULL; c = c->next) {
		c->now = now;
		bsc__local_timeout(c, now);
		look_at_local(c, now);
		if (c->has_peer) {
			bsc__relay_timeout(c, now);
			bsc__gw_timeout(c, now);
			bsc__relay_look(c, now);
			bs_peer_timeout(&c->peer, now);
			look_at_peer(c, now);
		}
	}
}

/** Largest packet to this device: a fast one finds out what the path takes. */
static size_t packet_limit(const struct bsc_conn *c, size_t cap)
{
	size_t limit = c->has_peer && c->peer.conn.large ? BS_PACKET_MAX : BS_PACKET_SMALL;

	return (c->has_peer && bs_conn_is_fast(&c->peer.conn)) || cap < limit ? cap : limit;
}

size_t bsc__link_output(struct bsc__machine *m, uint8_t *buf, size_t cap, struct bs_endpoint *to,
			bs_time now)
{
	for (struct bsc_conn *c = m->links; c != NULL; c = c->next) {
		size_t limit = packet_limit(c, cap);
		size_t n = bs_relay_client_output(&c->relay, buf, cap, to, now);

		if (n == 0)
			n = bsc__local_output(c, buf, cap, to);
		if (n == 0 && c->has_peer)
			n = bs_peer_output(&c->peer, buf, limit, to, now);
		if (n > 0)
			return n;
	}
	return 0;
}

bool bsc__link_next_timeout(const struct bsc__machine *m, bs_time *at)
{
	bool have = false;
	bs_time t;

	for (const struct bsc_conn *c = m->links; c != NULL; c = c->next) {
		if (c->has_peer && !c->closed && c->connect_ms == 0)
			bsc__earlier(&have, at, c->path_deadline);
		if (c->stranded && !c->closed)
			bsc__earlier(&have, at, c->strand_at);
		if (c->has_peer && bs_peer_next_timeout(&c->peer, &t))
			bsc__earlier(&have, at, t);
		if (bsc__local_next_timeout(c, &t))
			bsc__earlier(&have, at, t);
		if (bs_relay_client_next_timeout(&c->relay, &t))
			bsc__earlier(&have, at, t);
		if (bs_gw_client_next_timeout(&c->gw, &t))
			bsc__earlier(&have, at, t);
	}
	return have;
}

bool bsc__link_is_live(const struct bsc_conn *c)
{
	return c->has_peer && bs_conn_is_live(&c->peer.conn);
}

/** Nobody is told of the running queries any more; all of them, or those with this argument. */
static void mute(struct bsc_conn *c, const void *arg)
{
	struct bs_rpc_call *call = c->has_peer ? c->peer.rpc.head : NULL;

	for (; call != NULL; call = call->next) {
		struct bsc__call *q = call->app;

		if (arg == NULL || q->arg == arg)
			q->fn = NULL;
	}
}

void bsc__link_forget_arg(struct bsc_conn *c, const void *arg)
{
	mute(c, arg);
	for (struct bsc__call *q = c->waiting; q != NULL; q = q->next)
		if (q->arg == arg)
			q->fn = NULL;
}

void bsc__link_silence(struct bsc_conn *c, bs_time now)
{
	mute(c, NULL);
	if (c->has_peer && !c->closed) {
		bs_peer_close(&c->peer, now);
		/* With a session its end says so. */
		if (c->by_ticket)
			bsc__link_goodbye(c, now);
	}
}

void bsc__link_free(struct bsc_conn *c)
{
	mute(c, NULL);
	bsc__stream_fini(c);
	if (c->has_peer)
		bs_peer_fini(&c->peer);
	bs_relay_client_fini(&c->relay);
	bsc__local_free(c);
	bs_gw_client_fini(&c->gw);
	while (c->waiting != NULL) {
		struct bsc__call *q = c->waiting;

		c->waiting = q->next;
		free(q);
	}
	bs_wipe(c, sizeof *c);
	free(c);
}

/** Whether the device itself named the address that is in use. */
static bool is_local(const struct bsc_conn *c)
{
	/* A public IPv6 address names the device wherever we are. */
	if (!bs_endpoint_is_private(&c->peer.conn.remote))
		return false;
	for (uint8_t k = 0; k < c->peer.rv.n; k++)
		if (c->peer.rv.cand[k].kind == BS_CANDIDATE_HOST &&
		    bs_endpoint_equal(&c->peer.rv.cand[k].ep, &c->peer.conn.remote))
			return true;
	return false;
}

static enum bsc_path path_of(const struct bsc_conn *c)
{
	if (c->peer.conn.path == BS_PATH_UDP_RELAY)
		return BSC_PATH_UDP_RELAY;
	if (c->peer.conn.path == BS_PATH_TCP_RELAY)
		return c->gw.mode == BS_GW_MODE_TLS ? BSC_PATH_TLS_RELAY : BSC_PATH_TCP_RELAY;
	return c->is_local || is_local(c) ? BSC_PATH_LOCAL : BSC_PATH_DIRECT;
}

void bsc__link_get_info(const struct bsc_conn *c, struct bsc_conn_info *info)
{
	const struct bs_conn *pc = &c->peer.conn;

	memset(info, 0, sizeof *info);
	memcpy(info->device, c->device, sizeof info->device);
	memcpy(info->attempt, c->attempt, sizeof info->attempt);
	info->progress = c->progress;
	info->ext = c->ext;
	info->suite = c->suite;
	info->packet_max = BS_PACKET_SMALL;
	info->connect_ms = c->connect_ms;
	info->by_ticket = c->by_ticket;
	if (!c->has_peer)
		return;
	if (!c->closed && c->connect_ms > 0)
		info->path = path_of(c);
	/* What the device saw on another path than the one in use says nothing. */
	if (bs_endpoint_is_ip4(&c->peer.rv.self) == bs_endpoint_is_ip4(&pc->remote))
		bsc__endpoint_text(&c->peer.rv.self, info->local);
	bsc__endpoint_text(&pc->remote, info->remote);
	info->nsi = pc->nsi_sp;
	info->paired = bs_conn_is_paired(pc);
	if (pc->large)
		info->packet_max = BS_PACKET_MAX;
	info->rtt_us = c->rtt_us != 0 ? c->rtt_us : pc->rtt_ms * 1000u;
	info->tx_bytes = pc->stats.tx_bytes;
	info->rx_bytes = pc->stats.rx_bytes;
}
