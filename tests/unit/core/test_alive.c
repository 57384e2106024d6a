/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/alive.h"

#include "support.h"

static int request(const struct bs_packet *p)
{
	struct bs_alive_request m;

	return bs_alive_request_decode(p, &m);
}

static int answer(const struct bs_packet *p)
{
	struct bs_alive_answer m;

	return bs_alive_answer_decode(p, &m);
}

START_TEST(recorded_requests_are_rebuilt)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	uint8_t buf[64];
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_test_next(&sc, r, BS_TYPE_U_ALIVE, 0, &p))) {
			struct bs_alive_request m;

			ck_assert_int_eq(bs_alive_request_decode(&p, &m), BS_OK);
			ck_assert_uint_eq(m.nsi, p.h.nsi_sp);
			ck_assert_int_eq(bs_alive_request_encode(buf, sizeof(buf), &m), (int)p.len);
			ck_assert_mem_eq(buf, p.bytes, p.len);
			done++;
		}
	}
	ck_assert_int_ge(done, 16);
	bs_vectors_free(v);
}
END_TEST

START_TEST(recorded_answers_and_polls_are_rebuilt)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	uint8_t buf[512];
	int done = 0;
	int events = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_test_next(&sc, r, BS_TYPE_U_ALIVE, BS_FLAG_RESPONSE, &p))) {
			struct bs_alive_answer m;

			if (bs_row_is(r, "from", "gsp"))
				continue;
			ck_assert_int_eq(bs_alive_answer_decode(&p, &m), BS_OK);
			ck_assert_int_eq(bs_alive_answer_encode(buf, sizeof(buf), &m), (int)p.len);
			ck_assert_mem_eq(buf, p.bytes, p.len);
			events += m.has_events;
			done++;
		}
	}
	ck_assert_int_ge(done, 16);
	ck_assert_int_ge(events, 1);
	bs_vectors_free(v);
}
END_TEST

START_TEST(maltreated_messages)
{
	struct bs_alive_request req = { 0x123456, 7, true, 1700000000, 0 };
	struct bs_alive_answer ans = { 0x123456, 7, true, bs_test_text("1:L: x\nEOM\n") };
	uint8_t buf[128];
	bs_ssize n;

	n = bs_alive_request_encode(buf, sizeof(buf), &req);
	ck_assert_int_eq(n, 25);
	bs_test_maltreat(buf, (size_t)n, 16, request);
	req.interval_s = 30;
	n = bs_alive_request_encode(buf, sizeof(buf), &req);
	ck_assert_int_eq(n, 31);
	bs_test_maltreat(buf, (size_t)n, 16, request);
	n = bs_alive_answer_encode(buf, sizeof(buf), &ans);
	ck_assert_int_eq(n, 24 + 8 + 11);
	bs_test_maltreat(buf, (size_t)n, 24, answer);
}
END_TEST

START_TEST(interval_and_time_are_read)
{
	struct bs_alive_request in = { 9, 7, true, 1700000000, 300 };
	struct bs_alive_request out;
	struct bs_packet p;
	uint8_t buf[64];
	bs_ssize n = bs_alive_request_encode(buf, sizeof(buf), &in);

	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_alive_request_decode(&p, &out), BS_OK);
	ck_assert(out.nsi == 9 && out.seq == 7 && out.has_time && out.unix_s == 1700000000);
	ck_assert_uint_eq(out.interval_s, 300);
	/* A TIME that is not first, or too short, does not count. */
	buf[16] = BS_PL_DESCR;
	ck_assert_int_eq(bs_alive_request_decode(&p, &out), BS_OK);
	ck_assert(!out.has_time);
}
END_TEST

START_TEST(an_answer_needs_the_ok)
{
	static const uint8_t missing[] = { 0, 0, 0, 0, 0, 0, 0, 1, 130, 2, 0, 1, 0, 7, 0, 16 };
	struct bs_alive_answer ans = { 1, 7, false, { NULL, 0 } };
	uint8_t buf[24];

	ck_assert_int_eq(bs_test_decode(missing, sizeof(missing), answer), BS_EMISSING);
	ck_assert_int_eq(bs_alive_answer_encode(buf, sizeof(buf), &ans), 24);
	buf[23] = 2;
	ck_assert_int_eq(bs_test_decode(buf, sizeof(buf), answer), BS_EFIELD);
	ck_assert_int_eq(bs_alive_answer_encode(buf, 23, &ans), BS_ETOOBIG);
}
END_TEST

/* Seven of the rules are about this message; they fail before it is looked at. */
START_TEST(rules)
{
	struct bs_vectors *v = bs_vectors_load("control_rules.txt");
	int done = 0;
	size_t i;

	for (i = 0; i < v->n; i++) {
		struct bs_slice b = bs_row_hex(&v->row[i], "bytes");

		if (!strstr(bs_row_text(&v->row[i], "where"), "U_ALIVE"))
			continue;
		ck_assert_int_lt(bs_test_decode(b.ptr, b.len, answer), 0);
		done++;
	}
	ck_assert_int_eq(done, 7);
	bs_vectors_free(v);
}
END_TEST

Suite *bs_suite_alive(void);

Suite *bs_suite_alive(void)
{
	Suite *s = suite_create("alive");
	TCase *tc = tcase_create("alive");

	tcase_add_test(tc, recorded_requests_are_rebuilt);
	tcase_add_test(tc, recorded_answers_and_polls_are_rebuilt);
	tcase_add_test(tc, maltreated_messages);
	tcase_add_test(tc, interval_and_time_are_read);
	tcase_add_test(tc, an_answer_needs_the_ok);
	tcase_add_test(tc, rules);
	suite_add_tcase(s, tc);
	return s;
}
