/* SPDX-License-Identifier: Apache-2.0 */
/* LIST, WATCH and PING: pages, events, refusals, timeouts, limits, callbacks that interfere. */
#include <stdio.h>

#include "rig.h"

Suite *bs_suite_request(void);

static struct rig r;

/** What a presence callback saw. */
struct seen {
	int n;
	int ends;
	struct bsc_error err;
	char rows[1024];
	uint64_t event;
};

static struct seen seen;

static void setup(void)
{
	rig_init(&r);
	memset(&seen, 0, sizeof seen);
}

static void teardown(void)
{
	rig_fini(&r);
}

static void on_presence(void *arg, const struct bsc_presence *p, const struct bsc_error *err)
{
	struct seen *s = arg;
	size_t at = strlen(s->rows);

	if (p == NULL) {
		s->ends++;
		if (err != NULL)
			s->err = *err;
		return;
	}
	s->n++;
	s->event = p->event;
	(void)snprintf(s->rows + at, sizeof s->rows - at, "%s:%d ", p->device, (int)p->state);
}

static void on_ping(void *arg, uint32_t rtt_us, const struct bsc_error *err)
{
	struct seen *s = arg;

	s->ends++;
	s->n = (int)rtt_us;
	if (err != NULL)
		s->err = *err;
}

static void pong(void)
{
	struct bs_gate_head h = { .seq = r.last.h.seq };
	uint8_t buf[64];

	rig_bytes(&r, buf, bs_gate_ping_encode(&h, true, buf, sizeof buf));
}

static void event(const char *id, uint64_t number, uint8_t state)
{
	struct bs_gate_event e = { .has_status = false };
	struct bs_presence p = { .event = number, .state = state, .id = rig_text(id) };
	uint8_t buf[256];

	rig_bytes(&r, buf, bs_gate_event_encode(&e, &p, 1, buf, sizeof buf));
}

START_TEST(a_list_opens_the_session_and_follows_pages)
{
	static const char *const page1[] = { "a.example:1", "b.example:0", NULL };
	static const char *const page2[] = { "c.example:2", NULL };
	struct bs_gate_list l;

	ck_assert_int_eq(bsc__request_list(&r.m, on_presence, &seen, r.now), BS_OK);
	ck_assert_int_eq(r.m.state, BSC_SESSION_OPENING);
	rig_up(&r);
	ck_assert(!rig_sent(&r));
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_LIST);
	ck_assert_int_eq(bs_gate_list_decode(&r.last, &l), BS_OK);
	ck_assert_uint_eq(l.cursor.len, 0);
	rig_list(&r, BS_ST_OK, page1, "page-2");
	ck_assert_int_eq(seen.ends, 0);
	rig_expect(&r, BS_TYPE_LIST);
	ck_assert_int_eq(bs_gate_list_decode(&r.last, &l), BS_OK);
	ck_assert_uint_eq(l.cursor.len, 6);
	ck_assert_mem_eq(l.cursor.ptr, "page-2", 6);
	rig_list(&r, BS_ST_OK, page2, "");
	ck_assert_int_eq(seen.ends, 1);
	ck_assert_uint_eq(seen.err.code, 0);
	ck_assert_str_eq(seen.rows, "a.example:1 b.example:0 c.example:2 ");
	ck_assert_uint_eq(r.m.n_reqs, 0);
}
END_TEST

START_TEST(an_expired_cursor_is_told)
{
	static const char *const page1[] = { "a:1", NULL };

	rig_open(&r);
	ck_assert_int_eq(bsc__request_list(&r.m, on_presence, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_LIST);
	rig_list(&r, BS_ST_OK, page1, "x");
	rig_expect(&r, BS_TYPE_LIST);
	rig_list(&r, BS_ST_CURSOR, NULL, "");
	ck_assert_int_eq(seen.ends, 1);
	ck_assert_uint_eq(seen.err.code, BS_ST_CURSOR);
	ck_assert_int_eq(r.m.state, BSC_SESSION_OPEN);
}
END_TEST

START_TEST(a_cursor_that_is_too_long_breaks_the_protocol)
{
	char cursor[BS_LIST_CURSOR_MAX + 2];
	static const char *const none[] = { NULL };

	memset(cursor, 'c', sizeof cursor - 1);
	cursor[sizeof cursor - 1] = '\0';
	rig_open(&r);
	ck_assert_int_eq(bsc__request_list(&r.m, on_presence, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_LIST);
	{
		struct bs_gate_head h = { .seq = r.last.h.seq };
		struct bs_status_text st = { .code = BS_ST_OK };
		uint8_t buf[256];
		struct bs_writer w;
		bs_ssize n;

		bs_gate_list_answer_begin(&w, buf, sizeof buf, BS_TYPE_LIST, &h, &st);
		bs_packet_add(&w, BS_PL_CURSOR, 0, cursor, sizeof cursor - 1);
		n = bs_packet_finish(&w);
		rig_bytes(&r, buf, n);
	}
	(void)none;
	ck_assert_int_eq(seen.ends, 1);
	ck_assert_uint_eq(seen.err.code, BSC_PROTOCOL);
}
END_TEST

START_TEST(a_list_lost_between_pages_cannot_start_over)
{
	static const char *const page1[] = { "a:1", NULL };

	rig_open(&r);
	ck_assert_int_eq(bsc__request_list(&r.m, on_presence, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_LIST);
	rig_list(&r, BS_ST_OK, page1, "x");
	rig_down(&r, BS_EUNREACH, BSC_LOST);
	ck_assert_int_eq(seen.ends, 1);
	ck_assert_uint_eq(seen.err.code, BSC_LOST);
}
END_TEST

START_TEST(pings_measure_and_time_out)
{
	rig_open(&r);
	ck_assert_int_eq(bsc__request_ping(&r.m, on_ping, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_PING);
	r.now += BS_TIME_MS(12);
	pong();
	ck_assert_int_eq(seen.ends, 1);
	ck_assert_int_eq(seen.n, 12000);
	ck_assert_int_eq(bsc__request_ping(&r.m, on_ping, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_PING);
	rig_pass(&r, BSC__ANSWER_MS);
	ck_assert_int_eq(seen.ends, 2);
	ck_assert_uint_eq(seen.err.code, BSC_TIMEOUT);
	/* The late answer disturbs nobody. */
	pong();
	ck_assert_int_eq(seen.ends, 2);
	ck_assert_int_eq(r.m.state, BSC_SESSION_OPEN);
}
END_TEST

START_TEST(answers_find_their_requests_in_any_order)
{
	struct seen s[3];
	struct bs_packet sent[3];
	uint8_t bufs[3][64];

	memset(s, 0, sizeof s);
	rig_open(&r);
	for (int k = 0; k < 3; k++) {
		ck_assert_int_eq(bsc__request_ping(&r.m, on_ping, &s[k], r.now), BS_OK);
		rig_expect(&r, BS_TYPE_PING);
		sent[k] = r.last;
		memcpy(bufs[k], r.buf, 16);
	}
	for (int k = 2; k >= 0; k--) {
		r.last = sent[k];
		pong();
		ck_assert_int_eq(s[k].ends, 1);
	}
	for (int k = 0; k < 2; k++)
		ck_assert_uint_ne(sent[k].h.seq, sent[k + 1].h.seq);
}
END_TEST

START_TEST(numbers_wrap_without_zero_and_without_clash)
{
	struct bs_packet old;
	struct seen late = { 0 };

	rig_open(&r);
	r.m.seq = 0xfffe;
	ck_assert_int_eq(bsc__request_ping(&r.m, on_ping, &late, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_PING);
	ck_assert_uint_eq(r.last.h.seq, 0xffff);
	old = r.last;
	ck_assert_int_eq(bsc__request_ping(&r.m, on_ping, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_PING);
	ck_assert_uint_eq(r.last.h.seq, 1);
	r.m.seq = 0xfffe;
	ck_assert_int_eq(bsc__request_ping(&r.m, on_ping, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_PING);
	ck_assert_uint_eq(r.last.h.seq, 2);
	r.last = old;
	pong();
	ck_assert_int_eq(late.ends, 1);
}
END_TEST

START_TEST(the_table_is_bounded)
{
	for (int k = 0; k < BSC__REQUESTS_MAX; k++)
		ck_assert_int_eq(bsc__request_ping(&r.m, on_ping, &seen, r.now), BS_OK);
	ck_assert_int_eq(bsc__request_ping(&r.m, on_ping, &seen, r.now), BS_EFULL);
	ck_assert_int_eq(bsc__request_list(&r.m, on_presence, &seen, r.now), BS_EFULL);
	rig_down(&r, BS_EUNREACH, BSC_TCP_FAILED);
	ck_assert_int_eq(seen.ends, BSC__REQUESTS_MAX);
	ck_assert_int_eq(bsc__request_ping(&r.m, on_ping, &seen, r.now), BS_OK);
}
END_TEST

static const char *const two[] = { "a.example", "b.example" };

START_TEST(a_watch_tells_states_and_changes)
{
	static const char *const rows[] = { "a.example:1", "b.example:0", NULL };
	struct bs_gate_watch w;

	ck_assert_int_eq(bsc__request_watch(&r.m, two, 2, 42, on_presence, &seen, r.now), BS_OK);
	rig_up(&r);
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_WATCH);
	ck_assert_int_eq(bs_gate_watch_decode(&r.last, &w), BS_OK);
	ck_assert_uint_eq(w.n_ids, 2);
	ck_assert_uint_eq(w.params.since, 42);
	ck_assert(!rig_sent(&r));
	rig_list(&r, BS_ST_OK, rows, "");
	ck_assert_str_eq(seen.rows, "a.example:1 b.example:0 ");
	event("b.example", 107, 1);
	event("other.example", 108, 1);
	ck_assert_str_eq(seen.rows, "a.example:1 b.example:0 b.example:1 ");
	ck_assert_uint_eq(seen.event, 107);
}
END_TEST

START_TEST(a_watch_survives_a_loss_and_says_what_it_saw_last)
{
	static const char *const rows[] = { "a.example:1", NULL };
	struct bs_gate_watch w;

	rig_open(&r);
	ck_assert_int_eq(bsc__request_watch(&r.m, two, 2, 0, on_presence, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_WATCH);
	ck_assert_int_eq(bs_gate_watch_decode(&r.last, &w), BS_OK);
	ck_assert(!(w.params.has & BS_PARAM_BIT(BS_PARAM_SINCE)));
	rig_list(&r, BS_ST_OK, rows, "");
	event("a.example", 555, 0);
	rig_down(&r, BS_EUNREACH, BSC_LOST);
	ck_assert_int_eq(r.m.state, BSC_SESSION_WAITING);
	ck_assert_int_eq(seen.ends, 0);
	rig_pass(&r, 1000);
	/* The server is still down: a longer wait, the watch stays. */
	rig_down(&r, BS_EUNREACH, BSC_TCP_REFUSED);
	ck_assert_int_eq(r.m.state, BSC_SESSION_WAITING);
	rig_pass(&r, 2000);
	rig_up(&r);
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_WATCH);
	ck_assert_int_eq(bs_gate_watch_decode(&r.last, &w), BS_OK);
	ck_assert_uint_eq(w.params.since, 555);
	ck_assert(!rig_sent(&r));
	ck_assert_int_eq(seen.ends, 0);
}
END_TEST

START_TEST(a_refused_watch_ends)
{
	rig_open(&r);
	ck_assert_int_eq(bsc__request_watch(&r.m, two, 2, 0, on_presence, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_WATCH);
	rig_list(&r, BS_ST_REFUSED, NULL, "");
	ck_assert_int_eq(seen.ends, 1);
	ck_assert_uint_eq(seen.err.code, BS_ST_REFUSED);
	event("a.example", 9, 1);
	ck_assert_int_eq(seen.n, 0);
}
END_TEST

START_TEST(an_unanswered_watch_ends)
{
	rig_open(&r);
	ck_assert_int_eq(bsc__request_watch(&r.m, two, 2, 0, on_presence, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_WATCH);
	rig_pass(&r, BSC__ANSWER_MS);
	ck_assert_int_eq(seen.ends, 1);
	ck_assert_uint_eq(seen.err.code, BSC_TIMEOUT);
}
END_TEST

START_TEST(unwatch_tells_the_server_and_nobody_else)
{
	struct bs_gate_watch w;

	rig_open(&r);
	ck_assert_int_eq(bsc__request_watch(&r.m, two, 2, 0, on_presence, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_WATCH);
	bsc__request_unwatch(&r.m, r.now);
	rig_expect(&r, BS_TYPE_WATCH);
	ck_assert_int_eq(bs_gate_watch_decode(&r.last, &w), BS_OK);
	ck_assert(w.params.has & BS_PARAM_BIT(BS_PARAM_UNSUBSCRIBE));
	ck_assert_uint_eq(w.n_ids, 2);
	event("a.example", 1, 1);
	ck_assert_int_eq(seen.n + seen.ends, 0);
	bsc__request_unwatch(&r.m, r.now);
	ck_assert(!rig_sent(&r));
}
END_TEST

START_TEST(bad_ids_are_refused_before_anything_is_sent)
{
	static const char *const bad[] = { "", "UPPER", "sp ace", "under_score",
					   "a23456789012345678901234567890123456789012" };

	for (size_t k = 0; k < LEN(bad); k++)
		ck_assert_int_eq(bsc__request_watch(&r.m, &bad[k], 1, 0, on_presence, &seen, r.now),
				 BS_EINVAL);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
}
END_TEST

/** A callback that ends the watch in the middle of its rows. */
static void on_first(void *arg, const struct bsc_presence *p, const struct bsc_error *err)
{
	on_presence(arg, p, err);
	bsc__request_unwatch(&r.m, r.now);
}

START_TEST(a_watch_callback_may_end_the_watch)
{
	static const char *const rows[] = { "a.example:1", "b.example:0", NULL };

	rig_open(&r);
	ck_assert_int_eq(bsc__request_watch(&r.m, two, 2, 0, on_first, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_WATCH);
	rig_list(&r, BS_ST_OK, rows, "");
	ck_assert_int_eq(seen.n, 1);
}
END_TEST

/** A callback that asks again when it fails. */
static void again(void *arg, uint32_t rtt_us, const struct bsc_error *err)
{
	on_ping(arg, rtt_us, err);
	if (((struct seen *)arg)->ends < 3)
		ck_assert_int_eq(bsc__request_ping(&r.m, again, arg, r.now), BS_OK);
}

START_TEST(a_failed_request_may_be_repeated_from_its_callback)
{
	ck_assert_int_eq(bsc__request_ping(&r.m, again, &seen, r.now), BS_OK);
	rig_down(&r, BS_EUNREACH, BSC_TCP_FAILED);
	ck_assert_int_eq(seen.ends, 1);
	ck_assert_uint_eq(r.m.n_reqs, 1);
	rig_pass(&r, 1000);
	rig_down(&r, BS_EAUTH, BSC_SERVER_NAME);
	ck_assert_int_eq(seen.ends, 2);
}
END_TEST

START_TEST(an_answer_of_the_wrong_kind_is_not_taken)
{
	struct bs_gate_head h = { 0 };
	uint8_t buf[64];

	rig_open(&r);
	ck_assert_int_eq(bsc__request_list(&r.m, on_presence, &seen, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_LIST);
	h.seq = r.last.h.seq;
	rig_bytes(&r, buf, bs_gate_ping_encode(&h, true, buf, sizeof buf));
	ck_assert_int_eq(seen.ends, 0);
	ck_assert_uint_eq(r.m.n_reqs, 1);
}
END_TEST

Suite *bs_suite_request(void)
{
	Suite *s = suite_create("client request");
	TCase *t = tcase_create("request");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_list_opens_the_session_and_follows_pages);
	tcase_add_test(t, an_expired_cursor_is_told);
	tcase_add_test(t, a_cursor_that_is_too_long_breaks_the_protocol);
	tcase_add_test(t, a_list_lost_between_pages_cannot_start_over);
	tcase_add_test(t, pings_measure_and_time_out);
	tcase_add_test(t, answers_find_their_requests_in_any_order);
	tcase_add_test(t, numbers_wrap_without_zero_and_without_clash);
	tcase_add_test(t, the_table_is_bounded);
	tcase_add_test(t, a_watch_tells_states_and_changes);
	tcase_add_test(t, a_watch_survives_a_loss_and_says_what_it_saw_last);
	tcase_add_test(t, a_refused_watch_ends);
	tcase_add_test(t, an_unanswered_watch_ends);
	tcase_add_test(t, unwatch_tells_the_server_and_nobody_else);
	tcase_add_test(t, bad_ids_are_refused_before_anything_is_sent);
	tcase_add_test(t, a_watch_callback_may_end_the_watch);
	tcase_add_test(t, a_failed_request_may_be_repeated_from_its_callback);
	tcase_add_test(t, an_answer_of_the_wrong_kind_is_not_taken);
	suite_add_tcase(s, t);
	return s;
}
