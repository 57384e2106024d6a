/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process finds in the state of the one before: everything, in any arrangement; and nothing
 * wrong, whatever the file holds.  Servers here are made and never run, so that a test has many.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../store/box.h"
#include "server/role_auth.h"
#include "server/server_internal.h"
#include "suite.h"
#include "util/endpoint.h"

#define DEVICES 300u
#define AUTH    (BS_EXT_IP6 | BS_EXT_AUTH_ALIVE | BS_EXT_INTERVAL)

static struct box box;
static const struct bs_conf *conf;
static struct bs_server *server;
static char path[160];
static uint16_t ports[2];
static unsigned workers;
static uint32_t max_devices;
static uint32_t nsi_of[DEVICES + 1]; /* by number */
static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % n;
}

static int try_start(char *err, size_t cap)
{
	struct bs_server_options o = { .registry = box.reg, .no_pinning = true };
	struct bs_conf_error e = { "" };
	char text[1024];
	int len = snprintf(text, sizeof(text),
			   "listen = { \"127.0.0.1\" }\ncontroller-port = %u\nattach-port = %u\n"
			   "gateway-port = 0\nworkers = %u\nmax-devices = %u\nmax-clients = 10\n"
			   "max-connections = 10\npending-entries = 64\nstate-file = \"%s\"\n"
			   "relay-queue = 64\n",
			   ports[0], ports[1], workers, max_devices, path);

	ck_assert_msg(bs_conf_load_text("test", text, (size_t)len, &conf, &e) == BS_OK, "%s",
		      e.text);
	o.conf = conf;
	return bs_server_bind(&o, &server, err, cap);
}

static void start(void)
{
	struct bs_server_info info;
	char err[512] = "";

	ck_assert_msg(try_start(err, sizeof(err)) == BS_OK, "%s", err);
	bs_server_info(server, &info);
	ports[0] = info.controller_port;
	ports[1] = info.attach_port;
}

/* As far as the file is concerned, this is what a kill is. */
static void stop(void)
{
	bs_server_free(server);
	server = NULL;
	bs_conf_unref(conf);
	conf = NULL;
}

static struct bs_roles *roles(unsigned worker)
{
	return server->worker[worker].roles;
}

static uint64_t counter(enum bs_counter c)
{
	uint64_t v[BS_COUNTER_N];

	bs_server_counters(server, v);
	return v[c];
}

/* What the records of a device say, made from its number. */
static uint16_t ext_of(uint32_t number)
{
	return number % 3 == 0 ? AUTH : 0;
}

static bool has_ep6(uint32_t number)
{
	return number % 5 == 0;
}

static struct bs_endpoint peer_of(uint32_t number)
{
	struct bs_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	bs_endpoint_set_ip4(&ep, 0x0A000000 + number, (uint16_t)(1000 + number));
	return ep;
}

static const char *text_of(uint32_t number, char text[32])
{
	snprintf(text, 32, "%u.0\nlabel", number % 7);
	return text;
}

static struct bs_endpoint local_of(const struct bs_roles *r, unsigned *socket)
{
	struct bs_endpoint ep;

	for (*socket = 0; !(r->w->socket[*socket].roles & BS_SOCKET_ATTACH); ++*socket)
		;
	ep = r->w->socket[*socket].ep;
	return ep;
}

static uint32_t attach(uint32_t number, uint32_t nsi, uint32_t tick)
{
	struct bs_roles *r = roles((nsi >> 24) % workers);
	uint32_t i = bs_slab_take(&r->slab);
	struct bs_device_hot *hot = &r->slab.hot[i];
	struct bs_device_cold *cold = &r->slab.cold[i];
	struct bs_endpoint local;
	char text[32];
	unsigned socket;

	ck_assert_uint_ne(i, BS_SLAB_NONE);
	local = local_of(r, &socket);
	hot->nsi = nsi;
	hot->number = number;
	hot->peer = peer_of(number);
	hot->local = (uint8_t)bs__local_index(r, socket, &local);
	hot->move = BS_POOL_NONE;
	bs_alive_start(&hot->alive, (uint16_t)number, r->now_ms);
	hot->alive.due_ms = r->now_ms + number * 10;
	memset(&cold->c_key, (int)number, sizeof(cold->c_key));
	cold->attached_s = 1700000000 + number;
	cold->attached_tick = tick;
	cold->ext = ext_of(number);
	(void)text_of(number, text);
	cold->text = (uint16_t)bs_intern_put(&r->texts, text, strlen(text));
	cold->ep6 = has_ep6(number) ? bs_pool_take(&r->ep6) : BS_POOL_NONE;
	cold->conn_limit = 8;
	cold->conns = 77; /* of the process before */
	cold->n_conns = 3;
	if (has_ep6(number)) {
		struct bs_device_ep6 *side = bs_pool_get(&r->ep6, cold->ep6);

		side->n = 1;
		side->ep[0] = peer_of(number);
		side->ep[0].ip[0] = 0x20;
	}
	ck_assert(bs__auth_room(r, i, cold->ext));
	bs__auth_begin(r, i);
	if (cold->ext)
		r->auth[i].sent = number;
	bs_slab_publish(&r->slab, i);
	return i;
}

static void fill(void)
{
	uint32_t number;

	for (number = 1; number <= DEVICES; number++) {
		do
			nsi_of[number] = bs_nsi_make(rnd(UINT32_MAX / 2) * 2 + rnd(2),
						     number % workers, workers);
		while (nsi_of[number] == 0);
		(void)attach(number, nsi_of[number], number);
	}
}

/* One that was kept: nothing of it is wrong, and every table knows it. */
static void check_record(struct bs_roles *r, uint32_t i, bool loose)
{
	const struct bs_device_hot *hot = &r->slab.hot[i];
	const struct bs_device_cold *cold = &r->slab.cold[i];
	struct bs_endpoint peer = peer_of(hot->number);
	struct bs_key_block key;
	char text[32];
	uint32_t index;
	uint32_t age_s;

	ck_assert_uint_ge(hot->number, 1);
	ck_assert_uint_le(hot->number, DEVICES);
	ck_assert_uint_eq(hot->nsi, nsi_of[hot->number]);
	memset(&key, (int)hot->number, sizeof(key));
	ck_assert_mem_eq(&cold->c_key, &key, sizeof(key));
	ck_assert_uint_eq(cold->attached_s, 1700000000 + hot->number);
	ck_assert_uint_eq(cold->ext, ext_of(hot->number));
	ck_assert_uint_eq(cold->seal, bs_slab_seal(hot, cold));
	ck_assert_uint_eq(cold->conns, BS_POOL_NONE);
	ck_assert_uint_eq(cold->n_conns, 0);
	ck_assert_uint_ge(cold->conn_limit, 1);
	ck_assert_int_eq((hot->flags & BS_SLAB_AUTH) != 0, cold->ext != 0);
	ck_assert_int_eq(bs_nsi_table_get(&r->nsi, hot->nsi, &index), BS_NSI_DEVICE);
	ck_assert_uint_eq(index, i);
	ck_assert_uint_eq(bs_ids_holder(&roles(bs_worker_owner(r->w, hot->number))->ids,
					hot->number, r->now_s, &age_s),
			  hot->nsi);
	ck_assert(bs_wheel_is_set(&r->device_wheel, i));
	ck_assert_uint_lt(hot->local, r->n_locals);
	ck_assert_uint_eq(r->local[hot->local].ep.port, ports[1]);
	(void)bs_intern_get(&r->texts, cold->text);
	if (loose)
		return;
	ck_assert_mem_eq(&hot->peer, &peer, sizeof(peer));
	ck_assert_str_eq(bs_intern_get(&r->texts, cold->text), text_of(hot->number, text));
	ck_assert_int_eq(cold->ep6 != BS_POOL_NONE, has_ep6(hot->number));
	if (has_ep6(hot->number)) {
		const struct bs_device_ep6 *side = bs_pool_get(&r->ep6, cold->ep6);

		ck_assert_uint_eq(side->n, 1);
		ck_assert_uint_eq(side->ep[0].port, peer.port);
	}
	if (cold->ext)
		ck_assert_uint_eq(r->auth[i].sent, hot->number);
}

/* All that were kept; their number. */
static uint32_t check_all(bool loose)
{
	bool seen[DEVICES + 1] = { false };
	uint32_t n = 0;
	uint32_t ids = 0;
	unsigned k;
	uint32_t i;

	for (k = 0; k < workers; k++) {
		struct bs_roles *r = roles(k);
		uint32_t of_this = 0;

		for (i = bs_slab_next(&r->slab, 0); i != BS_SLAB_NONE;
		     i = bs_slab_next(&r->slab, i + 1)) {
			ck_assert(!seen[r->slab.hot[i].number % (DEVICES + 1)]);
			check_record(r, i, loose);
			seen[r->slab.hot[i].number] = true;
			of_this++;
		}
		ck_assert_uint_eq(r->slab.n, of_this);
		ck_assert_uint_eq(r->nsi.numbers.n, of_this);
		ids += r->ids.n;
		n += of_this;
	}
	ck_assert_uint_eq(ids, n);
	ck_assert_uint_eq(counter(BS_C_state_kept), n);
	ck_assert_uint_eq(counter(BS_C_devices_attached), n);
	return n;
}

/* Every free record of every pool can be taken, and none twice: the lists hold together. */
static void use_all_room(void)
{
	unsigned k;

	for (k = 0; k < workers; k++) {
		struct bs_roles *r = roles(k);

		while (r->slab.n < r->slab.cap) {
			uint32_t i = bs_slab_take(&r->slab);

			ck_assert_uint_lt(i, r->slab.cap);
			ck_assert_uint_eq(r->slab.hot[i].flags, 0);
			r->slab.hot[i].flags = BS_SLAB_USED;
		}
		ck_assert_uint_eq(bs_slab_take(&r->slab), BS_SLAB_NONE);
		while (r->ep6.n < r->ep6.cap)
			ck_assert_uint_lt(bs_pool_take(&r->ep6), r->ep6.cap);
		ck_assert_uint_eq(bs_pool_take(&r->ep6), BS_POOL_NONE);
	}
}

static void setup(void)
{
	box_init(&box);
	box_open(&box);
	snprintf(path, sizeof(path), "%s/bs-restore-%ld",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
	(void)unlink(path);
	ports[0] = ports[1] = 0;
	workers = 1;
	max_devices = 1000;
	seed = 42;
	start();
}

static void teardown(void)
{
	stop();
	(void)unlink(path);
	box_close(&box);
	box_fini(&box);
}

static void again(void)
{
	stop();
	start();
}

START_TEST(test_all_come_back)
{
	workers = (unsigned)_i;
	again();
	fill();
	again();
	ck_assert_uint_eq(check_all(false), DEVICES);
	again();
	ck_assert_uint_eq(check_all(false), DEVICES);
	ck_assert_uint_eq(counter(BS_C_state_left_out), 0);
	use_all_room();
}
END_TEST

START_TEST(test_other_workers)
{
	static const unsigned n[] = { 4, 3, 7, 1, 2, 64, 5 };
	unsigned i;

	fill();
	for (i = 0; i < BS_LEN(n); i++) {
		workers = n[i];
		again();
		ck_assert_uint_eq(check_all(false), DEVICES);
	}
	/* and limits: more than there are, and fewer */
	max_devices = 5000;
	again();
	ck_assert_uint_eq(check_all(false), DEVICES);
	use_all_room();
}
END_TEST

START_TEST(test_fewer_than_there_are)
{
	fill();
	max_devices = 100;
	again();
	ck_assert_uint_eq(check_all(false), 100);
	ck_assert_uint_eq(counter(BS_C_state_left_out), DEVICES - 100);
	use_all_room();
}
END_TEST

START_TEST(test_other_address)
{
	fill();
	ports[1] = 0;
	again();
	ck_assert_uint_eq(check_all(false), 0);
	ck_assert_uint_eq(counter(BS_C_state_left_out), DEVICES);
	/* the places of addresses are free again */
	fill();
	ck_assert_uint_eq(roles(0)->n_locals, 1);
}
END_TEST

/* The keepalives go on as spread as they were, and not one of them before its time. */
START_TEST(test_no_storm)
{
	struct bs_roles *r;
	uint32_t now_ms;
	uint32_t i;

	fill();
	roles(0)->slab.hot[7].alive.due_ms = roles(0)->now_ms + 2000000000;
	roles(0)->slab.hot[8].alive.seen_ms = roles(0)->now_ms + 1000;
	now_ms = roles(0)->now_ms;
	usleep(20000);
	again();
	r = roles(0);
	ck_assert_uint_eq(r->now_ms, now_ms);
	for (i = 0; i < DEVICES; i++) {
		uint32_t ahead = r->slab.hot[i].alive.due_ms - now_ms;

		if (i != 7)
			ck_assert_uint_eq(ahead, r->slab.hot[i].number * 10);
		ck_assert_uint_le(ahead, r->pace.interval_ms);
		ck_assert_int_ge((int32_t)(now_ms - r->slab.hot[i].alive.seen_ms), 0);
	}
	ck_assert(r->recheck_running);
	/* nor does the time count that it took until the worker could begin */
	r->w->now += BS_TIME_MS(700);
	bs__roles_stood(r, BS_TIME_MS(700));
	ck_assert_uint_eq(r->now_ms, now_ms);
	r->w->now += BS_TIME_MS(700);
	bs__roles_clock(r);
	ck_assert_uint_gt(r->now_ms, now_ms + 700 - 2 * BS_TICK_MS);
	ck_assert_uint_lt(r->now_ms, now_ms + 700 + 2 * BS_TICK_MS);
}
END_TEST

/* The end came while a newer attachment replaced an older one. */
START_TEST(test_newer_wins)
{
	uint32_t other = nsi_of[1];

	workers = 2;
	again();
	fill();
	/* on the same worker, then on the other one, the older one first and last */
	other = nsi_of[1];
	nsi_of[1] = bs_nsi_make(0x51234567, 1, 2);
	(void)attach(1, nsi_of[1], 5000);
	(void)attach(2, bs_nsi_make(0x61234567, 0, 2), 1);
	(void)attach(3, bs_nsi_make(0x71234567, 0, 2), 2);
	ck_assert_uint_ne(other, nsi_of[1]);
	again();
	ck_assert_uint_eq(check_all(false), DEVICES);
	ck_assert_uint_eq(counter(BS_C_state_left_out), 3);
	use_all_room();
}
END_TEST

/* The end came within a change of address: it is made whole. */
START_TEST(test_note_is_finished)
{
	struct bs_endpoint to = peer_of(999);
	struct bs_state_note *note;

	fill();
	note = bs_state_note(roles(0)->shard);
	note->index = 10;
	note->peer = to;
	note->local = roles(0)->slab.hot[10].local;
	note->armed = BS_STATE_NOTE_ARMED;
	memset(&roles(0)->slab.hot[10].peer, 0xEE, 9);
	again();
	ck_assert_mem_eq(&roles(0)->slab.hot[10].peer, &to, sizeof(to));
	ck_assert_uint_eq(roles(0)->slab.n, DEVICES);
	ck_assert_uint_eq(bs_state_note(roles(0)->shard)->armed, 0);
	/* one that was not armed yet means nothing */
	note = bs_state_note(roles(0)->shard);
	note->index = 11;
	note->peer = to;
	again();
	ck_assert_uint_eq(roles(0)->slab.hot[11].peer.port, peer_of(12).port);
}
END_TEST

/* What a copy of an old proof must not bring back is known to whoever would have to refuse it. */
START_TEST(test_spent_numbers)
{
	const uint32_t nsi = 0x51234567;
	unsigned n;

	bs__cookie_spent(roles(0), nsi);
	for (n = 1; n < 5; n++) {
		const struct bs_spent_nsi *spent;

		workers = n;
		again();
		spent = &roles((nsi >> 24) % n)->spent[nsi % BS_SPENT_NSI];
		ck_assert_uint_eq(spent->nsi, nsi);
		ck_assert_uint_le(roles(0)->now_ms - spent->end_ms, 1000);
	}
}
END_TEST

/* The end came before a record was complete. */
START_TEST(test_half_a_record)
{
	uint32_t i;

	fill();
	i = attach(1, bs_nsi_make(0x51234567, 0, 1), 9999);
	roles(0)->slab.hot[i].flags &= (uint8_t)~BS_SLAB_USED;
	again();
	ck_assert_uint_eq(check_all(false), DEVICES);
	ck_assert_uint_eq(counter(BS_C_state_left_out), 0);
	use_all_room();
}
END_TEST

static int patch_file(off_t at, const void *bytes, size_t len)
{
	int fd = open(path, O_RDWR);
	ssize_t n = pwrite(fd, bytes, len, at);

	close(fd);
	return n == (ssize_t)len;
}

static off_t file_len(void)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_size;
}

/* A place where something is, not a hole. */
static off_t some_place(void)
{
	int fd = open(path, O_RDONLY);
	off_t at;

	do
		at = lseek(fd, (off_t)rnd((uint32_t)file_len()), SEEK_DATA);
	while (at < 0);
	close(fd);
	return at;
}

/* Bits turn in the file: what is kept is right in everything that it was attached with. */
START_TEST(test_any_bit)
{
	const unsigned rounds = getenv("BS_FULL") ? 2000 : 150;
	unsigned round;
	unsigned k;

	for (round = 0; round < rounds; round++) {
		workers = 1 + rnd(3);
		stop();
		(void)unlink(path);
		start();
		fill();
		stop();
		for (k = 0; k < 1 + round % 40; k++) {
			off_t at = some_place();
			uint8_t byte;
			int fd = open(path, O_RDONLY);

			ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
			close(fd);
			byte ^= (uint8_t)(1 << rnd(8));
			ck_assert(patch_file(at, &byte, 1));
		}
		if (rnd(3) == 0)
			workers = 1 + rnd(4);
		start();
		(void)check_all(true);
		use_all_room();
	}
}
END_TEST

/* Whole pages of anything, with a header that says all is well. */
START_TEST(test_any_page)
{
	const unsigned rounds = getenv("BS_FULL") ? 1000 : 60;
	uint8_t page[4096];
	unsigned round;
	unsigned k;
	size_t i;

	for (round = 0; round < rounds; round++) {
		workers = 1 + rnd(3);
		stop();
		(void)unlink(path);
		start();
		fill();
		stop();
		for (k = 0; k < 8; k++) {
			off_t at = some_place() / (off_t)sizeof(page) * (off_t)sizeof(page);

			for (i = 0; i < sizeof(page); i++)
				page[i] = round % 3 == 0 ? 0xFF : (uint8_t)rnd(256);
			if (at >= (off_t)sizeof(page))
				ck_assert(patch_file(at, page, sizeof(page)));
		}
		if (rnd(3) == 0)
			workers = 1 + rnd(4);
		start();
		(void)check_all(true);
		use_all_room();
	}
}
END_TEST

/* The start ends with a word when another process has the file. */
START_TEST(test_locked)
{
	struct bs_server *first = server;
	const struct bs_conf *first_conf = conf;
	char err[512] = "";

	server = NULL;
	ports[0] = ports[1] = 0;
	ck_assert_int_eq(try_start(err, sizeof(err)), BS_EBUSY);
	ck_assert_msg(strstr(err, "in use by another basestationd"), "%s", err);
	bs_conf_unref(conf);
	server = first;
	conf = first_conf;
}
END_TEST

Suite *bs_suite_restore(void)
{
	Suite *suite = suite_create("restore");
	TCase *c = tcase_create("restore");

	tcase_set_timeout(c, 900);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_all_come_back, 1, 5);
	tcase_add_test(c, test_other_workers);
	tcase_add_test(c, test_fewer_than_there_are);
	tcase_add_test(c, test_other_address);
	tcase_add_test(c, test_no_storm);
	tcase_add_test(c, test_newer_wins);
	tcase_add_test(c, test_note_is_finished);
	tcase_add_test(c, test_spent_numbers);
	tcase_add_test(c, test_half_a_record);
	tcase_add_test(c, test_any_bit);
	tcase_add_test(c, test_any_page);
	tcase_add_test(c, test_locked);
	suite_add_tcase(suite, c);
	return suite;
}
