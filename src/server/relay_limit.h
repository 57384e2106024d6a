/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_limit.h - what relayed connections may carry: rates, volumes, ages, and a fair order when
 * there is not enough for all.  UDP, TCP and TLS relay use the same limiter.
 *
 * Every relayed path of a connection is a flow.  A flow belongs to a client and a device (parties),
 * and all of them to the node; each of the four has a token bucket per direction.  A packet passes
 * when all four have tokens.  Buckets count bytes and may go below zero by one packet, so that a
 * packet longer than what is left neither starves nor passes twice.
 *
 * Fairness: a packet that finds no tokens is not dropped but told to wait (BS_RELAY_DELAY).  Where
 * it waits is the flow's business: UDP has a bounded queue, TCP stops reading.  The limiter keeps
 * the waiting flows in a ring and serves them by deficit round robin, so each gets the same bytes
 * per round however much it has waiting.  While one waits for the node's tokens nobody overtakes
 * it: the node's bucket is refilled only in bs_relay_limit_run, which serves the ring first.
 *
 * Volumes per month, ages and idle times are looked at by a walk over all flows once a second, not
 * per packet: the hot path touches one flow record, and the parties only where rates are set.
 *
 * Owner: one worker.  It may call: util.  Allocates: at init only.  Time is an argument.
 */
#ifndef BS_SERVER_RELAY_LIMIT_H
#define BS_SERVER_RELAY_LIMIT_H

#include "basestation/error.h"
#include "basestation/types.h"
#include "util/siphash.h"

/** Direction of a relayed byte; an index of every pair below. */
enum bs_relay_dir {
	BS_RELAY_UP = 0,   /**< client to device */
	BS_RELAY_DOWN = 1, /**< device to client */
};

/** What to do with a packet. */
enum bs_relay_verdict {
	BS_RELAY_PASS = 0, /**< counted: send it now */
	BS_RELAY_DELAY,    /**< not counted: keep it, or stop reading, until resume() comes */
};

/** What happens to a new flow when the relay is full, and to a flow of a client whose month is
 *  used up. */
enum bs_relay_when_full {
	BS_RELAY_REJECT = 0,   /**< no relay */
	BS_RELAY_DEGRADE,      /**< only the rate of a degraded connection */
	BS_RELAY_LOW_PRIORITY, /**< only what others leave */
};

/** How a flow is served. */
enum bs_relay_grade {
	BS_RELAY_NORMAL = 0,
	BS_RELAY_DEGRADED,
	BS_RELAY_LOW,
};

/** Why the limiter ends a flow. */
enum bs_relay_end {
	BS_RELAY_END_IDLE = 1, /**< nothing in either direction for the idle time */
	BS_RELAY_END_AGE,      /**< older than conf allows */
	BS_RELAY_END_MONTH,    /**< the client's month is used up, and the policy is to reject */
};

/** Bytes per second in each direction; 0 = no limit. */
struct bs_relay_rates {
	uint64_t v[2];
};

/** The limits of one worker. */
struct bs_relay_limit_conf {
	uint32_t max_flows; /**< this worker's share */
	struct bs_relay_rates conn;
	struct bs_relay_rates client;
	struct bs_relay_rates device;
	struct bs_relay_rates node;     /**< this worker's share */
	struct bs_relay_rates degraded; /**< of one degraded connection */
	uint64_t client_month;          /**< bytes in both directions; 0 = no limit */
	uint32_t max_age_s;             /**< of a flow; 0 = no limit */
	uint32_t idle_s;
	enum bs_relay_when_full when_full;
};

/** A bucket: tokens in thousandths of a byte, so that rate times milliseconds is exact. */
struct bs_relay_bucket {
	int64_t level;
	uint32_t stamp_ms;
};

struct bs_relay_flow;
struct bs_relay_limit;

/** What carries a flow. */
enum bs_relay_kind {
	BS_RELAY_UDP = 0,
	BS_RELAY_TCP,
	BS_RELAY_TLS,
};

/** What a flow's owner does; called from bs_relay_limit_run and bs_relay_limit_sweep only. */
struct bs_relay_flow_ops {
	/**
	 * The flow's turn: account and send what waits in this direction until account says DELAY.
	 * True when something still waits.
	 */
	bool (*resume)(void *ctx, struct bs_relay_flow *f, enum bs_relay_dir dir);
	/** The limiter ends it: the owner must call bs_relay_flow_close before it returns. */
	void (*end)(void *ctx, struct bs_relay_flow *f, enum bs_relay_end why);
};

/** One relayed path; lies in its owner's record, at a fixed address while it is open. */
struct bs_relay_flow {
	uint64_t bytes[2];
	uint64_t packets[2];
	uint32_t last_ms; /**< of the last packet that passed */
	uint8_t grade;    /**< enum bs_relay_grade */
	uint8_t waiting;  /**< bit per direction: in the ring */
	uint8_t serving;  /**< bit per direction: resume() is running */
	bool open;
	uint8_t kind; /**< enum bs_relay_kind; the owner sets it, for people */
	uint32_t nsi; /**< of the connection; the same */
	int32_t deficit[2];
	struct bs_relay_bucket bucket[2];
	struct bs_relay_flow *next_waiting[2];
	uint64_t settled; /**< bytes that the client's month has already */
	uint32_t opened_ms;
	uint32_t client; /**< index of the party */
	uint32_t device;
	struct bs_relay_flow *next, *prev; /**< all open flows */
	const struct bs_relay_flow_ops *ops;
	void *ctx;
};

/** Who a flow belongs to. */
struct bs_relay_who {
	const char *identity; /**< of the client, as TLS proved it */
	size_t identity_len;
	const uint8_t *ca_fp; /**< [32] the CA of its certificate */
	uint32_t device;      /**< number */
};

/** What a client has used of a month. */
struct bs_relay_usage {
	uint32_t month; /**< year times 12 plus month from 0, UTC; 0 = never */
	uint64_t bytes;
};

/** A client as the limiter knows it, for whom the vendor pays; for storing and for people. */
struct bs_relay_payer {
	char identity[BS_CLIENT_ID_MAX + 1];
	uint8_t ca_fp[32];
	uint32_t flows;
	struct bs_relay_usage usage; /**< all that is known, what is not stored yet included */
	uint64_t unsaved; /**< of these, bytes that bs_relay_limit_unsaved has not given */
};

/** Where a client's month is remembered. */
struct bs_relay_limit_ops {
	/** What is stored about a client; leave *out alone when nothing is. */
	void (*load)(void *ctx, const struct bs_relay_payer *c, struct bs_relay_usage *out);
	void *ctx;
};

/** Room for max_flows flows.  NULL without memory. */
struct bs_relay_limit *bs_relay_limit_new(const struct bs_relay_limit_conf *conf,
					  uint32_t room_flows,
					  const struct bs_relay_limit_ops *ops);
/** The flows must be closed; NULL is fine. */
void bs_relay_limit_free(struct bs_relay_limit *l);
/** Key of the hash of the parties; before the first flow. */
void bs_relay_limit_key(struct bs_relay_limit *l, const uint8_t key[BS_SIPHASH_KEY_LEN]);
/** New limits; what was taken stays taken.  Open flows are judged again by the next walk. */
void bs_relay_limit_conf(struct bs_relay_limit *l, const struct bs_relay_limit_conf *conf);
/** Another share of the node's rate. */
void bs_relay_limit_node(struct bs_relay_limit *l, const struct bs_relay_rates *node);

/** Bytes that asked for the node's tokens since the last call: what this worker would carry. */
void bs_relay_limit_offered(struct bs_relay_limit *l, uint64_t out[2]);
/** A worker's part of a rate: by what each asks for, and enough for one that begins to ask. */
uint64_t bs_relay_share(uint64_t rate, const uint64_t *asked, unsigned n, unsigned own);

/**
 * Open a flow; f is zeroed first.  month: the present one, see bs_relay_month.
 * BS_OK; BS_EFULL: the relay or the client's month is full and the policy says reject.
 */
BS_MUSTCHECK int bs_relay_flow_open(struct bs_relay_limit *l, struct bs_relay_flow *f,
				    const struct bs_relay_who *who,
				    const struct bs_relay_flow_ops *ops, void *ctx, uint32_t now_ms,
				    uint32_t month);
/** Close; nothing when it is not open.  The counters in *f stay readable. */
void bs_relay_flow_close(struct bs_relay_limit *l, struct bs_relay_flow *f);

/**
 * Ask for a packet of so many bytes.  PASS: it is counted.  DELAY: it is not; the flow is in the
 * ring now, and resume() will come for this direction.
 */
enum bs_relay_verdict bs_relay_account(struct bs_relay_limit *l, struct bs_relay_flow *f,
				       enum bs_relay_dir dir, size_t bytes, uint32_t now_ms);

/**
 * bs_relay_account_run - ask for a run of packets at once
 *
 * True: no limit is in the way, and all are counted.  False: nothing is counted; ask for each.
 */
BS_MUSTCHECK bool bs_relay_account_run(const struct bs_relay_limit *l, struct bs_relay_flow *f,
				       enum bs_relay_dir dir, uint32_t packets, size_t bytes,
				       uint32_t now_ms);

/** Refill, and serve who waits; every tick (10 ms). */
void bs_relay_limit_run(struct bs_relay_limit *l, uint32_t now_ms);
/** Walk on over the flows: ages, idle times, volumes.  Every tick; all are seen once a second. */
void bs_relay_limit_sweep(struct bs_relay_limit *l, uint32_t now_ms, uint32_t month);

/** Next client with bytes that are not stored, or false.  Its bytes count as given: *pos = 0
 *  begins a round, in which what is stored is also read again. */
bool bs_relay_limit_unsaved(struct bs_relay_limit *l, uint32_t *pos, uint32_t month,
			    struct bs_relay_payer *out, uint64_t *bytes);
/** Move what all flows carried to their clients at once, not by the walk: before the last round. */
void bs_relay_limit_settle(struct bs_relay_limit *l);
/** The first open flow, or the one after prev; NULL at the end. */
const struct bs_relay_flow *bs_relay_limit_next(const struct bs_relay_limit *l,
						const struct bs_relay_flow *prev);
/** The client of a flow. */
const struct bs_relay_payer *bs_relay_flow_client(const struct bs_relay_limit *l,
						  const struct bs_relay_flow *f);

/** Figures for people; waiting counts flows, bytes all flows that ever were. */
struct bs_relay_limit_stat {
	uint32_t flows;
	uint32_t max_flows;
	uint32_t clients;
	uint32_t waiting[2]; /**< flows in the rings */
	uint32_t degraded;
	uint32_t low;
	uint64_t bytes[2];
	uint64_t delays[2]; /**< packets that were told to wait */
};
void bs_relay_limit_stat(const struct bs_relay_limit *l, struct bs_relay_limit_stat *out);

/** The month of a Unix time. */
uint32_t bs_relay_month(uint64_t unix_ms);

#endif
