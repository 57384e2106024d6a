/* SPDX-License-Identifier: Apache-2.0 */
#include "alloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static unsigned countdown;
static bool failed;

void test_alloc_fail_at(unsigned n)
{
	countdown = n;
	failed = false;
}

bool test_alloc_failed(void)
{
	bool f = failed;

	countdown = 0;
	failed = false;
	return f;
}

static bool is_due(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
char *__real_strdup(const char *s);
void *__real_aligned_alloc(size_t align, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
char *__wrap_strdup(const char *s);
void *__wrap_aligned_alloc(size_t align, size_t len);

void *__wrap_malloc(size_t len)
{
	return is_due() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
	return is_due() ? NULL : __real_calloc(n, len);
}

char *__wrap_strdup(const char *s)
{
	return is_due() ? NULL : __real_strdup(s);
}

void *__wrap_aligned_alloc(size_t align, size_t len)
{
	return is_due() ? NULL : __real_aligned_alloc(align, len);
}
