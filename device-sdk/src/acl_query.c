/* SPDX-License-Identifier: Apache-2.0 */
/* The access list's queries. */
#include <string.h>

#include "acl.h"
#include "context.h"

/** Query numbers (basestation-wire(7), ACCESS LIST). */
enum {
	Q_DEVICE_INFO = 10000,
	Q_SET_DEVICE_INFO = 10010,
	Q_USERS = 11000,
	Q_PAIR = 11010,
	Q_ME = 11020,
	Q_SYSTEM = 11030,
	Q_SET_SYSTEM = 11040,
	Q_SET_RIGHTS = 11050,
	Q_SET_NAME = 11060,
	Q_ADD = 11065,
	Q_REMOVE = 11070,
	Q_TOKEN = 11075,
	Q_MY_TOKEN = 11080,
	Q_SET_TOKEN = 11085,
	Q_SET_MY_TOKEN = 11090,
	Q_MAKE_SECRET = 11100,
};

/** Who may ask. */
enum need {
	NEED_NOTHING,
	NEED_USER, /**< in the list */
	NEED_WAY,  /**< in the list, with the right to come this way */
	NEED_ADMIN,
};

/** Longest push token: one that would not fit an answer is not taken. */
#define TOKEN_MAX 180
/** A token's name in the storage hook: "token-", the fingerprint, terminator. */
#define TOKEN_NAME_LEN (6 + 2 * BS_FP_LEN + 1)
/** Fewest random bytes that a client must bring for its pairing secret. */
#define CLIENT_RANDOM_MIN 16
/** Bytes of a user in an answer besides his name. */
#define USER_LEN (2 + BS_FP_LEN + 2 + 4)
/** Bytes behind the users of a list: where the next page starts. */
#define NEXT_LEN 4

/** One query on its way. */
struct ask {
	struct bsdev_acl *acl;
	struct bsdev *dev;
	struct bsdev_query *q;
	struct bsdev_peer peer;
	struct bsdev_acl_user *me; /**< NULL when the client is not in the list */
};

/** Keep the changed list; when that fails it is as it was. */
static uint8_t keep(struct bsdev_acl *acl, const struct bsdev_acl_state *old)
{
	if (bsdev__acl_save(acl) == BS_OK)
		return BSDEV_ACL_OK;
	acl->state = *old;
	return BSDEV_ACL_NOT_SAVED;
}

static void write_user_fields(struct bsdev_query *q, const struct bsdev_acl_user *u)
{
	bsdev_write_raw(q, u != NULL ? u->fp : NULL, u != NULL ? BS_FP_LEN : 0);
	bsdev_write_raw(q, u != NULL ? u->name : NULL, u != NULL ? u->name_len : 0);
	bsdev_write_u32(q, u != NULL ? u->rights : 0);
}

static int write_user(struct bsdev_query *q, uint8_t status, const struct bsdev_acl_user *u)
{
	bsdev_write_u8(q, status);
	write_user_fields(q, status == BSDEV_ACL_OK ? u : NULL);
	return BS_RPC_OK;
}

static void set_user_name(struct bsdev_acl_user *u, const uint8_t *name, size_t len)
{
	bsdev__acl_set_name(u->name, name, len);
	u->name_len = (uint8_t)strlen(u->name);
}

/** A new user at the end of the list; NULL when it is full. */
static struct bsdev_acl_user *append(struct bsdev_acl *acl, const uint8_t *fp, const uint8_t *name,
				     size_t len, uint32_t rights)
{
	struct bsdev_acl_user *u;

	if (acl->state.n == BSDEV_ACL_USERS_MAX)
		return NULL;
	u = &acl->state.user[acl->state.n++];
	memset(u, 0, sizeof(*u));
	memcpy(u->fp, fp, sizeof(u->fp));
	set_user_name(u, name, len);
	u->rights = rights;
	return u;
}

/** A fingerprint among the parameters; NULL when there is none of the right length. */
static const uint8_t *read_fp(struct bsdev_query *q)
{
	size_t len;
	const uint8_t *fp = bsdev_read_raw(q, &len);

	return fp != NULL && len == BS_FP_LEN ? fp : NULL;
}

/* ---- the device */

static bool is_pairing_open(const struct ask *a)
{
	return (a->acl->state.system & BSDEV_ACL_PAIRING) != 0;
}

static int device_info(struct ask *a)
{
	const struct bsdev_acl_conf *conf = a->acl->conf;
	const char *type = conf->device_type != NULL ? conf->device_type : "";
	const char *icon = conf->device_icon != NULL ? conf->device_icon : "";

	bsdev_write_raw(a->q, a->acl->state.name, strlen(a->acl->state.name));
	bsdev_write_raw(a->q, type, strlen(type));
	bsdev_write_raw(a->q, icon, strlen(icon));
	bsdev_write_u8(a->q, is_pairing_open(a));
	bsdev_write_u8(a->q, a->me != NULL);
	bsdev_write_u8(a->q, a->me != NULL && (a->me->rights & BSDEV_ACL_ADMIN) != 0);
	return BS_RPC_OK;
}

static int set_device_info(struct ask *a)
{
	const struct bsdev_acl_state old = a->acl->state;
	size_t len;
	const uint8_t *name = bsdev_read_raw(a->q, &len);

	if (name == NULL)
		return BS_RPC_REQUEST_SHORT;
	bsdev__acl_set_name(a->acl->state.name, name, len);
	if (keep(a->acl, &old) != BSDEV_ACL_OK)
		return BS_RPC_DEVICE_ERROR;
	bsdev_write_raw(a->q, a->acl->state.name, strlen(a->acl->state.name));
	return BS_RPC_OK;
}

static int write_system(struct ask *a, uint8_t status)
{
	bsdev_write_u8(a->q, status);
	bsdev_write_u32(a->q, a->acl->state.system);
	bsdev_write_u32(a->q, a->acl->state.default_user);
	return BS_RPC_OK;
}

static int get_system(struct ask *a)
{
	return write_system(a, BSDEV_ACL_OK);
}

static int set_system(struct ask *a)
{
	const struct bsdev_acl_state old = a->acl->state;

	a->acl->state.system = bsdev_read_u32(a->q);
	a->acl->state.default_user = bsdev_read_u32(a->q);
	/* A request that ends early must change nothing. */
	if (bsdev__query_is_bad(a->q)) {
		a->acl->state = old;
		return BS_RPC_REQUEST_SHORT;
	}
	return write_system(a, keep(a->acl, &old));
}

/* ---- users */

static int list_users(struct ask *a)
{
	unsigned max = bsdev_read_u8(a->q);
	uint32_t at = bsdev_read_u32(a->q);
	size_t room = BS_RPC_REPLY_MAX - 2 - NEXT_LEN;
	const size_t mark = bsdev_write_list(a->q);
	uint16_t n = 0;

	for (; at < a->acl->state.n && (max == 0 || n < max); at++) {
		const struct bsdev_acl_user *u = &a->acl->state.user[at];

		if (USER_LEN + (size_t)u->name_len > room)
			break;
		room -= USER_LEN + (size_t)u->name_len;
		write_user_fields(a->q, u);
		n++;
	}
	bsdev_write_list_end(a->q, mark, n);
	bsdev_write_u32(a->q, at < a->acl->state.n ? at : 0);
	return BS_RPC_OK;
}

static bool may_pair(const struct ask *a)
{
	if (a->peer.fingerprint == NULL || !bsdev__acl_is_local(&a->peer) || !is_pairing_open(a))
		return false;
	return bsdev__peer_origin(&a->peer) != BSDEV_FROM_LOCAL_PLAIN || a->acl->conf->pair_plain;
}

/** The first one who comes owns the device. */
static uint32_t new_rights(const struct bsdev_acl *acl)
{
	const uint32_t first = acl->conf->first_user != 0
				       ? acl->conf->first_user
				       : BSDEV_ACL_LOCAL | BSDEV_ACL_REMOTE | BSDEV_ACL_ADMIN;

	return acl->state.n == 0 ? first : acl->state.default_user;
}

static int pair(struct ask *a)
{
	const struct bsdev_acl_state old = a->acl->state;
	struct bsdev_acl_user *u = a->me;
	size_t len;
	const uint8_t *name;

	if (!may_pair(a))
		return BS_RPC_FORBIDDEN;
	name = bsdev_read_raw(a->q, &len);
	if (name == NULL)
		return BS_RPC_REQUEST_SHORT;
	if (u != NULL)
		return write_user(a->q, BSDEV_ACL_OK, u);
	u = append(a->acl, a->peer.fingerprint, name, len, new_rights(a->acl));
	if (u == NULL)
		return write_user(a->q, BSDEV_ACL_FULL, NULL);
	return write_user(a->q, keep(a->acl, &old), u);
}

static int me(struct ask *a)
{
	return write_user(a->q, BSDEV_ACL_OK, a->me);
}

static int set_rights(struct ask *a)
{
	const struct bsdev_acl_state old = a->acl->state;
	struct bsdev_acl_user *u = bsdev__acl_find(a->acl, read_fp(a->q));
	const uint32_t rights = bsdev_read_u32(a->q);

	if (bsdev__query_is_bad(a->q))
		return BS_RPC_REQUEST_SHORT;
	if (u == NULL)
		return write_user(a->q, BSDEV_ACL_NO_USER, NULL);
	u->rights = rights;
	return write_user(a->q, keep(a->acl, &old), u);
}

static int set_name(struct ask *a)
{
	const struct bsdev_acl_state old = a->acl->state;
	struct bsdev_acl_user *u = bsdev__acl_find(a->acl, read_fp(a->q));
	size_t len;
	const uint8_t *name = bsdev_read_raw(a->q, &len);

	if (name == NULL)
		return BS_RPC_REQUEST_SHORT;
	if (u == NULL)
		return write_user(a->q, BSDEV_ACL_NO_USER, NULL);
	set_user_name(u, name, len);
	return write_user(a->q, keep(a->acl, &old), u);
}

static int add(struct ask *a)
{
	const struct bsdev_acl_state old = a->acl->state;
	const uint8_t *fp = read_fp(a->q);
	size_t len;
	const uint8_t *name = bsdev_read_raw(a->q, &len);
	struct bsdev_acl_user *u;

	if (fp == NULL || name == NULL)
		return BS_RPC_REQUEST_SHORT;
	if (bsdev__acl_find(a->acl, fp) != NULL)
		return write_user(a->q, BSDEV_ACL_EXISTS, NULL);
	u = append(a->acl, fp, name, len, a->acl->state.default_user);
	if (u == NULL)
		return write_user(a->q, BSDEV_ACL_FULL, NULL);
	return write_user(a->q, keep(a->acl, &old), u);
}

/* ---- push tokens: values of their own, since few users have one */

static void token_name(char out[TOKEN_NAME_LEN], const uint8_t *fp)
{
	static const char digits[] = "0123456789abcdef";

	memcpy(out, "token-", 6);
	for (size_t i = 0; i < BS_FP_LEN; i++) {
		out[6 + 2 * i] = digits[fp[i] >> 4];
		out[6 + 2 * i + 1] = digits[fp[i] & 15];
	}
	out[6 + 2 * BS_FP_LEN] = '\0';
}

static int get_token_of(struct ask *a, const struct bsdev_acl_user *u)
{
	const struct bsdev_storage *st = a->acl->conf->storage;
	char name[TOKEN_NAME_LEN];
	uint8_t token[TOKEN_MAX];
	bs_ssize n = 0;

	if (st == NULL)
		return BS_RPC_DEVICE_ERROR;
	if (u != NULL) {
		token_name(name, u->fp);
		n = st->get(st->ctx, name, token, sizeof(token));
	}
	if (n < 0 || n > TOKEN_MAX)
		n = 0;
	bsdev_write_u8(a->q, u != NULL ? BSDEV_ACL_OK : BSDEV_ACL_NO_USER);
	bsdev_write_raw(a->q, token, (size_t)n);
	return BS_RPC_OK;
}

static int set_token_of(struct ask *a, const struct bsdev_acl_user *u)
{
	const struct bsdev_storage *st = a->acl->conf->storage;
	char name[TOKEN_NAME_LEN];
	uint8_t status = BSDEV_ACL_NO_USER;
	size_t len;
	const uint8_t *token = bsdev_read_raw(a->q, &len);

	if (st == NULL)
		return BS_RPC_DEVICE_ERROR;
	if (token == NULL)
		return BS_RPC_REQUEST_SHORT;
	if (len > TOKEN_MAX)
		return BS_RPC_REQUEST_LONG;
	if (u != NULL) {
		token_name(name, u->fp);
		status = st->set(st->ctx, name, token, len) == BS_OK ? BSDEV_ACL_OK
								     : BSDEV_ACL_NOT_SAVED;
	}
	bsdev_write_u8(a->q, status);
	return BS_RPC_OK;
}

/** Whoever goes takes his token with him; when that fails it waits for nobody. */
static void forget_token(struct ask *a, const uint8_t *fp)
{
	const struct bsdev_storage *st = a->acl->conf->storage;
	char name[TOKEN_NAME_LEN];
	uint8_t none = 0;

	if (st == NULL)
		return;
	token_name(name, fp);
	if (st->get(st->ctx, name, &none, 1) > 0)
		(void)st->set(st->ctx, name, &none, 0);
}

static int get_token(struct ask *a)
{
	return get_token_of(a, bsdev__acl_find(a->acl, read_fp(a->q)));
}

static int get_my_token(struct ask *a)
{
	return get_token_of(a, a->me);
}

static int set_token(struct ask *a)
{
	return set_token_of(a, bsdev__acl_find(a->acl, read_fp(a->q)));
}

static int set_my_token(struct ask *a)
{
	return set_token_of(a, a->me);
}

static int remove_user(struct ask *a)
{
	const struct bsdev_acl_state old = a->acl->state;
	struct bsdev_acl_state *s = &a->acl->state;
	struct bsdev_acl_user *u = bsdev__acl_find(a->acl, read_fp(a->q));
	uint8_t status = BSDEV_ACL_NO_USER;
	size_t i;

	if (bsdev__query_is_bad(a->q))
		return BS_RPC_REQUEST_SHORT;
	if (u != NULL) {
		forget_token(a, u->fp);
		i = (size_t)(u - s->user);
		s->n--;
		memmove(u, u + 1, (s->n - i) * sizeof(*u));
		bs_wipe(&s->user[s->n], sizeof(*u));
		status = keep(a->acl, &old) == BSDEV_ACL_OK ? BSDEV_ACL_OK : BSDEV_ACL_NOT_REMOVED;
	}
	bsdev_write_u8(a->q, status);
	return BS_RPC_OK;
}

/* ---- the pairing secret */

/** 32 bytes that neither side could choose alone, and a number for them. */
static int fill_secret(struct ask *a, struct bsdev_acl_user *u, const uint8_t *theirs, size_t len)
{
	const struct bs_crypto *crypto = a->dev->core.crypto;
	const struct bs_slice msg = { theirs, len };
	uint8_t ours[BSDEV_ACL_SECRET_LEN];
	int err = crypto->random(crypto->ctx, ours, sizeof(ours));

	if (err == BS_OK)
		err = crypto->random(crypto->ctx, u->pair, sizeof(u->pair));
	if (err == BS_OK)
		err = crypto->hmac_sha256(crypto->ctx, ours, sizeof(ours), &msg, 1, u->secret);
	bs_wipe(ours, sizeof(ours));
	return err;
}

/**
 * Only over a session that the printed secret protects, and only until the client has shown that
 * it has the secret: a later one who knows what is printed cannot take a user's place.
 */
static int make_secret(struct ask *a)
{
	const struct bsdev_acl_state old = a->acl->state;
	size_t len;
	const uint8_t *theirs = bsdev_read_raw(a->q, &len);
	uint8_t status = BSDEV_ACL_OK;

	if (bsdev__peer_origin(&a->peer) != BSDEV_FROM_LOCAL_KEY || !is_pairing_open(a))
		return BS_RPC_FORBIDDEN;
	if (theirs == NULL || len < CLIENT_RANDOM_MIN)
		return BS_RPC_REQUEST_SHORT;
	if (a->me == NULL) {
		status = BSDEV_ACL_NO_USER;
	} else if ((a->me->flags & BSDEV__ACL_CONFIRMED) != 0) {
		status = BSDEV_ACL_EXISTS;
	} else {
		if (fill_secret(a, a->me, theirs, len) != BS_OK) {
			a->acl->state = old;
			return BS_RPC_DEVICE_ERROR;
		}
		a->me->flags |= BSDEV__ACL_HAS_SECRET;
		status = keep(a->acl, &old);
	}
	bsdev_write_u8(a->q, status);
	bsdev_write_raw(a->q, a->me != NULL ? a->me->pair : NULL,
			status == BSDEV_ACL_OK ? BSDEV_ACL_PAIR_LEN : 0);
	bsdev_write_raw(a->q, a->me != NULL ? a->me->secret : NULL,
			status == BSDEV_ACL_OK ? BSDEV_ACL_SECRET_LEN : 0);
	return BS_RPC_OK;
}

/** Whoever comes with his pairing secret has it: it is his from now on. */
static void confirm(struct ask *a)
{
	const struct bsdev_acl_state old = a->acl->state;

	if (a->me == NULL || (a->me->flags & BSDEV__ACL_HAS_SECRET) == 0 ||
	    (a->me->flags & BSDEV__ACL_CONFIRMED) != 0 ||
	    (bsdev__peer_origin(&a->peer) != BSDEV_FROM_LOCAL_USER && !a->peer.paired))
		return;
	a->me->flags |= BSDEV__ACL_CONFIRMED;
	(void)keep(a->acl, &old);
}

/* ---- which query is which */

static const struct {
	uint32_t id;
	enum need need;
	int (*run)(struct ask *a);
} queries[] = {
	{ Q_DEVICE_INFO, NEED_NOTHING, device_info },
	{ Q_SET_DEVICE_INFO, NEED_ADMIN, set_device_info },
	{ Q_USERS, NEED_USER, list_users },
	{ Q_PAIR, NEED_NOTHING, pair },
	{ Q_ME, NEED_USER, me },
	{ Q_SYSTEM, NEED_ADMIN, get_system },
	{ Q_SET_SYSTEM, NEED_ADMIN, set_system },
	{ Q_SET_RIGHTS, NEED_ADMIN, set_rights },
	{ Q_SET_NAME, NEED_ADMIN, set_name },
	{ Q_ADD, NEED_ADMIN, add },
	{ Q_REMOVE, NEED_ADMIN, remove_user },
	{ Q_TOKEN, NEED_ADMIN, get_token },
	{ Q_MY_TOKEN, NEED_WAY, get_my_token },
	{ Q_SET_TOKEN, NEED_ADMIN, set_token },
	{ Q_SET_MY_TOKEN, NEED_WAY, set_my_token },
	{ Q_MAKE_SECRET, NEED_NOTHING, make_secret },
};

static bool is_allowed(const struct ask *a, enum need need)
{
	switch (need) {
	case NEED_NOTHING: return true;
	case NEED_USER: return a->me != NULL;
	case NEED_WAY: return bsdev_acl_may(a->acl, &a->peer, 0);
	default: return bsdev_acl_may(a->acl, &a->peer, BSDEV_ACL_ADMIN);
	}
}

int bsdev_acl_query(struct bsdev_acl *acl, struct bsdev *dev, uint32_t query_id,
		    struct bsdev_query *q)
{
	struct ask a = { .acl = acl, .dev = dev, .q = q };

	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		if (queries[i].id != query_id)
			continue;
		bsdev_query_peer(q, &a.peer);
		a.me = bsdev__acl_find(acl, a.peer.fingerprint);
		confirm(&a);
		if (!is_allowed(&a, queries[i].need))
			return BS_RPC_FORBIDDEN;
		return queries[i].run(&a);
	}
	return BSDEV_ACL_OTHER;
}
