/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim.h - records what the process writes to one file and when it syncs.
 *
 * The program defines pwrite, writev, fdatasync and the like itself, so that LMDB's calls land
 * here; they are recorded and passed on to the kernel.
 */
#ifndef BS_TEST_SHIM_H
#define BS_TEST_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What an entry says. */
enum shim_kind {
	SHIM_WRITE = 1, /**< bytes at an offset, durable after the next SYNC */
	SHIM_DWRITE,    /**< the same through a descriptor with O_DSYNC: durable when it returns */
	SHIM_SYNC,      /**< everything before it is durable */
	SHIM_ACK,       /**< the program was told that operation number `at` is done */
};

/** One entry of the trace. */
struct shim_entry {
	enum shim_kind kind;
	uint64_t at; /**< offset, or number of the operation */
	size_t len;
	uint8_t *data;
};

/** Begin to record what happens to the file. */
void shim_start(const char *path);
/** Stop; the trace stays. */
void shim_stop(void);
/** Note that an operation was acknowledged. */
void shim_ack(uint64_t op);
/** The trace. */
const struct shim_entry *shim_trace(size_t *n);
/** Writes to the file that the shim cannot model (ftruncate, msync, a mapping): must stay 0. */
unsigned shim_strange(void);

#endif
