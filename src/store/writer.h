/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.h - the store thread: every change of the registry goes through it.
 *
 * A requester fills a struct bs_store_request, submits it through its inbox and goes on.  The store
 * thread takes what waits, up to BS_STORE_BATCH_MAX requests, into one write transaction, commits
 * with a sync and only then answers: an answer of BS_OK is on the disk.  A request that fails
 * leaves no trace (it runs in a nested transaction) and does not disturb the others of its batch.
 *
 * Answers come back to the requester's thread: the inbox has a descriptor that becomes readable,
 * and bs_store_inbox_run calls the callbacks there.  Every accepted request is answered exactly
 * once, also when the writer stops (BS_ECLOSED).
 *
 * After each commit the change feed names what changed, so that main can tell the workers to end
 * what was revoked.  It arrives through the inbox that was named at start, before the answers of
 * the same commit when both share an inbox.
 *
 * A bulk import is staged in memory (sealed already) and applied in one transaction at commit.  A
 * request that takes something away (revoke, disable, delete, deny) and arrives meanwhile stops it:
 * the request is served at once, and the import starts over when no such request has come for a
 * while, at most BS_STORE_IMPORT_PAUSE_MS.  Only while the pages go to the disk it cannot be
 * stopped.  All other requests wait for it, seconds for a million rows.  Should it not get through
 * within BS_STORE_IMPORT_PATIENCE_MS, it fails: rights come before rows.
 *
 * Locks: one mutex for the request queue (rank 1) and one in each inbox (rank 2, taken last); held
 * for list operations only.  Neither is ever on a packet's path.
 */
#ifndef BS_STORE_WRITER_H
#define BS_STORE_WRITER_H

#include "store/access.h"
#include "store/import.h"
#include "store/registry.h"

struct bs_store;
struct bs_store_inbox;

/** Requests that may wait; above it submit refuses with BS_EFULL. */
#define BS_STORE_QUEUE_MAX 4096
/** Requests in one transaction. */
#define BS_STORE_BATCH_MAX 256
/** Most entries of one last-seen request. */
#define BS_STORE_SEEN_MAX 4096
/** Milliseconds for which urgent requests may keep an import from being applied: then it fails with
 *  BS_EBUSY.  Long, for a million rows take seconds. */
#define BS_STORE_IMPORT_PATIENCE_MS 300000
/** Longest pause without an urgent request that an interrupted import waits for, milliseconds. */
#define BS_STORE_IMPORT_PAUSE_MS 2000

/** What a request does; the comment names its member of the union. */
enum bs_store_op {
	BS_STORE_DEVICE_ADD = 1,     /**< device; answer: number */
	BS_STORE_DEVICE_DELETE,      /**< device.id */
	BS_STORE_DEVICE_STATE,       /**< device.id, device.state */
	BS_STORE_DEVICE_LEGACY,      /**< device.id, device.flags */
	BS_STORE_DEVICE_TAGS,        /**< tags: add and remove */
	BS_STORE_DEVICE_ROTATE,      /**< device.id, device.secret: valid beside the old one */
	BS_STORE_DEVICE_ROTATE_DONE, /**< device.id: the new secret alone from now on */
	BS_STORE_DEVICE_ROTATE_UNDO, /**< device.id: the old secret alone from now on */
	BS_STORE_CLIENT_ADD,         /**< client */
	BS_STORE_CLIENT_UPDATE,      /**< client: replaces state (not from revoked), key, groups */
	BS_STORE_CLIENT_DELETE, /**< client.identity, client.ca_fp: forgets it; not a revocation */
	BS_STORE_RULE_ADD,      /**< rule; answer: number = rule id; BS_EEXIST: the number of
				      *   the rule that has the same who and which */
	BS_STORE_RULE_DELETE,   /**< rule.id */
	BS_STORE_CA_ADD,        /**< ca; fp is computed by the store */
	BS_STORE_CA_REMOVE,     /**< ca.fp */
	BS_STORE_REVOKE,        /**< revocation; also sets a client record to revoked.  A repeat
				      *   is BS_OK and keeps the first */
	BS_STORE_SEEN,          /**< seen: one batch of last-seen times */
	BS_STORE_VOLUME,        /**< volume: one batch of relayed bytes, added up */
	BS_STORE_IMPORT,        /**< import: apply it (taken: the store frees it); answer:
				      *   number = rows added, row = first bad row */
	BS_STORE_BACKUP,        /**< path */
	BS_STORE_SYNC,          /**< nothing: answers after everything submitted before */
};

/** One last-seen time. */
struct bs_store_seen {
	uint32_t number; /**< of the device; one that is gone is skipped */
	uint64_t when;   /**< Unix seconds; an older one than stored is skipped */
};

/** Bytes that were relayed for a client. */
struct bs_store_volume {
	char identity[BS_CLIENT_ID_MAX + 1];
	uint8_t ca_fp[BS_FP256_LEN];
	struct bs_volume add; /**< another month than the stored one begins anew */
};

/** The answer to a request. */
struct bs_store_result {
	enum bs_store_op op;
	int status;              /**< BS_OK: done and durable; else nothing of it was done */
	uint32_t number;         /**< see enum bs_store_op */
	uint64_t row;            /**< import: row number of the first bad row, 0 = none */
	struct bs_epochs epochs; /**< after the commit */
	struct bs_errtext err;   /**< for people, when status is not BS_OK */
};

/** Called in the thread that runs the inbox. */
typedef void (*bs_store_done_fn)(void *arg, const struct bs_store_result *res);

/** A request.  Copied by submit, with what it points at, but for `import`, which is taken. */
struct bs_store_request {
	enum bs_store_op op;
	bs_store_done_fn done; /**< NULL = no answer wanted */
	void *arg;             /**< handed to done */
	union {
		struct bs_device device; /**< id, secret, has_secret, flags, state (0 = enabled),
					  *   tags; the rest is the store's.  created 0 = now */
		struct {
			char id[BS_DEVICE_ID_MAX + 1];
			struct bs_names add;
			struct bs_names remove;
		} tags;
		struct bs_client client; /**< identity, has_ca, ca_fp, has_key, key_fp, state
					  *   (0 = enabled), groups */
		struct bs_access_rule rule;
		struct {
			uint8_t fp[BS_FP256_LEN];
			char name[BS_NOTE_MAX + 1];
			uint8_t roles;
			struct bs_slice der; /**< copied by submit */
		} ca;
		struct bs_revocation revocation;
		struct {
			const struct bs_store_seen *v; /**< [n], copied by submit */
			size_t n;                      /**< 1..BS_STORE_SEEN_MAX */
		} seen;
		struct {
			const struct bs_store_volume *v; /**< [n], copied by submit */
			size_t n;                        /**< 1..BS_STORE_SEEN_MAX */
		} volume;
		struct bs_import *import;
		char path[512]; /**< of the backup file */
	} u;
};

/** What a commit changed. */
enum bs_store_change_kind {
	BS_CHANGE_DEVICE_ADDED = 1,
	BS_CHANGE_DEVICE_REMOVED, /**< device_id, number: end its attachment */
	BS_CHANGE_DEVICE_STATE,   /**< device_id, number, state: end it when disabled */
	BS_CHANGE_DEVICE_KEY,     /**< a rotation began or ended */
	BS_CHANGE_DEVICE_TAGS,    /**< rights may have changed: check sessions again */
	BS_CHANGE_CLIENT,         /**< identity (and CA): added, changed or deleted: check again */
	BS_CHANGE_RULE,           /**< number = rule id: check sessions again */
	BS_CHANGE_CA,             /**< ca_fp added or removed: new verification set */
	BS_CHANGE_REVOKED,        /**< revocation: end what it names */
	BS_CHANGE_MANY,           /**< an import or more than fits: look at everything again */
};

/** One change. */
struct bs_store_change {
	enum bs_store_change_kind kind;
	uint8_t state;                        /**< enum bs_record_state after the change */
	bool has_ca;                          /**< ca_fp is set */
	uint32_t number;                      /**< device number or rule id */
	char device_id[BS_DEVICE_ID_MAX + 1]; /**< "" when it is not about a device */
	char identity[BS_CLIENT_ID_MAX + 1];  /**< "" when it is not about a client */
	uint8_t ca_fp[BS_FP256_LEN];
	struct bs_revocation revocation; /**< kind REVOKED only */
	struct bs_epochs epochs;         /**< after the commit */
};

/** Called once per change in the thread that runs the inbox of the feed, in commit order. */
typedef void (*bs_store_change_fn)(void *arg, const struct bs_store_change *change);

/** Counters of the store thread.  Name, unit, help. */
#define BS_STORE_COUNTERS(X)                                                                       \
 X(requests, "requests", "requests accepted")                                                      \
 X(refused, "requests", "requests refused because the queue was full")                             \
 X(failed, "requests", "requests answered with an error")                                          \
 X(commits, "transactions", "write transactions committed")                                        \
 X(commit_errors, "transactions", "write transactions that failed to commit")                      \
 X(no_space, "requests", "requests refused because map or disk was full")                          \
 X(rows, "rows", "devices added by bulk import")                                                   \
 X(import_restarts, "imports", "imports that started over to make room for an urgent request")     \
 X(stale_readers, "readers", "reader slots taken back from dead processes")

/** The counters. */
struct bs_store_counters {
#define BS_STORE_COUNTER_FIELD(name, unit, help) uint64_t name;
	BS_STORE_COUNTERS(BS_STORE_COUNTER_FIELD)
#undef BS_STORE_COUNTER_FIELD
};

/**
 * Start the store thread.  The registry must be open for writing and outlive it.  feed may be NULL;
 * when not, changes are delivered through the inbox *feed_inbox, which the call makes.
 * BS_OK, BS_EPERM (opened for reading), BS_ENOMEM or BS_EINTERNAL (no thread), BS_EIO (eventfd).
 */
BS_MUSTCHECK int bs_store_start(struct bs_registry *reg, bs_store_change_fn feed, void *feed_arg,
				struct bs_store **out, struct bs_store_inbox **feed_inbox);
/**
 * Finish what waits, then end the thread; submit refuses with BS_ECLOSED from now on.  Blocks until
 * the last commit is on the disk.  Inboxes stay usable to collect the answers; NULL is fine.
 */
void bs_store_stop(struct bs_store *s);
/** Free it after stop and after its inboxes are freed.  NULL is fine. */
void bs_store_free(struct bs_store *s);

/** An inbox for the calling thread's answers.  BS_OK, BS_ENOMEM, BS_EIO. */
BS_MUSTCHECK int bs_store_inbox_new(struct bs_store *s, struct bs_store_inbox **out);
/** Close it: answers still under way are dropped.  NULL is fine. */
void bs_store_inbox_free(struct bs_store_inbox *in);
/** Descriptor that polls readable when there is something to run.  Owned by the inbox. */
int bs_store_inbox_fd(const struct bs_store_inbox *in);
/** Call the callbacks that wait.  Returns how many. */
size_t bs_store_inbox_run(struct bs_store_inbox *in);

/**
 * Submit a request.  BS_OK: it will be answered through the inbox, at once with BS_EINVAL and a
 * text when its content is out of range.  BS_EFULL queue full: later; BS_ECLOSED stopped; BS_EINVAL
 * bad content and nobody to tell (done is NULL, or an import); BS_ENOMEM.  On anything but BS_OK
 * nothing was taken.  Never blocks on the disk.
 */
BS_MUSTCHECK int bs_store_submit(struct bs_store_inbox *in, const struct bs_store_request *req);

/** Counters so far.  Any thread. */
struct bs_store_counters bs_store_counters_get(const struct bs_store *s);
/** Share of the map that is in use, in percent; a notice is logged when it passes 90.  Any
 *  thread. */
unsigned bs_store_fill_percent(const struct bs_store *s);

#endif
