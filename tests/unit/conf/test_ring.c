/* SPDX-License-Identifier: Apache-2.0 */
#include "log/ring.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suites.h"

static struct bs_log_ring *ring;

static void setup(void)
{
	ring = aligned_alloc(64, sizeof(*ring));
	ck_assert_ptr_nonnull(ring);
	memset(ring, 0, sizeof(*ring));
}

static void teardown(void)
{
	free(ring);
}

static bool put(uint64_t n)
{
	struct bs_log_record *rec = bs__log_ring_reserve(ring);

	if (rec == NULL)
		return false;
	rec->wall_ns = n;
	snprintf(rec->message, sizeof(rec->message), "%llu", (unsigned long long)n);
	bs__log_ring_publish(ring);
	return true;
}

START_TEST(empty_full_and_round_again)
{
	uint64_t next = 0;

	ck_assert_ptr_null(bs__log_ring_peek(ring));
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < BS_LOG_RING_SLOTS; i++)
			ck_assert(put(next + i));
		ck_assert(!put(999));
		ck_assert(!put(999));
		ck_assert_uint_eq(atomic_load(&ring->dropped), 2u * (round + 1));
		for (unsigned i = 0; i < BS_LOG_RING_SLOTS; i++, next++) {
			ck_assert_uint_eq(bs__log_ring_peek(ring)->wall_ns, next);
			bs__log_ring_pop(ring);
		}
		ck_assert_ptr_null(bs__log_ring_peek(ring));
	}
}
END_TEST

START_TEST(indices_wrap_around_32_bits)
{
	atomic_store(&ring->head, UINT32_MAX - 2);
	atomic_store(&ring->tail, UINT32_MAX - 2);
	for (unsigned i = 0; i < BS_LOG_RING_SLOTS; i++)
		ck_assert(put(i));
	ck_assert(!put(0));
	for (unsigned i = 0; i < BS_LOG_RING_SLOTS; i++) {
		ck_assert_uint_eq(bs__log_ring_peek(ring)->wall_ns, i);
		bs__log_ring_pop(ring);
	}
	ck_assert_ptr_null(bs__log_ring_peek(ring));
}
END_TEST

#define LINES 20000

static void *produce(void *arg)
{
	(void)arg;
	for (uint64_t i = 1; i <= LINES;)
		i += put(i);
	return NULL;
}

/* a thread on each end: every line once, in order, whole */
START_TEST(one_producer_one_consumer)
{
	pthread_t t;
	uint64_t want = 1;

	ck_assert_int_eq(pthread_create(&t, NULL, produce, NULL), 0);
	while (want <= LINES) {
		const struct bs_log_record *rec = bs__log_ring_peek(ring);
		char text[24];

		if (rec == NULL)
			continue;
		snprintf(text, sizeof(text), "%llu", (unsigned long long)want);
		ck_assert_uint_eq(rec->wall_ns, want);
		ck_assert_str_eq(rec->message, text);
		bs__log_ring_pop(ring);
		want++;
	}
	ck_assert_int_eq(pthread_join(t, NULL), 0);
	ck_assert_ptr_null(bs__log_ring_peek(ring));
}
END_TEST

Suite *bs_suite_ring(void)
{
	Suite *s = suite_create("ring");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, empty_full_and_round_again);
	tcase_add_test(tc, indices_wrap_around_32_bits);
	tcase_add_test(tc, one_producer_one_consumer);
	suite_add_tcase(s, tc);
	return s;
}
