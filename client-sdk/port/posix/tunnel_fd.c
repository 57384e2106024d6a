/* SPDX-License-Identifier: Apache-2.0 */
#include "tunnel_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addr.h"
#include "error.h"
#include "util/endpoint.h"

static int listen_error(const char *bind, uint16_t port, int why, struct bsc_error *err)
{
	const int rc = why == EADDRINUSE      ? BS_EBUSY
		       : why == EACCES        ? BS_EPERM
		       : why == EADDRNOTAVAIL ? BS_EINVAL
					      : BS_EIO;

	(void)bsc__fail(err, rc, BSC_FROM_CALLER, BSC_USAGE,
			"cannot listen on %s port %u: %s; choose another port or address", bind,
			(unsigned)port, strerror(why));
	return -1;
}

int bsc__fd_listen(const char *bind_to, uint16_t *port, struct bsc_error *err)
{
	const char *text = bind_to == NULL ? "127.0.0.1" : bind_to;
	struct sockaddr_storage ss;
	struct bs_endpoint ep;
	const int on = 1;
	socklen_t len;
	int fd;

	if (!bsc__addr_parse(text, *port, &ep)) {
		(void)bsc__fail(err, BS_EINVAL, BSC_FROM_CALLER, BSC_USAGE,
				"\"%.64s\": expected a numeric local address", text);
		return -1;
	}
	len = bsc__addr_to(&ep, bs_endpoint_is_ip4(&ep) ? AF_INET : AF_INET6, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return listen_error(text, *port, errno, err);
	/* A restarted program shall have its port back at once. */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&ss, len) != 0 || listen(fd, SOMAXCONN) != 0) {
		const int why = errno;

		(void)close(fd);
		return listen_error(text, *port, why, err);
	}
	len = sizeof ss;
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	    bsc__addr_from((const struct sockaddr *)&ss, &ep))
		*port = ep.port;
	return fd;
}

int bsc__fd_accept(int listener)
{
	const int on = 1;
	int fd;

	do {
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	/* Keystrokes must not wait for a full segment. */
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

int bsc__fd_own(int fd, bool write, bool *is_socket)
{
	struct stat st;
	char path[40];
	int own = -1;

	if (fstat(fd, &st) != 0)
		return -1;
	*is_socket = S_ISSOCK(st.st_mode);
	if (!*is_socket && !S_ISREG(st.st_mode)) {
		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		own = open(path, (write ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
	if (own >= 0)
		return own;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own >= 0 && !S_ISREG(st.st_mode)) {
		const int flags = fcntl(own, F_GETFL);

		if (flags < 0 || fcntl(own, F_SETFL, flags | O_NONBLOCK) != 0) {
			(void)close(own);
			return -1;
		}
	}
	return own;
}
