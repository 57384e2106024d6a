/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - what a run found, as text and as JSON.
 *
 * A run has phases; each begins and ends with a reading of everything that counts, and a phase's
 * figures are the differences.  The generator judges itself by the same readings: a figure that the
 * generator limited is no figure of the server.
 *
 * Main thread.  Allocates: JSON only.
 */
#ifndef BS_TOOLS_BSLOAD_REPORT_H
#define BS_TOOLS_BSLOAD_REPORT_H

#include <stdbool.h>

#include "clients.h"
#include "devices.h"
#include "forge.h"
#include "plan.h"
#include "proc.h"

/** Readings at one moment. */
struct reading {
	uint64_t at; /**< ns */
	struct proc_sample server;
	struct proc_sample self;
	struct devices_counts devices;
	struct clients_counts clients;
	uint32_t open; /**< sessions */
	uint32_t attached;
	struct forge_counts forge;
	uint64_t packets_sent;
	uint64_t packets_received;
	/** Our own losses: send buffer full, receive buffer overrun. */
	uint64_t lost_here;
};

/** One phase. */
struct phase {
	const char *name;
	struct reading from;
	struct reading to;
	struct devices_times times;
	struct clients_times clients;
	uint64_t behind;  /**< ns: how far plan was ahead of what was done, at most */
	uint64_t silence; /**< ns: longest time without any packet of the server */
	bool reached;     /**< what the phase is for was reached */
};

/** Phases of a run, at most. */
#define PHASES_MAX 68

/** A run. */
struct report {
	const struct plan *plan;
	struct proc_sample server_before; /**< before the first device */
	unsigned n;
	struct phase phase[PHASES_MAX];
	char why[200]; /**< the last failure of a client, "" = none */
};

/** Why the phase says more about the generator than about the server, or NULL. */
const char *phase_bottleneck(const struct phase *p);
/** Bytes of the server's own memory for each device that is attached at the end; 0 = unknown. */
double report_bytes_per_device(const struct report *r);
/** The same for each session of a client that stays, counted over the phase in which they came. */
double report_bytes_per_session(const struct report *r);
/** Print for people. */
void report_print(const struct report *r, FILE *to);
/** Write as JSON to the file, "-" for standard output.  0, or -1 after a message. */
int report_json(const struct report *r, const char *path);

#endif
