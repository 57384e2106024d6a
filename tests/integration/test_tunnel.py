#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tunnels: a TCP client reaches a TCP service of the device's host, with the real programs.

The big download is 64 MiB; BS_FULL=1 makes it 1 GiB.
"""
import errno
import getpass
import hashlib
import json
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../netbox")]
import boxes  # noqa: E402
import bs  # noqa: E402
from bs import Failure, Skip, check, equal, test, until  # noqa: E402

ID = "t1.p2p.example"
MIB = 1 << 20
BIG = (1024 if os.environ.get("BS_FULL") == "1" else 64) * MIB
_shared = {}


# ---- services

class Service:
    """A TCP server on a free port of 127.0.0.1; each connection runs fn(conn) in a thread."""

    def __init__(self, fn, backlog=1024):
        self.fn = fn
        self.n = 0
        self.s = socket.socket()
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.s.bind(("127.0.0.1", 0))
        self.s.listen(backlog)
        self.port = self.s.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            self.n += 1
            threading.Thread(target=self._run, args=(c,), daemon=True).start()

    def _run(self, c):
        try:
            self.fn(c)
        except OSError:
            pass
        finally:
            c.close()

    def close(self):
        self.s.close()


def read_all(c):
    parts = []
    while True:
        d = c.recv(65536)
        if not d:
            return b"".join(parts)
        parts.append(d)


def pattern(size, seed=1):
    """Bytes that no shift or repeat of a block leaves unnoticed."""
    return random.Random(seed).randbytes(size)


BLOCK = pattern(MIB)


def http(c):
    """GET /N gives N bytes; the connection is closed after each answer."""
    head = b""
    while b"\r\n\r\n" not in head:
        d = c.recv(4096)
        if not d:
            return
        head += d
    n = int(head.split()[1][1:])
    c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % n)
    at = 0
    while at < n:
        c.sendall(BLOCK[:min(MIB, n - at)])
        at += MIB


def digest(size):
    """SHA-256 of what http() serves."""
    h = hashlib.sha256()
    for at in range(0, size, MIB):
        h.update(BLOCK[:min(MIB, size - at)])
    return h.hexdigest()


# ---- the programs

def client(node, cert, *words, host="localhost"):
    """The command line of bsconnect."""
    return [bs.program("bsconnect"), "--server", f"{host}:{node.ports['client_port']}", "--ca",
            node.path("ca/ca.crt"), "--cert", cert[0], "--key", cert[1], *words]


class Tunnel:
    """bsconnect tunnel in a process of its own; ports by position."""

    def __init__(self, node, cert, *targets, device=ID, host="localhost", inside=list):
        self.process = bs.Process(inside(client(
            node, cert, "--json", "tunnel", device, *[f"0:{t}" for t in targets], host=host)))
        self.process.expect('"event":"listening"')
        until("all listeners", lambda: len(self.events("listening")) == len(targets))
        self.ports = [e["local_port"] for e in self.events("listening")]

    def events(self, name):
        out = []
        for line in list(self.process.lines):
            if line.startswith("{") and f'"event":"{name}"' in line:
                out.append(json.loads(line))
        return out

    def connect(self, k=0, seconds=30):
        s = socket.create_connection(("127.0.0.1", self.ports[k]))
        s.settimeout(seconds * bs.SLOW)
        return s

    def stop(self):
        return self.process.stop()


class Device:
    """bs-tunnel-device in a process of its own."""

    def __init__(self, node, device_id, secret, *args, host="127.0.0.1", inside=list):
        self.process = bs.Process(inside(
            [bs.program("bs-tunnel-device"), "--id", device_id, "--secret-file", secret,
             "--controller", host, "--port", node.ports["controller_port"], "--alive-ms", "500",
             "--verbose", *args]))
        self.process.expect("bs-tunnel-device: attached")

    def rss(self):
        """Resident memory in KiB."""
        return rss(self.process.p.pid)


def rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmRSS"):
                return int(line.split()[1])
    return 0


def shared():
    """One node, one device with some services and one client for all tests."""
    if not _shared:
        node = bs.Node().start()
        cert = node.client("alice@example.com")
        node.allow("alice@example.com")
        secret = node.add_device(ID)
        web = Service(http)
        _shared.update(node=node, cert=cert, secret=secret, web=web)
        _shared["device"] = Device(node, ID, secret, "--allow", "127.0.0.1:1-65535")
    return _shared


def tunnel(*targets):
    s = shared()
    return Tunnel(s["node"], s["cert"], *targets)


def to(service):
    return f"127.0.0.1:{service.port}"


def fetch(port, size, seconds=60):
    """curl over a tunnel; SHA-256 of what came."""
    h = hashlib.sha256()
    p = subprocess.Popen(["curl", "-sS", "--fail", "-m", str(seconds * bs.SLOW),
                          f"http://127.0.0.1:{port}/{size}"], stdout=subprocess.PIPE)
    while True:
        d = p.stdout.read(MIB)
        if not d:
            break
        h.update(d)
    equal(p.wait(), 0, "status of curl")
    return h.hexdigest()


@test
def hello():
    """Bytes pass both ways, and both ends close."""
    def greet(c):
        c.sendall(b"hello\n")
        equal(read_all(c), b"you\n", "what the service got")
        c.sendall(b"bye\n")
    s = Service(greet)
    t = tunnel(to(s))
    c = t.connect()
    equal(c.recv(100), b"hello\n", "greeting")
    c.sendall(b"you\n")
    c.shutdown(socket.SHUT_WR)
    equal(read_all(c), b"bye\n", "the rest")
    until("the end", lambda: t.events("closed"))
    equal(t.events("closed")[0]["to_device"], 4, "bytes sent")
    equal(t.stop(), 0, "status")


@test
def big_download():
    """curl fetches a big file and its checksum is right."""
    t = tunnel(to(shared()["web"]))
    equal(fetch(t.ports[0], BIG, 600), digest(BIG), "checksum")
    equal(t.stop(), 0, "status")


@test
def big_upload():
    """A big file arrives at the service, which answers its checksum."""
    s = Service(lambda c: c.sendall(hashlib.sha256(read_all(c)).hexdigest().encode()))
    t = tunnel(to(s))
    c = t.connect(seconds=120)
    for _ in range(32):
        c.sendall(BLOCK)
    c.shutdown(socket.SHUT_WR)
    equal(read_all(c).decode(), digest(32 * MIB), "checksum")
    t.stop()


@test
def parallel():
    """500 requests at once through one tunnel all succeed."""
    t = tunnel(to(shared()["web"]))
    sizes = [1 + k * 97 % 60000 for k in range(500)]
    socks = [t.connect(seconds=120) for _ in sizes]
    for c, n in zip(socks, sizes):
        c.sendall(b"GET /%d HTTP/1.0\r\n\r\n" % n)
    for c, n in zip(socks, sizes):
        got = read_all(c)
        head, body = got.split(b"\r\n\r\n", 1)
        check(head.startswith(b"HTTP/1.0 200"), head)
        check(body == BLOCK[:n], f"{len(body)} bytes of {n}")
        c.close()
    until("all are closed", lambda: len(t.events("closed")) == 500)
    equal(len(t.events("opened")), 500, "tunnels opened")
    t.stop()


@test
def one_after_the_other():
    """Thousands of connections in a row, each with its own bytes."""
    t = tunnel(to(shared()["web"]))
    for k in range(2500):
        c = t.connect()
        c.sendall(b"GET /%d HTTP/1.0\r\n\r\n" % (k % 50))
        check(read_all(c).endswith(b"\r\n\r\n" + BLOCK[:k % 50]), f"answer {k}")
        c.close()
    until("all are closed", lambda: len(t.events("closed")) == 2500)
    t.stop()


@test
def half_closed():
    """Each direction ends alone, whichever is first."""
    done = threading.Event()
    got = []

    def server_first(c):
        c.sendall(b"done talking")
        c.shutdown(socket.SHUT_WR)
        got.append(read_all(c))
        done.set()
    s = Service(server_first)
    t = tunnel(to(s))
    c = t.connect()
    equal(read_all(c), b"done talking", "what the service said")
    time.sleep(0.3)
    c.sendall(b"still listening?")
    c.shutdown(socket.SHUT_WR)
    check(done.wait(10 * bs.SLOW), "the service did not see the end")
    equal(got[0], b"still listening?", "what the service heard after its end")
    until("closed", lambda: t.events("closed"))
    t.stop()


def bounded(what, before, process):
    """The program has not taken in what nobody reads."""
    grown = rss(process.p.pid) - before
    check(grown < 64 * 1024, f"{what}: grew by {grown} KiB")


@test
def slow_reader():
    """A client that does not read holds the service back; nothing is lost, memory stays bounded."""
    sent = [0]
    size = 512 * MIB

    def pour(c):
        for _ in range(size // MIB):
            c.sendall(BLOCK)
            sent[0] += MIB
    s = Service(pour)
    t = tunnel(to(s))
    device = shared()["device"].process
    before = rss(device.p.pid), rss(t.process.p.pid)
    c = t.connect(seconds=60)
    until("the service is held back", lambda: stalled(sent))
    check(sent[0] < size // 2, f"{sent[0]} bytes went into nowhere")
    bounded("device", before[0], device)
    bounded("bsconnect", before[1], t.process)
    h, n = hashlib.sha256(), 0
    while n < 64 * MIB:
        d = c.recv(min(MIB, 64 * MIB - n))
        check(d, "the stream ended")
        h.update(d)
        n += len(d)
    equal(h.hexdigest(), digest(64 * MIB), "checksum of the first 64 MiB")
    c.close()
    t.stop()


def stalled(counter):
    """Whether a counter that has begun stands still."""
    n = counter[0]
    time.sleep(0.5)
    return n > 0 and counter[0] == n


@test
def slow_service():
    """A service that does not read holds its client back; memory stays bounded."""
    go = threading.Event()
    h = hashlib.sha256()
    end = threading.Event()

    def sleepy(c):
        go.wait(60)
        while True:
            d = c.recv(MIB)
            if not d:
                break
            h.update(d)
        end.set()
    s = Service(sleepy)
    t = tunnel(to(s))
    device = shared()["device"].process
    before = rss(device.p.pid), rss(t.process.p.pid)
    c = t.connect(seconds=60)
    sent = [0]

    def pour():
        for _ in range(128):
            c.sendall(BLOCK)
            sent[0] += MIB
        c.shutdown(socket.SHUT_WR)
    feeder = threading.Thread(target=pour, daemon=True)
    feeder.start()
    until("the client is held back", lambda: stalled(sent))
    bounded("device", before[0], device)
    bounded("bsconnect", before[1], t.process)
    go.set()
    check(end.wait(60 * bs.SLOW), "the service did not get everything")
    equal(h.hexdigest(), digest(128 * MIB), "checksum")
    t.stop()


@test
def refused():
    """A target that nobody serves is reported, and other tunnels go on."""
    gone = Service(lambda c: None)
    gone.close()
    t = tunnel(to(gone), to(shared()["web"]))
    c = t.connect(0)
    try:
        equal(c.recv(1), b"", "bytes of a refused tunnel")
    except ConnectionResetError:
        pass
    e = until("the report", lambda: t.events("refused"))[0]
    equal(e["error"]["code"], "no-service", "code")
    check(f":{gone.port}" in e["error"]["text"], e)
    equal(fetch(t.ports[1], 1000), digest(1000), "the other one")
    t.stop()


@test
def nothing_is_allowed_by_default():
    """A device without --allow refuses every target, and says so in its log."""
    s = shared()
    secret = s["node"].add_device("t2.p2p.example")
    d = Device(s["node"], "t2.p2p.example", secret)
    check(d.process.saw("nothing is allowed"), d.process.output())
    t = Tunnel(s["node"], s["cert"], to(s["web"]), device="t2.p2p.example")
    c = t.connect()
    try:
        equal(c.recv(1), b"", "bytes of a refused tunnel")
    except ConnectionResetError:
        pass
    until("the report", lambda: t.events("refused"))
    d.process.expect("refused tcp 127.0.0.1:")
    equal(s["web"].n >= 0, True, "the service")
    t.stop()
    d.process.stop()


@test
def only_what_is_allowed():
    """Rules are by host and port, and a name that is none of ours is refused."""
    s = shared()
    secret = s["node"].add_device("t3.p2p.example")
    web = s["web"]
    d = Device(s["node"], "t3.p2p.example", secret, "--allow", f"localhost:{web.port}")
    t = Tunnel(s["node"], s["cert"], to(web), f"127.0.0.2:{web.port}", f"127.0.0.1:{web.port - 1}",
               f"localhost:{web.port}", f"example.org:{web.port}", device="t3.p2p.example")
    for k, ok in enumerate((True, False, False, True, False)):
        if ok:
            equal(fetch(t.ports[k], 100), digest(100), "allowed target")
            continue
        c = t.connect(k)
        try:
            equal(c.recv(1), b"", f"bytes of target {k}")
        except ConnectionResetError:
            pass
    until("the reports", lambda: len(t.events("refused")) == 3)
    t.stop()
    d.process.stop()


def reset(c):
    """Close with a reset."""
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    c.close()


@test
def resets():
    """A client's reset resets the service; a service's reset ends the client."""
    outcome = []

    def wait(c):
        try:
            c.sendall(b"x")
            outcome.append(read_all(c))
        except ConnectionResetError:
            outcome.append("reset")
    s = Service(wait)
    r = Service(lambda c: (c.recv(1), c.sendall(b"last words"), reset(c)))
    t = tunnel(to(s), to(r))
    c = t.connect(0)
    equal(c.recv(1), b"x", "first byte")
    reset(c)
    until("the service sees the end", lambda: outcome)
    equal(outcome[0], "reset", "what the service sees")
    c = t.connect(1)
    c.sendall(b"?")
    got = b""
    try:
        got = read_all(c)
    except ConnectionResetError:
        pass
    check(got in (b"", b"last words"), got)
    c.close()
    t.stop()


@test
def base_protocol():
    """The same with a device that offers no extension, as devices of others: small windows."""
    s = shared()
    secret = s["node"].add_device("t6.p2p.example")
    d = Device(s["node"], "t6.p2p.example", secret, "--allow", "127.0.0.1:*", "--extensions", "0")
    up = Service(lambda c: c.sendall(hashlib.sha256(read_all(c)).hexdigest().encode()))
    t = Tunnel(s["node"], s["cert"], to(s["web"]), to(up), device="t6.p2p.example")
    equal(fetch(t.ports[0], 16 * MIB), digest(16 * MIB), "checksum of a download")
    c = t.connect(1)
    for _ in range(16):
        c.sendall(BLOCK)
    c.shutdown(socket.SHUT_WR)
    equal(read_all(c).decode(), digest(16 * MIB), "checksum of an upload")
    r = bs.run([sys.executable, __file__, "parallel", str(t.ports[0]), "500"], seconds=120)
    equal(r.stdout.split(), ["500"], "requests that succeeded")
    t.stop()
    d.process.stop()


@test
def node_restarted():
    """Tunnels outlive the basestation's restart; new ones find the device when it is back."""
    node = bs.Node().start()
    cert = node.client("alice@example.com")
    node.allow("alice@example.com")
    d = Device(node, ID, node.add_device(ID), "--allow", "127.0.0.1:*")
    talk = Service(lambda c: [c.sendall(x) for x in iter(lambda: c.recv(100), b"")])
    t = Tunnel(node, cert, to(talk))
    c = t.connect()
    c.sendall(b"before")
    equal(c.recv(100), b"before", "answer before the restart")
    node.set(**{k: v for k, v in node.ports.items() if k.endswith("_port")})
    node.kill()
    c.sendall(b"alone")
    equal(c.recv(100), b"alone", "answer without a basestation")
    node.start()
    c.sendall(b"after")
    got = b""
    try:
        got = c.recv(100)
    except ConnectionResetError:
        pass
    check(got in (b"after", b""), got)
    c.close()

    def again():
        with t.connect() as c:
            try:
                c.sendall(b"again")
                return c.recv(100) == b"again"
            except ConnectionResetError:
                return False
    until("a new tunnel", again, 30)
    t.stop()
    d.process.stop()


@test
def device_killed():
    """A dead device cuts its TCP connections; the next one finds the device again."""
    s = shared()
    secret = s["node"].add_device("t4.p2p.example")
    d = Device(s["node"], "t4.p2p.example", secret, "--allow", "127.0.0.1:*")
    hold = Service(lambda c: (c.sendall(b"x"), time.sleep(60)))
    t = Tunnel(s["node"], s["cert"], to(hold), to(s["web"]), device="t4.p2p.example")
    c = t.connect(0, seconds=60)
    equal(c.recv(1), b"x", "first byte")
    d.process.kill()
    began = time.monotonic()
    try:
        equal(c.recv(1), b"", "bytes of a dead device")
    except ConnectionResetError:
        pass
    check(time.monotonic() - began < 30 * bs.SLOW, "cut too late")
    e = until("the report", lambda: t.events("down"))[0]
    check(e["error"]["code"] in ("silent", "device-closed"), e)
    d = Device(s["node"], "t4.p2p.example", secret, "--allow", "127.0.0.1:*")
    equal(fetch(t.ports[1], 5000), digest(5000), "after the device came back")
    equal(len(t.events("up")), 2, "connections")
    t.stop()
    d.process.stop()


@test
def no_device():
    """A device that is not online is an error at once, not a listener that hangs."""
    s = shared()
    s["node"].add_device("t5.p2p.example")
    r = s["node"].connect(s["cert"], "tunnel", "t5.p2p.example", "0:127.0.0.1:1", ok=False)
    equal(r.returncode, 6, f"status: {r.stderr}")
    check("not online" in r.stderr, r.stderr)


@test
def usage():
    """What is no listener is refused with an example, and a port in use is named."""
    s = shared()
    for words in (["8080"], ["8080:127.0.0.1"], ["x:127.0.0.1:80"], ["0:127.0.0.1:0"],
                  ["0:127.0.0.1:65536"], ["0::80"], ["0:a b:80"], ["--stdio", "127.0.0.1"],
                  ["--stdio", "127.0.0.1:0"], ["--stdio", "127.0.0.1:1", "127.0.0.1:2"]):
        r = s["node"].connect(s["cert"], "tunnel", ID, *words, ok=False)
        equal(r.returncode, 2, f"status of {words}: {r.stderr}")
        check("expected" in r.stderr, r.stderr)
    port = s["web"].port
    r = s["node"].connect(s["cert"], "tunnel", ID, f"{port}:127.0.0.1:80", ok=False)
    equal(r.returncode, 2, "status of a port in use")
    check(f"port {port}" in r.stderr, r.stderr)


@test
def device_usage():
    """bs-tunnel-device says what is wrong with its rules, and ends with status 2."""
    s = shared()

    def run(*args):
        return bs.run([bs.program("bs-tunnel-device"), "--id", ID, "--secret-file", s["secret"],
                       "--controller", "127.0.0.1", *args], ok=False)
    for rule in ("127.0.0.1", "example.org:80", "127.0.0.1:0", "127.0.0.1:9-8", "10.0.0.1/8:22",
                 "[::1]:80", "127.0.0.1:65536"):
        r = run("--allow", rule)
        equal(r.returncode, 2, f"status of {rule}")
        check(f"--allow {rule}: expected" in r.stderr, r.stderr)
    r = run("--default", "example.org:22")
    equal(r.returncode, 2, "status of a name as default")
    check("--default wants an IPv4 address" in r.stderr, r.stderr)
    for args in (["--default", "22"], ["--tunnels", "x"], ["--memory", "-1"], ["stray"], ["--nope"]):
        equal(run(*args).returncode, 2, f"status of {args}")
    r = run("--help")
    equal(r.returncode, 0, "status of --help")
    check("--allow HOST:PORT" in r.stdout, r.stdout)


def stdio(*words):
    """The command line of bsconnect for one stream on standard input and output."""
    return client(shared()["node"], shared()["cert"], *words)


def run_stdio(args, data, ok=0):
    r = subprocess.run(args, input=data, capture_output=True, timeout=60 * bs.SLOW, check=False)
    equal(r.returncode, ok, f"status of {args[-3:]}: {r.stderr.decode()}")
    return r.stdout


@test
def echo():
    """bsconnect stream DEVICE echo gives every byte back."""
    data = pattern(3 * MIB + 17, seed=5)
    got = run_stdio(stdio("stream", ID, "echo"), data)
    check(got == b"+\n" + data, f"{len(got)} bytes")


@test
def blocking_calls():
    """The example with blocking calls; and what is said of a device without streams or echo."""
    s = shared()
    node = s["node"]

    def run_echo(device, n, ok=True):
        return bs.run([bs.program("bs-echo"), f"localhost:{node.ports['client_port']}",
                       node.path("ca/ca.crt"), *s["cert"], device, str(n)], ok=ok, seconds=60)
    check("1000000 bytes" in run_echo(ID, 1000000).stdout, "figures")
    check("0 bytes" in run_echo(ID, 0).stdout, "an empty run")
    w = node.device("w.p2p.example")
    p = subprocess.run(stdio("tunnel", "--stdio", "w.p2p.example", "127.0.0.1:1"), text=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    equal(p.returncode, 3, "status without streams")
    check("does it serve streams" in p.stderr, p.stderr)
    w.stop()
    d = Device(node, "t7.p2p.example", node.add_device("t7.p2p.example"), "--no-echo")
    r = run_echo("t7.p2p.example", 10, ok=False)
    equal(r.returncode, 1, "status without echo")
    check("no service echo" in r.stderr, r.stderr)
    d.process.stop()
    r = run_echo("t8.p2p.example", 10, ok=False)
    equal(r.returncode, 1, "status without a device")


@test
def stdio_pipes():
    """--stdio carries standard input and output, and ends when both have."""
    def upper(c):
        c.sendall(read_all(c).upper())
    s = Service(upper)
    equal(run_stdio(stdio("tunnel", "--stdio", ID, to(s)), b"hello"), b"HELLO", "answer")
    gone = Service(lambda c: None)
    gone.close()
    p = subprocess.Popen(stdio("tunnel", "--stdio", ID, to(gone)), stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        equal(p.wait(20 * bs.SLOW), 7, "status of a refused target")
    finally:
        p.kill()
    check(b"nobody listens" in p.stderr.read(), "no reason")


@test
def other_services():
    """What is no service of the device ends without a byte; a serial port is refused in words."""
    run_stdio(stdio("stream", ID, "uart,0,115200"), b"") == b"-no uart device specified\n" or \
        check(False, "answer of uart")
    p = subprocess.Popen(stdio("stream", ID, "GET / HTTP/1.0"), stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        equal(p.wait(20 * bs.SLOW), 7, "status of an unknown service")
    finally:
        p.kill()
    equal(p.stdout.read(), b"", "bytes")


class Sshd:
    """An ssh server on a high port in a folder of its own, and a client's configuration."""

    def __init__(self, folder, proxy, inside=list):
        exe = next((p for p in ("/usr/sbin/sshd", "/usr/local/sbin/sshd", shutil.which("sshd"))
                    if p and os.path.exists(p)), None)
        if exe is None or shutil.which("ssh") is None:
            raise Skip("the programs sshd and ssh are missing (Debian: openssh-server)")
        self.dir = folder
        os.makedirs(self.dir, 0o700)
        for name in ("host", "user"):
            bs.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.path(name)])
        shutil.copy(self.path("user.pub"), self.path("authorized"))
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        with open(self.path("sshd_config"), "w", encoding="ascii") as f:
            f.write(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.path('host')}\n"
                    f"AuthorizedKeysFile {self.path('authorized')}\nStrictModes no\nUsePAM no\n"
                    f"PidFile {self.path('pid')}\nPermitRootLogin yes\n"
                    "PasswordAuthentication no\n")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", 0o755, exist_ok=True)
        self.process = bs.Process(inside([exe, "-D", "-e", "-f", self.path("sshd_config")]))
        self.process.expect("Server listening")
        with open(self.path("config"), "w", encoding="ascii") as f:
            f.write(f"Host box\n  IdentityFile {self.path('user')}\n  IdentitiesOnly yes\n"
                    "  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n"
                    f"  LogLevel ERROR\n  User {getpass.getuser()}\n"
                    f"  ProxyCommand {' '.join(proxy(f'127.0.0.1:{self.port}'))}\n")

    def path(self, name):
        return os.path.join(self.dir, name)

    def ssh(self, *args):
        return ["ssh", "-F", self.path("config"), "box", *args]


def sshd():
    folder = os.path.join(shared()["node"].dir, "ssh")
    shutil.rmtree(folder, True)
    return Sshd(folder, lambda target: stdio("tunnel", "--stdio", ID, target))


def use_ssh(d, size):
    """A command, bytes both ways, a status."""
    r = bs.run(d.ssh("echo", "over", "the", "tunnel"), seconds=60)
    equal(r.stdout, "over the tunnel\n", "output")
    data = pattern(size, seed=9)
    got = run_stdio(d.ssh("cat"), data)
    check(got == data, f"{len(got)} bytes")
    r = bs.run(d.ssh("exit", "3"), ok=False, seconds=60)
    equal(r.returncode, 3, "status of the remote command")


def use_rsync(d, files):
    """Copy a folder, and find nothing to do the second time."""
    if shutil.which("rsync") is None:
        raise Skip("the program rsync is missing")
    os.makedirs(d.path("from/sub"))
    for k in range(files):
        with open(d.path(f"from/sub/f{k}"), "wb") as f:
            f.write(pattern(100000 + k * 7777, seed=k))
    args = ["rsync", "-a", "--stats", "-e", f"ssh -F {d.path('config')}", d.path("from") + "/"]
    bs.run([*args, f"box:{d.path('to')}/"], seconds=120)
    bs.run(["diff", "-r", d.path("from"), d.path("to")])
    r = bs.run([*args, f"box:{d.path('to')}/"], seconds=120)
    check("Number of regular files transferred: 0" in r.stdout, r.stdout)


@test
def ssh():
    """ssh runs a command through --stdio, and its streams carry bytes both ways."""
    d = sshd()
    use_ssh(d, 4 * MIB)
    d.process.stop()


@test
def rsync():
    """rsync copies a folder through --stdio, and a second run finds nothing to do."""
    d = sshd()
    use_rsync(d, 20)
    d.process.stop()


# ---- a bad line

class Line:
    """Two namespaces with a bad line between them: the client here, everything else there."""

    HERE, THERE = "10.99.0.1", "10.99.0.2"

    def __init__(self, *switches):
        why = boxes.cannot()
        if why:
            raise Skip(why)
        boxes.prepare()
        self.here, self.there = boxes.Space("tl-here"), boxes.Space("tl-there")
        self.box = boxes.Box("link", "--end", f"{self.here.name}:up0", "--end",
                             f"{self.there.name}:up0", *switches)
        for s, own, other in ((self.here, self.HERE, self.THERE),
                              (self.there, self.THERE, self.HERE)):
            s.ip("addr", "add", own, "peer", other, "dev", "up0")
            s.ip("link", "set", "up0", "up")
        self.node = FarNode(self).start()
        self.cert = self.node.client("alice@example.com")
        self.node.allow("alice@example.com")
        self.device = Device(self.node, ID, self.node.add_device(ID), "--allow", "127.0.0.1:*",
                             host=self.THERE, inside=self.far)
        self.web = bs.Process(self.far([sys.executable, __file__, "serve"]))
        self.port = int(self.web.expect("port ").split()[1])

    def far(self, args):
        return self.there.command(*args)

    def near(self, args):
        return self.here.command(*args)

    def client(self, *words):
        return self.near(client(self.node, self.cert, *words, host=self.THERE))

    def tunnel(self, *targets):
        return Tunnel(self.node, self.cert, *targets, host=self.THERE, inside=self.near)

    def end(self):
        for p in (self.web, self.device.process, self.node.process):
            p.kill()
        boxes.clean()


class FarNode(bs.Node):
    """A basestation at the other end of a bad line."""

    def __init__(self, line):
        self.line = line
        super().__init__(listen=line.THERE, public_address=line.THERE, node_name=line.THERE,
                         # The line delays: no answer comes as fast as on this machine.
                         alive_retry="1s", alive_unreachable="5s", alive_timeout="10s")
        self.ca("issue", "server", line.THERE, "--out", self.path("far"))
        self.set(server_certificate=self.path("far.crt"), server_key=self.path("far.key"))

    def start(self, *args, ready=True, **kw):
        self.process = bs.Process(self.line.far(
            [bs.program("basestationd"), "-f", "-c", self.conf_file, *args]), **kw)
        until("basestationd ready", self._ready, 20)
        return self


@test
def bad_line():
    """All of that with 2 % loss and 50 ms each way: curl, 500 requests, ssh and rsync."""
    size = BIG if BIG > 64 * MIB else 8 * MIB
    line = Line("--delay", "50", "--loss", "2", "--seed", "7")
    try:
        t = line.tunnel(f"127.0.0.1:{line.port}")
        r = bs.run(line.near(["sh", "-c", f"curl -sS --fail http://127.0.0.1:{t.ports[0]}/{size} "
                              "| sha256sum"]), seconds=900)
        equal(r.stdout.split()[0], digest(size), "checksum")
        r = bs.run(line.near([sys.executable, __file__, "parallel", str(t.ports[0]), "500"]),
                   seconds=120)
        equal(r.stdout.split(), ["500"], "requests that succeeded")
        d = Sshd(line.node.path("ssh"), lambda target: line.client("tunnel", "--stdio", ID, target),
                 inside=line.far)
        use_ssh(d, MIB)
        use_rsync(d, 5)
        t.stop()
    finally:
        line.end()


def many_requests(port, n):
    """n requests at once; prints how many were answered right."""
    socks = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(n)]
    good = 0
    for k, c in enumerate(socks):
        c.sendall(b"GET /%d HTTP/1.0\r\n\r\n" % (1 + k * 97 % 20000))
    for k, c in enumerate(socks):
        got = read_all(c)
        good += got.startswith(b"HTTP/1.0 200") and got.endswith(
            b"\r\n\r\n" + BLOCK[:1 + k * 97 % 20000])
    print(good)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        print(f"port {Service(http).port}", flush=True)
        threading.Event().wait()
    elif sys.argv[1:2] == ["parallel"]:
        many_requests(int(sys.argv[2]), int(sys.argv[3]))
    else:
        bs.main()
