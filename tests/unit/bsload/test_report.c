/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "suites.h"
#include "tools/bsload/report.h"

#define SECOND UINT64_C(1000000000)

static struct report *r;
static struct phase *p;

static void setup(void)
{
	static const struct plan plan = { .name = "steady", .devices = 10 };

	r = calloc(1, sizeof(*r));
	ck_assert_ptr_nonnull(r);
	r->plan = &plan;
	r->n = 1;
	r->server_before = (struct proc_sample){ .known = true, .rss_anon_kb = 1000 };
	p = &r->phase[0];
	p->name = "hold";
	p->reached = true;
	p->from.self.known = p->to.self.known = true;
	p->to.server = (struct proc_sample){
		.known = true, .rss_anon_kb = 2500, .rss_shmem_kb = 500, .rss_file_kb = 90000
	};
	p->to.at = 10 * SECOND;
	p->to.attached = 1000;
	p->to.self.run_ns = 5 * SECOND;
}

static void teardown(void)
{
	free(r);
}

/* Whoever reads a figure must be told when it is the generator's. */
START_TEST(test_bottleneck)
{
	ck_assert_ptr_null(phase_bottleneck(p));
	p->to.self.run_ns = 10 * SECOND;
	ck_assert_ptr_nonnull(phase_bottleneck(p));
	p->to.self.run_ns = 5 * SECOND;
	p->to.self.wait_ns = 2 * SECOND;
	ck_assert_ptr_nonnull(phase_bottleneck(p));
	p->to.self.wait_ns = 0;
	p->behind = SECOND;
	ck_assert_ptr_nonnull(phase_bottleneck(p));
	p->behind = 0;
	p->to.lost_here = 1;
	ck_assert_ptr_nonnull(phase_bottleneck(p));
}
END_TEST

/* Files are not the server's own memory. */
START_TEST(test_bytes_per_device)
{
	ck_assert_double_eq(report_bytes_per_device(r), 2000 * 1024 / 1000.0);
	p->to.attached = 0;
	ck_assert_double_eq(report_bytes_per_device(r), 0);
	p->to.attached = 1000;
	r->server_before.known = false;
	ck_assert_double_eq(report_bytes_per_device(r), 0);
}
END_TEST

START_TEST(test_text)
{
	static char text[8192];
	FILE *f = tmpfile();
	size_t n;

	ck_assert_ptr_nonnull(f);
	p->behind = SECOND;
	p->reached = false;
	histogram_add(&p->times.poll, 1000000);
	p->to.devices.requests = 77;
	report_print(r, f);
	rewind(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "BOTTLENECK"));
	ck_assert_ptr_nonnull(strstr(text, "NOT REACHED"));
	ck_assert_ptr_nonnull(strstr(text, " 77 "));
	ck_assert_ptr_nonnull(strstr(text, "poll"));
	ck_assert_ptr_nonnull(strstr(text, "2048.0 bytes"));
}
END_TEST

START_TEST(test_json_nowhere)
{
	ck_assert_int_ne(report_json(r, "/nonexistent/report.json"), 0);
}
END_TEST

Suite *bs_suite_bsload_report(void)
{
	Suite *s = suite_create("report");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_bottleneck);
	tcase_add_test(tc, test_bytes_per_device);
	tcase_add_test(tc, test_text);
	tcase_add_test(tc, test_json_nowhere);
	suite_add_tcase(s, tc);
	return s;
}
