#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The client gate of a running server, byte by byte: an independent client in Python's own TLS."""
import hashlib
import hmac
import os
import socket
import ssl
import struct
import sys
import time

import bs

HELLO, CONNECT, DISCONNECT, WATCH, EVENT, LIST, ERROR, PING, PROBE = 64, 65, 66, 67, 68, 70, 72, 32, 30
OK, CLOSED, NOT_ATTACHED, REFUSED = 1, 2, 0x8007, 0x800D
CLIENT_CERT, CERT_ID, RATE, DRAINING, MALFORMED, VERSION = 0x8003, 0x8006, 0x8101, 0x8102, 0x8103, 0x8104
CURSOR = 0x8106
ALPN = "basestation/1"
ANN = "ann@example.test"
DEVICE = "gate1.example.test"


def payload(kind, data, flags=0):
    return struct.pack(">BBH", kind, flags, 4 + len(data)) + data


def packet(kind, seq, payloads=b"", cp=0x0BADCAFE, sp=0, flags=0, version=2):
    return struct.pack(">IIBBBBHH", cp, sp, kind, version, 0, flags, seq, 16 + len(payloads)) + payloads


class Packet:
    """One decoded packet: header fields and (type, data) of each payload."""

    def __init__(self, raw):
        (self.cp, self.sp, self.type, self.version, _, self.flags, self.seq,
         self.length) = struct.unpack(">IIBBBBHH", raw[:16])
        self.payloads = []
        at = 16
        while at < len(raw):
            kind, _, n = struct.unpack(">BBH", raw[at:at + 4])
            self.payloads.append((kind, raw[at + 4:at + n]))
            at += n

    def all(self, kind):
        return [d for k, d in self.payloads if k == kind]

    def first(self, kind):
        found = self.all(kind)
        bs.check(found, f"packet {self.type} has no payload {kind:#x}")
        return found[0]

    @property
    def status(self):
        return struct.unpack(">H", self.first(0x63)[:2])[0]

    @property
    def text(self):
        return self.first(0x63)[2:].decode()


def endpoint(data):
    """(address, port, kind) of an EP6 payload."""
    ip = data[:16]
    port, kind = struct.unpack(">HB", data[16:19])
    if ip[:12] == b"\0" * 10 + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, ip[12:]), port, kind
    return socket.inet_ntop(socket.AF_INET6, ip), port, kind


class Gate:
    """A TLS session with the gate."""

    def __init__(self, node, cert, alpn=(ALPN,), version=None, session=None, host="127.0.0.1",
                 context=None):
        self.node = node
        self.ctx = context or make_context(node, cert, alpn, version)
        raw = socket.create_connection((host, node.ports["client_port"]), timeout=10 * bs.SLOW)
        self.sock = self.ctx.wrap_socket(raw, server_hostname="localhost", session=session)
        self.buffer = b""
        self.seq = 0
        self.hello_answer = None

    def send(self, kind, payloads=b"", **kw):
        self.seq += 1
        self.sock.sendall(packet(kind, self.seq, payloads, **kw))
        return self.seq

    def recv(self, seconds=10):
        """The next packet; None at the end of the session."""
        self.sock.settimeout(seconds * bs.SLOW)
        while True:
            if len(self.buffer) >= 16:
                n = struct.unpack(">H", self.buffer[14:16])[0]
                if len(self.buffer) >= n:
                    raw, self.buffer = self.buffer[:n], self.buffer[n:]
                    return Packet(raw)
            try:
                data = self.sock.recv(4096)
            except (ssl.SSLError, ConnectionError) as e:
                if isinstance(e, (TimeoutError, socket.timeout)) or "timed out" in str(e):
                    raise bs.Failure("no packet in time") from None
                self.error = e
                return None
            if not data:
                return None
            self.buffer += data

    def ask(self, kind, payloads=b"", **kw):
        """A request and its answer; events in between are kept."""
        seq = self.send(kind, payloads, **kw)
        while True:
            p = self.recv()
            bs.check(p is not None, f"session ended instead of answering {kind}")
            if p.type == kind and p.flags & 1:
                bs.equal(p.seq, seq, "sequence number of the answer")
                return p

    def hello(self, versions=(1, 1), keepalive=30):
        version = struct.pack(">HIII", 1, 1, 0, 0)
        caps = struct.pack(">BII", 0, 0x100, 0x100)
        params = struct.pack(">BBH", 1, 4, keepalive) + struct.pack(">BBBB", 6, 4, *versions)
        p = self.ask(HELLO, payload(0x3A, version) + payload(0x3B, caps) + payload(0x67, params))
        if p.status == OK:
            self.hello_answer = p
        return p

    def ended(self, seconds=10):
        while True:
            if self.recv(seconds) is None:
                return True

    def connect(self, device, attempt=None, bits=0x100):
        attempt = attempt or os.urandom(8)
        caps = struct.pack(">BII", 0, bits, bits)
        return self.ask(CONNECT, payload(0x31, b"\x02" + device.encode()) + payload(0x65, attempt) +
                        payload(0x3B, caps))

    def watch(self, *ids, params=b""):
        body = b"".join(payload(0x31, b"\x02" + i.encode()) for i in ids)
        return self.ask(WATCH, body + (payload(0x67, params) if params else b""))

    def probe(self, counter, index=0, ask=0, token=None, to=None, sock=None):
        """Send a probe to one of the named endpoints; the answer, or None."""
        p = self.hello_answer
        token = token or p.first(0x60)
        ends = [endpoint(d) for d in p.all(0x62)]
        ends = [e[:2] for e in ends if e[2] == 4 and ":" not in e[0]]
        body = struct.pack(">BBBBI", 1, index, ask, 0, counter) + bytes(28)
        raw = struct.pack(">IIBBBBHH", 0x0BADCAFE, p.sp, PROBE, 2, 0, 0, counter & 0xFFFF, 72)
        raw += struct.pack(">BBH", 0x32, 0, 56) + body
        raw += hmac.new(token, raw, hashlib.sha256).digest()[:16]
        bs.equal(len(raw), 72, "bytes of a probe")
        s = sock or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(1 * bs.SLOW)
        s.sendto(raw, to or ends[index % len(ends)])
        try:
            data, self.probe_from = s.recvfrom(512)
        except socket.timeout:
            return None
        bs.check(len(data) < len(raw), "probe answer is not shorter than the probe")
        return Packet(data)

    def close(self):
        try:
            self.sock.close()
        except OSError:
            pass


def make_context(node, cert, alpn=(ALPN,), version=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.load_verify_locations(node.path("ca/ca.crt"))
    if cert:
        ctx.load_cert_chain(cert[0], cert[1])
    if alpn:
        ctx.set_alpn_protocols(list(alpn))
    if version:
        ctx.minimum_version = ctx.maximum_version = version
    return ctx


NODE = None


def node():
    """The node that most tests share: one client, one device that is there."""
    global NODE
    if NODE is None:
        NODE = bs.Node(hello_timeout="1s", handshake_rate="1000/s").start()
        NODE.ann = NODE.client(ANN)
        NODE.allow(ANN, "gate*")
        NODE.weather = NODE.device(DEVICE)
        NODE.add_device("gate-offline.example.test")
        NODE.add_device("secret.example.test")
    return NODE


def session(**kw):
    g = Gate(node(), node().ann, **kw)
    bs.equal(g.hello().status, OK, "status of HELLO")
    return g


@bs.test
def hello():
    """HELLO names endpoints, token, node and parameters in both TLS versions"""
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        g = session(version=version)
        bs.equal(g.sock.version(), name, "TLS version")
        bs.equal(g.sock.selected_alpn_protocol(), ALPN, "ALPN")
        p = g.hello_answer
        bs.check(p.sp >= 1 << 20, "probe number is too small")
        bs.equal(len(p.first(0x60)), 16, "bytes of the token")
        kinds = [endpoint(d) for d in p.all(0x62)]
        bs.equal({e[1] for e in kinds if e[2] == 4},
                 {node().ports["controller_port"], node().ports["attach_port"]}, "probe ports")
        bs.equal([e[1] for e in kinds if e[2] == 2], [g.sock.getsockname()[1]], "port as seen")
        bs.equal(p.first(0x64)[2:], b"localhost", "node name")
        g.close()


@bs.test
def probe():
    """PROBE over UDP shows the client's mapping, and only to who knows the token"""
    g = session()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    for n in (1, 2):
        p = g.probe(n, index=n - 1, sock=s)
        bs.check(p, "probe was not answered")
        bs.equal([endpoint(d)[:2] for d in p.all(0x62)], [s.getsockname()], "mapping")
        bs.equal(p.sp, g.hello_answer.sp, "number in the answer")
    bs.equal(g.probe_from[1], node().ports["attach_port"], "port that answered")
    p = g.probe(3, index=0, ask=1, sock=s)
    bs.equal(g.probe_from[1], node().ports["attach_port"], "other port that answered")
    bs.check(g.probe(3, sock=s) is None, "a repeated counter was answered")
    bs.check(g.probe(9, token=bytes(16), sock=s) is None, "a probe without the token was answered")
    got = sum(g.probe(100 + i, sock=s) is not None for i in range(15))
    bs.equal(got, 13, "answers left of the token's sixteen")
    bs.equal(g.ask(PING).flags, 1, "flags of the ping answer")
    bs.check(g.probe(200, sock=s), "a renewed token was not answered")
    g.close()


@bs.test
def connects():
    """CONNECT gives key and endpoints; the same attempt again is not a new one"""
    g = session()
    p = g.connect(DEVICE)
    bs.equal(p.status, OK, "status")
    bs.equal(p.payloads[0][0], 0x35, "first payload")
    bs.equal(len(p.payloads[0][1]), 29, "bytes of IPX")
    suite, = struct.unpack(">H", p.first(0x61)[:2])
    bs.equal((suite, len(p.first(0x61))), (0x230A, 98), "session key")
    bs.equal(struct.unpack(">I", p.payloads[0][1][13:17])[0], p.sp, "connection number in IPX")
    end = g.ask(DISCONNECT, sp=p.sp)
    bs.equal((end.status, end.sp), (OK, p.sp), "answer to DISCONNECT")
    bs.equal(g.ask(DISCONNECT, sp=p.sp).status, CLOSED, "second DISCONNECT")
    attempt = os.urandom(8)
    first = g.connect(DEVICE, attempt)
    again = g.connect(DEVICE, attempt)
    bs.equal(first.status, OK, "status of a fresh attempt")
    bs.check(again.status != OK or again.sp == first.sp, "one attempt made two connections")
    bs.equal(g.connect("gate-offline.example.test").status, NOT_ATTACHED, "device that is away")
    g.close()


@bs.test
def no_oracle():
    """Unknown and forbidden devices look the same, also to a clock"""
    g = session()
    seen, times = set(), {}
    for name in ("secret.example.test", "nobody.example.test"):
        spent = []
        for _ in range(15):
            start = time.monotonic()
            p = g.connect(name, b"12345678")
            spent.append(time.monotonic() - start)
            seen.add((p.status, p.text, p.length, tuple(k for k, _ in p.payloads)))
        times[name] = sorted(spent)[len(spent) // 2]
        w = g.watch(name)
        seen.add((p.status, p.text, p.length, tuple(k for k, _ in p.payloads)))
        bs.equal(w.status, REFUSED, f"watch of {name}")
        time.sleep(0.5)
    bs.equal(len(seen), 1, "different answers")
    bs.equal(seen.pop()[0], REFUSED, "status")
    a, b = times.values()
    bs.check(max(a, b) < 0.05 * bs.SLOW, f"a refusal took {max(a, b)} s")
    g.close()


@bs.test
def resumption():
    """Sessions are resumed in both TLS versions, on whatever worker answers"""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        ctx = make_context(node(), node().ann, version=version)
        g = Gate(node(), None, context=ctx)
        g.hello()
        bs.check(not g.sock.session_reused, "a first session was resumed")
        ticket = g.sock.session
        g.close()
        reused = 0
        for _ in range(6):
            g = Gate(node(), None, context=ctx, session=ticket)
            bs.equal(g.hello().status, OK, "HELLO of a resumed session")
            reused += g.sock.session_reused
            ticket = g.sock.session
            g.close()
        bs.equal(reused, 6, f"resumed sessions of {version!r}")


@bs.test
def watch_and_events():
    """WATCH tells the state, EVENT every change, unsubscribe ends it"""
    n = node()
    d = n.device("gate2.example.test")
    g = session()
    p = g.watch("gate2.example.test", "gate-offline.example.test")
    states = {d[17:]: d[8] for d in p.all(0x68)}
    bs.equal(states, {b"gate2.example.test": 1, b"gate-offline.example.test": 0}, "states")
    d.kill()
    e = g.recv(15)
    bs.equal((e.type, e.seq), (EVENT, 0), "event")
    bs.equal((e.first(0x68)[8], e.first(0x68)[17:]), (0, b"gate2.example.test"), "presence")
    gone, = struct.unpack(">Q", e.first(0x68)[:8])
    d.start()
    e = g.recv(15)
    bs.equal(e.first(0x68)[8], 1, "state after the device came back")
    bs.check(struct.unpack(">Q", e.first(0x68)[:8])[0] > gone, "event numbers do not rise")
    bs.equal(g.watch("gate2.example.test", params=b"\x08\x02").status, OK, "unsubscribe")
    d.kill()
    bs.until("device gone", lambda: n.stat("alive_timeout") >= 2, 15)
    bs.equal(g.ask(PING).type, PING, "first packet after unsubscribing")
    g.close()


@bs.test
def list_pages():
    """LIST pages through many devices, over changes, and refuses old cursors"""
    n = node()
    rows = n.path("many.csv")
    with open(rows, "w", encoding="utf-8") as f:
        f.write("id,secret\n")
        for i in range(150):
            f.write(f"gate-list-{i:03d}.example.test,{os.urandom(16).hex()}\n")
    n.bsctl("device", "import", rows)
    g = session()
    seen, cursor = [], b""
    for page in range(10):
        p = g.ask(LIST, payload(0x6C, cursor) if cursor else b"")
        bs.equal(p.status, OK, "status of LIST")
        seen += [d[17:].decode() for d in p.all(0x68)]
        if not p.all(0x6C):
            break
        cursor = p.first(0x6C)
        if page == 0:
            n.bsctl("device", "delete", seen[-1])
    listed = [i for i in seen if i.startswith("gate-list-")]
    bs.equal(len(set(listed)), 150, "devices listed")
    bs.equal(listed, sorted(listed), "order of the list")
    bs.check("secret.example.test" not in seen, "a forbidden device was listed")
    bs.equal(g.ask(LIST, payload(0x6C, b"\x01" + bytes(8) + b"gate")).status, CURSOR, "old cursor")
    bs.equal(g.ask(LIST, payload(0x6C, os.urandom(40))).status, CURSOR, "cursor of nobody")
    g.close()


@bs.test
def refused_clients():
    """No certificate, wrong protocol, old TLS, bad identity: each is refused"""
    n = node()

    def refused(counter, **kw):
        before = n.stat(counter)
        try:
            g = Gate(n, **kw)
            bs.check(g.recv() is None, "a packet after a refused handshake")
        except (ssl.SSLError, ConnectionError):
            pass
        bs.until(counter, lambda: n.stat(counter) == before + 1)

    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        refused("gate_refused_no_cert", cert=None, version=version)
        refused("gate_refused_alpn", cert=n.ann, alpn=(), version=version)
        refused("gate_refused_alpn", cert=n.ann, alpn=("h2",), version=version)
    other = bs.Node(own_ca=True)
    refused("gate_refused_untrusted", cert=other.client("eve@example.test"),
            context=foreign(n, other.path("eve_example_test")))
    g = Gate(n, None, context=odd_identity(n))
    p = g.recv()
    bs.equal((p.type, p.status), (ERROR, CERT_ID), "answer to a bad identity")
    bs.check("common name" in p.text, f"reason is {p.text!r}")
    bs.check(g.ended(), "session with a bad identity goes on")


def foreign(n, prefix):
    return make_context(n, (prefix + ".crt", prefix + ".key"))


def odd_identity(n):
    """A certificate of the node's CA with two common names."""
    key, csr, crt = n.path("odd.key"), n.path("odd.csr"), n.path("odd.crt")
    bs.run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", csr,
            "-subj", "/CN=one/CN=two"])
    bs.run(["openssl", "x509", "-req", "-in", csr, "-CA", n.path("ca/ca.crt"), "-CAkey",
            n.path("ca/ca.key"), "-days", "1", "-out", crt, "-set_serial", "0x7777"])
    return make_context(n, (crt, key))


@bs.test
def hostile_packets():
    """Malformed packets end the session with a reason and nothing else with it"""
    n = node()
    good = session()
    rows = [packet(PING, 1, version=1), packet(PING, 1)[:14] + b"\x00\x0f",
            packet(PING, 1)[:14] + b"\xff\xff", packet(33, 1), packet(128, 1),
            packet(PING, 1, flags=1), packet(LIST, 1, payload(0x7E, b"")),
            packet(LIST, 1, b"\x7e\x00\x00\x03"), os.urandom(64)]
    for raw in rows:
        g = session()
        g.sock.sendall(raw)
        p = g.recv()
        bs.check(p.type == ERROR and p.status in (MALFORMED, VERSION), f"{raw.hex()}: {p.type}")
        bs.check(g.ended(), f"{raw.hex()}: the session goes on")
    for kind in (CONNECT, WATCH):
        g = session()
        bs.equal(g.ask(kind).status, MALFORMED, "request without its payloads")
        bs.equal(g.ask(PING).type, PING, "session after a bad request")
        g.close()
    g = Gate(n, n.ann)
    bs.equal(g.hello(versions=(7, 9)).status, VERSION, "status of a client from the future")
    g.send(PING)
    bs.equal(g.recv().status, MALFORMED, "ping before HELLO")
    bs.equal(good.ask(PING).type, PING, "the other session")
    good.close()


@bs.test
def slow_and_silent():
    """Silent handshakes, late HELLOs and half packets end in time"""
    n = node()
    start = time.monotonic()
    raw = socket.create_connection(("127.0.0.1", n.ports["client_port"]))
    raw.sendall(b"\x16\x03\x01")
    late = Gate(n, n.ann)
    half = Gate(n, n.ann)
    half.sock.sendall(packet(HELLO, 1)[:9])
    raw.settimeout(10 * bs.SLOW)
    bs.equal(raw.recv(1), b"", "silent handshake")
    bs.check(late.ended() and half.ended(), "session without HELLO goes on")
    bs.check(time.monotonic() - start < 3 * bs.SLOW, "the limits came late")
    bs.check(n.stat("gate_hello_timeout") >= 2, "hello timeouts are not counted")
    bs.check(n.stat("gate_handshake_timeout") >= 1, "handshake timeouts are not counted")


@bs.test
def too_many():
    """Sessions beyond max-clients and the rate of a source are refused and counted"""
    n = bs.Node(workers=1, max_clients=5, handshake_rate="1000/s").start()
    ann = n.client(ANN)
    open_ones = [Gate(n, ann) for _ in range(5)]
    for g in open_ones:
        bs.equal(g.hello().status, OK, "HELLO below the limit")
    try:
        Gate(n, ann)
        raise bs.Failure("a session beyond the limit was accepted")
    except (ssl.SSLError, ConnectionError):
        pass
    bs.equal(n.stat("gate_full"), 1, "refusals at the limit")
    open_ones.pop().close()
    bs.until("a free place", lambda: n.stat("gate_sessions") == 4)
    g = Gate(n, ann)
    bs.equal(g.hello().status, OK, "HELLO in the free place")
    n.set(handshake_rate="1/s")
    n.bsctl("conf", "reload")
    refused = 0
    for g in open_ones:
        g.close()
    for _ in range(8):
        try:
            Gate(n, ann).close()
        except (ssl.SSLError, ConnectionError):
            refused += 1
    bs.check(refused >= 4, f"only {refused} of 8 quick sessions were refused")
    counted = n.stat("gate_source_rate")
    bs.check(counted >= 1 and counted + n.stat("gate_full") > refused, f"{counted} are counted")
    n.stop()


@bs.test
def revocations():
    """Within a second of its revocation nothing of a client is left"""
    n = node()
    bob = n.client("bob@example.test")
    n.allow("bob@example.test", DEVICE)
    sessions = [Gate(n, bob) for _ in range(4)]
    for g in sessions:
        bs.equal(g.hello().status, OK, "HELLO before")
    conn = sessions[0].connect(DEVICE)
    bs.equal(conn.status, OK, "CONNECT before")
    closed = n.stat("close_sent")
    n.bsctl("client", "revoke", "bob@example.test")
    start = time.monotonic()
    for g in sessions:
        p = g.recv(2)
        bs.equal((p.type, p.status), (ERROR, CLIENT_CERT), "word of the server")
        bs.check(g.ended(2), "session of a revoked client goes on")
    bs.check(time.monotonic() - start < 1 * bs.SLOW, "the end came late")
    bs.until("device told", lambda: n.stat("close_sent") > closed, 2)
    try:
        g = Gate(n, bob)
        bs.check(g.recv() is None, "a revoked client came back")
    except (ssl.SSLError, ConnectionError):
        pass


@bs.test
def withdrawn_right():
    """A right that is withdrawn ends the connection it allowed, and the session goes on"""
    n = node()
    eve = n.client("carol@example.test")
    n.allow("carol@example.test", DEVICE)
    g = Gate(n, eve)
    g.hello()
    conn = g.connect(DEVICE)
    bs.equal(conn.status, OK, "CONNECT while allowed")
    n.bsctl("access", "deny", "carol@example.test", "gate1.*")
    e = g.recv(3)
    bs.equal((e.type, e.sp, e.status), (EVENT, conn.sp, REFUSED), "event")
    bs.equal(g.connect(DEVICE).status, REFUSED, "CONNECT afterwards")
    g.close()


@bs.test
def reload_keeps_sessions():
    """A reload with another certificate keeps old sessions and serves new ones with it"""
    n = node()
    g = session()

    def seen():
        new = session()
        cert = new.sock.getpeercert()["serialNumber"]
        new.close()
        return cert

    before = seen()
    n.ca("issue", "server", "localhost", "127.0.0.1", "::1", "--out", n.path("server2"))
    for kind in ("crt", "key"):
        os.replace(n.path(f"server2.{kind}"), n.path(f"server.{kind}"))
    n.bsctl("conf", "reload")
    bs.until("the new certificate", lambda: seen() != before)
    bs.equal(g.ask(PING).type, PING, "old session")
    with open(n.path("server.key"), "a", encoding="utf-8") as f:
        f.truncate(10)
    n.bsctl("conf", "reload", ok=False)
    bs.check(seen() != before, "a bad reload took the certificate away")
    g.close()


@bs.test
def over_ip6():
    """The gate answers on IPv6 and names the endpoints of both families"""
    g = session(host="::1")
    ends = [endpoint(d) for d in g.hello_answer.all(0x62)]
    bs.check(any(e[0] == "::1" and e[2] == 2 for e in ends), "source as seen")
    bs.check(any(":" in e[0] and e[2] == 4 for e in ends), "no IPv6 endpoint to probe")
    bs.check(any("." in e[0] and e[2] == 4 for e in ends), "no IPv4 endpoint to probe")
    g.close()


@bs.test
def says_goodbye():
    """At its stop the server tells its clients"""
    global NODE
    n = node()
    g = session()
    n.stop()
    NODE = None
    p = g.recv()
    bs.equal((p.type, p.status), (EVENT, DRAINING), "last packet")
    bs.check(g.ended(), "session after the stop")


if __name__ == "__main__":
    sys.exit(bs.main())
