/* SPDX-License-Identifier: Apache-2.0 */
/*
 * small.h - AES-128 and SHA-256 in plain C, small before fast: the backend for controllers
 * without a crypto engine.  Tables are in flash; no heap.  Table look-ups of AES depend on the
 * data, which is fine on a cacheless controller and the reason why the POSIX port uses OpenSSL.
 */
#ifndef BS_CRYPTO_SMALL_H
#define BS_CRYPTO_SMALL_H

#include "crypto/crypto.h"

/** Source of randomness that the port supplies: fill len bytes, BS_OK or BS_ERANDOM. */
typedef int (*bs_random_fn)(void *ctx, uint8_t *buf, size_t len);

/** Fill a table with the small backend; random and its ctx come from the port. */
void bs_small_crypto_init(struct bs_crypto *c, bs_random_fn random, void *random_ctx);

#endif
