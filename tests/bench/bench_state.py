# SPDX-License-Identifier: Apache-2.0
"""bench_state - what another process costs the devices that are attached: after kill -9, and when
a new one takes over in place."""
import contextlib
import json
import os
import re
import signal
import time

import bench_common as common
import bs

POPULATION = int(os.environ.get("BENCH_DEVICES", "1000000"))
# Keepalives answered that count as "they flow": more than what was under way can be.
FLOW = 1000
# Seconds between two keepalives of a device.
INTERVAL_S = int(os.environ.get("BENCH_INTERVAL", "10"))
# Length of a phase of row upgrade, and how far into it the command comes: more than an interval
# after it, so that a device that was lost would have been missed.
PHASE_S, COMMAND_S = 2 * INTERVAL_S + 5, INTERVAL_S / 2


@contextlib.contextmanager
def kept_node(devices):
    """A node that keeps its devices in a file on tmpfs, and has none yet."""
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
    state = os.path.join(shm, f"bs-bench-state-{os.getpid()}")
    # Repetitions no faster than a tenth of the interval: on a machine that is too slow for the
    # load they would be most of it.
    n = common.node(devices, f"{INTERVAL_S}s", log_level="notice", state_file=state,
                    alive_retry=f"{INTERVAL_S * 100}ms", alive_unreachable=f"{2 * INTERVAL_S}s",
                    alive_timeout=f"{4 * INTERVAL_S}s")
    n.set(**{k: n.ports[k] for k in ("controller_port", "attach_port")})
    try:
        n.process.kill()
        if os.path.exists(state):
            os.unlink(state)
        n.start()
        common.pin(n.process.p.pid)
        yield n
    finally:
        n.process.kill()
        if os.path.exists(state):
            os.unlink(state)


def background_load(n, devices, *options):
    """bsload in the background, with every device attached."""
    args = [*common.ON_LOAD_CORE, common.LOAD, "steady", "--server",
            f"127.0.0.1:{n.ports['controller_port']}", "--devices", devices, "--patience",
            min(60, 6 * INTERVAL_S), "--interval", INTERVAL_S, *common.ids_options(), *options]
    p = bs.Process(args)

    def attached():
        if p.p.poll() is not None:
            raise SystemExit(f"bench: bsload ended, not all were attached at a time:\n{p.output()}")
        return n.stat("devices_attached") >= devices

    bs.until("all attached", attached, 600)
    return p


def restart(n):
    """Kill the server and start it: (seconds until it answers bsctl, until keepalives flow)."""
    n.process.signal(signal.SIGKILL)
    begin = time.monotonic()
    n.process.wait()
    n.start()
    ready = time.monotonic() - begin
    common.pin(n.process.p.pid)
    bs.until("keepalives flow", lambda: n.stat("alive_answered") >= FLOW, 60)
    return ready, time.monotonic() - begin


def row_restart(_seconds, runs):
    """Seconds from kill -9 until keepalives flow again, with all devices kept"""
    with kept_node(POPULATION) as n:
        load = background_load(n, POPULATION, "--progress", 0, "--seconds", 3600)
        try:
            for _ in range(runs):
                time.sleep(3)
                ready, flow = restart(n)
                used = common.cpu_seconds(n.process.p.pid)
                line = n.process.expect("goes on with the devices of before")
                # a whole interval: who was lost would be attaching by now
                time.sleep(INTERVAL_S + 1)
                again, kept = n.stat("attach_ok"), n.stat("devices_attached")
                if again != 0 or kept < POPULATION:
                    raise SystemExit(f"restart: {kept} of {POPULATION} kept, {again} attached "
                                     "again")
                yield {"value": flow, "ready_s": ready, "cpu_s": used, "devices": POPULATION,
                       "restore_ms": int(re.search(r"ms=(\d+)", line).group(1)),
                       "waited_s": common.wait_seconds(n.process.p.pid)}
        finally:
            load.kill()


def kernel_drops(port):
    """Datagrams that the sockets of a port had no room for; a socket outlives its process."""
    drops = 0
    for name in ("udp", "udp6"):
        with open(f"/proc/net/{name}", encoding="ascii") as f:
            for line in list(f)[1:]:
                fields = line.split()
                if int(fields[1].rsplit(":", 1)[1], 16) == port:
                    drops += int(fields[-1])
    return drops


def upgrade(n):
    """bsctl upgrade: what it took, what the new process read, and what the kernel dropped until a
    second after, beside what it had dropped since the sockets were opened."""
    ports = {n.ports["controller_port"], n.ports["attach_port"]}
    dropped = sum(map(kernel_drops, ports))
    since = len(n.process.lines)
    begin = time.monotonic()
    pid = json.loads(n.bsctl("upgrade", seconds=120).stdout)["pid"]
    serving = time.monotonic() - begin
    common.pin(pid)
    time.sleep(1)
    line = n.process.expect("goes on with the devices of before", since=since)
    return pid, {"serving_s": serving,
                 "restore_ms": int(re.search(r"ms=(\d+)", line).group(1)),
                 "again": lambda: n.stat("attach_ok"),
                 "kernel_drops": sum(map(kernel_drops, ports)) - dropped,
                 "kernel_drops_before": dropped}


def upgrade_result(phase, found):
    """What the devices saw of one upgrade; an attachment that was lost makes the row fail."""
    counts = phase["counts"]
    lost = {"attachments_lost": counts["lost"], "kernel_drops": found["kernel_drops"],
            "attached_again": counts["started"] + found["again"]}
    if any(lost.values()) or phase["attached"] < POPULATION:
        raise SystemExit(f"upgrade: {phase['attached']} of {POPULATION} attached, {lost}")
    return {"value": 1e3 * phase["silence_s"], "devices": POPULATION,
            "requests": counts["requests"], "answers_lost": counts["repeated"],
            "lost_by_generator": counts["lost_here"],
            "late_p99_ms": phase["late"]["p99_ns"] / 1e6,
            "late_max_ms": phase["late"]["max_ns"] / 1e6,
            **{k: found[k] for k in ("serving_s", "restore_ms", "kernel_drops_before")},
            "bottleneck": phase.get("bottleneck"), **lost}


def row_upgrade(_seconds, runs):
    """Milliseconds without a keepalive, at most, while a new process takes over in place"""
    out = []
    pid = 0
    with kept_node(POPULATION) as n:
        report = n.path("upgrade.json")
        # No faster than they keep alive: a population that came at once is silent between turns.
        load = background_load(n, POPULATION, "--progress", 1, "--settle", INTERVAL_S + 1,
                               "--seconds", PHASE_S, "--rate", POPULATION / INTERVAL_S,
                               "--repeat", runs, "--json", report)
        try:
            load.expect("hold:", 60 + INTERVAL_S)
            begin = time.monotonic()
            for i in range(runs):
                time.sleep(max(0, begin + i * PHASE_S + COMMAND_S - time.monotonic()))
                pid, found = upgrade(n)
                # Until shortly before the phase ends; then nobody who was lost is still silent.
                time.sleep(max(0, begin + (i + 1) * PHASE_S - 2 - time.monotonic()))
                out.append({k: v() if callable(v) else v for k, v in found.items()})
            load.wait(60)
        finally:
            load.kill()
            if pid:
                os.kill(pid, signal.SIGKILL)
        with open(report, encoding="ascii") as f:
            phases = common.holds(json.load(f))
    for phase, found in zip(phases, out):
        yield upgrade_result(phase, found)


ROWS = {"restart": row_restart, "upgrade": row_upgrade}
