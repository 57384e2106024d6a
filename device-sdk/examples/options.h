/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - what the command lines of the example devices have in common: who the device is,
 * where its basestation is, what it does on the local network, who may use it.
 *
 * Owner: main.  May call: the device SDK, the C library.  Allocates: nothing.
 */
#ifndef BS_EXAMPLES_OPTIONS_H
#define BS_EXAMPLES_OPTIONS_H

#include <basestation/device_acl.h>
#include <basestation/device_posix.h>

#include <getopt.h>

/** Longest text of a pairing secret's line, with end. */
#define EXAMPLE_LINE_MAX 128

/** The settings, ready for bsdev_posix_new once example_is_complete() and example_open_list() said
 *  so.  Zero it, then example_init().  It must outlive the device. */
struct example {
	const char *program; /**< for messages */
	struct bsdev_conf conf;
	struct bsdev_posix_conf posix;
	struct bsdev_local_conf local;
	struct bsdev_storage storage;
	struct bsdev_acl acl;
	struct bsdev_acl_conf acl_conf;
	char pairing_secret[EXAMPLE_LINE_MAX];
	uint8_t secret[BS_PSK_LEN];
	bool has_secret;
	bool has_list; /**< the owner's access list is kept in acl */
	bool quiet;
};

/** The common rows of a table for getopt_long; their values are capital and small letters, so a
 *  program's own rows take values from EXAMPLE_OWN on. */
#define EXAMPLE_OPTIONS                                                                            \
 { "id", required_argument, NULL, 'i' }, { "secret-file", required_argument, NULL, 's' },          \
	 { "controller", required_argument, NULL, 'c' }, { "port", required_argument, NULL, 'p' }, \
	 { "dns", required_argument, NULL, 'd' }, { "bind", required_argument, NULL, 'b' },        \
	 { "state", required_argument, NULL, 't' }, { "alive-ms", required_argument, NULL, 'a' },  \
	 { "extensions", required_argument, NULL, 'e' }, { "local", no_argument, NULL, 'L' },      \
	 { "local-port", required_argument, NULL, 'P' },                                           \
	 { "local-plain", no_argument, NULL, 'C' },                                                \
	 { "pairing-secret-file", required_argument, NULL, 'S' },                                  \
	 { "quiet", no_argument, NULL, 'q' }, { "help", no_argument, NULL, 'h' },                  \
 {                                                                                                 \
  NULL, 0, NULL, 0                                                                                 \
 }
/** First value for options of one program. */
#define EXAMPLE_OWN 256

/** The lines of the usage text for EXAMPLE_OPTIONS. */
#define EXAMPLE_USAGE                                                                              \
 "  --id ID              device id, as registered with the basestation\n"                          \
 "  --secret-file FILE   32 hexadecimal digits\n"                                                  \
 "  --controller HOST    where the basestation is (default: look the id up)\n"                     \
 "  --port PORT          its controller port (default 5566)\n"                                     \
 "  --dns IP[:PORT],...  name servers instead of the system's\n"                                   \
 "  --bind IP            local address\n"                                                          \
 "  --state FOLDER       remember master switch, settings and users there\n"                       \
 "  --local              answer on the local network, too\n"                                       \
 "  --local-port PORT    its UDP port (default 5570); implies --local\n"                           \
 "  --local-plain        also connections in the clear; implies --local\n"                         \
 "  --pairing-secret-file FILE\n"                                                                  \
 "                       keep an access list; clients that know the text in the\n"                 \
 "                       first line may pair on the local network; implies --local\n"              \
 "  --alive-ms MS        keep-alive timer, for tests (default 13000)\n"                            \
 "  --extensions BITS    extensions to offer (default: all that are built in)\n"                   \
 "  --quiet              say nothing\n"

/** Defaults: version 1.0, every extension, no local network. */
void example_init(struct example *e, const char *program);
/**
 * example_option - take one option of the common table
 *
 * @opt what getopt_long returned
 * @arg its argument; must live as long as e
 *
 * Returns false after a message on stderr, and without one for an option that is not common.
 */
bool example_option(struct example *e, int opt, char *arg);
/** A number from 0 to max, decimal or with 0x; false with a message. */
bool example_number(const struct example *e, const char *text, unsigned long max,
		    unsigned long *out);
/** Whether the options say all that a device needs to know of itself. */
bool example_is_complete(const struct example *e);
/**
 * example_open_list - load the owner's access list where there is a secret to pair with
 *
 * @name, @type what clients are told the device is; must live as long as e
 *
 * Returns false with a message when the stored list cannot be read.
 */
bool example_open_list(struct example *e, const char *name, const char *type);
/** The owner's decision about a client: whoever the list names, everybody without a list. */
bool example_access(const struct example *e, const struct bsdev_peer *peer);
/**
 * example_query - answer what is asked of the access list, and hold back whoever it does not name
 *
 * Returns what the query handler shall return, or BSDEV_ACL_OTHER: it is the program's turn.
 */
int example_query(struct example *e, struct bsdev *dev, uint32_t id, struct bsdev_query *q);
/** The secret of a pairing, for conf.pair; NULL when there is none. */
const uint8_t *example_pair(const struct example *e, const uint8_t *id);

#endif
