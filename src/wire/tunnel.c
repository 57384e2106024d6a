/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tunnel.h"

#include <string.h>

#include "util/cursor.h"

/** The first words, by enum bs_tunnel_kind. */
static const struct {
	uint8_t kind;
	uint8_t len;
	char word[7];
} words[] = {
	{ BS_TUNNEL_TCP, 6, "tunnel" },
	{ BS_TUNNEL_UART, 4, "uart" },
	{ BS_TUNNEL_ECHO, 4, "echo" },
};

int bs_tunnel_feed(struct bs_tunnel_line *l, const uint8_t *data, size_t len)
{
	const uint8_t *lf = len ? memchr(data, '\n', len) : NULL;
	const size_t take = lf ? (size_t)(lf - data) : len;

	/* The LF needs a place too, though it is not kept. */
	if (take >= sizeof(l->text) - l->len)
		return BS_ETOOBIG;
	if (take)
		memcpy(l->text + l->len, data, take);
	l->len = (uint16_t)(l->len + take);
	return lf ? BS_OK : BS_EAGAIN;
}

/** What follows the first name in the line; its pointer is NULL when the name is not there. */
static struct bs_slice find(struct bs_slice line, const char name[5])
{
	struct bs_slice rest = { NULL, 0 };
	size_t i;

	for (i = 0; i + 5 <= line.len; i++)
		if (!memcmp(line.ptr + i, name, 5)) {
			rest.ptr = line.ptr + i + 5;
			rest.len = line.len - i - 5;
			break;
		}
	return rest;
}

static int read_port(struct bs_slice s, uint16_t *port)
{
	uint32_t v = 0;
	size_t i;

	for (i = 0; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9' && v <= UINT16_MAX; i++)
		v = v * 10 + (uint32_t)(s.ptr[i] - '0');
	/* The number ends where the line or the word does: "80x" is a mistake, not port 80. */
	if (!v || v > UINT16_MAX || (i < s.len && s.ptr[i] > ' '))
		return BS_EFIELD;
	*port = (uint16_t)v;
	return BS_OK;
}

static int read_host(struct bs_slice s, struct bs_slice *host)
{
	size_t n;

	for (n = 0; n < s.len && s.ptr[n] > ' '; n++)
		if (s.ptr[n] > '~')
			return BS_EFIELD;
	if (!n || n > BS_TUNNEL_HOST_MAX)
		return BS_EFIELD;
	host->ptr = s.ptr;
	host->len = n;
	return BS_OK;
}

int bs_tunnel_decode(struct bs_slice line, struct bs_tunnel_command *c)
{
	struct bs_slice s;
	size_t i;
	int err = BS_OK;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < sizeof(words) / sizeof(words[0]) && !c->kind; i++)
		if (line.len >= words[i].len && !memcmp(line.ptr, words[i].word, words[i].len))
			c->kind = words[i].kind;
	if (c->kind != BS_TUNNEL_TCP)
		return BS_OK;
	s = find(line, "port=");
	if (s.ptr)
		err = read_port(s, &c->port);
	s = find(line, "host=");
	if (!err && s.ptr)
		err = read_host(s, &c->host);
	return err;
}

static void put_port(struct bs_writer *w, uint16_t port)
{
	uint8_t digits[5];
	size_t n = 0;

	do {
		digits[n++] = (uint8_t)('0' + port % 10);
		port = (uint16_t)(port / 10);
	} while (port);
	while (n)
		bs_writer_put_u8(w, digits[--n]);
}

bs_ssize bs_tunnel_encode(const struct bs_tunnel_command *c, uint8_t *buf, size_t cap)
{
	struct bs_slice host = { NULL, 0 };
	struct bs_writer w;

	if (c->kind < BS_TUNNEL_TCP || c->kind > BS_TUNNEL_ECHO)
		return BS_EINVAL;
	/* A blank or a control character would end the host, or the line, and start something
	 * else: the host often comes from a user's command line. */
	if (c->host.len && (read_host(c->host, &host) || host.len != c->host.len))
		return BS_EINVAL;
	bs_writer_init(&w, buf, cap);
	bs_writer_put_bytes(&w, words[c->kind - 1].word, words[c->kind - 1].len);
	if (c->kind == BS_TUNNEL_TCP && c->port) {
		bs_writer_put_bytes(&w, " port=", 6);
		put_port(&w, c->port);
	}
	if (c->kind == BS_TUNNEL_TCP && host.len) {
		bs_writer_put_bytes(&w, " host=", 6);
		bs_writer_put_bytes(&w, host.ptr, host.len);
	}
	bs_writer_put_u8(&w, '\n');
	return w.bad ? BS_ETOOBIG : (bs_ssize)w.len;
}
