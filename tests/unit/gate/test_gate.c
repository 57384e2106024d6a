/* SPDX-License-Identifier: Apache-2.0 */
#include "server/gate.h"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../conf/alloc.h"
#include "fake.h"
#include "test.h"

static struct fake *f;

static void setup(void)
{
	f = fake_new("handshake-rate = 1000/s\n");
}

static void setup_slow(void)
{
	f = fake_new("handshake-rate = 2/s\n");
}

static void teardown(void)
{
	fake_free(f);
}

static void turns(int n)
{
	(void)poll(NULL, 0, 2);
	for (int i = 0; i < n; i++)
		fake_turn(f);
}

START_TEST(every_call_of_the_table_is_there)
{
	const struct bs_gate_ops *ops = bs_gate_ops();

	ck_assert(ops->bind && ops->unbind && ops->reload && ops->main_tick && ops->port);
	ck_assert(ops->new && ops->free && ops->probe && ops->message && ops->tick);
	ck_assert(ops->turn && ops->is_busy);
	ck_assert(ops->conf_changed && ops->drain);
	ops->unbind(NULL);
	ops->free(NULL);
}
END_TEST

START_TEST(sessions_beyond_the_limit_are_refused_and_counted)
{
	int fd[20];

	ck_assert_uint_eq(f->g->cap, 14);
	for (int i = 0; i < 20; i++)
		fd[i] = fake_knock(f);
	turns(10);
	/* The notice comes before the refusal, once. */
	ck_assert_uint_eq(f->g->near_full, 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 14);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_full), 6);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_accepted), 20);
	for (int i = 0; i < 20; i++)
		close(fd[i]);
	turns(10);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	ck_assert_uint_eq(f->g->near_full, 0);
	/* And there is room again. */
	fd[0] = fake_knock(f);
	turns(3);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 1);
	close(fd[0]);
}
END_TEST

START_TEST(ghosts_give_way_to_new_sessions)
{
	struct dude d;

	memset(&d, 0, sizeof(d));
	fake_allow(f, "ann@example.org", "*");
	for (uint32_t i = 0; i < f->g->cap; i++) {
		char attempt[9] = "ATTEMPT.";

		dude_open(&d, f);
		attempt[7] = (char)('a' + i);
		dude_connect(&d, "cam1.test", attempt);
		fake_pass(f, 150);
		fake_accept(f, fake_sent(f, BS_MSG_CONNECT), 0x02000001 + i);
		fake_forget(f);
		dude_close(&d);
	}
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), f->g->cap);
	ck_assert_uint_eq(f->g->conns.used, f->g->cap);
	dude_open(&d, f);
	ck_assert_uint_eq(f->g->conns.used, f->g->cap - 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_full), 0);
	dude_close(&d);
}
END_TEST

START_TEST(one_address_does_not_take_every_handshake)
{
	int fd[10];

	for (int i = 0; i < 10; i++)
		fd[i] = fake_knock(f);
	turns(5);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_accepted), 10);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_source_rate), 6);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 4);
	for (int i = 0; i < 10; i++)
		close(fd[i]);
	turns(5);
	fake_pass(f, 1000);
	fd[0] = fake_knock(f);
	turns(3);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 1);
	close(fd[0]);
}
END_TEST

START_TEST(without_descriptors_accepting_pauses_and_goes_on)
{
	struct rlimit had, none;
	int fd = fake_knock(f);
	int highest = dup(fd);

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &had), 0);
	close(highest);
	none = had;
	none.rlim_cur = (rlim_t)highest;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	turns(3);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_descriptors), 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_accepted), 0);
	/* No spinning meanwhile. */
	turns(20);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_descriptors), 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &had), 0);
	fake_pass(f, 150);
	turns(3);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_accepted), 1);
	close(fd);
}
END_TEST

START_TEST(drain_says_goodbye_and_takes_nobody_in)
{
	struct bs_gate_event e;
	struct bs_packet p;
	struct dude d;
	int fd;

	memset(&d, 0, sizeof(d));
	dude_open(&d, f);
	fd = fake_knock(f);
	turns(2);
	f->ops->drain(f->g, 0);
	f->ops->drain(f->g, 0);
	ck_assert(dude_next(&d, &p));
	ck_assert_int_eq(bs_gate_event_decode(&p, &e), BS_OK);
	ck_assert_uint_eq(e.status.code, BS_ST_DRAINING);
	ck_assert_uint_eq(e.h.sp, 0);
	ck_assert(dude_ended(&d));
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	int late = fake_knock(f);

	turns(5);
	fake_pass(f, 500);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	close(late);
	close(fd);
	dude_close(&d);
}
END_TEST

START_TEST(a_reload_takes_new_certificates_and_keeps_old_sessions)
{
	struct dude old, new;

	memset(&old, 0, sizeof(old));
	memset(&new, 0, sizeof(new));
	dude_open(&old, f);
	const struct bs_tls_server *before = f->g->tls;

	ck_assert_int_eq(fake_reload(f, "client-keepalive = 9s\n"), BS_OK);
	ck_assert_ptr_ne(f->g->tls, before);
	dude_hello(&old);
	ck_assert_uint_eq(dude_status(&old, BS_TYPE_HELLO), BS_ST_OK);
	dude_open(&new, f);
	ck_assert_uint_eq(new.hello.params.keepalive_s, 9);
	dude_close(&old);
	dude_close(&new);
}
END_TEST

START_TEST(a_bad_reload_changes_nothing)
{
	struct dude d;
	char path[128];

	memset(&d, 0, sizeof(d));
	snprintf(path, sizeof(path), "%s/server.key", f->dir);
	ck_assert_int_eq(truncate(path, 100), 0);
	const struct bs_tls_server *before = f->g->tls;

	ck_assert_int_eq(fake_reload(f, NULL), BS_ECONF);
	ck_assert_ptr_eq(f->g->tls, before);
	dude_open(&d, f);
	dude_close(&d);
}
END_TEST

START_TEST(messages_of_other_kinds_are_counted)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_GATE_FIRST + 5;
	f->ops->message(f->g, &m);
	ck_assert_uint_eq(fake_count(f, BS_C_message_unknown), 1);
	/* Results, ends and answers of nothing that is open. */
	m.kind = BS_MSG_CONN_CLOSED;
	f->ops->message(f->g, &m);
	m.kind = BS_MSG_PRESENCE;
	f->ops->message(f->g, &m);
	m.u.presence.change = true;
	m.u.presence.n = 255;
	f->ops->message(f->g, &m);
	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_CONNECT_RESULT;
	m.ref = 999;
	f->ops->message(f->g, &m);
	ck_assert_uint_eq(f->n_sent, 0);
}
END_TEST

START_TEST(a_gate_without_memory_is_none_and_leaves_nothing)
{
	for (unsigned n = 1;; n++) {
		test_alloc_fail_at(n);
		struct bs_gate *g = f->ops->new (&f->w, f->shared);

		if (!test_alloc_failed()) {
			ck_assert_ptr_nonnull(g);
			ck_assert_uint_gt(n, 10);
			f->ops->free(g);
			return;
		}
		ck_assert_ptr_null(g);
	}
}
END_TEST

/** Whatever allocation of a session fails, the session goes and the gate stays. */
START_TEST(a_session_without_memory_takes_only_itself_along)
{
	const struct bs_gate_head h = { 1, 0, 1 };
	uint8_t buf[16];
	struct dude d;

	for (unsigned n = 1; n < 10; n++) {
		memset(&d, 0, sizeof(d));
		dude_open(&d, f);
		ck_assert_int_eq(bs_gate_ping_encode(&h, false, buf, sizeof(buf)), 16);
		/* From here to its end no assertion: they allocate too. */
		test_alloc_fail_at(n);
		/* In pieces, so that the beginning of a packet has to be kept. */
		if (SSL_write(d.ssl, buf, 7) == 7)
			turns(3);
		if (SSL_write(d.ssl, buf + 7, 9) == 9)
			turns(3);
		(void)test_alloc_failed();
		dude_close(&d);
		turns(3);
		ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
		/* Between tries, so that the rate per source is not what refuses. */
		f->w.now += BS_TIME_MS(1000);
	}
	ck_assert_uint_ge(fake_count(f, BS_C_memory_failed), 1);
}
END_TEST

Suite *bs_suite_gate(void)
{
	Suite *s = suite_create("gate");
	TCase *tc = tcase_create("gate");
	TCase *slow = tcase_create("slow");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_checked_fixture(slow, setup_slow, teardown);
	tcase_set_timeout(tc, 60);
	tcase_set_timeout(slow, 60);
	tcase_add_test(tc, every_call_of_the_table_is_there);
	tcase_add_test(tc, sessions_beyond_the_limit_are_refused_and_counted);
	tcase_add_test(tc, ghosts_give_way_to_new_sessions);
	tcase_add_test(tc, without_descriptors_accepting_pauses_and_goes_on);
	tcase_add_test(tc, drain_says_goodbye_and_takes_nobody_in);
	tcase_add_test(tc, a_reload_takes_new_certificates_and_keeps_old_sessions);
	tcase_add_test(tc, a_bad_reload_changes_nothing);
	tcase_add_test(tc, messages_of_other_kinds_are_counted);
	tcase_add_test(tc, a_gate_without_memory_is_none_and_leaves_nothing);
	tcase_add_test(tc, a_session_without_memory_takes_only_itself_along);
	tcase_add_test(slow, one_address_does_not_take_every_handshake);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, slow);
	return s;
}
