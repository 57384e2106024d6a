/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "suites.h"

int main(void)
{
	Suite *(*const suites[])(void) = {
		bs_suite_quantity, bs_suite_suggest, bs_suite_schema, bs_suite_value,
		bs_suite_clean,    bs_suite_parse,   bs_suite_check,  bs_suite_conf,
		bs_suite_print,    bs_suite_ring,    bs_suite_format, bs_suite_sink,
		bs_suite_log,      bs_suite_command, bs_suite_csv,    bs_suite_field,
		bs_suite_protocol, bs_suite_rows,
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
