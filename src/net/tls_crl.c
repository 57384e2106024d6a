/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_crl.c - CRLs: their signatures are verified once, what they list is looked up every time.
 *
 * OpenSSL verifies the signature of a CRL for every certificate that it checks against it, which
 * is an RSA operation for an answer that cannot change: CRL and CA set belong to a context and are
 * never touched again.  So its check runs as it is until it has found a CRL good, and after that
 * only where its result could be another one.
 */
#include "net/tls_internal.h"

#include <openssl/x509v3.h>
#include <stdlib.h>

/** The slot that OpenSSL leaves to the application in every object (CRYPTO_get_ex_new_index(3)). */
#define APP_SLOT 0

/** The certificate that the chain itself offers as signer of the CRL under check. */
static X509 *issuer_in_chain(X509_STORE_CTX *x)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(x);
	int at = X509_STORE_CTX_get_error_depth(x) + 1;

	return at < sk_X509_num(chain) ? sk_X509_value(chain, at) : NULL;
}

/** Whether the context itself holds the certificate: then its address is its name. */
static bool is_ours(const struct bs_tls_server *s, const X509 *issuer)
{
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(s->ctx));

	for (int i = 0; i < sk_X509_OBJECT_num(all); i++)
		if (X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i)) == issuer)
			return true;
	return false;
}

/**
 * Whether the outcome depends on CRL and signer alone.  A CRL that restricts its scope or adds to
 * another one may be right for one certificate and wrong for the next.
 */
static bool is_plain(X509_CRL *crl)
{
	return X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) < 0 &&
	       X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) < 0;
}

static bool is_known(const struct bs_tls_server *s, const X509_CRL *crl, const X509 *issuer)
{
	for (size_t i = 0; i < s->n_good_crl; i++)
		if (s->good_crl[i].crl == crl && s->good_crl[i].issuer == issuer)
			return true;
	return false;
}

/** In place of OpenSSL's: the same, but for what is known. */
static int check_crl(X509_STORE_CTX *x, X509_CRL *crl)
{
	/* Not by way of the session: OpenSSL also checks chains of its own, of a CRL's signer. */
	struct bs_tls_server *s = X509_STORE_get_ex_data(X509_STORE_CTX_get0_store(x), APP_SLOT);
	const X509 *issuer = X509_STORE_CTX_get0_current_issuer(x);

	/* Signed by somebody beside the chain: OpenSSL then has that way to check, too. */
	if (!issuer || issuer != issuer_in_chain(x))
		return s->check_crl(x, crl);
	if (is_known(s, crl, issuer))
		return 1;
	int ok = s->check_crl(x, crl);

	/* The age of a CRL is tolerated in any case (tls.h), so it need not be looked at again. */
	if (ok == 1 && s->n_good_crl < s->n_crls && is_plain(crl) && is_ours(s, issuer))
		s->good_crl[s->n_good_crl++] = (struct bs__tls_good_crl){ crl, issuer };
	return ok;
}

int bs__tls_crls_init(struct bs_tls_server *s)
{
	X509_STORE *store = SSL_CTX_get_cert_store(s->ctx);
	X509_STORE_CTX *probe;
	int err = BS_OK;

	if (s->n_crls == 0)
		return BS_OK;
	s->good_crl = calloc(s->n_crls, sizeof(*s->good_crl));
	probe = X509_STORE_CTX_new_ex(s->lib.tls, NULL);
	if (!s->good_crl || !probe || X509_STORE_CTX_init(probe, store, NULL, NULL) != 1)
		err = BS_ENOMEM;
	else
		s->check_crl = X509_STORE_CTX_get_check_crl(probe);
	X509_STORE_CTX_free(probe);
	if (err == BS_OK && s->check_crl && X509_STORE_set_ex_data(store, APP_SLOT, s) == 1)
		X509_STORE_set_check_crl(store, check_crl);
	return err;
}
