/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that need a little more than a request: counters without the zeros, fingerprints taken
 * from certificate files, the check of a conf, absolute paths for the server.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "ctl/field.h"
#include "tools/bsctl/ca_cert.h"
#include "tools/bsctl/link.h"
#include "tools/bsctl/print.h"
#include "tools/bsctl/tool.h"

/* ---- stats */

struct stats {
	struct bs_print print;
	bool all;
};

static void on_counter(void *arg, enum bs_ctl_kind kind, const json_t *value)
{
	struct stats *s = arg;

	if (kind == BS_CTL_ITEM &&
	    (s->all || json_integer_value(json_object_get(value, "value")) != 0))
		bs_print_item(&s->print, value);
}

int bs_run_stats(struct bs_tool *t, struct bs_ctl_error *e)
{
	bool metrics = bs_tool_flag(t, "prometheus");
	struct stats s = { .all = bs_tool_flag(t, "all") };
	struct bs_link *l = bs_tool_link(t, e);
	json_t *result = NULL;
	const char *text;
	int status;

	if (!l)
		return e->status;
	bs_print_init(&s.print, t->cmd->name, t->json);
	status = bs_link_call(l, t->cmd->name, bs_tool_request_args(t), 0, on_counter, &s, &result,
			      e);
	text = json_string_value(json_object_get(result, "text"));
	if (metrics && text && !t->json)
		fputs(text, stdout);
	else
		bs_print_end(&s.print, result);
	json_decref(result);
	return status;
}

/* ---- clients: fingerprints from certificate files */

static int put_fp(json_t *args, const char *name, const uint8_t fp[static 32],
		  struct bs_ctl_error *e)
{
	char hex[65];

	bs_field_put_hex(fp, 32, hex);
	if (json_object_get(args, name)) {
		bs_ctl_error_set(e, BS_CTL_USAGE, NULL, NULL,
				 "a file and --%s are both given, and say the same thing", name);
		return e->status;
	}
	if (json_object_set_new(args, name, json_string(hex)) == 0)
		return BS_CTL_OK;
	bs_ctl_error_set(e, BS_CTL_FAILED, NULL, NULL, "no memory");
	return e->status;
}

int bs_run_client(struct bs_tool *t, struct bs_ctl_error *e)
{
	const char *ca = bs_tool_text(t, "ca");
	const char *cert = bs_tool_text(t, "certificate");
	json_t *args = bs_tool_request_args(t);
	uint8_t fp[32];
	int status = BS_CTL_OK;

	if (ca) {
		status = bs_ca_cert_fp(ca, fp, e);
		if (status == BS_CTL_OK)
			status = put_fp(args, "ca-fp", fp, e);
	}
	if (cert && status == BS_CTL_OK) {
		status = bs_ca_key_fp(cert, fp, e);
		if (status == BS_CTL_OK)
			status = put_fp(args, "key-fp", fp, e);
	}
	if (status == BS_CTL_OK)
		return bs_tool_forward(t, args, e);
	json_decref(args);
	return status;
}

int bs_run_ca_trust(struct bs_tool *t, struct bs_ctl_error *e)
{
	json_t *args = bs_tool_request_args(t);
	char name[65];
	char *hex = bs_ca_cert_hex(bs_tool_text(t, "file"), name, sizeof(name), e);
	int bad;

	if (!hex) {
		json_decref(args);
		return e->status;
	}
	bad = json_object_set_new(args, "der", json_string(hex));
	if (!json_object_get(args, "name"))
		bad |= json_object_set_new(args, "name", json_string(name));
	free(hex);
	if (!bad)
		return bs_tool_forward(t, args, e);
	json_decref(args);
	bs_ctl_error_set(e, BS_CTL_FAILED, NULL, NULL, "no memory");
	return e->status;
}

/* ---- conf, db */

int bs_run_conf_check(struct bs_tool *t, struct bs_ctl_error *e)
{
	const char *file = bs_tool_text(t, "file");
	const struct bs_conf *conf = NULL;
	struct bs_conf_error text;
	struct bs_print p;
	json_t *o;
	int err;

	if (!file)
		file = bs_tool_text(t, "conf");
	if (!file)
		file = BS_CONF_FILE;
	err = bs_conf_load(file, 0, &conf, &text);
	if (err != BS_OK) {
		bs_ctl_error_set(e, bs_ctl_status_from_err(err), NULL, NULL, "%s", text.text);
		return e->status;
	}
	bs_conf_unref(conf);
	o = json_pack("{s:s,s:s}", "file", file, "conf", "ok");
	bs_print_init(&p, t->cmd->name, t->json);
	bs_print_end(&p, o);
	json_decref(o);
	return BS_CTL_OK;
}

/* The server has another working folder, so the path goes as an absolute one. */
int bs_run_db_file(struct bs_tool *t, struct bs_ctl_error *e)
{
	const char *file = bs_tool_text(t, "file");
	json_t *args = bs_tool_request_args(t);
	char dir[PATH_MAX];
	char path[2 * PATH_MAX];

	if (file[0] != '/') {
		if (!getcwd(dir, sizeof(dir))) {
			json_decref(args);
			bs_ctl_error_set(e, BS_CTL_FAILED, file, "give an absolute path",
					 "the working folder is not known (%s)", strerror(errno));
			return e->status;
		}
		snprintf(path, sizeof(path), "%s/%s", dir, file);
		json_object_set_new(args, "file", json_string(path));
	}
	return bs_tool_forward(t, args, e);
}
