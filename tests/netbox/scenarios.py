# SPDX-License-Identifier: Apache-2.0
"""scenarios - what happens to a connection after it was made: moves, lost mappings, pulled plugs.

Each takes the bed and a number of its own, and raises bs.Failure with the reason; what it returns
is a line for people.
"""
import json
import os
import re
import subprocess
import sys
import time

import boxes
import bs
import bytes_peer

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bytes_peer.py")
SERVICE, LISTEN = 8000, 9000
MIB = 1 << 20


def peer(space, *args, **kw):
    """Start bytes_peer in a namespace."""
    return space.spawn(sys.executable, PEER, *args, stdout=subprocess.PIPE, text=True, **kw)


class Service:
    """Bytes to fetch in a namespace; use with "with"."""

    def __init__(self, space, size, rate=0, *more, address="127.0.0.1", port=SERVICE):
        self.p = peer(space, "serve", address, port, size, rate, *more)
        if self.p.stdout.readline().strip() != "ready":
            raise bs.Failure("bytes_peer does not serve")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        boxes.end(self.p)


class Tunnel:
    """bsconnect tunnel in a namespace, to the service of a device; use with "with"."""

    def __init__(self, bed, space, device, cert, log, server=boxes.SERVER4):
        node = bed.node
        self.log = log
        host = f"[{server}]" if ":" in server else server
        with open(log, "w", encoding="utf-8") as f:
            self.p = space.spawn(
                bs.program("bsconnect"), "-v", "--server", f"{host}:{node.ports['client_port']}",
                "--ca", node.path("ca/ca.crt"), "--cert", cert[0], "--key", cert[1], "tunnel",
                device, f"{LISTEN}:127.0.0.1:{SERVICE}", stdout=f, stderr=f)
        self.space = space

    def __enter__(self):
        return self

    def __exit__(self, *_):
        boxes.end(self.p)

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def path(self):
        """The path in use, as bsconnect says it."""
        found = re.findall(r" path: ([^,\n]*)", self.text())
        return found[-1] if found else "none"

    def fetch(self):
        """Start fetching what the service gives."""
        return peer(self.space, "fetch", "127.0.0.1", LISTEN)

    def wait(self, p, size, seconds):
        """The fetch's report; every byte must have come."""
        try:
            out, _ = p.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            p.kill()
            raise bs.Failure(f"no end after {seconds} s; path {self.path()}") from None
        r = json.loads(out)
        bs.equal((r["bytes"], r["error"]), (size, None), f"bytes through the tunnel ({self.path()})")
        bs.equal(r["sha256"], bytes_peer.digest(size), "sum of the bytes")
        return r


def mbit(r):
    """Megabit a second of a fetch."""
    return r["bytes"] * 8 / max(r["seconds"], 1e-6) / 1e6


class Ends:
    """A client and a device behind boxes of these kinds; use with "with"."""

    def __init__(self, bed, number, client, device, link=None):
        self.bed, self.number = bed, number
        self.sides = [boxes.Side(bed.internet, number, client, seed=number, link=link),
                      boxes.Side(bed.internet, number + 1, device, seed=number + 1)]
        self.client, self.device = self.sides[0].host, self.sides[1].host
        self.id = f"s{number}.nb"
        self.log = bed.node.path(self.id + ".log")
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in self.processes:
            boxes.end(p)
        for s in self.sides:
            s.remove()

    def start_device(self, program="bs-weather", *args):
        node = self.bed.node
        secret = self.bed.add_device(self.id)
        with open(self.log, "w", encoding="utf-8") as f:
            p = self.device.spawn(bs.program(program), "--id", self.id, "--secret-file", secret,
                                  "--controller", boxes.SERVER4, "--port",
                                  node.ports["controller_port"], *args, stdout=f, stderr=f)
        self.processes.append(p)
        bs.until("device attached", lambda: "attached" in self.device_log().replace(
            "attaching", ""), 15)
        return p

    def device_log(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def command(self, seconds, *pace):
        node = self.bed.node
        return [boxes.program("bs-netbox-client"), boxes.SERVER4, node.ports["client_port"],
                node.path("ca/ca.crt"), *self.bed.cert, self.id, seconds, *pace]

    def attempt(self, seconds=5):
        """Connect once and look; what the client reports."""
        r = self.client.run(*self.command(seconds), seconds=seconds + 60)
        return json.loads(r.stdout)

    def follow(self, seconds, pace):
        """Start a client that asks on and on; it has its first answer when this returns."""
        p = self.client.spawn(*self.command(seconds, pace), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        self.processes.append(p)
        while True:
            line = p.stderr.readline()
            if "first answer" in line:
                return p
            if not line:
                raise bs.Failure(f"the client never began: {p.stdout.read()}")

    def result(self, p, seconds):
        """What such a client reports in the end."""
        out, _ = p.communicate(timeout=seconds)
        return json.loads(out)


def forget(bed, number):
    """A device whose NAT forgets its mapping is reachable again within the keep-alive rules."""
    with Ends(bed, number, "port", "random") as e:
        e.start_device()
        first = e.attempt()
        bs.check(first.get("path") == "direct", f"before: {first}")
        e.sides[1].nat.poke()
        start = time.monotonic()
        while True:
            got = e.attempt()
            if got.get("path") == "direct":
                break
            # The first client made the interval 10 s, and the device polls after 1.3 times that;
            # an attempt before then takes its time to fail.
            bs.check(time.monotonic() - start < 20 * bs.SLOW, f"not in time: {got}")
        return f"reachable again after {time.monotonic() - start:.1f} s"


def unplug(bed, number):
    """Pulling the relay's plug gives the client a clear error within its timeout."""
    with Ends(bed, number, "sym", "sym") as e:
        e.start_device()
        p = e.follow(120, 500)
        time.sleep(2)
        bed.internet.net.ip("link", "set", "srv", "down")
        try:
            r = e.result(p, 90)
        finally:
            bed.internet.net.ip("link", "set", "srv", "up")
            bed.internet.net.ip("addr", "replace", "2001:db8:1::1/64", "dev", "srv")
        bs.check("failed" in r, f"no error: {r}")
        bs.check(r["after_ms"] < 45000, f"error after {r['after_ms']} ms only")
        bs.check(r["failed"]["text"].strip(), "an error without a text")
        return f"error after {r['after_ms'] / 1000:.1f} s: {r['failed']['text']}"


def move(bed, number):
    """A client that changes from one network to another goes on with its connection."""
    with Ends(bed, number, "port", "port") as e:
        e.start_device()
        second = e.sides[0].second_uplink("random")
        p = e.follow(25, 200)
        time.sleep(4)
        second.use()
        r = e.result(p, 60)
        bs.check("failed" not in r, f"the connection broke: {r}")
        bs.check(r["gap_ms"] < 15000, f"longest gap {r['gap_ms']} ms")
        return (f"longest gap {r['gap_ms'] / 1000:.1f} s, {r['answers']} answers, "
                f"{r['path']} in the end")


def idle(bed, number):
    """A connection that is hardly used outlives the short timeout of a NAT."""
    with Ends(bed, number, "short", "port") as e:
        e.start_device()
        p = e.follow(100, 45000)
        r = e.result(p, 150)
        bs.check("failed" not in r, f"the connection broke: {r}")
        return f"{r['answers']} answers, path {r['path']}"


def tunnel_device(e):
    """A device that lets clients reach the service."""
    e.start_device("bs-tunnel-device", "--allow", f"127.0.0.1:{SERVICE}")


def download(bed, number):
    """A client that moves between two networks in the middle of a download finishes it."""
    size = 24 * MIB
    with Ends(bed, number, "port", "port") as e, Service(e.device, size, 2 * MIB):
        tunnel_device(e)
        second = e.sides[0].second_uplink("random")
        with Tunnel(bed, e.client, e.id, bed.cert, e.log + ".tunnel") as t:
            p = t.fetch()
            time.sleep(4)
            before = t.path()
            second.use()
            r = t.wait(p, size, 90)
            return (f"{size // MIB} MiB in {r['seconds']:.1f} s (12 s without the move), "
                    f"{before} before, {t.path()} after")


def cubic(bed, number):
    """One stream beats TCP CUBIC over a line of 50 ms round trip and 1 % loss."""
    line = ["--delay", 25, "--loss", 1, "--rate", 200, "--queue", 1024]
    size = 8 * MIB
    with Ends(bed, number, "open", "open", link=line) as e:
        # The sender decides about congestion control.
        with Service(e.device, size), Service(e.device, size, 0, "cubic", address="0.0.0.0",
                                              port=SERVICE + 1):
            tunnel_device(e)
            with Tunnel(bed, e.client, e.id, bed.cert, e.log + ".tunnel") as t:
                p = t.fetch()
                ours = t.wait(p, size, 120)
                path = t.path()
            p = peer(e.client, "fetch", e.sides[1].outside, SERVICE + 1)
            out, _ = p.communicate(timeout=240)
        tcp = json.loads(out)
        bs.equal(tcp["bytes"], size, "bytes by TCP")
        text = f"stream {mbit(ours):.1f} Mbit/s ({path}), TCP CUBIC {mbit(tcp):.1f} Mbit/s"
        bs.check(mbit(ours) > mbit(tcp), text)
        return text


def shrink(bed, number):
    """A stream follows a path whose MTU shrinks, without a word from the network."""
    size = 16 * MIB
    line = ["--delay", 5, "--mtu", 1420, "--later-mtu", 1280, "--mtu-after", 7000]
    with Ends(bed, number, "open", "port", link=line) as e, Service(e.device, size, 2 * MIB):
        # The session with the basestation is TCP, which the kernel must keep small by itself.
        e.client.ip("route", "replace", "default", "via", "169.254.0.1", "advmss", 1200)
        bed.internet.srv.ip("route", "add", f"{e.sides[0].outside}/32", "via", "198.51.100.1",
                            "advmss", 1200)
        tunnel_device(e)
        with Tunnel(bed, e.client, e.id, bed.cert, e.log + ".tunnel") as t:
            r = t.wait(t.fetch(), size, 90)
            said = e.sides[0].link.stop()
            dropped = int(re.search(r"(\d+) too big", said).group(1))
            bs.check(dropped > 0, f"the line dropped nothing: {said}")
            return f"{size // MIB} MiB in {r['seconds']:.1f} s (8 s otherwise), {dropped} too big"


SCENARIOS = {f.__name__: f for f in (forget, unplug, move, idle, download, cubic, shrink)}
