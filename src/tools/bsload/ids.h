/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids.h - names and secrets of simulated devices, made from a number and a seed.
 *
 * Nothing is stored: a million devices need no file, and two runs with one seed are the same
 * devices, so that a registry filled once serves every later run.  The secrets are as good as the
 * seed is secret: for test registries only.
 *
 * Any thread.  May call: util.  Allocates: no.
 */
#ifndef BS_TOOLS_BSLOAD_IDS_H
#define BS_TOOLS_BSLOAD_IDS_H

#include <stdio.h>

#include "basestation/types.h"

/** Longest id with terminator. */
#define IDS_NAME_MAX 41

/** A family of devices. */
struct ids {
	const char *prefix; /**< what stands before the number */
	const char *domain; /**< what stands behind it */
	uint32_t first;     /**< number of device 0 */
	uint64_t seed;      /**< of the secrets */
};

/** Whether every id from device 0 to device n - 1 is a valid device id. */
bool ids_ok(const struct ids *ids, uint32_t n);
/** Write the id of device i with terminator; returns its length. */
size_t ids_name(const struct ids *ids, uint32_t i, char out[static IDS_NAME_MAX]);
/** The secret of device i. */
void ids_secret(const struct ids *ids, uint32_t i, uint8_t out[static BS_PSK_LEN]);
/** Write the CSV that `bsctl device import` reads.  0, or -1 when writing fails. */
int ids_print(const struct ids *ids, uint32_t n, FILE *to);

#endif
