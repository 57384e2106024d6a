/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pace.h"

#include "suite.h"

static uint32_t seed = 7;

static uint32_t draw(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

START_TEST(no_pace_lets_everybody_in)
{
	struct bs_pace p;
	uint32_t retry = 0;

	bs_pace_init(&p, 0, 5);
	for (unsigned i = 0; i < 100000; i++)
		ck_assert(bs_pace_take(&p, i & 1, 0, 5, &retry));
	ck_assert_uint_eq(retry, 0);
}
END_TEST

/* Any mixture, any pace, over the wrap of the clock: never more than the pace and its burst. */
START_TEST(a_second_never_takes_more_than_the_pace)
{
	static const uint32_t rates[] = { 1, 3, 10, 400, 2000 };

	for (size_t k = 0; k < sizeof(rates) / sizeof(rates[0]); k++) {
		uint32_t rate = rates[k];
		uint32_t now = UINT32_MAX - 5000;
		uint32_t burst = rate / 8 > 1 ? rate / 8 : 1;
		struct bs_pace p;

		bs_pace_init(&p, rate, now);
		for (unsigned s = 0; s < 12; s++) {
			uint32_t in = 0;

			for (unsigned ms = 0; ms < 1000; ms += 10) {
				for (unsigned i = 0; i < rate / 20 + 3; i++) {
					uint32_t retry = 0;
					bool keeps = draw() & 1;
					bool yes = bs_pace_take(&p, keeps, draw(), now, &retry);

					in += yes;
					if (!yes && keeps) {
						ck_assert_uint_gt(retry, 0);
						ck_assert_uint_le(retry, BS_PACE_SECONDS * 1000);
					}
				}
				now += 10;
			}
			ck_assert_uint_le(in, rate + 2 * burst + 1);
			/* and not much less, for there was always somebody */
			ck_assert_uint_ge(in + 1, rate * 9 / 10);
		}
	}
}
END_TEST

START_TEST(appointments_fill_second_after_second)
{
	struct bs_pace p;
	uint32_t second[32] = { 0 };
	uint32_t retry = 0;
	unsigned told = 0;

	bs_pace_init(&p, 100, 0);
	for (unsigned i = 0; i < 750; i++) {
		if (bs_pace_take(&p, true, draw(), 0, &retry))
			continue;
		told++;
		ck_assert_uint_lt(retry / 1000, 32);
		second[retry / 1000]++;
	}
	ck_assert_uint_eq(second[0], 0);
	for (unsigned s = 1; s <= told / 75; s++)
		ck_assert_uint_eq(second[s], 75);
}
END_TEST

/* A crowd of one kind leaves the other its part. */
START_TEST(neither_kind_keeps_out_the_other)
{
	for (unsigned crowd = 0; crowd < 2; crowd++) {
		struct bs_pace p;
		uint32_t in[2] = { 0, 0 };

		bs_pace_init(&p, 100, 0);
		for (uint32_t now = 0; now < 10000; now += 10) {
			uint32_t retry;

			for (unsigned i = 0; i < 20; i++)
				in[crowd] += bs_pace_take(&p, crowd, draw(), now, &retry);
			in[!crowd] += bs_pace_take(&p, !crowd, draw(), now, &retry);
		}
		/* the crowd has the whole of its own part, the others all of theirs */
		ck_assert_uint_ge(in[1], 740);
		ck_assert_uint_ge(in[0], 240);
		ck_assert_uint_le(in[0] + in[1], 1030);
	}
}
END_TEST

START_TEST(full_for_ten_minutes)
{
	struct bs_pace p;
	uint32_t retry;

	bs_pace_init(&p, 1, 0);
	for (unsigned i = 0; i < 2000; i++) {
		retry = 1;
		if (!bs_pace_take(&p, true, draw(), 0, &retry))
			ck_assert(retry >= 1000 && retry <= BS_PACE_SECONDS * 1000);
	}
	/* after a long silence all is forgotten */
	ck_assert(bs_pace_take(&p, true, 0, 10000000, &retry));
	ck_assert(!bs_pace_take(&p, true, 0, 10000000, &retry));
	ck_assert_uint_le(retry, 2000);
}
END_TEST

Suite *bs_suite_pace(void)
{
	Suite *s = suite_create("pace");
	TCase *c = tcase_create("pace");

	tcase_set_timeout(c, 60);

	tcase_add_test(c, no_pace_lets_everybody_in);
	tcase_add_test(c, a_second_never_takes_more_than_the_pace);
	tcase_add_test(c, appointments_fill_second_after_second);
	tcase_add_test(c, neither_kind_keeps_out_the_other);
	tcase_add_test(c, full_for_ten_minutes);
	suite_add_tcase(s, c);
	return s;
}
