/* SPDX-License-Identifier: Apache-2.0 */
/*
 * access.h - access rules: which client may reach which device.
 *
 * A rule names who (anybody; an identity; an identity under one CA; a key fingerprint; a group),
 * which device (any; an id; a glob pattern over ids; a tag), a priority and allow or deny.
 *
 * Decision, in this order:
 *   1. a device that is unknown or disabled, a client whose record is disabled or revoked: deny;
 *   2. of all rules that match both sides, those of the highest priority count;
 *   3. among them one deny is a deny, else it is an allow;
 *   4. no rule matches: deny.
 * The rule that is named in the result is the one with the lowest id among those that decided.
 * How narrow a rule is plays no part: a person can predict the outcome from the priority alone.
 *
 * Cost: the rules lie in an index (who, which), so that a check costs lookups for the client's
 * names times the device's names and not a walk over all rules; patterns are kept per "who", at
 * most BS_ACCESS_PATTERNS_MAX each.  An unknown device costs the same lookups as a forbidden one
 * without tags.
 *
 * Owner thread: that of the reader.  Allocates: no.
 */
#ifndef BS_STORE_ACCESS_H
#define BS_STORE_ACCESS_H

#include "store/registry.h"

/** Longest pattern, without terminator: id characters, * (any run) and ? (one character). */
#define BS_ACCESS_PATTERN_MAX 64
/** Most patterns for one "who". */
#define BS_ACCESS_PATTERNS_MAX 64
/** Highest priority; 0 is the lowest and the default. */
#define BS_ACCESS_PRIORITY_MAX 1000

/** Who a rule is for. */
enum bs_access_who_kind {
	BS_WHO_ANYBODY = 1,
	BS_WHO_IDENTITY = 2,    /**< identity, whatever CA issued it */
	BS_WHO_CA_IDENTITY = 3, /**< identity under one CA */
	BS_WHO_KEY = 4,         /**< key_fp */
	BS_WHO_GROUP = 5,       /**< a group of the client's record */
};

/** Which devices a rule is for. */
enum bs_access_which_kind {
	BS_WHICH_ANY = 1,
	BS_WHICH_ID = 2,
	BS_WHICH_PATTERN = 3,
	BS_WHICH_TAG = 4,
};

/** A rule. */
struct bs_access_rule {
	uint32_t id;        /**< given by the store from 1, never used again; 0 in a new rule */
	bool allow;         /**< else deny */
	uint8_t who_kind;   /**< enum bs_access_who_kind */
	uint8_t which_kind; /**< enum bs_access_which_kind */
	uint16_t priority;  /**< 0..BS_ACCESS_PRIORITY_MAX, higher decides first */
	char who[BS_CLIENT_ID_MAX + 1];        /**< identity or group; "" for ANYBODY and KEY */
	uint8_t who_fp[BS_FP256_LEN];          /**< CA for CA_IDENTITY, key_fp for KEY, else zero */
	char which[BS_ACCESS_PATTERN_MAX + 1]; /**< id, pattern or tag; "" for ANY */
	uint64_t created;                      /**< Unix seconds; set by the store */
};

/** Why a check came out as it did. */
enum bs_access_reason {
	BS_ACCESS_RULE = 1,            /**< rule_id decided */
	BS_ACCESS_NO_RULE = 2,         /**< default deny */
	BS_ACCESS_DEVICE_UNKNOWN = 3,  /**< deny */
	BS_ACCESS_DEVICE_DISABLED = 4, /**< deny */
	BS_ACCESS_CLIENT_DISABLED = 5, /**< deny */
	BS_ACCESS_CLIENT_REVOKED = 6,  /**< deny: record, identity, certificate or key */
	BS_ACCESS_CLIENT_KEY = 7,      /**< deny: the record names another key */
};

/** Outcome of a check. */
struct bs_access_result {
	bool allow;
	uint8_t reason;         /**< enum bs_access_reason */
	uint32_t rule_id;       /**< 0 when no rule decided */
	uint32_t device_number; /**< 0 when the device is unknown */
};

/**
 * May this client reach this device?  Groups come from the client's record in the same snapshot, so
 * a session asks again with what TLS proved and gets today's answer.  Revocations are looked at
 * too.
 *
 * BS_OK and *out; BS_EINVAL identity missing; BS_EIO or BS_ECORRUPT: answer as for a deny.
 */
BS_MUSTCHECK int bs_access_check(struct bs_registry_reader *r, const struct bs_presented *who,
				 struct bs_slice device_id, struct bs_access_result *out);
/** A rule by id.  BS_OK, BS_ENOENT, BS_ECORRUPT, BS_EIO. */
BS_MUSTCHECK int bs_access_get(struct bs_registry_reader *r, uint32_t id,
			       struct bs_access_rule *out);
/** As bs_registry_device_list, by rule id. */
BS_MUSTCHECK bs_ssize bs_access_list(struct bs_registry_reader *r, struct bs_list_pos *pos,
				     struct bs_access_rule *out, size_t cap, bool *end);
/** Whether a rule is well formed; lowers the case of ids and patterns in place.  BS_OK, or
 *  BS_EINVAL with *err saying which field. */
BS_MUSTCHECK int bs_access_rule_check(struct bs_access_rule *rule, struct bs_errtext *err);
/** Glob over a whole id: * any run, ? one character; no escapes, linear time. */
bool bs_access_match(const char *pattern, const char *id, size_t id_len);
/** A short English text for enum bs_access_reason. */
const char *bs_access_reason_text(enum bs_access_reason reason);

#endif
