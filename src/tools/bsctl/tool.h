/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool.h - bsctl: what all its commands share.
 *
 * bsctl parses a command line by the table of ctl/command.h, asks the server over the control
 * socket, and prints.  What touches files of the user (imports, exports, secrets, the certificate
 * authority) happens here, with the user's rights.
 *
 * Owner thread: the program's only one.  May call ctl, conf, log, the core, jansson and OpenSSL.
 */
#ifndef BS_TOOLS_BSCTL_TOOL_H
#define BS_TOOLS_BSCTL_TOOL_H

#include <jansson.h>

#include "ctl/command.h"
#include "ctl/protocol.h"

struct bs_link;

/** One run of bsctl. */
struct bs_tool {
	const struct bs_command *cmd;
	json_t *opts; /**< all arguments, as bs_command_parse() gave them */
	bool json;
	bool quiet;
	bool dry_run;
	struct bs_link *link; /**< NULL until bs_tool_link() */
};

/** A text option or NULL, a flag, a number. */
const char *bs_tool_text(const struct bs_tool *t, const char *name);
bool bs_tool_flag(const struct bs_tool *t, const char *name);
uint64_t bs_tool_uint(const struct bs_tool *t, const char *name, uint64_t otherwise);
/** The options that the server takes, as a new object for a request; NULL without memory. */
json_t *bs_tool_request_args(const struct bs_tool *t);

/** The connection, opened when first asked for; NULL with e filled. */
struct bs_link *bs_tool_link(struct bs_tool *t, struct bs_ctl_error *e);
/** Run the command as it is at the server and print its answer.  Returns e->status. */
int bs_tool_forward(struct bs_tool *t, json_t *args, struct bs_ctl_error *e);

/** A command that is more than a request; returns a status, with e filled where it is not 0. */
typedef int (*bs_tool_fn)(struct bs_tool *t, struct bs_ctl_error *e);

int bs_run_help(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_device_add(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_device_rotate(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_device_import(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_device_export(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_client(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_stats(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_conf_check(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_db_file(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_ca_init(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_ca_issue(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_ca_revoke(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_ca_list(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_ca_crl(struct bs_tool *t, struct bs_ctl_error *e);
int bs_run_ca_trust(struct bs_tool *t, struct bs_ctl_error *e);

#endif
