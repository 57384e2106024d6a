/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secure.h - TLS as a client of the gate speaks it, without waiting, and without more checks than a
 * client makes.
 *
 * All links share one certificate and the newest session, so that a resumed handshake needs no
 * table; the server's certificate is verified in every full handshake, as clients do.
 *
 * Owner: the generator's thread.  Uses OpenSSL, which allocates.
 */
#ifndef BS_TOOLS_BSLOAD_SECURE_H
#define BS_TOOLS_BSLOAD_SECURE_H

#include "basestation/error.h"
#include "basestation/types.h"

/** What all links have in common. */
struct secure_conf {
	const char *name; /**< in the server's certificate */
	const char *ca;   /**< files, PEM */
	const char *cert;
	const char *key;
	const char *tls;  /**< "1.2", "1.3", or "any" */
	const char *alpn; /**< "-" = none */
	bool resume;
};

struct secure;

/** One connection. */
struct secure_link {
	void *ssl;
};

/** NULL after a message on standard error. */
struct secure *secure_new(const struct secure_conf *conf);
void secure_free(struct secure *s);
/** Whether there is a session to resume. */
bool secure_has_session(const struct secure *s);

/** Begin on a connected descriptor.  BS_OK or BS_ENOMEM. */
BS_MUSTCHECK int secure_open(struct secure *s, struct secure_link *l, int fd);
/** Go on: BS_OK when it is done, BS_EAGAIN, or BS_EAUTH. */
BS_MUSTCHECK int secure_handshake(struct secure_link *l);
/** Whether a done handshake resumed a session. */
bool secure_is_resumed(const struct secure_link *l);
/** Bytes read, BS_EAGAIN, or BS_ECLOSED at the end, whether orderly or not. */
BS_MUSTCHECK bs_ssize secure_read(struct secure_link *l, uint8_t *buf, size_t cap);
/** BS_OK, or BS_EIO: not all could be written, the link is of no more use. */
BS_MUSTCHECK int secure_write(struct secure_link *l, const uint8_t *buf, size_t len);
/** Say that nothing more will come. */
void secure_shut(struct secure_link *l);
/** Forget; the descriptor stays open. */
void secure_close(struct secure_link *l);
/** What went wrong last, for people; overwritten by the next failure. */
const char *secure_why(const struct secure *s);

#endif
