/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.h - what a board must bring: four functions.  Everything else is portable.
 */
#ifndef BSDEV_BOARD_H
#define BSDEV_BOARD_H

#include "basestation/device.h"

/** Milliseconds since start; wraps. */
bs_time board_now(void);
/** A datagram, if one is there: its length, else 0. */
size_t board_receive(uint8_t *buf, size_t cap, struct bs_endpoint *from);
/** Send a datagram; may drop it. */
void board_send(const uint8_t *buf, size_t len, const struct bs_endpoint *to);
/** Open the UDP socket anew with another source port. */
void board_renew_socket(void);
/** Start a name lookup; board_lookup_done tells its end. */
void board_lookup(const char *host, size_t host_len);
/** Whether a lookup ended since the last call: *n addresses, 0 for a failure. */
bool board_lookup_done(struct bs_endpoint *ips, size_t *n);
/** Unpredictable bytes from a hardware source; BS_OK or BS_ERANDOM. */
int board_random(void *ctx, uint8_t *buf, size_t len);
/** The device's id and secret, from protected flash. */
extern const char board_id[];
extern const uint8_t board_secret[BS_PSK_LEN];
/** The one value that this device serves. */
uint16_t board_sensor(void);

#endif
