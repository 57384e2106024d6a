/* SPDX-License-Identifier: Apache-2.0 */
/* Sending everybody away, and how far that is. */
#include <inttypes.h>
#include <string.h>

#include "log/log.h"
#include "server/control_job.h"
#include "server/counters.h"

/* Between two lines of progress. */
#define LOOK_S 1.0
/* Where neither rate nor deadline is given. */
#define DEADLINE_S 60u
/* Clients and relays need some time even where few devices are left. */
#define SPAN_MIN_S 2u
/* More than a day is a mistake. */
#define SPAN_MAX_S 86400u

struct left {
	uint64_t devices;
	uint64_t sessions;
	uint64_t relays;
};

static struct left look(const struct bs_control *c)
{
	uint64_t v[BS_COUNTER_N];

	bs_server_counters(c->env.server, v);
	return (struct left){ .devices = v[BS_C_devices_attached],
			      .sessions = v[BS_C_gate_sessions],
			      .relays = v[BS_C_gateway_joined] - v[BS_C_gateway_closed] };
}

static json_t *left_json(const struct left *l)
{
	return json_pack("{s:I,s:I,s:I}", "devices", (json_int_t)l->devices, "sessions",
			 (json_int_t)l->sessions, "relays", (json_int_t)l->relays);
}

void bs__control_drain_end(struct bs_control *c)
{
	if (c->drain_job)
		ev_timer_stop(c->env.loop, &c->drain);
	c->drain_job = NULL;
}

static void on_look(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct bs_control *c = t->data;
	struct bs_control_job *j = c->drain_job;
	struct left l = look(c);

	(void)loop;
	(void)revents;
	/* Whoever asked may have left: the drain goes on without. */
	if (j->client && l.devices + l.sessions + l.relays > 0) {
		bs__control_item(j, left_json(&l));
		return;
	}
	bs__control_drain_end(c);
	bs__control_finish(j, left_json(&l), NULL);
}

static void cancel(struct bs_control_job *j)
{
	struct bs_control *c = j->control;
	struct bs_control_job *other = c->drain_job;
	struct left l = look(c);

	bs_server_drain(c->env.server, false, 0, 0);
	bs_log_notice("drain, ended: devices and clients are let in again");
	bs__control_drain_end(c);
	if (other)
		bs__control_fail(other, BS_CTL_FAILED, NULL, NULL, "the drain was cancelled");
	bs__control_finish(j, left_json(&l), NULL);
}

/* By when all is over: as given, as the rate needs it, or a minute. */
static uint64_t span_s(const struct bs_control_job *j, uint64_t rate, uint64_t devices)
{
	uint64_t s = bs__control_uint(j, "deadline", 0);

	if (s == 0)
		s = rate ? devices / rate + 1 : DEADLINE_S;
	if (s < SPAN_MIN_S)
		s = SPAN_MIN_S;
	return s < SPAN_MAX_S ? s : SPAN_MAX_S;
}

static void begin(struct bs_control_job *j, const struct left *l)
{
	struct bs_control *c = j->control;
	uint64_t rate = bs__control_uint(j, "rate", 0);
	uint64_t s = span_s(j, rate, l->devices);

	bs_log_notice("drain, %" PRIu64 " devices and %" PRIu64 " client sessions are sent away "
		      "within %" PRIu64 " s",
		      l->devices, l->sessions, s);
	bs_server_drain(c->env.server, true, rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX,
			(uint32_t)(s * 1000));
	c->drain_job = j;
	ev_timer_init(&c->drain, on_look, LOOK_S, LOOK_S);
	c->drain.data = c;
	ev_timer_start(c->env.loop, &c->drain);
}

static void run_drain(struct bs_control_job *j)
{
	struct left l = look(j->control);

	if (j->dry_run)
		bs__control_finish(j, left_json(&l), NULL);
	else if (bs__control_flag(j, "cancel"))
		cancel(j);
	else if (j->control->drain_job)
		bs__control_fail(j, BS_CTL_BUSY, NULL, "wait for it or use drain --cancel",
				 "a drain is under way");
	else
		begin(j, &l);
}

const struct bs_control_row bs__control_drain[] = {
	{ "drain", run_drain },
	{ NULL, NULL },
};
