# SPDX-License-Identifier: Apache-2.0
"""bench_tls - rows of the client gate: mutual RSA-2048 handshakes beside nginx and HAProxy.

All three run on the same OpenSSL with the same certificate, client CA and CRL, take connections
when their first bytes are there, and get the same load from the same generator (bstls): UNDER_WAY
handshakes at a time, in turns of a part of a second each, so that other work on the machine meets
all of them alike.  Clients show CERTS different certificates one after the other, more than any
memory of known chains holds, unless the row says that the chain is known.  The rows of resumed
handshakes have a further peer, "own full": the node's own full handshakes with such clients, in the
same turns.

Row handshake-cost splits what a connection costs the node.  Measured: the process's CPU time per
connection (schedstat); system time in it (the kernel's ticks), which is TCP, epoll and waiting, for
the server calls the kernel for nothing else; and user time inside libcrypto by purpose, each call
timed in the server at work (tlscost.c, which says what belongs to what).  Computed: the rest, which
is libssl's state machine, sessions, the gate, the event loop, allocation.  What the timing itself
costs is measured, too, and subtracted.
"""
import os
import signal
import struct
import subprocess

import bench_common as common
import bench_udp
import bs

BSTLS = bs.program("tests/bench/bstls")
UNDER_WAY = 16
# What the node prefers; the peers get the same.
SUITE = "TLS_AES_128_GCM_SHA256"
CERTS = 4096
TURNS = 4
# Devices that keep alive while handshakes flood the worker.
FLOODED = 1000
TLSCOST = bs.program("tests/bench/tlscost.so")
# The parts as tlscost.c numbers them, and what of the user time is none of them.
PARTS = ("sign", "verify", "decode", "exchange", "keys", "record", "ticket")
COST_KINDS = {"full-13": ("13", "full", False), "resumed-13": ("13", "resumed", True),
              "full-12": ("12", "full", False), "resumed-12": ("12", "resumed", True)}
# Sessions of the row about their memory.
SESSIONS = int(os.environ.get("BENCH_SESSIONS", "5000"))


class Server:
    """A process that is measured, with one kind of load."""

    def __init__(self, pid, port, alpn="-", process=None):
        self.pid, self.port, self.alpn, self.process = pid, port, alpn, process
        self.forget()

    def forget(self):
        """Begin the bill."""
        self.count, self.used, self.wall = 0, 0.0, 0.0

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()


class Site:
    """A node, the peers that are installed, and a client with many certificates for one key."""

    def __init__(self, peers=True, **conf):
        self.n = n = common.node(conf.pop("devices", 10), max_clients=4000, **conf)
        self.cert, self.key = n.client("bench@example.test")
        self.many = n.path("many.pem")
        subprocess.run([BSTLS, "certificates", n.path("ca/ca.crt"), n.path("ca/ca.key"), self.cert,
                        str(CERTS), self.many], check=True)
        self.servers = {"basestationd": Server(n.process.p.pid, n.ports["client_port"],
                                               "basestation/1")}
        if peers:
            self.servers["nginx"] = self.nginx()
            self.servers["haproxy"] = self.haproxy()

    def stop(self):
        for s in self.servers.values():
            if s:
                s.stop()
        self.n.stop()

    def nginx(self):
        """nginx with one worker on core 0; None where it is not installed."""
        program = common.installed("nginx")
        if not program:
            return None
        n, port, conf = self.n, common.free_port(), self.n.path("nginx.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"""worker_processes 1; daemon off; pid {n.path('nginx.pid')};
error_log {n.path('nginx.log')}; user root;
events {{ worker_connections 8192; multi_accept on; }}
http {{ access_log off; server {{ listen 127.0.0.1:{port} ssl backlog=1024 deferred;
ssl_certificate {n.path('server.crt')}; ssl_certificate_key {n.path('server.key')};
ssl_client_certificate {n.path('ca/ca.crt')}; ssl_verify_client on; ssl_crl {n.path('ca/ca.crl')};
ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on; ssl_ecdh_curve X25519;
ssl_ciphers ECDHE+AES128+AESGCM; ssl_prefer_server_ciphers on;
ssl_conf_command Ciphersuites {SUITE}; client_header_timeout 600; return 204; }} }}
""")
        p = subprocess.Popen([program, "-p", n.dir, "-c", conf], stderr=subprocess.DEVNULL)
        bs.until("nginx", lambda: common.port_open(port))
        pid = bs.until("nginx's worker", lambda: children(p.pid))[0]
        common.pin(pid)
        return Server(pid, port, process=p)

    def haproxy(self):
        """HAProxy with one thread on core 0; None where it is not installed."""
        program = common.installed("haproxy")
        if not program:
            return None
        n, port, conf = self.n, common.free_port(), self.n.path("haproxy.cfg")
        pem = n.path("haproxy.pem")
        with open(pem, "w", encoding="ascii") as f:
            for part in ("server.crt", "server.key"):
                f.write(open(n.path(part), encoding="ascii").read())
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"""global
 nbthread 1
 maxconn 4000
 tune.ssl.cachesize 0
defaults
 mode http
 timeout client 600s
 timeout http-request 600s
frontend f
 bind 127.0.0.1:{port} ssl crt {pem} ca-file {n.path('ca/ca.crt')} crl-file \
{n.path('ca/ca.crl')} verify required ssl-min-ver TLSv1.2 ciphers ECDHE+AES128+AESGCM ciphersuites \
{SUITE} curves X25519 backlog 1024 defer-accept
 http-request return status 204
""")
        p = subprocess.Popen([program, "-db", "-q", "-f", conf], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        bs.until("haproxy", lambda: common.port_open(port))
        common.pin(p.pid)
        return Server(p.pid, port, process=p)

    def generator(self, server, seconds, version, mode, known, under_way=UNDER_WAY,
                  source="127.0.0.1"):
        """The command of one run of the generator."""
        return [str(a) for a in (
            *common.ON_LOAD_CORE, BSTLS, f"127.0.0.1/{source}", server.port, seconds, under_way,
            version, mode, self.n.path("ca/ca.crt"), self.cert if known else self.many, self.key,
            server.alpn)]

    def turn(self, server, seconds, version, mode, known):
        """Let one server do handshakes, and add them to its bill."""
        with common.Usage(server.pid) as u:
            r = subprocess.run(self.generator(server, seconds, version, mode, known),
                               stdout=subprocess.PIPE, text=True, check=True)
        done, failed = map(int, r.stdout.split("end ", 1)[1].split()[:2])
        if failed:
            raise SystemExit(f"bench: {failed} handshakes failed, {done} succeeded")
        server.count += done
        server.used += u.cpu
        server.wall += u.wall


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(p) for p in f.read().split()]


def handshakes(seconds, version, mode, known):
    """Handshakes per CPU-second of the node and of each peer."""
    site = Site()
    load = {name: (s, version, mode, known) for name, s in site.servers.items() if s}
    if mode == "resumed":
        own = site.servers["basestationd"]
        load["own full"] = Server(own.pid, own.port, own.alpn), version, "full", False
    for server, *kind in load.values():
        site.turn(server, 0.2, *kind)
        server.forget()
    for _ in range(TURNS):
        for server, *kind in load.values():
            site.turn(server, seconds / TURNS, *kind)
    site.stop()
    rate = dict.fromkeys(site.servers)
    for name, (server, *_) in load.items():
        if not server.count:
            raise SystemExit("bench: no handshake in the whole turn of a server")
        rate[name] = server.count / server.used
    return {"value": rate.pop("basestationd"), "peers": rate,
            "busy": {name: server.used / server.wall for name, (server, *_) in load.items()}}


def row_full12(seconds):
    """Full mutual RSA-2048 handshakes, TLS 1.2, of clients never seen before"""
    return handshakes(seconds, "12", "full", False)


def row_full13(seconds):
    """Full mutual RSA-2048 handshakes, TLS 1.3, of clients never seen before"""
    return handshakes(seconds, "13", "full", False)


def row_known12(seconds):
    """Full mutual RSA-2048 handshakes, TLS 1.2, of a client whose chain is known"""
    return handshakes(seconds, "12", "full", True)


def row_known13(seconds):
    """Full mutual RSA-2048 handshakes, TLS 1.3, of a client whose chain is known"""
    return handshakes(seconds, "13", "full", True)


def row_resumed12(seconds):
    """Resumed handshakes, TLS 1.2"""
    return handshakes(seconds, "12", "resumed", True)


def row_resumed13(seconds):
    """Resumed handshakes, TLS 1.3"""
    return handshakes(seconds, "13", "resumed", True)


class Sums:
    """The file that tlscost.c keeps: nanoseconds, calls, interrupted calls, by part."""

    ROW = struct.Struct("=QQQ")

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.truncate(self.ROW.size * (len(PARTS) + 1))

    def read(self):
        with open(self.path, "rb") as f:
            return [self.ROW.unpack(f.read(self.ROW.size)) for _ in range(len(PARTS) + 1)]


def split(server, before, after, ticks):
    """Microseconds per connection by part, of a server that has done server.count of them."""
    clock_ns, clock_calls, _ = after[-1]
    price = clock_ns / clock_calls
    out, timing = {}, 0.0
    for name, old, new in zip(PARTS, before, after):
        ns, calls, cut = (b - a for a, b in zip(old, new))
        # A call that was interrupted took what the others take.
        own = (ns / calls - price / 2) * (calls + cut) if calls else 0
        out[name] = own / 1e3 / server.count
        timing += price * (calls + cut)
    system, total = ticks
    used = 1e6 * server.used / server.count - timing / 1e3 / server.count
    out["tcp"] = 1e6 * server.used / server.count * system / total
    out["rest"] = used - sum(out.values())
    return {"total": used, **out, "timing": timing / 1e3 / server.count}


def row_cost(seconds):
    """Microseconds of the server per handshake, split: sign, verify, decode, record, TCP, more"""
    folder = bs.temporary()
    sums = Sums(os.path.join(folder, "tlscost"))
    site = Site(peers=False, env={**os.environ, "LD_PRELOAD": TLSCOST, "TLSCOST": sums.path})
    server = site.servers["basestationd"]
    splits = {}
    for kind, load in COST_KINDS.items():
        site.turn(server, 0.2, *load)
        server.forget()
        before, ticks = sums.read(), common.system_ticks(server.pid)
        site.turn(server, seconds, *load)
        ticks = [b - a for a, b in zip(ticks, common.system_ticks(server.pid))]
        splits[kind] = split(server, before, sums.read(), ticks)
    site.stop()
    if splits["full-13"]["sign"] <= 0:
        raise SystemExit("bench: no call was timed; is OpenSSL linked statically?")
    return {"value": splits["full-13"]["total"], "splits": splits}


def gate_options(n, cert):
    """How bsload finds the gate of a node."""
    return ["--gate", f"127.0.0.1:{n.ports['client_port']}", "--server-name", "localhost", "--ca",
            n.path("ca/ca.crt"), "--cert", cert[0], "--key", cert[1]]


def row_session_memory(_seconds):
    """Bytes of the server's own memory for each idle client session"""
    n = common.node(10, max_clients=SESSIONS + 100)
    cert = n.client("bench@example.test")
    r = common.load(n, "sessions", "--sessions", SESSIONS, "--seconds", 2, *gate_options(n, cert))
    n.stop()
    return common.note(r["phases"][-1], value=r["bytes_per_session"], sessions=SESSIONS)


def row_connect(seconds, runs):
    """Milliseconds from CONNECT to its answer, p99, the device answering at once"""
    devices = bench_udp.POPULATION
    n = common.node(devices, max_clients=1000, max_connections=10000)
    cert = n.client("bench@example.test")
    n.allow()
    r = common.load(n, "connect", "--devices", devices, "--sessions", 20, "--connects", 200,
                    "--seconds", seconds, "--repeat", runs, *gate_options(n, cert))
    n.stop()
    for phase in common.holds(r):
        yield common.note(phase, value=phase["connect"]["p99_ns"] / 1e6,
                          p50_ms=phase["connect"]["p50_ns"] / 1e6, devices=devices,
                          asked=phase["clients"]["asked"], given=phase["clients"]["connected"])


def polls(n, seconds):
    """The second phase of devices that poll: how long an answer takes."""
    r = common.load(n, "poll", "--devices", FLOODED, "--polls", 200, "--seconds", seconds)
    return common.holds(r)[0]


def row_flooded(seconds):
    """Milliseconds from a poll to its answer, p99, while a handshake flood saturates the worker"""
    site = Site(peers=False, devices=FLOODED)
    n, server = site.n, site.servers["basestationd"]
    calm = polls(n, seconds)
    # Nice, so that it does not keep the devices from seeing their answers.
    flood = subprocess.Popen(["nice", "-n", "19", *site.generator(
        server, 600, "13", "flood", True, under_way=64)], stdout=subprocess.DEVNULL)
    before = common.cpu_seconds(server.pid)
    bs.until("the flood", lambda: common.cpu_seconds(server.pid) - before > 0.5)
    with common.Usage(server.pid) as u:
        phase = polls(n, seconds)
    # A client from another address, meanwhile: it does not wait for the flood.
    r = subprocess.run(site.generator(server, seconds, "13", "full", True, under_way=1,
                                      source="127.0.0.9"),
                       stdout=subprocess.PIPE, text=True, check=True)
    done, failed, slowest = r.stdout.split("end ", 1)[1].split()
    for pid in children(flood.pid):
        os.kill(pid, signal.SIGKILL)
    flood.kill()
    flood.wait()
    site.stop()
    return common.note(phase, value=phase["poll"]["p99_ns"] / 1e6, peers={
        "no flood": calm["poll"]["p99_ns"] / 1e6}, p50_ms=phase["poll"]["p50_ns"] / 1e6,
        busy=u.cpu / u.wall, waited_share=u.waited / u.wall, client_handshakes=int(done),
        client_failed=int(failed), client_slowest_ms=1e3 * float(slowest))


ROWS = {"handshake-full-12": row_full12, "handshake-full-13": row_full13,
        "handshake-known-12": row_known12, "handshake-known-13": row_known13,
        "handshake-resumed-12": row_resumed12, "handshake-resumed-13": row_resumed13,
        "handshake-cost": row_cost,
        "flooded": row_flooded, "session-memory": row_session_memory, "connect": row_connect}
