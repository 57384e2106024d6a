/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errtext.h - filling a struct bs_errtext.  Internal to store/.
 */
#ifndef BS_STORE_ERRTEXT_H
#define BS_STORE_ERRTEXT_H

#include "store/registry.h"

/** Write the message; nothing when err is NULL; cut at its end. */
void bs__errtext(struct bs_errtext *err, const char *format, ...) BS_PRINTF(2, 3);
/** The code for an errno. */
int bs__errno_code(int errnum);
/** "path: what: reason; remedy" for an errno.  Returns the code for it. */
int bs__errno_text(struct bs_errtext *err, int errnum, const char *path, const char *what);

#endif
