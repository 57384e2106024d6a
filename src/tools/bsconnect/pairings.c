/* SPDX-License-Identifier: Apache-2.0 */
#include "pairings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secret_file.h"

/** A file: two words, two numbers in hexadecimal. */
#define TEXT_MAX 256

static bool path_of(char *path, size_t cap, const char *folder, const char *device)
{
	int n = snprintf(path, cap, "%s/%s.pair", folder, device);

	return n > 0 && (size_t)n < cap;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** The hexadecimal number behind a word at the start of a line. */
static bool take(const char *text, const char *word, uint8_t *out, size_t len)
{
	const char *p = strstr(text, word);

	if (p == NULL || (p != text && p[-1] != '\n'))
		return false;
	p += strlen(word);
	for (size_t k = 0; k < len; k++, p += 2) {
		int hi = digit(p[0]);
		int lo = hi < 0 ? -1 : digit(p[1]);

		if (lo < 0)
			return false;
		out[k] = (uint8_t)(hi << 4 | lo);
	}
	return *p == '\n' || *p == '\0';
}

int pairings_load(const char *folder, const char *device, uint8_t *id, uint8_t *secret)
{
	char path[PATH_MAX];
	char text[TEXT_MAX] = "";
	bs_ssize n;

	/* A device id has no slash in it; the library has checked. */
	if (!path_of(path, sizeof path, folder, device))
		return BS_ENOENT;
	n = secret_file_load(path,
			     "others may read this secret; chmod 600 it, and pair again when they "
			     "may have",
			     text, sizeof text - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	if (!take(text, "id ", id, BS_PAIR_ID_LEN) ||
	    !take(text, "secret ", secret, BS_PAIR_SECRET_LEN))
		return secret_file_complain(path, "is no pairing; remove it and pair again");
	return BS_OK;
}

int pairings_check(const char *folder)
{
	char parent[PATH_MAX];
	char *slash;

	if (snprintf(parent, sizeof parent, "%s", folder) >= (int)sizeof parent)
		return secret_file_complain(folder, "is too long");
	/* ~/.config may not be there either. */
	for (slash = strchr(parent + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(parent, 0700);
		*slash = '/';
	}
	if (mkdir(parent, 0700) != 0 && errno != EEXIST)
		return secret_file_complain(folder, strerror(errno));
	if (access(folder, W_OK | X_OK) != 0)
		return secret_file_complain(folder, strerror(errno));
	return BS_OK;
}

static size_t put_hex(char *out, const uint8_t *b, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t k = 0; k < len; k++) {
		out[2 * k] = digits[b[k] >> 4];
		out[2 * k + 1] = digits[b[k] & 15];
	}
	out[2 * len] = '\n';
	return 2 * len + 1;
}

int pairings_save(const char *folder, const char *device, const struct bsc_pairing *p)
{
	char path[PATH_MAX], text[TEXT_MAX];
	size_t n = 0;

	if (!path_of(path, sizeof path, folder, device))
		return secret_file_complain(folder, "is too long");
	memcpy(text, "id ", 3);
	n = 3 + put_hex(text + 3, p->id, sizeof p->id);
	memcpy(text + n, "secret ", 7);
	n += 7 + put_hex(text + n + 7, p->secret, sizeof p->secret);
	return secret_file_save(path, text, n);
}
