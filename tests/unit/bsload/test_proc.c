/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suites.h"
#include "tools/bsload/proc.h"

START_TEST(test_self)
{
	const struct proc_sample s = proc_read((int)getpid());

	ck_assert(s.known);
	ck_assert_uint_gt(s.rss_anon_kb + s.rss_file_kb, 0);
	ck_assert_uint_eq(proc_own_bytes(&s), (s.rss_anon_kb + s.rss_shmem_kb) * 1024);
	ck_assert_uint_ge(proc_cpus(), 1);
	ck_assert_uint_gt(proc_memory_available(), 0);
}
END_TEST

START_TEST(test_nobody)
{
	ck_assert(!proc_read(0).known);
	ck_assert(!proc_read(-1).known);
	/* Above what any system gives. */
	ck_assert(!proc_read(0x7FFFFFFF).known);
}
END_TEST

/* Memory that is touched shows as the process's own, time that is spent as CPU time. */
START_TEST(test_growth)
{
	enum {
		LEN = 32 << 20
	};
	const struct proc_sample from = proc_read((int)getpid());
	volatile uint8_t *m = malloc(LEN);
	struct proc_sample to;

	ck_assert_ptr_nonnull((void *)(uintptr_t)m);
	for (size_t i = 0; i < LEN; i++)
		m[i] = (uint8_t)i;
	to = proc_read((int)getpid());
	ck_assert_uint_ge(proc_own_bytes(&to), proc_own_bytes(&from) + LEN - (1 << 20));
	ck_assert_uint_gt(proc_since(&from, &to).run_ns, 0);
	free((void *)(uintptr_t)m);
}
END_TEST

/* A thread that ends takes its time with it. */
START_TEST(test_since_never_wraps)
{
	const struct proc_sample more = { .known = true, .run_ns = 10, .user_ms = 7 };
	const struct proc_sample less = { .known = true, .run_ns = 4, .user_ms = 9 };
	const struct proc_sample d = proc_since(&more, &less);

	ck_assert_uint_eq(d.run_ns, 0);
	ck_assert_uint_eq(d.user_ms, 2);
}
END_TEST

Suite *bs_suite_bsload_proc(void)
{
	Suite *s = suite_create("proc");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, test_self);
	tcase_add_test(tc, test_nobody);
	tcase_add_test(tc, test_growth);
	tcase_add_test(tc, test_since_never_wraps);
	suite_add_tcase(s, tc);
	return s;
}
