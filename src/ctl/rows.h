/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.h - devices as rows of a file: CSV or JSON lines in, CSV or JSON lines out, and the compact
 * form in which rows travel to the server.
 *
 * Columns: id, secret, state, tags, legacy, created.  A CSV file may begin with a row of column
 * names, which is known by the word "id" in it; without one the columns come in that order.  In
 * JSON lines the same names are members, tags is an array or a text.  What is written reads back
 * the same.
 *
 * Owner thread: that of the caller.  May call jansson.
 */
#ifndef BS_CTL_ROWS_H
#define BS_CTL_ROWS_H

#include "ctl/csv.h"
#include "ctl/field.h"
#include "ctl/protocol.h"
#include <jansson.h>

/** State of a device in a row. */
enum bs_row_state {
	BS_ROW_ENABLED = 1,
	BS_ROW_DISABLED = 2,
};

/** One device.  Wipe it when it held a secret. */
struct bs_row {
	uint64_t line; /**< where it begins in the file */
	char id[BS_DEVICE_ID_MAX + 1];
	bool has_secret;
	uint8_t secret[BS_PSK_LEN];
	uint8_t state;    /**< enum bs_row_state */
	bool legacy;      /**< may attach without a key */
	uint64_t created; /**< Unix seconds, 0 = not said */
	size_t n_tags;
	char tag[BS_FIELD_TAGS_MAX][BS_FIELD_TAG_MAX + 1];
};

/** Forms of a file. */
enum bs_rows_format {
	BS_ROWS_GUESS, /**< JSON lines when the first byte that is not space is a brace */
	BS_ROWS_CSV,
	BS_ROWS_JSON,
};

/** Outcome of a step. */
enum bs_rows_step {
	BS_ROWS_MORE = 0, /**< all bytes used, no row yet */
	BS_ROWS_ROW = 1,  /**< *row is set */
	BS_ROWS_BAD = 2,  /**< one bad row, told in *e; reading goes on */
	BS_ROWS_STOP = 3, /**< the file as a whole is wrong, told in *e; reading is over */
};

/** Columns of a row; the order without a header. */
enum bs_rows_column {
	BS_COL_ID,
	BS_COL_SECRET,
	BS_COL_STATE,
	BS_COL_TAGS,
	BS_COL_LEGACY,
	BS_COL_CREATED,
	BS_COL_N,
};

/** Reader. */
struct bs_rows {
	enum bs_rows_format format;
	const char *name; /**< of the file, for messages; borrowed */
	struct bs_csv csv;
	struct bs_ctl_lines lines;
	bool begun;    /**< the first record was seen */
	uint64_t line; /**< JSON: lines taken */
	size_t n_columns;
	uint8_t column[BS_CSV_FIELDS_MAX]; /**< enum bs_rows_column of each CSV field */
};

void bs_rows_init(struct bs_rows *r, enum bs_rows_format format, const char *name);
void bs_rows_fini(struct bs_rows *r);
/** Read from data until something is to be told; *used says how many bytes were taken.  Call again
 *  with the rest, or with len 0 while it says anything but BS_ROWS_MORE. */
enum bs_rows_step bs_rows_feed(struct bs_rows *r, const char *data, size_t len, size_t *used,
			       struct bs_row *row, struct bs_ctl_error *e);
/** The input has ended: what is left of it. */
enum bs_rows_step bs_rows_end(struct bs_rows *r, struct bs_row *row, struct bs_ctl_error *e);

/** A row as one array for an upload; NULL without memory. */
json_t *bs_row_to_wire(const struct bs_row *row);
/** The reverse, every field checked.  BS_OK, or BS_ECONF with e filled. */
int bs_row_from_wire(const json_t *j, struct bs_row *row, struct bs_ctl_error *e) BS_MUSTCHECK;

/** Longest text of one row in either form, with terminator. */
#define BS_ROW_TEXT_MAX 2048u
/** The first line of a CSV file. */
const char *bs_row_csv_header(bool with_secrets);
/** A row as a line with its newline into out[BS_ROW_TEXT_MAX].  Returns bytes. */
size_t bs_row_put_csv(const struct bs_row *row, bool with_secrets, char *out);
size_t bs_row_put_json(const struct bs_row *row, bool with_secrets, char *out);
/** Wipe the secret. */
void bs_row_wipe(struct bs_row *row);

#endif
