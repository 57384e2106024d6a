/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - what the commands of bsconnect share: the session, the connection, the words. */
#ifndef BS_BSCONNECT_RUN_H
#define BS_BSCONNECT_RUN_H

#include "basestation/client_interface.h"
#include "report.h"

/** One run of the program. */
struct run {
	struct options o;
	struct bsc_session *session;
	struct bsc_conn *conn;
	int n;       /**< words behind the command */
	char **word; /**< they */
};

/** Make the session, which opens when it is needed.  BS_OK, or err is filled. */
int run_open_session(struct run *r, struct bsc_error *err);
/** And connect to the device that the first word names, the way the options say. */
int run_open_conn(struct run *r, const char *device, struct bsc_error *err);
/** Ask the device; an answer as an object.  BS_OK, or err is filled. */
int run_ask(struct run *r, const struct bsc_query *q, const uint8_t *req, size_t len,
	    json_t **answer, struct bsc_error *err);
void run_close(struct run *r);
/** Progress of a connection, for bsc_connect(). */
void run_on_conn(void *arg, struct bsc_conn *c, enum bsc_progress step,
		 const struct bsc_error *err);

/* local.c: commands of the local network and of access lists; words as in bsconnect(1). */
int run_discover(struct run *r);
int run_pair(struct run *r);
int run_users(struct run *r);
/** Find the device that the first word names and ask it without a connection; as bsc_rpc_wait. */
int run_ask_legacy(struct run *r, const uint8_t *req, size_t len, uint8_t *buf, size_t cap,
		   size_t *got, struct bsc_error *err);

/** Most words behind "tunnel": a device and its listeners. */
#define TUNNEL_WORDS_MAX 65
/* tunnel.c: run until a signal or the end of the stream. */
int run_tunnel(struct run *r);
int run_stream(struct run *r);

#endif
