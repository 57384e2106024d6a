/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Where the generator's own limits begin to show. */
#define CPU_FULL      0.97
#define WAIT_SHARE    0.10
#define BEHIND_MAX_NS UINT64_C(200000000)

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static double wall(const struct phase *p)
{
	return seconds(p->to.at - p->from.at);
}

const char *phase_bottleneck(const struct phase *p)
{
	const struct proc_sample self = proc_since(&p->from.self, &p->to.self);
	const double t = wall(p);

	if (p->to.lost_here > p->from.lost_here)
		return "its own sockets dropped datagrams";
	if (t <= 0)
		return NULL;
	if (seconds(self.wait_ns) > WAIT_SHARE * t)
		return "it had to wait for a CPU";
	if (seconds(self.run_ns) > CPU_FULL * t)
		return "it used a whole CPU";
	if (p->behind > BEHIND_MAX_NS)
		return "it fell behind its plan";
	return NULL;
}

double report_bytes_per_device(const struct report *r)
{
	const struct reading *end = r->n ? &r->phase[r->n - 1].to : NULL;
	uint64_t before = proc_own_bytes(&r->server_before);

	if (!end || !end->server.known || !r->server_before.known || !end->attached)
		return 0;
	if (proc_own_bytes(&end->server) < before)
		return 0;
	return (double)(proc_own_bytes(&end->server) - before) / end->attached;
}

double report_bytes_per_session(const struct report *r)
{
	for (unsigned i = 0; i < r->n; i++) {
		const struct reading *from = &r->phase[i].from;
		const struct reading *to = &r->phase[i].to;
		const uint64_t before = proc_own_bytes(&from->server);

		if (strcmp(r->phase[i].name, "sessions") == 0 && to->server.known && to->open)
			return ((double)proc_own_bytes(&to->server) - (double)before) / to->open;
	}
	return 0;
}

/* ---- text */

static void print_times(FILE *to, const char *name, const struct histogram *h)
{
	if (h->n == 0)
		return;
	(void)fprintf(to,
		      "  %-10s n %-9" PRIu64
		      " p50 %8.3f  p90 %8.3f  p99 %8.3f  p99.9 %8.3f  max %8.3f ms\n",
		      name, h->n, (double)histogram_at(h, 500) / 1e6,
		      (double)histogram_at(h, 900) / 1e6, (double)histogram_at(h, 990) / 1e6,
		      (double)histogram_at(h, 999) / 1e6, (double)h->max / 1e6);
}

static void print_count(FILE *to, uint64_t n, double t, const char *help)
{
	if (n > 0)
		(void)fprintf(to, "  %10" PRIu64 "  %10.1f/s  %s\n", n, t > 0 ? (double)n / t : 0,
			      help);
}

static void print_forge(FILE *to, const struct phase *p, double t)
{
	const struct forge_counts *a = &p->from.forge;
	const struct forge_counts *b = &p->to.forge;
	const uint64_t bytes = b->bytes_sent - a->bytes_sent;

	print_count(to, b->sent - a->sent, t, "forged packets sent");
	print_count(to, b->answers - a->answers, t, "of them answered");
	if (bytes)
		(void)fprintf(to, "  amplification %.3f: bytes of answers for each forged byte\n",
			      (double)(b->answer_bytes - a->answer_bytes) / (double)bytes);
}

static void print_process(FILE *to, const char *name, const struct phase *p,
			  const struct proc_sample *from, const struct proc_sample *at)
{
	const struct proc_sample s = proc_since(from, at);

	if (!s.known)
		return;
	(void)fprintf(
		to,
		"  %-10s %.3f CPU-s (user %.2f, system %.2f), %.1f %% of a CPU, waited %.3f s "
		"for one; RssAnon %" PRIu64 " kB, RssShmem %" PRIu64 " kB, RssFile %" PRIu64
		" kB\n",
		name, seconds(s.run_ns), (double)s.user_ms / 1e3, (double)s.system_ms / 1e3,
		wall(p) > 0 ? 100 * seconds(s.run_ns) / wall(p) : 0, seconds(s.wait_ns),
		s.rss_anon_kb, s.rss_shmem_kb, s.rss_file_kb);
}

static void print_phase(const struct phase *p, FILE *to)
{
	const char *why = phase_bottleneck(p);
	const double t = wall(p);

	(void)fprintf(to,
		      "%s: %.3f s, %" PRIu32 " attached and %" PRIu32 " sessions at the end%s\n",
		      p->name, t, p->to.attached, p->to.open, p->reached ? "" : ", NOT REACHED");
#define X(name, help) print_count(to, p->to.devices.name - p->from.devices.name, t, help);
	DEVICES_COUNTS(X)
#undef X
#define X(name, help) print_count(to, p->to.clients.name - p->from.clients.name, t, help);
	CLIENTS_COUNTS(X)
#undef X
	print_forge(to, p, t);
	print_count(to, p->to.lost_here - p->from.lost_here, t, "datagrams lost by ourselves");
	print_times(to, "attach", &p->times.attach);
	print_times(to, "late", &p->times.late);
	print_times(to, "poll", &p->times.poll);
	print_times(to, "tcp", &p->clients.tcp);
	print_times(to, "handshake", &p->clients.handshake);
	print_times(to, "hello", &p->clients.hello);
	print_times(to, "connect", &p->clients.connect);
	if (p->silence)
		(void)fprintf(to, "  silence    %.3f s at most without a packet of the server\n",
			      seconds(p->silence));
	print_process(to, "server", p, &p->from.server, &p->to.server);
	print_process(to, "generator", p, &p->from.self, &p->to.self);
	if (why)
		(void)fprintf(to, "  BOTTLENECK: the generator: %s\n", why);
}

void report_print(const struct report *r, FILE *to)
{
	const double bytes = report_bytes_per_device(r);
	const double session = report_bytes_per_session(r);

	for (unsigned i = 0; i < r->n; i++)
		print_phase(&r->phase[i], to);
	if (bytes > 0)
		(void)fprintf(to, "memory: %.1f bytes of the server for each attached device\n",
			      bytes);
	if (session > 0)
		(void)fprintf(to, "memory: %.1f bytes of the server for each session\n", session);
	if (r->why[0])
		(void)fprintf(to, "the last failure of a client: %s\n", r->why);
	(void)fflush(to);
}

/* ---- JSON */

static json_t *json_times(const struct histogram *h)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "n", (json_int_t)h->n, "mean_ns",
			 (json_int_t)histogram_mean(h), "p50_ns", (json_int_t)histogram_at(h, 500),
			 "p90_ns", (json_int_t)histogram_at(h, 900), "p99_ns",
			 (json_int_t)histogram_at(h, 990), "p999_ns",
			 (json_int_t)histogram_at(h, 999), "max_ns", (json_int_t)h->max);
}

static json_t *json_process(const struct proc_sample *from, const struct proc_sample *at)
{
	const struct proc_sample s = proc_since(from, at);

	return json_pack("{s:b, s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "known", s.known, "cpu_s",
			 seconds(s.run_ns), "user_s", (double)s.user_ms / 1e3, "system_s",
			 (double)s.system_ms / 1e3, "wait_s", seconds(s.wait_ns), "rss_anon_kb",
			 (json_int_t)s.rss_anon_kb, "rss_shmem_kb", (json_int_t)s.rss_shmem_kb,
			 "rss_file_kb", (json_int_t)s.rss_file_kb);
}

static json_t *json_counts(const struct phase *p)
{
	json_t *o = json_object();

#define X(name, help)                                                                              \
 (void)json_object_set_new(o, #name,                                                               \
			   json_integer((json_int_t)(p->to.devices.name - p->from.devices.name)));
	DEVICES_COUNTS(X)
#undef X
	(void)json_object_set_new(o, "lost_here",
				  json_integer((json_int_t)(p->to.lost_here - p->from.lost_here)));
	(void)json_object_set_new(
		o, "packets_sent",
		json_integer((json_int_t)(p->to.packets_sent - p->from.packets_sent)));
	(void)json_object_set_new(
		o, "packets_received",
		json_integer((json_int_t)(p->to.packets_received - p->from.packets_received)));
	return o;
}

static json_t *json_forge(const struct phase *p)
{
	const struct forge_counts *a = &p->from.forge;
	const struct forge_counts *b = &p->to.forge;

	return json_pack("{s:I, s:I, s:I, s:I}", "sent", (json_int_t)(b->sent - a->sent),
			 "bytes_sent", (json_int_t)(b->bytes_sent - a->bytes_sent), "answers",
			 (json_int_t)(b->answers - a->answers), "answer_bytes",
			 (json_int_t)(b->answer_bytes - a->answer_bytes));
}

static json_t *json_clients(const struct phase *p)
{
	json_t *o = json_object();

#define X(name, help)                                                                              \
 (void)json_object_set_new(o, #name,                                                               \
			   json_integer((json_int_t)(p->to.clients.name - p->from.clients.name)));
	CLIENTS_COUNTS(X)
#undef X
	(void)json_object_set_new(o, "open", json_integer((json_int_t)p->to.open));
	return o;
}

static json_t *json_phase(const struct phase *p)
{
	const char *why = phase_bottleneck(p);

	return json_pack(
		"{s:s, s:b, s:f, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:f,"
		" s:o, s:o, s:s?}",
		"name", p->name, "reached", p->reached, "wall_s", wall(p), "attached",
		(json_int_t)p->to.attached, "counts", json_counts(p), "attach",
		json_times(&p->times.attach), "late", json_times(&p->times.late), "poll",
		json_times(&p->times.poll), "clients", json_clients(p), "forge", json_forge(p),
		"tcp", json_times(&p->clients.tcp), "handshake", json_times(&p->clients.handshake),
		"hello", json_times(&p->clients.hello), "connect", json_times(&p->clients.connect),
		"silence_s", seconds(p->silence), "behind_s", seconds(p->behind), "server",
		json_process(&p->from.server, &p->to.server), "generator",
		json_process(&p->from.self, &p->to.self), "bottleneck", why);
}

int report_json(const struct report *r, const char *path)
{
	json_t *phases = json_array();
	json_t *all;
	int err;

	for (unsigned i = 0; i < r->n; i++)
		(void)json_array_append_new(phases, json_phase(&r->phase[i]));
	all = json_pack("{s:s, s:f, s:f, s:f, s:o, s:s}", "plan", r->plan->name, "devices",
			r->plan->devices, "bytes_per_device", report_bytes_per_device(r),
			"bytes_per_session", report_bytes_per_session(r), "phases", phases, "why",
			r->why);
	if (strcmp(path, "-") == 0)
		err = all ? json_dumpf(all, stdout, JSON_COMPACT) : -1;
	else
		err = all ? json_dump_file(all, path, JSON_INDENT(1)) : -1;
	json_decref(all);
	if (err)
		(void)fprintf(stderr, "bsload: %s: the report could not be written\n", path);
	else if (strcmp(path, "-") == 0)
		(void)printf("\n");
	return err;
}
