/* SPDX-License-Identifier: Apache-2.0 */
/* The access list as bytes: what the storage hook keeps. */
#include <string.h>

#include "acl.h"
#include "crypto/crypto.h"
#include "util/cursor.h"

/** Name of the list in the storage hook. */
static const char acl_name[] = "acl";
/** First bytes, and the version of what follows. */
static const uint8_t magic[4] = { 'B', 'S', 'A', 'C' };
#define IMAGE_VERSION 1

/** Largest image: head, device name, users with full names. */
#define USER_MAX                                                                                   \
 (BS_FP_LEN + 4 + 1 + BSDEV_ACL_PAIR_LEN + BSDEV_ACL_SECRET_LEN + 1 + BSDEV_ACL_NAME_MAX)
#define IMAGE_MAX                                                                                  \
 (sizeof(magic) + 1 + 4 + 4 + 1 + BSDEV_ACL_NAME_MAX + 1 + USER_MAX * BSDEV_ACL_USERS_MAX)

static void put_text(struct bs_writer *w, const char *s)
{
	const size_t len = strlen(s);

	bs_writer_put_u8(w, (uint8_t)len);
	bs_writer_put_bytes(w, s, len);
}

static void get_text(struct bs_cursor *c, char *out)
{
	const size_t len = bs_cursor_read_u8(c);
	const uint8_t *p = bs_cursor_read_bytes(c, len);

	if (p == NULL || len > BSDEV_ACL_NAME_MAX || memchr(p, 0, len) != NULL) {
		c->bad = true;
		return;
	}
	bsdev__acl_set_name(out, p, len);
}

static void get_bytes(struct bs_cursor *c, uint8_t *out, size_t len)
{
	const uint8_t *p = bs_cursor_read_bytes(c, len);

	if (p != NULL)
		memcpy(out, p, len);
}

static void get_user(struct bs_cursor *c, struct bsdev_acl_user *u)
{
	get_bytes(c, u->fp, sizeof(u->fp));
	u->rights = bs_cursor_read_u32(c);
	u->flags = bs_cursor_read_u8(c);
	get_bytes(c, u->pair, sizeof(u->pair));
	get_bytes(c, u->secret, sizeof(u->secret));
	get_text(c, u->name);
	u->name_len = (uint8_t)strlen(u->name);
}

static int decode(const uint8_t *image, size_t len, struct bsdev_acl_state *s)
{
	struct bs_cursor c;
	const uint8_t *head;

	memset(s, 0, sizeof(*s));
	bs_cursor_init(&c, image, len);
	head = bs_cursor_read_bytes(&c, sizeof(magic));
	if (head == NULL || memcmp(head, magic, sizeof(magic)) != 0 ||
	    bs_cursor_read_u8(&c) != IMAGE_VERSION)
		return BS_ECORRUPT;
	s->system = bs_cursor_read_u32(&c);
	s->default_user = bs_cursor_read_u32(&c);
	get_text(&c, s->name);
	s->n = bs_cursor_read_u8(&c);
	if (s->n > BSDEV_ACL_USERS_MAX)
		return BS_ECORRUPT;
	for (unsigned i = 0; i < s->n; i++)
		get_user(&c, &s->user[i]);
	return c.bad || bs_cursor_left(&c) > 0 ? BS_ECORRUPT : BS_OK;
}

int bsdev__acl_load(struct bsdev_acl *acl)
{
	const struct bsdev_storage *st = acl->conf->storage;
	struct bsdev_acl_state fresh;
	uint8_t image[IMAGE_MAX];
	bs_ssize n = st != NULL ? st->get(st->ctx, acl_name, image, sizeof(image)) : BS_ENOENT;
	int err;

	if (n == BS_ENOENT)
		return BS_OK;
	if (n < 0)
		err = (int)n;
	else
		err = (size_t)n > sizeof(image) ? BS_ECORRUPT : decode(image, (size_t)n, &fresh);
	/* An unreadable list must not open the device to the next one who pairs. */
	if (err != BS_OK)
		memset(&acl->state, 0, sizeof(acl->state));
	else
		acl->state = fresh;
	bs_wipe(image, sizeof(image));
	return err;
}

int bsdev__acl_save(const struct bsdev_acl *acl)
{
	const struct bsdev_storage *st = acl->conf->storage;
	const struct bsdev_acl_state *s = &acl->state;
	uint8_t image[IMAGE_MAX];
	struct bs_writer w;
	int err;

	if (st == NULL)
		return BS_OK;
	bs_writer_init(&w, image, sizeof(image));
	bs_writer_put_bytes(&w, magic, sizeof(magic));
	bs_writer_put_u8(&w, IMAGE_VERSION);
	bs_writer_put_u32(&w, s->system);
	bs_writer_put_u32(&w, s->default_user);
	put_text(&w, s->name);
	bs_writer_put_u8(&w, s->n);
	for (unsigned i = 0; i < s->n; i++) {
		const struct bsdev_acl_user *u = &s->user[i];

		bs_writer_put_bytes(&w, u->fp, sizeof(u->fp));
		bs_writer_put_u32(&w, u->rights);
		bs_writer_put_u8(&w, u->flags);
		bs_writer_put_bytes(&w, u->pair, sizeof(u->pair));
		bs_writer_put_bytes(&w, u->secret, sizeof(u->secret));
		put_text(&w, u->name);
	}
	err = w.bad ? BS_ETOOBIG : st->set(st->ctx, acl_name, image, w.len);
	bs_wipe(image, sizeof(image));
	return err;
}
