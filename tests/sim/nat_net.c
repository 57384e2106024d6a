/* SPDX-License-Identifier: Apache-2.0 */
#include "nat.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/endpoint.h"

uint32_t world_below(struct world *w, uint32_t n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 17;
	w->rng ^= w->rng << 5;
	return w->rng % n;
}

void world_fail(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->failure[0])
		return;
	va_start(ap, fmt);
	(void)vsnprintf(w->failure, sizeof(w->failure), fmt, ap);
	va_end(ap);
}

static struct bs_endpoint ep4(uint32_t ip, uint16_t port)
{
	struct bs_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	bs_endpoint_set_ip4(&ep, ip, port);
	return ep;
}

bool world_symmetric(const char *kind)
{
	const struct nat_conf *k = nat_kind(kind);

	return k && nat_is_symmetric(k);
}

static void add_box(struct world *w, struct world_side *s, const char *kind, uint32_t outside)
{
	struct nat_conf c = *nat_kind(kind);

	c.outside = ep4(outside, 0);
	c.seed = world_below(w, 1u << 30);
	nat_init(&w->nats[w->n_nats], &c);
	s->box[s->n++] = &w->nats[w->n_nats++];
}

/* Lines differ from run to run: near and far, good and not so good. */
static void add_line(struct world *w, struct world_side *s)
{
	struct link_conf c;

	memset(&c, 0, sizeof(c));
	c.delay_us = 2000 + world_below(w, 40000);
	c.jitter_us = 1 + world_below(w, 10000);
	c.loss_ppm = world_below(w, 10000);
	c.copy_ppm = world_below(w, 2000);
	c.seed = world_below(w, 1u << 30);
	link_init(&s->line, &c);
}

/* Build one side; the address that its host has. */
static uint32_t build(struct world *w, uint8_t n, const char *kind)
{
	struct world_side *s = &w->side[n];

	s->outside = UINT32_C(0xCB007101) + n;
	add_line(w, s);
	if (!strcmp(kind, "open"))
		return s->outside;
	if (!strcmp(kind, "double")) {
		add_box(w, s, "port", UINT32_C(0x64400002) + n);
		add_box(w, s, "random", s->outside);
		return UINT32_C(0x0A010002) + ((uint32_t)n << 16);
	}
	add_box(w, s, kind, s->outside);
	/* A firewall that does not translate: the host has the outside address. */
	return s->box[0]->conf.firewall ? s->outside : UINT32_C(0x0A010002) + ((uint32_t)n << 16);
}

void world_net_init(struct world *w)
{
	size_t h, v;

	for (v = 0; v < WORLD_FLIGHT; v++)
		w->heap[v] = (uint16_t)v;
	if (w->conf.same) {
		w->host[HOST_DEVICE].ip = build(w, 0, w->conf.same);
		w->host[HOST_CLIENT].ip = w->host[HOST_DEVICE].ip + 1;
		w->side[0].lan = w->conf.lan;
	} else {
		w->host[HOST_DEVICE].ip = build(w, 0, w->conf.device);
		w->host[HOST_CLIENT].ip = build(w, 1, w->conf.client);
		w->host[HOST_CLIENT].side = 1;
	}
	/* Sockets get their ports from the system: somewhere in its range, in a row or not. */
	for (h = 0; h < 2; h++)
		for (v = 0; v < WORLD_SOCKETS; v++)
			w->host[h].port[v] =
				(uint16_t)(32768 + (world_below(w, 100) + v * 113) % 28000);
}

/* ---- packets under way: a heap by time */

static bool before(const struct world *w, size_t a, size_t b)
{
	const struct world_packet *x = &w->flight[w->heap[a]];
	const struct world_packet *y = &w->flight[w->heap[b]];

	return x->at != y->at ? BS_TIME_DIFF(x->at, y->at) < 0 : x->number < y->number;
}

static void swap(struct world *w, size_t a, size_t b)
{
	uint16_t t = w->heap[a];

	w->heap[a] = w->heap[b];
	w->heap[b] = t;
}

/* A free slot, or NULL after a storm. */
static struct world_packet *take_slot(struct world *w)
{
	if (w->n_heap == WORLD_FLIGHT) {
		world_fail(w, "a storm: %d packets under way", WORLD_FLIGHT);
		return NULL;
	}
	return &w->flight[w->heap[w->n_heap]];
}

static void launch(struct world *w)
{
	size_t i = w->n_heap++;

	w->flight[w->heap[i]].number = ++w->number;
	for (; i && before(w, i, (i - 1) / 2); i = (i - 1) / 2)
		swap(w, i, (i - 1) / 2);
}

/* Take the earliest off; its slot stays readable until the next launch. */
static struct world_packet *land(struct world *w)
{
	size_t i = 0, child;

	swap(w, 0, --w->n_heap);
	while ((child = 2 * i + 1) < w->n_heap) {
		if (child + 1 < w->n_heap && before(w, child + 1, child))
			child++;
		if (!before(w, child, i))
			break;
		swap(w, i, child);
		i = child;
	}
	return &w->flight[w->heap[w->n_heap]];
}

bool world_net_next(const struct world *w, bs_time *at)
{
	if (!w->n_heap)
		return false;
	*at = w->flight[w->heap[0]].at;
	return true;
}

/* ---- the way of a packet */

struct parcel {
	struct nat_flow f;
	const uint8_t *bytes;
	size_t len;
};

static void post(struct world *w, const struct parcel *p, bs_time at, bool inside, uint8_t where)
{
	struct world_packet *k = take_slot(w);

	if (!k)
		return;
	k->at = at;
	k->inside = inside;
	k->to_host = where;
	k->side = where;
	k->from = p->f.src;
	k->to = p->f.dst;
	k->len = (uint16_t)p->len;
	memcpy(k->bytes, p->bytes, p->len);
	launch(w);
}

/* The host of a side that has this address. */
static bool find_host(const struct world *w, uint8_t side, const struct bs_endpoint *to,
		      uint8_t *host)
{
	for (*host = 0; *host < 2; ++*host)
		if (w->host[*host].side == side && w->host[*host].ip == bs_endpoint_ip4(to))
			return true;
	return false;
}

/* From above box number level - 1 down to the host. */
static bool descend(struct world *w, uint8_t side, size_t level, struct nat_flow *f, uint8_t *host)
{
	while (level--)
		if (nat_input(w->side[side].box[level], NAT_OUTSIDE, f, w->now) != NAT_TO_INSIDE)
			return false;
	return find_host(w, side, &f->dst, host);
}

/* On the internet at a time: to the server, or down a side's line. */
static void cross(struct world *w, struct parcel *p, bs_time at)
{
	uint32_t ip = bs_endpoint_ip4(&p->f.dst);
	struct link_fate fate;
	uint8_t s, i;

	if (ip == WORLD_CONTROLLER_IP || ip == WORLD_ATTACH_IP) {
		post(w, p, at, true, HOST_SERVER);
		return;
	}
	for (s = 0; s < 2; s++)
		if (w->side[s].outside == ip)
			break;
	if (s == 2 || link_input(&w->side[s].line, 1, p->len + 28, at, &fate) != LINK_PASS)
		return;
	for (i = 0; i < fate.n; i++)
		post(w, p, fate.at[i], false, s);
}

static void ascend(struct world *w, uint8_t side, struct parcel *p)
{
	struct world_side *s = &w->side[side];
	enum nat_verdict v;
	struct link_fate fate;
	uint8_t host, i;

	if (s->lan && find_host(w, side, &p->f.dst, &host)) {
		post(w, p, w->now + BS_TIME_MS(1), true, host);
		return;
	}
	for (i = 0; i < s->n; i++) {
		v = nat_input(s->box[i], NAT_INSIDE, &p->f, w->now);
		if (v == NAT_DROP)
			return;
		if (v == NAT_TO_INSIDE) {
			if (descend(w, side, i, &p->f, &host))
				post(w, p, w->now + BS_TIME_MS(2), true, host);
			return;
		}
	}
	if (link_input(&s->line, 0, p->len + 28, w->now, &fate) != LINK_PASS)
		return;
	for (i = 0; i < fate.n; i++)
		cross(w, p, fate.at[i]);
}

void world_send(struct world *w, enum world_host_id from, const struct bs_endpoint *src,
		const struct bs_endpoint *to, const uint8_t *bytes, size_t len)
{
	uint16_t via = bs_endpoint_via(to);
	struct parcel p;

	w->sent++;
	if (len > WORLD_PACKET) {
		world_fail(w, "a packet of %zu bytes", len);
		return;
	}
	memset(&p, 0, sizeof(p));
	p.f.proto = NAT_UDP;
	p.f.dst = *to;
	bs_endpoint_set_via(&p.f.dst, 0);
	p.bytes = bytes;
	p.len = len;
	if (via == BS_VIA_STREAM) {
		/* A byte stream between client and basestation: it arrives, whatever UDP may do. */
		p.f.src = *to;
		post(w, &p, w->now + BS_TIME_MS(40), true,
		     from == HOST_SERVER ? HOST_CLIENT : HOST_SERVER);
	} else if (from == HOST_SERVER) {
		p.f.src = *src;
		cross(w, &p, w->now);
	} else if (via < WORLD_SOCKETS) {
		p.f.src = ep4(w->host[from].ip, w->host[from].port[via]);
		ascend(w, w->host[from].side, &p);
	} else {
		world_fail(w, "a packet for socket %u, which nobody opened", via);
	}
}

/* Which socket of a host has this port: the packet says where it came in. */
static bool name_socket(const struct world *w, struct world_packet *p)
{
	uint16_t v;

	if (p->to_host == HOST_SERVER || bs_endpoint_via(&p->from) == BS_VIA_STREAM)
		return true;
	for (v = 0; v < WORLD_SOCKETS; v++) {
		if (w->host[p->to_host].port[v] != p->to.port)
			continue;
		bs_endpoint_set_via(&p->from, v);
		return true;
	}
	return false;
}

void world_net_run(struct world *w)
{
	struct world_packet p;
	struct nat_flow f;

	while (w->n_heap && BS_TIME_DIFF(w->flight[w->heap[0]].at, w->now) <= 0) {
		/* A copy: what it causes may need the slot. */
		p = *land(w);
		if (!p.inside) {
			memset(&f, 0, sizeof(f));
			f.proto = NAT_UDP;
			f.src = p.from;
			f.dst = p.to;
			if (!descend(w, p.side, w->side[p.side].n, &f, &p.to_host))
				continue;
			p.to = f.dst;
		}
		if (name_socket(w, &p))
			world_deliver(w, &p);
	}
}
