/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"
#include "test.h"

static struct fake *f;
static struct dude a, b;

static void setup(void)
{
	f = fake_new(NULL);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	fake_allow(f, "ann@example.org", "*");
	dude_open(&a, f);
	dude_open(&b, f);
}

static void teardown(void)
{
	dude_close(&a);
	dude_close(&b);
	fake_free(f);
}

static void watch(struct dude *d, const char *id)
{
	const char *const ids[] = { id };

	dude_watch(d, ids, 1, 0, 0);
	for (size_t i = 0; i < f->n_sent; i++)
		if (f->sent[i].kind == BS_MSG_WATCH && f->sent[i].u.watch.op == BS_WATCH_ASK) {
			struct bs_message m;

			memset(&m, 0, sizeof(m));
			m.kind = BS_MSG_PRESENCE;
			m.ref = f->sent[i].ref;
			m.u.presence.n = 1;
			m.u.presence.p[0].number = f->sent[i].u.watch.number[0];
			f->ops->message(f->g, &m);
		}
	ck_assert_uint_eq(dude_status(d, BS_TYPE_WATCH), BS_ST_OK);
}

static void change(const char *id, uint8_t state, uint64_t event)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_PRESENCE;
	m.u.presence.n = 1;
	m.u.presence.change = true;
	m.u.presence.p[0].number = fake_number(f, id);
	m.u.presence.p[0].state = state;
	m.u.presence.p[0].event = event;
	m.u.presence.p[0].since_ms = 5;
	f->ops->message(f->g, &m);
}

static struct bs_presence event(struct dude *d)
{
	struct bs_gate_event e;
	struct bs_presence pr;
	struct bs_packet p;
	size_t off = 0;

	ck_assert(dude_next(d, &p));
	ck_assert_int_eq(bs_gate_event_decode(&p, &e), BS_OK);
	ck_assert(!e.has_status);
	ck_assert_uint_eq(e.h.seq, 0);
	ck_assert(bs_gate_presence_next(&p, &off, &pr));
	return pr;
}

static size_t n_ops(enum bs_watch_op op)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_sent; i++)
		n += f->sent[i].kind == BS_MSG_WATCH && f->sent[i].u.watch.op == op;
	return n;
}

START_TEST(a_change_reaches_everybody_who_watches_and_nobody_else)
{
	struct bs_packet p;

	watch(&a, "cam1.test");
	watch(&b, "cam1.test");
	watch(&b, "cam2.test");
	change("cam1.test", BS_PRESENCE_ONLINE, 7);
	struct bs_presence pr = event(&a);

	ck_assert_uint_eq(pr.state, BS_PRESENCE_ONLINE);
	ck_assert(pr.event == 7 && pr.since_ms == 5);
	ck_assert_mem_eq(pr.id.ptr, "cam1.test", 9);
	(void)event(&b);
	change("cam2.test", BS_PRESENCE_OFFLINE, 8);
	ck_assert_uint_eq(event(&b).state, BS_PRESENCE_OFFLINE);
	ck_assert(!dude_next(&a, &p));
	ck_assert_uint_eq(fake_count(f, BS_C_gate_events), 3);
}
END_TEST

START_TEST(the_owner_sees_one_subscriber_per_worker)
{
	watch(&a, "cam1.test");
	watch(&b, "cam1.test");
	watch(&a, "cam1.test");
	ck_assert_uint_eq(n_ops(BS_WATCH_ON), 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_watches), 2);
	bs__presence_remove(&f->g->session[0], fake_number(f, "cam1.test"));
	ck_assert_uint_eq(n_ops(BS_WATCH_OFF), 0);
	bs__presence_remove(&f->g->session[1], fake_number(f, "cam1.test"));
	ck_assert_uint_eq(n_ops(BS_WATCH_OFF), 1);
	bs__presence_remove(&f->g->session[1], fake_number(f, "cam1.test"));
	ck_assert_uint_eq(n_ops(BS_WATCH_OFF), 1);
	ck_assert_uint_eq(f->g->watched.used, 0);
}
END_TEST

START_TEST(the_end_of_a_session_ends_its_watches)
{
	struct dude c;

	memset(&c, 0, sizeof(c));
	dude_open(&c, f);
	watch(&c, "cam1.test");
	watch(&c, "cam2.test");
	dude_close(&c);
	ck_assert_uint_eq(f->g->watches.used, 0);
	ck_assert_uint_eq(n_ops(BS_WATCH_OFF), 2);
	change("cam1.test", BS_PRESENCE_ONLINE, 9);
}
END_TEST

START_TEST(without_the_owner_there_is_no_watch)
{
	const char *const ids[] = { "cam1.test" };

	f->full = true;
	dude_watch(&a, ids, 1, 0, 0);
	ck_assert_uint_eq(dude_status(&a, BS_TYPE_WATCH), BS_ST_RATE);
	ck_assert_uint_eq(f->g->watches.used, 0);
	ck_assert_uint_eq(f->g->watched.used, 0);
	f->full = false;
}
END_TEST

START_TEST(a_session_watches_so_many_devices)
{
	struct bs_session *s = &f->g->session[0];

	s->n_watches = BS_GATE_WATCHES_PER_SESSION;
	ck_assert_int_eq(bs__presence_add(s, 1, "cam1.test"), BS_EFULL);
	s->n_watches = 0;
	ck_assert_int_eq(bs__presence_add(s, 1, "cam1.test"), BS_OK);
}
END_TEST

START_TEST(a_forbidden_watch_ends_with_an_event)
{
	watch(&a, "cam1.test");
	bs__presence_forbid(f->g->session[0].watches);
	struct bs_presence pr = event(&a);

	ck_assert(pr.event == 0);
	ck_assert_uint_eq(pr.state, BS_PRESENCE_UNKNOWN);
	ck_assert_uint_eq(f->g->watches.used, 0);
}
END_TEST

Suite *bs_suite_presence(void)
{
	Suite *s = suite_create("presence");
	TCase *tc = tcase_create("presence");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, a_change_reaches_everybody_who_watches_and_nobody_else);
	tcase_add_test(tc, the_owner_sees_one_subscriber_per_worker);
	tcase_add_test(tc, the_end_of_a_session_ends_its_watches);
	tcase_add_test(tc, without_the_owner_there_is_no_watch);
	tcase_add_test(tc, a_session_watches_so_many_devices);
	tcase_add_test(tc, a_forbidden_watch_ends_with_an_event);
	suite_add_tcase(s, tc);
	return s;
}
