/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - the one table of commands: bsctl parses its arguments by it and prints its usage from
 * it, basestationd checks requests against it, `bsctl help --json` prints it for scripts/check-docs
 * and shell completion.
 *
 * Owner thread: any, the table is constant.  May call jansson.
 */
#ifndef BS_CTL_COMMAND_H
#define BS_CTL_COMMAND_H

#include "ctl/protocol.h"
#include <jansson.h>

/** How the text of an argument is checked and which JSON type it becomes. */
enum bs_arg_type {
	BS_ARG_TEXT,     /**< string */
	BS_ARG_FLAG,     /**< true; takes no value */
	BS_ARG_UINT,     /**< integer, 0..2^53 */
	BS_ARG_DEVICE,   /**< device id, lower-cased */
	BS_ARG_IDENTITY, /**< client identity, lower-cased */
	BS_ARG_SUBJECT,  /**< who of an access rule: NAME, key:HEX, group:NAME */
	BS_ARG_OBJECT,   /**< which device of a rule: ID, pattern with * and ?, tag:TAG */
	BS_ARG_TAG,      /**< tag or group name */
	BS_ARG_HEX,      /**< hex digits in pairs, colons allowed */
	BS_ARG_HEX32,    /**< the same, 64 digits: a SHA-256 */
	BS_ARG_SECRET,   /**< device secret; only with BS_ARGF_WIRE */
	BS_ARG_FILE,     /**< path; made absolute where it is sent to the server */
	BS_ARG_CHOICE,   /**< one of the words in bs_arg.choice */
};

enum bs_arg_flag {
	BS_ARGF_POSITIONAL = 1 << 0, /**< by place; otherwise --name */
	BS_ARGF_REQUIRED = 1 << 1,
	BS_ARGF_REPEAT = 1 << 2, /**< JSON array; the last positional, or an option given again */
	BS_ARGF_LOCAL = 1 << 3,  /**< stays in bsctl, the server never sees it */
	BS_ARGF_WIRE = 1 << 4,   /**< only in requests, not on the command line (cursor, secret) */
};

/** One argument. */
struct bs_arg {
	const char *name; /**< JSON member and --option; NULL ends a list */
	const char *meta; /**< placeholder in the usage line, NULL for a flag */
	enum bs_arg_type type;
	unsigned flags;     /**< enum bs_arg_flag */
	const char *choice; /**< "a|b|c" for BS_ARG_CHOICE, else NULL */
	const char *help;
	char letter; /**< -x besides --name, 0 for none */
};

enum bs_cmd_flag {
	BS_CMD_LOCAL = 1 << 0,   /**< runs in bsctl alone, or calls other commands from there */
	BS_CMD_LIVE = 1 << 1,    /**< needs the running server; there is nothing to ask offline */
	BS_CMD_OFFLINE = 1 << 2, /**< only while no server runs on that database */
	BS_CMD_CHANGES = 1 << 3, /**< changes something: takes --dry-run */
	BS_CMD_LIST = 1 << 4,    /**< answers with items and a cursor */
	BS_CMD_UPLOAD = 1 << 5,  /**< takes rows */
	BS_CMD_HIDDEN = 1 << 6,  /**< part of another command, not for people */
};

/** One command.  Without LIVE and OFFLINE it works both ways (bsctl --offline). */
struct bs_command {
	const char *name;          /**< "device add" */
	unsigned flags;            /**< enum bs_cmd_flag */
	const struct bs_arg *args; /**< ends with a NULL name; never NULL */
	const char *help;          /**< one line, no full stop */
};

/** Options that every command of bsctl takes; ends with a NULL name. */
extern const struct bs_arg bs_command_common[];

/** All commands in the order of the manual. */
const struct bs_command *bs_command_all(size_t *n);
/** Exact name; NULL when there is none. */
const struct bs_command *bs_command_find(const char *name);
/** The command that the first words of argv name, in *used words; a unique prefix of a word will
 *  do ("dev ls" will not).  NULL with e filled, which lists what would fit. */
const struct bs_command *bs_command_match(int argc, char *const argv[], int *used,
					  struct bs_ctl_error *e);
/** Argument of a command by name; NULL when there is none. */
const struct bs_arg *bs_command_arg(const struct bs_command *c, const char *name);

/** The command's arguments from argv into a new object (caller decrefs); common options go there
 *  too.  NULL with e filled. */
json_t *bs_command_parse(const struct bs_command *c, int argc, char *const argv[],
			 struct bs_ctl_error *e);
/** Check the args of a request: known names, types, required ones there.  args may be NULL.
 *  BS_OK or BS_ECONF with e filled. */
int bs_command_check(const struct bs_command *c, const json_t *args,
		     struct bs_ctl_error *e) BS_MUSTCHECK;

/** "bsctl device add ID [--tag TAG]... " into buf, cut at cap.  Returns buf. */
const char *bs_command_usage(const struct bs_command *c, char *buf, size_t cap);
/** The whole table as a new object, for `bsctl help --json`; NULL without memory. */
json_t *bs_command_table_json(void);

#endif
