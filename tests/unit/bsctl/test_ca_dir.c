/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suites.h"
#include "tools/bsctl/ca_dir.h"
#include "tools/bsctl/file.h"

static struct bs_ctl_error e;
static struct bs_ca_dir d;

static void setup(void)
{
	struct bs_ca_made m;

	test_dir_setup();
	ck_assert_int_eq(bs_ca_sign_root("Test", 100, 2048, &m, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_file_write(test_path("ca.key"), 0600, false, m.key, strlen(m.key), &e),
			 0);
	ck_assert_int_eq(
		bs_file_write(test_path("ca.crt"), 0644, false, m.cert, strlen(m.cert), &e), 0);
	bs_ca_made_fini(&m);
}

static void add_text(const char *name, const char *text)
{
	FILE *f = fopen(test_path(name), "a");

	fputs(text, f);
	fclose(f);
}

static json_t *issue(const char *serial)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:I}", "op", "issue", "serial", serial, "kind", "client",
			 "name", "alice", "not_after", (json_int_t)2000000000);
}

static json_t *revoked(const char *serial)
{
	return json_pack("{s:s,s:s,s:I,s:s}", "op", "revoke", "serial", serial, "at",
			 (json_int_t)1700000000, "reason", "superseded");
}

static size_t reopened(void)
{
	size_t n;

	ck_assert_int_eq(bs_ca_dir_open(&d, test_dir, false, &e), BS_CTL_OK);
	n = json_array_size(d.certs);
	bs_ca_dir_close(&d);
	return n;
}

START_TEST(test_append)
{
	ck_assert_int_eq(bs_ca_dir_open(&d, test_dir, true, &e), BS_CTL_OK);
	ck_assert_uint_eq(json_array_size(d.certs), 0);
	ck_assert_int_eq(bs_ca_dir_append(&d, issue("01"), &e), BS_CTL_OK);
	ck_assert_int_eq(bs_ca_dir_append(&d, issue("02"), &e), BS_CTL_OK);
	ck_assert_int_eq(bs_ca_dir_append(&d, revoked("01"), &e), BS_CTL_OK);
	/* What makes no sense is not written. */
	ck_assert_int_ne(bs_ca_dir_append(&d, revoked("03"), &e), BS_CTL_OK);
	ck_assert_int_ne(bs_ca_dir_append(&d, json_object(), &e), BS_CTL_OK);
	ck_assert_int_ne(bs_ca_dir_append(&d, NULL, &e), BS_CTL_OK);
	bs_ca_dir_close(&d);
	ck_assert_uint_eq(reopened(), 2);
	ck_assert_int_eq(bs_ca_dir_open(&d, test_dir, false, &e), BS_CTL_OK);
	ck_assert_ptr_nonnull(json_object_get(json_array_get(d.certs, 0), "revoked"));
	ck_assert_ptr_null(json_object_get(json_array_get(d.certs, 1), "revoked"));
	bs_ca_dir_close(&d);
}
END_TEST

START_TEST(test_torn_line)
{
	ck_assert_int_eq(bs_ca_dir_open(&d, test_dir, true, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_ca_dir_append(&d, issue("01"), &e), BS_CTL_OK);
	bs_ca_dir_close(&d);
	add_text("index", "{\"op\":\"issue\",\"serial\":\"02\",\"ki");
	ck_assert_uint_eq(reopened(), 1);
	ck_assert_int_eq(bs_ca_dir_open(&d, test_dir, true, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_ca_dir_append(&d, issue("03"), &e), BS_CTL_OK);
	bs_ca_dir_close(&d);
	ck_assert_uint_eq(reopened(), 2);
}
END_TEST

START_TEST(test_damaged)
{
	static const char *const lines[] = {
		"junk\n",
		"[]\n",
		"{}\n",
		"{\"op\":\"issue\"}\n",
		"{\"op\":\"paint\",\"serial\":\"01\"}\n",
		"{\"op\":\"revoke\",\"serial\":\"99\"}\n",
		"{\"op\":\"issue\",\"serial\":\"0123456789012345678901234567890123456789\"}\n",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		add_text("index", lines[i]);
		ck_assert_msg(bs_ca_dir_open(&d, test_dir, false, &e) == BS_CTL_FAILED, "%s",
			      lines[i]);
		ck_assert_ptr_nonnull(strstr(e.place, "index:1"));
		unlink(test_path("index"));
	}
}
END_TEST

START_TEST(test_crl)
{
	int64_t last;
	int64_t next;
	size_t len;
	char *text;

	ck_assert_int_eq(bs_ca_dir_open(&d, test_dir, true, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_ca_dir_append(&d, issue("0a"), &e), BS_CTL_OK);
	ck_assert_int_eq(bs_ca_dir_append(&d, revoked("0a"), &e), BS_CTL_OK);
	ck_assert_int_eq(bs_ca_dir_crl(&d, 5, &e), BS_CTL_OK);
	bs_ca_dir_close(&d);
	text = bs_file_read(test_path("ca.crl"), 65536, &len, &e);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(bs_ca_crl_times(text, len, &last, &next, &e), BS_CTL_OK);
	ck_assert_int_ge(next - last, 5 * 86400);
	free(text);
}
END_TEST

START_TEST(test_rights)
{
	ck_assert_int_eq(chmod(test_path("ca.key"), 0640), 0);
	ck_assert_int_eq(bs_ca_dir_open(&d, test_dir, true, &e), BS_CTL_REFUSED);
	ck_assert_ptr_nonnull(strstr(e.place, "ca.key"));
	/* To look at the list the key is not read. */
	ck_assert_int_eq(bs_ca_dir_open(&d, test_dir, false, &e), BS_CTL_OK);
	bs_ca_dir_close(&d);
	unlink(test_path("ca.key"));
	ck_assert_int_eq(bs_ca_dir_open(&d, test_dir, true, &e), BS_CTL_NOT_FOUND);
	ck_assert_int_eq(bs_ca_dir_open(&d, "/nowhere", false, &e), BS_CTL_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(e.remedy, "ca init"));
}
END_TEST

START_TEST(test_lock)
{
	int fd;

	ck_assert_int_eq(bs_ca_dir_open(&d, test_dir, true, &e), BS_CTL_OK);
	fd = open(test_path("lock"), O_RDWR);
	ck_assert_int_ne(flock(fd, LOCK_EX | LOCK_NB), 0);
	bs_ca_dir_close(&d);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	/* Closing twice is fine, as after a failure to open. */
	bs_ca_dir_close(&d);
}
END_TEST

START_TEST(test_reason)
{
	ck_assert_int_eq(bs_ca_reason(NULL), 0);
	ck_assert_int_eq(bs_ca_reason("unspecified"), 0);
	ck_assert_int_eq(bs_ca_reason("key-compromise"), 1);
	ck_assert_int_eq(bs_ca_reason("superseded"), 4);
	ck_assert_int_eq(bs_ca_reason("cessation"), 5);
}
END_TEST

Suite *bs_suite_bsctl_ca_dir(void)
{
	Suite *s = suite_create("bsctl_ca_dir");
	TCase *tc = tcase_create("folder");

	tcase_add_checked_fixture(tc, setup, test_dir_teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_append);
	tcase_add_test(tc, test_torn_line);
	tcase_add_test(tc, test_damaged);
	tcase_add_test(tc, test_crl);
	tcase_add_test(tc, test_rights);
	tcase_add_test(tc, test_lock);
	tcase_add_test(tc, test_reason);
	suite_add_tcase(s, tc);
	return s;
}
