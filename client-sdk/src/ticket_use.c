/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets under a connect ticket.  First a request goes to both ports without a challenge, then,
 * with the challenges that come back, to the attach port until it is answered.
 */
#include <string.h>

#include "local.h"
#include "machine.h"
#include "note.h"

/** Requests without a challenge: after the last gap nobody is there. */
static const uint16_t ask_gaps_ms[] = { 150, 300, 450 };
/** Requests with one; the server answers within 4.5 s, whatever the device does. */
static const uint16_t send_gaps_ms[] = { 400, 800, 1600, 2000, 1500 };
/** How long the attach port's challenge waits for that of the other port. */
#define PAIR_WAIT_MS 40u
/** A challenge is not used at a greater age; the server takes it for 60 s. */
#define CHALLENGE_MS 50000u
/** How far our time stays behind the server's: a little is forgiven, the future is not. */
#define BEHIND_MS 50u
/** Pings while connections run. */
#define PING_MS 25000u
/** After silence tickets rest: something on the way lets no UDP through. */
#define SILENT_MS 300000u
/** Where a packet has its type. */
#define TYPE_OFF 8u

static bool is_fresh(const struct bsc__challenge *c, bs_time now)
{
	return c->known && BS_TIME_DIFF(now, c->at) < (bs_time_diff)BS_TIME_MS(CHALLENGE_MS);
}

static bool is_held(const struct bsc__req *r)
{
	return r->conn != NULL && bsc__local_holds(r->conn);
}

void bsc__ticket_begin(struct bsc__machine *m, struct bsc__req *r, bs_time now)
{
	struct bsc__ticket *t = &m->ticket;
	uint8_t random[4];

	if (t->cp == 0 && m->crypto->random(m->crypto->ctx, random, sizeof random) == BS_OK)
		t->cp = bs_get_u32(random) | 1;
	if (t->cp == 0)
		return;
	r->by_ticket = true;
	r->due = now;
	r->deadline = now + BS_TIME_MS(BSC__ANSWER_MS);
	/* A leg through TLS goes where the session would. */
	if (!bs_endpoint_is_set(&m->gate))
		m->gate = t->gate;
	if (m->host[0] == '\0') {
		memcpy(m->host, m->set.host, sizeof m->host);
		m->port = m->set.port;
	}
	if (r->conn != NULL) {
		r->conn->by_ticket = true;
		bsc__note(r->conn, now, "asks by ticket");
	}
}

/** Everything goes on over TLS. */
static void fall_back(struct bsc__machine *m, const char *why, bs_time now)
{
	for (struct bsc__req *r = m->reqs; r != NULL; r = r->next)
		if (r->by_ticket && r->conn != NULL) {
			bsc__note(r->conn, now, "not by ticket (%s)", why);
			r->conn->by_ticket = false;
		}
	bsc__request_by_session(m, now);
}

/** Nothing answers. */
static void fall_silent(struct bsc__machine *m, bs_time now)
{
	m->ticket.silent = true;
	m->ticket.silent_until = now + BS_TIME_MS(SILENT_MS);
	bsc__ticket_forget(m);
	fall_back(m, "no answer", now);
}

/** A try is due.  false: that was the last one. */
static bool try_again(struct bsc__machine *m, struct bsc__req *r, bs_time now)
{
	const struct bsc__ticket *t = &m->ticket;
	const bool proved = is_fresh(&t->challenge[0], now);
	const uint16_t *gaps = proved ? send_gaps_ms : ask_gaps_ms;
	const size_t n = proved ? sizeof send_gaps_ms / sizeof send_gaps_ms[0]
				: sizeof ask_gaps_ms / sizeof ask_gaps_ms[0];
	uint8_t *tries = proved ? &r->sends : &r->asks;

	if (*tries >= n)
		return false;
	r->to_send = proved || t->n_to == 1 || is_fresh(&t->challenge[1], now) ? 1 : 3;
	r->due = now + BS_TIME_MS(gaps[*tries]);
	++*tries;
	return true;
}

/** Keep our NAT's mapping open as long as the server may have something to say. */
static void ping_if_due(struct bsc__machine *m, bs_time now)
{
	struct bsc__ticket *t = &m->ticket;
	bool live = false;

	for (const struct bsc_conn *c = m->links; c != NULL; c = c->next)
		live = live || (c->by_ticket && c->has_peer && !c->closed);
	if (!live) {
		t->ping_at = now + BS_TIME_MS(PING_MS);
		t->ping_waits = false;
	} else if (BS_TIME_DIFF(now, t->ping_at) >= 0) {
		t->ping_at = now + BS_TIME_MS(PING_MS);
		t->ping_seq = bsc__request_seq(m);
		t->ping_waits = true;
	}
}

void bsc__ticket_timeout(struct bsc__machine *m, bs_time now)
{
	struct bsc__req *next;

	if (!m->ticket.known)
		return;
	for (struct bsc__req *r = m->reqs; r != NULL; r = next) {
		next = r->next;
		if (!r->by_ticket || is_held(r) || BS_TIME_DIFF(now, r->due) < 0 ||
		    try_again(m, r, now))
			continue;
		/* A goodbye that nobody hears ends by the server's own limits. */
		if (r->conn == NULL) {
			bsc__request_drop(m, r);
			continue;
		}
		fall_silent(m, now);
		return;
	}
	ping_if_due(m, now);
}

/** Seal what lies in text for one of the server's ports. */
static size_t seal(struct bsc__machine *m, uint8_t *text, size_t len, size_t room, bool with_tokens,
		   uint8_t *buf, size_t cap, bs_time now)
{
	const struct bsc__ticket *t = &m->ticket;
	struct bs_sealed s = { .h = { t->cp, t->sp, bs_get_u16(text + 12) },
			       .ticket = { t->bytes, t->len },
			       .stamp_ms = bsc__ticket_clock(t, now) - BEHIND_MS };
	bs_ssize n = (bs_ssize)len;

	for (size_t k = 0; k < 2 && with_tokens && n > 0; k++)
		if (is_fresh(&t->challenge[k], now))
			n = bs_ticket_token_add(text, (size_t)n, room, t->challenge[k].token);
	if (n > 0)
		n = bs_ticket_seal(&m->tools.cipher, t->secret, &s,
				   (struct bs_slice){ text, (size_t)n }, BS_TICKET_REQUEST_MIN, buf,
				   cap);
	return n > 0 ? (size_t)n : 0;
}

static size_t request_out(struct bsc__machine *m, struct bsc__req *r, uint8_t *buf, size_t cap,
			  struct bs_endpoint *to, bs_time now)
{
	const struct bsc__ticket *t = &m->ticket;
	const size_t which = r->to_send & 1 ? 0 : 1;
	uint8_t text[BS_TICKET_PACKET_MAX];
	bs_ssize n;

	r->to_send &= (uint8_t) ~(1u << which);
	if (!r->sent)
		r->seq = bsc__request_seq(m);
	r->sent = true;
	r->sent_at = now;
	n = bsc__request_encode(m, r, t->cp, text, sizeof text);
	*to = t->to[which];
	return n > 0 ? seal(m, text, (size_t)n, sizeof text, which == 0, buf, cap, now) : 0;
}

size_t bsc__ticket_output(struct bsc__machine *m, uint8_t *buf, size_t cap, struct bs_endpoint *to,
			  bs_time now)
{
	struct bsc__ticket *t = &m->ticket;

	if (!t->known)
		return 0;
	for (struct bsc__req *r = m->reqs; r != NULL; r = r->next)
		if (r->by_ticket && r->to_send != 0)
			return request_out(m, r, buf, cap, to, now);
	if (t->ping_waits) {
		const struct bs_gate_head h = { .cp = t->cp, .seq = t->ping_seq };
		uint8_t text[256];
		bs_ssize n = bs_gate_ping_encode(&h, false, text, sizeof text);

		t->ping_waits = false;
		*to = t->to[0];
		return n > 0 ? seal(m, text, (size_t)n, sizeof text, true, buf, cap, now) : 0;
	}
	return 0;
}

bool bsc__ticket_next_timeout(const struct bsc__machine *m, bs_time *at)
{
	const struct bsc__ticket *t = &m->ticket;
	bool have = false;

	if (!t->known)
		return false;
	for (const struct bsc__req *r = m->reqs; r != NULL; r = r->next)
		if (r->by_ticket && !is_held(r))
			bsc__earlier(&have, at, r->due);
	for (const struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (c->by_ticket && c->has_peer && !c->closed)
			bsc__earlier(&have, at, t->ping_at);
	return have;
}

/* ---- input */

/** A challenge: our address as this port sees it, and the server's clock. */
static void on_challenge(struct bsc__machine *m, const struct bs_packet *p, size_t which,
			 bs_time now)
{
	struct bsc__ticket *t = &m->ticket;
	struct bs_gate_ticket_answer a;
	bool moved;

	if (bs_gate_ticket_answer_decode(p, &a) != BS_OK || a.status.code != BS_ST_PENDING)
		return;
	moved = !bs_endpoint_equal(&m->prober.observed, &a.eps[0]);
	memcpy(t->challenge[which].token, a.token, sizeof a.token);
	t->challenge[which].known = true;
	t->challenge[which].at = now;
	t->clock_ms = a.params.server_time_ms;
	t->clock_at = now;
	if (which == 0) {
		m->prober.observed = a.eps[0];
		bsc__paths_probed(m);
	}
	if (p->h.seq == t->ping_seq && t->ping_seq != 0)
		t->ping_waits = true;
	for (struct bsc__req *r = m->reqs; r != NULL; r = r->next) {
		const bool both = t->n_to == 1 || is_fresh(&t->challenge[1], now);

		if (!r->by_ticket || !t->challenge[0].known)
			continue;
		/* Sent with one already: this answers a copy, unless our address is a new one. */
		if (r->sends > 0 && (which == 1 || !moved))
			continue;
		r->due = both || r->sends > 0 ? now : now + BS_TIME_MS(PAIR_WAIT_MS);
	}
}

/** A PING was answered: the connections may be heard of, for another while. */
static void on_pong(struct bsc__machine *m, const struct bs_packet *p, bs_time now)
{
	struct bsc__ticket *t = &m->ticket;
	size_t off = 0;
	const uint8_t *token = bs_ticket_token_next(p, &off);

	if (token == NULL || p->h.seq != t->ping_seq)
		return;
	memcpy(t->challenge[0].token, token, sizeof t->challenge[0].token);
	t->challenge[0].known = true;
	t->challenge[0].at = now;
}

static void take(struct bsc__machine *m, const struct bs_packet *p, size_t which, bs_time now)
{
	if (p->h.type == BS_TYPE_ERROR) {
		/* Whatever it is, a session gets a better word about it. */
		bsc__ticket_forget(m);
		fall_back(m, "the basestation refuses it", now);
	} else if (p->h.type == BS_TYPE_TICKET) {
		on_challenge(m, p, which, now);
	} else if (p->h.type == BS_TYPE_PING) {
		on_pong(m, p, now);
	} else if (p->h.type == BS_TYPE_EVENT) {
		/* Of the session as a whole there is nothing to say. */
		if (p->h.nsi_sp != 0)
			(void)bsc__request_event(m, p, now);
	} else if (p->h.flags == BS_FLAG_RESPONSE) {
		/* What it breaks is its own request, which then runs out of time. */
		(void)bsc__request_answer(m, p, now);
	}
}

bool bsc__ticket_input(struct bsc__machine *m, uint8_t *pkt, size_t len,
		       const struct bs_endpoint *from, bs_time now)
{
	const struct bsc__ticket *t = &m->ticket;
	struct bs_packet p, inner;
	struct bs_sealed s;
	size_t which = 0;

	if (!t->known || len < BS_HEADER_MIN || pkt[TYPE_OFF] != BS_TYPE_TICKET)
		return false;
	while (which < t->n_to && !bs_endpoint_equal(from, &t->to[which]))
		which++;
	if (which == t->n_to || bs_packet_decode(pkt, len, &p) != BS_OK ||
	    bs_sealed_decode(&p, &s) != BS_OK || !s.is_answer || s.h.cp != t->cp || s.h.sp != t->sp)
		return false;
	if (bs_ticket_open(&m->tools.cipher, t->secret, &s, pkt, &inner) == BS_OK)
		take(m, &inner, which, now);
	bs_wipe(pkt, len);
	return true;
}
