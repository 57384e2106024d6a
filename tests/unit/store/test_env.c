/* SPDX-License-Identifier: Apache-2.0 */
#include "store/env.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "box.h"

Suite *bs_suite_env(void);

static const struct {
	int lmdb;
	int code;
	const char *says;
} results[] = {
	{ 0, BS_OK, NULL },
	{ MDB_NOTFOUND, BS_ENOENT, "NOTFOUND" },
	{ MDB_KEYEXIST, BS_EEXIST, "KEYEXIST" },
	{ MDB_MAP_FULL, BS_ENOSPC, "database-size" },
	{ MDB_TXN_FULL, BS_ENOSPC, "split" },
	{ MDB_READERS_FULL, BS_EFULL, "programs" },
	{ MDB_INVALID, BS_ECORRUPT, "backup" },
	{ MDB_CORRUPTED, BS_ECORRUPT, "backup" },
	{ MDB_PAGE_NOTFOUND, BS_ECORRUPT, "backup" },
	{ MDB_VERSION_MISMATCH, BS_ECORRUPT, "backup" },
	{ MDB_PANIC, BS_EIO, "disk" },
	{ MDB_BAD_TXN, BS_EIO, NULL },
	{ MDB_BAD_VALSIZE, BS_EIO, NULL },
	{ ENOSPC, BS_ENOSPC, "room" },
	{ EACCES, BS_EPERM, "mode" },
	{ EROFS, BS_EPERM, "writing" },
	{ ENOENT, BS_ENOENT, "path" },
	{ EIO, BS_EIO, NULL },
	{ ENOMEM, BS_ENOMEM, "size" },
};

START_TEST(each_result_has_a_code_and_a_remedy)
{
	struct bs_errtext err = { { 0 } };
	int rc = bs__env_error(&err, "/tmp", results[_i].lmdb, "cannot write");

	ck_assert_int_eq(rc, results[_i].code);
	ck_assert_int_eq(bs__env_code(results[_i].lmdb), results[_i].code);
	ck_assert_int_eq(bs__env_error(NULL, "/tmp", results[_i].lmdb, "x"), results[_i].code);
	if (rc == BS_OK) {
		ck_assert_str_eq(err.text, "");
		return;
	}
	ck_assert_ptr_nonnull(strstr(err.text, "/tmp: cannot write"));
	if (results[_i].says)
		ck_assert_msg(strstr(err.text, results[_i].says) != NULL, "%s", err.text);
}
END_TEST

START_TEST(paths_are_bounded)
{
	char out[16];

	ck_assert_int_eq(bs__env_path("/a", "b", out, sizeof(out)), BS_OK);
	ck_assert_str_eq(out, "/a/b");
	ck_assert_int_eq(bs__env_path("/0123456789", "abc", out, sizeof(out)), BS_OK);
	ck_assert_int_eq(bs__env_path("/0123456789a", "abc", out, sizeof(out)), BS_EINVAL);
}
END_TEST

/* What root makes in a folder of another user must not lock that user out. */
START_TEST(files_belong_to_the_folders_owner)
{
	struct box box;
	struct stat st;

	if (geteuid() != 0)
		return;
	box_init(&box);
	ck_assert_int_eq(mkdir(box.dir, 0700), 0);
	ck_assert_int_eq(chown(box.dir, 12345, 12346), 0);
	box_open(&box);
	ck_assert_int_eq(stat(box_path(&box, "db/data.mdb"), &st), 0);
	ck_assert_uint_eq(st.st_uid, 12345);
	ck_assert_uint_eq(st.st_gid, 12346);
	ck_assert_int_eq(stat(box_path(&box, "db/data.mdb-lock"), &st), 0);
	ck_assert_uint_eq(st.st_uid, 12345);
	box_fini(&box);
}
END_TEST

START_TEST(sync_of_a_missing_folder_fails)
{
	ck_assert_int_eq(bs__env_sync_dir("/tmp"), BS_OK);
	ck_assert_int_eq(bs__env_sync_dir("/no/such/folder"), BS_EIO);
}
END_TEST

Suite *bs_suite_env(void)
{
	Suite *s = suite_create("env");
	TCase *t = tcase_create("env");

	tcase_add_loop_test(t, each_result_has_a_code_and_a_remedy, 0, (int)BS_LEN(results));
	tcase_add_test(t, paths_are_bounded);
	tcase_add_test(t, files_belong_to_the_folders_owner);
	tcase_add_test(t, sync_of_a_missing_folder_fails);
	suite_add_tcase(s, t);
	return s;
}
