/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Largest conf file: ten short lines. */
#define FILE_MAX_LEN       65536
#define TIMEOUT_DEFAULT_MS 30000
/** Value of an option without a letter. */
#define LONG_STDIO 256

/** One table for the option, the variable and the line of the file. */
static const struct {
	const char *name;
	const char *env;
	size_t offset;
	char letter;
	const char *arg;
	const char *help;
} keys[] = {
	{ "server", "BSCONNECT_SERVER", offsetof(struct options, server), 's', "HOST[:PORT]",
	  "the basestation; port 5571 by default" },
	{ "server-name", "BSCONNECT_SERVER_NAME", offsetof(struct options, server_name), 'N',
	  "NAME", "name in its certificate, when it is not HOST" },
	{ "ca", "BSCONNECT_CA", offsetof(struct options, ca), 'a', "FILE",
	  "trusted CAs (PEM); the system's by default" },
	{ "crl", "BSCONNECT_CRL", offsetof(struct options, crl), 'r', "FILE",
	  "revocation lists (PEM)" },
	{ "pin", "BSCONNECT_PIN", offsetof(struct options, pin), 'p', "HEX",
	  "SHA-256 of the server's public key, instead of CAs" },
	{ "cert", "BSCONNECT_CERT", offsetof(struct options, cert), 'c', "FILE",
	  "our certificate chain (PEM)" },
	{ "key", "BSCONNECT_KEY", offsetof(struct options, key), 'k', "FILE", "its key (PEM)" },
	{ "interface", "BSCONNECT_INTERFACE", offsetof(struct options, interface), 'i', "FILE",
	  "query interface file (XML)" },
	{ "timeout", "BSCONNECT_TIMEOUT", offsetof(struct options, timeout), 't', "SECONDS",
	  "to connect, and again for an answer; 30 by default" },
	{ "dns", "BSCONNECT_DNS", offsetof(struct options, dns), 'd', "ADDR:PORT",
	  "name server, instead of the system's" },
	{ "relay", "BSCONNECT_RELAY", offsetof(struct options, relay_word), 'R', "WORD",
	  "auto, off, only, tcp or tls; auto by default" },
	{ "pairings", "BSCONNECT_PAIRINGS", offsetof(struct options, pairings), 'P', "FOLDER",
	  "pairing secrets; ~/.config/basestation/pairings by default" },
	{ "pairing-secret-file", "BSCONNECT_PAIRING_SECRET_FILE",
	  offsetof(struct options, pairing_secret_file), 'S', "FILE",
	  "for pair: what is printed on the device" },
	{ "name", "BSCONNECT_NAME", offsetof(struct options, name), 'M', "NAME",
	  "for pair: ours in the device's access list" },
	{ "ticket-file", "BSCONNECT_TICKET_FILE", offsetof(struct options, ticket_file), 'T',
	  "FILE", "keep a connect ticket there, and use it: no TLS next time" },
	{ "local-port", "BSCONNECT_LOCAL_PORT", offsetof(struct options, local_port_text), 'L',
	  "PORT", "of devices on the local network; 5570 by default" },
};

#define N_KEYS (sizeof keys / sizeof keys[0])

static const char **slot(struct options *o, size_t k)
{
	return (const char **)(void *)((char *)o + keys[k].offset);
}

void options_usage(void)
{
	(void)printf("usage: bsconnect [options] rpc DEVICE QUERY [ARG=VALUE ...]\n"
		     "       bsconnect [options] info DEVICE\n"
		     "       bsconnect [options] list\n"
		     "       bsconnect [options] tunnel DEVICE [BIND:]PORT:HOST:HOSTPORT ...\n"
		     "       bsconnect [options] tunnel --stdio DEVICE HOST:PORT\n"
		     "       bsconnect [options] stream DEVICE [COMMAND]\n"
		     "       bsconnect [options] discover [DEVICE]\n"
		     "       bsconnect [options] pair DEVICE\n"
		     "       bsconnect [options] users list DEVICE\n"
		     "       bsconnect [options] users add DEVICE FINGERPRINT NAME\n"
		     "       bsconnect [options] users remove DEVICE FINGERPRINT\n"
		     "       bsconnect [options] users rights DEVICE FINGERPRINT RIGHTS\n\n");
	for (size_t k = 0; k < N_KEYS; k++)
		(void)printf("  -%c, --%-12s %-12s %s\n", keys[k].letter, keys[k].name, keys[k].arg,
			     keys[k].help);
	(void)printf("  -j, --json                      JSON from info and list, too\n"
		     "  -n, --no-retry                  send the query once only\n"
		     "  -l, --local                     only on the local network\n"
		     "  -C, --plain                     there, in the clear: no secrets\n"
		     "  -Y, --legacy-query              there, rpc without a connection, for old\n"
		     "                                  devices\n"
		     "      --stdio                     tunnel standard input and output\n"
		     "  -q, --quiet                     no progress\n"
		     "  -v, --verbose                   details on standard error: addresses,\n"
		     "                                  NATs and the way of each attempt\n"
		     "  -h, --help                      this text\n"
		     "  -V, --version                   version\n\n"
		     "The long names are also keys of ~/.config/basestation/bsconnect.conf and,\n"
		     "as BSCONNECT_SERVER and so on, of the environment.  See bsconnect(1).\n");
}

static int complain(const char *where, const char *what)
{
	(void)fprintf(stderr, "bsconnect: %s: %s\n", where, what);
	return STATUS_USAGE;
}

/** Long options and the short ones' string, from the table. */
static int read_arguments(struct options *o, int argc, char **argv)
{
	struct option longs[N_KEYS + 11];
	char shorts[2 * N_KEYS + 11];
	static const struct option flags[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "no-retry", no_argument, NULL, 'n' },
		{ "local", no_argument, NULL, 'l' },
		{ "plain", no_argument, NULL, 'C' },
		{ "legacy-query", no_argument, NULL, 'Y' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "stdio", no_argument, NULL, LONG_STDIO },
		{ NULL, 0, NULL, 0 },
	};
	size_t n = 0;
	int c;

	for (size_t k = 0; k < N_KEYS; k++) {
		longs[k] = (struct option){ keys[k].name, required_argument, NULL, keys[k].letter };
		shorts[n++] = keys[k].letter;
		shorts[n++] = ':';
	}
	memcpy(longs + N_KEYS, flags, sizeof flags);
	memcpy(shorts + n, "jnlCYqvhV", sizeof "jnlCYqvhV");
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		switch (c) {
		case 'j': o->json = true; continue;
		case 'n': o->no_retry = true; continue;
		case 'l': o->local_only = true; continue;
		case 'C': o->plain = o->local_only = true; continue;
		case 'Y': o->legacy = o->local_only = true; continue;
		case 'q': o->quiet = true; continue;
		case 'v': o->verbose++; continue;
		case 'h': o->help = true; continue;
		case 'V': o->version = true; continue;
		case LONG_STDIO: o->stdio = true; continue;
		case '?':
			(void)fprintf(stderr, "bsconnect: try bsconnect --help\n");
			return STATUS_USAGE;
		default: break;
		}
		for (size_t k = 0; k < N_KEYS; k++)
			if (keys[k].letter == c)
				*slot(o, k) = optarg;
	}
	o->first = optind;
	return STATUS_OK;
}

static void read_environment(struct options *o)
{
	for (size_t k = 0; k < N_KEYS; k++) {
		const char *v = getenv(keys[k].env);

		if (*slot(o, k) == NULL && v != NULL && *v != '\0')
			*slot(o, k) = v;
	}
}

static char *trim(char *s)
{
	char *end = s + strlen(s);

	while (*s == ' ' || *s == '\t')
		s++;
	while (end > s && strchr(" \t\r", end[-1]) != NULL)
		*--end = '\0';
	return s;
}

/** One line of the file: key = value.  Options and environment come first. */
static int read_line(struct options *o, const char *path, unsigned number, char *line)
{
	char *key = trim(line);
	char *eq = strchr(key, '=');
	char where[640];

	if (*key == '\0' || *key == '#')
		return STATUS_OK;
	(void)snprintf(where, sizeof where, "%s:%u", path, number);
	if (eq == NULL)
		return complain(where, "expected key = value");
	*eq = '\0';
	key = trim(key);
	for (size_t k = 0; k < N_KEYS; k++)
		if (strcmp(key, keys[k].name) == 0) {
			if (*slot(o, k) == NULL)
				*slot(o, k) = trim(eq + 1);
			return STATUS_OK;
		}
	return complain(where, "unknown key; bsconnect --help lists them");
}

static int read_file(struct options *o)
{
	const char *base = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	bool xdg = base != NULL && *base != '\0';
	char path[512];
	unsigned number = 1;
	size_t len;
	FILE *f;

	if (!xdg && home == NULL)
		return STATUS_OK;
	(void)snprintf(path, sizeof path, "%s%s/basestation/bsconnect.conf", xdg ? base : home,
		       xdg ? "" : "/.config");
	f = fopen(path, "re");
	if (f == NULL)
		return errno == ENOENT || errno == ENOTDIR ? STATUS_OK
							   : complain(path, strerror(errno));
	o->file_text = malloc(FILE_MAX_LEN + 1);
	len = o->file_text == NULL ? 0 : fread(o->file_text, 1, FILE_MAX_LEN + 1, f);
	(void)fclose(f);
	if (o->file_text == NULL || len > FILE_MAX_LEN)
		return complain(path, "too large for this file");
	o->file_text[len] = '\0';
	for (char *line = o->file_text; line != NULL; number++) {
		char *next = strchr(line, '\n');
		int rc;

		if (next != NULL)
			*next++ = '\0';
		rc = read_line(o, path, number, line);
		if (rc != STATUS_OK)
			return rc;
		line = next;
	}
	return STATUS_OK;
}

/** host, host:port, v6 address, [v6]:port */
static int split_server(struct options *o)
{
	const char *s = o->server;
	const char *end = strrchr(s, ':');
	const char *host_end = end;
	unsigned long port = BSC_PORT;
	char *rest = NULL;

	if (*s == '[') {
		host_end = strchr(++s, ']');
		if (host_end == NULL || (host_end[1] != '\0' && host_end[1] != ':'))
			return complain("--server", "expected [ADDRESS]:PORT");
		end = host_end[1] == ':' ? host_end + 1 : NULL;
	} else if (end != NULL && strchr(s, ':') != end) {
		host_end = end = NULL; /* an IPv6 address without brackets */
	}
	if (host_end == NULL)
		host_end = s + strlen(s);
	if (end != NULL) {
		port = end[1] >= '0' && end[1] <= '9' ? strtoul(end + 1, &rest, 10) : 0;
		if (port == 0 || port > UINT16_MAX || *rest != '\0')
			return complain("--server", "the port must be a number of 1 to 65535");
	}
	if (host_end == s || (size_t)(host_end - s) >= sizeof o->host)
		return complain("--server", "expected HOST or HOST:PORT");
	memcpy(o->host, s, (size_t)(host_end - s));
	o->host[host_end - s] = '\0';
	o->port = (uint16_t)port;
	return STATUS_OK;
}

static int parse_pin(struct options *o)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";

	if (strlen(o->pin) != 2 * sizeof o->pin_bytes)
		return complain("--pin", "expected 64 hexadecimal digits");
	for (size_t k = 0; k < 2 * sizeof o->pin_bytes; k++) {
		const char *d = strchr(digits, o->pin[k]);

		if (d == NULL)
			return complain("--pin", "expected 64 hexadecimal digits");
		o->pin_bytes[k / 2] =
			(uint8_t)(o->pin_bytes[k / 2] << 4 | (uint8_t)((d - digits) % 16));
	}
	return STATUS_OK;
}

static int parse_timeout(struct options *o)
{
	char *rest;
	double s;

	o->timeout_ms = TIMEOUT_DEFAULT_MS;
	if (o->timeout == NULL)
		return STATUS_OK;
	s = strtod(o->timeout, &rest);
	if (rest == o->timeout || *rest != '\0' || !(s >= 0.1 && s <= 3600))
		return complain("--timeout", "expected 0.1 to 3600 seconds");
	o->timeout_ms = (uint32_t)(s * 1000);
	return STATUS_OK;
}

static int parse_relay(struct options *o)
{
	static const struct {
		const char *word;
		enum bsc_relay relay;
	} words[] = { { "auto", BSC_RELAY_AUTO },
		      { "off", BSC_RELAY_OFF },
		      { "only", BSC_RELAY_ONLY },
		      { "tcp", BSC_RELAY_TCP },
		      { "tls", BSC_RELAY_TLS } };

	o->relay = BSC_RELAY_AUTO;
	for (size_t k = 0; o->relay_word != NULL; k++) {
		if (k == sizeof words / sizeof words[0])
			return complain("--relay", "expected auto, off, only, tcp or tls");
		o->relay = words[k].relay;
		if (strcmp(o->relay_word, words[k].word) == 0)
			break;
	}
	return STATUS_OK;
}

/** Where pairing secrets are, and the port of devices. */
static int parse_local(struct options *o)
{
	const char *base = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	bool xdg = base != NULL && *base != '\0';
	char *rest = NULL;
	unsigned long port = 5570;

	(void)snprintf(o->folder, sizeof o->folder, "%s%s/basestation/pairings",
		       xdg            ? base
		       : home != NULL ? home
				      : ".",
		       xdg ? "" : "/.config");
	if (o->pairings == NULL)
		o->pairings = o->folder;
	if (o->local_port_text != NULL)
		port = strtoul(o->local_port_text, &rest, 10);
	if (port == 0 || port > UINT16_MAX || (rest != NULL && *rest != '\0'))
		return complain("--local-port", "the port must be a number of 1 to 65535");
	o->local_port = (uint16_t)port;
	return STATUS_OK;
}

/** discover and pair never ask the basestation, and anything may be told not to. */
static bool is_local(const struct options *o, int argc, char **argv)
{
	const char *command = o->first < argc ? argv[o->first] : "";

	return o->local_only || strcmp(command, "discover") == 0 || strcmp(command, "pair") == 0;
}

int options_read(struct options *o, int argc, char **argv)
{
	int rc;

	memset(o, 0, sizeof *o);
	rc = read_arguments(o, argc, argv);
	if (rc != STATUS_OK || o->help || o->version)
		return rc;
	read_environment(o);
	rc = read_file(o);
	if (rc != STATUS_OK)
		return rc;
	rc = parse_local(o);
	if (rc != STATUS_OK)
		return rc;
	if (is_local(o, argc, argv)) {
		o->local_only = true;
		return parse_timeout(o);
	}
	if (o->server == NULL)
		return complain("no basestation", "give --server HOST or set BSCONNECT_SERVER");
	if (o->cert == NULL || o->key == NULL)
		return complain("no client certificate", "give --cert FILE and --key FILE");
	rc = split_server(o);
	if (rc == STATUS_OK && o->pin != NULL)
		rc = parse_pin(o);
	if (rc == STATUS_OK)
		rc = parse_relay(o);
	return rc == STATUS_OK ? parse_timeout(o) : rc;
}

void options_fini(struct options *o)
{
	free(o->file_text);
}
