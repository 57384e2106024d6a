/* SPDX-License-Identifier: Apache-2.0 */
#include "server/limits.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors of a worker besides its sockets: loop, wake-ups of the mailboxes, store inbox. */
#define WORKER_DESCRIPTORS 8u
/* Of the process: standard streams, log, registry, control socket and its clients, spare. */
#define BASE_DESCRIPTORS 80u

#define CLOCK_JUMP_MS 10000

/* The first number in a file whose line begins with label ("" = any line). */
static bool read_number(const char *root, const char *path, const char *label, uint64_t *value)
{
	char name[512];
	char line[256];
	bool found = false;
	FILE *f;

	snprintf(name, sizeof(name), "%s%s", root, path);
	f = fopen(name, "re");
	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, label, strlen(label)) == 0)
			found = sscanf(line + strlen(label), " %" SCNu64, value) == 1;
	}
	fclose(f);
	return found;
}

/* The control group of version 2 that this process is in, e.g. "/system.slice/x.service". */
static bool read_cgroup(const char *root, char *out, size_t cap)
{
	char name[512];
	char line[512];
	bool found = false;
	FILE *f;

	snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
	f = fopen(name, "re");
	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		found = strncmp(line, "0::", 3) == 0 && strlen(line + 3) < cap;
		if (found)
			memcpy(out, line + 3, strlen(line + 3) + 1);
	}
	fclose(f);
	return found;
}

/* The least that any group on the way up still allows. */
static bool read_cgroup_memory(const char *root, uint64_t *left)
{
	char group[256];
	char path[400];
	bool found = false;

	if (!read_cgroup(root, group, sizeof(group)))
		return false;
	for (;;) {
		uint64_t max;
		uint64_t now;
		char *slash;

		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", group);
		if (read_number(root, path, "", &max)) {
			uint64_t l;

			snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.current", group);
			if (!read_number(root, path, "", &now))
				now = 0;
			l = max > now ? max - now : 1;
			*left = !found || l < *left ? l : *left;
			found = true;
		}
		slash = strrchr(group, '/');
		if (slash == NULL)
			return found;
		*slash = '\0';
	}
}

static unsigned count_cores(void)
{
	cpu_set_t set;
	long n;

	if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
		return (unsigned)CPU_COUNT(&set);
	n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (unsigned)n : 1;
}

void bs_limits_facts_read(const char *root, struct bs_limits_facts *facts)
{
	struct rlimit rl;
	uint64_t v;

	memset(facts, 0, sizeof(*facts));
	facts->cores = count_cores();
	facts->root = geteuid() == 0;
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		facts->descriptors = rl.rlim_cur;
		facts->descriptors_hard = rl.rlim_max;
	}
	if (read_number(root, "/proc/meminfo", "MemAvailable:", &v))
		facts->memory = v * 1024;
	if (read_cgroup_memory(root, &v) && (facts->memory == 0 || v < facts->memory)) {
		facts->memory = v;
		facts->memory_by_cgroup = true;
	}
	if (read_number(root, "/proc/sys/net/core/rmem_max", "", &v))
		facts->rmem_max = v;
}

void bs_limits_need(const struct bs_conf *conf, unsigned cores, struct bs_limits_need *need)
{
	unsigned udp_ports =
		conf->controller_port == conf->attach_port && conf->attach_port != 0 ? 1 : 2;
	bool gate = conf->server_certificate != NULL;
	uint64_t workers;

	workers = conf->workers != 0 ? conf->workers : cores;
	if (workers > BS_CONF_WORKERS_MAX)
		workers = BS_CONF_WORKERS_MAX;
	need->workers = (unsigned)workers;
	need->descriptors = BASE_DESCRIPTORS +
			    workers * (WORKER_DESCRIPTORS +
				       (uint64_t)conf->listen.n * (udp_ports + (gate ? 1 : 0)));
	need->memory = BS_LIMITS_BASE_BYTES + workers * BS_LIMITS_WORKER_BYTES +
		       workers * conf->pending_entries * BS_LIMITS_PENDING_BYTES +
		       (uint64_t)conf->max_devices * BS_LIMITS_DEVICE_BYTES +
		       (uint64_t)conf->max_connections * BS_LIMITS_CONNECTION_BYTES +
		       workers * conf->listen.n * udp_ports * 2 * conf->socket_buffer;
	if (gate) {
		need->descriptors += conf->max_clients;
		need->memory += (uint64_t)conf->max_clients * BS_LIMITS_CLIENT_BYTES;
	}
}

/* Bytes for people: whole MiB, rounded up. */
static uint64_t mib(uint64_t bytes)
{
	return (bytes + (1u << 20) - 1) >> 20;
}

static unsigned check_descriptors(const struct bs_limits_need *need,
				  const struct bs_limits_facts *facts, bs_limits_report_fn fn,
				  void *arg)
{
	uint64_t most = facts->root || facts->descriptors_hard > facts->descriptors
				? facts->descriptors_hard
				: facts->descriptors;
	char text[256];

	if (facts->descriptors == 0 || facts->root || need->descriptors <= most)
		return 0;
	snprintf(text, sizeof(text),
		 "descriptors, %" PRIu64 " needed and %" PRIu64 " allowed; raise RLIMIT_NOFILE "
		 "(systemd: LimitNOFILE=%" PRIu64 ") or lower max-clients",
		 need->descriptors, most, need->descriptors);
	fn(arg, BS_LOG_ERROR, text);
	return 1;
}

static unsigned check_memory(const struct bs_limits_need *need, const struct bs_limits_facts *facts,
			     bs_limits_report_fn fn, void *arg)
{
	const char *whose =
		facts->memory_by_cgroup ? "the control group allows" : "the machine has free";
	bool over = need->memory > facts->memory;
	char text[256];

	/* the last fifth is for the page cache of the registry and for everybody else */
	if (facts->memory == 0 || need->memory <= facts->memory / 5 * 4)
		return 0;
	snprintf(text, sizeof(text),
		 "memory, %" PRIu64 " MiB needed with everything full and %s %" PRIu64 " MiB%s",
		 mib(need->memory), whose, mib(facts->memory),
		 over ? "; lower max-devices, max-clients, pending-entries or socket-buffer"
		      : ", which leaves less than a fifth free");
	fn(arg, over ? BS_LOG_ERROR : BS_LOG_NOTICE, text);
	return over ? 1 : 0;
}

static void check_socket_buffer(const struct bs_conf *conf, const struct bs_limits_facts *facts,
				bs_limits_report_fn fn, void *arg)
{
	char text[256];

	if (facts->rmem_max == 0 || facts->root || conf->socket_buffer <= facts->rmem_max)
		return;
	snprintf(text, sizeof(text),
		 "socket-buffer, %" PRIu64 " KiB wanted and %" PRIu64 " KiB allowed; run: sysctl "
		 "-w net.core.rmem_max=%" PRIu64,
		 conf->socket_buffer >> 10, facts->rmem_max >> 10, conf->socket_buffer);
	fn(arg, BS_LOG_NOTICE, text);
}

static void check_workers(const struct bs_limits_need *need, const struct bs_limits_facts *facts,
			  bs_limits_report_fn fn, void *arg)
{
	char text[256];

	if (need->workers <= facts->cores)
		return;
	snprintf(text, sizeof(text),
		 "workers, %u wanted on %u cores; more than one per core only costs switches",
		 need->workers, facts->cores);
	fn(arg, BS_LOG_NOTICE, text);
}

unsigned bs_limits_check(const struct bs_conf *conf, const struct bs_limits_facts *facts,
			 bs_limits_report_fn fn, void *arg)
{
	struct bs_limits_need need;
	unsigned errors = 0;

	bs_limits_need(conf, facts->cores, &need);
	errors += check_descriptors(&need, facts, fn, arg);
	errors += check_memory(&need, facts, fn, arg);
	check_socket_buffer(conf, facts, fn, arg);
	check_workers(&need, facts, fn, arg);
	return errors;
}

void bs_limits_raise_descriptors(const struct bs_conf *conf, struct bs_limits_facts *facts)
{
	struct bs_limits_need need;
	struct rlimit rl;

	bs_limits_need(conf, facts->cores, &need);
	if (getrlimit(RLIMIT_NOFILE, &rl) != 0 || rl.rlim_cur >= need.descriptors)
		return;
	rl.rlim_cur = need.descriptors;
	if (facts->root && rl.rlim_max < rl.rlim_cur)
		rl.rlim_max = rl.rlim_cur;
	if (rl.rlim_cur > rl.rlim_max)
		rl.rlim_cur = rl.rlim_max;
	/* what could not be raised shows in the check that follows */
	(void)setrlimit(RLIMIT_NOFILE, &rl);
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		facts->descriptors = rl.rlim_cur;
		facts->descriptors_hard = rl.rlim_max;
	}
}

bool bs_limits_watch_due(struct bs_limits_watch *w, uint64_t used, uint64_t limit)
{
	if (limit == 0)
		return false;
	if (used < limit - limit / 5)
		w->told = false;
	if (w->told || used < limit - limit / 10)
		return false;
	w->told = true;
	return true;
}

int64_t bs_limits_clock_jump(struct bs_limits_clock *c, bs_time now, uint64_t unix_ms)
{
	int64_t offset = (int64_t)unix_ms - (int64_t)(now / BS_TIME_PER_MS);
	int64_t jump = offset - c->offset_ms;

	c->offset_ms = offset;
	if (!c->started) {
		c->started = true;
		return 0;
	}
	return jump > -CLOCK_JUMP_MS && jump < CLOCK_JUMP_MS ? 0 : jump;
}
