/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_ticket.c - what a connect ticket says, whether it still counts, and packets under one.
 *
 * The order of the tests is the order of their cost, and nothing is answered before the packet has
 * proved to come from a holder of a ticket: strangers hear nothing.  A challenge comes before
 * anything else that an answer could tell, and a table takes nothing before it came back.
 */
#include "server/gate_ticket.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/gcm.h"
#include "util/endpoint.h"

/** Packets remembered per span, and buckets of the two limiters. */
#define FILTER_CAP      262144u
#define LIMITER_BUCKETS 4096u
/** Packets of one client per second: a connection takes about five, its end included. */
#define CLIENT_RATE 100u
/** Sessions of one client that came by ticket, on one worker. */
#define CLIENT_SESSIONS 64u
/** A stamp is good for so long; one of a packet without a challenge may be as far ahead. */
#define STAMP_LIFE_MS 30000u
/** A challenge is good for so long.  Packets are remembered a little longer, so none comes twice
 *  whatever the wall clock does. */
#define CHALLENGE_LIFE_MS 60000u
#define FILTER_SPAN_MS    (CHALLENGE_LIFE_MS + 1000u)
/** A challenge that came back sooner than this was not kept: its age is a round trip. */
#define RTT_MAX_MS 1000u
/** Which port a challenge was sent from. */
enum {
	PORT_ATTACH = 0,
	PORT_CONTROLLER = 1,
};

/** A packet on its way in. */
struct request {
	const struct bs_endpoint *from;
	const struct bs_endpoint *local;
	unsigned socket;
	struct bs_sealed sealed;
	struct bs_ticket_grant grant;
	struct bs_tls_peer who;
	struct bs_packet inner;
	struct bs_ticket_seen seen[2];
	size_t n_seen;
};

/* Keys. */

/** A key rules for one lifetime of tickets and opens for another. */
static uint32_t key_number(const struct bs_gate *g)
{
	uint64_t life_s = g->w->conf->connect_ticket_lifetime / BS_TIME_MS(1000);

	return life_s > 0 ? (uint32_t)(g->w->unix_ms / 1000 / life_s) : 0;
}

static const uint8_t *key_of(struct bs_gate *g, uint32_t number)
{
	struct bs_gate_tickets *t = g->tickets;
	struct bs_ticket_key *k = &t->key[number & 1u];
	uint8_t bytes[4];
	const struct bs_slice msg = { bytes, sizeof(bytes) };
	const struct bs_crypto *c = t->cipher.crypto;

	if (k->known && k->number == number)
		return k->key;
	bs_put_u32(bytes, number);
	k->known = c->hmac_sha256(c->ctx, t->base, sizeof(t->base), &msg, 1, k->key) == BS_OK;
	k->number = number;
	return k->known ? k->key : NULL;
}

/* Issue. */

/** Generation of the client's record, 0 without one.  BS_OK, or why it may not come in. */
static int generation_of(struct bs_gate *g, const struct bs_tls_peer *peer, uint32_t *generation)
{
	const struct bs_presented who = bs__gate_presented(peer);
	struct bs_client client;
	int err = bs_registry_client(g->w->reader, &who, &client);

	*generation = err == BS_OK ? client.generation : 0;
	return err == BS_ENOENT ? BS_OK : err;
}

static int fill_grant(struct bs_session *s, uint32_t life_s, struct bs_ticket_grant *gr)
{
	struct bs_gate *g = s->gate;
	const struct bs_crypto *c = g->w->crypto;
	const struct bs_tls_peer *who = &s->who;
	/* First the epochs: a change between them and the look at the rights makes the ticket old,
	 * never a revoked client's ticket new. */
	const struct bs_epochs epochs = bs_registry_epochs(g->w->registry);
	const uint64_t now_s = g->w->unix_ms / 1000;
	int err = bs__gate_still_good(s);

	if (err == BS_OK)
		err = generation_of(g, who, &gr->generation);
	if (err != BS_OK)
		return err;
	memcpy(gr->identity, who->identity, sizeof(gr->identity));
	gr->direct = who->direct;
	memcpy(gr->key_fp, who->key_fp, sizeof(gr->key_fp));
	memcpy(gr->ca_fp, who->ca_fp, sizeof(gr->ca_fp));
	memcpy(gr->issuer_hash, who->issuer_hash, sizeof(gr->issuer_hash));
	memcpy(gr->serial, who->serial, sizeof(gr->serial));
	gr->serial_len = who->serial_len;
	gr->not_after_s = who->not_after_s;
	gr->expires_s = now_s + life_s;
	gr->access_epoch = epochs.access;
	gr->crl_epoch = epochs.crl;
	memcpy(gr->ca_mark, bs_tls_pem_epoch(g->pem), sizeof(gr->ca_mark));
	return c->random(c->ctx, gr->secret, sizeof(gr->secret));
}

/** Where packets under the ticket go: the family that the client came by, attach port first. */
static void list_ports(const struct bs_session *s, struct bs_gate_ticket_answer *a)
{
	static const enum bs_socket_role roles[] = { BS_SOCKET_ATTACH, BS_SOCKET_CONTROLLER };

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		struct bs_endpoint ep = bs_worker_public(s->gate->w, roles[i], &s->local);

		if (bs_endpoint_is_set(&ep) &&
		    (a->n_eps == 0 || !bs_endpoint_equal(&a->eps[0], &ep)))
			a->eps[a->n_eps++] = ep;
	}
}

int bs__gate_ticket_make(struct bs_session *s, struct bs_gate_ticket_answer *a,
			 uint8_t ticket[BS_GATE_TICKET_MAX])
{
	struct bs_gate *g = s->gate;
	const uint64_t life_s = g->w->conf->connect_ticket_lifetime / BS_TIME_MS(1000);
	const uint32_t number = key_number(g);
	struct bs_ticket_grant gr;
	const uint8_t *key = g->tickets ? key_of(g, number) : NULL;
	int err;

	if (life_s == 0 || !key)
		return BS_EDRAIN;
	memset(&gr, 0, sizeof(gr));
	err = fill_grant(s, (uint32_t)life_s, &gr);
	if (err == BS_OK)
		err = bs_ticket_grant_seal(&g->tickets->cipher, key, number, &gr, ticket);
	a->status = bs__gate_status(BS_ST_OK, "");
	a->ticket = (struct bs_slice){ ticket, BS_TICKET_LEN };
	memcpy(a->token, gr.secret, sizeof(a->token));
	bs_wipe(&gr, sizeof(gr));
	a->params.has = BS_PARAM_BIT(BS_PARAM_SERVER_TIME) | BS_PARAM_BIT(BS_PARAM_TICKET_LIFE);
	a->params.server_time_ms = g->w->unix_ms;
	a->params.ticket_life_s = (uint32_t)life_s;
	list_ports(s, a);
	if (err == BS_OK)
		bs_count(g->w->counters, BS_C_ticket_issued);
	return err == BS_OK && a->n_eps == 0 ? BS_EDRAIN : err;
}

/* What a packet must pass. */

/** One counter per reason to drop a packet. */
static int drop(struct bs_gate *g, enum bs_counter why)
{
	bs_count(g->w->counters, why);
	return BS_EREFUSED;
}

/** The first bytes of the ticket's hash name the worker: whoever could choose them could have a
 *  packet taken once by each. */
static bool names_worker(const struct bs_sealed *sealed)
{
	uint8_t hash[BS_SHA256_LEN];

	return bs_gcm_sha256(sealed->ticket, hash) == BS_OK && bs_get_u32(hash) == sealed->h.sp;
}

/** Read the ticket. */
static int read_ticket(struct bs_gate *g, struct request *r)
{
	const uint32_t present = key_number(g);
	const uint8_t *key;
	uint32_t number;

	if (!bs_ticket_key_number(r->sealed.ticket, &number))
		return drop(g, BS_C_ticket_malformed);
	if (number != present && number + 1 != present)
		return drop(g, BS_C_ticket_expired);
	if (!names_worker(&r->sealed))
		return drop(g, BS_C_ticket_malformed);
	key = key_of(g, number);
	if (!key ||
	    bs_ticket_grant_open(&g->tickets->cipher, key, r->sealed.ticket, &r->grant) != BS_OK)
		return drop(g, BS_C_ticket_forged);
	return BS_OK;
}

/** Whether the stamp is good for a packet that opens something, or (asks) only for a challenge. */
static bool stamp_ok(const struct bs_gate *g, uint64_t stamp_ms, bool asks)
{
	const uint64_t now = g->w->unix_ms;
	const uint64_t ahead = asks ? STAMP_LIFE_MS : 0;

	if (stamp_ms > now + ahead || (stamp_ms < now && now - stamp_ms > STAMP_LIFE_MS))
		return false;
	return asks || stamp_ms >= g->tickets->start_ms;
}

/** The rate of one client, over all its tickets. */
static bool client_rate_ok(struct bs_gate *g, const struct request *r)
{
	uint8_t all[2 * BS_TICKET_HASH_LEN];
	const uint32_t now_ms = (uint32_t)(g->w->now / BS_TIME_MS(1));

	memcpy(all, r->grant.key_fp, BS_TICKET_HASH_LEN);
	memcpy(all + BS_TICKET_HASH_LEN, r->grant.ca_fp, BS_TICKET_HASH_LEN);
	return bs_limiter_take(&g->tickets->clients,
			       bs_siphash(g->probe_map.seed, all, sizeof(all)), now_ms);
}

/** Open the packet: from here on it is known to come from the ticket's holder. */
static int open_packet(struct bs_gate *g, struct request *r)
{
	struct bs_gate_tickets *t = g->tickets;
	const uint32_t now_ms = (uint32_t)(g->w->now / BS_TIME_MS(1));
	uint8_t id[4 + BS_SEALED_NONCE_LEN];
	int err;

	memcpy(id + 4, t->rx + r->sealed.nonce_off, BS_SEALED_NONCE_LEN);
	bs_put_u32(id, r->sealed.h.sp);
	err = bs_ticket_open(&t->cipher, r->grant.secret, &r->sealed, t->rx, &r->inner);
	if (err != BS_OK)
		return drop(g, err == BS_EMAC ? BS_C_ticket_forged : BS_C_ticket_malformed);
	if (!stamp_ok(g, r->sealed.stamp_ms, true))
		return drop(g, BS_C_ticket_stamp);
	/* Whoever repeats a client's packets must not use up its rate, nor a client the room of the
	 * others. */
	if (bs_ticket_filter_has(&t->filter, id, sizeof(id), now_ms))
		return drop(g, BS_C_ticket_repeated);
	if (!client_rate_ok(g, r) ||
	    bs_ticket_filter_take(&t->filter, id, sizeof(id), now_ms) != BS_OK)
		return drop(g, BS_C_ticket_limited);
	return BS_OK;
}

static void fill_who(struct request *r)
{
	const struct bs_ticket_grant *gr = &r->grant;

	memset(&r->who, 0, sizeof(r->who));
	memcpy(r->who.identity, gr->identity, sizeof(r->who.identity));
	memcpy(r->who.key_fp, gr->key_fp, sizeof(r->who.key_fp));
	memcpy(r->who.ca_fp, gr->ca_fp, sizeof(r->who.ca_fp));
	memcpy(r->who.issuer_hash, gr->issuer_hash, sizeof(r->who.issuer_hash));
	memcpy(r->who.serial, gr->serial, sizeof(r->who.serial));
	r->who.serial_len = gr->serial_len;
	r->who.direct = gr->direct;
	r->who.not_after_s = gr->not_after_s;
	r->who.access_epoch = gr->access_epoch;
	r->who.resumed = true;
}

/** Challenges that came back; true when one of them proves the packet's own source. */
static bool take_challenges(struct bs_gate *g, struct request *r)
{
	const uint64_t now_ms = g->w->now / BS_TIME_MS(1);
	const uint8_t *token;
	bool proved = false;
	size_t off = 0;

	while (r->n_seen < 2 && (token = bs_ticket_token_next(&r->inner, &off))) {
		struct bs_ticket_seen *seen = &r->seen[r->n_seen];

		if (bs_ticket_challenge_check(g->w->crypto, g->tickets->challenge_key,
					      r->sealed.h.sp, token, now_ms, CHALLENGE_LIFE_MS,
					      seen) != BS_OK)
			continue;
		proved = proved || bs_endpoint_equal(&seen->ep, r->from);
		r->n_seen++;
	}
	return proved;
}

/** Whether client, certificate and CAs are still what they were when the ticket was made; where
 *  nothing at all changed since, nothing is looked up. */
static int still_counts(struct bs_gate *g, struct request *r)
{
	const struct bs_ticket_grant *gr = &r->grant;
	const struct bs_epochs now = bs_registry_epochs(g->w->registry);
	const uint64_t now_s = g->w->unix_ms / 1000;
	uint32_t generation = 0;

	if (now_s >= gr->expires_s || now_s > gr->not_after_s)
		return drop(g, BS_C_ticket_expired);
	if (memcmp(gr->ca_mark, bs_tls_pem_epoch(g->pem), sizeof(gr->ca_mark)) != 0 &&
	    bs_tls_server_recheck(g->tls, &r->who) != BS_OK)
		return drop(g, BS_C_ticket_revoked);
	if (now.access == gr->access_epoch && now.crl == gr->crl_epoch)
		return BS_OK;
	/* Whoever was disabled and enabled again has had his tickets taken away. */
	if (bs__gate_check_peer(g, &r->who) != BS_OK ||
	    generation_of(g, &r->who, &generation) != BS_OK || generation != gr->generation)
		return drop(g, BS_C_ticket_revoked);
	return BS_OK;
}

/* Answers without a session. */

static void reply(struct bs_gate *g, const struct request *r, bs_ssize len)
{
	const struct bs_channel_peer to = { .secret = r->grant.secret,
					    .cp = r->sealed.h.cp,
					    .sp = r->sealed.h.sp,
					    .socket = r->socket,
					    .local = r->local,
					    .peer = r->from };

	if (len > 0)
		(void)bs__channel_seal(g, &to, g->tx, (size_t)len);
}

/** The token that a packet from this source brings back next time. */
static int challenge_for(struct bs_gate *g, uint32_t sp, unsigned socket,
			 const struct bs_endpoint *from, uint8_t token[BS_TICKET_SECRET_LEN])
{
	/* On a common port one mapping is all there is: it must not pass for two. */
	const bool both = g->w->socket[socket].roles & BS_SOCKET_CONTROLLER;
	const struct bs_ticket_seen seen = { .ep = *from,
					     .port = both ? PORT_CONTROLLER : PORT_ATTACH };

	return bs_ticket_challenge(g->w->crypto, g->tickets->challenge_key, sp, &seen,
				   g->w->now / BS_TIME_MS(1), token);
}

static void send_challenge(struct bs_gate *g, const struct request *r)
{
	struct bs_gate_ticket_answer a;

	memset(&a, 0, sizeof(a));
	a.h = (struct bs_gate_head){ r->sealed.h.cp, 0, r->sealed.h.seq };
	a.status = bs__gate_status(BS_ST_PENDING, "");
	a.params.has = BS_PARAM_BIT(BS_PARAM_SERVER_TIME);
	a.params.server_time_ms = g->w->unix_ms;
	a.n_eps = 1;
	a.eps[0] = *r->from;
	if (challenge_for(g, r->sealed.h.sp, r->socket, r->from, a.token) != BS_OK)
		return;
	bs_count(g->w->counters, BS_C_ticket_challenged);
	reply(g, r, bs_gate_ticket_answer_encode(&a, g->tx, sizeof(g->tx)));
}

static void send_error(struct bs_gate *g, const struct request *r, uint16_t code, const char *text)
{
	struct bs_gate_error m;

	memset(&m, 0, sizeof(m));
	m.h = (struct bs_gate_head){ r->sealed.h.cp, 0, r->sealed.h.seq };
	m.status = bs__gate_status(code, text);
	reply(g, r, bs_gate_error_encode(&m, g->tx, sizeof(g->tx)));
}

/* Sessions. */

static uint64_t session_key(uint32_t sp, uint32_t cp)
{
	return (uint64_t)sp << 32 | cp;
}

void bs__gate_ticket_gone(struct bs_session *s)
{
	struct bs_gate_channel *ch = s->ticket;

	if (!ch)
		return;
	s->ticket = NULL;
	bs_gate_map_remove(&s->gate->tickets->sessions, session_key(ch->sp, s->cp));
	bs__channel_free(ch);
}

/** A session for a packet that has proved everything; NULL when a table or limit is full. */
static struct bs_session *session_new(struct bs_gate *g, const struct request *r)
{
	struct bs_gate_channel *ch = calloc(1, sizeof(*ch));
	struct bs_session *s = ch ? bs__session_new_bare(g) : NULL;

	if (!s) {
		bs_count(g->w->counters, ch ? BS_C_gate_full : BS_C_memory_failed);
		free(ch);
		return NULL;
	}
	memcpy(ch->secret, r->grant.secret, sizeof(ch->secret));
	ch->sp = r->sealed.h.sp;
	s->cp = r->sealed.h.cp;
	s->who = r->who;
	s->state = BS_SESSION_TICKET;
	if (bs__client_join(s) == BS_OK && s->client->sessions <= CLIENT_SESSIONS &&
	    bs_gate_map_put(&g->tickets->sessions, session_key(ch->sp, s->cp), s) == BS_OK) {
		s->ticket = ch;
		return s;
	}
	bs_count(g->w->counters, BS_C_gate_table_full);
	bs__channel_free(ch);
	bs__session_release(s);
	return NULL;
}

/** The client shows where it is. */
static void heard_from(struct bs_session *s, const struct request *r)
{
	s->heard = s->gate->w->now;
	s->peer = *r->from;
	s->local = *r->local;
	s->ticket->socket = r->socket;
}

static struct bs_session *session_for(struct bs_gate *g, const struct request *r)
{
	struct bs_session *s =
		bs_gate_map_get(&g->tickets->sessions, session_key(r->sealed.h.sp, r->sealed.h.cp));

	if (!s)
		s = session_new(g, r);
	else if (!bs_equal_secret(s->ticket->secret, r->grant.secret, BS_TICKET_SECRET_LEN))
		s = NULL; /* another ticket with the same four bytes: one of the two has to wait */
	if (!s)
		return NULL;
	/* One that was quiet comes back. */
	s->state = BS_SESSION_TICKET;
	heard_from(s, r);
	s->ticket->rtt_ms = 0;
	for (size_t i = 0; i < r->n_seen; i++) {
		const struct bs_ticket_seen *seen = &r->seen[i];
		const int family = bs_endpoint_is_ip4(&seen->ep) ? 0 : 1;
		const int port = seen->port == PORT_ATTACH ? BS_SEEN_ATTACH : BS_SEEN_CONTROLLER;

		s->probe.seen[family][port] = (struct bs_gate_seen){ seen->ep, g->w->now };
		if (seen->age_ms <= RTT_MAX_MS)
			s->ticket->rtt_ms = (uint16_t)seen->age_ms;
	}
	return s;
}

static void connect(struct bs_session *s, const struct bs_packet *p)
{
	struct bs_payload pl;

	if (bs_payload_find(p, BS_PL_ATTEMPT, &pl) && pl.len == BS_ATTEMPT_LEN &&
	    bs__channel_repeat(s, pl.data))
		return;
	bs__gate_connect(s, p);
}

/** The last connection ends: nothing is left to repeat, and each program that comes by ticket has a
 *  session of its own. */
static void disconnect(struct bs_session *s, const struct bs_packet *p)
{
	bs__gate_disconnect(s, p);
	if (!s->conns && !s->attempts)
		bs__session_end(s);
}

/** PING keeps a NAT's mapping open for events, and brings a new challenge. */
static void ping(struct bs_session *s, const struct bs_packet *p)
{
	struct bs_gate *g = s->gate;
	const struct bs_gate_head h = { p->h.nsi_cp, 0, p->h.seq };
	uint8_t token[BS_TICKET_SECRET_LEN];
	bs_ssize len = bs_gate_ping_encode(&h, true, g->tx, sizeof(g->tx));

	if (len > 0 && challenge_for(g, s->ticket->sp, s->ticket->socket, &s->peer, token) == BS_OK)
		len = bs_ticket_token_add(g->tx, (size_t)len, sizeof(g->tx), token);
	if (len > 0)
		bs__channel_send(s, g->tx, (size_t)len);
}

/** What ended the ticket ended its connections as well: who still keeps them open has missed the
 *  events, and learns more from these than from an error. */
static bool tell_again(struct bs_gate *g, const struct request *r)
{
	struct bs_session *s =
		bs_gate_map_get(&g->tickets->sessions, session_key(r->sealed.h.sp, r->sealed.h.cp));

	if (r->inner.h.type != BS_TYPE_PING || !s ||
	    !bs_equal_secret(s->ticket->secret, r->grant.secret, BS_TICKET_SECRET_LEN))
		return false;
	heard_from(s, r);
	return bs__channel_tell_again(s);
}

static void serve(struct bs_gate *g, const struct request *r)
{
	struct bs_session *s;

	if (g->draining) {
		send_error(g, r, BS_ST_DRAINING, "the server is about to stop");
		return;
	}
	s = session_for(g, r);
	if (!s) {
		send_error(g, r, BS_ST_RATE, "the server is full");
		return;
	}
	bs_count(g->w->counters, BS_C_ticket_requests);
	(void)bs__channel_tell_again(s);
	switch (r->inner.h.flags == 0 ? r->inner.h.type : 0) {
	case BS_TYPE_CONNECT: connect(s, &r->inner); break;
	case BS_TYPE_DISCONNECT: disconnect(s, &r->inner); break;
	case BS_TYPE_PING: ping(s, &r->inner); break;
	default:
		bs__gate_error(s, BS_ST_MALFORMED, "packet of this type needs a TLS session");
		break;
	}
}

static void judge(struct bs_gate *g, struct request *r)
{
	if (read_ticket(g, r) != BS_OK || open_packet(g, r) != BS_OK)
		return;
	fill_who(r);
	if (!take_challenges(g, r)) {
		send_challenge(g, r);
		return;
	}
	if (!stamp_ok(g, r->sealed.stamp_ms, false)) {
		(void)drop(g, BS_C_ticket_stamp);
		return;
	}
	if (still_counts(g, r) == BS_OK)
		serve(g, r);
	else if (!tell_again(g, r))
		send_error(g, r, BS_ST_CLIENT_CERT, "the ticket no longer counts");
}

void bs__gate_ticket_input(struct bs_gate *g, const struct bs_packet *p,
			   const struct bs_endpoint *from, unsigned socket,
			   const struct bs_endpoint *local)
{
	struct bs_gate_tickets *t = g->tickets;
	struct request r = { .from = from, .local = local, .socket = socket };

	/* With the switch off no ticket is good, and the port says nothing. */
	if (!t || g->w->conf->connect_ticket_lifetime == 0)
		return;
	bs_count(g->w->counters, BS_C_ticket_received);
	if (p->len > sizeof(t->rx) || bs_sealed_decode(p, &r.sealed) != BS_OK ||
	    r.sealed.is_answer) {
		(void)drop(g, BS_C_ticket_malformed);
		return;
	}
	if (!bs_limiter_take(&t->sources, bs__gate_hash_source(g, from),
			     (uint32_t)(g->w->now / BS_TIME_MS(1)))) {
		(void)drop(g, BS_C_ticket_limited);
		return;
	}
	memcpy(t->rx, p->bytes, p->len);
	/* The copy is what is opened in place. */
	r.sealed.ticket.ptr = t->rx + (r.sealed.ticket.ptr - p->bytes);
	judge(g, &r);
	bs_wipe(&r.grant, sizeof(r.grant));
}

/* Life. */

void bs__gate_tickets_conf(struct bs_gate *g)
{
	const uint32_t rate = g->w->conf->connect_ticket_rate;

	if (g->tickets)
		bs_limiter_set(&g->tickets->sources, rate, 2 * rate);
	if (g->tickets)
		bs_limiter_set(&g->tickets->clients, CLIENT_RATE, 2 * CLIENT_RATE);
}

int bs__gate_tickets_init(struct bs_gate *g)
{
	const struct bs_crypto *c = g->w->crypto;
	struct bs_gate_tickets *t = calloc(1, sizeof(*t));
	uint8_t key[BS_TICKET_KEY_LEN] = { 0 };
	int err;

	g->tickets = t;
	if (!t)
		return BS_ENOMEM;
	t->gcm = bs_gcm_new(key);
	t->cipher = (struct bs_ticket_cipher){ c, bs_gcm_aead(), t->gcm };
	t->start_ms = g->w->unix_ms;
	err = t->gcm ? bs_registry_server_secret(g->w->registry, "connect-ticket", t->base)
		     : BS_ENOMEM;
	if (err == BS_OK)
		err = c->random(c->ctx, t->challenge_key, sizeof(t->challenge_key));
	if (err == BS_OK)
		err = c->random(c->ctx, key, BS_SIPHASH_KEY_LEN);
	if (err == BS_OK)
		err = bs_ticket_filter_init(&t->filter, FILTER_CAP, FILTER_SPAN_MS, key,
					    (uint32_t)(g->w->now / BS_TIME_MS(1)));
	if (err == BS_OK)
		err = bs_gate_map_init(&t->sessions, g->cap, key);
	if (err == BS_OK)
		err = bs_limiter_init(&t->sources, LIMITER_BUCKETS, 1, 1);
	if (err == BS_OK)
		err = bs_limiter_init(&t->clients, LIMITER_BUCKETS, 1, 1);
	if (err == BS_OK)
		bs__gate_tickets_conf(g);
	return err;
}

void bs__gate_tickets_fini(struct bs_gate *g)
{
	struct bs_gate_tickets *t = g->tickets;

	g->tickets = NULL;
	if (!t)
		return;
	bs_limiter_fini(&t->sources);
	bs_limiter_fini(&t->clients);
	bs_gate_map_fini(&t->sessions);
	bs_ticket_filter_fini(&t->filter);
	bs_gcm_free(t->gcm);
	bs_wipe(t, sizeof(*t));
	free(t);
}
