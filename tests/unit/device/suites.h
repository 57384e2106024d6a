/* SPDX-License-Identifier: Apache-2.0 */
/* suites.h - the suites of this program; a new one is a line here and a line in main.c. */
#ifndef BS_TESTS_UNIT_DEVICE_SUITES_H
#define BS_TESTS_UNIT_DEVICE_SUITES_H

#include <check.h>

Suite *bs_suite_device(void);
Suite *bs_suite_report(void);
Suite *bs_suite_timer(void);
Suite *bs_suite_storage(void);
Suite *bs_suite_socket(void);
Suite *bs_suite_posix(void);
Suite *bs_suite_acl(void);
Suite *bs_suite_allow(void);
Suite *bs_suite_pump(void);
Suite *bs_suite_stream(void);
Suite *bs_suite_sockets(void);
Suite *bs_suite_batch(void);

#endif
