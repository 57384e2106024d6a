/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - files of the user: read whole, written all or not at all.
 */
#ifndef BS_TOOLS_BSCTL_FILE_H
#define BS_TOOLS_BSCTL_FILE_H

#include <stdio.h>
#include <sys/types.h>

#include "ctl/protocol.h"

/** A file on its way: bytes go to a file beside it, which takes its name at the end. */
struct bs_file {
	FILE *f;
	char path[4096];
	char tmp[4096 + 16];
	bool replace; /**< an existing file may be replaced */
};

/**
 * Begin to write path with this mode; with replace an existing file is replaced at the end, else
 * its being there is an error, also when it appears meanwhile.  BS_OK, or a status with e filled.
 */
int bs_file_begin(struct bs_file *w, const char *path, mode_t mode, bool replace,
		  struct bs_ctl_error *e);
/** Sync and give it its name.  0 or a status; after a failure nothing is left behind. */
int bs_file_commit(struct bs_file *w, struct bs_ctl_error *e);
/** Give it up; fine after commit and on a zeroed struct. */
void bs_file_abort(struct bs_file *w);
/** All in one. */
int bs_file_write(const char *path, mode_t mode, bool replace, const void *data, size_t len,
		  struct bs_ctl_error *e);

/** A whole file of at most max bytes as terminated text ("-" is stdin); caller frees it.  NULL with
 *  e filled. */
char *bs_file_read(const char *path, size_t max, size_t *len, struct bs_ctl_error *e);
/** Fill e for a failed system call on path.  Returns the status. */
int bs_file_error(struct bs_ctl_error *e, const char *path, const char *what, int err);

#endif
