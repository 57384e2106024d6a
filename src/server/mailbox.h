/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox.h - bounded rings between threads, one producer and one consumer each.
 *
 * A post office holds the rings of all ordered pairs of n + 1 threads (workers 0..n-1, main n) and
 * one wake-up descriptor per thread.  Slots are mapped lazily: a ring that is never used costs
 * address space only.
 *
 * put publishes the slot with a release store of the ring's tail; take reads the tail with acquire.
 * Wake-ups are explicit (bs_post_wake), one per batch.
 */
#ifndef BS_SERVER_MAILBOX_H
#define BS_SERVER_MAILBOX_H

#include "server/message.h"

struct bs_post;

/** A post office for n workers and main; NULL without memory or descriptors (one log line). */
struct bs_post *bs_post_new(unsigned n_workers);
void bs_post_free(struct bs_post *p);
/** The descriptor that polls readable when thread `self` has mail;
 *  call bs_post_clear before reading. */
int bs_post_fd(const struct bs_post *p, unsigned self);
void bs_post_clear(struct bs_post *p, unsigned self);
/** Wake a thread; safe from any thread. */
void bs_post_wake(struct bs_post *p, unsigned to);

/** Copy a message into the ring from -> to.  BS_OK or BS_EFULL.  Does not wake. */
BS_MUSTCHECK int bs_post_put(struct bs_post *p, unsigned from, unsigned to,
			     const struct bs_message *m);
/** The oldest message from -> to, in place, or NULL; give it back with bs_post_done. */
struct bs_message *bs_post_peek(struct bs_post *p, unsigned from, unsigned to);
void bs_post_done(struct bs_post *p, unsigned from, unsigned to);

/** The same for bulk slots: reserve, fill, publish; NULL when full. */
struct bs_bulk *bs_post_bulk_reserve(struct bs_post *p, unsigned from, unsigned to);
void bs_post_bulk_publish(struct bs_post *p, unsigned from, unsigned to);
struct bs_bulk *bs_post_bulk_peek(struct bs_post *p, unsigned from, unsigned to);
void bs_post_bulk_done(struct bs_post *p, unsigned from, unsigned to);

#endif
