/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of test-store, one line each: BS_SUITE(name) runs bs_suite_<name>() from
 * test_<name>.c.  No include guard: main.c includes it twice. */
BS_SUITE(names)
BS_SUITE(record)
BS_SUITE(seal)
BS_SUITE(registry)
BS_SUITE(migrate)
BS_SUITE(access)
BS_SUITE(writer)
BS_SUITE(device)
BS_SUITE(client)
BS_SUITE(reader)
BS_SUITE(import)
BS_SUITE(backup)
