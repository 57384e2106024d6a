/* SPDX-License-Identifier: Apache-2.0 */
#include "store/writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log/log.h"
#include "store/backup.h"
#include "store/import_apply.h"
#include "store/inbox.h"
#include "store/schema.h"

/* Commits between two looks for readers of dead processes. */
#define COMMITS_BETWEEN 64
/* Fill of the map at which a notice is logged, and below which the next one may be. */
#define FILL_NOTICE 90
#define FILL_QUIET  85

struct bs_store {
	struct bs_registry *reg;
	pthread_t thread;
	/** Rank 1: protects queue and stopping. */
	pthread_mutex_t lock;
	pthread_cond_t wake; /**< queue or stopping changed */
	struct bs__queue queue;
	/** Written under the lock; atomic, for the store thread also looks without it (relaxed: it
	 *  only decides how long to wait). */
	atomic_bool stopping;
	bool running;
	/** Requests waiting that take something away from somebody; read without the lock by an
	 *  import that asks whether to make room.  Relaxed: a late answer costs a few rows. */
	atomic_size_t urgent;
	struct bs_store_inbox *feed; /**< NULL = nobody listens */

	/* From here on the store thread's own. */
	struct bs__apply *apply;
	struct bs__queue imports;
	uint64_t urgent_ms; /**< when an urgent request was last taken, monotonic */
	uint64_t commits;
	bool noticed;
	bool broken; /**< the last commit failed: the next good one is worth a line */

	/* One backup at a time, in a thread of its own: it only reads, for as long as it takes. */
	pthread_t backup_thread;
	bool backup_joinable;
	struct bs__item *backup;
	atomic_bool backup_runs;

	atomic_uint fill;
#define COUNTER_FIELD(name, unit, help) _Atomic uint64_t c_##name;
	BS_STORE_COUNTERS(COUNTER_FIELD)
#undef COUNTER_FIELD
};

/* Relaxed: figures for people, summed by whoever asks. */
#define COUNT(s, name, n) atomic_fetch_add_explicit(&(s)->c_##name, n, memory_order_relaxed)

/* ---- one transaction */

static void begin_apply(struct bs_store *s, MDB_txn *txn)
{
	struct bs__apply *a = s->apply;

	a->txn = txn;
	a->now = (uint64_t)time(NULL);
	memset(a->touched, 0, sizeof(a->touched));
	a->many = false;
	a->n_changes = 0;
}

/* One request in a nested transaction, so that its failure leaves no trace. */
static void apply_one(struct bs_store *s, MDB_txn *txn, struct bs__item *it)
{
	struct bs__apply *a = s->apply;
	struct bs_store_result *res = &it->u.r.res;
	bool touched[BS__EPOCHS];
	size_t n_changes = a->n_changes;
	bool many = a->many;
	int rc;

	memcpy(touched, a->touched, sizeof(touched));
	rc = mdb_txn_begin(s->reg->env, txn, 0, &a->txn);
	if (rc) {
		res->status = bs__apply_error(a, &res->err, rc);
		a->txn = txn;
		return;
	}
	res->status = bs__apply(a, &it->u.r.req, res);
	if (res->status == BS_OK) {
		rc = mdb_txn_commit(a->txn);
		if (rc)
			res->status = bs__apply_error(a, &res->err, rc);
	} else {
		mdb_txn_abort(a->txn);
	}
	a->txn = txn;
	if (res->status != BS_OK) {
		memcpy(a->touched, touched, sizeof(touched));
		a->n_changes = n_changes;
		a->many = many;
	}
}

static void look_at_fill(struct bs_store *s, uint64_t live)
{
	unsigned fill = (unsigned)(live * 100 / s->reg->limit_bytes);

	atomic_store_explicit(&s->fill, fill, memory_order_relaxed);
	if (fill >= FILL_NOTICE && !s->noticed)
		bs_log_notice(
			"store, database is %u %% full (%llu MiB); raise database-size in time",
			fill, (unsigned long long)(s->reg->map_bytes >> 20));
	if (fill >= FILL_NOTICE)
		s->noticed = true;
	else if (fill < FILL_QUIET)
		s->noticed = false;
}

static void clear_dead_readers(struct bs_store *s)
{
	int dead = 0;

	if (mdb_reader_check(s->reg->env, &dead) == 0 && dead)
		COUNT(s, stale_readers, (uint64_t)dead);
}

/* Epochs, commit with sync, atomics.  BS_OK, or the status for everything in it. */
static int commit(struct bs_store *s, MDB_txn *txn, struct bs_errtext *err)
{
	struct bs__apply *a = s->apply;
	struct bs_registry *reg = s->reg;
	uint64_t epoch[BS__EPOCHS];
	uint64_t live;
	int rc;
	int e;

	a->txn = txn;
	rc = bs__apply_epochs(a);
	for (e = 0; e < BS__EPOCHS && rc == BS_OK; e++)
		rc = bs__meta_get(reg, txn, bs__epoch_name(e), &epoch[e]);
	if (rc != BS_OK) {
		mdb_txn_abort(txn);
		bs__errtext(err, "%s: cannot write (%s)", reg->dir, bs_strerror(rc));
	} else {
		live = bs__env_live(reg, txn);
		rc = mdb_txn_commit(txn);
		if (rc)
			rc = bs__env_error(err, reg->dir, rc, "cannot write to the disk");
		else
			look_at_fill(s, live);
	}
	if (rc != BS_OK) {
		COUNT(s, commit_errors, 1);
		if (!s->broken && err)
			bs_log_error("store, failed to commit (%s)", err->text);
		s->broken = true;
		return rc;
	}
	if (s->broken)
		bs_log_notice("store, commits work again");
	s->broken = false;
	for (e = 0; e < BS__EPOCHS; e++)
		atomic_store_explicit(&reg->epoch[e], epoch[e], memory_order_release);
	COUNT(s, commits, 1);
	if (++s->commits % COMMITS_BETWEEN == 0)
		clear_dead_readers(s);
	return BS_OK;
}

/* ---- answers and feed */

static void answer(struct bs_store *s, struct bs__item *it)
{
	struct bs_store_result *res = &it->u.r.res;

	res->op = it->u.r.req.op;
	res->epochs = bs_registry_epochs(s->reg);
	if (res->status == BS_OK) {
		res->err.text[0] = 0;
	} else {
		COUNT(s, failed, 1);
		if (res->status == BS_ENOSPC)
			COUNT(s, no_space, 1);
		if (!res->err.text[0])
			bs__errtext(&res->err, "%s", bs_strerror(res->status));
	}
	bs__inbox_post(it);
}

static void feed_changes(struct bs_store *s)
{
	struct bs__apply *a = s->apply;
	struct bs_epochs epochs = bs_registry_epochs(s->reg);
	size_t i;

	if (!s->feed)
		return;
	for (i = 0; i < a->n_changes && !a->many; i++) {
		struct bs__item *it = calloc(1, sizeof(*it));

		if (!it) {
			a->many = true;
			break;
		}
		it->is_change = true;
		it->u.change = a->change[i];
		it->u.change.epochs = epochs;
		it->inbox = s->feed;
		bs__inbox_ref(s->feed);
		bs__inbox_post(it);
	}
	if (a->many)
		bs__inbox_post_many(s->feed, &epochs);
}

/* ---- batches */

/* All of a batch in one transaction.  BS_OK, or why the transaction as a whole failed. */
static int run_batch(struct bs_store *s, struct bs__item *head, struct bs_errtext *err)
{
	struct bs__item *it;
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->reg->env, NULL, 0, &txn);

	if (rc)
		return bs__env_error(err, s->reg->dir, rc, "cannot begin a transaction");
	begin_apply(s, txn);
	for (it = head; it; it = it->next) {
		memset(&it->u.r.res, 0, sizeof(it->u.r.res));
		apply_one(s, txn, it);
	}
	rc = commit(s, txn, err);
	if (rc == BS_OK)
		feed_changes(s);
	return rc;
}

static void fail_item(struct bs__item *it, int status, const struct bs_errtext *err)
{
	memset(&it->u.r.res, 0, sizeof(it->u.r.res));
	it->u.r.res.status = status;
	it->u.r.res.err = *err;
}

static void do_batch(struct bs_store *s, struct bs__queue *batch)
{
	struct bs_errtext err = { { 0 } };
	struct bs__item *it;
	int rc = run_batch(s, batch->head, &err);

	if (rc == BS_ENOSPC && batch->n > 1) {
		/* Perhaps only the sum is too much, or one of them: each for itself. */
		clear_dead_readers(s);
		while ((it = bs__queue_pop(batch))) {
			it->next = NULL;
			rc = run_batch(s, it, &err);
			if (rc != BS_OK)
				fail_item(it, rc, &err);
			answer(s, it);
		}
		return;
	}
	while ((it = bs__queue_pop(batch))) {
		if (rc != BS_OK)
			fail_item(it, rc, &err);
		answer(s, it);
	}
}

/* ---- imports */

/* First pause after an interruption; it doubles with each. */
#define PAUSE_FIRST_MS 50

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* When the oldest import may be tried again, monotonic ms. */
static uint64_t import_due(const struct bs_store *s)
{
	const struct bs__item *it = s->imports.head;
	uint64_t pause = BS_STORE_IMPORT_PAUSE_MS;

	/* The end is a reason to hurry. */
	if (!it->stopped || s->stopping)
		return 0;
	if (it->stopped < 6)
		pause = (uint64_t)PAUSE_FIRST_MS << (it->stopped - 1);
	return s->urgent_ms + pause;
}

static bool urgent_waits(void *arg)
{
	struct bs_store *s = arg;

	return atomic_load_explicit(&s->urgent, memory_order_relaxed) != 0;
}

/* BS_OK or the status; BS_EAGAIN: others wait, call again. */
static int run_import(struct bs_store *s, struct bs__item *it)
{
	struct bs_import *im = it->u.r.req.u.import;
	struct bs_store_result *res = &it->u.r.res;
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->reg->env, NULL, 0, &txn);

	memset(res, 0, sizeof(*res));
	if (rc)
		return bs__env_error(&res->err, s->reg->dir, rc, "cannot begin a transaction");
	begin_apply(s, txn);
	rc = bs__import_apply(im, s->apply, res, urgent_waits, s);
	if (rc != BS_OK) {
		mdb_txn_abort(txn);
		return rc;
	}
	bs__import_committing(im, true);
	rc = commit(s, txn, &res->err);
	bs__import_committing(im, false);
	if (rc != BS_OK)
		return rc;
	COUNT(s, rows, res->number);
	s->apply->many = s->apply->n_changes > 0;
	feed_changes(s);
	return BS_OK;
}

static void do_import(struct bs_store *s)
{
	struct bs__item *it = s->imports.head;
	uint64_t now = now_ms();
	int rc;

	if (!it->first_ms)
		it->first_ms = now;
	if (now < import_due(s) && now - it->first_ms < BS_STORE_IMPORT_PATIENCE_MS)
		return;
	rc = run_import(s, it);
	if (rc == BS_EAGAIN && now - it->first_ms < BS_STORE_IMPORT_PATIENCE_MS) {
		it->stopped++;
		COUNT(s, import_restarts, 1);
		return;
	}
	if (rc == BS_EAGAIN) {
		rc = BS_EBUSY;
		bs__errtext(&it->u.r.res.err, "rights were changed all the time and the import did "
					      "not get through; nothing was imported, try again "
					      "when it is quieter");
	}
	if (rc == BS_ENOSPC)
		clear_dead_readers(s);
	bs__queue_pop(&s->imports);
	it->u.r.res.status = rc;
	if (rc != BS_OK)
		it->u.r.res.number = 0;
	answer(s, it);
}

/* ---- backups */

static void *backup_main(void *arg)
{
	struct bs_store *s = arg;
	struct bs__item *it = s->backup;
	struct bs_store_result *res = &it->u.r.res;

	memset(res, 0, sizeof(*res));
	res->status = bs_registry_backup(s->reg, it->u.r.req.u.path, &res->err);
	s->backup = NULL;
	/* Release: the store thread sees that `backup` is free again.  Before the answer, so that
	 * whoever has it may ask for the next one. */
	atomic_store_explicit(&s->backup_runs, false, memory_order_release);
	answer(s, it);
	return NULL;
}

static void join_backup(struct bs_store *s)
{
	if (s->backup_joinable)
		pthread_join(s->backup_thread, NULL);
	s->backup_joinable = false;
}

static void start_backup(struct bs_store *s, struct bs__item *it)
{
	struct bs_errtext err = { { 0 } };

	/* Acquire: pairs with the release in backup_main. */
	if (atomic_load_explicit(&s->backup_runs, memory_order_acquire)) {
		bs__errtext(&err, "another backup is under way; try again when it is done");
		fail_item(it, BS_EBUSY, &err);
		answer(s, it);
		return;
	}
	join_backup(s);
	s->backup = it;
	atomic_store_explicit(&s->backup_runs, true, memory_order_relaxed);
	if (pthread_create(&s->backup_thread, NULL, backup_main, s)) {
		atomic_store_explicit(&s->backup_runs, false, memory_order_relaxed);
		bs__errtext(&err, "cannot start a thread for the backup");
		fail_item(it, BS_ENOMEM, &err);
		answer(s, it);
		return;
	}
	s->backup_joinable = true;
}

/* ---- thread */

/* What must not wait for a million rows. */
static bool is_urgent(const struct bs__item *it)
{
	switch (it->u.r.req.op) {
	case BS_STORE_REVOKE:
	case BS_STORE_DEVICE_STATE:
	case BS_STORE_DEVICE_DELETE:
	case BS_STORE_CLIENT_UPDATE:
	case BS_STORE_CLIENT_DELETE:
	case BS_STORE_RULE_DELETE:
	case BS_STORE_CA_REMOVE: return true;
	case BS_STORE_RULE_ADD: return !it->u.r.req.u.rule.allow;
	default: return false;
	}
}

/* Wait for a request, the end, or the time of an import; the lock is held. */
static void wait_locked(struct bs_store *s)
{
	struct timespec until;
	uint64_t due;

	while (!s->queue.n && !s->stopping) {
		if (!s->imports.n) {
			pthread_cond_wait(&s->wake, &s->lock);
			continue;
		}
		due = import_due(s);
		if (due <= now_ms())
			return;
		until.tv_sec = (time_t)(due / 1000);
		until.tv_nsec = (long)(due % 1000) * 1000000;
		pthread_cond_timedwait(&s->wake, &s->lock, &until);
	}
}

/* Take what waits, sorted by what it needs.  False when there is nothing and the thread must
 * end. */
static bool take(struct bs_store *s, struct bs__queue *batch, struct bs__queue *backups)
{
	struct bs__item *it;
	bool more;

	bs__queue_init(batch);
	bs__queue_init(backups);
	pthread_mutex_lock(&s->lock);
	wait_locked(s);
	while (batch->n < BS_STORE_BATCH_MAX && (it = bs__queue_pop(&s->queue))) {
		if (is_urgent(it)) {
			atomic_fetch_sub_explicit(&s->urgent, 1, memory_order_relaxed);
			s->urgent_ms = now_ms();
		}
		if (it->u.r.req.op == BS_STORE_IMPORT)
			bs__queue_push(&s->imports, it);
		else if (it->u.r.req.op == BS_STORE_BACKUP)
			bs__queue_push(backups, it);
		else
			bs__queue_push(batch, it);
	}
	more = !s->stopping || s->queue.n;
	pthread_mutex_unlock(&s->lock);
	return more || batch->n || backups->n || s->imports.n;
}

static void *thread_main(void *arg)
{
	struct bs_store *s = arg;
	struct bs__queue batch;
	struct bs__queue backups;
	struct bs__item *it;

	bs_log_thread_attach("store");
	while (take(s, &batch, &backups)) {
		if (batch.n)
			do_batch(s, &batch);
		while ((it = bs__queue_pop(&backups)))
			start_backup(s, it);
		if (s->imports.n)
			do_import(s);
	}
	join_backup(s);
	bs_log_thread_detach();
	return NULL;
}

/* Signals belong to the main thread. */
static int start_thread(struct bs_store *s)
{
	sigset_t all;
	sigset_t old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&s->thread, NULL, thread_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc ? BS_EINTERNAL : BS_OK;
}

static int make_feed(struct bs_store *s, bs_store_change_fn feed, void *arg)
{
	int rc = bs_store_inbox_new(s, &s->feed);

	if (rc != BS_OK)
		return rc;
	s->feed->feed = feed;
	s->feed->feed_arg = arg;
	/* Ours beside the caller's: he may free his before the thread has ended. */
	bs__inbox_ref(s->feed);
	return BS_OK;
}

/* Waits with a deadline go by the clock that nobody sets. */
static void init_wake(struct bs_store *s)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
}

int bs_store_start(struct bs_registry *reg, bs_store_change_fn feed, void *feed_arg,
		   struct bs_store **out, struct bs_store_inbox **feed_inbox)
{
	struct bs_store *s;
	int rc;

	if (!reg->write)
		return BS_EPERM;
	s = calloc(1, sizeof(*s));
	if (!s)
		return BS_ENOMEM;
	s->reg = reg;
	bs__queue_init(&s->queue);
	bs__queue_init(&s->imports);
	pthread_mutex_init(&s->lock, NULL);
	init_wake(s);
	s->apply = calloc(1, sizeof(*s->apply));
	rc = s->apply ? bs_seal_new(reg->master_key, &s->apply->seal) : BS_ENOMEM;
	if (rc == BS_OK) {
		s->apply->reg = reg;
		rc = feed ? make_feed(s, feed, feed_arg) : BS_OK;
	}
	if (rc == BS_OK)
		rc = start_thread(s);
	if (rc != BS_OK) {
		if (s->feed && atomic_load_explicit(&s->feed->refs, memory_order_relaxed) > 1)
			bs_store_inbox_free(s->feed);
		bs_store_free(s);
		return rc;
	}
	s->running = true;
	if (feed_inbox)
		*feed_inbox = s->feed;
	*out = s;
	return BS_OK;
}

void bs_store_stop(struct bs_store *s)
{
	if (!s || !s->running)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	s->running = false;
}

void bs_store_free(struct bs_store *s)
{
	if (!s)
		return;
	bs_store_stop(s);
	if (s->feed)
		bs__inbox_unref(s->feed);
	if (s->apply) {
		bs_seal_free(s->apply->seal);
		free(s->apply);
	}
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- submitting */

static void *copy(const void *p, size_t len)
{
	void *q = malloc(len);

	if (q)
		memcpy(q, p, len);
	return q;
}

/* What the request points at becomes the item's own. */
static int copy_pointers(struct bs_store_request *req)
{
	if (req->op == BS_STORE_CA_ADD) {
		req->u.ca.der.ptr = copy(req->u.ca.der.ptr, req->u.ca.der.len);
		return req->u.ca.der.ptr ? BS_OK : BS_ENOMEM;
	}
	if (req->op == BS_STORE_SEEN) {
		req->u.seen.v = copy(req->u.seen.v, req->u.seen.n * sizeof(*req->u.seen.v));
		return req->u.seen.v ? BS_OK : BS_ENOMEM;
	}
	if (req->op == BS_STORE_VOLUME) {
		req->u.volume.v = copy(req->u.volume.v, req->u.volume.n * sizeof(*req->u.volume.v));
		return req->u.volume.v ? BS_OK : BS_ENOMEM;
	}
	return BS_OK;
}

static int enqueue(struct bs_store *s, struct bs__item *it)
{
	int rc = BS_OK;

	pthread_mutex_lock(&s->lock);
	if (s->stopping) {
		rc = BS_ECLOSED;
	} else if (s->queue.n >= BS_STORE_QUEUE_MAX) {
		rc = BS_EFULL;
	} else {
		bs__queue_push(&s->queue, it);
		if (is_urgent(it))
			atomic_fetch_add_explicit(&s->urgent, 1, memory_order_relaxed);
		pthread_cond_signal(&s->wake);
	}
	pthread_mutex_unlock(&s->lock);
	if (rc == BS_OK)
		COUNT(s, requests, 1);
	if (rc == BS_EFULL)
		COUNT(s, refused, 1);
	return rc;
}

/* Drop an item whose pointers are still the caller's. */
static void drop(struct bs__item *it)
{
	it->u.r.req.op = BS_STORE_SYNC;
	bs__item_free(it);
}

int bs_store_submit(struct bs_store_inbox *in, const struct bs_store_request *req)
{
	struct bs__item *it = calloc(1, sizeof(*it));
	int rc;

	if (!it)
		return BS_ENOMEM;
	it->u.r.req = *req;
	it->inbox = in;
	bs__inbox_ref(in);
	rc = bs__request_check(&it->u.r.req, &it->u.r.res.err);
	if (rc != BS_OK && req->done && req->op != BS_STORE_IMPORT) {
		/* The text is worth more to the requester than the code. */
		it->u.r.req.op = BS_STORE_SYNC;
		it->u.r.res.op = req->op;
		it->u.r.res.status = rc;
		it->u.r.res.epochs = bs_registry_epochs(in->store->reg);
		bs__inbox_post(it);
		return BS_OK;
	}
	if (rc == BS_OK)
		rc = copy_pointers(&it->u.r.req);
	if (rc != BS_OK) {
		drop(it);
		return rc;
	}
	rc = enqueue(in->store, it);
	if (rc != BS_OK && req->op == BS_STORE_IMPORT)
		drop(it);
	else if (rc != BS_OK)
		bs__item_free(it);
	return rc;
}

struct bs_store_counters bs_store_counters_get(const struct bs_store *s)
{
	struct bs_store_counters c;

#define COUNTER_READ(name, unit, help)                                                             \
 c.name = atomic_load_explicit(&s->c_##name, memory_order_relaxed);
	BS_STORE_COUNTERS(COUNTER_READ)
#undef COUNTER_READ
	return c;
}

unsigned bs_store_fill_percent(const struct bs_store *s)
{
	return atomic_load_explicit(&s->fill, memory_order_relaxed);
}
