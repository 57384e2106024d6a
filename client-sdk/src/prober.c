/* SPDX-License-Identifier: Apache-2.0 */
#include "prober.h"

#include <string.h>

#include "proto/probe.h"
#include "util/endpoint.h"

/** Gap after each try, in ms: two tries lie within the 100 ms that the server waits. */
static const uint16_t gaps_ms[BSC__PROBE_TRIES] = { 40, 100, 300, 500 };

void bsc__prober_clear(struct bsc__prober *p)
{
	bs_wipe(p->token, sizeof p->token);
	memset(p, 0, sizeof *p);
}

void bsc__prober_set(struct bsc__prober *p, const struct bs_gate_hello_answer *a)
{
	memset(p, 0, sizeof *p);
	memcpy(p->token, a->token, sizeof p->token);
	p->cp = a->h.cp;
	p->sp = a->h.sp;
	p->n = a->n_probes;
	memcpy(p->to, a->probes, sizeof p->to);
}

void bsc__prober_start(struct bsc__prober *p, bs_time now)
{
	if (p->n == 0 || p->active)
		return;
	p->active = true;
	p->try_no = 0;
	p->answered = 0;
	p->waiting = 0;
	p->due = now;
}

bool bsc__prober_input(struct bsc__prober *p, const uint8_t *pkt, size_t len,
		       const struct bs_endpoint *from)
{
	struct bs_probe_answer a;

	if (p->n == 0 || bs_probe_answer_decode(pkt, len, &a) != BS_OK || a.sp != p->sp ||
	    a.cp != p->cp)
		return false;
	/* Not authenticated: only the source and the numbers, which a stranger does not know, speak
	 * for it, and all it does is to fill a field for people and to stop the round. */
	for (uint8_t k = 0; k < p->n; k++)
		if (a.seq == p->seq[k] && bs_endpoint_equal(from, &p->to[k])) {
			p->answered |= (uint8_t)(1u << k);
			p->observed = a.observed;
		}
	if (p->answered == (1u << p->n) - 1)
		p->active = false;
	return true;
}

void bsc__prober_timeout(struct bsc__prober *p, bs_time now)
{
	if (!p->active || BS_TIME_DIFF(now, p->due) < 0)
		return;
	if (p->try_no == BSC__PROBE_TRIES) {
		p->active = false;
		return;
	}
	p->waiting = (uint8_t)(((1u << p->n) - 1) & ~p->answered);
	p->due = now + BS_TIME_MS(gaps_ms[p->try_no]);
	p->try_no++;
}

size_t bsc__prober_output(struct bsc__prober *p, const struct bs_crypto *crypto, uint8_t *buf,
			  size_t cap, struct bs_endpoint *to)
{
	struct bs_probe out = { .cp = p->cp, .sp = p->sp };
	uint8_t k = 0;

	if (p->waiting == 0 || !p->active || cap < BS_PROBE_LEN)
		return 0;
	while ((p->waiting & 1u << k) == 0)
		k++;
	p->waiting &= (uint8_t) ~(1u << k);
	out.index = k;
	out.counter = ++p->counter;
	out.seq = p->seq[k] = (uint16_t)p->counter;
	*to = p->to[k];
	return bs_probe_seal(crypto, p->token, &out, buf) == BS_PROBE_LEN ? BS_PROBE_LEN : 0;
}

bool bsc__prober_next_timeout(const struct bsc__prober *p, bs_time *at)
{
	if (p->active)
		*at = p->due;
	return p->active;
}
