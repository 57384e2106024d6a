/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ip_packet.h"
#include "util/endpoint.h"

#define A UINT32_C(0x0A000002)
#define B UINT32_C(0xC6336401)
#define X UINT32_C(0xCB007101)

static uint8_t buf[2000];

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xFFFF);
}

static uint32_t pseudo(size_t body, unsigned proto)
{
	uint32_t sum = (uint32_t)body + proto;
	size_t i;

	for (i = 12; i < 20; i += 2)
		sum += (uint32_t)(buf[i] << 8 | buf[i + 1]);
	return sum;
}

/* Zero where a checksum over all of it is right. */
static unsigned header_sum(void)
{
	return ip_checksum(buf, 20, 0);
}

static unsigned body_sum(size_t len, unsigned proto)
{
	return ip_checksum(buf + 20, len - 20, proto == 1 ? 0 : pseudo(len - 20, proto));
}

/* A whole IPv4 packet with body bytes that differ. */
static size_t make(unsigned proto, size_t body)
{
	size_t len = 20 + body, i;
	size_t check = proto == 17 ? 6 : proto == 6 ? 16 : 2;

	for (i = 0; i < len; i++)
		buf[i] = (uint8_t)(i * 7 + 3);
	memset(buf, 0, 20);
	buf[0] = 0x45;
	put16(buf + 2, (unsigned)len);
	buf[8] = 64;
	buf[9] = (uint8_t)proto;
	put32(buf + 12, A);
	put32(buf + 16, B);
	put16(buf + 10, ip_checksum(buf, 20, 0));
	put16(buf + 20, 5000);
	put16(buf + 22, 443);
	if (proto == 17)
		put16(buf + 24, (unsigned)body);
	if (proto == 1)
		put16(buf + 20, 0x0800); /* echo */
	put16(buf + 20 + check, 0);
	put16(buf + 20 + check, ip_checksum(buf + 20, body, proto == 1 ? 0 : pseudo(body, proto)));
	return len;
}

START_TEST(ip_reads_and_writes)
{
	static const struct {
		unsigned proto;
		size_t body;
		uint8_t as;
	} rows[] = { { 17, 8, NAT_UDP },  { 17, 101, NAT_UDP }, { 6, 20, NAT_TCP },
		     { 6, 333, NAT_TCP }, { 1, 8, NAT_ECHO },   { 1, 65, NAT_ECHO } };
	struct ip_packet p;
	struct nat_flow f;
	size_t i, len;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		len = make(rows[i].proto, rows[i].body);
		ck_assert_uint_eq(header_sum(), 0);
		ck_assert_uint_eq(body_sum(len, rows[i].proto), 0);
		ck_assert(ip_read(buf, len, &p));
		ck_assert_uint_eq(p.flow.proto, rows[i].as);
		ck_assert_uint_eq(bs_endpoint_ip4(&p.flow.src), A);
		ck_assert_uint_eq(bs_endpoint_ip4(&p.flow.dst), B);
		if (rows[i].as != NAT_ECHO)
			ck_assert(p.flow.src.port == 5000 && p.flow.dst.port == 443);
		f = p.flow;
		bs_endpoint_set_ip4(&f.src, X, 61234);
		ip_write(&p, &f);
		ck_assert(ip_hop(&p));
		ck_assert_uint_eq(header_sum(), 0);
		ck_assert_uint_eq(body_sum(len, rows[i].proto), 0);
		ck_assert(ip_read(buf, len, &p));
		ck_assert_uint_eq(bs_endpoint_ip4(&p.flow.src), X);
		ck_assert_uint_eq(p.flow.src.port, 61234);
		ck_assert_uint_eq(p.flow.dst.port, f.dst.port);
	}
}
END_TEST

START_TEST(ip_udp_without_sum_stays_so)
{
	size_t len = make(17, 30);
	struct ip_packet p;
	struct nat_flow f;

	put16(buf + 26, 0);
	ck_assert(ip_read(buf, len, &p));
	f = p.flow;
	bs_endpoint_set_ip4(&f.dst, X, 9);
	ip_write(&p, &f);
	ck_assert(buf[26] == 0 && buf[27] == 0);
	ck_assert_uint_eq(header_sum(), 0);
}
END_TEST

START_TEST(ip_too_big_and_back)
{
	uint8_t error[IP_ERROR_MAX];
	struct bs_endpoint host;
	struct ip_packet p;
	struct nat_flow f;
	size_t len = make(17, 1400), n;

	n = ip_too_big(buf, len, 1300, error);
	ck_assert_uint_gt(n, 28);
	memcpy(buf, error, n);
	ck_assert(ip_read(buf, n, &p));
	ck_assert(p.error);
	ck_assert_uint_eq(p.flow.proto, NAT_UDP);
	ck_assert_uint_eq(bs_endpoint_ip4(&p.flow.src), A);
	ck_assert_uint_eq(p.flow.src.port, 5000);
	f = p.flow;
	bs_endpoint_set_ip4(&f.src, X, 777);
	host = f.src;
	ip_write_error(&p, &f, NAT_OUTSIDE, &host);
	ck_assert_uint_eq(header_sum(), 0);
	ck_assert_uint_eq(ip_checksum(buf + 20, n - 20, 0), 0);
	ck_assert(ip_read(buf, n, &p));
	ck_assert_uint_eq(bs_endpoint_ip4(&p.flow.src), X);
	ck_assert_uint_eq(p.flow.src.port, 777);
	/* No error about an error. */
	ck_assert_uint_eq(ip_too_big(buf, n, 100, error), 0);
}
END_TEST

START_TEST(ip_version_6)
{
	uint8_t error[IP_ERROR_MAX];
	struct ip_packet p;
	size_t n;

	memset(buf, 0, sizeof(buf));
	buf[0] = 0x60;
	put16(buf + 4, 100);
	buf[6] = 17;
	buf[7] = 2;
	buf[8] = 0x20;
	buf[24] = 0x20;
	buf[39] = 9;
	put16(buf + 40, 5000);
	put16(buf + 42, 53);
	ck_assert(ip_read(buf, 140, &p));
	ck_assert(p.v6 && p.flow.src.port == 5000 && p.flow.dst.port == 53);
	ck_assert_uint_eq(p.flow.dst.ip[15], 9);
	ck_assert(ip_hop(&p));
	ck_assert(!ip_hop(&p));
	n = ip_too_big(buf, 140, 1280, error);
	memcpy(buf, error, n);
	ck_assert(ip_read(buf, n, &p));
	ck_assert(p.error);
	ck_assert_uint_eq(p.flow.src.port, 5000);
	/* The sum over pseudo header and message. */
	ck_assert_uint_eq(ip_checksum(buf + 8, n - 8, (uint32_t)(n - 40) + 58), 0);
}
END_TEST

START_TEST(ip_hostile)
{
	uint32_t rng = 5;
	unsigned i;

	/* Cut anywhere: refused, and nothing is read past the end (a sanitizer would tell). */
	for (i = 0; i < 28; i++) {
		uint8_t *copy;
		struct ip_packet p;
		size_t len = make(17, 8);

		ck_assert_uint_gt(len, i);
		copy = malloc(i + 1);
		ck_assert_ptr_nonnull(copy);
		memcpy(copy, buf, i);
		ck_assert(!ip_read(copy, i, &p));
		free(copy);
	}
	for (i = 0; i < 200000; i++) {
		uint8_t *copy;
		struct ip_packet p;
		size_t len = make(i & 1 ? 1 : 6, 60), k;

		copy = malloc(len);
		ck_assert_ptr_nonnull(copy);
		if (i & 1)
			buf[20] = 3; /* an error that quotes noise */
		memcpy(copy, buf, len);
		for (k = 0; k < 4; k++) {
			rng = rng * 1664525u + 1013904223u;
			copy[(rng >> 16) % len] = (uint8_t)(rng >> 8);
		}
		if (ip_read(copy, len, &p)) {
			struct nat_flow f = p.flow;

			if (p.error)
				ip_write_error(&p, &f, NAT_OUTSIDE, &f.src);
			else
				ip_write(&p, &f);
			(void)ip_hop(&p);
		}
		free(copy);
	}
}
END_TEST

START_TEST(ip_fragments_are_refused)
{
	struct ip_packet p;
	size_t len = make(17, 30);

	put16(buf + 6, 0x4000);
	ck_assert(ip_read(buf, len, &p));
	put16(buf + 6, 0x2000);
	ck_assert(!ip_read(buf, len, &p));
	put16(buf + 6, 5);
	ck_assert(!ip_read(buf, len, &p));
}
END_TEST

Suite *bs_suite_ip_packet(void);
Suite *bs_suite_ip_packet(void)
{
	Suite *s = suite_create("ip_packet");
	TCase *t = tcase_create("ip_packet");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, ip_reads_and_writes);
	tcase_add_test(t, ip_udp_without_sum_stays_so);
	tcase_add_test(t, ip_too_big_and_back);
	tcase_add_test(t, ip_version_6);
	tcase_add_test(t, ip_hostile);
	tcase_add_test(t, ip_fragments_are_refused);
	suite_add_tcase(s, t);
	return s;
}
