/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text: what is read is written in one form, and that form is read as the same. */
#include "fuzz.h"
#include "util/endpoint_text.h"
#include "util/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[BS_ENDPOINT_TEXT_MAX];
	char hex[BS_HEX_LEN(64)];
	uint8_t bytes[64];
	struct bs_endpoint again;
	struct bs_endpoint ep;

	if (bs_endpoint_parse((const char *)data, len, 7, &ep) == BS_OK) {
		bs_endpoint_format(&ep, text);
		FUZZ_CHECK(bs_endpoint_parse(text, strlen(text), 0, &again) == BS_OK);
		FUZZ_CHECK(bs_endpoint_equal(&ep, &again));
	}
	if (len / 2 <= sizeof(bytes) &&
	    bs_hex_decode((const char *)data, len, bytes, len / 2) == BS_OK) {
		bs_hex_encode(bytes, len / 2, hex);
		FUZZ_CHECK(strlen(hex) == len);
	}
	return 0;
}
