/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat.h - one device and one client, each behind a box of netbox/nat_model.h, and a basestation of
 * one page that tells them of each other and relays.  The real machines of the core, virtual time.
 *
 *	nat_net.c     hosts, boxes, lines, packets under way
 *	nat_server.c  the basestation: attach, alive, probes, connect, UDP relay
 *	nat_ends.c    the device's and the client's loop
 *	nat_main.c    all pairs of kinds, what is asked of them
 *
 * Everything is decided by the seed.
 */
#ifndef BS_SIM_NAT_H
#define BS_SIM_NAT_H

#include "../netbox/link_model.h"
#include "../netbox/nat_model.h"
#include "crypto/crypto.h"
#include "proto/alive_server.h"
#include "proto/connect_server.h"
#include "proto/device.h"
#include "proto/peer.h"

/* Two addresses of one node: a NAT whose mapping depends on the address shows itself. */
#define WORLD_CONTROLLER_IP UINT32_C(0xC633640A)
#define WORLD_ATTACH_IP     UINT32_C(0xC633640B)
#define WORLD_CONTROLLER    5566
#define WORLD_ATTACH        5562

#define WORLD_FLIGHT  8192
#define WORLD_PACKET  1400
#define WORLD_SOCKETS (BS_SPRAY_SOCKETS + 1)
#define WORLD_CALLS   16

enum world_host_id {
	HOST_DEVICE = 0,
	HOST_CLIENT = 1,
	HOST_SERVER = 2, /* behind nothing */
};

/** A packet under way: it arrives at a side from outside, or at a host. */
struct world_packet {
	bs_time at;
	uint32_t number;
	bool inside; /* has passed the boxes */
	uint8_t to_host;
	uint8_t side;
	uint16_t len;
	struct bs_endpoint from;
	struct bs_endpoint to;
	uint8_t bytes[WORLD_PACKET];
};

/** A place with up to two boxes in a row; hosts behind one of them share a side. */
struct world_side {
	struct nat *box[2]; /* [0] is next to the hosts */
	uint8_t n;
	uint32_t outside; /* address on the internet */
	bool lan;         /* hosts in here reach each other */
	struct link_model line;
};

/** A host: its address and the ports of its sockets by via. */
struct world_host {
	uint8_t side;
	uint32_t ip;
	uint16_t port[WORLD_SOCKETS];
};

/** The basestation's record of both. */
struct world_server {
	struct bs_key_block a_key;
	struct bs_key_block c_key;
	struct bs_endpoint at; /* the device */
	uint8_t nonce_d[32];
	uint8_t nonce_s[32];
	uint8_t seed_s[32];
	uint32_t pending;
	uint32_t nsi; /* 0 = not attached */
	struct bs_ipx ipx;
	struct bs_alive_server alive;
	struct bs_connect_server connect;
	bool connecting;
	struct bs_endpoint probe[2]; /* the client as seen at both ports */
	struct bs_endpoint leg;      /* the client's leg of the relay */
	size_t relayed;
};

/** What a run is about. */
struct world_conf {
	const char *client; /* kinds of nat_kinds, "open", "double" */
	const char *device;
	const char *same; /* both behind one box of this kind; then client and device are NULL */
	bool lan;         /* with same: and on one LAN */
	bool stock;       /* the device speaks no extensions */
	bool no_relay;    /* the basestation has none */
	uint32_t seed;
};

struct world {
	/* Large, and set up where they are used: not wiped between runs. */
	struct nat nats[4];
	struct world_packet flight[WORLD_FLIGHT];
	struct world_conf conf;
	uint32_t rng;
	bs_time now;
	struct bs_crypto crypto;
	size_t n_nats;
	struct world_side side[2];
	struct world_host host[2];
	uint16_t
		heap[WORLD_FLIGHT]; /* indices of flight, earliest first; free ones behind n_heap */
	size_t n_heap;
	uint32_t number;
	struct world_server server;
	/* the device */
	struct bs_device d;
	struct bs_device_conn conns[2];
	struct bs_rpc_slot slots[2];
	struct bs_device_conf dconf;
	struct bs_device_ops ops;
	/* the client */
	struct bs_peer p;
	struct bs_key_block key;
	uint32_t nsi;
	bool accepted; /* the CONNECT answer is on its way */
	bool begun;
	bool bound; /* the relay's answer came */
	bs_time begin_at;
	bs_time started;
	bs_time next_call;
	bs_time bind_at;
	uint8_t binds;
	struct bs_rpc_call call[WORLD_CALLS];
	uint8_t request[WORLD_CALLS][8];
	size_t n_calls;
	size_t answered;
	/* what came of it */
	bs_time direct_at; /* 0 = never */
	bs_time first_at;  /* first answer to a call */
	size_t sent;
	char failure[160];
};

/** A random number below n. */
uint32_t world_below(struct world *w, uint32_t n);
/** Note the first failure. */
BS_PRINTF(2, 3) void world_fail(struct world *w, const char *fmt, ...);

/* nat_net.c */
void world_net_init(struct world *w);
/** Whether a kind's box gives each remote another port. */
bool world_symmetric(const char *kind);
/** A host sends from the socket that to.via names; the server from the address given. */
void world_send(struct world *w, enum world_host_id from, const struct bs_endpoint *src,
		const struct bs_endpoint *to, const uint8_t *bytes, size_t len);
/** When the next packet moves; false when none is under way. */
bool world_net_next(const struct world *w, bs_time *at);
/** Move what is due; hands packets to world_deliver. */
void world_net_run(struct world *w);
void world_deliver(struct world *w, struct world_packet *p);

/* nat_server.c */
void world_server_init(struct world *w);
void world_server_input(struct world *w, struct world_packet *p);
void world_server_timeout(struct world *w);
bool world_server_next(const struct world *w, bs_time *at);
/** The client asks for the device. */
void world_server_connect(struct world *w);
/** Whether the probes showed a symmetric NAT. */
bool world_server_client_symmetric(const struct world *w);
struct bs_endpoint world_controller(void);
struct bs_endpoint world_attach(void);

/* nat_ends.c */
/** The device said yes: tell the client. */
void world_client_accept(struct world *w);
/** Play one run.  False on a failure, which w->failure tells. */
bool world_play(struct world *w, const struct world_conf *conf);

#endif
