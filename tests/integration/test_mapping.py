#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client asks its router for a mapped port, in namespaces of its own with a fake router."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../netbox"))
import boxes  # noqa: E402
import bs  # noqa: E402
from bs import check, test  # noqa: E402

ROUTER, CLIENT, PUBLIC = "10.77.0.1", "10.77.0.2", "52.0.0.1"
ID = "m1.map.example"
TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
_shared = {}


class Server(bs.Node):
    """A basestation in the router's namespace."""

    def __init__(self, space):
        self.space = space
        super().__init__(listen=ROUTER, public_address=ROUTER, node_name="map.example")
        self.ca("issue", "server", "map.example", ROUTER, "--out", self.path("map"))
        self.set(server_certificate=self.path("map.crt"), server_key=self.path("map.key"))

    def start(self, *args, ready=True, **kw):
        self.process = bs.Process(self.space.command(
            bs.program("basestationd"), "-f", "-c", self.conf_file, *args), **kw)
        bs.until("basestationd ready", self._ready, 20)
        return self


def shared():
    """Router and client, a basestation and a device beside the router."""
    if not _shared:
        boxes.prepare()
        router, client = boxes.Space("mr"), boxes.Space("mc")
        boxes.veth(router, "lan0", client, "up0")
        router.ip("addr", "add", ROUTER + "/24", "dev", "lan0")
        client.ip("addr", "add", CLIENT + "/24", "dev", "up0")
        client.ip("route", "add", "default", "via", ROUTER)
        node = Server(router).start()
        cert = node.client("map@example.com")
        node.allow()
        secret = node.add_device(ID)
        log = open(node.path("dev.log"), "w", encoding="utf-8")
        router.spawn(bs.program("bs-tunnel-device"), "--id", ID, "--secret-file", secret,
                     "--controller", ROUTER, "--port", node.ports["controller_port"],
                     "--allow", "127.0.0.1:9", stdout=log, stderr=log)
        bs.until("device attached",
                 lambda: "attached" in open(node.path("dev.log"), encoding="utf-8").read(), 15)
        _shared.update(node=node, router=router, client=client, cert=cert)
    return _shared


def ask(kind, seconds):
    """What a router of this kind was asked, and what bsconnect said."""
    s = shared()
    fake = s["router"].spawn(sys.executable, os.path.join(TOP, "tests/integration/fake_router.py"),
                             kind, ROUTER, PUBLIC, stdout=subprocess.PIPE, text=True)
    check(fake.stdout.readline().strip() == "ready", "the fake router did not start")
    out = s["node"].path(kind + ".log")
    with open(out, "w", encoding="utf-8") as f:
        p = s["client"].spawn(
            bs.program("bsconnect"), "-v", "--server", f"{ROUTER}:{s['node'].ports['client_port']}",
            "--ca", s["node"].path("ca/ca.crt"), "--cert", s["cert"][0], "--key", s["cert"][1],
            "tunnel", ID, "18080:127.0.0.1:9", stdout=f, stderr=f)

    def said():
        with open(out, encoding="utf-8") as f:
            return "the router forwards" in f.read() or p.poll() is not None
    try:
        bs.until(f"an answer of the router ({kind})", said, seconds)
    finally:
        boxes.end(p)
        boxes.end(fake)
    with open(out, encoding="utf-8") as f:
        return fake.stdout.read().split("\n"), f.read()


@test
def by_natpmp():
    """NAT-PMP: the port that the router gives counts, not the one that was wished for."""
    asked, said = ask("natpmp", 15)
    words = asked[0].split()
    check(words[:1] == ["natpmp"] and int(words[3]) > 0, f"asked: {asked}")
    check(f"the router forwards {PUBLIC}:{words[2]} to us (NAT-PMP)" in said, said)


@test
def by_upnp():
    """UPnP, where nobody answers NAT-PMP."""
    asked, said = ask("upnp", 25)
    words = asked[0].split()
    check(words[:1] == ["upnp"] and words[1] == words[2], f"asked: {asked}")
    check(f"the router forwards {PUBLIC}:{words[2]} to us (UPnP)" in said, said)


def cannot():
    """Why this cannot run here; None when it can."""
    with open(os.path.join(os.environ.get("top_builddir", "."), "config.h"),
              encoding="utf-8") as f:
        conf = f.read()
    for name in ("NATPMP", "MINIUPNPC"):
        if f"#define HAVE_{name} 1" not in conf:
            return f"built without {name.lower()}"
    return boxes.cannot()


if __name__ == "__main__":
    why = cannot()
    if why:
        print(f"1..0 # SKIP {why}")
        sys.exit(0)
    bs.main()
