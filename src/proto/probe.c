/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/probe.h"

#include <string.h>

static int mac(const struct bs_crypto *c, const uint8_t *key, const uint8_t *buf,
	       uint8_t out[BS_SHA256_LEN])
{
	struct bs_slice msg = { buf, BS_PROBE_MAC_OFF };

	return c->hmac_sha256(c->ctx, key, BS_TOKEN_LEN, &msg, 1, out);
}

bs_ssize bs_probe_seal(const struct bs_crypto *c, const uint8_t key[BS_TOKEN_LEN],
		       const struct bs_probe *p, uint8_t buf[BS_PROBE_LEN])
{
	uint8_t sum[BS_SHA256_LEN];
	bs_ssize n = bs_probe_encode(p, buf);

	if (n < 0)
		return n;
	int err = mac(c, key, buf, sum);

	if (err != BS_OK)
		return err;
	memcpy(buf + BS_PROBE_MAC_OFF, sum, BS_PROBE_MAC_LEN);
	bs_wipe(sum, sizeof(sum));
	return n;
}

int bs_probe_verify(const struct bs_crypto *c, const uint8_t key[BS_TOKEN_LEN],
		    const uint8_t buf[BS_PROBE_LEN])
{
	uint8_t sum[BS_SHA256_LEN];
	int err = mac(c, key, buf, sum);

	if (err != BS_OK)
		return err;
	bool equal = bs_equal_secret(sum, buf + BS_PROBE_MAC_OFF, BS_PROBE_MAC_LEN);

	bs_wipe(sum, sizeof(sum));
	return equal ? BS_OK : BS_EMAC;
}
