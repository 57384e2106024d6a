/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csv.h - comma-separated values as RFC 4180 has them, in pieces of any size.
 *
 * Taken beyond the RFC: LF alone as line end, a byte order mark, a last line without end.  Refused
 * with its line: a NUL, a quote inside an unquoted field, text after a closing quote, a record or
 * field that is too long.  A bad record is skipped to the next line end outside quotes as far as
 * that can be told; reading then goes on.
 *
 * Owner thread: that of the caller.  Allocates: no.
 */
#ifndef BS_CTL_CSV_H
#define BS_CTL_CSV_H

#include "basestation/error.h"
#include "basestation/types.h"

/** Fields of one record. */
#define BS_CSV_FIELDS_MAX 32u
/** Bytes of one record without quotes and commas, terminators counted. */
#define BS_CSV_RECORD_MAX 4096u

/** Outcome of a step. */
enum bs_csv_step {
	BS_CSV_MORE = 0,   /**< all bytes used, no record yet */
	BS_CSV_RECORD = 1, /**< n fields; valid until the next call */
	BS_CSV_BAD = 2,    /**< the record on `start` is bad for the reason in `wrong` */
};

/** Reader. */
struct bs_csv {
	char text[BS_CSV_RECORD_MAX];         /**< fields, each terminated */
	const char *field[BS_CSV_FIELDS_MAX]; /**< into text */
	size_t len[BS_CSV_FIELDS_MAX];
	size_t n;          /**< fields of the record */
	uint64_t start;    /**< line on which the record begins, from 1 */
	const char *wrong; /**< BS_CSV_BAD: why */

	size_t used;   /**< bytes of text in use */
	size_t begin;  /**< where the field in hand begins */
	uint64_t line; /**< line in hand */
	uint8_t state; /**< where in the grammar, see csv.c */
	uint8_t bom;   /**< bytes of a byte order mark seen */
	bool fresh;    /**< the next byte begins a record */
};

void bs_csv_init(struct bs_csv *c);
/** Read from data until something is to be told; *used says how many bytes were taken. */
enum bs_csv_step bs_csv_feed(struct bs_csv *c, const char *data, size_t len, size_t *used);
/** The input has ended: the record in hand, if any. */
enum bs_csv_step bs_csv_end(struct bs_csv *c);
/** A field as it has to be written, quoted where needed, into out[2 * len + 3].  Returns bytes. */
size_t bs_csv_quote(const char *s, size_t len, char *out);

#endif
