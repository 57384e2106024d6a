/* SPDX-License-Identifier: Apache-2.0 */
#include "log/sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "log/format.h"

#define SYSLOG_SOCKET  "/dev/log"
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static int syslog_priority(enum bs_log_level level)
{
	static const int map[] = { LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

	return map[level];
}

/* systemd sets JOURNAL_STREAM to the device and inode of the stream that it gave us as stderr */
static bool stderr_is_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	char mine[64];
	struct stat st;

	if (env == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(mine, sizeof(mine), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	return strcmp(env, mine) == 0;
}

static enum bs_log_target resolve(const struct bs_log_options *o)
{
	if (o->target != BS_LOG_TO_AUTO)
		return o->target;
	if (stderr_is_journal())
		return BS_LOG_TO_JOURNAL;
	return o->daemon ? BS_LOG_TO_SYSLOG : BS_LOG_TO_STDERR;
}

static int connect_socket(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -1;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

void bs__log_sink_open(struct bs_log_sink *s, const struct bs_log_options *o)
{
	const char *path = o->path;

	memset(s, 0, sizeof(*s));
	s->fd = -1;
	s->format = o->format;
	s->target = resolve(o);
	s->prefix = s->target == BS_LOG_TO_STDERR && stderr_is_journal();
	snprintf(s->ident, sizeof(s->ident), "%s", o->ident != NULL ? o->ident : "basestationd");
	if (s->target == BS_LOG_TO_STDERR)
		return;
	if (path == NULL)
		path = s->target == BS_LOG_TO_SYSLOG ? SYSLOG_SOCKET : JOURNAL_SOCKET;
	snprintf(s->path, sizeof(s->path), "%s", path);
	s->fd = connect_socket(s->path);
}

void bs__log_sink_close(struct bs_log_sink *s)
{
	if (s->target != BS_LOG_TO_STDERR && s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* Whole lines only: a partial write goes on where it stopped. */
static int write_stderr(const char *line, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, line, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return BS_EIO;
		line += n;
		len -= (size_t)n;
	}
	return BS_OK;
}

static int send_datagram(struct bs_log_sink *s, const char *data, size_t len)
{
	/* the reader may have been restarted since: then its socket is a new one */
	for (int attempt = 0; attempt < 2; attempt++) {
		if (s->fd < 0)
			s->fd = connect_socket(s->path);
		if (s->fd < 0)
			return BS_EIO;
		if (send(s->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len)
			return BS_OK;
		if (errno == EAGAIN || errno == ENOBUFS)
			return BS_EIO;
		close(s->fd);
		s->fd = -1;
	}
	return BS_EIO;
}

static int write_stderr_record(struct bs_log_sink *s, const struct bs_log_record *rec)
{
	char line[BS_LOG_LINE_MAX + 8];
	size_t n = 0;

	if (s->prefix)
		n = (size_t)snprintf(line, sizeof(line), "<%d>", syslog_priority(rec->level));
	n += bs__log_format(rec, s->format, !s->prefix, line + n, sizeof(line) - n - 1);
	line[n++] = '\n';
	return write_stderr(line, n);
}

static int write_syslog_record(struct bs_log_sink *s, const struct bs_log_record *rec)
{
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)(rec->wall_ns / 1000000000u);
	char line[BS_LOG_LINE_MAX + 128];
	struct tm tm;
	size_t n;

	if (localtime_r(&t, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	n = (size_t)snprintf(line, sizeof(line), "<%d>%s %2d %02d:%02d:%02d %s[%ld]: ",
			     LOG_DAEMON | syslog_priority(rec->level), months[tm.tm_mon],
			     tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, s->ident,
			     (long)getpid());
	n += bs__log_format(rec, s->format, false, line + n, sizeof(line) - n);
	return send_datagram(s, line, n);
}

/* systemd's native protocol: one FIELD=value per line; names in upper case */
static void add_journal_pairs(struct bs_log_text *t, const struct bs_log_record *rec)
{
	const char *at = NULL;
	const char *key;
	const char *value;
	bool number;

	while ((at = bs__log_record_next_pair(rec, at, &key, &value, &number)) != NULL) {
		bs__log_text_add(t, "BS_");
		for (; *key != '\0'; key++) {
			char up[2] = { *key, '\0' };

			if (up[0] >= 'a' && up[0] <= 'z')
				up[0] = (char)(up[0] - 'a' + 'A');
			bs__log_text_add(t, up);
		}
		bs__log_text_add(t, "=");
		bs__log_text_add_escaped(t, value);
		bs__log_text_add(t, "\n");
	}
}

static int write_journal_record(struct bs_log_sink *s, const struct bs_log_record *rec)
{
	char line[BS_LOG_LINE_MAX + 256];
	char num[32];
	struct bs_log_text t;

	bs__log_text_init(&t, line, sizeof(line));
	bs__log_text_add(&t, "MESSAGE=");
	bs__log_text_add_escaped(&t, rec->message);
	snprintf(num, sizeof(num), "\nPRIORITY=%d\n", syslog_priority(rec->level));
	bs__log_text_add(&t, num);
	bs__log_text_add(&t, "SYSLOG_IDENTIFIER=");
	bs__log_text_add(&t, s->ident);
	bs__log_text_add(&t, "\n");
	if (rec->name[0] != '\0') {
		bs__log_text_add(&t, "BS_THREAD=");
		bs__log_text_add_escaped(&t, rec->name);
		bs__log_text_add(&t, "\n");
	}
	add_journal_pairs(&t, rec);
	return send_datagram(s, line, t.len);
}

int bs__log_sink_write(struct bs_log_sink *s, const struct bs_log_record *rec)
{
	switch (s->target) {
	case BS_LOG_TO_SYSLOG: return write_syslog_record(s, rec);
	case BS_LOG_TO_JOURNAL: return write_journal_record(s, rec);
	case BS_LOG_TO_AUTO:
	case BS_LOG_TO_STDERR:
	default: return write_stderr_record(s, rec);
	}
}
