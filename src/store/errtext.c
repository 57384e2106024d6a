/* SPDX-License-Identifier: Apache-2.0 */
#include "store/errtext.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int errnum;
	int code;
	const char *remedy;
} table[] = {
	{ ENOENT, BS_ENOENT, "check the path" },
	{ ENOTDIR, BS_ENOENT, "check the path" },
	{ EACCES, BS_EPERM, "check owner and mode of the file and of its folders" },
	{ EPERM, BS_EPERM, "check owner and mode of the file and of its folders" },
	{ EROFS, BS_EPERM, "mount the file system for writing" },
	{ ELOOP, BS_EPERM, "a symbolic link is not followed here" },
	{ EEXIST, BS_EEXIST, "choose another name" },
	{ ENOSPC, BS_ENOSPC, "make room on the disk" },
	{ EDQUOT, BS_ENOSPC, "raise the quota" },
	{ EFBIG, BS_ENOSPC, "raise the file size limit" },
	{ ENOMEM, BS_ENOMEM, "lower the database size or the address space limit" },
	{ EAGAIN, BS_EBUSY, "another process holds it" },
	{ EMFILE, BS_EFULL, "raise the limit of open files" },
	{ ENFILE, BS_EFULL, "raise the system's limit of open files" },
	{ ENAMETOOLONG, BS_EINVAL, "use a shorter path" },
};

void bs__errtext(struct bs_errtext *err, const char *format, ...)
{
	va_list ap;

	if (!err)
		return;
	va_start(ap, format);
	vsnprintf(err->text, sizeof(err->text), format, ap);
	va_end(ap);
}

static size_t find(int errnum)
{
	size_t i = 0;

	while (i < sizeof(table) / sizeof(table[0]) && table[i].errnum != errnum)
		i++;
	return i;
}

int bs__errno_code(int errnum)
{
	size_t i = find(errnum);

	return i < sizeof(table) / sizeof(table[0]) ? table[i].code : BS_EIO;
}

int bs__errno_text(struct bs_errtext *err, int errnum, const char *path, const char *what)
{
	size_t i = find(errnum);
	char reason[96];

	/* The GNU form, chosen by _GNU_SOURCE, may return a static text instead of the buffer. */
	bs__errtext(err, "%s: %s: %s%s%s", path, what, strerror_r(errnum, reason, sizeof(reason)),
		    i < sizeof(table) / sizeof(table[0]) ? "; " : "",
		    i < sizeof(table) / sizeof(table[0]) ? table[i].remedy : "");
	return bs__errno_code(errnum);
}
