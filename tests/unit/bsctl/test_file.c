/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suites.h"
#include "tools/bsctl/file.h"

static struct bs_ctl_error e;

/* Entries of the folder: what a failure may not leave behind. */
static unsigned entries(void)
{
	DIR *d = opendir(test_dir);
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void expect_text(const char *path, const char *want)
{
	size_t len;
	char *text = bs_file_read(path, 1000, &len, &e);

	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text, want);
	ck_assert_uint_eq(len, strlen(want));
	free(text);
}

START_TEST(test_write)
{
	const char *path = test_path("a");
	struct stat st;
	mode_t old = umask(0);

	ck_assert_int_eq(bs_file_write(path, 0600, false, "one", 3, &e), BS_CTL_OK);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	/* Neither does the umask take from what was asked. */
	umask(0777);
	ck_assert_int_eq(bs_file_write(test_path("b"), 0644, false, "", 0, &e), BS_CTL_OK);
	ck_assert_int_eq(stat(test_path("b"), &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0644);
	umask(old);
	ck_assert_uint_eq(entries(), 2);
}
END_TEST

START_TEST(test_replace)
{
	const char *path = test_path("a");
	struct bs_file w;

	ck_assert_int_eq(bs_file_write(path, 0600, false, "one", 3, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_file_write(path, 0600, false, "two", 3, &e), BS_CTL_EXISTS);
	ck_assert_str_eq(e.place, path);
	expect_text(path, "one");
	ck_assert_int_eq(bs_file_write(path, 0600, true, "two", 3, &e), BS_CTL_OK);
	expect_text(path, "two");
	/* Before the commit readers see the old file. */
	ck_assert_int_eq(bs_file_begin(&w, path, 0600, true, &e), BS_CTL_OK);
	fputs("three", w.f);
	expect_text(path, "two");
	bs_file_abort(&w);
	bs_file_abort(&w);
	expect_text(path, "two");
	ck_assert_uint_eq(entries(), 1);
}
END_TEST

START_TEST(test_appears_meanwhile)
{
	const char *path = test_path("a");
	struct bs_file w;

	ck_assert_int_eq(bs_file_begin(&w, path, 0600, false, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_file_write(path, 0600, false, "other", 5, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_file_commit(&w, &e), BS_CTL_EXISTS);
	expect_text(path, "other");
	ck_assert_uint_eq(entries(), 1);
}
END_TEST

START_TEST(test_no_link_followed)
{
	const char *target = test_path("target");

	/* A dangling link in the way is something that is there. */
	ck_assert_int_eq(symlink(target, test_path("a")), 0);
	ck_assert_int_eq(bs_file_write(test_path("a"), 0600, false, "x", 1, &e), BS_CTL_EXISTS);
	ck_assert_int_ne(access(target, F_OK), 0);
	/* Replacing replaces the link, not what it points at. */
	ck_assert_int_eq(bs_file_write(test_path("a"), 0600, true, "x", 1, &e), BS_CTL_OK);
	ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

START_TEST(test_bad_places)
{
	struct bs_file w;
	char longer[5000];

	ck_assert_int_eq(bs_file_write(test_path("no/such/a"), 0600, false, "x", 1, &e),
			 BS_CTL_NOT_FOUND);
	ck_assert_int_eq(bs_file_write(test_path("."), 0600, true, "x", 1, &e), BS_CTL_FAILED);
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(bs_file_begin(&w, longer, 0600, false, &e), BS_CTL_USAGE);
	bs_file_abort(&w);
	ck_assert_uint_eq(entries(), 0);
}
END_TEST

START_TEST(test_full_disk)
{
	struct bs_file w;

	if (access("/dev/full", W_OK) != 0)
		return;
	ck_assert_int_eq(bs_file_begin(&w, test_path("a"), 0600, false, &e), BS_CTL_OK);
	/* The disk fills up: what the stream holds cannot go out. */
	fclose(w.f);
	w.f = fopen("/dev/full", "w");
	fputs("x", w.f);
	ck_assert_int_eq(bs_file_commit(&w, &e), BS_CTL_FAILED);
	ck_assert_ptr_nonnull(strstr(e.remedy, "make room"));
	ck_assert_uint_eq(entries(), 0);
}
END_TEST

START_TEST(test_read)
{
	size_t len;
	char *text;

	ck_assert_int_eq(bs_file_write(test_path("a"), 0600, false, "1\0002345", 6, &e), BS_CTL_OK);
	text = bs_file_read(test_path("a"), 6, &len, &e);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(len, 6);
	ck_assert_int_eq(text[6], '\0');
	free(text);
	ck_assert_ptr_null(bs_file_read(test_path("a"), 5, &len, &e));
	ck_assert_int_eq(e.status, BS_CTL_BAD_INPUT);
	ck_assert_ptr_null(bs_file_read(test_path("b"), 5, &len, &e));
	ck_assert_int_eq(e.status, BS_CTL_NOT_FOUND);
	ck_assert_ptr_null(bs_file_read(test_dir, 5, &len, &e));
	ck_assert_int_ne(e.status, BS_CTL_OK);
}
END_TEST

Suite *bs_suite_bsctl_file(void)
{
	Suite *s = suite_create("bsctl_file");
	TCase *tc = tcase_create("files");

	tcase_add_checked_fixture(tc, test_dir_setup, test_dir_teardown);
	tcase_add_test(tc, test_write);
	tcase_add_test(tc, test_replace);
	tcase_add_test(tc, test_appears_meanwhile);
	tcase_add_test(tc, test_no_link_followed);
	tcase_add_test(tc, test_bad_places);
	tcase_add_test(tc, test_full_disk);
	tcase_add_test(tc, test_read);
	suite_add_tcase(s, tc);
	return s;
}
