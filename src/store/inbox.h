/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inbox.h - queues of the store thread: one request queue, one inbox for each requester.  Internal
 * to store/.
 *
 * An item is one allocation for its whole way: submitted, worked on, answered, freed by the
 * requester.  So an answer never fails for want of memory.
 */
#ifndef BS_STORE_INBOX_H
#define BS_STORE_INBOX_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/writer.h"

/** A request on its way, or a change for the feed. */
struct bs__item {
	struct bs__item *next;
	struct bs_store_inbox *inbox; /**< holds a reference */
	bool is_change;
	bool failed;       /**< while in a batch: res.status is final */
	unsigned stopped;  /**< times that an import was stopped for an urgent request */
	uint64_t first_ms; /**< when an import was begun, monotonic; 0 = not yet */
	union {
		struct {
			struct bs_store_request req;
			struct bs_store_result res;
		} r;
		struct bs_store_change change;
	} u;
};

/** First in, first out. */
struct bs__queue {
	struct bs__item *head;
	struct bs__item **tail;
	size_t n;
};

struct bs_store_inbox {
	struct bs_store *store;
	/** Rank 2: protects queue, closed and many; never held while another lock is taken. */
	pthread_mutex_t lock;
	struct bs__queue queue;
	bool closed;
	int fd;
	/** Owner and items under way.  Relaxed to take, release to drop, acquire to free. */
	atomic_uint refs;
	bs_store_change_fn feed;
	void *feed_arg;
	/** A change "look at everything" waits; no item, so it cannot fail for want of memory. */
	bool many;
	struct bs_epochs many_epochs;
};

void bs__queue_init(struct bs__queue *q);
void bs__queue_push(struct bs__queue *q, struct bs__item *it);
/** The oldest, or NULL. */
struct bs__item *bs__queue_pop(struct bs__queue *q);

/** Wipe and free an item, with what it owns; drops its reference. */
void bs__item_free(struct bs__item *it);
/** Hand an item to its inbox's thread; frees it when nobody waits there. */
void bs__inbox_post(struct bs__item *it);
/** Tell the feed to look at everything. */
void bs__inbox_post_many(struct bs_store_inbox *in, const struct bs_epochs *epochs);
/** One more holder. */
void bs__inbox_ref(struct bs_store_inbox *in);
/** One less; the last one frees. */
void bs__inbox_unref(struct bs_store_inbox *in);

#endif
