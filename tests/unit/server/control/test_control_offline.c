/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's code on an inherited socket, in a child as bsctl starts it. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "suites.h"

static struct host h;
static pid_t child;

/* Takes the database from the host to a child that serves it offline. */
static void go_offline(void)
{
	int sv[2];
	char err[256];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	child = fork();
	if (child == 0) {
		close(sv[0]);
		_exit(bs_control_run_offline(h.conf, sv[1], err, sizeof(err)) == BS_OK ? 0 : 1);
	}
	close(sv[1]);
	close(h.fd);
	h.fd = sv[0];
}

static int end_offline(void)
{
	int status = -1;

	close(h.fd);
	h.fd = -1;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void close_registry(void)
{
	bs_store_stop(h.store);
	bs_store_inbox_run(h.inbox);
	bs_control_free(h.control);
	h.control = NULL;
	ev_io_stop(h.loop, &h.answers);
	bs_store_inbox_free(h.inbox);
	bs_store_free(h.store);
	bs_registry_close(h.reg);
	h.store = NULL;
	h.inbox = NULL;
	h.reg = NULL;
}

START_TEST(test_database)
{
	char path[256];
	char args[300];
	json_t *r;

	host_start(&h);
	snprintf(path, sizeof(path), "%s/copy", h.root);
	snprintf(args, sizeof(args), "{\"file\":\"%s\"}", path);
	host_ok(&h, "device add",
		"{\"id\":\"cam-1\",\"secret\":\"00112233445566778899aabbccddeeff\"}");
	/* The lock of the running server holds. */
	go_offline();
	json_decref(host_expect(&h, "device list", NULL, BS_CTL_BUSY));
	ck_assert_int_eq(end_offline(), 0);

	close_registry();
	go_offline();
	r = host_expect(&h, "status", NULL, BS_CTL_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(host_error(r, "remedy"), "--offline"));
	json_decref(r);
	r = host_expect(&h, "device show", "{\"id\":\"cam-1\"}", BS_CTL_OK);
	ck_assert_str_eq(host_text(r, "id"), "cam-1");
	json_decref(r);
	json_decref(host_expect(&h, "device list", "{\"attached\":true}", BS_CTL_UNREACHABLE));
	host_ok(&h, "db backup", args);
	host_ok(&h, "device delete", "{\"id\":[\"cam-1\"]}");
	host_ok(&h, "db check", NULL);
	host_ok(&h, "db restore", "{\"file\":\"/dev/null\",\"dry-run\":true}");
	json_decref(
		host_expect(&h, "db restore", "{\"file\":\"/nowhere/copy\"}", BS_CTL_NOT_FOUND));
	host_ok(&h, "db restore", args);
	/* After the restore the database is opened anew. */
	r = host_expect(&h, "device show", "{\"id\":\"cam-1\"}", BS_CTL_OK);
	json_decref(r);
	ck_assert_int_eq(end_offline(), 0);
	host_stop(&h);
}
END_TEST

START_TEST(test_bad_descriptor)
{
	const struct bs_conf *conf = bs_conf_new_default();
	char err[256] = "";

	ck_assert_int_eq(bs_control_run_offline(conf, 999, err, sizeof(err)), BS_EINVAL);
	ck_assert_ptr_nonnull(strstr(err, "999"));
	bs_conf_unref(conf);
}
END_TEST

Suite *bs_suite_control_offline(void)
{
	Suite *s = suite_create("control_offline");
	TCase *tc = tcase_create("offline");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_database);
	tcase_add_test(tc, test_bad_descriptor);
	suite_add_tcase(s, tc);
	return s;
}
