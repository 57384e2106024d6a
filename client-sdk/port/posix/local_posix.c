/* SPDX-License-Identifier: Apache-2.0 */
/* The local network of a session: what a caller asks for, and the waiting forms. */
#include "basestation/client_local.h"

#include <string.h>

#include "addr.h"
#include "error.h"
#include "local.h"
#include "session.h"

/** Queries of pairing (basestation-wire(7), ACCESS LIST). */
enum {
	Q_PAIR = 11010,
	Q_MAKE_SECRET = 11100,
	STATUS_FULL = 2,
	STATUS_EXISTS = 5,
};

/** The socket, and where searches go now. */
static int prepare(struct bsc_session *s)
{
	int rc = bsc__check_process(s);

	if (rc == BS_OK)
		rc = bsc__session_udp(s);
	if (rc == BS_OK) {
		s->m.n_near = bsc__addr_near(s->m.set.local_port, s->m.near, BSC__NEAR_MAX);
		s->dirty = true;
	}
	return rc;
}

int bsc_discover(struct bsc_session *s, const char *device, bsc_found_fn fn, void *arg)
{
	int rc = prepare(s);

	return rc == BS_OK ? bsc__search_start(&s->m, device, fn, arg, bsc__now()) : rc;
}

/** A struct of an older program is shorter. */
static void take_how(const struct bsc_local *in, struct bsc_local *out)
{
	memset(out, 0, sizeof *out);
	if (in != NULL)
		memcpy(out, in, in->len < sizeof *out ? in->len : sizeof *out);
}

int bsc_connect_local(struct bsc_session *s, const char *device, const struct bsc_local *how,
		      bsc_conn_fn fn, void *arg, struct bsc_conn **out)
{
	struct bsc_local in;
	struct bsc__local_how way;
	int rc = prepare(s);

	take_how(how, &in);
	if (rc == BS_OK && device == NULL)
		rc = BS_EINVAL;
	if (rc != BS_OK)
		return rc;
	if (!in.plain && in.pairing_secret == NULL && in.key == NULL)
		rc = bsc__local_how_own(&s->m, device, in.endpoint, &way);
	else
		rc = bsc__local_how(&s->m, device, &in, &way);
	if (rc == BS_OK)
		rc = bsc__link_new(&s->m, device, &way, fn, arg, bsc__now(), out);
	bs_wipe(&way, sizeof way);
	return rc;
}

/* ---- waiting */

struct waiting {
	bool done;
	bsc_conn_fn fn;
	bsc_found_fn found_fn;
	void *arg;
	struct bsc_error error; /**< code 0 = it worked */
};

static int run(struct bsc_session *s, const struct waiting *w, struct bsc_error *err)
{
	int rc = BS_OK;

	while (rc == BS_OK && !w->done)
		rc = bsc_session_wait(s, -1);
	if (rc != BS_OK)
		return bsc__fail(err, rc, BSC_FROM_LIBRARY, BSC_INTERNAL, "waiting failed (%s)",
				 bs_strerror(rc));
	if (err != NULL)
		*err = w->error;
	return w->error.code == 0 ? BS_OK : w->error.err;
}

static void on_found(void *arg, const struct bsc_found *f)
{
	struct waiting *w = arg;

	if (f == NULL)
		w->done = true;
	else
		w->found_fn(w->arg, f);
}

int bsc_discover_wait(struct bsc_session *s, const char *device, bsc_found_fn fn, void *arg,
		      struct bsc_error *err)
{
	struct waiting w = { .found_fn = fn, .arg = arg };
	int rc = s->stepping ? BS_ESTATE : fn == NULL ? BS_EINVAL : BS_OK;

	if (rc == BS_OK)
		rc = bsc_discover(s, device, on_found, &w);
	if (rc != BS_OK)
		return bsc__fail(err, rc, BSC_FROM_CALLER, BSC_USAGE,
				 "the search is not possible (%s)", bs_strerror(rc));
	rc = run(s, &w, err);
	/* The search must not call back into this stack later. */
	if (!w.done)
		s->m.search->fn = NULL;
	return rc;
}

static void on_conn(void *arg, struct bsc_conn *c, enum bsc_progress step,
		    const struct bsc_error *err)
{
	struct waiting *w = arg;

	if (w->fn != NULL)
		w->fn(w->arg, c, step, err);
	if (step != BSC_PATH_FOUND && step != BSC_CLOSED)
		return;
	w->done = true;
	if (err != NULL)
		w->error = *err;
}

static int not_possible(const char *device, int rc, struct bsc_error *err)
{
	if (rc == BS_ENOENT)
		return bsc__fail(err, rc, BSC_FROM_CALLER, BSC_USAGE,
				 "%.64s: not paired with this device; pair first", device);
	return bsc__fail(err, rc, BSC_FROM_CALLER, BSC_USAGE,
			 "%.64s: a local connection is not possible (%s); check device id and "
			 "secret",
			 device == NULL ? "" : device, bs_strerror(rc));
}

int bsc_connect_local_wait(struct bsc_session *s, const char *device, const struct bsc_local *how,
			   bsc_conn_fn fn, void *arg, struct bsc_conn **out, struct bsc_error *err)
{
	struct waiting w = { .fn = fn, .arg = arg };
	struct bsc_conn *c = NULL;
	int rc = s->stepping ? BS_ESTATE : bsc_connect_local(s, device, how, on_conn, &w, &c);

	if (rc != BS_OK)
		return not_possible(device, rc, err);
	rc = run(s, &w, err);
	if (rc != BS_OK) {
		bsc_conn_close(c);
		return rc;
	}
	c->fn = fn;
	c->arg = arg;
	*out = c;
	return BS_OK;
}

/* ---- pairing */

static int broke(const struct bsc_conn *c, struct bsc_error *err)
{
	return bsc__fail(err, BS_EPROTO, BSC_FROM_DEVICE, BSC_PROTOCOL,
			 "%s: the device's answer to pairing cannot be understood", c->device);
}

static int refused(const struct bsc_conn *c, uint8_t status, struct bsc_error *err)
{
	return bsc__fail(err, BS_EREFUSED, BSC_FROM_DEVICE, BSC_QUERY, "%s: %s (status %u)",
			 c->device,
			 status == STATUS_FULL     ? "its access list is full"
			 : status == STATUS_EXISTS ? "this key is paired already; use the secret "
						     "that was kept, or let the owner remove it"
						   : "it could not keep the pairing",
			 (unsigned)status);
}

/** A raw parameter of exactly so many bytes; NULL when it is not. */
static const uint8_t *read_raw(struct bs_cursor *c, size_t *len)
{
	*len = bs_cursor_read_u16(c);
	return bs_cursor_read_bytes(c, *len);
}

static int enter_list(struct bsc_conn *c, const char *name, struct bsc_pairing *out,
		      struct bsc_error *err)
{
	uint8_t req[4 + 2 + BSC_USER_NAME_MAX];
	uint8_t buf[BSC_RPC_ANSWER_MAX];
	size_t len = strlen(name) < BSC_USER_NAME_MAX ? strlen(name) : BSC_USER_NAME_MAX;
	struct bs_cursor cur;
	const uint8_t *p;
	uint8_t status;
	int rc;

	bs_put_u32(req, Q_PAIR);
	bs_put_u16(req + 4, (uint16_t)len);
	memcpy(req + 6, name, len);
	rc = bsc_rpc_wait(c, req, 6 + len, 0, buf, sizeof buf, &len, err);
	if (rc != BS_OK)
		return rc;
	bs_cursor_init(&cur, buf, len);
	status = bs_cursor_read_u8(&cur);
	(void)read_raw(&cur, &len);
	p = read_raw(&cur, &len);
	out->rights = bs_cursor_read_u32(&cur);
	if (cur.bad || p == NULL || len > BSC_USER_NAME_MAX)
		return broke(c, err);
	if (status != 0)
		return refused(c, status, err);
	memcpy(out->name, p, len);
	bsc__printable(out->name, len);
	return BS_OK;
}

static int make_secret(struct bsc_conn *c, struct bsc_pairing *out, struct bsc_error *err)
{
	const struct bs_crypto *crypto = c->m->crypto;
	uint8_t req[4 + 2 + 32];
	uint8_t buf[BSC_RPC_ANSWER_MAX];
	struct bs_cursor cur;
	const uint8_t *id, *secret;
	size_t len, id_len, secret_len;
	uint8_t status;
	int rc;

	bs_put_u32(req, Q_MAKE_SECRET);
	bs_put_u16(req + 4, 32);
	if (crypto->random(crypto->ctx, req + 6, 32) != BS_OK)
		return bsc__fail(err, BS_ERANDOM, BSC_FROM_LIBRARY, BSC_INTERNAL,
				 "no random numbers from the crypto library");
	rc = bsc_rpc_wait(c, req, sizeof req, 0, buf, sizeof buf, &len, err);
	if (rc != BS_OK)
		return rc;
	bs_cursor_init(&cur, buf, len);
	status = bs_cursor_read_u8(&cur);
	id = read_raw(&cur, &id_len);
	secret = read_raw(&cur, &secret_len);
	if (cur.bad)
		rc = broke(c, err);
	else if (status != 0)
		rc = refused(c, status, err);
	else if (id_len != sizeof out->id || secret_len != sizeof out->secret)
		rc = broke(c, err);
	if (rc == BS_OK) {
		memcpy(out->id, id, sizeof out->id);
		memcpy(out->secret, secret, sizeof out->secret);
	}
	bs_wipe(buf, sizeof buf);
	return rc;
}

int bsc_pair_wait(struct bsc_conn *c, const char *name, struct bsc_pairing *out,
		  struct bsc_error *err)
{
	int rc;

	memset(out, 0, sizeof *out);
	rc = enter_list(c, name, out, err);
	if (rc == BS_OK)
		rc = make_secret(c, out, err);
	if (rc != BS_OK)
		bs_wipe(out, sizeof *out);
	return rc;
}
