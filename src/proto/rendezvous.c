/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rendezvous.h"

#include <string.h>

#include "proto/rendezvous_packet.h"
#include "util/endpoint.h"

/* Packets of a round that wait (bs_rendezvous_device.send). */
enum {
	SEND_PRIVATE = 0x01,
	SEND_GLOBAL = 0x02,
};

size_t bs__rendezvous_put(uint8_t *buf, size_t cap, uint32_t nsi, uint8_t step,
			  const struct bs_endpoint *ep1, const struct bs_endpoint *ep2,
			  uint32_t interval_ms)
{
	struct bs_rendezvous_packet m;
	bs_ssize len;

	m.nsi = nsi;
	m.step = step;
	m.ep1 = *ep1;
	m.ep2 = *ep2;
	m.interval_ms = interval_ms;
	len = bs_rendezvous_packet_encode(buf, cap, &m);
	return len > 0 ? (size_t)len : 0;
}

int bs__rendezvous_take(const struct bs_packet *p, const struct bs_endpoint *from,
			struct bs_rendezvous_packet *m, struct bs_rendezvous_answer *a)
{
	int err;

	if (p->h.flags != 0)
		return BS_ETYPE;
	err = bs_rendezvous_packet_decode(p, m);
	if (err || m->step == BS__STEP_DONE)
		return err;
	a->to = *from;
	a->ep1 = m->ep1;
	a->step = (uint8_t)(m->step + 1);
	return BS_OK;
}

size_t bs_rendezvous_open(uint32_t nsi, const struct bs_endpoint *to, uint8_t *buf, size_t cap)
{
	return bs__rendezvous_put(buf, cap, nsi, BS__STEP_OPEN, to, to, 0);
}

void bs_rendezvous_start(struct bs_rendezvous_device *r, bool no_search, bs_time now)
{
	memset(r, 0, sizeof(*r));
	r->rounds = no_search ? 0 : BS_RENDEZVOUS_ROUNDS - 1;
	r->send = SEND_PRIVATE | SEND_GLOBAL;
	r->due = now + BS_TIME_MS(BS_RENDEZVOUS_ROUND_MS);
}

void bs_rendezvous_put_off(struct bs_rendezvous_device *r, bs_time at)
{
	r->send = 0;
	r->rounds = BS_RENDEZVOUS_ROUNDS;
	r->due = at;
}

void bs_rendezvous_stop(struct bs_rendezvous_device *r)
{
	r->rounds = 0;
	r->send = 0;
	r->stopped = true;
}

int bs_rendezvous_input(struct bs_rendezvous_device *r, const struct bs_packet *p,
			const struct bs_endpoint *from, struct bs_rendezvous_in *in)
{
	struct bs_rendezvous_packet m;
	int err = bs__rendezvous_take(p, from, &m, &r->answer);

	if (err)
		return err;
	in->concluded = m.step != BS__STEP_OPEN && !r->stopped;
	in->interval_ms = m.interval_ms;
	if (in->concluded)
		bs_rendezvous_stop(r);
	return BS_OK;
}

void bs_rendezvous_timeout(struct bs_rendezvous_device *r, bs_time now)
{
	if (r->rounds == 0 || BS_TIME_DIFF(now, r->due) < 0)
		return;
	r->rounds--;
	r->send = SEND_PRIVATE | SEND_GLOBAL;
	r->due = now + BS_TIME_MS(BS_RENDEZVOUS_ROUND_MS);
}

size_t bs_rendezvous_output(struct bs_rendezvous_device *r, uint32_t nsi,
			    const struct bs_endpoint *priv, const struct bs_endpoint *global,
			    uint8_t *buf, size_t cap, struct bs_endpoint *to)
{
	const struct bs_endpoint *ep;

	if (r->answer.step) {
		*to = r->answer.to;
		ep = &r->answer.ep1;
		nsi = (uint32_t)bs__rendezvous_put(buf, cap, nsi, r->answer.step, to, ep, 0);
		r->answer.step = 0;
		return nsi;
	}
	while (r->send) {
		ep = r->send & SEND_PRIVATE ? priv : global;
		r->send &= r->send & SEND_PRIVATE ? (uint8_t)~SEND_PRIVATE : 0;
		if (!bs_endpoint_is_set(ep))
			continue;
		*to = *ep;
		return bs__rendezvous_put(buf, cap, nsi, BS__STEP_OPEN, ep, ep, 0);
	}
	return 0;
}

bool bs_rendezvous_next_timeout(const struct bs_rendezvous_device *r, bs_time *at)
{
	*at = r->due;
	return r->rounds > 0;
}
