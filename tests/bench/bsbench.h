/* SPDX-License-Identifier: Apache-2.0 */
/* bsbench.h - what the generator's files share. */
#ifndef BS_BENCH_BSBENCH_H
#define BS_BENCH_BSBENCH_H

#include "crypto/openssl.h"
#include "net/udp.h"
#include "proto/device.h"

/** First address of the simulated devices, 127.1.0.1; the server listens on 127.0.0.1. */
#define FIRST_IP  0x7f010001u
#define SERVER_IP 0x7f000001u

/** One simulated device. */
struct sim {
	struct bs_device dev;
	struct bs_device_conf conf;
	struct bs_device_conn conn;
	struct bs_rpc_slot slot;
	char id[BS_DEVICE_ID_MAX + 1];
};

struct bench {
	struct sim *sims;
	size_t n;
	struct bs_udp_rx *rx;
	struct bs_udp_tx *tx;
	struct bs_udp_sent sent;
	struct bs_openssl *openssl;
	struct bs_endpoint server, self;
	int fd;
	uint64_t attaches;
};

bs_time now_ns(void);
void die(const char *what);
/** A socket on an address (0 = all) with batches; fills b->self. */
void open_socket(struct bench *b, uint32_t ip);
/** Queue a datagram from one of our addresses; flushes when the queue is full. */
void send_from(struct bench *b, const uint8_t *data, size_t len, uint32_t ip,
	       const struct bs_endpoint *to);
void wait_readable(struct bench *b, int ms);
/** Attach n devices that write from FIRST_IP on. */
void make_devices(struct bench *b, size_t n);
void attach_all(struct bench *b);
/** Take what arrived, or wait for it. */
void turn(struct bench *b, int wait_ms);
unsigned long number(const char *text);

/* bsbench_relay.c */
/** PORT N RATE RUN SIZE SECONDS; port 0 = no devices and no server of ours. */
void run_relay(uint16_t port, size_t n, unsigned rate, unsigned run, size_t size, unsigned seconds);
void run_forward(void);

/* bsbench_legs.c */
struct legs_plan {
	uint16_t port; /**< of the controller; 0 = no devices and no server of ours */
	size_t n;
	double rate; /**< megabytes a second; 0 = as fast as it goes */
	size_t size;
	double seconds;
	bool up;
	char **files; /**< CA, certificate, key; NULL = no TLS */
};
void run_legs(const struct legs_plan *plan);

/* bsbench_pipe.c */
/** certificate and key: TLS on the second port; NULL = none. */
void run_pipe(const char *certificate, const char *key, bool with_splice);

#endif
