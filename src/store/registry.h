/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.h - the registry: which devices, clients, rules, CA certificates and revocations exist.
 *
 * Purpose: the vendor's records in one LMDB environment, secrets sealed with AES-256-GCM under a
 * master key that lives elsewhere.  This header has the types and everything that reads; access.h
 * has the rules, writer.h everything that writes, backup.h copies and checks.
 *
 * Owner thread: one environment for the process.  The store thread (writer.h) owns every write
 * transaction; any other thread reads through a reader of its own (MDB_NOTLS).  A reader and what
 * it returned belong to the thread that made it.
 *
 * May call: util, wire, log, crypto (for sealing) and LMDB, whose types appear in no header.
 *
 * Reads are memory reads: no malloc, no lock, no system call once the pages are there.  Every
 * lookup takes a snapshot of its own unless the caller opened one with bs_registry_reader_begin.
 * Keep snapshots short (a loop turn, a page of a list): an old one keeps the writer from reusing
 * pages and the file grows.
 */
#ifndef BS_STORE_REGISTRY_H
#define BS_STORE_REGISTRY_H

#include "basestation/error.h"
#include "basestation/types.h"
#include "store/names.h"

struct bs_registry;
struct bs_registry_reader;

/** Newest schema that this program reads and writes. */
#define BS_STORE_SCHEMA 2
/** Bytes of a SHA-256 fingerprint: key_fp over the SubjectPublicKeyInfo, CA over its DER. */
#define BS_FP256_LEN 32
/** Longest certificate serial (RFC 5280, 4.1.2.2). */
#define BS_SERIAL_MAX 20
/** Longest CA certificate, DER. */
#define BS_CA_DER_MAX 8192
/** Longest free text with a record (name of a CA, reason of a revocation), without terminator. */
#define BS_NOTE_MAX 64
/** Bytes of a position in a list. */
#define BS_LIST_POS_MAX 160
/** Most records that one page call looks at before it returns with what it has. */
#define BS_LIST_SCAN_MAX 4096

/** One message for people: place, reason, remedy.  Functions fill it on failure only; NULL is
 *  accepted everywhere. */
struct bs_errtext {
	char text[256];
};

/** State of a device or client. */
enum bs_record_state {
	BS_RECORD_ENABLED = 1,
	BS_RECORD_DISABLED = 2, /**< kept, refused everywhere, may be enabled again */
	BS_RECORD_REVOKED = 3, /**< clients only: for good; stays listed so that it stays refused */
};

/** Device flags. */
enum bs_device_flag {
	BS_DEVICE_LEGACY = 1u << 0, /**< may attach without a key, if conf allows that at all */
};

/** A device.  Wipe it with bs_device_wipe when it held secrets. */
struct bs_device {
	char id[BS_DEVICE_ID_MAX + 1]; /**< lower case DNS name */
	uint8_t id_len;
	uint8_t state;       /**< enum bs_record_state */
	uint8_t flags;       /**< enum bs_device_flag */
	bool has_secret;     /**< false for a legacy device without a key */
	bool has_next;       /**< a rotation runs: secret_next is valid too */
	uint32_t number;     /**< stable for the life of the record, from 1, never used again */
	uint32_t generation; /**< rises with every change of this record but last seen */
	uint64_t created;    /**< Unix seconds */
	uint64_t last_seen;  /**< Unix seconds, 0 = never; written in hourly batches */
	uint8_t secret[BS_PSK_LEN];      /**< the secret to try first */
	uint8_t secret_next[BS_PSK_LEN]; /**< the new one while it is being rolled out */
	struct bs_names tags;
};

/** A client. */
struct bs_client {
	char identity[BS_CLIENT_ID_MAX + 1]; /**< as the certificate names it, lower case */
	uint8_t identity_len;
	uint8_t state; /**< enum bs_record_state */
	bool has_ca;   /**< the record is only for certificates of this CA */
	bool has_key;  /**< the client must present this key */
	uint32_t generation;
	uint8_t ca_fp[BS_FP256_LEN];
	uint8_t key_fp[BS_FP256_LEN];
	uint64_t created; /**< Unix seconds */
	struct bs_names groups;
};

/** What was relayed for a client, in a month. */
struct bs_volume {
	uint32_t month; /**< year times 12 plus month from 0, UTC */
	uint64_t bytes; /**< of that month, both directions */
};

/** What a CA certificate is good for. */
enum bs_ca_role {
	BS_CA_CLIENT = 1u << 0, /**< verifies client certificates */
	BS_CA_SERVER =
		1u << 1, /**< issued the server's own; shown to operators, not verified with */
};

/** A CA certificate; der is borrowed until the reader's snapshot ends. */
struct bs_ca {
	uint8_t fp[BS_FP256_LEN]; /**< SHA-256 of the DER */
	char name[BS_NOTE_MAX + 1];
	uint8_t roles;  /**< enum bs_ca_role */
	uint64_t added; /**< Unix seconds */
	struct bs_slice der;
};

/** What a revocation names. */
enum bs_revoke_kind {
	BS_REVOKE_NONE = 0,
	BS_REVOKE_CLIENT = 1, /**< identity, of one CA or of any */
	BS_REVOKE_CERT = 2,   /**< one certificate: CA and serial */
	BS_REVOKE_KEY = 3,    /**< every certificate with this public key */
};

/** A revocation. */
struct bs_revocation {
	uint8_t kind; /**< enum bs_revoke_kind */
	bool has_ca;  /**< CLIENT: only that of ca_fp; CERT: always true */
	uint8_t identity_len;
	uint8_t serial_len;
	char identity[BS_CLIENT_ID_MAX + 1];
	uint8_t serial[BS_SERIAL_MAX]; /**< big-endian, no leading zero bytes */
	uint8_t ca_fp[BS_FP256_LEN];
	uint8_t key_fp[BS_FP256_LEN];
	uint64_t when; /**< Unix seconds */
	char note[BS_NOTE_MAX + 1];
};

/** What the gate knows about a client after TLS; all borrowed. */
struct bs_presented {
	struct bs_slice identity; /**< lower case; ptr NULL when not asked about */
	const uint8_t *ca_fp;     /**< [32] SHA-256 of the DER of the issuing CA, or NULL */
	struct bs_slice serial;   /**< serial of the certificate, big-endian */
	const uint8_t *key_fp;    /**< [32] SHA-256 of the SubjectPublicKeyInfo, or NULL */
};

/** Numbers that rise with changes; equal numbers mean that a cached decision still holds. */
struct bs_epochs {
	uint64_t access; /**< clients, groups, rules, tags, device states: who may reach what */
	uint64_t crl;    /**< revocations and CA certificates: whose certificate counts */
	uint64_t change; /**< any commit that changed a record (last seen excepted) */
};

/** A position in a list.  All zero = the start.  It stays valid across changes, restarts and
 *  deletion of the record it points at: the list goes on after the last key that was shown. */
struct bs_list_pos {
	uint8_t len;
	uint8_t b[BS_LIST_POS_MAX];
};

/** Which devices a list wants; all zero = every device. */
struct bs_device_filter {
	char prefix[BS_DEVICE_ID_MAX + 1]; /**< ids that start so */
	char tag[BS_NAME_MAX + 1];         /**< devices with this tag */
	uint8_t state;                     /**< enum bs_record_state, 0 = any */
	bool with_secrets;                 /**< unseal the secrets too; else they are zero */
};

/** How the registry is opened. */
struct bs_registry_conf {
	const char *dir;      /**< folder of the database files; made (0700) when `write` is set */
	uint64_t map_bytes;   /**< most bytes the data file may reach; rounded up to 1 MiB */
	const char *key_file; /**< master key; NULL or "": credential "master-key" of systemd */
	unsigned max_readers; /**< readers of all processes together; 0 = 126 */
	bool write;           /**< take the writer's lock, create, migrate */
	bool prefault;        /**< read the whole file once, so that no lookup waits for a disk */
	/** Of a process that this one takes over from, NULL otherwise: */
	const uint8_t *master_key; /**< [32] instead of key_file */
	const int *locks;          /**< by enum bs_registry_lock; taken in every case */
};

/** The locks of the process that writes. */
enum bs_registry_lock {
	BS_REGISTRY_USE = 0,    /**< shared: no restore meanwhile */
	BS_REGISTRY_WRITER = 1, /**< nobody else writes */
	BS_REGISTRY_LOCKS = 2,
};

/** Figures for status. */
struct bs_registry_stat {
	uint64_t devices;
	uint64_t clients;
	uint64_t rules;
	uint64_t cas;
	uint64_t revocations;
	uint64_t map_bytes;  /**< limit */
	uint64_t used_bytes; /**< bytes in use, free pages inside the file not counted */
	uint32_t readers;    /**< reader slots in use */
	uint32_t schema;
};

/**
 * Open the registry.  With `write` it takes the lock of the writing process, creates what is
 * missing and migrates an older schema in one transaction.  It does not survive a fork: a daemon
 * opens it in the process that stays.  Opened as root in a folder of another user, the files it
 * makes belong to that user, who may then be what the process becomes.
 *
 * With `locks` the process that has them still writes until it is told that we are there: then an
 * older schema is not migrated but BS_EVERSION.
 *
 * BS_OK; or, with *err filled: BS_EBUSY another process has it open for writing; BS_EPERM file
 * mode or owner; BS_ENOENT nothing there (reading only); BS_EVERSION schema newer than this
 * program; BS_EAUTH the master key is another one; BS_ECORRUPT not a registry, or damaged;
 * BS_ENOSPC map too small or disk full; BS_EIO; BS_ENOMEM; BS_ERANDOM; BS_ECRYPTO; BS_EINVAL.
 */
BS_MUSTCHECK int bs_registry_open(const struct bs_registry_conf *conf, struct bs_registry **out,
				  struct bs_errtext *err);
/** What the process that takes over needs beside the files; borrowed.  Wipe key after use. */
void bs_registry_collect(const struct bs_registry *reg, int locks[static BS_REGISTRY_LOCKS],
			 uint8_t key[static 32]);
/** Close; every reader and the store thread must be gone.  NULL is fine. */
void bs_registry_close(struct bs_registry *reg);

/** Epochs as of the last commit, from atomics: cheap enough for every packet.  Any thread. */
struct bs_epochs bs_registry_epochs(const struct bs_registry *reg);
/** 16 random bytes that name this registry; made with it, kept for good.  Any thread. */
const uint8_t *bs_registry_instance(const struct bs_registry *reg);
/** Times the registry was opened for writing, this one included.  Any thread. */
uint64_t bs_registry_boot(const struct bs_registry *reg);
/**
 * A 32-byte secret for one purpose ("cookie", "ticket" ...), derived from the server secret, which
 * is sealed in the registry and outlives restarts.  Any thread.  BS_OK or BS_ECRYPTO.
 */
BS_MUSTCHECK int bs_registry_server_secret(const struct bs_registry *reg, const char *purpose,
					   uint8_t out[static 32]);

/** A reader for the calling thread.  BS_OK, BS_ENOMEM, BS_ECRYPTO, or BS_EFULL: no free slot. */
BS_MUSTCHECK int bs_registry_reader_new(struct bs_registry *reg, struct bs_registry_reader **out);
/** Free it, snapshot included; NULL is fine. */
void bs_registry_reader_free(struct bs_registry_reader *r);
/** Fix the view for several lookups; nests.  BS_OK, BS_EFULL or BS_EIO. */
BS_MUSTCHECK int bs_registry_reader_begin(struct bs_registry_reader *r);
/** End what begin began. */
void bs_registry_reader_end(struct bs_registry_reader *r);
/** The registry it reads. */
struct bs_registry *bs_registry_reader_registry(const struct bs_registry_reader *r);

/** A device by id (any case).  BS_OK, BS_ENOENT, BS_ECORRUPT (record or seal broken), BS_EIO. */
BS_MUSTCHECK int bs_registry_device(struct bs_registry_reader *r, struct bs_slice id,
				    struct bs_device *out);
/** The same by number. */
BS_MUSTCHECK int bs_registry_device_by_number(struct bs_registry_reader *r, uint32_t number,
					      struct bs_device *out);
/** Wipe the secrets of a device. */
void bs_device_wipe(struct bs_device *d);
/**
 * The next devices in id order, at most cap.  *pos goes on; *end says that there are no more.  A
 * call that met BS_LIST_SCAN_MAX records returns early, perhaps with none: call again until *end.
 * Returns the number filled, or BS_EINVAL (filter or position), BS_ECORRUPT, BS_EIO.
 */
BS_MUSTCHECK bs_ssize bs_registry_device_list(struct bs_registry_reader *r,
					      const struct bs_device_filter *f,
					      struct bs_list_pos *pos, struct bs_device *out,
					      size_t cap, bool *end);

/**
 * The record for a client that presented identity and CA: the one for exactly that CA, else the
 * one for any CA.  BS_OK; BS_ENOENT no record (not a refusal by itself: rules may name identity or
 * key); BS_EAUTH there is one, and it names another key than key_fp: refuse.  key_fp NULL = do not
 * look.
 */
BS_MUSTCHECK int bs_registry_client(struct bs_registry_reader *r, const struct bs_presented *who,
				    struct bs_client *out);
/** The record as stored: ca_fp NULL names the one for any CA.  BS_OK, BS_ENOENT, BS_ECORRUPT. */
BS_MUSTCHECK int bs_registry_client_get(struct bs_registry_reader *r, struct bs_slice identity,
					const uint8_t *ca_fp, struct bs_client *out);
/** As bs_registry_device_list, in order of identity, then CA. */
BS_MUSTCHECK bs_ssize bs_registry_client_list(struct bs_registry_reader *r, struct bs_list_pos *pos,
					      struct bs_client *out, size_t cap, bool *end);

/**
 * What was relayed for an identity under one CA; ca_fp NULL: under all of them, in the latest month
 * of any.  BS_OK, BS_ENOENT nothing is known, BS_ECORRUPT, BS_EIO.
 */
BS_MUSTCHECK int bs_registry_volume(struct bs_registry_reader *r, struct bs_slice identity,
				    const uint8_t *ca_fp, struct bs_volume *out);

/**
 * Whether anything presented is revoked: identity, certificate or key.  Also asked at resumption.
 * BS_OK and *by (BS_REVOKE_NONE = not revoked); BS_EIO or BS_ECORRUPT: refuse.
 */
BS_MUSTCHECK int bs_registry_revoked(struct bs_registry_reader *r, const struct bs_presented *who,
				     enum bs_revoke_kind *by);
/** As bs_registry_device_list; order of kind, then key. */
BS_MUSTCHECK bs_ssize bs_registry_revocation_list(struct bs_registry_reader *r,
						  struct bs_list_pos *pos,
						  struct bs_revocation *out, size_t cap, bool *end);

/** A CA by fingerprint; call inside begin/end, for the DER is borrowed.  BS_OK or BS_ENOENT. */
BS_MUSTCHECK int bs_registry_ca(struct bs_registry_reader *r, const uint8_t fp[static 32],
				struct bs_ca *out);
/** As bs_registry_device_list, by fingerprint; call inside begin/end. */
BS_MUSTCHECK bs_ssize bs_registry_ca_list(struct bs_registry_reader *r, struct bs_list_pos *pos,
					  struct bs_ca *out, size_t cap, bool *end);

/** Figures.  BS_OK or BS_EIO. */
BS_MUSTCHECK int bs_registry_stat(struct bs_registry_reader *r, struct bs_registry_stat *out);

#endif
