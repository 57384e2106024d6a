/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basestation/version.h"

enum kind {
	TEXT,
	NUMBER,
};

/** One table for option, plans and help. */
static const struct {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *arg;
	const char *help;
} keys[] = {
#define KEY_TEXT(field, name, arg, help)                                                           \
 {                                                                                                 \
  name, TEXT, offsetof(struct plan, field), arg, help                                              \
 }
#define KEY_NUMBER(field, name, arg, help)                                                         \
 {                                                                                                 \
  name, NUMBER, offsetof(struct plan, field), arg, help                                            \
 }
	KEY_TEXT(server, "server", "IP[:PORT]", "the controller's address; 127.0.0.1:5566"),
	KEY_NUMBER(pid, "pid", "PID", "account this process, the server's"),
	KEY_TEXT(json, "json", "FILE", "write the report as JSON, too; - is standard output"),
	KEY_NUMBER(progress, "progress", "SECONDS",
		   "a line on standard error so often; 1, 0 = never"),
	KEY_NUMBER(devices, "devices", "N", "simulated devices"),
	KEY_TEXT(prefix, "prefix", "TEXT", "what their ids begin with; load-"),
	KEY_TEXT(domain, "domain", "NAME", "what their ids end with; p2p.test"),
	KEY_NUMBER(first, "first", "N", "number of the first; 0"),
	KEY_NUMBER(seed, "seed", "N", "of their secrets; 1"),
	KEY_TEXT(source, "source", "IP",
		 "address of the first, the next have the next; 127.16.0.1"),
	KEY_NUMBER(shared, "shared", "N", "all of them behind so many addresses instead"),
	KEY_NUMBER(sockets, "sockets", "N", "UDP sockets, each a port; 4"),
	KEY_NUMBER(offer, "offer", "BITS", "extensions that they offer, as a number; 0"),
	KEY_NUMBER(nap, "nap", "SECONDS", "sleep so long instead of being woken; 0"),
	KEY_NUMBER(patience, "patience", "SECONDS", "a device's own keepalive timer; 13"),
	KEY_NUMBER(interval, "interval", "SECONDS", "the server's keepalive interval; 10"),
	KEY_NUMBER(rate, "rate", "N", "attaches begun per second; 0 = as the window allows"),
	KEY_NUMBER(window, "window", "N", "attaches under way at once; 1024"),
	KEY_NUMBER(deadline, "deadline", "SECONDS",
		   "give up when no device attaches for so long; 90"),
	KEY_NUMBER(settle, "settle", "SECONDS", "pause before measuring; 0"),
	KEY_NUMBER(seconds, "seconds", "SECONDS", "how long to measure; 10"),
	KEY_NUMBER(repeat, "repeat", "N", "measure so many times in a row; 1"),
	KEY_NUMBER(again, "again", "0|1", "a device that has attached starts over at once"),
	KEY_NUMBER(leg, "leg", "0|1", "then it skips the controller and the first keepalive"),
	KEY_NUMBER(storm, "storm", "0|1", "all devices start over at the same moment"),
	KEY_NUMBER(polls, "polls", "N", "devices that poll per second"),
	KEY_NUMBER(churn, "churn", "N", "devices per second that go away"),
	KEY_NUMBER(away, "away", "SECONDS", "how long they stay away; 10"),
	KEY_NUMBER(restarts, "restarts", "N", "devices per second that start over"),
	KEY_NUMBER(rebinds, "rebinds", "N", "devices per second that get another port"),
	KEY_TEXT(forge, "forge", "KIND",
		 "forged packets: unknown, known, target, prefix, cgnat, alive or attach"),
	KEY_NUMBER(forged, "forged", "N", "of them per second"),
	KEY_NUMBER(target, "target", "N", "number of the device whose id is forged; 0"),
	KEY_TEXT(forge_source, "forge-source", "IP", "first address of the forgers; 127.128.0.1"),
	KEY_TEXT(attach_server, "attach-server", "IP:PORT",
		 "where forged packets go, too; what the devices were told"),
	KEY_TEXT(gate, "gate", "IP[:PORT]", "the client gate's address; 127.0.0.1:5571"),
	KEY_TEXT(server_name, "server-name", "NAME", "in the gate's certificate; localhost"),
	KEY_TEXT(ca, "ca", "FILE", "its CA (PEM)"),
	KEY_TEXT(cert, "cert", "FILE", "the clients' certificate chain (PEM)"),
	KEY_TEXT(key, "key", "FILE", "its key (PEM)"),
	KEY_TEXT(tls, "tls", "1.2|1.3|any", "version; any"),
	KEY_TEXT(alpn, "alpn", "TEXT", "protocol asked for, - = none; basestation/1"),
	KEY_TEXT(client_source, "client-source", "IP", "first address of the clients; 127.200.0.1"),
	KEY_NUMBER(client_addresses, "client-addresses", "N", "addresses of the clients; 64"),
	KEY_NUMBER(clients, "clients", "N", "visitors under way at once: handshake, and leave"),
	KEY_NUMBER(handshakes, "handshakes", "N", "visits per second; 0 = one after the other"),
	KEY_NUMBER(resume, "resume", "0|1", "visitors resume a session"),
	KEY_NUMBER(hello, "hello", "0|1", "visitors open a session before they leave"),
	KEY_NUMBER(abandon, "abandon", "0|1", "visitors leave in the middle of the handshake"),
	KEY_NUMBER(sessions, "sessions", "N", "clients that stay"),
	KEY_NUMBER(connects, "connects", "N", "connections per second that they ask for"),
#undef KEY_TEXT
#undef KEY_NUMBER
};

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

/* Names and values of options, in pairs. */
#define SET_MAX 64

static const struct {
	const char *name;
	const char *help;
	const char *set[SET_MAX];
} plans[] = {
	{ "steady", "attach, then answer keepalives", { "devices", "1000" } },
	{ "ramp",
	  "attach at a rate, and no more",
	  { "devices", "1000", "rate", "1000", "seconds", "0" } },
	{ "attach",
	  "attach over and over, as fast as the server can",
	  { "devices", "1000", "again", "1" } },
	{ "storm",
	  "all devices start over at once",
	  { "devices", "1000", "storm", "1", "window", "65536" } },
	{ "poll",
	  "steady, and some poll: times the answers",
	  { "devices", "1000", "polls", "100" } },
	{ "churn",
	  "steady, and devices go away and come back",
	  { "devices", "1000", "churn", "10" } },
	{ "restart", "steady, and devices start over", { "devices", "1000", "restarts", "10" } },
	{ "rebind",
	  "steady, and routers change their mind",
	  { "devices", "1000", "rebinds", "10" } },
	{ "flood",
	  "steady, some poll, and forged packets",
	  { "devices", "1000", "polls", "100", "forge", "unknown", "forged", "10000" } },
	{ "handshake", "clients come, shake hands and leave", { "clients", "16" } },
	{ "abandon",
	  "clients come and leave in the middle of the handshake",
	  { "clients", "64", "abandon", "1" } },
	{ "sessions", "clients come and stay", { "sessions", "1000", "seconds", "5" } },
	{ "soak",
	  "churn, polls and connections together, for long",
	  { "devices", "1000", "churn", "10", "polls", "50", "sessions", "5", "connects", "1",
	    "seconds", "60", "repeat", "5" } },
	{ "size",
	  "measure a server with few devices, tell what this machine could hold",
	  { "devices", "20000", "progress", "0" } },
	{ "connect",
	  "steady, and clients ask for connections",
	  { "devices", "1000", "sessions", "10", "connects", "100" } },
};

#define N_PLANS (sizeof(plans) / sizeof(plans[0]))

static const char *const defaults[SET_MAX] = {
	"server",
	"127.0.0.1:5566",
	"progress",
	"1",
	"prefix",
	"load-",
	"domain",
	"p2p.test",
	"seed",
	"1",
	"source",
	"127.16.0.1",
	"sockets",
	"4",
	"interval",
	"10",
	"window",
	"1024",
	"deadline",
	"90",
	"seconds",
	"10",
	"gate",
	"127.0.0.1:5571",
	"server-name",
	"localhost",
	"tls",
	"any",
	"alpn",
	"basestation/1",
	"client-source",
	"127.200.0.1",
	"client-addresses",
	"64",
	"forge-source",
	"127.128.0.1",
	"repeat",
	"1",
	"away",
	"10",
};

static void usage(void)
{
	(void)printf("usage: bsload PLAN [options]\n"
		     "       bsload ids --devices N [options]\n\n"
		     "plans, which are options chosen before:\n");
	for (size_t i = 0; i < N_PLANS; i++)
		(void)printf("  %-10s %s\n", plans[i].name, plans[i].help);
	(void)printf("  %-10s %s\n", "ids", "print ids and secrets for bsctl device import");
	(void)printf("\noptions of every plan:\n");
	for (size_t k = 0; k < N_KEYS; k++)
		(void)printf("  --%-12s %-10s %s\n", keys[k].name, keys[k].arg, keys[k].help);
	(void)printf("  --%-23s %s\n  --%-23s %s\n", "help", "this text", "version", "version");
}

/* A number with k or M behind it, as people write populations. */
static bool read_number(const char *text, double *out)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || !isfinite(v) || v < 0)
		return false;
	if (*end == 'k') {
		v *= 1e3;
		end++;
	} else if (*end == 'M') {
		v *= 1e6;
		end++;
	}
	if (*end != '\0' || v > 9e15)
		return false;
	*out = v;
	return true;
}

static int set(struct plan *p, size_t k, const char *value)
{
	if (keys[k].kind == TEXT) {
		*(const char **)(void *)((char *)p + keys[k].offset) = value;
		return STATUS_OK;
	}
	if (read_number(value, (double *)(void *)((char *)p + keys[k].offset)))
		return STATUS_OK;
	(void)fprintf(stderr, "bsload: --%s: %s is no number of 0 or more\n", keys[k].name, value);
	return STATUS_USAGE;
}

/* Our own tables name existing keys and good values only; a test walks all plans. */
static int set_all(struct plan *p, const char *const *pairs)
{
	for (size_t i = 0; i < SET_MAX && pairs[i]; i += 2) {
		size_t k = 0;

		while (k < N_KEYS && strcmp(keys[k].name, pairs[i]) != 0)
			k++;
		if (k == N_KEYS || set(p, k, pairs[i + 1]) != STATUS_OK)
			return STATUS_USAGE;
	}
	return STATUS_OK;
}

static int begin_plan(struct plan *p, const char *name)
{
	memset(p, 0, sizeof(*p));
	if (set_all(p, defaults) != STATUS_OK)
		return STATUS_USAGE;
	p->name = name;
	if (strcmp(name, "ids") == 0)
		return STATUS_OK;
	for (size_t i = 0; i < N_PLANS; i++)
		if (strcmp(plans[i].name, name) == 0)
			return set_all(p, plans[i].set);
	(void)fprintf(stderr, "bsload: there is no plan %s; try bsload --help\n", name);
	return STATUS_USAGE;
}

/* What cannot be told from one option alone. */
static int check(const struct plan *p)
{
	const char *bad = NULL;

	if (p->devices > 16e6 || p->first > 4e9)
		bad = "--devices: 16 million at most, addresses out of 127/8 do not reach further";
	else if (p->sockets < 1 || p->sockets > 512)
		bad = "--sockets: 1 to 512";
	else if (p->window < 1 || p->window > 16e6)
		bad = "--window: 1 to 16 million";
	else if (p->rebinds > 0 && p->sockets < 2)
		bad = "--rebinds needs two sockets or more, since another port is another socket";
	else if (p->shared > 0 && (p->rebinds > 0 || p->shared > 65536))
		bad = "--shared: at most 65536 addresses, and not with --rebinds";
	else if (p->clients + p->sessions > 1e6 || p->client_addresses < 1)
		bad = "--clients, --sessions: a million at most, from one address at least";
	else if (p->forged > 0 && !p->forge)
		bad = "--forged needs --forge";
	else if (p->connects > 0 && (p->sessions < 1 || p->devices < 1))
		bad = "--connects needs --sessions that ask and --devices that answer";
	else if (p->repeat < 1 || p->repeat > 64)
		bad = "--repeat: 1 to 64";
	else if (p->nap < 0 || p->nap > 0.1)
		bad = "--nap: 0.1 seconds at most";
	else if (p->patience > 60)
		bad = "--patience: 60 seconds at most";
	if (bad)
		(void)fprintf(stderr, "bsload: %s\n", bad);
	return bad ? STATUS_USAGE : STATUS_OK;
}

static int read_options(struct plan *p, int argc, char **argv)
{
	struct option longs[N_KEYS + 1];
	int at = 0;
	int c;

	for (size_t k = 0; k < N_KEYS; k++)
		longs[k] = (struct option){ keys[k].name, required_argument, NULL, 0 };
	longs[N_KEYS] = (struct option){ NULL, 0, NULL, 0 };
	while ((c = getopt_long(argc, argv, "", longs, &at)) != -1) {
		if (c != 0) {
			(void)fprintf(stderr, "bsload: try bsload --help\n");
			return STATUS_USAGE;
		}
		if (set(p, (size_t)at, optarg) != STATUS_OK)
			return STATUS_USAGE;
	}
	if (optind < argc) {
		(void)fprintf(stderr, "bsload: %s: options only, behind the plan\n", argv[optind]);
		return STATUS_USAGE;
	}
	return check(p);
}

int plan_read(struct plan *p, int argc, char **argv)
{
	int status;

	if (argc < 2) {
		(void)fprintf(stderr, "bsload: which plan? try bsload --help\n");
		return STATUS_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		usage();
		return -1;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		(void)printf("bsload %s\n", BS_VERSION);
		return -1;
	}
	status = begin_plan(p, argv[1]);
	return status == STATUS_OK ? read_options(p, argc - 1, argv + 1) : status;
}
