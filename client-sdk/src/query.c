/* SPDX-License-Identifier: Apache-2.0 */
/* Requests from name=value pairs, and answers back to values (basestation-wire(7), QUERIES). */
#include "interface.h"

#include <string.h>

#include "error.h"
#include "util/cursor.h"

/** Width and range of the number types, by enum bsc_type. */
static const struct {
	const char *name;
	uint8_t bytes;
	int64_t min;
	int64_t max;
} kinds[] = {
	[BSC_UINT8] = { "uint8", 1, 0, UINT8_MAX },
	[BSC_UINT16] = { "uint16", 2, 0, UINT16_MAX },
	[BSC_UINT32] = { "uint32", 4, 0, UINT32_MAX },
	[BSC_INT8] = { "int8", 1, INT8_MIN, INT8_MAX },
	[BSC_INT16] = { "int16", 2, INT16_MIN, INT16_MAX },
	[BSC_INT32] = { "int32", 4, INT32_MIN, INT32_MAX },
	[BSC_RAW] = { "raw", 0, 0, 0 },
};

const char *bsc_query_get_name(const struct bsc_query *q)
{
	return q->name;
}

uint32_t bsc_query_get_id(const struct bsc_query *q)
{
	return q->id;
}

const struct bsc_param *bsc_query_get_param(const struct bsc_query *q, size_t index)
{
	return index < q->request.n ? &q->request.v[index].p : NULL;
}

static int put_number(struct bs_writer *w, const struct bsc_param *p, const char *text,
		      struct bsc_error *err)
{
	bool minus = text[0] == '-';
	uint64_t magnitude;
	int64_t v = 0;
	bool ok = bsc__parse_unsigned(text + minus, UINT32_MAX, &magnitude);

	if (ok) {
		v = minus ? -(int64_t)magnitude : (int64_t)magnitude;
		ok = v >= kinds[p->type].min && v <= kinds[p->type].max;
	}
	if (!ok)
		return bsc__fail(err, BS_EINVAL, BSC_FROM_CALLER, BSC_QUERY,
				 "argument %s: \"%.64s\" is no %s; give a number of %lld to %lld",
				 p->name, text, kinds[p->type].name, (long long)kinds[p->type].min,
				 (long long)kinds[p->type].max);
	for (int shift = 8 * (kinds[p->type].bytes - 1); shift >= 0; shift -= 8)
		bs_writer_put_u8(w, (uint8_t)((uint64_t)v >> shift));
	return BS_OK;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static int put_hex(struct bs_writer *w, const struct bsc_param *p, const char *text,
		   struct bsc_error *err)
{
	size_t len = strlen(text);
	bool ok = len % 2 == 0 && len / 2 <= UINT16_MAX;

	for (size_t k = 0; ok && k < len; k++)
		ok = hex_digit(text[k]) >= 0;
	if (!ok)
		return bsc__fail(err, BS_EINVAL, BSC_FROM_CALLER, BSC_QUERY,
				 "argument %s: give an even number of hexadecimal digits", p->name);
	bs_writer_put_u16(w, (uint16_t)(len / 2));
	for (size_t k = 0; k < len; k += 2)
		bs_writer_put_u8(w, (uint8_t)(hex_digit(text[k]) << 4 | hex_digit(text[k + 1])));
	return BS_OK;
}

static int put_text(struct bs_writer *w, const struct bsc_param *p, const char *text,
		    struct bsc_error *err)
{
	size_t len = strlen(text);

	if (len > UINT16_MAX)
		return bsc__fail(err, BS_EINVAL, BSC_FROM_CALLER, BSC_QUERY,
				 "argument %s: longer than 65535 bytes", p->name);
	bs_writer_put_u16(w, (uint16_t)len);
	bs_writer_put_bytes(w, text, len);
	return BS_OK;
}

/** The one argument for a parameter; NULL after filling err. */
static const char *find_arg(const struct bsc_query *q, const struct bsc_param *p,
			    const struct bsc_arg *args, size_t n, struct bsc_error *err)
{
	const char *value = NULL;

	for (size_t k = 0; k < n; k++) {
		if (strcmp(args[k].name, p->name) != 0)
			continue;
		if (value != NULL) {
			(void)bsc__fail(err, BS_EINVAL, BSC_FROM_CALLER, BSC_QUERY,
					"argument %s is given twice", p->name);
			return NULL;
		}
		value = args[k].value;
	}
	if (value == NULL)
		(void)bsc__fail(err, BS_EINVAL, BSC_FROM_CALLER, BSC_QUERY,
				"query %s needs an argument %s=... (%s%s)", q->name, p->name,
				kinds[p->type].name, p->hex ? ", hexadecimal" : "");
	return value;
}

static int check_unknown(const struct bsc_query *q, const struct bsc_arg *args, size_t n,
			 struct bsc_error *err)
{
	for (size_t k = 0; k < n; k++) {
		bool known = false;

		for (size_t i = 0; i < q->request.n && !known; i++)
			known = strcmp(q->request.v[i].p.name, args[k].name) == 0;
		if (!known)
			return bsc__fail(err, BS_EINVAL, BSC_FROM_CALLER, BSC_QUERY,
					 "query %s has no argument \"%.64s\"", q->name,
					 args[k].name);
	}
	return BS_OK;
}

int bsc_query_encode(const struct bsc_query *q, const struct bsc_arg *args, size_t n, uint8_t *buf,
		     size_t cap, size_t *len, struct bsc_error *err)
{
	int rc = check_unknown(q, args, n, err);
	struct bs_writer w;

	bs_writer_init(&w, buf, cap);
	bs_writer_put_u32(&w, q->id);
	for (size_t k = 0; rc == BS_OK && k < q->request.n; k++) {
		const struct bsc_param *p = &q->request.v[k].p;
		const char *value = find_arg(q, p, args, n, err);

		if (value == NULL)
			rc = BS_EINVAL;
		else if (p->type != BSC_RAW)
			rc = put_number(&w, p, value, err);
		else
			rc = p->hex ? put_hex(&w, p, value, err) : put_text(&w, p, value, err);
	}
	if (rc == BS_OK && w.bad)
		rc = bsc__fail(err, BS_ETOOBIG, BSC_FROM_CALLER, BSC_QUERY,
			       "query %s: request is longer than %zu bytes; shorten its arguments",
			       q->name, cap);
	if (rc == BS_OK)
		*len = w.len;
	return rc;
}

/** Read one value and tell fn (NULL = check only). */
static int read_value(struct bs_cursor *c, const struct bsc_param *p, bsc_field_fn fn, void *arg)
{
	struct bsc_field f = { .name = p->name, .type = p->type, .hex = p->hex };
	uint64_t v = 0;

	if (p->type == BSC_RAW) {
		f.kind = BSC_FIELD_RAW;
		f.len = bs_cursor_read_u16(c);
		f.data = bs_cursor_read_bytes(c, f.len);
	} else {
		f.kind = BSC_FIELD_NUMBER;
		for (unsigned k = 0; k < kinds[p->type].bytes; k++)
			v = v << 8 | bs_cursor_read_u8(c);
		f.number = (int64_t)v;
		/* Two's complement: what lies above max stands for a negative number. */
		if (f.number > kinds[p->type].max)
			f.number -= (int64_t)1 << 8 * kinds[p->type].bytes;
	}
	return fn == NULL || c->bad ? BS_OK : fn(arg, &f);
}

static int tell(bsc_field_fn fn, void *arg, enum bsc_field_kind kind, const char *name, uint16_t n)
{
	struct bsc_field f = { .kind = kind, .name = name, .n = n };

	return fn == NULL ? BS_OK : fn(arg, &f);
}

static int read_list(struct bs_cursor *c, const struct bsc__item *list, bsc_field_fn fn, void *arg)
{
	uint16_t rows = bs_cursor_read_u16(c);
	int rc = tell(fn, arg, BSC_FIELD_LIST_BEGIN, list->p.name, rows);

	for (uint16_t row = 0; row < rows && !c->bad && rc == BS_OK; row++) {
		rc = tell(fn, arg, BSC_FIELD_ROW_BEGIN, NULL, 0);
		for (uint16_t k = 1; k <= list->n_children && rc == BS_OK; k++)
			rc = read_value(c, &list[k].p, fn, arg);
		if (rc == BS_OK)
			rc = tell(fn, arg, BSC_FIELD_ROW_END, NULL, 0);
	}
	return rc == BS_OK ? tell(fn, arg, BSC_FIELD_LIST_END, list->p.name, rows) : rc;
}

static int walk(const struct bsc_query *q, struct bs_cursor *c, bsc_field_fn fn, void *arg)
{
	int rc = BS_OK;

	for (size_t k = 0; k < q->response.n && rc == BS_OK && !c->bad; k++) {
		const struct bsc__item *it = &q->response.v[k];

		if (it->is_list) {
			rc = read_list(c, it, fn, arg);
			k += it->n_children;
		} else
			rc = read_value(c, &it->p, fn, arg);
	}
	return rc;
}

int bsc_query_decode(const struct bsc_query *q, const uint8_t *data, size_t len, bsc_field_fn fn,
		     void *arg, struct bsc_error *err)
{
	struct bs_cursor c;

	/* Check all of it before the first value is told: no half answers. */
	bs_cursor_init(&c, data, len);
	(void)walk(q, &c, NULL, NULL);
	if (c.bad || bs_cursor_left(&c) > 0)
		return bsc__fail(err, BS_EPROTO, BSC_FROM_DEVICE, BSC_QUERY,
				 "query %s: the answer of %zu bytes is %s than its interface says; "
				 "is this the interface file of the device?",
				 q->name, len, c.bad ? "shorter" : "longer");
	bs_cursor_init(&c, data, len);
	return walk(q, &c, fn, arg);
}
