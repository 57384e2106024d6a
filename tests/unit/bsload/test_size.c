/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"
#include "tools/bsload/size.h"

#define NEAR(a, b) ck_assert_double_eq_tol(a, b, 1e-6 * (b))

/* Half of the processors, four fifths of the memory. */
START_TEST(test_reckon)
{
	const struct size_costs c = { .keepalive_s = 10e-6,
				      .attach_s = 50e-6,
				      .handshake_s = 1e-3,
				      .device_bytes = 250,
				      .session_bytes = 40000 };
	const struct size_limits l = size_reckon(&c, 4, 1e9, 10);

	NEAR(l.devices_by_cpu, 2 * 10 / 10e-6);
	NEAR(l.devices_by_memory, 0.8e9 / 250);
	NEAR(l.attaches_per_s, 2 / 50e-6);
	NEAR(l.handshakes_per_s, 2000.0);
	NEAR(l.sessions_by_memory, 20000.0);
}
END_TEST

/* What was not measured has no limit that could be mistaken for one. */
START_TEST(test_unknown)
{
	const struct size_costs c = { .keepalive_s = 10e-6 };
	const struct size_limits l = size_reckon(&c, 1, 1e9, 10);

	ck_assert_double_gt(l.devices_by_cpu, 0);
	ck_assert_double_eq(l.devices_by_memory, 0);
	ck_assert_double_eq(l.attaches_per_s, 0);
	ck_assert_double_eq(l.handshakes_per_s, 0);
	ck_assert_double_eq(l.sessions_by_memory, 0);
}
END_TEST

Suite *bs_suite_bsload_size(void)
{
	Suite *s = suite_create("size");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, test_reckon);
	tcase_add_test(tc, test_unknown);
	suite_add_tcase(s, tc);
	return s;
}
