/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_lane.c - handshakes in lanes by source, so that a flood waits for itself.
 *
 * A handshake costs the worker a hundred times what it costs whoever sends only its first message.
 * In one queue a client would wait behind all of a flood; here each source has a lane of its own
 * and the lanes take turns, so that a client waits for one handshake of every other source at
 * most.  Lanes are chosen by a keyed hash: who shares one with a flood is chance, and another
 * worker, or the next start, has other lanes.
 *
 * The same holds for room: when all sessions are in use, the lane with the most unfinished
 * handshakes gives one up for a source that has fewer.
 */
#include "server/gate_internal.h"

void bs__lane_join(struct bs_session *s, uint64_t source)
{
	struct bs_gate_lane *l = &s->gate->lane[source % BS_GATE_LANES];

	s->lane = l;
	s->older = l->newest;
	s->newer = NULL;
	if (l->newest)
		l->newest->newer = s;
	l->newest = s;
	l->n++;
}

/** The next lane's turn; one that is still waiting comes behind all others. */
static void rotate(struct bs_gate *g)
{
	struct bs_gate_lane *l = g->lane_first;

	g->lane_first = l->next;
	if (!g->lane_first)
		g->lane_last = NULL;
	l->next = NULL;
	l->waits = false;
}

static void line_up(struct bs_gate *g, struct bs_gate_lane *l)
{
	l->waits = true;
	l->next = NULL;
	if (g->lane_last)
		g->lane_last->next = l;
	else
		g->lane_first = l;
	g->lane_last = l;
}

void bs__lane_push(struct bs_session *s)
{
	struct bs_gate_lane *l = s->lane;

	s->next_ready = NULL;
	s->prev_ready = l->last;
	if (l->last)
		l->last->next_ready = s;
	else
		l->first = s;
	l->last = s;
	s->queued = true;
	if (!l->waits)
		line_up(s->gate, l);
}

void bs__lane_drop(struct bs_session *s)
{
	struct bs_gate_lane *l = s->lane;

	if (s->prev_ready)
		s->prev_ready->next_ready = s->next_ready;
	else
		l->first = s->next_ready;
	if (s->next_ready)
		s->next_ready->prev_ready = s->prev_ready;
	else
		l->last = s->prev_ready;
	s->next_ready = s->prev_ready = NULL;
	s->queued = false;
}

struct bs_session *bs__lane_pop(struct bs_gate *g)
{
	while (g->lane_first) {
		struct bs_gate_lane *l = g->lane_first;
		struct bs_session *s = l->first;

		rotate(g);
		/* Empty when its sessions ended while they waited. */
		if (!s)
			continue;
		bs__lane_drop(s);
		if (l->first)
			line_up(g, l);
		return s;
	}
	return NULL;
}

void bs__lane_leave(struct bs_session *s)
{
	struct bs_gate_lane *l = s->lane;

	if (!l)
		return;
	if (s->queued)
		bs__lane_drop(s);
	if (s->older)
		s->older->newer = s->newer;
	if (s->newer)
		s->newer->older = s->older;
	else
		l->newest = s->older;
	l->n--;
	s->lane = NULL;
	s->older = s->newer = NULL;
}

bool bs__lane_make_room(struct bs_gate *g, uint64_t source)
{
	const struct bs_gate_lane *own = &g->lane[source % BS_GATE_LANES];
	struct bs_gate_lane *most = &g->lane[0];

	for (size_t i = 1; i < BS_GATE_LANES; i++)
		if (g->lane[i].n > most->n)
			most = &g->lane[i];
	/* Between equals nobody gives way, or two sources would push each other out for ever. */
	if (most->n < own->n + 2)
		return false;
	bs_count(g->w->counters, BS_C_gate_displaced);
	/* Not the oldest: it has waited longest and is the next to be served. */
	bs__session_end(most->newest);
	return true;
}
