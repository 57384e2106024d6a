#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The UDP relay with the real programs: reached where nothing direct is allowed, limited, ended."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bs  # noqa: E402
from bs import check, equal, test  # noqa: E402

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


if __name__ == "__main__":
    bs.main()
