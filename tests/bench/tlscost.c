/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlscost.c - where the user time of a TLS server goes: a library that is loaded before OpenSSL
 * (LD_PRELOAD) and times the calls that libssl and the server make into libcrypto.
 *
 * So what is split is the real server under its real load, with whatever it fetched, cached and
 * duplicated.  A call inside another one belongs to the outer one.  Sums stand in the file that
 * TLSCOST names, which bench_tls.py reads; what is not listed below is its remainder.
 *
 * Any thread of the server.  Allocates: no.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/** No call takes so long, a private-key operation of RSA-4096 included: the thread was not on a
 *  processor all the time.  Such a call is counted apart, and stands for an average one. */
#define TOO_LONG_NS 2500000
/** Empty calls that show what the timing itself costs. */
#define TRIALS 10000

/* What bench_tls.py calls them, in this order. */
enum part {
	SIGN,
	VERIFY,
	DECODE,
	EXCHANGE,
	KEYS,
	RECORD,
	TICKET,
	CLOCK,
	PARTS
};

struct sum {
	_Atomic uint64_t ns, calls, long_calls;
};

/* One for the process, as the calls that it times are; in private memory until the file is open. */
static struct sum nowhere[PARTS];
static struct sum *sums = nowhere;
static _Thread_local unsigned depth;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t enter(void)
{
	return depth++ ? 0 : now_ns();
}

static void leave(enum part p, uint64_t since)
{
	uint64_t took;

	depth--;
	if (since == 0)
		return;
	took = now_ns() - since;
	if (took > TOO_LONG_NS) {
		atomic_fetch_add_explicit(&sums[p].long_calls, 1, memory_order_relaxed);
		return;
	}
	atomic_fetch_add_explicit(&sums[p].ns, took, memory_order_relaxed);
	atomic_fetch_add_explicit(&sums[p].calls, 1, memory_order_relaxed);
}

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("TLSCOST");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = fd < 0 ? MAP_FAILED
			 : mmap(NULL, sizeof(nowhere), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t since = now_ns();

	if (fd >= 0)
		close(fd);
	if (p == MAP_FAILED)
		return;
	/* Pages and caches first, then the price of a call. */
	for (int i = 0; i < 2; i++) {
		since = now_ns();
		for (int n = 0; n < TRIALS; n++)
			leave(CLOCK, enter());
		since = now_ns() - since;
	}
	sums = p;
	atomic_store(&sums[CLOCK].ns, since);
	atomic_store(&sums[CLOCK].calls, TRIALS);
}

/** A function of libcrypto, timed as part of something; what stands for which is chosen by when. */
#define TIMED(when, ret, name, params, args)                                                       \
 ret name params                                                                                   \
 {                                                                                                 \
  static ret(*_Atomic real) params;                                                                \
  ret(*call) params = atomic_load_explicit(&real, memory_order_acquire);                           \
  uint64_t since;                                                                                  \
  ret r;                                                                                           \
                                                                                                   \
  if (!call) {                                                                                     \
   *(void **)&call = dlsym(RTLD_NEXT, #name);                                                      \
   atomic_store_explicit(&real, call, memory_order_release);                                       \
  }                                                                                                \
  since = enter();                                                                                 \
  r = call args;                                                                                   \
  leave(when, since);                                                                              \
  return r;                                                                                        \
 }

/* The binder of a ticket is signed with an HMAC key: that is no signature.  Its size tells, and
 * costs nothing to ask. */
#define SIGN_OR_MAC(key) (EVP_PKEY_get_size(key) > EVP_MAX_MD_SIZE ? SIGN : KEYS)

TIMED(SIGN, int, EVP_DigestSign,
      (EVP_MD_CTX * c, unsigned char *s, size_t *n, const unsigned char *m, size_t len),
      (c, s, n, m, len))
TIMED(SIGN_OR_MAC(k), int, EVP_DigestSignInit_ex,
      (EVP_MD_CTX * c, EVP_PKEY_CTX **pc, const char *md, OSSL_LIB_CTX *lib, const char *props,
       EVP_PKEY *k, const OSSL_PARAM p[]),
      (c, pc, md, lib, props, k, p))

TIMED(VERIFY, int, X509_verify_cert, (X509_STORE_CTX * c), (c))
TIMED(VERIFY, int, EVP_DigestVerifyInit_ex,
      (EVP_MD_CTX * c, EVP_PKEY_CTX **pc, const char *md, OSSL_LIB_CTX *lib, const char *props,
       EVP_PKEY *k, const OSSL_PARAM p[]),
      (c, pc, md, lib, props, k, p))
TIMED(VERIFY, int, EVP_DigestVerify,
      (EVP_MD_CTX * c, const unsigned char *s, size_t n, const unsigned char *m, size_t len),
      (c, s, n, m, len))

TIMED(DECODE, X509 *, d2i_X509, (X509 * *x, const unsigned char **in, long len), (x, in, len))
TIMED(DECODE, EVP_PKEY *, X509_get0_pubkey, (const X509 *x), (x))
TIMED(DECODE, EVP_PKEY *, X509_get_pubkey, (X509 * x), (x))
TIMED(DECODE, void *, X509_get_ext_d2i, (const X509 *x, int nid, int *crit, int *idx),
      (x, nid, crit, idx))
TIMED(DECODE, int, i2d_X509, (const X509 *x, unsigned char **out), (x, out))
TIMED(DECODE, int, i2d_X509_PUBKEY, (const X509_PUBKEY *x, unsigned char **out), (x, out))
TIMED(DECODE, ASN1_VALUE *, ASN1_item_d2i,
      (ASN1_VALUE * *v, const unsigned char **in, long len, const ASN1_ITEM *it), (v, in, len, it))
TIMED(DECODE, int, ASN1_item_i2d, (const ASN1_VALUE *v, unsigned char **out, const ASN1_ITEM *it),
      (v, out, it))

TIMED(EXCHANGE, int, EVP_PKEY_keygen_init, (EVP_PKEY_CTX * c), (c))
TIMED(EXCHANGE, int, EVP_PKEY_keygen, (EVP_PKEY_CTX * c, EVP_PKEY **k), (c, k))
TIMED(EXCHANGE, int, EVP_PKEY_paramgen, (EVP_PKEY_CTX * c, EVP_PKEY **k), (c, k))
TIMED(EXCHANGE, int, EVP_PKEY_copy_parameters, (EVP_PKEY * to, const EVP_PKEY *from), (to, from))
TIMED(EXCHANGE, int, EVP_PKEY_set1_encoded_public_key,
      (EVP_PKEY * k, const unsigned char *pub, size_t len), (k, pub, len))
TIMED(EXCHANGE, size_t, EVP_PKEY_get1_encoded_public_key, (EVP_PKEY * k, unsigned char **pub),
      (k, pub))
TIMED(EXCHANGE, int, EVP_PKEY_derive_init, (EVP_PKEY_CTX * c), (c))
TIMED(EXCHANGE, int, EVP_PKEY_derive_set_peer, (EVP_PKEY_CTX * c, EVP_PKEY *peer), (c, peer))
TIMED(EXCHANGE, int, EVP_PKEY_derive, (EVP_PKEY_CTX * c, unsigned char *s, size_t *len),
      (c, s, len))

TIMED(KEYS, int, EVP_KDF_derive,
      (EVP_KDF_CTX * c, unsigned char *out, size_t len, const OSSL_PARAM p[]), (c, out, len, p))
TIMED(KEYS, int, EVP_DigestInit_ex, (EVP_MD_CTX * c, const EVP_MD *md, ENGINE *e), (c, md, e))
TIMED(KEYS, int, EVP_DigestUpdate, (EVP_MD_CTX * c, const void *d, size_t len), (c, d, len))
TIMED(KEYS, int, EVP_DigestFinal_ex, (EVP_MD_CTX * c, unsigned char *md, unsigned *len),
      (c, md, len))
TIMED(KEYS, int, EVP_Digest,
      (const void *d, size_t n, unsigned char *md, unsigned *len, const EVP_MD *type, ENGINE *e),
      (d, n, md, len, type, e))
TIMED(KEYS, int, EVP_MD_CTX_copy_ex, (EVP_MD_CTX * to, const EVP_MD_CTX *from), (to, from))
TIMED(KEYS, unsigned char *, EVP_Q_mac,
      (OSSL_LIB_CTX * lib, const char *name, const char *props, const char *sub,
       const OSSL_PARAM *p, const void *key, size_t key_len, const unsigned char *d, size_t len,
       unsigned char *out, size_t cap, size_t *out_len),
      (lib, name, props, sub, p, key, key_len, d, len, out, cap, out_len))
TIMED(KEYS, EVP_PKEY *, EVP_PKEY_new_raw_private_key_ex,
      (OSSL_LIB_CTX * lib, const char *type, const char *props, const unsigned char *key,
       size_t len),
      (lib, type, props, key, len))
TIMED(KEYS, int, EVP_DigestSignUpdate, (EVP_MD_CTX * c, const void *d, size_t len), (c, d, len))
TIMED(KEYS, int, EVP_DigestSignFinal, (EVP_MD_CTX * c, unsigned char *s, size_t *len), (c, s, len))

TIMED(RECORD, int, EVP_CipherInit_ex,
      (EVP_CIPHER_CTX * c, const EVP_CIPHER *type, ENGINE *e, const unsigned char *key,
       const unsigned char *iv, int enc),
      (c, type, e, key, iv, enc))
TIMED(RECORD, int, EVP_CipherUpdate,
      (EVP_CIPHER_CTX * c, unsigned char *out, int *out_len, const unsigned char *in, int len),
      (c, out, out_len, in, len))
TIMED(RECORD, int, EVP_CipherFinal_ex, (EVP_CIPHER_CTX * c, unsigned char *out, int *len),
      (c, out, len))
TIMED(RECORD, int, EVP_Cipher,
      (EVP_CIPHER_CTX * c, unsigned char *out, const unsigned char *in, unsigned len),
      (c, out, in, len))
TIMED(RECORD, int, EVP_CIPHER_CTX_ctrl, (EVP_CIPHER_CTX * c, int type, int arg, void *p),
      (c, type, arg, p))

TIMED(TICKET, int, EVP_EncryptInit_ex,
      (EVP_CIPHER_CTX * c, const EVP_CIPHER *type, ENGINE *e, const unsigned char *key,
       const unsigned char *iv),
      (c, type, e, key, iv))
TIMED(TICKET, int, EVP_EncryptUpdate,
      (EVP_CIPHER_CTX * c, unsigned char *out, int *out_len, const unsigned char *in, int len),
      (c, out, out_len, in, len))
TIMED(TICKET, int, EVP_EncryptFinal, (EVP_CIPHER_CTX * c, unsigned char *out, int *len),
      (c, out, len))
TIMED(TICKET, int, EVP_DecryptInit_ex,
      (EVP_CIPHER_CTX * c, const EVP_CIPHER *type, ENGINE *e, const unsigned char *key,
       const unsigned char *iv),
      (c, type, e, key, iv))
TIMED(TICKET, int, EVP_DecryptUpdate,
      (EVP_CIPHER_CTX * c, unsigned char *out, int *out_len, const unsigned char *in, int len),
      (c, out, out_len, in, len))
TIMED(TICKET, int, EVP_DecryptFinal, (EVP_CIPHER_CTX * c, unsigned char *out, int *len),
      (c, out, len))
TIMED(TICKET, int, EVP_MAC_init,
      (EVP_MAC_CTX * c, const unsigned char *key, size_t len, const OSSL_PARAM p[]),
      (c, key, len, p))
TIMED(TICKET, int, EVP_MAC_update, (EVP_MAC_CTX * c, const unsigned char *d, size_t len),
      (c, d, len))
TIMED(TICKET, int, EVP_MAC_final, (EVP_MAC_CTX * c, unsigned char *out, size_t *len, size_t cap),
      (c, out, len, cap))
