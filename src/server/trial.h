/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.h - try what a start would do, without doing it: for `basestationd -t` and before a start.
 *
 * Owner thread: main.
 */
#ifndef BS_SERVER_TRIAL_H
#define BS_SERVER_TRIAL_H

#include "server/limits.h"

/** Certificates nearer to their end than this are worth a notice. */
#define BS_TRIAL_EXPIRY_DAYS 14

/**
 * The client gate's files: readable, well formed, keys that belong to their certificates, not
 * expired.  BS_OK, also without a gate; else the code of the first fault, after one report.
 */
int bs_trial_certificates(const struct bs_conf *conf, uint64_t unix_s, bs_limits_report_fn fn,
			  void *arg) BS_MUSTCHECK;
/** Every port: free and permitted.  BS_OK or the code of the first fault, after one report each. */
int bs_trial_ports(const struct bs_conf *conf, bs_limits_report_fn fn, void *arg) BS_MUSTCHECK;
/** The registry: there and readable with this key, or its folder can be made. */
int bs_trial_registry(const struct bs_conf *conf, bs_limits_report_fn fn, void *arg) BS_MUSTCHECK;
/** Random numbers: BS_OK or BS_ERANDOM after one report. */
int bs_trial_random(bs_limits_report_fn fn, void *arg) BS_MUSTCHECK;

/**
 * All of it, limits included.  Where a server answers on the control socket, its ports are not
 * tried.  Returns BS_OK or the code of the first fault.
 */
int bs_trial(const struct bs_conf *conf, bs_limits_report_fn fn, void *arg) BS_MUSTCHECK;

#endif
