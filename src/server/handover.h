/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handover.h - what one basestationd gives to the next, and the words they say meanwhile.
 *
 * An upgrade runs two processes for a moment.  They talk over one pair of UNIX sockets that keeps
 * packets apart; descriptors travel as SCM_RIGHTS, so nothing has to survive an exec but that one
 * socket, and the sockets stay what they are: whatever lies in their buffers is read by the new
 * process.  Only one of the two ever reads them:
 *
 *	old                                     new
 *	---- item ... item, end ------------->  keeps them; reads conf, keys, registry
 *	<--------------------------- ready ----
 *	stops reading, settles its mail
 *	---- go ----------------------------->  sockets, state, workers that stand still
 *	<------------------------ prepared ----
 *	---- commit ------------------------->  reads
 *	names the new one to the service manager
 *	closes ------------------------------>  says there that it is ready
 *
 * Until commit the old process can go on as if nothing had been; after it, never.  Whoever sees the
 * other end close gives up: the new process ends, the old one goes on.
 *
 * The numbers below are a contract between versions: they are never used anew.
 *
 * Owner thread: main.  May call util.  Allocates: the list.
 */
#ifndef BS_SERVER_HANDOVER_H
#define BS_SERVER_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>

#include "basestation/error.h"
#include "basestation/types.h"

/** Version of the conversation; another one is refused by either side. */
#define BS_HANDOVER_VERSION 1
/** Bytes of a value, of a path or of a message. */
#define BS_HANDOVER_DATA_MAX 1024

/** What an item is.  Below 64 it has a descriptor, from there on it is a value. */
enum bs_handover_what {
	BS_HANDOVER_UDP = 1,      /**< role: enum bs_socket_role bits */
	BS_HANDOVER_CLIENT = 2,   /**< listener of the client gate */
	BS_HANDOVER_GATEWAY = 3,  /**< listener of the TCP relay */
	BS_HANDOVER_CONTROL = 4,  /**< the control socket; data: its path */
	BS_HANDOVER_PID_FILE = 5, /**< locked; data: its path */
	BS_HANDOVER_LOCK = 6,     /**< of the registry; role: enum bs_registry_lock */
	BS_HANDOVER_STATE = 7,    /**< the state file, to be read only */
	BS_HANDOVER_VALUES = 64,
	BS_HANDOVER_WORKERS = 64,     /**< role: how many there are */
	BS_HANDOVER_MASTER_KEY = 65,  /**< of the registry: its file may be root's alone */
	BS_HANDOVER_TICKET_KEYS = 66, /**< so that clients resume their TLS sessions */
};

/** One thing that moves. */
struct bs_handover_item {
	uint8_t what; /**< enum bs_handover_what */
	uint8_t role; /**< see there */
	uint16_t worker;
	uint16_t index;        /**< among those of one worker */
	int fd;                /**< -1: none, or taken */
	struct bs_endpoint ep; /**< what a socket is bound to */
	uint16_t len;          /**< bytes of data */
	uint8_t data[BS_HANDOVER_DATA_MAX];
};

/** A list of them.  All zero is an empty one. */
struct bs_handover {
	struct bs_handover_item *item;
	size_t n;
	size_t cap;
	bool owns; /**< descriptors that nobody took are closed by fini */
};

void bs_handover_fini(struct bs_handover *h);
/** Append a copy.  BS_OK, BS_ETOOBIG or BS_ENOMEM. */
BS_MUSTCHECK int bs_handover_add(struct bs_handover *h, const struct bs_handover_item *item);
/** An item by kind and place; NULL when there is none. */
const struct bs_handover_item *bs_handover_find(const struct bs_handover *h, uint8_t what,
						uint16_t worker, uint16_t index);
/** Take the descriptor of an item, close-on-exec; BS_ENOENT when there is none (any more). */
BS_MUSTCHECK int bs_handover_take(struct bs_handover *h, uint8_t what, uint16_t worker,
				  uint16_t index);
/** The first item whose descriptor nobody took; NULL when all are in use. */
const struct bs_handover_item *bs_handover_left(const struct bs_handover *h);

/** What the two say to each other. */
enum bs_handover_word {
	BS_HANDOVER_ITEM = 1,
	BS_HANDOVER_END = 2,
	BS_HANDOVER_GO = 3,
	BS_HANDOVER_COMMIT = 4,
	BS_HANDOVER_READY = 16,
	BS_HANDOVER_PREPARED = 17,
	BS_HANDOVER_FAILED = 18, /**< with a message for people */
};

/** Two connected ends, close-on-exec.  BS_OK or BS_EFULL. */
BS_MUSTCHECK int bs_handover_pair(int fd[2]);
/** Say a word; text may be NULL.  BS_OK, BS_ECLOSED (the other end is gone), BS_ETIMEDOUT. */
BS_MUSTCHECK int bs_handover_say(int sock, enum bs_handover_word word, const char *text);
/**
 * Hear a word, waiting at most so long; text[cap] gets what came with it.
 *
 * Returns the word, or BS_ETIMEDOUT, BS_ECLOSED, BS_EVERSION (the other program is too different),
 * BS_EPROTO (not a word).
 */
BS_MUSTCHECK int bs_handover_hear(int sock, int wait_ms, char *text, size_t cap);
/** Send all items, then the end.  BS_OK, BS_ECLOSED or BS_ETIMEDOUT. */
BS_MUSTCHECK int bs_handover_send(int sock, const struct bs_handover *h);
/** Receive up to the end; h then owns the descriptors.  BS_OK or as bs_handover_hear. */
BS_MUSTCHECK int bs_handover_receive(int sock, int wait_ms, struct bs_handover *h);

#endif
