#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Floods of forged invites against the real server, with its limits as they come.

Each kind of flood runs while devices are attached, others come, and one whose id is the target does
too.  Nothing here depends on time but the devices' own schedules.  BS_FULL=1 makes the floods ten
times as dense and a minute long.
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bs  # noqa: E402
from bs import check, equal, test, until  # noqa: E402

FULL = os.environ.get("BS_FULL")
FORGED = 20000 if FULL else 2000
ATTACHED = 50
TARGET = 500
COOKIE, RETRY = 1 << 1, 1 << 4
_shared = {}


def node():
    if not _shared:
        bs.forget_freed_memory()
        n = bs.Node(workers=1, log_level="warning", max_devices=2000, alive_interval="1s",
                    alive_retry="500ms", alive_unreachable="20s", alive_timeout="40s").start()
        rows = n.path("devices.csv")
        with open(rows, "w", encoding="ascii") as f:
            f.write(bs.run([bs.program("bsload"), "ids", "--devices", 600]).stdout)
        n.bsctl("device", "import", rows)
        _shared.update(node=n, first=TARGET + 1)
    return _shared["node"]


def start(name, plan, *options):
    """A run of bsload that goes on beside us: (process, its report's file)."""
    out = node().path(name + ".json")
    p = subprocess.Popen([bs.program("bsload"), plan, "--server",
                          f"127.0.0.1:{node().ports['controller_port']}", "--pid",
                          str(node().process.p.pid), "--interval", "1", "--progress", "0", "--json",
                          out, *map(str, options)], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    return p, out


def attach(name, first, source, *options):
    """One device that comes now and may take its whole series of invites."""
    return start(name, "attach", "--devices", 1, "--first", first, "--source", source, "--again", 0,
                 "--seconds", 0.1, "--deadline", 125, *options)[0]


def expect_ok(name, p):
    text = p.communicate(timeout=200)[0]
    equal(p.returncode, 0, f"{name} attaches; {text}")


def rss():
    with open(f"/proc/{node().process.p.pid}/status", encoding="ascii") as f:
        return next(int(l.split()[1]) for l in f if l.startswith("RssAnon"))


def fresh():
    """A device that has not been here yet."""
    _shared["first"] += 1
    return _shared["first"]


def flood(kind):
    """One flood; its counters, and how many answers the server gave."""
    # The target's invites are 4 s apart; the others need one each.
    seconds = 60 if FULL else 6 if kind == "target" else 2
    p, out = start("flood", "flood", "--devices", ATTACHED, "--forge", kind, "--forged", FORGED,
                   "--polls", 10, "--seconds", seconds, "--target", TARGET)
    until("devices of the flood's run", lambda: node().stat("devices_attached") >= ATTACHED, 60)
    count = "invite_unknown_id" if kind == "unknown" else "invite_attach"
    before = node().stat(count)
    until("flood", lambda: node().stat(count) > before + FORGED / 2, 60)
    others = {"a device next to the forgers": attach("near", fresh(), "127.128.0.1"),
              "a device elsewhere": attach("far", fresh(), "127.77.0.1"),
              "a device with COOKIE at the forgers' address":
              attach("cookie", fresh(), "127.128.0.1", "--offer", COOKIE | RETRY)}
    if kind == "target":
        others["the target"] = attach("target", TARGET, "127.78.0.1")
    for name, q in others.items():
        expect_ok(name + f" under {kind}", q)
    if kind == "target":
        # Its next life, in a network that is known and with the extension: the same id again.
        expect_ok("the target with COOKIE", attach("again", TARGET, "127.79.0.1", "--offer",
                                                   COOKIE))
    text = p.communicate(timeout=300)[0]
    equal(p.returncode, 0, f"flood {kind}; {text}")
    with open(out, encoding="ascii") as f:
        hold = next(x for x in json.load(f)["phases"] if x["name"] == "hold")
    equal(hold["attached"], ATTACHED, f"{kind}: attached all the while")
    equal(hold["counts"]["lost"], 0, f"{kind}: lost")
    check(hold["forge"]["sent"] > FORGED, f"{kind}: {hold['forge']}")
    print(f"# {kind}: {hold['forge']['sent']} forged in {seconds} s, "
          f"{hold['forge']['answers']} answered; server {hold['server']['cpu_s']:.2f} CPU-s, "
          f"RssAnon {rss()} kB")
    return hold["forge"]


@test
def unknown_ids():
    """Invites of ids that do not exist are not answered, and cost nobody a token"""
    sent = flood("unknown")
    equal(sent["answers"], 0, "answers")
    equal(node().stat("invite_rate_known"), 0, "devices over the rate of their prefix")


@test
def known_ids():
    """Invites of ids that exist, from everywhere, get few answers"""
    sent = flood("known")
    check(sent["answer_bytes"] < sent["bytes_sent"], f"amplified: {sent}")


@test
def one_prefix():
    """From one /24: devices in the same one attach all the same"""
    sent = flood("prefix")
    check(sent["answer_bytes"] < sent["bytes_sent"], f"amplified: {sent}")


@test
def one_address():
    """From one address, as behind a carrier's router: its other devices attach all the same"""
    flood("cgnat")


@test
def one_id():
    """The id that is the target attaches within its own series, with COOKIE and without"""
    before = node().stat("attach_stateless") if _shared else 0
    flood("target")
    equal(node().stat("attach_stateless"), before + 2, "attaches without state")


@test
def memory_is_flat():
    """Floods after the first ones take no more memory"""
    before = rss()
    for kind in ("known", "prefix", "cgnat", "target") if FULL else ("known",):
        flood(kind)
    check(rss() <= before + 8192, f"RssAnon {before} kB before, {rss()} kB after")


if __name__ == "__main__":
    bs.main()
