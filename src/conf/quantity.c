/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/quantity.h"

#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
	bool print; /* a unit that is accepted and not printed has another name for the same */
};

#define KI UINT64_C(1024)
#define K  UINT64_C(1000)

/* Ascending within each kind; ends with a NULL name. */
static const struct unit count_units[] = { { "", 1, true }, { NULL, 0, false } };
static const struct unit span_units[] = {
	{ "ns", 1, true },
	{ "us", K, true },
	{ "ms", K *K, true },
	{ "s", K *K *K, true },
	{ "min", 60 * K *K *K, true },
	{ "h", 3600 * K *K *K, true },
	{ "d", 86400 * K *K *K, true },
	{ NULL, 0, false },
};
static const struct unit byte_units[] = {
	{ "B", 1, true },
	{ "kB", K, false },
	{ "KiB", KI, true },
	{ "MB", K *K, false },
	{ "MiB", KI *KI, true },
	{ "GB", K *K *K, false },
	{ "GiB", KI *KI *KI, true },
	{ "TB", K *K *K *K, false },
	{ "TiB", KI *KI *KI *KI, true },
	{ NULL, 0, false },
};
static const struct unit rate_units[] = { { "/s", 1, true }, { NULL, 0, false } };
static const struct unit bitrate_units[] = {
	{ "bit/s", 1, true },        { "kbit/s", K, true }, { "Mbit/s", K *K, true },
	{ "Gbit/s", K *K *K, true }, { NULL, 0, false },
};

static const struct kind {
	const struct unit *units;
	const char *names;   /* for messages */
	const char *example; /* for messages */
} kinds[] = {
	[BS_QUANTITY_COUNT] = { count_units, "", "64" },
	[BS_QUANTITY_SPAN] = { span_units, "ms, s, min, h or d", "10s" },
	[BS_QUANTITY_BYTES] = { byte_units, "B, KiB, MiB, GiB or TiB", "16MiB" },
	[BS_QUANTITY_RATE] = { rate_units, "/s", "20/s" },
	[BS_QUANTITY_BITRATE] = { bitrate_units, "bit/s, kbit/s, Mbit/s or Gbit/s", "20Mbit/s" },
};

static const struct unit *find_unit(const struct unit *u, const char *name)
{
	for (; u->name != NULL; u++) {
		if (strcmp(u->name, name) == 0)
			return u;
	}
	return NULL;
}

static int fail(const struct kind *k, const char *rest, bool number, char *why, size_t cap)
{
	if (!number)
		snprintf(why, cap, "is not a whole number; write for example %s", k->example);
	else if (*rest == '.')
		snprintf(why, cap,
			 "is not a whole number; use a smaller unit instead of a fraction");
	else if (*rest == '\0')
		snprintf(why, cap, "has no unit; write for example %s (units: %s)", k->example,
			 k->names);
	else if (k->units == count_units)
		snprintf(why, cap, "must be a plain number without unit; write for example %s",
			 k->example);
	else
		snprintf(why, cap, "has an unknown unit; write for example %s (units: %s)",
			 k->example, k->names);
	return BS_ECONF;
}

/* Digits into *n; returns what follows them, NULL when the number does not fit. */
static const char *read_number(const char *s, uint64_t *n)
{
	*n = 0;
	for (; *s >= '0' && *s <= '9'; s++) {
		uint64_t digit = (uint64_t)(*s - '0');

		if (*n > (UINT64_MAX - digit) / 10)
			return NULL;
		*n = *n * 10 + digit;
	}
	return s;
}

int bs_quantity_parse(enum bs_quantity kind, const char *text, uint64_t *value, char *why,
		      size_t cap)
{
	const struct kind *k = &kinds[kind];
	const struct unit *u;
	const char *rest;
	uint64_t n;

	if (*text < '0' || *text > '9')
		return fail(k, text, false, why, cap);
	rest = read_number(text, &n);
	if (rest == NULL) {
		snprintf(why, cap, "is too large a number");
		return BS_ECONF;
	}
	while (*rest == ' ')
		rest++;
	u = find_unit(k->units, rest);
	if (u == NULL && n == 0 && *rest == '\0')
		u = k->units;
	if (u == NULL)
		return fail(k, rest, true, why, cap);
	if (n > UINT64_MAX / u->factor) {
		snprintf(why, cap, "is too large a number");
		return BS_ECONF;
	}
	*value = n * u->factor;
	return BS_OK;
}

const char *bs_quantity_print(enum bs_quantity kind, uint64_t value, char *out, size_t cap)
{
	const struct unit *best = kinds[kind].units;

	for (const struct unit *u = best; u->name != NULL && value != 0; u++) {
		if (u->print && value % u->factor == 0)
			best = u;
	}
	/* 0 takes the unit that people write, not the smallest */
	if (value == 0 && kind == BS_QUANTITY_SPAN)
		best = find_unit(span_units, "s");
	snprintf(out, cap, "%llu%s", (unsigned long long)(value / best->factor), best->name);
	return out;
}
