/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of test-server, one line each: BS_SUITE(name) runs bs_suite_<name>() from
 * test_<name>.c.  No include guard: main.c includes it twice. */
BS_SUITE(worker)
