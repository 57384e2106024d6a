/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/path.h"

#include <string.h>

#include "util/endpoint.h"

enum {
	/* How long a search goes on once the connection is open over a relay: with a spray, or
	 * without while other tactics wait for their turn. */
	SEARCH_MS = 6000,
	SEARCH_PLAIN_MS = 2500,
	/* Searches before the first long pause: as measured, with our NAT supposed to be
	 * symmetric, with the device's. */
	TACTICS = 3,
	TACTICS_PAUSE_MS = 200,
	/* Pause after them, doubled each time up to the longest. */
	PAUSE_MS = 10000,
	PAUSE_DOUBLINGS = 4,
	/* The request to search is sent so often, for it may be lost. */
	ASK_COPIES = 2,
	ASK_AGAIN_MS = 400,
	/* Keep-alives of one check, and the gap after the first, which doubles. */
	CHECK_TRIES = 4,
	CHECK_MS = 150,
	/* DATA without any answer for so long: ask whether the way still works. */
	ANSWER_MS = 1500,
	/* Unanswered keep-alives in a row that make a way suspect. */
	SUSPECT_RETRIES = 2,
};

void bs_paths_init(struct bs_paths *ps, uint32_t relay_wait_ms, bs_time now)
{
	memset(ps, 0, sizeof(*ps));
	ps->relay_at = now + BS_TIME_MS(relay_wait_ms);
	ps->heard = now;
}

void bs_paths_pace(struct bs_paths *ps, uint32_t pace_ms)
{
	ps->pace_ms = pace_ms;
	ps->pace_min_ms = pace_ms;
}

/* The interval whose 3.5-fold is the idle limit. */
static uint32_t longest_pace(const struct bs_conn *c)
{
	return (uint32_t)c->idle_ms * 2u / 7u;
}

/* An echo after a whole silent interval shows that the NATs bear it: dare a longer one. */
static void stretch(struct bs_paths *ps, struct bs_conn *c, bs_time now)
{
	if (ps->pace_ms == 0 || c->state != BS_CONN_OPEN)
		return;
	if (c->sent != ps->stretched &&
	    BS_TIME_DIFF(c->sent, ps->heard) >= (bs_time_diff)BS_TIME_MS(ps->pace_ms)) {
		ps->stretched = c->sent;
		ps->pace_ms += ps->pace_ms / 2;
	}
	if (ps->pace_ms >= longest_pace(c))
		ps->pace_ms = longest_pace(c);
	else if (BS_TIME_DIFF(c->keepalive, now) > (bs_time_diff)BS_TIME_MS(ps->pace_ms))
		c->keepalive = now + BS_TIME_MS(ps->pace_ms);
}

static struct bs_path *find_relay(struct bs_paths *ps, const struct bs_endpoint *ep)
{
	uint8_t i;

	for (i = 0; i < ps->n; i++) {
		if (bs_endpoint_equal(&ps->relay[i].ep, ep))
			return &ps->relay[i];
	}
	return NULL;
}

int bs_paths_add(struct bs_paths *ps, const struct bs_endpoint *ep, enum bs_conn_path kind)
{
	if (!bs_endpoint_is_set(ep) || (kind != BS_PATH_UDP_RELAY && kind != BS_PATH_TCP_RELAY))
		return BS_EINVAL;
	if (find_relay(ps, ep))
		return BS_OK;
	if (ps->n == BS_PATHS_RELAYS)
		return BS_EFULL;
	ps->relay[ps->n].ep = *ep;
	ps->relay[ps->n++].kind = (uint8_t)kind;
	return BS_OK;
}

bool bs_paths_drop(struct bs_paths *ps, const struct bs_endpoint *ep)
{
	struct bs_path *r = find_relay(ps, ep);

	if (!r)
		return false;
	*r = ps->relay[--ps->n];
	if (ps->check.active && bs_endpoint_equal(&ps->check.ep, ep))
		ps->check.active = false;
	return true;
}

const struct bs_path *bs_paths_relay(const struct bs_paths *ps, const struct bs_endpoint *but)
{
	const struct bs_path *best = NULL;
	uint8_t i;

	for (i = 0; i < ps->n; i++) {
		if (but && bs_endpoint_equal(&ps->relay[i].ep, but))
			continue;
		if (!best || ps->relay[i].kind < best->kind)
			best = &ps->relay[i];
	}
	return best;
}

enum bs_conn_path bs_paths_kind(const struct bs_paths *ps, const struct bs_endpoint *ep)
{
	uint8_t i;

	for (i = 0; i < ps->n; i++) {
		if (bs_endpoint_equal(&ps->relay[i].ep, ep))
			return (enum bs_conn_path)ps->relay[i].kind;
	}
	return BS_PATH_DIRECT;
}

/* What this search supposes.  Without a device that joins in only what was measured makes sense. */
static void choose_tactics(struct bs_paths *ps, struct bs_rendezvous_client *rv)
{
	struct bs_path_ask *a = &ps->ask;
	bool ours = a->symmetric;
	bool theirs = a->guess;

	/* What was measured is repeated: each spray guesses other ports. */
	if (a->can && !ours && !theirs && ps->searches % TACTICS) {
		ours = ps->searches % TACTICS == 1;
		theirs = !ours;
	}
	if (ours && theirs)
		ours = theirs = false;
	a->m.flags = (uint8_t)((ours ? BS_SEARCH_GUESS : 0) | (theirs ? BS_SEARCH_SOCKETS : 0));
	bs_rendezvous_client_tactics(rv, ours ? a->sockets : 0, theirs);
}

void bs_paths_search(struct bs_paths *ps, struct bs_rendezvous_client *rv, bs_time now)
{
	bool plain;

	if (rv->n == 0)
		return;
	choose_tactics(ps, rv);
	bs_rendezvous_client_start(rv, now);
	plain = ps->ask.can && ps->ask.m.flags == 0;
	ps->searching = true;
	ps->paused = false;
	ps->search_end = now + BS_TIME_MS(plain ? SEARCH_PLAIN_MS : SEARCH_MS);
}

/* Over the path that works: search with us, from now on. */
static void ask_device(struct bs_paths *ps, bs_time now)
{
	struct bs_path_ask *a = &ps->ask;

	if (!a->can || (!bs_endpoint_is_set(&a->m.global) && !bs_endpoint_is_set(&a->m.priv)))
		return;
	a->m.number++;
	a->copies = ASK_COPIES;
	a->due = now;
}

static void start_check(struct bs_paths *ps, const struct bs_endpoint *ep, bs_time now)
{
	if (ps->check.active && bs_endpoint_equal(&ps->check.ep, ep))
		return;
	ps->check.ep = *ep;
	ps->check.active = true;
	ps->check.waits = true;
	ps->check.tries = 1;
	ps->check.due = now + BS_TIME_MS(CHECK_MS);
}

static bool is_relayed(const struct bs_conn *c)
{
	return c->path >= BS_PATH_UDP_RELAY;
}

/* Once the connection is open, what may take the place of the way in use is checked first. */
static void consider_open(struct bs_paths *ps, const struct bs_conn *c,
			  const struct bs_rendezvous_client *rv, bs_time now)
{
	const struct bs_candidate *best = bs_rendezvous_client_best(rv);
	const struct bs_path *relay;

	if (ps->check.active || !(is_relayed(c) || ps->suspect))
		return;
	if (best && !bs_endpoint_equal(&best->ep, &c->remote)) {
		start_check(ps, &best->ep, now);
		return;
	}
	relay = ps->suspect ? bs_paths_relay(ps, &c->remote) : NULL;
	if (relay)
		start_check(ps, &relay->ep, now);
}

bool bs_paths_consider(struct bs_paths *ps, struct bs_conn *c,
		       const struct bs_rendezvous_client *rv, bs_time now)
{
	const struct bs_path *relay;

	if (c->state == BS_CONN_OPEN)
		consider_open(ps, c, rv, now);
	if (c->state != BS_CONN_CONNECTING || bs_endpoint_is_set(&c->remote) ||
	    BS_TIME_DIFF(now, ps->relay_at) < 0)
		return false;
	relay = bs_paths_relay(ps, NULL);
	if (!relay)
		return false;
	bs_conn_set_path(c, &relay->ep, (enum bs_conn_path)relay->kind, now);
	return true;
}

void bs_paths_suspect(struct bs_paths *ps, struct bs_conn *c, struct bs_rendezvous_client *rv,
		      bs_time now)
{
	uint8_t i;

	ps->suspect = true;
	ps->searches = 0;
	ps->pace_ms = ps->pace_min_ms;
	/* What worked before says nothing about now. */
	for (i = 0; i < rv->n; i++)
		rv->cand[i].works = false;
	bs_paths_search(ps, rv, now);
	ask_device(ps, now);
	(void)bs_paths_consider(ps, c, rv, now);
}

bool bs_paths_heard(struct bs_paths *ps, struct bs_conn *c, struct bs_rendezvous_client *rv,
		    const struct bs_endpoint *from, const struct bs_endpoint *old, bool was_open,
		    bs_time now)
{
	bool moved = !bs_endpoint_equal(old, &c->remote);

	stretch(ps, c, now);
	ps->heard = now;
	ps->waiting = false;
	ps->tx_pkts = c->stats.tx_pkts;
	/* An answer that was on its way over the relay when the direct way took over. */
	if (moved && was_open && !ps->suspect &&
	    bs_paths_kind(ps, &c->remote) > bs_paths_kind(ps, old)) {
		c->remote = *old;
		return false;
	}
	if (bs_endpoint_equal(from, &c->remote)) {
		c->path = (uint8_t)bs_paths_kind(ps, from);
		ps->suspect = false;
		if (ps->check.active && bs_endpoint_equal(from, &ps->check.ep))
			ps->check.active = false;
		if (!is_relayed(c)) {
			bs_rendezvous_client_stop(rv);
			ps->searching = false;
			ps->paused = false;
			ps->searches = 0;
		}
	}
	return moved;
}

void bs_paths_sent(struct bs_paths *ps, const struct bs_conn *c, bs_time now)
{
	if (ps->waiting || c->stats.tx_pkts == ps->tx_pkts)
		return;
	ps->waiting = true;
	ps->heard_wait = now;
}

/* The check in progress: once more, or given up. */
static void check_timeout(struct bs_paths *ps, struct bs_rendezvous_client *rv, bs_time now)
{
	struct bs_path_check *k = &ps->check;
	uint8_t i;

	if (!k->active || BS_TIME_DIFF(now, k->due) < 0)
		return;
	if (k->tries < CHECK_TRIES) {
		k->waits = true;
		k->due = now + BS_TIME_MS((uint32_t)CHECK_MS << k->tries);
		k->tries++;
		return;
	}
	k->active = false;
	for (i = 0; i < rv->n; i++) {
		if (bs_endpoint_equal(&rv->cand[i].ep, &k->ep))
			rv->cand[i].works = false;
	}
}

static uint32_t next_pause(const struct bs_paths *ps)
{
	uint32_t first = ps->ask.can ? TACTICS - 1 : 0;
	uint32_t doublings;

	if (ps->searches < first)
		return TACTICS_PAUSE_MS;
	doublings = ps->searches - first;
	return (uint32_t)PAUSE_MS << (doublings < PAUSE_DOUBLINGS ? doublings : PAUSE_DOUBLINGS);
}

/* A search that found nothing rests, each time longer. */
static void search_timeout(struct bs_paths *ps, const struct bs_conn *c,
			   struct bs_rendezvous_client *rv, bs_time now)
{
	if (ps->searching && BS_TIME_DIFF(now, ps->search_end) >= 0) {
		bs_rendezvous_client_stop(rv);
		ps->searching = false;
		ps->paused = true;
		ps->search_again = now + BS_TIME_MS(next_pause(ps));
		if (ps->searches < UINT8_MAX)
			ps->searches++;
	}
	if (ps->paused && BS_TIME_DIFF(now, ps->search_again) >= 0) {
		ps->paused = false;
		if (is_relayed(c) || ps->suspect) {
			bs_paths_search(ps, rv, now);
			ask_device(ps, now);
		}
	}
}

bool bs_paths_timeout(struct bs_paths *ps, struct bs_conn *c, struct bs_rendezvous_client *rv,
		      bs_time now)
{
	if (c->state == BS_CONN_OPEN) {
		if (ps->waiting &&
		    BS_TIME_DIFF(now, ps->heard_wait) >= (bs_time_diff)BS_TIME_MS(ANSWER_MS)) {
			ps->waiting = false;
			ps->tx_pkts = c->stats.tx_pkts;
			if (BS_TIME_DIFF(c->keepalive, now) > 0)
				c->keepalive = now;
		}
		if (!ps->suspect && c->retries >= SUSPECT_RETRIES)
			bs_paths_suspect(ps, c, rv, now);
		check_timeout(ps, rv, now);
		search_timeout(ps, c, rv, now);
	}
	return bs_paths_consider(ps, c, rv, now);
}

static size_t put_ask(struct bs_paths *ps, struct bs_conn *c, const struct bs_crypto *crypto,
		      uint8_t *buf, size_t cap, struct bs_endpoint *to, bs_time now)
{
	struct bs_conn_send s = { .tag = BS_TAG_FRAMING };
	uint8_t text[BS_FRAMING_SEARCH_LEN];
	struct bs_slice plain = { text, sizeof(text) };
	bs_ssize len;

	ps->ask.copies--;
	ps->ask.due = now + BS_TIME_MS(ASK_AGAIN_MS);
	bs_search_encode(&ps->ask.m, text);
	len = bs_conn_seal(c, crypto, &s, plain, buf, cap);
	*to = c->remote;
	return len > 0 ? (size_t)len : 0;
}

size_t bs_paths_output(struct bs_paths *ps, struct bs_conn *c, const struct bs_crypto *crypto,
		       uint8_t *buf, size_t cap, struct bs_endpoint *to, bs_time now)
{
	struct bs_conn_send s = { 0 };
	bs_ssize len;

	if (c->state != BS_CONN_OPEN)
		return 0;
	if (ps->ask.copies && BS_TIME_DIFF(now, ps->ask.due) >= 0)
		return put_ask(ps, c, crypto, buf, cap, to, now);
	if (!ps->check.active || !ps->check.waits)
		return 0;
	ps->check.waits = false;
	c->number++;
	len = bs_conn_seal_framing(c, crypto, &s, false, c->number, buf, cap);
	c->sent = now;
	/* One of our own with a higher number over the old way would call the device back. */
	if (!ps->suspect && BS_TIME_DIFF(ps->check.due, c->keepalive) > 0)
		c->keepalive = ps->check.due;
	*to = ps->check.ep;
	return len > 0 ? (size_t)len : 0;
}

/* t is a pointer so that callers may fill it in the same expression that makes has. */
static void earliest(bool *any, bs_time *at, bool has, bs_time t)
{
	if (has && (!*any || BS_TIME_DIFF(t, *at) < 0)) {
		*at = t;
		*any = true;
	}
}

bool bs_paths_next_timeout(const struct bs_paths *ps, const struct bs_conn *c, bs_time *at)
{
	bool open = c->state == BS_CONN_OPEN;
	bool any = false;

	earliest(&any, at,
		 c->state == BS_CONN_CONNECTING && ps->n && !bs_endpoint_is_set(&c->remote),
		 ps->relay_at);
	earliest(&any, at, open && ps->waiting, ps->heard_wait + BS_TIME_MS(ANSWER_MS));
	earliest(&any, at, open && ps->check.active, ps->check.due);
	earliest(&any, at, open && ps->ask.copies, ps->ask.due);
	earliest(&any, at, open && ps->searching, ps->search_end);
	earliest(&any, at, open && ps->paused, ps->search_again);
	return any;
}
