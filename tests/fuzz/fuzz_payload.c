/* SPDX-License-Identifier: Apache-2.0 */
/* Every shared payload: first byte chooses the reader, the rest is the data. */
#include "fuzz.h"
#include "wire/payload.h"

static void read_all(const struct bs_payload *pl)
{
	struct bs_ext_offer ext;
	struct bs_version version;
	struct bs_notify notify;
	struct bs_endpoint ep;
	struct bs_slice text;
	struct bs_caps caps;
	struct bs_ipx ipx;
	struct bs_ep6 ep6;
	uint8_t kind;

	fuzz_taken(bs_ipx_get(pl, &ipx));
	fuzz_taken(bs_ep_get(pl, &ep));
	fuzz_taken(bs_ep6_get(pl, &ep6));
	fuzz_taken(bs_notify_get(pl, &notify));
	fuzz_taken(bs_ext_get(pl, &ext));
	if (fuzz_taken(bs_version_get(pl, &version)))
		FUZZ_CHECK(version.label.len <= pl->len);
	if (fuzz_taken(bs_caps_get(pl, &caps)))
		FUZZ_CHECK(caps.n_suites * 2u <= pl->len);
	if (fuzz_taken(bs_kind_text_get(pl, &kind, &text)))
		FUZZ_CHECK(text.len + 1 == pl->len);
	(void)bs_device_id_ok(pl->data, pl->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct bs_payload pl;

	FUZZ_CHECK(copy != NULL);
	if (len)
		memcpy(copy, data, len);
	pl.type = 0;
	pl.flags = 0;
	pl.len = (uint16_t)(len > UINT16_MAX ? UINT16_MAX : len);
	pl.data = copy;
	read_all(&pl);
	free(copy);
	return 0;
}
