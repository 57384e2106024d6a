/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small certificate authority, for vendors who have none: it runs here, on files of the user;
 * the server learns of revocations only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctl/field.h"
#include "tools/bsctl/ca_dir.h"
#include "tools/bsctl/file.h"
#include "tools/bsctl/link.h"
#include "tools/bsctl/print.h"
#include "tools/bsctl/tool.h"

#define CA_DAYS   3650u
#define CERT_DAYS 365u
#define CRL_DAYS  30u
#define KEY_BITS  3072u
#define CSR_MAX   65536u

static const char *ca_path(const struct bs_tool *t)
{
	const char *dir = bs_tool_text(t, "dir");

	return dir ? dir : BS_CA_DIR;
}

static void print_result(const struct bs_tool *t, json_t *o)
{
	struct bs_print p;

	bs_print_init(&p, t->cmd->name, t->json);
	bs_print_end(&p, o);
	json_decref(o);
}

/* A number of days or bits that the table's type does not bound. */
static unsigned small(const struct bs_tool *t, const char *name, unsigned otherwise)
{
	uint64_t v = bs_tool_uint(t, name, otherwise);

	return v > 1000000 ? 1000000 : (unsigned)v;
}

static int crl_days(const struct bs_tool *t, unsigned *days, struct bs_ctl_error *e)
{
	*days = small(t, "crl-days", CRL_DAYS);
	if (*days >= 1 && *days <= 3650)
		return BS_CTL_OK;
	bs_ctl_error_set(e, BS_CTL_BAD_INPUT, "--crl-days", NULL,
			 "a CRL is good for 1 to 3650 days");
	return e->status;
}

/* ---- init */

static int make_folder(const char *path, mode_t mode, struct bs_ctl_error *e)
{
	if (mkdir(path, mode) == 0 || errno == EEXIST)
		return BS_CTL_OK;
	return bs_file_error(e, path, "cannot be made", errno);
}

static int write_root(const char *dir, const struct bs_ca_made *made, struct bs_ctl_error *e)
{
	struct bs_ca_dir d;
	char path[4096];
	int status = make_folder(dir, 0755, e);

	snprintf(d.path, sizeof(d.path), "%s", dir);
	if (status == BS_CTL_OK)
		status = make_folder(bs_ca_dir_file(&d, "issued", path), 0700, e);
	if (status == BS_CTL_OK)
		status = bs_file_write(bs_ca_dir_file(&d, "ca.key", path), 0600, false, made->key,
				       strlen(made->key), e);
	if (status == BS_CTL_OK)
		status = bs_file_write(bs_ca_dir_file(&d, "ca.crt", path), 0644, false, made->cert,
				       strlen(made->cert), e);
	if (status != BS_CTL_OK)
		return status;
	status = bs_ca_dir_open(&d, dir, true, e);
	if (status == BS_CTL_OK) {
		status = bs_ca_dir_crl(&d, CRL_DAYS, e);
		bs_ca_dir_close(&d);
	}
	return status;
}

int bs_run_ca_init(struct bs_tool *t, struct bs_ctl_error *e)
{
	const char *dir = ca_path(t);
	const char *name = bs_tool_text(t, "name");
	struct bs_ca_made made;
	char key[4096];
	char cert[4096];
	int status;

	snprintf(key, sizeof(key), "%s/ca.key", dir);
	snprintf(cert, sizeof(cert), "%s/ca.crt", dir);
	if (access(key, F_OK) == 0 || access(cert, F_OK) == 0) {
		bs_ctl_error_set(e, BS_CTL_EXISTS, dir, "name another folder with --dir",
				 "there is a certificate authority already");
		return e->status;
	}
	status = bs_ca_sign_root(name ? name : "basestation CA", small(t, "days", CA_DAYS),
				 small(t, "bits", KEY_BITS), &made, e);
	if (status == BS_CTL_OK && !t->dry_run)
		status = write_root(dir, &made, e);
	if (status == BS_CTL_OK)
		print_result(t, json_pack("{s:s,s:s,s:s,s:I}", "dir", dir, "certificate", cert,
					  "serial", made.serial, "not_after",
					  (json_int_t)made.not_after));
	bs_ca_made_fini(&made);
	return status;
}

/* ---- issue */

/* Where the files go: --out, or the authority's folder under a name that is safe as a file name. */
static void out_prefix(const struct bs_tool *t, const char *name, char *out, size_t cap)
{
	const char *prefix = bs_tool_text(t, "out");
	size_t at;

	if (prefix) {
		snprintf(out, cap, "%s", prefix);
		return;
	}
	snprintf(out, cap, "%s/issued/", ca_path(t));
	at = strlen(out);
	snprintf(out + at, cap - at, "%s", name);
	for (; out[at]; at++) {
		if (out[at] == '/' || out[at] == '*' || out[at] == ':')
			out[at] = '_';
	}
}

static int not_there(const char *path, struct bs_ctl_error *e)
{
	struct stat st;

	return lstat(path, &st) == 0 ? bs_file_error(e, path, "not written", EEXIST) : BS_CTL_OK;
}

static json_t *issue_record(const struct bs_ca_order *o, const struct bs_ca_made *m)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:I}", "op", "issue", "serial", m->serial,
			 "kind", o->server ? "server" : "client", "name", o->names[0], "not_before",
			 (json_int_t)m->not_before, "not_after", (json_int_t)m->not_after, "key_fp",
			 m->key_fp, "at", (json_int_t)time(NULL));
}

/* Key, record, certificate in this order: no certificate is out that the index does not know. */
static int issue(struct bs_tool *t, const struct bs_ca_order *o, struct bs_ctl_error *e)
{
	struct bs_ca_dir d;
	struct bs_ca_made made = { 0 };
	char prefix[4000];
	char crt[4096];
	char key[4096];
	int status = bs_ca_dir_open(&d, ca_path(t), true, e);

	if (status != BS_CTL_OK)
		return status;
	out_prefix(t, o->names[0], prefix, sizeof(prefix));
	snprintf(crt, sizeof(crt), "%s.crt", prefix);
	snprintf(key, sizeof(key), "%s.key", prefix);
	status = not_there(crt, e);
	if (status == BS_CTL_OK && !o->csr)
		status = not_there(key, e);
	if (status == BS_CTL_OK)
		status = bs_ca_sign(d.signer, o, &made, e);
	if (status == BS_CTL_OK && !t->dry_run) {
		if (made.key)
			status = bs_file_write(key, 0600, false, made.key, strlen(made.key), e);
		if (status == BS_CTL_OK)
			status = bs_ca_dir_append(&d, issue_record(o, &made), e);
		if (status == BS_CTL_OK)
			status = bs_file_write(crt, 0644, false, made.cert, strlen(made.cert), e);
	}
	if (status == BS_CTL_OK)
		print_result(t, json_pack("{s:s,s:s,s:s*,s:s,s:I}", "serial", made.serial,
					  "certificate", crt, "key", o->csr ? NULL : key, "key_fp",
					  made.key_fp, "not_after", (json_int_t)made.not_after));
	bs_ca_made_fini(&made);
	bs_ca_dir_close(&d);
	return status;
}

int bs_run_ca_issue(struct bs_tool *t, struct bs_ctl_error *e)
{
	const json_t *hosts = json_object_get(t->opts, "host");
	const char *csr = bs_tool_text(t, "csr");
	const char *names[64];
	char identity[BS_CLIENT_ID_MAX + 1];
	struct bs_ca_order o = { .names = names, .n_names = 1, .place = csr };
	char *text = NULL;
	int status;

	o.server = hosts != NULL;
	if (o.server) {
		o.n_names = json_array_size(hosts);
		if (o.n_names > sizeof(names) / sizeof(names[0])) {
			bs_ctl_error_set(e, BS_CTL_USAGE, "HOST", NULL, "at most 64 names");
			return e->status;
		}
		for (size_t i = 0; i < o.n_names; i++)
			names[i] = json_string_value(json_array_get(hosts, i));
	} else {
		const char *s = bs_tool_text(t, "identity");

		/* The command line was checked; this lower-cases. */
		if (bs_field_identity(s, strlen(s), identity) != NULL)
			identity[0] = '\0';
		names[0] = identity;
	}
	o.days = small(t, "days", CERT_DAYS);
	o.days_given = json_object_get(t->opts, "days") != NULL;
	o.bits = small(t, "bits", KEY_BITS);
	if (csr) {
		text = bs_file_read(csr, CSR_MAX, &o.csr_len, e);
		if (!text)
			return e->status;
		o.csr = text;
	}
	status = issue(t, &o, e);
	free(text);
	return status;
}

/* ---- revoke */

/* The certificates that the argument means: one serial, or all of a name. */
static json_t *select_certs(const struct bs_ca_dir *d, const char *what)
{
	json_t *found = json_array();
	json_t *c;
	size_t i;

	json_array_foreach(d->certs, i, c)
	{
		const char *serial = json_string_value(json_object_get(c, "serial"));
		const char *name = json_string_value(json_object_get(c, "name"));

		if ((serial && strcasecmp(serial, what) == 0) ||
		    (name && strcasecmp(name, what) == 0))
			json_array_append(found, c);
	}
	return found;
}

static int record_revocations(struct bs_tool *t, struct bs_ca_dir *d, const json_t *found,
			      struct bs_ctl_error *e)
{
	const char *reason = bs_tool_text(t, "reason");
	int status = BS_CTL_OK;
	json_t *c;
	size_t i;

	json_array_foreach(found, i, c)
	{
		/* Once is enough; a repeat only tells CRL and server again. */
		if (json_object_get(c, "revoked") || status != BS_CTL_OK)
			continue;
		status = bs_ca_dir_append(d,
					  json_pack("{s:s,s:s,s:I,s:s}", "op", "revoke", "serial",
						    json_string_value(json_object_get(c, "serial")),
						    "at", (json_int_t)time(NULL), "reason",
						    reason ? reason : "unspecified"),
					  e);
	}
	return status;
}

/* The server ends the sessions of a revoked certificate at once; the CRL is for everybody else. */
static int tell_server(struct bs_tool *t, const struct bs_ca_dir *d, const json_t *found,
		       struct bs_ctl_error *e)
{
	char name[65];
	char fp[65];
	int64_t not_after;
	int status = BS_CTL_OK;
	json_t *c;
	size_t i;

	bs_ca_signer_info(d->signer, name, sizeof(name), &not_after, fp);
	json_array_foreach(found, i, c)
	{
		const char *kind = json_string_value(json_object_get(c, "kind"));

		if (status != BS_CTL_OK || !kind || strcmp(kind, "client") != 0)
			continue;
		status = bs_tool_link(t, e) ? BS_CTL_OK : e->status;
		if (status == BS_CTL_OK)
			status = bs_link_call(
				t->link, "client revoke",
				json_pack("{s:s,s:s,s:s}", "serial",
					  json_string_value(json_object_get(c, "serial")), "ca-fp",
					  fp, "note", "bsctl ca revoke"),
				0, NULL, NULL, NULL, e);
	}
	if (status != BS_CTL_OK)
		snprintf(e->remedy, sizeof(e->remedy),
			 "the CRL is up to date, the server was not told: repeat the command "
			 "when it runs, or use --no-server");
	return status;
}

int bs_run_ca_revoke(struct bs_tool *t, struct bs_ctl_error *e)
{
	const char *what = bs_tool_text(t, "what");
	struct bs_ca_dir d;
	json_t *found;
	unsigned days;
	int status = crl_days(t, &days, e);

	if (status != BS_CTL_OK)
		return status;
	status = bs_ca_dir_open(&d, ca_path(t), true, e);
	if (status != BS_CTL_OK)
		return status;
	found = select_certs(&d, what);
	if (json_array_size(found) == 0) {
		bs_ctl_error_set(e, status = BS_CTL_NOT_FOUND, what, "see bsctl ca list",
				 "this authority has issued no such certificate");
	} else if (!t->dry_run) {
		status = record_revocations(t, &d, found, e);
		if (status == BS_CTL_OK)
			status = bs_ca_dir_crl(&d, days, e);
		if (status == BS_CTL_OK && !bs_tool_flag(t, "no-server"))
			status = tell_server(t, &d, found, e);
	}
	if (status == BS_CTL_OK)
		print_result(t, json_pack("{s:I}", "revoked", (json_int_t)json_array_size(found)));
	json_decref(found);
	bs_ca_dir_close(&d);
	return status;
}

/* ---- list, crl */

/* Whether less than a third of the CRL's time is left; a CRL that is not there is due. */
static bool crl_is_due(const struct bs_ca_dir *d, int64_t *next)
{
	struct bs_ctl_error ignored;
	char path[4096];
	size_t len;
	char *text = bs_file_read(bs_ca_dir_file(d, "ca.crl", path), 64u << 20, &len, &ignored);
	int64_t last = 0;
	int status = text ? bs_ca_crl_times(text, len, &last, next, &ignored) : BS_CTL_NOT_FOUND;

	free(text);
	if (status != BS_CTL_OK) {
		*next = 0;
		return true;
	}
	return *next - (int64_t)time(NULL) < (*next - last) / 3;
}

int bs_run_ca_list(struct bs_tool *t, struct bs_ctl_error *e)
{
	struct bs_ca_dir d;
	struct bs_print p;
	char name[65];
	char fp[65];
	int64_t not_after;
	int64_t next;
	bool due;
	json_t *o;
	json_t *c;
	size_t i;
	int status = bs_ca_dir_open(&d, ca_path(t), false, e);

	if (status != BS_CTL_OK)
		return status;
	bs_print_init(&p, t->cmd->name, t->json);
	json_array_foreach(d.certs, i, c)
	{
		bool over = json_integer_value(json_object_get(c, "not_after")) <
			    (json_int_t)time(NULL);

		json_object_set_new(c, "state",
				    json_string(json_object_get(c, "revoked") ? "revoked"
						: over                        ? "expired"
									      : "valid"));
		bs_print_item(&p, c);
	}
	bs_ca_signer_info(d.signer, name, sizeof(name), &not_after, fp);
	due = crl_is_due(&d, &next);
	o = json_pack("{s:s,s:s,s:I,s:I,s:b}", "ca", name, "ca_fp", fp, "not_after",
		      (json_int_t)not_after, "next_update", (json_int_t)next, "crl_due", due);
	/* The summary would only be noise under a table. */
	bs_print_end(&p, t->json ? o : NULL);
	json_decref(o);
	if (due && !t->quiet)
		fprintf(stderr, "bsctl: %s: the CRL ends soon or is not there; run bsctl ca crl\n",
			d.path);
	bs_ca_dir_close(&d);
	return BS_CTL_OK;
}

int bs_run_ca_crl(struct bs_tool *t, struct bs_ctl_error *e)
{
	struct bs_ca_dir d;
	int64_t next = 0;
	unsigned days;
	bool sign;
	int status = crl_days(t, &days, e);

	if (status == BS_CTL_OK)
		status = bs_ca_dir_open(&d, ca_path(t), true, e);
	if (status != BS_CTL_OK)
		return status;
	sign = crl_is_due(&d, &next) || !bs_tool_flag(t, "if-due");
	if (sign && !t->dry_run) {
		status = bs_ca_dir_crl(&d, days, e);
		crl_is_due(&d, &next);
	}
	if (status == BS_CTL_OK)
		print_result(
			t, json_pack("{s:b,s:I}", "signed", sign, "next_update", (json_int_t)next));
	bs_ca_dir_close(&d);
	return status;
}
