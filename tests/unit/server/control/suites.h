/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CONTROL_SUITES_H
#define TEST_CONTROL_SUITES_H

#include <check.h>

Suite *bs_suite_control(void);
Suite *bs_suite_control_access(void);
Suite *bs_suite_control_admin(void);
Suite *bs_suite_control_attempt(void);
Suite *bs_suite_control_relay(void);
Suite *bs_suite_control_ca(void);
Suite *bs_suite_control_client(void);
Suite *bs_suite_control_db(void);
Suite *bs_suite_control_device(void);
Suite *bs_suite_control_import(void);
Suite *bs_suite_control_offline(void);
Suite *bs_suite_control_socket(void);

#endif
