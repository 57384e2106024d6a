#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bsconnect against a real basestation and a real device: results, failures, exit status."""
import json
import os
import pty
import select
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bs  # noqa: E402
from bs import check, equal, test  # noqa: E402

ID = "w1.p2p.example"
USAGE, NO_SERVER, AUTH, REFUSED, NO_DEVICE, DEVICE, QUERY = 2, 3, 4, 5, 6, 7, 8
_shared = {}


def shared():
    """One node with a device and two clients for all tests that only ask."""
    if not _shared:
        node = bs.Node().start()
        _shared.update(node=node, alice=node.client("alice@example.com"),
                       mallory=node.client("mallory"))
        node.allow("alice@example.com")
        _shared["device"] = node.device(ID)
    return _shared["node"], _shared["alice"]


def connect(*args, status=0, cert=None, **kw):
    """bsconnect as alice, with this exit status."""
    node, alice = shared()
    r = node.connect(cert or alice, *args, ok=False, **kw)
    equal(r.returncode, status, f"status of bsconnect {args}: {r.stdout}{r.stderr}")
    check("Traceback" not in r.stderr and "ERROR: " not in r.stderr, r.stderr)
    return r


def bare(*args, status=USAGE, env=None, seconds=20):
    """bsconnect with these arguments only."""
    e = {k: v for k, v in os.environ.items() if not k.startswith("BSCONNECT_")}
    e.update(HOME="/nonexistent", **(env or {}))
    e.pop("XDG_CONFIG_HOME", None)
    e.update({k: v for k, v in (env or {}).items()})
    r = bs.run([bs.program("bsconnect"), *args], ok=False, seconds=seconds, env=e)
    equal(r.returncode, status, f"status of bsconnect {args}: {r.stdout}{r.stderr}")
    return r


def basics(node, cert):
    return ["--server", f"localhost:{node.ports['client_port']}", "--ca", node.path("ca/ca.crt"),
            "--cert", cert[0], "--key", cert[1], "--interface", bs.XML]


@test
def queries():
    """rpc prints one JSON object with the answer."""
    r = connect("rpc", ID, "get_weather")
    equal(len(r.stdout.splitlines()), 1, "lines")
    o = json.loads(r.stdout)
    equal((o["device"], o["query"]), (ID, "get_weather.json"), "names")
    equal(set(o["answer"]), {"temperature_mC", "humidity_permille", "pressure_Pa", "age_s"}, "answer")
    equal(r.stderr, "", "nothing on standard error without a terminal")


@test
def arguments():
    """Arguments go out as the interface says, text and numbers come back."""
    o = json.loads(connect("rpc", ID, "set_name.json", "name=Dach \u2600").stdout)
    equal(o["answer"], {"name": "Dach \u2600"}, "name")
    o = json.loads(connect("rpc", ID, "set_interval", "seconds=0x10").stdout)
    equal(o["answer"], {"seconds": 16}, "hexadecimal number")


@test
def lists():
    """A list in an answer becomes an array of objects."""
    o = json.loads(connect("rpc", ID, "get_history", "count=3").stdout)
    check(isinstance(o["answer"]["samples"], list), o)
    for row in o["answer"]["samples"]:
        equal(set(row), {"age_s", "temperature_mC"}, "row")


@test
def asynchronous():
    """A query that takes a moment is waited for."""
    o = json.loads(connect("rpc", ID, "measure").stdout)
    check(isinstance(o["answer"]["temperature_mC"], int), o)


@test
def identity():
    """The device sees who TLS proved that we are."""
    o = json.loads(connect("rpc", ID, "get_caller").stdout)
    check("alice@example.com" in json.dumps(o["answer"]), o)


@test
def exception():
    """An exception is printed with its symbol; status 8."""
    o = json.loads(connect("rpc", ID, "set_interval", "seconds=0", status=QUERY).stdout)
    equal(o["error"]["code"], "exception", "code")
    check(o["error"]["symbol"].startswith("BS_RPC_"), o)
    equal(o["error"]["from"], "device", "from")


@test
def bad_arguments():
    """Wrong arguments are refused before anything is sent, with the place."""
    for args, says in ((["set_interval", "seconds=65536"], "seconds"),
                       (["set_interval", "seconds=x"], "0 to 65535"),
                       (["set_interval"], "needs an argument seconds"),
                       (["set_interval", "seconds=1", "seconds=2"], "twice"),
                       (["set_interval", "minutes=1"], "minutes"),
                       (["set_interval", "seconds"], "ARG=VALUE"),
                       (["no_such_query"], "no query")):
        r = connect("rpc", ID, *args, status=USAGE)
        check(says in r.stderr, f"{args}: {r.stderr}")
        equal(len(r.stderr.splitlines()), 1, "lines of the message")
        equal(r.stdout, "", "standard output")


@test
def information():
    """info tells path, addresses, extensions, interface and who we are."""
    o = json.loads(connect("--json", "info", ID).stdout)
    equal(o["device"], ID, "device")
    check(o["path"] in ("local", "direct"), o)
    check(o["remote"].startswith(("127.0.0.1:", "[")), o)
    check(o["rtt_ms"] > 0 and o["connect_ms"] > 0, o)
    check({"IP6", "ATTEMPT", "CLOSE", "GCM", "FAST_STREAM"} <= set(o["extensions"]), o)
    equal(o["suite"], "AES-128-GCM", "both ends have it")
    equal(o["paired"], False, "without a pairing")
    equal(o["client"]["identity"], "alice@example.com", "identity")
    equal(len(o["client"]["key_fp"]), 64, "fingerprint")
    check(o["basestation"]["tls"] in ("TLSv1.2", "TLSv1.3"), o)
    check(o["basestation"]["sees_udp"].startswith("127.0.0.1:"), o)
    check("interface" in o, o)
    text = connect("info", ID).stdout
    for word in ("path", "round trip", "extensions", "interface", "basestation", "client"):
        check(word in text, text)


@test
def attempt_id():
    """The attempt id that info prints is in the server's log."""
    node, _ = shared()
    o = json.loads(connect("--json", "info", ID).stdout)
    bs.until("attempt in the log", lambda: node.process.saw(o["attempt"]))


@test
def listing():
    """list shows devices that this client may reach, and their state."""
    node, _ = shared()
    node.add_device("off.p2p.example")
    rows = [json.loads(l) for l in connect("--json", "list").stdout.splitlines()]
    state = {o["device"]: o["state"] for o in rows}
    equal(state.get(ID), "online", "attached device")
    equal(state.get("off.p2p.example"), "offline", "device that never came")
    check(ID in connect("list").stdout, "text form")
    equal(connect("--json", "list", cert=_shared["mallory"]).stdout, "", "list without rights")


@test
def refused():
    """No right and no such device look the same: status 5."""
    node, alice = shared()
    node.bsctl("access", "deny", "alice@example.com", "secret.p2p.example")
    node.add_device("secret.p2p.example")
    a = json.loads(connect("rpc", "secret.p2p.example", "get_name", status=REFUSED).stdout)
    b = json.loads(connect("rpc", ID, "get_name", status=REFUSED, cert=_shared["mallory"]).stdout)
    for o in (a, b):
        equal(o["error"]["code"], "refused", "code")
        equal(o["error"]["from"], "basestation", "from")
    equal(a["error"]["text"], b["error"]["text"], "text")


@test
def offline():
    """A device that is not attached: status 6."""
    node, _ = shared()
    node.add_device("gone.p2p.example")
    o = json.loads(connect("--json", "info", "gone.p2p.example", status=NO_DEVICE).stdout)
    equal(o["error"]["code"], "not-attached", "code")


@test
def refused_by_device():
    """A device whose owner refuses us: status 7."""
    node, _ = shared()
    d = node.device("proud.p2p.example", "--refuse", "alice@example.com")
    o = json.loads(connect("--json", "info", "proud.p2p.example", status=DEVICE).stdout)
    d.kill()
    equal((o["error"]["code"], o["error"]["from"]), ("refused-by-device", "device"), "reason")


@test
def bad_device_id():
    """What is no device id is refused here: status 2."""
    for d in ("", "under_score", "x" * 41, "sp ace"):
        r = connect("info", d, status=USAGE)
        check("no device id" in r.stderr, r.stderr)


@test
def wrong_authority():
    """A server of another CA: status 4, and the reason."""
    node, alice = shared()
    other = bs.Node(own_ca=True)
    r = bare(*basics(node, alice)[:2], "--ca", other.path("ca/ca.crt"), "--cert", alice[0],
             "--key", alice[1], "--json", "list", status=AUTH)
    o = json.loads(r.stdout)
    check(o["error"]["code"] in ("server-unknown-ca", "server-self-signed"), o)


@test
def wrong_name():
    """A certificate for another name: status 4."""
    r = connect("--server-name", "other.example", "--json", "list", status=AUTH)
    equal(json.loads(r.stdout)["error"]["code"], "server-name", "code")


@test
def pinned():
    """A pin takes the place of the CA; a wrong one is refused: status 4."""
    node, alice = shared()
    der = subprocess.run(["openssl", "x509", "-in", node.path("server.crt"), "-noout", "-pubkey"],
                         capture_output=True, check=True).stdout
    fp = subprocess.run("openssl pkey -pubin -outform DER | openssl dgst -sha256 -r", shell=True,
                        input=der, capture_output=True, check=True).stdout.split()[0].decode()
    args = [a for a in basics(node, alice) if a not in ("--ca", node.path("ca/ca.crt"))]
    r = bare(*args, "--pin", fp, "list", status=0)
    check(ID in r.stdout, r.stdout)
    wrong = fp[:-1] + ("0" if fp[-1] != "0" else "1")
    r = bare(*args, "--pin", wrong, "--json", "list", status=AUTH)
    equal(json.loads(r.stdout)["error"]["code"], "server-pin", "code")


@test
def stranger():
    """A client certificate of another CA: status 4, told by the server."""
    node, _ = shared()
    other = bs.Node(own_ca=True)
    eve = other.client("alice@example.com")
    r = connect("--json", "list", cert=eve, status=AUTH)
    check(json.loads(r.stdout)["error"]["code"].startswith("client-"), r.stdout)


@test
def revoked():
    """A revoked client: status 4."""
    node, _ = shared()
    bob = node.client("bob@example.com")
    node.allow("bob@example.com")
    connect("list", cert=bob)
    node.ca("revoke", "bob@example.com")

    def gone():
        r = node.connect(bob, "--json", "list", ok=False)
        return r.returncode == AUTH and json.loads(r.stdout)["error"]["code"]
    equal(bs.until("revocation", gone), "client-revoked", "code")


@test
def nobody_listens():
    """A port without a server: status 3."""
    _, alice = shared()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        r = bare("--server", f"127.0.0.1:{s.getsockname()[1]}", "--cert", alice[0], "--key",
                 alice[1], "--json", "list", status=NO_SERVER)
    equal(json.loads(r.stdout)["error"]["code"], "tcp-refused", "code")


@test
def silent_server():
    """A server that accepts and says nothing ends at the timeout: status 3."""
    _, alice = shared()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        began = time.monotonic()
        r = bare("--server", f"127.0.0.1:{s.getsockname()[1]}", "--cert", alice[0], "--key",
                 alice[1], "--timeout", "0.5", "--json", "list", status=NO_SERVER)
        check(time.monotonic() - began < 10 * bs.SLOW, "took too long")
    equal(json.loads(r.stdout)["error"]["code"], "timeout", "code")


@test
def another_protocol():
    """A web server is no basestation: status 3."""
    _, alice = shared()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        p = subprocess.Popen([bs.program("bsconnect"), "--server",
                              f"127.0.0.1:{s.getsockname()[1]}", "--cert", alice[0], "--key",
                              alice[1], "--json", "list"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        c, _ = s.accept()
        c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        out, _ = p.communicate(timeout=20)
        c.close()
    equal(p.returncode, NO_SERVER, "status")
    equal(json.loads(out)["error"]["code"], "tls-protocol", "code")


@test
def unknown_name():
    """A server name that does not exist: status 3."""
    _, alice = shared()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        p = subprocess.Popen([bs.program("bsconnect"), "--server", "nowhere.example", "--dns",
                              f"127.0.0.1:{s.getsockname()[1]}", "--cert", alice[0], "--key",
                              alice[1], "--json", "list"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        s.settimeout(10)
        try:
            while p.poll() is None:
                q, peer = s.recvfrom(512)
                s.sendto(q[:2] + b"\x81\x83" + q[4:6] + b"\0\0\0\0\0\0" + q[12:], peer)
                time.sleep(0.01)
                s.settimeout(0.5)
        except TimeoutError:
            pass
        out, _ = p.communicate(timeout=20)
    equal(p.returncode, NO_SERVER, "status")
    equal(json.loads(out)["error"]["code"], "no-such-host", "code")


@test
def environment_and_file():
    """Environment and file give what the command line does not; the order holds."""
    node, alice = shared()
    base = basics(node, alice)
    home = node.path("home")
    os.makedirs(os.path.join(home, "basestation"), exist_ok=True)
    conf = os.path.join(home, "basestation", "bsconnect.conf")
    with open(conf, "w", encoding="utf-8") as f:
        f.write("# a comment\n\nserver = nowhere.invalid\n")
        for k, v in zip(base[2::2], base[3::2]):
            f.write(f"{k[2:]} = {v}\n")
    env = {"XDG_CONFIG_HOME": home, "BSCONNECT_SERVER": base[1]}
    r = bare("rpc", ID, "get_name", status=0, env=env)
    check("answer" in json.loads(r.stdout), r.stdout)
    with open(conf, "a", encoding="utf-8") as f:
        f.write("sever = x\n")
    r = bare("list", env=env)
    check(f"{conf}:8: unknown key" in r.stderr, r.stderr)
    with open(conf, "w", encoding="utf-8") as f:
        f.write("hello\n")
    r = bare("list", env=env)
    check(f"{conf}:1: expected key = value" in r.stderr, r.stderr)


@test
def usage():
    """Wrong command lines: status 2 and one message."""
    _, alice = shared()
    some = ["--server", "x", "--cert", alice[0], "--key", alice[1]]
    for args, says in (([], "no basestation"), (["list"], "no basestation"),
                       (["--server", "x", "list"], "no client certificate"),
                       (some, "expected rpc"), (some + ["lst"], "expected rpc"),
                       (some + ["list", "more"], "expected rpc"), (some + ["info"], "expected rpc"),
                       (some + ["rpc", ID], "expected rpc"),
                       (some + ["rpc", ID, "q"], "--interface"),
                       (["--server", "x:0"] + some[2:] + ["list"], "port"),
                       (["--server", "x:70000"] + some[2:] + ["list"], "port"),
                       (["--server", "[::1"] + some[2:] + ["list"], "[ADDRESS]"),
                       (["--server", ":5571"] + some[2:] + ["list"], "HOST"),
                       (some + ["--timeout", "0", "list"], "--timeout"),
                       (some + ["--timeout", "nan", "list"], "--timeout"),
                       (some + ["--pin", "abc", "list"], "--pin"),
                       (some + ["--no-such-option", "list"], "--help"),
                       (some[:4] + ["--key", "/none.key", "list"], "/none.key")):
        r = bare(*args)
        check(says in r.stderr, f"{args}: {r.stderr}")
    check("rpc DEVICE QUERY" in bare("--help", status=0).stdout, "help")
    check(bare("--version", status=0).stdout.startswith("bsconnect "), "version")


@test
def ip6():
    """The basestation over IPv6."""
    node, alice = shared()
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        raise bs.Skip("no IPv6 on this machine")
    r = node.connect(alice, "rpc", ID, "get_name", host="[::1]")
    check("answer" in json.loads(r.stdout), r.stdout)


@test
def example():
    """The example client asks several devices in one loop."""
    node, alice = shared()
    second = node.device("w2.p2p.example")
    r = bs.run([bs.program("bs-ask"), f"localhost:{node.ports['client_port']}",
                node.path("ca/ca.crt"), *alice, bs.XML, "get_weather", ID, "w2.p2p.example",
                "never.p2p.example"])
    second.kill()
    lines = sorted(r.stdout.splitlines())
    equal(len(lines), 3, "lines")
    check(lines[0].startswith("never.p2p.example:") and "no such device" in lines[0], lines)
    for line in lines[1:]:
        check("temperature_mC=" in line, lines)


@test
def watching():
    """The watch example sees devices come and go, over a restart of the server, until revoked."""
    node = bs.Node().start()
    cert = node.client("watcher@example.com")
    node.allow("watcher@example.com", "w*")
    node.set(**{k: node.ports[k] for k in ("controller_port", "attach_port", "client_port")})
    device = node.device(ID)
    node.add_device("w2.p2p.example")
    w = bs.Process([bs.program("bs-watch"), f"localhost:{node.ports['client_port']}",
                    node.path("ca/ca.crt"), *cert, ID, "w2.p2p.example"])
    w.expect(f"^{ID} online ")
    w.expect("^w2.p2p.example offline ")
    device.kill()
    gone = int(w.expect(f"^{ID} offline ", 15).split()[2])
    seen = len(w.lines)
    device.start()
    check(int(w.expect(f"^{ID} online ", 15, seen).split()[2]) > gone, "event numbers do not rise")
    seen = len(w.lines)
    node.stop()
    node.start()
    w.expect(f"^{ID} online ", 30, seen)
    node.bsctl("client", "revoke", "watcher@example.com")
    w.expect("^bs-watch: .*revoked", 10)
    check(w.wait() != 0, "a watch that ended by an error is no success")
    device.kill()
    node.stop()


@test
def terminal():
    """On a terminal progress goes to standard error, and is gone at the end."""
    node, alice = shared()
    leader, follower = pty.openpty()
    p = subprocess.Popen([bs.program("bsconnect"), *basics(node, alice), "rpc", ID, "get_name"],
                         stdout=subprocess.PIPE, stderr=follower, stdin=subprocess.DEVNULL)
    os.close(follower)
    out, _ = p.communicate(timeout=20)
    seen = b""
    while select.select([leader], [], [], 0.2)[0]:
        try:
            chunk = os.read(leader, 4096)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    os.close(leader)
    equal(p.returncode, 0, "status")
    check("answer" in json.loads(out), out)
    for word in (b"resolving", b"handshaking", b"asking", b"probing"):
        check(word in seen, seen)
    check(seen.endswith(b"\r\x1b[K"), seen)


@test
def broken_output():
    """A standard output that cannot be written is a failure."""
    node, alice = shared()
    if not os.path.exists("/dev/full"):
        raise bs.Skip("no /dev/full on this machine")
    with open("/dev/full", "w", encoding="utf-8") as full:
        p = subprocess.run([bs.program("bsconnect"), *basics(node, alice), "rpc", ID, "get_name"],
                           stdout=full, stderr=subprocess.PIPE, text=True, timeout=20)
    equal(p.returncode, 1, "status")
    check("standard output" in p.stderr, p.stderr)


@test
def device_dies():
    """A device that is killed while it is asked is told as silent or unanswered."""
    node, alice = shared()
    # One that is asked at the usual pace, so that it is missed before the client gives up.
    d = node.device("dies.p2p.example", "--extensions", "0")
    d.process.signal(19)  # SIGSTOP: the basestation still believes in it
    r = node.connect(alice, "--timeout", "3", "rpc", "dies.p2p.example", "get_name", ok=False)
    d.kill()
    check(r.returncode in (NO_DEVICE, QUERY), f"{r.returncode}: {r.stdout}{r.stderr}")


if __name__ == "__main__":
    bs.main()
