/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "net/tls_internal.h"
#include "test.h"

static struct bs__tls_lib lib;

static void start(void)
{
	ck_assert_int_eq(bs__tls_lib_init(&lib), BS_OK);
}

static void stop(void)
{
	bs__tls_lib_fini(&lib);
}

static uint8_t text[6000];

static EVP_MAC_CTX *mac_of(OSSL_LIB_CTX *ctx)
{
	EVP_MAC *mac = EVP_MAC_fetch(ctx, "HMAC", NULL);
	EVP_MAC_CTX *c = EVP_MAC_CTX_new(mac);

	if (ctx)
		ck_assert_str_eq(OSSL_PROVIDER_get0_name(EVP_MAC_get0_provider(mac)), BS__TLS_OWN);
	EVP_MAC_free(mac);
	ck_assert_ptr_nonnull(c);
	return c;
}

/** How libssl gives key and digest: both before, the digest before, or both with the start. */
enum how {
	BEFORE,
	DIGEST_BEFORE,
	AT_START,
	HOWS
};

struct row {
	const char *digest;
	size_t key, first, second; /* lengths: of the key, and of two pieces */
};

static const struct row rows[] = {
	{ "SHA256", 32, 0, 0 },       { "SHA2-256", 32, 32, 0 },  { "sha256", 64, 700, 0 },
	{ "SHA256", 1, 100, 200 },    { "SHA256", 65, 100, 200 }, { "SHA256", 200, 10, 10 },
	{ "SHA256", 32, 2048, 0 },    { "SHA256", 32, 2048, 1 },  { "SHA256", 32, 1000, 1049 },
	{ "SHA256", 32, 5000, 1000 }, { "SHA2-384", 48, 48, 0 },  { "SHA384", 32, 100, 3000 },
	{ "SHA1", 20, 10, 0 },
};

static void begin(EVP_MAC_CTX *c, const struct row *r, enum how how)
{
	OSSL_PARAM both[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, text + 7, r->key),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)r->digest, 0),
		OSSL_PARAM_construct_end(),
	};

	if (how == BEFORE) {
		/* OpenSSL's wants the digest first. */
		ck_assert_int_eq(EVP_MAC_CTX_set_params(c, both + 1), 1);
		ck_assert_int_eq(EVP_MAC_CTX_set_params(c, both), 1);
		ck_assert_int_eq(EVP_MAC_init(c, NULL, 0, NULL), 1);
		return;
	}
	if (how == DIGEST_BEFORE)
		ck_assert_int_eq(EVP_MAC_CTX_set_params(c, both + 1), 1);
	ck_assert_int_eq(EVP_MAC_init(c, text + 7, r->key, how == AT_START ? both + 1 : NULL), 1);
}

static size_t run(EVP_MAC_CTX *c, const struct row *r, enum how how, uint8_t out[EVP_MAX_MD_SIZE])
{
	size_t len = 0;

	memset(out, 0, EVP_MAX_MD_SIZE);
	begin(c, r, how);
	ck_assert_int_eq(EVP_MAC_update(c, text, r->first), 1);
	ck_assert_int_eq(EVP_MAC_update(c, text + r->first / 2, r->second), 1);
	ck_assert_int_eq(EVP_MAC_final(c, out, &len, EVP_MAX_MD_SIZE), 1);
	ck_assert_uint_eq(EVP_MAC_CTX_get_mac_size(c), len);
	return len;
}

START_TEST(what_comes_out_is_as_of_openssl)
{
	uint8_t ours[EVP_MAX_MD_SIZE], theirs[EVP_MAX_MD_SIZE];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(11 * i + i / 256);
	for (int how = 0; how < HOWS; how++) {
		EVP_MAC_CTX *a = mac_of(lib.tls), *b = mac_of(NULL);

		/* Twice each: a context is used again after its end, for another key. */
		for (int twice = 0; twice < 2; twice++) {
			size_t n = run(a, &rows[_i], (enum how)how, ours);

			ck_assert_uint_eq(n, run(b, &rows[_i], (enum how)how, theirs));
			ck_assert_mem_eq(ours, theirs, sizeof(ours));
		}
		EVP_MAC_CTX_free(a);
		EVP_MAC_CTX_free(b);
	}
}
END_TEST

/** A context that changes its digest half way is OpenSSL's from there on. */
START_TEST(another_digest_takes_over)
{
	static const struct row first = { "SHA256", 32, 100, 0 }, then = { "SHA384", 32, 50, 50 };
	uint8_t ours[EVP_MAX_MD_SIZE], theirs[EVP_MAX_MD_SIZE];
	EVP_MAC_CTX *a = mac_of(lib.tls), *b = mac_of(NULL);

	run(a, &first, AT_START, ours);
	run(b, &first, AT_START, theirs);
	ck_assert_mem_eq(ours, theirs, sizeof(ours));
	run(a, &then, AT_START, ours);
	run(b, &then, AT_START, theirs);
	ck_assert_mem_eq(ours, theirs, sizeof(ours));
	run(a, &first, DIGEST_BEFORE, ours);
	run(b, &first, DIGEST_BEFORE, theirs);
	ck_assert_mem_eq(ours, theirs, sizeof(ours));
	EVP_MAC_CTX_free(a);
	EVP_MAC_CTX_free(b);
}
END_TEST

START_TEST(without_key_or_digest_or_room_there_is_nothing)
{
	EVP_MAC_CTX *c = mac_of(lib.tls);
	uint8_t out[EVP_MAX_MD_SIZE];
	size_t len;

	ck_assert_int_ne(EVP_MAC_init(c, text, 32, NULL), 1);
	ck_assert_uint_eq(EVP_MAC_CTX_get_mac_size(c), 0);
	begin(c, &rows[0], AT_START);
	ck_assert_int_ne(EVP_MAC_final(c, out, &len, 31), 1);
	ck_assert_int_eq(EVP_MAC_final(c, out, &len, 32), 1);
	EVP_MAC_CTX_free(c);
}
END_TEST

Suite *bs_suite_tls_mac(void)
{
	Suite *s = suite_create("tls_mac");
	TCase *tc = tcase_create("hmac");

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_loop_test(tc, what_comes_out_is_as_of_openssl, 0, (int)BS_LEN(rows));
	tcase_add_test(tc, another_digest_takes_over);
	tcase_add_test(tc, without_key_or_digest_or_room_there_is_nothing);
	suite_add_tcase(s, tc);
	return s;
}
