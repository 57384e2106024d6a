/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - filling struct bsc_error.
 *
 * This folder is the client without I/O: the session's state machine over bytes, its timers, the
 * query interface and the words for results.  It calls the core, the C library's heap and string
 * functions and expat; no socket, no clock, no file.  Thread: the session's.
 */
#ifndef BS_CLIENT_SRC_ERROR_H
#define BS_CLIENT_SRC_ERROR_H

#include "basestation/client.h"

/**
 * Fill *e (NULL is fine) and return err.  The text is cut to fit; what is not printable UTF-8
 * becomes "?", since parts of it may come from a peer.
 */
int bsc__fail(struct bsc_error *e, int err, enum bsc_source source, uint32_t code, const char *fmt,
	      ...) BS_PRINTF(5, 6);
/** As bsc__fail for what a basestation or device refused with; text is the peer's, may be empty. */
int bsc__fail_status(struct bsc_error *e, enum bsc_source source, uint16_t status,
		     struct bs_slice text);
/** Out of memory, in words. */
int bsc__fail_nomem(struct bsc_error *e);
/** Make len bytes printable in place: control characters and broken UTF-8 become "?". */
void bsc__printable(char *text, size_t len);

#endif
