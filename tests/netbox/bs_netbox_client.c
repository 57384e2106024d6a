/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bs-netbox-client - connect, ask once, and watch until the path is direct.
 *
 * usage: bs-netbox-client SERVER PORT CA CERT KEY DEVICE SECONDS [PACE]
 *
 * Prints one JSON object: the path of the first answer and when it came, the best path within
 * SECONDS after that and when it was in use; or an error.  What is in the way of a direct path may
 * take a while: data flows meanwhile, and each answer proves that it does.
 *
 * With PACE it asks every PACE ms for SECONDS, whatever the path, and prints how long the longest
 * gap between two answers was; or the error, and how long after the last answer it came.
 */
#include <basestation/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Between two questions, in ms. */
#define PACE 100

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *path_word(int path)
{
	static const char *const words[] = { "none", "local", "direct", "udp-relay", "tcp-relay" };

	return path >= 0 && path < 5 ? words[path] : "other";
}

static bool is_direct(int path)
{
	return path == BSC_PATH_LOCAL || path == BSC_PATH_DIRECT;
}

static int complain(const struct bsc_error *e)
{
	/* Texts of errors are one printable line; quotes would end the string early. */
	(void)printf("{\"error\":\"%s\",\"text\":\"", bsc_code_name(e->code));
	for (const char *p = e->text; *p != '\0'; p++)
		(void)putchar(*p == '"' || *p == '\\' ? '\'' : *p);
	(void)puts("\"}");
	return EXIT_FAILURE;
}

/** An answer, be it that the device knows no such query.  The text of what went wrong else. */
static bool ask(struct bsc_conn *c, struct bsc_error *e)
{
	static const uint8_t request[4];
	uint8_t buf[512];
	size_t len;

	return bsc_rpc_wait(c, request, sizeof request, 0, buf, sizeof buf, &len, e) == BS_OK ||
	       e->code == BSC_EXCEPTION;
}

/** Wait, and let the library work meanwhile. */
static void rest(struct bsc_session *s, int64_t ms)
{
	int64_t until = now_ms() + ms;

	while (now_ms() < until)
		if (bsc_session_wait(s, (int32_t)(until - now_ms())) != BS_OK)
			break; /* what it is about, the next question tells */
}

static int watch(struct bsc_session *s, struct bsc_conn *c, int64_t start, int64_t settle)
{
	struct bsc_conn_info first, i;
	struct bsc_error e = { 0 };
	int64_t first_ms, direct_ms = -1;

	if (!ask(c, &e))
		return complain(&e);
	first_ms = now_ms() - start;
	bsc_conn_get_info(c, &first);
	i = first;
	for (;;) {
		if (is_direct((int)i.path)) {
			direct_ms = now_ms() - start;
			break;
		}
		if (now_ms() - start > first_ms + settle)
			break;
		rest(s, PACE);
		if (!ask(c, &e))
			return complain(&e);
		bsc_conn_get_info(c, &i);
	}
	/* The path that is told is the one that carries: one more answer over it. */
	if (!ask(c, &e))
		return complain(&e);
	bsc_conn_get_info(c, &i);
	(void)printf("{\"first_path\":\"%s\",\"first_ms\":%lld,\"path\":\"%s\",\"direct_ms\":%lld,"
		     "\"remote\":\"%s\",\"local\":\"%s\",\"rtt_us\":%u,\"attempt\":\"",
		     path_word((int)first.path), (long long)first_ms, path_word((int)i.path),
		     (long long)direct_ms, i.remote, i.local, (unsigned)i.rtt_us);
	for (size_t k = 0; k < sizeof i.attempt; k++)
		(void)printf("%02x", i.attempt[k]);
	(void)puts("\"}");
	return EXIT_SUCCESS;
}

static int follow(struct bsc_session *s, struct bsc_conn *c, int64_t settle, int64_t pace)
{
	int64_t end = now_ms() + settle, last = now_ms(), gap = 0;
	struct bsc_conn_info i;
	struct bsc_error e = { 0 };
	unsigned n = 0;

	while (now_ms() < end) {
		if (!ask(c, &e)) {
			(void)printf("{\"answers\":%u,\"after_ms\":%lld,\"failed\":", n,
				     (long long)(now_ms() - last));
			(void)complain(&e);
			(void)puts("}");
			return EXIT_FAILURE;
		}
		if (n++ > 0 && now_ms() - last > gap)
			gap = now_ms() - last;
		last = now_ms();
		if (n == 1) {
			(void)fputs("first answer\n", stderr);
			(void)fflush(stderr);
		}
		rest(s, pace);
	}
	bsc_conn_get_info(c, &i);
	(void)printf("{\"answers\":%u,\"gap_ms\":%lld,\"path\":\"%s\",\"remote\":\"%s\"}\n", n,
		     (long long)gap, path_word((int)i.path), i.remote);
	return EXIT_SUCCESS;
}

static void log_line(void *arg, const char *line)
{
	(void)arg;
	(void)fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
	struct bsc_session *s = NULL;
	struct bsc_conn *c = NULL;
	struct bsc_config cfg;
	struct bsc_error e = { 0 };
	int64_t start;
	int status;

	if (argc != 8 && argc != 9) {
		(void)fputs("usage: bs-netbox-client SERVER PORT CA CERT KEY DEVICE SECONDS "
			    "[PACE]\n",
			    stderr);
		return 2;
	}
	bsc_config_init(&cfg, sizeof cfg);
	cfg.server = argv[1];
	cfg.port = (uint16_t)strtoul(argv[2], NULL, 10);
	cfg.ca_file = argv[3];
	cfg.cert_file = argv[4];
	cfg.key_file = argv[5];
	cfg.log_fn = log_line;
	start = now_ms();
	if (bsc_session_new(&cfg, &s, &e) != BS_OK ||
	    bsc_connect_wait(s, argv[6], 30000, NULL, NULL, &c, &e) != BS_OK)
		status = complain(&e);
	else if (argc == 9)
		status = follow(s, c, (int64_t)strtol(argv[7], NULL, 10) * 1000,
				(int64_t)strtol(argv[8], NULL, 10));
	else
		status = watch(s, c, start, (int64_t)strtol(argv[7], NULL, 10) * 1000);
	if (c != NULL)
		bsc_conn_close_wait(c, 500);
	bsc_session_free(s);
	return status;
}
