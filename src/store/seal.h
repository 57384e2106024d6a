/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h - secrets at rest: AES-256-GCM under the master key.
 *
 * A sealed value is nonce (12, random) | ciphertext | tag (16).  Associated data is what the value
 * belongs to (kind, record id, slot), so a value copied into another record does not open.
 *
 * Master key file: 32 random bytes as 64 hex digits and a newline, mode 0600 (0400), owned by root
 * or by the user that runs the program.  Under systemd: LoadCredential=master-key:/path, found as
 * $CREDENTIALS_DIRECTORY/master-key (systemd checks the modes there, its files may be 0440).
 *
 * Owner thread: a struct bs_seal belongs to one thread.
 */
#ifndef BS_STORE_SEAL_H
#define BS_STORE_SEAL_H

#include "store/registry.h"

/** Bytes of the master key. */
#define BS_MASTER_KEY_LEN 32
/** Bytes that sealing adds. */
#define BS_SEAL_OVERHEAD 28
/** Name of the systemd credential. */
#define BS_SEAL_CREDENTIAL "master-key"

struct bs_seal;

/**
 * Make a master key file: random, 0600, synced, never over an existing one.  BS_OK, BS_EEXIST,
 * BS_EPERM, BS_ENOENT (folder), BS_ENOSPC, BS_EIO, BS_ERANDOM; *err says what to do.
 */
BS_MUSTCHECK int bs_seal_key_create(const char *path, struct bs_errtext *err);
/**
 * Read the master key from path, or from the credential when path is NULL or "".  BS_OK, BS_ENOENT,
 * BS_EPERM (mode or owner), BS_ECONF (content), BS_EIO.  Wipe key after use.
 */
BS_MUSTCHECK int bs_seal_key_load(const char *path, uint8_t key[static BS_MASTER_KEY_LEN],
				  struct bs_errtext *err);

/** A sealing context with this key.  BS_OK, BS_ENOMEM or BS_ECRYPTO. */
BS_MUSTCHECK int bs_seal_new(const uint8_t key[static BS_MASTER_KEY_LEN], struct bs_seal **out);
/** Wipe and free; NULL is fine. */
void bs_seal_free(struct bs_seal *s);
/** out = [plain.len + BS_SEAL_OVERHEAD].  BS_OK, BS_ERANDOM or BS_ECRYPTO. */
BS_MUSTCHECK int bs_seal_close(struct bs_seal *s, struct bs_slice ad, struct bs_slice plain,
			       uint8_t *out);
/** out = [sealed.len - BS_SEAL_OVERHEAD].  BS_OK; BS_EMAC wrong key, record or bytes (out wiped);
 *  BS_ELENGTH too short; BS_ECRYPTO. */
BS_MUSTCHECK int bs_seal_open(struct bs_seal *s, struct bs_slice ad, struct bs_slice sealed,
			      uint8_t *out);

#endif
