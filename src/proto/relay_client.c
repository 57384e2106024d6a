/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/relay_client.h"

#include <string.h>

#include "util/endpoint.h"

/* After each binding without an answer, in ms; the last one for all further. */
static const uint16_t gaps_ms[] = { 150, 300, 600, 1000, 2000, 4000 };

#define GAPS (sizeof(gaps_ms) / sizeof(gaps_ms[0]))

void bs_relay_client_init(struct bs_relay_client *r, const struct bs_crypto *crypto,
			  const uint8_t key[BS_TOKEN_LEN], uint32_t nsi, uint32_t cp)
{
	memset(r, 0, sizeof(*r));
	r->crypto = crypto;
	r->nsi = nsi;
	r->cp = cp;
	memcpy(r->key, key, sizeof(r->key));
}

void bs_relay_client_fini(struct bs_relay_client *r)
{
	bs_wipe(r, sizeof(*r));
}

void bs_relay_client_add(struct bs_relay_client *r, const struct bs_endpoint *ep)
{
	if (r->n < BS_RELAY_CLIENT_EPS && bs_endpoint_is_set(ep))
		r->to[r->n++] = *ep;
}

/* A new series of bindings; only an answer to one of them counts. */
static void begin(struct bs_relay_client *r, bs_time now)
{
	r->tries = 0;
	r->first = (uint16_t)(r->counter + 1);
	r->due = now;
}

void bs_relay_client_start(struct bs_relay_client *r, bs_time now)
{
	if (r->n == 0 || r->running)
		return;
	r->running = true;
	begin(r, now);
}

void bs_relay_client_stop(struct bs_relay_client *r)
{
	r->running = false;
	r->bound = false;
	r->waits = false;
}

void bs_relay_client_rebind(struct bs_relay_client *r, bs_time now)
{
	if (r->running)
		begin(r, now);
}

void bs_relay_client_rest(struct bs_relay_client *r, bool rest, bs_time now)
{
	/* One that is not bound yet goes on: it is there when the direct path fails. */
	rest = rest && r->bound && r->tries == 0;
	if (rest == r->resting)
		return;
	r->resting = rest;
	if (!rest)
		bs_relay_client_rebind(r, now);
}

const struct bs_endpoint *bs_relay_client_endpoint(const struct bs_relay_client *r)
{
	return r->bound ? &r->to[r->at] : NULL;
}

int bs_relay_client_input(struct bs_relay_client *r, const uint8_t *pkt, size_t len,
			  const struct bs_endpoint *from, bs_time now)
{
	struct bs_probe_answer a;
	int err = bs_probe_answer_decode(pkt, len, &a);

	if (err)
		return err;
	if (!r->running || a.sp != r->nsi || a.cp != r->cp)
		return BS_EUNKNOWN;
	if (!bs_endpoint_equal(from, &r->to[r->at]))
		return BS_ESOURCE;
	/* Not authenticated: the numbers, which a stranger cannot know, must fit a binding that is
	 * under way, and all a liar gains is that we believe in a relay that does not answer. */
	if (r->tries == 0 || (uint16_t)(a.seq - r->first) > (uint16_t)(r->counter - r->first))
		return BS_EREPLAY;
	if (a.seq == (uint16_t)r->counter)
		r->rtt_us = (uint32_t)(BS_TIME_DIFF(now, r->sent) / 1000) + 1;
	r->observed = a.observed;
	if (!r->bound)
		r->events |= BS_RELAY_EV_BOUND;
	r->bound = true;
	r->waits = false;
	begin(r, now + BS_TIME_MS(BS_RELAY_REFRESH_MS));
	return BS_OK;
}

/* It does not answer: tell, and try the next one. */
static void give_up(struct bs_relay_client *r)
{
	if (r->bound) {
		r->lost = r->to[r->at];
		r->events |= BS_RELAY_EV_LOST;
	}
	r->bound = false;
	r->at = (uint8_t)((r->at + 1) % r->n);
	r->tries = 0;
}

void bs_relay_client_timeout(struct bs_relay_client *r, bs_time now)
{
	if (!r->running || r->resting || BS_TIME_DIFF(now, r->due) < 0)
		return;
	if (r->tries == BS_RELAY_TRIES)
		give_up(r);
	r->waits = true;
	r->due = now + BS_TIME_MS(gaps_ms[r->tries < GAPS ? r->tries : GAPS - 1]);
	r->tries++;
}

size_t bs_relay_client_output(struct bs_relay_client *r, uint8_t *buf, size_t cap,
			      struct bs_endpoint *to, bs_time now)
{
	struct bs_probe p = { .cp = r->cp, .sp = r->nsi, .index = BS_PROBE_INDEX_RELAY };

	if (!r->waits || cap < BS_PROBE_LEN)
		return 0;
	r->waits = false;
	p.counter = ++r->counter;
	p.seq = (uint16_t)p.counter;
	if (bs_probe_seal(r->crypto, r->key, &p, buf) != BS_PROBE_LEN)
		return 0;
	*to = r->to[r->at];
	r->sent = now;
	return BS_PROBE_LEN;
}

bool bs_relay_client_next_timeout(const struct bs_relay_client *r, bs_time *at)
{
	*at = r->due;
	return r->running && !r->resting;
}

uint8_t bs_relay_client_take_events(struct bs_relay_client *r)
{
	uint8_t e = r->events;

	r->events = 0;
	return e;
}
