/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import.h - staging of a bulk import of devices.
 *
 * Rows are checked and sealed one by one as they arrive and kept in memory in the form in which
 * they will be stored; plain secrets are not kept.  Nothing touches the database before
 * BS_STORE_IMPORT (writer.h) applies all rows in one transaction: all of them, or none.  Memory is
 * about 85 bytes and the id for each row, plus its tags (135 bytes measured with ids of 29
 * characters and two tags).
 *
 * Owner thread: whoever holds it; it may be filled in one thread (main) and is then taken by the
 * store thread with the request.  progress may be read from any thread.
 */
#ifndef BS_STORE_IMPORT_H
#define BS_STORE_IMPORT_H

#include "store/registry.h"

struct bs_import;

/** What to do with a device that is there already. */
enum bs_import_mode {
	BS_IMPORT_NEW = 0,     /**< that is an error: nothing is imported */
	BS_IMPORT_SKIP = 1,    /**< keep the old record */
	BS_IMPORT_REPLACE = 2, /**< take secret, state, flags and tags of the row; number stays */
};

/** One row; id, secret and tags are borrowed for the call. */
struct bs_import_row {
	uint64_t row;                /**< line number, for messages */
	struct bs_slice id;          /**< any case */
	const uint8_t *secret;       /**< [16], NULL only with BS_DEVICE_LEGACY */
	uint8_t state;               /**< enum bs_record_state, 0 = enabled */
	uint8_t flags;               /**< enum bs_device_flag */
	uint64_t created;            /**< Unix seconds, 0 = now */
	const struct bs_names *tags; /**< NULL = none */
};

/** How far it is. */
struct bs_import_progress {
	uint64_t staged;  /**< rows taken so far */
	uint64_t applied; /**< rows written in the running transaction; starts over with it */
	bool committing;  /**< all rows written, pages go to the disk */
};

/** An empty import.  max_rows bounds its memory.  BS_OK, BS_ENOMEM, BS_ECRYPTO, BS_EINVAL. */
BS_MUSTCHECK int bs_import_new(struct bs_registry *reg, enum bs_import_mode mode, uint64_t max_rows,
			       struct bs_import **out);
/** Drop it, wiped; NULL is fine.  Not after a request took it. */
void bs_import_free(struct bs_import *im);
/**
 * Add a row.  BS_OK; BS_EINVAL with *err naming the field (go on to find more bad rows, but do not
 * apply); BS_EFULL max_rows; BS_ENOMEM; BS_ECRYPTO; BS_ERANDOM.
 */
BS_MUSTCHECK int bs_import_add(struct bs_import *im, const struct bs_import_row *row,
			       struct bs_errtext *err);
/** Called for each pair of rows with the same id. */
typedef void (*bs_import_repeat_fn)(void *arg, const char *id, uint64_t first, uint64_t second);
/**
 * Sort the rows and report ids that occur twice within the import (max_reports at most).  Apply
 * does it too; ask early to report with row numbers before anything waits.  Returns the number of
 * repeats.
 */
uint64_t bs_import_repeats(struct bs_import *im, bs_import_repeat_fn fn, void *arg,
			   uint64_t max_reports);
/** Ask a running application to stop: it answers BS_ECLOSED and nothing is stored.  Any thread;
 *  the import must still exist, so keep a reference (bs_import_ref) when a request took it. */
void bs_import_cancel(struct bs_import *im);
/** How far it is.  Any thread. */
struct bs_import_progress bs_import_progress_get(const struct bs_import *im);
/** One more holder; bs_import_free drops one.  Any thread. */
struct bs_import *bs_import_ref(struct bs_import *im);

#endif
