/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids.h - who holds an id: the part of the map that this worker owns (hash of the device's number).
 *
 * The newest proven attach wins.  An id that is claimed again and again within a minute flaps: two
 * devices carry the same id and key, or one restarts in a loop.
 *
 * Open addressing, 12 bytes an entry.  Owner: one worker.  Allocates: at init only.
 */
#ifndef BS_SERVER_IDS_H
#define BS_SERVER_IDS_H

#include "basestation/error.h"

struct bs_id_entry {
	uint32_t number; /**< device's number in the registry; 0 = empty */
	uint32_t nsi;    /**< names the holder and the attachment */
	uint32_t claim;  /**< seconds of uptime in the upper 24 bits, quick claims in the lower 8 */
};

struct bs_ids {
	struct bs_id_entry *entry;
	uint32_t cap;
	uint32_t n;
	uint32_t limit;
};

/** Claims less than so many seconds apart count as quick. */
#define BS_IDS_QUICK_S 60
/** So many quick claims in a row are an alarm. */
#define BS_IDS_FLAP 5

/** What a claim did. */
struct bs_id_claim {
	uint32_t old_nsi; /**< attachment that lost, 0 = there was none; the claimer's own when the
			     holder attached later */
	bool is_new;      /**< nobody held the id */
	bool flapping; /**< exactly when the count reaches BS_IDS_FLAP, and every 16th after it */
};

BS_MUSTCHECK int bs_ids_init(struct bs_ids *t, uint32_t n);
void bs_ids_fini(struct bs_ids *t);
/** An attach that was proven age_s ago: a claim that had to be repeated comes late.  Repeating a
 *  claim changes nothing.  BS_OK or BS_EFULL. */
BS_MUSTCHECK int bs_ids_claim(struct bs_ids *t, uint32_t number, uint32_t nsi, uint32_t now_s,
			      uint32_t age_s, struct bs_id_claim *out);
/** The attachment ended; true when it was the holder's. */
bool bs_ids_release(struct bs_ids *t, uint32_t number, uint32_t nsi);
/** Have the place of a number at hand soon: for walks over many. */
void bs_ids_prefetch(const struct bs_ids *t, uint32_t number);
/** NSI of the holder, 0 = nobody; *age_s = seconds since its claim. */
uint32_t bs_ids_holder(const struct bs_ids *t, uint32_t number, uint32_t now_s, uint32_t *age_s);
size_t bs_ids_bytes(const struct bs_ids *t);

/** The hash that both table and worker choice use. */
uint32_t bs_ids_hash(uint32_t number);

#endif
