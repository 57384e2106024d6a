/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_request.c - which request goes where; HELLO, PING, and what is said about bad packets.
 */
#include <string.h>

#include "server/gate_internal.h"
#include "util/endpoint.h"

/** Shortest keepalive that is agreed on; a client that asks for less would only cost itself. */
#define KEEPALIVE_MIN_S 5u
/** Come back after this, for a client over its rate, ms. */
#define RETRY_AFTER_MS 1000u
/** Capability bits of the basestation as a peer of clients. */
#define CAPS (BS_CAP_DIRECT | BS_CAP_UDP | BS_CAP_TAGS | BS_CAP_ASYNC | BS_CAP_FINGERPRINT)

struct bs_status_text bs__gate_status(uint16_t code, const char *text)
{
	return (struct bs_status_text){ code, { (const uint8_t *)text, text ? strlen(text) : 0 } };
}

struct bs_presented bs__gate_presented(const struct bs_tls_peer *who)
{
	const size_t len = strlen(who->identity);

	return (struct bs_presented){
		.identity = { len > 0 ? (const uint8_t *)who->identity : NULL, len },
		.ca_fp = who->ca_fp,
		.serial = { who->serial, who->serial_len },
		.key_fp = who->key_fp,
	};
}

int bs__gate_check_peer(void *ctx, struct bs_tls_peer *peer)
{
	struct bs_gate *g = ctx;
	const struct bs_presented who = bs__gate_presented(peer);
	enum bs_revoke_kind by = BS_REVOKE_NONE;
	struct bs_client client;
	int err = bs_registry_revoked(g->w->reader, &who, &by);

	peer->access_epoch = bs_registry_epochs(g->w->registry).access;
	if (err != BS_OK) {
		bs_count(g->w->counters, BS_C_registry_failed);
		return BS_EPERM;
	}
	if (by != BS_REVOKE_NONE)
		return BS_EPERM;
	if (!who.identity.ptr)
		return BS_OK;
	/* No record is no refusal: rules may name the identity or its key. */
	err = bs_registry_client(g->w->reader, &who, &client);
	if (err == BS_OK)
		return client.state == BS_RECORD_ENABLED ? BS_OK : BS_EPERM;
	return err == BS_ENOENT ? BS_OK : BS_EPERM;
}

void bs__gate_error(struct bs_session *s, uint16_t code, const char *text)
{
	struct bs_gate_error m;

	memset(&m, 0, sizeof(m));
	m.h.cp = s->cp;
	m.status = bs__gate_status(code, text);
	if (code == BS_ST_RATE) {
		m.params.has = BS_PARAM_BIT(BS_PARAM_RETRY_AFTER);
		m.params.retry_after_ms = RETRY_AFTER_MS;
	}
	if (code == BS_ST_MALFORMED || code == BS_ST_VERSION)
		bs_count(s->gate->w->counters, BS_C_gate_malformed);
	bs__session_send_tx(s, bs_gate_error_encode(&m, s->gate->tx, sizeof(s->gate->tx)));
	bs__session_close(s);
}

/** Answer a request with a status and nothing else (ATTEMPT is echoed where there is one). */
static void refuse(struct bs_session *s, const struct bs_packet *p, uint16_t code, const char *text)
{
	struct bs_gate *g = s->gate;
	struct bs_header h = { .nsi_cp = p->h.nsi_cp,
			       .nsi_sp = p->h.type == BS_TYPE_DISCONNECT ? p->h.nsi_sp : 0,
			       .type = p->h.type,
			       .version = BS_WIRE_VERSION,
			       .flags = BS_FLAG_RESPONSE,
			       .seq = p->h.seq };
	struct bs_status_text st = bs__gate_status(code, text);
	struct bs_payload pl;
	struct bs_writer w;

	bs_packet_begin(&w, g->tx, sizeof(g->tx), &h);
	bs_status_put(&w, &st);
	if (p->h.type == BS_TYPE_CONNECT && bs_payload_find(p, BS_PL_ATTEMPT, &pl) &&
	    pl.len == BS_ATTEMPT_LEN)
		bs_packet_add(&w, BS_PL_ATTEMPT, 0, pl.data, pl.len);
	if (code == BS_ST_RATE && (p->h.type == BS_TYPE_CONNECT || p->h.type == BS_TYPE_HELLO)) {
		struct bs_params retry = { .has = BS_PARAM_BIT(BS_PARAM_RETRY_AFTER),
					   .retry_after_ms = RETRY_AFTER_MS };

		bs_params_put(&w, &retry);
	}
	bs__session_send_tx(s, bs_packet_finish(&w));
}

/** The two ports of one family, as far as a client can be told about them. */
static void add_probes(const struct bs_session *s, const struct bs_endpoint *local,
		       struct bs_gate_hello_answer *a)
{
	static const enum bs_socket_role roles[] = { BS_SOCKET_CONTROLLER, BS_SOCKET_ATTACH };

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		struct bs_endpoint ep = bs_worker_public(s->gate->w, roles[i], local);

		if (!bs_endpoint_is_set(&ep) || a->n_probes == BS_GATE_PROBES_MAX)
			continue;
		/* One port for both roles: naming it twice would look like two answers. */
		if (a->n_probes > 0 && bs_endpoint_equal(&a->probes[a->n_probes - 1], &ep))
			continue;
		a->probes[a->n_probes++] = ep;
	}
}

/** Where the client shall probe: the family it came by, and the other one where conf names it. */
static void list_probes(const struct bs_session *s, struct bs_gate_hello_answer *a)
{
	const struct bs_conf *conf = s->gate->w->conf;
	bool ip4 = bs_endpoint_is_ip4(&s->local);
	struct bs_endpoint other = ip4 ? conf->public_address6 : conf->public_address;

	add_probes(s, &s->local, a);
	other.port = 1;
	if (bs_endpoint_is_set(&other) && bs_endpoint_is_ip4(&other) != ip4)
		add_probes(s, &other, a);
}

static uint16_t agree_keepalive(const struct bs_session *s, const struct bs_params *p)
{
	uint64_t most = s->gate->w->conf->client_keepalive / BS_TIME_MS(1000);
	uint64_t asked = p->has & BS_PARAM_BIT(BS_PARAM_KEEPALIVE) ? p->keepalive_s : most;

	if (asked < KEEPALIVE_MIN_S)
		asked = KEEPALIVE_MIN_S;
	if (asked > most)
		asked = most;
	return (uint16_t)(asked > UINT16_MAX ? UINT16_MAX : asked < 1 ? 1 : asked);
}

/** The number that probes carry; 0 when none is to be had. */
static uint32_t probe_nsi(struct bs_session *s)
{
	struct bs_gate *g = s->gate;
	uint32_t nsi;

	if (s->probe.nsi)
		return s->probe.nsi;
	nsi = bs_worker_probe_nsi_take(g->w);
	if (nsi && bs_gate_map_put(&g->probe_map, nsi, s) != BS_OK) {
		bs_worker_probe_nsi_give(g->w, nsi);
		nsi = 0;
	}
	s->probe.nsi = nsi;
	return nsi;
}

static void answer_hello(struct bs_session *s, const struct bs_gate_hello *m)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_hello_answer a;

	/* Here, as most handshakes of a flood come to no HELLO. */
	bs__session_learn_local(s);
	memset(&a, 0, sizeof(a));
	a.h = m->h;
	a.h.sp = s->probe.nsi;
	a.status = bs__gate_status(BS_ST_OK, "");
	memcpy(a.token, s->probe.token, sizeof(a.token));
	a.observed = s->peer;
	list_probes(s, &a);
	a.node.port = g->shared->port;
	a.node.host = (struct bs_slice){ (const uint8_t *)g->node, strlen(g->node) };
	a.caps.bits = a.caps.mask = CAPS;
	a.params.has = BS_PARAM_BIT(BS_PARAM_KEEPALIVE) | BS_PARAM_BIT(BS_PARAM_SERVER_TIME) |
		       BS_PARAM_BIT(BS_PARAM_PACKET_MAX) | BS_PARAM_BIT(BS_PARAM_VERSIONS);
	a.params.keepalive_s = agree_keepalive(s, &m->params);
	a.params.server_time_ms = g->w->unix_ms;
	a.params.packet_max = BS_GATE_PACKET_MAX;
	a.params.version_min = a.params.version_max = BS_GATE_VERSION;
	if (g->w->conf->connect_ticket_lifetime > 0) {
		a.params.has |= BS_PARAM_BIT(BS_PARAM_TICKET_LIFE);
		a.params.ticket_life_s =
			(uint32_t)(g->w->conf->connect_ticket_lifetime / BS_TIME_MS(1000));
	}
	s->keepalive = BS_TIME_MS(1000) * a.params.keepalive_s;
	s->state = BS_SESSION_OPEN;
	bs__session_send_tx(s, bs_gate_hello_answer_encode(&a, g->tx, sizeof(g->tx)));
	bs_wipe(&a, sizeof(a));
}

static void hello(struct bs_session *s, const struct bs_packet *p)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_hello m;
	int err = bs_gate_hello_decode(p, &m);

	if (err == BS_EPAYLOAD) {
		bs__gate_error(s, BS_ST_MALFORMED, "HELLO: unknown payload");
	} else if (err != BS_OK) {
		bs_count(g->w->counters, BS_C_gate_bad_request);
		refuse(s, p, BS_ST_MALFORMED, "HELLO: a payload is missing or out of range");
	} else if (m.params.version_min > BS_GATE_VERSION ||
		   m.params.version_max < BS_GATE_VERSION) {
		refuse(s, p, BS_ST_VERSION, "no common version of the client protocol");
	} else if (g->draining) {
		refuse(s, p, BS_ST_DRAINING, "the server is about to stop");
	} else if (probe_nsi(s) == 0) {
		refuse(s, p, BS_ST_RATE, "the server is full");
	} else if (bs__gate_token_new(s) != BS_OK) {
		bs_count(g->w->counters, BS_C_crypto_failed);
		refuse(s, p, BS_ST_ERROR, "no random numbers");
	} else {
		s->cp = m.h.cp;
		answer_hello(s, &m);
	}
}

static void ping(struct bs_session *s, const struct bs_packet *p)
{
	struct bs_gate_head h;

	if (bs_gate_bare_decode(p, BS_TYPE_PING, &h) != BS_OK) {
		bs__gate_error(s, BS_ST_MALFORMED, "PING: unknown payload");
		return;
	}
	bs__gate_token_renew(s);
	bs__session_send_tx(s, bs_gate_ping_encode(&h, true, s->gate->tx, sizeof(s->gate->tx)));
}

static void ticket(struct bs_session *s, const struct bs_packet *p)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_ticket_answer a;
	uint8_t bytes[BS_GATE_TICKET_MAX];
	int err;

	memset(&a, 0, sizeof(a));
	if (bs_gate_bare_decode(p, BS_TYPE_TICKET, &a.h) != BS_OK) {
		bs__gate_error(s, BS_ST_MALFORMED, "TICKET: unknown payload");
		return;
	}
	a.h.sp = 0;
	err = bs__gate_ticket_make(s, &a, bytes);
	if (err == BS_OK)
		bs__session_send_tx(s, bs_gate_ticket_answer_encode(&a, g->tx, sizeof(g->tx)));
	else if (err == BS_EAUTH)
		bs__gate_error(s, BS_ST_CLIENT_CERT, "client or certificate revoked");
	else
		refuse(s, p, BS_ST_CANNOT_ANSWER, "connect tickets are not offered");
	bs_wipe(&a, sizeof(a));
}

static void client_error(struct bs_session *s, const struct bs_packet *p)
{
	bs_log_debug("gate, session %u ended by its client", s->index);
	bs__session_close(s);
}

struct request {
	uint8_t type;
	uint8_t cost;
	bool before_hello;
	void (*run)(struct bs_session *s, const struct bs_packet *p);
};

static const struct request requests[] = {
	{ BS_TYPE_HELLO, BS_GATE_COST_LOOKUP, true, hello },
	{ BS_TYPE_CONNECT, BS_GATE_COST_LOOKUP, false, bs__gate_connect },
	{ BS_TYPE_DISCONNECT, BS_GATE_COST, false, bs__gate_disconnect },
	{ BS_TYPE_WATCH, BS_GATE_COST_LIST, false, bs__gate_watch },
	{ BS_TYPE_LIST, BS_GATE_COST_LIST, false, bs__gate_list },
	{ BS_TYPE_TICKET, BS_GATE_COST_LOOKUP, false, ticket },
	{ BS_TYPE_ERROR, 0, true, client_error },
	{ BS_TYPE_PING, BS_GATE_COST, false, ping },
};

static const struct request *find_request(const struct bs_packet *p)
{
	if (p->h.flags != 0)
		return NULL;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].type == p->h.type)
			return &requests[i];
	return NULL;
}

/** Take the cost of a request from the session's bucket. */
static bool afford(struct bs_session *s, uint32_t cost)
{
	bs_time now = s->gate->w->now;
	uint64_t ms = (uint64_t)BS_TIME_DIFF_MS(BS_TIME_DIFF(now, s->tokens_at));
	uint64_t tokens = s->tokens + ms * BS_GATE_REFILL / 1000;

	/* The stamp moves only when a whole token was gained, or nothing would ever come in. */
	if (tokens > s->tokens)
		s->tokens_at = now;
	s->tokens = tokens > BS_GATE_BUCKET ? BS_GATE_BUCKET : (uint32_t)tokens;
	if (s->tokens < cost)
		return false;
	s->tokens -= cost;
	return true;
}

void bs__gate_packet(struct bs_session *s, const uint8_t *buf, size_t len)
{
	const struct request *r;
	struct bs_packet p;
	int err = bs_packet_decode(buf, len, &p);

	if (err != BS_OK) {
		bs__gate_error(s, BS_ST_MALFORMED,
			       err == BS_EPAYLOAD ? "payload list is not well formed"
						  : "bad packet header");
		return;
	}
	if (s->state == BS_SESSION_HELLO && p.h.type == BS_TYPE_GW_CONN_U) {
		bs__gate_leg_start(s, &p);
		return;
	}
	r = find_request(&p);
	if (!r) {
		bs__gate_error(s, BS_ST_MALFORMED, "packet of this type not expected");
		return;
	}
	if (s->state == BS_SESSION_HELLO && !r->before_hello) {
		bs__gate_error(s, BS_ST_MALFORMED, "HELLO must come first");
		return;
	}
	bs_count(s->gate->w->counters, BS_C_gate_requests);
	if (afford(s, r->cost)) {
		r->run(s, &p);
		return;
	}
	bs_count(s->gate->w->counters, BS_C_gate_limited);
	/* PING has no status to answer with, and a flood of it has no excuse. */
	if (r->type == BS_TYPE_PING)
		bs__gate_error(s, BS_ST_RATE, "too many requests");
	else
		refuse(s, &p, BS_ST_RATE, "too many requests");
}
