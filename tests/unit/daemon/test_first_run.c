/* SPDX-License-Identifier: Apache-2.0 */
#include "server/first_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/seal.h"
#include "suites.h"

static char dir[64];
static char key[96];
static char db[96];
static const struct bs_conf *conf;

static void setup(void)
{
	struct bs_conf_error e;
	char text[300];

	snprintf(dir, sizeof(dir), "/tmp/bs-test-first-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(key, sizeof(key), "%s/key", dir);
	snprintf(db, sizeof(db), "%s/db", dir);
	snprintf(text, sizeof(text), "database = \"%s\"\nkey-file = \"%s\"\n", db, key);
	ck_assert_int_eq(bs_conf_load_text("t", text, strlen(text), &conf, &e), BS_OK);
}

static void teardown(void)
{
	char command[100];

	bs_conf_unref(conf);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void touch(const char *name)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", db, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fclose(f);
}

START_TEST(makes_a_key_once)
{
	uint8_t first[BS_MASTER_KEY_LEN];
	uint8_t again[BS_MASTER_KEY_LEN];
	struct bs_errtext e;
	char err[256] = "";
	struct stat st;

	ck_assert_msg(bs_first_run(conf, err, sizeof(err)) == BS_OK, "%s", err);
	ck_assert_int_eq(stat(key, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(bs_seal_key_load(key, first, &e), BS_OK);
	ck_assert_int_eq(bs_first_run(conf, err, sizeof(err)), BS_OK);
	ck_assert_int_eq(bs_seal_key_load(key, again, &e), BS_OK);
	ck_assert_mem_eq(first, again, sizeof(first));
}
END_TEST

START_TEST(never_beside_a_registry)
{
	char err[256];

	ck_assert(!bs_first_run_has_registry(conf));
	ck_assert_int_eq(mkdir(db, 0700), 0);
	ck_assert(!bs_first_run_has_registry(conf));
	touch("data.mdb");
	ck_assert(bs_first_run_has_registry(conf));
	ck_assert_int_eq(bs_first_run(conf, err, sizeof(err)), BS_OK);
	ck_assert_int_ne(access(key, F_OK), 0);
}
END_TEST

START_TEST(a_place_that_does_not_work)
{
	char text[200] = "key-file = /nonexistent/key\ndatabase = /nonexistent/db\n";
	const struct bs_conf *c;
	struct bs_conf_error e;
	char err[256] = "";

	ck_assert_int_eq(bs_conf_load_text("t", text, strlen(text), &c, &e), BS_OK);
	ck_assert_int_eq(bs_first_run(c, err, sizeof(err)), BS_ENOENT);
	ck_assert_msg(strncmp(err, "key-file, ", 10) == 0, "%s", err);
	ck_assert_ptr_nonnull(strstr(err, "/nonexistent/key"));
	bs_conf_unref(c);
}
END_TEST

START_TEST(credential_is_not_ours_to_make)
{
	const struct bs_conf *c = bs_conf_new_default();
	char err[256];

	ck_assert_ptr_null(c->key_file);
	ck_assert_int_eq(bs_first_run(c, err, sizeof(err)), BS_OK);
	bs_conf_unref(c);
}
END_TEST

Suite *bs_suite_first_run(void)
{
	Suite *s = suite_create("first_run");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, makes_a_key_once);
	tcase_add_test(tc, never_beside_a_registry);
	tcase_add_test(tc, a_place_that_does_not_work);
	tcase_add_test(tc, credential_is_not_ours_to_make);
	suite_add_tcase(s, tc);
	return s;
}
