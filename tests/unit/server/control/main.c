/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "suites.h"

int main(void)
{
	Suite *(*const suites[])(void) = {
		bs_suite_control,         bs_suite_control_access,  bs_suite_control_admin,
		bs_suite_control_attempt, bs_suite_control_relay,   bs_suite_control_ca,
		bs_suite_control_client,  bs_suite_control_db,      bs_suite_control_device,
		bs_suite_control_import,  bs_suite_control_offline, bs_suite_control_socket,
	};
	SRunner *sr = srunner_create(NULL);
	int failed;

	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		srunner_add_suite(sr, suites[i]());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
