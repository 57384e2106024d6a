/* SPDX-License-Identifier: Apache-2.0 */
#include "server/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/conf.h"
#include "server/control.h"

/* Supplementary groups of a peer that are looked at; Linux allows 65536, people have a dozen. */
#define GROUPS_MAX 256

static int fail(char *err, size_t cap, int code, const char *path, const char *what,
		const char *remedy)
{
	snprintf(err, cap, "control-socket %s: %s%s%s", path, what, remedy[0] ? "; " : "", remedy);
	return code;
}

static int fail_errno(char *err, size_t cap, const char *path, const char *call, int e)
{
	char what[160];
	int code = BS_EIO;

	snprintf(what, sizeof(what), "%s failed (%s)", call, strerror(e));
	if (e == EACCES || e == EPERM || e == EROFS)
		code = BS_EPERM;
	else if (e == ENOENT || e == ENOTDIR)
		code = BS_ENOENT;
	return fail(err, cap, code, path, what,
		    code == BS_ENOENT ? "make its folder or name another one in the conf" : "");
}

static int set_flags(int fd)
{
	int fl = fcntl(fd, F_GETFL);

	if (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return BS_EIO;
	return BS_OK;
}

/* BS_OK when the way is free: nothing there, or a socket file that nobody serves any more. */
static int clear_stale(const struct sockaddr_un *sa, char *err, size_t cap)
{
	struct stat st;
	int fd;
	int rc;
	int e;

	if (lstat(sa->sun_path, &st) != 0)
		return errno == ENOENT ? BS_OK : fail_errno(err, cap, sa->sun_path, "lstat", errno);
	if (!S_ISSOCK(st.st_mode))
		return fail(err, cap, BS_EEXIST, sa->sun_path, "is there and is not a socket",
			    "move it away or name another path in the conf");
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		return fail_errno(err, cap, sa->sun_path, "socket", errno);
	rc = set_flags(fd) == BS_OK ? connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) : 0;
	e = errno;
	close(fd);
	/* A full backlog (EAGAIN) is a live server as well. */
	if (rc == 0 || e != ECONNREFUSED)
		return fail(err, cap, BS_EBUSY, sa->sun_path, "another server answers there",
			    "stop it first or name another path in the conf");
	if (unlink(sa->sun_path) != 0)
		return fail_errno(err, cap, sa->sun_path, "unlink", errno);
	return BS_OK;
}

/* The group that may connect, and then 0660; without one root and the user alone, 0600. */
static int set_owner(const struct bs_conf *conf, const char *path, char *err, size_t cap)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if (conf->control_group) {
		const struct group *gr = getgrnam(conf->control_group);

		if (!gr)
			return fail(err, cap, BS_ENOENT, path, "control-group is not a group here",
				    "see getent group");
		gid = gr->gr_gid;
	}
	if (conf->user && geteuid() == 0) {
		const struct passwd *pw = getpwnam(conf->user);

		if (!pw)
			return fail(err, cap, BS_ENOENT, path, "user of the conf does not exist",
				    "see getent passwd");
		uid = pw->pw_uid;
	}
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) && chown(path, uid, gid) != 0)
		return fail_errno(err, cap, path, "chown", errno);
	if (chmod(path, conf->control_group ? 0660 : 0600) != 0)
		return fail_errno(err, cap, path, "chmod", errno);
	return BS_OK;
}

int bs_control_bind(const struct bs_conf *conf, char *err, size_t cap)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *path = conf->control_socket;
	bool bound = false;
	mode_t old;
	int code;
	int fd;

	if (!path || path[0] == '\0')
		return fail(err, cap, BS_ECONF, "", "no path", "set it in the conf");
	if (strlen(path) >= sizeof(sa.sun_path))
		return fail(err, cap, BS_ETOOBIG, path, "longer than 107 bytes",
			    "name a shorter path in the conf");
	memcpy(sa.sun_path, path, strlen(path) + 1);
	code = clear_stale(&sa, err, cap);
	if (code != BS_OK)
		return code;
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		return fail_errno(err, cap, path, "socket", errno);
	/* Nobody may connect between bind and chmod. */
	old = umask(0177);
	bound = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
	code = bound ? BS_OK : fail_errno(err, cap, path, "bind", errno);
	umask(old);
	if (code == BS_OK)
		code = set_owner(conf, path, err, cap);
	if (code == BS_OK && (set_flags(fd) != BS_OK || listen(fd, 16) != 0))
		code = fail_errno(err, cap, path, "listen", errno);
	if (code == BS_OK)
		return fd;
	close(fd);
	if (bound)
		unlink(path);
	return code;
}

int bs__control_accept(int fd)
{
	int peer = accept(fd, NULL, NULL);

	if (peer < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? BS_EFULL : BS_EAGAIN;
	if (set_flags(peer) != BS_OK) {
		close(peer);
		return BS_EAGAIN;
	}
	return peer;
}

static bool in_group(int fd, const struct ucred *uc, gid_t gid)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);
	socklen_t i;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0) {
		for (i = 0; i < len / sizeof(groups[0]); i++) {
			if (groups[i] == gid)
				return true;
		}
	}
	return uc->gid == gid;
}

bool bs__control_peer_allowed(int fd, const struct bs_conf *conf)
{
	struct ucred uc;
	socklen_t len = sizeof(uc);
	const struct group *gr;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &uc, &len) != 0)
		return false;
	if (uc.uid == 0 || uc.uid == geteuid())
		return true;
	gr = conf->control_group ? getgrnam(conf->control_group) : NULL;
	return gr && in_group(fd, &uc, gr->gr_gid);
}

void bs__control_path(int fd, char *out, size_t cap)
{
	struct sockaddr_un sa;
	socklen_t len = sizeof(sa);

	out[0] = '\0';
	memset(&sa, 0, sizeof(sa));
	if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0 || sa.sun_family != AF_UNIX)
		return;
	snprintf(out, cap, "%.*s", (int)sizeof(sa.sun_path), sa.sun_path);
}
