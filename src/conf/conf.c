/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/snapshot.h"
#include "conf/value.h"

struct snapshot {
	/* references; relaxed up, acq_rel down, so that the freeing thread sees all reads done */
	atomic_uint refs;
	struct bs_conf conf;
};

static struct snapshot *snapshot_of(const struct bs_conf *conf)
{
	/* every struct bs_conf that is handed out lies in a struct snapshot */
	return (struct snapshot *)((uintptr_t)conf - offsetof(struct snapshot, conf));
}

struct bs_conf *bs__conf_new(void)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	atomic_init(&s->refs, 1);
	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		if (bs_conf_value_default(&s->conf, &bs_conf_schema[i]) != BS_OK) {
			bs_conf_unref(&s->conf);
			return NULL;
		}
	}
	return &s->conf;
}

const struct bs_conf *bs_conf_new_default(void)
{
	return bs__conf_new();
}

const struct bs_conf *bs_conf_ref(const struct bs_conf *conf)
{
	atomic_fetch_add_explicit(&snapshot_of(conf)->refs, 1, memory_order_relaxed);
	return conf;
}

void bs_conf_unref(const struct bs_conf *conf)
{
	struct snapshot *s;

	if (conf == NULL)
		return;
	s = snapshot_of(conf);
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < bs_conf_schema_n; i++)
		bs_conf_value_clear(&s->conf, &bs_conf_schema[i]);
	free(s);
}

static bool is_equal(const struct bs_conf *a, const struct bs_conf *b,
		     const struct bs_conf_key *key)
{
	size_t n = bs_conf_value_n(a, key);
	char x[BS_CONF_VALUE_MAX];
	char y[BS_CONF_VALUE_MAX];

	if (n != bs_conf_value_n(b, key))
		return false;
	for (size_t i = 0; i < n; i++) {
		bs_conf_value_text(a, key, i, x);
		bs_conf_value_text(b, key, i, y);
		if (strcmp(x, y) != 0)
			return false;
	}
	return true;
}

size_t bs_conf_diff(const struct bs_conf *before, const struct bs_conf *after,
		    struct bs_conf_change *changes, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		const struct bs_conf_key *key = &bs_conf_schema[i];

		if (is_equal(before, after, key))
			continue;
		if (n < cap)
			changes[n] = (struct bs_conf_change){ .key = key->key, .live = key->live };
		n++;
	}
	return n;
}

int bs_conf_get_text(const struct bs_conf *conf, const char *key, char *out, size_t cap)
{
	const struct bs_conf_key *k = bs_conf_schema_find(key);
	char text[BS_CONF_VALUE_MAX];
	size_t at = 0;

	if (k == NULL)
		return BS_ENOENT;
	if (cap == 0)
		return BS_ETOOBIG;
	out[0] = '\0';
	for (size_t i = 0; i < bs_conf_value_n(conf, k); i++) {
		int n;

		bs_conf_value_text(conf, k, i, text);
		n = snprintf(out + at, cap - at, "%s%s", i > 0 ? ", " : "", text);
		if (n < 0 || (size_t)n >= cap - at)
			return BS_ETOOBIG;
		at += (size_t)n;
	}
	return BS_OK;
}
