/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach_legacy.h - attach without a secret: byte sums instead of a MAC (basestation-wire(7),
 * ATTACH, legacy mode).
 *
 * Protects against accidents only.  The attach machine reaches it through this table, so a build
 * that never names bs_legacy_attach does not link it.
 */
#ifndef BS_PROTO_ATTACH_LEGACY_H
#define BS_PROTO_ATTACH_LEGACY_H

#include "crypto/suite.h"

/** Bytes of the data of a VERIFY payload. */
#define BS_VERIFY_LEN 12
/** Filler of a VERIFY from the server and from the device. */
#define BS_VERIFY_FILL_SERVER 0xAB
#define BS_VERIFY_FILL_DEVICE 0xCD

struct bs_attach_device;
struct bs_writer;

/** Legacy mode. */
struct bs_legacy_ops {
	const struct bs_suite *suite; /**< suite of DATA and in the capability payload */
	/** An invite to the attach server is going out: the sums start with it. */
	void (*start)(struct bs_attach_device *a, const uint8_t *pkt, size_t len);
	/** Check the VERIFY at the end of a request.  BS_OK or BS_EMAC. */
	int (*check)(struct bs_attach_device *a, const uint8_t *pkt, size_t len);
	/** Append the VERIFY of the response and finish the packet: its length or BS_ETOOBIG. */
	bs_ssize (*finish)(struct bs_attach_device *a, struct bs_writer *w);
};

/** Sum of len bytes added to sum. */
uint32_t bs_legacy_sum(uint32_t sum, const uint8_t *buf, size_t len);
/** The 12 bytes of a sum. */
void bs_legacy_put(uint8_t *out, uint8_t filler, uint32_t sum);
/** Whether 12 received bytes say this sum. */
bool bs_legacy_check(const uint8_t *in, uint8_t filler, uint32_t sum);

/** The one implementation; name it in bs_device_conf.legacy to switch legacy mode on. */
extern const struct bs_legacy_ops bs_legacy_attach;

#endif
