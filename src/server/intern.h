/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intern.h - short texts that repeat across devices (versions, labels), kept once each.
 *
 * A bounded set; when it is full, further texts become "" (index 0).  Texts are never removed: a
 * fleet has few of them, and a stranger's do not come here before its device is proven.
 *
 * The texts lie in the state, for the devices' records name them by index.
 *
 * Owner: one worker.  Allocates: at init only.
 */
#ifndef BS_SERVER_INTERN_H
#define BS_SERVER_INTERN_H

#include "basestation/error.h"
#include "server/state.h"
#include "util/siphash.h"

/** Longest text kept, with terminator; longer ones are cut. */
#define BS_INTERN_TEXT_MAX 48
/** Texts kept. */
#define BS_INTERN_MAX 2048u

struct bs_intern {
	char (*text)[BS_INTERN_TEXT_MAX]; /**< [BS_INTERN_MAX]; 0 is "" */
	uint16_t *slot;                   /**< [2 * BS_INTERN_MAX], 0 = empty */
	struct bs_state_shard *shard;
	uint32_t n;
	uint8_t key[BS_SIPHASH_KEY_LEN];
};

/** The texts that a shard has, none in a new one.  BS_OK, BS_ENOMEM, BS_EFULL (the state cannot
 *  grow). */
BS_MUSTCHECK int bs_intern_init(struct bs_intern *t, struct bs_state_shard *shard,
				const uint8_t key[BS_SIPHASH_KEY_LEN]);
void bs_intern_fini(struct bs_intern *t);
/** Index of a text. */
uint32_t bs_intern_put(struct bs_intern *t, const void *text, size_t len);
/** The text of an index; "" for one that is not there. */
const char *bs_intern_get(const struct bs_intern *t, uint32_t i);

#endif
