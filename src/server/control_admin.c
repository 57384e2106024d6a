/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running server: status, counters, conf, log level, stop.  Everything here is read from
 * atomics or from this thread's own values, so that an operator gets an answer while the workers
 * are under a storm.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "basestation/version.h"
#include "conf/conf.h"
#include "log/log.h"
#include "server/control_job.h"
#include "server/counters.h"

/* Room for the Prometheus text; cut text is refused, not sent. */
#define METRICS_MAX (128u * 1024u)

/* ---- status */

static json_t *limit_json(uint64_t used, uint64_t max)
{
	return json_pack("{s:I,s:I,s:f}", "used", (json_int_t)used, "max", (json_int_t)max,
			 "percent", max ? 100.0 * (double)used / (double)max : 0.0);
}

/* Open descriptors of this process against its limit; null where /proc does not tell. */
static json_t *descriptors_json(void)
{
	struct rlimit rl;
	DIR *dir = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!dir)
		return json_null();
	while (readdir(dir))
		n++;
	closedir(dir);
	/* ".", ".." and the folder itself. */
	n = n > 3 ? n - 3 : 0;
	if (getrlimit(RLIMIT_NOFILE, &rl) != 0)
		return json_null();
	return limit_json(n, rl.rlim_cur);
}

static json_t *database_limit(struct bs_control *c, const struct bs_registry_stat *st)
{
	(void)c;
	return limit_json(st->used_bytes, st->map_bytes);
}

/* Every worker's loop has turned: each socket is served. */
static bool is_ready(const struct bs_server *s, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct bs_counters *w = bs_server_worker_counters(s, i);

		if (!w || bs_count_get(w, BS_C_loop_turns) == 0)
			return false;
	}
	return n > 0;
}

static void run_status(struct bs_control_job *j)
{
	struct bs_control *c = j->control;
	struct bs_registry_reader *r = bs__control_reader(j);
	const struct bs_conf *conf = c->env.conf(c->env.ctx);
	uint64_t v[BS_COUNTER_N];
	struct bs_registry_stat st;
	struct bs_server_info info;
	json_t *more;
	json_t *o;
	int err;

	if (!r)
		return;
	err = bs_registry_stat(r, &st);
	if (err != BS_OK) {
		bs__control_fail_err(j, err, "database", NULL);
		return;
	}
	bs_server_info(c->env.server, &info);
	bs_server_counters(c->env.server, v);
	o = json_pack("{s:s,s:i,s:b,s:b,s:I,s:I,s:i,s:b,s:i,s:i,s:i,s:i,s:s*,s:s}", "version",
		      BS_VERSION, "pid", (int)getpid(), "draining", info.draining, "ready",
		      is_ready(c->env.server, info.n_workers), "started",
		      (json_int_t)(info.started_ms / 1000), "uptime_s",
		      (json_int_t)time(NULL) - (json_int_t)(info.started_ms / 1000), "workers",
		      (int)info.n_workers, "steering", info.steering, "controller_port",
		      (int)info.controller_port, "attach_port", (int)info.attach_port,
		      "client_port", (int)info.client_port, "gateway_port", (int)info.gateway_port,
		      "control_socket", conf->control_socket, "log_level",
		      bs_log_level_name(bs_log_level()));
	more = json_pack("{s:I,s:I,s:I,s:I,s:{s:I,s:I,s:I,s:I,s:I,s:i}}", "devices_attached",
			 (json_int_t)v[BS_C_devices_attached], "devices_unreachable",
			 (json_int_t)v[BS_C_devices_unreachable], "sessions",
			 (json_int_t)v[BS_C_gate_sessions], "connections",
			 (json_int_t)v[BS_C_connections_live], "registry", "devices",
			 (json_int_t)st.devices, "clients", (json_int_t)st.clients, "rules",
			 (json_int_t)st.rules, "cas", (json_int_t)st.cas, "revocations",
			 (json_int_t)st.revocations, "schema", (int)st.schema);
	if (o && more)
		(void)json_object_update_missing(o, more);
	json_decref(more);
	if (o)
		json_object_set_new(
			o, "limits",
			json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "devices",
				  limit_json(v[BS_C_devices_attached], info.max_devices), "clients",
				  limit_json(v[BS_C_gate_sessions], conf->max_clients),
				  "connections",
				  limit_json(v[BS_C_connections_live], conf->max_connections),
				  "pending",
				  limit_json(v[BS_C_pending_entries],
					     (uint64_t)conf->pending_entries * info.n_workers),
				  "database", database_limit(c, &st), "descriptors",
				  descriptors_json()));
	bs__control_finish(j, o, NULL);
}

/* ---- stats */

#define STORE_ITEM(name, unit, help)                                                               \
 bs__control_item(j, counter_json("store_" #name, "counter", unit, help, s.name));
#define LOG_ITEM(name, help)                                                                       \
 bs__control_item(j, counter_json("log_" #name, "counter", "lines", help, l.name));

static json_t *counter_json(const char *name, const char *kind, const char *unit, const char *help,
			    uint64_t value)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:I}", "name", name, "kind", kind, "unit", unit, "help",
			 help, "value", (json_int_t)value);
}

static void other_items(struct bs_control_job *j)
{
	struct bs_store_counters s;
	struct bs_log_counters l;

	bs_log_get_counters(&l);
	LOG_ITEM(written, "lines handed to the sink")
	LOG_ITEM(dropped, "lines lost in full rings")
	LOG_ITEM(failed, "lines that the sink did not take")
	LOG_ITEM(suppressed, "lines held back by limiters")
	if (!j->control->env.store)
		return;
	s = bs_store_counters_get(j->control->env.store);
	BS_STORE_COUNTERS(STORE_ITEM)
}

static void run_prometheus(struct bs_control_job *j)
{
	const struct bs_server *server = j->control->env.server;
	const struct bs_counters **all;
	struct bs_server_info info;
	char *text = malloc(METRICS_MAX);
	size_t len = METRICS_MAX;
	unsigned i;

	bs_server_info(server, &info);
	all = calloc(info.n_workers ? info.n_workers : 1, sizeof(*all));
	if (text && all) {
		for (i = 0; i < info.n_workers; i++)
			all[i] = bs_server_worker_counters(server, i);
		len = bs_counters_text(all, info.n_workers, text, METRICS_MAX);
	}
	if (len < METRICS_MAX)
		bs__control_finish(j, json_pack("{s:s}", "text", text), NULL);
	else
		bs__control_fail(j, BS_CTL_FAILED, "stats", NULL, "no memory for the text");
	free(all);
	free(text);
}

static void run_stats(struct bs_control_job *j)
{
	uint64_t v[BS_COUNTER_N];
	int i;

	if (bs__control_flag(j, "prometheus")) {
		run_prometheus(j);
		return;
	}
	bs_server_counters(j->control->env.server, v);
	for (i = 0; i < BS_COUNTER_N; i++) {
		const struct bs_counter_info *c = &bs_counter_table[i];

		bs__control_item(j, counter_json(c->name,
						 c->kind == BS_COUNTER_gauge ? "gauge" : "counter",
						 c->unit, c->help, v[i]));
	}
	other_items(j);
	bs__control_finish(j, NULL, NULL);
}

/* ---- conf, log, stop */

static void run_conf_show(struct bs_control_job *j)
{
	char *text = bs_conf_print_json(j->control->env.conf(j->control->env.ctx));
	json_t *o = text ? json_loads(text, 0, NULL) : NULL;

	free(text);
	if (o)
		bs__control_finish(j, o, NULL);
	else
		bs__control_fail_err(j, BS_ENOMEM, NULL, NULL);
}

static void note_key(void *arg, const char *key, const char *how)
{
	struct bs_control_job *j = arg;

	j->step++;
	bs__control_item(arg, json_pack("{s:s,s:s}", "key", key, "change", how));
}

static void run_conf_reload(struct bs_control_job *j)
{
	struct bs_control *c = j->control;
	char text[BS_CONF_ERROR_MAX] = "";
	int err;

	if (j->dry_run) {
		bs__control_fail(j, BS_CTL_USAGE, NULL, "use conf check",
				 "a reload has no dry run of its own");
		return;
	}
	err = c->env.reload(c->env.ctx, note_key, j, text, sizeof(text));
	if (err != BS_OK)
		bs__control_fail(j, bs_ctl_status_from_err(err), NULL,
				 "the old conf stays in force", "%s",
				 text[0] ? text : bs_strerror(err));
	else
		bs__control_finish(j, json_pack("{s:I}", "keys_changed", (json_int_t)j->step),
				   NULL);
}

static void run_log_level(struct bs_control_job *j)
{
	const char *name = bs__control_text(j, "level");
	const char *before = bs_log_level_name(bs_log_level());
	enum bs_log_level level = bs_log_level();

	if (name && bs_log_level_parse(name, &level) != BS_OK) {
		bs__control_fail(j, BS_CTL_USAGE, name, NULL, "not a log level");
		return;
	}
	if (name && !j->dry_run)
		bs_log_set_level(level);
	bs__control_finish(
		j, json_pack("{s:s,s:s}", "level", bs_log_level_name(level), "before", before),
		NULL);
}

static void run_stop(struct bs_control_job *j)
{
	struct bs_control *c = j->control;
	bool dry = j->dry_run;

	bs__control_finish(j, json_pack("{s:i}", "pid", (int)getpid()), NULL);
	if (!dry)
		c->env.stop(c->env.ctx);
}

/* ---- upgrade */

static void upgraded(void *arg, int err, const char *text, long pid)
{
	struct bs_control_job *j = arg;

	if (err == BS_OK)
		bs__control_finish(j, json_pack("{s:I}", "pid", (json_int_t)pid), NULL);
	else
		bs__control_fail(j, BS_CTL_FAILED, NULL, "the old process goes on", "%s", text);
}

static void run_upgrade(struct bs_control_job *j)
{
	struct bs_control *c = j->control;
	char text[BS_CONF_ERROR_MAX] = "";
	int err;

	if (j->dry_run) {
		bs__control_fail(j, BS_CTL_USAGE, NULL, "run the new basestationd with -t",
				 "an upgrade has no dry run of its own");
		return;
	}
	err = c->env.upgrade(c->env.ctx, upgraded, j, text, sizeof(text));
	if (err != BS_OK)
		bs__control_fail(j, bs_ctl_status_from_err(err), NULL, "the old process goes on",
				 "%s", text);
}

const struct bs_control_row bs__control_admin[] = {
	{ "status", run_status },       { "stats", run_stats },
	{ "conf show", run_conf_show }, { "conf reload", run_conf_reload },
	{ "log level", run_log_level }, { "stop", run_stop },
	{ "upgrade", run_upgrade },     { NULL, NULL },
};
