/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - the command line of basestationd.
 *
 * Folder daemon/: main of basestationd - arguments, daemon mode, privileges, the word to systemd.
 * What serves is server/.  Owner thread: main.  May call server, conf, log, util.
 */
#ifndef BS_DAEMON_OPTIONS_H
#define BS_DAEMON_OPTIONS_H

#include <stdio.h>

#include "conf/conf.h"

/** Read when -c is not given. */
#define BS_DAEMON_CONF "/etc/basestation/basestation.conf"

/** Exit status; basestationd(8) lists them and they are stable. */
enum bs_exit {
	BS_EXIT_OK = 0,
	BS_EXIT_FAILED = 1,     /**< failed for a reason that no other code names */
	BS_EXIT_USAGE = 2,      /**< command line */
	BS_EXIT_CONF = 3,       /**< conf, certificate or key wrong, or more than the machine has */
	BS_EXIT_PERMISSION = 4, /**< missing permission */
	BS_EXIT_IN_USE = 5,     /**< port, socket, pid file or registry in use */
	BS_EXIT_NOT_FOUND = 6,  /**< a file, folder, user or group is not there */
	BS_EXIT_RESOURCE = 7,   /**< memory, disk, descriptors or random numbers */
};

/** What to do. */
enum bs_daemon_action {
	BS_DAEMON_SERVE = 0,
	BS_DAEMON_CHECK,       /**< -t */
	BS_DAEMON_PRINT,       /**< -T */
	BS_DAEMON_DUMP_SCHEMA, /**< --dump-schema */
	BS_DAEMON_OFFLINE,     /**< --control-fd */
	BS_DAEMON_VERSION,     /**< -V */
	BS_DAEMON_HELP,        /**< -h */
};

struct bs_daemon_options {
	enum bs_daemon_action action;
	const char *conf; /**< path, borrowed from argv */
	bool daemon;      /**< -d */
	bool json;        /**< --json with -T */
	enum bs_conf_schema_format schema;
	int control_fd;
	int takeover_fd;     /**< --takeover-fd: of the process to take over from; -1 = none */
	const char *program; /**< argv[0], borrowed */
};

/**
 * Parse argv.  BS_OK, or BS_EINVAL with one message in err[cap].  Changes getopt's state.
 */
int bs_daemon_options_parse(struct bs_daemon_options *o, int argc, char **argv, char *err,
			    size_t cap) BS_MUSTCHECK;
void bs_daemon_options_help(FILE *out);

/** The exit status for a result code. */
enum bs_exit bs_daemon_exit_code(int err);

#endif
