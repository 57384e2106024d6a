/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A power cut at any point loses nothing that was acknowledged.
 *
 * A run of the store is recorded: every write and sync of the data file, and every acknowledgement,
 * in one trace.  Then, for each prefix of the trace, the file is put together as a disk might hold
 * it: all writes before the last sync, and of those after it none, all, every prefix, random
 * subsets, and random subsets of their 512-byte sectors.  Each file is opened as after a reboot;
 * everything acknowledged before the cut must be there and the full check must find nothing.
 *
 * What is assumed of the disk: a sync means what it says, and a sector of 512 bytes is written
 * whole or not at all.  LMDB's meta page, 152 bytes at the start of a page, has no checksum and
 * relies on the latter.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"
#include "shim.h"

#define OPS      60
#define IMPORTED 150
#define SECTOR   512
#define SEED     20260611u

static struct box box;

/* Kinds of operations, by number modulo; every tenth is an import or a delete. */
enum op_kind {
	OP_DEVICE,
	OP_REVOKE,
	OP_RULE,
	OP_CLIENT,
	OP_DELETE,
	OP_KINDS
};

static enum op_kind kind_of(unsigned op)
{
	return (enum op_kind)(op % OP_KINDS);
}

static void make_request(unsigned op, struct bs_store_request *req)
{
	memset(req, 0, sizeof(*req));
	switch (kind_of(op)) {
	case OP_DEVICE:
		req->op = BS_STORE_DEVICE_ADD;
		snprintf(req->u.device.id, sizeof(req->u.device.id), "dev%u.example", op);
		req->u.device.has_secret = true;
		memset(req->u.device.secret, (int)op, BS_PSK_LEN);
		req->u.device.tags = box_names("one,two");
		break;
	case OP_REVOKE:
		req->op = BS_STORE_REVOKE;
		req->u.revocation.kind = BS_REVOKE_CLIENT;
		snprintf(req->u.revocation.identity, sizeof(req->u.revocation.identity), "bad%u",
			 op);
		break;
	case OP_RULE:
		req->op = BS_STORE_RULE_ADD;
		req->u.rule.allow = true;
		req->u.rule.who_kind = BS_WHO_IDENTITY;
		req->u.rule.which_kind = BS_WHICH_ANY;
		snprintf(req->u.rule.who, sizeof(req->u.rule.who), "who%u", op);
		break;
	case OP_CLIENT:
		req->op = BS_STORE_CLIENT_ADD;
		snprintf(req->u.client.identity, sizeof(req->u.client.identity), "cli%u", op);
		break;
	default:
		req->op = BS_STORE_DEVICE_DELETE;
		snprintf(req->u.device.id, sizeof(req->u.device.id), "base%u.example", op);
		break;
	}
}

struct waiting {
	unsigned op;
	bool done;
};

static void on_done(void *arg, const struct bs_store_result *res)
{
	struct waiting *w = arg;

	ck_assert_msg(res->status == BS_OK, "op %u: %s", w->op, res->err.text);
	shim_ack(w->op);
	w->done = true;
}

/* Operations one by one, and in groups that share a transaction. */
static void run_ops(void)
{
	static struct waiting w[OPS];
	unsigned op = 0;

	while (op < OPS) {
		unsigned group = op % 7 == 3 ? 5 : 1;
		unsigned first = op;
		unsigned i;

		for (; op < OPS && op < first + group; op++) {
			struct bs_store_request req;

			make_request(op, &req);
			w[op].op = op;
			req.done = on_done;
			req.arg = &w[op];
			ck_assert_int_eq(bs_store_submit(box.in, &req), BS_OK);
		}
		for (i = first; i < op; i++)
			box_wait(&box, &w[i].done);
	}
}

static void run_import(void)
{
	static struct waiting w = { .op = OPS };
	struct bs_store_request req = { .op = BS_STORE_IMPORT, .done = on_done, .arg = &w };
	uint8_t secret[BS_PSK_LEN] = { 9 };
	char id[32];
	unsigned i;

	ck_assert_int_eq(bs_import_new(box.reg, BS_IMPORT_NEW, IMPORTED, &req.u.import), BS_OK);
	for (i = 0; i < IMPORTED; i++) {
		struct bs_import_row row = { .row = i + 1, .secret = secret };

		snprintf(id, sizeof(id), "imp%u.example", i * 7 % IMPORTED);
		row.id = box_text(id);
		ck_assert_int_eq(bs_import_add(req.u.import, &row, &box.err), BS_OK);
	}
	ck_assert_int_eq(bs_store_submit(box.in, &req), BS_OK);
	box_wait(&box, &w.done);
}

/* ---- files as a disk might hold them */

struct image {
	uint8_t *b;
	size_t len;
	size_t cap;
};

static void image_put(struct image *im, uint64_t at, const uint8_t *data, size_t len)
{
	if (at + len > im->cap) {
		size_t cap = (at + len) * 2;

		im->b = realloc(im->b, cap);
		ck_assert_ptr_nonnull(im->b);
		im->cap = cap;
	}
	if (at + len > im->len) {
		memset(im->b + im->len, 0, at + len - im->len);
		im->len = at + len;
	}
	memcpy(im->b + at, data, len);
}

static void image_copy(struct image *to, const struct image *from)
{
	to->len = 0;
	image_put(to, 0, from->b, from->len);
}

static void image_load(struct image *im, const char *path)
{
	uint8_t buf[65536];
	uint64_t at = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY);

	ck_assert_int_ge(fd, 0);
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		image_put(im, at, buf, (size_t)n);
		at += (uint64_t)n;
	}
	close(fd);
}

static uint64_t image_hash(const struct image *im)
{
	uint64_t h = 14695981039346656037u;
	size_t i;

	for (i = 0; i + 8 <= im->len; i += 8) {
		uint64_t v;

		memcpy(&v, im->b + i, 8);
		h = (h ^ v) * 1099511628211u;
	}
	return h;
}

/* ---- after the reboot */

static struct {
	uint64_t seen[65536]; /* hashes of files examined, open addressing */
	unsigned opened;
	unsigned same;
	unsigned lost; /* files in which something was missing */
	char why[256]; /* what, in the last one */
	char dir[96];
	char data[160];
	unsigned acked; /* operations acknowledged so far, as a count: they come in order */
	bool done[OPS + 1];
} cut;

static bool is_new(uint64_t hash)
{
	size_t i;

	hash = (hash ^ cut.acked * UINT64_C(0x9e3779b97f4a7c15)) | 1;
	for (i = hash % 65536; cut.seen[i]; i = (i + 1) % 65536) {
		if (cut.seen[i] == hash)
			return false;
	}
	cut.seen[i] = hash;
	return true;
}

static bool has_rule(struct bs_registry_reader *r, const char *who)
{
	struct bs_access_rule rules[OPS];
	struct bs_list_pos pos = { 0 };
	bool end;
	bs_ssize n = bs_access_list(r, &pos, rules, OPS, &end);

	while (n > 0 && strcmp(rules[n - 1].who, who))
		n--;
	return n > 0;
}

static bool has_op(struct bs_registry_reader *r, unsigned op)
{
	struct bs_presented who = { .identity = { NULL, 0 } };
	enum bs_revoke_kind by = BS_REVOKE_NONE;
	struct bs_store_request req;
	struct bs_client client;
	struct bs_device d;

	make_request(op, &req);
	switch (kind_of(op)) {
	case OP_DEVICE:
		return bs_registry_device(r, box_text(req.u.device.id), &d) == BS_OK &&
		       !memcmp(d.secret, req.u.device.secret, BS_PSK_LEN);
	case OP_REVOKE:
		who.identity = box_text(req.u.revocation.identity);
		return bs_registry_revoked(r, &who, &by) == BS_OK && by == BS_REVOKE_CLIENT;
	case OP_RULE: return has_rule(r, req.u.rule.who);
	case OP_CLIENT:
		return bs_registry_client_get(r, box_text(req.u.client.identity), NULL, &client) ==
		       BS_OK;
	default: return bs_registry_device(r, box_text(req.u.device.id), &d) == BS_ENOENT;
	}
}

/* All of the import or nothing, and all when it was acknowledged. */
static bool import_is_whole(struct bs_registry_reader *r)
{
	struct bs_device_filter f = { .prefix = "imp" };
	static struct bs_device d[IMPORTED + 1];
	struct bs_list_pos pos = { 0 };
	bool end;
	bs_ssize n = bs_registry_device_list(r, &f, &pos, d, IMPORTED + 1, &end);

	return n == IMPORTED || (n == 0 && !cut.done[OPS]);
}

static bool holds(struct bs_registry *reg, struct bs_registry_reader *r)
{
	struct bs_check_report report;
	unsigned op;

	if (bs_registry_check(reg, NULL, NULL, &report) != BS_OK || report.problems) {
		snprintf(cut.why, sizeof(cut.why), "the check found problems");
		return false;
	}
	for (op = 0; op < OPS; op++) {
		if (cut.done[op] && !has_op(r, op)) {
			snprintf(cut.why, sizeof(cut.why), "operation %u is lost", op);
			return false;
		}
	}
	if (import_is_whole(r))
		return true;
	snprintf(cut.why, sizeof(cut.why), "the import is not whole");
	return false;
}

/* Open the file as after a reboot and look whether everything is there. */
static void examine(const struct image *im)
{
	struct bs_registry_conf conf = box.conf;
	struct bs_registry_reader *r;
	struct bs_registry *reg;
	struct bs_errtext err = { { 0 } };
	int fd;

	if (!is_new(image_hash(im))) {
		cut.same++;
		return;
	}
	fd = open(cut.data, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, im->b, im->len), (ssize_t)im->len);
	close(fd);
	conf.dir = cut.dir;
	cut.opened++;
	if (bs_registry_open(&conf, &reg, &err) != BS_OK) {
		snprintf(cut.why, sizeof(cut.why), "%.200s", err.text);
		cut.lost++;
		return;
	}
	ck_assert_int_eq(bs_registry_reader_new(reg, &r), BS_OK);
	if (!holds(reg, r))
		cut.lost++;
	bs_registry_reader_free(r);
	bs_registry_close(reg);
}

/* ---- cuts */

/* Writes that may or may not have reached the disk. */
struct pending {
	const struct shim_entry *v[512];
	size_t n;
};

static void put_entry(struct image *im, const struct shim_entry *e)
{
	image_put(im, e->at, e->data, e->len);
}

static void put_sectors(struct image *im, const struct shim_entry *e, uint32_t *seed)
{
	size_t at;

	for (at = 0; at < e->len;) {
		size_t len = SECTOR - (e->at + at) % SECTOR;

		if (len > e->len - at)
			len = e->len - at;
		if (box_random(seed) & 1)
			image_put(im, e->at + at, e->data + at, len);
		at += len;
	}
}

static void try_cut(const struct image *durable, const struct pending *p, struct image *work,
		    uint32_t *seed)
{
	size_t i;
	int k;

	image_copy(work, durable);
	examine(work);
	/* Every prefix, and so "all" too. */
	for (i = 0; i < p->n; i++) {
		put_entry(work, p->v[i]);
		examine(work);
	}
	for (k = 0; p->n && k < 6; k++) {
		image_copy(work, durable);
		for (i = 0; i < p->n; i++) {
			if (box_random(seed) & 1)
				put_entry(work, p->v[i]);
		}
		examine(work);
		image_copy(work, durable);
		for (i = 0; i < p->n; i++)
			put_sectors(work, p->v[i], seed);
		examine(work);
	}
}

static void flush(struct image *durable, struct pending *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		put_entry(durable, p->v[i]);
	p->n = 0;
}

/* With `honest` unset the disk does not keep its word: a sync returns at once, and only so many
 * writes later are they really there. */
static void cut_everywhere(struct image *durable, bool honest)
{
	static struct pending p;
	struct image work = { NULL, 0, 0 };
	uint32_t seed = SEED;
	size_t n;
	size_t i;
	const struct shim_entry *v = shim_trace(&n);

	try_cut(durable, &p, &work, &seed);
	for (i = 0; i < n; i++) {
		const struct shim_entry *e = &v[i];

		if (e->kind == SHIM_ACK) {
			cut.done[e->at] = true;
			cut.acked++;
		} else if (e->kind == SHIM_SYNC) {
			if (honest || p.n > 12)
				flush(durable, &p);
		} else {
			ck_assert_uint_lt(p.n, BS_LEN(p.v));
			p.v[p.n++] = e;
		}
		try_cut(durable, &p, &work, &seed);
		/* Such a write has returned before anything else happens: that one is durable. */
		if (e->kind == SHIM_DWRITE && honest) {
			put_entry(durable, e);
			p.n--;
		}
	}
	free(work.b);
}

/* Record a run; *base is the file before it. */
static void record(struct image *base)
{
	char data[160];
	char id[32];
	size_t n;
	unsigned i;

	box_init(&box);
	box.conf.map_bytes = 8u << 20;
	box_open(&box);
	for (i = 0; i < OPS; i++) {
		snprintf(id, sizeof(id), "base%u.example", i);
		ck_assert_int_eq(box_add(&box, id, 1, "base").status, BS_OK);
	}
	snprintf(data, sizeof(data), "%s/data.mdb", box.dir);
	image_load(base, data);
	shim_start(data);
	run_ops();
	run_import();
	shim_stop();
	box_close(&box);
	shim_trace(&n);
	ck_assert_uint_gt(n, 3 * OPS);
	ck_assert_uint_eq(shim_strange(), 0);
	snprintf(cut.dir, sizeof(cut.dir), "%s/cut", box.root);
	ck_assert_int_eq(mkdir(cut.dir, 0700), 0);
	snprintf(cut.data, sizeof(cut.data), "%s/data.mdb", cut.dir);
}

START_TEST(nothing_acknowledged_is_lost)
{
	struct image base = { NULL, 0, 0 };
	size_t n;

	record(&base);
	cut_everywhere(&base, true);
	shim_trace(&n);
	fprintf(stderr, "# %u trace entries, %u files examined, %u seen before, seed %u\n",
		(unsigned)n, cut.opened, cut.same, SEED);
	ck_assert_uint_eq(cut.acked, OPS + 1);
	ck_assert_uint_gt(cut.opened, n);
	ck_assert_msg(cut.lost == 0, "%u of %u files: %s", cut.lost, cut.opened, cut.why);
	free(base.b);
	box_remove(box.root);
}
END_TEST

/* The method itself: on a disk that does not sync, it must notice. */
START_TEST(a_lying_disk_is_noticed)
{
	struct image base = { NULL, 0, 0 };
	int status;
	pid_t pid;

	record(&base);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		/* LMDB may well crash on what it finds. */
		if (!freopen("/dev/null", "w", stderr))
			_exit(0);
		cut_everywhere(&base, false);
		_exit(cut.lost ? 3 : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
	free(base.b);
	box_remove(box.root);
}
END_TEST

int main(void)
{
	SRunner *sr;
	Suite *s = suite_create("powercut");
	TCase *t = tcase_create("powercut");
	int failed;

	tcase_set_timeout(t, 300);
	tcase_add_test(t, nothing_acknowledged_is_lost);
	tcase_add_test(t, a_lying_disk_is_noticed);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
