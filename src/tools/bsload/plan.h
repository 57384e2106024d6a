/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - what is to be done, from the command line: a named plan is nothing but a set of options
 * that were chosen before, and every option may be added to every plan.
 *
 * Main thread.  Allocates: no.
 */
#ifndef BS_TOOLS_BSLOAD_PLAN_H
#define BS_TOOLS_BSLOAD_PLAN_H

#include <stdint.h>

/** Exit statuses. */
enum {
	STATUS_OK = 0,
	STATUS_FAILED = 1, /**< the run did not reach what the plan says */
	STATUS_USAGE = 2,
};

/** Everything that can be chosen; numbers as their option's help says. */
struct plan {
	const char *name;
	const char *server;
	const char *source;
	const char *prefix;
	const char *domain;
	const char *json;
	const char *forge;
	const char *forge_source;
	const char *attach_server;
	const char *gate;
	const char *server_name;
	const char *ca;
	const char *cert;
	const char *key;
	const char *tls;
	const char *alpn;
	const char *client_source;
	double devices;
	double first;
	double seed;
	double rate;
	double window;
	double patience;
	double interval;
	double shared;
	double sockets;
	double nap;
	double offer;
	double settle;
	double seconds;
	double deadline;
	double repeat;
	double again;
	double leg;
	double storm;
	double polls;
	double churn;
	double away;
	double restarts;
	double rebinds;
	double forged;
	double target;
	double clients;
	double handshakes;
	double resume;
	double hello;
	double abandon;
	double sessions;
	double connects;
	double client_addresses;
	double pid;
	double progress;
};

/** Read the arguments.  STATUS_OK, or a status to end with after a message; -1: the text that was
 *  asked for has been printed. */
int plan_read(struct plan *p, int argc, char **argv);

#endif
