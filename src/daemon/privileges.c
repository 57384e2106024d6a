/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Room for the strings of one passwd or group entry; a group may have many members. */
#define ENTRY_MAX 65536

static int find_user(const char *name, struct bs_identity *id, char *buf, char *err, size_t cap)
{
	struct passwd pw;
	struct passwd *found = NULL;
	int e = getpwnam_r(name, &pw, buf, ENTRY_MAX, &found);

	if (found != NULL) {
		id->uid = pw.pw_uid;
		id->gid = pw.pw_gid;
		return BS_OK;
	}
	if (e != 0) {
		snprintf(err, cap, "user \"%s\" cannot be looked up: %s", name, strerror(e));
		return BS_EIO;
	}
	snprintf(err, cap,
		 "there is no user \"%s\"; make it (useradd --system %s) or set user in the conf",
		 name, name);
	return BS_ENOENT;
}

static int find_group(const char *name, struct bs_identity *id, char *buf, char *err, size_t cap)
{
	struct group gr;
	struct group *found = NULL;
	int e = getgrnam_r(name, &gr, buf, ENTRY_MAX, &found);

	if (found != NULL) {
		id->gid = gr.gr_gid;
		return BS_OK;
	}
	if (e != 0) {
		snprintf(err, cap, "group \"%s\" cannot be looked up: %s", name, strerror(e));
		return BS_EIO;
	}
	snprintf(err, cap,
		 "there is no group \"%s\"; make it (groupadd --system %s) or set group in the "
		 "conf",
		 name, name);
	return BS_ENOENT;
}

int bs_privileges_find(const struct bs_conf *conf, struct bs_identity *id, char *err, size_t cap)
{
	char buf[ENTRY_MAX];
	int code;

	memset(id, 0, sizeof(*id));
	if (geteuid() != 0)
		return BS_OK;
	snprintf(id->user, sizeof(id->user), "%s", conf->user);
	code = find_user(conf->user, id, buf, err, cap);
	if (code == BS_OK && conf->group != NULL)
		code = find_group(conf->group, id, buf, err, cap);
	id->change = code == BS_OK && id->uid != 0;
	return code;
}

int bs_privileges_harden(char *err, size_t cap)
{
	struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
		snprintf(err, cap, "core dumps cannot be switched off: %s", strerror(errno));
		return BS_EPERM;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		snprintf(err, cap, "PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
		return BS_EPERM;
	}
	return BS_OK;
}

void bs_privileges_soften(void)
{
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int fail(const char *what, char *err, size_t cap)
{
	snprintf(err, cap, "%s: %s; root's rights cannot be given up, so the start ends here", what,
		 strerror(errno));
	return BS_EPERM;
}

int bs_privileges_drop(const struct bs_identity *id, char *err, size_t cap)
{
	uid_t r;
	uid_t e;
	uid_t s;

	if (!id->change)
		return BS_OK;
	if (setgroups(1, &id->gid) != 0)
		return fail("setgroups", err, cap);
	if (setresgid(id->gid, id->gid, id->gid) != 0)
		return fail("setresgid", err, cap);
	if (setresuid(id->uid, id->uid, id->uid) != 0)
		return fail("setresuid", err, cap);
	/* the calls above have been seen to succeed without effect */
	errno = EPERM;
	if (getresuid(&r, &e, &s) != 0 || r != id->uid || e != id->uid || s != id->uid ||
	    getegid() != id->gid || setuid(0) == 0)
		return fail("still root after setresuid", err, cap);
	/* a change of user makes the process dumpable again */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return fail("PR_SET_DUMPABLE", err, cap);
	return BS_OK;
}
