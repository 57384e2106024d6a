/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pairings.h - the pairing secrets of this user: one file a device, readable by nobody else.
 *
 * A file has two lines, "id HEX" and "secret HEX".
 */
#ifndef BS_BSCONNECT_PAIRINGS_H
#define BS_BSCONNECT_PAIRINGS_H

#include "basestation/client_local.h"

/** Read the secret of a device.  BS_OK, BS_ENOENT, or another error after a message. */
int pairings_load(const char *folder, const char *device, uint8_t *id, uint8_t *secret);
/** Keep a new one, durably, with mode 0600; the folder is made when it is not there.  BS_OK, or an
 *  error after a message. */
int pairings_save(const char *folder, const char *device, const struct bsc_pairing *p);
/** Whether files can be written there: better known before the device is asked. */
int pairings_check(const char *folder);

#endif
