/* SPDX-License-Identifier: Apache-2.0 */
/* discover, pair, users: the local network and a device's access list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pairings.h"
#include "run.h"

/** The access list's queries that users needs (basestation-wire(7), ACCESS LIST). */
static const char list_queries[] =
	"<unabto_queries>"
	"<query name='get_users.json' id='11000'>"
	"<request><parameter name='count' type='uint8'/>"
	"<parameter name='start' type='uint32'/></request>"
	"<response><list name='users'><parameter name='fingerprint' type='raw' "
	"representation='hex'/><parameter name='name' type='raw'/>"
	"<parameter name='permissions' type='uint32'/></list>"
	"<parameter name='next' type='uint32'/></response></query>"
	"<query name='get_current_user.json' id='11020'><request/>"
	"<response><parameter name='status' type='uint8'/>"
	"<parameter name='fingerprint' type='raw' representation='hex'/>"
	"<parameter name='name' type='raw'/>"
	"<parameter name='permissions' type='uint32'/></response></query>"
	"<query name='add_user.json' id='11065'>"
	"<request><parameter name='fingerprint' type='raw' representation='hex'/>"
	"<parameter name='name' type='raw'/></request>"
	"<response><parameter name='status' type='uint8'/>"
	"<parameter name='fingerprint' type='raw' representation='hex'/>"
	"<parameter name='name' type='raw'/>"
	"<parameter name='permissions' type='uint32'/></response></query>"
	"<query name='set_user_permissions.json' id='11050'>"
	"<request><parameter name='fingerprint' type='raw' representation='hex'/>"
	"<parameter name='permissions' type='uint32'/></request>"
	"<response><parameter name='status' type='uint8'/>"
	"<parameter name='fingerprint' type='raw' representation='hex'/>"
	"<parameter name='name' type='raw'/>"
	"<parameter name='permissions' type='uint32'/></response></query>"
	"<query name='remove_user.json' id='11070'>"
	"<request><parameter name='fingerprint' type='raw' representation='hex'/></request>"
	"<response><parameter name='status' type='uint8'/></response></query>"
	"</unabto_queries>";

/** Rights in words. */
static const struct {
	uint32_t bit;
	const char *name;
} rights[] = {
	{ UINT32_C(0x80000000), "local" },
	{ UINT32_C(0x40000000), "remote" },
	{ UINT32_C(0x20000000), "admin" },
};

static json_t *rights_list(uint32_t bits)
{
	json_t *j = json_array();

	for (size_t k = 0; k < sizeof rights / sizeof rights[0]; k++)
		if (bits & rights[k].bit)
			(void)json_array_append_new(j, json_string(rights[k].name));
	return j;
}

static void rights_text(uint32_t bits, char *out, size_t cap)
{
	out[0] = '\0';
	for (size_t k = 0; k < sizeof rights / sizeof rights[0]; k++)
		if (bits & rights[k].bit)
			(void)snprintf(out + strlen(out), cap - strlen(out), "%s%s",
				       out[0] == '\0' ? "" : ",", rights[k].name);
}

/** What went wrong, in both forms; its exit status. */
static int failed(const struct run *r, const struct bsc_error *err)
{
	int status = report_failure(err);

	if (r->o.json)
		(void)report_json(json_pack("{s:o}", "error", report_error(err)));
	return status;
}

/* ---- discover */

static void on_found(void *arg, const struct bsc_found *f)
{
	const struct run *r = arg;

	if (r->o.json)
		(void)report_json(json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "device", f->device,
					    "address", f->address, "version", f->version, "url",
					    f->url, "plain", f->plain, "key", f->key));
	else
		(void)printf("%-40s %-22s %-10s%s%s\n", f->device, f->address, f->version,
			     f->key ? " key" : "", f->plain ? " plain" : "");
}

int run_discover(struct run *r)
{
	struct bsc_error err = { 0 };
	int status = STATUS_OK;
	int rc;

	r->o.local_only = true;
	rc = run_open_session(r, &err);
	if (rc == BS_OK)
		rc = bsc_discover_wait(r->session, r->n > 0 ? r->word[0] : NULL, on_found, r, &err);
	if (rc != BS_OK)
		status = failed(r, &err);
	run_close(r);
	return status;
}

/* ---- queries without a connection */

static void on_first(void *arg, const struct bsc_found *f)
{
	struct bs_endpoint *ep = arg;

	if (ep->port == 0)
		*ep = f->endpoint;
}

int run_ask_legacy(struct run *r, const uint8_t *req, size_t len, uint8_t *buf, size_t cap,
		   size_t *got, struct bsc_error *err)
{
	struct bs_endpoint ep = { .port = 0 };
	int rc = bsc_discover_wait(r->session, r->word[0], on_first, &ep, err);

	if (rc == BS_OK && ep.port == 0) {
		*err = (struct bsc_error){ .err = BS_EUNREACH,
					   .source = BSC_FROM_NETWORK,
					   .code = BSC_NO_LOCAL };
		(void)snprintf(err->text, sizeof err->text,
			       "%s: does not answer on the local network", r->word[0]);
		rc = BS_EUNREACH;
	}
	return rc == BS_OK ? bsc_legacy_rpc_wait(&ep, req, len, buf, cap, got, err) : rc;
}

/* ---- pair */

/** The first line of a file, or of standard input: a secret does not belong on a command line. */
static int read_secret(const struct run *r, char *out, int cap)
{
	const char *path = r->o.pairing_secret_file;
	FILE *f = path == NULL || strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

	if (f == NULL || fgets(out, cap, f) == NULL)
		out[0] = '\0';
	if (f != NULL && f != stdin)
		(void)fclose(f);
	out[strcspn(out, "\r\n")] = '\0';
	if (out[0] != '\0')
		return STATUS_OK;
	(void)fprintf(stderr, "bsconnect: %s: no pairing secret in its first line\n",
		      path == NULL ? "standard input" : path);
	return STATUS_USAGE;
}

/** Use the new secret at once: from then on it is ours, and everybody sees that it works. */
static int confirm(struct run *r, struct bsc_error *err)
{
	static const uint8_t who_am_i[4] = { 0, 0, 0x2b, 0x0c };
	uint8_t buf[BSC_RPC_ANSWER_MAX];
	size_t len;
	int rc =
		bsc_connect_local_wait(r->session, r->word[0], NULL, run_on_conn, r, &r->conn, err);

	if (rc == BS_OK)
		rc = bsc_rpc_wait(r->conn, who_am_i, sizeof who_am_i, 0, buf, sizeof buf, &len,
				  err);
	return rc;
}

static int do_pair(struct run *r, const char *secret, struct bsc_pairing *p, struct bsc_error *err)
{
	struct bsc_local how = { .len = sizeof how, .pairing_secret = secret };
	int rc = run_open_session(r, err);

	if (rc == BS_OK)
		rc = bsc_connect_local_wait(r->session, r->word[0], &how, run_on_conn, r, &r->conn,
					    err);
	if (rc == BS_OK)
		rc = bsc_pair_wait(r->conn, r->o.name == NULL ? "" : r->o.name, p, err);
	bsc_conn_close_wait(r->conn, -1);
	r->conn = NULL;
	if (rc == BS_OK && pairings_save(r->o.pairings, r->word[0], p) != BS_OK) {
		*err = (struct bsc_error){ .err = BS_EIO,
					   .source = BSC_FROM_CALLER,
					   .code = BSC_USAGE };
		(void)snprintf(err->text, sizeof err->text,
			       "%s: paired, but the secret could not be kept; pair again",
			       r->word[0]);
		rc = BS_EIO;
	}
	if (rc == BS_OK)
		rc = confirm(r, err);
	report_progress(&r->o, NULL);
	return rc;
}

int run_pair(struct run *r)
{
	struct bsc_pairing p = { .rights = 0 };
	struct bsc_error err = { 0 };
	char secret[128];
	char text[64];
	int status;

	if (r->o.cert == NULL || r->o.key == NULL) {
		(void)fprintf(stderr, "bsconnect: pair: the device knows clients by their keys; "
				      "give --cert and --key\n");
		return STATUS_USAGE;
	}
	if (pairings_check(r->o.pairings) != BS_OK)
		return STATUS_USAGE;
	status = read_secret(r, secret, sizeof secret);
	if (status != STATUS_OK)
		return status;
	r->o.local_only = true;
	if (do_pair(r, secret, &p, &err) != BS_OK) {
		status = failed(r, &err);
	} else if (r->o.json) {
		status = report_json(json_pack("{s:s, s:s, s:o}", "device", r->word[0], "name",
					       p.name, "rights", rights_list(p.rights)));
	} else {
		rights_text(p.rights, text, sizeof text);
		(void)printf("%s: paired as \"%s\" (%s)\n", r->word[0], p.name, text);
	}
	explicit_bzero(&p, sizeof p);
	explicit_bzero(secret, sizeof secret);
	run_close(r);
	return status;
}

/* ---- users */

/** One query by name=value pairs; an object, or NULL with err filled. */
static json_t *query(struct run *r, const struct bsc_interface *i, const char *name,
		     const struct bsc_arg *args, size_t n, struct bsc_error *err)
{
	const struct bsc_query *q = bsc_interface_find(i, name);
	uint8_t req[BSC_RPC_REQUEST_SMALL];
	json_t *answer = NULL;
	size_t len = 0;

	if (bsc_query_encode(q, args, n, req, sizeof req, &len, err) != BS_OK ||
	    run_ask(r, q, req, len, &answer, err) != BS_OK)
		return NULL;
	return answer;
}

static void print_user(const struct run *r, const json_t *u)
{
	uint32_t bits = (uint32_t)json_integer_value(json_object_get(u, "permissions"));
	const char *fp = json_string_value(json_object_get(u, "fingerprint"));
	const char *name = json_string_value(json_object_get(u, "name"));
	char text[64];

	rights_text(bits, text, sizeof text);
	if (r->o.json)
		(void)report_json(json_pack("{s:s, s:s, s:o}", "fingerprint", fp ? fp : "", "name",
					    name ? name : "", "rights", rights_list(bits)));
	else
		(void)printf("%-32s %-18s %s\n", fp ? fp : "?", text, name ? name : "?");
}

static int list_users(struct run *r, const struct bsc_interface *i, struct bsc_error *err)
{
	json_int_t start = 0;

	do {
		char from[16];
		const struct bsc_arg args[] = { { "count", "0" }, { "start", from } };
		json_t *page;
		json_int_t next;
		size_t k;

		(void)snprintf(from, sizeof from, "%u", (unsigned)start);
		page = query(r, i, "get_users", args, 2, err);
		if (page == NULL)
			return err->err;
		for (k = 0; k < json_array_size(json_object_get(page, "users")); k++)
			print_user(r, json_array_get(json_object_get(page, "users"), k));
		next = json_integer_value(json_object_get(page, "next"));
		json_decref(page);
		/* A device that goes in circles is not followed. */
		start = next > start ? next : 0;
	} while (start != 0);
	return BS_OK;
}

/** A status other than 0 is a refusal in words. */
static int check_status(const struct run *r, const json_t *answer, struct bsc_error *err)
{
	static const char *const words[] = { "",
					     "there is no such user",
					     "the list is full",
					     "the list could not be kept",
					     "the user could not be removed",
					     "there is such a user already" };
	json_int_t status = json_integer_value(json_object_get(answer, "status"));

	if (status == 0)
		return BS_OK;
	*err = (struct bsc_error){ .err = BS_EREFUSED,
				   .source = BSC_FROM_DEVICE,
				   .code = BSC_QUERY };
	(void)snprintf(err->text, sizeof err->text, "%s: %s", r->word[1],
		       status > 0 && status < 6 ? words[status] : "the device refuses");
	return BS_EREFUSED;
}

static int change(struct run *r, const struct bsc_interface *i, const char *name,
		  const struct bsc_arg *args, size_t n, bool print, struct bsc_error *err)
{
	json_t *answer = query(r, i, name, args, n, err);
	int rc;

	if (answer == NULL)
		return err->err;
	rc = check_status(r, answer, err);
	if (rc == BS_OK && print)
		print_user(r, answer);
	json_decref(answer);
	return rc;
}

static int add_user(struct run *r, const struct bsc_interface *i, struct bsc_error *err)
{
	const struct bsc_arg args[] = { { "fingerprint", r->word[2] }, { "name", r->word[3] } };

	return change(r, i, "add_user", args, 2, true, err);
}

static int remove_user(struct run *r, const struct bsc_interface *i, struct bsc_error *err)
{
	const struct bsc_arg args[] = { { "fingerprint", r->word[2] } };

	return change(r, i, "remove_user", args, 1, false, err);
}

/** local,remote,admin as bits; false with a message. */
static bool parse_rights(const char *text, char out[16])
{
	uint32_t bits = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, ",");
		size_t k = 0;

		while (k < 3 &&
		       (strlen(rights[k].name) != len || strncmp(rights[k].name, text, len) != 0))
			k++;
		if (k == 3) {
			(void)fprintf(stderr,
				      "bsconnect: \"%s\": rights are local, remote and "
				      "admin, with commas in between\n",
				      text);
			return false;
		}
		bits |= rights[k].bit;
		text += len + (text[len] == ',' ? 1 : 0);
	}
	(void)snprintf(out, 16, "%lu", (unsigned long)bits);
	return true;
}

static int set_rights(struct run *r, const struct bsc_interface *i, struct bsc_error *err)
{
	char bits[16];
	const struct bsc_arg args[] = { { "fingerprint", r->word[2] }, { "permissions", bits } };

	if (!parse_rights(r->word[3], bits)) {
		err->err = BS_EINVAL;
		err->code = BSC_USAGE;
		(void)snprintf(err->text, sizeof err->text, "nothing was changed");
		return BS_EINVAL;
	}
	return change(r, i, "set_user_permissions", args, 2, true, err);
}

static const struct {
	const char *name;
	int words; /**< with DEVICE before and the rest behind it */
	int (*run)(struct run *r, const struct bsc_interface *i, struct bsc_error *err);
} user_commands[] = {
	{ "list", 2, list_users },
	{ "add", 4, add_user },
	{ "remove", 3, remove_user },
	{ "rights", 4, set_rights },
};

int run_users(struct run *r)
{
	struct bsc_interface *i = NULL;
	struct bsc_error err = { 0 };
	int status = STATUS_OK;
	size_t k = 0;
	int rc;

	while (k < 4 &&
	       (strcmp(r->word[0], user_commands[k].name) != 0 || r->n != user_commands[k].words))
		k++;
	if (k == 4) {
		(void)fprintf(stderr,
			      "bsconnect: users: expected list DEVICE, add DEVICE FINGERPRINT "
			      "NAME, remove DEVICE FINGERPRINT or rights DEVICE FINGERPRINT "
			      "RIGHTS\n");
		return STATUS_USAGE;
	}
	rc = bsc_interface_parse(list_queries, sizeof list_queries - 1, "built in", &i, &err);
	if (rc == BS_OK)
		rc = run_open_conn(r, r->word[1], &err);
	if (rc == BS_OK)
		rc = user_commands[k].run(r, i, &err);
	if (rc != BS_OK)
		status = failed(r, &err);
	run_close(r);
	bsc_interface_free(i);
	return status;
}
