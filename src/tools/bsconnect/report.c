/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Lists do not nest, so an answer has at most: the object, a list, a row. */
struct walk {
	json_t *answer;
	json_t *list; /**< borrowed from answer */
	json_t *row;  /**< borrowed from list */
};

int report_status(const struct bsc_error *e)
{
	switch (e->code) {
	case BSC_USAGE: return STATUS_USAGE;
	case BSC_EXCEPTION:
	case BSC_NO_ANSWER:
	case BSC_QUERY: return e->source == BSC_FROM_CALLER ? STATUS_USAGE : STATUS_QUERY;
	case BSC_NO_PATH:
	case BSC_NO_LOCAL:
	case BSC_SILENT:
	case BSC_DEVICE_CLOSED:
	case BSC_STREAM_LOST:
	case BS_ST_NOT_ATTACHED:
	case BS_ST_REATTACHING: return STATUS_NO_DEVICE;
	case BS_ST_REFUSED_DEVICE:
	case BS_ST_ENCRYPTION:
	case BS_ST_KEY_ID:
	case BS_ST_CAPABILITY:
	case BS_ST_WRONG_KEY:
	case BSC_STREAM_REFUSED:
	case BSC_STREAM_RESET:
	case BSC_TUNNEL_NO_SERVICE:
	case BS_ST_BUSY: return STATUS_DEVICE;
	default: break;
	}
	if (e->err == BS_EAUTH || e->code == BSC_CLIENT_DENIED)
		return STATUS_AUTH;
	if (e->code >= BS_ST_ERROR && e->code < BSC_INTERNAL)
		return STATUS_REFUSED;
	if (e->code >= BSC_TIMEOUT && e->code <= BSC_TLS_PROTOCOL)
		return STATUS_NO_SERVER;
	return STATUS_FAILED;
}

static const char *source_name(enum bsc_source s)
{
	static const char *const names[] = { "caller", "library", "network", "basestation",
					     "device" };

	return (size_t)s < sizeof names / sizeof names[0] ? names[s] : "unknown";
}

json_t *report_error(const struct bsc_error *e)
{
	json_t *j = json_pack("{s:s, s:i, s:s, s:s}", "code", bsc_code_name(e->code), "number",
			      (int)e->code, "from", source_name(e->source), "text", e->text);

	if (j != NULL && e->code == BSC_EXCEPTION) {
		(void)json_object_set_new(j, "exception", json_integer(e->exception));
		(void)json_object_set_new(j, "symbol",
					  json_string(bsc_rpc_exception_name(e->exception)));
	}
	if (j != NULL && e->retry_after_ms > 0)
		(void)json_object_set_new(j, "retry_after_ms", json_integer(e->retry_after_ms));
	return j;
}

int report_failure(const struct bsc_error *e)
{
	(void)fprintf(stderr, "bsconnect: %s\n", e->text);
	if (e->retry_after_ms > 0)
		(void)fprintf(stderr, "bsconnect: the basestation asks to wait %u ms\n",
			      (unsigned)e->retry_after_ms);
	return report_status(e);
}

int report_json(json_t *j)
{
	int rc = j == NULL || json_dumpf(j, stdout, JSON_COMPACT) != 0 || putchar('\n') == EOF ||
				 fflush(stdout) != 0
			 ? STATUS_FAILED
			 : STATUS_OK;

	json_decref(j);
	if (rc != STATUS_OK)
		(void)fprintf(stderr, "bsconnect: standard output: cannot be written\n");
	return rc;
}

/** Bytes as text where they are text, else as {"hex": "..."}. */
static json_t *raw(const struct bsc_field *f)
{
	json_t *j = f->hex ? NULL : json_stringn((const char *)f->data, f->len);
	char *hex;

	if (j != NULL)
		return j;
	hex = malloc(2 * f->len + 1);
	if (hex == NULL)
		return NULL;
	for (size_t k = 0; k < f->len; k++)
		(void)snprintf(hex + 2 * k, 3, "%02x", f->data[k]);
	hex[2 * f->len] = '\0';
	j = f->hex ? json_string(hex) : json_pack("{s:s}", "hex", hex);
	free(hex);
	return j;
}

static int on_field(void *arg, const struct bsc_field *f)
{
	struct walk *w = arg;
	json_t *into = w->row != NULL ? w->row : w->answer;
	int rc = 0;

	switch (f->kind) {
	case BSC_FIELD_NUMBER:
		rc = json_object_set_new(into, f->name, json_integer(f->number));
		break;
	case BSC_FIELD_RAW: rc = json_object_set_new(into, f->name, raw(f)); break;
	case BSC_FIELD_LIST_BEGIN:
		w->list = json_array();
		rc = json_object_set_new(w->answer, f->name, w->list);
		break;
	case BSC_FIELD_ROW_BEGIN:
		w->row = json_object();
		rc = json_array_append_new(w->list, w->row);
		break;
	case BSC_FIELD_ROW_END: w->row = NULL; break;
	case BSC_FIELD_LIST_END: w->list = NULL; break;
	}
	return rc == 0 ? BS_OK : BS_ENOMEM;
}

json_t *report_answer(const struct bsc_query *q, const uint8_t *data, size_t len,
		      struct bsc_error *err)
{
	struct walk w = { .answer = json_object() };
	int rc = w.answer == NULL ? BS_ENOMEM : bsc_query_decode(q, data, len, on_field, &w, err);

	if (rc == BS_OK)
		return w.answer;
	json_decref(w.answer);
	/* A parameter whose name is no UTF-8 ends here, too. */
	if (rc == BS_ENOMEM)
		(void)snprintf(err->text, sizeof err->text, "the answer cannot be shown as JSON");
	return NULL;
}

void report_progress(const struct options *o, const char *text)
{
	if (o->quiet || o->verbose > 0 || isatty(STDERR_FILENO) == 0)
		return;
	(void)fprintf(stderr, "\r\033[K%s%s", text == NULL ? "" : text, text == NULL ? "" : " ...");
	(void)fflush(stderr);
}

void report_text(const char *label, const char *text)
{
	(void)printf("%-14s ", label);
	for (; *text != '\0'; text++)
		(void)putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
	(void)putchar('\n');
}
