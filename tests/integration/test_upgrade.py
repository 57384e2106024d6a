#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Upgrade in place: a new binary takes sockets and devices over, and nobody notices but who must."""
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import bs
import test_gate
import test_gateway

# Only their tools are wanted here, not their tests.
bs._tests.clear()

CLIENT = "user@example.test"


class Upgradable(bs.Node):
    """A node whose binary lies in its own folder, so that a test can exchange it."""

    def __init__(self, **conf):
        super().__init__(**{"drain_time": "2s", **conf})
        self.binary = self.path("basestationd")
        self.install(bs.program("basestationd"))

    def install(self, source):
        """Put another binary in place as a package does: by rename, beside the running one."""
        shutil.copy(source, self.binary + ".new")
        os.chmod(self.binary + ".new", 0o755)
        os.rename(self.binary + ".new", self.binary)

    def script(self, text):
        with open(self.path("script"), "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + text + "\n")
        self.install(self.path("script"))

    def start(self, *args, ready=True, **kw):
        self.process = bs.Process([self.binary, "-f", "-c", self.conf_file, *args], **kw)
        if ready:
            bs.until("basestationd ready", self._ready, 20)
        self.pid = self.process.p.pid
        return self

    def upgrade(self):
        """bsctl upgrade, and wait until the old process has left."""
        old = self.pid
        self.pid = self.ask("upgrade")[0]["pid"]
        bs.check(self.pid != old, "it is another process")
        bs.equal(self.status()["pid"], self.pid, "who answers")
        return old

    def stop(self):
        """The process that serves now is no child of ours after an upgrade."""
        os.kill(self.pid, signal.SIGTERM)
        bs.until("the end of the last process", lambda: not running(self.pid), 20)

    def kill(self):
        for line in self.process.lines:
            pass
        if running(self.pid):
            os.kill(self.pid, signal.SIGKILL)


def running(pid):
    """Whether a process is there and not just waits for its parent to look."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def node(**conf):
    n = Upgradable(**{"alive-min": "1s", "alive-max": "1s", "alive-timeout": "10s", **conf})
    n.set(**{"state-file": conf.get("state-file", n.path("state"))})
    return n.start()


NO_CLIENTS = {"server_certificate": None, "server_key": None, "client_ca": None,
              "client_crl": None}


def plain(**conf):
    """A node that no client can come to."""
    return node(**NO_CLIENTS, **conf)


def in_use(**conf):
    """A node with a client that may use its device: (node, certificate, device)."""
    n = node(**conf)
    cert = n.client(CLIENT)
    n.allow()
    return n, cert, n.device("d1.p2p.example.test")


def attached(n):
    """The attachments: what never changes while they last."""
    keys = ("id", "address", "local", "since", "extensions", "capabilities", "version", "label")
    return {tuple(str(d[k]) for k in keys) for d in n.ask("device", "list", "--attached")}


def times_attached(device):
    return len([l for l in device.process.lines if "bs-weather: attached" in l])


def is_served(n, cert, device):
    """Keepalives go on and calls get through, without a new attach."""
    before = n.stat("alive_answered")
    bs.until("keepalives", lambda: n.stat("alive_answered") >= before + 2)
    n.rpc(cert, device.id, "get_weather.json")
    bs.equal(times_attached(device), 1, "times that the device attached")


def refused(n, *parts):
    """bsctl upgrade fails with a text that has all parts."""
    r = n.bsctl("upgrade", ok=False, as_json=False)
    bs.check(r.returncode != 0, "it was refused")
    for part in parts:
        bs.check(part in r.stderr, f"{part!r} is not in {r.stderr!r}")
    bs.check("the old process goes on" in r.stderr, r.stderr)
    bs.equal(n.status()["pid"], n.pid, "who answers")


@bs.test
def takes_over():
    """three upgrades in a row: same ports, devices stay attached, calls before and after"""
    n, cert, device = in_use()
    is_served(n, cert, device)
    ports = {k: v for k, v in n.ports.items() if k.endswith("_port")}
    was = attached(n)
    for turn in range(3):
        old = n.upgrade()
        bs.equal({k: v for k, v in n.status().items() if k.endswith("_port")}, ports, "ports")
        bs.equal(attached(n), was, "attachments")
        is_served(n, cert, device)
        bs.equal(n.stat("attach_ok"), 0, "attaches at the new process")
        bs.until("the old process has left", lambda: not running(old), 10)
        if turn == 0:
            bs.equal(n.process.wait(), 0, "status of the first process")
    n.stop()
    bs.check(not os.path.exists(n.socket), "the control socket is still there")


@bs.test
def by_signal():
    """SIGUSR2 does the same"""
    n = plain()
    n.process.signal(signal.SIGUSR2)
    n.process.expect("upgrade, process [0-9]+ has taken over")
    n.pid = bs.until("an answer", lambda: n.status()["pid"])
    bs.check(n.pid != n.process.p.pid, "another process answers")
    bs.equal(n.process.wait(), 0, "status of the old process")
    n.stop()


class Manager:
    """What systemd hears: words in order, each with the process that sent it."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.s.bind(path)

    def word(self, seconds=20):
        """The next word and its sender, or None."""
        self.s.settimeout(seconds * bs.SLOW)
        try:
            text, more, _, _ = self.s.recvmsg(400, socket.CMSG_SPACE(12))
        except socket.timeout:
            return None
        return text.decode(), struct.unpack("3i", more[0][2])[0]

    def reloads(self, n):
        os.kill(n.pid, signal.SIGHUP)
        text, pid = self.word()
        bs.check(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=[0-9]+", text), text)
        bs.equal(pid, n.pid, "who reloads")
        bs.equal(self.word(), ("READY=1", n.pid), "after the reload")


@bs.test
def tells_systemd():
    """MAINPID from the old process, then READY=1 from the new one, which systemd hears from then on"""
    n = Upgradable(**NO_CLIENTS)
    systemd = Manager(n.path("notify"))
    n.start(env={**os.environ, "NOTIFY_SOCKET": n.path("notify")})
    bs.equal(systemd.word(), ("READY=1", n.pid), "first word")
    systemd.reloads(n)
    n.script("exit 3")
    refused(n, "ended before it was ready")
    n.install(bs.program("basestationd"))
    for _ in range(3):
        # nothing was said of the one that failed
        old = n.upgrade()
        bs.equal(systemd.word(), (f"MAINPID={n.pid}", old), "who names the new one")
        bs.equal(systemd.word(), ("READY=1", n.pid), "its own first word")
        systemd.reloads(n)
    # one that has handed over goes without a word, for it is not the service that stops
    bs.until("the old process has left", lambda: not running(old), 10)
    os.kill(n.pid, signal.SIGTERM)
    bs.equal(systemd.word(), ("STOPPING=1", n.pid), "last word")
    bs.until("the end of the last process", lambda: not running(n.pid), 20)
    bs.equal(systemd.word(0.1), None, "after the last word")
    systemd.s.close()


@bs.test
def failing_binaries():
    """a new binary that fails in any way leaves the old process as it was"""
    n, cert, device = in_use()
    was = attached(n)
    n.script("exit 3")
    refused(n, "ended before it was ready")
    n.script("exec kill -9 $$")
    refused(n, "ended before it was ready")
    n.script("head -c 4000 /dev/zero >&3; cat <&3 >/dev/null")
    refused(n, "does not understand")
    n.script(f"exec {bs.program('bsctl')} help")
    refused(n)
    with open(n.path("garbage"), "wb") as f:
        f.write(b"\x7fELF" + bytes(100))
    n.install(n.path("garbage"))
    refused(n, "cannot be started")
    os.unlink(n.binary)
    refused(n, "cannot be started", "No such file")
    n.install(bs.program("basestationd"))
    bs.equal(attached(n), was, "attachments")
    is_served(n, cert, device)
    n.upgrade()
    is_served(n, cert, device)
    n.stop()


@bs.test
def conf_that_cannot_be_taken_over():
    """a conf with a mistake, other addresses or other ports is refused, and named"""
    n, cert, device = in_use()
    good = dict(n.conf)
    for change, parts in (({"alive-intervall": "1s"}, ['did you mean "alive-interval"']),
                          ({"attach-port": 1}, ["cannot change listen"]),
                          ({"listen": "127.0.0.1"}, ["an upgrade cannot change"]),
                          ({"control-socket": n.path("other")}, ["control-socket"]),
                          ({"server-key": n.path("nowhere")}, ["server-key"])):
        n.set(**change)
        r = n.bsctl("upgrade", "--socket", n.socket, ok=False, as_json=False)
        bs.check(r.returncode != 0, f"{change} was refused")
        for part in parts:
            bs.check(part in r.stderr, f"{part!r} is not in {r.stderr!r}")
        n.conf = dict(good)
        n.set()
        is_served(n, cert, device)
    n.set(workers=3, max_devices=500)
    n.upgrade()
    bs.equal(n.status()["workers"], 2, "workers stay as they are")
    bs.equal(n.status()["limits"]["devices"]["max"], 500, "another limit")
    is_served(n, cert, device)
    n.stop()


@bs.test
def under_load():
    """upgrades while devices poll: polls are answered, for what came meanwhile waited"""
    n = plain(listen="127.0.0.1", **{
        "alive-interval": "10s", "alive-retry": "2s", "alive-unreachable": "25s",
        "alive-timeout": "40s", "attach-rate-unknown": "100000/s", "log-level": "info"})
    with open(n.path("ids.csv"), "w", encoding="utf-8") as f:
        f.write(bs.run([bs.program("bsload"), "ids", "--devices", "1000"]).stdout)
    n.bsctl("device", "import", n.path("ids.csv"))
    load = bs.Process([bs.program("bsload"), "poll", "--server",
                       f"127.0.0.1:{n.ports['controller_port']}", "--devices", "1000", "--window",
                       "12", "--polls", "300", "--seconds", "4", "--json", n.path("report"),
                       "--deadline", "60"])
    load.expect("hold: 1000 attached", 60)
    for _ in range(3):
        n.upgrade()
    bs.equal(load.wait(60), 0, "status of bsload")
    with open(n.path("report"), encoding="utf-8") as f:
        hold = json.load(f)["phases"][-1]
    bs.equal(hold["name"], "hold", "phase")
    bs.equal(hold["attached"], 1000, "attached at the end")
    bs.equal(hold["counts"]["started"], 0, "devices that attached anew")
    # What was sent in the last moment is not answered in time, and on a busy machine two polls of
    # one device come close together, which the server limits.
    left = hold["counts"]["polls"] - hold["poll"]["n"]
    bs.check(left <= hold["counts"]["polls"] // 20,
             f"{left} of {hold['counts']['polls']} polls were not answered")
    n.stop()


@bs.test
def drain():
    """bsctl drain sends devices and clients away at a rate; nobody comes in until it is cancelled"""
    n = node(**{"alive-interval": "200ms"})
    cert = n.client(CLIENT)
    n.allow()
    devices = [n.device(f"d{i}.p2p.example.test") for i in range(6)]
    gate = test_gate.Gate(n, cert)
    gate.hello()
    rows = n.ask("drain", "--rate", "2")
    bs.equal(rows[-1]["devices"], 0, "devices at the end")
    bs.equal(rows[-1]["sessions"], 0, "sessions at the end")
    bs.check(any(0 < r["devices"] < 6 for r in rows), f"one after the other ({rows})")
    bs.equal(n.stat("devices_drained"), 6, "devices_drained")
    bs.check(n.status()["draining"], "status says so")
    # They ask to come in again, and are not let in.
    bs.until("an invite that is not answered", lambda: n.stat("invite_drained") > 0, 20)
    bs.equal(n.status()["devices_attached"], 0, "attached while drained")
    n.ask("drain", "--cancel")
    bs.check(not n.status()["draining"], "it is over")
    event = gate.recv()
    bs.equal((event.type, event.status), (test_gate.EVENT, test_gate.DRAINING), "event")
    bs.check(gate.ended(), "the session ended")
    fresh = n.device("fresh.p2p.example.test")
    n.rpc(cert, fresh.id, "get_weather.json")
    bs.equal(len(devices), 6, "devices that were sent away")
    n.stop()


@bs.test
def drain_deadline():
    """the deadline ends who is left; another drain meanwhile is refused, a cancel ends it"""
    n = plain()
    devices = [n.device(f"d{i}.p2p.example.test") for i in range(4)]
    rows = n.ask("drain", "--rate", "1", "--deadline", "2")
    bs.equal(rows[-1]["devices"], 0, "devices at the end")
    bs.check(len(rows) <= 5, f"it took no longer ({len(rows)} s)")
    n.ask("drain", "--cancel")
    fresh = n.device("fresh.p2p.example.test")
    slow = bs.Process([bs.program("bsctl"), "drain", "--deadline", "3600", "--conf", n.conf_file,
                       "--json"])
    bs.until("it is draining", lambda: n.status()["draining"])
    r = n.bsctl("drain", ok=False, as_json=False)
    bs.check(r.returncode != 0 and "under way" in r.stderr, r.stderr)
    n.ask("drain", "--cancel")
    bs.check(slow.wait() != 0, "the first one was told")
    bs.check("cancelled" in slow.output(), slow.output())
    bs.equal(times_attached(fresh), 1, "times that the last device attached")
    bs.check(n.status()["devices_attached"] >= 1, "it is attached")
    bs.equal(len(devices), 4, "devices that were sent away")
    n.stop()


@bs.test
def a_client_session_across_an_upgrade():
    """an open session is told to leave, served nothing new, ended; the next resumes it"""
    n, cert, device = in_use()
    ctx = test_gate.make_context(n, cert)
    gate = test_gate.Gate(n, None, context=ctx)
    gate.hello()
    old = n.upgrade()
    event = gate.recv()
    bs.equal((event.type, event.seq, event.status), (test_gate.EVENT, 0, test_gate.DRAINING),
             "event")
    ticket = gate.sock.session
    bs.check(gate.ended(), "the session ended")
    bs.until("the old process has left", lambda: not running(old), 10)
    gate = test_gate.Gate(n, None, context=ctx, session=ticket)
    bs.equal(gate.hello().status, test_gate.OK, "HELLO at the new process")
    bs.check(gate.sock.session_reused, "the session was resumed")
    bs.equal(gate.watch(device.id).status, test_gate.OK, "WATCH")
    device.kill()
    bs.equal(gate.recv(30).first(0x68)[8], 0, "state of the device that is gone")
    gate.close()
    n.stop()


@bs.test
def a_tcp_relay_across_an_upgrade():
    """a stream over the TCP relay goes on for half of drain-time, then ends; the next one works"""
    n = node(drain_time="6s")
    cert = n.client(CLIENT)
    n.allow()
    with test_gateway.Stream(n, cert, "tcp") as stream:
        stream.read(1 << 20)
        old = n.upgrade()
        stream.read(1 << 20)
        bs.check(running(old), "the old process still passes it on")
        try:
            while stream.s.recv(1 << 16):
                pass
        except OSError:
            pass
        bs.until("the old process has left", lambda: not running(old), 20)
    weather = n.device("d1.p2p.example.test")
    n.rpc(cert, weather.id, "get_weather.json", "--relay", "tcp")
    n.stop()


@bs.test
def daemon_mode_and_rights():
    """in daemon mode and without root's rights: pid file, lock and a key that only root can read"""
    if os.getuid() != 0:
        raise bs.Skip("needs root")
    n = Upgradable(server_certificate=None, server_key=None, client_ca=None, client_crl=None,
                   user="nobody", log_target="auto", **{"alive-max": "1s", "alive-min": "1s"})
    os.chmod(n.dir, 0o755)
    os.mkdir(n.path("state"))
    os.chown(n.path("state"), 65534, 65534)
    n.set(**{"state-file": n.path("state", "file")})
    bs.run([n.binary, "-d", "-c", n.conf_file])

    def pid():
        with open(n.conf["pid-file"], encoding="ascii") as f:
            return int(f.read())

    n.pid = pid()
    n.ports = n.status()
    device = n.device("d1.p2p.example.test")
    bs.equal(os.stat(n.path("master.key")).st_uid, 0, "owner of the key")
    try:
        for _ in range(2):
            old = n.upgrade()
            bs.until("the pid file tells the new process", lambda: pid() == n.pid, 5)
            bs.equal(os.stat(f"/proc/{n.pid}").st_uid in (0, 65534), True, "owner")
            with open(f"/proc/{n.pid}/status", encoding="ascii") as f:
                uid = next(l.split()[1] for l in f if l.startswith("Uid:"))
            bs.equal(uid, "65534", "user of the new process")
            bs.until("the old process has left", lambda: not running(old), 10)
        r = bs.run([n.binary, "-d", "-c", n.conf_file], ok=False)
        bs.check("a daemon runs already" in r.stderr, r.stderr)
        bs.equal(times_attached(device), 1, "times that the device attached")
    finally:
        n.stop()


if __name__ == "__main__":
    bs.main()
