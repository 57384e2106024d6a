/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto.h"

#include <string.h>

/* Called through a volatile pointer, so that the compiler cannot know that the bytes die here. */
static void *(*const volatile fill)(void *, int, size_t) = memset;

void bs_wipe(void *buf, size_t len)
{
	if (len)
		fill(buf, 0, len);
}

bool bs_equal_secret(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a;
	const volatile uint8_t *y = b;
	uint8_t diff = 0;
	size_t i;

	for (i = 0; i < len; i++)
		diff |= (uint8_t)(x[i] ^ y[i]);
	return diff == 0;
}
