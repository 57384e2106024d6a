/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/search.h"

#include <string.h>

#include "util/endpoint.h"

enum {
	NUMBER = 4,
	DELAY = 8,
	FLAGS = 10,
	PRIV = 12,
	IP_LEN = 16,
	EP_LEN = IP_LEN + 2,
	GLOBAL = PRIV + EP_LEN,
	/* IPv4 as ::ffff:a.b.c.d. */
	MAPPED_ZEROS = 10,
	MAPPED_IP4 = 12,
	FLAGS_KNOWN = BS_SEARCH_GUESS | BS_SEARCH_SOCKETS,
};

bool bs_search_is(struct bs_slice text)
{
	return text.len >= NUMBER && bs_get_u32(text.ptr) == BS_FRAMING_SEARCH;
}

static void get_ep(const uint8_t *p, struct bs_endpoint *ep)
{
	memset(ep, 0, sizeof(*ep));
	if (BS_HAS_IP6)
		memcpy(ep->ip, p, sizeof(ep->ip));
	else
		memcpy(ep->ip, p + MAPPED_IP4, sizeof(ep->ip));
	ep->port = bs_get_u16(p + IP_LEN);
}

static void put_ep(uint8_t *p, const struct bs_endpoint *ep)
{
	memset(p, 0, EP_LEN);
	if (BS_HAS_IP6) {
		memcpy(p, ep->ip, sizeof(ep->ip));
	} else {
		memset(p + MAPPED_ZEROS, 0xFF, MAPPED_IP4 - MAPPED_ZEROS);
		memcpy(p + MAPPED_IP4, ep->ip, sizeof(ep->ip));
	}
	bs_put_u16(p + IP_LEN, ep->port);
}

int bs_search_decode(struct bs_slice text, struct bs_search *m)
{
	struct bs_search out;

	if (!bs_search_is(text))
		return BS_ETYPE;
	/* Longer is fine: a later version may add to it. */
	if (text.len < BS_FRAMING_SEARCH_LEN)
		return BS_ESHORT;
	out.number = bs_get_u32(text.ptr + NUMBER);
	out.delay_ms = bs_get_u16(text.ptr + DELAY);
	out.flags = text.ptr[FLAGS] & FLAGS_KNOWN;
	get_ep(text.ptr + PRIV, &out.priv);
	get_ep(text.ptr + GLOBAL, &out.global);
	if (!bs_endpoint_is_set(&out.priv) && !bs_endpoint_is_set(&out.global))
		return BS_EFIELD;
	*m = out;
	return BS_OK;
}

void bs_search_encode(const struct bs_search *m, uint8_t text[BS_FRAMING_SEARCH_LEN])
{
	memset(text, 0, BS_FRAMING_SEARCH_LEN);
	bs_put_u32(text, BS_FRAMING_SEARCH);
	bs_put_u32(text + NUMBER, m->number);
	bs_put_u16(text + DELAY, m->delay_ms);
	text[FLAGS] = m->flags;
	put_ep(text + PRIV, &m->priv);
	put_ep(text + GLOBAL, &m->global);
}
