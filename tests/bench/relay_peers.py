# SPDX-License-Identifier: Apache-2.0
"""relay_peers - flows of the relay rows: through a basestation, and through coturn.

Each function gives the lines that bsbench relay reads: port and prefix of both ends of a flow.
"""
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
import bs  # noqa: E402
import test_gate  # noqa: E402

PROBE_INDEX_RELAY = 0xFF
MAGIC = 0x2112A442


def address(base, i):
    """127.base.x.y, numbered as bsbench does from 127.base.0.1 on."""
    i += 1
    return f"127.{base}.{i >> 8}.{i & 255}"


def socket_of(base, i, port):
    """A socket on an end's own address; it shares the port with the generator for a moment."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind((address(base, i), port))
    s.settimeout(5)
    return s


def bind_leg(g, nsi, key, relay, sock):
    """Bind a client's leg with the packet that the manual describes."""
    import hashlib
    import hmac
    head = struct.pack(">IIBBBBHH", 7, nsi, test_gate.PROBE, 2, 0, 0, 1, 72)
    body = struct.pack(">BBHBBBBI", 0x32, 0, 56, 1, PROBE_INDEX_RELAY, 0, 0, 1) + bytes(28)
    mac = hmac.new(key, head + body, hashlib.sha256).digest()[:16]
    sock.sendto(head + body + mac, ("127.0.0.1", relay))
    sock.recvfrom(2048)


def data_prefix(nsi, size):
    """The beginning of a DATA packet: header with tag, CRYPTO of suite AES-CBC."""
    head = struct.pack(">IIBBBBHHH", 0, nsi, 22, 2, 0, 0x40, 1, size, 1)
    return (head + struct.pack(">BBHH", 0x36, 0, size - 18, 0x230A)).hex()


def basestation(n, flows, own, size=1000):
    """One connection and bound leg per device."""
    client = n.client("bench@example.com")
    n.allow("bench@example.com")
    attach = n.ports["attach_port"]
    for i in range(flows):
        # A session per few devices: a client has a limit of open connections.
        if i % 32 == 0:
            client = n.client(f"bench{i}@example.com")
            n.allow(f"bench{i}@example.com")
            g = test_gate.Gate(n, client)
            g.hello()
            keep.append(g)
        a = g.connect(f"bench-{i:07d}.p2p.test")
        nsi, key = a.sp, a.first(0x69)
        s = socket_of(2, i, own)
        bind_leg(g, nsi, key, attach, s)
        s.close()
        prefix = data_prefix(nsi, size)
        yield f"{attach} {prefix} {attach} {prefix}"


keep = []  # sessions stay open while their flows are measured


def start_coturn(core):
    """turnserver with one relay thread on a core: (process, port)."""
    if not shutil.which("turnserver"):
        raise SystemExit("bench: turnserver (package coturn) is not installed")
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    p = subprocess.Popen(
        ["taskset", "-c", str(core), "turnserver", "-n", "--no-auth", "--no-tls", "--no-dtls",
         "--no-cli", "--no-tcp", "--no-tcp-relay", "--allow-loopback-peers", "--listening-ip", "127.0.0.1",
         "--relay-ip", "127.0.0.1", "--listening-port", str(port), "-m", "1", "--no-stdout-log",
         "--log-file", "/dev/null", "--min-port", "49152", "--max-port", "65535"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1.5)
    return p, port


def attribute(kind, data):
    return struct.pack(">HH", kind, len(data)) + data + bytes(-len(data) % 4)


def xor_address(ip, port):
    v = struct.unpack(">I", socket.inet_aton(ip))[0] ^ MAGIC
    return struct.pack(">BBHI", 0, 1, port ^ MAGIC >> 16, v)


def turn(sock, to, kind, *attributes):
    """One TURN request; the attributes of its answer."""
    body = b"".join(attributes)
    tid = os.urandom(12)
    sock.sendto(struct.pack(">HHI", kind, len(body), MAGIC) + tid + body, to)
    raw, _ = sock.recvfrom(2048)
    if struct.unpack(">H", raw[:2])[0] != kind | 0x100:
        raise SystemExit(f"bench: coturn refused {kind:#x}: {raw.hex()}")
    out, off = {}, 20
    while off < len(raw):
        t, n = struct.unpack(">HH", raw[off:off + 4])
        out[t] = raw[off + 4:off + 4 + n]
        off += 4 + n + -n % 4
    return out


def coturn(port, flows, own, size=1000):
    """One allocation with a channel per flow; the other end writes to the relayed port."""
    for i in range(flows):
        s = socket_of(2, i, own)
        to = ("127.0.0.1", port)
        a = turn(s, to, 0x003, attribute(0x19, bytes([17, 0, 0, 0])))
        relayed = struct.unpack(">H", a[0x16][2:4])[0] ^ MAGIC >> 16
        channel = 0x4000 + i
        turn(s, to, 0x009, attribute(0x0C, struct.pack(">HH", channel, 0)),
             attribute(0x12, xor_address(address(1, i), own)))
        s.close()
        yield f"{port} {struct.pack('>HH', channel, size - 4).hex()} {relayed} -"
