/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/alive.h"

#include <string.h>

/* TIME: kind, Unix time.  PIGGY: four zero bytes, then the records. */
enum {
	TIME_KIND = 1,
	TIME_LEN = 5,
	PIGGY_HEAD_LEN = 4
};

int bs_alive_request_decode(const struct bs_packet *p, struct bs_alive_request *m)
{
	struct bs_payload pl;
	size_t off = 0;

	if (p->h.type != BS_TYPE_U_ALIVE || p->h.flags)
		return BS_ETYPE;
	memset(m, 0, sizeof(*m));
	m->nsi = p->h.nsi_sp;
	m->seq = p->h.seq;
	/* Only a leading TIME counts. */
	if (bs_payload_next(p, &off, &pl) && pl.type == BS_PL_TIME && pl.len >= TIME_LEN) {
		m->has_time = true;
		m->unix_s = bs_get_u32(pl.data + 1);
	}
	m->interval_s = bs_interval_find(p);
	return BS_OK;
}

bs_ssize bs_alive_request_encode(uint8_t *buf, size_t cap, const struct bs_alive_request *m)
{
	struct bs_writer w;
	uint8_t *t;

	bs_packet_start(&w, buf, cap, BS_TYPE_U_ALIVE, 0, m->nsi, m->seq);
	if (m->has_time) {
		t = bs_packet_add_reserve(&w, BS_PL_TIME, 0, TIME_LEN);
		if (t) {
			t[0] = TIME_KIND;
			bs_put_u32(t + 1, m->unix_s);
		}
	}
	bs_interval_put(&w, m->interval_s);
	return bs_packet_finish(&w);
}

int bs_alive_answer_decode(const struct bs_packet *p, struct bs_alive_answer *m)
{
	struct bs_notify notify;
	struct bs_payload pl;
	int err;

	if (p->h.type != BS_TYPE_U_ALIVE || p->h.flags != BS_FLAG_RESPONSE)
		return BS_ETYPE;
	if (!bs_payload_find(p, BS_PL_NOTIFY, &pl))
		return BS_EMISSING;
	err = bs_notify_get(&pl, &notify);
	if (err)
		return err;
	if (notify.code != BS_ST_OK)
		return BS_EFIELD;
	memset(m, 0, sizeof(*m));
	m->nsi = p->h.nsi_sp;
	m->seq = p->h.seq;
	if (bs_payload_find(p, BS_PL_PIGGY, &pl) && pl.len >= PIGGY_HEAD_LEN) {
		m->has_events = true;
		m->events.ptr = pl.data + PIGGY_HEAD_LEN;
		m->events.len = (size_t)pl.len - PIGGY_HEAD_LEN;
	}
	return BS_OK;
}

bs_ssize bs_alive_answer_encode(uint8_t *buf, size_t cap, const struct bs_alive_answer *m)
{
	struct bs_writer w;
	size_t off;

	bs_packet_start(&w, buf, cap, BS_TYPE_U_ALIVE, BS_FLAG_RESPONSE, m->nsi, m->seq);
	bs_notify_ok_put(&w);
	if (m->has_events) {
		off = bs_packet_open_payload(&w, BS_PL_PIGGY, 0);
		bs_writer_put_u32(&w, 0);
		bs_writer_put_bytes(&w, m->events.ptr, m->events.len);
		bs_packet_close_payload(&w, off);
	}
	return bs_packet_finish(&w);
}
