/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_connect.c - CONNECT and DISCONNECT: rights, candidates, the question to the id's owner, the
 * answer to the client, and the connections that come of it.
 */
#include <string.h>

#include "net/tcp.h"
#include "server/gate_internal.h"
#include "server/gate_ticket.h"
#include "util/endpoint.h"

/* Lists of attempts. */

static struct bs_gate_attempts *list_of(struct bs_gate *g, const struct bs_gate_attempt *a)
{
	return a->sent ? &g->asked : &g->waiting;
}

static void list_append(struct bs_gate_attempts *l, struct bs_gate_attempt *a)
{
	a->later = NULL;
	a->earlier = l->last;
	if (l->last)
		l->last->later = a;
	else
		l->first = a;
	l->last = a;
}

static void list_remove(struct bs_gate_attempts *l, struct bs_gate_attempt *a)
{
	if (a->earlier)
		a->earlier->later = a->later;
	else
		l->first = a->later;
	if (a->later)
		a->later->earlier = a->earlier;
	else
		l->last = a->earlier;
}

/** From one list to the other. */
static void mark_sent(struct bs_gate *g, struct bs_gate_attempt *a)
{
	list_remove(&g->waiting, a);
	a->sent = true;
	list_append(&g->asked, a);
}

/** Take an attempt out of its session. */
static void orphan(struct bs_gate_attempt *a)
{
	struct bs_session *s = a->session;
	struct bs_gate_attempt **at;

	if (!s)
		return;
	for (at = &s->attempts; *at != a; at = &(*at)->next)
		;
	*at = a->next;
	s->n_attempts--;
	s->client->attempts--;
	a->session = NULL;
}

static void attempt_free(struct bs_gate *g, struct bs_gate_attempt *a)
{
	orphan(a);
	list_remove(list_of(g, a), a);
	bs_gate_map_remove(&g->handle_map, a->handle);
	bs_gate_pool_give(&g->attempts, a);
}

/** Answer every request that asked for the attempt with a failure. */
static void answer_failure(struct bs_gate *g, const struct bs_gate_attempt *a, uint16_t code,
			   const char *text)
{
	struct bs_gate_connect_answer m;
	struct bs_session *s = a->session;

	if (!s)
		return;
	memset(&m, 0, sizeof(m));
	m.h.cp = a->cp;
	m.status = bs__gate_status(code, text);
	memcpy(m.attempt, a->attempt, sizeof(m.attempt));
	if (code == BS_ST_RATE || code == BS_ST_REATTACHING) {
		m.params.has = BS_PARAM_BIT(BS_PARAM_RETRY_AFTER);
		m.params.retry_after_ms = 1000;
	}
	for (size_t i = 0; i < a->n_seq; i++) {
		m.h.seq = a->seq[i];
		bs__session_send_tx(s, bs_gate_connect_answer_encode(&m, g->tx, sizeof(g->tx)));
	}
}

void bs__gate_attempt_refuse(struct bs_gate_attempt *a, uint16_t status, const char *text)
{
	struct bs_gate *g = a->session->gate;
	bool was_sent = a->sent;

	/* Answering may end the session, which frees attempts that were not sent: not this one. */
	if (!was_sent)
		mark_sent(g, a);
	answer_failure(g, a, status, text);
	/* Once asked, the device may still say yes: the record stays to undo that. */
	if (was_sent)
		orphan(a);
	else
		attempt_free(g, a);
}

/** A failure before there is an attempt. */
static void refuse(struct bs_session *s, const struct bs_gate_connect *m, uint16_t code,
		   const char *text)
{
	struct bs_gate_attempt a;

	memset(&a, 0, sizeof(a));
	a.session = s;
	a.cp = m->h.cp;
	a.seq[0] = m->h.seq;
	a.n_seq = 1;
	memcpy(a.attempt, m->attempt, sizeof(a.attempt));
	answer_failure(s->gate, &a, code, text);
}

/**
 * May a device be told this endpoint?  Private ones, and what we saw ourselves: else a client could
 * aim devices at anybody.  Loopback only from a client that is on this machine itself.
 */
static bool candidate_ok(const struct bs_session *s, const struct bs_endpoint *ep)
{
	uint32_t ip4 = bs_endpoint_ip4(ep);
	uint32_t from4 = bs_endpoint_ip4(&s->peer);

	if (!bs_endpoint_is_set(ep))
		return false;
	for (int family = 0; family < 2; family++)
		for (int i = 0; i < BS_SEEN_N; i++)
			if (s->probe.seen[family][i].at != 0 &&
			    bs_endpoint_equal(&s->probe.seen[family][i].ep, ep))
				return true;
	if (!bs_endpoint_is_private(ep))
		return false;
	if (ip4 >> 24 == 127)
		return from4 >> 24 == 127;
	if (!bs_endpoint_is_ip4(ep) && (ep->ip[0] == 0)) /* ::1 */
		return memcmp(s->peer.ip, ep->ip, sizeof(ep->ip)) == 0;
	return true;
}

/** The part of the question that is known when the request comes. */
static void take_request(struct bs_gate_attempt *a, const struct bs_session *s,
			 const struct bs_gate_connect *m)
{
	const struct bs_conf *conf = s->gate->w->conf;
	struct bs_msg_connect *q = &a->ask;

	memcpy(a->attempt, m->attempt, sizeof(a->attempt));
	q->attempt = bs_get_u64(m->attempt);
	q->client_hash = s->client_hash;
	q->client_id_len = (uint8_t)strlen(s->who.identity);
	memcpy(q->client_id, s->who.identity, q->client_id_len);
	memcpy(q->fp, s->who.key_fp, sizeof(q->fp));
	memcpy(q->ca_fp, s->who.ca_fp, sizeof(q->ca_fp));
	q->ext = m->ext;
	q->has_pair = m->has_pair;
	memcpy(q->pair, m->pair, sizeof(q->pair));
	q->rtt_ms = s->ticket ? s->ticket->rtt_ms : bs_tcp_rtt_ms(s->fd);
	q->want_gw = (m->caps.bits & m->caps.mask & BS_CAP_GW_CLEAR_CLIENT) != 0;
	q->allow_plain = conf->allow_legacy && (m->caps.bits & m->caps.mask & BS_CAP_LEGACY_CLIENT);
	for (size_t i = 0; i < m->n_hosts; i++) {
		const struct bs_endpoint *ep = &m->hosts[i].ep;

		if (!candidate_ok(s, ep))
			continue;
		if (!bs_endpoint_is_ip4(ep)) {
			if (q->n_ep6 < BS_MSG_EP6_MAX)
				q->ep6[q->n_ep6++] = *ep;
		} else if (q->priv.port == 0) {
			q->priv = *ep;
		}
	}
}

/** The part that probes tell. */
static void take_observed(struct bs_gate_attempt *a)
{
	const struct bs_endpoint *ip4 = bs__gate_mapping(a->session, 0);
	const struct bs_endpoint *ip6 = bs__gate_mapping(a->session, 1);
	struct bs_msg_connect *q = &a->ask;
	bool known = false;

	if (ip4)
		q->global = *ip4;
	else if (ip6)
		q->global = *ip6;
	q->nat_mapping = bs__gate_nat(a->session).mapping;
	q->nat_filtering = bs__gate_nat(a->session).filtering;
	q->nat_type = q->nat_mapping >= BS_NAT_BY_ADDRESS ? 7 : 0;
	for (size_t i = 0; ip6 && i < q->n_ep6; i++)
		known = known || bs_endpoint_equal(&q->ep6[i], ip6);
	if (ip6 && !known && q->n_ep6 < BS_MSG_EP6_MAX)
		q->ep6[q->n_ep6++] = *ip6;
}

/** Ask the owner of the id. */
static void ask(struct bs_gate *g, struct bs_gate_attempt *a)
{
	struct bs_message m;

	take_observed(a);
	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_CONNECT;
	m.gate = (uint8_t)g->w->index;
	m.number = a->number;
	m.ref = a->handle;
	m.u.connect = a->ask;
	mark_sent(g, a);
	if (bs_worker_send(g->w, bs_worker_owner(g->w, a->number), &m) == BS_OK)
		return;
	/* To a worker of our own the result may be there already; a failed send leaves a alone. */
	answer_failure(g, a, BS_ST_RATE, "the server is busy");
	attempt_free(g, a);
}

/** The attempt that a session already has under way; NULL when there is none. */
static struct bs_gate_attempt *find_same(const struct bs_session *s, uint32_t number,
					 const uint8_t attempt[BS_ATTEMPT_LEN])
{
	for (struct bs_gate_attempt *a = s->attempts; a; a = a->next)
		if (a->number == number && memcmp(a->attempt, attempt, BS_ATTEMPT_LEN) == 0)
			return a;
	return NULL;
}

/** Ask the registry; the two ways to "no" cost the same and say the same. */
static bool may_reach(struct bs_session *s, struct bs_slice id, uint32_t *number)
{
	struct bs_gate *g = s->gate;
	const struct bs_presented who = bs__gate_presented(&s->who);
	struct bs_access_result r;
	int err = bs_access_check(g->w->reader, &who, id, &r);

	if (err != BS_OK)
		bs_count(g->w->counters, BS_C_registry_failed);
	if (err != BS_OK || !r.allow) {
		bs_count(g->w->counters, BS_C_gate_forbidden);
		return false;
	}
	*number = r.device_number;
	return true;
}

static struct bs_gate_attempt *attempt_new(struct bs_session *s, uint32_t number,
					   const struct bs_gate_connect *m)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_attempt *a = bs_gate_pool_take(&g->attempts);

	if (!a)
		return NULL;
	a->handle = g->next_handle++;
	if (bs_gate_map_put(&g->handle_map, a->handle, a) != BS_OK) {
		bs_gate_pool_give(&g->attempts, a);
		return NULL;
	}
	a->session = s;
	a->arrived = g->w->now;
	a->number = number;
	a->cp = m->h.cp;
	a->seq[a->n_seq++] = m->h.seq;
	take_request(a, s, m);
	a->next = s->attempts;
	s->attempts = a;
	s->n_attempts++;
	s->client->attempts++;
	list_append(&g->waiting, a);
	return a;
}

static void begin(struct bs_session *s, const struct bs_gate_connect *m)
{
	struct bs_gate *g = s->gate;
	const struct bs_conf *conf = g->w->conf;
	struct bs_gate_attempt *a;
	uint32_t number;

	if (!may_reach(s, m->device, &number)) {
		refuse(s, m, BS_ST_REFUSED, "refused by the basestation");
		return;
	}
	a = find_same(s, number, m->attempt);
	if (a) {
		/* Over UDP a request is repeated as it was, until it is answered. */
		if (s->ticket)
			return;
		if (a->n_seq < sizeof(a->seq) / sizeof(a->seq[0]))
			a->seq[a->n_seq++] = m->h.seq;
		else
			refuse(s, m, BS_ST_RATE, "this attempt was asked for too often");
		return;
	}
	if (bs__client_conns(s) + s->client->attempts >= conf->connections_per_client) {
		bs_count(g->w->counters, BS_C_gate_client_limit);
		refuse(s, m, BS_ST_BUSY, "too many open connections of this client");
		return;
	}
	a = s->n_attempts < BS_GATE_ATTEMPTS_PER_SESSION ? attempt_new(s, number, m) : NULL;
	if (!a) {
		bs_count(g->w->counters, BS_C_gate_table_full);
		refuse(s, m, BS_ST_RATE, "the server is full");
		return;
	}
	/* With a ticket the challenges have told what there is to know. */
	if (bs__gate_probe_done(s) || conf->probe_wait == 0 || s->ticket)
		ask(g, a);
}

void bs__gate_connect(struct bs_session *s, const struct bs_packet *p)
{
	struct bs_gate_connect m;
	int err = bs_gate_connect_decode(p, &m);

	if (err == BS_EPAYLOAD) {
		bs__gate_error(s, BS_ST_MALFORMED, "CONNECT: unknown payload");
		return;
	}
	if (err != BS_OK) {
		struct bs_payload pl;

		bs_count(s->gate->w->counters, BS_C_gate_bad_request);
		memset(&m, 0, sizeof(m));
		m.h.cp = p->h.nsi_cp;
		m.h.seq = p->h.seq;
		if (bs_payload_find(p, BS_PL_ATTEMPT, &pl) && pl.len == sizeof(m.attempt))
			memcpy(m.attempt, pl.data, sizeof(m.attempt));
		/* No id that could exist is malformed, so this tells nobody anything. */
		refuse(s, &m, BS_ST_MALFORMED, "CONNECT: a payload is missing or out of range");
		return;
	}
	begin(s, &m);
}

void bs__gate_connect_probed(struct bs_session *s)
{
	struct bs_gate_attempt *a = s->attempts;

	if (!bs__gate_probe_done(s))
		return;
	while (a) {
		struct bs_gate_attempt *next = a->next;

		if (!a->sent)
			ask(s->gate, a);
		/* The question may have ended the session (it could not send): its list is gone. */
		if (s->state != BS_SESSION_OPEN)
			return;
		a = next;
	}
}

void bs__gate_connect_tick(struct bs_gate *g, bs_time now)
{
	const struct bs_conf *conf = g->w->conf;
	struct bs_gate_attempt *a;

	while ((a = g->waiting.first) &&
	       BS_TIME_DIFF(now, a->arrived) >= (bs_time_diff)conf->probe_wait)
		ask(g, a);
	while ((a = g->asked.first) &&
	       BS_TIME_DIFF(now, a->arrived) >= (bs_time_diff)conf->connect_timeout) {
		/* The holder answers first unless its message was lost. */
		answer_failure(g, a, BS_ST_NOT_ATTACHED, "the device did not answer in time");
		attempt_free(g, a);
	}
}

/* Results and connections. */

static void send_disconnect(struct bs_gate *g, uint32_t nsi, uint64_t ref, uint16_t status,
			    uint8_t path)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_DISCONNECT;
	m.gate = (uint8_t)g->w->index;
	m.ref = ref;
	m.u.conn.nsi = nsi;
	m.u.conn.status = status;
	m.u.conn.tell_device = true;
	m.u.conn.path = path;
	/* Lost when the holder is behind (counted there): the connection ends by its own limit. */
	(void)bs_worker_send(g->w, bs_worker_of_nsi(g->w, nsi), &m);
}

static int conn_new(struct bs_session *s, uint32_t nsi, const struct bs_gate_attempt *a)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_conn *c = bs_gate_pool_take(&g->conns);

	if (!c)
		return BS_EFULL;
	if (bs_gate_map_put(&g->conn_map, nsi, c) != BS_OK) {
		bs_gate_pool_give(&g->conns, c);
		return BS_EFULL;
	}
	c->session = s;
	c->nsi = nsi;
	c->number = a->number;
	c->ref = a->handle;
	c->next = s->conns;
	s->conns = c;
	bs__client_count(s, 1);
	bs_count_set(g->w->counters, BS_C_gate_connections, g->conns.used);
	return BS_OK;
}

/** Forget a connection; a ghost without any goes with the last. */
static void conn_free(struct bs_gate_conn *c)
{
	struct bs_session *s = c->session;
	struct bs_gate *g = s->gate;
	struct bs_gate_conn **at;

	for (at = &s->conns; *at != c; at = &(*at)->next)
		;
	*at = c->next;
	bs__client_count(s, -1);
	bs_gate_map_remove(&g->conn_map, c->nsi);
	bs_gate_pool_give(&g->conns, c);
	bs_count_set(g->w->counters, BS_C_gate_connections, g->conns.used);
	if (s->state == BS_SESSION_GHOST && !s->conns && !bs__channel_is_busy(s))
		bs__session_release(s);
}

void bs__gate_conns_forget(struct bs_session *s)
{
	bs__channel_quiet(s);
	if (!s->conns)
		bs__session_release(s);
	struct bs_gate_conn *c = s->conns;

	while (c) {
		struct bs_gate_conn *next = c->next;

		conn_free(c);
		c = next;
	}
}

/** EVENT with a status about one connection (or about the session, nsi 0). */
static void send_event(struct bs_session *s, uint32_t nsi, uint16_t status, const char *text)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_event m;

	memset(&m, 0, sizeof(m));
	m.h.cp = s->cp;
	m.h.sp = nsi;
	m.has_status = true;
	m.status = bs__gate_status(status, text);
	bs_count(g->w->counters, BS_C_gate_events);
	bs__session_send_tx(s, bs_gate_event_encode(&m, NULL, 0, g->tx, sizeof(g->tx)));
}

/** End a connection; path is how the client says it travelled, 0 = it did not say. */
static void end_connection(struct bs_gate_conn *c, uint16_t status, bool tell_client, uint8_t path)
{
	struct bs_session *s = c->session;
	struct bs_gate *g = s->gate;
	uint32_t nsi = c->nsi;
	uint64_t ref = c->ref;

	/* The session may go with its last record. */
	if (tell_client && bs__session_hears(s))
		send_event(s, nsi, status, "the right to this device was withdrawn");
	/* First the record: a holder on this very worker answers before the call returns. */
	conn_free(c);
	send_disconnect(g, nsi, ref, status, path);
}

void bs__gate_conn_end(struct bs_gate_conn *c, uint16_t status, bool tell_client)
{
	end_connection(c, status, tell_client, 0);
}

/** A text for people where the status alone says too little. */
static const char *text_of(const struct bs_msg_connect_result *r)
{
	switch (r->reason) {
	case BS_CR_OFFLINE: return "the device is not attached";
	case BS_CR_SILENT: return "the device did not answer in time";
	case BS_CR_LIMIT: return "the device has no connection to spare";
	case BS_CR_TABLE: return "the server is full";
	case BS_CR_REPEATED: return "this attempt was answered before: use a new one";
	case BS_CR_INTERNAL: return "internal error";
	case BS_CR_REPLACED: return "the device attached anew";
	default: break;
	}
	switch (r->status) {
	case BS_ST_REFUSED_DEVICE: return "refused by the device";
	case BS_ST_NOT_ATTACHED: return "the device is not attached";
	case BS_ST_BUSY: return "the device has no connection to spare";
	case BS_ST_ENCRYPTION: return "the device wants another kind of encryption";
	case BS_ST_REATTACHING: return "the device is attaching again";
	case BS_ST_CAPABILITY: return "the device cannot take a pairing secret into the key";
	case BS_ST_KEY_ID: return "the device does not know this pairing: pair again";
	default: return "";
	}
}

static void add_ep(struct bs_gate_connect_answer *m, const struct bs_endpoint *ep, uint8_t kind)
{
	if (bs_endpoint_is_set(ep) && m->n_eps < BS_GATE_EPS_MAX)
		m->eps[m->n_eps++] = (struct bs_ep6){ .ep = *ep, .kind = kind };
}

/** Where the client binds its leg: the attach port, in each family it can be told of. */
static void add_relays(struct bs_gate_connect_answer *m, const struct bs_session *s)
{
	const struct bs_worker *w = s->gate->w;
	bool ip4 = bs_endpoint_is_ip4(&s->local);
	struct bs_endpoint ep = bs_worker_public(w, BS_SOCKET_ATTACH, &s->local);
	struct bs_endpoint other = ip4 ? w->conf->public_address6 : w->conf->public_address;

	add_ep(m, &ep, BS_EP6_RELAY);
	other.port = 1;
	if (!bs_endpoint_is_set(&other) || bs_endpoint_is_ip4(&other) == ip4)
		return;
	ep = bs_worker_public(w, BS_SOCKET_ATTACH, &other);
	add_ep(m, &ep, BS_EP6_RELAY);
}

/** What the two measurements mean for the client's search. */
static void advise(struct bs_gate_connect_answer *m)
{
	bool client = m->nat.mapping >= BS_NAT_BY_ADDRESS;
	bool device = (m->ipx.flags & BS_IPX_NAT_MASK) == BS_IPX_NAT_SYMMETRIC;

	m->params.has |= BS_PARAM_BIT(BS_PARAM_TACTICS);
	m->params.tactics = client && device ? BS_TACTIC_RELAY
			    : client         ? BS_TACTIC_SOCKETS
			    : device         ? BS_TACTIC_GUESS
					     : 0;
}

static void fill_answer(struct bs_gate_connect_answer *m, const struct bs_session *s,
			const struct bs_msg_connect_result *r)
{
	m->h.sp = r->nsi;
	m->status = bs__gate_status(BS_ST_OK, "");
	m->ipx.priv = r->priv;
	m->ipx.global = r->global;
	m->ipx.flags = (uint8_t)((r->nat_type & BS_IPX_NAT_MASK) | BS_IPX_ASYNC);
	m->ipx.has_nsi = m->ipx.has_full = true;
	m->ipx.nsi_sp = r->nsi;
	m->ipx.nsi_cp = r->nsi_cp;
	m->key.suite = r->suite;
	m->key.has_key = r->suite != BS_SUITE_NULL;
	if (m->key.has_key)
		m->key.key = r->block;
	m->nat = bs__gate_nat(s);
	advise(m);
	for (size_t i = 0; i < r->n_ep6 && i < BS_MSG_EP6_MAX; i++)
		add_ep(m, &r->ep6[i], BS_EP6_HOST);
	add_ep(m, &r->global, BS_EP6_OBSERVED);
	if (r->relay)
		add_relays(m, s);
	m->has_ext = true;
	m->ext.bits = r->ext;
}

/** GW for the client: the relay is on the address that it reached us on. */
static void fill_gw(struct bs_gate_connect_answer *m, const struct bs_session *s,
		    const struct bs_msg_connect_result *r, struct bs_writer *w, uint8_t *buf,
		    size_t cap)
{
	const struct bs_endpoint *told = &s->gate->w->conf->public_address;
	struct bs_gw gw;

	memcpy(m->ipx.nsi_co, r->nsi_co, sizeof(m->ipx.nsi_co));
	memset(&gw, 0, sizeof(gw));
	/* Without an IPv4 address the client takes the host that it has a session with. */
	if (bs_endpoint_is_ip4(told) && bs_endpoint_ip4(told) != 0)
		gw.ep = *told;
	else if (bs_endpoint_is_ip4(&s->local))
		gw.ep = s->local;
	gw.ep.port = r->gw_port;
	gw.nsi = r->nsi;
	memcpy(gw.id, r->gw_id, sizeof(gw.id));
	bs_writer_init(w, buf, cap);
	bs_gw_put(w, &gw);
	m->gw.ptr = buf + BS_GW_PAYLOAD_LEN - BS_GW_DATA_LEN;
	m->gw.len = w->bad ? 0 : BS_GW_DATA_LEN;
	bs_wipe(&gw, sizeof(gw));
}

/** The good answer; every request for the attempt gets it. */
static void answer_success(struct bs_gate *g, const struct bs_gate_attempt *a,
			   const struct bs_msg_connect_result *r)
{
	struct bs_session *s = a->session;
	struct bs_gate_connect_answer m;
	uint8_t gw[BS_GW_PAYLOAD_LEN];
	struct bs_writer w;

	memset(&m, 0, sizeof(m));
	m.h.cp = a->cp;
	memcpy(m.attempt, a->attempt, sizeof(m.attempt));
	fill_answer(&m, s, r);
	if (r->has_gw)
		fill_gw(&m, s, r, &w, gw, sizeof(gw));
	/* The payload is always there; without a relay it is a key to nothing. */
	memcpy(m.relay_key, r->relay_key, sizeof(m.relay_key));
	if (!r->relay &&
	    g->w->crypto->random(g->w->crypto->ctx, m.relay_key, sizeof(m.relay_key)) != BS_OK) {
		bs_count(g->w->counters, BS_C_crypto_failed);
		send_disconnect(g, r->nsi, a->handle, BS_ST_ERROR, 0);
		answer_failure(g, a, BS_ST_ERROR, "no random numbers");
	} else if (conn_new(s, r->nsi, a) != BS_OK) {
		bs_count(g->w->counters, BS_C_gate_table_full);
		send_disconnect(g, r->nsi, a->handle, BS_ST_RATE, 0);
		answer_failure(g, a, BS_ST_RATE, "the server is full");
	} else {
		for (size_t i = 0; i < a->n_seq; i++) {
			m.h.seq = a->seq[i];
			bs__session_send_tx(
				s, bs_gate_connect_answer_encode(&m, g->tx, sizeof(g->tx)));
		}
	}
	bs_wipe(gw, sizeof(gw));
	bs_wipe(&m, sizeof(m));
}

static void log_result(const struct bs_gate_attempt *a, const struct bs_msg_connect_result *r)
{
	char attempt[2 * BS_ATTEMPT_LEN + 1];
	const char *hex = "0123456789abcdef";

	if (!bs_log_enabled(BS_LOG_INFO))
		return;
	for (size_t i = 0; i < BS_ATTEMPT_LEN; i++) {
		attempt[2 * i] = hex[a->attempt[i] >> 4];
		attempt[2 * i + 1] = hex[a->attempt[i] & 15];
	}
	attempt[sizeof(attempt) - 1] = '\0';
	bs_log_pairs(
		BS_LOG_INFO,
		BS_LOG_PAIRS(BS_LOG_STR("attempt", attempt),
			     BS_LOG_STR("client", a->session ? a->session->who.identity : "gone"),
			     BS_LOG_U64("device", a->number), BS_LOG_U64("status", r->status)),
		"gate, connect answered");
}

void bs__gate_connect_result(struct bs_gate *g, struct bs_message *m)
{
	struct bs_gate_attempt *a = bs_gate_map_get(&g->handle_map, m->ref);
	struct bs_msg_connect_result *r = &m->u.result;

	if (a)
		log_result(a, r);
	if (!a || !a->session) {
		/* Nobody waits any more: what was opened is closed again. */
		if (r->status == BS_ST_OK) {
			bs_count(g->w->counters, BS_C_gate_late_result);
			send_disconnect(g, r->nsi, m->ref, BS_ST_ABORTED, 0);
		}
	} else if (r->status == BS_ST_OK) {
		answer_success(g, a, r);
	} else {
		answer_failure(g, a, r->status, text_of(r));
	}
	bs_wipe(&r->block, sizeof(r->block));
	bs_wipe(r->gw_id, sizeof(r->gw_id));
	if (a)
		attempt_free(g, a);
}

void bs__gate_conn_closed(struct bs_gate *g, const struct bs_message *m)
{
	struct bs_gate_conn *c = bs_gate_map_get(&g->conn_map, m->u.conn.nsi);
	struct bs_session *s = c ? c->session : NULL;

	/* A number may be in use again: the holder speaks of the connection it was asked for. */
	if (!c || c->ref != m->ref)
		return;
	if (bs__session_hears(s) && m->u.conn.status != 0)
		send_event(s, m->u.conn.nsi, m->u.conn.status, "the connection was closed");
	conn_free(c);
}

void bs__gate_conn_relay(struct bs_gate *g, const struct bs_message *m)
{
	static const char *const text[] = {
		[0] = "no relay for this connection",
		[BS_RR_FULL] = "the relay is full",
		[BS_RR_MONTH] = "the relay volume of this month is used up",
		[BS_RR_AGE] = "this connection was relayed for as long as is allowed",
	};
	struct bs_gate_conn *c = bs_gate_map_get(&g->conn_map, m->u.conn.nsi);
	uint8_t why = m->u.conn.reason;

	if (!c || c->ref != m->ref || !bs__session_hears(c->session))
		return;
	send_event(c->session, c->nsi, BS_ST_RELAY_FULL,
		   text[why < sizeof(text) / sizeof(text[0]) ? why : 0]);
}

void bs__gate_disconnect(struct bs_session *s, const struct bs_packet *p)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_disconnect m;
	struct bs_gate_conn *c;
	int err = bs_gate_disconnect_decode(p, &m);

	if (err != BS_OK) {
		bs__gate_error(s, BS_ST_MALFORMED, "DISCONNECT: unknown payload");
		return;
	}
	c = bs_gate_map_get(&g->conn_map, m.h.sp);
	/* Another session of the same client may end it: the first one may be dead. */
	if (c && c->session->client_hash == s->client_hash) {
		end_connection(c, BS_ST_CLOSED, false, m.params.path);
		m.status = bs__gate_status(BS_ST_OK, "");
	} else {
		m.status = bs__gate_status(BS_ST_CLOSED, "no such connection");
	}
	bs__session_send_tx(s, bs_gate_disconnect_encode(&m, g->tx, sizeof(g->tx)));
}

void bs__gate_connect_session_end(struct bs_session *s)
{
	struct bs_gate *g = s->gate;

	while (s->attempts) {
		struct bs_gate_attempt *a = s->attempts;

		if (a->sent)
			orphan(a);
		else
			attempt_free(g, a);
	}
	for (struct bs_gate_conn *c = s->conns, *next; c; c = next) {
		struct bs_message m;

		next = c->next;
		memset(&m, 0, sizeof(m));
		m.kind = BS_MSG_SESSION_GONE;
		m.gate = (uint8_t)g->w->index;
		m.number = c->number;
		m.ref = c->ref;
		m.u.conn.nsi = c->nsi;
		(void)bs_worker_send(g->w, bs_worker_of_nsi(g->w, c->nsi), &m);
	}
}
