/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - what basestationd does once its command line is understood.
 */
#ifndef BS_DAEMON_RUN_H
#define BS_DAEMON_RUN_H

#include "daemon/options.h"

/** Do it; returns the exit status.  In daemon mode the calling process ends inside. */
enum bs_exit bs_daemon_run(const struct bs_daemon_options *o);

#endif
