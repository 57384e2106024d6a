/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h - how ids, identities, tags and groups may be spelled, and small sets of names.
 *
 * Pure functions; any thread; no allocation.
 */
#ifndef BS_STORE_NAMES_H
#define BS_STORE_NAMES_H

#include "basestation/error.h"
#include "basestation/types.h"

/** Longest tag or group name, without terminator: letters, digits and . _ - : @ */
#define BS_NAME_MAX 32
/** Most tags of a device, most groups of a client: bounds the work of one access check. */
#define BS_NAMES_MAX 16

/** A small set of names: tags of a device, groups of a client. */
struct bs_names {
	uint8_t n;                                /**< names in use */
	char name[BS_NAMES_MAX][BS_NAME_MAX + 1]; /**< sorted, no repeats */
};

/** Whether a tag or group may be called so. */
bool bs_name_valid(const char *name, size_t len);
/** Add a name to a set, sorted.  BS_OK (also when it is there), BS_EFULL, BS_EINVAL (spelling). */
BS_MUSTCHECK int bs_names_add(struct bs_names *set, const char *name, size_t len);
/** Remove a name; nothing when it is not there. */
void bs_names_remove(struct bs_names *set, const char *name, size_t len);
/** Whether it is there. */
bool bs_names_has(const struct bs_names *set, const char *name, size_t len);
/** Whether a set that came from elsewhere is well formed: spelling, order, no repeats. */
bool bs_names_valid(const struct bs_names *set);
/** Whether two sets have the same names. */
bool bs_names_equal(const struct bs_names *a, const struct bs_names *b);

/** Whether id can be a device id: a DNS name of 1..40 bytes of a-z 0-9 - and dots, lower case. */
bool bs_device_id_valid(const char *id, size_t len);
/** Lower-case copy into out[BS_DEVICE_ID_MAX + 1].  BS_OK, or BS_EINVAL when not valid. */
BS_MUSTCHECK int bs_device_id_fold(struct bs_slice id, char *out);
/** Whether identity can be a client identity: 1..64 bytes of 0x21..0x7E, no upper case. */
bool bs_client_identity_valid(const char *identity, size_t len);

#endif
