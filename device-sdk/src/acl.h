/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acl.h - parts of the access list: acl.c decides, acl_query.c answers, acl_store.c keeps it.
 *
 * Owner: the device's thread.  May call: the core.  Allocates: no.
 */
#ifndef BSDEV_ACL_H
#define BSDEV_ACL_H

#include "basestation/device_acl.h"

/** Flags of a user. */
enum {
	BSDEV__ACL_HAS_SECRET = 0x01, /**< pair and secret are set */
	BSDEV__ACL_CONFIRMED = 0x02,  /**< he has used the secret: it is not made anew */
};

/** Read the list from the storage hook; BS_OK also when there is none. */
int bsdev__acl_load(struct bsdev_acl *acl);
/** Keep the list.  BS_OK, or the hook's error: put the old state back then. */
int bsdev__acl_save(const struct bsdev_acl *acl);
/** The user with this fingerprint; NULL when there is none, or fp is NULL. */
struct bsdev_acl_user *bsdev__acl_find(struct bsdev_acl *acl, const uint8_t *fp);
/** Whether a client came over the local network. */
bool bsdev__acl_is_local(const struct bsdev_peer *peer);
/** Copy a name of [len] bytes, cut and terminated; out has BSDEV_ACL_NAME_MAX + 1 bytes. */
void bsdev__acl_set_name(char *out, const uint8_t *name, size_t len);

#endif
