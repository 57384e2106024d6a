/* SPDX-License-Identifier: Apache-2.0 */
#include "store/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "crypto/crypto.h"

void bs__queue_init(struct bs__queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
	q->n = 0;
}

void bs__queue_push(struct bs__queue *q, struct bs__item *it)
{
	it->next = NULL;
	*q->tail = it;
	q->tail = &it->next;
	q->n++;
}

struct bs__item *bs__queue_pop(struct bs__queue *q)
{
	struct bs__item *it = q->head;

	if (!it)
		return NULL;
	q->head = it->next;
	if (!q->head)
		q->tail = &q->head;
	q->n--;
	return it;
}

void bs__item_free(struct bs__item *it)
{
	struct bs_store_inbox *in = it->inbox;

	if (!it->is_change) {
		struct bs_store_request *req = &it->u.r.req;

		if (req->op == BS_STORE_IMPORT)
			bs_import_free(req->u.import);
		if (req->op == BS_STORE_CA_ADD)
			free((void *)(uintptr_t)req->u.ca.der.ptr);
		if (req->op == BS_STORE_SEEN)
			free((void *)(uintptr_t)req->u.seen.v);
		if (req->op == BS_STORE_VOLUME)
			free((void *)(uintptr_t)req->u.volume.v);
		/* It may hold a device's secret. */
		bs_wipe(req, sizeof(*req));
	}
	free(it);
	if (in)
		bs__inbox_unref(in);
}

static void wake(int fd)
{
	const uint64_t one = 1;

	/* EAGAIN: the counter is at its top, so the reader is awake anyway. */
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

void bs__inbox_post(struct bs__item *it)
{
	struct bs_store_inbox *in = it->inbox;
	bool first = false;
	bool drop;

	pthread_mutex_lock(&in->lock);
	drop = in->closed || (!it->is_change && !it->u.r.req.done);
	if (!drop) {
		first = in->queue.n == 0;
		bs__queue_push(&in->queue, it);
		/* Under the lock: the owner may free the inbox as soon as it has the item. */
		if (first)
			wake(in->fd);
	}
	pthread_mutex_unlock(&in->lock);
	if (drop)
		bs__item_free(it);
}

void bs__inbox_post_many(struct bs_store_inbox *in, const struct bs_epochs *epochs)
{
	pthread_mutex_lock(&in->lock);
	in->many = true;
	in->many_epochs = *epochs;
	wake(in->fd);
	pthread_mutex_unlock(&in->lock);
}

void bs__inbox_ref(struct bs_store_inbox *in)
{
	atomic_fetch_add_explicit(&in->refs, 1, memory_order_relaxed);
}

void bs__inbox_unref(struct bs_store_inbox *in)
{
	if (atomic_fetch_sub_explicit(&in->refs, 1, memory_order_acq_rel) != 1)
		return;
	close(in->fd);
	pthread_mutex_destroy(&in->lock);
	free(in);
}

int bs_store_inbox_new(struct bs_store *s, struct bs_store_inbox **out)
{
	struct bs_store_inbox *in = calloc(1, sizeof(*in));

	if (!in)
		return BS_ENOMEM;
	in->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->fd < 0) {
		free(in);
		return BS_EIO;
	}
	if (pthread_mutex_init(&in->lock, NULL)) {
		close(in->fd);
		free(in);
		return BS_ENOMEM;
	}
	in->store = s;
	bs__queue_init(&in->queue);
	atomic_init(&in->refs, 1);
	*out = in;
	return BS_OK;
}

void bs_store_inbox_free(struct bs_store_inbox *in)
{
	struct bs__queue rest;
	struct bs__item *it;

	if (!in)
		return;
	pthread_mutex_lock(&in->lock);
	in->closed = true;
	rest = in->queue;
	if (!rest.head)
		rest.tail = &rest.head;
	bs__queue_init(&in->queue);
	pthread_mutex_unlock(&in->lock);
	while ((it = bs__queue_pop(&rest)))
		bs__item_free(it);
	bs__inbox_unref(in);
}

int bs_store_inbox_fd(const struct bs_store_inbox *in)
{
	return in->fd;
}

static void deliver(struct bs_store_inbox *in, struct bs__item *it)
{
	if (!it->is_change)
		it->u.r.req.done(it->u.r.req.arg, &it->u.r.res);
	else if (in->feed)
		in->feed(in->feed_arg, &it->u.change);
}

/* The next thing that waits: true with *it NULL is the change "look at everything". */
static bool next(struct bs_store_inbox *in, struct bs__item **it, struct bs_store_change *change)
{
	bool many;

	pthread_mutex_lock(&in->lock);
	many = in->many;
	in->many = false;
	*it = NULL;
	if (many) {
		memset(change, 0, sizeof(*change));
		change->kind = BS_CHANGE_MANY;
		change->epochs = in->many_epochs;
	} else {
		*it = bs__queue_pop(&in->queue);
	}
	pthread_mutex_unlock(&in->lock);
	return many || *it;
}

size_t bs_store_inbox_run(struct bs_store_inbox *in)
{
	struct bs_store_change change;
	struct bs__item *it;
	uint64_t count;
	size_t n = 0;

	/* Read before the queue is emptied: a post after that wakes again. */
	while (read(in->fd, &count, sizeof(count)) < 0 && errno == EINTR)
		continue;
	/* A callback may free the inbox. */
	bs__inbox_ref(in);
	for (; next(in, &it, &change); n++) {
		if (it) {
			deliver(in, it);
			bs__item_free(it);
		} else if (in->feed) {
			in->feed(in->feed_arg, &change);
		}
	}
	bs__inbox_unref(in);
	return n;
}
