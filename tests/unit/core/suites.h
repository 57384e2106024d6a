/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of test-core, one line each: BS_SUITE(name) runs bs_suite_<name>() from
 * test_<name>.c.  No include guard: main.c includes it twice. */
BS_SUITE(cursor)
BS_SUITE(endpoint)
BS_SUITE(endpoint_text)
BS_SUITE(error)
BS_SUITE(packet)
BS_SUITE(payload)
BS_SUITE(secret)
BS_SUITE(keys)
BS_SUITE(hex)
BS_SUITE(siphash)
BS_SUITE(window)
BS_SUITE(small)
BS_SUITE(small_aes)
BS_SUITE(small_sha256)
BS_SUITE(openssl)
BS_SUITE(device)
