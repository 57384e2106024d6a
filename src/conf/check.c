/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/snapshot.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "conf/schema.h"
#include "util/endpoint.h"

struct check {
	const struct bs_conf *conf;
	const struct bs_conf_place *places;
	const char *file;
	struct bs_conf_error *error;
};

/* The message stands at the first of the keys that the file sets. */
static int fail(const struct check *c, const char *key, const char *other, const char *text)
{
	const char *keys[] = { key, other };

	for (size_t i = 0; i < 2 && c->places != NULL; i++) {
		const struct bs_conf_key *k = keys[i] ? bs_conf_schema_find(keys[i]) : NULL;
		const struct bs_conf_place *p = k ? &c->places[k - bs_conf_schema] : NULL;

		if (p == NULL || p->line == 0)
			continue;
		snprintf(c->error->text, sizeof(c->error->text), "%s:%d: %s: %s", p->file, p->line,
			 keys[i], text);
		return BS_ECONF;
	}
	snprintf(c->error->text, sizeof(c->error->text), "%s: %s: %s", c->file, key, text);
	return BS_ECONF;
}

static int check_needs(const struct check *c, const char *key, const char *value,
		       const char *needed_key, const char *needed)
{
	char text[256];

	if (value == NULL || needed != NULL)
		return BS_OK;
	snprintf(text, sizeof(text), "needs %s beside it; add that key or take this one out",
		 needed_key);
	return fail(c, key, NULL, text);
}

static int check_gate(const struct check *c)
{
	const struct bs_conf *f = c->conf;
	const struct {
		const char *key;
		const char *value;
		const char *needed_key;
		const char *needed;
	} rows[] = {
		{ "server-certificate", f->server_certificate, "server-key", f->server_key },
		{ "server-certificate", f->server_certificate, "client-ca", f->client_ca },
		{ "server-key", f->server_key, "server-certificate", f->server_certificate },
		{ "client-ca", f->client_ca, "server-certificate", f->server_certificate },
		{ "client-crl", f->client_crl, "client-ca", f->client_ca },
		{ "server-certificate-ecdsa", f->server_certificate_ecdsa, "server-key-ecdsa",
		  f->server_key_ecdsa },
		{ "server-key-ecdsa", f->server_key_ecdsa, "server-certificate-ecdsa",
		  f->server_certificate_ecdsa },
		{ "server-certificate-ecdsa", f->server_certificate_ecdsa, "server-certificate",
		  f->server_certificate },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err = check_needs(c, rows[i].key, rows[i].value, rows[i].needed_key,
				      rows[i].needed);

		if (err != BS_OK)
			return err;
	}
	return BS_OK;
}

static int check_times(const struct check *c)
{
	const struct bs_conf *f = c->conf;

	if (f->alive_unreachable <= f->alive_interval)
		return fail(c, "alive-unreachable", "alive-interval",
			    "alive-unreachable must be longer than alive-interval");
	if (f->alive_timeout < f->alive_unreachable)
		return fail(c, "alive-timeout", "alive-unreachable",
			    "alive-timeout must not be shorter than alive-unreachable");
	if (f->alive_max < f->alive_min)
		return fail(c, "alive-max", "alive-min",
			    "alive-max must not be shorter than alive-min");
	if (f->connect_retry >= f->connect_timeout)
		return fail(c, "connect-retry", "connect-timeout",
			    "connect-retry must be shorter than connect-timeout");
	if (f->probe_wait >= f->connect_timeout)
		return fail(c, "probe-wait", "connect-timeout",
			    "probe-wait must be shorter than connect-timeout");
	return BS_OK;
}

static int check_socket_path(const struct check *c)
{
	struct sockaddr_un sa;
	char text[128];

	if (strlen(c->conf->control_socket) < sizeof(sa.sun_path))
		return BS_OK;
	snprintf(text, sizeof(text),
		 "is longer than %zu bytes, the most that a socket's path may have",
		 sizeof(sa.sun_path) - 1);
	return fail(c, "control-socket", NULL, text);
}

static int check_tables(const struct check *c)
{
	const struct bs_conf *f = c->conf;

	if (f->listen.n == 0)
		return fail(c, "listen", NULL, "names no address; take the key out or name one");
	if (f->pending_per_id > f->pending_entries)
		return fail(c, "pending-per-id", "pending-entries",
			    "pending-per-id must not be greater than pending-entries");
	if (f->pending_per_prefix > f->pending_entries)
		return fail(c, "pending-per-prefix", "pending-entries",
			    "pending-per-prefix must not be greater than pending-entries");
	if (f->workers > f->max_devices)
		return fail(c, "max-devices", "workers",
			    "max-devices must not be less than workers");
	return BS_OK;
}

int bs__conf_check(const struct bs_conf *conf, const struct bs_conf_place *places, const char *file,
		   struct bs_conf_error *error)
{
	struct check c = { .conf = conf, .places = places, .file = file, .error = error };
	int (*const checks[])(const struct check *) = {
		check_gate,
		check_times,
		check_socket_path,
		check_tables,
	};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		int err = checks[i](&c);

		if (err != BS_OK)
			return err;
	}
	return BS_OK;
}
