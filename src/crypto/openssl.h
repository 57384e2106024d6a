/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openssl.h - the OpenSSL backend of the crypto table.  Not part of the core: server, client SDK
 * and POSIX device port link it.
 */
#ifndef BS_CRYPTO_OPENSSL_H
#define BS_CRYPTO_OPENSSL_H

#include "crypto/crypto.h"

struct bs_openssl;

/**
 * A backend for one thread: algorithms fetched once, contexts reused, random bytes drawn from the
 * library's generator in batches.  NULL when memory or an algorithm is missing.
 */
struct bs_openssl *bs_openssl_new(void);
/** Wipe and free; NULL is fine. */
void bs_openssl_free(struct bs_openssl *o);
/** The table of this backend; valid until bs_openssl_free. */
const struct bs_crypto *bs_openssl_crypto(struct bs_openssl *o);

#endif
