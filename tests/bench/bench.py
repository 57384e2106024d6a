#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench - what one server CPU-second buys, each row beside a peer or a bare limit in the same run.

A row is a function of the seconds that it measures, called once for each run, or a generator
function of seconds and runs that yields a result for each, where a run is too dear to set up anew.
A result is a dict: value; peers, {name: value or None when it is not installed}; points, {x: y},
for a curve; and whatever else is worth keeping.  Rows of other files are collected in ROWS.
"""
import argparse
import inspect
import itertools
import json
import os
import platform
import ssl
import time

import bench_common  # noqa: F401  (finds bs)
import bench_gateway
import bench_relay
import bench_report as report
import bench_state
import bench_stream
import bench_ticket
import bench_tls
import bench_udp
import bs

ROWS = {**bench_udp.ROWS, **bench_tls.ROWS, **bench_relay.ROWS, **bench_gateway.ROWS,
        **bench_state.ROWS, **bench_stream.ROWS, **bench_ticket.ROWS}


def machine():
    model = "?"
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "openssl": ssl.OPENSSL_VERSION, "path": "loopback",
            "load": round(os.getloadavg()[0], 1), "at": time.strftime("%FT%TZ", time.gmtime())}


def repeat(row, seconds, runs):
    """The results of a row."""
    if inspect.isgeneratorfunction(row):
        return list(itertools.islice(row(seconds, runs), runs))
    return [row(seconds) for _ in range(runs)]


def keep(path, result):
    """The raw results so far: a run that is broken off has not been for nothing."""
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)
    os.replace(path + ".new", path)


def plot(name, raw, path):
    with open(path, "w", encoding="utf-8") as f:
        f.write(report.svg(name, raw[0].get("x", ""), raw[0].get("y", ""), report.curve(raw)))


def list_rows():
    for name, row in ROWS.items():
        print(f"{name:22} {(row.__doc__ or '').strip().splitlines()[0]}")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--quick", action="store_true", help="two short runs instead of five")
    p.add_argument("--list", action="store_true", help="tell the rows")
    p.add_argument("--json", metavar="FILE", default=bs.program("bench.json"),
                   help="keep the raw results there, plots beside it; by default bench.json in "
                        "the folder of the build")
    p.add_argument("row", nargs="*", choices=[*ROWS, []], help="only these rows")
    a = p.parse_args()
    if a.list:
        return list_rows()
    runs, seconds = (2, 2) if a.quick else (5, 5)
    result = {"machine": machine(), "runs": runs, "seconds": seconds, "rows": {}}
    print(", ".join(f"{k} {v}" for k, v in result["machine"].items()))
    print(report.head(), flush=True)
    for name in a.row or ROWS:
        raw = repeat(ROWS[name], seconds, runs)
        result["rows"][name] = raw
        keep(a.json, result)
        print(report.line(name, raw), flush=True)
        if raw[0].get("points"):
            plot(name, raw, os.path.splitext(a.json)[0] + f"-{name}.svg")
    return None


if __name__ == "__main__":
    main()
