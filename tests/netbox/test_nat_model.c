/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "nat_model.h"
#include "util/endpoint.h"

#define OUTSIDE UINT32_C(0xCB007101)
#define HOST    UINT32_C(0x0A000002)
#define FAR     UINT32_C(0xC6336401)

static struct nat *n;
static bs_time now;

static struct bs_endpoint ep(uint32_t ip, unsigned port)
{
	struct bs_endpoint e;

	memset(&e, 0, sizeof(e));
	bs_endpoint_set_ip4(&e, ip, (uint16_t)port);
	return e;
}

static void start(struct nat_conf c)
{
	c.outside = ep(OUTSIDE, 0);
	c.seed = 5;
	if (!n)
		n = malloc(sizeof(*n));
	ck_assert_ptr_nonnull(n);
	nat_init(n, &c);
	now = BS_TIME_MS(1000);
}

static void kind(const char *name)
{
	const struct nat_conf *k = nat_kind(name);

	ck_assert_ptr_nonnull(k);
	start(*k);
}

static void teardown(void)
{
	free(n);
	n = NULL;
}

static enum nat_verdict pass(enum nat_side from, uint8_t proto, struct bs_endpoint src,
			     struct bs_endpoint dst, struct nat_flow *f)
{
	memset(f, 0, sizeof(*f));
	f->proto = proto;
	f->src = src;
	f->dst = dst;
	return nat_input(n, from, f, now);
}

/* Send out by UDP, return the outside port; 0 = dropped. */
static unsigned out(unsigned port, struct bs_endpoint to)
{
	struct nat_flow f;

	if (pass(NAT_INSIDE, NAT_UDP, ep(HOST, port), to, &f) != NAT_TO_OUTSIDE)
		return 0;
	ck_assert_uint_eq(bs_endpoint_ip4(&f.src), OUTSIDE);
	ck_assert(bs_endpoint_equal(&f.dst, &to));
	return f.src.port;
}

/* Send in by UDP, return the inside port; 0 = dropped. */
static unsigned in(struct bs_endpoint from, unsigned port)
{
	struct nat_flow f;

	if (pass(NAT_OUTSIDE, NAT_UDP, from, ep(OUTSIDE, port), &f) != NAT_TO_INSIDE)
		return 0;
	ck_assert(bs_endpoint_equal(&f.src, &from));
	return f.dst.port;
}

START_TEST(nat_mapping)
{
	unsigned a, b, c;

	kind("sym");
	a = out(5000, ep(FAR, 1));
	b = out(5000, ep(FAR, 2));
	c = out(5000, ep(FAR + 1, 1));
	ck_assert(a && a != b && b != c && a != c);
	ck_assert_uint_eq(out(5000, ep(FAR, 1)), a);
	kind("sym-address");
	a = out(5000, ep(FAR, 1));
	ck_assert_uint_eq(out(5000, ep(FAR, 2)), a);
	ck_assert_uint_ne(out(5000, ep(FAR + 1, 1)), a);
	kind("random");
	a = out(5000, ep(FAR, 1));
	ck_assert_uint_ne(a, 5000);
	ck_assert_uint_eq(out(5000, ep(FAR + 1, 2)), a);
	ck_assert_uint_ne(out(5001, ep(FAR, 1)), a);
	kind("full");
	ck_assert_uint_eq(out(5000, ep(FAR, 1)), 5000);
	kind("sym-next");
	a = out(5000, ep(FAR, 1));
	ck_assert_uint_eq(out(5000, ep(FAR, 2)), a == 65535 ? 1024 : a + 1);
}
END_TEST

START_TEST(nat_filtering)
{
	static const struct {
		const char *kind;
		bool same, port, address;
	} rows[] = {
		{ "full", true, true, true },     { "restricted", true, true, false },
		{ "port", true, false, false },   { "sym", true, false, false },
		{ "sym-open", true, true, true },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned p;

		kind(rows[i].kind);
		p = out(5000, ep(FAR, 7));
		ck_assert_uint_eq(in(ep(FAR, 7), p) == 5000, rows[i].same);
		ck_assert_uint_eq(in(ep(FAR, 8), p) == 5000, rows[i].port);
		ck_assert_uint_eq(in(ep(FAR + 1, 7), p) == 5000, rows[i].address);
		ck_assert_uint_eq(in(ep(FAR, 7), p ^ 1), 0);
	}
}
END_TEST

START_TEST(nat_preserved_ports_are_shared_by_one_endpoint_only)
{
	struct nat_flow f;

	kind("preserve");
	ck_assert_uint_eq(out(5000, ep(FAR, 1)), 5000);
	ck_assert_uint_eq(out(5000, ep(FAR, 2)), 5000);
	ck_assert_int_eq(pass(NAT_INSIDE, NAT_UDP, ep(HOST + 1, 5000), ep(FAR, 3), &f),
			 NAT_TO_OUTSIDE);
	ck_assert_uint_ne(f.src.port, 5000);
	/* Each remote reaches the one that it was sent to by. */
	ck_assert_int_eq(pass(NAT_OUTSIDE, NAT_UDP, ep(FAR, 3), ep(OUTSIDE, f.src.port), &f),
			 NAT_TO_INSIDE);
	ck_assert_uint_eq(bs_endpoint_ip4(&f.dst), HOST + 1);
	ck_assert_uint_eq(in(ep(FAR, 2), 5000), 5000);
	ck_assert_uint_eq(in(ep(FAR, 3), 5000), 0);
	ck_assert(!nat_is_symmetric(nat_kind("preserve")));
	ck_assert(nat_is_symmetric(nat_kind("sym")));
	ck_assert(!nat_is_symmetric(nat_kind("random")));
}
END_TEST

START_TEST(nat_timeout)
{
	struct nat_conf c = *nat_kind("random");
	unsigned p;

	c.udp_ms = 5000;
	start(c);
	p = out(5000, ep(FAR, 1));
	(void)out(5000, ep(FAR, 2));
	now += BS_TIME_MS(4000);
	ck_assert_uint_eq(in(ep(FAR, 1), p), 5000); /* refreshes */
	now += BS_TIME_MS(4000);
	ck_assert_uint_eq(in(ep(FAR, 2), p), 0); /* that permission has gone */
	ck_assert_uint_eq(in(ep(FAR, 1), p), 5000);
	now += BS_TIME_MS(5000);
	ck_assert_uint_eq(in(ep(FAR, 1), p), 0);
	ck_assert_uint_ne(out(5000, ep(FAR, 1)), p);
	/* Where only packets from inside count, those from outside do not keep it. */
	c.out_only = true;
	start(c);
	p = out(5000, ep(FAR, 1));
	now += BS_TIME_MS(4000);
	ck_assert_uint_eq(in(ep(FAR, 1), p), 5000);
	now += BS_TIME_MS(1000);
	ck_assert_uint_eq(in(ep(FAR, 1), p), 0);
	/* A permission that expired comes back with the next packet out. */
	ck_assert_uint_ne(out(5000, ep(FAR, 1)), 0);
	p = out(5000, ep(FAR, 2));
	ck_assert_uint_eq(in(ep(FAR, 1), p), 5000);
}
END_TEST

START_TEST(nat_forgets)
{
	unsigned p;

	kind("random");
	p = out(5000, ep(FAR, 1));
	nat_forget(n);
	ck_assert_uint_eq(in(ep(FAR, 1), p), 0);
	ck_assert_uint_ne(out(5000, ep(FAR, 1)), 0);
}
END_TEST

START_TEST(nat_hairpin)
{
	struct nat_flow f;
	unsigned a, b;

	kind("port");
	a = out(5000, ep(FAR, 1));
	ck_assert_int_eq(pass(NAT_INSIDE, NAT_UDP, ep(HOST + 1, 6000), ep(OUTSIDE, a), &f),
			 NAT_DROP);
	ck_assert_uint_eq(n->stats.no_hairpin, 1);
	kind("hairpin");
	a = out(5000, ep(FAR, 1));
	b = 6000; /* preserved */
	/* The filter holds for those inside as well. */
	ck_assert_int_eq(pass(NAT_INSIDE, NAT_UDP, ep(HOST + 1, 6000), ep(OUTSIDE, a), &f),
			 NAT_DROP);
	ck_assert_int_eq(pass(NAT_INSIDE, NAT_UDP, ep(HOST, 5000), ep(OUTSIDE, b), &f),
			 NAT_TO_INSIDE);
	ck_assert_uint_eq(bs_endpoint_ip4(&f.dst), HOST + 1);
	ck_assert_uint_eq(f.dst.port, 6000);
	ck_assert_uint_eq(bs_endpoint_ip4(&f.src), OUTSIDE);
	ck_assert_uint_eq(f.src.port, a);
	ck_assert_int_eq(pass(NAT_INSIDE, NAT_UDP, ep(HOST + 1, 6000), ep(OUTSIDE, a), &f),
			 NAT_TO_INSIDE);
	ck_assert_uint_eq(bs_endpoint_ip4(&f.dst), HOST);
}
END_TEST

START_TEST(nat_blocked_and_tcp)
{
	struct nat_flow f;

	kind("blocked");
	ck_assert_uint_eq(out(5000, ep(FAR, 1)), 0);
	ck_assert_uint_eq(n->stats.blocked, 1);
	ck_assert_int_eq(pass(NAT_INSIDE, NAT_TCP, ep(HOST, 5000), ep(FAR, 443), &f),
			 NAT_TO_OUTSIDE);
	ck_assert_int_eq(pass(NAT_OUTSIDE, NAT_TCP, ep(FAR, 443), ep(OUTSIDE, f.src.port), &f),
			 NAT_TO_INSIDE);
	ck_assert_uint_eq(f.dst.port, 5000);
	/* TCP from elsewhere never comes in, whatever the rule for UDP. */
	kind("full");
	ck_assert_uint_eq(out(5000, ep(FAR, 1)), 5000);
	ck_assert_int_eq(pass(NAT_OUTSIDE, NAT_TCP, ep(FAR, 1), ep(OUTSIDE, 5000), &f), NAT_DROP);
	ck_assert_int_eq(pass(NAT_INSIDE, NAT_TCP, ep(HOST, 5000), ep(FAR, 443), &f),
			 NAT_TO_OUTSIDE);
	ck_assert_int_eq(pass(NAT_OUTSIDE, NAT_TCP, ep(FAR, 444), ep(OUTSIDE, 5000), &f), NAT_DROP);
}
END_TEST

START_TEST(nat_closed_tcp_goes_early)
{
	struct nat_flow f = { .proto = NAT_TCP, .tcp = NAT_TCP_SYN };

	kind("port");
	f.src = ep(HOST, 5000);
	f.dst = ep(FAR, 443);
	ck_assert_int_eq(nat_input(n, NAT_INSIDE, &f, now), NAT_TO_OUTSIDE);
	now += BS_TIME_MS(600000);
	ck_assert_int_eq(pass(NAT_OUTSIDE, NAT_TCP, ep(FAR, 443), ep(OUTSIDE, 5000), &f),
			 NAT_TO_INSIDE);
	f.tcp = NAT_TCP_FIN;
	f.src = ep(HOST, 5000);
	f.dst = ep(FAR, 443);
	ck_assert_int_eq(nat_input(n, NAT_INSIDE, &f, now), NAT_TO_OUTSIDE);
	now += BS_TIME_MS(200000);
	ck_assert_int_eq(pass(NAT_OUTSIDE, NAT_TCP, ep(FAR, 443), ep(OUTSIDE, 5000), &f), NAT_DROP);
}
END_TEST

START_TEST(nat_firewall)
{
	struct bs_endpoint host, far;
	struct nat_flow f;

	memset(&host, 0, sizeof(host));
	host.ip[0] = 0x20;
	host.ip[15] = 2;
	host.port = 5000;
	far = host;
	far.ip[15] = 9;
	kind("firewall");
	ck_assert_int_eq(pass(NAT_OUTSIDE, NAT_UDP, far, host, &f), NAT_DROP);
	ck_assert_int_eq(pass(NAT_INSIDE, NAT_UDP, host, far, &f), NAT_TO_OUTSIDE);
	ck_assert(bs_endpoint_equal(&f.src, &host));
	ck_assert_int_eq(pass(NAT_OUTSIDE, NAT_UDP, far, host, &f), NAT_TO_INSIDE);
	ck_assert(bs_endpoint_equal(&f.dst, &host));
	far.port++;
	ck_assert_int_eq(pass(NAT_OUTSIDE, NAT_UDP, far, host, &f), NAT_DROP);
	host.port++;
	far.port--;
	ck_assert_int_eq(pass(NAT_OUTSIDE, NAT_UDP, far, host, &f), NAT_DROP);
	now += BS_TIME_MS(120000);
	host.port--;
	ck_assert_int_eq(pass(NAT_OUTSIDE, NAT_UDP, far, host, &f), NAT_DROP);
}
END_TEST

START_TEST(nat_echo_and_errors)
{
	struct nat_flow f;
	unsigned p;

	kind("sym");
	ck_assert_int_eq(pass(NAT_INSIDE, NAT_ECHO, ep(HOST, 77), ep(FAR, 0), &f), NAT_TO_OUTSIDE);
	p = f.src.port;
	ck_assert_int_eq(pass(NAT_OUTSIDE, NAT_ECHO, ep(FAR, 0), ep(OUTSIDE, p), &f),
			 NAT_TO_INSIDE);
	ck_assert_uint_eq(f.dst.port, 77);
	/* "Too big" for a packet that went out: quoted with the outside address. */
	p = out(5000, ep(FAR, 1));
	memset(&f, 0, sizeof(f));
	f.proto = NAT_UDP;
	f.src = ep(OUTSIDE, p);
	f.dst = ep(FAR, 1);
	ck_assert_int_eq(nat_error(n, NAT_OUTSIDE, &f, now), NAT_TO_INSIDE);
	ck_assert_uint_eq(bs_endpoint_ip4(&f.src), HOST);
	ck_assert_uint_eq(f.src.port, 5000);
	/* And for one that came in. */
	f.src = ep(FAR, 1);
	f.dst = ep(HOST, 5000);
	ck_assert_int_eq(nat_error(n, NAT_INSIDE, &f, now), NAT_TO_OUTSIDE);
	ck_assert_uint_eq(bs_endpoint_ip4(&f.dst), OUTSIDE);
	ck_assert_uint_eq(f.dst.port, p);
	f.dst = ep(HOST, 5001);
	ck_assert_int_eq(nat_error(n, NAT_INSIDE, &f, now), NAT_DROP);
	f.src = ep(OUTSIDE, p ^ 1);
	ck_assert_int_eq(nat_error(n, NAT_OUTSIDE, &f, now), NAT_DROP);
}
END_TEST

START_TEST(nat_answers_a_stranger_through_the_port_it_used)
{
	unsigned p;

	kind("sym-open");
	p = out(5000, ep(FAR, 1));
	ck_assert_uint_eq(in(ep(FAR + 1, 9), p), 5000);
	ck_assert_uint_eq(out(5000, ep(FAR + 1, 9)), p);
	ck_assert_uint_ne(out(5000, ep(FAR + 1, 10)), p);
}
END_TEST

START_TEST(nat_full_table)
{
	unsigned i, made = 0;

	kind("sym");
	for (i = 0; i < NAT_MAPS + 100; i++)
		made += out(5000, ep(FAR, i + 1)) != 0;
	ck_assert_uint_eq(made, NAT_MAPS);
	ck_assert_uint_eq(n->stats.full, 100);
	now += BS_TIME_MS(120000);
	ck_assert_uint_ne(out(5000, ep(FAR, 1)), 0);
	/* Permissions of one mapping run out as well, and come back. */
	kind("port");
	made = 0;
	for (i = 0; i < NAT_PASSES + 50; i++)
		made += out(5000, ep(FAR, i + 1)) != 0;
	ck_assert_uint_eq(made, NAT_PASSES);
	now += BS_TIME_MS(120000);
	ck_assert_uint_eq(out(5000, ep(FAR, 9)), 5000);
	ck_assert_uint_eq(in(ep(FAR, 9), 5000), 5000);
	ck_assert_uint_eq(in(ep(FAR, 10), 5000), 0);
}
END_TEST

START_TEST(nat_seed_decides)
{
	struct nat_conf c = *nat_kind("sym");
	unsigned a[20], i;

	start(c);
	for (i = 0; i < 20; i++)
		a[i] = out(5000, ep(FAR, i + 1));
	start(c);
	for (i = 0; i < 20; i++)
		ck_assert_uint_eq(out(5000, ep(FAR, i + 1)), a[i]);
	c.seed = 6;
	c.outside = ep(OUTSIDE, 0);
	nat_init(n, &c);
	ck_assert_uint_ne(out(5000, ep(FAR, 1)), a[0]);
}
END_TEST

/* Long random use against simple truths: what comes in was let in, and to whom it belongs. */
START_TEST(nat_property)
{
	const struct nat_conf *k;
	uint32_t rng = 77, i;

	for (k = nat_kinds; k->name; k++) {
		if (k->blocked || k->firewall)
			continue;
		start(*k);
		for (i = 0; i < 10000; i++) {
			struct bs_endpoint far;
			unsigned port, got;

			rng = rng * 1664525u + 1013904223u;
			far = ep(FAR + (rng >> 28), 1 + (rng >> 24 & 7));
			port = 2000 + (rng >> 12 & 63);
			if (rng >> 8 & 1) {
				ck_assert_uint_ne(out(port, far), 0);
			} else {
				got = in(far, 1024 + (rng >> 4) % 3000);
				ck_assert(!got || (got >= 2000 && got < 2064));
			}
			if (rng >> 9 & 1) {
				got = out(port, far);
				/* Its answer comes back to it, always. */
				ck_assert_uint_eq(in(far, got), port);
			}
			now += BS_TIME_MS(rng >> 20 & 63);
		}
	}
}
END_TEST

Suite *bs_suite_nat_model(void);
Suite *bs_suite_nat_model(void)
{
	Suite *s = suite_create("nat_model");
	TCase *t = tcase_create("nat_model");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, nat_mapping);
	tcase_add_test(t, nat_filtering);
	tcase_add_test(t, nat_preserved_ports_are_shared_by_one_endpoint_only);
	tcase_add_test(t, nat_timeout);
	tcase_add_test(t, nat_forgets);
	tcase_add_test(t, nat_hairpin);
	tcase_add_test(t, nat_blocked_and_tcp);
	tcase_add_test(t, nat_closed_tcp_goes_early);
	tcase_add_test(t, nat_firewall);
	tcase_add_test(t, nat_echo_and_errors);
	tcase_add_test(t, nat_answers_a_stranger_through_the_port_it_used);
	tcase_add_test(t, nat_full_table);
	tcase_add_test(t, nat_seed_decides);
	tcase_add_test(t, nat_property);
	suite_add_tcase(s, t);
	return s;
}
