/* SPDX-License-Identifier: Apache-2.0 */
/* cert.h - what certificates say: identity and fingerprint of ours, what is wrong with theirs. */
#ifndef BS_CLIENT_POSIX_CERT_H
#define BS_CLIENT_POSIX_CERT_H

#include "basestation/client.h"

struct x509_st;

/** SHA-256 of the SubjectPublicKeyInfo; false when OpenSSL cannot. */
bool bsc__cert_key_fp(struct x509_st *cert, uint8_t fp[32]);
/**
 * Identity (basestation-wire(7), CLIENT IDENTITY): exactly one rfc822Name, else exactly one common
 * name; 1..64 bytes of 0x21..0x7E; ASCII letters lowered.  "" when there is none.
 */
void bsc__cert_identity(struct x509_st *cert, char out[BS_CLIENT_ID_MAX + 1]);
/** Fill *err for a verification result (X509_V_ERR_*) about the server's certificate. */
int bsc__cert_fail(long verify, const char *host, uint16_t port, struct bsc_error *err);

#endif
