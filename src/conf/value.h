/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.h - one value of a snapshot under construction: from text, to text, cleared.
 */
#ifndef BS_CONF_VALUE_H
#define BS_CONF_VALUE_H

#include "conf/schema.h"

/** Longest text of a value, with its terminator. */
#define BS_CONF_VALUE_MAX 1024

/**
 * Set a value from text; a list gets one element more.  Relative paths begin at dir.
 *
 * Returns BS_OK, BS_ENOMEM, or BS_ECONF with why[cap] as the end of a sentence about the text; the
 * value is then as before.
 */
int bs_conf_value_set(struct bs_conf *conf, const struct bs_conf_key *key, const char *text,
		      const char *dir, char *why, size_t cap) BS_MUSTCHECK;
/** Back to "not set", or to an empty list. */
void bs_conf_value_clear(struct bs_conf *conf, const struct bs_conf_key *key);
/** Set to the default; the schema's defaults are valid (tested), so only BS_ENOMEM is left. */
int bs_conf_value_default(struct bs_conf *conf, const struct bs_conf_key *key) BS_MUSTCHECK;

/** Whether there is a value: false for a name, path or address that is not set. */
bool bs_conf_value_is_set(const struct bs_conf *conf, const struct bs_conf_key *key);
/** How many elements the value has: 1, or the length of the list. */
size_t bs_conf_value_n(const struct bs_conf *conf, const struct bs_conf_key *key);
/** Element i as text; "" when it is not set. */
void bs_conf_value_text(const struct bs_conf *conf, const struct bs_conf_key *key, size_t i,
			char out[static BS_CONF_VALUE_MAX]);

#endif
