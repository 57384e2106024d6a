/* SPDX-License-Identifier: Apache-2.0 */
#include "server/mailbox.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log/log.h"

/* Slots of a ring; powers of two.  More threads, shorter rings: the sum stays in bounds. */
enum {
	SLOTS_MAX = 1024,
	SLOTS_MIN = 64,
	SLOTS_SUM = 8192,
	BULK_SLOTS = 64,
};

/* Indices run freely; head is written by the consumer, tail by the producer only, each on its own
 * cache line. */
struct ring {
	_Alignas(64) _Atomic uint32_t head;
	_Alignas(64) _Atomic uint32_t tail;
	_Alignas(64) uint8_t *slots;
	uint32_t cap;
	uint32_t slot_len;
};

struct bs_post {
	unsigned n;         /* threads */
	struct ring *small; /* [n * n], from * n + to */
	struct ring *bulk;  /* [n * n] */
	int *fd;            /* [n] */
	uint8_t *memory;
	size_t memory_len;
};

static uint32_t slots_for(unsigned n)
{
	uint32_t cap = SLOTS_MAX;

	while (cap > SLOTS_MIN && cap * n > SLOTS_SUM)
		cap /= 2;
	return cap;
}

static void ring_init(struct ring *r, uint8_t **memory, uint32_t cap, uint32_t slot_len)
{
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	r->cap = cap;
	r->slot_len = slot_len;
	r->slots = *memory;
	*memory += (size_t)cap * slot_len;
}

static void *ring_reserve(struct ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	/* Acquire: the consumer is done with the slot that its head has passed. */
	uint32_t head = atomic_load_explicit(&r->head, memory_order_acquire);

	if (tail - head == r->cap)
		return NULL;
	return r->slots + (size_t)(tail & (r->cap - 1)) * r->slot_len;
}

static void ring_publish(struct ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	/* Release: publishes the slot's content. */
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
}

static void *ring_peek(struct ring *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	/* Acquire: pairs with publish. */
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);

	if (tail == head)
		return NULL;
	return r->slots + (size_t)(head & (r->cap - 1)) * r->slot_len;
}

static void ring_done(struct ring *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	/* Release: the producer may write the slot again. */
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
}

static bool post_open(struct bs_post *p)
{
	size_t pairs = (size_t)p->n * p->n;
	uint32_t cap = slots_for(p->n);
	uint8_t *memory;
	size_t i;

	p->small = aligned_alloc(64, pairs * sizeof(*p->small));
	p->bulk = aligned_alloc(64, pairs * sizeof(*p->bulk));
	p->fd = malloc(p->n * sizeof(*p->fd));
	if (!p->small || !p->bulk || !p->fd)
		return false;
	p->memory_len = pairs * (cap * sizeof(struct bs_message) +
				 (size_t)BULK_SLOTS * sizeof(struct bs_bulk));
	memory = mmap(NULL, p->memory_len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	p->memory = memory;
	for (i = 0; i < p->n; i++)
		p->fd[i] = -1;
	for (i = 0; i < pairs; i++) {
		ring_init(&p->small[i], &memory, cap, sizeof(struct bs_message));
		ring_init(&p->bulk[i], &memory, BULK_SLOTS, sizeof(struct bs_bulk));
	}
	for (i = 0; i < p->n; i++) {
		p->fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (p->fd[i] < 0)
			return false;
	}
	return true;
}

struct bs_post *bs_post_new(unsigned n_workers)
{
	struct bs_post *p = calloc(1, sizeof(*p));

	if (p) {
		p->n = n_workers + 1;
		if (post_open(p))
			return p;
	}
	bs_log_error("server, no memory or descriptors for mailboxes (%u workers)", n_workers);
	bs_post_free(p);
	return NULL;
}

void bs_post_free(struct bs_post *p)
{
	unsigned i;

	if (!p)
		return;
	/* The descriptors are set only once the memory is there. */
	for (i = 0; p->memory && i < p->n; i++) {
		if (p->fd[i] >= 0)
			close(p->fd[i]);
	}
	if (p->memory)
		munmap(p->memory, p->memory_len);
	free(p->small);
	free(p->bulk);
	free(p->fd);
	free(p);
}

int bs_post_fd(const struct bs_post *p, unsigned self)
{
	return p->fd[self];
}

void bs_post_clear(struct bs_post *p, unsigned self)
{
	uint64_t v;

	/* Nothing to read is fine: somebody else's wake-up was taken already. */
	if (read(p->fd[self], &v, sizeof(v)) < 0)
		return;
}

void bs_post_wake(struct bs_post *p, unsigned to)
{
	uint64_t one = 1;

	/* The counter cannot be full in practice, and then the thread is awake anyhow. */
	if (write(p->fd[to], &one, sizeof(one)) < 0)
		return;
}

int bs_post_put(struct bs_post *p, unsigned from, unsigned to, const struct bs_message *m)
{
	struct ring *r = &p->small[(size_t)from * p->n + to];
	struct bs_message *slot = ring_reserve(r);

	if (!slot)
		return BS_EFULL;
	*slot = *m;
	slot->from = (uint8_t)from;
	ring_publish(r);
	return BS_OK;
}

struct bs_message *bs_post_peek(struct bs_post *p, unsigned from, unsigned to)
{
	return ring_peek(&p->small[(size_t)from * p->n + to]);
}

void bs_post_done(struct bs_post *p, unsigned from, unsigned to)
{
	ring_done(&p->small[(size_t)from * p->n + to]);
}

struct bs_bulk *bs_post_bulk_reserve(struct bs_post *p, unsigned from, unsigned to)
{
	struct bs_bulk *b = ring_reserve(&p->bulk[(size_t)from * p->n + to]);

	if (b)
		b->from = (uint8_t)from;
	return b;
}

void bs_post_bulk_publish(struct bs_post *p, unsigned from, unsigned to)
{
	ring_publish(&p->bulk[(size_t)from * p->n + to]);
}

struct bs_bulk *bs_post_bulk_peek(struct bs_post *p, unsigned from, unsigned to)
{
	return ring_peek(&p->bulk[(size_t)from * p->n + to]);
}

void bs_post_bulk_done(struct bs_post *p, unsigned from, unsigned to)
{
	ring_done(&p->bulk[(size_t)from * p->n + to]);
}
