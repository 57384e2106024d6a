# SPDX-License-Identifier: Apache-2.0
"""bench_common - what the rows share: a pinned node, the generators, and the accounting.

The server is on core 0, generators are on core 1.  CPU time is the server's own, user and system,
so that a busy generator does not distort it; the time that the server was ready but had no
processor is kept beside it, for the machine may have other work.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
import bs  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
BENCH = bs.program("tests/bench/bsbench")
LOAD = bs.program("bsload")
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
ON_SERVER_CORE = ["taskset", "-c", str(SERVER_CORE)]
ON_LOAD_CORE = ["taskset", "-c", str(LOAD_CORE)]


def tasks(pid):
    return os.listdir(f"/proc/{pid}/task")


def cpu_seconds(pid):
    """CPU time of a process and its threads, in nanoseconds' resolution where the system has it."""
    run = 0
    try:
        for t in tasks(pid):
            run += int(open(f"/proc/{pid}/task/{t}/schedstat", encoding="ascii").read().split()[0])
        return run / 1e9
    except (OSError, ValueError):
        fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK


def system_ticks(pid):
    """(system, user and system) time of a process so far, in ticks of the kernel's accounting."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        user, system = map(int, f.read().rsplit(")", 1)[1].split()[11:13])
    return system, user + system


def wait_seconds(pid):
    """How long its threads were ready to run but no processor was free."""
    try:
        return sum(int(open(f"/proc/{pid}/task/{t}/schedstat", encoding="ascii").read().split()[1])
                   for t in tasks(pid)) / 1e9
    except (OSError, ValueError):
        return 0.0


def memory_bytes(pid):
    """Anonymous and shared memory of a process; files are not its own."""
    text = open(f"/proc/{pid}/status", encoding="ascii").read()
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines()
               if line.startswith(("RssAnon:", "RssShmem:")))


class Usage:
    """What a process uses inside a with block."""

    def __init__(self, pid):
        self.pid = pid
        self.cpu = self.waited = self.wall = 0.0

    def __enter__(self):
        self._begin = time.monotonic()
        self._cpu, self._wait = cpu_seconds(self.pid), wait_seconds(self.pid)
        return self

    def __exit__(self, *_):
        self.cpu = cpu_seconds(self.pid) - self._cpu
        self.waited = wait_seconds(self.pid) - self._wait
        self.wall = time.monotonic() - self._begin


def pin(pid, core=SERVER_CORE):
    for task in tasks(pid):
        try:
            os.sched_setaffinity(int(task), {core})
        except OSError:
            pass


def installed(*programs):
    """Path of the first of these that is there, or None; daemons are looked for in sbin, too."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    return next(filter(None, (shutil.which(p, path=path) for p in programs)), None)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def port_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def node(devices, interval="10s", rows=None, env=None, **conf):
    """A node with one worker on core 0, made for the bench: no limit on attaches, and in the
    registry the devices of bsload, or those of the rows of an import file.  env: the server's."""
    settings = {
        "workers": 1, "max_devices": devices + 100, "listen": "127.0.0.1", "log_level": "warning",
        "socket_buffer": "8MiB", "database_size": f"{1 + devices // 500000}GiB",
        "alive_interval": interval, "alive_retry": "1s", "alive_unreachable": "20s",
        "alive_timeout": "40s", "attach_rate_unknown": "1000000/s",
        "attach_pace": "0/s",
        "attach_rate_known": "1000000/s", "attach_rate_prefix": "1000000/s",
        "attach_rate_id": "1000000/s", "attach_burst_id": 1000, "pending_entries": 65536,
        "pending_per_prefix": 65536, "handshake_rate": "1000000/s"}
    settings.update(conf)
    n = bs.Node(**settings)
    n.start(env=env)
    csv = n.path("devices.csv")
    with open(csv, "w", encoding="ascii") as f:
        if rows:
            f.write("id,secret\n" + "".join(rows))
        else:
            subprocess.run([LOAD, "ids", "--devices", str(devices), *ids_options()], stdout=f,
                           check=True)
    n.bsctl("device", "import", csv, seconds=600)
    os.unlink(csv)
    pin(n.process.p.pid)
    return n


def ids_options():
    """Ids of 30 characters, as products have them."""
    return ["--prefix", "load-serial-no-"]


def load(n, plan, *options, seconds=1800):
    """Run bsload against a node: its report."""
    out = n.path("load.json")
    args = [*ON_LOAD_CORE, LOAD, plan, "--server", f"127.0.0.1:{n.ports['controller_port']}",
            "--pid", n.process.p.pid, "--progress", 0, "--json", out, *ids_options(), *options]
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=seconds,
                       check=False)
    if r.returncode != 0:
        raise SystemExit(f"bench: bsload {plan}: status {r.returncode}\n{r.stdout}{r.stderr}")
    with open(out, encoding="ascii") as f:
        return json.load(f)


def holds(report):
    """The phases that were measured."""
    return [p for p in report["phases"] if p["name"] == "hold"]


def note(phase, **result):
    """A result with what the phase says about the circumstances."""
    result["waited_s"] = phase["server"]["wait_s"]
    result["late_p99_ms"] = phase["late"]["p99_ns"] / 1e6
    if phase.get("bottleneck"):
        result["bottleneck"] = phase["bottleneck"]
    return result


def bench(pid, *args):
    """(count, CPU seconds, wall seconds) of one run of bsbench, between its begin and end."""
    g = subprocess.Popen([*ON_LOAD_CORE, BENCH, *map(str, args)], text=True,
                         stdout=subprocess.PIPE)
    begin = count = None
    for line in g.stdout:
        if line.startswith("begin"):
            begin = (cpu_seconds(pid), time.monotonic())
        elif line.startswith("end"):
            count = int(line.split()[1])
            used, wall = cpu_seconds(pid) - begin[0], time.monotonic() - begin[1]
    if g.wait() != 0 or count is None:
        raise SystemExit("bench: the generator failed")
    return count, used, wall


def start_bare(*args):
    """A bare peer of bsbench on core 0: (process, port)."""
    p = subprocess.Popen([*ON_SERVER_CORE, BENCH, *args], text=True, stdout=subprocess.PIPE)
    return p, p.stdout.readline().strip()


def stop(p):
    p.kill()
    p.wait()
