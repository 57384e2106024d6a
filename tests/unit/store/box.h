/* SPDX-License-Identifier: Apache-2.0 */
/*
 * box.h - a registry in a folder of its own, with its store thread, for one test.
 */
#ifndef BS_TEST_BOX_H
#define BS_TEST_BOX_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "store/backup.h"
#include "store/registry.h"
#include "store/seal.h"
#include "store/writer.h"

#define BS_LEN(a) (sizeof(a) / sizeof((a)[0]))
/** Changes that a box remembers. */
#define BOX_CHANGES 600

/** A registry for a test. */
struct box {
	char root[64];
	char dir[96];
	char key[96];
	struct bs_registry_conf conf;
	struct bs_registry *reg;
	struct bs_registry_reader *r;
	struct bs_store *store;
	struct bs_store_inbox *in;
	struct bs_store_inbox *feed;
	struct bs_store_change change[BOX_CHANGES];
	size_t n_changes;
	struct bs_errtext err;
};

/** A folder with a master key; nothing opened. */
void box_init(struct box *b);
/** Open the registry, a reader and the store thread. */
void box_open(struct box *b);
/** The same without a word to Check: for a child that will be killed, for Check's assertions write
 *  into a pipe of its own, and half a message there ends the whole run. */
int box_try_open(struct box *b);
/** Stop and close what is open; keeps the files. */
void box_close(struct box *b);
/** Close and remove the folder. */
void box_fini(struct box *b);
/** Remove a folder and all in it. */
void box_remove(const char *path);
/** "root/name" in a static buffer of the box's thread. */
const char *box_path(const struct box *b, const char *name);

/** Submit and wait for the answer, at most 30 s. */
struct bs_store_result box_do(struct box *b, const struct bs_store_request *req);
/** Run the inbox until *flag, at most 30 s. */
void box_wait(struct box *b, const bool *flag);
/** Add a device whose secret is sixteen times fill, tags separated by commas or NULL. */
struct bs_store_result box_add(struct box *b, const char *id, uint8_t fill, const char *tags);
/** One request about a device. */
struct bs_store_result box_device(struct box *b, enum bs_store_op op, const char *id);
/** Set a device's state. */
struct bs_store_result box_state(struct box *b, const char *id, uint8_t state);
/** Add a client in these groups. */
struct bs_store_result box_client(struct box *b, const char *identity, const uint8_t *ca,
				  const uint8_t *key, const char *groups);
/** Add a rule. */
struct bs_store_result box_rule(struct box *b, bool allow, uint8_t who_kind, const char *who,
				const uint8_t *fp, uint8_t which_kind, const char *which,
				uint16_t priority);
/** Check everything and require that it is sound. */
void box_check(struct box *b);

/** A text as a slice. */
struct bs_slice box_text(const char *text);
/** Names from a list with commas. */
struct bs_names box_names(const char *list);
/** A fingerprint of one repeated byte, in a static table. */
const uint8_t *box_fp(uint8_t fill);
/** xorshift; a failure is repeated by its seed. */
uint32_t box_random(uint32_t *state);

#endif
