/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_channel.c - what goes to a client that came by ticket: answers, kept for a client that
 * repeats its request because they were lost, and events, which nobody acknowledges and are
 * therefore sent three times, and for a while again when the client shows that it is there.
 */
#include <stdlib.h>
#include <string.h>

#include "server/gate_ticket.h"

bs_ssize bs__channel_seal(struct bs_gate *g, const struct bs_channel_peer *to, const uint8_t *buf,
			  size_t len)
{
	struct bs_gate_tickets *t = g->tickets;
	/* The number of the answer outside is that inside; the client needs it only there. */
	struct bs_sealed sealed = { .h = { to->cp, to->sp, bs_get_u16(buf + 12) },
				    .is_answer = true,
				    .stamp_ms = g->w->unix_ms };
	bs_ssize n = bs_ticket_seal(&t->cipher, to->secret, &sealed, (struct bs_slice){ buf, len },
				    0, t->tx, sizeof(t->tx));

	if (n > 0) {
		bs_worker_udp_reply(g->w, to->socket, to->local, to->peer, t->tx, (size_t)n);
		bs_count(g->w->counters, BS_C_ticket_answered);
	} else {
		bs_count(g->w->counters, BS_C_crypto_failed);
	}
	return n;
}

static struct bs_channel_peer peer_of(const struct bs_session *s)
{
	return (struct bs_channel_peer){ .secret = s->ticket->secret,
					 .cp = s->cp,
					 .sp = s->ticket->sp,
					 .socket = s->ticket->socket,
					 .local = &s->local,
					 .peer = &s->peer };
}

static void drop_answer(struct bs_channel_answer *a)
{
	/* Sealed bytes: nothing to wipe. */
	free(a->bytes);
	memset(a, 0, sizeof(*a));
}

/** Keep the answer to a CONNECT; the oldest gives way. */
static void keep(struct bs_session *s, const struct bs_packet *p, const uint8_t *sealed, size_t len)
{
	struct bs_channel_answer *a = &s->ticket->answer[0];
	struct bs_payload pl;

	if (!bs_payload_find(p, BS_PL_ATTEMPT, &pl) || pl.len != sizeof(a->attempt))
		return;
	for (size_t i = 1; i < BS_CHANNEL_ANSWERS && a->bytes; i++) {
		struct bs_channel_answer *other = &s->ticket->answer[i];

		if (!other->bytes || BS_TIME_DIFF(other->at, a->at) < 0)
			a = other;
	}
	drop_answer(a);
	a->bytes = malloc(len);
	if (!a->bytes) {
		bs_count(s->gate->w->counters, BS_C_memory_failed);
		return;
	}
	memcpy(a->bytes, sealed, len);
	a->len = (uint16_t)len;
	a->at = s->gate->w->now;
	memcpy(a->attempt, pl.data, sizeof(a->attempt));
}

/** Room for an event: a free place, or that of the oldest one that is not sent by itself. */
static struct bs_channel_event *event_room(struct bs_gate_channel *ch)
{
	struct bs_channel_event *oldest = NULL;

	for (size_t i = 0; i < BS_CHANNEL_EVENTS; i++) {
		struct bs_channel_event *e = &ch->event[i];

		if (!e->held)
			return e;
		if (e->left == 0 && (!oldest || BS_TIME_DIFF(e->born, oldest->born) < 0))
			oldest = e;
	}
	return oldest;
}

/** An event about a connection: it is repeated, since nobody says that it came. */
static void keep_event(struct bs_session *s, const struct bs_packet *p)
{
	struct bs_gate_event m;
	struct bs_channel_event *e;

	if (bs_gate_event_decode(p, &m) != BS_OK || !m.has_status)
		return;
	/* More at once than there is room for: those were sent once. */
	e = event_room(s->ticket);
	if (!e)
		return;
	e->held = true;
	e->born = s->gate->w->now;
	e->nsi = m.h.sp;
	e->status = m.status.code;
	e->left = BS_CHANNEL_EVENT_SENDS - 1;
	e->due = s->gate->w->now + BS_CHANNEL_EVENT_GAP;
	e->text_len = (uint8_t)(m.status.text.len < sizeof(e->text) ? m.status.text.len
								    : sizeof(e->text));
	memcpy(e->text, m.status.text.ptr, e->text_len);
}

void bs__channel_send(struct bs_session *s, const uint8_t *buf, size_t len)
{
	const struct bs_channel_peer to = peer_of(s);
	struct bs_packet p;
	bs_ssize n = bs__channel_seal(s->gate, &to, buf, len);

	if (n < 0 || bs_packet_decode(buf, len, &p) != BS_OK)
		return;
	if (p.h.type == BS_TYPE_CONNECT)
		keep(s, &p, s->gate->tickets->tx, (size_t)n);
	else if (p.h.type == BS_TYPE_EVENT)
		keep_event(s, &p);
}

bool bs__channel_repeat(struct bs_session *s, const uint8_t attempt[BS_ATTEMPT_LEN])
{
	for (size_t i = 0; i < BS_CHANNEL_ANSWERS; i++) {
		const struct bs_channel_answer *a = &s->ticket->answer[i];

		if (!a->bytes || memcmp(a->attempt, attempt, BS_ATTEMPT_LEN) != 0)
			continue;
		bs_worker_udp_reply(s->gate->w, s->ticket->socket, &s->local, &s->peer, a->bytes,
				    a->len);
		bs_count(s->gate->w->counters, BS_C_ticket_answered);
		return true;
	}
	return false;
}

static void send_event(struct bs_session *s, const struct bs_channel_event *e)
{
	struct bs_gate *g = s->gate;
	const struct bs_channel_peer to = peer_of(s);
	struct bs_gate_event m;
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.h.cp = s->cp;
	m.h.sp = e->nsi;
	m.has_status = true;
	m.status.code = e->status;
	m.status.text = (struct bs_slice){ (const uint8_t *)e->text, e->text_len };
	len = bs_gate_event_encode(&m, NULL, 0, g->tx, sizeof(g->tx));
	if (len > 0)
		(void)bs__channel_seal(g, &to, g->tx, (size_t)len);
}

bool bs__channel_is_busy(const struct bs_session *s)
{
	for (size_t i = 0; s->ticket && i < BS_CHANNEL_EVENTS; i++)
		if (s->ticket->event[i].held)
			return true;
	return false;
}

void bs__channel_quiet(struct bs_session *s)
{
	for (size_t i = 0; s->ticket && i < BS_CHANNEL_EVENTS; i++)
		s->ticket->event[i].held = false;
}

bool bs__channel_tell_again(struct bs_session *s)
{
	const bs_time now = s->gate->w->now;
	bool told = false;

	for (size_t i = 0; i < BS_CHANNEL_EVENTS; i++) {
		struct bs_channel_event *e = &s->ticket->event[i];

		if (!e->held || BS_TIME_DIFF(now, e->due) < 0)
			continue;
		e->due = now + BS_CHANNEL_EVENT_GAP;
		send_event(s, e);
		told = true;
	}
	return told;
}

static void event_tick(struct bs_session *s, struct bs_channel_event *e, bs_time now)
{
	if (!e->held)
		return;
	if (e->left > 0 && BS_TIME_DIFF(now, e->due) >= 0) {
		e->left--;
		e->due = now + BS_CHANNEL_EVENT_GAP;
		send_event(s, e);
	}
	if (BS_TIME_DIFF(now, e->born) > (bs_time_diff)BS_CHANNEL_EVENT_LIFE)
		e->held = false;
}

void bs__channel_tick(struct bs_session *s, bs_time now)
{
	struct bs_gate_channel *ch = s->ticket;

	for (size_t i = 0; i < BS_CHANNEL_ANSWERS; i++)
		if (ch->answer[i].bytes &&
		    BS_TIME_DIFF(now, ch->answer[i].at) > (bs_time_diff)BS_CHANNEL_ANSWER_LIFE)
			drop_answer(&ch->answer[i]);
	for (size_t i = 0; i < BS_CHANNEL_EVENTS; i++)
		event_tick(s, &ch->event[i], now);
	if (s->state == BS_SESSION_TICKET && !s->attempts &&
	    BS_TIME_DIFF(now, s->heard) >
		    (bs_time_diff)(s->conns ? BS_CHANNEL_IDLE : BS_CHANNEL_UNUSED))
		bs__session_end(s);
	else if (s->state == BS_SESSION_GHOST && !s->conns && !bs__channel_is_busy(s))
		bs__session_release(s);
}

void bs__channel_free(struct bs_gate_channel *ch)
{
	if (!ch)
		return;
	for (size_t i = 0; i < BS_CHANNEL_ANSWERS; i++)
		drop_answer(&ch->answer[i]);
	bs_wipe(ch, sizeof(*ch));
	free(ch);
}
