/* SPDX-License-Identifier: Apache-2.0 */
#include "server/gateway.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "net/sockaddr.h"
#include "net/tcp.h"
#include "server/gateway_internal.h"
#include "server/handover.h"
#include "util/endpoint.h"
#include "util/siphash.h"

/** Connections that may wait in one listener's queue. */
#define BACKLOG 1024
/** Connections taken from one listener per turn. */
#define ACCEPT_PER_TURN 16
/** Pause after running out of descriptors. */
#define ACCEPT_PAUSE BS_TIME_MS(200)
/** Reads in a tick of the worker above which they are many. */
#define READS_PER_TICK 32u
/** Buckets of the rate per source. */
#define SOURCE_BUCKETS 4096u

struct bs_gateway_shared {
	unsigned n_workers;
	unsigned n_listen;
	uint16_t port;
	int *fd; /**< [n_workers * n_listen] */
};

/* Main's part. */

static int listen_on(struct bs_gateway_shared *sh, const struct bs_conf *conf, unsigned worker,
		     unsigned at)
{
	struct bs_endpoint ep = conf->listen.v[at];
	int *fd = &sh->fd[worker * sh->n_listen + at];
	int err = BS_OK;

	ep.port = sh->port;
	/* Without this a second server of the same user would silently share the port. */
	if (worker == 0)
		err = bs_tcp_probe_free(&ep);
	if (err == BS_OK) {
		*fd = bs_tcp_listen(&ep, BACKLOG);
		err = *fd < 0 ? *fd : BS_OK;
	}
	/* Port 0: the first socket picks, all others follow. */
	if (err == BS_OK && sh->port == 0) {
		err = bs_tcp_local(*fd, &ep);
		sh->port = ep.port;
	}
	if (err != BS_OK)
		bs_log_error("gateway, cannot listen on TCP port %u of address %u of \"listen\" "
			     "(%s); see gateway-port",
			     sh->port, at + 1, bs_listen_remedy(err));
	return err;
}

/** The listener that another process had there. */
static int inherit(struct bs_gateway_shared *sh, struct bs_handover *h, unsigned worker,
		   unsigned at)
{
	const struct bs_handover_item *it =
		bs_handover_find(h, BS_HANDOVER_GATEWAY, (uint16_t)worker, (uint16_t)at);

	if (!it || (sh->port != 0 && sh->port != it->ep.port)) {
		bs_log_error(
			"gateway, an upgrade cannot open or change gateway-port; restart instead");
		return BS_ECONF;
	}
	sh->port = it->ep.port;
	int fd = bs_handover_take(h, BS_HANDOVER_GATEWAY, (uint16_t)worker, (uint16_t)at);

	/* Another version may have listened without it, and can live with it. */
	bs_tcp_no_delay(fd);
	sh->fd[worker * sh->n_listen + at] = fd;
	return BS_OK;
}

int bs_gateway_collect(const struct bs_gateway_shared *sh, struct bs_handover *h)
{
	struct bs_handover_item it = { .what = BS_HANDOVER_GATEWAY };
	int err = BS_OK;

	for (size_t i = 0; err == BS_OK && i < (size_t)sh->n_workers * sh->n_listen; i++) {
		it.worker = (uint16_t)(i / sh->n_listen);
		it.index = (uint16_t)(i % sh->n_listen);
		it.fd = sh->fd[i];
		err = bs_tcp_local(it.fd, &it.ep);
		if (err == BS_OK)
			err = bs_handover_add(h, &it);
	}
	return err;
}

int bs_gateway_bind(const struct bs_conf *conf, unsigned n_workers, struct bs_handover *inherited,
		    struct bs_gateway_shared **out)
{
	struct bs_gateway_shared *sh = calloc(1, sizeof(*sh));
	size_t n = (size_t)n_workers * conf->listen.n;
	int err = BS_OK;

	if (!sh)
		return BS_ENOMEM;
	sh->n_workers = n_workers;
	sh->n_listen = conf->listen.n;
	sh->port = conf->gateway_port;
	sh->fd = malloc(n * sizeof(*sh->fd));
	if (!sh->fd) {
		free(sh);
		return BS_ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		sh->fd[i] = -1;
	for (unsigned w = 0; err == BS_OK && w < n_workers; w++)
		for (unsigned i = 0; err == BS_OK && i < sh->n_listen; i++)
			err = inherited ? inherit(sh, inherited, w, i) : listen_on(sh, conf, w, i);
	if (err != BS_OK) {
		bs_gateway_unbind(sh);
		return err;
	}
	*out = sh;
	return BS_OK;
}

void bs_gateway_unbind(struct bs_gateway_shared *sh)
{
	if (!sh)
		return;
	for (size_t i = 0; i < (size_t)sh->n_workers * sh->n_listen; i++)
		bs_tcp_close(sh->fd[i]);
	free(sh->fd);
	free(sh);
}

uint16_t bs_gateway_port(const struct bs_gateway_shared *sh)
{
	return sh ? sh->port : 0;
}

/* Strangers: connected, but not a word yet about what for. */

static void visitor_unlink(struct bs_gateway *g, struct bs_gw_visitor *v)
{
	if (v->older)
		v->older->newer = v->newer;
	else
		g->oldest = v->newer;
	if (v->newer)
		v->newer->older = v->older;
	else
		g->newest = v->older;
}

/** Free the slot; the descriptor is returned, it may have another life. */
static int visitor_leave(struct bs_gw_visitor *v)
{
	struct bs_gateway *g = v->g;
	int fd = v->fd;

	bs_poller_remove(&g->poller, fd);
	visitor_unlink(g, v);
	bs_wipe(v->hello, sizeof(v->hello));
	v->fd = -1;
	v->newer = g->free_visitor;
	g->free_visitor = v;
	return fd;
}

/** The handshake is complete: on to the worker that holds the connection. */
static void hand_over(struct bs_gw_visitor *v)
{
	struct bs_gateway *g = v->g;
	struct bs_worker *w = g->w;
	struct bs_gw_hello hello;
	struct bs_message m;
	struct bs_packet p;
	int err = bs_packet_decode(v->hello, sizeof(v->hello), &p);

	if (err == BS_OK)
		err = bs_gw_hello_decode(&p, &hello);
	if (err != BS_OK) {
		bs_count(w->counters, BS_C_gateway_malformed);
		bs_tcp_close(visitor_leave(v));
		return;
	}
	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_GW_LEG;
	m.u.gw_leg.peer = v->peer;
	memcpy(m.u.gw_leg.hello, v->hello, sizeof(v->hello));
	m.u.gw_leg.fd = visitor_leave(v);
	if (bs_worker_send(w, bs_worker_of_nsi(w, hello.nsi_sp), &m) != BS_OK)
		bs_tcp_close(m.u.gw_leg.fd);
	bs_wipe(&m, sizeof(m));
	bs_wipe(&hello, sizeof(hello));
}

/** Edges are told once, so everything is read, the end behind half a handshake included. */
static void on_visitor(struct bs_source *source, unsigned events)
{
	struct bs_gw_visitor *v = (struct bs_gw_visitor *)(void *)source;
	bs_ssize n;

	(void)events;
	do {
		n = bs_tcp_read(v->fd, v->hello + v->n, sizeof(v->hello) - v->n);
		if (n == BS_EAGAIN)
			return;
		if (n <= 0) {
			bs_count(v->g->w->counters, BS_C_gateway_no_handshake);
			bs_tcp_close(visitor_leave(v));
			return;
		}
		v->n = (uint8_t)(v->n + n);
	} while (v->n < sizeof(v->hello));
	hand_over(v);
}

/** A slot: a flood of silent strangers pushes out the one that has been silent for longest. */
static struct bs_gw_visitor *visitor_take(struct bs_gateway *g)
{
	struct bs_gw_visitor *v;

	if (!g->free_visitor) {
		bs_count(g->w->counters, BS_C_gateway_no_handshake);
		bs_tcp_close(visitor_leave(g->oldest));
	}
	v = g->free_visitor;
	g->free_visitor = v->newer;
	v->newer = NULL;
	v->older = g->newest;
	if (g->newest)
		g->newest->newer = v;
	else
		g->oldest = v;
	g->newest = v;
	return v;
}

/** An address without port, and of IPv6 only the network: what one source can vary is left out. */
static uint64_t hash_source(const struct bs_gateway *g, const struct bs_endpoint *peer)
{
	uint8_t key[sizeof(peer->ip)];

	memcpy(key, peer->ip, sizeof(key));
	if (!bs_endpoint_is_ip4(peer))
		memset(key + 8, 0, sizeof(key) - 8);
	return bs_siphash(g->hash_key, key, sizeof(key));
}

static void admit(struct bs_gateway *g, int fd, const struct bs_endpoint *peer)
{
	struct bs_worker *w = g->w;
	struct bs_gw_visitor *v;

	bs_count(w->counters, BS_C_gateway_accepted);
	if (!bs_limiter_take(&g->sources, hash_source(g, peer),
			     (uint32_t)(w->now / BS_TIME_MS(1)))) {
		bs_count(w->counters, BS_C_gateway_source_rate);
		bs_tcp_close(fd);
		return;
	}
	bs_tcp_keepalive(fd);
	v = visitor_take(g);
	v->fd = fd;
	v->n = 0;
	v->peer = *peer;
	v->since = w->now;
	v->source.ready = on_visitor;
	if (bs_poller_add(&g->poller, fd, &v->source) != BS_OK) {
		bs_count(w->counters, BS_C_memory_failed);
		bs_tcp_close(visitor_leave(v));
	}
}

static void on_visitors(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct bs_gateway *g = io->data;

	(void)loop;
	(void)events;
	bs_poller_step(&g->poller);
}

static void accepting(struct bs_gateway *g, bool on)
{
	for (unsigned i = 0; i < g->n_listen && on != g->accepting; i++) {
		if (on)
			ev_io_start(g->w->loop, &g->listener[i].io);
		else
			ev_io_stop(g->w->loop, &g->listener[i].io);
	}
	g->accepting = on;
}

static void on_accept(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct bs_gw_listener *l =
		(struct bs_gw_listener *)((char *)io - offsetof(struct bs_gw_listener, io));
	struct bs_gateway *g = l->g;

	(void)loop;
	(void)events;
	for (int i = 0; i < ACCEPT_PER_TURN; i++) {
		struct bs_endpoint peer;
		int fd = bs_tcp_accept(io->fd, &peer);

		if (fd >= 0) {
			admit(g, fd, &peer);
			continue;
		}
		if (fd == BS_EAGAIN)
			return;
		/* The listener stays readable: without a pause the loop would spin. */
		bs_count(g->w->counters, BS_C_gateway_descriptors);
		bs_log_limited(&g->log_refused, g->w->now, BS_LOG_WARNING,
			       "gateway, cannot accept (%s)", bs_strerror(fd));
		accepting(g, false);
		g->accept_again = g->w->now + ACCEPT_PAUSE;
		return;
	}
}

/* Life. */

void bs_gateway_message(struct bs_gateway *g, const struct bs_message *m)
{
	bs__gw_leg(g, &m->u.gw_leg);
}

bool bs_gateway_is_busy(struct bs_gateway *g)
{
	/* Where reads are long already waiting gains nothing, and would bound a fast stream to a
	 * buffer for each wait. */
	bool busy = g->reads > READS_PER_TICK &&
		    g->read_bytes < (uint64_t)g->reads * (BS_GW_READ_MAX / 2);

	g->reads = 0;
	g->read_bytes = 0;
	return busy;
}

void bs_gateway_tick(struct bs_gateway *g, bs_time now)
{
	if (!g->accepting && !g->draining && BS_TIME_DIFF(now, g->accept_again) >= 0)
		accepting(g, true);
	while (g->oldest && BS_TIME_DIFF(now, g->oldest->since) >= (bs_time_diff)BS_GW_HELLO_WAIT) {
		bs_count(g->w->counters, BS_C_gateway_no_handshake);
		bs_tcp_close(visitor_leave(g->oldest));
	}
	bs__gw_bridges_tick(g, now);
}

void bs_gateway_drain(struct bs_gateway *g, bs_time span)
{
	if (g->draining)
		return;
	accepting(g, false);
	g->draining = true;
	g->drain_at = g->w->now + span / 2;
	g->drain_span = span - span / 2;
}

void bs_gateway_resume(struct bs_gateway *g)
{
	g->draining = false;
	g->drained = 0;
	accepting(g, true);
}

void bs_gateway_conf(struct bs_gateway *g)
{
	uint32_t rate = g->w->conf->gateway_rate;

	bs_limiter_set(&g->sources, rate, 2 * rate);
}

static void make_watchers(struct bs_gateway *g)
{
	const struct bs_gateway_shared *sh = g->shared;

	g->n_listen = sh->n_listen;
	for (unsigned i = 0; i < g->n_listen; i++) {
		struct bs_gw_listener *l = &g->listener[i];

		l->g = g;
		ev_io_init(&l->io, on_accept, sh->fd[g->w->index * sh->n_listen + i], EV_READ);
		ev_set_priority(&l->io, EV_MINPRI);
	}
	for (unsigned i = 0; i < BS_GW_VISITORS; i++) {
		g->visitor[i].g = g;
		g->visitor[i].fd = -1;
		g->visitor[i].newer = g->free_visitor;
		g->free_visitor = &g->visitor[i];
	}
	ev_io_init(&g->visitors, on_visitors, g->poller.fd, EV_READ);
	/* Datagrams are served before streams. */
	ev_set_priority(&g->visitors, EV_MINPRI);
	g->visitors.data = g;
	ev_io_start(g->w->loop, &g->visitors);
	accepting(g, true);
}

struct bs_gateway *bs_gateway_new(struct bs_worker *w, struct bs_gateway_shared *sh)
{
	struct bs_gateway *g = calloc(1, sizeof(*g));
	uint32_t rate = w->conf->gateway_rate;
	uint32_t cap = (w->conf->max_connections + w->n_workers - 1) / w->n_workers;
	int err = BS_ENOMEM;

	if (!g)
		goto fail;
	g->w = w;
	g->shared = sh;
	g->poller.fd = -1;
	g->visitor = calloc(BS_GW_VISITORS, sizeof(*g->visitor));
	if (!g->visitor)
		goto fail;
	err = w->crypto->random(w->crypto->ctx, g->hash_key, sizeof(g->hash_key));
	if (err == BS_OK)
		err = bs_limiter_init(&g->sources, SOURCE_BUCKETS, rate, 2 * rate);
	if (err == BS_OK)
		err = bs_pool_init(&g->bridges, cap, sizeof(struct bs_gw_bridge),
				   offsetof(struct bs_gw_bridge, next));
	if (err == BS_OK)
		err = bs_poller_init(&g->poller);
	if (err != BS_OK)
		goto fail;
	make_watchers(g);
	return g;
fail:
	bs_log_error("gateway, cannot start on worker %u (%s)", w->index, bs_strerror(err));
	bs_gateway_free(g);
	return NULL;
}

void bs_gateway_free(struct bs_gateway *g)
{
	if (!g)
		return;
	accepting(g, false);
	while (g->oldest)
		bs_tcp_close(visitor_leave(g->oldest));
	for (uint32_t i = 0; i < g->bridges.used; i++)
		bs_gateway_close(g, i);
	ev_io_stop(g->w->loop, &g->visitors);
	bs_poller_fini(&g->poller);
	bs_pool_fini(&g->bridges);
	bs_limiter_fini(&g->sources);
	free(g->visitor);
	free(g);
}
