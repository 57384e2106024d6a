/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_posix.h - the POSIX port of the device library: socket, clock, random numbers, name
 * lookup (c-ares), crypto (OpenSSL), storage in files.
 *
 * Two ways to run it: bsdev_posix_run() owns the thread, or bsdev_posix_poll() gives the
 * descriptors and the time to an event loop of the application's.
 */
#ifndef BSDEV_DEVICE_POSIX_H
#define BSDEV_DEVICE_POSIX_H

#include "basestation/device.h"
#include "basestation/device_local.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pollfd;

/** A device with its port; heap object. */
struct bsdev_posix;

/** Descriptors that bsdev_posix_poll may ask for at most. */
#define BSDEV_POSIX_FDS_MAX 36

/** How the port behaves; zero is a good start.  Texts are borrowed for the object's life. */
struct bsdev_posix_conf {
	const char *dns_servers;  /**< "ip[:port],..." instead of the system's; NULL = system's */
	const char *bind_address; /**< local address, numeric; NULL = any */
	uint16_t bind_port;       /**< local port; 0 = a new one at each start-over */
	bool ip4_only;            /**< look up and use IPv4 only */
	/** What is allowed on the local network; NULL: no socket is opened there. */
	const struct bsdev_local_conf *local;
	/** Cap of the further sockets that are opened for some seconds when a client connects and
	 *  this device's NAT is symmetric; 0 = 250.  Some routers suffer from many. */
	uint16_t sockets_max;
	bool one_socket; /**< never open further ones: such clients are relayed */
};

/**
 * bsdev_posix_new - make a device on this machine
 *
 * @conf  as for bsdev_init; borrowed for the object's life
 * @posix may be NULL for all defaults; borrowed for the object's life
 * @out   the object, owned by the caller
 *
 * Returns BS_OK, or
 *   BS_EINVAL  conf or an address text is wrong
 *   BS_ENOMEM  no memory
 *   BS_EIO     no socket could be opened; errno says why
 *   BS_ERANDOM the system gives no random numbers
 *   BS_ECRYPTO the crypto library lacks an algorithm
 *
 * Thread: any; the object belongs to the calling thread.  Allocates: yes.  Blocks: no.
 */
BS_API BS_MUSTCHECK int bsdev_posix_new(const struct bsdev_conf *conf,
					const struct bsdev_posix_conf *posix,
					struct bsdev_posix **out);

/**
 * bsdev_posix_free - close the socket, wipe and free
 *
 * @p may be NULL
 *
 * Thread: the object's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_posix_free(struct bsdev_posix *p);

/**
 * bsdev_posix_device - the device itself, for the functions of device.h
 *
 * @p the object
 *
 * Returns the device, borrowed; never NULL.
 *
 * Thread: the object's.  Allocates: no.  Blocks: no.
 */
BS_API struct bsdev *bsdev_posix_device(struct bsdev_posix *p);

/**
 * bsdev_posix_now - the port's clock
 *
 * Returns the time that this port hands to the device: monotonic, suspend included.
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 */
BS_API bs_time bsdev_posix_now(void);

/**
 * bsdev_posix_poll - what to wait for
 *
 * @p          the object
 * @fds        [cap] receives descriptors with the events to wait for
 * @cap        at least BSDEV_POSIX_FDS_MAX
 * @timeout_ms receives the longest time to wait, -1 for none
 *
 * Returns the number of descriptors; they may change after every bsdev_posix_step.
 *
 * Thread: the object's.  Allocates: no.  Blocks: no.
 */
BS_API int bsdev_posix_poll(struct bsdev_posix *p, struct pollfd *fds, int cap, int *timeout_ms);

/**
 * bsdev_posix_step - handle what poll(2) reported, and what is due
 *
 * @p   the object
 * @fds [n] as filled by bsdev_posix_poll, with revents; stale ones do no harm
 * @n   number of descriptors
 *
 * Returns BS_OK, or BS_ECLOSED after bsdev_posix_stop.
 *
 * Thread: the object's.  Allocates: for name lookups.  Blocks: no.
 */
BS_API int bsdev_posix_step(struct bsdev_posix *p, const struct pollfd *fds, int n);

/**
 * bsdev_posix_run - run until bsdev_posix_stop
 *
 * @p the object
 *
 * Returns BS_OK after a stop, or BS_EIO when poll(2) fails for good (errno says why).
 *
 * Thread: the object's.  Allocates: for name lookups.  Blocks: yes.
 */
BS_API int bsdev_posix_run(struct bsdev_posix *p);

/**
 * bsdev_posix_stop - make bsdev_posix_run return
 *
 * @p the object
 *
 * Thread: any, also from a signal handler.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_posix_stop(struct bsdev_posix *p);

/**
 * bsdev_posix_request_switch - turn the master switch from elsewhere
 *
 * @p  the object
 * @on the new position; it is in force at the next turn of the loop
 *
 * Thread: any, also from a signal handler.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_posix_request_switch(struct bsdev_posix *p, bool on);

/**
 * bsdev_posix_storage - a storage hook that keeps each value in a file of its own
 *
 * @st     filled; st->ctx is the folder's name
 * @folder must exist and be writable; borrowed for as long as st is used
 *
 * Values are written to a new file, synced and renamed, so that a power cut leaves the old or the
 * new one.
 *
 * Thread: any.  Allocates: no.  Blocks: the hook's functions do, on the disk.
 */
BS_API void bsdev_posix_storage(struct bsdev_storage *st, const char *folder);

#ifdef __cplusplus
}
#endif
#endif
