/* SPDX-License-Identifier: Apache-2.0 */
/* test.h - what every test file of test-gate starts from. */
#ifndef BS_TEST_GATE_TEST_H
#define BS_TEST_GATE_TEST_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define BS_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define BS_SUITE(name) Suite *bs_suite_##name(void);
#include "suites.h"
#undef BS_SUITE

#endif
