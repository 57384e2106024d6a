/* SPDX-License-Identifier: Apache-2.0 */
#include "server/slab.h"

#include <stddef.h>
#include <string.h>

#include "shelf.h"
#include "suite.h"

static struct bs_state *state;
static struct bs_slab s;

static void setup(void)
{
	state = shelf_open(10);
	bs_slab_init(&s, bs_state_shard(state, 0));
}

static void teardown(void)
{
	bs_state_close(state);
}

START_TEST(test_record_fits_its_budget)
{
	ck_assert_uint_eq(sizeof(struct bs_device_hot), 64);
	ck_assert_uint_eq((uintptr_t)&s.hot[3] % 64, 0);
	ck_assert_uint_le(sizeof(struct bs_device_hot) + sizeof(struct bs_device_cold), 208);
	ck_assert_uint_eq((uintptr_t)s.cold % 64, 0);
}
END_TEST

START_TEST(test_take_to_the_limit)
{
	uint32_t i;

	for (i = 0; i < 10; i++)
		ck_assert_uint_eq(bs_slab_take(&s), i);
	ck_assert_uint_eq(bs_slab_take(&s), BS_SLAB_NONE);
	ck_assert_uint_eq(s.n, 10);
	bs_slab_give(&s, 4);
	bs_slab_give(&s, 7);
	ck_assert_uint_eq(s.n, 8);
	ck_assert_uint_eq(bs_slab_take(&s), 7);
	ck_assert_uint_eq(bs_slab_take(&s), 4);
	ck_assert_uint_eq(bs_slab_take(&s), BS_SLAB_NONE);
}
END_TEST

START_TEST(test_give_wipes_the_key)
{
	static const struct bs_key_block zero;
	uint32_t i = bs_slab_take(&s);

	memset(&s.cold[i].c_key, 0xAA, sizeof(s.cold[i].c_key));
	s.hot[i].nsi = 5;
	bs_slab_give(&s, i);
	ck_assert_mem_eq(&s.cold[i].c_key, &zero, sizeof(zero));
	ck_assert_uint_eq(bs_slab_take(&s), i);
	ck_assert_uint_eq(s.hot[i].nsi, 0);
	ck_assert_uint_eq(s.hot[i].flags, 0);
}
END_TEST

START_TEST(test_next_skips_holes)
{
	uint32_t i;

	ck_assert_uint_eq(bs_slab_next(&s, 0), BS_SLAB_NONE);
	for (i = 0; i < 5; i++)
		bs_slab_publish(&s, bs_slab_take(&s));
	bs_slab_give(&s, 0);
	bs_slab_give(&s, 3);
	ck_assert_uint_eq(bs_slab_next(&s, 0), 1);
	ck_assert_uint_eq(bs_slab_next(&s, 3), 4);
	ck_assert_uint_eq(bs_slab_next(&s, 5), BS_SLAB_NONE);
	ck_assert_uint_eq(bs_slab_next(&s, 1000), BS_SLAB_NONE);
}
END_TEST

/* A process that ends here must not leave half a device. */
START_TEST(test_counts_when_published)
{
	uint32_t i = bs_slab_take(&s);

	s.hot[i].nsi = 0x01020304;
	s.hot[i].flags |= BS_SLAB_LEGACY;
	ck_assert_uint_eq(bs_slab_next(&s, 0), BS_SLAB_NONE);
	bs_slab_publish(&s, i);
	ck_assert_uint_eq(bs_slab_next(&s, 0), i);
	ck_assert_uint_eq(s.hot[i].flags, BS_SLAB_USED | BS_SLAB_LEGACY);
	ck_assert_uint_eq(s.cold[i].seal, bs_slab_seal(&s.hot[i], &s.cold[i]));
	ck_assert_uint_eq(bs_slab_bytes(&s),
			  10 * (sizeof(struct bs_device_hot) + sizeof(struct bs_device_cold)));
}
END_TEST

/* Every bit that never changes counts, and none of those that do. */
START_TEST(test_seal_covers_what_stays)
{
	uint32_t i = bs_slab_take(&s);
	uint8_t *cold = (uint8_t *)&s.cold[i];
	uint32_t seal;
	size_t bit;

	s.hot[i].nsi = 77;
	memset(cold, 0x5A, sizeof(s.cold[i]));
	seal = bs_slab_seal(&s.hot[i], &s.cold[i]);
	for (bit = 0; bit < 8 * sizeof(s.cold[i]); bit++) {
		bool stays = bit < 8 * offsetof(struct bs_device_cold, seal);

		cold[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(bs_slab_seal(&s.hot[i], &s.cold[i]) != seal, stays);
		cold[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	s.hot[i].nsi = 78;
	ck_assert_uint_ne(bs_slab_seal(&s.hot[i], &s.cold[i]), seal);
	s.hot[i].nsi = 77;
	s.hot[i].number = 1;
	ck_assert_uint_ne(bs_slab_seal(&s.hot[i], &s.cold[i]), seal);
	s.hot[i].number = 0;
	s.hot[i].rtt_ms = 9;
	ck_assert_uint_eq(bs_slab_seal(&s.hot[i], &s.cold[i]), seal);
}
END_TEST

START_TEST(test_move_leaves_no_note)
{
	struct bs_endpoint to = { .ip = { 1 }, .port = 5 };
	uint32_t i = bs_slab_take(&s);

	bs_slab_move(&s, i, &to, 3);
	ck_assert_mem_eq(&s.hot[i].peer, &to, sizeof(to));
	ck_assert_uint_eq(s.hot[i].local, 3);
	ck_assert_uint_eq(bs_state_note(s.shard)->armed, 0);
}
END_TEST

START_TEST(test_adopt_frees_the_rest)
{
	uint32_t i;

	for (i = 0; i < 6; i++)
		bs_slab_publish(&s, bs_slab_take(&s));
	s.hot[1].flags = 0;
	s.hot[4].flags = 0;
	s.cold[4].caps = 5;
	bs_slab_adopt(&s, 6);
	ck_assert_uint_eq(s.n, 4);
	ck_assert_uint_eq(bs_slab_take(&s), 1);
	ck_assert_uint_eq(s.cold[4].caps, 0);
	ck_assert_uint_eq(bs_slab_take(&s), 4);
	ck_assert_uint_eq(bs_slab_take(&s), 6);
}
END_TEST

Suite *bs_suite_slab(void)
{
	Suite *suite = suite_create("slab");
	TCase *c = tcase_create("slab");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_record_fits_its_budget);
	tcase_add_test(c, test_take_to_the_limit);
	tcase_add_test(c, test_give_wipes_the_key);
	tcase_add_test(c, test_next_skips_holes);
	tcase_add_test(c, test_counts_when_published);
	tcase_add_test(c, test_seal_covers_what_stays);
	tcase_add_test(c, test_move_leaves_no_note);
	tcase_add_test(c, test_adopt_frees_the_rest);
	suite_add_tcase(suite, c);
	return suite;
}
