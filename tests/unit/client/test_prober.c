/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds of probes: what goes out when, and whose answers count. */
#include "proto/probe.h"
#include "rig.h"

Suite *bs_suite_prober(void);

struct bench {
	struct bs_openssl *o;
	const struct bs_crypto *c;
	struct bsc__prober p;
	struct bs_gate_hello_answer hello;
	bs_time now;
};

static void bench_init(struct bench *b)
{
	memset(b, 0, sizeof *b);
	b->o = bs_openssl_new();
	b->c = bs_openssl_crypto(b->o);
	b->now = BS_TIME_MS(5000);
	b->hello.h.cp = 0xaabbccdd;
	b->hello.h.sp = 0x01020304;
	b->hello.n_probes = 2;
	memset(b->hello.token, 7, sizeof b->hello.token);
	bs_endpoint_set_ip4(&b->hello.probes[0], 0x7f000001, 5566);
	bs_endpoint_set_ip4(&b->hello.probes[1], 0x7f000001, 5562);
	bsc__prober_set(&b->p, &b->hello);
}

/** The next packet, checked; false when there is none. */
static bool next(struct bench *b, struct bs_probe *p, struct bs_endpoint *to)
{
	uint8_t buf[BS_PACKET_MAX];
	size_t n = bsc__prober_output(&b->p, b->c, buf, sizeof buf, to);

	if (n == 0)
		return false;
	ck_assert_uint_eq(n, BS_PROBE_LEN);
	ck_assert_int_eq(bs_probe_decode(buf, n, p), BS_OK);
	ck_assert_int_eq(bs_probe_verify(b->c, b->hello.token, buf), BS_OK);
	ck_assert_uint_eq(p->cp, b->hello.h.cp);
	ck_assert_uint_eq(p->sp, b->hello.h.sp);
	return true;
}

static bool answer(struct bench *b, const struct bs_probe *p, const struct bs_endpoint *from,
		   uint16_t port)
{
	struct bs_probe_answer a = { .cp = p->cp, .sp = p->sp, .seq = p->seq };
	uint8_t buf[BS_PROBE_ANSWER_MAX];
	bs_ssize n;

	bs_endpoint_set_ip4(&a.observed, 0xcb007105, port);
	n = bs_probe_answer_encode(&a, buf);
	return bsc__prober_input(&b->p, buf, (size_t)n, from);
}

START_TEST(a_round_asks_both_and_ends_when_both_answered)
{
	struct bench b;
	struct bs_probe p[2];
	struct bs_endpoint to[2];

	bench_init(&b);
	ck_assert(!next(&b, &p[0], &to[0]));
	bsc__prober_start(&b.p, b.now);
	bsc__prober_timeout(&b.p, b.now);
	ck_assert(next(&b, &p[0], &to[0]));
	ck_assert(next(&b, &p[1], &to[1]));
	ck_assert(!next(&b, &p[1], &to[1]));
	ck_assert_uint_eq(to[0].port, 5566);
	ck_assert_uint_eq(to[1].port, 5562);
	ck_assert_uint_gt(p[1].counter, p[0].counter);
	ck_assert(answer(&b, &p[0], &to[0], 4000));
	ck_assert(b.p.active);
	ck_assert(answer(&b, &p[1], &to[1], 4000));
	ck_assert(!b.p.active);
	ck_assert_uint_eq(b.p.observed.port, 4000);
	bs_openssl_free(b.o);
}
END_TEST

START_TEST(unanswered_ones_are_repeated_and_given_up)
{
	struct bench b;
	struct bs_probe p;
	struct bs_endpoint to;
	uint32_t counter = 0;
	int sent = 0;
	bs_time at;

	bench_init(&b);
	bsc__prober_start(&b.p, b.now);
	bsc__prober_timeout(&b.p, b.now);
	ck_assert(next(&b, &p, &to));
	ck_assert(answer(&b, &p, &to, 4000));
	while (bsc__prober_next_timeout(&b.p, &at)) {
		b.now = at;
		bsc__prober_timeout(&b.p, b.now);
		while (next(&b, &p, &to)) {
			ck_assert_uint_eq(to.port, 5562);
			ck_assert_uint_gt(p.counter, counter);
			counter = p.counter;
			sent++;
		}
	}
	/* Three more tries; the first one's packet was replaced while it waited. */
	ck_assert_int_eq(sent, BSC__PROBE_TRIES - 1);
	ck_assert_int_ge(BS_TIME_DIFF_MS(BS_TIME_DIFF(b.now, BS_TIME_MS(5000))), 900);
	bs_openssl_free(b.o);
}
END_TEST

START_TEST(only_our_own_answers_count)
{
	struct bench b;
	struct bs_probe p;
	struct bs_probe other;
	struct bs_endpoint to;
	struct bs_endpoint elsewhere;
	static const uint8_t junk[30] = { 1, 2, 3 };

	bench_init(&b);
	bsc__prober_start(&b.p, b.now);
	bsc__prober_timeout(&b.p, b.now);
	ck_assert(next(&b, &p, &to));
	bs_endpoint_set_ip4(&elsewhere, 0x08080808, 5566);
	(void)answer(&b, &p, &elsewhere, 6666);
	ck_assert(!bs_endpoint_is_set(&b.p.observed));
	other = p;
	other.seq++;
	(void)answer(&b, &other, &to, 6666);
	ck_assert(!bs_endpoint_is_set(&b.p.observed));
	other = p;
	other.sp++;
	ck_assert(!answer(&b, &other, &to, 6666));
	other = p;
	other.cp++;
	ck_assert(!answer(&b, &other, &to, 6666));
	ck_assert(!bsc__prober_input(&b.p, junk, sizeof junk, &to));
	ck_assert(!bs_endpoint_is_set(&b.p.observed));
	bs_openssl_free(b.o);
}
END_TEST

START_TEST(without_a_token_nothing_happens)
{
	struct bench b;
	struct bs_probe p;
	struct bs_endpoint to;
	static const uint8_t zero[BS_TOKEN_LEN];
	bs_time at;

	bench_init(&b);
	bsc__prober_clear(&b.p);
	ck_assert_mem_eq(b.p.token, zero, sizeof zero);
	bsc__prober_start(&b.p, b.now);
	bsc__prober_timeout(&b.p, b.now);
	ck_assert(!next(&b, &p, &to));
	ck_assert(!bsc__prober_next_timeout(&b.p, &at));
	bs_openssl_free(b.o);
}
END_TEST

START_TEST(a_small_buffer_gets_nothing)
{
	struct bench b;
	struct bs_endpoint to;
	uint8_t buf[BS_PROBE_LEN - 1];

	bench_init(&b);
	bsc__prober_start(&b.p, b.now);
	bsc__prober_timeout(&b.p, b.now);
	ck_assert_uint_eq(bsc__prober_output(&b.p, b.c, buf, sizeof buf, &to), 0);
	bs_openssl_free(b.o);
}
END_TEST

Suite *bs_suite_prober(void)
{
	Suite *s = suite_create("client prober");
	TCase *t = tcase_create("prober");

	tcase_add_test(t, a_round_asks_both_and_ends_when_both_answered);
	tcase_add_test(t, unanswered_ones_are_repeated_and_given_up);
	tcase_add_test(t, only_our_own_answers_count);
	tcase_add_test(t, without_a_token_nothing_happens);
	tcase_add_test(t, a_small_buffer_gets_nothing);
	suite_add_tcase(s, t);
	return s;
}
