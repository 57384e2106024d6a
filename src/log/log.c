/* SPDX-License-Identifier: Apache-2.0 */
#include "log/log.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log/format.h"
#include "log/ring.h"
#include "log/sink.h"

/* One thread's ring and its place in the list. */
struct member {
	struct bs_log_ring ring;
	struct member *next;  /* under lock */
	uint64_t told;        /* drops that a line has reported; under lock */
	atomic_bool detached; /* its thread is gone: free it once it is empty */
	char name[BS_LOG_NAME_MAX];
};

struct logger {
	atomic_int level;
	pthread_key_t key; /* the calling thread's struct member */
	/* Protects members, sink and counters, and makes its holder the consumer of every ring.
	 * Rank: innermost, nothing else is locked while it is held.  Threads with a ring take it
	 * only when they attach. */
	pthread_mutex_t lock;
	struct member *members;
	struct bs_log_sink sink;
	struct bs_log_counters counters;
	atomic_uint_fast64_t suppressed;
	sem_t wake;
	atomic_bool asleep; /* the log thread waits, or is about to */
	atomic_bool stop;
	pthread_t thread;
};

/* The one log of the process; NULL = not open, lines go to stderr. */
static _Atomic(struct logger *) the_log;

static uint64_t wall_ns(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void emit(struct logger *lg, const struct bs_log_record *rec)
{
	if (bs__log_sink_write(&lg->sink, rec) == BS_OK)
		lg->counters.written++;
	else
		lg->counters.failed++;
}

static void report_drops(struct logger *lg, struct member *m)
{
	uint64_t dropped = atomic_load_explicit(&m->ring.dropped, memory_order_relaxed);
	struct bs_log_record rec;

	if (dropped == m->told)
		return;
	memset(&rec, 0, sizeof(rec));
	rec.wall_ns = wall_ns();
	rec.level = BS_LOG_WARNING;
	memcpy(rec.name, m->name, sizeof(rec.name));
	snprintf(rec.message, sizeof(rec.message),
		 "log, dropped %llu lines (ring of thread %s full)",
		 (unsigned long long)(dropped - m->told), m->name);
	lg->counters.dropped += dropped - m->told;
	m->told = dropped;
	emit(lg, &rec);
}

/* The ring whose next line is the oldest, so that lines of several threads come out in order. */
static struct member *oldest_locked(struct logger *lg)
{
	struct member *best = NULL;
	uint64_t best_ns = 0;

	for (struct member *m = lg->members; m != NULL; m = m->next) {
		const struct bs_log_record *rec = bs__log_ring_peek(&m->ring);

		if (rec != NULL && (best == NULL || rec->wall_ns < best_ns)) {
			best = m;
			best_ns = rec->wall_ns;
		}
	}
	return best;
}

static void drain_locked(struct logger *lg)
{
	struct member **link = &lg->members;
	struct member *m;

	while ((m = oldest_locked(lg)) != NULL) {
		emit(lg, bs__log_ring_peek(&m->ring));
		bs__log_ring_pop(&m->ring);
	}
	while ((m = *link) != NULL) {
		report_drops(lg, m);
		/* acquire: the thread's last line lies in the ring before it says that it left */
		if (atomic_load_explicit(&m->detached, memory_order_acquire) &&
		    bs__log_ring_peek(&m->ring) == NULL) {
			*link = m->next;
			free(m);
		} else {
			link = &m->next;
		}
	}
}

static bool is_idle(struct logger *lg)
{
	bool idle;

	pthread_mutex_lock(&lg->lock);
	idle = oldest_locked(lg) == NULL;
	pthread_mutex_unlock(&lg->lock);
	return idle;
}

static void *log_thread(void *arg)
{
	struct logger *lg = arg;

	while (!atomic_load_explicit(&lg->stop, memory_order_acquire)) {
		pthread_mutex_lock(&lg->lock);
		drain_locked(lg);
		pthread_mutex_unlock(&lg->lock);
		atomic_store_explicit(&lg->asleep, true, memory_order_seq_cst);
		if (is_idle(lg)) {
			while (sem_wait(&lg->wake) != 0)
				continue;
		}
		atomic_store_explicit(&lg->asleep, false, memory_order_relaxed);
	}
	return NULL;
}

static void wake(struct logger *lg)
{
	/* one wake-up for however many lines come before the log thread runs */
	if (atomic_load_explicit(&lg->asleep, memory_order_seq_cst) &&
	    atomic_exchange_explicit(&lg->asleep, false, memory_order_seq_cst))
		sem_post(&lg->wake);
}

int bs_log_open(const struct bs_log_options *o)
{
	struct logger *lg;

	if (atomic_load_explicit(&the_log, memory_order_acquire) != NULL)
		return BS_EEXIST;
	lg = calloc(1, sizeof(*lg));
	if (lg == NULL)
		return BS_ENOMEM;
	atomic_init(&lg->level, (int)o->level);
	if (pthread_key_create(&lg->key, NULL) != 0)
		goto no_key;
	if (pthread_mutex_init(&lg->lock, NULL) != 0)
		goto no_lock;
	if (sem_init(&lg->wake, 0, 0) != 0)
		goto no_sem;
	bs__log_sink_open(&lg->sink, o);
	if (pthread_create(&lg->thread, NULL, log_thread, lg) != 0)
		goto no_thread;
	/* release: whoever sees the pointer sees the log behind it */
	atomic_store_explicit(&the_log, lg, memory_order_release);
	return BS_OK;

no_thread:
	bs__log_sink_close(&lg->sink);
	sem_destroy(&lg->wake);
no_sem:
	pthread_mutex_destroy(&lg->lock);
no_lock:
	pthread_key_delete(lg->key);
no_key:
	free(lg);
	return BS_EIO;
}

void bs_log_reopen(const struct bs_log_options *o)
{
	struct logger *lg = atomic_load_explicit(&the_log, memory_order_acquire);

	if (lg == NULL)
		return;
	pthread_mutex_lock(&lg->lock);
	drain_locked(lg);
	bs__log_sink_close(&lg->sink);
	bs__log_sink_open(&lg->sink, o);
	pthread_mutex_unlock(&lg->lock);
	atomic_store_explicit(&lg->level, (int)o->level, memory_order_relaxed);
}

void bs_log_close(void)
{
	struct logger *lg = atomic_exchange_explicit(&the_log, NULL, memory_order_acq_rel);
	struct member *m;

	if (lg == NULL)
		return;
	atomic_store_explicit(&lg->stop, true, memory_order_release);
	sem_post(&lg->wake);
	pthread_join(lg->thread, NULL);
	drain_locked(lg);
	while ((m = lg->members) != NULL) {
		lg->members = m->next;
		free(m);
	}
	bs__log_sink_close(&lg->sink);
	sem_destroy(&lg->wake);
	pthread_mutex_destroy(&lg->lock);
	pthread_key_delete(lg->key);
	free(lg);
}

void bs_log_thread_attach(const char *name)
{
	struct logger *lg = atomic_load_explicit(&the_log, memory_order_acquire);
	struct member *m;

	if (lg == NULL || pthread_getspecific(lg->key) != NULL)
		return;
	m = aligned_alloc(_Alignof(struct member), sizeof(*m));
	if (m == NULL)
		return;
	memset(m, 0, sizeof(*m));
	snprintf(m->name, sizeof(m->name), "%s", name);
	if (pthread_setspecific(lg->key, m) != 0) {
		free(m);
		return;
	}
	pthread_mutex_lock(&lg->lock);
	m->next = lg->members;
	lg->members = m;
	pthread_mutex_unlock(&lg->lock);
}

void bs_log_thread_detach(void)
{
	struct logger *lg = atomic_load_explicit(&the_log, memory_order_acquire);
	struct member *m = lg != NULL ? pthread_getspecific(lg->key) : NULL;

	if (m == NULL)
		return;
	(void)pthread_setspecific(lg->key, NULL);
	atomic_store_explicit(&m->detached, true, memory_order_release);
	wake(lg);
}

void bs_log_set_level(enum bs_log_level level)
{
	struct logger *lg = atomic_load_explicit(&the_log, memory_order_acquire);

	if (lg != NULL)
		atomic_store_explicit(&lg->level, (int)level, memory_order_relaxed);
}

enum bs_log_level bs_log_level(void)
{
	struct logger *lg = atomic_load_explicit(&the_log, memory_order_acquire);

	if (lg == NULL)
		return BS_LOG_NOTICE;
	return (enum bs_log_level)atomic_load_explicit(&lg->level, memory_order_relaxed);
}

bool bs_log_enabled(enum bs_log_level level)
{
	return level <= bs_log_level();
}

BS_PRINTF(4, 0)
static void fill(struct bs_log_record *rec, enum bs_log_level level, const char *name,
		 const char *fmt, va_list ap)
{
	int n;

	rec->wall_ns = wall_ns();
	rec->level = level;
	rec->pairs_len = 0;
	snprintf(rec->name, sizeof(rec->name), "%s", name);
	n = vsnprintf(rec->message, sizeof(rec->message), fmt, ap);
	if (n < 0)
		rec->message[0] = '\0';
	if (n >= (int)sizeof(rec->message))
		memcpy(rec->message + sizeof(rec->message) - 4, "...", 4);
}

static void write_before_open(const struct bs_log_record *rec)
{
	struct bs_log_sink s = { .target = BS_LOG_TO_STDERR, .fd = -1 };

	/* nothing is left to tell it to when stderr fails */
	(void)!bs__log_sink_write(&s, rec);
}

BS_PRINTF(4, 0)
static void write_va(enum bs_log_level level, const struct bs_log_pair *pairs, size_t n,
		     const char *fmt, va_list ap)
{
	struct logger *lg = atomic_load_explicit(&the_log, memory_order_acquire);
	struct member *m = lg != NULL ? pthread_getspecific(lg->key) : NULL;
	struct bs_log_record local;
	struct bs_log_record *rec = &local;

	if (!bs_log_enabled(level))
		return;
	if (m != NULL)
		rec = bs__log_ring_reserve(&m->ring);
	if (rec == NULL)
		return;
	fill(rec, level, m != NULL ? m->name : "", fmt, ap);
	bs__log_record_set_pairs(rec, pairs, n);
	if (m != NULL) {
		bs__log_ring_publish(&m->ring);
		wake(lg);
	} else if (lg != NULL) {
		pthread_mutex_lock(&lg->lock);
		drain_locked(lg);
		emit(lg, rec);
		pthread_mutex_unlock(&lg->lock);
	} else {
		write_before_open(rec);
	}
}

void bs_log_write(enum bs_log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_va(level, NULL, 0, fmt, ap);
	va_end(ap);
}

void bs_log_pairs(enum bs_log_level level, const struct bs_log_pair *pairs, size_t n,
		  const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_va(level, pairs, n, fmt, ap);
	va_end(ap);
}

/* A token comes back every BS_LOG_LIMIT_GAP; used counts the tokens that are out. */
static bool limit_take(struct bs_log_limit *limit, bs_time now)
{
	bs_time_diff gone = BS_TIME_DIFF(now, limit->last);

	if (limit->used > 0 && gone >= (bs_time_diff)BS_LOG_LIMIT_GAP) {
		bs_time back = (bs_time)gone / BS_LOG_LIMIT_GAP;

		limit->used = back >= limit->used ? 0 : limit->used - (uint32_t)back;
		limit->last += back * BS_LOG_LIMIT_GAP;
	}
	if (limit->used >= BS_LOG_LIMIT_BURST)
		return false;
	if (limit->used == 0)
		limit->last = now;
	limit->used++;
	return true;
}

void bs_log_limited(struct bs_log_limit *limit, bs_time now, enum bs_log_level level,
		    const char *fmt, ...)
{
	struct logger *lg = atomic_load_explicit(&the_log, memory_order_acquire);
	va_list ap;

	if (!bs_log_enabled(level))
		return;
	if (!limit_take(limit, now)) {
		limit->suppressed++;
		if (lg != NULL)
			atomic_fetch_add_explicit(&lg->suppressed, 1, memory_order_relaxed);
		return;
	}
	va_start(ap, fmt);
	if (limit->suppressed > 0)
		write_va(level,
			 (struct bs_log_pair[]){ BS_LOG_U64("suppressed", limit->suppressed) }, 1,
			 fmt, ap);
	else
		write_va(level, NULL, 0, fmt, ap);
	va_end(ap);
	limit->suppressed = 0;
}

void bs_log_flush(void)
{
	struct logger *lg = atomic_load_explicit(&the_log, memory_order_acquire);

	if (lg == NULL)
		return;
	pthread_mutex_lock(&lg->lock);
	drain_locked(lg);
	pthread_mutex_unlock(&lg->lock);
}

void bs_log_get_counters(struct bs_log_counters *c)
{
	struct logger *lg = atomic_load_explicit(&the_log, memory_order_acquire);

	memset(c, 0, sizeof(*c));
	if (lg == NULL)
		return;
	pthread_mutex_lock(&lg->lock);
	drain_locked(lg);
	*c = lg->counters;
	pthread_mutex_unlock(&lg->lock);
	c->suppressed = atomic_load_explicit(&lg->suppressed, memory_order_relaxed);
}

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };

const char *bs_log_level_name(enum bs_log_level level)
{
	if ((unsigned)level > BS_LOG_DEBUG)
		return NULL;
	return level_names[level];
}

int bs_log_level_parse(const char *name, enum bs_log_level *level)
{
	for (unsigned i = 0; i <= BS_LOG_DEBUG; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum bs_log_level)i;
			return BS_OK;
		}
	}
	return BS_EINVAL;
}
