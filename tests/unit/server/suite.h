/* SPDX-License-Identifier: Apache-2.0 */
/* suite.h - prototypes of all suites, for the files that define them. */
#ifndef BS_TEST_SERVER_SUITE_H
#define BS_TEST_SERVER_SUITE_H

#include <check.h>

#define BS_SUITE(name) Suite *bs_suite_##name(void);
#include "suites.h"
#undef BS_SUITE

#endif
