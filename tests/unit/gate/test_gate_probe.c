/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"
#include "proto/probe.h"
#include "test.h"
#include "util/endpoint.h"

static struct fake *f;
static struct dude d;

static void setup(void)
{
	f = fake_new(NULL);
	memset(&d, 0, sizeof(d));
	dude_open(&d, f);
}

static void teardown(void)
{
	dude_close(&d);
	fake_free(f);
}

#define PUBLIC 0xCB007105u

static void probe(unsigned socket, uint32_t counter)
{
	dude_probe(&d, socket, counter, BS_PROBE_ASK_SAME, PUBLIC, 40000);
}

START_TEST(an_answer_goes_back_the_way_it_came_and_is_shorter)
{
	struct bs_probe_answer a;

	probe(1, 5);
	ck_assert_uint_eq(f->n_udp, 1);
	ck_assert_uint_eq(f->udp.socket, 1);
	ck_assert_uint_eq(bs_endpoint_ip4(&f->udp.peer), PUBLIC);
	ck_assert_uint_eq(f->udp.peer.port, 40000);
	ck_assert(bs_endpoint_equal(&f->udp.local, &f->w.socket[1].ep));
	ck_assert_uint_lt(f->udp.len, BS_PROBE_LEN);
	ck_assert_int_eq(bs_probe_answer_decode(f->udp.data, f->udp.len, &a), BS_OK);
	ck_assert_uint_eq(a.cp, d.cp);
	ck_assert_uint_eq(a.sp, d.hello.h.sp);
	ck_assert_uint_eq(a.seq, 5);
	ck_assert_uint_eq(bs_endpoint_ip4(&a.observed), PUBLIC);
}
END_TEST

START_TEST(each_counter_is_taken_once)
{
	probe(0, 105);
	probe(0, 105);
	probe(0, 41); /* too old to be known */
	probe(0, 0);
	ck_assert_uint_eq(f->n_udp, 1);
	ck_assert_uint_eq(fake_count(f, BS_C_probe_replay), 3);
	/* The other port was read first. */
	probe(0, 104);
	ck_assert_uint_eq(f->n_udp, 2);
	probe(0, 104);
	ck_assert_uint_eq(f->n_udp, 2);
	probe(0, 106);
	ck_assert_uint_eq(f->n_udp, 3);
}
END_TEST

START_TEST(a_token_gives_sixteen_answers_and_ping_renews_it)
{
	const struct bs_gate_head h = { d.cp, 0, 9 };
	struct bs_packet p;
	uint8_t buf[32];

	for (uint32_t i = 1; i <= 20; i++)
		probe(0, i);
	ck_assert_uint_eq(f->n_udp, 16);
	ck_assert_uint_eq(fake_count(f, BS_C_probe_limit), 4);
	dude_send(&d, buf, (size_t)bs_gate_ping_encode(&h, false, buf, sizeof(buf)));
	ck_assert(dude_next(&d, &p));
	/* Renewed, not forgotten: the counter still has to rise. */
	probe(0, 16);
	ck_assert_uint_eq(f->n_udp, 16);
	probe(0, 21);
	ck_assert_uint_eq(f->n_udp, 17);
}
END_TEST

START_TEST(a_token_lives_thirty_seconds)
{
	/* The session itself outlives the token. */
	f->g->session[0].keepalive = BS_TIME_MS(600000);
	f->w.now += BS_TIME_MS(30000);
	probe(0, 1);
	ck_assert_uint_eq(f->n_udp, 1);
	f->w.now += BS_TIME_MS(1);
	probe(0, 2);
	ck_assert_uint_eq(f->n_udp, 1);
	ck_assert_uint_eq(fake_count(f, BS_C_probe_expired), 1);
}
END_TEST

/** A probe with one byte changed after sealing, or sealed with another key. */
static void forged(size_t at, uint8_t mask, const uint8_t *key)
{
	const struct bs_probe probe_ = { d.cp, d.hello.h.sp, 1, 0, 0, 1000 };
	struct bs_endpoint from;
	struct bs_packet p;
	uint8_t buf[BS_PROBE_LEN];

	bs_endpoint_set_ip4(&from, PUBLIC, 1);
	ck_assert_int_eq(bs_probe_seal(f->w.crypto, key, &probe_, buf), BS_PROBE_LEN);
	buf[at] ^= mask;
	if (bs_packet_decode(buf, sizeof(buf), &p) == BS_OK)
		f->ops->probe(f->g, &p, &from, 0, &f->w.socket[0].ep);
}

START_TEST(forged_probes_are_never_answered)
{
	static const uint8_t key[BS_TOKEN_LEN] = "not the token!!";

	forged(0, 0, key);
	ck_assert_uint_eq(fake_count(f, BS_C_probe_mac), 1);
	for (size_t i = 0; i < BS_PROBE_LEN; i++)
		forged(i, 1, d.hello.token);
	ck_assert_uint_eq(f->n_udp, 0);
	/* And none of them moved the counter. */
	probe(0, 1);
	ck_assert_uint_eq(f->n_udp, 1);
}
END_TEST

START_TEST(a_probe_of_another_session_number_is_unknown)
{
	d.cp ^= 1;
	probe(0, 1);
	ck_assert_uint_eq(fake_count(f, BS_C_probe_mac), 1);
	d.cp ^= 1;
	d.hello.h.sp++;
	probe(0, 1);
	ck_assert_uint_eq(fake_count(f, BS_C_probe_unknown), 1);
	ck_assert_uint_eq(f->n_udp, 0);
}
END_TEST

START_TEST(a_relay_binding_is_not_answered)
{
	const struct bs_probe bind = { d.cp, d.hello.h.sp, 1, BS_PROBE_INDEX_RELAY, 0, 1 };
	struct bs_packet p;
	uint8_t buf[BS_PROBE_LEN];

	ck_assert_int_eq(bs_probe_seal(f->w.crypto, d.hello.token, &bind, buf), BS_PROBE_LEN);
	ck_assert_int_eq(bs_packet_decode(buf, sizeof(buf), &p), BS_OK);
	f->ops->probe(f->g, &p, &f->w.socket[0].ep, 0, &f->w.socket[0].ep);
	ck_assert_uint_eq(f->n_udp, 0);
}
END_TEST

START_TEST(the_other_port_answers_when_it_is_asked_for)
{
	dude_probe(&d, 0, 1, BS_PROBE_ASK_OTHER_PORT, PUBLIC, 40000);
	ck_assert_uint_eq(f->udp.socket, 1);
	dude_probe(&d, 1, 2, BS_PROBE_ASK_OTHER_PORT, PUBLIC, 40000);
	ck_assert_uint_eq(f->udp.socket, 0);
	/* There is no second address, and an answer from the first would be a lie. */
	dude_probe(&d, 1, 3, BS_PROBE_ASK_OTHER_ADDRESS, PUBLIC, 40000);
	ck_assert_uint_eq(f->n_udp, 2);
	ck_assert_uint_eq(fake_count(f, BS_C_probe_no_port), 1);
}
END_TEST

START_TEST(the_mapping_is_measured)
{
	struct bs_session *s = &f->g->session[0];

	ck_assert_uint_eq(bs__gate_nat(s).mapping, BS_NAT_UNKNOWN);
	ck_assert_ptr_null(bs__gate_mapping(s, 0));
	probe(0, 1);
	ck_assert_uint_eq(bs__gate_nat(s).mapping, BS_NAT_UNKNOWN);
	ck_assert(!bs__gate_probe_done(s));
	probe(1, 2);
	ck_assert_uint_eq(bs__gate_nat(s).mapping, BS_NAT_INDEPENDENT);
	ck_assert(bs__gate_probe_done(s));
	dude_probe(&d, 0, 3, BS_PROBE_ASK_SAME, PUBLIC, 40007);
	ck_assert_uint_eq(bs__gate_nat(s).mapping, BS_NAT_BY_PORT);
	ck_assert_uint_eq(bs__gate_nat(s).filtering, BS_NAT_UNKNOWN);
	ck_assert_uint_eq(bs__gate_mapping(s, 0)->port, 40000);
	/* What is old is no longer named. */
	f->w.now += BS_GATE_MAPPING_LIFE;
	ck_assert_ptr_null(bs__gate_mapping(s, 0));
	ck_assert_uint_eq(bs__gate_nat(s).mapping, BS_NAT_UNKNOWN);
}
END_TEST

START_TEST(one_port_for_both_roles_tells_no_mapping)
{
	const struct bs_session *s = &f->g->session[0];

	f->w.socket[0].roles = f->w.socket[2].roles = BS_SOCKET_CONTROLLER | BS_SOCKET_ATTACH;
	f->w.n_sockets = 1;
	probe(0, 1);
	ck_assert_uint_eq(f->n_udp, 1);
	ck_assert_uint_eq(bs__gate_nat(s).mapping, BS_NAT_UNKNOWN);
	ck_assert(bs__gate_probe_done(s));
	ck_assert_uint_eq(bs__gate_mapping(s, 0)->port, 40000);
}
END_TEST

START_TEST(the_number_is_given_back_with_the_session)
{
	struct dude other;

	memset(&other, 0, sizeof(other));
	dude_open(&other, f);
	ck_assert_uint_eq(f->nsis, 2);
	dude_close(&other);
	ck_assert_uint_eq(f->nsis, 1);
	dude_probe(&other, 0, 1, BS_PROBE_ASK_SAME, PUBLIC, 1);
	ck_assert_uint_eq(fake_count(f, BS_C_probe_unknown), 1);
}
END_TEST

Suite *bs_suite_gate_probe(void)
{
	Suite *s = suite_create("gate_probe");
	TCase *tc = tcase_create("probe");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, an_answer_goes_back_the_way_it_came_and_is_shorter);
	tcase_add_test(tc, each_counter_is_taken_once);
	tcase_add_test(tc, a_token_gives_sixteen_answers_and_ping_renews_it);
	tcase_add_test(tc, a_token_lives_thirty_seconds);
	tcase_add_test(tc, forged_probes_are_never_answered);
	tcase_add_test(tc, a_probe_of_another_session_number_is_unknown);
	tcase_add_test(tc, a_relay_binding_is_not_answered);
	tcase_add_test(tc, the_other_port_answers_when_it_is_asked_for);
	tcase_add_test(tc, the_mapping_is_measured);
	tcase_add_test(tc, one_port_for_both_roles_tells_no_mapping);
	tcase_add_test(tc, the_number_is_given_back_with_the_session);
	suite_add_tcase(s, tc);
	return s;
}
