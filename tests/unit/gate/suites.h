/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of test-gate, one line each: BS_SUITE(name) runs bs_suite_<name>() from
 * test_<name>.c.  No include guard: main.c includes it twice. */
BS_SUITE(tls)
BS_SUITE(tls_peer)
BS_SUITE(tls_pem)
BS_SUITE(tls_ticket)
BS_SUITE(tcp)
BS_SUITE(gate)
BS_SUITE(gate_map)
BS_SUITE(gate_request)
BS_SUITE(gate_client)
BS_SUITE(gate_connect)
BS_SUITE(gate_probe)
BS_SUITE(gate_query)
BS_SUITE(gate_revoke)
BS_SUITE(gate_session)
BS_SUITE(gate_shared)
BS_SUITE(presence)
