/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pending.h - answered invites whose proof has not come yet: a table of fixed size.
 *
 * The response of a device names neither its id nor its nonce, so it can be checked only against
 * an entry here.  At most per_id entries of one device and per_prefix of one network (a network
 * from which an attach was verified is free of that); where a limit or the table is full, the
 * oldest entry of the same device goes first, then the oldest of the same prefix, then the oldest
 * of all; but no entry of another device before its response can be here.  A device that is not
 * answered asks again within seconds; one whose entry is gone believes to be attached, and learns
 * better after a minute: a crowd from a new network must not do that to itself.  All entries live
 * equally long, so the order of age is the order of expiry.
 *
 * Owner: one worker.  Allocates: at init only.
 */
#ifndef BS_SERVER_PENDING_H
#define BS_SERVER_PENDING_H

#include "basestation/error.h"
#include "basestation/wire.h"
#include "crypto/crypto.h"
#include "util/siphash.h"

#define BS_PENDING_NONE UINT32_MAX
/** Bytes of a device nonce; a legacy one is 8 and zero behind. */
#define BS_PENDING_NONCE_LEN 32

enum bs_pending_flag {
	BS_PENDING_LEGACY = 0x01,
	BS_PENDING_EXT = 0x02,      /**< the invite had EXT */
	BS_PENDING_KNOWN = 0x04,    /**< from a known prefix: not counted against per_prefix */
	BS_PENDING_NEXT_KEY = 0x08, /**< sealed under the key that is being rolled out */
	BS_PENDING_SECRETS = 0x10,  /**< nonce_s and seed_s are there */
	BS_PENDING_A_KEY = 0x20,    /**< a_key is there, made of psk */
	BS_PENDING_USED = 0x80,     /**< private: the entry is in use */
};

struct bs_pending_link {
	uint32_t next; /**< younger */
	uint32_t prev; /**< older */
};

/** What the request needs and the check of the response needs again: computed once, as it is most
 *  of what an attach costs.  All of it can be computed anew. */
struct bs_pending_secrets {
	uint8_t nonce_s[BS_PENDING_NONCE_LEN];
	uint8_t seed_s[BS_PENDING_NONCE_LEN];
	uint8_t psk[BS_PSK_LEN]; /**< a_key is of use while the registry still says the same */
	struct bs_key_block a_key;
};

struct bs_pending_entry {
	uint32_t nsi;
	uint32_t number; /**< device in the registry */
	uint8_t nonce[BS_PENDING_NONCE_LEN];
	struct bs_endpoint peer;
	uint8_t local; /**< index of the local address it came to */
	uint8_t flags; /**< enum bs_pending_flag */
	uint32_t born_ms;
	uint32_t epoch; /**< that nonce_s and seed_s were computed with */
	uint32_t sum;   /**< legacy: byte sum of the invite */
	char text[32];  /**< application's version and SDK's label, one behind the other */
	uint8_t text_len[2];
	uint8_t sdk[3];   /**< version of the SDK */
	uint32_t offered; /**< extension bits in the clear invite */
	uint16_t granted; /**< bits that the request granted */
	struct bs_pending_link age;
	struct bs_pending_link id;     /**< entries whose number has the same hash */
	struct bs_pending_link prefix; /**< the same for the prefix */
	struct bs_pending_secrets s;   /**< wiped with the entry */
};

struct bs_pending_list {
	uint32_t head; /**< oldest */
	uint32_t tail;
};

/** Called for each entry that leaves otherwise than by bs_pending_remove. */
typedef void (*bs_pending_gone_fn)(void *ctx, const struct bs_pending_entry *e, bool expired);

struct bs_pending {
	struct bs_pending_entry *entry;
	struct bs_pending_list *by_id;     /**< [buckets] */
	struct bs_pending_list *by_prefix; /**< [buckets] */
	struct bs_pending_list age;
	uint32_t buckets; /**< a power of two */
	uint32_t cap;
	uint32_t n;
	uint32_t free; /**< list of free entries through age.next */
	uint32_t per_id;
	uint32_t per_prefix;
	uint32_t lifetime_ms;
	uint32_t grace_ms; /**< how long entries of other devices are left alone */
	uint8_t key[BS_SIPHASH_KEY_LEN];
	bs_pending_gone_fn gone;
	void *ctx;
};

/** BS_OK, BS_EINVAL or BS_ENOMEM.  key is random.  gone may be NULL. */
BS_MUSTCHECK int bs_pending_init(struct bs_pending *p, uint32_t cap,
				 const uint8_t key[BS_SIPHASH_KEY_LEN], bs_pending_gone_fn gone,
				 void *ctx);
void bs_pending_fini(struct bs_pending *p);
void bs_pending_set_limits(struct bs_pending *p, uint32_t per_id, uint32_t per_prefix,
			   uint32_t lifetime_ms);
/** Leave entries of other devices alone for so long; 0, the default, does not. */
void bs_pending_set_grace(struct bs_pending *p, uint32_t grace_ms);
/** The entry of a repeated invite: same device, nonce and source; or NONE. */
uint32_t bs_pending_find(const struct bs_pending *p, uint32_t number, const uint8_t *nonce,
			 size_t nonce_len, const struct bs_endpoint *peer);
/** A new entry, evicting as the rules say; NONE while those that would have to go are too young.
 *  The caller fills what is not an argument.
 *  nonce_len is at most BS_PENDING_NONCE_LEN. */
uint32_t bs_pending_add(struct bs_pending *p, uint32_t number, const uint8_t *nonce,
			size_t nonce_len, const struct bs_endpoint *peer, bool known,
			uint32_t now_ms);
void bs_pending_remove(struct bs_pending *p, uint32_t i);
/** Remove what is older than the lifetime. */
void bs_pending_expire(struct bs_pending *p, uint32_t now_ms);
/** Remove all entries of a device (revoked). */
void bs_pending_remove_device(struct bs_pending *p, uint32_t number);

static inline struct bs_pending_entry *bs_pending_get(struct bs_pending *p, uint32_t i)
{
	return &p->entry[i];
}

#endif
