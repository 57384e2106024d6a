/* SPDX-License-Identifier: Apache-2.0 */
#include "ip_packet.h"

#include <string.h>

#include "util/endpoint.h"

enum {
	PROTO_ICMP = 1,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_ICMP6 = 58,
	V4_HEADER = 20,
	V6_HEADER = 40,
	V4_QUOTED = 8, /* bytes after the quoted header that an error must have */
	/* ICMP types */
	ECHO_REPLY = 0,
	UNREACHABLE = 3,
	ECHO = 8,
	EXCEEDED = 11,
	UNREACHABLE6 = 1,
	TOO_BIG6 = 2,
	PARAMETER6 = 4,
	ECHO6 = 128,
	ECHO_REPLY6 = 129,
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xFFFF);
}

uint16_t ip_checksum(const uint8_t *bytes, size_t len, uint32_t sum)
{
	for (; len > 1; len -= 2, bytes += 2)
		sum += get16(bytes);
	if (len)
		sum += (uint32_t)bytes[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xFFFF) + (sum >> 16);
	return (uint16_t)~sum;
}

/* A 16-bit word under a checksum changed (RFC 1624). */
static void patch(uint8_t *check, uint16_t was, uint16_t is)
{
	uint32_t sum = (uint16_t)~get16(check) + (uint32_t)(uint16_t)~was + is;

	while (sum >> 16)
		sum = (sum & 0xFFFF) + (sum >> 16);
	put16(check, (uint16_t)~sum);
}

static void set_ip6(struct bs_endpoint *ep, const uint8_t *ip, uint16_t port)
{
	memset(ep, 0, sizeof(*ep));
	memcpy(ep->ip, ip, sizeof(ep->ip));
	ep->port = port;
}

static bool is_error(bool v6, uint8_t type)
{
	if (v6)
		return type >= UNREACHABLE6 && type <= PARAMETER6;
	return type == UNREACHABLE || type == EXCEEDED || type == 12;
}

/* Ports from the first bytes of UDP, TCP or an echo; false for anything else. */
static bool read_ports(uint8_t proto, const uint8_t *p, size_t len, struct nat_flow *f)
{
	bool reply;

	if (len < 8)
		return false;
	switch (proto) {
	case PROTO_UDP:
	case PROTO_TCP:
		f->proto = proto == PROTO_UDP ? NAT_UDP : NAT_TCP;
		f->src.port = get16(p);
		f->dst.port = get16(p + 2);
		/* An error quotes 8 bytes only, without the flags. */
		if (proto == PROTO_TCP && len >= 20)
			f->tcp = p[13] & (NAT_TCP_SYN | NAT_TCP_FIN | NAT_TCP_RST);
		return true;
	case PROTO_ICMP:
	case PROTO_ICMP6:
		reply = p[0] == (proto == PROTO_ICMP ? ECHO_REPLY : ECHO_REPLY6);
		if (!reply && p[0] != (proto == PROTO_ICMP ? ECHO : ECHO6))
			return false;
		f->proto = NAT_ECHO;
		*(reply ? &f->dst.port : &f->src.port) = get16(p + 4);
		return true;
	default: return false;
	}
}

/* The IP header at bytes: addresses, protocol, where its body begins; 0 when damaged. */
static size_t read_header(const uint8_t *bytes, size_t len, struct nat_flow *f, uint8_t *proto,
			  bool *v6)
{
	size_t head;

	memset(f, 0, sizeof(*f));
	*v6 = len && bytes[0] >> 4 == 6;
	if (*v6) {
		if (len < V6_HEADER)
			return 0;
		*proto = bytes[6];
		set_ip6(&f->src, bytes + 8, 0);
		set_ip6(&f->dst, bytes + 24, 0);
		return V6_HEADER;
	}
	if (len < V4_HEADER || bytes[0] >> 4 != 4)
		return 0;
	head = (size_t)(bytes[0] & 15) * 4;
	/* Fragments: offset or "more" set. */
	if (head < V4_HEADER || head > len || get16(bytes + 6) & 0x3FFF)
		return 0;
	*proto = bytes[9];
	bs_endpoint_set_ip4(&f->src, get32(bytes + 12), 0);
	bs_endpoint_set_ip4(&f->dst, get32(bytes + 16), 0);
	return head;
}

static bool read_error(struct ip_packet *p)
{
	const uint8_t *inner;
	size_t room, head;
	uint8_t proto;
	bool v6;

	if (p->len < p->at + 8 || !is_error(p->v6, p->bytes[p->at]))
		return false;
	p->quoted = p->at + 8;
	inner = p->bytes + p->quoted;
	room = p->len - p->quoted;
	head = read_header(inner, room, &p->flow, &proto, &v6);
	if (!head || v6 != p->v6 || room < head + V4_QUOTED)
		return false;
	p->error = true;
	return read_ports(proto, inner + head, room - head, &p->flow);
}

bool ip_read(uint8_t *bytes, size_t len, struct ip_packet *p)
{
	size_t total;
	uint8_t proto;

	memset(p, 0, sizeof(*p));
	p->bytes = bytes;
	p->at = read_header(bytes, len, &p->flow, &proto, &p->v6);
	if (!p->at)
		return false;
	total = p->v6 ? V6_HEADER + (size_t)get16(bytes + 4) : get16(bytes + 2);
	if (total > len || total < p->at)
		return false;
	p->len = total;
	if (proto == PROTO_TCP && total < p->at + 20)
		return false;
	if (read_ports(proto, bytes + p->at, total - p->at, &p->flow))
		return true;
	return proto == (p->v6 ? PROTO_ICMP6 : PROTO_ICMP) && read_error(p);
}

/* Where the checksum of the body lies that covers addresses and ports; NULL = there is none. */
static uint8_t *body_check(struct ip_packet *p)
{
	uint8_t *body = p->bytes + p->at;

	switch (p->flow.proto) {
	case NAT_TCP: return body + 16;
	case NAT_UDP: return get16(body + 6) ? body + 6 : NULL;
	default: return NULL;
	}
}

static void change_address(struct ip_packet *p, size_t off, uint32_t ip)
{
	uint8_t *check = body_check(p);
	uint8_t *at = p->bytes + off;
	uint8_t new[4];
	size_t i;

	put32(new, ip);
	for (i = 0; i < 4; i += 2) {
		patch(p->bytes + 10, get16(at + i), get16(new + i));
		if (check)
			patch(check, get16(at + i), get16(new + i));
	}
	memcpy(at, new, 4);
}

static void change_port(uint8_t *at, uint8_t *check, uint16_t port)
{
	if (check)
		patch(check, get16(at), port);
	put16(at, port);
}

void ip_write(struct ip_packet *p, const struct nat_flow *f)
{
	uint8_t *body = p->bytes + p->at;
	uint8_t *check = body_check(p);
	bool reply;

	if (p->v6)
		return;
	change_address(p, 12, bs_endpoint_ip4(&f->src));
	change_address(p, 16, bs_endpoint_ip4(&f->dst));
	if (f->proto == NAT_ECHO) {
		reply = body[0] == ECHO_REPLY;
		change_port(body + 4, body + 2, reply ? f->dst.port : f->src.port);
	} else {
		change_port(body, check, f->src.port);
		change_port(body + 2, check, f->dst.port);
	}
	/* In UDP a sum of zero would mean "none". */
	if (f->proto == NAT_UDP && check && !get16(check))
		put16(check, 0xFFFF);
	p->flow = *f;
}

void ip_write_error(struct ip_packet *p, const struct nat_flow *f, enum nat_side from,
		    const struct bs_endpoint *outer)
{
	uint8_t *inner = p->bytes + p->quoted;
	size_t head = (size_t)(inner[0] & 15) * 4;
	uint8_t *icmp = p->bytes + p->at;

	if (p->v6)
		return;
	put32(inner + 12, bs_endpoint_ip4(&f->src));
	put32(inner + 16, bs_endpoint_ip4(&f->dst));
	put16(inner + 10, 0);
	put16(inner + 10, ip_checksum(inner, head, 0));
	if (f->proto == NAT_ECHO) {
		put16(inner + head + 4, f->src.port ? f->src.port : f->dst.port);
	} else {
		put16(inner + head, f->src.port);
		put16(inner + head + 2, f->dst.port);
	}
	put32(p->bytes + (from == NAT_OUTSIDE ? 16 : 12), bs_endpoint_ip4(outer));
	put16(p->bytes + 10, 0);
	put16(p->bytes + 10, ip_checksum(p->bytes, p->at, 0));
	put16(icmp + 2, 0);
	put16(icmp + 2, ip_checksum(icmp, p->len - p->at, 0));
	p->flow = *f;
}

bool ip_hop(struct ip_packet *p)
{
	uint8_t *ttl = p->bytes + (p->v6 ? 7 : 8);
	uint16_t was = get16(p->bytes + 8);

	if (*ttl <= 1)
		return false;
	--*ttl;
	if (!p->v6)
		patch(p->bytes + 10, was, get16(p->bytes + 8));
	return true;
}

static size_t too_big6(const uint8_t *bytes, size_t len, uint16_t mtu, uint8_t *out)
{
	size_t quote = len < IP_ERROR_MAX - V6_HEADER - 8 ? len : IP_ERROR_MAX - V6_HEADER - 8;
	uint8_t *icmp = out + V6_HEADER;
	size_t body = 8 + quote;

	if (len < V6_HEADER || bytes[6] == PROTO_ICMP6)
		return 0;
	memset(out, 0, V6_HEADER + 8);
	out[0] = 0x60;
	put16(out + 4, (unsigned)body);
	out[6] = PROTO_ICMP6;
	out[7] = 64;
	/* In the name of the one who did not get it: the box has no address of its own. */
	memcpy(out + 8, bytes + 24, 16);
	memcpy(out + 24, bytes + 8, 16);
	icmp[0] = TOO_BIG6;
	put32(icmp + 4, mtu);
	memcpy(icmp + 8, bytes, quote);
	put16(icmp + 2, 0);
	/* The sum covers a pseudo header: addresses, length, protocol. */
	put16(icmp + 2, ip_checksum(out + 8, 32 + body, (uint32_t)body + PROTO_ICMP6));
	return V6_HEADER + body;
}

size_t ip_too_big(const uint8_t *bytes, size_t len, uint16_t mtu, uint8_t out[IP_ERROR_MAX])
{
	uint8_t *icmp = out + V4_HEADER;
	size_t quote = len < 548 ? len : 548;

	if (len && bytes[0] >> 4 == 6)
		return too_big6(bytes, len, mtu, out);
	if (len < V4_HEADER || bytes[9] == PROTO_ICMP)
		return 0;
	memset(out, 0, V4_HEADER + 8);
	out[0] = 0x45;
	put16(out + 2, (unsigned)(V4_HEADER + 8 + quote));
	out[8] = 64;
	out[9] = PROTO_ICMP;
	memcpy(out + 12, bytes + 16, 4);
	memcpy(out + 16, bytes + 12, 4);
	put16(out + 10, ip_checksum(out, V4_HEADER, 0));
	icmp[0] = UNREACHABLE;
	icmp[1] = 4; /* fragmentation needed */
	put16(icmp + 6, mtu);
	memcpy(icmp + 8, bytes, quote);
	put16(icmp + 2, ip_checksum(icmp, 8 + quote, 0));
	return V4_HEADER + 8 + quote;
}
