/* SPDX-License-Identifier: Apache-2.0 */
/*
 * size.h - what a machine can hold: measure a running server with few devices and clients, and
 * reckon from the cost of each thing to the whole machine.
 *
 * Costs are CPU time of the server, so that they hold on a machine that was busy meanwhile; what
 * they do not show is memory bandwidth and caches of larger populations, which is why half of the
 * processors is left free.
 *
 * Main thread.  Allocates.
 */
#ifndef BS_TOOLS_BSLOAD_SIZE_H
#define BS_TOOLS_BSLOAD_SIZE_H

#include "plan.h"

/** What things cost; 0 = not measured. */
struct size_costs {
	double keepalive_s;
	double attach_s;
	double handshake_s;
	double device_bytes;
	double session_bytes;
};

/** What follows. */
struct size_limits {
	double devices_by_cpu;
	double devices_by_memory;
	double attaches_per_s;
	double handshakes_per_s;
	double sessions_by_memory;
};

/** Reckon for so many processors and bytes; every limit leaves some of them free. */
struct size_limits size_reckon(const struct size_costs *c, unsigned cpus, double memory_bytes,
			       double interval_s);
/** Measure, and print.  An exit status, after a message if not STATUS_OK. */
int size_run(const struct plan *plan);

#endif
