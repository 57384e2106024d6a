/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - many devices and clients on a virtual network with a seeded mind of its own.
 *
 * Everything is decided by the seed: loss, delay, order, copies, changed addresses, when clients
 * come.  A failure prints it; `sim SEED` plays it again.
 */
#ifndef BS_SIM_H
#define BS_SIM_H

#include "crypto/crypto.h"
#include "proto/alive_server.h"
#include "proto/connect_server.h"
#include "proto/device.h"
#include "proto/peer.h"

#define SIM_DEVICES 12
#define SIM_CLIENTS 12
#define SIM_CONNS   2
#define SIM_CALLS   400
#define SIM_FLIGHT  1024

/** A packet under way. */
struct sim_packet {
	bs_time at;
	struct bs_endpoint from;
	struct bs_endpoint to;
	uint16_t len; /* 0 = slot unused */
	uint8_t bytes[BS_PACKET_SMALL];
};

/** A call of a client: the device counts what it sees of it. */
struct sim_call {
	struct bs_rpc_call call;
	uint8_t request[8];
	uint32_t runs;
	uint32_t ended;
	int err;
};

struct sim;

struct sim_device {
	struct sim *sim;
	struct bs_device d;
	struct bs_device_conn conns[SIM_CONNS];
	struct bs_rpc_slot slots[SIM_CONNS];
	struct bs_device_conf conf;
	char id[16];
	struct bs_endpoint self; /* as the world sees it */
	bool resolve;
	bs_time resolve_at;
	uint32_t token; /* deferred request, 0 = none */
	uint32_t deferred_call;
	bs_time answer_at;
	/* The server's record of it. */
	struct bs_alive_server alive;
	struct bs_key_block a_key;
	struct bs_key_block c_key;
	struct bs_endpoint at;
	uint8_t nonce_d[32];
	uint8_t nonce_s[32];
	uint8_t seed_s[32];
	uint32_t pending_nsi;
	uint32_t nsi; /* 0 = not attached */
	struct bs_connect_server connect;
	struct sim_client *asker; /* whose connect it is; NULL = none */
};

struct sim_client {
	struct bs_peer p;
	struct bs_endpoint self;
	struct sim_device *dev;
	struct bs_key_block key;
	uint32_t nsi;
	bs_time next;   /* when it does something */
	bool connected; /* p is in use */
};

struct sim {
	uint32_t seed;
	uint32_t rng;
	bs_time now;
	bs_time start;
	unsigned loss; /* percent */
	unsigned copies;
	unsigned delay_ms;
	bool calm; /* no loss, no new troubles */
	struct bs_crypto crypto;
	struct bs_device_ops ops;
	struct sim_device dev[SIM_DEVICES];
	struct sim_client cli[SIM_CLIENTS];
	struct sim_call call[SIM_CALLS];
	size_t n_calls;
	struct sim_packet flight[SIM_FLIGHT];
	uint16_t next_port;
	uint32_t next_nsi;
	size_t sent;
	size_t attaches;
	size_t opened;
	char failure[160]; /* empty = none */
};

/** A random number below n. */
uint32_t sim_below(struct sim *s, uint32_t n);
/** Note the first failure. */
BS_PRINTF(2, 3) void sim_fail(struct sim *s, const char *fmt, ...);
/** Put a packet on the network. */
void sim_send(struct sim *s, const struct bs_endpoint *from, const struct bs_endpoint *to,
	      const uint8_t *bytes, size_t len);
struct bs_endpoint sim_endpoint(uint32_t ip4, uint16_t port);

/** The server's end: a packet for the controller or the attach server, and its timers. */
#define SIM_SERVER_IP  UINT32_C(0x0A000001)
#define SIM_CONTROLLER 5566
#define SIM_ATTACH     5562
void sim_server_input(struct sim *s, struct sim_packet *p);
void sim_server_timeout(struct sim *s);
bs_time sim_server_next(struct sim *s, bs_time limit);
/** A client asks for a device; false when that cannot be now. */
bool sim_server_connect(struct sim *s, struct sim_client *c, struct sim_device *d);
/** The device said yes: the client begins. */
void sim_client_begin(struct sim *s, struct sim_client *c);

/** Play one seed.  False on a failure, which s->failure tells. */
bool sim_play(struct sim *s, uint32_t seed);

#endif
