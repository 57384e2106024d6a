/* SPDX-License-Identifier: Apache-2.0 */
/* TCP relay: legs of connections that find no way over UDP. */
#include "error.h"
#include "machine.h"
#include "note.h"

/** Head start of UDP, and a shorter one when no probe of ours was answered so far: most likely that
 *  answer is only on its way, and a stream for nothing costs the server a handshake. */
#define UDP_FIRST_MS  1500u
#define UDP_UNSEEN_MS 300u

/** Life of an offer: then the relay knows it no more. */
#define OFFER_MS 18000
/** Where a packet has its type. */
#define TYPE_OFF 8

static uint8_t modes_of(enum bsc_relay relay)
{
	switch (relay) {
	case BSC_RELAY_OFF:
	case BSC_RELAY_ONLY: return 0;
	case BSC_RELAY_TCP: return BS_GW_MODE_TCP;
	case BSC_RELAY_TLS: return BS_GW_MODE_TLS;
	default: return BS_GW_MODE_TCP | BS_GW_MODE_TLS;
	}
}

void bsc__gw_begin(struct bsc_conn *c, const struct bs_gate_connect_answer *a, bs_time now)
{
	struct bsc__machine *m = c->m;
	const uint8_t modes = modes_of(m->set.relay);
	uint32_t head_ms = bs_endpoint_is_set(&m->prober.observed) ? UDP_FIRST_MS : UDP_UNSEEN_MS;

	if (m->set.relay == BSC_RELAY_TCP || m->set.relay == BSC_RELAY_TLS)
		head_ms = 0;
	bs_gw_client_init(&c->gw, a->gw, &a->ipx, &m->gate);
	if (modes != 0)
		bs_gw_client_start(&c->gw, modes, now + BS_TIME_MS(head_ms));
}

/** Whether another way has the data: then there is no need for this one. */
static bool not_needed(const struct bsc_conn *c)
{
	const struct bs_conn *pc = &c->peer.conn;

	return c->closed || !bs_conn_is_live(pc) ||
	       (pc->state == BS_CONN_OPEN && bs_endpoint_via(&pc->remote) != BS_VIA_STREAM &&
		!c->peer.paths.suspect);
}

static void lost(struct bsc_conn *c, bs_time now)
{
	struct bsc_error e;

	(void)bsc__fail(&e, BS_EUNREACH, BSC_FROM_NETWORK, BSC_LOST,
			"%s: the TCP relay closed the connection%s%s", c->device,
			c->gw.text[0] != '\0' ? ": " : "", c->gw.text);
	bs_peer_drop_path(&c->peer, &c->gw.relay, now);
	/* The device hears the end of its leg as well, and forgets the connection. */
	if (c->connect_ms != 0 && bs_endpoint_via(&c->peer.conn.remote) == BS_VIA_STREAM)
		bsc__link_fail(c, &e, now);
}

static void look(struct bsc_conn *c, bs_time now)
{
	const uint8_t ev = bs_gw_client_take_events(&c->gw);

	if (ev & BS_GW_EV_UP) {
		bsc__note(c, now, "the TCP relay answers");
		/* The list has room for it beside the UDP relay's two. */
		(void)bs_peer_add_path(&c->peer, &c->gw.relay, BS_PATH_TCP_RELAY, now);
	}
	if (ev & BS_GW_EV_OVER)
		bsc__note(c, now, "no TCP relay%s%s", c->gw.refusal != 0 ? ": " : "", c->gw.text);
	if ((ev & BS_GW_EV_LOST) && !c->closed)
		lost(c, now);
}

struct bsc_conn *bsc__gw_next(const struct bsc__machine *m, const struct bsc_conn *after)
{
	struct bsc_conn *c = after != NULL ? after->next : m->links;

	while (c != NULL && bs_gw_client_wants(&c->gw) == 0)
		c = c->next;
	return c;
}

struct bsc_conn *bsc__gw_find(const struct bsc__machine *m, uint32_t nsi)
{
	struct bsc_conn *c = bsc__gw_next(m, NULL);

	while (c != NULL && c->gw.hello.nsi_sp != nsi)
		c = bsc__gw_next(m, c);
	return c;
}

void bsc__gw_opened(struct bsc_conn *c, bs_time now)
{
	bs_gw_client_opened(&c->gw, now);
}

void bsc__gw_closed(struct bsc_conn *c, bs_time now)
{
	c->now = now;
	bs_gw_client_closed(&c->gw, now);
	look(c, now);
}

size_t bsc__gw_output(struct bsc_conn *c, uint8_t *buf, size_t cap, bs_time now)
{
	return bs_gw_client_output(&c->gw, buf, cap, now);
}

void bsc__gw_input(struct bsc_conn *c, uint8_t *pkt, size_t len, bs_time now)
{
	struct bs_endpoint from = c->gw.relay;

	c->now = now;
	if (len > TYPE_OFF && pkt[TYPE_OFF] == BS_TYPE_DATA && c->gw.state == BS_GW_CLIENT_UP) {
		/* Only this connection's, whatever a relay may send. */
		if (bs_get_u32(pkt + 4) == c->peer.conn.nsi_sp)
			bsc__link_input(c->m, pkt, len, &from, now);
		return;
	}
	/* What is neither answer nor error is nothing to us. */
	if (bs_gw_client_input(&c->gw, pkt, len) == BS_OK)
		look(c, now);
}

void bsc__gw_timeout(struct bsc_conn *c, bs_time now)
{
	if (c->closed && !bsc__link_is_live(c)) {
		bs_gw_client_stop(&c->gw);
		return;
	}
	if (c->gw.state == BS_GW_CLIENT_IDLE && c->gw.modes != 0 && not_needed(c)) {
		/* Asked again when the way in use falls silent, as long as the relay would wait. */
		if (BS_TIME_DIFF_MS(BS_TIME_DIFF(now, c->born)) > OFFER_MS)
			bs_gw_client_stop(&c->gw);
		else
			c->gw.at = now + BS_TIME_MS(UDP_FIRST_MS);
		return;
	}
	bs_gw_client_timeout(&c->gw, now);
	look(c, now);
}
