/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rendezvous.h"

#include <string.h>

#include "proto/rendezvous_packet.h"
#include "util/endpoint.h"

/* Gaps between the first rounds: a path on the local network should not wait for a second. */
static const uint16_t round_gap_ms[] = { 100, 150, 250, 500 };

#define N_GAPS       (sizeof(round_gap_ms) / sizeof(round_gap_ms[0]))
#define LATER_GAP_MS 1000u

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

int bs_rendezvous_client_add(struct bs_rendezvous_client *r, const struct bs_endpoint *ep,
			     enum bs_candidate_kind kind)
{
	struct bs_candidate *c;

	if (!bs_endpoint_is_set(ep) || find(r, ep))
		return BS_OK;
	if (r->n == BS_RENDEZVOUS_CANDIDATES)
		return BS_EFULL;
	c = &r->cand[r->n++];
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

void bs_rendezvous_client_start(struct bs_rendezvous_client *r, bs_time now)
{
	r->active = true;
	r->round = 0;
	begin_round(r, now);
}

void bs_rendezvous_client_stop(struct bs_rendezvous_client *r)
{
	uint8_t i;

	r->active = false;
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
	return 0;
}

bool bs_rendezvous_client_next_timeout(const struct bs_rendezvous_client *r, bs_time *at)
{
	*at = r->due;
	return r->active;
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
