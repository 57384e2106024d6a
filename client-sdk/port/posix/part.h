/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part.h - something that runs in the steps of a session beside the session itself.
 *
 * session.c knows parts by this struct only.
 */
#ifndef BS_CLIENT_POSIX_PART_H
#define BS_CLIENT_POSIX_PART_H

#include "session.h"

/** A part; embed it. */
struct bsc__part {
	struct bsc__part *next;
	/** Do what is ready and what is due.  Callbacks of the caller run in here. */
	void (*step)(struct bsc__part *part, bs_time now);
	/** Whether there is a deadline; *at is it.  In the past: there is more to do at once. */
	bool (*next_timeout)(const struct bsc__part *part, bs_time *at);
};

/** The poller that all parts of a session share, made for the first one.  NULL: no descriptor. */
struct bs_poller *bsc__session_poller(struct bsc_session *s);
/** Run a part from now on. */
void bsc__session_attach(struct bsc_session *s, struct bsc__part *part);
/** Stop running it; never inside a step. */
void bsc__session_detach(struct bsc_session *s, struct bsc__part *part);

#endif
