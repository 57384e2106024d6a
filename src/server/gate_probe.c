/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_probe.c - UDP probes: where a client sends from, and what its NAT does with it.
 *
 * An answer is shorter than the probe and goes only to whoever knows the token, so nothing here can
 * be used against others; everything else is counted and dropped.
 */
#include <string.h>

#include "proto/probe.h"
#include "server/gate_internal.h"
#include "util/endpoint.h"

int bs__gate_token_new(struct bs_session *s)
{
	const struct bs_crypto *c = s->gate->w->crypto;
	int err = c->random(c->ctx, s->probe.token, sizeof(s->probe.token));

	if (err != BS_OK)
		return err;
	/* A new key: counters of the old one say nothing about it. */
	bs_window_init(&s->probe.counters);
	bs__gate_token_renew(s);
	return BS_OK;
}

void bs__gate_token_renew(struct bs_session *s)
{
	s->probe.since = s->gate->w->now;
	s->probe.answers = 0;
}

static bool is_fresh(const struct bs_gate_seen *seen, bs_time now)
{
	return seen->at != 0 && BS_TIME_DIFF(now, seen->at) < (bs_time_diff)BS_GATE_MAPPING_LIFE;
}

const struct bs_endpoint *bs__gate_mapping(const struct bs_session *s, int family)
{
	const struct bs_gate_seen *a = &s->probe.seen[family][BS_SEEN_ATTACH];
	const struct bs_gate_seen *c = &s->probe.seen[family][BS_SEEN_CONTROLLER];
	bs_time now = s->gate->w->now;

	/* The attach port is the one that devices know: first choice. */
	if (is_fresh(a, now))
		return &a->ep;
	return is_fresh(c, now) ? &c->ep : NULL;
}

struct bs_nat bs__gate_nat(const struct bs_session *s)
{
	const struct bs_gate_seen *a = &s->probe.seen[0][BS_SEEN_ATTACH];
	const struct bs_gate_seen *c = &s->probe.seen[0][BS_SEEN_CONTROLLER];
	bs_time now = s->gate->w->now;
	struct bs_nat nat = { BS_NAT_UNKNOWN, BS_NAT_UNKNOWN };

	/* What the NAT filters only the client could report, and claims do not count. */
	if (is_fresh(a, now) && is_fresh(c, now))
		nat.mapping =
			bs_endpoint_equal(&a->ep, &c->ep) ? BS_NAT_INDEPENDENT : BS_NAT_BY_PORT;
	return nat;
}

/** Whether this worker has the two ports apart, so that two mappings can be compared. */
static bool two_ports(const struct bs_session *s)
{
	const struct bs_worker *w = s->gate->w;

	for (unsigned i = 0; i < w->n_sockets; i++)
		if (w->socket[i].roles == (BS_SOCKET_CONTROLLER | BS_SOCKET_ATTACH))
			return false;
	return true;
}

bool bs__gate_probe_done(const struct bs_session *s)
{
	bs_time now = s->gate->w->now;
	bool a = is_fresh(&s->probe.seen[0][BS_SEEN_ATTACH], now);
	bool c = is_fresh(&s->probe.seen[0][BS_SEEN_CONTROLLER], now);

	return two_ports(s) ? a && c : a || c;
}

static void remember(struct bs_session *s, uint8_t roles, const struct bs_endpoint *from)
{
	struct bs_gate_seen *seen = s->probe.seen[bs_endpoint_is_ip4(from) ? 0 : 1];
	const struct bs_gate_seen now = { *from, s->gate->w->now };

	if (roles & BS_SOCKET_CONTROLLER)
		seen[BS_SEEN_CONTROLLER] = now;
	/* On a common port one mapping is all there is: it must not pass for two. */
	if ((roles & BS_SOCKET_ATTACH) && !(roles & BS_SOCKET_CONTROLLER))
		seen[BS_SEEN_ATTACH] = now;
}

/** Which socket answers; -1 when the one that is asked for does not exist. */
static int answer_socket(const struct bs_gate *g, const struct bs_probe *probe, unsigned socket,
			 const struct bs_endpoint *from)
{
	const struct bs_worker_socket *at = &g->w->socket[socket];

	switch (probe->ask) {
	case BS_PROBE_ASK_SAME: return (int)socket;
	case BS_PROBE_ASK_OTHER_PORT:
		return bs_worker_socket_find(
			g->w,
			at->roles & BS_SOCKET_CONTROLLER ? BS_SOCKET_ATTACH : BS_SOCKET_CONTROLLER,
			from, (int)socket);
	default: return -1; /* a node has one address */
	}
}

static void answer(struct bs_gate *g, const struct bs_probe *probe, const struct bs_endpoint *from,
		   unsigned socket, const struct bs_endpoint *local)
{
	const struct bs_probe_answer a = { probe->cp, probe->sp, probe->seq, *from };
	uint8_t buf[BS_PROBE_ANSWER_MAX];
	bs_ssize len = bs_probe_answer_encode(&a, buf);

	if (len > 0)
		bs_worker_udp_reply(g->w, socket, local, from, buf, (size_t)len);
	bs_count(g->w->counters, BS_C_probe_answered);
}

void bs__gate_probe(struct bs_gate *g, const struct bs_packet *p, const struct bs_endpoint *from,
		    unsigned socket, const struct bs_endpoint *local)
{
	struct bs_counters *c = g->w->counters;
	struct bs_probe probe;
	struct bs_session *s;

	bs_count(c, BS_C_probe_received);
	if (bs_probe_decode(p->bytes, p->len, &probe) != BS_OK) {
		bs_count(c, BS_C_probe_malformed);
		return;
	}
	s = bs_gate_map_get(&g->probe_map, probe.sp);
	/* A relay binding names a connection: that of a live one does not come here. */
	if (!s || probe.index == BS_PROBE_INDEX_RELAY || s->state != BS_SESSION_OPEN) {
		bs_count(c, BS_C_probe_unknown);
		return;
	}
	if (bs_probe_verify(g->w->crypto, s->probe.token, p->bytes) != BS_OK || probe.cp != s->cp) {
		bs_count(c, BS_C_probe_mac);
		return;
	}
	/* Two sockets are read one after the other, so the second packet may come first. */
	if (probe.counter == 0 || !bs_window_is_new(&s->probe.counters, probe.counter)) {
		bs_count(c, BS_C_probe_replay);
		return;
	}
	if (BS_TIME_DIFF(g->w->now, s->probe.since) > (bs_time_diff)BS_GATE_TOKEN_LIFE) {
		bs_count(c, BS_C_probe_expired);
		return;
	}
	if (s->probe.answers >= BS_GATE_PROBE_ANSWERS) {
		bs_count(c, BS_C_probe_limit);
		return;
	}
	int via = answer_socket(g, &probe, socket, from);

	if (via < 0) {
		bs_count(c, BS_C_probe_no_port);
		return;
	}
	if (bs_window_take(&s->probe.counters, probe.counter) != BS_OK)
		return;
	s->probe.answers++;
	remember(s, g->w->socket[socket].roles, from);
	answer(g, &probe, from, (unsigned)via, local);
	bs__gate_connect_probed(s);
}
