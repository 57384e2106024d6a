/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of streams.  Each stream has its own; the connection keeps only a time before which none
 * is due, and looks at all of them when it comes.  Deadlines mostly move away, so that is rare. */
#include "proto/stream_impl.h"

static void lower(struct bs_streams *ss, bs_time at)
{
	if (ss->timer_on && BS_TIME_DIFF(at, ss->timer) >= 0)
		return;
	ss->timer = at;
	ss->timer_on = true;
}

void bs__stream_set_timer(struct bs_stream *s, bs_time at)
{
	s->timer = at;
	s->timer_on = true;
	lower(s->ss, at);
}

void bs__stream_set_ack(struct bs_stream *s, bs_time at)
{
	s->ack_at = at;
	s->ack_on = true;
	lower(s->ss, at);
}

void bs__stream_set_pause(struct bs_stream *s, bs_time at)
{
	s->pause = at;
	s->pause_on = true;
	lower(s->ss, at);
}

static bool is_due(bool on, bs_time at, bs_time now)
{
	return on && BS_TIME_DIFF(now, at) >= 0;
}

void bs__stream_heard(struct bs_stream *s, bs_time now)
{
	s->quiet_ms = BS__STREAM_QUIET_MS;
	s->quiet = now + BS_TIME_MS(s->quiet_ms);
	lower(s->ss, s->quiet);
}

/* An RST is sent once, and may be lost: whoever waits for data asks now and then.  A peer that
 * still knows the stream says nothing. */
static void ask(struct bs_stream *s, bs_time now)
{
	if (s->state != BS_STREAM_OPEN || BS_TIME_DIFF(now, s->quiet) < 0)
		return;
	s->rx.ack_now = true;
	bs__stream_queue(s, BS__LIST_CONTROL);
	if (s->quiet_ms < BS__STREAM_QUIET_MOST_MS)
		s->quiet_ms *= 2;
	s->quiet = now + BS_TIME_MS(s->quiet_ms);
}

/* SYN or SYN|ACK without an answer. */
static void repeat_open(struct bs_stream *s, bs_time now)
{
	if (s->tx.tries > s->retrans) {
		bs__stream_end(s, BS_ETIMEDOUT, now);
		return;
	}
	s->send_open = true;
	bs__stream_queue(s, BS__LIST_CONTROL);
	if (bs__is_initiator(s))
		bs_stream_rtt_backoff(&s->rtt);
}

static void repeat_fin(struct bs_stream *s, bs_time now)
{
	if (s->tx.tries > s->retrans) {
		/* A responder is done with it.  An initiator may still be reading: devices of
		 * others do not acknowledge a FIN while they have unread data. */
		s->tx.fin = BS_STREAM_FIN_DONE;
		if (!bs__is_initiator(s))
			bs__stream_end(s, BS_OK, now);
		else
			bs__stream_settle(s, now);
		return;
	}
	s->send_fin = true;
	bs__stream_queue(s, BS__LIST_CONTROL);
	bs_stream_rtt_backoff(&s->rtt);
}

static void open_timeout(struct bs_stream *s, bs_time now)
{
	if (s->released && BS_TIME_DIFF(now, s->quit) >= 0) {
		bs__stream_fail(s, BS_ETIMEDOUT, now);
		return;
	}
	if (s->tx.flight.first || s->tx.fin != BS_STREAM_FIN_SENT)
		bs__tx_timeout(s, now);
	else
		repeat_fin(s, now);
}

static void main_timer(struct bs_stream *s, bs_time now)
{
	s->timer_on = false;
	switch (s->state) {
	case BS_STREAM_SYN_SENT:
	case BS_STREAM_SYN_RCVD: repeat_open(s, now); break;
	case BS_STREAM_OPEN: open_timeout(s, now); break;
	case BS_STREAM_LINGER:
		s->gone = true;
		s->ss->n_gone++;
		break;
	default: break;
	}
}

static void run(struct bs_stream *s, bs_time now)
{
	if (is_due(s->pause_on, s->pause, now)) {
		s->pause_on = false;
		bs__stream_queue(s, BS__LIST_DATA);
	}
	bs__rx_timeout(s, now);
	ask(s, now);
	if (is_due(s->timer_on, s->timer, now) && !s->gone)
		main_timer(s, now);
}

static void collect(struct bs_streams *ss)
{
	struct bs_stream *s;

	ss->timer_on = false;
	for (s = ss->all; s; s = s->all_next) {
		if (s->timer_on)
			lower(ss, s->timer);
		if (s->ack_on)
			lower(ss, s->ack_at);
		if (s->pause_on)
			lower(ss, s->pause);
		if (s->state == BS_STREAM_OPEN)
			lower(ss, s->quiet);
	}
}

void bs_streams_timeout(struct bs_streams *ss, bs_time now)
{
	struct bs_stream *s;
	struct bs_stream *next;

	if (is_due(ss->pace_on, ss->pace_at, now))
		ss->pace_on = false;
	if (!is_due(ss->timer_on, ss->timer, now))
		return;
	for (s = ss->all; s; s = next) {
		next = s->all_next;
		run(s, now);
	}
	bs__streams_sweep(ss);
	collect(ss);
}

bool bs_streams_next_timeout(const struct bs_streams *ss, bs_time *at)
{
	if (ss->pace_on && (!ss->timer_on || BS_TIME_DIFF(ss->pace_at, ss->timer) < 0)) {
		*at = ss->pace_at;
		return true;
	}
	if (ss->timer_on)
		*at = ss->timer;
	return ss->timer_on;
}
