/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first_run.h - what the very first start makes: the master key.
 *
 * Only where there is no registry yet: a registry without its key is a fault that a new key would
 * make worse.  Owner thread: main.
 */
#ifndef BS_SERVER_FIRST_RUN_H
#define BS_SERVER_FIRST_RUN_H

#include "conf/conf.h"

/** Whether the conf's registry exists already. */
bool bs_first_run_has_registry(const struct bs_conf *conf);

/**
 * Make the conf's key-file when neither it nor the registry exists.  BS_OK, also when there is
 * nothing to make; else the code of bs_seal_key_create() with one message in err.
 */
int bs_first_run(const struct bs_conf *conf, char *err, size_t cap) BS_MUSTCHECK;

#endif
