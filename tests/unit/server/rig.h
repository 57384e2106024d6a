/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - a whole server inside the test program: registry, workers, devices on loopback, and a
 * gate that only asks and remembers.
 *
 * The server's workers run on their own threads; devices and main run in the test's thread, which
 * turns in rig_step().  Nothing waits for a fixed time: rig_until() turns until something is true.
 *
 * All of them live by one clock, rig_now(), which the test's thread moves on, by small steps, and
 * only after every worker had a turn since the last one.  On an idle machine it goes as fast as the
 * real one; on a busy one it waits for whoever is late, so no deadline passes because of that.
 */
#ifndef BS_TEST_RIG_H
#define BS_TEST_RIG_H

#include <check.h>
#include <pthread.h>
#include <sys/types.h>

#include "../store/box.h"
#include "rig_device.h"
#include "server/server.h"
#include "suite.h"

#define RIG_DEVICES 16
#define RIG_RESULTS 64
/** How long anything may take before the test fails. */
#define RIG_PATIENCE_MS 10000

/** What the gate of the rig got. */
struct rig_result {
	struct bs_message m;
	unsigned worker;
};

struct rig {
	struct box box;
	const struct bs_conf *conf;
	struct bs_server *server;
	struct bs_server_info info;
	struct rig_device *device[RIG_DEVICES];
	unsigned n_devices;
	struct bs_endpoint address; /**< where devices look for the server */
	pthread_mutex_t lock;       /**< guards what follows: workers write, the test reads */
	struct rig_result result[RIG_RESULTS];
	unsigned n_results;
	struct bs_message order[RIG_RESULTS]; /**< messages that a gate shall send */
	unsigned order_to[RIG_RESULTS];
	unsigned n_orders;
	unsigned n_done;
	unsigned probes;
	unsigned gates; /**< alive */
	unsigned flood; /**< fill the mailbox to this worker, plus one, before the next order */
	bool hang_up;   /**< gates disconnect what they are told is connected, at once */
	/* The part of a gate in a worker's turns. */
	unsigned work;       /**< turns after which gates still say that there is more to do */
	unsigned work_ticks; /**< ticks that passed meanwhile */
	bool busy;           /**< gates say that waiting pays */
	unsigned turns;      /**< since the last tick */
	unsigned most_turns; /**< between two ticks */
};

/** How a rig is made. */
struct rig_options {
	unsigned workers; /**< 0 = 1 */
	bool no_steering;
	bool single_port;
	bool ip6;         /**< devices come over ::1 */
	const char *conf; /**< further lines, may be NULL */
};

void rig_init(struct rig *r, const struct rig_options *o);
void rig_fini(struct rig *r);
/** Another snapshot with these lines behind the usual ones. */
const struct bs_conf *rig_conf(const struct rig *r, const struct rig_options *o);

/** The clock of rig_now(), for a server that a test makes by itself. */
const struct bs_server_clock *rig_clock(void);

/** Register a device and make its end; ext 0 = a stock device. */
struct rig_device *rig_device(struct rig *r, const char *id, uint8_t fill, uint32_t ext);
/** Only its end: the registry knows nothing, or another key. */
struct rig_device *rig_stranger(struct rig *r, const char *id, uint8_t fill, uint32_t ext);
/** One turn: at most ms milliseconds. */
void rig_step(struct rig *r, int ms);
/** Turn until fn says so; fails after RIG_PATIENCE_MS. */
void rig_until(struct rig *r, bool (*fn)(struct rig *r, void *arg), void *arg);
/** Turn for a while. */
void rig_turn(struct rig *r, int ms);
void rig_until_attached(struct rig_device *d);
/** Turn until a counter has reached a value. */
void rig_until_count(struct rig *r, enum bs_counter c, uint64_t n);
uint64_t rig_count(struct rig *r, enum bs_counter c);

/** Let the gate of worker `from` send a message. */
void rig_order(struct rig *r, unsigned from, unsigned to, const struct bs_message *m);
/** Ask to connect a client to a device; ref is returned in the result. */
void rig_connect(struct rig *r, unsigned gate, uint32_t number, uint64_t ref, uint64_t attempt);
/** Wait for the n-th message at a gate, a copy of it. */
struct bs_message rig_result(struct rig *r, unsigned n);
/** Messages at the gates so far. */
unsigned rig_results(struct rig *r);

#endif
