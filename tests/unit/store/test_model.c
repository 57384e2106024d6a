/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations against a naive model: the same answers, the same contents, the same decisions,
 * and a registry that checks out, across restarts.
 */
#include <stdio.h>

#include "box.h"

Suite *bs_suite_model(void);

#define DEVICES 12
#define CLIENTS 5
#define RULES   40
#define STEPS   900

static const char *const tag_names[] = { "red", "blue", "lab" };
static const char *const group_names[] = { "staff", "ops" };

struct model_device {
	bool there;
	uint32_t number;
	uint8_t state;
	uint8_t secret;
	uint8_t next;  /* 0 = none */
	unsigned tags; /* bits */
	uint64_t seen;
};

struct model_client {
	bool there;
	bool revoked; /* for good */
	uint8_t state;
	unsigned groups;
};

struct model_rule {
	bool there;
	struct bs_access_rule rule;
};

static struct {
	struct model_device device[DEVICES];
	struct model_client client[CLIENTS];
	struct model_rule rule[RULES];
	bool key_revoked[4];
	uint32_t next_number;
	uint32_t next_rule;
	uint32_t seed;
	unsigned step;
} m;

static struct box box;

static uint32_t roll(uint32_t n)
{
	return box_random(&m.seed) % n;
}

static void device_id(unsigned i, char *out)
{
	snprintf(out, 16, "dev%02u", i);
}

static void identity(unsigned i, char *out)
{
	snprintf(out, 16, "client%u", i);
}

static struct bs_names names_of(unsigned bits, const char *const *list, size_t n)
{
	struct bs_names set = { .n = 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		if (bits >> i & 1)
			ck_assert_int_eq(bs_names_add(&set, list[i], strlen(list[i])), BS_OK);
	}
	return set;
}

static void expect(struct bs_store_result res, int code, const char *what)
{
	ck_assert_msg(res.status == code, "step %u: %s: %d instead of %d (%s)", m.step, what,
		      res.status, code, res.err.text);
}

/* ---- operations, each on both sides */

static void op_add(void)
{
	unsigned i = roll(DEVICES);
	struct model_device *d = &m.device[i];
	unsigned tags = roll(8);
	uint8_t secret = (uint8_t)(1 + roll(200));
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ADD };
	struct bs_store_result res;

	device_id(i, req.u.device.id);
	req.u.device.has_secret = true;
	memset(req.u.device.secret, secret, BS_PSK_LEN);
	req.u.device.tags = names_of(tags, tag_names, 3);
	res = box_do(&box, &req);
	expect(res, d->there ? BS_EEXIST : BS_OK, "add");
	if (d->there)
		return;
	*d = (struct model_device){ true, m.next_number++, BS_RECORD_ENABLED, secret, 0, tags, 0 };
	ck_assert_uint_eq(res.number, d->number);
}

static void op_delete(void)
{
	unsigned i = roll(DEVICES);
	char id[BS_DEVICE_ID_MAX + 1];

	device_id(i, id);
	expect(box_device(&box, BS_STORE_DEVICE_DELETE, id), m.device[i].there ? BS_OK : BS_ENOENT,
	       "delete");
	m.device[i].there = false;
}

static void op_state(void)
{
	unsigned i = roll(DEVICES);
	uint8_t state = roll(2) ? BS_RECORD_ENABLED : BS_RECORD_DISABLED;
	char id[BS_DEVICE_ID_MAX + 1];

	device_id(i, id);
	expect(box_state(&box, id, state), m.device[i].there ? BS_OK : BS_ENOENT, "state");
	m.device[i].state = state;
}

static void op_tags(void)
{
	unsigned i = roll(DEVICES);
	unsigned add = roll(8);
	unsigned drop = roll(8);
	struct bs_store_request req = { .op = BS_STORE_DEVICE_TAGS };

	device_id(i, req.u.tags.id);
	req.u.tags.add = names_of(add, tag_names, 3);
	req.u.tags.remove = names_of(drop, tag_names, 3);
	expect(box_do(&box, &req), m.device[i].there ? BS_OK : BS_ENOENT, "tags");
	m.device[i].tags = (m.device[i].tags & ~drop) | add;
}

static void op_rotate(void)
{
	unsigned i = roll(DEVICES);
	struct model_device *d = &m.device[i];
	uint8_t secret = (uint8_t)(1 + roll(200));
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ROTATE };

	device_id(i, req.u.device.id);
	memset(req.u.device.secret, secret, BS_PSK_LEN);
	expect(box_do(&box, &req), !d->there ? BS_ENOENT : d->next ? BS_EEXIST : BS_OK, "rotate");
	if (!d->next)
		d->next = secret;
}

static void op_rotate_end(void)
{
	unsigned i = roll(DEVICES);
	struct model_device *d = &m.device[i];
	bool keep = roll(2);
	char id[BS_DEVICE_ID_MAX + 1];

	device_id(i, id);
	expect(box_device(&box, keep ? BS_STORE_DEVICE_ROTATE_DONE : BS_STORE_DEVICE_ROTATE_UNDO,
			  id),
	       !d->there  ? BS_ENOENT
	       : !d->next ? BS_ESTATE
			  : BS_OK,
	       "end of rotation");
	if (d->next && keep)
		d->secret = d->next;
	d->next = 0;
}

static void op_seen(void)
{
	struct bs_store_seen seen[4];
	struct bs_store_request req = { .op = BS_STORE_SEEN, .u.seen = { seen, 4 } };
	unsigned i;
	unsigned k;

	for (k = 0; k < 4; k++) {
		i = roll(DEVICES);
		seen[k].number = m.device[i].number ? m.device[i].number : 9999;
		seen[k].when = 1 + roll(1000);
		if (m.device[i].there && seen[k].when > m.device[i].seen)
			m.device[i].seen = seen[k].when;
	}
	expect(box_do(&box, &req), BS_OK, "seen");
}

static void op_client(void)
{
	unsigned i = roll(CLIENTS);
	struct model_client *c = &m.client[i];
	unsigned groups = roll(4);
	uint8_t state = roll(4) ? BS_RECORD_ENABLED : BS_RECORD_DISABLED;
	bool update = roll(2);
	struct bs_store_request req = { .op = update ? BS_STORE_CLIENT_UPDATE
						     : BS_STORE_CLIENT_ADD };
	int code = BS_OK;

	identity(i, req.u.client.identity);
	req.u.client.groups = names_of(groups, group_names, 2);
	req.u.client.state = state;
	if (update ? !c->there : c->there)
		code = update ? BS_ENOENT : BS_EEXIST;
	else if (c->revoked)
		code = BS_EPERM;
	expect(box_do(&box, &req), code, update ? "update client" : "add client");
	if (code != BS_OK)
		return;
	c->there = true;
	c->groups = groups;
	c->state = state;
}

static void op_forget(void)
{
	unsigned i = roll(CLIENTS);
	struct bs_store_request req = { .op = BS_STORE_CLIENT_DELETE };

	identity(i, req.u.client.identity);
	expect(box_do(&box, &req), m.client[i].there ? BS_OK : BS_ENOENT, "forget");
	m.client[i].there = false;
}

/* Seldom, for it is for good. */
static void op_revoke(void)
{
	struct bs_store_request req = { .op = BS_STORE_REVOKE };
	unsigned i = roll(CLIENTS);

	if (roll(30))
		return;
	if (roll(2)) {
		req.u.revocation.kind = BS_REVOKE_CLIENT;
		identity(i, req.u.revocation.identity);
		m.client[i].revoked = true;
	} else {
		i = roll(4);
		req.u.revocation.kind = BS_REVOKE_KEY;
		memcpy(req.u.revocation.key_fp, box_fp((uint8_t)i), BS_FP256_LEN);
		m.key_revoked[i] = true;
	}
	expect(box_do(&box, &req), BS_OK, "revoke");
}

static void random_who(struct bs_access_rule *r)
{
	r->who_kind = (uint8_t)(1 + roll(5));
	if (r->who_kind == BS_WHO_IDENTITY || r->who_kind == BS_WHO_CA_IDENTITY)
		identity(roll(CLIENTS), r->who);
	if (r->who_kind == BS_WHO_GROUP)
		snprintf(r->who, sizeof(r->who), "%s", group_names[roll(2)]);
	if (r->who_kind == BS_WHO_KEY || r->who_kind == BS_WHO_CA_IDENTITY)
		memcpy(r->who_fp, box_fp((uint8_t)roll(4)), BS_FP256_LEN);
}

static void random_which(struct bs_access_rule *r)
{
	r->which_kind = (uint8_t)(1 + roll(4));
	if (r->which_kind == BS_WHICH_ID)
		device_id(roll(DEVICES), r->which);
	if (r->which_kind == BS_WHICH_PATTERN)
		snprintf(r->which, sizeof(r->which), "dev%s", roll(2) ? "0*" : "?1");
	if (r->which_kind == BS_WHICH_TAG)
		snprintf(r->which, sizeof(r->which), "%s", tag_names[roll(3)]);
}

static bool same_rule(const struct bs_access_rule *a, const struct bs_access_rule *b)
{
	return a->who_kind == b->who_kind && a->which_kind == b->which_kind &&
	       !strcmp(a->who, b->who) && !strcmp(a->which, b->which) &&
	       !memcmp(a->who_fp, b->who_fp, BS_FP256_LEN);
}

static void op_rule(void)
{
	struct bs_store_request req = { .op = BS_STORE_RULE_ADD };
	struct bs_access_rule *r = &req.u.rule;
	struct bs_store_result res;
	int room = -1;
	int i;

	random_who(r);
	random_which(r);
	r->allow = roll(2);
	r->priority = (uint16_t)roll(3);
	for (i = 0; i < RULES; i++) {
		if (!m.rule[i].there)
			room = i;
		else if (same_rule(&m.rule[i].rule, r))
			break;
	}
	if (i == RULES && room < 0)
		return;
	res = box_do(&box, &req);
	expect(res, i < RULES ? BS_EEXIST : BS_OK, "rule");
	if (i < RULES) {
		ck_assert_uint_eq(res.number, m.rule[i].rule.id);
		return;
	}
	m.rule[room].there = true;
	m.rule[room].rule = *r;
	m.rule[room].rule.id = m.next_rule++;
	ck_assert_uint_eq(res.number, m.rule[room].rule.id);
}

static void op_no_rule(void)
{
	unsigned i = roll(RULES);
	struct bs_store_request req = { .op = BS_STORE_RULE_DELETE };

	req.u.rule.id = m.rule[i].there ? m.rule[i].rule.id : 999999;
	expect(box_do(&box, &req), m.rule[i].there ? BS_OK : BS_ENOENT, "no rule");
	m.rule[i].there = false;
}

static void op_restart(void)
{
	if (roll(40))
		return;
	box_close(&box);
	box_open(&box);
}

/* ---- comparison */

static void compare_devices(void)
{
	char id[BS_DEVICE_ID_MAX + 1];
	struct bs_names tags;
	struct bs_device d;
	unsigned i;

	for (i = 0; i < DEVICES; i++) {
		const struct model_device *want = &m.device[i];
		int rc;

		device_id(i, id);
		rc = bs_registry_device(box.r, box_text(id), &d);
		ck_assert_int_eq(rc, want->there ? BS_OK : BS_ENOENT);
		if (!want->there)
			continue;
		tags = names_of(want->tags, tag_names, 3);
		ck_assert_uint_eq(d.number, want->number);
		ck_assert_uint_eq(d.state, want->state);
		ck_assert_uint_eq(d.secret[7], want->secret);
		ck_assert_uint_eq(d.has_next ? d.secret_next[7] : 0, want->next);
		ck_assert_uint_eq(d.last_seen, want->seen);
		ck_assert(bs_names_equal(&d.tags, &tags));
		ck_assert_int_eq(bs_registry_device_by_number(box.r, want->number, &d), BS_OK);
		ck_assert_str_eq(d.id, id);
	}
}

static bool rule_matches(const struct bs_access_rule *r, const char *who, uint8_t ca, uint8_t key,
			 unsigned groups, const char *id, unsigned tags)
{
	bool hit = r->who_kind == BS_WHO_ANYBODY;
	size_t i;

	if (r->who_kind == BS_WHO_IDENTITY || r->who_kind == BS_WHO_CA_IDENTITY)
		hit = !strcmp(r->who, who);
	if (r->who_kind == BS_WHO_CA_IDENTITY)
		hit = hit && r->who_fp[0] == ca;
	if (r->who_kind == BS_WHO_KEY)
		hit = r->who_fp[0] == key;
	for (i = 0; i < 2 && r->who_kind == BS_WHO_GROUP; i++)
		hit = hit || ((groups >> i & 1) && !strcmp(r->who, group_names[i]));
	if (!hit)
		return false;
	if (r->which_kind == BS_WHICH_ID)
		return !strcmp(r->which, id);
	/* The only two patterns are "dev0*" and "dev?1". */
	if (r->which_kind == BS_WHICH_PATTERN)
		return r->which[3] == '0' ? id[3] == '0' : id[4] == '1';
	for (i = 0; i < 3 && r->which_kind == BS_WHICH_TAG; i++) {
		if ((tags >> i & 1) && !strcmp(r->which, tag_names[i]))
			return true;
	}
	return r->which_kind == BS_WHICH_ANY;
}

/* The documented order, done the slow way. */
static uint32_t decide(const char *who, uint8_t ca, uint8_t key, unsigned groups, const char *id,
		       unsigned tags, bool *allow)
{
	int priority;
	uint32_t best = 0;
	int i;

	*allow = false;
	for (priority = 2; priority >= 0 && !best; priority--) {
		bool deny = false;

		for (i = 0; i < RULES; i++) {
			const struct bs_access_rule *r = &m.rule[i].rule;

			if (!m.rule[i].there || r->priority != priority ||
			    !rule_matches(r, who, ca, key, groups, id, tags))
				continue;
			if ((!r->allow && !deny) || !best || (r->allow != deny && r->id < best))
				best = r->id;
			deny = deny || !r->allow;
			*allow = !deny;
		}
	}
	return best;
}

static void compare_decision(void)
{
	unsigned i = roll(DEVICES);
	unsigned k = roll(CLIENTS);
	uint8_t ca = (uint8_t)roll(4);
	uint8_t key = (uint8_t)roll(4);
	const struct model_device *d = &m.device[i];
	const struct model_client *c = &m.client[k];
	struct bs_presented who = { .ca_fp = box_fp(ca), .key_fp = box_fp(key) };
	struct bs_access_result got;
	char name[16];
	char id[BS_DEVICE_ID_MAX + 1];
	uint32_t rule;
	bool allow;

	identity(k, name);
	device_id(i, id);
	who.identity = box_text(name);
	ck_assert_int_eq(bs_access_check(box.r, &who, box_text(id), &got), BS_OK);
	rule = decide(name, ca, key, c->there ? c->groups : 0, id, d->tags, &allow);
	if (c->revoked || m.key_revoked[key])
		ck_assert_int_eq(got.reason, BS_ACCESS_CLIENT_REVOKED);
	else if (c->there && c->state != BS_RECORD_ENABLED)
		ck_assert_int_eq(got.reason, BS_ACCESS_CLIENT_DISABLED);
	else if (!d->there)
		ck_assert_int_eq(got.reason, BS_ACCESS_DEVICE_UNKNOWN);
	else if (d->state != BS_RECORD_ENABLED)
		ck_assert_int_eq(got.reason, BS_ACCESS_DEVICE_DISABLED);
	else if (!rule)
		ck_assert_int_eq(got.reason, BS_ACCESS_NO_RULE);
	else
		ck_assert_msg(got.rule_id == rule && got.allow == allow,
			      "step %u: %s to %s: rule %u (%d) instead of %u (%d)", m.step, name,
			      id, (unsigned)got.rule_id, got.allow, (unsigned)rule, allow);
	if (got.reason != BS_ACCESS_RULE)
		ck_assert(!got.allow && !got.rule_id);
}

START_TEST(random_operations)
{
	static void (*const ops[])(
		void) = { op_add,    op_add,        op_delete, op_state,  op_tags,    op_tags,
			  op_rotate, op_rotate_end, op_seen,   op_client, op_client,  op_forget,
			  op_revoke, op_rule,       op_rule,   op_rule,   op_no_rule, op_restart };
	unsigned i;

	memset(&m, 0, sizeof(m));
	m.seed = 1000003u * (unsigned)(_i + 1);
	m.next_number = 1;
	m.next_rule = 1;
	box_init(&box);
	box_open(&box);
	for (m.step = 0; m.step < STEPS; m.step++) {
		ops[roll(BS_LEN(ops))]();
		for (i = 0; i < 4; i++)
			compare_decision();
		if (m.step % 50 == 0) {
			compare_devices();
			box_check(&box);
		}
	}
	compare_devices();
	box_check(&box);
	box_fini(&box);
}
END_TEST

Suite *bs_suite_model(void)
{
	Suite *s = suite_create("model");
	TCase *t = tcase_create("model");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, random_operations, 0, 3);
	suite_add_tcase(s, t);
	return s;
}
