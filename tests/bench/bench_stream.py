# SPDX-License-Identifier: Apache-2.0
"""bench_stream - one stream between our own two ends, beside socat with OpenSSL.

Both are two processes over loopback, unpinned, one after the other in the same run; the value is
megabytes a second.  socat has its largest sensible buffer and the same cipher, AES-128-GCM.
"""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

import bs

STREAM = bs.program("tests/bench/bsstream")
CIPHER = "openssl-max-proto-version=TLS1.2,cipher=ECDHE-RSA-AES128-GCM-SHA256,verify=0"
# What socat is given to carry per second asked for: it should run about as long as we do.
GUESS = 600_000_000


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def certificate(folder):
    pem = os.path.join(folder, "both.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-keyout", pem, "-out", pem + ".crt"],
                   check=True, stderr=subprocess.DEVNULL)
    with open(pem, "a", encoding="ascii") as out, open(pem + ".crt", encoding="ascii") as crt:
        out.write(crt.read())
    return pem


def listening(port):
    """Whether somebody listens there, without a connection that socat would take for the one."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
                   for line in f.readlines()[1:])


def socat(seconds):
    """Megabytes a second through socat, or None where there is none."""
    if not shutil.which("socat"):
        return None
    size = int(GUESS * seconds)
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        pem = certificate(folder)
        sink = subprocess.Popen(["socat", "-u", "-b", "65536", f"OPENSSL-LISTEN:{port},"
                                 f"bind=127.0.0.1,cert={pem},{CIPHER}", "OPEN:/dev/null"])
        bs.until("socat", lambda: listening(port))
        begin = time.monotonic()
        subprocess.run(["socat", "-u", "-b", "65536", f"OPEN:/dev/zero,readbytes={size}",
                        f"OPENSSL:127.0.0.1:{port},{CIPHER}"], check=True)
        if sink.wait(60) != 0:
            raise SystemExit("bench: socat failed")
        return size / 1e6 / (time.monotonic() - begin)


def fetch(port, size):
    """Megabytes a second that curl sees."""
    begin = time.monotonic()
    subprocess.run(["curl", "-sS", "--fail", "-o", "/dev/null",
                    f"http://127.0.0.1:{port}/{size}"], check=True)
    return size / 1e6 / (time.monotonic() - begin)


def socat_tunnel(web, size):
    """The same download through two socats with TLS between them."""
    if not shutil.which("socat"):
        return None
    near, far = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        pem = certificate(folder)
        chain = [subprocess.Popen(["socat", "-b", "65536", *ends]) for ends in (
            (f"OPENSSL-LISTEN:{far},bind=127.0.0.1,cert={pem},{CIPHER}", f"TCP:127.0.0.1:{web}"),
            (f"TCP-LISTEN:{near},bind=127.0.0.1", f"OPENSSL:127.0.0.1:{far},{CIPHER}"))]
        bs.until("socat", lambda: listening(near) and listening(far))
        value = fetch(near, size)
        for p in chain:
            p.terminate()
            p.wait()
        return value


def ours(seconds, *options):
    out = subprocess.run([STREAM, "-t", str(seconds), *options], check=True, capture_output=True,
                         text=True).stdout
    return json.loads(out)


def row(seconds, *options):
    mine = ours(seconds, *options)
    # The clock inside the crypto calls costs something: the share comes from a run of its own.
    share = ours(1, *options, "-c")["crypto_share"]
    theirs = socat(seconds)
    return {"value": mine["mb_per_s"], "peer": "socat" if theirs else None, "peer_value": theirs,
            "crypto_share": share, "detail": mine}


def row_stream(seconds):
    """One fast stream, suite GCM, MB/s, beside socat with OpenSSL"""
    return row(seconds, "-s", "gcm")


def row_stream_compatible(seconds):
    """One fast stream, the compatible suite (AES-CBC and HMAC), MB/s, beside the same"""
    return row(seconds, "-s", "cbc", "-f", "on")


def row_stream_stock(seconds):
    """One stream within the limits of other devices, the compatible suite, MB/s"""
    return row(seconds, "-s", "cbc", "-f", "off")


def row_tunnel(seconds):
    """A download through a tunnel of the real programs, MB/s, beside two socats with TLS"""
    import test_tunnel  # noqa: E402  (it has the service and the programs)

    size = int(GUESS * seconds / 2)
    web = test_tunnel.shared()["web"]
    t = test_tunnel.tunnel(test_tunnel.to(web))
    mine = fetch(t.ports[0], size)
    t.stop()
    theirs = socat_tunnel(web.port, size)
    return {"value": mine, "peer": "socat" if theirs else None, "peer_value": theirs}


ROWS = {"tunnel": row_tunnel, "stream": row_stream, "stream-compatible": row_stream_compatible,
        "stream-stock": row_stream_stock}
