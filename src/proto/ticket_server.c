/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ticket_server.h"

#include <string.h>

#include "util/cursor.h"

/*
 * A ticket: u8 form, u32 number of the key, 12 bytes nonce, the grant sealed, 16 bytes tag.  What
 * is readable is authenticated.
 */
enum {
	FORM = 1,
	CLEAR_LEN = 5,
	GRANT_OFF = CLEAR_LEN + BS_SEALED_NONCE_LEN,
	GRANT_LEN = BS_TICKET_LEN - GRANT_OFF - BS_SEALED_TAG_LEN,
};

/* A challenge: u8 port, u24 time, 16 bytes address, u16 port, MAC. */
enum {
	TIME_BITS = 24,
	SEEN_LEN = 22,
	MAC_LEN = BS_TICKET_SECRET_LEN - SEEN_LEN,
};

static void write_grant(struct bs_writer *w, const struct bs_ticket_grant *g)
{
	bs_writer_put_u8(w, g->direct);
	bs_writer_put_u8(w, g->serial_len);
	bs_writer_put_bytes(w, g->identity, BS_CLIENT_ID_MAX);
	bs_writer_put_bytes(w, g->key_fp, sizeof(g->key_fp));
	bs_writer_put_bytes(w, g->ca_fp, sizeof(g->ca_fp));
	bs_writer_put_bytes(w, g->issuer_hash, sizeof(g->issuer_hash));
	bs_writer_put_bytes(w, g->serial, sizeof(g->serial));
	bs_writer_put_u64(w, g->not_after_s);
	bs_writer_put_u64(w, g->expires_s);
	bs_writer_put_u64(w, g->access_epoch);
	bs_writer_put_u64(w, g->crl_epoch);
	bs_writer_put_u32(w, g->generation);
	bs_writer_put_bytes(w, g->ca_mark, sizeof(g->ca_mark));
	bs_writer_put_bytes(w, g->secret, sizeof(g->secret));
}

static void read_bytes(struct bs_cursor *c, void *out, size_t len)
{
	const uint8_t *p = bs_cursor_read_bytes(c, len);

	if (p)
		memcpy(out, p, len);
}

static int read_grant(const uint8_t *text, struct bs_ticket_grant *g)
{
	struct bs_cursor c;

	memset(g, 0, sizeof(*g));
	bs_cursor_init(&c, text, GRANT_LEN);
	g->direct = bs_cursor_read_u8(&c) != 0;
	g->serial_len = bs_cursor_read_u8(&c);
	read_bytes(&c, g->identity, BS_CLIENT_ID_MAX);
	read_bytes(&c, g->key_fp, sizeof(g->key_fp));
	read_bytes(&c, g->ca_fp, sizeof(g->ca_fp));
	read_bytes(&c, g->issuer_hash, sizeof(g->issuer_hash));
	read_bytes(&c, g->serial, sizeof(g->serial));
	g->not_after_s = bs_cursor_read_u64(&c);
	g->expires_s = bs_cursor_read_u64(&c);
	g->access_epoch = bs_cursor_read_u64(&c);
	g->crl_epoch = bs_cursor_read_u64(&c);
	g->generation = bs_cursor_read_u32(&c);
	read_bytes(&c, g->ca_mark, sizeof(g->ca_mark));
	read_bytes(&c, g->secret, sizeof(g->secret));
	return c.bad || g->serial_len > sizeof(g->serial) || g->identity[0] == '\0' ? BS_EFIELD
										    : BS_OK;
}

int bs_ticket_grant_seal(const struct bs_ticket_cipher *c, const uint8_t key[BS_TICKET_KEY_LEN],
			 uint32_t key_no, const struct bs_ticket_grant *g,
			 uint8_t out[BS_TICKET_LEN])
{
	uint8_t *nonce = out + CLEAR_LEN;
	struct bs_writer w;
	int err = c->crypto->random(c->crypto->ctx, nonce, BS_SEALED_NONCE_LEN);

	if (err != BS_OK)
		return err;
	out[0] = FORM;
	bs_put_u32(out + 1, key_no);
	bs_writer_init(&w, out + GRANT_OFF, GRANT_LEN);
	write_grant(&w, g);
	if (w.bad || w.len != GRANT_LEN)
		return BS_EINTERNAL;
	return c->aead->seal(c->ctx, key, nonce, (struct bs_slice){ out, CLEAR_LEN },
			     out + GRANT_OFF, GRANT_LEN, out + GRANT_OFF + GRANT_LEN);
}

bool bs_ticket_key_number(struct bs_slice ticket, uint32_t *key_no)
{
	if (ticket.len != BS_TICKET_LEN || ticket.ptr[0] != FORM)
		return false;
	*key_no = bs_get_u32(ticket.ptr + 1);
	return true;
}

int bs_ticket_grant_open(const struct bs_ticket_cipher *c, const uint8_t key[BS_TICKET_KEY_LEN],
			 struct bs_slice ticket, struct bs_ticket_grant *g)
{
	const uint8_t *at = ticket.ptr;
	uint8_t text[GRANT_LEN];
	int err;

	memcpy(text, at + GRANT_OFF, sizeof(text));
	err = c->aead->open(c->ctx, key, at + CLEAR_LEN, (struct bs_slice){ at, CLEAR_LEN }, text,
			    sizeof(text), at + GRANT_OFF + GRANT_LEN);
	if (err == BS_OK)
		err = read_grant(text, g);
	bs_wipe(text, sizeof(text));
	return err;
}

static int mac_of(const struct bs_crypto *c, const uint8_t key[BS_TICKET_KEY_LEN], uint32_t sp,
		  const uint8_t seen[SEEN_LEN], uint8_t out[BS_SHA256_LEN])
{
	uint8_t number[4];
	const struct bs_slice msg[] = { { number, sizeof(number) }, { seen, SEEN_LEN } };

	bs_put_u32(number, sp);
	return c->hmac_sha256(c->ctx, key, BS_TICKET_KEY_LEN, msg, 2, out);
}

int bs_ticket_challenge(const struct bs_crypto *c, const uint8_t key[BS_TICKET_KEY_LEN],
			uint32_t sp, const struct bs_ticket_seen *who, uint64_t now_ms,
			uint8_t out[BS_TICKET_SECRET_LEN])
{
	const uint32_t clock = (uint32_t)now_ms & ((UINT32_C(1) << TIME_BITS) - 1);
	uint8_t mac[BS_SHA256_LEN];
	int err;

	memset(out, 0, SEEN_LEN);
	bs_put_u32(out, (uint32_t)who->port << TIME_BITS | clock);
	memcpy(out + 4, who->ep.ip, sizeof(who->ep.ip));
	bs_put_u16(out + 20, who->ep.port);
	err = mac_of(c, key, sp, out, mac);
	if (err == BS_OK)
		memcpy(out + SEEN_LEN, mac, MAC_LEN);
	return err;
}

int bs_ticket_challenge_check(const struct bs_crypto *c, const uint8_t key[BS_TICKET_KEY_LEN],
			      uint32_t sp, const uint8_t in[BS_TICKET_SECRET_LEN], uint64_t now_ms,
			      uint32_t life_ms, struct bs_ticket_seen *who)
{
	const uint32_t mask = (UINT32_C(1) << TIME_BITS) - 1;
	uint8_t mac[BS_SHA256_LEN];
	uint32_t age;
	int err = mac_of(c, key, sp, in, mac);

	if (err != BS_OK)
		return err;
	if (!bs_equal_secret(mac, in + SEEN_LEN, MAC_LEN))
		return BS_EMAC;
	age = ((uint32_t)now_ms - bs_get_u32(in)) & mask;
	if (age > life_ms)
		return BS_ETIMEDOUT;
	memset(who, 0, sizeof(*who));
	who->port = in[0];
	who->age_ms = age;
	memcpy(who->ep.ip, in + 4, sizeof(who->ep.ip));
	who->ep.port = bs_get_u16(in + 20);
	return BS_OK;
}
