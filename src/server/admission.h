/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admission.h - which invites are answered while somebody forges more of them than devices send.
 *
 * An invite proves nothing, so it is judged by what forging costs.  Three classes:
 *
 *   proven     a valid cookie: the address is real.  Nobody who cannot receive there takes its
 *              tokens.
 *   stateless  to the controller, or to the attach server from a device with extension COOKIE that
 *              has none yet: the answer is shorter than the invite and nothing is kept, so only
 *              the work counts.
 *   stock      anything else: the answer is longer than the invite and takes an entry of pending.h.
 *
 * Buckets are in fixed memory (limiter.h).  A stock invite passes the id's bucket first and the
 * source's after it, so that a flood at one id costs one answer a second and nobody else's tokens.
 * Classes, and known and unknown prefixes, never share a bucket: a storm at the controller keeps
 * nobody from the attach that would make its prefix known, and forgers, who mostly guess prefixes,
 * do not reach the bucket of an id at home.  Where nothing is kept, each endpoint has a small
 * bucket of its own besides, which a neighbour behind the same address cannot empty.
 *
 * An id whose bucket is empty still has its patient askers: who repeats an invite, nonce and
 * endpoint, after a pause, as a device's schedule does and a flood does not, draws from a bucket of
 * its own.  The pause is remembered in a table of fixed size whose entries nobody can push out
 * before they may have served.
 *
 * Invites that offer COOKIE are four times as long as their answers, so nobody gains by sending
 * them in another's name: where the rest is used up they draw from one bucket that only bounds the
 * work.  So a device with COOKIE gets through, whatever stands behind its address.
 *
 * Who is refused and offered RETRY may be told when to come again.  That word goes to an address
 * that has proven nothing, so it draws from buckets as the answers do, but from its own: a source
 * is told no more often than it could be answered, all together no more often than strangers are.
 * The span it is drawn from is no longer than what a device waits by itself, since whoever makes
 * others be refused must not be able to send them away.
 *
 * Strangers, which is all unknown prefixes together, share one more bucket: the bound of the work
 * that forgers can cause.  An attach gives back what its invites took from it, so genuine crowds
 * are not slowed down, however large.
 *
 * Owner: one worker.  May call: limiter, sketch, prefix, util.  Allocates: at init only.
 */
#ifndef BS_SERVER_ADMISSION_H
#define BS_SERVER_ADMISSION_H

#include "server/limiter.h"
#include "server/sketch.h"
#include "util/siphash.h"

/** What became of an invite. */
enum bs_verdict {
	BS_ADMIT,
	BS_REFUSE_ID,
	BS_REFUSE_KNOWN,   /**< rate of a prefix that is known */
	BS_REFUSE_ADDRESS, /**< rate of an address that is not */
	BS_REFUSE_PREFIX,  /**< rate of its prefix */
	BS_REFUSE_STRANGERS,
};

/** Rates per second. */
struct bs_admission_rates {
	uint32_t known;   /**< per known prefix, and per proven address */
	uint32_t address; /**< per address elsewhere */
	uint32_t prefix;  /**< per prefix elsewhere */
	uint32_t strangers;
	uint32_t id;
	uint32_t id_burst;
};

/** Who asked for what. */
struct bs_ask_for {
	const struct bs_endpoint *peer;
	uint32_t number;       /**< device in the registry */
	struct bs_slice nonce; /**< of the device; stock class only */
	bool offers_cookie;
	bool known; /**< bs_admission_knows() of the peer */
};

struct bs_patience_entry;

struct bs_admission {
	struct bs_limiter known;
	struct bs_limiter address;
	struct bs_limiter prefix;
	struct bs_limiter strangers;
	struct bs_limiter id;
	struct bs_limiter pair; /**< per endpoint and id, without state */
	struct bs_limiter
		cookies; /**< of all invites that offer COOKIE, where the others are empty */
	struct bs_limiter notices; /**< of all words to come back */
	struct bs_patience_entry *patience;
	struct bs_sketch *sketch;
	uint8_t key[BS_SIPHASH_KEY_LEN];
};

/** sketch is borrowed: it may outlive the process, and key with it.  BS_OK or BS_ENOMEM. */
BS_MUSTCHECK int bs_admission_init(struct bs_admission *a, struct bs_sketch *sketch,
				   const uint8_t key[BS_SIPHASH_KEY_LEN]);
void bs_admission_fini(struct bs_admission *a);
void bs_admission_set(struct bs_admission *a, const struct bs_admission_rates *r);

/** Whether an attach was verified from this prefix within a day. */
bool bs_admission_knows(const struct bs_admission *a, const struct bs_endpoint *peer,
			uint32_t now_s);
/** An attach was verified, whose invites came when the prefix was known or not; true when it was
 *  not known until now. */
bool bs_admission_learn(struct bs_admission *a, const struct bs_endpoint *peer, bool was_known,
			uint32_t now_s, uint32_t now_ms);

/** The three classes.  Each takes the tokens of an answer. */
enum bs_verdict bs_admission_stock(struct bs_admission *a, const struct bs_ask_for *q,
				   uint32_t now_ms);
enum bs_verdict bs_admission_stateless(struct bs_admission *a, const struct bs_ask_for *q,
				       uint32_t now_ms);
enum bs_verdict bs_admission_proven(struct bs_admission *a, const struct bs_ask_for *q,
				    uint32_t now_ms);

/** Whether a source that may not be answered may be told to come back; takes the tokens of that. */
bool bs_admission_notice(struct bs_admission *a, const struct bs_ask_for *q, uint32_t now_ms);
/** In how many ms one comes again who was refused; random spreads a crowd. */
uint32_t bs_admission_wait(enum bs_verdict why, uint32_t random);

#endif
