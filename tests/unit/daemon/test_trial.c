/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/tcp.h"
#include "pki.h"
#include "store/registry.h"
#include "store/seal.h"
#include "suites.h"
#include "util/endpoint.h"

static bool no_random;

ssize_t __real_getrandom(void *buf, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags);

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned flags)
{
	if (!no_random)
		return __real_getrandom(buf, len, flags);
	errno = EAGAIN;
	return -1;
}

static struct pki *pki;
static char dir[64];
static char found[16][640];
static enum bs_log_level levels[16];
static unsigned n_found;

static void on_finding(void *arg, enum bs_log_level level, const char *text)
{
	(void)arg;
	ck_assert_uint_lt(n_found, 16);
	levels[n_found] = level;
	snprintf(found[n_found++], sizeof(found[0]), "%s", text);
}

static void setup(void)
{
	n_found = 0;
	no_random = false;
	snprintf(dir, sizeof(dir), "/tmp/bs-test-trial-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	char command[100];

	no_random = false;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void make_pki(void)
{
	pki = pki_new();
}

static void free_pki(void)
{
	pki_free(pki);
}

static void put(const char *name, char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void put_heap(const char *name, char *text)
{
	put(name, text);
	free(text);
}

/* A conf whose file lies in dir, so that relative paths begin there. */
static const struct bs_conf *conf_of(const char *text)
{
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/conf", dir);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_msg(bs_conf_load(path, 0, &c, &e) == BS_OK, "%s", e.text);
	return c;
}

#define GATE "server-certificate = s.pem\nserver-key = s.key\nclient-ca = ca.pem\n"

static int certificates(uint64_t now)
{
	const struct bs_conf *c = conf_of(GATE);
	int err = bs_trial_certificates(c, now, on_finding, NULL);

	bs_conf_unref(c);
	return err;
}

static void put_good_pki(void)
{
	put_heap("s.pem", pki_pem_cert(pki->server));
	put_heap("s.key", pki_pem_key(pki->server_key));
	put_heap("ca.pem", pki_pem_cert(pki->ca));
}

static void ck_found(unsigned i, enum bs_log_level level, const char *part)
{
	ck_assert_uint_lt(i, n_found);
	ck_assert_msg(strstr(found[i], part) != NULL, "%s", found[i]);
	ck_assert_int_eq(levels[i], level);
}

START_TEST(good_certificates)
{
	put_good_pki();
	ck_assert_msg(certificates(PKI_NOW) == BS_OK, "%s", found[0]);
	ck_assert_uint_eq(n_found, 0);
}
END_TEST

START_TEST(no_gate_no_certificates)
{
	const struct bs_conf *c = conf_of("");

	ck_assert_int_eq(bs_trial_certificates(c, PKI_NOW, on_finding, NULL), BS_OK);
	ck_assert_uint_eq(n_found, 0);
	bs_conf_unref(c);
}
END_TEST

START_TEST(expired_certificate)
{
	struct pki_opts o = {
		.cn = "s", .dns = "localhost", .from = -10 * PKI_DAY, .to = -PKI_DAY
	};
	X509 *x = pki_issue(pki->server_key, pki->ca, pki->ca_key, &o);
	char want[300];

	put_good_pki();
	put_heap("s.pem", pki_pem_cert(x));
	X509_free(x);
	ck_assert_int_eq(certificates(PKI_NOW), BS_ECONF);
	snprintf(want, sizeof(want),
		 "server-certificate, %s/s.pem has expired on 2026-01-01 03:04 UTC; put a new "
		 "certificate in its place (bsctl ca issue) or check the clock",
		 dir);
	ck_found(0, BS_LOG_ERROR, want);
}
END_TEST

START_TEST(certificate_that_ends_soon)
{
	struct pki_opts o = { .cn = "s", .dns = "localhost", .to = BS_TRIAL_EXPIRY_DAYS * PKI_DAY };
	X509 *x = pki_issue(pki->server_key, pki->ca, pki->ca_key, &o);

	put_good_pki();
	put_heap("s.pem", pki_pem_cert(x));
	X509_free(x);
	ck_assert_int_eq(certificates(PKI_NOW - 1), BS_OK);
	ck_assert_uint_eq(n_found, 0);
	ck_assert_int_eq(certificates(PKI_NOW), BS_OK);
	ck_found(0, BS_LOG_NOTICE, "renew it soon");
}
END_TEST

START_TEST(key_of_another_certificate)
{
	put_good_pki();
	put_heap("s.key", pki_pem_key(pki->client_key));
	ck_assert_int_eq(certificates(PKI_NOW), BS_ECONF);
	ck_found(0, BS_LOG_ERROR, "do not belong together");
	ck_found(0, BS_LOG_ERROR, "s.key");
}
END_TEST

START_TEST(files_that_are_missing_or_no_files)
{
	char path[128];

	ck_assert_int_eq(certificates(PKI_NOW), BS_ENOENT);
	ck_assert_uint_eq(n_found, 3); /* each of them is named */
	ck_found(0, BS_LOG_ERROR, "server-certificate, ");
	ck_found(1, BS_LOG_ERROR, "s.key cannot be read (No such file or directory)");
	n_found = 0;
	put_good_pki();
	snprintf(path, sizeof(path), "%s/s.pem", dir);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(certificates(PKI_NOW), BS_ECONF);
	ck_found(0, BS_LOG_ERROR, "is not a certificate file");
	n_found = 0;
	ck_assert_int_eq(rmdir(path), 0);
	put("s.pem", (char[]){ "rubbish\n" });
	ck_assert_int_eq(certificates(PKI_NOW), BS_ECONF);
	ck_assert_uint_eq(n_found, 1);
}
END_TEST

static uint16_t taken_port(int fd)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	return ntohs(sa.sin_port);
}

static int bound(int type)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int fd = socket(AF_INET, type, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	if (type == SOCK_STREAM)
		ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

START_TEST(ports)
{
	int udp = bound(SOCK_DGRAM);
	int tcp = bound(SOCK_STREAM);
	char text[300];
	char want[300];
	const struct bs_conf *c;

	c = conf_of("listen = \"127.0.0.1\"\ncontroller-port = 0\nattach-port = 0\n");
	ck_assert_int_eq(bs_trial_ports(c, on_finding, NULL), BS_OK);
	ck_assert_uint_eq(n_found, 0);
	bs_conf_unref(c);
	snprintf(text, sizeof(text),
		 "listen = \"127.0.0.1\"\ncontroller-port = %u\nattach-port = 0\n"
		 "client-port = %u\ngateway-port = 0\n" GATE,
		 taken_port(udp), taken_port(tcp));
	c = conf_of(text);
	ck_assert_int_eq(bs_trial_ports(c, on_finding, NULL), BS_EBUSY);
	ck_assert_uint_eq(n_found, 2);
	snprintf(want, sizeof(want),
		 "controller-port, 127.0.0.1:%u cannot be bound (in use; stop the other program "
		 "or choose another port)",
		 taken_port(udp));
	ck_assert_str_eq(found[0], want);
	ck_found(1, BS_LOG_ERROR, "client-port, 127.0.0.1:");
	bs_conf_unref(c);
	close(udp);
	close(tcp);
}
END_TEST

START_TEST(address_of_another_machine)
{
	const struct bs_conf *c = conf_of("listen = \"192.0.2.1\"\ncontroller-port = 0\n"
					  "attach-port = 0\n");

	ck_assert_int_eq(bs_trial_ports(c, on_finding, NULL), BS_EUNREACH);
	ck_found(0, BS_LOG_ERROR, "not an address of this machine; correct listen");
	bs_conf_unref(c);
}
END_TEST

START_TEST(registry)
{
	const struct bs_conf *c = conf_of("database = db\nkey-file = key\n"
					  "database-size = 1MiB\n");
	struct bs_registry_conf rc = {
		.dir = c->database, .map_bytes = 1u << 20, .key_file = c->key_file, .write = true
	};
	struct bs_registry *reg;
	struct bs_errtext e;
	char path[128];

	/* neither is there yet: the start makes them */
	ck_assert_int_eq(bs_trial_registry(c, on_finding, NULL), BS_OK);
	ck_assert_int_ne(access(c->database, F_OK), 0);
	ck_assert_int_ne(access(c->key_file, F_OK), 0);
	ck_assert_msg(bs_seal_key_create(c->key_file, &e) == BS_OK, "%s", e.text);
	ck_assert_int_eq(bs_trial_registry(c, on_finding, NULL), BS_OK);
	ck_assert_msg(bs_registry_open(&rc, &reg, &e) == BS_OK, "%s", e.text);
	/* also while a server has it open */
	ck_assert_msg(bs_trial_registry(c, on_finding, NULL) == BS_OK, "%s", found[0]);
	bs_registry_close(reg);
	ck_assert_int_eq(unlink(c->key_file), 0);
	ck_assert_int_eq(bs_trial_registry(c, on_finding, NULL), BS_ENOENT);
	ck_found(0, BS_LOG_ERROR, "key-file, ");
	n_found = 0;
	ck_assert_int_eq(bs_seal_key_create(c->key_file, &e), BS_OK);
	ck_assert_int_eq(bs_trial_registry(c, on_finding, NULL), BS_EAUTH);
	n_found = 0;
	snprintf(path, sizeof(path), "%s/db/data.mdb", dir);
	ck_assert_int_eq(truncate(path, 100), 0);
	ck_assert_int_ne(bs_trial_registry(c, on_finding, NULL), BS_OK);
	ck_assert_uint_eq(n_found, 1);
	bs_conf_unref(c);
}
END_TEST

START_TEST(registry_without_a_place)
{
	const struct bs_conf *c = conf_of("database = gone/away/db\nkey-file = key\n");
	struct bs_errtext e;

	ck_assert_int_eq(bs_seal_key_create(c->key_file, &e), BS_OK);
	ck_assert_int_eq(bs_trial_registry(c, on_finding, NULL), BS_ENOENT);
	ck_found(0, BS_LOG_ERROR, "/gone/away/db cannot be made (");
	bs_conf_unref(c);
}
END_TEST

START_TEST(random_numbers)
{
	ck_assert_int_eq(bs_trial_random(on_finding, NULL), BS_OK);
	no_random = true;
	ck_assert_int_eq(bs_trial_random(on_finding, NULL), BS_ERANDOM);
	ck_assert_str_eq(found[0], "random numbers, the system has none (getrandom: Resource "
				   "temporarily unavailable); wait until it has gathered entropy "
				   "or install rng-tools");
}
END_TEST

START_TEST(everything_at_once)
{
	int udp = bound(SOCK_DGRAM);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const struct bs_conf *c;
	char text[300];
	unsigned errors = 0;
	int fd;

	snprintf(text, sizeof(text),
		 "listen = \"127.0.0.1\"\ncontroller-port = %u\nattach-port = 0\nworkers = 1\n"
		 "client-port = 0\ngateway-port = 0\ndatabase = a/b\ncontrol-socket = ctl\n"
		 "max-devices = 1000\n"
		 "max-clients = 10\nmax-connections = 10\n" GATE,
		 taken_port(udp));
	c = conf_of(text);
	no_random = true;
	/* every fault is told, and the code is that of the first */
	ck_assert_int_eq(bs_trial(c, on_finding, NULL), BS_ERANDOM);
	no_random = false;
	for (unsigned i = 0; i < n_found; i++)
		errors += levels[i] == BS_LOG_ERROR;
	ck_assert_uint_eq(errors, 1 + 3 + 2 + 1);
	/* with a server behind the control socket its ports are no fault */
	memcpy(sa.sun_path, c->control_socket, strlen(c->control_socket) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	n_found = 0;
	ck_assert_int_eq(bs_trial(c, on_finding, NULL), BS_ENOENT);
	for (unsigned i = 0; i < n_found; i++)
		ck_assert_ptr_null(strstr(found[i], "controller-port"));
	ck_assert_ptr_nonnull(strstr(found[n_found - 1], "ports, not tried"));
	close(fd);
	close(udp);
	bs_conf_unref(c);
}
END_TEST

Suite *bs_suite_trial(void)
{
	Suite *s = suite_create("trial");
	TCase *tc = tcase_create("certificates");

	tcase_add_unchecked_fixture(tc, make_pki, free_pki);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, good_certificates);
	tcase_add_test(tc, no_gate_no_certificates);
	tcase_add_test(tc, expired_certificate);
	tcase_add_test(tc, certificate_that_ends_soon);
	tcase_add_test(tc, key_of_another_certificate);
	tcase_add_test(tc, files_that_are_missing_or_no_files);
	suite_add_tcase(s, tc);
	tc = tcase_create("system");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, ports);
	tcase_add_test(tc, address_of_another_machine);
	tcase_add_test(tc, registry);
	tcase_add_test(tc, registry_without_a_place);
	tcase_add_test(tc, random_numbers);
	tcase_add_test(tc, everything_at_once);
	suite_add_tcase(s, tc);
	return s;
}
