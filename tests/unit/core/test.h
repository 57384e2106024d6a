/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test.h - what the core's test files share: Check (or its stand-in under qemu), rows, and a
 * crypto table with scripted random bytes.
 */
#ifndef BS_TEST_H
#define BS_TEST_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "basestation/error.h"
#include "crypto/crypto.h"
#include "crypto/small.h"
#include "vectors.h"

#define BS_LEN(a) (sizeof(a) / sizeof((a)[0]))

/** A text literal as bytes. */
static inline struct bs_slice bs_test_text(const char *text)
{
	struct bs_slice s;

	s.ptr = (const uint8_t *)text;
	s.len = strlen(text);
	return s;
}

/** Hex text to bytes; returns how many. */
static inline size_t bs_test_unhex(const char *text, uint8_t *out)
{
	char pair[3] = { 0, 0, 0 };
	size_t n = 0;

	for (; text[0] && text[1]; text += 2) {
		pair[0] = text[0];
		pair[1] = text[1];
		out[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

/** A copy of exactly len bytes on the heap, so that a sanitizer sees a read past its end. */
static inline uint8_t *bs_test_copy(const uint8_t *from, size_t len)
{
	uint8_t *p = malloc(len ? len : 1);

	ck_assert_ptr_nonnull(p);
	if (len)
		memcpy(p, from, len);
	return p;
}

/** xorshift: the same sequence on every machine; a failure is repeated by its seed. */
static inline uint32_t bs_test_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/** Random bytes that a test scripts: those of next, then a counter; fails when told to. */
struct bs_test_rng {
	struct bs_slice next;
	uint8_t counter;
	bool fail;
};

static inline int bs_test_rng_fill(void *ctx, uint8_t *buf, size_t len)
{
	struct bs_test_rng *r = ctx;
	size_t i;

	if (r->fail)
		return BS_ERANDOM;
	for (i = 0; i < len; i++) {
		if (r->next.len) {
			buf[i] = *r->next.ptr++;
			r->next.len--;
		} else {
			buf[i] = r->counter++;
		}
	}
	return BS_OK;
}

#endif
