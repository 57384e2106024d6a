/* SPDX-License-Identifier: Apache-2.0 */
/* The text by which a client asks its device to search again. */
#include "fuzz.h"
#include "util/endpoint.h"
#include "wire/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy = fuzz_packet(data, len);
	struct bs_slice text = { copy, len };
	uint8_t out[BS_FRAMING_SEARCH_LEN];
	struct bs_search m;
	struct bs_search again;

	if (fuzz_taken(bs_search_decode(text, &m))) {
		FUZZ_CHECK(bs_search_is(text));
		FUZZ_CHECK(bs_endpoint_is_set(&m.priv) || bs_endpoint_is_set(&m.global));
		bs_search_encode(&m, out);
		text.ptr = out;
		text.len = sizeof(out);
		FUZZ_CHECK(bs_search_decode(text, &again) == BS_OK);
		FUZZ_CHECK(again.number == m.number && again.flags == m.flags);
		FUZZ_CHECK(bs_endpoint_equal(&again.priv, &m.priv));
		FUZZ_CHECK(bs_endpoint_equal(&again.global, &m.global));
	}
	free(copy);
	return 0;
}
