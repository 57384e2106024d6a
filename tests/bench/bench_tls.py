# SPDX-License-Identifier: Apache-2.0
"""bench_tls - rows of the client gate: handshakes, beside nginx with the same certificates."""
import os
import shutil
import socket
import ssl
import subprocess
import time

import bench_common as common
import bs


def handshakes(host, port, n, cert, seconds, version, resume, alpn):
    """Mutual handshakes one after the other for a while: their number."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.minimum_version = ctx.maximum_version = version
    ctx.load_verify_locations(n.path("ca/ca.crt"))
    ctx.load_cert_chain(*cert)
    if alpn:
        ctx.set_alpn_protocols(["basestation/1"])
    session, count, end = None, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.create_connection((host, port), 10) as raw:
            with ctx.wrap_socket(raw, server_hostname="localhost", session=session) as s:
                if resume and session is None:
                    if version == ssl.TLSVersion.TLSv1_3:
                        s.settimeout(0.2)
                        try:
                            s.recv(1)  # tickets come after the handshake
                        except (TimeoutError, socket.timeout, ssl.SSLError):
                            pass
                    session = s.session
                elif resume and not s.session_reused:
                    raise SystemExit("bench: the session was not resumed")
                count += 1
    return count


def timed_handshakes(pid, *args):
    before = common.cpu_seconds(pid)
    count = handshakes(*args)
    return count / (common.cpu_seconds(pid) - before)


def start_nginx(n):
    """nginx with the same certificates, one worker on core 0: (process, worker pid, port)."""
    if not shutil.which("nginx"):
        return None
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    conf = n.path("nginx.conf")
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"""worker_processes 1; daemon off; pid {n.path('nginx.pid')};
error_log {n.path('nginx.log')}; user root;
events {{ worker_connections 512; }}
stream {{ }}
http {{ access_log off; server {{ listen 127.0.0.1:{port} ssl;
ssl_certificate {n.path('server.crt')}; ssl_certificate_key {n.path('server.key')};
ssl_client_certificate {n.path('ca/ca.crt')}; ssl_verify_client on; ssl_crl {n.path('ca/ca.crl')};
ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on; return 204; }} }}
""".replace("stream { }\n", ""))
    p = subprocess.Popen(["nginx", "-p", n.dir, "-c", conf], stderr=subprocess.DEVNULL)
    bs.until("nginx", lambda: common.port_open(port))
    kids = subprocess.run(["pgrep", "-P", str(p.pid)], capture_output=True, text=True).stdout.split()
    common.pin(int(kids[0]), 0)
    return p, int(kids[0]), port


def row_tls(seconds, version, resume):
    os.sched_setaffinity(0, {1})
    n = common.node(10)
    cert = n.client("bench@example.test")
    args = (n, cert, seconds, version, resume)
    mine = timed_handshakes(n.process.p.pid, "localhost", n.ports["client_port"], *args, True)
    peer = start_nginx(n)
    theirs = None
    if peer:
        theirs = timed_handshakes(peer[1], "localhost", peer[2], *args, False)
        peer[0].terminate()
        peer[0].wait()
    n.stop()
    return {"value": mine, "peer": "nginx" if peer else None, "peer_value": theirs}


def row_tls12(seconds):
    """Full mutual RSA-2048 handshakes, TLS 1.2, per server CPU-second, beside nginx"""
    return row_tls(seconds, ssl.TLSVersion.TLSv1_2, False)


def row_tls13(seconds):
    """Full mutual RSA-2048 handshakes, TLS 1.3, per server CPU-second, beside nginx"""
    return row_tls(seconds, ssl.TLSVersion.TLSv1_3, False)


def row_tls12_resumed(seconds):
    """Resumed handshakes, TLS 1.2, per server CPU-second, beside nginx"""
    return row_tls(seconds, ssl.TLSVersion.TLSv1_2, True)


def row_tls13_resumed(seconds):
    """Resumed handshakes, TLS 1.3, per server CPU-second, beside nginx"""
    return row_tls(seconds, ssl.TLSVersion.TLSv1_3, True)


ROWS = {"tls12": row_tls12, "tls13": row_tls13, "tls12-resumed": row_tls12_resumed,
        "tls13-resumed": row_tls13_resumed}
