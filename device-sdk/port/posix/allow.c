/* SPDX-License-Identifier: Apache-2.0 */
#include "allow.h"

#include <string.h>

#include "util/endpoint_text.h"

/** A decimal number of 0..max that takes the whole text. */
static bool number(const char *s, size_t len, uint32_t max, uint32_t *out)
{
	uint32_t v = 0;

	if (len == 0 || len > 5)
		return false;
	for (size_t k = 0; k < len; k++) {
		if (s[k] < '0' || s[k] > '9')
			return false;
		v = v * 10 + (uint32_t)(s[k] - '0');
	}
	*out = v;
	return v <= max;
}

bool bsdev__allow_host(const char *host, size_t len, uint32_t *ip)
{
	struct bs_endpoint ep;

	if (len == 9 && memcmp(host, "localhost", 9) == 0) {
		*ip = UINT32_C(0x7f000001);
		return true;
	}
	/* The parser also takes a port and IPv6, which have no place here. */
	if (len == 0 || memchr(host, ':', len) != NULL ||
	    bs_endpoint_parse(host, len, 1, &ep) != BS_OK)
		return false;
	*ip = bs_endpoint_ip4(&ep);
	return true;
}

static bool read_host(const char *s, size_t len, struct bsdev__allow_rule *r)
{
	const char *slash = memchr(s, '/', len);
	const size_t host = slash != NULL ? (size_t)(slash - s) : len;
	uint32_t bits = 32;

	if (slash != NULL && !number(slash + 1, len - host - 1, 32, &bits))
		return false;
	r->mask = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
	/* "10.0.0.1/8" is refused: whoever writes it means one or the other. */
	return bsdev__allow_host(s, host, &r->ip) && (r->ip & ~r->mask) == 0;
}

static bool read_ports(const char *s, struct bsdev__allow_rule *r)
{
	const char *dash = strchr(s, '-');
	const size_t head = dash != NULL ? (size_t)(dash - s) : strlen(s);
	uint32_t first = 1;
	uint32_t last = UINT16_MAX;

	if (strcmp(s, "*") != 0) {
		if (!number(s, head, UINT16_MAX, &first))
			return false;
		last = first;
		if (dash != NULL && !number(dash + 1, strlen(dash + 1), UINT16_MAX, &last))
			return false;
	}
	r->first = (uint16_t)first;
	r->last = (uint16_t)last;
	return first >= 1 && first <= last;
}

int bsdev__allow_add(struct bsdev__allow *a, const char *text)
{
	const char *colon = strrchr(text, ':');
	struct bsdev__allow_rule r;

	if (colon == NULL || !read_host(text, (size_t)(colon - text), &r) ||
	    !read_ports(colon + 1, &r))
		return BS_EINVAL;
	if (a->n == BSDEV__ALLOW_MAX)
		return BS_EFULL;
	a->rule[a->n++] = r;
	return BS_OK;
}

bool bsdev__allow_is(const struct bsdev__allow *a, uint32_t ip, uint16_t port)
{
	for (size_t k = 0; k < a->n; k++) {
		const struct bsdev__allow_rule *r = &a->rule[k];

		if ((ip & r->mask) == r->ip && port >= r->first && port <= r->last)
			return true;
	}
	return false;
}
