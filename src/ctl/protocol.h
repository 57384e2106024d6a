/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocol.h - the control protocol between bsctl and basestationd: one JSON object a line.
 *
 * Folder ctl/: what both ends of the control socket share - records, the command table, the rows of
 * an import and their CSV form.  Nothing here opens a socket or a database.
 *
 * Owner thread: server end main, tool end the program's only thread.  May call util, log, conf and
 * jansson.
 *
 * Over a UNIX stream socket the client sends requests
 *	{"id": 7, "command": "device list", "args": {"prefix": "cam-", "cursor": "..."}}
 * and the server answers each with any number of records that carry the same id
 *	{"id": 7, "item": {...}}                     one row of a list
 *	{"id": 7, "progress": {"done": 4000, "total": 0}}
 *	{"id": 7, "ready": {"rows": 1000}}           an upload may send its next chunk, that large
 * and one final record
 *	{"id": 7, "status": 0, "result": {...}, "cursor": "..."}
 *	{"id": 7, "status": 5, "error": {"place": "...", "reason": "...", "remedy": "..."}}
 * A cursor in the final record means that the list goes on: the client repeats the request with
 * it in args.  So a list of a million rows costs the server one page at a time.  Requests of one
 * connection are answered in order.  An upload (flag BS_CMD_UPLOAD) is a request, answered by
 * "ready", then chunks
 *	{"id": 7, "rows": [[...], ...]}              each answered by "ready"
 *	{"id": 7, "end": true}                       or {"id": 7, "abort": true}
 * and its final record.  A connection that ends before that leaves nothing behind.
 *
 * The status is the exit code of bsctl.
 */
#ifndef BS_CTL_PROTOCOL_H
#define BS_CTL_PROTOCOL_H

#include "basestation/error.h"
#include "basestation/types.h"
#include <jansson.h>

/** Longest line in either direction, without the newline. */
#define BS_CTL_LINE_MAX (256u * 1024u)
/** Rows in one chunk of an upload; keeps the line below its limit. */
#define BS_CTL_CHUNK_ROWS 500u
/** Items in one page of a list, before the byte limit of the connection cuts it. */
#define BS_CTL_PAGE_ITEMS 500u
/** Nesting of JSON that is accepted; deeper text is refused before it is parsed. */
#define BS_CTL_DEPTH_MAX 8u

/** Status of a final record and exit code of bsctl; the numbers are stable. */
enum bs_ctl_status {
	BS_CTL_OK = 0,          /**< done */
	BS_CTL_FAILED = 1,      /**< failed for a reason that no other code names */
	BS_CTL_USAGE = 2,       /**< the command line or the request is wrong */
	BS_CTL_UNREACHABLE = 3, /**< no server behind the control socket */
	BS_CTL_REFUSED = 4,     /**< not permitted: rights, policy, file mode */
	BS_CTL_NOT_FOUND = 5,   /**< no such device, client, rule, certificate, file */
	BS_CTL_EXISTS = 6,      /**< something of that name is there already */
	BS_CTL_BAD_INPUT = 7,   /**< a file or value is wrong; nothing was changed */
	BS_CTL_BUSY = 8,        /**< in use or full: try again */
	BS_CTL_INTERRUPTED = 9, /**< the server went away in mid-command: the outcome is unknown */
};

/** One message for people: where, why, what to do.  Each part may be empty. */
struct bs_ctl_error {
	int status;       /**< enum bs_ctl_status */
	char place[256];  /**< file:line, device id, option ... */
	char reason[384]; /**< what is wrong */
	char remedy[256]; /**< what helps */
};

/** Fill *e; reason is a format. */
void bs_ctl_error_set(struct bs_ctl_error *e, int status, const char *place, const char *remedy,
		      const char *reason, ...) BS_PRINTF(5, 6);
/** "place: reason; remedy" into buf, cut at cap.  Returns buf. */
const char *bs_ctl_error_text(const struct bs_ctl_error *e, char *buf, size_t cap);
/** The status that fits a result code of the layers below. */
int bs_ctl_status_from_err(int err);
/** Name of a status for --json and the manual, "failed" for one outside the list. */
const char *bs_ctl_status_name(int status);
/** What a status means, one line; NULL outside the list.  The manual's EXIT STATUS is checked
 *  against this. */
const char *bs_ctl_status_help(int status);

/** Splits a byte stream into lines.  Zeroed = valid for fini; the buffer grows up to line_max. */
struct bs_ctl_lines {
	char *buf;       /**< bytes not yet taken */
	size_t len;      /**< bytes in buf */
	size_t cap;      /**< bytes allocated */
	size_t taken;    /**< bytes of buf already given out as lines */
	size_t scanned;  /**< bytes known to hold no newline */
	size_t line_max; /**< longest line accepted */
};

void bs_ctl_lines_init(struct bs_ctl_lines *l, size_t line_max);
void bs_ctl_lines_fini(struct bs_ctl_lines *l);
/** Append received bytes.  BS_OK, BS_ETOOBIG (a line is longer than line_max: close the
 *  connection) or BS_ENOMEM. */
int bs_ctl_lines_add(struct bs_ctl_lines *l, const void *data, size_t len) BS_MUSTCHECK;
/** Next whole line, without its newline, as [*len] bytes borrowed until the next call on l; NULL
 *  when there is none yet. */
const char *bs_ctl_lines_next(struct bs_ctl_lines *l, size_t *len);

/** Whether [len] bytes of JSON nest deeper than max levels; parsers recurse, so ask first. */
bool bs_ctl_too_deep(const char *s, size_t len, unsigned max);

/** A request, or a later record of an upload, as the server sees it. */
struct bs_ctl_request {
	json_int_t id;
	const char *command; /**< NULL in the later records of an upload; borrowed from json */
	json_t *args;        /**< object or NULL; borrowed from json */
	json_t *rows;        /**< chunk of an upload or NULL; borrowed from json */
	bool end;            /**< end of an upload */
	bool abort;          /**< the client gives an upload up */
	json_t *json;        /**< owns all of the above */
};

/** Parse and check one line.  BS_OK (fini afterwards) or BS_ECONF with e filled. */
int bs_ctl_request_parse(struct bs_ctl_request *r, const char *line, size_t len,
			 struct bs_ctl_error *e) BS_MUSTCHECK;
void bs_ctl_request_fini(struct bs_ctl_request *r);

/** What a record from the server is. */
enum bs_ctl_kind {
	BS_CTL_ITEM,
	BS_CTL_PROGRESS,
	BS_CTL_READY,
	BS_CTL_FINAL,
};

/** A record from the server, as the tool sees it. */
struct bs_ctl_record {
	enum bs_ctl_kind kind;
	json_int_t id;
	json_t *value;             /**< item, progress, ready or result; may be NULL; borrowed */
	const char *cursor;        /**< final: the list goes on; else NULL; borrowed */
	struct bs_ctl_error error; /**< final: status, and the message where it is not 0 */
	json_t *json;              /**< owns all of the above */
};

/** Parse and check one line.  BS_OK (fini afterwards) or BS_ECONF with e filled. */
int bs_ctl_record_parse(struct bs_ctl_record *r, const char *line, size_t len,
			struct bs_ctl_error *e) BS_MUSTCHECK;
void bs_ctl_record_fini(struct bs_ctl_record *r);

/*
 * Builders.  Each returns one line with its newline, malloc'ed (free it), or NULL without memory;
 * the json_t arguments are taken in every case and may be NULL.
 */
char *bs_ctl_make_request(json_int_t id, const char *command, json_t *args, size_t *len);
char *bs_ctl_make_rows(json_int_t id, json_t *rows, size_t *len);
char *bs_ctl_make_end(json_int_t id, bool abort, size_t *len);
char *bs_ctl_make_record(json_int_t id, enum bs_ctl_kind kind, json_t *value, size_t *len);
char *bs_ctl_make_final(json_int_t id, json_t *result, const char *cursor, size_t *len);
char *bs_ctl_make_error(json_int_t id, const struct bs_ctl_error *e, size_t *len);

#endif
