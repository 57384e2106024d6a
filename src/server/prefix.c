/* SPDX-License-Identifier: Apache-2.0 */
#include "server/prefix.h"

#include <string.h>

#include "util/endpoint.h"

enum {
	IP4_LEN = 15, /* ::ffff:a.b.c */
	IP6_LEN = 7,
};

static size_t prefix_len(const struct bs_endpoint *ep)
{
	return bs_endpoint_is_ip4(ep) ? IP4_LEN : IP6_LEN;
}

uint64_t bs_prefix_hash_address(const uint8_t key[BS_SIPHASH_KEY_LEN], const struct bs_endpoint *ep)
{
	return bs_siphash(key, ep->ip, sizeof(ep->ip));
}

uint64_t bs_prefix_hash(const uint8_t key[BS_SIPHASH_KEY_LEN], const struct bs_endpoint *ep)
{
	return bs_siphash(key, ep->ip, prefix_len(ep));
}

bool bs_prefix_equal(const struct bs_endpoint *a, const struct bs_endpoint *b)
{
	size_t len = prefix_len(a);

	return len == prefix_len(b) && memcmp(a->ip, b->ip, len) == 0;
}
