/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - the client's end of TLS over memory: whoever holds the socket feeds it and sends what it
 * gives back, so that no write of OpenSSL's can raise SIGPIPE or block.
 *
 * A context holds certificate, key, trust and the sessions to resume, one per host.  What fails is
 * told apart by code: the server's certificate in nine ways, ours in six.
 */
#ifndef BS_CLIENT_POSIX_TLS_H
#define BS_CLIENT_POSIX_TLS_H

#include "basestation/client.h"

/** Hosts whose TLS session is kept: a redirect chain and the configured one. */
#define BSC__TLS_HOSTS_MAX 4

struct bsc__tls_ctx;
struct bsc__tls;

/** Read the files that cfg names.  BS_OK, BS_ECONF, BS_ENOMEM, BS_ECRYPTO; *err says which. */
BS_MUSTCHECK int bsc__tls_ctx_new(const struct bsc_config *cfg, struct bsc__tls_ctx **out,
				  struct bsc_error *err);
void bsc__tls_ctx_free(struct bsc__tls_ctx *ctx);
/** Our identity by the rule of basestation-wire(7); "" when the certificate has none. */
const char *bsc__tls_ctx_identity(const struct bsc__tls_ctx *ctx);
/** [32] SHA-256 of our SubjectPublicKeyInfo. */
const uint8_t *bsc__tls_ctx_key_fp(const struct bsc__tls_ctx *ctx);

/** A handshake to host; name is what the certificate must carry.  NULL: no memory. */
struct bsc__tls *bsc__tls_new(struct bsc__tls_ctx *ctx, const char *host, uint16_t port,
			      const char *name);
void bsc__tls_free(struct bsc__tls *t);
/** Bytes from the network.  BS_OK or BS_ENOMEM. */
BS_MUSTCHECK int bsc__tls_feed(struct bsc__tls *t, const uint8_t *data, size_t len);
/** Bytes for the network; 0 when none. */
size_t bsc__tls_take(struct bsc__tls *t, uint8_t *buf, size_t cap);
/** Go on.  BS_OK: done.  BS_EAGAIN: needs bytes.  Else failed, *err says why. */
BS_MUSTCHECK int bsc__tls_handshake(struct bsc__tls *t, struct bsc_error *err);
/** Plain bytes; BS_EAGAIN, BS_ECLOSED (orderly end), or failed with *err. */
BS_MUSTCHECK bs_ssize bsc__tls_read(struct bsc__tls *t, uint8_t *buf, size_t cap,
				    struct bsc_error *err);
/** Encrypt all of data.  BS_OK, or failed with *err. */
BS_MUSTCHECK int bsc__tls_write(struct bsc__tls *t, const uint8_t *data, size_t len,
				struct bsc_error *err);
/** Say goodbye; take what it gives. */
void bsc__tls_close(struct bsc__tls *t);
const char *bsc__tls_version(const struct bsc__tls *t);
const char *bsc__tls_cipher(const struct bsc__tls *t);
bool bsc__tls_resumed(const struct bsc__tls *t);

#endif
