/* SPDX-License-Identifier: Apache-2.0 */
/* The full check of a registry: every record, every seal, every index in both directions. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/gcm.h"
#include "store/backup.h"
#include "store/reader.h"
#include "store/schema.h"
#include "util/cursor.h"

struct check {
	struct bs_registry_reader *r;
	bs_check_fn fn;
	void *arg;
	struct bs_check_report *report;
	uint64_t tags;        /* tags of all devices together */
	uint64_t next_number; /* from the meta table */
	uint64_t next_rule;
};

/* Key as text for people: what does not print becomes a dot. */
static void key_text(struct bs_slice key, char *out, size_t cap)
{
	size_t i;

	for (i = 0; i < key.len && i < cap - 1; i++)
		out[i] = key.ptr[i] >= 0x20 && key.ptr[i] < 0x7F ? (char)key.ptr[i] : '.';
	out[i] = 0;
}

static void problem(struct check *c, const char *what, struct bs_slice key, const char *why)
{
	char text[256];
	char name[100];

	c->report->problems++;
	if (!c->fn)
		return;
	key_text(key, name, sizeof(name));
	snprintf(text, sizeof(text), "%s \"%s\": %s", what, name, why);
	c->fn(c->arg, text);
}

static void number_problem(struct check *c, const char *what, uint32_t n, const char *why)
{
	char text[256];

	c->report->problems++;
	if (!c->fn)
		return;
	snprintf(text, sizeof(text), "%s %u: %s", what, (unsigned)n, why);
	c->fn(c->arg, text);
}

static int lookup(struct check *c, enum bs__table t, const struct bs__key *k, struct bs_slice *v)
{
	return bs__reader_get(c->r, t, k, v);
}

/* ---- one record each */

typedef void (*visit_fn)(struct check *c, struct bs_slice key, struct bs_slice value);

static void check_unseal(struct check *c, struct bs_slice id, const struct bs__device_record *rec)
{
	struct bs_device d;

	memcpy(d.id, id.ptr, id.len);
	d.id[id.len] = 0;
	d.id_len = (uint8_t)id.len;
	if (bs__device_unseal(c->r->seal, rec, &d) != BS_OK)
		problem(c, "device", id,
			"a secret does not open: it was changed, or belongs to "
			"another record");
	else
		c->report->unsealed += (rec->sealed != NULL) + (rec->sealed_next != NULL);
	bs_device_wipe(&d);
}

static void visit_device(struct check *c, struct bs_slice key, struct bs_slice value)
{
	struct bs__device_record rec;
	struct bs__key k;
	struct bs_slice v;
	size_t i;

	if (!bs_device_id_valid((const char *)key.ptr, key.len)) {
		problem(c, "device", key, "the id is not valid");
		return;
	}
	if (bs__device_decode(value, &rec) != BS_OK) {
		problem(c, "device", key, "the record cannot be decoded");
		return;
	}
	check_unseal(c, key, &rec);
	if (!rec.sealed && !(rec.flags & BS_DEVICE_LEGACY))
		problem(c, "device", key, "neither a secret nor the legacy flag");
	if (rec.number >= c->next_number)
		problem(c, "device", key, "its number was not given out yet");
	bs__key_u32(&k, rec.number);
	if (lookup(c, BS__NUMBER, &k, &v) != BS_OK || v.len != key.len ||
	    memcmp(v.ptr, key.ptr, key.len))
		problem(c, "device", key, "the number index does not name it");
	for (i = 0; i < rec.tags.n; i++) {
		bs__key_tag(&k, rec.tags.name[i], (const char *)key.ptr, key.len);
		if (lookup(c, BS__TAG, &k, &v) != BS_OK)
			problem(c, "device", key, "the tag index does not name it");
	}
	c->tags += rec.tags.n;
}

static void visit_number(struct check *c, struct bs_slice key, struct bs_slice value)
{
	struct bs__device_record rec;
	struct bs_slice v;
	uint32_t number;

	if (key.len != 4 || value.len == 0 || value.len > BS_DEVICE_ID_MAX) {
		problem(c, "number index", key, "malformed entry");
		return;
	}
	number = bs_get_u32(key.ptr);
	if (bs__get(c->r->reg, c->r->txn, BS__DEVICE, value.ptr, value.len, &v) ||
	    bs__device_decode_head(v, &rec) != BS_OK || rec.number != number)
		number_problem(c, "number index", number, "names a device that does not have it");
}

static void visit_tag(struct check *c, struct bs_slice key, struct bs_slice value)
{
	const uint8_t *zero = memchr(key.ptr, 0, key.len);
	struct bs__device_record rec;
	struct bs_slice v;
	size_t tag_len = zero ? (size_t)(zero - key.ptr) : 0;

	if (!zero || key.len - tag_len - 1 == 0 || key.len - tag_len - 1 > BS_DEVICE_ID_MAX ||
	    !bs_name_valid((const char *)key.ptr, tag_len)) {
		problem(c, "tag index", key, "malformed entry");
		return;
	}
	if (bs__get(c->r->reg, c->r->txn, BS__DEVICE, zero + 1, key.len - tag_len - 1, &v) ||
	    bs__device_decode(v, &rec) != BS_OK ||
	    !bs_names_has(&rec.tags, (const char *)key.ptr, tag_len))
		problem(c, "tag index", key, "names a device that does not have the tag");
}

static void visit_seen(struct check *c, struct bs_slice key, struct bs_slice value)
{
	struct bs__key k = { 4, { 0 } };
	struct bs_slice v;

	if (key.len != 4 || value.len != 8) {
		problem(c, "last seen", key, "malformed entry");
		return;
	}
	memcpy(k.b, key.ptr, 4);
	if (lookup(c, BS__NUMBER, &k, &v) != BS_OK)
		number_problem(c, "last seen", bs_get_u32(key.ptr), "no device has this number");
}

static void visit_client(struct check *c, struct bs_slice key, struct bs_slice value)
{
	struct bs_client client;

	if (bs__client_decode_key(key, &client) != BS_OK ||
	    bs__client_decode(value, &client) != BS_OK)
		problem(c, "client", key, "the record cannot be decoded");
}

static void visit_volume(struct check *c, struct bs_slice key, struct bs_slice value)
{
	struct bs_client client;
	struct bs_volume v;

	if (bs__client_decode_key(key, &client) != BS_OK || !client.has_ca ||
	    bs__volume_decode(value, &v) != BS_OK)
		problem(c, "volume", key, "malformed entry");
}

static void visit_rule(struct check *c, struct bs_slice key, struct bs_slice value)
{
	struct bs_access_rule rule;
	struct bs__rule_entry e;
	struct bs__key k;
	struct bs_slice v;
	uint32_t id;

	if (key.len != 4 || bs__rule_decode(value, &rule) != BS_OK) {
		problem(c, "rule", key, "the record cannot be decoded");
		return;
	}
	id = bs_get_u32(key.ptr);
	if (id == 0 || id >= c->next_rule)
		number_problem(c, "rule", id, "its id was not given out yet");
	bs__key_rule_index(&k, &rule);
	if (lookup(c, BS__RULE_INDEX, &k, &v) != BS_OK || bs__rule_entry_decode(v, &e) != BS_OK ||
	    e.id != id || e.allow != rule.allow || e.priority != rule.priority)
		number_problem(c, "rule", id, "the index that decides does not agree with it");
}

static void visit_rule_index(struct check *c, struct bs_slice key, struct bs_slice value)
{
	struct bs_access_rule rule;
	struct bs__rule_entry e;
	struct bs__key k;
	struct bs_slice v;

	if (bs__rule_entry_decode(value, &e) != BS_OK) {
		problem(c, "rule index", key, "malformed entry");
		return;
	}
	bs__key_u32(&k, e.id);
	if (lookup(c, BS__RULE, &k, &v) != BS_OK || bs__rule_decode(v, &rule) != BS_OK) {
		number_problem(c, "rule index", e.id, "names a rule that is not there");
		return;
	}
	bs__key_rule_index(&k, &rule);
	if (k.len != key.len || memcmp(k.b, key.ptr, key.len))
		number_problem(c, "rule index", e.id,
			       "belongs to another client or device than "
			       "the rule");
}

static void visit_revocation(struct check *c, struct bs_slice key, struct bs_slice value)
{
	struct bs_revocation rev;

	if (bs__revocation_decode_key(key, &rev) != BS_OK ||
	    bs__revocation_decode(value, &rev) != BS_OK)
		problem(c, "revocation", key, "the record cannot be decoded");
}

static void visit_ca(struct check *c, struct bs_slice key, struct bs_slice value)
{
	uint8_t fp[BS_FP256_LEN];
	struct bs_ca ca;

	if (key.len != BS_FP256_LEN || bs__ca_decode(value, &ca) != BS_OK) {
		problem(c, "CA", key, "the record cannot be decoded");
		return;
	}
	if (bs_gcm_sha256(ca.der, fp) != BS_OK || memcmp(fp, key.ptr, sizeof(fp)))
		problem(c, "CA", (struct bs_slice){ (const uint8_t *)ca.name, strlen(ca.name) },
			"the certificate is not the one of this fingerprint");
}

/* ---- tables */

static int walk_table(struct check *c, enum bs__table t, visit_fn visit)
{
	MDB_cursor *cur;
	MDB_val k;
	MDB_val v;
	int rc = mdb_cursor_open(c->r->txn, c->r->reg->dbi[t], &cur);

	if (rc)
		return bs__env_code(rc);
	while ((rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
		struct bs_slice key = { k.mv_data, k.mv_size };
		struct bs_slice value = { v.mv_data, v.mv_size };

		visit(c, key, value);
	}
	mdb_cursor_close(cur);
	if (rc != MDB_NOTFOUND) {
		problem(c, "table", (struct bs_slice){ NULL, 0 }, mdb_strerror(rc));
		return BS_OK;
	}
	return BS_OK;
}

static void check_meta(struct check *c)
{
	static const struct bs_slice none = { (const uint8_t *)"", 0 };
	uint64_t v;
	int e;

	if (bs__meta_get(c->r->reg, c->r->txn, "next-number", &c->next_number) != BS_OK)
		problem(c, "meta", none, "no counter of device numbers");
	if (bs__meta_get(c->r->reg, c->r->txn, "next-rule", &c->next_rule) != BS_OK)
		problem(c, "meta", none, "no counter of rules");
	for (e = 0; e < BS__EPOCHS; e++) {
		if (bs__meta_get(c->r->reg, c->r->txn, bs__epoch_name(e), &v) != BS_OK || v == 0)
			problem(c, "meta", none, "an epoch is missing or zero");
		/* The atomics may be behind this snapshot by a commit, never before it by more. */
		else if (v + 1 < atomic_load_explicit(&c->r->reg->epoch[e], memory_order_acquire))
			problem(c, "meta", none, "an epoch went back");
	}
}

static int entries(struct check *c, enum bs__table t, uint64_t *n)
{
	MDB_stat st;
	int rc = mdb_stat(c->r->txn, c->r->reg->dbi[t], &st);

	*n = rc ? 0 : st.ms_entries;
	return bs__env_code(rc);
}

/* Every index has as many entries as there are things to find. */
static int check_counts(struct check *c)
{
	static const struct bs_slice none = { (const uint8_t *)"", 0 };
	uint64_t a = 0;
	uint64_t b = 0;
	int rc;

	if ((rc = entries(c, BS__DEVICE, &a)) != BS_OK ||
	    (rc = entries(c, BS__NUMBER, &b)) != BS_OK)
		return rc;
	if (a != b)
		problem(c, "number index", none, "not as many entries as devices");
	if ((rc = entries(c, BS__TAG, &a)) != BS_OK)
		return rc;
	if (a != c->tags)
		problem(c, "tag index", none, "not as many entries as tags");
	if ((rc = entries(c, BS__RULE, &a)) != BS_OK ||
	    (rc = entries(c, BS__RULE_INDEX, &b)) != BS_OK)
		return rc;
	if (a != b)
		problem(c, "rule index", none, "not as many entries as rules");
	return BS_OK;
}

static int check_all(struct check *c)
{
	static const visit_fn visits[BS__TABLES] = {
		[BS__DEVICE] = visit_device,
		[BS__NUMBER] = visit_number,
		[BS__TAG] = visit_tag,
		[BS__SEEN] = visit_seen,
		[BS__CLIENT] = visit_client,
		[BS__RULE] = visit_rule,
		[BS__RULE_INDEX] = visit_rule_index,
		[BS__REVOCATION] = visit_revocation,
		[BS__CA] = visit_ca,
		[BS__VOLUME] = visit_volume,
	};
	int rc;
	int t;

	check_meta(c);
	for (t = 0; t < BS__TABLES; t++) {
		if (!visits[t])
			continue;
		rc = walk_table(c, (enum bs__table)t, visits[t]);
		if (rc != BS_OK)
			return rc;
	}
	return check_counts(c);
}

int bs_registry_check(struct bs_registry *reg, bs_check_fn fn, void *arg,
		      struct bs_check_report *report)
{
	struct bs_check_report found;
	struct check c = { NULL, fn, arg, &found, 0, 0, 0 };
	int rc;

	memset(&found, 0, sizeof(found));
	rc = bs_registry_reader_new(reg, &c.r);
	if (rc != BS_OK)
		return rc;
	rc = bs_registry_reader_begin(c.r);
	if (rc == BS_OK) {
		rc = check_all(&c);
		if (rc == BS_OK)
			rc = bs_registry_stat(c.r, &found.stat);
		bs_registry_reader_end(c.r);
	}
	bs_registry_reader_free(c.r);
	if (rc == BS_OK)
		*report = found;
	return rc;
}

/* ---- in a process of its own */

/* What the child writes into the pipe: problems line by line as they come, the outcome last. */
struct message {
	enum {
		MESSAGE_PROBLEM = 1,
		MESSAGE_DONE = 2
	} kind;
	int rc;
	struct bs_check_report report;
	struct bs_errtext text;
};

static void send_message(int fd, const struct message *m)
{
	const char *p = (const char *)m;
	size_t left = sizeof(*m);

	while (left) {
		ssize_t n = write(fd, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		p += n;
		left -= (size_t)n;
	}
}

static void send_problem(void *arg, const char *text)
{
	struct message m;

	memset(&m, 0, sizeof(m));
	m.kind = MESSAGE_PROBLEM;
	snprintf(m.text.text, sizeof(m.text.text), "%s", text);
	send_message(*(int *)arg, &m);
}

static void child(const struct bs_registry_conf *conf, const char *file, int fd)
{
	struct bs_registry_conf c = *conf;
	struct bs_registry *reg = NULL;
	struct message m;

	/* LMDB says on stderr what it stumbles over; the report says it better. */
	if (!freopen("/dev/null", "w", stderr))
		_exit(1);
	memset(&m, 0, sizeof(m));
	m.kind = MESSAGE_DONE;
	/* A copy beside the database may be migrated: nobody else looks at it. */
	c.write = file && strcmp(file, "data.mdb") != 0;
	if (c.write)
		m.rc = bs__registry_open_file(&c, file, &reg, &m.text);
	else
		m.rc = bs_registry_open(&c, &reg, &m.text);
	if (m.rc == BS_OK)
		m.rc = bs_registry_check(reg, send_problem, &fd, &m.report);
	bs_registry_close(reg);
	send_message(fd, &m);
	_exit(0);
}

/* False at the end of the pipe. */
static bool receive(int fd, struct message *m)
{
	char *p = (char *)m;
	size_t left = sizeof(*m);

	while (left) {
		ssize_t n = read(fd, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		left -= (size_t)n;
	}
	return true;
}

int bs_registry_verify(const struct bs_registry_conf *conf, const char *file, bs_check_fn fn,
		       void *arg, struct bs_check_report *report, struct bs_errtext *err)
{
	static const char crashed[] = "the file is damaged so badly that it cannot be walked";
	struct message m;
	bool done = false;
	int status;
	int p[2];
	pid_t pid;

	if (pipe(p) < 0)
		return BS_EIO;
	pid = fork();
	if (pid == 0) {
		close(p[0]);
		child(conf, file, p[1]);
	}
	close(p[1]);
	if (pid < 0) {
		close(p[0]);
		return BS_ENOMEM;
	}
	memset(report, 0, sizeof(*report));
	while (!done && receive(p[0], &m)) {
		done = m.kind == MESSAGE_DONE;
		if (!done)
			report->problems++;
		if (!done && fn)
			fn(arg, m.text.text);
	}
	close(p[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (!done) {
		report->problems++;
		if (fn)
			fn(arg, crashed);
		return BS_OK;
	}
	if (m.rc != BS_OK) {
		if (err)
			*err = m.text;
		return m.rc;
	}
	*report = m.report;
	return BS_OK;
}
