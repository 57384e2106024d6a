/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table itself: arguments of each command, then the commands in the order of the manual.  A new
 * command is a row here, a handler in server/control_<area>.c, and an entry in bsctl(8), which
 * check-docs compares with this table.
 */
#include "ctl/command.h"

#define POS  BS_ARGF_POSITIONAL
#define REQ  BS_ARGF_REQUIRED
#define REP  BS_ARGF_REPEAT
#define LOC  BS_ARGF_LOCAL
#define WIRE BS_ARGF_WIRE

#define END                                                                                        \
 {                                                                                                 \
  NULL, NULL, BS_ARG_FLAG, 0, NULL, NULL, 0                                                        \
 }
#define CURSOR                                                                                     \
 {                                                                                                 \
  "cursor", "CURSOR", BS_ARG_TEXT, WIRE, NULL, "where the list goes on", 0                         \
 }
#define CA_DIR                                                                                     \
 {                                                                                                 \
  "dir", "DIR", BS_ARG_FILE, LOC, NULL, "folder of the authority (default: /etc/basestation/ca)",  \
	  'd'                                                                                      \
 }
#define STATES "enabled|disabled"

const struct bs_arg bs_command_common[] = {
	{ "socket", "PATH", BS_ARG_FILE, LOC, NULL, "control socket (default: what the conf says)",
	  's' },
	{ "conf", "FILE", BS_ARG_FILE, LOC, NULL, "conf that names socket and database", 'c' },
	{ "offline", NULL, BS_ARG_FLAG, LOC, NULL, "open the database without a running server",
	  0 },
	{ "timeout", "SECONDS", BS_ARG_UINT, LOC, NULL, "longest wait for an answer (default: 30)",
	  't' },
	{ "json", NULL, BS_ARG_FLAG, LOC, NULL, "print JSON, one object a line", 'j' },
	{ "quiet", NULL, BS_ARG_FLAG, LOC, NULL, "no progress, no notes", 'q' },
	{ "dry-run", NULL, BS_ARG_FLAG, 0, NULL, "check only, change nothing", 'n' },
	{ "help", NULL, BS_ARG_FLAG, LOC, NULL, "show the usage of the command", 'h' },
	END,
};

static const struct bs_arg none[] = { END };

static const struct bs_arg attempt_list_args[] = {
	{ "limit", "N", BS_ARG_UINT, 0, NULL, "at most so many, up to 500 (default: 50)", 'l' },
	{ "device", "ID", BS_ARG_DEVICE, 0, NULL, "those to this device", 0 },
	{ "client", "IDENTITY", BS_ARG_IDENTITY, 0, NULL, "those of this client", 0 },
	END,
};

static const struct bs_arg relay_list_args[] = {
	{ "limit", "N", BS_ARG_UINT, 0, NULL, "at most so many, up to 500 (default: 50)", 'l' },
	{ "client", "IDENTITY", BS_ARG_IDENTITY, 0, NULL, "those of this client", 0 },
	END,
};

static const struct bs_arg attempt_explain_args[] = {
	{ "attempt", "ID", BS_ARG_HEX, POS | REQ, NULL,
	  "attempt (16 digits) or connection number (8 digits)", 0 },
	END,
};

static const struct bs_arg drain_args[] = {
	{ "rate", "N", BS_ARG_UINT, 0, NULL,
	  "devices per second (default: as many as the deadline asks for)", 0 },
	{ "deadline", "SECONDS", BS_ARG_UINT, 0, NULL,
	  "end who is left then (default: as the rate asks for, or 60)", 0 },
	{ "cancel", NULL, BS_ARG_FLAG, 0, NULL, "let everybody in again", 0 },
	END,
};

static const struct bs_arg stats_args[] = {
	{ "all", NULL, BS_ARG_FLAG, LOC, NULL, "also the counters that are zero", 'a' },
	{ "prometheus", NULL, BS_ARG_FLAG, 0, NULL, "in the text form of Prometheus", 'p' },
	END,
};

static const struct bs_arg device_add_args[] = {
	{ "id", "ID", BS_ARG_DEVICE, POS | REQ, NULL, "device id", 0 },
	{ "tag", "TAG", BS_ARG_TAG, REP, NULL, "give it a tag", 0 },
	{ "disabled", NULL, BS_ARG_FLAG, 0, NULL, "do not let it attach yet", 0 },
	{ "legacy", NULL, BS_ARG_FLAG, 0, NULL,
	  "it may attach without a key, where the conf allows that", 0 },
	{ "no-secret", NULL, BS_ARG_FLAG, LOC, NULL, "it has no secret at all; only with --legacy",
	  0 },
	{ "secret-from", "FILE", BS_ARG_FILE, LOC, NULL,
	  "read the secret from a file, - is the standard input (default: make one)", 0 },
	{ "secret-file", "FILE", BS_ARG_FILE, LOC, NULL,
	  "write the secret to a new file instead of printing it", 0 },
	{ "secret", NULL, BS_ARG_SECRET, WIRE, NULL, "its secret", 0 },
	END,
};

static const struct bs_arg device_import_args[] = {
	{ "file", "FILE", BS_ARG_FILE, POS | REQ | LOC, NULL,
	  "file to read, - is the standard input", 0 },
	{ "format", "FORMAT", BS_ARG_CHOICE, LOC, "csv|json",
	  "its form (default: by its first byte)", 'f' },
	{ "mode", "MODE", BS_ARG_CHOICE, 0, "new|skip|replace",
	  "a device that exists is an error, kept or replaced (default: new)", 'm' },
	{ "generate", NULL, BS_ARG_FLAG, LOC, NULL, "make a secret for each row without one", 0 },
	{ "secret-file", "FILE", BS_ARG_FILE, LOC, NULL,
	  "write the secrets that were made to a new CSV file", 0 },
	{ "max-errors", "N", BS_ARG_UINT, LOC, NULL,
	  "bad rows that are shown, the others are counted (default: 20)", 0 },
	END,
};

#define DEVICE_FILTER                                                                              \
 { "prefix", "TEXT", BS_ARG_TEXT, 0, NULL, "ids that begin so", 0 },                               \
	 { "tag", "TAG", BS_ARG_TAG, 0, NULL, "devices with this tag", 0 },                        \
 {                                                                                                 \
  "state", "STATE", BS_ARG_CHOICE, 0, STATES, "devices in this state", 0                           \
 }

static const struct bs_arg device_export_args[] = {
	{ "file", "FILE", BS_ARG_FILE, POS | LOC, NULL,
	  "new file to write, - is the standard output (default)", 0 },
	{ "format", "FORMAT", BS_ARG_CHOICE, LOC, "csv|json", "form to write (default: csv)", 'f' },
	{ "with-secrets", NULL, BS_ARG_FLAG, 0, NULL, "also the secrets", 0 },
	DEVICE_FILTER,
	CURSOR,
	END,
};

static const struct bs_arg device_list_args[] = {
	DEVICE_FILTER,
	{ "attached", NULL, BS_ARG_FLAG, 0, NULL,
	  "those attached now, with their addresses; no other filter", 'a' },
	{ "limit", "N", BS_ARG_UINT, LOC, NULL, "at most so many", 'l' },
	CURSOR,
	END,
};

static const struct bs_arg device_one[] = {
	{ "id", "ID", BS_ARG_DEVICE, POS | REQ, NULL, "device id", 0 },
	END,
};

static const struct bs_arg device_many[] = {
	{ "id", "ID", BS_ARG_DEVICE, POS | REQ | REP, NULL, "device ids", 0 },
	END,
};

static const struct bs_arg device_tag_args[] = {
	{ "id", "ID", BS_ARG_DEVICE, POS | REQ, NULL, "device id", 0 },
	{ "add", "TAG", BS_ARG_TAG, REP, NULL, "tag to add", 0 },
	{ "remove", "TAG", BS_ARG_TAG, REP, NULL, "tag to remove", 0 },
	END,
};

static const struct bs_arg device_rotate_args[] = {
	{ "id", "ID", BS_ARG_DEVICE, POS | REQ, NULL, "device id", 0 },
	{ "finish", NULL, BS_ARG_FLAG, 0, NULL, "from now on the new secret alone", 0 },
	{ "undo", NULL, BS_ARG_FLAG, 0, NULL, "from now on the old secret alone", 0 },
	{ "secret-from", "FILE", BS_ARG_FILE, LOC, NULL,
	  "read the new secret from a file, - is the standard input (default: make one)", 0 },
	{ "secret-file", "FILE", BS_ARG_FILE, LOC, NULL,
	  "write the secret to a new file instead of printing it", 0 },
	{ "secret", NULL, BS_ARG_SECRET, WIRE, NULL, "the new secret", 0 },
	END,
};

#define CLIENT_CA                                                                                  \
 { "ca", "FILE", BS_ARG_FILE, LOC, NULL, "only certificates of this CA (PEM)", 0 },                \
 {                                                                                                 \
  "ca-fp", "HEX", BS_ARG_HEX32, 0, NULL, "the same by the SHA-256 of the CA certificate", 0        \
 }

static const struct bs_arg client_add_args[] = {
	{ "identity", "IDENTITY", BS_ARG_IDENTITY, POS | REQ, NULL, "name in the certificate", 0 },
	CLIENT_CA,
	{ "certificate", "FILE", BS_ARG_FILE, LOC, NULL,
	  "only with the key of this certificate (PEM)", 0 },
	{ "key-fp", "HEX", BS_ARG_HEX32, 0, NULL, "the same by the SHA-256 of the public key", 0 },
	{ "group", "GROUP", BS_ARG_TAG, REP, NULL, "put it into a group", 'g' },
	{ "disabled", NULL, BS_ARG_FLAG, 0, NULL, "refuse it for now", 0 },
	END,
};

static const struct bs_arg client_one[] = {
	{ "identity", "IDENTITY", BS_ARG_IDENTITY, POS | REQ, NULL, "name in the certificate", 0 },
	CLIENT_CA,
	END,
};

static const struct bs_arg client_group_args[] = {
	{ "identity", "IDENTITY", BS_ARG_IDENTITY, POS | REQ, NULL, "name in the certificate", 0 },
	CLIENT_CA,
	{ "add", "GROUP", BS_ARG_TAG, REP, NULL, "group to join", 0 },
	{ "remove", "GROUP", BS_ARG_TAG, REP, NULL, "group to leave", 0 },
	END,
};

static const struct bs_arg client_revoke_args[] = {
	{ "identity", "IDENTITY", BS_ARG_IDENTITY, POS, NULL, "name in the certificate", 0 },
	CLIENT_CA,
	{ "key-fp", "HEX", BS_ARG_HEX32, 0, NULL, "every certificate with this key (SHA-256)", 0 },
	{ "serial", "HEX", BS_ARG_HEX, 0, NULL, "one certificate; needs --ca or --ca-fp", 0 },
	{ "note", "TEXT", BS_ARG_TEXT, 0, NULL, "reason, for the list", 0 },
	END,
};

static const struct bs_arg cursor_only[] = { CURSOR, END };

static const struct bs_arg access_rule_args[] = {
	{ "who", "WHO", BS_ARG_SUBJECT, POS | REQ, NULL,
	  "IDENTITY, CA-HEX/IDENTITY, key:HEX, group:GROUP or *", 0 },
	{ "device", "DEVICE", BS_ARG_OBJECT, POS | REQ, NULL,
	  "ID, pattern with * and ?, tag:TAG or *", 0 },
	{ "priority", "N", BS_ARG_UINT, 0, NULL,
	  "0 (default) to 1000; the highest that fits decides", 'p' },
	END,
};

static const struct bs_arg access_check_args[] = {
	{ "identity", "IDENTITY", BS_ARG_IDENTITY, POS | REQ, NULL, "name in the certificate", 0 },
	{ "device", "ID", BS_ARG_DEVICE, POS | REQ, NULL, "device id", 0 },
	CLIENT_CA,
	{ "key-fp", "HEX", BS_ARG_HEX32, 0, NULL, "SHA-256 of the client's public key", 0 },
	END,
};

static const struct bs_arg access_delete_args[] = {
	{ "rule", "RULE", BS_ARG_UINT, POS | REQ, NULL, "number of the rule, see access list", 0 },
	END,
};

static const struct bs_arg ca_init_args[] = {
	CA_DIR,
	{ "name", "NAME", BS_ARG_TEXT, LOC, NULL, "common name (default: basestation CA)", 0 },
	{ "days", "N", BS_ARG_UINT, LOC, NULL, "validity (default: 3650)", 0 },
	{ "bits", "N", BS_ARG_UINT, LOC, NULL, "bits of its RSA key, 2048 to 8192 (default: 3072)",
	  0 },
	END,
};

#define CA_OUT                                                                                     \
 { "out", "PREFIX", BS_ARG_FILE,                                                                   \
   LOC,   NULL,     "write PREFIX.crt and PREFIX.key (default: in the authority's folder)",        \
   'o' },                                                                                          \
	 { "csr", "FILE", BS_ARG_FILE,                                                             \
	   LOC,   NULL,   "certify the key of this request (PEM), no key is made",                 \
	   0 },                                                                                    \
	 { "days", "N", BS_ARG_UINT, LOC, NULL, "validity (default: 365)", 0 },                    \
 {                                                                                                 \
  "bits", "N", BS_ARG_UINT, LOC, NULL, "bits of the RSA key, 2048 to 8192 (default: 3072)", 0      \
 }

static const struct bs_arg ca_issue_client_args[] = {
	{ "identity", "IDENTITY", BS_ARG_IDENTITY, POS | REQ | LOC, NULL,
	  "client identity, best a mail address", 0 },
	CA_DIR,
	CA_OUT,
	END,
};

static const struct bs_arg ca_issue_server_args[] = {
	{ "host", "HOST", BS_ARG_TEXT, POS | REQ | REP | LOC, NULL,
	  "host names and IP addresses of the server", 0 },
	CA_DIR,
	CA_OUT,
	END,
};

static const struct bs_arg ca_revoke_args[] = {
	{ "what", "SERIAL|NAME", BS_ARG_TEXT, POS | REQ | LOC, NULL,
	  "serial number in hex, or an identity or host: all its certificates", 0 },
	CA_DIR,
	{ "reason", "REASON", BS_ARG_CHOICE, LOC, "unspecified|key-compromise|superseded|cessation",
	  "as the CRL says it", 0 },
	{ "crl-days", "N", BS_ARG_UINT, LOC, NULL, "the CRL is good for so long (default: 30)", 0 },
	{ "no-server", NULL, BS_ARG_FLAG, LOC, NULL, "do not tell the server", 0 },
	END,
};

static const struct bs_arg ca_crl_args[] = {
	CA_DIR,
	{ "crl-days", "N", BS_ARG_UINT, LOC, NULL, "the CRL is good for so long (default: 30)", 0 },
	{ "if-due", NULL, BS_ARG_FLAG, LOC, NULL, "only when less than a third of its time is left",
	  0 },
	END,
};

static const struct bs_arg ca_list_args[] = {
	CA_DIR,
	END,
};

static const struct bs_arg ca_trust_args[] = {
	{ "file", "FILE", BS_ARG_FILE, POS | REQ | LOC, NULL, "CA certificate (PEM)", 0 },
	{ "name", "NAME", BS_ARG_TEXT, 0, NULL, "name in lists (default: its subject)", 0 },
	{ "der", NULL, BS_ARG_HEX, WIRE, NULL, "the certificate", 0 },
	END,
};

static const struct bs_arg ca_distrust_args[] = {
	{ "ca-fp", "HEX", BS_ARG_HEX32, POS | REQ, NULL, "SHA-256 of the CA certificate", 0 },
	END,
};

static const struct bs_arg conf_check_args[] = {
	{ "file", "FILE", BS_ARG_FILE, POS | LOC, NULL, "file to check (default: that of --conf)",
	  0 },
	END,
};

static const struct bs_arg db_backup_args[] = {
	{ "file", "FILE", BS_ARG_FILE, POS | REQ, NULL, "new file; the server's user writes it",
	  0 },
	END,
};

static const struct bs_arg db_restore_args[] = {
	{ "file", "FILE", BS_ARG_FILE, POS | REQ, NULL, "file made by db backup", 0 },
	END,
};

static const struct bs_arg log_level_args[] = {
	{ "level", "LEVEL", BS_ARG_CHOICE, POS, "error|warning|notice|info|debug",
	  "new level; without it the level is shown", 0 },
	END,
};

static const struct bs_arg help_args[] = {
	{ "word", "COMMAND", BS_ARG_TEXT, POS | REP | LOC, NULL, "words of a command", 0 },
	END,
};

#define LIVE    BS_CMD_LIVE
#define LOCAL   BS_CMD_LOCAL
#define CHANGES BS_CMD_CHANGES
#define LIST    BS_CMD_LIST

static const struct bs_command table[] = {
	{ "status", LIVE, none,
	  "what the server is doing, its ports and limits, whether it is ready" },
	{ "stats", LIVE, stats_args, "all counters, summed over the workers" },
	{ "device add", CHANGES, device_add_args, "register a device and give it a secret" },
	{ "device import", CHANGES | BS_CMD_UPLOAD, device_import_args,
	  "register many devices at once, all or none" },
	{ "device export", LIST, device_export_args, "write devices in a form that imports again" },
	{ "device list", LIST, device_list_args, "list devices" },
	{ "device show", 0, device_one, "all about one device, with its attachment" },
	{ "device enable", CHANGES, device_many, "let devices attach" },
	{ "device disable", CHANGES, device_many,
	  "refuse devices and end their attachments and connections" },
	{ "device delete", CHANGES, device_many,
	  "forget devices and end their attachments and connections" },
	{ "device tag", CHANGES, device_tag_args, "add and remove tags" },
	{ "device rotate-key", CHANGES, device_rotate_args,
	  "give a device a new secret beside the old one" },
	{ "device kick", CHANGES | LIVE, device_many,
	  "end the attachment of devices, which may attach again" },
	{ "client add", CHANGES, client_add_args,
	  "register a client, for groups or to bind it to a CA or key" },
	{ "client list", LIST, cursor_only, "list clients" },
	{ "client show", 0, client_one, "all about one client" },
	{ "client enable", CHANGES, client_one, "accept a client again" },
	{ "client disable", CHANGES, client_one, "refuse a client for now and end its sessions" },
	{ "client group", CHANGES, client_group_args, "join and leave groups" },
	{ "client revoke", CHANGES, client_revoke_args,
	  "refuse a client, key or certificate for good and end its sessions" },
	{ "client revoked", LIST, cursor_only, "list revocations" },
	{ "client delete", CHANGES, client_one, "forget the record of a client; not a revocation" },
	{ "access allow", CHANGES, access_rule_args, "let clients reach devices" },
	{ "access deny", CHANGES, access_rule_args, "keep clients from devices" },
	{ "access list", LIST, cursor_only, "list the rules" },
	{ "access check", 0, access_check_args,
	  "would this client reach this device, and which rule says so" },
	{ "access delete", CHANGES, access_delete_args, "delete a rule" },
	{ "ca init", LOCAL | CHANGES, ca_init_args, "make a certificate authority in a folder" },
	{ "ca issue client", LOCAL | CHANGES, ca_issue_client_args, "issue a client certificate" },
	{ "ca issue server", LOCAL | CHANGES, ca_issue_server_args,
	  "issue the server's certificate" },
	{ "ca revoke", LOCAL | CHANGES, ca_revoke_args,
	  "revoke certificates in the CRL and at the running server" },
	{ "ca list", LOCAL, ca_list_args, "list the certificates that the authority has issued" },
	{ "ca crl", LOCAL | CHANGES, ca_crl_args, "sign the CRL anew" },
	{ "ca trust", CHANGES, ca_trust_args,
	  "accept client certificates of another CA, kept in the registry" },
	{ "ca distrust", CHANGES, ca_distrust_args, "no longer accept a CA of the registry" },
	{ "ca trusted", LIST, cursor_only, "list the CAs of the registry" },
	{ "attempt list", LIVE, attempt_list_args,
	  "the latest connection attempts, what came of them and why" },
	{ "attempt explain", LIVE, attempt_explain_args, "one connection attempt step by step" },
	{ "relay status", LIVE, none, "what the relay carries, and its limits" },
	{ "relay list", LIVE, relay_list_args, "relayed connections, the heaviest first" },
	{ "conf check", LOCAL, conf_check_args, "check a conf file" },
	{ "conf show", 0, none, "the conf in force" },
	{ "conf reload", CHANGES | LIVE, none, "read the conf again and say what changed" },
	{ "db backup", CHANGES, db_backup_args, "copy the database while it is in use" },
	{ "db restore", CHANGES | BS_CMD_OFFLINE, db_restore_args,
	  "put a copy in place of the database" },
	{ "db check", 0, none, "check every record and index of the database" },
	{ "log level", CHANGES | LIVE, log_level_args,
	  "show or change the log level until the next restart" },
	{ "stop", CHANGES | LIVE, none, "stop the server cleanly" },
	{ "drain", CHANGES | LIVE, drain_args, "send devices and clients away, and let nobody in" },
	{ "upgrade", CHANGES | LIVE, none, "let a new basestationd take over in place" },
	{ "help", LOCAL, help_args, "show the commands, or the usage of one" },
};

const struct bs_command *bs_command_all(size_t *n)
{
	*n = sizeof(table) / sizeof(table[0]);
	return table;
}
