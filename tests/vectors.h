/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors.h - reader of the rows in tests/vectors, for every test program.
 *
 * A file is read whole; rows and the bytes that they hand out live until bs_vectors_free.  What a
 * test asks for and does not find ends the program with a message: a missing vector is a broken
 * tree, not a failed test.  Files come from $top_srcdir/tests/vectors, or tests/vectors when the
 * variable is not set.
 */
#ifndef BS_TESTS_VECTORS_H
#define BS_TESTS_VECTORS_H

#include "basestation/types.h"

/** Most key=value pairs of one row. */
#define BS_ROW_PAIRS_MAX 16

/** One key=value pair; the value is decoded text. */
struct bs_row_pair {
	const char *key;
	const char *text;
	const uint8_t *bytes; /**< the value as hex, NULL when it is not hex */
	size_t len;           /**< of bytes */
};

/** One row. */
struct bs_row {
	const char *word; /**< what kind of row: "scenario", "packet", "rule", ... */
	int line;
	size_t n;
	struct bs_row_pair pair[BS_ROW_PAIRS_MAX];
};

/** A file. */
struct bs_vectors {
	char *text;         /**< owns all text */
	uint8_t *bytes;     /**< owns all bytes */
	struct bs_row *row; /**< n rows */
	size_t n;
};

/** One scenario of a file: its own row and those up to the next. */
struct bs_scenario {
	const struct bs_row *head;
	const struct bs_row *row; /**< n rows after the head */
	size_t n;
};

/** Read tests/vectors/NAME. */
struct bs_vectors *bs_vectors_load(const char *name);
void bs_vectors_free(struct bs_vectors *v);

/** Text of a pair; NULL when the row has none of that key. */
const char *bs_row_text(const struct bs_row *r, const char *key);
/** Whether a pair's text is this. */
bool bs_row_is(const struct bs_row *r, const char *key, const char *text);
/** Bytes of a hex pair, which must be there. */
struct bs_slice bs_row_hex(const struct bs_row *r, const char *key);
/** Number of a decimal pair, which must be there. */
uint32_t bs_row_num(const struct bs_row *r, const char *key);

/** Iterate: start with s->head NULL; false at the end. */
bool bs_scenario_next(const struct bs_vectors *v, struct bs_scenario *s);
/** The scenario of that name, which must be there. */
struct bs_scenario bs_scenario_find(const struct bs_vectors *v, const char *name);
const char *bs_scenario_name(const struct bs_scenario *s);
/** The value row of that name, or NULL. */
const struct bs_row *bs_scenario_value(const struct bs_scenario *s, const char *name);
/** Bytes of the value of that name, which must be there. */
struct bs_slice bs_scenario_hex(const struct bs_scenario *s, const char *name);
/** Text of the value of that name, which must be there. */
const char *bs_scenario_text(const struct bs_scenario *s, const char *name);
/** Number of the value of that name, which must be there. */
uint32_t bs_scenario_num(const struct bs_scenario *s, const char *name);
/** Next packet row after prev (NULL: the first), or NULL. */
const struct bs_row *bs_scenario_packet(const struct bs_scenario *s, const struct bs_row *prev);
/** Packet number i from 0, which must be there. */
const struct bs_row *bs_scenario_packet_at(const struct bs_scenario *s, size_t i);
/** The key block that a packet row names by key= (A, C, D, session, handshake) or keyhex=; false
 *  when the rows do not have it. */
bool bs_scenario_key(const struct bs_scenario *s, const struct bs_row *packet,
		     struct bs_key_block *key);

#endif
