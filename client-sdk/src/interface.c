/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file is small and strict: five elements, no text, no document type.  Whatever is not known
 * is refused with its line, because a parameter that went unnoticed would shift all that follow it
 * on the wire.
 */
#include "interface.h"

#include <expat.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

/** Where the reader stands; one value per element that may be open. */
enum place {
	AT_TOP,
	AT_ROOT,
	AT_QUERY,
	AT_REQUEST,
	AT_RESPONSE,
	AT_LIST,
	AT_PARAM,
};

struct reader {
	XML_Parser xml;
	const char *name; /**< of the file, for messages */
	struct bsc_interface *i;
	struct bsc_query *query;  /**< the open one */
	struct bsc__items *items; /**< of the open request or response */
	size_t list;              /**< index of the open list in items */
	enum place stack[6];      /**< open elements; the grammar is at most this deep */
	size_t depth;
	int err;
	struct bsc_error *e;
};

static const struct {
	const char *name;
	enum bsc_type type;
} types[] = {
	{ "uint8", BSC_UINT8 }, { "uint16", BSC_UINT16 }, { "uint32", BSC_UINT32 },
	{ "int8", BSC_INT8 },   { "int16", BSC_INT16 },   { "int32", BSC_INT32 },
	{ "raw", BSC_RAW },
};

bool bsc__parse_unsigned(const char *s, uint64_t max, uint64_t *out)
{
	unsigned base = 10;
	uint64_t v = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		unsigned d = *s >= '0' && *s <= '9'   ? (unsigned)(*s - '0')
			     : *s >= 'a' && *s <= 'f' ? (unsigned)(*s - 'a') + 10
			     : *s >= 'A' && *s <= 'F' ? (unsigned)(*s - 'A') + 10
						      : 99;

		/* max is at most 2^32, so v * 16 cannot wrap once v <= max was checked. */
		if (d >= base || (v = v * base + d) > max)
			return false;
	}
	*out = v;
	return true;
}

static void items_fini(struct bsc__items *it)
{
	for (size_t k = 0; k < it->n; k++)
		free((char *)it->v[k].p.name);
	free(it->v);
}

void bsc_interface_free(struct bsc_interface *i)
{
	if (i == NULL)
		return;
	for (size_t k = 0; k < i->n; k++) {
		free(i->queries[k].name);
		items_fini(&i->queries[k].request);
		items_fini(&i->queries[k].response);
	}
	free(i->queries);
	free(i);
}

/** The first failure stops the parser and stays. */
static void stop(struct reader *r, int err, const char *fmt, ...) BS_PRINTF(3, 4);

static void stop(struct reader *r, int err, const char *fmt, ...)
{
	char reason[BSC_ERROR_TEXT_MAX];
	va_list ap;

	if (r->err != BS_OK)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(reason, sizeof reason, fmt, ap);
	va_end(ap);
	r->err = bsc__fail(r->e, err, BSC_FROM_CALLER, BSC_USAGE, "%s:%lu: %s", r->name,
			   (unsigned long)XML_GetCurrentLineNumber(r->xml), reason);
	(void)XML_StopParser(r->xml, XML_FALSE);
}

/** A copy of an attribute that names something; NULL after stop(). */
static char *take_name(struct reader *r, const char *element, const char *value)
{
	size_t len = value == NULL ? 0 : strlen(value);
	char *copy;

	if (len == 0 || len > BSC__NAME_MAX) {
		stop(r, BS_ECONF, "<%s> needs a name of 1 to %d bytes", element, BSC__NAME_MAX);
		return NULL;
	}
	for (size_t k = 0; k < len; k++)
		if ((unsigned char)value[k] < 0x20) {
			stop(r, BS_ECONF, "name of <%s> holds a control character", element);
			return NULL;
		}
	copy = malloc(len + 1);
	if (copy == NULL) {
		stop(r, BS_ENOMEM, "out of memory");
		return NULL;
	}
	memcpy(copy, value, len + 1);
	return copy;
}

static const char *attribute(const char **attrs, const char *name)
{
	for (; attrs[0] != NULL; attrs += 2)
		if (strcmp(attrs[0], name) == 0)
			return attrs[1];
	return NULL;
}

/** Grow by doubling: n elements of elem bytes are there, one more is wanted. */
static void *grown(struct reader *r, void *v, size_t n, size_t elem)
{
	void *w = v;

	if ((n & (n - 1)) == 0)
		w = realloc(v, (n == 0 ? 1 : n * 2) * elem);
	if (w == NULL)
		stop(r, BS_ENOMEM, "out of memory");
	return w;
}

/** The query of exactly this name followed by this ending. */
static const struct bsc_query *find(const struct bsc_interface *i, const char *name,
				    const char *ending)
{
	size_t len = strlen(name);

	for (size_t k = 0; k < i->n; k++)
		if (strncmp(i->queries[k].name, name, len) == 0 &&
		    strcmp(i->queries[k].name + len, ending) == 0)
			return &i->queries[k];
	return NULL;
}

static void open_query(struct reader *r, const char **attrs)
{
	const char *id = attribute(attrs, "id");
	struct bsc_query *grew;
	struct bsc_query *q;
	uint64_t number;
	char *name;

	if (r->i->n == BSC__QUERIES_MAX) {
		stop(r, BS_ECONF, "more than %d queries", BSC__QUERIES_MAX);
		return;
	}
	if (id == NULL || !bsc__parse_unsigned(id, UINT32_MAX, &number)) {
		stop(r, BS_ECONF, "<query> needs an id: a number of 0 to 4294967295");
		return;
	}
	name = take_name(r, "query", attribute(attrs, "name"));
	if (name == NULL)
		return;
	if (find(r->i, name, "") != NULL) {
		stop(r, BS_ECONF, "there is a query \"%s\" already", name);
		free(name);
		return;
	}
	grew = grown(r, r->i->queries, r->i->n, sizeof *grew);
	if (grew == NULL) {
		free(name);
		return;
	}
	r->i->queries = grew;
	q = r->query = &grew[r->i->n++];
	memset(q, 0, sizeof *q);
	q->name = name;
	q->id = (uint32_t)number;
}

static void open_items(struct reader *r, struct bsc__items *items, const char *element)
{
	if (items->given)
		stop(r, BS_ECONF, "a second <%s> in query \"%s\"", element, r->query->name);
	items->given = true;
	r->items = items;
}

/** Add an item to the open request or response; false after stop(). */
static bool add_item(struct reader *r, const char *element, const char **attrs,
		     const struct bsc__item *proto)
{
	size_t first = r->stack[r->depth - 1] == AT_LIST ? r->list + 1 : 0;
	size_t in_list = 0;
	struct bsc__item *grew;
	char *name;

	if (r->items->n == BSC__ITEMS_MAX) {
		stop(r, BS_ECONF, "more than %d parameters in query \"%s\"", BSC__ITEMS_MAX,
		     r->query->name);
		return false;
	}
	name = take_name(r, element, attribute(attrs, "name"));
	if (name == NULL)
		return false;
	for (size_t k = first; k < r->items->n; k++) {
		const struct bsc__item *it = &r->items->v[k];

		/* Names inside a list live in their own scope. */
		if (in_list > 0)
			in_list--;
		else if (strcmp(it->p.name, name) == 0) {
			stop(r, BS_ECONF, "there is a \"%s\" already", name);
			free(name);
			return false;
		} else
			in_list = it->n_children;
	}
	grew = grown(r, r->items->v, r->items->n, sizeof *grew);
	if (grew == NULL) {
		free(name);
		return false;
	}
	r->items->v = grew;
	grew[r->items->n] = *proto;
	grew[r->items->n].p.name = name;
	r->items->n++;
	return true;
}

static void open_param(struct reader *r, const char **attrs)
{
	const char *type = attribute(attrs, "type");
	const char *repr = attribute(attrs, "representation");
	struct bsc__item it = { 0 };

	for (size_t k = 0; type != NULL && k < sizeof types / sizeof types[0]; k++)
		if (strcmp(type, types[k].name) == 0)
			it.p.type = types[k].type;
	if (it.p.type == 0) {
		stop(r, BS_ECONF,
		     "type of a <parameter> must be uint8, uint16, uint32, int8, int16, int32 or "
		     "raw");
		return;
	}
	if (repr != NULL && (strcmp(repr, "hex") != 0 || it.p.type != BSC_RAW)) {
		stop(r, BS_ECONF, "representation=\"%s\" is not known for type %s", repr, type);
		return;
	}
	it.p.hex = repr != NULL;
	if (add_item(r, "parameter", attrs, &it) && r->stack[r->depth - 1] == AT_LIST)
		r->items->v[r->list].n_children++;
}

static void open_list(struct reader *r, const char **attrs)
{
	struct bsc__item it = { .is_list = true };

	if (add_item(r, "list", attrs, &it))
		r->list = r->items->n - 1;
}

static void open_response(struct reader *r, const char **attrs)
{
	const char *format = attribute(attrs, "format");

	if (format != NULL && strcmp(format, "json") != 0)
		stop(r, BS_ECONF, "format=\"%s\" of <response> is not known, only json", format);
	open_items(r, &r->query->response, "response");
}

static void open_request(struct reader *r, const char **attrs)
{
	(void)attrs;
	open_items(r, &r->query->request, "request");
}

/** The grammar: which element may stand where, and what opening it does. */
static const struct {
	enum place in;
	const char *element;
	enum place to;
	void (*open)(struct reader *r, const char **attrs);
} grammar[] = {
	{ AT_TOP, "unabto_queries", AT_ROOT, NULL },
	{ AT_ROOT, "query", AT_QUERY, open_query },
	{ AT_QUERY, "request", AT_REQUEST, open_request },
	{ AT_QUERY, "response", AT_RESPONSE, open_response },
	{ AT_REQUEST, "parameter", AT_PARAM, open_param },
	{ AT_RESPONSE, "parameter", AT_PARAM, open_param },
	{ AT_RESPONSE, "list", AT_LIST, open_list },
	{ AT_LIST, "parameter", AT_PARAM, open_param },
};

static void XMLCALL on_start(void *arg, const char *element, const char **attrs)
{
	struct reader *r = arg;
	enum place at = r->depth == 0 ? AT_TOP : r->stack[r->depth - 1];

	if (r->err != BS_OK)
		return;
	for (size_t k = 0; k < sizeof grammar / sizeof grammar[0]; k++)
		if (grammar[k].in == at && strcmp(grammar[k].element, element) == 0) {
			if (grammar[k].open != NULL)
				grammar[k].open(r, attrs);
			if (r->err == BS_OK)
				r->stack[r->depth++] = grammar[k].to;
			return;
		}
	if (at == AT_TOP)
		stop(r, BS_ECONF,
		     "<%.64s> is no query interface; the first element must be "
		     "<unabto_queries>",
		     element);
	else
		stop(r, BS_ECONF, "<%.64s> is not known here", element);
}

static void XMLCALL on_end(void *arg, const char *element)
{
	struct reader *r = arg;

	(void)element;
	if (r->err != BS_OK)
		return;
	/* An empty record would let a few bytes stand for 65535 rows. */
	if (r->stack[r->depth - 1] == AT_LIST && r->items->v[r->list].n_children == 0)
		stop(r, BS_ECONF, "list \"%s\" has no parameter", r->items->v[r->list].p.name);
	r->depth--;
}

static void XMLCALL on_text(void *arg, const char *text, int len)
{
	struct reader *r = arg;

	for (int k = 0; k < len; k++)
		if (strchr(" \t\r\n", text[k]) == NULL || text[k] == '\0') {
			stop(r, BS_ECONF, "text between elements is not expected");
			return;
		}
}

static void XMLCALL on_doctype(void *arg, const char *name, const char *sysid, const char *pubid,
			       int internal)
{
	struct reader *r = arg;

	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	/* Entities can only be declared here: without it nothing expands and nothing is fetched. */
	stop(r, BS_ECONF, "a document type is not accepted; remove the <!DOCTYPE>");
}

int bsc_interface_parse(const char *text, size_t len, const char *name, struct bsc_interface **out,
			struct bsc_error *err)
{
	struct reader r = { .name = name == NULL ? "interface" : name, .e = err };

	if (len > BSC__INTERFACE_MAX)
		return bsc__fail(err, BS_ECONF, BSC_FROM_CALLER, BSC_USAGE,
				 "%s: larger than 4 MiB, which no query interface is", r.name);
	r.i = calloc(1, sizeof *r.i);
	r.xml = XML_ParserCreate(NULL);
	if (r.i == NULL || r.xml == NULL) {
		r.err = bsc__fail_nomem(err);
		goto out;
	}
	XML_SetUserData(r.xml, &r);
	XML_SetElementHandler(r.xml, on_start, on_end);
	XML_SetCharacterDataHandler(r.xml, on_text);
	XML_SetStartDoctypeDeclHandler(r.xml, on_doctype);
	if (XML_Parse(r.xml, text, (int)len, XML_TRUE) != XML_STATUS_OK && r.err == BS_OK) {
		if (XML_GetErrorCode(r.xml) == XML_ERROR_NO_MEMORY)
			stop(&r, BS_ENOMEM, "out of memory");
		else
			stop(&r, BS_ECONF, "not well-formed XML: %s",
			     XML_ErrorString(XML_GetErrorCode(r.xml)));
	}
	if (r.err == BS_OK) {
		*out = r.i;
		r.i = NULL;
	}
out:
	if (r.xml != NULL)
		XML_ParserFree(r.xml);
	bsc_interface_free(r.i);
	return r.err;
}

size_t bsc_interface_count(const struct bsc_interface *i)
{
	return i->n;
}

const struct bsc_query *bsc_interface_get(const struct bsc_interface *i, size_t index)
{
	return index < i->n ? &i->queries[index] : NULL;
}

const struct bsc_query *bsc_interface_find(const struct bsc_interface *i, const char *name)
{
	const struct bsc_query *q = find(i, name, "");

	return q != NULL ? q : find(i, name, ".json");
}
