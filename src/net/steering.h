/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steering.h - which socket of a reuseport group gets a datagram.
 *
 * The top 8 bits of NSI.sp (offset 4 of the datagram) modulo the number of workers name the worker;
 * a datagram that is too short or has NSI.sp 0 goes where the kernel's hash of the addresses sends
 * it.  A classic BPF program does that inside the kernel; bs_steer() is the same rule in C, for the
 * worker that has to forward because the program could not be attached.
 *
 * Owner: main attaches; bs_steer is pure.
 */
#ifndef BS_NET_STEERING_H
#define BS_NET_STEERING_H

#include "basestation/error.h"
#include "basestation/types.h"

/** Instructions of the program. */
#define BS_STEERING_LEN 8
/** What bs_steer says when the datagram names nobody. */
#define BS_STEER_ANY (-1)

/** One instruction, laid out as the kernel's struct sock_filter. */
struct bs_steering_insn {
	uint16_t code;
	uint8_t jt;
	uint8_t jf;
	uint32_t k;
};

/** Write the program for n workers. */
void bs_steering_program(unsigned n, struct bs_steering_insn out[BS_STEERING_LEN]);
/**
 * Attach it to the group that fd belongs to; the sockets must have been bound in worker order.
 *
 * Returns BS_OK, or BS_EPERM / BS_EUNREACH / BS_EIO when the system does not have it: forward.
 */
BS_MUSTCHECK int bs_steering_attach(int fd, unsigned n);
/** The worker a datagram names, or BS_STEER_ANY. */
int bs_steer(const uint8_t *data, size_t len, unsigned n);

#endif
