/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - a record as a line of text, logfmt or JSON.  Pure functions.
 */
#ifndef BS_LOG_FORMAT_H
#define BS_LOG_FORMAT_H

#include "log/ring.h"

/** Longest formatted line: every byte of a record can grow to six ("\u001f"). */
#define BS_LOG_LINE_MAX (6 * (BS_LOG_MESSAGE_MAX + BS_LOG_PAIRS_MAX) + 256)

/** A bounded text under construction; once full it stays full.  Always terminated. */
struct bs_log_text {
	char *buf;
	size_t cap;
	size_t len;
};

void bs__log_text_init(struct bs_log_text *t, char *buf, size_t cap);
void bs__log_text_add(struct bs_log_text *t, const char *s);
/** s with control characters and bytes above 0x7E as \xNN or the short form. */
void bs__log_text_add_escaped(struct bs_log_text *t, const char *s);

/** Store a message and its pairs; what does not fit is cut (message) or left out (pairs). */
void bs__log_record_set_pairs(struct bs_log_record *rec, const struct bs_log_pair *pairs, size_t n);

/** Step through the pairs of a record; NULL begins.  Returns NULL at the end. */
const char *bs__log_record_next_pair(const struct bs_log_record *rec, const char *at,
				     const char **key, const char **value, bool *number);

/** Format into out (cap at least BS_LOG_LINE_MAX for a whole line), without newline; with_time
 *  puts the wall clock in front.  Returns the bytes written. */
size_t bs__log_format(const struct bs_log_record *rec, enum bs_log_format format, bool with_time,
		      char *out, size_t cap);

#endif
