/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "fake.h"
#include "test.h"

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

static const struct bs_slice no_cursor = { NULL, 0 };

/** A page of a list: ids in order, and where it goes on. */
struct page {
	uint16_t status;
	size_t n;
	char id[BS_GATE_WATCH_MAX][BS_DEVICE_ID_MAX + 1];
	struct bs_presence row[BS_GATE_WATCH_MAX];
	uint8_t cursor[BS_LIST_CURSOR_MAX];
	size_t cursor_len;
};

static struct page read_page(uint8_t type)
{
	struct bs_gate_list_answer m;
	struct bs_presence pr;
	struct bs_packet p;
	struct page g;
	size_t off = 0;

	memset(&g, 0, sizeof(g));
	ck_assert(dude_next(&d, &p));
	ck_assert_uint_eq(p.h.type, type);
	ck_assert_int_eq(bs_gate_list_answer_decode(&p, &m), BS_OK);
	g.status = m.status.code;
	while (bs_gate_presence_next(&p, &off, &pr)) {
		memcpy(g.id[g.n], pr.id.ptr, pr.id.len);
		g.row[g.n++] = pr;
	}
	g.cursor_len = m.cursor.len;
	if (m.cursor.len > 0)
		memcpy(g.cursor, m.cursor.ptr, m.cursor.len);
	return g;
}

/** Ask for a page, let the owners answer. */
static struct page list(struct bs_slice cursor, uint8_t state)
{
	dude_list(&d, cursor);
	for (int i = 0; i < 20; i++)
		fake_turn(f);
	fake_presence(f, state);
	return read_page(BS_TYPE_LIST);
}

/** Many devices dev000.test ..., in one import would be quicker but says less. */
static void add_devices(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char id[32];

		snprintf(id, sizeof(id), "dev%03u.test", i);
		ck_assert_int_eq(box_add(&f->box, id, 3, NULL).status, BS_OK);
	}
}

START_TEST(a_list_shows_what_may_be_reached_and_its_state)
{
	fake_allow(f, "ann@example.org", "cam1.*");
	struct page g = list(no_cursor, BS_PRESENCE_ONLINE);

	ck_assert_uint_eq(g.status, BS_ST_OK);
	ck_assert_uint_eq(g.n, 1);
	ck_assert_str_eq(g.id[0], "cam1.test");
	ck_assert_uint_eq(g.row[0].state, BS_PRESENCE_ONLINE);
	ck_assert(g.row[0].since_ms == PKI_NOW * 1000);
	ck_assert_uint_eq(g.cursor_len, 0);
}
END_TEST

START_TEST(without_rights_a_list_is_empty_and_no_owner_is_asked)
{
	struct page g = list(no_cursor, BS_PRESENCE_ONLINE);

	ck_assert_uint_eq(g.status, BS_ST_OK);
	ck_assert_uint_eq(g.n, 0);
	ck_assert_uint_eq(g.cursor_len, 0);
	ck_assert_uint_eq(fake_n_sent(f, BS_MSG_WATCH), 0);
}
END_TEST

START_TEST(owners_that_say_nothing_leave_the_state_unknown)
{
	fake_allow(f, "ann@example.org", "*");
	dude_list(&d, no_cursor);
	fake_pass(f, 100);
	ck_assert_uint_eq(fake_n_sent(f, BS_MSG_WATCH), 2);
	fake_pass(f, 300);
	struct page g = read_page(BS_TYPE_LIST);

	ck_assert_uint_eq(g.n, 2);
	ck_assert_uint_eq(g.row[0].state, BS_PRESENCE_UNKNOWN);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_query_late), 1);
	/* Their answer comes too late to be anybody's. */
	fake_presence(f, BS_PRESENCE_ONLINE);
	ck_assert_uint_eq(f->g->queries.used, 0);
}
END_TEST

START_TEST(pages_go_on_where_the_last_one_ended_whatever_changes_meanwhile)
{
	struct page g;
	char last[64] = "";
	size_t total = 0;
	struct bs_slice at = no_cursor;
	uint8_t cursor[BS_LIST_CURSOR_MAX];

	fake_allow(f, "ann@example.org", "dev*");
	add_devices(110);
	for (int page = 0; page < 4; page++) {
		g = list(at, BS_PRESENCE_OFFLINE);
		ck_assert_uint_eq(g.status, BS_ST_OK);
		ck_assert_uint_le(g.n, BS_GATE_PAGE);
		for (size_t i = 0; i < g.n; i++) {
			ck_assert_int_gt(strcmp(g.id[i], last), 0);
			snprintf(last, sizeof(last), "%s", g.id[i]);
		}
		total += g.n;
		if (g.cursor_len == 0)
			break;
		/* The record that the cursor points at goes, and one before it comes. */
		if (page == 0) {
			ck_assert_int_eq(box_device(&f->box, BS_STORE_DEVICE_DELETE, last).status,
					 BS_OK);
			ck_assert_int_eq(box_add(&f->box, "dev000a.test", 3, NULL).status, BS_OK);
		}
		memcpy(cursor, g.cursor, g.cursor_len);
		at = (struct bs_slice){ cursor, g.cursor_len };
	}
	ck_assert_uint_eq(total, 110);
	ck_assert_uint_eq(g.cursor_len, 0);
}
END_TEST

START_TEST(an_old_or_invented_cursor_is_expired)
{
	uint8_t odd[BS_LIST_CURSOR_MAX];
	struct page g;

	fake_allow(f, "ann@example.org", "dev*");
	add_devices(60);
	g = list(no_cursor, BS_PRESENCE_OFFLINE);
	ck_assert_uint_gt(g.cursor_len, 9);
	fake_pass(f, 15000);
	const struct bs_slice at = { g.cursor, g.cursor_len };

	ck_assert_uint_eq(list(at, BS_PRESENCE_OFFLINE).status, BS_ST_OK);
	f->w.unix_ms += 601000;
	ck_assert_uint_eq(list(at, BS_PRESENCE_OFFLINE).status, BS_ST_CURSOR);
	f->w.unix_ms -= 700000;
	ck_assert_uint_eq(list(at, BS_PRESENCE_OFFLINE).status, BS_ST_CURSOR);
	f->w.unix_ms += 100000;
	memset(odd, 0xFF, sizeof(odd));
	const struct bs_slice bad = { odd, sizeof(odd) };

	ck_assert_uint_eq(list(bad, BS_PRESENCE_OFFLINE).status, BS_ST_CURSOR);
	/* A right head before any bytes does no harm: at worst it starts somewhere else. */
	memcpy(odd, g.cursor, 9);
	uint16_t status = list(bad, BS_PRESENCE_OFFLINE).status;

	ck_assert(status == BS_ST_OK || status == BS_ST_CURSOR);
}
END_TEST

START_TEST(a_session_has_so_many_questions_at_once)
{
	fake_allow(f, "ann@example.org", "*");
	for (unsigned i = 0; i < BS_GATE_QUERIES_PER_SESSION; i++)
		dude_list(&d, no_cursor);
	dude_list(&d, no_cursor);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_LIST), BS_ST_RATE);
	fake_presence(f, BS_PRESENCE_ONLINE);
	for (unsigned i = 0; i < BS_GATE_QUERIES_PER_SESSION; i++)
		ck_assert_uint_eq(dude_status(&d, BS_TYPE_LIST), BS_ST_OK);
	ck_assert_uint_eq(f->g->queries.used, 0);
}
END_TEST

START_TEST(a_client_that_leaves_takes_its_questions_along)
{
	struct dude other;

	fake_allow(f, "ann@example.org", "*");
	memset(&other, 0, sizeof(other));
	dude_open(&other, f);
	dude_list(&other, no_cursor);
	ck_assert_uint_eq(f->g->queries.used, 1);
	dude_close(&other);
	fake_pass(f, 10);
	ck_assert_uint_eq(f->g->queries.used, 0);
	fake_presence(f, BS_PRESENCE_ONLINE);
}
END_TEST

START_TEST(watch_answers_with_the_state_of_each)
{
	static const char *const ids[] = { "cam1.test", "cam2.test", "cam1.test" };

	fake_allow(f, "ann@example.org", "*");
	dude_watch(&d, ids, 3, 0, 0);
	ck_assert_uint_eq(f->g->watches.used, 2);
	fake_presence(f, BS_PRESENCE_ONLINE);
	struct page g = read_page(BS_TYPE_WATCH);

	ck_assert_uint_eq(g.status, BS_ST_OK);
	ck_assert_uint_eq(g.n, 2);
	ck_assert_uint_eq(g.row[0].state, BS_PRESENCE_ONLINE);
}
END_TEST

START_TEST(since_leaves_out_what_the_client_has_seen)
{
	static const char *const ids[] = { "cam1.test", "cam2.test" };
	uint64_t seen;

	fake_allow(f, "ann@example.org", "*");
	/* Two seconds of slack, in event numbers. */
	seen = 100 + fake_number(f, "cam1.test") + (UINT64_C(2000) << 20);
	dude_watch(&d, ids, 2, BS_PARAM_BIT(BS_PARAM_SINCE), seen);
	fake_presence(f, BS_PRESENCE_ONLINE);
	struct page g = read_page(BS_TYPE_WATCH);

	ck_assert_uint_eq(g.n, 1);
	ck_assert_str_eq(g.id[0], "cam2.test");
}
END_TEST

START_TEST(one_device_out_of_reach_refuses_the_whole_watch)
{
	static const char *const forbidden[] = { "cam1.test", "cam2.test" };
	static const char *const unknown[] = { "cam1.test", "cam9.test" };

	fake_allow(f, "ann@example.org", "cam1.*");
	dude_watch(&d, forbidden, 2, 0, 0);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_WATCH), BS_ST_REFUSED);
	dude_watch(&d, unknown, 2, 0, 0);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_WATCH), BS_ST_REFUSED);
	ck_assert_uint_eq(f->g->watches.used, 0);
	ck_assert_uint_eq(fake_n_sent(f, BS_MSG_WATCH), 0);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_forbidden), 2);
}
END_TEST

START_TEST(unsubscribe_is_always_allowed)
{
	static const char *const ids[] = { "cam1.test" };
	static const char *const others[] = { "cam9.test" };

	fake_allow(f, "ann@example.org", "*");
	dude_watch(&d, ids, 1, 0, 0);
	fake_presence(f, BS_PRESENCE_ONLINE);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_WATCH), BS_ST_OK);
	dude_watch(&d, others, 1, BS_PARAM_BIT(BS_PARAM_UNSUBSCRIBE), 0);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_WATCH), BS_ST_OK);
	ck_assert_uint_eq(f->g->watches.used, 1);
	dude_watch(&d, ids, 1, BS_PARAM_BIT(BS_PARAM_UNSUBSCRIBE), 0);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_WATCH), BS_ST_OK);
	ck_assert_uint_eq(f->g->watches.used, 0);
	ck_assert_uint_eq(fake_sent(f, BS_MSG_WATCH)->u.watch.op, BS_WATCH_OFF);
}
END_TEST

Suite *bs_suite_gate_query(void)
{
	Suite *s = suite_create("gate_query");
	TCase *tc = tcase_create("query");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_list_shows_what_may_be_reached_and_its_state);
	tcase_add_test(tc, without_rights_a_list_is_empty_and_no_owner_is_asked);
	tcase_add_test(tc, owners_that_say_nothing_leave_the_state_unknown);
	tcase_add_test(tc, pages_go_on_where_the_last_one_ended_whatever_changes_meanwhile);
	tcase_add_test(tc, an_old_or_invented_cursor_is_expired);
	tcase_add_test(tc, a_session_has_so_many_questions_at_once);
	tcase_add_test(tc, a_client_that_leaves_takes_its_questions_along);
	tcase_add_test(tc, watch_answers_with_the_state_of_each);
	tcase_add_test(tc, since_leaves_out_what_the_client_has_seen);
	tcase_add_test(tc, one_device_out_of_reach_refuses_the_whole_watch);
	tcase_add_test(tc, unsubscribe_is_always_allowed);
	suite_add_tcase(s, tc);
	return s;
}
