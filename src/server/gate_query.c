/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_query.c - LIST and WATCH: which devices a client may see, and what their owners say.
 *
 * Both end in the same way: rows of devices, questions to the workers that own the ids, and one
 * answer when all have spoken or the time is up.  A LIST looks at registry records in small steps,
 * a budget for the whole worker per tick, so that a client with two devices among a million costs
 * the others nothing but patience of its own.
 */
#include <string.h>

#include "server/gate_internal.h"

/** Registry records that all lists together look at per tick. */
#define RECORDS_PER_TICK 1024u
/** Records read at once. */
#define RECORDS_STEP 16u
/**
 * Event numbers are Unix milliseconds shifted by 20.  Those of two owners reach a client out of
 * order by so much at most: a device counts as seen only when its last event is older by more.
 */
#define SINCE_SLACK (UINT64_C(2000) << 20)
/** First byte of a cursor: its version. */
#define CURSOR_VERSION 1
/** Bytes of a cursor before the position: version, Unix seconds. */
#define CURSOR_HEAD 9

/* Cursors. */

static size_t cursor_make(const struct bs_gate *g, const struct bs_list_pos *pos,
			  uint8_t out[BS_LIST_CURSOR_MAX])
{
	if ((size_t)pos->len + CURSOR_HEAD > BS_LIST_CURSOR_MAX)
		return 0;
	out[0] = CURSOR_VERSION;
	bs_put_u64(out + 1, g->w->unix_ms / 1000);
	memcpy(out + CURSOR_HEAD, pos->b, pos->len);
	return (size_t)pos->len + CURSOR_HEAD;
}

/** A position from a cursor; BS_ESTATE when it is too old or none of ours. */
static int cursor_read(const struct bs_gate *g, struct bs_slice c, struct bs_list_pos *pos)
{
	uint64_t now_s = g->w->unix_ms / 1000;

	if (c.len <= CURSOR_HEAD || c.len > BS_LIST_CURSOR_MAX || c.ptr[0] != CURSOR_VERSION)
		return BS_ESTATE;
	uint64_t made_s = bs_get_u64(c.ptr + 1);

	if (made_s > now_s || now_s - made_s > BS_GATE_CURSOR_LIFE_S)
		return BS_ESTATE;
	memset(pos, 0, sizeof(*pos));
	pos->len = (uint8_t)(c.len - CURSOR_HEAD);
	memcpy(pos->b, c.ptr + CURSOR_HEAD, pos->len);
	return BS_OK;
}

/* Life of a query. */

static struct bs_gate_query *query_new(struct bs_session *s, uint8_t type,
				       const struct bs_gate_head *h)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_query *q;

	if (s->n_queries >= BS_GATE_QUERIES_PER_SESSION)
		return NULL;
	q = bs_gate_pool_take(&g->queries);
	if (!q)
		return NULL;
	q->handle = g->next_handle++;
	if (bs_gate_map_put(&g->query_map, q->handle, q) != BS_OK) {
		bs_gate_pool_give(&g->queries, q);
		return NULL;
	}
	q->session = s;
	q->type = type;
	q->head = *h;
	s->n_queries++;
	if (g->query_last)
		g->query_last->later = q;
	else
		g->query_first = q;
	g->query_last = q;
	return q;
}

static void query_free(struct bs_gate *g, struct bs_gate_query *q)
{
	struct bs_gate_query **at = &g->query_first;
	struct bs_gate_query *before = NULL;

	while (*at != q) {
		before = *at;
		at = &before->later;
	}
	*at = q->later;
	if (g->query_last == q)
		g->query_last = before;
	if (q->session)
		q->session->n_queries--;
	bs_gate_map_remove(&g->query_map, q->handle);
	bs_gate_pool_give(&g->queries, q);
}

void bs__gate_query_session_end(struct bs_session *s)
{
	/* The tick frees them: an answer may be on its way up the stack right now. */
	for (struct bs_gate_query *q = s->gate->query_first; q && s->n_queries > 0; q = q->later) {
		if (q->session != s)
			continue;
		q->session = NULL;
		s->n_queries--;
	}
}

/** An answer that is only a status. */
static void refuse(struct bs_session *s, uint8_t type, const struct bs_gate_head *h, uint16_t code,
		   const char *text)
{
	struct bs_gate *g = s->gate;
	const struct bs_status_text st = bs__gate_status(code, text);
	struct bs_writer w;

	bs_gate_list_answer_begin(&w, g->tx, sizeof(g->tx), type, h, &st);
	bs__session_send_tx(s, bs_gate_list_answer_end(&w, (struct bs_slice){ NULL, 0 }));
}

static bool is_complete(const struct bs_gate_query *q)
{
	for (size_t i = 0; i < q->n; i++)
		if (!q->row[i].known)
			return false;
	return true;
}

/** Send what there is and free the query. */
static void answer(struct bs_gate *g, struct bs_gate_query *q)
{
	const struct bs_status_text st = bs__gate_status(BS_ST_OK, "");
	uint8_t cursor[BS_LIST_CURSOR_MAX];
	struct bs_slice c = { cursor, 0 };
	struct bs_session *s = q->session;
	struct bs_writer w;

	bs_gate_list_answer_begin(&w, g->tx, sizeof(g->tx), q->type, &q->head, &st);
	for (size_t i = 0; i < q->n; i++) {
		const struct bs_gate_query_row *r = &q->row[i];
		const struct bs_presence pr = {
			r->event, r->state, r->since_ms, { (const uint8_t *)r->id, strlen(r->id) }
		};

		/* "since": what the client has seen already is left out. */
		if (r->known && q->since > 0 && r->event > 0 && r->event + SINCE_SLACK <= q->since)
			continue;
		bs_presence_put(&w, &pr);
	}
	if (q->type == BS_TYPE_LIST && !q->end)
		c.len = cursor_make(g, &q->pos, cursor);
	bs_ssize len = bs_gate_list_answer_end(&w, c);

	query_free(g, q);
	if (s)
		bs__session_send_tx(s, len);
}

/**
 * Ask the owners of all rows; at most BS_MSG_PRESENCE_MAX ids travel in one message.  An owner on
 * this worker answers within the call, so q may be gone afterwards.
 */
static void ask_owners(struct bs_gate *g, struct bs_gate_query *q)
{
	uint32_t number[BS_GATE_WATCH_MAX];
	uint64_t handle = q->handle;
	size_t n = q->n;

	for (size_t i = 0; i < n; i++)
		number[i] = q->row[i].number;
	q->reading = false;
	q->deadline = g->w->now + BS_GATE_QUERY_WAIT;
	for (unsigned to = 0; to < g->w->n_workers; to++) {
		struct bs_message m;

		memset(&m, 0, sizeof(m));
		m.kind = BS_MSG_WATCH;
		m.gate = (uint8_t)g->w->index;
		m.ref = handle;
		m.u.watch.op = BS_WATCH_ASK;
		for (size_t i = 0; i < n; i++) {
			if (bs_worker_owner(g->w, number[i]) != to)
				continue;
			m.u.watch.number[m.u.watch.n++] = number[i];
			if (m.u.watch.n < BS_MSG_PRESENCE_MAX)
				continue;
			(void)bs_worker_send(g->w, to, &m);
			m.u.watch.n = 0;
		}
		/* What is lost here the deadline answers with "unknown". */
		if (m.u.watch.n > 0)
			(void)bs_worker_send(g->w, to, &m);
	}
}

void bs__gate_query_answer(struct bs_gate *g, const struct bs_message *m)
{
	struct bs_gate_query *q = bs_gate_map_get(&g->query_map, m->ref);

	if (!q)
		return;
	for (size_t k = 0; k < m->u.presence.n && k < BS_MSG_PRESENCE_MAX; k++) {
		const struct bs_msg_presence_row *p = &m->u.presence.p[k];

		for (size_t i = 0; i < q->n; i++) {
			struct bs_gate_query_row *r = &q->row[i];

			if (r->number != p->number)
				continue;
			r->known = true;
			r->state = p->state;
			r->event = p->event;
			r->since_ms = p->since_ms;
		}
	}
	if (is_complete(q))
		answer(g, q);
}

/* LIST. */

/** Take a device into a list when the client may reach it. */
static void consider(struct bs_gate *g, struct bs_gate_query *q, const struct bs_presented *who,
		     const struct bs_device *d)
{
	const struct bs_slice id = { (const uint8_t *)d->id, d->id_len };
	struct bs_access_result r;
	struct bs_gate_query_row *row = &q->row[q->n];

	if (bs_access_check(g->w->reader, who, id, &r) != BS_OK || !r.allow)
		return;
	memset(row, 0, sizeof(*row));
	row->number = d->number;
	row->state = BS_PRESENCE_UNKNOWN;
	memcpy(row->id, d->id, sizeof(row->id));
	q->n++;
}

/** Look at a few more records.  Returns how many, or an error. */
static bs_ssize read_on(struct bs_gate *g, struct bs_gate_query *q)
{
	const struct bs_device_filter all = { .state = 0 };
	const struct bs_presented who = bs__gate_presented(&q->session->who);
	size_t want = BS_GATE_PAGE - q->n;
	bs_ssize n;

	/* No more than fit the page: a record that is read is behind the position. */
	if (want > RECORDS_STEP)
		want = RECORDS_STEP;
	n = bs_registry_reader_begin(g->w->reader);
	if (n != BS_OK)
		return n;
	n = bs_registry_device_list(g->w->reader, &all, &q->pos, g->page, want, &q->end);
	for (bs_ssize i = 0; i < n; i++)
		consider(g, q, &who, &g->page[i]);
	bs_registry_reader_end(g->w->reader);
	return n;
}

/** One step of a list; true when it goes on. */
static bool list_step(struct bs_gate *g, struct bs_gate_query *q, uint32_t *budget)
{
	bs_ssize n = read_on(g, q);

	if (n < 0) {
		struct bs_session *s = q->session;
		struct bs_gate_head h = q->head;

		/* A position that the registry does not take is a cursor of somebody's making. */
		query_free(g, q);
		if (n != BS_EINVAL)
			bs_count(g->w->counters, BS_C_registry_failed);
		refuse(s, BS_TYPE_LIST, &h, n == BS_EINVAL ? BS_ST_CURSOR : BS_ST_ERROR,
		       n == BS_EINVAL ? "cursor expired: start again" : "registry not readable");
		return false;
	}
	*budget -= *budget > (uint32_t)n + 1 ? (uint32_t)n + 1 : *budget;
	if (!q->end && q->n < BS_GATE_PAGE)
		return true;
	if (q->n == 0)
		answer(g, q);
	else
		ask_owners(g, q);
	return false;
}

void bs__gate_list(struct bs_session *s, const struct bs_packet *p)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_list m;
	struct bs_gate_query *q;
	struct bs_list_pos pos = { 0 };
	int err = bs_gate_list_decode(p, &m);

	if (err == BS_EPAYLOAD) {
		bs__gate_error(s, BS_ST_MALFORMED, "LIST: unknown payload");
		return;
	}
	if (err != BS_OK) {
		const struct bs_gate_head h = { p->h.nsi_cp, 0, p->h.seq };

		bs_count(g->w->counters, BS_C_gate_bad_request);
		refuse(s, BS_TYPE_LIST, &h, BS_ST_MALFORMED, "LIST: empty cursor");
		return;
	}
	m.h.sp = 0;
	if (m.cursor.len > 0 && cursor_read(g, m.cursor, &pos) != BS_OK) {
		refuse(s, BS_TYPE_LIST, &m.h, BS_ST_CURSOR, "cursor expired: start again");
		return;
	}
	q = query_new(s, BS_TYPE_LIST, &m.h);
	if (!q) {
		bs_count(g->w->counters, BS_C_gate_table_full);
		refuse(s, BS_TYPE_LIST, &m.h, BS_ST_RATE, "too many lists at once");
		return;
	}
	q->pos = pos;
	q->reading = true;
}

/* WATCH. */

/** Numbers and ids of all devices that are named; false when one may not be reached. */
static bool resolve(struct bs_session *s, const struct bs_gate_watch *m,
		    struct bs_gate_query_row *rows)
{
	struct bs_gate *g = s->gate;
	const struct bs_presented who = bs__gate_presented(&s->who);
	bool ok = true;

	/* All are looked up whatever comes of the first: the time must not name the odd one. */
	for (size_t i = 0; i < m->n_ids; i++) {
		struct bs_access_result r = { 0 };

		if (bs_access_check(g->w->reader, &who, m->ids[i], &r) != BS_OK || !r.allow)
			ok = false;
		memset(&rows[i], 0, sizeof(rows[i]));
		rows[i].number = r.device_number;
		rows[i].state = BS_PRESENCE_UNKNOWN;
		memcpy(rows[i].id, m->ids[i].ptr, m->ids[i].len);
	}
	if (!ok)
		bs_count(g->w->counters, BS_C_gate_forbidden);
	return ok;
}

/** The same device named twice is one row. */
static uint8_t unique(struct bs_gate_query_row *rows, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		size_t j = 0;

		while (j < kept && rows[j].number != rows[i].number)
			j++;
		if (j == kept)
			rows[kept++] = rows[i];
	}
	return (uint8_t)kept;
}

static void unwatch(struct bs_session *s, const struct bs_gate_watch *m)
{
	/* By what is watched, not by what may be reached: leaving is always allowed. */
	for (size_t i = 0; i < m->n_ids; i++)
		for (struct bs_gate_watcher *w = s->watches; w; w = w->next)
			if (strlen(w->device->id) == m->ids[i].len &&
			    memcmp(w->device->id, m->ids[i].ptr, m->ids[i].len) == 0) {
				bs__presence_remove(s, w->device->number);
				break;
			}
	refuse(s, BS_TYPE_WATCH, &m->h, BS_ST_OK, "");
}

static void watch(struct bs_session *s, const struct bs_gate_watch *m)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_query *q = query_new(s, BS_TYPE_WATCH, &m->h);
	int err = BS_OK;

	if (!q) {
		bs_count(g->w->counters, BS_C_gate_table_full);
		refuse(s, BS_TYPE_WATCH, &m->h, BS_ST_RATE, "too many questions at once");
		return;
	}
	if (!resolve(s, m, q->row)) {
		query_free(g, q);
		refuse(s, BS_TYPE_WATCH, &m->h, BS_ST_REFUSED, "refused by the basestation");
		return;
	}
	q->n = unique(q->row, m->n_ids);
	if (m->params.has & BS_PARAM_BIT(BS_PARAM_SINCE))
		q->since = m->params.since;
	for (size_t i = 0; err == BS_OK && i < q->n; i++)
		err = bs__presence_add(s, q->row[i].number, q->row[i].id);
	if (err == BS_OK) {
		ask_owners(g, q);
		return;
	}
	bs_count(g->w->counters, BS_C_gate_table_full);
	query_free(g, q);
	refuse(s, BS_TYPE_WATCH, &m->h, BS_ST_RATE, "too many watches");
}

void bs__gate_watch(struct bs_session *s, const struct bs_packet *p)
{
	struct bs_gate_watch m;
	int err = bs_gate_watch_decode(p, &m);

	if (err == BS_EPAYLOAD) {
		bs__gate_error(s, BS_ST_MALFORMED, "WATCH: unknown payload");
		return;
	}
	if (err != BS_OK) {
		const struct bs_gate_head h = { p->h.nsi_cp, 0, p->h.seq };

		bs_count(s->gate->w->counters, BS_C_gate_bad_request);
		refuse(s, BS_TYPE_WATCH, &h, BS_ST_MALFORMED,
		       "WATCH: a payload is missing or out of range");
		return;
	}
	m.h.sp = 0;
	if (m.params.has & BS_PARAM_BIT(BS_PARAM_UNSUBSCRIBE))
		unwatch(s, &m);
	else
		watch(s, &m);
}

void bs__gate_query_tick(struct bs_gate *g, bs_time now)
{
	struct bs_gate_query *q, *next;
	uint32_t budget = RECORDS_PER_TICK;

	for (q = g->query_first; q; q = next) {
		next = q->later;
		if (!q->session) {
			query_free(g, q);
		} else if (q->reading) {
			/* Turns of equal length: a long list does not hold up the next. */
			uint32_t turn = RECORDS_PER_TICK / 8;

			while (turn > 0 && budget > 0 && list_step(g, q, &turn))
				budget -= budget > RECORDS_STEP ? RECORDS_STEP : budget;
		} else if (BS_TIME_DIFF(now, q->deadline) >= 0) {
			bs_count(g->w->counters, BS_C_gate_query_late);
			answer(g, q);
		}
	}
}
