/* SPDX-License-Identifier: Apache-2.0 */
/* bsconnect tunnel, bsconnect stream: run until a signal, or until the one stream has ended. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basestation/client_stream.h"
#include "run.h"

/** Longest wait at a time. */
#define WAIT_MS 500

/** What a running tunnel has come to. */
struct job {
	struct run *r;
	struct bsc_tunnel *t;
	bool once; /**< standard input and output: ends with its stream */
	bool done;
	bool was_up; /**< the device was reached once: later losses are waited out */
	int status;
};

/** Written by the signal handler, read by the loop. */
static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = sig;
}

static void set_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGHUP, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	/* A reader of standard output that goes away is an error of write, not our death. */
	(void)sigaction(SIGPIPE, &sa, NULL);
}

static const char *event_name(enum bsc_tunnel_event e)
{
	static const char *const names[] = { "",        "up",     "down",   "opened",
					     "refused", "closed", "aborted" };

	return names[e];
}

/** One event as a line of JSON; standard output belongs to the stream in a run of --stdio. */
static void print_event(const struct job *j, enum bsc_tunnel_event event,
			const struct bsc_tunnel_info *info, const struct bsc_error *err)
{
	json_t *o = json_pack("{s:s, s:s}", "event", event_name(event), "device", j->r->word[0]);

	if (info->host != NULL) {
		(void)json_object_set_new(o, "host", json_string(info->host));
		(void)json_object_set_new(o, "port", json_integer(info->port));
		(void)json_object_set_new(o, "local_port", json_integer(info->local));
		(void)json_object_set_new(o, "to_device",
					  json_integer((json_int_t)info->to_device));
		(void)json_object_set_new(o, "to_client",
					  json_integer((json_int_t)info->to_client));
	}
	if (err != NULL)
		(void)json_object_set_new(o, "error", report_error(err));
	(void)report_json(o);
}

static void tell(const struct job *j, enum bsc_tunnel_event event,
		 const struct bsc_tunnel_info *info, const struct bsc_error *err)
{
	const struct options *o = &j->r->o;

	report_progress(o, NULL);
	if (err != NULL)
		(void)fprintf(stderr, "bsconnect: %s\n", err->text);
	if (event == BSC_TUNNEL_DOWN && !j->once && !j->done)
		(void)fprintf(stderr, "bsconnect: the next TCP client opens a new connection\n");
	if (o->verbose == 0 || info->host == NULL)
		return;
	(void)fprintf(stderr, "bsconnect: %s %s:%u, %llu bytes sent, %llu received\n",
		      event_name(event), info->host, (unsigned)info->port,
		      (unsigned long long)info->to_device, (unsigned long long)info->to_client);
}

static void on_tunnel(void *arg, struct bsc_tunnel *t, enum bsc_tunnel_event event,
		      const struct bsc_tunnel_info *info, const struct bsc_error *err)
{
	struct job *j = arg;

	(void)t;
	if (event == BSC_TUNNEL_UP)
		j->was_up = true;
	/* Who cannot reach the device at all wants to know it now, not when a browser hangs. */
	if (event == BSC_TUNNEL_DOWN && !j->was_up)
		j->done = true;
	if (j->once && event >= BSC_TUNNEL_REFUSED)
		j->done = true;
	if (j->done && j->status == STATUS_OK && err != NULL)
		j->status = report_status(err);
	else if (j->done && event == BSC_TUNNEL_ABORTED)
		j->status = STATUS_FAILED;
	if (j->r->o.json && !j->once)
		print_event(j, event, info, err);
	tell(j, event, info, err);
}

/** "[BIND:]PORT:HOST:HOSTPORT", split in place. */
struct listener {
	const char *bind;
	const char *host;
	uint16_t port;
	uint16_t host_port;
};

static bool parse_port(const char *s, bool zero, uint16_t *port)
{
	char *rest;
	unsigned long n;

	if (s == NULL || *s < '0' || *s > '9')
		return false;
	n = strtoul(s, &rest, 10);
	*port = (uint16_t)n;
	return *rest == '\0' && n <= UINT16_MAX && (zero || n > 0);
}

/** Cut the part behind the last colon off; NULL when there is none. */
static char *cut_last(char *s)
{
	char *colon = strrchr(s, ':');

	if (colon == NULL)
		return NULL;
	*colon = '\0';
	return colon + 1;
}

static bool parse_listener(char *word, struct listener *l)
{
	char *end = cut_last(word);
	char *port;

	l->bind = NULL;
	l->host = end == NULL ? NULL : cut_last(word);
	if (l->host == NULL || *l->host == '\0' || !parse_port(end, false, &l->host_port))
		return false;
	port = cut_last(word);
	if (port != NULL) {
		l->bind = word;
		/* [v6] in brackets, as in a URL. */
		if (*word == '[' && word[strlen(word) - 1] == ']') {
			word[strlen(word) - 1] = '\0';
			l->bind = word + 1;
		}
	}
	return parse_port(port == NULL ? word : port, true, &l->port);
}

static int listen_all(struct job *j)
{
	struct run *r = j->r;

	for (int k = 1; k < r->n; k++) {
		struct bsc_error err = { 0 };
		struct listener l;
		uint16_t local;

		if (!parse_listener(r->word[k], &l)) {
			(void)fprintf(stderr, "bsconnect: tunnel: expected [BIND:]PORT:HOST:"
					      "HOSTPORT, such as 8080:127.0.0.1:80\n");
			return STATUS_USAGE;
		}
		if (bsc_tunnel_listen(j->t, l.bind, l.port, l.host, l.host_port, &local, &err) !=
		    BS_OK)
			return report_failure(&err);
		if (r->o.json)
			(void)report_json(json_pack(
				"{s:s, s:s, s:i, s:s, s:i}", "event", "listening", "address",
				l.bind == NULL ? "127.0.0.1" : l.bind, "local_port", (int)local,
				"host", l.host, "port", (int)l.host_port));
		else if (!r->o.quiet) {
			(void)printf("%s port %u leads to %s:%u\n",
				     l.bind == NULL ? "127.0.0.1" : l.bind, (unsigned)local, l.host,
				     (unsigned)l.host_port);
			(void)fflush(stdout);
		}
	}
	return STATUS_OK;
}

static int pipe_stdio(struct job *j)
{
	struct run *r = j->r;
	struct bsc_error err = { 0 };
	char *port = r->n == 2 ? cut_last(r->word[1]) : NULL;
	uint16_t host_port;

	if (!parse_port(port, false, &host_port)) {
		(void)fprintf(stderr, "bsconnect: tunnel --stdio: expected DEVICE HOST:PORT\n");
		return STATUS_USAGE;
	}
	if (bsc_tunnel_pipe(j->t, STDIN_FILENO, STDOUT_FILENO, r->word[1], host_port, &err) !=
	    BS_OK)
		return report_failure(&err);
	return STATUS_OK;
}

static int pipe_command(struct job *j)
{
	struct run *r = j->r;
	struct bsc_error err = { 0 };

	if (bsc_tunnel_command(j->t, STDIN_FILENO, STDOUT_FILENO, r->n == 2 ? r->word[1] : NULL,
			       &err) != BS_OK)
		return report_failure(&err);
	return STATUS_OK;
}

/** Step until a signal or the end.  One that comes just before the wait is seen after it. */
static void loop(struct job *j)
{
	while (!j->done && !stopped) {
		if (bsc_session_wait(j->r->session, WAIT_MS) == BS_OK)
			continue;
		(void)fprintf(stderr, "bsconnect: cannot go on: %s\n", strerror(errno));
		j->status = STATUS_FAILED;
		return;
	}
}

/** Why there is no tunnel at all, in words; the exit status. */
static int not_started(const char *device, int rc)
{
	const char *why = rc == BS_EINVAL   ? "is no device id"
			  : rc == BS_ENOENT ? "not paired with this device; pair first"
					    : bs_strerror(rc);

	(void)fprintf(stderr, "bsconnect: %s: %s\n", device, why);
	return rc == BS_EINVAL || rc == BS_ENOENT ? STATUS_USAGE : STATUS_FAILED;
}

static int run_job(struct job *j, int (*begin)(struct job *j))
{
	struct bsc_error err = { 0 };
	int rc;

	rc = run_open_session(j->r, &err);
	if (rc != BS_OK)
		return report_failure(&err);
	rc = bsc_tunnel_new(j->r->session, j->r->word[0], on_tunnel, j, &j->t);
	if (rc != BS_OK) {
		j->status = not_started(j->r->word[0], rc);
	} else {
		set_signals();
		j->status = begin(j);
		if (j->status == STATUS_OK)
			loop(j);
	}
	report_progress(&j->r->o, NULL);
	j->done = true;
	bsc_tunnel_close(j->t);
	/* The device and the basestation are told on the way out. */
	if (j->t != NULL)
		(void)!bsc_session_step(j->r->session);
	bsc_session_free(j->r->session);
	return j->status;
}

int run_tunnel(struct run *r)
{
	struct job j = { .r = r, .once = r->o.stdio };

	return run_job(&j, r->o.stdio ? pipe_stdio : listen_all);
}

int run_stream(struct run *r)
{
	struct job j = { .r = r, .once = true };

	return run_job(&j, pipe_command);
}
