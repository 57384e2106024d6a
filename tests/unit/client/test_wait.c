/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking wrappers, with the gate in a child process. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper.h"
#include "rig.h"
#include "session.h"

Suite *bs_suite_wait(void);

static struct gatekeeper g;
static struct bsc_config cfg;
static struct bsc_session *s;
static struct bsc_error err;
static pid_t child;

/** Start the gate in a process of its own. */
static void start(bool deaf)
{
	static const struct server_opts o = { .want_client = true };

	gatekeeper_init(&g, &o);
	gatekeeper_config(&g, &cfg);
	g.deaf = deaf;
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		for (;;) {
			gatekeeper_pump(&g);
			(void)usleep(1000);
		}
	memset(&err, 0, sizeof err);
	cfg.no_reconnect = true;
	cfg.open_timeout_ms = 2000;
	ck_assert_int_eq(bsc_session_new(&cfg, &s, &err), BS_OK);
}

static void teardown(void)
{
	bsc_session_free(s);
	s = NULL;
	if (child > 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
	}
	child = 0;
	gatekeeper_fini(&g);
}

static void count(void *arg, const struct bsc_presence *p, const struct bsc_error *e)
{
	(void)e;
	ck_assert_ptr_nonnull(p);
	(*(int *)arg)++;
}

START_TEST(open_and_list)
{
	int rows = 0;

	start(false);
	ck_assert_msg(bsc_session_open_wait(s, -1, &err) == BS_OK, "%s", err.text);
	ck_assert_int_eq(s->m.state, BSC_SESSION_OPEN);
	ck_assert_int_eq(bsc_session_open_wait(s, -1, NULL), BS_OK);
	ck_assert_int_eq(bsc_list_wait(s, 5000, count, &rows, &err), BS_OK);
	ck_assert_int_eq(rows, 1);
	ck_assert_int_eq(bsc_list_wait(s, 5000, NULL, NULL, NULL), BS_OK);
}
END_TEST

START_TEST(a_refused_connect_leaves_nothing)
{
	struct bsc_conn *c = NULL;
	struct told t = { 0 };

	start(false);
	ck_assert_int_eq(bsc_connect_wait(s, "dev1.example", -1, rig_on_conn, &t, &c, &err),
			 BS_EPERM);
	ck_assert_uint_eq(err.code, BS_ST_REFUSED);
	ck_assert_ptr_null(c);
	ck_assert_int_eq(t.step, BSC_CLOSED);
	ck_assert_int_eq(bsc_session_wait(s, 0), BS_OK);
	ck_assert_ptr_null(s->m.links);
	ck_assert_int_eq(bsc_connect_wait(s, "no id!", -1, NULL, NULL, &c, &err), BS_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "no id!"));
}
END_TEST

START_TEST(limits_are_kept_and_nothing_calls_back_later)
{
	struct bsc_conn *c = NULL;
	int rows = 0;

	start(true);
	ck_assert_int_eq(bsc_session_open_wait(s, 100, &err), BS_ETIMEDOUT);
	ck_assert_uint_eq(err.code, BSC_TIMEOUT);
	ck_assert_int_eq(bsc_list_wait(s, 100, count, &rows, &err), BS_ETIMEDOUT);
	ck_assert_int_eq(bsc_connect_wait(s, "dev1", 100, NULL, NULL, &c, &err), BS_ETIMEDOUT);
	/* The session's own timeout ends them all; their stacks are long gone. */
	ck_assert_int_eq(bsc_session_open_wait(s, 5000, &err), BS_ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(err.text, "asking"));
	ck_assert_int_eq(rows, 0);
}
END_TEST

START_TEST(waits_end_by_themselves)
{
	start(false);
	ck_assert_int_eq(bsc_session_wait(s, 20), BS_OK);
	bsc_conn_close_wait(NULL, -1);
}
END_TEST

/** Calls the waiting functions from inside a callback, which none of them allows. */
static void on_step(void *arg, struct bsc_session *session, enum bsc_progress step,
		    const struct bsc_error *e)
{
	struct bsc_conn *c;
	int *refused = arg;

	(void)step;
	(void)e;
	*refused += bsc_session_open_wait(session, 0, NULL) == BS_ESTATE &&
		    bsc_list_wait(session, 0, count, NULL, NULL) == BS_ESTATE &&
		    bsc_connect_wait(session, "dev1", 0, NULL, NULL, &c, NULL) == BS_ESTATE &&
		    bsc_session_wait(session, 0) == BS_ESTATE;
}

START_TEST(not_from_a_callback)
{
	int refused = 0;

	start(false);
	s->m.set.fn = on_step;
	s->m.set.arg = &refused;
	s->m.set.owner = s;
	ck_assert_int_eq(bsc_session_open_wait(s, -1, &err), BS_OK);
	ck_assert_int_eq(refused, 4);
}
END_TEST

Suite *bs_suite_wait(void)
{
	Suite *suite = suite_create("client wait");
	TCase *t = tcase_create("wait");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, open_and_list);
	tcase_add_test(t, a_refused_connect_leaves_nothing);
	tcase_add_test(t, limits_are_kept_and_nothing_calls_back_later);
	tcase_add_test(t, waits_end_by_themselves);
	tcase_add_test(t, not_from_a_callback);
	suite_add_tcase(suite, t);
	return suite;
}
