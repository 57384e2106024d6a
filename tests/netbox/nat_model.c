/* SPDX-License-Identifier: Apache-2.0 */
#include "nat_model.h"

#include <string.h>

#include "util/endpoint.h"

/* Chains and free lists hold index + 1, so that zero is an empty list after memset. */

#define UDP_DEFAULT_MS 120000u
#define TCP_DEFAULT_MS 3600000u
#define CLOSING_MS     120000u
#define FIRST_PORT     1024u

static uint32_t below(struct nat *n, uint32_t limit)
{
	n->rng ^= n->rng << 13;
	n->rng ^= n->rng >> 17;
	n->rng ^= n->rng << 5;
	return n->rng % limit;
}

static uint32_t mix(uint32_t h, const uint8_t *bytes, size_t len)
{
	while (len--)
		h = (h ^ *bytes++) * 16777619u;
	return h;
}

static uint32_t hash_endpoint(uint32_t h, const struct bs_endpoint *ep)
{
	uint8_t port[2] = { (uint8_t)(ep->port >> 8), (uint8_t)ep->port };

	h = mix(mix(h, ep->ip, sizeof(ep->ip)), port, sizeof(port));
	return (h ^ h >> 15) % NAT_BUCKETS;
}

static uint32_t hash_port(uint8_t proto, uint16_t port)
{
	return ((uint32_t)proto * 40503u + port) % NAT_BUCKETS;
}

/* As much of a remote as a rule looks at. */
static struct bs_endpoint seen_by(enum nat_rule rule, const struct bs_endpoint *remote)
{
	struct bs_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	if (rule == NAT_INDEPENDENT)
		return ep;
	memcpy(ep.ip, remote->ip, sizeof(ep.ip));
	if (rule == NAT_BY_ADDRESS_PORT)
		ep.port = remote->port;
	return ep;
}

static bool same(const struct bs_endpoint *a, const struct bs_endpoint *b)
{
	return a->port == b->port && !memcmp(a->ip, b->ip, sizeof(a->ip));
}

static enum nat_rule mapping_of(const struct nat *n, uint8_t proto)
{
	return proto == NAT_ECHO || n->conf.firewall ? NAT_INDEPENDENT : n->conf.mapping;
}

static enum nat_rule filtering_of(const struct nat *n, uint8_t proto)
{
	return proto == NAT_UDP ? n->conf.filtering : NAT_BY_ADDRESS_PORT;
}

static uint32_t life_ms(const struct nat *n, const struct nat_map *m)
{
	if (m->closing)
		return CLOSING_MS;
	if (m->proto == NAT_TCP)
		return n->conf.tcp_ms ? n->conf.tcp_ms : TCP_DEFAULT_MS;
	return n->conf.udp_ms ? n->conf.udp_ms : UDP_DEFAULT_MS;
}

static bool alive(const struct nat *n, const struct nat_map *m, bs_time used, bs_time now)
{
	return BS_TIME_DIFF(now, used) < BS_TIME_DIFF(BS_TIME_MS(life_ms(n, m)), 0);
}

void nat_forget(struct nat *n)
{
	size_t i;

	memset(n->by_inside, 0, sizeof(n->by_inside));
	memset(n->by_port, 0, sizeof(n->by_port));
	memset(n->by_pass, 0, sizeof(n->by_pass));
	for (i = 0; i < NAT_MAPS; i++) {
		n->map[i].live = false;
		n->map[i].age++;
		n->map[i].next_inside = (uint16_t)(i + 1 < NAT_MAPS ? i + 2 : 0);
	}
	for (i = 0; i < NAT_PASSES; i++) {
		n->pass[i].map = 0;
		n->pass[i].next = (uint16_t)(i + 1 < NAT_PASSES ? i + 2 : 0);
	}
	n->free_map = 1;
	n->free_pass = 1;
}

void nat_init(struct nat *n, const struct nat_conf *conf)
{
	memset(n, 0, sizeof(*n));
	n->conf = *conf;
	n->rng = (conf->seed + 1u) * 2654435761u;
	if (!n->rng)
		n->rng = 1;
	/* Where the counting starts is nobody's business, but the seed's. */
	n->next_port = (uint16_t)(FIRST_PORT + below(n, 65536u - FIRST_PORT));
	nat_forget(n);
}

bool nat_is_symmetric(const struct nat_conf *conf)
{
	/* One that keeps the inside port for every remote looks, and is, independent. */
	return conf->mapping != NAT_INDEPENDENT && !conf->firewall &&
	       conf->ports != NAT_PORTS_PRESERVE;
}

static uint16_t *bucket_inside(struct nat *n, const struct bs_endpoint *inside)
{
	return &n->by_inside[hash_endpoint(2166136261u, inside)];
}

static uint16_t *bucket_pass(struct nat *n, uint16_t map, const struct bs_endpoint *remote)
{
	return &n->by_pass[hash_endpoint(2166136261u ^ map * 2654435761u, remote)];
}

static void free_map(struct nat *n, struct nat_map *m)
{
	uint16_t id = (uint16_t)(m - n->map + 1);
	uint16_t *at;

	for (at = bucket_inside(n, &m->inside); *at != id;)
		at = &n->map[*at - 1].next_inside;
	*at = m->next_inside;
	for (at = &n->by_port[hash_port(m->proto, m->port)]; *at != id;)
		at = &n->map[*at - 1].next_port;
	*at = m->next_port;
	m->live = false;
	m->age++; /* its permissions are void from now on */
	m->next_inside = n->free_map;
	n->free_map = id;
}

static void sweep_maps(struct nat *n, bs_time now)
{
	size_t i;

	for (i = 0; i < NAT_MAPS; i++)
		if (n->map[i].live && !alive(n, &n->map[i], n->map[i].used, now))
			free_map(n, &n->map[i]);
}

static bool pass_holds(const struct nat *n, const struct nat_pass *p, bs_time now)
{
	const struct nat_map *m = &n->map[p->map - 1];

	return m->live && m->age == p->age && alive(n, m, p->used, now);
}

static void sweep_passes(struct nat *n, bs_time now)
{
	size_t i;

	for (i = 0; i < NAT_BUCKETS; i++) {
		uint16_t *at = &n->by_pass[i];

		while (*at) {
			struct nat_pass *p = &n->pass[*at - 1];
			uint16_t id = *at;

			if (pass_holds(n, p, now)) {
				at = &p->next;
				continue;
			}
			*at = p->next;
			p->map = 0;
			p->next = n->free_pass;
			n->free_pass = id;
		}
	}
}

static struct nat_map *find_inside(struct nat *n, uint8_t proto, const struct bs_endpoint *inside,
				   const struct bs_endpoint *remote, bs_time now)
{
	struct bs_endpoint key = seen_by(mapping_of(n, proto), remote);
	uint16_t id = *bucket_inside(n, inside);

	while (id) {
		struct nat_map *m = &n->map[id - 1];

		id = m->next_inside;
		if (m->proto != proto || !same(&m->inside, inside) || !same(&m->remote, &key))
			continue;
		if (alive(n, m, m->used, now))
			return m;
		free_map(n, m);
		return NULL;
	}
	return NULL;
}

/* Whether an outside port cannot be given to this inside endpoint. */
static bool taken(struct nat *n, uint8_t proto, uint16_t port, const struct bs_endpoint *inside,
		  bs_time now)
{
	bool share = n->conf.ports == NAT_PORTS_PRESERVE;
	uint16_t id = n->by_port[hash_port(proto, port)];

	while (id) {
		const struct nat_map *m = &n->map[id - 1];

		id = m->next_port;
		if (m->proto != proto || m->port != port || !alive(n, m, m->used, now))
			continue;
		/* Mappings of one endpoint may share a port where ports are preserved. */
		if (!share || !same(&m->inside, inside))
			return true;
	}
	return false;
}

static uint16_t next_port(struct nat *n)
{
	if (n->conf.ports == NAT_PORTS_RANDOM)
		return (uint16_t)(FIRST_PORT + below(n, 65536u - FIRST_PORT));
	n->next_port = (uint16_t)(n->next_port == 65535 ? FIRST_PORT : n->next_port + 1u);
	return n->next_port;
}

/* 0 when there is none. */
static uint16_t choose_port(struct nat *n, uint8_t proto, const struct bs_endpoint *inside,
			    bs_time now)
{
	uint32_t tries;
	uint16_t port;

	if (n->conf.ports == NAT_PORTS_PRESERVE && !taken(n, proto, inside->port, inside, now))
		return inside->port;
	for (tries = 0; tries < 65536u; tries++) {
		port = next_port(n);
		if (!taken(n, proto, port, inside, now))
			return port;
	}
	return 0;
}

static struct nat_map *new_map(struct nat *n, uint8_t proto, const struct bs_endpoint *inside,
			       const struct bs_endpoint *remote, uint16_t port, bs_time now)
{
	struct nat_map *m;
	uint16_t *at;

	if (!n->free_map)
		sweep_maps(n, now);
	if (!n->free_map || !port) {
		n->stats.full++;
		return NULL;
	}
	m = &n->map[n->free_map - 1];
	n->free_map = m->next_inside;
	m->proto = proto;
	m->inside = *inside;
	m->remote = seen_by(mapping_of(n, proto), remote);
	m->port = port;
	m->used = now;
	m->live = true;
	m->closing = false;
	at = bucket_inside(n, inside);
	m->next_inside = *at;
	*at = (uint16_t)(m - n->map + 1);
	at = &n->by_port[hash_port(proto, port)];
	m->next_port = *at;
	*at = (uint16_t)(m - n->map + 1);
	n->stats.maps++;
	return m;
}

static struct nat_pass *find_pass(struct nat *n, const struct nat_map *m,
				  const struct bs_endpoint *remote, bs_time now)
{
	struct bs_endpoint key = seen_by(filtering_of(n, m->proto), remote);
	uint16_t map = (uint16_t)(m - n->map + 1);
	uint16_t id = *bucket_pass(n, map, &key);

	while (id) {
		struct nat_pass *p = &n->pass[id - 1];

		if (p->map == map && p->age == m->age && same(&p->remote, &key))
			return alive(n, m, p->used, now) ? p : NULL;
		id = p->next;
	}
	return NULL;
}

/* A packet went out to this remote: its answers may come in.  False when there is no room. */
static bool permit(struct nat *n, const struct nat_map *m, const struct bs_endpoint *remote,
		   bs_time now)
{
	struct nat_pass *p = find_pass(n, m, remote, now);
	uint16_t *at;

	if (p) {
		p->used = now;
		return true;
	}
	if (!n->free_pass)
		sweep_passes(n, now);
	if (!n->free_pass) {
		n->stats.full++;
		return false;
	}
	p = &n->pass[n->free_pass - 1];
	n->free_pass = p->next;
	p->map = (uint16_t)(m - n->map + 1);
	p->age = m->age;
	p->remote = seen_by(filtering_of(n, m->proto), remote);
	p->used = now;
	/* At the head: a lookup meets it before any expired one. */
	at = bucket_pass(n, p->map, &p->remote);
	p->next = *at;
	*at = (uint16_t)(p - n->pass + 1);
	return true;
}

static bool permitted(struct nat *n, const struct nat_map *m, const struct bs_endpoint *remote,
		      bs_time now)
{
	if (filtering_of(n, m->proto) == NAT_INDEPENDENT)
		return true;
	return find_pass(n, m, remote, now) != NULL;
}

static void note_tcp(struct nat_map *m, const struct nat_flow *f)
{
	if (f->proto != NAT_TCP)
		return;
	if (f->tcp & (NAT_TCP_FIN | NAT_TCP_RST))
		m->closing = true;
	else if (f->tcp & NAT_TCP_SYN)
		m->closing = false;
}

/* From inside: the mapping, new if need be, and the permission; rewrites the source. */
static bool go_out(struct nat *n, struct nat_flow *f, bs_time now)
{
	struct nat_map *m = find_inside(n, f->proto, &f->src, &f->dst, now);

	if (!m) {
		uint16_t port = f->src.port;

		if (!n->conf.firewall)
			port = choose_port(n, f->proto, &f->src, now);
		m = new_map(n, f->proto, &f->src, &f->dst, port, now);
	}
	if (!m || !permit(n, m, &f->dst, now))
		return false;
	m->used = now;
	note_tcp(m, f);
	if (n->conf.firewall)
		return true;
	memcpy(f->src.ip, n->conf.outside.ip, sizeof(f->src.ip));
	f->src.port = m->port;
	return true;
}

/* The mapping through which this remote reaches an outside port; the one made for it first. */
static struct nat_map *find_outside(struct nat *n, uint8_t proto, uint16_t port,
				    const struct bs_endpoint *remote, bs_time now)
{
	struct bs_endpoint key = seen_by(mapping_of(n, proto), remote);
	uint16_t id = n->by_port[hash_port(proto, port)];
	struct nat_map *found = NULL;

	for (; id; id = n->map[id - 1].next_port) {
		struct nat_map *m = &n->map[id - 1];

		if (m->proto != proto || m->port != port || !alive(n, m, m->used, now) ||
		    !permitted(n, m, remote, now))
			continue;
		if (same(&m->remote, &key))
			return m;
		if (!found)
			found = m;
	}
	return found;
}

static void keep(struct nat *n, struct nat_map *m, const struct bs_endpoint *remote, bs_time now)
{
	struct nat_pass *p;

	if (n->conf.out_only && m->proto == NAT_UDP)
		return;
	m->used = now;
	p = find_pass(n, m, remote, now);
	if (p)
		p->used = now;
}

/* From outside: to whom it goes; rewrites the destination. */
static bool come_in(struct nat *n, struct nat_flow *f, bs_time now)
{
	struct nat_map *m;

	if (n->conf.firewall) {
		m = find_inside(n, f->proto, &f->dst, &f->src, now);
		if (m && !permitted(n, m, &f->src, now))
			m = NULL;
	} else {
		m = find_outside(n, f->proto, f->dst.port, &f->src, now);
	}
	if (!m) {
		n->stats.filtered++;
		return false;
	}
	keep(n, m, &f->src, now);
	note_tcp(m, f);
	if (n->conf.firewall)
		return true;
	/* Who came in through a port of somebody else is answered through that port: boxes keep
	 * one record for both directions. */
	if (!find_inside(n, f->proto, &m->inside, &f->src, now))
		(void)new_map(n, f->proto, &m->inside, &f->src, m->port, now);
	f->dst = m->inside;
	return true;
}

enum nat_verdict nat_input(struct nat *n, enum nat_side from, struct nat_flow *f, bs_time now)
{
	if (f->proto == NAT_UDP && n->conf.blocked) {
		n->stats.blocked++;
		return NAT_DROP;
	}
	if (from == NAT_OUTSIDE)
		return come_in(n, f, now) ? NAT_TO_INSIDE : NAT_DROP;
	if (n->conf.firewall || memcmp(f->dst.ip, n->conf.outside.ip, sizeof(f->dst.ip)) != 0)
		return go_out(n, f, now) ? NAT_TO_OUTSIDE : NAT_DROP;
	if (!n->conf.hairpin) {
		n->stats.no_hairpin++;
		return NAT_DROP;
	}
	return go_out(n, f, now) && come_in(n, f, now) ? NAT_TO_INSIDE : NAT_DROP;
}

enum nat_verdict nat_error(struct nat *n, enum nat_side from, struct nat_flow *f, bs_time now)
{
	struct nat_map *m;

	if (n->conf.firewall)
		return from == NAT_OUTSIDE ? NAT_TO_INSIDE : NAT_TO_OUTSIDE;
	if (from == NAT_OUTSIDE) {
		m = find_outside(n, f->proto, f->src.port, &f->dst, now);
		if (!m)
			return NAT_DROP;
		f->src = m->inside;
		return NAT_TO_INSIDE;
	}
	m = find_inside(n, f->proto, &f->dst, &f->src, now);
	if (!m)
		return NAT_DROP;
	memcpy(f->dst.ip, n->conf.outside.ip, sizeof(f->dst.ip));
	f->dst.port = m->port;
	return NAT_TO_OUTSIDE;
}

/* Mapping, filtering, ports.  "masquerade" of Linux is "preserve": by address and port, but the
 * same port for all as long as nobody else wants it. */
const struct nat_conf nat_kinds[] = {
	{ .name = "full", .mapping = NAT_INDEPENDENT, .filtering = NAT_INDEPENDENT },
	{ .name = "restricted", .mapping = NAT_INDEPENDENT, .filtering = NAT_BY_ADDRESS },
	{ .name = "port", .mapping = NAT_INDEPENDENT, .filtering = NAT_BY_ADDRESS_PORT },
	{ .name = "random",
	  .mapping = NAT_INDEPENDENT,
	  .filtering = NAT_BY_ADDRESS_PORT,
	  .ports = NAT_PORTS_RANDOM },
	{ .name = "preserve",
	  .mapping = NAT_BY_ADDRESS_PORT,
	  .filtering = NAT_BY_ADDRESS_PORT,
	  .ports = NAT_PORTS_PRESERVE },
	{ .name = "sym-address",
	  .mapping = NAT_BY_ADDRESS,
	  .filtering = NAT_BY_ADDRESS_PORT,
	  .ports = NAT_PORTS_RANDOM },
	{ .name = "adr-full",
	  .mapping = NAT_BY_ADDRESS,
	  .filtering = NAT_INDEPENDENT,
	  .ports = NAT_PORTS_RANDOM },
	{ .name = "adr-restricted",
	  .mapping = NAT_BY_ADDRESS,
	  .filtering = NAT_BY_ADDRESS,
	  .ports = NAT_PORTS_RANDOM },
	{ .name = "sym-restricted",
	  .mapping = NAT_BY_ADDRESS_PORT,
	  .filtering = NAT_BY_ADDRESS,
	  .ports = NAT_PORTS_RANDOM },
	{ .name = "sym-next",
	  .mapping = NAT_BY_ADDRESS_PORT,
	  .filtering = NAT_BY_ADDRESS_PORT,
	  .ports = NAT_PORTS_NEXT },
	{ .name = "sym-open",
	  .mapping = NAT_BY_ADDRESS_PORT,
	  .filtering = NAT_INDEPENDENT,
	  .ports = NAT_PORTS_RANDOM },
	{ .name = "sym",
	  .mapping = NAT_BY_ADDRESS_PORT,
	  .filtering = NAT_BY_ADDRESS_PORT,
	  .ports = NAT_PORTS_RANDOM },
	{ .name = "hairpin",
	  .mapping = NAT_INDEPENDENT,
	  .filtering = NAT_BY_ADDRESS_PORT,
	  .hairpin = true },
	{ .name = "short",
	  .mapping = NAT_INDEPENDENT,
	  .filtering = NAT_BY_ADDRESS_PORT,
	  .udp_ms = 15000 },
	{ .name = "blocked", .filtering = NAT_BY_ADDRESS_PORT, .blocked = true },
	{ .name = "firewall", .filtering = NAT_BY_ADDRESS_PORT, .firewall = true },
	{ .name = NULL },
};

const struct nat_conf *nat_kind(const char *name)
{
	const struct nat_conf *k;

	for (k = nat_kinds; k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}
