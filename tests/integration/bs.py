# SPDX-License-Identifier: Apache-2.0
"""bs - what the integration tests share: TAP, deadlines, a node with its own CA, devices, clients.

Every test runs the real binaries in a folder of its own, on ports that the system picks, and waits
for conditions with a deadline instead of sleeping.
"""
import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

SRC = os.environ.get("top_srcdir") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("top_builddir") or os.getcwd()
# Sanitizer and emulated builds are slower; deadlines stretch, tests never get looser otherwise.
SLOW = float(os.environ.get("BS_SLOW", "1"))
XML = os.path.join(SRC, "device-sdk/examples/bs-weather.xml")
ALIVE = {"alive-interval": "200ms", "alive-retry": "100ms", "alive-unreachable": "1s",
         "alive-timeout": "2s"}


def program(name):
    """Path of a built program."""
    return os.path.join(BUILD, name)


class Skip(Exception):
    """The machine cannot run this test; the text says why."""


class Failure(AssertionError):
    """A check did not hold."""


def check(condition, text):
    """Fail the running test with this text unless the condition holds."""
    if not condition:
        raise Failure(text)


def equal(got, want, what):
    """Fail unless both are equal."""
    if got != want:
        raise Failure(f"{what}: got {got!r}, want {want!r}")


def until(what, fn, seconds=10):
    """Call fn until it returns something true, and return that; fail at the deadline."""
    end = time.monotonic() + seconds * SLOW
    while True:
        got = fn()
        if got:
            return got
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds * SLOW:g} s")
        time.sleep(0.02)


def run(args, ok=True, seconds=30, **kw):
    """Run a program to its end; with ok its status must be 0."""
    r = subprocess.run([str(a) for a in args], stdin=kw.pop("stdin", subprocess.DEVNULL),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       timeout=seconds * SLOW, **kw)
    if ok and r.returncode != 0:
        raise Failure(f"{' '.join(map(str, args))}: status {r.returncode}\n{r.stdout}{r.stderr}")
    return r


_started = []  # by the test that runs


class Process:
    """A program in the background with its output collected."""

    def __init__(self, args, **kw):
        self.args = [str(a) for a in args]
        self.lines = []
        self.p = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, errors="replace", **kw)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        atexit.register(self.kill)
        _started.append(self)

    def _read(self):
        for line in self.p.stdout:
            self.lines.append(line.rstrip("\n"))

    def output(self):
        return "\n".join(self.lines)

    def saw(self, pattern, since=0):
        """The first line from number since on that matches, or None."""
        for line in self.lines[since:]:
            if re.search(pattern, line):
                return line
        return None

    def expect(self, pattern, seconds=10, since=0):
        """Wait for a line; fail when the program ends or the deadline passes first."""
        def look():
            line = self.saw(pattern, since)
            if line is None and self.p.poll() is not None:
                self.reader.join(2)
                if self.saw(pattern, since) is None:
                    raise Failure(f"{self.args[0]} ended with {self.p.returncode} before "
                                  f"/{pattern}/:\n{self.output()}")
            return line
        try:
            return until(f"/{pattern}/ from {os.path.basename(self.args[0])}", look, seconds)
        except Failure as e:
            raise Failure(f"{e}\n{self.output()}") from None

    def signal(self, sig):
        self.p.send_signal(sig)

    def wait(self, seconds=10):
        try:
            status = self.p.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.args[0]} did not end\n{self.output()}") from None
        self.reader.join(2)
        return status

    def stop(self, seconds=10):
        """SIGTERM, and the status."""
        if self.p.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()


def temporary():
    """A new folder; it goes when the program ends."""
    name = tempfile.mkdtemp(prefix="bs-")
    atexit.register(shutil.rmtree, name, True)
    return name


def forget_freed_memory():
    """For tests that watch memory: programs started from now on give back what they free, sanitizer
    or not, which keeps 256 MiB of it to find uses after free."""
    options = os.environ.get("ASAN_OPTIONS", "").split(":")
    options += ["quarantine_size_mb=1", "thread_local_quarantine_size_kb=64"]
    os.environ["ASAN_OPTIONS"] = ":".join(filter(None, options))


class Node:
    """A basestation in a folder of its own: CA, certificates, conf, process."""

    _keys = None  # folder with an authority and a server's certificate, made once

    def __init__(self, own_ca=False, **conf):
        """With own_ca an authority that no other node of this program knows."""
        self.dir = temporary()
        self.socket = self.path("control")
        self.conf_file = self.path("basestation.conf")
        self.process = None
        self.ports = {}
        self.conf = {
            "listen": "127.0.0.1, ::1", "controller-port": 0, "attach-port": 0, "client-port": 0,
            "gateway-port": 0,
            "public-address": "127.0.0.1", "node-name": "localhost", "workers": 2,
            "max-devices": 1000, "max-clients": 100, "max-connections": 200,
            "socket-buffer": "256KiB", "user": "root" if os.getuid() == 0 else "",
            "pid-file": self.path("pid"), "control-socket": self.socket,
            "database": self.path("registry"), "database-size": "64MiB",
            "key-file": self.path("master.key"), "server-certificate": self.path("server.crt"),
            "server-key": self.path("server.key"), "client-ca": self.path("ca/ca.crt"),
            "client-crl": self.path("ca/ca.crl"), "log-level": "debug", "log-target": "stderr",
        }
        self.conf.update(ALIVE)
        self.set(**conf)
        if own_ca or not Node._keys:
            self.ca("init")
            self.ca("issue", "server", "localhost", "127.0.0.1", "::1", "--out",
                    self.path("server"))
        if not own_ca:
            self._share()

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def _share(self):
        """Give what ca() made to the nodes to come, or take it: two RSA keys for each of them
        were most of the time of many tests.  Everyone works on a copy of its own."""
        to = self.dir if Node._keys else temporary()
        shutil.copytree(os.path.join(Node._keys or self.dir, "ca"), os.path.join(to, "ca"))
        for name in ("server.crt", "server.key"):
            shutil.copy2(os.path.join(Node._keys or self.dir, name), to)
        Node._keys = Node._keys or to

    def ca(self, *args, ok=True):
        """bsctl ca ... with this node's authority; small keys, to be quick."""
        args = list(args)
        bits = ["--bits", "2048"] if args[0] in ("init", "issue") else []
        tell = ["--conf", self.conf_file] if self.process else []
        if args[0] == "revoke" and not self.process:
            args.append("--no-server")
        return run([program("bsctl"), "ca", *args, "--dir", self.path("ca"), *bits, *tell], ok=ok)

    def set(self, **conf):
        """Change conf keys (underscores stand for dashes) and write the file; None removes one."""
        for k, v in conf.items():
            k = k.replace("_", "-")
            if v is None:
                self.conf.pop(k, None)
            else:
                self.conf[k] = v
        with open(self.conf_file, "w", encoding="utf-8") as f:
            for k, v in self.conf.items():
                v = str(v)
                if k == "listen" or k == "extensions":
                    v = "{" + v + "}"
                elif v == "":
                    continue
                elif not re.fullmatch(r"[A-Za-z0-9._/:-]+", v):
                    v = json.dumps(v)
                f.write(f"{k} = {v}\n")

    def start(self, *args, ready=True, **kw):
        self.process = Process([program("basestationd"), "-f", "-c", self.conf_file, *args], **kw)
        if ready:
            until("basestationd ready", self._ready, 20)
        return self

    def _ready(self):
        if self.process.p.poll() is not None:
            raise Failure(f"basestationd ended: {self.process.wait()}\n{self.process.output()}")
        if not os.path.exists(self.socket):
            return False
        r = self.bsctl("status", ok=False)
        if r.returncode != 0:
            return False
        self.ports = json.loads(r.stdout.splitlines()[0])
        return True

    def bsctl(self, *args, ok=True, as_json=True, seconds=30, **kw):
        """Run bsctl against this node."""
        extra = ["--json"] if as_json else []
        return run([program("bsctl"), *args, "--conf", self.conf_file, *extra], ok=ok,
                   seconds=seconds, **kw)

    def ask(self, *args):
        """bsctl --json: its objects, one per line."""
        return [json.loads(l) for l in self.bsctl(*args).stdout.splitlines() if l.strip()]

    def status(self):
        return self.ask("status")[0]

    def stat(self, name):
        """One counter, 0 when it is not listed."""
        for o in self.ask("stats", "--all"):
            if o.get("name") == name:
                return o.get("value", 0)
            if name in o:
                return o[name]
            for k in ("counters", "stats"):
                if isinstance(o.get(k), dict) and name in o[k]:
                    return o[k][name]
        return 0

    def stop(self):
        status = self.process.stop(20)
        self.process = None
        return status

    def kill(self):
        self.process.kill()
        self.process.p.wait()
        self.process = None

    def add_device(self, device_id, *args):
        """Register a device; the file with its secret."""
        secret = self.path(device_id + ".secret")
        if os.path.exists(secret):
            os.unlink(secret)
        self.bsctl("device", "add", device_id, "--secret-file", secret, *args)
        return secret

    def device(self, device_id, *args, secret=None, register=True, start=True):
        """Register a device and start bs-weather for it."""
        if secret is None:
            secret = self.add_device(device_id) if register else self.path(device_id + ".secret")
        d = Device(self, device_id, secret, args)
        return d.start() if start else d

    def client(self, identity, *args):
        """Issue a client certificate: (certificate, key)."""
        prefix = self.path(re.sub(r"\W", "_", identity))
        self.ca("issue", "client", identity, "--out", prefix, *args)
        return prefix + ".crt", prefix + ".key"

    def allow(self, who="*", device="*"):
        self.bsctl("access", "allow", who, device)

    def connect(self, cert, *args, ok=True, seconds=20, host="localhost"):
        """bsconnect with a certificate from client()."""
        port = self.ports["client_port"]
        return run([program("bsconnect"), "--server", f"{host}:{port}", "--ca",
                    self.path("ca/ca.crt"), "--cert", cert[0], "--key", cert[1], "--interface", XML,
                    *args], ok=ok, seconds=seconds)

    def rpc(self, cert, device_id, query, *args, **kw):
        """One query; the JSON that bsconnect prints."""
        return json.loads(self.connect(cert, "rpc", device_id, query, *args, **kw).stdout)


class Device:
    """bs-weather in a process of its own."""

    def __init__(self, node, device_id, secret, args=()):
        self.node, self.id, self.secret, self.args = node, device_id, secret, args
        self.process = None

    def start(self, attached=True, controller="127.0.0.1"):
        self.process = Process([program("bs-weather"), "--id", self.id, "--secret-file",
                                self.secret, "--controller", controller, "--port",
                                self.node.ports["controller_port"], "--alive-ms", "500",
                                *self.args])
        if attached:
            self.attached()
        return self

    def attached(self, seconds=10, since=0):
        return self.process.expect("bs-weather: attached", seconds, since)

    def stop(self):
        return self.process.stop()

    def kill(self):
        self.process.kill()


_tests = []


def test(fn):
    """Mark a function as a test; its first line of documentation is its name."""
    _tests.append(fn)
    return fn


def main():
    """Run all tests, or those whose functions the command line names; print TAP."""
    tests = [t for t in _tests if not sys.argv[1:] or t.__name__ in sys.argv[1:]]
    print(f"1..{len(tests)}", flush=True)
    for n, fn in enumerate(tests, 1):
        name = (fn.__doc__ or fn.__name__).strip().splitlines()[0].rstrip(".")
        _started.clear()
        try:
            fn()
            print(f"ok {n} - {name}", flush=True)
        except Skip as e:
            print(f"ok {n} - {name} # SKIP {e}", flush=True)
        except Exception as e:  # noqa: BLE001 - a test may fail in any way
            print(f"not ok {n} - {name}", flush=True)
            text = str(e) if isinstance(e, Failure) else traceback.format_exc()
            for line in text.splitlines()[-60:]:
                print(f"# {line}", flush=True)
            # What it left behind must not disturb those that follow.
            for p in _started:
                p.kill()
    sys.stdout.flush()
