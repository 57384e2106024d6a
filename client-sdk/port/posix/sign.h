/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign.h - a private key that signs by callback, made from the public key of its certificate.
 *
 * The POSIX port: sockets, clock, name service (c-ares) and TLS (OpenSSL) round the machine of
 * ../../src.  Thread: the session's.  May call: its SDK, the C library, c-ares, OpenSSL and
 * crypto's OpenSSL backend.  OpenSSL types stay inside the .c files.
 */
#ifndef BS_CLIENT_POSIX_SIGN_H
#define BS_CLIENT_POSIX_SIGN_H

#include "basestation/client.h"

struct evp_pkey_st;
struct bsc__signer;

/**
 * A signer for the key whose public half is pub (borrowed).  NULL: no memory, or a kind of key
 * that is neither RSA nor ECDSA.
 */
struct bsc__signer *bsc__signer_new(struct evp_pkey_st *pub, bsc_sign_fn sign, void *arg);
/** Free it after everything that uses its key; NULL is fine. */
void bsc__signer_free(struct bsc__signer *s);
/** The key for OpenSSL; borrowed. */
struct evp_pkey_st *bsc__signer_key(struct bsc__signer *s);
/** Whether the callback failed since the last call of this, with what; BS_OK when not. */
int bsc__signer_take_error(struct bsc__signer *s);

#endif
