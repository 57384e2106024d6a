/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - the word to systemd: sd_notify(3)'s protocol, one datagram to $NOTIFY_SOCKET.
 */
#ifndef BS_DAEMON_NOTIFY_H
#define BS_DAEMON_NOTIFY_H

#include "basestation/error.h"
#include "basestation/types.h"

/**
 * Send a state ("READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=...").  BS_OK, also when
 * nobody waits for it; BS_EIO when it could not be sent.
 */
int bs_notify(const char *state) BS_MUSTCHECK;

#endif
