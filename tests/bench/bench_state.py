# SPDX-License-Identifier: Apache-2.0
"""bench_state - what a restart costs the devices that are attached: kill -9, and another process."""
import os
import re
import signal
import subprocess
import time

import bench_common as common
import bs

POPULATION = int(os.environ.get("BENCH_DEVICES", "1000000"))
# Keepalives answered that count as "they flow": more than what was under way can be.
FLOW = 1000


def background_load(n, devices):
    """bsload in the background, with every device attached."""
    args = [*common.ON_LOAD_CORE, common.LOAD, "steady", "--server",
            f"127.0.0.1:{n.ports['controller_port']}", "--devices", devices, "--progress", 0,
            "--seconds", 3600, "--patience", 60, *common.ids_options()]
    p = subprocess.Popen([str(a) for a in args], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    bs.until("all attached", lambda: n.stat("devices_attached") >= devices, 600)
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
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
    state = os.path.join(shm, f"bs-bench-state-{os.getpid()}")
    n = common.node(POPULATION, log_level="notice", state_file=state)
    n.set(**{k: n.ports[k] for k in ("controller_port", "attach_port")})
    load = None
    try:
        n.process.kill()
        if os.path.exists(state):
            os.unlink(state)
        n.start()
        common.pin(n.process.p.pid)
        load = background_load(n, POPULATION)
        for _ in range(runs):
            time.sleep(3)
            ready, flow = restart(n)
            used = common.cpu_seconds(n.process.p.pid)
            line = n.process.expect("goes on with the devices of before")
            # a whole interval: who was lost would be attaching by now
            time.sleep(11)
            again, kept = n.stat("attach_ok"), n.stat("devices_attached")
            if again != 0 or kept < POPULATION:
                raise SystemExit(f"restart: {kept} of {POPULATION} kept, {again} attached again")
            yield {"value": flow, "ready_s": ready, "cpu_s": used, "devices": POPULATION,
                   "restore_ms": int(re.search(r"ms=(\d+)", line).group(1)),
                   "waited_s": common.wait_seconds(n.process.p.pid)}
    finally:
        if load:
            common.stop(load)
        n.process.kill()
        if os.path.exists(state):
            os.unlink(state)


ROWS = {"restart": row_restart}
