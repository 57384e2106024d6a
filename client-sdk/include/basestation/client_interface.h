/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_interface.h - query interface files: the names and types of a device's queries.
 *
 * An interface turns a query's name and its arguments, as text, into the bytes that bsc_rpc()
 * takes, and the answer's bytes into fields.  It is immutable: any thread may use it, several at
 * a time.
 */
#ifndef BS_CLIENT_INTERFACE_H
#define BS_CLIENT_INTERFACE_H

#include "basestation/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A query interface file, read and checked. */
struct bsc_interface;
/** One of its queries; belongs to the interface. */
struct bsc_query;

/** Type of a query parameter. */
enum bsc_type {
	BSC_UINT8 = 1,
	BSC_UINT16 = 2,
	BSC_UINT32 = 3,
	BSC_INT8 = 4,
	BSC_INT16 = 5,
	BSC_INT32 = 6,
	BSC_RAW = 7, /**< bytes with a length, text as a rule */
};

/** One parameter of a query, borrowed from the interface. */
struct bsc_param {
	const char *name;   /**< as in the file */
	enum bsc_type type; /**< see there */
	bool hex;           /**< representation="hex": shown and given as hexadecimal text */
};

/** One argument: text as a user types it. */
struct bsc_arg {
	const char *name; /**< parameter name */
	const char
		*value; /**< decimal or 0x number; text, or hex digits with representation="hex" */
};

/** What bsc_query_decode() tells about. */
enum bsc_field_kind {
	BSC_FIELD_NUMBER = 1,     /**< number holds the value */
	BSC_FIELD_RAW = 2,        /**< data and len hold the bytes */
	BSC_FIELD_LIST_BEGIN = 3, /**< a list of n rows begins */
	BSC_FIELD_ROW_BEGIN = 4,  /**< a row of that list begins */
	BSC_FIELD_ROW_END = 5,    /**< it ends */
	BSC_FIELD_LIST_END = 6,   /**< the list ends */
};

/** One step through an answer. */
struct bsc_field {
	enum bsc_field_kind kind; /**< see there */
	const char *name;         /**< of the parameter or list; NULL for rows */
	enum bsc_type type;       /**< of a value */
	bool hex;                 /**< raw is to be shown as hexadecimal text */
	int64_t number;           /**< value of a number */
	const uint8_t *data;      /**< [len] bytes of a raw; borrowed from the answer */
	size_t len;               /**< bytes of a raw */
	uint16_t n;               /**< rows of a list */
};

/**
 * bsc_field_fn - one step through an answer
 *
 * @arg as given
 * @f   the step; borrowed for the call
 *
 * Returns BS_OK to go on; anything else ends the decoding, which returns it.
 */
typedef int (*bsc_field_fn)(void *arg, const struct bsc_field *f);

/**
 * bsc_interface_load - read a query interface file
 *
 * @path file name
 * @out  the interface; free it with bsc_interface_free()
 * @err  filled on failure: "file:line: reason"; may be NULL
 *
 * Limits: 4 MiB, 4096 queries, 256 parameters a query, names of 128 bytes; no entity of the file's
 * own, no external reference, is ever followed.
 *
 * Returns BS_OK, or
 *   BS_ECONF  cannot be read, is no XML, or not an interface: correct the file
 *   BS_ENOMEM no memory
 *
 * Thread: any.  Allocates: yes.  Blocks: for reading the file.
 */
BS_API BS_MUSTCHECK int bsc_interface_load(const char *path, struct bsc_interface **out,
					   struct bsc_error *err);

/**
 * bsc_interface_parse - as bsc_interface_load(), from memory
 *
 * @text [len] bytes of XML; borrowed
 * @len  bytes, at most 4 MiB
 * @name stands for the file name in messages
 * @out  the interface; free it with bsc_interface_free()
 * @err  filled on failure; may be NULL
 *
 * Returns as bsc_interface_load().
 *
 * Thread: any.  Allocates: yes.  Blocks: no.
 */
BS_API BS_MUSTCHECK int bsc_interface_parse(const char *text, size_t len, const char *name,
					    struct bsc_interface **out, struct bsc_error *err);

/**
 * bsc_interface_free - give an interface back
 *
 * @i interface; taken; NULL is fine
 *
 * Thread: any, when nobody uses it or its queries any more.  Allocates: no.  Blocks: no.
 */
BS_API void bsc_interface_free(struct bsc_interface *i);

/**
 * bsc_interface_count - number of queries
 *
 * @i interface; borrowed
 *
 * Returns the number.
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 */
BS_API size_t bsc_interface_count(const struct bsc_interface *i);

/**
 * bsc_interface_get - a query by its place in the file
 *
 * @i     interface; borrowed
 * @index 0..bsc_interface_count() - 1
 *
 * Returns the query, borrowed from i; NULL when index is out of range.
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 */
BS_API const struct bsc_query *bsc_interface_get(const struct bsc_interface *i, size_t index);

/**
 * bsc_interface_find - a query by name
 *
 * @i    interface; borrowed
 * @name as in the file; the ending ".json" may be left out
 *
 * Returns the query, borrowed from i; NULL when there is none of that name.
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 */
BS_API const struct bsc_query *bsc_interface_find(const struct bsc_interface *i, const char *name);

/**
 * bsc_query_get_name - name of a query as in the file
 *
 * @q query; borrowed
 *
 * Returns a string borrowed from the interface; never NULL.
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 */
BS_API const char *bsc_query_get_name(const struct bsc_query *q);

/**
 * bsc_query_get_id - number of a query on the wire
 *
 * @q query; borrowed
 *
 * Returns the number.
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 */
BS_API uint32_t bsc_query_get_id(const struct bsc_query *q);

/**
 * bsc_query_get_param - a request parameter by its place
 *
 * @q     query; borrowed
 * @index from 0
 *
 * Returns the parameter, borrowed from the interface; NULL behind the last one.
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 */
BS_API const struct bsc_param *bsc_query_get_param(const struct bsc_query *q, size_t index);

/**
 * bsc_query_encode - make a request from name=value pairs
 *
 * @q    query; borrowed
 * @args [n] arguments in any order; borrowed; may be NULL when n is 0
 * @n    number; each parameter of the query must be given exactly once
 * @buf  [cap] bytes for the request: query id and parameters
 * @cap  bytes available
 * @len  out: bytes written
 * @err  filled on failure: names the argument and what it must be; may be NULL
 *
 * Returns BS_OK, or
 *   BS_EINVAL  an argument is missing, unknown, given twice, no number or out of range
 *   BS_ETOOBIG the request does not fit cap
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 * Source: basestation-wire(7), section QUERIES, parameter encoding.
 */
BS_API BS_MUSTCHECK int bsc_query_encode(const struct bsc_query *q, const struct bsc_arg *args,
					 size_t n, uint8_t *buf, size_t cap, size_t *len,
					 struct bsc_error *err);

/**
 * bsc_query_decode - walk through an answer
 *
 * @q    query; borrowed
 * @data [len] bytes of the answer; borrowed
 * @len  bytes; may be 0
 * @fn   called for each value, list and row in the order of the file; only when the whole answer
 *       fits the interface
 * @arg  for fn
 * @err  filled on failure; may be NULL
 *
 * Returns BS_OK, what fn returned, or
 *   BS_EPROTO  the answer is shorter or longer than the interface says: fn was not called; the
 *              file does not belong to this device
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 * Source: basestation-wire(7), section QUERIES, parameter encoding.
 */
BS_API BS_MUSTCHECK int bsc_query_decode(const struct bsc_query *q, const uint8_t *data, size_t len,
					 bsc_field_fn fn, void *arg, struct bsc_error *err);

#ifdef __cplusplus
}
#endif
#endif
