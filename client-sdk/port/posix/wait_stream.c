/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking wrappers of streams: the same calls, with the loop inside. */
#include <string.h>

#include "error.h"
#include "session.h"
#include "stream.h"

/** A deadline in steps of the session. */
struct waiting {
	struct bsc_session *s;
	bs_time end;
	int32_t timeout_ms;
};

static struct waiting begin(const struct bsc_stream *s, int32_t timeout_ms)
{
	struct waiting w = { .timeout_ms = timeout_ms };

	w.s = s->c == NULL ? NULL : s->c->m->set.owner;
	w.end = bsc__now() + BS_TIME_MS(timeout_ms < 0 ? 0 : timeout_ms);
	return w;
}

/** Wait once.  BS_OK, BS_ETIMEDOUT, BS_ESTATE inside a callback or when the session is gone. */
static int wait_once(const struct waiting *w)
{
	bs_time_diff left = BS_TIME_DIFF(w->end, bsc__now());

	if (w->s == NULL || w->s->stepping)
		return BS_ESTATE;
	if (w->timeout_ms >= 0 && left <= 0)
		return BS_ETIMEDOUT;
	return bsc_session_wait(w->s,
				w->timeout_ms < 0 ? -1 : (int32_t)((left + 999999) / 1000000));
}

/** Why it went wrong, into *err; its code. */
static int fail(const struct bsc_stream *s, int rc, const struct waiting *w, struct bsc_error *err)
{
	if (s->error.code != 0) {
		if (err != NULL)
			*err = s->error;
		return s->error.err;
	}
	if (rc == BS_ETIMEDOUT)
		return bsc__fail(err, rc, BSC_FROM_CALLER, BSC_TIMEOUT,
				 "not done within %d ms; allow more time", (int)w->timeout_ms);
	return bsc__fail(err, rc, BSC_FROM_CALLER, BSC_USAGE, "the call is not possible (%s)",
			 bs_strerror(rc));
}

/** What an opening stream has come to. */
struct opening {
	bool open;
};

static void on_open(void *arg, struct bsc_stream *s, unsigned events, const struct bsc_error *err)
{
	struct opening *o = arg;

	(void)s;
	(void)err;
	if (events & BSC_STREAM_OPEN)
		o->open = true;
}

int bsc_stream_open_wait(struct bsc_conn *c, int32_t timeout_ms, struct bsc_stream **out,
			 struct bsc_error *err)
{
	struct opening o = { false };
	struct bsc_stream *s = NULL;
	struct waiting w;
	int rc = bsc_stream_open(c, on_open, &o, &s);

	if (rc != BS_OK)
		return bsc__fail(err, rc, BSC_FROM_CALLER, BSC_USAGE,
				 "%s: no stream can be opened (%s)", c->device, bs_strerror(rc));
	w = begin(s, timeout_ms);
	while (!o.open && s->error.code == 0 && rc == BS_OK)
		rc = wait_once(&w);
	if (!o.open) {
		rc = fail(s, rc, &w, err);
		bsc_stream_abort(s);
		return rc;
	}
	/* The outcome lives on this stack: nobody may call back into it later. */
	s->fn = NULL;
	*out = s;
	return BS_OK;
}

bs_ssize bsc_stream_read_wait(struct bsc_stream *s, void *buf, size_t cap, int32_t timeout_ms,
			      struct bsc_error *err)
{
	struct waiting w = begin(s, timeout_ms);
	bs_ssize n;
	int rc = BS_OK;

	while ((n = bsc_stream_read(s, buf, cap)) == BS_EAGAIN && rc == BS_OK)
		rc = wait_once(&w);
	return n >= 0 ? n : fail(s, rc, &w, err);
}

int bsc_stream_write_wait(struct bsc_stream *s, const void *data, size_t len, int32_t timeout_ms,
			  struct bsc_error *err)
{
	struct waiting w = begin(s, timeout_ms);
	const uint8_t *at = data;
	int rc = BS_OK;

	while (rc == BS_OK) {
		bs_ssize n = bsc_stream_write(s, at, len);

		if (n < 0) {
			rc = (int)n;
			break;
		}
		at += n;
		len -= (size_t)n;
		if (len == 0)
			return BS_OK;
		rc = wait_once(&w);
	}
	return fail(s, rc, &w, err);
}

int bsc_stream_close_wait(struct bsc_stream *s, int32_t timeout_ms, struct bsc_error *err)
{
	struct waiting w = begin(s, timeout_ms);
	size_t len;
	int rc = BS_OK;

	bsc_stream_end(s);
	for (;;) {
		while (bsc_stream_peek(s, &len) != NULL)
			bsc_stream_consume(s, len);
		if (s->error.code != 0 || rc != BS_OK ||
		    (bsc_stream_is_end(s) && bs_stream_is_flushed(s->core)))
			break;
		rc = wait_once(&w);
	}
	rc = s->error.code != 0 || rc != BS_OK ? fail(s, rc, &w, err) : BS_OK;
	bsc_stream_close(s);
	return rc;
}
