/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of an import: the first byte says in which pieces the rest arrives.  What is read must not
 * depend on the pieces, and a row that is taken comes back the same from every form it is written
 * in.
 */
#include "ctl/rows.h"
#include "fuzz.h"

/* Enough to tell two readings apart. */
struct summary {
	uint64_t rows;
	uint64_t bad;
	uint64_t lines; /* sum of line numbers */
	bool stopped;
};

static void same(const struct bs_row *a, const struct bs_row *b)
{
	FUZZ_CHECK(strcmp(a->id, b->id) == 0 && a->has_secret == b->has_secret);
	FUZZ_CHECK(memcmp(a->secret, b->secret, sizeof(a->secret)) == 0);
	FUZZ_CHECK(a->state == b->state && a->legacy == b->legacy && a->created == b->created);
	FUZZ_CHECK(a->n_tags == b->n_tags && memcmp(a->tag, b->tag, sizeof(a->tag)) == 0);
}

static void check_row(const struct bs_row *row)
{
	char text[2 * BS_ROW_TEXT_MAX];
	struct bs_ctl_error e;
	struct bs_row back;
	size_t head = strlen(bs_row_csv_header(true));

	for (int json = 0; json < 2; json++) {
		struct bs_rows r;
		size_t used;
		size_t len = json ? 0 : head;

		memcpy(text, bs_row_csv_header(true), head);
		len += json ? bs_row_put_json(row, true, text)
			    : bs_row_put_csv(row, true, text + head);
		FUZZ_CHECK(len < sizeof(text));
		bs_rows_init(&r, BS_ROWS_GUESS, "again");
		FUZZ_CHECK(bs_rows_feed(&r, text, len, &used, &back, &e) == BS_ROWS_ROW);
		FUZZ_CHECK(used == len);
		same(row, &back);
		bs_rows_fini(&r);
	}
	json_t *wire = bs_row_to_wire(row);

	FUZZ_CHECK(wire && bs_row_from_wire(wire, &back, &e) == BS_OK);
	same(row, &back);
	json_decref(wire);
}

static void count(struct summary *s, enum bs_rows_step step, const struct bs_row *row,
		  const struct bs_ctl_error *e, bool look)
{
	if (step == BS_ROWS_ROW) {
		s->rows++;
		s->lines += row->line;
		if (look && s->rows < 20)
			check_row(row);
	} else if (step != BS_ROWS_MORE) {
		FUZZ_CHECK(e->reason[0] != '\0' && strncmp(e->place, "f:", 2) == 0);
		s->bad++;
		s->stopped = step == BS_ROWS_STOP;
	}
}

static struct summary read_all(const char *data, size_t len, size_t piece)
{
	struct summary s = { 0 };
	struct bs_rows r;
	struct bs_row row;
	struct bs_ctl_error e;
	size_t at = 0;

	bs_rows_init(&r, BS_ROWS_GUESS, "f");
	while (at < len && !s.stopped) {
		size_t n = len - at < piece ? len - at : piece;
		size_t used = 0;
		enum bs_rows_step step = bs_rows_feed(&r, data + at, n, &used, &row, &e);

		FUZZ_CHECK(used <= n && (used > 0 || step != BS_ROWS_MORE));
		at += used;
		count(&s, step, &row, &e, piece >= len);
	}
	if (!s.stopped)
		count(&s, bs_rows_end(&r, &row, &e), &row, &e, piece >= len);
	bs_rows_fini(&r);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct summary whole;
	struct summary parts;

	if (len < 2)
		return 0;
	whole = read_all((const char *)data + 1, len - 1, len);
	parts = read_all((const char *)data + 1, len - 1, 1u + data[0] % 61u);
	FUZZ_CHECK(whole.rows == parts.rows && whole.bad == parts.bad);
	FUZZ_CHECK(whole.lines == parts.lines && whole.stopped == parts.stopped);
	return 0;
}
