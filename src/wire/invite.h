/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invite.h - U_INVITE: a device looks for its controller, then announces itself to its attach
 * server; the controller's answer (basestation-wire(7), INVITES, and EXTENSIONS for EXT and EP6).
 *
 * Decoders take what bs_packet_decode accepted, check type, direction and required payloads, and
 * borrow from the packet.  They return BS_OK or a drop reason: BS_ETYPE, BS_EMISSING, BS_EFIELD,
 * BS_ESHORT.  Encoders return the packet's length or BS_ETOOBIG, BS_EINVAL.
 */
#ifndef BS_WIRE_INVITE_H
#define BS_WIRE_INVITE_H

#include "wire/payload.h"

/** Size to which an invite with EXT is padded, so that no answer to it is longer. */
#define BS_INVITE_PAD_LEN 240
/** Bytes of a COOKIE. */
#define BS_COOKIE_LEN 16

/** U_INVITE from a device; without nonce it is meant for the controller. */
struct bs_invite {
	uint16_t seq;
	struct bs_version version; /**< kind 5; must be there */
	struct bs_slice id;        /**< device id, checked by bs_device_id_ok */
	struct bs_slice nonce; /**< attach server: 32 bytes (secure) or 8 (legacy); else empty */
	struct bs_slice app_version; /**< attach server: application version, may be empty */
	struct bs_slice url;         /**< attach server: URL, may be empty */
	struct bs_caps caps;         /**< attach server: bits, mask and the suite code */
	bool has_ext;                /**< the device offered extensions */
	uint32_t ext;                /**< enum bs_ext bits offered */
	/** attach server: [BS_COOKIE_LEN] what an earlier answer gave (extension COOKIE), borrowed;
	 *  NULL = none; needs has_ext */
	const uint8_t *cookie;
};

/** U_INVITE answer of the controller. */
struct bs_invite_answer {
	uint16_t seq;                /**< of the invite */
	struct bs_endpoint server;   /**< where the attach server is */
	struct bs_endpoint observed; /**< where the invite came from */
	const uint8_t *cookie; /**< encode: COOKIE to append, NULL = none; decode: always NULL */
};

/** What an answer to an invite says beside or instead of its usual content, to a device that
 *  offered the extension: prove your address first (COOKIE), come back later (RETRY). */
struct bs_invite_notice {
	uint16_t seq;          /**< of the invite */
	const uint8_t *cookie; /**< [BS_COOKIE_LEN], borrowed; NULL = none */
	bool has_retry;
	uint32_t retry_ms;
};

/**
 * An attach server's invite must have VERSION, NONCE, CAPABILITY and SP_ID, and a suite that fits
 * the length of the nonce; a controller's VERSION and SP_ID.
 */
BS_MUSTCHECK int bs_invite_decode(const struct bs_packet *p, struct bs_invite *m);
/** With has_ext the packet is padded to BS_INVITE_PAD_LEN (or cap, if that is less).  The URL gives
 *  way to a cookie that would not fit. */
BS_MUSTCHECK bs_ssize bs_invite_encode(uint8_t *buf, size_t cap, const struct bs_invite *m);

/** BS_EFIELD also when sp is not 0 or no usable attach server is named. */
BS_MUSTCHECK int bs_invite_answer_decode(const struct bs_packet *p, struct bs_invite_answer *m);
/** 33 bytes for IPv4 endpoints; an IPv6 endpoint goes as EP6 (kind 4 server, kind 2 observed). */
BS_MUSTCHECK bs_ssize bs_invite_answer_encode(uint8_t *buf, size_t cap,
					      const struct bs_invite_answer *m);

/** Taken from any answer; BS_EMISSING when it has neither payload.  One of a wrong length counts as
 *  absent. */
BS_MUSTCHECK int bs_invite_notice_decode(const struct bs_packet *p, struct bs_invite_notice *m);
/** An answer of nothing else: at most 44 bytes, which other devices ignore.  BS_EINVAL when it
 *  would say nothing. */
BS_MUSTCHECK bs_ssize bs_invite_notice_encode(uint8_t *buf, size_t cap,
					      const struct bs_invite_notice *m);

#endif
