#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The device on its own: how it finds the basestation, and that the master switch means silence."""
import atexit
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

import bs
import dns

ID = "cam1.base.test"
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
ETH_P_ALL = 3


def own_network():
    """Enter a network namespace with nothing but a loopback; whether that worked."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        req = fcntl.ioctl(s, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack("16sH14x", req)[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))
    return True


ISOLATED = own_network()
TMP = tempfile.mkdtemp(prefix="bs-device-")
atexit.register(shutil.rmtree, TMP, True)


class Capture:
    """Every frame on the loopback, by a packet socket: nothing that leaves can hide from it."""

    def __init__(self):
        if not ISOLATED:
            raise bs.Skip("network namespaces are not permitted")
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.sock.bind(("lo", 0))
        self.frames = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            try:
                data, addr = self.sock.recvfrom(65535)
            except OSError:
                return
            if addr[2] != socket.PACKET_OUTGOING:  # each frame is seen twice on a loopback
                self.frames.append((time.monotonic(), data))

    def since(self, t):
        return [f for f in self.frames if f[0] > t]


class Controller:
    """A UDP socket that only counts what arrives."""

    def __init__(self, family=socket.AF_INET, address="127.0.0.1"):
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.bind((address, 0))
        self.sock.settimeout(10 * bs.SLOW)
        self.port = self.sock.getsockname()[1]

    def receive(self):
        return self.sock.recvfrom(2048)


def start(port, server=None, *args):
    path = os.path.join(TMP, "secret")
    with open(path, "w", encoding="ascii") as f:
        f.write("00112233445566778899aabbccddeeff\n")
    extra = ["--dns", server.csv] if server else ["--controller", "127.0.0.1"]
    return bs.Process([bs.program("bs-weather"), "--id", ID, "--secret-file", path, "--port", port,
                       *extra, *args])


def is_invite(data):
    return len(data) >= 16 and data[8] == 128 and ID.encode() in data


@bs.test
def looks_its_id_up():
    """The device resolves its own id and invites the address that comes back"""
    server, controller = dns.Server(), Controller()
    server.records[ID] = ["127.0.0.1"]
    d = start(controller.port, server)
    bs.check(is_invite(controller.receive()[0]), "not an invite")
    bs.check((ID, dns.A) in server.queries, f"no A query: {server.queries}")
    d.stop()


@bs.test
def uses_ip6():
    """An AAAA record alone leads to an invite over IPv6"""
    server, controller = dns.Server(), Controller(socket.AF_INET6, "::1")
    server.records[ID] = ["::1"]
    d = start(controller.port, server)
    bs.check(is_invite(controller.receive()[0]), "not an invite")
    d.stop()


@bs.test
def prefers_ip4():
    """With IPv4 and IPv6 addresses the first invite goes to IPv4"""
    server, controller = dns.Server(), Controller()
    server.records[ID] = ["::1", "127.0.0.1"]
    d = start(controller.port, server)
    bs.check(is_invite(controller.receive()[0]), "not an invite")
    d.stop()


@bs.test
def repeats_failed_lookups():
    """NXDOMAIN and SERVFAIL are asked again, and success ends it"""
    server, controller = dns.Server(), Controller()
    d = start(controller.port, server)
    d.expect("attaching .the name lookup failed")
    server.records[ID] = "servfail"
    n = len(server.queries)
    bs.until("another query", lambda: len(server.queries) > n, 15)
    server.records[ID] = ["127.0.0.1"]
    bs.check(is_invite(controller.receive()[0]), "not an invite")
    d.stop()


@bs.test
def silent_name_server():
    """A name server that does not answer is a failed lookup, not a hang"""
    server = dns.Server()
    server.records[ID] = "silent"
    d = start(1, server)
    d.expect("attaching .the name lookup failed", 40)
    bs.equal(d.stop(), 0, "status")


@bs.test
def several_addresses():
    """Attempts go round the addresses that the name has"""
    server = dns.Server()
    first = Controller(address="127.0.0.1")
    second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    second.bind(("127.0.0.2", first.port))
    second.settimeout(10 * bs.SLOW)
    server.records[ID] = ["127.0.0.1", "127.0.0.2"]
    d = start(first.port, server)
    bs.check(is_invite(first.receive()[0]), "first address")
    bs.check(is_invite(second.recvfrom(2048)[0]), "second address")
    d.stop()


@bs.test
def address_change():
    """Each start-over looks the name up again and follows a changed address"""
    server = dns.Server()
    old = Controller(address="127.0.0.1")
    new = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    new.bind(("127.0.0.3", old.port))
    new.settimeout(10 * bs.SLOW)
    server.records[ID] = ["127.0.0.1"]
    d = start(old.port, server)
    bs.check(is_invite(old.receive()[0]), "old address")
    server.records[ID] = ["127.0.0.3"]
    d.signal(signal.SIGUSR1)
    d.expect("bs-weather: off")
    d.signal(signal.SIGUSR2)
    bs.check(is_invite(new.recvfrom(2048)[0]), "new address")
    d.stop()


@bs.test
def switched_off_from_the_start():
    """With the switch off not one packet and not one query leaves"""
    capture, server, controller = Capture(), dns.Server(), Controller()
    server.records[ID] = ["127.0.0.1"]
    t = time.monotonic()
    d = start(controller.port, server, "--off")
    time.sleep(2)  # a window of silence can only be waited for
    frames = capture.since(t)
    bs.equal(len(frames), 0, f"frames while off {[f[1].hex() for f in frames[:3]]}")
    bs.equal(server.queries, [], "queries while off")
    d.signal(signal.SIGUSR2)
    bs.check(is_invite(controller.receive()[0]), "no invite after switching on")
    bs.until("a frame in the capture", lambda: capture.since(t))
    d.stop()


@bs.test
def switched_off_while_running():
    """Switching off at run time stops invites, answers and lookups at once"""
    capture, server, controller = Capture(), dns.Server(), Controller()
    server.records[ID] = ["127.0.0.1"]
    d = start(controller.port, server)
    _, device = controller.receive()
    d.signal(signal.SIGUSR1)
    d.expect("bs-weather: off")
    t = time.monotonic()
    queries = len(server.queries)
    sent = 0
    for data in (b"\0" * 4, b"\0" * 8 + bytes([130, 2, 0, 0, 0, 5, 0, 16]),
                 bytes.fromhex("000000000000000080020001000000213500001100000000000000000000000000")):
        controller.sock.sendto(data, device)
        sent += 1
    time.sleep(2.5)  # beyond the next invite of the schedule
    frames = [f for f in capture.since(t) if not from_controller(f[1], controller.port)]
    bs.equal(len(frames), 0, f"frames after switching off {[f[1].hex() for f in frames[:3]]}")
    bs.equal(len(server.queries), queries, "queries after switching off")
    bs.until("what we sent in the capture", lambda: len(capture.since(t)) >= sent)
    since = len(d.lines)
    d.signal(signal.SIGUSR2)
    d.expect("bs-weather: attaching", since=since)
    bs.check(is_invite(controller.receive()[0]), "no invite after switching on again")
    d.stop()


def from_controller(frame, port):
    """Whether a captured frame is one that this test sent."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x00":
        return False
    header = 14 + (frame[14] & 15) * 4
    return struct.unpack(">H", frame[header:header + 2])[0] == port


@bs.test
def switched_off_during_a_lookup():
    """Switching off while the name server is silent ends the repeats of the query"""
    capture, server = Capture(), dns.Server()
    server.records[ID] = "silent"
    d = start(1, server)
    bs.until("the first query", lambda: server.queries)
    d.signal(signal.SIGUSR1)
    d.expect("bs-weather: off")
    t = time.monotonic()
    time.sleep(3)  # the resolver repeats after 2 s
    bs.equal(len(capture.since(t)), 0, "frames after switching off")
    d.stop()


@bs.test
def remembers_the_switch():
    """A device that was switched off stays off after a restart"""
    capture, controller = Capture(), Controller()
    folder = os.path.join(TMP, "state")
    os.makedirs(folder, exist_ok=True)
    d = start(controller.port, None, "--state", folder)
    controller.receive()
    d.signal(signal.SIGUSR1)
    d.expect("bs-weather: off")
    d.stop()
    t = time.monotonic()
    d = start(controller.port, None, "--state", folder)
    time.sleep(1)
    bs.equal(len(capture.since(t)), 0, "frames after a restart")
    d.signal(signal.SIGUSR2)
    bs.check(is_invite(controller.receive()[0]), "no invite")
    d.stop()


@bs.test
def bad_secret_file():
    """A secret that is not 32 hexadecimal digits is refused with the file's name"""
    path = os.path.join(TMP, "bad")
    with open(path, "w", encoding="ascii") as f:
        f.write("not hex\n")
    r = bs.run([bs.program("bs-weather"), "--id", ID, "--secret-file", path], ok=False)
    bs.equal(r.returncode, 2, "status")
    bs.check(path in r.stderr and "32 hexadecimal digits" in r.stderr, r.stderr)


@bs.test
def attach_port_on_a_second_address():
    """A device is sent to the attach port's own address, and stays there."""
    # 127.0.0.2 is there on Linux; elsewhere it takes an alias.
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.bind(("127.0.0.2", 0))
    except OSError:
        raise bs.Skip("this machine has no address 127.0.0.2") from None
    finally:
        probe.close()
    node = bs.Node(listen="127.0.0.1, 127.0.0.2", public_address="127.0.0.1",
                   attach_address="127.0.0.2").start()
    cert = node.client("second@example.com")
    node.allow()
    node.device("second.dev")
    where = json.loads(node.connect(cert, "-j", "info", "second.dev").stdout)
    bs.check(where["path"] in ("local", "direct"), f"path {where['path']}")
    bs.check(node.stat("probe_answered") >= 2, "both addresses answered the client's probes")
    # Keep-alives go on between that address and the device.
    before = node.stat("alive_answered")
    bs.until("keep-alives", lambda: node.stat("alive_answered") > before + 1)


if __name__ == "__main__":
    sys.exit(bs.main())
