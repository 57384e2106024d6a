/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - what a user of bsconnect said: command line, environment, file, in that order.
 *
 * The program is thin: it fills a bsc_config, calls the client SDK and prints.  One thread.  It may
 * include the SDK's public headers, jansson and the C library.
 */
#ifndef BS_BSCONNECT_OPTIONS_H
#define BS_BSCONNECT_OPTIONS_H

#include "basestation/client.h"

/** Exit status: one per kind of failure, listed in bsconnect(1). */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,    /**< anything not below */
	STATUS_USAGE = 2,     /**< arguments, conf, files */
	STATUS_NO_SERVER = 3, /**< the basestation cannot be reached */
	STATUS_AUTH = 4,      /**< a certificate or key was not accepted, on either side */
	STATUS_REFUSED = 5,   /**< the basestation refuses */
	STATUS_NO_DEVICE = 6, /**< the device is offline or no path leads to it */
	STATUS_DEVICE = 7,    /**< the device refuses */
	STATUS_QUERY = 8,     /**< the query failed: exception, no answer, wrong interface */
};

/** Everything that can be set.  Strings are borrowed from argv or the environment, or owned by
 *  the file's text below. */
struct options {
	const char *server; /**< host, host:port or [v6]:port */
	const char *server_name;
	const char *ca;
	const char *crl;
	const char *pin; /**< 64 hexadecimal digits */
	const char *cert;
	const char *key;
	const char *interface; /**< query interface file */
	const char *timeout;   /**< seconds */
	const char *dns;
	const char *relay_word;
	const char *pairings;            /**< folder of pairing secrets */
	const char *pairing_secret_file; /**< what is printed on the device */
	const char *name;                /**< ours in a device's access list */
	const char *ticket_file;         /**< where a connect ticket is kept */
	const char *local_port_text;
	bool json;
	bool no_retry;
	bool local_only; /**< do not ask the basestation */
	bool legacy;     /**< query without a connection; implies local_only */
	bool plain;      /**< connect in the clear; implies local_only */
	bool quiet;
	bool stdio; /**< tunnel standard input and output */
	unsigned verbose;
	bool help;
	bool version;
	int first; /**< index of the command in argv */
	/* Made from them. */
	char host[256];
	uint16_t port;
	uint8_t pin_bytes[32];
	uint32_t timeout_ms;
	enum bsc_relay relay;
	uint16_t local_port;
	char folder[512]; /**< for pairings, when it is not given */
	char *file_text;  /**< of the conf file; free it */
};

/** Read everything.  STATUS_OK, or STATUS_USAGE after a message. */
int options_read(struct options *o, int argc, char **argv);
void options_fini(struct options *o);
void options_usage(void);

#endif
