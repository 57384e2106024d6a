/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interface.h - a query interface in memory: what interface.c reads and query.c uses.
 * Immutable once read.
 */
#ifndef BS_CLIENT_SRC_INTERFACE_H
#define BS_CLIENT_SRC_INTERFACE_H

#include "basestation/client_interface.h"

/** Limits of a query interface file: far above any real one, far below what would hurt. */
#define BSC__INTERFACE_MAX (4u * 1024 * 1024)
#define BSC__QUERIES_MAX   4096
#define BSC__ITEMS_MAX     256
#define BSC__NAME_MAX      128

/** One parameter, or a list: its parameters follow it. */
struct bsc__item {
	struct bsc_param p;  /**< name is owned; type counts for parameters only */
	bool is_list;        /**< p.name is the list's */
	uint16_t n_children; /**< parameters of a list, which follow */
};

/** Parameters of a request or a response, in order. */
struct bsc__items {
	struct bsc__item *v;
	size_t n;
	bool given; /**< the element was there */
};

struct bsc_query {
	char *name;
	uint32_t id;
	struct bsc__items request;
	struct bsc__items response;
};

struct bsc_interface {
	struct bsc_query *queries;
	size_t n;
};

/** Parse an unsigned number, decimal or 0x.  false: not one, or above max. */
bool bsc__parse_unsigned(const char *s, uint64_t max, uint64_t *out);

#endif
