/* SPDX-License-Identifier: Apache-2.0 */
#include "store/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/gcm.h"
#include "crypto/openssl.h"
#include "store/errtext.h"

#define HEX_LEN (2 * BS_MASTER_KEY_LEN)

struct bs_seal {
	struct bs_gcm *gcm;
	struct bs_openssl *backend;
};

/* ---- master key file */

static void to_hex(const uint8_t *key, char *hex)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < BS_MASTER_KEY_LEN; i++) {
		hex[2 * i] = digits[key[i] >> 4];
		hex[2 * i + 1] = digits[key[i] & 15];
	}
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool from_hex(const char *hex, uint8_t *key)
{
	size_t i;

	for (i = 0; i < BS_MASTER_KEY_LEN; i++) {
		int hi = digit(hex[2 * i]);
		int lo = digit(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		key[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static int random_key(uint8_t *key)
{
	struct bs_openssl *o = bs_openssl_new();
	const struct bs_crypto *c;
	int rc;

	if (!o)
		return BS_ERANDOM;
	c = bs_openssl_crypto(o);
	rc = c->random(c->ctx, key, BS_MASTER_KEY_LEN);
	bs_openssl_free(o);
	return rc;
}

/* The folder too, or the name may be gone after a power cut and every secret with it. */
static int sync_folder_of(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd;
	int rc;

	if (slash && (size_t)(slash - path) >= sizeof(dir))
		return -1;
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

int bs_seal_key_create(const char *path, struct bs_errtext *err)
{
	uint8_t key[BS_MASTER_KEY_LEN];
	char hex[HEX_LEN + 1];
	int fd = -1;
	int rc = random_key(key);

	if (rc != BS_OK) {
		bs__errtext(err, "%s: no random numbers for a master key; nothing was written",
			    path);
		goto out;
	}
	to_hex(key, hex);
	hex[HEX_LEN] = '\n';
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST) {
		rc = BS_EEXIST;
		bs__errtext(err,
			    "%s: there is a file already; it was left alone, because a new "
			    "key could not open what the old one sealed",
			    path);
		goto out;
	}
	if (fd < 0) {
		rc = bs__errno_text(err, errno, path, "cannot make the master key file");
		goto out;
	}
	if (write(fd, hex, sizeof(hex)) != (ssize_t)sizeof(hex) || fsync(fd) < 0 ||
	    sync_folder_of(path) < 0) {
		rc = bs__errno_text(err, errno, path, "cannot write the master key");
		unlink(path);
	}
out:
	if (fd >= 0)
		close(fd);
	bs_wipe(key, sizeof(key));
	bs_wipe(hex, sizeof(hex));
	return rc;
}

static int key_parse(int fd, const char *path, uint8_t *key, struct bs_errtext *err)
{
	char text[HEX_LEN + 3];
	ssize_t n = read(fd, text, sizeof(text));
	int rc = BS_OK;

	if (n < 0) {
		rc = bs__errno_text(err, errno, path, "cannot read the master key");
	} else {
		while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
			n--;
		if (n != HEX_LEN || !from_hex(text, key)) {
			bs__errtext(err, "%s: not a master key: %d hex digits are expected", path,
				    HEX_LEN);
			rc = BS_ECONF;
		}
	}
	bs_wipe(text, sizeof(text));
	return rc;
}

static int key_check_mode(int fd, const char *path, mode_t forbidden, struct bs_errtext *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return bs__errno_text(err, errno, path, "cannot look at the master key file");
	if (!S_ISREG(st.st_mode)) {
		bs__errtext(err, "%s: the master key must be in a regular file", path);
		return BS_EPERM;
	}
	if (st.st_mode & forbidden) {
		bs__errtext(err,
			    "%s: others may read the master key (mode %04o); chmod 0600 it, "
			    "and replace the key if they could have",
			    path, (unsigned)(st.st_mode & 07777));
		return BS_EPERM;
	}
	if (st.st_uid != 0 && st.st_uid != geteuid()) {
		bs__errtext(err,
			    "%s: the master key belongs to user %u; chown it to root or to "
			    "the user that runs the program",
			    path, (unsigned)st.st_uid);
		return BS_EPERM;
	}
	return BS_OK;
}

int bs_seal_key_load(const char *path, uint8_t key[static BS_MASTER_KEY_LEN],
		     struct bs_errtext *err)
{
	char credential[PATH_MAX];
	const char *dir;
	mode_t forbidden = 077;
	int fd;
	int rc;

	if (!path || !*path) {
		dir = getenv("CREDENTIALS_DIRECTORY");
		if (!dir || !*dir) {
			bs__errtext(err, "no master key: set key-file in the conf, or give systemd "
					 "LoadCredential=" BS_SEAL_CREDENTIAL ":/path");
			return BS_ENOENT;
		}
		if ((size_t)snprintf(credential, sizeof(credential), "%s/" BS_SEAL_CREDENTIAL,
				     dir) >= sizeof(credential))
			return BS_EINVAL;
		path = credential;
		/* systemd gives the service's group read access in some versions. */
		forbidden = 037;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return bs__errno_text(err, errno, path, "cannot open the master key file");
	rc = key_check_mode(fd, path, forbidden, err);
	if (rc == BS_OK)
		rc = key_parse(fd, path, key, err);
	close(fd);
	return rc;
}

/* ---- sealing */

int bs_seal_new(const uint8_t key[static BS_MASTER_KEY_LEN], struct bs_seal **out)
{
	struct bs_seal *s = calloc(1, sizeof(*s));

	if (!s)
		return BS_ENOMEM;
	s->gcm = bs_gcm_new(key);
	s->backend = bs_openssl_new();
	if (!s->gcm || !s->backend) {
		bs_seal_free(s);
		return BS_ECRYPTO;
	}
	*out = s;
	return BS_OK;
}

void bs_seal_free(struct bs_seal *s)
{
	if (!s)
		return;
	bs_gcm_free(s->gcm);
	bs_openssl_free(s->backend);
	free(s);
}

int bs_seal_close(struct bs_seal *s, struct bs_slice ad, struct bs_slice plain, uint8_t *out)
{
	const struct bs_crypto *c = bs_openssl_crypto(s->backend);
	/* Random nonces: 2^32 values under one key keep the risk of a repeat below 2^-32, and a
	 * registry seals a few values for each device. */
	int rc = c->random(c->ctx, out, BS_GCM_NONCE_LEN);

	if (rc != BS_OK)
		return rc;
	return bs_gcm_seal(s->gcm, out, ad, plain, out + BS_GCM_NONCE_LEN,
			   out + BS_GCM_NONCE_LEN + plain.len);
}

int bs_seal_open(struct bs_seal *s, struct bs_slice ad, struct bs_slice sealed, uint8_t *out)
{
	struct bs_slice cipher;

	if (sealed.len < BS_SEAL_OVERHEAD)
		return BS_ELENGTH;
	cipher.ptr = sealed.ptr + BS_GCM_NONCE_LEN;
	cipher.len = sealed.len - BS_SEAL_OVERHEAD;
	return bs_gcm_open(s->gcm, sealed.ptr, ad, cipher, cipher.ptr + cipher.len, out);
}
