/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BS_TESTS_CONF_SUITES_H
#define BS_TESTS_CONF_SUITES_H

#include <check.h>

Suite *bs_suite_quantity(void);
Suite *bs_suite_suggest(void);
Suite *bs_suite_schema(void);
Suite *bs_suite_value(void);
Suite *bs_suite_clean(void);
Suite *bs_suite_parse(void);
Suite *bs_suite_check(void);
Suite *bs_suite_conf(void);
Suite *bs_suite_print(void);
Suite *bs_suite_ring(void);
Suite *bs_suite_format(void);
Suite *bs_suite_sink(void);
Suite *bs_suite_log(void);
Suite *bs_suite_command(void);
Suite *bs_suite_csv(void);
Suite *bs_suite_field(void);
Suite *bs_suite_protocol(void);
Suite *bs_suite_rows(void);

#endif
