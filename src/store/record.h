/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - the bytes of every key and value in the registry.  Internal to store/.
 *
 * Pure: no LMDB, no sealing, no allocation.  Everything is big-endian, each value starts with a
 * format byte.  Decoders take any bytes (a damaged file) and say BS_ECORRUPT; they are fuzzed.
 */
#ifndef BS_STORE_RECORD_H
#define BS_STORE_RECORD_H

#include "store/access.h"
#include "store/registry.h"
#include "store/seal.h"

/** Bytes of a sealed device secret. */
#define BS__SEALED_SECRET_LEN (BS_PSK_LEN + BS_SEAL_OVERHEAD)
/** Longest key of any table. */
#define BS__KEY_MAX 192
/** Longest device, client, rule or revocation value. */
#define BS__VALUE_MAX 700
/** Offset of the number in a device value: the same in every format, for index checks. */
#define BS__DEVICE_NUMBER_AT 4

/** A key under construction. */
struct bs__key {
	size_t len;
	uint8_t b[BS__KEY_MAX];
};

/** A device value with its secrets still sealed; borrowed from the page. */
struct bs__device_record {
	uint8_t state;
	uint8_t flags;
	uint32_t number;
	uint32_t generation;
	uint64_t created;
	const uint8_t *sealed;      /**< [44], NULL = none */
	const uint8_t *sealed_next; /**< [44], NULL = none */
	struct bs_names tags;
};

/** What the rule index holds for one (who, which). */
struct bs__rule_entry {
	uint32_t id;
	uint16_t priority;
	bool allow;
};

/** Slots of a device's secrets: part of what a seal is bound to. */
enum bs__secret_slot {
	BS__SLOT_SECRET = 1,
	BS__SLOT_NEXT = 2
};

/** Associated data of a device secret: "device", slot, id. */
void bs__device_ad(struct bs__key *ad, const char *id, size_t id_len, enum bs__secret_slot slot);

/** Value of a device into buf[BS__VALUE_MAX]; returns its length. */
size_t bs__device_encode(const struct bs__device_record *d, uint8_t *buf);
/** The reverse.  BS_OK or BS_ECORRUPT. */
BS_MUSTCHECK int bs__device_decode(struct bs_slice v, struct bs__device_record *out);
/** As decode, but the tags stay untouched: the attach path does not want them. */
BS_MUSTCHECK int bs__device_decode_head(struct bs_slice v, struct bs__device_record *out);

/** Key of a number. */
void bs__key_u32(struct bs__key *k, uint32_t v);
/** Key of the tag index: tag, 0, id. */
void bs__key_tag(struct bs__key *k, const char *tag, const char *id, size_t id_len);
/** Start of all keys of a tag. */
void bs__key_tag_prefix(struct bs__key *k, const char *tag);

/** Key of a client: identity, 0, CA or nothing.  ca_fp NULL = any CA. */
void bs__key_client(struct bs__key *k, struct bs_slice identity, const uint8_t *ca_fp);
/** Bytes of a volume's value: month and bytes.  Its key is that of a client of one CA. */
#define BS__VOLUME_LEN 12
/** BS_OK or BS_ECORRUPT. */
BS_MUSTCHECK int bs__volume_decode(struct bs_slice v, struct bs_volume *out);
/** Identity and CA back from the key.  BS_OK or BS_ECORRUPT. */
BS_MUSTCHECK int bs__client_decode_key(struct bs_slice key, struct bs_client *out);
size_t bs__client_encode(const struct bs_client *c, uint8_t *buf);
BS_MUSTCHECK int bs__client_decode(struct bs_slice v, struct bs_client *out);

size_t bs__rule_encode(const struct bs_access_rule *rule, uint8_t *buf);
BS_MUSTCHECK int bs__rule_decode(struct bs_slice v, struct bs_access_rule *out);
/** The part of the rule index key that says who. */
void bs__key_who(struct bs__key *k, uint8_t kind, const char *who, size_t len, const uint8_t *fp);
/** Append the part that says which. */
void bs__key_which(struct bs__key *k, uint8_t kind, const char *which, size_t len);
/** The whole index key of a rule. */
void bs__key_rule_index(struct bs__key *k, const struct bs_access_rule *rule);
size_t bs__rule_entry_encode(const struct bs__rule_entry *e, uint8_t *buf);
BS_MUSTCHECK int bs__rule_entry_decode(struct bs_slice v, struct bs__rule_entry *out);

/** Key of a revocation; the kind's fields must be set. */
void bs__key_revocation(struct bs__key *k, const struct bs_revocation *rev);
BS_MUSTCHECK int bs__revocation_decode_key(struct bs_slice key, struct bs_revocation *out);
size_t bs__revocation_encode(const struct bs_revocation *rev, uint8_t *buf);
BS_MUSTCHECK int bs__revocation_decode(struct bs_slice v, struct bs_revocation *out);

/** Bytes of a CA value in front of the DER, at most. */
#define BS__CA_HEAD_MAX (11 + BS_NOTE_MAX)
/** Head of a CA value into buf[BS__CA_HEAD_MAX]; the DER follows. */
size_t bs__ca_encode_head(const struct bs_ca *ca, uint8_t *buf);
BS_MUSTCHECK int bs__ca_decode(struct bs_slice v, struct bs_ca *out);

/** A serial without leading zero bytes. */
struct bs_slice bs__serial_trim(struct bs_slice serial);

#endif
