/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/alive_server.h"

#include "support.h"

/* The pace of the manual. */
static const struct bs_alive_pace pace = { 10000, 3000, 3, 40000, 70000 };
static struct bs_alive_server s;

static void start(uint32_t now)
{
	bs_alive_start(&s, 7, now);
}

static enum bs_alive_action step(uint32_t now)
{
	return bs_alive_timeout(&s, &pace, (uint16_t)(now / 100), 0, now);
}

START_TEST(first_request_at_once)
{
	start(5000);
	ck_assert_uint_eq(s.due_ms, 5000);
	ck_assert_int_eq(step(5000), BS_ALIVE_SEND);
	ck_assert_uint_eq(s.due_ms, 8000);
	ck_assert_uint_ne(s.seq, 0);
	ck_assert_int_eq(step(6000), BS_ALIVE_WAIT);
}
END_TEST

START_TEST(answered_every_ten_seconds)
{
	uint32_t now = 0;
	uint16_t seq = 0;
	int i;

	start(0);
	for (i = 0; i < 50; i++) {
		ck_assert_uint_eq(s.due_ms, now);
		ck_assert_int_eq(step(now), BS_ALIVE_SEND);
		ck_assert_uint_ne(s.seq, seq);
		seq = s.seq;
		ck_assert_int_eq(bs_alive_input(&s, &pace, seq, 0, now + 40), BS_ALIVE_ANSWER);
		/* The same answer once more answers nothing. */
		ck_assert_int_eq(bs_alive_input(&s, &pace, seq, 0, now + 50), BS_ALIVE_LATE);
		now += 10000;
	}
}
END_TEST

/* Section 6.5: repeated after 3, 6, 9 s with the same number; unreachable at 40 s, over at 70 s. */
START_TEST(silence)
{
	uint32_t sends[32];
	uint16_t seq = 0;
	unsigned n = 0;
	uint32_t now;
	uint32_t unreachable = 0;
	uint32_t dead = 0;

	start(0);
	for (now = 0; now <= 80000 && !dead; now += 10) {
		switch (step(now)) {
		case BS_ALIVE_SEND:
		case BS_ALIVE_SEND_AGAIN:
			ck_assert(n == 0 || s.seq == seq);
			seq = s.seq;
			sends[n++] = now;
			break;
		case BS_ALIVE_UNREACHABLE: unreachable = now; break;
		case BS_ALIVE_DEAD: dead = now; break;
		default: break;
		}
	}
	ck_assert_uint_eq(sends[1], 3000);
	ck_assert_uint_eq(sends[2], 6000);
	ck_assert_uint_eq(sends[3], 9000);
	ck_assert_uint_eq(sends[4], 19000);
	ck_assert_uint_eq(unreachable, 40000);
	ck_assert_uint_eq(dead, 70000);
	ck_assert_uint_ge(n, 12);
	/* The device gives up after 65 s without a request: never let it hear nothing for 13 s. */
	while (n-- > 1)
		ck_assert_uint_le(sends[n] - sends[n - 1], 13000);
}
END_TEST

START_TEST(an_answer_revives)
{
	uint32_t now;

	start(0);
	for (now = 0; step(now) != BS_ALIVE_UNREACHABLE; now += 100)
		;
	ck_assert(s.unreachable);
	ck_assert_int_eq(bs_alive_input(&s, &pace, s.seq, 0, now), BS_ALIVE_ANSWER);
	ck_assert(!s.unreachable);
	ck_assert_int_eq((int32_t)(s.due_ms - now) <= 10000, 1);
}
END_TEST

START_TEST(a_poll_is_a_sign_of_life)
{
	uint16_t seq;

	start(0);
	ck_assert_int_eq(step(0), BS_ALIVE_SEND);
	seq = s.seq;
	ck_assert_int_eq(bs_alive_input(&s, &pace, 0, 0, 30000), BS_ALIVE_POLL);
	ck_assert_uint_eq(s.seen_ms, 30000);
	/* The request under way was not answered, so its number stays. */
	bs_alive_poll(&s, &pace, 999, 30000);
	ck_assert_uint_eq(s.seq, seq);
	ck_assert_uint_eq(s.due_ms, 33000);
	ck_assert_int_eq(bs_alive_input(&s, &pace, seq, 0, 30010), BS_ALIVE_ANSWER);
	bs_alive_poll(&s, &pace, 999, 31000);
	ck_assert_uint_eq(s.seq, 999);
}
END_TEST

START_TEST(numbers_are_never_zero_and_never_the_same)
{
	bs_alive_start(&s, 0, 0);
	ck_assert_uint_ne(s.seq, 0);
	ck_assert_int_eq(bs_alive_timeout(&s, &pace, 0, 0, 0), BS_ALIVE_SEND);
	ck_assert_uint_ne(s.seq, 0);
	ck_assert_int_eq(bs_alive_input(&s, &pace, s.seq, 0, 10), BS_ALIVE_ANSWER);
	s.seq = 0xFFFF;
	ck_assert_int_eq(bs_alive_timeout(&s, &pace, 0xFFFF, 0, 10000), BS_ALIVE_SEND);
	ck_assert_uint_eq(s.seq, 1);
}
END_TEST

START_TEST(jitter_is_never_late)
{
	uint32_t j;

	for (j = 0; j < 65536; j += 257) {
		start(0);
		ck_assert_int_eq(bs_alive_timeout(&s, &pace, 5, 0, 0), BS_ALIVE_SEND);
		ck_assert_int_eq(bs_alive_input(&s, &pace, 5, (uint16_t)j, 1), BS_ALIVE_ANSWER);
		ck_assert_uint_le(s.due_ms, 10000);
		ck_assert_uint_ge(s.due_ms, 8750);
	}
}
END_TEST

START_TEST(across_the_wrap_of_the_clock)
{
	uint32_t t = UINT32_MAX - 15000;
	uint32_t now;
	unsigned n = 0;

	start(t);
	for (now = 0; now < 100000; now += 1000) {
		switch (step(t + now)) {
		case BS_ALIVE_SEND:
			ck_assert_int_eq(bs_alive_input(&s, &pace, s.seq, 0, t + now),
					 BS_ALIVE_ANSWER);
			n++;
			break;
		case BS_ALIVE_WAIT: break;
		default: ck_abort_msg("at %u", now);
		}
	}
	ck_assert_uint_eq(n, 10);
}
END_TEST

START_TEST(small_state)
{
	ck_assert_uint_le(sizeof(struct bs_alive_server), 16);
}
END_TEST

static void expect(const char *text, const char *const *want, size_t n)
{
	struct bs_slice rec;
	size_t off = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		ck_assert(bs_alive_event_next(bs_test_text(text), &off, &rec));
		ck_assert_uint_eq(rec.len, strlen(want[i]));
		ck_assert_mem_eq(rec.ptr, want[i], rec.len);
	}
	ck_assert(!bs_alive_event_next(bs_test_text(text), &off, &rec));
}

START_TEST(event_records)
{
	static const char *const two[] = { "1:L:a\n", "1:L:b\n" };
	static const char *const cut[] = { "1:L:a\n", "1:L:b" };
	static const char *const inside[] = { "no EOM\nhere xEOM\n" };
	static const char *const empty[] = { "", "" };

	expect("1:L:a\nEOM\n1:L:b\nEOM\n", two, 2);
	expect("1:L:a\nEOM\n1:L:b", cut, 2);
	expect("no EOM\nhere xEOM\nEOM\n", inside, 1);
	expect("EOM\nEOM\n", empty, 2);
	expect("", NULL, 0);
}
END_TEST

START_TEST(recorded_events)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = bs_scenario_find(v, "event_channel");
	const struct bs_row *r = NULL;
	struct bs_alive_answer a;
	struct bs_packet p;
	unsigned records = 0;

	while ((r = bs_test_next(&sc, r, BS_TYPE_U_ALIVE, BS_FLAG_RESPONSE, &p))) {
		struct bs_slice rec;
		size_t off = 0;

		ck_assert_int_eq(bs_alive_answer_decode(&p, &a), BS_OK);
		while (bs_alive_event_next(a.events, &off, &rec))
			records++;
	}
	ck_assert_uint_ge(records, 1);
	bs_vectors_free(v);
}
END_TEST

Suite *bs_suite_alive_server(void);

Suite *bs_suite_alive_server(void)
{
	Suite *suite = suite_create("alive_server");
	TCase *t = tcase_create("alive_server");

	tcase_add_test(t, first_request_at_once);
	tcase_add_test(t, answered_every_ten_seconds);
	tcase_add_test(t, silence);
	tcase_add_test(t, an_answer_revives);
	tcase_add_test(t, a_poll_is_a_sign_of_life);
	tcase_add_test(t, numbers_are_never_zero_and_never_the_same);
	tcase_add_test(t, jitter_is_never_late);
	tcase_add_test(t, across_the_wrap_of_the_clock);
	tcase_add_test(t, small_state);
	tcase_add_test(t, event_records);
	tcase_add_test(t, recorded_events);
	suite_add_tcase(suite, t);
	return suite;
}
