/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_internal.h - what the files of the main thread's half share.
 *
 *   server.c           binding, threads, reload, the change feed
 *   server_question.c  questions to the workers and their answers
 *   server_handover.c  standing still, handing over, draining
 *
 * Private to server/.  Owner: main.
 */
#ifndef BS_SERVER_SERVER_INTERNAL_H
#define BS_SERVER_SERVER_INTERNAL_H

#include "server/server.h"
#include "server/worker_loop.h"

/** Questions that may be open at a time. */
#define BS_QUESTIONS_MAX 256u

/** Messages that a full ring did not take; nothing in here may be lost. */
struct bs_backlog {
	struct bs_message *m;
	size_t n;
	size_t cap;
};

/** A question that waits for its answers. */
struct bs_question {
	uint32_t id;  /**< 0 = free */
	uint8_t kind; /**< enum bs_query_kind, or 0 for a kick */
	uint32_t max;
	unsigned worker;  /**< list: which one is asked now */
	unsigned waiting; /**< answers still to come */
	bs_time deadline;
	bool has_deadline; /**< set by the first tick that sees it */
	uint8_t *rows;
	size_t row_len;
	size_t n;
	size_t cap;
	union {
		bs_server_rows_fn rows;
		bs_server_events_fn events;
		bs_server_attempt_fn attempt;
		bs_server_attempts_fn attempts;
		bs_server_relays_fn relays;
		bs_server_done_fn done;
		void (*sync)(void *arg, int err);
	} fn;
	void *arg;
};

struct bs_server {
	const struct bs_conf *conf;      /**< in force; referenced */
	const struct bs_conf *old_conf;  /**< referenced until all workers passed it */
	const struct bs_conf *next_conf; /**< reload while one is under way */
	struct bs_shared shared;
	struct bs_handover *inherited; /**< while sockets are opened */
	struct bs_worker *worker;      /**< [n_workers] */
	unsigned n_workers;
	unsigned n_inited;
	bool running;
	bool steering;
	bool draining;
	uint64_t started_ms;
	uint16_t controller_port;
	uint16_t attach_port;
	struct bs_store_inbox *store;
	struct bs_backlog *backlog; /**< [n_workers] */
	struct bs_question question[BS_QUESTIONS_MAX];
	uint32_t last_id;
	bs_time now; /**< of the last tick */
};

/** Send to a worker, now or as soon as its ring has room. */
void bs__server_post(struct bs_server *s, unsigned to, const struct bs_message *m);
/** Ask every worker for a sign; fn when all gave it. */
BS_MUSTCHECK int bs__server_sync(struct bs_server *s, void (*fn)(void *arg, int err), void *arg);
/** An answer or its rows arrived. */
void bs__server_rows(struct bs_server *s, const struct bs_bulk *b);
void bs__server_answer(struct bs_server *s, unsigned from, const struct bs_message *m);
/** End every open question. */
void bs__server_questions_end(struct bs_server *s, int err);
/** End those that took too long. */
void bs__server_questions_tick(struct bs_server *s);

#endif
