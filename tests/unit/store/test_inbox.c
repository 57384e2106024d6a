/* SPDX-License-Identifier: Apache-2.0 */
#include "store/inbox.h"

#include <poll.h>
#include <stdio.h>

#include "box.h"

Suite *bs_suite_inbox(void);

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

static bool readable(struct bs_store_inbox *in)
{
	struct pollfd p = { .fd = bs_store_inbox_fd(in), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void count(void *arg, const struct bs_store_result *res)
{
	unsigned *n = arg;

	(void)res;
	(*n)++;
}

START_TEST(every_answer_comes_once)
{
	struct bs_store_request req = { .op = BS_STORE_SYNC, .done = count };
	unsigned n = 0;
	int i;

	req.arg = &n;
	ck_assert(!readable(box.in));
	for (i = 0; i < 1000; i++)
		ck_assert_int_eq(bs_store_submit(box.in, &req), BS_OK);
	bs_store_stop(box.store);
	ck_assert(readable(box.in));
	ck_assert_uint_eq(bs_store_inbox_run(box.in), 1000);
	ck_assert_uint_eq(n, 1000);
	ck_assert(!readable(box.in));
	ck_assert_uint_eq(bs_store_inbox_run(box.in), 0);
	ck_assert_int_eq(bs_store_submit(box.in, &req), BS_ECLOSED);
}
END_TEST

START_TEST(a_closed_inbox_drops_its_answers)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ADD, .done = count };
	struct bs_store_inbox *other;
	struct bs_registry_stat st;
	unsigned n = 0;
	int i;

	req.arg = &n;
	req.u.device.has_secret = true;
	ck_assert_int_eq(bs_store_inbox_new(box.store, &other), BS_OK);
	for (i = 0; i < 50; i++) {
		snprintf(req.u.device.id, sizeof(req.u.device.id), "dev%d", i);
		ck_assert_int_eq(bs_store_submit(other, &req), BS_OK);
	}
	bs_store_inbox_free(other);
	bs_store_stop(box.store);
	bs_store_inbox_run(box.in);
	ck_assert_uint_eq(n, 0);
	/* The work was done all the same. */
	ck_assert_int_eq(bs_registry_stat(box.r, &st), BS_OK);
	ck_assert_uint_eq(st.devices, 50);
	bs_store_inbox_free(NULL);
}
END_TEST

START_TEST(an_answer_nobody_wants_wakes_nobody)
{
	struct bs_store_request req = { .op = BS_STORE_SYNC };

	ck_assert_int_eq(bs_store_submit(box.in, &req), BS_OK);
	bs_store_stop(box.store);
	ck_assert(!readable(box.in));
}
END_TEST

static void free_inbox(void *arg, const struct bs_store_result *res)
{
	struct bs_store_inbox **in = arg;

	(void)res;
	bs_store_inbox_free(*in);
	*in = NULL;
}

START_TEST(a_callback_may_free_the_inbox)
{
	struct bs_store_request req = { .op = BS_STORE_SYNC, .done = free_inbox };
	struct bs_store_inbox *in;
	struct bs_store_inbox *keep;

	ck_assert_int_eq(bs_store_inbox_new(box.store, &in), BS_OK);
	keep = in;
	req.arg = &keep;
	ck_assert_int_eq(bs_store_submit(in, &req), BS_OK);
	ck_assert_int_eq(bs_store_submit(in, &req), BS_OK);
	bs_store_stop(box.store);
	ck_assert_uint_eq(bs_store_inbox_run(in), 1);
	ck_assert_ptr_null(keep);
}
END_TEST

START_TEST(many_is_delivered_without_memory)
{
	struct bs_epochs e = { 7, 8, 9 };

	box.n_changes = 0;
	bs__inbox_post_many(box.feed, &e);
	bs__inbox_post_many(box.feed, &e);
	ck_assert(readable(box.feed));
	ck_assert_uint_eq(bs_store_inbox_run(box.feed), 1);
	ck_assert_uint_eq(box.n_changes, 1);
	ck_assert_int_eq(box.change[0].kind, BS_CHANGE_MANY);
	ck_assert_uint_eq(box.change[0].epochs.crl, 8);
	ck_assert(!readable(box.feed));
}
END_TEST

START_TEST(queues_keep_their_order)
{
	struct bs__item it[3];
	struct bs__queue q;

	bs__queue_init(&q);
	ck_assert_ptr_null(bs__queue_pop(&q));
	bs__queue_push(&q, &it[0]);
	bs__queue_push(&q, &it[1]);
	ck_assert_ptr_eq(bs__queue_pop(&q), &it[0]);
	bs__queue_push(&q, &it[2]);
	ck_assert_uint_eq(q.n, 2);
	ck_assert_ptr_eq(bs__queue_pop(&q), &it[1]);
	ck_assert_ptr_eq(bs__queue_pop(&q), &it[2]);
	ck_assert_ptr_null(bs__queue_pop(&q));
	bs__queue_push(&q, &it[0]);
	ck_assert_ptr_eq(bs__queue_pop(&q), &it[0]);
}
END_TEST

Suite *bs_suite_inbox(void)
{
	Suite *s = suite_create("inbox");
	TCase *t = tcase_create("inbox");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_answer_comes_once);
	tcase_add_test(t, a_closed_inbox_drops_its_answers);
	tcase_add_test(t, an_answer_nobody_wants_wakes_nobody);
	tcase_add_test(t, a_callback_may_free_the_inbox);
	tcase_add_test(t, many_is_delivered_without_memory);
	tcase_add_test(t, queues_keep_their_order);
	suite_add_tcase(s, t);
	return s;
}
