/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig_device.h - a device on loopback for the rig: our own protocol machine behind a socket.
 *
 * Apart from rig.h, since the registry and the protocol both have a struct bs_device.
 */
#ifndef BS_TEST_RIG_DEVICE_H
#define BS_TEST_RIG_DEVICE_H

#include <sys/types.h>

#include "basestation/types.h"
#include "basestation/wire.h"

struct rig;
struct rig_core;

/** A device with a socket; the protocol machine behind it is in rig_device.c. */
struct rig_device {
	struct rig *rig;
	struct bs_endpoint controller; /**< where it looks for the server */
	struct rig_core *core;
	char id[BS_DEVICE_ID_MAX + 1];
	uint32_t number; /**< in the registry, 0 for a stranger */
	int fd;
	bool mute; /**< hears nothing and says nothing */
	bool running;
	uint16_t access; /**< what its access hook says */
	/* What its access hook saw. */
	char client_id[80];
	bool has_fp;
	bool has_attempt;
	uint8_t attempt[8];
	unsigned asked;
	unsigned sent;     /**< packets */
	unsigned detached; /**< attachments that it lost or that were closed */
	const char *event; /**< text for the event channel */
	bool event_taken;
};

/** Make one; ext 0 = a stock device. */
struct rig_device *rig_device_new(const char *id, uint8_t fill, uint32_t ext,
				  const struct bs_endpoint *controller);
/** Before its start: attach without a key, from now on. */
void rig_legacy(struct rig_device *d);
/** It says that it can use the TCP relay; its leg is the test's to play. */
void rig_tcp_relay(struct rig_device *d);
void rig_start(struct rig_device *d);
/** A new socket under the device, as after a NAT's change of mind. */
void rig_rebind(struct rig_device *d);
/** It has heard nothing for too long: poll. */
void rig_poll(struct rig_device *d);
/** The interval that the server promised it, 0 = none; and whether keep-alives carry MACs. */
uint16_t rig_interval(const struct rig_device *d);
bool rig_has_auth(const struct rig_device *d);
bool rig_attached(const struct rig_device *d);
/** NSI of its attachment, and how many of its connections are live. */
uint32_t rig_nsi(const struct rig_device *d);
size_t rig_live(const struct rig_device *d);
/** Its C key, 96 bytes. */
const uint8_t *rig_c_key(const struct rig_device *d);
/** Start over as after a loss of power: new nonce, new socket. */
void rig_restart(struct rig_device *d);
/** Send bytes from its socket to the attach server (or the controller). */
void rig_send(struct rig_device *d, const void *buf, size_t len, bool to_controller);
/** Read one datagram from its socket, waiting at most ms; its length or -1. */
ssize_t rig_receive(struct rig_device *d, uint8_t *buf, size_t cap, int ms);
/** Take what came, do what is due, send what waits. */
void rig_device_step(struct rig_device *d);
void rig_device_free(struct rig_device *d);
bs_time rig_now(void);

#endif
