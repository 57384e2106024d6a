/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/gate.h"

#include <string.h>

/** Most payload types that one message knows. */
#define RULE_TYPES_MAX 10

/** What one message may hold: types, and how many of them (in front) must be there. */
struct rule {
	uint8_t type;
	bool answer;
	uint8_t n_must;
	uint8_t n;
	uint8_t types[RULE_TYPES_MAX];
};

/* In answers only STATUS is a must here: the rest depends on what the status says. */
static const struct rule rules[] = {
	{ BS_TYPE_HELLO, false, 3, 3, { BS_PL_VERSION, BS_PL_CAPABILITY, BS_PL_PARAMS } },
	{ BS_TYPE_HELLO,
	  true,
	  1,
	  6,
	  { BS_PL_STATUS, BS_PL_TOKEN, BS_PL_EP6, BS_PL_NODE, BS_PL_PARAMS, BS_PL_CAPABILITY } },
	{ BS_TYPE_CONNECT,
	  false,
	  3,
	  6,
	  { BS_PL_SP_ID, BS_PL_ATTEMPT, BS_PL_CAPABILITY, BS_PL_EP6, BS_PL_EXT, BS_PL_PAIR } },
	{ BS_TYPE_CONNECT,
	  true,
	  2,
	  10,
	  { BS_PL_STATUS, BS_PL_ATTEMPT, BS_PL_IPX, BS_PL_SESSION_KEY, BS_PL_RELAY_KEY, BS_PL_NAT,
	    BS_PL_EP6, BS_PL_GW, BS_PL_EXT, BS_PL_PARAMS } },
	{ BS_TYPE_DISCONNECT, false, 0, 1, { BS_PL_PARAMS } },
	{ BS_TYPE_DISCONNECT, true, 1, 1, { BS_PL_STATUS } },
	{ BS_TYPE_WATCH, false, 1, 2, { BS_PL_SP_ID, BS_PL_PARAMS } },
	{ BS_TYPE_WATCH, true, 1, 2, { BS_PL_STATUS, BS_PL_PRESENCE } },
	{ BS_TYPE_EVENT, false, 0, 2, { BS_PL_STATUS, BS_PL_PRESENCE } },
	{ BS_TYPE_REDIRECT, true, 1, 1, { BS_PL_NODE } },
	{ BS_TYPE_LIST, false, 0, 1, { BS_PL_CURSOR } },
	{ BS_TYPE_LIST, true, 1, 3, { BS_PL_STATUS, BS_PL_PRESENCE, BS_PL_CURSOR } },
	{ BS_TYPE_ERROR, false, 1, 2, { BS_PL_STATUS, BS_PL_PARAMS } },
	{ BS_TYPE_TICKET, false, 0, 0, { 0 } },
	{ BS_TYPE_TICKET,
	  true,
	  1,
	  5,
	  { BS_PL_STATUS, BS_PL_TICKET, BS_PL_TOKEN, BS_PL_PARAMS, BS_PL_EP6 } },
	{ BS_TYPE_PING, false, 0, 0, { 0 } },
	{ BS_TYPE_PING, true, 0, 0, { 0 } },
};

static const struct rule *rule_find(uint8_t type, bool answer)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].type == type && rules[i].answer == answer)
			return &rules[i];
	return NULL;
}

static unsigned rule_bit(const struct rule *r, uint8_t type)
{
	for (unsigned i = 0; i < r->n; i++)
		if (r->types[i] == type)
			return 1u << i;
	return 0;
}

/** Check header, direction and payload set of one message, and take its numbers. */
static int open_message(const struct bs_packet *p, uint8_t type, bool answer,
			struct bs_gate_head *h)
{
	const struct rule *r = rule_find(type, answer);
	struct bs_payload pl;
	unsigned seen = 0;
	size_t off = 0;

	if (!r || p->h.type != type || p->h.flags != (answer ? BS_FLAG_RESPONSE : 0))
		return BS_ETYPE;
	while (bs_payload_next(p, &off, &pl)) {
		unsigned bit = rule_bit(r, pl.type);

		if (bit == 0 && !(pl.flags & BS_PLF_OPTIONAL))
			return BS_EPAYLOAD;
		seen |= bit;
	}
	unsigned must = (1u << r->n_must) - 1;

	if ((seen & must) != must)
		return BS_EMISSING;
	h->cp = p->h.nsi_cp;
	h->sp = p->h.nsi_sp;
	h->seq = p->h.seq;
	return BS_OK;
}

static void begin(struct bs_writer *w, uint8_t *buf, size_t cap, uint8_t type, bool answer,
		  const struct bs_gate_head *h)
{
	struct bs_header hd = { .nsi_cp = h->cp,
				.nsi_sp = h->sp,
				.type = type,
				.version = BS_WIRE_VERSION,
				.flags = answer ? BS_FLAG_RESPONSE : 0,
				.seq = h->seq };

	bs_packet_begin(w, buf, cap < BS_GATE_PACKET_MAX ? cap : BS_GATE_PACKET_MAX, &hd);
}

/** An optional PARAMS: absent is all zero. */
static int find_params(const struct bs_packet *p, struct bs_params *out)
{
	struct bs_payload pl;

	memset(out, 0, sizeof(*out));
	return bs_payload_find(p, BS_PL_PARAMS, &pl) ? bs_params_get(&pl, out) : BS_OK;
}

static int find_status(const struct bs_packet *p, struct bs_status_text *out)
{
	struct bs_payload pl;

	return bs_payload_find(p, BS_PL_STATUS, &pl) ? bs_status_get(&pl, out) : BS_EMISSING;
}

static int find_fixed(const struct bs_packet *p, uint8_t type, uint8_t *out, size_t len)
{
	struct bs_payload pl;

	return bs_payload_find(p, type, &pl) ? bs_fixed_get(&pl, out, len) : BS_EMISSING;
}

static int find_caps(const struct bs_packet *p, struct bs_caps *out)
{
	struct bs_payload pl;

	return bs_payload_find(p, BS_PL_CAPABILITY, &pl) ? bs_caps_get(&pl, out) : BS_EMISSING;
}

/** SP_ID of kind 2 with a proper id. */
static int get_device_id(const struct bs_payload *pl, struct bs_slice *id)
{
	uint8_t kind;
	int err = bs_kind_text_get(pl, &kind, id);

	if (err != BS_OK)
		return err;
	return kind == 2 && bs_device_id_ok(id->ptr, id->len) ? BS_OK : BS_EFIELD;
}

bs_ssize bs_gate_frame_len(const uint8_t *buf, size_t len)
{
	if (len < BS_HEADER_MIN)
		return BS_EAGAIN;
	if (buf[9] != BS_WIRE_VERSION)
		return BS_EVERSION;
	uint16_t total = bs_get_u16(buf + 14);

	return total >= BS_HEADER_MIN && total <= BS_GATE_PACKET_MAX ? (bs_ssize)total : BS_ELENGTH;
}

int bs_gate_check(const struct bs_packet *p, bool *is_answer)
{
	if (p->h.flags & (uint8_t)~BS_FLAG_RESPONSE)
		return BS_EFIELD;
	bool answer = p->h.flags == BS_FLAG_RESPONSE;

	if (!rule_find(p->h.type, answer))
		return BS_ETYPE;
	*is_answer = answer;
	return BS_OK;
}

/* HELLO */

bs_ssize bs_gate_hello_encode(const struct bs_gate_hello *m, uint8_t *buf, size_t cap)
{
	struct bs_writer w;

	begin(&w, buf, cap, BS_TYPE_HELLO, false, &m->h);
	bs_version_put(&w, &m->version);
	bs_caps_put(&w, &m->caps);
	bs_params_put(&w, &m->params);
	return bs_packet_finish(&w);
}

int bs_gate_hello_decode(const struct bs_packet *p, struct bs_gate_hello *m)
{
	struct bs_gate_hello out;
	struct bs_payload pl;

	memset(&out, 0, sizeof(out));
	int err = open_message(p, BS_TYPE_HELLO, false, &out.h);

	if (err == BS_OK)
		err = bs_payload_find(p, BS_PL_VERSION, &pl) ? bs_version_get(&pl, &out.version)
							     : BS_EMISSING;
	if (err == BS_OK)
		err = find_caps(p, &out.caps);
	if (err == BS_OK)
		err = find_params(p, &out.params);
	if (err != BS_OK)
		return err;
	/* Without its versions a client cannot be told from one of another age. */
	if (out.version.kind != 1 || !(out.params.has & BS_PARAM_BIT(BS_PARAM_VERSIONS)))
		return BS_EFIELD;
	*m = out;
	return BS_OK;
}

bs_ssize bs_gate_hello_answer_encode(const struct bs_gate_hello_answer *m, uint8_t *buf, size_t cap)
{
	struct bs_writer w;

	begin(&w, buf, cap, BS_TYPE_HELLO, true, &m->h);
	bs_status_put(&w, &m->status);
	if (m->status.code == BS_ST_OK) {
		struct bs_ep6 observed = { .ep = m->observed, .kind = BS_EP6_OBSERVED };

		bs_packet_add(&w, BS_PL_TOKEN, 0, m->token, sizeof(m->token));
		for (size_t i = 0; i < m->n_probes && i < BS_GATE_PROBES_MAX; i++) {
			struct bs_ep6 ep = { .ep = m->probes[i], .kind = BS_EP6_SERVER };

			bs_ep6_put(&w, &ep);
		}
		bs_ep6_put(&w, &observed);
		bs_node_put(&w, &m->node);
		bs_caps_put(&w, &m->caps);
	}
	bs_params_put(&w, &m->params);
	return bs_packet_finish(&w);
}

/** The endpoints of a HELLO answer; more of ours than we keep are left out. */
static int hello_endpoints(const struct bs_packet *p, struct bs_gate_hello_answer *out)
{
	struct bs_payload pl;
	size_t off = 0;
	bool observed = false;

	while (bs_payload_next(p, &off, &pl)) {
		struct bs_ep6 ep;

		if (pl.type != BS_PL_EP6)
			continue;
		int err = bs_ep6_get(&pl, &ep);

		if (err != BS_OK)
			return err;
		if (ep.kind == BS_EP6_SERVER && out->n_probes < BS_GATE_PROBES_MAX) {
			out->probes[out->n_probes++] = ep.ep;
		} else if (ep.kind == BS_EP6_OBSERVED) {
			out->observed = ep.ep;
			observed = true;
		}
	}
	return observed && out->n_probes > 0 ? BS_OK : BS_EMISSING;
}

static int hello_answer_ok(const struct bs_packet *p, struct bs_gate_hello_answer *out)
{
	struct bs_payload pl;
	int err = find_fixed(p, BS_PL_TOKEN, out->token, sizeof(out->token));

	if (err == BS_OK)
		err = hello_endpoints(p, out);
	if (err == BS_OK)
		err = bs_payload_find(p, BS_PL_NODE, &pl) ? bs_node_get(&pl, &out->node)
							  : BS_EMISSING;
	if (err == BS_OK)
		err = find_caps(p, &out->caps);
	if (err == BS_OK && out->params.has == 0)
		err = BS_EMISSING;
	return err;
}

int bs_gate_hello_answer_decode(const struct bs_packet *p, struct bs_gate_hello_answer *m)
{
	struct bs_gate_hello_answer out;

	memset(&out, 0, sizeof(out));
	int err = open_message(p, BS_TYPE_HELLO, true, &out.h);

	if (err == BS_OK)
		err = find_status(p, &out.status);
	if (err == BS_OK)
		err = find_params(p, &out.params);
	if (err == BS_OK && out.status.code == BS_ST_OK)
		err = hello_answer_ok(p, &out);
	if (err == BS_OK)
		*m = out;
	return err;
}

/* CONNECT */

bs_ssize bs_gate_connect_encode(const struct bs_gate_connect *m, uint8_t *buf, size_t cap)
{
	struct bs_writer w;

	if (!bs_device_id_ok(m->device.ptr, m->device.len))
		return BS_EINVAL;
	begin(&w, buf, cap, BS_TYPE_CONNECT, false, &m->h);
	bs_kind_text_put(&w, BS_PL_SP_ID, 0, 2, m->device);
	bs_packet_add(&w, BS_PL_ATTEMPT, 0, m->attempt, sizeof(m->attempt));
	bs_caps_put(&w, &m->caps);
	if (m->ext != 0)
		bs_ext_put(&w, &(struct bs_ext_offer){ .bits = m->ext });
	if (m->has_pair)
		bs_packet_add(&w, BS_PL_PAIR, BS_PLF_OPTIONAL, m->pair, sizeof(m->pair));
	for (size_t i = 0; i < m->n_hosts && i < BS_GATE_HOSTS_MAX; i++)
		bs_ep6_put(&w, &m->hosts[i]);
	return bs_packet_finish(&w);
}

/** EXT and PAIR of a request; a PAIR that cannot be one must not count as absent. */
static int find_conn_ext(const struct bs_packet *p, struct bs_gate_connect *out)
{
	struct bs_ext_offer ext;
	struct bs_payload pl;
	int err = BS_OK;

	if (bs_payload_find(p, BS_PL_EXT, &pl)) {
		err = bs_ext_get(&pl, &ext);
		if (err == BS_OK)
			out->ext = ext.bits;
	}
	if (err == BS_OK && bs_payload_find(p, BS_PL_PAIR, &pl)) {
		err = bs_fixed_get(&pl, out->pair, sizeof(out->pair));
		out->has_pair = err == BS_OK;
	}
	return err;
}

int bs_gate_connect_decode(const struct bs_packet *p, struct bs_gate_connect *m)
{
	struct bs_gate_connect out;
	struct bs_payload pl;
	size_t off = 0;

	memset(&out, 0, sizeof(out));
	int err = open_message(p, BS_TYPE_CONNECT, false, &out.h);

	if (err == BS_OK)
		err = bs_payload_find(p, BS_PL_SP_ID, &pl) ? get_device_id(&pl, &out.device)
							   : BS_EMISSING;
	if (err == BS_OK)
		err = find_fixed(p, BS_PL_ATTEMPT, out.attempt, sizeof(out.attempt));
	if (err == BS_OK)
		err = find_caps(p, &out.caps);
	if (err == BS_OK)
		err = find_conn_ext(p, &out);
	while (err == BS_OK && bs_payload_next(p, &off, &pl)) {
		if (pl.type != BS_PL_EP6)
			continue;
		if (out.n_hosts == BS_GATE_HOSTS_MAX)
			return BS_EFIELD;
		err = bs_ep6_get(&pl, &out.hosts[out.n_hosts]);
		if (err == BS_OK && out.hosts[out.n_hosts++].kind != BS_EP6_HOST)
			err = BS_EFIELD;
	}
	if (err == BS_OK)
		*m = out;
	return err;
}

bs_ssize bs_gate_connect_answer_encode(const struct bs_gate_connect_answer *m, uint8_t *buf,
				       size_t cap)
{
	struct bs_writer w;
	bool ok = m->status.code == BS_ST_OK;

	begin(&w, buf, cap, BS_TYPE_CONNECT, true, &m->h);
	if (ok)
		bs_ipx_put(&w, &m->ipx);
	bs_status_put(&w, &m->status);
	bs_packet_add(&w, BS_PL_ATTEMPT, 0, m->attempt, sizeof(m->attempt));
	if (ok) {
		bs_session_key_put(&w, &m->key);
		bs_packet_add(&w, BS_PL_RELAY_KEY, 0, m->relay_key, sizeof(m->relay_key));
		bs_nat_put(&w, &m->nat);
		for (size_t i = 0; i < m->n_eps && i < BS_GATE_EPS_MAX; i++)
			bs_ep6_put(&w, &m->eps[i]);
		if (m->gw.len > 0)
			bs_packet_add(&w, BS_PL_GW, 0, m->gw.ptr, m->gw.len);
		if (m->has_ext)
			bs_ext_put(&w, &m->ext);
	}
	if (m->params.has != 0)
		bs_params_put(&w, &m->params);
	return bs_packet_finish(&w);
}

/** IPX must be the first payload and the 33-byte form. */
static int connect_ipx(const struct bs_packet *p, struct bs_ipx *ipx)
{
	struct bs_payload pl;
	size_t off = 0;

	if (!bs_payload_next(p, &off, &pl) || pl.type != BS_PL_IPX)
		return BS_EMISSING;
	int err = bs_ipx_get(&pl, ipx);

	if (err != BS_OK)
		return err;
	return ipx->has_full ? BS_OK : BS_EFIELD;
}

/** Endpoints and the optional parts; endpoints beyond what we keep are left out. */
static int connect_rest(const struct bs_packet *p, struct bs_gate_connect_answer *out)
{
	struct bs_payload pl;
	size_t off = 0;

	while (bs_payload_next(p, &off, &pl)) {
		int err = BS_OK;

		if (pl.type == BS_PL_EP6 && out->n_eps < BS_GATE_EPS_MAX) {
			err = bs_ep6_get(&pl, &out->eps[out->n_eps]);
			if (err == BS_OK)
				out->n_eps++;
		} else if (pl.type == BS_PL_GW && out->gw.len == 0) {
			out->gw.ptr = pl.data;
			out->gw.len = pl.len;
		} else if (pl.type == BS_PL_EXT && !out->has_ext) {
			err = bs_ext_get(&pl, &out->ext);
			out->has_ext = err == BS_OK;
		}
		if (err != BS_OK)
			return err;
	}
	return BS_OK;
}

static int connect_answer_ok(const struct bs_packet *p, struct bs_gate_connect_answer *out)
{
	struct bs_payload pl;
	int err = connect_ipx(p, &out->ipx);

	if (err == BS_OK)
		err = bs_payload_find(p, BS_PL_SESSION_KEY, &pl)
			      ? bs_session_key_get(&pl, &out->key)
			      : BS_EMISSING;
	if (err == BS_OK)
		err = find_fixed(p, BS_PL_RELAY_KEY, out->relay_key, sizeof(out->relay_key));
	if (err == BS_OK)
		err = bs_payload_find(p, BS_PL_NAT, &pl) ? bs_nat_get(&pl, &out->nat) : BS_EMISSING;
	if (err == BS_OK)
		err = connect_rest(p, out);
	return err;
}

int bs_gate_connect_answer_decode(const struct bs_packet *p, struct bs_gate_connect_answer *m)
{
	int err;

	/* Decoded in place, unlike the others: the key must not lie about in a second copy. */
	memset(m, 0, sizeof(*m));
	err = open_message(p, BS_TYPE_CONNECT, true, &m->h);
	if (err == BS_OK)
		err = find_status(p, &m->status);
	if (err == BS_OK)
		err = find_fixed(p, BS_PL_ATTEMPT, m->attempt, sizeof(m->attempt));
	if (err == BS_OK)
		err = find_params(p, &m->params);
	if (err == BS_OK && m->status.code == BS_ST_OK)
		err = connect_answer_ok(p, m);
	return err;
}

/* DISCONNECT */

bs_ssize bs_gate_disconnect_encode(const struct bs_gate_disconnect *m, uint8_t *buf, size_t cap)
{
	struct bs_writer w;
	bool answer = m->status.code != 0;

	begin(&w, buf, cap, BS_TYPE_DISCONNECT, answer, &m->h);
	if (answer)
		bs_status_put(&w, &m->status);
	else if (m->params.has != 0)
		bs_params_put(&w, &m->params);
	return bs_packet_finish(&w);
}

int bs_gate_disconnect_decode(const struct bs_packet *p, struct bs_gate_disconnect *m)
{
	struct bs_gate_disconnect out;
	bool answer = p->h.flags == BS_FLAG_RESPONSE;

	memset(&out, 0, sizeof(out));
	int err = open_message(p, BS_TYPE_DISCONNECT, answer, &out.h);

	if (err == BS_OK)
		err = answer ? find_status(p, &out.status) : find_params(p, &out.params);
	if (err == BS_OK)
		*m = out;
	return err;
}

/* WATCH and LIST */

bs_ssize bs_gate_watch_encode(const struct bs_gate_watch *m, uint8_t *buf, size_t cap)
{
	struct bs_writer w;

	if (m->n_ids == 0 || m->n_ids > BS_GATE_WATCH_MAX)
		return BS_EINVAL;
	begin(&w, buf, cap, BS_TYPE_WATCH, false, &m->h);
	for (size_t i = 0; i < m->n_ids; i++)
		bs_kind_text_put(&w, BS_PL_SP_ID, 0, 2, m->ids[i]);
	if (m->params.has != 0)
		bs_params_put(&w, &m->params);
	return bs_packet_finish(&w);
}

int bs_gate_watch_decode(const struct bs_packet *p, struct bs_gate_watch *m)
{
	struct bs_gate_watch out;
	struct bs_payload pl;
	size_t off = 0;

	memset(&out, 0, sizeof(out));
	int err = open_message(p, BS_TYPE_WATCH, false, &out.h);

	if (err == BS_OK)
		err = find_params(p, &out.params);
	while (err == BS_OK && bs_payload_next(p, &off, &pl)) {
		if (pl.type != BS_PL_SP_ID)
			continue;
		if (out.n_ids == BS_GATE_WATCH_MAX)
			return BS_EFIELD;
		err = get_device_id(&pl, &out.ids[out.n_ids++]);
	}
	if (err == BS_OK)
		*m = out;
	return err;
}

bs_ssize bs_gate_list_encode(const struct bs_gate_list *m, uint8_t *buf, size_t cap)
{
	struct bs_writer w;

	begin(&w, buf, cap, BS_TYPE_LIST, false, &m->h);
	if (m->cursor.len > 0)
		bs_packet_add(&w, BS_PL_CURSOR, 0, m->cursor.ptr, m->cursor.len);
	return bs_packet_finish(&w);
}

/** An optional CURSOR; an empty one says nothing and is refused. */
static int find_cursor(const struct bs_packet *p, struct bs_slice *out)
{
	struct bs_payload pl;

	if (!bs_payload_find(p, BS_PL_CURSOR, &pl))
		return BS_OK;
	if (pl.len == 0)
		return BS_EFIELD;
	out->ptr = pl.data;
	out->len = pl.len;
	return BS_OK;
}

int bs_gate_list_decode(const struct bs_packet *p, struct bs_gate_list *m)
{
	struct bs_gate_list out;

	memset(&out, 0, sizeof(out));
	int err = open_message(p, BS_TYPE_LIST, false, &out.h);

	if (err == BS_OK)
		err = find_cursor(p, &out.cursor);
	if (err == BS_OK)
		*m = out;
	return err;
}

void bs_gate_list_answer_begin(struct bs_writer *w, uint8_t *buf, size_t cap, uint8_t type,
			       const struct bs_gate_head *h, const struct bs_status_text *status)
{
	begin(w, buf, cap, type, true, h);
	bs_status_put(w, status);
}

bs_ssize bs_gate_list_answer_end(struct bs_writer *w, struct bs_slice cursor)
{
	if (cursor.len > 0)
		bs_packet_add(w, BS_PL_CURSOR, 0, cursor.ptr, cursor.len);
	return bs_packet_finish(w);
}

int bs_gate_list_answer_decode(const struct bs_packet *p, struct bs_gate_list_answer *m)
{
	struct bs_gate_list_answer out;
	uint8_t type = p->h.type == BS_TYPE_LIST ? BS_TYPE_LIST : BS_TYPE_WATCH;

	memset(&out, 0, sizeof(out));
	int err = open_message(p, type, true, &out.h);

	if (err == BS_OK)
		err = find_status(p, &out.status);
	if (err == BS_OK)
		err = find_cursor(p, &out.cursor);
	if (err == BS_OK)
		*m = out;
	return err;
}

/* EVENT, PING, ERROR, REDIRECT */

bs_ssize bs_gate_event_encode(const struct bs_gate_event *m, const struct bs_presence *pr, size_t n,
			      uint8_t *buf, size_t cap)
{
	struct bs_writer w;

	begin(&w, buf, cap, BS_TYPE_EVENT, false, &m->h);
	if (m->has_status)
		bs_status_put(&w, &m->status);
	for (size_t i = 0; i < n; i++)
		bs_presence_put(&w, &pr[i]);
	return bs_packet_finish(&w);
}

int bs_gate_event_decode(const struct bs_packet *p, struct bs_gate_event *m)
{
	struct bs_gate_event out;
	struct bs_payload pl;

	memset(&out, 0, sizeof(out));
	int err = open_message(p, BS_TYPE_EVENT, false, &out.h);

	if (err != BS_OK)
		return err;
	out.has_status = bs_payload_find(p, BS_PL_STATUS, &pl);
	if (out.has_status)
		err = bs_status_get(&pl, &out.status);
	else if (!bs_payload_find(p, BS_PL_PRESENCE, &pl))
		err = BS_EMISSING;
	if (err == BS_OK)
		*m = out;
	return err;
}

bool bs_gate_presence_next(const struct bs_packet *p, size_t *off, struct bs_presence *out)
{
	struct bs_payload pl;

	while (bs_payload_next(p, off, &pl))
		if (pl.type == BS_PL_PRESENCE && bs_presence_get(&pl, out) == BS_OK)
			return true;
	return false;
}

int bs_gate_bare_decode(const struct bs_packet *p, uint8_t type, struct bs_gate_head *h)
{
	return open_message(p, type, false, h);
}

bs_ssize bs_gate_ping_encode(const struct bs_gate_head *h, bool is_answer, uint8_t *buf, size_t cap)
{
	struct bs_writer w;

	begin(&w, buf, cap, BS_TYPE_PING, is_answer, h);
	return bs_packet_finish(&w);
}

bs_ssize bs_gate_error_encode(const struct bs_gate_error *m, uint8_t *buf, size_t cap)
{
	struct bs_writer w;

	begin(&w, buf, cap, BS_TYPE_ERROR, false, &m->h);
	bs_status_put(&w, &m->status);
	if (m->params.has != 0)
		bs_params_put(&w, &m->params);
	return bs_packet_finish(&w);
}

int bs_gate_error_decode(const struct bs_packet *p, struct bs_gate_error *m)
{
	struct bs_gate_error out;

	memset(&out, 0, sizeof(out));
	int err = open_message(p, BS_TYPE_ERROR, false, &out.h);

	if (err == BS_OK)
		err = find_status(p, &out.status);
	if (err == BS_OK)
		err = find_params(p, &out.params);
	if (err == BS_OK)
		*m = out;
	return err;
}

bs_ssize bs_gate_redirect_encode(const struct bs_gate_redirect *m, uint8_t *buf, size_t cap)
{
	struct bs_writer w;

	begin(&w, buf, cap, BS_TYPE_REDIRECT, true, &m->h);
	bs_node_put(&w, &m->node);
	return bs_packet_finish(&w);
}

int bs_gate_redirect_decode(const struct bs_packet *p, struct bs_gate_redirect *m)
{
	struct bs_gate_redirect out;
	struct bs_payload pl;

	memset(&out, 0, sizeof(out));
	int err = open_message(p, BS_TYPE_REDIRECT, true, &out.h);

	if (err == BS_OK)
		err = bs_payload_find(p, BS_PL_NODE, &pl) ? bs_node_get(&pl, &out.node)
							  : BS_EMISSING;
	if (err == BS_OK)
		*m = out;
	return err;
}

/* TICKET */

bs_ssize bs_gate_ticket_answer_encode(const struct bs_gate_ticket_answer *m, uint8_t *buf,
				      size_t cap)
{
	const bool ok = m->status.code == BS_ST_OK;
	struct bs_writer w;

	begin(&w, buf, cap, BS_TYPE_TICKET, true, &m->h);
	bs_status_put(&w, &m->status);
	if (ok)
		bs_packet_add(&w, BS_PL_TICKET, 0, m->ticket.ptr, m->ticket.len);
	if (ok || m->status.code == BS_ST_PENDING) {
		bs_packet_add(&w, BS_PL_TOKEN, 0, m->token, sizeof(m->token));
		bs_params_put(&w, &m->params);
		for (size_t i = 0; i < m->n_eps && i < BS_GATE_PROBES_MAX; i++)
			bs_ep6_put(&w, &(struct bs_ep6){ .ep = m->eps[i],
							 .kind = ok ? BS_EP6_SERVER
								    : BS_EP6_OBSERVED });
	}
	return bs_packet_finish(&w);
}

/** What a ticket or a challenge comes with. */
static int ticket_rest(const struct bs_packet *p, bool ok, struct bs_gate_ticket_answer *out)
{
	const uint8_t kind = ok ? BS_EP6_SERVER : BS_EP6_OBSERVED;
	struct bs_ep6 eps[BS_GATE_PROBES_MAX];
	struct bs_payload pl;
	int err = find_fixed(p, BS_PL_TOKEN, out->token, sizeof(out->token));

	if (err == BS_OK)
		err = find_params(p, &out->params);
	if (err != BS_OK)
		return err;
	out->n_eps = (uint8_t)bs_ep6_collect(p, kind, eps, BS_GATE_PROBES_MAX);
	for (size_t i = 0; i < out->n_eps; i++)
		out->eps[i] = eps[i].ep;
	if (out->n_eps == 0 || !(out->params.has & BS_PARAM_BIT(BS_PARAM_SERVER_TIME)))
		return BS_EMISSING;
	if (!ok)
		return BS_OK;
	if (!bs_payload_find(p, BS_PL_TICKET, &pl) ||
	    !(out->params.has & BS_PARAM_BIT(BS_PARAM_TICKET_LIFE)))
		return BS_EMISSING;
	out->ticket = (struct bs_slice){ pl.data, pl.len };
	return pl.len > 0 && pl.len <= BS_GATE_TICKET_MAX ? BS_OK : BS_EFIELD;
}

int bs_gate_ticket_answer_decode(const struct bs_packet *p, struct bs_gate_ticket_answer *m)
{
	struct bs_gate_ticket_answer out;

	memset(&out, 0, sizeof(out));
	int err = open_message(p, BS_TYPE_TICKET, true, &out.h);

	if (err == BS_OK)
		err = find_status(p, &out.status);
	if (err == BS_OK && (out.status.code == BS_ST_OK || out.status.code == BS_ST_PENDING))
		err = ticket_rest(p, out.status.code == BS_ST_OK, &out);
	if (err == BS_OK)
		*m = out;
	return err;
}
