/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - a control socket with a real registry and store thread and a server made of plain data,
 * so that the commands are tested without sockets of workers.
 */
#ifndef TEST_CONTROL_HOST_H
#define TEST_CONTROL_HOST_H

#include <check.h>
#include <ev.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "ctl/protocol.h"
#include "server/control.h"
#include "server/server.h"

/** Devices that the pretended server holds. */
#define HOST_ROWS 8

/** What stands in for the workers; struct bs_server is this. */
struct bs_server {
	struct ev_loop *loop;
	struct bs_device_row row[HOST_ROWS];
	size_t n_rows;
	struct bs_relay_row relay[HOST_ROWS];
	size_t n_relays;
	struct bs_attempt_info info[HOST_ROWS];
	size_t n_info;
	struct bs_attempt_row step[HOST_ROWS];
	size_t n_steps;
	uint32_t kicked[HOST_ROWS];
	size_t n_kicked;
	struct bs_msg_drain drain; /**< as told last */
	int refuse;                /**< what every question returns at once, BS_OK = it is taken */
	int answer;                /**< what every answer says */
	uint64_t counter[BS_COUNTER_N];
	struct bs_counters workers[2];
	unsigned n_workers;
};

struct host {
	char root[64];
	char sock[96];
	char text[2048]; /**< conf file */
	struct ev_loop *loop;
	const struct bs_conf *conf;
	struct bs_registry *reg;
	struct bs_store *store;
	struct bs_store_inbox *inbox;
	ev_io answers;
	ev_timer guard;
	struct bs_server server;
	struct bs_control *control;
	int fd; /**< the test's end */
	struct bs_ctl_lines lines;
	unsigned changes; /**< entries of the change feed */
	bool stopped;
	int reload;  /**< what a reload returns */
	int upgrade; /**< what an upgrade comes to */
	bool without_server;
};

void host_start(struct host *h);
/** The same without a server, as offline. */
void host_start_offline(struct host *h);
void host_stop(struct host *h);
/** Another client over the real socket; -1 with errno when it cannot connect. */
int host_connect(struct host *h);
/** Let the loop turn until cond(arg) or ten seconds passed; false then. */
bool host_until(struct host *h, bool (*cond)(void *arg), void *arg);
/** Send bytes as they are. */
void host_send(struct host *h, const char *text);
/** The next record; fails the test when none comes.  The caller decrefs. */
json_t *host_record(struct host *h);
/** Whether the server has closed the connection, with nothing left to read. */
bool host_is_closed(struct host *h);
/** Send one request, give all records that answer it, the final one last. */
json_t *host_ask(struct host *h, const char *command, const char *args);
/** The same where only the final record counts; its status is compared. */
json_t *host_expect(struct host *h, const char *command, const char *args, int status);
/** The same, result dropped. */
void host_ok(struct host *h, const char *command, const char *args);
/** A text below result, "" when there is none. */
const char *host_text(const json_t *final, const char *name);
/** A member of the error of a final record. */
const char *host_error(const json_t *final, const char *name);

#endif
