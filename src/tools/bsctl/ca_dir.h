/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca_dir.h - an authority's folder: ca.crt, ca.key (0600), ca.crl, index, lock, issued/.
 *
 * The index is a file of JSON lines that only grows: one line per certificate, one per revocation,
 * each on the disk before the certificate or CRL that it tells of.  A last line that a crash cut
 * short was never told to anybody; it is ignored and cut off by the next change.
 */
#ifndef BS_TOOLS_BSCTL_CA_DIR_H
#define BS_TOOLS_BSCTL_CA_DIR_H

#include <jansson.h>

#include "ctl/protocol.h"
#include "tools/bsctl/ca_sign.h"

/** An open folder. */
struct bs_ca_dir {
	char path[4000];
	int lock; /**< descriptor, or -1 */
	struct bs_ca_signer *signer;
	json_t *certs;  /**< array of objects: serial, kind, name, not_after, key_fp, revoked ... */
	long index_len; /**< bytes of whole lines in the index */
};

/** Open; with change the key is read and nobody else may change meanwhile.  0 or a status. */
int bs_ca_dir_open(struct bs_ca_dir *d, const char *path, bool change, struct bs_ctl_error *e);
void bs_ca_dir_close(struct bs_ca_dir *d);
/** Path of a file in the folder into out[4096]. */
const char *bs_ca_dir_file(const struct bs_ca_dir *d, const char *name, char out[static 4096]);
/** Add a line to the index, synced; record is taken. */
int bs_ca_dir_append(struct bs_ca_dir *d, json_t *record, struct bs_ctl_error *e);
/** Sign the CRL from the certs that are revoked and put it in place. */
int bs_ca_dir_crl(struct bs_ca_dir *d, unsigned days, struct bs_ctl_error *e);
/** Numeric form of a reason's word, 0 for NULL. */
int bs_ca_reason(const char *word);

#endif
