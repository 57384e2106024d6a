/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_x25519.c - public keys of X25519, several at a time, from a table of multiples of the base.
 *
 * Each handshake of TLS 1.3 needs a new key pair.  OpenSSL 3.0 makes the public key with limbs of
 * 25 and 26 bits, which takes as long as the whole key agreement does with its assembly.  Here is
 * the same walk (the private key in signed digits of four bits, one addition each on the Edwards
 * curve, with constant time) with limbs of 51 bits, and with one inversion for a batch of keys.
 *
 * Bounds.  "Reduced" is a limb below 2^51 + 2^14, as mul and carry leave it.  sub takes away what
 * is below 2^53 - 76; mul takes limbs below 2^54, of which 19 * 5 products stay below 2^115 and
 * their carries below 2^64.
 */
#include "net/tls_x25519.h"

#include <string.h>

#include "crypto/crypto.h"

#ifdef __SIZEOF_INT128__

__extension__ typedef unsigned __int128 u128;

typedef struct bs__fe fe;
/** Two words of an entry, which a vector unit takes at once; loose: wherever they are. */
typedef uint64_t pair __attribute__((vector_size(16)));
typedef uint64_t loose_pair __attribute__((vector_size(16), aligned(8), may_alias));

# define LIMB_BITS 51
# define LIMB_MASK ((UINT64_C(1) << LIMB_BITS) - 1)
/** Digits of a private key, rows of the table, entries of a row. */
# define DIGITS  64
# define ROWS    32
# define ENTRIES 8
/** Words of an entry. */
# define WORDS ((int)(sizeof(struct bs__ge_add) / sizeof(uint64_t)))

/** A point as x = X/Z, y = Y/Z, xy = T/Z. */
struct ge {
	fe x, y, z, t;
};

static const fe one = { { 1, 0, 0, 0, 0 } };
/** Twice the curve's constant d = -121665/121666. */
static const fe twice_d = { { 0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977,
			      0x2406d9dc56dff } };
/** The base point, whose y is 4/5. */
static const struct ge base = {
	.x = { { 0x62d608f25d51a, 0x412a4b4f6592a, 0x75b7171a4b31d, 0x1ff60527118fe,
		 0x216936d3cd6e5 } },
	.y = { { 0x6666666666658, 0x4cccccccccccc, 0x1999999999999, 0x3333333333333,
		 0x6666666666666 } },
	.z = { { 1, 0, 0, 0, 0 } },
	.t = { { 0x68ab3a5b7dda3, 0xeea2a5eadbb, 0x2af8df483c27e, 0x332b375274732,
		 0x67875f0fd78b7 } },
};

/* The field. */

static inline fe carry(fe a)
{
	uint64_t c = 0;

	for (int i = 0; i < 5; i++) {
		a.v[i] += c;
		c = a.v[i] >> LIMB_BITS;
		a.v[i] &= LIMB_MASK;
	}
	a.v[0] += 19 * c;
	return a;
}

static inline fe add(const fe *a, const fe *b)
{
	fe r;

	for (int i = 0; i < 5; i++)
		r.v[i] = a->v[i] + b->v[i];
	return r;
}

/** Four times the modulus is added first, so that no limb becomes negative. */
static inline fe sub(const fe *a, const fe *b)
{
	const uint64_t low = (UINT64_C(1) << 53) - 76;
	const uint64_t high = (UINT64_C(1) << 53) - 4;
	fe r = { { a->v[0] + low - b->v[0], a->v[1] + high - b->v[1], a->v[2] + high - b->v[2],
		   a->v[3] + high - b->v[3], a->v[4] + high - b->v[4] } };

	return r;
}

/** Five sums of products back into limbs. */
static inline fe fold(u128 t0, u128 t1, u128 t2, u128 t3, u128 t4)
{
	fe r;

	t1 += (uint64_t)(t0 >> LIMB_BITS);
	t2 += (uint64_t)(t1 >> LIMB_BITS);
	t3 += (uint64_t)(t2 >> LIMB_BITS);
	t4 += (uint64_t)(t3 >> LIMB_BITS);
	r.v[0] = ((uint64_t)t0 & LIMB_MASK) + (uint64_t)(t4 >> LIMB_BITS) * 19;
	r.v[1] = ((uint64_t)t1 & LIMB_MASK) + (r.v[0] >> LIMB_BITS);
	r.v[0] &= LIMB_MASK;
	r.v[2] = (uint64_t)t2 & LIMB_MASK;
	r.v[3] = (uint64_t)t3 & LIMB_MASK;
	r.v[4] = (uint64_t)t4 & LIMB_MASK;
	return r;
}

static inline fe mul(const fe *a, const fe *b)
{
	const uint64_t a0 = a->v[0], a1 = a->v[1], a2 = a->v[2], a3 = a->v[3], a4 = a->v[4];
	const uint64_t b0 = b->v[0], b1 = b->v[1], b2 = b->v[2], b3 = b->v[3], b4 = b->v[4];
	const uint64_t c1 = 19 * b1, c2 = 19 * b2, c3 = 19 * b3, c4 = 19 * b4;

	return fold((u128)a0 * b0 + (u128)a1 * c4 + (u128)a2 * c3 + (u128)a3 * c2 + (u128)a4 * c1,
		    (u128)a0 * b1 + (u128)a1 * b0 + (u128)a2 * c4 + (u128)a3 * c3 + (u128)a4 * c2,
		    (u128)a0 * b2 + (u128)a1 * b1 + (u128)a2 * b0 + (u128)a3 * c4 + (u128)a4 * c3,
		    (u128)a0 * b3 + (u128)a1 * b2 + (u128)a2 * b1 + (u128)a3 * b0 + (u128)a4 * c4,
		    (u128)a0 * b4 + (u128)a1 * b3 + (u128)a2 * b2 + (u128)a3 * b1 + (u128)a4 * b0);
}

static inline fe square(const fe *a)
{
	const uint64_t a0 = a->v[0], a1 = a->v[1], a2 = a->v[2], a3 = a->v[3], a4 = a->v[4];
	const uint64_t d0 = 2 * a0, d1 = 2 * a1, c3 = 19 * a3, c4 = 19 * a4;

	return fold((u128)a0 * a0 + (u128)d1 * c4 + (u128)(2 * a2) * c3,
		    (u128)d0 * a1 + (u128)(2 * a2) * c4 + (u128)a3 * c3,
		    (u128)d0 * a2 + (u128)a1 * a1 + (u128)(2 * a3) * c4,
		    (u128)d0 * a3 + (u128)d1 * a2 + (u128)a4 * c4,
		    (u128)d0 * a4 + (u128)d1 * a3 + (u128)a2 * a2);
}

static fe square_times(fe a, int n)
{
	while (n-- > 0)
		a = square(&a);
	return a;
}

/** a^(2^255 - 21), which is 1/a; the exponent's 250 upper bits are ones. */
static fe invert(const fe *a)
{
	fe a2 = square(a), t = square_times(a2, 2), a9 = mul(&t, a), a11 = mul(&a9, &a2);
	fe s = square(&a11), n5 = mul(&s, &a9), n10, n20, n40, n50, n100, n200;

	/* nK is a^(2^K - 1). */
	t = square_times(n5, 5);
	n10 = mul(&t, &n5);
	t = square_times(n10, 10);
	n20 = mul(&t, &n10);
	t = square_times(n20, 20);
	n40 = mul(&t, &n20);
	t = square_times(n40, 10);
	n50 = mul(&t, &n10);
	t = square_times(n50, 50);
	n100 = mul(&t, &n50);
	t = square_times(n100, 100);
	n200 = mul(&t, &n100);
	t = square_times(n200, 50);
	t = mul(&t, &n50);
	t = square_times(t, 5);
	return mul(&t, &a11);
}

/** The one representation below the modulus, in limbs of exactly 51 bits. */
static fe canonical(fe a)
{
	uint64_t over;

	a = carry(carry(a));
	/* Whether adding 19 would pass 2^255: then it is the modulus or more. */
	over = (a.v[0] + 19) >> LIMB_BITS;
	for (int i = 1; i < 5; i++)
		over = (a.v[i] + over) >> LIMB_BITS;
	a.v[0] += 19 * over;
	for (int i = 0; i < 4; i++) {
		a.v[i + 1] += a.v[i] >> LIMB_BITS;
		a.v[i] &= LIMB_MASK;
	}
	a.v[4] &= LIMB_MASK;
	return a;
}

static void to_bytes(uint8_t out[BS__X25519_LEN], const fe *a)
{
	const fe c = canonical(*a);

	for (unsigned i = 0; i < BS__X25519_LEN; i++) {
		unsigned bit = 8 * i, limb = bit / LIMB_BITS, at = bit % LIMB_BITS;
		uint64_t v = c.v[limb] >> at;

		if (at + 8 > LIMB_BITS && limb < 4)
			v |= c.v[limb + 1] << (LIMB_BITS - at);
		out[i] = (uint8_t)v;
	}
}

/* The curve. */

/** From sums and differences of the last step to a point. */
static inline void finish(struct ge *p, const fe *e, const fe *h, const fe *g, const fe *f)
{
	p->x = mul(e, f);
	p->y = mul(h, g);
	p->z = mul(g, f);
	p->t = mul(e, h);
}

/** p + q; holds for any two points, also for equal ones. */
static inline void point_add(struct ge *p, const struct bs__ge_add *q)
{
	fe s = add(&p->y, &p->x), d = sub(&p->y, &p->x), z2 = add(&p->z, &p->z);
	fe a = mul(&s, &q->sum), b = mul(&d, &q->diff), c = mul(&q->xy2d, &p->t);
	fe e = sub(&a, &b), h = add(&a, &b), g = add(&z2, &c), f = sub(&z2, &c);

	finish(p, &e, &h, &g, &f);
}

static void point_double(struct ge *p)
{
	fe xx = square(&p->x), yy = square(&p->y), zz = square(&p->z);
	fe s = add(&p->x, &p->y), ss = square(&s), z2 = add(&zz, &zz);
	fe h = add(&yy, &xx), g = sub(&yy, &xx), e = sub(&ss, &h), f;

	g = carry(g);
	f = sub(&z2, &g);
	finish(p, &e, &h, &g, &f);
}

/** p in the form that is added. */
static struct bs__ge_add to_add(const struct ge *p)
{
	fe i = invert(&p->z), x = mul(&p->x, &i), y = mul(&p->y, &i), xy = mul(&x, &y);
	fe s = add(&y, &x), d = sub(&y, &x), t = mul(&xy, &twice_d);

	return (struct bs__ge_add){ canonical(s), canonical(d), canonical(t), 0 };
}

/** Take b where mask is all ones. */
static inline void move_if(fe *a, const fe *b, uint64_t mask)
{
	for (int i = 0; i < 5; i++)
		a->v[i] ^= mask & (a->v[i] ^ b->v[i]);
}

/** All ones when a and b, both below 2^63, are equal. */
static inline uint64_t mask_equal(uint64_t a, uint64_t b)
{
	return 0 - (((a ^ b) - 1) >> 63);
}

/** digit times a row's first point; digit is -8 to 8, and nobody sees from outside which. */
static inline struct bs__ge_add select_entry(const struct bs__ge_add row[ENTRIES], int8_t digit)
{
	static const fe zero;
	const uint64_t negative = 0 - (uint64_t)((uint8_t)digit >> 7);
	const uint64_t size = ((uint64_t)(int64_t)digit ^ negative) - negative;
	pair sum[WORDS / 2] = { { 0, 0 } };
	struct bs__ge_add r;
	fe swap, minus;

	/* Two words at a time, of every entry. */
	for (uint64_t j = 0; j < ENTRIES; j++) {
		const loose_pair *entry = (const loose_pair *)&row[j];
		const uint64_t mask = mask_equal(size, j + 1);

		for (int i = 0; i < WORDS / 2; i++)
			sum[i] |= entry[i] & (pair){ mask, mask };
	}
	memcpy(&r, sum, sizeof(r));
	/* No entry was taken: the neutral point. */
	r.sum.v[0] |= 1 & mask_equal(size, 0);
	r.diff.v[0] |= 1 & mask_equal(size, 0);
	swap = r.sum;
	move_if(&r.sum, &r.diff, negative);
	move_if(&r.diff, &swap, negative);
	minus = sub(&zero, &r.xy2d);
	move_if(&r.xy2d, &minus, negative);
	return r;
}

/** Digits of -8 to 8 that make up the clamped key. */
static void to_digits(int8_t digit[DIGITS], const uint8_t priv[BS__X25519_LEN])
{
	int8_t more = 0;

	for (size_t i = 0; i < BS__X25519_LEN; i++) {
		digit[2 * i] = (int8_t)(priv[i] & 15);
		digit[2 * i + 1] = (int8_t)(priv[i] >> 4);
	}
	digit[0] &= 8;
	digit[DIGITS - 1] = (int8_t)((digit[DIGITS - 1] & 7) | 4);
	for (size_t i = 0; i < DIGITS - 1; i++) {
		digit[i] = (int8_t)(digit[i] + more);
		more = (int8_t)((digit[i] + 8) >> 4);
		digit[i] = (int8_t)(digit[i] - more * 16);
	}
	digit[DIGITS - 1] = (int8_t)(digit[DIGITS - 1] + more);
}

/** The table's multiples of the base, priv times. */
static void times_base(const struct bs__x25519_table *t, const uint8_t priv[BS__X25519_LEN],
		       struct ge *p)
{
	int8_t digit[DIGITS];
	struct bs__ge_add q;

	to_digits(digit, priv);
	*p = (struct ge){ .y = one, .z = one };
	/* Rows are 256 apart: odd digits first, times 16, then the even ones. */
	for (size_t i = 1; i < DIGITS; i += 2) {
		q = select_entry(t->at[i / 2], digit[i]);
		point_add(p, &q);
	}
	for (int i = 0; i < 4; i++)
		point_double(p);
	for (size_t i = 0; i < DIGITS; i += 2) {
		q = select_entry(t->at[i / 2], digit[i]);
		point_add(p, &q);
	}
	bs_wipe(digit, sizeof(digit));
	bs_wipe(&q, sizeof(q));
}

void bs__x25519_public(const struct bs__x25519_table *t, const uint8_t priv[][BS__X25519_LEN],
		       uint8_t pub[][BS__X25519_LEN], size_t n)
{
	fe up[BS__X25519_BATCH], down[BS__X25519_BATCH], before[BS__X25519_BATCH];
	struct ge p;
	fe all = one, inverse;

	/* u = (1 + y) / (1 - y); no multiple of the base by a clamped key has y = 1. */
	for (size_t i = 0; i < n; i++) {
		times_base(t, priv[i], &p);
		up[i] = add(&p.z, &p.y);
		down[i] = sub(&p.z, &p.y);
		before[i] = all;
		all = mul(&all, &down[i]);
	}
	inverse = invert(&all);
	for (size_t i = n; i-- > 0;) {
		fe mine = mul(&inverse, &before[i]), u = mul(&up[i], &mine);

		inverse = mul(&inverse, &down[i]);
		to_bytes(pub[i], &u);
	}
	/* Coordinates tell more about a private key than the public key does. */
	bs_wipe(&p, sizeof(p));
	bs_wipe(up, sizeof(up));
	bs_wipe(down, sizeof(down));
	bs_wipe(before, sizeof(before));
	bs_wipe(&all, sizeof(all));
	bs_wipe(&inverse, sizeof(inverse));
}

/** RFC 7748, section 6.1: Alice's and Bob's pairs. */
static bool is_right(const struct bs__x25519_table *t)
{
	static const uint8_t priv[2][BS__X25519_LEN] = {
		{ 0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1,
		  0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0,
		  0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a },
		{ 0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79, 0xe1, 0x7f,
		  0x8b, 0x83, 0x80, 0x0e, 0xe6, 0x6f, 0x3b, 0xb1, 0x29, 0x26, 0x18,
		  0xb6, 0xfd, 0x1c, 0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb },
	};
	static const uint8_t pub[2][BS__X25519_LEN] = {
		{ 0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d,
		  0xdc, 0xb4, 0x3e, 0xf7, 0x5a, 0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38,
		  0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a },
		{ 0xde, 0x9e, 0xdb, 0x7d, 0x7b, 0x7d, 0xc1, 0xb4, 0xd3, 0x5b, 0x61,
		  0xc2, 0xec, 0xe4, 0x35, 0x37, 0x3f, 0x83, 0x43, 0xc8, 0x5b, 0x78,
		  0x67, 0x4d, 0xad, 0xfc, 0x7e, 0x14, 0x6f, 0x88, 0x2b, 0x4f },
	};
	uint8_t out[2][BS__X25519_LEN];

	bs__x25519_public(t, priv, out, 2);
	return memcmp(out, pub, sizeof(out)) == 0;
}

bool bs__x25519_init(struct bs__x25519_table *t)
{
	struct ge p = base;

	for (size_t i = 0; i < ROWS; i++) {
		struct bs__ge_add first = to_add(&p);

		t->at[i][0] = first;
		for (size_t j = 1; j < ENTRIES; j++) {
			point_add(&p, &first);
			t->at[i][j] = to_add(&p);
		}
		/* From 8 to 256 times the row's first. */
		for (int n = 0; n < 5; n++)
			point_double(&p);
	}
	return is_right(t);
}

#else

bool bs__x25519_init(struct bs__x25519_table *t)
{
	return false;
}

void bs__x25519_public(const struct bs__x25519_table *t, const uint8_t priv[][BS__X25519_LEN],
		       uint8_t pub[][BS__X25519_LEN], size_t n)
{
}

#endif
