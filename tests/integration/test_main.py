#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The main job with the real programs: devices register, clients call them, things go wrong."""
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import bs

CLIENT = "user@example.test"


class Nat:
    """Forwards UDP between devices and a node; rebind() gives every flow a new source port."""

    def __init__(self, address, node):
        self.flows = {}
        self.fronts = {}
        for port in {node.ports["controller_port"], node.ports["attach_port"]}:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((address, port))
            self.fronts[s] = ("127.0.0.1", port)
        self.lock = threading.Lock()
        self.blocked = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            with self.lock:
                backs = {f[0]: (f[1], f[2]) for f in self.flows.values()}
            ready, _, _ = select.select(list(self.fronts) + list(backs), [], [], 0.02)
            for s in ready:
                try:
                    data, peer = s.recvfrom(4096)
                except OSError:
                    continue
                if self.blocked:
                    continue
                if s in self.fronts:
                    self._out(s, peer).sendto(data, self.fronts[s])
                elif s in backs:
                    front, device = backs[s]
                    front.sendto(data, device)

    def _out(self, front, device):
        with self.lock:
            flow = self.flows.get((front, device))
            if flow is None:
                back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                back.bind(("127.0.0.1", 0))
                flow = self.flows[(front, device)] = (back, front, device)
            return flow[0]

    def rebind(self):
        """Forget all mappings, as a router does after a restart."""
        with self.lock:
            for flow in self.flows.values():
                flow[0].close()
            self.flows.clear()


def started(**conf):
    node = bs.Node(**conf).start()
    node.cert = node.client(CLIENT)
    return node


NODE = None


def node():
    """The node that most tests share."""
    global NODE
    if NODE is None:
        NODE = started()
        NODE.allow(CLIENT, "*")
    return NODE


def weather(n, device_id, **kw):
    answer = n.rpc(n.cert, device_id, "get_weather.json", **kw)
    bs.check("temperature_mC" in json.dumps(answer), f"no temperature in {answer}")
    return answer


def attachment(n, device_id):
    return n.ask("device", "show", device_id)[0].get("attachment")


def fails(n, device_id, code, text, cert=None):
    """A query that must fail with this status word; the error object."""
    r = n.connect(cert or n.cert, "rpc", device_id, "get_weather.json", ok=False)
    bs.check(r.returncode != 0, f"it worked: {r.stdout}")
    error = json.loads(r.stdout.splitlines()[-1])["error"] if r.stdout.strip() else {}
    bs.check(error.get("number") == code or code is None, f"want {code}, got {error} {r.stderr}")
    bs.check(text in r.stderr, f"want {text!r} in {r.stderr!r}")
    return error


@bs.test
def answer_travels():
    """A client calls a device and the answer travels directly between the two"""
    n = node()
    d = n.device("main1.p2p.test")
    weather(n, d.id)
    info = json.loads(n.connect(n.cert, "info", d.id, "--json").stdout)
    bs.check(info["path"] in ("direct", "local"), f"path {info['path']}")
    bs.equal(info["client"]["identity"], CLIENT, "identity")
    bs.equal(sorted(info["extensions"]), ["ATTEMPT", "AUTH_ALIVE", "CLOSE", "COOKIE",
                                          "FAST_STREAM", "GCM", "IP6", "PATH", "RETRY"],
             "extensions")
    caller = json.dumps(n.rpc(n.cert, d.id, "get_caller.json"))
    bs.check(CLIENT in caller, f"the device takes the caller for {caller}")
    bs.check(info["client"]["key_fp"][:32] in caller, "fingerprint is not that of the key")
    d.process.expect("client connected: " + CLIENT)
    d.stop()


@bs.test
def values_and_errors():
    """Parameters, lists, slow queries, exceptions and unknown queries"""
    n = node()
    d = n.device("main2.p2p.test")
    bs.check("kitchen" in json.dumps(n.rpc(n.cert, d.id, "set_name.json", "name=kitchen")), "set")
    bs.check("kitchen" in json.dumps(n.rpc(n.cert, d.id, "get_name.json")), "get")
    bs.check("samples" in json.dumps(n.rpc(n.cert, d.id, "get_history.json", "count=3")), "list")
    bs.check("temperature_mC" in json.dumps(n.rpc(n.cert, d.id, "measure.json")), "slow query")
    r = n.connect(n.cert, "rpc", d.id, "set_interval.json", "seconds=0", ok=False)
    bs.check("FORBIDDEN" in r.stdout, f"exception: {r.stdout}")
    r = n.connect(n.cert, "rpc", d.id, "set_interval.json", "seconds=70000", ok=False)
    bs.check(r.returncode != 0 and "seconds" in r.stderr, f"range: {r.stderr}")
    r = n.connect(n.cert, "rpc", d.id, "no_such.json", ok=False)
    bs.check("no_such.json" in r.stderr, f"unknown query: {r.stderr}")
    d.stop()


@bs.test
def stays_attached():
    """Keep-alives flow over many intervals without a second attach"""
    n = node()
    d = n.device("main3.p2p.test")
    first = attachment(n, d.id)
    before = n.stat("alive_answers") or n.stat("alive_rsp")
    bs.until("twenty intervals", lambda: attachment(n, d.id)["seen"] >= first["seen"] + 4, 20)
    bs.equal(attachment(n, d.id)["since"], first["since"], "attached since")
    bs.equal(sum("attached" in l for l in d.process.lines), 1, "attaches")
    bs.check(before is not None, "counter")
    d.stop()


@bs.test
def device_restarts():
    """A device that comes back after a crash replaces its old attachment"""
    n = node()
    d = n.device("main4.p2p.test")
    old = attachment(n, d.id)
    d.kill()
    d.start()
    new = bs.until("the new address", lambda: (a := attachment(n, d.id)) and
                   a["address"] != old["address"] and a)
    bs.check(new["state"] == "online", f"state {new}")
    weather(n, d.id)
    d.stop()


@bs.test
def silent_device_goes():
    """A device that died is unreachable soon and gone later"""
    n = node()
    d = n.device("main5.p2p.test")
    d.kill()
    bs.until("unreachable", lambda: (a := attachment(n, d.id)) is None or
             a["state"] == "unreachable")
    bs.until("gone", lambda: attachment(n, d.id) is None)
    fails(n, d.id, 0x8007, "")


@bs.test
def nat_rebinds():
    """A NAT that forgets its mapping does not cost the attachment"""
    n = started(public_address="127.0.0.2")
    n.allow()
    nat = Nat("127.0.0.2", n)
    secret = n.add_device("nat1.p2p.test")
    d = bs.Device(n, "nat1.p2p.test", secret)
    d.start(controller="127.0.0.2")
    old = attachment(n, d.id)
    nat.rebind()
    new = bs.until("the moved record", lambda: (a := attachment(n, d.id)) and
                   a["address"] != old["address"] and a, 15)
    bs.equal(new["since"], old["since"], "attached since")
    bs.equal(sum("attached" in l for l in d.process.lines), 1, "attaches")
    d.stop()
    n.stop()


@bs.test
def interval_grows():
    """The keep-alive interval grows to what the NAT bears, and a poll with a MAC moves the record"""
    n = started(public_address="127.0.0.2", alive_interval="1s", alive_unreachable="10s",
                alive_timeout="20s", alive_min="1s", alive_max="3s")
    n.allow()
    nat = Nat("127.0.0.2", n)
    secret = n.add_device("nat2.p2p.test")
    d = bs.Device(n, "nat2.p2p.test", secret)
    d.start(controller="127.0.0.2")
    old = bs.until("the longest interval", lambda: (a := attachment(n, d.id)) and
                   a["interval_s"] == 3 and a, 30)
    nat.rebind()
    new = bs.until("the moved record", lambda: (a := attachment(n, d.id)) and
                   a["address"] != old["address"] and a, 30)
    bs.equal(new["since"], old["since"], "attached since")
    bs.equal(n.stat("alive_move_probe"), 0, "addresses checked without a MAC")
    bs.check(n.stat("alive_roamed") >= 1, "no change of address proven by a MAC")
    bs.check(n.stat("alive_auth_bad") == 0, "keep-alives without the MAC")
    d.stop()
    n.stop()


@bs.test
def wrong_key():
    """A device with another secret is told so by its own report and never attaches"""
    n = node()
    secret = n.add_device("main6.p2p.test")
    with open(secret, "w", encoding="ascii") as f:
        f.write("0" * 32 + "\n")
    d = bs.Device(n, "main6.p2p.test", secret).start(attached=False)
    d.process.expect("the basestation holds another secret")
    bs.check(attachment(n, d.id) is None, "attached all the same")
    d.stop()


@bs.test
def no_secret_at_all():
    """A device without a secret needs a library, a conf and a registry entry that allow it"""
    with open(os.path.join(bs.BUILD, "config.h"), encoding="ascii") as f:
        built = "#define BS_ENABLE_LEGACY 1" in f.read()
    n = started(allow_legacy="yes")
    n.bsctl("device", "add", "old.p2p.test", "--legacy")
    args = [bs.program("bs-weather"), "--id", "old.p2p.test", "--legacy", "--controller",
            "127.0.0.1", "--port", n.ports["controller_port"]]
    if not built:
        r = bs.run(args, ok=False)
        bs.equal(r.returncode, 1, "status without --enable-legacy")
        bs.check("--enable-legacy" in r.stderr, r.stderr)
    else:
        d = bs.Process(args)
        d.expect("bs-weather: attached")
        d.stop()
    n.stop()


@bs.test
def unknown_and_disabled():
    """Unknown and disabled ids get no answer; enabling one lets it in"""
    n = node()
    secret = n.add_device("main7.p2p.test")
    n.bsctl("device", "disable", "main7.p2p.test")
    unknown = bs.Device(n, "stranger.p2p.test", secret).start(attached=False)
    disabled = bs.Device(n, "main7.p2p.test", secret).start(attached=False)
    disabled.process.expect("attaching")
    time.sleep(1)
    bs.check(not unknown.process.saw(": attached"), "an unknown id attached")
    bs.check(not disabled.process.saw(": attached"), "a disabled device attached")
    n.bsctl("device", "enable", "main7.p2p.test")
    disabled.attached(15)
    n.bsctl("device", "disable", "main7.p2p.test")
    bs.until("its end", lambda: attachment(n, "main7.p2p.test") is None, 3)
    unknown.stop()
    disabled.stop()


@bs.test
def second_claim():
    """The newest proven attach of an id wins, and an event says so"""
    n = node()
    first = n.device("main8.p2p.test")
    old = attachment(n, first.id)
    second = bs.Device(n, first.id, first.secret).start()
    new = bs.until("the second one", lambda: (a := attachment(n, first.id)) and
                   a["address"] != old["address"] and a)
    bs.check(new["state"] == "online", str(new))
    weather(n, first.id)
    first.kill()
    second.stop()


@bs.test
def refused_by_rule():
    """Without a rule a device looks as if it did not exist"""
    n = started()
    d = n.device("hidden1.p2p.test")
    one = fails(n, d.id, 0x800D, "")
    two = fails(n, "nosuch.p2p.test", 0x800D, "")
    bs.equal({k: v for k, v in one.items() if k != "text"},
             {k: v for k, v in two.items() if k != "text"}, "the two refusals")
    n.allow(CLIENT, d.id)
    weather(n, d.id)
    n.bsctl("access", "deny", "*", d.id, "--priority", "10")
    fails(n, d.id, 0x800D, "")
    d.stop()
    bs.equal(n.stop(), 0, "status of basestationd")


@bs.test
def refused_by_device():
    """The owner's refusal comes from the device"""
    n = node()
    d = n.device("main9.p2p.test", "--refuse", CLIENT)
    error = fails(n, d.id, 0x8004, "")
    bs.equal(error["from"], "device", "who refused")
    d.stop()


@bs.test
def device_silent():
    """A device that stopped answering gives one clear error within the limit"""
    n = started(alive_interval="30s", alive_unreachable="40s", alive_timeout="70s",
                connect_timeout="4500ms")
    n.allow()
    d = n.device("silent1.p2p.test", "--alive-ms", "13000")
    d.process.signal(signal.SIGSTOP)
    t = time.monotonic()
    fails(n, d.id, 0x8007, "")
    took = time.monotonic() - t
    bs.check(took < 8 * bs.SLOW, f"it took {took:.1f} s")
    d.process.signal(signal.SIGCONT)
    weather(n, d.id)
    d.stop()
    n.stop()


@bs.test
def wrong_certificates():
    """Foreign, expired and revoked certificates are refused, each with its reason"""
    n = started()
    n.allow()
    d = n.device("cert1.p2p.test")
    other = bs.Node(own_ca=True)
    foreign = other.client(CLIENT)
    r = n.connect(foreign, "rpc", d.id, "get_weather.json", ok=False)
    bs.check(r.returncode != 0, "a certificate of another authority was accepted")
    expired = n.path("expired")
    expire_certificate(n, expired)
    r = n.connect((expired + ".crt", expired + ".key"), "rpc", d.id, "get_weather.json", ok=False)
    bs.check(r.returncode != 0, "an expired certificate was accepted")
    bs.check("expired" in r.stderr, f"reason: {r.stderr}")
    weather(n, d.id)
    n.ca("revoke", CLIENT)
    r = n.connect(n.cert, "rpc", d.id, "get_weather.json", ok=False)
    bs.check(r.returncode != 0, "a revoked certificate was accepted")
    bs.check("revoked" in r.stderr, f"reason: {r.stderr}")
    d.stop()
    n.stop()


def expire_certificate(n, prefix):
    """A client certificate that ended yesterday, signed by the node's own authority."""
    bs.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", prefix + ".key", "-out",
            prefix + ".csr", "-subj", "/CN=late@example.test"])
    with open(prefix + ".ext", "w", encoding="ascii") as f:
        f.write("subjectAltName=email:late@example.test\nkeyUsage=digitalSignature\n"
                "extendedKeyUsage=clientAuth\n")
    conf = prefix + ".cnf"
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={prefix}.db\nnew_certs_dir={n.dir}\n"
                f"rand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\n"
                f"[p]\ncommonName=supplied\n")
    open(prefix + ".db", "w", encoding="ascii").close()
    bs.run(["openssl", "ca", "-batch", "-config", conf, "-in", prefix + ".csr", "-out",
            prefix + ".crt", "-cert", n.path("ca/ca.crt"), "-keyfile", n.path("ca/ca.key"),
            "-startdate", "20200101000000Z", "-enddate", "20210101000000Z", "-extfile",
            prefix + ".ext", "-notext"])


@bs.test
def revocation_ends_sessions():
    """Revoking a client ends a running session within a second"""
    n = started()
    n.allow()
    d = n.device("rev1.p2p.test")
    sessions = n.status().get("sessions", 0)
    hold = hold_session(n)
    bs.until("a session", lambda: n.status().get("sessions", 0) > sessions)
    t = time.monotonic()
    n.bsctl("client", "revoke", CLIENT)
    bs.check(hold.closed(2), "the session goes on")
    took = time.monotonic() - t
    bs.check(took < 1.5 * bs.SLOW, f"it took {took:.2f} s")
    d.stop()
    n.stop()


class hold_session:
    """A TLS session that says HELLO and then only waits."""

    def __init__(self, n):
        import ssl
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.load_verify_locations(n.path("ca/ca.crt"))
        ctx.load_cert_chain(*n.cert)
        ctx.set_alpn_protocols(["basestation/1"])
        raw = socket.create_connection(("127.0.0.1", n.ports["client_port"]), 10)
        self.s = ctx.wrap_socket(raw, server_hostname="localhost")
        self.s.sendall(self.hello())
        self.s.settimeout(10 * bs.SLOW)
        bs.check(len(self.s.recv(4096)) > 16, "no answer to HELLO")

    @staticmethod
    def hello():
        def payload(kind, data):
            return bytes([kind, 0]) + (4 + len(data)).to_bytes(2, "big") + data
        body = payload(0x3A, b"\0\1" + b"\0\0\0\1" + b"\0\0\0\0")
        body += payload(0x3B, b"\0" + b"\0\0\0\0" + b"\0\0\0\0")
        body += payload(0x67, bytes([1, 4, 0, 60, 6, 4, 2, 2]))
        head = (4711).to_bytes(4, "big") + b"\0\0\0\0" + bytes([64, 2, 0, 0, 0, 1])
        return head + (16 + len(body)).to_bytes(2, "big") + body

    def closed(self, seconds):
        self.s.settimeout(seconds * bs.SLOW)
        try:
            while self.s.recv(4096):
                pass
            return True
        except (TimeoutError, socket.timeout):
            return False
        except OSError:
            return True


@bs.test
def reload_under_load():
    """Reloading while clients call changes the conf and disturbs nobody"""
    n = started()
    n.allow()
    devices = [n.device(f"load{i}.p2p.test") for i in range(4)]
    failed = []
    stop = threading.Event()

    def calls(d):
        while not stop.is_set():
            try:
                weather(n, d.id)
            except Exception as e:  # noqa: BLE001 - collected for the main thread
                failed.append(str(e))
                return

    threads = [threading.Thread(target=calls, args=(d,)) for d in devices]
    for t in threads:
        t.start()
    for i in range(5):
        n.set(alive_interval=f"{200 + i * 10}ms")
        if i % 2:
            n.process.signal(signal.SIGHUP)
            n.process.expect("reload", since=0)
        else:
            n.bsctl("conf", "reload")
    stop.set()
    for t in threads:
        t.join()
    bs.equal(failed, [], "failed calls")
    for d in devices:
        bs.equal(sum("attached" in l for l in d.process.lines), 1, f"attaches of {d.id}")
        d.stop()
    bs.equal(n.stop(), 0, "status of basestationd")


@bs.test
def server_killed():
    """After kill -9 of the server devices come back by themselves"""
    n = started()
    n.allow()
    d = n.device("crash1.p2p.test")
    ports = n.ports
    n.set(controller_port=ports["controller_port"], attach_port=ports["attach_port"],
          client_port=ports["client_port"])
    n.kill()
    since = len(d.process.lines)
    n.start()
    d.attached(30, since)
    weather(n, d.id)
    d.stop()
    n.stop()


@bs.test
def client_killed():
    """A client that dies in mid-call leaves nothing behind"""
    n = node()
    d = n.device("crash2.p2p.test")
    for _ in range(3):
        p = subprocess.Popen([bs.program("bsconnect"), "--server",
                              f"localhost:{n.ports['client_port']}", "--ca", n.path("ca/ca.crt"),
                              "--cert", n.cert[0], "--key", n.cert[1], "--interface", bs.XML,
                              "rpc", d.id, "measure.json"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        seen = len(d.process.lines)
        d.process.expect("client connected", since=max(0, seen - 1))
        p.kill()
        p.wait()
    # The device ends an idle connection after 17.5 s and says so.
    bs.until("no session", lambda: n.status().get("sessions", 0) == 0, 30)
    weather(n, d.id)
    d.stop()


@bs.test
def four_workers():
    """Four workers, devices on all of them, clients through all of them"""
    n = started(workers=4)
    n.allow()
    devices, used = [], set()
    for i in range(40):
        devices.append(n.device(f"many{i}.p2p.test", "--quiet", start=False))
    for d in devices:
        d.start(attached=False)
    bs.until("all attached", lambda: n.status().get("devices_attached") == len(devices), 30)
    for d in devices:
        used.add(attachment(n, d.id)["worker"])
    bs.equal(used, {0, 1, 2, 3}, "workers with devices")
    for d in devices[:12]:
        weather(n, d.id)
    for d in devices:
        d.kill()
    bs.equal(n.stop(), 0, "status of basestationd")


@bs.test
def single_port():
    """Controller and attach role on one port"""
    n = bs.Node()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    n.set(controller_port=port, attach_port=port)
    n.start()
    n.cert = n.client(CLIENT)
    n.allow()
    d = n.device("single1.p2p.test")
    weather(n, d.id)
    d.stop()
    n.stop()


@bs.test
def over_ip6():
    """Device, client and basestation talk over IPv6 where only that is there"""
    n = started(listen="::1", public_address=None, public_address6="::1")
    n.allow()
    secret = n.add_device("six1.p2p.test")
    d = bs.Device(n, "six1.p2p.test", secret)
    d.start(controller="::1")
    bs.check("::1" in json.dumps(attachment(n, d.id)["address"]), "address")
    info = json.loads(n.connect(n.cert, "info", d.id, "--json", host="[::1]").stdout)
    bs.check(info["remote"].startswith("["), f"remote {info['remote']}")
    d.stop()
    stock = bs.Device(n, "six1.p2p.test", secret, ("--extensions", "0"))
    stock.start(attached=False, controller="::1")
    time.sleep(1)
    bs.check(not stock.process.saw(": attached"), "a device without the extension attached")
    stock.stop()
    n.stop()


@bs.test
def without_extensions():
    """A device that offers no extension works the same"""
    n = node()
    d = n.device("base1.p2p.test", "--extensions", "0")
    weather(n, d.id)
    info = json.loads(n.connect(n.cert, "info", d.id, "--json").stdout)
    bs.equal(info["extensions"], [], "extensions")
    d.stop()


@bs.test
def lists():
    """bsconnect list shows what the client may reach and whether it is there"""
    n = started()
    d = n.device("list1.p2p.test")
    n.add_device("list2.p2p.test")
    n.add_device("other.p2p.test")
    n.allow(CLIENT, "list*")
    text = n.connect(n.cert, "list", "--json").stdout
    bs.check("list1.p2p.test" in text and "list2.p2p.test" in text, text)
    bs.check("other.p2p.test" not in text, f"a device without a rule is shown: {text}")
    d.stop()
    n.stop()


@bs.test
def kick():
    """A kicked device is told and comes back"""
    n = node()
    d = n.device("kick1.p2p.test")
    since = len(d.process.lines)
    n.bsctl("device", "kick", d.id)
    d.attached(15, since)
    weather(n, d.id)
    d.stop()


@bs.test
def rotate_key():
    """A device may use its old secret until the rotation is finished"""
    n = node()
    d = n.device("rotate1.p2p.test")
    new = n.path("rotate1.new")
    n.bsctl("device", "rotate-key", d.id, "--secret-file", new)
    d.stop()
    old = bs.Device(n, d.id, d.secret).start()
    old.stop()
    fresh = bs.Device(n, d.id, new).start()
    weather(n, d.id)
    fresh.stop()


@bs.test
def attempts_are_explained():
    """bsctl tells what came of an attempt, under the number that the client shows"""
    n = node()
    d = n.device("explain1.p2p.test")
    info = json.loads(n.connect(n.cert, "info", d.id, "--json").stdout)
    rows = bs.until("a direct attempt in the list",
                    lambda: [r for r in n.ask("attempt", "list", "--device", d.id)
                             if r["outcome"] == "direct" and r["over_after_ms"] is not None])
    bs.equal(rows[0]["client"], CLIENT, "client")
    bs.equal(rows[0]["attempt"], info["attempt"], "the attempt's number")
    out = n.ask("attempt", "explain", info["attempt"])
    steps = [r["step"] for r in out if "step" in r]
    bs.check("connect request sent to the device" in steps, f"steps {steps}")
    bs.check(any("client's last report" in s for s in steps), f"no word of the client: {steps}")
    bs.equal(out[-1]["connection"], n.ask("attempt", "explain", out[-1]["connection"])[-1]
             ["connection"], "found by its connection number")
    bs.check(n.stat("nat_cone_cone_direct") + n.stat("nat_unknown_cone_direct") > 0,
             "no pair of NATs was counted")
    d.stop()


@bs.test
def clean_stop():
    """SIGTERM ends the server with status 0 and no complaint"""
    n = started()
    n.allow()
    d = n.device("stop1.p2p.test")
    weather(n, d.id)
    bs.equal(n.stop(), 0, "status")
    bs.check(not os.path.exists(n.socket), "the control socket is still there")
    d.stop()


if __name__ == "__main__":
    sys.exit(bs.main())
