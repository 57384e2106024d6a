/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/gw_client.h"

#include <string.h>

#include "crypto/crypto.h"
#include "util/endpoint.h"
#include "wire/gate_payload.h"

/* Patience with a connect, TLS included, and with the device's leg. */
#define OPEN_MS 3500u
#define WAIT_MS 6000u

void bs_gw_client_init(struct bs_gw_client *g, struct bs_slice data, const struct bs_ipx *ipx,
		       const struct bs_endpoint *gate)
{
	struct bs_payload pl = { BS_PL_GW, 0, (uint16_t)data.len, data.ptr };
	struct bs_gw gw;

	memset(g, 0, sizeof(*g));
	if (data.len == 0 || bs_gw_get(&pl, &gw) || gw.ep.port == 0)
		return;
	g->relay = gw.ep;
	if (bs_endpoint_ip4(&gw.ep) == 0) {
		g->relay = *gate;
		g->relay.port = gw.ep.port;
	}
	bs_endpoint_set_via(&g->relay, BS_VIA_STREAM);
	g->hello.nsi_cp = ipx->nsi_cp;
	g->hello.nsi_sp = ipx->nsi_sp;
	memcpy(g->hello.nsi_co, ipx->nsi_co, sizeof(ipx->nsi_co));
	g->hello.flags = BS_GW_RELIABLE | BS_GW_CLIENT;
	memcpy(g->hello.id, gw.id, sizeof(gw.id));
	bs_wipe(&gw, sizeof(gw));
	g->state = BS_GW_CLIENT_IDLE;
}

void bs_gw_client_fini(struct bs_gw_client *g)
{
	bs_wipe(g, sizeof(*g));
}

void bs_gw_client_start(struct bs_gw_client *g, uint8_t modes, bs_time at)
{
	if (g->state != BS_GW_CLIENT_IDLE)
		return;
	g->modes = modes;
	g->at = at;
}

static void over(struct bs_gw_client *g)
{
	g->events |= g->state == BS_GW_CLIENT_UP ? BS_GW_EV_LOST : BS_GW_EV_OVER;
	g->state = BS_GW_CLIENT_OVER;
}

void bs_gw_client_stop(struct bs_gw_client *g)
{
	if (g->state != BS_GW_CLIENT_OFF)
		g->state = BS_GW_CLIENT_OVER;
}

uint8_t bs_gw_client_wants(const struct bs_gw_client *g)
{
	return g->state >= BS_GW_CLIENT_OPENING && g->state <= BS_GW_CLIENT_UP ? g->mode : 0;
}

/* The next kind of stream, plain first. */
static void open_next(struct bs_gw_client *g, bs_time now)
{
	g->mode = g->modes & BS_GW_MODE_TCP ? BS_GW_MODE_TCP : g->modes & BS_GW_MODE_TLS;
	g->modes &= (uint8_t)~g->mode;
	if (g->mode == 0) {
		over(g);
		return;
	}
	g->state = BS_GW_CLIENT_OPENING;
	g->at = now + BS_TIME_MS(OPEN_MS);
}

void bs_gw_client_opened(struct bs_gw_client *g, bs_time now)
{
	if (g->state != BS_GW_CLIENT_OPENING)
		return;
	g->state = BS_GW_CLIENT_GREETING;
	g->at = now + BS_TIME_MS(WAIT_MS);
}

void bs_gw_client_closed(struct bs_gw_client *g, bs_time now)
{
	if (g->state == BS_GW_CLIENT_OPENING || g->state == BS_GW_CLIENT_GREETING)
		open_next(g, now);
	else if (g->state == BS_GW_CLIENT_WAITING && g->refusal == 0 && g->modes != 0)
		/* A firewall may cut what is no TLS; had the relay read the id, it had answered. */
		open_next(g, now);
	else if (g->state == BS_GW_CLIENT_WAITING || g->state == BS_GW_CLIENT_UP)
		over(g);
}

static void take_error(struct bs_gw_client *g, const struct bs_packet *p)
{
	struct bs_status_text st;
	struct bs_payload pl;
	size_t n;

	g->refusal = BS_ST_ERROR;
	if (bs_payload_find(p, BS_PL_STATUS, &pl) && bs_status_get(&pl, &st) == BS_OK) {
		g->refusal = st.code;
		n = st.text.len < BS_GW_CLIENT_TEXT - 1 ? st.text.len : BS_GW_CLIENT_TEXT - 1;
		memcpy(g->text, st.text.ptr, n);
		g->text[n] = '\0';
	}
	over(g);
}

int bs_gw_client_input(struct bs_gw_client *g, const uint8_t *pkt, size_t len)
{
	struct bs_gw_answer m;
	struct bs_packet p;
	int err = bs_packet_decode(pkt, len, &p);

	if (err)
		return err;
	if (g->state != BS_GW_CLIENT_WAITING && g->state != BS_GW_CLIENT_UP)
		return BS_ESTATE;
	if (p.h.type == BS_TYPE_ERROR) {
		take_error(g, &p);
		return BS_OK;
	}
	if (g->state != BS_GW_CLIENT_WAITING)
		return BS_ESTATE;
	err = bs_gw_answer_decode(&p, &m);
	if (err)
		return err;
	if (m.nsi_sp != g->hello.nsi_sp)
		return BS_EUNKNOWN;
	g->state = BS_GW_CLIENT_UP;
	g->events |= BS_GW_EV_UP;
	return BS_OK;
}

static bool has_deadline(const struct bs_gw_client *g)
{
	return g->state >= BS_GW_CLIENT_OPENING ? g->state <= BS_GW_CLIENT_WAITING
						: g->state == BS_GW_CLIENT_IDLE && g->modes != 0;
}

void bs_gw_client_timeout(struct bs_gw_client *g, bs_time now)
{
	if (!has_deadline(g) || BS_TIME_DIFF(now, g->at) < 0)
		return;
	if (g->state == BS_GW_CLIENT_IDLE) {
		open_next(g, now);
		return;
	}
	g->timed_out = true;
	if (g->state == BS_GW_CLIENT_OPENING)
		open_next(g, now);
	else
		over(g);
}

size_t bs_gw_client_output(struct bs_gw_client *g, uint8_t *buf, size_t cap, bs_time now)
{
	bs_ssize len;

	if (g->state != BS_GW_CLIENT_GREETING)
		return 0;
	len = bs_gw_hello_encode(buf, cap, &g->hello);
	if (len < 0)
		return 0;
	g->state = BS_GW_CLIENT_WAITING;
	g->at = now + BS_TIME_MS(WAIT_MS);
	return (size_t)len;
}

bool bs_gw_client_next_timeout(const struct bs_gw_client *g, bs_time *at)
{
	if (!has_deadline(g))
		return false;
	*at = g->at;
	return true;
}

uint8_t bs_gw_client_take_events(struct bs_gw_client *g)
{
	uint8_t e = g->events;

	g->events = 0;
	return e;
}

bool bs_gw_client_is_busy(const struct bs_gw_client *g)
{
	return has_deadline(g);
}
