/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pending.h"

#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "util/endpoint.h"

static const uint8_t key[BS_SIPHASH_KEY_LEN] = { 1, 2, 3 };
static struct bs_pending p;
static uint32_t gone_number[64];
static uint32_t gone_born[64];
static unsigned n_gone;
static unsigned n_expired;

static void on_gone(void *ctx, const struct bs_pending_entry *e, bool expired)
{
	ck_assert_ptr_eq(ctx, &p);
	if (n_gone < 64) {
		gone_number[n_gone] = e->number;
		gone_born[n_gone] = e->born_ms;
	}
	n_gone++;
	n_expired += expired;
}

static void setup(void)
{
	ck_assert_int_eq(bs_pending_init(&p, 32, key, on_gone, &p), BS_OK);
	n_gone = 0;
	n_expired = 0;
}

static void teardown(void)
{
	bs_pending_fini(&p);
	bs_pending_fini(&p);
	bs_pending_fini(NULL);
}

static struct bs_endpoint at(uint32_t ip, uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, ip, port);
	return ep;
}

/* One entry whose nonce is its birth. */
static uint32_t add(uint32_t number, uint32_t ip, bool known, uint32_t born)
{
	struct bs_endpoint ep = at(ip, 1000);
	uint8_t nonce[32] = { 0 };

	memcpy(nonce, &born, sizeof(born));
	return bs_pending_add(&p, number, nonce, sizeof(nonce), &ep, known, born);
}

START_TEST(test_find_a_repeat)
{
	struct bs_endpoint ep = at(0x01020304, 5);
	struct bs_endpoint other = at(0x01020304, 6);
	uint8_t nonce[32] = { 9 };
	uint32_t i = bs_pending_add(&p, 4, nonce, 32, &ep, false, 0);

	ck_assert_uint_eq(bs_pending_find(&p, 4, nonce, 32, &ep), i);
	ck_assert_uint_eq(bs_pending_find(&p, 5, nonce, 32, &ep), BS_PENDING_NONE);
	ck_assert_uint_eq(bs_pending_find(&p, 4, nonce, 32, &other), BS_PENDING_NONE);
	nonce[31] = 1;
	ck_assert_uint_eq(bs_pending_find(&p, 4, nonce, 32, &ep), BS_PENDING_NONE);
	/* A legacy nonce is its eight bytes and zeros. */
	nonce[31] = 0;
	ck_assert_uint_eq(bs_pending_find(&p, 4, nonce, 8, &ep), i);
	bs_pending_remove(&p, i);
	ck_assert_uint_eq(bs_pending_find(&p, 4, nonce, 32, &ep), BS_PENDING_NONE);
	ck_assert_uint_eq(n_gone, 0);
}
END_TEST

START_TEST(test_four_per_id)
{
	uint32_t i;

	for (i = 0; i < 6; i++)
		add(1, 0x0A000000 + (i << 8), false, i);
	ck_assert_uint_eq(p.n, 4);
	ck_assert_uint_eq(n_gone, 2);
	ck_assert_uint_eq(gone_born[0], 0);
	ck_assert_uint_eq(gone_born[1], 1);
}
END_TEST

START_TEST(test_sixteen_per_prefix)
{
	uint32_t i;

	for (i = 0; i < 18; i++)
		add(100 + i, 0x0A000000 + i, false, i);
	ck_assert_uint_eq(p.n, 16);
	ck_assert_uint_eq(gone_number[0], 100);
	ck_assert_uint_eq(gone_number[1], 101);
	/* Another prefix is not touched by that. */
	add(300, 0x0B000000, false, 20);
	ck_assert_uint_eq(p.n, 17);
}
END_TEST

START_TEST(test_known_prefix_is_free_of_it)
{
	uint32_t i;

	for (i = 0; i < 30; i++)
		add(100 + i, 0x0A000000 + i, true, i);
	ck_assert_uint_eq(p.n, 30);
	ck_assert_uint_eq(n_gone, 0);
	/* Nor do these count against one of the same prefix that is not known (sketch lost it). */
	add(500, 0x0A0000FF, false, 40);
	ck_assert_uint_eq(p.n, 31);
}
END_TEST

START_TEST(test_at_a_limit_the_same_id_goes_first)
{
	uint32_t i;

	add(7, 0x0A000001, false, 0);
	for (i = 1; i < 16; i++)
		add(100 + i, 0x0A000000 + i, false, i);
	add(7, 0x0A000002, false, 50);
	ck_assert_uint_eq(n_gone, 1);
	ck_assert_uint_eq(gone_number[0], 7);
	ck_assert_uint_eq(gone_born[0], 0);
}
END_TEST

/* A crowd from a network that nobody has seen: those who were answered keep their entries, the
 * others ask again. */
START_TEST(test_young_entries_stay)
{
	const uint8_t nonce[32] = { 1 };
	struct bs_endpoint ep = at(0x0A000099, 1);
	uint32_t i;

	bs_pending_set_grace(&p, 1000);
	for (i = 0; i < 16; i++)
		add(100 + i, 0x0A000000 + i, false, UINT32_MAX - 15 + i);
	ck_assert_uint_eq(bs_pending_add(&p, 500, nonce, 32, &ep, false, 900), BS_PENDING_NONE);
	ck_assert_uint_eq(p.n, 16);
	ck_assert_uint_eq(n_gone, 0);
	/* One's own may go at any age. */
	ck_assert_uint_ne(bs_pending_add(&p, 105, nonce, 32, &ep, false, 900), BS_PENDING_NONE);
	ck_assert_uint_eq(gone_number[0], 105);
	ck_assert_uint_ne(bs_pending_add(&p, 500, nonce, 32, &ep, false, 1000), BS_PENDING_NONE);
	ck_assert_uint_eq(gone_number[1], 100);
	ck_assert_uint_eq(p.n, 16);
}
END_TEST

/* Table full: the same id, then the same prefix, then the oldest of all. */
START_TEST(test_full_table)
{
	uint32_t i;

	for (i = 0; i < 32; i++)
		add(100 + i, 0x0A000000 + (i << 8), true, i);
	ck_assert_uint_eq(n_gone, 0);
	add(120, 0x0C000000, true, 40);
	ck_assert_uint_eq(gone_number[0], 120);
	add(500, 0x0A000000 + (5 << 8) + 9, true, 41);
	ck_assert_uint_eq(gone_number[1], 105);
	add(501, 0x0A000000 + (6 << 8) + 9, false, 42);
	ck_assert_uint_eq(gone_number[2], 106);
	add(502, 0x0D000000, false, 43);
	ck_assert_uint_eq(gone_number[3], 100);
	ck_assert_uint_eq(p.n, 32);
}
END_TEST

START_TEST(test_expiry)
{
	bs_pending_set_limits(&p, 4, 16, 1000);
	add(1, 0x0A000000, false, UINT32_MAX - 100);
	add(2, 0x0A000100, false, 500);
	bs_pending_expire(&p, 800);
	ck_assert_uint_eq(n_expired, 0);
	bs_pending_expire(&p, 899);
	ck_assert_uint_eq(n_expired, 1);
	ck_assert_uint_eq(gone_number[0], 1);
	bs_pending_expire(&p, 1500);
	ck_assert_uint_eq(n_expired, 2);
	ck_assert_uint_eq(p.n, 0);
	bs_pending_expire(&p, 1600);
}
END_TEST

START_TEST(test_remove_device)
{
	add(1, 0x0A000000, false, 1);
	add(2, 0x0A000100, false, 2);
	add(1, 0x0A000200, false, 3);
	bs_pending_remove_device(&p, 1);
	ck_assert_uint_eq(p.n, 1);
	ck_assert_uint_eq(n_gone, 2);
	bs_pending_remove_device(&p, 99);
	ck_assert_uint_eq(p.n, 1);
}
END_TEST

/* A flood from everywhere: the table never grows, and its lists stay whole. */
START_TEST(test_flood)
{
	uint32_t step;
	uint32_t i;
	uint32_t n;

	srandom(5);
	bs_pending_set_limits(&p, 4, 16, 300);
	for (step = 0; step < 100000; step++) {
		add((uint32_t)random() % 60 + 1, (uint32_t)random() % 40 << 6, random() % 4 == 0,
		    step);
		if (random() % 50 == 0)
			bs_pending_expire(&p, step);
		if (random() % 20 == 0 && p.n > 0)
			bs_pending_remove(&p, p.age.head);
		ck_assert_uint_le(p.n, 32);
	}
	for (n = 0, i = p.age.head; i != BS_PENDING_NONE; i = p.entry[i].age.next)
		n++;
	ck_assert_uint_eq(n, p.n);
	bs_pending_expire(&p, step + 300);
	ck_assert_uint_eq(p.n, 0);
	for (i = 0; i < p.buckets; i++) {
		ck_assert_uint_eq(p.by_id[i].head, BS_PENDING_NONE);
		ck_assert_uint_eq(p.by_prefix[i].tail, BS_PENDING_NONE);
	}
}
END_TEST

START_TEST(test_init_refuses)
{
	struct bs_pending bad;

	ck_assert_int_eq(bs_pending_init(&bad, 0, key, NULL, NULL), BS_EINVAL);
	bs_pending_fini(&bad);
}
END_TEST

Suite *bs_suite_pending(void)
{
	Suite *s = suite_create("pending");
	TCase *c = tcase_create("pending");

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_find_a_repeat);
	tcase_add_test(c, test_young_entries_stay);
	tcase_add_test(c, test_four_per_id);
	tcase_add_test(c, test_sixteen_per_prefix);
	tcase_add_test(c, test_known_prefix_is_free_of_it);
	tcase_add_test(c, test_at_a_limit_the_same_id_goes_first);
	tcase_add_test(c, test_full_table);
	tcase_add_test(c, test_expiry);
	tcase_add_test(c, test_remove_device);
	tcase_add_test(c, test_flood);
	tcase_add_test(c, test_init_refuses);
	suite_add_tcase(s, c);
	return s;
}
