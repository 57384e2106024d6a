/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/err.h>
#include <openssl/evp.h>

#include "net/tls_internal.h"
#include "pki.h"
#include "test.h"

static struct pki *pki;
static struct bs_tls_pem *pem;
static struct bs_tls_keys *keys;

static void start(void)
{
	pki = pki_new_today();
	pem = pki_pem(pki, NULL, 3600);
	ck_assert_int_eq(bs_tls_keys_rotate(NULL, &keys), BS_OK);
}

static void stop(void)
{
	bs_tls_keys_unref(keys);
	bs_tls_pem_unref(pem);
	pki_free(pki);
}

static struct bs_tls_server *server(void)
{
	char err[BS_TLS_ERROR_MAX];
	struct bs_tls_server *s = NULL;

	ck_assert_msg(bs_tls_server_new(pem, keys, NULL, 0, &s, err, sizeof(err)) == BS_OK, "%s",
		      err);
	return s;
}

static void link_to(struct pki_link *l, struct bs_tls_server *s, int version)
{
	const struct pki_client c = { .cert = pki->client,
				      .key = pki->client_key,
				      .version = version };

	pki_link_init(l, s, &c);
}

/** The server's part of a key agreement, as the client got it. */
struct share {
	size_t len;
	uint8_t bytes[128];
};

static struct share agree(struct pki_link *l)
{
	struct share sh;
	unsigned char *half = NULL;
	EVP_PKEY *k = NULL;

	ck_assert_int_eq(pki_link_run(l), BS_OK);
	ck_assert_int_eq(SSL_get_peer_tmp_key(l->cli, &k), 1);
	sh.len = EVP_PKEY_get1_encoded_public_key(k, &half);
	ck_assert_uint_gt(sh.len, 0);
	ck_assert_uint_le(sh.len, sizeof(sh.bytes));
	memcpy(sh.bytes, half, sh.len);
	OPENSSL_free(half);
	EVP_PKEY_free(k);
	pki_link_fini(l);
	return sh;
}

static struct share one(struct bs_tls_server *s, int version)
{
	struct pki_link l;

	link_to(&l, s, version);
	return agree(&l);
}

static bool same(struct share a, struct share b)
{
	return a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

START_TEST(handshakes_of_a_tick_share_a_pair_and_those_of_the_next_do_not)
{
	struct bs_tls_server *s = server();
	struct share a, b;

	bs_tls_server_tick(s);
	a = one(s, TLS1_3_VERSION);
	ck_assert_uint_eq(a.len, 32);
	ck_assert(same(a, one(s, TLS1_3_VERSION)));
	ck_assert(same(a, one(s, TLS1_3_VERSION)));
	bs_tls_server_tick(s);
	b = one(s, TLS1_3_VERSION);
	ck_assert(!same(a, b));
	ck_assert(same(b, one(s, TLS1_3_VERSION)));
	bs_tls_server_free(s);
}
END_TEST

/** It needs the private half until the client answers. */
START_TEST(tls12_shares_nothing)
{
	struct bs_tls_server *s = server();
	struct share a, b;

	bs_tls_server_tick(s);
	a = one(s, TLS1_2_VERSION);
	b = one(s, TLS1_3_VERSION);
	ck_assert_uint_eq(a.len, 32);
	ck_assert(!same(a, b));
	ck_assert(!same(a, one(s, TLS1_2_VERSION)));
	ck_assert(same(b, one(s, TLS1_3_VERSION)));
	bs_tls_server_free(s);
}
END_TEST

static size_t private_half(struct pki_link *l)
{
	EVP_PKEY *k = NULL;
	uint8_t half[32];
	size_t len = sizeof(half);

	ck_assert_int_eq(SSL_get_tmp_key(l->srv->ssl, &k), 1);
	len = EVP_PKEY_get_raw_private_key(k, half, &len) == 1 ? len : 0;
	EVP_PKEY_free(k);
	ERR_clear_error();
	return len;
}

/** Shared or not: a session that is up holds nothing of its key agreement, nor does the server. */
START_TEST(the_private_half_is_gone_when_it_is_not_needed_any_more)
{
	struct bs_tls_server *s = server();
	struct pki_link l[2];
	char byte;

	if (_i)
		bs_tls_server_tick(s);
	for (int i = 0; i < 2; i++) {
		link_to(&l[i], s, TLS1_3_VERSION);
		(void)SSL_do_handshake(l[i].cli);
		ck_assert_int_eq(bs_tls_handshake(l[i].srv), BS_EAGAIN);
		ck_assert_uint_eq(private_half(&l[i]), 0);
	}
	ck_assert_int_eq(s->lib.pair != NULL, _i);
	bs_tls_server_tick(s);
	ck_assert_ptr_null(s->lib.pair);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pki_link_run(&l[i]), BS_OK);
		ck_assert_uint_eq(private_half(&l[i]), 0);
		ck_assert_int_eq(bs_tls_write(l[i].srv, (const uint8_t *)"x", 1), 1);
		ck_assert_int_eq(SSL_read(l[i].cli, &byte, 1), 1);
		pki_link_fini(&l[i]);
	}
	bs_tls_server_free(s);
}
END_TEST

START_TEST(without_ticks_nothing_is_shared)
{
	struct bs_tls_server *s = server();

	ck_assert(!same(one(s, versions[_i]), one(s, versions[_i])));
	bs_tls_server_free(s);
}
END_TEST

START_TEST(workers_have_pairs_of_their_own)
{
	struct bs_tls_server *s = server(), *other = server();

	bs_tls_server_tick(s);
	bs_tls_server_tick(other);
	ck_assert(!same(one(s, TLS1_3_VERSION), one(other, TLS1_3_VERSION)));
	bs_tls_server_free(s);
	bs_tls_server_free(other);
}
END_TEST

START_TEST(other_groups_are_not_shared)
{
	struct bs_tls_server *s = server();
	struct pki_link l[2];
	struct share sh[2];

	bs_tls_server_tick(s);
	for (int i = 0; i < 2; i++) {
		link_to(&l[i], s, versions[_i]);
		ck_assert_int_eq(SSL_set1_groups_list(l[i].cli, "P-256"), 1);
		sh[i] = agree(&l[i]);
		ck_assert_uint_eq(sh[i].len, 65);
	}
	ck_assert(!same(sh[0], sh[1]));
	bs_tls_server_free(s);
}
END_TEST

START_TEST(nothing_is_shared_once_nobody_ticks)
{
	struct bs_tls_server *s = server();
	struct pki_link l[3];
	struct share sh[3];

	bs_tls_server_tick(s);
	for (int i = 0; i < 3; i++)
		link_to(&l[i], s, TLS1_3_VERSION);
	(void)SSL_do_handshake(l[0].cli);
	ck_assert_int_eq(bs_tls_handshake(l[0].srv), BS_EAGAIN);
	/* Other certificates came: what began goes on. */
	bs_tls_server_free(s);
	for (int i = 0; i < 3; i++)
		sh[i] = agree(&l[i]);
	ck_assert(!same(sh[0], sh[1]));
	ck_assert(!same(sh[0], sh[2]));
	ck_assert(!same(sh[1], sh[2]));
}
END_TEST

Suite *bs_suite_tls_share(void)
{
	Suite *s = suite_create("tls_share");
	TCase *tc = tcase_create("share");

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, handshakes_of_a_tick_share_a_pair_and_those_of_the_next_do_not);
	tcase_add_test(tc, tls12_shares_nothing);
	tcase_add_loop_test(tc, the_private_half_is_gone_when_it_is_not_needed_any_more, 0, 2);
	tcase_add_loop_test(tc, without_ticks_nothing_is_shared, 0, 2);
	tcase_add_test(tc, workers_have_pairs_of_their_own);
	tcase_add_loop_test(tc, other_groups_are_not_shared, 0, 2);
	tcase_add_test(tc, nothing_is_shared_once_nobody_ticks);
	suite_add_tcase(s, tc);
	return s;
}
