/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

enum {
	OFF_TYPE = 8,
	OFF_VERSION = 9,
	OFF_FLAGS = 11,
	OFF_LEN = 14
};

int bs_test_decode(const uint8_t *pkt, size_t len, bs_test_decode_fn decode)
{
	uint8_t *copy = bs_test_copy(pkt, len);
	struct bs_packet p;
	int err = bs_packet_decode(copy, len, &p);

	if (!err)
		err = decode(&p);
	free(copy);
	return err;
}

int bs_test_decode_as(const uint8_t *pkt, size_t len, bs_test_decode_fn decode)
{
	uint8_t *copy = bs_test_copy(pkt, len);
	int err;

	if (len >= BS_HEADER_MIN)
		bs_put_u16(copy + OFF_LEN, (uint16_t)len);
	err = bs_test_decode(copy, len, decode);
	free(copy);
	return err;
}

/* A drop reason, or accepted: nothing else may come out of a decoder. */
static void is_drop_or_ok(int err)
{
	ck_assert_msg(err == BS_OK || (err <= -200 && err > -300), "result %d", err);
}

static void cut(const uint8_t *pkt, size_t len, size_t least, bs_test_decode_fn decode)
{
	size_t n;
	int err;

	for (n = 0; n < len; n++) {
		ck_assert_int_eq(bs_test_decode(pkt, n, decode),
				 n < BS_HEADER_MIN ? BS_ESHORT : BS_ELENGTH);
		err = bs_test_decode_as(pkt, n, decode);
		is_drop_or_ok(err);
		ck_assert_msg(n >= least || err != BS_OK, "taken with %d of %d bytes", (int)n,
			      (int)len);
	}
}

static void trail(const uint8_t *pkt, size_t len, bs_test_decode_fn decode)
{
	uint8_t longer[BS_PACKET_MAX + 4];
	size_t n;

	memset(longer, 0, sizeof(longer));
	memcpy(longer, pkt, len);
	for (n = 1; n <= 3; n++) {
		ck_assert_int_eq(bs_test_decode(longer, len + n, decode), BS_ELENGTH);
		ck_assert_int_eq(bs_test_decode_as(longer, len + n, decode), BS_EPAYLOAD);
	}
	ck_assert_int_eq(bs_test_decode_as(longer, len + 4, decode), BS_EPAYLOAD);
}

static void oversize(const uint8_t *pkt, size_t len, bs_test_decode_fn decode)
{
	uint8_t *big = malloc(UINT16_MAX);

	ck_assert_ptr_nonnull(big);
	memcpy(big, pkt, len);
	memset(big + len, 0x5A, UINT16_MAX - len);
	big[len] = BS_PL_PAD;
	big[len + 1] = BS_PLF_OPTIONAL;
	bs_put_u16(big + len + 2, (uint16_t)(UINT16_MAX - len));
	is_drop_or_ok(bs_test_decode_as(big, UINT16_MAX, decode));
	free(big);
}

static void change_header(const uint8_t *pkt, size_t len, bs_test_decode_fn decode)
{
	uint8_t *copy = bs_test_copy(pkt, len);
	unsigned v;

	for (v = 0; v < 256; v++) {
		copy[OFF_VERSION] = (uint8_t)v;
		ck_assert_int_eq(bs_test_decode(copy, len, decode),
				 v == BS_WIRE_VERSION ? BS_OK : BS_EVERSION);
	}
	copy[OFF_VERSION] = BS_WIRE_VERSION;
	for (v = 0; v < 256; v++) {
		copy[OFF_TYPE] = (uint8_t)v;
		ck_assert_int_eq(bs_test_decode(copy, len, decode),
				 v == pkt[OFF_TYPE] ? BS_OK : BS_ETYPE);
	}
	copy[OFF_TYPE] = pkt[OFF_TYPE];
	for (v = 2; v < 64; v++) {
		copy[OFF_FLAGS] = (uint8_t)v;
		ck_assert_int_eq(bs_test_decode(copy, len, decode), BS_ETYPE);
	}
	free(copy);
}

static void turn_bits(const uint8_t *pkt, size_t len, bs_test_decode_fn decode)
{
	uint8_t *copy = bs_test_copy(pkt, len);
	size_t bit;

	for (bit = 0; bit < len * 8; bit++) {
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		is_drop_or_ok(bs_test_decode(copy, len, decode));
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	free(copy);
}

void bs_test_maltreat(const uint8_t *pkt, size_t len, size_t least, bs_test_decode_fn decode)
{
	ck_assert_int_eq(bs_test_decode(pkt, len, decode), BS_OK);
	cut(pkt, len, least, decode);
	trail(pkt, len, decode);
	oversize(pkt, len, decode);
	change_header(pkt, len, decode);
	turn_bits(pkt, len, decode);
}

void bs_test_crypto(struct bs_crypto *c, struct bs_test_rng *rng)
{
	memset(rng, 0, sizeof(*rng));
	bs_small_crypto_init(c, bs_test_rng_fill, rng);
}

void bs_test_seal_is(struct bs_writer *w, const struct bs_scenario *sc, const struct bs_row *row,
		     enum bs_role self)
{
	struct bs_slice want = bs_row_hex(row, "hex");
	struct bs_key_block key;
	struct bs_test_rng rng;
	struct bs_payload last = { 0, 0, 0, NULL };
	struct bs_crypto c;
	struct bs_packet p;
	size_t off = 0;
	bs_ssize n;

	bs_test_crypto(&c, &rng);
	ck_assert(bs_scenario_key(sc, row, &key));
	rng.next = bs_row_hex(row, "iv");
	ck_assert_int_eq(bs_packet_decode(want.ptr, want.len, &p), BS_OK);
	while (bs_payload_next(&p, &off, &last))
		;
	n = bs_suite_aes_cbc.seal(&c, &key, self, w, last.flags, bs_row_hex(row, "plain"));
	ck_assert_int_eq(n, (int)want.len);
	ck_assert_mem_eq(w->buf, want.ptr, want.len);
}

const struct bs_row *bs_test_next(const struct bs_scenario *sc, const struct bs_row *prev,
				  uint8_t type, uint8_t flags, struct bs_packet *p)
{
	const struct bs_row *r = prev;

	while ((r = bs_scenario_packet(sc, r))) {
		struct bs_slice hex = bs_row_hex(r, "hex");

		if (bs_row_text(r, "malformed") || bs_packet_decode(hex.ptr, hex.len, p))
			continue;
		if (p->h.type == type && p->h.flags == flags)
			return r;
	}
	return NULL;
}
