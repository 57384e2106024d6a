/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca_cert.h - what bsctl reads out of certificate files: fingerprints and names.
 */
#ifndef BS_TOOLS_BSCTL_CA_CERT_H
#define BS_TOOLS_BSCTL_CA_CERT_H

#include "ctl/protocol.h"

/** SHA-256 over the DER of a CA certificate in PEM.  0 or a status. */
int bs_ca_cert_fp(const char *path, uint8_t out[static 32], struct bs_ctl_error *e);
/** SHA-256 over the SubjectPublicKeyInfo of a certificate in PEM.  0 or a status. */
int bs_ca_key_fp(const char *path, uint8_t out[static 32], struct bs_ctl_error *e);
/** DER of a CA certificate as hex (caller frees) and its common name.  NULL with e filled. */
char *bs_ca_cert_hex(const char *path, char *name, size_t cap, struct bs_ctl_error *e);

#endif
