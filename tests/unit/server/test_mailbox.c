/* SPDX-License-Identifier: Apache-2.0 */
#include "server/mailbox.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "suite.h"

#define MANY 200000u

static struct bs_post *post;

static void setup(void)
{
	post = bs_post_new(3);
	ck_assert_ptr_nonnull(post);
}

static void teardown(void)
{
	bs_post_free(post);
	bs_post_free(NULL);
}

START_TEST(test_in_order_and_full)
{
	struct bs_message m;
	struct bs_message *got;
	uint32_t n = 0;
	uint32_t i;

	memset(&m, 0, sizeof(m));
	ck_assert_ptr_null(bs_post_peek(post, 0, 1));
	for (m.number = 0; bs_post_put(post, 0, 1, &m) == BS_OK; m.number++)
		n++;
	ck_assert_uint_ge(n, 64);
	/* Other pairs have rings of their own. */
	ck_assert_ptr_null(bs_post_peek(post, 1, 0));
	ck_assert_ptr_null(bs_post_peek(post, 3, 1));
	for (i = 0; i < n; i++) {
		got = bs_post_peek(post, 0, 1);
		ck_assert_ptr_nonnull(got);
		ck_assert_uint_eq(got->number, i);
		ck_assert_uint_eq(got->from, 0);
		bs_post_done(post, 0, 1);
	}
	ck_assert_ptr_null(bs_post_peek(post, 0, 1));
	ck_assert_int_eq(bs_post_put(post, 0, 1, &m), BS_OK);
}
END_TEST

START_TEST(test_bulk)
{
	struct bs_bulk *b;
	unsigned n = 0;

	while ((b = bs_post_bulk_reserve(post, 2, 3)) != NULL) {
		b->id = n++;
		bs_post_bulk_publish(post, 2, 3);
	}
	ck_assert_uint_ge(n, 16);
	b = bs_post_bulk_peek(post, 2, 3);
	ck_assert_uint_eq(b->id, 0);
	ck_assert_uint_eq(b->from, 2);
	bs_post_bulk_done(post, 2, 3);
	ck_assert_ptr_nonnull(bs_post_bulk_reserve(post, 2, 3));
	/* Reserved but not published is not there. */
	while (bs_post_bulk_peek(post, 2, 3))
		bs_post_bulk_done(post, 2, 3);
	ck_assert_ptr_nonnull(bs_post_bulk_reserve(post, 2, 3));
}
END_TEST

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

START_TEST(test_wake)
{
	int fd = bs_post_fd(post, 2);

	ck_assert(!is_readable(fd));
	bs_post_wake(post, 2);
	bs_post_wake(post, 2);
	ck_assert(is_readable(fd));
	ck_assert(!is_readable(bs_post_fd(post, 1)));
	bs_post_clear(post, 2);
	ck_assert(!is_readable(fd));
	bs_post_clear(post, 2);
}
END_TEST

static void *producer(void *arg)
{
	struct bs_message m;
	struct bs_bulk *b;
	uint32_t i;

	(void)arg;
	memset(&m, 0, sizeof(m));
	for (i = 0; i < MANY; i++) {
		m.number = i;
		memset(&m.u, (int)(i & 0xFF), sizeof(m.u));
		while (bs_post_put(post, 1, 0, &m) != BS_OK)
			sched_yield();
		if (i % 16)
			continue;
		while ((b = bs_post_bulk_reserve(post, 1, 0)) == NULL)
			sched_yield();
		b->id = i;
		memset(b->data, (int)(i & 0xFF), 64);
		bs_post_bulk_publish(post, 1, 0);
	}
	return NULL;
}

/* One thread writes, one reads; every byte arrives, in order.  TSan looks at this one. */
START_TEST(test_two_threads)
{
	pthread_t t;
	uint32_t next = 0;
	uint32_t bulk = 0;

	ck_assert_int_eq(pthread_create(&t, NULL, producer, NULL), 0);
	while (next < MANY || bulk < MANY) {
		struct bs_message *m = bs_post_peek(post, 1, 0);
		struct bs_bulk *b = bs_post_bulk_peek(post, 1, 0);

		if (m) {
			ck_assert_uint_eq(m->number, next);
			ck_assert_uint_eq(m->u.gate[100], next & 0xFF);
			next++;
			bs_post_done(post, 1, 0);
		}
		if (b) {
			ck_assert_uint_eq(b->id, bulk);
			ck_assert_uint_eq(b->data[63], bulk & 0xFF);
			bulk += 16;
			bs_post_bulk_done(post, 1, 0);
		}
		if (!m && !b)
			sched_yield();
	}
	pthread_join(t, NULL);
}
END_TEST

/* Many workers: shorter rings, same promises. */
START_TEST(test_many_workers)
{
	struct bs_post *big = bs_post_new(64);
	struct bs_message m = { .number = 1 };
	unsigned n = 0;

	ck_assert_ptr_nonnull(big);
	while (bs_post_put(big, 63, 64, &m) == BS_OK)
		n++;
	ck_assert_uint_ge(n, 64);
	bs_post_free(big);
}
END_TEST

Suite *bs_suite_mailbox(void)
{
	Suite *s = suite_create("mailbox");
	TCase *c = tcase_create("mailbox");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 30);
	tcase_add_test(c, test_in_order_and_full);
	tcase_add_test(c, test_bulk);
	tcase_add_test(c, test_wake);
	tcase_add_test(c, test_two_threads);
	tcase_add_test(c, test_many_workers);
	suite_add_tcase(s, c);
	return s;
}
