/* SPDX-License-Identifier: Apache-2.0 */
#include "store/names.h"

#include <string.h>

/* Own classes: those of ctype.h follow the locale and take negative values badly. */
static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool bs_name_valid(const char *name, size_t len)
{
	size_t i;

	if (len < 1 || len > BS_NAME_MAX)
		return false;
	for (i = 0; i < len; i++) {
		char c = name[i];

		if (!is_lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && (!c || !strchr("._-:@", c)))
			return false;
	}
	return true;
}

/* Order of a name against entry i: <0, 0, >0. */
static int compare(const struct bs_names *set, size_t i, const char *name, size_t len)
{
	size_t have = strlen(set->name[i]);
	int c = memcmp(name, set->name[i], len < have ? len : have);

	if (c)
		return c;
	return len < have ? -1 : len > have;
}

int bs_names_add(struct bs_names *set, const char *name, size_t len)
{
	size_t at = 0;
	int c = 1;

	if (!bs_name_valid(name, len))
		return BS_EINVAL;
	while (at < set->n && (c = compare(set, at, name, len)) > 0)
		at++;
	if (at < set->n && c == 0)
		return BS_OK;
	if (set->n >= BS_NAMES_MAX)
		return BS_EFULL;
	memmove(set->name[at + 1], set->name[at], (set->n - at) * sizeof(set->name[0]));
	memcpy(set->name[at], name, len);
	set->name[at][len] = 0;
	set->n++;
	return BS_OK;
}

void bs_names_remove(struct bs_names *set, const char *name, size_t len)
{
	size_t at;

	for (at = 0; at < set->n; at++) {
		if (compare(set, at, name, len))
			continue;
		memmove(set->name[at], set->name[at + 1], (set->n - at - 1) * sizeof(set->name[0]));
		set->n--;
		return;
	}
}

bool bs_names_has(const struct bs_names *set, const char *name, size_t len)
{
	size_t at;

	for (at = 0; at < set->n; at++) {
		if (!compare(set, at, name, len))
			return true;
	}
	return false;
}

bool bs_names_valid(const struct bs_names *set)
{
	size_t i;

	if (set->n > BS_NAMES_MAX)
		return false;
	for (i = 0; i < set->n; i++) {
		const char *end = memchr(set->name[i], 0, sizeof(set->name[i]));

		if (!end || !bs_name_valid(set->name[i], (size_t)(end - set->name[i])))
			return false;
		if (i && strcmp(set->name[i - 1], set->name[i]) >= 0)
			return false;
	}
	return true;
}

bool bs_names_equal(const struct bs_names *a, const struct bs_names *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++) {
		if (strcmp(a->name[i], b->name[i]))
			return false;
	}
	return true;
}

bool bs_device_id_valid(const char *id, size_t len)
{
	size_t i;
	char before = '.';

	if (len < 1 || len > BS_DEVICE_ID_MAX)
		return false;
	for (i = 0; i < len; before = id[i], i++) {
		if (is_lower_or_digit(id[i]))
			continue;
		/* Labels are not empty and neither start nor end with a hyphen (RFC 1123, 2.1). */
		if (id[i] == '-' && before != '.')
			continue;
		if (id[i] == '.' && before != '.' && before != '-')
			continue;
		return false;
	}
	return is_lower_or_digit(before);
}

int bs_device_id_fold(struct bs_slice id, char *out)
{
	char low[BS_DEVICE_ID_MAX + 1];
	size_t i;

	if (id.len < 1 || id.len > BS_DEVICE_ID_MAX)
		return BS_EINVAL;
	for (i = 0; i < id.len; i++) {
		char c = (char)id.ptr[i];

		low[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	low[i] = 0;
	if (!bs_device_id_valid(low, id.len))
		return BS_EINVAL;
	memcpy(out, low, id.len + 1);
	return BS_OK;
}

bool bs_client_identity_valid(const char *identity, size_t len)
{
	size_t i;

	if (len < 1 || len > BS_CLIENT_ID_MAX)
		return false;
	for (i = 0; i < len; i++) {
		if (identity[i] < 0x21 || identity[i] > 0x7E ||
		    (identity[i] >= 'A' && identity[i] <= 'Z'))
			return false;
	}
	return true;
}
