/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Query interface files, and answers under the interface that was read: the text before the first
 * NUL is the file, what follows is an answer to each of its queries.
 */
#include "fuzz.h"

#include "basestation/client_interface.h"

/** What the walk through an answer must keep to. */
struct walk {
	int depth;
	size_t steps;
};

static int on_field(void *arg, const struct bsc_field *f)
{
	struct walk *w = arg;

	w->steps++;
	switch (f->kind) {
	case BSC_FIELD_LIST_BEGIN:
	case BSC_FIELD_ROW_BEGIN: w->depth++; break;
	case BSC_FIELD_LIST_END:
	case BSC_FIELD_ROW_END: w->depth--; break;
	default: FUZZ_CHECK(f->name != NULL && f->type >= BSC_UINT8 && f->type <= BSC_RAW); break;
	}
	FUZZ_CHECK(w->depth >= 0 && w->depth <= 2);
	return BS_OK;
}

/** A request with the same text for every argument: taken, or refused with a message. */
static void encode(const struct bsc_query *q)
{
	static const char *const values[] = { "0", "-1", "255", "0xffff", "ab", "" };
	const struct bsc_param *p;
	struct bsc_arg args[256];
	uint8_t buf[BSC_RPC_REQUEST_SMALL];

	for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
		struct bsc_error e = { 0 };
		size_t len = 0;
		size_t n = 0;

		while (n < 256 && (p = bsc_query_get_param(q, n)) != NULL)
			args[n++] = (struct bsc_arg){ p->name, values[v] };
		if (bsc_query_encode(q, args, n, buf, sizeof buf, &len, &e) == BS_OK)
			FUZZ_CHECK(len >= 4 && len <= sizeof buf);
		else
			FUZZ_CHECK(e.text[0] != '\0');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *nul = len > 0 ? memchr(data, 0, len) : NULL;
	size_t text = nul == NULL ? len : (size_t)(nul - data);
	const uint8_t *answer = nul == NULL ? data + len : nul + 1;
	size_t answer_len = len - (size_t)(answer - data);
	struct bsc_interface *i = NULL;
	struct bsc_error e = { 0 };

	if (bsc_interface_parse((const char *)data, text, "fuzz", &i, &e) != BS_OK) {
		FUZZ_CHECK(e.text[0] != '\0' && strlen(e.text) < sizeof e.text);
		return 0;
	}
	for (size_t k = 0; k < bsc_interface_count(i); k++) {
		const struct bsc_query *q = bsc_interface_get(i, k);
		struct walk w = { 0, 0 };
		int rc;

		FUZZ_CHECK(bsc_interface_find(i, bsc_query_get_name(q)) == q);
		rc = bsc_query_decode(q, answer, answer_len, on_field, &w, &e);
		FUZZ_CHECK(rc == BS_OK ? w.depth == 0 : w.steps == 0);
		encode(q);
	}
	bsc_interface_free(i);
	return 0;
}
