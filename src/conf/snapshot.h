/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - a snapshot while it is being made, for the files of conf/ only.
 */
#ifndef BS_CONF_SNAPSHOT_H
#define BS_CONF_SNAPSHOT_H

#include "conf/conf.h"

/** Where a key was set; line 0 = it has its default. */
struct bs_conf_place {
	const char *file;
	int line;
};

/** A snapshot of defaults with one reference, still to be changed by its maker; NULL: no memory. */
struct bs_conf *bs__conf_new(void);

/**
 * What no single value shows: keys that need each other or contradict each other.
 *
 * @places  [bs_conf_schema_n] where each key was set; NULL: unknown
 * @file    named where no key was set
 *
 * Returns BS_OK, or BS_ECONF with *error filled.
 */
int bs__conf_check(const struct bs_conf *conf, const struct bs_conf_place *places, const char *file,
		   struct bs_conf_error *error) BS_MUSTCHECK;

#endif
