#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The local network with the real programs in namespaces of their own: discovery, pairing, calls
without any basestation, and the pairing secret on the way through one.

A bridge in the basestation's namespace is the LAN of device and client; the client has a second
link to the basestation, from where it is not local any more.
"""
import atexit
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import bs  # noqa: E402
import vectors  # noqa: E402
from bs import check, equal, test  # noqa: E402

ID = "cam1.base.test"
SECRET = "abcd-efgh-ijkl-mnop"
FAR_FP = "00112233445566778899aabbccddeeff"
_net = {}


def sh(*args, ok=True):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=30,
                       check=False)
    check(not ok or r.returncode == 0, f"{' '.join(map(str, args))}: {r.stderr}")
    return r


def space(name):
    return f"bsl{os.getpid()}-{name}"


def clean():
    for name in ("srv", "dev", "cli"):
        subprocess.run(["ip", "netns", "del", space(name)], capture_output=True, check=False)


def link(name, dev, address, side):
    """A veth pair: one end in a namespace, the other in the basestation's."""
    sh("ip", "-n", space(name), "link", "add", dev, "type", "veth", "peer", "name", side, "netns",
       space("srv"))
    sh("ip", "-n", space(name), "addr", "add", address, "brd", "+", "dev", dev)
    sh("ip", "-n", space(name), "link", "set", dev, "up")
    sh("ip", "-n", space("srv"), "link", "set", side, "up")


def network():
    if _net.get("skip"):
        raise bs.Skip(_net["skip"])
    if _net:
        return
    try:
        r = sh("ip", "netns", "add", space("srv"), ok=False) if os.geteuid() == 0 else None
    except FileNotFoundError:
        r = None
    if r is None or r.returncode != 0:
        _net["skip"] = "network namespaces are not permitted here"
        raise bs.Skip(_net["skip"])
    atexit.register(clean)
    for name in ("dev", "cli"):
        sh("ip", "netns", "add", space(name))
    for name in ("srv", "dev", "cli"):
        sh("ip", "-n", space(name), "link", "set", "lo", "up")
    srv = space("srv")
    sh("ip", "-n", srv, "link", "add", "lan", "type", "bridge", "forward_delay", "0")
    sh("ip", "-n", srv, "addr", "add", "10.77.1.1/24", "brd", "+", "dev", "lan")
    sh("ip", "-n", srv, "link", "set", "lan", "up")
    sh("ip", "netns", "exec", srv, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    link("dev", "eth0", "10.77.1.2/24", "todev")
    link("cli", "eth0", "10.77.1.3/24", "tocli")
    link("cli", "far0", "10.77.2.3/24", "tofar")
    for side in ("todev", "tocli"):
        sh("ip", "-n", srv, "link", "set", side, "master", "lan")
    sh("ip", "-n", srv, "addr", "add", "10.77.2.1/24", "dev", "tofar")
    sh("ip", "-n", space("dev"), "route", "add", "default", "via", "10.77.1.1")
    node = bs.Node(listen="0.0.0.0", public_address="10.77.1.1")
    _net["node"] = node
    node.ca("issue", "server", "10.77.1.1", "10.77.2.1", "--out", node.path("lan"))
    node.set(server_certificate=node.path("lan.crt"), server_key=node.path("lan.key"))
    for who in ("alice", "bob"):
        _net[who] = _net["node"].client(who)


def inside(name, *args):
    return ["ip", "netns", "exec", space(name), *[str(a) for a in args]]


class Weather:
    """bs-weather on the LAN, or another of the example devices."""

    def __init__(self, *args, port=5566, secret=None, folder="state", program="bs-weather"):
        network()
        node = _net["node"]
        self.folder = _net["folder"] = node.path(folder)
        os.makedirs(self.folder, exist_ok=True)
        if secret is None:
            secret = node.path("zero.secret")
            with open(secret, "w", encoding="utf-8") as f:
                f.write("00" * 16 + "\n")
        with open(node.path("printed"), "w", encoding="utf-8") as f:
            f.write(SECRET + "\n")
        self.process = bs.Process(inside(
            "dev", bs.program(program), "--id", ID, "--secret-file", secret, "--controller",
            "10.77.1.1", "--port", port, "--alive-ms", 500, "--state", self.folder,
            "--pairing-secret-file", node.path("printed"), *args))
        self.process.expect(program + ": attach")

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.process.stop()


def pairings(who):
    """A folder for each device and client."""
    return os.path.join(_net["folder"], "of-" + who)


def connect(who, *args, status=0, server=None, seconds=30, paired=None):
    """bsconnect in the client's namespace."""
    node = _net["node"]
    crt, key = _net[who]
    base = ["--cert", crt, "--key", key, "--interface", bs.XML, "--pairings",
            paired or pairings(who), "--json"]
    if server:
        base += ["--server", f"{server}:{node.ports['client_port']}", "--ca", node.path("ca/ca.crt")]
    r = bs.run(inside("cli", bs.program("bsconnect"), *base, *args), ok=False, seconds=seconds)
    equal(r.returncode, status, f"status of bsconnect {args}: {r.stdout}{r.stderr}")
    return [json.loads(line) for line in r.stdout.splitlines()]


def pair(who, status=0):
    return connect(who, "--pairing-secret-file", _net["node"].path("printed"), "--name", who,
                   "pair", ID, status=status)


@test
def discovery():
    """A device is found by broadcast, told once, and by its name only under that name."""
    with Weather(folder="d1"):
        found = connect("alice", "discover")
        equal([(f["device"], f["address"]) for f in found], [(ID, "10.77.1.2:5570")], "found")
        equal((found[0]["key"], found[0]["plain"]), (True, False), "what it takes")
        equal(len(connect("alice", "discover", ID)), 1, "by name")
        equal(connect("alice", "discover", "cam2.base.test"), [], "another name")


@test
def switched_off():
    """With the master switch off not one packet leaves on the local network either."""
    with Weather(folder="d2") as w:
        w.process.signal(10)
        w.process.expect("bs-weather: off")
        code = ("import socket,time\n"
                "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(3))\n"
                "s.bind(('eth0',0)); s.settimeout(.2); n=i=0; end=time.time()+3\n"
                "print('ready',flush=True)\n"
                "while time.time()<end:\n"
                "  try: p=s.recv(2000)\n"
                "  except TimeoutError: continue\n"
                "  if p[12:14]==b'\\x08\\x00' and p[23]==17:\n"
                "    n+=p[26:30]==bytes([10,77,1,2]); i+=p[30:34]!=bytes([10,77,1,2])\n"
                "    i+=p[30:34]==bytes([10,77,1,2])\n"
                "print('out',n,'in',i)\n")
        capture = bs.Process(inside("dev", sys.executable, "-c", code))
        capture.expect("ready")
        equal(connect("alice", "discover"), [], "found")
        pair("alice", status=6)
        equal(capture.wait(), 0, "capture")
        m = re.search(r"out (\d+) in (\d+)", capture.output())
        check(m and int(m.group(2)) > 0, f"the requests arrived: {capture.output()}")
        equal(int(m.group(1)), 0, "packets that left")


@test
def without_a_basestation():
    """Pair, call, and manage users where there is no basestation at all."""
    with Weather(folder="d3"):
        p = pair("alice")[0]
        equal((p["name"], p["rights"]), ("alice", ["local", "remote", "admin"]), "first user")
        files = os.listdir(pairings("alice"))
        equal(files, [ID + ".pair"], "files")
        mode = os.stat(os.path.join(pairings("alice"), files[0])).st_mode & 0o777
        equal(mode, 0o600, "mode")
        answer = connect("alice", "--local", "rpc", ID, "get_weather")[0]["answer"]
        check("temperature_mC" in answer, answer)
        equal(pair("bob")[0]["rights"], ["local", "remote"], "second user")
        users = connect("alice", "--local", "users", "list", ID)
        equal([u["name"] for u in users], ["alice", "bob"], "users")
        # Only the owner changes the list.
        connect("bob", "--local", "users", "add", ID, FAR_FP, "carol", status=8)
        connect("alice", "--local", "users", "add", ID, FAR_FP, "carol")
        connect("alice", "--local", "users", "rights", ID, FAR_FP, "remote")
        users = connect("alice", "--local", "users", "list", ID)
        equal([(u["name"], u["rights"]) for u in users][2], ("carol", ["remote"]), "third user")
        connect("alice", "--local", "users", "remove", ID, users[1]["fingerprint"])
        connect("bob", "--local", "rpc", ID, "get_weather", status=7)
        # A printed secret does not take the owner's place.
        pair("alice", status=8)
    # The list outlives the device's process.
    with Weather(folder="d3"):
        users = connect("alice", "--local", "users", "list", ID)
        equal([u["name"] for u in users], ["alice", "carol"], "users after a restart")


@test
def in_the_clear():
    """Connections in the clear: only where the device allows them, and never an administrator."""
    with Weather(folder="d4"):
        pair("alice")
        connect("alice", "--plain", "rpc", ID, "get_weather", status=6)
    with Weather("--local-plain", folder="d4"):
        answer = connect("alice", "--plain", "rpc", ID, "get_weather")[0]["answer"]
        check("temperature_mC" in answer, answer)
        connect("alice", "--plain", "users", "add", ID, FAR_FP, "carol", status=8)
        connect("alice", "--local", "users", "add", ID, FAR_FP, "carol")
        # Somebody who is not in the list comes in, and may do nothing.
        connect("bob", "--plain", "rpc", ID, "get_weather", status=8)


@test
def tunnel_without_a_basestation():
    """Streams run over a local connection too; who may use the device, may use its tunnels."""
    network()
    shout = bs.Process(inside(
        "dev", sys.executable, "-uc", "import socket\ns=socket.create_server(('127.0.0.1',8080))\n"
        "print('ready')\nwhile True:\n  c=s.accept()[0]\n"
        "  while (d:=c.recv(65536)): c.sendall(d.upper())\n  c.close()"))
    shout.expect("ready")
    try:
        with Weather("--allow", "127.0.0.1:8080", folder="d6", program="bs-tunnel-device"):
            pair("alice")
            equal(through("alice", b"loud " * 20000), b"LOUD " * 20000, "the service's answer")
            equal(through("bob", b"hello", status=2), b"", "answer to a stranger")
    finally:
        shout.stop()


def through(who, data, status=0):
    """Bytes through a tunnel on the LAN and back."""
    crt, key = _net[who]
    r = subprocess.run(inside("cli", bs.program("bsconnect"), "--cert", crt, "--key", key,
                              "--pairings", pairings(who), "--local", "tunnel", "--stdio", ID,
                              "127.0.0.1:8080"),
                       input=data, capture_output=True, timeout=60, check=False)
    equal(r.returncode, status, f"status of the tunnel: {r.stderr}")
    return r.stdout


class Recorded:
    """A device that answers as one was recorded to, from the rows of tests/vectors; the first
    query is lost."""

    def __init__(self):
        self.rows = {name: [bytes.fromhex(p["hex"]) for p in packets]
                     for name, _, packets in vectors.scenarios("data.txt")
                     if name in ("discovery", "legacy_rpc", "legacy_rpc_error")}
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.queries = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                asked, who = self.sock.recvfrom(2000)
            except OSError:
                return
            for name, (request, answer) in self.rows.items():
                if asked[:4] != request[:4] or asked[12:] != (
                        b"vector.device\0" if name == "discovery" else request[12:]):
                    continue
                if name == "discovery":  # the port is that of the recorder's machine
                    answer = answer[:16] + self.port.to_bytes(2, "big") + answer[18:]
                else:
                    self.queries += 1
                    if self.queries == 1:
                        continue
                self.sock.sendto(answer[:4] + asked[4:8] + answer[8:], who)


@test
def recorded_queries():
    """Queries without a connection: asked for by a flag, answered as recorded."""
    device = Recorded()
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as f:
        f.write("<unabto_queries><query name='id' id='0'><request/><response>"
                "<parameter name='uuid' type='raw'/><parameter name='major' type='uint16'/>"
                "<parameter name='minor' type='uint16'/></response></query>"
                "<query name='none' id='4711'><request/><response/></query></unabto_queries>")
        f.flush()

        def ask(query, status):
            r = bs.run([bs.program("bsconnect"), "--legacy-query", "--local-port", str(device.port),
                        "--interface", f.name, "rpc", "vector.device", query], ok=False)
            equal(r.returncode, status, f"status: {r.stdout}{r.stderr}")
            return json.loads(r.stdout)
        answer = ask("id", 0)["answer"]
        equal(answer, {"uuid": "8eee78e7-8f22-4019-8cee-4dcbc1c8186c", "major": 1, "minor": 0},
              "answer")
        equal(ask("none", 8)["error"]["code"], "query", "refusal")
        equal(device.queries, 3, "queries, one of them lost")
    device.sock.close()


@test
def through_a_basestation():
    """Local when the device answers, through the basestation with the pairing secret else."""
    network()
    node = _net["node"]
    node.process = bs.Process(inside("srv", bs.program("basestationd"), "-f", "-c",
                                     node.conf_file))
    bs.until("basestationd ready", node._ready, 20)
    secret = node.add_device(ID)
    node.allow()
    with Weather(port=node.ports["controller_port"], secret=secret, folder="d5") as w:
        w.process.expect("bs-weather: attached", 20)
        pair("alice")
        local = connect("alice", "info", ID, server="10.77.1.1")[0]
        equal((local["path"], local["remote"]), ("local", "10.77.1.2:5570"), "path on the LAN")
        # The client goes elsewhere: nothing is local there.
        sh("ip", "-n", space("cli"), "link", "set", "eth0", "down")
        sh("ip", "-n", space("cli"), "route", "add", "default", "via", "10.77.2.1")
        remote = connect("alice", "info", ID, server="10.77.2.1")[0]
        check(remote["remote"] != "10.77.1.2:5570" and "PAIR" in remote["extensions"], remote)
        users = connect("alice", "users", "list", ID, server="10.77.2.1")
        equal([u["name"] for u in users], ["alice"], "the owner from afar")
        # Another secret under the same number: nobody opens that session.
        forged = node.path("forged")
        os.makedirs(forged, exist_ok=True)
        with open(os.path.join(pairings("alice"), ID + ".pair"), encoding="utf-8") as f:
            text = f.read()
        with open(os.path.join(forged, ID + ".pair"), "w", encoding="utf-8",
                  opener=lambda p, fl: os.open(p, fl, 0o600)) as f:
            f.write(re.sub(r"secret ..", "secret 00", text))
        connect("alice", "info", ID, server="10.77.2.1", status=6, paired=forged, seconds=60)
        # Whom the owner does not know stays outside, whatever the basestation allows.
        connect("bob", "rpc", ID, "get_weather", server="10.77.2.1", status=7)
        # And back: the basestation is gone, the LAN is there.
        sh("ip", "-n", space("cli"), "link", "set", "eth0", "up")
        node.stop()
        answer = connect("alice", "rpc", ID, "get_weather", server="10.77.2.1")[0]["answer"]
        check("temperature_mC" in answer, answer)


if __name__ == "__main__":
    sys.exit(bs.main())
