/* SPDX-License-Identifier: Apache-2.0 */
#include "util/endpoint_text.h"

#include <string.h>

#include "util/cursor.h"

enum {
	IP6_WORDS = 8
};

/* ---- writing */

static char *put_dec(char *to, unsigned v)
{
	char digits[5];
	int n = 0;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (n)
		*to++ = digits[--n];
	return to;
}

static char *put_word(char *to, unsigned v)
{
	static const char digits[] = "0123456789abcdef";
	int shift = 12;

	while (shift && !(v >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*to++ = digits[v >> shift & 15];
	return to;
}

static char *put_ip4(char *to, uint32_t ip4)
{
	int shift;

	for (shift = 24; shift >= 0; shift -= 8) {
		to = put_dec(to, ip4 >> shift & 255);
		*to++ = shift ? '.' : 0;
	}
	return to - 1;
}

/* The first longest run of at least two zero words becomes "::" (RFC 5952, 4.2). */
static int zero_run(const uint8_t *ip, int *len)
{
	int best = -1;
	int i;
	int n;

	*len = 1;
	for (i = 0; i < IP6_WORDS; i += n + 1) {
		for (n = 0; i + n < IP6_WORDS && !bs_get_u16(ip + (i + n) * 2); n++)
			;
		if (n > *len) {
			best = i;
			*len = n;
		}
	}
	return best;
}

static char *put_ip6(char *to, const uint8_t *ip)
{
	int len;
	int run = zero_run(ip, &len);
	int i;

	for (i = 0; i < IP6_WORDS; i++) {
		if (i == run) {
			*to++ = ':';
			if (!i)
				*to++ = ':';
			i += len - 1;
			continue;
		}
		to = put_word(to, bs_get_u16(ip + i * 2));
		if (i < IP6_WORDS - 1)
			*to++ = ':';
	}
	return to;
}

static char *put_ip(char *to, const struct bs_endpoint *ep)
{
	if (bs_endpoint_is_ip4(ep))
		return put_ip4(to, bs_endpoint_ip4(ep));
	return put_ip6(to, ep->ip);
}

char *bs_endpoint_format_ip(const struct bs_endpoint *ep, char *out)
{
	*put_ip(out, ep) = 0;
	return out;
}

char *bs_endpoint_format(const struct bs_endpoint *ep, char *out)
{
	bool v6 = !bs_endpoint_is_ip4(ep);
	char *to = out;

	if (v6)
		*to++ = '[';
	to = put_ip(to, ep);
	if (v6)
		*to++ = ']';
	*to++ = ':';
	*put_dec(to, ep->port) = 0;
	return out;
}

/* ---- reading */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* A number up to max at *p, at most max_digits long; false when there is none.  With leading zeros
 * "010" would be 8 to some readers and 10 to others: only hex takes them. */
static bool take_number(const char **p, const char *end, int base, int max_digits, uint32_t max,
			uint32_t *out)
{
	const char *at = *p;
	uint32_t v = 0;

	for (; at < end && digit(*at) < base; at++) {
		v = v * (uint32_t)base + (uint32_t)digit(*at);
		if (at - *p >= max_digits || v > max)
			return false;
	}
	if (at == *p || (base == 10 && **p == '0' && at - *p > 1))
		return false;
	*p = at;
	*out = v;
	return true;
}

static bool take_ip4(const char **p, const char *end, uint32_t *ip4)
{
	const char *at = *p;
	uint32_t part;
	int i;

	*ip4 = 0;
	for (i = 0; i < 4; i++) {
		if (i && (at == end || *at++ != '.'))
			return false;
		if (!take_number(&at, end, 10, 3, 255, &part))
			return false;
		*ip4 = *ip4 << 8 | part;
	}
	*p = at;
	return true;
}

/* Words of an IPv6 address with at most one "::"; all of [p, end). */
static bool parse_ip6(const char *p, const char *end, uint8_t *ip)
{
	uint8_t words[16];
	uint32_t v;
	int n = 0;
	int gap = -1;

	memset(ip, 0, 16);
	if (end - p >= 2 && p[0] == ':' && p[1] == ':') {
		gap = 0;
		p += 2;
	}
	while (p < end) {
		const char *dotted = p;

		if (n <= 6 && take_ip4(&dotted, end, &v) && dotted == end) {
			bs_put_u32(words + n * 2, v);
			n += 2;
			p = end;
			break;
		}
		if (n == IP6_WORDS || !take_number(&p, end, 16, 4, 0xFFFF, &v))
			return false;
		bs_put_u16(words + n++ * 2, (uint16_t)v);
		if (p == end)
			break;
		if (*p++ != ':' || p == end)
			return false;
		if (*p == ':') {
			if (gap >= 0)
				return false;
			gap = n;
			p++;
		}
	}
	if (gap < 0 ? n != IP6_WORDS : n >= IP6_WORDS)
		return false;
	if (gap < 0)
		gap = n;
	memcpy(ip, words, (size_t)gap * 2);
	memcpy(ip + 16 - (n - gap) * 2, words + gap * 2, (size_t)(n - gap) * 2);
	return true;
}

/* ":port" and the end, or the end alone. */
static bool take_port(const char *p, const char *end, uint32_t *port)
{
	if (p == end)
		return true;
	if (*p++ != ':' || !take_number(&p, end, 10, 5, 65535, port))
		return false;
	return p == end;
}

int bs_endpoint_parse(const char *text, size_t len, uint16_t port, struct bs_endpoint *ep)
{
	const char *end = text + len;
	const char *at = text;
	const char *ip6 = text;
	const char *ip6_end = end;
	uint32_t number = port;
	uint32_t ip4;
	uint8_t ip[16];

	if (take_ip4(&at, end, &ip4)) {
		if (!take_port(at, end, &number))
			return BS_EINVAL;
		bs_endpoint_set_ip4(ep, ip4, (uint16_t)number);
		return BS_OK;
	}
	if (len && *text == '[') {
		ip6++;
		ip6_end = memchr(text, ']', len);
		if (!ip6_end || !take_port(ip6_end + 1, end, &number))
			return BS_EINVAL;
	}
	if (BS_IP_LEN < 16 || !parse_ip6(ip6, ip6_end, ip))
		return BS_EINVAL;
	memcpy(ep->ip, ip + 16 - BS_IP_LEN, BS_IP_LEN);
	ep->port = (uint16_t)number;
	bs_endpoint_set_via(ep, 0);
	return BS_OK;
}
