/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - leveled log lines from any thread, written by one log thread.
 *
 * Form of a message: "area, what failed (with what)": bs_log_error("ctl, failed to bind (%s)", t);
 * no newline, no full stop, one event = one line.
 *
 * Owner: the main thread opens, reopens and closes the log; every thread may write.  A thread that
 * called bs_log_thread_attach() writes into a ring of its own and never blocks: a full ring drops
 * the line and counts it.  A thread without a ring writes to the sink itself, under a lock; so does
 * everybody before bs_log_open(), to stderr.  May call: util and the C library.
 *
 * Control characters in a message or a value are always escaped in the output, so that a peer's
 * text can neither begin a line of its own nor move a terminal's cursor.
 */
#ifndef BS_LOG_LOG_H
#define BS_LOG_LOG_H

#include "basestation/error.h"
#include "basestation/types.h"

/** Levels, the most important first; the numbers are compared. */
enum bs_log_level {
	BS_LOG_ERROR = 0,
	BS_LOG_WARNING = 1,
	BS_LOG_NOTICE = 2,
	BS_LOG_INFO = 3,
	BS_LOG_DEBUG = 4,
};

/** How a line looks. */
enum bs_log_format {
	BS_LOG_TEXT = 0,   /**< time level message key=value */
	BS_LOG_LOGFMT = 1, /**< time=... level=... thread=... msg="..." key=value */
	BS_LOG_JSON = 2,   /**< one object per line */
};

/** Where lines go. */
enum bs_log_target {
	BS_LOG_TO_AUTO = 0,    /**< journal under systemd, syslog as a daemon, else stderr */
	BS_LOG_TO_STDERR = 1,  /**< with <N> prefixes when stderr is the journal's stream */
	BS_LOG_TO_SYSLOG = 2,  /**< datagrams to /dev/log */
	BS_LOG_TO_JOURNAL = 3, /**< native datagrams to /run/systemd/journal/socket */
};

/** Longest message, in bytes with its terminator; what is longer ends in "...". */
#define BS_LOG_MESSAGE_MAX 512
/** Room for the key=value pairs of one line, in bytes; pairs that do not fit are left out. */
#define BS_LOG_PAIRS_MAX 256

/** How bs_log_open() and bs_log_reopen() set the log up; all zero = errors, text, automatic. */
struct bs_log_options {
	enum bs_log_level level;
	enum bs_log_format format;
	enum bs_log_target target;
	bool daemon;       /**< stderr leads nowhere: BS_LOG_TO_AUTO then means syslog */
	const char *ident; /**< program name in syslog and journal; NULL: "basestationd" */
	const char *path;  /**< socket instead of /dev/log or the journal's; NULL: the usual one */
};

/** One structured key=value pair; made with BS_LOG_STR and its like. */
struct bs_log_pair {
	const char *key; /**< letters, digits and '_', a literal */
	enum {
		BS_LOG_PAIR_STR,
		BS_LOG_PAIR_BYTES,
		BS_LOG_PAIR_U64,
		BS_LOG_PAIR_I64
	} kind;
	union {
		const char *str;
		struct bs_slice bytes; /**< text of a peer, not terminated */
		uint64_t u64;
		int64_t i64;
	} v;
};

#define BS_LOG_STR(k, s)                                                                           \
 {                                                                                                 \
  .key = (k), .kind = BS_LOG_PAIR_STR, .v = {.str = (s) }                                          \
 }
#define BS_LOG_BYTES(k, p, l)                                                                      \
 {                                                                                                 \
  .key = (k), .kind = BS_LOG_PAIR_BYTES, .v = {.bytes = { (p), (l) } }                             \
 }
#define BS_LOG_U64(k, n)                                                                           \
 {                                                                                                 \
  .key = (k), .kind = BS_LOG_PAIR_U64, .v = {.u64 = (n) }                                          \
 }
#define BS_LOG_I64(k, n)                                                                           \
 {                                                                                                 \
  .key = (k), .kind = BS_LOG_PAIR_I64, .v = {.i64 = (n) }                                          \
 }

/** What the log itself counted since bs_log_open(). */
struct bs_log_counters {
	uint64_t written;    /**< lines handed to the sink */
	uint64_t dropped;    /**< lines lost in full rings */
	uint64_t failed;     /**< lines that the sink did not take */
	uint64_t suppressed; /**< lines held back by limiters */
};

/**
 * A limiter of peer-triggered lines: owned by one thread, zero = bs_log_limited()'s defaults
 * (BS_LOG_LIMIT_BURST lines at once, then one per BS_LOG_LIMIT_GAP).  The next line that passes
 * reports how many did not.
 */
struct bs_log_limit {
	bs_time last;        /**< when tokens were added last */
	uint32_t used;       /**< tokens taken from the burst */
	uint32_t suppressed; /**< lines held back since the last that passed */
};

#define BS_LOG_LIMIT_BURST 5
#define BS_LOG_LIMIT_GAP   BS_TIME_MS(10000)

#define bs_log_error(...)   bs_log_write(BS_LOG_ERROR, __VA_ARGS__)
#define bs_log_warning(...) bs_log_write(BS_LOG_WARNING, __VA_ARGS__)
#define bs_log_notice(...)  bs_log_write(BS_LOG_NOTICE, __VA_ARGS__)
#define bs_log_info(...)    bs_log_write(BS_LOG_INFO, __VA_ARGS__)
/** Arguments are not evaluated while the level is higher. */
#define bs_log_debug(...)                                                                          \
 do {                                                                                              \
  if (bs_log_enabled(BS_LOG_DEBUG))                                                                \
   bs_log_write(BS_LOG_DEBUG, __VA_ARGS__);                                                        \
 } while (0)
/** bs_log_pairs(level, BS_LOG_PAIRS(BS_LOG_STR("device", id)), "attach, refused (%s)", why) */
#define BS_LOG_PAIRS(...)                                                                          \
 (const struct bs_log_pair[]){ __VA_ARGS__ },                                                      \
	 sizeof((const struct bs_log_pair[]){ __VA_ARGS__ }) / sizeof(struct bs_log_pair)

/** Start the log thread and open the sink; BS_ENOMEM, BS_EIO (no thread): stderr goes on. */
int bs_log_open(const struct bs_log_options *o) BS_MUSTCHECK;
/** New format or target, or the same again after the sink's socket was replaced. */
void bs_log_reopen(const struct bs_log_options *o);
/** Write what the rings hold, end the log thread; stderr again afterwards.  Without effect when
 *  closed.  The other threads have detached or ended. */
void bs_log_close(void);

/** Give the calling thread a ring; name (copied, 15 bytes) stands in its lines.  Without memory
 *  the thread goes on without one. */
void bs_log_thread_attach(const char *name);
/** Give the ring back; its lines are still written. */
void bs_log_thread_detach(void);

/** Change the level at run time; any thread. */
void bs_log_set_level(enum bs_log_level level);
enum bs_log_level bs_log_level(void);
/** Whether a line of this level would be written. */
bool bs_log_enabled(enum bs_log_level level);

void bs_log_write(enum bs_log_level level, const char *fmt, ...) BS_PRINTF(2, 3);
/** The same with structured pairs; see BS_LOG_PAIRS. */
void bs_log_pairs(enum bs_log_level level, const struct bs_log_pair *pairs, size_t n,
		  const char *fmt, ...) BS_PRINTF(4, 5);
/** For lines that a peer can cause: at most so many, see struct bs_log_limit. */
void bs_log_limited(struct bs_log_limit *limit, bs_time now, enum bs_log_level level,
		    const char *fmt, ...) BS_PRINTF(4, 5);

/** Wait until everything written before by this thread has reached the sink; main thread only. */
void bs_log_flush(void);
void bs_log_get_counters(struct bs_log_counters *c);

/** "error" ... "debug"; NULL for a value outside. */
const char *bs_log_level_name(enum bs_log_level level);
/** BS_OK, or BS_EINVAL for a name that is none. */
int bs_log_level_parse(const char *name, enum bs_log_level *level) BS_MUSTCHECK;

/**
 * A peer's text as printable ASCII: quotes, backslashes, control characters and bytes above 0x7E
 * become \xNN or the short form.  Cut at cap with "..."; always terminated.  Returns out.
 */
const char *bs_log_escape(char *out, size_t cap, const void *text, size_t len);

#endif
