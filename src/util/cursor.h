/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor.h - bounds-checked reading and writing of big-endian fields.
 *
 * Both sides keep a sticky error: a decoder or encoder is a straight line of calls with one check
 * at the end.  After the error reads return 0 and writes do nothing.
 *
 * Owner: whoever holds the struct.  Allocates: no.
 */
#ifndef BS_UTIL_CURSOR_H
#define BS_UTIL_CURSOR_H

#include "basestation/types.h"

/** Reader over borrowed bytes. */
struct bs_cursor {
	const uint8_t *pos; /**< next byte */
	const uint8_t *end; /**< one past the last byte */
	bool bad;           /**< a read went past the end */
};

/** Writer into the caller's buffer. */
struct bs_writer {
	uint8_t *buf; /**< start of the buffer; borrowed */
	size_t cap;   /**< bytes available in all */
	size_t len;   /**< bytes written so far */
	bool bad;     /**< a write did not fit */
};

void bs_cursor_init(struct bs_cursor *c, const uint8_t *buf, size_t len);
/** Bytes left; 0 after an error. */
size_t bs_cursor_left(const struct bs_cursor *c);
uint8_t bs_cursor_read_u8(struct bs_cursor *c);
uint16_t bs_cursor_read_u16(struct bs_cursor *c);
uint32_t bs_cursor_read_u32(struct bs_cursor *c);
uint64_t bs_cursor_read_u64(struct bs_cursor *c);
/** Borrow the next len bytes; NULL (and the sticky error) when there are fewer. */
const uint8_t *bs_cursor_read_bytes(struct bs_cursor *c, size_t len);

void bs_writer_init(struct bs_writer *w, uint8_t *buf, size_t cap);
void bs_writer_put_u8(struct bs_writer *w, uint8_t v);
void bs_writer_put_u16(struct bs_writer *w, uint16_t v);
void bs_writer_put_u32(struct bs_writer *w, uint32_t v);
void bs_writer_put_u64(struct bs_writer *w, uint64_t v);
void bs_writer_put_bytes(struct bs_writer *w, const void *data, size_t len);
/** Append len zero bytes. */
void bs_writer_put_zero(struct bs_writer *w, size_t len);
/** Reserve len bytes and return them for the caller to fill; NULL (and the error) when full. */
uint8_t *bs_writer_reserve(struct bs_writer *w, size_t len);

/** Plain big-endian access for fixed offsets that the caller has checked. */
uint16_t bs_get_u16(const uint8_t *p);
uint32_t bs_get_u32(const uint8_t *p);
uint64_t bs_get_u64(const uint8_t *p);
void bs_put_u16(uint8_t *p, uint16_t v);
void bs_put_u32(uint8_t *p, uint32_t v);
void bs_put_u64(uint8_t *p, uint64_t v);

#endif
