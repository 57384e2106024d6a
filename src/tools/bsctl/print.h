/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print.h - answers as people and as scripts read them.
 *
 * With --json: one object a line, items first, then the result where there is one.  Without: lists
 * as tables, objects as "name: value".  Control characters never reach the terminal.
 */
#ifndef BS_TOOLS_BSCTL_PRINT_H
#define BS_TOOLS_BSCTL_PRINT_H

#include <jansson.h>

#include "ctl/protocol.h"

/** Rows of a table that are held back to find the widths of its columns. */
#define BS_PRINT_ROWS 200

/** A list on its way out. */
struct bs_print {
	const char *command;
	bool json;
	const struct bs_print_column *columns; /**< NULL: no table for this command */
	json_t *held[BS_PRINT_ROWS];
	unsigned n_held;
	unsigned width[12];
	bool flowing; /**< the widths are fixed */
};

void bs_print_init(struct bs_print *p, const char *command, bool json);
/** One item; borrowed. */
void bs_print_item(struct bs_print *p, const json_t *item);
/** The end of the list, and the result, which may be NULL or empty. */
void bs_print_end(struct bs_print *p, const json_t *result);
/** The error, on stderr. */
void bs_print_error(const struct bs_ctl_error *e, bool json);

/** A progress bar on stderr; only when that is a terminal and not quiet. */
struct bs_progress {
	bool on;
	const char *what;
	uint64_t last_ms;
	bool shown;
};
void bs_progress_init(struct bs_progress *p, const char *what, bool quiet);
/** total 0 = not known. */
void bs_progress_show(struct bs_progress *p, uint64_t done, uint64_t total);
/** Take the bar away. */
void bs_progress_end(struct bs_progress *p);

#endif
