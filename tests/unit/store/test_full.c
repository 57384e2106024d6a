/* SPDX-License-Identifier: Apache-2.0 */
/* Full disk and full map: told, counted, nothing half done, and what takes rights away still
 * works. */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "box.h"

Suite *bs_suite_full(void);

static struct box box;

static void teardown(void)
{
	box_fini(&box);
}

static void setup(void)
{
	box_init(&box);
	box.conf.map_bytes = 1u << 20;
	box_open(&box);
}

/* A write above the limit shall fail, not kill. */
static void ignore_sigxfsz(void)
{
	struct sigaction act = { .sa_handler = SIG_IGN };

	ck_assert_int_eq(sigaction(SIGXFSZ, &act, NULL), 0);
}

static struct bs_store_result add(unsigned i)
{
	char id[16];

	snprintf(id, sizeof(id), "dev%u", i);
	return box_add(&box, id, 1, "tag-number-one,tag-number-two");
}

/* Add devices, in groups that share a transaction, until one is refused. */
static unsigned fill(void)
{
	struct bs_store_result res = { 0 };
	unsigned n = 0;

	while (n < 20000 && (res = add(n)).status == BS_OK)
		n++;
	ck_assert_int_eq(res.status, BS_ENOSPC);
	ck_assert_ptr_nonnull(strstr(res.err.text, "database-size"));
	return n;
}

START_TEST(full_map)
{
	struct bs_store_request revoke = { .op = BS_STORE_REVOKE,
					   .u.revocation = { .kind = BS_REVOKE_CLIENT,
							     .identity = "joe" } };
	struct bs_registry_stat st;
	unsigned n = fill();
	char id[16];
	unsigned i;

	ck_assert_uint_gt(n, 500);
	ck_assert_uint_ge(bs_store_fill_percent(box.store), 95);
	ck_assert_uint_ge(bs_store_counters_get(box.store).no_space, 1);
	ck_assert_int_eq(bs_registry_stat(box.r, &st), BS_OK);
	ck_assert_uint_eq(st.devices, n);
	box_check(&box);
	/* Whatever happens, rights can be taken away. */
	ck_assert_int_eq(box_do(&box, &revoke).status, BS_OK);
	ck_assert_int_eq(box_state(&box, "dev0", BS_RECORD_DISABLED).status, BS_OK);
	for (i = 0; i < n / 2; i++) {
		snprintf(id, sizeof(id), "dev%u", i);
		ck_assert_int_eq(box_device(&box, BS_STORE_DEVICE_DELETE, id).status, BS_OK);
	}
	ck_assert_int_eq(add(50000).status, BS_OK);
	box_check(&box);
	box_close(&box);
	box_open(&box);
	box_check(&box);
}
END_TEST

/* A file size limit stands in for a full disk: the kernel refuses the write the same way. */
START_TEST(full_disk)
{
	struct rlimit old;
	struct rlimit small;
	struct bs_store_result res = { 0 };
	struct bs_registry_stat st;
	struct stat file;
	unsigned n;

	ignore_sigxfsz();
	ck_assert_int_eq(add(0).status, BS_OK);
	ck_assert_int_eq(stat(box_path(&box, "db/data.mdb"), &file), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = (rlim_t)file.st_size + 8192;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (n = 1; n < 5000; n++) {
		res = add(n);
		if (res.status != BS_OK)
			break;
	}
	ck_assert_int_eq(res.status, BS_ENOSPC);
	ck_assert_str_ne(res.err.text, "");
	ck_assert_uint_ge(bs_store_counters_get(box.store).commit_errors, 1);
	ck_assert_int_eq(bs_registry_stat(box.r, &st), BS_OK);
	ck_assert_uint_eq(st.devices, n);
	/* There is room again: it goes on where it was. */
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	ck_assert_int_eq(add(n).status, BS_OK);
	ck_assert_int_eq(bs_registry_stat(box.r, &st), BS_OK);
	ck_assert_uint_eq(st.devices, n + 1);
	box_check(&box);
	box_close(&box);
	box_open(&box);
	box_check(&box);
}
END_TEST

START_TEST(no_room_for_a_backup)
{
	struct bs_store_request req = { .op = BS_STORE_BACKUP };
	struct rlimit old;
	struct rlimit small;
	struct bs_store_result res;

	ignore_sigxfsz();
	ck_assert_int_eq(add(0).status, BS_OK);
	snprintf(req.u.path, sizeof(req.u.path), "%s/backup", box.root);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 8192;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	res = box_do(&box, &req);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	ck_assert_int_eq(res.status, BS_ENOSPC);
	ck_assert_ptr_nonnull(strstr(res.err.text, req.u.path));
	/* No half backup under any name. */
	ck_assert_int_lt(access(req.u.path, F_OK), 0);
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
}
END_TEST

START_TEST(no_room_for_a_new_registry)
{
	struct bs_registry *reg;
	struct rlimit old;
	struct rlimit small;

	box_close(&box);
	box_remove(box.dir);
	ignore_sigxfsz();
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 4096;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_int_eq(bs_registry_open(&box.conf, &reg, &box.err), BS_ENOSPC);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	ck_assert_str_ne(box.err.text, "");
	ck_assert_int_lt(access(box_path(&box, "db/data.mdb"), F_OK), 0);
	box_open(&box);
	box_check(&box);
}
END_TEST

START_TEST(a_full_queue_refuses)
{
	struct bs_store_request req = { .op = BS_STORE_SYNC };
	struct bs_store_counters c;
	unsigned refused = 0;
	unsigned i;
	int rc;

	for (i = 0; i < 20 * BS_STORE_QUEUE_MAX; i++) {
		rc = bs_store_submit(box.in, &req);
		ck_assert(rc == BS_OK || rc == BS_EFULL);
		refused += rc == BS_EFULL;
	}
	bs_store_stop(box.store);
	c = bs_store_counters_get(box.store);
	ck_assert_uint_eq(c.refused, refused);
	ck_assert_uint_eq(c.requests, i - refused);
}
END_TEST

Suite *bs_suite_full(void)
{
	Suite *s = suite_create("full");
	TCase *t = tcase_create("full");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, full_map);
	tcase_add_test(t, full_disk);
	tcase_add_test(t, no_room_for_a_backup);
	tcase_add_test(t, no_room_for_a_new_registry);
	tcase_add_test(t, a_full_queue_refuses);
	suite_add_tcase(s, t);
	return s;
}
