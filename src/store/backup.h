/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.h - hot copy, restore and check of the registry.
 *
 * A backup is one file: the data file of the environment, compacted.  Secrets in it are sealed; it
 * is of use only together with the master key, which must be kept apart.
 *
 * Owner thread: any; all of them block on the disk, so never a worker and not the main loop.
 */
#ifndef BS_STORE_BACKUP_H
#define BS_STORE_BACKUP_H

#include "store/registry.h"

/** What bs_registry_check found. */
struct bs_check_report {
	struct bs_registry_stat stat;
	uint64_t problems; /**< 0 = sound */
	uint64_t unsealed; /**< secrets that were opened */
};

/** Called for each problem, one line of text for people. */
typedef void (*bs_check_fn)(void *arg, const char *problem);

/**
 * Copy a consistent snapshot to path while the registry is in use: written beside it (0600),
 * synced, then renamed.  An existing path is refused.
 * BS_OK, BS_EEXIST, BS_ENOSPC, BS_EPERM, BS_ENOENT, BS_EIO.
 */
BS_MUSTCHECK int bs_registry_backup(struct bs_registry *reg, const char *path,
				    struct bs_errtext *err);
/**
 * Put a backup in place of the registry in conf->dir; no process may have it open.  The backup is
 * copied beside it, checked in full and brought to today's schema first; the old data file is kept
 * as data.mdb.old.  Epochs and counters end above those of either, so that nothing which was handed
 * out comes again.  Forks (bs_registry_verify): for bsctl, the caller has no threads.
 * BS_OK, BS_EBUSY, BS_ENOENT, BS_ECORRUPT, BS_EAUTH (sealed under another key), BS_EVERSION,
 * BS_ENOSPC, BS_EPERM, BS_EIO.
 */
BS_MUSTCHECK int bs_registry_restore(const struct bs_registry_conf *conf, const char *path,
				     struct bs_errtext *err);
/**
 * Walk everything: decode every record, open every seal, compare every index with its records in
 * both directions, check counters and epochs.  Works on a registry opened for reading, also while
 * a daemon uses it.  BS_OK (look at report->problems), or BS_EIO / BS_ENOMEM when it could not run.
 */
BS_MUSTCHECK int bs_registry_check(struct bs_registry *reg, bs_check_fn fn, void *arg,
				   struct bs_check_report *report);

/**
 * The same in a process of its own (fork), for a file that may be damaged so badly that walking it
 * ends in a crash: that becomes a problem in the report.  file is data.mdb, or NULL for it.  For
 * bsctl; the caller has no threads.  BS_OK (look at report->problems), the codes of
 * bs_registry_open with *err, or BS_EIO / BS_ENOMEM.
 */
BS_MUSTCHECK int bs_registry_verify(const struct bs_registry_conf *conf, const char *file,
				    bs_check_fn fn, void *arg, struct bs_check_report *report,
				    struct bs_errtext *err);

#endif
