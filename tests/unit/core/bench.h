/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h - a device on a virtual clock: what goes in, what comes out, for the tests of proto.
 *
 * The bench answers lookups, moves the clock from deadline to deadline and keeps what the device
 * sends in a queue.  The application's side is a struct of switches.
 */
#ifndef BS_TEST_BENCH_H
#define BS_TEST_BENCH_H

#include "proto/device.h"
#include "proto/push_device.h"
#include "test.h"
#include "util/endpoint.h"

#define BENCH_CONNS 10
#define BENCH_QUEUE 512
/** Where the clock starts by default. */
#define BENCH_START BS_TIME_MS(1000000)

/** A packet that the device sent. */
struct bench_packet {
	uint8_t bytes[BS_PACKET_MAX];
	size_t len;
	struct bs_endpoint to;
	bs_time at;
};

struct bench {
	struct bs_device d;
	struct bs_device_conn conns[BENCH_CONNS];
	struct bs_rpc_slot slots[BENCH_CONNS];
	struct bs_push_device push;
	struct bs_device_conf conf;
	struct bs_device_ops ops;
	struct bs_crypto crypto;
	struct bs_test_rng rng;
	uint8_t psk[BS_PSK_LEN];
	bs_time now;
	size_t cap; /**< of the device's packet buffer */
	struct bs_endpoint ctrl[BS_CONTROLLER_ADDRS + 2];
	size_t n_ctrl;   /**< addresses that a lookup gives, 0 = it fails */
	size_t lookups;  /**< lookups that were asked for */
	size_t renewals; /**< sockets that were asked for */
	uint8_t events;  /**< all events so far */
	struct bench_packet out[BENCH_QUEUE];
	size_t n_out; /**< packets in out */
	size_t taken; /**< of these, how many a test has looked at */
	/* The application. */
	uint16_t access;           /**< what the access hook says */
	size_t asked;              /**< calls of the access hook */
	struct bs_access who;      /**< its last argument (pointers are stale) */
	int rpc_code;              /**< what the handler returns */
	struct bs_slice rpc_reply; /**< what it writes */
	size_t rpc_calls;
	uint32_t rpc_query;
	uint32_t rpc_token;
	size_t opened;
	size_t closed;
	uint32_t unix_s;
	struct bs_slice event_data; /**< what the event hook writes */
	size_t events_new;
	size_t events_again;
	size_t n_host; /**< candidates that the hook gives */
	struct bs_endpoint host[4];
};

/** A device with the given id and secret, stock configuration, not started; hooks are set. */
void bench_init(struct bench *b, const char *id, const uint8_t *psk);
/** Call after changes to conf; starts the device at now. */
void bench_start(struct bench *b);
void bench_fini(struct bench *b);
/** Give a datagram, fetch all output.  Returns what the device said. */
int bench_input(struct bench *b, const uint8_t *bytes, size_t len, const struct bs_endpoint *from);
/** Fetch all output and serve the events. */
void bench_drain(struct bench *b);
/** Let time pass up to now + ms, from deadline to deadline. */
void bench_run(struct bench *b, uint32_t ms);
/** Let time pass up to at. */
void bench_run_to(struct bench *b, bs_time at);
/** The next packet of the device that no test looked at, or NULL. */
const struct bench_packet *bench_take(struct bench *b);
/** As bench_take, and it must be of this type; decoded into p. */
const struct bench_packet *bench_expect(struct bench *b, uint8_t type, struct bs_packet *p);
/** No packet is left. */
void bench_expect_none(struct bench *b);
/** Milliseconds since the start of the clock. */
int32_t bench_ms(const struct bench *b, bs_time at);

/** 127.0.0.1 with this port. */
struct bs_endpoint bench_local(uint16_t port);

/** Ports of the roles in the tests that are made by hand. */
#define BENCH_CTRL 5566
#define BENCH_GSP  5562
#define BENCH_DEV  40000
#define BENCH_PEER 50000
#define BENCH_NSI  UINT32_C(0x11223344)

/** What the server's side of a hand-made attachment knows. */
struct bench_server {
	struct bs_key_block c;
	uint8_t nonce_s[32];
	uint8_t seed_s[32];
	uint16_t seq;
	uint32_t ext;        /**< granted */
	uint16_t start_ms;   /**< START of the connects, 0 = none */
	uint16_t interval_s; /**< INTERVAL of the attach, 0 = none */
	bool has_ext;
};

/** Answer the controller invite; the device's invite to the attach server is next. */
void bench_answer_invite(struct bench *b);
/** Build the U_ATTACH request for the attach invite in p (secure). */
size_t bench_make_attach(struct bench *b, struct bench_server *s, const struct bs_packet *invite,
			 uint8_t *buf, size_t cap);
/** Start and run the whole attach; afterwards no packet is left. */
void bench_attach(struct bench *b, struct bench_server *s);
/** Give a U_CONNECT request with this D block; ipx.nsi_sp names the connection. */
int bench_connect(struct bench *b, struct bench_server *s, uint32_t nsi, uint8_t ipx_flags,
		  const struct bs_key_block *key);

/* What the MCU profile has no room for: further sockets and the TCP relay. */
static inline struct bs_endpoint bench_relay(const struct bs_device_conn *dc)
{
	struct bs_endpoint none;

#ifndef BS_PROFILE_MCU
	if (dc->gw.relay.port != 0)
		return dc->gw.relay;
#endif
	(void)dc;
	memset(&none, 0, sizeof(none));
	return none;
}

static inline uint32_t bench_gateway_nsi(const struct bs_device_conn *dc)
{
#ifdef BS_PROFILE_MCU
	return dc->c.nsi_sp;
#else
	return dc->gw.hello.nsi_sp;
#endif
}

static inline void bench_transports(struct bs_device_conf *conf, uint8_t sockets, bool tcp_relay)
{
#ifdef BS_PROFILE_MCU
	(void)conf;
	(void)sockets;
	(void)tcp_relay;
#else
	conf->sockets = sockets;
	conf->tcp_relay = tcp_relay;
#endif
}

#endif
