/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rendezvous.h"

#include <string.h>

#include "proto/rendezvous_packet.h"
#include "util/endpoint.h"

/* Gaps between the first rounds: a path on the local network should not wait for a second. */
static const uint16_t round_gap_ms[] = { 100, 150, 250, 500 };

#define N_GAPS       (sizeof(round_gap_ms) / sizeof(round_gap_ms[0]))
#define LATER_GAP_MS 1000u

enum {
	/* Many symmetric NATs let the usual rounds through: the spray waits for these. */
	SPRAY_DELAY_MS = 200,
	/* Pace of our own sockets. */
	SOCKETS_PER_TICK = 5,
	SOCKETS_GAP_MS = 20,
};

void bs_rendezvous_client_init(struct bs_rendezvous_client *r, uint32_t interval_ms)
{
	memset(r, 0, sizeof(*r));
	r->interval_ms = interval_ms;
}

static struct bs_candidate *find(struct bs_rendezvous_client *r, const struct bs_endpoint *ep)
{
	uint8_t i;

	for (i = 0; i < r->n; i++) {
		if (bs_endpoint_equal(&r->cand[i].ep, ep))
			return &r->cand[i];
	}
	return NULL;
}

/* In a full list what was learnt goes first: a spray brings many, and the newest is the one that
 * is about to prove itself. */
static struct bs_candidate *replaceable(struct bs_rendezvous_client *r, enum bs_candidate_kind kind)
{
	uint8_t i;

	for (i = 0; kind == BS_CANDIDATE_LEARNED && i < r->n; i++) {
		if (r->cand[i].kind == BS_CANDIDATE_LEARNED && !r->cand[i].works)
			return &r->cand[i];
	}
	return NULL;
}

int bs_rendezvous_client_add(struct bs_rendezvous_client *r, const struct bs_endpoint *ep,
			     enum bs_candidate_kind kind)
{
	struct bs_candidate *c = find(r, ep);

	if (!bs_endpoint_is_set(ep))
		return BS_OK;
	if (c) {
		/* A public address of its own, behind nothing or a firewall: not local, and a spray
		 * may have to go there. */
		if (kind == BS_CANDIDATE_OBSERVED && !bs_endpoint_is_private(ep))
			c->kind = BS_CANDIDATE_OBSERVED;
		return BS_OK;
	}
	c = r->n < BS_RENDEZVOUS_CANDIDATES ? &r->cand[r->n++] : replaceable(r, kind);
	if (!c)
		return BS_EFULL;
	c->ep = *ep;
	c->kind = (uint8_t)kind;
	c->works = false;
	c->waits = r->active;
	return BS_OK;
}

static void begin_round(struct bs_rendezvous_client *r, bs_time now)
{
	uint32_t gap = r->round < N_GAPS ? round_gap_ms[r->round] : LATER_GAP_MS;
	uint8_t i;

	for (i = 0; i < r->n; i++)
		r->cand[i].waits = !r->cand[i].works;
	if (r->round < N_GAPS)
		r->round++;
	r->due = now + BS_TIME_MS(gap);
}

void bs_rendezvous_client_tactics(struct bs_rendezvous_client *r, uint16_t sockets, bool guess)
{
	bool hopeless = sockets && guess;

	r->sockets = hopeless ? 0 : sockets;
	r->guess = guess && !hopeless;
}

void bs_rendezvous_client_start(struct bs_rendezvous_client *r, bs_time now)
{
	r->active = true;
	r->round = 0;
	begin_round(r, now);
	bs_spray_stop(&r->spray);
	r->spray_waits = r->sockets || r->guess;
	r->spray_at = now + BS_TIME_MS(SPRAY_DELAY_MS);
}

/* The spray goes to where the basestation sees the device. */
static void start_spray(struct bs_rendezvous_client *r, bs_time now)
{
	uint8_t i;

	r->spray_waits = false;
	for (i = 0; i < r->n; i++) {
		const struct bs_candidate *c = &r->cand[i];

		if (c->works)
			return;
		if (c->kind != BS_CANDIDATE_OBSERVED || !bs_endpoint_is_ip4(&c->ep))
			continue;
		if (r->sockets)
			bs_spray_sockets(&r->spray, &c->ep, r->sockets, SOCKETS_PER_TICK,
					 SOCKETS_GAP_MS, now);
		else
			bs_spray_ports(&r->spray, &c->ep, r->spray_round++, now);
		return;
	}
}

void bs_rendezvous_client_stop(struct bs_rendezvous_client *r)
{
	uint8_t i;

	r->active = false;
	r->spray_waits = false;
	bs_spray_stop(&r->spray);
	for (i = 0; i < r->n; i++)
		r->cand[i].waits = false;
}

int bs_rendezvous_client_input(struct bs_rendezvous_client *r, const struct bs_packet *p,
			       const struct bs_endpoint *from, bool *works)
{
	struct bs_rendezvous_packet m;
	struct bs_candidate *c;
	int err;

	*works = false;
	if (!bs_endpoint_is_set(from))
		return BS_ESOURCE;
	err = bs__rendezvous_take(p, from, &m, &r->answer);

	if (err)
		return err;
	/* A full list costs a path that nobody told us of; the packet is answered all the same. */
	(void)bs_rendezvous_client_add(r, from, BS_CANDIDATE_LEARNED);
	if (m.step == BS__STEP_OPEN)
		return BS_OK;
	/* Stock devices on dual-stack sockets leave it at 0.0.0.0. */
	if (bs_endpoint_is_set(&m.ep1))
		r->self = m.ep1;
	c = find(r, from);
	if (c) {
		bs_spray_stop(&r->spray);
		r->spray_waits = false;
		c->works = true;
		c->waits = false;
		*works = true;
	}
	return BS_OK;
}

void bs_rendezvous_client_timeout(struct bs_rendezvous_client *r, bs_time now)
{
	if (r->active && BS_TIME_DIFF(now, r->due) >= 0)
		begin_round(r, now);
	if (r->spray_waits && BS_TIME_DIFF(now, r->spray_at) >= 0)
		start_spray(r, now);
	bs_spray_timeout(&r->spray, now);
}

size_t bs_rendezvous_client_output(struct bs_rendezvous_client *r, uint32_t nsi, uint8_t *buf,
				   size_t cap, struct bs_endpoint *to)
{
	uint8_t step = r->answer.step;
	uint8_t i;

	if (step) {
		r->answer.step = 0;
		*to = r->answer.to;
		return bs__rendezvous_put(buf, cap, nsi, step, to, &r->answer.ep1, r->interval_ms);
	}
	for (i = 0; i < r->n; i++) {
		if (!r->cand[i].waits)
			continue;
		r->cand[i].waits = false;
		*to = r->cand[i].ep;
		return bs__rendezvous_put(buf, cap, nsi, 0, to, to, 0);
	}
	return bs_spray_next(&r->spray, to) ? bs_rendezvous_open(nsi, to, buf, cap) : 0;
}

bool bs_rendezvous_client_next_timeout(const struct bs_rendezvous_client *r, bs_time *at)
{
	bs_time t;

	if (!r->active)
		return false;
	*at = r->due;
	if (r->spray_waits && BS_TIME_DIFF(r->spray_at, *at) < 0)
		*at = r->spray_at;
	if (bs_spray_next_timeout(&r->spray, &t) && BS_TIME_DIFF(t, *at) < 0)
		*at = t;
	return true;
}

const struct bs_candidate *bs_rendezvous_client_best(const struct bs_rendezvous_client *r)
{
	const struct bs_candidate *best = NULL;
	uint8_t i;

	for (i = 0; i < r->n; i++) {
		if (r->cand[i].works && (!best || r->cand[i].kind < best->kind))
			best = &r->cand[i];
	}
	return best;
}
