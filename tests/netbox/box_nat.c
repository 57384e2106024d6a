/* SPDX-License-Identifier: Apache-2.0 */
#include "box.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ip_packet.h"
#include "util/endpoint.h"

/* Inside hosts that were heard: which device leads to them. */
struct host {
	uint8_t ip[BS_IP_LEN];
	int fd;
};

struct nat_box {
	struct box *b;
	struct nat ip4;
	struct nat ip6;
	bool has_ip6;
	struct host host[BOX_TUNS];
	size_t n_hosts;
};

static void learn(struct nat_box *x, const struct bs_endpoint *src, int fd)
{
	size_t i;

	for (i = 0; i < x->n_hosts; i++) {
		if (!memcmp(x->host[i].ip, src->ip, sizeof(src->ip))) {
			x->host[i].fd = fd; /* it may have moved to another device */
			return;
		}
	}
	/* The oldest goes: more hosts than devices is a host that changed its address. */
	if (x->n_hosts == BOX_TUNS)
		memmove(&x->host[0], &x->host[1], --x->n_hosts * sizeof(x->host[0]));
	memcpy(x->host[x->n_hosts].ip, src->ip, sizeof(src->ip));
	x->host[x->n_hosts++].fd = fd;
}

static int way_to(const struct nat_box *x, const struct bs_endpoint *dst)
{
	size_t i;

	for (i = 0; i < x->n_hosts; i++)
		if (!memcmp(x->host[i].ip, dst->ip, sizeof(dst->ip)))
			return x->host[i].fd;
	return -1;
}

/* From the flow of the packet (or of what an error quotes) to the device it leaves by; -1 =
 * dropped.  An error travels against the flow that it quotes. */
static int judge(struct nat_box *x, struct ip_packet *p, enum nat_side from)
{
	struct nat *n = p->v6 ? &x->ip6 : &x->ip4;
	struct nat_flow f = p->flow;
	enum nat_verdict v;

	if (p->v6 && !x->has_ip6)
		return -1;
	if (!p->error) {
		v = nat_input(n, from, &f, box_now());
		if (v == NAT_DROP)
			return -1;
		ip_write(p, &f);
		return v == NAT_TO_OUTSIDE ? x->b->tun[0] : way_to(x, &f.dst);
	}
	v = nat_error(n, from, &f, box_now());
	if (v == NAT_DROP)
		return -1;
	ip_write_error(p, &f, from, from == NAT_OUTSIDE ? &f.src : &n->conf.outside);
	return v == NAT_TO_OUTSIDE ? x->b->tun[0] : way_to(x, &f.src);
}

static void take(struct nat_box *x, size_t tun, uint8_t *bytes, size_t len)
{
	enum nat_side from = tun == 0 ? NAT_OUTSIDE : NAT_INSIDE;
	struct bs_endpoint src;
	struct ip_packet p;
	int fd;

	if (!ip_read(bytes, len, &p) || !ip_hop(&p))
		return;
	if (from == NAT_INSIDE) {
		/* The sender of an error is not in the flow that it quotes, but its addressee is
		 * the other end: learn from packets only. */
		src = p.flow.src;
		if (!p.error)
			learn(x, &src, x->b->tun[tun]);
	}
	fd = judge(x, &p, from);
	if (fd >= 0)
		box_write(fd, p.bytes, p.len);
}

static void drain(struct nat_box *x, size_t tun, uint8_t *buf)
{
	unsigned i;

	for (i = 0; i < BOX_BATCH; i++) {
		ssize_t len = read(x->b->tun[tun], buf, BOX_PACKET);

		if (len <= 0)
			return;
		take(x, tun, buf, (size_t)len);
	}
}

static void report(const struct nat *n)
{
	fprintf(stderr,
		"nat %s: %u mappings, dropped: %u filtered, %u blocked, %u no hairpin, %u full\n",
		n->conf.name ? n->conf.name : "", (unsigned)n->stats.maps,
		(unsigned)n->stats.filtered, (unsigned)n->stats.blocked,
		(unsigned)n->stats.no_hairpin, (unsigned)n->stats.full);
}

int box_run_nat(struct box *b, const struct box_nat_conf *conf)
{
	struct nat_conf wall = *nat_kind("firewall");
	struct nat_box *x = calloc(1, sizeof(*x));
	uint8_t *buf = malloc(BOX_PACKET);
	struct pollfd fds[BOX_TUNS];
	size_t i;

	if (!x || !buf) {
		fprintf(stderr, "bs-netbox: out of memory; stop other programs\n");
		free(buf);
		free(x);
		return EXIT_FAILURE;
	}
	x->b = b;
	x->has_ip6 = conf->ip6;
	nat_init(&x->ip4, &conf->ip4);
	/* What is said about UDP and its timeout holds for IPv6 as well. */
	wall.blocked = conf->ip4.blocked;
	wall.udp_ms = conf->ip4.udp_ms;
	nat_init(&x->ip6, &wall);
	while (box_wait(b, fds, NULL)) {
		if (box_take_signals()) {
			nat_forget(&x->ip4);
			nat_forget(&x->ip6);
		}
		for (i = 0; i < b->n_tuns; i++)
			if (fds[i].revents)
				drain(x, i, buf);
	}
	report(&x->ip4);
	free(buf);
	free(x);
	return EXIT_SUCCESS;
}
