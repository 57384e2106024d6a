/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BS_TESTS_DAEMON_SUITES_H
#define BS_TESTS_DAEMON_SUITES_H

#include <check.h>

Suite *bs_suite_options(void);
Suite *bs_suite_privileges(void);
Suite *bs_suite_notify(void);
Suite *bs_suite_daemonize(void);
Suite *bs_suite_limits(void);
Suite *bs_suite_trial(void);
Suite *bs_suite_first_run(void);

#endif
