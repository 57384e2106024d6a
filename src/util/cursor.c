/* SPDX-License-Identifier: Apache-2.0 */
#include "util/cursor.h"

#include <string.h>

uint16_t bs_get_u16(const uint8_t *p)
{
	return (uint16_t)((uint16_t)(p[0] << 8) | p[1]);
}

uint32_t bs_get_u32(const uint8_t *p)
{
	return ((uint32_t)bs_get_u16(p) << 16) | bs_get_u16(p + 2);
}

uint64_t bs_get_u64(const uint8_t *p)
{
	return ((uint64_t)bs_get_u32(p) << 32) | bs_get_u32(p + 4);
}

void bs_put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void bs_put_u32(uint8_t *p, uint32_t v)
{
	bs_put_u16(p, (uint16_t)(v >> 16));
	bs_put_u16(p + 2, (uint16_t)v);
}

void bs_put_u64(uint8_t *p, uint64_t v)
{
	bs_put_u32(p, (uint32_t)(v >> 32));
	bs_put_u32(p + 4, (uint32_t)v);
}

void bs_cursor_init(struct bs_cursor *c, const uint8_t *buf, size_t len)
{
	c->pos = buf;
	c->end = len ? buf + len : buf;
	c->bad = false;
}

size_t bs_cursor_left(const struct bs_cursor *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->pos);
}

const uint8_t *bs_cursor_read_bytes(struct bs_cursor *c, size_t len)
{
	const uint8_t *p = c->pos;

	if (c->bad || len > (size_t)(c->end - p)) {
		c->bad = true;
		return NULL;
	}
	c->pos = len ? p + len : p;
	return p;
}

uint8_t bs_cursor_read_u8(struct bs_cursor *c)
{
	const uint8_t *p = bs_cursor_read_bytes(c, 1);

	return p ? *p : 0;
}

uint16_t bs_cursor_read_u16(struct bs_cursor *c)
{
	const uint8_t *p = bs_cursor_read_bytes(c, 2);

	return p ? bs_get_u16(p) : 0;
}

uint32_t bs_cursor_read_u32(struct bs_cursor *c)
{
	const uint8_t *p = bs_cursor_read_bytes(c, 4);

	return p ? bs_get_u32(p) : 0;
}

uint64_t bs_cursor_read_u64(struct bs_cursor *c)
{
	const uint8_t *p = bs_cursor_read_bytes(c, 8);

	return p ? bs_get_u64(p) : 0;
}

void bs_writer_init(struct bs_writer *w, uint8_t *buf, size_t cap)
{
	w->buf = buf;
	w->cap = cap;
	w->len = 0;
	w->bad = false;
}

uint8_t *bs_writer_reserve(struct bs_writer *w, size_t len)
{
	uint8_t *p;

	if (w->bad || len > w->cap - w->len) {
		w->bad = true;
		return NULL;
	}
	p = w->buf + w->len;
	w->len += len;
	return p;
}

void bs_writer_put_u8(struct bs_writer *w, uint8_t v)
{
	uint8_t *p = bs_writer_reserve(w, 1);

	if (p)
		*p = v;
}

void bs_writer_put_u16(struct bs_writer *w, uint16_t v)
{
	uint8_t *p = bs_writer_reserve(w, 2);

	if (p)
		bs_put_u16(p, v);
}

void bs_writer_put_u32(struct bs_writer *w, uint32_t v)
{
	uint8_t *p = bs_writer_reserve(w, 4);

	if (p)
		bs_put_u32(p, v);
}

void bs_writer_put_u64(struct bs_writer *w, uint64_t v)
{
	uint8_t *p = bs_writer_reserve(w, 8);

	if (p)
		bs_put_u64(p, v);
}

void bs_writer_put_bytes(struct bs_writer *w, const void *data, size_t len)
{
	uint8_t *p = bs_writer_reserve(w, len);

	if (p && len)
		memcpy(p, data, len);
}

void bs_writer_put_zero(struct bs_writer *w, size_t len)
{
	uint8_t *p = bs_writer_reserve(w, len);

	if (p && len)
		memset(p, 0, len);
}
