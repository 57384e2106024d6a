/* SPDX-License-Identifier: Apache-2.0 */
#include "proc.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_LEN 96

/* A small file of /proc as text; false when there is none to read. */
static bool read_text(const char *path, char *out, size_t cap)
{
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return false;
	n = fread(out, 1, cap - 1, f);
	out[n] = '\0';
	(void)fclose(f);
	return n > 0;
}

/* The number behind a label, in the file's own unit; 0 when it is not there. */
static uint64_t labelled(const char *text, const char *label)
{
	const char *at = strstr(text, label);

	return at ? strtoull(at + strlen(label), NULL, 10) : 0;
}

/* Fields 14 and 15, counted from behind the name, which may hold anything but a newline. */
static bool read_ticks(int pid, struct proc_sample *s)
{
	const long per_second = sysconf(_SC_CLK_TCK);
	char path[PATH_LEN];
	char text[1024];
	const char *at;
	uint64_t user;
	uint64_t system;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (per_second <= 0 || !read_text(path, text, sizeof(text)))
		return false;
	at = strrchr(text, ')');
	if (!at ||
	    sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
		   &user, &system) != 2)
		return false;
	s->user_ms = user * 1000 / (uint64_t)per_second;
	s->system_ms = system * 1000 / (uint64_t)per_second;
	return true;
}

static void read_schedule(int pid, struct proc_sample *s)
{
	char path[PATH_LEN];
	char text[128];
	struct dirent *e;
	uint64_t run;
	uint64_t wait;
	DIR *tasks;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return;
	while ((e = readdir(tasks)) != NULL) {
		const int tid = (int)strtol(e->d_name, NULL, 10);

		if (tid <= 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, tid);
		if (!read_text(path, text, sizeof(text)) ||
		    sscanf(text, "%" SCNu64 " %" SCNu64, &run, &wait) != 2)
			continue;
		s->run_ns += run;
		s->wait_ns += wait;
	}
	(void)closedir(tasks);
}

struct proc_sample proc_read(int pid)
{
	struct proc_sample s = { 0 };
	char path[PATH_LEN];
	char text[4096];

	if (pid <= 0 || !read_ticks(pid, &s))
		return s;
	s.known = true;
	read_schedule(pid, &s);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (read_text(path, text, sizeof(text))) {
		s.rss_anon_kb = labelled(text, "RssAnon:");
		s.rss_file_kb = labelled(text, "RssFile:");
		s.rss_shmem_kb = labelled(text, "RssShmem:");
	}
	return s;
}

/* A thread that ended takes its time with it: that must not come out as centuries. */
static uint64_t grown(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

struct proc_sample proc_since(const struct proc_sample *from, const struct proc_sample *to)
{
	struct proc_sample d = *to;

	d.known = from->known && to->known;
	d.user_ms = grown(from->user_ms, to->user_ms);
	d.system_ms = grown(from->system_ms, to->system_ms);
	d.run_ns = grown(from->run_ns, to->run_ns);
	d.wait_ns = grown(from->wait_ns, to->wait_ns);
	return d;
}

uint64_t proc_own_bytes(const struct proc_sample *s)
{
	return (s->rss_anon_kb + s->rss_shmem_kb) * 1024;
}

unsigned proc_cpus(void)
{
	const long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)n : 1;
}

uint64_t proc_memory_available(void)
{
	char text[4096];

	if (!read_text("/proc/meminfo", text, sizeof(text)))
		return 0;
	return labelled(text, "MemAvailable:") * 1024;
}
