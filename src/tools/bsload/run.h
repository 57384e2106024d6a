/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - carry a plan out: the event loop of the generator and the phases of a run.
 *
 * One thread does everything.  Allocates: before the first phase.
 */
#ifndef BS_TOOLS_BSLOAD_RUN_H
#define BS_TOOLS_BSLOAD_RUN_H

#include "plan.h"
#include "report.h"

/** Do what the plan says and fill the report.  An exit status, after a message if not STATUS_OK. */
int run_plan(const struct plan *plan, struct report *report);

#endif
