#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""netbox - a network in a box: every pair of NAT kinds, with the real programs.

usage: scripts/netbox [--quick] [--json FILE] [--build DIR] [--jobs N] [PAIR ...]
  --quick      a handful of pairs
  --json FILE  all results for programs
  --build DIR  where the programs were built (default: the current folder, else build/check)
  --jobs N     pairs at the same time (default 3)
  PAIR         CLIENT:DEVICE kinds, for example sym:port; or one of the scenarios
  --list       kinds and scenarios

basestationd, a device and a client run in network namespaces of their own, joined by NATs of our
own (tests/netbox/bs-netbox on TUN devices) and by those of the kernel (nftables).  Prints how each
pair got together: direct, relayed or failed; time to the first answer; throughput.  It needs root;
where namespaces or TUN devices are not permitted it says so and ends with status 77.
"""
import json
import os
import queue
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
import boxes  # noqa: E402
import bs  # noqa: E402
import scenarios  # noqa: E402

KINDS = ("open", "full", "restricted", "port", "random", "preserve", "sym-address", "sym-next",
         "sym-open", "sym", "double", "short", "ip6", "kernel", "kernel-random")
CLIENT_KINDS = KINDS + ("blocked", "only6")
QUICK = ("open:port", "port:port", "random:double", "sym:port", "port:sym", "sym:sym",
         "blocked:port", "kernel:kernel-random", "same", "same-hairpin", "same-lan")
SAME = {"same": ("port", False), "same-hairpin": ("hairpin", False), "same-lan": ("port", True)}
SYMMETRIC = {"sym-address", "sym-next", "sym-open", "sym", "kernel-random", "adr-full",
             "adr-restricted", "sym-restricted"}
# Attempts until a pair counts as one that cannot be direct, and how long each may look.
ATTEMPTS, SETTLE_S = 3, 20
# Where no direct way is expected it is looked at for this long: data must go on meanwhile.
RELAYED_S = 6
THROUGHPUT_MIB = 8
CLIENTS = 8


def may_relay(client, device):
    """Whether a pair need not become direct."""
    if "blocked" in (client, device):
        return True
    if client == "ip6" and device == "ip6":
        return False
    sym = SYMMETRIC | {"ip6"}
    if client in sym and device in sym:
        return True
    # One has IPv4 only, the other IPv6 only.
    return client == "only6" and device != "ip6"


class Server(bs.Node):
    """A basestation in the namespace of the server."""

    def __init__(self, space, **conf):
        self.space = space
        super().__init__(listen=f"{boxes.SERVER4}, {boxes.SECOND4}, {boxes.SERVER6}",
                         public_address=boxes.SERVER4, attach_address=boxes.SECOND4,
                         public_address6=boxes.SERVER6, node_name="nb.example",
                         # The real pace: what keeps mappings open is part of what is tested.
                         alive_interval=None, alive_retry=None, alive_unreachable=None,
                         alive_timeout=None, alive_min=None, alive_max=None, **conf)
        self.ca("issue", "server", "nb.example", boxes.SERVER4, boxes.SERVER6, "--out",
                self.path("nb"))
        self.set(server_certificate=self.path("nb.crt"), server_key=self.path("nb.key"))

    def start(self, *args, ready=True, **kw):
        self.process = bs.Process(self.space.command(
            bs.program("basestationd"), "-f", "-c", self.conf_file, *args), **kw)
        bs.until("basestationd ready", self._ready, 20)
        return self


class Cell:
    """One pair: its networks, its device, and what the client reports."""

    def __init__(self, bed, name, serial):
        self.bed, self.name, self.serial = bed, name, serial
        # Two numbers a pair; those of pairs that are long gone are free again.
        self.number = 1 + serial * 2 % 100
        self.sides = []
        self.result = {"pair": name}

    def build(self):
        net, n = self.bed.internet, self.number
        if self.name in SAME:
            kind, lan = SAME[self.name]
            pair = boxes.Pair(net, n, kind, seed=n, lan=lan)
            self.sides = [pair]
            self.client, self.device = pair.host, pair.other
            return
        client, device = self.name.split(":")
        self.sides.append(boxes.Side(net, n, client, seed=n))
        self.sides.append(boxes.Side(net, n + 1, device, seed=n + 1))
        self.client, self.device = self.sides[0].host, self.sides[1].host

    def remove(self):
        for s in self.sides:
            s.remove()

    def start_device(self):
        node, dev = self.bed.node, f"d{self.serial}.nb"
        secret = self.bed.add_device(dev)
        self.dev = dev
        p = self.device.spawn(bs.program("bs-tunnel-device"), "--id", dev, "--secret-file",
                              secret, "--controller", boxes.SERVER4, "--port",
                              node.ports["controller_port"], "--allow",
                              f"127.0.0.1:{scenarios.SERVICE}",
                              stdout=open(node.path(dev + ".log"), "w", encoding="utf-8"),
                              stderr=-2)
        self.log = node.path(dev + ".log")
        self.process = p

        def attached():
            if p.poll() is not None:
                raise bs.Failure("the device ended:\n" + self.device_log())
            return ": attached" in self.device_log()
        bs.until(f"device of {self.name} attached", attached, 15)

    def device_log(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def server(self):
        return boxes.SERVER6 if self.name.startswith("only6:") else boxes.SERVER4

    def cert(self):
        return self.bed.certs[self.serial % CLIENTS]

    def throughput(self):
        """Bytes through a tunnel: how many Mbit/s, and over which path."""
        size = THROUGHPUT_MIB * scenarios.MIB
        with scenarios.Service(self.device, size), scenarios.Tunnel(
                self.bed, self.client, self.dev, self.cert(), self.log + ".tunnel",
                self.server()) as t:
            r = t.wait(t.fetch(), size, 120)
            self.result["mbit"] = round(scenarios.mbit(r), 1)
            self.result["tunnel_path"] = t.path()

    def attempt(self):
        node, server = self.bed.node, self.server()
        r = self.client.run(boxes.program("bs-netbox-client"), server, node.ports["client_port"],
                            node.path("ca/ca.crt"), *self.cert(),
                            self.dev,
                            RELAYED_S if self.expected() == "relayed" else SETTLE_S,
                            seconds=SETTLE_S * 2 + 60)
        try:
            out = json.loads(r.stdout)
        except ValueError:
            out = {"error": "crash", "text": f"status {r.returncode} {r.stdout}{r.stderr[-500:]}"}
        out["log"] = r.stderr[-4000:]
        return out

    def run(self):
        """Attempts until one is direct; fills result."""
        res = self.result
        res["attempts"] = []
        for _ in range(ATTEMPTS):
            a = self.attempt()
            res["attempts"].append(a)
            if a.get("path") in ("direct", "local"):
                break
            if "error" not in a and self.expected() == "relayed":
                break
        last = res["attempts"][-1]
        failed = [a for a in res["attempts"] if "error" in a]
        if failed:
            res["outcome"], res["why"] = "failed", failed[0]["text"]
        elif last["path"] in ("direct", "local"):
            res["outcome"] = last["path"]
        else:
            res["outcome"] = "relayed"
        res["tries"] = len(res["attempts"])
        for k in ("first_ms", "direct_ms", "first_path", "path"):
            res[k] = last.get(k)
        if res["outcome"] != "failed":
            self.throughput()

    def expected(self):
        """What this pair may be at worst."""
        if self.name == "same":
            return "relayed"
        if self.name in SAME:
            return "local" if SAME[self.name][1] else "direct"
        return "relayed" if may_relay(*self.name.split(":")) else "direct"

    def ok(self):
        order = ("local", "direct", "relayed", "failed")
        return order.index(self.result["outcome"]) <= order.index(self.expected())


class Bed:
    """What all pairs share: the internet, the basestation, one client's certificate."""

    def __init__(self, quick=False, **conf):
        self.quick = quick
        self.lock = threading.Lock()
        self.internet = boxes.Internet()
        self.node = Server(self.internet.srv, **conf)
        self.node.start()
        self.node.allow()
        # A device that vanishes leaves its connections to a timeout, and a client may have 64: so
        # one client is not enough for all pairs.
        self.certs = [self.node.client(f"netbox{i}@example.com") for i in range(CLIENTS)]
        self.cert = self.certs[0]

    def add_device(self, dev):
        with self.lock:
            return self.node.add_device(dev)

    def cell(self, name, serial):
        """Build, run and remove one pair."""
        c = Cell(self, name, serial)
        t = time.monotonic()
        try:
            c.build()
            c.start_device()
            c.run()
        except Exception as e:  # noqa: BLE001 - a cell may fail in any way
            c.result["outcome"], c.result["why"] = "failed", str(e)
        finally:
            if hasattr(c, "process"):
                boxes.end(c.process)
            c.remove()
        c.result["seconds"] = round(time.monotonic() - t, 1)
        return c


def play(bed, names):
    """Scenarios one after the other: some of them pull plugs.  How many failed."""
    bad = 0
    for i, name in enumerate(names):
        try:
            text = scenarios.SCENARIOS[name](bed, 101 + i * 2)
            print(f"ok   {name:28} {text}", flush=True)
        except Exception as e:  # noqa: BLE001 - any way to fail
            print(f"BAD  {name:28} {e}", flush=True)
            bad += 1
    return bad


def pairs_of(args):
    if args["pairs"] or args["scenarios"]:
        return args["pairs"]
    if args["quick"]:
        return list(QUICK)
    return [f"{c}:{d}" for c in CLIENT_KINDS for d in KINDS] + list(SAME)


def line_of(c):
    r = c.result
    text = f"{'ok  ' if c.ok() else 'BAD '} {c.name:28} {r['outcome']:8}"
    if r.get("first_ms") is not None:
        text += f" first {r['first_ms']:5} ms ({r['first_path']})"
        if r.get("direct_ms", -1) >= 0:
            text += f", direct {r['direct_ms']:5} ms"
        text += f", attempt {r['tries']}"
    if r.get("mbit") is not None:
        text += f", {r['mbit']:6.1f} Mbit/s ({r['tunnel_path']})"
    if r.get("why"):
        text += f"  {r['why']}"
    return text


def matrix(results):
    """Client kinds down, device kinds across: D direct, L local, R relayed, X failed."""
    by = {r["pair"]: r for r in results}
    rows = [c for c in CLIENT_KINDS if any(p.startswith(c + ":") for p in by)]
    cols = [d for d in KINDS if any(p.endswith(":" + d) for p in by)]
    if not rows:
        return
    mark = {"direct": "D", "local": "L", "relayed": "R", "failed": "X"}
    print("\nclient \\ device " + " ".join(f"{d[:6]:6}" for d in cols))
    for c in rows:
        cells = []
        for d in cols:
            r = by.get(f"{c}:{d}")
            cells.append("" if r is None else mark[r["outcome"]] +
                         (str(r["tries"]) if r.get("tries", 1) > 1 else ""))
        print(f"{c:15} " + " ".join(f"{x:6}" for x in cells))
    print("D direct, L local, R relayed, X failed; a number: attempts that it took")


def parse(argv):
    args = {"quick": False, "json": None, "pairs": [], "jobs": 3, "scenarios": []}
    it = iter(argv)
    for a in it:
        if a == "--quick":
            args["quick"] = True
        elif a in ("--json", "--jobs"):
            args[a[2:]] = next(it, None)
        elif a in ("--help", "-h"):
            print(__doc__.strip())
            sys.exit(0)
        elif a == "--list":
            print("client kinds:", *CLIENT_KINDS)
            print("device kinds:", *KINDS)
            print("same NAT:    ", *SAME)
            print("scenarios:   ", *scenarios.SCENARIOS)
            sys.exit(0)
        elif a in scenarios.SCENARIOS:
            args["scenarios"].append(a)
        elif a in SAME or re.fullmatch(r"[\w-]+:[\w-]+", a):
            args["pairs"].append(a)
        else:
            sys.exit(f"netbox: what is \"{a}\"? see --help")
    more = bs.run([boxes.program("bs-netbox"), "kinds"]).stdout.split() if args["pairs"] else []
    for p in args["pairs"]:
        c, _, d = p.partition(":")
        if p not in SAME and (c not in (*CLIENT_KINDS, *more) or d not in (*KINDS, *more)):
            sys.exit(f"netbox: {p}: no such kinds; see --list")
    return args


def main():
    args = parse(sys.argv[1:])
    why = boxes.cannot()
    if why:
        print(f"netbox: skipped: {why}")
        return 77
    boxes.prepare()
    bed = Bed(args["quick"])
    todo, done = queue.Queue(), []
    pairs = pairs_of(args)
    if boxes.NFT is None and any("kernel" in p for p in pairs):
        print("netbox: skipped the kernel's NATs: nft is missing (Debian: nftables)")
        pairs = [p for p in pairs if "kernel" not in p]
    for i, p in enumerate(pairs):
        todo.put((i, p))

    def work():
        while True:
            try:
                i, p = todo.get_nowait()
            except queue.Empty:
                return
            c = bed.cell(p, i)
            done.append((i, c))
            print(line_of(c), flush=True)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(int(args["jobs"]))]
    for t in threads:
        t.start()
    for t in threads:
        while t.is_alive():
            t.join(0.2)
    cells = [c for _, c in sorted(done, key=lambda x: x[0])]
    results = [c.result for c in cells]
    matrix(results)
    if args["json"]:
        with open(args["json"], "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)
    bad = sum(not c.ok() for c in cells)
    count = {o: sum(r["outcome"] == o for r in results)
             for o in ("direct", "local", "relayed", "failed")}
    print(", ".join(f"{v} {k}" for k, v in count.items()) + f"; {bad} not as expected")
    names = args["scenarios"]
    if not names and not args["pairs"] and not args["quick"]:
        names = list(scenarios.SCENARIOS)
    bad += play(bed, names)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
