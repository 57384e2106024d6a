/* SPDX-License-Identifier: Apache-2.0 */
/*
 * presence.c - who on this worker watches which device, and the events they get.
 *
 * The subscription itself lives at the worker that owns the id.  It is made with the first watcher
 * here and ended with the last, so the owner sees one subscriber per worker however many clients
 * watch.
 */
#include <string.h>

#include "server/gate_internal.h"

/** Subscribe to or leave one device at its owner. */
static int tell_owner(struct bs_gate *g, uint32_t number, enum bs_watch_op op)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_WATCH;
	m.gate = (uint8_t)g->w->index;
	m.u.watch.op = (uint8_t)op;
	m.u.watch.n = 1;
	m.u.watch.number[0] = number;
	return bs_worker_send(g->w, bs_worker_owner(g->w, number), &m);
}

static struct bs_gate_watched *watched_new(struct bs_gate *g, uint32_t number, const char *id)
{
	struct bs_gate_watched *d = bs_gate_pool_take(&g->watched);

	if (!d)
		return NULL;
	d->number = number;
	memcpy(d->id, id, strlen(id) + 1);
	if (bs_gate_map_put(&g->watch_map, number, d) != BS_OK) {
		bs_gate_pool_give(&g->watched, d);
		return NULL;
	}
	if (tell_owner(g, number, BS_WATCH_ON) != BS_OK) {
		bs_gate_map_remove(&g->watch_map, number);
		bs_gate_pool_give(&g->watched, d);
		return NULL;
	}
	return d;
}

static struct bs_gate_watcher *find(const struct bs_session *s, uint32_t number)
{
	for (struct bs_gate_watcher *w = s->watches; w; w = w->next)
		if (w->device->number == number)
			return w;
	return NULL;
}

int bs__presence_add(struct bs_session *s, uint32_t number, const char *id)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_watched *d = bs_gate_map_get(&g->watch_map, number);
	struct bs_gate_watcher *w;

	if (find(s, number))
		return BS_OK;
	w = s->n_watches < BS_GATE_WATCHES_PER_SESSION ? bs_gate_pool_take(&g->watches) : NULL;
	if (!w)
		return BS_EFULL;
	if (!d)
		d = watched_new(g, number, id);
	if (!d) {
		bs_gate_pool_give(&g->watches, w);
		return BS_EFULL;
	}
	w->session = s;
	w->device = d;
	w->same = d->first;
	d->first = w;
	w->next = s->watches;
	s->watches = w;
	s->n_watches++;
	bs_count_set(g->w->counters, BS_C_gate_watches, g->watches.used);
	return BS_OK;
}

static void watcher_free(struct bs_gate_watcher *w)
{
	struct bs_session *s = w->session;
	struct bs_gate *g = s->gate;
	struct bs_gate_watched *d = w->device;
	struct bs_gate_watcher **at;

	for (at = &s->watches; *at != w; at = &(*at)->next)
		;
	*at = w->next;
	s->n_watches--;
	for (at = &d->first; *at != w; at = &(*at)->same)
		;
	*at = w->same;
	bs_gate_pool_give(&g->watches, w);
	bs_count_set(g->w->counters, BS_C_gate_watches, g->watches.used);
	if (d->first)
		return;
	/* A lost message costs a few useless events until the owner is told the next time. */
	(void)tell_owner(g, d->number, BS_WATCH_OFF);
	bs_gate_map_remove(&g->watch_map, d->number);
	bs_gate_pool_give(&g->watched, d);
}

void bs__presence_remove(struct bs_session *s, uint32_t number)
{
	struct bs_gate_watcher *w = find(s, number);

	if (w)
		watcher_free(w);
}

void bs__presence_session_end(struct bs_session *s)
{
	while (s->watches)
		watcher_free(s->watches);
}

static void send_event(struct bs_session *s, const struct bs_presence *pr)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_event m;

	memset(&m, 0, sizeof(m));
	m.h.cp = s->cp;
	bs_count(g->w->counters, BS_C_gate_events);
	bs__session_send_tx(s, bs_gate_event_encode(&m, pr, 1, g->tx, sizeof(g->tx)));
}

/** Tell everybody who watches d.  Sending may end sessions, and with the last watcher d goes. */
static void spread(struct bs_gate *g, uint32_t number, const struct bs_msg_presence_row *row)
{
	struct bs_gate_watched *d = bs_gate_map_get(&g->watch_map, number);
	char id[BS_DEVICE_ID_MAX + 1];
	struct bs_gate_watcher *w, *next;

	if (!d)
		return;
	memcpy(id, d->id, sizeof(id));
	const struct bs_presence pr = {
		row->event, row->state, row->since_ms, { (const uint8_t *)id, strlen(id) }
	};

	for (w = d->first; w; w = next) {
		/* A session watches a device once, so its end takes w only, never next. */
		next = w->same;
		send_event(w->session, &pr);
	}
}

void bs__presence_change(struct bs_gate *g, const struct bs_message *m)
{
	for (size_t i = 0; i < m->u.presence.n && i < BS_MSG_PRESENCE_MAX; i++)
		spread(g, m->u.presence.p[i].number, &m->u.presence.p[i]);
}

void bs__presence_forbid(struct bs_gate_watcher *w)
{
	struct bs_session *s = w->session;
	char id[BS_DEVICE_ID_MAX + 1];
	struct bs_presence pr = { .state = BS_PRESENCE_UNKNOWN };

	memcpy(id, w->device->id, sizeof(id));
	pr.id = (struct bs_slice){ (const uint8_t *)id, strlen(id) };
	watcher_free(w);
	/* Event number 0 and "unknown": this device is not watched any more. */
	send_event(s, &pr);
}
