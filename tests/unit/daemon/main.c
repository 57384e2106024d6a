/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "suites.h"

int main(void)
{
	SRunner *sr = srunner_create(bs_suite_options());
	int failed;

	srunner_add_suite(sr, bs_suite_privileges());
	srunner_add_suite(sr, bs_suite_notify());
	srunner_add_suite(sr, bs_suite_daemonize());
	srunner_add_suite(sr, bs_suite_limits());
	srunner_add_suite(sr, bs_suite_trial());
	srunner_add_suite(sr, bs_suite_first_run());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
