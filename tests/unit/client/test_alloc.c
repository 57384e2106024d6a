/* SPDX-License-Identifier: Apache-2.0 */
/* The n-th allocation fails, for every n: an error is told, nothing leaks, the next try works. */
#include "../store/alloc.h"

#include "certs.h"
#include "interface.h"
#include "rig.h"

Suite *bs_suite_alloc(void);

/** A run to its end; BS_OK or what it failed with.  Nothing is asserted in it: Check allocates. */
typedef int (*run_fn)(void);

/** Fail each allocation of a run once, until there is none left to fail. */
static void fail_each(run_fn run)
{
	int n = 0;
	bool hit;

	do {
		int rc;

		alloc_fail_at(++n);
		rc = run();
		hit = alloc_failed();
		ck_assert_msg(rc == (hit ? BS_ENOMEM : BS_OK), "allocation %d: %d", n, rc);
	} while (hit);
	ck_assert_int_gt(n, 1);
}

static int parse(void)
{
	static const char text[] =
		"<unabto_queries><query name='a' id='1'><request><parameter name='x' type='raw'/>"
		"<parameter name='y' type='raw'/></request><response><list name='l'>"
		"<parameter name='z' type='int8'/></list></response></query>"
		"<query name='b' id='2'/></unabto_queries>";
	struct bsc_interface *i = NULL;
	struct bsc_error e = { 0 };
	int rc = bsc_interface_parse(text, sizeof text - 1, "t", &i, &e);

	bsc_interface_free(i);
	return rc == BS_OK || (i == NULL && e.err == rc) ? rc : BS_EINTERNAL;
}

static const char *path;

static int load(void)
{
	struct bsc_interface *i = NULL;
	int rc = bsc_interface_load(path, &i, NULL);

	bsc_interface_free(i);
	return rc;
}

START_TEST(interfaces)
{
	fail_each(parse);
	path = text_file("alloc.xml", "<unabto_queries><query name='q' id='1'/></unabto_queries>");
	fail_each(load);
}
END_TEST

static struct bsc_config cfg;

static int session(void)
{
	struct bsc_session *s = NULL;
	struct bsc_conn *c = NULL;
	struct bsc_error e = { 0 };
	int rc = bsc_session_new(&cfg, &s, &e);

	if (rc == BS_OK)
		rc = bsc_connect(s, "dev1", NULL, NULL, &c);
	bsc_session_free(s);
	/* OpenSSL's own words for it count as well. */
	return rc == BS_ECRYPTO ? BS_ENOMEM : rc;
}

START_TEST(sessions)
{
	static const struct cert_opts client = { .cn = "alice" };
	struct certs *pki = certs_get();
	X509 *cert = cert_make(pki->rsa, pki->ca, pki->ca_key, &client);

	bsc_config_init(&cfg, sizeof cfg);
	cfg.server = "127.0.0.1";
	cfg.ca_file = cert_file("alloc-ca.pem", pki->ca, NULL);
	cfg.cert_file = cert_file("alloc.pem", cert, NULL);
	cfg.key_file = key_file("alloc.key", pki->rsa, NULL);
	X509_free(cert);
	fail_each(session);
}
END_TEST

static void on_ping(void *arg, uint32_t rtt_us, const struct bsc_error *err)
{
	(void)rtt_us;
	(void)err;
	(*(int *)arg)++;
}

static void on_row(void *arg, const struct bsc_presence *p, const struct bsc_error *err)
{
	(void)p;
	(void)err;
	(*(int *)arg)++;
}

static void on_answer(void *arg, struct bsc_conn *c, const uint8_t *data, size_t len,
		      const struct bsc_error *err)
{
	(void)c;
	(void)data;
	(void)len;
	(void)err;
	(*(int *)arg)++;
}

static struct rig r;
static int called;

static int requests(void)
{
	static const char *const ids[] = { "dev1" };
	static const uint8_t req[4] = { 0 };
	struct bsc_conn *c = NULL;
	int asked = 0;
	int rc;

	called = 0;
	rc = bsc__request_ping(&r.m, on_ping, &called, r.now);
	asked += rc == BS_OK;
	if (rc == BS_OK)
		rc = bsc__request_list(&r.m, on_row, &called, r.now);
	asked += rc == BS_OK && asked == 1;
	if (rc == BS_OK)
		rc = bsc__request_watch(&r.m, ids, 1, 0, on_row, &called, r.now);
	if (rc == BS_OK)
		rc = bsc__link_new(&r.m, "dev1", NULL, NULL, NULL, r.now, &c);
	if (rc == BS_OK)
		rc = bsc__link_call(c, req, sizeof req, 0, on_answer, &called, r.now);
	asked += rc == BS_OK;
	/* What was taken ends, what was not does not. */
	rig_down(&r, BS_EAUTH, BSC_SERVER_NAME);
	return called >= asked && r.m.n_reqs == 0 ? rc : BS_EINTERNAL;
}

START_TEST(what_is_asked)
{
	bool hit = true;
	int n = 0;

	while (hit) {
		int rc;

		/* The bench's own crypto comes first and is not the subject. */
		rig_init(&r);
		alloc_fail_at(++n);
		rc = requests();
		hit = alloc_failed();
		ck_assert_msg(rc == (hit ? BS_ENOMEM : BS_OK), "allocation %d: %d", n, rc);
		rig_fini(&r);
	}
	ck_assert_int_gt(n, 5);
}
END_TEST

START_TEST(a_watch_comes_back_when_there_is_room)
{
	static const char *const ids[] = { "dev1" };
	bs_time at;

	called = 0;
	rig_init(&r);
	rig_open(&r);
	ck_assert_int_eq(bsc__request_watch(&r.m, ids, 1, 0, on_row, &called, r.now), BS_OK);
	alloc_fail_at(1);
	bsc__request_rewatch(&r.m, r.now);
	ck_assert(alloc_failed());
	ck_assert(!rig_sent(&r));
	ck_assert(bsc__machine_next_timeout(&r.m, &at));
	ck_assert_int_le(BS_TIME_DIFF_MS(BS_TIME_DIFF(at, r.now)), BSC__WATCH_RETRY_MS);
	rig_pass(&r, BSC__WATCH_RETRY_MS);
	rig_expect(&r, BS_TYPE_WATCH);
	rig_fini(&r);
}
END_TEST

Suite *bs_suite_alloc(void)
{
	Suite *s = suite_create("client alloc");
	TCase *t = tcase_create("alloc");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, interfaces);
	tcase_add_test(t, sessions);
	tcase_add_test(t, what_is_asked);
	tcase_add_test(t, a_watch_comes_back_when_there_is_room);
	suite_add_tcase(s, t);
	return s;
}
