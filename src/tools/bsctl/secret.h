/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h - new device secrets.
 */
#ifndef BS_TOOLS_BSCTL_SECRET_H
#define BS_TOOLS_BSCTL_SECRET_H

#include "ctl/protocol.h"

/** A random secret.  0 or a status. */
int bs_secret_make(uint8_t out[static BS_PSK_LEN], struct bs_ctl_error *e);

#endif
