/* SPDX-License-Identifier: Apache-2.0 */
#include "log/ring.h"

struct bs_log_record *bs__log_ring_reserve(struct bs_log_ring *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	/* acquire: the consumer has finished with the slot that we are about to overwrite */
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);

	if (head - tail == BS_LOG_RING_SLOTS) {
		atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
		return NULL;
	}
	return &r->slot[head % BS_LOG_RING_SLOTS];
}

void bs__log_ring_publish(struct bs_log_ring *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	/* seq_cst, not just release: the producer then looks whether the log thread sleeps, and
	 * the log thread, before it sleeps, whether a ring holds something; one of them must see
	 * the other */
	atomic_store_explicit(&r->head, head + 1, memory_order_seq_cst);
}

const struct bs_log_record *bs__log_ring_peek(struct bs_log_ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (atomic_load_explicit(&r->head, memory_order_seq_cst) == tail)
		return NULL;
	return &r->slot[tail % BS_LOG_RING_SLOTS];
}

void bs__log_ring_pop(struct bs_log_ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
}
