/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach_device.h - the device's way to a registration: controller, attach server, keep-alive
 * (basestation-wire(7), INVITES, ATTACH, KEEP-ALIVE, STATS).
 *
 *   STOPPED -start-> RESOLVE -addresses-> CONTROLLER -answer-> SERVER -U_ATTACH-> ATTACHED
 *                       ^                     |                   |                  |
 *                       +------- PAUSE <------+---- silence ------+---- silence -----+
 *
 * Nothing is queued: a call to input or timeout only leaves marks, and output composes one packet
 * per call into the caller's buffer.  So the owner's loop is, after every input and every timeout:
 * output until it returns 0, then take_events.  What is due first is sent first; a packet that is
 * not fetched before the next event of its kind is lost, as on a network.
 *
 * nonce and seeds live where the C key will be: they are needed only until it exists.
 *
 * Owner: one thread.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_ATTACH_DEVICE_H
#define BS_PROTO_ATTACH_DEVICE_H

#include "proto/alive_device.h"
#include "proto/device_conf.h"
#include "wire/invite.h"
#include "wire/stats.h"

/** Bytes of a secure and of a legacy nonce, and of a seed. */
#define BS_NONCE_LEN        32
#define BS_NONCE_LEGACY_LEN 8

/** Where the registration stands. */
enum bs_attach_state {
	BS_ATTACH_STOPPED = 0,    /**< master switch off: nothing is sent */
	BS_ATTACH_RESOLVING = 1,  /**< the owner looks the controller's addresses up */
	BS_ATTACH_CONTROLLER = 2, /**< invites go to the controller */
	BS_ATTACH_SERVER = 3,     /**< invites go to the attach server */
	BS_ATTACH_ATTACHED = 4,
	BS_ATTACH_PAUSE = 5, /**< waiting to start over */
};

/** What the owner has to do or to know; a set of bits. */
enum bs_attach_event {
	/** Look the controller up, then call bs_attach_resolved or bs_attach_resolve_failed. */
	BS_ATTACH_EV_RESOLVE = 0x01,
	/** Replace the UDP socket by one with a new port before the next packet is sent. */
	BS_ATTACH_EV_RENEW_SOCKET = 0x02,
	BS_ATTACH_EV_ATTACHED = 0x04, /**< registered: clients can come */
	BS_ATTACH_EV_DETACHED = 0x08, /**< the registration is lost or was closed */
	/** An attempt failed; bs_attach_device.status says why. */
	BS_ATTACH_EV_FAILED = 0x10,
};

/** What a device with extension COOKIE shows to prove its address. */
struct bs_attach_cookie {
	uint8_t value[BS_COOKIE_LEN];
	bool is_set;
	bool hurried; /**< the invite was repeated at once, which one answer a try may cause */
};

/** Registration of one device.  Fields are for reading only; small ones first, as in conn.h. */
struct bs_attach_device {
	uint8_t state;   /**< enum bs_attach_state */
	uint8_t events;  /**< enum bs_attach_event, not taken yet */
	uint8_t pending; /**< packets to compose, private bits */
	uint8_t tries;   /**< invites sent in this state */
	uint8_t lookups; /**< exponent of the lookup's retry time */
	uint8_t status;  /**< enum bs_attach_status of the last failure */
	bool with_ext;   /**< the request carried EXT: the response does too */
	bool symmetric;  /**< controller and attach server see different addresses of ours */
	uint16_t seq;    /**< of the request that waits for an answer */
	const struct bs_device_conf *conf;
	const struct bs_crypto *crypto;
	uint32_t nsi;     /**< attachment number */
	uint32_t granted; /**< enum bs_ext bits in force */
	uint32_t sum;     /**< legacy: running byte sum of this attempt */
	bs_time due;      /**< next step, unless state is STOPPED or RESOLVING */
	struct bs_alive_device alive;
	struct bs_endpoint controller; /**< the one last written to */
	struct bs_endpoint server;     /**< attach server, as the controller said */
	struct bs_endpoint global;     /**< ourselves, as the controller said */
	struct bs_endpoint local;      /**< our own idea of our address, for IPX; may be none */
	struct bs_endpoint addr[BS_CONTROLLER_ADDRS]; /**< what the lookup gave; unused = none */
#if BS_WITH_ADMISSION
	struct bs_attach_cookie cookie;
#endif
	union {
		struct bs_key_block c; /**< C key, from ATTACHED on */
		struct {
			uint8_t nonce_s[BS_NONCE_LEN];
			uint8_t nonce_d[BS_NONCE_LEN];
			uint8_t seed_s[BS_NONCE_LEN];
		} hs; /**< before; seed_d is drawn when the response is composed */
	} key;
};

/**
 * bs_attach_init - set up, stopped; conf and crypto are borrowed for the object's life
 *
 * Nothing is checked here: bs_device_conf_check does that once.
 */
void bs_attach_init(struct bs_attach_device *a, const struct bs_device_conf *conf,
		    const struct bs_crypto *crypto);
/** Wipe the keys and forget everything, also what is waiting to be sent. */
void bs_attach_fini(struct bs_attach_device *a);

/** Master switch on: asks for the addresses.  No effect when it runs already. */
void bs_attach_start(struct bs_attach_device *a, bs_time now);
/**
 * Master switch off: keys are wiped, nothing is sent any more, not even what was waiting (the
 * protocol has no detach packet).  Connections are the composite's matter.
 */
void bs_attach_stop(struct bs_attach_device *a);

/**
 * bs_attach_resolved - the answer to BS_ATTACH_EV_RESOLVE
 *
 * @addr [n] controller endpoints, port included; copied, at most 6 are used
 * @n    1..; 0 counts as a failed lookup
 *
 * Ignored when no lookup is wanted (a late answer after stop).
 */
void bs_attach_resolved(struct bs_attach_device *a, const struct bs_endpoint *addr, size_t n,
			bs_time now);
/** The lookup failed: it is asked for again after 2 s, 8 s, then every 32 s. */
void bs_attach_resolve_failed(struct bs_attach_device *a, bs_time now);
/**
 * bs_attach_restart - start over now, with a new lookup, nonce and socket
 *
 * For "the network has changed".  Without effect when stopped.
 */
void bs_attach_restart(struct bs_attach_device *a, bs_time now);

/**
 * bs_attach_input - take a U_INVITE, U_ATTACH or U_ALIVE
 *
 * @p    decoded packet
 * @pkt  the bytes of the same packet, decrypted in place
 *
 * Returns BS_OK, or a drop reason (BS_ESOURCE, BS_ESTATE, BS_EFIELD, BS_EMISSING, BS_EMAC, ...):
 * count it.  A reason after which the protocol wants a report has left one to be sent.
 */
BS_MUSTCHECK int bs_attach_input(struct bs_attach_device *a, const struct bs_packet *p,
				 uint8_t *pkt, const struct bs_endpoint *from, bs_time now);
/** Do what is due at now; harmless when nothing is. */
void bs_attach_timeout(struct bs_attach_device *a, bs_time now);
/**
 * bs_attach_output - compose the next waiting packet
 *
 * Returns its length with *to filled, or 0 when nothing waits.  Where random numbers or crypto
 * fail the packet is not sent; its schedule brings it again.
 */
size_t bs_attach_output(struct bs_attach_device *a, uint8_t *buf, size_t cap,
			struct bs_endpoint *to, bs_time now);
/** Whether a deadline is set; *at is it. */
bool bs_attach_next_timeout(const struct bs_attach_device *a, bs_time *at);
/** The events since the last call; clears them. */
uint8_t bs_attach_take_events(struct bs_attach_device *a);

/** NULL at compile time where the build leaves extension COOKIE out. */
static inline struct bs_attach_cookie *bs__attach_cookie(struct bs_attach_device *a)
{
#if BS_WITH_ADMISSION
	return &a->cookie;
#else
	(void)a;
	return NULL;
#endif
}

/** Whether the C key exists. */
static inline bool bs_attach_is_attached(const struct bs_attach_device *a)
{
	return a->state == BS_ATTACH_ATTACHED;
}
/** The basestation closed the attachment (extension CLOSE): wipe it, start over after 2 s. */
void bs_attach_end(struct bs_attach_device *a, bs_time now);

/* For the reports of the composite: a report with what all have, and, into memory that is zero, the
 * device's own endpoints. */
void bs__device_stats(const struct bs_device_conf *conf, enum bs_stats_event event,
		      struct bs_stats *m);
void bs__device_ipx(const struct bs_attach_device *a, struct bs_ipx *ipx);

#endif
