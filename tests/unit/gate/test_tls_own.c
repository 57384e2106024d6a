/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "net/tls_internal.h"
#include "test.h"

#define ROOM 600

static struct bs__tls_lib lib;

static void start(void)
{
	ck_assert_int_eq(bs__tls_lib_init(&lib), BS_OK);
}

static void stop(void)
{
	bs__tls_lib_fini(&lib);
}

/* ---- the key schedule: whatever goes in, OpenSSL's own is right */

struct secret {
	int mode;
	const char *digest;
	size_t key, salt, label, data; /* lengths; 0 = not given */
	size_t out;
};

static int derive(OSSL_LIB_CTX *ctx, const struct secret *s, uint8_t out[static ROOM])
{
	static uint8_t text[ROOM];
	char prefix[] = "tls13 ";
	int mode = s->mode;
	OSSL_PARAM p[8], *at = p;
	EVP_KDF *kdf = EVP_KDF_fetch(ctx, "TLS13-KDF", NULL);
	EVP_KDF_CTX *x = EVP_KDF_CTX_new(kdf);
	int ok;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(7 * i + 1);
	*at++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	*at++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)s->digest, 0);
	if (s->key)
		*at++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, text, s->key);
	if (s->salt)
		*at++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, text + 3, s->salt);
	*at++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix, 6);
	*at++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, text + 5, s->label);
	if (s->data)
		*at++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_DATA, text + 9, s->data);
	*at = OSSL_PARAM_construct_end();
	memset(out, 0, ROOM);
	ok = EVP_KDF_derive(x, out, s->out, p);
	EVP_KDF_CTX_free(x);
	EVP_KDF_free(kdf);
	return ok == 1;
}

static const struct secret secrets[] = {
	{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA2-256", 32, 0, 7, 32, 32 },
	{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA256", 32, 0, 7, 32, 32 },
	{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA2-256", 32, 0, 3, 0, 16 },
	{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA2-256", 32, 0, 2, 0, 12 },
	{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA2-256", 32, 0, 10, 8, 32 },
	{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA2-256", 100, 0, 249, 255, 1 },
	/* More than a block, as an exporter may ask for: OpenSSL's own does it. */
	{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA2-256", 32, 0, 8, 32, 33 },
	{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA2-256", 32, 0, 8, 32, 500 },
	{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA2-384", 48, 0, 7, 48, 48 },
	{ EVP_KDF_HKDF_MODE_EXTRACT_ONLY, "SHA2-256", 0, 0, 7, 0, 32 },
	{ EVP_KDF_HKDF_MODE_EXTRACT_ONLY, "SHA2-256", 32, 0, 7, 0, 32 },
	{ EVP_KDF_HKDF_MODE_EXTRACT_ONLY, "SHA2-256", 0, 32, 7, 0, 32 },
	{ EVP_KDF_HKDF_MODE_EXTRACT_ONLY, "SHA2-256", 32, 32, 7, 0, 32 },
	{ EVP_KDF_HKDF_MODE_EXTRACT_ONLY, "SHA2-256", 66, 32, 7, 0, 32 },
	{ EVP_KDF_HKDF_MODE_EXTRACT_ONLY, "SHA2-384", 48, 48, 7, 0, 48 },
};

START_TEST(secrets_are_those_of_openssl)
{
	uint8_t own[ROOM], theirs[ROOM];

	ck_assert(derive(lib.tls, &secrets[_i], own));
	ck_assert(derive(NULL, &secrets[_i], theirs));
	ck_assert_mem_eq(own, theirs, sizeof(own));
}
END_TEST

START_TEST(what_cannot_be_derived_fails)
{
	static const struct secret bad[] = {
		{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA2-256", 0, 0, 7, 32, 32 },
		{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA2-256", 32, 0, 7, 256, 32 },
		{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA2-256", 32, 0, 250, 32, 32 },
		{ EVP_KDF_HKDF_MODE_EXPAND_ONLY, "no such digest", 32, 0, 7, 32, 32 },
		{ EVP_KDF_HKDF_MODE_EXTRACT_ONLY, "SHA2-256", 32, 32, 7, 0, 16 },
		{ EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND, "SHA2-256", 32, 32, 7, 0, 32 },
	};
	uint8_t own[ROOM], theirs[ROOM];

	for (size_t i = 0; i < BS_LEN(bad); i++) {
		int ok = derive(NULL, &bad[i], theirs);

		ck_assert_int_eq(derive(lib.tls, &bad[i], own), ok);
		if (ok)
			ck_assert_mem_eq(own, theirs, sizeof(own));
	}
}
END_TEST

/* ---- the ticket cipher */

/** Encrypt or decrypt; the number of bytes, or -1. */
static int crypt(OSSL_LIB_CTX *ctx, const char *name, int seal, const uint8_t *in, size_t len,
		 uint8_t out[static ROOM])
{
	static const uint8_t key[32] = "a key of a ticket, 32 bytes ....",
			     iv[16] = "an iv, 16 bytes";
	EVP_CIPHER *type = EVP_CIPHER_fetch(ctx, name, NULL);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0, last = 0, ok;

	ck_assert_ptr_nonnull(type);
	ck_assert_int_eq(EVP_CipherInit_ex(c, type, NULL, key, iv, seal), 1);
	ck_assert_int_eq(EVP_CIPHER_CTX_get_iv_length(c), 16);
	ok = EVP_CipherUpdate(c, out, &n, in, (int)len) == 1 &&
	     EVP_CipherFinal_ex(c, out + n, &last) == 1;
	EVP_CIPHER_CTX_free(c);
	EVP_CIPHER_free(type);
	return ok ? n + last : -1;
}

static void seals_as(const uint8_t *in, size_t len, const uint8_t *want, size_t want_len)
{
	uint8_t sealed[ROOM], plain[ROOM];
	int n = crypt(lib.tls, BS__TLS_TICKET_CIPHER, 1, in, len, sealed);

	ck_assert_int_gt(n, 0);
	/* A node without our provider opens it as well, and the other way round. */
	ck_assert_int_eq(crypt(NULL, "AES-256-CBC", 0, sealed, (size_t)n, plain), (int)want_len);
	ck_assert_mem_eq(plain, want, want_len);
	n = crypt(NULL, "AES-256-CBC", 1, in, len, sealed);
	ck_assert_int_eq(crypt(lib.tls, BS__TLS_TICKET_CIPHER, 0, sealed, (size_t)n, plain),
			 (int)len);
	ck_assert_mem_eq(plain, in, len);
}

START_TEST(the_certificate_stays_outside)
{
	static const uint8_t in[] = { 0x30, 14, 2,    1, 1,    0xA1, 3, 2,
				      1,    5,  0xA3, 1, 0x77, 0xA4, 1, 0x55 };
	static const uint8_t want[] = { 0x30, 11, 2, 1, 1, 0xA1, 3, 2, 1, 5, 0xA4, 1, 0x55 };

	seals_as(in, sizeof(in), want, sizeof(want));
}
END_TEST

START_TEST(a_long_certificate_shortens_the_header)
{
	uint8_t in[300] = { 0x30, 0x82, 1, 296 - 256, 2, 1, 1, 0xA3, 0x82, 1, 284 - 256 };
	static const uint8_t want[] = { 0x30, 8, 2, 1, 1, 0xA4, 3, 9, 9, 9 };

	memcpy(in + sizeof(in) - 5, want + 5, 5);
	seals_as(in, sizeof(in), want, sizeof(want));
}
END_TEST

START_TEST(what_is_no_session_is_sealed_as_it_is)
{
	static const uint8_t bad[][12] = {
		{ 0x30, 10, 2, 1, 1, 0xA3, 6, 1, 1, 1, 1, 1 },   /* peer longer than the rest */
		{ 0x30, 10, 2, 1, 1, 0xA1, 5, 1, 1, 1, 1, 1 },   /* no peer */
		{ 0x30, 9, 2, 1, 1, 0xA3, 4, 1, 1, 1, 1, 0 },    /* shorter than what is there */
		{ 0x30, 11, 2, 1, 1, 0xA3, 5, 1, 1, 1, 1, 1 },   /* longer */
		{ 0x30, 0x80, 2, 1, 1, 0xA3, 5, 1, 1, 1, 1, 1 }, /* no length */
		{ 0x31, 10, 2, 1, 1, 0xA3, 5, 1, 1, 1, 1, 1 },   /* a set */
		{ 0x30, 10, 2, 1, 1, 0xA3, 0x84, 0x7F, 0xFF, 0xFF, 0xFF, 1 },
		{ 0x30, 10, 2, 1, 1, 0x83 + 0x20 - 0x80, 5, 1, 1, 1, 1, 1 }, /* another class */
	};

	for (size_t i = 0; i < BS_LEN(bad); i++)
		seals_as(bad[i], sizeof(bad[i]), bad[i], sizeof(bad[i]));
}
END_TEST

START_TEST(a_spoilt_ticket_does_not_open)
{
	uint8_t sealed[ROOM], plain[ROOM];
	static const uint8_t in[20] = { 1 };
	int n = crypt(lib.tls, BS__TLS_TICKET_CIPHER, 1, in, sizeof(in), sealed);

	ck_assert_int_eq(n, 32);
	ck_assert_int_eq(crypt(lib.tls, BS__TLS_TICKET_CIPHER, 0, sealed, 31, plain), -1);
	ck_assert_int_eq(crypt(lib.tls, BS__TLS_TICKET_CIPHER, 0, sealed, 16, plain), -1);
}
END_TEST

START_TEST(random_bytes_come_with_and_without_the_provider)
{
	const struct bs__tls_lib none = { .tls = NULL };
	uint8_t a[32] = { 0 }, b[32] = { 0 };
	OSSL_LIB_CTX *before = bs__tls_lib_enter(&lib);

	/* More than one filling of the pool, while the thread's default context offers nothing. */
	for (int i = 0; i < 100; i++) {
		memcpy(b, a, sizeof(b));
		ck_assert(bs__tls_own_random(&lib, a, sizeof(a)));
		ck_assert_mem_ne(a, b, sizeof(a));
	}
	bs__tls_lib_leave(&lib, before);
	ck_assert(bs__tls_own_random(&none, b, sizeof(b)));
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

Suite *bs_suite_tls_own(void)
{
	Suite *s = suite_create("tls_own");
	TCase *tc = tcase_create("own");

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_loop_test(tc, secrets_are_those_of_openssl, 0, (int)BS_LEN(secrets));
	tcase_add_test(tc, what_cannot_be_derived_fails);
	tcase_add_test(tc, the_certificate_stays_outside);
	tcase_add_test(tc, a_long_certificate_shortens_the_header);
	tcase_add_test(tc, what_is_no_session_is_sealed_as_it_is);
	tcase_add_test(tc, random_bytes_come_with_and_without_the_provider);
	tcase_add_test(tc, a_spoilt_ticket_does_not_open);
	suite_add_tcase(s, tc);
	return s;
}
