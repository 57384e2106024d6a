/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.h - what each request does inside a write transaction.  Internal to store/; the store
 * thread's own.
 *
 * Requests are checked first (bs__request_check, in the requester's thread), so that the functions
 * here meet only well-formed ones.  A function that fails may have written: its caller aborts the
 * nested transaction.
 */
#ifndef BS_STORE_APPLY_H
#define BS_STORE_APPLY_H

#include "store/env.h"
#include "store/writer.h"

/** Changes that one transaction reports one by one; above it BS_CHANGE_MANY stands for all. */
#define BS__CHANGES_MAX 256

/** A write transaction under way. */
struct bs__apply {
	struct bs_registry *reg;
	MDB_txn *txn; /**< the innermost one */
	struct bs_seal *seal;
	uint64_t now;             /**< Unix seconds */
	bool touched[BS__EPOCHS]; /**< epochs that the commit raises */
	bool many;                /**< more changes than fit */
	size_t n_changes;
	struct bs_store_change change[BS__CHANGES_MAX];
};

/** Whether a request is well formed; folds what has a case.  BS_OK, or BS_EINVAL with *err. */
BS_MUSTCHECK int bs__request_check(struct bs_store_request *req, struct bs_errtext *err);
/** Do it.  BS_OK, or the status for the answer with res->err filled. */
BS_MUSTCHECK int bs__apply(struct bs__apply *a, const struct bs_store_request *req,
			   struct bs_store_result *res);
/** Write the epochs that were touched.  BS_OK, BS_ENOSPC, BS_EIO. */
BS_MUSTCHECK int bs__apply_epochs(struct bs__apply *a);

/** The next change of the feed, zeroed; a spare one when there are too many. */
struct bs_store_change *bs__change(struct bs__apply *a, enum bs_store_change_kind kind,
				   enum bs__epoch epoch);
/** Take a number from a counter of the meta table and raise it. */
BS_MUSTCHECK int bs__apply_number(struct bs__apply *a, const char *counter, uint32_t *out);
/** BS_ENOSPC when live pages are above the limit for records. */
BS_MUSTCHECK int bs__apply_room(const struct bs__apply *a, struct bs_errtext *err);
/** The code for a result of LMDB, with text. */
int bs__apply_error(const struct bs__apply *a, struct bs_errtext *err, int lmdb);
/** Add or remove the tag index entries of a device.  0 or an LMDB result. */
int bs__apply_tag_index(struct bs__apply *a, const char *id, size_t id_len,
			const struct bs_names *tags, bool add);

/** One operation. */
typedef int (*bs__apply_fn)(struct bs__apply *a, const struct bs_store_request *req,
			    struct bs_store_result *res);

int bs__apply_device_add(struct bs__apply *a, const struct bs_store_request *req,
			 struct bs_store_result *res);
int bs__apply_device_delete(struct bs__apply *a, const struct bs_store_request *req,
			    struct bs_store_result *res);
int bs__apply_device_state(struct bs__apply *a, const struct bs_store_request *req,
			   struct bs_store_result *res);
int bs__apply_device_legacy(struct bs__apply *a, const struct bs_store_request *req,
			    struct bs_store_result *res);
int bs__apply_device_tags(struct bs__apply *a, const struct bs_store_request *req,
			  struct bs_store_result *res);
int bs__apply_device_rotate(struct bs__apply *a, const struct bs_store_request *req,
			    struct bs_store_result *res);
int bs__apply_device_rotate_done(struct bs__apply *a, const struct bs_store_request *req,
				 struct bs_store_result *res);
int bs__apply_device_rotate_undo(struct bs__apply *a, const struct bs_store_request *req,
				 struct bs_store_result *res);
int bs__apply_seen(struct bs__apply *a, const struct bs_store_request *req,
		   struct bs_store_result *res);
int bs__apply_volume(struct bs__apply *a, const struct bs_store_request *req,
		     struct bs_store_result *res);
int bs__apply_client_add(struct bs__apply *a, const struct bs_store_request *req,
			 struct bs_store_result *res);
int bs__apply_client_update(struct bs__apply *a, const struct bs_store_request *req,
			    struct bs_store_result *res);
int bs__apply_client_delete(struct bs__apply *a, const struct bs_store_request *req,
			    struct bs_store_result *res);
int bs__apply_revoke(struct bs__apply *a, const struct bs_store_request *req,
		     struct bs_store_result *res);
int bs__apply_rule_add(struct bs__apply *a, const struct bs_store_request *req,
		       struct bs_store_result *res);
int bs__apply_rule_delete(struct bs__apply *a, const struct bs_store_request *req,
			  struct bs_store_result *res);
int bs__apply_ca_add(struct bs__apply *a, const struct bs_store_request *req,
		     struct bs_store_result *res);
int bs__apply_ca_remove(struct bs__apply *a, const struct bs_store_request *req,
			struct bs_store_result *res);

#endif
