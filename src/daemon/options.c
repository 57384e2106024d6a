/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum long_only {
	OPT_DUMP_SCHEMA = 256,
	OPT_CONTROL_FD,
	OPT_JSON,
	OPT_TAKEOVER_FD,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "foreground", no_argument, NULL, 'f' },
	{ "daemon", no_argument, NULL, 'd' },
	{ "test", no_argument, NULL, 't' },
	{ "print", no_argument, NULL, 'T' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "dump-schema", optional_argument, NULL, OPT_DUMP_SCHEMA },
	{ "control-fd", required_argument, NULL, OPT_CONTROL_FD },
	{ "takeover-fd", required_argument, NULL, OPT_TAKEOVER_FD },
	{ NULL, 0, NULL, 0 },
};

static int set_action(struct bs_daemon_options *o, enum bs_daemon_action action, char *err,
		      size_t cap)
{
	if (o->action != BS_DAEMON_SERVE && o->action != action) {
		snprintf(err, cap,
			 "options contradict each other; give one of -t, -T, -V, -h, "
			 "--dump-schema and --control-fd");
		return BS_EINVAL;
	}
	o->action = action;
	return BS_OK;
}

static int set_schema(struct bs_daemon_options *o, const char *arg, char *err, size_t cap)
{
	static const char *const names[] = {
		[BS_CONF_SCHEMA_TSV] = "tsv",
		[BS_CONF_SCHEMA_JSON] = "json",
		[BS_CONF_SCHEMA_EXAMPLE] = "example",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (arg == NULL || strcmp(arg, names[i]) == 0) {
			o->schema = (enum bs_conf_schema_format)i;
			return set_action(o, BS_DAEMON_DUMP_SCHEMA, err, cap);
		}
	}
	snprintf(err, cap, "--dump-schema: \"%.32s\" is not known; there is tsv, json and example",
		 arg);
	return BS_EINVAL;
}

static int set_fd(int *out, const char *name, const char *arg, char *err, size_t cap)
{
	char *end;
	long fd;

	errno = 0;
	fd = strtol(arg, &end, 10);
	if (errno != 0 || *arg == '\0' || *end != '\0' || fd < 3 || fd > 1 << 20) {
		snprintf(err, cap, "%s: \"%.32s\" is not a descriptor from 3 up", name, arg);
		return BS_EINVAL;
	}
	*out = (int)fd;
	return BS_OK;
}

static int set_control_fd(struct bs_daemon_options *o, const char *arg, char *err, size_t cap)
{
	int code = set_fd(&o->control_fd, "--control-fd", arg, err, cap);

	return code == BS_OK ? set_action(o, BS_DAEMON_OFFLINE, err, cap) : code;
}

static int take(struct bs_daemon_options *o, int c, bool *foreground, char *err, size_t cap)
{
	switch (c) {
	case 'c': o->conf = optarg; return BS_OK;
	case 'f': *foreground = true; return BS_OK;
	case 'd': o->daemon = true; return BS_OK;
	case 't': return set_action(o, BS_DAEMON_CHECK, err, cap);
	case 'T': return set_action(o, BS_DAEMON_PRINT, err, cap);
	case 'V': return set_action(o, BS_DAEMON_VERSION, err, cap);
	case 'h': return set_action(o, BS_DAEMON_HELP, err, cap);
	case OPT_JSON: o->json = true; return BS_OK;
	case OPT_DUMP_SCHEMA: return set_schema(o, optarg, err, cap);
	case OPT_CONTROL_FD: return set_control_fd(o, optarg, err, cap);
	case OPT_TAKEOVER_FD: return set_fd(&o->takeover_fd, "--takeover-fd", optarg, err, cap);
	case ':': snprintf(err, cap, "option needs an argument; see basestationd -h"); break;
	default: snprintf(err, cap, "unknown option; see basestationd -h"); break;
	}
	return BS_EINVAL;
}

int bs_daemon_options_parse(struct bs_daemon_options *o, int argc, char **argv, char *err,
			    size_t cap)
{
	bool foreground = false;
	int c;

	memset(o, 0, sizeof(*o));
	o->conf = BS_DAEMON_CONF;
	o->control_fd = -1;
	o->takeover_fd = -1;
	o->program = argv[0];
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:fdtTVh", long_options, NULL)) != -1) {
		int at = optind > 0 ? optind - 1 : 0;

		if (take(o, c, &foreground, err, cap) == BS_OK)
			continue;
		if (c == ':' || c == '?') {
			char text[128];

			snprintf(text, sizeof(text), "%s", err);
			snprintf(err, cap, "%.32s: %s", argv[at], text);
		}
		return BS_EINVAL;
	}
	if (optind < argc) {
		snprintf(err, cap, "%.32s: unexpected argument; see basestationd -h", argv[optind]);
		return BS_EINVAL;
	}
	if (foreground && o->daemon) {
		snprintf(err, cap, "-f and -d contradict each other; give one");
		return BS_EINVAL;
	}
	if (o->takeover_fd >= 0 && o->action != BS_DAEMON_SERVE) {
		snprintf(err, cap, "--takeover-fd goes with -f and -d only");
		return BS_EINVAL;
	}
	if (o->json && o->action != BS_DAEMON_PRINT) {
		snprintf(err, cap, "--json goes with -T only");
		return BS_EINVAL;
	}
	return BS_OK;
}

void bs_daemon_options_help(FILE *out)
{
	fprintf(out,
		"usage: basestationd [-f | -d] [-c FILE]\n"
		"       basestationd -t | -T [--json] [-c FILE]\n"
		"       basestationd -V | -h | --dump-schema[=tsv|json|example]\n"
		"\n"
		"  -c, --config FILE   conf file (%s)\n"
		"  -f, --foreground    stay in the foreground (the default)\n"
		"  -d, --daemon        go to the background once everything is ready\n"
		"  -t, --test          check conf, files, ports and machine, then exit\n"
		"  -T, --print         print the conf in force, defaults included, then exit\n"
		"      --json          with -T: as one JSON object\n"
		"      --dump-schema   print every conf key with type, default, range and help\n"
		"      --control-fd N  serve one bsctl on descriptor N, then exit\n"
		"      --takeover-fd N take over from the process behind descriptor N\n"
		"  -V, --version       print the version\n"
		"  -h, --help          print this\n"
		"\n"
		"SIGTERM stops, SIGHUP reloads conf, certificates and log, SIGUSR2 upgrades in\n"
		"place. See basestationd(8).\n",
		BS_DAEMON_CONF);
}

enum bs_exit bs_daemon_exit_code(int err)
{
	switch (err) {
	case BS_OK: return BS_EXIT_OK;
	case BS_ECONF:
	case BS_EINVAL:
	case BS_EUNREACH: return BS_EXIT_CONF;
	case BS_EPERM:
	case BS_EAUTH: return BS_EXIT_PERMISSION;
	case BS_EBUSY:
	case BS_EEXIST: return BS_EXIT_IN_USE;
	case BS_ENOENT: return BS_EXIT_NOT_FOUND;
	case BS_EFULL:
	case BS_ENOMEM:
	case BS_ENOSPC:
	case BS_ERANDOM: return BS_EXIT_RESOURCE;
	default: return BS_EXIT_FAILED;
	}
}
