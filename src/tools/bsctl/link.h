/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - bsctl's end of the control socket, and the one of a daemon of its own (--offline).
 */
#ifndef BS_TOOLS_BSCTL_LINK_H
#define BS_TOOLS_BSCTL_LINK_H

#include <jansson.h>

#include "ctl/protocol.h"

struct bs_link;

/** Where to connect to. */
struct bs_link_options {
	const char *socket;  /**< path, or NULL: from conf */
	const char *conf;    /**< file, or NULL: the installed one, if it is there */
	bool offline;        /**< start a daemon for this database instead */
	unsigned timeout_ms; /**< longest silence before giving up; 0 = none */
};

/** Called for each item or progress record; value is borrowed. */
typedef void (*bs_link_fn)(void *arg, enum bs_ctl_kind kind, const json_t *value);

/** Connect.  NULL with e filled. */
struct bs_link *bs_link_open(const struct bs_link_options *o, struct bs_ctl_error *e);
/** Close; ends the daemon of an offline link and waits for it.  NULL is fine. */
void bs_link_close(struct bs_link *l);

/**
 * One command, with all its pages.  args is taken (may be NULL); *result gets the last page's
 * result (caller decrefs; may be NULL when result is NULL).  limit bounds the items, 0 = all.
 * Returns a status; e is filled where it is not 0.
 */
int bs_link_call(struct bs_link *l, const char *command, json_t *args, uint64_t limit,
		 bs_link_fn fn, void *arg, json_t **result, struct bs_ctl_error *e);

/** An upload: begin, rows (taken) any number of times, end.  Each returns a status; after anything
 *  but 0 the upload is over. */
int bs_link_upload_begin(struct bs_link *l, const char *command, json_t *args, bs_link_fn fn,
			 void *arg, struct bs_ctl_error *e);
int bs_link_upload_rows(struct bs_link *l, json_t *rows, bs_link_fn fn, void *arg,
			struct bs_ctl_error *e);
int bs_link_upload_end(struct bs_link *l, bool abort, bs_link_fn fn, void *arg, json_t **result,
		       struct bs_ctl_error *e);

#endif
