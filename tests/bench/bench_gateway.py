# SPDX-License-Identifier: Apache-2.0
"""bench_gateway - a stream through the TCP relay, beside socat as a plain forwarder of bytes.

The value is megabytes per CPU-second of whoever stands in the middle, pinned to core 0.  Our ends
are the real programs, so the server gets single packets of 1368 bytes and checks each of them;
socat gets what a sender without packets writes, 64 KiB at a time, and checks nothing.
"""
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import bench_stream
import bs
import test_gateway

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def drain(s, seconds):
    """Bytes read in so many seconds."""
    end, n = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        n += len(s.recv(1 << 18))
    return n


def relay(kind, seconds):
    """Megabytes per CPU-second of the server."""
    node = bs.Node(workers=1, log_level="warning").start()
    pid = node.process.p.pid
    alice = node.client("bench@example.com")
    node.allow("bench@example.com")
    with test_gateway.Stream(node, alice, kind) as t:
        t.read(8 << 20)
        used = cpu_seconds(pid)
        n = drain(t.s, seconds)
        used = cpu_seconds(pid) - used
    node.stop()
    return n / 1e6 / used, n / 1e6 / seconds


def endless(server):
    c, _ = server.accept()
    try:
        while True:
            c.sendall(bytes(65536))
    except OSError:
        pass


def plain(tls, seconds):
    """The same through socat; None where there is none."""
    if not shutil.which("socat"):
        return None
    port = bench_stream.free_port()
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as far:
        threading.Thread(target=endless, args=(far,), daemon=True).start()
        near = f"TCP-LISTEN:{port},bind=127.0.0.1"
        if tls:
            near = (f"OPENSSL-LISTEN:{port},bind=127.0.0.1,verify=0,"
                    f"cert={bench_stream.certificate(folder)}")
        p = subprocess.Popen(["taskset", "-c", "0", "socat", "-b", "32768", near,
                              f"TCP:127.0.0.1:{far.getsockname()[1]}"])
        bs.until("socat", lambda: bench_stream.listening(port))
        s = socket.create_connection(("127.0.0.1", port))
        if tls:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
            s = ctx.wrap_socket(s)
        drain(s, 0.3)
        used = cpu_seconds(p.pid)
        n = drain(s, seconds)
        used = cpu_seconds(p.pid) - used
        s.close()
        p.kill()
        p.wait()
    return n / 1e6 / used


def row(kind, seconds):
    value, rate = relay(kind, seconds)
    peer = plain(kind == "tls", seconds)
    return {"value": value, "mb_per_s": rate, "peer": "socat" if peer else None,
            "peer_value": peer}


def row_relay_tcp(seconds):
    """Megabytes of a stream through the TCP relay per server CPU-second, beside socat"""
    return row("tcp", seconds)


def row_relay_tls(seconds):
    """The same with the client's leg over TLS, beside socat with TLS on one side"""
    return row("tls", seconds)


ROWS = {"relay-tcp": row_relay_tcp, "relay-tls": row_relay_tls}
