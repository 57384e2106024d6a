/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "box.h"

Suite *bs_suite_reader(void);

static struct box box;

static void setup(void)
{
	box_init(&box);
}

static void teardown(void)
{
	box_fini(&box);
}

START_TEST(a_snapshot_does_not_move)
{
	struct bs_device d;

	box_open(&box);
	ck_assert_ptr_eq(bs_registry_reader_registry(box.r), box.reg);
	ck_assert_int_eq(bs_registry_reader_begin(box.r), BS_OK);
	ck_assert_int_eq(bs_registry_reader_begin(box.r), BS_OK);
	box_add(&box, "a", 1, NULL);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("a"), &d), BS_ENOENT);
	bs_registry_reader_end(box.r);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("a"), &d), BS_ENOENT);
	bs_registry_reader_end(box.r);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("a"), &d), BS_OK);
}
END_TEST

START_TEST(readers_are_bounded)
{
	struct bs_registry_reader *r[20] = { NULL };
	int rc = BS_OK;
	size_t n;
	size_t i;

	box.conf.max_readers = 6;
	box_open(&box);
	for (n = 0; n < BS_LEN(r); n++) {
		rc = bs_registry_reader_new(box.reg, &r[n]);
		if (rc != BS_OK)
			break;
	}
	ck_assert_int_eq(rc, BS_EFULL);
	ck_assert_uint_ge(n, 4);
	bs_registry_reader_free(r[0]);
	ck_assert_int_eq(bs_registry_reader_new(box.reg, &r[0]), BS_OK);
	for (i = 0; i < n; i++)
		bs_registry_reader_free(r[i]);
	bs_registry_reader_free(NULL);
}
END_TEST

START_TEST(figures)
{
	struct bs_registry_stat st;

	box_open(&box);
	box_add(&box, "a", 1, "t");
	box_add(&box, "b", 1, "t");
	box_client(&box, "joe", NULL, NULL, NULL);
	box_rule(&box, true, BS_WHO_ANYBODY, "", NULL, BS_WHICH_ANY, "", 0);
	ck_assert_int_eq(bs_registry_stat(box.r, &st), BS_OK);
	ck_assert_uint_eq(st.devices, 2);
	ck_assert_uint_eq(st.clients, 1);
	ck_assert_uint_eq(st.rules, 1);
	ck_assert_uint_eq(st.cas, 0);
	ck_assert_uint_eq(st.revocations, 0);
	ck_assert_uint_eq(st.schema, BS_STORE_SCHEMA);
	ck_assert_uint_eq(st.map_bytes, 64u << 20);
	ck_assert_uint_gt(st.used_bytes, 4096);
	ck_assert_uint_lt(st.used_bytes, 1u << 20);
}
END_TEST

struct watcher {
	pthread_t thread;
	atomic_bool stop;
	uint64_t looks;
	uint64_t behind;
};

/* Whoever sees an epoch must find its commit in the next snapshot. */
static void *watch(void *arg)
{
	struct watcher *w = arg;
	struct bs_registry_reader *r;
	struct bs_registry_stat st;

	if (bs_registry_reader_new(box.reg, &r) != BS_OK)
		return NULL;
	while (!atomic_load(&w->stop)) {
		/* Each commit here adds one device and raises the epoch by one, from 1. */
		uint64_t epoch = bs_registry_epochs(box.reg).access;

		if (bs_registry_stat(r, &st) != BS_OK || st.devices + 1 < epoch)
			w->behind++;
		w->looks++;
	}
	bs_registry_reader_free(r);
	return NULL;
}

START_TEST(an_epoch_is_never_ahead_of_its_commit)
{
	static struct watcher w;
	char id[16];
	int i;

	box_open(&box);
	ck_assert_int_eq(pthread_create(&w.thread, NULL, watch, &w), 0);
	for (i = 0; i < 200; i++) {
		snprintf(id, sizeof(id), "dev%d", i);
		ck_assert_int_eq(box_add(&box, id, 1, NULL).status, BS_OK);
		ck_assert_uint_eq(bs_registry_epochs(box.reg).access, (uint64_t)i + 2);
	}
	atomic_store(&w.stop, true);
	pthread_join(w.thread, NULL);
	ck_assert_uint_gt(w.looks, 0);
	ck_assert_uint_eq(w.behind, 0);
}
END_TEST

Suite *bs_suite_reader(void)
{
	Suite *s = suite_create("reader");
	TCase *t = tcase_create("reader");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_snapshot_does_not_move);
	tcase_add_test(t, readers_are_bounded);
	tcase_add_test(t, figures);
	tcase_add_test(t, an_epoch_is_never_ahead_of_its_commit);
	suite_add_tcase(s, t);
	return s;
}
