#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The state-file: attached devices stay attached when the server dies and another one starts.

With BS_FULL=1 in the environment a thousand processes are killed instead of twenty, with BS_KILLS
so many.
"""
import os
import random
import signal
import sys
import time

import bs

# Devices have to notice nothing within the life of a test.
PATIENT = {"alive-interval": "300ms", "alive-retry": "200ms", "alive-unreachable": "30s",
           "alive-timeout": "60s", "alive-min": "1s", "alive-max": "1s"}
KILLS = int(os.environ.get("BS_KILLS", 1000 if os.environ.get("BS_FULL") else 20))
LOAD = 200
ENV = {"attach-rate-known": "10000/s", "attach-rate-unknown": "10000/s",
       "attach-rate-prefix": "10000/s", "attach-rate-id": "100/s", "attach-burst-id": 100,
       "pending-per-prefix": 1000}


def node(start=True, **conf):
    """A node with a state-file and fixed ports, so that a second start has the same."""
    n = bs.Node(**{**PATIENT, "log-level": "info", "state-file": None, **conf})
    if not n.conf.get("state-file"):
        n.set(**{"state-file": n.path("state")})
    return fix_ports(n.start()) if start else n


def fix_ports(n):
    n.set(**{k: n.ports[k.replace("-", "_")]
             for k in ("controller-port", "attach-port", "client-port", "gateway-port")})
    return n


def attached(n):
    """The attachments: what never changes while they last."""
    keys = ("id", "address", "local", "nat", "since", "extensions", "capabilities", "version",
            "label")
    return {tuple(str(d[k]) for k in keys) for d in n.ask("device", "list", "--attached")}


def kill(n):
    n.process.signal(signal.SIGKILL)
    n.process.wait()


def again(n, **conf):
    """kill -9, and another process."""
    kill(n)
    n.set(**conf)
    n.start()


def is_alive(n, devices):
    """Every device answers keepalives of this process, and none attached anew."""
    before = n.stat("alive_answered")
    bs.until("keepalives answered", lambda: n.stat("alive_answered") >= before + 2 * len(devices))
    for d in devices:
        lines = [l for l in d.process.lines if "bs-weather: attached" in l]
        bs.equal(len(lines), 1, f"times that {d.id} attached")


def attaches_again(n, d, why):
    """The state is of no use: one line says why, and the device comes back by itself."""
    line = n.process.expect(r"state, begins anew")
    bs.check(why in line, f"another reason: {line}")
    bs.until("attached again", lambda: n.stat("attach_ok") >= 1, 60)
    bs.equal(len(attached(n)), 1, "attachments")
    bs.equal(n.stat("state_kept"), 0, "state_kept")
    d.stop()
    n.stop()


@bs.test
def survives_kill():
    """A device stays attached over kill -9 and is reached afterwards"""
    n = node()
    d = n.device("heat1.base.test")
    n.allow()
    cert = n.client("ann@example.com")
    was = attached(n)
    again(n)
    bs.equal(attached(n), was, "attachments")
    bs.equal(n.stat("state_kept"), 1, "state_kept")
    n.process.expect("state, goes on with the devices of before")
    is_alive(n, [d])
    n.rpc(cert, d.id, "get_weather.json")
    bs.equal(n.stat("attach_ok"), 0, "attaches at the second process")
    bs.equal(oct(os.stat(n.path("state")).st_mode & 0o777), "0o600", "mode")
    n.stop()


@bs.test
def survives_stop():
    """A stop and a start lose no device either"""
    n = node()
    d = n.device("heat1.base.test")
    was = attached(n)
    bs.equal(n.stop(), 0, "status")
    n.start()
    bs.equal(attached(n), was, "attachments")
    is_alive(n, [d])
    n.stop()


@bs.test
def other_workers():
    """Another number of workers and other limits lose no device"""
    n = node(workers=2)
    devices = [n.device(f"heat{i}.base.test") for i in range(4)]
    n.allow()
    cert = n.client("ann@example.com")
    was = attached(n)
    for workers, limit in ((4, 1000), (1, 1000), (3, 500)):
        again(n, workers=workers, max_devices=limit)
        bs.equal(attached(n), was, f"attachments with {workers} workers")
        is_alive(n, devices)
        bs.check(not os.path.exists(n.path("state.new")), "the new file stayed beside the old one")
    for d in devices:
        n.rpc(cert, d.id, "get_weather.json")
    n.stop()


@bs.test
def ends_what_may_not_stay():
    """A device that was removed while no server ran is not attached for long"""
    n = node()
    n.device("gone1.base.test")
    kill(n)
    n.bsctl("device", "delete", "gone1.base.test", "--offline")
    n.start()
    bs.until("the end of it", lambda: not attached(n))
    n.stop()


@bs.test
def second_server():
    """A second server with the same state-file ends with a word, and the first goes on"""
    n = node()
    d = n.device("heat1.base.test")
    m = node(start=False, state_file=n.path("state"))
    m.start(ready=False)
    bs.check(m.process.wait() != 0, "the second one started")
    out = m.process.output()
    bs.check(f"in use by another basestationd (process {n.process.p.pid})" in out, out)
    is_alive(n, [d])
    bs.equal(len(attached(n)), 1, "attachments")
    n.stop()


@bs.test
def other_version():
    """A state of another version is not used: devices attach again"""
    n = node()
    d = n.device("heat1.base.test")
    kill(n)
    with open(n.path("state"), "r+b") as f:
        f.seek(12)
        f.write(b"\x63\x00\x00\x00")
    n.start()
    attaches_again(n, d, "another version")


@bs.test
def other_boot():
    """A state from before the machine started is not used: devices attach again"""
    n = node()
    d = n.device("heat1.base.test")
    kill(n)
    with open(n.path("state"), "r+b") as f:
        f.seek(32)
        f.write(b"some other boot!")
    n.start()
    # the checksum says so first; the reason by itself is in the unit tests
    attaches_again(n, d, "damaged")


@bs.test
def cut_short():
    """A state-file that was cut is not used: devices attach again"""
    n = node()
    d = n.device("heat1.base.test")
    kill(n)
    os.truncate(n.path("state"), 100000)
    n.start()
    attaches_again(n, d, "another length")


@bs.test
def not_private():
    """A state-file that others may read is refused with a word"""
    n = node()
    kill(n)
    os.chmod(n.path("state"), 0o644)
    n.start(ready=False)
    bs.equal(n.process.wait(), 4, "status")
    bs.check("may be read or written by others" in n.process.output(), n.process.output())


def load(n, plan, *args, devices=LOAD):
    """bsload with devices that are registered."""
    csv = n.path("ids.csv")
    if not os.path.exists(csv):
        with open(csv, "w", encoding="ascii") as f:
            f.write(bs.run([bs.program("bsload"), "ids", "--devices", devices]).stdout)
        n.bsctl("device", "import", csv)
    return bs.Process([bs.program("bsload"), plan, "--devices", devices,
                       "--server", f"127.0.0.1:{n.ports['controller_port']}", "--interval", "1",
                       "--seconds", "3600", "--progress", "1", "--window", "64", *args])


def all_attached(n, count, l):
    def look():
        if l.p.poll() is not None:
            raise bs.Failure(f"bsload ended:\n{l.output()}")
        return n.stat("devices_attached") == count
    bs.until(f"{count} attached", look, 60)


def kill_often(n, kills, seed):
    """Kill processes at random moments of their life, with all numbers of workers."""
    rng = random.Random(seed)
    for k in range(kills):
        n.process.signal(signal.SIGKILL)
        n.process.wait()
        if rng.random() < 0.2:
            n.set(workers=rng.choice((1, 2, 3)))
        n.start(ready=False)
        # sometimes in the middle of taking over, mostly in the middle of work
        time.sleep(rng.random() * (0.1 if rng.random() < 0.2 else 0.7))
        if n.process.p.poll() is not None:
            raise bs.Failure(f"kill {k} (seed {seed}):\n{n.process.output()}")
    n.set(workers=2)
    again(n)


def same_ids(n, count):
    """No attachment is lost and none is there twice."""
    ids = [d["id"] for d in n.ask("device", "list", "--attached", "--limit", "100000")]
    bs.equal(len(ids), count, "attachments")
    bs.equal(len(set(ids)), count, "different ids")


@bs.test
def killed_again_and_again():
    """Processes are killed at random moments: nobody has to attach again, nobody is lost"""
    seed = int(os.environ.get("BS_SEED", random.randrange(1 << 30)))
    n = node(**ENV, alive_interval="1s", alive_retry="300ms")
    l = load(n, "steady", "--polls", "100", "--patience", "60")
    all_attached(n, LOAD, l)
    was = attached(n)
    kill_often(n, KILLS, seed)
    all_attached(n, LOAD, l)
    bs.equal(attached(n) ^ was, set(), f"attachments that changed (seed {seed})")
    same_ids(n, LOAD)
    before = n.stat("alive_answered")
    bs.until("answers of all", lambda: n.stat("alive_answered") > before + 2 * LOAD, 30)
    bs.equal(n.stat("attach_ok"), 0, f"attaches (seed {seed})")
    bs.equal(n.stat("state_left_out"), 0, f"records left out (seed {seed})")
    l.kill()
    n.stop()


@bs.test
def killed_while_they_attach():
    """The same while devices start over and their routers change ports: in the end all are there"""
    seed = int(os.environ.get("BS_SEED", random.randrange(1 << 30)))
    n = node(**ENV, alive_interval="1s", alive_retry="300ms", alive_unreachable="3s",
             alive_timeout="6s")
    l = load(n, "restart", "--restarts", "60", "--rebinds", "20", "--patience", "3")
    bs.until("most attached", lambda: n.stat("devices_attached") > LOAD * 3 // 4, 60)
    kill_often(n, KILLS, seed)
    bs.until("most attached", lambda: n.stat("devices_attached") > LOAD * 3 // 4, 60)
    l.kill()
    # the same devices once more: whatever was left of them gives way
    l = load(n, "steady", "--patience", "60")
    l.expect(f"hold: {LOAD} attached", 60)
    all_attached(n, LOAD, l)
    same_ids(n, LOAD)
    before = n.stat("alive_answered")
    bs.until("answers of all", lambda: n.stat("alive_answered") > before + 2 * LOAD, 30)
    l.kill()
    n.stop()


def in_small(n, size, *args):
    """Start a node with a tmpfs of that size at its folder "small"."""
    small = n.path("small")
    os.makedirs(small, exist_ok=True)
    script = f'mount -t tmpfs -o mode=700,size={size} none "$1" || exit 99; shift; exec "$@"'
    probe = bs.run(["unshare", "-m", "sh", "-c", script, "sh", small, "true"], ok=False)
    if probe.returncode != 0:
        raise bs.Skip("no mount namespaces here")
    n.set(**{"state-file": os.path.join(small, "state")})
    n.process = bs.Process(["unshare", "-m", "sh", "-c", script, "sh", small,
                            bs.program("basestationd"), "-f", "-c", n.conf_file, *args])
    return n


@bs.test
def full_file_system():
    """When the tmpfs is full new devices are refused, and those that are attached stay"""
    n = in_small(node(start=False, workers=1, max_devices=100000, **ENV, alive_interval="1s"), "2m")
    bs.until("ready", n._ready, 20)
    bs.check(n.process.saw("has not enough room for max-devices"), n.process.output())
    l = load(n, "steady", "--patience", "60", devices=9000)
    bs.until("refusals", lambda: n.stat("attach_slab_full") > 0, 60)
    n.process.expect("cannot grow")
    count = n.stat("devices_attached")
    bs.check(count > 500, f"{count} attached")
    before = n.stat("alive_answered")
    bs.until("answers", lambda: n.stat("alive_answered") > before + 2 * count, 30)
    bs.equal(n.stat("alive_timeout"), 0, "devices lost")
    lines = [x for x in n.process.lines if "cannot grow" in x]
    bs.check(len(lines) <= 2, "\n".join(lines))
    l.kill()
    bs.equal(n.stop(), 0, "status")


@bs.test
def reserved():
    """state-reserve: a tmpfs that is too small is an error at the start"""
    n = in_small(node(start=False, workers=1, max_devices=100000, state_reserve="yes"), "1m")
    bs.equal(n.process.wait(), 7, "status")
    bs.check("no room for" in n.process.output(), n.process.output())


@bs.test
def clock_jumped():
    """The wall clock is another one for the next process: nothing happens"""
    n = node()
    d = n.device("heat1.base.test")
    was = len(attached(n))
    for shift in ("+86400", "-86400"):
        kill(n)
        n.start(env=shifted(n, shift))
        bs.equal(len(attached(n)), was, f"attachments after {shift} s")
        is_alive(n, [d])
        bs.equal(n.stat("attach_ok"), 0, "attaches")
    n.stop()


def shifted(n, seconds):
    """An environment in which the time of day is another."""
    cc = os.environ.get("CC", "cc").split()
    src, lib = n.path("shift.c"), n.path(f"shift{seconds}.so")
    with open(src, "w", encoding="ascii") as f:
        f.write(f'''
            #define _GNU_SOURCE
            #include <sys/syscall.h>
            #include <time.h>
            #include <unistd.h>
            int clock_gettime(clockid_t id, struct timespec *ts)
            {{
                int rc = (int)syscall(SYS_clock_gettime, id, ts);
                if (id == CLOCK_REALTIME)
                    ts->tv_sec += {seconds};
                return rc;
            }}
            ''')
    if bs.run([*cc, "-shared", "-fPIC", "-o", lib, src], ok=False).returncode != 0:
        raise bs.Skip("no compiler for a preloaded library")
    with open(bs.program("basestationd"), "rb") as f:
        text = f.read()
    if b"__asan_init" in text or b"__tsan_init" in text:
        raise bs.Skip("sanitizers and preloaded libraries do not go together")
    return {**os.environ, "LD_PRELOAD": lib}


if __name__ == "__main__":
    bs.main()
    sys.exit(0)
