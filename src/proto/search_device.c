/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/search_device.h"

#include <string.h>

#include "util/endpoint.h"

enum {
	/* A further socket so often, when our own NAT is symmetric. */
	SOCKET_GAP_MS = 20,
	/* The longest that a search may be put off. */
	DELAY_MAX_MS = 1000,
	/* Searches that a client asks for come no closer. */
	AGAIN_MS = 2000,
	START_LEN = 2,
};

static void spray(struct bs_device_conn *dc, const struct bs_connect_env *env, bool guess,
		  bool sockets, uint8_t round, bs_time at)
{
	struct bs_spray *s = bs_device_spray(dc);

	bs_spray_stop(s);
	if (guess)
		bs_spray_ports(s, &dc->c.global, round, at);
	else if (sockets)
		bs_spray_sockets(s, &dc->c.global, bs_device_sockets(env->conf), 1, SOCKET_GAP_MS,
				 at);
}

static uint32_t delay_of(const struct bs_packet *p)
{
	struct bs_payload pl;
	uint16_t ms;

	if (!bs_payload_find(p, BS_PL_START, &pl) || pl.len != START_LEN)
		return 0;
	ms = bs_get_u16(pl.data);
	return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

/* The client's IPv6 endpoints, but for one that took the place of an IPv4 one. */
static void take_more(struct bs_device_conn *dc, const struct bs_connect_env *env,
		      const struct bs_packet *p)
{
	struct bs_search_state *st = bs_device_search(dc);
	struct bs_ep6 eps[BS_SEARCH_MORE];
	uint8_t kind;
	size_t n;
	size_t i;

	for (kind = BS_EP6_HOST; kind <= BS_EP6_OBSERVED && env->granted & BS_EXT_IP6; kind++) {
		n = bs_ep6_collect(p, kind, eps, (size_t)(BS_SEARCH_MORE - st->n_more));
		for (i = 0; i < n; i++) {
			if (!bs_endpoint_equal(&eps[i].ep, &dc->c.priv) &&
			    !bs_endpoint_equal(&eps[i].ep, &dc->c.global))
				st->more[st->n_more++] = eps[i].ep;
		}
	}
}

void bs_search_device_timeout(struct bs_device_conn *dc, bs_time now)
{
	struct bs_search_state *st = bs_device_search(dc);

	bs_spray_timeout(bs_device_spray(dc), now);
	if (st->rounds != dc->rv.rounds) {
		st->rounds = dc->rv.rounds;
		st->more_left = st->n_more;
	}
}

bool bs_search_device_next(struct bs_device_conn *dc, struct bs_endpoint *to)
{
	struct bs_search_state *st = bs_device_search(dc);

	if (st->more_left) {
		*to = st->more[--st->more_left];
		return true;
	}
	return bs_spray_next(bs_device_spray(dc), to);
}

void bs_search_device_stop(struct bs_device_conn *dc)
{
	bs_spray_stop(bs_device_spray(dc));
	bs_device_search(dc)->more_left = 0;
	bs_device_search(dc)->rounds = 0;
}

void bs_search_device_start(struct bs_device_conn *dc, const struct bs_connect_env *env,
			    const struct bs_packet *p, uint8_t ipx_flags, bs_time now)
{
	bool client = (ipx_flags & BS_IPX_NAT_MASK) == BS_IPX_NAT_SYMMETRIC;
	struct bs_search_state *st = bs_device_search(dc);
	struct bs_spray *s = bs_device_spray(dc);
	uint32_t delay = env->granted & BS_EXT_PATH ? delay_of(p) : 0;

	if (!s || !st)
		return;
	memset(s, 0, sizeof(*s));
	memset(st, 0, sizeof(*st));
	take_more(dc, env, p);
	/* Put off, the first round comes by the timer. */
	st->rounds = delay ? BS_RENDEZVOUS_ROUNDS : dc->rv.rounds;
	st->more_left = delay ? 0 : st->n_more;
	if (delay && dc->c.searched)
		bs_rendezvous_put_off(&dc->rv, now + BS_TIME_MS(delay));
	/* With both sides symmetric nothing helps. */
	if (dc->c.searched && client != env->symmetric)
		spray(dc, env, client, env->symmetric, 0, now + BS_TIME_MS(delay));
}

/* Addresses that the client is known by: what the basestation saw, and where its packets come
 * from. */
static bool is_known(const struct bs_conn *c, const struct bs_endpoint *observed,
		     const struct bs_endpoint *ep)
{
	return memcmp(observed->ip, ep->ip, sizeof(ep->ip)) == 0 ||
	       memcmp(c->remote.ip, ep->ip, sizeof(ep->ip)) == 0;
}

int bs_search_device_input(struct bs_device_conn *dc, const struct bs_connect_env *env,
			   struct bs_slice text, bs_time now)
{
	struct bs_search_state *st = bs_device_search(dc);
	struct bs_search m;
	bool known;
	int err = bs_search_decode(text, &m);

	if (err)
		return err;
	if (!st || !(env->granted & BS_EXT_PATH) || dc->c.state != BS_CONN_OPEN)
		return BS_ESTATE;
	if (m.number <= st->number ||
	    (st->number && BS_TIME_DIFF(now, st->at) < (bs_time_diff)BS_TIME_MS(AGAIN_MS)))
		return BS_EREPLAY;
	if (!st->number)
		st->observed = dc->c.global;
	st->number = m.number;
	st->at = now;
	known = is_known(&dc->c, &st->observed, &m.global);
	dc->c.priv = m.priv;
	dc->c.global = m.global;
	bs_rendezvous_start(&dc->rv, false, now);
	if (m.delay_ms)
		bs_rendezvous_put_off(
			&dc->rv,
			now + BS_TIME_MS(m.delay_ms < DELAY_MAX_MS ? m.delay_ms : DELAY_MAX_MS));
	spray(dc, env, known && (m.flags & BS_SEARCH_GUESS), known && (m.flags & BS_SEARCH_SOCKETS),
	      (uint8_t)m.number, now);
	return BS_OK;
}
