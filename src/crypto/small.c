/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/small.h"

#include "crypto/small_impl.h"

/* Neither cipher nor hash has state between calls, so the context is the port's. */
void bs_small_crypto_init(struct bs_crypto *c, bs_random_fn random, void *random_ctx)
{
	c->ctx = random_ctx;
	c->hmac_sha256 = bs__small_hmac_sha256;
	c->aes128_cbc_encrypt = bs__small_cbc_encrypt;
	c->aes128_cbc_decrypt = bs__small_cbc_decrypt;
	c->random = random;
	bs_crypto_set_gcm(c, NULL);
}
