/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the basestation: a table of requests, paired with answers by seq. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "local.h"
#include "machine.h"

struct bsc__req *bsc__request_new(struct bsc__machine *m, uint8_t type, bs_time now)
{
	struct bsc__req **at = &m->reqs;
	struct bsc__req *r;

	if (m->n_reqs >= BSC__REQUESTS_MAX)
		return NULL;
	r = calloc(1, sizeof *r);
	if (r == NULL)
		return NULL;
	r->type = type;
	r->deadline = now + BS_TIME_MS(m->set.open_timeout_ms);
	while (*at != NULL)
		at = &(*at)->next;
	*at = r;
	m->n_reqs++;
	return r;
}

static int add(struct bsc__machine *m, uint8_t type, struct bsc__req **out, bs_time now)
{
	if (m->n_reqs >= BSC__REQUESTS_MAX)
		return BS_EFULL;
	*out = bsc__request_new(m, type, now);
	return *out == NULL ? BS_ENOMEM : BS_OK;
}

/** Take a request out of the table; the caller frees it. */
static void unlink_req(struct bsc__machine *m, struct bsc__req *r)
{
	struct bsc__req **at = &m->reqs;

	while (*at != NULL && *at != r)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = r->next;
	m->n_reqs--;
}

/** Tell whoever asked, and free.  The request is out of the table already. */
static void end_req(struct bsc__req *r, const struct bsc_error *why, uint32_t rtt_us, bs_time now)
{
	if (r->conn != NULL && why != NULL)
		bsc__link_fail(r->conn, why, now);
	if (r->presence_fn != NULL)
		r->presence_fn(r->arg, NULL, why);
	if (r->done_fn != NULL)
		r->done_fn(r->arg, rtt_us, why);
	free(r);
}

int bsc__request_list(struct bsc__machine *m, bsc_presence_fn fn, void *arg, bs_time now)
{
	struct bsc__req *r;
	int rc = add(m, BS_TYPE_LIST, &r, now);

	if (rc != BS_OK)
		return rc;
	r->presence_fn = fn;
	r->arg = arg;
	bsc__machine_open(m, now);
	return BS_OK;
}

int bsc__request_ping(struct bsc__machine *m, bsc_done_fn fn, void *arg, bs_time now)
{
	struct bsc__req *r;
	int rc = add(m, BS_TYPE_PING, &r, now);

	if (rc != BS_OK)
		return rc;
	r->done_fn = fn;
	r->arg = arg;
	bsc__machine_open(m, now);
	return BS_OK;
}

/** Drop WATCH requests that wait or run: a newer one takes their place. */
static void forget_watch(struct bsc__machine *m)
{
	struct bsc__req *next;

	for (struct bsc__req *r = m->reqs; r != NULL; r = next) {
		next = r->next;
		if (r->type == BS_TYPE_WATCH) {
			unlink_req(m, r);
			free(r);
		}
	}
}

void bsc__request_rewatch(struct bsc__machine *m, bs_time now)
{
	if (m->watch.fn == NULL)
		return;
	forget_watch(m);
	m->watch.unsent = bsc__request_new(m, BS_TYPE_WATCH, now) == NULL;
	m->watch.retry_at = now + BS_TIME_MS(BSC__WATCH_RETRY_MS);
}

/** Whether a watch waits for room for its request. */
static bool watch_waits(const struct bsc__machine *m)
{
	return m->watch.fn != NULL && m->watch.unsent && m->state == BSC_SESSION_OPEN;
}

int bsc__request_watch(struct bsc__machine *m, const char *const *ids, size_t n, uint64_t since,
		       bsc_presence_fn fn, void *arg, bs_time now)
{
	struct bsc__watch w = { .fn = fn, .arg = arg, .since = since, .n = (uint8_t)n };
	struct bsc__req *r;
	int rc;

	for (size_t k = 0; k < n; k++) {
		size_t len = ids[k] == NULL ? 0 : strlen(ids[k]);

		if (!bs_device_id_ok((const uint8_t *)ids[k], len))
			return BS_EINVAL;
		memcpy(w.ids[k], ids[k], len);
	}
	forget_watch(m);
	rc = add(m, BS_TYPE_WATCH, &r, now);
	if (rc != BS_OK)
		return rc;
	m->watch = w;
	bsc__machine_open(m, now);
	return BS_OK;
}

void bsc__request_unwatch(struct bsc__machine *m, bs_time now)
{
	if (m->watch.fn == NULL)
		return;
	m->watch.fn = NULL;
	forget_watch(m);
	/* The ids stay for the unsubscribing packet; a new session has no watch anyway. */
	if (m->state == BSC_SESSION_OPEN)
		(void)bsc__request_new(m, BS_TYPE_WATCH, now);
}

void bsc__request_forget(struct bsc__machine *m, const struct bsc_conn *c)
{
	struct bsc__req *next;

	for (struct bsc__req *r = m->reqs; r != NULL; r = next) {
		next = r->next;
		if (r->conn == c) {
			unlink_req(m, r);
			free(r);
		}
	}
}

/* ---- output: one encoder per type */

static bs_ssize encode_connect(struct bsc__machine *m, const struct bsc__req *r, uint32_t cp,
			       uint8_t *buf, size_t cap)
{
	struct bs_gate_connect c = {
		.h = { .cp = cp, .seq = r->seq },
		.device = { (const uint8_t *)r->conn->device, strlen(r->conn->device) },
		.ext = bsc__link_ext(r->conn),
		.has_pair = r->conn->has_pair,
		.n_hosts = m->n_hosts,
	};

	memcpy(c.pair, r->conn->pair_id, sizeof c.pair);
	memcpy(c.attempt, r->conn->attempt, sizeof c.attempt);
	memcpy(c.hosts, m->hosts, sizeof c.hosts);
	c.caps.bits = c.caps.mask = BS_CAP_DIRECT | BS_CAP_UDP | BS_CAP_TAGS | BS_CAP_FRAMING |
				    BS_CAP_ASYNC | BS_CAP_FINGERPRINT | BS_CAP_GW_CLEAR_CLIENT;
	return bs_gate_connect_encode(&c, buf, cap);
}

static bs_ssize encode_disconnect(struct bsc__machine *m, const struct bsc__req *r, uint32_t cp,
				  uint8_t *buf, size_t cap)
{
	struct bs_gate_disconnect d = { .h = { .cp = cp, .sp = r->nsi, .seq = r->seq } };

	/* The server sees nothing of a direct path, and its operator wants to know. */
	if (r->path != 0) {
		d.params.has = BS_PARAM_BIT(BS_PARAM_PATH);
		d.params.path = r->path;
	}
	return bs_gate_disconnect_encode(&d, buf, cap);
}

static bs_ssize encode_watch(struct bsc__machine *m, const struct bsc__req *r, uint32_t cp,
			     uint8_t *buf, size_t cap)
{
	struct bs_gate_watch w = { .h = { .cp = cp, .seq = r->seq }, .n_ids = m->watch.n };

	for (uint8_t k = 0; k < m->watch.n; k++)
		w.ids[k] = (struct bs_slice){ (const uint8_t *)m->watch.ids[k],
					      strlen(m->watch.ids[k]) };
	if (m->watch.fn == NULL)
		w.params.has = BS_PARAM_BIT(BS_PARAM_UNSUBSCRIBE);
	else if (m->watch.since > 0) {
		w.params.has = BS_PARAM_BIT(BS_PARAM_SINCE);
		w.params.since = m->watch.since;
	}
	return bs_gate_watch_encode(&w, buf, cap);
}

static bs_ssize encode_list(struct bsc__machine *m, const struct bsc__req *r, uint32_t cp,
			    uint8_t *buf, size_t cap)
{
	struct bs_gate_list l = { .h = { .cp = cp, .seq = r->seq },
				  .cursor = { r->cursor, r->cursor_len } };

	return bs_gate_list_encode(&l, buf, cap);
}

static bs_ssize encode_ping(struct bsc__machine *m, const struct bsc__req *r, uint32_t cp,
			    uint8_t *buf, size_t cap)
{
	struct bs_gate_head h = { .cp = cp, .seq = r->seq };

	return bs_gate_ping_encode(&h, false, buf, cap);
}

/** TICKET has no payloads. */
static bs_ssize encode_ticket(const struct bsc__req *r, uint32_t cp, uint8_t *buf, size_t cap)
{
	const struct bs_header h = {
		.nsi_cp = cp, .type = BS_TYPE_TICKET, .version = BS_WIRE_VERSION, .seq = r->seq
	};
	struct bs_writer w;

	bs_packet_begin(&w, buf, cap, &h);
	return bs_packet_finish(&w);
}

bs_ssize bsc__request_encode(struct bsc__machine *m, const struct bsc__req *r, uint32_t cp,
			     uint8_t *buf, size_t cap)
{
	switch (r->type) {
	case BS_TYPE_CONNECT: return encode_connect(m, r, cp, buf, cap);
	case BS_TYPE_DISCONNECT: return encode_disconnect(m, r, cp, buf, cap);
	case BS_TYPE_WATCH: return encode_watch(m, r, cp, buf, cap);
	case BS_TYPE_LIST: return encode_list(m, r, cp, buf, cap);
	case BS_TYPE_TICKET: return encode_ticket(r, cp, buf, cap);
	default: return encode_ping(m, r, cp, buf, cap);
	}
}

/* 0 is what events carry. */
uint16_t bsc__request_seq(struct bsc__machine *m)
{
	const struct bsc__req *r;

	do {
		if (++m->seq == 0)
			m->seq = 1;
		for (r = m->reqs; r != NULL && !(r->sent && r->seq == m->seq); r = r->next)
			;
	} while (r != NULL);
	return m->seq;
}

bool bsc__request_is_due(const struct bsc__req *r)
{
	return !r->sent && !r->by_ticket && !(r->conn != NULL && bsc__local_holds(r->conn));
}

size_t bsc__request_output(struct bsc__machine *m, uint8_t *buf, size_t cap, bs_time now)
{
	struct bsc__req *r = m->reqs;
	bs_ssize n;

	while (r != NULL && !bsc__request_is_due(r))
		r = r->next;
	if (r == NULL)
		return 0;
	r->seq = bsc__request_seq(m);
	n = bsc__request_encode(m, r, m->cp, buf, cap);
	if (n <= 0) {
		struct bsc_error e;

		(void)bsc__fail(&e, BS_EINTERNAL, BSC_FROM_LIBRARY, BSC_INTERNAL,
				"a request to the basestation could not be encoded (%s)",
				bs_strerror((int)n));
		unlink_req(m, r);
		end_req(r, &e, 0, now);
		return 0;
	}
	r->sent = true;
	r->sent_at = now;
	r->deadline = now + BS_TIME_MS(BSC__ANSWER_MS);
	/* The server waits a moment for our probes once it has the CONNECT. */
	if (r->type == BS_TYPE_CONNECT)
		bsc__prober_start(&m->prober, now);
	return (size_t)n;
}

/* ---- answers */

static void tell_presence(bsc_presence_fn fn, void *arg, const struct bs_presence *p)
{
	struct bsc_presence out = { .state = (enum bsc_device_state)p->state,
				    .since_ms = p->since_ms,
				    .event = p->event };

	memcpy(out.device, p->id.ptr, p->id.len);
	fn(arg, &out, NULL);
}

/** Whether an id is in the watch: the server may still tell about those of an earlier one. */
static bool is_watched(const struct bsc__machine *m, const struct bs_slice *id)
{
	for (uint8_t k = 0; k < m->watch.n; k++)
		if (strlen(m->watch.ids[k]) == id->len &&
		    memcmp(m->watch.ids[k], id->ptr, id->len) == 0)
			return true;
	return false;
}

/** Presences for the watch, as long as its callback leaves it in place. */
static void watch_presences(struct bsc__machine *m, const struct bs_packet *p)
{
	struct bs_presence pr;
	size_t off = 0;

	while (m->watch.fn != NULL && bs_gate_presence_next(p, &off, &pr)) {
		if (pr.event > m->watch.since)
			m->watch.since = pr.event;
		if (is_watched(m, &pr.id))
			tell_presence(m->watch.fn, m->watch.arg, &pr);
	}
}

/** The watch is over, by an answer or for want of one. */
static void end_watch(struct bsc__machine *m, const struct bsc_error *e)
{
	bsc_presence_fn fn = m->watch.fn;

	m->watch.fn = NULL;
	if (fn != NULL)
		fn(m->watch.arg, NULL, e);
}

static int on_watch(struct bsc__machine *m, struct bsc__req *r, const struct bs_packet *p,
		    bs_time now)
{
	struct bs_gate_list_answer a;
	int rc = bs_gate_list_answer_decode(p, &a);

	(void)now;
	if (rc != BS_OK)
		return rc;
	unlink_req(m, r);
	free(r);
	if (m->watch.fn == NULL)
		return BS_OK;
	if (a.status.code != BS_ST_OK) {
		struct bsc_error e;

		(void)bsc__fail_status(&e, BSC_FROM_BASESTATION, a.status.code, a.status.text);
		end_watch(m, &e);
		return BS_OK;
	}
	watch_presences(m, p);
	return BS_OK;
}

static int on_list(struct bsc__machine *m, struct bsc__req *r, const struct bs_packet *p,
		   bs_time now)
{
	struct bs_gate_list_answer a;
	struct bs_presence pr;
	struct bsc_error e;
	size_t off = 0;
	int rc = bs_gate_list_answer_decode(p, &a);

	if (rc != BS_OK)
		return rc;
	if (a.cursor.len > sizeof r->cursor)
		return BS_EFIELD;
	unlink_req(m, r);
	if (a.status.code != BS_ST_OK) {
		(void)bsc__fail_status(&e, BSC_FROM_BASESTATION, a.status.code, a.status.text);
		end_req(r, &e, 0, now);
		return BS_OK;
	}
	while (bs_gate_presence_next(p, &off, &pr))
		tell_presence(r->presence_fn, r->arg, &pr);
	if (a.cursor.len == 0) {
		end_req(r, NULL, 0, now);
		return BS_OK;
	}
	/* More follows: ask for the next page with what the server gave us.  It goes to the front,
	 * and counts against nobody's limit, since it was in the table a moment ago. */
	memcpy(r->cursor, a.cursor.ptr, a.cursor.len);
	r->cursor_len = (uint8_t)a.cursor.len;
	r->sent = false;
	r->deadline = now + BS_TIME_MS(BSC__ANSWER_MS);
	r->next = m->reqs;
	m->reqs = r;
	m->n_reqs++;
	return BS_OK;
}

static int on_connect(struct bsc__machine *m, struct bsc__req *r, const struct bs_packet *p,
		      bs_time now)
{
	struct bsc_conn *c = r->conn;
	int rc = bsc__link_answer(c, p, now);

	if (rc != BS_OK)
		return rc;
	/* The callback in there may have given the handle back and the request with it. */
	bsc__request_forget(m, c);
	m->redirects = 0;
	return BS_OK;
}

static int on_pong(struct bsc__machine *m, struct bsc__req *r, const struct bs_packet *p,
		   bs_time now)
{
	uint32_t us = (uint32_t)(BS_TIME_DIFF(now, r->sent_at) / 1000);

	(void)p;
	m->rtt_us = us == 0 ? 1 : us;
	m->token_at = now;
	unlink_req(m, r);
	end_req(r, NULL, m->rtt_us, now);
	return BS_OK;
}

static int on_disconnected(struct bsc__machine *m, struct bsc__req *r, const struct bs_packet *p,
			   bs_time now)
{
	(void)p;
	/* Whatever it says: the connection is gone for us. */
	bsc__link_disconnected(m, r->nsi);
	unlink_req(m, r);
	end_req(r, NULL, 0, now);
	return BS_OK;
}

static int on_ticket(struct bsc__machine *m, struct bsc__req *r, const struct bs_packet *p,
		     bs_time now)
{
	bsc__request_drop(m, r);
	return bsc__ticket_take(m, p, now);
}

static const struct {
	uint8_t type;
	int (*take)(struct bsc__machine *m, struct bsc__req *r, const struct bs_packet *p,
		    bs_time now);
} takers[] = {
	{ BS_TYPE_CONNECT, on_connect }, { BS_TYPE_DISCONNECT, on_disconnected },
	{ BS_TYPE_WATCH, on_watch },     { BS_TYPE_LIST, on_list },
	{ BS_TYPE_PING, on_pong },       { BS_TYPE_TICKET, on_ticket },
};

int bsc__request_answer(struct bsc__machine *m, const struct bs_packet *p, bs_time now)
{
	struct bsc__req *r = m->reqs;

	while (r != NULL && !(r->sent && r->seq == p->h.seq && r->type == p->h.type))
		r = r->next;
	/* Late: the request was cancelled or timed out. */
	if (r == NULL)
		return BS_OK;
	for (size_t k = 0; k < sizeof takers / sizeof takers[0]; k++)
		if (takers[k].type == p->h.type)
			return takers[k].take(m, r, p, now);
	return BS_ETYPE;
}

int bsc__request_event(struct bsc__machine *m, const struct bs_packet *p, bs_time now)
{
	struct bs_gate_event e;
	int rc = bs_gate_event_decode(p, &e);

	if (rc != BS_OK)
		return rc;
	if (e.has_status && e.h.sp != 0 && e.status.code == BS_ST_RELAY_FULL)
		bsc__link_relay_refused(m, e.h.sp, &e.status, now);
	else if (e.has_status && e.h.sp != 0)
		bsc__link_closed_by_server(m, e.h.sp, &e.status, now);
	else if (e.has_status && e.status.code == BS_ST_DRAINING)
		bsc__machine_refused(m, &e.status, 0, now);
	else
		watch_presences(m, p);
	return BS_OK;
}

/* ---- ends */

void bsc__request_drop(struct bsc__machine *m, struct bsc__req *r)
{
	unlink_req(m, r);
	free(r);
}

void bsc__request_by_session(struct bsc__machine *m, bs_time now)
{
	struct bsc__req *next;
	bool any = false;

	for (struct bsc__req *r = m->reqs; r != NULL; r = next) {
		next = r->next;
		if (!r->by_ticket)
			continue;
		/* A connection that a ticket opened is no session's to close. */
		if (r->conn == NULL) {
			bsc__request_drop(m, r);
			continue;
		}
		r->by_ticket = r->sent = false;
		r->deadline = now + BS_TIME_MS(m->set.open_timeout_ms);
		any = true;
	}
	if (any)
		bsc__machine_open(m, now);
}

/** Take the requests out of the table that end with a session: all but those by ticket. */
static struct bsc__req *take_all(struct bsc__machine *m)
{
	struct bsc__req *out = NULL;
	struct bsc__req **last = &out;
	struct bsc__req **at = &m->reqs;

	while (*at != NULL) {
		struct bsc__req *r = *at;

		if (r->by_ticket) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		m->n_reqs--;
		r->next = NULL;
		*last = r;
		last = &r->next;
	}
	return out;
}

void bsc__request_fail_all(struct bsc__machine *m, const struct bsc_error *why, bs_time now)
{
	/* Callbacks may ask for more: that goes into the table, and not through here. */
	struct bsc__req *r = take_all(m);

	while (r != NULL) {
		struct bsc__req *next = r->next;

		end_req(r, why, 0, now);
		r = next;
	}
}

void bsc__request_unsend(struct bsc__machine *m, const struct bsc_error *why, bs_time now)
{
	struct bsc__req *ended = NULL;
	struct bsc__req **at = &m->reqs;

	while (*at != NULL) {
		struct bsc__req *r = *at;
		/* The attempt id makes a repeated CONNECT the same attempt; a list can start over
		 * only before its first page was told; pings of our own and goodbyes are moot. */
		bool keep = r->type == BS_TYPE_CONNECT ||
			    (r->type == BS_TYPE_LIST && r->cursor_len == 0) ||
			    (r->type == BS_TYPE_PING && r->done_fn != NULL) ||
			    r->type == BS_TYPE_WATCH;

		if (r->by_ticket) {
			at = &r->next;
			continue;
		}
		if (keep) {
			r->sent = false;
			r->deadline = now + BS_TIME_MS(m->set.open_timeout_ms);
			at = &r->next;
			continue;
		}
		*at = r->next;
		m->n_reqs--;
		r->next = ended;
		ended = r;
	}
	while (ended != NULL) {
		struct bsc__req *next = ended->next;

		end_req(ended, why, 0, now);
		ended = next;
	}
}

/** Why a request that is due has had no answer. */
static void explain(const struct bsc__machine *m, const struct bsc__req *r, struct bsc_error *e)
{
	if (r->sent)
		(void)bsc__fail(e, BS_ETIMEDOUT, BSC_FROM_BASESTATION, BSC_TIMEOUT,
				"%s:%u: the basestation did not answer within %u ms", m->host,
				(unsigned)m->port, BSC__ANSWER_MS);
	else if (m->state == BSC_SESSION_WAITING && m->why.code != 0)
		*e = m->why;
	else
		(void)bsc__fail(e, BS_ETIMEDOUT, BSC_FROM_NETWORK, BSC_TIMEOUT,
				"%s:%u: no session within %u ms", m->host, (unsigned)m->port,
				(unsigned)m->set.open_timeout_ms);
}

void bsc__request_timeout(struct bsc__machine *m, bs_time now)
{
	struct bsc__req *r;
	bool found;

	if (watch_waits(m) && BS_TIME_DIFF(now, m->watch.retry_at) >= 0)
		bsc__request_rewatch(m, now);
	/* From the start after each: the callbacks change the table. */
	do {
		found = false;
		for (r = m->reqs; r != NULL && !found; r = found ? r : r->next)
			found = BS_TIME_DIFF(now, r->deadline) >= 0;
		if (found) {
			struct bsc_error e;

			explain(m, r, &e);
			unlink_req(m, r);
			/* Unsent, it comes back with the session. */
			if (r->type == BS_TYPE_WATCH && r->sent)
				end_watch(m, &e);
			end_req(r, &e, 0, now);
		}
	} while (found);
}

bool bsc__request_next_timeout(const struct bsc__machine *m, bs_time *at)
{
	bool have = false;

	if (watch_waits(m))
		bsc__earlier(&have, at, m->watch.retry_at);
	for (const struct bsc__req *r = m->reqs; r != NULL; r = r->next)
		bsc__earlier(&have, at, r->deadline);
	return have;
}
