/* SPDX-License-Identifier: Apache-2.0 */
/* backoff.h - how long to wait before the next attempt: doubling, with jitter. */
#ifndef BS_CLIENT_SRC_BACKOFF_H
#define BS_CLIENT_SRC_BACKOFF_H

#include "crypto/crypto.h"

/** First and longest wait, in ms.  A second is what a restarting server needs; a minute keeps a
 *  fleet of clients from hurting one that is down for long. */
#define BSC__BACKOFF_FIRST_MS 1000u
#define BSC__BACKOFF_LAST_MS  60000u

struct bsc__backoff {
	uint32_t span_ms; /**< upper end of the next wait; 0 = start */
};

/** Start over: an attempt succeeded. */
void bsc__backoff_reset(struct bsc__backoff *b);
/** The next wait in ms: between half of the span and the span; the span doubles. */
uint32_t bsc__backoff_next_ms(struct bsc__backoff *b, const struct bs_crypto *crypto);

#endif
