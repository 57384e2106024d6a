/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of test-netbox, as in tests/unit.  No include guard: main.c includes it twice. */
BS_SUITE(nat_model)
BS_SUITE(link_model)
BS_SUITE(ip_packet)
