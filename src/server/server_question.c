/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the main thread to the workers. */
#include "server/server_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	LIST_MAX = 500,
	EVENTS_MAX = 256,
	ATTEMPTS_MAX = 500,
	RELAYS_MAX = 500,
	CURSOR_SHIFT = 32,
};

/* Workers answer within a turn of their loop; this is for one that hangs. */
static const bs_time patience = BS_TIME_MS(5000);

static struct bs_question *find(struct bs_server *s, uint32_t id)
{
	unsigned i;

	for (i = 0; id != 0 && i < BS_QUESTIONS_MAX; i++) {
		if (s->question[i].id == id)
			return &s->question[i];
	}
	return NULL;
}

static struct bs_question *open_question(struct bs_server *s, uint8_t kind, size_t row_len)
{
	unsigned i;

	for (i = 0; i < BS_QUESTIONS_MAX && s->question[i].id != 0; i++)
		;
	if (!s->running || i == BS_QUESTIONS_MAX)
		return NULL;
	memset(&s->question[i], 0, sizeof(s->question[i]));
	if (++s->last_id == 0)
		s->last_id = 1;
	s->question[i].id = s->last_id;
	s->question[i].kind = kind;
	s->question[i].row_len = row_len;
	return &s->question[i];
}

static void ask(struct bs_server *s, struct bs_question *q, unsigned worker, uint32_t number,
		uint64_t cursor)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = q->kind ? BS_MSG_QUERY : BS_MSG_KICK;
	m.number = number;
	m.u.query.id = q->id;
	m.u.query.kind = q->kind;
	m.u.query.cursor = cursor;
	m.u.query.max = q->max - (uint32_t)q->n;
	q->waiting++;
	bs__server_post(s, worker, &m);
}

static void ask_all(struct bs_server *s, struct bs_question *q, uint64_t cursor)
{
	unsigned i;

	for (i = 0; i < s->n_workers; i++)
		ask(s, q, i, 0, cursor);
}

static int newest_first(const void *a, const void *b)
{
	const struct bs_event_row *x = a;
	const struct bs_event_row *y = b;

	return x->unix_ms < y->unix_ms ? 1 : x->unix_ms > y->unix_ms ? -1 : 0;
}

static int newest_attempt_first(const void *a, const void *b)
{
	const struct bs_attempt_info *x = a;
	const struct bs_attempt_info *y = b;

	return x->start_ms < y->start_ms ? 1 : x->start_ms > y->start_ms ? -1 : 0;
}

static int oldest_first(const void *a, const void *b)
{
	const struct bs_attempt_row *x = a;
	const struct bs_attempt_row *y = b;

	if (x->unix_ms != y->unix_ms)
		return x->unix_ms < y->unix_ms ? -1 : 1;
	/* Two workers within one millisecond: the steps are numbered in their order. */
	return (int)x->step - (int)y->step;
}

static int most_first(const void *a, const void *b)
{
	const struct bs_relay_row *x = a;
	const struct bs_relay_row *y = b;
	uint64_t p = x->bytes[0] + x->bytes[1];
	uint64_t q = y->bytes[0] + y->bytes[1];

	return p < q ? 1 : p > q ? -1 : 0;
}

/* The callback may ask the next question, so the slot is free before it runs. */
static void close_question(struct bs_question *slot, int err, uint64_t cursor)
{
	struct bs_question q = *slot;

	slot->id = 0;
	slot->rows = NULL;
	if (q.kind == BS_QUERY_EVENTS && q.n > 1)
		qsort(q.rows, q.n, q.row_len, newest_first);
	if (q.kind == BS_QUERY_ATTEMPT && q.n > 1)
		qsort(q.rows, q.n, q.row_len, oldest_first);
	if (q.kind == BS_QUERY_ATTEMPTS && q.n > 1)
		qsort(q.rows, q.n, q.row_len, newest_attempt_first);
	if (q.kind == BS_QUERY_RELAYS && q.n > 1)
		qsort(q.rows, q.n, q.row_len, most_first);
	switch (q.kind) {
	case BS_QUERY_RELAYS:
		q.fn.relays(q.arg, err, (void *)q.rows, q.n < q.max ? q.n : q.max);
		break;
	case BS_QUERY_LIST:
	case BS_QUERY_DEVICE: q.fn.rows(q.arg, err, (void *)q.rows, q.n, cursor); break;
	case BS_QUERY_EVENTS:
		q.fn.events(q.arg, err, (void *)q.rows, q.n < q.max ? q.n : q.max);
		break;
	case BS_QUERY_ATTEMPT: q.fn.attempt(q.arg, err, (void *)q.rows, q.n); break;
	case BS_QUERY_ATTEMPTS:
		q.fn.attempts(q.arg, err, (void *)q.rows, q.n < q.max ? q.n : q.max);
		break;
	case BS_QUERY_SYNC: q.fn.sync(q.arg, err); break;
	default:
		if (q.fn.done)
			q.fn.done(q.arg, err);
		break;
	}
	free(q.rows);
}

void bs__server_rows(struct bs_server *s, const struct bs_bulk *b)
{
	struct bs_question *q = find(s, b->id);
	size_t need;

	if (!q || b->len != b->n * q->row_len)
		return;
	need = (q->n + b->n) * q->row_len;
	if (need > q->cap) {
		uint8_t *p = realloc(q->rows, need * 2);

		if (!p)
			return;
		q->rows = p;
		q->cap = need * 2;
	}
	memcpy(q->rows + q->n * q->row_len, b->data, b->len);
	q->n += b->n;
}

/* A worker has no more: go on with the next, or say where the list goes on. */
static void list_answer(struct bs_server *s, struct bs_question *q, const struct bs_msg_answer *a)
{
	if (a->cursor != 0) {
		close_question(q, BS_OK, (uint64_t)(q->worker + 1) << CURSOR_SHIFT | a->cursor);
		return;
	}
	q->worker++;
	if (q->worker == s->n_workers)
		close_question(q, BS_OK, 0);
	else if (q->n >= q->max)
		close_question(q, BS_OK, (uint64_t)(q->worker + 1) << CURSOR_SHIFT);
	else
		ask(s, q, q->worker, 0, 0);
}

void bs__server_answer(struct bs_server *s, unsigned from, const struct bs_message *m)
{
	struct bs_question *q = find(s, m->u.answer.id);

	(void)from;
	if (!q)
		return;
	q->waiting--;
	if (m->u.answer.err != BS_OK)
		close_question(q, m->u.answer.err, 0);
	else if (q->kind == BS_QUERY_LIST)
		list_answer(s, q, &m->u.answer);
	else if (q->waiting == 0)
		close_question(q, BS_OK, 0);
}

void bs__server_questions_end(struct bs_server *s, int err)
{
	unsigned i;

	for (i = 0; i < BS_QUESTIONS_MAX; i++) {
		if (s->question[i].id != 0)
			close_question(&s->question[i], err, 0);
	}
}

void bs__server_questions_tick(struct bs_server *s)
{
	unsigned i;

	for (i = 0; i < BS_QUESTIONS_MAX; i++) {
		struct bs_question *q = &s->question[i];

		if (q->id == 0)
			continue;
		if (!q->has_deadline) {
			q->has_deadline = true;
			q->deadline = s->now + patience;
		} else if (BS_TIME_DIFF(s->now, q->deadline) >= 0) {
			close_question(q, BS_ETIMEDOUT, 0);
		}
	}
}

int bs__server_sync(struct bs_server *s, void (*fn)(void *arg, int err), void *arg)
{
	struct bs_question *q = open_question(s, BS_QUERY_SYNC, 1);

	if (!q)
		return BS_EFULL;
	q->fn.sync = fn;
	q->arg = arg;
	ask_all(s, q, 0);
	return BS_OK;
}

int bs_server_list(struct bs_server *s, uint64_t cursor, uint32_t max, bs_server_rows_fn fn,
		   void *arg)
{
	uint64_t worker = cursor >> CURSOR_SHIFT;
	uint32_t at = (uint32_t)cursor;
	struct bs_question *q;

	if (max == 0 || max > LIST_MAX || worker > s->n_workers)
		return BS_EINVAL;
	q = open_question(s, BS_QUERY_LIST, sizeof(struct bs_device_row));
	if (!q)
		return BS_EFULL;
	q->fn.rows = fn;
	q->arg = arg;
	q->max = max;
	q->worker = worker > 0 ? (unsigned)worker - 1 : 0;
	/* Workers count positions from 1, for 0 says "end". */
	ask(s, q, q->worker, 0, at > 0 ? at - 1 : 0);
	return BS_OK;
}

static unsigned owner_of(const struct bs_server *s, uint32_t number)
{
	return bs_worker_owner(&s->worker[0], number);
}

int bs_server_device(struct bs_server *s, uint32_t number, bs_server_rows_fn fn, void *arg)
{
	struct bs_question *q = open_question(s, BS_QUERY_DEVICE, sizeof(struct bs_device_row));

	if (!q)
		return BS_EFULL;
	q->fn.rows = fn;
	q->arg = arg;
	q->max = 1;
	ask(s, q, owner_of(s, number), number, 0);
	return BS_OK;
}

int bs_server_events(struct bs_server *s, uint32_t max, bs_server_events_fn fn, void *arg)
{
	struct bs_question *q;

	if (max == 0 || max > EVENTS_MAX)
		return BS_EINVAL;
	q = open_question(s, BS_QUERY_EVENTS, sizeof(struct bs_event_row));
	if (!q)
		return BS_EFULL;
	q->fn.events = fn;
	q->arg = arg;
	q->max = max;
	ask_all(s, q, 0);
	return BS_OK;
}

int bs_server_attempt(struct bs_server *s, uint64_t attempt, bs_server_attempt_fn fn, void *arg)
{
	struct bs_question *q = open_question(s, BS_QUERY_ATTEMPT, sizeof(struct bs_attempt_row));

	if (!q)
		return BS_EFULL;
	q->fn.attempt = fn;
	q->arg = arg;
	ask_all(s, q, attempt);
	return BS_OK;
}

int bs_server_attempts(struct bs_server *s, uint64_t id, uint32_t max, bs_server_attempts_fn fn,
		       void *arg)
{
	struct bs_question *q;

	if (max == 0 || max > ATTEMPTS_MAX)
		return BS_EINVAL;
	q = open_question(s, BS_QUERY_ATTEMPTS, sizeof(struct bs_attempt_info));
	if (!q)
		return BS_EFULL;
	q->fn.attempts = fn;
	q->arg = arg;
	q->max = max;
	ask_all(s, q, id);
	return BS_OK;
}

int bs_server_relays(struct bs_server *s, uint32_t max, bs_server_relays_fn fn, void *arg)
{
	struct bs_question *q;

	if (max == 0 || max > RELAYS_MAX)
		return BS_EINVAL;
	q = open_question(s, BS_QUERY_RELAYS, sizeof(struct bs_relay_row));
	if (!q)
		return BS_EFULL;
	q->fn.relays = fn;
	q->arg = arg;
	q->max = max;
	ask_all(s, q, 0);
	return BS_OK;
}

int bs_server_kick(struct bs_server *s, uint32_t number, bs_server_done_fn fn, void *arg)
{
	struct bs_question *q = open_question(s, 0, 1);

	if (!q)
		return BS_EFULL;
	q->fn.done = fn;
	q->arg = arg;
	ask(s, q, owner_of(s, number), number, 0);
	return BS_OK;
}
