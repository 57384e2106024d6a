/* SPDX-License-Identifier: Apache-2.0 */
/*
 * types.h - the scalars and small structs that server, device SDK and client SDK share.
 *
 * Two profiles exist.  The default one keeps 64-bit nanoseconds and 16-byte addresses.  The MCU
 * profile (define BS_PROFILE_MCU for the library and for everything that includes its headers)
 * keeps 32-bit milliseconds and IPv4 only.  The code is the same in both: it compares times only
 * with BS_TIME_DIFF and touches addresses only through bs_endpoint functions.
 */
#ifndef BS_TYPES_H
#define BS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef BS_PROFILE_MCU
/** Monotonic time, 32-bit milliseconds; wraps after 49 days, which BS_TIME_DIFF survives. */
typedef uint32_t bs_time;
/** Signed difference of two bs_time, at most 24 days either way. */
typedef int32_t bs_time_diff;
# define BS_TIME_PER_MS 1u
/** Bytes of an address: IPv4 only. */
# define BS_IP_LEN 4
#else
/** Monotonic time, 64-bit nanoseconds. */
typedef uint64_t bs_time;
/** Signed difference of two bs_time. */
typedef int64_t bs_time_diff;
# define BS_TIME_PER_MS UINT64_C(1000000)
/** Bytes of an address: IPv6, with IPv4 as ::ffff:a.b.c.d. */
# define BS_IP_LEN      16
#endif

/** Whether addresses can be IPv6: a constant 0 lets the compiler drop that code. */
#define BS_HAS_IP6 (BS_IP_LEN > 4)

/** Whether a device speaks extensions (basestation-wire(7), EXTENSIONS); a build that leaves them
 *  out (0) is a stock device to the byte and about 800 bytes smaller. */
#ifndef BS_WITH_EXT
# define BS_WITH_EXT 1
#endif

/** Whether a connection can have what extensions GCM, FAST_STREAM and PAIR add: a suite that counts
 *  its packets, large stream windows, a pairing secret in its key. */
#ifndef BS_WITH_CONN_EXT
# ifdef BS_PROFILE_MCU
#  define BS_WITH_CONN_EXT 0
# else
#  define BS_WITH_CONN_EXT BS_WITH_EXT
# endif
#endif

/** Whether a device speaks extensions COOKIE and RETRY, which matter to a basestation under stress
 *  and not to the device. */
#ifndef BS_WITH_ADMISSION
# ifdef BS_PROFILE_MCU
#  define BS_WITH_ADMISSION 0
# else
#  define BS_WITH_ADMISSION BS_WITH_EXT
# endif
#endif

/** Milliseconds as a bs_time span. */
#define BS_TIME_MS(ms) ((bs_time)(ms)*BS_TIME_PER_MS)
/** a - b, signed, correct across a wrap. */
#define BS_TIME_DIFF(a, b) ((bs_time_diff)((bs_time)(a) - (bs_time)(b)))
/** Whole milliseconds of a signed difference. */
#define BS_TIME_DIFF_MS(d) ((int32_t)((d) / (bs_time_diff)BS_TIME_PER_MS))

/** Count of bytes or elements, or a negative enum bs_err. */
typedef int32_t bs_ssize;

/** A borrowed run of bytes; ptr may be NULL when len is 0. */
struct bs_slice {
	const uint8_t *ptr;
	size_t len;
};

/** A UDP or TCP endpoint.  Port 0 stands for "none".  ip in network order, port in host order. */
struct bs_endpoint {
	uint8_t ip[BS_IP_LEN];
	uint16_t port;
#ifndef BS_PROFILE_MCU
	/** Which of our own sockets leads there: 0 the main one, BS_VIA_STREAM the relay's byte
	 *  stream, others as the port numbers them.  A packet's source says where it came in; its
	 *  destination says where it shall go out.  It never travels. */
	uint16_t via;
#endif
};

/** via of the byte stream to a relay (TCP or TLS). */
#define BS_VIA_STREAM 0xFFFFu
/** via of a device's socket for the local network. */
#define BS_VIA_LOCAL 0xFFFEu

/** Which half of a key block an end seals with: a device is always the responder. */
enum bs_role {
	BS_INITIATOR = 0,
	BS_RESPONDER = 1,
};

/** Bytes of a key block: A, C and D keys (basestation-wire(7), KEYS). */
#define BS_KEY_BLOCK_LEN 96
/** Bytes of a device's pre-shared secret. */
#define BS_PSK_LEN 16
/** Bytes of a pairing secret, and of the id that names it. */
#define BS_PAIR_SECRET_LEN 32
#define BS_PAIR_ID_LEN     8
/** Longest device id, without terminator. */
#define BS_DEVICE_ID_MAX 40
/** Longest client identity, without terminator. */
#define BS_CLIENT_ID_MAX 64
/** Bytes of a client key fingerprint as a device sees it: first half of a SHA-256. */
#define BS_FP_LEN 16

/** One key block: AES i->r, AES r->i (16 each), HMAC i->r, HMAC r->i (32 each). */
struct bs_key_block {
	uint8_t b[BS_KEY_BLOCK_LEN];
};

#ifdef __GNUC__
# define BS_API          __attribute__((visibility("default")))
# define BS_MUSTCHECK    __attribute__((warn_unused_result))
# define BS_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
# define BS_API
# define BS_MUSTCHECK
# define BS_PRINTF(f, a)
#endif

#ifdef __cplusplus
}
#endif
#endif
