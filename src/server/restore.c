/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of the process before.  Nothing of what the state holds is believed before it was
 * looked at here; see state.h for how it got there.
 *
 * Runs in main before the workers' threads start, so it may touch the tables of all of them.
 */
#include "server/roles.h"

#include <stdlib.h>
#include <string.h>

#include "server/role_auth.h"
#include "util/endpoint.h"

enum {
	AHEAD = 16, /* records */
};

/* What a pass works with. */
struct pass {
	struct bs_worker *worker;
	unsigned n_workers;
	struct bs_restored done;
};

/* Flags that a record keeps; the others speak of what ended with the process. */
#define FLAGS_KEPT                                                                                 \
 (BS_SLAB_USED | BS_SLAB_LEGACY | BS_SLAB_SYMMETRIC | BS_SLAB_SEEN | BS_SLAB_POLLED)

/* ---- checks ---- */

static bool is_place(const struct bs_endpoint *ep)
{
	return bs_endpoint_is_set(ep) && bs_endpoint_via(ep) == 0;
}

/* A byte that may be anything is no bool yet. */
static void make_bool(bool *b)
{
	uint8_t byte;

	memcpy(&byte, b, sizeof(byte));
	*b = byte != 0;
}

/* The socket that serves an address of old, or -1. */
static int socket_of(const struct bs_worker *w, const struct bs_endpoint *local)
{
	static const struct bs_endpoint any;
	unsigned i;

	if (!is_place(local))
		return -1;
	for (i = 0; i < w->n_sockets; i++) {
		const struct bs_worker_socket *s = &w->socket[i];
		struct bs_endpoint at = s->ep;

		if (!(s->roles & BS_SOCKET_ATTACH) || s->ep.port != local->port)
			continue;
		at.port = local->port;
		if (bs_endpoint_equal(&at, local))
			return (int)i;
		/* an open one of the same family takes any address */
		if (bs_endpoint_is_ip4(&at) == bs_endpoint_is_ip4(local) &&
		    (bs_endpoint_is_ip4(&at) ? bs_endpoint_ip4(&at) == 0
					     : memcmp(at.ip, any.ip, sizeof(any.ip)) == 0))
			return (int)i;
	}
	return -1;
}

/* What a record says by itself. */
static bool is_whole(const struct bs_device_hot *hot, const struct bs_device_cold *cold)
{
	return (hot->flags & BS_SLAB_USED) && cold->seal == bs_slab_seal(hot, cold) &&
	       hot->nsi >= BS_NSI_MIN && hot->number != 0 && is_place(&hot->peer);
}

/* ---- what the records of a worker refer to ---- */

/* A change of address that the end came into is made whole. */
static void finish_note(struct bs_state_shard *h)
{
	struct bs_state_note *note = bs_state_note(h);
	struct bs_device_hot *hot = bs_state_records(h, BS_STATE_HOT);

	if (note->armed == BS_STATE_NOTE_ARMED && note->index < bs_state_used(h, BS_STATE_HOT) &&
	    is_place(&note->peer)) {
		hot[note->index].peer = note->peer;
		hot[note->index].local = note->local;
	}
	bs_state_barrier();
	note->armed = 0;
}

/* Addresses that are served no more are forgotten, with the records that name them. */
static void take_locals(struct bs_roles *r)
{
	unsigned i;

	for (i = 0; i < r->n_locals; i++) {
		int socket = socket_of(r->w, &r->local[i].ep);

		if (socket < 0)
			memset(&r->local[i], 0, sizeof(r->local[i]));
		else
			r->local[i].socket = (uint8_t)socket;
	}
}

static bool is_ep6_whole(const struct bs_device_ep6 *side)
{
	unsigned i;

	if (side->n == 0 || side->n > BS_DEVICE_EP6_MAX)
		return false;
	for (i = 0; i < side->n; i++) {
		if (!is_place(&side->ep[i]))
			return false;
	}
	return true;
}

/* ---- one record ---- */

/* Serial numbers of a clock that this process continues: nothing lies ahead of it but what is due,
 * and that no further than the pace allows.  What is in order stays as it was, so the requests go
 * on as spread as they were. */
static void take_alive(struct bs_roles *r, uint32_t i)
{
	struct bs_alive_server *a = &r->slab.hot[i].alive;
	const struct bs_alive_pace *pace = &r->pace;
	struct bs_alive_pace own;
	uint32_t most_ms;

	if (r->slab.hot[i].flags & BS_SLAB_AUTH)
		pace = bs__auth_pace(r, i, &own);
	most_ms = pace->interval_ms > pace->timeout_ms ? pace->interval_ms : pace->timeout_ms;
	make_bool(&a->unreachable);
	if ((int32_t)(r->now_ms - a->seen_ms) < 0)
		a->seen_ms = r->now_ms;
	if ((int32_t)(r->now_ms - a->sent_ms) < 0)
		a->sent_ms = r->now_ms;
	if (a->seq == 0)
		a->seq = 1;
	if ((int32_t)(a->due_ms - r->now_ms) > (int32_t)most_ms)
		a->due_ms = r->now_ms + bs__random32(r) % (pace->interval_ms + 1);
}

/* The worker before had no connections that live on; see state.h.  False: something is missing. */
static bool take_fields(struct bs_roles *r, uint32_t i)
{
	struct bs_device_hot *hot = &r->slab.hot[i];
	struct bs_device_cold *cold = &r->slab.cold[i];

	hot->flags &= FLAGS_KEPT;
	hot->move = BS_POOL_NONE;
	if (!bs__auth_restore(r, i))
		return false;
	take_alive(r, i);
	cold->conns = BS_POOL_NONE;
	cold->n_conns = 0;
	if (cold->conn_limit == 0)
		cold->conn_limit = 1;
	bs_wheel_node_init(&r->device_wheel, i);
	return true;
}

static uint32_t attached_tick(const struct pass *p, uint32_t nsi)
{
	const struct bs_roles *r = p->worker[(nsi >> 24) % p->n_workers].roles;
	uint32_t i;

	return bs_nsi_table_get(&r->nsi, nsi, &i) == BS_NSI_DEVICE ? r->slab.cold[i].attached_tick
								   : 0;
}

static void leave_out(struct pass *p, struct bs_roles *r, uint32_t i)
{
	p->done.left_out++;
	r->slab.hot[i].flags = 0;
}

/* One that was let in has to go: the same device attached once more before the end. */
static void put_out(struct pass *p, uint32_t nsi)
{
	struct bs_roles *r = p->worker[(nsi >> 24) % p->n_workers].roles;
	uint32_t i;

	if (bs_nsi_table_get(&r->nsi, nsi, &i) != BS_NSI_DEVICE)
		return;
	bs_wheel_clear(&r->device_wheel, i);
	bs_nsi_table_remove(&r->nsi, nsi);
	leave_out(p, r, i);
	p->done.kept--;
}

/* Make a record the holder of its id; false when another one is, or there is no room. */
static bool hold(struct pass *p, const struct bs_roles *r, uint32_t i)
{
	const struct bs_device_hot *hot = &r->slab.hot[i];
	const struct bs_device_cold *cold = &r->slab.cold[i];
	struct bs_roles *owner = p->worker[bs_worker_owner(r->w, hot->number)].roles;
	uint32_t unix_s = (uint32_t)(r->w->unix_ms / 1000);
	struct bs_id_claim claim;
	uint32_t age_s;
	uint32_t held = bs_ids_holder(&owner->ids, hot->number, owner->now_s, &age_s);

	if (held != 0) {
		if ((int32_t)(cold->attached_tick - attached_tick(p, held)) < 0)
			return false;
		put_out(p, held);
		(void)bs_ids_release(&owner->ids, hot->number, held);
	}
	age_s = cold->attached_s < unix_s ? unix_s - cold->attached_s : 0;
	return bs_ids_claim(&owner->ids, hot->number, hot->nsi, owner->now_s, age_s, &claim) ==
	       BS_OK;
}

/* A complete record joins the tables; where it cannot, it is left out. */
static void let_in(struct pass *p, struct bs_roles *r, uint32_t i)
{
	struct bs_device_hot *hot = &r->slab.hot[i];

	if (bs_nsi_table_put(&r->nsi, hot->nsi, BS_NSI_DEVICE, i) != BS_OK) {
		leave_out(p, r, i);
		return;
	}
	if (!hold(p, r, i)) {
		bs_nsi_table_remove(&r->nsi, hot->nsi);
		leave_out(p, r, i);
		return;
	}
	hot->flags |= BS_SLAB_CLAIMED;
	bs_wheel_set(&r->device_wheel, i, bs__tick_of_ms(r, hot->alive.due_ms));
	p->done.kept++;
}

/* ---- the same arrangement: records stay where they are ---- */

static bool is_ours(const struct bs_roles *r, uint32_t i)
{
	const struct bs_device_hot *hot = &r->slab.hot[i];

	return is_whole(hot, &r->slab.cold[i]) && bs_worker_of_nsi(r->w, hot->nsi) == r->w->index &&
	       hot->local < r->n_locals && r->local[hot->local].ep.port != 0;
}

/* What let_in() will touch for a record soon: each is a wait for memory, a million of them half the
 * time of a restart. */
static void prepare(const struct pass *p, const struct bs_roles *r, uint32_t i)
{
	const struct bs_device_hot *hot = &r->slab.hot[i];

	bs_nsi_table_prefetch(&r->nsi, hot->nsi);
	bs_ids_prefetch(&p->worker[bs_worker_owner(r->w, hot->number)].roles->ids, hot->number);
}

static void take_in_place(struct pass *p, struct bs_roles *r)
{
	uint32_t i;

	finish_note(r->shard);
	take_locals(r);
	r->slab.used = bs_state_used(r->shard, BS_STATE_HOT);
	r->ep6.used = bs_state_used(r->shard, BS_STATE_EP6);
	/* Both grow together, one after the other. */
	if (bs_state_used(r->shard, BS_STATE_COLD) < r->slab.used)
		r->slab.used = bs_state_used(r->shard, BS_STATE_COLD);
	for (i = 0; i < r->slab.used; i++) {
		if (i + AHEAD < r->slab.used)
			prepare(p, r, i + AHEAD);
		if (!(r->slab.hot[i].flags & BS_SLAB_USED))
			continue;
		if (is_ours(r, i) && take_fields(r, i))
			let_in(p, r, i);
		else
			leave_out(p, r, i);
	}
}

/* ---- another arrangement: records move to whom their number names now ---- */

static uint16_t carry_text(struct bs_roles *r, const struct bs_state_shard *from, uint16_t text)
{
	const char(*texts)[BS_INTERN_TEXT_MAX] = bs_state_records(from, BS_STATE_TEXT);

	if (text >= bs_state_used(from, BS_STATE_TEXT))
		return 0;
	return (uint16_t)bs_intern_put(&r->texts, texts[text],
				       strnlen(texts[text], BS_INTERN_TEXT_MAX));
}

static uint32_t carry_ep6(struct bs_roles *r, const struct bs_state_shard *from, uint32_t ep6)
{
	const struct bs_device_ep6 *sides = bs_state_records(from, BS_STATE_EP6);
	uint32_t i;

	if (ep6 >= bs_state_used(from, BS_STATE_EP6) || !is_ep6_whole(&sides[ep6]))
		return BS_POOL_NONE;
	i = bs_pool_take(&r->ep6);
	if (i != BS_POOL_NONE)
		*(struct bs_device_ep6 *)bs_pool_get(&r->ep6, i) = sides[ep6];
	return i;
}

/* The index of its address at the new worker, or BS_LOCALS_MAX. */
static unsigned carry_local(struct bs_roles *r, const struct bs_state_shard *from, unsigned local)
{
	const struct bs_local *locals = bs_state_records(from, BS_STATE_LOCAL);
	int socket = local < bs_state_used(from, BS_STATE_LOCAL)
			     ? socket_of(r->w, &locals[local].ep)
			     : -1;

	return socket < 0 ? BS_LOCALS_MAX : bs__local_index(r, (unsigned)socket, &locals[local].ep);
}

static bool carry_auth(struct bs_roles *r, const struct bs_state_shard *from, uint32_t k,
		       uint32_t i)
{
	const struct bs_device_auth *auth = bs_state_records(from, BS_STATE_AUTH);
	uint16_t ext = r->slab.cold[i].ext;

	if (!(ext & BS_EXT_AUTH_ALIVE))
		return true;
	if (k >= bs_state_used(from, BS_STATE_AUTH) || !bs__auth_room(r, i, ext))
		return false;
	r->auth[i] = auth[k];
	return true;
}

static void carry(struct pass *p, const struct bs_state_shard *from, uint32_t k)
{
	const struct bs_device_hot *hot = bs_state_records(from, BS_STATE_HOT);
	const struct bs_device_cold *cold = bs_state_records(from, BS_STATE_COLD);
	struct bs_roles *r = p->worker[(hot[k].nsi >> 24) % p->n_workers].roles;
	unsigned local = carry_local(r, from, hot[k].local);
	uint32_t i = local == BS_LOCALS_MAX ? BS_SLAB_NONE : bs_slab_take(&r->slab);

	if (i == BS_SLAB_NONE) {
		p->done.left_out++;
		return;
	}
	r->slab.hot[i] = hot[k];
	r->slab.cold[i] = cold[k];
	r->slab.hot[i].flags &= (uint8_t)~BS_SLAB_USED;
	r->slab.hot[i].local = (uint8_t)local;
	r->slab.cold[i].text = carry_text(r, from, cold[k].text);
	if (cold[k].ep6 != BS_POOL_NONE)
		r->slab.cold[i].ep6 = carry_ep6(r, from, cold[k].ep6);
	if (carry_auth(r, from, k, i) && take_fields(r, i)) {
		bs_slab_publish(&r->slab, i);
		let_in(p, r, i);
	} else {
		leave_out(p, r, i);
	}
}

/* What networks bore is kept where they go on to the same worker. */
static void carry_nets(struct bs_roles *r, const struct bs_state_shard *from)
{
	if (bs_state_used(from, BS_STATE_NETS) == 1 &&
	    bs_state_use(r->shard, BS_STATE_NETS, 1) == BS_OK)
		*r->nets = *(const struct bs_nets *)bs_state_records(from, BS_STATE_NETS);
}

/* Each number to the worker that it names now. */
static void carry_spent(struct pass *p, const struct bs_state_shard *from)
{
	const struct bs_spent_nsi *spent = bs_state_records(from, BS_STATE_SPENT);
	uint32_t used = bs_state_used(from, BS_STATE_SPENT);
	uint32_t i;

	for (i = 0; i < used; i++) {
		uint32_t nsi = spent[i].nsi;

		if (nsi != 0)
			p->worker[(nsi >> 24) % p->n_workers].roles->spent[nsi % BS_SPENT_NSI] =
				spent[i];
	}
}

static void carry_shard(struct pass *p, struct bs_state_shard *from)
{
	const struct bs_device_hot *hot = bs_state_records(from, BS_STATE_HOT);
	const struct bs_device_cold *cold = bs_state_records(from, BS_STATE_COLD);
	const struct bs_sketch *sketch = bs_state_records(from, BS_STATE_SKETCH);
	uint32_t used = bs_state_used(from, BS_STATE_HOT);
	uint32_t k;

	if (bs_state_used(from, BS_STATE_COLD) < used)
		used = bs_state_used(from, BS_STATE_COLD);
	finish_note(from);
	carry_spent(p, from);
	/* Any worker may see any prefix next. */
	for (k = 0; k < p->n_workers && bs_state_used(from, BS_STATE_SKETCH) == 1; k++)
		bs_sketch_merge(p->worker[k].roles->sketch, sketch, p->worker[k].roles->now_s);
	for (k = 0; k < used; k++) {
		if (!(hot[k].flags & BS_SLAB_USED))
			continue;
		if (is_whole(&hot[k], &cold[k]))
			carry(p, from, k);
		else
			p->done.left_out++;
	}
}

/* ---- all of it ---- */

/* Side records have one user each; a second one goes without. */
static void take_ep6(struct bs_roles *r, uint32_t i, uint8_t *live)
{
	struct bs_device_cold *cold = &r->slab.cold[i];

	if (cold->ep6 == BS_POOL_NONE)
		return;
	if (cold->ep6 < r->ep6.used && !live[cold->ep6] &&
	    is_ep6_whole(bs_pool_get(&r->ep6, cold->ep6))) {
		live[cold->ep6] = 1;
		return;
	}
	cold->ep6 = BS_POOL_NONE;
	cold->seal = bs_slab_seal(&r->slab.hot[i], cold);
}

static void count(struct bs_roles *r, uint32_t unreachable)
{
	struct bs_counters *c = r->w->counters;

	bs_count_set(c, BS_C_devices_attached, r->slab.n);
	bs_count_set(c, BS_C_devices_unreachable, unreachable);
	bs_count_set(c, BS_C_ids_held, r->ids.n);
	bs_count_set(c, BS_C_state_kept, r->slab.n);
	bs__fill_check(r, BS_FILL_SLAB, r->slab.n, r->slab.cap);
}

/* It is decided who stays: what nobody uses any more is free again. */
static int finish(struct bs_roles *r)
{
	uint8_t *live = calloc(r->ep6.used + 1u, 1);
	uint32_t unreachable = 0;
	uint32_t i;

	if (!live)
		return BS_ENOMEM;
	for (i = bs_slab_next(&r->slab, 0); i != BS_SLAB_NONE; i = bs_slab_next(&r->slab, i + 1)) {
		take_ep6(r, i, live);
		unreachable += r->slab.hot[i].alive.unreachable;
	}
	bs_slab_adopt(&r->slab, r->slab.used);
	bs_pool_adopt(&r->ep6, r->ep6.used, live);
	free(live);
	count(r, unreachable);
	/* The registry may have changed while nobody listened. */
	if (r->slab.n > 0)
		bs__recheck_start(r);
	return BS_OK;
}

int bs__restore(struct bs_worker *workers, unsigned n, struct bs_state *state,
		struct bs_restored *out)
{
	struct pass p = { .worker = workers, .n_workers = n };
	const struct bs_state *old = bs_state_old(state);
	int err = BS_OK;
	unsigned i;

	memset(out, 0, sizeof(*out));
	if (bs_state_found(state) == BS_STATE_NEW)
		return BS_OK;
	for (i = 0; !old && i < n; i++)
		take_in_place(&p, workers[i].roles);
	for (i = 0; old && i < bs_state_n_shards(old); i++) {
		if (bs_state_n_shards(old) == n)
			carry_nets(workers[i].roles, bs_state_shard(old, i));
		carry_shard(&p, bs_state_shard(old, i));
	}
	for (i = 0; i < n && !err; i++)
		err = finish(workers[i].roles);
	bs_count_set(workers[0].counters, BS_C_state_left_out, p.done.left_out);
	*out = p.done;
	return err || bs_state_is_held(state) ? err : bs_state_settle(state);
}
