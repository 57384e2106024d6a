/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret_file.h - small files that nobody else may read: pairing secrets, a connect ticket.
 *
 * A message on standard error says what is wrong with one.  Blocks for the file system.
 */
#ifndef BS_BSCONNECT_SECRET_FILE_H
#define BS_BSCONNECT_SECRET_FILE_H

#include "basestation/client.h"

/** Read up to cap bytes: their number; BS_ENOENT without a message; BS_EIO after one.  advice is
 *  what to do about a file that others may read. */
bs_ssize secret_file_load(const char *path, const char *advice, void *buf, size_t cap);
/** Replace it, durably, at once and with mode 0600.  BS_OK, or BS_EIO after a message. */
int secret_file_save(const char *path, const void *data, size_t len);
/** Say what is wrong with a file; BS_EIO. */
int secret_file_complain(const char *path, const char *what);

#endif
