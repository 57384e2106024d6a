/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** A printed text shorter than this could be guessed on the spot. */
#define PAIRING_MIN 8
#define PAIRING_MAX 64

void example_init(struct example *e, const char *program)
{
	e->program = program;
	e->conf.version = "1.0";
	e->conf.extensions = BS_EXT_IP6 | BS_EXT_AUTH_ALIVE | BS_EXT_INTERVAL | BS_EXT_ATTEMPT |
			     BS_EXT_CLOSE | BS_EXT_GCM | BS_EXT_FAST_STREAM | BS_EXT_PAIR |
			     BS_EXT_PATH | BS_EXT_COOKIE | BS_EXT_RETRY;
	e->conf.secret = e->secret;
}

bool example_number(const struct example *e, const char *text, unsigned long max,
		    unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 0);
	if (errno == 0 && text[0] != '-' && end != text && *end == '\0' && *out <= max)
		return true;
	fprintf(stderr, "%s: \"%s\" is not a number from 0 to %lu\n", e->program, text, max);
	return false;
}

/** The first line of a file without its end; false with a message. */
static bool read_line(const struct example *e, const char *path, char line[EXAMPLE_LINE_MAX])
{
	FILE *f = fopen(path, "re");

	if (f == NULL) {
		fprintf(stderr, "%s: %s: %s\n", e->program, path, strerror(errno));
		return false;
	}
	if (fgets(line, EXAMPLE_LINE_MAX, f) == NULL)
		line[0] = '\0';
	fclose(f);
	line[strcspn(line, "\r\n")] = '\0';
	return true;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *d = c != '\0' ? strchr(digits, c) : NULL;

	return d == NULL ? -1 : (int)((d - digits) % 16);
}

static bool read_secret(struct example *e, const char *path)
{
	char line[EXAMPLE_LINE_MAX];

	if (!read_line(e, path, line))
		return false;
	for (size_t i = 0; i < BS_PSK_LEN; i++) {
		const int hi = hex_digit(line[2 * i]);
		const int lo = hi < 0 ? -1 : hex_digit(line[2 * i + 1]);

		if (lo < 0) {
			fprintf(stderr,
				"%s: %s: the first line must be 32 hexadecimal digits, as bsctl "
				"device add --secret-file writes it\n",
				e->program, path);
			return false;
		}
		e->secret[i] = (uint8_t)(hi << 4 | lo);
	}
	return e->has_secret = true;
}

/** Read the text that is printed on the device; it protects every later pairing. */
static bool read_pairing_secret(struct example *e, const char *path)
{
	char *text = e->pairing_secret;

	if (!read_line(e, path, text))
		return false;
	if (strlen(text) < PAIRING_MIN || strlen(text) > PAIRING_MAX) {
		fprintf(stderr, "%s: %s: the first line must be %d to %d characters\n", e->program,
			path, PAIRING_MIN, PAIRING_MAX);
		return false;
	}
	e->acl_conf.pairing_secret = text;
	e->local.allow |= BSDEV_LOCAL_PSK;
	return true;
}

/** Options of the local network: each of them switches it on. */
static bool set_local(struct example *e, int opt, const char *arg)
{
	unsigned long n;

	e->posix.local = &e->local;
	e->local.allow |= BSDEV_LOCAL_DISCOVERY;
	switch (opt) {
	case 'P':
		if (!example_number(e, arg, 65535, &n))
			return false;
		e->local.port = (uint16_t)n;
		return true;
	case 'C': e->local.allow |= BSDEV_LOCAL_PLAIN; return true;
	case 'S': return read_pairing_secret(e, arg);
	default: return true;
	}
}

static bool set_number(struct example *e, int opt, const char *arg)
{
	unsigned long n;

	switch (opt) {
	case 'p':
		if (!example_number(e, arg, 65535, &n))
			return false;
		e->conf.controller_port = (uint16_t)n;
		return true;
	case 'a':
		if (!example_number(e, arg, 60000, &n))
			return false;
		e->conf.alive_ms = (uint16_t)n;
		return true;
	default:
		if (!example_number(e, arg, UINT32_MAX, &n))
			return false;
		e->conf.extensions = (uint32_t)n;
		return true;
	}
}

bool example_option(struct example *e, int opt, char *arg)
{
	switch (opt) {
	case 'i': e->conf.id = arg; return true;
	case 's': return read_secret(e, arg);
	case 'c': e->conf.controller = arg; return true;
	case 'd': e->posix.dns_servers = arg; return true;
	case 'b': e->posix.bind_address = arg; return true;
	case 't':
		bsdev_posix_storage(&e->storage, arg);
		e->conf.storage = &e->storage;
		return true;
	case 'q': return e->quiet = true;
	case 'L':
	case 'P':
	case 'C':
	case 'S': return set_local(e, opt, arg);
	case 'p':
	case 'a':
	case 'e': return set_number(e, opt, arg);
	default: return false;
	}
}

bool example_is_complete(const struct example *e)
{
	return e->conf.id != NULL && e->has_secret == (e->conf.secret != NULL);
}

bool example_open_list(struct example *e, const char *name, const char *type)
{
	int err;

	if (e->acl_conf.pairing_secret == NULL)
		return true;
	e->acl_conf.device_id = e->conf.id;
	e->acl_conf.device_name = name;
	e->acl_conf.device_type = type;
	e->acl_conf.pair_plain = (e->local.allow & BSDEV_LOCAL_PLAIN) != 0;
	e->acl_conf.storage = e->conf.storage;
	err = bsdev_acl_init(&e->acl, &e->acl_conf);
	if (err != BS_OK) {
		fprintf(stderr,
			"%s: the access list cannot be read (%s); remove \"acl\" from the state "
			"folder to start anew\n",
			e->program, bs_strerror(err));
		return false;
	}
	e->has_list = true;
	e->local.key = bsdev_acl_key;
	e->local.ctx = &e->acl;
	return true;
}

bool example_access(const struct example *e, const struct bsdev_peer *peer)
{
	return !e->has_list || bsdev_acl_access(&e->acl, peer);
}

int example_query(struct example *e, struct bsdev *dev, uint32_t id, struct bsdev_query *q)
{
	struct bsdev_peer peer;
	int code;

	if (!e->has_list)
		return BSDEV_ACL_OTHER;
	code = bsdev_acl_query(&e->acl, dev, id, q);
	if (code != BSDEV_ACL_OTHER)
		return code;
	bsdev_query_peer(q, &peer);
	return bsdev_acl_may(&e->acl, &peer, 0) ? BSDEV_ACL_OTHER : BS_RPC_FORBIDDEN;
}

const uint8_t *example_pair(const struct example *e, const uint8_t *id)
{
	return e->has_list ? bsdev_acl_pair(&e->acl, id) : NULL;
}
