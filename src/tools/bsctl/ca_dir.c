/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of writes makes a crash harmless: a key first, then its line in the index, then the
 * certificate; a revocation's line first, then the CRL.  A line is on the disk before anything that
 * depends on it.
 */
#include "tools/bsctl/ca_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "tools/bsctl/file.h"

#define PEM_MAX   65536u
#define INDEX_MAX (512u * 1024u * 1024u)

int bs_ca_reason(const char *word)
{
	static const struct {
		const char *word;
		int code;
	} reasons[] = {
		{ "key-compromise", 1 },
		{ "superseded", 4 },
		{ "cessation", 5 },
	};
	size_t i;

	for (i = 0; word && i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (strcmp(reasons[i].word, word) == 0)
			return reasons[i].code;
	}
	return 0;
}

const char *bs_ca_dir_file(const struct bs_ca_dir *d, const char *name, char out[static 4096])
{
	snprintf(out, 4096, "%s/%s", d->path, name);
	return out;
}

/* ---- index */

static json_t *find_cert(const json_t *certs, const char *serial)
{
	json_t *c;
	size_t i;

	json_array_foreach(certs, i, c)
	{
		const char *s = json_string_value(json_object_get(c, "serial"));

		if (s && strcmp(s, serial) == 0)
			return c;
	}
	return NULL;
}

/* One line into the list; false when it makes no sense. */
static bool take_record(struct bs_ca_dir *d, const json_t *o)
{
	const char *op = json_string_value(json_object_get(o, "op"));
	const char *serial = json_string_value(json_object_get(o, "serial"));
	json_t *c;

	if (!op || !serial || strlen(serial) >= BS_CA_SERIAL_CAP)
		return false;
	if (strcmp(op, "issue") == 0) {
		c = json_copy((json_t *)o);
		json_object_del(c, "op");
		return json_array_append_new(d->certs, c) == 0;
	}
	c = find_cert(d->certs, serial);
	if (strcmp(op, "revoke") != 0 || !c)
		return false;
	return json_object_set(c, "revoked", json_object_get(o, "at")) == 0 &&
	       json_object_set(c, "reason", json_object_get(o, "reason")) == 0;
}

static int bad_index(const struct bs_ca_dir *d, unsigned line, struct bs_ctl_error *e)
{
	char path[4096];
	char place[300];

	snprintf(place, sizeof(place), "%.240s:%u", bs_ca_dir_file(d, "index", path), line);
	bs_ctl_error_set(e, BS_CTL_FAILED, place, "restore it from a backup",
			 "the index is damaged");
	return e->status;
}

static int load_index(struct bs_ca_dir *d, struct bs_ctl_error *e)
{
	char path[4096];
	size_t len;
	char *text;
	char *line;
	unsigned n = 0;
	int status = BS_CTL_OK;
	struct stat st;

	d->certs = json_array();
	if (stat(bs_ca_dir_file(d, "index", path), &st) != 0 && errno == ENOENT)
		return BS_CTL_OK;
	text = bs_file_read(path, st.st_size > 0 && st.st_size < INDEX_MAX ? (size_t)st.st_size : 1,
			    &len, e);
	if (!text)
		return e->status;
	for (line = text; status == BS_CTL_OK;) {
		char *end = strchr(line, '\n');
		json_t *o;

		if (!end)
			break;
		n++;
		o = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(o) || !take_record(d, o))
			status = bad_index(d, n, e);
		json_decref(o);
		line = end + 1;
	}
	d->index_len = (long)(line - text);
	free(text);
	return status;
}

int bs_ca_dir_append(struct bs_ca_dir *d, json_t *record, struct bs_ctl_error *e)
{
	char path[4096];
	char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
	bool ok = text && take_record(d, record);
	int fd = -1;
	int err = 0;

	json_decref(record);
	if (!ok) {
		free(text);
		bs_ctl_error_set(e, BS_CTL_FAILED, NULL, NULL, "no memory for the index");
		return e->status;
	}
	fd = open(bs_ca_dir_file(d, "index", path), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, d->index_len) != 0 || lseek(fd, d->index_len, SEEK_SET) < 0)
		err = errno;
	if (!err && dprintf(fd, "%s\n", text) < 0)
		err = errno;
	if (!err && fsync(fd) != 0)
		err = errno;
	/* What did not reach the disk whole must not stay as a line. */
	if (err && fd >= 0 && ftruncate(fd, d->index_len) != 0)
		fprintf(stderr, "bsctl: %s: an unfinished line was left\n", path);
	if (fd >= 0)
		close(fd);
	if (!err)
		d->index_len += (long)strlen(text) + 1;
	free(text);
	return err ? bs_file_error(e, path, "cannot be written", err) : BS_CTL_OK;
}

/* ---- folder */

static int take_lock(struct bs_ca_dir *d, struct bs_ctl_error *e)
{
	char path[4096];

	d->lock = open(bs_ca_dir_file(d, "lock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock < 0)
		return bs_file_error(e, path, "cannot be opened", errno);
	if (flock(d->lock, LOCK_EX) != 0)
		return bs_file_error(e, path, "cannot be locked", errno);
	return BS_CTL_OK;
}

/* A key that others can read is no longer the authority's alone. */
static int check_key_mode(const char *path, struct bs_ctl_error *e)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return bs_file_error(e, path, "cannot be read", errno);
	if ((st.st_mode & 077) == 0)
		return BS_CTL_OK;
	bs_ctl_error_set(e, BS_CTL_REFUSED, path, "chmod 600 it, and ask who has read it",
			 "others can read the authority's key");
	return e->status;
}

int bs_ca_dir_open(struct bs_ca_dir *d, const char *path, bool change, struct bs_ctl_error *e)
{
	char file[4096];
	char *cert = NULL;
	char *key = NULL;
	size_t cert_len = 0;
	size_t key_len = 0;
	int status = BS_CTL_OK;

	memset(d, 0, sizeof(*d));
	d->lock = -1;
	snprintf(d->path, sizeof(d->path), "%s", path);
	if (access(bs_ca_dir_file(d, "ca.crt", file), F_OK) != 0 && errno == ENOENT) {
		bs_ctl_error_set(e, BS_CTL_NOT_FOUND, path, "make one with bsctl ca init",
				 "no certificate authority here");
		return e->status;
	}
	if (change)
		status = take_lock(d, e);
	if (status == BS_CTL_OK) {
		cert = bs_file_read(file, PEM_MAX, &cert_len, e);
		status = cert ? BS_CTL_OK : e->status;
	}
	if (status == BS_CTL_OK && change) {
		bs_ca_dir_file(d, "ca.key", file);
		status = check_key_mode(file, e);
		key = status == BS_CTL_OK ? bs_file_read(file, PEM_MAX, &key_len, e) : NULL;
		status = key ? BS_CTL_OK : e->status;
	}
	if (status == BS_CTL_OK)
		status = bs_ca_signer_new(cert, cert_len, key, key_len, path, &d->signer, e);
	if (status == BS_CTL_OK)
		status = load_index(d, e);
	bs_ca_text_free(key);
	free(cert);
	if (status != BS_CTL_OK)
		bs_ca_dir_close(d);
	return status;
}

void bs_ca_dir_close(struct bs_ca_dir *d)
{
	bs_ca_signer_free(d->signer);
	json_decref(d->certs);
	if (d->lock >= 0)
		close(d->lock);
	d->signer = NULL;
	d->certs = NULL;
	d->lock = -1;
}

int bs_ca_dir_crl(struct bs_ca_dir *d, unsigned days, struct bs_ctl_error *e)
{
	size_t n = json_array_size(d->certs);
	struct bs_ca_revoked *list = calloc(n + 1, sizeof(*list));
	char path[4096];
	char *text = NULL;
	size_t used = 0;
	json_t *c;
	size_t i;
	int status;

	if (!list) {
		bs_ctl_error_set(e, BS_CTL_FAILED, NULL, NULL, "no memory");
		return e->status;
	}
	json_array_foreach(d->certs, i, c)
	{
		struct bs_ca_revoked *r = &list[used];

		if (!json_object_get(c, "revoked"))
			continue;
		snprintf(r->serial, sizeof(r->serial), "%s",
			 json_string_value(json_object_get(c, "serial")));
		r->when = json_integer_value(json_object_get(c, "revoked"));
		r->reason = bs_ca_reason(json_string_value(json_object_get(c, "reason")));
		used++;
	}
	status = bs_ca_sign_crl(d->signer, list, used, days, &text, e);
	if (status == BS_CTL_OK)
		status = bs_file_write(bs_ca_dir_file(d, "ca.crl", path), 0644, true, text,
				       strlen(text), e);
	bs_ca_text_free(text);
	free(list);
	return status;
}
