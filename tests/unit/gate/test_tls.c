/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include "pki.h"
#include "test.h"

static struct pki *pki;

static void make_pki(void)
{
	pki = pki_new();
}

static void drop_pki(void)
{
	pki_free(pki);
}

static uint64_t day(void *ctx)
{
	return PKI_NOW;
}

static int revoke_all(void *ctx, struct bs_tls_peer *peer)
{
	return BS_EPERM;
}

/** A server context on PKI_NOW. */
static struct bs_tls_server *server(struct bs_tls_pem *pem, bs_tls_check_fn check)
{
	const struct bs_tls_hooks hooks = { .check = check, .clock = day };
	struct bs_tls_keys *keys = NULL;
	struct bs_tls_server *s = NULL;
	char err[BS_TLS_ERROR_MAX] = "";

	ck_assert_int_eq(bs_tls_keys_rotate(NULL, &keys), BS_OK);
	ck_assert_msg(bs_tls_server_new(pem, keys, &hooks, 16, &s, err, sizeof(err)) == BS_OK, "%s",
		      err);
	bs_tls_keys_unref(keys);
	return s;
}

/** One handshake with a PEM snapshot of the default kind; what the server made of it. */
static enum bs_tls_refusal attempt_with(struct bs_tls_pem *pem, const struct pki_client *c,
					bs_tls_check_fn check, int *alert)
{
	struct bs_tls_server *s = server(pem, check);
	struct pki_link l;

	pki_link_init(&l, s, c);
	int err = pki_link_run(&l);
	enum bs_tls_refusal why = bs_tls_refusal(l.srv);

	ck_assert_msg((err == BS_OK) == (why == BS_TLS_REFUSED_NONE), "%d %s", err,
		      bs_tls_refusal_text(why));
	if (err != BS_OK) {
		uint8_t byte;

		ck_assert_uint_eq(bs_tls_server_stats(s)->refused[why], 1);
		ck_assert_int_eq(bs_tls_read(l.srv, &byte, 1), BS_ECLOSED);
		ck_assert_int_eq(bs_tls_write(l.srv, &byte, 1), BS_ECLOSED);
	}
	if (alert) {
		/* The alert may still lie in the pipe. */
		(void)pki_link_run(&l);
		*alert = l.alert;
	}
	pki_link_fini(&l);
	bs_tls_server_free(s);
	return why;
}

static enum bs_tls_refusal attempt(const struct pki_client *c, int *alert)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 3600);
	enum bs_tls_refusal why = attempt_with(pem, c, NULL, alert);

	bs_tls_pem_unref(pem);
	return why;
}

/** A client whose certificate says what o says, signed by the trusted CA. */
static enum bs_tls_refusal attempt_cert(EVP_PKEY *key, const struct pki_opts *o)
{
	X509 *x = pki_issue(key, pki->ca, pki->ca_key, o);
	const struct pki_client c = { .cert = x, .key = key };
	enum bs_tls_refusal why = attempt(&c, NULL);

	X509_free(x);
	return why;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

START_TEST(a_good_client_talks_both_ways)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 3600);
	struct bs_tls_server *s = server(pem, NULL);
	const struct pki_client c = { .cert = pki->client,
				      .key = pki->client_key,
				      .version = versions[_i] };
	struct pki_link l;
	uint8_t buf[64];

	pki_link_init(&l, s, &c);
	ck_assert_int_eq(pki_link_run(&l), BS_OK);
	ck_assert_str_eq(bs_tls_version(l.srv), _i ? "TLSv1.3" : "TLSv1.2");
	ck_assert_str_eq(bs_tls_peer_get(l.srv)->identity, "ann@example.org");
	ck_assert_uint_eq(bs_tls_peer_get(l.srv)->not_after_s, PKI_NOW + 365 * PKI_DAY);
	ck_assert_uint_eq(bs_tls_peer_get(l.srv)->proved_s, PKI_NOW);
	ck_assert(!bs_tls_peer_get(l.srv)->resumed);
	ck_assert_uint_eq(bs_tls_server_stats(s)->full, 1);
	/* A client of TLS 1.2 waits for all of it, one of 1.3 for all but the ticket. */
	ck_assert_uint_eq(l.unhurried, _i);
	ck_assert_uint_eq(l.hurried, _i ? 1 : 2);

	ck_assert_int_eq(bs_tls_read(l.srv, buf, sizeof(buf)), BS_EAGAIN);
	ck_assert_int_eq(SSL_write(l.cli, "question", 8), 8);
	ck_assert_int_eq(bs_tls_read(l.srv, buf, 3), 3);
	ck_assert(bs_tls_has_pending(l.srv));
	ck_assert_int_eq(bs_tls_read(l.srv, buf + 3, sizeof(buf) - 3), 5);
	ck_assert_mem_eq(buf, "question", 8);
	ck_assert(!bs_tls_has_pending(l.srv));
	ck_assert_int_eq(bs_tls_write(l.srv, (const uint8_t *)"answer", 6), 6);
	ck_assert_int_eq(SSL_read(l.cli, buf, sizeof(buf)), 6);
	ck_assert_mem_eq(buf, "answer", 6);
	ck_assert_uint_eq(l.unhurried, _i);

	bs_tls_close(l.srv);
	ck_assert_int_eq(SSL_read(l.cli, buf, sizeof(buf)), 0);
	ck_assert_int_eq(SSL_get_shutdown(l.cli) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	pki_link_fini(&l);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
}
END_TEST

/** New keys without end carry no data: one read must not follow them all. */
START_TEST(a_flood_of_key_updates_does_not_hold_the_reader)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 3600);
	struct bs_tls_server *s = server(pem, NULL);
	const struct pki_client c = { .cert = pki->client,
				      .key = pki->client_key,
				      .version = TLS1_3_VERSION };
	struct pki_link l;
	uint8_t buf[64];
	int reads = 0;
	bs_ssize n;

	pki_link_init(&l, s, &c);
	ck_assert_int_eq(pki_link_run(&l), BS_OK);
	for (int i = 0; i < 2000; i++) {
		ck_assert_int_eq(SSL_key_update(l.cli, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		ck_assert_int_eq(SSL_do_handshake(l.cli), 1);
	}
	ck_assert_int_eq(SSL_write(l.cli, "question", 8), 8);
	do {
		n = bs_tls_read(l.srv, buf, sizeof(buf));
		reads++;
	} while (n == BS_EAGAIN && reads < 2000);
	ck_assert_int_eq(n, 8);
	ck_assert_int_gt(reads, 2);
	pki_link_fini(&l);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
}
END_TEST

START_TEST(the_end_of_the_client_is_seen)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 3600);
	struct bs_tls_server *s = server(pem, NULL);
	const struct pki_client c = { .cert = pki->client, .key = pki->client_key };
	struct pki_link l;
	uint8_t byte;

	pki_link_init(&l, s, &c);
	ck_assert_int_eq(pki_link_run(&l), BS_OK);
	SSL_shutdown(l.cli);
	ck_assert_int_eq(bs_tls_read(l.srv, &byte, 1), BS_ECLOSED);
	pki_link_fini(&l);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
}
END_TEST

START_TEST(a_record_that_was_changed_ends_the_session)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 3600);
	struct bs_tls_server *s = server(pem, NULL);
	const struct pki_client c = { .cert = pki->client, .key = pki->client_key };
	struct pki_link l;
	uint8_t byte;
	char *data;

	pki_link_init(&l, s, &c);
	ck_assert_int_eq(pki_link_run(&l), BS_OK);
	ck_assert_int_eq(SSL_write(l.cli, "question", 8), 8);
	long len = BIO_get_mem_data(SSL_get_wbio(l.cli), &data);

	data[len - 1] ^= 1;
	ck_assert_int_eq(bs_tls_read(l.srv, &byte, 1), BS_EPROTO);
	ck_assert_int_eq(bs_tls_read(l.srv, &byte, 1), BS_ECLOSED);
	bs_tls_close(l.srv);
	pki_link_fini(&l);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
}
END_TEST

START_TEST(an_ecdsa_client_is_accepted)
{
	ck_assert_int_eq(attempt_cert(pki->ec_key, &(struct pki_opts){ .cn = "ann" }),
			 BS_TLS_REFUSED_NONE);
}
END_TEST

START_TEST(a_client_without_certificate_is_refused)
{
	const struct pki_client c = { .version = versions[_i] };
	int alert;

	ck_assert_int_eq(attempt(&c, &alert), BS_TLS_REFUSED_NO_CERT);
	ck_assert_int_eq(alert, _i ? SSL_AD_CERTIFICATE_REQUIRED : SSL_AD_HANDSHAKE_FAILURE);
}
END_TEST

START_TEST(a_certificate_of_another_ca_is_refused)
{
	X509 *x = pki_issue(pki->client_key, pki->other_ca, pki->other_key,
			    &(struct pki_opts){ .cn = "ann" });
	const struct pki_client c = { .cert = x, .key = pki->client_key, .version = versions[_i] };
	int alert;

	ck_assert_int_eq(attempt(&c, &alert), BS_TLS_REFUSED_UNTRUSTED);
	ck_assert_int_eq(alert, SSL_AD_UNKNOWN_CA);
	X509_free(x);
}
END_TEST

START_TEST(a_name_of_our_ca_without_its_key_is_refused)
{
	X509 *fake = pki_issue(pki->other_key, NULL, pki->other_key,
			       &(struct pki_opts){ .cn = "Test CA", .ca = true });
	X509 *x =
		pki_issue(pki->client_key, fake, pki->other_key, &(struct pki_opts){ .cn = "ann" });
	const struct pki_client c = { .cert = x, .key = pki->client_key, .extra = fake };

	ck_assert_int_eq(attempt(&c, NULL), BS_TLS_REFUSED_UNTRUSTED);
	X509_free(x);
	X509_free(fake);
}
END_TEST

START_TEST(a_self_signed_certificate_is_refused)
{
	X509 *x =
		pki_issue(pki->client_key, NULL, pki->client_key, &(struct pki_opts){ .cn = "a" });
	const struct pki_client c = { .cert = x, .key = pki->client_key };

	ck_assert_int_eq(attempt(&c, NULL), BS_TLS_REFUSED_UNTRUSTED);
	X509_free(x);
}
END_TEST

START_TEST(a_client_may_not_sign_for_others)
{
	/* The client's own certificate, which is no CA, as issuer of another one. */
	X509 *x = pki_issue(pki->ec_key, pki->client, pki->client_key,
			    &(struct pki_opts){ .cn = "a" });
	const struct pki_client c = { .cert = x, .key = pki->ec_key, .extra = pki->client };

	ck_assert_int_ne(attempt(&c, NULL), BS_TLS_REFUSED_NONE);
	X509_free(x);
}
END_TEST

START_TEST(an_intermediate_ca_is_followed)
{
	X509 *mid = pki_issue(pki->other_key, pki->ca, pki->ca_key,
			      &(struct pki_opts){ .cn = "Mid CA", .ca = true });
	X509 *x =
		pki_issue(pki->client_key, mid, pki->other_key, &(struct pki_opts){ .cn = "ann" });
	const struct pki_client with = { .cert = x, .key = pki->client_key, .extra = mid };
	const struct pki_client without = { .cert = x, .key = pki->client_key };

	ck_assert_int_eq(attempt(&with, NULL), BS_TLS_REFUSED_NONE);
	ck_assert_int_eq(attempt(&without, NULL), BS_TLS_REFUSED_UNTRUSTED);
	X509_free(x);
	X509_free(mid);
}
END_TEST

START_TEST(validity_is_checked_to_the_second)
{
	static const struct {
		int64_t from, to;
		enum bs_tls_refusal want;
	} rows[] = {
		{ -PKI_DAY, -1, BS_TLS_REFUSED_EXPIRED },
		{ -PKI_DAY, 1, BS_TLS_REFUSED_NONE },
		{ 1, PKI_DAY, BS_TLS_REFUSED_NOT_YET },
		{ -1, PKI_DAY, BS_TLS_REFUSED_NONE },
	};

	ck_assert_int_eq(attempt_cert(pki->client_key, &(struct pki_opts){ .cn = "ann",
									   .from = rows[_i].from,
									   .to = rows[_i].to }),
			 rows[_i].want);
}
END_TEST

START_TEST(weak_and_strange_keys_are_refused)
{
	ck_assert_int_eq(attempt_cert(pki->weak_key, &(struct pki_opts){ .cn = "ann" }),
			 BS_TLS_REFUSED_WEAK_KEY);
	ck_assert_int_eq(attempt_cert(pki->ed_key, &(struct pki_opts){ .cn = "ann" }),
			 BS_TLS_REFUSED_KEY_TYPE);
}
END_TEST

START_TEST(rsa_min_bits_is_obeyed)
{
	struct bs_tls_pem *pem;
	char *cert = pki_pem_cert(pki->server);
	char *key = pki_pem_key(pki->server_key);
	char *ca = pki_pem_cert(pki->ca);
	struct bs_slice cas = pki_text(ca);
	const struct bs_tls_material m = { .cert = pki_text(cert),
					   .key = pki_text(key),
					   .cas = &cas,
					   .n_cas = 1,
					   .rsa_min_bits = 3072,
					   .tls_min = TLS1_2_VERSION };
	const struct pki_client c = { .cert = pki->client, .key = pki->client_key };
	char err[BS_TLS_ERROR_MAX];

	ck_assert_int_eq(bs_tls_pem_new(&m, &pem, err, sizeof(err)), BS_OK);
	ck_assert_int_eq(attempt_with(pem, &c, NULL, NULL), BS_TLS_REFUSED_WEAK_KEY);
	bs_tls_pem_unref(pem);
	free(cert);
	free(key);
	free(ca);
}
END_TEST

START_TEST(key_usage_and_purpose_are_checked)
{
	static const struct {
		const char *usage, *eku;
		enum bs_tls_refusal want;
	} rows[] = {
		{ NULL, "clientAuth", BS_TLS_REFUSED_NONE },
		{ NULL, "serverAuth", BS_TLS_REFUSED_KEY_USAGE },
		{ NULL, "serverAuth,clientAuth", BS_TLS_REFUSED_NONE },
		{ "digitalSignature", NULL, BS_TLS_REFUSED_NONE },
		{ "critical,keyEncipherment", NULL, BS_TLS_REFUSED_KEY_USAGE },
		{ "cRLSign", "clientAuth", BS_TLS_REFUSED_KEY_USAGE },
	};

	ck_assert_int_eq(attempt_cert(pki->client_key, &(struct pki_opts){ .cn = "ann",
									   .usage = rows[_i].usage,
									   .eku = rows[_i].eku }),
			 rows[_i].want);
}
END_TEST

START_TEST(alpn_must_be_ours)
{
	static const char *const names[] = { "", "h2", "basestation/2", "basestation/1x" };
	const struct pki_client c = { .cert = pki->client,
				      .key = pki->client_key,
				      .alpn = names[_i] };
	int alert;

	ck_assert_int_eq(attempt(&c, &alert), BS_TLS_REFUSED_ALPN);
	ck_assert_int_eq(alert, SSL_AD_NO_APPLICATION_PROTOCOL);
}
END_TEST

START_TEST(old_tls_is_refused)
{
	const struct pki_client c = { .cert = pki->client,
				      .key = pki->client_key,
				      .version = TLS1_1_VERSION };
	int alert;

	ck_assert_int_eq(attempt(&c, &alert), BS_TLS_REFUSED_VERSION);
	ck_assert_int_eq(alert, SSL_AD_PROTOCOL_VERSION);
}
END_TEST

START_TEST(a_serial_in_the_crl_is_refused)
{
	const long serials[] = { 7, 1000 };
	X509_CRL *crl = pki_crl(pki->ca, pki->ca_key, serials, 2, PKI_DAY);
	struct bs_tls_pem *pem = pki_pem(pki, crl, 3600);
	const struct pki_client bad = { .cert = pki->client, .key = pki->client_key };
	X509 *x = pki_issue(pki->client_key, pki->ca, pki->ca_key,
			    &(struct pki_opts){ .cn = "ann", .serial = 1001 });
	const struct pki_client good = { .cert = x, .key = pki->client_key };
	int alert;

	ck_assert_uint_eq(bs_tls_pem_crl_expiry(pem), PKI_NOW + PKI_DAY);
	ck_assert_int_eq(attempt_with(pem, &bad, NULL, &alert), BS_TLS_REFUSED_REVOKED);
	ck_assert_int_eq(alert, SSL_AD_CERTIFICATE_REVOKED);
	ck_assert_int_eq(attempt_with(pem, &good, NULL, NULL), BS_TLS_REFUSED_NONE);
	X509_free(x);
	bs_tls_pem_unref(pem);
	X509_CRL_free(crl);
}
END_TEST

START_TEST(a_late_crl_stays_in_force_and_locks_nobody_out)
{
	const long serials[] = { 1000 };
	X509_CRL *crl = pki_crl(pki->ca, pki->ca_key, serials, 1, -PKI_DAY);
	struct bs_tls_pem *pem = pki_pem(pki, crl, 3600);
	const struct pki_client bad = { .cert = pki->client, .key = pki->client_key };
	X509 *x = pki_issue(pki->client_key, pki->ca, pki->ca_key,
			    &(struct pki_opts){ .cn = "ann", .serial = 1001 });
	const struct pki_client good = { .cert = x, .key = pki->client_key };

	ck_assert_int_eq(attempt_with(pem, &bad, NULL, NULL), BS_TLS_REFUSED_REVOKED);
	ck_assert_int_eq(attempt_with(pem, &good, NULL, NULL), BS_TLS_REFUSED_NONE);
	X509_free(x);
	bs_tls_pem_unref(pem);
	X509_CRL_free(crl);
}
END_TEST

START_TEST(a_crl_with_a_wrong_signature_refuses_everybody)
{
	/* Right name, wrong key: nobody can tell what is revoked, so nobody gets in. */
	X509 *fake = pki_issue(pki->other_key, NULL, pki->other_key,
			       &(struct pki_opts){ .cn = "Test CA", .ca = true });
	X509_CRL *crl = pki_crl(fake, pki->other_key, NULL, 0, PKI_DAY);
	struct bs_tls_pem *pem = pki_pem(pki, crl, 3600);
	const struct pki_client c = { .cert = pki->client, .key = pki->client_key };

	ck_assert_int_eq(attempt_with(pem, &c, NULL, NULL), BS_TLS_REFUSED_UNTRUSTED);
	bs_tls_pem_unref(pem);
	X509_CRL_free(crl);
	X509_free(fake);
}
END_TEST

START_TEST(the_callers_check_may_refuse)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 3600);
	const struct pki_client c = { .cert = pki->client,
				      .key = pki->client_key,
				      .version = versions[_i] };
	int alert;

	ck_assert_int_eq(attempt_with(pem, &c, revoke_all, &alert), BS_TLS_REFUSED_REVOKED);
	ck_assert_int_eq(alert, SSL_AD_CERTIFICATE_REVOKED);
	bs_tls_pem_unref(pem);
}
END_TEST

START_TEST(a_bad_identity_finishes_the_handshake_and_says_why)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 3600);
	struct bs_tls_server *s = server(pem, NULL);
	X509 *x = pki_issue(pki->client_key, pki->ca, pki->ca_key,
			    &(struct pki_opts){ .email = "a@b", .email2 = "c@d" });
	const struct pki_client c = { .cert = x, .key = pki->client_key };
	struct pki_link l;

	pki_link_init(&l, s, &c);
	ck_assert_int_eq(pki_link_run(&l), BS_OK);
	ck_assert_int_eq(bs_tls_peer_get(l.srv)->id_fault, BS_TLS_ID_MANY_SAN);
	ck_assert_str_eq(bs_tls_peer_get(l.srv)->identity, "");
	pki_link_fini(&l);
	X509_free(x);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
}
END_TEST

START_TEST(a_verified_chain_is_remembered_until_it_expires)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 0);
	struct bs_tls_server *s = server(pem, NULL);
	const struct pki_client c = { .cert = pki->client, .key = pki->client_key };
	uint8_t ca_fp[BS_TLS_HASH_LEN];

	for (int i = 0; i < 3; i++) {
		struct pki_link l;

		pki_link_init(&l, s, &c);
		ck_assert_int_eq(pki_link_run(&l), BS_OK);
		if (i == 0)
			memcpy(ca_fp, bs_tls_peer_get(l.srv)->ca_fp, sizeof(ca_fp));
		else
			ck_assert_mem_eq(bs_tls_peer_get(l.srv)->ca_fp, ca_fp, sizeof(ca_fp));
		ck_assert_str_eq(bs_tls_peer_get(l.srv)->identity, "ann@example.org");
		pki_link_fini(&l);
	}
	ck_assert_uint_eq(bs_tls_server_stats(s)->cache_hits, 2);
	ck_assert_uint_eq(bs_tls_server_stats(s)->full, 3);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
}
END_TEST

START_TEST(the_chain_hash_tells_presentations_apart_and_the_key_hash_does_not)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 0);
	struct bs_tls_server *s = server(pem, NULL);
	X509 *renewed = pki_issue(pki->client_key, pki->ca, pki->ca_key,
				  &(struct pki_opts){ .email = "ann@example.org", .serial = 1002 });
	const struct pki_client a = { .cert = pki->client, .key = pki->client_key };
	const struct pki_client b = { .cert = pki->client,
				      .key = pki->client_key,
				      .extra = pki->ca };
	const struct pki_client c = { .cert = renewed, .key = pki->client_key };
	const struct pki_client *all[] = { &a, &b, &c };
	struct bs_tls_peer peer[3];

	for (int i = 0; i < 3; i++) {
		struct pki_link l;

		pki_link_init(&l, s, all[i]);
		ck_assert_int_eq(pki_link_run(&l), BS_OK);
		peer[i] = *bs_tls_peer_get(l.srv);
		pki_link_fini(&l);
	}
	ck_assert_mem_ne(peer[0].cert_hash, peer[1].cert_hash, BS_TLS_HASH_LEN);
	ck_assert_mem_ne(peer[0].cert_hash, peer[2].cert_hash, BS_TLS_HASH_LEN);
	ck_assert_mem_eq(peer[0].leaf_fp, peer[1].leaf_fp, BS_TLS_HASH_LEN);
	ck_assert_mem_eq(peer[0].key_fp, peer[2].key_fp, BS_TLS_HASH_LEN);
	ck_assert_mem_eq(peer[0].issuer_hash, peer[2].issuer_hash, BS_TLS_HASH_LEN);
	ck_assert_mem_ne(peer[0].serial, peer[2].serial, peer[0].serial_len);
	X509_free(renewed);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
}
END_TEST

/** Bytes that are no TLS at all, cut and whole. */
START_TEST(garbage_never_finishes_a_handshake)
{
	static const char *const rows[] = {
		"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff",
		"\x16\x03\x01\x40\x01",   "\x15\x03\x03",
		"\x80\x2e\x01",           "\x16\x03\x03\x00\x04\x01\xff\xff\xff"
	};
	static const int lens[] = { 18, 5, 5, 3, 3, 9 };
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 0);
	struct bs_tls_server *s = server(pem, NULL);
	const struct pki_client c = { .cert = pki->client, .key = pki->client_key };
	struct pki_link l;

	pki_link_init(&l, s, &c);
	l.client_error = 1; /* it says only what stands here */
	BIO_write(SSL_get_wbio(l.cli), rows[_i], lens[_i]);
	int err = pki_link_run(&l);

	ck_assert_int_ne(err, BS_OK);
	pki_link_fini(&l);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
}
END_TEST

START_TEST(a_session_outlives_the_context_that_made_it)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 3600);
	struct bs_tls_server *s = server(pem, NULL);
	const struct pki_client c = { .cert = pki->client, .key = pki->client_key };
	struct pki_link l;
	uint8_t buf[8];

	pki_link_init(&l, s, &c);
	bs_tls_pem_unref(pem);
	bs_tls_server_free(s);
	ck_assert_int_eq(pki_link_run(&l), BS_OK);
	ck_assert_int_eq(SSL_write(l.cli, "x", 1), 1);
	ck_assert_int_eq(bs_tls_read(l.srv, buf, sizeof(buf)), 1);
	pki_link_fini(&l);
}
END_TEST

START_TEST(every_refusal_has_a_text)
{
	for (int i = 0; i < BS_TLS_REFUSED_N; i++)
		ck_assert(strlen(bs_tls_refusal_text(i)) > 5);
	ck_assert_str_eq(bs_tls_refusal_text(BS_TLS_REFUSED_N), "unknown refusal");
	ck_assert_str_eq(bs_tls_refusal_text(-1), "unknown refusal");
}
END_TEST

static void add_acceptance(TCase *tc)
{
	tcase_add_loop_test(tc, a_good_client_talks_both_ways, 0, 2);
	tcase_add_test(tc, a_flood_of_key_updates_does_not_hold_the_reader);
	tcase_add_test(tc, the_end_of_the_client_is_seen);
	tcase_add_test(tc, a_record_that_was_changed_ends_the_session);
	tcase_add_test(tc, an_ecdsa_client_is_accepted);
	tcase_add_test(tc, an_intermediate_ca_is_followed);
	tcase_add_test(tc, a_bad_identity_finishes_the_handshake_and_says_why);
	tcase_add_test(tc, a_verified_chain_is_remembered_until_it_expires);
	tcase_add_test(tc, the_chain_hash_tells_presentations_apart_and_the_key_hash_does_not);
	tcase_add_test(tc, a_session_outlives_the_context_that_made_it);
}

static void add_refusals(TCase *tc)
{
	tcase_add_loop_test(tc, a_client_without_certificate_is_refused, 0, 2);
	tcase_add_loop_test(tc, a_certificate_of_another_ca_is_refused, 0, 2);
	tcase_add_test(tc, a_name_of_our_ca_without_its_key_is_refused);
	tcase_add_test(tc, a_self_signed_certificate_is_refused);
	tcase_add_test(tc, a_client_may_not_sign_for_others);
	tcase_add_loop_test(tc, validity_is_checked_to_the_second, 0, 4);
	tcase_add_test(tc, weak_and_strange_keys_are_refused);
	tcase_add_test(tc, rsa_min_bits_is_obeyed);
	tcase_add_loop_test(tc, key_usage_and_purpose_are_checked, 0, 6);
	tcase_add_loop_test(tc, alpn_must_be_ours, 0, 4);
	tcase_add_test(tc, old_tls_is_refused);
	tcase_add_test(tc, a_serial_in_the_crl_is_refused);
	tcase_add_test(tc, a_late_crl_stays_in_force_and_locks_nobody_out);
	tcase_add_test(tc, a_crl_with_a_wrong_signature_refuses_everybody);
	tcase_add_loop_test(tc, the_callers_check_may_refuse, 0, 2);
	tcase_add_loop_test(tc, garbage_never_finishes_a_handshake, 0, 6);
	tcase_add_test(tc, every_refusal_has_a_text);
}

Suite *bs_suite_tls(void)
{
	Suite *s = suite_create("tls");
	TCase *good = tcase_create("accepted");
	TCase *bad = tcase_create("refused");

	tcase_add_unchecked_fixture(good, make_pki, drop_pki);
	tcase_add_unchecked_fixture(bad, make_pki, drop_pki);
	tcase_set_timeout(good, 30);
	tcase_set_timeout(bad, 30);
	add_acceptance(good);
	add_refusals(bad);
	suite_add_tcase(s, good);
	suite_add_tcase(s, bad);
	return s;
}
