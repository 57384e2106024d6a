/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"
#include "suites.h"

static struct host h;

static void setup(void)
{
	host_start(&h);
	host_ok(&h, "device add",
		"{\"id\":\"cam-1\",\"secret\":\"00112233445566778899aabbccddeeff\"}");
}

static void teardown(void)
{
	host_stop(&h);
}

START_TEST(test_check)
{
	json_t *r = host_expect(&h, "db check", NULL, BS_CTL_OK);
	json_t *v = json_object_get(r, "result");

	ck_assert_int_eq(json_integer_value(json_object_get(v, "problems")), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(v, "devices")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(v, "secrets_opened")), 1);
	json_decref(r);
}
END_TEST

START_TEST(test_check_when_client_leaves)
{
	host_send(&h, "{\"id\":1,\"command\":\"db check\"}\n");
	for (int i = 0; i < 5; i++)
		ev_run(h.loop, EVRUN_NOWAIT);
	close(h.fd);
	h.fd = host_connect(&h);
	host_ok(&h, "device list", NULL);
}
END_TEST

START_TEST(test_backup)
{
	char args[256];
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/copy", h.root);
	snprintf(args, sizeof(args), "{\"file\":\"%s\",\"dry-run\":true}", path);
	host_ok(&h, "db backup", args);
	ck_assert_int_ne(stat(path, &st), 0);
	snprintf(args, sizeof(args), "{\"file\":\"%s\"}", path);
	host_ok(&h, "db backup", args);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 077, 0);
	json_decref(host_expect(&h, "db backup", args, BS_CTL_EXISTS));
	json_decref(host_expect(&h, "db backup", "{\"file\":\"copy\"}", BS_CTL_BAD_INPUT));
	/* Not while a server has it open. */
	json_decref(host_expect(&h, "db restore", args, BS_CTL_BUSY));
}
END_TEST

Suite *bs_suite_control_db(void)
{
	Suite *s = suite_create("control_db");
	TCase *tc = tcase_create("database");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_check);
	tcase_add_test(tc, test_check_when_client_leaves);
	tcase_add_test(tc, test_backup);
	suite_add_tcase(s, tc);
	return s;
}
