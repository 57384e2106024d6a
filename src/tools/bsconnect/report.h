/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - what bsconnect prints: JSON on standard output, words on standard error. */
#ifndef BS_BSCONNECT_REPORT_H
#define BS_BSCONNECT_REPORT_H

#include <jansson.h>

#include "basestation/client_interface.h"
#include "options.h"

/** Exit status for an error of the SDK. */
int report_status(const struct bsc_error *e);
/** The error as an object: code, number, from, text and what else there is.  NULL: no memory. */
json_t *report_error(const struct bsc_error *e);
/** Say what went wrong on standard error; its exit status. */
int report_failure(const struct bsc_error *e);
/** Print one line of JSON and give the reference back.  STATUS_OK, or STATUS_FAILED. */
int report_json(json_t *j);
/** Values of an answer as an object.  NULL with *err filled. */
json_t *report_answer(const struct bsc_query *q, const uint8_t *data, size_t len,
		      struct bsc_error *err);
/** Show or clear the line of progress, when standard error is a terminal. */
void report_progress(const struct options *o, const char *text);
/** Print text of a device or server without control characters. */
void report_text(const char *label, const char *text);

#endif
