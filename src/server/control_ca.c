/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CA certificates that the registry keeps beside the conf's client-ca.  The store sees bytes; that
 * they are a CA certificate was checked by bsctl and is checked again when the gate builds its set.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/field.h"
#include "server/control_job.h"

static void run_trust(struct bs_control_job *j)
{
	struct bs_store_request req = { .op = BS_STORE_CA_ADD };
	const char *hex = bs__control_text(j, "der");
	const char *name = bs__control_text(j, "name");
	uint8_t der[BS_CA_DER_MAX];
	size_t n = 0;

	if (!hex || !name) {
		bs__control_fail(j, BS_CTL_USAGE, NULL, NULL, "certificate or name is missing");
		return;
	}
	if (bs_field_hex_any(hex, strlen(hex), der, sizeof(der), &n) != NULL || n == 0) {
		bs__control_fail(j, BS_CTL_BAD_INPUT, name, NULL,
				 "a CA certificate has 1 to %d bytes", BS_CA_DER_MAX);
		return;
	}
	if (strlen(name) > BS_NOTE_MAX) {
		bs__control_fail(j, BS_CTL_BAD_INPUT, "--name", NULL, "longer than %d bytes",
				 BS_NOTE_MAX);
		return;
	}
	snprintf(req.u.ca.name, sizeof(req.u.ca.name), "%s", name);
	req.u.ca.roles = BS_CA_CLIENT;
	req.u.ca.der.ptr = der;
	req.u.ca.der.len = n;
	j->result = json_pack("{s:s}", "name", name);
	if (j->dry_run)
		bs__control_finish(j, json_incref(j->result), NULL);
	else
		bs__control_submit(j, &req, bs__control_stored);
}

static void run_distrust(struct bs_control_job *j)
{
	struct bs_store_request req = { .op = BS_STORE_CA_REMOVE };
	struct bs_registry_reader *r = bs__control_reader(j);
	struct bs_ca ca;
	int err;

	if (!r)
		return;
	if (!bs__control_sha256(j, "ca-fp", req.u.ca.fp)) {
		bs__control_fail(j, BS_CTL_USAGE, NULL, NULL, "a CA is missing");
		return;
	}
	err = bs_registry_reader_begin(r);
	if (err == BS_OK) {
		err = bs_registry_ca(r, req.u.ca.fp, &ca);
		if (err == BS_OK)
			j->result = json_pack("{s:s}", "name", ca.name);
		bs_registry_reader_end(r);
	}
	if (err == BS_ENOENT)
		bs__control_fail(j, BS_CTL_NOT_FOUND, NULL, "see ca trusted",
				 "no such CA in the registry");
	else if (err != BS_OK)
		bs__control_fail_err(j, err, "database", NULL);
	else if (j->dry_run)
		bs__control_finish(j, json_incref(j->result), NULL);
	else
		bs__control_submit(j, &req, bs__control_stored);
}

static json_t *ca_json(const void *rows, size_t i)
{
	const struct bs_ca *ca = (const struct bs_ca *)rows + i;
	return json_pack("{s:s,s:o,s:b,s:b,s:o}", "name", ca->name, "ca_fp",
			 bs__control_json_hex(ca->fp, BS_FP256_LEN), "client",
			 (ca->roles & BS_CA_CLIENT) != 0, "server", (ca->roles & BS_CA_SERVER) != 0,
			 "added", bs__control_json_time(ca->added));
}

static void run_trusted(struct bs_control_job *j)
{
	struct bs_ca ca[BS_CONTROL_PAGE];
	struct bs_control_page p;
	bs_ssize n;

	if (!bs__control_page_begin(j, &p))
		return;
	n = bs_registry_reader_begin(p.reader);
	if (n == BS_OK) {
		n = bs_registry_ca_list(p.reader, &p.pos, ca, BS_CONTROL_PAGE, &p.end);
		/* The certificates lie in the database until the reader ends. */
		bs__control_page_rows(j, &p, ca, n, ca_json);
		bs_registry_reader_end(p.reader);
		return;
	}
	bs__control_fail_err(j, n, "database", NULL);
}

const struct bs_control_row bs__control_ca[] = {
	{ "ca trust", run_trust },
	{ "ca distrust", run_distrust },
	{ "ca trusted", run_trusted },
	{ NULL, NULL },
};
