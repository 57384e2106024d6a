#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bytes_peer - serve bytes that can be recognised, and fetch them.

usage: bytes_peer serve ADDRESS PORT SIZE [RATE [CONTROL]]
       bytes_peer fetch ADDRESS PORT [SECONDS]     prints bytes, seconds, first_ms, sha256 as JSON

serve sends SIZE bytes to each connection, at most RATE bytes a second (0 = any), with the kernel's
congestion control CONTROL.

fetch tries to connect for SECONDS (10 unless given), as what listens may still be starting.
"""
import hashlib
import json
import random
import socket
import sys
import threading
import time

BLOCK = 65536


def blocks(size):
    """The bytes: every block differs, so that a shift or repeat is seen."""
    base = random.Random(1).randbytes(BLOCK)
    n = 0
    while size > 0:
        block = (n.to_bytes(8, "big") + base[8:])[:min(BLOCK, size)]
        size -= len(block)
        n += 1
        yield block


def digest(size):
    """SHA-256 of what serve sends."""
    h = hashlib.sha256()
    for b in blocks(size):
        h.update(b)
    return h.hexdigest()


def send(conn, size, rate):
    start, sent = time.monotonic(), 0
    try:
        for b in blocks(size):
            conn.sendall(b)
            sent += len(b)
            ahead = sent / rate - (time.monotonic() - start) if rate else 0
            if ahead > 0:
                time.sleep(ahead)
        conn.shutdown(socket.SHUT_WR)
        conn.recv(1)
    except OSError:
        pass
    conn.close()


def serve(address, port, size, rate=0, control=None):
    s = socket.socket()
    if control:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, int(port)))
    s.listen(64)
    print("ready", flush=True)
    while True:
        conn, _ = s.accept()
        threading.Thread(target=send, args=(conn, int(size), float(rate)), daemon=True).start()


def connect(address, port, seconds):
    end = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection((address, int(port)), timeout=60)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def fetch(address, port, seconds=10):
    c = connect(address, port, float(seconds))
    start, first, n = time.monotonic(), None, 0
    h = hashlib.sha256()
    error = None
    try:
        while True:
            b = c.recv(BLOCK)
            if not b:
                break
            first = first or time.monotonic()
            n += len(b)
            h.update(b)
    except OSError as e:
        error = str(e)
    print(json.dumps({"bytes": n, "seconds": time.monotonic() - start,
                      "first_ms": int(((first or start) - start) * 1000),
                      "sha256": h.hexdigest(), "error": error}))


if __name__ == "__main__":
    {"serve": serve, "fetch": fetch}[sys.argv[1]](*sys.argv[2:])
