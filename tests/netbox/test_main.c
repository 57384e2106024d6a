/* SPDX-License-Identifier: Apache-2.0 */
/* test-netbox - runs the suites of suites.h, prints TAP. */
#include <check.h>
#include <stdlib.h>

#define BS_SUITE(name) Suite *bs_suite_##name(void);
#include "suites.h"
#undef BS_SUITE

int main(void)
{
	SRunner *sr = srunner_create(NULL);
	int failed;

#define BS_SUITE(name) srunner_add_suite(sr, bs_suite_##name());
#include "suites.h"
#undef BS_SUITE
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
