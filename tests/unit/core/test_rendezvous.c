/* SPDX-License-Identifier: Apache-2.0 */
/* test_rendezvous.c - the device's search for a path. */
#include "proto/rendezvous.h"
#include "test.h"
#include "util/endpoint.h"
#include "wire/connect.h"

#define NSI UINT32_C(0x20000001)

static struct bs_rendezvous_device r;
static struct bs_endpoint priv;
static struct bs_endpoint global;
static uint8_t buf[64];

static struct bs_endpoint at(uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0x0A000001, port);
	return ep;
}

static void setup(void)
{
	memset(&r, 0, sizeof(r));
	priv = at(1);
	global = at(2);
}

static size_t output(struct bs_endpoint *to)
{
	return bs_rendezvous_output(&r, NSI, &priv, &global, buf, sizeof(buf), to);
}

static size_t make(uint16_t step, uint32_t interval)
{
	struct bs_rendezvous_packet m;
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.nsi = NSI;
	m.step = step;
	m.ep1 = at(40);
	m.ep2 = at(41);
	m.interval_ms = interval;
	len = bs_rendezvous_packet_encode(buf, sizeof(buf), &m);
	ck_assert_int_gt(len, 0);
	return (size_t)len;
}

static int input(uint16_t step, uint32_t interval, struct bs_rendezvous_in *in)
{
	struct bs_endpoint from = at(77);
	struct bs_packet p;
	size_t len = make(step, interval);

	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	return bs_rendezvous_input(&r, &p, &from, in);
}

START_TEST(test_five_rounds)
{
	struct bs_endpoint to;
	bs_time now = BS_TIME_MS(1);
	bs_time due;
	int rounds = 0;

	bs_rendezvous_start(&r, false, now);
	for (;;) {
		ck_assert_uint_eq(output(&to), 26);
		ck_assert_uint_eq(to.port, 1);
		ck_assert_uint_eq(output(&to), 26);
		ck_assert_uint_eq(to.port, 2);
		ck_assert_uint_eq(output(&to), 0);
		rounds++;
		if (!bs_rendezvous_next_timeout(&r, &due))
			break;
		ck_assert(due == now + BS_TIME_MS(1000));
		bs_rendezvous_timeout(&r, due - 1);
		ck_assert_uint_eq(output(&to), 0);
		now = due;
		bs_rendezvous_timeout(&r, now);
	}
	ck_assert_int_eq(rounds, 5);
}
END_TEST

START_TEST(test_no_search)
{
	struct bs_endpoint to;
	bs_time due;

	bs_rendezvous_start(&r, true, 0);
	ck_assert(!bs_rendezvous_next_timeout(&r, &due));
	ck_assert_uint_gt(output(&to), 0);
	ck_assert_uint_gt(output(&to), 0);
	ck_assert_uint_eq(output(&to), 0);
}
END_TEST

/* Port 0 stands for no endpoint: skipped. */
START_TEST(test_missing_endpoints)
{
	struct bs_endpoint to;

	priv.port = 0;
	bs_rendezvous_start(&r, false, 0);
	ck_assert_uint_gt(output(&to), 0);
	ck_assert_uint_eq(to.port, 2);
	ck_assert_uint_eq(output(&to), 0);
	global.port = 0;
	bs_rendezvous_start(&r, false, 0);
	ck_assert_uint_eq(output(&to), 0);
}
END_TEST

static const struct {
	uint16_t step;
	int answer; /* step of the answer, 0 = none */
	bool concludes;
} steps[] = { { 0, 1, false }, { 1, 2, true }, { 2, 0, true } };

START_TEST(test_steps)
{
	struct bs_rendezvous_packet m;
	struct bs_rendezvous_in in;
	struct bs_endpoint to;
	struct bs_packet p;
	bs_time due;
	size_t len;

	bs_rendezvous_start(&r, false, 0);
	ck_assert_int_eq(input(steps[_i].step, 4000, &in), BS_OK);
	ck_assert_int_eq(in.concluded, steps[_i].concludes);
	ck_assert_int_eq(bs_rendezvous_next_timeout(&r, &due), !steps[_i].concludes);
	if (steps[_i].concludes)
		ck_assert_uint_eq(in.interval_ms, 4000);
	len = output(&to);
	if (!steps[_i].answer) {
		ck_assert_uint_eq(len, 0);
		return;
	}
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	ck_assert_int_eq(bs_rendezvous_packet_decode(&p, &m), BS_OK);
	ck_assert_int_eq(m.step, steps[_i].answer);
	ck_assert_uint_eq(to.port, 77);
	ck_assert_uint_eq(m.ep1.port, 77);
	ck_assert_uint_eq(m.ep2.port, 40);
	ck_assert_uint_eq(m.interval_ms, 0);
}
END_TEST

/* It is concluded once; packets are answered for ever. */
START_TEST(test_after_conclusion)
{
	struct bs_rendezvous_in in;
	struct bs_endpoint to;

	bs_rendezvous_start(&r, false, 0);
	ck_assert_int_eq(input(2, 4000, &in), BS_OK);
	ck_assert(in.concluded);
	ck_assert_uint_eq(output(&to), 0);
	ck_assert_int_eq(input(1, 9000, &in), BS_OK);
	ck_assert(!in.concluded);
	ck_assert_uint_gt(output(&to), 0);
	ck_assert_int_eq(input(0, 0, &in), BS_OK);
	ck_assert_uint_gt(output(&to), 0);
}
END_TEST

START_TEST(test_malformed)
{
	struct bs_endpoint from = at(77);
	struct bs_rendezvous_in in;
	struct bs_endpoint to;
	struct bs_packet p;
	size_t len = make(1, 0);

	buf[13] = 3;
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	ck_assert_int_eq(bs_rendezvous_input(&r, &p, &from, &in), BS_EFIELD);
	len = make(1, 0);
	buf[11] = BS_FLAG_RESPONSE;
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	ck_assert_int_eq(bs_rendezvous_input(&r, &p, &from, &in), BS_ETYPE);
	len = make(0, 0);
	buf[13] = 1; /* step 1 without EP2 */
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	ck_assert_int_eq(bs_rendezvous_input(&r, &p, &from, &in), BS_EMISSING);
	ck_assert_uint_eq(output(&to), 0);
}
END_TEST

Suite *bs_suite_rendezvous(void);

Suite *bs_suite_rendezvous(void)
{
	Suite *s = suite_create("rendezvous");
	TCase *tc = tcase_create("device");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_five_rounds);
	tcase_add_test(tc, test_no_search);
	tcase_add_test(tc, test_missing_endpoints);
	tcase_add_loop_test(tc, test_steps, 0, (int)BS_LEN(steps));
	tcase_add_test(tc, test_after_conclusion);
	tcase_add_test(tc, test_malformed);
	suite_add_tcase(s, tc);
	return s;
}
