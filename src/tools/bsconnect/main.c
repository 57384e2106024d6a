/* SPDX-License-Identifier: Apache-2.0 */
/* bsconnect - call a device from the command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "basestation/version.h"
#include "pairings.h"
#include "run.h"
#include "secret_file.h"

/** Most arguments of a query: no device takes more than 200 bytes. */
#define ARGS_MAX 200

/** The one query that every device with an interface answers (basestation-wire(7), QUERIES). */
static const char known[] =
	"<unabto_queries><query name='get_interface_info.json' id='0'><request/><response>"
	"<parameter name='interface_id' type='raw'/>"
	"<parameter name='interface_version_major' type='uint16'/>"
	"<parameter name='interface_version_minor' type='uint16'/>"
	"</response></query></unabto_queries>";

static void on_log(void *arg, const char *line)
{
	(void)arg;
	(void)fprintf(stderr, "bsconnect: %s\n", line);
}

static void show(struct run *r, enum bsc_progress step)
{
	if (r->o.verbose > 0)
		(void)fprintf(stderr, "bsconnect: %s\n", bsc_progress_name(step));
	report_progress(&r->o, step == BSC_PATH_FOUND || step == BSC_CLOSED
				       ? NULL
				       : bsc_progress_name(step));
}

void run_on_conn(void *arg, struct bsc_conn *c, enum bsc_progress step, const struct bsc_error *err)
{
	(void)c;
	(void)err;
	show(arg, step);
}

static void on_session(void *arg, struct bsc_session *s, enum bsc_progress step,
		       const struct bsc_error *err)
{
	struct run *r = arg;

	(void)s;
	(void)err;
	/* With a device in view the connection tells the same steps. */
	if (r->word == NULL || r->n == 0)
		show(r, step);
}

/** Pairing secrets: also what the library looks for on the local network. */
static int on_pair(void *arg, const char *device, uint8_t *id, uint8_t *secret)
{
	const struct run *r = arg;

	return pairings_load(r->o.pairings, device, id, secret);
}

static void on_ticket_save(void *arg, const uint8_t *data, size_t len)
{
	const struct run *r = arg;

	/* Complained about where it fails: the connection is none the worse for it. */
	if (len > 0)
		(void)secret_file_save(r->o.ticket_file, data, len);
	else
		(void)remove(r->o.ticket_file);
}

static size_t on_ticket_load(void *arg, uint8_t *data, size_t cap)
{
	const struct run *r = arg;
	bs_ssize n = secret_file_load(r->o.ticket_file,
				      "others may read this ticket; remove it, and have this "
				      "client revoked when they may have",
				      data, cap);

	return n > 0 ? (size_t)n : 0;
}

int run_open_session(struct run *r, struct bsc_error *err)
{
	struct bsc_config cfg;
	const struct options *o = &r->o;

	bsc_config_init(&cfg, sizeof cfg);
	cfg.local_only = o->local_only;
	cfg.server = o->local_only ? NULL : o->host;
	cfg.local_port = o->local_port;
	cfg.pair_fn = on_pair;
	cfg.pair_arg = r;
	if (!o->local_only)
		cfg.port = o->port;
	cfg.server_name = o->server_name;
	cfg.ca_file = o->ca;
	cfg.crl_file = o->crl;
	cfg.pin = o->pin == NULL ? NULL : o->pin_bytes;
	cfg.cert_file = o->cert;
	cfg.key_file = o->key;
	cfg.dns_servers = o->dns;
	cfg.relay = o->relay;
	cfg.rpc_timeout_ms = o->timeout_ms;
	if (o->timeout_ms < cfg.open_timeout_ms)
		cfg.open_timeout_ms = o->timeout_ms;
	cfg.no_reconnect = true;
	/* A program at a terminal has no battery to spare, and when it is killed the device shall
	 * have its connection back soon. */
	cfg.conn_keepalive_max_ms = cfg.conn_keepalive_ms;
	if (o->ticket_file != NULL) {
		cfg.ticket_save = on_ticket_save;
		cfg.ticket_load = on_ticket_load;
		cfg.ticket_arg = r;
	} else {
		/* One that ends with the program is of no use to it. */
		cfg.no_tickets = true;
	}
	cfg.session_fn = on_session;
	cfg.session_arg = r;
	cfg.log_fn = o->verbose > 0 ? on_log : NULL;
	return bsc_session_new(&cfg, &r->session, err);
}

int run_open_conn(struct run *r, const char *device, struct bsc_error *err)
{
	struct bsc_local how = { .len = sizeof how, .plain = r->o.plain };
	int rc = run_open_session(r, err);

	if (rc == BS_OK && r->o.local_only)
		rc = bsc_connect_local_wait(r->session, device, &how, run_on_conn, r, &r->conn,
					    err);
	else if (rc == BS_OK)
		rc = bsc_connect_wait(r->session, device, (int32_t)r->o.timeout_ms, run_on_conn, r,
				      &r->conn, err);
	report_progress(&r->o, NULL);
	return rc;
}

void run_close(struct run *r)
{
	bsc_conn_close_wait(r->conn, -1);
	bsc_session_free(r->session);
}

/* ---- rpc */

int run_ask(struct run *r, const struct bsc_query *q, const uint8_t *req, size_t len,
	    json_t **answer, struct bsc_error *err)
{
	uint8_t buf[BSC_RPC_ANSWER_MAX];
	size_t got;
	int rc = r->o.legacy ? run_ask_legacy(r, req, len, buf, sizeof buf, &got, err)
			     : bsc_rpc_wait(r->conn, req, len, r->o.no_retry ? BSC_RPC_NO_RETRY : 0,
					    buf, sizeof buf, &got, err);

	if (rc == BS_OK) {
		*answer = report_answer(q, buf, got, err);
		rc = *answer == NULL ? BS_EPROTO : BS_OK;
	}
	return rc;
}

/** The object that rpc prints, with an answer or an error.  Takes answer. */
static json_t *rpc_object(const struct run *r, const char *query, json_t *answer,
			  const struct bsc_error *err)
{
	json_t *j = json_pack("{s:s, s:s}", "device", r->word[0], "query", query);

	if (answer != NULL)
		(void)json_object_set_new(j, "answer", answer);
	else
		(void)json_object_set_new(j, "error", report_error(err));
	return j;
}

static int split_args(const struct run *r, struct bsc_arg *args, size_t *n)
{
	*n = 0;
	for (int k = 2; k < r->n; k++) {
		char *eq = strchr(r->word[k], '=');

		if (eq == NULL || eq == r->word[k] || *n == ARGS_MAX) {
			(void)fprintf(stderr, "bsconnect: \"%s\": expected ARG=VALUE\n",
				      r->word[k]);
			return STATUS_USAGE;
		}
		*eq = '\0';
		args[(*n)++] = (struct bsc_arg){ .name = r->word[k], .value = eq + 1 };
	}
	return STATUS_OK;
}

/** Find the query and encode it, before anything is sent. */
static int prepare(const struct run *r, struct bsc_interface **i, const struct bsc_query **q,
		   uint8_t *req, size_t *len)
{
	struct bsc_arg args[ARGS_MAX];
	struct bsc_error err;
	size_t n;
	int rc;

	if (r->o.interface == NULL) {
		(void)fprintf(stderr, "bsconnect: rpc: which queries does the device know? give "
				      "--interface FILE\n");
		return STATUS_USAGE;
	}
	rc = split_args(r, args, &n);
	if (rc != STATUS_OK)
		return rc;
	if (bsc_interface_load(r->o.interface, i, &err) != BS_OK)
		return report_failure(&err);
	*q = bsc_interface_find(*i, r->word[1]);
	if (*q == NULL) {
		(void)fprintf(stderr, "bsconnect: %s: has no query \"%s\"\n", r->o.interface,
			      r->word[1]);
		return STATUS_USAGE;
	}
	rc = bsc_query_encode(*q, args, n, req, BSC_RPC_REQUEST_SMALL, len, &err);
	return rc == BS_OK                         ? STATUS_OK
	       : report_failure(&err) == STATUS_OK ? STATUS_FAILED
						   : STATUS_USAGE;
}

static int run_rpc(struct run *r)
{
	uint8_t req[BSC_RPC_REQUEST_SMALL];
	struct bsc_interface *i = NULL;
	const struct bsc_query *q = NULL;
	json_t *answer = NULL;
	struct bsc_error err = { 0 };
	size_t len = 0;
	int status = prepare(r, &i, &q, req, &len);
	int rc;

	if (status == STATUS_OK) {
		rc = r->o.legacy ? run_open_session(r, &err) : run_open_conn(r, r->word[0], &err);
		if (rc == BS_OK)
			rc = run_ask(r, q, req, len, &answer, &err);
		if (rc != BS_OK)
			status = report_failure(&err);
		if (report_json(rpc_object(r, bsc_query_get_name(q), answer, &err)) != STATUS_OK)
			status = STATUS_FAILED;
	}
	run_close(r);
	bsc_interface_free(i);
	return status;
}

/* ---- info */

static void add_ext(json_t *list, uint32_t ext)
{
	static const char *const names[] = { "IP6",         "COOKIE",  "AUTH_ALIVE", "INTERVAL",
					     "RETRY",       "ATTEMPT", "CLOSE",      "GCM",
					     "FAST_STREAM", "PAIR",    "PATH" };

	for (unsigned k = 0; k < sizeof names / sizeof names[0]; k++)
		if (ext & 1u << k)
			(void)json_array_append_new(list, json_string(names[k]));
}

static json_t *hex_of(const uint8_t *b, size_t len)
{
	char text[2 * 32 + 1] = "";

	for (size_t k = 0; k < len && k < 32; k++)
		(void)snprintf(text + 2 * k, 3, "%02x", b[k]);
	return json_string(text);
}

static const char *path_name(enum bsc_path path)
{
	switch (path) {
	case BSC_PATH_LOCAL: return "local";
	case BSC_PATH_DIRECT: return "direct";
	case BSC_PATH_UDP_RELAY: return "relay";
	case BSC_PATH_TCP_RELAY: return "tcp-relay";
	case BSC_PATH_TLS_RELAY: return "tls-relay";
	default: return "none";
	}
}

static const char *suite_name(uint16_t suite)
{
	switch (suite) {
	case BS_SUITE_AES_GCM: return "AES-128-GCM";
	case BS_SUITE_AES_CBC: return "AES-128-CBC, HMAC-SHA-256";
	default: return "none";
	}
}

/** Everything that is known about the connection, as an object. */
static json_t *info_object(const struct bsc_conn_info *c, const struct bsc_session_info *s)
{
	json_t *ext = json_array();
	json_t *j;

	add_ext(ext, c->ext);
	j = json_pack("{s:s, s:s, s:s, s:s, s:f, s:i, s:o, s:i, s:s, s:b, s:b}", "device",
		      c->device, "path", path_name(c->path), "remote", c->remote, "local", c->local,
		      "rtt_ms", (double)c->rtt_us / 1000, "connect_ms", (int)c->connect_ms,
		      "extensions", ext, "packet_max", (int)c->packet_max, "suite",
		      suite_name(c->suite), "paired", (int)c->paired, "ticket", (int)c->by_ticket);
	(void)json_object_set_new(j, "attempt", hex_of(c->attempt, sizeof c->attempt));
	(void)json_object_set_new(j, "basestation",
				  json_pack("{s:s, s:s, s:s, s:s, s:b, s:f, s:s, s:s}", "address",
					    s->server, "node", s->node, "tls", s->tls, "cipher",
					    s->cipher, "resumed", s->resumed, "rtt_ms",
					    (double)s->rtt_us / 1000, "sees_tcp", s->tcp_seen,
					    "sees_udp", s->udp_seen));
	(void)json_object_set_new(j, "client",
				  json_pack("{s:s, s:o}", "identity", s->identity, "key_fp",
					    hex_of(s->key_fp, sizeof s->key_fp)));
	return j;
}

static void print_info(const struct bsc_conn_info *c, const struct bsc_session_info *s,
		       const json_t *j)
{
	const json_t *interface = json_object_get(j, "interface");
	const json_t *ext = json_object_get(j, "extensions");
	char text[320];

	report_text("device", c->device);
	(void)snprintf(text, sizeof text, "%s, %s", path_name(c->path), c->remote);
	report_text("path", text);
	(void)snprintf(text, sizeof text, "%.2f ms, connected in %u ms", (double)c->rtt_us / 1000,
		       (unsigned)c->connect_ms);
	report_text("round trip", text);
	text[0] = '\0';
	for (size_t k = 0; k < json_array_size(ext); k++)
		(void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
			       k > 0 ? " " : "", json_string_value(json_array_get(ext, k)));
	report_text("extensions", text[0] == '\0' ? "none" : text);
	(void)snprintf(text, sizeof text, "%s%s", suite_name(c->suite),
		       c->paired ? ", with a secret that the basestation does not know" : "");
	report_text("encryption", text);
	if (json_is_object(interface)) {
		const char *id = json_string_value(json_object_get(interface, "interface_id"));

		(void)snprintf(text, sizeof text, "%s %d.%d", id == NULL ? "(not text)" : id,
			       (int)json_integer_value(
				       json_object_get(interface, "interface_version_major")),
			       (int)json_integer_value(
				       json_object_get(interface, "interface_version_minor")));
		report_text("interface", text);
	} else
		report_text("interface", "not told");
	report_text("attempt", json_string_value(json_object_get(j, "attempt")));
	if (s->server[0] == '\0') {
		report_text("basestation", c->by_ticket ? "asked by ticket" : "not asked");
		report_text("client", s->identity);
		return;
	}
	(void)snprintf(text, sizeof text, "%s, node %s, %s%s", s->server, s->node, s->tls,
		       s->resumed ? " (resumed)" : "");
	report_text("basestation", text);
	(void)snprintf(text, sizeof text, "%s, seen from %s, UDP %s", s->identity, s->tcp_seen,
		       s->udp_seen[0] == '\0' ? "not seen" : s->udp_seen);
	report_text("client", text);
}

static int run_info(struct run *r)
{
	static const uint8_t req[4] = { 0, 0, 0, 0 };
	struct bsc_interface *i = NULL;
	struct bsc_session_info si;
	struct bsc_conn_info ci;
	struct bsc_error err = { 0 };
	json_t *interface = NULL;
	json_t *j;
	int status = STATUS_OK;
	int rc = run_open_conn(r, r->word[0], &err);

	if (rc != BS_OK) {
		status = report_failure(&err);
		if (r->o.json)
			(void)report_json(json_pack("{s:s, s:o}", "device", r->word[0], "error",
						    report_error(&err)));
		goto out;
	}
	/* Not every device answers this one; that is no failure. */
	if (bsc_interface_parse(known, sizeof known - 1, "built in", &i, &err) == BS_OK)
		(void)run_ask(r, bsc_interface_get(i, 0), req, sizeof req, &interface, &err);
	bsc_conn_get_info(r->conn, &ci);
	bsc_session_get_info(r->session, &si);
	j = info_object(&ci, &si);
	if (interface != NULL)
		(void)json_object_set_new(j, "interface", interface);
	if (r->o.json)
		status = report_json(j);
	else {
		print_info(&ci, &si, j);
		json_decref(j);
	}
out:
	run_close(r);
	bsc_interface_free(i);
	return status;
}

/* ---- list */

static const char *state_name(enum bsc_device_state s)
{
	return s == BSC_DEVICE_ONLINE ? "online" : s == BSC_DEVICE_OFFLINE ? "offline" : "unknown";
}

static void on_device(void *arg, const struct bsc_presence *p, const struct bsc_error *err)
{
	struct run *r = arg;
	time_t since = (time_t)(p->since_ms / 1000);
	char when[32] = "-";
	struct tm tm;

	(void)err;
	if (p->since_ms > 0 && gmtime_r(&since, &tm) != NULL)
		(void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
	report_progress(&r->o, NULL);
	if (r->o.json)
		(void)report_json(json_pack("{s:s, s:s, s:I}", "device", p->device, "state",
					    state_name(p->state), "since_ms",
					    (json_int_t)p->since_ms));
	else
		(void)printf("%-40s %-8s %s\n", p->device, state_name(p->state), when);
}

static int run_list(struct run *r)
{
	struct bsc_error err = { 0 };
	int status = STATUS_OK;
	int rc = run_open_session(r, &err);

	if (rc == BS_OK)
		rc = bsc_list_wait(r->session, (int32_t)r->o.timeout_ms, on_device, r, &err);
	report_progress(&r->o, NULL);
	if (rc != BS_OK) {
		status = report_failure(&err);
		if (r->o.json)
			(void)report_json(json_pack("{s:o}", "error", report_error(&err)));
	}
	run_close(r);
	return status;
}

static const struct {
	const char *name;
	int min; /**< words behind it */
	int max;
	int (*run)(struct run *r);
} commands[] = {
	{ "rpc", 2, 2 + ARGS_MAX, run_rpc },
	{ "info", 1, 1, run_info },
	{ "list", 0, 0, run_list },
	{ "discover", 0, 1, run_discover },
	{ "pair", 1, 1, run_pair },
	{ "users", 2, 4, run_users },
	{ "tunnel", 2, TUNNEL_WORDS_MAX, run_tunnel },
	{ "stream", 1, 2, run_stream },
};

int main(int argc, char **argv)
{
	struct run r = { 0 };
	int status = options_read(&r.o, argc, argv);
	const char *name;

	if (status == STATUS_OK && r.o.help) {
		options_usage();
		return STATUS_OK;
	}
	if (status == STATUS_OK && r.o.version) {
		(void)printf("bsconnect %s\n", BS_VERSION);
		return STATUS_OK;
	}
	if (status == STATUS_OK) {
		status = STATUS_USAGE;
		name = r.o.first < argc ? argv[r.o.first] : "";
		r.word = argv + r.o.first + 1;
		r.n = argc - r.o.first - 1;
		for (size_t k = 0; k < sizeof commands / sizeof commands[0]; k++)
			if (strcmp(name, commands[k].name) == 0 && r.n >= commands[k].min &&
			    r.n <= commands[k].max) {
				status = commands[k].run(&r);
				options_fini(&r.o);
				return status;
			}
		(void)fprintf(stderr,
			      "bsconnect: expected rpc DEVICE QUERY [ARG=VALUE ...], info "
			      "DEVICE, list, tunnel DEVICE PORT:HOST:PORT ..., stream DEVICE, "
			      "discover, pair DEVICE or users; try bsconnect --help\n");
	}
	options_fini(&r.o);
	return status;
}
