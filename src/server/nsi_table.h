/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nsi_table.h - the one table of session numbers of a worker: attachments, pending attaches,
 * connections and probes, told apart by kind.  A table of util/numbers.h whose numbers are made
 * here.
 *
 * Owner: one worker.  Allocates: at init only.
 */
#ifndef BS_SERVER_NSI_TABLE_H
#define BS_SERVER_NSI_TABLE_H

#include "util/numbers.h"

enum bs_nsi_kind {
	BS_NSI_NONE = 0, /**< not in the table */
	BS_NSI_DEVICE = 1,
	BS_NSI_PENDING = 2,
	BS_NSI_CONN = 3,
	BS_NSI_PROBE = 4,
};

/** Largest index that an entry can hold. */
#define BS_NSI_INDEX_MAX ((UINT32_C(1) << 29) - 1)
/** Lowest number that is ever made. */
#define BS_NSI_MIN (UINT32_C(1) << 20)

struct bs_nsi_table {
	struct bs_numbers numbers; /**< value: kind in the top 3 bits, index below */
};

/** Room for n entries.  BS_OK, BS_EINVAL or BS_ENOMEM. */
BS_MUSTCHECK int bs_nsi_table_init(struct bs_nsi_table *t, uint32_t n);
/** NULL and zeroed tables are fine. */
void bs_nsi_table_fini(struct bs_nsi_table *t);
/** Kind and *index of a number, or BS_NSI_NONE. */
enum bs_nsi_kind bs_nsi_table_get(const struct bs_nsi_table *t, uint32_t nsi, uint32_t *index);
/** A lookup of this number comes soon. */
void bs_nsi_table_prefetch(const struct bs_nsi_table *t, uint32_t nsi);
/** Enter; a number that is there is BS_EEXIST, 0 is BS_EINVAL, a full table BS_EFULL. */
BS_MUSTCHECK int bs_nsi_table_put(struct bs_nsi_table *t, uint32_t nsi, enum bs_nsi_kind kind,
				  uint32_t index);
/** Change kind and index of a number that is there (a pending one becomes a device). */
void bs_nsi_table_change(struct bs_nsi_table *t, uint32_t nsi, enum bs_nsi_kind kind,
			 uint32_t index);
/** Remove; nothing when it is not there. */
void bs_nsi_table_remove(struct bs_nsi_table *t, uint32_t nsi);
/** Bytes in use. */
size_t bs_nsi_table_bytes(const struct bs_nsi_table *t);

/**
 * A candidate number from 32 random bits: the top 8 bits name the worker (a random one of the
 * values that are it modulo n_workers), the rest is as it came.  0 when it is below BS_NSI_MIN.
 */
uint32_t bs_nsi_make(uint32_t random, unsigned worker, unsigned n_workers);

#endif
