/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of test-client, one line each: BS_SUITE(name) runs bs_suite_<name>() from
 * test_<name>.c.  No include guard: main.c includes it twice. */
BS_SUITE(error)
BS_SUITE(backoff)
BS_SUITE(prober)
BS_SUITE(interface)
BS_SUITE(query)
BS_SUITE(machine)
BS_SUITE(request)
BS_SUITE(link)
BS_SUITE(addr)
BS_SUITE(load)
BS_SUITE(cert)
BS_SUITE(tls)
BS_SUITE(sign)
