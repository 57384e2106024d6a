/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket_filter.h - which packets under connect tickets were taken already: fixed memory.
 *
 * Two tables of keyed hashes that take turns: one fills for a span, the other still remembers the
 * span before.  So each packet is remembered for at least one span, and the span is as long as a
 * stamp is good for: who forgets a packet may forget it, because its stamp is too old.
 * A full table takes nothing more until its turn is over, since forgetting would open the door.
 *
 * Owner: one worker.  Allocates: at init only.
 */
#ifndef BS_SERVER_TICKET_FILTER_H
#define BS_SERVER_TICKET_FILTER_H

#include "basestation/error.h"
#include "util/siphash.h"

struct bs_ticket_filter {
	uint64_t *slot[2]; /**< [mask + 1] hashes, 0 = free; [now] is being filled */
	uint32_t mask;
	uint32_t n[2];
	unsigned now;
	uint32_t span_ms;
	uint32_t since_ms; /**< when the filling one began */
	uint8_t key[BS_SIPHASH_KEY_LEN];
};

/** Room for at least cap packets per span; key is random.  BS_OK or BS_ENOMEM. */
BS_MUSTCHECK int bs_ticket_filter_init(struct bs_ticket_filter *f, uint32_t cap, uint32_t span_ms,
				       const uint8_t key[BS_SIPHASH_KEY_LEN], uint32_t now_ms);
void bs_ticket_filter_fini(struct bs_ticket_filter *f);
/** Whether what names a packet was taken. */
bool bs_ticket_filter_has(struct bs_ticket_filter *f, const void *id, size_t len, uint32_t now_ms);
/** Take what names a packet.  BS_OK; BS_EEXIST it was taken before; BS_EFULL. */
BS_MUSTCHECK int bs_ticket_filter_take(struct bs_ticket_filter *f, const void *id, size_t len,
				       uint32_t now_ms);

#endif
