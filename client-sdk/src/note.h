/* SPDX-License-Identifier: Apache-2.0 */
/*
 * note.h - the client's half of "why is it relayed?": lines for people about one attempt, under the
 * number that server and device log as well.
 *
 * Nothing is composed where nobody listens.  Owner: the session's thread.  Allocates: no.
 */
#ifndef BS_CLIENT_SRC_NOTE_H
#define BS_CLIENT_SRC_NOTE_H

#include "machine.h"

/** One line: "attempt ID +MS ms: ..." and the text. */
void bsc__note(const struct bsc_conn *c, bs_time now, const char *fmt, ...) BS_PRINTF(3, 4);
/** What the basestation told about the device, our NAT and the relays. */
void bsc__note_answer(const struct bsc_conn *c, const struct bs_gate_connect_answer *a,
		      bs_time now);
/** The path in use, or that there is none. */
void bsc__note_path(const struct bsc_conn *c, bs_time now);

#endif
