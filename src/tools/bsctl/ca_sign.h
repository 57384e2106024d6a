/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca_sign.h - what a certificate authority signs: its own certificate, those it issues, its CRL.
 * Texts go in and come out in PEM; files and records are the caller's.
 *
 * Every function returns 0 or a status with e filled; texts that come out are freed with
 * bs_ca_text_free(), which wipes them.
 */
#ifndef BS_TOOLS_BSCTL_CA_SIGN_H
#define BS_TOOLS_BSCTL_CA_SIGN_H

#include "ctl/protocol.h"

/** Bits of an RSA key that are accepted. */
#define BS_CA_BITS_MIN 2048u
#define BS_CA_BITS_MAX 8192u
/** Longest validity, days; RFC 5280 ends with the year 9999, people earlier. */
#define BS_CA_DAYS_MAX 36500u
/** Serial number as hex text: 16 random bytes. */
#define BS_CA_SERIAL_CAP 33

struct bs_ca_signer;

/** A certificate that was made. */
struct bs_ca_made {
	char *cert; /**< PEM */
	char *key;  /**< PEM, NULL when a request brought the key */
	char serial[BS_CA_SERIAL_CAP];
	char key_fp[65]; /**< SHA-256 of the public key, hex */
	int64_t not_before;
	int64_t not_after;
};

/** What to issue. */
struct bs_ca_order {
	bool server;
	const char *const *names; /**< client: one identity; server: host names and addresses */
	size_t n_names;
	const char *csr; /**< PEM of a request whose key is to be certified, or NULL */
	size_t csr_len;
	const char *place; /**< file of the request, for messages */
	unsigned days;
	bool days_given; /**< else the validity ends with the CA's at the latest */
	unsigned bits;
};

/** One line of a CRL. */
struct bs_ca_revoked {
	char serial[BS_CA_SERIAL_CAP];
	int64_t when;
	int reason; /**< RFC 5280, 5.3.1 */
};

/** A self-signed CA certificate with a new key. */
int bs_ca_sign_root(const char *name, unsigned days, unsigned bits, struct bs_ca_made *out,
		    struct bs_ctl_error *e);
/** The authority from its texts; key may be NULL for one that only shows. */
int bs_ca_signer_new(const char *cert, size_t cert_len, const char *key, size_t key_len,
		     const char *place, struct bs_ca_signer **out, struct bs_ctl_error *e);
void bs_ca_signer_free(struct bs_ca_signer *s);
/** Its common name, end of validity and the SHA-256 of its certificate as hex. */
void bs_ca_signer_info(const struct bs_ca_signer *s, char *name, size_t cap, int64_t *not_after,
		       char fp[static 65]);
int bs_ca_sign(struct bs_ca_signer *s, const struct bs_ca_order *o, struct bs_ca_made *out,
	       struct bs_ctl_error *e);
/** A CRL that is good for so many days. */
int bs_ca_sign_crl(struct bs_ca_signer *s, const struct bs_ca_revoked *list, size_t n,
		   unsigned days, char **out, struct bs_ctl_error *e);
/** Validity of a CRL in PEM. */
int bs_ca_crl_times(const char *pem, size_t len, int64_t *last, int64_t *next,
		    struct bs_ctl_error *e);
/** Wipe and free; NULL is fine. */
void bs_ca_text_free(char *text);
void bs_ca_made_fini(struct bs_ca_made *m);

#endif
