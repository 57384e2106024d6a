/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of devices: STATS, which nobody has to believe, and pushes, which are authentic. */
#include "rig.h"

#include "crypto/openssl.h"
#include "crypto/suite.h"
#include "util/cursor.h"
#include "wire/push.h"
#include "wire/stats.h"

static struct rig rig;
static struct rig_device *dev;

static void setup(void)
{
	struct rig_options o = { .workers = 1 };

	rig_init(&rig, &o);
	dev = rig_device(&rig, "cam1.base.test", 1, 0);
	rig_start(dev);
	rig_until_count(&rig, BS_C_alive_answered, 1);
}

static void teardown(void)
{
	rig_fini(&rig);
}

/* A push whose MAC is right is answered once per copy; a wrong one never. */
START_TEST(test_push)
{
	const struct bs_key_block *key = (const void *)rig_c_key(dev);
	struct bs_openssl *o = bs_openssl_new();
	struct bs_push push = { .nsi = rig_nsi(dev), .number = 0, .service = 1 };
	struct bs_slice body = { (const uint8_t *)"\x4d\0\0\6\1\1", 6 };
	uint8_t buf[256];
	struct bs_writer w;
	bs_ssize len;

	bs_push_begin(&w, buf, sizeof(buf), &push);
	len = bs_suite_aes_cbc.seal(bs_openssl_crypto(o), key, BS_RESPONDER, &w, BS_PLF_LIST, body);
	ck_assert_int_gt(len, 0);
	rig_send(dev, buf, (size_t)len, false);
	rig_until_count(&rig, BS_C_push_answered, 1);
	rig_send(dev, buf, (size_t)len, false);
	rig_until_count(&rig, BS_C_push_answered, 2);
	ck_assert_uint_eq(rig_count(&rig, BS_C_push_duplicate), 1);
	buf[len - 1] ^= 1;
	rig_send(dev, buf, (size_t)len, false);
	rig_until_count(&rig, BS_C_drop_mac, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_push_answered), 2);
	bs_openssl_free(o);
}
END_TEST

/* Of another attachment, from another address, before the attach: nobody is answered. */
START_TEST(test_push_of_strangers)
{
	struct rig_device *other = rig_stranger(&rig, "x.base.test", 1, 0);
	uint8_t p[97] = { 0 };

	p[8] = BS_TYPE_U_PUSH;
	p[9] = 2;
	bs_put_u16(p + 14, 16);
	bs_put_u32(p + 4, rig_nsi(dev));
	rig_rebind(other);
	other->controller = dev->controller;
	other->controller.port = rig.info.attach_port;
	rig_send(other, p, 16, true);
	rig_until_count(&rig, BS_C_drop_source, 1);
	bs_put_u32(p + 4, rig_nsi(dev) ^ 1);
	rig_send(dev, p, 16, false);
	rig_until_count(&rig, BS_C_drop_unknown_nsi, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_push_received), 0);
}
END_TEST

static void send_attach_stats(uint8_t status, bool to_controller)
{
	struct bs_stats m;
	uint8_t buf[256];
	bs_ssize n;

	memset(&m, 0, sizeof(m));
	m.event = BS_STATS_ATTACH_FAIL;
	m.version.kind = BS_VERSION_DEVICE;
	m.id = (struct bs_slice){ (const uint8_t *)"cam1.base.test", 14 };
	m.has_attach = true;
	m.attach_status = status;
	m.attach_secure = true;
	n = bs_stats_encode(buf, sizeof(buf), &m);
	ck_assert_int_gt(n, 0);
	rig_send(dev, buf, (size_t)n, to_controller);
}

START_TEST(test_attach_failures_are_counted)
{
	send_attach_stats(BS_ATTACH_MAC, true);
	rig_until_count(&rig, BS_C_attach_failed_key, 1);
	send_attach_stats(BS_ATTACH_NO_ALIVE, true);
	rig_until_count(&rig, BS_C_attach_failed_stats, 2);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_failed_key), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_stats_received), 2);
}
END_TEST

/* Nobody can end a stranger's connection with a report. */
START_TEST(test_forged_close)
{
	struct rig_device *other = rig_stranger(&rig, "x.base.test", 1, 0);
	struct bs_stats m;
	uint8_t buf[256];
	bs_ssize n;
	uint32_t nsi;

	rig_connect(&rig, 0, dev->number, 1, 1);
	nsi = rig_result(&rig, 0).u.result.nsi;
	memset(&m, 0, sizeof(m));
	m.nsi = nsi;
	m.event = BS_STATS_CLOSE;
	m.version.kind = BS_VERSION_DEVICE;
	m.id = (struct bs_slice){ (const uint8_t *)"cam1.base.test", 14 };
	n = bs_stats_encode(buf, sizeof(buf), &m);
	ck_assert_int_gt(n, 0);
	rig_rebind(other);
	other->controller = dev->controller;
	other->controller.port = rig.info.attach_port;
	rig_send(other, buf, (size_t)n, true);
	rig_until_count(&rig, BS_C_stats_unmatched, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connections_live), 1);
	rig_send(dev, buf, (size_t)n, false);
	rig_until_count(&rig, BS_C_connections_closed, 1);
}
END_TEST

Suite *bs_suite_role_report(void)
{
	Suite *s = suite_create("role_report");
	TCase *t = tcase_create("role_report");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_push);
	tcase_add_test(t, test_push_of_strangers);
	tcase_add_test(t, test_attach_failures_are_counted);
	tcase_add_test(t, test_forged_close);
	suite_add_tcase(s, t);
	return s;
}
