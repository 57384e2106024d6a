/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/err.h>

#include "net/tls.h"
#include "pki.h"
#include "test.h"

#define LIFE 3600

static struct pki *pki;
static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/** What the hooks say and saw. */
struct world {
	uint64_t now;
	bool revoked;
	unsigned checks;
	uint64_t epoch;
};

static void make_pki(void)
{
	pki = pki_new();
}

static void drop_pki(void)
{
	pki_free(pki);
}

static uint64_t clock_of(void *ctx)
{
	return ((struct world *)ctx)->now;
}

static int check(void *ctx, struct bs_tls_peer *peer)
{
	struct world *w = ctx;

	w->checks++;
	peer->access_epoch = w->epoch;
	return w->revoked ? BS_EPERM : BS_OK;
}

static struct bs_tls_server *server(struct world *w, struct bs_tls_pem *pem,
				    struct bs_tls_keys *keys)
{
	const struct bs_tls_hooks hooks = { .ctx = w, .check = check, .clock = clock_of };
	struct bs_tls_server *s = NULL;
	char err[BS_TLS_ERROR_MAX];

	ck_assert_int_eq(bs_tls_server_new(pem, keys, &hooks, 0, &s, err, sizeof(err)), BS_OK);
	return s;
}

/** One session; the ticket it left (the caller frees it) and whether it was a resumption. */
static SSL_SESSION *session(struct bs_tls_server *s, int version, SSL_SESSION *resume,
			    bool *resumed, struct bs_tls_peer *peer)
{
	const struct pki_client c = {
		.cert = pki->client, .key = pki->client_key, .version = version, .resume = resume
	};
	struct pki_link l;

	pki_link_init(&l, s, &c);
	ck_assert_int_eq(pki_link_run(&l), BS_OK);
	ck_assert_int_eq(l.alert, -1);
	*resumed = bs_tls_peer_get(l.srv)->resumed;
	ck_assert_int_eq(*resumed, SSL_session_reused(l.cli));
	if (peer)
		*peer = *bs_tls_peer_get(l.srv);
	SSL_SESSION *t = l.ticket ? l.ticket : SSL_get1_session(l.cli);

	l.ticket = NULL;
	SSL_shutdown(l.cli);
	pki_link_fini(&l);
	return t;
}

/** A server, a first session, a change of the world, and what the second session was. */
struct round {
	struct world w;
	struct bs_tls_pem *pem;
	struct bs_tls_keys *keys;
	struct bs_tls_server *s;
	SSL_SESSION *ticket;
	struct bs_tls_peer first;
};

static void round_init(struct round *r, int version, uint32_t life)
{
	bool resumed;

	memset(r, 0, sizeof(*r));
	r->w.now = PKI_NOW;
	r->pem = pki_pem(pki, NULL, life);
	ck_assert_int_eq(bs_tls_keys_rotate(NULL, &r->keys), BS_OK);
	r->s = server(&r->w, r->pem, r->keys);
	r->ticket = session(r->s, version, NULL, &resumed, &r->first);
	ck_assert(!resumed);
	ck_assert_uint_eq(r->w.checks, 1);
}

static bool round_again(struct round *r, int version, struct bs_tls_peer *peer)
{
	bool resumed;
	SSL_SESSION *t = session(r->s, version, r->ticket, &resumed, peer);

	SSL_SESSION_free(r->ticket);
	r->ticket = t;
	return resumed;
}

static void round_fini(struct round *r)
{
	SSL_SESSION_free(r->ticket);
	bs_tls_server_free(r->s);
	bs_tls_keys_unref(r->keys);
	bs_tls_pem_unref(r->pem);
}

START_TEST(a_resumption_brings_back_what_was_proved)
{
	struct round r;
	struct bs_tls_peer second;

	round_init(&r, versions[_i], LIFE);
	r.w.now += 100;
	r.w.epoch = 7;
	ck_assert(round_again(&r, versions[_i], &second));
	ck_assert_uint_eq(bs_tls_server_stats(r.s)->resumed, 1);
	ck_assert_uint_eq(r.w.checks, 2);
	ck_assert_str_eq(second.identity, "ann@example.org");
	ck_assert_mem_eq(second.cert_hash, r.first.cert_hash, BS_TLS_HASH_LEN);
	ck_assert_mem_eq(second.key_fp, r.first.key_fp, BS_TLS_HASH_LEN);
	ck_assert_mem_eq(second.ca_fp, r.first.ca_fp, BS_TLS_HASH_LEN);
	ck_assert_uint_eq(second.proved_s, PKI_NOW);
	ck_assert_uint_eq(second.access_epoch, 7);
	ck_assert(round_again(&r, versions[_i], NULL));
	round_fini(&r);
}
END_TEST

START_TEST(resumptions_do_not_prolong_the_proof)
{
	struct round r;

	round_init(&r, versions[_i], LIFE);
	r.w.now += LIFE - 10;
	ck_assert(round_again(&r, versions[_i], NULL));
	/* The newest ticket is 20 s old, the proof is older than LIFE. */
	r.w.now += 20;
	ck_assert(!round_again(&r, versions[_i], NULL));
	ck_assert_uint_eq(bs_tls_server_stats(r.s)->ticket_ignored, 1);
	ck_assert_uint_eq(bs_tls_server_stats(r.s)->full, 2);
	round_fini(&r);
}
END_TEST

START_TEST(a_clock_before_the_proof_is_not_trusted)
{
	struct round r;

	round_init(&r, versions[_i], LIFE);
	r.w.now -= 10;
	ck_assert(!round_again(&r, versions[_i], NULL));
	round_fini(&r);
}
END_TEST

/** The client is refused in the full handshake that follows: no loop, one alert. */
START_TEST(a_revoked_client_does_not_resume)
{
	struct round r;
	const struct pki_client c = { .cert = pki->client,
				      .key = pki->client_key,
				      .version = versions[_i] };
	struct pki_client again = c;
	struct pki_link l;

	round_init(&r, versions[_i], LIFE);
	r.w.revoked = true;
	again.resume = r.ticket;
	pki_link_init(&l, r.s, &again);
	ck_assert_int_eq(pki_link_run(&l), BS_EAUTH);
	ck_assert_int_eq(bs_tls_refusal(l.srv), BS_TLS_REFUSED_REVOKED);
	ck_assert_uint_eq(bs_tls_server_stats(r.s)->ticket_ignored, 1);
	(void)pki_link_run(&l);
	ck_assert_int_eq(l.alert, SSL_AD_CERTIFICATE_REVOKED);
	pki_link_fini(&l);
	round_fini(&r);
}
END_TEST

START_TEST(an_expired_certificate_does_not_resume)
{
	struct round r;
	X509 *x = pki_issue(pki->client_key, pki->ca, pki->ca_key,
			    &(struct pki_opts){ .cn = "ann", .to = 50 });
	X509 *keep = pki->client;

	pki->client = x;
	round_init(&r, versions[_i], LIFE);
	ck_assert_uint_eq(r.first.not_after_s, PKI_NOW + 50);
	r.w.now += 49;
	ck_assert(round_again(&r, versions[_i], NULL));
	pki->client = keep;
	r.w.now += 2;
	/* The full handshake runs with a certificate that is still good. */
	ck_assert(!round_again(&r, versions[_i], NULL));
	X509_free(x);
	round_fini(&r);
}
END_TEST

START_TEST(a_new_crl_means_a_full_handshake)
{
	struct round r;
	X509_CRL *crl = pki_crl(pki->ca, pki->ca_key, NULL, 0, PKI_DAY);

	round_init(&r, versions[_i], LIFE);
	bs_tls_server_free(r.s);
	bs_tls_pem_unref(r.pem);
	r.pem = pki_pem(pki, crl, LIFE);
	r.s = server(&r.w, r.pem, r.keys);
	ck_assert(!round_again(&r, versions[_i], NULL));
	ck_assert(round_again(&r, versions[_i], NULL));
	X509_CRL_free(crl);
	round_fini(&r);
}
END_TEST

START_TEST(a_ticket_works_on_another_worker)
{
	struct round r;

	round_init(&r, versions[_i], LIFE);
	bs_tls_server_free(r.s);
	r.s = server(&r.w, r.pem, r.keys);
	ck_assert(round_again(&r, versions[_i], NULL));
	round_fini(&r);
}
END_TEST

START_TEST(an_old_key_opens_until_it_is_rotated_out)
{
	struct round r;

	round_init(&r, versions[_i], LIFE);
	SSL_SESSION *old = r.ticket;

	for (int i = 0; i < BS_TLS_TICKET_KEYS; i++) {
		struct bs_tls_keys *next;
		bool resumed;

		ck_assert_int_eq(bs_tls_keys_rotate(r.keys, &next), BS_OK);
		bs_tls_server_set_keys(r.s, next);
		bs_tls_keys_unref(r.keys);
		r.keys = next;
		/* A copy: the client retires a session for which it got a new ticket. */
		SSL_SESSION *copy = SSL_SESSION_dup(old);
		SSL_SESSION *t = session(r.s, versions[_i], copy, &resumed, NULL);

		ck_assert_int_eq(resumed, i < BS_TLS_TICKET_KEYS - 1);
		SSL_SESSION_free(t);
		SSL_SESSION_free(copy);
	}
	round_fini(&r);
}
END_TEST

START_TEST(keys_of_another_server_open_nothing)
{
	struct round r;

	round_init(&r, versions[_i], LIFE);
	bs_tls_keys_unref(r.keys);
	ck_assert_int_eq(bs_tls_keys_rotate(NULL, &r.keys), BS_OK);
	bs_tls_server_set_keys(r.s, r.keys);
	ck_assert(!round_again(&r, versions[_i], NULL));
	round_fini(&r);
}
END_TEST

START_TEST(without_a_lifetime_nothing_is_resumed)
{
	struct round r;

	round_init(&r, versions[_i], 0);
	ck_assert(!round_again(&r, versions[_i], NULL));
	round_fini(&r);
}
END_TEST

START_TEST(a_ticket_carries_no_certificate)
{
	struct round r;
	const unsigned char *p;
	size_t len;

	round_init(&r, versions[_i], LIFE);
	SSL_SESSION_get0_ticket(r.ticket, &p, &len);
	ck_assert_ptr_nonnull(p);
	/* Sealed it is not there to be found, but with it a ticket would be twice as long. */
	ck_assert_uint_lt(len, 256u + (size_t)i2d_X509(pki->client, NULL));
	ck_assert(round_again(&r, versions[_i], NULL));
	SSL_SESSION_get0_ticket(r.ticket, &p, &len);
	ck_assert_uint_lt(len, 256u + (size_t)i2d_X509(pki->client, NULL));
	round_fini(&r);
}
END_TEST

Suite *bs_suite_tls_ticket(void)
{
	Suite *s = suite_create("tls_ticket");
	TCase *tc = tcase_create("ticket");

	tcase_add_unchecked_fixture(tc, make_pki, drop_pki);
	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, a_resumption_brings_back_what_was_proved, 0, 2);
	tcase_add_loop_test(tc, resumptions_do_not_prolong_the_proof, 0, 2);
	tcase_add_loop_test(tc, a_clock_before_the_proof_is_not_trusted, 0, 2);
	tcase_add_loop_test(tc, a_revoked_client_does_not_resume, 0, 2);
	tcase_add_loop_test(tc, an_expired_certificate_does_not_resume, 0, 2);
	tcase_add_loop_test(tc, a_new_crl_means_a_full_handshake, 0, 2);
	tcase_add_loop_test(tc, a_ticket_works_on_another_worker, 0, 2);
	tcase_add_loop_test(tc, an_old_key_opens_until_it_is_rotated_out, 0, 2);
	tcase_add_loop_test(tc, keys_of_another_server_open_nothing, 0, 2);
	tcase_add_loop_test(tc, without_a_lifetime_nothing_is_resumed, 0, 2);
	tcase_add_loop_test(tc, a_ticket_carries_no_certificate, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}
