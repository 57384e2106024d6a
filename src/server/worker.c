/* SPDX-License-Identifier: Apache-2.0 */
#include "server/worker.h"

#include <ev.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/openssl.h"
#include "log/log.h"
#include "net/steering.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "server/gateway.h"
#include "server/relay.h"
#include "server/roles.h"
#include "server/server.h"
#include "server/worker_loop.h"
#include "util/endpoint.h"

/* One turn does a bounded piece of work of each kind, so that none starves the others. */
enum {
	BATCHES_PER_TURN = 4,     /* receive calls per socket */
	MESSAGES_PER_TURN = 1024, /* per sender */
	EXPECT_MIN = 4,           /* datagrams for which looking ahead pays */
	BUSY_PER_TICK = 200,      /* datagrams above which waiting for more of them pays */
	GATHER_NS = 500000,       /* how long for */
	NS_PER_S = 1000000000,
	NS_PER_MS = 1000000,
	MS_PER_S = 1000,
};

/* Datagrams before timers before mail before everything that the gate does. */
enum {
	PRI_CLOCK = 2,
	PRI_UDP = 2,
	PRI_TIMER = 1,
	PRI_MAIL = 1,
};

struct udp_watcher {
	ev_io io;
	struct bs_worker *w;
	unsigned socket;
	uint32_t rx; /* datagrams since the last tick */
};

struct bs_worker_loop {
	struct bs_shared *shared;
	pthread_t thread;
	bool started;
	bool stopping;
	bool frozen;  /* only mail is read: the sockets are about to change hands */
	bool retired; /* they have: devices and their state are no longer ours */
	struct bs_openssl *openssl;
	struct bs_udp_rx *rx;
	struct bs_udp_tx *tx;
	struct udp_watcher udp[BS_WORKER_SOCKETS_MAX];
	ev_io mail;
	ev_timer tick;
	ev_check clock;
	ev_prepare flush;
	ev_idle more;   /* active while timers are left over: the loop does not wait then */
	ev_idle unread; /* the same for work of the gate */
	ev_idle gather; /* active while the loop sleeps by the clock, see pace_loop() */
	uint8_t wake[BS_CONF_WORKERS_MAX + 1];
	bool wake_any;
};

void bs__clock_read(const struct bs_server_clock *c, unsigned who, bs_time *now, uint64_t *unix_ms)
{
	struct timespec ts;

	if (c) {
		c->read(c->arg, who, now, unix_ms);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &ts);
	*now = (bs_time)ts.tv_sec * NS_PER_S + (bs_time)ts.tv_nsec;
	clock_gettime(CLOCK_REALTIME, &ts);
	*unix_ms = (uint64_t)ts.tv_sec * MS_PER_S + (uint64_t)ts.tv_nsec / NS_PER_MS;
}

static void read_clock(struct bs_worker *w)
{
	bs__clock_read(w->events->shared->clock, w->index, &w->now, &w->unix_ms);
	if (w->roles)
		bs__roles_clock(w->roles);
}

/* The uptime stood still since the clock was read last: whoever became due meanwhile is not asked
 * all at once, and nobody is silent because we were. */
static void pass_over(struct bs_worker *w)
{
	const bs_time then = w->now;

	bs__clock_read(w->events->shared->clock, w->index, &w->now, &w->unix_ms);
	bs__roles_stood(w->roles, w->now - then);
}

/* ---- out ---- */

static void flush(struct bs_worker *w)
{
	struct bs_udp_sent sent;

	if (bs_udp_queued(w->events->tx) == 0)
		return;
	memset(&sent, 0, sizeof(sent));
	bs_udp_flush(w->events->tx, &sent);
	bs_count_add(w->counters, BS_C_udp_tx, sent.packets);
	bs_count_add(w->counters, BS_C_udp_tx_bytes, sent.bytes);
	bs_count_add(w->counters, BS_C_udp_tx_batches, sent.calls);
	bs_count_add(w->counters, BS_C_udp_tx_blocked, sent.blocked);
	bs_count_add(w->counters, BS_C_udp_tx_failed, sent.failed);
}

uint8_t *bs__worker_reserve(struct bs_worker *w)
{
	uint8_t *buf = bs_udp_reserve(w->events->tx);

	if (buf)
		return buf;
	flush(w);
	return bs_udp_reserve(w->events->tx);
}

void bs__worker_commit(struct bs_worker *w, size_t len, unsigned socket,
		       const struct bs_endpoint *local, const struct bs_endpoint *peer)
{
	static const struct bs_endpoint its_own;
	const struct bs_worker_socket *s = &w->socket[socket];

	bs_udp_commit(w->events->tx, len, s->fd,
		      bs_endpoint_equal(local, &s->ep) ? &its_own : local, peer);
}

void bs_worker_udp_reply(struct bs_worker *w, unsigned socket, const struct bs_endpoint *local,
			 const struct bs_endpoint *peer, const uint8_t *data, size_t len)
{
	memcpy(bs__worker_reserve(w), data, len);
	bs__worker_commit(w, len, socket, local, peer);
}

/* ---- between threads ---- */

/* The snapshot in force; never while a caller further up still works with the old one. */
static void take_conf(struct bs_worker *w)
{
	const struct bs_conf *conf =
		atomic_load_explicit(&w->events->shared->conf, memory_order_acquire);

	if (conf == w->conf)
		return;
	w->conf = conf;
	bs__roles_conf(w->roles);
	if (w->gate)
		w->gate_ops->conf_changed(w->gate);
	if (w->gateway)
		bs_gateway_conf(w->gateway);
}

/* The sockets belong to another process now, and so does the state of the devices: what is left
 * here is streams, which nobody can take over. */
static void retire(struct bs_worker *w)
{
	struct bs_worker_loop *e = w->events;
	unsigned i;

	e->frozen = false;
	e->retired = true;
	ev_idle_stop(w->loop, &e->gather);
	for (i = 0; i < w->n_sockets; i++)
		ev_io_stop(w->loop, &e->udp[i].io);
	if (w->gate)
		w->gate_ops->drain(w->gate, w->conf->drain_time);
	if (w->gateway)
		bs_gateway_drain(w->gateway, w->conf->drain_time);
}

static void drain(struct bs_worker *w, const struct bs_msg_drain *m)
{
	bs__drain_set(w->roles, m);
	if (w->gate && m->on)
		w->gate_ops->drain(w->gate, BS_TIME_MS(m->span_ms));
	else if (w->gate)
		w->gate_ops->resume(w->gate);
	if (w->gateway && m->on)
		bs_gateway_drain(w->gateway, BS_TIME_MS(m->span_ms));
	else if (w->gateway)
		bs_gateway_resume(w->gateway);
}

/* What may still be said once the devices are another process's. */
static bool is_for_streams(const struct bs_message *m)
{
	switch (m->kind) {
	case BS_MSG_STOP:
	case BS_MSG_CONF: return true;
	case BS_MSG_QUERY: return m->u.query.kind == BS_QUERY_SYNC;
	case BS_MSG_GW_LEG: return true;
	default: return m->kind >= BS_MSG_GATE_FIRST;
	}
}

static void deliver(struct bs_worker *w, struct bs_message *m)
{
	if (w->events->retired && !is_for_streams(m))
		return;
	switch (m->kind) {
	case BS_MSG_CONNECT_RESULT:
	case BS_MSG_CONN_CLOSED:
	case BS_MSG_RELAY:
	case BS_MSG_PRESENCE:
		if (w->gate)
			w->gate_ops->message(w->gate, m);
		break;
	case BS_MSG_GW_LEG:
		if (w->gateway)
			bs_gateway_message(w->gateway, m);
		else
			bs_tcp_close(m->u.gw_leg.fd);
		break;
	case BS_MSG_STOP: w->events->stopping = true; break;
	case BS_MSG_FREEZE: w->events->frozen = true; break;
	case BS_MSG_THAW: w->events->frozen = false; break;
	case BS_MSG_RETIRE: retire(w); break;
	case BS_MSG_DRAIN: drain(w, &m->u.drain); break;
	case BS_MSG_CONF: take_conf(w); break;
	case BS_MSG_QUERY:
		/* Main takes an answer as proof that the old conf is out of use here. */
		take_conf(w);
		bs__roles_message(w->roles, m);
		break;
	default:
		if (m->kind >= BS_MSG_GATE_FIRST && w->gate)
			w->gate_ops->message(w->gate, m);
		else
			bs__roles_message(w->roles, m);
		break;
	}
	if (m->kind == BS_MSG_CONNECT_RESULT)
		bs_wipe(&m->u.result, sizeof(m->u.result));
	else if (m->kind == BS_MSG_GW_LEG)
		bs_wipe(&m->u.gw_leg, sizeof(m->u.gw_leg));
}

int bs_worker_send(struct bs_worker *w, unsigned to, struct bs_message *m)
{
	if (to == w->index) {
		struct bs_message copy = *m;

		copy.from = (uint8_t)w->index;
		deliver(w, &copy);
		return BS_OK;
	}
	if (bs_post_put(w->post, w->index, to, m) != BS_OK) {
		bs_count(w->counters, BS_C_message_full);
		return BS_EFULL;
	}
	bs_count(w->counters, BS_C_message_out);
	w->events->wake[to] = 1;
	w->events->wake_any = true;
	return BS_OK;
}

static void wake_others(struct bs_worker *w)
{
	unsigned i;

	if (!w->events->wake_any)
		return;
	for (i = 0; i <= w->n_workers; i++) {
		if (w->events->wake[i])
			bs_post_wake(w->post, i);
		w->events->wake[i] = 0;
	}
	w->events->wake_any = false;
}

static void take_bulk(struct bs_worker *w, unsigned from)
{
	struct bs_bulk *b;
	unsigned n;

	for (n = 0; n < MESSAGES_PER_TURN && (b = bs_post_bulk_peek(w->post, from, w->index));
	     n++) {
		if (b->kind == BS_BULK_DATAGRAM && b->socket < w->n_sockets) {
			bs_count(w->counters, BS_C_udp_forward_in);
			bs__roles_datagram(w->roles, b->data, b->len, &b->peer, b->socket,
					   &b->local);
		}
		bs_post_bulk_done(w->post, from, w->index);
	}
	if (n == MESSAGES_PER_TURN)
		bs_post_wake(w->post, w->index);
}

static void take_mail(struct bs_worker *w, unsigned from)
{
	struct bs_message *m;
	unsigned n;

	for (n = 0; n < MESSAGES_PER_TURN && (m = bs_post_peek(w->post, from, w->index)); n++) {
		bs_count(w->counters, BS_C_message_in);
		deliver(w, m);
		bs_post_done(w->post, from, w->index);
	}
	if (n == MESSAGES_PER_TURN)
		bs_post_wake(w->post, w->index);
}

static void read_mail(struct bs_worker *w)
{
	unsigned from;

	bs_post_clear(w->post, w->index);
	for (from = 0; from <= w->n_workers; from++) {
		take_bulk(w, from);
		take_mail(w, from);
	}
}

/* Nothing but mail, until main says how it goes on.  The loop does not turn meanwhile, so no timer
 * runs and no socket is read: what the kernel holds waits for whoever reads next. */
static void stand_still(struct bs_worker *w)
{
	struct pollfd p = { .fd = bs_post_fd(w->post, w->index), .events = POLLIN };

	read_clock(w);
	while (w->events->frozen && !w->events->stopping) {
		flush(w);
		wake_others(w);
		if (poll(&p, 1, -1) > 0)
			read_mail(w);
		pass_over(w);
	}
}

static void on_mail(struct ev_loop *loop, ev_io *io, int revents)
{
	struct bs_worker *w = io->data;

	(void)revents;
	read_mail(w);
	stand_still(w);
	if (w->events->stopping)
		ev_break(loop, EVBREAK_ALL);
}

/* ---- in ---- */

/* It belongs to another worker and the kernel did not know. */
static void forward(struct bs_worker *w, const struct bs_datagram *d, unsigned socket, unsigned to)
{
	struct bs_bulk *b = bs_post_bulk_reserve(w->post, w->index, to);

	if (!b) {
		bs_count(w->counters, BS_C_udp_forward_full);
		return;
	}
	b->kind = BS_BULK_DATAGRAM;
	b->socket = (uint8_t)socket;
	b->peer = d->peer;
	b->local = d->local;
	b->len = (uint16_t)d->len;
	memcpy(b->data, d->data, d->len);
	bs_post_bulk_publish(w->post, w->index, to);
	bs_count(w->counters, BS_C_udp_steered_away);
	w->events->wake[to] = 1;
	w->events->wake_any = true;
}

static void take_datagram(struct bs_worker *w, struct bs_datagram *d, unsigned socket)
{
	int to;

	if (d->cut) {
		bs_count(w->counters, BS_C_udp_rx_cut);
		return;
	}
	bs_count_add(w->counters, BS_C_udp_rx_bytes, d->len);
	to = bs_steer(d->data, d->len, w->n_workers);
	if (to != BS_STEER_ANY && (unsigned)to != w->index)
		forward(w, d, socket, (unsigned)to);
	else
		bs__roles_datagram(w->roles, d->data, d->len, &d->peer, socket, &d->local);
}

static void read_socket(struct bs_worker *w, unsigned socket)
{
	const struct bs_worker_socket *s = &w->socket[socket];
	struct bs_datagram *list;
	int batch;
	int n;
	int i;

	for (batch = 0; batch < BATCHES_PER_TURN || bs_udp_pending(w->events->rx); batch++) {
		n = bs_udp_receive(w->events->rx, s->fd, &s->ep, &list);
		if (n < 0) {
			if (n != BS_EAGAIN)
				bs_count(w->counters, BS_C_udp_rx_failed);
			break;
		}
		bs_count_add(w->counters, BS_C_udp_rx, (uint64_t)n);
		w->events->udp[socket].rx += (uint32_t)n;
		bs_count(w->counters, BS_C_udp_rx_batches);
		for (i = 0; i < n; i++) {
			int left = n - i < BS_UDP_BATCH ? n - i : BS_UDP_BATCH;

			if (i % BS_UDP_BATCH == 0 && left >= EXPECT_MIN)
				bs__roles_expect(w->roles, &list[i], (unsigned)left);
			take_datagram(w, &list[i], socket);
		}
		if (n < BS_UDP_BATCH && !bs_udp_pending(w->events->rx))
			break;
	}
}

static void on_udp(struct ev_loop *loop, ev_io *io, int revents)
{
	const struct udp_watcher *u = (struct udp_watcher *)(void *)io;

	(void)loop;
	(void)revents;
	read_socket(u->w, u->socket);
}

/* ---- time ---- */

static void on_clock(struct ev_loop *loop, ev_check *c, int revents)
{
	struct bs_worker *w = c->data;
	unsigned i;

	(void)loop;
	(void)revents;
	read_clock(w);
	bs_count(w->counters, BS_C_loop_turns);
	take_conf(w);
	for (i = 0; i < w->n_sockets && ev_is_active(&w->events->gather); i++) {
		/* A retired worker watches none: they are another process's. */
		if (!ev_is_active(&w->events->udp[i].io) && !w->events->retired)
			read_socket(w, i);
	}
}

/* While there are more, the loop does not sleep. */
static void run_timers(struct bs_worker *w)
{
	if (!w->events->retired && bs__roles_timers(w->roles))
		ev_idle_start(w->loop, &w->events->more);
	else
		ev_idle_stop(w->loop, &w->events->more);
}

/* A system call and a wake-up for each of a stream of datagrams cost more than the datagrams; where
 * many come, half a millisecond's worth of them is taken at once.  Nor is a busy socket watched
 * then: the system tells a watcher of each datagram that comes, and of the room that each one sent
 * has left behind, which is a thirtieth of what a round trip costs.  Bytes for the TCP relay come
 * in pieces as small, and so do the steps of handshakes: they wait, too. */
static void pace_loop(struct bs_worker *w)
{
	struct bs_worker_loop *e = w->events;
	bool any = false;
	unsigned i;

	/* Both are asked in any case: they count from one tick to the next. */
	if (w->gateway && bs_gateway_is_busy(w->gateway))
		any = true;
	if (w->gate && w->gate_ops->is_busy(w->gate))
		any = true;
	for (i = 0; i < w->n_sockets && !e->retired; i++) {
		struct udp_watcher *u = &e->udp[i];

		if (u->rx > BUSY_PER_TICK) {
			ev_io_stop(w->loop, &u->io);
			any = true;
		} else {
			ev_io_start(w->loop, &u->io);
		}
		u->rx = 0;
	}
	if (any)
		ev_idle_start(w->loop, &e->gather);
	else
		ev_idle_stop(w->loop, &e->gather);
}

/* Until half a millisecond has passed since this turn began. */
static void gather(const struct bs_worker *w)
{
	struct timespec ts;
	bs_time spent;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	spent = (bs_time)ts.tv_sec * NS_PER_S + (bs_time)ts.tv_nsec - w->now;
	if (spent >= GATHER_NS)
		return;
	ts.tv_sec = 0;
	ts.tv_nsec = (long)(GATHER_NS - spent);
	(void)nanosleep(&ts, NULL);
}

static void on_tick(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct bs_worker *w = t->data;

	(void)loop;
	(void)revents;
	pace_loop(w);
	if (w->events->retired)
		/* what the relay may still pass depends on its clock */
		bs__relay_tick(w->roles);
	else
		bs__roles_tick(w->roles);
	run_timers(w);
	if (w->gate)
		w->gate_ops->tick(w->gate, w->now);
	if (w->gateway)
		bs_gateway_tick(w->gateway, w->now);
}

static void on_more(struct ev_loop *loop, ev_idle *idle, int revents)
{
	(void)loop;
	(void)revents;
	(void)idle;
}

/* While the gate has more to do the loop must turn: the sockets of that work are not in it, so
 * nothing else would wake it.  What the gate says now must leave now, for the same reason. */
static void run_gate(struct bs_worker *w)
{
	bool more = w->gate && w->gate_ops->turn(w->gate);

	flush(w);
	wake_others(w);
	if (more)
		ev_idle_start(w->loop, &w->events->unread);
	else
		ev_idle_stop(w->loop, &w->events->unread);
}

/* The end of a turn: everything that was queued leaves in as few calls as possible, datagrams
 * before the gate begins its long computations. */
static void on_flush(struct ev_loop *loop, ev_prepare *p, int revents)
{
	struct bs_worker *w = p->data;

	(void)loop;
	(void)revents;
	if (ev_is_active(&w->events->more))
		run_timers(w);
	flush(w);
	wake_others(w);
	run_gate(w);
	/* Also where the gate has more: a TLS leg nearly always has, and a turn with handshakes has
	 * used up the time. */
	if (ev_is_active(&w->events->gather) && !ev_is_active(&w->events->more))
		gather(w);
}

/* ---- the thread ---- */

static void start_watchers(struct bs_worker *w)
{
	struct bs_worker_loop *e = w->events;
	const double tick_s = BS_TICK_MS / 1000.0;
	unsigned i;

	ev_check_init(&e->clock, on_clock);
	ev_set_priority(&e->clock, PRI_CLOCK);
	e->clock.data = w;
	ev_check_start(w->loop, &e->clock);
	for (i = 0; i < w->n_sockets; i++) {
		e->udp[i].w = w;
		e->udp[i].socket = i;
		ev_io_init(&e->udp[i].io, on_udp, w->socket[i].fd, EV_READ);
		ev_set_priority(&e->udp[i].io, PRI_UDP);
		ev_io_start(w->loop, &e->udp[i].io);
	}
	ev_io_init(&e->mail, on_mail, bs_post_fd(w->post, w->index), EV_READ);
	ev_set_priority(&e->mail, PRI_MAIL);
	e->mail.data = w;
	ev_io_start(w->loop, &e->mail);
	ev_timer_init(&e->tick, on_tick, tick_s, tick_s);
	ev_set_priority(&e->tick, PRI_TIMER);
	e->tick.data = w;
	ev_timer_start(w->loop, &e->tick);
	ev_idle_init(&e->more, on_more);
	ev_set_priority(&e->more, PRI_TIMER);
	e->more.data = w;
	ev_idle_init(&e->gather, on_more);
	ev_idle_init(&e->unread, on_more);
	ev_prepare_init(&e->flush, on_flush);
	e->flush.data = w;
	ev_prepare_start(w->loop, &e->flush);
}

static void pin(const struct bs_worker *w)
{
#ifdef HAVE_PTHREAD_SETAFFINITY_NP
	cpu_set_t set;

	if (!w->events->shared->pin)
		return;
	CPU_ZERO(&set);
	CPU_SET(w->index, &set);
	/* Not possible in every container; the scheduler does it then. */
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
#else
	(void)w;
#endif
}

static void *run(void *arg)
{
	struct bs_worker *w = arg;
	struct bs_worker_loop *e = w->events;
	char name[16];

	snprintf(name, sizeof(name), "worker-%u", w->index);
	bs_log_thread_attach(name);
#ifdef HAVE_PTHREAD_SETNAME_NP
	(void)pthread_setname_np(pthread_self(), name);
#endif
	pin(w);
	/* Records were taken over since init, which takes a while where there are many; so does the
	 * gate. */
	pass_over(w);
	if (w->gate_ops) {
		w->gate = w->gate_ops->new (w, e->shared->gate_shared);
		if (!w->gate)
			bs_log_error("server, worker %u runs without a client gate", w->index);
	}
	if (e->shared->gateway_shared)
		w->gateway = bs_gateway_new(w, e->shared->gateway_shared);
	start_watchers(w);
	pass_over(w);
	w->events->frozen = e->shared->frozen;
	stand_still(w);
	if (!e->stopping)
		ev_run(w->loop, 0);
	bs__relay_stop(w->roles);
	if (w->gate)
		w->gate_ops->free(w->gate);
	w->gate = NULL;
	bs_gateway_free(w->gateway);
	w->gateway = NULL;
	flush(w);
	wake_others(w);
	bs_log_thread_detach();
	return NULL;
}

int bs__worker_init(struct bs_worker *w, struct bs_shared *shared, unsigned index)
{
	struct bs_worker_loop *e = calloc(1, sizeof(*e));
	int err;

	w->events = e;
	if (!e)
		return BS_ENOMEM;
	e->shared = shared;
	w->index = index;
	w->n_workers = shared->n_workers;
	w->conf = atomic_load_explicit(&shared->conf, memory_order_relaxed);
	w->registry = shared->registry;
	w->gate_ops = shared->gate_ops;
	w->post = shared->post;
	w->demand = shared->demand;
	w->state = bs_state_shard(shared->state, index);
	w->state_base = bs_state_base(shared->state);
	w->state_key = bs_state_hash_key(shared->state);
	w->counters = aligned_alloc(64, sizeof(*w->counters));
	if (w->counters)
		memset(w->counters, 0, sizeof(*w->counters));
	w->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	e->openssl = bs_openssl_new();
	e->rx = bs_udp_rx_new();
	e->tx = bs_udp_tx_new();
	if (!w->counters || !w->loop || !e->openssl || !e->rx || !e->tx)
		return BS_ENOMEM;
	w->crypto = bs_openssl_crypto(e->openssl);
	read_clock(w);
	err = bs_registry_reader_new(w->registry, &w->reader);
	if (!err)
		err = bs_roles_new(w, &w->roles);
	return err;
}

void bs__worker_fini(struct bs_worker *w)
{
	struct bs_worker_loop *e = w->events;

	bs_roles_free(w->roles);
	bs_registry_reader_free(w->reader);
	if (w->loop)
		ev_loop_destroy(w->loop);
	if (e) {
		bs_openssl_free(e->openssl);
		bs_udp_rx_free(e->rx);
		bs_udp_tx_free(e->tx);
	}
	free(e);
	free(w->counters);
	memset(w, 0, sizeof(*w));
}

int bs__worker_start(struct bs_worker *w)
{
	sigset_t all;
	sigset_t old;
	int rc;

	/* Signals are main's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&w->events->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->events->started = rc == 0;
	return rc == 0 ? BS_OK : BS_ENOMEM;
}

void bs__worker_join(struct bs_worker *w)
{
	if (w->events && w->events->started)
		pthread_join(w->events->thread, NULL);
	if (w->events)
		w->events->started = false;
}

/* ---- what the roles and the gate ask ---- */

unsigned bs_worker_owner(const struct bs_worker *w, uint32_t number)
{
	return bs_ids_hash(number) % w->n_workers;
}

unsigned bs_worker_of_nsi(const struct bs_worker *w, uint32_t nsi)
{
	return (nsi >> 24) % w->n_workers;
}

uint32_t bs_worker_probe_nsi_take(struct bs_worker *w)
{
	return bs__nsi_take(w->roles, BS_NSI_PROBE, 0);
}

void bs_worker_probe_nsi_give(struct bs_worker *w, uint32_t nsi)
{
	uint32_t index;

	if (bs_nsi_table_get(&w->roles->nsi, nsi, &index) == BS_NSI_PROBE)
		bs_nsi_table_remove(&w->roles->nsi, nsi);
}

int bs_worker_socket_find(const struct bs_worker *w, enum bs_socket_role role,
			  const struct bs_endpoint *like, int not_socket)
{
	unsigned i;

	for (i = 0; i < w->n_sockets; i++) {
		if ((int)i != not_socket && (w->socket[i].roles & role) &&
		    bs_endpoint_is_ip4(&w->socket[i].ep) == bs_endpoint_is_ip4(like))
			return (int)i;
	}
	return -1;
}

struct bs_endpoint bs_worker_public(const struct bs_worker *w, enum bs_socket_role role,
				    const struct bs_endpoint *local)
{
	struct bs_endpoint ep;
	bool ip4 = bs_endpoint_is_ip4(local);
	const struct bs_endpoint *told = ip4 ? &w->conf->public_address : &w->conf->public_address6;
	const struct bs_endpoint *attach = &w->conf->attach_address;
	static const struct bs_endpoint none;
	int i = bs_worker_socket_find(w, role, local, -1);

	if (i < 0)
		return none;
	ep = *local;
	/* A conf address has no port, so it is looked at by its bytes. */
	if (ip4 && role == BS_SOCKET_ATTACH && memcmp(attach->ip, none.ip, sizeof(none.ip)) != 0)
		told = attach;
	if (memcmp(told->ip, none.ip, sizeof(none.ip)) != 0)
		ep = *told;
	ep.port = w->socket[i].ep.port;
	return ep;
}

bool bs_worker_device_id(struct bs_worker *w, uint32_t number, char id[BS_DEVICE_ID_MAX + 1])
{
	struct bs_device d;

	if (bs_registry_device_by_number(w->reader, number, &d) != BS_OK)
		return false;
	memcpy(id, d.id, BS_DEVICE_ID_MAX + 1);
	bs_device_wipe(&d);
	return true;
}
