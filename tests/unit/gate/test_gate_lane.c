/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake.h"
#include "test.h"

/** Connections of the flood, and turns after which a test gives up. */
#define FLOOD 12
/** Sessions that the fake has room for. */
#define HOUSE 14
#define TURNS 4000

static struct fake *f;

static void setup(void)
{
	f = fake_new("handshakes-per-turn = 1\nhandshake-rate = 1000/s\n");
	ck_assert_uint_eq(f->g->cap, HOUSE);
}

static void teardown(void)
{
	fake_free(f);
}

/** A connection from 127.0.0.host, on which the first byte of a hello is said. */
static int dial_from(uint8_t host)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(0x7F000000u | host);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	a.sin_port = htons(f->ops->port(f->shared));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	/* Without it the kernel keeps the connection back. */
	ck_assert_int_eq(write(fd, "\x16", 1), 1);
	return fd;
}

/** The first message of a handshake, which is all that a flood sends. */
static size_t make_hello(SSL_SESSION *resume, uint8_t *buf, size_t cap)
{
	static const unsigned char alpn[] = "\x0d"
					    "basestation/1";
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	BIO *out = BIO_new(BIO_s_mem());
	SSL *ssl;
	int n;

	ck_assert_int_eq(SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1), 0);
	ssl = SSL_new(ctx);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
	if (resume)
		ck_assert_int_eq(SSL_set_session(ssl, resume), 1);
	(void)SSL_connect(ssl);
	n = BIO_read(out, buf, (int)cap);
	ck_assert_int_gt(n, 0);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return (size_t)n;
}

/** The rest of it, after dial_from. */
static void say_hello_with(int fd, SSL_SESSION *resume)
{
	uint8_t buf[2048];
	size_t len = make_hello(resume, buf, sizeof(buf));

	ck_assert_int_eq(send(fd, buf + 1, len - 1, 0), (ssize_t)len - 1);
	/* Until the other end has it: then the next turn sees it, however busy the machine. */
	for (int left = 1; left > 0;) {
		ck_assert_int_eq(ioctl(fd, SIOCOUTQ, &left), 0);
		if (left > 0)
			(void)poll(NULL, 0, 1);
	}
}

static void say_hello(int fd)
{
	say_hello_with(fd, NULL);
}

static bool is_answered(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, 1, MSG_PEEK) == 1;
}

static unsigned n_answered(const int *fd, size_t n)
{
	unsigned answered = 0;

	for (size_t i = 0; i < n; i++)
		answered += is_answered(fd[i]);
	return answered;
}

/** Handshakes that could go on but wait for their turn. */
static unsigned n_waiting(void)
{
	unsigned waiting = 0;

	for (uint32_t i = 0; i < f->g->fresh; i++)
		waiting += f->g->session[i].queued;
	return waiting;
}

/** Turn until so many connections were accepted, and their first bytes read. */
static void until_accepted(uint64_t n)
{
	for (int i = 0; i < TURNS && (fake_count(f, BS_C_gate_accepted) < n || n_waiting() > 0);
	     i++) {
		fake_turn(f);
		if (i > 20)
			(void)poll(NULL, 0, 1);
	}
	ck_assert_uint_eq(fake_count(f, BS_C_gate_accepted), n);
	ck_assert_uint_eq(n_waiting(), 0);
}

/** Which session comes next, for a row of pushes of three sources. */
START_TEST(sources_take_turns_however_much_each_wants)
{
	struct bs_gate *g = calloc(1, sizeof(*g));
	struct bs_session *s = calloc(8, sizeof(*s));
	static const uint64_t source[8] = { 7, 7, 7, 7, 7, 8, 9, 9 };
	static const uint32_t order[8] = { 0, 5, 6, 1, 7, 2, 3, 4 };

	for (uint32_t i = 0; i < 8; i++) {
		s[i].gate = g;
		s[i].index = i;
		bs__lane_join(&s[i], source[i]);
		bs__lane_push(&s[i]);
	}
	for (uint32_t i = 0; i < 8; i++) {
		struct bs_session *next = bs__lane_pop(g);

		ck_assert_ptr_nonnull(next);
		ck_assert_uint_eq(next->index, order[i]);
		ck_assert(!next->queued);
	}
	ck_assert_ptr_null(bs__lane_pop(g));
	/* One that comes back waits behind whoever waited meanwhile. */
	bs__lane_push(&s[1]);
	bs__lane_push(&s[0]);
	bs__lane_push(&s[5]);
	ck_assert_ptr_eq(bs__lane_pop(g), &s[1]);
	ck_assert_ptr_eq(bs__lane_pop(g), &s[5]);
	ck_assert_ptr_eq(bs__lane_pop(g), &s[0]);
	free(s);
	free(g);
}
END_TEST

START_TEST(whoever_ends_while_waiting_is_forgotten)
{
	struct bs_gate *g = calloc(1, sizeof(*g));
	struct bs_session *s = calloc(4, sizeof(*s));

	for (uint32_t i = 0; i < 4; i++) {
		s[i].gate = g;
		bs__lane_join(&s[i], i == 3 ? 2 : 1);
		bs__lane_push(&s[i]);
	}
	/* From the middle, the front and the end; a lane without anybody is passed over. */
	bs__lane_leave(&s[1]);
	bs__lane_leave(&s[3]);
	ck_assert_uint_eq(g->lane[1].n, 2);
	ck_assert_uint_eq(g->lane[2].n, 0);
	ck_assert_ptr_eq(bs__lane_pop(g), &s[0]);
	bs__lane_leave(&s[2]);
	ck_assert_ptr_null(bs__lane_pop(g));
	bs__lane_leave(&s[2]);
	ck_assert_ptr_eq(g->lane[1].newest, &s[0]);
	bs__lane_leave(&s[0]);
	ck_assert_ptr_null(g->lane[1].newest);
	ck_assert_uint_eq(g->lane[1].n, 0);
	free(s);
	free(g);
}
END_TEST

/** Counted in handshakes, not in time: the machine may be as slow as it likes. */
START_TEST(a_client_does_not_wait_for_a_flood)
{
	int flood[FLOOD], fd;
	unsigned before;

	for (size_t i = 0; i < FLOOD; i++)
		flood[i] = dial_from(2);
	fd = dial_from(3);
	until_accepted(FLOOD + 1);
	for (size_t i = 0; i < FLOOD; i++)
		say_hello(flood[i]);
	for (int i = 0; i < TURNS && n_waiting() + n_answered(flood, FLOOD) < FLOOD; i++)
		fake_turn(f);
	before = n_answered(flood, FLOOD);
	ck_assert_uint_gt(n_waiting(), 4);
	say_hello(fd);
	for (int i = 0; i < TURNS && !is_answered(fd); i++)
		fake_turn(f);
	ck_assert(is_answered(fd));
	ck_assert_uint_le(n_answered(flood, FLOOD), before + 3);
	/* And the flood is served as well, only later. */
	for (int i = 0; i < TURNS && n_answered(flood, FLOOD) < FLOOD; i++)
		fake_turn(f);
	ck_assert_uint_eq(n_answered(flood, FLOOD), FLOOD);
	for (size_t i = 0; i < FLOOD; i++)
		close(flood[i]);
	close(fd);
}
END_TEST

/** Clients say hello at once; how many one turn answered, at most. */
static unsigned most_per_turn(SSL_SESSION *resume)
{
	uint64_t accepted = fake_count(f, BS_C_gate_accepted);
	unsigned most = 0, before = 0, now;
	int fd[FLOOD / 2];

	for (uint8_t i = 0; i < BS_LEN(fd); i++)
		fd[i] = dial_from((uint8_t)(10 + i));
	until_accepted(accepted + BS_LEN(fd));
	for (size_t i = 0; i < BS_LEN(fd); i++)
		say_hello_with(fd[i], resume);
	for (int i = 0; i < TURNS && before < BS_LEN(fd); i++) {
		fake_turn(f);
		now = n_answered(fd, BS_LEN(fd));
		if (now - before > most)
			most = now - before;
		before = now;
	}
	ck_assert_uint_eq(before, BS_LEN(fd));
	for (size_t i = 0; i < BS_LEN(fd); i++)
		close(fd[i]);
	for (int i = 0; i < TURNS && fake_count(f, BS_C_gate_sessions) > 0; i++)
		fake_turn(f);
	return most;
}

START_TEST(a_turn_serves_four_resumptions_or_one_full_handshake)
{
	struct dude d = { 0 };
	SSL_SESSION *ticket;
	char byte;

	dude_open(&d, f);
	for (int i = 0; i < TURNS && !d.ticket; i++) {
		(void)SSL_peek(d.ssl, &byte, 1);
		fake_turn(f);
	}
	ticket = d.ticket;
	ck_assert_ptr_nonnull(ticket);
	d.ticket = NULL;
	SSL_shutdown(d.ssl);
	dude_close(&d);
	ck_assert_uint_eq(most_per_turn(ticket), 4);
	ck_assert_uint_eq(most_per_turn(NULL), 1);
	SSL_SESSION_free(ticket);
}
END_TEST

/** Connections that the server has ended; by a reset where their first byte was not read. */
static unsigned n_ended(const int *fd, size_t n)
{
	unsigned ended = 0;
	uint8_t byte;

	for (size_t i = 0; i < n; i++) {
		ssize_t got = recv(fd[i], &byte, 1, MSG_PEEK);

		ended += got == 0 || (got < 0 && errno != EAGAIN);
	}
	return ended;
}

START_TEST(who_has_most_makes_room_for_who_has_less)
{
	int many[HOUSE + 1], few[HOUSE / 2 + 1];

	for (size_t i = 0; i < HOUSE; i++)
		many[i] = dial_from(2);
	until_accepted(HOUSE);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), HOUSE);
	/* The source that fills the house gets no more of it. */
	many[HOUSE] = dial_from(2);
	until_accepted(HOUSE + 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_full), 1);
	/* Another one does, until both have the same. */
	for (size_t i = 0; i < HOUSE / 2 + 1; i++) {
		few[i] = dial_from(3);
		until_accepted(HOUSE + 2 + i);
	}
	ck_assert_uint_eq(fake_count(f, BS_C_gate_displaced), HOUSE / 2);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_full), 2);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), HOUSE);
	ck_assert_uint_eq(n_ended(many, HOUSE + 1), HOUSE / 2 + 1);
	ck_assert_uint_eq(n_ended(few, HOUSE / 2 + 1), 1);
	for (size_t i = 0; i < HOUSE + 1; i++)
		close(many[i]);
	for (size_t i = 0; i < HOUSE / 2 + 1; i++)
		close(few[i]);
}
END_TEST

/** Sessions that are up are never given up for strangers. */
START_TEST(open_sessions_are_nobodys_room)
{
	struct dude *d = calloc(HOUSE, sizeof(*d));
	int fd;

	for (size_t i = 0; i < HOUSE; i++)
		dude_open(&d[i], f);
	fd = dial_from(3);
	until_accepted(HOUSE + 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_full), 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_displaced), 0);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), HOUSE);
	for (size_t i = 0; i < HOUSE; i++)
		dude_close(&d[i]);
	close(fd);
	free(d);
}
END_TEST

Suite *bs_suite_gate_lane(void)
{
	Suite *s = suite_create("gate_lane");
	TCase *tc = tcase_create("order");

	tcase_add_test(tc, sources_take_turns_however_much_each_wants);
	tcase_add_test(tc, whoever_ends_while_waiting_is_forgotten);
	suite_add_tcase(s, tc);
	tc = tcase_create("lane");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_client_does_not_wait_for_a_flood);
	tcase_add_test(tc, a_turn_serves_four_resumptions_or_one_full_handshake);
	tcase_add_test(tc, who_has_most_makes_room_for_who_has_less);
	tcase_add_test(tc, open_sessions_are_nobodys_room);
	suite_add_tcase(s, tc);
	return s;
}
