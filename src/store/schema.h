/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - the meta table and the way from one schema to the next.  Internal to store/.
 *
 * Names in the meta table, the same in every schema: "schema", "instance", "boot", "check" (a known
 * text, sealed: tells a wrong master key from a damaged record), "server-secret" (sealed),
 * "next-number", "next-rule", "epoch-access", "epoch-crl", "epoch-change".
 */
#ifndef BS_STORE_SCHEMA_H
#define BS_STORE_SCHEMA_H

#include "store/env.h"

/** A number of the meta table.  BS_OK, BS_ECORRUPT when missing or malformed. */
BS_MUSTCHECK int bs__meta_get(const struct bs_registry *reg, MDB_txn *txn, const char *name,
			      uint64_t *out);
/** Set it: 0 or an LMDB result. */
int bs__meta_put(const struct bs_registry *reg, MDB_txn *txn, const char *name, uint64_t v);
/** Name of an epoch in the meta table. */
const char *bs__epoch_name(enum bs__epoch e);

/** Fill an empty environment. */
BS_MUSTCHECK int bs__schema_create(struct bs_registry *reg, struct bs_errtext *err);
/**
 * Check schema and master key and load what the registry keeps in memory.  When writing it also
 * migrates an older schema and counts the boot, all in one transaction.
 */
BS_MUSTCHECK int bs__schema_load(struct bs_registry *reg, struct bs_errtext *err);
/** Read the epochs of a view into the atomics. */
BS_MUSTCHECK int bs__schema_epochs(struct bs_registry *reg, MDB_txn *txn);

/** Open one data file of conf->dir as it is: no locks, nothing created.  For backup.c. */
BS_MUSTCHECK int bs__registry_open_file(const struct bs_registry_conf *conf, const char *file,
					struct bs_registry **out, struct bs_errtext *err);

/** Bring the tables from schema `from` to the next one.  In migrate.c.  BS_OK, BS_EVERSION (no
 *  step for it), BS_ECORRUPT, BS_ENOSPC, BS_EIO. */
BS_MUSTCHECK int bs__migrate_step(const struct bs_registry *reg, MDB_txn *txn, uint64_t from,
				  struct bs_errtext *err);

#endif
