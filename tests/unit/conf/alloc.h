/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc.h - the n-th allocation from now on fails, once.
 *
 * Counts malloc, calloc, strdup and aligned_alloc of the whole program (the linker wraps
 * them; calls from inside shared libraries do not count).
 */
#ifndef BS_TESTS_CONF_ALLOC_H
#define BS_TESTS_CONF_ALLOC_H

#include <stdbool.h>

/** Let the n-th allocation from now on fail; 0 = none. */
void test_alloc_fail_at(unsigned n);
/** Whether it has happened since; also disarms. */
bool test_alloc_failed(void);

#endif
