#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The UDP relay with the real programs: reached where nothing direct is allowed, limited, ended."""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bs  # noqa: E402
from bs import check, equal, test, until  # noqa: E402

ID = "w1.p2p.example"
NO_DEVICE = 6
_shared = {}


def shared():
    """A node with two workers, a device and a client."""
    if not _shared:
        node = bs.Node(workers=2).start()
        _shared.update(node=node, alice=node.client("alice@example.com"))
        node.allow("alice@example.com")
        _shared["device"] = node.device(ID)
    return _shared["node"], _shared["alice"]


@test
def relay_only():
    """With the relay alone a query is answered, and the path is named."""
    node, alice = shared()
    up = node.stat("relay_udp_up")
    r = json.loads(node.connect(alice, "--relay", "only", "--json", "info", ID).stdout)
    equal(r["path"], "relay", "path")
    equal(int(r["remote"].rsplit(":", 1)[1]), node.ports["attach_port"], "remote port")
    r = json.loads(node.connect(alice, "--relay", "only", "rpc", ID, "get_weather").stdout)
    check("temperature_mC" in r["answer"], r)
    check(node.stat("relay_udp_up") > up, "packets were relayed")
    check(node.stat("relay_udp_down") > 0, "and back")
    equal(node.stat("relay_source"), 0, "packets from elsewhere")


@test
def direct_wins():
    """By default a direct path is used where there is one."""
    node, alice = shared()
    r = json.loads(node.connect(alice, "--json", "info", ID).stdout)
    check(r["path"] in ("local", "direct"), r)
    r = json.loads(node.connect(alice, "--relay", "off", "--json", "info", ID).stdout)
    check(r["path"] in ("local", "direct"), r)


@test
def words():
    """--relay takes three words."""
    node, alice = shared()
    r = node.connect(alice, "--relay", "sometimes", "info", ID, ok=False)
    equal(r.returncode, 2, "status")
    check("auto, off, only" in r.stderr, r.stderr)


@test
def switched_off():
    """A server that relays nothing says so to a client that has no other way."""
    node = bs.Node(relay_udp="no").start()
    alice = node.client("alice@example.com")
    node.allow("alice@example.com")
    node.device(ID)
    r = node.connect(alice, "--relay", "only", "info", ID, ok=False, seconds=30)
    equal(r.returncode, NO_DEVICE, "status")
    check("offers no relay" in r.stderr, r.stderr)
    node.stop()


@test
def full():
    """A full relay refuses with its status and a text; degrade lets the client in, slowly."""
    node = bs.Node(relay_max=0).start()
    alice = node.client("alice@example.com")
    node.allow("alice@example.com")
    node.device(ID)
    r = node.connect(alice, "--relay", "only", "info", ID, ok=False, seconds=30)
    check(r.returncode != 0, "refused")
    check("relay is full" in r.stderr, r.stderr)
    equal(node.stat("relay_full"), 1, "counted")
    node.set(relay_when_full="degrade")
    node.bsctl("conf", "reload")
    r = json.loads(node.connect(alice, "--relay", "only", "--json", "info", ID).stdout)
    equal(r["path"], "relay", "path")
    node.stop()


def hold(node, cert, seconds):
    """A program that asks over the relay again and again; its process."""
    loop = f"end=$(( $(date +%s) + {seconds} )); while [ $(date +%s) -lt $end ]; do " \
           f"{bs.program('bsconnect')} \"$@\" >/dev/null 2>&1 || exit 7; done"
    return subprocess.Popen(
        ["sh", "-c", loop, "sh", "--server", f"localhost:{node.ports['client_port']}", "--ca",
         node.path("ca/ca.crt"), "--cert", cert[0], "--key", cert[1], "--interface", bs.XML,
         "--relay", "only", "rpc", ID, "measure"])


@test
def volume():
    """What was relayed for a client is remembered over a restart, shown, and ends its relay."""
    node = bs.Node(workers=2).start()
    alice = node.client("alice@example.com")
    node.allow("alice@example.com")
    node.bsctl("client", "add", "alice@example.com")
    device = node.device(ID)
    node.connect(alice, "--relay", "only", "rpc", ID, "get_weather")
    carried = node.stat("relay_udp_up_bytes") + node.stat("relay_udp_down_bytes")
    check(carried > 0, "carried")
    node.stop()
    node.start()
    c = node.ask("client", "show", "alice@example.com")[0]
    equal(c["relay_bytes"], carried, "bytes of the month")
    equal(c["relay_month"], time.strftime("%Y-%m", time.gmtime()), "month")
    equal(c["relay_month_limit"], None, "limit")
    # The month is full now: refused with words that say why.
    node.set(relay_client_month=f"{max(1, carried // 2)}B")
    node.bsctl("conf", "reload")
    device.stop()
    node.device(ID, register=False)
    r = node.connect(alice, "--relay", "only", "info", ID, ok=False, seconds=30)
    check(r.returncode != 0, "refused")
    check("relay" in r.stderr, r.stderr)
    node.stop()


@test
def shown_and_revoked():
    """relay list shows a connection; revoking its client ends the leg within a second."""
    node = bs.Node(workers=2).start()
    alice = node.client("alice@example.com")
    node.allow("alice@example.com")
    node.device(ID)
    p = hold(node, alice, 30)
    try:
        rows = until("a relayed connection", lambda: node.ask("relay", "list"))
        equal((rows[0]["device"], rows[0]["client"], rows[0]["kind"], rows[0]["grade"]),
              (ID, "alice@example.com", "udp", "normal"), "row")
        s = node.ask("relay", "status")[0]
        check(s["udp_up_bytes"] > 0 and s["when_full"] == "reject", s)
        node.bsctl("client", "revoke", "alice@example.com")
        t = time.monotonic()
        until("no relayed connection", lambda: not node.ask("relay", "list"), 5)
        check(time.monotonic() - t < 1.5, f"took {time.monotonic() - t:.2f} s")
        r = node.connect(alice, "--relay", "only", "info", ID, ok=False)
        check(r.returncode != 0, "the client is out")
    finally:
        p.kill()
        p.wait()
    node.stop()


if __name__ == "__main__":
    bs.main()
