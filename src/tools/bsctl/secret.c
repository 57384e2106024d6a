/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bsctl/secret.h"

#include <openssl/rand.h>

int bs_secret_make(uint8_t out[static BS_PSK_LEN], struct bs_ctl_error *e)
{
	if (RAND_priv_bytes(out, BS_PSK_LEN) == 1)
		return BS_CTL_OK;
	bs_ctl_error_set(e, BS_CTL_FAILED, NULL, NULL, "no random numbers");
	return e->status;
}
