/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/gate_payload.h"

#include <string.h>

int bs_status_get(const struct bs_payload *pl, struct bs_status_text *st)
{
	if (pl->len < 2)
		return BS_ESHORT;
	st->code = bs_get_u16(pl->data);
	st->text.ptr = pl->data + 2;
	st->text.len = pl->len - 2u;
	return BS_OK;
}

void bs_status_put(struct bs_writer *w, const struct bs_status_text *st)
{
	size_t n = st->text.len;

	if (n > BS_STATUS_TEXT_MAX) {
		n = BS_STATUS_TEXT_MAX;
		/* Cut between characters: a receiver may insist on valid UTF-8. */
		while (n > 0 && (st->text.ptr[n] & 0xC0) == 0x80)
			n--;
	}
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_STATUS, 0, 2 + n);

	if (!p)
		return;
	bs_put_u16(p, st->code);
	if (n > 0)
		memcpy(p + 2, st->text.ptr, n);
}

/** Host names go into resolvers and logs of the other end: printable ASCII without space. */
static bool host_ok(const uint8_t *host, size_t len)
{
	if (len == 0 || len > BS_NODE_HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (host[i] < 0x21 || host[i] > 0x7E)
			return false;
	return true;
}

int bs_node_get(const struct bs_payload *pl, struct bs_node *n)
{
	if (pl->len < 3)
		return BS_ESHORT;
	uint16_t port = bs_get_u16(pl->data);

	if (port == 0 || !host_ok(pl->data + 2, pl->len - 2u))
		return BS_EFIELD;
	n->port = port;
	n->host.ptr = pl->data + 2;
	n->host.len = pl->len - 2u;
	return BS_OK;
}

void bs_node_put(struct bs_writer *w, const struct bs_node *n)
{
	if (n->port == 0 || !host_ok(n->host.ptr, n->host.len)) {
		w->bad = true;
		return;
	}
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_NODE, 0, 2 + n->host.len);

	if (!p)
		return;
	bs_put_u16(p, n->port);
	memcpy(p + 2, n->host.ptr, n->host.len);
}

int bs_nat_get(const struct bs_payload *pl, struct bs_nat *n)
{
	if (pl->len < 2)
		return BS_ESHORT;
	n->mapping = pl->data[0] <= BS_NAT_BY_PORT ? pl->data[0] : BS_NAT_UNKNOWN;
	n->filtering = pl->data[1] <= BS_NAT_BY_PORT ? pl->data[1] : BS_NAT_UNKNOWN;
	return BS_OK;
}

void bs_nat_put(struct bs_writer *w, const struct bs_nat *n)
{
	const uint8_t data[2] = { n->mapping, n->filtering };

	bs_packet_add(w, BS_PL_NAT, 0, data, sizeof(data));
}

/** Bytes of each value in PARAMS, by type; the length on the wire is two more. */
static const uint8_t param_len[] = { 0, 2, 8, 2, 4, 2, 2, 8, 0, 1, 4 };

static void param_read(struct bs_params *p, uint8_t type, const uint8_t *v)
{
	switch (type) {
	case BS_PARAM_KEEPALIVE: p->keepalive_s = bs_get_u16(v); break;
	case BS_PARAM_SERVER_TIME: p->server_time_ms = bs_get_u64(v); break;
	case BS_PARAM_PACKET_MAX: p->packet_max = bs_get_u16(v); break;
	case BS_PARAM_RETRY_AFTER: p->retry_after_ms = bs_get_u32(v); break;
	case BS_PARAM_TACTICS: p->tactics = bs_get_u16(v); break;
	case BS_PARAM_VERSIONS:
		p->version_min = v[0];
		p->version_max = v[1];
		break;
	case BS_PARAM_SINCE: p->since = bs_get_u64(v); break;
	case BS_PARAM_PATH: p->path = v[0]; break;
	case BS_PARAM_TICKET_LIFE: p->ticket_life_s = bs_get_u32(v); break;
	default: break; /* UNSUBSCRIBE has no value */
	}
	p->has = (uint16_t)(p->has | BS_PARAM_BIT(type));
}

int bs_params_get(const struct bs_payload *pl, struct bs_params *p)
{
	struct bs_params out;
	size_t off = 0;

	memset(&out, 0, sizeof(out));
	while (off < pl->len) {
		if (pl->len - off < 2)
			return BS_ESHORT;
		uint8_t type = pl->data[off];
		uint8_t len = pl->data[off + 1];

		if (len < 2 || len > pl->len - off)
			return BS_EFIELD;
		if (type >= BS_PARAM_KEEPALIVE && type < sizeof(param_len)) {
			if (len != param_len[type] + 2u)
				return BS_EFIELD;
			param_read(&out, type, pl->data + off + 2);
		}
		off += len;
	}
	*p = out;
	return BS_OK;
}

static void param_write(struct bs_writer *w, const struct bs_params *p, uint8_t type)
{
	switch (type) {
	case BS_PARAM_KEEPALIVE: bs_writer_put_u16(w, p->keepalive_s); break;
	case BS_PARAM_SERVER_TIME: bs_writer_put_u64(w, p->server_time_ms); break;
	case BS_PARAM_PACKET_MAX: bs_writer_put_u16(w, p->packet_max); break;
	case BS_PARAM_RETRY_AFTER: bs_writer_put_u32(w, p->retry_after_ms); break;
	case BS_PARAM_TACTICS: bs_writer_put_u16(w, p->tactics); break;
	case BS_PARAM_VERSIONS:
		bs_writer_put_u8(w, p->version_min);
		bs_writer_put_u8(w, p->version_max);
		break;
	case BS_PARAM_SINCE: bs_writer_put_u64(w, p->since); break;
	case BS_PARAM_PATH: bs_writer_put_u8(w, p->path); break;
	case BS_PARAM_TICKET_LIFE: bs_writer_put_u32(w, p->ticket_life_s); break;
	default: break;
	}
}

void bs_params_put(struct bs_writer *w, const struct bs_params *p)
{
	size_t off = bs_packet_open_payload(w, BS_PL_PARAMS, 0);

	for (uint8_t type = BS_PARAM_KEEPALIVE; type < sizeof(param_len); type++) {
		if (!(p->has & BS_PARAM_BIT(type)))
			continue;
		bs_writer_put_u8(w, type);
		bs_writer_put_u8(w, (uint8_t)(param_len[type] + 2));
		param_write(w, p, type);
	}
	bs_packet_close_payload(w, off);
}

/** Bytes of PRESENCE before the id. */
#define PRESENCE_FIXED 17

int bs_presence_get(const struct bs_payload *pl, struct bs_presence *p)
{
	if (pl->len < PRESENCE_FIXED + 1)
		return BS_ESHORT;
	if (!bs_device_id_ok(pl->data + PRESENCE_FIXED, pl->len - (size_t)PRESENCE_FIXED))
		return BS_EFIELD;
	p->event = bs_get_u64(pl->data);
	p->state = pl->data[8] <= BS_PRESENCE_UNKNOWN ? pl->data[8] : BS_PRESENCE_UNKNOWN;
	p->since_ms = bs_get_u64(pl->data + 9);
	p->id.ptr = pl->data + PRESENCE_FIXED;
	p->id.len = pl->len - (size_t)PRESENCE_FIXED;
	return BS_OK;
}

void bs_presence_put(struct bs_writer *w, const struct bs_presence *p)
{
	if (!bs_device_id_ok(p->id.ptr, p->id.len)) {
		w->bad = true;
		return;
	}
	uint8_t *b = bs_packet_add_reserve(w, BS_PL_PRESENCE, 0, PRESENCE_FIXED + p->id.len);

	if (!b)
		return;
	bs_put_u64(b, p->event);
	b[8] = p->state;
	bs_put_u64(b + 9, p->since_ms);
	memcpy(b + PRESENCE_FIXED, p->id.ptr, p->id.len);
}

static bool is_keyed(uint16_t suite)
{
	return suite == BS_SUITE_AES_CBC || suite == BS_SUITE_AES_GCM;
}

int bs_session_key_get(const struct bs_payload *pl, struct bs_session_key *k)
{
	if (pl->len < 2)
		return BS_ESHORT;
	uint16_t suite = bs_get_u16(pl->data);

	if (!is_keyed(suite) && suite != BS_SUITE_NULL)
		return BS_ESUITE;
	if (pl->len - 2u != (is_keyed(suite) ? BS_KEY_BLOCK_LEN : 0u))
		return BS_ESUITE;
	k->suite = suite;
	k->has_key = is_keyed(suite);
	if (k->has_key)
		memcpy(k->key.b, pl->data + 2, BS_KEY_BLOCK_LEN);
	return BS_OK;
}

void bs_session_key_put(struct bs_writer *w, const struct bs_session_key *k)
{
	/* A key under the NULL suite, or AES without one, is never sent. */
	if (k->has_key != is_keyed(k->suite)) {
		w->bad = true;
		return;
	}
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_SESSION_KEY, 0,
					   2u + (k->has_key ? BS_KEY_BLOCK_LEN : 0u));

	if (!p)
		return;
	bs_put_u16(p, k->suite);
	if (k->has_key)
		memcpy(p + 2, k->key.b, BS_KEY_BLOCK_LEN);
}

int bs_fixed_get(const struct bs_payload *pl, uint8_t *out, size_t len)
{
	if (pl->len != len)
		return BS_EFIELD;
	memcpy(out, pl->data, len);
	return BS_OK;
}
