/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clients.h"
#include "clock.h"
#include "devices.h"
#include "forge.h"
#include "pace.h"
#include "port/poller.h"
#include "util/endpoint.h"
#include "util/endpoint_text.h"

enum {
	CONTROLLER_PORT = 5566,
	GATE_PORT = 5571,
	/* Things of one kind that are done before the sockets are read again. */
	BURST = 64,
	WAIT_MS = 1,
};

/* Most devices use the first socket: it must hold what comes while we are not on a processor. */
#define BUFFER_BYTES   (UINT64_C(32) << 20)
#define SHARED_SOCKETS 256

/* A device that went away, and when it comes back. */
struct absent {
	uint32_t device;
	uint64_t until;
};

struct load {
	const struct plan *plan;
	struct report *report;
	struct phase *phase; /* NULL between phases */
	struct bs_poller poller;
	struct devices *devices; /* NULL = the plan has none */
	struct clients *clients; /* NULL = the plan has none */
	struct forge *forge;     /* NULL = the plan has none */
	uint32_t n;
	uint32_t stride; /* devices are picked all over the population, each equally often */
	uint32_t cursor;
	struct pace attach;
	struct pace polls;
	struct pace churn;
	struct pace restarts;
	struct pace rebinds;
	struct pace handshakes;
	struct pace connects;
	struct pace forged;
	struct absent *absent; /* ring */
	size_t absent_cap;
	size_t absent_head;
	size_t n_absent;
	uint64_t now;
	uint64_t heard;
	uint64_t told;
	uint64_t told_requests;
};

/* ---- phases */

static void read_devices(const struct load *l, struct reading *r)
{
	struct sockets *s = devices_sockets(l->devices);

	r->devices = *devices_counts(l->devices);
	r->attached = devices_attached(l->devices);
	r->packets_sent = s->packets_sent;
	r->packets_received = s->received;
	r->lost_here = s->lost_here + sockets_overflowed(s);
}

static void take_reading(const struct load *l, struct reading *r)
{
	memset(r, 0, sizeof(*r));
	r->server = proc_read((int)l->plan->pid);
	r->self = proc_read((int)getpid());
	if (l->devices)
		read_devices(l, r);
	if (l->clients) {
		r->clients = *clients_counts(l->clients);
		r->open = clients_open(l->clients);
	}
	if (l->forge)
		r->forge = forge_counts(l->forge);
	r->at = clock_now();
}

static void time_into(struct load *l, struct phase *p)
{
	if (l->devices)
		devices_time_into(l->devices, p ? &p->times : NULL);
	if (l->clients)
		clients_time_into(l->clients, p ? &p->clients : NULL);
}

static void begin_phase(struct load *l, const char *name)
{
	l->phase = &l->report->phase[l->report->n++];
	l->phase->name = name;
	time_into(l, l->phase);
	take_reading(l, &l->phase->from);
	l->now = l->heard = clock_now();
}

static void end_phase(struct load *l, bool reached)
{
	struct phase *p = l->phase;
	const struct pace *paces[] = { &l->polls,      &l->churn,    &l->restarts, &l->rebinds,
				       &l->handshakes, &l->connects, &l->forged };

	take_reading(l, &p->to);
	p->reached = reached;
	for (size_t i = 0; i < sizeof(paces) / sizeof(paces[0]); i++)
		if (paces[i]->behind > p->behind)
			p->behind = paces[i]->behind;
	time_into(l, NULL);
	l->phase = NULL;
}

/* ---- what a plan does to devices */

static uint32_t pick(struct load *l)
{
	l->cursor = (uint32_t)(((uint64_t)l->cursor + l->stride) % l->n);
	return l->cursor;
}

static void do_polls(struct load *l)
{
	/* Devices that cannot poll now leave their turn to others, but not for ever. */
	unsigned patience = 4 * BURST;

	for (uint32_t n = pace_take(&l->polls, l->now, BURST); n > 0 && patience > 0; patience--)
		if (devices_poll(l->devices, pick(l), l->now))
			n--;
}

static void do_restarts(struct load *l)
{
	for (uint32_t n = pace_take(&l->restarts, l->now, BURST); n > 0; n--) {
		const uint32_t i = pick(l);

		devices_stop(l->devices, i);
		devices_start(l->devices, i);
	}
}

static void do_rebinds(struct load *l)
{
	for (uint32_t n = pace_take(&l->rebinds, l->now, BURST); n > 0; n--)
		devices_rebind(l->devices, pick(l));
}

static void do_churn(struct load *l)
{
	const uint64_t away = (uint64_t)(l->plan->away * 1e9);

	for (uint32_t n = pace_take(&l->churn, l->now, BURST); n > 0; n--) {
		struct absent *a = &l->absent[(l->absent_head + l->n_absent) % l->absent_cap];

		if (l->n_absent == l->absent_cap)
			break;
		*a = (struct absent){ pick(l), l->now + away };
		devices_stop(l->devices, a->device);
		l->n_absent++;
	}
	while (l->n_absent > 0 && l->absent[l->absent_head].until <= l->now) {
		devices_start(l->devices, l->absent[l->absent_head].device);
		l->absent_head = (l->absent_head + 1) % l->absent_cap;
		l->n_absent--;
	}
}

/* ---- what a plan does with clients */

static void do_connects(struct load *l)
{
	const struct ids ids = { l->plan->prefix, l->plan->domain, (uint32_t)l->plan->first, 0 };
	char name[IDS_NAME_MAX];

	for (uint32_t n = pace_take(&l->connects, l->now, BURST); n > 0; n--) {
		(void)ids_name(&ids, pick(l), name);
		if (!clients_connect(l->clients, name, l->now))
			break;
	}
}

static void step_clients(struct load *l)
{
	uint32_t n = pace_take(&l->handshakes, l->now, BURST);

	if (n > 0)
		(void)clients_visit(l->clients, n);
	do_connects(l);
	clients_step(l->clients, l->now);
}

static unsigned step_forge(struct load *l)
{
	const uint32_t n = pace_take(&l->forged, l->now, BURST);

	forge_step(l->forge);
	forge_send(l->forge, n);
	return n;
}

/* ---- the loop */

static void wait_for_work(struct load *l)
{
	const struct timespec nap = { .tv_nsec = (long)(l->plan->nap * 1e9) };
	struct pollfd p = { .fd = l->poller.fd, .events = POLLIN };

	if (nap.tv_nsec > 0)
		(void)nanosleep(&nap, NULL);
	else
		(void)poll(&p, 1, WAIT_MS);
	l->now = clock_now();
}

static void tell(struct load *l, const char *what)
{
	static const struct devices_counts none;
	const struct devices_counts *c = l->devices ? devices_counts(l->devices) : &none;
	const uint64_t gap = l->now - l->told;

	if (l->plan->progress <= 0 || (double)gap < l->plan->progress * 1e9)
		return;
	(void)fprintf(stderr, "%s:", what);
	if (l->devices)
		(void)fprintf(stderr,
			      " %" PRIu32 " attached, %" PRIu32 " under way, %" PRIu32
			      " waiting, %.0f requests/s, %" PRIu64 " lost",
			      devices_attached(l->devices), devices_under_way(l->devices),
			      devices_waiting(l->devices),
			      (double)(c->requests - l->told_requests) * 1e9 / (double)gap,
			      c->lost);
	if (l->clients)
		(void)fprintf(stderr,
			      " %" PRIu32 " sessions, %" PRIu64 " handshakes, %" PRIu64 " failed",
			      clients_open(l->clients), clients_counts(l->clients)->handshakes,
			      clients_counts(l->clients)->failed);
	(void)fprintf(stderr, "\n");
	l->told = l->now;
	l->told_requests = c->requests;
}

static void note_silence(struct load *l, unsigned got)
{
	const uint64_t gap = l->now - l->heard;

	if (l->phase && gap > l->phase->silence)
		l->phase->silence = gap;
	if (got > 0)
		l->heard = l->now;
}

/* Datagrams received and attaches begun: 0 when there was nothing to do. */
static unsigned step_devices(struct load *l)
{
	const unsigned got = devices_step(l->devices, l->now);
	uint32_t due = BURST;

	note_silence(l, got);
	if (l->plan->rate > 0)
		due = pace_take(&l->attach, l->now, BURST);
	due = devices_begin(l->devices, due, l->now);
	do_polls(l);
	do_restarts(l);
	do_rebinds(l);
	do_churn(l);
	sockets_flush(devices_sockets(l->devices));
	return got + due;
}

static void turn(struct load *l, const char *what)
{
	unsigned done = 0;

	l->now = clock_now();
	bs_poller_step(&l->poller);
	if (l->devices)
		done = step_devices(l);
	if (l->clients)
		step_clients(l);
	if (l->forge)
		done += step_forge(l);
	if (done == 0)
		wait_for_work(l);
	tell(l, what);
}

/* ---- the phases of a plan */

static void start_all(struct load *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		devices_start(l->devices, i);
}

/* Until all are attached; false when none has for the deadline. */
static bool attach_all(struct load *l, const char *what)
{
	const uint64_t patience = (uint64_t)(l->plan->deadline * 1e9);
	uint32_t best = devices_attached(l->devices);
	uint64_t at;

	pace_start(&l->attach, l->plan->rate, clock_now());
	at = clock_now();
	while (devices_attached(l->devices) < l->n) {
		turn(l, what);
		if (devices_attached(l->devices) > best) {
			best = devices_attached(l->devices);
			at = l->now;
		} else if (l->now - at > patience) {
			return false;
		}
	}
	return true;
}

static void run_for(struct load *l, const char *what, double seconds)
{
	const uint64_t end = clock_now() + (uint64_t)(seconds * 1e9);

	while (clock_now() < end)
		turn(l, what);
}

static bool attach_phase(struct load *l)
{
	bool done;

	begin_phase(l, "attach");
	start_all(l);
	done = attach_all(l, "attach");
	end_phase(l, done);
	return done;
}

/* Sessions that stay, all of them; false when that takes too long. */
static bool sessions_phase(struct load *l)
{
	const uint32_t want = (uint32_t)l->plan->sessions;
	const uint64_t give_up = clock_now() + (uint64_t)(l->plan->deadline * 1e9);
	bool done;

	begin_phase(l, "sessions");
	clients_invite(l->clients);
	while (clients_open(l->clients) < want && l->now < give_up)
		turn(l, "sessions");
	done = clients_open(l->clients) >= want;
	end_phase(l, done);
	return done;
}

/* A first visit, so that those that are measured have a session to resume. */
static bool prime(struct load *l)
{
	const uint64_t give_up = clock_now() + 10 * CLOCK_SECOND;

	clients_welcome(l->clients);
	while (!clients_primed(l->clients) && clock_now() < give_up) {
		(void)clients_visit(l->clients, 1);
		turn(l, "prime");
	}
	if (!clients_primed(l->clients))
		(void)fprintf(stderr, "bsload: no session can be resumed; does the server give "
				      "tickets?\n");
	return clients_primed(l->clients);
}

static void start_paces(struct load *l)
{
	const struct plan *p = l->plan;
	const uint64_t now = clock_now();

	pace_start(&l->polls, p->polls, now);
	pace_start(&l->restarts, p->restarts, now);
	pace_start(&l->rebinds, p->rebinds, now);
	pace_start(&l->churn, p->churn, now);
	pace_start(&l->attach, p->rate, now);
	pace_start(&l->handshakes, p->handshakes, now);
	pace_start(&l->connects, p->connects, now);
	pace_start(&l->forged, p->forged, now);
}

/* All devices start over, now. */
static void start_over(struct load *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		devices_stop(l->devices, i);
	start_all(l);
}

static bool hold_devices(struct load *l)
{
	const struct plan *p = l->plan;
	const uint64_t lost = devices_counts(l->devices)->lost;
	bool done = true;

	devices_again(l->devices, p->again > 0, p->leg > 0);
	if (p->storm > 0 || p->again > 0)
		start_over(l);
	if (p->storm > 0)
		done = attach_all(l, "storm");
	run_for(l, "hold", p->seconds);
	return done && devices_counts(l->devices)->lost == lost;
}

static void aim(struct load *l)
{
	struct bs_endpoint server;

	if (!l->forge || l->plan->attach_server || !l->devices)
		return;
	server = devices_server(l->devices);
	forge_set_server(l->forge, &server);
}

static bool hold_phase(struct load *l)
{
	const struct plan *p = l->plan;
	bool done = true;

	begin_phase(l, "hold");
	aim(l);
	start_paces(l);
	if (l->devices)
		done = hold_devices(l);
	else
		run_for(l, "hold", p->seconds);
	if (l->clients)
		done = done && clients_counts(l->clients)->gone == l->phase->from.clients.gone;
	end_phase(l, done);
	return done;
}

/* ---- set-up */

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b) {
		const uint32_t t = a % b;

		a = b;
		b = t;
	}
	return a;
}

static int read_endpoint(const char *what, const char *text, uint16_t port, struct bs_endpoint *ep)
{
	if (bs_endpoint_parse(text, strlen(text), port, ep) == BS_OK && bs_endpoint_is_ip4(ep))
		return STATUS_OK;
	(void)fprintf(stderr, "bsload: --%s: %s is no IPv4 address\n", what, text);
	return STATUS_USAGE;
}

static int make_devices(struct load *l)
{
	const struct plan *p = l->plan;
	struct devices_conf c = {
		.ids = { p->prefix, p->domain, (uint32_t)p->first, (uint64_t)p->seed },
		.n = l->n,
		.attempts = (uint32_t)p->window,
		.shared = (uint32_t)p->shared,
		.ext_offer = (uint32_t)p->offer,
		.interval_ms = (uint32_t)(p->interval * 1e3),
		.patience_ms = (uint16_t)(p->patience * 1e3),
		.sockets = (unsigned)p->sockets,
		.buffer_bytes = BUFFER_BYTES,
		.poller = p->nap > 0 ? NULL : &l->poller,
	};
	struct bs_endpoint source;
	int err;

	if (read_endpoint("server", p->server, CONTROLLER_PORT, &c.server) != STATUS_OK ||
	    read_endpoint("source", p->source, 1, &source) != STATUS_OK)
		return STATUS_USAGE;
	if (!ids_ok(&c.ids, c.n)) {
		(void)fprintf(stderr, "bsload: --prefix, --domain: ids have 40 characters of a-z, "
				      "0-9, - and . at most\n");
		return STATUS_USAGE;
	}
	c.first_ip = bs_endpoint_ip4(&source);
	if (c.attempts > c.n)
		c.attempts = c.n;
	if (c.shared) {
		c.sockets = SHARED_SOCKETS;
		c.buffer_bytes = BUFFER_BYTES / 32;
	}
	l->devices = devices_new(&c, &err);
	if (!l->devices)
		(void)fprintf(stderr, "bsload: %" PRIu32 " devices cannot be made (%s)\n", c.n,
			      bs_strerror(err));
	return l->devices ? STATUS_OK : STATUS_FAILED;
}

static int make_clients(struct load *l)
{
	const struct plan *p = l->plan;
	struct clients_conf c = {
		.secure = { p->server_name, p->ca, p->cert, p->key, p->tls, p->alpn,
			    p->resume > 0 },
		.poller = &l->poller,
		.sessions = (uint32_t)p->sessions,
		.visitors = (uint32_t)p->clients,
		.paced = p->handshakes > 0,
		.hello = p->hello > 0,
		.abandon = p->abandon > 0,
		.addresses = (uint32_t)p->client_addresses,
	};
	struct bs_endpoint source;

	if (read_endpoint("gate", p->gate, GATE_PORT, &c.gate) != STATUS_OK ||
	    read_endpoint("client-source", p->client_source, 1, &source) != STATUS_OK)
		return STATUS_USAGE;
	c.first_ip = bs_endpoint_ip4(&source);
	l->clients = clients_new(&c);
	return l->clients ? STATUS_OK : STATUS_USAGE;
}

static int make_forge(struct load *l)
{
	const struct plan *p = l->plan;
	struct forge_conf c = {
		.ids = { p->prefix, p->domain, (uint32_t)p->first, (uint64_t)p->seed },
		.n = l->n,
		.target = (uint32_t)p->target,
		.seed = (uint64_t)p->seed,
		.poller = &l->poller,
	};
	struct bs_endpoint source;
	struct bs_endpoint server;

	if (!forge_kind(p->forge, &c.kind)) {
		(void)fprintf(stderr, "bsload: --forge: there is no kind %s\n", p->forge);
		return STATUS_USAGE;
	}
	if (read_endpoint("server", p->server, CONTROLLER_PORT, &c.controller) != STATUS_OK ||
	    read_endpoint("forge-source", p->forge_source, 1, &source) != STATUS_OK ||
	    (p->attach_server &&
	     read_endpoint("attach-server", p->attach_server, 0, &server) != STATUS_OK))
		return STATUS_USAGE;
	c.first_ip = bs_endpoint_ip4(&source);
	l->forge = forge_new(&c);
	if (!l->forge) {
		(void)fprintf(stderr, "bsload: no memory or no sockets for forged packets\n");
		return STATUS_FAILED;
	}
	if (p->attach_server)
		forge_set_server(l->forge, &server);
	return STATUS_OK;
}

static int make(struct load *l)
{
	const struct plan *p = l->plan;
	int status = STATUS_OK;

	l->n = (uint32_t)p->devices;
	if (l->n == 0 && p->clients + p->sessions < 1 && !p->forge) {
		(void)fprintf(stderr, "bsload: neither --devices nor --clients nor --forge\n");
		return STATUS_USAGE;
	}
	for (l->stride = (uint32_t)(l->n * 0.618) | 1; l->n && gcd(l->stride, l->n) != 1;)
		l->stride++;
	l->absent_cap = (size_t)(p->churn * p->away) + BURST;
	l->absent = calloc(l->absent_cap, sizeof(*l->absent));
	if (!l->absent || bs_poller_init(&l->poller) != BS_OK) {
		(void)fprintf(stderr, "bsload: no memory or no descriptor\n");
		return STATUS_FAILED;
	}
	if (l->n > 0)
		status = make_devices(l);
	if (status == STATUS_OK && p->clients + p->sessions > 0)
		status = make_clients(l);
	if (status == STATUS_OK && p->forge)
		status = make_forge(l);
	return status;
}

static bool phases(struct load *l)
{
	const struct plan *p = l->plan;
	bool done = true;

	l->report->server_before = proc_read((int)p->pid);
	if (p->pid > 0 && !l->report->server_before.known)
		(void)fprintf(stderr,
			      "bsload: --pid: process %.0f cannot be read; no figures of "
			      "the server\n",
			      p->pid);
	if (l->devices && !attach_phase(l))
		return false;
	if (p->sessions > 0 && !sessions_phase(l))
		return false;
	if (p->clients > 0 && !prime(l))
		return false;
	if (p->settle > 0)
		run_for(l, "settle", p->settle);
	for (unsigned i = 0; p->seconds > 0 && i < (unsigned)p->repeat; i++)
		done &= hold_phase(l);
	return done;
}

int run_plan(const struct plan *plan, struct report *report)
{
	struct load l = { .plan = plan, .report = report, .poller = { .fd = -1 } };
	int status = make(&l);

	report->plan = plan;
	if (status == STATUS_OK && !phases(&l))
		status = STATUS_FAILED;
	if (l.clients)
		(void)snprintf(report->why, sizeof(report->why), "%s", clients_why(l.clients));
	clients_free(l.clients);
	forge_free(l.forge);
	devices_free(l.devices);
	bs_poller_fini(&l.poller);
	free(l.absent);
	return status;
}
