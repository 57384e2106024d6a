/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - what is behind a reader.  Internal to store/.
 */
#ifndef BS_STORE_READER_H
#define BS_STORE_READER_H

#include "store/env.h"

struct bs_registry_reader {
	struct bs_registry *reg;
	MDB_txn *txn;                   /**< reset between snapshots; keeps its slot */
	MDB_cursor *cursor[BS__TABLES]; /**< made once, renewed for use: no malloc later */
	struct bs_seal *seal;
	unsigned depth; /**< begins without an end */
};

/** A cursor of this snapshot.  BS_OK or BS_EIO. */
BS_MUSTCHECK int bs__reader_cursor(struct bs_registry_reader *r, enum bs__table t,
				   MDB_cursor **out);
/** Get from a table in the reader's snapshot.  BS_OK, BS_ENOENT, BS_EIO ... */
BS_MUSTCHECK int bs__reader_get(struct bs_registry_reader *r, enum bs__table t,
				const struct bs__key *k, struct bs_slice *out);
/** Open the secrets of a record into a device.  BS_OK, or BS_ECORRUPT with the device wiped. */
BS_MUSTCHECK int bs__device_unseal(struct bs_seal *seal, const struct bs__device_record *rec,
				   struct bs_device *d);

/** Takes one record of a list into element i of the caller's array: 1 taken, 0 passed over, or
 *  BS_ECORRUPT. */
typedef int (*bs__take_fn)(struct bs_registry_reader *r, void *arg, struct bs_slice key,
			   struct bs_slice value, size_t i);

/** A walk over a table for a list call. */
struct bs__walk {
	enum bs__table table;
	struct bs_slice prefix; /**< keys that start so; must outlive the call */
	bs__take_fn take;
	void *arg;
};

/** One page of a list: see bs_registry_device_list. */
BS_MUSTCHECK bs_ssize bs__walk_page(struct bs_registry_reader *r, const struct bs__walk *w,
				    struct bs_list_pos *pos, size_t cap, bool *end);

#endif
