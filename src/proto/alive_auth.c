/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/alive_auth.h"

#include <string.h>

enum {
	HEAD_LEN = 4,
	COUNTER_LEN = 4,
	MAC_LEN = 8,
	LEN_OFF = 14, /* of a packet's length field */
};

/* MAC = first bytes of HMAC(PRF(MAC key of the direction, "alive"), packet before the MAC). */
static int make_mac(const struct bs_crypto *c, const uint8_t *mac_key, const uint8_t *pkt,
		    size_t len, uint8_t *mac)
{
	static const uint8_t label[] = { 'a', 'l', 'i', 'v', 'e' };
	uint8_t key[BS_SHA256_LEN];
	uint8_t full[BS_SHA256_LEN];
	struct bs_slice part;
	int err;

	part.ptr = label;
	part.len = sizeof(label);
	err = c->hmac_sha256(c->ctx, mac_key, BS_SHA256_LEN, &part, 1, key);
	part.ptr = pkt;
	part.len = len;
	if (!err)
		err = c->hmac_sha256(c->ctx, key, sizeof(key), &part, 1, full);
	if (!err)
		memcpy(mac, full, MAC_LEN);
	bs_wipe(key, sizeof(key));
	bs_wipe(full, sizeof(full));
	return err;
}

bs_ssize bs_alive_auth_seal(const struct bs_crypto *c, const struct bs_key_block *c_key,
			    enum bs_role self, uint32_t *sent, uint8_t *pkt, size_t len, size_t cap)
{
	size_t all = len + BS_ALIVE_AUTH_LEN;
	uint8_t *pl = pkt + len;
	int err;

	if (all > cap || all > UINT16_MAX)
		return BS_ETOOBIG;
	if (*sent == UINT32_MAX)
		return BS_ESTATE;
	*sent += 1;
	pl[0] = BS_PL_ALIVE_AUTH;
	pl[1] = BS_PLF_OPTIONAL;
	bs_put_u16(pl + 2, BS_ALIVE_AUTH_LEN);
	bs_put_u32(pl + HEAD_LEN, *sent);
	bs_put_u16(pkt + LEN_OFF, (uint16_t)all);
	err = make_mac(c, bs_key_mac_tx(c_key, self), pkt, all - MAC_LEN, pkt + all - MAC_LEN);
	return err ? err : (bs_ssize)all;
}

int bs_alive_auth_open(const struct bs_crypto *c, const struct bs_key_block *c_key,
		       enum bs_role self, struct bs_window *seen, const struct bs_packet *p,
		       bool *newest)
{
	uint8_t mac[MAC_LEN];
	uint32_t counter;
	size_t off;
	int err = bs_payload_last(p, BS_PL_ALIVE_AUTH, &off);

	if (err)
		return err;
	if (p->len - off != BS_ALIVE_AUTH_LEN)
		return BS_EFIELD;
	counter = bs_get_u32(p->bytes + off + HEAD_LEN);
	/* Cheaper than the MAC, and all that a repeat costs. */
	if (counter == 0 || !bs_window_is_new(seen, counter))
		return BS_EREPLAY;
	err = make_mac(c, bs_key_mac_rx(c_key, self), p->bytes, p->len - MAC_LEN, mac);
	if (err)
		return err;
	if (!bs_equal_secret(mac, p->bytes + p->len - MAC_LEN, MAC_LEN))
		return BS_EMAC;
	*newest = bs_window_is_highest(seen, counter);
	return bs_window_take(seen, counter);
}
