/* SPDX-License-Identifier: Apache-2.0 */
/* The server when it changes hands: workers that stand still, what moves, and what leaves. */
#include <poll.h>
#include <string.h>

#include "log/log.h"
#include "server/gateway.h"
#include "server/handover.h"
#include "server/server_internal.h"
#include "server/state.h"

/* Rounds of questions after which mail that still moves is not going to settle. */
#define SETTLE_ROUNDS 64
/* The longest wait for one round: a worker answers within a turn of its loop. */
#define ROUND_MS 5000

static void broadcast(struct bs_server *s, uint8_t kind)
{
	struct bs_message m;
	unsigned i;

	memset(&m, 0, sizeof(m));
	m.kind = kind;
	for (i = 0; i < s->n_workers; i++)
		bs__server_post(s, i, &m);
}

static void round_done(void *arg, int err)
{
	*(int *)arg = err;
}

/* Ask all workers for a sign and wait for it. */
static int round_trip(struct bs_server *s)
{
	struct pollfd p = { .fd = bs_server_fd(s), .events = POLLIN };
	int result = 1;
	int rc = bs__server_sync(s, round_done, &result);

	while (rc == BS_OK && result == 1) {
		if (poll(&p, 1, ROUND_MS) == 0) {
			/* the answers that come later find nobody */
			bs__server_questions_end(s, BS_ETIMEDOUT);
			return BS_ETIMEDOUT;
		}
		bs_server_process(s);
	}
	return rc == BS_OK ? result : rc;
}

/* Messages and datagrams that workers ever passed to each other. */
static uint64_t mail_total(const struct bs_server *s)
{
	uint64_t c[BS_COUNTER_N];

	bs_server_counters(s, c);
	return c[BS_C_message_out] + c[BS_C_udp_steered_away];
}

int bs_server_freeze(struct bs_server *s)
{
	unsigned n;
	int rc;

	broadcast(s, BS_MSG_FREEZE);
	rc = round_trip(s);
	for (n = 0; rc == BS_OK && n < SETTLE_ROUNDS; n++) {
		uint64_t before = mail_total(s);

		rc = round_trip(s);
		/* each worker's answer to us is a message too */
		if (rc == BS_OK && mail_total(s) - before <= s->n_workers)
			return BS_OK;
	}
	bs_log_error("server, workers did not come to rest (%s)", bs_strerror(rc));
	return BS_ETIMEDOUT;
}

void bs_server_commit(struct bs_server *s)
{
	/* a failure is logged and costs the next restart its devices, not this one */
	if (bs_state_is_held(s->shared.state))
		(void)!bs_state_settle(s->shared.state);
}

void bs_server_thaw(struct bs_server *s)
{
	broadcast(s, BS_MSG_THAW);
}

void bs_server_drain(struct bs_server *s, bool on, uint32_t rate, uint32_t span_ms)
{
	struct bs_message m;
	unsigned i;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_DRAIN;
	m.u.drain.on = on;
	m.u.drain.rate = (rate + s->n_workers - 1) / s->n_workers;
	m.u.drain.span_ms = span_ms;
	s->draining = on;
	for (i = 0; i < s->n_workers; i++)
		bs__server_post(s, i, &m);
}

void bs_server_retire(struct bs_server *s)
{
	broadcast(s, BS_MSG_RETIRE);
}

unsigned bs_server_streams(const struct bs_server *s)
{
	uint64_t c[BS_COUNTER_N];

	bs_server_counters(s, c);
	return (unsigned)(c[BS_C_gate_sessions] + c[BS_C_gateway_joined] - c[BS_C_gateway_closed]);
}

int bs_server_collect(const struct bs_server *s, struct bs_handover *h)
{
	struct bs_handover_item it = { .what = BS_HANDOVER_WORKERS, .fd = -1 };
	int rc;
	unsigned i;
	unsigned k;

	it.role = (uint8_t)s->n_workers;
	rc = bs_handover_add(h, &it);
	for (i = 0; i < s->n_workers && rc == BS_OK; i++) {
		for (k = 0; k < s->worker[i].n_sockets && rc == BS_OK; k++) {
			const struct bs_worker_socket *ws = &s->worker[i].socket[k];

			it = (struct bs_handover_item){ .what = BS_HANDOVER_UDP,
							.role = ws->roles,
							.worker = (uint16_t)i,
							.index = (uint16_t)k,
							.fd = ws->fd,
							.ep = ws->ep };
			rc = bs_handover_add(h, &it);
		}
	}
	it = (struct bs_handover_item){ .what = BS_HANDOVER_STATE,
					.fd = bs_state_fd(s->shared.state) };
	if (rc == BS_OK && it.fd > 0)
		rc = bs_handover_add(h, &it);
	if (rc == BS_OK && s->shared.gate_ops)
		rc = s->shared.gate_ops->collect(s->shared.gate_shared, h);
	if (rc == BS_OK && s->shared.gateway_shared)
		rc = bs_gateway_collect(s->shared.gateway_shared, h);
	return rc;
}
