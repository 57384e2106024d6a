#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""soak - a full server under mixed load for long: memory flat, nobody lost, latency told.

The server is on core 0, bsload on core 1.  Devices keep alive, some go away and come back, some
poll, clients ask for connections, and the conf is reloaded all the while.  It is measured in
windows; the first is the warm-up.  Status 1 when memory grew, an attachment was lost, or a
connection was not given.
"""
import argparse
import json
import sys
import threading

import bench_common as common
import bench_tls

# Own memory of the server in a window may exceed that of the first by so much: tables that are
# filled little by little, and what the allocator keeps.
GROWTH = 1.02
# And in any case by so many bytes, which a small server cannot tell from noise.
GROWTH_BYTES = 1 << 20


class Reloads(threading.Thread):
    """Reload the conf until told to stop."""

    def __init__(self, n, seconds):
        super().__init__(daemon=True)
        self.n, self.seconds, self.done, self.over = n, seconds, 0, threading.Event()

    def run(self):
        while not self.over.wait(self.seconds):
            self.n.bsctl("conf", "reload")
            self.done += 1

    def stop(self):
        self.over.set()
        self.join()


def verdict(windows, counters, devices, growth=GROWTH):
    """What is wrong with the run; an empty list is a good one."""
    bad = []
    memory = [w["server"]["rss_anon_kb"] + w["server"]["rss_shmem_kb"] for w in windows]
    worst = max(memory)
    if worst > memory[0] * growth and (worst - memory[0]) * 1024 > GROWTH_BYTES:
        bad.append(f"memory grew from {memory[0]} to {worst} kB")
    lost = sum(w["counts"]["lost"] for w in windows)
    if lost or counters["alive_timeout"]:
        bad.append(f"{lost} attachments were lost by devices, {counters['alive_timeout']} "
                   "by the server")
    asked = sum(w["clients"]["asked"] for w in windows)
    given = sum(w["clients"]["connected"] for w in windows)
    denied = sum(w["clients"]["denied"] for w in windows)
    unanswered = sum(w["clients"]["unanswered"] for w in windows)
    # A device that is away cannot be reached, and that is said.
    if unanswered or given + denied + 16 < asked:
        bad.append(f"of {asked} connects {given} were given, {denied} refused, {unanswered} not "
                   "answered")
    if sum(w["clients"]["gone"] for w in windows):
        bad.append("the server ended sessions")
    if windows[-1]["attached"] < devices * 0.95:
        bad.append(f"only {windows[-1]['attached']} of {devices} attached at the end")
    return bad


def print_windows(windows):
    print(f"{'window':>6} {'attached':>9} {'req/s':>8} {'CPU %':>6} {'waited':>7} {'own MB':>8} "
          f"{'late p99':>9} {'poll p99':>9} {'connect p99':>12}  ms")
    for i, w in enumerate(windows):
        s = w["server"]
        print(f"{i:6} {w['attached']:9} {w['counts']['requests'] / w['wall_s']:8.0f} "
              f"{100 * s['cpu_s'] / w['wall_s']:6.1f} {s['wait_s']:6.1f}s "
              f"{(s['rss_anon_kb'] + s['rss_shmem_kb']) / 1024:8.1f} "
              f"{w['late']['p99_ns'] / 1e6:9.2f} {w['poll']['p99_ns'] / 1e6:9.2f} "
              f"{w['connect']['p99_ns'] / 1e6:12.2f}"
              + (f"  [generator: {w['bottleneck']}]" if w.get("bottleneck") else ""))


def soak(a):
    n = common.node(a.devices, f"{round(a.interval * 1000)}ms", max_clients=1000,
                    max_connections=10000, **({"state_file": a.state_file} if a.state_file else {}))
    cert = n.client("soak@example.test")
    n.allow()
    reloads = Reloads(n, a.reload)
    reloads.start()
    churn = a.devices / 20000 + 1
    r = common.load(n, "soak", "--devices", a.devices, "--interval", a.interval, "--rate", a.rate,
                    "--churn", churn, "--away", a.interval, "--polls", min(200, a.devices / 10),
                    "--connects", a.connects, "--seconds", a.seconds, "--repeat", a.windows,
                    *bench_tls.gate_options(n, cert),
                    seconds=600 + a.devices / a.rate + 2 * a.windows * a.seconds)
    reloads.stop()
    counters = {k: n.stat(k) for k in ("alive_timeout", "alive_repeated", "alive_unreachable")}
    n.stop()
    r["reloads"], r["server_counters"] = reloads.done, counters
    return r


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--hour", action="store_true", help="60 windows of a minute instead of 5")
    p.add_argument("--devices", type=int, default=1000000)
    p.add_argument("--interval", type=float, default=10, help="keepalive interval, seconds")
    p.add_argument("--rate", type=float, default=10000, help="attaches a second at the start")
    p.add_argument("--windows", type=int, default=5)
    p.add_argument("--seconds", type=float, default=60, help="of a window")
    p.add_argument("--reload", type=float, default=10, help="seconds between reloads")
    p.add_argument("--connects", type=float, default=1, help="a second")
    p.add_argument("--growth", type=float, default=GROWTH,
                   help="memory of a window over that of the first that is still flat; a run of "
                        "seconds or a build with sanitizers needs more")
    p.add_argument("--state-file", help="conf key of that name")
    p.add_argument("--json", metavar="FILE", help="keep the report")
    a = p.parse_args()
    if a.hour:
        a.windows, a.seconds = 60, 60
    r = soak(a)
    windows = common.holds(r)
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump(r, f, indent=1)
    attach = r["phases"][0]
    print(f"{attach['attached']} devices attached in {attach['wall_s']:.1f} s, p99 "
          f"{attach['attach']['p99_ns'] / 1e6:.1f} ms; {r['bytes_per_device']:.0f} bytes of the "
          f"server each; {r['reloads']} reloads; {r['server_counters']}")
    print_windows(windows)
    bad = verdict(windows, r["server_counters"], a.devices, a.growth)
    for line in bad:
        print(f"FAILED: {line}")
    if not bad:
        print("passed: memory flat, no attachment lost, every connect answered")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
