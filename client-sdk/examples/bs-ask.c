/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bs-ask - ask several devices the same question at once, in one loop of poll(2).
 *
 * Shows the non-blocking use of libbasestation-client: connections are opened side by side, a query
 * is put into each before it is open, answers are printed as they come.
 *
 * usage: bs-ask SERVER CA CERT KEY INTERFACE QUERY DEVICE ...
 */
#include <basestation/client_interface.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** What one answer needs. */
struct question {
	const char *device;
	const struct bsc_query *query;
	int *open; /**< answers that are still to come */
};

static int on_field(void *arg, const struct bsc_field *f)
{
	(void)arg;
	if (f->kind == BSC_FIELD_NUMBER)
		(void)printf(" %s=%" PRId64, f->name, f->number);
	else if (f->kind == BSC_FIELD_RAW)
		(void)printf(" %s=(%zu bytes)", f->name, f->len);
	return BS_OK;
}

static void on_answer(void *arg, struct bsc_conn *c, const uint8_t *data, size_t len,
		      const struct bsc_error *err)
{
	struct question *q = arg;
	struct bsc_error bad;

	(void)printf("%s:", q->device);
	if (err == NULL && bsc_query_decode(q->query, data, len, on_field, NULL, &bad) != BS_OK)
		err = &bad;
	(void)printf("%s\n", err == NULL ? "" : err->text);
	(*q->open)--;
	bsc_conn_close(c);
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
	return BS_OK;
}

static struct bsc_session *open_session(char **argv)
{
	struct bsc_config cfg;
	struct bsc_session *s = NULL;
	struct bsc_error err;
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
	if (bsc_session_new(&cfg, &s, &err) != BS_OK)
		(void)fprintf(stderr, "bs-ask: %s\n", err.text);
	return s;
}

/** Put the query to each device.  Returns how many answers will come. */
static int ask_all(struct bsc_session *s, const struct bsc_query *q, char **devices, int n,
		   struct question *questions, int *open)
{
	uint8_t req[BSC_RPC_REQUEST_SMALL];
	struct bsc_error err;
	size_t len = 0;

	if (bsc_query_encode(q, NULL, 0, req, sizeof req, &len, &err) != BS_OK) {
		(void)fprintf(stderr, "bs-ask: %s\n", err.text);
		return 0;
	}
	for (int k = 0; k < n; k++) {
		struct bsc_conn *c;
		int rc;

		questions[k] = (struct question){ devices[k], q, open };
		rc = bsc_connect(s, devices[k], NULL, NULL, &c);
		if (rc == BS_OK)
			rc = bsc_rpc(c, req, len, 0, on_answer, &questions[k]);
		if (rc == BS_OK)
			(*open)++;
		else
			(void)fprintf(stderr, "bs-ask: %s: %s\n", devices[k], bs_strerror(rc));
	}
	return *open;
}

int main(int argc, char **argv)
{
	struct bsc_interface *i = NULL;
	const struct bsc_query *q = NULL;
	struct bsc_session *s = NULL;
	struct question *questions;
	struct bsc_error err = { 0 };
	int open = 0;
	int status = EXIT_FAILURE;

	if (argc < 8) {
		(void)fprintf(stderr, "usage: bs-ask SERVER CA CERT KEY INTERFACE QUERY DEVICE "
				      "...\n");
		return 2;
	}
	questions = calloc((size_t)argc, sizeof *questions);
	if (bsc_interface_load(argv[5], &i, &err) == BS_OK)
		q = bsc_interface_find(i, argv[6]);
	if (q == NULL)
		(void)fprintf(stderr, "bs-ask: %s: no such query %s\n",
			      err.text[0] != '\0' ? err.text : argv[5], argv[6]);
	else
		s = open_session(argv);
	if (s != NULL && questions != NULL &&
	    ask_all(s, q, argv + 7, argc - 7, questions, &open) > 0)
		status = run(s, &open) == BS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
	bsc_session_free(s);
	bsc_interface_free(i);
	free(questions);
	return status;
}
