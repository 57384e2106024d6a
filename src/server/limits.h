/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - whether a conf fits the machine, and the word before a limit is reached.
 *
 * Used by `basestationd -t`, at start and by the main thread while the server runs.  Owner thread:
 * main.  Nothing here changes anything but bs_limits_raise_descriptors().
 */
#ifndef BS_SERVER_LIMITS_H
#define BS_SERVER_LIMITS_H

#include "conf/conf.h"

/** Memory of one attached device, tables included: the budget that the slab is built to. */
#define BS_LIMITS_DEVICE_BYTES 256u
/** Of one answered invite with its place in the tables. */
#define BS_LIMITS_PENDING_BYTES 96u
/** Of one connection between client and device. */
#define BS_LIMITS_CONNECTION_BYTES 320u
/** Of one client session: OpenSSL's state and both packet buffers. */
#define BS_LIMITS_CLIENT_BYTES (48u * 1024u)
/** Of one worker: batches, mailboxes, log ring, TLS context. */
#define BS_LIMITS_WORKER_BYTES (4u * 1024u * 1024u)
/** Of the process before any of that. */
#define BS_LIMITS_BASE_BYTES (16u * 1024u * 1024u)

/** What the machine has; 0 = not known, then it is not compared. */
struct bs_limits_facts {
	uint64_t descriptors;      /**< RLIMIT_NOFILE, soft */
	uint64_t descriptors_hard; /**< RLIMIT_NOFILE, hard */
	uint64_t memory;           /**< bytes that this process may still take */
	bool memory_by_cgroup;     /**< the control group's limit is the lower one */
	uint64_t rmem_max;         /**< net.core.rmem_max */
	unsigned cores;            /**< that this process may run on */
	bool root;                 /**< may exceed rmem_max and raise the hard limit */
};

/** What a conf needs when everything it allows is there at once. */
struct bs_limits_need {
	uint64_t descriptors;
	uint64_t memory;
	unsigned workers;
};

/** One finding, complete.  BS_LOG_ERROR: does not fit.  BS_LOG_NOTICE: fits barely, or in part. */
typedef void (*bs_limits_report_fn)(void *arg, enum bs_log_level level, const char *text);

/** Ask the system; root is put before /proc and /sys ("" outside of tests). */
void bs_limits_facts_read(const char *root, struct bs_limits_facts *facts);
void bs_limits_need(const struct bs_conf *conf, unsigned cores, struct bs_limits_need *need);
/** Compare; fn is called per finding.  Returns the number of errors. */
unsigned bs_limits_check(const struct bs_conf *conf, const struct bs_limits_facts *facts,
			 bs_limits_report_fn fn, void *arg);
/** Raise RLIMIT_NOFILE as far as it is needed and allowed; facts are brought up to date. */
void bs_limits_raise_descriptors(const struct bs_conf *conf, struct bs_limits_facts *facts);

/** A table or quota that can run full while the server runs.  Zeroed = nothing told yet. */
struct bs_limits_watch {
	bool told;
};

/**
 * Whether to say now that used comes near limit: once at 90 percent, again after it had fallen
 * below 80.
 */
bool bs_limits_watch_due(struct bs_limits_watch *w, uint64_t used, uint64_t limit);

/** Follows the distance between the wall clock and the monotonic one.  Zeroed = not started. */
struct bs_limits_clock {
	bool started;
	int64_t offset_ms;
};

/**
 * Milliseconds by which the wall clock jumped since the last call (negative: back), 0 for less than
 * ten seconds, which the usual slewing stays below.
 */
int64_t bs_limits_clock_jump(struct bs_limits_clock *c, bs_time now, uint64_t unix_ms);

#endif
