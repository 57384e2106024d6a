/* SPDX-License-Identifier: Apache-2.0 */
#include "util/hex.h"

void bs_hex_encode(const void *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (; len; len--, p++) {
		*out++ = digits[*p >> 4];
		*out++ = digits[*p & 15];
	}
	*out = 0;
}

/* All ones when lo <= c <= hi, else 0; no branch, no table. */
static unsigned in_range(unsigned c, unsigned lo, unsigned hi)
{
	return (unsigned)-(int)(1u & ~((c - lo) >> 15 | (hi - c) >> 15));
}

/* Value of a digit, 16 for anything else. */
static unsigned value(char ch)
{
	unsigned c = (unsigned char)ch;
	unsigned num = in_range(c, '0', '9');
	unsigned low = in_range(c, 'a', 'f');
	unsigned up = in_range(c, 'A', 'F');

	return (num & (c - '0')) | (low & (c - 'a' + 10)) | (up & (c - 'A' + 10)) |
	       (~(num | low | up) & 16u);
}

int bs_hex_decode(const char *text, size_t len, void *out, size_t cap)
{
	uint8_t *p = out;
	unsigned bad = 0;
	size_t i;

	if (len % 2 || len / 2 != cap)
		return BS_EINVAL;
	for (i = 0; i < len; i++)
		bad |= value(text[i]) & 16u;
	if (bad)
		return BS_EINVAL;
	for (i = 0; i < len; i += 2)
		*p++ = (uint8_t)(value(text[i]) << 4 | value(text[i + 1]));
	return BS_OK;
}
