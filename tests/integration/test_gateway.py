#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The TCP relay with the real programs: over TCP, over TLS, among strangers, and when it goes."""
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bs  # noqa: E402
from bs import check, equal, test  # noqa: E402

ID = "w1.p2p.example"
NO_DEVICE = 6
_shared = {}


def shared():
    """A node with two workers, a device and a client."""
    if not _shared:
        node = bs.Node(workers=2).start()
        _shared.update(node=node, alice=node.client("alice@example.com"))
        node.allow("alice@example.com")
        _shared["device"] = node.device(ID)
    return _shared["node"], _shared["alice"]


def background(node, cert, *args):
    """bsconnect, not waited for."""
    return bs.Process([bs.program("bsconnect"), "--server",
                       f"localhost:{node.ports['client_port']}", "--ca", node.path("ca/ca.crt"),
                       "--cert", cert[0], "--key", cert[1], "--interface", bs.XML, *args])


@test
def over_tcp():
    """With the TCP relay alone a query is answered, and the path is named."""
    node, alice = shared()
    before = node.stat("gateway_joined")
    r = json.loads(node.connect(alice, "--relay", "tcp", "--json", "info", ID).stdout)
    equal(r["path"], "tcp-relay", "path")
    equal(int(r["remote"].rsplit(":", 1)[1]), node.ports["gateway_port"], "remote port")
    r = json.loads(node.connect(alice, "--relay", "tcp", "rpc", ID, "get_weather").stdout)
    check("temperature_mC" in r["answer"], r)
    equal(node.stat("gateway_joined"), before + 2, "bridges")
    check(node.stat("gateway_to_device_packets") > 0, "packets up")
    check(node.stat("gateway_to_client_packets") > 0, "packets down")
    equal(node.stat("gateway_dropped"), 0, "packets left out")


@test
def over_tls():
    """The same through TLS on the client port, as a session that was resumed."""
    node, alice = shared()
    before = node.stat("gate_legs")
    r = json.loads(node.connect(alice, "--relay", "tls", "--json", "info", ID).stdout)
    equal(r["path"], "tls-relay", "path")
    r = json.loads(node.connect(alice, "--relay", "tls", "rpc", ID, "get_weather").stdout)
    check("temperature_mC" in r["answer"], r)
    equal(node.stat("gate_legs"), before + 2, "legs over TLS")


@test
def many_on_one_port():
    """Connections of many clients at once share the port, and all leave."""
    node, alice = shared()
    ids = [f"many{i}.p2p.example" for i in range(4)]
    for i in ids:
        node.device(i)
    procs = [background(node, alice, "--relay", kind, "rpc", i, "get_weather")
             for i in ids for kind in ("tcp", "tls", "tcp")]
    for p in procs:
        equal(p.p.wait(60 * bs.SLOW), 0, p.output())
    deadline = time.time() + 20
    while node.stat("gateway_bridges") and time.time() < deadline:
        time.sleep(0.2)
    equal(node.stat("gateway_bridges"), 0, "bridges that stay")


def hello(flags=0x05, sp=0x01234567, ident=b"\x07" * 20, length=66):
    co = b"\x01" * 8
    cp = 0x89ABCDEF
    nonce = struct.pack(">BBII", 0, flags, cp, sp) + co + ident
    return (struct.pack(">IIBBBBHH", cp, sp, 23, 2, 0, 0x80, 0, length) + co +
            struct.pack(">BBH", 0x32, 0, 4 + len(nonce)) + nonce)


def ends(sock, seconds=10):
    """What comes until the other end closes; a reset counts as an end."""
    sock.settimeout(seconds * bs.SLOW)
    got = b""
    try:
        while True:
            piece = sock.recv(4096)
            if not piece:
                return got
            got += piece
    except ConnectionError:
        return got


@test
def strangers():
    """Who knows no gateway id gets not one byte, and no slot for long."""
    node, _ = shared()
    port = node.ports["gateway_port"]
    unknown, malformed = node.stat("gateway_unknown"), node.stat("gateway_malformed")
    for data in (hello(), hello(sp=0x41234567), hello(flags=1)):
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            s.sendall(data)
            equal(ends(s), b"", "answer to a stranger")
    equal(node.stat("gateway_unknown"), unknown + 3, "unknown")
    for data in (hello(length=65), b"GET / HTTP/1.1\r\nHost: relay.example.com\r\n" + b"x" * 66):
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            s.sendall(data)
            equal(ends(s), b"", "answer to nonsense")
    equal(node.stat("gateway_malformed"), malformed + 2, "malformed")
    silent = node.stat("gateway_no_handshake")
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(hello()[:40])
        equal(ends(s, 15), b"", "answer to half a handshake")
    equal(node.stat("gateway_no_handshake"), silent + 1, "silent")


@test
def relay_killed():
    """A server that dies under a relayed connection gives the client an error within its time."""
    node = bs.Node(workers=1).start()
    alice = node.client("alice@example.com")
    node.allow("alice@example.com")
    device = node.device(ID)
    r = node.connect(alice, "--relay", "tcp", "rpc", ID, "get_weather")
    equal(r.returncode, 0, "before")
    device.process.p.send_signal(signal.SIGSTOP)
    p = background(node, alice, "--relay", "tcp", "--timeout", "8", "rpc", ID, "get_weather")
    bs.until("the attempt", lambda: node.stat("connect_sent") >= 2, 10)
    node.process.p.kill()
    start = time.time()
    code = p.p.wait(30 * bs.SLOW)
    check(code != 0, "it ended well")
    check(time.time() - start < 12 * bs.SLOW, "it took longer than its timeout")
    device.process.p.send_signal(signal.SIGCONT)
    p.reader.join(10)
    check(p.output().strip() != "", "no word about why")


class Stream:
    """A tunnel over a relay to a service that sends without end; used as a context."""

    def __init__(self, node, cert, relay):
        self.service = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()
        target = f"127.0.0.1:{self.service.getsockname()[1]}"
        self.device = bs.Process([bs.program("bs-tunnel-device"), "--id", "t.p2p.example",
                                  "--secret-file", node.add_device("t.p2p.example"),
                                  "--controller", "127.0.0.1", "--port",
                                  node.ports["controller_port"], "--alive-ms", "500", "--allow",
                                  target])
        self.device.expect("bs-tunnel-device: attached")
        self.client = background(node, cert, "--relay", relay, "--json", "tunnel",
                                 "t.p2p.example", f"0:{target}")
        line = self.client.expect('"event":"listening"')
        self.s = socket.create_connection(("127.0.0.1", json.loads(line)["local_port"]))
        self.s.settimeout(30 * bs.SLOW)
        self.client.expect('"event":"opened"', 20)

    def serve(self):
        c, _ = self.service.accept()
        try:
            while True:
                c.sendall(b"0123456789abcdef" * 4096)
        except OSError:
            pass

    def read(self, n):
        """Read n bytes; seconds that it took."""
        start = time.time()
        while n > 0:
            piece = self.s.recv(min(n, 65536))
            check(piece != b"", f"the stream ended: {self.client.output()}")
            n -= len(piece)
        return time.time() - start

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()
        self.client.stop()
        self.device.stop()
        self.service.close()


def rss(pid):
    """Resident memory in KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


@test
def streams():
    """A stream runs over either relay; one that nobody reads stops the sender, and no more."""
    bs.forget_freed_memory()
    for relay in ("tcp", "tls"):
        node = bs.Node(workers=2).start()
        alice = node.client("alice@example.com")
        node.allow("alice@example.com")
        with Stream(node, alice, relay) as t:
            t.read(8 << 20)
            before = rss(node.process.p.pid)
            client = rss(t.client.p.pid)
            time.sleep(3)
            moved = node.stat("gateway_to_client_bytes")
            time.sleep(2)
            check(node.stat("gateway_to_client_bytes") - moved < 1 << 20, "the sender goes on")
            check(rss(node.process.p.pid) - before < 4096, "the server's memory grows")
            check(rss(t.client.p.pid) - client < 8192, "the client's memory grows")
            t.read(8 << 20)
        node.stop()


@test
def limits():
    """The limits of relays hold for it: a rate delays, and nothing is lost."""
    node = bs.Node(workers=2, relay_rate_connection_down="8Mbit/s").start()
    alice = node.client("alice@example.com")
    node.allow("alice@example.com")
    with Stream(node, alice, "tcp") as t:
        t.read(2 << 20)
        took = t.read(2 << 20)
        check(took > 1.5, f"2 MiB at 8 Mbit/s took {took:.1f} s")
        equal(node.stat("gateway_dropped"), 0, "packets left out")
    node.stop()


@test
def revoked():
    """A client that is revoked loses its legs within a second, over TCP and over TLS."""
    for relay in ("tcp", "tls"):
        node = bs.Node(workers=2).start()
        alice = node.client("alice@example.com")
        node.allow("alice@example.com")
        with Stream(node, alice, relay) as t:
            t.read(1 << 20)
            equal(node.stat("gateway_bridges"), 1, "bridges")
            node.bsctl("client", "revoke", "alice@example.com")
            start = time.time()
            bs.until("the end", lambda: node.stat("gateway_bridges") == 0, 5)
            check(time.time() - start < 1.5 * bs.SLOW, "it took longer than a second")
        node.stop()


@test
def relay_dies():
    """A server that dies under a stream ends it with a word about the relay, in time."""
    for relay in ("tcp", "tls"):
        node = bs.Node(workers=1).start()
        alice = node.client("alice@example.com")
        node.allow("alice@example.com")
        with Stream(node, alice, relay) as t:
            t.read(1 << 20)
            node.process.p.kill()
            t.client.expect("TCP relay closed", 10)


@test
def not_offered():
    """A server that offers no TCP relay says so to a client that has no other way."""
    node = bs.Node(gateway="no").start()
    alice = node.client("alice@example.com")
    node.allow("alice@example.com")
    node.device(ID)
    r = node.connect(alice, "--relay", "tcp", "info", ID, ok=False, seconds=30)
    equal(r.returncode, NO_DEVICE, "status")
    equal(node.stat("gateway_offered"), 0, "offers")
    node.stop()


if __name__ == "__main__":
    bs.main()
