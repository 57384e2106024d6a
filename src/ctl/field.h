/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field.h - the checks of names, fingerprints and secrets as people write them: on a command line,
 * in a row of an import, in a request.  One place, so that all three say the same.
 *
 * Owner thread: any.  Allocates: no.
 */
#ifndef BS_CTL_FIELD_H
#define BS_CTL_FIELD_H

#include "basestation/error.h"
#include "basestation/types.h"

/** Longest tag or group name. */
#define BS_FIELD_TAG_MAX 32
/** Tags that one device, groups that one client may have. */
#define BS_FIELD_TAGS_MAX 16
/** Longest pattern over device ids. */
#define BS_FIELD_PATTERN_MAX 64
/** Room for the longest text form of any value here, with terminator. */
#define BS_FIELD_CAP 160

/*
 * Each takes [len] bytes of text that need no terminator, writes the normal form with terminator to
 * out and returns NULL; or a static text that says what is wrong (out is then undefined).
 */

/** Device id: 1..40 of a-z 0-9 - .  Upper case is refused: an id is case sensitive on the wire, and
 *  no device announces one with it. */
const char *bs_field_device(const char *s, size_t len, char out[static BS_DEVICE_ID_MAX + 1]);
/** Client identity: 1..64 bytes of 0x21..0x7E, lower-cased. */
const char *bs_field_identity(const char *s, size_t len, char out[static BS_CLIENT_ID_MAX + 1]);
/** Tag or group: 1..32 of letters, digits and - _ . : @ */
const char *bs_field_tag(const char *s, size_t len, char out[static BS_FIELD_TAG_MAX + 1]);
/** Device pattern: 1..64 of an id's characters and * ? */
const char *bs_field_pattern(const char *s, size_t len, char out[static BS_FIELD_PATTERN_MAX + 1]);
/** At most cap bytes as hex digits in any case, colons between bytes allowed; *n says how many. */
const char *bs_field_hex_any(const char *s, size_t len, uint8_t *out, size_t cap, size_t *n);
/** Exactly n bytes in that form. */
const char *bs_field_hex(const char *s, size_t len, uint8_t *out, size_t n);
/** A device secret: 32 hex digits or the base64 form of 16 bytes, with or without padding. */
const char *bs_field_secret(const char *s, size_t len, uint8_t out[static BS_PSK_LEN]);

/** [n] bytes as lower-case hex into out[2 * n + 1]. */
void bs_field_put_hex(const uint8_t *p, size_t n, char *out);

/** Who an access rule speaks of. */
enum bs_field_who {
	BS_SUBJECT_ANYBODY,  /**< "*" */
	BS_SUBJECT_IDENTITY, /**< NAME, from any CA */
	BS_SUBJECT_KEY,      /**< key:HEX, SHA-256 of the public key */
	BS_SUBJECT_GROUP,    /**< group:NAME */
};

/** A rule's subject: [CA-HEX/]NAME, key:HEX, group:NAME or *. */
struct bs_field_subject {
	enum bs_field_who who;
	bool has_ca;                     /**< the name counts only under this CA */
	uint8_t ca[32];                  /**< SHA-256 of the CA certificate */
	uint8_t key[32];                 /**< BS_SUBJECT_KEY */
	char name[BS_CLIENT_ID_MAX + 1]; /**< identity or group, "" where none */
};

/** Which devices an access rule speaks of. */
enum bs_field_what {
	BS_OBJECT_ANY,     /**< "*" */
	BS_OBJECT_DEVICE,  /**< ID */
	BS_OBJECT_PATTERN, /**< text with * or ? */
	BS_OBJECT_TAG,     /**< tag:NAME */
};

/** A rule's object. */
struct bs_field_object {
	enum bs_field_what what;
	char name[BS_FIELD_PATTERN_MAX + 1]; /**< id, pattern or tag */
};

/** NULL, or what is wrong. */
const char *bs_field_subject(const char *s, size_t len, struct bs_field_subject *out);
/** NULL, or what is wrong. */
const char *bs_field_object(const char *s, size_t len, struct bs_field_object *out);
/** The text form, that parses again; out[BS_FIELD_CAP]. */
void bs_field_put_subject(const struct bs_field_subject *v, char out[static BS_FIELD_CAP]);
void bs_field_put_object(const struct bs_field_object *v, char out[static BS_FIELD_CAP]);

#endif
