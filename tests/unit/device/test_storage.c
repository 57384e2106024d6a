/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basestation/device_posix.h"

static char folder[] = "/tmp/bsdev-storage-XXXXXX";
static struct bsdev_storage st;

static void setup(void)
{
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	bsdev_posix_storage(&st, folder);
}

static void teardown(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/name", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/name.new", folder);
	rmdir(path);
	unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(test_round_trip)
{
	uint8_t buf[8];

	ck_assert_int_eq(st.get(st.ctx, "name", buf, sizeof(buf)), BS_ENOENT);
	ck_assert_int_eq(st.set(st.ctx, "name", (const uint8_t *)"garden", 6), BS_OK);
	ck_assert_int_eq(st.get(st.ctx, "name", buf, sizeof(buf)), 6);
	ck_assert_mem_eq(buf, "garden", 6);
	ck_assert_int_eq(st.set(st.ctx, "name", (const uint8_t *)"x", 1), BS_OK);
	ck_assert_int_eq(st.get(st.ctx, "name", buf, sizeof(buf)), 1);
}
END_TEST

START_TEST(test_longer_than_the_buffer)
{
	uint8_t buf[4] = { 0 };

	ck_assert_int_eq(st.set(st.ctx, "name", (const uint8_t *)"garden", 6), BS_OK);
	ck_assert_int_eq(st.get(st.ctx, "name", buf, 3), 6);
	ck_assert_mem_eq(buf, "gar", 4);
}
END_TEST

START_TEST(test_private_file)
{
	char path[256];
	struct stat sb;

	ck_assert_int_eq(st.set(st.ctx, "name", (const uint8_t *)"a", 1), BS_OK);
	snprintf(path, sizeof(path), "%s/name", folder);
	ck_assert_int_eq(stat(path, &sb), 0);
	ck_assert_int_eq(sb.st_mode & 0777, 0600);
}
END_TEST

/* The old value must survive when the new one cannot be written. */
START_TEST(test_failed_write_keeps_the_old_value)
{
	char path[256];
	uint8_t buf[8];

	ck_assert_int_eq(st.set(st.ctx, "name", (const uint8_t *)"old", 3), BS_OK);
	snprintf(path, sizeof(path), "%s/name.new", folder);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(st.set(st.ctx, "name", (const uint8_t *)"new", 3), BS_EIO);
	ck_assert_int_eq(st.get(st.ctx, "name", buf, sizeof(buf)), 3);
	ck_assert_mem_eq(buf, "old", 3);
}
END_TEST

START_TEST(test_missing_folder)
{
	struct bsdev_storage gone;
	uint8_t buf[1];

	bsdev_posix_storage(&gone, "/nonexistent/folder");
	ck_assert_int_eq(gone.get(gone.ctx, "name", buf, 1), BS_ENOENT);
	ck_assert_int_eq(gone.set(gone.ctx, "name", buf, 1), BS_EIO);
}
END_TEST

START_TEST(test_impossible_name)
{
	struct bsdev_storage full;
	char name[300];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	bsdev_posix_storage(&full, folder);
	ck_assert_int_lt(full.set(full.ctx, name, (const uint8_t *)"a", 1), 0);
}
END_TEST

Suite *bs_suite_storage(void)
{
	Suite *s = suite_create("storage");
	TCase *tc = tcase_create("storage");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_round_trip);
	tcase_add_test(tc, test_longer_than_the_buffer);
	tcase_add_test(tc, test_private_file);
	tcase_add_test(tc, test_failed_write_keeps_the_old_value);
	tcase_add_test(tc, test_missing_folder);
	tcase_add_test(tc, test_impossible_name);
	suite_add_tcase(s, tc);
	return s;
}
