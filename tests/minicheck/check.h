/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - stand-in for the Check library on machines that do not have it (qemu-user): the part of
 * its interface that the core's tests use.  Tests run one after the other in one process; a failed
 * assertion leaves its test by longjmp.  Output is TAP.
 */
#ifndef BS_MINICHECK_H
#define BS_MINICHECK_H

#include <stdint.h>
#include <string.h>

typedef void (*mc_test_fn)(int _i);
typedef void (*mc_fixture_fn)(void);
typedef struct mc_case TCase;
typedef struct mc_suite Suite;
typedef struct mc_runner SRunner;

enum print_output {
	CK_ENV
};

#define START_TEST(name) static void name(int _i __attribute__((unused)))
#define END_TEST

Suite *suite_create(const char *name);
TCase *tcase_create(const char *name);
void suite_add_tcase(Suite *s, TCase *tc);
void mc_add(TCase *tc, const char *name, mc_test_fn fn, int from, int to);
void tcase_add_checked_fixture(TCase *tc, mc_fixture_fn set_up, mc_fixture_fn tear_down);
void tcase_set_timeout(TCase *tc, double seconds);
SRunner *srunner_create(Suite *s);
void srunner_add_suite(SRunner *sr, Suite *s);
void srunner_run_all(SRunner *sr, enum print_output mode);
int srunner_ntests_failed(SRunner *sr);
void srunner_free(SRunner *sr);

#define tcase_add_test(tc, fn)                mc_add(tc, #fn, fn, 0, 1)
#define tcase_add_loop_test(tc, fn, from, to) mc_add(tc, #fn, fn, (int)(from), (int)(to))

__attribute__((noreturn, format(printf, 3, 4))) void mc_fail(const char *file, int line,
							     const char *fmt, ...);

#define ck_abort_msg(...) mc_fail(__FILE__, __LINE__, __VA_ARGS__)
#define ck_assert_msg(cond, ...)                                                                   \
 do {                                                                                              \
  if (!(cond))                                                                                     \
   mc_fail(__FILE__, __LINE__, __VA_ARGS__);                                                       \
 } while (0)
#define ck_assert(cond) ck_assert_msg(cond, "%s", #cond)

#define mc_int(a, op, b)                                                                           \
 do {                                                                                              \
  intmax_t mc_a = (a);                                                                             \
  intmax_t mc_b = (b);                                                                             \
  ck_assert_msg(mc_a op mc_b, "%s %s %s: %ld, %ld", #a, #op, #b, (long)mc_a, (long)mc_b);          \
 } while (0)
#define mc_uint(a, op, b)                                                                          \
 do {                                                                                              \
  uintmax_t mc_a = (a);                                                                            \
  uintmax_t mc_b = (b);                                                                            \
  ck_assert_msg(mc_a op mc_b, "%s %s %s: %lu, %lu", #a, #op, #b, (unsigned long)mc_a,              \
		(unsigned long)mc_b);                                                              \
 } while (0)
#define ck_assert_int_eq(a, b)    mc_int(a, ==, b)
#define ck_assert_int_ne(a, b)    mc_int(a, !=, b)
#define ck_assert_int_lt(a, b)    mc_int(a, <, b)
#define ck_assert_int_le(a, b)    mc_int(a, <=, b)
#define ck_assert_int_gt(a, b)    mc_int(a, >, b)
#define ck_assert_int_ge(a, b)    mc_int(a, >=, b)
#define ck_assert_uint_eq(a, b)   mc_uint(a, ==, b)
#define ck_assert_uint_ne(a, b)   mc_uint(a, !=, b)
#define ck_assert_uint_lt(a, b)   mc_uint(a, <, b)
#define ck_assert_uint_le(a, b)   mc_uint(a, <=, b)
#define ck_assert_uint_gt(a, b)   mc_uint(a, >, b)
#define ck_assert_uint_ge(a, b)   mc_uint(a, >=, b)
#define ck_assert_ptr_eq(a, b)    ck_assert((const void *)(a) == (const void *)(b))
#define ck_assert_ptr_ne(a, b)    ck_assert((const void *)(a) != (const void *)(b))
#define ck_assert_ptr_null(a)     ck_assert((const void *)(a) == NULL)
#define ck_assert_ptr_nonnull(a)  ck_assert((const void *)(a) != NULL)
#define ck_assert_str_eq(a, b)    ck_assert(strcmp(a, b) == 0)
#define ck_assert_str_ne(a, b)    ck_assert(strcmp(a, b) != 0)
#define ck_assert_mem_eq(a, b, n) ck_assert((n) == 0 || memcmp(a, b, n) == 0)
#define ck_assert_mem_ne(a, b, n) ck_assert(memcmp(a, b, n) != 0)

#endif
