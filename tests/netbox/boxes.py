# SPDX-License-Identifier: Apache-2.0
"""boxes - network namespaces, boxes between them, and their certain end.

Addresses: the internet is the namespace "net", with the server at 198.51.100.10 and
2001:db8:1::10.  Side number K (1..250) is 203.0.113.K or 2001:db8:2:K:: outside and 10.K.0.2
inside; boxes and hosts on the way have 100.64.K.x.
"""
import atexit
import os
import signal
import subprocess
import sys
import threading

SRC = os.environ.get("top_srcdir") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("top_builddir") or os.getcwd()
SERVER4, SECOND4, SERVER6 = "198.51.100.10", "198.51.100.11", "2001:db8:1::10"
PREFIX = f"nb{os.getpid()}"
NFT = next((p for p in ("/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft") if os.path.exists(p)), None)


class Broken(Exception):
    """The network could not be built; the text says why."""


def sh(*args, check=True):
    """Run a command of the system."""
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=60)
    if check and r.returncode != 0:
        raise Broken(f"{' '.join(map(str, args))}: {r.stderr.strip() or r.stdout.strip()}")
    return r


_spaces = []
_processes = []
_lock = threading.Lock()


def clean():
    """End every process and namespace of this run."""
    with _lock:
        processes, spaces = _processes[:], _spaces[:]
        _processes.clear()
        _spaces.clear()
    for p in processes:
        if p.poll() is None:
            p.kill()
    for p in processes:
        p.wait()
    for s in spaces:
        s.delete()


def sweep():
    """Namespaces of runs that were killed before they could clean up."""
    for line in sh("ip", "netns", "list").stdout.splitlines():
        name = line.split()[0] if line.split() else ""
        if name.startswith("nb") and "-" in name:
            pid = name[2:].split("-")[0]
            if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
                sh("ip", "netns", "del", name, check=False)


def prepare():
    """Clean up at every end, also when told to stop."""
    atexit.register(clean)

    def stop(_sig, _frame):
        sys.exit(130)
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, stop)
    sweep()


def cannot():
    """Why no network can be built here; None when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    for p in ("bs-netbox", "bs-netbox-client"):
        if not os.path.exists(program(p)):
            return f"{p} is not built (make {os.path.join('tests/netbox', p)})"
    name = PREFIX + "-try"
    try:
        if sh("ip", "netns", "add", name, check=False).returncode != 0:
            return "network namespaces are not permitted (ip netns add)"
        if sh("ip", "-n", name, "tuntap", "add", "dev", "t0", "mode", "tun",
              check=False).returncode != 0:
            return "TUN devices are not permitted"
    except FileNotFoundError:
        return "the program ip is missing (Debian: iproute2)"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return None


def program(name):
    """Path of a built program."""
    if name.startswith("bs-netbox"):
        return os.path.join(BUILD, "tests/netbox", name)
    return os.path.join(BUILD, name)


class Space:
    """One network namespace."""

    def __init__(self, name, forward=False):
        self.name = f"{PREFIX}-{name}"
        sh("ip", "netns", "add", self.name)
        with _lock:
            _spaces.append(self)
        self.ip("link", "set", "lo", "up")
        # Packets come in where no route leads back: that is what a box between is for.
        self.sysctl("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
                    "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0",
                    "net.ipv6.conf.default.accept_ra=0")
        if forward:
            self.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def ip(self, *args, check=True):
        return sh("ip", "-n", self.name, *args, check=check)

    def sysctl(self, *settings):
        sh("ip", "netns", "exec", self.name, "sysctl", "-qw", *settings)

    def nft(self, text):
        r = subprocess.run(["ip", "netns", "exec", self.name, NFT, "-f", "-"], input=text,
                           capture_output=True, text=True, timeout=30, check=False)
        if r.returncode != 0:
            raise Broken(f"nft: {r.stderr.strip()}")

    def command(self, *args):
        """The arguments that run a program in here."""
        return ["ip", "netns", "exec", self.name, *[str(a) for a in args]]

    def run(self, *args, seconds=60, **kw):
        return subprocess.run(self.command(*args), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=seconds, check=False, **kw)

    def spawn(self, *args, **kw):
        p = subprocess.Popen(self.command(*args), stdin=subprocess.DEVNULL, **kw)
        with _lock:
            _processes.append(p)
        return p

    def delete(self):
        with _lock:
            if self in _spaces:
                _spaces.remove(self)
        sh("ip", "netns", "del", self.name, check=False)


def end(p, seconds=5):
    """End a process of spawn()."""
    if p.poll() is None:
        p.terminate()
        try:
            p.wait(seconds)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    with _lock:
        if p in _processes:
            _processes.remove(p)


class Box:
    """A bs-netbox at work."""

    def __init__(self, *args):
        self.p = subprocess.Popen([program("bs-netbox"), *[str(a) for a in args]],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        with _lock:
            _processes.append(self.p)
        if self.p.stdout.readline().strip() != "ready":
            raise Broken(f"bs-netbox {' '.join(map(str, args))}: {self.p.stderr.read().strip()}")

    def poke(self):
        """NAT: forget all mappings.  Link: pull the plug, or put it in again."""
        self.p.send_signal(signal.SIGUSR1)

    def stop(self):
        """End it; what it said about itself."""
        end(self.p)
        return self.p.stderr.read().strip()


def veth(a, name_a, b, name_b):
    """A cable between two namespaces."""
    a.ip("link", "add", name_a, "type", "veth", "peer", "name", name_b, "netns", b.name)
    for s, n in ((a, name_a), (b, name_b)):
        s.ip("link", "set", n, "up")


class Internet:
    """The namespace in the middle, and the server's."""

    def __init__(self):
        self.net = Space("net", forward=True)
        self.srv = Space("srv")
        veth(self.srv, "up0", self.net, "srv")
        self.srv.ip("addr", "add", f"{SERVER4}/24", "dev", "up0")
        self.srv.ip("addr", "add", f"{SECOND4}/24", "dev", "up0")
        self.srv.ip("addr", "add", f"{SERVER6}/64", "dev", "up0")
        self.net.ip("addr", "add", "198.51.100.1/24", "dev", "srv")
        self.net.ip("addr", "add", "2001:db8:1::1/64", "dev", "srv")
        self.srv.ip("route", "add", "default", "via", "198.51.100.1")
        self.srv.ip("-6", "route", "add", "default", "via", "2001:db8:1::1")


# Kinds of sides beside those of bs-netbox: how they are built.
OWN_KINDS = ("open", "double", "ip6", "only6", "kernel", "kernel-random")


class Side:
    """A host behind something, joined to the internet."""

    def __init__(self, internet, number, kind, seed=1, link=None):
        """link: switches of bs-netbox link, for a line between box and internet."""
        self.net, self.k, self.kind, self.seed = internet.net, number, kind, seed
        self.outside, self.inside = f"203.0.113.{number}", f"10.{number}.0.2"
        self.inside6 = f"2001:db8:2:{number:x}::2"
        self.boxes, self.spaces = [], []
        self.nat = None
        self.link = None
        self.host = self._space("h")
        self.beyond = self.net  # where the outer end of the box is
        if link is not None:
            self._line(link)
        {"open": self._open, "double": self._double, "kernel": self._kernel,
         "kernel-random": self._kernel}.get(kind, self._box)()

    def _space(self, name, **kw):
        s = Space(f"{name}{self.k}", **kw)
        self.spaces.append(s)
        return s

    def _line(self, switches):
        """A line; its far end is where the box will be."""
        edge = self._space("e", forward=True)
        near, far = f"l{self.k}", f"m{self.k}"
        self.link = Box("link", "--end", f"{edge.name}:{near}", "--end", f"{self.net.name}:{far}",
                        *switches)
        self.boxes.append(self.link)
        edge.ip("link", "set", near, "up")
        self.net.ip("link", "set", far, "up")
        for f, net in (("-4", f"{self.outside}/32"), ("-6", f"2001:db8:2:{self.k:x}::/64")):
            self.net.ip(f, "route", "add", net, "dev", far)
            edge.ip(f, "route", "add", "default", "dev", near)
        self.beyond = edge

    def _route_in(self, dev, where=None):
        """Outside addresses lead to this device."""
        where = where or self.beyond
        where.ip("link", "set", dev, "up")
        where.ip("route", "add", f"{self.outside}/32", "dev", dev)
        where.ip("-6", "route", "add", f"2001:db8:2:{self.k:x}::/64", "dev", dev)

    def _host_up(self, host, inside, inside6, ip4=True, ip6=False):
        host.ip("link", "set", "up0", "up")
        if ip4:
            host.ip("addr", "add", f"{inside}/32", "dev", "up0")
            host.ip("route", "add", "default", "dev", "up0")
        if ip6:
            host.ip("addr", "add", f"{inside6}/128", "dev", "up0")
            host.ip("-6", "route", "add", "default", "dev", "up0")

    def _open(self):
        """A public address, no box."""
        dev = f"o{self.k}"
        veth(self.host, "up0", self.beyond, dev)
        self.host.ip("addr", "add", f"{self.outside}/32", "dev", "up0")
        # One cable, no subnet: a gateway address that only the cable knows.
        self.beyond.ip("addr", "add", "169.254.0.1/32", "dev", dev)
        self.host.ip("route", "add", "169.254.0.1", "dev", "up0")
        self.host.ip("route", "add", "default", "via", "169.254.0.1")
        self.beyond.ip("route", "add", f"{self.outside}/32", "dev", dev)

    def _box(self, hosts=()):
        """A box of bs-netbox.  hosts: more namespaces inside."""
        dev = f"n{self.k}"
        kind, more = self.kind, []
        if kind == "ip6":
            kind, more = "sym", ["--ip6"]
        elif kind == "only6":
            kind, more = "port", ["--ip6"]
        inside = [a for h in (self.host, *hosts) for a in ("--in", f"{h.name}:up0")]
        self.nat = Box("nat", "--kind", kind, "--outside", self.outside, "--out",
                       f"{self.beyond.name}:{dev}", *inside, "--seed", self.seed, *more)
        self.boxes.append(self.nat)
        self._route_in(dev)
        self._host_up(self.host, self.inside, self.inside6, self.kind != "only6",
                      self.kind in ("ip6", "only6"))

    def _double(self):
        """The router at home behind the provider's NAT."""
        mid = self._space("m", forward=True)
        between = f"100.64.{self.k}.2"
        home = Box("nat", "--kind", "port", "--outside", between, "--out", f"{mid.name}:o0",
                   "--in", f"{self.host.name}:up0", "--seed", self.seed)
        self.boxes.append(home)
        mid.ip("link", "set", "o0", "up")
        mid.ip("route", "add", f"{between}/32", "dev", "o0")
        dev = f"n{self.k}"
        self.nat = Box("nat", "--kind", "random", "--outside", self.outside, "--out",
                       f"{self.beyond.name}:{dev}", "--in", f"{mid.name}:i0", "--seed",
                       self.seed + 1)
        self.boxes.append(self.nat)
        mid.ip("link", "set", "i0", "up")
        mid.ip("route", "add", "default", "dev", "i0")
        self._route_in(dev)
        self._host_up(self.host, self.inside, self.inside6)

    def _kernel(self):
        """The kernel's own masquerading."""
        router = self._space("k", forward=True)
        dev = f"o{self.k}"
        veth(self.host, "up0", router, "in0")
        veth(router, "out0", self.beyond, dev)
        self.host.ip("addr", "add", f"10.{self.k}.0.2/24", "dev", "up0")
        router.ip("addr", "add", f"10.{self.k}.0.1/24", "dev", "in0")
        self.host.ip("route", "add", "default", "via", f"10.{self.k}.0.1")
        router.ip("addr", "add", f"{self.outside}/32", "dev", "out0")
        self.beyond.ip("addr", "add", "169.254.0.1/32", "dev", dev)
        router.ip("route", "add", "169.254.0.1", "dev", "out0")
        router.ip("route", "add", "default", "via", "169.254.0.1")
        self.beyond.ip("route", "add", f"{self.outside}/32", "dev", dev)
        how = " random" if self.kind == "kernel-random" else ""
        # As every router: what nobody asked for is dropped.  Without that a packet from outside that
        # comes first is answered by the router itself, and takes the port away from the host.
        router.nft("table ip t {\n chain i {\n type filter hook input priority 0;\n"
                   ' iifname "out0" drop\n }\n'
                   " chain p {\n type nat hook postrouting priority 100;\n"
                   f' oifname "out0" masquerade{how}\n }}\n}}\n')

    def second_uplink(self, kind, number=None):
        """Another network for this host, with a NAT and outside address of its own."""
        return Uplink(self, kind, number or self.k + 120)

    def remove(self):
        for b in self.boxes:
            b.stop()
        for s in self.spaces:
            s.delete()


class Uplink:
    """A second way to the internet of a host, as cellular is beside Wi-Fi."""

    def __init__(self, side, kind, number):
        self.side, self.inside = side, f"10.{number}.0.2"
        outside, dev = f"203.0.113.{number}", f"n{number}"
        side.boxes.append(Box("nat", "--kind", kind, "--outside", outside, "--out",
                              f"{side.net.name}:{dev}", "--in", f"{side.host.name}:up1", "--seed",
                              number))
        side.net.ip("link", "set", dev, "up")
        side.net.ip("route", "add", f"{outside}/32", "dev", dev)
        side.host.ip("link", "set", "up1", "up")

    def use(self):
        """Leave the first network for this one."""
        host = self.side.host
        host.ip("addr", "del", f"{self.side.inside}/32", "dev", "up0")
        host.ip("link", "set", "up0", "down")
        host.ip("addr", "add", f"{self.inside}/32", "dev", "up1")
        host.ip("route", "add", "default", "dev", "up1")


class Pair(Side):
    """Two hosts behind one box: host, and other."""

    def __init__(self, internet, number, kind, seed=1, lan=False):
        self.lan = lan
        super().__init__(internet, number, kind, seed)

    def _box(self, hosts=()):
        self.other = self._space("g")
        super()._box((self.other,))
        self.other_inside = f"10.{self.k}.0.3"
        self._host_up(self.other, self.other_inside, "")
        if self.lan:
            veth(self.host, "lan0", self.other, "lan0")
            self.host.ip("route", "add", self.other_inside, "dev", "lan0")
            self.other.ip("route", "add", self.inside, "dev", "lan0")
