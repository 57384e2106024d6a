/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink.h - where lines end: stderr, syslog or the journal.
 *
 * Used by whoever holds the log's lock.  A datagram that the other end does not take is counted
 * and lost: the log never waits for its reader, stderr excepted, where the log thread waits.
 */
#ifndef BS_LOG_SINK_H
#define BS_LOG_SINK_H

#include "log/ring.h"

/** Zeroed = stderr without prefixes. */
struct bs_log_sink {
	enum bs_log_target target; /**< never BS_LOG_TO_AUTO after open */
	enum bs_log_format format;
	bool prefix; /**< <N> before each line on stderr, no time: the journal adds its own */
	int fd;      /**< datagram socket, or -1 */
	char ident[32];
	char path[108];
};

/** Resolve the target and connect; a socket that is not there falls back to stderr. */
void bs__log_sink_open(struct bs_log_sink *s, const struct bs_log_options *o);
void bs__log_sink_close(struct bs_log_sink *s);
/** Format and write one record; BS_OK, or BS_EIO when it is lost. */
int bs__log_sink_write(struct bs_log_sink *s, const struct bs_log_record *rec) BS_MUSTCHECK;

#endif
