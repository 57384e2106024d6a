/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc.h - makes the n-th allocation fail.  The program is linked with --wrap for malloc, calloc
 * and realloc, which catches those of our own code (LMDB's and OpenSSL's are in their libraries).
 */
#ifndef BS_TEST_ALLOC_H
#define BS_TEST_ALLOC_H

#include <stdbool.h>

/** Let the n-th allocation from now on fail, in whatever thread; 0 = none. */
void alloc_fail_at(long n);
/** Whether the one that was to fail was asked for; disarms. */
bool alloc_failed(void);

#endif
