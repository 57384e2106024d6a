/* SPDX-License-Identifier: Apache-2.0 */
/* The session handle on real sockets: configuration, opening, losing, resuming, fork, limits. */
#include "session.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gatekeeper.h"
#include "rig.h"

Suite *bs_suite_session(void);

static struct gatekeeper g;
static struct bsc_config cfg;
static struct bsc_session *s;
static struct bsc_error err;

/** What callbacks saw. */
static struct {
	bool done;
	bool failed;
	struct bsc_error err;
	char trace[64];
	int rows;
} saw;

static void setup(void)
{
	static const struct server_opts o = { .want_client = true };

	memset(&saw, 0, sizeof saw);
	memset(&err, 0, sizeof err);
	gatekeeper_init(&g, &o);
	gatekeeper_config(&g, &cfg);
	s = NULL;
}

static void teardown(void)
{
	bsc_session_free(s);
	gatekeeper_fini(&g);
}

static void on_session(void *arg, struct bsc_session *session, enum bsc_progress step,
		       const struct bsc_error *e)
{
	size_t at = strlen(saw.trace);

	ck_assert_ptr_eq(arg, &saw);
	ck_assert_ptr_eq(session, s);
	/* Not from in here. */
	ck_assert_int_eq(bsc_session_step(session), BS_ESTATE);
	saw.trace[at] = bsc_progress_name(step)[0];
	if (step == BSC_CLOSED)
		saw.err = *e;
	saw.done = saw.done || step == BSC_PATH_FOUND || step == BSC_CLOSED;
}

static void on_ping(void *arg, uint32_t rtt_us, const struct bsc_error *e)
{
	(void)arg;
	saw.done = true;
	saw.failed = e != NULL;
	saw.rows = (int)rtt_us;
	if (e != NULL)
		saw.err = *e;
}

static void on_row(void *arg, const struct bsc_presence *p, const struct bsc_error *e)
{
	(void)arg;
	if (p != NULL) {
		saw.rows++;
		ck_assert_str_eq(p->device, "dev1.example");
		return;
	}
	saw.done = true;
	saw.failed = e != NULL;
}

static void make(void)
{
	cfg.session_fn = on_session;
	cfg.session_arg = &saw;
	ck_assert_msg(bsc_session_new(&cfg, &s, &err) == BS_OK, "%s", err.text);
}

static void turn(void)
{
	saw.done = false;
	ck_assert_msg(gatekeeper_turn(&g, s, &saw.done, 10000), "nothing happened");
}

static void ping(void)
{
	ck_assert_int_eq(bsc_ping(s, on_ping, NULL), BS_OK);
	turn();
}

START_TEST(defaults_and_older_programs)
{
	struct bsc_config c;

	memset(&c, 0x55, sizeof c);
	bsc_config_init(&c, sizeof c);
	ck_assert_uint_eq(c.port, 5571);
	ck_assert_ptr_null(c.server);
	ck_assert_uint_eq(c.len, sizeof c);
	/* An older program knows fewer fields: nothing behind them is touched. */
	memset(&c, 0x55, sizeof c);
	bsc_config_init(&c, offsetof(struct bsc_config, server_name));
	ck_assert_uint_eq(((unsigned char *)&c)[offsetof(struct bsc_config, server_name)], 0x55);
	cfg.len = offsetof(struct bsc_config, no_reconnect);
	cfg.no_reconnect = true;
	make();
	ck_assert(s->m.set.reconnect);
}
END_TEST

static const char long_name[300] = { [0 ... 298] = 'x' };

START_TEST(wrong_configurations_are_named)
{
	static const char *const says[] = {
		"server",
		"server",
		"server",
		"port",
		"certificate file",
		"key file",
		"one of them",
		"timeouts",
		"timeouts",
		"timeouts",
		"keepalive",
		"keepalive",
		"connection keepalive",
		"connection keepalive",
		"server name",
		"name servers",
	};

	switch (_i) {
	case 0: cfg.server = NULL; break;
	case 1: cfg.server = long_name; break;
	case 2: cfg.server = "a b"; break;
	case 3: cfg.port = 0; break;
	case 4: cfg.cert_file = NULL; break;
	case 5: cfg.key_file = NULL; break;
	case 6: cfg.sign = (bsc_sign_fn)(void *)on_session; break;
	case 7: cfg.open_timeout_ms = 0; break;
	case 8: cfg.rpc_timeout_ms = 99; break;
	case 9: cfg.path_timeout_ms = 3600001; break;
	case 10: cfg.keepalive_s = 0; break;
	case 11: cfg.keepalive_s = 65536; break;
	case 12: cfg.conn_keepalive_ms = 999; break;
	case 13: cfg.conn_keepalive_ms = 18001; break;
	case 14: cfg.server_name = ""; break;
	default: cfg.dns_servers = "x:y:z"; break;
	}
	ck_assert_int_lt(bsc_session_new(&cfg, &s, &err), 0);
	ck_assert_ptr_null(s);
	ck_assert_msg(strstr(err.text, says[_i]) != NULL, "\"%s\" lacks \"%s\"", err.text,
		      says[_i]);
	ck_assert_uint_eq(err.code, BSC_USAGE);
}
END_TEST

START_TEST(a_new_session_is_quiet)
{
	struct bsc_fd fds[BSC_FDS_MAX];
	struct bsc_session_info info;

	make();
	ck_assert_int_eq(bsc_session_fds(s, fds, BSC_FDS_MAX), 0);
	ck_assert_int_eq(bsc_session_fds(s, NULL, 0), 0);
	ck_assert_int_eq(bsc_session_timeout_ms(s), -1);
	ck_assert_int_eq(bsc_session_step(s), BS_OK);
	bsc_session_get_info(s, &info);
	ck_assert_int_eq(info.state, BSC_SESSION_IDLE);
	ck_assert_str_eq(info.identity, "alice");
	ck_assert_str_eq(info.server, "");
	bsc_session_free(NULL);
	bsc_conn_close(NULL);
}
END_TEST

START_TEST(opens_asks_and_tells)
{
	struct bsc_session_info info;
	struct bsc_fd fds[1];

	make();
	ck_assert_int_eq(bsc_session_open(s), BS_OK);
	ck_assert_int_eq(bsc_session_timeout_ms(s), 0);
	turn();
	ck_assert_str_eq(saw.trace, "rhap");
	bsc_session_get_info(s, &info);
	ck_assert_int_eq(info.state, BSC_SESSION_OPEN);
	ck_assert_str_eq(info.tls, "TLSv1.3");
	ck_assert(!info.resumed);
	ck_assert_str_eq(info.node, "here:1");
	ck_assert_ptr_nonnull(strstr(info.server, "127.0.0.1:"));
	ck_assert_uint_gt(info.rx_bytes, 0);
	ck_assert_int_eq(bsc_session_fds(s, fds, 1), 1);
	ck_assert_int_eq(bsc_session_fds(s, fds, 0), BS_ETOOBIG);
	ping();
	ck_assert(!saw.failed);
	ck_assert_int_gt(saw.rows, 0);
	saw.rows = 0;
	ck_assert_int_eq(bsc_list(s, on_row, NULL), BS_OK);
	turn();
	ck_assert_int_eq(saw.rows, 1);
	ck_assert(!saw.failed);
}
END_TEST

START_TEST(arguments_are_checked)
{
	static const char *const one[] = { "dev1" };
	struct bsc_conn *c;

	make();
	ck_assert_int_eq(bsc_ping(s, NULL, NULL), BS_EINVAL);
	ck_assert_int_eq(bsc_list(s, NULL, NULL), BS_EINVAL);
	ck_assert_int_eq(bsc_watch(s, one, 1, 0, NULL, NULL), BS_EINVAL);
	ck_assert_int_eq(bsc_watch(s, one, 0, 0, on_row, NULL), BS_EINVAL);
	ck_assert_int_eq(bsc_watch(s, one, BSC_WATCH_MAX + 1, 0, on_row, NULL), BS_EINVAL);
	ck_assert_int_eq(bsc_connect(s, "not an id", NULL, NULL, &c), BS_EINVAL);
	bsc_unwatch(s);
	ck_assert_int_eq(s->m.state, BSC_SESSION_IDLE);
}
END_TEST

START_TEST(a_lost_session_is_resumed)
{
	struct bsc_session_info info;

	make();
	ping();
	ck_assert_int_eq(bsc_ping(s, on_ping, NULL), BS_OK);
	gatekeeper_drop(&g);
	turn();
	/* It may have been lost before the ping went out or after: it is answered either way. */
	while (g.hellos < 2)
		turn();
	ping();
	ck_assert(!saw.failed);
	bsc_session_get_info(s, &info);
	ck_assert(info.resumed);
	ck_assert_uint_eq(info.handshakes, 2);
}
END_TEST

START_TEST(nobody_listens)
{
	(void)close(g.listener);
	g.listener = socket(AF_INET, SOCK_STREAM, 0);
	make();
	ping();
	ck_assert(saw.failed);
	ck_assert_uint_eq(saw.err.code, BSC_TCP_REFUSED);
	ck_assert_ptr_nonnull(strstr(saw.err.text, "127.0.0.1:"));
}
END_TEST

START_TEST(silence_ends_at_the_timeout)
{
	cfg.open_timeout_ms = 300;
	if (_i == 0)
		g.mute = true;
	else
		g.deaf = true;
	make();
	ping();
	ck_assert(saw.failed);
	ck_assert_uint_eq(saw.err.code, BSC_TIMEOUT);
	ck_assert_msg(strstr(saw.err.text, _i == 0 ? "handshaking" : "asking") != NULL, "%s",
		      saw.err.text);
}
END_TEST

START_TEST(a_wrong_certificate_is_told)
{
	cfg.server_name = "other.example";
	make();
	ping();
	ck_assert_uint_eq(saw.err.code, BSC_SERVER_NAME);
	ck_assert_int_eq(saw.err.err, BS_EAUTH);
}
END_TEST

START_TEST(the_servers_refusal_is_told)
{
	static const struct server_opts o = { .want_client = true,
					      .client_error = X509_V_ERR_CERT_REVOKED };

	gatekeeper_fini(&g);
	gatekeeper_init(&g, &o);
	cfg.port = g.port;
	make();
	ping();
	ck_assert_uint_eq(saw.err.code, BSC_CLIENT_REVOKED);
}
END_TEST

START_TEST(a_refused_connect_is_told)
{
	struct bsc_conn_info info;
	struct told t = { 0 };
	struct bsc_conn *c;

	make();
	ck_assert_int_eq(bsc_connect(s, "dev1.example", rig_on_conn, &t, &c), BS_OK);
	ck_assert_int_eq(bsc_session_timeout_ms(s), 0);
	for (int k = 0; k < 100 && t.step != BSC_CLOSED; k++) {
		bool never = false;

		(void)gatekeeper_turn(&g, s, &never, 50);
	}
	ck_assert_uint_eq(t.err.code, BS_ST_REFUSED);
	bsc_conn_get_info(c, &info);
	ck_assert_int_eq(info.progress, BSC_CLOSED);
	ck_assert_int_eq(info.path, BSC_PATH_NONE);
	bsc_conn_close(c);
}
END_TEST

START_TEST(a_child_may_only_free)
{
	struct bsc_conn *c = NULL;
	struct bsc_fd fds[BSC_FDS_MAX];
	uint8_t req[4] = { 0 };
	int status = -1;
	pid_t pid;

	make();
	ping();
	ck_assert_int_eq(bsc_connect(s, "dev1.example", NULL, NULL, &c), BS_OK);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		bool ok = bsc_session_step(s) == BS_ESTATE && bsc_session_open(s) == BS_ESTATE &&
			  bsc_ping(s, on_ping, NULL) == BS_ESTATE &&
			  bsc_list(s, on_row, NULL) == BS_ESTATE &&
			  bsc_session_fds(s, fds, BSC_FDS_MAX) == BS_ESTATE &&
			  bsc_rpc(c, req, 4, 0, NULL, NULL) == BS_ESTATE &&
			  bsc_connect(s, "dev2", NULL, NULL, &c) == BS_ESTATE &&
			  bsc_session_wait(s, 0) == BS_ESTATE;

		bsc_session_free(s);
		_exit(ok ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
	/* The parent's session is none the worse. */
	ping();
	ck_assert(!saw.failed);
	ck_assert_int_eq(g.accepted, 1);
}
END_TEST

START_TEST(descriptors_do_not_leak_into_programs)
{
	struct bsc_fd fds[BSC_FDS_MAX];
	struct bsc_conn *c;
	bs_ssize n;

	make();
	ping();
	ck_assert_int_eq(bsc_connect(s, "dev1.example", NULL, NULL, &c), BS_OK);
	n = bsc_session_fds(s, fds, BSC_FDS_MAX);
	ck_assert_int_eq(n, 2);
	for (bs_ssize k = 0; k < n; k++) {
		char path[64];
		char flags[256] = "";
		FILE *f;

		(void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fds[k].fd);
		f = fopen(path, "re");
		if (f == NULL)
			continue;
		while (fgets(flags, sizeof flags, f) != NULL && strncmp(flags, "flags:", 6) != 0)
			;
		(void)fclose(f);
		ck_assert_msg((strtoul(flags + 6, NULL, 8) & 02000000) != 0, "%s: %s", path, flags);
	}
}
END_TEST

Suite *bs_suite_session(void)
{
	Suite *suite = suite_create("client session");
	TCase *t = tcase_create("session");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, defaults_and_older_programs);
	tcase_add_loop_test(t, wrong_configurations_are_named, 0, 16);
	tcase_add_test(t, a_new_session_is_quiet);
	tcase_add_test(t, opens_asks_and_tells);
	tcase_add_test(t, arguments_are_checked);
	tcase_add_test(t, a_lost_session_is_resumed);
	tcase_add_test(t, nobody_listens);
	tcase_add_loop_test(t, silence_ends_at_the_timeout, 0, 2);
	tcase_add_test(t, a_wrong_certificate_is_told);
	tcase_add_test(t, the_servers_refusal_is_told);
	tcase_add_test(t, a_refused_connect_is_told);
	tcase_add_test(t, a_child_may_only_free);
	tcase_add_test(t, descriptors_do_not_leak_into_programs);
	suite_add_tcase(suite, t);
	return suite;
}
