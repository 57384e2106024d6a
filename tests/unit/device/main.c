/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <stdlib.h>

int main(void)
{
	SRunner *r = srunner_create(bs_suite_device());
	int failed;

	srunner_add_suite(r, bs_suite_report());
	srunner_add_suite(r, bs_suite_timer());
	srunner_add_suite(r, bs_suite_storage());
	srunner_add_suite(r, bs_suite_socket());
	srunner_add_suite(r, bs_suite_posix());
	srunner_add_suite(r, bs_suite_sockets());
	srunner_add_suite(r, bs_suite_batch());
	srunner_add_suite(r, bs_suite_acl());
	srunner_add_suite(r, bs_suite_allow());
	srunner_add_suite(r, bs_suite_pump());
	srunner_add_suite(r, bs_suite_stream());
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
