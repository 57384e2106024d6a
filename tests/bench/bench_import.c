/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-import - how long a bulk import takes, what it costs in memory, and what readers and other
 * requests feel of it.
 *
 *   bench-import [ROWS [FOLDER]]    default 1000000 rows in a temporary folder
 *
 * Rows come in random order with ids of 30 characters and two tags.  While the import is applied,
 * one thread looks devices up as fast as it can and another revokes five clients, 300 ms apart.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/seal.h"
#include "store/writer.h"

#define KNOWN   1000
#define REVOKES 5

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void must(int rc, const char *what, const struct bs_errtext *err)
{
	if (rc == BS_OK)
		return;
	fprintf(stderr, "bench-import: %s: %s %s\n", what, bs_strerror(rc), err ? err->text : "");
	exit(1);
}

static long peak_rss_kib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

/* Anonymous memory: what the import itself holds, page cache of the map not counted. */
static long rss_anon_kib(void)
{
	char line[128];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "RssAnon: %ld", &kib) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kib;
}

static void make_id(uint64_t i, char *id, size_t cap)
{
	/* A permutation of the numbers: an odd factor modulo a power of two. */
	uint32_t mixed = (uint32_t)i * 2654435761u;

	snprintf(id, cap, "%08x.p2p.devices.example.com", (unsigned)mixed);
}

struct shared {
	struct bs_registry *reg;
	struct bs_store *store;
	atomic_bool stop;
	uint64_t lookups;
	uint64_t worst_lookup_ns;
	uint64_t revokes;
	uint64_t worst_revoke_ns;
	uint64_t commit_ns;
	struct bs_import *import;
};

static void *look_up(void *arg)
{
	struct shared *s = arg;
	struct bs_registry_reader *r;
	struct bs_device d;
	char id[48];
	uint64_t n = 0;

	must(bs_registry_reader_new(s->reg, &r), "reader", NULL);
	while (!atomic_load(&s->stop)) {
		uint64_t t;

		snprintf(id, sizeof(id), "known%u.example.com", (unsigned)(n % KNOWN));
		t = now_ns();
		must(bs_registry_device(r, (struct bs_slice){ (const uint8_t *)id, strlen(id) },
					&d),
		     "lookup", NULL);
		t = now_ns() - t;
		if (t > s->worst_lookup_ns)
			s->worst_lookup_ns = t;
		n++;
	}
	bs_device_wipe(&d);
	bs_registry_reader_free(r);
	s->lookups = n;
	return NULL;
}

static void on_done(void *arg, const struct bs_store_result *res)
{
	*(struct bs_store_result *)arg = *res;
}

static struct bs_store_result call(struct bs_store_inbox *in, struct bs_store_request *req)
{
	struct bs_store_result res = { 0 };
	struct pollfd p = { .fd = bs_store_inbox_fd(in), .events = POLLIN };

	req->done = on_done;
	req->arg = &res;
	must(bs_store_submit(in, req), "submit", NULL);
	while (!res.op) {
		poll(&p, 1, 1000);
		bs_store_inbox_run(in);
	}
	return res;
}

static void *revoke_often(void *arg)
{
	struct shared *s = arg;
	struct bs_store_inbox *in;
	struct timespec pause = { 0, 300000000 };

	must(bs_store_inbox_new(s->store, &in), "inbox", NULL);
	while (s->revokes < REVOKES && !atomic_load(&s->stop)) {
		struct bs_store_request req = { .op = BS_STORE_REVOKE };
		struct bs_store_result res;
		uint64_t t;

		nanosleep(&pause, NULL);
		req.u.revocation.kind = BS_REVOKE_CLIENT;
		snprintf(req.u.revocation.identity, sizeof(req.u.revocation.identity), "client%u",
			 (unsigned)s->revokes);
		t = now_ns();
		res = call(in, &req);
		t = now_ns() - t;
		must(res.status, "revoke", &res.err);
		if (t > s->worst_revoke_ns)
			s->worst_revoke_ns = t;
		s->revokes++;
	}
	bs_store_inbox_free(in);
	return NULL;
}

static void add_known(struct bs_store_inbox *in)
{
	unsigned i;

	for (i = 0; i < KNOWN; i++) {
		struct bs_store_request req = { .op = BS_STORE_DEVICE_ADD };

		snprintf(req.u.device.id, sizeof(req.u.device.id), "known%u.example.com", i);
		req.u.device.has_secret = true;
		/* Only the last one waits, so that they share transactions. */
		if (i == KNOWN - 1)
			must(call(in, &req).status, "add", NULL);
		else
			must(bs_store_submit(in, &req), "submit", NULL);
	}
}

static struct bs_import *stage(struct bs_registry *reg, uint64_t rows)
{
	uint8_t secret[BS_PSK_LEN] = { 0 };
	struct bs_names tags = { .n = 0 };
	struct bs_errtext err = { { 0 } };
	struct bs_import *im;
	char id[48];
	uint64_t i;

	must(bs_names_add(&tags, "batch-7", 7), "tag", NULL);
	must(bs_names_add(&tags, "model-x", 7), "tag", NULL);
	must(bs_import_new(reg, BS_IMPORT_NEW, rows, &im), "import", NULL);
	for (i = 0; i < rows; i++) {
		struct bs_import_row row = { .row = i + 1, .secret = secret, .tags = &tags };

		make_id(i, id, sizeof(id));
		memcpy(secret, &i, sizeof(i));
		row.id.ptr = (const uint8_t *)id;
		row.id.len = strlen(id);
		must(bs_import_add(im, &row, &err), "row", &err);
	}
	return im;
}

/* How long the pages of the import take to the disk: the only time it cannot be interrupted. */
static void *watch_commit(void *arg)
{
	struct shared *s = arg;
	struct timespec pause = { 0, 1000000 };
	uint64_t t = 0;

	while (!atomic_load(&s->stop)) {
		bool on = bs_import_progress_get(s->import).committing;

		if (on && !t)
			t = now_ns();
		if (!on && t)
			break;
		nanosleep(&pause, NULL);
	}
	s->commit_ns = t ? now_ns() - t : 0;
	return NULL;
}

static void report_size(const char *dir)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	if (stat(path, &st) == 0)
		printf("file                 %.1f MiB\n", (double)st.st_size / 1048576);
}

static void run(struct shared *s, struct bs_store_inbox *in, uint64_t rows)
{
	struct bs_store_request req = { .op = BS_STORE_IMPORT };
	struct bs_store_result res;
	struct bs_import *im;
	pthread_t threads[3];
	long before = rss_anon_kib();
	uint64_t t = now_ns();
	uint64_t took;

	im = stage(s->reg, rows);
	took = now_ns() - t;
	printf("staging              %.2f s, %.0f rows/s, %ld bytes/row held\n", (double)took / 1e9,
	       (double)rows * 1e9 / (double)took, (rss_anon_kib() - before) * 1024 / (long)rows);
	pthread_create(&threads[0], NULL, look_up, s);
	pthread_create(&threads[1], NULL, revoke_often, s);
	s->import = bs_import_ref(im);
	pthread_create(&threads[2], NULL, watch_commit, s);
	req.u.import = im;
	t = now_ns();
	res = call(in, &req);
	took = now_ns() - t;
	must(res.status, "import", &res.err);
	atomic_store(&s->stop, true);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	pthread_join(threads[2], NULL);
	bs_import_free(s->import);
	printf("apply and commit     %.2f s, %.0f rows/s, %u rows, %llu restarts\n",
	       (double)took / 1e9, (double)rows * 1e9 / (double)took, (unsigned)res.number,
	       (unsigned long long)bs_store_counters_get(s->store).import_restarts);
	printf("of that the commit   %.2f s\n", (double)s->commit_ns / 1e9);
	printf("lookups meanwhile    %.0f /s, worst %.2f ms\n",
	       (double)s->lookups * 1e9 / (double)took, (double)s->worst_lookup_ns / 1e6);
	printf("revocations meanwhile %llu, worst %.0f ms to the disk\n",
	       (unsigned long long)s->revokes, (double)s->worst_revoke_ns / 1e6);
	printf("peak RSS             %.1f MiB (map included)\n", (double)peak_rss_kib() / 1024);
}

static void remove_folder(const char *dir)
{
	static const char *const names[] = { "data.mdb", "data.mdb-lock", "writer.lock", "use.lock",
					     "key" };
	char path[512];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

int main(int argc, char **argv)
{
	uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	char dir[300] = "/tmp/bench-import.XXXXXX";
	char key[320];
	struct bs_registry_conf conf = { .map_bytes = (uint64_t)4 << 30, .write = true };
	struct bs_errtext err = { { 0 } };
	struct shared s = { 0 };
	struct bs_store_inbox *in;

	if (argc > 2)
		snprintf(dir, sizeof(dir), "%s/bench-import.XXXXXX", argv[2]);
	if (!rows || !mkdtemp(dir)) {
		fprintf(stderr, "usage: bench-import [ROWS [FOLDER]]\n");
		return 2;
	}
	snprintf(key, sizeof(key), "%s/key", dir);
	conf.dir = dir;
	conf.key_file = key;
	must(bs_seal_key_create(key, &err), "key", &err);
	must(bs_registry_open(&conf, &s.reg, &err), "open", &err);
	must(bs_store_start(s.reg, NULL, NULL, &s.store, NULL), "start", NULL);
	must(bs_store_inbox_new(s.store, &in), "inbox", NULL);
	add_known(in);
	run(&s, in, rows);
	report_size(dir);
	bs_store_stop(s.store);
	bs_store_inbox_free(in);
	bs_store_free(s.store);
	bs_registry_close(s.reg);
	remove_folder(dir);
	return 0;
}
