/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz.h - what the fuzz targets share.  A target is one file with LLVMFuzzerTestOneInput; built
 * with --enable-fuzzing libFuzzer drives it, otherwise replay_main.c replays its corpus.
 */
#ifndef BS_FUZZ_H
#define BS_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "basestation/error.h"
#include "wire/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/** What must hold for every input; the fuzzer reports the abort with the input. */
#define FUZZ_CHECK(cond)                                                                           \
 do {                                                                                              \
  if (!(cond))                                                                                     \
   abort();                                                                                        \
 } while (0)

/** A decoder's result: taken or dropped. */
static inline bool fuzz_taken(int err)
{
	FUZZ_CHECK(err == BS_OK || (err <= -200 && err > -300));
	return err == BS_OK;
}

/** A copy whose header says its true length and version 2, so that inputs get past the header. */
static inline uint8_t *fuzz_packet(const uint8_t *data, size_t len)
{
	uint8_t *p = malloc(len ? len : 1);

	FUZZ_CHECK(p != NULL);
	if (len)
		memcpy(p, data, len);
	if (len >= BS_HEADER_MIN && len <= UINT16_MAX) {
		p[9] = BS_WIRE_VERSION;
		bs_put_u16(p + 14, (uint16_t)len);
	}
	return p;
}

#endif
