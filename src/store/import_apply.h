/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import_apply.h - the store thread's side of an import.  Internal to store/.
 */
#ifndef BS_STORE_IMPORT_APPLY_H
#define BS_STORE_IMPORT_APPLY_H

#include "store/apply.h"

/** Asked every so many rows: whether to stop and make room for another request. */
typedef bool (*bs__yield_fn)(void *arg);

/**
 * Write all rows in a->txn.  BS_OK; BS_EAGAIN: yield said so, abort and start over; BS_ECLOSED
 * cancelled; BS_EEXIST, BS_ENOSPC, BS_EIO ...: abort, res says why and which row.
 */
BS_MUSTCHECK int bs__import_apply(struct bs_import *im, struct bs__apply *a,
				  struct bs_store_result *res, bs__yield_fn yield, void *arg);
/** All rows are written, the commit begins (true), or it failed (false). */
void bs__import_committing(struct bs_import *im, bool on);

#endif
