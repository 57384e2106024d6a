# SPDX-License-Identifier: Apache-2.0
"""udp_peers - servers that answer a datagram with a datagram, for the rows keepalive and attach.

Each start function is told the population and gives (process, port, packet in hexadecimal, options
of bsbench pace) of a server on the server's core, or None where it is not installed.
"""
import hashlib
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import bench_common as common
import relay_peers

KEEPALIVE = bytes(24).hex()
USERS = 512


def echo(_devices):
    """The least that any server has to do."""
    p, port = common.start_bare("echo")
    return p, port, KEEPALIVE, []


def coturn(_devices):
    """STUN binding request without attributes: a server that knows nobody."""
    if not common.installed("turnserver"):
        return None
    p, port = relay_peers.start_coturn(common.SERVER_CORE)
    return p, port, struct.pack(">HHI", 1, 0, relay_peers.MAGIC).hex() + bytes(12).hex(), []


KNOT_CONF = """server:
    listen: 127.0.0.1@{port}
    rundir: "{dir}"
    user: "root:root"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    dbus-event: none
database:
    storage: "{dir}"
zone:
  - domain: "p2p.test"
    file: "{dir}/p2p.test.zone"
    zonefile-load: whole
"""
KNOT_ZONE = """$ORIGIN p2p.test.
@ 3600 SOA ns admin 1 3600 600 86400 600
@ 3600 NS ns
ns 3600 A 127.0.0.1
"""
DIGITS = 7  # bsbench pace writes so many


def knot_zone(path, devices):
    """A zone with a name for each device, as the server of keepalives has a record for each."""
    with open(path, "w", encoding="ascii") as f:
        f.write(KNOT_ZONE)
        for i in range(devices):
            f.write(f"d{i:0{DIGITS}} 3600 A 127.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}\n")


def knot(devices):
    """A record of one zone with as many names as there are devices, asked for at random."""
    program = common.installed("knotd")
    if not program:
        return None
    folder = tempfile.mkdtemp(prefix="knot-")
    port = common.free_port(socket.SOCK_DGRAM)
    with open(os.path.join(folder, "knot.conf"), "w", encoding="ascii") as f:
        f.write(KNOT_CONF.format(port=port, dir=folder))
    knot_zone(os.path.join(folder, "p2p.test.zone"), devices)
    p = subprocess.Popen([*common.ON_SERVER_CORE, program, "-c", f"{folder}/knot.conf"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    p.folder = folder
    header = struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0)
    query = header + bytes([1 + DIGITS]) + b"d" + b"0" * DIGITS + b"\x03p2p\x04test\0\0\1\0\1"
    # While it loads the zone, it answers that it failed.
    wait_answer("knotd", p, port, query, 120, lambda a: a[3] & 15 == 0 and a[7] == 1)
    return p, port, query.hex(), [len(header) + 2, devices]


def wait_answer(name, p, port, packet, seconds=20, good=bool):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        end = time.monotonic() + seconds
        while time.monotonic() < end and p.poll() is None:
            try:
                s.sendto(packet, ("127.0.0.1", port))
                if good(s.recv(4096)):
                    return
            except OSError:
                continue
            time.sleep(0.05)
    stop(p)
    raise SystemExit(f"bench: {name} does not answer")


def stop(p):
    p.terminate()
    try:
        p.wait(5)
    except subprocess.TimeoutExpired:
        common.stop(p)
    if getattr(p, "folder", None):
        shutil.rmtree(p.folder, ignore_errors=True)


ANSWERERS = {"bare echo": echo, "coturn STUN": coturn, "knot DNS": knot}


def measure(start, sources, rate, burst, seconds):
    """Answers per CPU-second, and the share of requests that got one; (None, None): not here."""
    peer = start(sources)
    if not peer:
        return None, None
    p, port, packet, options = peer
    try:
        count, used, wall = common.bench(p.pid, "pace", port, sources, rate, burst, seconds, packet,
                                         *options)
    finally:
        stop(p)
    return count / used, count / wall / rate


# ---- SIP registrations

KAMAILIO_CONF = """debug=0
log_stderror=yes
children=1
auto_aliases=no
listen=udp:127.0.0.1:{port}
mpath="{modules}"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "pv.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "textops.so"
modparam("usrloc", "db_mode", 0)
modparam("auth", "nonce_expire", 3600)
request_route {{
    if (!is_method("REGISTER")) {{ exit; }}
    if (!pv_www_authenticate("p2p.test", "secret", "0")) {{
        www_challenge("p2p.test", "0");
        exit;
    }}
    save("location");
}}
"""


def start_kamailio():
    """Kamailio with one UDP worker and no database: (process, port), or None."""
    program = common.installed("kamailio")
    modules = next((d for d in ("/usr/lib/x86_64-linux-gnu/kamailio/modules/",
                                "/usr/lib/aarch64-linux-gnu/kamailio/modules/",
                                "/usr/lib/kamailio/modules/") if os.path.isdir(d)), None)
    if not program or not modules:
        return None
    folder = tempfile.mkdtemp(prefix="kamailio-")
    port = common.free_port(socket.SOCK_DGRAM)
    with open(os.path.join(folder, "kamailio.cfg"), "w", encoding="ascii") as f:
        f.write(KAMAILIO_CONF.format(port=port, modules=modules))
    p = subprocess.Popen([*common.ON_SERVER_CORE, program, "-f", f"{folder}/kamailio.cfg", "-DD",
                          "-E", "-Y", folder, "-m", "256"], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    p.folder = folder
    wait_answer("kamailio", p, port, register(0, port, 1, None))
    return p, port


def register(user, port, cseq, challenge):
    """A REGISTER, with the answer to a challenge where there is one."""
    name, uri, auth = f"load-serial-no-{user:07d}", "sip:p2p.test", ""
    if challenge:
        md5 = lambda s: hashlib.md5(s.encode()).hexdigest()
        answer = md5(f"{md5(f'{name}:p2p.test:secret')}:{challenge}:{md5(f'REGISTER:{uri}')}")
        auth = (f'Authorization: Digest username="{name}", realm="p2p.test", nonce="{challenge}", '
                f'uri="{uri}", response="{answer}"\r\n')
    return (f"REGISTER {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{user}-{cseq};rport\r\nFrom: <sip:{name}@p2p.test>;tag={user}\r\nTo: <sip:{name}@p2p.test>\r\n"
            f"Call-ID: {user}@load\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{name}@127.0.0.1>\r\n"
            f"Max-Forwards: 70\r\nExpires: 3600\r\n{auth}Content-Length: 0\r\n\r\n").encode()


def family_cpu(pid):
    """CPU seconds of a process and its children: Kamailio has one for each job."""
    kids = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True,
                          check=False).stdout.split()
    return sum(common.cpu_seconds(k) for k in [pid, *kids])


class Phones:
    """Registers users over and over from one socket, a window of them at a time."""

    def __init__(self, port):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.setblocking(False)
        self.port, self.cseq, self.done = port, {}, 0
        self.last = {}

    def send(self, user, challenge=None):
        self.cseq[user] = self.cseq.get(user, 0) + 1
        self.last[user] = time.monotonic()
        self.s.sendto(register(user, self.port, self.cseq[user], challenge),
                      ("127.0.0.1", self.port))

    def take(self):
        answer = self.s.recv(4096).decode("ascii", "replace")
        user = int(re.search(r"Call-ID: (\d+)@", answer).group(1))
        if answer.startswith("SIP/2.0 401"):
            self.send(user, re.search(r'nonce="([^"]+)"', answer).group(1))
        elif answer.startswith("SIP/2.0 200"):
            self.done += 1
            self.send(user)
        elif not answer.startswith("SIP/2.0 1"):
            raise SystemExit(f"bench: kamailio refused: {answer.splitlines()[0]}")

    def run(self, seconds):
        for user in range(USERS):
            self.send(user)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.s], [], [], 0.2)[0]:
                self.take()
                continue
            for user in range(USERS):
                if time.monotonic() - self.last[user] > 0.2:
                    self.send(user)


def registrations(seconds):
    """Digest registrations (4 datagrams) of Kamailio per CPU-second of all its processes, or None
    where it is not installed."""
    peer = start_kamailio()
    if not peer:
        return None
    os.sched_setaffinity(0, {common.LOAD_CORE})
    phones = Phones(peer[1])
    before = family_cpu(peer[0].pid)
    phones.run(seconds)
    used = family_cpu(peer[0].pid) - before
    stop(peer[0])
    phones.s.close()
    if phones.done == 0:
        raise SystemExit("bench: kamailio registered nobody")
    return phones.done / used
