/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "net/sockaddr.h"
#include "server/worker.h"
#include "util/endpoint.h"

/* ---- the clock ---- */

enum {
	/* So far it goes at once: shorter than every span that a conf of these tests names. */
	CLOCK_STEP_MS = 10,
	/* A worker that is stopped, or stands still, is not waited for any longer. */
	CLOCK_WAIT_MS = 500,
};

static struct {
	pthread_mutex_t lock;
	bs_time now;  /* what everybody is told */
	bs_time base; /* now at the start */
	bs_time real; /* when it last went on */
	uint64_t wall_ms;
	unsigned n_workers;
	bool turned[BS_CONF_WORKERS_MAX]; /* began a turn since then */
} hands = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bs_time real_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (bs_time)ts.tv_sec * UINT64_C(1000000000) + (bs_time)ts.tv_nsec;
}

static void start_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	pthread_mutex_lock(&hands.lock);
	hands.real = real_now();
	/* It may be behind by much, never ahead. */
	hands.now = hands.base = hands.real;
	hands.wall_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	hands.n_workers = 0;
	pthread_mutex_unlock(&hands.lock);
}

static void read_clock(void *arg, unsigned who, bs_time *now, uint64_t *unix_ms)
{
	(void)arg;
	pthread_mutex_lock(&hands.lock);
	if (who < hands.n_workers)
		hands.turned[who] = true;
	*now = hands.now;
	*unix_ms = hands.wall_ms + (hands.now - hands.base) / BS_TIME_PER_MS;
	pthread_mutex_unlock(&hands.lock);
}

const struct bs_server_clock *rig_clock(void)
{
	static const struct bs_server_clock clock = { .read = read_clock };

	return &clock;
}

static bool all_turned(void)
{
	unsigned i;

	for (i = 0; i < hands.n_workers && hands.turned[i]; i++)
		;
	return i == hands.n_workers;
}

bs_time rig_now(void)
{
	bs_time real = real_now();
	bs_time step;
	bs_time now;

	pthread_mutex_lock(&hands.lock);
	step = real - hands.real;
	if (step > 0 && (all_turned() || step > BS_TIME_MS(CLOCK_WAIT_MS))) {
		hands.now += step < BS_TIME_MS(CLOCK_STEP_MS) ? step : BS_TIME_MS(CLOCK_STEP_MS);
		hands.real = real;
		memset(hands.turned, 0, sizeof(hands.turned));
	}
	now = hands.now;
	pthread_mutex_unlock(&hands.lock);
	return now;
}

/* ---- the gate of the rig ---- */

struct bs_gate {
	struct bs_worker *w;
	struct rig *rig;
};

static struct rig *rig_of_gate;

static int gate_bind(const struct bs_conf *conf, struct bs_registry *registry, unsigned n,
		     struct bs_handover *inherited, void **shared)
{
	(void)inherited;
	(void)conf;
	(void)registry;
	(void)n;
	*shared = rig_of_gate;
	return BS_OK;
}

static void gate_unbind(void *shared)
{
	(void)shared;
}

static int gate_reload(void *shared, const struct bs_conf *conf)
{
	(void)shared;
	(void)conf;
	return BS_OK;
}

static void gate_main_tick(void *shared, bs_time t)
{
	(void)shared;
	(void)t;
}

static uint16_t gate_port(void *shared)
{
	(void)shared;
	return 5571;
}

static struct bs_gate *gate_new(struct bs_worker *w, void *shared)
{
	struct bs_gate *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->w = w;
	g->rig = shared;
	pthread_mutex_lock(&g->rig->lock);
	g->rig->gates++;
	pthread_mutex_unlock(&g->rig->lock);
	return g;
}

static void gate_free(struct bs_gate *g)
{
	pthread_mutex_lock(&g->rig->lock);
	g->rig->gates--;
	pthread_mutex_unlock(&g->rig->lock);
	free(g);
}

static void gate_probe(struct bs_gate *g, const struct bs_packet *p, const struct bs_endpoint *from,
		       unsigned socket, const struct bs_endpoint *local)
{
	(void)p;
	pthread_mutex_lock(&g->rig->lock);
	g->rig->probes++;
	pthread_mutex_unlock(&g->rig->lock);
	bs_worker_udp_reply(g->w, socket, local, from, p->bytes, BS_HEADER_MIN);
}

static void gate_message(struct bs_gate *g, struct bs_message *m)
{
	bool hang_up;

	pthread_mutex_lock(&g->rig->lock);
	hang_up = g->rig->hang_up && m->kind == BS_MSG_CONNECT_RESULT &&
		  m->u.result.status == BS_ST_OK;
	if (g->rig->n_results < RIG_RESULTS) {
		g->rig->result[g->rig->n_results].m = *m;
		g->rig->result[g->rig->n_results].worker = g->w->index;
		g->rig->n_results++;
	}
	pthread_mutex_unlock(&g->rig->lock);
	if (hang_up) {
		struct bs_message d = { .kind = BS_MSG_DISCONNECT, .ref = m->ref };

		d.gate = (uint8_t)g->w->index;
		d.u.conn.nsi = m->u.result.nsi;
		d.u.conn.status = BS_ST_ABORTED;
		d.u.conn.tell_device = true;
		(void)bs_worker_send(g->w, bs_worker_of_nsi(g->w, d.u.conn.nsi), &d);
	}
}

static void gate_tick(struct bs_gate *g, bs_time t)
{
	struct bs_message junk = { .kind = BS_MSG_NONE };
	struct bs_message m;
	unsigned flood = 0;
	unsigned to = 0;
	bool has = false;

	(void)t;
	pthread_mutex_lock(&g->rig->lock);
	g->rig->work_ticks += g->rig->work > 0;
	if (g->rig->turns > g->rig->most_turns)
		g->rig->most_turns = g->rig->turns;
	g->rig->turns = 0;
	if (g->rig->n_done < g->rig->n_orders &&
	    g->rig->order[g->rig->n_done].gate == g->w->index) {
		m = g->rig->order[g->rig->n_done];
		to = g->rig->order_to[g->rig->n_done++];
		has = true;
		flood = g->rig->flood;
		g->rig->flood = 0;
	}
	pthread_mutex_unlock(&g->rig->lock);
	while (flood > 0 && bs_worker_send(g->w, flood - 1, &junk) == BS_OK)
		;
	if (has)
		(void)bs_worker_send(g->w, to, &m);
}

static void gate_nothing(struct bs_gate *g)
{
	(void)g;
}

static int gate_collect(void *shared, struct bs_handover *h)
{
	(void)shared;
	(void)h;
	return BS_OK;
}

static void gate_drain(struct bs_gate *g, bs_time span)
{
	(void)g;
	(void)span;
}

static bool gate_turn(struct bs_gate *g)
{
	bool more;

	pthread_mutex_lock(&g->rig->lock);
	more = g->rig->work > 0;
	g->rig->work -= more;
	g->rig->turns++;
	pthread_mutex_unlock(&g->rig->lock);
	return more;
}

static bool gate_is_busy(struct bs_gate *g)
{
	bool busy;

	pthread_mutex_lock(&g->rig->lock);
	busy = g->rig->busy;
	pthread_mutex_unlock(&g->rig->lock);
	return busy;
}

static const struct bs_gate_ops gate_ops = {
	.bind = gate_bind,
	.collect = gate_collect,
	.unbind = gate_unbind,
	.reload = gate_reload,
	.main_tick = gate_main_tick,
	.port = gate_port,
	.new = gate_new,
	.free = gate_free,
	.probe = gate_probe,
	.ticket = gate_probe,
	.message = gate_message,
	.turn = gate_turn,
	.is_busy = gate_is_busy,
	.tick = gate_tick,
	.conf_changed = gate_nothing,
	.drain = gate_drain,
	.resume = gate_nothing,
};

void rig_order(struct rig *r, unsigned from, unsigned to, const struct bs_message *m)
{
	pthread_mutex_lock(&r->lock);
	ck_assert_uint_lt(r->n_orders, RIG_RESULTS);
	r->order[r->n_orders] = *m;
	r->order[r->n_orders].gate = (uint8_t)from;
	r->order_to[r->n_orders++] = to;
	pthread_mutex_unlock(&r->lock);
}

void rig_connect(struct rig *r, unsigned gate, uint32_t number, uint64_t ref, uint64_t attempt)
{
	static const char client[] = "user@example.com";
	struct bs_worker w = { .n_workers = r->info.n_workers };
	struct bs_message m = { .kind = BS_MSG_CONNECT, .number = number, .ref = ref };

	m.u.connect.attempt = attempt;
	m.u.connect.client_hash = 7;
	bs_endpoint_set_ip4(&m.u.connect.priv, 0x0A000001, 4000);
	bs_endpoint_set_ip4(&m.u.connect.global, 0x7F000001, 4001);
	m.u.connect.client_id_len = sizeof(client) - 1;
	memcpy(m.u.connect.client_id, client, sizeof(client) - 1);
	memset(m.u.connect.fp, 0xF0, sizeof(m.u.connect.fp));
	rig_order(r, gate, bs_worker_owner(&w, number), &m);
}

unsigned rig_results(struct rig *r)
{
	unsigned n;

	pthread_mutex_lock(&r->lock);
	n = r->n_results;
	pthread_mutex_unlock(&r->lock);
	return n;
}

static bool has_results(struct rig *r, void *arg)
{
	return rig_results(r) > *(unsigned *)arg;
}

struct bs_message rig_result(struct rig *r, unsigned n)
{
	struct bs_message m;

	rig_until(r, has_results, &n);
	pthread_mutex_lock(&r->lock);
	m = r->result[n].m;
	pthread_mutex_unlock(&r->lock);
	return m;
}

/* ---- the server ---- */

/* What every rig says unless its own lines do. */
static const char *const conf_lines[] = {
	/* Several of these programs may run at a time. */
	"gateway-port = 0",
	"max-devices = 1000",
	"max-clients = 100",
	"max-connections = 1000",
	"pending-entries = 1024",
	"alive-interval = 100ms",
	"alive-retry = 50ms",
	"alive-unreachable = 400ms",
	"alive-timeout = 800ms",
	"connect-retry = 100ms",
	"connect-timeout = 450ms",
	"attach-rate-unknown = 1000/s",
	"attach-rate-prefix = 1000/s",
	"attach-rate-id = 100/s",
	"attach-burst-id = 100",
};

/* Whether the own lines set the key of this one. */
static bool is_set(const char *own, const char *line)
{
	char key[64];

	snprintf(key, sizeof(key), "%.*s =", (int)strcspn(line, " "), line);
	return own && strstr(own, key);
}

/* A port that was free a moment ago, for "both roles on one port". */
static uint16_t free_port(bool ip6)
{
	struct bs_endpoint ep;
	union bs_sockaddr sa;
	socklen_t len;
	int fd;

	memset(&ep, 0, sizeof(ep));
	if (ip6)
		ep.ip[15] = 1;
	else
		bs_endpoint_set_ip4(&ep, 0x7F000001, 0);
	len = bs_sockaddr_set(&sa, &ep);
	fd = socket(sa.sa.sa_family, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(fd, &sa.sa, len), 0);
	ck_assert_int_eq(getsockname(fd, &sa.sa, &len), 0);
	bs_sockaddr_get(&sa, &ep);
	close(fd);
	return ep.port;
}

const struct bs_conf *rig_conf(const struct rig *r, const struct rig_options *o)
{
	const struct bs_conf *conf;
	struct bs_conf_error error = { "" };
	char text[2048];
	unsigned port = 0;
	unsigned i;
	int len;

	(void)r;
	if (o->single_port)
		port = r->info.attach_port ? r->info.attach_port : free_port(o->ip6);
	len = snprintf(text, sizeof(text),
		       "listen = { %s }\ncontroller-port = %u\nattach-port = %u\nworkers = %u\n",
		       o->ip6 ? "\"::1\"" : "\"127.0.0.1\"", port, port,
		       o->workers ? o->workers : 1);
	for (i = 0; i < BS_LEN(conf_lines); i++) {
		if (!is_set(o->conf, conf_lines[i]))
			len += snprintf(text + len, sizeof(text) - (size_t)len, "%s\n",
					conf_lines[i]);
	}
	len += snprintf(text + len, sizeof(text) - (size_t)len, "%s", o->conf ? o->conf : "");
	ck_assert_msg(bs_conf_load_text("test", text, (size_t)len, &conf, &error) == BS_OK, "%s",
		      error.text);
	return conf;
}

/* The port that was free a moment ago may be another program's by now. */
static void bind_server(struct rig *r, const struct rig_options *o)
{
	struct bs_server_options so = { .gate = &gate_ops,
					.no_steering = o->no_steering,
					.clock = rig_clock() };
	char err[256] = "";
	unsigned tries = 0;
	int rc;

	do {
		bs_conf_unref(r->conf);
		r->conf = rig_conf(r, o);
		so.conf = r->conf;
		so.registry = r->box.reg;
		rc = bs_server_bind(&so, &r->server, err, sizeof(err));
	} while (rc == BS_EBUSY && o->single_port && ++tries < 5);
	ck_assert_msg(rc == BS_OK, "%s", err);
}

void rig_init(struct rig *r, const struct rig_options *o)
{
	memset(r, 0, sizeof(*r));
	start_clock();
	pthread_mutex_init(&r->lock, NULL);
	box_init(&r->box);
	box_open(&r->box);
	rig_of_gate = r;
	bind_server(r, o);
	ck_assert_int_eq(bs_server_run(r->server, r->box.in), BS_OK);
	bs_server_info(r->server, &r->info);
	pthread_mutex_lock(&hands.lock);
	hands.n_workers = r->info.n_workers;
	pthread_mutex_unlock(&hands.lock);
	if (o->ip6) {
		r->address.ip[15] = 1;
		r->address.port = r->info.controller_port;
	} else {
		bs_endpoint_set_ip4(&r->address, 0x7F000001, r->info.controller_port);
	}
}

void rig_fini(struct rig *r)
{
	unsigned i;

	bs_server_free(r->server);
	for (i = 0; i < r->n_devices; i++)
		rig_device_free(r->device[i]);
	ck_assert_uint_eq(r->gates, 0);
	bs_conf_unref(r->conf);
	box_close(&r->box);
	box_fini(&r->box);
	pthread_mutex_destroy(&r->lock);
}

struct rig_device *rig_stranger(struct rig *r, const char *id, uint8_t fill, uint32_t ext)
{
	struct rig_device *d = rig_device_new(id, fill, ext, &r->address);

	ck_assert_uint_lt(r->n_devices, RIG_DEVICES);
	d->rig = r;
	r->device[r->n_devices++] = d;
	return d;
}

struct rig_device *rig_device(struct rig *r, const char *id, uint8_t fill, uint32_t ext)
{
	struct bs_store_result res = box_add(&r->box, id, fill, NULL);
	struct rig_device *d = rig_stranger(r, id, fill, ext);

	ck_assert_int_eq(res.status, BS_OK);
	d->number = res.number;
	return d;
}

/* ---- turning ---- */

void rig_step(struct rig *r, int ms)
{
	struct pollfd p[RIG_DEVICES + 3];
	unsigned i;
	unsigned n = 0;

	for (i = 0; i < r->n_devices; i++)
		p[n++] = (struct pollfd){ .fd = r->device[i]->fd, .events = POLLIN };
	p[n++] = (struct pollfd){ .fd = bs_server_fd(r->server), .events = POLLIN };
	p[n++] = (struct pollfd){ .fd = bs_store_inbox_fd(r->box.in), .events = POLLIN };
	p[n++] = (struct pollfd){ .fd = bs_store_inbox_fd(r->box.feed), .events = POLLIN };
	(void)poll(p, n, ms < 10 ? ms : 10);
	for (i = 0; i < r->n_devices; i++) {
		if (r->device[i]->running)
			rig_device_step(r->device[i]);
	}
	(void)bs_store_inbox_run(r->box.in);
	(void)bs_store_inbox_run(r->box.feed);
	for (i = 0; i < r->box.n_changes; i++)
		bs_server_change(r->server, &r->box.change[i]);
	r->box.n_changes = 0;
	bs_server_process(r->server);
	bs_server_tick(r->server, rig_now());
}

/* What the server did until then, for whoever reads the log of a failed test. */
static void show_counters(struct rig *r)
{
	uint64_t v[BS_COUNTER_N];
	unsigned i;

	bs_server_counters(r->server, v);
	for (i = 0; i < BS_COUNTER_N; i++) {
		if (v[i] > 0)
			fprintf(stderr, "# %s %llu\n", bs_counter_table[i].name,
				(unsigned long long)v[i]);
	}
}

void rig_until(struct rig *r, bool (*fn)(struct rig *r, void *arg), void *arg)
{
	bs_time end = rig_now() + BS_TIME_MS(RIG_PATIENCE_MS);

	while (!fn(r, arg)) {
		if (BS_TIME_DIFF(end, rig_now()) <= 0) {
			show_counters(r);
			ck_abort_msg("it did not come true in time");
		}
		rig_step(r, 10);
	}
}

void rig_turn(struct rig *r, int ms)
{
	bs_time end = rig_now() + BS_TIME_MS(ms);

	while (BS_TIME_DIFF(end, rig_now()) > 0)
		rig_step(r, 5);
}

static bool is_attached(struct rig *r, void *arg)
{
	(void)r;
	return rig_attached(arg);
}

void rig_until_attached(struct rig_device *d)
{
	rig_until(d->rig, is_attached, d);
}

uint64_t rig_count(struct rig *r, enum bs_counter c)
{
	uint64_t v[BS_COUNTER_N];

	bs_server_counters(r->server, v);
	return v[c];
}

struct count {
	enum bs_counter c;
	uint64_t n;
};

static bool has_count(struct rig *r, void *arg)
{
	const struct count *k = arg;

	return rig_count(r, k->c) >= k->n;
}

void rig_until_count(struct rig *r, enum bs_counter c, uint64_t n)
{
	struct count k = { c, n };

	rig_until(r, has_count, &k);
}
