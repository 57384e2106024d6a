/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_BSLOAD_SUITES_H
#define TEST_BSLOAD_SUITES_H

#include <check.h>

Suite *bs_suite_bsload_histogram(void);
Suite *bs_suite_bsload_ids(void);
Suite *bs_suite_bsload_pace(void);
Suite *bs_suite_bsload_plan(void);
Suite *bs_suite_bsload_proc(void);
Suite *bs_suite_bsload_report(void);
Suite *bs_suite_bsload_size(void);

#endif
