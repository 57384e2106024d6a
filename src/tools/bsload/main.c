/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bsload - simulate devices and clients, and say what the server made of them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ids.h"
#include "plan.h"
#include "report.h"
#include "run.h"
#include "size.h"

static int print_ids(const struct plan *p)
{
	const struct ids ids = { p->prefix, p->domain, (uint32_t)p->first, (uint64_t)p->seed };

	if (!ids_ok(&ids, (uint32_t)p->devices)) {
		(void)fprintf(stderr, "bsload: --prefix, --domain: ids have 40 characters of a-z, "
				      "0-9, - and . at most\n");
		return STATUS_USAGE;
	}
	if (ids_print(&ids, (uint32_t)p->devices, stdout) == 0)
		return STATUS_OK;
	(void)fprintf(stderr, "bsload: standard output: %s\n", strerror(errno));
	return STATUS_FAILED;
}

static int carry_out(const struct plan *p)
{
	struct report *r = calloc(1, sizeof(*r));
	int status;

	if (!r) {
		(void)fprintf(stderr, "bsload: no memory\n");
		return STATUS_FAILED;
	}
	status = run_plan(p, r);
	if (r->n > 0)
		report_print(r, p->json && strcmp(p->json, "-") == 0 ? stderr : stdout);
	if (r->n > 0 && p->json && report_json(r, p->json) != 0)
		status = STATUS_FAILED;
	free(r);
	return status;
}

int main(int argc, char **argv)
{
	struct plan p;
	int status = plan_read(&p, argc, argv);

	if (status != STATUS_OK)
		return status < 0 ? STATUS_OK : status;
	if (strcmp(p.name, "ids") == 0)
		return print_ids(&p);
	if (strcmp(p.name, "size") == 0)
		return size_run(&p);
	return carry_out(&p);
}
