/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hex.h - bytes as hexadecimal text and back.  Any thread, no state, no allocation.
 */
#ifndef BS_UTIL_HEX_H
#define BS_UTIL_HEX_H

#include "basestation/error.h"

/** Bytes that len bytes take as text with terminator. */
#define BS_HEX_LEN(len) (2 * (len) + 1)

/** Write len bytes as lower-case hex with terminator to out[BS_HEX_LEN(len)]. */
void bs_hex_encode(const void *data, size_t len, char *out);
/**
 * Read exactly cap bytes from text[len], upper or lower case.
 * Returns BS_OK, or BS_EINVAL when len is not 2 * cap or a character is no digit; out is then
 * untouched.  Takes the same time for every text of one length (it reads secrets, too).
 */
BS_MUSTCHECK int bs_hex_decode(const char *text, size_t len, void *out, size_t cap);

#endif
