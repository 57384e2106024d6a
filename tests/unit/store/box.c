/* SPDX-License-Identifier: Apache-2.0 */
#include "box.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void box_remove(const char *path)
{
	char sub[512];
	struct dirent *e;
	DIR *d = opendir(path);

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		if (unlink(sub) < 0)
			box_remove(sub);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

void box_init(struct box *b)
{
	/* Memory where there is some: a thousand syncs to a busy disk take minutes. */
	const char *where = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	memset(b, 0, sizeof(*b));
	snprintf(b->root, sizeof(b->root), "%s/bs-store-test.XXXXXX", where);
	ck_assert_ptr_nonnull(mkdtemp(b->root));
	snprintf(b->dir, sizeof(b->dir), "%s/db", b->root);
	snprintf(b->key, sizeof(b->key), "%s/key", b->root);
	ck_assert_int_eq(bs_seal_key_create(b->key, &b->err), BS_OK);
	b->conf.dir = b->dir;
	b->conf.key_file = b->key;
	b->conf.map_bytes = 64u << 20;
	b->conf.write = true;
}

static void remember(void *arg, const struct bs_store_change *change)
{
	struct box *b = arg;

	if (b->n_changes < BOX_CHANGES)
		b->change[b->n_changes++] = *change;
}

int box_try_open(struct box *b)
{
	int rc = bs_registry_open(&b->conf, &b->reg, &b->err);

	if (rc == BS_OK)
		rc = bs_registry_reader_new(b->reg, &b->r);
	if (rc == BS_OK)
		rc = bs_store_start(b->reg, remember, b, &b->store, &b->feed);
	if (rc == BS_OK)
		rc = bs_store_inbox_new(b->store, &b->in);
	return rc;
}

void box_open(struct box *b)
{
	int rc = box_try_open(b);

	ck_assert_msg(rc == BS_OK, "open: %d %s", rc, b->err.text);
}

void box_close(struct box *b)
{
	bs_store_stop(b->store);
	bs_store_inbox_free(b->in);
	bs_store_inbox_free(b->feed);
	bs_store_free(b->store);
	bs_registry_reader_free(b->r);
	bs_registry_close(b->reg);
	b->in = NULL;
	b->feed = NULL;
	b->store = NULL;
	b->r = NULL;
	b->reg = NULL;
}

void box_fini(struct box *b)
{
	box_close(b);
	box_remove(b->root);
}

const char *box_path(const struct box *b, const char *name)
{
	static _Thread_local char path[192];

	snprintf(path, sizeof(path), "%s/%s", b->root, name);
	return path;
}

struct answer {
	bool done;
	struct bs_store_result res;
};

static void keep_answer(void *arg, const struct bs_store_result *res)
{
	struct answer *a = arg;

	a->res = *res;
	a->done = true;
}

void box_wait(struct box *b, const bool *flag)
{
	while (!*flag) {
		struct pollfd p = { .fd = bs_store_inbox_fd(b->in), .events = POLLIN };

		ck_assert_msg(poll(&p, 1, 30000) > 0, "no answer within 30 s");
		bs_store_inbox_run(b->in);
	}
	bs_store_inbox_run(b->feed);
}

struct bs_store_result box_do(struct box *b, const struct bs_store_request *req)
{
	struct bs_store_request copy = *req;
	struct answer a = { .done = false };
	int rc;

	copy.done = keep_answer;
	copy.arg = &a;
	rc = bs_store_submit(b->in, &copy);
	ck_assert_msg(rc == BS_OK, "submit: %d", rc);
	box_wait(b, &a.done);
	return a.res;
}

struct bs_names box_names(const char *list)
{
	struct bs_names set = { .n = 0 };

	while (list && *list) {
		size_t len = strcspn(list, ",");

		ck_assert_int_eq(bs_names_add(&set, list, len), BS_OK);
		list += len + (list[len] == ',');
	}
	return set;
}

struct bs_store_result box_add(struct box *b, const char *id, uint8_t fill, const char *tags)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ADD };

	snprintf(req.u.device.id, sizeof(req.u.device.id), "%s", id);
	req.u.device.has_secret = true;
	memset(req.u.device.secret, fill, BS_PSK_LEN);
	req.u.device.tags = box_names(tags);
	return box_do(b, &req);
}

struct bs_store_result box_device(struct box *b, enum bs_store_op op, const char *id)
{
	struct bs_store_request req = { .op = op };

	snprintf(req.u.device.id, sizeof(req.u.device.id), "%s", id);
	return box_do(b, &req);
}

struct bs_store_result box_state(struct box *b, const char *id, uint8_t state)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_STATE };

	snprintf(req.u.device.id, sizeof(req.u.device.id), "%s", id);
	req.u.device.state = state;
	return box_do(b, &req);
}

struct bs_store_result box_client(struct box *b, const char *identity, const uint8_t *ca,
				  const uint8_t *key, const char *groups)
{
	struct bs_store_request req = { .op = BS_STORE_CLIENT_ADD };
	struct bs_client *c = &req.u.client;

	snprintf(c->identity, sizeof(c->identity), "%s", identity);
	c->has_ca = ca != NULL;
	c->has_key = key != NULL;
	if (ca)
		memcpy(c->ca_fp, ca, BS_FP256_LEN);
	if (key)
		memcpy(c->key_fp, key, BS_FP256_LEN);
	c->groups = box_names(groups);
	return box_do(b, &req);
}

struct bs_store_result box_rule(struct box *b, bool allow, uint8_t who_kind, const char *who,
				const uint8_t *fp, uint8_t which_kind, const char *which,
				uint16_t priority)
{
	struct bs_store_request req = { .op = BS_STORE_RULE_ADD };
	struct bs_access_rule *rule = &req.u.rule;

	rule->allow = allow;
	rule->who_kind = who_kind;
	rule->which_kind = which_kind;
	rule->priority = priority;
	snprintf(rule->who, sizeof(rule->who), "%s", who);
	snprintf(rule->which, sizeof(rule->which), "%s", which);
	if (fp)
		memcpy(rule->who_fp, fp, BS_FP256_LEN);
	return box_do(b, &req);
}

static void show(void *arg, const char *text)
{
	fprintf(stderr, "# check: %s\n", text);
}

void box_check(struct box *b)
{
	struct bs_check_report report;

	ck_assert_int_eq(bs_registry_check(b->reg, show, NULL, &report), BS_OK);
	ck_assert_uint_eq(report.problems, 0);
}

struct bs_slice box_text(const char *text)
{
	struct bs_slice s = { (const uint8_t *)text, strlen(text) };

	return s;
}

const uint8_t *box_fp(uint8_t fill)
{
	static uint8_t table[256][BS_FP256_LEN];

	memset(table[fill], fill, BS_FP256_LEN);
	return table[fill];
}

uint32_t box_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}
