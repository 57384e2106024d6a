/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands on devices that deal with secrets: they are made or read here, never taken from the
 * command line, and written where the user asks for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "ctl/field.h"
#include "tools/bsctl/file.h"
#include "tools/bsctl/link.h"
#include "tools/bsctl/print.h"
#include "tools/bsctl/secret.h"
#include "tools/bsctl/tool.h"

/* A secret from --secret-from, or a new one. */
static int get_secret(struct bs_tool *t, uint8_t out[static BS_PSK_LEN], bool *made,
		      struct bs_ctl_error *e)
{
	const char *path = bs_tool_text(t, "secret-from");
	const char *wrong;
	char *text;
	size_t len;

	*made = path == NULL;
	if (!path)
		return bs_secret_make(out, e);
	text = bs_file_read(path, 256, &len, e);
	if (!text)
		return e->status;
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
		len--;
	wrong = bs_field_secret(text, len, out);
	bs_wipe(text, len);
	free(text);
	if (!wrong)
		return BS_CTL_OK;
	bs_ctl_error_set(e, BS_CTL_BAD_INPUT, path, NULL, "%s", wrong);
	return e->status;
}

/* The answer: where a new secret is, or the secret itself, this once. */
static void print_result(const struct bs_tool *t, const char *id, const char *hex)
{
	const char *file = bs_tool_text(t, "secret-file");
	json_t *o = json_pack("{s:s,s:s*,s:s*}", "id", id, "secret", file ? NULL : hex,
			      "secret_file", t->dry_run ? NULL : file);
	struct bs_print p;

	bs_print_init(&p, t->cmd->name, t->json);
	bs_print_end(&p, o);
	json_decref(o);
}

/* The request with its secret.  The file is written first: a secret that the server has and
 * nobody else would lock the device out. */
static int send_secret(struct bs_tool *t, const uint8_t secret[static BS_PSK_LEN], bool made,
		       struct bs_ctl_error *e)
{
	const char *file = bs_tool_text(t, "secret-file");
	const char *id = bs_tool_text(t, "id");
	bool write = file && !t->dry_run;
	json_t *args = bs_tool_request_args(t);
	char line[2 * BS_PSK_LEN + 2];
	int status = BS_CTL_OK;

	bs_field_put_hex(secret, BS_PSK_LEN, line);
	if (json_object_set_new(args, "secret", json_string(line)) != 0)
		bs_ctl_error_set(e, status = BS_CTL_FAILED, NULL, NULL, "no memory");
	if (status == BS_CTL_OK && !bs_tool_link(t, e))
		status = e->status;
	if (status == BS_CTL_OK && write) {
		line[2 * BS_PSK_LEN] = '\n';
		status = bs_file_write(file, 0600, false, line, sizeof(line) - 1, e);
		line[2 * BS_PSK_LEN] = '\0';
		write = status == BS_CTL_OK;
	}
	if (status == BS_CTL_OK) {
		status = bs_link_call(t->link, t->cmd->name, args, 0, NULL, NULL, NULL, e);
		args = NULL;
		/* Where the outcome is unknown the file may be all there is of the secret. */
		if (status != BS_CTL_OK && status != BS_CTL_INTERRUPTED && write)
			remove(file);
	}
	json_decref(args);
	if (status == BS_CTL_OK)
		print_result(t, id, made && !t->dry_run ? line : NULL);
	bs_wipe(line, sizeof(line));
	return status;
}

static int with_secret(struct bs_tool *t, struct bs_ctl_error *e)
{
	uint8_t secret[BS_PSK_LEN];
	bool made;
	int status = get_secret(t, secret, &made, e);

	if (status == BS_CTL_OK)
		status = send_secret(t, secret, made, e);
	bs_wipe(secret, sizeof(secret));
	return status;
}

int bs_run_device_add(struct bs_tool *t, struct bs_ctl_error *e)
{
	if (!bs_tool_flag(t, "no-secret"))
		return with_secret(t, e);
	if (!bs_tool_flag(t, "legacy")) {
		bs_ctl_error_set(e, BS_CTL_USAGE, "--no-secret", NULL, "goes only with --legacy");
		return e->status;
	}
	return bs_tool_forward(t, bs_tool_request_args(t), e);
}

int bs_run_device_rotate(struct bs_tool *t, struct bs_ctl_error *e)
{
	if (bs_tool_flag(t, "finish") || bs_tool_flag(t, "undo"))
		return bs_tool_forward(t, bs_tool_request_args(t), e);
	return with_secret(t, e);
}
