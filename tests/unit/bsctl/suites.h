/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_BSCTL_SUITES_H
#define TEST_BSCTL_SUITES_H

#include <check.h>

Suite *bs_suite_bsctl_ca_cert(void);
Suite *bs_suite_bsctl_ca_dir(void);
Suite *bs_suite_bsctl_ca_sign(void);
Suite *bs_suite_bsctl_file(void);
Suite *bs_suite_bsctl_link(void);
Suite *bs_suite_bsctl_print(void);

/** A folder for one test, made by setup and removed with all in it by teardown. */
extern char test_dir[64];
void test_dir_setup(void);
void test_dir_teardown(void);
/** "DIR/name" in one of a few static buffers. */
const char *test_path(const char *name);

#endif
