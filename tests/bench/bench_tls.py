# SPDX-License-Identifier: Apache-2.0
"""bench_tls - rows of the client gate: handshakes, beside nginx and HAProxy.

The same certificates, CA and client load for all: bsload has a number of connections under way, so
that neither side waits for the other.
"""
import json
import os
import subprocess

import bench_common as common
import bench_udp
import bs

# Connections under way.
CLIENTS = int(os.environ.get("BENCH_CLIENTS", "16"))
# Sessions of the row about their memory.
SESSIONS = int(os.environ.get("BENCH_SESSIONS", "5000"))


def handshakes(n, cert, pid, port, version, resume, seconds, gate):
    """Handshakes per CPU-second of process pid."""
    out = n.path("handshake.json")
    args = [*common.ON_LOAD_CORE, common.LOAD, "handshake", "--gate", f"127.0.0.1:{port}",
            "--server-name", "localhost", "--ca", n.path("ca/ca.crt"), "--cert", cert[0], "--key",
            cert[1], "--tls", version, "--resume", int(resume), "--clients", CLIENTS, "--alpn",
            "basestation/1" if gate else "-", "--pid", pid, "--progress", 0, "--json", out, "--seconds", seconds]
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True,
                       timeout=60 + 4 * seconds, check=False)
    if r.returncode != 0:
        raise SystemExit(f"bench: bsload handshake: {r.stdout}{r.stderr}")
    with open(out, encoding="ascii") as f:
        phase = common.holds(json.load(f))[0]
    return phase["clients"]["handshakes"] / phase["server"]["cpu_s"], phase


def start_nginx(n):
    """nginx with one worker on core 0: (process, worker pid, port), or None."""
    nginx = common.installed("nginx")
    if not nginx:
        return None
    port = common.free_port()
    conf = n.path("nginx.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"""worker_processes 1; daemon off; pid {n.path('nginx.pid')};
error_log {n.path('nginx.log')}; user root;
events {{ worker_connections 512; }}
http {{ access_log off; server {{ listen 127.0.0.1:{port} ssl;
ssl_certificate {n.path('server.crt')}; ssl_certificate_key {n.path('server.key')};
ssl_client_certificate {n.path('ca/ca.crt')}; ssl_verify_client on; ssl_crl {n.path('ca/ca.crl')};
ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on; return 204; }} }}
""")
    p = subprocess.Popen([nginx, "-p", n.dir, "-c", conf], stderr=subprocess.DEVNULL)
    bs.until("nginx", lambda: common.port_open(port))
    kids = subprocess.run(["pgrep", "-P", str(p.pid)], capture_output=True, text=True,
                          check=True).stdout.split()
    common.pin(int(kids[0]))
    return p, int(kids[0]), port


def start_haproxy(n):
    """HAProxy with one thread on core 0: (process, pid, port), or None."""
    haproxy = common.installed("haproxy")
    if not haproxy:
        return None
    port, conf, pem = common.free_port(), n.path("haproxy.cfg"), n.path("haproxy.pem")
    with open(pem, "w", encoding="ascii") as f:
        for part in ("server.crt", "server.key"):
            with open(n.path(part), encoding="ascii") as g:
                f.write(g.read())
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"""global
  nbthread 1
  tune.ssl.cachesize 20000
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
frontend f
  bind 127.0.0.1:{port} ssl crt {pem} ca-file {n.path('ca/ca.crt')} \
crl-file {n.path('ca/ca.crl')} verify required ssl-min-ver TLSv1.2
  http-request return status 204
""")
    p = subprocess.Popen([*common.ON_SERVER_CORE, haproxy, "-db", "-f", conf],
                         stderr=subprocess.DEVNULL)
    bs.until("haproxy", lambda: common.port_open(port))
    return p, p.pid, port


def row(seconds, version, resume):
    """One row: ourselves, then each peer."""
    n = common.node(10, max_clients=4096)
    cert = n.client("bench@example.test")
    value, phase = handshakes(n, cert, n.process.p.pid, n.ports["client_port"], version, resume,
                              seconds, True)
    n.stop()
    result = common.note(phase, value=value, p99_ms=phase["handshake"]["p99_ns"] / 1e6,
                         peers={"nginx": None, "haproxy": None})
    for name, start in (("nginx", start_nginx), ("haproxy", start_haproxy)):
        peer = start(n)
        if not peer:
            continue
        result["peers"][name], _ = handshakes(n, cert, peer[1], peer[2], version, resume, seconds,
                                              False)
        peer[0].terminate()
        peer[0].wait()
    return result


def row_full_12(seconds):
    """Full mutual RSA-2048 handshakes, TLS 1.2, per server CPU-second"""
    return row(seconds, "1.2", False)


def row_full_13(seconds):
    """Full mutual RSA-2048 handshakes, TLS 1.3, per server CPU-second"""
    return row(seconds, "1.3", False)


def row_resumed_12(seconds):
    """Resumed handshakes, TLS 1.2, per server CPU-second"""
    return row(seconds, "1.2", True)


def row_resumed_13(seconds):
    """Resumed handshakes, TLS 1.3, per server CPU-second"""
    return row(seconds, "1.3", True)


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


ROWS = {"handshake-full-12": row_full_12, "handshake-full-13": row_full_13,
        "handshake-resumed-12": row_resumed_12, "handshake-resumed-13": row_resumed_13,
        "session-memory": row_session_memory, "connect": row_connect}
