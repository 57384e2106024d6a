/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/field.h"

#include <stdio.h>
#include <string.h>

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool in_device(char c)
{
	return is_lower(c) || is_digit(c) || c == '-' || c == '.';
}

static bool in_pattern(char c)
{
	return in_device(c) || c == '*' || c == '?';
}

static bool in_tag(char c)
{
	return is_lower(c) || is_upper(c) || is_digit(c) || c == '-' || c == '_' || c == '.' ||
	       c == ':' || c == '@';
}

/* [len] bytes to out with terminator. */
static void put(char *out, const char *s, size_t len)
{
	memcpy(out, s, len);
	out[len] = '\0';
}

static bool all(const char *s, size_t len, bool (*is)(char c))
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (!is(s[i]))
			return false;
	}
	return true;
}

static bool any(const char *s, size_t len, bool (*is)(char c))
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (is(s[i]))
			return true;
	}
	return false;
}

const char *bs_field_device(const char *s, size_t len, char out[static BS_DEVICE_ID_MAX + 1])
{
	if (len == 0)
		return "a device id is missing";
	if (len > BS_DEVICE_ID_MAX)
		return "a device id has at most 40 characters";
	if (any(s, len, is_upper))
		return "a device id is lower case (ids are case sensitive on the wire)";
	if (!all(s, len, in_device))
		return "a device id has only the characters a-z 0-9 - .";
	put(out, s, len);
	return NULL;
}

const char *bs_field_pattern(const char *s, size_t len, char out[static BS_FIELD_PATTERN_MAX + 1])
{
	if (len == 0)
		return "a pattern is missing";
	if (len > BS_FIELD_PATTERN_MAX)
		return "a pattern has at most 64 characters";
	if (!all(s, len, in_pattern))
		return "a pattern has only the characters a-z 0-9 - . * ?";
	put(out, s, len);
	return NULL;
}

const char *bs_field_identity(const char *s, size_t len, char out[static BS_CLIENT_ID_MAX + 1])
{
	char t[BS_CLIENT_ID_MAX + 1];
	size_t i;

	if (len == 0)
		return "a client identity is missing";
	if (len > BS_CLIENT_ID_MAX)
		return "a client identity has at most 64 characters";
	for (i = 0; i < len; i++) {
		if (s[i] < 0x21 || s[i] > 0x7E)
			return "a client identity has only printable ASCII and no space";
		t[i] = is_upper(s[i]) ? (char)(s[i] - 'A' + 'a') : s[i];
	}
	put(out, t, len);
	return NULL;
}

const char *bs_field_tag(const char *s, size_t len, char out[static BS_FIELD_TAG_MAX + 1])
{
	if (len == 0)
		return "a tag or group name is missing";
	if (len > BS_FIELD_TAG_MAX)
		return "a tag or group name has at most 32 characters";
	if (!all(s, len, in_tag))
		return "a tag or group name has only letters, digits and - _ . : @";
	put(out, s, len);
	return NULL;
}

static int hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

const char *bs_field_hex_any(const char *s, size_t len, uint8_t *out, size_t cap, size_t *n)
{
	size_t got = 0;
	size_t i = 0;

	while (i < len) {
		int hi;
		int lo;

		if (s[i] == ':' && got > 0 && i + 1 < len && s[i - 1] != ':') {
			i++;
			continue;
		}
		hi = hex_digit(s[i]);
		lo = i + 1 < len ? hex_digit(s[i + 1]) : -1;
		if (hi < 0 || lo < 0)
			return "not hex digits in pairs";
		if (got == cap)
			return "too many hex digits";
		out[got++] = (uint8_t)(hi * 16 + lo);
		i += 2;
	}
	*n = got;
	return NULL;
}

const char *bs_field_hex(const char *s, size_t len, uint8_t *out, size_t n)
{
	size_t got = 0;
	const char *wrong = bs_field_hex_any(s, len, out, n, &got);

	if (!wrong && got < n)
		return "too few hex digits";
	return wrong;
}

static int base64_digit(char c)
{
	if (is_upper(c))
		return c - 'A';
	if (is_lower(c))
		return c - 'a' + 26;
	if (is_digit(c))
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

/* 16 bytes are 22 digits, of which the last carries two bits only. */
static bool base64_secret(const char *s, size_t len, uint8_t *out)
{
	uint8_t t[BS_PSK_LEN];
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t n = 0;
	size_t i;

	if (len == 24 && s[22] == '=' && s[23] == '=')
		len = 22;
	if (len != 22)
		return false;
	for (i = 0; i < len; i++) {
		int d = base64_digit(s[i]);

		if (d < 0)
			return false;
		acc = acc << 6 | (uint32_t)d;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			t[n++] = (uint8_t)(acc >> bits);
		}
	}
	if ((acc & ((1u << bits) - 1)) != 0)
		return false;
	memcpy(out, t, BS_PSK_LEN);
	return true;
}

const char *bs_field_secret(const char *s, size_t len, uint8_t out[static BS_PSK_LEN])
{
	if (len == 32 && bs_field_hex(s, len, out, BS_PSK_LEN) == NULL)
		return NULL;
	if (base64_secret(s, len, out))
		return NULL;
	/* The text itself must not appear in a message: it may be a mistyped secret. */
	return "a secret is 32 hex digits or 16 bytes in base64";
}

void bs_field_put_hex(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * n] = '\0';
}

/* Whether s begins with prefix; then moves past it. */
static bool take(const char **s, size_t *len, const char *prefix)
{
	size_t n = strlen(prefix);

	if (*len < n || memcmp(*s, prefix, n) != 0)
		return false;
	*s += n;
	*len -= n;
	return true;
}

const char *bs_field_subject(const char *s, size_t len, struct bs_field_subject *out)
{
	struct bs_field_subject v;
	const char *wrong;
	const char *slash;
	char tag[BS_FIELD_TAG_MAX + 1];

	memset(&v, 0, sizeof(v));
	if (len == 1 && s[0] == '*') {
		v.who = BS_SUBJECT_ANYBODY;
	} else if (take(&s, &len, "key:")) {
		v.who = BS_SUBJECT_KEY;
		wrong = bs_field_hex(s, len, v.key, sizeof(v.key));
		if (wrong)
			return "a key fingerprint is 64 hex digits (SHA-256 of the public key)";
	} else if (take(&s, &len, "group:")) {
		v.who = BS_SUBJECT_GROUP;
		wrong = bs_field_tag(s, len, tag);
		if (wrong)
			return wrong;
		put(v.name, tag, strlen(tag));
	} else {
		v.who = BS_SUBJECT_IDENTITY;
		slash = memchr(s, '/', len);
		/* An identity may itself hold a slash: only 64 hex digits before it name a CA. */
		if (slash && bs_field_hex(s, (size_t)(slash - s), v.ca, sizeof(v.ca)) == NULL) {
			v.has_ca = true;
			len -= (size_t)(slash + 1 - s);
			s = slash + 1;
		}
		wrong = bs_field_identity(s, len, v.name);
		if (wrong)
			return wrong;
	}
	*out = v;
	return NULL;
}

const char *bs_field_object(const char *s, size_t len, struct bs_field_object *out)
{
	struct bs_field_object v;
	const char *wrong;

	memset(&v, 0, sizeof(v));
	if (len == 1 && s[0] == '*') {
		v.what = BS_OBJECT_ANY;
		wrong = NULL;
	} else if (take(&s, &len, "tag:")) {
		v.what = BS_OBJECT_TAG;
		wrong = bs_field_tag(s, len, v.name);
	} else if (memchr(s, '*', len) || memchr(s, '?', len)) {
		v.what = BS_OBJECT_PATTERN;
		wrong = bs_field_pattern(s, len, v.name);
	} else {
		v.what = BS_OBJECT_DEVICE;
		wrong = bs_field_device(s, len, v.name);
	}
	if (!wrong)
		*out = v;
	return wrong;
}

void bs_field_put_subject(const struct bs_field_subject *v, char out[static BS_FIELD_CAP])
{
	char hex[65];

	switch (v->who) {
	case BS_SUBJECT_ANYBODY: snprintf(out, BS_FIELD_CAP, "*"); break;
	case BS_SUBJECT_KEY:
		bs_field_put_hex(v->key, sizeof(v->key), hex);
		snprintf(out, BS_FIELD_CAP, "key:%s", hex);
		break;
	case BS_SUBJECT_GROUP: snprintf(out, BS_FIELD_CAP, "group:%s", v->name); break;
	default:
		bs_field_put_hex(v->ca, sizeof(v->ca), hex);
		snprintf(out, BS_FIELD_CAP, "%s%s%s", v->has_ca ? hex : "", v->has_ca ? "/" : "",
			 v->name);
	}
}

void bs_field_put_object(const struct bs_field_object *v, char out[static BS_FIELD_CAP])
{
	if (v->what == BS_OBJECT_ANY)
		snprintf(out, BS_FIELD_CAP, "*");
	else
		snprintf(out, BS_FIELD_CAP, "%s%s", v->what == BS_OBJECT_TAG ? "tag:" : "",
			 v->name);
}
