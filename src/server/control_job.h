/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_job.h - between control.c, which moves lines, and the control_<area>.c files, which run
 * the commands; nobody else includes it.
 *
 * A job is one request under way.  Its handler answers with any number of items and ends it with
 * exactly one finish or fail, now or from a later callback; the job is gone after that.  A client
 * that leaves does not stop its job: what it began at the store goes on, its answers go nowhere.
 *
 * Owner thread: main.
 */
#ifndef BS_SERVER_CONTROL_JOB_H
#define BS_SERVER_CONTROL_JOB_H

#include <ev.h>

#include "ctl/command.h"
#include "ctl/protocol.h"
#include "server/control.h"
#include "server/server.h"
#include "store/access.h"
#include "store/backup.h"
#include "store/import.h"
#include "store/registry.h"
#include "store/writer.h"

/** Rows that a list handler asks the store for at once. */
#define BS_CONTROL_PAGE 100u

struct bs_control_client;
struct bs_control_thread;

/** One request under way. */
struct bs_control_job {
	struct bs_control_job *next;
	struct bs_control_job *prev;
	struct bs_control *control;
	struct bs_control_client *client; /**< NULL: it has left */
	const struct bs_command *command;
	json_int_t id;
	json_t *args;             /**< object, checked by the table; never NULL */
	bool dry_run;             /**< check only */
	size_t step;              /**< the handler's: element of a repeated argument in hand */
	json_t *result;           /**< the handler's: what is shown so far, or NULL */
	struct bs_import *import; /**< upload: rows taken so far, or NULL */
	uint64_t n_bad;           /**< upload: bad rows */
};

/** The control socket's state that handlers may use. */
struct bs_control {
	struct bs_control_env env;
	struct bs_registry_reader *reader; /**< NULL until bs__control_reader() */
	struct bs_control_client *clients;
	unsigned n_clients;
	struct bs_control_job *jobs;
	bool held;                        /**< no new command is begun */
	ev_timer drain;                   /**< control_drain.c: looks at the drain under way */
	struct bs_control_job *drain_job; /**< who is told about it; NULL = nobody */
	struct bs_control_thread *thread; /**< db check under way, or NULL */
	struct bs_control_io *io;         /**< control.c's watchers */
	/** Offline mode: opens the registry when a command first needs it; else NULL. */
	int (*open)(void *arg, struct bs_ctl_error *e);
	/** Offline mode: closes it again, for a restore; else NULL. */
	void (*close)(void *arg);
	void *open_arg;
};

typedef void (*bs_control_fn)(struct bs_control_job *j);

/** A command of the table and its handler. */
struct bs_control_row {
	const char *name;
	bs_control_fn run;
};

/* The rows of each file; end with a NULL name. */
extern const struct bs_control_row bs__control_admin[];
extern const struct bs_control_row bs__control_device[];
extern const struct bs_control_row bs__control_drain[];
extern const struct bs_control_row bs__control_client[];
extern const struct bs_control_row bs__control_access[];
extern const struct bs_control_row bs__control_attempt[];
extern const struct bs_control_row bs__control_relay[];
extern const struct bs_control_row bs__control_ca[];
extern const struct bs_control_row bs__control_db[];
extern const struct bs_control_row bs__control_import[];

/** Answers; each takes its json_t, which may be NULL without memory. */
void bs__control_item(struct bs_control_job *j, json_t *value);
void bs__control_progress(struct bs_control_job *j, uint64_t done, uint64_t total);
/** Ends the job.  cursor may be NULL. */
void bs__control_finish(struct bs_control_job *j, json_t *result, const char *cursor);
/** Ends the job with a message. */
void bs__control_fail(struct bs_control_job *j, int status, const char *place, const char *remedy,
		      const char *reason, ...) BS_PRINTF(5, 6);
void bs__control_fail_error(struct bs_control_job *j, const struct bs_ctl_error *e);
/** Ends the job with what a layer below said; text may be NULL or empty. */
void bs__control_fail_err(struct bs_control_job *j, int err, const char *place, const char *text);
/** Upload: ask for the next chunk. */
void bs__control_ready(struct bs_control_job *j);

/** Later records of an upload: control_import.c. */
void bs__control_rows(struct bs_control_job *j, json_t *rows);
void bs__control_rows_end(struct bs_control_job *j);
/** Drop what an upload has staged. */
void bs__control_rows_drop(struct bs_control_job *j);

/** The reader of this thread; opens the registry in offline mode.  NULL: the job has ended. */
struct bs_registry_reader *bs__control_reader(struct bs_control_job *j);
/** Give a request to the store; on failure the job has ended and false comes back. */
bool bs__control_submit(struct bs_control_job *j, struct bs_store_request *req,
			bs_store_done_fn done);
/** A done function that ends the job: j->result as it is, or the store's error. */
void bs__control_stored(void *arg, const struct bs_store_result *res);

/** Arguments; the table has checked their types. */
const char *bs__control_text(const struct bs_control_job *j, const char *name);
bool bs__control_flag(const struct bs_control_job *j, const char *name);
uint64_t bs__control_uint(const struct bs_control_job *j, const char *name, uint64_t otherwise);
/** The n-th element of a repeated argument, NULL past the last. */
const char *bs__control_nth(const struct bs_control_job *j, const char *name, size_t n);
/** A SHA-256 argument; false when it is not given. */
bool bs__control_sha256(const struct bs_control_job *j, const char *name, uint8_t out[static 32]);
/** A repeated argument of names into a set; false: the job has ended. */
bool bs__control_names(struct bs_control_job *j, const char *name, struct bs_names *out);
/** Lower-cased identity argument. */
void bs__control_identity(const struct bs_control_job *j, char out[static BS_CLIENT_ID_MAX + 1]);

/** Position of a list from the cursor argument; false: it is not one, the job has ended. */
bool bs__control_cursor(struct bs_control_job *j, struct bs_list_pos *pos);
/** Ends a page: with the cursor to go on at, or without at the end. */
void bs__control_page_end(struct bs_control_job *j, const struct bs_list_pos *pos, bool end);

/** A page of a list from the registry. */
struct bs_control_page {
	struct bs_registry_reader *reader;
	struct bs_list_pos pos;
	bool end;
};
/** Where the page starts, and the reader; false: the job has ended. */
bool bs__control_page_begin(struct bs_control_job *j, struct bs_control_page *p);
/** Send n rows (or the error that n is) as form makes them, and end the job. */
void bs__control_page_rows(struct bs_control_job *j, const struct bs_control_page *p,
			   const void *rows, bs_ssize n,
			   json_t *(*form)(const void *rows, size_t i));

/** JSON forms of common values. */
json_t *bs__control_json_time(uint64_t unix_s);
json_t *bs__control_json_names(const struct bs_names *names);
json_t *bs__control_json_hex(const uint8_t *p, size_t n);
json_t *bs__control_json_endpoint(const struct bs_endpoint *ep);
/** Text of a peer: bytes that are not printable ASCII are escaped. */
json_t *bs__control_json_peer_text(const char *s, size_t len);
const char *bs__control_state_name(unsigned state);

/** control_drain.c: tell nobody about a drain any more. */
void bs__control_drain_end(struct bs_control *c);

/** control_db.c: wait for the check thread. */
void bs__control_thread_end(struct bs_control *c);

#endif
