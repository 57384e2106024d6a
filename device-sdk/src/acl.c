/* SPDX-License-Identifier: Apache-2.0 */
/* The owner's access list: who is in it, and what that allows. */
#include "acl.h"

#include <string.h>

#include "context.h"
#include "proto/pairing.h"

/* Rights where nothing else is configured. */
#define ALL_RIGHTS     (BSDEV_ACL_LOCAL | BSDEV_ACL_REMOTE | BSDEV_ACL_ADMIN)
#define DEFAULT_RIGHTS (BSDEV_ACL_LOCAL | BSDEV_ACL_REMOTE)

static uint32_t or_else(uint32_t value, uint32_t otherwise)
{
	return value != 0 ? value : otherwise;
}

void bsdev__acl_set_name(char *out, const uint8_t *name, size_t len)
{
	if (len > BSDEV_ACL_NAME_MAX)
		len = BSDEV_ACL_NAME_MAX;
	memset(out, 0, BSDEV_ACL_NAME_MAX + 1);
	if (len > 0)
		memcpy(out, name, len);
}

int bsdev_acl_init(struct bsdev_acl *acl, const struct bsdev_acl_conf *conf)
{
	if (acl == NULL || conf == NULL)
		return BS_EINVAL;
	memset(acl, 0, sizeof(*acl));
	acl->conf = conf;
	acl->state.system = or_else(conf->system, ALL_RIGHTS);
	acl->state.default_user = or_else(conf->default_user, DEFAULT_RIGHTS);
	if (conf->device_name != NULL)
		bsdev__acl_set_name(acl->state.name, (const uint8_t *)conf->device_name,
				    strlen(conf->device_name));
	return bsdev__acl_load(acl);
}

void bsdev_acl_fini(struct bsdev_acl *acl)
{
	if (acl != NULL)
		bs_wipe(acl, sizeof(*acl));
}

unsigned bsdev_acl_count(const struct bsdev_acl *acl)
{
	return acl->state.n;
}

struct bsdev_acl_user *bsdev__acl_find(struct bsdev_acl *acl, const uint8_t *fp)
{
	for (unsigned i = 0; fp != NULL && i < acl->state.n; i++)
		if (memcmp(acl->state.user[i].fp, fp, BS_FP_LEN) == 0)
			return &acl->state.user[i];
	return NULL;
}

static const struct bsdev_acl_user *find(const struct bsdev_acl *acl, const uint8_t *fp)
{
	return bsdev__acl_find((struct bsdev_acl *)(uintptr_t)acl, fp);
}

bool bsdev__acl_is_local(const struct bsdev_peer *peer)
{
	return bsdev__peer_origin(peer) != BSDEV_FROM_BASESTATION;
}

/** The right that this way needs, of the device and of the user. */
static uint32_t way_of(const struct bsdev_peer *peer)
{
	return bsdev__acl_is_local(peer) ? BSDEV_ACL_LOCAL : BSDEV_ACL_REMOTE;
}

/** Whether somebody vouches for the fingerprint. */
static bool is_proven(const struct bsdev_peer *peer)
{
	return bsdev__peer_origin(peer) == BSDEV_FROM_BASESTATION ||
	       bsdev__peer_origin(peer) == BSDEV_FROM_LOCAL_USER;
}

/** A pairing secret proves its own user only, whatever fingerprint the basestation says. */
static bool is_his_secret(const struct bsdev_acl *acl, const struct bsdev_acl_user *u,
			  const struct bsdev_peer *peer)
{
	const uint8_t *pair = bsdev__peer_pair(peer);

	if (pair != NULL)
		return u != NULL && (u->flags & BSDEV__ACL_HAS_SECRET) != 0 &&
		       memcmp(u->pair, pair, sizeof(u->pair)) == 0;
	return u == NULL || bsdev__acl_is_local(peer) || !acl->conf->need_pair ||
	       (u->flags & BSDEV__ACL_CONFIRMED) == 0;
}

bool bsdev_acl_access(const struct bsdev_acl *acl, const struct bsdev_peer *peer)
{
	const struct bsdev_acl_user *u = find(acl, peer->fingerprint);
	const uint32_t way = way_of(peer);

	if (peer->fingerprint == NULL || (acl->state.system & way) == 0 ||
	    !is_his_secret(acl, u, peer))
		return false;
	return u != NULL ? (u->rights & way) != 0 : bsdev__acl_is_local(peer);
}

bool bsdev_acl_may(const struct bsdev_acl *acl, const struct bsdev_peer *peer, uint32_t rights)
{
	const struct bsdev_acl_user *u = find(acl, peer->fingerprint);
	const uint32_t way = way_of(peer);
	uint32_t have;

	if (u == NULL || (u->rights & acl->state.system & way) == 0)
		return false;
	have = u->rights;
	if (!is_proven(peer))
		have &= ~(uint32_t)BSDEV_ACL_ADMIN;
	return (have & rights) == rights;
}

/* ---- keys */

static struct bs_slice text_of(const char *s)
{
	const struct bs_slice t = { (const uint8_t *)s, s != NULL ? strlen(s) : 0 };

	return t;
}

/** The key from what is printed; made when it is first needed, since that takes a moment. */
static bool printed_key(struct bsdev_acl *acl, const struct bs_crypto *crypto, uint8_t *psk)
{
	const struct bsdev_acl_conf *conf = acl->conf;

	if (conf->pairing_secret == NULL || (acl->state.system & BSDEV_ACL_PAIRING) == 0 ||
	    (acl->state.system & BSDEV_ACL_LOCAL) == 0)
		return false;
	if (!acl->has_psk)
		acl->has_psk = bs_pairing_psk(crypto, text_of(conf->device_id),
					      text_of(conf->pairing_secret), acl->psk) == BS_OK;
	memcpy(psk, acl->psk, sizeof(acl->psk));
	return acl->has_psk;
}

bool bsdev_acl_key(void *ctx, struct bsdev *dev, const uint8_t *key_id,
		   const struct bsdev_peer *peer, struct bsdev_key *out)
{
	struct bsdev_acl *acl = ctx;
	const struct bs_crypto *crypto = dev->core.crypto;
	const struct bsdev_acl_user *u = find(acl, peer->fingerprint);
	uint8_t pair[BSDEV_ACL_PAIR_LEN];

	if (peer->fingerprint == NULL)
		return false;
	out->proves_fingerprint = false;
	if (memcmp(key_id, bs_pairing_key_id, BSDEV_KEY_ID_LEN) == 0)
		return printed_key(acl, crypto, out->psk);
	if (!bs_pairing_user_id(key_id, pair) || u == NULL ||
	    (u->flags & BSDEV__ACL_HAS_SECRET) == 0 || memcmp(u->pair, pair, sizeof(pair)) != 0 ||
	    (u->rights & acl->state.system & BSDEV_ACL_LOCAL) == 0)
		return false;
	out->proves_fingerprint = true;
	return bs_pairing_user_psk(crypto, text_of(acl->conf->device_id), u->secret, out->psk) ==
	       BS_OK;
}

const uint8_t *bsdev_acl_pair(const struct bsdev_acl *acl, const uint8_t *id)
{
	for (unsigned i = 0; i < acl->state.n; i++) {
		const struct bsdev_acl_user *u = &acl->state.user[i];

		if ((u->flags & BSDEV__ACL_HAS_SECRET) != 0 &&
		    memcmp(u->pair, id, sizeof(u->pair)) == 0)
			return u->secret;
	}
	return NULL;
}
