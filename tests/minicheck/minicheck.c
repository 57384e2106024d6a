/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	TESTS_MAX = 64,
	CASES_MAX = 8,
	SUITES_MAX = 128
};

struct mc_case {
	const char *name;
	mc_fixture_fn set_up;
	mc_fixture_fn tear_down;
	int n;
	struct {
		const char *name;
		mc_test_fn fn;
		int from;
		int to;
	} test[TESTS_MAX];
};

struct mc_suite {
	const char *name;
	int n;
	TCase *tc[CASES_MAX];
};

struct mc_runner {
	int n;
	int ran;
	int failed;
	Suite *suite[SUITES_MAX];
};

/* Where a failed assertion goes; one test runs at a time. */
static jmp_buf leave;

static void *make(size_t len)
{
	void *p = calloc(1, len);

	if (!p)
		abort();
	return p;
}

/* A table that is too small must not drop tests in silence. */
static void must(int ok, const char *what)
{
	if (ok)
		return;
	printf("Bail out! minicheck: too many %s\n", what);
	exit(99);
}

Suite *suite_create(const char *name)
{
	Suite *s = make(sizeof(*s));

	s->name = name;
	return s;
}

TCase *tcase_create(const char *name)
{
	TCase *tc = make(sizeof(*tc));

	tc->name = name;
	return tc;
}

void suite_add_tcase(Suite *s, TCase *tc)
{
	must(s->n < CASES_MAX, "cases");
	s->tc[s->n++] = tc;
}

void mc_add(TCase *tc, const char *name, mc_test_fn fn, int from, int to)
{
	must(tc->n < TESTS_MAX, "tests");
	tc->test[tc->n].name = name;
	tc->test[tc->n].fn = fn;
	tc->test[tc->n].from = from;
	tc->test[tc->n++].to = to;
}

void tcase_add_checked_fixture(TCase *tc, mc_fixture_fn set_up, mc_fixture_fn tear_down)
{
	tc->set_up = set_up;
	tc->tear_down = tear_down;
}

void tcase_set_timeout(TCase *tc, double seconds)
{
	(void)tc;
	(void)seconds;
}

SRunner *srunner_create(Suite *s)
{
	SRunner *sr = make(sizeof(*sr));

	if (s)
		srunner_add_suite(sr, s);
	return sr;
}

void srunner_add_suite(SRunner *sr, Suite *s)
{
	must(sr->n < SUITES_MAX, "suites");
	sr->suite[sr->n++] = s;
}

void mc_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("# %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	longjmp(leave, 1);
}

static void run_one(SRunner *sr, const char *suite, const TCase *tc, int t, int i)
{
	/* volatile: changed between setjmp and longjmp. */
	volatile int ok = 0;

	if (!setjmp(leave)) {
		if (tc->set_up)
			tc->set_up();
		tc->test[t].fn(i);
		ok = 1;
	}
	if (!setjmp(leave) && tc->tear_down)
		tc->tear_down();
	sr->ran++;
	sr->failed += !ok;
	printf("%sok %d - %s:%s:%d\n", ok ? "" : "not ", sr->ran, suite, tc->test[t].name, i);
	fflush(stdout);
}

void srunner_run_all(SRunner *sr, enum print_output mode)
{
	int s;
	int c;
	int t;
	int i;

	(void)mode;
	for (s = 0; s < sr->n; s++) {
		for (c = 0; c < sr->suite[s]->n; c++) {
			const TCase *tc = sr->suite[s]->tc[c];

			for (t = 0; t < tc->n; t++)
				for (i = tc->test[t].from; i < tc->test[t].to; i++)
					run_one(sr, sr->suite[s]->name, tc, t, i);
		}
	}
	printf("1..%d\n", sr->ran);
}

int srunner_ntests_failed(SRunner *sr)
{
	return sr->failed;
}

void srunner_free(SRunner *sr)
{
	int s;
	int c;

	for (s = 0; s < sr->n; s++) {
		for (c = 0; c < sr->suite[s]->n; c++)
			free(sr->suite[s]->tc[c]);
		free(sr->suite[s]);
	}
	free(sr);
}
