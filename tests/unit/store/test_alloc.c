/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once: told, nothing leaks, nothing half done, and the next try works. */
#include <dirent.h>
#include <stdio.h>

#include "alloc.h"
#include "box.h"
#include "crypto/gcm.h"

Suite *bs_suite_alloc(void);

static struct box box;

static void setup(void)
{
	box_init(&box);
	box_open(&box);
}

static void teardown(void)
{
	box_fini(&box);
}

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static bool is_memory(int rc)
{
	return rc == BS_ENOMEM || rc == BS_ECRYPTO || rc == BS_ERANDOM;
}

/* Run fn with the first, second ... allocation failing until it gets through. */
static void each(int (*fn)(void), long at_least)
{
	unsigned before = descriptors();
	unsigned elsewhere = 0;
	long n;
	int rc;

	for (n = 1; n < 1000; n++) {
		alloc_fail_at(n);
		rc = fn();
		if (!alloc_failed()) {
			ck_assert_int_eq(rc, BS_OK);
			ck_assert_int_gt(n, at_least);
			return;
		}
		/* A thread that only just starts may have taken the failure; not every time. */
		if (rc == BS_OK && elsewhere++ < 5) {
			n--;
			continue;
		}
		ck_assert_msg(is_memory(rc), "allocation %ld: %d", n, rc);
		ck_assert_uint_eq(descriptors(), before);
	}
	ck_abort_msg("no end");
}

static int open_close(void)
{
	struct bs_registry *reg = NULL;
	int rc = bs_registry_open(&box.conf, &reg, &box.err);

	bs_registry_close(reg);
	return rc;
}

START_TEST(opening)
{
	box_close(&box);
	each(open_close, 2);
	box_remove(box.dir);
	each(open_close, 4);
	box_open(&box);
	box_check(&box);
}
END_TEST

static int reader(void)
{
	struct bs_registry_reader *r = NULL;
	int rc = bs_registry_reader_new(box.reg, &r);

	bs_registry_reader_free(r);
	return rc;
}

START_TEST(readers)
{
	each(reader, 2);
}
END_TEST

static void nothing(void *arg, const struct bs_store_change *change)
{
	(void)arg;
	(void)change;
}

static int start_stop(void)
{
	struct bs_store_inbox *feed = NULL;
	struct bs_store *s = NULL;
	int rc = bs_store_start(box.reg, nothing, NULL, &s, &feed);

	bs_store_stop(s);
	bs_store_inbox_free(feed);
	bs_store_free(s);
	return rc;
}

static int inbox(void)
{
	struct bs_store_inbox *in = NULL;
	int rc = bs_store_inbox_new(box.store, &in);

	bs_store_inbox_free(in);
	return rc;
}

START_TEST(store_threads_and_inboxes)
{
	each(start_stop, 3);
	each(inbox, 1);
}
END_TEST

static int submit_ca(void)
{
	struct bs_store_request req = { .op = BS_STORE_CA_ADD };

	req.u.ca.roles = BS_CA_CLIENT;
	req.u.ca.der = box_text("der");
	return bs_store_submit(box.in, &req);
}

static int submit_seen(void)
{
	struct bs_store_seen v = { 1, 2 };
	struct bs_store_request req = { .op = BS_STORE_SEEN, .u.seen = { &v, 1 } };

	return bs_store_submit(box.in, &req);
}

START_TEST(submitting)
{
	box_close(&box);
	box_open(&box);
	/* With the thread stopped only the submitting side allocates. */
	each(submit_seen, 2);
	each(submit_ca, 2);
}
END_TEST

static int import(void)
{
	uint8_t secret[BS_PSK_LEN] = { 0 };
	struct bs_import_row row = { .row = 1, .id = box_text("dev"), .secret = secret };
	struct bs_import *im = NULL;
	int rc = bs_import_new(box.reg, BS_IMPORT_NEW, 10, &im);

	if (rc == BS_OK)
		rc = bs_import_add(im, &row, NULL);
	bs_import_free(im);
	return rc;
}

START_TEST(importing)
{
	each(import, 4);
}
END_TEST

/* A change that finds no memory becomes "look at everything". */
START_TEST(the_feed_is_never_silent)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ADD, .u.device.id = "dev" };
	bool failed;
	int rc;

	req.u.device.has_secret = true;
	req.done = NULL;
	/* The first is the item, the second the change. */
	alloc_fail_at(2);
	rc = bs_store_submit(box.in, &req);
	bs_store_stop(box.store);
	/* Check allocates too, so not before this. */
	failed = alloc_failed();
	ck_assert_int_eq(rc, BS_OK);
	ck_assert(failed);
	bs_store_inbox_run(box.feed);
	ck_assert_uint_eq(box.n_changes, 1);
	ck_assert_int_eq(box.change[0].kind, BS_CHANGE_MANY);
}
END_TEST

static int gcm(void)
{
	static const uint8_t key[BS_GCM_KEY_LEN];
	struct bs_gcm *g = bs_gcm_new(key);

	bs_gcm_free(g);
	return g ? BS_OK : BS_ENOMEM;
}

START_TEST(sealing)
{
	each(gcm, 1);
	bs_gcm_free(NULL);
}
END_TEST

Suite *bs_suite_alloc(void)
{
	Suite *s = suite_create("alloc");
	TCase *t = tcase_create("alloc");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, opening);
	tcase_add_test(t, readers);
	tcase_add_test(t, store_threads_and_inboxes);
	tcase_add_test(t, submitting);
	tcase_add_test(t, importing);
	tcase_add_test(t, the_feed_is_never_silent);
	tcase_add_test(t, sealing);
	suite_add_tcase(s, t);
	return s;
}
