/* SPDX-License-Identifier: Apache-2.0 */
/* A key or value of the registry, as a damaged file may hold it: refused, or what it decodes to
 * encodes to the same bytes.  The first byte chooses the decoder. */
#include "fuzz.h"
#include "store/record.h"

static bool taken(int rc)
{
	FUZZ_CHECK(rc == BS_OK || rc == BS_ECORRUPT);
	return rc == BS_OK;
}

static void device(struct bs_slice in)
{
	struct bs__device_record rec;
	uint8_t buf[BS__VALUE_MAX];

	if (!taken(bs__device_decode(in, &rec)))
		return;
	FUZZ_CHECK(bs__device_encode(&rec, buf) == in.len && !memcmp(buf, in.ptr, in.len));
	FUZZ_CHECK(bs__device_decode_head(in, &rec) == BS_OK);
}

static void client(struct bs_slice in)
{
	struct bs_client c;
	uint8_t buf[BS__VALUE_MAX];

	if (taken(bs__client_decode(in, &c)))
		FUZZ_CHECK(bs__client_encode(&c, buf) == in.len && !memcmp(buf, in.ptr, in.len));
}

static void client_key(struct bs_slice in)
{
	struct bs_client c;
	struct bs__key k;

	if (!taken(bs__client_decode_key(in, &c)))
		return;
	bs__key_client(&k, (struct bs_slice){ (const uint8_t *)c.identity, c.identity_len },
		       c.has_ca ? c.ca_fp : NULL);
	FUZZ_CHECK(k.len == in.len && !memcmp(k.b, in.ptr, in.len));
}

static void rule(struct bs_slice in)
{
	struct bs_access_rule r;
	struct bs_access_rule again;
	uint8_t buf[BS__VALUE_MAX];
	struct bs__key k;
	size_t len;

	if (!taken(bs__rule_decode(in, &r)))
		return;
	/* Ids and patterns are folded, so the bytes may differ, what they say may not. */
	len = bs__rule_encode(&r, buf);
	FUZZ_CHECK(len == in.len);
	FUZZ_CHECK(bs__rule_decode((struct bs_slice){ buf, len }, &again) == BS_OK);
	FUZZ_CHECK(!memcmp(&r, &again, sizeof(r)));
	bs__key_rule_index(&k, &r);
	FUZZ_CHECK(k.len <= BS__KEY_MAX);
}

static void rule_entry(struct bs_slice in)
{
	struct bs__rule_entry e;
	uint8_t buf[16];

	if (taken(bs__rule_entry_decode(in, &e)))
		FUZZ_CHECK(bs__rule_entry_encode(&e, buf) == in.len &&
			   !memcmp(buf, in.ptr, in.len));
}

static void revocation(struct bs_slice in)
{
	struct bs_revocation rev;
	uint8_t buf[BS__VALUE_MAX];

	if (taken(bs__revocation_decode(in, &rev)))
		FUZZ_CHECK(bs__revocation_encode(&rev, buf) == in.len &&
			   !memcmp(buf, in.ptr, in.len));
}

static void revocation_key(struct bs_slice in)
{
	struct bs_revocation rev;
	struct bs__key k;

	if (!taken(bs__revocation_decode_key(in, &rev)))
		return;
	bs__key_revocation(&k, &rev);
	FUZZ_CHECK(k.len == in.len && !memcmp(k.b, in.ptr, in.len));
}

static void ca(struct bs_slice in)
{
	uint8_t buf[BS__CA_HEAD_MAX];
	struct bs_ca c;
	size_t len;

	if (!taken(bs__ca_decode(in, &c)))
		return;
	len = bs__ca_encode_head(&c, buf);
	FUZZ_CHECK(len + c.der.len == in.len && !memcmp(buf, in.ptr, len));
}

/* The obvious matcher, exponential but right; inputs are kept short. */
static bool match(const char *p, const char *id, size_t len)
{
	if (!*p)
		return len == 0;
	if (*p == '*')
		return match(p + 1, id, len) || (len && match(p, id + 1, len - 1));
	return len && (*p == '?' || *p == *id) && match(p + 1, id + 1, len - 1);
}

static void glob(struct bs_slice in)
{
	char pattern[12];
	size_t len = in.len ? in.ptr[0] % sizeof(pattern) : 0;

	if (in.len < 1 + len || in.len - 1 - len > 12 || memchr(in.ptr + 1, 0, len))
		return;
	memcpy(pattern, in.ptr + 1, len);
	pattern[len] = 0;
	FUZZ_CHECK(bs_access_match(pattern, (const char *)in.ptr + 1 + len, in.len - 1 - len) ==
		   match(pattern, (const char *)in.ptr + 1 + len, in.len - 1 - len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const decoders[])(struct bs_slice) = { device, client,     client_key,
							     rule,   rule_entry, revocation,
							     ca,     glob,       revocation_key };
	uint8_t *copy;

	if (len < 1)
		return 0;
	/* Exactly as long as the input, so that a read past its end shows. */
	copy = malloc(len > 1 ? len - 1 : 1);
	FUZZ_CHECK(copy != NULL);
	memcpy(copy, data + 1, len - 1);
	decoders[data[0] % (sizeof(decoders) / sizeof(decoders[0]))](
		(struct bs_slice){ copy, len - 1 });
	free(copy);
	return 0;
}
