/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record.h"

#include <string.h>

#include "util/cursor.h"

/* Format bytes.  A device value of format 1 is read by migrate.c only. */
#define DEVICE_FORMAT     2
#define CLIENT_FORMAT     1
#define RULE_FORMAT       1
#define REVOCATION_FORMAT 1
#define CA_FORMAT         1

#define BIT_SECRET 0x01
#define BIT_NEXT   0x02
#define BIT_KEY    0x01

static void put_text(struct bs_writer *w, const char *text, size_t len)
{
	bs_writer_put_u8(w, (uint8_t)len);
	bs_writer_put_bytes(w, text, len);
}

/* A counted text of at most max bytes with no 0 byte in it, terminated in out[max + 1]. */
static bool read_text(struct bs_cursor *c, char *out, size_t max)
{
	size_t len = bs_cursor_read_u8(c);
	const uint8_t *p = bs_cursor_read_bytes(c, len);

	if (!p || len > max || memchr(p, 0, len))
		return false;
	memcpy(out, p, len);
	out[len] = 0;
	return true;
}

static void put_names(struct bs_writer *w, const struct bs_names *set)
{
	size_t i;

	bs_writer_put_u8(w, set->n);
	for (i = 0; i < set->n; i++)
		put_text(w, set->name[i], strlen(set->name[i]));
}

static bool read_names(struct bs_cursor *c, struct bs_names *set)
{
	size_t i;
	size_t n = bs_cursor_read_u8(c);

	set->n = 0;
	if (n > BS_NAMES_MAX)
		return false;
	for (i = 0; i < n; i++) {
		if (!read_text(c, set->name[i], BS_NAME_MAX))
			return false;
	}
	set->n = (uint8_t)n;
	return bs_names_valid(set);
}

static bool at_end(const struct bs_cursor *c)
{
	return !c->bad && bs_cursor_left(c) == 0;
}

static void key_append(struct bs__key *k, const void *data, size_t len)
{
	/* Every caller passes lengths that were validated against BS__KEY_MAX's parts. */
	memcpy(k->b + k->len, data, len);
	k->len += len;
}

static void key_append_u8(struct bs__key *k, uint8_t v)
{
	k->b[k->len++] = v;
}

void bs__key_u32(struct bs__key *k, uint32_t v)
{
	k->len = 4;
	bs_put_u32(k->b, v);
}

/* ---- devices */

void bs__device_ad(struct bs__key *ad, const char *id, size_t id_len, enum bs__secret_slot slot)
{
	ad->len = 0;
	key_append(ad, "device", 6);
	key_append_u8(ad, (uint8_t)slot);
	key_append(ad, id, id_len);
}

size_t bs__device_encode(const struct bs__device_record *d, uint8_t *buf)
{
	struct bs_writer w;

	bs_writer_init(&w, buf, BS__VALUE_MAX);
	bs_writer_put_u8(&w, DEVICE_FORMAT);
	bs_writer_put_u8(&w, d->state);
	bs_writer_put_u8(&w, d->flags);
	bs_writer_put_u8(&w,
			 (uint8_t)((d->sealed ? BIT_SECRET : 0) | (d->sealed_next ? BIT_NEXT : 0)));
	bs_writer_put_u32(&w, d->number);
	bs_writer_put_u32(&w, d->generation);
	bs_writer_put_u64(&w, d->created);
	if (d->sealed)
		bs_writer_put_bytes(&w, d->sealed, BS__SEALED_SECRET_LEN);
	if (d->sealed_next)
		bs_writer_put_bytes(&w, d->sealed_next, BS__SEALED_SECRET_LEN);
	put_names(&w, &d->tags);
	return w.len;
}

static int device_head(struct bs_cursor *c, struct bs__device_record *out)
{
	uint8_t format = bs_cursor_read_u8(c);
	uint8_t bits;

	out->state = bs_cursor_read_u8(c);
	out->flags = bs_cursor_read_u8(c);
	bits = bs_cursor_read_u8(c);
	out->number = bs_cursor_read_u32(c);
	out->generation = bs_cursor_read_u32(c);
	out->created = bs_cursor_read_u64(c);
	out->sealed = NULL;
	out->sealed_next = NULL;
	if (bits & BIT_SECRET)
		out->sealed = bs_cursor_read_bytes(c, BS__SEALED_SECRET_LEN);
	if (bits & BIT_NEXT)
		out->sealed_next = bs_cursor_read_bytes(c, BS__SEALED_SECRET_LEN);
	if (c->bad || format != DEVICE_FORMAT || (bits & ~(BIT_SECRET | BIT_NEXT)))
		return BS_ECORRUPT;
	if (out->state != BS_RECORD_ENABLED && out->state != BS_RECORD_DISABLED)
		return BS_ECORRUPT;
	if (out->number == 0 || (out->flags & ~BS_DEVICE_LEGACY))
		return BS_ECORRUPT;
	return BS_OK;
}

int bs__device_decode_head(struct bs_slice v, struct bs__device_record *out)
{
	struct bs_cursor c;

	bs_cursor_init(&c, v.ptr, v.len);
	return device_head(&c, out);
}

int bs__device_decode(struct bs_slice v, struct bs__device_record *out)
{
	struct bs_cursor c;
	int rc;

	bs_cursor_init(&c, v.ptr, v.len);
	rc = device_head(&c, out);
	if (rc != BS_OK)
		return rc;
	if (!read_names(&c, &out->tags) || !at_end(&c))
		return BS_ECORRUPT;
	return BS_OK;
}

void bs__key_tag_prefix(struct bs__key *k, const char *tag)
{
	k->len = 0;
	/* With the 0 byte: "a" must not find the devices of "ab". */
	key_append(k, tag, strlen(tag) + 1);
}

void bs__key_tag(struct bs__key *k, const char *tag, const char *id, size_t id_len)
{
	bs__key_tag_prefix(k, tag);
	key_append(k, id, id_len);
}

/* ---- clients */

void bs__key_client(struct bs__key *k, struct bs_slice identity, const uint8_t *ca_fp)
{
	k->len = 0;
	key_append(k, identity.ptr, identity.len);
	key_append_u8(k, 0);
	if (ca_fp)
		key_append(k, ca_fp, BS_FP256_LEN);
}

/* Splits "identity 0 [fingerprint]"; the identity lands terminated in out[BS_CLIENT_ID_MAX + 1]. */
static int split_identity(struct bs_slice key, char *identity, uint8_t *identity_len, bool *has_ca,
			  uint8_t *ca_fp)
{
	const uint8_t *zero = key.len ? memchr(key.ptr, 0, key.len) : NULL;
	size_t len = zero ? (size_t)(zero - key.ptr) : 0;
	size_t rest = key.len - len - 1;

	if (!zero || !bs_client_identity_valid((const char *)key.ptr, len))
		return BS_ECORRUPT;
	if (rest != 0 && rest != BS_FP256_LEN)
		return BS_ECORRUPT;
	memcpy(identity, key.ptr, len);
	identity[len] = 0;
	*identity_len = (uint8_t)len;
	*has_ca = rest != 0;
	if (rest)
		memcpy(ca_fp, zero + 1, BS_FP256_LEN);
	else
		memset(ca_fp, 0, BS_FP256_LEN);
	return BS_OK;
}

int bs__client_decode_key(struct bs_slice key, struct bs_client *out)
{
	return split_identity(key, out->identity, &out->identity_len, &out->has_ca, out->ca_fp);
}

size_t bs__client_encode(const struct bs_client *c, uint8_t *buf)
{
	struct bs_writer w;

	bs_writer_init(&w, buf, BS__VALUE_MAX);
	bs_writer_put_u8(&w, CLIENT_FORMAT);
	bs_writer_put_u8(&w, c->state);
	bs_writer_put_u8(&w, c->has_key ? BIT_KEY : 0);
	bs_writer_put_u32(&w, c->generation);
	bs_writer_put_u64(&w, c->created);
	if (c->has_key)
		bs_writer_put_bytes(&w, c->key_fp, BS_FP256_LEN);
	put_names(&w, &c->groups);
	return w.len;
}

int bs__client_decode(struct bs_slice v, struct bs_client *out)
{
	struct bs_cursor c;
	uint8_t format;
	uint8_t bits;
	const uint8_t *key = NULL;

	bs_cursor_init(&c, v.ptr, v.len);
	format = bs_cursor_read_u8(&c);
	out->state = bs_cursor_read_u8(&c);
	bits = bs_cursor_read_u8(&c);
	out->generation = bs_cursor_read_u32(&c);
	out->created = bs_cursor_read_u64(&c);
	if (bits & BIT_KEY)
		key = bs_cursor_read_bytes(&c, BS_FP256_LEN);
	if (c.bad || format != CLIENT_FORMAT || (bits & ~BIT_KEY))
		return BS_ECORRUPT;
	if (out->state < BS_RECORD_ENABLED || out->state > BS_RECORD_REVOKED)
		return BS_ECORRUPT;
	out->has_key = key != NULL;
	if (key)
		memcpy(out->key_fp, key, BS_FP256_LEN);
	else
		memset(out->key_fp, 0, BS_FP256_LEN);
	if (!read_names(&c, &out->groups) || !at_end(&c))
		return BS_ECORRUPT;
	return BS_OK;
}

/* ---- rules */

static bool who_has_fp(uint8_t kind)
{
	return kind == BS_WHO_CA_IDENTITY || kind == BS_WHO_KEY;
}

size_t bs__rule_encode(const struct bs_access_rule *rule, uint8_t *buf)
{
	struct bs_writer w;

	bs_writer_init(&w, buf, BS__VALUE_MAX);
	bs_writer_put_u8(&w, RULE_FORMAT);
	bs_writer_put_u8(&w, rule->allow);
	bs_writer_put_u8(&w, rule->who_kind);
	bs_writer_put_u8(&w, rule->which_kind);
	bs_writer_put_u16(&w, rule->priority);
	bs_writer_put_u64(&w, rule->created);
	put_text(&w, rule->who, strlen(rule->who));
	if (who_has_fp(rule->who_kind))
		bs_writer_put_bytes(&w, rule->who_fp, BS_FP256_LEN);
	put_text(&w, rule->which, strlen(rule->which));
	return w.len;
}

int bs__rule_decode(struct bs_slice v, struct bs_access_rule *out)
{
	struct bs_access_rule r;
	struct bs_cursor c;
	uint8_t format;
	uint8_t allow;
	const uint8_t *fp;

	memset(&r, 0, sizeof(r));
	bs_cursor_init(&c, v.ptr, v.len);
	format = bs_cursor_read_u8(&c);
	allow = bs_cursor_read_u8(&c);
	r.allow = allow == 1;
	r.who_kind = bs_cursor_read_u8(&c);
	r.which_kind = bs_cursor_read_u8(&c);
	r.priority = bs_cursor_read_u16(&c);
	r.created = bs_cursor_read_u64(&c);
	if (!read_text(&c, r.who, BS_CLIENT_ID_MAX))
		return BS_ECORRUPT;
	if (who_has_fp(r.who_kind)) {
		fp = bs_cursor_read_bytes(&c, BS_FP256_LEN);
		if (!fp)
			return BS_ECORRUPT;
		memcpy(r.who_fp, fp, BS_FP256_LEN);
	}
	if (!read_text(&c, r.which, BS_ACCESS_PATTERN_MAX) || !at_end(&c))
		return BS_ECORRUPT;
	if (format != RULE_FORMAT || allow > 1 || bs_access_rule_check(&r, NULL) != BS_OK)
		return BS_ECORRUPT;
	*out = r;
	return BS_OK;
}

void bs__key_who(struct bs__key *k, uint8_t kind, const char *who, size_t len, const uint8_t *fp)
{
	k->len = 0;
	key_append_u8(k, kind);
	key_append_u8(k, (uint8_t)len);
	key_append(k, who, len);
	if (who_has_fp(kind))
		key_append(k, fp, BS_FP256_LEN);
}

void bs__key_which(struct bs__key *k, uint8_t kind, const char *which, size_t len)
{
	key_append_u8(k, kind);
	key_append(k, which, len);
}

void bs__key_rule_index(struct bs__key *k, const struct bs_access_rule *rule)
{
	bs__key_who(k, rule->who_kind, rule->who, strlen(rule->who), rule->who_fp);
	bs__key_which(k, rule->which_kind, rule->which, strlen(rule->which));
}

size_t bs__rule_entry_encode(const struct bs__rule_entry *e, uint8_t *buf)
{
	bs_put_u32(buf, e->id);
	bs_put_u16(buf + 4, e->priority);
	buf[6] = e->allow;
	return 7;
}

int bs__rule_entry_decode(struct bs_slice v, struct bs__rule_entry *out)
{
	if (v.len != 7 || v.ptr[6] > 1)
		return BS_ECORRUPT;
	out->id = bs_get_u32(v.ptr);
	out->priority = bs_get_u16(v.ptr + 4);
	out->allow = v.ptr[6];
	return out->id ? BS_OK : BS_ECORRUPT;
}

/* ---- revocations */

struct bs_slice bs__serial_trim(struct bs_slice serial)
{
	while (serial.len > 1 && serial.ptr[0] == 0) {
		serial.ptr++;
		serial.len--;
	}
	return serial;
}

void bs__key_revocation(struct bs__key *k, const struct bs_revocation *rev)
{
	k->len = 0;
	key_append_u8(k, rev->kind);
	if (rev->kind == BS_REVOKE_CLIENT) {
		key_append(k, rev->identity, rev->identity_len);
		key_append_u8(k, 0);
		if (rev->has_ca)
			key_append(k, rev->ca_fp, BS_FP256_LEN);
	} else if (rev->kind == BS_REVOKE_CERT) {
		key_append(k, rev->ca_fp, BS_FP256_LEN);
		key_append(k, rev->serial, rev->serial_len);
	} else {
		key_append(k, rev->key_fp, BS_FP256_LEN);
	}
}

int bs__revocation_decode_key(struct bs_slice key, struct bs_revocation *out)
{
	struct bs_slice rest;

	memset(out, 0, sizeof(*out));
	if (key.len < 2)
		return BS_ECORRUPT;
	rest.ptr = key.ptr + 1;
	rest.len = key.len - 1;
	out->kind = key.ptr[0];
	switch (out->kind) {
	case BS_REVOKE_CLIENT:
		return split_identity(rest, out->identity, &out->identity_len, &out->has_ca,
				      out->ca_fp);
	case BS_REVOKE_CERT:
		if (rest.len <= BS_FP256_LEN || rest.len > BS_FP256_LEN + BS_SERIAL_MAX)
			return BS_ECORRUPT;
		out->has_ca = true;
		memcpy(out->ca_fp, rest.ptr, BS_FP256_LEN);
		out->serial_len = (uint8_t)(rest.len - BS_FP256_LEN);
		memcpy(out->serial, rest.ptr + BS_FP256_LEN, out->serial_len);
		return BS_OK;
	case BS_REVOKE_KEY:
		if (rest.len != BS_FP256_LEN)
			return BS_ECORRUPT;
		memcpy(out->key_fp, rest.ptr, BS_FP256_LEN);
		return BS_OK;
	default: return BS_ECORRUPT;
	}
}

size_t bs__revocation_encode(const struct bs_revocation *rev, uint8_t *buf)
{
	struct bs_writer w;

	bs_writer_init(&w, buf, BS__VALUE_MAX);
	bs_writer_put_u8(&w, REVOCATION_FORMAT);
	bs_writer_put_u64(&w, rev->when);
	put_text(&w, rev->note, strlen(rev->note));
	return w.len;
}

int bs__revocation_decode(struct bs_slice v, struct bs_revocation *out)
{
	struct bs_cursor c;
	uint8_t format;

	bs_cursor_init(&c, v.ptr, v.len);
	format = bs_cursor_read_u8(&c);
	out->when = bs_cursor_read_u64(&c);
	if (!read_text(&c, out->note, BS_NOTE_MAX) || !at_end(&c) || format != REVOCATION_FORMAT)
		return BS_ECORRUPT;
	return BS_OK;
}

/* ---- CA certificates */

size_t bs__ca_encode_head(const struct bs_ca *ca, uint8_t *buf)
{
	struct bs_writer w;

	bs_writer_init(&w, buf, BS__CA_HEAD_MAX);
	bs_writer_put_u8(&w, CA_FORMAT);
	bs_writer_put_u8(&w, ca->roles);
	bs_writer_put_u64(&w, ca->added);
	put_text(&w, ca->name, strlen(ca->name));
	return w.len;
}

int bs__ca_decode(struct bs_slice v, struct bs_ca *out)
{
	struct bs_cursor c;
	uint8_t format;

	bs_cursor_init(&c, v.ptr, v.len);
	format = bs_cursor_read_u8(&c);
	out->roles = bs_cursor_read_u8(&c);
	out->added = bs_cursor_read_u64(&c);
	if (!read_text(&c, out->name, BS_NOTE_MAX) || format != CA_FORMAT)
		return BS_ECORRUPT;
	if (!out->roles || (out->roles & ~(BS_CA_CLIENT | BS_CA_SERVER)))
		return BS_ECORRUPT;
	out->der.len = bs_cursor_left(&c);
	out->der.ptr = bs_cursor_read_bytes(&c, out->der.len);
	return out->der.len && out->der.len <= BS_CA_DER_MAX ? BS_OK : BS_ECORRUPT;
}
