/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/payload.h"

#include "support.h"
#include "util/endpoint.h"

static uint8_t buf[512];
static struct bs_writer w;
static struct bs_packet packet;

static void start(void)
{
	struct bs_header h;

	memset(&h, 0, sizeof(h));
	bs_packet_begin(&w, buf, sizeof(buf), &h);
}

/* Finish and give the first payload, which must have len bytes with its header. */
static struct bs_payload done(size_t len)
{
	struct bs_payload pl = { 0, 0, 0, NULL };
	size_t off = 0;
	bs_ssize n = bs_packet_finish(&w);

	ck_assert_int_eq(n, (int)(16 + len));
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &packet), BS_OK);
	ck_assert(bs_payload_next(&packet, &off, &pl));
	return pl;
}

static void fill_ipx(struct bs_ipx *ipx)
{
	memset(ipx, 0, sizeof(*ipx));
	bs_endpoint_set_ip4(&ipx->priv, 0x0A000001u, 4000);
	bs_endpoint_set_ip4(&ipx->global, 0xC0000201u, 4001);
	ipx->flags = BS_IPX_ASYNC | BS_IPX_NAT_SYMMETRIC;
	ipx->nsi_sp = 0x11223344u;
	memcpy(ipx->nsi_co, "12345678", 8);
	ipx->nsi_cp = 0x55667788u;
}

START_TEST(ipx_in_its_three_forms)
{
	static const size_t lens[] = { 17, 21, 33 };
	struct bs_ipx out;
	struct bs_ipx in;
	struct bs_payload pl;

	fill_ipx(&in);
	in.has_nsi = _i > 0;
	in.has_full = _i > 1;
	start();
	bs_ipx_put(&w, &in);
	pl = done(lens[_i]);
	ck_assert_int_eq(bs_ipx_get(&pl, &out), BS_OK);
	ck_assert(bs_endpoint_equal(&in.priv, &out.priv));
	ck_assert(bs_endpoint_equal(&in.global, &out.global));
	ck_assert_uint_eq(out.flags, in.flags);
	ck_assert(out.has_nsi == in.has_nsi && out.has_full == in.has_full);
	ck_assert_uint_eq(out.nsi_sp, in.has_nsi ? in.nsi_sp : 0);
	ck_assert_uint_eq(out.nsi_cp, in.has_full ? in.nsi_cp : 0);
	ck_assert_uint_eq(out.nsi_co[7], in.has_full ? '8' : 0);
}
END_TEST

START_TEST(ipx_of_every_length)
{
	uint8_t data[40];
	struct bs_payload pl = { BS_PL_IPX, 0, 0, NULL };
	struct bs_ipx ipx;
	uint16_t len;

	memset(data, 1, sizeof(data));
	for (len = 0; len <= sizeof(data); len++) {
		uint8_t *copy = bs_test_copy(data, len);

		pl.len = len;
		pl.data = copy;
		ck_assert_int_eq(bs_ipx_get(&pl, &ipx), len < 13 ? BS_ESHORT : BS_OK);
		if (len >= 13) {
			ck_assert(ipx.has_nsi == (len >= 17));
			ck_assert(ipx.has_full == (len >= 29));
		}
		free(copy);
	}
}
END_TEST

static struct bs_endpoint some_ip6(void)
{
	static const uint8_t ip[16] = { 0x20, 0x01, 0x0D, 0xB8, 1, 2,  3,  4,
					5,    6,    7,    8,    9, 10, 11, 12 };
	struct bs_endpoint ep = { .port = 5566 };

	memcpy(ep.ip, ip + 16 - BS_IP_LEN, BS_IP_LEN);
	return ep;
}

START_TEST(ip6_has_no_place_in_ipx_and_ep)
{
	static const uint8_t zero[6] = { 0 };
	struct bs_endpoint ip6 = some_ip6();
	struct bs_payload pl;
	struct bs_ipx ipx;

	if (BS_IP_LEN < 16)
		return;
	fill_ipx(&ipx);
	ipx.global = ip6;
	start();
	bs_ipx_put(&w, &ipx);
	pl = done(17);
	ck_assert_mem_eq(pl.data + 6, zero, 6);
	start();
	bs_ep_put(&w, &ip6);
	pl = done(10);
	ck_assert_mem_eq(pl.data, zero, 6);
}
END_TEST

START_TEST(ep6_carries_both_families)
{
	struct bs_ep6 in = { some_ip6(), BS_EP6_RELAY, 77 };
	struct bs_payload pl;
	struct bs_ep6 out;
	int i;

	for (i = BS_IP_LEN < 16; i < 2; i++) {
		if (i)
			bs_endpoint_set_ip4(&in.ep, 0xC0000201u, 9);
		start();
		bs_ep6_put(&w, &in);
		pl = done(24);
		ck_assert_uint_eq(pl.flags, BS_PLF_OPTIONAL);
		ck_assert_int_eq(bs_ep6_get(&pl, &out), BS_OK);
		ck_assert(bs_endpoint_equal(&in.ep, &out.ep));
		ck_assert_uint_eq(out.kind, BS_EP6_RELAY);
		ck_assert_uint_eq(out.priority, 77);
	}
	ck_assert_mem_eq(pl.data, "\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC0\0\2\1\0\x09", 18);
	pl.len--;
	ck_assert_int_eq(bs_ep6_get(&pl, &out), BS_ESHORT);
	pl.len += 2;
	ck_assert_int_eq(bs_ep6_get(&pl, &out), BS_EFIELD);
}
END_TEST

START_TEST(ep6_only_where_ep_does_not_do)
{
	struct bs_endpoint ep;
	struct bs_ep6 out[3];

	memset(&ep, 0, sizeof(ep));
	start();
	bs_ep6_put_if_needed(&w, &ep, BS_EP6_HOST);
	bs_endpoint_set_ip4(&ep, 1, 1);
	bs_ep6_put_if_needed(&w, &ep, BS_EP6_HOST);
	ck_assert_uint_eq(w.len, 16);
	if (BS_IP_LEN < 16)
		return;
	ep = some_ip6();
	bs_ep6_put_if_needed(&w, &ep, BS_EP6_HOST);
	bs_ep6_put_if_needed(&w, &ep, BS_EP6_OBSERVED);
	bs_ep6_put_if_needed(&w, &ep, BS_EP6_HOST);
	done(72);
	ck_assert_uint_eq(bs_ep6_collect(&packet, 0, out, 3), 3);
	ck_assert_uint_eq(bs_ep6_collect(&packet, BS_EP6_HOST, out, 3), 2);
	ck_assert_uint_eq(bs_ep6_collect(&packet, BS_EP6_OBSERVED, out, 3), 1);
	ck_assert(bs_endpoint_equal(&out[0].ep, &ep));
	ck_assert_uint_eq(bs_ep6_collect(&packet, 0, out, 2), 2);
	ck_assert_uint_eq(bs_ep6_collect(&packet, BS_EP6_SERVER, out, 3), 0);
}
END_TEST

START_TEST(ep_has_exactly_six_bytes)
{
	struct bs_endpoint in;
	struct bs_endpoint out;
	struct bs_payload pl;

	bs_endpoint_set_ip4(&in, 0x7F000001u, 0xABCD);
	start();
	bs_ep_put(&w, &in);
	pl = done(10);
	ck_assert_int_eq(bs_ep_get(&pl, &out), BS_OK);
	ck_assert(bs_endpoint_equal(&in, &out));
	pl.len = 5;
	ck_assert_int_eq(bs_ep_get(&pl, &out), BS_ESHORT);
	pl.len = 7;
	ck_assert_int_eq(bs_ep_get(&pl, &out), BS_EFIELD);
}
END_TEST

START_TEST(version_with_and_without_patch)
{
	struct bs_version in = { BS_VERSION_DEVICE, 4, 6, true, 9, { (const uint8_t *)"-x", 2 } };
	struct bs_version out;
	struct bs_payload pl;
	uint16_t len;

	start();
	bs_version_put(&w, &in);
	pl = done(20);
	ck_assert_int_eq(bs_version_get(&pl, &out), BS_OK);
	ck_assert(out.kind == 5 && out.major == 4 && out.minor == 6 && out.has_patch);
	ck_assert_uint_eq(out.patch, 9);
	ck_assert_uint_eq(out.label.len, 2);
	ck_assert_mem_eq(out.label.ptr, "-x", 2);
	for (len = 0; len < 16; len++) {
		pl.len = len;
		ck_assert_int_eq(bs_version_get(&pl, &out), len < 10 ? BS_ESHORT : BS_OK);
		if (len >= 10)
			ck_assert(out.has_patch == (len >= 14));
	}
	in.has_patch = false;
	start();
	bs_version_put(&w, &in);
	done(14);
}
END_TEST

START_TEST(caps_with_and_without_suites)
{
	struct bs_caps in = { 0x838, 0xB3C, true, 1, BS_SUITE_AES_CBC };
	struct bs_caps out;
	struct bs_payload pl;
	uint8_t two[] = { 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 2, 0x12, 0x34, 0x56, 0x78 };

	start();
	bs_caps_put(&w, &in);
	pl = done(17);
	ck_assert_int_eq(bs_caps_get(&pl, &out), BS_OK);
	ck_assert(out.bits == 0x838 && out.mask == 0xB3C && out.has_suites);
	ck_assert(out.n_suites == 1 && out.suite == BS_SUITE_AES_CBC);
	pl.len = 9;
	ck_assert_int_eq(bs_caps_get(&pl, &out), BS_OK);
	ck_assert(!out.has_suites && !out.n_suites && !out.suite);
	pl.len = 8;
	ck_assert_int_eq(bs_caps_get(&pl, &out), BS_ESHORT);
	pl.len = 12;
	ck_assert_int_eq(bs_caps_get(&pl, &out), BS_ESHORT);
	pl.len = sizeof(two);
	pl.data = two;
	ck_assert_int_eq(bs_caps_get(&pl, &out), BS_OK);
	ck_assert(out.n_suites == 2 && out.suite == 0x1234);
	two[9] = 0x80;
	ck_assert_int_eq(bs_caps_get(&pl, &out), BS_ESHORT);
	in.has_suites = false;
	start();
	bs_caps_put(&w, &in);
	done(13);
}
END_TEST

START_TEST(notify_with_and_without_nsi)
{
	struct bs_notify in = { BS_ST_BUSY, true, 20481 };
	struct bs_notify out;
	struct bs_payload pl;

	start();
	bs_notify_put(&w, &in);
	pl = done(12);
	ck_assert_int_eq(bs_notify_get(&pl, &out), BS_OK);
	ck_assert(out.code == 0x8009 && out.has_nsi && out.nsi == 20481);
	pl.len = 7;
	ck_assert_int_eq(bs_notify_get(&pl, &out), BS_OK);
	ck_assert(!out.has_nsi && !out.nsi);
	pl.len = 3;
	ck_assert_int_eq(bs_notify_get(&pl, &out), BS_ESHORT);
	start();
	bs_notify_ok_put(&w);
	pl = done(8);
	ck_assert_mem_eq(pl.data, "\0\0\0\1", 4);
}
END_TEST

START_TEST(kind_and_text)
{
	struct bs_slice text = bs_test_text("cam1");
	struct bs_payload pl;
	uint8_t kind = 0;

	start();
	bs_kind_text_put(&w, BS_PL_SP_ID, 0, BS_ID_HOST, text);
	pl = done(9);
	ck_assert_int_eq(bs_kind_text_get(&pl, &kind, &text), BS_OK);
	ck_assert_uint_eq(kind, 2);
	ck_assert_uint_eq(text.len, 4);
	ck_assert_mem_eq(text.ptr, "cam1", 4);
	pl.len = 1;
	ck_assert_int_eq(bs_kind_text_get(&pl, &kind, &text), BS_EFIELD);
	pl.len = 0;
	ck_assert_int_eq(bs_kind_text_get(&pl, &kind, &text), BS_ESHORT);
}
END_TEST

START_TEST(ext_with_and_without_the_offer)
{
	struct bs_ext_offer in = { BS_EXT_CLOSE, true, BS_EXT_CLOSE | BS_EXT_IP6 };
	struct bs_ext_offer out;
	struct bs_payload pl;
	uint8_t v2[] = { 0, 2, 0, 0, 0, 1 };

	start();
	bs_ext_put(&w, &in);
	pl = done(14);
	ck_assert_int_eq(bs_ext_get(&pl, &out), BS_OK);
	ck_assert(out.bits == 0x40 && out.has_offered && out.offered == 0x41);
	pl.len = 9;
	ck_assert_int_eq(bs_ext_get(&pl, &out), BS_OK);
	ck_assert(!out.has_offered && !out.offered);
	pl.len = 5;
	ck_assert_int_eq(bs_ext_get(&pl, &out), BS_ESHORT);
	pl.len = sizeof(v2);
	pl.data = v2;
	ck_assert_int_eq(bs_ext_get(&pl, &out), BS_EFIELD);
	in.has_offered = false;
	start();
	bs_ext_put(&w, &in);
	done(10);
}
END_TEST

START_TEST(interval)
{
	start();
	bs_interval_put(&w, 0);
	ck_assert_uint_eq(w.len, 16);
	bs_interval_put(&w, 300);
	done(6);
	ck_assert_uint_eq(bs_interval_find(&packet), 300);
	start();
	bs_packet_add(&w, BS_PL_INTERVAL, 0, "\0\0\1", 3);
	done(7);
	ck_assert_uint_eq(bs_interval_find(&packet), 0);
	start();
	bs_notify_ok_put(&w);
	done(8);
	ck_assert_uint_eq(bs_interval_find(&packet), 0);
}
END_TEST

START_TEST(the_last_payload)
{
	size_t off = 99;

	start();
	bs_notify_ok_put(&w);
	bs_packet_add(&w, BS_PL_CRYPTO, 0, "x", 1);
	done(13);
	ck_assert_int_eq(bs_payload_last(&packet, BS_PL_NOTIFY, &off), BS_EMISSING);
	ck_assert_uint_eq(off, 99);
	ck_assert_int_eq(bs_payload_last(&packet, BS_PL_CRYPTO, &off), BS_OK);
	ck_assert_uint_eq(off, 24);
	packet.len = packet.list_off;
	ck_assert_int_eq(bs_payload_last(&packet, BS_PL_CRYPTO, &off), BS_EMISSING);
	ck_assert_int_eq(bs_payload_last(&packet, 0, &off), BS_EMISSING);
}
END_TEST

static const struct {
	const char *id;
	bool ok;
} ids[] = {
	{ "a", true },
	{ "cam1.base.test", true },
	{ "0-9.z", true },
	{ "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd", true },
	{ "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddx", false },
	{ "", false },
	{ "Cam", false },
	{ "cam 1", false },
	{ "cam_1", false },
	{ "cam/1", false },
	{ "cam@x", false },
	{ "caf\xC3\xA9", false },
};

START_TEST(device_ids)
{
	ck_assert_int_eq(bs_device_id_ok((const uint8_t *)ids[_i].id, strlen(ids[_i].id)),
			 ids[_i].ok);
	ck_assert(!bs_device_id_ok((const uint8_t *)"a\0b", 3));
}
END_TEST

/* A full writer takes nothing and says so, whichever payload is next. */
START_TEST(nothing_is_half_written)
{
	struct bs_version v = { 5, 1, 2, true, 3, { NULL, 0 } };
	struct bs_caps caps = { 1, 2, true, 1, 3 };
	struct bs_ext_offer ext = { 1, true, 1 };
	struct bs_notify notify = { 1, true, 1 };
	struct bs_ep6 ep6 = { some_ip6(), 1, 1 };
	struct bs_header h;
	struct bs_ipx ipx;
	size_t cap;

	fill_ipx(&ipx);
	memset(&h, 0, sizeof(h));
	for (cap = 0; cap < 16 + 17 + 10 + 24 + 18 + 17 + 12 + 14 + 9 + 6; cap++) {
		uint8_t *exact = bs_test_copy(buf, cap);

		bs_packet_begin(&w, exact, cap, &h);
		bs_ipx_put(&w, &ipx);
		bs_ep_put(&w, &ipx.priv);
		bs_ep6_put(&w, &ep6);
		bs_version_put(&w, &v);
		bs_caps_put(&w, &caps);
		bs_notify_put(&w, &notify);
		bs_ext_put(&w, &ext);
		bs_kind_text_put(&w, BS_PL_SP_ID, 0, 2, bs_test_text("cam1"));
		bs_interval_put(&w, 5);
		ck_assert_int_eq(bs_packet_finish(&w), BS_ETOOBIG);
		free(exact);
	}
}
END_TEST

Suite *bs_suite_payload(void);

Suite *bs_suite_payload(void)
{
	Suite *s = suite_create("payload");
	TCase *tc = tcase_create("payload");

	tcase_add_loop_test(tc, ipx_in_its_three_forms, 0, 3);
	tcase_add_test(tc, ipx_of_every_length);
	tcase_add_test(tc, ip6_has_no_place_in_ipx_and_ep);
	tcase_add_test(tc, ep6_carries_both_families);
	tcase_add_test(tc, ep6_only_where_ep_does_not_do);
	tcase_add_test(tc, ep_has_exactly_six_bytes);
	tcase_add_test(tc, version_with_and_without_patch);
	tcase_add_test(tc, caps_with_and_without_suites);
	tcase_add_test(tc, notify_with_and_without_nsi);
	tcase_add_test(tc, kind_and_text);
	tcase_add_test(tc, ext_with_and_without_the_offer);
	tcase_add_test(tc, interval);
	tcase_add_test(tc, the_last_payload);
	tcase_add_loop_test(tc, device_ids, 0, BS_LEN(ids));
	tcase_add_test(tc, nothing_is_half_written);
	suite_add_tcase(s, tc);
	return s;
}
