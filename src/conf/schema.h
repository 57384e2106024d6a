/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - the one table that declares every conf key.
 *
 * To add a key: a field in struct bs_conf, a row in schema.c, a paragraph in basestation.conf(5),
 * and `basestationd --dump-schema=example > conf/basestation.conf.example`; `make check` compares
 * all of them.
 */
#ifndef BS_CONF_SCHEMA_H
#define BS_CONF_SCHEMA_H

#include "conf/conf.h"

/** Type of a value; the comment names the field in struct bs_conf. */
enum bs_conf_type {
	BS_CONF_BOOL,      /**< bool: yes, no */
	BS_CONF_COUNT,     /**< uint32_t */
	BS_CONF_PORT,      /**< uint16_t */
	BS_CONF_SPAN,      /**< bs_time */
	BS_CONF_BYTES,     /**< uint64_t */
	BS_CONF_RATE,      /**< uint32_t per second */
	BS_CONF_BITRATE,   /**< uint64_t, bits per second */
	BS_CONF_NAME,      /**< const char *: user, group, host */
	BS_CONF_PATH,      /**< const char *: absolute after parsing */
	BS_CONF_ADDRESS,   /**< struct bs_endpoint, IPv4 */
	BS_CONF_ADDRESS6,  /**< struct bs_endpoint, IPv6 */
	BS_CONF_ADDRESSES, /**< struct bs_conf_addresses: a list */
	BS_CONF_ENUM,      /**< int: one of names */
	BS_CONF_FLAGS,     /**< uint32_t: any of names, a list */
};

/** A word and its number; a table ends with a NULL name. */
struct bs_conf_word {
	const char *name;
	uint32_t value;
};

/** One key. */
struct bs_conf_key {
	const char *key;
	enum bs_conf_type type;
	bool live;       /**< a reload changes it; else it waits for a restart */
	size_t offset;   /**< of the field in struct bs_conf */
	uint64_t min;    /**< counts, spans, bytes, rates, ports: least value, in base units */
	uint64_t max;    /**< greatest value */
	const char *def; /**< default as it would be written; NULL: not set */
	const struct bs_conf_word *words; /**< ENUM and FLAGS */
	const char *example;              /**< shown where there is no default */
	bool installed;                   /**< an installed service has the example in use */
	const char *help;                 /**< one sentence */
};

/** A heading in the example file, before the key of that name. */
struct bs_conf_heading {
	const char *key;
	const char *text;
};

extern const struct bs_conf_key bs_conf_schema[];
extern const size_t bs_conf_schema_n;
extern const struct bs_conf_heading bs_conf_headings[];
extern const size_t bs_conf_headings_n;

/** A key by name, or NULL. */
const struct bs_conf_key *bs_conf_schema_find(const char *key);
/** Whether the value is written as a list. */
bool bs_conf_type_is_list(enum bs_conf_type type);
/** "count", "time" ... */
const char *bs_conf_type_name(enum bs_conf_type type);
/** What may stand there, for people: "100ms to 1h", "yes or no", "debug, info ...". */
const char *bs_conf_range_text(const struct bs_conf_key *key, char *out, size_t cap);

#endif
