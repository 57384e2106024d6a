/* SPDX-License-Identifier: Apache-2.0 */
#include "size.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "run.h"

/* What an operator may plan with: the rest is for storms, for other programs, and for what a small
 * population does not show. */
#define CPU_SHARE    0.5
#define MEMORY_SHARE 0.8
/* Less than this is no growth: the server used again what earlier ones had. */
#define DEVICE_MIN  64
#define SESSION_MIN 4096

struct size_limits size_reckon(const struct size_costs *c, unsigned cpus, double memory_bytes,
			       double interval_s)
{
	const double cpu = CPU_SHARE * cpus;
	const double memory = MEMORY_SHARE * memory_bytes;
	struct size_limits l = { 0 };

	if (c->keepalive_s > 0)
		l.devices_by_cpu = cpu * interval_s / c->keepalive_s;
	if (c->device_bytes > 0)
		l.devices_by_memory = memory / c->device_bytes;
	if (c->attach_s > 0)
		l.attaches_per_s = cpu / c->attach_s;
	if (c->handshake_s > 0)
		l.handshakes_per_s = cpu / c->handshake_s;
	if (c->session_bytes > 0)
		l.sessions_by_memory = memory / c->session_bytes;
	return l;
}

static double cpu_of(const struct phase *p)
{
	const struct proc_sample s = proc_since(&p->from.server, &p->to.server);

	return (double)s.run_ns / 1e9;
}

static double cost(const struct phase *p, uint64_t n)
{
	return n ? cpu_of(p) / (double)n : 0;
}

/* Memory that came with the devices of this run alone: what the server had set up before, for
 * however many, is not theirs. */
static double device_bytes(const struct report *r)
{
	const struct phase *p = &r->phase[0];
	const double before = (double)proc_own_bytes(&p->from.server);
	const double after = (double)proc_own_bytes(&p->to.server);

	const double each = p->to.attached ? (after - before) / p->to.attached : 0;

	return each >= DEVICE_MIN ? each : 0;
}

static int measure(struct plan p, struct report *r, const char *what)
{
	(void)fprintf(stderr, "%s ...\n", what);
	memset(r, 0, sizeof(*r));
	return run_plan(&p, r);
}

/* Half of the devices make the server set up what it has for all; the others are measured. */
static int measure_devices(const struct plan *plan, struct report *r, struct size_costs *c)
{
	struct plan p = *plan;
	int status;

	p.clients = p.sessions = p.connects = 0;
	p.devices = (uint32_t)(plan->devices / 2);
	p.seconds = 3;
	p.again = 1;
	status = measure(p, r, "attaches");
	if (status != STATUS_OK)
		return status;
	c->attach_s = cost(&r->phase[1],
			   r->phase[1].to.devices.attached - r->phase[1].from.devices.attached);
	p.again = 0;
	p.first = plan->first + p.devices;
	/* Each may poll once a second. */
	p.polls = p.devices * 0.9;
	p.interval = 0;
	status = measure(p, r, "keepalives");
	if (status != STATUS_OK)
		return status;
	c->device_bytes = device_bytes(r);
	c->keepalive_s = cost(&r->phase[1],
			      r->phase[1].to.devices.requests - r->phase[1].from.devices.requests);
	return STATUS_OK;
}

static int measure_clients(const struct plan *plan, struct report *r, struct size_costs *c)
{
	struct plan p = *plan;
	int status;

	p.devices = 0;
	p.clients = 16;
	p.sessions = 0;
	p.seconds = 3;
	status = measure(p, r, "handshakes");
	if (status != STATUS_OK)
		return status;
	c->handshake_s = cost(&r->phase[0], r->phase[0].to.clients.handshakes -
						    r->phase[0].from.clients.handshakes);
	p.clients = 0;
	p.sessions = 200;
	p.seconds = 0;
	status = measure(p, r, "sessions");
	if (status == STATUS_OK && report_bytes_per_session(r) >= SESSION_MIN)
		c->session_bytes = report_bytes_per_session(r);
	return status;
}

static void print_costs(const struct size_costs *c)
{
	(void)printf("one keepalive    %8.2f microseconds of a CPU\n"
		     "one attach       %8.2f microseconds, from the first invite on\n",
		     c->keepalive_s * 1e6, c->attach_s * 1e6);
	if (c->handshake_s > 0)
		(void)printf("one handshake    %8.0f microseconds\n", c->handshake_s * 1e6);
	if (c->device_bytes > 0)
		(void)printf("one device       %8.0f bytes\n", c->device_bytes);
	if (c->session_bytes > 0)
		(void)printf("one session      %8.0f bytes\n", c->session_bytes);
	if (c->device_bytes <= 0)
		(void)printf("one device       its memory shows only on a server that has just "
			     "started\n");
}

static void print_limits(const struct size_limits *l, double interval)
{
	double devices = l->devices_by_cpu;

	(void)printf("%12.0f devices by CPU, at one keepalive in %g s\n", devices, interval);
	if (l->devices_by_memory > 0) {
		(void)printf("%12.0f devices by memory\n", l->devices_by_memory);
		if (l->devices_by_memory < devices)
			devices = l->devices_by_memory;
	}
	if (l->attaches_per_s > 0)
		(void)printf("%12.0f attaches per second: %.0f devices are back %.0f s after an "
			     "outage\n",
			     l->attaches_per_s, devices, devices / l->attaches_per_s);
	if (l->handshakes_per_s > 0)
		(void)printf("%12.0f handshakes per second\n", l->handshakes_per_s);
	if (l->sessions_by_memory > 0)
		(void)printf("%12.0f sessions by memory\n", l->sessions_by_memory);
}

static void print_text(const struct size_costs *c, const struct size_limits *l, unsigned cpus,
		       double memory, double interval)
{
	print_costs(c);
	(void)printf("\n%u CPUs, half of them planned with, and %.1f GiB, four fifths of them:\n",
		     cpus, memory / (1 << 30));
	print_limits(l, interval);
}

static int print_json(const struct size_costs *c, const struct size_limits *l, unsigned cpus,
		      double memory, double interval, const char *path)
{
	json_t *o = json_pack("{s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
			      "cpus", (int)cpus, "memory_bytes", memory, "interval_s", interval,
			      "keepalive_s", c->keepalive_s, "attach_s", c->attach_s, "handshake_s",
			      c->handshake_s, "device_bytes", c->device_bytes, "session_bytes",
			      c->session_bytes, "devices_by_cpu", l->devices_by_cpu,
			      "devices_by_memory", l->devices_by_memory, "attaches_per_s",
			      l->attaches_per_s, "handshakes_per_s", l->handshakes_per_s,
			      "sessions_by_memory", l->sessions_by_memory);
	int err = -1;

	if (o && strcmp(path, "-") == 0)
		err = json_dumpf(o, stdout, JSON_COMPACT);
	else if (o)
		err = json_dump_file(o, path, JSON_INDENT(1));
	json_decref(o);
	if (err)
		(void)fprintf(stderr, "bsload: %s: cannot be written\n", path);
	return err ? STATUS_FAILED : STATUS_OK;
}

int size_run(const struct plan *plan)
{
	const double memory = (double)proc_memory_available();
	const unsigned cpus = proc_cpus();
	struct report *r = calloc(1, sizeof(*r));
	struct size_costs c = { 0 };
	struct size_limits l;
	int status;

	if (!r || plan->devices < 2 || !proc_read((int)plan->pid).known) {
		(void)fprintf(stderr,
			      "bsload: size needs --pid, the process of a server that knows "
			      "the ids of bsload ids, and two --devices at least\n");
		free(r);
		return STATUS_USAGE;
	}
	status = measure_devices(plan, r, &c);
	if (status == STATUS_OK && plan->cert)
		status = measure_clients(plan, r, &c);
	free(r);
	if (status != STATUS_OK) {
		(void)fprintf(stderr, "bsload: nothing can be said: the server does not attach "
				      "these devices, or does not let these clients in\n");
		return status;
	}
	l = size_reckon(&c, cpus, memory, plan->interval);
	if (plan->json)
		status = print_json(&c, &l, cpus, memory, plan->interval, plan->json);
	if (!plan->json || strcmp(plan->json, "-") != 0)
		print_text(&c, &l, cpus, memory, plan->interval);
	return status;
}
