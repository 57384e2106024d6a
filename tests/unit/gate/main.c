/* SPDX-License-Identifier: Apache-2.0 */
/* test-gate - runs the suites of suites.h, prints TAP. */

#include "pki.h"
#include "test.h"

int main(void)
{
	SRunner *sr = srunner_create(NULL);
	int failed;

#define BS_SUITE(name) srunner_add_suite(sr, bs_suite_##name());
#include "suites.h"
#undef BS_SUITE
	pki_make_keys();
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	pki_forget_keys();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
