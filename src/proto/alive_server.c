/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/alive_server.h"

#include <string.h>

static const char eom[] = "EOM\n";

static bool is_due(uint32_t at_ms, uint32_t now_ms)
{
	return (int32_t)(now_ms - at_ms) >= 0;
}

static uint32_t earlier(uint32_t a_ms, uint32_t b_ms)
{
	return (int32_t)(a_ms - b_ms) < 0 ? a_ms : b_ms;
}

/* Never later than the interval: the device's patience is counted from there. */
static uint32_t interval(const struct bs_alive_pace *pace, uint16_t jitter)
{
	return pace->interval_ms - (uint32_t)(((uint64_t)pace->interval_ms * jitter) >> 19);
}

static void set_due(struct bs_alive_server *s, const struct bs_alive_pace *pace, uint32_t at_ms)
{
	uint32_t mark = s->unreachable ? pace->timeout_ms : pace->unreachable_ms;

	s->due_ms = earlier(at_ms, s->seen_ms + mark);
}

static uint16_t not_zero(uint16_t seq)
{
	/* 0 is the number of polls. */
	return seq ? seq : 1;
}

void bs_alive_start(struct bs_alive_server *s, uint16_t seq, uint32_t now_ms)
{
	memset(s, 0, sizeof(*s));
	s->seq = not_zero(seq);
	s->seen_ms = now_ms;
	s->sent_ms = now_ms;
	s->due_ms = now_ms;
}

enum bs_alive_action bs_alive_timeout(struct bs_alive_server *s, const struct bs_alive_pace *pace,
				      uint16_t next_seq, uint16_t jitter, uint32_t now_ms)
{
	bool again = s->tries > 0;

	if (is_due(s->seen_ms + pace->timeout_ms, now_ms))
		return BS_ALIVE_DEAD;
	if (!s->unreachable && is_due(s->seen_ms + pace->unreachable_ms, now_ms)) {
		s->unreachable = true;
		/* The request under way goes on; due_ms may already be past. */
		set_due(s, pace,
			s->sent_ms +
				(s->tries <= pace->retries ? pace->retry_ms : pace->interval_ms));
		return BS_ALIVE_UNREACHABLE;
	}
	if (!is_due(s->due_ms, now_ms))
		return BS_ALIVE_WAIT;
	if (!again)
		s->seq = not_zero(next_seq == s->seq ? (uint16_t)(next_seq + 1) : next_seq);
	/* After a round of repetitions the same request starts a new round at the usual pace. */
	if (s->tries > pace->retries)
		s->tries = 0;
	s->tries++;
	s->sent_ms = now_ms;
	set_due(s, pace,
		now_ms + (s->tries <= pace->retries ? pace->retry_ms : interval(pace, jitter)));
	return again ? BS_ALIVE_SEND_AGAIN : BS_ALIVE_SEND;
}

enum bs_alive_verdict bs_alive_input(struct bs_alive_server *s, const struct bs_alive_pace *pace,
				     uint16_t seq, uint16_t jitter, uint32_t now_ms)
{
	if (seq == 0) {
		s->seen_ms = now_ms;
		s->unreachable = false;
		return BS_ALIVE_POLL;
	}
	if (seq != s->seq || s->tries == 0)
		return BS_ALIVE_LATE;
	s->tries = 0;
	s->seen_ms = now_ms;
	s->unreachable = false;
	set_due(s, pace, s->sent_ms + interval(pace, jitter));
	return BS_ALIVE_ANSWER;
}

void bs_alive_poll(struct bs_alive_server *s, const struct bs_alive_pace *pace, uint16_t next_seq,
		   uint32_t now_ms)
{
	if (s->tries == 0)
		s->seq = not_zero(next_seq == s->seq ? (uint16_t)(next_seq + 1) : next_seq);
	s->tries = 1;
	s->sent_ms = now_ms;
	set_due(s, pace, now_ms + pace->retry_ms);
}

bool bs_alive_event_next(struct bs_slice events, size_t *off, struct bs_slice *record)
{
	const size_t eom_len = sizeof(eom) - 1;
	size_t start = *off;
	size_t i;

	if (start >= events.len)
		return false;
	record->ptr = events.ptr + start;
	for (i = start; i + eom_len <= events.len; i++) {
		bool line_start = i == start || events.ptr[i - 1] == '\n';

		if (line_start && memcmp(events.ptr + i, eom, eom_len) == 0) {
			record->len = i - start;
			*off = i + eom_len;
			return true;
		}
	}
	record->len = events.len - start;
	*off = events.len;
	return true;
}
