#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Connect tickets with the real programs: bsconnect keeps one, uses it, and does without it."""
import json
import os
import signal
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bs  # noqa: E402
from bs import check, equal, test, until  # noqa: E402

ID = "w1.p2p.example"
_shared = {}


class Place:
    """A node with a device, and clients whose tickets lie in files."""

    def __init__(self, **conf):
        self.node = bs.Node(**conf).start()
        self.node.allow("*")
        self.device = self.node.device(ID)
        self.n = 0

    def client(self, identity=None):
        self.n += 1
        identity = identity or f"user{self.n}@example.com"
        return identity, self.node.client(identity), self.node.path(f"ticket{self.n}")

    def info(self, who, *args, ok=True):
        """info as this client: the object, or the failed run."""
        r = self.node.connect(who[1], "--json", "--ticket-file", who[2], *args, "info", ID, ok=ok)
        return json.loads(r.stdout) if ok else r

    def first(self, *args):
        """A new client that has a ticket now."""
        who = self.client(*args)
        o = self.info(who)
        equal(o["ticket"], False, "there was none at first")
        check(o["basestation"]["tls"].startswith("TLS"), o)
        equal(os.stat(who[2]).st_mode & 0o777, 0o600, "mode of the ticket")
        return who

    def stats(self, *names):
        return {n: self.node.stat(n) for n in names}


def shared():
    if "p" not in _shared:
        _shared["p"] = Place()
    return _shared["p"]


def put(path, data):
    """Write a file that only we may read; it may not be there any more."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
        f.write(data)


def handshakes(node):
    return node.stat("gate_handshake_full") + node.stat("gate_handshake_resumed")


@test
def without_tls():
    """The second connect makes no handshake, and the device sees the same client."""
    p = shared()
    who = p.first()
    before = handshakes(p.node)
    o = p.info(who)
    equal(o["ticket"], True, "by ticket")
    equal(o["basestation"]["tls"], "", "no session")
    equal(handshakes(p.node), before, "handshakes")
    check(o["path"] in ("local", "direct"), o)
    equal(o["suite"], "AES-128-GCM", "suite")
    r = p.node.connect(who[1], "--ticket-file", who[2], "rpc", ID, "get_caller")
    check(who[0] in r.stdout, r.stdout)
    equal(handshakes(p.node), before, "handshakes")


@test
def the_end_is_told():
    """When the program ends, the server knows without a session."""
    p = shared()
    who = p.first()
    p.info(who)
    until("no connection is left", lambda: p.node.stat("connections_live") == 0, 5)
    until("nor at the gate", lambda: p.node.stat("gate_connections") == 0, 5)


@test
def relays():
    """Relays work as with a session: the UDP relay, and TLS legs to the client port."""
    p = shared()
    who = p.first()
    o = p.info(who, "--relay", "only")
    equal((o["ticket"], o["path"]), (True, "relay"), "UDP relay")
    o = p.info(who, "--relay", "tls")
    equal((o["ticket"], o["path"]), (True, "tls-relay"), "TLS relay")


@test
def a_damaged_file():
    """A file that is damaged, empty or another's does no harm."""
    p = shared()
    who, other = p.first(), p.first()
    with open(who[2], "rb") as f:
        good = f.read()
    bad = [b"", b"x" * 900, good[:100], good[:-1], good + b"x"]
    with open(other[2], "rb") as f:
        bad.append(f.read())
    for data in bad:
        put(who[2], data)
        equal(p.info(who)["ticket"], False, f"{len(data)} bytes")
        with open(who[2], "rb") as f:
            check(f.read() != data, "a new ticket took its place")
    equal(p.info(who)["ticket"], True, "the new one")


@test
def a_forged_ticket():
    """A ticket with a wrong byte gets no answer; the connection comes over TLS."""
    p = shared()
    who = p.first()
    with open(who[2], "rb") as f:
        data = bytearray(f.read())
    for at in (-1, -100, 60 + len("localhost")):
        forged = bytearray(data)
        forged[at] ^= 1
        put(who[2], forged)
        before = p.stats("ticket_forged", "ticket_malformed", "ticket_challenged")
        equal(p.info(who)["ticket"], False, "fell back")
        after = p.stats("ticket_forged", "ticket_malformed", "ticket_challenged")
        check(after["ticket_forged"] > before["ticket_forged"], (at, before, after))
        equal(after["ticket_challenged"], before["ticket_challenged"], "no answer")


@test
def others_may_read():
    """A file that others may read is not used, and that is said."""
    p = shared()
    who = p.first()
    os.chmod(who[2], 0o644)
    r = p.node.connect(who[1], "--json", "--ticket-file", who[2], "info", ID)
    equal(json.loads(r.stdout)["ticket"], False, "not used")
    check("others may read" in r.stderr, r.stderr)


@test
def a_restart():
    """A ticket outlives the server's process; a repeat from before it opens nothing."""
    p = Place()
    who = p.first()
    p.node.stop()
    p.node.set(**{k.replace("_", "-"): v for k, v in p.node.ports.items()
                  if k in ("controller_port", "attach_port", "client_port")})
    p.device.stop()
    p.node.start()
    p.device.start()
    before = handshakes(p.node)
    equal(p.info(who)["ticket"], True, "by ticket")
    equal(handshakes(p.node), before, "handshakes")


@test
def a_revoked_client():
    """A revoked client has no ticket any more, and hears why."""
    p = shared()
    who = p.first("revoked@example.com")
    p.node.bsctl("client", "revoke", who[0])
    before = p.node.stat("ticket_revoked")
    r = p.info(who, ok=False)
    check(r.returncode != 0, r.stdout)
    check("revoked" in r.stderr or "refused" in r.stderr, r.stderr)
    check(p.node.stat("ticket_revoked") > before, "asked by ticket first")
    check(not os.path.exists(who[2]), "the file is gone")


@test
def a_withdrawn_right():
    """A ticket gives no right: rules are those of today."""
    p = Place()
    who = p.first()
    p.node.bsctl("access", "deny", who[0], "*")
    before = p.node.stat("gate_forbidden")
    r = p.info(who, ok=False)
    equal(r.returncode, 5, f"status: {r.stderr}")
    check(p.node.stat("gate_forbidden") > before, "refused")
    equal(p.node.stat("ticket_revoked"), 0, "the ticket itself counts")


@test
def an_open_connection_ends():
    """A revocation ends a connection that a ticket opened, within a second or so."""
    p = shared()
    who = p.first("ended@example.com")
    t = bs.Process([bs.program("bsconnect"), "--server",
                    f"localhost:{p.node.ports['client_port']}", "--ca", p.node.path("ca/ca.crt"),
                    "--cert", who[1][0], "--key", who[1][1], "--ticket-file", who[2], "-v",
                    "tunnel", ID, "0:127.0.0.1:9"])
    t.expect("by ticket")
    t.expect("the device answers")
    until("the connection is there", lambda: p.node.stat("gate_connections") >= 1)
    p.node.bsctl("client", "revoke", who[0])
    until("it ended", lambda: p.node.stat("gate_connections") == 0, 5)
    t.expect("refused|withdrawn|revoked", 10)
    t.kill()


def fresh_ticket(p):
    """Where the ticket of a client is that has just connected for the first time."""
    who = p.client()
    p.info(who)
    return who[2]


@test
def the_switch():
    """With connect-ticket-lifetime = 0 none is given out, and an old one gets silence."""
    p = Place()
    who = p.first()
    p.node.set(connect_ticket_lifetime="0s")
    p.node.process.signal(signal.SIGHUP)
    p.node.process.expect("reload")
    until("the conf is in force", lambda: not os.path.exists(fresh_ticket(p)))
    received = p.node.stat("ticket_received")
    equal(p.info(who)["ticket"], False, "by TLS")
    equal(p.node.stat("ticket_received"), received, "not even looked at")
    check(not os.path.exists(who[2]), "the file is gone")


@test
def strangers():
    """Whatever a stranger sends to the ports as type 71, nothing comes back."""
    p = shared()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.settimeout(0.3)
    before = p.node.stat("ticket_received")
    for port in (p.node.ports["attach_port"], p.node.ports["controller_port"]):
        for size in (16, 300, 767, 768, 1232, 1400):
            head = os.urandom(8) + bytes([71, 2, 0, 0]) + os.urandom(2) + size.to_bytes(2, "big")
            body = bytes([0x6A, 0, 1, 0x27, 1]) + os.urandom(290)
            body += bytes([0x6B, 0, 0, 100]) + os.urandom(96)
            body = body[:size - 16]
            if len(body) < size - 16:
                pad = size - 16 - len(body)
                body += bytes([0x75, 0x80]) + pad.to_bytes(2, "big") + bytes(pad - 4)
            s.sendto(head + body, ("127.0.0.1", port))
    until("they arrived", lambda: p.node.stat("ticket_received") >= before + 6)
    try:
        data = s.recv(2000)
    except socket.timeout:
        data = b""
    equal(data, b"", "an answer")
    s.close()


if __name__ == "__main__":
    bs.main()
