#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bsload against a real server: every plan does what it says, and the report counts it."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bs  # noqa: E402
from bs import check, equal, test, until  # noqa: E402

DEVICES = 300
_shared = {}


def shared():
    """A node with two workers that knows the devices of bsload."""
    if not _shared:
        node = bs.Node(workers=2, log_level="warning", max_devices=1000, alive_interval="1s",
                       alive_retry="500ms", alive_unreachable="20s", alive_timeout="40s",
                       attach_rate_unknown="100000/s", attach_rate_known="100000/s",
                       attach_rate_prefix="100000/s", attach_rate_id="1000/s",
                       attach_burst_id=1000, pending_entries=4096, pending_per_prefix=4096,
                       handshake_rate="100000/s").start()
        rows = node.path("devices.csv")
        with open(rows, "w", encoding="ascii") as f:
            f.write(bs.run([bs.program("bsload"), "ids", "--devices", DEVICES]).stdout)
        node.bsctl("device", "import", rows)
        _shared.update(node=node, cert=node.client("load@example.com"))
        node.allow("load@example.com")
    return _shared["node"], _shared["cert"]


def load(plan, *options, ok=True):
    """One run: (its report, the result of the process)."""
    node, cert = shared()
    out = node.path("report.json")
    r = bs.run([bs.program("bsload"), plan, "--server",
                f"127.0.0.1:{node.ports['controller_port']}", "--gate",
                f"127.0.0.1:{node.ports['client_port']}", "--ca", node.path("ca/ca.crt"), "--cert",
                cert[0], "--key", cert[1], "--pid", node.process.p.pid, "--interval", 1,
                "--window", 32, "--progress", 0, "--json", out, *options], ok=ok, seconds=60)
    with open(out, encoding="ascii") as f:
        return json.load(f), r


def phase(report, name):
    return next(p for p in report["phases"] if p["name"] == name)


@test
def steady():
    """Devices attach and answer; the server counts as many, and its process is accounted"""
    node, _ = shared()
    report, r = load("steady", "--devices", DEVICES, "--seconds", 3)
    attach, hold = phase(report, "attach"), phase(report, "hold")
    equal(attach["attached"], DEVICES, "attached")
    equal(attach["attach"]["n"], DEVICES, "attaches that were timed")
    check(hold["counts"]["requests"] >= DEVICES, f"requests: {hold['counts']}")
    equal(hold["counts"]["lost"], 0, "lost")
    check(hold["server"]["known"] and attach["server"]["cpu_s"] > 0, f"server: {attach['server']}")
    check(hold["server"]["rss_anon_kb"] > 1000, f"memory: {hold['server']}")
    equal(node.stat("devices_attached"), DEVICES, "attached at the server")
    check("keepalive requests received" in r.stdout, r.stdout)


@test
def attach_again():
    """Devices that start over at once attach more often than there are devices"""
    report, _ = load("attach", "--devices", 50, "--seconds", 1)
    check(phase(report, "hold")["counts"]["attached"] > 50, f"{phase(report, 'hold')['counts']}")


@test
def storm():
    """After a storm all are back"""
    report, _ = load("storm", "--devices", DEVICES, "--seconds", 0.5)
    hold = phase(report, "hold")
    equal(hold["attached"], DEVICES, "attached")
    check(hold["counts"]["attached"] >= DEVICES, f"{hold['counts']}")


@test
def changes():
    """Devices go away and come back, start over, poll; repeated phases are reported one by one"""
    report, _ = load("churn", "--devices", 100, "--churn", 40, "--away", 0.3, "--restarts", 20,
                     "--polls", 50, "--seconds", 1, "--repeat", 2)
    holds = [p for p in report["phases"] if p["name"] == "hold"]
    equal(len(holds), 2, "phases")
    for hold in holds:
        check(hold["counts"]["attached"] >= 5, f"attached again: {hold['counts']}")
        check(hold["counts"]["polls"] >= 5, f"polls: {hold['counts']}")
    check(holds[1]["poll"]["n"] > 0 and holds[1]["poll"]["p50_ns"] > 0, f"{holds[1]['poll']}")


@test
def rebind():
    """A device behind another port polls, and the server follows it"""
    node, _ = shared()
    before = node.stat("alive_moved")
    report, _ = load("rebind", "--devices", 20, "--rebinds", 20, "--patience", 1, "--seconds", 5,
                     ok=False)
    check(phase(report, "hold")["counts"]["patience"] > 0, "polls of devices that hear nothing")
    until("moves", lambda: node.stat("alive_moved") > before)


@test
def shared_addresses():
    """All devices behind two addresses: told apart by their numbers"""
    report, _ = load("steady", "--devices", DEVICES, "--shared", 2, "--seconds", 3)
    hold = phase(report, "hold")
    equal(hold["attached"], DEVICES, "attached")
    check(hold["counts"]["requests"] >= DEVICES, f"{hold['counts']}")
    equal(hold["counts"]["repeated"], 0, "answers that the server did not take")


@test
def extensions():
    """Devices that offer extensions are granted them and keep alive"""
    report, _ = load("poll", "--devices", 50, "--offer", 255, "--polls", 20, "--seconds", 2)
    hold = phase(report, "hold")
    equal(hold["counts"]["lost"], 0, "lost")
    check(hold["counts"]["requests"] > 0, f"{hold['counts']}")


@test
def flood():
    """Forged packets of every kind are sent and counted, and harm no attached device"""
    for kind in ("unknown", "known", "target", "prefix", "cgnat", "alive", "attach"):
        report, _ = load("flood", "--devices", 20, "--forge", kind, "--forged", 500, "--polls", 10,
                         "--seconds", 1)
        hold = phase(report, "hold")
        check(hold["forge"]["sent"] >= 50, f"{kind}: {hold['forge']}")
        equal(hold["counts"]["lost"], 0, f"{kind}: lost")
        equal(hold["attached"], 20, f"{kind}: attached")
        if kind in ("unknown", "alive", "attach"):
            equal(hold["forge"]["answers"], 0, f"{kind}: answers")


@test
def handshakes():
    """Visitors shake hands, fully and resumed, in both versions, and open sessions"""
    for tls in ("1.2", "1.3"):
        for resume in (0, 1):
            report, _ = load("handshake", "--clients", 2, "--seconds", 0.5, "--tls", tls,
                             "--resume", resume, "--hello", 1)
            c = phase(report, "hold")["clients"]
            check(c["handshakes"] > 2 and c["hellos"] >= c["handshakes"] - 4, f"{tls}: {c}")
            equal(c["failed"], 0, f"{tls}: failed, {report['why']}")
            # Those under way when the first session came are full ones.
            check(c["resumed"] >= c["handshakes"] - 4 if resume else c["resumed"] == 0,
                  f"{tls}: resumed {c}")


@test
def abandon():
    """Handshakes left in the middle are counted, and the gate serves others all the same"""
    for tls in ("1.2", "1.3"):
        report, _ = load("abandon", "--clients", 4, "--seconds", 0.5, "--tls", tls)
        c = phase(report, "hold")["clients"]
        check(c["abandoned"] > 4 and c["handshakes"] == 0, f"{tls}: {c}")
    report, _ = load("handshake", "--clients", 1, "--seconds", 0.3, "--hello", 1)
    check(phase(report, "hold")["clients"]["hellos"] > 0, "the gate after the flood")


@test
def connects():
    """Clients that stay are given every connection that they ask for"""
    report, _ = load("connect", "--devices", 20, "--sessions", 3, "--connects", 20, "--seconds", 2)
    equal(phase(report, "sessions")["clients"]["open"], 3, "sessions")
    hold = phase(report, "hold")
    check(hold["clients"]["asked"] >= 5, f"{hold['clients']}")
    equal(hold["clients"]["denied"], 0, f"denied ({report['why']})")
    check(hold["clients"]["connected"] >= hold["clients"]["asked"] - 5, f"{hold['clients']}")
    check(hold["connect"]["p50_ns"] > 0, f"{hold['connect']}")


@test
def bottleneck():
    """A plan that nobody could keep is reported as the generator's failure"""
    report, r = load("poll", "--devices", 10, "--polls", "100M", "--seconds", 1)
    check(phase(report, "hold")["bottleneck"], f"{phase(report, 'hold')}")
    check("BOTTLENECK" in r.stdout, r.stdout)


@test
def nobody_there():
    """Without a server the run fails, and says how far it came"""
    report, r = load("steady", "--devices", 5, "--server", "127.0.0.1:9", "--deadline", 1, ok=False)
    equal(r.returncode, 1, "status")
    check(not phase(report, "attach")["reached"], "the phase was not reached")
    check("NOT REACHED" in r.stdout, r.stdout)


@test
def size():
    """A small measurement tells costs, and what the machine could hold"""
    node, _ = shared()
    out = node.path("size.json")
    options = ["--server", f"127.0.0.1:{node.ports['controller_port']}", "--window", 32]
    bs.run([bs.program("bsload"), "size", "--devices", DEVICES, "--pid", node.process.p.pid,
            "--json", out, *options], seconds=60)
    with open(out, encoding="ascii") as f:
        r = json.load(f)
    check(r["keepalive_s"] > 0 and r["attach_s"] > 0, f"{r}")
    check(r["devices_by_cpu"] > 0 and r["attaches_per_s"] > 0, f"{r}")
    equal(bs.run([bs.program("bsload"), "size", *options], ok=False).returncode, 2, "without --pid")


@test
def soak():
    """The soak command in small: passes here, and fails when something was lost"""
    sys.path.insert(0, os.path.join(bs.SRC, "tests/bench"))
    import soak as program
    out = shared()[0].path("soak.json")
    r = bs.run([sys.executable, os.path.join(bs.SRC, "tests/bench/soak.py"), "--devices", 200,
                "--interval", 1, "--windows", 3, "--seconds", 1, "--reload", 0.3, "--connects", 10,
                "--growth", 4, "--json", out], seconds=120)
    check("passed" in r.stdout, r.stdout)
    with open(out, encoding="ascii") as f:
        report = json.load(f)
    check(report["reloads"] > 0, "reloads")
    windows = [p for p in report["phases"] if p["name"] == "hold"]
    counters = report["server_counters"]
    for w in windows:
        w["server"]["rss_anon_kb"] = 20000
    equal(program.verdict(windows, counters, 200), [], "verdict")
    windows[2]["server"]["rss_anon_kb"] += 10000
    windows[1]["counts"]["lost"] = 1
    windows[1]["clients"]["unanswered"] = 1
    equal(len(program.verdict(windows, counters, 200)), 3, "faults that it names")


@test
def bench_rows():
    """What rows of the bench make of readings: a split that adds up, and no loss passed over"""
    sys.path.insert(0, os.path.join(bs.SRC, "tests/bench"))
    import bench_report
    import bench_state
    import bench_tls
    sums = bench_tls.Sums(shared()[0].path("sums"))
    before = sums.read()
    equal(before, [(0, 0, 0)] * (len(bench_tls.PARTS) + 1), "a new file")
    # 10 connections, each with one signature of 0.3 ms; two of these were interrupted.
    after = [(0, 0, 0)] * len(bench_tls.PARTS) + [(100000, 1000, 0)]
    after[0] = (8 * 300000, 8, 2)
    server = bench_tls.Server(0, 0)
    server.count, server.used = 10, 0.01
    parts = bench_tls.split(server, before, after, (30, 100))
    equal(round(parts["sign"]), 300, "signature, us")
    equal(round(parts["tcp"]), 300, "system time, us")
    equal(round(parts["timing"], 3), 0.1, "what the timing costs, us")
    named = sum(v for k, v in parts.items() if k not in ("total", "timing"))
    check(abs(named - parts["total"]) < 0.01, f"the parts are the total ({parts})")
    line = bench_report.line("row", [{"value": 1000, "splits": {"full": parts}}])
    check("sign 300 (30%)" in line, line)

    counts = {"lost": 0, "started": 0, "requests": 9, "repeated": 0, "lost_here": 0}
    phase = {"counts": counts, "attached": bench_state.POPULATION, "silence_s": 0.5,
             "late": {"p99_ns": 0, "max_ns": 0}}
    found = {"again": 0, "kernel_drops": 0, "kernel_drops_before": 5, "serving_s": 1,
             "restore_ms": 1}
    equal(bench_state.upgrade_result(phase, found)["value"], 500, "ms of silence")
    for where, what in ((counts, "lost"), (counts, "started"), (found, "kernel_drops"),
                        (found, "again")):
        where[what] = 1
        try:
            bench_state.upgrade_result(phase, found)
        except SystemExit as e:
            check("upgrade:" in str(e), str(e))
        else:
            check(False, f"{what} = 1 was passed over")
        where[what] = 0


@test
def wrong_arguments():
    """What cannot be understood ends with status 2 and one line"""
    for args in (["steady", "--devices", "x"], ["nonsense"], ["ids", "--prefix", "NO", "--devices",
                                                              "1"],
                 ["steady", "--server", "example.org"], ["handshake", "--ca", "/nonexistent"],
                 ["flood", "--forge", "nothing"]):
        r = bs.run([bs.program("bsload"), *args], ok=False)
        equal(r.returncode, 2, f"status of {args}")
        check(r.stderr.count("\n") == 1 and r.stderr.startswith("bsload: "), r.stderr)


if __name__ == "__main__":
    bs.main()
