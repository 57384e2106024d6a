/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log/log.h"
#include "net/sockaddr.h"
#include "net/steering.h"
#include "net/udp.h"
#include "server/gateway.h"
#include "server/handover.h"
#include "server/roles.h"
#include "server/server_internal.h"
#include "util/endpoint.h"

enum {
	WORKERS_LIMIT = 255, /* an index has to fit a byte, and main has one too */
	BACKLOG_FIRST = 64,
	ERR_MAX = 256,
	VOLUMES_MAX = BS_BULK_MAX / sizeof(struct bs_volume_row),
	SEEN_MAX = BS_BULK_MAX / sizeof(struct bs_last_seen),
};

static void BS_PRINTF(3, 4) tell(char *err, size_t cap, const char *fmt, ...)
{
	char text[ERR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	bs_log_error("%s", text);
	if (err && cap > 0)
		snprintf(err, cap, "%s", text);
}

/* ---- sockets ---- */

/* The socket that another process had there: its address and role have to be those of the conf. */
static int inherit_one(struct bs_handover *h, const struct bs_worker *w, struct bs_endpoint *ep,
		       uint8_t roles)
{
	const struct bs_handover_item *it =
		bs_handover_find(h, BS_HANDOVER_UDP, (uint16_t)w->index, (uint16_t)w->n_sockets);

	if (!it || it->role != roles || memcmp(it->ep.ip, ep->ip, sizeof(ep->ip)) != 0 ||
	    (ep->port != 0 && ep->port != it->ep.port))
		return BS_ENOENT;
	ep->port = it->ep.port;
	return bs_handover_take(h, BS_HANDOVER_UDP, (uint16_t)w->index, (uint16_t)w->n_sockets);
}

static int open_one(struct bs_server *s, struct bs_worker *w, const struct bs_endpoint *address,
		    uint16_t *port, uint8_t roles, char *err, size_t cap)
{
	struct bs_endpoint ep = *address;
	char text[BS_ENDPOINT_TEXT_MAX];
	uint64_t buffer = s->conf->socket_buffer;
	int fd = BS_OK;

	ep.port = *port;
	if (s->inherited) {
		fd = inherit_one(s->inherited, w, &ep, roles);
		if (fd < 0) {
			tell(err, cap,
			     "server, an upgrade cannot change listen, controller-port or "
			     "attach-port (UDP %s is new); restart instead",
			     bs_sockaddr_text(&ep, text, sizeof(text)));
			return BS_ECONF;
		}
		goto have;
	}
	if (w->index == 0 && *port != 0)
		fd = bs_udp_check_free(&ep);
	if (fd == BS_OK)
		fd = bs_udp_open(&ep, buffer);
	if (fd < 0) {
		tell(err, cap, "server, cannot listen on UDP %s for %s (%s)",
		     bs_sockaddr_text(&ep, text, sizeof(text)),
		     roles & BS_SOCKET_CONTROLLER ? "controller-port" : "attach-port",
		     bs_listen_remedy(fd));
		return fd;
	}
have:
	w->socket[w->n_sockets++] = (struct bs_worker_socket){ .fd = fd, .roles = roles, .ep = ep };
	*port = ep.port;
	return BS_OK;
}

/* The sockets of one worker.  Worker 0 picks the ports that conf leaves open. */
static int open_sockets(struct bs_server *s, struct bs_worker *w, char *err, size_t cap)
{
	const struct bs_conf *c = s->conf;
	bool single = c->controller_port != 0 && c->controller_port == c->attach_port;
	uint8_t first = single ? BS_SOCKET_CONTROLLER | BS_SOCKET_ATTACH : BS_SOCKET_CONTROLLER;
	uint32_t i;
	int rc = BS_OK;

	for (i = 0; i < c->listen.n && rc == BS_OK; i++) {
		rc = open_one(s, w, &c->listen.v[i], &s->controller_port, first, err, cap);
		if (rc == BS_OK && !single)
			rc = open_one(s, w, &c->listen.v[i], &s->attach_port, BS_SOCKET_ATTACH, err,
				      cap);
	}
	if (single)
		s->attach_port = s->controller_port;
	return rc;
}

/* One program per reuseport group: the sockets of worker 0 stand for them. */
static void steer(struct bs_server *s, bool wanted)
{
	const struct bs_worker *w = &s->worker[0];
	unsigned i;

	s->steering = s->n_workers == 1;
	if (s->steering || !wanted)
		return;
	for (i = 0; i < w->n_sockets; i++) {
		int rc = bs_steering_attach(w->socket[i].fd, s->n_workers);

		if (rc != BS_OK) {
			bs_log_notice(
				"server, the kernel does not steer datagrams to workers, they "
				"forward instead (%s)",
				bs_strerror(rc));
			return;
		}
	}
	s->steering = true;
}

/* ---- life ---- */

static unsigned count_workers(const struct bs_server_options *o)
{
	const struct bs_handover_item *it =
		o->inherited ? bs_handover_find(o->inherited, BS_HANDOVER_WORKERS, 0, 0) : NULL;
	long n = o->conf->workers;

	/* the kernel steers by the number of sockets that there are */
	if (it)
		n = it->role;
	if (n == 0)
		n = sysconf(_SC_NPROCESSORS_ONLN);
	if (n < 1)
		n = 1;
	return n > WORKERS_LIMIT ? WORKERS_LIMIT : (unsigned)n;
}

static uint64_t unix_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bs_time monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (bs_time)ts.tv_sec * BS_TIME_MS(1000) + (bs_time)ts.tv_nsec;
}

static int bind_all(struct bs_server *s, const struct bs_server_options *o, char *err, size_t cap)
{
	unsigned i;
	int rc = BS_OK;

	s->controller_port = s->conf->controller_port;
	s->attach_port = s->conf->attach_port;
	for (i = 0; i < s->n_workers && rc == BS_OK; i++) {
		s->worker[i].index = i;
		rc = open_sockets(s, &s->worker[i], err, cap);
	}
	if (rc == BS_OK && s->controller_port == s->attach_port)
		bs_log_notice("server, controller and attach server share port %u: devices cannot "
			      "detect their own symmetric NAT",
			      s->attach_port);
	if (rc == BS_OK && o->gate) {
		rc = o->gate->bind(s->conf, o->registry, s->n_workers, o->inherited,
				   &s->shared.gate_shared);
		if (rc != BS_OK && err && cap > 0)
			snprintf(err, cap, "server, the client gate cannot start (%s)",
				 bs_strerror(rc));
	}
	if (rc == BS_OK && o->gate) {
		rc = bs_gateway_bind(s->conf, s->n_workers, o->inherited,
				     &s->shared.gateway_shared);
		if (rc != BS_OK && err && cap > 0)
			snprintf(err, cap, "server, the TCP relay cannot start (%s)",
				 bs_strerror(rc));
	}
	return rc;
}

/* ---- state ---- */

/* The old process's file, or 0. */
static int state_of(struct bs_handover *h)
{
	int fd = h ? bs_handover_take(h, BS_HANDOVER_STATE, 0, 0) : 0;

	return fd > 0 ? fd : 0;
}

static int open_state(struct bs_server *s, const struct bs_server_options *o, char *err, size_t cap)
{
	bs_time now;
	uint64_t wall_ms;
	struct bs_state_options so = {
		.path = s->conf->state_file,
		.inherited = state_of(o->inherited),
		.n_shards = s->n_workers,
		/* as long as the most patient device may be silent, see bs_interval_pace() */
		.patience = s->conf->alive_timeout + s->conf->alive_max * 13 / 10,
		.reserve = s->conf->state_reserve,
		.chown = o->chown,
		.uid = o->uid,
		.gid = o->gid,
	};
	char text[ERR_MAX];
	int rc;

	bs__clock_read(o->clock, s->n_workers, &now, &wall_ms);
	so.now = now;
	memcpy(so.registry, bs_registry_instance(o->registry), sizeof(so.registry));
	bs__state_specs(s->conf, s->n_workers, so.spec);
	rc = bs_state_open(&so, &s->shared.state, text, sizeof(text));
	if (rc != BS_OK)
		tell(err, cap, "%s", text);
	return rc;
}

/* The devices of the process before. */
static int restore(struct bs_server *s, char *err, size_t cap)
{
	bs_time begin = monotonic();
	struct bs_restored done;
	int rc = bs__restore(s->worker, s->n_workers, s->shared.state, &done);

	if (rc != BS_OK)
		tell(err, cap, "state, cannot go on with the devices of before (%s)",
		     bs_strerror(rc));
	else if (bs_state_found(s->shared.state) != BS_STATE_NEW)
		bs_log_pairs(BS_LOG_NOTICE,
			     BS_LOG_PAIRS(BS_LOG_U64("devices", done.kept),
					  BS_LOG_U64("left_out", done.left_out),
					  BS_LOG_U64("ms", (monotonic() - begin) / BS_TIME_PER_MS)),
			     "state, goes on with the devices of before");
	return rc;
}

static int init_workers(struct bs_server *s, char *err, size_t cap)
{
	unsigned i;
	int rc;

	for (i = 0; i < s->n_workers; i++) {
		s->n_inited = i + 1;
		rc = bs__worker_init(&s->worker[i], &s->shared, i);
		if (rc != BS_OK) {
			tell(err, cap, "server, cannot set up worker %u (%s)", i, bs_strerror(rc));
			return rc;
		}
	}
	return BS_OK;
}

int bs_server_bind(const struct bs_server_options *o, struct bs_server **out, char *err, size_t cap)
{
	struct bs_server *s = calloc(1, sizeof(*s));
	int rc = BS_ENOMEM;

	if (!s)
		return BS_ENOMEM;
	s->conf = bs_conf_ref(o->conf);
	s->n_workers = count_workers(o);
	s->inherited = o->inherited;
	s->shared.frozen = o->frozen;
	s->shared.clock = o->clock;
	s->worker = calloc(s->n_workers, sizeof(*s->worker));
	s->backlog = calloc(s->n_workers, sizeof(*s->backlog));
	s->shared.n_workers = s->n_workers;
	s->shared.registry = o->registry;
	s->shared.gate_ops = o->gate;
	s->shared.pin = !o->no_pinning && (long)s->n_workers <= sysconf(_SC_NPROCESSORS_ONLN);
	atomic_init(&s->shared.conf, s->conf);
	if (s->worker && s->backlog)
		s->shared.post = bs_post_new(s->n_workers);
	s->shared.demand = aligned_alloc(64, s->n_workers * sizeof(*s->shared.demand));
	if (s->shared.demand)
		memset(s->shared.demand, 0, s->n_workers * sizeof(*s->shared.demand));
	if (s->shared.post && s->shared.demand)
		rc = bind_all(s, o, err, cap);
	else
		tell(err, cap, "server, no memory for %u workers", s->n_workers);
	if (rc == BS_OK)
		rc = open_state(s, o, err, cap);
	if (rc == BS_OK)
		rc = init_workers(s, err, cap);
	if (rc == BS_OK)
		rc = restore(s, err, cap);
	if (rc != BS_OK) {
		bs_server_free(s);
		return rc;
	}
	/* only for the time of the call */
	s->inherited = NULL;
	steer(s, !o->no_steering);
	s->shared.steered = s->steering;
	*out = s;
	return BS_OK;
}

int bs_server_run(struct bs_server *s, struct bs_store_inbox *store)
{
	unsigned i;
	int rc;

	s->store = store;
	s->started_ms = unix_ms();
	s->running = true;
	for (i = 0; i < s->n_workers; i++) {
		rc = bs__worker_start(&s->worker[i]);
		if (rc != BS_OK) {
			bs_log_error("server, cannot start worker %u (%s)", i, bs_strerror(rc));
			bs_server_stop(s);
			return rc;
		}
	}
	return BS_OK;
}

void bs_server_stop(struct bs_server *s)
{
	struct bs_message m;
	unsigned i;

	if (!s || !s->running)
		return;
	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_STOP;
	for (i = 0; i < s->n_workers; i++) {
		/* A worker drains its ring, so a full one has room again soon. */
		while (s->worker[i].events && bs_post_put(s->shared.post, s->n_workers, i, &m)) {
			struct timespec ts = { 0, 1000000 };

			bs_post_wake(s->shared.post, i);
			nanosleep(&ts, NULL);
		}
		bs_post_wake(s->shared.post, i);
	}
	for (i = 0; i < s->n_workers; i++)
		bs__worker_join(&s->worker[i]);
	s->running = false;
	bs_server_process(s);
	bs__server_questions_end(s, BS_ECLOSED);
}

void bs_server_free(struct bs_server *s)
{
	unsigned i;
	unsigned k;

	if (!s)
		return;
	bs_server_stop(s);
	for (i = 0; s->worker && i < s->n_workers; i++) {
		for (k = 0; k < s->worker[i].n_sockets; k++)
			bs_udp_close(s->worker[i].socket[k].fd);
	}
	for (i = 0; i < s->n_inited; i++)
		bs__worker_fini(&s->worker[i]);
	bs_state_close(s->shared.state);
	if (s->shared.gate_ops && s->shared.gate_shared)
		s->shared.gate_ops->unbind(s->shared.gate_shared);
	bs_gateway_unbind(s->shared.gateway_shared);
	for (i = 0; s->backlog && i < s->n_workers; i++)
		free(s->backlog[i].m);
	free(s->shared.demand);
	bs_post_free(s->shared.post);
	free(s->worker);
	free(s->backlog);
	bs_conf_unref(s->conf);
	if (s->old_conf)
		bs_conf_unref(s->old_conf);
	if (s->next_conf)
		bs_conf_unref(s->next_conf);
	free(s);
}

/* ---- conf ---- */

static void publish_conf(struct bs_server *s, const struct bs_conf *conf);

static void conf_passed(void *arg, int err)
{
	struct bs_server *s = arg;
	const struct bs_conf *next = s->next_conf;

	/* A worker that did not answer may still use it: rather keep it for good. */
	if (err == BS_OK && s->old_conf)
		bs_conf_unref(s->old_conf);
	s->old_conf = NULL;
	s->next_conf = NULL;
	if (next)
		publish_conf(s, next);
}

static void publish_conf(struct bs_server *s, const struct bs_conf *conf)
{
	s->old_conf = s->conf;
	s->conf = conf;
	/* Release: the snapshot's content is there before its address. */
	atomic_store_explicit(&s->shared.conf, conf, memory_order_release);
	if (!s->running || bs__server_sync(s, conf_passed, s) != BS_OK)
		conf_passed(s, s->running ? BS_EFULL : BS_OK);
}

int bs_server_reload(struct bs_server *s, const struct bs_conf *conf)
{
	int rc = BS_OK;

	if (s->shared.gate_ops)
		rc = s->shared.gate_ops->reload(s->shared.gate_shared, conf);
	if (rc != BS_OK)
		return rc;
	conf = bs_conf_ref(conf);
	if (s->old_conf) {
		/* One at a time: the newest waits, one between is never used. */
		if (s->next_conf)
			bs_conf_unref(s->next_conf);
		s->next_conf = conf;
		return BS_OK;
	}
	publish_conf(s, conf);
	return BS_OK;
}

/* ---- mail ---- */

static bool backlog_add(struct bs_backlog *b, const struct bs_message *m)
{
	if (b->n == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : BACKLOG_FIRST;
		struct bs_message *p = realloc(b->m, cap * sizeof(*p));

		if (!p)
			return false;
		b->m = p;
		b->cap = cap;
	}
	b->m[b->n++] = *m;
	return true;
}

static void backlog_send(struct bs_server *s, unsigned to)
{
	struct bs_backlog *b = &s->backlog[to];
	size_t i = 0;

	while (i < b->n && bs_post_put(s->shared.post, s->n_workers, to, &b->m[i]) == BS_OK)
		i++;
	if (i == 0)
		return;
	memmove(b->m, b->m + i, (b->n - i) * sizeof(*b->m));
	b->n -= i;
	bs_post_wake(s->shared.post, to);
}

void bs__server_post(struct bs_server *s, unsigned to, const struct bs_message *m)
{
	struct bs_backlog *b = &s->backlog[to];

	if (b->n == 0 && bs_post_put(s->shared.post, s->n_workers, to, m) == BS_OK) {
		bs_post_wake(s->shared.post, to);
		return;
	}
	if (!backlog_add(b, m))
		bs_log_error("server, no memory to tell worker %u of a change", to);
	backlog_send(s, to);
}

static void take_last_seen(struct bs_server *s, const struct bs_bulk *b)
{
	struct bs_store_seen seen[SEEN_MAX];
	struct bs_store_request req;
	struct bs_last_seen row;
	unsigned i;

	if (!s->store || b->n == 0)
		return;
	for (i = 0; i < b->n && i < SEEN_MAX; i++) {
		memcpy(&row, b->data + i * sizeof(row), sizeof(row));
		seen[i].number = row.number;
		seen[i].when = row.seen_s;
	}
	memset(&req, 0, sizeof(req));
	req.op = BS_STORE_SEEN;
	req.u.seen.v = seen;
	req.u.seen.n = i;
	/* A queue that is full now loses an hour's note, no more. */
	if (bs_store_submit(s->store, &req) != BS_OK)
		bs_log_debug("server, last-seen batch not stored (%u devices)", i);
}

static void take_volume(struct bs_server *s, const struct bs_bulk *b)
{
	struct bs_store_volume v[VOLUMES_MAX];
	struct bs_store_request req;
	struct bs_volume_row row;
	unsigned i;

	if (!s->store || b->n == 0)
		return;
	memset(v, 0, sizeof(v));
	for (i = 0; i < b->n && i < VOLUMES_MAX; i++) {
		memcpy(&row, b->data + i * sizeof(row), sizeof(row));
		memcpy(v[i].identity, row.identity, sizeof(v[i].identity));
		memcpy(v[i].ca_fp, row.ca_fp, sizeof(v[i].ca_fp));
		v[i].add.month = row.month;
		v[i].add.bytes = row.bytes;
	}
	memset(&req, 0, sizeof(req));
	req.op = BS_STORE_VOLUME;
	req.u.volume.v = v;
	req.u.volume.n = i;
	if (bs_store_submit(s->store, &req) != BS_OK)
		bs_log_warning("server, relayed bytes of %u clients were not stored", i);
}

static void take_bulk(struct bs_server *s, unsigned from)
{
	struct bs_bulk *b;

	while ((b = bs_post_bulk_peek(s->shared.post, from, s->n_workers)) != NULL) {
		if (b->kind == BS_BULK_LAST_SEEN)
			take_last_seen(s, b);
		else if (b->kind == BS_BULK_VOLUME)
			take_volume(s, b);
		else
			bs__server_rows(s, b);
		bs_post_bulk_done(s->shared.post, from, s->n_workers);
	}
}

void bs_server_process(struct bs_server *s)
{
	struct bs_message *m;
	unsigned from;

	bs_post_clear(s->shared.post, s->n_workers);
	for (from = 0; from < s->n_workers; from++) {
		while ((m = bs_post_peek(s->shared.post, from, s->n_workers)) != NULL) {
			/* The rows of an answer were put before it. */
			take_bulk(s, from);
			if (m->kind == BS_MSG_ANSWER)
				bs__server_answer(s, from, m);
			bs_post_done(s->shared.post, from, s->n_workers);
		}
		take_bulk(s, from);
	}
}

void bs_server_tick(struct bs_server *s, bs_time now)
{
	unsigned i;

	s->now = now;
	for (i = 0; i < s->n_workers; i++)
		backlog_send(s, i);
	bs__server_questions_tick(s);
	if (s->shared.gate_ops)
		s->shared.gate_ops->main_tick(s->shared.gate_shared, now);
}

int bs_server_fd(const struct bs_server *s)
{
	return bs_post_fd(s->shared.post, s->n_workers);
}

static void broadcast_revoke(struct bs_server *s, uint8_t kind, uint32_t number, uint64_t epoch)
{
	struct bs_message m;
	unsigned i;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_REVOKE;
	m.number = number;
	m.u.revoke.kind = kind;
	m.u.revoke.epoch = epoch;
	for (i = 0; i < s->n_workers; i++)
		bs__server_post(s, i, &m);
}

/* The set of CAs that clients are verified with may be another one. */
static void renew_gate(struct bs_server *s)
{
	if (s->shared.gate_ops &&
	    s->shared.gate_ops->reload(s->shared.gate_shared, s->conf) != BS_OK)
		bs_log_error("server, the client gate keeps its old certificates");
}

void bs_server_change(struct bs_server *s, const struct bs_store_change *change)
{
	const struct bs_epochs *e = &change->epochs;

	if (!s->running)
		return;
	switch (change->kind) {
	case BS_CHANGE_DEVICE_REMOVED:
		broadcast_revoke(s, BS_MSG_REVOKE_DEVICE, change->number, e->access);
		break;
	case BS_CHANGE_DEVICE_STATE:
		if (change->state != BS_RECORD_ENABLED)
			broadcast_revoke(s, BS_MSG_REVOKE_DEVICE, change->number, e->access);
		broadcast_revoke(s, BS_MSG_REVOKE_RULE, 0, e->access);
		break;
	case BS_CHANGE_DEVICE_TAGS:
	case BS_CHANGE_RULE: broadcast_revoke(s, BS_MSG_REVOKE_RULE, 0, e->access); break;
	case BS_CHANGE_CLIENT: broadcast_revoke(s, BS_MSG_REVOKE_CLIENT, 0, e->access); break;
	case BS_CHANGE_CA:
		renew_gate(s);
		broadcast_revoke(s, BS_MSG_REVOKE_CERT, 0, e->crl);
		break;
	case BS_CHANGE_REVOKED: broadcast_revoke(s, BS_MSG_REVOKE_CERT, 0, e->crl); break;
	case BS_CHANGE_MANY:
		renew_gate(s);
		broadcast_revoke(s, BS_MSG_REVOKE_DEVICE, 0, e->access);
		broadcast_revoke(s, BS_MSG_REVOKE_RULE, 0, e->access);
		broadcast_revoke(s, BS_MSG_REVOKE_CERT, 0, e->crl);
		break;
	default: break;
	}
}

/* ---- figures ---- */

void bs_server_info(const struct bs_server *s, struct bs_server_info *info)
{
	unsigned i;

	memset(info, 0, sizeof(*info));
	info->n_workers = s->n_workers;
	info->steering = s->steering;
	info->draining = s->draining;
	info->single_port = s->controller_port == s->attach_port;
	info->controller_port = s->controller_port;
	info->attach_port = s->attach_port;
	if (s->shared.gate_ops)
		info->client_port = s->shared.gate_ops->port(s->shared.gate_shared);
	info->gateway_port = bs_gateway_port(s->shared.gateway_shared);
	info->started_ms = s->started_ms;
	info->device_bytes = bs_roles_device_bytes();
	info->max_devices = s->conf->max_devices;
	for (i = 0; i < s->n_workers; i++)
		info->slab_bytes += bs_slab_bytes(&s->worker[i].roles->slab);
}

const struct bs_counters *bs_server_worker_counters(const struct bs_server *s, unsigned worker)
{
	return worker < s->n_workers ? s->worker[worker].counters : NULL;
}

void bs_server_counters(const struct bs_server *s, uint64_t out[BS_COUNTER_N])
{
	unsigned w;
	size_t i;

	for (i = 0; i < BS_COUNTER_N; i++) {
		out[i] = 0;
		for (w = 0; w < s->n_workers; w++)
			out[i] += bs_count_get(s->worker[w].counters, (enum bs_counter)i);
	}
}
