/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempts.h - the latest connection attempts of a worker: what was tried, what came of it and why.
 *
 * Two rings of a fixed size: one record an attempt, kept up to date by the worker that holds the
 * device, and the steps of all attempts in the order in which they happened.  The newest push the
 * oldest out; a record is therefore named by its place in the sequence and may be gone.  "Always
 * relayed, and nobody says why" is what operators ask about, so the reason is worked out here from
 * what both sides showed, not from what they claim.
 *
 * Owner: one worker.  May call: util.  Allocates: at init only.
 */
#ifndef BS_SERVER_ATTEMPTS_H
#define BS_SERVER_ATTEMPTS_H

#include "server/server.h"

struct bs_counters;

/** Records and steps kept per worker. */
#define BS_ATTEMPTS_MAX      1024u
#define BS_ATTEMPT_STEPS_MAX 4096u
/** No record: the place that none has. */
#define BS_ATTEMPT_NONE UINT64_MAX

struct bs_attempts {
	struct bs_attempt_info *info; /**< [BS_ATTEMPTS_MAX] */
	struct bs_attempt_row *steps; /**< [BS_ATTEMPT_STEPS_MAX] */
	uint64_t n_info;              /**< ever made */
	uint64_t n_steps;
};

/** BS_OK or BS_ENOMEM. */
BS_MUSTCHECK int bs_attempts_init(struct bs_attempts *a);
void bs_attempts_fini(struct bs_attempts *a);

/** A new record, zeroed but for these; *place names it from now on. */
struct bs_attempt_info *bs_attempts_begin(struct bs_attempts *a, uint64_t attempt, uint32_t number,
					  uint64_t unix_ms, uint64_t *place);
/** The record at a place; NULL when it was pushed out, or for BS_ATTEMPT_NONE. */
struct bs_attempt_info *bs_attempts_get(struct bs_attempts *a, uint64_t place);
/** Add a step; the caller fills ep and value where the step has them. */
struct bs_attempt_row *bs_attempts_step(struct bs_attempts *a, uint64_t attempt, uint32_t number,
					uint8_t step, uint16_t status, uint64_t unix_ms);

/** The k-th newest record or step still there, k from 0; NULL past the oldest. */
const struct bs_attempt_info *bs_attempts_newest(const struct bs_attempts *a, uint64_t k);
const struct bs_attempt_row *bs_attempts_newest_step(const struct bs_attempts *a, uint64_t k);

/** A path was reported: DIRECT beats RELAYED, both beat nothing. */
void bs_attempt_note_path(struct bs_attempt_info *i, uint8_t path, uint64_t unix_ms);
/** The attempt is over: settle its outcome, and the reason where it is not direct. */
void bs_attempt_settle(struct bs_attempt_info *i, uint64_t unix_ms);
/** Why an attempt is not direct, from addresses and NAT classes; BS_WHY_NONE when it is. */
enum bs_attempt_why bs_attempt_judge(const struct bs_attempt_info *i);
/** A stable word for scripts and tables, "" for BS_WHY_NONE; never NULL. */
const char *bs_attempt_why_name(enum bs_attempt_why why);
/** One sentence for people, with the remedy where there is one; never NULL. */
const char *bs_attempt_why_text(enum bs_attempt_why why);
/** Count a settled attempt by outcome and by the classes of both NATs. */
void bs_attempt_count(const struct bs_attempt_info *i, struct bs_counters *c);

#endif
