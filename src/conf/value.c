/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/value.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/quantity.h"
#include "conf/suggest.h"
#include "util/endpoint.h"

/* Most words of one ENUM or FLAGS key. */
#define WORDS_MAX 16

static void *field(struct bs_conf *conf, const struct bs_conf_key *key)
{
	return (char *)conf + key->offset;
}

static const void *field_const(const struct bs_conf *conf, const struct bs_conf_key *key)
{
	return (const char *)conf + key->offset;
}

static enum bs_quantity quantity_of(enum bs_conf_type type)
{
	switch (type) {
	case BS_CONF_SPAN: return BS_QUANTITY_SPAN;
	case BS_CONF_BYTES: return BS_QUANTITY_BYTES;
	case BS_CONF_RATE: return BS_QUANTITY_RATE;
	case BS_CONF_BITRATE: return BS_QUANTITY_BITRATE;
	default: return BS_QUANTITY_COUNT;
	}
}

static void store_number(void *at, enum bs_conf_type type, uint64_t v)
{
	switch (type) {
	case BS_CONF_PORT: *(uint16_t *)at = (uint16_t)v; break;
	case BS_CONF_SPAN: *(bs_time *)at = (bs_time)v; break;
	case BS_CONF_BITRATE:
	case BS_CONF_BYTES: *(uint64_t *)at = v; break;
	default: *(uint32_t *)at = (uint32_t)v; break;
	}
}

static uint64_t load_number(const void *at, enum bs_conf_type type)
{
	switch (type) {
	case BS_CONF_PORT: return *(const uint16_t *)at;
	case BS_CONF_SPAN: return *(const bs_time *)at;
	case BS_CONF_BITRATE:
	case BS_CONF_BYTES: return *(const uint64_t *)at;
	default: return *(const uint32_t *)at;
	}
}

static int set_number(void *at, const struct bs_conf_key *key, const char *text, char *why,
		      size_t cap)
{
	char range[128];
	uint64_t v;
	int err = bs_quantity_parse(quantity_of(key->type), text, &v, why, cap);

	if (err != BS_OK)
		return err;
	if (v < key->min || v > key->max) {
		snprintf(why, cap, "is out of range; the range is %s",
			 bs_conf_range_text(key, range, sizeof(range)));
		return BS_ECONF;
	}
	store_number(at, key->type, v);
	return BS_OK;
}

static int set_bool(bool *at, const char *text, char *why, size_t cap)
{
	static const char *const yes[] = { "yes", "true", "on" };
	static const char *const no[] = { "no", "false", "off" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*at = strcmp(text, yes[i]) == 0;
			return BS_OK;
		}
	}
	snprintf(why, cap, "is neither yes nor no");
	return BS_ECONF;
}

static int find_word(const struct bs_conf_key *key, const char *text, uint32_t *value, char *why,
		     size_t cap)
{
	const char *names[WORDS_MAX];
	char all[256];
	const char *near;
	size_t n = 0;

	for (const struct bs_conf_word *w = key->words; w->name != NULL && n < WORDS_MAX; w++) {
		if (strcmp(w->name, text) == 0) {
			*value = w->value;
			return BS_OK;
		}
		names[n++] = w->name;
	}
	near = bs_suggest_nearest(text, names, n);
	bs_conf_range_text(key, all, sizeof(all));
	if (near != NULL)
		snprintf(why, cap, "is not known, did you mean \"%s\"? (there is %s)", near, all);
	else
		snprintf(why, cap, "is not known; there is %s", all);
	return BS_ECONF;
}

/* Takes the new text in place of the old. */
static void replace_text(const char **at, char *text)
{
	free((void *)(uintptr_t)*at);
	*at = text;
}

static int check_text(const char *text, size_t max, char *why, size_t cap)
{
	if (text[0] == '\0') {
		snprintf(why, cap, "is empty; leave the key out instead");
		return BS_ECONF;
	}
	if (strlen(text) > max) {
		snprintf(why, cap, "is longer than %zu bytes", max);
		return BS_ECONF;
	}
	return BS_OK;
}

static int set_name(const char **at, const char *text, char *why, size_t cap)
{
	char *copy;

	if (check_text(text, 253, why, cap) != BS_OK)
		return BS_ECONF;
	for (const char *c = text; *c != '\0'; c++) {
		if (*c <= ' ' || *c >= 0x7F || strchr("/\\\"'", *c) != NULL) {
			snprintf(why, cap,
				 "is not a name: it may not hold blanks, quotes, "
				 "slashes or control characters");
			return BS_ECONF;
		}
	}
	copy = strdup(text);
	if (copy == NULL)
		return BS_ENOMEM;
	replace_text(at, copy);
	return BS_OK;
}

static int set_path(const char **at, const char *text, const char *dir, char *why, size_t cap)
{
	char full[BS_CONF_VALUE_MAX];
	char *copy;
	int n;

	if (check_text(text, BS_CONF_VALUE_MAX - 1, why, cap) != BS_OK)
		return BS_ECONF;
	if (text[0] == '/' || dir == NULL)
		n = snprintf(full, sizeof(full), "%s", text);
	else
		n = snprintf(full, sizeof(full), "%s/%s", dir, text);
	if (n < 0 || (size_t)n >= sizeof(full)) {
		snprintf(why, cap, "is longer than %d bytes with its folder",
			 BS_CONF_VALUE_MAX - 1);
		return BS_ECONF;
	}
	copy = strdup(full);
	if (copy == NULL)
		return BS_ENOMEM;
	replace_text(at, copy);
	return BS_OK;
}

static bool parse_ip(const char *text, bool ip4, bool ip6, struct bs_endpoint *out)
{
	struct bs_endpoint ep = { .port = 0 };
	struct in_addr a4;
	struct in6_addr a6;

	if (ip4 && inet_pton(AF_INET, text, &a4) == 1) {
		bs_endpoint_set_ip4(&ep, ntohl(a4.s_addr), 0);
	} else if (ip6 && inet_pton(AF_INET6, text, &a6) == 1) {
		memcpy(ep.ip, a6.s6_addr, sizeof(ep.ip));
		/* a mapped IPv4 address would be IPv4 everywhere else in the server */
		if (bs_endpoint_is_ip4(&ep))
			return false;
	} else {
		return false;
	}
	*out = ep;
	return true;
}

static int set_address(struct bs_endpoint *at, const struct bs_conf_key *key, const char *text,
		       char *why, size_t cap)
{
	bool ip6 = key->type == BS_CONF_ADDRESS6;

	if (parse_ip(text, !ip6, ip6, at))
		return BS_OK;
	snprintf(why, cap, "is not an %s address; write for example %s", ip6 ? "IPv6" : "IPv4",
		 key->example);
	return BS_ECONF;
}

static int add_address(struct bs_conf_addresses *at, const char *text, char *why, size_t cap)
{
	struct bs_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	if (!parse_ip(text, true, true, &ep)) {
		snprintf(why, cap,
			 "is not an IP address (names are not looked up); write for example "
			 "192.0.2.1 or \"2001:db8::1\"");
		return BS_ECONF;
	}
	if (at->n == BS_CONF_LISTEN_MAX) {
		snprintf(why, cap, "is one address too many; at most %d can be given",
			 BS_CONF_LISTEN_MAX);
		return BS_ECONF;
	}
	for (uint32_t i = 0; i < at->n; i++) {
		if (memcmp(at->v[i].ip, ep.ip, sizeof(ep.ip)) == 0) {
			snprintf(why, cap, "stands there twice");
			return BS_ECONF;
		}
	}
	at->v[at->n++] = ep;
	return BS_OK;
}

int bs_conf_value_set(struct bs_conf *conf, const struct bs_conf_key *key, const char *text,
		      const char *dir, char *why, size_t cap)
{
	void *at = field(conf, key);
	uint32_t word;
	int err;

	switch (key->type) {
	case BS_CONF_BOOL: return set_bool(at, text, why, cap);
	case BS_CONF_NAME: return set_name(at, text, why, cap);
	case BS_CONF_PATH: return set_path(at, text, dir, why, cap);
	case BS_CONF_ADDRESS:
	case BS_CONF_ADDRESS6: return set_address(at, key, text, why, cap);
	case BS_CONF_ADDRESSES: return add_address(at, text, why, cap);
	case BS_CONF_ENUM:
	case BS_CONF_FLAGS:
		err = find_word(key, text, &word, why, cap);
		if (err == BS_OK && key->type == BS_CONF_ENUM)
			memcpy(at, &word, sizeof(word));
		else if (err == BS_OK)
			*(uint32_t *)at |= word;
		return err;
	default: return set_number(at, key, text, why, cap);
	}
}

void bs_conf_value_clear(struct bs_conf *conf, const struct bs_conf_key *key)
{
	void *at = field(conf, key);

	switch (key->type) {
	case BS_CONF_NAME:
	case BS_CONF_PATH: replace_text(at, NULL); break;
	case BS_CONF_ADDRESS:
	case BS_CONF_ADDRESS6: memset(at, 0, sizeof(struct bs_endpoint)); break;
	case BS_CONF_ADDRESSES: memset(at, 0, sizeof(struct bs_conf_addresses)); break;
	case BS_CONF_FLAGS: *(uint32_t *)at = 0; break;
	default: break;
	}
}

int bs_conf_value_default(struct bs_conf *conf, const struct bs_conf_key *key)
{
	char text[BS_CONF_VALUE_MAX];
	char why[BS_CONF_ERROR_MAX];
	char *rest = text;
	char *word;
	int err = BS_OK;

	bs_conf_value_clear(conf, key);
	if (key->def == NULL)
		return BS_OK;
	snprintf(text, sizeof(text), "%s", key->def);
	if (!bs_conf_type_is_list(key->type))
		return bs_conf_value_set(conf, key, text, NULL, why, sizeof(why));
	while (err == BS_OK && (word = strsep(&rest, ",")) != NULL)
		err = bs_conf_value_set(conf, key, word + strspn(word, " "), NULL, why,
					sizeof(why));
	return err;
}

bool bs_conf_value_is_set(const struct bs_conf *conf, const struct bs_conf_key *key)
{
	static const struct bs_endpoint none;
	const void *at = field_const(conf, key);

	switch (key->type) {
	case BS_CONF_NAME:
	case BS_CONF_PATH: return *(const char *const *)at != NULL;
	case BS_CONF_ADDRESS:
	case BS_CONF_ADDRESS6: return memcmp(at, none.ip, sizeof(none.ip)) != 0;
	default: return true;
	}
}

/* The i-th word whose bits are set; NULL past the last. */
static const char *flag_word(const struct bs_conf_key *key, uint32_t flags, size_t i)
{
	for (const struct bs_conf_word *w = key->words; w->name != NULL; w++) {
		if ((flags & w->value) == w->value && i-- == 0)
			return w->name;
	}
	return NULL;
}

size_t bs_conf_value_n(const struct bs_conf *conf, const struct bs_conf_key *key)
{
	const void *at = field_const(conf, key);
	size_t n = 0;

	if (key->type == BS_CONF_ADDRESSES)
		return ((const struct bs_conf_addresses *)at)->n;
	if (key->type != BS_CONF_FLAGS)
		return 1;
	while (flag_word(key, *(const uint32_t *)at, n) != NULL)
		n++;
	return n;
}

static void address_text(const struct bs_endpoint *ep, char *out, size_t cap)
{
	if (bs_endpoint_is_ip4(ep))
		(void)inet_ntop(AF_INET, ep->ip + 12, out, (socklen_t)cap);
	else
		(void)inet_ntop(AF_INET6, ep->ip, out, (socklen_t)cap);
}

static const char *enum_word(const struct bs_conf_key *key, const void *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	for (const struct bs_conf_word *w = key->words; w->name != NULL; w++) {
		if (w->value == v)
			return w->name;
	}
	return "";
}

void bs_conf_value_text(const struct bs_conf *conf, const struct bs_conf_key *key, size_t i,
			char out[static BS_CONF_VALUE_MAX])
{
	const void *at = field_const(conf, key);
	const char *word;

	out[0] = '\0';
	if (!bs_conf_value_is_set(conf, key))
		return;
	switch (key->type) {
	case BS_CONF_BOOL:
		snprintf(out, BS_CONF_VALUE_MAX, "%s", *(const bool *)at ? "yes" : "no");
		break;
	case BS_CONF_NAME:
	case BS_CONF_PATH: snprintf(out, BS_CONF_VALUE_MAX, "%s", *(const char *const *)at); break;
	case BS_CONF_ADDRESS:
	case BS_CONF_ADDRESS6: address_text(at, out, BS_CONF_VALUE_MAX); break;
	case BS_CONF_ADDRESSES:
		if (i < ((const struct bs_conf_addresses *)at)->n)
			address_text(&((const struct bs_conf_addresses *)at)->v[i], out,
				     BS_CONF_VALUE_MAX);
		break;
	case BS_CONF_ENUM: snprintf(out, BS_CONF_VALUE_MAX, "%s", enum_word(key, at)); break;
	case BS_CONF_FLAGS:
		word = flag_word(key, *(const uint32_t *)at, i);
		snprintf(out, BS_CONF_VALUE_MAX, "%s", word != NULL ? word : "");
		break;
	default:
		bs_quantity_print(quantity_of(key->type), load_number(at, key->type), out,
				  BS_CONF_VALUE_MAX);
		break;
	}
}
