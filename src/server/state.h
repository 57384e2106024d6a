/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - the memory that outlives the process: one mapping of conf's state-file.
 *
 * What lives in it, a region each, one set of regions (a "shard") per worker:
 *
 *   hot, cold   the records of attached devices                                       slab.h
 *   ep6         IPv6 candidates of those that have any                                roles.h
 *   text        version texts that the records name by index                          intern.h
 *   local       our own addresses, which the records name by index                    roles.h
 *   sketch      prefixes from which attaches were proven: after a restart the
 *               regular visitors are still no strangers                               sketch.h
 *   auth, nets  counters and intervals of those with these extensions      role_auth.h, nets.h
 *   spent       numbers that a copy of an old proof must not bring back             roles.h
 *
 * What does not, and why that is no loss:
 *
 *   table of session numbers, owners of ids, timer wheel      rebuilt from hot (restore.c)
 *   secret that challenges are computed with                  in the registry
 *   pending attaches     the device repeats its invite within seconds
 *   limiters, flapping   a minute's memory of who was too fast; begin anew
 *   connections          the client's session ended with the process.  Direct ones go on between
 *                        client and device, who need nobody for it; relayed ones end, and the
 *                        client, told by its TLS session's end, connects again
 *   attempts, events     rings for people
 *
 * Time.  All times in the records are milliseconds of the server's uptime, and that clock stands
 * still while no server runs: a new process goes on at the moment of the last beat, once its
 * workers run, for to take over a million records lasts as long as many keepalives.  So nobody is
 * taken for silent because we were, a clock that jumped changes nothing, and the keepalives go on
 * spread as they were: a restart makes no storm.
 *
 * Kills.  A process may end between any two instructions, and what it had stored until then is in
 * the file.  So a record becomes valid by one store, that of its flags, after everything else and
 * behind a compiler barrier (bs_slab_publish), and ends by one store before anything is wiped.
 * What changes later is one word by itself, or goes through the shard's note (bs_slab_move), which
 * a restart completes.  The memory of a dead process is whole: this needs no flush and no log.
 *
 * Distrust.  The file may hold anything: another version, half of a disk's worth, or what an
 * intruder wrote.  The header is checked before regions are used, the length against the file, and
 * every index, length and flag of a record before restore.c lets it in; a checksum over what never
 * changes (bs_device_cold.seal) tells a key with a wrong bit.  What does not fit is left out and
 * counted, never believed.
 *
 * Room.  The file is sparse and as long as the limits of the conf allow; a page may be touched only
 * below bs_state_used(), and bs_state_use() takes room for steps of records ahead of use, so a
 * full tmpfs is an error code at an attach (counted, refused) and never a SIGBUS.  With conf's
 * state-reserve all room is taken at start.
 *
 * Workers.  A session number names a worker modulo their number, so every number has an owner for
 * every number of workers.  After a change of workers, limits or of a record's place, the records
 * are carried into a new file by their owners, which then replaces the old one by rename(2); until
 * then the old one is whole.  A version with other records, another boot, another registry or a
 * server that was away for longer than its devices wait begins anew: they attach again.
 *
 * For those who keep something per device: add a region at the end of the enum and a line in
 * bs__state_specs() (roles.c), get the memory with bs_pool_init_in() or bs_state_records(), let
 * restore.c check what comes back, and raise BS_STATE_VERSION when a record changes.
 *
 * Owner: main makes, opens and closes; each shard belongs to its worker.  Allocates: at open only.
 * May call: log, util, the C library.
 */
#ifndef BS_SERVER_STATE_H
#define BS_SERVER_STATE_H

#include <sys/types.h>

#include "basestation/error.h"
#include "basestation/types.h"
#include "util/siphash.h"

/** Raise with every change of what a record means; changes of lengths are noticed without. */
#define BS_STATE_VERSION 1

/** What a shard consists of.  New ones go to the end. */
enum bs_state_region {
	BS_STATE_HOT,    /**< struct bs_device_hot */
	BS_STATE_COLD,   /**< struct bs_device_cold */
	BS_STATE_EP6,    /**< struct bs_device_ep6 */
	BS_STATE_TEXT,   /**< char[BS_INTERN_TEXT_MAX] */
	BS_STATE_LOCAL,  /**< struct bs_local */
	BS_STATE_SKETCH, /**< struct bs_sketch, one */
	BS_STATE_AUTH,   /**< struct bs_device_auth, by the index of hot */
	BS_STATE_NETS,   /**< struct bs_nets, one */
	BS_STATE_SPENT,  /**< struct bs_spent_nsi */
	BS_STATE_N,
};

/** One region of every shard. */
struct bs_state_spec {
	uint32_t len; /**< bytes of a record */
	uint32_t cap; /**< records */
};

/** A change of a device's address on its way: done again when the process ended within it. */
struct bs_state_note {
	uint32_t armed; /**< BS_STATE_NOTE_ARMED while the rest counts; stored last, cleared last */
	uint32_t index; /**< in hot */
	struct bs_endpoint peer;
	uint8_t local;
};
#define BS_STATE_NOTE_ARMED UINT32_C(0x6E6F7465)

struct bs_state;
struct bs_state_shard;

/** How the state is opened; all borrowed for the call. */
struct bs_state_options {
	const char *path; /**< NULL: memory of this process only */
	/** Descriptor of the file of a process that may go on yet, 0 = none: its file is only read,
	 *  and its records are carried into a new one, which replaces it at bs_state_settle(). */
	int inherited;
	unsigned n_shards; /**< workers, 1..255 */
	struct bs_state_spec spec[BS_STATE_N];
	uint8_t registry[16]; /**< tells registries apart: numbers mean something in one only */
	bs_time now;          /**< monotonic */
	bs_time patience;     /**< state of a server that was away for longer is of no use */
	bool reserve;         /**< take all room at once */
	bool chown;           /**< the file is to belong to uid and gid */
	uid_t uid;
	gid_t gid;
	const uint8_t *boot_id; /**< [16]; NULL: ask the system */
};

/** What was found. */
enum bs_state_found {
	BS_STATE_NEW = 0, /**< nothing, or nothing of use (logged): every region is empty */
	BS_STATE_SAME,    /**< regions have content: check and go on */
	BS_STATE_OTHER,   /**< the same records in another arrangement: bs_state_old() has them */
};

/**
 * Open, lock and map.  BS_OK; or with one message in err: BS_EBUSY (another process has it),
 * BS_EFULL (no room on its file system), BS_EPERM, BS_EIO, BS_ENOMEM.
 */
BS_MUSTCHECK int bs_state_open(const struct bs_state_options *o, struct bs_state **out, char *err,
			       size_t cap);
/** Unmap and unlock; the file stays, with everything in it.  NULL is fine. */
void bs_state_close(struct bs_state *s);

enum bs_state_found bs_state_found(const struct bs_state *s);
/** Where BS_STATE_OTHER's records are, to read only; NULL otherwise. */
const struct bs_state *bs_state_old(const struct bs_state *s);
/** Whether the old file belongs to another process still, so that settling waits for its word. */
bool bs_state_is_held(const struct bs_state *s);
/** What was of use is carried over: the new file takes the old one's place.  BS_OK or BS_EIO
 *  (logged; the old file stays, this process goes on without one). */
BS_MUSTCHECK int bs_state_settle(struct bs_state *s);
/** What the next process inherits: the descriptor, 0 without a file. */
int bs_state_fd(const struct bs_state *s);
/** Monotonic time of uptime 0. */
bs_time bs_state_base(const struct bs_state *s);
/** Key of hashes that are in the state (sketch); random, one for all shards. */
const uint8_t *bs_state_hash_key(const struct bs_state *s);
unsigned bs_state_n_shards(const struct bs_state *s);

/** The shard of a worker. */
struct bs_state_shard *bs_state_shard(const struct bs_state *s, unsigned worker);
/** Record 0 of a region. */
void *bs_state_records(const struct bs_state_shard *h, enum bs_state_region r);
/** Records of a region that may be touched. */
uint32_t bs_state_used(const struct bs_state_shard *h, enum bs_state_region r);
uint32_t bs_state_cap(const struct bs_state_shard *h, enum bs_state_region r);
/** From now on records below n may be touched, those that are new are zero.  BS_OK, or BS_EFULL:
 *  n is above the cap, or there is no room (then the file's system is full). */
BS_MUSTCHECK int bs_state_use(struct bs_state_shard *h, enum bs_state_region r, uint32_t n);
/** Uptime in ns, every turn: where the next process goes on. */
void bs_state_beat(struct bs_state_shard *h, uint64_t up_ns);
/** The shard's note. */
struct bs_state_note *bs_state_note(const struct bs_state_shard *h);

/** What was stored before is in the file before what is stored after it. */
static inline void bs_state_barrier(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#endif
