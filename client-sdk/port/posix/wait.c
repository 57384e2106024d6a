/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking wrappers: the same calls, with the loop inside. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "error.h"
#include "session.h"

/** How a wrapped call stands. */
struct outcome {
	bool done;
	struct bsc_error error; /**< code 0 = it worked */
};

static void finish(struct outcome *o, const struct bsc_error *err)
{
	o->done = true;
	if (err != NULL)
		o->error = *err;
}

int bsc_session_wait(struct bsc_session *s, int32_t timeout_ms)
{
	struct bsc_fd fds[BSC_FDS_MAX];
	struct pollfd p[BSC_FDS_MAX];
	bs_ssize n = bsc_session_fds(s, fds, BSC_FDS_MAX);
	int32_t due = bsc_session_timeout_ms(s);

	if (n < 0)
		return (int)n;
	for (bs_ssize k = 0; k < n; k++)
		p[k] = (struct pollfd){ .fd = fds[k].fd, .events = fds[k].events };
	if (due >= 0 && (timeout_ms < 0 || due < timeout_ms))
		timeout_ms = due;
	if (poll(p, (nfds_t)n, timeout_ms) < 0 && errno != EINTR)
		return BS_EIO;
	return bsc_session_step(s);
}

/** Step until the outcome is known.  BS_OK also when it is a failure; BS_ETIMEDOUT, or worse. */
static int run(struct bsc_session *s, int32_t timeout_ms, const struct outcome *o)
{
	bs_time end = bsc__now() + BS_TIME_MS(timeout_ms < 0 ? 0 : timeout_ms);

	while (!o->done) {
		bs_time_diff left = BS_TIME_DIFF(end, bsc__now());
		int rc;

		if (timeout_ms >= 0 && left <= 0)
			return BS_ETIMEDOUT;
		rc = bsc_session_wait(s,
				      timeout_ms < 0 ? -1 : (int32_t)((left + 999999) / 1000000));
		if (rc != BS_OK)
			return rc;
	}
	return BS_OK;
}

/** Put what happened into *err and return its code. */
static int conclude(int rc, const struct outcome *o, int32_t timeout_ms, struct bsc_error *err)
{
	if (rc == BS_ETIMEDOUT)
		return bsc__fail(err, rc, BSC_FROM_CALLER, BSC_TIMEOUT,
				 "not done within %d ms; allow more time", (int)timeout_ms);
	if (rc != BS_OK)
		return bsc__fail(err, rc, BSC_FROM_CALLER, BSC_USAGE,
				 "the call is not possible (%s)", bs_strerror(rc));
	if (err != NULL)
		*err = o->error;
	return o->error.code == 0 ? BS_OK : o->error.err;
}

static void on_ping(void *arg, uint32_t rtt_us, const struct bsc_error *err)
{
	(void)rtt_us;
	finish(arg, err);
}

int bsc_session_open_wait(struct bsc_session *s, int32_t timeout_ms, struct bsc_error *err)
{
	struct outcome o = { 0 };
	struct bsc__req *r;
	int rc = bsc__check_process(s);

	if (rc == BS_OK && s->stepping)
		rc = BS_ESTATE;
	if (rc == BS_OK && s->m.state == BSC_SESSION_OPEN)
		return conclude(BS_OK, &o, timeout_ms, err);
	/* A PING is answered once the session is open, and fails with the reason when it is not. */
	if (rc == BS_OK)
		rc = bsc_ping(s, on_ping, &o);
	if (rc == BS_OK)
		rc = run(s, timeout_ms, &o);
	/* The outcome lives on this stack: nobody may call back into it later. */
	for (r = s->m.reqs; r != NULL && !o.done; r = r->next)
		if (r->arg == &o)
			r->done_fn = NULL;
	return conclude(rc, &o, timeout_ms, err);
}

/** What a waiting connect passes on. */
struct connecting {
	struct outcome o;
	bsc_conn_fn fn;
	void *arg;
};

static void on_conn(void *arg, struct bsc_conn *c, enum bsc_progress step,
		    const struct bsc_error *err)
{
	struct connecting *w = arg;

	if (w->fn != NULL)
		w->fn(w->arg, c, step, err);
	if (step == BSC_PATH_FOUND || step == BSC_CLOSED)
		finish(&w->o, err);
}

int bsc_connect_wait(struct bsc_session *s, const char *device, int32_t timeout_ms, bsc_conn_fn fn,
		     void *arg, struct bsc_conn **out, struct bsc_error *err)
{
	struct connecting w = { .fn = fn, .arg = arg };
	struct bsc_conn *c = NULL;
	int rc = s->stepping ? BS_ESTATE : bsc_connect(s, device, on_conn, &w, &c);

	if (rc == BS_EINVAL)
		return bsc__fail(err, rc, BSC_FROM_CALLER, BSC_USAGE,
				 "\"%.64s\" is no device id: 1 to %d of a-z, 0-9, \"-\" and \".\"",
				 device == NULL ? "" : device, BS_DEVICE_ID_MAX);
	if (rc == BS_OK)
		rc = run(s, timeout_ms, &w.o);
	rc = conclude(rc, &w.o, timeout_ms, err);
	if (c == NULL)
		return rc;
	if (rc != BS_OK) {
		bsc_conn_close(c);
		return rc;
	}
	c->fn = fn;
	c->arg = arg;
	*out = c;
	return BS_OK;
}

/** What a waiting query fills. */
struct calling {
	struct outcome o;
	uint8_t *buf;
	size_t cap;
	size_t len;
};

static void on_answer(void *arg, struct bsc_conn *c, const uint8_t *data, size_t len,
		      const struct bsc_error *err)
{
	struct calling *w = arg;

	(void)c;
	w->len = len;
	if (err == NULL && len > w->cap)
		(void)bsc__fail(&w->o.error, BS_ETOOBIG, BSC_FROM_CALLER, BSC_USAGE,
				"the answer of %zu bytes does not fit the buffer of %zu", len,
				w->cap);
	else if (err == NULL && len > 0)
		memcpy(w->buf, data, len);
	finish(&w->o, err);
}

int bsc_rpc_wait(struct bsc_conn *c, const uint8_t *req, size_t len, unsigned options, uint8_t *buf,
		 size_t cap, size_t *out_len, struct bsc_error *err)
{
	struct calling w = { .buf = buf, .cap = cap };
	struct bsc_session *s = c->m->set.owner;
	int rc = s->stepping ? BS_ESTATE : bsc_rpc(c, req, len, options, on_answer, &w);

	/* Every query ends by itself, so there is no limit of our own. */
	if (rc == BS_OK)
		rc = run(s, -1, &w.o);
	if (!w.o.done)
		bsc__link_forget_arg(c, &w);
	rc = conclude(rc, &w.o, -1, err);
	if (rc == BS_OK)
		*out_len = w.len;
	return rc;
}

/** What a waiting list passes on. */
struct listing {
	struct outcome o;
	bsc_presence_fn fn;
	void *arg;
};

static void on_presence(void *arg, const struct bsc_presence *p, const struct bsc_error *err)
{
	struct listing *w = arg;

	if (p == NULL)
		finish(&w->o, err);
	else if (w->fn != NULL)
		w->fn(w->arg, p, NULL);
}

/** A list that nobody waits for any more still runs to its end. */
static void ignore_presence(void *arg, const struct bsc_presence *p, const struct bsc_error *err)
{
	(void)arg;
	(void)p;
	(void)err;
}

int bsc_list_wait(struct bsc_session *s, int32_t timeout_ms, bsc_presence_fn fn, void *arg,
		  struct bsc_error *err)
{
	struct listing w = { .fn = fn, .arg = arg };
	int rc = s->stepping ? BS_ESTATE : bsc_list(s, on_presence, &w);

	if (rc == BS_OK)
		rc = run(s, timeout_ms, &w.o);
	for (struct bsc__req *r = s->m.reqs; r != NULL && !w.o.done; r = r->next)
		if (r->arg == &w)
			r->presence_fn = ignore_presence;
	return conclude(rc, &w.o, timeout_ms, err);
}

void bsc_conn_close_wait(struct bsc_conn *c, int32_t timeout_ms)
{
	struct bsc__machine *m;
	struct bsc_session *s;
	bs_time end;
	bool there;

	if (c == NULL)
		return;
	m = c->m;
	s = m->set.owner;
	bsc_conn_close(c);
	end = bsc__now() + BS_TIME_MS(timeout_ms < 0 || timeout_ms > 600 ? 600 : timeout_ms);
	do {
		bs_time_diff left = BS_TIME_DIFF(end, bsc__now());

		if (left <= 0 || bsc_session_wait(s, (int32_t)((left + 999999) / 1000000)) != BS_OK)
			return;
		/* The machine frees it when its last packet is through. */
		there = false;
		for (const struct bsc_conn *k = m->links; k != NULL; k = k->next)
			there = there || k == c;
	} while (there);
}
