/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process is killed at random points: what it had acknowledged is there afterwards, and what it
 * had not is there as a whole or not at all.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"

Suite *bs_suite_kill(void);

#define ROUNDS 40
/* Devices of one import: a multiple says that it is there. */
#define IMPORT 64
/* Operations that a child has under way at most: so many may be done and not told. */
#define UNDER_WAY 200

static struct box box;

struct ticket {
	int fd;
	uint32_t op;
};

/* In the child: submitted and not answered. */
static unsigned under_way;

/* In the child: tell the parent, which is the one that lives. */
static void tell(void *arg, const struct bs_store_result *res)
{
	struct ticket *t = arg;

	if (res->status != BS_OK || write(t->fd, &t->op, sizeof(t->op)) != sizeof(t->op))
		_exit(9);
	under_way--;
	free(t);
}

static void submit(struct bs_store_request *req, int fd, uint32_t op)
{
	struct ticket *t = malloc(sizeof(*t));

	if (!t)
		_exit(9);
	t->fd = fd;
	t->op = op;
	req->done = tell;
	req->arg = t;
	under_way++;
	if (bs_store_submit(box.in, req) != BS_OK)
		_exit(9);
}

static void submit_import(int fd, uint32_t op)
{
	struct bs_store_request req = { .op = BS_STORE_IMPORT };
	uint8_t secret[BS_PSK_LEN] = { 1 };
	char id[32];
	unsigned i;

	if (bs_import_new(box.reg, BS_IMPORT_NEW, IMPORT, &req.u.import) != BS_OK)
		_exit(9);
	for (i = 0; i < IMPORT; i++) {
		struct bs_import_row row = { .row = i + 1, .secret = secret };

		snprintf(id, sizeof(id), "imp%u-%u", op, i);
		row.id = box_text(id);
		if (bs_import_add(req.u.import, &row, NULL) != BS_OK)
			_exit(9);
	}
	submit(&req, fd, op);
}

static void child(int fd, uint32_t first)
{
	uint32_t op = first;

	if (box_try_open(&box) != BS_OK)
		_exit(9);
	for (;;) {
		struct pollfd p = { .fd = bs_store_inbox_fd(box.in), .events = POLLIN };
		unsigned burst;

		for (burst = 0; burst < 1 + op % 6 && under_way < UNDER_WAY; burst++, op++) {
			struct bs_store_request req = { .op = BS_STORE_DEVICE_ADD };

			if (op % 11 == 5) {
				submit_import(fd, op);
				continue;
			}
			snprintf(req.u.device.id, sizeof(req.u.device.id), "dev%u", op);
			req.u.device.has_secret = true;
			req.u.device.tags = (struct bs_names){ 2, { "a", "b" } };
			submit(&req, fd, op);
		}
		poll(&p, 1, 1000);
		bs_store_inbox_run(box.in);
	}
}

static bool there(uint32_t op)
{
	struct bs_device_filter f = { .prefix = "" };
	static struct bs_device d[IMPORT + 1];
	struct bs_list_pos pos = { 0 };
	char id[32];
	bs_ssize n;
	bool end;

	if (op % 11 != 5) {
		snprintf(id, sizeof(id), "dev%u", op);
		return bs_registry_device(box.r, box_text(id), &d[0]) == BS_OK;
	}
	snprintf(f.prefix, sizeof(f.prefix), "imp%u-", op);
	n = bs_registry_device_list(box.r, &f, &pos, d, IMPORT + 1, &end);
	ck_assert_msg(n == 0 || n == IMPORT, "import %u: %d devices", op, (int)n);
	return n == IMPORT;
}

START_TEST(killed_at_random)
{
	static bool acked[100000];
	uint32_t seed = 4242;
	uint32_t first = 0;
	unsigned total = 0;
	int round;

	box_init(&box);
	for (round = 0; round < ROUNDS; round++) {
		uint32_t limit = 1 + box_random(&seed) % 40;
		uint32_t spin = box_random(&seed) % 60000;
		uint32_t last = first;
		uint32_t op;
		uint32_t n = 0;
		volatile uint32_t i;
		int status;
		int p[2];
		pid_t pid;

		ck_assert_int_eq(pipe(p), 0);
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			close(p[0]);
			child(p[1], first);
		}
		close(p[1]);
		while (n < limit && read(p[0], &op, sizeof(op)) == sizeof(op)) {
			acked[op] = true;
			last = op > last ? op : last;
			n++;
		}
		/* Somewhere in the work that goes on meanwhile. */
		for (i = 0; i < spin; i++)
			continue;
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFSIGNALED(status), "round %d: the child ended with %d", round,
			      status);
		while (read(p[0], &op, sizeof(op)) == sizeof(op)) {
			acked[op] = true;
			last = op > last ? op : last;
			n++;
		}
		close(p[0]);
		total += n;
		box_open(&box);
		for (op = first; op <= last + UNDER_WAY; op++)
			ck_assert_msg(there(op) || !acked[op],
				      "round %d: operation %u was acknowledged and is lost", round,
				      op);
		box_check(&box);
		box_close(&box);
		first = last + UNDER_WAY + 1;
		ck_assert_uint_lt(first + 1000, BS_LEN(acked));
	}
	ck_assert_uint_gt(total, ROUNDS);
	box_fini(&box);
}
END_TEST

/* The very first start, killed: the next one makes a registry all the same. */
START_TEST(killed_while_it_is_made)
{
	uint32_t seed = 99;
	int round;

	for (round = 0; round < 25; round++) {
		uint32_t spin = box_random(&seed) % 400000;
		volatile uint32_t i;
		pid_t pid;

		box_init(&box);
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			_exit(box_try_open(&box));
		}
		for (i = 0; i < spin; i++)
			continue;
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		box_open(&box);
		ck_assert_int_eq(box_add(&box, "a", 1, NULL).status, BS_OK);
		box_check(&box);
		box_fini(&box);
	}
}
END_TEST

Suite *bs_suite_kill(void)
{
	Suite *s = suite_create("kill");
	TCase *t = tcase_create("kill");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, killed_at_random);
	tcase_add_test(t, killed_while_it_is_made);
	suite_add_tcase(s, t);
	return s;
}
