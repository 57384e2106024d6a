/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the server as the main thread sees it: bind, run, ask, reload, stop.
 *
 *	bs_server_bind()   opens every socket (may need root) and makes what the workers share
 *	...                the caller drops privileges, starts the log and the store thread
 *	bs_server_run()    starts the workers
 *	bs_server_stop()   ends and joins them; bs_server_free() closes what bind opened
 *
 * Owner thread: main, all calls.  Answers to questions arrive through bs_server_fd(): when it polls
 * readable, call bs_server_process(), which runs the callbacks.  Every question is answered, at the
 * latest by its timeout (bs_server_tick).
 */
#ifndef BS_SERVER_SERVER_H
#define BS_SERVER_SERVER_H

#include <sys/types.h>

#include "conf/conf.h"
#include "server/counters.h"
#include "server/gate_ops.h"
#include "server/message.h"
#include "store/writer.h"

struct bs_handover;
struct bs_server;
struct bs_registry;

/** Where a server has its time from. */
struct bs_server_clock {
	/** Monotonic and Unix time, for a worker by its index; n_workers is main. */
	void (*read)(void *arg, unsigned who, bs_time *now, uint64_t *unix_ms);
	void *arg;
};

/** How a server is made; all borrowed until bs_server_free(), conf is referenced. */
struct bs_server_options {
	const struct bs_conf *conf;
	struct bs_registry *registry;
	const struct bs_gate_ops *gate; /**< NULL: no client gate */
	/** Sockets of the process that this one takes over from; they are taken out.
	 *  NULL: they are opened. */
	struct bs_handover *inherited;
	bool frozen;      /**< workers read nothing before bs_server_thaw() */
	bool no_steering; /**< do not attach the BPF program: workers forward (tests) */
	bool no_pinning;  /**< do not pin threads to cores */
	/** NULL: the system's.  For tests, whose devices must not be late with the machine. */
	const struct bs_server_clock *clock;
	bool chown; /**< the state-file is to belong to uid and gid */
	uid_t uid;
	gid_t gid;
};

/**
 * Open all sockets and make the tables.  BS_OK; or BS_EBUSY, BS_EPERM, BS_EUNREACH, BS_EFULL,
 * BS_ENOMEM, BS_EIO, BS_ERANDOM after one log line, with err[cap] holding the same text.
 */
BS_MUSTCHECK int bs_server_bind(const struct bs_server_options *o, struct bs_server **out,
				char *err, size_t cap);
/** Start the workers; last-seen batches go to store (NULL: nowhere).  BS_OK, BS_ENOMEM, BS_EIO. */
BS_MUSTCHECK int bs_server_run(struct bs_server *s, struct bs_store_inbox *store);
/** End and join the workers; idempotent. */
void bs_server_stop(struct bs_server *s);
/** Close and free; stops first when needed.  NULL is fine. */
void bs_server_free(struct bs_server *s);

/** Publish a new snapshot: workers take it at their next turn; the old one is unreferenced when the
 *  last of them has.  Values that need a restart are ignored.  BS_OK or the gate's error. */
BS_MUSTCHECK int bs_server_reload(struct bs_server *s, const struct bs_conf *conf);

/**
 * Let every worker stand still and settle what they had to tell each other: afterwards no socket is
 * read, no timer runs, and what devices and clients send stays in the kernel.  Waits for it, some
 * milliseconds.  BS_OK; BS_ETIMEDOUT after a worker did not stop within seconds (then thaw).
 */
BS_MUSTCHECK int bs_server_freeze(struct bs_server *s);
/** The process that this one takes over from will never go on: what was carried over counts. */
void bs_server_commit(struct bs_server *s);
/** Go on. */
void bs_server_thaw(struct bs_server *s);
/**
 * Send everybody away: no device and no client comes in any more, attached devices are ended at
 * rate per second (0: evenly), TLS sessions and legs of the TCP relay are told to leave, and what
 * is left after span_ms is ended then.  With on = false whoever comes is let in again.
 */
void bs_server_drain(struct bs_server *s, bool on, uint32_t rate, uint32_t span_ms);
/** Another process has the sockets now: workers go on with TLS sessions and legs of the TCP relay
 *  only, tell them to leave, and end them within conf's drain-time. */
void bs_server_retire(struct bs_server *s);
/** How many of these are left. */
unsigned bs_server_streams(const struct bs_server *s);
/** Everything that the next process needs.  Descriptors are borrowed.  BS_OK or BS_ENOMEM. */
BS_MUSTCHECK int bs_server_collect(const struct bs_server *s, struct bs_handover *h);

/** Descriptor that polls readable when answers wait. */
int bs_server_fd(const struct bs_server *s);
/** Run the callbacks of all answers that arrived. */
void bs_server_process(struct bs_server *s);
/** Call about ten times a second: times questions out.  now is the monotonic clock. */
void bs_server_tick(struct bs_server *s, bs_time now);

/** What is bound, for status; ports are the real ones also when conf said 0. */
struct bs_server_info {
	unsigned n_workers;
	bool steering;    /**< the kernel steers; else workers forward */
	bool draining;    /**< since bs_server_drain() */
	bool single_port; /**< controller and attach role share a port */
	uint16_t controller_port;
	uint16_t attach_port;
	uint16_t client_port;  /**< 0 without a gate */
	uint16_t gateway_port; /**< of the TCP relay, 0 without a gate */
	uint64_t started_ms;   /**< Unix time */
	size_t slab_bytes;     /**< device records of all workers, at the limit */
	size_t device_bytes;   /**< bytes per device, tables included */
	uint32_t max_devices;
};
void bs_server_info(const struct bs_server *s, struct bs_server_info *info);

/** Sum of each counter over all workers, BS_COUNTER_N values.  Any time. */
void bs_server_counters(const struct bs_server *s, uint64_t out[BS_COUNTER_N]);
/** Counters of one worker; NULL past the last. */
const struct bs_counters *bs_server_worker_counters(const struct bs_server *s, unsigned worker);

/**
 * Answer to bs_server_list and bs_server_device.
 *
 * @err    BS_OK; BS_ETIMEDOUT: a worker did not answer; BS_ENOENT: that device is not attached
 * @rows   [n], borrowed for the call
 * @cursor where to go on; 0 = end
 */
typedef void (*bs_server_rows_fn)(void *arg, int err, const struct bs_device_row *rows, size_t n,
				  uint64_t cursor);
/** The next attached devices, at most max (1..500), from cursor on (0 = start); any order.  BS_OK,
 *  or BS_EFULL: too many questions open.  fn is called exactly once, later. */
BS_MUSTCHECK int bs_server_list(struct bs_server *s, uint64_t cursor, uint32_t max,
				bs_server_rows_fn fn, void *arg);
/** One device by its registry number. */
BS_MUSTCHECK int bs_server_device(struct bs_server *s, uint32_t number, bs_server_rows_fn fn,
				  void *arg);

/** One record of the event ring. */
struct bs_event_row {
	uint64_t unix_ms;
	uint32_t number; /**< of the device */
	uint16_t len;
	char text[114]; /**< as the device sent it, cut; print escaped */
};
typedef void (*bs_server_events_fn)(void *arg, int err, const struct bs_event_row *rows, size_t n);
/** The newest event records of all workers, at most max (1..256). */
BS_MUSTCHECK int bs_server_events(struct bs_server *s, uint32_t max, bs_server_events_fn fn,
				  void *arg);

/** One step of a connection attempt. */
struct bs_attempt_row {
	uint64_t unix_ms;
	uint64_t attempt;
	uint32_t number;
	uint32_t value;  /**< what the step says it is, else 0 */
	uint16_t status; /**< enum bs_status once known, else 0 */
	uint8_t step;    /**< enum bs_attempt_step */
	uint8_t worker;
	struct bs_endpoint ep; /**< of the step, port 0 = none */
};
/** In the order in which they can happen within one millisecond. */
enum bs_attempt_step {
	BS_STEP_ASKED = 1,     /**< reached the id's owner */
	BS_STEP_CLIENT_PUBLIC, /**< ep: the client's UDP as the server saw it */
	BS_STEP_CLIENT_HOST,   /**< ep: an address of the client's own network */
	BS_STEP_DEVICE_PUBLIC, /**< ep: where the device's packets come from */
	BS_STEP_DEVICE_HOST,   /**< ep: an address of the device's own network */
	BS_STEP_SENT,          /**< U_CONNECT sent */
	BS_STEP_RESENT,
	BS_STEP_ANSWERED,      /**< the device answered */
	BS_STEP_GAVE_UP,       /**< it did not */
	BS_STEP_REFUSED,       /**< the server said no */
	BS_STEP_RELAY_BOUND,   /**< ep: the client's leg of the UDP relay */
	BS_STEP_RELAY_REFUSED, /**< no relay for it (any longer); value: enum bs_relay_reason */
	BS_STEP_RELAY_DATA,    /**< the first packet went through a relay; value: path */
	BS_STEP_GATEWAY_LEG,   /**< ep: a leg of the TCP relay; value: 0 client's, 1 device's */
	BS_STEP_GATEWAY_BOTH,  /**< both legs are there */
	BS_STEP_OPEN,          /**< the device reported the connection open; value: path */
	BS_STEP_DEVICE_REPORT, /**< the device's last word; value: path */
	BS_STEP_CLIENT_REPORT, /**< the client's last word; value: path */
	BS_STEP_CLOSED,
};

/** What came of an attempt. */
enum bs_attempt_outcome {
	BS_OUTCOME_PENDING = 0,
	BS_OUTCOME_REFUSED, /**< by server or device; status says why */
	BS_OUTCOME_FAILED,  /**< accepted, but no packet was seen to get through */
	BS_OUTCOME_RELAYED,
	BS_OUTCOME_DIRECT,
};

/** Why an attempt is not direct. */
enum bs_attempt_why {
	BS_WHY_NONE = 0,
	BS_WHY_REFUSED,
	BS_WHY_CLIENT_UDP, /**< no UDP of the client arrived */
	BS_WHY_FAMILIES,   /**< IPv4 only against IPv6 only */
	BS_WHY_BOTH_SYMMETRIC,
	BS_WHY_HAIRPIN, /**< one public address for both */
	BS_WHY_CLIENT_SYMMETRIC,
	BS_WHY_DEVICE_SYMMETRIC,
	BS_WHY_FILTERED, /**< nothing else explains it */
};

/** One attempt as a whole. */
struct bs_attempt_info {
	uint64_t attempt;
	uint64_t start_ms; /**< Unix time, as all here; 0 = not yet */
	uint64_t answer_ms;
	uint64_t open_ms;
	uint64_t end_ms;
	uint32_t number;          /**< of the device */
	uint32_t nsi;             /**< of the connection: a stock device knows it by that */
	uint16_t status;          /**< enum bs_status; 0 = none yet */
	uint8_t outcome;          /**< enum bs_attempt_outcome */
	uint8_t why;              /**< enum bs_attempt_why, once settled */
	uint8_t path;             /**< 1 local, 2 direct, 3 UDP relay, 4 TCP relay; 0 = not known */
	uint8_t client_mapping;   /**< of the client's NAT, as the NAT payload has it */
	uint8_t client_filtering; /**< the same */
	bool device_symmetric;
	struct bs_endpoint client;      /**< public, as seen; port 0 = no UDP came */
	struct bs_endpoint client_host; /**< its first private one */
	struct bs_endpoint device;      /**< public */
	struct bs_endpoint device_host;
	char client_id[BS_CLIENT_ID_MAX + 1];
};
typedef void (*bs_server_attempt_fn)(void *arg, int err, const struct bs_attempt_row *rows,
				     size_t n);
/** Answer to bs_server_attempts: newest first, borrowed for the call. */
typedef void (*bs_server_attempts_fn)(void *arg, int err, const struct bs_attempt_info *rows,
				      size_t n);
/** The newest attempts of all workers, at most max (1..500): all of them (id 0), or those with this
 *  attempt id or connection number. */
BS_MUSTCHECK int bs_server_attempts(struct bs_server *s, uint64_t id, uint32_t max,
				    bs_server_attempts_fn fn, void *arg);
/** The timeline of one attempt, as far as the rings still have it. */
BS_MUSTCHECK int bs_server_attempt(struct bs_server *s, uint64_t attempt, bs_server_attempt_fn fn,
				   void *arg);

/** One relayed connection. */
struct bs_relay_row {
	uint64_t attempt;
	uint64_t opened_ms; /**< Unix time */
	uint64_t idle_ms;
	uint64_t bytes[2]; /**< [0] towards the device, [1] towards the client */
	uint64_t packets[2];
	uint64_t month_bytes;   /**< of its client, in all */
	struct bs_endpoint leg; /**< the client's, where it is over UDP */
	uint32_t number;        /**< of the device */
	uint32_t nsi;           /**< of the connection */
	uint8_t kind;           /**< enum bs_relay_kind */
	uint8_t grade;          /**< enum bs_relay_grade */
	uint8_t waiting;        /**< bit per direction: a rate holds it up now */
	uint8_t worker;
	char client_id[BS_CLIENT_ID_MAX + 1];
};
typedef void (*bs_server_relays_fn)(void *arg, int err, const struct bs_relay_row *rows, size_t n);
/** Relayed connections of all workers, those that carried most first; at most max (1..500) of each
 *  worker's are looked at. */
BS_MUSTCHECK int bs_server_relays(struct bs_server *s, uint32_t max, bs_server_relays_fn fn,
				  void *arg);

/** End a device's attachment: keepalives stop (and U_CLOSE where it understands it).  fn (may be
 *  NULL) gets BS_OK or BS_ENOENT. */
typedef void (*bs_server_done_fn)(void *arg, int err);
BS_MUSTCHECK int bs_server_kick(struct bs_server *s, uint32_t number, bs_server_done_fn fn,
				void *arg);

/** Tell all workers what the registry's change feed said; call for every change. */
void bs_server_change(struct bs_server *s, const struct bs_store_change *change);

#endif
