/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/spray.h"

#include <string.h>

#include "util/endpoint.h"

enum {
	/* The first guesses lie around the known port: many NATs count up. */
	NEAR = 100,
	PORT_MIN = 1024,
	/* The rest is a walk over a quarter of all ports, 16,384 steps long. */
	WALK_START = 4567,
	WALK_FACTOR = 13,
	/* Pace of guessing. */
	PORTS_PER_TICK = 10,
	PORTS_GAP_MS = 50,
	PORTS_TICKS = 100,
	/* Sprays that the walk is good for. */
	ROUNDS = 16,
};

static uint16_t walk(uint16_t x)
{
	return (uint16_t)(x * (uint32_t)WALK_FACTOR);
}

void bs_port_guess_start(struct bs_port_guess *g, uint16_t base, uint8_t round)
{
	uint32_t skip = (uint32_t)(round % ROUNDS) * PORTS_PER_TICK * PORTS_TICKS;

	g->base = base;
	g->n = round ? NEAR : 0;
	g->sent = 0;
	for (g->x = WALK_START; skip; skip--)
		g->x = walk(g->x);
}

uint16_t bs_port_guess_next(struct bs_port_guess *g)
{
	uint32_t port;
	uint16_t step;

	do {
		if (g->n < NEAR) {
			step = (uint16_t)(g->n / 2 + 1);
			port = g->n % 2 ? (uint32_t)g->base - step : (uint32_t)g->base + step;
			g->n++;
		} else {
			g->x = walk(g->x);
			port = g->x;
		}
		/* A base near either end leads out of the range: above it, or below by a wrap. */
	} while (port < PORT_MIN || port > UINT16_MAX);
	g->sent++;
	return (uint16_t)port;
}

static void start(struct bs_spray *s, const struct bs_endpoint *to, bs_time now)
{
	memset(s, 0, sizeof(*s));
	s->to = *to;
	s->due = now;
}

void bs_spray_ports(struct bs_spray *s, const struct bs_endpoint *to, uint8_t round, bs_time now)
{
	start(s, to, now);
	if (!bs_endpoint_is_set(to))
		return;
	bs_port_guess_start(&s->guess, to->port, round);
	s->ticks = PORTS_TICKS;
	s->per_tick = PORTS_PER_TICK;
	s->gap_ms = PORTS_GAP_MS;
}

void bs_spray_sockets(struct bs_spray *s, const struct bs_endpoint *to, uint16_t n,
		      uint16_t per_tick, uint16_t gap_ms, bs_time now)
{
	start(s, to, now);
	if (!bs_endpoint_is_set(to) || n == 0 || per_tick == 0)
		return;
	s->last_via = n < BS_SPRAY_SOCKETS ? n : BS_SPRAY_SOCKETS;
	s->per_tick = per_tick;
	s->gap_ms = gap_ms;
	s->ticks = (uint16_t)((s->last_via + per_tick - 1) / per_tick);
	/* The main socket has just spoken. */
	s->due = now + BS_TIME_MS(gap_ms);
}

void bs_spray_stop(struct bs_spray *s)
{
	s->ticks = 0;
	s->waits = 0;
}

void bs_spray_timeout(struct bs_spray *s, bs_time now)
{
	if (s->ticks == 0 || BS_TIME_DIFF(now, s->due) < 0)
		return;
	s->ticks--;
	s->waits = s->per_tick;
	s->due += BS_TIME_MS(s->gap_ms);
	/* After a pause of the caller go on at the pace, not in one burst. */
	if (BS_TIME_DIFF(now, s->due) > 0)
		s->due = now + BS_TIME_MS(s->gap_ms);
}

bool bs_spray_next(struct bs_spray *s, struct bs_endpoint *to)
{
	if (s->waits == 0 || (s->last_via && s->via == s->last_via))
		return false;
	s->waits--;
	*to = s->to;
	if (s->last_via)
		bs_endpoint_set_via(to, ++s->via);
	else
		to->port = bs_port_guess_next(&s->guess);
	return true;
}

bool bs_spray_next_timeout(const struct bs_spray *s, bs_time *at)
{
	*at = s->due;
	return s->ticks > 0;
}
