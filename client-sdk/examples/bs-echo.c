/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bs-echo - send bytes to the service echo of a device and compare what comes back.
 *
 * Shows the blocking use of streams: every call waits, and the session's loop runs inside of it.
 *
 * usage: bs-echo SERVER CA CERT KEY DEVICE BYTES
 */
#include <basestation/client_stream.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Bytes under way at a time.  Who writes on and never reads is stopped by the windows. */
#define CHUNK 32768
/** Longest wait for one chunk. */
#define WAIT_MS 20000

static struct bsc_session *open_session(char **argv, struct bsc_error *err)
{
	struct bsc_config cfg;
	struct bsc_session *s = NULL;
	char *colon = strrchr(argv[1], ':');

	bsc_config_init(&cfg, sizeof cfg);
	cfg.server = argv[1];
	if (colon != NULL) {
		*colon = '\0';
		cfg.port = (uint16_t)strtoul(colon + 1, NULL, 10);
	}
	cfg.ca_file = argv[2];
	cfg.cert_file = argv[3];
	cfg.key_file = argv[4];
	(void)!bsc_session_new(&cfg, &s, err);
	return s;
}

/** Read exactly len bytes; fewer are an error in words. */
static int read_all(struct bsc_stream *st, uint8_t *buf, size_t len, struct bsc_error *err)
{
	while (len > 0) {
		bs_ssize n = bsc_stream_read_wait(st, buf, len, WAIT_MS, err);

		if (n < 0)
			return (int)n;
		if (n == 0) {
			(void)snprintf(err->text, sizeof err->text,
				       "the device ended the stream: it has no service echo");
			return BS_EREFUSED;
		}
		buf += n;
		len -= (size_t)n;
	}
	return BS_OK;
}

/** One chunk there and back. */
static int bounce(struct bsc_stream *st, uint64_t at, size_t len, struct bsc_error *err)
{
	static uint8_t out[CHUNK];
	static uint8_t in[CHUNK];
	int rc;

	for (size_t k = 0; k < len; k++)
		out[k] = (uint8_t)((at + k) * 131 >> 3);
	rc = bsc_stream_write_wait(st, out, len, WAIT_MS, err);
	if (rc == BS_OK)
		rc = read_all(st, in, len, err);
	if (rc == BS_OK && memcmp(in, out, len) != 0) {
		(void)snprintf(err->text, sizeof err->text, "other bytes came back at %" PRIu64,
			       at);
		rc = BS_EPROTO;
	}
	return rc;
}

static int echo(struct bsc_conn *c, uint64_t bytes, struct bsc_error *err)
{
	struct bsc_stream *st = NULL;
	struct bsc_stream_info info;
	uint8_t answer[2];
	int rc = bsc_stream_open_wait(c, WAIT_MS, &st, err);

	if (rc != BS_OK)
		return rc;
	rc = bsc_stream_command(st, "echo");
	if (rc == BS_OK)
		rc = read_all(st, answer, sizeof answer, err);
	for (uint64_t at = 0; rc == BS_OK && at < bytes; at += CHUNK)
		rc = bounce(st, at, bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK, err);
	if (rc != BS_OK) {
		bsc_stream_abort(st);
		return rc;
	}
	bsc_stream_get_info(st, &info);
	rc = bsc_stream_close_wait(st, WAIT_MS, err);
	if (rc == BS_OK)
		(void)printf("%" PRIu64 " bytes there and back, round trip %.2f ms\n", bytes,
			     (double)info.rtt_us / 1000);
	return rc;
}

int main(int argc, char **argv)
{
	struct bsc_error err = { 0 };
	struct bsc_session *s;
	struct bsc_conn *c = NULL;
	int rc = BS_EINVAL;

	if (argc != 7) {
		(void)fprintf(stderr, "usage: bs-echo SERVER CA CERT KEY DEVICE BYTES\n");
		return 2;
	}
	s = open_session(argv, &err);
	if (s != NULL)
		rc = bsc_connect_wait(s, argv[5], -1, NULL, NULL, &c, &err);
	if (rc == BS_OK)
		rc = echo(c, strtoull(argv[6], NULL, 10), &err);
	if (rc != BS_OK)
		(void)fprintf(stderr, "bs-echo: %s\n", err.text);
	bsc_conn_close_wait(c, -1);
	bsc_session_free(s);
	return rc == BS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
