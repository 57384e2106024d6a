/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roles.h - what a worker keeps for its roles, and how the files of the roles call each other.
 *
 *   role_invite.c   controller and attach server: invites             answers 3, 4.1
 *   role_cookie.c   the same without state, for devices with COOKIE; RETRY
 *   role_attach.c   the proof, the attachment's beginning and end     4.3, 4.4
 *   role_alive.c    keepalive, polls, address changes, events         6, 12.4
 *   role_auth.c     keepalives under a MAC, adaptive interval         extensions
 *   role_connect.c  U_CONNECT, connections, U_CLOSE                   8, 12.5
 *   relay*.c        DATA between a client's leg and a device       8.6
 *   role_report.c   STATS and U_PUSH                                  7, 11.1
 *   role_owner.c    who holds an id; presence; routing of connects
 *   role_query.c    answers to main
 *   restore.c       devices of the process before, and who holds them
 *
 * Private to server/: everything here belongs to one worker's thread.
 */
#ifndef BS_SERVER_ROLES_H
#define BS_SERVER_ROLES_H

#include "log/log.h"
#include "proto/attach_server.h"
#include "proto/interval_server.h"
#include "server/admission.h"
#include "server/attempts.h"
#include "server/ids.h"
#include "server/intern.h"
#include "server/nsi_table.h"
#include "server/pace.h"
#include "server/pending.h"
#include "server/pool.h"
#include "server/server.h"
#include "server/slab.h"
#include "server/watch.h"
#include "server/worker.h"

/** Ended devices whose "last seen" waits for the next tick; one slot of a bulk ring takes them. */
#define BS_GONE_MAX (BS_BULK_MAX / sizeof(struct bs_last_seen))
/** Milliseconds of one tick of the wheels. */
#define BS_TICK_MS 10u
/** Local addresses that a worker tells apart: every index fits a byte. */
#define BS_LOCALS_MAX 255u
/** Records in the ring of events. */
#define BS_RING_EVENTS 512u
/** IPv6 candidates kept per device that has any. */
#define BS_DEVICE_EP6_MAX 4

/** Numbers of attachments without state that ended within seconds: a copy of the proof must not
 *  bring them back.  As many as fit; a newer one takes the place of an older. */
#define BS_SPENT_NSI 1024u
struct bs_spent_nsi {
	uint32_t nsi; /**< 0 = empty */
	uint32_t end_ms;
};

/** A local address that devices write to. */
struct bs_local {
	struct bs_endpoint ep;
	uint8_t socket;
};

/** Side record of a device with IPv6 candidates. */
struct bs_device_ep6 {
	struct bs_endpoint ep[BS_DEVICE_EP6_MAX];
	uint32_t next;
	uint8_t n;
};

/** A datagram on its way through the roles. */
struct bs_input {
	uint8_t *data; /**< may be changed in place */
	struct bs_packet p;
	const struct bs_endpoint *peer;
	const struct bs_endpoint *local;
	unsigned socket;
};

/** One limiter of log lines per kind of line. */
enum bs_log_kind {
	BS_LK_EVENT,
	BS_LK_FLAP,
	BS_LK_REPLACED,
	BS_LK_STATS,
	BS_LK_ATTACH,
	BS_LK_CONNECT,
	BS_LK_REGISTRY,
	BS_LK_CRYPTO,
	BS_LK_N,
};

/** Tables whose filling is announced once at 90 %. */
enum bs_fill_kind {
	BS_FILL_SLAB,
	BS_FILL_NSI,
	BS_FILL_IDS,
	BS_FILL_PENDING,
	BS_FILL_CONNS,
	BS_FILL_ASKS,
	BS_FILL_WATCH,
	BS_FILL_LOCALS,
	BS_FILL_N,
};

struct bs_device_auth;
struct bs_nets;
struct bs_datagram;
struct bs_relay_hub;

/** Devices are being sent away. */
struct bs_drain {
	bool on;
	uint32_t begin_ms;
	uint32_t span_ms;
	uint32_t rate; /**< per second, 0 = even over the span */
	uint32_t n;    /**< devices at the beginning */
	uint32_t at;   /**< record to look at next */
};

struct bs_roles {
	struct bs_worker *w;
	struct bs_state_shard *shard; /**< what outlives the process */
	uint32_t now_ms; /**< of the present tick: all keepalive times are whole ticks */
	uint32_t tick;
	uint32_t now_s; /**< uptime; goes on where the process before left off, see state.h */
	bs_time start;  /**< of that uptime */

	struct bs_slab slab;
	struct bs_wheel device_wheel;
	struct bs_nsi_table nsi;
	struct bs_ids ids;
	struct bs_watch watch;
	struct bs_pending pending;
	struct bs_sketch *sketch;
	struct bs_admission admission;
	struct bs_intern texts;
	struct bs_pool ep6;
	struct bs_pool conns;
	struct bs_wheel conn_wheel;
	struct bs_relay_hub *relay; /**< relay.h; NULL when the server relays nothing */
	struct bs_pool asks;
	struct bs_pool closings;
	struct bs_wheel closing_wheel;
	uint32_t closing_list; /**< those in use */
	struct bs_pool moves;
	struct bs_wheel move_wheel;

	struct bs_device_auth *auth; /**< beside the slab, see role_auth.h */
	struct bs_nets *nets;        /**< intervals that networks bore */

	struct bs_alive_pace pace;
	struct bs_pace pace_in; /**< how fast devices may begin */
	struct bs_drain drain;
	struct bs_interval_limits limits;
	uint16_t busy_s;        /**< interval while a client is connected */
	struct bs_local *local; /**< [BS_LOCALS_MAX]; one without a port is free */
	unsigned n_locals;
	uint8_t secret[32];                  /**< cookies, nonces and seeds are computed with it */
	uint8_t nsi_key[BS_SIPHASH_KEY_LEN]; /**< made of it: numbers without state */
	struct bs_spent_nsi *spent;          /**< [BS_SPENT_NSI], by the number's low bits */
	uint8_t hash_key[BS_SIPHASH_KEY_LEN];
	uint8_t random[256]; /**< drawn in batches for numbers that travel in the clear */
	unsigned random_left;
	uint64_t last_event;                   /**< of presence */
	bs_time seen_next;                     /**< next report of "last seen" */
	struct bs_last_seen gone[BS_GONE_MAX]; /**< of devices that ended before it */
	unsigned n_gone;
	uint32_t seen_pos;
	uint32_t recheck_pos; /**< walk through the devices: may they still be here? */
	bool recheck_running;
	bool recheck_owed; /**< some recheck_wanted is set */
	bool recheck_wanted[BS_CONF_WORKERS_MAX + 1];

	struct bs_event_row *events; /**< [BS_RING_EVENTS] */
	uint64_t n_events;
	struct bs_attempts attempts;
	struct bs_log_limit log_limit[BS_LK_N];
	bool fill_told[BS_FILL_N];
};

/* roles.c */
BS_MUSTCHECK int bs_roles_new(struct bs_worker *w, struct bs_roles **out);
void bs_roles_free(struct bs_roles *r);
/** What a worker keeps in the state. */
void bs__state_specs(const struct bs_conf *conf, unsigned n_workers,
		     struct bs_state_spec spec[BS_STATE_N]);
/** Bytes per device at the limit, tables included. */
size_t bs_roles_device_bytes(void);
/** w->conf changed. */
void bs__roles_conf(struct bs_roles *r);
/** Time went on: set the clocks; then run what is due, at most so many timers. */
void bs__roles_clock(struct bs_roles *r);
/** Time went on by so much in which this worker could not work: the uptime stands still. */
void bs__roles_stood(struct bs_roles *r, bs_time passed);
/** What is done once a tick: all timers but those of devices. */
void bs__roles_tick(struct bs_roles *r);
/** Some of the keepalives that are due; true when there are more. */
bool bs__roles_timers(struct bs_roles *r);
/** These datagrams come next: have what they will touch on its way into the cache. */
void bs__roles_expect(struct bs_roles *r, const struct bs_datagram *list, unsigned n);
/** A datagram that this worker owns, or that names nobody. */
void bs__roles_datagram(struct bs_roles *r, uint8_t *data, size_t len,
			const struct bs_endpoint *peer, unsigned socket,
			const struct bs_endpoint *local);
/** A message that is not the gate's. */
void bs__roles_message(struct bs_roles *r, struct bs_message *m);
/** Random bits for numbers that travel in the clear; 0 with a count when there are none. */
uint32_t bs__random32(struct bs_roles *r);
/** A free number of this worker entered into the table, or 0 (counted). */
uint32_t bs__nsi_take(struct bs_roles *r, enum bs_nsi_kind kind, uint32_t index);
/** Index of a local address, or BS_LOCALS_MAX when there are too many (counted). */
unsigned bs__local_index(struct bs_roles *r, unsigned socket, const struct bs_endpoint *ep);
/** Tick at which a keepalive time is reached. */
uint32_t bs__tick_of_ms(const struct bs_roles *r, uint32_t due_ms);
/** The same for a bs_time. */
uint32_t bs__tick_of(const struct bs_roles *r, bs_time due);
/** Say once that a table is nearly full. */
void bs__fill_check(struct bs_roles *r, enum bs_fill_kind kind, uint32_t n, uint32_t cap);
/** Note a step of a connection attempt. */
void bs__step(struct bs_roles *r, uint64_t attempt, uint32_t number, uint8_t step, uint16_t status);
/** The same with an endpoint (may be NULL) and a value, see enum bs_attempt_step. */
void bs__step_at(struct bs_roles *r, uint64_t attempt, uint32_t number, uint8_t step,
		 const struct bs_endpoint *ep, uint32_t value);

/** Queue a packet to a device from one of the local addresses. */
void bs__send(struct bs_roles *r, unsigned local, const struct bs_endpoint *peer,
	      const uint8_t *data, size_t len);
/** Room of BS_UDP_BUF bytes in the send queue, to compose a packet in place. */
uint8_t *bs__send_reserve(struct bs_roles *r);
void bs__send_commit(struct bs_roles *r, size_t len, unsigned local,
		     const struct bs_endpoint *peer);
void bs__drop(struct bs_roles *r, int err);

/* restore.c */
/** What came of the records that were found. */
struct bs_restored {
	uint64_t kept;
	uint64_t left_out; /**< damaged, of an address or a limit that is no more, or held twice */
};
/**
 * Take in what the state has, before the workers' threads start: check every record, rebuild the
 * tables of all workers, and settle the state.  BS_OK, or BS_ENOMEM.
 */
BS_MUSTCHECK int bs__restore(struct bs_worker *workers, unsigned n, struct bs_state *state,
			     struct bs_restored *out);

/* role_invite.c */
void bs__invite_input(struct bs_roles *r, struct bs_input *in);
/** Make sure of nonce_s and seed_s in a pending entry.  BS_OK or BS_ECRYPTO. */
BS_MUSTCHECK int bs__pending_secrets(struct bs_roles *r, struct bs_pending_entry *e,
				     struct bs_slice id);
/** The same for a_key, made of psk. */
BS_MUSTCHECK int bs__pending_a_key(struct bs_roles *r, struct bs_pending_entry *e,
				   struct bs_slice id, const uint8_t *psk);
/** Note which versions a device says it has. */
void bs__pending_texts(struct bs_pending_entry *e, const struct bs_version *version,
		       struct bs_slice app_version);
/** An entry left the table early or expired. */
void bs__pending_gone(void *ctx, const struct bs_pending_entry *e, bool expired);
/** The request that answers an invite, as it was or will be sent; its length or an error. */
BS_MUSTCHECK bs_ssize bs__attach_compose(struct bs_roles *r, struct bs_pending_entry *e,
					 const struct bs_device *d, uint8_t *buf, size_t cap);

/** Extension bits that an invite is granted. */
uint16_t bs__invite_may_grant(const struct bs_roles *r, const struct bs_invite *inv);
/** Whether the device is set up for the mode of an invite; else counted. */
bool bs__invite_mode_fits(struct bs_roles *r, const struct bs_device *d,
			  const struct bs_invite *inv);
/** Whether the answer is no longer than what rule and extension allow; else counted. */
bool bs__invite_size_fits(struct bs_roles *r, const struct bs_invite *inv, size_t len, bool known);

/* role_cookie.c */
BS_MUSTCHECK int bs__cookie_init(struct bs_roles *r);
/** Whether a device is to be attached without state. */
bool bs__cookie_wanted(const struct bs_roles *r, const struct bs_invite *inv);
/** The cookie of an id at an address, for the controller's answer. */
BS_MUSTCHECK int bs__cookie_make(struct bs_roles *r, const struct bs_endpoint *peer,
				 struct bs_slice id, uint8_t out[BS_COOKIE_LEN]);
/** Answer an attach invite that offers COOKIE: with a cookie, or with a challenge. */
void bs__cookie_invite(struct bs_roles *r, const struct bs_input *in, const struct bs_invite *inv,
		       const struct bs_device *d, bool proven);
/** Whether the invite shows the cookie that its address was given. */
bool bs__cookie_shown(struct bs_roles *r, const struct bs_endpoint *peer,
		      const struct bs_invite *inv);
/** A response to a number that is not in the table: BS_OK with everything filled when it answers a
 *  challenge of ours, else a drop reason. */
BS_MUSTCHECK int bs__cookie_open(struct bs_roles *r, struct bs_input *in,
				 struct bs_pending_entry *e, struct bs_attach_response *m,
				 struct bs_key_block *c_key);
/** An attachment without state ended: its number is spent for as long as its proof is fresh. */
void bs__cookie_spent(struct bs_roles *r, uint32_t nsi);
/** Whether a device comes back when it is told. */
bool bs__invite_offers_retry(const struct bs_roles *r, const struct bs_invite *inv);
/**
 * Tell a device that offered RETRY to come back after so many ms, instead of any other answer.
 * False, with nothing sent, when it did not offer it or conf does not grant it: such a device comes
 * back by its own schedule.  The device adds no jitter: draw ms from the span that the crowd is to
 * be spread over.  Devices wait 1 s at the least and 10 minutes at the most.
 */
bool bs__invite_retry(struct bs_roles *r, const struct bs_input *in, const struct bs_invite *inv,
		      uint32_t ms);
/** The same to a source of which nothing is known, which is refused or finds no room: no more often
 *  than admission allows. */
bool bs__invite_away(struct bs_roles *r, const struct bs_input *in, const struct bs_invite *inv,
		     const struct bs_ask_for *q, uint32_t ms);

/* role_attach.c */
void bs__attach_input(struct bs_roles *r, struct bs_input *in);
/** End an attachment: its connections go, the owner is told. */
void bs__device_end(struct bs_roles *r, uint32_t i, enum bs_drop_reason reason);

/* role_drain.c */
void bs__drain_set(struct bs_roles *r, const struct bs_msg_drain *m);
/** Whether an invite gets no answer but, perhaps, a time to come back. */
bool bs__drain_refuses(struct bs_roles *r, const struct bs_input *in, const struct bs_invite *inv);
/** End whoever is due. */
void bs__drain_due(struct bs_roles *r);
/** The attachment behind a number, when it is this device's: numbers are used again. */
bool bs__device_find(const struct bs_roles *r, uint32_t nsi, uint32_t number, uint32_t *i);
/** Ask the registry about every attached device, in slices; after a change of many. */
void bs__recheck_start(struct bs_roles *r);
void bs__recheck_due(struct bs_roles *r);
/** Whether the registry still lets a device be attached; an error of the registry lets it. */
bool bs__device_allowed(struct bs_roles *r, uint32_t number);
/** Tell the owner of the id; repeated with the keepalive until it got through. */
void bs__device_claim(struct bs_roles *r, uint32_t i);
/** Tell the owner that an attachment is gone. */
void bs__release(struct bs_roles *r, uint32_t number, uint32_t nsi);

/* role_alive.c */
void bs__alive_input(struct bs_roles *r, struct bs_input *in);
void bs__alive_start(struct bs_roles *r, uint32_t i);
/** Ask now, whatever is due; the request is as one that answers a poll. */
void bs__alive_now(struct bs_roles *r, uint32_t i);
void bs__alive_due(struct bs_roles *r, uint32_t i);
void bs__move_due(struct bs_roles *r, uint32_t i);
void bs__move_cancel(struct bs_roles *r, uint32_t device);

/* role_connect.c */
void bs__connect_request(struct bs_roles *r, const struct bs_message *m);
void bs__connect_input(struct bs_roles *r, struct bs_input *in);
/** The device is at another place: what it was asked and has not answered goes there. */
void bs__connect_moved(struct bs_roles *r, uint32_t device);
void bs__conn_due(struct bs_roles *r, uint32_t i);
void bs__conn_disconnect(struct bs_roles *r, const struct bs_message *m);
void bs__conn_session_gone(struct bs_roles *r, const struct bs_message *m);
/** The device reported open (true) or close, and how the packets travelled (0 = not said). */
void bs__conn_report(struct bs_roles *r, uint32_t conn, bool open, uint8_t path);
/** All connections of a device end; the clients are told when tell is set. */
void bs__conn_end_all(struct bs_roles *r, uint32_t device, uint16_t status, bool tell);
/** Answer a connect request without having asked the device. */
void bs__connect_refuse(struct bs_roles *r, const struct bs_message *m, uint16_t status,
			enum bs_connect_reason reason);

/* role_attempt.c: the records behind "attempt explain" */
/** An attempt reached the holder: note who asks, and the candidates of both sides. */
void bs__attempt_begin(struct bs_roles *r, struct bs_conn_record *conn, const struct bs_message *m);
/** One that never got a connection. */
void bs__attempt_refused(struct bs_roles *r, const struct bs_message *m, uint16_t status);
void bs__attempt_answered(struct bs_roles *r, const struct bs_conn_record *conn, uint16_t status);
/** Somebody says, or we saw, how its packets travel (CONNECTION_INFO's numbers). */
void bs__attempt_path(struct bs_roles *r, const struct bs_conn_record *conn, uint8_t step,
		      uint8_t path);
/** The connection is over: settle the outcome and count it. */
void bs__attempt_end(struct bs_roles *r, const struct bs_conn_record *conn);

/* role_close.c */
/** Send U_CLOSE for a connection (or the attachment, nsi 0) where the device understands it. */
void bs__close_start(struct bs_roles *r, uint32_t device, uint32_t nsi, uint16_t status);
void bs__close_due(struct bs_roles *r, uint32_t i);
void bs__close_input(struct bs_roles *r, struct bs_input *in);

/* role_report.c */
void bs__stats_input(struct bs_roles *r, struct bs_input *in);
void bs__push_input(struct bs_roles *r, struct bs_input *in);

/* role_owner.c */
/** attached_s: Unix time of the proof. */
void bs__owner_claim(struct bs_roles *r, uint32_t number, uint32_t nsi, uint32_t attached_s);
/** Repeat what did not get through; when recheck_owed. */
void bs__recheck_remind(struct bs_roles *r);
void bs__owner_release(struct bs_roles *r, uint32_t number, uint32_t nsi);
void bs__owner_message(struct bs_roles *r, struct bs_message *m);

/* role_query.c */
void bs__query_message(struct bs_roles *r, const struct bs_message *m);
void bs__query_row(const struct bs_roles *r, uint32_t i, struct bs_device_row *row);
/** Report "last seen" in slices. */
void bs__seen_due(struct bs_roles *r);
/** Report those that ended; once per tick. */
void bs__gone_due(struct bs_roles *r);
/** A device ends: remember when it was seen, for nobody will look at its record again. */
void bs__gone_add(struct bs_roles *r, uint32_t i);

#endif
