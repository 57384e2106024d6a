/* SPDX-License-Identifier: Apache-2.0 */
/* test_rendezvous_client.c - the client's search for a path. */
#include "proto/rendezvous.h"
#include "test.h"
#include "util/endpoint.h"
#include "wire/connect.h"

#define NSI UINT32_C(0x20000001)

static struct bs_rendezvous_client r;
static uint8_t buf[64];

static struct bs_endpoint at(uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0x0A000001, port);
	return ep;
}

static void setup(void)
{
	bs_rendezvous_client_init(&r, 6000);
}

static void add(uint16_t port, enum bs_candidate_kind kind)
{
	struct bs_endpoint ep = at(port);

	ck_assert_int_eq(bs_rendezvous_client_add(&r, &ep, kind), BS_OK);
}

static int input(uint16_t step, uint16_t port, bool *works)
{
	struct bs_rendezvous_packet m;
	struct bs_endpoint from = at(port);
	struct bs_packet p;
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.nsi = NSI;
	m.step = step;
	m.ep1 = at(40);
	m.ep2 = at(41);
	len = bs_rendezvous_packet_encode(buf, sizeof(buf), &m);
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	return bs_rendezvous_client_input(&r, &p, &from, works);
}

static size_t drain(void)
{
	struct bs_endpoint to;
	size_t n = 0;

	while (bs_rendezvous_client_output(&r, NSI, buf, sizeof(buf), &to))
		n++;
	return n;
}

START_TEST(test_list)
{
	struct bs_endpoint none = at(0);
	struct bs_endpoint ep;
	uint16_t i;

	ck_assert_int_eq(bs_rendezvous_client_add(&r, &none, BS_CANDIDATE_HOST), BS_OK);
	ck_assert_uint_eq(r.n, 0);
	for (i = 0; i < BS_RENDEZVOUS_CANDIDATES; i++) {
		add((uint16_t)(i + 1), BS_CANDIDATE_HOST);
		add((uint16_t)(i + 1), BS_CANDIDATE_OBSERVED);
	}
	ck_assert_uint_eq(r.n, BS_RENDEZVOUS_CANDIDATES);
	ep = at(999);
	ck_assert_int_eq(bs_rendezvous_client_add(&r, &ep, BS_CANDIDATE_HOST), BS_EFULL);
}
END_TEST

/* The same address from both sides: what the basestation saw counts, but not on one LAN. */
START_TEST(test_public_host)
{
	struct bs_endpoint ep = at(7);

	add(7, BS_CANDIDATE_HOST);
	add(7, BS_CANDIDATE_OBSERVED);
	ck_assert_uint_eq(r.cand[0].kind, BS_CANDIDATE_HOST);
	bs_endpoint_set_ip4(&ep, 0xCB007101, 7);
	ck_assert_int_eq(bs_rendezvous_client_add(&r, &ep, BS_CANDIDATE_HOST), BS_OK);
	ck_assert_int_eq(bs_rendezvous_client_add(&r, &ep, BS_CANDIDATE_OBSERVED), BS_OK);
	ck_assert_uint_eq(r.n, 2);
	ck_assert_uint_eq(r.cand[1].kind, BS_CANDIDATE_OBSERVED);
}
END_TEST

START_TEST(test_pace)
{
	static const uint32_t rounds[] = { 0, 100, 250, 500, 1000, 2000, 3000 };
	bs_time due = 0;
	size_t i;

	add(1, BS_CANDIDATE_HOST);
	add(2, BS_CANDIDATE_OBSERVED);
	bs_rendezvous_client_start(&r, 0);
	for (i = 0; i < BS_LEN(rounds); i++) {
		if (i) {
			ck_assert(bs_rendezvous_client_next_timeout(&r, &due));
			ck_assert(due == BS_TIME_MS(rounds[i]));
			bs_rendezvous_client_timeout(&r, due - 1);
			ck_assert_uint_eq(drain(), 0);
			bs_rendezvous_client_timeout(&r, due);
		}
		ck_assert_uint_eq(drain(), 2);
	}
	bs_rendezvous_client_stop(&r);
	ck_assert(!bs_rendezvous_client_next_timeout(&r, &due));
	bs_rendezvous_client_timeout(&r, due + BS_TIME_MS(5000));
	ck_assert_uint_eq(drain(), 0);
}
END_TEST

/* A candidate that comes late is tried at once. */
START_TEST(test_late_candidate)
{
	bs_rendezvous_client_start(&r, 0);
	ck_assert_uint_eq(drain(), 0);
	add(1, BS_CANDIDATE_HOST);
	ck_assert_uint_eq(drain(), 1);
}
END_TEST

START_TEST(test_answers)
{
	struct bs_rendezvous_packet m;
	struct bs_endpoint to;
	struct bs_packet p;
	bool works = true;
	size_t len;

	ck_assert_int_eq(input(0, 7, &works), BS_OK);
	ck_assert(!works);
	len = bs_rendezvous_client_output(&r, NSI, buf, sizeof(buf), &to);
	ck_assert_uint_eq(len, 44);
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	ck_assert_int_eq(bs_rendezvous_packet_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.step, 1);
	ck_assert_uint_eq(m.interval_ms, 6000);
	ck_assert_uint_eq(to.port, 7);
	ck_assert_int_eq(input(1, 7, &works), BS_OK);
	ck_assert(works);
	ck_assert_uint_eq(r.self.port, 40);
	len = bs_rendezvous_client_output(&r, NSI, buf, sizeof(buf), &to);
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	ck_assert_int_eq(bs_rendezvous_packet_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.step, 2);
}
END_TEST

/* The nearest that works; what the device's NAT made up on the way comes last. */
START_TEST(test_best)
{
	bool works;

	add(1, BS_CANDIDATE_HOST);
	add(2, BS_CANDIDATE_OBSERVED);
	ck_assert_ptr_null(bs_rendezvous_client_best(&r));
	ck_assert_int_eq(input(2, 3, &works), BS_OK);
	ck_assert_uint_eq(bs_rendezvous_client_best(&r)->ep.port, 3);
	ck_assert_int_eq(input(2, 2, &works), BS_OK);
	ck_assert_uint_eq(bs_rendezvous_client_best(&r)->ep.port, 2);
	ck_assert_int_eq(input(1, 1, &works), BS_OK);
	ck_assert_uint_eq(bs_rendezvous_client_best(&r)->ep.port, 1);
	/* What works is not asked again. */
	(void)drain();
	bs_rendezvous_client_start(&r, 0);
	ck_assert_uint_eq(drain(), 0);
}
END_TEST

START_TEST(test_no_source)
{
	bool works;

	ck_assert_int_eq(input(1, 0, &works), BS_ESOURCE);
	ck_assert_uint_eq(drain(), 0);
}
END_TEST

Suite *bs_suite_rendezvous_client(void);

Suite *bs_suite_rendezvous_client(void)
{
	Suite *s = suite_create("rendezvous_client");
	TCase *tc = tcase_create("client");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_list);
	tcase_add_test(tc, test_public_host);
	tcase_add_test(tc, test_pace);
	tcase_add_test(tc, test_late_candidate);
	tcase_add_test(tc, test_answers);
	tcase_add_test(tc, test_best);
	tcase_add_test(tc, test_no_source);
	suite_add_tcase(s, tc);
	return s;
}
