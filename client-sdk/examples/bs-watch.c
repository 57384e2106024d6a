/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bs-watch - print when devices come and go, one line per change, until the watch ends.
 *
 * Shows a watch that outlives its session: when the basestation restarts, the library comes back
 * and tells the state of each device anew.
 *
 * usage: bs-watch SERVER CA CERT KEY DEVICE ...
 */
#include <basestation/client.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_presence(void *arg, const struct bsc_presence *p, const struct bsc_error *err)
{
	static const char *const states[] = { "offline", "online", "unknown" };
	int *open = arg;

	if (p != NULL)
		(void)printf("%s %s %" PRIu64 "\n", p->device, states[p->state], p->event);
	else {
		(void)fprintf(stderr, "bs-watch: %s\n", err->text);
		*open = 0;
	}
	(void)fflush(stdout);
}

/** The loop: wait for descriptors or time, then let the library do what is due. */
static int run(struct bsc_session *s, const int *open)
{
	while (*open > 0) {
		struct bsc_fd fds[BSC_FDS_MAX];
		struct pollfd p[BSC_FDS_MAX];
		bs_ssize n = bsc_session_fds(s, fds, BSC_FDS_MAX);
		int rc;

		for (bs_ssize k = 0; k < n; k++)
			p[k] = (struct pollfd){ .fd = fds[k].fd, .events = fds[k].events };
		(void)poll(p, n > 0 ? (nfds_t)n : 0, bsc_session_timeout_ms(s));
		rc = bsc_session_step(s);
		if (rc != BS_OK)
			return rc;
	}
	return BS_ECLOSED;
}

int main(int argc, char **argv)
{
	struct bsc_config cfg;
	struct bsc_session *s = NULL;
	struct bsc_error err;
	char *colon = argc > 1 ? strrchr(argv[1], ':') : NULL;
	int open = 1;
	int rc;

	if (argc < 6) {
		(void)fprintf(stderr, "usage: bs-watch SERVER CA CERT KEY DEVICE ...\n");
		return 2;
	}
	bsc_config_init(&cfg, sizeof cfg);
	cfg.server = argv[1];
	if (colon != NULL) {
		*colon = '\0';
		cfg.port = (uint16_t)strtoul(colon + 1, NULL, 10);
	}
	cfg.ca_file = argv[2];
	cfg.cert_file = argv[3];
	cfg.key_file = argv[4];
	rc = bsc_session_new(&cfg, &s, &err);
	if (rc != BS_OK) {
		(void)fprintf(stderr, "bs-watch: %s\n", err.text);
		return EXIT_FAILURE;
	}
	rc = bsc_watch(s, (const char *const *)(argv + 5), (size_t)(argc - 5), 0, on_presence,
		       &open);
	if (rc == BS_OK)
		rc = run(s, &open);
	else
		(void)fprintf(stderr, "bs-watch: %s\n", bs_strerror(rc));
	bsc_session_free(s);
	return rc == BS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
