/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_internal.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Where a message goes. */
struct errbuf {
	char *p;
	size_t cap;
};

/** "part: what is wrong", with OpenSSL's reason behind it when there is one. */
static int fail(const struct errbuf *e, const char *part, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	if (e->cap > 0)
		snprintf(e->p, e->cap, "%s: %s%s%s%s", part, what, reason ? " (" : "",
			 reason ? reason : "", reason ? ")" : "");
	ERR_clear_error();
	return BS_ECONF;
}

int bs__tls_no_password(char *buf, int size, int rwflag, void *u)
{
	return 0;
}

static int copy_text(struct bs__pem_text *t, const struct bs_slice *parts, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += parts[i].len + 1;
	t->p = malloc(len + 1);
	if (!t->p)
		return BS_ENOMEM;
	t->len = 0;
	for (size_t i = 0; i < n; i++) {
		if (parts[i].len > 0)
			memcpy(t->p + t->len, parts[i].ptr, parts[i].len);
		t->len += parts[i].len;
		/* A file without a final newline must not glue two PEM blocks together. */
		t->p[t->len++] = '\n';
	}
	t->p[t->len] = '\0';
	return BS_OK;
}

static void free_text(struct bs__pem_text *t)
{
	if (t->p)
		OPENSSL_cleanse(t->p, t->len);
	free(t->p);
	t->p = NULL;
}

X509 *bs__tls_next_cert(BIO *b, OSSL_LIB_CTX *lib, bool *bad)
{
	X509 *room = X509_new_ex(lib, NULL);
	X509 *x = room ? PEM_read_bio_X509(b, &room, bs__tls_no_password, NULL) : NULL;

	if (!x) {
		X509_free(room);

		unsigned long code = ERR_peek_last_error();

		*bad = !(ERR_GET_LIB(code) == ERR_LIB_PEM &&
			 ERR_GET_REASON(code) == PEM_R_NO_START_LINE);
		if (!*bad)
			ERR_clear_error();
	}
	return x;
}

/** Append DER certificates to a bundle, as PEM. */
static int append_ders(struct bs__pem_text *t, const struct bs_slice *der, size_t n,
		       const struct errbuf *e)
{
	BIO *b = BIO_new(BIO_s_mem());
	int err = b && BIO_write(b, t->p, (int)t->len) == (int)t->len ? BS_OK : BS_ENOMEM;
	char *data;

	for (size_t i = 0; err == BS_OK && i < n; i++) {
		const unsigned char *p = der[i].ptr;
		X509 *x = d2i_X509(NULL, &p, (long)der[i].len);

		if (!x || p != der[i].ptr + der[i].len)
			err = fail(e, "client CA", "a certificate of the registry is not readable");
		else if (PEM_write_bio_X509(b, x) != 1)
			err = BS_ENOMEM;
		X509_free(x);
	}
	if (err == BS_OK) {
		long len = BIO_get_mem_data(b, &data);
		const struct bs_slice all = { (const uint8_t *)data, (size_t)len };

		free_text(t);
		err = copy_text(t, &all, 1);
	}
	BIO_free(b);
	return err;
}

/** One server certificate and its key: readable, fitting, of the type, strong enough. */
static int check_pair(struct bs_tls_pem *p, const struct bs__pem_text *cert,
		      const struct bs__pem_text *key, int type, const char *part,
		      const struct errbuf *e)
{
	BIO *cb = BIO_new_mem_buf(cert->p, (int)cert->len);
	BIO *kb = BIO_new_mem_buf(key->p, (int)key->len);
	EVP_PKEY *k = NULL;
	X509 *x = NULL;
	bool bad = false;
	int err = BS_OK;

	ERR_clear_error();
	if (!cb || !kb) {
		err = BS_ENOMEM;
		goto out;
	}
	x = bs__tls_next_cert(cb, NULL, &bad);
	if (!x) {
		err = fail(e, part, "no certificate in PEM form");
		goto out;
	}
	k = PEM_read_bio_PrivateKey(kb, NULL, bs__tls_no_password, NULL);
	if (!k) {
		err = fail(e, part, "no private key in PEM form without a pass phrase");
		goto out;
	}
	if (EVP_PKEY_get_base_id(k) != type) {
		err = fail(e, part,
			   type == EVP_PKEY_RSA ? "the key is not RSA" : "the key is not ECDSA");
		goto out;
	}
	if (type == EVP_PKEY_RSA && EVP_PKEY_get_bits(k) < 2048) {
		err = fail(e, part, "the RSA key is shorter than 2048 bits");
		goto out;
	}
	if (X509_check_private_key(x, k) != 1) {
		err = fail(e, part, "certificate and private key do not belong together");
		goto out;
	}
	uint64_t expiry = bs__tls_time(X509_get0_notAfter(x));

	if (p->cert_expiry_s == 0 || expiry < p->cert_expiry_s)
		p->cert_expiry_s = expiry;
out:
	X509_free(x);
	EVP_PKEY_free(k);
	BIO_free(cb);
	BIO_free(kb);
	return err;
}

static int check_cas(struct bs_tls_pem *p, EVP_MD_CTX *md, const struct errbuf *e)
{
	BIO *b = BIO_new_mem_buf(p->cas.p, (int)p->cas.len);
	bool bad = false;
	int err = BS_OK;
	X509 *x;

	if (!b)
		return BS_ENOMEM;
	while (err == BS_OK && (x = bs__tls_next_cert(b, NULL, &bad))) {
		uint8_t fp[BS_TLS_HASH_LEN];

		if (X509_check_ca(x) == 0)
			err = fail(e, "client CA", "a certificate of the bundle is not a CA");
		else if (bs__tls_cert_fp(x, fp) != BS_OK ||
			 EVP_DigestUpdate(md, fp, sizeof(fp)) != 1)
			err = BS_ECRYPTO;
		p->n_cas++;
		X509_free(x);
	}
	if (err == BS_OK && bad)
		err = fail(e, "client CA", "a certificate of the bundle is not readable");
	BIO_free(b);
	return err;
}

static int check_crls(struct bs_tls_pem *p, const struct errbuf *e)
{
	BIO *b = BIO_new_mem_buf(p->crls.p, (int)p->crls.len);
	X509_CRL *crl;
	int err = BS_OK;

	if (!b)
		return BS_ENOMEM;
	while ((crl = PEM_read_bio_X509_CRL(b, NULL, bs__tls_no_password, NULL))) {
		const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
		uint64_t t = next ? bs__tls_time(next) : 0;

		if (t > 0 && (p->crl_expiry_s == 0 || t < p->crl_expiry_s))
			p->crl_expiry_s = t;
		X509_CRL_free(crl);
	}
	unsigned long code = ERR_peek_last_error();

	if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE)
		ERR_clear_error();
	else
		err = fail(e, "client CRL", "a CRL is not readable");
	BIO_free(b);
	return err;
}

/** Check everything and compute the epoch: CAs, CRLs, and what else decides about a client. */
static int check(struct bs_tls_pem *p, const struct errbuf *e)
{
	const uint32_t limits[] = { p->rsa_min_bits, p->tls_min };
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int err = check_pair(p, &p->cert, &p->key, EVP_PKEY_RSA, "server certificate", e);

	if (err == BS_OK && p->cert2.p)
		err = check_pair(p, &p->cert2, &p->key2, EVP_PKEY_EC, "ECDSA server certificate",
				 e);
	if (err == BS_OK && (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1))
		err = BS_ENOMEM;
	if (err == BS_OK)
		err = check_cas(p, md, e);
	if (err == BS_OK)
		err = check_crls(p, e);
	if (err == BS_OK && (EVP_DigestUpdate(md, p->crls.p, p->crls.len) != 1 ||
			     EVP_DigestUpdate(md, limits, sizeof(limits)) != 1 ||
			     EVP_DigestFinal_ex(md, p->epoch, NULL) != 1))
		err = BS_ECRYPTO;
	EVP_MD_CTX_free(md);
	return err;
}

int bs_tls_pem_new(const struct bs_tls_material *m, struct bs_tls_pem **out, char *err_text,
		   size_t err_cap)
{
	const struct errbuf e = { err_text, err_cap };
	struct bs_tls_pem *p = calloc(1, sizeof(*p));

	if (!p)
		return BS_ENOMEM;
	atomic_init(&p->refs, 1);
	p->rsa_min_bits = m->rsa_min_bits;
	p->ticket_life_s = m->ticket_life_s;
	p->tls_min = m->tls_min;
	int err = copy_text(&p->cert, &m->cert, 1);

	if (err == BS_OK)
		err = copy_text(&p->key, &m->key, 1);
	if (err == BS_OK && m->cert2.len > 0)
		err = copy_text(&p->cert2, &m->cert2, 1);
	if (err == BS_OK && m->cert2.len > 0)
		err = copy_text(&p->key2, &m->key2, 1);
	if (err == BS_OK)
		err = copy_text(&p->cas, m->cas, m->n_cas);
	if (err == BS_OK && m->n_ca_ders > 0)
		err = append_ders(&p->cas, m->ca_ders, m->n_ca_ders, &e);
	if (err == BS_OK)
		err = copy_text(&p->crls, m->crls, m->n_crls);
	if (err == BS_OK)
		err = check(p, &e);
	if (err != BS_OK) {
		if (err != BS_ECONF && err_cap > 0)
			snprintf(err_text, err_cap, "certificates: %s", bs_strerror(err));
		bs_tls_pem_unref(p);
		return err;
	}
	*out = p;
	return BS_OK;
}

struct bs_tls_pem *bs_tls_pem_ref(struct bs_tls_pem *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void bs_tls_pem_unref(struct bs_tls_pem *p)
{
	/* acq_rel: the last one to leave must see what every other did with the snapshot. */
	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	free_text(&p->cert);
	free_text(&p->key);
	free_text(&p->cert2);
	free_text(&p->key2);
	free_text(&p->cas);
	free_text(&p->crls);
	free(p);
}

uint64_t bs_tls_pem_crl_expiry(const struct bs_tls_pem *p)
{
	return p->crl_expiry_s;
}

uint64_t bs_tls_pem_cert_expiry(const struct bs_tls_pem *p)
{
	return p->cert_expiry_s;
}

const uint8_t *bs_tls_pem_epoch(const struct bs_tls_pem *p)
{
	return p->epoch;
}

size_t bs_tls_pem_n_cas(const struct bs_tls_pem *p)
{
	return p->n_cas;
}

struct bs_tls_keys *bs_tls_keys_new(const uint8_t *raw, size_t n)
{
	struct bs_tls_keys *k;

	if (n == 0 || n > BS_TLS_TICKET_KEYS)
		return NULL;
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	atomic_init(&k->refs, 1);
	k->n = n;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *r = raw + i * BS_TLS_TICKET_KEY_LEN;

		memcpy(k->key[i].name, r, sizeof(k->key[i].name));
		memcpy(k->key[i].aes, r + 16, sizeof(k->key[i].aes));
		memcpy(k->key[i].mac, r + 48, sizeof(k->key[i].mac));
	}
	return k;
}

size_t bs_tls_keys_raw(const struct bs_tls_keys *k,
		       uint8_t raw[static BS_TLS_TICKET_KEYS * BS_TLS_TICKET_KEY_LEN])
{
	for (size_t i = 0; i < k->n; i++) {
		uint8_t *r = raw + i * BS_TLS_TICKET_KEY_LEN;

		memcpy(r, k->key[i].name, sizeof(k->key[i].name));
		memcpy(r + 16, k->key[i].aes, sizeof(k->key[i].aes));
		memcpy(r + 48, k->key[i].mac, sizeof(k->key[i].mac));
	}
	return k->n;
}

struct bs_tls_keys *bs_tls_keys_ref(struct bs_tls_keys *k)
{
	atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
	return k;
}

void bs_tls_keys_unref(struct bs_tls_keys *k)
{
	if (!k || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
		return;
	OPENSSL_cleanse(k->key, sizeof(k->key));
	free(k);
}

int bs_tls_keys_rotate(const struct bs_tls_keys *old, struct bs_tls_keys **out)
{
	uint8_t raw[BS_TLS_TICKET_KEY_LEN];

	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return BS_ERANDOM;
	struct bs_tls_keys *k = bs_tls_keys_new(raw, 1);

	OPENSSL_cleanse(raw, sizeof(raw));
	if (!k)
		return BS_ENOMEM;
	for (size_t i = 0; old && i < old->n && k->n < BS_TLS_TICKET_KEYS; i++)
		k->key[k->n++] = old->key[i];
	*out = k;
	return BS_OK;
}
