#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench_bsctl - import and export of a million devices through bsctl, and the wait of others.

usage: bench_bsctl.py [ROWS]      (default 1000000; not part of make check)

Prints for CSV and JSON lines: wall time, CPU of bsctl and of the daemon, rows per second, and the
slowest answer that another bsctl got meanwhile.  Ten devices stay attached with keep-alives every
200 ms; how many of them lost their attachment is printed, too.
"""
import os
import platform
import resource
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import bs  # noqa: E402


def daemon_cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(what, node, n, *args):
    """Run one bsctl while another asks all the time; print what it cost."""
    slowest, stop = [0.0], threading.Event()

    def poll():
        while not stop.wait(0.02):
            start = time.monotonic()
            node.bsctl("log", "level")
            slowest[0] = max(slowest[0], time.monotonic() - start)

    t = threading.Thread(target=poll)
    before, cpu = resource.getrusage(resource.RUSAGE_CHILDREN), daemon_cpu(node.process.p.pid)
    start = time.monotonic()
    t.start()
    node.bsctl(*args, seconds=1200)
    wall = time.monotonic() - start
    stop.set()
    t.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    mine = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{what:22} {wall:7.2f} s  {n / wall:10.0f} rows/s  bsctl {mine:6.2f} s CPU  "
          f"daemon {daemon_cpu(node.process.p.pid) - cpu:6.2f} s CPU  "
          f"slowest other answer {slowest[0] * 1000:6.1f} ms", flush=True)


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000000
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
          f"{platform.release()}, {n} rows; bsctl CPU includes the polling")
    for form in ("csv", "json"):
        node = bs.Node(database_size="2GiB").start()
        devices = [node.device(f"bench-{i}.p2p.test") for i in range(10)]
        path = node.path("rows")
        with open(path, "w", encoding="ascii") as f:
            if form == "csv":
                f.write("id,secret,tags\n")
            for i in range(n):
                f.write(f"cam-{i:08d}.p2p.example.com,{i:032x},line{i % 8}\n" if form == "csv" else
                        f'{{"id":"cam-{i:08d}.p2p.example.com","secret":"{i:032x}",'
                        f'"tags":["line{i % 8}"]}}\n')
        measured(f"import {form}", node, n, "device", "import", path)
        measured(f"export {form}", node, n, "device", "export", node.path("out"), "-f", form,
                 "--with-secrets")
        measured("db check", node, n, "db", "check")
        lost = sum(len([x for x in d.process.lines if "bs-weather: attached" in x]) != 1
                   for d in devices)
        print(f"{'devices':22} {lost} of {len(devices)} attached devices had to attach again")
        for d in devices:
            d.stop()
        node.stop()


if __name__ == "__main__":
    main()
