/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake.h - a worker for the gate's tests: real loop, real sockets, real registry, a clock that the
 * test moves, and owners and holders that do what the test says.  And clients that speak to it.
 */
#ifndef BS_TEST_FAKE_H
#define BS_TEST_FAKE_H

#include <openssl/ssl.h>

#include "../store/box.h"
#include "crypto/openssl.h"
#include "pki.h"
#include "server/gate_internal.h"
#include "wire/probe.h"

/** Messages that a fake remembers. */
#define FAKE_SENT 256

/** A datagram that the gate queued. */
struct fake_datagram {
	unsigned socket;
	struct bs_endpoint local, peer;
	size_t len;
	uint8_t data[1536];
};

struct fake {
	struct bs_worker w; /**< first: a bs_worker * is a fake * */
	struct bs_counters counters;
	struct box box;
	struct pki *pki;
	struct bs_openssl *ossl;
	const struct bs_gate_ops *ops;
	void *shared;
	struct bs_gate *g;
	char dir[80];
	struct bs_message sent[FAKE_SENT]; /**< newest last */
	unsigned to[FAKE_SENT];
	size_t n_sent;
	bool full;     /**< bs_worker_send says BS_EFULL */
	bool no_probe; /**< no probe NSI is to be had */
	uint32_t next_nsi;
	unsigned nsis; /**< probe NSIs out */
	struct fake_datagram udp;
	size_t n_udp;
};

/** Set up: PKI, registry with two devices (cam1, cam2), conf, gate.  extra: more conf lines. */
struct fake *fake_new(const char *extra);
void fake_free(struct fake *f);
/** One turn of the loop. */
void fake_loop(struct fake *f);
/** The same and a tick. */
void fake_turn(struct fake *f);
/** Move the clock and tick. */
void fake_pass(struct fake *f, uint32_t ms);
/** Write conf and certificates again, load the conf and reload the gate; what reload said. */
int fake_reload(struct fake *f, const char *extra);
/** The value of a counter. */
uint64_t fake_count(const struct fake *f, enum bs_counter c);
/** The newest message of a kind that went out; NULL when there is none. */
struct bs_message *fake_sent(struct fake *f, enum bs_msg_kind kind);
/** How many of a kind. */
size_t fake_n_sent(const struct fake *f, enum bs_msg_kind kind);
/** Forget them. */
void fake_forget(struct fake *f);
/** Let the holder say yes to a CONNECT. */
void fake_accept(struct fake *f, const struct bs_message *connect, uint32_t nsi);
/** Let somebody say no. */
void fake_refuse(struct fake *f, const struct bs_message *connect, uint16_t status, uint8_t reason);
/** Answer every WATCH so far with this state. */
void fake_presence(struct fake *f, uint8_t state);
/** An allow rule for an identity and a device pattern. */
uint32_t fake_allow(struct fake *f, const char *who, const char *which);
/** Number of a device. */
uint32_t fake_number(struct fake *f, const char *id);

/** A TCP connection to the gate and nothing on it; non-blocking. */
int fake_tcp(struct fake *f);
/** The same with a first byte, without which the kernel keeps it back. */
int fake_knock(struct fake *f);

/** A client of the fake. */
struct dude {
	struct fake *f;
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	SSL_SESSION *ticket;
	uint32_t cp;
	uint16_t seq;
	size_t have;
	uint8_t rx[3 * BS_GATE_PACKET_MAX];
	uint8_t last[BS_GATE_PACKET_MAX]; /**< the packet that dude_next returned */
	struct bs_gate_hello_answer hello;
	uint8_t hello_buf[BS_GATE_PACKET_MAX];
};

/** TCP and TLS; true when the handshake finished on both sides. */
bool dude_dial(struct dude *d, struct fake *f, X509 *cert, EVP_PKEY *key);
/** The same with the PKI's good client, and HELLO. */
void dude_open(struct dude *d, struct fake *f);
/** Send bytes as they are. */
void dude_send(struct dude *d, const void *data, size_t len);
/** The next packet; false when the session ended or nothing came. */
bool dude_next(struct dude *d, struct bs_packet *p);
/** Whether the server ended the session. */
bool dude_ended(struct dude *d);
void dude_close(struct dude *d);

/** Send HELLO. */
void dude_hello(struct dude *d);
/** Send CONNECT; attempt is eight letters. */
void dude_connect(struct dude *d, const char *id, const char *attempt);
/** Send DISCONNECT. */
void dude_disconnect(struct dude *d, uint32_t nsi);
/** Send LIST. */
void dude_list(struct dude *d, struct bs_slice cursor);
/** Send WATCH for n ids; bits of PARAMS. */
void dude_watch(struct dude *d, const char *const *ids, size_t n, uint16_t params, uint64_t since);
/** The next packet must be of this type; its status. */
uint16_t dude_status(struct dude *d, uint8_t type);
/** Send a probe as the gate sees it arrive on a socket of the fake. */
void dude_probe(struct dude *d, unsigned socket, uint32_t counter, uint8_t ask, uint32_t ip4,
		uint16_t port);

#endif
