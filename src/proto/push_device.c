/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/push_device.h"

#include <string.h>

#include "util/endpoint.h"
#include "wire/push.h"

enum {
	SENDS = 8,
	FIRST_GAP_MS = 2000,
};

#define HOLD_MS UINT32_C(60000)

int bs_push_start(struct bs_push_device *p, const struct bs_attach_device *a, uint16_t service,
		  struct bs_slice list, bs_push_done_fn done, void *app, bs_time now)
{
	if (p->busy)
		return BS_EBUSY;
	if (!bs_attach_is_attached(a))
		return BS_ESTATE;
	if (p->refused_nsi == a->nsi)
		return BS_ERATE;
	if (list.len == 0 || bs_payload_list_check(list.ptr, list.len) != BS_OK)
		return BS_EINVAL;
	if (p->held && BS_TIME_DIFF(now, p->hold) >= 0)
		p->held = false;
	p->service = service;
	p->list = list;
	p->done = done;
	p->app = app;
	p->sends = 0;
	p->busy = true;
	p->waits = !p->held;
	p->due = p->hold;
	return BS_OK;
}

static void finish(struct bs_push_device *p, bool ok, uint8_t flags)
{
	p->busy = false;
	p->waits = false;
	p->number++;
	if (p->done)
		p->done(p->app, ok, flags);
}

int bs_push_input(struct bs_push_device *p, const struct bs_attach_device *a,
		  const struct bs_packet *pkt, const struct bs_endpoint *from, bs_time now)
{
	struct bs_push m;
	int err;

	if (pkt->h.type != BS_TYPE_U_PUSH)
		return BS_ETYPE;
	if (!bs_attach_is_attached(a) || a->conf->legacy)
		return BS_ESTATE;
	if (!bs_endpoint_equal(from, &a->server) || pkt->h.nsi_sp != a->nsi)
		return BS_ESOURCE;
	err = bs_push_decode(pkt, &m);
	if (!err)
		err = bs_suite_aes_cbc.verify(a->crypto, &a->key.c, BS_RESPONDER, pkt->bytes,
					      pkt->len, m.crypto_off);
	if (err)
		return err;
	if (!p->busy || p->sends == 0 || m.number != p->number)
		return BS_EUNKNOWN;
	if (m.flags & BS_PUSH_QUOTA) {
		p->hold = now + BS_TIME_MS(HOLD_MS);
		p->held = true;
	}
	if (m.flags & BS_PUSH_QUOTA_ATTACH)
		p->refused_nsi = a->nsi;
	finish(p, (m.flags & BS_PUSH_DONE) != 0, m.flags);
	return BS_OK;
}

void bs_push_timeout(struct bs_push_device *p, bs_time now)
{
	if (!p->busy || p->waits || BS_TIME_DIFF(now, p->due) < 0)
		return;
	if (p->sends >= SENDS)
		finish(p, false, 0);
	else
		p->waits = true;
}

size_t bs_push_output(struct bs_push_device *p, const struct bs_attach_device *a, uint8_t *buf,
		      size_t cap, struct bs_endpoint *to, bs_time now)
{
	struct bs_writer w;
	struct bs_push m;
	bs_ssize len;

	if (!p->waits || !bs_attach_is_attached(a) || a->conf->legacy)
		return 0;
	memset(&m, 0, sizeof(m));
	m.nsi = a->nsi;
	m.number = p->number;
	m.service = p->service;
	bs_push_begin(&w, buf, cap, &m);
	len = bs_suite_aes_cbc.seal(a->crypto, &a->key.c, BS_RESPONDER, &w, BS_PLF_LIST, p->list);
	if (len == BS_ETOOBIG) {
		finish(p, false, 0);
		return 0;
	}
	/* Without random numbers this send is skipped; the next one comes in its turn. */
	p->waits = false;
	p->sends++;
	p->due = now + BS_TIME_MS((uint32_t)FIRST_GAP_MS << (p->sends - 1));
	*to = a->server;
	return len > 0 ? (size_t)len : 0;
}

bool bs_push_next_timeout(const struct bs_push_device *p, bs_time *at)
{
	*at = p->due;
	return p->busy && !p->waits;
}
