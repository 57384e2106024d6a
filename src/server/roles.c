/* SPDX-License-Identifier: Apache-2.0 */
#include "server/roles.h"

#include <stdlib.h>
#include <string.h>

#include "net/udp.h"
#include "server/relay.h"
#include "server/role_auth.h"
#include "server/worker_loop.h"
#include "util/endpoint.h"

enum {
	ASKS_MAX = 4096,
	CLOSINGS_MAX = 1024,
	MOVES_MAX = 4096,
	EP6_SHARE = 8, /* of the devices, at most one in so many has IPv6 candidates of its own */
	PROBES_EXTRA = 4096,
	MS_PER_S = 1000,
	GRACE_MS = 1000, /* a round trip of a slow line, and crypto on a slow device */
	FILL_PERCENT = 90,
	NSI_OFF = 4,  /* of a packet's NSI.sp */
	TYPE_OFF = 8, /* and its type */
	EXPECT_MAX = BS_UDP_BATCH,
	TIMERS_PER_TURN = BS_UDP_BATCH,
	TIMERS_LATE = 4096,
	LATE_TICKS = 5,
};

static const char *const fill_name[BS_FILL_N] = {
	[BS_FILL_SLAB] = "device records (max-devices)",
	[BS_FILL_NSI] = "session numbers (max-devices, max-connections)",
	[BS_FILL_IDS] = "ids (max-devices)",
	[BS_FILL_PENDING] = "pending attaches (pending-entries)",
	[BS_FILL_CONNS] = "connections (max-connections)",
	[BS_FILL_ASKS] = "connect requests under way",
	[BS_FILL_WATCH] = "watched ids",
	[BS_FILL_LOCALS] = "local addresses",
};

/* A worker's share of a limit of the whole server.  The kernel spreads by hash, so a share needs
 * some room above the mean. */
static uint32_t share(uint32_t all, unsigned n)
{
	uint64_t s = n == 1 ? all : (uint64_t)all / n + all / (4 * n) + 64;

	return s < all ? (uint32_t)s : all;
}

static uint32_t rate_share(uint32_t all, unsigned n)
{
	return (all + n - 1) / n;
}

static uint32_t span_ms(bs_time span)
{
	return (uint32_t)(span / BS_TIME_PER_MS);
}

/* Whole seconds, rounded up: a device must never be promised less than it gets. */
static uint16_t span_s(bs_time span)
{
	return (uint16_t)((span + MS_PER_S * BS_TIME_PER_MS - 1) / (MS_PER_S * BS_TIME_PER_MS));
}

void bs__roles_conf(struct bs_roles *r)
{
	const struct bs_conf *c = r->w->conf;
	unsigned n = r->w->n_workers;
	const struct bs_admission_rates rates = {
		.known = rate_share(c->attach_rate_known, n),
		.address = rate_share(c->attach_rate_unknown, n),
		.prefix = rate_share(c->attach_rate_prefix, n),
		.strangers = rate_share(c->attach_rate_strangers, n),
		/* One device always reaches one worker, so this one is not shared out. */
		.id = c->attach_rate_id,
		.id_burst = c->attach_burst_id,
	};

	bs_pace_set(&r->pace_in, c->attach_pace ? rate_share(c->attach_pace, n) : 0);
	r->pace.interval_ms = span_ms(c->alive_interval);
	r->pace.retry_ms = span_ms(c->alive_retry);
	r->pace.retries = c->alive_retries;
	r->pace.unreachable_ms = span_ms(c->alive_unreachable);
	r->pace.timeout_ms = span_ms(c->alive_timeout);
	r->limits.min_s = span_s(c->alive_min);
	r->limits.max_s = span_s(c->alive_max);
	r->busy_s = span_s(c->alive_interval);
	bs_pending_set_limits(&r->pending, c->pending_per_id, c->pending_per_prefix,
			      span_ms(c->pending_lifetime));
	bs_pending_set_grace(&r->pending, GRACE_MS);
	bs_admission_set(&r->admission, &rates);
	bs__relay_conf(r);
}

void bs__state_specs(const struct bs_conf *conf, unsigned n_workers,
		     struct bs_state_spec spec[BS_STATE_N])
{
	uint32_t devices = share(conf->max_devices, n_workers);

	spec[BS_STATE_HOT] = (struct bs_state_spec){ sizeof(struct bs_device_hot), devices };
	spec[BS_STATE_COLD] = (struct bs_state_spec){ sizeof(struct bs_device_cold), devices };
	spec[BS_STATE_EP6] =
		(struct bs_state_spec){ sizeof(struct bs_device_ep6), devices / EP6_SHARE + 64 };
	spec[BS_STATE_TEXT] = (struct bs_state_spec){ BS_INTERN_TEXT_MAX, BS_INTERN_MAX };
	spec[BS_STATE_LOCAL] = (struct bs_state_spec){ sizeof(struct bs_local), BS_LOCALS_MAX };
	spec[BS_STATE_AUTH] = (struct bs_state_spec){ sizeof(struct bs_device_auth), devices };
	spec[BS_STATE_SPENT] = (struct bs_state_spec){ sizeof(struct bs_spent_nsi), BS_SPENT_NSI };
	spec[BS_STATE_NETS] = (struct bs_state_spec){ sizeof(struct bs_nets), 1 };
	spec[BS_STATE_SKETCH] = (struct bs_state_spec){ sizeof(struct bs_sketch), 1 };
}

/* Everything that outlives the process. */
static int init_state(struct bs_roles *r)
{
	int err;

	r->local = bs_state_records(r->shard, BS_STATE_LOCAL);
	r->n_locals = bs_state_used(r->shard, BS_STATE_LOCAL);
	r->sketch = bs_state_records(r->shard, BS_STATE_SKETCH);
	bs_slab_init(&r->slab, r->shard);
	bs_pool_init_in(&r->ep6, r->shard, BS_STATE_EP6, sizeof(struct bs_device_ep6),
			offsetof(struct bs_device_ep6, next));
	r->spent = bs_state_records(r->shard, BS_STATE_SPENT);
	err = bs_state_use(r->shard, BS_STATE_SPENT, BS_SPENT_NSI);
	if (!err)
		err = bs_state_use(r->shard, BS_STATE_SKETCH, 1);
	return err ? err : bs_intern_init(&r->texts, r->shard, r->hash_key);
}

static int init_tables(struct bs_roles *r)
{
	const struct bs_conf *c = r->w->conf;
	unsigned n = r->w->n_workers;
	uint32_t devices = share(c->max_devices, n);
	uint32_t conns = share(c->max_connections, n);
	uint32_t clients = share(c->max_clients, n);
	int err = init_state(r);

	if (!err)
		err = bs_nsi_table_init(&r->nsi, devices + conns + clients + c->pending_entries +
							 PROBES_EXTRA);
	if (!err)
		err = bs__auth_init(r);
	if (!err)
		err = bs_ids_init(&r->ids, devices);
	if (!err)
		err = bs_watch_init(&r->watch, devices + clients);
	if (!err)
		err = bs_pending_init(&r->pending, c->pending_entries, r->hash_key,
				      bs__pending_gone, r);
	if (!err)
		err = bs_pool_init(&r->conns, conns, sizeof(struct bs_conn_record),
				   offsetof(struct bs_conn_record, next));
	if (!err)
		err = bs_pool_init(&r->asks, ASKS_MAX, sizeof(struct bs_ask),
				   offsetof(struct bs_ask, next));
	if (!err)
		err = bs_pool_init(&r->closings, CLOSINGS_MAX, sizeof(struct bs_closing),
				   offsetof(struct bs_closing, next));
	if (!err)
		err = bs_pool_init(&r->moves, MOVES_MAX, sizeof(struct bs_move),
				   offsetof(struct bs_move, next));
	return err;
}

static int init_limits(struct bs_roles *r)
{
	int err = BS_OK;

	r->events = calloc(BS_RING_EVENTS, sizeof(*r->events));
	if (!err && !r->events)
		err = BS_ENOMEM;
	if (!err)
		err = bs_admission_init(&r->admission, r->sketch, r->hash_key);
	if (!err)
		err = bs_attempts_init(&r->attempts);
	return err;
}

int bs_roles_new(struct bs_worker *w, struct bs_roles **out)
{
	struct bs_roles *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return BS_ENOMEM;
	r->w = w;
	r->shard = w->state;
	r->start = w->state_base;
	bs__roles_clock(r);
	r->closing_list = BS_POOL_NONE;
	r->seen_next = w->now + w->conf->last_seen_interval;
	memcpy(r->hash_key, w->state_key, sizeof(r->hash_key));
	err = bs_registry_server_secret(w->registry, "attach", r->secret);
	if (!err)
		err = bs__cookie_init(r);
	if (!err)
		err = init_tables(r);
	if (!err)
		err = init_limits(r);
	if (!err)
		err = bs__relay_init(r);
	if (err) {
		bs_roles_free(r);
		return err;
	}
	bs_wheel_init(&r->device_wheel, &r->slab.hot->timer, sizeof(*r->slab.hot), r->tick);
	bs_wheel_init(&r->conn_wheel, r->conns.records + offsetof(struct bs_conn_record, timer),
		      r->conns.len, r->tick);
	bs_wheel_init(&r->closing_wheel, r->closings.records + offsetof(struct bs_closing, timer),
		      r->closings.len, r->tick);
	bs_wheel_init(&r->move_wheel, r->moves.records + offsetof(struct bs_move, timer),
		      r->moves.len, r->tick);
	bs_pace_init(&r->pace_in, 0, r->now_ms);
	bs__roles_conf(r);
	*out = r;
	return BS_OK;
}

void bs_roles_free(struct bs_roles *r)
{
	if (!r)
		return;
	bs__relay_fini(r);
	bs_nsi_table_fini(&r->nsi);
	bs_ids_fini(&r->ids);
	bs_watch_fini(&r->watch);
	bs_pending_fini(&r->pending);
	bs_intern_fini(&r->texts);
	bs_pool_fini(&r->conns);
	bs_pool_fini(&r->asks);
	bs_pool_fini(&r->closings);
	bs_pool_fini(&r->moves);
	bs_pool_fini(&r->ep6);
	bs_admission_fini(&r->admission);
	free(r->events);
	bs_attempts_fini(&r->attempts);
	bs_wipe(r, sizeof(*r));
	free(r);
}

size_t bs_roles_device_bytes(void)
{
	const size_t record = sizeof(struct bs_device_hot) + sizeof(struct bs_device_cold);

	/* Tables of entries are four fifths full at their limit. */
	return record + sizeof(struct bs_number) * 5 / 4 + sizeof(struct bs_id_entry) * 5 / 4;
}

void bs__roles_clock(struct bs_roles *r)
{
	uint64_t up_ms = (r->w->now - r->start) / BS_TIME_PER_MS;

	r->tick = (uint32_t)(up_ms / BS_TICK_MS);
	r->now_ms = (uint32_t)(up_ms - up_ms % BS_TICK_MS);
	r->now_s = (uint32_t)(up_ms / MS_PER_S);
	bs_state_beat(r->shard, r->w->now - r->start);
}

void bs__roles_stood(struct bs_roles *r, bs_time passed)
{
	r->start += passed;
	bs__roles_clock(r);
}

uint32_t bs__tick_of_ms(const struct bs_roles *r, uint32_t due_ms)
{
	int32_t ahead = (int32_t)(due_ms - r->now_ms);

	return r->tick + (ahead <= 0 ? 1 : ((uint32_t)ahead + BS_TICK_MS - 1) / BS_TICK_MS);
}

uint32_t bs__tick_of(const struct bs_roles *r, bs_time due)
{
	uint64_t up_ms = BS_TIME_DIFF(due, r->start) <= 0
				 ? 0
				 : (due - r->start + BS_TIME_PER_MS - 1) / BS_TIME_PER_MS;
	uint32_t tick = (uint32_t)((up_ms + BS_TICK_MS - 1) / BS_TICK_MS);

	return (int32_t)(tick - r->tick) <= 0 ? r->tick + 1 : tick;
}

void bs__roles_tick(struct bs_roles *r)
{
	uint32_t i;

	bs_pending_expire(&r->pending, r->now_ms);
	bs_count_set(r->w->counters, BS_C_pending_entries, r->pending.n);
	bs_count_set(r->w->counters, BS_C_wheel_late_ms,
		     (uint64_t)(r->tick - r->device_wheel.tick) * BS_TICK_MS);
	while ((i = bs_wheel_next(&r->conn_wheel, r->tick)) != BS_WHEEL_NONE)
		bs__conn_due(r, i);
	while ((i = bs_wheel_next(&r->closing_wheel, r->tick)) != BS_WHEEL_NONE)
		bs__close_due(r, i);
	while ((i = bs_wheel_next(&r->move_wheel, r->tick)) != BS_WHEEL_NONE)
		bs__move_due(r, i);
	if (BS_TIME_DIFF(r->w->now, r->seen_next) >= 0)
		bs__seen_due(r);
	bs__relay_tick(r);
	if (r->drain.on)
		bs__drain_due(r);
	if (r->n_gone > 0)
		bs__gone_due(r);
	if (r->recheck_owed)
		bs__recheck_remind(r);
	if (r->recheck_running)
		bs__recheck_due(r);
}

/* A request leaves the caches, and its answer comes back into them, so requests and answers in turn
 * cost less than all requests of a tick and then all answers.  But where timers are late they go
 * before everything else, or a flood of datagrams would make devices lose their server. */
bool bs__roles_timers(struct bs_roles *r)
{
	bool late = r->tick - r->device_wheel.tick > LATE_TICKS;
	unsigned max = late ? TIMERS_LATE : TIMERS_PER_TURN;
	uint32_t i;

	for (; max > 0; max--) {
		i = bs_wheel_next(&r->device_wheel, r->tick);
		if (i == BS_WHEEL_NONE)
			return false;
		bs__alive_due(r, i);
	}
	return true;
}

void bs__drop(struct bs_roles *r, int err)
{
	bs_count(r->w->counters, bs_counter_of_drop(err));
}

static void input_by_type(struct bs_roles *r, struct bs_input *in)
{
	bool attach = r->w->socket[in->socket].roles & BS_SOCKET_ATTACH;

	switch (in->p.h.type) {
	case BS_TYPE_U_INVITE: bs__invite_input(r, in); return;
	case BS_TYPE_STATS: bs__stats_input(r, in); return;
	case BS_TYPE_PROBE:
		if (attach && bs__relay_bind(r, in))
			return;
		if (r->w->gate)
			r->w->gate_ops->probe(r->w->gate, &in->p, in->peer, in->socket, in->local);
		return;
	case BS_TYPE_TICKET:
		if (r->w->gate)
			r->w->gate_ops->ticket(r->w->gate, &in->p, in->peer, in->socket, in->local);
		return;
	default: break;
	}
	if (!attach) {
		bs__drop(r, BS_ETYPE);
		return;
	}
	switch (in->p.h.type) {
	case BS_TYPE_U_ALIVE: bs__alive_input(r, in); return;
	case BS_TYPE_U_ATTACH: bs__attach_input(r, in); return;
	case BS_TYPE_U_CONNECT: bs__connect_input(r, in); return;
	case BS_TYPE_U_PUSH: bs__push_input(r, in); return;
	case BS_TYPE_U_CLOSE: bs__close_input(r, in); return;
	default: bs__drop(r, BS_ETYPE); return;
	}
}

/* Each step needs what the one before has fetched, so all datagrams take one step together: the
 * misses of a batch overlap, where one by one each would be waited for. */
void bs__roles_expect(struct bs_roles *r, const struct bs_datagram *list, unsigned n)
{
	uint32_t device[EXPECT_MAX];
	unsigned n_devices = 0;
	unsigned i;

	for (i = 0; i < n; i++) {
		if (list[i].len >= BS_HEADER_MIN)
			bs_nsi_table_prefetch(&r->nsi, bs_get_u32(list[i].data + NSI_OFF));
	}
	for (i = 0; i < n && n_devices < EXPECT_MAX; i++) {
		uint32_t at;

		if (list[i].len < BS_HEADER_MIN ||
		    bs_nsi_table_get(&r->nsi, bs_get_u32(list[i].data + NSI_OFF), &at) !=
			    BS_NSI_DEVICE)
			continue;
		__builtin_prefetch(&r->slab.hot[at], 1);
		device[n_devices++] = at;
	}
	for (i = 0; i < n_devices; i++)
		bs_wheel_prefetch(&r->device_wheel, device[i]);
}

void bs__roles_datagram(struct bs_roles *r, uint8_t *data, size_t len,
			const struct bs_endpoint *peer, unsigned socket,
			const struct bs_endpoint *local)
{
	struct bs_input in = { .data = data, .peer = peer, .local = local, .socket = socket };
	int err;

	/* First, for it is the most there may be of: the relay looks at less of it than others. */
	if (len >= BS_HEADER_MIN && data[TYPE_OFF] == BS_TYPE_DATA &&
	    (r->w->socket[socket].roles & BS_SOCKET_ATTACH) && peer->port != 0) {
		bs__relay_data(r, data, len, peer);
		return;
	}
	err = bs_packet_decode(data, len, &in.p);
	if (!err && peer->port == 0)
		err = BS_ESOURCE;
	if (err)
		bs__drop(r, err);
	else
		input_by_type(r, &in);
}

uint32_t bs__random32(struct bs_roles *r)
{
	const struct bs_crypto *c = r->w->crypto;
	uint32_t v;

	if (r->random_left < sizeof(v)) {
		if (c->random(c->ctx, r->random, sizeof(r->random)) != BS_OK) {
			bs_count(r->w->counters, BS_C_crypto_failed);
			return 0;
		}
		r->random_left = sizeof(r->random);
	}
	r->random_left -= (unsigned)sizeof(v);
	memcpy(&v, r->random + r->random_left, sizeof(v));
	memset(r->random + r->random_left, 0, sizeof(v));
	return v;
}

uint32_t bs__nsi_take(struct bs_roles *r, enum bs_nsi_kind kind, uint32_t index)
{
	unsigned tries;

	for (tries = 0; tries < 16; tries++) {
		uint32_t random = bs__random32(r);
		/* 0 is also "no random numbers"; a guessable one is worse than none. */
		uint32_t nsi = random ? bs_nsi_make(random, r->w->index, r->w->n_workers) : 0;
		int err = nsi ? bs_nsi_table_put(&r->nsi, nsi, kind, index) : BS_EEXIST;

		if (!err) {
			bs__fill_check(r, BS_FILL_NSI, r->nsi.numbers.n, r->nsi.numbers.limit);
			return nsi;
		}
		if (err == BS_EFULL)
			break;
	}
	bs_count(r->w->counters, BS_C_nsi_exhausted);
	return 0;
}

unsigned bs__local_index(struct bs_roles *r, unsigned socket, const struct bs_endpoint *ep)
{
	unsigned place = BS_LOCALS_MAX;
	unsigned i;

	for (i = 0; i < r->n_locals; i++) {
		if (r->local[i].socket == socket && bs_endpoint_equal(&r->local[i].ep, ep))
			return i;
		if (r->local[i].ep.port == 0 && place == BS_LOCALS_MAX)
			place = i;
	}
	if (place == BS_LOCALS_MAX && i < BS_LOCALS_MAX &&
	    bs_state_use(r->shard, BS_STATE_LOCAL, i + 1) == BS_OK)
		place = r->n_locals++;
	if (place == BS_LOCALS_MAX) {
		bs_count(r->w->counters, BS_C_udp_locals_full);
		return place;
	}
	r->local[place].ep = *ep;
	r->local[place].socket = (uint8_t)socket;
	bs__fill_check(r, BS_FILL_LOCALS, r->n_locals, BS_LOCALS_MAX);
	return place;
}

void bs__fill_check(struct bs_roles *r, enum bs_fill_kind kind, uint32_t n, uint32_t cap)
{
	if (r->fill_told[kind] || (uint64_t)n * 100 < (uint64_t)cap * FILL_PERCENT)
		return;
	r->fill_told[kind] = true;
	bs_log_notice("server, %s nearly full (worker %u: %u of %u)", fill_name[kind], r->w->index,
		      n, cap);
}

void bs__step(struct bs_roles *r, uint64_t attempt, uint32_t number, uint8_t step, uint16_t status)
{
	struct bs_attempt_row *row =
		bs_attempts_step(&r->attempts, attempt, number, step, status, r->w->unix_ms);

	row->worker = (uint8_t)r->w->index;
}

void bs__step_at(struct bs_roles *r, uint64_t attempt, uint32_t number, uint8_t step,
		 const struct bs_endpoint *ep, uint32_t value)
{
	struct bs_attempt_row *row =
		bs_attempts_step(&r->attempts, attempt, number, step, 0, r->w->unix_ms);

	row->worker = (uint8_t)r->w->index;
	row->value = value;
	if (ep)
		row->ep = *ep;
}

uint8_t *bs__send_reserve(struct bs_roles *r)
{
	return bs__worker_reserve(r->w);
}

void bs__send_commit(struct bs_roles *r, size_t len, unsigned local, const struct bs_endpoint *peer)
{
	bs__worker_commit(r->w, len, r->local[local].socket, &r->local[local].ep, peer);
}

void bs__send(struct bs_roles *r, unsigned local, const struct bs_endpoint *peer,
	      const uint8_t *data, size_t len)
{
	memcpy(bs__send_reserve(r), data, len);
	bs__send_commit(r, len, local, peer);
}

void bs__roles_message(struct bs_roles *r, struct bs_message *m)
{
	switch (m->kind) {
	case BS_MSG_DROP: {
		uint32_t i;

		if (bs__device_find(r, m->u.drop.nsi, m->number, &i))
			bs__device_end(r, i, (enum bs_drop_reason)m->u.drop.reason);
		else /* our word that it is gone was lost */
			bs__release(r, m->number, m->u.drop.nsi);
		return;
	}
	case BS_MSG_DISCONNECT: bs__conn_disconnect(r, m); return;
	case BS_MSG_SESSION_GONE: bs__conn_session_gone(r, m); return;
	case BS_MSG_CLAIM:
	case BS_MSG_RELEASE:
	case BS_MSG_CONNECT:
	case BS_MSG_WATCH:
	case BS_MSG_KICK:
	case BS_MSG_REVOKE: bs__owner_message(r, m); return;
	case BS_MSG_QUERY: bs__query_message(r, m); return;
	default: bs_count(r->w->counters, BS_C_message_unknown); return;
	}
}
