/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_acl.h - the owner's access list: which clients, known by the fingerprints of their keys,
 * may do what, from where.
 *
 * The first client that pairs becomes the owner; the owner adds and removes others.  The list
 * answers the well-known queries 10000, 10010 and 11000 to 11100 (basestation-wire(7), ACCESS LIST)
 * and works alike for connections through the basestation and on the local network.  It is kept by
 * the storage hook under the name "acl".
 *
 * How an application uses it:
 *
 *	bsdev_acl_init(&acl, &acl_conf)
 *	bsdev_conf.access:     return bsdev_acl_access(&acl, dev, peer)
 *	bsdev_conf.query:      code = bsdev_acl_query(&acl, dev, id, q), and go on with its own
 *	                       queries when that is BSDEV_ACL_OTHER
 *	its own queries:       if (!bsdev_acl_may(&acl, &peer, 0)) return BS_RPC_FORBIDDEN
 *	bsdev_local_conf.key:  bsdev_acl_key, with ctx = &acl
 *	bsdev_conf.pair:       return bsdev_acl_pair(&acl, id)
 *
 * What a fingerprint is worth: the basestation vouches for it, and so does a client's own key on
 * the local network.  With the key that is printed on the device, and in the clear, it is only a
 * claim: nobody is an administrator by a claim.
 *
 * Threads: those of the device.  Allocates: no.
 */
#ifndef BSDEV_DEVICE_ACL_H
#define BSDEV_DEVICE_ACL_H

#include "basestation/device.h"
#include "basestation/device_local.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Users in a list. */
#define BSDEV_ACL_USERS_MAX 32
/** Longest name of a user or of the device, without terminator; more is cut. */
#define BSDEV_ACL_NAME_MAX 63
/** Bytes of a pairing secret, and of the number that names it. */
#define BSDEV_ACL_SECRET_LEN 32
#define BSDEV_ACL_PAIR_LEN   8
/** bsdev_acl_query: the query is not one of the list's. */
#define BSDEV_ACL_OTHER (-2)

/** Rights of a user; the low 16 bits are the application's own. */
enum bsdev_acl_right {
	BSDEV_ACL_REMOTE = 0x40000000, /**< may connect through the basestation */
	BSDEV_ACL_ADMIN = 0x20000000,  /**< may change the list */
};
/** May connect on the local network; 0x80000000 is no int. */
#define BSDEV_ACL_LOCAL UINT32_C(0x80000000)
/** What the device allows at all: the same bits, and this one. */
#define BSDEV_ACL_PAIRING UINT32_C(0x20000000)

/** Status in the list's answers. */
enum bsdev_acl_status {
	BSDEV_ACL_OK = 0,
	BSDEV_ACL_NO_USER = 1,
	BSDEV_ACL_FULL = 2,
	BSDEV_ACL_NOT_SAVED = 3,
	BSDEV_ACL_NOT_REMOVED = 4,
	BSDEV_ACL_EXISTS = 5,
};

/** How the list works; zero is a good start.  Borrowed for the list's life. */
struct bsdev_acl_conf {
	const char *device_id;      /**< the device's id; required for local keys */
	const char *device_name;    /**< until the owner gives another; may be NULL */
	const char *device_type;    /**< may be NULL */
	const char *device_icon;    /**< may be NULL */
	const char *pairing_secret; /**< as printed on the device; NULL = nobody can pair with it */
	uint32_t first_user;        /**< rights of the first; 0 = all three */
	uint32_t default_user;      /**< rights of later ones until changed; 0 = local, remote */
	uint32_t system;            /**< what is allowed at first; 0 = all three */
	bool pair_plain;            /**< let clients pair in the clear, as stock devices do */
	/** Who has a pairing secret must use it through the basestation, too: then not even the
	 *  basestation can come in his name. */
	bool need_pair;
	const struct bsdev_storage *storage; /**< NULL: forgotten at a restart */
};

/** A user.  Private; see bsdev_acl_count and bsdev_acl_get. */
struct bsdev_acl_user {
	uint8_t fp[BS_FP_LEN];                /**< fingerprint of the client's key */
	uint32_t rights;                      /**< enum bsdev_acl_right bits */
	uint8_t flags;                        /**< private */
	uint8_t name_len;                     /**< bytes of name */
	uint8_t pair[BSDEV_ACL_PAIR_LEN];     /**< number of the pairing secret */
	uint8_t secret[BSDEV_ACL_SECRET_LEN]; /**< the pairing secret */
	char name[BSDEV_ACL_NAME_MAX + 1];    /**< terminated */
};

/** What is kept by the storage hook. */
struct bsdev_acl_state {
	uint32_t system;                                 /**< what is allowed at all */
	uint32_t default_user;                           /**< rights of new users */
	uint8_t n;                                       /**< users */
	char name[BSDEV_ACL_NAME_MAX + 1];               /**< of the device, terminated */
	struct bsdev_acl_user user[BSDEV_ACL_USERS_MAX]; /**< in the order they came */
};

/** An access list.  All fields are private. */
struct bsdev_acl {
	const struct bsdev_acl_conf *conf; /**< see bsdev_acl_init */
	struct bsdev_acl_state state;      /**< as last kept */
	bool has_psk;                      /**< psk is made */
	uint8_t psk[BS_PSK_LEN];           /**< from the printed secret */
};

/**
 * bsdev_acl_init - read the list, or start an empty one
 *
 * @acl  the caller's; in use until bsdev_acl_fini
 * @conf borrowed until then
 *
 * Returns BS_OK, or
 *   BS_EINVAL   conf or an argument is NULL
 *   BS_EIO      the storage hook failed
 *   BS_ECORRUPT what is kept is no access list: nobody may do anything until it is removed
 *
 * Thread: the device's.  Allocates: no.  Blocks: no (the storage hook may).
 */
BS_API BS_MUSTCHECK int bsdev_acl_init(struct bsdev_acl *acl, const struct bsdev_acl_conf *conf);

/**
 * bsdev_acl_fini - wipe the list in memory
 *
 * @acl may be NULL
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_acl_fini(struct bsdev_acl *acl);

/**
 * bsdev_acl_access - whether a client may open a connection
 *
 * @acl  the list
 * @peer as given to the access hook
 *
 * Without a fingerprint nobody may.  Who is not in the list may only on the local network, where
 * local connections are allowed (to pair); who is, where the device and his rights allow it.
 *
 * Returns the access hook's answer.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API bool bsdev_acl_access(const struct bsdev_acl *acl, const struct bsdev_peer *peer);

/**
 * bsdev_acl_may - whether a client has rights, over the way that it came
 *
 * @acl    the list
 * @peer   from bsdev_query_peer
 * @rights bits that must all be there; 0 = being in the list is enough
 *
 * Returns true or false.  BSDEV_ACL_ADMIN is never there where the fingerprint is only a claim.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API bool bsdev_acl_may(const struct bsdev_acl *acl, const struct bsdev_peer *peer,
			  uint32_t rights);

/**
 * bsdev_acl_query - answer a query, when it is one of the list's
 *
 * @acl      the list
 * @dev      the device
 * @query_id as given to the query handler
 * @q        the query
 *
 * Returns what the query handler shall return, or BSDEV_ACL_OTHER.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no (the storage hook may).
 * Source: basestation-wire(7), ACCESS LIST.
 */
BS_API int bsdev_acl_query(struct bsdev_acl *acl, struct bsdev *dev, uint32_t query_id,
			   struct bsdev_query *q);

/**
 * bsdev_acl_key - a bsdev_key_fn: the printed key, and the users' own
 *
 * @ctx    the list
 * @dev    the device
 * @key_id name of the key
 * @peer   who asks
 * @out    the key
 *
 * The printed key works while pairing is open.  A user's own key belongs to his fingerprint and
 * works where his rights allow local connections.
 *
 * Returns whether there is such a key.
 *
 * Thread: the device's.  Allocates: no.  Blocks: a few milliseconds, once.
 */
BS_API bool bsdev_acl_key(void *ctx, struct bsdev *dev, const uint8_t *key_id,
			  const struct bsdev_peer *peer, struct bsdev_key *out);

/**
 * bsdev_acl_pair - the pairing secret with this number, for bsdev_conf.pair (extension PAIR)
 *
 * @acl the list
 * @id  [BSDEV_ACL_PAIR_LEN] bytes
 *
 * Returns its [BSDEV_ACL_SECRET_LEN] bytes, borrowed until the next call on the list, or NULL.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API const uint8_t *bsdev_acl_pair(const struct bsdev_acl *acl, const uint8_t *id);

/**
 * bsdev_acl_count - number of users
 *
 * @acl the list
 *
 * Returns 0..BSDEV_ACL_USERS_MAX.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API unsigned bsdev_acl_count(const struct bsdev_acl *acl);

#ifdef __cplusplus
}
#endif
#endif
